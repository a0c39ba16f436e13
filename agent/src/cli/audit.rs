//! `tamga audit`: what people asked of the daemon, and what came of it.

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::out::{Show, short};
use crate::web::dto;

/// Show who asked for what, when and from where, and what came of it; newest first
#[derive(Args)]
#[command(after_help = "Example:
  tamga audit --limit 50

From the Unix socket the user's number is the kernel's word; a name is what the caller gave.")]
pub struct Audit {
    /// How many, at most 200
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only entries older than this one
    #[arg(long, value_name = "ENTRY")]
    before: Option<i64>,
}

pub async fn run(daemon: &Daemon, show: Show, command: Audit) -> Result<(), Failed> {
    let before = command.before.map(|entry| format!("&before={entry}")).unwrap_or_default();
    let entries: Vec<dto::Audit> =
        daemon.get(&format!("/api/v1/audit?limit={}{before}", command.limit)).await?;
    show.print(&entries, |text| {
        if entries.is_empty() {
            return text.say("cli.no_audit", &[]);
        }
        let row = |entry: &dto::Audit| {
            vec![
                entry.entry.to_string(),
                short(&entry.at),
                entry.who.clone(),
                entry.from.clone(),
                entry.outcome.clone(),
                entry.command.clone(),
            ]
        };
        let headings =
            ["cli.l_entry", "cli.l_when", "cli.l_who", "cli.l_from", "cli.l_outcome", "cli.l_command"];
        text.table(&headings, &entries.iter().map(row).collect::<Vec<_>>());
    });
    Ok(())
}
