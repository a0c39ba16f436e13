//! `tamga codes import`: a list of pre-printed codes into the stock, with its progress.

use std::path::PathBuf;

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Progress, Show, Text};
use crate::web::dto;
use crate::web::import::LIST_BYTES_MAX;

/// Refusals that are printed one by one; the others are counted.
const REFUSALS_SHOWN_MAX: usize = 20;

/// Take a list of pre-printed codes into the stock of a roll
#[derive(Args)]
#[command(after_help = "Example:
  tamga codes import roll-118.txt --roll 118 --group water

The list has one code a line, as the printing house gave it, GS included. Codes that are known
already are refused by name, so a list may be sent again. Ends with 1 when a code was refused.")]
pub struct Import {
    /// The list
    file: PathBuf,
    /// The roll that bears the codes
    #[arg(long)]
    roll: String,
    /// The product group, such as water
    #[arg(long)]
    group: String,
}

pub async fn run(daemon: &Daemon, show: Show, command: &Import) -> Result<(), Failed> {
    let list = read(command)?;
    let query = [("roll", command.roll.as_str()), ("group", command.group.as_str())];
    let mut response = daemon.post_list("/api/v1/codes/import", &query, list).await?;
    let mut progress = Progress::new();
    let mut refusals = Vec::new();
    let mut sum = dto::ImportProgress::default();
    let mut rest = Vec::new();
    loop {
        let broken = |error: reqwest::Error| {
            Failed::new(Exit::Internal, "cli.import_broken").with("why", crate::web::text::chain(&error))
        };
        let Some(chunk) = response.chunk().await.map_err(broken)? else { break };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            sum = serde_json::from_slice(&line).map_err(|error| Failed::internal(&error))?;
            refusals.append(&mut sum.refusals);
            let (taken, refused) = (sum.taken.to_string(), sum.refused.to_string());
            progress.show(&show.say("cli.importing", &[("taken", &taken), ("refused", &refused)]));
        }
    }
    progress.clear();
    finish(show, sum, refusals)
}

fn read(command: &Import) -> Result<Vec<u8>, Failed> {
    let path = command.file.display().to_string();
    let list = std::fs::read(&command.file)
        .map_err(|error| Failed::new(Exit::Usage, "cli.no_list").with("path", &path).with("why", error))?;
    if list.len() > LIST_BYTES_MAX {
        return Err(Failed::new(Exit::Usage, "http.too_large"));
    }
    Ok(list)
}

fn finish(show: Show, mut sum: dto::ImportProgress, refusals: Vec<dto::RefusedCode>) -> Result<(), Failed> {
    if !sum.done {
        return Err(Failed::new(Exit::Internal, "cli.import_broken").with("why", "–"));
    }
    sum.refusals = refusals;
    show.print(&sum, |text| tell(text, &sum));
    match sum.failure {
        Some(_) if show.json => Err(Failed::quietly(Exit::Internal)),
        Some(failure) => Err(Failed::told(Exit::Internal, failure)),
        None if sum.refused > 0 => Err(Failed::quietly(Exit::Refused)),
        None => Ok(()),
    }
}

fn tell(text: &mut Text, sum: &dto::ImportProgress) {
    let (taken, refused, lines) = (sum.taken.to_string(), sum.refused.to_string(), sum.lines.to_string());
    text.say("cli.imported", &[("taken", &taken), ("refused", &refused), ("lines", &lines)]);
    if sum.refusals.is_empty() {
        return;
    }
    let row = |r: &dto::RefusedCode| {
        let code =
            r.code.as_ref().map_or_else(|| "–".to_owned(), |c| format!("(01){}(21){}", c.gtin, c.serial));
        vec![r.line.to_string(), code, r.why.text.clone()]
    };
    let rows: Vec<Vec<String>> = sum.refusals.iter().take(REFUSALS_SHOWN_MAX).map(row).collect();
    text.table(&["cli.l_list_line", "cli.l_code", "cli.l_reason"], &rows);
    if sum.refusals.len() > REFUSALS_SHOWN_MAX {
        let left = (sum.refusals.len() - REFUSALS_SHOWN_MAX).to_string();
        text.say("cli.and_more", &[("count", &left)]);
    }
}
