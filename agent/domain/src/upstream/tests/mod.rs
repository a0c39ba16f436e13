//! The step attacked: scripted exchanges, and a small world in which everything goes wrong.

mod documents;
mod drafts;
mod orders;
mod property;
mod refused;
mod reports;
mod restored;
mod script;
pub(super) mod world;
