//! The agent's library against the simulators on real sockets: small runs, one fault at a time, and at the end the
//! agent's books compared with what really happened. Waits are on levels; nothing here sleeps for a while and hopes.

#![allow(clippy::unwrap_used)]

#[path = "world/mod.rs"]
mod world;

#[path = "line/bug.rs"]
mod bug;
#[path = "line/garbage.rs"]
mod garbage;
#[path = "line/gate.rs"]
mod gate;
#[path = "line/kinds.rs"]
mod kinds;
#[path = "line/orders.rs"]
mod orders;
#[path = "line/plant.rs"]
mod plant;
#[path = "line/refused.rs"]
mod refused;
#[path = "line/shift.rs"]
mod shift;
#[path = "line/start.rs"]
mod start;
#[path = "line/state.rs"]
mod state;
