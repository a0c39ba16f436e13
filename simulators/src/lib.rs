//! Simulated devices and a simulated state system that speak the wire. Depends on no crate of the agent.

pub mod model;
pub mod upstream;
