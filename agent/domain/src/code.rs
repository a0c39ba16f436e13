//! One marking code: the identity (GTIN + serial) that names an item, and the verification tail
//! that proves it.
//!
//! All are bytes as issued, never text to clean up. The tail is a secret worth money: nothing in
//! this module prints it, and `Debug` shows its length only.

use std::fmt;

use thiserror::Error;

use crate::gs1::{Gtin, first_alien};

/// The serial of AI (21): 1 to 20 bytes of the GS1 alphabet.
///
/// Kept inline, so that an identity is `Copy` and a map of a million of them allocates nothing.
/// Unused bytes are zero, below every character of the alphabet: the derived order is the order
/// of the byte strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    bytes: [u8; Serial::LEN_MAX],
    len: u8,
}

impl Serial {
    /// GS1 General Specifications 3.5.2: AI (21) holds up to 20 characters.
    pub const LEN_MAX: usize = 20;

    pub fn new(value: &[u8]) -> Result<Serial, CodeError> {
        if value.is_empty() || value.len() > Serial::LEN_MAX {
            return Err(CodeError::SerialLength { got: value.len() });
        }
        if let Some(at) = first_alien(value) {
            return Err(CodeError::Alphabet { at, byte: value[at] });
        }
        let mut bytes = [0; Serial::LEN_MAX];
        bytes[..value.len()].copy_from_slice(value);
        Ok(Serial { bytes, len: value.len() as u8 })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// The verification values of a code, concatenated, without AIs and separators.
///
/// How they are cut apart is the layout's knowledge. Empty for a code that has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tail(Box<[u8]>);

impl Tail {
    /// The longest known tail has 4 + 88 bytes (Russian shoes, SUZ template 1); the rest is room.
    pub const LEN_MAX: usize = 140;

    pub fn new(value: &[u8]) -> Result<Tail, CodeError> {
        if value.len() > Tail::LEN_MAX {
            return Err(CodeError::TailLength { got: value.len() });
        }
        match first_alien(value) {
            Some(at) => Err(CodeError::Alphabet { at, byte: value[at] }),
            None => Ok(Tail(value.into())),
        }
    }

    /// The bytes themselves, for printing, comparing and storing; never for a log.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} bytes, masked)", self.len())
    }
}

/// What names an item for ever: GTIN and serial (KI). Orders by GTIN, then serial.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub gtin: Gtin,
    pub serial: Serial,
}

/// Human-readable form, `(01)…(21)…`: for people and logs, not for upstream.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(01){}(21){}", self.gtin, self.serial)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

/// A marking code as the state system issued it. `Debug` masks the tail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    pub identity: Identity,
    pub tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodeError {
    #[error("a serial has 1 to 20 characters, not {got}")]
    SerialLength { got: usize },
    #[error("a verification tail has at most 140 characters, not {got}")]
    TailLength { got: usize },
    #[error("character {} (byte 0x{byte:02X}) cannot occur in a code", at + 1)]
    Alphabet { at: usize, byte: u8 },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serials_keep_every_byte() {
        for value in [&b"qKkdi+S"[..], b"U&U1+<cfOUoZf", b"'", b"\"a'\"", b"AF9-&eDmMbl?6CkOyAEB"] {
            assert_eq!(Serial::new(value).unwrap().as_bytes(), value);
        }
    }

    #[test]
    fn bad_serials_and_tails_are_refused() {
        let table: [(&[u8], CodeError); 5] = [
            (b"", CodeError::SerialLength { got: 0 }),
            (b"123456789012345678901", CodeError::SerialLength { got: 21 }),
            (b"ab c", CodeError::Alphabet { at: 2, byte: b' ' }),
            (b"abc\x1D", CodeError::Alphabet { at: 3, byte: 0x1D }),
            ("аb".as_bytes(), CodeError::Alphabet { at: 0, byte: 0xD0 }), // a Cyrillic a
        ];
        for (input, error) in table {
            assert_eq!(Serial::new(input), Err(error));
        }
        assert_eq!(Tail::new(&[b'a'; 141]), Err(CodeError::TailLength { got: 141 }));
        assert_eq!(Tail::new(b"a|"), Err(CodeError::Alphabet { at: 1, byte: b'|' }));
        assert!(Tail::new(b"").unwrap().is_empty());
    }

    #[test]
    fn a_tail_is_never_printed() {
        let code = Code {
            identity: Identity {
                gtin: Gtin::parse(b"04870216760007").unwrap(),
                serial: Serial::new(b"qKkdi+S").unwrap(),
            },
            tail: Tail::new(b"CANARY").unwrap(),
        };
        for text in [format!("{code:?}"), format!("{code:#?}"), format!("{:?}", code.tail)] {
            assert!(!text.contains("CANARY"), "{text}");
        }
        assert_eq!(code.identity.to_string(), "(01)04870216760007(21)qKkdi+S");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn serials_order_like_their_bytes(a in "[!-z]{1,20}", b in "[!-z]{1,20}") {
            if let (Ok(x), Ok(y)) = (Serial::new(a.as_bytes()), Serial::new(b.as_bytes())) {
                prop_assert_eq!(x.cmp(&y), a.as_bytes().cmp(b.as_bytes()));
            }
        }
    }
}
