//! `tamga alarms`: what is raised, and that a person has seen it.

use clap::{Args, Subcommand};

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, short};
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
            let key = &alarm.key;
            text.line(&format!("{mark} {}  {}  {}  [{key}]", short(&alarm.since), alarm.line, alarm.text));
        }
    });
    let seen = alarms.iter().all(|alarm| alarm.acknowledged);
    if seen { Ok(()) } else { Err(Failed::quietly(Exit::Refused)) }
}

async fn acknowledge(daemon: &Daemon, show: Show, alarms: &[dto::Alarm], ack: Ack) -> Result<(), Failed> {
    let of_key: Vec<&str> = alarms.iter().filter(|a| a.key == ack.key).map(|a| a.line.as_str()).collect();
    let line = match (ack.line, of_key.as_slice()) {
        (Some(line), _) => line,
        (None, [only]) => (*only).to_owned(),
        (None, []) => return Err(Failed::new(Exit::NotFound, "http.no_alarm").with("key", ack.key)),
        (None, several) => {
            let lines = several.join(", ");
            return Err(Failed::new(Exit::Usage, "cli.which_line").with("lines", lines));
        }
    };
    let body = asks::Acknowledge { line, key: ack.key };
    let done: dto::Done = daemon.post("/api/v1/alarms/acknowledge", &body).await?;
    show.print(&done, |text| text.say("cli.acknowledged", &[("key", &body.key), ("line", &body.line)]));
    Ok(())
}
