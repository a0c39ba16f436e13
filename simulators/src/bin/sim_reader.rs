//! A code reader alone: a belt of pre-printed items runs past it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::plant::{Kind, PlantConfig};
use tamga_simulators::model::reader::{Heartbeat, ReaderConfig};
use tamga_simulators::serve::run::{self, RunError, Shared};
use tamga_simulators::serve::{Ports, ReaderRole};

/// Simulates a fixed code reader: one line for each item with a code from a list.
///
/// Example: sim-reader --listen 127.0.0.1:9004 --codes codes.json --items-per-min 60 --faults no-read=0.02
#[derive(Debug, Parser)]
#[command(name = "sim-reader", version, after_help = run::fault_help())]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9004", value_name = "ADDR")]
    listen: SocketAddr,
    /// Call the host there instead of listening
    #[arg(long, value_name = "ADDR", conflicts_with = "listen")]
    connect: Option<SocketAddr>,
    /// A JSON list of element strings, GS as \u001d
    #[arg(long, value_name = "FILE")]
    codes: PathBuf,
    #[arg(long, default_value_t = 60)]
    items_per_min: u32,
    #[arg(long, default_value = "NOREAD")]
    no_read: String,
    /// Frame as STX … ETX instead of CR LF at the end
    #[arg(long)]
    stx_etx: bool,
    /// Send the AIM identifier (]d2) before each code
    #[arg(long)]
    aim: bool,
    /// Send this line every second
    #[arg(long, value_name = "TEXT")]
    heartbeat: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

fn main() -> ExitCode {
    run::main(reader(Args::parse()))
}

async fn reader(args: Args) -> Result<(), RunError> {
    let (header, terminator) =
        if args.stx_etx { (&b"\x02"[..], &b"\x03"[..]) } else { (&b""[..], &b"\r\n"[..]) };
    let beat =
        |text: String| Heartbeat { every_ms: 1000, bytes: [header, text.as_bytes(), terminator].concat() };
    let config = PlantConfig {
        kind: Kind::PrePrinted,
        seed: args.shared.seed,
        belt: BeltConfig { items_per_min: args.items_per_min, ..BeltConfig::default() },
        reader: ReaderConfig {
            header: header.to_vec(),
            terminator: terminator.to_vec(),
            no_read: args.no_read.into_bytes(),
            aim: args.aim,
            heartbeat: args.heartbeat.map(beat),
            ..ReaderConfig::default()
        },
        belt_on: true,
        needs_gate: false,
        codes: run::codes(&args.codes)?,
        ..PlantConfig::default()
    };
    let role = args.connect.map_or(ReaderRole::Listen(args.listen), ReaderRole::Connect);
    let ports = Ports { reader: Some(role), control: args.shared.control, ..Ports::default() };
    run::until_interrupted(config, args.shared.faults, ports).await
}
