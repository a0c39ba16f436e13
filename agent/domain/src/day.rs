//! Days as people declare them, and the plant's zone, which says when a day begins.
//!
//! A [`Day`] has no zone: it is what stands on a label. The zone is a fixed offset, since the countries of the rules
//! have no summer time; no database of zones is asked. [`production_moment`] is the one rule that turns a declared
//! day into the moment that a report carries.

use std::fmt;

use crate::time::Wall;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
/// No zone of the world is further from UTC.
const OFFSET_MINUTES_MAX: i16 = 14 * 60;
/// Upstream's clock is known by the `Date` of answers that may be two minutes old.
const AHEAD_MS: i64 = 5 * MINUTE_MS;

/// A day of the calendar, of no zone: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The day of `2026-11-22`; `None` for anything else, and for a day that the calendar does not have.
    pub fn parse(text: &str) -> Option<Day> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |from: usize, to: usize| {
            let digits = bytes.get(from..to)?;
            digits.iter().try_fold(0_i32, |n, b| b.is_ascii_digit().then(|| n * 10 + i32::from(b - b'0')))
        };
        let month = time::Month::try_from(u8::try_from(number(5, 7)?).ok()?).ok()?;
        let day = u8::try_from(number(8, 10)?).ok()?;
        time::Date::from_calendar_date(number(0, 4)?, month, day).ok().map(Day::of)
    }

    pub fn of(date: time::Date) -> Day {
        Day(date.to_julian_day() - EPOCH_JULIAN)
    }

    /// The calendar's date; `None` far outside of what anything is made or expires at.
    pub fn date(self) -> Option<time::Date> {
        time::Date::from_julian_day(self.0.checked_add(EPOCH_JULIAN)?).ok()
    }
}

/// The Julian day of 1970-01-01.
const EPOCH_JULIAN: i32 = 2_440_588;

impl fmt::Display for Day {
    /// `2026-11-22`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(d) => write!(f, "{:04}-{:02}-{:02}", d.year(), u8::from(d.month()), d.day()),
            None => write!(f, "day {}", self.0),
        }
    }
}

/// A fixed offset from UTC, in minutes; east is positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Zone {
    minutes: i16,
}

impl Zone {
    pub const UTC: Zone = Zone { minutes: 0 };

    /// `None` beyond fourteen hours.
    pub fn of_minutes(minutes: i16) -> Option<Zone> {
        (minutes.abs() <= OFFSET_MINUTES_MAX).then_some(Zone { minutes })
    }

    /// `+05:00`, `-03:30` or `Z`.
    pub fn parse(text: &str) -> Option<Zone> {
        if text == "Z" {
            return Some(Zone::UTC);
        }
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let two =
            |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse().ok())?;
        let (hours, minutes): (i16, i16) = (two(hours)?, two(minutes)?);
        if minutes > 59 {
            return None;
        }
        Zone::of_minutes(sign * (hours * 60 + minutes))
    }

    pub fn minutes(self) -> i16 {
        self.minutes
    }

    fn offset_ms(self) -> i64 {
        i64::from(self.minutes) * MINUTE_MS
    }

    /// The local day in which a moment lies.
    pub fn day_of(self, at: Wall) -> Day {
        let days = at.0.saturating_add(self.offset_ms()).div_euclid(DAY_MS);
        Day(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }

    /// The first moment of a local day.
    pub fn begins(self, day: Day) -> Wall {
        Wall(i64::from(day.0) * DAY_MS - self.offset_ms())
    }

    /// The last moment of a local day, to the millisecond.
    pub fn ends(self, day: Day) -> Wall {
        self.begins(day).plus_ms(DAY_MS - 1)
    }
}

impl fmt::Display for Zone {
    /// `+05:00`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The moment of production that a report carries, in the day that a person declared for its run.
///
/// All items of a report were made by the moment of its last pass. So that moment is true when it lies in the declared
/// day. When the items were marked after the day (goods of yesterday, a shift over midnight), the day's last moment
/// is the latest one that agrees with the declaration. When they were marked before it (a date printed ahead), the
/// day's first moment is the earliest that agrees, and the report waits for it. A code is never on an item before it
/// was ordered: where the day allows, the moment lies after `ordered` (upstream refuses others), which makes a
/// difference only when this computer's clock is behind upstream's. The day itself is never left to please a check.
///
/// The moment of a pass is this computer's word. Upstream's clock can disprove it: what lies in a report was made `by`
/// the moment of its draft. A pass that is said to be later than that, by more than slow answers can explain, was
/// written by a clock that was ahead, and the draft's moment by upstream's clock is true in its place.
pub fn production_moment(
    zone: Zone,
    day: Day,
    last_pass: Wall,
    ordered: Option<Wall>,
    by: Option<Wall>,
) -> Wall {
    let last_pass = disproved(last_pass, by).unwrap_or(last_pass);
    let (begins, ends) = (zone.begins(day), zone.ends(day));
    let after_order = ordered.map_or(begins, |at| at.plus_ms(1));
    last_pass.max(after_order).clamp(begins, ends)
}

/// The moment by which a pass was made, where that shows its own moment to be wrong.
pub fn disproved(last_pass: Wall, by: Option<Wall>) -> Option<Wall> {
    by.filter(|by| last_pass.0.saturating_sub(by.0) > AHEAD_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TASHKENT: Zone = Zone { minutes: 300 };
    /// 2026-11-22T00:00:00+05:00
    const MIDNIGHT: Wall = Wall(1_795_287_600_000);

    #[test]
    fn zones_are_offsets_and_nothing_else() {
        for (text, minutes) in [
            ("+05:00", Some(300)),
            ("-03:30", Some(-210)),
            ("Z", Some(0)),
            ("+14:00", Some(840)),
            ("+14:01", None),
            ("+5:00", None),
            ("+05:60", None),
            ("+0500", None),
            ("Asia/Tashkent", None),
            ("", None),
            ("+é:00", None),
        ] {
            assert_eq!(Zone::parse(text).map(Zone::minutes), minutes, "{text}");
        }
        assert_eq!(
            (TASHKENT.to_string(), Zone { minutes: -210 }.to_string()),
            ("+05:00".into(), "-03:30".into())
        );
    }

    #[test]
    fn a_day_is_the_calendars_and_begins_at_local_midnight() {
        let day = Day::parse("2026-11-22").unwrap();
        assert_eq!(day.to_string(), "2026-11-22");
        assert_eq!(Day::parse("1970-01-01"), Some(Day(0)));
        for text in ["2026-02-30", "2026-13-01", "22.11.2026", "2026-11-2", "2026-11-222", "+026-11-22"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(TASHKENT.begins(day), MIDNIGHT);
        assert_eq!(TASHKENT.day_of(MIDNIGHT), day);
        assert_eq!(TASHKENT.day_of(MIDNIGHT.plus_ms(-1)), Day(day.0 - 1));
        assert_eq!(TASHKENT.day_of(TASHKENT.ends(day)), day);
        assert_eq!(TASHKENT.day_of(TASHKENT.ends(day).plus_ms(1)), Day(day.0 + 1));
    }

    #[test]
    fn the_moment_of_a_report_is_its_last_pass_or_the_end_of_the_day_that_agrees() {
        let day = TASHKENT.day_of(MIDNIGHT);
        let hour = 3_600_000;
        let at = |ms| MIDNIGHT.plus_ms(ms);
        let end = TASHKENT.ends(day);
        for (why, last_pass, ordered, expected) in [
            ("marked on the day", at(8 * hour), Some(at(hour)), at(8 * hour)),
            ("marked the day after", at(26 * hour), Some(at(-hour)), end),
            ("marked the day before", at(-2 * hour), Some(at(-9 * hour)), at(0)),
            ("our clock is behind upstream's", at(hour), Some(at(hour + 5)), at(hour + 6)),
            ("ordered after the day: not bent", at(30 * hour), Some(at(25 * hour)), end),
            ("of the stock: no order", at(hour), None, at(hour)),
        ] {
            assert_eq!(production_moment(TASHKENT, day, last_pass, ordered, None), expected, "{why}");
        }
    }

    #[test]
    fn a_pass_in_the_future_of_upstreams_clock_is_put_where_that_clock_proves_it() {
        let (hour, year) = (3_600_000, 365 * DAY_MS);
        let at = |ms| MIDNIGHT.plus_ms(ms);
        let day = TASHKENT.day_of(MIDNIGHT);
        for (why, last_pass, by, expected) in [
            ("a year ahead", at(year), at(9 * hour), at(9 * hour)),
            ("an hour ahead, within the day", at(10 * hour), at(9 * hour), at(9 * hour)),
            (
                "as far as slow answers make it look",
                at(9 * hour + 240_000),
                at(9 * hour),
                at(9 * hour + 240_000),
            ),
            (
                "a year behind: the day's beginning agrees with what is declared",
                at(-year),
                at(9 * hour),
                at(0),
            ),
            (
                "marked after the declared day, by both clocks",
                at(26 * hour),
                at(27 * hour),
                TASHKENT.ends(day),
            ),
        ] {
            assert_eq!(production_moment(TASHKENT, day, last_pass, None, Some(by)), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn the_moment_is_in_the_declared_day_and_after_the_order_where_the_day_allows(
            minutes in -840_i16..=840, day in 0_i32..40_000, pass_ms in -DAY_MS * 3..DAY_MS * 3,
            ordered_ms in proptest::option::of(-DAY_MS * 3..DAY_MS * 3),
        ) {
            let (zone, day) = (Zone { minutes }, Day(day));
            let begins = zone.begins(day);
            let (last_pass, ordered) = (begins.plus_ms(pass_ms), ordered_ms.map(|ms| begins.plus_ms(ms)));
            let moment = production_moment(zone, day, last_pass, ordered, None);
            prop_assert_eq!(zone.day_of(moment), day);
            if let Some(ordered) = ordered && ordered < zone.ends(day) {
                prop_assert!(moment > ordered);
            }
            // Not before the items were made, unless the person says that they were made on an earlier day.
            if zone.day_of(last_pass) <= day {
                prop_assert!(moment >= last_pass);
            }
            // Not later than needed: past as soon as the day has begun, the pass was made and the code was ordered.
            let known = last_pass.max(begins).max(ordered.map_or(begins, |at| at.plus_ms(1)));
            prop_assert!(moment <= known);
        }

        #[test]
        fn days_are_read_as_they_are_written(day in -20_000_i32..60_000) {
            prop_assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
        }
    }
}
