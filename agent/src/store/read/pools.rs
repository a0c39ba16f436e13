//! Codes by product and by block: what is left, what is on order, what became of each block.

use rusqlite::Row;
use tamga_domain::code::Identity;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, OrderNo};
use tamga_domain::record::PackageKind;
use tamga_domain::time::Wall;

use super::sheet::identity_at;
use super::{View, count_at, gtin_at};
use crate::store::error::{Fault, StoreError};
use crate::store::limits::ROWS_MAX;
use crate::store::rows::{kind_of, serial_of};

/// The codes of one product and kind that wait for a printer.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolLevel {
    pub gtin: Gtin,
    pub group: String,
    pub kind: PackageKind,
    pub pooled: u64,
    /// Ordered and not received, of orders that may still give codes; received and not unpacked.
    pub on_order: u64,
    pub soonest_expiry: Option<Wall>,
}

/// The balance of a block or a roll: `unpacked` is the sum of all from `set_aside` on.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockBalance {
    pub block: BlockNo,
    /// None for a roll of stock.
    pub order: Option<OrderNo>,
    pub pack_id: String,
    pub received_at: Wall,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    pub received: u64,
    pub unpacked: u64,
    pub set_aside: u64,
    pub pooled: u64,
    pub issued: u64,
    pub verified: u64,
    pub applied: u64,
    pub written_off: u64,
    pub spoiled: u64,
    pub returned: u64,
}

impl Counts {
    /// Everything that was unpacked is somewhere.
    pub fn balanced(&self) -> bool {
        let c = self;
        let rest = c.set_aside + c.pooled + c.issued + c.verified + c.applied;
        c.unpacked == rest + c.written_off + c.spoiled + c.returned && c.unpacked <= c.received
    }
}

pub(super) const BLOCK_COLUMNS: &str = "block_no, order_no, pack_id, received_at, received, unpacked, set_aside, \
                                        pooled, issued, verified, applied, written_off, spoiled, returned";

impl BlockBalance {
    /// Reads [`BLOCK_COLUMNS`], which stand from column 0.
    pub(super) fn read(row: &Row<'_>) -> Result<BlockBalance, Fault> {
        Ok(BlockBalance {
            block: BlockNo(row.get(0)?),
            order: row.get::<_, Option<u32>>(1)?.map(OrderNo),
            pack_id: row.get(2)?,
            received_at: Wall(row.get(3)?),
            counts: counts_from(row, 4)?,
        })
    }
}

fn counts_from(row: &Row<'_>, from: usize) -> Result<Counts, Fault> {
    Ok(Counts {
        received: count_at(row, from)?,
        unpacked: count_at(row, from + 1)?,
        set_aside: count_at(row, from + 2)?,
        pooled: count_at(row, from + 3)?,
        issued: count_at(row, from + 4)?,
        verified: count_at(row, from + 5)?,
        applied: count_at(row, from + 6)?,
        written_off: count_at(row, from + 7)?,
        spoiled: count_at(row, from + 8)?,
        returned: count_at(row, from + 9)?,
    })
}

/// A code, or bytes that are none, that will never be issued.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAside {
    pub block: BlockNo,
    pub place: u32,
    pub code: Option<Identity>,
    /// As received, when it was malformed.
    pub bytes: Option<Vec<u8>>,
    pub reason: String,
    pub at: Wall,
}

impl View<'_> {
    /// What is pooled and on order, by product and kind. Orders refused or closed give no more codes.
    pub fn pool_levels(&self) -> Result<Vec<PoolLevel>, StoreError> {
        let sql = "SELECT gtin, goods_group, kind, sum(left_n), \
                   sum(CASE WHEN state IN (6, 7) THEN 0 ELSE max(quantity - received_n, 0) END) + ifnull(sum(\
                   (SELECT sum(received - unpacked) FROM blocks b WHERE b.order_no = o.order_no \
                   AND b.unpacked < b.received)), 0), \
                   min(CASE WHEN left_n > 0 THEN expires END) \
                   FROM orders o JOIN gtins USING(gtin_id) GROUP BY gtin, goods_group, kind \
                   ORDER BY gtin, goods_group, kind";
        self.all(sql, [], |r| {
            Ok(PoolLevel {
                gtin: gtin_at(r, 0)?,
                group: r.get(1)?,
                kind: kind_of(r.get(2)?)?,
                pooled: count_at(r, 3)?,
                on_order: count_at(r, 4)?,
                soonest_expiry: r.get::<_, Option<i64>>(5)?.map(Wall),
            })
        })
    }

    /// Pooled codes of units and group packs by product that a line may still be given at `now`: those with at least `life_left_min_ms` of
    /// life left, of orders that were neither refused nor closed. The very codes that [`Record::Issue`] takes.
    ///
    /// [`Record::Issue`]: tamga_domain::record::Record::Issue
    pub fn issuable(&self, now: Wall, life_left_min_ms: i64) -> Result<Vec<(Gtin, u64)>, StoreError> {
        let sql = "SELECT gtin, sum(left_n) FROM orders JOIN gtins USING(gtin_id) WHERE left_n > 0 AND kind < 2 \
                   AND state NOT IN (6, 7) AND (expires IS NULL OR expires - ?1 >= ?2) GROUP BY gtin";
        self.all(sql, (now.0, life_left_min_ms), |r| Ok((gtin_at(r, 0)?, count_at(r, 1)?)))
    }

    /// Codes of the stock by product, all rolls together, zeros included. Counts rows: for now and then, not for every look.
    pub fn stock(&self) -> Result<Vec<(Gtin, u64)>, StoreError> {
        let sql = "SELECT gtin, (SELECT count(*) FROM stock s WHERE s.gtin_id = g.gtin_id) FROM gtins g";
        self.all(sql, [], |r| Ok((gtin_at(r, 0)?, count_at(r, 1)?)))
    }

    /// Some codes of the pool, of any product: to be spoiled by name after a restore, slice by slice until there are
    /// none.
    pub fn pooled_codes(&self, limit: u32) -> Result<Vec<Identity>, StoreError> {
        let sql =
            "SELECT gtin, serial FROM pool JOIN orders USING(order_no) JOIN gtins USING(gtin_id) LIMIT ?1";
        self.all(sql, [limit.min(ROWS_MAX)], identity_at)
    }

    /// The balances of blocks and rolls, the newest first, older than `before` when it is given.
    pub fn blocks(&self, before: Option<BlockNo>, limit: u32) -> Result<Vec<BlockBalance>, StoreError> {
        let sql =
            format!("SELECT {BLOCK_COLUMNS} FROM blocks WHERE block_no < ?1 ORDER BY block_no DESC LIMIT ?2");
        let before = before.map_or(u32::MAX, |b| b.0);
        self.all(&sql, (before, limit.min(ROWS_MAX)), BlockBalance::read)
    }

    /// The balance of all blocks and rolls together.
    pub fn block_totals(&self) -> Result<Counts, StoreError> {
        let sql = "SELECT ifnull(sum(received), 0), ifnull(sum(unpacked), 0), ifnull(sum(set_aside), 0), \
                   ifnull(sum(pooled), 0), ifnull(sum(issued), 0), ifnull(sum(verified), 0), \
                   ifnull(sum(applied), 0), ifnull(sum(written_off), 0), ifnull(sum(spoiled), 0), \
                   ifnull(sum(returned), 0) FROM blocks";
        Ok(self.one(sql, [], |r| counts_from(r, 0))?.unwrap_or_default())
    }

    /// Codes that will never be issued, by block, from the place after (`block`, `place`) when it is given.
    pub fn set_aside(&self, after: Option<(BlockNo, u32)>, limit: u32) -> Result<Vec<SetAside>, StoreError> {
        let sql = "SELECT s.block_no, s.place, gtin, s.serial, s.bytes, s.reason, s.at FROM set_aside s \
                   LEFT JOIN gtins USING(gtin_id) WHERE (s.block_no, s.place) > (?1, ?2) \
                   ORDER BY s.block_no, s.place LIMIT ?3";
        let (block, place) = after.map_or((0, 0), |(b, p)| (b.0, p));
        self.all(sql, (block, place, limit.min(ROWS_MAX)), |r| {
            let code = match (r.get::<_, Option<String>>(2)?, r.get::<_, Option<Vec<u8>>>(3)?) {
                (Some(_), Some(serial)) => {
                    Some(Identity { gtin: gtin_at(r, 2)?, serial: serial_of(&serial)? })
                }
                _ => None,
            };
            Ok(SetAside {
                block: BlockNo(r.get(0)?),
                place: r.get(1)?,
                code,
                bytes: r.get(4)?,
                reason: r.get(5)?,
                at: Wall(r.get(6)?),
            })
        })
    }
}
