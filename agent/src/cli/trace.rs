//! `tamga trace …`: what goes over the wire of a device, with every tail masked.

use clap::{Args, Subcommand};

use super::Failed;
use super::daemon::{Daemon, segment};
use super::out::Show;
use crate::web::{asks, dto};

/// Record and show what goes over the wire of a device
#[derive(Args)]
#[command(after_help = "Example:
  tamga trace on p1
  tamga trace show p1 --limit 50
  tamga trace off p1

Verification tails are masked before anything is kept.")]
pub struct Trace {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record from now on
    #[command(after_help = "Example:\n  tamga trace on p1 --bytes")]
    On {
        /// The device's name in the configuration
        device: String,
        /// The masked bytes too, not only time, direction and length
        #[arg(long)]
        bytes: bool,
    },
    /// Record no more
    #[command(after_help = "Example:\n  tamga trace off p1")]
    Off {
        /// The device's name in the configuration
        device: String,
    },
    /// Show the newest records, oldest first
    #[command(after_help = "Example:\n  tamga trace show p1 --limit 50")]
    Show {
        /// The device's name in the configuration
        device: String,
        /// How many, at most 1000
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

pub async fn run(daemon: &Daemon, show: Show, command: Trace) -> Result<(), Failed> {
    match command.command {
        Command::On { device, bytes } => {
            set(daemon, show, &device, if bytes { "bytes" } else { "frames" }).await
        }
        Command::Off { device } => set(daemon, show, &device, "off").await,
        Command::Show { device, limit } => {
            let path = format!("/api/v1/trace/{}?limit={limit}", segment(&device));
            let trace: dto::Trace = daemon.get(&path).await?;
            show.print(&trace, |text| {
                for record in &trace.records {
                    text.line(record);
                }
                if trace.records.is_empty() {
                    text.say("cli.trace_empty", &[("device", &device), ("level", &trace.level)]);
                }
            });
            Ok(())
        }
    }
}

async fn set(daemon: &Daemon, show: Show, device: &str, level: &str) -> Result<(), Failed> {
    let path = format!("/api/v1/trace/{}", segment(device));
    let body = asks::SetTrace { level: level.to_owned() };
    let done: dto::Done = daemon.post(&path, &body).await?;
    show.print(&done, |text| text.say("cli.trace_set", &[("device", device), ("level", level)]));
    Ok(())
}
