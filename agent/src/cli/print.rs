//! `tamga test print`: a label that no layout accepts.

use clap::{Args, Subcommand};

use super::Failed;
use super::daemon::{Daemon, segment};
use super::out::Show;
use crate::web::{asks, dto};

/// Try a device of a line
#[derive(Args)]
#[command(after_help = "Example:
  tamga test print line1")]
pub struct Test {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Print(Print),
}

/// Print a label marked TEST, whose symbol is no code
#[derive(Args)]
#[command(after_help = "Example:
  tamga test print line1 --printer p1")]
struct Print {
    /// The line's name in the configuration
    line: String,
    /// The printer's name; may be left out where the line has one
    #[arg(long)]
    printer: Option<String>,
}

pub async fn run(daemon: &Daemon, show: Show, command: Test) -> Result<(), Failed> {
    let Command::Print(Print { line, printer }) = command.command;
    let path = format!("/api/v1/lines/{}/test-print", segment(&line));
    let done: dto::Done = daemon.post(&path, &asks::TestPrint { printer }).await?;
    show.print(&done, |text| text.say("cli.test_printed", &[("line", &line)]));
    Ok(())
}
