//! One record, one place: which part of the store makes it durable.

use tamga_domain::record::{Answer, Record};

use super::codes::Wanted;
use super::error::Fault;
use super::people::Incident;
use super::reports::Draft;
use super::runs::SignOff;
use super::tx::Tx;
use crate::dossier::Hash;

impl Tx<'_> {
    pub(super) fn apply(&self, record: &Record) -> Result<Option<Answer>, Fault> {
        match record {
            Record::RunOpened { .. }
            | Record::RunState { .. }
            | Record::SignedOff { .. }
            | Record::Issue { .. }
            | Record::Job { .. }
            | Record::Verify { .. }
            | Record::Trigger { .. }
            | Record::Away { .. }
            | Record::End { .. }
            | Record::Settle { .. }
            | Record::Spoil { .. }
            | Record::SpoilLeft { .. } => self.apply_line(record),
            Record::Import { .. }
            | Record::OrderWanted { .. }
            | Record::OrderState { .. }
            | Record::Block { .. }
            | Record::Unpack { .. }
            | Record::Return { .. }
            | Record::ReportDrafted { .. }
            | Record::ReportState { .. }
            | Record::Unresolved { .. } => self.apply_upstream(record),
            Record::Pack(record) => self.apply_pack(record),
            Record::Share(record) => self.apply_share(record).map(|()| None),
            Record::Document(record) => self.apply_document(record),
            Record::Incident { .. }
            | Record::AnswerKept { .. }
            | Record::Audit { .. }
            | Record::AlarmRaised { .. }
            | Record::AlarmCleared { .. }
            | Record::AlarmAcknowledged { .. } => self.apply_people(record).map(|()| None),
        }
    }

    fn apply_line(&self, record: &Record) -> Result<Option<Answer>, Fault> {
        match record {
            Record::RunOpened { line, plan, who, at, gate } => {
                self.run_opened(*line, plan, who, *at, *gate).map(Some)
            }
            Record::RunState { run, state, why, who, at } => {
                self.run_state(*run, *state, why, who, *at).map(|()| None)
            }
            Record::SignedOff { run, who, from, why, unresolved, lines, head, at } => {
                let of =
                    SignOff { who, from, why, unresolved: *unresolved, lines: *lines, head: Hash(*head) };
                self.signed_off(*run, &of, *at).map(|()| None)
            }
            Record::Issue { run, printer, count, life_left_min_ms, day_ends, at } => {
                let wanted = Wanted { life_left_min_ms: *life_left_min_ms, day_ends: *day_ends };
                self.issue(*run, *printer, *count, wanted, *at).map(Some)
            }
            Record::Job { run, code, outcome, at } => self.job(*run, code, *outcome, *at),
            Record::Verify { run, code, tag, at } => self.verify(*run, code, *tag, *at).map(|()| None),
            Record::Trigger { run, tag, at } => self.trigger(*run, *tag, *at).map(|()| None),
            Record::Away { run, from, to, at } => self.away(*run, *from, *to, *at).map(|()| None),
            Record::End { run, tag, end, at } => self.end(*run, *tag, end, *at),
            Record::Settle { run, code, passed, who, at, .. } => self.settle(*run, code, *passed, who, *at),
            Record::Spoil { code, reason, who, at } => self.spoil(code, *reason, who, *at),
            Record::SpoilLeft { run, limit, who, at } => self.spoil_left(*run, *limit, who, *at).map(Some),
            _ => Ok(None),
        }
    }

    fn apply_upstream(&self, record: &Record) -> Result<Option<Answer>, Fault> {
        match record {
            Record::Import { roll, codes, group, at } => self.import(roll, codes, group, *at).map(Some),
            Record::OrderWanted { order, at } => self.order_wanted(order, *at).map(Some),
            Record::OrderState { order, state, why, at } => self.order_state(*order, state, why, *at),
            Record::Block { order, pack_id, previous, body, count, at } => {
                self.block(*order, pack_id, previous.as_deref(), body, *count, *at).map(Some)
            }
            Record::Unpack { block, from, slice, at } => self.unpack(*block, *from, slice, *at).map(Some),
            Record::Return { order, limit, at } => self.give_back(*order, *limit, *at).map(Some),
            Record::ReportDrafted { run, kind, passes, replaces, unsure, zone, by, at } => {
                let draft = Draft {
                    run: *run,
                    kind: *kind,
                    passes,
                    replaces: *replaces,
                    unsure: *unsure,
                    zone: *zone,
                    by: *by,
                };
                self.report_drafted(&draft, *at).map(Some)
            }
            Record::ReportState { report, state, why, at } => {
                self.report_state(*report, state, why, *at).map(|()| None)
            }
            Record::Unresolved { report, pass, why, at } => {
                self.unresolved(*report, *pass, why, *at).map(|()| None)
            }
            _ => Ok(None),
        }
    }

    fn apply_people(&self, record: &Record) -> Result<(), Fault> {
        match record {
            Record::Incident { run, code, tag, key, detail, at } => {
                let (run, tag, at) = (*run, *tag, *at);
                self.incident(Incident { run, code: code.as_ref(), tag, key, detail, at })
            }
            Record::AnswerKept { request, status, body, at } => self.answer_kept(request, *status, body, *at),
            Record::Audit { who, from, command, outcome, at } => self.audit(who, from, command, outcome, *at),
            Record::AlarmRaised { line, key, detail, at } => self.alarm_raised(*line, key, detail, *at),
            Record::AlarmCleared { line, key, at } => self.alarm_cleared(*line, key, *at),
            Record::AlarmAcknowledged { line, key, who, at } => self.alarm_acknowledged(*line, key, who, *at),
            _ => Ok(()),
        }
    }
}
