//! The step attacked: scripted exchanges, and a small world in which everything goes wrong.

mod property;
mod tables;
mod world;
