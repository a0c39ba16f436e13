//! `tamga alarms`: what is raised, and that a person has seen it.

use clap::{Args, Subcommand};

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, short};
use crate::web::shape::of_no_line;
use crate::web::{asks, dto};

/// Show alarms, or say that you have seen one
#[derive(Args)]
#[command(after_help = "Example:
  tamga alarms
  tamga alarms ack reader_away --line line1

Ends with 1 while an alarm is not acknowledged.")]
pub struct Alarms {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Ack(Ack),
}

/// Say that you have seen an alarm
#[derive(Args)]
#[command(after_help = "Example:
  tamga alarms ack reader_away --line line1")]
struct Ack {
    /// The alarm's key, in brackets in the list
    key: String,
    /// The alarm's line; may be left out where only one line has this alarm
    #[arg(long)]
    line: Option<String>,
}

pub async fn run(daemon: &Daemon, show: Show, command: Alarms) -> Result<(), Failed> {
    let alarms: Vec<dto::Alarm> = daemon.get("/api/v1/alarms").await?;
    if let Some(Command::Ack(command)) = command.command {
        return acknowledge(daemon, show, &alarms, command).await;
    }
    show.print(&alarms, |text| {
        if alarms.is_empty() {
            return text.say("cli.no_alarms", &[]);
        }
        for alarm in &alarms {
            let mark = if alarm.acknowledged { " " } else { "!" };
            let of = alarm.line.clone().unwrap_or_else(|| text.word(of_no_line(&alarm.key)));
            text.line(&format!(
                "{mark} {}  {of}  {}  [{}]",
                short(&alarm.since),
                alarm.text,
                name(&alarm.key)
            ));
        }
    });
    let seen = alarms.iter().all(|alarm| alarm.acknowledged);
    if seen { Ok(()) } else { Err(Failed::quietly(Exit::Refused)) }
}

/// An alarm's key as people are shown and type it.
pub fn name(key: &str) -> &str {
    key.strip_prefix("alarm.").unwrap_or(key)
}

async fn acknowledge(daemon: &Daemon, show: Show, alarms: &[dto::Alarm], ack: Ack) -> Result<(), Failed> {
    let of_key = alarms.iter().filter(|alarm| name(&alarm.key) == name(&ack.key));
    let of_line = |alarm: &&dto::Alarm| ack.line.is_none() || alarm.line == ack.line;
    let found: Vec<&dto::Alarm> = of_key.filter(of_line).collect();
    let alarm = match found.as_slice() {
        [only] => *only,
        [] => return Err(Failed::new(Exit::NotFound, "http.no_alarm").with("key", ack.key)),
        several => {
            let lines: Vec<&str> = several.iter().filter_map(|alarm| alarm.line.as_deref()).collect();
            return Err(Failed::new(Exit::Usage, "cli.which_line").with("lines", lines.join(", ")));
        }
    };
    let body = asks::Acknowledge { line: alarm.line.clone(), key: alarm.key.clone() };
    let done: dto::Done = daemon.post("/api/v1/alarms/acknowledge", &body).await?;
    show.print(&done, |text| {
        let of = body.line.clone().unwrap_or_else(|| text.word(of_no_line(&body.key)));
        text.say("cli.acknowledged", &[("key", name(&body.key)), ("line", &of)]);
    });
    Ok(())
}
