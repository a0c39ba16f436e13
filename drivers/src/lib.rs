//! x
pub mod session;
pub mod fault;
pub mod framing;
mod mask;
pub mod trace;
pub mod transport;
pub mod run;
