//! The HTTP API and the command line over a real loopback socket, with a line and records that only the test knows.

#![allow(clippy::unwrap_used)] // helpers of tests stand outside of #[test]

#[path = "api/commands.rs"]
mod commands;
#[path = "api/doctor.rs"]
mod doctor;
#[path = "api/door.rs"]
mod door;
#[path = "api/packs.rs"]
mod packs;
#[path = "api/paths.rs"]
mod paths;
#[path = "api/records.rs"]
mod records;
#[path = "api/sheets.rs"]
mod sheets;
#[path = "api/socket.rs"]
mod socket;
#[path = "api/station.rs"]
mod station;
#[path = "api/world.rs"]
mod world;
