//! Pure models: state in, bytes out; no socket, no clock, no task.

pub mod xtrace;
