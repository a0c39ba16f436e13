//! Device protocols of a marking line: bytes in, events out.
//!
//! A driver carries bytes. It knows no codes, no database, no configuration file and no other crate
//! of this workspace; it judges nothing, and it never logs a verification tail.
//!
//! In reading order:
//!
//! - [`session`]: the one trait. A protocol is a pure `step(now, input, out)`.
//! - [`run`]: the one shell that gives a session a connection, a clock and channels.
//! - [`transport`]: where bytes travel: TCP in either role, serial lines, input devices, memory.
//! - [`framing`]: streams cut into frames.
//! - [`fault`]: the closed list of what can be wrong with a device.
//! - [`trace`]: the wire trace, tails masked.
//! - [`printer`]: jobs with one outcome each; `printer::zpl`.
//! - [`reader`]: results of code readers; `reader::text` with presets for vendors, `reader::keyboard`.
//! - [`gate`]: tags, leaves to pass, outcomes; `gate::modbus`.
//!
//! # Adding a printer
//!
//! 1. A file `printer/<language>.rs` with a configuration and a [`session::Session`] whose command
//!    and event are [`printer::PrinterCommand`] and [`printer::PrinterEvent`]. Switch the device's
//!    reprint-after-error off in every job, stop and clear it at every connect, and end every job as
//!    `Printed`, `Refused` or `Doubtful`. Where it only counts labels, use `printer::mirror`.
//! 2. A variant in the agent's configuration, and its arm where the agent starts devices. There is no
//!    registry: a `match` is the registry.
//! 3. Golden bytes with their source in `tests/`, which are never changed to make a test pass, and
//!    properties: any cut of the stream gives the same events, and no bytes panic.
//! 4. A model in `simulators/`, written from the manual and not from the driver.
//! 5. A row in the README's table of devices.

pub mod session;

pub mod run;

pub mod transport;

mod evdev;

pub mod framing;

pub mod fault;

pub mod trace;

mod mask;

pub mod printer;

pub mod reader;

pub mod gate;
