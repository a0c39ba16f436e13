//! What is wrong with a configuration: a list, in the order of the file, that people and programs can read.
//!
//! A problem holds keys and values, never a sentence: the words are in [`crate::words`].

use std::fmt;
use std::path::{Path, PathBuf};

use crate::words::{Language, say};

/// Whether the agent starts in spite of the problem.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// It does not.
    Error,
    /// It does, and says so.
    Warning,
}

impl Severity {
    pub fn key(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A value that a message names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Shown as it is.
    Text(String),
    /// A key of the catalogue.
    Word(&'static str),
}

/// A line and column of a file, both from 1; a column counts characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub severity: Severity,
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    /// The setting with all its tables, such as `lines.l1.gate.modbus.poll_ms`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do: a key of the catalogue (`config.…`), and its arguments.
    pub message: &'static str,
    pub args: Vec<(&'static str, Value)>,
    /// Why it matters, where the message itself does not say it: a key of the catalogue (`why.…`).
    pub why: Option<&'static str>,
}

impl Problem {
    pub fn new(severity: Severity, key: impl Into<String>, message: &'static str) -> Problem {
        Problem {
            severity,
            file: PathBuf::new(),
            line: 0,
            column: 0,
            key: key.into(),
            message,
            args: Vec::new(),
            why: None,
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Problem {
        self.args.push((name, Value::Text(value.to_string())));
        self
    }

    #[must_use]
    pub fn word(mut self, name: &'static str, word: &'static str) -> Problem {
        self.args.push((name, Value::Word(word)));
        self
    }

    #[must_use]
    pub fn why(mut self, why: &'static str) -> Problem {
        self.why = Some(why);
        self
    }

    #[must_use]
    pub fn at(mut self, file: &Path, place: Place) -> Problem {
        self.file = file.to_owned();
        (self.line, self.column) = (place.line, place.column);
        self
    }

    /// The whole message: what is wrong, why it matters, what to do.
    pub fn text(&self, language: Language) -> String {
        let values: Vec<(&str, String)> = self
            .args
            .iter()
            .map(|(name, value)| match value {
                Value::Text(text) => (*name, text.clone()),
                Value::Word(key) => (*name, say(language, key, &[])),
            })
            .collect();
        let why = self.why.map(|why| say(language, why, &[])).unwrap_or_default();
        let mut args: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        args.push(("why", &why));
        say(language, self.message, &args)
    }
}

/// Problems in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn new(mut list: Vec<Problem>) -> Problems {
        list.sort_by(|a, b| {
            let of = |p: &Problem| (p.file.clone(), p.line, p.column, p.severity);
            of(a).cmp(&of(b))
        });
        // What is read twice is told once.
        list.dedup();
        Problems(list)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn errors(&self) -> usize {
        self.0.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    pub fn warnings(&self) -> usize {
        self.0.len() - self.errors()
    }

    /// For people: one paragraph a problem, then the count.
    pub fn render(&self, language: Language) -> String {
        let mut out = String::new();
        for problem in &self.0 {
            let severity = match problem.severity {
                Severity::Error => "config.severity.error",
                Severity::Warning => "config.severity.warning",
            };
            out.push_str(&problem.file.display().to_string());
            if problem.line > 0 {
                out.push_str(&format!(":{}:{}", problem.line, problem.column));
            }
            out.push_str(&format!(": {}", say(language, severity, &[])));
            if !problem.key.is_empty() {
                out.push_str(&format!(": {}", problem.key));
            }
            out.push_str(&format!("\n    {}\n", problem.text(language)));
        }
        let counts = [("errors", self.errors().to_string()), ("warnings", self.warnings().to_string())];
        out.push_str(&crate::words::say_owned(language, "config.count", &counts));
        out.push('\n');
        out
    }

    /// For programs: the same with keys and values apart.
    pub fn json(&self, language: Language) -> serde_json::Value {
        let one = |problem: &Problem| {
            let args: serde_json::Map<String, serde_json::Value> = problem
                .args
                .iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::Text(text) => text.clone(),
                        Value::Word(key) => (*key).to_owned(),
                    };
                    ((*name).to_owned(), value.into())
                })
                .collect();
            serde_json::json!({
                "severity": problem.severity.key(),
                "file": problem.file.display().to_string(),
                "line": problem.line,
                "column": problem.column,
                "key": problem.key,
                "message": problem.message,
                "args": args,
                "why": problem.why,
                "text": problem.text(language),
            })
        };
        serde_json::Value::Array(self.0.iter().map(one).collect())
    }
}

/// In English; people get [`Problems::render`] in their language.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Language::En).trim_end())
    }
}

impl std::error::Error for Problems {}
