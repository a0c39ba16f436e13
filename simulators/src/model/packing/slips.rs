//! What goes wrong at a desk: with things on their way from the table into the box, with labels, with the scanner, with the
//! printer; and what is right and seldom: a box closed short, emptied, a thing taken out, with the agent's knowledge.

use super::super::printer::Block;
use super::super::printer_trips::Slip;
use super::person::{About, Hand, Waits};
use super::{Act, Desk, Stage, Thing, Wish};
use crate::fault::FaultKind;

impl Desk {
    /// The thing was taken by the agent, and goes into the box.
    pub(super) fn put_in(&mut self, thing: Thing) {
        const KINDS: [FaultKind; 7] = [
            FaultKind::PackDropped,
            FaultKind::WrongBox,
            FaultKind::ScannedTwice,
            FaultKind::TakenOutUnseen,
            FaultKind::OutAsked,
            FaultKind::ShortAsked,
            FaultKind::VoidAsked,
        ];
        let kind = self.faults.first(&KINDS);
        let own = self.carton().no;
        match kind {
            Some(kind @ FaultKind::PackDropped) => {
                self.slipped(kind, Some(thing.clone()), vec![own]);
                self.lost.push(thing);
                return;
            }
            Some(kind @ FaultKind::WrongBox) => {
                let other = self.other_carton(kind);
                let other_no = self.carton_at(other).no;
                self.slipped(kind, Some(thing.clone()), vec![own, other_no]);
                self.carton_at(other).things.push(thing);
                return;
            }
            _ => self.carton().things.push(thing.clone()),
        }
        match kind {
            Some(FaultKind::ScannedTwice) => self.scan(thing.symbol.as_deref(), About::Else),
            Some(kind @ FaultKind::TakenOutUnseen) => self.take_out_unseen(kind, self.at),
            Some(kind @ FaultKind::OutAsked) => {
                let things = self.carton().things.len();
                let at = self.faults.stream(kind).usize(..things);
                let symbol = self.carton().things[at].symbol.clone();
                self.wish = symbol.map(Wish::Out);
            }
            Some(FaultKind::ShortAsked) => self.wish = Some(Wish::Short),
            Some(FaultKind::VoidAsked) => self.wish = Some(Wish::Void),
            _ => {}
        }
    }

    pub(super) fn put_in_unscanned(&mut self, thing: Thing) {
        let own = self.carton().no;
        self.slipped(FaultKind::Unscanned, Some(thing.clone()), vec![own]);
        self.carton().things.push(thing);
    }

    /// Somebody takes one thing out of a box; it is gone, or lies on the table again.
    fn take_out_unseen(&mut self, kind: FaultKind, at: usize) {
        let (own, things) = (self.carton_at(at).no, self.carton_at(at).things.len());
        if things == 0 {
            return;
        }
        let place = self.faults.stream(kind).usize(..things);
        let thing = self.carton_at(at).things.remove(place);
        self.slipped(kind, Some(thing.clone()), vec![own]);
        if self.faults.stream(kind).bool() { self.lost.push(thing) } else { self.table.push_front(thing) }
    }

    /// A box was closed: somebody opens one that is closed.
    pub(super) fn reopened(&mut self) {
        const KIND: FaultKind = FaultKind::BoxReopened;
        if !self.faults.strikes(KIND) {
            return;
        }
        let at = self.faults.stream(KIND).usize(..self.at);
        match self.faults.stream(KIND).bool() {
            true => self.take_out_unseen(KIND, at),
            false => {
                let Some(thing) = self.table.pop_front() else { return };
                let own = self.carton_at(at).no;
                self.slipped(KIND, Some(thing.clone()), vec![own]);
                self.carton_at(at).things.push(thing);
            }
        }
    }

    /// Another box than the one that is being filled: one that is done, or the next.
    fn other_carton(&mut self, kind: FaultKind) -> usize {
        let at = self.at;
        match self.faults.stream(kind).bool() {
            true if at > 0 => self.faults.stream(kind).usize(..at),
            _ => at + 1,
        }
    }

    // ---- scans

    /// Scans what stands there; what arrives of it is another question.
    pub(super) fn scan(&mut self, symbol: Option<&[u8]>, about: About) {
        self.heard.clear();
        self.waits = Waits::Sound { since_ns: self.now_ns, about };
        let Some(symbol) = symbol else { return };
        const KINDS: [FaultKind; 6] = [
            FaultKind::ScanLost,
            FaultKind::ScannerPulled,
            FaultKind::Misread,
            FaultKind::LineCut,
            FaultKind::GsLost,
            FaultKind::GsReplaced,
        ];
        let mut sent = symbol.to_vec();
        match self.faults.first(&KINDS) {
            None => {}
            Some(FaultKind::ScanLost) => return,
            Some(kind @ FaultKind::ScannerPulled) => {
                self.plugged_in = false;
                let away_ms = self.faults.stream(kind).u64(100..3_000);
                return self.later(away_ms, Act::PlugIn);
            }
            Some(kind @ FaultKind::Misread) => {
                super::super::reader::misread(&mut sent, self.faults.stream(kind));
            }
            Some(kind @ FaultKind::LineCut) => {
                let len = self.faults.stream(kind).usize(..sent.len().max(1));
                sent.truncate(len);
            }
            Some(FaultKind::GsLost) => sent.retain(|b| *b != 0x1D),
            Some(_) => {
                sent = sent.split(|b| *b == 0x1D).collect::<Vec<_>>().join(&self.config.gs_replacement[..])
            }
        }
        if !self.connected {
            return;
        }
        if let Some(name) = sent.len().checked_sub(18).map(|at| &sent[at..])
            && name.iter().all(u8::is_ascii_digit)
        {
            self.names_sent.insert(name.to_vec());
        }
        self.out.extend_from_slice(&[&sent[..], &self.config.terminator].concat());
    }

    /// Scans something that does not belong into this box.
    pub(super) fn scan_stray(&mut self) {
        const KIND: FaultKind = FaultKind::StrangerScanned;
        let own = self.carton().no;
        let stray = match self.faults.stream(KIND).u8(..5) {
            0 => self.strays.last().cloned().and_then(|thing| self.stray_thing(thing, own)),
            1 => self.aside.last().cloned().and_then(|thing| self.stray_thing(thing, own)),
            2 if self.at > 0 => {
                let at = self.faults.stream(KIND).usize(..self.at);
                let thing = self.carton_at(at).things.last().cloned();
                thing.and_then(|thing| self.stray_thing(thing, own))
            }
            3 if self.at > 0 => {
                let at = self.faults.stream(KIND).usize(..self.at);
                self.carton_at(at).labels.last().cloned()
            }
            _ => None,
        };
        self.scan(Some(&stray.unwrap_or_else(|| b"4600000000015".to_vec())), About::Else);
    }

    /// Something that lies elsewhere is scanned for this box: where nobody knows that it is packed already, it is in the
    /// data from here on.
    fn stray_thing(&mut self, thing: Thing, own: u64) -> Option<Vec<u8>> {
        let symbol = thing.symbol.clone();
        self.slipped(FaultKind::StrangerScanned, Some(thing), vec![own]);
        symbol
    }

    // ---- labels

    /// Takes the next label of the roll, or of another roll.
    pub(super) fn label_of_roll(&mut self) {
        const KIND: FaultKind = FaultKind::WrongRoll;
        if self.faults.strikes(KIND) {
            let used = self.cartons.iter().rev().find_map(|carton| carton.labels.last().cloned());
            let other = match (self.faults.stream(KIND).bool(), used) {
                (true, Some(used)) => used,
                _ => b"(410)4780000000007".to_vec(),
            };
            return self.stick_on(other);
        }
        if let Some(symbol) = self.roll.pop_front() {
            self.stick_on(symbol);
        }
    }

    /// Sticks a label on the box, and holds the scanner on it next.
    pub(super) fn stick_on(&mut self, symbol: Vec<u8>) {
        const KINDS: [FaultKind; 3] =
            [FaultKind::LabelLost, FaultKind::LabelWrongBox, FaultKind::ReprintAsked];
        let kinds = if self.has_roll { &KINDS[..2] } else { &KINDS };
        let mut on = self.at;
        match self.faults.first(kinds) {
            Some(FaultKind::LabelLost) => {
                if !self.has_roll {
                    self.wish = Some(Wish::Reprint);
                }
                return;
            }
            Some(kind @ FaultKind::LabelWrongBox) => {
                on = self.other_carton(kind);
                let cartons = vec![self.carton().no, self.carton_at(on).no];
                self.slipped(kind, None, cartons);
            }
            Some(_) => self.wish = Some(Wish::Reprint),
            None => {}
        }
        self.carton_at(on).labels.push(symbol.clone());
        self.hand = Hand::Label { symbol, on, tries: 0 };
    }

    /// A label has begun: what goes wrong with it?
    pub(super) fn label_fault(&mut self) {
        const KINDS: [FaultKind; 8] = [
            FaultKind::RibbonOut,
            FaultKind::MediaOut,
            FaultKind::HeadOpen,
            FaultKind::PrinterPower,
            FaultKind::LabelDoubled,
            FaultKind::OldAgain,
            FaultKind::OdometerMissed,
            FaultKind::FeedReprint,
        ];
        let possible = if self.printer.has_last() { &KINDS[..] } else { &KINDS[..7] };
        let Some(kind) = self.faults.first(possible) else { return };
        let now_ns = self.now_ns;
        match kind {
            FaultKind::RibbonOut => self.blocked(Block::Ribbon),
            FaultKind::MediaOut => self.blocked(Block::Media),
            FaultKind::HeadOpen => self.blocked(Block::Head),
            FaultKind::PrinterPower => {
                self.printer.power_off(now_ns);
                self.later(self.config.power_off_ms, Act::PrinterOn);
            }
            FaultKind::LabelDoubled => drop(self.printer.slip(now_ns, &Slip::Doubled)),
            FaultKind::OldAgain => drop(self.printer.slip(now_ns, &Slip::OldAgain { labels: 1 })),
            FaultKind::OdometerMissed => self.printer.miscount(-1),
            _ => self.printer.reprint_last(now_ns),
        }
    }

    fn blocked(&mut self, block: Block) {
        if self.faults.strikes(FaultKind::ReprintAnyway) {
            self.printer.reprint_anyway();
        }
        self.printer.block(self.now_ns, block);
        self.later(self.config.mend_ms, Act::Unblock(block));
    }

    /// Boxes that are done; the oracle of a desk asks for no others.
    pub fn boxes_done(&self) -> usize {
        self.cartons.iter().filter(|c| c.stage == Stage::Done).count()
    }
}
