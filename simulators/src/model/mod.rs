//! Pure models: no socket, no clock, no task. Time is nanoseconds of the simulated plant and comes in as an argument.

pub mod belt;
pub mod code128;
pub mod gate;
pub mod modbus;
pub mod packing;
pub mod plant;
mod plant_labels;
pub mod plant_orders;
mod plant_stations;
pub mod printer;
mod printer_host;
pub mod printer_trips;
pub mod reader;
pub mod truth;
pub mod xtrace;
pub mod zpl;
pub mod zpl_format;

/// Nanoseconds in one millisecond.
pub const MS: u64 = 1_000_000;
