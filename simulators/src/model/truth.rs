//! What physically happened, for an oracle to compare with what an agent believes.
//!
//! Codes are written as JSON strings, one character a byte (GS is `\u001d`).

use serde::{Serialize, Serializer};

use crate::fault::FaultKind;

/// A label that left the print head, whole or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrintedLabel {
    pub label_no: u64,
    pub at_ns: u64,
    /// Element string as a conforming reader gives it; `None` where no readable symbol was drawn.
    #[serde(serialize_with = "option_text")]
    pub symbol: Option<Vec<u8>>,
    pub gs1: bool,
    /// The bar code beside it as a reader gives it, with its symbology identifier; `None`: there is none.
    #[serde(serialize_with = "option_text")]
    pub bar: Option<Vec<u8>>,
    /// Half printed: no reader reads it.
    pub damaged: bool,
    /// The printer or its panel repeated this label on its own.
    pub reprint: bool,
    /// Somebody printed it again at the panel: no host can keep that from happening.
    pub at_panel: bool,
}

/// A symbol on an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The printed label; `None` for an item that came with its mark.
    pub label_no: Option<u64>,
    #[serde(serialize_with = "option_text")]
    pub symbol: Option<Vec<u8>>,
    pub gs1: bool,
    pub damaged: bool,
}

impl Mark {
    /// A whole pre-printed GS1 mark.
    pub fn pre_printed(symbol: Vec<u8>) -> Self {
        Self { label_no: None, symbol: Some(symbol), gs1: true, damaged: false }
    }

    pub fn readable(&self) -> Option<&[u8]> {
        self.symbol.as_deref().filter(|_| !self.damaged)
    }
}

impl From<PrintedLabel> for Mark {
    fn from(label: PrintedLabel) -> Self {
        Self { label_no: Some(label.label_no), symbol: label.symbol, gs1: label.gs1, damaged: label.damaged }
    }
}

/// A tag is unique only within one power-up of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TagRef {
    pub boot: u16,
    pub tag: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Went through the gate.
    Passed,
    /// Lies in the reject bin.
    Rejected,
    /// Taken off the belt by hand.
    Removed,
}

/// One time that an item met a fate; a rejected item that is fed again meets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Met {
    /// The item's last tag then.
    pub tag: Option<TagRef>,
    /// The gate knew which item stood there; not so for one that was pushed along the belt or had no tag.
    pub known: bool,
    pub fate: Fate,
    pub at_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    pub item_no: u64,
    pub at_ns: u64,
    pub marks: Vec<Mark>,
    /// Triggers of this item, the last one being in force.
    pub tags: Vec<TagRef>,
    /// Where it is now; `None` while it is on the belt.
    pub fate: Option<Fate>,
    pub met: Vec<Met>,
    /// The gate let it pass although the agent had not (ejector fault).
    pub escaped: bool,
    pub faults: Vec<FaultKind>,
}

/// What the reader said at one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    pub at_ns: u64,
    pub tag: TagRef,
    /// Without header and terminator; `None` where nothing was sent.
    #[serde(serialize_with = "option_text")]
    pub sent: Option<Vec<u8>>,
    pub faults: Vec<FaultKind>,
}

/// The whole record of a plant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    pub labels: Vec<PrintedLabel>,
    pub items: Vec<Item>,
    pub readings: Vec<Reading>,
    /// Items behind the gate, in order.
    pub passed: Vec<u64>,
    /// Triggers that the gate forgot with its power, and perhaps nobody had heard of: at most so many are in no books.
    pub triggers_forgotten: u64,
    /// Labels that were lost between web and item.
    pub labels_fallen: Vec<u64>,
    /// Labels that no host of this line asked for: doubled, printed again, or a neighbour's.
    pub labels_unasked: Vec<u64>,
}

impl Truth {
    pub fn item(&self, item_no: u64) -> Option<&Item> {
        self.items.get(usize::try_from(item_no.checked_sub(1)?).ok()?)
    }

    /// Readable codes of the items behind the gate, in order.
    pub fn passed_codes(&self) -> Vec<Vec<u8>> {
        let items = self.passed.iter().filter_map(|no| self.item(*no));
        items.flat_map(|i| i.marks.iter().filter_map(Mark::readable)).map(<[u8]>::to_vec).collect()
    }

    /// Codes that stand readable on more than one label, each once.
    pub fn codes_printed_twice(&self) -> Vec<Vec<u8>> {
        let mut seen = std::collections::BTreeMap::<&[u8], u32>::new();
        for label in self.labels.iter().filter(|l| !l.damaged) {
            if let Some(symbol) = &label.symbol {
                *seen.entry(symbol).or_default() += 1;
            }
        }
        seen.into_iter().filter(|(_, n)| *n > 1).map(|(code, _)| code.to_vec()).collect()
    }
}

/// The state of a plant in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub now_ms: u64,
    pub belt_on: bool,
    pub belt_moving: bool,
    pub labels_printed: u64,
    pub labels_damaged: u64,
    pub labels_reprinted: u64,
    pub labels_on_web: u64,
    pub formats_waiting: u64,
    pub odometer: u64,
    pub items: u64,
    pub items_on_belt: u64,
    pub unmarked: u64,
    pub triggers: u64,
    pub readings_sent: u64,
    pub passed: u64,
    pub rejected: u64,
    pub removed: u64,
    pub escaped: u64,
    pub gate_boot: u16,
    pub printer_up: bool,
    pub printer_blocked: bool,
    pub printer_connected: bool,
    pub reader_connected: bool,
    pub faults_struck: u64,
    /// Every item that was to come has come, met its fate, and all results are out.
    pub finished: bool,
}

/// One character a byte.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The bytes of [`text`]; `None` where a character is no byte.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn option_text<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => to.serialize_some(&text(bytes)),
        None => to.serialize_none(),
    }
}
