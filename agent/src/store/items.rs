//! Items: numbered by the trigger, ended by the gate's word, settled later where the gate had none.

use rusqlite::params;
use tamga_domain::code::Identity;
use tamga_domain::ids::{BlockNo, LineNo, PassNo, ReportNo, RunId, Tag};
use tamga_domain::lifecycle::{Happening, State, Whereabouts};
use tamga_domain::record::{Answer, ItemEnd};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

use super::error::{Fault, Rule};
use super::people::Incident;
use super::rows::{CodeRow, Key, no_step, serial_of, step};
use super::runs::RunRow;
use super::tx::Tx;

/// Passes are counted by block in buckets of 128 (a shift by seven bits).
pub(super) const BUCKET_BITS: u32 = 7;

/// How an item ended, as `ends.how` and the counters name it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Passed,
    Rejected(&'static str),
    Lost,
    Escaped,
}

impl How {
    fn key(self) -> &'static str {
        match self {
            How::Passed => "passed",
            How::Rejected(reason) => reason,
            How::Lost => "lost",
            How::Escaped => "escaped",
        }
    }

    fn column(self) -> &'static str {
        match self {
            How::Passed => "passed",
            How::Rejected(_) => "rejected",
            How::Lost => "lost",
            How::Escaped => "escaped",
        }
    }
}

impl Tx<'_> {
    pub(super) fn trigger(&self, run: RunId, tag: Tag, at: Wall) -> Result<(), Fault> {
        let row = self.run_row(run)?;
        match self.open_tag(row.line, tag)? {
            Some(of) if of == run => return Ok(()),
            Some(of) => return Err(Rule::TagTaken { run: of, tag }.into()),
            None => {}
        }
        if self.last_tag(row.line)?.is_some_and(|last| tag <= last) {
            // Tags only grow: this item was numbered, and ended, before.
            return Ok(());
        }
        let row = row.open()?;
        self.set_last_tag(row.line, tag)?;
        let sql = "INSERT INTO open_tags(line, boot, tag, run, at) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.run(sql, (row.line.0, tag.boot, tag.number, run.0, at.0))?;
        let sql = "UPDATE runs SET triggers = triggers + 1, open_tags = open_tags + 1 WHERE run = ?1";
        self.must("a run", 1, sql, [run.0])
    }

    pub(super) fn away(&self, run: RunId, from: Tag, to: Tag, at: Wall) -> Result<(), Fault> {
        if from.boot != to.boot || from > to {
            return Err(Rule::Tags { from, to }.into());
        }
        let row = self.run_row(run)?;
        // Tags only grow, and those that are open were recorded: what is after the last one is new, all of it.
        let first = match self.last_tag(row.line)? {
            Some(last) if to <= last => return Ok(()),
            Some(last) if from <= last => last.number + 1,
            Some(_) | None => from.number,
        };
        let row = row.open()?;
        self.set_last_tag(row.line, to)?;
        let sql = "INSERT INTO away(run, boot, first, last, at) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.run(sql, (run.0, to.boot, first, to.number, at.0))?;
        let n = u64::from(to.number) + 1 - u64::from(first);
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        let sql = "UPDATE runs SET triggers = triggers + ?2, rejected = rejected + ?2 WHERE run = ?1";
        self.must("the items of a run", 1, sql, (run.0, n))?;
        self.count_rejects(run, Reason::Away.key(), n)
    }

    /// The last tag of a line that was recorded, open or ended.
    fn last_tag(&self, line: LineNo) -> Result<Option<Tag>, Fault> {
        let sql = "SELECT last_boot, last_tag FROM lines WHERE line = ?1 AND last_boot IS NOT NULL";
        self.one(sql, [line.0], |r| Ok(Tag { boot: r.get(0)?, number: r.get(1)? }))
    }

    fn set_last_tag(&self, line: LineNo, tag: Tag) -> Result<(), Fault> {
        let sql = "UPDATE lines SET last_boot = ?2, last_tag = ?3 WHERE line = ?1";
        self.must("a line", 1, sql, (line.0, tag.boot, tag.number))
    }

    fn count_rejects(&self, run: RunId, reason: &str, n: i64) -> Result<(), Fault> {
        let sql = "INSERT INTO run_rejects(run, reason, n) VALUES(?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET n = n + ?3";
        self.run(sql, (run.0, reason, n))?;
        Ok(())
    }

    pub(super) fn end(&self, run: RunId, tag: Tag, end: &ItemEnd, at: Wall) -> Result<Option<Answer>, Fault> {
        let row = self.run_row(run)?;
        match end {
            ItemEnd::Passed { code } => self.end_passed(row, tag, code, at).map(Some),
            ItemEnd::Rejected { reason, code } => {
                self.end_rejected(&row, tag, *reason, code.as_ref(), at)?;
                Ok(None)
            }
            ItemEnd::Lost { code } => {
                if let Some(code) = code {
                    let found = self.of_this_item(run, tag, code)?;
                    if self.was_packed(&self.key(code)?, &found)? {
                        return Ok(None);
                    }
                }
                self.end_item(&row, tag, How::Lost, at)?;
                Ok(None)
            }
            ItemEnd::Escaped => {
                self.end_item(&row, tag, How::Escaped, at)?;
                Ok(None)
            }
        }
    }

    fn end_passed(&self, run: RunRow, tag: Tag, code: &Identity, at: Wall) -> Result<Answer, Fault> {
        let row = self.of_this_item(run.run, tag, code)?;
        if let (State::Verified(Whereabouts::Passed), Some(pass)) = (row.state, row.pass) {
            return Ok(Answer::Passed(pass));
        }
        let run = run.open()?;
        self.end_item(&run, tag, How::Passed, at)?;
        self.pass(&run, &self.key(code)?, &row, at).map(Answer::Passed)
    }

    fn end_rejected(
        &self,
        run: &RunRow,
        tag: Tag,
        reason: Reason,
        code: Option<&Identity>,
        at: Wall,
    ) -> Result<(), Fault> {
        let how = How::Rejected(reason.key());
        // The code verified for this item shares its fate, named or not.
        let verified = match code {
            Some(code) => Some(*code),
            None => self.unknown_of_tag(run.run, tag)?.map(|serial| self.named(run, &serial)).transpose()?,
        };
        if let Some(code) = verified {
            let row = self.of_this_item(run.run, tag, &code)?;
            if self.was_packed(&self.key(&code)?, &row)? {
                return Ok(());
            }
            match row.state {
                // A person declared it scrapped before the gate spoke.
                State::Verified(Whereabouts::Rejected) | State::Spoiled(_) => {}
                _ => self.reject(run, &self.key(&code)?, &row, at)?,
            }
        }
        self.end_item(run, tag, how, at)
    }

    pub(super) fn settle(
        &self,
        run: RunId,
        code: &Identity,
        passed: bool,
        who: &str,
        at: Wall,
    ) -> Result<Option<Answer>, Fault> {
        let run_row = self.run_row(run)?;
        let key = self.key(code)?;
        let row = self.code(&key)?.ok_or_else(|| Rule::UnknownCode(*code))?;
        if row.run != Some(run) {
            return Err(Rule::OtherRun { code: *code, run }.into());
        }
        match (row.state, row.pass, passed) {
            (State::Verified(Whereabouts::Passed), Some(pass), true) => {
                return Ok(Some(Answer::Passed(pass)));
            }
            (State::Verified(Whereabouts::Rejected), _, false) => return Ok(None),
            (State::Verified(Whereabouts::Passed), Some(pass), false) if self.was_packed(&key, &row)? => {
                return Ok(Some(Answer::Passed(pass)));
            }
            _ => {}
        }
        let (Some(tag), State::Verified(Whereabouts::Unknown)) = (row.tag, row.state) else {
            let happening = if passed { Happening::ItemPassed } else { Happening::ItemRejected };
            return Err(no_step(code, row.state, happening));
        };
        let run_row = run_row.open()?;
        let answer = if passed {
            self.end_item(&run_row, tag, How::Passed, at)?;
            Some(Answer::Passed(self.pass(&run_row, &key, &row, at)?))
        } else {
            self.end_item(&run_row, tag, How::Rejected(Reason::Late.key()), at)?;
            self.reject(&run_row, &key, &row, at)?;
            None
        };
        let key = if passed { "settled_passed" } else { "settled_rejected" };
        let (run, code, tag) = (Some(run), Some(code), Some(tag));
        self.incident(Incident { run, code, tag, key, detail: who, at })?;
        Ok(answer)
    }

    /// A read at a packing station has settled that the item passed, whatever the line, which had not heard of it, says.
    fn was_packed(&self, key: &Key<'_>, row: &CodeRow) -> Result<bool, Fault> {
        if row.state != State::Verified(Whereabouts::Passed) || row.pack.is_some() {
            return Ok(row.pack.is_some());
        }
        let sql = "SELECT 1 FROM taken_out WHERE gtin_id = ?1 AND serial = ?2";
        Ok(self.one(sql, (key.gtin, key.serial()), |_| Ok(()))?.is_some())
    }

    /// Closes an open item, or corrects one that was counted lost or escaped before it was known better.
    fn end_item(&self, run: &RunRow, tag: Tag, how: How, at: Wall) -> Result<(), Fault> {
        let sql = "DELETE FROM open_tags WHERE line = ?1 AND boot = ?2 AND tag = ?3 AND run = ?4";
        let open = self.run(sql, (run.line.0, tag.boot, tag.number, run.run.0))? == 1;
        let from = if open {
            "open_tags"
        } else {
            match self.ended(run.run, tag)?.as_deref() {
                Some(before) if before == how.key() => return Ok(()),
                Some("lost") if how != How::Escaped => "lost",
                Some("escaped") if how != How::Lost => "escaped",
                Some(before) => {
                    let how = before.to_string();
                    return Err(Rule::EndedOtherwise { run: run.run, tag, how }.into());
                }
                None => return Err(Rule::TagNotOpen { run: run.run, tag }.into()),
            }
        };
        let to = how.column();
        let sql = format!("UPDATE runs SET {from} = {from} - 1, {to} = {to} + 1 WHERE run = ?1");
        self.must("the items of a run", 1, &sql, [run.run.0])?;
        if let How::Rejected(reason) = how {
            self.count_rejects(run.run, reason, 1)?;
        }
        if how == How::Passed {
            if !open {
                let sql = "DELETE FROM ends WHERE run = ?1 AND boot = ?2 AND tag = ?3";
                self.must("the end of an item", 1, sql, (run.run.0, tag.boot, tag.number))?;
            }
            return Ok(());
        }
        let sql = "INSERT INTO ends(run, boot, tag, how, at) VALUES(?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET how = excluded.how, at = excluded.at";
        self.run(sql, (run.run.0, tag.boot, tag.number, how.key(), at.0))?;
        Ok(())
    }

    /// How an item that did not pass ended, by itself or in a range.
    fn ended(&self, run: RunId, tag: Tag) -> Result<Option<String>, Fault> {
        let sql = "SELECT how FROM ends WHERE run = ?1 AND boot = ?2 AND tag = ?3";
        let how = self.one(sql, (run.0, tag.boot, tag.number), |r| r.get(0))?;
        if how.is_some() {
            return Ok(how);
        }
        // Ranges do not overlap: the last one that begins at or before the tag tells.
        let sql =
            "SELECT last FROM away WHERE run = ?1 AND boot = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1";
        let last: Option<u32> = self.one(sql, (run.0, tag.boot, tag.number), |r| r.get(0))?;
        Ok(last.filter(|last| *last >= tag.number).map(|_| Reason::Away.key().to_owned()))
    }

    /// Gives a code whose pass was unknown the next pass number of its run.
    fn pass(&self, run: &RunRow, key: &Key<'_>, row: &CodeRow, at: Wall) -> Result<PassNo, Fault> {
        let to = step(key.identity, row.state, Happening::ItemPassed)?;
        let pass = PassNo(run.last_pass + 1);
        let sql = "UPDATE runs SET last_pass = ?2 WHERE run = ?1 AND last_pass = ?2 - 1";
        self.must("the passes of a run", 1, sql, (run.run.0, pass.0))?;
        let sql = "UPDATE codes SET pass_no = ?3, ended_after = ?4 WHERE gtin_id = ?1 AND serial = ?2";
        let after = run.after(at) - row.verified_after.unwrap_or(0);
        self.must("a code", 1, sql, (key.gtin, key.serial(), pass.0, after))?;
        self.set_state(key, row, to)?;
        let sql = "INSERT INTO passes(run, pass_no, serial) VALUES(?1, ?2, ?3)";
        self.run(sql, (run.run.0, pass.0, key.serial()))?;
        self.count_pass(run.run, pass, row.block, 1)?;
        Ok(pass)
    }

    fn reject(&self, run: &RunRow, key: &Key<'_>, row: &CodeRow, at: Wall) -> Result<(), Fault> {
        let to = step(key.identity, row.state, Happening::ItemRejected)?;
        let sql = "UPDATE codes SET ended_after = ?3 WHERE gtin_id = ?1 AND serial = ?2";
        let after = run.after(at) - row.verified_after.unwrap_or(0);
        self.must("a code", 1, sql, (key.gtin, key.serial(), after))?;
        self.set_state(key, row, to)
    }

    /// Counts a pass that a report may carry, or takes it out with a negative `n`.
    pub(super) fn count_pass(&self, run: RunId, pass: PassNo, block: BlockNo, n: i64) -> Result<(), Fault> {
        let sql = "INSERT INTO pass_blocks(run, bucket, block_no, n) VALUES(?1, ?2, ?3, max(?4, 0)) \
                   ON CONFLICT DO UPDATE SET n = n + ?4";
        self.run(sql, (run.0, pass.0 >> BUCKET_BITS, block.0, n))?;
        Ok(())
    }

    /// Keeps a pass out of every report from now on.
    pub(super) fn hold(
        &self,
        run: RunId,
        pass: PassNo,
        block: BlockNo,
        report: Option<ReportNo>,
        why: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let sql = "INSERT INTO held(run, pass_no, report_no, why, at) VALUES(?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO NOTHING";
        if self.run(sql, params![run.0, pass.0, report.map(|r| r.0), why, at.0])? == 1 {
            self.must("a run", 1, "UPDATE runs SET held = held + 1 WHERE run = ?1", [run.0])?;
            self.count_pass(run, pass, block, -1)?;
        }
        Ok(())
    }

    /// The code, which must have been verified for this item.
    fn of_this_item(&self, run: RunId, tag: Tag, code: &Identity) -> Result<CodeRow, Fault> {
        let row = self.code(&self.key(code)?)?.ok_or_else(|| Rule::UnknownCode(*code))?;
        if row.run != Some(run) {
            return Err(Rule::OtherRun { code: *code, run }.into());
        }
        if row.tag == Some(tag) { Ok(row) } else { Err(Rule::TagNotOpen { run, tag }.into()) }
    }

    pub(super) fn open_tag(&self, line: LineNo, tag: Tag) -> Result<Option<RunId>, Fault> {
        let sql = "SELECT run FROM open_tags WHERE line = ?1 AND boot = ?2 AND tag = ?3";
        self.one(sql, (line.0, tag.boot, tag.number), |r| Ok(RunId(r.get(0)?)))
    }

    /// The serial of the code that was verified for an item and whose pass is unknown.
    pub(super) fn unknown_of_tag(&self, run: RunId, tag: Tag) -> Result<Option<Vec<u8>>, Fault> {
        let sql = "SELECT serial FROM codes WHERE run = ?1 AND boot = ?2 AND tag = ?3 AND state = 2";
        self.one(sql, (run.0, tag.boot, tag.number), |r| r.get(0))
    }

    fn named(&self, run: &RunRow, serial: &[u8]) -> Result<Identity, Fault> {
        Ok(Identity { gtin: self.gtin_of_id(run.gtin_id)?, serial: serial_of(serial)? })
    }
}
