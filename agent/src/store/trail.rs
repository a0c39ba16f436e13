//! The trails: the audit log and the changes of state, of which no row is ever changed or removed.
//!
//! Each row has a hash over itself and the hash of the row before it, and the trail's own row has the last one: a row that
//! was changed, removed or put in afterwards is found by [`super::verify`]. (Somebody who writes the whole trail anew is
//! not, but by the heads of the dossiers, which name the hash as it was then.) Rows are written for what people and
//! upstream do and for the life of packs, never for an item.

use ring::digest::{Context, SHA256};

use super::error::{Fault, StoreError};
use super::limits::FINDINGS_MAX;
use super::read::View;
use super::tx::Tx;
use super::verify::Finding;
use crate::dossier::Hash;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trail {
    Audit,
    Changes,
}

/// One column of a row, as it goes into the hash.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Text(&'a str),
    Number(i64),
}

impl Trail {
    pub const ALL: [Trail; 2] = [Trail::Audit, Trail::Changes];

    fn number(self) -> i64 {
        match self {
            Trail::Audit => 0,
            Trail::Changes => 1,
        }
    }

    /// Its rows: id, hash, texts, numbers, in the order of the fields of the hash.
    fn rows(self) -> (&'static str, usize) {
        match self {
            Trail::Audit => {
                ("SELECT id, hash, who, come_from, command, outcome, at FROM audit ORDER BY id", 4)
            }
            Trail::Changes => (
                "SELECT id, hash, who, mark, detail, why, at, subject, no, state FROM changes ORDER BY id",
                4,
            ),
        }
    }

    fn is_as_written(self) -> &'static str {
        match self {
            Trail::Audit => "audit: each entry is as it was written",
            Trail::Changes => "changes: each is as it was written",
        }
    }

    fn none_is_missing(self) -> &'static str {
        match self {
            Trail::Audit => "audit: no entry is missing, none was put in",
            Trail::Changes => "changes: none is missing, none was put in",
        }
    }
}

/// The hash of a row: of the hash before it, its number and its fields, each with what it is and how long.
fn hash_of(before: &[u8], id: i64, fields: &[Field<'_>]) -> Hash {
    let mut all = Context::new(&SHA256);
    all.update(before);
    all.update(&id.to_be_bytes());
    for field in fields {
        match field {
            Field::Text(text) => {
                all.update(b"t");
                all.update(&(text.len() as u64).to_be_bytes());
                all.update(text.as_bytes());
            }
            Field::Number(number) => {
                all.update(b"n");
                all.update(&number.to_be_bytes());
            }
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(all.finish().as_ref());
    Hash(hash)
}

impl Tx<'_> {
    /// The number and the hash of the next row of a trail, which is written with them in this transaction. The fields
    /// are its texts, then its numbers.
    pub(super) fn next_of(&self, trail: Trail, fields: &[Field<'_>]) -> Result<(i64, Hash), Fault> {
        let sql = "SELECT last, hash FROM trails WHERE trail = ?1";
        let found: Option<(i64, Vec<u8>)> = self.one(sql, [trail.number()], |r| r.try_into())?;
        let (last, before) = found.ok_or_else(|| Fault::Damaged(format!("no trail {trail:?}")))?;
        let (id, hash) = (last + 1, hash_of(&before, last + 1, fields));
        let sql = "UPDATE trails SET last = ?2, hash = ?3 WHERE trail = ?1";
        self.must("a trail", 1, sql, (trail.number(), id, hash.0))?;
        Ok((id, hash))
    }
}

impl View<'_> {
    /// The last row of a trail, and its hash.
    pub fn trail_head(&self, trail: Trail) -> Result<(i64, Hash), StoreError> {
        let (_, last, hash) = self.trail(trail)?;
        Ok((last, hash))
    }

    fn trail(&self, trail: Trail) -> Result<(i64, i64, Hash), StoreError> {
        let sql = "SELECT begins, last, hash FROM trails WHERE trail = ?1";
        let found = self.all(sql, [trail.number()], |r| {
            let hash: [u8; 32] = r.get(2)?;
            Ok((r.get(0)?, r.get(1)?, Hash(hash)))
        })?;
        found.into_iter().next().ok_or_else(|| StoreError::Damaged { what: format!("no trail {trail:?}") })
    }

    /// Goes through a trail from its first row to its last.
    pub(super) fn check_trail(&self, trail: Trail) -> Result<Vec<Finding>, StoreError> {
        let (begins, last, head) = self.trail(trail)?;
        let mut findings = Vec::new();
        let mut found = |check, kept: i64, counted: i64| {
            if findings.len() < FINDINGS_MAX as usize {
                findings.push(Finding { check, subject: kept.to_string(), kept, counted });
            }
        };
        let (mut before, mut at) = (Hash::ZERO, begins);
        let (sql, texts) = trail.rows();
        self.all(sql, [], |r| {
            let (id, hash): (i64, Option<[u8; 32]>) = (r.get(0)?, r.get(1)?);
            if id <= begins && hash.is_none() {
                return Ok(());
            }
            if id != at + 1 {
                found(trail.none_is_missing(), at + 1, id);
            }
            let hash = hash.map_or(Hash::ZERO, Hash);
            let columns = r.as_ref().column_count();
            let mut fields = Vec::with_capacity(columns);
            for column in 2..columns {
                fields.push(match column < 2 + texts {
                    true => Field::Text(r.get_ref(column)?.as_str().unwrap_or_default()),
                    false => Field::Number(r.get(column)?),
                });
            }
            if hash_of(&before.0, id, &fields) != hash && id == at + 1 {
                found(trail.is_as_written(), id, id);
            }
            (before, at) = (hash, id);
            Ok(())
        })?;
        if (at, before) != (last, if last == begins { Hash::ZERO } else { head }) {
            found(trail.none_is_missing(), last, at);
        }
        Ok(findings)
    }
}
