//! Simulated devices of a marking line and a simulated state system, all on the wire.
//!
//! Everything in [`model`] is pure: bytes and explicit time go in, bytes and physical facts come out, and the same
//! seed gives the same day. [`serve`] puts a model behind sockets, [`upstream`] does so for the state system,
//! [`control`] adds an HTTP window for a person or a test, [`fault`] says what goes wrong and counts what did. Nothing here depends on a crate of the agent: what
//! goes over the wire is written twice, so that a bug shared with the agent cannot hide.

pub mod control;
pub mod fault;
pub mod model;
pub mod serve;
pub mod upstream;
