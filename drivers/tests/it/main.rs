//! Tests of the drivers: golden wire bytes, scripted sessions, properties, and the shell on real
//! sockets and a pty. One binary, so that one link serves them all.
#![allow(clippy::unwrap_used)]

mod bench;
mod framing;
mod gate;
mod golden_zpl;
mod keyboard;
mod plc;
mod properties;
mod reader;
mod serial;
mod shell;
mod trace;
mod zpl;
