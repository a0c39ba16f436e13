//! Orders of codes, the blocks that answer them, and stock: everything that comes in.

use rusqlite::params;
use tamga_domain::code::{Code, Identity};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, OrderNo};
use tamga_domain::lifecycle::Happening;
use tamga_domain::record::{Answer, OrderPlan, OrderState, OrderTerms, Unpacked};
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::limits::SLICE_MAX;
use super::people::{Change, Incident};
use super::rows::{Key, gtin_of, kind_number, kind_of};
use super::tx::Tx;

const GIVEN_TWICE: &str = "given_twice";
const OTHER_GTIN: &str = "other_gtin";

pub(super) fn order_state_number(state: &OrderState) -> i64 {
    match state {
        OrderState::Wanted => 0,
        OrderState::Sent => 1,
        OrderState::Unknown => 2,
        OrderState::Accepted { .. } => 3,
        OrderState::Ready(_) => 4,
        OrderState::Exhausted => 5,
        OrderState::Refused => 6,
        OrderState::Closed => 7,
        OrderState::Closing => 8,
    }
}

/// The stable keys of the states, by number.
const ORDER_KEYS: [&str; 9] =
    ["wanted", "sent", "unknown", "accepted", "ready", "exhausted", "refused", "closed", "closing"];

pub(super) fn order_state_key(number: i64) -> &'static str {
    usize::try_from(number).ok().and_then(|n| ORDER_KEYS.get(n)).copied().unwrap_or("unknown")
}

struct BlockRow {
    order: Option<OrderNo>,
    received: u32,
    unpacked: u32,
}

impl Tx<'_> {
    pub(super) fn order_wanted(&self, plan: &OrderPlan, at: Wall) -> Result<Answer, Fault> {
        let gtin_id = self.gtin_id_or_new(&plan.gtin)?;
        let known = match &plan.upstream_id {
            Some(id) => self.order_assigned(id, gtin_id)?,
            None => self.order_of_key(plan)?,
        };
        if let Some(order) = known {
            return Ok(Answer::Order(order));
        }
        let sql = "INSERT INTO orders(po_number, gtin_id, goods_group, kind, quantity, release_method, \
                   business_place, upstream_id, state, why, wanted_at, changed_at) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, '', ?9, ?9)";
        self.run(
            sql,
            params![
                plan.po_number,
                gtin_id,
                plan.group,
                kind_number(plan.kind),
                plan.quantity,
                plan.release_method,
                plan.business_place,
                plan.upstream_id,
                at.0
            ],
        )?;
        let order = OrderNo(self.inserted());
        self.changed(Change::Order(order, &OrderState::Wanted), "", "", at)?;
        Ok(Answer::Order(order))
    }

    /// The order that upstream knows by this id, whoever brought it in. (A refused one may be assigned again.)
    fn order_assigned(&self, upstream_id: &str, gtin_id: i64) -> Result<Option<OrderNo>, Fault> {
        let sql = "SELECT order_no FROM orders WHERE upstream_id = ?1 AND gtin_id = ?2 AND state <> 6";
        self.one(sql, (upstream_id, gtin_id), |r| Ok(OrderNo(r.get(0)?)))
    }

    /// The order that has this number already; another plan under the same number is refused.
    fn order_of_key(&self, plan: &OrderPlan) -> Result<Option<OrderNo>, Fault> {
        let sql = "SELECT order_no, gtin, goods_group, kind, quantity, release_method, business_place \
                   FROM orders JOIN gtins USING(gtin_id) WHERE po_number = ?1";
        let found = self.one(sql, [&plan.po_number], |r| {
            let rest = (r.get(2)?, r.get(4)?, r.get(5)?, r.get(6)?);
            Ok((OrderNo(r.get(0)?), r.get::<_, String>(1)?, r.get::<_, i64>(3)?, rest))
        })?;
        let Some((order, gtin, kind, (group, quantity, release_method, business_place))) = found else {
            return Ok(None);
        };
        let there = OrderPlan {
            po_number: plan.po_number.clone(),
            gtin: gtin_of(&gtin)?,
            group,
            kind: kind_of(kind)?,
            quantity,
            release_method,
            business_place,
            upstream_id: None,
        };
        if there == *plan {
            Ok(Some(order))
        } else {
            Err(Rule::OrderKeyTaken { po_number: plan.po_number.clone(), order }.into())
        }
    }

    pub(super) fn order_state(
        &self,
        order: OrderNo,
        to: &OrderState,
        why: &str,
        at: Wall,
    ) -> Result<Option<Answer>, Fault> {
        let sql = "SELECT state, upstream_id, expires, ordered_at FROM orders WHERE order_no = ?1";
        let found = self.one(sql, [order.0], |r| {
            let moments = (r.get::<_, Option<i64>>(2)?, r.get::<_, Option<i64>>(3)?);
            Ok((r.get::<_, i64>(0)?, r.get::<_, Option<String>>(1)?, moments))
        })?;
        let (from, known_as, (expires, ordered)) = found.ok_or(Rule::NoSuchOrder(order))?;
        let number = order_state_number(to);
        let same = (None, expires, ordered, None);
        let (upstream_id, expires_new, ordered_new, total) = match to {
            // Upstream made it not later than now; its own word comes with the terms.
            OrderState::Accepted { upstream_id } => {
                (Some(upstream_id.as_str()), expires, ordered.or(Some(at.0)), None)
            }
            OrderState::Ready(OrderTerms { expires, ordered: made, total }) => {
                (None, expires.map(|e| e.0), made.map(|o| o.0).or(ordered), *total)
            }
            OrderState::Wanted
            | OrderState::Sent
            | OrderState::Unknown
            | OrderState::Exhausted
            | OrderState::Refused
            | OrderState::Closed
            | OrderState::Closing => same,
        };
        if let (Some(new), Some(old)) = (upstream_id, known_as.as_deref())
            && new != old
        {
            return Err(Rule::OrderRenamed(order).into());
        }
        if number == from && expires == expires_new && ordered == ordered_new {
            return Ok(None);
        }
        if let (Some(id), None) = (upstream_id, known_as.as_deref())
            && let Some(other) = self.order_of_id(id, order)?
        {
            return Ok(Some(Answer::IdTaken(other)));
        }
        let refused = order_state_number(&OrderState::Refused);
        let closed = order_state_number(&OrderState::Closed);
        // A refusal is upstream's last word; a closed order only gives again what it gave before.
        if from == refused || from == closed {
            let (from, to) = (order_state_key(from), order_state_key(number));
            return Err(Rule::OrderStep { order, from, to }.into());
        }
        let sql = "UPDATE orders SET state = ?3, why = ?4, upstream_id = ifnull(?5, upstream_id), expires = ?6, \
                   changed_at = ?7, ordered_at = ?8, \
                   quantity = CASE WHEN quantity = 0 THEN ifnull(?9, 0) ELSE quantity END \
                   WHERE order_no = ?1 AND state = ?2";
        let why = super::people::cut(why);
        self.must(
            "the state of an order",
            1,
            sql,
            params![order.0, from, number, why, upstream_id, expires_new, at.0, ordered_new, total],
        )?;
        self.changed(Change::Order(order, to), "", why, at)?;
        Ok(None)
    }

    /// Another order that upstream knows by this id, of any product. One that was refused may be found again.
    fn order_of_id(&self, upstream_id: &str, but: OrderNo) -> Result<Option<OrderNo>, Fault> {
        let sql = "SELECT order_no FROM orders WHERE upstream_id = ?1 AND order_no <> ?2 AND state <> 6";
        self.one(sql, (upstream_id, but.0), |r| Ok(OrderNo(r.get(0)?)))
    }

    /// Gives back pooled codes of an order that can no longer be used: they get their rows in `codes`, of no run, with
    /// the moment in `ended_after`.
    pub(super) fn give_back(&self, order: OrderNo, limit: u32, at: Wall) -> Result<Answer, Fault> {
        if limit as usize > SLICE_MAX {
            return Err(Rule::TooMany { len: limit as usize, most: SLICE_MAX }.into());
        }
        let sql = "SELECT gtin_id, left_n, po_number FROM orders WHERE order_no = ?1";
        let found = self.one(sql, [order.0], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, u32>(1)?, r.get::<_, String>(2)?))
        })?;
        let (gtin_id, left, po_number) = found.ok_or(Rule::NoSuchOrder(order))?;
        let n = self.leave_pool((order, gtin_id), limit, Happening::Return, Some(at.0))?;
        if n == 0 {
            return Ok(Answer::Returned { left: left.into() });
        }
        let detail = format!("{n}, {po_number}");
        self.incident(Incident { run: None, code: None, tag: None, key: "returned", detail: &detail, at })?;
        Ok(Answer::Returned { left: left.saturating_sub(n).into() })
    }

    pub(super) fn block(
        &self,
        order: OrderNo,
        pack_id: &str,
        previous: Option<&str>,
        body: &[u8],
        count: u32,
        at: Wall,
    ) -> Result<Answer, Fault> {
        if let Some((block, received)) = self.block_of(order, pack_id)? {
            return if received == count {
                Ok(Answer::Block(block))
            } else {
                Err(Rule::BlockDiffers(block).into())
            };
        }
        let sql = "UPDATE orders SET received_n = received_n + ?2 WHERE order_no = ?1";
        if self.run(sql, (order.0, count))? == 0 {
            return Err(Rule::NoSuchOrder(order).into());
        }
        let sql = "INSERT INTO blocks(order_no, pack_id, previous, goods_group, received_at, received) \
                   SELECT order_no, ?2, ?3, goods_group, ?4, ?5 FROM orders WHERE order_no = ?1";
        self.must("a block", 1, sql, (order.0, pack_id, previous, at.0, count))?;
        let block = BlockNo(self.inserted());
        if count > 0 {
            self.keep_body(block, order, pack_id, body)?;
        }
        Ok(Answer::Block(block))
    }

    /// The block of this key, and how many codes were received with it.
    pub(super) fn block_of(&self, order: OrderNo, pack_id: &str) -> Result<Option<(BlockNo, u32)>, Fault> {
        let sql = "SELECT block_no, received FROM blocks WHERE ifnull(order_no, 0) = ?1 AND pack_id = ?2";
        self.one(sql, (order.0, pack_id), |r| Ok((BlockNo(r.get(0)?), r.get(1)?)))
    }

    fn block_row(&self, block: BlockNo) -> Result<BlockRow, Fault> {
        let sql = "SELECT order_no, received, unpacked FROM blocks WHERE block_no = ?1";
        let row = self.one(sql, [block.0], |r| {
            let order = r.get::<_, Option<u32>>(0)?.map(OrderNo);
            Ok(BlockRow { order, received: r.get(1)?, unpacked: r.get(2)? })
        })?;
        row.ok_or_else(|| Rule::NoSuchBlock(block).into())
    }

    pub(super) fn unpack(
        &self,
        block: BlockNo,
        from: u32,
        slice: &[Unpacked],
        at: Wall,
    ) -> Result<Answer, Fault> {
        let len = slice.len();
        if len > SLICE_MAX {
            return Err(Rule::TooMany { len, most: SLICE_MAX }.into());
        }
        let row = self.block_row(block)?;
        let order = row.order.ok_or(Rule::NoSuchBlock(block))?;
        let end = u64::from(from) + len as u64;
        if end <= u64::from(row.unpacked) {
            return Ok(Answer::Unpacked { pooled: 0, set_aside: 0 });
        }
        if from != row.unpacked || end > u64::from(row.received) {
            let (unpacked, received) = (row.unpacked, row.received);
            return Err(Rule::Slice { block, from, len, unpacked, received }.into());
        }
        let sql = "SELECT gtin_id FROM orders WHERE order_no = ?1";
        let gtin_id: i64 = self.one(sql, [order.0], |r| r.get(0))?.ok_or(Rule::NoSuchOrder(order))?;
        let gtin = self.gtin_of_id(gtin_id)?;
        // Counted before they are there: an order with nothing left is not looked into, and a code may come twice
        // within its first slice.
        let sql = "UPDATE orders SET left_n = left_n + ?2 WHERE order_no = ?1";
        self.must("an order", 1, sql, (order.0, u32::try_from(len).unwrap_or(u32::MAX)))?;
        let mut good = Vec::with_capacity(len);
        for (place, item) in (from..).zip(slice) {
            if self.unpack_one(block, order, &gtin, place, item, at)? {
                good.push(item);
            }
        }
        let pooled = u32::try_from(good.len()).unwrap_or(u32::MAX);
        let set_aside = u32::try_from(len).unwrap_or(u32::MAX) - pooled;
        let sql = "UPDATE blocks SET unpacked = unpacked + ?2 + ?3, pooled = pooled + ?2, \
                   set_aside = set_aside + ?3 WHERE block_no = ?1 AND unpacked = ?4";
        self.must("the count of a block", 1, sql, (block.0, pooled, set_aside, from))?;
        let sql = "UPDATE orders SET left_n = left_n - ?2 WHERE order_no = ?1";
        self.must("an order", 1, sql, (order.0, set_aside))?;
        if end == u64::from(row.received) {
            self.spend_body(block)?;
        }
        let pooled = if self.spoil_unpacked(block, &good)? { 0 } else { pooled };
        Ok(Answer::Unpacked { pooled, set_aside })
    }

    /// Pools one code, or sets it aside; answers whether it was pooled.
    fn unpack_one(
        &self,
        block: BlockNo,
        order: OrderNo,
        gtin: &Gtin,
        place: u32,
        item: &Unpacked,
        at: Wall,
    ) -> Result<bool, Fault> {
        let code = match item {
            Unpacked::Code(code) => code,
            Unpacked::Malformed { bytes, reason } => {
                let sql =
                    "INSERT INTO set_aside(block_no, place, bytes, reason, at) VALUES(?1, ?2, ?3, ?4, ?5)";
                self.run(sql, (block.0, place, bytes, super::people::cut(reason), at.0))?;
                return Ok(false);
            }
        };
        let key = Key { gtin: self.gtin_id_or_new(&code.identity.gtin)?, identity: &code.identity };
        let why = if code.identity.gtin != *gtin {
            Some(OTHER_GTIN)
        } else if self.has(&key)? {
            Some(GIVEN_TWICE)
        } else {
            None
        };
        let tail = code.tail.as_bytes();
        let Some(why) = why else {
            let sql = "INSERT INTO pool(order_no, serial, tail, block_no) VALUES(?1, ?2, ?3, ?4)";
            self.run(sql, (order.0, key.serial(), tail, block.0))?;
            return Ok(true);
        };
        let sql = "INSERT INTO set_aside(block_no, place, gtin_id, serial, tail, reason, at) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.run(sql, (block.0, place, key.gtin, key.serial(), tail, why, at.0))?;
        Ok(false)
    }

    /// Whether the agent has this code in any state. (A code set aside as given twice has its first giving elsewhere.)
    fn has(&self, key: &Key<'_>) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM codes WHERE gtin_id = ?1 AND serial = ?2";
        Ok(self.one(sql, (key.gtin, key.serial()), |_| Ok(()))?.is_some()
            || self.pooled(key)?.is_some()
            || self.stocked(key)?.is_some())
    }

    pub(super) fn import(&self, roll: &str, codes: &[Code], group: &str, at: Wall) -> Result<Answer, Fault> {
        if codes.len() > SLICE_MAX {
            return Err(Rule::TooMany { len: codes.len(), most: SLICE_MAX }.into());
        }
        let sql = "SELECT block_no FROM blocks WHERE ifnull(order_no, 0) = 0 AND pack_id = ?1";
        let block = match self.one(sql, [roll], |r| Ok(BlockNo(r.get(0)?)))? {
            Some(block) => block,
            None => {
                let sql =
                    "INSERT INTO blocks(pack_id, goods_group, received_at, received) VALUES(?1, ?2, ?3, 0)";
                self.run(sql, (roll, group, at.0))?;
                BlockNo(self.inserted())
            }
        };
        let mut refused: Vec<(Identity, String)> = Vec::new();
        let mut taken = 0_u32;
        for code in codes {
            let key = Key { gtin: self.gtin_id_or_new(&code.identity.gtin)?, identity: &code.identity };
            if self.has(&key)? {
                refused.push((code.identity, GIVEN_TWICE.to_string()));
                continue;
            }
            let sql = "INSERT INTO stock(gtin_id, serial, tail, block_no) VALUES(?1, ?2, ?3, ?4)";
            self.run(sql, (key.gtin, key.serial(), code.tail.as_bytes(), block.0))?;
            taken += 1;
        }
        let sql = "UPDATE blocks SET received = received + ?2, unpacked = unpacked + ?2, pooled = pooled + ?2 \
                   WHERE block_no = ?1";
        self.must("the count of a roll", 1, sql, (block.0, taken))?;
        Ok(Answer::Imported { taken, refused })
    }
}
