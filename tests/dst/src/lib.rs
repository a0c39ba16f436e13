//! The deterministic simulation of a whole line: the agent's own cores, store, sessions and upstream step, on one thread,
//! over models of everything else. A seed decides everything.
//!
//! - [`disk`], [`vfs`]: a disk that loses power, under the real SQLite
//! - [`witness`]: the agent's witness on that disk
//! - [`port`], [`way`], [`one_line`], [`one_station`], [`agent`]: the product's parts, and in the place of its shells a loop
//! - [`plan`]: what goes wrong in a seed
//! - [`planted`]: faults of the agent, by which the checks are checked
//! - [`people`]: the person at the line
//! - [`packing`]: how items are packed on a day, and the people who do it; [`packs`]: what must be so with packs
//! - [`slips`]: one slip of the labels, or one thing that is none, on a quiet day
//! - [`world`]: all of it, a millisecond at a time; `side` (what stands around one
//!   line), `cables`, `calls`, `computer` and `config` are parts of it
//! - [`oracle`]: what must be so
//! - [`trace`]: what happened, as text and as a fingerprint; [`floor`] tells it what the models record, [`step`] goes
//!   through it step by step
//! - [`answers`]: a smaller world, in which nothing but answers of the state system is lost
//! - [`trials`]: many trials of the order of labels
//! - [`campaign`]: many seeds on several threads

pub mod agent;
pub mod answers;
mod cables;
mod calls;
pub mod campaign;
mod computer;
mod config;
pub mod disk;
pub mod floor;
pub mod one_line;
pub mod one_station;
pub mod oracle;
pub mod packing;
pub mod packs;
pub mod people;
pub mod plan;
pub mod planted;
pub mod port;
mod side;
pub mod slips;
pub mod step;
pub mod trace;
pub mod trials;
pub mod vfs;
pub mod way;
pub mod witness;
pub mod world;
