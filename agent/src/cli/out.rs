//! What the command line prints: aligned tables, JSON, and the log.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::words::{self, Language};

/// How the user wants to see things.
#[derive(Clone, Copy)]
pub struct Show {
    pub json: bool,
    pub language: Language,
}

impl Show {
    pub fn say(self, key: &str, args: &[(&str, &str)]) -> String {
        words::say(self.language, key, args)
    }

    /// Prints the value as JSON, or what `text` makes of it.
    pub fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&mut Text)) {
        if self.json {
            json(value);
            return;
        }
        let mut lines = Text { show: self, out: String::new() };
        text(&mut lines);
        print(&lines.out);
    }
}

/// Lines for people, gathered.
pub struct Text {
    show: Show,
    out: String,
}

impl Text {
    pub fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    pub fn say(&mut self, key: &str, args: &[(&str, &str)]) {
        let text = self.show.say(key, args);
        self.line(&text);
    }

    pub fn words(&self, key: &str, args: &[(&str, &str)]) -> String {
        self.show.say(key, args)
    }

    pub fn word(&self, key: &str) -> String {
        self.show.say(key, &[])
    }

    /// Label and value below each other; the labels are keys. Empty values are left out.
    pub fn fields(&mut self, fields: &[(&str, String)]) {
        let fields: Vec<(String, &String)> = fields
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (self.word(key), value))
            .collect();
        let pairs: Vec<Vec<String>> = fields.into_iter().map(|(l, v)| vec![l, v.clone()]).collect();
        self.pairs(&pairs);
    }

    /// Labels and values that are words already.
    pub fn pairs(&mut self, pairs: &[Vec<String>]) {
        let width = pairs.iter().filter_map(|p| p.first()).map(|l| l.chars().count()).max().unwrap_or(0);
        for pair in pairs {
            let [label, value] = pair.as_slice() else { continue };
            self.line(&format!("{}  {value}", padded(label, width, false)));
        }
    }

    /// Columns under headings, which are keys. A column of numbers only stands to the right.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        let headings: Vec<String> = headings.iter().map(|key| self.word(key)).collect();
        self.grid(&headings, rows);
    }

    /// [`Text::table`] with headings that are words already.
    pub fn grid(&mut self, headings: &[String], rows: &[Vec<String>]) {
        let column = |i: usize| rows.iter().filter_map(move |row| row.get(i));
        let widths: Vec<usize> = headings
            .iter()
            .enumerate()
            .map(|(i, h)| column(i).map(|c| c.chars().count()).fold(h.chars().count(), usize::max))
            .collect();
        let numbers: Vec<bool> = (0..headings.len())
            .map(|i| !rows.is_empty() && column(i).all(|c| c == "–" || c.parse::<i64>().is_ok()))
            .collect();
        let headings = headings.to_vec();
        for row in std::iter::once(&headings).chain(rows) {
            let cells = row.iter().zip(widths.iter().zip(&numbers));
            let cells: Vec<String> = cells.map(|(cell, (w, right))| padded(cell, *w, *right)).collect();
            self.line(&cells.join("  "));
        }
    }
}

fn padded(cell: &str, width: usize, right: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
    if right { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
}

/// A value or a dash.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// A stamp of the API without what a person does not read: `2026-11-22 05:00:00Z`.
pub fn short(stamp: &str) -> String {
    let whole = stamp.split_once('.').map_or_else(|| stamp.trim_end_matches('Z'), |(whole, _)| whole);
    format!("{}Z", whole.replacen('T', " ", 1))
}

pub fn json<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => eprintln!("tamga: {error}"),
    }
}

/// Prints to stdout. A reader that went away (`| head`) is no fault: the rest goes nowhere.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// One line on stderr that the next one replaces; nothing where stderr is no terminal.
pub struct Progress {
    terminal: bool,
    shown: usize,
}

impl Progress {
    pub fn new() -> Progress {
        Progress { terminal: io::stderr().is_terminal(), shown: 0 }
    }

    pub fn show(&mut self, text: &str) {
        if self.terminal {
            let len = text.chars().count();
            eprint!("\r{text}{}", " ".repeat(self.shown.saturating_sub(len)));
            self.shown = len;
        }
    }

    pub fn clear(&mut self) {
        if self.shown > 0 {
            eprint!("\r{}\r", " ".repeat(self.shown));
            self.shown = 0;
        }
    }
}

/// Sets the log up: stderr, `TAMGA_LOG` or `level`; under systemd without the time, which the journal has.
pub fn log(level: &str, as_json: bool) {
    let filter = EnvFilter::try_from_env("TAMGA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false);
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let set = match (as_json, journal) {
        (true, _) => lines.json().flatten_event(true).try_init(),
        (false, true) => lines.without_time().try_init(),
        (false, false) => lines.try_init(),
    };
    if let Err(error) = set {
        eprintln!("tamga: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_numbers_stand_to_the_right() {
        let mut text = Text { show: Show { json: false, language: Language::En }, out: String::new() };
        let rows = [vec!["вода".to_owned(), "5".to_owned()], vec!["tea".to_owned(), "1234567".to_owned()]];
        text.table(&["no.name", "n.n"], &rows);
        assert_eq!(text.out, "no.name      n.n\nвода           5\ntea      1234567\n");
    }

    #[test]
    fn stamps_are_short_for_people() {
        assert_eq!(short("2026-11-22T05:00:00.25Z"), "2026-11-22 05:00:00Z");
        assert_eq!(short("2026-11-22T05:00:00Z"), "2026-11-22 05:00:00Z");
    }
}
