//! A packing desk: a table with what is to be packed, boxes, a person with a scanner in the hand, a printer of box labels.
//!
//! Items are put on the table from outside, bytes go to the scanner and to the printer and come from them, and the person
//! sees the station's [`Screen`] and asks for things ([`Wish`]), as people do through the panel. What the person does is
//! slow and careful; what goes wrong is drawn from the desk's own [`Faults`]. What is really in the boxes is kept, and
//! each slip that put it there or took it away, for an oracle to compare with what an agent believes.
//!
//! - [`person`]: what the person does next
//! - [`slips`]: what goes wrong between table and box

mod person;
mod slips;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::MS;
use super::printer::{Block, PrintMode, Printer, PrinterConfig};
use super::truth::PrintedLabel;
use crate::fault::{FaultKind, FaultPlan, Faults};
use person::{Hand, Waits};

#[derive(Debug, Clone)]
pub struct DeskConfig {
    pub seed: u64,
    /// What the person does takes so long, at least and at most.
    pub act_ms: (u64, u64),
    /// Without a sound for so long, the person scans once more.
    pub patience_ms: u64,
    /// A person needs this long to change a roll of labels or to close a head.
    pub mend_ms: u64,
    pub power_off_ms: u64,
    /// What the scanner sends behind each scan.
    pub terminator: Vec<u8>,
    /// What stands in the place of GS where the scanner replaces it.
    pub gs_replacement: Vec<u8>,
    /// What the scanner is sent for the person's ears.
    pub sounds: Sounds,
    pub printer: PrinterConfig,
    /// Symbols of labels that were printed before, in the order of their roll; none where the desk's printer prints them.
    pub roll: Option<Vec<Vec<u8>>>,
    /// Boxes of this desk are numbered from here.
    pub first_box: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sounds {
    pub taken: u8,
    pub closed: u8,
    pub refused: u8,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            act_ms: (20, 80),
            patience_ms: 3_000,
            mend_ms: 500,
            power_off_ms: 800,
            terminator: b"\r\n".to_vec(),
            gs_replacement: b"^".to_vec(),
            sounds: Sounds { taken: b'+', closed: b'!', refused: b'-' },
            printer: PrinterConfig {
                mode: PrintMode::Stream { web_capacity: 1_000 },
                ..PrinterConfig::default()
            },
            roll: None,
            first_box: 1,
        }
    }
}

/// Something that can be packed: an item, or a box with its label.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// No two things of a plant have the same.
    pub no: u64,
    /// What is read on it; `None`: nothing.
    pub symbol: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Is being filled, or is empty.
    Open,
    /// The person heard that it is closed, and has put it aside.
    Done,
}

/// A box, or a pallet.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Carton {
    pub no: u64,
    pub things: Vec<Thing>,
    /// Symbols of the labels that stick on it.
    pub labels: Vec<Vec<u8>>,
    pub stage: Stage,
}

/// A symbol as people write it down.
fn shown(symbol: &[u8]) -> String {
    symbol.escape_ascii().to_string()
}

impl std::fmt::Debug for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let symbol = self.symbol.as_deref().map_or_else(|| "nothing".to_owned(), shown);
        write!(f, "{:x} with {symbol}", self.no)
    }
}

impl std::fmt::Debug for Carton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels: Vec<String> = self.labels.iter().map(|label| shown(label)).collect();
        write!(f, "{:x} ({:?}, labels {labels:?}, {:?})", self.no, self.stage, self.things)
    }
}

/// Something that nobody was told, or that nobody could have seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slipped {
    pub at_ns: u64,
    pub kind: FaultKind,
    /// The thing that it befell; `None`: the box as a whole.
    pub thing: Option<Thing>,
    /// The box that the data speak of, and the one that it really happened to, where that is another.
    pub cartons: Vec<u64>,
}

/// What the station's screen shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Screen {
    /// Things in the open pack by the data, and how many fill it; `None`: no pack is open.
    pub open: Option<(u32, u32)>,
    /// The name of the open pack, 18 digits.
    pub name: Option<String>,
    /// How its label stands.
    pub label: Option<&'static str>,
    /// What the last sound meant.
    pub last: String,
    /// Scans that wait for their turn.
    pub waiting: u32,
}

/// What the person asks of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Short,
    Reprint,
    Void,
    /// Takes the thing with this symbol out of the open pack.
    Out(Vec<u8>),
    /// Looks at the pack with this label.
    Look(Vec<u8>),
}

/// What the agent says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Done,
    /// The pack that was looked at is closed.
    Closed,
    Refused(String),
}

/// All of a desk, for an oracle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeskTruth {
    pub cartons: Vec<Carton>,
    pub slips: Vec<Slipped>,
    /// Things that fell, or that somebody took away.
    pub lost: Vec<Thing>,
    /// Things that the agent would not have.
    pub aside: Vec<Thing>,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Unblock(Block),
    PrinterOn,
    PlugIn,
}

pub struct Desk {
    config: DeskConfig,
    pub faults: Faults,
    pub printer: Printer,
    rng: fastrand::Rng,
    now_ns: u64,
    agenda: BTreeMap<(u64, u64), Act>,
    agenda_count: u64,
    labels_seen: u64,
    // The scanner.
    plugged_in: bool,
    connected: bool,
    out: Vec<u8>,
    heard: VecDeque<u8>,
    /// Everything of 18 digits at the end of what the scanner sent whole: names of packs.
    names_sent: BTreeSet<Vec<u8>>,
    // What stands on the desk.
    table: VecDeque<Thing>,
    /// Things that lie about and do not belong here.
    strays: Vec<Thing>,
    cartons: Vec<Carton>,
    /// The place of the box that is being filled.
    at: usize,
    roll: VecDeque<Vec<u8>>,
    has_roll: bool,
    slips: Vec<Slipped>,
    lost: Vec<Thing>,
    aside: Vec<Thing>,
    // The person.
    hand: Hand,
    waits: Waits,
    wish: Option<Wish>,
    /// Things that are to be tried once more when all others are packed.
    again: Vec<Thing>,
    next_ns: u64,
    /// Since when there is nothing to do but to wait for the label.
    label_since_ns: Option<u64>,
    /// The label of the box stands or is wanted: it comes before any thing.
    label_first: bool,
    /// Nothing comes any more: what is open is closed.
    last: bool,
    done: bool,
}

impl Desk {
    pub fn new(mut config: DeskConfig, plan: FaultPlan) -> Desk {
        let seed = config.seed;
        Desk {
            faults: Faults::new(plan, seed ^ 0xDE5C),
            printer: Printer::new(config.printer.clone()),
            rng: fastrand::Rng::with_seed(seed ^ 0x9E50),
            now_ns: 0,
            agenda: BTreeMap::new(),
            agenda_count: 0,
            labels_seen: 0,
            plugged_in: true,
            connected: false,
            out: Vec::new(),
            heard: VecDeque::new(),
            names_sent: BTreeSet::new(),
            table: VecDeque::new(),
            strays: Vec::new(),
            cartons: Vec::new(),
            at: 0,
            has_roll: config.roll.is_some(),
            roll: config.roll.take().map(VecDeque::from).unwrap_or_default(),
            slips: Vec::new(),
            lost: Vec::new(),
            aside: Vec::new(),
            hand: Hand::Empty,
            waits: Waits::Nothing,
            wish: None,
            again: Vec::new(),
            next_ns: 0,
            label_since_ns: None,
            label_first: false,
            last: false,
            done: false,
            config,
        }
    }

    /// Puts a thing on the table.
    pub fn bring(&mut self, thing: Thing) {
        self.table.push_back(thing);
        self.done = false;
    }

    /// Somebody leaves something on the table that does not belong there.
    pub fn bring_stray(&mut self, thing: Thing) {
        self.strays.push(thing);
    }

    /// Nothing comes any more.
    pub fn last(&mut self) {
        self.last = true;
    }

    /// Everything is packed or put aside, and no pack is open.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Boxes that were closed and stand ready, by their place from `from` on.
    pub fn done_from(&self, from: usize) -> impl Iterator<Item = &Carton> {
        self.cartons.iter().skip(from).take_while(|c| c.stage == Stage::Done)
    }

    pub fn truth(&self) -> DeskTruth {
        let (hand, rest) = (self.in_hand().cloned(), self.table.iter().chain(&self.again).cloned());
        DeskTruth {
            cartons: self.cartons.clone(),
            slips: self.slips.clone(),
            lost: self.lost.clone(),
            aside: self.aside.iter().cloned().chain(rest).chain(hand).collect(),
        }
    }

    /// What the person does now, for a log.
    pub fn shows(&self) -> String {
        let slip = self.slips.last().filter(|slip| slip.at_ns == self.now_ns);
        let box_no = self.cartons.get(self.at).map_or(0, |carton| carton.no);
        let (hand, waits, wish) = (&self.hand, &self.waits, &self.wish);
        format!("{hand:?} {waits:?} {wish:?} at box {box_no:x} {slip:?}")
    }

    /// A name of a pack that the scanner has sent, as 18 digits.
    pub fn has_sent(&self, name: &[u8]) -> bool {
        self.names_sent.contains(name)
    }

    /// Lets time pass for printer and scanner, and for who mends them.
    pub fn step(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        while let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 <= now_ns) {
            match entry.remove() {
                Act::Unblock(block) => self.printer.unblock(now_ns, block),
                Act::PrinterOn => self.printer.power_on(now_ns),
                Act::PlugIn => self.plugged_in = true,
            }
        }
        self.printer.step(now_ns);
        while self.labels_seen < self.printer.labels_begun() {
            self.labels_seen += 1;
            self.label_fault();
        }
    }

    fn later(&mut self, after_ms: u64, act: Act) {
        self.agenda_count += 1;
        self.agenda.insert((self.now_ns + after_ms * MS, self.agenda_count), act);
    }

    // ---- the scanner

    pub fn is_plugged_in(&self) -> bool {
        self.plugged_in
    }

    pub fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
        self.out.clear();
    }

    /// Bytes to the host since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Bytes from the host: sounds.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend(bytes);
    }

    /// A chunk of `len` bytes crosses a wire: after how many of them it breaks, if it does.
    pub fn cut(&mut self, kind: FaultKind, len: usize) -> Option<usize> {
        (len > 0 && self.faults.strikes(kind)).then(|| self.faults.stream(kind).usize(..len))
    }

    // ---- the printer

    /// Labels of the printer so far, in the order in which they became physical.
    pub fn labels(&self) -> &[PrintedLabel] {
        self.printer.log()
    }

    pub fn printer_receive(&mut self, bytes: &[u8]) -> usize {
        self.printer.receive(self.now_ns, bytes)
    }

    /// Answers of the printer since the last call, as far as they leave now.
    pub fn printer_answers(&mut self) -> Vec<u8> {
        if !self.printer.may_answer(self.now_ns) {
            return Vec::new();
        }
        match self.faults.first(&[FaultKind::PrinterLate, FaultKind::PrinterTwice]) {
            None => self.printer.take_answers(),
            Some(FaultKind::PrinterTwice) => self.printer.take_answers().repeat(2),
            Some(kind) => {
                let late_ms = self.faults.stream(kind).u64(50..3_000);
                self.printer.answer_not_before(self.now_ns + late_ms * MS);
                Vec::new()
            }
        }
    }

    // ---- the boxes

    fn carton(&mut self) -> &mut Carton {
        self.carton_at(self.at)
    }

    /// The box with this place; empty ones stand ready.
    fn carton_at(&mut self, at: usize) -> &mut Carton {
        while self.cartons.len() <= at {
            let no = self.config.first_box + self.cartons.len() as u64;
            let empty = Carton { no, things: Vec::new(), labels: Vec::new(), stage: Stage::Open };
            self.cartons.push(empty);
        }
        &mut self.cartons[at]
    }

    fn slipped(&mut self, kind: FaultKind, thing: Option<Thing>, cartons: Vec<u64>) {
        self.slips.push(Slipped { at_ns: self.now_ns, kind, thing, cartons });
    }
}
