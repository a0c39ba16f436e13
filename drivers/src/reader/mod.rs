//! Code readers: what the line asks of one and what it hears back.
//!
//! A reader hands over bytes as they came, AIM identifier and GS included; it judges nothing.

pub mod keyboard;
pub mod presets;
pub mod text;

use crate::fault::{Fault, FaultKind};
use crate::session::Time;

/// What the line asks of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderCommand {
    /// Read once, where the reader is triggered by us and not by its own photo-eye.
    Trigger,
    /// Send these bytes as they are, such as a beep for the person with the scanner. Dropped while not connected: a sound
    /// that comes late says something untrue.
    Send(Vec<u8>),
}

/// What a reader tells the line. `at` is when the last byte of the result was handled, on our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// The connection is up.
    Connected,
    /// The connection is gone, and with it all faults told.
    Disconnected,
    /// One result of one code.
    Read {
        /// The code's bytes, unchanged.
        bytes: Vec<u8>,
        /// When.
        at: Time,
    },
    /// One result of several codes.
    Several {
        /// Their bytes in the order given; an empty part stands for one that was not read.
        parts: Vec<Vec<u8>>,
        /// When.
        at: Time,
    },
    /// The reader says that it saw no code.
    NoRead {
        /// When.
        at: Time,
    },
    /// Results were lost between reader and us.
    Missed {
        /// How many.
        count: u32,
    },
    /// A result longer than its bound was dropped: an item without a verdict.
    Oversize {
        /// When.
        at: Time,
    },
    /// The reader lives.
    Heartbeat,
    /// Something is wrong; told once at its beginning.
    Fault(Fault),
    /// A lasting fault is over.
    Cleared(FaultKind),
}
