//! Texts and stamps for what goes out of the windows.

use std::error::Error;

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

/// A moment as RFC 3339 in UTC, whole milliseconds.
pub fn stamp(at: Wall) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    moment.and_then(|m| m.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{} ms", at.0))
}

/// RFC 3339, or a plain date, which means its midnight by UTC: in the zones where the agent works (UTC and east of
/// it, up to twelve hours) that is the same calendar date.
pub fn moment(text: &str) -> Option<Wall> {
    let text = text.trim();
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let moment = OffsetDateTime::parse(&whole, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Wall)
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
    fn moments_are_read_and_written_alike() {
        for (text, stamped) in [
            ("2026-11-22", Some("2026-11-22T00:00:00Z")),
            ("2026-11-22T05:00:00+05:00", Some("2026-11-22T00:00:00Z")),
            ("2026-11-22T05:00:00.25Z", Some("2026-11-22T05:00:00.25Z")),
            ("22.11.2026", None),
            ("2026-02-30", None),
            ("2026-11-22 05:00", None),
        ] {
            assert_eq!(moment(text).map(stamp).as_deref(), stamped, "{text}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_sources_once() {
        let inner = std::io::Error::other("no such file");
        let outer = crate::web::token::TokenError::Read { path: "x".into(), source: inner };
        assert_eq!(chain(&outer), "cannot read x: no such file");
    }
}
