//! Tamga: an agent for factory lines that mark goods with state-issued codes.
//!
//! Layers, in reading order; a module uses only what stands before it here.
//! - [`chain`]: an error told with what caused it
//! - [`clock`]: the only place that reads clocks
//! - [`health`]: heartbeats, and what the service manager is told of them
//! - [`dossier`]: lines that vouch for each other, and whether a file of them is whole
//! - [`words`]: every text a person sees, by key
//! - [`disk`]: how much room there is, and the ballast
//! - [`witness`]: what stands outside the data folder and knows how far the database had come
//! - [`config`]: raw shapes, all problems at once, then values that are valid
//! - [`store`]: the one database and its one writer
//! - [`desk`]: what the windows may see and ask
//! - [`broker`]: the broker, over which agents tell each other of their packs
//! - [`upstream`]: the way to the state system
//! - [`books`]: what the way upstream needs of the store, over the store
//! - [`line`]: the task of a line
//! - [`station`]: the task of a packing station
//! - [`devices`]: from configuration to running devices
//! - [`records`]: what the windows ask of the store, over the store
//! - [`web`]: the HTTP API
//! - [`room`]: keeps room on the disk, and stops the lines before there is none
//! - [`plan`]: from the configuration to what the cores are told
//! - [`run`]: the wiring
//! - [`cli`]: the command line

pub mod books;
pub mod broker;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod desk;
pub mod devices;
pub mod disk;
pub mod dossier;
pub mod health;
pub mod line;
pub mod plan;
pub mod records;
pub mod room;
pub mod run;
pub mod station;
pub mod store;
pub mod upstream;
pub mod web;
pub mod witness;
pub mod words;
