//! The gate's PLC alone: unmarked items come, whoever holds the registers decides on them.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::gate::GateConfig;
use tamga_simulators::model::plant::{Kind, PlantConfig};
use tamga_simulators::serve::Ports;
use tamga_simulators::serve::run::{self, RunError, Shared};

/// Simulates the gate's PLC on Modbus TCP, with a belt that moves while the agent commands it and beats.
///
/// Example: sim-gate --listen 127.0.0.1:5020 --items 50 --control 127.0.0.1:8090
#[derive(Debug, Parser)]
#[command(name = "sim-gate", version, after_help = run::fault_help())]
struct Args {
    #[arg(long, default_value = "127.0.0.1:5020", value_name = "ADDR")]
    listen: SocketAddr,
    #[arg(long, default_value_t = 60)]
    items_per_min: u32,
    /// How many items come; without it they never end
    #[arg(long)]
    items: Option<u64>,
    /// Items between trigger and gate, at most 31
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=31))]
    items_reader_to_gate: u32,
    /// Scan of the gate's PLC: its registers are brought up to date once in so many ms (0: at every moment)
    #[arg(long, default_value_t = 0, value_name = "MS")]
    scan_ms: u64,
    /// How long the gate's PLC takes over each answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    answer_ms: u64,
    #[command(flatten)]
    shared: Shared,
}

fn main() -> ExitCode {
    run::main(gate(Args::parse()))
}

async fn gate(args: Args) -> Result<(), RunError> {
    let config = PlantConfig {
        kind: Kind::Print,
        seed: args.shared.seed,
        belt: BeltConfig {
            items_per_min: args.items_per_min,
            items_reader_to_gate: args.items_reader_to_gate,
            total_items: args.items,
            ..BeltConfig::default()
        },
        gate: GateConfig { scan_ms: args.scan_ms, answer_ms: args.answer_ms, ..GateConfig::default() },
        belt_on: true,
        ..PlantConfig::default()
    };
    let ports = Ports { gate: Some(args.listen), control: args.shared.control, ..Ports::default() };
    run::until_interrupted(config, args.shared.faults, ports).await
}
