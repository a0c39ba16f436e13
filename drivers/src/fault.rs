//! What can be wrong with a device: closed kinds, free detail.
//!
//! A kind is what code decides by and what panels translate (`key`); the detail is for the person
//! who reads the log, and never holds symbol data.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// One thing wrong with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is, out of a closed list.
    pub kind: FaultKind,
    /// What else is known, for people. May be empty.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// Makes a fault of a kind and what is known besides.
    pub fn new(kind: FaultKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Returns the stable name of the kind.
    pub fn key(&self) -> &'static str {
        self.kind.key()
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, detail: Cow::Borrowed("") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.key())?;
        match self.kind {
            FaultKind::MissedItems { count } | FaultKind::MissedOutcomes { count } => {
                write!(f, " ({count})")?;
            }
            _ => {}
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl std::error::Error for Fault {}

/// The closed list of what can be wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A question of ours was not answered in time: the device is blocked or dead, never "idle".
    Blocked,
    /// Labels are out.
    MediaOut,
    /// Ribbon is out.
    RibbonOut,
    /// The print head is open.
    HeadOpen,
    /// Somebody paused the device at its own panel.
    Paused,
    /// The head or motor is too hot.
    OverTemperature,
    /// The head is too cold for good prints.
    UnderTemperature,
    /// The device's receive buffer is full.
    BufferFull,
    /// The device lost its configuration memory.
    CorruptRam,
    /// There is no connection.
    Disconnected,
    /// A frame longer than its bound came in.
    Oversize,
    /// The device said something that its protocol does not allow.
    Protocol,
    /// A label counter moved by other than what we asked for: a neighbour prints, or the panel button.
    CounterStep,
    /// The device is not able to work, or not yet.
    NotReady,
    /// More was asked than the announced free places.
    QueueFull,
    /// The device went idle and nothing proves what became of the job.
    Unconfirmed,
    /// Printing is held by the line.
    Held,
    /// The job was dropped by a reset that the line asked for.
    Reset,
    /// The protocol cannot carry this symbol exactly.
    Unprintable,
    /// The ejector fired and the sensor of the bin saw nothing.
    RejectNotConfirmed,
    /// An item was seen behind the gate that was not passed.
    Escape,
    /// The gate no longer hears us: it rejects everything.
    AgentHeartbeatLost,
    /// We no longer hear the device.
    DeviceHeartbeatLost,
    /// The reject bin is full.
    BinFull,
    /// Items were numbered that we never saw: more new tags between two polls than the ring holds.
    MissedItems {
        /// How many.
        count: u32,
    },
    /// Outcomes were overwritten in the gate's memory before we read them.
    MissedOutcomes {
        /// How many.
        count: u32,
    },
    /// A command spoke of a tag that is not ours to decide: another boot, or too old.
    StaleTag,
    /// The gate takes longer over its answers than its items leave time for.
    SlowAnswers,
    /// The gate's registers are older than its configured scan.
    SlowScan,
}

impl FaultKind {
    /// Returns the stable snake_case name: in configuration, logs, metrics and translations.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::MediaOut => "media_out",
            Self::RibbonOut => "ribbon_out",
            Self::HeadOpen => "head_open",
            Self::Paused => "paused",
            Self::OverTemperature => "over_temperature",
            Self::UnderTemperature => "under_temperature",
            Self::BufferFull => "buffer_full",
            Self::CorruptRam => "corrupt_ram",
            Self::Disconnected => "disconnected",
            Self::Oversize => "oversize",
            Self::Protocol => "protocol",
            Self::CounterStep => "counter_step",
            Self::NotReady => "not_ready",
            Self::QueueFull => "queue_full",
            Self::Unconfirmed => "unconfirmed",
            Self::Held => "held",
            Self::Reset => "reset",
            Self::Unprintable => "unprintable",
            Self::RejectNotConfirmed => "reject_not_confirmed",
            Self::Escape => "escape",
            Self::AgentHeartbeatLost => "agent_heartbeat_lost",
            Self::DeviceHeartbeatLost => "device_heartbeat_lost",
            Self::BinFull => "bin_full",
            Self::MissedItems { .. } => "missed_items",
            Self::MissedOutcomes { .. } => "missed_outcomes",
            Self::StaleTag => "stale_tag",
            Self::SlowAnswers => "slow_answers",
            Self::SlowScan => "slow_scan",
        }
    }

    /// Tells whether the fault is a state that a `Cleared` (or `Disconnected`) will end; the others
    /// are told once and are over.
    pub const fn lasts(self) -> bool {
        match self {
            Self::Blocked
            | Self::MediaOut
            | Self::RibbonOut
            | Self::HeadOpen
            | Self::Paused
            | Self::OverTemperature
            | Self::UnderTemperature
            | Self::BufferFull
            | Self::CorruptRam
            | Self::NotReady
            | Self::RejectNotConfirmed
            | Self::Escape
            | Self::AgentHeartbeatLost
            | Self::DeviceHeartbeatLost
            | Self::BinFull
            | Self::SlowAnswers
            | Self::SlowScan => true,
            Self::Disconnected
            | Self::Oversize
            | Self::Protocol
            | Self::CounterStep
            | Self::QueueFull
            | Self::Unconfirmed
            | Self::Held
            | Self::Reset
            | Self::Unprintable
            | Self::MissedItems { .. }
            | Self::MissedOutcomes { .. }
            | Self::StaleTag => false,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// The lasting faults of one device, as far as they were told.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    kinds: BTreeSet<FaultKind>,
}

impl Standing {
    /// Notes that a fault is there or not; returns what it is now if that is news.
    pub(crate) fn set(&mut self, kind: FaultKind, on: bool) -> Option<bool> {
        let news = if on { self.kinds.insert(kind) } else { self.kinds.remove(&kind) };
        news.then_some(on)
    }

    /// Lists what stands.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = FaultKind> {
        self.kinds.iter().copied()
    }

    /// Forgets all: the connection went, and with it what was known.
    pub(crate) fn clear(&mut self) {
        self.kinds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_its_key_its_count_and_its_detail() {
        assert_eq!(Fault::from(FaultKind::MediaOut).to_string(), "media_out");
        assert_eq!(
            Fault::new(FaultKind::MissedItems { count: 3 }, "ring").to_string(),
            "missed_items (3): ring"
        );
    }
}
