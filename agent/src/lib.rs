//! Tamga: an agent for factory lines that mark goods with state-issued codes.
//!
//! Layers, in reading order; a module uses only what stands before it here.
//! - [`clock`]: the only place that reads clocks
//! - [`words`]: every text a person sees, by key
//! - [`config`]: raw shapes, all problems at once, then values that are valid
//! - [`store`]: the one database and its one writer
//! - [`upstream`]: the way to the state system
//! - [`desk`]: what the windows may see and ask
//! - [`records`]: the desk's queries and writes, over the store
//! - [`web`]: the HTTP API
//! - [`run`]: the wiring
//! - [`cli`]: the command line

pub mod cli;
pub mod clock;
pub mod config;
pub mod desk;
pub mod records;
pub mod run;
pub mod store;
pub mod upstream;
pub mod web;
pub mod words;
