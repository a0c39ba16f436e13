//! Queries for the windows, the command line, upstream and start-up. Nothing here can write.
//!
//! A [`Reader`] is a connection of its own, opened read-only; a [`View`] is one moment of the database. A view is to
//! be let go within a second: while one lives, the WAL cannot begin anew.
//!
//! - [`recover`]: what a line needs to go on
//! - [`story`]: everything known of one code
//! - [`sheet`]: runs and the closing sheet
//! - [`pools`]: codes by product and by block
//! - [`blocks`]: blocks by order
//! - [`packs`]: a pack, what lies in it, what became of it
//! - [`share`]: our stream of letters, and how far those of others have come
//! - [`ends`]: what of an order is left, and what was ordered too late
//! - [`outbox`]: what upstream has still to do
//! - [`happened`]: what happened in a run
//! - [`packing`]: the packs of a run, and its codes one by one
//! - [`people`]: alarms, incidents, audit, answers kept

pub mod blocks;
pub mod documents;
pub mod ends;
pub mod happened;
pub mod outbox;
pub mod packing;
pub mod packs;
pub mod people;
pub mod pools;
pub mod recover;
pub mod rework;
pub mod share;
pub mod sheet;
pub mod story;

use std::path::Path;

use rusqlite::{Connection, Params, Row, Transaction};
use tamga_domain::gs1::Gtin;

use super::error::{Fault, StoreError};
use super::open;
use super::rows::gtin_of;
use super::tx::{GtinIds, Tx};

/// A connection that cannot write.
pub struct Reader {
    conn: Connection,
}

impl Reader {
    /// Opens the database of a data folder, which must be there already.
    pub fn open(dir: &Path) -> Result<Reader, StoreError> {
        Ok(Reader { conn: open::open_reader(dir)? })
    }

    /// One moment of the database: all queries of the view see the same commits.
    pub fn view(&self) -> Result<View<'_>, StoreError> {
        let txn = self.conn.unchecked_transaction().map_err(StoreError::Reading)?;
        Ok(View { conn: &self.conn, gtins: GtinIds::default(), _txn: Some(txn) })
    }
}

/// The queries, on the connection of a [`Reader`] or of the store.
pub struct View<'c> {
    conn: &'c Connection,
    gtins: GtinIds,
    _txn: Option<Transaction<'c>>,
}

impl<'c> View<'c> {
    pub(super) fn on(conn: &'c Connection) -> View<'c> {
        View { conn, gtins: GtinIds::default(), _txn: None }
    }

    pub(in crate::store) fn tx(&self) -> Tx<'_> {
        Tx { conn: self.conn, gtins: &self.gtins }
    }

    /// All rows of a query, each read by `read`, which may find that the database is damaged.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, StoreError> {
        let go = || -> Result<Vec<T>, Fault> {
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(read(row)?);
            }
            Ok(all)
        };
        go().map_err(Fault::reading)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, params, read)?.pop())
    }
}

/// A GTIN out of a column.
fn gtin_at(row: &Row<'_>, column: usize) -> Result<Gtin, Fault> {
    gtin_of(&row.get::<_, String>(column)?)
}

/// A count out of a column, which no CHECK of the schema lets go below zero.
fn count_at(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let n: i64 = row.get(column)?;
    u64::try_from(n).map_err(|_| Fault::Damaged(format!("the count {n}")))
}
