//! A code: identity and verification tail, as bytes.

use std::fmt;

use crate::gs1::{Gtin, is_gs1_char};

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("length or alphabet")]
pub struct NotGs1;

/// 1 to 20 bytes of the GS1 alphabet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Serial(Box<[u8]>);

impl Serial {
    pub fn new(bytes: &[u8]) -> Result<Serial, NotGs1> {
        if bytes.is_empty() || bytes.len() > 20 || !bytes.iter().all(|b| is_gs1_char(*b)) {
            return Err(NotGs1);
        }
        Ok(Serial(bytes.into()))
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The verification values, concatenated without AIs and GS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tail(Box<[u8]>);

impl Tail {
    pub fn new(bytes: &[u8]) -> Result<Tail, NotGs1> {
        if bytes.len() > 140 || !bytes.iter().all(|b| is_gs1_char(*b)) {
            return Err(NotGs1);
        }
        Ok(Tail(bytes.into()))
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} bytes)", self.0.len())
    }
}

/// GTIN and serial: the KI.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    pub gtin: Gtin,
    pub serial: Serial,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Code {
    pub identity: Identity,
    pub tail: Tail,
}
