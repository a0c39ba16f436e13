//! The jobs in flight, beside a printer's anonymous counter of labels.
//!
//! Printers print in the order in which they were given jobs and count without saying what. So the
//! oldest job takes the counter's next step. One label printed by somebody else shifts this by one,
//! which is why a step too many is told as a fault and why `Printed` is evidence, never a read.

use std::collections::VecDeque;

use super::{JobId, PrinterEvent};
use crate::fault::{Fault, FaultKind};

/// Jobs whose bytes left and that have no outcome yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    in_flight: VecDeque<JobId>,
    /// The counter as last read; `None` while there is none.
    counter: Option<u64>,
    /// The last look found the printer idle; the counter's answer makes it count.
    looked_idle: bool,
    idle_looks: u32,
}

impl Mirror {
    /// Takes a job whose bytes leave now.
    pub(crate) fn push(&mut self, id: JobId) {
        self.in_flight.push_back(id);
        self.forget_idle();
    }

    /// Returns how many jobs have no outcome yet.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.in_flight.len()).expect("a window of 32 bits bounds it")
    }

    /// Tells whether there is a counter to go by.
    pub(crate) fn counts(&self) -> bool {
        self.counter.is_some()
    }

    /// Sets the counter from which steps are taken, or that there is none.
    pub(crate) fn rebase(&mut self, total: Option<u64>, events: &mut Vec<PrinterEvent>) {
        if let Some(total) = total
            && self.counter != Some(total)
        {
            events.push(PrinterEvent::Odometer { total });
        }
        self.counter = total;
        self.forget_idle();
    }

    /// Takes the next value of the counter and gives its steps to the oldest jobs.
    pub(crate) fn counted(&mut self, total: u64, idle_looks_max: u32, events: &mut Vec<PrinterEvent>) {
        // Given up on earlier in this connection: a late answer proves nothing.
        let Some(before) = self.counter else { return };
        if total == before {
            return self.idle_look(idle_looks_max, events);
        }
        self.rebase(Some(total), events);
        let mut wrong =
            |detail: String| events.push(PrinterEvent::Fault(Fault::new(FaultKind::CounterStep, detail)));
        if total < before {
            return wrong(format!("the label counter went back from {before} to {total}"));
        }
        let steps = total - before;
        let covered = usize::try_from(steps).unwrap_or(usize::MAX).min(self.in_flight.len());
        let surplus = steps - covered as u64;
        if surplus > 0 {
            wrong(format!("{surplus} labels that this line did not ask for"));
        }
        events.extend(self.in_flight.drain(..covered).map(PrinterEvent::Printed));
    }

    /// Notes what the last look found.
    pub(crate) fn looked(&mut self, idle: bool) {
        self.looked_idle = idle;
        if !idle {
            self.idle_looks = 0;
        }
    }

    /// Counts a look at an idle printer whose counter did not move; after enough of them all jobs in
    /// flight are in doubt.
    pub(crate) fn idle_look(&mut self, enough: u32, events: &mut Vec<PrinterEvent>) {
        if !std::mem::take(&mut self.looked_idle) || self.in_flight.is_empty() {
            return;
        }
        self.idle_looks += 1;
        if self.idle_looks >= enough {
            self.doubt_all(&Fault::new(FaultKind::Unconfirmed, "idle, and not counted"), events);
        }
    }

    /// Ends all jobs in flight as doubtful.
    pub(crate) fn doubt_all(&mut self, fault: &Fault, events: &mut Vec<PrinterEvent>) {
        events.extend(self.in_flight.drain(..).map(|id| PrinterEvent::Doubtful(id, fault.clone())));
        self.forget_idle();
    }

    /// Forgets idle looks: something moved, or the printer was out of sight.
    pub(crate) fn forget_idle(&mut self) {
        self.looked_idle = false;
        self.idle_looks = 0;
    }
}
