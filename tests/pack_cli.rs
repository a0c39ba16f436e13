//! Packing from the command line: the binary against the daemon, with a scanner on a pty and a printer on its socket.
//!
//! A target of its own: a process that is being spawned holds every open file of this one for a moment, the lock of a data
//! folder too, and would keep the agents of `packing.rs` from starting again.

#![allow(clippy::unwrap_used)]

#[path = "store/kit.rs"]
#[allow(dead_code)] // what the store's own tests take besides
mod kit;
#[path = "world/mod.rs"]
mod world;

#[path = "packing/desk.rs"]
#[allow(dead_code)] // what the other tests of packing take besides
mod desk;
#[path = "packing/mending.rs"]
mod mending;
#[path = "packing/signing.rs"]
mod signing;
#[path = "packing/windows.rs"]
mod windows;
