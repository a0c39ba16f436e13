//! A dossier: lines that vouch for each other.
//!
//! Each line is one JSON object, `{"n":1,"prev":"…","kind":"…","body":{…}}`, without blanks, the keys in this order, the
//! body's keys sorted, ended by one line feed. `n` counts from 1. `prev` is the SHA-256 of the line before it, all its
//! bytes without the line feed, in lower-case hexadecimal; 64 zeros in the first line. The last line has the kind `end`
//! and the body `{"lines":n}`. Its own SHA-256 is the *head*: whoever knows the head can tell any other file from this one.
//!
//! Without the head a file that somebody made anew from its beginning looks whole too: so the head is kept elsewhere, in
//! the database and on the printed sheet.
//!
//! - [`verify`]: reads one and says whether it is whole

pub mod verify;

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::Value;

/// The longest line without its line feed: a writer keeps far below it, a reader gives up there.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// The kind of the last line.
pub const END: &str = "end";

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub const ZERO: Hash = Hash([0; 32]);

    pub fn of(bytes: &[u8]) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Hash(hash)
    }

    /// Of 64 hexadecimal digits, as [`Hash`] is shown.
    pub fn parse(text: &str) -> Option<Hash> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| pair.get(at).and_then(|d| char::from(*d).to_digit(16));
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Hash(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    prev: String,
    kind: &'a str,
    body: &'a Value,
}

/// Makes the lines of one dossier, one after the other. What is done with their bytes is the caller's.
#[derive(Clone, Debug)]
pub struct Chain {
    lines: u64,
    last: Hash,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { lines: 0, last: Hash::ZERO }
    }
}

impl Chain {
    /// Appends the next line, with its line feed, to `out`.
    pub fn line(&mut self, kind: &str, body: &Value, out: &mut Vec<u8>) {
        let line = Line { n: self.lines + 1, prev: self.last.to_string(), kind, body };
        let line = serde_json::to_vec(&line).expect("a JSON value has a text");
        debug_assert!(line.len() <= LINE_BYTES_MAX, "a line of kind {kind} with {} bytes", line.len());
        self.lines += 1;
        self.last = Hash::of(&line);
        out.extend_from_slice(&line);
        out.push(b'\n');
    }

    /// Appends the last line, and says how many there are and what the head is.
    pub fn end(mut self, out: &mut Vec<u8>) -> (u64, Hash) {
        self.line(END, &end_of(self.lines + 1), out);
        (self.lines, self.last)
    }
}

/// The body of the last line.
fn end_of(lines: u64) -> Value {
    serde_json::json!({ "lines": lines })
}
