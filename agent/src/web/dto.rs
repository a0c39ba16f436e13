//! The shapes of the API's bodies, for the server and for the command line alike.
//!
//! Domain types are not `Serialize`; they become these in `web/shape.rs`. A code is its identity here: no shape has a
//! place for a verification tail. Times are RFC 3339 in UTC. A `…Word` is a stable key and its text in the caller's
//! language.

pub mod pack;
pub mod sheet;

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
    /// Packing stations.
    pub stations: Vec<pack::Station>,
    pub upstream: Upstream,
    /// None: no broker is configured.
    pub broker: Option<Broker>,
    /// Raised alarms of the way upstream; those of a line are with it.
    pub alarms: Vec<Alarm>,
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
    /// Days, as declared: `2026-11-22`.
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
    /// Codes issued and not read.
    pub issued: u32,
    /// The first of them, by name.
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
    /// None: an alarm of the way upstream.
    pub line: Option<String>,
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

/// The broker over which agents tell each other of their packs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    pub address: String,
    pub connected: bool,
    /// Why it is not, in words.
    pub trouble: String,
    /// Changes of our packs that the broker has not acknowledged; none: they are not told.
    pub waiting: Option<u64>,
    /// When the pack of the oldest of them was changed.
    pub oldest: Option<String>,
    /// Agents that hear us.
    pub hearers: Vec<Hearer>,
    /// Agents whose packs are known here.
    pub from: Vec<HeardAgent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hearer {
    pub agent: String,
    /// Changes that it does not have yet.
    pub lacks: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeardAgent {
    pub agent: String,
    /// Changes of its packs that are known here.
    pub known: u64,
    /// Since the start: those that came twice, and those that came before their turn and were asked for again.
    pub doubles: u64,
    pub gaps: u64,
    /// Seconds since the last one came; none: none since the start.
    pub silent_s: Option<u64>,
    /// What comes of it can be read here.
    pub readable: bool,
}

/// `GET /api/v1/upstream`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamFull {
    pub upstream: Upstream,
    pub pool: Vec<PoolLevel>,
    pub outbox: Vec<OpenReport>,
    /// Documents of packs that are not finally answered, oldest first.
    pub documents: Vec<pack::Document>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolLevel {
    pub gtin: String,
    pub name: Option<String>,
    /// `unit`, `group` or `set`.
    pub kind: String,
    pub codes: u64,
    pub on_order: u64,
    pub soonest_expiry: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenReport {
    pub report: u32,
    pub run: u32,
    pub codes: u32,
    /// `wanted`, `sent`, `unknown` or `processing`.
    pub state: String,
    pub upstream_id: Option<String>,
    pub attempts: u32,
    pub why: String,
    /// The moment of production that it carries.
    pub production: String,
    pub since: String,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    pub entry: i64,
    pub at: String,
    pub who: String,
    /// An address, `local`, or the Unix socket with the user's number.
    pub from: String,
    pub command: String,
    /// The status and, where it was refused, the key of the reason.
    pub outcome: String,
}

/// An order of codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub order: u32,
    /// Our own number of it; `cabinet:…` where a person assigned it.
    pub number: String,
    pub gtin: String,
    pub name: Option<String>,
    pub state: Word,
    pub why: String,
    pub upstream_id: Option<String>,
    /// 0 until upstream tells it, of an order that was assigned.
    pub quantity: u32,
    pub received: u32,
    pub pooled: u32,
    /// When upstream made it.
    pub ordered: Option<String>,
    /// When the life of its codes is over.
    pub expires: Option<String>,
    pub since: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    pub order: u32,
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
    pub gtin: String,
    pub batch: String,
    pub quantity: u32,
    pub opened: String,
    pub closed: Option<String>,
    pub passed: u32,
    pub rejected: u32,
}

/// The closing sheet with its balances; `balanced` says whether all of them hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    pub run: u32,
    pub line: String,
    pub state: String,
    pub plan: Plan,
    pub opened: String,
    pub opened_by: String,
    pub closed: Option<String>,
    pub balanced: bool,
    pub blocks: Vec<BlockBalance>,
    pub codes: CodeBalance,
    pub items: ItemBalance,
    /// Passed codes by what became of their report.
    pub reports: ReportBalance,
    pub in_doubt: Vec<InDoubt>,
    pub pass_unknown: Vec<PassUnknown>,
    pub spoiled: Vec<NamedCode>,
    pub unresolved: Vec<Unresolved>,
    /// None: the run has no packs, and no station packs items.
    pub packs: Option<sheet::PackSheet>,
    /// What is not settled, each with its way out.
    pub unsettled: Vec<sheet::Unsettled>,
    pub changes: Vec<RunChange>,
    /// The last signature is the last.
    pub signed: Vec<sheet::Signed>,
}

/// received = set aside + pooled + issued + verified + applied + written off + spoiled + returned
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockBalance {
    pub block: u32,
    /// Upstream's name of the block, or the name of the roll.
    pub name: String,
    /// How many of its codes the run has.
    pub of_run: u32,
    pub received: u64,
    /// Received and not unpacked yet.
    pub waiting: u64,
    pub set_aside: u64,
    pub pooled: u64,
    pub issued: u64,
    pub verified: u64,
    pub applied: u64,
    pub written_off: u64,
    pub spoiled: u64,
    pub returned: u64,
    pub balanced: bool,
}

impl BlockBalance {
    /// What [`BlockBalance::counts`] are, by key.
    pub const COUNTS: [&'static str; 10] = [
        "cli.l_received",
        "cli.l_waiting",
        "cli.l_set_aside",
        "cli.l_pooled",
        "cli.l_issued",
        "cli.l_verified",
        "cli.l_applied",
        "cli.l_written_off",
        "cli.l_spoiled",
        "cli.l_returned",
    ];

    /// All of the balance, in the order of the equation.
    pub fn counts(&self) -> [u64; 10] {
        [
            self.received,
            self.waiting,
            self.set_aside,
            self.pooled,
            self.issued,
            self.verified,
            self.applied,
            self.written_off,
            self.spoiled,
            self.returned,
        ]
    }
}

/// issued to the run = verified + applied + written off + spoiled (+ in doubt, while the run is open)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeBalance {
    pub issued: u32,
    pub in_doubt: u32,
    pub verified: u32,
    /// Of the verified.
    pub pass_unknown: u32,
    pub applied: u32,
    pub written_off: u32,
    pub spoiled: u32,
    pub balanced: bool,
}

/// triggers = passed + rejected by reason + lost + escaped (+ open, while the run is open); passed items = passed
/// codes
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemBalance {
    pub triggers: u32,
    pub open: u32,
    pub passed: u32,
    pub codes_passed: u32,
    pub rejected: Vec<Count>,
    /// Taken off by hand: seen neither behind the gate nor in the bin.
    pub lost: u32,
    /// Passed by the gate without leave.
    pub escaped: u32,
    pub balanced: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportBalance {
    /// In reports that upstream accepted.
    pub accepted: u32,
    /// In reports whose final answer is not here yet.
    pub open: u32,
    /// No report may carry them: a person must look.
    pub held: u32,
    /// Of those held: upstream refused them.
    pub refused: u32,
    pub unreported: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedCode {
    pub code: Code,
    pub state: Word,
}

/// A pass that no report may carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unresolved {
    pub pass: u32,
    pub code: Code,
    pub report: Option<u32>,
    pub why: String,
    /// The pack that its item lies in.
    pub pack: Option<pack::Pack>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunChange {
    pub at: String,
    /// The run's state, or `signed`.
    pub state: String,
    pub who: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub code: Code,
    pub state: Word,
    pub tail_agrees: Option<bool>,
    pub run: Option<u32>,
    pub line: Option<String>,
    /// The pack that its item lies in.
    pub pack: Option<pack::Pack>,
    pub block: u32,
    /// Upstream's name of the block, or the name of the roll.
    pub block_name: String,
    pub reports: Vec<StoryReport>,
    /// What happened to it, oldest first.
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryReport {
    pub report: u32,
    pub state: String,
    pub upstream_id: Option<String>,
    /// What upstream said of this very code, if it refused it for good.
    pub unresolved: Option<String>,
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
    /// A line each: seconds since the daemon's start, `<` from or `>` to the device, length, masked bytes.
    pub records: Vec<String>,
}

/// What everybody may know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    pub ok: bool,
    pub uptime_s: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub ready: bool,
    /// What is missing.
    pub missing: Vec<Word>,
}
