//! From read bytes to a code, position by position.
//!
//! What a reader may add or lose is known and listed here: an AIM prefix, a leading FNC1, lost
//! separators, separators spelled out. Each is noted in the result, for a line that loses
//! separators has a reader to set up. Nothing else is forgiven, nothing is cleaned.
//!
//! The exact bytes always win. Otherwise all ways in which the bytes fit the layout are tried,
//! and one way must remain: two different codes are `Ambiguous`.

use thiserror::Error;

use super::reader::{Substitutes, Symbology, prefix};
use super::{Form, Layout, TAIL_PARTS_MAX, TailPart};
use crate::code::{Code, Identity, Serial, Tail};
use crate::gs1::{GS, Gtin, GtinError, is_gs1_char};

/// Longest read looked at. The longest form has 198 bytes, four spelled separators add 28, prefix
/// and leading separator 11.
pub const READ_LEN_MAX: usize = 256;

/// The AIs as printed under a mark for people.
const BRACKETED_AIS: [&[u8]; 2] = [b"(01)", b"(21)"];

/// A code as read, and what was noted on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub code: Code,
    /// Index into [`Layout::forms`].
    pub form: usize,
    /// At least one separator was lost and put back from the layout.
    pub gs_restored: bool,
    /// At least one separator was spelled in another way.
    pub gs_substituted: bool,
    pub symbology: Symbology,
    /// The reader says GS1 and the form is not, or the other way round: the mark itself is
    /// wrongly encoded, though its data fit.
    pub symbology_differs: bool,
}

/// Why bytes do not fit the layout. Positions count from 0 in the bytes as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Malformed {
    #[error("no code of this product group has this length: {got} characters were read")]
    Length { got: usize },
    #[error("this is not a DataMatrix symbol, says the reader's prefix")]
    Symbology,
    #[error("characters {} to {} should be a GTIN of 14 digits", at + 1, at + Gtin::LEN)]
    NotGtin { at: usize },
    #[error("the GTIN's check digit is wrong: a digit was changed or misread")]
    BadCheckDigit,
    #[error("another application identifier should stand at character {}", at + 1)]
    WrongAi { at: usize },
    #[error("character {} (byte 0x{byte:02X}) cannot occur there", at + 1)]
    Alphabet { at: usize, byte: u8 },
    #[error("a separator (GS) should stand at character {}: the value before it is too long", at + 1)]
    MissingGs { at: usize },
    #[error("the characters fit this product group in two different ways")]
    Ambiguous,
}

impl Layout {
    /// Parses a full code as read, with real separators or lost ones.
    pub fn parse(&self, read: &[u8]) -> Result<Parsed, Malformed> {
        self.parse_with(read, &Substitutes::default())
    }

    /// Parses a full code as read, its separators possibly spelled in one of the given ways.
    pub fn parse_with(&self, read: &[u8], substitutes: &Substitutes) -> Result<Parsed, Malformed> {
        let (symbology, start) = prefix(read, substitutes)?;
        let parsed = self.parse_body(Body { read, start, substitutes })?;
        let says = symbology.says_gs1();
        let gs1 = self.forms.get(parsed.form).is_some_and(|form| form.gs1);
        Ok(Parsed { symbology, symbology_differs: says.is_some_and(|says| says != gs1), ..parsed })
    }

    /// Parses an identification code (KI) and nothing else, as upstream's answers give it.
    pub fn parse_identity_exact(&self, bytes: &[u8]) -> Result<Identity, Malformed> {
        self.identity_alone(Body { read: bytes, start: 0, substitutes: &Substitutes::default() })
    }

    /// Parses what a person types or scans: an identification code alone, also with the brackets
    /// printed under marks (`(01)…(21)…`), or a full code of which only the identity counts.
    ///
    /// A serial may happen to look like a shorter serial and a tail without separator: then
    /// `Ambiguous`, and the full code must be scanned.
    pub fn parse_identity(&self, read: &[u8]) -> Result<Identity, Malformed> {
        self.parse_identity_with(read, &Substitutes::default())
    }

    /// As [`Layout::parse_identity`], separators possibly spelled in one of the given ways.
    pub fn parse_identity_with(&self, read: &[u8], substitutes: &Substitutes) -> Result<Identity, Malformed> {
        let (_, start) = prefix(read, substitutes)?;
        let body = Body { read, start, substitutes };
        let full = self.parse_body(body).map(|parsed| parsed.code.identity);
        let mut found = either(full, self.identity_alone(body));
        for form in self.forms.iter().filter(|form| form.gs1) {
            let [gtin_ai, serial_ai] = BRACKETED_AIS;
            if gtin_ai.len() + Gtin::LEN + serial_ai.len() + form.serial_len == read.len() - start {
                found = either(found, body.identity(form, gtin_ai, serial_ai));
            }
        }
        found
    }

    fn identity_alone(&self, body: Body<'_>) -> Result<Identity, Malformed> {
        let got = body.read.len() - body.start;
        let mut found = Err(Malformed::Length { got });
        for form in self.forms.iter().filter(|form| form.identity_len() == got) {
            let [gtin_ai, serial_ai] = form.identity_ais();
            found = either(found, body.identity(form, gtin_ai, serial_ai));
        }
        found
    }

    fn parse_body(&self, body: Body<'_>) -> Result<Parsed, Malformed> {
        let got = body.read.len() - body.start;
        if body.read.len() > READ_LEN_MAX {
            return Err(Malformed::Length { got });
        }
        let mut search = Search { body, readings: Vec::new(), furthest: None };
        let spelled = body.substitutes.longest().saturating_sub(1);
        for (index, form) in self.forms.iter().enumerate() {
            let longest = form.full_len() + form.gaps() * spelled;
            if (form.stripped_len()..=longest).contains(&got) {
                search.form(index, form);
            }
        }
        search.decide(Malformed::Length { got })
    }
}

/// Joins two ways of taking the same bytes as an identity; of two failures the one that says more.
fn either(a: Result<Identity, Malformed>, b: Result<Identity, Malformed>) -> Result<Identity, Malformed> {
    match (a, b) {
        (Ok(a), Ok(b)) if a != b => Err(Malformed::Ambiguous),
        (Err(Malformed::Ambiguous), _) | (_, Err(Malformed::Ambiguous)) => Err(Malformed::Ambiguous),
        (Ok(identity), _) | (_, Ok(identity)) => Ok(identity),
        (Err(Malformed::Length { .. }), Err(reason)) | (Err(reason), Err(_)) => Err(reason),
    }
}

/// The bytes read and where the data begin in them.
#[derive(Clone, Copy)]
struct Body<'a> {
    read: &'a [u8],
    start: usize,
    substitutes: &'a Substitutes,
}

impl Body<'_> {
    fn starts_with(&self, at: usize, wanted: &[u8]) -> bool {
        self.read.get(at..).is_some_and(|rest| rest.starts_with(wanted))
    }

    fn too_short(&self) -> Malformed {
        Malformed::Length { got: self.read.len() - self.start }
    }

    /// Reads GTIN and serial.
    fn identity(&self, form: &Form, gtin_ai: &[u8], serial_ai: &[u8]) -> Result<Identity, Malformed> {
        let mut at = self.start;
        if !self.starts_with(at, gtin_ai) {
            return Err(Malformed::WrongAi { at });
        }
        at += gtin_ai.len();
        let digits = self.read.get(at..at + Gtin::LEN).ok_or(self.too_short())?;
        let gtin = Gtin::parse(digits).map_err(|error| match error {
            GtinError::BadCheckDigit { .. } => Malformed::BadCheckDigit,
            GtinError::Length { .. } | GtinError::NotDigit { .. } => Malformed::NotGtin { at },
        })?;
        at += Gtin::LEN;
        if !self.starts_with(at, serial_ai) {
            return Err(Malformed::WrongAi { at });
        }
        at += serial_ai.len();
        let value = self.value(at, form.serial_len)?;
        let serial = Serial::new(value).map_err(|_| self.too_short())?;
        Ok(Identity { gtin, serial })
    }

    /// Exactly `len` bytes of the alphabet. A foreign byte is named before a missing end, for it
    /// says more.
    fn value(&self, at: usize, len: usize) -> Result<&[u8], Malformed> {
        let rest = self.read.get(at..).unwrap_or(&[]);
        match rest.iter().take(len).position(|byte| !is_gs1_char(*byte)) {
            Some(offset) => Err(Malformed::Alphabet { at: at + offset, byte: rest[offset] }),
            None => rest.get(..len).ok_or(self.too_short()),
        }
    }
}

/// One way of taking the bytes; spans of the tail's values stand in `values`.
#[derive(Clone, Copy)]
struct Reading {
    form: usize,
    identity: Identity,
    values: [(usize, usize); TAIL_PARTS_MAX],
    restored: bool,
    substituted: bool,
}

impl Reading {
    fn exact(&self) -> bool {
        !self.restored && !self.substituted
    }
}

/// Tries every form and every spelling of each separator.
struct Search<'a> {
    body: Body<'a>,
    readings: Vec<Reading>,
    /// The failure that came furthest: it says most about what is wrong.
    furthest: Option<(usize, Malformed)>,
}

impl Search<'_> {
    fn form(&mut self, index: usize, form: &Form) {
        let [gtin_ai, serial_ai] = form.identity_ais();
        match self.body.identity(form, gtin_ai, serial_ai) {
            Ok(identity) => {
                let reading = Reading {
                    form: index,
                    identity,
                    values: [(0, 0); TAIL_PARTS_MAX],
                    restored: false,
                    substituted: false,
                };
                self.part(form, 0, self.body.start + form.identity_len(), reading);
            }
            Err(reason) => self.fail(reason_at(reason, self.body.start), reason),
        }
    }

    /// Reads the tail's parts from `index` on; as deep as the form has parts.
    fn part(&mut self, form: &Form, index: usize, at: usize, reading: Reading) {
        let Some(part) = form.tail.get(index) else {
            return if at == self.body.read.len() {
                self.readings.push(reading);
            } else {
                self.fail(at, self.body.too_short());
            };
        };
        if !form.gs1 {
            return self.value(form, part, index, at, reading);
        }
        let body = self.body;
        if body.starts_with(at, &[GS]) {
            self.ai(form, part, index, at + 1, reading);
        }
        if body.starts_with(at, part.ai.as_bytes()) {
            self.ai(form, part, index, at, Reading { restored: true, ..reading });
        }
        for spelling in body.substitutes.spellings() {
            if body.starts_with(at, spelling) {
                let reading = Reading { substituted: true, ..reading };
                self.ai(form, part, index, at + spelling.len(), reading);
            }
        }
        self.fail(at, if at < body.read.len() { Malformed::MissingGs { at } } else { body.too_short() });
    }

    fn ai(&mut self, form: &Form, part: &TailPart, index: usize, at: usize, reading: Reading) {
        if self.body.starts_with(at, part.ai.as_bytes()) {
            self.value(form, part, index, at + part.ai.len(), reading);
        } else {
            self.fail(at, Malformed::WrongAi { at });
        }
    }

    fn value(&mut self, form: &Form, part: &TailPart, index: usize, at: usize, mut reading: Reading) {
        match self.body.value(at, part.len) {
            Ok(_) => {
                reading.values[index] = (at, at + part.len);
                self.part(form, index + 1, at + part.len, reading);
            }
            Err(reason) => self.fail(reason_at(reason, at), reason),
        }
    }

    fn fail(&mut self, at: usize, reason: Malformed) {
        if self.furthest.is_none_or(|(furthest, _)| at > furthest) {
            self.furthest = Some((at, reason));
        }
    }

    /// Picks the one reading: the exact one, else the only one.
    fn decide(self, otherwise: Malformed) -> Result<Parsed, Malformed> {
        let exact = self.readings.iter().find(|reading| reading.exact());
        let picked = exact.or(self.readings.first());
        let Some(picked) = picked else {
            return Err(self.furthest.map_or(otherwise, |(_, reason)| reason));
        };
        let code = self.code(picked)?;
        if exact.is_none() {
            for other in &self.readings {
                if self.code(other)? != code {
                    return Err(Malformed::Ambiguous);
                }
            }
        }
        Ok(Parsed {
            code,
            form: picked.form,
            gs_restored: picked.restored,
            gs_substituted: picked.substituted,
            symbology: Symbology::default(),
            symbology_differs: false,
        })
    }

    fn code(&self, reading: &Reading) -> Result<Code, Malformed> {
        let tail: Vec<u8> =
            reading.values.iter().flat_map(|(from, to)| &self.body.read[*from..*to]).copied().collect();
        // Cannot fail: each value was checked against the alphabet, their sum by `Form::check`.
        let tail = Tail::new(&tail).map_err(|_| self.body.too_short())?;
        Ok(Code { identity: reading.identity, tail })
    }
}

/// How far a failed reading came.
fn reason_at(reason: Malformed, otherwise: usize) -> usize {
    match reason {
        Malformed::NotGtin { at }
        | Malformed::WrongAi { at }
        | Malformed::Alphabet { at, .. }
        | Malformed::MissingGs { at } => at,
        Malformed::BadCheckDigit => otherwise + Gtin::LEN,
        Malformed::Length { .. } | Malformed::Symbology | Malformed::Ambiguous => otherwise,
    }
}
