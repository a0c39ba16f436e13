//! `tamga dossier …`: what happened in a run, as a file of lines that vouch for each other. To verify one nothing but the
//! file is needed: no configuration, no database, no agent.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::daemon::Daemon;
use super::exit::Exit;
use super::out::Show;
use super::{Failed, Globals};
use crate::dossier::Hash;
use crate::dossier::verify::{self, Found};

/// Write the dossier of a run into a file; verify one
#[derive(Args)]
#[command(after_help = "Example:
  tamga dossier write 17 run-17.dossier --signed
  tamga dossier verify run-17.dossier --head 5e1c0a…")]
pub struct Dossier {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Write(Write),
    Verify(Verify),
}

/// Write what happened in a run into a file: who did what, when and from where, each code and the sheet
#[derive(Args)]
#[command(after_help = "Example:
  tamga dossier write 17 run-17.dossier            # as it is now
  tamga dossier write 17 run-17.dossier --signed   # the one that was kept when the sheet was signed last

Each line bears the SHA-256 of the line before it: whoever changes, removes or adds one is found by
tamga dossier verify. Only the head of the signed one is on the sheet.")]
pub struct Write {
    /// The run's number: see tamga run list
    run: u32,
    file: PathBuf,
    /// The one that was kept at the last signature
    #[arg(long)]
    signed: bool,
}

pub async fn run(daemon: &Daemon, show: Show, command: Dossier) -> Result<(), Failed> {
    // To verify one no daemon is asked: it was done before.
    let Command::Write(Write { run, file, signed }) = command.command else { return Ok(()) };
    let which = if signed { "?signed=1" } else { "" };
    let lines = daemon.download(&format!("/api/v1/runs/{run}/dossier{which}"), &file).await?;
    let path = file.display().to_string();
    show.print(&serde_json::json!({ "path": path, "lines": lines }), |text| {
        text.say("cli.file_written", &[("path", &path)]);
    });
    Ok(())
}

/// Say whether a dossier is whole; if not, the first line that was changed, removed or added
#[derive(Args)]
#[command(after_help = "Example:
  tamga dossier verify run-17.dossier
  tamga dossier verify run-17.dossier --head 5e1c0a…     # the head that is printed on the sheet

Needs the file only. Without --head compare the head that it says with the printed one: a dossier that was
made anew from its first line on is whole, and has another head.
Ends with 0 when it is whole, 1 when it is not, or has another head.")]
pub struct Verify {
    file: PathBuf,
    /// The head as it is printed on the sheet: 64 hexadecimal digits
    #[arg(long, value_name = "HASH", value_parser = head)]
    head: Option<Hash>,
}

fn head(text: &str) -> Result<Hash, String> {
    Hash::parse(text.trim()).ok_or_else(|| "64 hexadecimal digits".to_owned())
}

#[derive(Serialize)]
struct Verified {
    path: String,
    whole: bool,
    /// Lines of a whole one, its last included; of another one the first line that is not as it was written.
    line: u64,
    /// Of a whole one.
    head: Option<String>,
    /// What is wrong: `changed`, `changed_here_or_next`, `missing`, `added`, `cut_off` or `other_head`.
    wrong: Option<&'static str>,
}

pub fn verify(globals: &Globals, command: &Verify) -> Result<(), Failed> {
    let show = Show { json: globals.json, language: globals.lang() };
    let path = command.file.display().to_string();
    let unreadable = |error: std::io::Error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            std::io::ErrorKind::PermissionDenied => Exit::NotAuthorised,
            _ => Exit::Internal,
        };
        Failed::new(exit, "dossier.unreadable").with("path", command.file.display()).with("why", error)
    };
    let file = File::open(&command.file).map_err(unreadable)?;
    let (line, head, wrong) = match verify::verify(BufReader::new(file)).map_err(unreadable)? {
        Found::Whole { lines, head } => {
            let other = command.head.is_some_and(|wanted| wanted != head);
            (lines, Some(head.to_string()), other.then_some("other_head"))
        }
        Found::Broken { line, how } => (line, None, Some(how.key())),
    };
    let told = Verified { path, whole: wrong.is_none(), line, head, wrong };
    show.print(&told, |text| {
        let (line, head) = (told.line.to_string(), told.head.as_deref().unwrap_or_default());
        let args = [("path", told.path.as_str()), ("line", line.as_str()), ("head", head)];
        match told.wrong {
            Some(wrong) => text.say(&format!("dossier.{wrong}"), &args),
            None if command.head.is_some() => text.say("dossier.whole", &args),
            None => text.say("dossier.compare", &args),
        }
    });
    if told.whole { Ok(()) } else { Err(Failed::quietly(Exit::Refused)) }
}
