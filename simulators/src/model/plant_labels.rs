//! What goes wrong with labels and answers of a plant's printers, and what people do to their rolls and their queues.

use super::MS;
use super::plant::{Act, Plant};
use super::printer::Block;
use super::printer_trips::{Slip, Slipped};
use crate::fault::FaultKind;

impl Plant {
    /// A label of this printer has begun: what goes wrong with it, and where in it?
    pub(super) fn label_faults(&mut self, at: usize) {
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
        while self.labels_seen[at] < self.printers[at].labels_begun() {
            self.labels_seen[at] += 1;
            let possible = if self.printers[at].has_last() { &KINDS[..] } else { &KINDS[..12] };
            let Some(kind) = self.faults.first(possible) else { continue };
            let (moves_ns, done_ns) = self.printers[at].motion().unwrap_or((self.now_ns, self.now_ns + 1));
            let at_ns = self.faults.stream(kind).u64(moves_ns..done_ns.max(moves_ns + 1));
            let act = match kind {
                FaultKind::RibbonOut => Act::Block(at, Block::Ribbon),
                FaultKind::MediaOut => Act::Block(at, Block::Media),
                FaultKind::HeadOpen => Act::Block(at, Block::Head),
                FaultKind::PrinterPower => Act::PrinterOff(at),
                FaultKind::FeedReprint => Act::FeedReprint(at),
                _ => {
                    self.trip(at, kind);
                    continue;
                }
            };
            if matches!(act, Act::Block(..)) && self.faults.strikes(FaultKind::ReprintAnyway) {
                self.printers[at].reprint_anyway();
            }
            self.later(at_ns.max(self.now_ns), act);
        }
    }

    fn trip(&mut self, at: usize, kind: FaultKind) {
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
                let Some(like) = self.printers[at].symbol() else { return };
                let codes = (0..few).map(|_| stranger(&like, self.faults.stream(kind))).collect();
                Slip::Neighbours { codes }
            }
            FaultKind::OdometerStep => return self.printers[at].miscount(1),
            _ => return self.printers[at].miscount(-1),
        };
        self.slip(at, &slip);
    }

    /// Lets the labels of one printer slip; `None` where nothing could.
    pub fn slip(&mut self, at: usize, slip: &Slip) -> Option<Slipped> {
        let printer = self.printers.get_mut(at)?;
        let on_web: Vec<u64> = printer.web.iter().map(|l| l.label_no).collect();
        let slipped = printer.slip(self.now_ns, slip)?;
        if *slip == Slip::RollChanged {
            self.truth.labels_fallen.extend(on_web);
        }
        Some(slipped)
    }

    /// Answers of one printer since the last call, as far as they leave now.
    pub fn printer_answers(&mut self, at: usize) -> Vec<u8> {
        let Some(printer) = self.printers.get_mut(at).filter(|p| p.may_answer(self.now_ns)) else {
            return Vec::new();
        };
        match self.faults.first(&[FaultKind::PrinterLate, FaultKind::PrinterTwice]) {
            None => printer.take_answers(),
            Some(FaultKind::PrinterTwice) => printer.take_answers().repeat(2),
            Some(kind) => {
                let late_ms = self.faults.stream(kind).u64(50..3_000);
                printer.answer_not_before(self.now_ns + late_ms * MS);
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
