//! Puts ZPL commands together into jobs: fields, stored formats, quantities, `^JZ`.
//!
//! Draws no picture: of a label it keeps whether anything is drawn, what the first DataMatrix symbol says, and what the
//! first Code 128 says.
//! Commands that change neither are ignored, as are unknown ones.

use std::collections::BTreeMap;

use super::code128::Code128;
use super::zpl::{Bx, Symbol, number};

/// One format after `^XZ`, ready to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub symbol: Option<Symbol>,
    /// The first Code 128 as a reader gives it, with its symbology identifier.
    pub bar: Option<Vec<u8>>,
    /// Copies not yet begun, from `^PQ`.
    pub copies: u32,
    /// `^JZ` as in force for this job: after an error the printer prints the interrupted label again.
    pub reprint_after_error: bool,
    /// This job is itself a repeat by the printer or its panel.
    pub reprint: bool,
    /// Somebody asked for it at the panel.
    pub at_panel: bool,
    /// No host of this line asked for it.
    pub unasked: bool,
    /// What it takes of the receive buffer.
    pub bytes: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Field {
    bx: Option<Bx>,
    bc: Option<Code128>,
    graphic: bool,
    number: Option<u32>,
    hex: Option<u8>,
    data: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Draft {
    fields: Vec<Field>,
    field: Field,
    store_as: Option<String>,
    recalled: Vec<Field>,
    copies: u32,
}

/// The language side of a printer: what is kept between commands.
#[derive(Debug)]
pub struct Composer {
    escape_default: u8,
    draft: Option<Draft>,
    /// Flash memory `E:`, kept at power-off.
    flash: BTreeMap<String, Vec<Field>>,
    /// Memory `R:`, lost at power-off.
    ram: BTreeMap<String, Vec<Field>>,
    reprint_after_error: bool,
    pub label_length_dots: u32,
    /// As in `~HS`: 0 rewind, 1 peel, 2 tear, 3 cutter, 4 applicator, 5 delayed cut.
    pub media_mode: u8,
}

impl Composer {
    pub fn new(escape_default: u8) -> Self {
        Self {
            escape_default,
            draft: None,
            flash: BTreeMap::new(),
            ram: BTreeMap::new(),
            reprint_after_error: true,
            label_length_dots: 1245,
            media_mode: 2,
        }
    }

    /// Power is gone: `R:`, the format being received and `^JZ` go with it.
    pub fn power_off(&mut self) {
        self.draft = None;
        self.ram.clear();
        self.reprint_after_error = true;
    }

    pub fn drop_format(&mut self) {
        self.draft = None;
    }

    pub fn in_format(&self) -> bool {
        self.draft.is_some()
    }

    /// Takes one `^` command; a `^XZ` that prints gives a job.
    pub fn caret(&mut self, name: [u8; 2], params: &[u8]) -> Option<Job> {
        if &name == b"XA" {
            self.draft = Some(Draft { copies: 1, ..Draft::default() });
            return None;
        }
        let draft = self.draft.as_mut()?;
        match &name {
            b"XZ" => return self.finish(),
            b"FS" | b"FO" | b"FT" => draft.end_field(),
            b"FD" | b"FV" => draft.field.data = Some(params.to_vec()),
            b"FH" => draft.field.hex = Some(params.first().copied().unwrap_or(b'_')),
            b"FN" => {
                let digits = params.iter().take_while(|b| b.is_ascii_digit()).count();
                draft.field.number = number(&params[..digits]);
            }
            b"BX" => draft.field.bx = Some(Bx::parse(params)),
            b"BC" => draft.field.bc = Some(Code128::parse(params)),
            b"GB" | b"GC" | b"GD" | b"GE" | b"GF" | b"GS" | b"XG" | b"IM" => draft.field.graphic = true,
            b"PQ" => {
                let quantity = params.split(|&b| b == b',').next().and_then(number);
                draft.copies = quantity.filter(|q| (1..=99_999_999).contains(q)).unwrap_or(1);
            }
            b"DF" => draft.store_as = Some(object_name(params)),
            b"XF" => {
                let name = object_name(params);
                let fields = if name.starts_with("E:") { self.flash.get(&name) } else { self.ram.get(&name) };
                draft.recalled = fields.cloned().unwrap_or_default();
            }
            b"ID" => {
                let name = object_name(params);
                self.flash.remove(&name);
                self.ram.remove(&name);
            }
            b"JZ" => match params.first().map(u8::to_ascii_uppercase) {
                Some(b'N') => self.reprint_after_error = false,
                Some(b'Y') => self.reprint_after_error = true,
                _ => {}
            },
            b"LL" => self.label_length_dots = number(params).unwrap_or(self.label_length_dots).min(9999),
            b"MM" => {
                let modes = b"RPTCAD";
                let mode =
                    params.first().and_then(|p| modes.iter().position(|m| *m == p.to_ascii_uppercase()));
                self.media_mode = mode.and_then(|m| u8::try_from(m).ok()).unwrap_or(self.media_mode);
            }
            _ => {}
        }
        None
    }

    fn finish(&mut self) -> Option<Job> {
        let mut draft = self.draft.take()?;
        draft.end_field();
        if let Some(name) = draft.store_as {
            if name.starts_with("E:") {
                self.flash.insert(name, draft.fields);
            } else {
                self.ram.insert(name, draft.fields);
            }
            return None;
        }
        let fields = fill(draft.recalled, draft.fields);
        let drawn = fields.iter().any(|f| f.graphic || f.data.as_ref().is_some_and(|d| !d.is_empty()));
        if !drawn {
            // A format of settings only feeds no label.
            return None;
        }
        let symbol = fields.iter().find_map(|f| f.bx?.symbol(&f.text(), self.escape_default));
        let bar = fields.iter().find_map(|f| f.bc?.read(&f.text()));
        Some(Job {
            symbol,
            bar,
            copies: draft.copies,
            reprint_after_error: self.reprint_after_error,
            reprint: false,
            at_panel: false,
            unasked: false,
            bytes: 0,
        })
    }
}

impl Draft {
    fn end_field(&mut self) {
        let field = std::mem::take(&mut self.field);
        if field != Field::default() {
            self.fields.push(field);
        }
    }
}

impl Field {
    /// Field data after `^FH`, which runs before the escapes of `^BX`.
    fn text(&self) -> Vec<u8> {
        let data = self.data.as_deref().unwrap_or_default();
        let Some(indicator) = self.hex else { return data.to_vec() };
        let mut text = Vec::with_capacity(data.len());
        let mut at = 0;
        while at < data.len() {
            let pair = data.get(at + 1..at + 3).filter(|p| p.iter().all(u8::is_ascii_hexdigit));
            let digits = pair.filter(|_| data[at] == indicator).and_then(|p| std::str::from_utf8(p).ok());
            let value = digits.and_then(|p| u8::from_str_radix(p, 16).ok());
            text.push(value.unwrap_or(data[at]));
            at += if value.is_some() { 3 } else { 1 };
        }
        text
    }
}

/// Fills the numbered fields of a stored format; data for a number that it does not have print as plain text.
fn fill(mut stored: Vec<Field>, given: Vec<Field>) -> Vec<Field> {
    for field in given {
        let mut found = false;
        for slot in stored.iter_mut().filter(|s| s.number.is_some() && s.number == field.number) {
            slot.data.clone_from(&field.data);
            slot.hex = field.hex.or(slot.hex);
            found = true;
        }
        if !found {
            stored.push(field);
        }
    }
    stored
}

/// `E:MARK.ZPL`: drive `R:` and extension `.ZPL` are the defaults.
fn object_name(params: &[u8]) -> String {
    let text = String::from_utf8_lossy(params).trim().to_ascii_uppercase();
    let (drive, name) = text.split_once(':').unwrap_or(("R", &text));
    let name = name.split(',').next().unwrap_or_default();
    let extension = if name.contains('.') { "" } else { ".ZPL" };
    format!("{drive}:{name}{extension}")
}
