//! The seam between a device's protocol and everything else.
//!
//! A session is a pure state machine: bytes, commands and time go in, bytes, events and a wish to be
//! woken come out. It opens no socket, reads no clock, starts no task and keeps no lock, so the same
//! code runs in the shell ([`crate::run`]) and in simulation.
//!
//! Invariants: time given to `step` never goes back; bytes put into [`Output::bytes`] count as having
//! left this computer, whatever happens afterwards.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use bytes::BytesMut;

/// The protocol logic of one device.
pub trait Session: Send {
    /// What the line may ask of the device.
    type Command: Send;
    /// What the device tells the line.
    type Event: Send;

    /// Takes one input and leaves in `out` all that follows from it.
    ///
    /// `out` is empty when the step begins. `out.wake` is set anew by every step: `None` means that
    /// no tick is wanted.
    fn step(&mut self, now: Time, input: Input<'_, Self::Command>, out: &mut Output<Self::Event>);
}

/// One thing that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a, C> {
    /// The transport is up; nothing is known of what the device did meanwhile.
    Connected,
    /// The transport is gone; no byte will come or go until the next `Connected`.
    Disconnected,
    /// The line asks for something. It may do so while disconnected.
    Command(C),
    /// The next bytes of the stream, cut anywhere.
    Bytes(&'a [u8]),
    /// `Output::wake` has come. It may come late, and it may come for nothing.
    Tick,
}

/// What follows from one step.
#[derive(Debug)]
pub struct Output<E> {
    /// Bytes for the device, in order. All of them are written before the next step.
    pub bytes: BytesMut,
    /// Events for the line, in order.
    pub events: Vec<E>,
    /// When the session wants a `Tick`, if nothing else happens before.
    pub wake: Option<Time>,
    /// The session asks the shell to drop the connection (a stream that makes no sense any more).
    /// `Disconnected` follows.
    pub close: bool,
}

impl<E> Output<E> {
    /// Makes an empty output.
    pub fn new() -> Self {
        Self { bytes: BytesMut::new(), events: Vec::new(), wake: None, close: false }
    }

    /// Empties it for the next step, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.wake = None;
        self.close = false;
    }

    /// Asks to be woken at `at`, or earlier where an earlier wish stands.
    pub fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }
}

impl<E> Default for Output<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds of our own monotonic clock, from a start that means nothing.
///
/// Arithmetic saturates: a clock at either end of its range is a bug elsewhere, not a panic here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// Makes a time of nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Makes a time of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time that passed since `earlier`, zero where `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, span: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(span)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_adds_subtracts_and_saturates() {
        let t = Time::from_millis(5);
        assert_eq!(t + Duration::from_millis(2), Time::from_nanos(7_000_000));
        assert_eq!(t - Duration::from_millis(9), Time(0));
        assert_eq!(t.since(Time::from_millis(2)), Duration::from_millis(3));
        assert_eq!(Time(1).since(Time(2)), Duration::ZERO);
        assert_eq!(Time(u64::MAX) + Duration::MAX, Time(u64::MAX));
        assert_eq!(Time(1_000_002_000).to_string(), "1.000002");
    }

    #[test]
    fn the_earliest_wish_to_be_woken_wins() {
        let mut out = Output::<()>::new();
        out.wake_at(Time(9));
        out.wake_at(Time(4));
        out.wake_at(Time(7));
        assert_eq!(out.wake, Some(Time(4)));
        out.clear();
        assert_eq!(out.wake, None);
    }
}
