//! x
pub mod fault;
pub mod framing;
mod mask;
pub mod printer;
pub mod run;
pub mod session;
pub mod trace;
pub mod transport;
