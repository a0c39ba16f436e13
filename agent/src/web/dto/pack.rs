//! The shapes of packs and packing stations. The name of a pack is the 18 digits of its SSCC, or `(01)…(21)…` where it is
//! the code of a group pack.

use serde::{Deserialize, Serialize};

use super::{Code, Word};

/// A packing station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Station {
    pub name: String,
    /// What its packs are: `group`, `box` or `pallet`.
    pub level: Word,
    /// What goes into them: `items` or packs of a level.
    pub holds: Word,
    /// Children of a full pack.
    pub capacity: u32,
    /// The pack that is being filled.
    pub open: Option<OpenPack>,
    /// A layer that was seen and is not packed, since some of its cells failed.
    pub layer: Option<Layer>,
    /// What came of the last scan, or of what the station did last.
    pub last: Option<Said>,
    /// Scans that wait for their turn.
    pub waiting: u32,
    /// Scans that were lost since the start because too many waited.
    pub lost: u64,
    pub reader_connected: bool,
    /// None: the station has no second scanner.
    pub hand_connected: Option<bool>,
    /// None: the station has no printer.
    pub printer_connected: Option<bool>,
    /// Faults of its devices.
    pub faults: Vec<Word>,
    /// Packs that were closed here since the start.
    pub closed: u64,
}

/// A layer, row by row where its cells are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub columns: u32,
    pub rows: u32,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Counted from one; none where nobody knows which cell it is.
    pub row: Option<u32>,
    pub place: Option<u32>,
    /// Why it failed; none: it is good.
    pub why: Option<Word>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenPack {
    pub pack: u32,
    pub content: u32,
    pub capacity: u32,
    pub name: Option<String>,
    /// How its label stands, once it has a name of ours: `unasked` (since a start), `wanted`,
    /// `printing`, `printed` or `doubtful`.
    pub label: Option<Word>,
}

/// A sentence for the person at the station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub good: bool,
    pub key: String,
    pub text: String,
    pub at: String,
}

/// What came of a request to a station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StationDone {
    Done,
    /// A pre-printed name has to be read on the pack now.
    ScanName,
    /// Taken out; so many are left.
    Out {
        left: u32,
    },
}

/// A pack, without what lies in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    pub pack: u32,
    pub name: Option<String>,
    pub level: Word,
    pub holds: Word,
    /// `open`, `closed` or `voided`.
    pub state: Word,
    pub content: u32,
    pub capacity: u32,
    /// The run of all of its items, and their product; none where it is empty or they differ.
    pub run: Option<u32>,
    pub gtin: Option<String>,
    /// Labels asked for with its name.
    pub labels: u32,
    /// What the state system knows of it: `nothing`, `aggregating`, `aggregated`, `disaggregating`, `disaggregated` or
    /// `refused`.
    pub told: Word,
}

/// All that is known of one pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackStory {
    pub pack: Pack,
    /// The packs that it lies in, from the nearest out.
    pub within: Vec<Pack>,
    pub content: Vec<Child>,
    /// What became of it, oldest first.
    pub changes: Vec<PackChange>,
    /// What was taken out of it, oldest first.
    pub taken_out: Vec<TakenOut>,
    /// The documents that carry or carried it, newest first.
    pub documents: Vec<CarriedIn>,
}

/// A document that carries a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CarriedIn {
    pub document: Document,
    /// The end of the pack in it: `open`, `taken`, `refused` or `free`.
    pub ended: Word,
    /// Why it was refused, by the state system.
    pub why: String,
}

/// A document of packs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub document: u32,
    /// `aggregation`, `disaggregation` or `withdrawal`.
    pub kind: Word,
    /// `wanted`, `sent`, `unknown`, `processing`, `accepted` or `refused`.
    pub state: Word,
    /// Packs, or codes of a withdrawal; those in effect, and those without an end.
    pub pieces: u32,
    pub taken: u32,
    pub open: u32,
    /// Codes and packs in its packs.
    pub codes: u32,
    pub upstream_id: Option<String>,
    pub attempts: u32,
    pub why: String,
    /// The moment that it carries.
    pub moment: String,
    pub since: String,
}

/// Whether a refused pack will be told once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Again {
    pub pack: Pack,
}

/// What lies in a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Child {
    Code(Code),
    /// A pack by its name.
    Pack(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackChange {
    pub at: String,
    /// `opened`, `named`, `label`, `full`, `short` or `voided`.
    pub what: Word,
    pub who: String,
    /// The name given, or the label's number.
    pub detail: String,
    /// A person's reason.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakenOut {
    pub at: String,
    pub what: Child,
    pub who: String,
    pub why: String,
}

/// What would be done to packs, or was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reworked {
    /// False: nothing was done yet. It reaches further than what was named, and has to be confirmed.
    pub done: bool,
    /// Names what the steps are; it is what is confirmed.
    pub plan: String,
    /// In the order in which they are to be done.
    pub steps: Vec<Word>,
    /// Packs whose label became void, each with what stayed in it.
    pub new: Vec<NewPack>,
}

/// What stayed in a pack whose label became void.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewPack {
    pub of: Pack,
    pub pack: Pack,
}

/// A pack whose label is printed, or was read on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    pub pack: Pack,
}

/// What the box doctor found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doctor {
    /// What was scanned: an item by its code without the tail, a pack by its name.
    pub what: String,
    /// The pack that it is, or that it lies in.
    pub pack: Option<Pack>,
    /// The label is that of this void pack, and `pack` is what stayed in it.
    pub was: Option<Pack>,
    /// What the state system knows of `pack`: `nothing`, `aggregating`, `aggregated`, `disaggregating`,
    /// `disaggregated` or `refused`.
    pub told: Option<Word>,
    pub story: Option<PackStory>,
    /// What is not as it should be; empty: nothing is known to be wrong.
    pub found: Vec<Word>,
    /// What rights it, to be confirmed; none where nothing has to be done, or hands alone do it.
    pub right: Option<Reworked>,
    /// Why it cannot be righted now.
    pub refused: Option<Word>,
}
