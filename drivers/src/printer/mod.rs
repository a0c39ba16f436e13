//! Printers: what the line asks of one and what it hears back.
//!
//! A session answers every `Print` with exactly one outcome, `Printed`, `Refused` or `Doubtful`, and
//! never renders a job twice. `Printed` is evidence kept beside a code, never a read: printers count
//! labels, they do not know which.

mod mirror;
pub mod zpl;
pub mod zpl_format;
pub mod zpl_status;

use crate::fault::{Fault, FaultKind};

/// Names one job; the line gives it out and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// One label to be printed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The element string: bytes as issued, GS (0x1D) between parts, no leading FNC1.
    pub symbol: Vec<u8>,
    /// The symbol begins with FNC1 (GS1 DataMatrix). Tobacco packs do not.
    pub gs1: bool,
    /// Values for the text on the label, by the names that its templates use.
    pub fields: Vec<(String, String)>,
}

impl Job {
    /// Makes a test print: a symbol with blanks, which no layout of any product group accepts, and
    /// the word TEST beside it.
    pub fn test(id: JobId, note: &str) -> Self {
        let note: String = note.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').take(24).collect();
        Self { id, symbol: format!("TEST {note}").into_bytes(), gs1: false, fields: Vec::new() }
    }

    /// Tells whether it is a test print.
    pub fn is_test(&self) -> bool {
        !self.gs1 && self.symbol.starts_with(b"TEST ")
    }
}

/// What the line asks of a printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrinterCommand {
    /// Print one label. Allowed while `Ready` announced a free place, else refused.
    Print(Job),
    /// Drop a job if it was not rendered yet; a rendered one takes its course.
    Cancel(JobId),
    /// Stop after the current label and take no more jobs.
    Hold,
    /// Go on after `Hold`, or after a pause at the printer's panel.
    Resume,
    /// Drop all that the printer holds and begin as after a connect.
    Reset,
}

/// What a printer tells the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrinterEvent {
    /// The connection is up. Nothing may be printed before `Ready`.
    Connected,
    /// So many more jobs may be handed over now; 0 after `Connected` until told otherwise.
    Ready {
        /// Free places in the window.
        free: u32,
    },
    /// The job's bytes count as having left.
    Accepted(JobId),
    /// Outcome: the printer's counter covers it.
    Printed(JobId),
    /// Outcome: certainly not on an item.
    Refused(JobId, Fault),
    /// Outcome: may be on an item; never printed again by itself.
    Doubtful(JobId, Fault),
    /// The printer's own count of labels changed, or was read for the first time.
    Odometer {
        /// Labels printed in the printer's life.
        total: u64,
    },
    /// Something is wrong; told once at its beginning.
    Fault(Fault),
    /// A lasting fault is over.
    Cleared(FaultKind),
    /// The connection is gone, and with it all free places and all faults told.
    Disconnected,
}
