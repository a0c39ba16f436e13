//! The step attacked: scripted exchanges, and a small world in which everything goes wrong.

mod orders;
mod property;
mod reports;
mod script;
mod world;
