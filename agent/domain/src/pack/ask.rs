//! What people may ask of a station, and what they see of it.

use super::PackName;
use crate::ids::PackNo;
use crate::time::Wall;

/// A request of a person to a station. Each is authorised and logged before it reaches the station.
#[derive(Clone, Debug, PartialEq)]
pub enum StationAsk {
    /// Closes the open pack with fewer children than it can hold: it gets its name, and is closed once that is read on it.
    Short { reason: String },
    /// One more label with the name that the open pack has.
    Reprint { reason: String },
    /// A label of a pack that is not being filled here: its name, and how many lie in it.
    Label { pack: PackNo, name: PackName, content: u32, reason: String },
    /// The open pack is none any more.
    Void { reason: String },
    /// Takes what was scanned out of the open pack.
    Out { scan: Vec<u8>, reason: String },
}

/// The station's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationReply {
    Done,
    /// A name that the pack bears has to be read on it now.
    ScanName,
    /// Taken out; so many are left.
    Out {
        left: u32,
    },
}

/// What is to be seen of a station at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StationStatus {
    pub open: Option<OpenPack>,
    /// A layer that was seen and is not packed, since some of its cells failed.
    pub layer: Option<LayerStatus>,
    /// What came of the last scan, or of what the station did last.
    pub last: Option<Said>,
    /// Scans that wait for their turn, and those that were lost since the start because too many did.
    pub waiting: u32,
    pub lost: u64,
    pub reader_connected: bool,
    /// `None`: the station has no second scanner.
    pub hand_connected: Option<bool>,
    /// `None`: the station has no printer.
    pub printer_connected: Option<bool>,
    /// Faults of its devices, by key.
    pub faults: Vec<String>,
    /// Packs that were closed here since the start.
    pub closed: u64,
}

/// A layer that waits for what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerStatus {
    pub columns: u32,
    pub rows: u32,
    /// Row by row, where the cells are known.
    pub cells: Vec<CellStatus>,
}

/// One cell of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellStatus {
    /// Row and place in it, from one; `None` where nobody knows which cell it is.
    pub place: Option<(u32, u32)>,
    /// Why it failed, as a message key; `None`: it is good.
    pub why: Option<String>,
}

/// The pack that is being filled.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPack {
    pub pack: PackNo,
    pub content: u32,
    pub capacity: u32,
    pub name: Option<PackName>,
    /// How its label stands, by key (`pack.label.<key>`), once it has a name of ours.
    pub label: Option<&'static str>,
}

/// A sentence for the person at the station: a message key and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub good: bool,
    pub key: String,
    pub args: Vec<(&'static str, String)>,
    pub at: Wall,
}
