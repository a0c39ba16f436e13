//! `tamga db …`: the database as a file, without the daemon.
//!
//! Commands that change something want the agent stopped, and the agent's own user: a file that root made would not be
//! the agent's to write.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::Exit;
use super::out::{Progress, Show};
use super::{Failed, Globals, daemon, out};
use crate::clock;
use crate::config::Config;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::settle::{Asking, Proof, SettleError};
use crate::store::standing::Here;
use crate::witness::shelf::{Folder, ShelfError};

/// Settle what a restored or copied database leaves in doubt
#[derive(Args)]
#[command(after_help = "Example:
  systemctl stop tamga
  runuser -u tamga -- tamga db settle")]
pub struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Settle(Settle),
}

/// Let a restored or copied database issue codes again: its pooled codes are spoiled, unless none can have been printed
#[derive(Args)]
#[command(after_help = "Example:
  systemctl stop tamga
  runuser -u tamga -- tamga db settle
  systemctl start tamga

The agent must be stopped. Codes pooled in the database become spoiled (restored), since they may have been printed
after the copy was made; the witness can prove that none was. Safe to repeat, also after it was cut short.")]
pub struct Settle {
    /// You know that nothing was restored or copied (the witness's disk died): no code is spoiled. Who said so is kept
    #[arg(long)]
    nothing_restored: bool,
}

pub fn run(globals: &Globals, command: Db) -> Result<(), Failed> {
    out::log("warn", false);
    let show = Show { json: globals.json, language: globals.lang() };
    let config = daemon::load(&globals.config, globals.lang())?;
    match command.command {
        Command::Settle(command) => settle(globals, show, &config, &command),
    }
}

#[derive(Serialize)]
struct SettledRun {
    run: u32,
    line: String,
    in_doubt: u32,
    pass_unknown: u32,
}

#[derive(Serialize)]
struct SettledShape {
    /// Keys of why it was in doubt, `doubt.…`; empty when nothing was.
    doubts: Vec<String>,
    /// `none`, `witness` or `person`; absent when nothing was in doubt.
    proof: Option<&'static str>,
    spoiled: u64,
    open_runs: Vec<SettledRun>,
}

fn settle(globals: &Globals, show: Show, config: &Config, command: &Settle) -> Result<(), Failed> {
    let data = &config.agent.data;
    own(data)?;
    let mut store = Store::open(data, &crate::run::new_agent_id()).map_err(|error| refused(&error))?;
    let witness =
        Folder::open(&config.agent.witness, store.agent_id()).map_err(|error| no_witness(&error))?;
    let here = Here::of(data).map_err(|error| Failed::internal(&error))?;
    let who = globals.who.clone().unwrap_or_else(daemon::unix_user);
    let asking =
        Asking { who: &who, from: "local", nothing_restored: command.nothing_restored, at: clock::wall() };
    let mut shown = Progress::new();
    let settled = store.settle(Box::new(witness), &here, &asking, |left| {
        shown.show(&show.say("db.settling", &[("left", &left.to_string())]));
    });
    shown.clear();
    let settled = settled.map_err(|error| match error {
        SettleError::Store(error) => refused(&error),
        SettleError::Witness(error) => {
            Failed::new(Exit::Internal, "db.no_witness").with("why", crate::web::text::chain(&error))
        }
    })?;
    let open_runs = open_runs(&store).map_err(|error| refused(&error))?;
    let mut doubts = Vec::new();
    if let Some(settled) = &settled {
        doubts.extend(settled.doubt.map(|doubt| format!("doubt.{}", doubt.key())));
        doubts.extend(settled.other_machine.then(|| "doubt.other_machine".to_owned()));
    }
    let proof = settled.as_ref().map(|settled| match settled.proof {
        Proof::None => "none",
        Proof::Witness => "witness",
        Proof::Person => "person",
    });
    let spoiled = settled.as_ref().map_or(0, |settled| settled.spoiled);
    let shape = SettledShape { doubts, proof, spoiled, open_runs };
    // The end is clean: the next start knows the exact count.
    store.close().map_err(|error| Failed::internal(&error))?;
    show.print(&shape, |text| {
        for doubt in &shape.doubts {
            let why = text.word(doubt);
            text.say("db.why", &[("why", &why)]);
        }
        match settled.as_ref().map(|settled| settled.proof) {
            None => text.say("db.nothing_to_settle", &[]),
            Some(Proof::None) => text.say("db.settled_spoiled", &[("count", &shape.spoiled.to_string())]),
            Some(Proof::Witness) => text.say("db.settled_witness", &[]),
            Some(Proof::Person) => text.say("db.settled_person", &[]),
        }
        if shape.proof.is_none() {
            return;
        }
        for run in &shape.open_runs {
            let counts = [run.run, run.in_doubt, run.pass_unknown].map(|n| n.to_string());
            let args = [
                ("run", counts[0].as_str()),
                ("line", run.line.as_str()),
                ("in_doubt", counts[1].as_str()),
                ("unknown", counts[2].as_str()),
            ];
            text.say("db.open_run", &args);
        }
        if shape.proof == Some("none") {
            text.say("db.look", &[]);
        }
    });
    Ok(())
}

/// What a person has to look at: runs that are open, and what of them nobody saw.
fn open_runs(store: &Store) -> Result<Vec<SettledRun>, StoreError> {
    let names = store.meta("lines")?.unwrap_or_default();
    let names: Vec<&str> = names.lines().collect();
    let view = store.view();
    let mut open = Vec::new();
    for (run, line) in view.runs_open()? {
        let codes = view.run_codes(run)?;
        let name = names.get(usize::from(line.0)).map_or_else(|| line.to_string(), |name| (*name).to_owned());
        open.push(SettledRun {
            run: run.0,
            line: name,
            in_doubt: codes.in_doubt,
            pass_unknown: codes.unknown,
        });
    }
    Ok(open)
}

/// Only the user whose folder it is may change it: what another one makes there, the agent cannot write.
fn own(data: &Path) -> Result<(), Failed> {
    let missing = || Failed::new(Exit::NotFound, "db.no_database").with("path", data.display());
    let owner = std::fs::metadata(crate::store::open::database_path(data)).map_err(|_| missing())?.uid();
    let me = std::fs::metadata("/proc/self").map(|found| found.uid()).unwrap_or(owner);
    if me == owner {
        return Ok(());
    }
    let user = crate::web::socket::user_name(owner);
    Err(Failed::new(Exit::NotAuthorised, "db.other_user").with("user", user).with("path", data.display()))
}

fn refused(error: &StoreError) -> Failed {
    match error {
        StoreError::InUse { path, .. } => {
            Failed::new(Exit::Refused, "db.in_use").with("path", path.display())
        }
        other => Failed::internal(other),
    }
}

fn no_witness(error: &ShelfError) -> Failed {
    match error {
        ShelfError::InUse { dir } => Failed::new(Exit::Refused, "db.in_use").with("path", dir.display()),
        ShelfError::Folder { .. } => {
            Failed::new(Exit::Internal, "db.no_witness").with("why", crate::web::text::chain(error))
        }
    }
}
