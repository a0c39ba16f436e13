//! `tamga run look`: after a restart a person looks at belt and web, scans what is there, and scraps the rest.
//!
//! What was scanned stays in doubt: the line reads it when it runs again. What was not scanned is named, and declared
//! scrapped only when that is asked for. Asking again does what is left.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, Text};
use crate::web::scan::{spelled, to_base64};
use crate::web::{asks, dto};

/// Compare what is on belt and web with the codes in doubt, and scrap those that are not there
#[derive(Args)]
#[command(after_help = "Example:
  tamga run look line1                                # what is in doubt
  tamga run look line1 --scans found.txt              # which of it was found
  tamga run look line1 --scans found.txt --scrap-rest # … and the rest is scrapped; then: tamga run resume line1

The line must stand. A scan stands alone in its line; - reads them from stdin (scan, then press Ctrl-D). Safe to repeat.")]
pub struct Look {
    /// The line's name in the configuration
    line: String,
    /// What was scanned on belt and web, one scan a line; - reads stdin
    #[arg(long, value_name = "FILE")]
    scans: Option<PathBuf>,
    /// Declare scrapped what is in doubt and was not scanned
    #[arg(long)]
    scrap_rest: bool,
}

/// What a scan turned out to be.
#[derive(Serialize)]
struct Other {
    code: String,
    state: String,
}

#[derive(Serialize, Default)]
struct Looked {
    run: u32,
    /// In doubt and scanned: they stay so until the line reads them.
    found: Vec<String>,
    /// In doubt and not scanned.
    left: Vec<String>,
    scrapped: Vec<String>,
    /// Their items may have passed: a person declares each.
    pass_unknown: Vec<String>,
    /// Scanned, and not in doubt on this line.
    others: Vec<Other>,
    /// Scans that are no code that this agent knows.
    unknown: u32,
}

fn shown(code: &dto::Code) -> String {
    format!("(01){}(21){}", code.gtin, code.serial)
}

pub async fn run(daemon: &Daemon, show: Show, command: Look) -> Result<(), Failed> {
    let run = standing(daemon, &command.line).await?;
    let mut looked = Looked { run: run.run, ..Looked::default() };
    looked.pass_unknown = run.pass_unknown.iter().map(|p| shown(&p.code)).collect();
    let mut scanned = BTreeSet::new();
    for scan in scans(&command)? {
        let body = asks::Scan { scan: None, scan_base64: Some(to_base64(&spelled(&scan))) };
        match daemon.post::<dto::Story>("/api/v1/codes/show", &body).await {
            Ok(story) => {
                let code = shown(&story.code);
                let here = |in_doubt: &dto::InDoubt| in_doubt.code == story.code;
                if !run.in_doubt.iter().any(here) && !scanned.contains(&code) {
                    looked.others.push(Other { code: code.clone(), state: story.state.text });
                }
                scanned.insert(code);
            }
            Err(failed) if failed.exit == Exit::NotFound || failed.exit == Exit::Usage => looked.unknown += 1,
            Err(failed) => return Err(failed),
        }
    }
    let mut run = run;
    loop {
        let (found, left): (Vec<_>, Vec<_>) =
            run.in_doubt.iter().map(|d| &d.code).partition(|code| scanned.contains(&shown(code)));
        looked.found = found.into_iter().map(shown).collect();
        looked.left = left.iter().map(|code| shown(code)).collect();
        if !command.scrap_rest || left.is_empty() {
            break;
        }
        for code in left {
            scrap(daemon, &command.line, code).await?;
            looked.scrapped.push(shown(code));
        }
        // The line names the first of them only; asked again it names the next.
        let before = looked.left.len();
        run = standing(daemon, &command.line).await?;
        let still = run.in_doubt.iter().filter(|d| looked.left.contains(&shown(&d.code))).count();
        if still == before {
            return Err(Failed::new(Exit::Internal, "cli.look_stuck"));
        }
    }
    show.print(&looked, |text| tell(text, &looked, &command));
    Ok(())
}

/// The line's run, which must stand: on a belt that moves nothing can be looked at.
async fn standing(daemon: &Daemon, name: &str) -> Result<dto::LineRun, Failed> {
    let status: dto::Status = daemon.get("/api/v1/status").await?;
    let line = status.lines.into_iter().find(|line| line.name == name);
    let line = line.ok_or_else(|| Failed::new(Exit::NotFound, "http.no_line").with("line", name))?;
    let run = line.run.ok_or_else(|| Failed::new(Exit::Refused, "refuse.no_run").with("line", name))?;
    if run.state == "running" {
        return Err(Failed::new(Exit::Refused, "refuse.not_stopped").with("line", name));
    }
    Ok(run)
}

fn scans(command: &Look) -> Result<Vec<String>, Failed> {
    let Some(path) = &command.scans else { return Ok(Vec::new()) };
    let read = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = read.map_err(|error| {
        Failed::new(Exit::Usage, "cli.no_list").with("path", path.display()).with("why", error)
    })?;
    let lines = text.lines().map(|line| line.trim_end_matches('\r').to_owned());
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

/// One that somebody else settled meanwhile is as good.
async fn scrap(daemon: &Daemon, line: &str, code: &dto::Code) -> Result<(), Failed> {
    let scan = format!("01{}21{}", code.gtin, code.serial);
    let body = asks::Declare {
        scan: None,
        scan_base64: Some(to_base64(scan.as_bytes())),
        declared: "scrapped".to_owned(),
        line: Some(line.to_owned()),
    };
    match daemon.post::<dto::Done>("/api/v1/codes/declare", &body).await {
        Ok(_) => Ok(()),
        Err(failed) if failed.is_told("refuse.not_in_doubt") || failed.is_told("refuse.in_pack") => Ok(()),
        Err(failed) => Err(failed),
    }
}

fn tell(text: &mut Text, looked: &Looked, command: &Look) {
    let line = command.line.as_str();
    let list = |text: &mut Text, key: &str, codes: &[String]| {
        if !codes.is_empty() {
            text.say(key, &[("count", &codes.len().to_string())]);
            codes.iter().for_each(|code| text.line(&format!("  {code}")));
        }
    };
    list(text, "cli.look_found", &looked.found);
    list(text, "cli.look_scrapped", &looked.scrapped);
    list(text, "cli.look_left", &looked.left);
    list(text, "cli.look_unknown_pass", &looked.pass_unknown);
    if !looked.others.is_empty() {
        text.say("cli.look_others", &[("count", &looked.others.len().to_string())]);
        looked.others.iter().for_each(|o| text.line(&format!("  {}  {}", o.code, o.state)));
    }
    if looked.unknown > 0 {
        text.say("cli.look_strange", &[("count", &looked.unknown.to_string())]);
    }
    let next = match (looked.left.is_empty(), looked.pass_unknown.is_empty()) {
        (false, _) => "cli.look_scrap",
        (true, false) => "cli.look_declare",
        (true, true) => "cli.look_resume",
    };
    text.say(next, &[("line", line)]);
}
