//! The two clocks of the domain, as plain numbers. Nothing here reads a clock.

use std::time::Duration;

/// A moment on the agent's own monotonic clock: nanoseconds since the process began.
/// It orders what happens on a line and says nothing about the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment `d` later; saturates at the end of the clock (584 years).
    pub fn after(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The moment `d` earlier; saturates at the clock's beginning.
    pub fn before(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment of the calendar: milliseconds since 1970-01-01T00:00:00Z as this computer believes it.
/// Kept with records for people and for upstream; never used to decide on a code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Wall(pub i64);

impl Wall {
    /// The moment `ms` milliseconds later.
    pub fn plus_ms(self, ms: i64) -> Wall {
        Wall(self.0.saturating_add(ms))
    }
}
