//! What is asked of upstream and what its answers say, as facts. No bytes of HTTP here.
//!
//! Every word of upstream that is an enumeration is open: what is not known is `Other`, held, and told once.

use std::time::Duration;

use crate::day::Zone;
use crate::document::DocumentKind;
use crate::gs1::Gtin;
use crate::ids::{DocumentNo, PassNo, RunId};
use crate::record::{OrderPlan, PassRange};
use crate::time::Wall;

/// Names one request of this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct RequestId(pub u64);

/// One request. Codes are named by pass numbers: the shell takes their bytes from the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Makes an order. Changes upstream; has no key that upstream honours.
    MakeOrder { plan: OrderPlan },
    /// Looks for orders, by our own number or by upstream's.
    FindOrders { group: String, by: OrderKey },
    /// The one line of an order and how much of it was taken.
    SubOrder { order: String, gtin: Gtin },
    /// The block that follows `last_pack`. Safe to repeat with the same `last_pack`.
    Block { order: String, gtin: Gtin, quantity: u32, last_pack: Option<String> },
    /// The blocks that were handed out of an order.
    Packs { order: String, gtin: Gtin },
    /// Closes an order of ours. Changes upstream: codes that were not taken would be annulled.
    CloseOrder { order: String },
    /// Sends an application report. Changes upstream; has no key that upstream honours.
    Apply { run: RunId, passes: Vec<PassRange>, head: ReportHead },
    /// What became of a report that upstream named. `of`: what it carries, when the codes that a refusal names are asked for.
    Report { upstream_id: String, of: Option<Carried> },
    /// The status of the codes of these passes; with `history` also the report by which they were applied.
    Codes { group: String, run: RunId, passes: Vec<PassRange>, history: bool },
    /// Documents of a kind (`None`: application reports) made between two moments of the server's clock; the page after
    /// the document `after`.
    Documents { of: Option<DocumentKind>, since: Wall, until: Wall, after: Option<String> },
    /// Sends a document of packs. Changes upstream; has no key that upstream honours.
    SendDocument { document: DocumentNo, head: DocumentHead },
    /// What became of a document that upstream named.
    Document { upstream_id: String },
    /// Whether the document that upstream has under this id is this one of ours.
    DocumentBody { document: DocumentNo, upstream_id: String, head: DocumentHead },
    /// What is wrong with a document by upstream's word, behind so many entries.
    DocumentErrors { document: DocumentNo, kind: DocumentKind, upstream_id: String, after: Option<u32> },
    /// Whether these pieces of a document are in effect, by what upstream shows of their packs and codes.
    Pieces { document: DocumentNo, kind: DocumentKind, pieces: Vec<u32> },
    /// Anything cheap: only the server's clock is wanted.
    Clock { group: String },
}

impl Request {
    /// The request's name in logs, kept answers and troubles.
    pub fn name(&self) -> &'static str {
        match self {
            Request::MakeOrder { .. } => "make-order",
            Request::FindOrders { .. } => "find-orders",
            Request::SubOrder { .. } => "sub-order",
            Request::Block { .. } => "block",
            Request::Packs { .. } => "packs",
            Request::CloseOrder { .. } => "close-order",
            Request::Apply { .. } => "apply",
            Request::Report { .. } => "report",
            Request::Codes { .. } => "codes",
            Request::Documents { .. } => "documents",
            Request::SendDocument { .. } => "send-document",
            Request::Document { .. } => "document",
            Request::DocumentBody { .. } => "document-body",
            Request::DocumentErrors { .. } => "document-errors",
            Request::Pieces { .. } => "pieces",
            Request::Clock { .. } => "clock",
        }
    }

    /// Whether it changes upstream: then its lost answer is `Unknown`, never simply repeated.
    pub fn mutates(&self) -> bool {
        matches!(
            self,
            Request::MakeOrder { .. }
                | Request::CloseOrder { .. }
                | Request::Apply { .. }
                | Request::SendDocument { .. }
        )
    }
}

/// What a report carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub group: String,
    pub run: RunId,
    pub passes: Vec<PassRange>,
}

/// By what an order is looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderKey {
    PoNumber(String),
    UpstreamId(String),
}

/// All of an application report but its codes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportHead {
    pub group: String,
    pub business_place: Option<i64>,
    /// The country of manufacture, two letters.
    pub country: String,
    pub production: Wall,
    pub expiry: Option<Wall>,
    /// In which moments are written, so that their local day is seen.
    pub zone: Zone,
    /// Our own number of the report, `<agent>-R<report>`.
    pub own_number: String,
    pub batch: String,
}

/// All of a document of packs but its pieces.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentHead {
    pub kind: DocumentKind,
    pub business_place: Option<i64>,
    /// Our own number of the document, `<agent>-D<document>`.
    pub own_number: String,
    pub moment: Wall,
    /// In which the moment is written.
    pub zone: Zone,
    /// Of a withdrawal, upstream's word.
    pub reason: String,
}

/// An answer: what its header said, and what was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The server's clock as its answer left, by the `Date` header.
    pub server: Option<Wall>,
    pub said: Reply,
    /// The body of a failed or refused answer, for the engineer; secrets are removed already.
    pub kept: Option<Vec<u8>>,
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    OrderMade {
        upstream_id: String,
    },
    /// `whole` is false when there may be more than this page: then not being on it says nothing.
    Orders {
        seen: Vec<OrderSeen>,
        whole: bool,
    },
    /// `None`: upstream names no such line yet.
    SubOrder(Option<SubOrder>),
    /// `body` as received; `codes` are the same codes as bytes.
    Block {
        pack_id: String,
        body: Vec<u8>,
        codes: Vec<Vec<u8>>,
    },
    Packs(Vec<PackSeen>),
    OrderClosed,
    ReportMade {
        upstream_id: String,
    },
    Report {
        status: ReportStatus,
        reason: String,
    },
    /// A refused report whose refusal names codes: these, and never all that the report carries.
    ReportRefused {
        reason: String,
        named: Vec<PassNo>,
    },
    /// By pass; a pass whose code is not to be reported any more is left out. `applied_by`: upstream's id of the one
    /// report by which all of them were applied, where it tells one.
    Codes {
        seen: Vec<(PassNo, CodeStatus)>,
        applied_by: Option<String>,
    },
    /// `next`: there may be more after this document.
    Documents {
        seen: Vec<DocumentSeen>,
        next: Option<String>,
    },
    Clock,
    DocumentMade {
        upstream_id: String,
    },
    Document {
        status: ReportStatus,
    },
    DocumentBody {
        ours: bool,
    },
    /// What is wrong, with the piece where one is named. `next`: there may be more behind so many entries.
    DocumentErrors {
        named: Vec<(Option<u32>, String)>,
        next: Option<u32>,
    },
    Pieces {
        seen: Vec<(u32, PieceSeen)>,
    },
    /// Refused for its content (400, 409, 422): nothing of it is in effect and a repeat would be refused again.
    Refused {
        reason: String,
    },
    /// Not let in (401, 403, 404, 405, 413, 415, 429): nothing of it is in effect; it may be asked again later.
    NotNow {
        reason: String,
    },
    /// Answered, but what it did is not known: 5xx, 406, a page of a gateway, half a document.
    Failed {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrderSeen {
    pub upstream_id: String,
    pub po_number: String,
    pub status: OrderStatus,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// `CREATED`, `PENDING`.
    Pending,
    Ready,
    Rejected,
    Closed,
    Other(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct SubOrder {
    pub status: BufferStatus,
    /// All codes of the line.
    pub total: u64,
    /// Not yet taken.
    pub left: u64,
    /// Taken.
    pub passed: u64,
    pub reason: String,
    /// When upstream closes the order, where it says so.
    pub expires: Option<Wall>,
    /// When it was made, by upstream's clock.
    pub created: Option<Wall>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BufferStatus {
    Pending,
    /// `ACTIVE`, and `READY` of older documents.
    Active,
    Exhausted,
    Rejected,
    Closed,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackSeen {
    pub pack_id: String,
    pub count: u32,
    /// When it was handed out, by the server's clock.
    pub made: Option<Wall>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportStatus {
    InProcess,
    Success,
    Error,
    /// `PARTIALLY_PROCESSED`: each piece of it for itself.
    Partial,
    Other(String),
}

/// What upstream shows of a piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceSeen {
    /// The pack holds what the document says, is none any more, or the code is written off.
    InEffect,
    /// As it was before.
    Not,
    /// Neither, in words.
    Strange(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeStatus {
    /// Handed out and not yet reported.
    Received,
    /// `APPLIED`, `INTRODUCED`: its report is in effect.
    Applied,
    /// Upstream does not know it.
    Missing,
    /// Withdrawn or written off: it will never be applied again.
    Gone(String),
    /// A word that no document names.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSeen {
    pub id: String,
    /// Whether it reached an end (`SUCCESS`, `PARTIALLY_PROCESSED`, `ERROR`); an unknown word did not.
    pub done: bool,
    /// By the server's clock; `None` when it could not be read.
    pub created: Option<Wall>,
}
