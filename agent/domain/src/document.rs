//! Documents of packs: what upstream is told of packs and of scrapped items, and how it is written down.
//!
//! A document carries *pieces*: an aggregation packs with what lies in them, a disaggregation packs that are none any
//! more, a withdrawal the codes of items that are scrapped after they were applied. Each piece has one end of its own,
//! since upstream may process a document in part. What a document carries is drafted by the store out of what is durable,
//! and never changes any more: the store lets nobody rework what an open document carries.

use crate::code::Code;
use crate::ids::{DocumentNo, PackNo};
use crate::pack::Level;
use crate::record::ReportState;
use crate::sscc::Sscc;
use crate::time::Wall;

/// Pieces looked at, or ended, by one record: some milliseconds of the writer.
pub const PIECES_MAX: u32 = 50;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DocumentKind {
    /// What lies in closed packs.
    Aggregation,
    /// Packs that were told and are none any more.
    Disaggregation,
    /// Applied codes whose items are scrapped.
    Withdrawal,
}

impl DocumentKind {
    pub const ALL: [DocumentKind; 3] =
        [DocumentKind::Aggregation, DocumentKind::Disaggregation, DocumentKind::Withdrawal];

    /// The stable key, for catalogues, the API and the log.
    pub fn key(self) -> &'static str {
        match self {
            DocumentKind::Aggregation => "aggregation",
            DocumentKind::Disaggregation => "disaggregation",
            DocumentKind::Withdrawal => "withdrawal",
        }
    }
}

/// What upstream takes in one document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Codes in all.
    pub codes: u32,
    /// Packs with a state code of their own.
    pub groups: u32,
    /// Children of one pack, by [`Level::ALL`].
    pub children: [u32; 3],
}

impl Limits {
    /// What the state system is known to take.
    pub const KNOWN: Limits = Limits { codes: 30_000, groups: 200, children: [200, 1500, 500] };

    pub fn children_of(&self, level: Level) -> u32 {
        match level {
            Level::Group => self.children[0],
            Level::Box => self.children[1],
            Level::Pallet => self.children[2],
        }
    }
}

/// What a piece is, and what lies in a pack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// An item, or a group pack, by its code. `group` is the product group.
    Code {
        group: String,
        code: Code,
    },
    Pack(Sscc),
}

/// A piece as a document carries it. Pieces are numbered from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    pub no: u32,
    pub what: Member,
    /// Children of a full pack.
    pub capacity: u32,
    /// What lies in the pack, where its aggregation is told.
    pub children: Vec<Member>,
}

/// What became of a piece of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PieceEnd {
    /// It is in effect.
    Taken,
    /// Upstream will not have it: why. Named to people.
    Refused(String),
    /// It is not in effect and goes into another document: with others of the same lot only, where that is not 0.
    Free { lot: u32 },
}

/// One fact of a document. `at` is the calendar's time for people; `by` is upstream's clock.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentRecord {
    /// Looks at what waits for a document of this kind behind the piece `after` (a [`PackNo`], or the number of a
    /// write-off; 0 to begin), [`PIECES_MAX`] at most, and puts what may be told into the document, which is drafted with
    /// the first. `document`: the one to go on with. `lots`: also what an earlier document was refused for. Answered with
    /// [`DocumentAnswer::Gathered`]. Told again it finds nothing more to put in.
    Gather {
        kind: DocumentKind,
        document: Option<DocumentNo>,
        after: u32,
        lots: bool,
        limits: Limits,
        by: Wall,
        at: Wall,
    },
    State {
        document: DocumentNo,
        state: ReportState,
        why: String,
        at: Wall,
    },
    /// The ends of pieces, [`PIECES_MAX`] at most. To be recorded before the document's own end.
    Ends {
        document: DocumentNo,
        ends: Vec<(u32, PieceEnd)>,
        at: Wall,
    },
    /// A pack that upstream refused is to be told once more, since a person has mended what was wrong.
    /// Answered with [`DocumentAnswer::Again`].
    Again {
        pack: PackNo,
        reason: String,
        who: String,
        at: Wall,
    },
}

/// What the store says to the records of documents.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentAnswer {
    Gathered(Gathered),
    /// Whether it will be told again: only what was refused.
    Again(bool),
}

/// Why a pack can never be told.
pub const TOO_MANY: &str = "more lies in it than the state system takes in one pack";
pub const NO_DOCUMENT: &str = "the state system has no document that takes a group pack apart";

/// How far a document was gathered.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Gathered {
    /// `None`: nothing that was looked at may be told yet.
    pub document: Option<Drafted>,
    /// Nothing more goes in.
    pub full: bool,
    /// Some of what may be told does not go into this document.
    pub more: bool,
    /// How many packs can never be told, by no document, and why. Named to people.
    pub refused: Option<(u32, &'static str)>,
    /// Behind which piece to go on looking; `None`: all was looked at.
    pub next: Option<u32>,
}

/// A document as far as it is drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drafted {
    pub no: DocumentNo,
    pub kind: DocumentKind,
    pub pieces: u32,
    /// Codes and packs in its pieces.
    pub codes: u32,
    /// The moment that it carries, by upstream's clock: after the packing, and after the production of all that it names.
    pub moment: Wall,
    /// Where it is of a lot: the refused document that its pieces were in, the last one.
    pub root: Option<DocumentNo>,
}

/// The lot of one half of what a refused document carried. 0 is none.
pub fn lot_of(document: DocumentNo, half: u32) -> u32 {
    document.0.saturating_mul(2).saturating_add(half.min(1))
}

/// The document that a lot is of.
pub fn root_of(lot: u32) -> Option<DocumentNo> {
    (lot > 0).then_some(DocumentNo(lot / 2))
}

/// What waits for documents, by [`DocumentKind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Waiting {
    pub kinds: [bool; 3],
}
