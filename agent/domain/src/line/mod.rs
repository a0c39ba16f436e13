//! The line.

pub mod ask;
