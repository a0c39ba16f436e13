//! From a reader's result to a verdict.

use super::items::{Belongs, Seen};
use super::judge::{Context, Judgement, judge};
use super::{Effect, GateOrder, Line, LineKind, Lookup, ReadId, ReaderEvent, Waiting};
use crate::code::{Code, Identity};
use crate::ids::{RunId, Tag};
use crate::lifecycle::{State, Whereabouts};
use crate::limits::{ITEMS_MAX, WAITING_READS_MAX};
use crate::line::commits::After;
use crate::record::{Known, Record};
use crate::time::{Time, Wall};
use crate::verdict::Reason;

/// Items judged by no result while one is owed, and bad ones before them, that stop the line: a person looks, and the
/// results that were late have come meanwhile.
const OWED_ITEMS_MAX: u32 = 3;

/// Results remembered so that the same one again, of an item that is gone already, is nothing new.
const RECENT_MAX: usize = 32;

/// Results without an item, none good between them, that stop the line.
const SURPLUS_MAX: u32 = 3;

/// A result before it has an item.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Code { code: Code, gs_restored: bool },
    Bad(Reason),
}

impl Line {
    pub(super) fn on_reader(&mut self, event: ReaderEvent, wall: Wall, out: &mut Vec<Effect>) {
        match event {
            ReaderEvent::Connected => {
                self.reader.connected = true;
                self.clear("alarm.stop.reader_lost", wall);
            }
            ReaderEvent::Disconnected => {
                self.reader.connected = false;
                self.reader.faults.clear();
                self.stop("reader_lost", "", wall, out);
                // No late result can come from a connection that is gone.
                self.owed = 0;
                for tag in self.items.results_lost() {
                    self.bad(tag, Reason::NoResult, None, wall, out);
                }
            }
            ReaderEvent::Read { bytes, at } => {
                let result = self.parse(&bytes);
                self.wait(at, result);
            }
            ReaderEvent::Several { at } => self.wait(at, Outcome::Bad(Reason::Several)),
            ReaderEvent::NoRead { at } => self.wait(at, Outcome::Bad(Reason::NoRead)),
            ReaderEvent::Oversize { at } => self.wait(at, Outcome::Bad(Reason::Malformed)),
            ReaderEvent::Fault(f) => {
                if !self.reader.faults.contains(&f) {
                    self.reader.faults.push(f);
                }
            }
            ReaderEvent::Cleared(f) => self.reader.faults.retain(|x| *x != f),
        }
    }

    /// Rows of the table that need no look-up: malformed, another product.
    fn parse(&self, bytes: &[u8]) -> Outcome {
        let Some(run) = &self.run else { return Outcome::Bad(Reason::NotRunning) };
        let Some(product) = self.config.products.get(&run.plan.gtin) else {
            return Outcome::Bad(Reason::NotRunning);
        };
        match product.layout.parse_with(bytes, &self.config.substitutes) {
            Err(_) => Outcome::Bad(Reason::Malformed),
            Ok(p) if p.code.identity.gtin != run.plan.gtin => Outcome::Bad(Reason::WrongProduct),
            Ok(p) => Outcome::Code { code: p.code, gs_restored: p.gs_restored },
        }
    }

    fn wait(&mut self, at: Time, result: Outcome) {
        if self.waiting.len() < WAITING_READS_MAX {
            self.waiting.push_back(Waiting { at, result });
        } else {
            self.meter.odd.dropped += 1;
        }
    }

    /// Gives waiting results to their items as soon as the gate's view is fresh enough to be sure.
    pub(super) fn settle_waiting(&mut self, _now: Time, wall: Wall, out: &mut Vec<Effect>) {
        while let Some(at) = self.waiting.front().map(|w| w.at) {
            // What was due before this result came has no result: known first, so that a late result is not trusted.
            self.overdue(at, wall, out);
            let Some(first) = self.waiting.front() else { return };
            match self.items.give(first.at, self.config.latency) {
                Belongs::NotKnownYet if self.gate.connected => return,
                Belongs::NotKnownYet | Belongs::Nowhere => {
                    if let Some(w) = self.waiting.pop_front() {
                        self.stray(&w, wall, out);
                    }
                }
                Belongs::Past => drop(self.waiting.pop_front()),
                Belongs::Early(tag) => {
                    self.waiting.pop_front();
                    self.meter.odd.early += 1;
                    self.bad(tag, Reason::NoVerdict, None, wall, out);
                }
                Belongs::Several(tags) => {
                    self.waiting.pop_front();
                    for tag in tags {
                        self.bad(tag, Reason::NoVerdict, None, wall, out);
                    }
                }
                Belongs::To(tag) => {
                    if let Some(w) = self.waiting.pop_front() {
                        self.joined(tag, w, wall, out);
                    }
                }
            }
        }
    }

    /// A result of no item. The same code again within its tag is nothing new. Another result for an item that has
    /// one already says that one of the two is not its own: the leave is withdrawn. Triggers and results no longer
    /// agree, and a few of these in a row stop the line.
    fn stray(&mut self, waiting: &Waiting, wall: Wall, out: &mut Vec<Effect>) {
        if matches!(&waiting.result, Outcome::Code { code, .. } if self.recent.contains(&code.identity)) {
            return;
        }
        self.meter.odd.strays += 1;
        self.owed = self.owed.saturating_sub(1);
        if !self.running() || matches!(waiting.result, Outcome::Bad(Reason::NoRead)) {
            return;
        }
        if let Outcome::Code { code, .. } = &waiting.result {
            let identity = code.identity;
            self.incident(Some(&identity), None, "stray_read", String::new(), wall);
        }
        for tag in self.items.answered_within(waiting.at, self.config.latency) {
            self.withdraw(tag, wall, out);
        }
        self.surplus += 1;
        if self.surplus >= SURPLUS_MAX {
            self.stop("results_surplus", "", wall, out);
        }
    }

    /// The item loses its leave to pass, or will not get it.
    fn withdraw(&mut self, tag: Tag, wall: Wall, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(tag) else { return };
        match &item.seen {
            Seen::Judging { .. } => item.withdrawn = true,
            Seen::Good { .. } => self.bad(tag, Reason::Several, None, wall, out),
            Seen::Open | Seen::Bad(_) => {}
        }
    }

    fn joined(&mut self, tag: Tag, waiting: Waiting, wall: Wall, out: &mut Vec<Effect>) {
        if let Outcome::Code { code, .. } = &waiting.result {
            self.recent.push_back(code.identity);
            self.recent.drain(..self.recent.len().saturating_sub(RECENT_MAX));
        }
        if !self.running() {
            return self.bad(tag, Reason::NotRunning, None, wall, out);
        }
        if self.owed > 0 {
            // It may be the late result of an item before.
            self.bad(tag, Reason::NoVerdict, None, wall, out);
            if self.consecutive_bad >= OWED_ITEMS_MAX {
                self.stop("results_missing", "", wall, out);
            }
            return;
        }
        match waiting.result {
            Outcome::Bad(reason) => self.bad(tag, reason, None, wall, out),
            Outcome::Code { code, gs_restored } => {
                if gs_restored {
                    self.meter.odd.gs_restored += 1;
                }
                let identity = code.identity;
                if let Some(item) = self.items.get_mut(tag) {
                    item.seen = Seen::Judging { code: identity, read_at: waiting.at };
                }
                let id = ReadId(self.next_read);
                self.next_read += 1;
                self.lookups.push_back(Lookup { id, tag, code, read_at: waiting.at });
                out.push(Effect::Find(id, identity));
            }
        }
    }

    /// The item is bad: the gate rests at reject, and is told so.
    pub(super) fn bad(
        &mut self,
        tag: Tag,
        reason: Reason,
        code: Option<&Identity>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get_mut(tag) else { return };
        item.seen = Seen::Bad(reason);
        self.printers.iter_mut().for_each(|printer| printer.evidence.one_gone_by());
        let rejected = item.rejected;
        out.push(Effect::Gate(GateOrder::Reject(tag)));
        if let Some(code) = code {
            self.incident(Some(code), Some(tag), reason.key(), String::new(), wall);
        }
        if rejected {
            self.end_rejected(tag, wall);
        }
        // What stands on the belt when a run stops or is complete is no sign of trouble.
        if !matches!(reason, Reason::NotRunning | Reason::OverQuantity) {
            self.tally(Some(reason), wall, out);
        }
        self.evidence_of(tag, reason, code, wall, out);
    }

    pub(super) fn on_found(
        &mut self,
        id: ReadId,
        known: &Known,
        now: Time,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        // Answers come in the order of the questions; anything else belongs to a line before a restart.
        if self.lookups.front().is_none_or(|l| l.id != id) {
            return;
        }
        let Some(lookup) = self.lookups.pop_front() else { return };
        let code = lookup.code.identity;
        let found_before_the_gate = self.items.get_mut(lookup.tag).is_some()
            && self.pass_unknown.contains_key(&code)
            && self.is_of_this_run(&lookup, known);
        let judgement = if found_before_the_gate {
            Judgement::Candidate { printed: None, refed: true }
        } else {
            self.judged(&lookup, known)
        };
        self.prune_verifying();
        let Some(run) = self.run_id() else { return };
        let too_late = self.items.get_mut(lookup.tag).is_none_or(|i| i.rejected && !i.withdrawn);
        if too_late {
            self.order_of_a_late_one(&lookup, &judgement, wall, out);
        }
        let Some(item) = self.items.get_mut(lookup.tag) else { return };
        if item.withdrawn {
            return self.bad(lookup.tag, Reason::Several, Some(&code), wall, out);
        }
        if item.rejected {
            // The gate did not wait. The code stays as it was and may be fed again.
            return self.bad(lookup.tag, Reason::Late, Some(&code), wall, out);
        }
        match judgement {
            Judgement::NothingNew => {}
            Judgement::Bad(reason) => {
                self.bad(lookup.tag, reason, Some(&code), wall, out);
                if reason == Reason::NeverIssued {
                    self.stop("never_issued", &code.to_string(), wall, out);
                }
            }
            Judgement::Duplicate { first } => self.duplicate(&lookup, first, wall, out),
            Judgement::Candidate { .. } if self.enough() => {
                self.bad(lookup.tag, Reason::OverQuantity, None, wall, out);
            }
            Judgement::Candidate { printed, refed } => {
                if let Some(reason) = self.order_refuses(&lookup, printed, wall, out) {
                    return self.bad(lookup.tag, reason, Some(&code), wall, out);
                }
                if found_before_the_gate {
                    self.settled_as_rejected(run, &code, wall);
                }
                if refed {
                    self.incident(Some(&code), Some(lookup.tag), "refed", String::new(), wall);
                }
                let never_asked_before = ReadId(u64::MAX);
                self.verifying.insert(code, (lookup.tag, never_asked_before));
                self.urgent(Record::Verify { run, code, tag: lookup.tag, at: wall });
                self.then(After::Pass { tag: lookup.tag, code, read_at: lookup.read_at });
            }
        }
        let _ = now;
    }

    /// The read is of the very code of this run, tail included, that was verified and whose pass nobody confirmed.
    fn is_of_this_run(&self, lookup: &Lookup, known: &Known) -> bool {
        matches!(known, Known::Coded(facts)
            if facts.tail == lookup.code.tail.as_bytes()
                && Some(facts.run) == self.run_id()
                && facts.state == State::Verified(Whereabouts::Unknown))
    }

    /// An item whose pass was unknown stands before the gate again: it did not pass (behaviour, section 2).
    fn settled_as_rejected(&mut self, run: RunId, code: &Identity, wall: Wall) {
        self.pass_unknown.remove(code);
        self.tell_unknown(wall);
        let (how, who) = ("read_again".to_owned(), "line".to_owned());
        self.urgent(Record::Settle { run, code: *code, passed: false, how, who, at: wall });
    }

    /// As many items as the run wants have passed or have leave to.
    fn enough(&self) -> bool {
        let Some(run) = &self.run else { return true };
        let leave = |i: &super::items::Item| match &i.seen {
            Seen::Good { .. } => true,
            Seen::Judging { code, .. } => self.verifying.contains_key(code),
            Seen::Open | Seen::Bad(_) => false,
        };
        let coming = self.items.iter().filter(|(_, i)| leave(i)).count();
        let coming = u32::try_from(coming).unwrap_or(u32::MAX);
        run.plan.quantity > 0 && run.passed.saturating_add(coming) >= run.plan.quantity
    }

    /// The table, with what this line has verified since the look-up was asked.
    fn judged(&self, lookup: &Lookup, known: &Known) -> Judgement {
        let Some(run) = self.run_id() else { return Judgement::Bad(Reason::NotRunning) };
        let ctx = Context {
            run,
            tail: lookup.code.tail.as_bytes(),
            tag: lookup.tag,
            pre_printed: self.config.kind == LineKind::PrePrinted,
            grade_low: false,
        };
        match (self.verifying.get(&lookup.code.identity), known) {
            (Some((tag, _)), Known::Coded(facts)) => {
                let state = match facts.state {
                    State::Issued | State::Verified(Whereabouts::Rejected) => {
                        State::Verified(Whereabouts::Unknown)
                    }
                    other => other,
                };
                let facts = crate::record::CodeFacts { state, tag: Some(*tag), ..facts.clone() };
                judge(&Known::Coded(facts), ctx)
            }
            (Some((tag, _)), Known::Waiting { .. }) => Judgement::Duplicate { first: Some(*tag) },
            _ => judge(known, ctx),
        }
    }

    /// A code that is on another item already: never good.
    fn duplicate(&mut self, lookup: &Lookup, first: Option<Tag>, wall: Wall, out: &mut Vec<Effect>) {
        let code = &lookup.code.identity;
        let detail = first.map_or_else(String::new, |t| t.to_string());
        self.incident(Some(code), Some(lookup.tag), "duplicate", detail.clone(), wall);
        self.raise("alarm.duplicate", &format!("{code} {detail}"), wall);
        self.bad(lookup.tag, Reason::Duplicate, None, wall, out);
        self.repeated(lookup, first, wall, out);
    }

    /// The gate did not wait, the mark was read all the same. Labels of items that a slow disk made late, one after
    /// another, are not missing: without them the next read in time would be a jump.
    fn order_of_a_late_one(
        &mut self,
        lookup: &Lookup,
        judgement: &Judgement,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let Judgement::Candidate { printed: Some((no, issue)), .. } = *judgement else { return };
        if self.order_refuses(lookup, Some((no, issue)), wall, out).is_none()
            && let Some(printer) = self.printers.get_mut(usize::from(no.0))
        {
            printer.tracker.unused(issue, lookup.code.identity);
        }
    }

    /// The code is durably verified: now, and not before, its item may pass.
    pub(super) fn may_pass(
        &mut self,
        tag: Tag,
        code: &Identity,
        read_at: Time,
        now: Time,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        if let Some((_, until)) = self.verifying.get_mut(code) {
            *until = ReadId(self.next_read);
        }
        let Some(item) = self.items.get_mut(tag) else {
            self.pass_unknown.insert(*code, tag);
            self.tell_unknown(wall);
            return;
        };
        item.seen = Seen::Good { code: *code };
        item.verified = Some(*code);
        if item.rejected {
            self.end_rejected(tag, wall);
            return;
        }
        if item.withdrawn {
            return self.bad(tag, Reason::Several, None, wall, out);
        }
        self.surplus = 0;
        out.push(Effect::Gate(GateOrder::Pass(tag)));
        let latency = now.since(read_at);
        self.meter.verdict(latency, now);
        out.push(Effect::Judged { tag, good: true, latency });
        self.tally(None, wall, out);
    }

    fn overdue(&mut self, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        for (tag, waits) in self.items.overdue(now, self.config.latency) {
            self.owed = self.owed.saturating_add(1);
            self.owed_at = self.owed_at.max(now);
            if waits {
                let reason = if self.running() { Reason::NoResult } else { Reason::NotRunning };
                self.bad(tag, reason, None, wall, out);
            }
        }
    }

    /// Open items whose reader said nothing in time, and too many items at once.
    pub(super) fn expire(&mut self, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        // A result that has arrived must be given to its item before the item is called overdue.
        if !self.waiting.is_empty() {
            return;
        }
        self.overdue(now, wall, out);
        if self.items.len() > ITEMS_MAX {
            self.stop("items_stuck", "", wall, out);
        }
    }
}
