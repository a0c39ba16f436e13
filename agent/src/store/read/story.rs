//! Everything known of one code, from its block to its report.

use tamga_domain::code::Identity;
use tamga_domain::ids::{BlockNo, IssueNo, OrderNo, PassNo, PrinterNo, ReportNo, RunId, Tag};
use tamga_domain::lifecycle::State;
use tamga_domain::record::JobOutcome;
use tamga_domain::time::Wall;

use super::View;
use super::people::IncidentRow;
use crate::store::error::{Fault, StoreError};
use crate::store::reports::report_state_key;
use crate::store::rows::{CodeRow, Key};

/// What happened to a code, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeStory {
    pub code: Identity,
    pub state: State,
    pub received: Received,
    pub issued: Option<IssuedFacts>,
    pub verified: Option<(Tag, Wall)>,
    /// When the item was confirmed rejected, if it was and was not fed again.
    pub rejected: Option<Wall>,
    pub passed: Option<(PassNo, Wall)>,
    /// When it was given back, since its order was closed or its life was over.
    pub returned: Option<Wall>,
    pub reports: Vec<Carried>,
    /// Later givings of the same code: set aside.
    pub given_again: Vec<(BlockNo, String, Wall)>,
    pub incidents: Vec<IncidentRow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub block: BlockNo,
    /// None for a roll of stock.
    pub order: Option<OrderNo>,
    pub po_number: Option<String>,
    /// Upstream's name of the block, or the name of the roll.
    pub pack_id: String,
    pub at: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub struct IssuedFacts {
    pub run: RunId,
    pub printer: PrinterNo,
    pub issue: IssueNo,
    /// None for a code of the stock: its mark was printed elsewhere.
    pub at: Option<Wall>,
    pub outcome: JobOutcome,
}

/// A report that carries the pass, or carried it before it was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub report: ReportNo,
    pub state: &'static str,
    pub upstream_id: Option<String>,
    pub changed_at: Wall,
    /// What upstream said of this very code, if it refused it for good.
    pub unresolved: Option<String>,
}

impl View<'_> {
    /// The story of a code; none when this agent never had it.
    pub fn story(&self, code: &Identity) -> Result<Option<CodeStory>, StoreError> {
        let tx = self.tx();
        let Some(gtin) = tx.gtin_id(&code.gtin).map_err(Fault::reading)? else {
            return Ok(None);
        };
        let key = Key { gtin, identity: code };
        if let Some(row) = tx.code(&key).map_err(Fault::reading)? {
            return self.of_row(&key, row).map(Some);
        }
        let found = match tx.pooled(&key).map_err(Fault::reading)? {
            Some((_, _, block)) => Some((State::Pooled, block)),
            None => tx.stocked(&key).map_err(Fault::reading)?.map(|(_, block)| (State::Stock, block)),
        };
        let again = self.given_again(&key)?;
        // Known only as set aside: its first giving stands for its origin.
        let found = found.or_else(|| again.first().map(|(block, _, _)| (State::SetAside, *block)));
        let Some((state, block)) = found else {
            return Ok(None);
        };
        Ok(Some(CodeStory {
            code: *code,
            state,
            received: self.received(block)?,
            issued: None,
            verified: None,
            rejected: None,
            passed: None,
            returned: None,
            reports: Vec::new(),
            given_again: again,
            incidents: self.incidents_of_code(&key)?,
        }))
    }

    fn of_row(&self, key: &Key<'_>, row: CodeRow) -> Result<CodeStory, StoreError> {
        let state = self.tx().state_now(&row).map_err(Fault::reading)?;
        let opened = match row.run {
            Some(run) => self.tx().run_row(run).map_err(Fault::reading)?.opened_at,
            None => 0,
        };
        let after_opening = |after: i64| Wall(opened).plus_ms(after);
        let ended = row.ended_after.zip(row.verified_after).map(|(e, v)| after_opening(v).plus_ms(e));
        Ok(CodeStory {
            code: *key.identity,
            state,
            received: self.received(row.block)?,
            issued: row.run.map(|run| IssuedFacts {
                run,
                printer: row.printer,
                issue: row.issue,
                at: row.issued_after.map(after_opening),
                outcome: row.outcome,
            }),
            verified: row.tag.zip(row.verified_after.map(after_opening)),
            rejected: ended.filter(|_| row.pass.is_none()),
            passed: row.pass.zip(ended),
            returned: row.ended_after.filter(|_| state == State::Returned).map(Wall),
            reports: match (row.run, row.pass) {
                (Some(run), Some(pass)) => self.carried(run, pass)?,
                _ => Vec::new(),
            },
            given_again: self.given_again(key)?,
            incidents: self.incidents_of_code(key)?,
        })
    }

    fn received(&self, block: BlockNo) -> Result<Received, StoreError> {
        let sql = "SELECT block_no, order_no, po_number, pack_id, received_at FROM blocks \
                   LEFT JOIN orders USING(order_no) WHERE block_no = ?1";
        let found = self.one(sql, [block.0], |r| {
            Ok(Received {
                block: BlockNo(r.get(0)?),
                order: r.get::<_, Option<u32>>(1)?.map(OrderNo),
                po_number: r.get(2)?,
                pack_id: r.get(3)?,
                at: Wall(r.get(4)?),
            })
        })?;
        found.ok_or_else(|| StoreError::Damaged {
            what: format!("a code of block {block}, which is not there"),
        })
    }

    fn carried(&self, run: RunId, pass: PassNo) -> Result<Vec<Carried>, StoreError> {
        let sql = "SELECT p.report_no, p.state, p.upstream_id, p.changed_at, h.why FROM report_ranges g \
                   JOIN reports p USING(report_no) \
                   LEFT JOIN held h ON h.run = g.run AND h.pass_no = ?2 AND h.report_no = p.report_no \
                   WHERE g.run = ?1 AND g.first <= ?2 AND g.last >= ?2 ORDER BY p.report_no";
        self.all(sql, (run.0, pass.0), |r| {
            Ok(Carried {
                report: ReportNo(r.get(0)?),
                state: report_state_key(r.get(1)?),
                upstream_id: r.get(2)?,
                changed_at: Wall(r.get(3)?),
                unresolved: r.get(4)?,
            })
        })
    }

    fn given_again(&self, key: &Key<'_>) -> Result<Vec<(BlockNo, String, Wall)>, StoreError> {
        let sql = "SELECT block_no, reason, at FROM set_aside WHERE gtin_id = ?1 AND serial = ?2 \
                   ORDER BY block_no, place LIMIT 100";
        self.all(sql, (key.gtin, key.serial()), |r| Ok((BlockNo(r.get(0)?), r.get(1)?, Wall(r.get(2)?))))
    }
}
