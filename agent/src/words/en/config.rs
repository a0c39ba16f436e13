pub const WORDS: super::super::Table = &[];
