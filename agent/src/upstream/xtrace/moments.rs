//! Moments of the calendar as upstream writes them.

use tamga_domain::day::Zone;
use tamga_domain::time::Wall;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;

/// `2026-01-30T11:02:02.492Z`
pub fn iso(at: Wall) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment.format(&form).unwrap_or_default()
}

/// `2026-01-30T16:02:02.492+05:00`: the same moment, so written that its local day is seen.
pub fn iso_in(zone: Zone, at: Wall) -> String {
    let local = iso(at.plus_ms(i64::from(zone.minutes()) * 60_000));
    format!("{}{zone}", local.trim_end_matches('Z'))
}

/// A moment with a zone; `None` for anything else, since a guessed zone is worse than none.
pub fn of_iso(text: &str) -> Option<Wall> {
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(wall)
}

/// The `Date` header.
pub fn of_http(text: &str) -> Option<Wall> {
    OffsetDateTime::parse(text, &Rfc2822).ok().and_then(wall)
}

fn wall(moment: OffsetDateTime) -> Option<Wall> {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_their_zone_only() {
        let at = Some(Wall(1_738_234_922_492));
        assert_eq!(of_iso("2025-01-30T11:02:02.492Z"), at);
        assert_eq!(of_iso("2025-01-30T16:02:02.492+05:00"), at);
        assert_eq!(of_iso("2025-01-30T11:02:02.492"), None);
        assert_eq!(of_http("Thu, 30 Jan 2025 11:02:02 GMT"), Some(Wall(1_738_234_922_000)));
        assert_eq!(iso(Wall(1_738_234_922_492)), "2025-01-30T11:02:02.492Z");
        for (zone, text) in [
            ("+05:00", "2025-01-30T16:02:02.492+05:00"),
            ("-03:30", "2025-01-30T07:32:02.492-03:30"),
            ("+13:00", "2025-01-31T00:02:02.492+13:00"),
        ] {
            let written = iso_in(Zone::parse(zone).unwrap(), Wall(1_738_234_922_492));
            assert_eq!(written, text);
            assert_eq!(of_iso(&written), at, "the same moment");
        }
    }
}
