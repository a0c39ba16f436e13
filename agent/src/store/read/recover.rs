//! What a line needs to go on after a start.

use tamga_domain::code::Identity;
use tamga_domain::day::Day;
use tamga_domain::ids::{IssueNo, LineNo, PrinterNo, RunId, Tag};
use tamga_domain::record::{Alarm, Issued, OpenRun, Recovered, RunPlan, RunState};

use super::{View, gtin_at};
use crate::store::error::StoreError;
use crate::store::rows::{code_of, outcome_of, run_state_of, serial_of};

impl View<'_> {
    /// The line's run that is not closed, with everything of it that is still in flight, and its open alarms.
    pub fn recover(&self, line: LineNo) -> Result<Recovered, StoreError> {
        let sql = "SELECT run FROM runs WHERE line = ?1 AND state <> 3";
        let run = self.one(sql, [line.0], |r| Ok(RunId(r.get(0)?)))?;
        let run = run.map(|run| self.open_run(line, run)).transpose()?;
        let alarms = self.alarms_open()?.into_iter().filter(|alarm| alarm.line == Some(line));
        Ok(Recovered { run: run.flatten(), alarms: alarms.map(Alarm::from).collect() })
    }

    /// Runs that are not closed, oldest first.
    pub fn runs_open(&self) -> Result<Vec<(RunId, LineNo)>, StoreError> {
        let sql = "SELECT run, line FROM runs WHERE state <> 3 ORDER BY run";
        self.all(sql, [], |r| Ok((RunId(r.get(0)?), LineNo(r.get(1)?))))
    }

    /// The line that made a run.
    pub fn line_of(&self, run: RunId) -> Result<Option<LineNo>, StoreError> {
        self.one("SELECT line FROM runs WHERE run = ?1", [run.0], |r| Ok(LineNo(r.get(0)?)))
    }

    fn open_run(&self, line: LineNo, run: RunId) -> Result<Option<OpenRun>, StoreError> {
        let Some((plan, state)) = self.run_plan(run)? else {
            return Ok(None);
        };
        let sql =
            "SELECT passed, triggers, last_boot, last_tag FROM runs JOIN lines USING(line) WHERE run = ?1";
        let counts = self.one(sql, [run.0], |r| {
            let last_tag = match (r.get(2)?, r.get(3)?) {
                (Some(boot), Some(number)) => Some(Tag { boot, number }),
                _ => None,
            };
            Ok((r.get(0)?, r.get(1)?, last_tag))
        })?;
        let (passed, triggers, last_tag) = counts.unwrap_or_default();
        let sql = "SELECT boot, tag FROM open_tags WHERE line = ?1 AND run = ?2 ORDER BY boot, tag";
        let open_tags = self.all(sql, (line.0, run.0), |r| Ok(Tag { boot: r.get(0)?, number: r.get(1)? }))?;
        let sql = "SELECT printer, issue_no FROM last_read WHERE run = ?1 ORDER BY printer";
        let last_read = self.all(sql, [run.0], |r| Ok((PrinterNo(r.get(0)?), IssueNo(r.get(1)?))))?;
        Ok(Some(OpenRun {
            in_doubt: self.in_doubt(run)?,
            pass_unknown: self.pass_unknown(run)?,
            rejected: self.rejected(run)?,
            run,
            plan,
            state,
            passed,
            triggers,
            last_tag,
            open_tags,
            last_read,
        }))
    }

    /// The plan and the state of a run.
    pub fn run_plan(&self, run: RunId) -> Result<Option<(RunPlan, RunState)>, StoreError> {
        let sql = "SELECT key, gtin, goods_group, quantity, batch, production, expiry, state, before_order FROM runs \
                   JOIN gtins USING(gtin_id) WHERE run = ?1";
        self.one(sql, [run.0], |r| {
            let plan = RunPlan {
                key: r.get(0)?,
                gtin: gtin_at(r, 1)?,
                group: r.get(2)?,
                quantity: r.get(3)?,
                batch: r.get(4)?,
                production: Day(r.get(5)?),
                expiry: r.get::<_, Option<i32>>(6)?.map(Day),
                before_order: r.get(8)?,
            };
            Ok((plan, run_state_of(r.get(7)?)?))
        })
    }

    /// Codes issued and not seen, in issue order, with what is known of their jobs.
    pub fn in_doubt(
        &self,
        run: RunId,
    ) -> Result<Vec<(Issued, tamga_domain::record::JobOutcome)>, StoreError> {
        let sql = "SELECT gtin, serial, tail, printer, issue_no, outcome FROM codes JOIN gtins USING(gtin_id) \
                   WHERE run = ?1 AND state = 0 ORDER BY issue_no";
        self.all(sql, [run.0], |r| {
            let code = code_of(gtin_at(r, 0)?, &r.get::<_, Vec<u8>>(1)?, &r.get::<_, Vec<u8>>(2)?)?;
            let issued = Issued { issue: IssueNo(r.get(4)?), printer: PrinterNo(r.get(3)?), code };
            Ok((issued, outcome_of(r.get(5)?)?))
        })
    }

    /// Codes verified whose pass is unknown, with their items.
    pub fn pass_unknown(&self, run: RunId) -> Result<Vec<(Identity, Tag)>, StoreError> {
        let sql = "SELECT gtin, serial, boot, tag FROM codes JOIN gtins USING(gtin_id) \
                   WHERE run = ?1 AND state = 2 ORDER BY boot, tag";
        self.all(sql, [run.0], |r| {
            let serial = serial_of(&r.get::<_, Vec<u8>>(1)?)?;
            Ok((Identity { gtin: gtin_at(r, 0)?, serial }, Tag { boot: r.get(2)?, number: r.get(3)? }))
        })
    }

    /// Rejected items by reason key.
    pub fn rejected(&self, run: RunId) -> Result<Vec<(String, u32)>, StoreError> {
        let sql = "SELECT reason, n FROM run_rejects WHERE run = ?1 ORDER BY reason";
        self.all(sql, [run.0], |r| Ok((r.get(0)?, r.get(1)?)))
    }
}
