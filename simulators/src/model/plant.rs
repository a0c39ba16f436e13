//! One line: a belt that carries items past head, reader and gate, and people who put right what breaks.
//!
//! `step(now_ns)` lets time pass; between two steps only orders and bytes from outside change anything. The same
//! seed, plan and orders give the same day. What physically happened is kept as [`Truth`].

use std::collections::{BTreeMap, VecDeque};

use super::MS;
use super::belt::{Arrival, Belt, BeltConfig, Station};
use super::gate::{Gate, GateConfig, Mishap};
use super::printer::{Block, PrintMode, Printer, PrinterConfig};
use super::reader::{Reader, ReaderConfig, Seen};
use super::truth::{Fate, Item, Mark, Reading, Truth};
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

#[derive(Debug, Clone)]
pub struct PlantConfig {
    pub kind: Kind,
    pub seed: u64,
    pub belt: BeltConfig,
    pub printer: PrinterConfig,
    pub reader: ReaderConfig,
    pub gate: GateConfig,
    /// The belt is on from the beginning.
    pub belt_on: bool,
    /// The belt moves only while the gate's PLC lets it.
    pub needs_gate: bool,
    /// The applicator stops the belt while it has no label.
    pub low_label_interlock: bool,
    /// A person needs this long to change a roll or to close a head.
    pub person_ms: u64,
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
            reader: ReaderConfig::default(),
            gate: GateConfig::default(),
            belt_on: false,
            needs_gate: true,
            low_label_interlock: true,
            person_ms: 3000,
            power_off_ms: 2000,
            codes: Vec::new(),
        }
    }
}

/// The longest stretch without a look at the devices.
const SLICE_NS: u64 = 2 * MS;

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Block(Block),
    Unblock(Block),
    PrinterOff,
    PrinterOn,
    FeedReprint,
    GateOn,
}

/// The item that stands at the head and is not served yet.
#[derive(Debug, Clone, Copy)]
struct AtHead {
    fault: Option<FaultKind>,
    touched: bool,
}

#[derive(Debug)]
pub struct Plant {
    pub(super) config: PlantConfig,
    pub printer: Printer,
    pub reader: Reader,
    pub gate: Gate,
    pub faults: Faults,
    pub(super) belt: Belt,
    pub(super) belt_on: bool,
    pub(super) now_ns: u64,
    agenda: BTreeMap<(u64, u64), Act>,
    agenda_count: u64,
    labels_seen: u64,
    at_head: Option<AtHead>,
    /// Over-printing: which item a label in motion goes onto.
    printing_on: BTreeMap<u64, u64>,
    pub(super) codes: VecDeque<Vec<u8>>,
    /// Items to be put on the belt by hand.
    pub(super) by_hand: VecDeque<u64>,
    pub(super) truth: Truth,
    pub(super) triggers: u64,
    pub(super) printer_connected: bool,
}

impl Plant {
    pub fn new(mut config: PlantConfig, plan: FaultPlan) -> Self {
        if config.kind == Kind::Print {
            config.printer.mode = PrintMode::Demand;
        }
        let seed = config.seed;
        Self {
            printer: Printer::new(config.printer.clone()),
            reader: Reader::new(config.reader.clone(), seed ^ 0x52),
            gate: Gate::new(config.gate.clone()),
            faults: Faults::new(plan, seed),
            belt: Belt::new(config.belt.clone(), seed ^ 0x42),
            belt_on: config.belt_on,
            now_ns: 0,
            agenda: BTreeMap::new(),
            agenda_count: 0,
            labels_seen: 0,
            at_head: None,
            printing_on: BTreeMap::new(),
            codes: config.codes.drain(..).collect(),
            by_hand: VecDeque::new(),
            truth: Truth::default(),
            triggers: 0,
            printer_connected: false,
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
        let nothing_to_come = self.belt.is_dry() || (self.is_pre_printed() && self.codes.is_empty());
        let nothing_on_belt =
            self.at_head.is_none() && self.by_hand.is_empty() && self.belt.carried().next().is_none();
        nothing_to_come && nothing_on_belt && self.gate.at_rest() && self.reader.at_rest()
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
            fate_at_ns: None,
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
        self.printer.step(now_ns);
        self.label_faults();
        if self.config.printer.mode == PrintMode::Demand {
            while let Some(label) = self.printer.take_label(now_ns) {
                match self.printing_on.remove(&label.label_no) {
                    Some(item_no) => self.item_mut(item_no, |item| item.marks.push(label.into())),
                    None => self.truth.labels_fallen.push(label.label_no),
                }
            }
        }
        self.serve_head();
        if (self.belt.is_dry() || !self.supply())
            && let Some(item_no) = self.by_hand.pop_front()
        {
            self.belt.put_on(item_no, 100);
        }
        self.reader.step(now_ns);
        self.gate.set_belt_running(self.belt_moves());
        self.gate.step(now_ns, self.belt.travel_nm(), self.belt.window_nm());
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Block(block) => {
                self.printer.block(self.now_ns, block);
                self.later(self.now_ns + self.config.person_ms * MS, Act::Unblock(block));
            }
            Act::Unblock(block) => self.printer.unblock(self.now_ns, block),
            Act::PrinterOff => {
                self.printer.power_off(self.now_ns);
                self.later(self.now_ns + self.config.power_off_ms * MS, Act::PrinterOn);
            }
            Act::PrinterOn => self.printer.power_on(self.now_ns),
            Act::FeedReprint => self.printer.reprint_last(self.now_ns),
            Act::GateOn => self.gate.power_on(self.now_ns),
        }
    }

    /// A label has begun: what goes wrong with it, and where in it?
    fn label_faults(&mut self) {
        const KINDS: [FaultKind; 5] = [
            FaultKind::RibbonOut,
            FaultKind::MediaOut,
            FaultKind::HeadOpen,
            FaultKind::PrinterPower,
            FaultKind::FeedReprint,
        ];
        while self.labels_seen < self.printer.labels_begun() {
            self.labels_seen += 1;
            let Some(kind) = self.faults.first(&KINDS) else { continue };
            let (moves_ns, done_ns) = self.printer.motion().unwrap_or((self.now_ns, self.now_ns + 1));
            let at_ns = self.faults.stream(kind).u64(moves_ns..done_ns.max(moves_ns + 1));
            let act = match kind {
                FaultKind::RibbonOut => Act::Block(Block::Ribbon),
                FaultKind::MediaOut => Act::Block(Block::Media),
                FaultKind::HeadOpen => Act::Block(Block::Head),
                FaultKind::PrinterPower => Act::PrinterOff,
                _ => Act::FeedReprint,
            };
            self.later(at_ns.max(self.now_ns), act);
        }
    }

    fn is_pre_printed(&self) -> bool {
        self.config.kind == Kind::PrePrinted
    }

    /// More items wait at the infeed.
    fn supply(&self) -> bool {
        !self.is_pre_printed() || !self.codes.is_empty()
    }

    fn arrive(&mut self, arrival: Arrival) {
        match (arrival.station, arrival.item_no) {
            (Station::Head, _) | (_, None) => {
                const LABELLING: [FaultKind; 3] =
                    [FaultKind::Unlabelled, FaultKind::LabelFell, FaultKind::DoubleLabel];
                let labels = self.config.kind == Kind::PrintAndApply;
                let fault = if labels { self.faults.first(&LABELLING) } else { None };
                let touched = !self.belt.next_follows() && self.faults.strikes(FaultKind::NoGap);
                self.at_head = Some(AtHead { fault, touched });
                self.serve_head();
            }
            (Station::Reader, Some(item_no)) => self.at_reader(item_no),
            (Station::Gate, Some(item_no)) => self.at_gate(item_no),
        }
    }

    /// Marks the item at the head, if there is one and its label is there.
    fn serve_head(&mut self) {
        let Some(AtHead { fault, touched }) = self.at_head else { return };
        let now_ns = self.now_ns;
        let mut marks = Vec::new();
        let mut printing = None;
        match (self.config.kind, fault) {
            (Kind::PrePrinted, _) => marks.extend(self.codes.pop_front().map(Mark::pre_printed)),
            (Kind::Print, _) => printing = self.printer.start_signal(now_ns),
            (Kind::PrintAndApply, Some(FaultKind::Unlabelled)) => {}
            (Kind::PrintAndApply, _) => {
                if self.printer.labels_on_web() == 0 && self.config.low_label_interlock {
                    return;
                }
                let first = self.printer.take_label(now_ns);
                if fault == Some(FaultKind::LabelFell) {
                    self.truth.labels_fallen.extend(first.map(|l| l.label_no));
                } else {
                    marks.extend(first.map(Mark::from));
                }
                if fault == Some(FaultKind::DoubleLabel) {
                    marks.extend(self.printer.take_label(now_ns).map(Mark::from));
                }
            }
        }
        self.at_head = None;
        let item_no = self.new_item(marks);
        let noted = fault.into_iter().chain(touched.then_some(FaultKind::NoGap));
        self.item_mut(item_no, |item| item.faults.extend(noted));
        self.printing_on.extend(printing.map(|label_no| (label_no, item_no)));
        self.belt.come(item_no, touched);
        if !touched && let Some(by_hand) = self.by_hand.pop_front() {
            self.belt.put_on(by_hand, 50);
        }
    }

    fn at_reader(&mut self, item_no: u64) {
        let follows = self.belt.get(item_no).is_some_and(|c| c.follows.is_some());
        self.belt.past_reader(item_no);
        if follows {
            return;
        }
        if self.faults.strikes(FaultKind::TriggerMissed) {
            return self.item_mut(item_no, |item| item.faults.push(FaultKind::TriggerMissed));
        }
        let reaches_gate = self.belt.travel_nm() + self.belt.reader_to_gate_nm();
        let Some(tag) = self.gate.trigger(self.now_ns, reaches_gate) else { return };
        self.triggers += 1;
        let in_view = [Some(item_no), self.belt.follower(item_no)];
        let items = in_view.into_iter().flatten().filter_map(|no| self.truth.item(no));
        let whole = items.flat_map(|i| &i.marks).filter_map(|m| Some((m.readable()?, m.gs1)));
        let seen: Vec<Seen> = whole.map(|(bytes, gs1)| Seen { bytes: bytes.to_vec(), gs1 }).collect();
        let (sent, faults) = self.reader.trigger(self.now_ns, &seen, &mut self.faults);
        self.truth.readings.push(Reading { at_ns: self.now_ns, tag, sent, faults });
        self.item_mut(item_no, |item| item.tags.push(tag));
        self.behind_reader(item_no);
    }

    /// People and power between reader and gate.
    fn behind_reader(&mut self, item_no: u64) {
        const KINDS: [FaultKind; 5] = [
            FaultKind::Removed,
            FaultKind::PutBack,
            FaultKind::Moved,
            FaultKind::GatePower,
            FaultKind::GateSilent,
        ];
        let Some(kind) = self.faults.first(&KINDS) else { return };
        self.item_mut(item_no, |item| item.faults.push(kind));
        match kind {
            FaultKind::Removed => {
                self.belt.remove(item_no);
                self.meet(item_no, Fate::Removed);
            }
            FaultKind::PutBack => {
                self.belt.remove(item_no);
                self.by_hand.push_back(item_no);
            }
            FaultKind::Moved => self.belt.hold_back(item_no, 30),
            FaultKind::GatePower => self.gate_power_off(true),
            _ => {
                let silent_ms = self.faults.stream(kind).u64(100..3000);
                self.gate.be_silent_until(self.now_ns + silent_ms * MS);
            }
        }
    }

    fn at_gate(&mut self, item_no: u64) {
        let leader = self.belt.get(item_no).and_then(|c| c.follows).and_then(|no| self.truth.item(no));
        let leaders = leader.and_then(|l| l.fate.map(|fate| (fate, l.escaped)));
        self.belt.remove(item_no);
        if let Some((fate @ (Fate::Passed | Fate::Rejected), escaped)) = leaders {
            // Two items without a gap are one to the gate.
            self.item_mut(item_no, |item| item.escaped = escaped);
            return self.meet(item_no, fate);
        }
        let standing = self.gate.look(self.now_ns, self.belt.travel_nm(), self.belt.window_nm());
        const REJECTING: [FaultKind; 3] =
            [FaultKind::GateLate, FaultKind::GateEscape, FaultKind::RejectUnconfirmed];
        let kinds = if standing.allowed { &[FaultKind::GateStuck][..] } else { &REJECTING };
        let fault = self.faults.first(kinds);
        let mishap = fault.map(|kind| match kind {
            FaultKind::GateStuck => Mishap::Stuck,
            FaultKind::GateLate => Mishap::Late,
            FaultKind::GateEscape => Mishap::Escape,
            _ => Mishap::Unconfirmed,
        });
        let fate = self.gate.act(self.now_ns, standing, mishap);
        self.item_mut(item_no, |item| {
            item.escaped = fate == Fate::Passed && !standing.allowed;
            item.faults.extend(fault);
        });
        self.meet(item_no, fate);
    }

    fn meet(&mut self, item_no: u64, fate: Fate) {
        let now_ns = self.now_ns;
        self.item_mut(item_no, |item| {
            item.fate = Some(fate);
            item.fate_at_ns = Some(now_ns);
        });
        if fate == Fate::Passed {
            self.truth.passed.push(item_no);
        }
    }

    fn item_mut(&mut self, item_no: u64, change: impl FnOnce(&mut Item)) {
        let at = usize::try_from(item_no).ok().and_then(|no| no.checked_sub(1));
        if let Some(item) = at.and_then(|at| self.truth.items.get_mut(at)) {
            change(item);
        }
    }
}
