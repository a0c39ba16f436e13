//! `tamga doctor`: what is well, what is to be watched, what needs a person.

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::Show;
use crate::web::dto;

/// Look at disk, database, clock, devices and the way upstream
#[derive(Args)]
#[command(after_help = "Example:
  tamga doctor

Ends with 1 when something needs a person.")]
pub struct Doctor {}

pub async fn run(daemon: &Daemon, show: Show) -> Result<(), Failed> {
    let doctor: dto::Doctor = daemon.get("/api/v1/doctor").await?;
    show.print(&doctor, |text| {
        let rank = |level: &str| ["bad", "watch", "good"].iter().position(|known| *known == level);
        let mut findings: Vec<&dto::Finding> = doctor.findings.iter().collect();
        findings.sort_by_key(|finding| rank(&finding.level));
        for finding in findings {
            let mark = match finding.level.as_str() {
                "good" => "ok",
                "watch" => "? ",
                _ => "! ",
            };
            text.line(&format!("{mark}  {}", finding.text));
        }
    });
    if doctor.level == "bad" { Err(Failed::quietly(Exit::Refused)) } else { Ok(()) }
}
