//! Commit, then act: the records of a turn, and what waits for them.

use super::{AskId, Effect, GateOrder, Job, JobId, Line, ReadId, ask};
use crate::code::Identity;
use crate::ids::{PrinterNo, Tag, TxnId};
use crate::limits::LAZY_MS;
use crate::pack::record::PackAnswer;
use crate::record::{Answer, Issued, JobOutcome, Record, RunState, Txn};
use crate::time::{Time, Wall};
use std::time::Duration;

/// How long after an empty pool the store is asked again.
const POOL_RETRY: Duration = Duration::from_secs(1);

/// What is done when the records are durable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum After {
    /// The code's item may pass.
    Pass { tag: Tag, code: Identity, read_at: Time },
    /// The store's answer names the codes for this printer.
    Print { printer: PrinterNo, asked: u32 },
    /// The store's answer names the run that was opened.
    Opened { ask: AskId },
    /// The run is running: the belt may move.
    Started {
        ask: AskId,
        /// The number of stops when it was asked for.
        stops: u64,
    },
    /// A person's request is carried out.
    Reply { ask: AskId, reply: ask::Reply },
    /// A person's word on a code is carried out, or the store's answer says why not.
    Declared { ask: AskId, code: Identity },
    /// The store's answer says how many codes of the closing run are still to be spoiled.
    SpoiledSlice { who: String },
}

/// The records of a turn. Urgent ones are wanted now; lazy ones may wait a little for company.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    records: Vec<Record>,
    after: Vec<After>,
    urgent: bool,
    since: Option<Time>,
}

impl Line {
    /// Writes with the next commit, which is made at the end of this turn.
    pub(super) fn urgent(&mut self, record: Record) {
        self.batch.records.push(record);
        self.batch.urgent = true;
    }

    /// Writes with the next commit that somebody waits for, or a little later.
    pub(super) fn lazy(&mut self, record: Record) {
        self.batch.records.push(record);
    }

    /// Does `after` when the records so far are durable.
    pub(super) fn then(&mut self, after: After) {
        self.batch.after.push(after);
        self.batch.urgent = true;
    }

    pub(super) fn commit(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.batch.records.is_empty() && self.batch.after.is_empty() {
            return;
        }
        let since = *self.batch.since.get_or_insert(now);
        let ripe = now.since(since) >= Duration::from_millis(LAZY_MS);
        if !self.batch.urgent && !ripe {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.next_txn += 1;
        let id = TxnId(self.next_txn);
        self.in_flight.insert(id, batch.after);
        out.push(Effect::Commit(Txn { id, records: batch.records }));
    }

    /// Commits what this turn has so far where a declaration is in it: the store's answer to one names no code where the
    /// item lies in a pack, so each has a commit of its own.
    pub(super) fn commit_declared(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.batch.after.iter().any(|after| matches!(after, After::Declared { .. })) {
            self.commit(now, out);
        }
    }

    /// When the lazy records are due.
    pub(super) fn batch_due(&self) -> Option<Time> {
        self.batch.since.map(|s| s.after(Duration::from_millis(LAZY_MS)))
    }

    pub(super) fn on_committed(
        &mut self,
        txn: TxnId,
        answers: Vec<Answer>,
        now: Time,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let after = self.in_flight.remove(&txn).unwrap_or_default();
        let mut issued = answers.iter().filter_map(|a| match a {
            Answer::Issued(codes) => Some((codes.clone(), None)),
            Answer::Barred(_) => Some((Vec::new(), None)),
            Answer::Later(codes) => Some((Vec::new(), Some(*codes))),
            _ => None,
        });
        let left = answers.iter().find_map(|a| match a {
            Answer::Left { codes } => Some(*codes),
            _ => None,
        });
        let opened = answers.iter().find_map(|a| match a {
            Answer::Run(run) => Some(Ok(*run)),
            Answer::KeyTaken(run) => Some(Err(*run)),
            _ => None,
        });
        for answer in &answers {
            if let Answer::Barred(bar) = answer {
                self.stop(bar.key(), "", wall, out);
            }
        }
        for act in after {
            match act {
                After::Pass { tag, code, read_at } => self.may_pass(tag, &code, read_at, now, wall, out),
                After::Print { printer, asked } => {
                    self.print(printer, asked, issued.next().unwrap_or_default(), now, wall, out);
                }
                After::Opened { ask } => {
                    if let Some(run) = opened {
                        self.opened(ask, run, wall, out);
                    }
                }
                After::Started { ask, stops } => self.started(ask, stops, now, wall, out),
                After::Reply { ask, reply } => out.push(Effect::Reply(ask, Ok(reply))),
                After::Declared { ask, code } => {
                    let refusal = nothing_changed(&code, &answers);
                    out.push(Effect::Reply(ask, refusal.map_or(Ok(ask::Reply::Done), Err)));
                }
                After::SpoiledSlice { who } => self.spoiled_slice(left.unwrap_or(0), &who, wall),
            }
        }
        for answer in &answers {
            if let Answer::Contradicted(code) = answer {
                self.raise("alarm.contradicted", &code.to_string(), wall);
            }
        }
        self.prune_verifying();
    }

    /// A failed commit may be durable all the same: nothing is assumed, nothing is done again, the line stands until
    /// the process has been started anew and has read what is there.
    pub(super) fn on_commit_failed(&mut self, txn: TxnId, why: &str, wall: Wall, out: &mut Vec<Effect>) {
        self.in_flight.remove(&txn);
        self.stop("disk", why, wall, out);
        self.broken = true;
        self.batch = Batch::default();
    }

    /// After a failed commit the line answers people, keeps the belt stopped, and does nothing else.
    pub(super) fn refuse_broken(&mut self, input: super::Input, out: &mut Vec<Effect>) {
        match input {
            super::Input::Ask(id, ..) => out.push(Effect::Reply(id, Err(ask::Refusal::new("refuse.disk")))),
            super::Input::Gate(super::GateEvent::Connected { .. }) => {
                out.push(Effect::Gate(GateOrder::StopLine));
            }
            _ => {}
        }
    }

    /// The codes are durably issued: now, and not before, their bytes go to the printer.
    fn print(
        &mut self,
        no: PrinterNo,
        asked: u32,
        (issued, later): (Vec<Issued>, Option<u64>),
        now: Time,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = &self.run else { return };
        let (run_id, plan) = (run.id, run.plan.clone());
        if !issued.is_empty() {
            self.clear("alarm.pool_empty", wall);
            self.clear("alarm.day_over", wall);
        }
        if !self.running() {
            return self.give_back(no, asked, &issued, wall);
        }
        let short = u32::try_from(issued.len()).unwrap_or(u32::MAX) < asked;
        let product = self.config.products.get(&plan.gtin).cloned();
        let Some(printer) = self.printers.get_mut(usize::from(no.0)) else { return };
        printer.asked = printer.asked.saturating_sub(asked);
        for one in issued {
            let id = JobId { run: run_id, issue: one.issue };
            printer.tracker.issued(one.issue, one.code.identity, false);
            printer.jobs.insert(id, one.code.identity);
            let rendered = product.as_ref().and_then(|p| {
                let form = p.layout.forms().get(p.layout.form_of(&one.code)?)?;
                let fields = super::printing::fields(&plan, &p.name, &one.code.identity);
                Some((p.layout.render_full(&one.code).ok()?, form.gs1, fields))
            });
            // Codes are pooled only after the same layout parsed them, so rendering cannot fail; were it to, the code
            // stays issued and in doubt, and nothing is printed.
            if let Some((symbol, gs1, fields)) = rendered {
                out.push(Effect::Print(no, Job { id, symbol, gs1, fields }));
            }
        }
        if short {
            self.pool_empty = Some(now.after(POOL_RETRY));
            match later {
                None => self.raise("alarm.pool_empty", &plan.gtin.to_string(), wall),
                Some(codes) => {
                    self.clear("alarm.pool_empty", wall);
                    self.raise("alarm.day_over", &codes.to_string(), wall);
                }
            }
        }
    }

    /// The line stopped while codes were on their way: nothing of them was rendered, so they go back to the pool. While
    /// a run is being closed they are spoiled with the rest.
    fn give_back(&mut self, no: PrinterNo, asked: u32, issued: &[Issued], wall: Wall) {
        if let Some(printer) = self.printers.get_mut(usize::from(no.0)) {
            printer.asked = printer.asked.saturating_sub(asked);
        }
        let Some(run) = self.run.as_ref().filter(|r| r.state == RunState::Stopped) else { return };
        let run = run.id;
        for one in issued {
            let (code, outcome) = (one.code.identity, JobOutcome::Refused);
            self.lazy(Record::Job { run, code, outcome, at: wall });
        }
    }

    fn spoiled_slice(&mut self, left: u32, who: &str, wall: Wall) {
        let Some(id) = self.run_id() else { return };
        if left > 0 {
            let limit = crate::limits::SPOIL_SLICE;
            self.urgent(Record::SpoilLeft { run: id, limit, who: who.to_owned(), at: wall });
            self.then(After::SpoiledSlice { who: who.to_owned() });
            return;
        }
        let (state, why) = (RunState::Closed, "closed".to_owned());
        self.urgent(Record::RunState { run: id, state, why, who: who.to_owned(), at: wall });
        // From here on nothing is written of this run: the store takes no record of a closed one. Were the record
        // lost, the next start would find the run closing and close it.
        self.run_over(wall);
    }

    /// Forgets codes whose commit every look-up still on its way was asked after.
    pub(super) fn prune_verifying(&mut self) {
        let oldest = self.lookups.front().map_or(ReadId(self.next_read), |l| l.id);
        self.verifying.retain(|_, (_, until)| *until > oldest);
    }
}

/// Why the store changed nothing of a code that a person declared scrapped, if it did not: an item that is in a pack or
/// in a report has to come out of it first.
fn nothing_changed(code: &Identity, answers: &[Answer]) -> Option<ask::Refusal> {
    answers.iter().find_map(|answer| match answer {
        Answer::Carried(carried) if carried == code => {
            Some(ask::Refusal::new("refuse.carried").with("code", code))
        }
        Answer::Pack(PackAnswer::Within(pack)) => {
            Some(ask::Refusal::new("refuse.in_pack").with("code", code).with("pack", pack))
        }
        _ => None,
    })
}
