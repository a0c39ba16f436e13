//! Where the database stands beside its witness, and what follows for issuing.
//!
//! A store that never had a witness issues freely (tests, benchmarks, a folder made by hand). Once it had one, it issues
//! nothing until [`Store::stand`] has found the two to agree, or a person has settled it ([`super::settle`]).

use std::path::Path;

use rusqlite::OptionalExtension as _;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::record::{Answer, Bar, Record, Txn};
use tamga_domain::time::Wall;

use super::Store;
use super::error::{Fault, StoreError};
use super::limits::NAMES_PASSED_MAX;
use super::tx::Tx;
use crate::witness::shelf::{Shelf, file_id};
use crate::witness::{
    Claim, Doubt, FileId, Found, LEASE, Owner, Pulse, Witness, folder_hash, judge, machine_hash,
};

/// Keys of `meta`. Those of `MARKS` say that the database is not simply its own continuation.
pub(super) const EPOCH: &str = "epoch";
pub(super) const ISSUED: &str = "issued_total";
pub(super) const MACHINE: &str = "machine";
/// The machine's own id, which schemas before 5 kept.
const MACHINE_BEFORE: &str = "machine_id";
pub(super) const COPY: &str = "copy";
pub(super) const REPLACED: &str = "replaced";
pub(super) const SETTLING: &str = "settling";
pub(super) const MARKS: [&str; 3] = [COPY, REPLACED, SETTLING];
/// The alarm of a start that met a database in the folder of another agent.
pub const NEW_DATABASE: &str = "alarm.new_database";
/// The last block of before a restore: what is still unpacked of it and of those before it is spoiled at once.
pub(super) const RESTORED_BLOCK: &str = "restored_block";
pub(super) const RESTORED_ORDER: &str = "restored_order";
/// Names of packs that what was lost in restores may have used up, in all.
pub(super) const NAMES_LOST: &str = "names_lost";
/// Order numbers up to this one may have been used by what was lost in a restore.
pub(super) const PO_FLOOR: &str = "po_floor";

/// What a store is told of the computer that it is on.
#[derive(Clone, Debug)]
pub struct Here {
    /// The machine's id, hashed ([`crate::witness::machine_hash`]); `None` where it has none.
    pub machine: Option<String>,
    pub database: FileId,
    /// The data folder by its path, hashed: whose it was outlasts its files.
    pub folder: String,
    /// The epoch to begin: one that was never used.
    pub epoch: String,
    /// How many codes each lease covers beyond what it is made for: [`LEASE`].
    pub lease: u64,
    pub at: Wall,
}

impl Here {
    /// This computer, and the database of a data folder on it.
    pub fn of(dir: &Path, at: Wall) -> std::io::Result<Here> {
        let text = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let machine = machine_hash(&text);
        let database = file_id(&super::open::database_path(dir))?;
        let folder = folder_hash(&dir.canonicalize()?);
        let epoch = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Ok(Here { machine, database, folder, epoch, lease: LEASE, at })
    }
}

/// What a start found.
#[derive(Debug)]
pub enum Standing {
    /// The database knows of all that was issued: a new epoch has begun. `instead_of`: another database, where the folder
    /// had that of another agent. Nothing can be printed twice, but what that one knew is not here.
    Proven { instead_of: Option<String> },
    /// It may not. Nothing is issued until a person has settled it.
    Doubted(Doubt),
    /// The witness can be neither read nor written: nothing is issued until a start that can.
    Away(std::io::Error),
}

/// Who lets codes be issued.
pub(super) enum Issuing {
    Unwatched,
    Watched { shelf: Box<dyn Shelf>, witness: Witness, lease: u64 },
    Barred(Bar),
}

impl Issuing {
    /// Before anybody has looked at a witness.
    pub(super) fn at_opening(epoch: Option<&str>, copy: bool) -> Issuing {
        if epoch.is_some() || copy { Issuing::Barred(Bar::Unsettled) } else { Issuing::Unwatched }
    }
}

/// The two files of an agent in the folder of witnesses.
pub(super) fn names(agent: &str) -> (String, String) {
    (format!("{agent}.witness"), format!("{agent}.issued"))
}

/// The file that says whose a data folder was last.
fn owner_name(folder: &str) -> String {
    format!("{folder}.folder")
}

/// Whose the folder was last, where somebody's.
fn owner_of(shelf: &mut dyn Shelf, here: &Here) -> std::io::Result<Option<String>> {
    let owner = shelf.read(&owner_name(&here.folder))?.and_then(|bytes| Owner::parse(&bytes));
    Ok(owner.map(|owner| owner.agent))
}

/// The folder is this agent's from here on.
fn take_over(shelf: &mut dyn Shelf, here: &Here, agent: &str) -> std::io::Result<()> {
    if owner_of(shelf, here)?.as_deref() == Some(agent) {
        return Ok(());
    }
    let owner = Owner { agent: agent.to_owned() };
    shelf.replace(&owner_name(&here.folder), owner.render().as_bytes())
}

/// What the shelf holds of an agent.
pub(super) fn look(shelf: &mut dyn Shelf, agent: &str) -> std::io::Result<(Found<Witness>, Option<Pulse>)> {
    let (witness, pulse) = names(agent);
    let found = match shelf.read(&witness)? {
        None => Found::Missing,
        Some(bytes) => Witness::parse(&bytes).map_or(Found::Damaged, Found::Whole),
    };
    Ok((found, shelf.read(&pulse)?.and_then(|bytes| Pulse::parse(&bytes))))
}

impl Store {
    /// What the database says of itself.
    pub fn claim(&self, database: FileId) -> Result<Claim, StoreError> {
        Ok(Claim {
            agent: self.agent_id().to_owned(),
            database,
            epoch: self.meta(EPOCH)?,
            issued: self.issued,
            copy: self.meta(COPY)?.is_some(),
            replaced: self.meta(REPLACED)?.as_deref().and_then(FileId::parse),
            settling: self.meta(SETTLING)?.is_some(),
        })
    }

    /// Whether the data folder is bound to another machine. Where one of the two has no id, nobody can say so.
    pub fn is_of_other_machine(&self, here: &Here) -> Result<bool, StoreError> {
        let bound = match self.meta(MACHINE)? {
            Some(bound) => Some(bound),
            None => self.meta(MACHINE_BEFORE)?.and_then(|id| machine_hash(&id)),
        };
        Ok(bound.zip(here.machine.as_ref()).is_some_and(|(bound, machine)| bound != *machine))
    }

    /// Compares the database with its witness, and begins a new epoch if they agree.
    ///
    /// # Errors
    /// [`StoreError::OtherMachine`]: the data folder came from another machine; nothing was changed.
    pub fn stand(&mut self, mut shelf: Box<dyn Shelf>, here: &Here) -> Result<Standing, StoreError> {
        if self.is_of_other_machine(here)? {
            return Err(StoreError::OtherMachine);
        }
        let claim = self.claim(here.database)?;
        let (found, pulse) = match look(shelf.as_mut(), self.agent_id()) {
            Ok(seen) => seen,
            Err(why) => {
                self.issuing = Issuing::Barred(Bar::Witness);
                return Ok(Standing::Away(why));
            }
        };
        if let Err(doubt) = judge(&claim, &found, pulse.as_ref()) {
            self.issuing = Issuing::Barred(Bar::Unsettled);
            return Ok(Standing::Doubted(doubt));
        }
        let ended = match found {
            Found::Whole(witness) => witness.ended,
            Found::Missing | Found::Damaged => None,
        };
        let instead_of = match owner_of(shelf.as_mut(), here) {
            Ok(before) => before.filter(|before| before != self.agent_id()),
            Err(why) => {
                self.issuing = Issuing::Barred(Bar::Witness);
                return Ok(Standing::Away(why));
            }
        };
        // Told in the commit that makes the folder ours: no crash may lose it.
        let told = |tx: Tx<'_>| match &instead_of {
            Some(before) => tx.alarm_raised(None, NEW_DATABASE, before, here.at),
            None => Ok(()),
        };
        match self.begin_epoch(shelf, here, ended, told)? {
            Ok(()) => Ok(Standing::Proven { instead_of }),
            Err(why) => Ok(Standing::Away(why)),
        }
    }

    /// The witness says which epoch comes next, the database has it, the witness has it. `work` is done in the same
    /// commit of the database. Cut short between any two, the next start finds one of two epochs that it knows.
    pub(super) fn begin_epoch(
        &mut self,
        mut shelf: Box<dyn Shelf>,
        here: &Here,
        ended: Option<u64>,
        work: impl FnOnce(Tx<'_>) -> Result<(), Fault>,
    ) -> Result<std::io::Result<()>, StoreError> {
        self.issuing = Issuing::Barred(Bar::Witness);
        let (name, _) = names(self.agent_id());
        let begun = Witness {
            agent: self.agent_id().to_owned(),
            machine: here.machine.clone(),
            database: here.database,
            epoch: self.meta(EPOCH)?,
            next: Some(here.epoch.clone()),
            floor: self.issued,
            lease: self.issued + here.lease,
            ended,
        };
        if let Err(why) = shelf.replace(&name, begun.render().as_bytes()) {
            return Ok(Err(why));
        }
        self.transact(|tx| {
            let done = || {
                tx.set_meta(EPOCH, &here.epoch)?;
                if let Some(machine) = &here.machine {
                    tx.set_meta(MACHINE, machine)?;
                }
                tx.forget_meta(MACHINE_BEFORE)?;
                work(tx)
            };
            done().map_err(super::of_housework)
        })?;
        let witness = Witness { epoch: Some(here.epoch.clone()), next: None, ended: None, ..begun };
        let written = shelf
            .replace(&name, witness.render().as_bytes())
            .and_then(|()| take_over(shelf.as_mut(), here, &witness.agent));
        if let Err(why) = written {
            return Ok(Err(why));
        }
        self.issuing = Issuing::Watched { shelf, witness, lease: here.lease };
        Ok(Ok(()))
    }

    /// Sees to it that the witness covers what these transactions may issue, before they are begun. `Some`: they may
    /// issue nothing.
    pub(super) fn lease(&mut self, txns: &[Txn]) -> Option<Bar> {
        let wanted: u64 = txns.iter().flat_map(|txn| &txn.records).map(issues).sum();
        let beyond = self.issued + wanted;
        let (name, _) = names(&self.agent_id);
        let (shelf, witness, lease) = match &mut self.issuing {
            _ if wanted == 0 => return None,
            Issuing::Unwatched => return None,
            Issuing::Barred(bar) => return Some(*bar),
            Issuing::Watched { shelf, witness, lease } => (shelf, witness, *lease),
        };
        if beyond <= witness.lease {
            return None;
        }
        let ours = match shelf.read(&name) {
            Ok(None) => true,
            Ok(Some(bytes)) => Witness::parse(&bytes).is_none_or(|there| there.epoch == witness.epoch),
            Err(_) => return Some(Bar::Witness),
        };
        if !ours {
            // Another agent has begun an epoch with this witness: one of the two is a copy.
            self.issuing = Issuing::Barred(Bar::Unsettled);
            return Some(Bar::Unsettled);
        }
        let renewed = Witness { floor: self.issued, lease: beyond + lease, ..witness.clone() };
        match shelf.replace(&name, renewed.render().as_bytes()) {
            Ok(()) => {
                *witness = renewed;
                None
            }
            Err(_) => Some(Bar::Witness),
        }
    }

    /// Counts what a durable commit issued, and notes it beside the witness.
    pub(super) fn count_issued(&mut self, answers: &[Vec<Answer>]) {
        let count = |answer: &Answer| match answer {
            Answer::Issued(codes) => codes.len() as u64,
            Answer::Pack(PackAnswer::Named { used, .. }) => u64::from(*used),
            _ => 0,
        };
        let issued: u64 = answers.iter().flatten().map(count).sum();
        self.issued += issued;
        let (_, name) = names(&self.agent_id);
        if let Issuing::Watched { shelf, witness, .. } = &mut self.issuing
            && let (true, Some(epoch)) = (issued > 0, witness.epoch.clone())
        {
            let pulse = Pulse { epoch, issued: self.issued };
            // It proves more where it is there, and nothing rests on it: the lease does.
            drop(shelf.note(&name, pulse.render().as_bytes()));
        }
    }

    /// The end that was asked for: the WAL is moved into the database, so that the one file is all of it, and the witness
    /// is told the exact count, so that the next start knows that no commit is missing. (Any other end leaves the lease,
    /// which is enough, and the WAL, which the next start makes sure of before it moves it.)
    pub fn close(mut self) -> std::io::Result<()> {
        if self.broken.is_some() {
            return Ok(());
        }
        self.checkpoint().map_err(std::io::Error::other)?;
        let (name, _) = names(&self.agent_id);
        match &mut self.issuing {
            Issuing::Watched { shelf, witness, .. } => {
                let ended = Witness { floor: self.issued, ended: Some(self.issued), ..witness.clone() };
                shelf.replace(&name, ended.render().as_bytes())
            }
            Issuing::Unwatched | Issuing::Barred(_) => Ok(()),
        }
    }

    /// Issues nothing from here on: there is no witness to stand beside.
    pub fn bar(&mut self, bar: Bar) {
        self.issuing = Issuing::Barred(bar);
    }

    /// All codes that this agent ever issued out of its pools.
    pub fn issued_total(&self) -> u64 {
        self.issued
    }

    /// Why nothing is issued, if nothing is.
    pub fn barred(&self) -> Option<Bar> {
        match &self.issuing {
            Issuing::Barred(bar) => Some(*bar),
            Issuing::Unwatched | Issuing::Watched { .. } => None,
        }
    }
}

/// What a record would issue at most: codes to a printer, a name to a pack.
pub(super) fn issues(record: &Record) -> u64 {
    match record {
        Record::Issue { count, .. } => u64::from(*count),
        Record::Pack(PackRecord::Named { name: NewName::Next, .. }) => u64::from(NAMES_PASSED_MAX),
        _ => 0,
    }
}

/// The count of issued codes and names as the database has it.
pub(super) fn issued_in(conn: &rusqlite::Connection) -> Result<u64, StoreError> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let text: Option<String> =
        conn.query_row(sql, [ISSUED], |r| r.get(0)).optional().map_err(StoreError::Reading)?;
    let text = text.unwrap_or_default();
    text.parse().map_err(|_| StoreError::Damaged { what: format!("{text:?} as the count of issued codes") })
}

impl Tx<'_> {
    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        let sql =
            "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        self.run(sql, (key, value)).map(drop)
    }

    pub(super) fn forget_meta(&self, key: &str) -> Result<(), Fault> {
        self.run("DELETE FROM meta WHERE key = ?1", [key]).map(drop)
    }

    /// A number kept in `meta`; 0 where there is none.
    pub(super) fn meta_number(&self, key: &str) -> Result<u64, Fault> {
        let text: Option<String> = self.one("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0))?;
        match text {
            None => Ok(0),
            Some(text) => text.parse().map_err(|_| Fault::Damaged(format!("{text:?} as {key}"))),
        }
    }

    /// Adds to the count of all codes ever issued.
    pub(super) fn add_issued(&self, n: usize) -> Result<(), Fault> {
        if n == 0 {
            return Ok(());
        }
        let sql = "UPDATE meta SET value = CAST(value AS INTEGER) + ?2 WHERE key = ?1";
        self.must("the count of issued codes", 1, sql, (ISSUED, u32::try_from(n).unwrap_or(u32::MAX)))
    }
}
