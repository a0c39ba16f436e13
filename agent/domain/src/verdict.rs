//! What the agent says of one item, and the words for why.

use crate::lifecycle::SpoilReason;

/// Why an item is bad, or why the gate got no verdict for it and rejected it on its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Reason {
    /// The reader said that it saw no mark.
    NoRead,
    /// Several marks on one item.
    Several,
    /// The read does not fit the layout of the product group.
    Malformed,
    /// Another GTIN than the run's.
    WrongProduct,
    /// Unknown to this agent.
    Foreign,
    /// The identity is known, the verification tail differs.
    Mismatch,
    /// Pooled or set aside: this agent never gave it to a printer. Stops the line.
    NeverIssued,
    /// Issued for another run or line.
    OtherRun,
    /// Print grade below the minimum.
    Grade,
    /// Verified or applied already, on another item.
    Duplicate,
    /// Spoiled, returned or written off.
    Dead(Death),
    /// The read order and the issue order disagree: a repeat, or a step back beyond a re-feed.
    OutOfOrder,
    /// The reader said nothing within its latency window.
    NoResult,
    /// The read belongs to no open tag or to two: no verdict was given.
    NoVerdict,
    /// Good, but the leave to pass came after the item had been rejected, or never reached the gate.
    Late,
    /// No run was running when the item came.
    NotRunning,
    /// As many items as the run wants have passed or have leave to pass. The code stays as it was.
    OverQuantity,
    /// The agent was not there: not started, restarting, or without its gate.
    Away,
    /// A write to disk failed: nothing passes until a person has looked.
    NotDurable,
}

/// What made a code dead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Death {
    Spoiled(SpoilReason),
    Returned,
    WrittenOff,
}

impl Reason {
    /// The stable key of the reason: in the database, the API and the message catalogue.
    pub fn key(self) -> &'static str {
        match self {
            Reason::NoRead => "no_read",
            Reason::Several => "several",
            Reason::Malformed => "malformed",
            Reason::WrongProduct => "wrong_product",
            Reason::Foreign => "foreign",
            Reason::Mismatch => "mismatch",
            Reason::NeverIssued => "never_issued",
            Reason::OtherRun => "other_run",
            Reason::Grade => "grade",
            Reason::Duplicate => "duplicate",
            Reason::Dead(_) => "dead",
            Reason::OutOfOrder => "out_of_order",
            Reason::NoResult => "no_result",
            Reason::NoVerdict => "no_verdict",
            Reason::Late => "late",
            Reason::NotRunning => "not_running",
            Reason::OverQuantity => "over_quantity",
            Reason::Away => "away",
            Reason::NotDurable => "not_durable",
        }
    }

    /// All keys, for the message catalogue's completeness test and for counters.
    pub const KEYS: [&'static str; 19] = [
        "no_read",
        "several",
        "malformed",
        "wrong_product",
        "foreign",
        "mismatch",
        "never_issued",
        "other_run",
        "grade",
        "duplicate",
        "dead",
        "out_of_order",
        "no_result",
        "no_verdict",
        "late",
        "not_running",
        "over_quantity",
        "away",
        "not_durable",
    ];
}

/// What the agent says of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Good,
    Bad(Reason),
}
