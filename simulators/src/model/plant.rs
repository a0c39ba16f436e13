//! One line: a belt that carries items past head, reader and gate, and people who put right what breaks.
//!
//! A line may have several printers of one kind, as plants do that need the rate of two, or must not stand while a roll
//! is changed. All of them mark items at the one place that is called the head here: which of them stands a little
//! further along the belt changes neither the order of items nor that of any printer's labels. An item gets its label
//! from the printer whose turn it is ([`Turns`]), or, where that one has none for it, from the next that has; the PLC of
//! the applicators knows, by the peel-off's or the head's ready signal. Only when no printer has a label does an
//! applicator hold the belt, or an item go by unmarked. Labels are numbered through over the printers of a line, each
//! printer's growing; what goes wrong with labels strikes each printer on its own.
//!
//! `step(now_ns)` lets time pass; between two steps only orders and bytes from outside change anything. The same
//! seed, plan and orders give the same day. What physically happened is kept as [`Truth`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::MS;
use super::belt::{Belt, BeltConfig};
use super::gate::{Gate, GateConfig};
use super::printer::{Block, PrintMode, Printer, PrinterConfig};
use super::reader::{Reader, ReaderConfig};
use super::truth::{Item, Mark, Truth};
use crate::fault::{FaultKind, FaultPlan, Faults};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The printer fills a web, an applicator puts its labels on items.
    PrintAndApply,
    /// The head prints on the item in place.
    Print,
    /// Items come with their marks.
    PrePrinted,
}

/// Which of several printers marks an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Each takes an item in its turn: two together reach the rate that one cannot.
    InTurn,
    /// The first marks all items, and the others stand by for it.
    StandBy,
}

#[derive(Debug, Clone)]
pub struct PlantConfig {
    pub kind: Kind,
    pub seed: u64,
    pub belt: BeltConfig,
    /// Of each printer.
    pub printer: PrinterConfig,
    /// How many printers there are, one at least.
    pub printers: usize,
    pub turns: Turns,
    pub reader: ReaderConfig,
    pub gate: GateConfig,
    /// The belt is on from the beginning.
    pub belt_on: bool,
    /// The belt moves only while the gate's PLC lets it.
    pub needs_gate: bool,
    /// The applicator holds the infeed while it has no label; an item that is at it already stops the belt.
    pub low_label_interlock: bool,
    /// A person needs this long to change a roll or to close a head.
    pub person_ms: u64,
    /// A person takes an item off behind the reader and puts it back after this at the soonest.
    pub hand_ms: u64,
    /// How long a device stays without power.
    pub power_off_ms: u64,
    /// Element strings of the items of a pre-printed line, in order.
    pub codes: Vec<Vec<u8>>,
}

impl Default for PlantConfig {
    fn default() -> Self {
        Self {
            kind: Kind::PrintAndApply,
            seed: 1,
            belt: BeltConfig::default(),
            printer: PrinterConfig::default(),
            printers: 1,
            turns: Turns::InTurn,
            reader: ReaderConfig::default(),
            gate: GateConfig::default(),
            belt_on: false,
            needs_gate: true,
            low_label_interlock: true,
            person_ms: 3000,
            hand_ms: 0,
            power_off_ms: 2000,
            codes: Vec::new(),
        }
    }
}

/// The longest stretch without a look at the devices.
const SLICE_NS: u64 = 2 * MS;

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Block(usize, Block),
    Unblock(usize, Block),
    PrinterOff(usize),
    PrinterOn(usize),
    FeedReprint(usize),
    GateOn,
    BeltOn,
}

/// The item that stands at the head and is not served yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtHead {
    pub(super) fault: Option<FaultKind>,
    pub(super) touched: bool,
}

#[derive(Debug)]
pub struct Plant {
    pub(super) config: PlantConfig,
    /// By their places. What says nothing of places means the first.
    pub printers: Vec<Printer>,
    pub reader: Reader,
    pub gate: Gate,
    pub faults: Faults,
    pub(super) belt: Belt,
    pub(super) belt_on: bool,
    pub(super) now_ns: u64,
    agenda: BTreeMap<(u64, u64), Act>,
    agenda_count: u64,
    /// Labels of each printer that were looked at for what goes wrong with them.
    pub(super) labels_seen: Vec<u64>,
    /// The printer whose turn it is.
    pub(super) turn: usize,
    pub(super) at_head: Option<AtHead>,
    /// Over-printing: which item a label in motion goes onto.
    pub(super) printing_on: BTreeMap<u64, u64>,
    pub(super) codes: VecDeque<Vec<u8>>,
    /// Items to be put on the belt by hand, and when each may be.
    pub(super) by_hand: VecDeque<(u64, u64)>,
    /// Items that somebody has carried to another line.
    pub(super) elsewhere: BTreeSet<u64>,
    pub(super) truth: Truth,
    pub(super) triggers: u64,
    pub(super) printers_connected: Vec<bool>,
}

impl Plant {
    pub fn new(mut config: PlantConfig, plan: FaultPlan) -> Self {
        if config.kind == Kind::Print {
            config.printer.mode = PrintMode::Demand;
        }
        let (seed, count) = (config.seed, config.printers.max(1));
        Self {
            printers: (0..count).map(|at| Printer::one_of(config.printer.clone(), at, count)).collect(),
            reader: Reader::new(config.reader.clone(), seed ^ 0x52),
            gate: Gate::new(config.gate.clone()),
            faults: Faults::new(plan, seed),
            belt: Belt::new(config.belt.clone(), seed ^ 0x42),
            belt_on: config.belt_on,
            now_ns: 0,
            agenda: BTreeMap::new(),
            agenda_count: 0,
            labels_seen: vec![0; count],
            turn: 0,
            at_head: None,
            printing_on: BTreeMap::new(),
            codes: config.codes.drain(..).collect(),
            by_hand: VecDeque::new(),
            elsewhere: BTreeSet::new(),
            truth: Truth::default(),
            triggers: 0,
            printers_connected: vec![false; count],
            config,
        }
    }

    /// Lets time pass until `now_ns`.
    pub fn step(&mut self, now_ns: u64) {
        while self.now_ns < now_ns {
            self.slice(now_ns.min(self.now_ns + SLICE_NS));
        }
    }

    /// The belt moves now.
    pub fn belt_moves(&self) -> bool {
        let gate = !self.config.needs_gate || self.gate.belt_may_run(self.now_ns);
        self.belt_on && gate && self.at_head.is_none()
    }

    /// Every item that was to come has come and met its fate, and all results are out.
    pub fn finished(&self) -> bool {
        let nothing_to_come = self.is_dry();
        let nothing_on_belt =
            self.at_head.is_none() && self.by_hand.is_empty() && self.belt.carried().next().is_none();
        nothing_to_come && nothing_on_belt && self.gate.at_rest() && self.reader.at_rest()
    }

    /// No more items come by themselves.
    pub fn is_dry(&self) -> bool {
        self.belt.is_dry() || (self.is_pre_printed() && self.codes.is_empty())
    }

    pub(super) fn later(&mut self, at_ns: u64, act: Act) {
        self.agenda_count += 1;
        self.agenda.insert((at_ns, self.agenda_count), act);
    }

    pub(super) fn new_item(&mut self, marks: Vec<Mark>) -> u64 {
        let item_no = self.truth.items.len() as u64 + 1;
        self.truth.items.push(Item {
            item_no,
            at_ns: self.now_ns,
            marks,
            tags: Vec::new(),
            fate: None,
            met: Vec::new(),
            escaped: false,
            faults: Vec::new(),
        });
        item_no
    }

    fn slice(&mut self, end_ns: u64) {
        loop {
            self.devices();
            let agenda_ns = self.agenda.first_key_value().map_or(end_ns, |((at, _), _)| *at);
            let until_ns = agenda_ns.clamp(self.now_ns, end_ns);
            if self.belt_moves() {
                let next = self.belt.next_arrival(self.supply());
                let way_ns = next.map_or(u64::MAX, |a| self.belt.time_to_ns(a.at_nm));
                if let Some(arrival) = next.filter(|_| way_ns <= until_ns - self.now_ns) {
                    self.belt.run(way_ns, arrival.at_nm);
                    self.now_ns += way_ns;
                    self.devices();
                    self.arrive(arrival);
                    continue;
                }
                self.belt.run(until_ns - self.now_ns, next.map_or(u64::MAX, |a| a.at_nm));
            }
            self.now_ns = until_ns;
            if until_ns == end_ns {
                return self.devices();
            }
        }
    }

    /// Brings every device and person up to now.
    fn devices(&mut self) {
        let now_ns = self.now_ns;
        while let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 <= now_ns) {
            let act = entry.remove();
            self.act(act);
        }
        for at in 0..self.printers.len() {
            self.printers[at].step(now_ns);
            self.label_faults(at);
            if self.config.printer.mode == PrintMode::Demand {
                while let Some(label) = self.printers[at].take_label(now_ns) {
                    match self.printing_on.remove(&label.label_no) {
                        Some(item_no) => self.item_mut(item_no, |item| item.marks.push(label.into())),
                        None => self.truth.labels_fallen.push(label.label_no),
                    }
                }
            }
        }
        self.serve_head();
        if (self.belt.is_dry() || !self.supply())
            && let Some(item_no) = self.next_by_hand()
        {
            self.belt.put_on(item_no, 100);
        }
        self.reader.step(now_ns);
        self.gate.set_belt_running(self.belt_moves());
        self.gate.step(now_ns, self.belt.travel_nm(), self.belt.window_nm());
    }

    pub(super) fn next_by_hand(&mut self) -> Option<u64> {
        let now_ns = self.now_ns;
        self.by_hand.pop_front_if(|(at_ns, _)| *at_ns <= now_ns).map(|(_, item_no)| item_no)
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Block(at, block) => {
                self.printers[at].block(self.now_ns, block);
                self.later(self.now_ns + self.config.person_ms * MS, Act::Unblock(at, block));
            }
            Act::Unblock(at, block) => self.printers[at].unblock(self.now_ns, block),
            Act::PrinterOff(at) => {
                self.printers[at].power_off(self.now_ns);
                self.later(self.now_ns + self.config.power_off_ms * MS, Act::PrinterOn(at));
            }
            Act::PrinterOn(at) => self.printers[at].power_on(self.now_ns),
            Act::FeedReprint(at) => self.printers[at].reprint_last(self.now_ns),
            Act::GateOn => self.gate.power_on(self.now_ns),
            Act::BeltOn => self.belt_on = true,
        }
    }

    fn is_pre_printed(&self) -> bool {
        self.config.kind == Kind::PrePrinted
    }

    /// More items come from the infeed. Where no applicator has a label they hold the infeed: what is past them goes on.
    fn supply(&self) -> bool {
        match self.config.kind {
            Kind::PrePrinted => !self.codes.is_empty(),
            Kind::PrintAndApply => !self.config.low_label_interlock || self.labels_on_webs() > 0,
            Kind::Print => true,
        }
    }

    pub(super) fn labels_on_webs(&self) -> usize {
        self.printers.iter().map(Printer::labels_on_web).sum()
    }

    /// The printers in the order in which they are asked to mark the next item.
    pub(super) fn by_turns(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.printers.len();
        (self.turn..self.turn + count).map(move |at| at % count)
    }

    /// The printer at this place has marked an item.
    pub(super) fn took_its_turn(&mut self, at: usize) {
        self.turn = match self.config.turns {
            Turns::InTurn => (at + 1) % self.printers.len(),
            Turns::StandBy => 0,
        };
    }

    pub(super) fn item_mut(&mut self, item_no: u64, change: impl FnOnce(&mut Item)) {
        let at = usize::try_from(item_no).ok().and_then(|no| no.checked_sub(1));
        if let Some(item) = at.and_then(|at| self.truth.items.get_mut(at)) {
            change(item);
        }
    }
}
