//! A whole simulated line: belt, printer, reader, gate, and an HTTP window on the truth.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::gate::GateConfig;
use tamga_simulators::model::plant::{Kind, PlantConfig};
use tamga_simulators::model::reader::ReaderConfig;
use tamga_simulators::serve::run::{self, RunError, Shared};
use tamga_simulators::serve::{Ports, ReaderRole};

/// Simulates a marking line: printer, reader, gate and belt behind real sockets.
///
/// Example: sim-line --control 127.0.0.1:8090 --items 200 --faults default --belt-on
#[derive(Debug, Parser)]
#[command(name = "sim-line", version, after_help = run::fault_help())]
struct Args {
    #[arg(long, value_enum, default_value_t = LineKind::PrintAndApply)]
    kind: LineKind,
    /// Raw port of the ZPL printer
    #[arg(long, default_value = "127.0.0.1:9100", value_name = "ADDR")]
    printer: SocketAddr,
    /// Where the reader listens for its host
    #[arg(long, default_value = "127.0.0.1:9004", value_name = "ADDR")]
    reader: SocketAddr,
    /// The reader calls its host there instead of listening
    #[arg(long, value_name = "ADDR", conflicts_with = "reader")]
    reader_connect: Option<SocketAddr>,
    /// Modbus TCP of the gate's PLC
    #[arg(long, default_value = "127.0.0.1:5020", value_name = "ADDR")]
    gate: SocketAddr,
    #[arg(long, default_value_t = 300)]
    items_per_min: u32,
    /// How many items come; without it they never end
    #[arg(long)]
    items: Option<u64>,
    /// Items between applicator and reader
    #[arg(long, default_value_t = 3)]
    items_head_to_reader: u32,
    /// Items between reader and gate, at most 31
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=31))]
    items_reader_to_gate: u32,
    /// Scan of the gate's PLC: its registers are brought up to date once in so many ms (0: at every moment)
    #[arg(long, default_value_t = 0, value_name = "MS")]
    scan_ms: u64,
    /// How long the gate's PLC takes over each answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    answer_ms: u64,
    /// Codes of the items of a pre-printed line: a JSON list of element strings, GS as \u001d
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,
    /// The reader sends the AIM identifier (]d2) before each code
    #[arg(long)]
    aim: bool,
    /// The belt is switched on from the beginning (it moves once the agent commands it)
    #[arg(long)]
    belt_on: bool,
    /// The applicator lets items go by without a label instead of stopping the belt
    #[arg(long)]
    no_interlock: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LineKind {
    PrintAndApply,
    Print,
    PrePrinted,
}

fn main() -> ExitCode {
    run::main(line(Args::parse()))
}

async fn line(args: Args) -> Result<(), RunError> {
    let config = PlantConfig {
        kind: match args.kind {
            LineKind::PrintAndApply => Kind::PrintAndApply,
            LineKind::Print => Kind::Print,
            LineKind::PrePrinted => Kind::PrePrinted,
        },
        seed: args.shared.seed,
        belt: BeltConfig {
            items_per_min: args.items_per_min,
            items_head_to_reader: args.items_head_to_reader,
            items_reader_to_gate: args.items_reader_to_gate,
            total_items: args.items,
            ..BeltConfig::default()
        },
        reader: ReaderConfig { aim: args.aim, ..ReaderConfig::default() },
        gate: GateConfig { scan_ms: args.scan_ms, answer_ms: args.answer_ms, ..GateConfig::default() },
        belt_on: args.belt_on,
        low_label_interlock: !args.no_interlock,
        codes: args.codes.as_deref().map(run::codes).transpose()?.unwrap_or_default(),
        ..PlantConfig::default()
    };
    let ports = Ports {
        printer: Some(args.printer),
        reader: Some(args.reader_connect.map_or(ReaderRole::Listen(args.reader), ReaderRole::Connect)),
        gate: Some(args.gate),
        control: args.shared.control,
    };
    run::until_interrupted(config, args.shared.faults, ports).await
}
