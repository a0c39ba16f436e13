//! Whether a dossier is whole, and if not, where it is not. Needs nothing but the file.
//!
//! The bytes are anybody's: a line is read up to [`LINE_BYTES_MAX`] and no further, and only two lines are in memory.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use super::{Chain, END, Hash, LINE_BYTES_MAX, end_of};

/// What was found in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Whole { lines: u64, head: Hash },
    Broken { line: u64, how: How },
}

/// What is wrong at the first line that is not as it was written. Lines are counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// This line was changed.
    Changed,
    /// This line or the one after it was changed: only the head could say which.
    ChangedHereOrNext,
    /// The line that belongs here is not here: it was removed, or moved.
    Missing,
    /// This line does not belong here: it was added, or moved.
    Added,
    /// The file ends here, before its last line.
    CutOff,
}

impl How {
    pub const ALL: [How; 5] = [How::Changed, How::ChangedHereOrNext, How::Missing, How::Added, How::CutOff];

    /// The stable key, for catalogues (`dossier.<key>`) and programs.
    pub fn key(self) -> &'static str {
        match self {
            How::Changed => "changed",
            How::ChangedHereOrNext => "changed_here_or_next",
            How::Missing => "missing",
            How::Added => "added",
            How::CutOff => "cut_off",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    n: u64,
    prev: String,
    kind: String,
    #[serde(rename = "body")]
    _body: serde::de::IgnoredAny,
}

/// One line as it was read.
enum Read {
    Line(Vec<u8>),
    /// Longer than any, or without its line feed.
    NoLine,
    Over,
}

/// Reads all of it. An error is the file's, not the dossier's.
pub fn verify(mut input: impl BufRead) -> io::Result<Found> {
    let broken = |line, how| Ok(Found::Broken { line, how });
    let mut before = Hash::ZERO;
    let mut here: u64 = 1;
    let mut now = next(&mut input)?;
    loop {
        let bytes = match now {
            Read::Line(bytes) => bytes,
            Read::NoLine => return broken(here, How::Changed),
            Read::Over => return broken(here, How::CutOff),
        };
        let Some(link) = link(&bytes) else { return broken(here, How::Changed) };
        let own = Hash::of(&bytes);
        let after = next(&mut input)?;
        if Hash::parse(&link.prev) != Some(before) || !is_lower(&link.prev) {
            return broken_link(here, link.n, own, &after);
        }
        if link.n != here {
            return broken(here, How::Changed);
        }
        if link.kind == END {
            if bytes != last_line(here, before) {
                return broken(here, How::Changed);
            }
            return match after {
                Read::Over => Ok(Found::Whole { lines: here, head: own }),
                Read::Line(_) | Read::NoLine => broken(here + 1, How::Added),
            };
        }
        (before, here, now) = (own, here + 1, after);
    }
}

/// The line `here` does not go on where the one before it ended.
fn broken_link(here: u64, n: u64, own: Hash, after: &Read) -> io::Result<Found> {
    let after = match after {
        Read::Line(bytes) => link(bytes),
        Read::NoLine | Read::Over => None,
    };
    // The line after this one says what this one was.
    let is_own = after.as_ref().map(|link| Hash::parse(&link.prev) == Some(own));
    let (line, how) = match (n.cmp(&here), is_own) {
        (std::cmp::Ordering::Greater, _) => (here, How::Missing),
        (std::cmp::Ordering::Less, _) => (here, How::Added),
        (std::cmp::Ordering::Equal, _) if here == 1 => (1, How::Changed),
        (std::cmp::Ordering::Equal, Some(true)) => (here - 1, How::Changed),
        (std::cmp::Ordering::Equal, Some(false)) => (here, How::Changed),
        (std::cmp::Ordering::Equal, None) => (here - 1, How::ChangedHereOrNext),
    };
    Ok(Found::Broken { line, how })
}

fn link(line: &[u8]) -> Option<Link> {
    serde_json::from_slice(line).ok()
}

fn is_lower(hex: &str) -> bool {
    !hex.bytes().any(|b| b.is_ascii_uppercase())
}

/// The last line has one form only, since no line after it vouches for it.
fn last_line(n: u64, before: Hash) -> Vec<u8> {
    let mut chain = Chain { lines: n - 1, last: before };
    let mut line = Vec::new();
    chain.line(END, &end_of(n), &mut line);
    line.pop();
    line
}

fn next(input: &mut impl BufRead) -> io::Result<Read> {
    let mut line = Vec::new();
    let most = LINE_BYTES_MAX as u64 + 1;
    input.by_ref().take(most).read_until(b'\n', &mut line)?;
    Ok(match line.pop() {
        None => Read::Over,
        Some(b'\n') => Read::Line(line),
        Some(_) => Read::NoLine,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A dossier of so many lines before its last one, and its head.
    fn made(lines: usize) -> (Vec<u8>, Hash) {
        let mut chain = Chain::default();
        let mut file = Vec::new();
        for n in 0..lines {
            chain.line(
                "change",
                &json!({"who": "Anna \"A\" <a&b>", "what": n, "why": "=1+1, \u{1d}"}),
                &mut file,
            );
        }
        let (_, head) = chain.end(&mut file);
        (file, head)
    }

    fn found(file: &[u8]) -> Found {
        verify(file).unwrap()
    }

    fn lines_of(file: &[u8]) -> Vec<Vec<u8>> {
        file.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn what_was_written_is_whole_and_its_head_is_the_hash_of_its_last_line() {
        for lines in [0, 1, 7] {
            let (file, head) = made(lines);
            assert_eq!(found(&file), Found::Whole { lines: lines as u64 + 1, head });
            let last = lines_of(&file).pop().unwrap();
            assert_eq!(Hash::of(last.strip_suffix(b"\n").unwrap()), head);
            assert_eq!(Hash::parse(&head.to_string()), Some(head));
        }
    }

    #[test]
    fn the_form_is_this_one_and_no_other() {
        let mut chain = Chain::default();
        let mut file = Vec::new();
        chain.line("run", &json!({"b": 1, "a": "x"}), &mut file);
        chain.end(&mut file);
        let zeros = "0".repeat(64);
        let first = format!(r#"{{"n":1,"prev":"{zeros}","kind":"run","body":{{"a":"x","b":1}}}}"#);
        // By sha256sum of coreutils, of the first line without its line feed.
        let hash = "67f9626fb9f4b67621b833520afbd20359a8c666e911957ca335c3aa37316201";
        let last = format!(r#"{{"n":2,"prev":"{hash}","kind":"end","body":{{"lines":2}}}}"#);
        assert_eq!(String::from_utf8(file).unwrap(), format!("{first}\n{last}\n"));
    }

    #[test]
    fn every_bit_of_every_byte_is_guarded() {
        let (file, _) = made(3);
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut bent = file.clone();
                bent[at] ^= 1 << bit;
                let line = 1 + file[..at].iter().filter(|b| **b == b'\n').count() as u64;
                match found(&bent) {
                    Found::Whole { .. } => panic!("byte {at}, bit {bit} is not guarded"),
                    Found::Broken { line: told, how } => {
                        let near = told == line
                            || (told + 1 == line && how == How::ChangedHereOrNext)
                            // Of another kind the last line is none.
                            || (told == line + 1 && how == How::CutOff);
                        assert!(near, "byte {at} of line {line}: {how:?} in line {told}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_change_is_named() {
        let (file, _) = made(6);
        let lines = lines_of(&file);
        let (other, _) = made(5);
        let check = |what: &str, lines: Vec<Vec<u8>>, line: u64, how: How| {
            assert_eq!(found(&lines.concat()), Found::Broken { line, how }, "{what}");
        };
        let without = |n: usize| {
            let mut left = lines.clone();
            left.remove(n - 1);
            left
        };
        check("the first removed", without(1), 1, How::Missing);
        check("one removed", without(3), 3, How::Missing);
        check("the last removed", without(7), 7, How::CutOff);
        let mut swapped = lines.clone();
        swapped.swap(2, 3);
        check("two swapped", swapped, 3, How::Missing);
        let mut twice = lines.clone();
        twice.insert(3, lines[2].clone());
        check("one told twice", twice, 4, How::Added);
        let mut longer = lines.clone();
        longer.push(lines[6].clone());
        check("appended", longer, 8, How::Added);
        let mut longer = lines.clone();
        longer.push(b"\n".to_vec());
        check("an empty line appended", longer, 8, How::Added);
        let mut changed = lines.clone();
        changed[2] = String::from_utf8(lines[2].clone()).unwrap().replace("Anna", "Olim").into_bytes();
        check("a name changed", changed, 3, How::Changed);
        let mut mixed = lines.clone();
        mixed[4] = lines_of(&other)[5].clone();
        check("a last line put before the end", mixed, 5, How::Missing);
        let mut cut = lines.clone();
        cut[6].pop();
        check("the last line feed gone", cut, 7, How::Changed);
        check("nothing at all", vec![], 1, How::CutOff);
        check("something else", vec![b"%PDF-1.4\n".to_vec()], 1, How::Changed);
        check("a line without end", vec![vec![b' '; LINE_BYTES_MAX + 10]], 1, How::Changed);
    }

    proptest! {
        #[test]
        fn a_verifier_never_panics_and_believes_nothing_but_what_was_written(
            lines in 0_usize..5, at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..40),
            over in 0_usize..60,
        ) {
            let (file, head) = made(lines);
            let at = at.index(file.len() + 1);
            let mut bent = file.clone();
            bent.splice(at..(at + over).min(file.len()), with);
            match found(&bent) {
                Found::Whole { head: told, .. } => prop_assert!(bent == file && told == head),
                Found::Broken { .. } => prop_assert!(bent != file),
            }
        }
    }
}
