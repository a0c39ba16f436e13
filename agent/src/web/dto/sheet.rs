//! The shapes of the closing sheet that speak of packs, of what is not settled, and of who signed.

use serde::{Deserialize, Serialize};

use super::pack::{Child, Pack};
use super::{Code, Word};

/// The packs of a run: those that items of it lie in, or lay in, and the packs around them. At most 1,000 of each list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackSheet {
    pub items: PackItems,
    /// From the inside out.
    pub levels: Vec<PackLevel>,
    /// Being filled.
    pub open: Vec<OpenAt>,
    /// Closed with less than they can hold.
    pub short: Vec<Reasoned>,
    pub voided: Vec<Reasoned>,
    /// Labels after the first.
    pub labels: Vec<Reasoned>,
    /// Closed, and in no other pack, where one was to hold them.
    pub alone: Vec<Pack>,
    /// Passed, in no pack, and to be packed.
    pub loose: Vec<Code>,
    /// Items of the run that were taken out of packs, those of voided ones included.
    pub taken_out: u64,
    pub out: Vec<OutOf>,
    pub balanced: bool,
}

/// passed = in closed packs + in open packs + as group packs + loose
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackItems {
    pub passed: u32,
    pub in_closed: u32,
    pub in_open: u32,
    /// Group packs of units, named by the codes of this run.
    pub as_packs: u32,
    pub loose: u32,
    /// Of the loose: not to be packed, since no report may carry them.
    pub dead: u32,
    pub balanced: bool,
}

/// opened = open + full + short + voided; full + short = within + alone; names = full + short + open with a name + voided
/// with a name
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackLevel {
    pub level: Word,
    pub opened: u32,
    pub open: u32,
    pub full: u32,
    pub short: u32,
    pub voided: u32,
    pub within: u32,
    pub alone: u32,
    pub names: u32,
    pub open_named: u32,
    pub voided_named: u32,
    /// With more than one label.
    pub labelled: u32,
    /// With content of other runs too.
    pub mixed: u32,
    pub balanced: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenAt {
    pub pack: Pack,
    pub station: String,
    /// It takes items of other runs too, so it may stay open when this run's sheet is signed.
    pub may_stay: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasoned {
    pub pack: Pack,
    /// Of a label: which one.
    pub detail: String,
    pub who: String,
    pub why: String,
    pub at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutOf {
    pub what: Child,
    pub pack: u32,
    pub who: String,
    pub why: String,
    pub at: String,
}

/// Something of the run that is not settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsettled {
    pub what: Word,
    pub count: u64,
    /// What a person does about it.
    pub way: String,
    /// The sheet is not signed before it is settled.
    pub bars: bool,
}

/// A signature under the sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    pub who: String,
    pub from: String,
    pub at: String,
    /// Why it was signed though something was not settled, and how much was.
    pub why: String,
    pub unsettled: u32,
    /// The dossier that says what was signed: how many lines it has, and its head.
    pub lines: u64,
    pub head: String,
}

/// What came of a signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedNow {
    pub signed: Signed,
    /// Where the dossier is kept, on the agent's computer.
    pub path: String,
}

/// One code of a run, as `GET /api/v1/runs/{run}/codes` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedCode {
    /// `(01)` with the GTIN, `(21)` with the serial: after its 22nd character all is the serial.
    pub code: String,
    /// The state's key, such as `applied` or `spoiled.unseen`.
    pub state: String,
    pub pass: Option<u32>,
    /// No report may carry its pass.
    pub held: bool,
    /// The packs that its item lies in, by name, from the nearest out; by number, as `#7`, while it has no name.
    pub packs: Vec<String>,
}
