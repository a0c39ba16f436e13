//! The HTTP API and the command line over a real loopback socket, with a line and records that only the test knows.

#[path = "api/commands.rs"]
mod commands;
#[path = "api/door.rs"]
mod door;
#[path = "api/paths.rs"]
mod paths;
#[path = "api/world.rs"]
mod world;
