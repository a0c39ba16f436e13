//! Gates: what the line asks of one and what it hears back.
//!
//! The trigger at the reader numbers the items; everything said about an item names that tag. A gate
//! rests at reject: it passes an item only on an explicit `Pass` for its tag.

pub(crate) mod ask;
pub(crate) mod clock;
pub mod map;
pub mod modbus;
pub(crate) mod pace;
pub(crate) mod pdu;
pub(crate) mod ring;
pub(crate) mod track;

use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::session::Time;

/// Names one item: the gate's boot and its number since then. Later items are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Grows by one each time that the gate powers up.
    pub boot: u16,
    /// 1, 2, 3 … since that boot.
    pub number: u32,
}

/// What the line asks of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateCommand {
    /// Let this item pass.
    Pass(Tag),
    /// Do not let this item pass, even if it was allowed before.
    Reject(Tag),
    /// Stop the belt.
    StopLine,
    /// The belt may run.
    StartLine,
}

/// What a gate tells the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateEvent {
    /// The gate is known and empty of leaves to pass; told again when it powered up anew behind an
    /// open connection. Outcomes from its memory follow, then items.
    Connected {
        /// Its boot.
        boot: u16,
    },
    /// The connection is gone, and with it all faults told.
    Disconnected,
    /// Every trigger before this moment has been told.
    Seen {
        /// Since when the picture that the gate gave was true at the earliest, on our clock.
        as_of: Time,
    },
    /// An item stands at the trigger. Items triggered while we were away are never told: they were
    /// never ours, and the gate rejects them.
    Item {
        /// Its name.
        tag: Tag,
        /// When the trigger saw it, on our clock.
        at: Time,
        /// How far off that may be, either way: what is not known of the gate's clock, and the scan that found the item.
        within: Duration,
    },
    /// The item went through the gate. Each outcome is told once a connection.
    Passed(Tag),
    /// The item lies in the bin.
    Rejected(Tag),
    /// The item was seen neither behind the gate nor in the bin.
    Lost(Tag),
    /// The gate's counts since its boot changed.
    Counts {
        /// Items numbered.
        triggers: u32,
        /// Items passed.
        passed: u32,
        /// Items rejected.
        rejected: u32,
        /// Items lost.
        lost: u32,
    },
    /// Something is wrong; told once at its beginning.
    Fault(Fault),
    /// A lasting fault is over.
    Cleared(FaultKind),
}
