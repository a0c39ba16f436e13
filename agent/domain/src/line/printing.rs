//! Codes on their way to a printer, and what printers say of them.

use super::{Effect, JobId, Line, LineKind, PrinterEvent};
use crate::code::Identity;
use crate::day::Day;
use crate::ids::PrinterNo;
use crate::limits::ISSUE_MAX;
use crate::line::commits::After;
use crate::record::{JobOutcome, Record, RunPlan};
use crate::time::{Time, Wall};

/// Jobs refused one after another by a printer that is ready, before the line stops.
const REFUSED_MAX: u32 = 20;

/// The text fields that a label may show.
pub(super) fn fields(plan: &RunPlan, name: &str, code: &Identity) -> Vec<(String, String)> {
    // Declared days have no zone: what a person declared is what stands on the label.
    let date = |day: Day| {
        let dotted = |d: time::Date| format!("{:02}.{:02}.{}", d.day(), u8::from(d.month()), d.year());
        day.date().map(dotted).unwrap_or_default()
    };
    vec![
        ("gtin".to_owned(), plan.gtin.to_string()),
        ("name".to_owned(), name.to_owned()),
        ("serial".to_owned(), String::from_utf8_lossy(code.serial.as_bytes()).into_owned()),
        ("batch".to_owned(), plan.batch.clone()),
        ("production".to_owned(), date(plan.production)),
        ("expiry".to_owned(), plan.expiry.map(date).unwrap_or_default()),
    ]
}

impl Line {
    pub(super) fn on_printer(
        &mut self,
        no: PrinterNo,
        event: PrinterEvent,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let Some(printer) = self.printers.get_mut(usize::from(no.0)) else { return };
        match event {
            PrinterEvent::Ready => {
                printer.connected = true;
                printer.ready = true;
                match self.printers_away() {
                    away if away.is_empty() => self.clear("alarm.printer_lost", wall),
                    away if self.alarms.contains_key("alarm.printer_lost") => {
                        self.raise("alarm.printer_lost", &away.join(", "), wall);
                    }
                    _ => {}
                }
            }
            PrinterEvent::NotReady => printer.ready = false,
            PrinterEvent::Disconnected => {
                printer.connected = false;
                printer.ready = false;
                printer.faults.clear();
                let lost = self.printers_away().join(", ");
                self.raise("alarm.printer_lost", &lost, wall);
            }
            PrinterEvent::Printed(job) => self.outcome(no, job, JobOutcome::Printed, wall),
            PrinterEvent::Refused(job) => self.outcome(no, job, JobOutcome::Refused, wall),
            PrinterEvent::Doubtful(job) => self.outcome(no, job, JobOutcome::Doubtful, wall),
            PrinterEvent::Fault(f) => {
                if !printer.faults.contains(&f) {
                    printer.faults.push(f);
                }
            }
            PrinterEvent::Cleared(f) => printer.faults.retain(|x| *x != f),
        }
        let _ = out;
    }

    /// Printers that are not connected, by name: one alarm tells of all of them.
    fn printers_away(&self) -> Vec<String> {
        let away = (0..).map(PrinterNo).zip(&self.printers).filter(|(_, p)| !p.connected);
        away.map(|(no, _)| self.printer_name(no)).collect()
    }

    fn printer_name(&self, no: PrinterNo) -> String {
        self.config.device_names.printers.get(usize::from(no.0)).cloned().unwrap_or_else(|| no.to_string())
    }

    fn outcome(&mut self, no: PrinterNo, job: JobId, outcome: JobOutcome, wall: Wall) {
        let Some(printer) = self.printers.get_mut(usize::from(no.0)) else { return };
        // A second outcome of a job, or one of a job before a restart, is the driver's bug or history: either way the
        // store has what counts.
        let Some(code) = printer.jobs.remove(&job) else { return };
        printer.refused =
            if outcome == JobOutcome::Refused && printer.ready { printer.refused + 1 } else { 0 };
        match outcome {
            JobOutcome::Refused => printer.tracker.gone(&code),
            JobOutcome::Doubtful => printer.tracker.doubtful(job.issue),
            JobOutcome::Printed | JobOutcome::Open => {}
        }
        self.lazy(Record::Job { run: job.run, code, outcome, at: wall });
    }

    /// Asks the store for codes, as many as the printers may have and the run still wants.
    pub(super) fn issue(&mut self, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        if !self.running() || self.pool_empty.is_some_and(|again| now < again) {
            return;
        }
        self.pool_empty = None;
        self.refused_for_itself(wall, out);
        if !self.running() {
            return;
        }
        let Some(run) = &self.run else { return };
        let (id, quantity) = (run.id, run.plan.quantity);
        let day_ends = self.config.zone.ends(run.plan.production);
        let mut wanted = match quantity {
            0 => u32::MAX,
            q => q.saturating_sub(run.passed).saturating_sub(self.coming()),
        };
        let life_left_min_ms = i64::try_from(self.config.life_left_min.as_millis()).unwrap_or(i64::MAX);
        self.tell_no_room(wall);
        for n in 0..self.printers.len() {
            let (Some(printer), Some(place)) = (self.printers.get_mut(n), self.config.printers.get(n)) else {
                continue;
            };
            let held = u32::try_from(printer.jobs.len()).unwrap_or(u32::MAX).saturating_add(printer.asked);
            // Doubtful labels take room too: a printer that says nothing does not print out the pool.
            let ahead = printer.tracker.ahead().saturating_add(printer.asked);
            let room = place.window.saturating_sub(held).min(place.ahead_max.saturating_sub(ahead));
            let count = room.min(wanted).min(ISSUE_MAX);
            // One question at a time: codes come in their order.
            if !printer.ready || printer.asked > 0 || count == 0 {
                continue;
            }
            printer.asked = count;
            wanted = wanted.saturating_sub(count);
            let printer = PrinterNo(u8::try_from(n).unwrap_or(u8::MAX));
            self.urgent(Record::Issue { run: id, printer, count, life_left_min_ms, day_ends, at: wall });
            self.then(After::Print { printer, asked: count });
        }
    }

    /// A printer gets no more labels while as many as may be ahead of the reader are in doubt: reads make room, or a
    /// person who has looked. Where nothing printed can come, nobody but that person will.
    fn tell_no_room(&mut self, wall: Wall) {
        let full = |(p, place): &(&super::Printer, &super::PrinterPlace)| {
            let idle = p.ready && p.jobs.is_empty() && p.asked == 0;
            idle && p.tracker.ahead() >= place.ahead_max && p.tracker.only_in_doubt()
        };
        let stuck = self.printers.iter().zip(&self.config.printers).position(|both| full(&both));
        match stuck {
            Some(n) => {
                let name = self.printer_name(PrinterNo(u8::try_from(n).unwrap_or(u8::MAX)));
                self.raise("alarm.no_room", &name, wall);
            }
            None => self.clear("alarm.no_room", wall),
        }
    }

    /// A printer that is ready and refuses job after job refuses them for themselves (a symbol that does not fit its
    /// label): the same codes would come again for ever.
    fn refused_for_itself(&mut self, wall: Wall, out: &mut Vec<Effect>) {
        let stuck = self.printers.iter().position(|p| p.refused >= REFUSED_MAX);
        if let Some(n) = stuck {
            self.printers.iter_mut().for_each(|p| p.refused = 0);
            let name = self.printer_name(PrinterNo(u8::try_from(n).unwrap_or(u8::MAX)));
            self.stop("printer_lost", &name, wall, out);
        }
    }

    /// Good items still on their way: labels expected, codes asked for, items with leave to pass. An item that went by
    /// bad since the last label in order took a label with it; without it the last label of a run would be waited for.
    /// Nor is it waited for at a printer that is out of order, once the others have none left.
    fn coming(&self) -> u32 {
        let labels = |of: fn(&super::Printer) -> bool| -> u32 {
            let printers = || self.printers.iter().filter(|p| of(p));
            let expected: u32 = printers().map(|p| p.tracker.on_the_way()).sum();
            // One item took one label, of whichever printer; none took more than that one has on the way.
            let items = printers().map(|p| p.evidence.gone_by()).max().unwrap_or(0);
            let gone: u32 = printers().map(|p| p.evidence.gone_by().min(p.tracker.on_the_way())).sum();
            let asked: u32 = printers().map(|p| p.asked).sum();
            expected.saturating_sub(gone.min(items)).saturating_add(asked)
        };
        let of_ready = labels(|p| p.ready);
        let labels = if of_ready == 0 { 0 } else { labels(|_| true) };
        let items = self.items.iter().filter(|(_, i)| i.is_good_or_judging()).count();
        labels.saturating_add(u32::try_from(items).unwrap_or(u32::MAX))
    }

    pub(super) fn on_pool(&mut self, pooled: u64, wall: Wall) {
        self.pooled = pooled;
        let key = match self.config.kind {
            LineKind::PrintAndApply | LineKind::Print => "alarm.pool_low",
            LineKind::PrePrinted => "alarm.stock_low",
        };
        if self.run.is_some() && pooled < self.config.pool_low {
            self.raise(key, &pooled.to_string(), wall);
        } else {
            self.clear(key, wall);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Serial;
    use crate::gs1::Gtin;

    #[test]
    fn a_label_shows_the_days_that_a_person_declared() {
        let gtin = Gtin::parse(b"04780001000006").expect("its check digit is right");
        let plan = RunPlan {
            key: "k".into(),
            gtin,
            group: "water".into(),
            quantity: 1,
            batch: "B1".into(),
            production: Day::parse("2026-11-22").expect("a day"),
            expiry: Day::parse("2027-01-02"),
            before_order: false,
        };
        let code = Identity { gtin, serial: Serial::new(b"S1").expect("two characters") };
        let fields = fields(&plan, "Water", &code);
        let shown = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!((shown("production"), shown("expiry")), (Some("22.11.2026"), Some("02.01.2027")));
    }
}
