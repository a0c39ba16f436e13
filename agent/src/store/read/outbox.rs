//! What upstream has still to do: orders, blocks to unpack, reports, passes that no report carries.

use rusqlite::Row;
use tamga_domain::code::Code;
use tamga_domain::ids::{BlockNo, OrderNo, PassNo, ReportNo, RunId};
use tamga_domain::record::{OrderPlan, OrderState, OrderTerms, PassRange, ReportKind, ReportState};
use tamga_domain::time::Wall;

use super::{View, count_at, gtin_at};
use crate::store::error::{Fault, StoreError};
use crate::store::limits::ROWS_MAX;
use crate::store::orders::order_state_key;
use crate::store::reports::{report_kind_of, report_state_of};
use crate::store::rows::{code_of, kind_of};

/// An order as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderRow {
    pub order: OrderNo,
    /// As it was wanted; `upstream_id` as it is known by now.
    pub plan: OrderPlan,
    pub state: OrderState,
    pub why: String,
    pub expires: Option<Wall>,
    /// When upstream made it, by its clock where it says so.
    pub ordered: Option<Wall>,
    pub wanted_at: Wall,
    pub changed_at: Wall,
    /// Codes received in its blocks, and codes of it in the pool.
    pub received: u32,
    pub pooled: u32,
    /// The pack id of the newest block: where the next taking goes on.
    pub last_pack: Option<String>,
}

/// A block whose codes are not all unpacked.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingBlock {
    pub block: BlockNo,
    pub order: OrderNo,
    pub pack_id: String,
    pub received: u32,
    pub unpacked: u32,
    /// It was begun in the order in which its codes came.
    pub as_received: bool,
}

/// A report as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    pub report: ReportNo,
    pub run: RunId,
    pub kind: ReportKind,
    pub state: ReportState,
    pub why: String,
    pub upstream_id: Option<String>,
    pub replaces: Option<ReportNo>,
    /// The moment of production that it carries.
    pub production: Wall,
    pub drafted_at: Wall,
    pub changed_at: Wall,
    /// How often it was sent.
    pub attempts: u32,
    /// Passes that it carries; those found unresolved are not among them.
    pub passes: u32,
    pub ranges: Vec<PassRange>,
}

/// The outbox in numbers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outbox {
    pub open_reports: u32,
    pub oldest_open: Option<Wall>,
    /// Reports and orders whose answer was lost.
    pub unknown: u32,
    /// Passes that no report carries yet.
    pub unreported: u64,
    /// Passes that no report may carry: a person must look.
    pub held: u64,
    /// Packs and write-offs that upstream refused.
    pub packs_refused: u64,
    pub on_order: u64,
}

const ORDER_COLUMNS: &str = "order_no, po_number, gtin, goods_group, kind, quantity, release_method, business_place, \
    upstream_id, state, why, expires, wanted_at, changed_at, received_n, left_n, \
    (SELECT pack_id FROM blocks b WHERE ifnull(b.order_no, 0) = o.order_no ORDER BY block_no DESC LIMIT 1), ordered_at";

const REPORT_COLUMNS: &str = "report_no, run, kind, state, why, upstream_id, replaces, drafted_at, changed_at, \
    attempts, passes, production";

impl View<'_> {
    /// Orders that upstream has not finally refused or closed, oldest first.
    pub fn orders_open(&self) -> Result<Vec<OrderRow>, StoreError> {
        let sql = format!(
            "SELECT {ORDER_COLUMNS} FROM orders o JOIN gtins USING(gtin_id) WHERE state NOT IN (6, 7) \
             ORDER BY order_no"
        );
        self.all(&sql, [], order)
    }

    /// All orders, newest first, older than `before` when it is given.
    pub fn orders(&self, before: Option<OrderNo>, limit: u32) -> Result<Vec<OrderRow>, StoreError> {
        let sql = format!(
            "SELECT {ORDER_COLUMNS} FROM orders o JOIN gtins USING(gtin_id) WHERE order_no < ?1 \
             ORDER BY order_no DESC LIMIT ?2"
        );
        self.all(&sql, (before.map_or(u32::MAX, |o| o.0), limit.min(ROWS_MAX)), order)
    }

    /// Blocks not wholly unpacked, oldest first.
    pub fn blocks_waiting(&self) -> Result<Vec<WaitingBlock>, StoreError> {
        let sql = "SELECT block_no, order_no, pack_id, received, unpacked, as_received FROM blocks \
                   WHERE unpacked < received AND order_no IS NOT NULL ORDER BY block_no";
        self.all(sql, [], |r| {
            Ok(WaitingBlock {
                block: BlockNo(r.get(0)?),
                order: OrderNo(r.get(1)?),
                pack_id: r.get(2)?,
                received: r.get(3)?,
                unpacked: r.get(4)?,
                as_received: r.get(5)?,
            })
        })
    }

    /// The bytes of a block as received, while it is not wholly unpacked.
    pub fn block_body(&self, block: BlockNo) -> Result<Option<Vec<u8>>, StoreError> {
        self.tx().body(block).map_err(Fault::reading)
    }

    /// Reports not finally answered, oldest first.
    pub fn reports_open(&self) -> Result<Vec<ReportRow>, StoreError> {
        let sql = format!("SELECT {REPORT_COLUMNS} FROM reports WHERE state < 4 ORDER BY report_no");
        self.with_ranges(self.all(&sql, [], report)?)
    }

    /// All reports, newest first, older than `before` when it is given; of one run when it is given.
    pub fn reports(
        &self,
        run: Option<RunId>,
        before: Option<ReportNo>,
        limit: u32,
    ) -> Result<Vec<ReportRow>, StoreError> {
        let of = if run.is_some() { "run = ?1" } else { "?1 IS NULL" };
        let sql = format!(
            "SELECT {REPORT_COLUMNS} FROM reports WHERE {of} AND report_no < ?2 ORDER BY report_no DESC LIMIT ?3"
        );
        let before = before.map_or(u32::MAX, |r| r.0);
        self.with_ranges(self.all(&sql, (run.map(|r| r.0), before, limit.min(ROWS_MAX)), report)?)
    }

    /// The newest report of all, if there is one.
    pub fn newest_report(&self) -> Result<Option<ReportNo>, StoreError> {
        let sql = "SELECT max(report_no) FROM reports";
        Ok(self.one(sql, [], |r| Ok(r.get::<_, Option<u32>>(0)?.map(ReportNo)))?.flatten())
    }

    /// Of each run with open reports the newest report that upstream took and accepted. One whose codes were found
    /// applied by another way has no name upstream.
    pub fn reports_accepted(&self) -> Result<Vec<(RunId, ReportNo)>, StoreError> {
        let sql = "SELECT run, max(report_no) FROM reports WHERE state = 4 AND upstream_id IS NOT NULL \
                   AND run IN (SELECT run FROM reports WHERE state < 4) GROUP BY run";
        self.all(sql, [], |r| Ok((RunId(r.get(0)?), ReportNo(r.get(1)?))))
    }

    fn with_ranges(&self, mut reports: Vec<ReportRow>) -> Result<Vec<ReportRow>, StoreError> {
        for report in &mut reports {
            let sql = "SELECT first, last FROM report_ranges WHERE report_no = ?1 ORDER BY first";
            report.ranges = self.all(sql, [report.report.0], range)?;
        }
        Ok(reports)
    }

    /// Runs that have passes which no report carries and some report may.
    pub fn runs_unreported(&self) -> Result<Vec<(RunId, u32)>, StoreError> {
        let sql =
            "SELECT run, last_pass - carried - held FROM runs WHERE last_pass > carried + held ORDER BY run";
        self.all(sql, [], |r| Ok((RunId(r.get(0)?), r.get(1)?)))
    }

    /// The passes of a run that no report carries and a new one may, as ranges in order.
    pub fn passes_unreported(&self, run: RunId) -> Result<Vec<PassRange>, StoreError> {
        let sql = "SELECT last_pass FROM runs WHERE run = ?1";
        let last: u32 = self.one(sql, [run.0], |r| Ok(r.get(0)?))?.unwrap_or(0);
        let sql = "SELECT first, last FROM report_ranges WHERE run = ?1 AND kind = 0 AND live = 1 \
                   UNION ALL SELECT pass_no, pass_no FROM held WHERE run = ?1 ORDER BY 1";
        let mut free = Vec::new();
        let mut next = 1_u32;
        for taken in self.all(sql, [run.0], range)? {
            if taken.from.0 > next {
                free.push(PassRange { from: PassNo(next), to: PassNo(taken.from.0 - 1) });
            }
            next = next.max(taken.to.0 + 1);
        }
        if next <= last {
            free.push(PassRange { from: PassNo(next), to: PassNo(last) });
        }
        Ok(free)
    }

    /// Codes of passes `from ..= to` of a run, in pass order, without those that no report may carry. Ask in slices
    /// of a thousand or so.
    pub fn codes_of_passes(
        &self,
        run: RunId,
        from: PassNo,
        to: PassNo,
    ) -> Result<Vec<(PassNo, Code)>, StoreError> {
        let sql = "SELECT gtin, p.serial, c.tail, p.pass_no FROM passes p JOIN runs r ON r.run = p.run \
                   JOIN gtins g ON g.gtin_id = r.gtin_id \
                   JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
                   WHERE p.run = ?1 AND p.pass_no BETWEEN ?2 AND ?3 AND NOT EXISTS(\
                   SELECT 1 FROM held h WHERE h.run = p.run AND h.pass_no = p.pass_no) ORDER BY p.pass_no";
        self.all(sql, (run.0, from.0, to.0), |r| {
            let code = code_of(gtin_at(r, 0)?, &r.get::<_, Vec<u8>>(1)?, &r.get::<_, Vec<u8>>(2)?)?;
            Ok((PassNo(r.get(3)?), code))
        })
    }

    /// The outbox in numbers.
    pub fn outbox(&self) -> Result<Outbox, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM reports WHERE state < 4), \
                   (SELECT min(drafted_at) FROM reports WHERE state < 4), \
                   (SELECT count(*) FROM reports WHERE state = 2) + (SELECT count(*) FROM orders WHERE state = 2), \
                   (SELECT ifnull(sum(last_pass - carried - held), 0) FROM runs), \
                   (SELECT ifnull(sum(held), 0) FROM runs), \
                   (SELECT count(*) FROM packs WHERE told = 5 AND agent IS NULL) + (SELECT count(*) FROM write_offs WHERE told = 5), \
                   (SELECT ifnull(sum(max(quantity - received_n, 0)), 0) FROM orders WHERE state NOT IN (6, 7))";
        let outbox = self.one(sql, [], |r| {
            Ok(Outbox {
                open_reports: r.get(0)?,
                oldest_open: r.get::<_, Option<i64>>(1)?.map(Wall),
                unknown: r.get(2)?,
                unreported: count_at(r, 3)?,
                held: count_at(r, 4)?,
                packs_refused: count_at(r, 5)?,
                on_order: count_at(r, 6)?,
            })
        })?;
        Ok(outbox.unwrap_or_default())
    }
}

fn range(row: &Row<'_>) -> Result<PassRange, Fault> {
    Ok(PassRange { from: PassNo(row.get(0)?), to: PassNo(row.get(1)?) })
}

fn order(r: &Row<'_>) -> Result<OrderRow, Fault> {
    let upstream_id: Option<String> = r.get(8)?;
    let expires = r.get::<_, Option<i64>>(11)?.map(Wall);
    let ordered = r.get::<_, Option<i64>>(17)?.map(Wall);
    let state = match order_state_key(r.get(9)?) {
        "wanted" => OrderState::Wanted,
        "sent" => OrderState::Sent,
        "accepted" => OrderState::Accepted { upstream_id: upstream_id.clone().unwrap_or_default() },
        "ready" => OrderState::Ready(OrderTerms { expires, ordered, total: Some(r.get(5)?) }),
        "exhausted" => OrderState::Exhausted,
        "refused" => OrderState::Refused,
        "closed" => OrderState::Closed,
        "closing" => OrderState::Closing,
        _ => OrderState::Unknown,
    };
    Ok(OrderRow {
        order: OrderNo(r.get(0)?),
        plan: OrderPlan {
            po_number: r.get(1)?,
            gtin: gtin_at(r, 2)?,
            group: r.get(3)?,
            kind: kind_of(r.get(4)?)?,
            quantity: r.get(5)?,
            release_method: r.get(6)?,
            business_place: r.get(7)?,
            upstream_id,
        },
        state,
        why: r.get(10)?,
        expires,
        ordered,
        wanted_at: Wall(r.get(12)?),
        changed_at: Wall(r.get(13)?),
        received: r.get(14)?,
        pooled: r.get(15)?,
        last_pack: r.get(16)?,
    })
}

fn report(r: &Row<'_>) -> Result<ReportRow, Fault> {
    let upstream_id: Option<String> = r.get(5)?;
    let state = report_state_of(r.get(3)?, upstream_id.as_deref());
    Ok(ReportRow {
        report: ReportNo(r.get(0)?),
        run: RunId(r.get(1)?),
        kind: report_kind_of(r.get(2)?)?,
        state,
        why: r.get(4)?,
        upstream_id,
        replaces: r.get::<_, Option<u32>>(6)?.map(ReportNo),
        drafted_at: Wall(r.get(7)?),
        changed_at: Wall(r.get(8)?),
        attempts: r.get(9)?,
        passes: r.get(10)?,
        production: Wall(r.get(11)?),
        ranges: Vec::new(),
    })
}
