//! Simulated devices of a marking line that speak the wire, and the line around them.
//!
//! Everything in [`model`] is pure: bytes and explicit time go in, bytes and physical facts come out, and the same
//! seed gives the same day. [`serve`] puts a model behind sockets, [`control`] adds an HTTP window for a person or
//! a test, [`fault`] says what goes wrong and counts what did. Nothing here depends on a crate of the agent: what
//! goes over the wire is written twice, so that a bug shared with the agent cannot hide.

pub mod control;
pub mod fault;
pub mod model;
pub mod serve;
