//! GS1 basics: the alphabet, the check digit, the GTIN.

use std::fmt;

/// The group separator that ends a variable-length value (ASCII 29).
pub const GS: u8 = 0x1D;

/// Whether a byte is one of the 82 characters that GS1 allows in serials and keys.
pub fn is_gs1_char(b: u8) -> bool {
    matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'!' | b'"' | b'%'..=b'/' | b':'..=b'?' | b'_')
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtin([u8; 14]);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a GTIN")]
pub struct GtinError;

impl Gtin {
    pub fn parse(digits: &[u8]) -> Result<Gtin, GtinError> {
        let digits: [u8; 14] = digits.try_into().map_err(|_| GtinError)?;
        Ok(Gtin(digits))
    }
    pub fn as_bytes(&self) -> &[u8; 14] {
        &self.0
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", *b as char))
    }
}
impl fmt::Debug for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gtin({self})")
    }
}
