//! What people and connections do to a plant, and what it tells of itself.

use super::MS;
use super::plant::{Act, Plant};
use super::printer::{Block, Printer};
use super::truth::{Fate, Item, Mark, PrintedLabel, Reading, Summary, Truth};
use crate::fault::FaultKind;

/// An order of a person at the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    BeltStart,
    BeltStop,
    PrinterPowerCycle,
    PrinterOff,
    PrinterOn,
    RibbonOut,
    RibbonIn,
    MediaOut,
    MediaIn,
    HeadOpen,
    HeadClose,
    /// Prints the last label again at the panel.
    FeedReprint,
    GatePowerCycle,
    GateOff,
    GateOn,
    EmptyBin,
}

impl Plant {
    /// Orders at a printer mean the first one.
    pub fn order(&mut self, order: Order) {
        self.order_at(0, order);
    }

    /// The same, at the printer with this place.
    pub fn order_at(&mut self, at: usize, order: Order) {
        let now_ns = self.now_ns;
        let Some(printer) = self.printers.get_mut(at) else { return };
        match order {
            Order::BeltStart => self.belt_on = true,
            Order::BeltStop => self.belt_on = false,
            Order::PrinterPowerCycle => {
                printer.power_off(now_ns);
                self.later(now_ns + self.config.power_off_ms * MS, Act::PrinterOn(at));
            }
            Order::PrinterOff => printer.power_off(now_ns),
            Order::PrinterOn => printer.power_on(now_ns),
            Order::RibbonOut => printer.block(now_ns, Block::Ribbon),
            Order::RibbonIn => printer.unblock(now_ns, Block::Ribbon),
            Order::MediaOut => printer.block(now_ns, Block::Media),
            Order::MediaIn => printer.unblock(now_ns, Block::Media),
            Order::HeadOpen => printer.block(now_ns, Block::Head),
            Order::HeadClose => printer.unblock(now_ns, Block::Head),
            Order::FeedReprint => printer.reprint_last(now_ns),
            Order::GatePowerCycle => self.gate_power_off(true),
            Order::GateOff => self.gate_power_off(false),
            Order::GateOn => self.gate.power_on(now_ns),
            Order::EmptyBin => self.gate.empty_bin(),
        }
    }

    /// Puts items with these codes on the belt by hand, between head and reader.
    pub fn put_on(&mut self, codes: impl IntoIterator<Item = Vec<u8>>) {
        for code in codes {
            let item_no = self.new_item(vec![Mark::pre_printed(code)]);
            self.by_hand.push_back((self.now_ns, item_no));
        }
    }

    /// Adds pre-printed items at the infeed.
    pub fn supply_codes(&mut self, codes: impl IntoIterator<Item = Vec<u8>>) {
        self.codes.extend(codes);
    }

    /// Picks a rejected or removed item up and puts it before the reader again. False if it lies nowhere to be had.
    pub fn feed_again(&mut self, item_no: u64) -> bool {
        let at = usize::try_from(item_no).ok().and_then(|no| no.checked_sub(1));
        let Some(item) = at.and_then(|at| self.truth.items.get_mut(at)) else { return false };
        let lies_here = !self.elsewhere.contains(&item_no);
        if !lies_here || !matches!(item.fate, Some(Fate::Rejected | Fate::Removed)) {
            return false;
        }
        item.fate = None;
        self.by_hand.push_back((self.now_ns, item_no));
        true
    }

    /// Somebody takes an item off the belt, or keeps the one in hand. False if it is in neither place.
    pub fn take_off(&mut self, item_no: u64) -> bool {
        let in_hand = self.by_hand.iter().position(|(_, one)| *one == item_no);
        if let Some(at) = in_hand {
            self.by_hand.remove(at);
        } else if self.belt.get(item_no).is_some() {
            self.belt.remove(item_no);
        } else {
            return false;
        }
        self.meet(item_no, Fate::Removed, false);
        true
    }

    /// Somebody carries an item from the belt or the bin to another line; its marks, where it can be had. From here on it
    /// is taken off here, and the other line's: [`Plant::take_in`].
    pub fn hand_over(&mut self, item_no: u64) -> Option<Vec<Mark>> {
        let item = self.truth.item(item_no).filter(|i| !i.marks.is_empty())?;
        let (fate, marks) = (item.fate, item.marks.iter().map(|m| Mark { label_no: None, ..m.clone() }));
        let marks = marks.collect();
        match fate {
            None if self.take_off(item_no) => {}
            Some(Fate::Rejected) => self.item_mut(item_no, |item| item.fate = Some(Fate::Removed)),
            _ => return None,
        }
        self.elsewhere.insert(item_no);
        Some(marks)
    }

    /// Puts an item of another line on the belt, between head and reader; its number here.
    pub fn take_in(&mut self, marks: Vec<Mark>) -> u64 {
        let item_no = self.new_item(marks);
        self.by_hand.push_back((self.now_ns, item_no));
        item_no
    }

    /// An item as it is now.
    pub fn item(&self, item_no: u64) -> Option<&Item> {
        self.truth.item(item_no)
    }

    /// Items that came by themselves.
    pub fn items_come(&self) -> u64 {
        self.belt.items_come()
    }

    pub(super) fn gate_power_off(&mut self, comes_back: bool) {
        if self.gate.is_up() {
            self.truth.triggers_forgotten += u64::from(self.gate.unheard());
        }
        self.gate.power_off();
        if comes_back {
            self.later(self.now_ns + self.config.power_off_ms * MS, Act::GateOn);
        }
    }

    /// Bytes from a printer's host; returns how many the printer took.
    pub fn printer_receive(&mut self, at: usize, bytes: &[u8]) -> usize {
        self.printers.get_mut(at).map_or(0, |printer| printer.receive(self.now_ns, bytes))
    }

    pub fn set_printer_connected(&mut self, at: usize, connected: bool) {
        if let (Some(printer), Some(is)) = (self.printers.get_mut(at), self.printers_connected.get_mut(at)) {
            *is = connected;
            if !connected {
                printer.take_answers();
            }
        }
    }

    /// Answers one Modbus frame; `None` where no answer comes.
    pub fn gate_request(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let answer = self.gate.request(self.now_ns, frame)?;
        (!self.faults.strikes(FaultKind::GateAnswerLost)).then_some(answer)
    }

    /// A chunk of `len` bytes crosses the wire: after how many of them the connection breaks, if it does.
    pub fn cut(&mut self, kind: FaultKind, len: usize) -> Option<usize> {
        (len > 0 && self.faults.strikes(kind)).then(|| self.faults.stream(kind).usize(..len))
    }

    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// A copy of everything that physically happened so far.
    pub fn truth(&self) -> Truth {
        Truth {
            labels: self.labels(),
            labels_unasked: self.printers.iter().flat_map(Printer::unasked).copied().collect(),
            ..self.truth.clone()
        }
    }

    /// The labels of all printers, in the order in which they became physical.
    fn labels(&self) -> Vec<PrintedLabel> {
        let mut labels: Vec<PrintedLabel> = self.printers.iter().flat_map(Printer::log).cloned().collect();
        labels.sort_by_key(|label| label.at_ns);
        labels
    }

    /// The numbers of the items behind the gate, in order.
    pub fn passed(&self) -> &[u64] {
        &self.truth.passed
    }

    /// All items so far, in the order in which they came.
    pub fn items(&self) -> &[Item] {
        &self.truth.items
    }

    /// What the reader said, trigger by trigger.
    pub fn readings(&self) -> &[Reading] {
        &self.truth.readings
    }

    pub fn items_on_belt(&self) -> usize {
        self.belt.carried().count()
    }

    pub fn summary(&self) -> Summary {
        let labels = || self.printers.iter().flat_map(Printer::log);
        let sum = |of: fn(&Printer) -> u64| self.printers.iter().map(of).sum();
        let items = &self.truth.items;
        let count_labels = |is: fn(&PrintedLabel) -> bool| labels().filter(|l| is(l)).count() as u64;
        let fate = |fate: Fate| items.iter().filter(|i| i.fate == Some(fate)).count() as u64;
        Summary {
            now_ms: self.now_ns / MS,
            belt_on: self.belt_on,
            belt_moving: self.belt_moves(),
            labels_printed: labels().count() as u64,
            labels_damaged: count_labels(|l| l.damaged),
            labels_reprinted: count_labels(|l| l.reprint),
            labels_on_web: self.labels_on_webs() as u64,
            formats_waiting: sum(|p| p.formats_waiting() as u64),
            odometer: sum(Printer::odometer),
            items: items.len() as u64,
            items_on_belt: self.items_on_belt() as u64,
            unmarked: items.iter().filter(|i| i.marks.is_empty()).count() as u64,
            triggers: self.triggers,
            readings_sent: self.truth.readings.iter().filter(|r| r.sent.is_some()).count() as u64,
            passed: fate(Fate::Passed),
            rejected: fate(Fate::Rejected),
            removed: fate(Fate::Removed),
            escaped: items.iter().filter(|i| i.escaped).count() as u64,
            gate_boot: self.gate.boot(),
            printer_up: self.printers.iter().all(Printer::is_up),
            printer_blocked: self.printers.iter().any(|p| p.blocks().next().is_some()),
            printer_connected: self.printers_connected.iter().all(|is| *is),
            reader_connected: self.reader.is_connected(),
            faults_struck: self.faults.struck_total(),
            finished: self.finished(),
        }
    }
}
