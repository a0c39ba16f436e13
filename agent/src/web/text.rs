//! Texts and stamps for what goes out of the windows.

use std::error::Error;

use tamga_domain::day::{Day, Zone};
use tamga_domain::time::Wall;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::words::{self, Language};

/// The text of a key that may stand in the catalogue with or without its section; the key itself when it is in no
/// catalogue.
pub fn word(language: Language, section: &str, key: &str, args: &[(String, String)]) -> String {
    let sectioned = format!("{section}.{key}");
    let key = if !words::has(key) && words::has(&sectioned) { &sectioned } else { key };
    words::say_owned(language, key, args)
}

/// The short name of a reason for which items are turned away; none for what is no such reason.
pub fn short_reason(language: Language, key: &str) -> Option<String> {
    let key = format!("bad.{key}");
    words::has(&key).then(|| words::say(language, &key, &[]))
}

/// A moment as RFC 3339 in UTC, whole milliseconds.
pub fn stamp(at: Wall) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    moment.and_then(|m| m.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{} ms", at.0))
}

/// What a person wrote on one line, without blanks around it: 1 to `chars_max` characters and no control character.
pub fn line(text: &str, chars_max: usize) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// A day as people declare it: a plain date, or a moment in RFC 3339, which means the day of the plant's zone in which
/// it lies.
pub fn declared(text: &str, zone: Zone) -> Option<Day> {
    let text = text.trim();
    if let Some(day) = Day::parse(text) {
        return Some(day);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let ms = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    Some(zone.day_of(Wall(ms)))
}

/// An error and its sources, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their source's words in their own.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_day_is_a_date_or_the_plants_day_of_a_moment() {
        let zone = Zone::parse("+05:00").unwrap();
        for (text, day) in [
            ("2026-11-22", Some("2026-11-22")),
            (" 2026-11-22 ", Some("2026-11-22")),
            ("2026-11-22T00:00:00+05:00", Some("2026-11-22")),
            ("2026-11-21T18:59:59Z", Some("2026-11-21")),
            ("2026-11-21T19:00:00.25Z", Some("2026-11-22")),
            ("22.11.2026", None),
            ("2026-02-30", None),
            ("2026-11-22 05:00", None),
        ] {
            assert_eq!(declared(text, zone).map(|d| d.to_string()).as_deref(), day, "{text}");
        }
    }

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(stamp(Wall(1_795_287_600_250)), "2026-11-21T19:00:00.25Z");
    }

    #[test]
    fn an_error_is_told_with_its_sources_once() {
        let inner = std::io::Error::other("no such file");
        let outer = crate::web::token::TokenError::Read { path: "x".into(), source: inner };
        assert_eq!(chain(&outer), "cannot read x: no such file");
    }
}
