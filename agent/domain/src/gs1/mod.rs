//! The parts of the GS1 General Specifications that a marking code is made of.
//!
//! Bytes, not text: a serial may hold quotes, `&`, `<` and apostrophes, and none of them is ever
//! trimmed, escaped or changed here.

use std::fmt;

use thiserror::Error;

pub mod element;

/// The group separator, ASCII 29, that readers transmit for an inner FNC1.
pub const GS: u8 = 0x1D;

/// FNC1 as the raw codeword 232, which some readers hand out instead of dropping it.
pub const FNC1_CODEWORD: u8 = 0xE8;

/// Whether a byte belongs to the 82 characters of AI values.
///
/// Source: GS1 General Specifications 7.11, table "AI encodable character set 82" (ISO/IEC 646
/// subset). Not in it: space, `# $ @ [ \ ] ^ { | } ~`, the backtick and all controls.
pub const fn is_gs1_char(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'"' | b'%'..=b'/' | b'0'..=b'9' | b':'..=b'?' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
}

/// Position of the first byte outside the 82-character alphabet.
pub fn first_alien(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !is_gs1_char(*byte))
}

/// Computes the mod-10 check digit (as ASCII) of a string of digits without its check digit.
///
/// The last digit of `body` weighs 3, the one before 1, and so on: GS1 General Specifications
/// 7.9.1. `None` if a byte is not a digit.
pub fn check_digit(body: &[u8]) -> Option<u8> {
    let mut sum: u32 = 0;
    for (from_right, byte) in body.iter().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return None;
        }
        let weight = if from_right % 2 == 0 { 3 } else { 1 };
        // Modulo at each step keeps any length of input from overflowing.
        sum = (sum + u32::from(byte - b'0') * weight) % 10;
    }
    let digit = (10 - sum) % 10;
    Some(b'0' + digit as u8)
}

/// A global trade item number: 14 digits, the last of them the right check digit.
///
/// Shorter numbers (EAN-8, UPC, EAN-13) are padded with zeros on the left, as the state systems
/// register them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtin([u8; Gtin::LEN]);

impl Gtin {
    pub const LEN: usize = 14;

    /// Parses exactly 14 digits.
    pub fn parse(digits: &[u8]) -> Result<Gtin, GtinError> {
        let digits: [u8; Gtin::LEN] =
            digits.try_into().map_err(|_| GtinError::Length { got: digits.len() })?;
        if let Some(at) = digits.iter().position(|byte| !byte.is_ascii_digit()) {
            return Err(GtinError::NotDigit { at });
        }
        let (body, given) = (&digits[..Gtin::LEN - 1], digits[Gtin::LEN - 1]);
        match check_digit(body) {
            Some(wanted) if wanted == given => Ok(Gtin(digits)),
            Some(wanted) => {
                Err(GtinError::BadCheckDigit { given: char::from(given), wanted: char::from(wanted) })
            }
            None => Err(GtinError::NotDigit { at: 0 }),
        }
    }

    /// Parses 8, 12, 13 or 14 digits, as a person or a product card writes them.
    pub fn parse_padded(text: &str) -> Result<Gtin, GtinError> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 8 | 12 | 13 | 14) {
            return Err(GtinError::Length { got: bytes.len() });
        }
        let mut digits = [b'0'; Gtin::LEN];
        digits[Gtin::LEN - bytes.len()..].copy_from_slice(bytes);
        Gtin::parse(&digits)
    }

    /// The 14 ASCII digits.
    pub const fn as_bytes(&self) -> &[u8; Gtin::LEN] {
        &self.0
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gtin({self})")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GtinError {
    #[error("a GTIN has 14 digits (or 8, 12, 13 before padding), not {got} characters")]
    Length { got: usize },
    #[error("a GTIN has digits only; character {} is not one", at + 1)]
    NotDigit { at: usize },
    #[error("the GTIN's check digit is {given} and should be {wanted}: a digit is wrong")]
    BadCheckDigit { given: char, wanted: char },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn alphabet_has_the_82_characters_and_no_other() {
        let set: Vec<u8> = (0..=255).filter(|byte| is_gs1_char(*byte)).collect();
        let wanted = b"!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
        assert_eq!(set, wanted.to_vec());
        assert_eq!(set.len(), 82);
    }

    /// GTINs printed in the operator's help pages (articles named in `layout/tests.rs`) and in SAP's
    /// description of its UZ connector: all five bear a right check digit.
    #[test]
    fn published_gtins_have_right_check_digits() {
        for gtin in ["04899215122371", "04870216760007", "04780101164394", "04750232014417", "04323456788176"]
        {
            assert_eq!(Gtin::parse(gtin.as_bytes()).unwrap().to_string(), gtin);
        }
    }

    #[test]
    fn wrong_gtins_are_refused_with_the_reason() {
        let table: [(&[u8], GtinError); 5] = [
            (b"", GtinError::Length { got: 0 }),
            (b"4870216760007", GtinError::Length { got: 13 }),
            (b"0487021676000x", GtinError::NotDigit { at: 13 }),
            (b"x4870216760007", GtinError::NotDigit { at: 0 }),
            (b"04870216760008", GtinError::BadCheckDigit { given: '8', wanted: '7' }),
        ];
        for (input, error) in table {
            assert_eq!(Gtin::parse(input), Err(error));
        }
    }

    #[test]
    fn short_numbers_are_padded() {
        let table = [
            ("96385074", "00000096385074"),
            ("036000291452", "00036000291452"),
            ("4870216760007", "04870216760007"),
            ("04870216760007", "04870216760007"),
        ];
        for (input, expected) in table {
            assert_eq!(Gtin::parse_padded(input).unwrap().to_string(), expected);
        }
        assert_eq!(Gtin::parse_padded("123456789"), Err(GtinError::Length { got: 9 }));
        assert_eq!(Gtin::parse_padded(" 870216760007"), Err(GtinError::NotDigit { at: 1 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_single_wrong_digit_never_passes(body in "[0-9]{13}", at in 0usize..14, add in 1u8..10) {
            let mut digits = body.clone().into_bytes();
            digits.push(check_digit(body.as_bytes()).unwrap());
            prop_assert!(Gtin::parse(&digits).is_ok());
            digits[at] = b'0' + (digits[at] - b'0' + add) % 10;
            prop_assert!(Gtin::parse(&digits).is_err());
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20), text in ".{0,20}") {
            let _ = Gtin::parse(&bytes);
            let _ = Gtin::parse_padded(&text);
            let _ = check_digit(&bytes);
        }
    }
}
