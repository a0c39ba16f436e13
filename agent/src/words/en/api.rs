//! x
pub const WORDS: crate::words::Table = &[];
