//! The pure heart of Tamga: codes, their life, the line.
//!
//! No I/O, no clock, no task, no randomness, no serde: time and ids come in as arguments, files
//! and messages are turned into these types at the border. Nothing here panics on outside bytes.
//!
//! # Layout, in reading order
//!
//! - [`time`], [`day`], [`ids`], [`limits`]: plain numbers with names
//! - [`gs1`]: the alphabet, check digits, GTIN, element strings of logistic labels
//! - [`code`]: one marking code: identity (GTIN + serial) and verification tail
//! - [`layout`]: position-exact layouts of a product group; from read bytes to a code and back
//! - [`rules`]: dated law data per country and product group
//! - [`sscc`]: serial shipping container codes and their ranges
//! - [`lifecycle`], [`verdict`]: the life of a code, and what is said of an item
//! - [`record`]: what is written down, and what the store answers
//! - [`alarm`]: which alarms end by themselves
//! - [`document`]: documents of packs, as they are written down
//! - [`line`]: the line controller, one pure step
//! - [`pack`]: boxes and pallets, and the stations where they are filled, one pure step
//! - [`share`]: agents of one plant tell each other of their packs, one pure step
//! - [`upstream`]: the way to the state system, one pure step
#![forbid(unsafe_code)]

pub mod alarm;
pub mod code;
pub mod day;
#[cfg(test)]
mod dice;
pub mod document;
pub mod gs1;
pub mod ids;
pub mod layout;
pub mod lifecycle;
pub mod limits;
pub mod line;
pub mod pack;
pub mod record;
pub mod rules;
pub mod share;
pub mod sscc;
pub mod time;
pub mod upstream;
pub mod verdict;
