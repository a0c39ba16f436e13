//! Reports over ranges of passes: drafted, sent, in effect or refused.
//!
//! A report names numbers and touches no code: `Applied` is derived from the range of an accepted report, and the
//! counts move by the block counts that were added up at drafting.

use std::collections::BTreeMap;

use rusqlite::params;
use tamga_domain::day::{Day, Zone, disproved, production_moment};
use tamga_domain::ids::{BlockNo, PassNo, ReportNo, RunId};
use tamga_domain::record::{Answer, PassRange, ReportKind, ReportState};
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::items::BUCKET_BITS;
use super::people::{Change, cut};
use super::tx::{Heap, Tx};

pub(super) const ACCEPTED: i64 = 4;
const REFUSED: i64 = 5;

pub(super) fn report_state_number(state: &ReportState) -> i64 {
    match state {
        ReportState::Wanted => 0,
        ReportState::Sent => 1,
        ReportState::Unknown => 2,
        ReportState::Processing { .. } => 3,
        ReportState::Accepted => ACCEPTED,
        ReportState::Refused => REFUSED,
    }
}

const REPORT_KEYS: [&str; 6] = ["wanted", "sent", "unknown", "processing", "accepted", "refused"];

pub(super) fn report_state_key(number: i64) -> &'static str {
    usize::try_from(number).ok().and_then(|n| REPORT_KEYS.get(n)).copied().unwrap_or("unknown")
}

/// The state as it was written; `upstream_id`: upstream's name of it.
pub(super) fn report_state_of(number: i64, upstream_id: Option<&str>) -> ReportState {
    match report_state_key(number) {
        "wanted" => ReportState::Wanted,
        "sent" => ReportState::Sent,
        "processing" => ReportState::Processing { upstream_id: upstream_id.unwrap_or_default().to_owned() },
        "accepted" => ReportState::Accepted,
        "refused" => ReportState::Refused,
        _ => ReportState::Unknown,
    }
}

pub(super) fn report_kind_number(kind: ReportKind) -> i64 {
    match kind {
        ReportKind::Application => 0,
    }
}

pub(super) fn report_kind_of(number: i64) -> Result<ReportKind, Fault> {
    match number {
        0 => Ok(ReportKind::Application),
        other => Err(Fault::Damaged(format!("a report of kind {other}"))),
    }
}

/// A report to be drafted.
pub(super) struct Draft<'a> {
    pub(super) run: RunId,
    pub(super) kind: ReportKind,
    pub(super) passes: &'a [PassRange],
    pub(super) replaces: Option<ReportNo>,
    /// It begins as `Unknown`.
    pub(super) unsure: bool,
    pub(super) zone: Zone,
    pub(super) by: Option<Wall>,
}

struct ReportRow {
    run: RunId,
    state: i64,
    upstream_id: Option<String>,
    passes: u32,
}

impl Tx<'_> {
    pub(super) fn report_drafted(&self, draft: &Draft<'_>, at: Wall) -> Result<Answer, Fault> {
        let Draft { run, kind, passes, replaces, unsure, zone, by } = *draft;
        let last_pass = self.run_row(run)?.last_pass;
        let kind = report_kind_number(kind);
        if let Some((report, production)) = self.same_draft(run, kind, passes, replaces, at)? {
            return Ok(Answer::Report(report, production));
        }
        if passes.is_empty() {
            let (from, to) = (PassNo(0), PassNo(0));
            return Err(Rule::Range { run, from, to, why: "there is none" }.into());
        }
        let mut after = PassNo(0);
        let mut by_block: BTreeMap<BlockNo, u32> = BTreeMap::new();
        for range in passes {
            let refuse = |why| Rule::Range { run, from: range.from, to: range.to, why };
            if range.from > range.to || range.from <= after || range.to.0 > last_pass {
                return Err(refuse("its ends are not in order").into());
            }
            after = range.to;
            if self.carried_in(run, kind, range)? {
                return Err(refuse("another report carries a part of it").into());
            }
            let sql = "SELECT 1 FROM held WHERE run = ?1 AND pass_no BETWEEN ?2 AND ?3 LIMIT 1";
            if self.one(sql, (run.0, range.from.0, range.to.0), |_| Ok(()))?.is_some() {
                return Err(refuse("a pass in it is unresolved or spoiled").into());
            }
            self.add_blocks(run, range, &mut by_block)?;
        }
        let total: u32 = by_block.values().sum();
        let by = self.made_by(replaces, by)?;
        let (production, why) = self.production_of(run, after, by_block.keys(), zone, by)?;
        let sql = "INSERT INTO reports(run, kind, state, why, replaces, drafted_at, changed_at, passes, production) \
                   VALUES(?1, ?2, ?8, ?7, ?3, ?4, ?4, ?5, ?6)";
        let state = if unsure { ReportState::Unknown } else { ReportState::Wanted };
        let number = report_state_number(&state);
        self.run(sql, params![run.0, kind, replaces.map(|r| r.0), at.0, total, production.0, why, number])?;
        let report = ReportNo(self.inserted());
        for range in passes {
            let sql = "INSERT INTO report_ranges(report_no, first, last, run, kind, live) \
                       VALUES(?1, ?2, ?3, ?4, ?5, 1)";
            self.run(sql, (report.0, range.from.0, range.to.0, run.0, kind))?;
        }
        for (block, n) in by_block {
            let sql = "INSERT INTO report_blocks(report_no, block_no, n) VALUES(?1, ?2, ?3)";
            self.run(sql, (report.0, block.0, n))?;
        }
        self.must("a run", 1, "UPDATE runs SET carried = carried + ?2 WHERE run = ?1", (run.0, total))?;
        self.changed(Change::Report(report, &state), "", &why, at)?;
        Ok(Answer::Report(report, production))
    }

    /// By when all of a draft was made: what a report is parted into was made by the moment that it carried.
    fn made_by(&self, replaces: Option<ReportNo>, by: Option<Wall>) -> Result<Option<Wall>, Fault> {
        let Some(refused) = replaces else { return Ok(by) };
        let sql = "SELECT production FROM reports WHERE report_no = ?1";
        let before = self.one(sql, [refused.0], |r| Ok(Wall(r.get(0)?)))?;
        Ok(by.map(|by| before.map_or(by, |before| before.min(by))))
    }

    /// The moment of production of a report up to the pass `last`, by the domain's rule: from the run's declared day,
    /// the moment of that pass, and the newest of the orders that its codes are of.
    fn production_of<'b>(
        &self,
        run: RunId,
        last: PassNo,
        blocks: impl Iterator<Item = &'b BlockNo>,
        zone: Zone,
        by: Option<Wall>,
    ) -> Result<(Wall, String), Fault> {
        let sql = "SELECT r.production, r.opened_at + ifnull(c.verified_after, 0) + ifnull(c.ended_after, 0) \
                   FROM runs r JOIN passes p ON p.run = r.run AND p.pass_no = ?2 \
                   JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial WHERE r.run = ?1";
        let found = self.one(sql, (run.0, last.0), |r| Ok((Day(r.get(0)?), Wall(r.get(1)?))))?;
        let (day, passed) = found.ok_or(Rule::NoSuchRun(run))?;
        let mut ordered = None;
        for block in blocks {
            let sql = "SELECT o.ordered_at FROM blocks b JOIN orders o USING(order_no) WHERE b.block_no = ?1";
            let at: Option<i64> = self.one(sql, [block.0], |r| r.get(0))?.flatten();
            ordered = ordered.max(at.map(Wall));
        }
        let ahead_s = disproved(passed, by).map(|by| (passed.0 - by.0) / 1000);
        let why = ahead_s
            .map(|s| format!("this computer's clock was {s} s ahead: the state system's clock is used"));
        Ok((production_moment(zone, day, passed, ordered, by), why.unwrap_or_default()))
    }

    /// The report that this very draft made, if it was applied before.
    fn same_draft(
        &self,
        run: RunId,
        kind: i64,
        passes: &[PassRange],
        replaces: Option<ReportNo>,
        at: Wall,
    ) -> Result<Option<(ReportNo, Wall)>, Fault> {
        let Some(first) = passes.first() else {
            return Ok(None);
        };
        let sql = "SELECT report_no, production FROM reports JOIN report_ranges USING(report_no) \
                   WHERE report_ranges.run = ?1 AND first = ?2 AND reports.kind = ?3 AND replaces IS ?4 \
                   AND drafted_at = ?5 ORDER BY report_no DESC LIMIT 1";
        let params = params![run.0, first.from.0, kind, replaces.map(|r| r.0), at.0];
        let found = self.one(sql, params, |r| Ok((ReportNo(r.get(0)?), Wall(r.get(1)?))))?;
        let Some((report, production)) = found else {
            return Ok(None);
        };
        let sql = "SELECT first, last FROM report_ranges WHERE report_no = ?1 ORDER BY first";
        let ranges =
            self.all(sql, [report.0], |r| Ok(PassRange { from: PassNo(r.get(0)?), to: PassNo(r.get(1)?) }))?;
        Ok((ranges == passes).then_some((report, production)))
    }

    /// Whether a live report carries any pass of the range. Live ranges do not overlap, so the last one that begins
    /// before the range's end tells.
    fn carried_in(&self, run: RunId, kind: i64, range: &PassRange) -> Result<bool, Fault> {
        let sql = "SELECT last FROM report_ranges WHERE run = ?1 AND kind = ?2 AND live = 1 AND first <= ?3 \
                   ORDER BY first DESC LIMIT 1";
        let last: Option<u32> = self.one(sql, (run.0, kind, range.to.0), |r| r.get(0))?;
        Ok(last.is_some_and(|last| last >= range.from.0))
    }

    /// The report, open or in effect, that carries a pass, and whether it is in effect. A pass that upstream refused
    /// is carried by none.
    pub(super) fn carried_by(&self, run: RunId, pass: PassNo) -> Result<Option<(ReportNo, bool)>, Fault> {
        let sql = "SELECT report_no, last, state FROM report_ranges JOIN reports USING(report_no) \
                   WHERE report_ranges.run = ?1 AND report_ranges.kind = 0 AND live = 1 AND first <= ?2 \
                   ORDER BY first DESC LIMIT 1";
        let found = self.one(sql, (run.0, pass.0), |r| {
            Ok((ReportNo(r.get(0)?), r.get::<_, u32>(1)?, r.get::<_, i64>(2)? == ACCEPTED))
        })?;
        let Some((report, _, accepted)) = found.filter(|(_, last, _)| *last >= pass.0) else {
            return Ok(None);
        };
        let sql = "SELECT 1 FROM held WHERE run = ?1 AND pass_no = ?2";
        let held = self.one(sql, (run.0, pass.0), |_| Ok(()))?.is_some();
        Ok((!held).then_some((report, accepted)))
    }

    /// Adds up the passes of a range by block: whole buckets from their counts, the rest pass by pass.
    fn add_blocks(
        &self,
        run: RunId,
        range: &PassRange,
        by_block: &mut BTreeMap<BlockNo, u32>,
    ) -> Result<(), Fault> {
        let (from, to) = (u64::from(range.from.0), u64::from(range.to.0));
        let first_whole = (from + (1 << BUCKET_BITS) - 1) >> BUCKET_BITS;
        let end_whole = (to + 1) >> BUCKET_BITS;
        let mut add = |sql: &str, from: u64, to: u64| -> Result<(), Fault> {
            let (from, to) = (i64::try_from(from).unwrap_or(i64::MAX), i64::try_from(to).unwrap_or(i64::MAX));
            for (block, n) in self.all(sql, (run.0, from, to), |r| Ok((r.get(0)?, r.get::<_, u32>(1)?)))? {
                *by_block.entry(BlockNo(block)).or_default() += n;
            }
            Ok(())
        };
        let single = "SELECT block_no, count(*) FROM passes p JOIN runs r ON r.run = p.run \
                      JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
                      WHERE p.run = ?1 AND p.pass_no >= ?2 AND p.pass_no < ?3 GROUP BY block_no";
        if first_whole >= end_whole {
            return add(single, from, to + 1);
        }
        add(single, from, first_whole << BUCKET_BITS)?;
        let whole = "SELECT block_no, n FROM pass_blocks \
                     WHERE run = ?1 AND bucket >= ?2 AND bucket < ?3 AND n > 0";
        add(whole, first_whole, end_whole)?;
        add(single, end_whole << BUCKET_BITS, to + 1)
    }

    fn report_row(&self, report: ReportNo) -> Result<ReportRow, Fault> {
        let sql = "SELECT run, state, upstream_id, passes FROM reports WHERE report_no = ?1";
        let row = self.one(sql, [report.0], |r| {
            let run = RunId(r.get(0)?);
            Ok(ReportRow { run, state: r.get(1)?, upstream_id: r.get(2)?, passes: r.get(3)? })
        })?;
        row.ok_or_else(|| Rule::NoSuchReport(report).into())
    }

    pub(super) fn report_state(
        &self,
        report: ReportNo,
        to: &ReportState,
        why: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let row = self.report_row(report)?;
        let number = report_state_number(to);
        let upstream_id = to.upstream_id();
        let same_id = upstream_id.is_none() || upstream_id == row.upstream_id.as_deref();
        if row.state == number && same_id {
            return Ok(());
        }
        if row.state >= ACCEPTED {
            let (from, to) = (report_state_key(row.state), report_state_key(number));
            return Err(Rule::ReportStep { report, from, to }.into());
        }
        let attempts = u32::from(*to == ReportState::Sent);
        let sql = "UPDATE reports SET state = ?3, why = ?4, upstream_id = ifnull(?5, upstream_id), \
                   changed_at = ?6, attempts = attempts + ?7 WHERE report_no = ?1 AND state = ?2";
        let params = params![report.0, row.state, number, cut(why), upstream_id, at.0, attempts];
        self.must("the state of a report", 1, sql, params)?;
        match to {
            ReportState::Accepted => self.take_effect(report, &row)?,
            ReportState::Refused => {
                self.run("UPDATE report_ranges SET live = 0 WHERE report_no = ?1", [report.0])?;
                let sql = "UPDATE runs SET carried = carried - ?2 WHERE run = ?1";
                self.must("a run", 1, sql, (row.run.0, row.passes))?;
            }
            ReportState::Wanted
            | ReportState::Sent
            | ReportState::Unknown
            | ReportState::Processing { .. } => {}
        }
        self.changed(Change::Report(report, to), "", why, at)
    }

    /// The codes of the report are applied: their counts move, no code is touched.
    fn take_effect(&self, report: ReportNo, row: &ReportRow) -> Result<(), Fault> {
        let sql = "SELECT block_no, n FROM report_blocks WHERE report_no = ?1";
        for (block, n) in self.all(sql, [report.0], |r| Ok((BlockNo(r.get(0)?), r.get(1)?)))? {
            self.move_in_block(block, Heap::Verified, Heap::Applied, n)?;
        }
        self.move_in_run(row.run, Heap::Verified, Heap::Applied, row.passes)
    }

    /// Upstream refused the code of one pass for good. To be recorded before the report is `Accepted`.
    pub(super) fn unresolved(
        &self,
        report: ReportNo,
        pass: PassNo,
        why: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let row = self.report_row(report)?;
        let sql = "SELECT block_no FROM report_ranges g JOIN passes p ON p.run = g.run AND p.pass_no = ?2 \
                   JOIN runs r ON r.run = g.run JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
                   WHERE g.report_no = ?1 AND ?2 BETWEEN g.first AND g.last";
        let block = self.one(sql, (report.0, pass.0), |r| Ok(BlockNo(r.get(0)?)))?;
        let block = block.ok_or(Rule::NotCarried { report, pass })?;
        let sql = "SELECT 1 FROM held WHERE run = ?1 AND pass_no = ?2";
        if self.one(sql, (row.run.0, pass.0), |_| Ok(()))?.is_some() {
            return Ok(());
        }
        // In effect, or refused and carried by its successor: too late.
        if row.state >= ACCEPTED && self.carried_by(row.run, pass)?.is_some() {
            let (from, to) = (report_state_key(row.state), "unresolved in part");
            return Err(Rule::ReportStep { report, from, to }.into());
        }
        if row.state < ACCEPTED {
            let sql = "UPDATE report_blocks SET n = n - 1 WHERE report_no = ?1 AND block_no = ?2";
            self.must("the blocks of a report", 1, sql, (report.0, block.0))?;
            let sql = "UPDATE reports SET passes = passes - 1 WHERE report_no = ?1";
            self.must("a report", 1, sql, [report.0])?;
            let sql = "UPDATE runs SET carried = carried - 1 WHERE run = ?1";
            self.must("a run", 1, sql, [row.run.0])?;
        }
        self.hold(row.run, pass, block, Some(report), cut(why), at)
    }
}
