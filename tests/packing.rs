//! Packing stations in the whole agent: a scanner in a hand on a serial line (a pty), a label printer on its socket, the
//! database on disk. Waits are on levels.

#![allow(clippy::unwrap_used)]

#[path = "store/kit.rs"]
#[allow(dead_code)] // what the store's own tests take besides
mod kit;
#[path = "world/mod.rs"]
mod world;

#[path = "packing/desk.rs"]
mod desk;
#[path = "packing/hand.rs"]
mod hand;
#[path = "packing/layers.rs"]
mod layers;
#[path = "packing/steps.rs"]
mod steps;
