//! The line: one pure step from what happened to what must be done.
//!
//! The line holds no socket, no clock and no file. An act that depends on a record stays inside until the store has
//! said `Committed`: no byte goes to a printer before its code is durably `Issued`, no item gets leave to pass before
//! its code is durably `Verified`. So the shell cannot get the order wrong.
//!
//! - [`ask`]: what people may ask, and what they see
//! - [`items`], [`order`], [`judge`]: which item a read belongs to, how it agrees with the order, what is decided
//! - [`slip`]: labels that slipped, and the window that is set aside
//! - `readings`, `printing`, `gate`, `people`, `commits`, `status`: the parts of the step

pub mod ask;
mod commits;
mod gate;
pub mod items;
pub mod judge;
pub mod order;
mod people;
mod printing;
mod readings;
pub mod slip;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::code::{Code, Identity};
use crate::day::Zone;
use crate::gs1::Gtin;
use crate::ids::{IssueNo, LineNo, PrinterNo, ReaderNo, RunId, Tag, TxnId};
use crate::layout::Layout;
use crate::layout::reader::Substitutes;
use crate::record::{Answer, Bar, Known, Record, Recovered, RunPlan, RunState, Txn};
use crate::time::{Time, Wall};
use crate::verdict::Reason;
use ask::{Ask, Refusal, Reply};
use items::{Items, Latency};
use order::{OrderLimits, Tracker};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// Labels are printed ahead and applied to items.
    PrintAndApply,
    /// Over-printing in place.
    Print,
    /// Items come with codes of the stock; there is no printer.
    PrePrinted,
}

/// What a line is made of and how strict it is; valid by construction (the configuration checks it).
#[derive(Clone, Debug)]
pub struct LineConfig {
    pub line: LineNo,
    pub kind: LineKind,
    /// Per printer: jobs that it may hold, and labels that may be ahead of the reader (printed or not).
    pub printers: Vec<PrinterPlace>,
    pub latency: Latency,
    pub gate: GateSizes,
    pub order: OrderLimits,
    /// This many bad items one after another stop the line; 0 = never.
    pub consecutive_bad_max: u32,
    /// More bad items than `bad_rate_max` among the last `bad_rate_window` stop the line; 0 = never.
    pub bad_rate_max: u32,
    pub bad_rate_window: u32,
    /// A code with less life left than this is not issued.
    pub life_left_min: Duration,
    /// In which a day of production begins and ends.
    pub zone: Zone,
    /// Below this many codes of the pool, or of the stock of a pre-printed line, an alarm is raised.
    pub pool_low: u64,
    /// What readers of this line put where the separator was.
    pub substitutes: Substitutes,
    /// The plant's products: product group and layout by GTIN.
    pub products: BTreeMap<Gtin, Product>,
    pub device_names: DeviceNames,
}

/// How many tags a gate has room for, as its register map says.
#[derive(Clone, Copy, Debug)]
pub struct GateSizes {
    /// Tags back to which it remembers what became of its items: its ring of outcomes.
    pub memory: u32,
    /// Tags that may have leave at once: its ring of leaves. Fewer items stand between trigger and gate.
    pub leaves: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct PrinterPlace {
    /// Jobs that the printer may hold at once.
    pub window: u32,
    /// Labels of this printer that may be on their way to the reader, its window included.
    pub ahead_max: u32,
}

#[derive(Clone, Debug)]
pub struct Product {
    /// As people call it.
    pub name: String,
    pub group: String,
    pub layout: Layout,
}

#[derive(Clone, Debug, Default)]
pub struct DeviceNames {
    pub printers: Vec<String>,
    pub readers: Vec<String>,
    pub gate: String,
}

/// Names a job: a run and the place of its code in the run's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct JobId {
    pub run: RunId,
    pub issue: IssueNo,
}

/// One label asked of a printer.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    /// The element string, separators as GS (0x1D), no leading FNC1.
    pub symbol: Vec<u8>,
    /// Whether the symbol begins with FNC1.
    pub gs1: bool,
    /// Text fields of the label by name.
    pub fields: Vec<(String, String)>,
}

/// What a printer says of jobs that are named by `J`.
#[derive(Clone, Debug, PartialEq)]
pub enum PrinterEvent<J = JobId> {
    /// Stopped, counted, cleared and ready for jobs.
    Ready,
    /// Takes no jobs for now.
    NotReady,
    Printed(J),
    /// Certainly not on an item.
    Refused(J),
    /// May be on an item.
    Doubtful(J),
    Disconnected,
    Fault(String),
    Cleared(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum ReaderEvent {
    Connected,
    Disconnected,
    Read { bytes: Vec<u8>, at: Time },
    Several { at: Time },
    NoRead { at: Time },
    Oversize { at: Time },
    Fault(String),
    Cleared(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum GateEvent {
    /// The gate's memory of tags has been told in the events before this one; `last` is the last tag it gave.
    Connected {
        last: Tag,
    },
    Disconnected,
    /// The gate was asked at this moment and has told all triggers before it.
    Seen {
        as_of: Time,
    },
    /// An item stood at the trigger at this moment, give or take `within`.
    Item {
        tag: Tag,
        at: Time,
        within: Duration,
    },
    Passed(Tag),
    Rejected(Tag),
    Lost(Tag),
    Fault(String),
    Cleared(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GateOrder {
    Pass(Tag),
    Reject(Tag),
    StopLine,
    StartLine,
}

/// Names a look-up. They are answered in the order in which they were asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReadId(pub u64);

/// Names a person's request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AskId(pub u64);

#[derive(Clone, Debug)]
pub enum Input {
    Printer(PrinterNo, PrinterEvent),
    Reader(ReaderNo, ReaderEvent),
    Gate(GateEvent),
    /// The answer to a look-up, after all commits asked for before it.
    Found(ReadId, Known),
    Committed(TxnId, Vec<Answer>),
    CommitFailed(TxnId, String),
    Ask(AskId, Ask, String),
    /// How many codes of the run's product are pooled; on a pre-printed line, how many the stock has.
    Pool(u64),
    /// The item of a code was read behind the gate, at a packing station, and it is durable that it passed.
    Seen(Identity),
    /// Codes may not be issued, and why; or they may again.
    Bar(Option<Bar>),
    /// The end of a turn: all that had arrived was given. What is overdue is judged now and not before, since its
    /// result may stand behind it in the same turn.
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Find(ReadId, Identity),
    Commit(Txn),
    Print(PrinterNo, Job),
    TestPrint(PrinterNo),
    Gate(GateOrder),
    Reply(AskId, Result<Reply, Refusal>),
    /// A verdict went out: how long after the read's arrival, for people and benchmarks.
    Judged {
        tag: Tag,
        good: bool,
        latency: Duration,
    },
    Wake(Time),
}

/// The line's run and what is counted of it. Counts here follow the store's, for people; the store's are the truth.
#[derive(Clone, Debug)]
struct Run {
    id: RunId,
    plan: RunPlan,
    state: RunState,
    triggers: u32,
    passed: u32,
    rejected: BTreeMap<&'static str, u32>,
    last_tag: Option<Tag>,
}

/// One printer as the line sees it.
#[derive(Clone, Debug, Default)]
struct Printer {
    connected: bool,
    ready: bool,
    /// Jobs handed over that have no outcome yet.
    jobs: BTreeMap<JobId, Identity>,
    /// Codes asked of the store and not yet answered.
    asked: u32,
    tracker: Tracker,
    evidence: slip::Evidence,
    /// Jobs refused one after another while the printer said that it was ready.
    refused: u32,
    faults: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Device {
    connected: bool,
    faults: Vec<String>,
}

/// A result that waits for its item.
#[derive(Clone, Debug)]
struct Waiting {
    at: Time,
    result: readings::Outcome,
}

/// A look-up on its way.
#[derive(Clone, Debug)]
struct Lookup {
    id: ReadId,
    tag: Tag,
    code: Code,
    read_at: Time,
}

/// The line controller.
pub struct Line {
    config: LineConfig,
    run: Option<Run>,
    /// Why the line stands, as a message key; `None` while it runs.
    stopped_by: Option<&'static str>,
    printers: Vec<Printer>,
    reader: Device,
    gate: Device,
    items: Items,
    waiting: VecDeque<Waiting>,
    lookups: VecDeque<Lookup>,
    next_read: u64,
    /// A run that was asked for and is not durable yet.
    opening: Option<RunPlan>,
    /// A start or a resume is on its way to the store: the number of stops when it was asked for.
    starting: Option<u64>,
    /// Grows with every reason to stand, so that a start on its way cannot undo a stop that came after it.
    stops: u64,
    /// The last tag that the gate is known to have given.
    gate_last: Option<Tag>,
    /// Ends that the gate told of tags of the run before it told that they came: its memory, at a connect.
    told: BTreeMap<Tag, gate::Told>,
    /// The gate's count began again under the open run: the run can only be closed.
    gate_reset: bool,
    /// Results without an item since the last good item.
    surplus: u32,
    /// Triggers without a result that no stray result has made up for: a late result may have been taken for the next
    /// item's, and so on. Until it is zero again no result is trusted.
    owed: u32,
    /// When one was last found missing.
    owed_at: Time,
    /// Codes of the last results that were given to items.
    recent: VecDeque<Identity>,
    next_txn: u64,
    batch: commits::Batch,
    in_flight: BTreeMap<TxnId, Vec<commits::After>>,
    /// Codes whose `Verify` is on its way or was just made: a look-up asked before that commit does not know it yet.
    verifying: BTreeMap<Identity, (Tag, ReadId)>,
    /// Codes verified whose pass is unknown and whose item is not among the items: for people.
    pass_unknown: BTreeMap<Identity, Tag>,
    alarms: BTreeMap<String, ask::Alarm>,
    consecutive_bad: u32,
    recent_bad: VecDeque<bool>,
    strangers: slip::Strangers,
    slip: Option<slip::Slip>,
    /// Of the last reads in their order, which were gaps.
    recent_gaps: VecDeque<bool>,
    pooled: u64,
    /// Set while the store had fewer codes than asked for: when it is asked again.
    pool_empty: Option<Time>,
    /// Why no codes are issued, as the agent knows it; the line does not run meanwhile.
    bar: Option<Bar>,
    broken: bool,
    meter: status::Meter,
}

impl Line {
    /// A line as it stands after a start: a run that was running is stopped, and a person decides.
    pub fn new(config: LineConfig, recovered: Recovered, now: Time, wall: Wall) -> Line {
        let printers = config.printers.iter().map(|_| Printer::default()).collect();
        let mut line = Line {
            config,
            run: None,
            stopped_by: Some("no_run"),
            printers,
            reader: Device::default(),
            gate: Device::default(),
            items: Items::default(),
            waiting: VecDeque::new(),
            lookups: VecDeque::new(),
            next_read: 0,
            opening: None,
            starting: None,
            stops: 0,
            gate_last: None,
            told: BTreeMap::new(),
            gate_reset: false,
            surplus: 0,
            owed: 0,
            owed_at: Time(0),
            recent: VecDeque::new(),
            next_txn: 0,
            batch: commits::Batch::default(),
            in_flight: BTreeMap::new(),
            verifying: BTreeMap::new(),
            pass_unknown: BTreeMap::new(),
            alarms: BTreeMap::new(),
            consecutive_bad: 0,
            recent_bad: VecDeque::new(),
            strangers: slip::Strangers::default(),
            slip: None,
            recent_gaps: VecDeque::new(),
            pooled: 0,
            pool_empty: None,
            bar: None,
            broken: false,
            meter: status::Meter::default(),
        };
        line.recover(recovered, now, wall);
        line
    }

    /// Takes one thing that happened. Records gather until [`Line::flush`].
    pub fn step(&mut self, now: Time, wall: Wall, input: Input, out: &mut Vec<Effect>) {
        if self.broken {
            self.refuse_broken(input, out);
            return;
        }
        let mut turn_ends = false;
        match input {
            Input::Printer(no, event) => self.on_printer(no, event, wall, out),
            Input::Reader(_, event) => self.on_reader(event, wall, out),
            Input::Gate(event) => self.on_gate(event, now, wall, out),
            Input::Found(id, known) => self.on_found(id, &known, now, wall, out),
            Input::Committed(txn, answers) => self.on_committed(txn, answers, now, wall, out),
            Input::CommitFailed(txn, why) => self.on_commit_failed(txn, &why, wall, out),
            Input::Ask(id, ask, who) => self.on_ask(id, ask, &who, now, wall, out),
            Input::Pool(pooled) => self.on_pool(pooled, wall),
            Input::Seen(code) => self.on_seen(code, wall, out),
            Input::Bar(bar) => self.on_bar(bar, wall, out),
            Input::Tick => turn_ends = true,
        }
        self.settle_waiting(now, wall, out);
        if turn_ends {
            self.expire(now, wall, out);
        }
        self.issue(now, wall, out);
    }

    /// Ends a turn: one commit for all that the turn's inputs want written, if any of it is wanted now.
    pub fn flush(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.commit(now, out);
        if let Some(at) = self.next_wake() {
            out.push(Effect::Wake(at));
        }
    }

    fn running(&self) -> bool {
        self.stopped_by.is_none() && self.run.as_ref().is_some_and(|r| r.state == RunState::Running)
    }

    /// Why the line stands, as a message key; `None` while it runs.
    pub fn stands(&self) -> Option<&'static str> {
        self.stopped_by
    }

    fn run_id(&self) -> Option<RunId> {
        self.run.as_ref().map(|r| r.id)
    }

    /// Stops the belt and the issuing of codes, and says why. Safe to repeat.
    fn stop(&mut self, why: &'static str, detail: &str, wall: Wall, out: &mut Vec<Effect>) {
        self.stops += 1;
        if self.stopped_by.is_some() {
            // A start on its way will find that it must not start. What was seen while the line stood must be seen by
            // the person who sets it going.
            let grave = matches!(
                why,
                "escape" | "not_rejected" | "count_reset" | "items_unseen" | "items_stuck" | "disk"
            ) || [Bar::Unsettled, Bar::Witness, Bar::Room].iter().any(|bar| bar.key() == why);
            if grave || (self.starting.is_some() && why != "asked") {
                self.raise(&format!("alarm.stop.{why}"), detail, wall);
            }
            return;
        }
        self.stopped_by = Some(why);
        out.push(Effect::Gate(GateOrder::StopLine));
        if why != "quantity_reached" && why != "asked" {
            self.raise(&format!("alarm.stop.{why}"), detail, wall);
        }
        if let Some(run) = &mut self.run {
            run.state = RunState::Stopped;
            let record = Record::RunState {
                run: run.id,
                state: RunState::Stopped,
                why: why.to_owned(),
                who: "line".to_owned(),
                at: wall,
            };
            self.urgent(record);
        }
    }

    fn incident(&mut self, code: Option<&Identity>, tag: Option<Tag>, key: &str, detail: String, at: Wall) {
        let run = self.run_id();
        self.lazy(Record::Incident { run, code: code.cloned(), tag, key: key.to_owned(), detail, at });
    }

    /// One item was judged: streaks and rates decide whether the line stops.
    fn tally(&mut self, bad: Option<Reason>, wall: Wall, out: &mut Vec<Effect>) {
        let is_bad = bad.is_some();
        self.consecutive_bad = if is_bad { self.consecutive_bad + 1 } else { 0 };
        let window = self.config.bad_rate_window as usize;
        if window > 0 {
            self.recent_bad.push_back(is_bad);
            if self.recent_bad.len() > window {
                self.recent_bad.pop_front();
            }
        }
        let (streak, rate) = (self.config.consecutive_bad_max, self.config.bad_rate_max as usize);
        if streak > 0 && self.consecutive_bad >= streak {
            let detail = bad.map_or("", Reason::key);
            self.stop("consecutive_bad", detail, wall, out);
        } else if rate > 0 && self.recent_bad.iter().filter(|b| **b).count() > rate {
            self.stop("bad_rate", bad.map_or("", Reason::key), wall, out);
        }
    }
}
