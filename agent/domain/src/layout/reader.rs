//! What readers do to a code: prefixes in front of it, separators spelled in their own way.

use thiserror::Error;

use super::read::Malformed;
use crate::gs1::{FNC1_CODEWORD, GS, first_alien};

/// Ways in which the readers of a line write a separator instead of 0x1D.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutes(Vec<Vec<u8>>);

impl Substitutes {
    pub const COUNT_MAX: usize = 16;
    pub const LEN_MAX: usize = 8;

    /// Checks a list from configuration: at most 16 of 1 to 8 bytes, none with a real GS.
    pub fn new(spellings: Vec<Vec<u8>>) -> Result<Substitutes, SubstituteError> {
        if spellings.len() > Substitutes::COUNT_MAX {
            return Err(SubstituteError::TooMany { got: spellings.len() });
        }
        for (index, spelling) in spellings.iter().enumerate() {
            if spelling.is_empty() || spelling.len() > Substitutes::LEN_MAX {
                return Err(SubstituteError::Length { index, got: spelling.len() });
            }
            if spelling.contains(&GS) {
                return Err(SubstituteError::RealGs { index });
            }
        }
        Ok(Substitutes(spellings))
    }

    /// The spellings met in the field: zxing-cpp's text mode (`<GS>`), pylibdmtx (`è` for codeword
    /// 232), Excel (`_x001D_`), keyboard scanners set to a visible character, JSON and C escapes.
    pub fn usual() -> Substitutes {
        let spellings: [&[u8]; 13] = [
            b"<GS>",
            b"[GS]",
            b"{GS}",
            b"\\x1D",
            b"\\x1d",
            b"\\u001d",
            b"_x001D_",
            b"^]",
            b"|",
            b"~",
            "\u{241D}".as_bytes(),
            "\u{E8}".as_bytes(),
            &[FNC1_CODEWORD],
        ];
        Substitutes(spellings.iter().map(|spelling| spelling.to_vec()).collect())
    }

    pub(super) fn spellings(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Bytes of the longest spelling, the real separator included.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(Vec::len).max().unwrap_or(1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubstituteError {
    #[error("at most 16 spellings of the separator can be given, not {got}")]
    TooMany { got: usize },
    #[error("spelling {} has {got} bytes; 1 to 8 are possible", index + 1)]
    Length { index: usize, got: usize },
    #[error("spelling {} contains the real separator, which is always accepted", index + 1)]
    RealGs { index: usize },
}

/// What a reader said about the symbol beside its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbology {
    /// The modifier *m* of the AIM prefix `]dm`, as ASCII.
    pub aim: Option<u8>,
    /// A leading FNC1 was transmitted as data.
    pub leading_fnc1: bool,
}

impl Symbology {
    /// Whether the reader says that the symbol is a GS1 one; `None` if it does not say.
    ///
    /// ISO/IEC 16022 Annex N: 2 and 5 mean FNC1 in first position; 3 and 6 in second, which is
    /// not GS1. Other modifiers are met (`]d7`, `]dA` of zxing-cpp) and say nothing. A prefix
    /// outranks a leading 0x1D, which `]d1` makes an ordinary character.
    pub fn says_gs1(&self) -> Option<bool> {
        match self.aim {
            Some(b'2' | b'5') => Some(true),
            Some(b'0' | b'1' | b'3' | b'4' | b'6') => Some(false),
            Some(_) => None,
            None => self.leading_fnc1.then_some(true),
        }
    }
}

/// Takes what may stand before the data: `]d` and its modifier, then one FNC1.
pub(super) fn prefix(read: &[u8], substitutes: &Substitutes) -> Result<(Symbology, usize), Malformed> {
    let mut symbology = Symbology::default();
    let mut start = 0;
    // `]` is outside the alphabet, so a prefix is never data.
    if read.first() == Some(&b']') {
        match read.get(..3) {
            Some([_, b'd', modifier]) => symbology.aim = Some(*modifier),
            _ => return Err(Malformed::Symbology),
        }
        start = 3;
    }
    let rest = &read[start..];
    let spelled = substitutes.spellings().iter().find(|spelling| {
        // A spelling made of data characters could be the beginning of the code itself.
        first_alien(spelling).is_some() && rest.starts_with(spelling)
    });
    let fnc1 = match (rest.first(), spelled) {
        (Some(&GS | &FNC1_CODEWORD), _) => 1,
        (_, Some(spelling)) => spelling.len(),
        _ => 0,
    };
    symbology.leading_fnc1 = fnc1 > 0;
    Ok((symbology, start + fnc1))
}
