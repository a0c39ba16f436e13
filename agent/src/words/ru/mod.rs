//! Russian. Each file holds one part of the catalogue, sorted by key.

mod alarm;
mod api;
mod cli;
mod config;
mod line;
mod why;

pub const TABLES: &[super::Table] = &[alarm::WORDS, api::WORDS, cli::WORDS, config::WORDS, line::WORDS, why::WORDS];
