//! The one database: what is durable, and the only thread that writes it.
//!
//! A [`Store`] owns the only read-write connection. [`Store::apply`] is synchronous: the writer thread calls it in the
//! product and the simulation calls it directly. All records of a call become durable together, or none does.
//!
//! - [`error`]: what can go wrong; [`limits`]: every bound
//! - [`open`](self::open): folder, lock, settings, schema
//! - [`writer`]: the thread, its queue, its group commit
//! - [`read`]: queries, on connections that cannot write
//! - [`verify`]: everything counted anew and compared with the counts kept
//! - the records, by subject: runs, codes, items, orders (with blocks and stock), reports, people
//!
//! Invariants: a code is in exactly one of the tables `pool`, `stock`, `codes` (or in `set_aside` only); the counts of
//! blocks and runs balance after every commit, which the schema's CHECKs enforce; nothing here decides whether a code
//! may go from one state to another (`tamga_domain::lifecycle` does); nothing here reads a clock.

pub mod error;
pub mod limits;
pub mod open;
pub mod read;
pub mod verify;
pub mod writer;

mod apply;
mod codes;
mod find;
mod items;
mod orders;
mod people;
mod reports;
mod rows;
mod runs;
mod tx;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, OptionalExtension};
use tamga_domain::code::Identity;
use tamga_domain::ids::LineNo;
use tamga_domain::record::{Answer, Known, Recovered, Txn};

use self::error::{Fault, StoreError};
use self::limits::{WAL_PAGES_IDLE, WAL_PAGES_MAX};
use self::read::View;
use self::tx::{GtinIds, Tx};

/// The database, with the lock of its folder.
pub struct Store {
    conn: Connection,
    gtins: GtinIds,
    agent_id: String,
    /// Pages in the WAL after the last commit.
    wal_pages: Arc<AtomicU32>,
    /// Why nothing is written any more, once a write failed.
    broken: Option<String>,
    /// Dropped last, so that the folder is free only when the database is closed.
    _lock: File,
}

impl Store {
    /// Opens the data folder, makes it when it is not there. `new_agent_id` becomes the agent's id at the first
    /// opening, and never again.
    pub fn open(dir: &Path, new_agent_id: &str) -> Result<Store, StoreError> {
        let lock = open::lock_folder(dir)?;
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
        let gtins = GtinIds::default();
        let mut store = Store { conn, gtins, agent_id, wal_pages, broken: None, _lock: lock };
        // What a killed process left in the WAL is moved into the database, so that the WAL does not grow from start
        // to start.
        store.checkpoint()?;
        Ok(store)
    }

    /// Eight hexadecimal digits, made at the first opening: every order number bears them.
    pub fn agent_id(&self) -> &str {
        &self.agent_id
    }

    /// Makes the records of all the transactions durable, in one commit, and answers each.
    ///
    /// On [`StoreError::Rule`] nothing was changed: one record is a bug of ours, and the caller ends the process.
    /// (That is why there is no savepoint for each: nothing would be done with the others.) After any other error the
    /// outcome is unknown, and this store writes no more.
    pub fn apply(&mut self, txns: &[Txn]) -> Result<Vec<Vec<Answer>>, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Broken { why: why.clone() });
        }
        let result = self.apply_all(txns);
        if let Err(error) = &result {
            self.gtins.forget();
            let rolled_back = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
            if !rolled_back || !matches!(error, StoreError::Rule { .. }) {
                let mut why = error.to_string();
                let mut source = std::error::Error::source(error);
                while let Some(s) = source {
                    why = format!("{why}: {s}");
                    source = s.source();
                }
                self.broken = Some(why);
            }
        }
        result
    }

    fn apply_all(&self, txns: &[Txn]) -> Result<Vec<Vec<Answer>>, StoreError> {
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::Writing)?;
        let tx = self.tx();
        let mut answers = Vec::with_capacity(txns.len());
        for txn in txns {
            let mut of_txn = Vec::new();
            for (place, record) in txn.records.iter().enumerate() {
                let answer = tx.apply(record).map_err(|fault| match fault {
                    Fault::Rule(rule) => StoreError::Rule { txn: txn.id, place, rule: Box::new(rule) },
                    Fault::Sql(e) => StoreError::Writing(e),
                    Fault::Damaged(what) => StoreError::Damaged { what },
                })?;
                of_txn.extend(answer);
            }
            answers.push(of_txn);
        }
        self.conn.execute_batch("COMMIT").map_err(StoreError::Writing)?;
        Ok(answers)
    }

    /// What is known of a code, after all commits that were answered.
    pub fn find(&self, identity: &Identity) -> Result<Known, StoreError> {
        self.tx().find(identity).map_err(Fault::reading)
    }

    /// What a line needs to go on after a start.
    pub fn recover(&self, line: LineNo) -> Result<Recovered, StoreError> {
        self.view().recover(line)
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

    /// Moves committed pages from the WAL into the database when there are enough of them. `idle` says that no
    /// request waits. Never waits for readers.
    pub fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages >= WAL_PAGES_MAX || (idle && pages >= WAL_PAGES_IDLE) {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Pages in the WAL after the last commit: grows without end only while some reader does not let go.
    pub fn wal_pages(&self) -> u32 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Broken { why: why.clone() });
        }
        let done = self.conn.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE);
        match done {
            Ok((pages, moved)) => {
                let left = u32::try_from(pages.saturating_sub(moved)).unwrap_or(0);
                self.wal_pages.store(left, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => {
                self.broken = Some(format!("checkpoint: {e}"));
                Err(StoreError::Writing(e))
            }
        }
    }

    fn tx(&self) -> Tx<'_> {
        Tx { conn: &self.conn, gtins: &self.gtins }
    }
}
