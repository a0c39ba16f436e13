//! The ends of orders: what of them lies in the pool, what is used up, and what was ordered too late for its run.

use tamga_domain::day::{Day, Zone};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{OrderNo, RunId};
use tamga_domain::time::Wall;
use tamga_domain::upstream::config::OrderRest;

use super::{View, count_at};
use crate::store::error::StoreError;
use crate::store::limits::ROWS_MAX;

/// A run whose declared day of production is over before codes of it were ordered: upstream refuses its reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeforeOrder {
    pub run: RunId,
    pub day: Day,
    /// Codes of the run that were ordered after the day.
    pub codes: u64,
}

impl View<'_> {
    /// Orders that have codes in the pool, or whose codes were all taken.
    pub fn order_rests(&self) -> Result<Vec<OrderRest>, StoreError> {
        let sql = "SELECT order_no, left_n, state IN (6, 7), expires, state IN (5, 8) AND left_n = 0 \
                   AND NOT EXISTS(SELECT 1 FROM blocks b WHERE ifnull(b.order_no, 0) = o.order_no \
                   AND (b.unpacked < b.received OR b.issued > 0)) \
                   AND NOT EXISTS(SELECT 1 FROM blocks b JOIN run_blocks g USING(block_no) JOIN runs r USING(run) \
                   WHERE ifnull(b.order_no, 0) = o.order_no AND (r.state <> 3 OR r.last_pass > r.carried + r.held \
                   OR EXISTS(SELECT 1 FROM reports p WHERE p.run = r.run AND p.state < 4))) \
                   FROM orders o WHERE left_n > 0 OR state IN (5, 8) ORDER BY order_no";
        self.all(sql, [], |r| {
            Ok(OrderRest {
                order: OrderNo(r.get(0)?),
                pooled: count_at(r, 1)?,
                closed: r.get(2)?,
                expires: r.get::<_, Option<i64>>(3)?.map(Wall),
                spent: r.get(4)?,
            })
        })
    }

    /// The order of a product that upstream knows by this id, if it is here and was not refused.
    pub fn order_known(&self, upstream_id: &str, gtin: &Gtin) -> Result<Option<OrderNo>, StoreError> {
        let sql = "SELECT order_no FROM orders JOIN gtins USING(gtin_id) WHERE upstream_id = ?1 AND gtin = ?2 \
                   AND state <> 6";
        self.one(sql, (upstream_id, gtin.to_string()), |r| Ok(OrderNo(r.get(0)?)))
    }

    /// How often an order was assigned that upstream knows by this id, refused ones included.
    pub fn orders_named(&self, upstream_id: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM orders WHERE upstream_id = ?1";
        Ok(self.one(sql, [upstream_id], |r| count_at(r, 0))?.unwrap_or(0))
    }

    /// When the oldest of the orders was made whose codes a line may still be given; `None` when there are none, or of
    /// unknown age.
    pub fn oldest_order(&self, gtin: &Gtin) -> Result<Option<Wall>, StoreError> {
        let sql = "SELECT min(ifnull(ordered_at, 0)) FROM orders JOIN gtins USING(gtin_id) \
                   WHERE gtin = ?1 AND left_n > 0 AND kind = 0 AND state NOT IN (6, 7)";
        let found = self.one(sql, [gtin.to_string()], |r| Ok(r.get::<_, Option<i64>>(0)?))?;
        Ok(found.flatten().filter(|at| *at > 0).map(Wall))
    }

    /// Runs that are open or not wholly reported, with codes that were ordered after the run's day of production.
    pub fn runs_before_order(&self, zone: Zone) -> Result<Vec<BeforeOrder>, StoreError> {
        // The zone's first midnight: what of a day's end is the same for all days.
        let shift = zone.begins(Day(1)).0;
        let sql = "SELECT r.run, r.production, sum(g.n) FROM runs r JOIN run_blocks g USING(run) \
                   JOIN blocks b USING(block_no) JOIN orders o USING(order_no) \
                   WHERE (r.state <> 3 OR r.last_pass > r.carried + r.held \
                   OR EXISTS(SELECT 1 FROM reports p WHERE p.run = r.run AND p.state < 4)) \
                   AND o.ordered_at >= r.production * 86400000 + ?1 GROUP BY r.run ORDER BY r.run LIMIT ?2";
        self.all(sql, (shift, ROWS_MAX), |r| {
            Ok(BeforeOrder { run: RunId(r.get(0)?), day: Day(r.get(1)?), codes: count_at(r, 2)? })
        })
    }
}
