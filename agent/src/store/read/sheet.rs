//! Runs, and the closing sheet with its three balances.

use rusqlite::Row;
use tamga_domain::code::Identity;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, PassNo, ReportNo, RunId, Tag};
use tamga_domain::lifecycle::State;
use tamga_domain::pack::PackFacts;
use tamga_domain::record::{Issued, JobOutcome, RunPlan, RunState};
use tamga_domain::time::Wall;

use super::packing::RunPacks;
use super::pools::{BLOCK_COLUMNS, BlockBalance};
use super::{View, gtin_at};
use crate::dossier::Hash;
use crate::store::error::{Fault, StoreError};
use crate::store::limits::ROWS_MAX;
use crate::store::rows::{run_state_of, serial_of, state_of};

/// One run in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLine {
    pub run: RunId,
    pub line: LineNo,
    pub gtin: Gtin,
    pub batch: String,
    pub state: RunState,
    pub opened_at: Wall,
    pub closed_at: Option<Wall>,
    pub quantity: u32,
    pub passed: u32,
    pub rejected: u32,
}

/// The codes of a run. `issued` is the sum of the rest, but for `unknown`, which is a part of `verified`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RunCodes {
    pub issued: u32,
    pub in_doubt: u32,
    pub verified: u32,
    /// Of the verified: pass unknown.
    pub unknown: u32,
    pub applied: u32,
    pub written_off: u32,
    pub spoiled: u32,
}

/// The items of a run. `triggers` is the sum of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RunItems {
    pub triggers: u32,
    pub open: u32,
    pub passed: u32,
    pub rejected: u32,
    pub lost: u32,
    pub escaped: u32,
}

/// A change of state, with who and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RunChange {
    pub state: RunState,
    /// `signed`, where its sheet was signed.
    pub mark: String,
    pub who: String,
    pub why: String,
    pub at: Wall,
}

/// The closing sheet: blocks, codes and items, and everything by name that is not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSheet {
    pub run: RunId,
    pub line: LineNo,
    pub plan: RunPlan,
    pub state: RunState,
    pub opened_at: Wall,
    pub opened_by: String,
    pub closed_at: Option<Wall>,
    pub codes: RunCodes,
    pub items: RunItems,
    /// Rejected items by reason key.
    pub rejected: Vec<(String, u32)>,
    /// The blocks that gave the run its codes, with how many of them.
    pub blocks: Vec<(BlockBalance, u32)>,
    /// Passed codes in accepted reports; in open ones; that no report may carry, of them those that upstream refused;
    /// that no report carries yet.
    pub accepted: u32,
    pub open: u32,
    pub held: u32,
    pub refused: u32,
    pub unreported: u32,
    /// At most `ROWS_MAX` of each, by name.
    pub in_doubt: Vec<(Issued, JobOutcome)>,
    pub pass_unknown: Vec<(Identity, Tag)>,
    pub spoiled: Vec<(Identity, State)>,
    pub unresolved: Vec<Unresolved>,
    pub packs: RunPacks,
    pub changes: Vec<RunChange>,
    /// Who signed it, the last one last.
    pub signed: Vec<SignedOff>,
}

/// A signature under the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedOff {
    pub who: String,
    pub from: String,
    /// Why it was signed though something was unresolved, and how much was.
    pub why: String,
    pub unresolved: u32,
    /// Of the dossier that says what was signed.
    pub lines: u64,
    pub head: Hash,
    pub at: Wall,
}

/// A pass that no report may carry: refused upstream for good, or spoiled after it passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Unresolved {
    pub pass: PassNo,
    pub code: Identity,
    pub report: Option<ReportNo>,
    pub why: String,
    pub at: Wall,
    /// The pack that its item lies in.
    pub pack: Option<PackFacts>,
}

impl View<'_> {
    /// The newest runs first, older than `before` when it is given.
    pub fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<RunLine>, StoreError> {
        let sql = "SELECT run, line, gtin, batch, state, opened_at, closed_at, quantity, passed, rejected FROM runs \
                   JOIN gtins USING(gtin_id) WHERE run < ?1 ORDER BY run DESC LIMIT ?2";
        let before = before.map_or(u32::MAX, |r| r.0);
        self.all(sql, (before, limit.min(ROWS_MAX)), |r| {
            Ok(RunLine {
                run: RunId(r.get(0)?),
                line: LineNo(r.get(1)?),
                gtin: gtin_at(r, 2)?,
                batch: r.get(3)?,
                state: run_state_of(r.get(4)?)?,
                opened_at: Wall(r.get(5)?),
                closed_at: r.get::<_, Option<i64>>(6)?.map(Wall),
                quantity: r.get(7)?,
                passed: r.get(8)?,
                rejected: r.get(9)?,
            })
        })
    }

    /// The closing sheet, of a run in any state; none when there is no such run.
    pub fn run_sheet(&self, run: RunId) -> Result<Option<RunSheet>, StoreError> {
        let Some((plan, state)) = self.run_plan(run)? else {
            return Ok(None);
        };
        let sql =
            "SELECT line, opened_at, opened_by, closed_at, carried, held, last_pass FROM runs WHERE run = ?1";
        let head = self.one(sql, [run.0], |r| {
            let closed = r.get::<_, Option<i64>>(3)?.map(Wall);
            let passes: (u32, u32, u32) = (r.get(4)?, r.get(5)?, r.get(6)?);
            Ok((LineNo(r.get(0)?), Wall(r.get(1)?), r.get::<_, String>(2)?, closed, passes))
        })?;
        let Some((line, opened_at, opened_by, closed_at, (carried, held, last_pass))) = head else {
            return Ok(None);
        };
        let sql = "SELECT (SELECT ifnull(sum(passes), 0) FROM reports WHERE run = ?1 AND state < 4), \
                   (SELECT count(*) FROM held WHERE run = ?1 AND report_no IS NOT NULL)";
        let (open, refused) = self.one(sql, [run.0], |r| Ok((r.get(0)?, r.get(1)?)))?.unwrap_or((0, 0));
        let mut in_doubt = self.in_doubt(run)?;
        let mut pass_unknown = self.pass_unknown(run)?;
        let codes = self.run_codes(run)?;
        in_doubt.truncate(ROWS_MAX as usize);
        pass_unknown.truncate(ROWS_MAX as usize);
        Ok(Some(RunSheet {
            codes,
            items: self.run_items(run)?,
            rejected: self.rejected(run)?,
            blocks: self.run_blocks(run)?,
            accepted: carried.saturating_sub(open),
            open,
            held,
            refused,
            unreported: last_pass.saturating_sub(carried).saturating_sub(held),
            in_doubt,
            pass_unknown,
            spoiled: self.spoiled(run)?,
            unresolved: self.unresolved(run)?,
            packs: self.run_packs(run, plan.gtin)?,
            changes: self.run_changes(run)?,
            signed: self.signed_offs(run)?,
            run,
            line,
            plan,
            state,
            opened_at,
            opened_by,
            closed_at,
        }))
    }

    pub fn run_codes(&self, run: RunId) -> Result<RunCodes, StoreError> {
        let sql = "SELECT issued, in_doubt, verified, applied, written_off, spoiled, \
                   (SELECT count(*) FROM codes WHERE codes.run = ?1 AND codes.state = 2) FROM runs WHERE run = ?1";
        let read = |r: &Row<'_>| {
            Ok(RunCodes {
                issued: r.get(0)?,
                in_doubt: r.get(1)?,
                verified: r.get(2)?,
                applied: r.get(3)?,
                written_off: r.get(4)?,
                spoiled: r.get(5)?,
                unknown: r.get(6)?,
            })
        };
        Ok(self.one(sql, [run.0], read)?.unwrap_or_default())
    }

    pub fn run_items(&self, run: RunId) -> Result<RunItems, StoreError> {
        let sql = "SELECT triggers, open_tags, passed, rejected, lost, escaped FROM runs WHERE run = ?1";
        let read = |r: &Row<'_>| {
            Ok(RunItems {
                triggers: r.get(0)?,
                open: r.get(1)?,
                passed: r.get(2)?,
                rejected: r.get(3)?,
                lost: r.get(4)?,
                escaped: r.get(5)?,
            })
        };
        Ok(self.one(sql, [run.0], read)?.unwrap_or_default())
    }

    fn run_blocks(&self, run: RunId) -> Result<Vec<(BlockBalance, u32)>, StoreError> {
        let sql = format!(
            "SELECT {BLOCK_COLUMNS}, run_blocks.n FROM run_blocks JOIN blocks USING(block_no) \
             WHERE run = ?1 AND run_blocks.n > 0 ORDER BY block_no"
        );
        self.all(&sql, [run.0], |r| Ok((BlockBalance::read(r)?, r.get("n")?)))
    }

    fn spoiled(&self, run: RunId) -> Result<Vec<(Identity, State)>, StoreError> {
        let sql = "SELECT gtin, serial, state FROM codes JOIN gtins USING(gtin_id) \
                   WHERE run = ?1 AND state >= 10 LIMIT ?2";
        self.all(sql, (run.0, ROWS_MAX), |r| Ok((identity_at(r)?, state_of(r.get(2)?)?)))
    }

    /// Passes of a run that no report may carry, by name.
    pub fn unresolved(&self, run: RunId) -> Result<Vec<Unresolved>, StoreError> {
        let sql = "SELECT gtin, serial, h.pass_no, h.report_no, h.why, h.at FROM held h \
                   JOIN passes p USING(run, pass_no) JOIN runs USING(run) JOIN gtins USING(gtin_id) \
                   WHERE h.run = ?1 ORDER BY h.pass_no LIMIT ?2";
        let mut all = self.all(sql, (run.0, ROWS_MAX), |r| {
            Ok(Unresolved {
                code: identity_at(r)?,
                pass: PassNo(r.get(2)?),
                report: r.get::<_, Option<u32>>(3)?.map(ReportNo),
                why: r.get(4)?,
                at: Wall(r.get(5)?),
                pack: None,
            })
        })?;
        for one in &mut all {
            one.pack = self.pack_of(&one.code)?;
        }
        Ok(all)
    }

    /// Signatures under the sheet of a run, oldest first.
    pub fn signed_offs(&self, run: RunId) -> Result<Vec<SignedOff>, StoreError> {
        let sql = "SELECT who, come_from, why, unresolved, lines, head, at FROM sign_offs WHERE run = ?1 \
                   ORDER BY sign_no DESC LIMIT ?2";
        let mut all = self.all(sql, (run.0, ROWS_MAX), |r| {
            Ok(SignedOff {
                who: r.get(0)?,
                from: r.get(1)?,
                why: r.get(2)?,
                unresolved: r.get(3)?,
                lines: super::count_at(r, 4)?,
                head: Hash(r.get(5)?),
                at: Wall(r.get(6)?),
            })
        })?;
        all.reverse();
        Ok(all)
    }

    fn run_changes(&self, run: RunId) -> Result<Vec<RunChange>, StoreError> {
        let sql = "SELECT state, who, why, at, mark FROM changes WHERE subject = 1 AND no = ?1 ORDER BY id LIMIT ?2";
        self.all(sql, (run.0, ROWS_MAX), |r| {
            Ok(RunChange {
                state: run_state_of(r.get(0)?)?,
                who: r.get(1)?,
                why: r.get(2)?,
                at: Wall(r.get(3)?),
                mark: r.get(4)?,
            })
        })
    }
}

/// A code's identity out of columns 0 (its GTIN) and 1 (its serial).
pub(super) fn identity_at(row: &Row<'_>) -> Result<Identity, Fault> {
    Ok(Identity { gtin: gtin_at(row, 0)?, serial: serial_of(&row.get::<_, Vec<u8>>(1)?)? })
}
