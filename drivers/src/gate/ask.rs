//! What is asked of a gate, why, and in which order a connection opens.

use super::map::GateMap;
use super::pdu::Request;
use crate::session::Time;

/// How far the opening of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection, or one that is being dropped.
    Down,
    Stop,
    Clear,
    CheckCommand,
    CheckRing,
    FirstLook,
    Memory,
    SecondLook,
    Running,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The step of the opening that the phase names.
    Open,
    Look,
    Outcomes {
        first_place: u16,
    },
    Command {
        run: bool,
    },
    /// Leaves to pass, in so many places from this one on.
    Pass {
        place: u16,
        count: u16,
    },
    Beat,
}

/// The request in flight.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) transaction: u16,
    pub(crate) request: Request,
    pub(crate) purpose: Purpose,
    pub(crate) sent: Time,
}

impl Phase {
    /// Returns the request that brings the opening on, or looks once it is done.
    pub(crate) fn request(self, map: &GateMap) -> Option<Request> {
        match self {
            Self::Down | Self::Memory => None,
            Self::Stop => Some(map.write_command(false)),
            Self::Clear => Some(map.clear_passes()),
            Self::CheckCommand => Some(map.read_command()),
            Self::CheckRing => Some(map.read_passes()),
            Self::FirstLook | Self::SecondLook | Self::Running => Some(map.look()),
        }
    }
}

impl GateMap {
    /// Reads status, counts and items together.
    pub(crate) fn look(&self) -> Request {
        let (first, end) = self.look_range();
        Request::ReadInput { first, count: (end - u32::from(first)) as u16 }
    }

    /// Reads some places of the memory of outcomes.
    pub(crate) fn read_outcomes(&self, first_place: u16, count: u16) -> Request {
        Request::ReadInput { first: self.outcome_ring + 3 * first_place, count: 3 * count }
    }

    /// Lets the belt run or stops it.
    pub(crate) fn write_command(&self, run: bool) -> Request {
        Request::Write { first: self.command, values: vec![u16::from(run)] }
    }

    /// Reads the command back.
    pub(crate) fn read_command(&self) -> Request {
        Request::ReadHolding { first: self.command, count: 1 }
    }

    /// Lets nobody pass.
    pub(crate) fn clear_passes(&self) -> Request {
        Request::Write { first: self.pass_ring, values: vec![0; 2 * usize::from(self.pass_ring_len)] }
    }

    /// Reads the ring of leaves to pass back.
    pub(crate) fn read_passes(&self) -> Request {
        Request::ReadHolding { first: self.pass_ring, count: 2 * self.pass_ring_len }
    }

    /// Writes places of the ring of leaves to pass, from `place` on.
    pub(crate) fn write_passes(&self, place: u16, tags: &[u32]) -> Request {
        let values = tags.iter().flat_map(|tag| [(tag >> 16) as u16, *tag as u16]).collect();
        Request::Write { first: self.pass_ring + 2 * place, values }
    }

    /// Beats.
    pub(crate) fn write_beat(&self, beat: u16) -> Request {
        Request::Write { first: self.agent_heartbeat, values: vec![beat] }
    }
}
