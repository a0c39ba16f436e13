//! What happens to an item at each station of a plant: head, reader, the stretch behind it, gate.

use super::MS;
use super::belt::{Arrival, Station};
use super::gate::Mishap;
use super::plant::{Act, AtHead, Kind, Plant};
use super::reader::Seen;
use super::truth::{Fate, Mark, Met, Reading};
use crate::fault::FaultKind;

impl Plant {
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match (arrival.station, arrival.item_no) {
            (Station::Head, _) | (_, None) => {
                const LABELLING: [FaultKind; 3] =
                    [FaultKind::Unlabelled, FaultKind::LabelFell, FaultKind::DoubleLabel];
                let labels = self.applicator().map_or(0, |at| self.printers[at].labels_on_web().min(2));
                let possible = if self.config.kind == Kind::PrintAndApply { labels + 1 } else { 0 };
                let fault = self.faults.first(&LABELLING[..possible]);
                let more = self.belt.more_after_next()
                    && (self.config.kind != Kind::PrePrinted || self.codes.len() > 1);
                let touched = more && !self.belt.next_follows() && self.faults.strikes(FaultKind::NoGap);
                self.at_head = Some(AtHead { fault, touched });
                self.serve_head();
            }
            (Station::Reader, Some(item_no)) => self.at_reader(item_no),
            (Station::Gate, Some(item_no)) => self.at_gate(item_no),
        }
    }

    /// Marks the item at the head, if there is one and its label is there.
    pub(super) fn serve_head(&mut self) {
        let Some(AtHead { fault, touched }) = self.at_head else { return };
        let now_ns = self.now_ns;
        let mut marks = Vec::new();
        let mut printing = None;
        match (self.config.kind, fault) {
            (Kind::PrePrinted, _) => {
                let code = self.codes.pop_front();
                if self.faults.strikes(FaultKind::HouseTwice) {
                    code.iter().for_each(|code| self.codes.push_front(code.clone()));
                }
                marks.extend(code.map(Mark::pre_printed));
            }
            (Kind::Print, _) => {
                let begun =
                    self.by_turns().find_map(|at| Some((at, self.printers[at].start_signal(now_ns)?)));
                begun.into_iter().for_each(|(at, _)| self.took_its_turn(at));
                printing = begun.map(|(_, label_no)| label_no);
            }
            (Kind::PrintAndApply, Some(FaultKind::Unlabelled)) => self.took_its_turn(self.turn),
            (Kind::PrintAndApply, _) => {
                let applicator = self.applicator();
                if applicator.is_none() && self.config.low_label_interlock {
                    return;
                }
                let at = applicator.unwrap_or(self.turn);
                self.took_its_turn(at);
                let first = self.printers[at].take_label(now_ns);
                if fault == Some(FaultKind::LabelFell) {
                    self.truth.labels_fallen.extend(first.map(|l| l.label_no));
                } else {
                    marks.extend(first.map(Mark::from));
                }
                if fault == Some(FaultKind::DoubleLabel) {
                    marks.extend(self.printers[at].take_label(now_ns).map(Mark::from));
                }
            }
        }
        self.at_head = None;
        let item_no = self.new_item(marks);
        let noted = fault.into_iter().chain(touched.then_some(FaultKind::NoGap));
        self.item_mut(item_no, |item| item.faults.extend(noted));
        self.printing_on.extend(printing.map(|label_no| (label_no, item_no)));
        self.belt.come(item_no, touched);
        if !touched && let Some(by_hand) = self.next_by_hand() {
            self.belt.put_on(by_hand, 50);
        }
    }

    /// The applicator that labels the item at the head: the one whose turn it is, or the next that has a label.
    fn applicator(&self) -> Option<usize> {
        self.by_turns().find(|at| self.printers[*at].labels_on_web() > 0)
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
        let neighbour = self.neighbour().filter(|_| self.faults.strikes(FaultKind::NeighbourRead));
        let seen = neighbour.clone().unwrap_or(seen);
        let (sent, mut faults) = self.reader.trigger(self.now_ns, &seen, &mut self.faults);
        faults.extend(neighbour.map(|_| FaultKind::NeighbourRead));
        self.truth.readings.push(Reading { at_ns: self.now_ns, tag, sent, faults });
        self.item_mut(item_no, |item| item.tags.push(tag));
        self.behind_reader(item_no);
    }

    /// The mark of the item before, which still stands near, as long as that item has leave to pass. Of one that nobody
    /// read its code on the next item cannot be told from an item without a label and the next label behind it: no
    /// agent can, that has but codes to go by.
    fn neighbour(&self) -> Option<Vec<Seen>> {
        let before = self.truth.readings.last()?;
        if !self.gate.has_leave(before.tag) {
            return None;
        }
        let item = self.truth.items.iter().rev().find(|i| i.tags.last() == Some(&before.tag))?;
        // What somebody has taken off stands before no reader.
        item.fate.is_none().then_some(())?;
        let marks =
            item.marks.iter().filter_map(|m| Some(Seen { bytes: m.readable()?.to_vec(), gs1: m.gs1 }));
        Some(marks.collect()).filter(|marks: &Vec<Seen>| !marks.is_empty())
    }

    /// People and power between reader and gate.
    fn behind_reader(&mut self, item_no: u64) {
        const KINDS: [FaultKind; 6] = [
            FaultKind::Removed,
            FaultKind::PutBack,
            FaultKind::Moved,
            FaultKind::GatePower,
            FaultKind::GateSilent,
            FaultKind::BeltStop,
        ];
        let Some(kind) = self.faults.first(&KINDS) else { return };
        self.item_mut(item_no, |item| item.faults.push(kind));
        match kind {
            FaultKind::Removed => {
                self.belt.remove(item_no);
                self.meet(item_no, Fate::Removed, false);
            }
            FaultKind::PutBack => {
                self.belt.remove(item_no);
                self.by_hand.push_back((self.now_ns + self.config.hand_ms * MS, item_no));
            }
            FaultKind::Moved => self.belt.hold_back(item_no, 30),
            FaultKind::GatePower => self.gate_power_off(true),
            FaultKind::BeltStop => {
                self.belt_on = false;
                let stands_ms = self.faults.stream(kind).u64(100..4_000);
                self.later(self.now_ns + stands_ms * MS, Act::BeltOn);
            }
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
            return self.meet(item_no, fate, false);
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
        self.meet(item_no, fate, standing.tag.is_some());
    }

    pub(super) fn meet(&mut self, item_no: u64, fate: Fate, known: bool) {
        let now_ns = self.now_ns;
        self.item_mut(item_no, |item| {
            item.fate = Some(fate);
            item.met.push(Met { tag: item.tags.last().copied(), known, fate, at_ns: now_ns });
        });
        if fate == Fate::Passed {
            self.truth.passed.push(item_no);
        }
    }
}
