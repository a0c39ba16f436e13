//! What is written down: the records of a commit, and what the store answers.
//!
//! A [`Txn`] is applied whole or not at all. Every record is keyed and idempotent: applied again after a lost outcome it
//! changes nothing. One that is not allowed is a bug of ours: the store answers with an error and the process ends.

use crate::code::{Code, Identity};
use crate::day::{Day, Zone};
use crate::document::{DocumentAnswer, DocumentRecord};
use crate::gs1::Gtin;
use crate::ids::{BlockNo, IssueNo, LineNo, OrderNo, PassNo, PrinterNo, ReportNo, RunId, Tag, TxnId};
use crate::lifecycle::{SpoilReason, State};
use crate::pack::record::{PackAnswer, PackRecord};
use crate::share::ShareRecord;
use crate::time::Wall;
use crate::verdict::Reason;

/// Records that become durable together.
#[derive(Clone, Debug, PartialEq)]
pub struct Txn {
    pub id: TxnId,
    pub records: Vec<Record>,
}

/// One fact to be made durable. `at` is the calendar's time for people and upstream; nothing is decided by it.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    // ---- runs ----
    /// A new run of a line, `Stopped` until it is set running. Refused while the line has an open run.
    /// Answered with [`Answer::Run`]. Keyed by `RunPlan::key`.
    RunOpened {
        line: LineNo,
        plan: RunPlan,
        who: String,
        at: Wall,
        /// The last tag that the gate gave before: items up to it are not of this run. The gate's count may have begun
        /// again since the run before.
        gate: Option<Tag>,
    },
    RunState {
        run: RunId,
        state: RunState,
        why: String,
        who: String,
        at: Wall,
    },
    /// A person signed the closing sheet of a closed run, with so much of it unresolved, and why all the same. `head` is
    /// that of the dossier, with so many lines, that says what was signed. Signed once by each head.
    SignedOff {
        run: RunId,
        who: String,
        from: String,
        why: String,
        unresolved: u32,
        lines: u64,
        head: [u8; 32],
        at: Wall,
    },

    // ---- codes on their way to an item ----
    /// Takes the next `count` pooled codes of the run's GTIN, soonest expiry first, and makes them `Issued` for
    /// this run and printer. Codes with less life left than `life_left_min_ms` after `at` are passed over, and so are
    /// codes that were ordered after `day_ends`, the last moment of the run's day of production, unless the run's plan
    /// says otherwise: upstream refuses them on goods of that day. Answered with
    /// [`Answer::Issued`], with fewer codes when the pool has fewer, with [`Answer::Later`] or with
    /// [`Answer::Barred`]. Not idempotent by key: a lost outcome is settled by reading the codes in doubt of the run.
    Issue {
        run: RunId,
        printer: PrinterNo,
        count: u32,
        life_left_min_ms: i64,
        day_ends: Wall,
        at: Wall,
    },
    /// What became of the job of an issued code; evidence beside the state. `Refused` moves the code back into
    /// the pool if it is still `Issued`; if it was read meanwhile nothing moves and [`Answer::Contradicted`] says so.
    Job {
        run: RunId,
        code: Identity,
        outcome: JobOutcome,
        at: Wall,
    },
    /// Read and judged good: the leave to pass is durable with it. From `Issued` (of this run), from the stock, or
    /// from `Verified(Rejected)` (re-fed).
    Verify {
        run: RunId,
        code: Identity,
        tag: Tag,
        at: Wall,
    },
    /// A trigger numbered an item; it is open until its end is recorded. Counts a trigger of the run.
    Trigger {
        run: RunId,
        tag: Tag,
        at: Wall,
    },
    /// The gate numbered the items `from ..= to` of one boot while nobody looked, and rejected them: so many triggers,
    /// and so many items rejected as `Away`. Kept as one range. Tags up to the last one recorded change nothing, so a
    /// range told twice, or over a part of another, counts each item once.
    Away {
        run: RunId,
        from: Tag,
        to: Tag,
        at: Wall,
    },
    /// What became of an item. Closes the open tag. Counts `passed`, or `rejected` by reason. With a code:
    /// `Passed` gives the code the run's next pass number; `Rejected` makes it `Verified(Rejected)`.
    End {
        run: RunId,
        tag: Tag,
        end: ItemEnd,
        at: Wall,
    },
    /// The pass-unknown code of `tag` was settled otherwise: a read behind the gate, in the bin, or a person.
    Settle {
        run: RunId,
        code: Identity,
        passed: bool,
        how: String,
        who: String,
        at: Wall,
    },
    /// Declared spoiled by a person, or by the line's rule. Nothing moves while a report that is open or in effect
    /// carries the code, or while its item lies in a pack: then the answer is [`Answer::Carried`] or
    /// [`PackAnswer::Within`].
    Spoil {
        code: Identity,
        reason: SpoilReason,
        who: String,
        at: Wall,
    },
    /// Spoils up to `limit` codes of the run that a line clearance leaves over: those still `Issued` as `Unseen`, then
    /// those whose item was rejected as `Rejected`. Answered with [`Answer::Left`].
    SpoilLeft {
        run: RunId,
        limit: u32,
        who: String,
        at: Wall,
    },
    /// Something worth telling that moved no state: a duplicate seen, a gap, a repeat, a late refusal.
    Incident {
        run: Option<RunId>,
        code: Option<Identity>,
        tag: Option<Tag>,
        key: String,
        detail: String,
        at: Wall,
    },

    // ---- stock ----
    /// Codes of a printing house's or a cabinet's list, as stock of `roll`; at most 100 a record. Codes that are
    /// known already are refused by name in [`Answer::Imported`].
    Import {
        roll: String,
        codes: Vec<Code>,
        group: String,
        at: Wall,
    },

    // ---- orders and blocks ----
    /// The intent to order codes, durable before the request leaves. Keyed by `po_number`; one that a person assigned
    /// also by upstream's id and GTIN, so that two people may assign it. Answered with [`Answer::Order`].
    OrderWanted {
        order: OrderPlan,
        at: Wall,
    },
    OrderState {
        order: OrderNo,
        state: OrderState,
        why: String,
        at: Wall,
    },
    /// A block as received, whole, before any of its codes is used. Keyed by (order, pack id): the same pack again
    /// changes nothing. Answered with [`Answer::Block`].
    Block {
        order: OrderNo,
        pack_id: String,
        previous: Option<String>,
        body: Vec<u8>,
        count: u32,
        at: Wall,
    },
    /// The codes `from .. from + slice.len()` of a block, in the order in which they are unpacked, at most 100. A slice that was unpacked already changes
    /// nothing. Codes that this agent has already (in any state, from any source) are set aside as given twice.
    /// With the last slice the block's body is let go.
    Unpack {
        block: BlockNo,
        from: u32,
        slice: Vec<Unpacked>,
        at: Wall,
    },

    /// Gives back up to `limit` (at most 100) pooled codes of an order that was closed upstream, or whose codes' life
    /// is over: they are `Returned`. Answered with [`Answer::Returned`].
    Return {
        order: OrderNo,
        limit: u32,
        at: Wall,
    },

    // ---- reports ----
    /// A new application report over passes of a run that no open or accepted report carries. At most one open
    /// report of a kind carries a pass. Its moment of production is fixed with it, by
    /// [`crate::day::production_moment`] in this zone. `by`: upstream's clock, by which all of it was made. `unsure`: its
    /// codes may be in effect already, so it begins as `Unknown`. Answered with [`Answer::Report`].
    ReportDrafted {
        run: RunId,
        kind: ReportKind,
        passes: Vec<PassRange>,
        replaces: Option<ReportNo>,
        unsure: bool,
        zone: Zone,
        by: Option<Wall>,
        at: Wall,
    },
    ReportState {
        report: ReportNo,
        state: ReportState,
        why: String,
        at: Wall,
    },
    /// Upstream refused this code for good: it stays named and unresolved.
    Unresolved {
        report: ReportNo,
        pass: PassNo,
        why: String,
        at: Wall,
    },

    // ---- packs ----
    Pack(PackRecord),
    Share(ShareRecord),
    Document(DocumentRecord),

    // ---- for people ----
    /// An answer of upstream kept for the engineer; at most 64 KiB of the body, secrets removed by the caller.
    AnswerKept {
        request: String,
        status: Option<u16>,
        body: Vec<u8>,
        at: Wall,
    },
    /// A command of a person: who, from where, what, and what came of it.
    Audit {
        who: String,
        from: String,
        command: String,
        outcome: String,
        at: Wall,
    },
    AlarmRaised {
        line: Option<LineNo>,
        key: String,
        detail: String,
        at: Wall,
    },
    AlarmCleared {
        line: Option<LineNo>,
        key: String,
        at: Wall,
    },
    AlarmAcknowledged {
        line: Option<LineNo>,
        key: String,
        who: String,
        at: Wall,
    },
}

/// What the store says to the records that have an answer, in the order of the records.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Run(RunId),
    /// The key of a run that was asked for belongs to this other run, or to one that is closed.
    KeyTaken(RunId),
    Issued(Vec<Issued>),
    /// Nothing was issued: all codes left, so many, were ordered after the run's day of production.
    Later(u64),
    /// Nothing was issued, and nothing will be until a person has acted.
    Barred(Bar),
    /// `Refused` came after a read: nothing moved.
    Contradicted(Identity),
    Passed(PassNo),
    /// A report that is open or in effect carries the code: it was not spoiled.
    Carried(Identity),
    /// How many codes of the run are still to be spoiled: `Issued`, or of rejected items.
    Left {
        codes: u32,
    },
    Imported {
        taken: u32,
        refused: Vec<(Identity, String)>,
    },
    Order(OrderNo),
    /// The id by which upstream is said to know the order belongs to this other one: nothing was changed.
    IdTaken(OrderNo),
    Block(BlockNo),
    /// Pooled and set aside of the slice.
    Unpacked {
        pooled: u32,
        set_aside: u32,
    },
    /// The report, and the moment of production that it carries.
    Report(ReportNo, Wall),
    /// How many codes of the order are still in the pool.
    Returned {
        left: u64,
    },
    Pack(PackAnswer),
    Document(DocumentAnswer),
}

/// Why this agent issues no codes, whatever its pools hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bar {
    /// The database was restored or copied, or stands behind its witness: what is pooled may have been printed.
    Unsettled,
    /// The witness cannot be written.
    Witness,
    /// The disk is nearly full: what is printed could not be written down.
    Room,
}

impl Bar {
    /// The stable key, for catalogues: `stop.<key>`, `refuse.<key>`, `alarm.stop.<key>`.
    pub fn key(self) -> &'static str {
        match self {
            Bar::Unsettled => "unsettled",
            Bar::Witness => "witness",
            Bar::Room => "room",
        }
    }
}

/// A code that was issued: what a printer needs and what a tracker remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    pub issue: IssueNo,
    pub printer: PrinterNo,
    pub code: Code,
}

/// What a person asks for when a run is started.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// The caller's own key for this run: asking again with the same key opens no second run.
    pub key: String,
    pub gtin: Gtin,
    /// The state system's name of the product group, such as `water`.
    pub group: String,
    /// How many good items are wanted; 0 = until stopped.
    pub quantity: u32,
    pub batch: String,
    /// The day of production as declared: on the labels, and in the reports by [`crate::day::production_moment`].
    pub production: Day,
    pub expiry: Option<Day>,
    /// A person says that the goods were made before their codes were ordered: codes of later orders are taken too.
    pub before_order: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    Running,
    /// May resume.
    Stopped,
    /// Clearance was declared: no code is issued any more, belt, web and bin are empty.
    Closing,
    /// Balanced and signed off.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobOutcome {
    /// In the printer's hands; no word yet.
    Open,
    Printed,
    Refused,
    Doubtful,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ItemEnd {
    Passed {
        code: Identity,
    },
    Rejected {
        reason: Reason,
        /// The code that was verified for this tag, if one was.
        code: Option<Identity>,
    },
    /// Tracked, but seen neither behind the gate nor in the bin: taken off by hand. The code, if one was verified,
    /// stays pass unknown.
    Lost {
        code: Option<Identity>,
    },
    /// The gate passed an item that had no leave to pass. An alarm, and a count of its own.
    Escaped,
}

/// An order that this agent makes, or that a person assigned to it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderPlan {
    /// Our own number, unique for ever, that bears the agent's id; upstream can search for it.
    pub po_number: String,
    pub gtin: Gtin,
    pub group: String,
    pub kind: PackageKind,
    pub quantity: u32,
    pub release_method: String,
    pub business_place: Option<i64>,
    /// Known already when a person assigned an order of the cabinet; its quantity may be 0 then, until upstream tells.
    pub upstream_id: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PackageKind {
    Unit,
    Group,
    Set,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OrderState {
    /// The intent is durable; nothing was sent.
    Wanted,
    /// The request may have left: from here on `Unknown` until an answer or a look-up says otherwise.
    Sent,
    /// The answer was lost.
    Unknown,
    /// Upstream named it.
    Accepted {
        upstream_id: String,
    },
    /// Codes may be taken.
    Ready(OrderTerms),
    /// All codes were taken.
    Exhausted,
    Refused,
    Closed,
    /// All codes were taken and none of them will be used any more; the request to close it may have left.
    Closing,
}

impl OrderState {
    /// The stable key of the state, for catalogues, the API and the log.
    pub fn key(&self) -> &'static str {
        match self {
            OrderState::Wanted => "wanted",
            OrderState::Sent => "sent",
            OrderState::Unknown => "unknown",
            OrderState::Accepted { .. } => "accepted",
            OrderState::Ready(_) => "ready",
            OrderState::Exhausted => "exhausted",
            OrderState::Refused => "refused",
            OrderState::Closed => "closed",
            OrderState::Closing => "closing",
        }
    }
}

/// What upstream says of an order whose codes may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderTerms {
    /// When the life of its codes is over.
    pub expires: Option<Wall>,
    /// When upstream made the order, by upstream's clock.
    pub ordered: Option<Wall>,
    /// How many codes it has, where the plan does not say (an order that a person assigned).
    pub total: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Unpacked {
    Code(Code),
    /// Kept byte by byte, with the reason in words.
    Malformed {
        bytes: Vec<u8>,
        reason: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReportKind {
    Application,
}

/// Passes `from ..= to` of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassRange {
    pub from: PassNo,
    pub to: PassNo,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ReportState {
    /// Drafted: the intent is durable, nothing was sent.
    Wanted,
    /// The request may have left.
    Sent,
    Unknown,
    /// Upstream named it and works on it.
    Processing {
        upstream_id: String,
    },
    /// In effect: its codes are `Applied`.
    Accepted,
    /// Upstream refused it as a whole; nothing of it is in effect.
    Refused,
}

impl ReportState {
    /// Upstream's name of it, which one state tells.
    pub fn upstream_id(&self) -> Option<&str> {
        let ReportState::Processing { upstream_id } = self else { return None };
        Some(upstream_id)
    }

    /// The stable key of the state, for catalogues, the API and the log.
    pub fn key(&self) -> &'static str {
        match self {
            ReportState::Wanted => "wanted",
            ReportState::Sent => "sent",
            ReportState::Unknown => "unknown",
            ReportState::Processing { .. } => "processing",
            ReportState::Accepted => "accepted",
            ReportState::Refused => "refused",
        }
    }
}

/// What the store knows of a code that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Unknown,
    /// Not yet issued by this agent: pooled, set aside, or of the stock.
    Waiting {
        state: State,
        tail: Vec<u8>,
    },
    /// Issued once, or of the stock and verified; `state` is `Applied` when an accepted report carries it.
    Coded(CodeFacts),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CodeFacts {
    pub state: State,
    pub tail: Vec<u8>,
    pub run: RunId,
    pub printer: PrinterNo,
    pub issue: IssueNo,
    pub outcome: JobOutcome,
    /// The tag of the item on which it was verified.
    pub tag: Option<Tag>,
    pub verified_at: Option<Wall>,
}

/// What the line needs to go on after a start: nothing of it is kept in memory only.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Recovered {
    /// The line's run that is not closed, if any.
    pub run: Option<OpenRun>,
    /// Its alarms that were not over, oldest first.
    pub alarms: Vec<Alarm>,
}

/// A raised alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub key: String,
    pub detail: String,
    pub since: Wall,
    pub acknowledged: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OpenRun {
    pub run: RunId,
    pub plan: RunPlan,
    pub state: RunState,
    pub passed: u32,
    pub triggers: u32,
    /// Rejected items by reason key.
    pub rejected: Vec<(String, u32)>,
    /// The last tag whose trigger was recorded.
    pub last_tag: Option<Tag>,
    /// Tags whose end was not recorded.
    pub open_tags: Vec<Tag>,
    /// Codes issued and not read, in issue order, with what is known of their jobs.
    pub in_doubt: Vec<(Issued, JobOutcome)>,
    /// Codes verified whose pass is unknown, with their tags.
    pub pass_unknown: Vec<(Identity, Tag)>,
    /// The highest issue number that was read, by printer: where the tracker goes on.
    pub last_read: Vec<(PrinterNo, IssueNo)>,
}
