//! What people may ask of a line, and what they see of it.

use crate::code::Identity;
use crate::ids::{IssueNo, PrinterNo, RunId, Tag};
pub use crate::record::Alarm;
use crate::record::{JobOutcome, RunPlan, RunState};

/// A request of a person to a line. Each is authorised and logged before it reaches the line.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Opens a run and sets it running.
    Start(RunPlan),
    /// Stops the belt and the issuing of codes. The run may resume.
    Stop,
    /// Sets a stopped run running again. After a restart the person has been shown what is in doubt.
    Resume,
    /// Ends the run: no more codes are issued, what is on the belt runs out, then what is unseen or rejected is
    /// spoiled. With `clear` the person declares that belt, web and reject bin are empty; without it the answer says
    /// what is missing.
    Close { clear: bool },
    /// Declares the code of an item: it was scrapped or damaged, or the item whose pass is unknown passed or did not.
    Declare { code: Identity, declared: Declared },
    /// Prints a label that no layout accepts.
    TestPrint { printer: PrinterNo },
    /// A person has seen the alarm.
    Acknowledge { key: String },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Declared {
    Scrapped,
    Passed,
    Rejected,
}

/// The line's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Done,
    Opened(RunId),
    /// Close was asked for and is under way; the status tells when the run is closed.
    Closing {
        unseen: u32,
        pass_unknown: u32,
        open_tags: u32,
    },
}

/// Why a line does not do what it was asked: a message key and its arguments, never a sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key} {args:?}")]
pub struct Refusal {
    pub key: &'static str,
    pub args: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(key: &'static str) -> Refusal {
        Refusal { key, args: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Refusal {
        self.args.push((name, value.to_string()));
        self
    }
}

/// What is to be seen of a line at one moment; made anew at most ten times a second.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Status {
    pub run: Option<RunStatus>,
    /// Devices by name, in the order of the configuration.
    pub devices: Vec<DeviceStatus>,
    /// Raised alarms, oldest first.
    pub alarms: Vec<Alarm>,
    /// Codes pooled for the run's product.
    pub pooled: u64,
    /// Items judged in the last whole minute, and the verdict latency (read's arrival to the gate's command) of the
    /// last thousand, in microseconds: median, 99th percentile, maximum.
    pub items_per_min: u32,
    pub verdict_us: [u64; 3],
    pub odd_results: OddResults,
    /// Why the line stands, as a message key, if it stands.
    pub stopped_by: Option<String>,
}

/// Readers' results that were not as they should be, since the agent started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OddResults {
    /// Of no item.
    pub strays: u64,
    /// Sooner after the trigger than the reader's latency allows.
    pub early: u64,
    /// Without their GS, which was restored from the layout.
    pub gs_restored: u64,
    /// More than can wait for their items.
    pub dropped: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunStatus {
    pub run: RunId,
    pub plan: RunPlan,
    pub state: RunState,
    pub triggers: u32,
    pub passed: u32,
    /// Rejected items by reason key.
    pub rejected: Vec<(String, u32)>,
    pub issued: u32,
    pub in_doubt: Vec<InDoubt>,
    pub pass_unknown: Vec<(Identity, Tag)>,
}

/// A code that may or may not be on an item.
#[derive(Clone, Debug, PartialEq)]
pub struct InDoubt {
    pub issue: IssueNo,
    pub code: Identity,
    pub printer: PrinterNo,
    pub outcome: JobOutcome,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeviceStatus {
    pub name: String,
    /// `printer`, `reader` or `gate`.
    pub kind: &'static str,
    pub connected: bool,
    /// Fault keys, empty when well.
    pub faults: Vec<String>,
}
