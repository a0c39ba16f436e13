//! A person settles what the witness cannot prove: a restored or copied database may issue again.
//!
//! Done on a stopped agent, in steps that each leave the database in doubt until the last, so that it can be cut short
//! anywhere and begun again: a mark; the pool spoiled in slices; a new epoch, with which the marks go.

use std::collections::BTreeMap;

use rusqlite::params;
use tamga_domain::code::Identity;
use tamga_domain::ids::{BlockNo, OrderNo};
use tamga_domain::lifecycle::{Happening, SpoilReason, State};
use tamga_domain::record::Unpacked;
use tamga_domain::time::Wall;

use super::error::{Fault, StoreError};
use super::limits::SETTLE_SLICE;
use super::people::Incident;
use super::rows::{Key, serial_of, state_number, step};
use super::standing::{Here, MARKS, PO_FLOOR, RESTORED_BLOCK, RESTORED_ORDER, SETTLING, look};
use super::tx::{Heap, Tx};
use super::{Store, of_housework};
use crate::witness::shelf::Shelf;
use crate::witness::{Claim, Doubt, Found, Witness, judge, proves_nothing_issued_since};

/// Order numbers passed over after a restore: more than any agent makes between a backup and its restore. One that what
/// was lost had used would name an order whose codes may be on items.
const PO_NUMBERS_PASSED: u64 = 100_000;

/// Who says that nothing was issued that the database does not know of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Nobody: what was pooled is spoiled.
    None,
    /// The witness: the end was clean and the count is the same.
    Witness,
    /// A person.
    Person,
}

/// What was settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// What was in doubt; `None` on another machine with an agreeing witness.
    pub doubt: Option<Doubt>,
    pub other_machine: bool,
    pub proof: Proof,
    /// Codes spoiled now.
    pub spoiled: u64,
}

/// Who asks, and what the person knows.
pub struct Asking<'a> {
    pub who: &'a str,
    pub from: &'a str,
    /// "Nothing was restored or copied": the person takes it upon himself.
    pub nothing_restored: bool,
    pub at: Wall,
}

/// Why it was not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the witness can be neither read nor written")]
    Witness(#[source] std::io::Error),
}

impl Store {
    /// Settles the database; `None` when there was nothing to settle. `progress` is told how many codes are left to be
    /// spoiled. Safe to repeat.
    pub fn settle(
        &mut self,
        mut shelf: Box<dyn Shelf>,
        here: &Here,
        asking: &Asking<'_>,
        mut progress: impl FnMut(u64),
    ) -> Result<Option<Settled>, SettleError> {
        let other_machine = self.is_of_other_machine(here)?;
        let claim = self.claim(here.database)?;
        let (found, pulse) = look(shelf.as_mut(), self.agent_id()).map_err(SettleError::Witness)?;
        let doubt = judge(&claim, &found, pulse.as_ref()).err();
        if doubt.is_none() && !other_machine {
            return Ok(None);
        }
        let proven = !other_machine && proves_nothing_issued_since(&claim, &found, pulse.as_ref());
        let proof = match (proven, asking.nothing_restored) {
            (true, _) => Proof::Witness,
            (false, true) => Proof::Person,
            (false, false) => Proof::None,
        };
        let mut spoiled = 0;
        if proof == Proof::None {
            let last_po = self.view().last_po(self.agent_id())?;
            let lost = names_lost(&found, &claim);
            self.transact(|tx| tx.mark_settling(last_po, lost, asking.at).map_err(of_housework))?;
            self.issued = super::standing::issued_in(&self.conn)?;
            loop {
                let (now, left) =
                    self.transact(|tx| tx.spoil_pooled(SETTLE_SLICE, asking).map_err(of_housework))?;
                spoiled += u64::from(now);
                if left == 0 {
                    break;
                }
                progress(left);
            }
        }
        let settled = Settled { doubt, other_machine, proof, spoiled };
        let issued = self.issued_total();
        self.begin_epoch(shelf, here, Some(issued), |tx| {
            MARKS.iter().try_for_each(|mark| tx.forget_meta(mark))?;
            // What was told of packs may be more than this database knows: the next start begins a new stream.
            tx.stop_sharing()?;
            tx.audit(asking.who, asking.from, "db settle", &settled.words(), asking.at)
        })?
        .map_err(SettleError::Witness)?;
        Ok(Some(settled))
    }
}

/// How many names of packs what was lost may have used: no more than the witness allowed of all. `None`: no witness of
/// this agent says so.
fn names_lost(found: &Found<Witness>, claim: &Claim) -> Option<u64> {
    match found {
        Found::Whole(witness) if witness.agent == claim.agent => witness.lease.checked_sub(claim.issued),
        Found::Whole(_) | Found::Missing | Found::Damaged => None,
    }
}

impl Settled {
    /// For the audit, in no language.
    fn words(&self) -> String {
        let why = match (self.doubt, self.other_machine) {
            (_, true) => "other_machine",
            (Some(doubt), false) => doubt.key(),
            (None, false) => "none",
        };
        match self.proof {
            Proof::None => format!("doubt {why}: {} pooled codes spoiled", self.spoiled),
            Proof::Witness => format!("doubt {why}: the witness proves that nothing was issued since"),
            Proof::Person => format!("doubt {why}: declared that nothing was restored"),
        }
    }
}

impl Tx<'_> {
    /// From here on the database is in doubt by its own word, until it is settled; and blocks, orders and order numbers
    /// of before are known as such.
    fn mark_settling(&self, last_po: u32, names_lost: Option<u64>, at: Wall) -> Result<(), Fault> {
        if self.meta_number(SETTLING)? != 0 {
            return Ok(());
        }
        self.set_meta(SETTLING, &at.0.unsigned_abs().max(1).to_string())?;
        let last = |sql: &str| self.one(sql, [], |r| r.get::<_, Option<u32>>(0)).map(Option::flatten);
        let block = last("SELECT max(block_no) FROM blocks")?.unwrap_or(0);
        let order = last("SELECT max(order_no) FROM orders")?.unwrap_or(0);
        self.set_meta(RESTORED_BLOCK, &block.to_string())?;
        self.set_meta(RESTORED_ORDER, &order.to_string())?;
        self.pass_over_names(names_lost)?;
        let floor = u64::from(last_po) + PO_NUMBERS_PASSED;
        self.set_meta(PO_FLOOR, &floor.to_string())
    }

    /// Spoils up to `limit` pooled codes; answers how many, and how many are left.
    fn spoil_pooled(&self, limit: u32, asking: &Asking<'_>) -> Result<(u32, u64), Fault> {
        let sql = "SELECT order_no, gtin_id FROM orders WHERE left_n > 0 ORDER BY order_no LIMIT 1";
        let Some((order, gtin)) = self.one(sql, [], |r| Ok((OrderNo(r.get(0)?), r.get(1)?)))? else {
            return Ok((0, 0));
        };
        let happening = Happening::Spoil(SpoilReason::Restored);
        let n = self.leave_pool((order, gtin), limit, happening, None)?;
        let detail = format!("{n}, {}", asking.who);
        let (key, at) = ("spoiled_restored", asking.at);
        self.incident(Incident { run: None, code: None, tag: None, key, detail: &detail, at })?;
        let left: i64 = self.one("SELECT sum(left_n) FROM orders", [], |r| r.get(0))?.unwrap_or(0);
        Ok((n, u64::try_from(left).unwrap_or(0)))
    }

    /// Takes up to `limit` codes of an order's pool, in key order, into `codes`, of no run.
    pub(super) fn leave_pool(
        &self,
        (order, gtin_id): (OrderNo, i64),
        limit: u32,
        happening: Happening,
        ended_after: Option<i64>,
    ) -> Result<u32, Fault> {
        let gtin = self.gtin_of_id(gtin_id)?;
        let sql = "SELECT serial, tail, block_no FROM pool WHERE order_no = ?1 ORDER BY serial LIMIT ?2";
        let codes: Vec<(Vec<u8>, Vec<u8>, u32)> =
            self.all(sql, (order.0, limit), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let Some((last, _, _)) = codes.last() else { return Ok(0) };
        let sql = "DELETE FROM pool WHERE order_no = ?1 AND serial <= ?2";
        self.must("codes taken out of the pool", codes.len(), sql, (order.0, last))?;
        let mut by_block: BTreeMap<BlockNo, u32> = BTreeMap::new();
        let mut heap = Heap::Pooled;
        for (serial, tail, block) in &codes {
            let identity = Identity { gtin, serial: serial_of(serial)? };
            let to = step(&identity, State::Pooled, happening)?;
            heap = Heap::of(to);
            let sql = "INSERT INTO codes(gtin_id, serial, tail, block_no, state, ended_after) \
                       VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
            self.run(sql, params![gtin_id, serial, tail, block, state_number(to), ended_after])?;
            *by_block.entry(BlockNo(*block)).or_default() += 1;
        }
        for (block, n) in by_block {
            self.move_in_block(block, Heap::Pooled, heap, n)?;
        }
        let n = u32::try_from(codes.len()).unwrap_or(u32::MAX);
        let sql = "UPDATE orders SET left_n = left_n - ?2 WHERE order_no = ?1";
        self.must("an order", 1, sql, (order.0, n))?;
        Ok(n)
    }

    /// Codes of a block of before a restore, just pooled: what was lost may have issued them. Answers whether it is one.
    pub(super) fn spoil_unpacked(&self, block: BlockNo, pooled: &[&Unpacked]) -> Result<bool, Fault> {
        if u64::from(block.0) > self.meta_number(RESTORED_BLOCK)? {
            return Ok(false);
        }
        for one in pooled {
            let Unpacked::Code(code) = one else { continue };
            let key = Key { gtin: self.gtin_id_or_new(&code.identity.gtin)?, identity: &code.identity };
            self.spoil_unissued(&key, SpoilReason::Restored)?;
        }
        Ok(true)
    }
}
