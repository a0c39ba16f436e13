//! The shapes of the API's bodies, for the server and for the command line alike.
//!
//! Domain types are not `Serialize`; they become these in `web/shape.rs`. A code is its identity here: no shape has a
//! place for a verification tail. Times are RFC 3339 in UTC. A `…Word` is a stable key and its text in the caller's
//! language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Body of every answer from 400 up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub error: String,
    pub args: BTreeMap<String, String>,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub key: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub key: String,
    pub text: String,
    pub count: u64,
}

/// GTIN and serial; never a tail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Code {
    pub gtin: String,
    pub serial: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub agent: Agent,
    pub lines: Vec<Line>,
    pub upstream: Upstream,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub version: String,
    pub started: String,
    pub now: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub kind: String,
    pub run: Option<LineRun>,
    pub stopped_by: Option<Word>,
    pub devices: Vec<Device>,
    pub alarms: Vec<Alarm>,
    pub pooled: u64,
    pub items_per_min: u32,
    pub verdict_us: Latency,
}

/// From the read's arrival to the gate's command, of the last thousand items, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub median: u64,
    pub p99: u64,
    pub max: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub gtin: String,
    pub group: String,
    /// 0 = until stopped.
    pub quantity: u32,
    pub batch: String,
    pub production: String,
    pub expiry: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineRun {
    pub run: u32,
    /// `running`, `stopped`, `closing` or `closed`.
    pub state: String,
    pub plan: Plan,
    pub triggers: u32,
    pub passed: u32,
    pub rejected: Vec<Count>,
    pub issued: u32,
    pub in_doubt: Vec<InDoubt>,
    pub pass_unknown: Vec<PassUnknown>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InDoubt {
    pub issue: u32,
    pub code: Code,
    pub printer: u8,
    /// `open`, `printed`, `refused` or `doubtful`.
    pub outcome: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassUnknown {
    pub code: Code,
    pub tag: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub name: String,
    pub kind: String,
    pub connected: bool,
    pub faults: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub line: String,
    pub key: String,
    pub text: String,
    pub detail: String,
    pub since: String,
    pub acknowledged: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    pub last_answer: Option<String>,
    /// Empty when well.
    pub trouble: String,
    pub on_order: u64,
    pub open_reports: u32,
    pub oldest_open: Option<String>,
    pub unknown: u32,
    pub clock_ahead_ms: Option<i64>,
}

/// `GET /api/v1/upstream`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamFull {
    pub upstream: Upstream,
    pub pool: Vec<PoolLevel>,
    pub outbox: Vec<OpenReport>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolLevel {
    pub gtin: String,
    pub name: Option<String>,
    pub codes: u64,
    pub soonest_expiry: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenReport {
    pub report: u32,
    pub kind: String,
    pub run: u32,
    pub codes: u64,
    pub state: String,
    pub why: String,
    pub since: String,
}

/// `POST /api/v1/lines/{line}/run`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The caller's own key: asking again with the same key opens no second run.
    #[serde(default)]
    pub key: Option<String>,
    pub gtin: String,
    /// Needed only for a product that the configuration does not know.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub quantity: u32,
    pub batch: String,
    /// RFC 3339 or a date; now when absent.
    #[serde(default)]
    pub production: Option<String>,
    #[serde(default)]
    pub expiry: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseRun {
    #[serde(default)]
    pub clear: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPrint {
    /// The printer's name; may be left out where the line has one.
    #[serde(default)]
    pub printer: Option<String>,
}

/// What came of a request to a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    Done,
    Opened {
        run: u32,
        key: String,
    },
    /// Under way: the status tells when the run is closed.
    Closing {
        unseen: u32,
        pass_unknown: u32,
        open_tags: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub run: u32,
    pub line: String,
    pub state: String,
    pub plan: Plan,
    pub opened: String,
    pub closed: Option<String>,
    pub triggers: u32,
    pub passed: u32,
}

/// The closing sheet with its three balances; `balanced` says whether all of them hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    pub run: Run,
    pub balanced: bool,
    pub blocks: Vec<BlockBalance>,
    pub codes: CodeBalance,
    pub items: ItemBalance,
    pub named: Vec<NamedCode>,
    pub named_left: u64,
}

/// received = set aside + pooled + issued + verified + applied + written off + spoiled + returned
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockBalance {
    pub block: u32,
    pub received: u64,
    pub codes: Counts,
    pub balanced: bool,
}

/// issued to the run = verified + applied + written off + spoiled (+ still issued, while the run is open)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeBalance {
    pub issued: u64,
    pub codes: Counts,
    pub balanced: bool,
}

/// triggers = passed + rejected by reason + taken off by hand; passed items = passed codes
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemBalance {
    pub triggers: u64,
    pub passed: u64,
    pub codes_passed: u64,
    pub rejected: Vec<Count>,
    pub lost: u64,
    pub escaped: u64,
    pub balanced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub set_aside: u64,
    pub pooled: u64,
    pub issued: u64,
    pub verified: u64,
    pub applied: u64,
    pub written_off: u64,
    pub spoiled: u64,
    pub returned: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedCode {
    pub code: Code,
    pub state: Word,
    pub reason: Option<Word>,
}

/// A scan: one of the two. `scan_base64` is for bytes as they are, `scan` for text with `\x1d`, `{GS}` or `<GS>`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_base64: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declare {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_base64: Option<String>,
    /// `scrapped`, `passed` or `rejected`.
    #[serde(rename = "as")]
    pub declared: String,
    /// The line to tell; may be left out where the code's run names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub code: Code,
    pub state: Word,
    pub reason: Option<Word>,
    pub tail_agrees: Option<bool>,
    pub run: Option<u32>,
    pub line: Option<String>,
    pub block: Option<u32>,
    pub roll: Option<String>,
    pub report: Option<u32>,
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: String,
    pub what: Word,
    pub detail: String,
}

/// One line of the answer to an import: the state so far, and the codes refused since the line before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportProgress {
    pub lines: u64,
    pub taken: u64,
    pub refused: u64,
    #[serde(default)]
    pub refusals: Vec<RefusedCode>,
    /// On the last line only.
    #[serde(default)]
    pub done: bool,
    /// On the last line, when the import ended early; what was taken stays taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedCode {
    pub line: u64,
    pub code: Option<Code>,
    pub why: Word,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    pub line: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doctor {
    /// The worst of the findings: `good`, `watch` or `bad`.
    pub level: String,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub level: String,
    pub key: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub device: String,
    /// `off`, `frames` or `bytes`.
    pub level: String,
    pub records: Vec<TraceRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRecord {
    pub at: String,
    pub way: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTrace {
    pub level: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub ready: bool,
    /// What is missing.
    pub missing: Vec<Word>,
}
