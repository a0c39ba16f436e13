//! Codes on their way to an item: issued, printed or refused, verified, spoiled.

use std::collections::BTreeMap;

use rusqlite::params;
use tamga_domain::code::Identity;
use tamga_domain::ids::{BlockNo, IssueNo, OrderNo, PrinterNo, RunId, Tag};
use tamga_domain::lifecycle::{Happening, SpoilReason, State, Whereabouts};
use tamga_domain::pack::record::PackAnswer;
use tamga_domain::record::{Answer, Issued, JobOutcome, RunState};
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::limits::ISSUE_MAX;
use super::people::Incident;
use super::rows::{CodeRow, Key, code_of, no_step, outcome_number, serial_of, state_number, step};
use super::runs::RunRow;
use super::tx::{Heap, Tx};

/// Which codes a run may have.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub life_left_min_ms: i64,
    /// The last moment of the run's day of production.
    pub day_ends: Wall,
}

/// A pooled code about to be issued.
type Taken = (Vec<u8>, Vec<u8>, BlockNo);

impl Tx<'_> {
    pub(super) fn issue(
        &self,
        run: RunId,
        printer: PrinterNo,
        count: u32,
        wanted: Wanted,
        at: Wall,
    ) -> Result<Answer, Fault> {
        if count > ISSUE_MAX {
            return Err(Rule::TooMany { len: count as usize, most: ISSUE_MAX as usize }.into());
        }
        let mut row = self.run_row(run)?.open()?;
        if row.state == RunState::Closing {
            return Err(Rule::RunClosing(run).into());
        }
        // Soonest expiry first, then the oldest; units and group packs are items, sets (kind 2) are not. Codes of orders
        // that were refused or closed are given back.
        let sql = "SELECT order_no, left_n, ifnull(ordered_at, 0) <= ?4 FROM orders \
                   WHERE gtin_id = ?1 AND left_n > 0 AND kind < 2 AND state NOT IN (6, 7) \
                   AND (expires IS NULL OR expires - ?2 >= ?3) ORDER BY expires IS NULL, expires, order_no";
        let params = (row.gtin_id, at.0, wanted.life_left_min_ms, wanted.day_ends.0);
        let orders: Vec<(OrderNo, u32, bool)> =
            self.all(sql, params, |r| Ok((OrderNo(r.get(0)?), r.get(1)?, r.get(2)?)))?;
        // A run keeps to codes of its day, unless a person opened it though there were none.
        let (in_time, later): (Vec<_>, Vec<_>) = orders.into_iter().partition(|(_, _, in_time)| *in_time);
        if in_time.is_empty() && !later.is_empty() && !row.before_order {
            return Ok(Answer::Later(later.iter().map(|(_, left, _)| u64::from(*left)).sum()));
        }
        let mut issued = Vec::with_capacity(count as usize);
        for (order, _, _) in if in_time.is_empty() { later } else { in_time } {
            let want = count - u32::try_from(issued.len()).unwrap_or(count);
            if want == 0 {
                break;
            }
            self.issue_from(&mut row, order, printer, want, at, &mut issued)?;
        }
        self.add_issued(issued.len())?;
        Ok(Answer::Issued(issued))
    }

    /// Takes up to `want` codes of one order, in key order: neighbours in the file.
    fn issue_from(
        &self,
        row: &mut RunRow,
        order: OrderNo,
        printer: PrinterNo,
        want: u32,
        at: Wall,
        issued: &mut Vec<Issued>,
    ) -> Result<(), Fault> {
        let sql = "SELECT serial, tail, block_no FROM pool WHERE order_no = ?1 ORDER BY serial LIMIT ?2";
        let taken: Vec<Taken> =
            self.all(sql, (order.0, want), |r| Ok((r.get(0)?, r.get(1)?, BlockNo(r.get(2)?))))?;
        let Some((last, _, _)) = taken.last() else {
            return Ok(());
        };
        // The first rows in key order up to the last one read: exactly these, or nothing is issued at all.
        let sql = "DELETE FROM pool WHERE order_no = ?1 AND serial <= ?2";
        self.must("codes taken from the pool", taken.len(), sql, (order.0, last))?;
        let n = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        let sql = "UPDATE orders SET left_n = left_n - ?2 WHERE order_no = ?1";
        self.must("an order", 1, sql, (order.0, n))?;
        let gtin = self.gtin_of_id(row.gtin_id)?;
        let mut by_block: BTreeMap<BlockNo, u32> = BTreeMap::new();
        for (serial, tail, block) in taken {
            row.last_issue += 1;
            let sql = "INSERT INTO codes(gtin_id, serial, tail, block_no, state, run, printer, issue_no, issued_after) \
                       VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)";
            let after = row.after(at);
            self.run(
                sql,
                params![row.gtin_id, serial, tail, block.0, row.run.0, printer.0, row.last_issue, after],
            )?;
            *by_block.entry(block).or_default() += 1;
            let code = code_of(gtin, &serial, &tail)?;
            issued.push(Issued { issue: IssueNo(row.last_issue), printer, code });
        }
        for (block, n) in by_block {
            self.move_in_block(block, Heap::Pooled, Heap::Issued, n)?;
            self.count_run_block(row.run, block, i64::from(n))?;
        }
        self.move_in_run(row.run, Heap::Pooled, Heap::Issued, n)?;
        let sql = "UPDATE runs SET last_issue = ?2 WHERE run = ?1";
        self.must("a run", 1, sql, (row.run.0, row.last_issue))
    }

    pub(super) fn job(
        &self,
        run: RunId,
        code: &Identity,
        outcome: JobOutcome,
        at: Wall,
    ) -> Result<Option<Answer>, Fault> {
        let key = self.key(code)?;
        let Some(row) = self.code(&key)? else {
            return match self.pooled(&key)? {
                // It went back already.
                Some(_) if outcome == JobOutcome::Refused => Ok(None),
                Some(_) => Err(no_step(code, State::Pooled, Happening::JobRefused)),
                None => Err(Rule::UnknownCode(*code).into()),
            };
        };
        if row.run != Some(run) {
            return Err(Rule::OtherRun { code: *code, run }.into());
        }
        if outcome == JobOutcome::Refused && row.state == State::Issued {
            self.back_to_pool(&key, &row, run)?;
            return Ok(None);
        }
        // "In the printer's hands" says less than any outcome that is known.
        if outcome != JobOutcome::Open {
            let sql = "UPDATE codes SET outcome = ?3 WHERE gtin_id = ?1 AND serial = ?2";
            self.must("a code", 1, sql, (key.gtin, key.serial(), outcome_number(outcome)))?;
        }
        if outcome != JobOutcome::Refused {
            return Ok(None);
        }
        let (run, tag) = (Some(run), row.tag);
        self.incident(Incident { run, code: Some(code), tag, key: "late_refusal", detail: "", at })?;
        Ok(Some(Answer::Contradicted(*code)))
    }

    /// The one way back: a code that was certainly not printed.
    fn back_to_pool(&self, key: &Key<'_>, row: &CodeRow, run: RunId) -> Result<(), Fault> {
        step(key.identity, row.state, Happening::JobRefused)?;
        let sql = "DELETE FROM codes WHERE gtin_id = ?1 AND serial = ?2 AND state = 0";
        self.must("a refused code", 1, sql, (key.gtin, key.serial()))?;
        let sql = "INSERT INTO pool(order_no, serial, tail, block_no) \
                   SELECT order_no, ?2, ?3, block_no FROM blocks WHERE block_no = ?1";
        self.must("a code back in the pool", 1, sql, (row.block.0, key.serial(), &row.tail))?;
        let sql = "UPDATE orders SET left_n = left_n + 1 \
                   WHERE order_no = (SELECT order_no FROM blocks WHERE block_no = ?1)";
        self.must("an order", 1, sql, [row.block.0])?;
        self.move_in_block(row.block, Heap::Issued, Heap::Pooled, 1)?;
        self.count_run_block(run, row.block, -1)?;
        self.move_in_run(run, Heap::Issued, Heap::Pooled, 1)
    }

    pub(super) fn verify(&self, run: RunId, code: &Identity, tag: Tag, at: Wall) -> Result<(), Fault> {
        let run_row = self.run_row(run)?.open()?;
        let key = self.key(code)?;
        if key.gtin != run_row.gtin_id {
            return Err(Rule::OtherRun { code: *code, run }.into());
        }
        let row = self.code(&key)?;
        if let Some(row) = &row {
            if row.run != Some(run) {
                return Err(Rule::OtherRun { code: *code, run }.into());
            }
            if row.tag == Some(tag) {
                return Ok(());
            }
        }
        self.tag_free_for_code(&run_row, tag)?;
        let row = match row {
            Some(row) => row,
            None => self.issue_from_stock(&run_row, &key)?,
        };
        let to = step(code, row.state, Happening::ReadGood)?;
        let sql = "UPDATE codes SET boot = ?3, tag = ?4, verified_after = ?5, ended_after = NULL \
                   WHERE gtin_id = ?1 AND serial = ?2";
        let after = run_row.after(at);
        self.must("a code", 1, sql, (key.gtin, key.serial(), tag.boot, tag.number, after))?;
        if row.state == State::Issued {
            let sql = "INSERT INTO last_read(run, printer, issue_no) VALUES(?1, ?2, ?3) \
                       ON CONFLICT DO UPDATE SET issue_no = max(issue_no, excluded.issue_no)";
            self.run(sql, (run.0, row.printer.0, row.issue.0))?;
        }
        if row.state == State::Stock {
            return Ok(());
        }
        self.set_state(&key, &row, to)
    }

    /// Takes a code of the stock for a run: verified at once, since its mark was printed elsewhere.
    fn issue_from_stock(&self, run: &RunRow, key: &Key<'_>) -> Result<CodeRow, Fault> {
        let Some((tail, block)) = self.stocked(key)? else {
            return match self.pooled(key)? {
                Some(_) => Err(no_step(key.identity, State::Pooled, Happening::ReadGood)),
                None => Err(Rule::UnknownCode(*key.identity).into()),
            };
        };
        let to = step(key.identity, State::Stock, Happening::ReadGood)?;
        let sql = "DELETE FROM stock WHERE gtin_id = ?1 AND serial = ?2";
        self.must("a code of the stock", 1, sql, (key.gtin, key.serial()))?;
        let issue = run.last_issue + 1;
        let sql = "INSERT INTO codes(gtin_id, serial, tail, block_no, state, run, printer, issue_no) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)";
        let state = state_number(to);
        self.run(sql, params![key.gtin, key.serial(), tail, block.0, state, run.run.0, issue])?;
        self.must("a run", 1, "UPDATE runs SET last_issue = ?2 WHERE run = ?1", (run.run.0, issue))?;
        self.move_in_block(block, Heap::Pooled, Heap::Verified, 1)?;
        self.count_run_block(run.run, block, 1)?;
        self.move_in_run(run.run, Heap::Pooled, Heap::Verified, 1)?;
        let printer = PrinterNo(0);
        Ok(CodeRow {
            tail,
            block,
            state: State::Stock,
            run: Some(run.run),
            printer,
            issue: IssueNo(issue),
            issued_after: None,
            outcome: JobOutcome::Open,
            tag: None,
            verified_after: None,
            pass: None,
            ended_after: None,
            pack: None,
        })
    }

    /// The item must be open in this run, and no other code verified for it.
    fn tag_free_for_code(&self, run: &RunRow, tag: Tag) -> Result<(), Fault> {
        if self.open_tag(run.line, tag)? != Some(run.run) {
            return Err(Rule::TagNotOpen { run: run.run, tag }.into());
        }
        match self.unknown_of_tag(run.run, tag)? {
            Some(_) => Err(Rule::TwoCodes { run: run.run, tag }.into()),
            None => Ok(()),
        }
    }

    pub(super) fn spoil(
        &self,
        code: &Identity,
        reason: SpoilReason,
        who: &str,
        at: Wall,
    ) -> Result<Option<Answer>, Fault> {
        let key = self.key(code)?;
        let (run, tag) = match self.code(&key)? {
            Some(row) => {
                if row.state == State::Spoiled(reason) {
                    return Ok(None);
                }
                let to = step(code, row.state, Happening::Spoil(reason))?;
                if let Some(pack) = self.pack_with(code, &row)? {
                    return Ok(Some(Answer::Pack(PackAnswer::Within(pack))));
                }
                if let (Some(run), Some(pass), State::Verified(Whereabouts::Passed)) =
                    (row.run, row.pass, row.state)
                {
                    if self.carried_by(run, pass)?.is_some() {
                        return Ok(Some(Answer::Carried(*code)));
                    }
                    self.hold(run, pass, row.block, None, "spoiled", at)?;
                }
                self.set_state(&key, &row, to)?;
                (row.run, row.tag)
            }
            None => {
                self.spoil_unissued(&key, reason)?;
                (None, None)
            }
        };
        self.incident(Incident { run, code: Some(code), tag, key: "spoiled", detail: who, at })?;
        Ok(None)
    }

    /// Spoils a code of the pool or the stock: it gets its row in `codes`, of no run.
    pub(super) fn spoil_unissued(&self, key: &Key<'_>, reason: SpoilReason) -> Result<(), Fault> {
        let happening = Happening::Spoil(reason);
        let (to, tail, block) = if let Some((order, tail, block)) = self.pooled(key)? {
            let to = step(key.identity, State::Pooled, happening)?;
            let sql = "DELETE FROM pool WHERE order_no = ?1 AND serial = ?2";
            self.must("a code of the pool", 1, sql, (order.0, key.serial()))?;
            let sql = "UPDATE orders SET left_n = left_n - 1 WHERE order_no = ?1";
            self.must("an order", 1, sql, [order.0])?;
            (to, tail, block)
        } else if let Some((tail, block)) = self.stocked(key)? {
            let to = step(key.identity, State::Stock, happening)?;
            let sql = "DELETE FROM stock WHERE gtin_id = ?1 AND serial = ?2";
            self.must("a code of the stock", 1, sql, (key.gtin, key.serial()))?;
            (to, tail, block)
        } else {
            return Err(Rule::UnknownCode(*key.identity).into());
        };
        let sql = "INSERT INTO codes(gtin_id, serial, tail, block_no, state) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.run(sql, params![key.gtin, key.serial(), tail, block.0, state_number(to)])?;
        self.move_in_block(block, Heap::Pooled, Heap::Spoiled, 1)
    }

    pub(super) fn spoil_left(&self, run: RunId, limit: u32, who: &str, at: Wall) -> Result<Answer, Fault> {
        let row = self.run_row(run)?.open()?;
        if row.state == RunState::Running {
            return Err(Rule::RunRunning(run).into());
        }
        let limit = limit.min(ISSUE_MAX);
        // Two statements, so that each is answered by its own partial index. A passed code, carried by a report or
        // not, is in neither.
        let sql =
            "SELECT serial, block_no FROM codes WHERE run = ?1 AND state = 0 ORDER BY issue_no LIMIT ?2";
        let unseen = self.spoil_each(&row, (State::Issued, SpoilReason::Unseen), sql, limit)?;
        let sql =
            "SELECT serial, block_no FROM codes WHERE run = ?1 AND state = 3 ORDER BY issue_no LIMIT ?2";
        let from = State::Verified(Whereabouts::Rejected);
        let rejected = self.spoil_each(&row, (from, SpoilReason::Rejected), sql, limit - unseen)?;
        for (n, key) in [(unseen, "spoiled_unseen"), (rejected, "spoiled_rejected")] {
            if n > 0 {
                let (run, detail) = (Some(run), format!("{n}, {who}"));
                self.incident(Incident { run, code: None, tag: None, key, detail: &detail, at })?;
            }
        }
        let sql = "SELECT in_doubt + (SELECT count(*) FROM codes WHERE codes.run = ?1 AND state = 3) \
                   FROM runs WHERE run = ?1";
        let left = self.one(sql, [run.0], |r| r.get(0))?;
        Ok(Answer::Left { codes: left.ok_or(Rule::NoSuchRun(run))? })
    }

    /// Spoils the codes that a query names; answers how many.
    fn spoil_each(
        &self,
        run: &RunRow,
        (from, reason): (State, SpoilReason),
        sql: &str,
        limit: u32,
    ) -> Result<u32, Fault> {
        let codes: Vec<(Vec<u8>, u32)> = self.all(sql, (run.run.0, limit), |r| Ok((r.get(0)?, r.get(1)?)))?;
        let gtin = self.gtin_of_id(run.gtin_id)?;
        let mut by_block: BTreeMap<BlockNo, u32> = BTreeMap::new();
        for (serial, block) in &codes {
            let identity = Identity { gtin, serial: serial_of(serial)? };
            let to = step(&identity, from, Happening::Spoil(reason))?;
            let sql = "UPDATE codes SET state = ?4 WHERE gtin_id = ?1 AND serial = ?2 AND state = ?3";
            let (from, to) = (state_number(from), state_number(to));
            self.must("a code left over", 1, sql, (run.gtin_id, serial, from, to))?;
            *by_block.entry(BlockNo(*block)).or_default() += 1;
        }
        for (block, n) in by_block {
            self.move_in_block(block, Heap::of(from), Heap::Spoiled, n)?;
        }
        let n = u32::try_from(codes.len()).unwrap_or(u32::MAX);
        self.move_in_run(run.run, Heap::of(from), Heap::Spoiled, n)?;
        Ok(n)
    }
}
