//! `tamga db …`: the database as a file, without the daemon.
//!
//! Commands that change something want the agent stopped, and the agent's own user: a file that root made would not be
//! the agent's to write.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::Exit;
use super::out::{Progress, Show};
use super::{Failed, Globals, daemon, out};
use crate::clock;
use crate::config::Config;
use crate::store::Store;
use crate::store::copy::{self, CopyError, Examined};
use crate::store::error::StoreError;
use crate::store::open::database_path;
use crate::store::settle::{Asking, Proof, SettleError};
use crate::store::standing::Here;
use crate::store::verify::Finding;
use crate::witness::shelf::{Folder, ShelfError};

/// Look through the database, back it up, put a backup back, settle what that leaves in doubt
#[derive(Args)]
#[command(after_help = "Example:
  tamga db backup /mnt/backup/tamga-$(date +%F).db
  tamga db verify /mnt/backup/tamga-2026-11-22.db")]
pub struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(Verify),
    Backup(Backup),
    Restore(Restore),
    Settle(Settle),
}

/// Look through the database or a backup: every page, every reference, every count anew
#[derive(Args)]
#[command(after_help = "Example:
  tamga db verify
  tamga db verify /mnt/backup/tamga-2026-11-22.db

Reads all of it; the agent may run meanwhile. Ends with 0 when all is well, 1 when counts differ, 9 when the file is
damaged.")]
pub struct Verify {
    /// A backup [default: the database of the configuration]
    file: Option<PathBuf>,
}

/// Copy the database into a file, while the agent runs, and look through the copy
#[derive(Args)]
#[command(after_help = "Example:
  tamga db backup /mnt/backup/tamga-$(date +%F).db

The file is there when its copy was found good, or not at all; one of that name is replaced then.")]
pub struct Backup {
    /// Where to: another disk, not the data folder
    file: PathBuf,
}

/// Put a backup in the place of the database, which is moved aside and kept
#[derive(Args)]
#[command(after_help = "Example:
  systemctl stop tamga
  runuser -u tamga -- tamga db restore /mnt/backup/tamga-2026-11-22.db
  runuser -u tamga -- tamga db settle
  systemctl start tamga

The agent must be stopped. Codes may have been printed after the backup was made: nothing is issued until tamga db
settle. Cut short, it leaves the old database or the new one; ask again.")]
pub struct Restore {
    /// The backup
    file: PathBuf,
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
        Command::Verify(command) => verify(show, &config, &command),
        Command::Backup(command) => backup(show, &config, &command),
        Command::Restore(command) => restore(show, &config, &command),
        Command::Settle(command) => settle(globals, show, &config, &command),
    }
}

#[derive(Serialize)]
struct FindingShape {
    check: &'static str,
    subject: String,
    kept: i64,
    counted: i64,
}

#[derive(Serialize)]
struct ExaminedShape {
    path: String,
    good: bool,
    /// What SQLite says of the file; empty when it is whole.
    integrity: Vec<String>,
    /// Rows that refer to rows that are not there.
    references: u64,
    findings: Vec<FindingShape>,
    schema: u32,
    received: u64,
    /// Of a restore: where the old database is.
    aside: Option<String>,
}

impl ExaminedShape {
    fn of(path: &Path, found: Examined, aside: Option<PathBuf>) -> ExaminedShape {
        let good = found.is_good();
        let finding = |f: Finding| FindingShape {
            check: f.check,
            subject: f.subject,
            kept: f.kept,
            counted: f.counted,
        };
        ExaminedShape {
            path: path.display().to_string(),
            good,
            integrity: found.integrity,
            references: found.references,
            findings: found.findings.into_iter().map(finding).collect(),
            schema: found.schema,
            received: found.received,
            aside: aside.map(|path| path.display().to_string()),
        }
    }

    /// Prints it with the text of `key` when it is good, and with what is wrong otherwise.
    fn tell(&self, show: Show, key: &str) -> Result<(), Failed> {
        show.print(self, |text| {
            let received = self.received.to_string();
            if self.good {
                return text.say(key, &[("path", &self.path), ("received", &received)]);
            }
            text.say("db.not_good", &[("path", &self.path)]);
            self.integrity.iter().for_each(|line| text.line(&format!("  {line}")));
            if self.references > 0 {
                text.say("db.references", &[("count", &self.references.to_string())]);
            }
            for f in &self.findings {
                text.line(&format!("  {} ({}): {} / {}", f.check, f.subject, f.kept, f.counted));
            }
        });
        match (self.good, self.integrity.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => Err(Failed::quietly(Exit::Refused)),
            (false, false) => Err(Failed::quietly(Exit::Damaged)),
        }
    }
}

fn verify(show: Show, config: &Config, command: &Verify) -> Result<(), Failed> {
    let path = command.file.clone().unwrap_or_else(|| database_path(&config.agent.data));
    if let Err(error) = std::fs::File::open(&path) {
        return Err(unreadable(&path, &error));
    }
    let found = copy::examine(&path).map_err(|error| refused(&error))?;
    ExaminedShape::of(&path, found, None).tell(show, "db.good")
}

fn backup(show: Show, config: &Config, command: &Backup) -> Result<(), Failed> {
    let data = &config.agent.data;
    if let Err(error) = std::fs::File::open(database_path(data)) {
        return Err(unreadable(&database_path(data), &error));
    }
    match copy::backup(data, &command.file, clock::wall()) {
        Ok(found) => ExaminedShape::of(&command.file, found, None).tell(show, "db.backed_up"),
        Err(error) => uncopied(show, error),
    }
}

fn restore(show: Show, config: &Config, command: &Restore) -> Result<(), Failed> {
    let data = &config.agent.data;
    own(data)?;
    if let Err(error) = std::fs::File::open(&command.file) {
        return Err(unreadable(&command.file, &error));
    }
    match copy::restore(data, &command.file, clock::wall()) {
        Ok(restored) => {
            let shape = ExaminedShape::of(&command.file, restored.found, restored.aside);
            shape.tell(show, "db.restored")?;
            if let (false, Some(aside)) = (show.json, &shape.aside) {
                out::print(&format!("{}\n", show.say("db.aside", &[("path", aside)])));
            }
            Ok(())
        }
        Err(error) => uncopied(show, error),
    }
}

fn uncopied(show: Show, error: CopyError) -> Result<(), Failed> {
    match error {
        CopyError::NotGood { path, found } => ExaminedShape::of(&path, *found, None).tell(show, "db.good"),
        CopyError::Store(error) => Err(refused(&error)),
        CopyError::InDataFolder { path } => {
            Err(Failed::new(Exit::Usage, "db.in_data").with("path", path.display()))
        }
        CopyError::File { path, source } => Err(unreadable(&path, &source)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failed {
    let exit = match error.kind() {
        std::io::ErrorKind::NotFound => Exit::NotFound,
        std::io::ErrorKind::PermissionDenied => Exit::NotAuthorised,
        _ => Exit::Internal,
    };
    Failed::new(exit, "db.unreadable").with("path", path.display()).with("why", error)
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
    if !database_path(data).exists() {
        return Err(Failed::new(Exit::NotFound, "db.no_database").with("path", data.display()));
    }
    own(data)?;
    let mut store = Store::open(data, &crate::run::new_agent_id()).map_err(|error| refused(&error))?;
    let witness =
        Folder::open(&config.agent.witness, store.agent_id()).map_err(|error| no_witness(&error))?;
    let here = Here::of(data, clock::wall()).map_err(|error| Failed::internal(&error))?;
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
    let facts = std::fs::metadata(database_path(data)).or_else(|_| std::fs::metadata(data));
    // A folder that is not there yet becomes the asker's.
    let Ok(owner) = facts.map(|facts| facts.uid()) else { return Ok(()) };
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
        other if other.is_damage() => {
            Failed::new(Exit::Damaged, "db.damaged").with("why", crate::web::text::chain(other))
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
