//! Runs: opened, set in states, closed when balanced.

use rusqlite::params;
use tamga_domain::day::Day;
use tamga_domain::ids::{LineNo, RunId, Tag};
use tamga_domain::record::{Answer, RunPlan, RunState};
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::people::{Change, cut};
use super::rows::{gtin_of, number, run_state_number, run_state_of};
use super::tx::Tx;
use crate::dossier::Hash;

/// What the records about codes and items need of a run.
pub(super) struct RunRow {
    pub(super) run: RunId,
    pub(super) line: LineNo,
    pub(super) gtin_id: i64,
    pub(super) state: RunState,
    pub(super) opened_at: i64,
    pub(super) last_issue: u32,
    pub(super) last_pass: u32,
    pub(super) before_order: bool,
}

/// Who signed a closing sheet, and what.
pub(super) struct SignOff<'a> {
    pub(super) who: &'a str,
    pub(super) from: &'a str,
    pub(super) why: &'a str,
    pub(super) unresolved: u32,
    pub(super) lines: u64,
    pub(super) head: Hash,
}

impl RunRow {
    /// Codes and items of a closed run do not move.
    pub(super) fn open(self) -> Result<RunRow, Fault> {
        match self.state {
            RunState::Closed => Err(Rule::RunClosed(self.run).into()),
            RunState::Running | RunState::Stopped | RunState::Closing => Ok(self),
        }
    }

    /// Milliseconds since the run was opened: a small number for the code's row.
    pub(super) fn after(&self, at: Wall) -> i64 {
        at.0.saturating_sub(self.opened_at)
    }
}

impl Tx<'_> {
    pub(super) fn run_row(&self, run: RunId) -> Result<RunRow, Fault> {
        let sql = "SELECT line, gtin_id, state, opened_at, last_issue, last_pass, before_order FROM runs \
                   WHERE run = ?1";
        let found = self.one(sql, [run.0], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get::<_, i64>(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?))
        })?;
        let (line, gtin_id, state, opened_at, last_issue, last_pass, before_order) =
            found.ok_or(Rule::NoSuchRun(run))?;
        let state = run_state_of(state)?;
        let line = LineNo(line);
        Ok(RunRow { run, line, gtin_id, state, opened_at, last_issue, last_pass, before_order })
    }

    pub(super) fn run_opened(
        &self,
        line: LineNo,
        plan: &RunPlan,
        who: &str,
        at: Wall,
        gate: Option<Tag>,
    ) -> Result<Answer, Fault> {
        if let Some(answer) = self.run_of_key(line, plan)? {
            return Ok(answer);
        }
        let open = self.one("SELECT run FROM runs WHERE line = ?1 AND state <> 3", [line.0], |r| r.get(0))?;
        if let Some(run) = open {
            return Err(Rule::LineBusy { line, run: RunId(run) }.into());
        }
        self.run("INSERT INTO lines(line) VALUES(?1) ON CONFLICT DO NOTHING", [line.0])?;
        if let Some(Tag { boot, number }) = gate {
            let sql = "UPDATE lines SET last_boot = ?2, last_tag = ?3 WHERE line = ?1";
            self.must("a line", 1, sql, (line.0, boot, number))?;
        }
        let gtin_id = self.gtin_id_or_new(&plan.gtin)?;
        self.run(
            "INSERT INTO runs(line, key, gtin_id, goods_group, quantity, batch, production, expiry, state, opened_at, \
             opened_by, before_order) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                line.0,
                plan.key,
                gtin_id,
                plan.group,
                plan.quantity,
                plan.batch,
                plan.production.0,
                plan.expiry.map(|e| e.0),
                run_state_number(RunState::Stopped),
                at.0,
                who,
                plan.before_order
            ],
        )?;
        let run = RunId(self.inserted());
        self.changed(Change::Run(run, RunState::Stopped), who, "opened", at)?;
        Ok(Answer::Run(run))
    }

    /// The run that has this key already, if it is this very run and not closed; else that the key is taken.
    fn run_of_key(&self, line: LineNo, plan: &RunPlan) -> Result<Option<Answer>, Fault> {
        let sql = "SELECT run, line, gtin, goods_group, quantity, batch, production, expiry, before_order FROM runs \
                   JOIN gtins USING(gtin_id) WHERE key = ?1";
        let found = self.one(sql, [&plan.key], |r| {
            let expiry: Option<i32> = r.get(7)?;
            let there = (r.get(1)?, r.get::<_, String>(2)?, r.get(3)?, r.get(4)?, r.get(5)?, Day(r.get(6)?));
            Ok((RunId(r.get(0)?), there, expiry.map(Day), r.get(8)?))
        })?;
        let Some((run, (on, gtin, group, quantity, batch, production), expiry, before_order)) = found else {
            return Ok(None);
        };
        let key = plan.key.clone();
        let gtin = gtin_of(&gtin)?;
        let there = RunPlan { key, gtin, group, quantity, batch, production, expiry, before_order };
        let same = LineNo(on) == line && there == *plan && self.run_row(run)?.state != RunState::Closed;
        Ok(Some(if same { Answer::Run(run) } else { Answer::KeyTaken(run) }))
    }

    pub(super) fn run_state(
        &self,
        run: RunId,
        to: RunState,
        why: &str,
        who: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let row = self.run_row(run)?;
        if row.state == to {
            return Ok(());
        }
        let row = row.open()?;
        if to == RunState::Closed {
            self.balanced(run)?;
            self.must("a run", 1, "UPDATE runs SET closed_at = ?2 WHERE run = ?1", (run.0, at.0))?;
        }
        let sql = "UPDATE runs SET state = ?3 WHERE run = ?1 AND state = ?2";
        self.must("the state of a run", 1, sql, (run.0, run_state_number(row.state), run_state_number(to)))?;
        self.changed(Change::Run(run, to), who, why, at)
    }

    /// A closing sheet is signed; by the same head it is signed already.
    pub(super) fn signed_off(&self, run: RunId, of: &SignOff<'_>, at: Wall) -> Result<(), Fault> {
        if self.run_row(run)?.state != RunState::Closed {
            return Err(Rule::RunOpen(run).into());
        }
        let sql = "INSERT INTO sign_offs(run, who, come_from, why, unresolved, lines, head, at) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
        let SignOff { who, from, why, unresolved, lines, head } = *of;
        if self.run(sql, (run.0, who, from, cut(why), unresolved, number(lines), head.0, at.0))? == 0 {
            return Ok(());
        }
        self.changed(Change::Signed(run, head), who, why, at)
    }

    /// A run closes over no code in doubt, none of unknown pass, none of a rejected item, and no open item.
    fn balanced(&self, run: RunId) -> Result<(), Fault> {
        let sql = "SELECT in_doubt, (SELECT count(*) FROM codes WHERE codes.run = ?1 AND state = 2), \
                   (SELECT count(*) FROM codes WHERE codes.run = ?1 AND state = 3), open_tags \
                   FROM runs WHERE run = ?1";
        let found = self.one(sql, [run.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        let (in_doubt, unknown, rejected, open_tags) = found.ok_or(Rule::NoSuchRun(run))?;
        if (in_doubt, unknown, rejected, open_tags) == (0, 0, 0, 0) {
            Ok(())
        } else {
            Err(Rule::NotBalanced { run, in_doubt, unknown, rejected, open_tags }.into())
        }
    }
}
