//! What is kept for people: incidents, the audit log, alarms, answers of upstream, changes of state.
//!
//! These have no key of their own: the very same fact at the very same moment is written once.

use rusqlite::params;
use tamga_domain::code::Identity;
use tamga_domain::ids::{DocumentNo, LineNo, OrderNo, PackNo, ReportNo, RunId, Tag};
use tamga_domain::pack::{PackName, PackState};
use tamga_domain::record::{OrderState, ReportState, RunState};

use tamga_domain::time::Wall;

use super::error::Fault;
use super::limits::{ANSWER_BYTES_MAX, ANSWERS_MAX, TEXT_CHARS_MAX};
use super::rows::run_state_number;
use super::trail::{Field, Trail};
use super::tx::Tx;
use crate::dossier::Hash;

/// A change of state, to be told later with who and why.
pub(super) enum Change<'a> {
    Run(RunId, RunState),
    Order(OrderNo, &'a OrderState),
    Report(ReportNo, &'a ReportState),
    Pack(PackNo, PackState, PackMark),
    Document(DocumentNo, &'a ReportState),
    /// Its closing sheet was signed; the head of the dossier.
    Signed(RunId, Hash),
}

/// What became of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PackMark {
    Opened,
    Named(PackName),
    /// A label with its name was asked for, and how many there are with it.
    Label(u32),
    Full,
    Short,
    /// Its content changed under its name; keys of what was asked.
    Reworked(&'static str),
    /// It is what stayed in the pack with this name, which became void.
    Follows(Option<PackName>),
    Voided,
    /// Upstream refused it, and is to be told once more.
    Again,
}

impl PackMark {
    /// The stable key (`pack.change.<key>`), and what goes with it.
    fn written(self) -> (&'static str, String) {
        match self {
            PackMark::Opened => ("opened", String::new()),
            PackMark::Named(name) => ("named", name.to_string()),
            PackMark::Label(no) => ("label", no.to_string()),
            PackMark::Full => ("full", String::new()),
            PackMark::Short => ("short", String::new()),
            PackMark::Reworked(what) => ("reworked", what.to_owned()),
            PackMark::Follows(name) => ("follows", name.map(|name| name.to_string()).unwrap_or_default()),
            PackMark::Voided => ("voided", String::new()),
            PackMark::Again => ("again", String::new()),
        }
    }
}

/// A fact worth telling that moved no state.
pub(super) struct Incident<'a> {
    pub(super) run: Option<RunId>,
    pub(super) code: Option<&'a Identity>,
    pub(super) tag: Option<Tag>,
    pub(super) key: &'a str,
    pub(super) detail: &'a str,
    pub(super) at: Wall,
}

/// A long text, cut at a border of characters.
pub(super) fn cut(text: &str) -> &str {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

impl Tx<'_> {
    pub(super) fn changed(&self, change: Change<'_>, who: &str, why: &str, at: Wall) -> Result<(), Fault> {
        let nothing = || ("", String::new());
        let (subject, no, state, (mark, detail)) = match change {
            Change::Run(run, state) => (1, run.0, run_state_number(state), nothing()),
            Change::Order(order, state) => (2, order.0, super::orders::order_state_number(state), nothing()),
            Change::Report(report, state) => {
                (3, report.0, super::reports::report_state_number(state), nothing())
            }
            Change::Pack(pack, state, mark) => {
                (4, pack.0, super::pack_rows::state_number(state), mark.written())
            }
            Change::Document(document, state) => {
                (5, document.0, super::reports::report_state_number(state), nothing())
            }
            Change::Signed(run, head) => {
                (1, run.0, run_state_number(RunState::Closed), ("signed", head.to_string()))
            }
        };
        let (why, numbers) = (cut(why), [at.0, subject, i64::from(no), state]);
        let texts = [who, mark, &detail, why].map(Field::Text);
        let fields = texts.into_iter().chain(numbers.map(Field::Number)).collect::<Vec<_>>();
        let (id, hash) = self.next_of(Trail::Changes, &fields)?;
        let sql = "INSERT INTO changes(id, subject, no, state, who, why, mark, detail, at, hash) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.run(sql, params![id, subject, no, state, who, why, mark, detail, at.0, hash.0])?;
        Ok(())
    }

    pub(super) fn incident(&self, incident: Incident<'_>) -> Result<(), Fault> {
        let Incident { run, code, tag, key, detail, at } = incident;
        let gtin = code.map(|c| self.gtin_id_or_new(&c.gtin)).transpose()?;
        let serial = code.map(|c| c.serial.as_bytes());
        let (run, boot, number) = (run.map(|r| r.0), tag.map(|t| t.boot), tag.map(|t| t.number));
        let sql = "INSERT INTO incidents(run, gtin_id, serial, boot, tag, key, detail, at) \
                   SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS(SELECT 1 FROM incidents \
                   WHERE run IS ?1 AND at = ?8 AND gtin_id IS ?2 AND serial IS ?3 AND boot IS ?4 AND tag IS ?5 \
                   AND key = ?6 AND detail = ?7)";
        self.run(sql, params![run, gtin, serial, boot, number, key, cut(detail), at.0])?;
        Ok(())
    }

    pub(super) fn audit(
        &self,
        who: &str,
        from: &str,
        command: &str,
        outcome: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let (command, outcome) = (cut(command), cut(outcome));
        let sql = "SELECT 1 FROM audit WHERE at = ?5 AND who = ?1 AND come_from = ?2 AND command = ?3 AND outcome = ?4";
        if self.one(sql, (who, from, command, outcome, at.0), |_| Ok(()))?.is_some() {
            return Ok(());
        }
        let [a, b, c, d] = [who, from, command, outcome].map(Field::Text);
        let (id, hash) = self.next_of(Trail::Audit, &[a, b, c, d, Field::Number(at.0)])?;
        let sql = "INSERT INTO audit(id, who, come_from, command, outcome, at, hash) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.run(sql, (id, who, from, command, outcome, at.0, hash.0))?;
        Ok(())
    }

    pub(super) fn answer_kept(
        &self,
        request: &str,
        status: Option<u16>,
        body: &[u8],
        at: Wall,
    ) -> Result<(), Fault> {
        let body = &body[..body.len().min(ANSWER_BYTES_MAX)];
        // The newest row is enough to look at: only the last commit's outcome can have been lost.
        let sql = "INSERT INTO answers(request, status, body, at) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS(\
                   SELECT 1 FROM (SELECT * FROM answers ORDER BY id DESC LIMIT 4) \
                   WHERE at = ?4 AND request = ?1 AND status IS ?2 AND body = ?3)";
        self.run(sql, (request, status, body, at.0))?;
        self.run("DELETE FROM answers WHERE id <= (SELECT max(id) FROM answers) - ?1", [ANSWERS_MAX])?;
        Ok(())
    }

    pub(super) fn alarm_raised(
        &self,
        line: Option<LineNo>,
        key: &str,
        detail: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let line = line.map(|l| l.0);
        let detail = cut(detail);
        let sql = "UPDATE alarms SET detail = ?3 WHERE ifnull(line, -1) = ifnull(?1, -1) AND key = ?2 \
                   AND cleared_at IS NULL";
        if self.run(sql, (line, key, detail))? == 0 {
            let sql = "INSERT INTO alarms(line, key, detail, raised_at) VALUES(?1, ?2, ?3, ?4)";
            self.run(sql, (line, key, detail, at.0))?;
        }
        Ok(())
    }

    pub(super) fn alarm_cleared(&self, line: Option<LineNo>, key: &str, at: Wall) -> Result<(), Fault> {
        let sql = "UPDATE alarms SET cleared_at = ?3 WHERE ifnull(line, -1) = ifnull(?1, -1) AND key = ?2 \
                   AND cleared_at IS NULL";
        self.run(sql, (line.map(|l| l.0), key, at.0))?;
        Ok(())
    }

    pub(super) fn alarm_acknowledged(
        &self,
        line: Option<LineNo>,
        key: &str,
        who: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let sql = "UPDATE alarms SET acknowledged_at = ?3, acknowledged_by = ?4 \
                   WHERE ifnull(line, -1) = ifnull(?1, -1) AND key = ?2 AND cleared_at IS NULL \
                   AND acknowledged_at IS NULL";
        self.run(sql, (line.map(|l| l.0), key, at.0, who))?;
        Ok(())
    }
}
