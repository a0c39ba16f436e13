//! A gate behind Modbus TCP: we are the client, its PLC the server.
//!
//! One request is in flight at a time. What waits goes in this order: the belt's command, leaves to
//! pass, our heartbeat, then looking; so a `Pass` waits for one answer at most, and all that wait
//! meanwhile go together. After two writes of leaves a look that is due goes first: a gate too busy
//! for the one is not kept from the other.
//!
//! At every connect, and when the gate powered up anew: write command 0, clear the ring of leaves to
//! pass, read both back, look (`Connected`), read the whole memory of outcomes and tell it, look
//! again. The items counted up to then were never ours; those after it are told as `Item`. Map and
//! rules: the README's table, `super::map`.
//!
//! Lateness and doubt always cost a false reject: an answer that does not fit, or none in time, drops
//! the connection, our heartbeat ends with it, and the gate rejects.

use std::collections::VecDeque;
use std::time::Duration;

use super::ask::{Phase, Purpose, Waiting};
use super::clock::GateClock;
use super::map::{GateConfig, MapError};
use super::pace::Pace;
use super::pdu::{AnswerError, Request};
use super::ring::PassRing;
use super::track::{Items, Look, Outcome, Outcomes};
use super::{GateCommand, GateEvent, Tag};
use crate::fault::{Fault, FaultKind, Standing};
use crate::framing::{Adu, MbapFramer};
use crate::session::{Input, Output, Session, Time};

/// After a connect the gate needs a moment to notice our heartbeat.
const BEAT_GRACE: Duration = Duration::from_millis(500);

/// Writes of leaves to pass in a row while a look is due.
const PASSES_IN_ROW_MAX: u32 = 2;

/// Why a look can be read from its answer.
const LOOK_IS_WHOLE: &str = "the answer has as many registers as the look asked for";

/// The session of one such gate.
#[derive(Debug)]
pub struct ModbusGate {
    config: GateConfig,
    framer: MbapFramer,
    phase: Phase,
    transaction: u16,
    waiting: Option<Waiting>,
    boot: u16,
    /// Items up to this one were there before us.
    baseline: u32,
    last_tag: u32,
    items: Items,
    outcomes: Outcomes,
    /// Places of the memory of outcomes still to be read: first and number.
    readings: VecDeque<(u16, u16)>,
    passes: PassRing,
    /// Writes of leaves since the last other request.
    passes_in_row: u32,
    clock: GateClock,
    pace: Pace,
    command: Option<bool>,
    beat: u16,
    beat_due: Time,
    look_due: Time,
    /// The gate asked for patience: nothing is asked before.
    busy_until: Time,
    grace_until: Time,
    /// The gate's heartbeat, and when it last changed.
    heard: Option<(u16, Time)>,
    counts: Option<[u32; 4]>,
    faults: Standing,
}

impl Session for ModbusGate {
    type Command = GateCommand;
    type Event = GateEvent;

    fn step(&mut self, now: Time, input: Input<'_, GateCommand>, out: &mut Output<GateEvent>) {
        match input {
            Input::Connected => {
                self.framer.reset();
                self.open(now);
            }
            Input::Disconnected => {
                self.phase = Phase::Down;
                self.waiting = None;
                self.faults.clear();
                out.events.push(GateEvent::Disconnected);
            }
            Input::Command(command) => self.command(command, out),
            Input::Bytes(bytes) => self.bytes(now, bytes, out),
            Input::Tick => {
                if self.waiting.as_ref().is_some_and(|w| w.sent + self.config.response_max <= now) {
                    self.give_up(FaultKind::Blocked, "no answer in time", out);
                }
            }
        }
        self.send(now, out);
        match (&self.waiting, self.phase) {
            (_, Phase::Down) => {}
            (Some(waiting), _) => out.wake_at(waiting.sent + self.config.response_max),
            // Nothing goes before the gate is stopped and cleared, not even a beat.
            (None, Phase::Stop | Phase::Clear) => out.wake_at(self.look_due),
            (None, _) => out.wake_at(self.look_due.min(self.beat_due).max(self.busy_until)),
        }
    }
}

impl ModbusGate {
    /// Makes a session, not connected.
    ///
    /// # Errors
    /// When the map cannot work.
    pub fn new(config: GateConfig) -> Result<Self, MapError> {
        config.map.check()?;
        let passes = PassRing::new(config.map.pass_ring_len);
        let clock = GateClock::new(config.scan_max);
        Ok(Self {
            config,
            framer: MbapFramer::new(),
            phase: Phase::Down,
            transaction: 0,
            waiting: None,
            boot: 0,
            baseline: 0,
            last_tag: 0,
            items: Items::default(),
            outcomes: Outcomes::default(),
            readings: VecDeque::new(),
            passes,
            passes_in_row: 0,
            clock,
            pace: Pace::default(),
            command: None,
            beat: 0,
            beat_due: Time(0),
            look_due: Time(0),
            busy_until: Time(0),
            grace_until: Time(0),
            heard: None,
            counts: None,
            faults: Standing::default(),
        })
    }

    /// Begins the opening: nothing is known, nobody may pass.
    fn open(&mut self, now: Time) {
        self.phase = Phase::Stop;
        self.waiting = None;
        self.readings.clear();
        self.passes.clear();
        self.clock.forget();
        self.pace = Pace::default();
        self.command = None;
        self.beat_due = now;
        self.look_due = now;
        self.busy_until = now;
        self.grace_until = now + BEAT_GRACE;
        self.heard = None;
        self.counts = None;
    }

    fn command(&mut self, command: GateCommand, out: &mut Output<GateEvent>) {
        let running = self.phase == Phase::Running;
        match command {
            GateCommand::Pass(tag) if running && self.is_ours(tag) => self.passes.pass(tag.number),
            GateCommand::Pass(tag) => {
                let detail = format!("pass of boot {} tag {} dropped", tag.boot, tag.number);
                let kind = if running { FaultKind::StaleTag } else { self.absence() };
                out.events.push(GateEvent::Fault(Fault::new(kind, detail)));
            }
            GateCommand::Reject(tag) if running && tag.boot == self.boot => {
                self.passes.reject(tag.number);
            }
            // The gate rests at reject.
            GateCommand::Reject(_) => {}
            GateCommand::StartLine if running => self.command = Some(true),
            GateCommand::StartLine => {
                out.events.push(GateEvent::Fault(Fault::new(self.absence(), "the belt was not started")));
            }
            // The opening ends with a stopped belt.
            GateCommand::StopLine => self.command = running.then_some(false),
        }
    }

    fn absence(&self) -> FaultKind {
        if self.phase == Phase::Down { FaultKind::Disconnected } else { FaultKind::NotReady }
    }

    /// Tells whether the item was told by us on this boot and can still stand before the gate.
    fn is_ours(&self, tag: Tag) -> bool {
        let known = tag.boot == self.boot && tag.number > self.baseline && tag.number <= self.items.told;
        known && self.last_tag - tag.number < u32::from(self.config.map.pass_ring_len)
    }

    fn bytes(&mut self, now: Time, bytes: &[u8], out: &mut Output<GateEvent>) {
        if self.phase == Phase::Down {
            return;
        }
        self.framer.push(bytes);
        loop {
            match self.framer.pop() {
                Ok(Some(frame)) => self.frame(now, &frame, out),
                Ok(None) => return,
                Err(err) => return self.give_up(FaultKind::Protocol, err.to_string(), out),
            }
            if self.phase == Phase::Down {
                return;
            }
        }
    }

    fn frame(&mut self, now: Time, frame: &Adu, out: &mut Output<GateEvent>) {
        let fits = |w: &Waiting| w.transaction == frame.transaction && frame.unit == self.config.map.unit;
        let Some(waiting) = self.waiting.take().filter(fits) else {
            return self.give_up(FaultKind::Protocol, "an answer that nobody asked for", out);
        };
        self.pace.answered(now.since(waiting.sent));
        match waiting.request.answer(&frame.pdu) {
            Ok(registers) => self.answered(now, &waiting, &registers, out),
            // Acknowledged or busy: the same again, at the pace of looks.
            Err(AnswerError::Exception { code: 5 | 6, .. }) => self.again(now, waiting.purpose),
            Err(err) => self.give_up(FaultKind::Protocol, err.to_string(), out),
        }
    }

    fn again(&mut self, now: Time, purpose: Purpose) {
        self.busy_until = now + self.config.poll;
        match purpose {
            Purpose::Open | Purpose::Look => self.look_due = self.busy_until,
            Purpose::Beat => self.beat_due = now,
            Purpose::Command { run } => self.command = self.command.or(Some(run)),
            // The memory is read as a whole again.
            Purpose::Outcomes { .. } => self.readings = self.outcome_places(),
            Purpose::Pass { place, count } => self.passes.put_back(place, count),
        }
    }

    fn answered(&mut self, now: Time, waiting: &Waiting, registers: &[u16], out: &mut Output<GateEvent>) {
        match waiting.purpose {
            Purpose::Open => self.opened(now, waiting.sent, registers, out),
            Purpose::Look => {
                let look = Look::read(&self.config.map, registers);
                self.look(now, waiting.sent, &look.expect(LOOK_IS_WHOLE), out);
            }
            Purpose::Outcomes { first_place } => {
                let ring_len = self.config.map.outcome_ring_len;
                for (number, outcome) in self.outcomes.take(first_place, ring_len, registers) {
                    let tag = Tag { boot: self.boot, number };
                    out.events.push(match outcome {
                        Outcome::Passed => GateEvent::Passed(tag),
                        Outcome::Rejected => GateEvent::Rejected(tag),
                        Outcome::Lost => GateEvent::Lost(tag),
                    });
                }
                if self.phase == Phase::Memory && self.readings.is_empty() {
                    self.phase = Phase::SecondLook;
                }
            }
            Purpose::Command { .. } | Purpose::Pass { .. } | Purpose::Beat => {}
        }
    }

    /// Takes the answer of one step of the opening.
    fn opened(&mut self, now: Time, sent: Time, registers: &[u16], out: &mut Output<GateEvent>) {
        let look = Look::read(&self.config.map, registers);
        self.phase = match self.phase {
            Phase::Stop => Phase::Clear,
            Phase::Clear => Phase::CheckCommand,
            Phase::CheckCommand if registers == [0] => Phase::CheckRing,
            Phase::CheckRing if registers.iter().all(|register| *register == 0) => Phase::FirstLook,
            Phase::CheckCommand | Phase::CheckRing => {
                return self.give_up(FaultKind::Protocol, "the gate did not take what was written", out);
            }
            Phase::FirstLook => {
                let look = look.expect(LOOK_IS_WHOLE);
                self.boot = look.boot;
                self.outcomes = Outcomes::from(look.last_tag, self.config.map.outcome_ring_len);
                self.readings = self.outcome_places();
                out.events.push(GateEvent::Connected { boot: look.boot });
                if self.readings.is_empty() { Phase::SecondLook } else { Phase::Memory }
            }
            Phase::SecondLook => {
                let look = look.expect(LOOK_IS_WHOLE);
                self.baseline = look.last_tag;
                self.items = Items::after(look.last_tag);
                self.phase = Phase::Running;
                return self.look(now, sent, &look, out);
            }
            phase @ (Phase::Down | Phase::Memory | Phase::Running) => phase,
        };
    }

    fn look(&mut self, now: Time, sent: Time, look: &Look, out: &mut Output<GateEvent>) {
        self.look_due = now + self.config.poll;
        if look.boot != self.boot {
            return self.open(now);
        }
        self.last_tag = look.last_tag;
        self.clock.look(sent, now, look.clock);
        self.status(now, look, out);
        let counts = [look.last_tag, look.passed, look.rejected, look.lost];
        if self.counts.replace(counts) != Some(counts) {
            let [triggers, passed, rejected, lost] = counts;
            out.events.push(GateEvent::Counts { triggers, passed, rejected, lost });
        }
        let Some(news) = self.items.news(look) else {
            return self.give_up(FaultKind::Protocol, "the gate counts items backwards", out);
        };
        if news.missed > 0 {
            let kind = FaultKind::MissedItems { count: news.missed };
            out.events.push(GateEvent::Fault(kind.into()));
        }
        for (number, stamp) in news.items {
            let Some(moment) = self.clock.moment(stamp) else { break };
            let within = moment.end().since(*moment.start()) / 2;
            let at = *moment.start() + within;
            self.pace.item(at);
            let tag = Tag { boot: self.boot, number };
            out.events.push(GateEvent::Item { tag, at, within });
        }
        // While the gate has counted an item and not yet written its entry, its picture is as old as before.
        if self.items.told == look.last_tag
            && let Some(as_of) = self.clock.as_of()
        {
            out.events.push(GateEvent::Seen { as_of });
        }
        let forgotten = self.outcomes.counted(look.last_tag, self.config.map.outcome_ring_len);
        if forgotten > 0 {
            let kind = FaultKind::MissedOutcomes { count: forgotten };
            out.events.push(GateEvent::Fault(kind.into()));
        }
        if self.outcomes.due(look) {
            self.readings = self.outcome_places();
        }
    }

    /// Tells status bits and heartbeat where they changed.
    fn status(&mut self, now: Time, look: &Look, out: &mut Output<GateEvent>) {
        let since = match self.heard {
            Some((beat, since)) if beat == look.heartbeat => since,
            Some(_) | None => now,
        };
        self.heard = Some((look.heartbeat, since));
        let beats = [
            (FaultKind::AgentHeartbeatLost, look.misses_our_beat() && now >= self.grace_until),
            (FaultKind::DeviceHeartbeatLost, now.since(since) >= self.config.silence_max),
            (FaultKind::SlowAnswers, self.pace.is_slow()),
            (FaultKind::SlowScan, self.clock.is_slow()),
        ];
        for (kind, on) in look.flags().into_iter().chain(beats) {
            match self.faults.set(kind, on) {
                Some(true) if kind == FaultKind::SlowAnswers => {
                    out.events.push(GateEvent::Fault(Fault::new(kind, self.pace.text())));
                }
                Some(true) => out.events.push(GateEvent::Fault(kind.into())),
                Some(false) => out.events.push(GateEvent::Cleared(kind)),
                None => {}
            }
        }
    }

    fn outcome_places(&self) -> VecDeque<(u16, u16)> {
        self.outcomes.places(self.config.map.outcome_ring_len).into()
    }

    fn give_up(
        &mut self,
        kind: FaultKind,
        detail: impl Into<std::borrow::Cow<'static, str>>,
        out: &mut Output<GateEvent>,
    ) {
        self.phase = Phase::Down;
        self.waiting = None;
        out.close = true;
        out.events.push(GateEvent::Fault(Fault::new(kind, detail)));
    }

    /// Sends what is most urgent, if the line is free.
    fn send(&mut self, now: Time, out: &mut Output<GateEvent>) {
        if self.waiting.is_some() || self.phase == Phase::Down || self.busy_until > now {
            return;
        }
        let Some((purpose, request)) = self.next(now) else { return };
        self.transaction = self.transaction.wrapping_add(1);
        request.write_to(self.transaction, self.config.map.unit, &mut out.bytes);
        self.waiting = Some(Waiting { transaction: self.transaction, request, purpose, sent: now });
    }

    fn next(&mut self, now: Time) -> Option<(Purpose, Request)> {
        let map = &self.config.map;
        if let Some(run) = self.command.take() {
            return Some((Purpose::Command { run }, map.write_command(run)));
        }
        // Passes never keep a beat waiting for more than a beat's time.
        let late = self.beat_due + self.config.beat <= now;
        let look_first = self.passes_in_row >= PASSES_IN_ROW_MAX && self.look_due <= now;
        if !late
            && !look_first
            && let Some((place, tags)) = self.passes.pop()
        {
            self.passes_in_row += 1;
            let count = tags.len() as u16;
            return Some((Purpose::Pass { place, count }, map.write_passes(place, &tags)));
        }
        self.passes_in_row = 0;
        if self.beat_due <= now && !matches!(self.phase, Phase::Stop | Phase::Clear) {
            self.beat = self.beat.wrapping_add(1);
            self.beat_due = now + self.config.beat;
            return Some((Purpose::Beat, map.write_beat(self.beat)));
        }
        if self.look_due > now {
            return None;
        }
        if let Some((first_place, count)) = self.readings.pop_front() {
            return Some((Purpose::Outcomes { first_place }, map.read_outcomes(first_place, count)));
        }
        let purpose = if self.phase == Phase::Running { Purpose::Look } else { Purpose::Open };
        self.phase.request(map).map(|request| (purpose, request))
    }
}
