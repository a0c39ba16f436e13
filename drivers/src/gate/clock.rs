//! The gate's clock on ours: when what a look shows was true, and how well that is known.
//!
//! A PLC brings its registers up to date once a scan, so an answer shows how things stood at some moment between one scan
//! before its question and its arrival. Its clock register was read at that same moment. The two clocks go alike, so
//! every look bounds their distance anew, and all looks together know it better than any one does: a look just behind a
//! scan gives the one bound, a look just before the next scan the other. What is left is about the quickest answer's time.
//!
//! The clock also tells the scan: while it stands still, the registers are getting old.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::session::Time;

/// The gate's clock counts milliseconds.
const CLOCK_STEP: Duration = Duration::from_millis(1);

/// How far two clocks may drift apart: 500 millionths, ten times what a bad crystal does. Bounds widen by it with time.
const DRIFT_PER: i64 = 2_000;

/// A picture older than this is no scan's: its clock has stopped or makes no sense.
const SCAN_MAX: Duration = Duration::from_millis(250);

/// For so long, and at most twice, an old picture is remembered. A PLC that hesitated once is not slow for the whole day.
const OLD_FOR: Duration = Duration::from_secs(5);

/// Nanoseconds, either sign.
type Nanos = i64;

fn nanos(span: Duration) -> Nanos {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn ours(at: Time) -> Nanos {
    i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)
}

fn time(at: Nanos) -> Time {
    Time(u64::try_from(at).unwrap_or(0))
}

/// What is known of the gate's clock since the connection was opened.
#[derive(Debug)]
pub(crate) struct GateClock {
    /// How old the registers may be, as configured.
    scan_max: Duration,
    /// How old they were seen to be: in this stretch of time, in the one before, and when this one began.
    oldest: [Duration; 2],
    stretch: Time,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    register: u16,
    /// When the register was first seen so.
    since: Time,
    /// When the newest look arrived.
    at: Time,
    /// The gate's clock without its wraps.
    clock: Nanos,
    /// Our time at the gate's zero: least and most.
    zero: (Nanos, Nanos),
}

impl GateClock {
    /// Knows nothing yet but how old registers may be.
    pub(crate) fn new(scan_max: Duration) -> Self {
        Self { scan_max, oldest: [Duration::ZERO; 2], stretch: Time(0), known: None }
    }

    /// Begins anew: this may be another PLC, or its clock began again.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// How old the registers may be: as configured, or as they were seen to be of late.
    pub(crate) fn scan(&self) -> Duration {
        self.scan_max.max(self.oldest[0]).max(self.oldest[1])
    }

    /// Tells whether the registers were older of late than they may be.
    pub(crate) fn is_slow(&self) -> bool {
        self.scan() > self.scan_max
    }

    /// Takes a look's clock.
    pub(crate) fn look(&mut self, sent: Time, now: Time, register: u16) {
        let (mut clock, mut since, mut before) = (0, now, None);
        if let Some(known) = &self.known {
            let went = register.wrapping_sub(known.register);
            // A clock that went backwards is another one.
            if went < 0x8000 {
                let drift = nanos(now.since(known.at)) / DRIFT_PER;
                clock = known.clock + nanos(Duration::from_millis(went.into()));
                before = Some((known.zero.0 - drift, known.zero.1 + drift));
                since = if went == 0 { known.since } else { now };
            }
        }
        if self.aged(sent.since(since), now) {
            // What was concluded from younger registers may be wrong.
            before = None;
        }
        let own = (ours(sent) - nanos(self.scan()) - clock - nanos(CLOCK_STEP), ours(now) - clock);
        let both = before.map_or(own, |(least, most)| (least.max(own.0), most.min(own.1)));
        // Bounds that exclude one another: a clock was set, or does not go as clocks go. What was is forgotten.
        let zero = if both.0 <= both.1 { both } else { own };
        self.known = Some(Known { register, since, at: now, clock, zero });
    }

    /// Takes note of how old a picture was when it was asked for; tells whether that is more than was thought.
    fn aged(&mut self, age: Duration, now: Time) -> bool {
        if now.since(self.stretch) >= OLD_FOR {
            self.oldest = [Duration::ZERO, self.oldest[0]];
            self.stretch = now;
        }
        let more = age > self.scan() && age <= SCAN_MAX;
        if age <= SCAN_MAX {
            self.oldest[0] = self.oldest[0].max(age);
        }
        more
    }

    /// Since when the newest look's picture is true on our clock, at the earliest: what triggered before is in it.
    pub(crate) fn as_of(&self) -> Option<Time> {
        self.known.as_ref().map(|known| time(known.clock + known.zero.0))
    }

    /// When a trigger was that the gate stamped so: at the earliest and at the latest. A PLC stamps an item when a scan
    /// finds it, which may be as late as the scan is long.
    pub(crate) fn moment(&self, stamp: u16) -> Option<RangeInclusive<Time>> {
        let known = self.known.as_ref()?;
        // An entry may be newer than the clock before it in the answer, where the two are not one picture.
        let ahead = i64::from(stamp.wrapping_sub(known.register) as i16) * nanos(CLOCK_STEP);
        let at = known.clock + ahead;
        let latest = time(at + known.zero.1 + nanos(CLOCK_STEP)).min(known.at);
        Some(time(at + known.zero.0 - nanos(self.scan())).min(latest)..=latest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    /// A PLC whose clock began at 1 s of ours; its scans come every `scan` ns.
    fn shown(at: u64, scan: u64) -> (u64, u16) {
        let picture = if scan == 0 { at } else { at - at % scan };
        (picture, ((picture.saturating_sub(1000 * MS)) / MS % 0x1_0000) as u16)
    }

    proptest! {
        /// Whatever the scan, up to the one configured, and however long answers take: a picture is never said to be
        /// fresher than it is, and a trigger lies where it is said to lie.
        #[test]
        fn what_is_told_is_true_and_gets_no_worse(
            scan in 0..20 * MS,
            looks in prop::collection::vec((MS..40 * MS, 0..30 * MS, 0..30 * MS, 0..100 * MS), 1..200),
        ) {
            let mut clock = GateClock::new(Duration::from_millis(20));
            let mut now = 70_000 * MS;
            for (pause, there, back, ago) in looks {
                let sent = now + pause;
                now = sent + there + back;
                let (picture, register) = shown(sent + there, scan);
                clock.look(Time(sent), Time(now), register);
                prop_assert!(clock.as_of().unwrap() <= Time(picture));
                prop_assert!(!clock.is_slow());
                let trigger = picture - ago;
                // A scan finds it, and stamps it with its own clock.
                let found = if scan == 0 { trigger } else { trigger.div_ceil(scan) * scan };
                let (_, stamp) = shown(found, scan);
                let moment = clock.moment(stamp).unwrap();
                prop_assert!(moment.contains(&Time(trigger)), "{moment:?} {trigger}");
                let width = moment.end().since(*moment.start());
                prop_assert!(width <= Duration::from_nanos(there + back + 44 * MS), "{width:?}");
            }
        }
    }

    #[test]
    fn many_looks_know_the_clock_better_than_one() {
        let mut clock = GateClock::new(Duration::from_millis(50));
        let mut width = Duration::MAX;
        for n in 0..300 {
            let sent = (10_000 + 7 * n) * MS;
            let (_, register) = shown(sent + MS, 50 * MS);
            clock.look(Time(sent), Time(sent + 2 * MS), register);
            let moment = clock.moment(register).unwrap();
            width = moment.end().since(*moment.start());
        }
        assert!(width < Duration::from_millis(50 + 12), "a scan, an answer, and little more: {width:?}");
    }

    #[test]
    fn registers_older_than_configured_are_noticed_and_forgotten_again() {
        let mut clock = GateClock::new(Duration::from_millis(10));
        let mut told = Vec::new();
        for n in 0..6000 {
            let sent = (10_000 + 3 * n) * MS;
            let (_, register) = shown(sent, if n < 100 { 30 * MS } else { 9 * MS });
            clock.look(Time(sent), Time(sent + MS), register);
            if told.last().is_none_or(|(_, slow)| *slow != clock.is_slow()) {
                told.push((n, clock.is_slow()));
            }
            assert!(clock.as_of().unwrap() <= Time(sent), "{n}");
        }
        assert!(matches!(told[..], [(0, false), (1..12, true), (1600..3600, false)]), "{told:?}");
        assert_eq!(clock.scan(), Duration::from_millis(10));
    }

    #[test]
    fn a_clock_that_begins_again_is_believed_anew() {
        let mut clock = GateClock::new(Duration::ZERO);
        clock.look(Time(1000 * MS), Time(1001 * MS), 40_000);
        clock.look(Time(2000 * MS), Time(2001 * MS), 5);
        assert_eq!(clock.as_of(), Some(Time(1999 * MS)));
        assert_eq!(clock.moment(5), Some(Time(1999 * MS)..=Time(2001 * MS)));
    }
}
