//! What the windows (panel, HTTP API, and through it the command line) may see of the daemon and ask of it.
//!
//! The desk holds channels and one way to the records. It knows no device and writes nothing: every change goes
//! through the line's task or the writer. A verification tail never crosses it outwards: what it gives out names
//! codes by their identity.

use std::path::PathBuf;
use std::sync::Arc;

use tamga_domain::code::Identity;
use tamga_domain::day::Zone;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{AgentId, LineNo, OrderNo, PackNo, RunId};
use tamga_domain::line::ask::{Alarm, Ask, Refusal, Reply, Status};
use tamga_domain::pack::ask::{StationAsk, StationReply, StationStatus};
use tamga_domain::pack::doctor::Diagnosis;
use tamga_domain::pack::record::PackRecord;
use tamga_domain::pack::rework::{NotDone, Plan, Rework};
use tamga_domain::pack::{Child, GroupOf, PackFacts, Terms};
use tamga_domain::record::{Answer, OrderPlan, PackageKind, Record};
use tamga_domain::share::step::ShareStatus;
use tamga_domain::time::Wall;
use tamga_drivers::trace::Trace;
use tokio::sync::{mpsc, oneshot, watch};

use crate::dossier::Hash;
use crate::health::Health;
use crate::store::read::documents::{CarriedIn, DocumentRow};
use crate::store::read::happened::{Entry, Part};
use crate::store::read::outbox::{OrderRow, ReportRow};
use crate::store::read::packing::{Listing, Place};
use crate::store::read::packs::{Content, PackChange, TakenOut};
use crate::store::read::people::AuditRow;
use crate::store::read::pools::PoolLevel;
use crate::store::read::sheet::{RunLine, RunSheet};
use crate::store::read::story::CodeStory;

/// Everything that a window needs. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub agent: Agent,
    pub health: Health,
    /// The configuration as the daemon read it.
    pub config: ConfigFile,
    /// In the order of the configuration.
    pub lines: Vec<LineDesk>,
    /// Packing stations, in the order of the configuration.
    pub stations: Vec<StationDesk>,
    /// Products that the configuration knows.
    pub products: Vec<Product>,
    /// Every device with its wire trace.
    pub devices: Vec<(String, Trace)>,
    /// The plant's zone: a declared day is its local day.
    pub zone: Zone,
    /// Orders that a person assigns, on their way to the upstream task; `None` without a state system.
    pub assign: Option<mpsc::Sender<OrderPlan>>,
    pub upstream: watch::Receiver<UpstreamStatus>,
    /// `None`: no broker is configured.
    pub broker: Option<watch::Receiver<BrokerStatus>>,
    /// The folder in which dossiers of signed sheets are kept.
    pub dossiers: PathBuf,
    pub records: Arc<dyn Records>,
}

impl Desk {
    /// A line by its name in the configuration.
    pub fn line(&self, name: &str) -> Option<&LineDesk> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// A packing station by its name in the configuration.
    pub fn station(&self, name: &str) -> Option<&StationDesk> {
        self.stations.iter().find(|station| station.name == name)
    }

    /// The trace of a device by its name in the configuration.
    pub fn trace(&self, device: &str) -> Option<&Trace> {
        self.devices.iter().find(|(name, _)| name == device).map(|(_, trace)| trace)
    }

    /// The name of a line; its number where the configuration has it no more.
    pub fn line_name(&self, line: LineNo) -> String {
        self.lines.iter().find(|l| l.no == line).map_or_else(|| format!("#{line}"), |l| l.name.clone())
    }
}

/// The daemon itself.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The agent's id, made at installation.
    pub id: String,
    pub started: Wall,
}

/// The file that the daemon was started with, and what stood in it.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: Arc<str>,
    /// It names no state system.
    pub offline: bool,
}

/// A product of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub gtin: Gtin,
    /// The state system's name of the product group, such as `water`.
    pub group: String,
    pub name: String,
    pub kind: PackageKind,
    /// It is a group pack, and of what.
    pub packs: Option<GroupOf>,
}

/// Who asks: shown in the audit log.
#[derive(Clone, Debug)]
pub struct Who {
    /// A name: the operator's, or `cli:<unix user>`.
    pub name: String,
    /// Where from: an address, or `local`.
    pub from: String,
}

/// A request on its way to a line's task.
pub struct Asked {
    pub ask: Ask,
    pub who: Who,
    pub reply: oneshot::Sender<Result<Reply, Refusal>>,
}

/// One line, as the windows see it.
#[derive(Clone)]
pub struct LineDesk {
    pub no: LineNo,
    /// The line's name in the configuration.
    pub name: String,
    /// `print-and-apply`, `print` or `pre-printed`.
    pub kind: &'static str,
    pub ask: mpsc::Sender<Asked>,
    pub status: watch::Receiver<Arc<Status>>,
}

/// A request on its way to a station's task.
pub struct StationAsked {
    pub ask: StationAsk,
    pub who: Who,
    pub reply: oneshot::Sender<Result<StationReply, Refusal>>,
}

/// One packing station, as the windows see it.
#[derive(Clone)]
pub struct StationDesk {
    /// The station's name in the configuration.
    pub name: String,
    pub terms: Terms,
    /// It has a printer, and its labels show how many lie in the pack.
    pub label_counts: bool,
    pub ask: mpsc::Sender<StationAsked>,
    pub status: watch::Receiver<Arc<StationStatus>>,
}

/// The state of the way to upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamStatus {
    /// The last answer of any kind, milliseconds since 1970, if there was one since the start.
    pub last_answer_ms: Option<i64>,
    /// The last failure in words, empty after a success.
    pub trouble: String,
    /// Codes on order and not yet received.
    pub on_order: u64,
    /// Reports not yet finally answered, and the oldest of them, milliseconds since 1970.
    pub open_reports: u32,
    pub oldest_open_ms: Option<i64>,
    /// Requests whose answer was lost and is being looked for.
    pub unknown: u32,
    /// Server clock minus ours, in milliseconds, by the last `Date` header.
    pub clock_ahead_ms: Option<i64>,
}

/// The state of the way to the broker, and of what goes over it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerStatus {
    pub address: String,
    pub share: ShareStatus,
    /// Why there is no connection, in words; empty while there is one.
    pub trouble: String,
    /// When the pack was changed of the oldest letter that the broker has not acknowledged.
    pub oldest_ms: Option<i64>,
    /// Agents whose last letter could not be read.
    pub unreadable: Vec<AgentId>,
}

/// What the windows ask of the records: read-only queries, and the writes that belong to no line.
///
/// The methods block (a query, or a commit by the writer); the windows call them off the async threads. A read
/// transaction behind them lasts at most a second.
pub trait Records: Send + Sync {
    /// All that is known of the code in a scan; `None` when this agent does not know it. A scan that is no code of
    /// any layout is refused.
    fn story(&self, scan: &[u8]) -> Result<Option<Story>, RecordsError>;
    /// The pack that a scan names, or in which the item of a scanned code lies; `None` when there is none.
    fn pack(&self, scan: &[u8]) -> Result<Option<PackStory>, RecordsError>;
    /// What a scan is the name of; `None` when this agent knows no pack of that name.
    fn scanned(&self, scan: &[u8]) -> Result<Option<Scanned>, RecordsError>;
    /// The pack with this number.
    fn pack_no(&self, pack: PackNo) -> Result<Option<PackFacts>, RecordsError>;
    /// What these would do now, or why nothing is done.
    fn rework_plan(&self, works: &[Rework]) -> Result<Result<Plan, NotDone>, RecordsError>;
    /// What is wrong with a pack, by the books and by what a person saw in it.
    fn diagnosis(&self, pack: PackNo, seen: Option<&[Child]>) -> Result<Diagnosis, RecordsError>;
    /// Something of packs that belongs to no station: its answer, if it has one.
    fn change_pack(&self, record: PackRecord) -> Result<Option<Answer>, RecordsError>;
    /// Runs, newest first, at most `limit`; `before` goes on where an earlier answer ended.
    fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<RunLine>, RecordsError>;
    /// The closing sheet of a run, which exists before the run is closed too.
    fn sheet(&self, run: RunId) -> Result<Option<RunSheet>, RecordsError>;
    /// The next `limit` codes of a run, from a place in their list.
    fn listing(&self, run: RunId, gtin: Gtin, from: &Place, limit: u32) -> Result<Listing, RecordsError>;
    /// All packs of a run, and those around them.
    fn packs_of(&self, run: RunId) -> Result<Vec<PackNo>, RecordsError>;
    /// These packs, each with those around it and what became of it.
    fn pack_rows(&self, packs: &[PackNo]) -> Result<Vec<PackRow>, RecordsError>;
    /// The last rows of the trails (audit, changes) and their hashes.
    fn trails(&self) -> Result<[(i64, Hash); 2], RecordsError>;
    /// What happened in a run, one part of it: at most `limit` entries after the one with the number `after`, of things up
    /// to `until`.
    fn happened(
        &self,
        run: RunId,
        part: Part,
        from: (i64, Wall),
        limit: u32,
    ) -> Result<Vec<Entry>, RecordsError>;
    /// What became of these packs.
    fn happened_to(&self, packs: &[PackNo]) -> Result<Vec<Entry>, RecordsError>;
    /// Writes down a signature, a [`Record::SignedOff`].
    fn signed_off(&self, record: Record) -> Result<(), RecordsError>;
    fn pool(&self) -> Result<Vec<PoolLevel>, RecordsError>;
    /// Orders, newest first, at most `limit`; `before` goes on where an earlier answer ended.
    fn orders(&self, before: Option<OrderNo>, limit: u32) -> Result<Vec<OrderRow>, RecordsError>;
    /// Takes up an order of the cabinet. Refused when it is here already.
    fn assign(&self, plan: &OrderPlan) -> Result<OrderNo, RecordsError>;
    /// When the oldest order was made whose codes a line may still be given; `None` when it is not known.
    fn oldest_order(&self, gtin: &Gtin) -> Result<Option<Wall>, RecordsError>;
    /// Reports not yet finally answered, oldest first.
    fn outbox(&self) -> Result<Vec<ReportRow>, RecordsError>;
    /// Documents of packs not yet finally answered, oldest first.
    fn documents(&self) -> Result<Vec<DocumentRow>, RecordsError>;
    /// Has a pack that the state system refused told once more; false where it did not refuse it.
    fn tell_again(&self, pack: PackNo, reason: String, who: String) -> Result<bool, RecordsError>;
    /// What a look at disk, database, clock and data folder finds, the good included.
    fn doctor(&self) -> Result<Vec<Finding>, RecordsError>;
    /// Raised alarms of the way upstream, oldest first: those of lines are in their status.
    fn upstream_alarms(&self) -> Result<Vec<Alarm>, RecordsError>;
    /// Writes down that `who` has seen an alarm of the way upstream; false when no such alarm is raised.
    fn acknowledge(&self, key: &str, who: String) -> Result<bool, RecordsError>;
    /// Takes at most [`IMPORT_SLICE`] codes of a list into the stock of `roll`. Taking the same slice again
    /// takes nothing twice.
    fn import(&self, slice: &ImportSlice) -> Result<Imported, RecordsError>;
    /// Commands of people, newest first, at most `limit`; `before` goes on where an earlier answer ended.
    fn audited(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, RecordsError>;
    /// Writes down a command of a person and what came of it.
    fn audit(&self, entry: AuditEntry) -> Result<(), RecordsError>;
}

/// Codes of an imported list that go to the writer together.
pub const IMPORT_SLICE: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The bytes are no code of any layout that the agent knows.
    #[error("not a code")]
    NotACode,
    /// What was asked cannot be done, and why.
    #[error("refused")]
    Refused(#[source] Refusal),
    /// The records could not be read or written; the words are for the engineer.
    #[error("the records do not answer")]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// All that is known of one code.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub code: CodeStory,
    /// The line of its run.
    pub line: Option<LineNo>,
    /// The pack that its item lies in.
    pub pack: Option<PackFacts>,
    /// Its run was closed and signed off: nothing can be declared of it at the line any more.
    pub run_is_closed: bool,
    /// Whether the tail of the scan is the code's tail, where the scan had one.
    pub tail_agrees: Option<bool>,
}

/// What a scan is the name of.
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    pub child: Child,
    /// The pack that it is, or that it lies in.
    pub pack: Option<PackFacts>,
    /// The name is of a void pack, of which the rest is `pack` now.
    pub was: Option<PackFacts>,
}

/// All that is known of one pack.
#[derive(Clone, Debug, PartialEq)]
pub struct PackStory {
    pub pack: PackFacts,
    /// The packs that it lies in, from the nearest out.
    pub within: Vec<PackFacts>,
    pub content: Vec<Content>,
    pub changes: Vec<PackChange>,
    pub taken_out: Vec<TakenOut>,
    /// The documents that carry or carried it, newest first.
    pub documents: Vec<CarriedIn>,
}

/// A pack in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct PackRow {
    /// Itself, then those around it, from the nearest out.
    pub chain: Vec<PackFacts>,
    pub changes: Vec<PackChange>,
}

/// One thing that `doctor` looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub level: Level,
    /// A message key and its arguments: what was found and what to do.
    pub key: String,
    pub args: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Good,
    /// Works, and a person should look.
    Watch,
    /// A person must come.
    Bad,
}

/// A slice of a list of codes, as the list has them.
#[derive(Clone, Debug)]
pub struct ImportSlice {
    pub roll: String,
    pub group: String,
    /// The codes as bytes, with the number of the line that each stands on, from 1.
    pub codes: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    pub taken: u32,
    pub refused: Vec<RefusedCode>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RefusedCode {
    pub line: u64,
    /// Absent when the line of the list is no code.
    pub code: Option<Identity>,
    /// Why, as a message key.
    pub why: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub who: String,
    pub from: String,
    pub command: String,
    pub outcome: String,
}
