//! English. Each file holds one part of the catalogue, sorted by key.

mod alarm;
mod cli;
mod config;
mod db;
mod dossier;
mod http;
mod line;
mod pack;
mod rework;
mod sheet;
mod why;

pub const TABLES: &[super::Table] = &[
    alarm::WORDS,
    cli::WORDS,
    config::WORDS,
    db::WORDS,
    dossier::WORDS,
    http::WORDS,
    line::WORDS,
    pack::WORDS,
    rework::WORDS,
    sheet::WORDS,
    why::WORDS,
];
