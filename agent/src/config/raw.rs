//! The configuration as written: tables whose every key has a place, and the notes taken while they are read.
//!
//! Nothing here stops at the first fault. A getter that finds something wrong notes it and gives the default, so that
//! the reading goes on and all problems are told at once. A key that nobody asked for is noted when its table is let
//! go, with the nearest name that was asked for. (Serde stops at the first wrong type; hence no derives.)

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::near::nearest;
use super::problem::{Place, Problem, Problems, Severity};

/// What is noted while one file is read.
pub struct Notes {
    pub file: PathBuf,
    /// Byte offsets of the beginnings of lines.
    lines: Vec<usize>,
    text: String,
    /// Where each key stands that was met.
    places: RefCell<BTreeMap<String, Place>>,
    problems: RefCell<Vec<Problem>>,
}

impl Notes {
    pub fn new(file: &Path, text: &str) -> Notes {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Notes {
            file: file.to_owned(),
            lines: std::iter::once(0).chain(breaks).collect(),
            text: text.to_owned(),
            places: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start).max(1);
        let from = self.lines[line - 1];
        let before = self.text.get(from..span.start).unwrap_or("");
        Place { line, column: before.chars().count() + 1 }
    }

    /// Where the key stands, or the nearest table around it.
    fn place_of(&self, key: &str) -> Place {
        let places = self.places.borrow();
        let mut key = key;
        loop {
            if let Some(place) = places.get(key) {
                return *place;
            }
            match key.rfind('.') {
                Some(dot) => key = &key[..dot],
                None => return Place { line: 1, column: 1 },
            }
        }
    }

    /// Whether the file has this key, or a key below it.
    pub fn has(&self, key: &str) -> bool {
        self.places.borrow().contains_key(key)
    }

    /// Whether the file has a key below this one.
    pub fn has_below(&self, key: &str) -> bool {
        self.places.borrow().keys().any(|met| met.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Notes a problem at the place of its key.
    pub fn add(&self, problem: Problem) {
        let place = self.place_of(&problem.key);
        self.problems.borrow_mut().push(problem.at(&self.file, place));
    }

    /// Takes over what is wrong with another file.
    pub fn absorb(&self, problems: Problems) {
        self.problems.borrow_mut().extend(problems.iter().cloned());
    }

    pub fn error(&self, key: impl Into<String>, message: &'static str) -> Problem {
        Problem::new(Severity::Error, key, message)
    }

    pub fn warning(&self, key: impl Into<String>, message: &'static str) -> Problem {
        Problem::new(Severity::Warning, key, message)
    }

    fn note_place(&self, key: &str, span: Range<usize>) {
        let place = self.place(span);
        self.places.borrow_mut().insert(key.to_owned(), place);
    }

    /// Notes the faults of the TOML itself.
    pub fn syntax(&self, faults: &[toml::de::Error]) {
        for fault in faults {
            let place = fault.span().map_or(Place { line: 1, column: 1 }, |span| self.place(span));
            let problem = self.error("", "config.syntax").with("fault", fault.message());
            self.problems.borrow_mut().push(problem.at(&self.file, place));
        }
    }

    pub fn finish(self) -> Problems {
        Problems::new(self.problems.into_inner())
    }
}

/// One table of the file. Letting it go notes the keys that nobody asked for.
pub struct Section<'a> {
    pub notes: &'a Notes,
    /// The names of the tables around it and its own, with dots; empty for the file.
    pub path: String,
    /// `None`: the file does not have it, all is default.
    table: Option<&'a DeTable<'a>>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Section<'a> {
    pub fn root(notes: &'a Notes, table: &'a DeTable<'a>) -> Section<'a> {
        Section { notes, path: String::new(), table: Some(table), asked: RefCell::default() }
    }

    /// The full name of a key of this table.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    pub fn error(&self, name: &str, message: &'static str) -> Problem {
        self.notes.error(self.key(name), message)
    }

    pub fn warning(&self, name: &str, message: &'static str) -> Problem {
        self.notes.warning(self.key(name), message)
    }

    fn get(&self, name: &str) -> Option<&'a DeValue<'a>> {
        self.asked.borrow_mut().push(name.to_owned());
        let (key, value) = self.table?.get_key_value(name)?;
        self.notes.note_place(&self.key(name), key.span());
        Some(value.get_ref())
    }

    fn wrong_type(&self, name: &str, expected: &'static str, found: &DeValue<'_>) {
        let problem = self.error(name, "config.wrong_type");
        self.notes.add(problem.word("expected", expected).word("found", type_word(found)));
    }

    /// Notes that a setting is missing. What stands there and is wrong was noted where it was read.
    pub fn missing(&self, name: &str, why: &'static str) {
        if self.notes.has(&self.key(name)) {
            return;
        }
        let problem = Problem::new(Severity::Error, self.path.clone(), "config.missing");
        self.notes.add(problem.with("name", name).why(why));
    }

    /// A whole number within its range, if it is given.
    pub fn number(&self, name: &str, range: RangeInclusive<u64>, why: &'static str) -> Option<u64> {
        let value = self.get(name)?;
        let DeValue::Integer(digits) = value else {
            self.wrong_type(name, "config.type.number", value);
            return None;
        };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX);
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let problem = self.error(name, "config.out_of_range").with("value", digits.as_str());
                self.notes.add(problem.with("min", range.start()).with("max", range.end()).why(why));
                None
            }
        }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        value.as_bool().or_else(|| {
            self.wrong_type(name, "config.type.flag", value);
            None
        })
    }

    /// Text as it stands, blanks and control characters included.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(name, "config.type.text", value);
                None
            }
        }
    }

    /// A calendar day, written without quotes: `2024-03-01`.
    pub fn date(&self, name: &str) -> Option<time::Date> {
        let value = self.get(name)?;
        let day = value.as_datetime().and_then(|at| if at.time.is_none() { at.date } else { None });
        let day = day.and_then(|day| {
            let month = time::Month::try_from(day.month).ok()?;
            time::Date::from_calendar_date(i32::from(day.year), month, day.day).ok()
        });
        if day.is_none() {
            self.wrong_type(name, "config.type.date", value);
        }
        day
    }

    /// Lets the table go without a word on its keys: it was read before.
    pub fn forget(mut self) {
        self.table = None;
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let value = self.get(name)?;
        let texts = value
            .as_array()
            .and_then(|array| array.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            self.wrong_type(name, "config.type.texts", value);
        }
        texts
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let problem = match nearest(&text, known.iter().copied()) {
                Some(near) => self.error(name, "config.not_one_of_near").with("near", near),
                None => self.error(name, "config.not_one_of"),
            };
            self.notes.add(problem.with("value", &text).with("known", known.join(", ")));
        }
        found
    }

    /// The table of this name; an absent one gives all defaults.
    pub fn section(&self, name: &str) -> Section<'a> {
        let table = self.get(name).and_then(|value| {
            if !value.is_table() {
                self.wrong_type(name, "config.type.table", value);
            }
            value.as_table()
        });
        Section { notes: self.notes, path: self.key(name), table, asked: RefCell::default() }
    }

    /// The tables of this table, each with its name, in the order of the file.
    pub fn named(&self) -> Vec<(String, Section<'a>)> {
        let mut keys: Vec<&Spanned<_>> = self.table.into_iter().flat_map(DeTable::keys).collect();
        keys.sort_by_key(|key| key.span().start);
        keys.iter().map(|key| (key.get_ref().to_string(), self.section(key.get_ref()))).collect()
    }

    /// The tables of an array of tables (`[[name]]`), each as `name[n]`, from 1.
    pub fn rows(&self, name: &str) -> Vec<Section<'a>> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let rows: Option<Vec<(&Spanned<DeValue<'a>>, &'a DeTable<'a>)>> = value
            .as_array()
            .and_then(|array| array.iter().map(|row| Some((row, row.get_ref().as_table()?))).collect());
        let Some(rows) = rows else {
            self.wrong_type(name, "config.type.tables", value);
            return Vec::new();
        };
        let section = |(index, (row, table)): (usize, (&Spanned<DeValue<'a>>, &'a DeTable<'a>))| {
            let path = format!("{}[{}]", self.key(name), index + 1);
            self.notes.note_place(&path, row.span());
            Section { notes: self.notes, path, table: Some(table), asked: RefCell::default() }
        };
        rows.into_iter().enumerate().map(section).collect()
    }

    /// The one table that names the kind, such as `[printers.p1.zpl]`. None and two are noted.
    pub fn kind(&self, kinds: &[&'static str], why: &'static str) -> Option<(&'static str, Section<'a>)> {
        let given: Vec<&&str> =
            kinds.iter().filter(|kind| self.table.is_some_and(|table| table.contains_key(**kind))).collect();
        let strange = self.table.is_some_and(|table| !table.is_empty());
        match given[..] {
            [kind] => Some((kind, self.section(kind))),
            // An unknown name is told on its own, with the nearest one: that is enough.
            [] if strange => {
                self.asked.borrow_mut().extend(kinds.iter().map(|kind| (*kind).to_owned()));
                None
            }
            [] => {
                let problem = self.notes.error(self.path.clone(), "config.no_kind");
                self.notes.add(problem.with("known", kinds.join(", ")).why(why));
                None
            }
            _ => {
                self.asked.borrow_mut().extend(kinds.iter().map(|kind| (*kind).to_owned()));
                let problem = self.notes.error(self.path.clone(), "config.two_kinds");
                self.notes.add(problem.with("known", kinds.join(", ")));
                None
            }
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let name: &str = key.get_ref();
            if asked.iter().any(|asked| asked == name) {
                continue;
            }
            self.notes.note_place(&self.key(name), key.span());
            let mut known: Vec<&str> = asked.iter().map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            let problem = match nearest(name, known.iter().copied()) {
                Some(near) => self.error(name, "config.unknown_key_near").with("near", near),
                None => self.error(name, "config.unknown_key").with("known", known.join(", ")),
            };
            self.notes.add(problem.with("name", name));
        }
    }
}

fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "config.type.text",
        DeValue::Integer(_) => "config.type.number",
        DeValue::Float(_) => "config.type.fraction",
        DeValue::Boolean(_) => "config.type.flag",
        DeValue::Datetime(_) => "config.type.date",
        DeValue::Array(_) => "config.type.list",
        DeValue::Table(_) => "config.type.table",
    }
}
