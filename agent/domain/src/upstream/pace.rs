//! When the next request may leave: requests a minute, requests in flight, pause, backoff, `Retry-After`; and how
//! long absence has lasted.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::Config;
use crate::time::Time;

const MINUTE: Duration = Duration::from_secs(60);
/// A longer `Retry-After` is not believed: a line would stand for a typing error of a gateway.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Admits requests.
pub(super) struct Pace {
    /// When requests of the last minute left; never longer than the limit.
    left: VecDeque<Time>,
    in_flight: u32,
    not_before: Time,
    failures: u32,
    random: u64,
}

/// Why a request may not leave now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotYet {
    /// Until a moment.
    Until(Time),
    /// Until an answer comes.
    Busy,
}

impl Pace {
    pub fn new(config: &Config) -> Pace {
        let mut pace = Pace {
            left: VecDeque::new(),
            in_flight: 0,
            not_before: Time(0),
            failures: 0,
            random: config.seed,
        };
        pace.not_before = Time(0).after(pace.jitter(config.first_within));
        pace
    }

    /// The spread of the first request begins at the first step, not at the clock's beginning.
    pub fn begin(&mut self, now: Time) {
        self.not_before = now.after(Duration::from_nanos(self.not_before.0));
    }

    pub fn may_leave(&mut self, config: &Config, now: Time) -> Result<(), NotYet> {
        while self.left.front().is_some_and(|t| now.since(*t) >= MINUTE) {
            self.left.pop_front();
        }
        if self.in_flight >= config.in_flight_max {
            return Err(NotYet::Busy);
        }
        let mut at = self.not_before;
        if let Some(last) = self.left.back() {
            at = at.max(last.after(config.pause));
        }
        if self.left.len() >= config.requests_per_min as usize
            && let Some(first) = self.left.front()
        {
            at = at.max(first.after(MINUTE));
        }
        if at > now { Err(NotYet::Until(at)) } else { Ok(()) }
    }

    pub fn leaves(&mut self, now: Time) {
        self.left.push_back(now);
        self.in_flight += 1;
    }

    /// A request came to an end. `well`: upstream works. A failure holds all requests back for a while.
    pub fn ended(&mut self, config: &Config, now: Time, well: bool, retry_after: Option<Duration>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if well {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            let pause = self.backoff(config, self.failures);
            self.not_before = self.not_before.max(now.after(pause));
        }
        if let Some(asked) = retry_after {
            self.not_before = self.not_before.max(now.after(asked.min(RETRY_AFTER_MAX)));
        }
    }

    /// Full jitter: anything from nothing to the doubled-up bound, so that many agents do not come in step.
    pub fn backoff(&mut self, config: &Config, tries: u32) -> Duration {
        let bound = config.backoff_min.saturating_mul(1u32 << tries.min(16)).min(config.backoff_max);
        self.jitter(bound)
    }

    fn jitter(&mut self, bound: Duration) -> Duration {
        // splitmix64
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(z % bound)
    }
}

/// Looks that find nothing after the settling time before absence counts.
const LATE_MIN: u32 = 3;

/// Looks that found nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absence {
    first: Option<Time>,
    looks: u32,
    /// Those of them after the settling time. The early ones may have been made before the effect came.
    late: u32,
    /// All looks, also those that did not count: they make the pauses grow.
    all: u32,
}

impl Absence {
    /// One more look found nothing. True once absence counts: enough looks over `settle_min`, the last [`LATE_MIN`] of
    /// them after it, since one answer may come from a cache.
    pub fn look(&mut self, config: &Config, now: Time) -> bool {
        let first = *self.first.get_or_insert(now);
        self.looks = self.looks.saturating_add(1);
        self.all = self.all.saturating_add(1);
        self.late += u32::from(now.since(first) >= config.settle_min);
        self.looks >= config.looks_min && self.late >= LATE_MIN.min(config.looks_min)
    }

    /// Something of ours may be in process: counting begins again.
    pub fn forget(&mut self) {
        self.first = None;
        (self.looks, self.late) = (0, 0);
        self.all = self.all.saturating_add(1);
    }

    /// How long to wait for the next look: soon at first, since most effects show at once.
    pub fn pause(&self, config: &Config) -> Duration {
        let widest = (config.settle_min / config.looks_min.max(1)).max(config.poll_min);
        config.poll_min.saturating_mul(1u32 << self.all.min(16)).min(widest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { requests_per_min: 5, first_within: Duration::ZERO, ..Config::new("a", 1) }
    }

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn no_more_than_two_requests_are_in_flight() {
        let (c, mut p) = (config(), Pace::new(&config()));
        p.leaves(at(0));
        p.leaves(at(500));
        assert_eq!(p.may_leave(&c, at(2000)), Err(NotYet::Busy));
        p.ended(&c, at(2000), true, None);
        assert_eq!(p.may_leave(&c, at(2000)), Ok(()));
    }

    #[test]
    fn a_pause_lies_between_two_requests() {
        let (c, mut p) = (config(), Pace::new(&config()));
        p.leaves(at(0));
        assert_eq!(p.may_leave(&c, at(499)), Err(NotYet::Until(at(500))));
    }

    #[test]
    fn a_minute_has_no_more_requests_than_the_limit() {
        let (c, mut p) = (config(), Pace::new(&config()));
        for i in 0..5 {
            p.leaves(at(i * 1000));
            p.ended(&c, at(i * 1000), true, None);
        }
        assert_eq!(p.may_leave(&c, at(10_000)), Err(NotYet::Until(at(60_000))));
        assert_eq!(p.may_leave(&c, at(60_000)), Ok(()));
    }

    #[test]
    fn retry_after_is_honoured_up_to_an_hour() {
        let (c, mut p) = (config(), Pace::new(&config()));
        p.leaves(at(0));
        p.ended(&c, at(1000), true, Some(Duration::from_secs(30)));
        assert_eq!(p.may_leave(&c, at(1000)), Err(NotYet::Until(at(31_000))));
        p.ended(&c, at(1000), true, Some(Duration::from_secs(1_000_000)));
        assert_eq!(p.may_leave(&c, at(1000)), Err(NotYet::Until(at(3_601_000))));
    }

    #[test]
    fn backoff_grows_to_its_bound_and_no_further() {
        let (c, mut p) = (config(), Pace::new(&config()));
        for tries in 0..40 {
            assert!(p.backoff(&c, tries) <= c.backoff_max);
        }
    }

    #[test]
    fn absence_counts_only_after_enough_looks_over_the_whole_time() {
        let c = Config { settle_min: Duration::from_secs(100), looks_min: 3, ..config() };
        let mut a = Absence::default();
        assert!(!a.look(&c, at(0)));
        assert!(!a.look(&c, at(1)));
        assert!(!a.look(&c, at(2)), "many looks in no time say nothing");
        assert!(!a.look(&c, at(100_000)) && !a.look(&c, at(100_001)), "an answer may be an old one");
        assert!(a.look(&c, at(100_002)));
        let mut a = Absence::default();
        assert!(!a.look(&c, at(0)));
        assert!(!a.look(&c, at(200_000)), "two looks are too few");
        a.forget();
        assert!(!a.look(&c, at(300_000)), "counting began again");
    }
}
