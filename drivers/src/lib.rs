//! x
pub mod fault;
pub mod framing;
pub mod gate;
mod mask;
pub mod printer;
pub mod reader;
pub mod run;
pub mod session;
pub mod trace;
pub mod transport;
