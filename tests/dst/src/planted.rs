//! Faults of the agent itself, planted here and nowhere in the product, each of which breaks one of its rules: a campaign
//! that does not find them proves nothing.

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// Syncs say that they did, and did nothing.
    LyingSync,
    /// Commits do not sync the WAL, as with `synchronous=NORMAL`.
    SynchronousNormal,
    /// A commit is acknowledged a moment before it is durable.
    AcknowledgeBeforeCommit,
    /// The gate gets its leave when the commit is asked for, not when it is durable.
    ActBeforeCommit,
    /// A job that may be on an item is said to be certainly on none.
    DoubtfulToPool,
    /// A request whose answer was lost is sent again at once.
    BlindSecondPost,
    /// An effect that is not found at the first look is taken for absent.
    AbsentAfterOneLook,
    /// Now and then an item gets leave that nobody has verified.
    PassWithoutVerified,
    /// An order whose answer was lost is made again under another number.
    RetryWithNewKey,
    /// A block is taken once more under another name.
    BlockTwice,
    /// After a power cut an older copy of the database is put in place, and nothing is told of it.
    OldCopyInPlace,
    /// The database is not compared with its witness.
    NoWitness,
    /// The WAL is trusted as it is seen after a sync that failed.
    WalNotWrittenBack,
    /// So it is by the connection that is closed after the error.
    CheckpointAtClose,
    /// A pack is closed because the printer says that its label was printed.
    CloseWithoutLabelRead,
    /// A label is printed with the name that comes next, before a pack has it.
    PrintBeforeNamed,
    /// The person hears that a thing is in when the commit is asked for.
    TakenBeforeDurable,
    /// What may not go into a pack is told as taken.
    RefusedIsTaken,
}

impl Planted {
    pub const ALL: [Planted; 18] = [
        Planted::LyingSync,
        Planted::SynchronousNormal,
        Planted::AcknowledgeBeforeCommit,
        Planted::ActBeforeCommit,
        Planted::DoubtfulToPool,
        Planted::BlindSecondPost,
        Planted::AbsentAfterOneLook,
        Planted::PassWithoutVerified,
        Planted::RetryWithNewKey,
        Planted::BlockTwice,
        Planted::OldCopyInPlace,
        Planted::NoWitness,
        Planted::WalNotWrittenBack,
        Planted::CheckpointAtClose,
        Planted::CloseWithoutLabelRead,
        Planted::PrintBeforeNamed,
        Planted::TakenBeforeDurable,
        Planted::RefusedIsTaken,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Planted::LyingSync => "lying-sync",
            Planted::SynchronousNormal => "synchronous-normal",
            Planted::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Planted::ActBeforeCommit => "act-before-commit",
            Planted::DoubtfulToPool => "doubtful-to-pool",
            Planted::BlindSecondPost => "blind-second-post",
            Planted::AbsentAfterOneLook => "absent-after-one-look",
            Planted::PassWithoutVerified => "pass-without-verified",
            Planted::RetryWithNewKey => "retry-with-new-key",
            Planted::BlockTwice => "block-twice",
            Planted::OldCopyInPlace => "old-copy-in-place",
            Planted::NoWitness => "no-witness",
            Planted::WalNotWrittenBack => "wal-not-written-back",
            Planted::CheckpointAtClose => "checkpoint-at-close",
            Planted::CloseWithoutLabelRead => "close-without-label-read",
            Planted::PrintBeforeNamed => "print-before-named",
            Planted::TakenBeforeDurable => "taken-before-durable",
            Planted::RefusedIsTaken => "refused-is-taken",
        }
    }

    pub fn of(name: &str) -> Option<Planted> {
        Planted::ALL.into_iter().find(|p| p.name() == name)
    }
}
