//! What goes wrong with labels and answers of a plant's printer, and what people do to its rolls and its queue.

use super::MS;
use super::plant::{Act, Plant};
use super::printer::Block;
use super::printer_trips::{Slip, Slipped};
use crate::fault::FaultKind;

impl Plant {
    /// A label has begun: what goes wrong with it, and where in it?
    pub(super) fn label_faults(&mut self) {
        const KINDS: [FaultKind; 13] = [
            FaultKind::RibbonOut,
            FaultKind::MediaOut,
            FaultKind::HeadOpen,
            FaultKind::PrinterPower,
            FaultKind::RollChanged,
            FaultKind::LabelDoubled,
            FaultKind::LabelSkipped,
            FaultKind::QueueShifted,
            FaultKind::OldAgain,
            FaultKind::NeighbourJob,
            FaultKind::OdometerStep,
            FaultKind::OdometerMissed,
            FaultKind::FeedReprint,
        ];
        while self.labels_seen < self.printer.labels_begun() {
            self.labels_seen += 1;
            let possible = if self.printer.has_last() { &KINDS[..] } else { &KINDS[..12] };
            let Some(kind) = self.faults.first(possible) else { continue };
            let (moves_ns, done_ns) = self.printer.motion().unwrap_or((self.now_ns, self.now_ns + 1));
            let at_ns = self.faults.stream(kind).u64(moves_ns..done_ns.max(moves_ns + 1));
            let act = match kind {
                FaultKind::RibbonOut => Act::Block(Block::Ribbon),
                FaultKind::MediaOut => Act::Block(Block::Media),
                FaultKind::HeadOpen => Act::Block(Block::Head),
                FaultKind::PrinterPower => Act::PrinterOff,
                FaultKind::FeedReprint => Act::FeedReprint,
                _ => {
                    self.trip(kind);
                    continue;
                }
            };
            if matches!(act, Act::Block(_)) && self.faults.strikes(FaultKind::ReprintAnyway) {
                self.printer.reprint_anyway();
            }
            self.later(at_ns.max(self.now_ns), act);
        }
    }

    fn trip(&mut self, kind: FaultKind) {
        let few = self.faults.stream(kind).usize(1..=4);
        let slip = match kind {
            FaultKind::RollChanged => Slip::RollChanged,
            FaultKind::LabelDoubled => Slip::Doubled,
            FaultKind::LabelSkipped => {
                let counted = self.faults.stream(kind).bool();
                Slip::Skipped { labels: few, counted }
            }
            FaultKind::QueueShifted => Slip::Shifted { jobs: few },
            FaultKind::OldAgain => Slip::OldAgain { labels: few },
            FaultKind::NeighbourJob => {
                let Some(like) = self.printer.symbol() else { return };
                let codes = (0..few).map(|_| stranger(&like, self.faults.stream(kind))).collect();
                Slip::Neighbours { codes }
            }
            FaultKind::OdometerStep => return self.printer.miscount(1),
            _ => return self.printer.miscount(-1),
        };
        self.slip(&slip);
    }

    /// Lets the labels of the printer slip; `None` where nothing could.
    pub fn slip(&mut self, slip: &Slip) -> Option<Slipped> {
        let on_web: Vec<u64> = self.printer.web.iter().map(|l| l.label_no).collect();
        let slipped = self.printer.slip(self.now_ns, slip)?;
        if *slip == Slip::RollChanged {
            self.truth.labels_fallen.extend(on_web);
        }
        Some(slipped)
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
}

/// A code like this one, and nobody's: the first AI keeps its value, what follows is another.
fn stranger(like: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    const SERIAL_AT: usize = 18;
    let mut code = like.to_vec();
    let serial = code.iter_mut().skip(SERIAL_AT).take_while(|b| **b != 0x1D);
    serial.for_each(|b| *b = rng.u8(b'A'..=b'Z'));
    code
}
