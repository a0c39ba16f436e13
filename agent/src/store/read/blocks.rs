//! Blocks by order, for the way upstream: which were taken, in which order, and how many orders there ever were.

use tamga_domain::ids::OrderNo;

use super::View;
use crate::store::error::{Fault, StoreError};
use crate::store::standing::{PO_FLOOR, RESTORED_ORDER};

/// One block of an order, by upstream's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    pub pack_id: String,
    pub previous: Option<String>,
    pub count: u32,
}

impl View<'_> {
    /// The blocks of an order in the order in which they were taken.
    pub fn blocks_of(&self, order: OrderNo) -> Result<Vec<BlockRow>, StoreError> {
        let sql =
            "SELECT pack_id, previous, received FROM blocks WHERE ifnull(order_no, 0) = ?1 ORDER BY block_no";
        self.all(sql, [order.0], |r| {
            Ok(BlockRow { pack_id: r.get(0)?, previous: r.get(1)?, count: r.get(2)? })
        })
    }

    /// The highest `n` of all order numbers `<agent>-<n>` that are or may have been used; 0 when there is none.
    pub fn last_po(&self, agent: &str) -> Result<u32, StoreError> {
        let sql = "SELECT po_number FROM orders WHERE po_number LIKE ?1 || '-%'";
        let prefix = format!("{agent}-");
        let numbers = self.all(sql, [agent], |r| Ok(r.get::<_, String>(0)?))?;
        let used = numbers.iter().filter_map(|n| n.strip_prefix(&prefix)?.parse().ok()).max().unwrap_or(0);
        let passed = self.tx().meta_number(PO_FLOOR).map_err(Fault::reading)?;
        Ok(used.max(u32::try_from(passed).unwrap_or(u32::MAX)))
    }

    /// The last order of before a restore, if there was one: blocks of those up to it may be missing here.
    pub fn restored_order(&self) -> Result<Option<OrderNo>, StoreError> {
        let order = self.tx().meta_number(RESTORED_ORDER).map_err(Fault::reading)?;
        Ok(u32::try_from(order).ok().filter(|order| *order > 0).map(OrderNo))
    }
}
