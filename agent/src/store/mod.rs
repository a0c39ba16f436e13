//! The one database: what is durable, and the only thread that writes it.
//!
//! A [`Store`] owns the only read-write connection. [`Store::apply`] is synchronous: the writer thread calls it in the
//! product and the simulation calls it directly. All records of a call become durable together, or none does.
//!
//! - [`error`]: what can go wrong; [`limits`]: every bound
//! - [`open`](self::open): folder, lock, settings, schema
//! - [`writer`]: the thread, its queue, its group commit
//! - `journal`: what of it stands in the log
//! - [`read`]: queries, on connections that cannot write
//! - [`copy`]: the database as a file: looked through, copied, put back
//! - [`standing`], [`settle`]: the database beside its witness, and what a person makes of it
//! - [`verify`]: everything counted anew and compared with the counts kept
//! - [`trail`]: rows that nobody changes, each with the hash of the one before it
//! - the records, by subject: runs, codes, items, orders (with blocks and stock), bodies of blocks, reports, packs, their
//!   names and their rework, documents of packs (what may be told: `gather`), people
//!
//! Invariants: a code is in exactly one of the tables `pool`, `stock`, `codes` (or in `set_aside` only); the counts of
//! blocks and runs balance after every commit, which the schema's CHECKs enforce; nothing here decides whether a code
//! may go from one state to another (`tamga_domain::lifecycle` does); nothing here reads a clock.

pub mod copy;
pub mod error;
pub mod limits;
pub mod open;
pub mod read;
pub mod settle;
pub mod standing;
pub mod trail;
pub mod verify;
pub mod writer;

mod apply;
mod bodies;
mod codes;
mod documents;
mod find;
mod gather;
mod items;
mod journal;
mod orders;
mod pack_rows;
mod packs;
mod people;
mod reports;
mod rework;
mod rows;
mod runs;
mod share;
mod sscc;
mod tx;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, OptionalExtension};
use tamga_domain::code::Identity;
use tamga_domain::ids::LineNo;
use tamga_domain::record::{Answer, Bar, Known, Record, Recovered, Txn};

use self::error::{Fault, StoreError};
use self::limits::{PIECE_BYTES, WAL_PAGES_IDLE, WAL_PAGES_MAX};
use self::read::View;
use self::standing::Issuing;
use self::tx::{GtinIds, Tx};
use crate::chain::chain;

/// The database, with the lock of its folder.
pub struct Store {
    conn: Connection,
    gtins: GtinIds,
    agent_id: String,
    /// Pages in the WAL after the last commit.
    wal_pages: Arc<AtomicU32>,
    /// Of these, pages that are in the database already; a reader keeps the WAL from beginning anew.
    wal_moved: u32,
    /// All codes ever issued, by the commits that are durable.
    issued: u64,
    issuing: Issuing,
    /// Why nothing is written any more, once a write failed, and whether the database was found damaged.
    broken: Option<(String, bool)>,
    /// The disk failed in this session: what looks like damage from here on may be none.
    disk_failed: Cell<bool>,
    /// Dropped last, so that the folder is free only when the database is closed.
    _lock: File,
}

impl Store {
    /// Opens the data folder, makes it when it is not there. `new_agent_id` becomes the agent's id at the first
    /// opening, and never again.
    pub fn open(dir: &Path, new_agent_id: &str) -> Result<Store, StoreError> {
        Store::open_on(dir, new_agent_id, open::write_back)
    }

    /// [`Store::open`] for a simulation with a disk of its own, to which `write_back` writes the WAL once more.
    pub fn open_on(
        dir: &Path,
        new_agent_id: &str,
        write_back: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<Store, StoreError> {
        let lock = open::lock_folder(dir)?;
        let wal = open::wal_path(dir);
        write_back(&wal).map_err(|source| StoreError::Folder { path: wal, source })?;
        let mut conn = open::open_writer(dir)?;
        let wal_pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&wal_pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            seen.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(StoreError::Reading)?;
        let sql = "INSERT INTO meta(key, value) VALUES('agent_id', ?1) ON CONFLICT DO NOTHING";
        conn.execute(sql, [new_agent_id]).map_err(StoreError::Writing)?;
        let agent_id = conn
            .query_row("SELECT value FROM meta WHERE key = 'agent_id'", [], |r| r.get(0))
            .map_err(StoreError::Reading)?;
        let issued = standing::issued_in(&conn)?;
        let mut store = Store {
            conn,
            gtins: GtinIds::default(),
            agent_id,
            wal_pages,
            wal_moved: 0,
            issued,
            issuing: Issuing::Unwatched,
            broken: None,
            disk_failed: Cell::new(false),
            _lock: lock,
        };
        let (epoch, copy) = (store.meta(standing::EPOCH)?, store.meta(standing::COPY)?);
        store.issuing = Issuing::at_opening(epoch.as_deref(), copy.is_some());
        // What a killed process left in the WAL is moved into the database, so that the WAL does not grow from start
        // to start.
        store.checkpoint()?;
        store.transact(|tx| tx.forget_arriving().map_err(of_housework))?;
        Ok(store)
    }

    /// Eight hexadecimal digits, made at the first opening: every order number bears them.
    pub fn agent_id(&self) -> &str {
        &self.agent_id
    }

    /// Makes the records of all the transactions durable, in one commit, and answers each.
    ///
    /// Where nothing may be issued, [`Record::Issue`] and the naming of packs are answered with [`Answer::Barred`] and the
    /// rest is done.
    ///
    /// On [`StoreError::Rule`] nothing was changed: one record is a bug of ours. After any other error the outcome is
    /// unknown, and this store writes no more.
    pub fn apply(&mut self, txns: &[Txn]) -> Result<Vec<Vec<Answer>>, StoreError> {
        self.apply_but(txns, &BTreeMap::new()).map_err(|(_, error)| error)
    }

    /// [`Store::apply`] for transactions of several askers: one with a record that is not allowed is left out and told
    /// so with its [`StoreError::Rule`], and nobody else pays for it. The others become durable together, in one commit.
    ///
    /// There is no savepoint for each, which every group would pay for: where a transaction is refused, all is rolled
    /// back, and the group is applied again without it.
    pub fn apply_each(&mut self, txns: &[Txn]) -> Result<Vec<Result<Vec<Answer>, StoreError>>, StoreError> {
        let mut refused = BTreeMap::new();
        loop {
            match self.apply_but(txns, &refused) {
                Ok(answers) => {
                    let told = |(at, answers)| refused.remove(&at).map_or(Ok(answers), Err);
                    return Ok(answers.into_iter().enumerate().map(told).collect());
                }
                Err((Some(at), error)) if self.broken.is_none() => refused.insert(at, error),
                Err((_, error)) => return Err(error),
            };
        }
    }

    /// All but the refused, which have no answers. An error that is a rule's comes with the place of its transaction.
    fn apply_but(
        &mut self,
        txns: &[Txn],
        refused: &BTreeMap<usize, StoreError>,
    ) -> Result<Vec<Vec<Answer>>, (Option<usize>, StoreError)> {
        let bar = self.lease(txns);
        let mut at = 0;
        let applied = self.transact(|tx| {
            let mut all = Vec::with_capacity(txns.len());
            for (place, txn) in txns.iter().enumerate() {
                at = place;
                all.push(if refused.contains_key(&place) { Vec::new() } else { apply_one(tx, txn, bar)? });
            }
            Ok(all)
        });
        match applied {
            Ok(answers) => {
                self.count_issued(&answers);
                Ok(answers)
            }
            Err(error) => Err((matches!(error, StoreError::Rule { .. }).then_some(at), error)),
        }
    }

    /// Keeps a piece of the body of a large block ahead of its own commit, in a transaction of its own. True when
    /// there is another piece to be kept so. Until the block is applied its pieces count for nothing.
    pub fn keep_ahead(&mut self, txn: &Txn) -> Result<bool, StoreError> {
        let large = txn.records.iter().find_map(|record| match record {
            Record::Block { order, pack_id, body, .. } if body.len() > PIECE_BYTES => {
                Some((*order, pack_id.as_str(), body.as_slice()))
            }
            _ => None,
        });
        let Some((order, pack_id, body)) = large else {
            return Ok(false);
        };
        self.transact(|tx| tx.keep_piece(order, pack_id, body).map_err(|fault| of_record(txn, 0, fault)))
    }

    /// One transaction. Nothing is written any more after one that failed in another way than by a rule.
    fn transact<T>(&mut self, work: impl FnOnce(Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.unbroken()?;
        let go = || {
            self.conn.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::Writing)?;
            let done = work(self.tx())?;
            self.conn.execute_batch("COMMIT").map_err(StoreError::Writing)?;
            Ok(done)
        };
        let result = go().map_err(|error| self.judged(error));
        if let Err(error) = &result {
            self.gtins.forget();
            let rolled_back = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
            if !rolled_back || !matches!(error, StoreError::Rule { .. }) {
                self.broken = Some((chain(error), error.is_damage()));
            }
        }
        result
    }

    /// What is known of a code, after all commits that were answered.
    pub fn find(&self, identity: &Identity) -> Result<Known, StoreError> {
        self.tx().find(identity).map_err(|fault| self.judged(fault.reading()))
    }

    /// What a line needs to go on after a start.
    pub fn recover(&self, line: LineNo) -> Result<Recovered, StoreError> {
        self.view().recover(line).map_err(|error| self.judged(error))
    }

    /// All the queries of [`read`], on this connection.
    pub fn view(&self) -> View<'_> {
        View::on(&self.conn)
    }

    /// A setting of the agent kept in the database, such as the id of the machine it is bound to.
    pub fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        self.conn.query_row(sql, [key], |r| r.get(0)).optional().map_err(StoreError::Reading)
    }

    /// Keeps a setting. The agent's id is not one that can be changed.
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta(key, value) VALUES(?1, ?2) \
                   ON CONFLICT DO UPDATE SET value = excluded.value WHERE key <> 'agent_id'";
        self.conn.execute(sql, [key, value]).map(|_| ()).map_err(StoreError::Writing)
    }

    /// Moves committed pages from the WAL into the database when there are enough of them, or else lets go of a few
    /// pieces of what is not needed any more. `idle` says that no request waits. Never waits for readers. True when
    /// there is more to do in the next idle moment.
    pub fn maintain(&mut self, idle: bool) -> Result<bool, StoreError> {
        let pages = self.wal_pages();
        if pages < self.wal_moved {
            self.wal_moved = 0;
        }
        let new = pages - self.wal_moved;
        if new >= WAL_PAGES_MAX || (idle && new >= WAL_PAGES_IDLE) {
            self.checkpoint()?;
        } else if idle && self.has_spent()? {
            self.transact(|tx| tx.free_pieces().map_err(of_housework))?;
        }
        self.has_spent()
    }

    fn has_spent(&self) -> Result<bool, StoreError> {
        self.tx().has_spent().map_err(Fault::reading)
    }

    /// Pages in the WAL after the last commit: grows without end only while some reader does not let go.
    pub fn wal_pages(&self) -> u32 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    /// Why nothing is written any more, once a write failed.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_ref().map(|(why, _)| why.as_str())
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.unbroken()?;
        let done = self.conn.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE);
        match done {
            Ok((pages, moved)) => {
                // All of them moved: the next commit begins the WAL anew.
                let (pages, moved) = if moved < pages { (pages, moved) } else { (0, 0) };
                self.wal_pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                self.wal_moved = u32::try_from(moved).unwrap_or(0);
                Ok(())
            }
            Err(e) => {
                let error = self.judged(StoreError::Writing(e));
                self.broken = Some((format!("checkpoint: {}", chain(&error)), error.is_damage()));
                Err(error)
            }
        }
    }

    fn unbroken(&self) -> Result<(), StoreError> {
        match &self.broken {
            Some((why, damage)) => Err(StoreError::Broken { why: why.clone(), damage: *damage }),
            None => Ok(()),
        }
    }

    /// An error as it is to be told: damage is not believed of a session in which the disk has failed.
    fn judged(&self, error: StoreError) -> StoreError {
        if error.is_of_disk() {
            self.disk_failed.set(true);
        }
        if self.disk_failed.get() && error.is_damage() { StoreError::Suspect(Box::new(error)) } else { error }
    }

    fn tx(&self) -> Tx<'_> {
        Tx { conn: &self.conn, gtins: &self.gtins }
    }
}

fn apply_one(tx: Tx<'_>, txn: &Txn, bar: Option<Bar>) -> Result<Vec<Answer>, StoreError> {
    let mut answers = Vec::new();
    for (place, record) in txn.records.iter().enumerate() {
        if let (true, Some(bar)) = (standing::issues(record) > 0, bar) {
            answers.push(Answer::Barred(bar));
            continue;
        }
        answers.extend(tx.apply(record).map_err(|fault| of_record(txn, place, fault))?);
    }
    Ok(answers)
}

fn of_record(txn: &Txn, place: usize, fault: Fault) -> StoreError {
    match fault {
        Fault::Rule(rule) => StoreError::Rule { txn: txn.id, place, rule: Box::new(rule) },
        Fault::Sql(e) => StoreError::Writing(e),
        Fault::Damaged(what) => StoreError::Damaged { what },
    }
}

/// The failure of a transaction that nobody asked for.
fn of_housework(fault: Fault) -> StoreError {
    match fault {
        Fault::Rule(rule) => StoreError::Damaged { what: rule.to_string() },
        Fault::Sql(e) => StoreError::Writing(e),
        Fault::Damaged(what) => StoreError::Damaged { what },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> StoreError {
        StoreError::Writing(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    }

    #[test]
    fn damage_is_believed_unless_the_disk_failed_before_in_this_session() {
        let dir = std::env::temp_dir().join(format!("tamga-judged-{}", std::process::id()));
        let store = Store::open(&dir, "0a1b2c3d").unwrap();
        assert!(store.judged(sqlite(rusqlite::ffi::SQLITE_CORRUPT)).is_damage());
        assert!(store.judged(sqlite(rusqlite::ffi::SQLITE_NOTADB)).is_damage());
        assert!(!store.judged(sqlite(rusqlite::ffi::SQLITE_FULL)).is_damage());
        assert!(
            store.judged(sqlite(rusqlite::ffi::SQLITE_CORRUPT)).is_damage(),
            "a full disk is no broken one"
        );
        assert!(store.judged(sqlite(rusqlite::ffi::SQLITE_IOERR_FSYNC)).is_of_disk());
        let suspect = store.judged(sqlite(rusqlite::ffi::SQLITE_CORRUPT));
        assert!(!suspect.is_damage() && matches!(suspect, StoreError::Suspect(_)), "{suspect}");
        drop(store);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
