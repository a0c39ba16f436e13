//! What can go wrong in the store.
//!
//! [`Rule`] is a bug of ours or of a caller: the record is named, nothing was changed, the process ends. All other
//! failures of a commit leave its outcome unknown until the database is opened again.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use tamga_domain::code::Identity;
use tamga_domain::ids::{
    AgentId, BlockNo, DocumentNo, LineNo, OrderNo, PackNo, PassNo, ReportNo, RunId, Tag, TxnId,
};
use tamga_domain::lifecycle::NoSuchStep;
use tamga_domain::pack::PackName;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot use the data folder {}: check that it exists, is writable and belongs to this user", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the data folder {} is in use by process {}: stop that agent first", path.display(),
        pid.map_or_else(|| "unknown".to_string(), |p| p.to_string()))]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error(
        "the data folder {} lies on a file system with blocks of {bytes} bytes: make it anew with blocks of 4096 \
         (a full disk would kill the process there)", path.display()
    )]
    SmallBlocks { path: PathBuf, bytes: u64 },
    #[error("cannot open the database {}", path.display())]
    Opening {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{} is not a database of Tamga", path.display())]
    NotOurs { path: PathBuf },
    #[error("the database has schema {found}, this version knows {known}: install the newer version again")]
    SchemaNewer { found: u32, known: u32 },
    #[error("cannot bring the database to schema {to}")]
    Migrating {
        to: u32,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "the data folder belongs to another machine: it was copied, or the disk was moved. Codes could be printed \
         twice. If the other machine will never run this agent again: tamga db settle; otherwise begin with an empty \
         folder"
    )]
    OtherMachine,
    #[error("SQLite {found} is older than {wanted}: this build can damage the database")]
    SqliteTooOld { found: i32, wanted: i32 },
    #[error("SQLite's setting {name} is {found}, not {wanted}")]
    Setting { name: &'static str, wanted: String, found: String },
    #[error("record {place} of commit {txn} is not allowed")]
    Rule {
        txn: TxnId,
        place: usize,
        #[source]
        rule: Box<Rule>,
    },
    /// The outcome is unknown: open again and read by key.
    #[error("writing to the database failed")]
    Writing(#[source] rusqlite::Error),
    #[error("reading from the database failed")]
    Reading(#[source] rusqlite::Error),
    #[error("the database holds {what}, which this version cannot have written: restore a backup")]
    Damaged { what: String },
    #[error("an earlier write failed ({why}): nothing more is written until the agent is started again")]
    Broken { why: String, damage: bool },
    /// An error of the disk makes SQLite see damage where there is none: nobody may say so before a new start.
    #[error(
        "the disk failed before in this session, so what looks like damage may be none: look at the disk first"
    )]
    Suspect(#[source] Box<StoreError>),
}

impl StoreError {
    /// Whether what was read was never written so, by SQLite's word or by the store's.
    pub fn is_damage(&self) -> bool {
        let code = match self {
            StoreError::Opening { source, .. } | StoreError::Migrating { source, .. } => {
                source.sqlite_error_code()
            }
            StoreError::Reading(source) | StoreError::Writing(source) => source.sqlite_error_code(),
            StoreError::Damaged { .. } => return true,
            StoreError::Broken { damage, .. } => return *damage,
            _ => None,
        };
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether the disk, and not the database, failed.
    pub fn is_of_disk(&self) -> bool {
        let (StoreError::Reading(source) | StoreError::Writing(source)) = self else { return false };
        let of_disk = [ErrorCode::SystemIoFailure, ErrorCode::CannotOpen, ErrorCode::ReadOnly];
        source.sqlite_error_code().is_some_and(|code| of_disk.contains(&code))
    }
}

/// Why a record is not allowed.
#[derive(Debug, thiserror::Error)]
pub enum Rule {
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    #[error("line {line} has the open run {run}")]
    LineBusy { line: LineNo, run: RunId },
    #[error("run {0} is closed")]
    RunClosed(RunId),
    #[error("run {0} is not closed: its sheet is not signed")]
    RunOpen(RunId),
    #[error("run {0} gives out no codes any more")]
    RunClosing(RunId),
    #[error("run {0} is running: codes left over are spoiled only at its close")]
    RunRunning(RunId),
    #[error(
        "run {run} cannot close over {in_doubt} codes in doubt, {unknown} of unknown pass, {rejected} of rejected \
         items, {open_tags} open items"
    )]
    NotBalanced { run: RunId, in_doubt: u32, unknown: u32, rejected: u32, open_tags: u32 },
    #[error("{} {}", code.gtin, String::from_utf8_lossy(code.serial.as_bytes()))]
    Step {
        code: Identity,
        #[source]
        step: NoSuchStep,
    },
    #[error("letter {got} of agent {agent} where the one after {after} was due")]
    LetterMissing { agent: AgentId, after: u64, got: u64 },
    #[error("pack {0} is another agent's")]
    NotOurs(PackNo),
    #[error("the code {} {} is not known", .0.gtin, String::from_utf8_lossy(.0.serial.as_bytes()))]
    UnknownCode(Identity),
    #[error("the code {} {} does not belong to run {run}", code.gtin, String::from_utf8_lossy(code.serial.as_bytes()))]
    OtherRun { code: Identity, run: RunId },
    /// A compare-and-set found another state than the one just read.
    #[error("{what} changed {changed} rows instead of {wanted}")]
    Miss { what: &'static str, changed: usize, wanted: usize },
    #[error("the item {tag} of run {run} is not open")]
    TagNotOpen { run: RunId, tag: Tag },
    #[error("{from} to {to} is no range of items")]
    Tags { from: Tag, to: Tag },
    #[error("the item {tag} is open in run {run}")]
    TagTaken { run: RunId, tag: Tag },
    #[error("the item {tag} of run {run} ended as {how}")]
    EndedOtherwise { run: RunId, tag: Tag, how: String },
    #[error("another code was verified for the item {tag} of run {run}")]
    TwoCodes { run: RunId, tag: Tag },
    #[error("there is no order {0}")]
    NoSuchOrder(OrderNo),
    #[error("the order number {po_number} belongs to order {order} with another plan")]
    OrderKeyTaken { po_number: String, order: OrderNo },
    #[error("order {order} is {from}: it cannot become {to}")]
    OrderStep { order: OrderNo, from: &'static str, to: &'static str },
    #[error("order {0} is known upstream by another id")]
    OrderRenamed(OrderNo),
    #[error("there is no block {0}")]
    NoSuchBlock(BlockNo),
    #[error("block {0} was received with another count")]
    BlockDiffers(BlockNo),
    #[error(
        "block {block}: a slice of {len} from {from} does not follow the {unpacked} of {received} unpacked"
    )]
    Slice { block: BlockNo, from: u32, len: usize, unpacked: u32, received: u32 },
    #[error("{len} codes in one record, at most {most} are allowed")]
    TooMany { len: usize, most: usize },
    #[error("there is no report {0}")]
    NoSuchReport(ReportNo),
    #[error("the passes {from} to {to} of run {run} are no range of passes that a report may carry: {why}")]
    Range { run: RunId, from: PassNo, to: PassNo, why: &'static str },
    #[error("report {report} is {from}: it cannot become {to}")]
    ReportStep { report: ReportNo, from: &'static str, to: &'static str },
    #[error("report {report} does not carry pass {pass}")]
    NotCarried { report: ReportNo, pass: PassNo },
    #[error("there is no document {0}, or no such piece of it")]
    NoSuchDocument(DocumentNo),
    #[error("document {document} is {from}: it cannot become {to}")]
    DocumentStep { document: DocumentNo, from: &'static str, to: &'static str },
    #[error("there is no pack {0}")]
    NoSuchPack(PackNo),
    #[error("there is no pack {0}")]
    NoPackNamed(PackName),
    #[error("pack {0} is closed or voided")]
    PackEnded(PackNo),
    #[error("pack {0} has no name")]
    NoName(PackNo),
    #[error("pack {0} is not full, and nobody wants it closed short")]
    NotFull(PackNo),
    #[error("the database refused it")]
    Constraint(#[source] rusqlite::Error),
}

/// The failure of one record, inside the store.
#[derive(Debug)]
pub(super) enum Fault {
    Rule(Rule),
    Sql(rusqlite::Error),
    Damaged(String),
}

impl From<Rule> for Fault {
    fn from(rule: Rule) -> Fault {
        Fault::Rule(rule)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(e: rusqlite::Error) -> Fault {
        match e.sqlite_error_code() {
            // The CHECKs, keys and references of the schema are rules as well.
            Some(rusqlite::ErrorCode::ConstraintViolation) => Fault::Rule(Rule::Constraint(e)),
            _ => Fault::Sql(e),
        }
    }
}

impl Fault {
    /// The same failure of a query outside any commit.
    pub(super) fn reading(self) -> StoreError {
        match self {
            Fault::Rule(rule) => StoreError::Damaged { what: rule.to_string() },
            Fault::Sql(e) => StoreError::Reading(e),
            Fault::Damaged(what) => StoreError::Damaged { what },
        }
    }
}
