//! Position-exact layouts of the codes of one product group.
//!
//! A *form* says where each byte of a code stands; a *layout* holds the forms that one product
//! group may use at one time. Reading goes by position and never by searching: "93" or "21" inside
//! a serial is data. A layout in which two forms could be taken for each other, with or without
//! their separators, cannot be built. Reading itself is in [`read`], what readers add
//! and lose in [`reader`].
//!
//! Lengths are in bytes. The shapes themselves, with their sources, are data: `config/rules/*.toml`.

use thiserror::Error;

use crate::code::{Code, Identity, Serial, Tail};
use crate::gs1::{GS, Gtin};

pub mod keyboard;
#[cfg(test)]
mod properties;
pub mod read;
pub mod reader;
#[cfg(test)]
mod tests;

/// Forms of one layout. No group is known to have more than three.
pub const FORMS_MAX: usize = 8;
/// Parts of one tail. The longest known has two (`91`, `92` or `8005`, `93`).
pub const TAIL_PARTS_MAX: usize = 4;

/// One value of the verification tail: exactly `len` bytes after the AI digits `ai`.
///
/// In a form without AIs `ai` is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TailPart {
    pub ai: String,
    pub len: usize,
}

/// One layout of a code: GTIN (14), serial (`serial_len`), then the parts of the tail.
///
/// With `gs1`: `01` GTIN `21` serial, and for each part `<GS>` AI value. Without: the same values
/// one after the other, no AIs, no separators (tobacco packs).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    pub serial_len: usize,
    pub gs1: bool,
    pub tail: Vec<TailPart>,
}

impl Form {
    /// A form with AIs and separators, its tail as (AI, length).
    pub fn gs1(serial_len: usize, tail: &[(&str, usize)]) -> Form {
        let tail = tail.iter().map(|(ai, len)| TailPart { ai: (*ai).to_owned(), len: *len }).collect();
        Form { serial_len, gs1: true, tail }
    }

    /// A form without AIs and separators, its tail as lengths.
    pub fn plain(serial_len: usize, tail: &[usize]) -> Form {
        let tail = tail.iter().map(|len| TailPart { ai: String::new(), len: *len }).collect();
        Form { serial_len, gs1: false, tail }
    }

    /// Bytes of the identification code (KI): all before the tail.
    pub fn identity_len(&self) -> usize {
        let [gtin_ai, serial_ai] = self.identity_ais();
        gtin_ai.len() + Gtin::LEN + serial_ai.len() + self.serial_len
    }

    /// Bytes of the tail's values, without AIs and separators.
    pub fn tail_len(&self) -> usize {
        self.tail.iter().map(|part| part.len).sum()
    }

    /// Bytes of the full code, separators included, a leading FNC1 not.
    pub fn full_len(&self) -> usize {
        self.stripped_len() + self.gaps()
    }

    /// Bytes of the full code when a reader dropped all its separators.
    fn stripped_len(&self) -> usize {
        let ais: usize = self.tail.iter().map(|part| part.ai.len()).sum();
        self.identity_len() + ais + self.tail_len()
    }

    /// Number of separators.
    fn gaps(&self) -> usize {
        if self.gs1 { self.tail.len() } else { 0 }
    }

    /// What stands before GTIN and serial.
    fn identity_ais(&self) -> [&'static [u8]; 2] {
        if self.gs1 { [b"01", b"21"] } else { [b"", b""] }
    }

    fn check(&self) -> Result<(), FormError> {
        if self.serial_len == 0 || self.serial_len > Serial::LEN_MAX {
            return Err(FormError::SerialLen { got: self.serial_len });
        }
        if self.tail.len() > TAIL_PARTS_MAX {
            return Err(FormError::TooManyParts { got: self.tail.len() });
        }
        for part in &self.tail {
            let ai_fits = if self.gs1 {
                (2..=4).contains(&part.ai.len()) && part.ai.bytes().all(|byte| byte.is_ascii_digit())
            } else {
                part.ai.is_empty()
            };
            if !ai_fits {
                return Err(FormError::Ai { ai: part.ai.clone() });
            }
            // Bounded one by one first, so that the sum below cannot overflow.
            if part.len == 0 || part.len > Tail::LEN_MAX {
                return Err(FormError::PartLen { got: part.len });
            }
        }
        if self.tail_len() > Tail::LEN_MAX {
            return Err(FormError::PartLen { got: self.tail_len() });
        }
        Ok(())
    }

    fn render_identity_into(&self, identity: &Identity, out: &mut Vec<u8>) {
        let [gtin_ai, serial_ai] = self.identity_ais();
        out.extend_from_slice(gtin_ai);
        out.extend_from_slice(identity.gtin.as_bytes());
        out.extend_from_slice(serial_ai);
        out.extend_from_slice(identity.serial.as_bytes());
    }
}

/// The forms of one product group, tellable apart by length. Valid by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    forms: Vec<Form>,
}

impl Layout {
    /// Checks the forms and that no two can be taken for each other.
    pub fn new(forms: Vec<Form>) -> Result<Layout, LayoutError> {
        if forms.is_empty() || forms.len() > FORMS_MAX {
            return Err(LayoutError::FormCount { got: forms.len() });
        }
        for (index, form) in forms.iter().enumerate() {
            form.check().map_err(|source| LayoutError::Form { index, source })?;
        }
        for (second, b) in forms.iter().enumerate() {
            for (first, a) in forms[..second].iter().enumerate() {
                // Each separator may be lost on its own, so every length between is possible.
                if a.stripped_len() <= b.full_len() && b.stripped_len() <= a.full_len() {
                    return Err(LayoutError::SameLength { first, second });
                }
                if (a.serial_len, a.tail_len()) == (b.serial_len, b.tail_len()) {
                    return Err(LayoutError::SameValues { first, second });
                }
            }
        }
        Ok(Layout { forms })
    }

    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// Index of the form that a code has: the one with its serial's and tail's lengths.
    pub fn form_of(&self, code: &Code) -> Option<usize> {
        let lens = (code.identity.serial.as_bytes().len(), code.tail.len());
        self.forms.iter().position(|form| (form.serial_len, form.tail_len()) == lens)
    }

    /// The full code as it stands in the symbol and in application reports: AIs, separators, tail;
    /// no leading FNC1, which is not data.
    pub fn render_full(&self, code: &Code) -> Result<Vec<u8>, RenderError> {
        let form = self.form_for(code)?;
        let mut out = Vec::with_capacity(form.full_len());
        form.render_identity_into(&code.identity, &mut out);
        for (part, value) in cut(form, &code.tail) {
            if form.gs1 {
                out.push(GS);
            }
            out.extend_from_slice(part.ai.as_bytes());
            out.extend_from_slice(value);
        }
        Ok(out)
    }

    /// The identification code (KI) as aggregation and look-up want it.
    ///
    /// Fails with `TwoForms` where a group writes the same identity in two ways (tobacco packs
    /// without AIs, blocks with them): then ask a layout of one kind of package, or
    /// [`Layout::render_identity_of`].
    pub fn render_identity(&self, identity: &Identity) -> Result<Vec<u8>, RenderError> {
        let len = identity.serial.as_bytes().len();
        let mut fitting = self.forms.iter().filter(|form| form.serial_len == len);
        let form = fitting.next().ok_or(RenderError::NoForm)?;
        if fitting.any(|other| other.gs1 != form.gs1) {
            return Err(RenderError::TwoForms);
        }
        let mut out = Vec::with_capacity(form.identity_len());
        form.render_identity_into(identity, &mut out);
        Ok(out)
    }

    /// The identification code of a code whose tail is known, and with it the form.
    pub fn render_identity_of(&self, code: &Code) -> Result<Vec<u8>, RenderError> {
        let form = self.form_for(code)?;
        let mut out = Vec::with_capacity(form.identity_len());
        form.render_identity_into(&code.identity, &mut out);
        Ok(out)
    }

    /// The tail cut into its parts, as (AI, value), for printers that take fields one by one.
    pub fn tail_parts<'a>(&'a self, code: &'a Code) -> Result<Vec<(&'a str, &'a [u8])>, RenderError> {
        let form = self.form_for(code)?;
        Ok(cut(form, &code.tail).map(|(part, value)| (part.ai.as_str(), value)).collect())
    }

    fn form_for(&self, code: &Code) -> Result<&Form, RenderError> {
        self.form_of(code).and_then(|index| self.forms.get(index)).ok_or(RenderError::NoForm)
    }
}

/// Cuts a tail of exactly the form's length into the form's parts.
fn cut<'a>(form: &'a Form, tail: &'a Tail) -> impl Iterator<Item = (&'a TailPart, &'a [u8])> {
    let mut rest = tail.as_bytes();
    form.tail.iter().map(move |part| {
        let (value, after) = rest.split_at(part.len.min(rest.len()));
        rest = after;
        (part, value)
    })
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    #[error("a serial has 1 to 20 characters, not {got}")]
    SerialLen { got: usize },
    #[error("a tail has at most 4 parts, not {got}")]
    TooManyParts { got: usize },
    #[error("\"{ai}\" cannot stand here: a form with AIs wants 2 to 4 digits, a form without wants none")]
    Ai { ai: String },
    #[error("the parts of a tail have 1 to 140 characters together, not {got}")]
    PartLen { got: usize },
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    #[error("a product group has 1 to 8 forms, not {got}")]
    FormCount { got: usize },
    #[error("form {} is not possible", index + 1)]
    Form { index: usize, source: FormError },
    #[error("forms {} and {} can have the same length when a separator is lost", first + 1, second + 1)]
    SameLength { first: usize, second: usize },
    #[error("forms {} and {} hold serials and tails of the same lengths", first + 1, second + 1)]
    SameValues { first: usize, second: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RenderError {
    #[error("no form of this product group has the lengths of this code")]
    NoForm,
    #[error("this product group writes such an identity in two ways; name the kind of package")]
    TwoForms,
}
