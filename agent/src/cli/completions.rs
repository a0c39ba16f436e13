//! `tamga completions`: a completion script for a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failed, out};

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "Example:
  tamga completions bash > /etc/bash_completion.d/tamga")]
pub struct Completions {
    shell: Shell,
}

pub fn run(command: &Completions) -> Result<(), Failed> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "tamga", &mut script);
    out::print(&String::from_utf8_lossy(&script));
    Ok(())
}
