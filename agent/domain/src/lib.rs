//! The pure heart of Tamga: codes, their life, and the line. No I/O, no clock, no task.
//!
//! In reading order:
//! - [`time`], [`ids`]: plain numbers with names;
//! - [`gs1`], [`code`], [`layout`], [`rules`], [`sscc`]: what a code is made of, by country and product group;
//! - [`lifecycle`], [`verdict`]: the life of a code and what is said of an item;
//! - [`record`]: what is written down, and what the store answers.
#![forbid(unsafe_code)]

pub mod code;
pub mod gs1;
pub mod ids;
pub mod lifecycle;
pub mod line;
pub mod record;
pub mod time;
pub mod verdict;
