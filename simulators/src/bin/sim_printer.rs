//! A ZPL printer alone: whoever stands before it tears every label off.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use tamga_simulators::model::plant::PlantConfig;
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::serve::Ports;
use tamga_simulators::serve::run::{self, RunError, Shared};

/// Simulates a ZPL label printer on a raw TCP port; its labels are seen by GET /truth.
///
/// Example: sim-printer --listen 127.0.0.1:9100 --control 127.0.0.1:8090 --faults ribbon-out=0.01
#[derive(Debug, Parser)]
#[command(name = "sim-printer", version, after_help = run::fault_help())]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9100", value_name = "ADDR")]
    listen: SocketAddr,
    #[arg(long, default_value_t = 60)]
    label_ms: u64,
    #[arg(long, default_value_t = 120)]
    first_label_ms: u64,
    /// Firmware before V60.13.0.12: the default escape of ^BX is ~ instead of _
    #[arg(long)]
    old_firmware: bool,
    #[command(flatten)]
    shared: Shared,
}

fn main() -> ExitCode {
    run::main(printer(Args::parse()))
}

async fn printer(args: Args) -> Result<(), RunError> {
    let printer = PrinterConfig {
        mode: PrintMode::Stream { web_capacity: usize::MAX },
        label_ms: args.label_ms,
        first_label_ms: args.first_label_ms,
        escape_default: if args.old_firmware { b'~' } else { b'_' },
        ..PrinterConfig::default()
    };
    let config = PlantConfig { printer, seed: args.shared.seed, ..PlantConfig::default() };
    let ports = Ports { printer: Some(args.listen), control: args.shared.control, ..Ports::default() };
    run::until_interrupted(config, args.shared.faults, ports).await
}
