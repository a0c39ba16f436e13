//! What people ask of the line: runs begin, stop, go on and end; codes in doubt are declared.

use super::items::{Item, Seen};
use super::status::some_of;
use super::{AskId, Effect, GateOrder, Line, LineKind, Run, RunState};
use crate::alarm::ends_acknowledged;
use crate::code::Identity;
use crate::ids::{PrinterNo, RunId, Tag};
use crate::lifecycle::SpoilReason;
use crate::limits::SPOIL_SLICE;
use crate::line::ask::{Ask, Declared, Refusal, Reply};
use crate::line::commits::After;
use crate::record::{Bar, ItemEnd, JobOutcome, OpenRun, Record, Recovered, RunPlan};
use crate::time::{Time, Wall};
use crate::verdict::Reason;
use std::time::Duration;

/// No result of a reader comes later than this after its window.
const LATE_MAX: Duration = Duration::from_secs(2);

impl Line {
    pub(super) fn on_ask(
        &mut self,
        id: AskId,
        ask: Ask,
        who: &str,
        now: Time,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let answer = match ask {
            Ask::Start(plan) => self.start(id, plan, who, wall),
            Ask::Stop => self.stop_asked(id, who, wall, out),
            Ask::Resume => self.resume(id, who, now, wall),
            Ask::Close { clear } => self.close(clear, who, wall, out).map(Some),
            Ask::Declare { code, declared } => {
                self.commit_declared(now, out);
                self.declare(id, &code, declared, who, wall, out)
            }
            Ask::TestPrint { printer } => self.test_print(printer, out).map(Some),
            Ask::Acknowledge { key } => self.acknowledge(id, &key, who, wall),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(reply)) => out.push(Effect::Reply(id, Ok(reply))),
            Err(refusal) => out.push(Effect::Reply(id, Err(refusal))),
        }
        let _ = now;
    }

    fn start(&mut self, id: AskId, plan: RunPlan, who: &str, wall: Wall) -> Result<Option<Reply>, Refusal> {
        if let Some(run) = &self.run {
            if run.plan.key == plan.key {
                return Ok(Some(Reply::Opened(run.id)));
            }
            return Err(Refusal::new("refuse.run_open").with("run", run.id));
        }
        self.not_starting()?;
        self.not_barred()?;
        if !self.config.products.contains_key(&plan.gtin) {
            return Err(Refusal::new("refuse.unknown_product").with("gtin", plan.gtin));
        }
        if plan.expiry.is_some_and(|e| e <= plan.production) {
            return Err(Refusal::new("refuse.dates"));
        }
        self.devices_there()?;
        let (line, gate) = (self.config.line, self.gate_last);
        self.urgent(Record::RunOpened { line, plan: plan.clone(), who: who.to_owned(), at: wall, gate });
        self.then(After::Opened { ask: id });
        self.opening = Some(plan);
        self.starting = Some(self.stops);
        Ok(None)
    }

    /// Whether codes may be issued is the agent's to know. While they may not, the line stands: what has leave to pass
    /// passes, and runs can be closed.
    pub(super) fn on_bar(&mut self, bar: Option<Bar>, wall: Wall, out: &mut Vec<Effect>) {
        if let Some(over) = self.bar.filter(|was| Some(*was) != bar) {
            self.clear(&format!("alarm.stop.{}", over.key()), wall);
        }
        self.bar = bar;
        if let Some(bar) = bar {
            self.stop(bar.key(), "", wall, out);
        }
    }

    fn not_barred(&self) -> Result<(), Refusal> {
        match self.bar {
            Some(Bar::Unsettled) => Err(Refusal::new("refuse.unsettled")),
            Some(Bar::Witness) => Err(Refusal::new("refuse.witness")),
            Some(Bar::Room) => Err(Refusal::new("refuse.room")),
            None => Ok(()),
        }
    }

    fn not_starting(&self) -> Result<(), Refusal> {
        if self.starting.is_some() { Err(Refusal::new("refuse.starting")) } else { Ok(()) }
    }

    /// The run is durable and has its number: now it is set running. The key may belong to another run instead.
    pub(super) fn opened(
        &mut self,
        ask: AskId,
        run: Result<RunId, RunId>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let Some(plan) = self.opening.take() else { return };
        let id = match run {
            Ok(id) => id,
            Err(other) => {
                self.starting = None;
                let refusal = Refusal::new("refuse.key_taken").with("key", plan.key).with("run", other);
                out.push(Effect::Reply(ask, Err(refusal)));
                return;
            }
        };
        self.run = Some(Run {
            id,
            plan,
            state: RunState::Stopped,
            triggers: 0,
            passed: 0,
            rejected: std::collections::BTreeMap::new(),
            last_tag: self.gate_last,
        });
        self.stopped_by = Some("starting");
        self.gate_reset = false;
        self.told.clear();
        self.pooled = 0;
        for printer in &mut self.printers {
            printer.tracker = super::order::Tracker::default();
        }
        let stops = self.starting.unwrap_or(self.stops);
        self.set_running(ask, stops, "line", wall);
    }

    fn set_running(&mut self, ask: AskId, stops: u64, who: &str, wall: Wall) {
        let Some(run) = self.run_id() else { return };
        let (state, why, who) = (RunState::Running, String::new(), who.to_owned());
        self.starting = Some(stops);
        self.urgent(Record::RunState { run, state, why, who, at: wall });
        self.then(After::Started { ask, stops });
    }

    /// The run is durably running: the belt may move, unless there was a reason to stand meanwhile.
    pub(super) fn started(&mut self, ask: AskId, stops: u64, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        self.starting = None;
        let away = self.devices_there().err();
        let Some(run) = &mut self.run else { return };
        let id = run.id;
        if stops != self.stops || away.is_some() {
            run.state = RunState::Stopped;
            let (state, why, who) =
                (RunState::Stopped, "stopped while starting".to_owned(), "line".to_owned());
            self.urgent(Record::RunState { run: id, state, why, who, at: wall });
            out.push(Effect::Gate(GateOrder::StopLine));
            let refusal = away.unwrap_or_else(|| Refusal::new("refuse.stopped_meanwhile"));
            out.push(Effect::Reply(ask, Err(refusal)));
            return;
        }
        run.state = RunState::Running;
        self.stopped_by = None;
        self.consecutive_bad = 0;
        self.recent_bad.clear();
        self.forget_evidence();
        self.surplus = 0;
        // When the belt stood long enough, whatever was late has come.
        if now.since(self.owed_at) >= LATE_MAX {
            self.owed = 0;
        }
        self.pool_empty = None;
        self.clear_stops(wall);
        out.push(Effect::Gate(GateOrder::StartLine));
        out.push(Effect::Reply(ask, Ok(Reply::Opened(id))));
    }

    fn devices_there(&self) -> Result<(), Refusal> {
        if !self.gate.connected {
            return Err(Refusal::new("refuse.gate_away").with("device", &self.config.device_names.gate));
        }
        if !self.reader.connected {
            let name = self.config.device_names.readers.first().cloned().unwrap_or_default();
            return Err(Refusal::new("refuse.reader_away").with("device", name));
        }
        // One is enough: it works while another is loaded or repaired.
        if !self.printers.is_empty() && !self.printers.iter().any(|p| p.connected) {
            let names = self.config.device_names.printers.join(", ");
            return Err(Refusal::new("refuse.printer_away").with("device", names));
        }
        Ok(())
    }

    fn stop_asked(
        &mut self,
        id: AskId,
        who: &str,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) -> Result<Option<Reply>, Refusal> {
        if self.run.is_none() {
            return Err(Refusal::new("refuse.no_run"));
        }
        let _ = who;
        self.stop("asked", "", wall, out);
        self.then(After::Reply { ask: id, reply: Reply::Done });
        Ok(None)
    }

    fn resume(&mut self, id: AskId, who: &str, now: Time, wall: Wall) -> Result<Option<Reply>, Refusal> {
        let Some(run) = &self.run else { return Err(Refusal::new("refuse.no_run")) };
        match run.state {
            RunState::Running if self.stopped_by.is_none() => return Ok(Some(Reply::Opened(run.id))),
            RunState::Closing | RunState::Closed => return Err(Refusal::new("refuse.closing")),
            RunState::Running | RunState::Stopped => {}
        }
        self.not_starting()?;
        self.not_barred()?;
        if self.gate_reset {
            return Err(Refusal::new("refuse.gate_reset"));
        }
        if !self.config.products.contains_key(&run.plan.gtin) {
            return Err(Refusal::new("refuse.unknown_product").with("gtin", run.plan.gtin));
        }
        if run.plan.quantity > 0 && run.passed >= run.plan.quantity {
            return Err(Refusal::new("refuse.quantity_reached").with("quantity", run.plan.quantity));
        }
        self.devices_there()?;
        if self.owed > 0 && now.since(self.owed_at) < LATE_MAX {
            return Err(Refusal::new("refuse.results_late"));
        }
        // The person has looked at the web and the belt: the order may go on from anywhere.
        // Whatever is left of what was there, each printer has room for its window.
        for (printer, place) in self.printers.iter_mut().zip(&self.config.printers) {
            printer.tracker.resync(place.ahead_max.saturating_sub(place.window));
        }
        self.set_running(id, self.stops, who, wall);
        Ok(None)
    }

    fn close(&mut self, clear: bool, who: &str, wall: Wall, out: &mut Vec<Effect>) -> Result<Reply, Refusal> {
        self.not_starting()?;
        let Some(run) = &self.run else { return Err(Refusal::new("refuse.no_run")) };
        let closing = run.state == RunState::Closing;
        let open_tags = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let unknown = self.unknown_passes();
        let pass_unknown = u32::try_from(unknown.len()).unwrap_or(u32::MAX);
        let unseen: usize = self.printers.iter().map(|p| p.tracker.remembered()).sum();
        let unseen = u32::try_from(unseen).unwrap_or(u32::MAX);
        if closing {
            return Ok(Reply::Closing { unseen, pass_unknown, open_tags });
        }
        self.stop("asked", "", wall, out);
        if !unknown.is_empty() {
            let codes = some_of(unknown.iter().map(|(code, _)| code));
            return Err(Refusal::new("refuse.pass_unknown").with("codes", codes));
        }
        if !clear {
            return Err(Refusal::new("refuse.clear_needed").with("unseen", unseen).with("items", open_tags));
        }
        if !self.gate.connected {
            // Its memory tells of items that came meanwhile; a closed run has no room for them.
            return Err(Refusal::new("refuse.gate_away").with("device", &self.config.device_names.gate));
        }
        self.clear_belt(wall);
        let Some(run) = &mut self.run else { return Err(Refusal::new("refuse.no_run")) };
        let id = run.id;
        run.state = RunState::Closing;
        let (state, why) = (RunState::Closing, "line clearance declared".to_owned());
        self.urgent(Record::RunState { run: id, state, why, who: who.to_owned(), at: wall });
        self.urgent(Record::SpoilLeft { run: id, limit: SPOIL_SLICE, who: who.to_owned(), at: wall });
        self.then(After::SpoiledSlice { who: who.to_owned() });
        Ok(Reply::Closing { unseen, pass_unknown, open_tags })
    }

    /// A person says that belt and bin are empty: items without an end are gone. None of them had leave to pass.
    fn clear_belt(&mut self, wall: Wall) {
        let Some(run) = self.run_id() else { return };
        let tags: Vec<Tag> = self.items.iter().map(|(t, _)| *t).collect();
        for tag in tags {
            let Some(item) = self.items.remove(tag) else { continue };
            let reason = match item.seen {
                Seen::Bad(reason) => reason,
                Seen::Open | Seen::Judging { .. } | Seen::Good { .. } => Reason::NotRunning,
            };
            self.lazy(Record::End { run, tag, end: ItemEnd::Rejected { reason, code: None }, at: wall });
            self.count_rejected(reason);
        }
        self.waiting.clear();
    }

    pub(super) fn run_over(&mut self, wall: Wall) {
        self.run = None;
        self.told.clear();
        for printer in &mut self.printers {
            printer.tracker = super::order::Tracker::default();
            printer.jobs.clear();
        }
        self.verifying.clear();
        self.stopped_by = Some("no_run");
        self.nothing_of_a_run(wall);
    }

    /// Alarms of a run are over with it.
    fn nothing_of_a_run(&mut self, wall: Wall) {
        self.tell_unknown(wall);
        self.clear("alarm.no_room", wall);
        self.clear("alarm.day_over", wall);
        self.clear_stops(wall);
    }

    /// Codes with leave to pass whose items the gate has not confirmed.
    pub(super) fn unknown_passes(&self) -> Vec<(Identity, Tag)> {
        let gone = self.pass_unknown.iter().map(|(c, t)| (*c, *t));
        let there = self.items.iter().filter_map(|(t, i)| match &i.seen {
            Seen::Judging { code, .. } => Some((*code, *t)),
            Seen::Good { .. } | Seen::Open | Seen::Bad(_) => i.verified.map(|code| (code, *t)),
        });
        gone.chain(there).collect()
    }

    fn declare(
        &mut self,
        id: AskId,
        code: &Identity,
        declared: Declared,
        who: &str,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) -> Result<Option<Reply>, Refusal> {
        let Some(run) = &self.run else { return Err(Refusal::new("refuse.no_run")) };
        if run.state == RunState::Closing {
            return Err(Refusal::new("refuse.closing"));
        }
        let run = run.id;
        // An item whose end nobody told: a person standing at the belt knows better.
        let standing = self.items.iter().find(|(_, i)| i.verified == Some(*code)).map(|(t, _)| *t);
        if let Some(tag) = standing.filter(|_| !self.running()) {
            self.on_lost(tag, wall);
            // Should it stand before the gate after all, it must not pass on the leave that it had.
            if declared != Declared::Passed {
                out.push(Effect::Gate(GateOrder::Reject(tag)));
            }
        }
        let (who, at) = (who.to_owned(), wall);
        if self.pass_unknown.contains_key(code) {
            let passed = match declared {
                Declared::Passed => true,
                Declared::Rejected | Declared::Scrapped => false,
            };
            self.pass_unknown.remove(code);
            self.tell_unknown(wall);
            if passed && let Some(run) = &mut self.run {
                run.passed += 1;
                self.quantity_reached(wall, out);
            }
            self.urgent(Record::Settle {
                run,
                code: *code,
                passed,
                how: "declared".into(),
                who: who.clone(),
                at,
            });
            if declared == Declared::Scrapped {
                self.urgent(Record::Spoil { code: *code, reason: SpoilReason::Declared, who, at });
            }
        } else if self.printers.iter().any(|p| p.tracker.remembers(code)) && declared == Declared::Scrapped {
            for printer in &mut self.printers {
                printer.tracker.gone(code);
            }
            self.urgent(Record::Spoil { code: *code, reason: SpoilReason::Declared, who, at });
        } else {
            return Err(Refusal::new("refuse.not_in_doubt").with("code", code));
        }
        self.then(After::Declared { ask: id, code: *code });
        Ok(None)
    }

    fn test_print(&mut self, no: PrinterNo, out: &mut Vec<Effect>) -> Result<Reply, Refusal> {
        let Some(printer) = self.printers.get(usize::from(no.0)) else {
            return Err(Refusal::new("refuse.no_printer").with("printer", no));
        };
        if !printer.ready {
            return Err(Refusal::new("refuse.printer_away").with("device", no));
        }
        if self.running() {
            return Err(Refusal::new("refuse.not_stopped"));
        }
        out.push(Effect::TestPrint(no));
        Ok(Reply::Done)
    }

    fn acknowledge(&mut self, id: AskId, key: &str, who: &str, wall: Wall) -> Result<Option<Reply>, Refusal> {
        let Some(alarm) = self.alarms.get_mut(key) else {
            return Err(Refusal::new("refuse.no_alarm").with("key", key));
        };
        alarm.acknowledged = true;
        let line = Some(self.config.line);
        let record = Record::AlarmAcknowledged { line, key: key.to_owned(), who: who.to_owned(), at: wall };
        self.urgent(record);
        if ends_acknowledged(key) {
            self.clear(key, wall);
        }
        self.then(After::Reply { ask: id, reply: Reply::Done });
        Ok(None)
    }

    /// The wanted quantity has passed: the line stops by itself and waits to be closed.
    pub(super) fn quantity_reached(&mut self, wall: Wall, out: &mut Vec<Effect>) {
        let reached = self.run.as_ref().is_some_and(|r| r.plan.quantity > 0 && r.passed >= r.plan.quantity);
        if reached {
            self.stop("quantity_reached", "", wall, out);
            // A line that stood for another reason when its last pass became known is complete all the same.
            self.stopped_by = Some("quantity_reached");
        }
    }

    /// Takes up what the store had: a run that was running stands, and what is in doubt is named.
    pub(super) fn recover(&mut self, recovered: Recovered, now: Time, wall: Wall) {
        // What was told before is told still: it ends as it would have, or when a person has seen it.
        self.alarms.extend(recovered.alarms.into_iter().map(|alarm| (alarm.key.clone(), alarm)));
        let Some(open) = recovered.run else { return self.nothing_of_a_run(wall) };
        let was_running = open.state == RunState::Running;
        self.remember_labels(&open, wall);
        let closing = open.state == RunState::Closing;
        let rejected = open.rejected.iter().filter_map(|(k, n)| Some((key_of(k)?, *n))).collect();
        let good: std::collections::BTreeMap<Tag, Identity> =
            open.pass_unknown.iter().map(|(c, t)| (*t, *c)).collect();
        for tag in &open.open_tags {
            let seen = match good.get(tag) {
                Some(code) => Seen::Good { code: *code },
                None => Seen::Bad(Reason::Away),
            };
            let verified = good.get(tag).copied();
            self.items.insert(*tag, Item { seen, verified, ..Item::open(now) });
        }
        for (tag, code) in good {
            if !open.open_tags.contains(&tag) {
                self.pass_unknown.insert(code, tag);
            }
        }
        self.run = Some(Run {
            id: open.run,
            plan: open.plan,
            state: if closing { RunState::Closing } else { RunState::Stopped },
            triggers: open.triggers,
            passed: open.passed,
            rejected,
            last_tag: open.last_tag,
        });
        self.stopped_by = Some("restart");
        self.tell_unknown(wall);
        let who = "line".to_owned();
        if was_running {
            self.raise("alarm.stop.restart", &open.in_doubt.len().to_string(), wall);
            let (state, why) = (RunState::Stopped, "restart".to_owned());
            self.urgent(Record::RunState { run: open.run, state, why, who, at: wall });
        } else if closing {
            self.clear_belt(wall);
            // The clearance was declared and is durable: the rest of the work needs nobody.
            self.urgent(Record::SpoilLeft { run: open.run, limit: SPOIL_SLICE, who: who.clone(), at: wall });
            self.then(After::SpoiledSlice { who });
        }
    }

    /// Jobs without an outcome before the restart are doubtful: the printer's buffer is cleared at the connect.
    fn remember_labels(&mut self, open: &OpenRun, wall: Wall) {
        for (issued, outcome) in &open.in_doubt {
            let Some(printer) = self.printers.get_mut(usize::from(issued.printer.0)) else { continue };
            let doubtful = *outcome != JobOutcome::Printed;
            printer.tracker.issued(issued.issue, issued.code.identity, doubtful);
            if *outcome == JobOutcome::Open {
                let code = issued.code.identity;
                self.lazy(Record::Job { run: open.run, code, outcome: JobOutcome::Doubtful, at: wall });
            }
        }
        for (no, last) in &open.last_read {
            if let Some(printer) = self.printers.get_mut(usize::from(no.0)) {
                printer.tracker.set_last(*last);
            }
        }
        debug_assert!(self.config.kind != LineKind::PrePrinted || open.in_doubt.is_empty());
    }
}

fn key_of(key: &str) -> Option<&'static str> {
    let extra = ["lost", "escaped"];
    Reason::KEYS.iter().chain(extra.iter()).find(|k| **k == key).copied()
}
