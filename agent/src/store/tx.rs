//! What the records see of the open transaction: cached statements, GTIN ids, counters.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, RunId};
use tamga_domain::lifecycle::State;

use super::error::{Fault, Rule};
use super::rows::gtin_of;

/// GTINs by their short ids. Emptied when a transaction is rolled back, since ids given in it are gone.
#[derive(Default)]
pub(super) struct GtinIds(RefCell<BTreeMap<Gtin, i64>>);

impl GtinIds {
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tx<'a> {
    pub(super) conn: &'a Connection,
    pub(super) gtins: &'a GtinIds,
}

impl Tx<'_> {
    /// Runs a statement; answers how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, Fault> {
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Runs a statement that must change exactly `wanted` rows: the compare-and-set.
    pub(super) fn must(
        &self,
        what: &'static str,
        wanted: usize,
        sql: &str,
        p: impl Params,
    ) -> Result<(), Fault> {
        let changed = self.run(sql, p)?;
        if changed == wanted { Ok(()) } else { Err(Rule::Miss { what, changed, wanted }.into()) }
    }

    /// The first row of a query, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Fault> {
        Ok(self.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?.collect::<Result<Vec<T>, _>>()?;
        Ok(rows)
    }

    /// The id of a row just inserted.
    pub(super) fn inserted(&self) -> u32 {
        u32::try_from(self.conn.last_insert_rowid()).unwrap_or(u32::MAX)
    }

    pub(super) fn gtin_id(&self, gtin: &Gtin) -> Result<Option<i64>, Fault> {
        if let Some(id) = self.gtins.0.borrow().get(gtin) {
            return Ok(Some(*id));
        }
        let sql = "SELECT gtin_id FROM gtins WHERE gtin = ?1";
        let found: Option<i64> = self.one(sql, [gtin.to_string()], |r| r.get(0))?;
        if let Some(id) = found {
            self.gtins.0.borrow_mut().insert(*gtin, id);
        }
        Ok(found)
    }

    pub(super) fn gtin_of_id(&self, id: i64) -> Result<Gtin, Fault> {
        let text: Option<String> =
            self.one("SELECT gtin FROM gtins WHERE gtin_id = ?1", [id], |r| r.get(0))?;
        gtin_of(&text.unwrap_or_default())
    }

    pub(super) fn gtin_id_or_new(&self, gtin: &Gtin) -> Result<i64, Fault> {
        if let Some(id) = self.gtin_id(gtin)? {
            return Ok(id);
        }
        self.run("INSERT INTO gtins(gtin) VALUES(?1)", [gtin.to_string()])?;
        let id = self.conn.last_insert_rowid();
        self.gtins.0.borrow_mut().insert(*gtin, id);
        Ok(id)
    }

    /// Moves `n` codes of a block from one count to another.
    pub(super) fn move_in_block(&self, block: BlockNo, from: Heap, to: Heap, n: u32) -> Result<(), Fault> {
        if from == to || n == 0 {
            return Ok(());
        }
        let (from, to) = (from.column(), to.column());
        let sql = format!("UPDATE blocks SET {from} = {from} - ?2, {to} = {to} + ?2 WHERE block_no = ?1");
        self.must("the count of a block", 1, &sql, (block.0, n))
    }

    /// Moves `n` codes of a run from one count to another. `Pooled` stands for "not of the run".
    pub(super) fn move_in_run(&self, run: RunId, from: Heap, to: Heap, n: u32) -> Result<(), Fault> {
        if from == to || n == 0 {
            return Ok(());
        }
        let column = |heap: Heap| if heap == Heap::Issued { "in_doubt" } else { heap.column() };
        let sql = match (from, to) {
            (Heap::Pooled, to) => {
                let to = column(to);
                format!("UPDATE runs SET issued = issued + ?2, {to} = {to} + ?2 WHERE run = ?1")
            }
            (from, Heap::Pooled) => {
                let from = column(from);
                format!("UPDATE runs SET issued = issued - ?2, {from} = {from} - ?2 WHERE run = ?1")
            }
            (from, to) => {
                let (from, to) = (column(from), column(to));
                format!("UPDATE runs SET {from} = {from} - ?2, {to} = {to} + ?2 WHERE run = ?1")
            }
        };
        self.must("the count of a run", 1, &sql, (run.0, n))
    }

    /// Counts codes of a block as given to a run, or taken back with a negative `n`.
    pub(super) fn count_run_block(&self, run: RunId, block: BlockNo, n: i64) -> Result<(), Fault> {
        let sql = "INSERT INTO run_blocks(run, block_no, n) VALUES(?1, ?2, max(?3, 0)) \
                   ON CONFLICT DO UPDATE SET n = n + ?3";
        self.must("the blocks of a run", 1, sql, (run.0, block.0, n))
    }
}

/// The heaps among which a block's codes are divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heap {
    SetAside,
    Pooled,
    Issued,
    Verified,
    Applied,
    WrittenOff,
    Spoiled,
    Returned,
}

impl Heap {
    pub(super) fn of(state: State) -> Heap {
        match state {
            State::Pooled | State::Stock => Heap::Pooled,
            State::SetAside => Heap::SetAside,
            State::Issued => Heap::Issued,
            State::Verified(_) => Heap::Verified,
            State::Applied => Heap::Applied,
            State::WrittenOff => Heap::WrittenOff,
            State::Spoiled(_) => Heap::Spoiled,
            State::Returned => Heap::Returned,
        }
    }

    /// The heap's column in `blocks`, and in `runs` for all but `Issued`.
    fn column(self) -> &'static str {
        match self {
            Heap::SetAside => "set_aside",
            Heap::Pooled => "pooled",
            Heap::Issued => "issued",
            Heap::Verified => "verified",
            Heap::Applied => "applied",
            Heap::WrittenOff => "written_off",
            Heap::Spoiled => "spoiled",
            Heap::Returned => "returned",
        }
    }
}
