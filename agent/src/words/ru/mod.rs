//! Russian. Each file holds one part of the catalogue, sorted by key.

mod api;
mod cli;

pub const TABLES: &[super::Table] = &[api::WORDS, cli::WORDS];
