//! The store, from outside: every record and its repetition, wrong steps, opening, balances under any sequence.
#![allow(clippy::unwrap_used)]

#[path = "store/kit.rs"]
mod kit;

#[path = "store/behind.rs"]
mod behind;
#[path = "store/blocks.rs"]
mod blocks;
#[path = "store/bodies.rs"]
mod bodies;
#[path = "store/checks.rs"]
mod checks;
#[path = "store/closing.rs"]
mod closing;
#[path = "store/copies.rs"]
mod copies;
#[path = "store/days.rs"]
mod days;
#[path = "store/documents.rs"]
mod documents;
#[path = "store/ends.rs"]
mod ends;
#[path = "store/groups.rs"]
mod groups;
#[path = "store/lives.rs"]
mod lives;
#[path = "store/model.rs"]
mod model;
#[path = "store/names.rs"]
mod names;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/packs.rs"]
mod packs;
#[path = "store/random.rs"]
mod random;
#[path = "store/reports.rs"]
mod reports;
#[path = "store/rework_ends.rs"]
mod rework_ends;
#[path = "store/reworks.rs"]
mod reworks;
#[path = "store/share.rs"]
mod share;
#[path = "store/sheets.rs"]
mod sheets;
#[path = "store/trails.rs"]
mod trails;
#[path = "store/witness.rs"]
mod witness;
#[path = "store/writer.rs"]
mod writer;
