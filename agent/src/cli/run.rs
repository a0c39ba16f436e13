//! `tamga run …`: start, stop, resume and close a run, list runs, print the closing sheet.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::daemon::{Daemon, segment};
use super::exit::Exit;
use super::out::{Progress, Show, or_dash, short};
use super::status::state_key;
use super::{Failed, look, sheet, start};
use crate::web::{asks, dto};
use crate::words;

/// Start, stop, resume and close runs; list them, print their sheets and sign them
#[derive(Args)]
#[command(after_help = "Example:
  tamga run start line1 --gtin 04600000000015 --batch A-17 --quantity 5000
  tamga run close line1 --clear")]
pub struct Run {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Start(start::Start),
    /// Stop the belt and the issuing of codes; the run may resume
    #[command(after_help = "Example:\n  tamga run stop line1")]
    Stop(OneLine),
    /// Set a stopped run running again
    #[command(after_help = "Example:\n  tamga run resume line1

After a restart, look at what is in doubt first: tamga run look line1")]
    Resume(OneLine),
    Look(look::Look),
    Close(Close),
    List(List),
    Sheet(sheet::Sheet),
    Sign(sheet::Sign),
}

#[derive(Args)]
struct OneLine {
    /// The line's name in the configuration
    line: String,
}

/// End the run: no code is issued any more, the belt stands, what is unseen or rejected is spoiled
#[derive(Args)]
#[command(after_help = "Example:
  tamga run close line1            # stops the line and says what is to be cleared by hand
  tamga run close line1 --clear    # belt, web and reject bin are empty")]
struct Close {
    /// The line's name in the configuration
    line: String,
    /// Belt, label web and reject bin were emptied by hand, and you have seen it
    #[arg(long)]
    clear: bool,
    /// Do not wait until the run is closed
    #[arg(long)]
    no_wait: bool,
}

/// List runs, newest first
#[derive(Args)]
#[command(after_help = "Example:
  tamga run list --limit 5")]
struct List {
    /// How many, at most 200
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only runs older than this one
    #[arg(long, value_name = "RUN")]
    before: Option<u32>,
}

pub async fn run(daemon: &Daemon, show: Show, command: Run) -> Result<(), Failed> {
    match command.command {
        Command::Start(command) => start::run(daemon, show, command).await,
        Command::Stop(OneLine { line }) => {
            let done: dto::Done = daemon.post(&path(&line, "/stop"), &Nothing {}).await?;
            show.print(&done, |text| text.say("cli.stopped", &[("line", &line)]));
            Ok(())
        }
        Command::Resume(OneLine { line }) => {
            let done: dto::Done = daemon.post(&path(&line, "/resume"), &Nothing {}).await?;
            show.print(&done, |text| text.say("cli.resumed", &[("line", &line)]));
            Ok(())
        }
        Command::Look(command) => look::run(daemon, show, command).await,
        Command::Close(command) => close(daemon, show, &command).await,
        Command::List(command) => list(daemon, show, &command).await,
        Command::Sheet(command) => sheet::run(daemon, show, &command).await,
        Command::Sign(command) => sheet::sign(daemon, show, command).await,
    }
}

/// An empty body.
#[derive(serde::Serialize)]
struct Nothing {}

pub fn path(line: &str, what: &str) -> String {
    format!("/api/v1/lines/{}/run{what}", segment(line))
}

async fn close(daemon: &Daemon, show: Show, command: &Close) -> Result<(), Failed> {
    let line = &command.line;
    let run = run_of(daemon, line).await?.map(|run| run.run);
    let body = asks::CloseRun { clear: command.clear };
    let mut done: dto::Done = daemon.post(&path(line, "/close"), &body).await?;
    if command.clear
        && !command.no_wait
        && matches!(done, dto::Done::Closing { .. })
        && let Some(run) = run
    {
        wait_until_closed(daemon, show, line, run).await?;
        done = dto::Done::Done;
    }
    // What is left to do of a run is told at its end; the sheet says it again.
    let sheet = match (run, &done) {
        (Some(run), dto::Done::Done) => daemon.get(&format!("/api/v1/runs/{run}/sheet")).await.ok(),
        _ => None,
    };
    show.print(&done, |text| match &done {
        dto::Done::Done | dto::Done::Opened { .. } => {
            text.say("cli.closed", &[("line", line), ("run", &or_dash(run))]);
            if let Some(sheet) = &sheet {
                sheet::tell_unsettled(text, sheet);
            }
        }
        dto::Done::Closing { unseen, pass_unknown, open_tags } => {
            text.say("cli.closing", &[("line", line)]);
            text.fields(&[
                ("cli.l_in_doubt", unseen.to_string()),
                ("cli.l_pass_unknown", pass_unknown.to_string()),
                ("cli.l_open_tags", open_tags.to_string()),
            ]);
            if !command.clear {
                text.say("cli.close_clear", &[("line", line)]);
            }
        }
    });
    Ok(())
}

/// Looks every half second. Ends with the run, or when the run is not closing any more, which is the line's way to
/// refuse late.
async fn wait_until_closed(daemon: &Daemon, show: Show, line: &str, run: u32) -> Result<(), Failed> {
    let mut progress = Progress::new();
    let mut closing = Closing::default();
    loop {
        let now = run_of(daemon, line).await?.filter(|now| now.run == run);
        let look = closing.look(now.as_ref().map(|now| now.state.as_str()));
        if look != Look::Wait {
            progress.clear();
        }
        match (look, now) {
            (Look::Closed, _) => return Ok(()),
            (Look::Ended, _) => return Err(Failed::new(Exit::Refused, "cli.close_ended").with("line", line)),
            (Look::Wait, now) => {
                let (left, unknown) = now.map_or((0, 0), |now| (now.issued, now.pass_unknown.len()));
                let args = [("left", left.to_string()), ("unknown", unknown.to_string())];
                progress.show(&words::say_owned(show.language, "cli.closing_now", &args));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many looks may show the run as it was before the line began to close it: the line shows itself anew at least
/// ten times a second, and so much later it has.
const STALE_LOOKS_MAX: u32 = 4;

/// What is known of a run that was asked to close, look by look.
#[derive(Default)]
struct Closing {
    looks: u32,
    seen_closing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    Wait,
    Closed,
    Ended,
}

impl Closing {
    /// `state`: of the run, none when the line has it no more.
    fn look(&mut self, state: Option<&str>) -> Look {
        self.looks += 1;
        match state {
            None | Some("closed") => Look::Closed,
            Some("closing") => {
                self.seen_closing = true;
                Look::Wait
            }
            Some(_) if self.seen_closing || self.looks > STALE_LOOKS_MAX => Look::Ended,
            Some(_) => Look::Wait,
        }
    }
}

async fn run_of(daemon: &Daemon, line: &str) -> Result<Option<dto::LineRun>, Failed> {
    let status: dto::Status = daemon.get("/api/v1/status").await?;
    let found = status.lines.into_iter().find(|l| l.name == line);
    let missing = || Failed::new(Exit::NotFound, "http.no_line").with("line", line);
    Ok(found.ok_or_else(missing)?.run)
}

async fn list(daemon: &Daemon, show: Show, command: &List) -> Result<(), Failed> {
    let before = command.before.map(|run| format!("&before={run}")).unwrap_or_default();
    let runs: Vec<dto::Run> = daemon.get(&format!("/api/v1/runs?limit={}{before}", command.limit)).await?;
    show.print(&runs, |text| {
        if runs.is_empty() {
            return text.say("cli.no_runs", &[]);
        }
        let row = |run: &dto::Run| {
            vec![
                run.run.to_string(),
                run.line.clone(),
                show.say(state_key(&run.state), &[]),
                run.gtin.clone(),
                run.batch.clone(),
                run.passed.to_string(),
                run.rejected.to_string(),
                short(&run.opened),
                or_dash(run.closed.as_deref().map(short)),
            ]
        };
        let headings = [
            "cli.l_run",
            "cli.l_line",
            "cli.l_state",
            "cli.l_gtin",
            "cli.l_batch",
            "cli.l_passed",
            "cli.l_rejected",
            "cli.l_opened",
            "cli.l_closed",
        ];
        text.table(&headings, &runs.iter().map(row).collect::<Vec<_>>());
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_followed_from_before_the_line_shows_it_to_its_end() {
        let last = |states: &[Option<&str>]| {
            let mut closing = Closing::default();
            states.iter().map(|state| closing.look(*state)).collect::<Vec<_>>().pop()
        };
        for (states, expected) in [
            (&[None][..], Look::Closed),
            (&[Some("stopped")], Look::Wait),
            (&[Some("stopped"), None], Look::Closed),
            (&[Some("running"), Some("closing"), Some("closing")], Look::Wait),
            (&[Some("closing"), Some("closed")], Look::Closed),
            (&[Some("closing"), Some("stopped")], Look::Ended),
            (&[Some("stopped"); 4], Look::Wait),
            (&[Some("stopped"); 5], Look::Ended),
        ] {
            assert_eq!(last(states), Some(expected), "{states:?}");
        }
    }
}
