//! `tamga codes …`: the story of one code, lists of pre-printed codes, what a person declares of an item.

use std::io::Read as _;

use clap::{Args, Subcommand, ValueEnum};

use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, Text, short};
use super::{Failed, import, pack, status};
use crate::web::scan::{SCAN_BYTES_MAX, spelled, to_base64};
use crate::web::{asks, dto};

/// Show one code, import lists of pre-printed codes, declare what became of an item
#[derive(Args)]
#[command(after_help = "Example:
  tamga codes show '010460000000001521A7bQ{GS}93dGVz'
  tamga codes import roll-118.txt --roll 118 --group water")]
pub struct Codes {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(ShowCode),
    Import(import::Import),
    Declare(Declare),
}

/// Show all that is known of one code
#[derive(Args)]
#[command(after_help = "Example:
  tamga codes show '010460000000001521A7bQ\\x1d93dGVz'
  tamga codes show -     # then scan, and press Ctrl-D

GS may be written as \\x1d, {GS} or <GS>, or left out.")]
struct ShowCode {
    /// The scan; - reads it from stdin
    scan: String,
}

/// Declare what became of the item that bears a code
#[derive(Args)]
#[command(after_help = "Example:
  tamga codes declare '010460000000001521A7bQ' scrapped
  tamga codes declare - passed")]
struct Declare {
    /// The scan; - reads it from stdin
    scan: String,
    /// What became of the item
    #[arg(value_name = "AS")]
    declared: Declared,
    /// The line to tell [default: the line of the code's run]
    #[arg(long)]
    line: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Declared {
    /// Scrapped, damaged or taken as a sample: its code is never on goods
    Scrapped,
    /// Its pass was unknown: it passed
    Passed,
    /// Its pass was unknown: it did not pass
    Rejected,
}

pub async fn run(daemon: &Daemon, show: Show, command: Codes) -> Result<(), Failed> {
    match command.command {
        Command::Show(command) => {
            let scan = Some(to_base64(&scan_of(&command.scan)?));
            let body = asks::Scan { scan: None, scan_base64: scan };
            let story: dto::Story = daemon.post("/api/v1/codes/show", &body).await?;
            show.print(&story, |text| tell(text, &story));
            Ok(())
        }
        Command::Import(command) => import::run(daemon, show, &command).await,
        Command::Declare(command) => {
            let declared = match command.declared {
                Declared::Scrapped => "scrapped",
                Declared::Passed => "passed",
                Declared::Rejected => "rejected",
            };
            let body = asks::Declare {
                scan: None,
                scan_base64: Some(to_base64(&scan_of(&command.scan)?)),
                declared: declared.to_owned(),
                line: command.line,
            };
            let done: dto::Done = daemon.post("/api/v1/codes/declare", &body).await?;
            show.print(&done, |text| text.say("cli.declared", &[]));
            Ok(())
        }
    }
}

/// The bytes of a scan on the command line or on stdin.
pub fn scan_of(argument: &str) -> Result<Vec<u8>, Failed> {
    if argument != "-" {
        return Ok(spelled(argument));
    }
    let mut bytes = Vec::new();
    let most = SCAN_BYTES_MAX as u64 + 2;
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(|error| Failed::internal(&error))?;
    while matches!(bytes.last(), Some(b'\r' | b'\n')) {
        bytes.pop();
    }
    if bytes.is_empty() { Err(Failed::new(Exit::Usage, "cli.no_scan")) } else { Ok(bytes) }
}

fn tell(text: &mut Text, story: &dto::Story) {
    let tail = match story.tail_agrees {
        Some(true) => text.word("cli.tail_agrees"),
        Some(false) => text.word("cli.tail_differs"),
        None => String::new(),
    };
    let state = |r: &dto::StoryReport| text.word(&status::report_key(&r.state));
    let report = |r: &dto::StoryReport| match &r.unresolved {
        Some(why) => format!("#{} {}: {why}", r.report, state(r)),
        None => format!("#{} {}", r.report, state(r)),
    };
    let reports: Vec<String> = story.reports.iter().map(report).collect();
    text.fields(&[
        ("cli.l_code", format!("(01){}(21){}", story.code.gtin, story.code.serial)),
        ("cli.l_state", story.state.text.clone()),
        ("cli.l_tail", tail),
        ("cli.l_line", story.line.clone().unwrap_or_default()),
        ("cli.l_run", story.run.map(|run| run.to_string()).unwrap_or_default()),
        ("cli.l_in_pack", story.pack.as_ref().map(pack::line).unwrap_or_default()),
        ("cli.l_block", format!("{} ({})", story.block, story.block_name)),
        ("cli.l_report", reports.join(", ")),
    ]);
    if !story.events.is_empty() {
        text.line("");
    }
    for event in &story.events {
        text.line(&format!("{}  {}  {}", short(&event.at), event.what.text, event.detail));
    }
}
