//! `[stations.<name>]`: places where packs are filled; `[sscc]`: the names that packs get.

use tamga_domain::document::Limits;
use tamga_domain::pack::station::Naming;
use tamga_domain::pack::station::layer::{CELLS_MAX, Frame, Order, Pattern};
use tamga_domain::pack::{Holds, Level, Mixing, Terms};
use tamga_domain::sscc::{SsccRange, SsccRangeError};

use super::line::check_name;
use super::printer::{self, PrinterDevice};
use super::raw::Section;
use super::reader::{self, ReaderDevice};

#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    pub name: String,
    pub terms: Terms,
    pub naming: Naming,
    pub reader: ReaderDevice,
    /// The reader sees whole layers.
    pub layer: Option<LayerReader>,
    /// Prints the labels of packs; none where they were printed before.
    pub printer: Option<PrinterDevice>,
    pub sounds: Sounds,
}

/// A reader that sees whole layers, and the scanner in the hand beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReader {
    pub pattern: Pattern,
    /// What stands between a mark and its coordinates, `x,y`, where the reader gives them.
    pub coordinates: Option<Vec<u8>>,
    pub hand: ReaderDevice,
}

impl Station {
    /// It has a printer, and its labels show how many lie in the pack. A format that is stored in the printer may do so
    /// too.
    pub fn label_counts(&self) -> bool {
        self.printer.as_ref().is_some_and(PrinterDevice::shows_content)
    }
}

/// What is sent to the scanner, so that the person hears what came of a scan; nothing where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sounds {
    pub taken: Vec<u8>,
    pub closed: Vec<u8>,
    pub refused: Vec<u8>,
}

/// The most children of a pack that any state system takes: those of a box.
pub(super) const CAPACITY_MAX: u64 = Limits::KNOWN.children[1] as u64;
/// Serial references of the shortest company prefix.
const SERIAL_MAX: u64 = 1_000_000_000_000;

const LEVELS: [(&str, Level); 3] = [("group", Level::Group), ("box", Level::Box), ("pallet", Level::Pallet)];
const HOLDS: [(&str, Holds); 3] =
    [("items", Holds::Items), ("group", Holds::Packs(Level::Group)), ("box", Holds::Packs(Level::Box))];
const NAMES: [(&str, Naming); 3] =
    [("printed", Naming::Printed), ("pre-printed", Naming::PrePrinted), ("codes", Naming::Codes)];

pub fn read_all(section: &Section<'_>) -> Vec<Station> {
    section.named().iter().filter_map(|(name, section)| read(name, section)).collect()
}

fn read(name: &str, section: &Section<'_>) -> Option<Station> {
    check_name(name, section);
    let level = section.choice("level", &LEVELS);
    if level.is_none() {
        section.missing("level", "why.station.level");
    }
    let holds = section.choice("holds", &HOLDS);
    if holds.is_none() {
        section.missing("holds", "why.station.holds");
    }
    let capacity = section.number("capacity", 1..=CAPACITY_MAX, "why.station.capacity");
    if capacity.is_none() {
        section.missing("capacity", "why.station.capacity");
    }
    let mixing = section.choice("mixing", &Mixing::ALL.map(|mixing| (mixing.key(), mixing)));
    let naming = section.choice("names", &NAMES).unwrap_or(Naming::Printed);
    let (reader, printer) = (section.section("reader"), section.section("printer"));
    let sounds = section.section("sounds");
    let sound = |name| sounds.text(name).unwrap_or_default().into_bytes();
    let device = reader::read_scanner(&reader);
    let layer = layer(section);
    let printer = if printer.is_there() { printer::read_pack_printer(&printer) } else { None };
    Some(Station {
        name: name.to_owned(),
        // What is wrong or missing was noted; the rest is checked all the same.
        terms: Terms {
            level: level.unwrap_or(Level::Box),
            holds: holds.unwrap_or(Holds::Items),
            capacity: capacity.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            mixing: mixing.unwrap_or(Mixing::SameRun),
        },
        naming,
        reader: device?,
        layer,
        printer,
        sounds: Sounds { taken: sound("taken"), closed: sound("closed"), refused: sound("refused") },
    })
}

/// `[stations.<name>.layer]` and `[stations.<name>.hand]`.
fn layer(section: &Section<'_>) -> Option<LayerReader> {
    let (layer, hand) = (section.section("layer"), section.section("hand"));
    if !layer.is_there() {
        return None;
    }
    let needed = |section: &Section<'_>, name: &str, range, why| {
        let number = section.number(name, range, why);
        if number.is_none() {
            section.missing(name, why);
        }
        number.and_then(|n| u32::try_from(n).ok())
    };
    let side = |name| needed(&layer, name, 1..=u64::from(CELLS_MAX), "why.layer.cells");
    let (columns, rows) = (side("columns"), side("rows"));
    let ordered = layer.flag("in_order").unwrap_or(false);
    let coordinates = layer.text("coordinates").map(String::into_bytes);
    let order = match &coordinates {
        Some(_) => {
            let frame = layer.section("frame");
            let corner =
                |name| i32::try_from(frame.number(name, 0..=100_000, "why.layer.frame").unwrap_or(0));
            let size = |name| needed(&frame, name, 1..=100_000, "why.layer.frame");
            let (x, y) = (corner("x").unwrap_or(0), corner("y").unwrap_or(0));
            let (width, height) = (size("width"), size("height"));
            Order::Centres(Frame { x, y, width: width?, height: height? })
        }
        None if ordered => Order::Cells,
        None => Order::Any,
    };
    if !hand.is_there() {
        layer.notes.add(section.notes.error(section.key("hand"), "config.layer_hand"));
        return None;
    }
    let hand = reader::read_scanner(&hand);
    let pattern = Pattern { columns: columns?, rows: rows?, order };
    Some(LayerReader { pattern, coordinates, hand: hand? })
}

/// `None`: there is no such table, or it is wrong and was noted.
pub fn read_names(section: &Section<'_>) -> Option<SsccRange> {
    if !section.is_there() {
        return None;
    }
    let needed = |name, most, why| {
        let number = section.number(name, 0..=most, why);
        if number.is_none() {
            section.missing(name, why);
        }
        number
    };
    let extension = needed("extension", 9, "why.sscc.extension");
    let prefix = section.text("company_prefix");
    if prefix.is_none() {
        section.missing("company_prefix", "why.sscc.company_prefix");
    }
    let serial = |name| needed(name, SERIAL_MAX, "why.sscc.serial");
    let (first, last) = (serial("first"), serial("last"));
    let (extension, prefix, first, last) = (extension?, prefix?, first?, last?);
    match SsccRange::new(u8::try_from(extension).unwrap_or(u8::MAX), &prefix, first, last + 1) {
        Ok(range) => Some(range),
        Err(SsccRangeError::CompanyPrefix | SsccRangeError::Extension { .. }) => {
            section.notes.add(section.error("company_prefix", "config.company_prefix").with("value", prefix));
            None
        }
        Err(SsccRangeError::Bounds { serials, .. }) => {
            let problem = section.error("last", "config.sscc_bounds").with("first", first).with("last", last);
            section.notes.add(problem.with("most", serials - 1));
            None
        }
    }
}
