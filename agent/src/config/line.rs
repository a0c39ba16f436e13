//! `[lines.<name>]`: one line, its geometry, its limits and its devices.

use std::time::Duration;

use tamga_domain::rules::Grade;

use super::gate::{self, Gate};
use super::printer::{self, Printer};
use super::raw::Section;
use super::reader::{self, Reader};

#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub kind: LineKind,
    pub geometry: Geometry,
    /// The highest speed; `None`: not said, and then nothing can be checked against it.
    pub items_per_min: Option<u32>,
    /// Codes with less life left are not issued.
    pub life_left_min: Duration,
    /// An alarm is raised when fewer codes are pooled for the run's product; 0 = never.
    pub pool_low: u32,
    pub limits: Limits,
    /// In the order of the file: `PrinterNo` is the place here.
    pub printers: Vec<Printer>,
    /// In the order of the file: `ReaderNo` is the place here.
    pub readers: Vec<Reader>,
    pub gate: Gate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    PrintAndApply,
    Print,
    PrePrinted,
}

impl LineKind {
    pub const ALL: [LineKind; 3] = [LineKind::PrintAndApply, LineKind::Print, LineKind::PrePrinted];

    pub fn key(self) -> &'static str {
        match self {
            LineKind::PrintAndApply => "print-and-apply",
            LineKind::Print => "print",
            LineKind::PrePrinted => "pre-printed",
        }
    }

    pub fn prints(self) -> bool {
        match self {
            LineKind::PrintAndApply | LineKind::Print => true,
            LineKind::PrePrinted => false,
        }
    }
}

/// What stands between the stations at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub labels_head_to_applicator: u32,
    /// From the applicator, or from the print head of a line that prints in place, to the reader's trigger.
    pub items_applicator_to_reader: u32,
    pub items_reader_to_gate: u32,
}

/// What stops the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many bad items one after the other.
    pub consecutive_bad_max: u32,
    /// More than so many of 100 bad, over the last `bad_rate_window` items.
    pub bad_rate_max_percent: u32,
    pub bad_rate_window: u32,
    /// Codes that may be missing between two reads; a longer gap is a jump. See [`gap_max_of`].
    pub gap_max: u32,
    /// More gaps than so many among 100 items.
    pub gaps_per_100_max: u32,
    /// How many issue numbers back a code that was left behind may still be read: an item taken off and put back.
    pub refeed_max: u32,
    pub min_grade: Option<Grade>,
}

/// Codes that may be missing where nobody says how many, and on any line without a web.
const GAP_MAX: u32 = 3;

/// The most codes that may be missing on a line with so many labels between head and applicator. Who changes the roll
/// takes these labels away: were a gap as long as the web, it would hide that. One is always allowed, since one item
/// taken off must never stop a line (behaviour, section 4); so a roll changed over a web of one label is a gap like any.
pub fn gap_max_of(labels_on_web: u32) -> u32 {
    match labels_on_web {
        0 => GAP_MAX,
        labels => (labels - 1).clamp(1, GAP_MAX),
    }
}

const GRADES: [(&str, Grade); 4] = [("A", Grade::A), ("B", Grade::B), ("C", Grade::C), ("D", Grade::D)];

pub fn read_all(section: &Section<'_>) -> Vec<Line> {
    section.named().iter().filter_map(|(name, section)| read(name, section)).collect()
}

fn read(name: &str, section: &Section<'_>) -> Option<Line> {
    check_name(name, section);
    let kind = section.choice("kind", &LineKind::ALL.map(|kind| (kind.key(), kind)));
    if kind.is_none() {
        section.missing("kind", "why.line.kind");
    }
    let number = |name, range, usual, why| {
        section.number(name, range, why).and_then(|n| u32::try_from(n).ok()).unwrap_or(usual)
    };
    let geometry = Geometry {
        labels_head_to_applicator: number("labels_head_to_applicator", 0..=50, 0, "why.line.geometry"),
        items_applicator_to_reader: number("items_applicator_to_reader", 0..=1000, 0, "why.line.geometry"),
        items_reader_to_gate: number("items_reader_to_gate", 1..=1000, 4, "why.line.items_reader_to_gate"),
    };
    let items_per_min = section.number("items_per_min", 1..=3000, "why.line.items_per_min");
    let life_left = section.number("life_left_min_h", 0..=8760, "why.line.life_left_min_h").unwrap_or(24);
    let printers = section.section("printers");
    let readers = section.section("readers");
    let line = Line {
        name: name.to_owned(),
        kind: kind.unwrap_or(LineKind::PrintAndApply),
        geometry,
        items_per_min: items_per_min.and_then(|n| u32::try_from(n).ok()),
        life_left_min: Duration::from_secs(life_left * 3600),
        pool_low: number("pool_low", 0..=10_000_000, 1000, "why.line.pool_low"),
        limits: limits(&section.section("limits"), geometry.labels_head_to_applicator),
        printers: printer::read_all(&printers),
        readers: reader::read_all(&readers),
        gate: gate::read(&section.section("gate")),
    };
    kind?;
    Some(line)
}

/// Names go into the audit log, file names and the panel's addresses.
pub fn check_name(name: &str, section: &Section<'_>) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        let problem = section.notes.error(section.path.clone(), "config.name");
        section.notes.add(problem.with("value", name));
    }
}

fn limits(section: &Section<'_>, labels_on_web: u32) -> Limits {
    let number = |name, range, usual, why| {
        section.number(name, range, why).and_then(|n| u32::try_from(n).ok()).unwrap_or(usual)
    };
    Limits {
        consecutive_bad_max: number("consecutive_bad_max", 1..=1000, 10, "why.limits.consecutive_bad_max"),
        bad_rate_max_percent: number("bad_rate_max_percent", 1..=100, 20, "why.limits.bad_rate"),
        bad_rate_window: number("bad_rate_window", 10..=10_000, 100, "why.limits.bad_rate"),
        gap_max: number("gap_max", 0..=100, gap_max_of(labels_on_web), "why.limits.gap_max"),
        gaps_per_100_max: number("gaps_per_100_max", 1..=100, 5, "why.limits.gaps_per_100_max"),
        refeed_max: number("refeed_max", 0..=10_000, 64, "why.limits.refeed_max"),
        min_grade: section.choice("min_grade", &GRADES),
    }
}
