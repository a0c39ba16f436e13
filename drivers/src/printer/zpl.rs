//! A ZPL II printer on one raw connection.
//!
//! What it does at every connect: stop (`~PP`), look (`~HS`), read the label counter, drop all that
//! the printer holds (`~JA`), send the stored format again, start (`~PS`), and look until the printer
//! is idle. Only then are there free places. A job is rendered the moment it is given, or refused;
//! there is no queue here, so `Cancel` finds nothing to cancel.
//!
//! Outcomes. `Refused`: never rendered. `Printed`: the printer's counter
//! (`odometer.total_label_count`) moved, and the oldest job in flight takes the step; a mirror of the
//! printer's first-in-first-out buffer, so evidence, never more. `Doubtful`: the connection went, the
//! line reset the printer, or the printer was idle over `idle_polls` looks and its counter did not
//! move. **A printer without a counter confirms nothing:** an empty buffer is what a printed label
//! and a swallowed format both look like, so its jobs end `Doubtful`, after [`UNCOUNTED_IDLE_POLLS`].
//!
//! An unanswered `~HS` means *blocked*, never idle: printers do not answer with media out, ribbon out
//! or an open head. Source: Zebra
//! "ZPL II Programming Guide" P1099958: `~HS`, `~JA`, `~PP`, `~PS`, `^JZ`, and its chapter on SGD.

use std::time::Duration;

use super::mirror::Mirror;
use super::zpl_format::{ZplConfig, render, stored};
use super::zpl_status::{Part, Status, StatusFrames, odometer};
use super::{Job, PrinterCommand, PrinterEvent};
use crate::fault::{Fault, FaultKind, Standing};
use crate::framing::{Answer, AnswerFramer};
use crate::session::{Input, Output, Session, Time};

/// Idle looks after which a job of a printer without a counter is in doubt.
pub const UNCOUNTED_IDLE_POLLS: u32 = 3;

/// Looks after `~JA` at which a printer that is still not idle is told as not ready.
const SETTLE_POLLS_MAX: u32 = 50;

/// A getvar is not immediate: it waits behind the formats in the receive buffer. So many status
/// time-outs, and one more for each label of the window.
const COUNTER_PATIENCE: u32 = 2;

const ASK_STATUS: &[u8] = b"~HS";
const ASK_COUNTER: &[u8] = b"! U1 getvar \"odometer.total_label_count\"\r\n";
/// Ends a question that a broken connection left half sent: the printer would take all that follows for its rest.
const END_OF_LINE: &[u8] = b"\r\n";
const PAUSE: &[u8] = b"~PP";
const START: &[u8] = b"~PS";
const CLEAR: &[u8] = b"~JA";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Down,
    /// Stopped the printer; waits for a first answer.
    Stopping,
    /// Waits for the counter as it stood before the buffer is cleared.
    Counting,
    /// Cleared the buffer; looks until the printer is idle.
    Settling { looks: u32 },
    /// Idle; waits for the counter from which steps are taken.
    Baseline,
    /// Takes jobs.
    Running,
}

/// The session of one ZPL printer.
#[derive(Debug)]
pub struct Zpl {
    config: ZplConfig,
    phase: Phase,
    held: bool,
    answers: AnswerFramer,
    frames: StatusFrames,
    mirror: Mirror,
    /// The printer may have a counter: it is configured, and the printer has not denied it.
    countable: bool,
    faults: Standing,
    announced: u32,
    status_asked: Option<Time>,
    counter_asked: Option<Time>,
    next_look: Option<Time>,
    /// Senseless answers are told once a connection.
    complained: bool,
}

impl Session for Zpl {
    type Command = PrinterCommand;
    type Event = PrinterEvent;

    fn step(&mut self, now: Time, input: Input<'_, PrinterCommand>, out: &mut Output<PrinterEvent>) {
        match input {
            Input::Connected => {
                out.events.push(PrinterEvent::Connected);
                self.begin(now, out);
            }
            Input::Disconnected => self.disconnected(out),
            Input::Command(command) => self.command(now, command, out),
            Input::Bytes(bytes) => self.bytes(now, bytes, out),
            Input::Tick => self.tick(now, out),
        }
        self.announce(out);
        for at in [self.status_deadline(), self.counter_deadline(), self.next_look].into_iter().flatten() {
            out.wake_at(at);
        }
    }
}

impl Zpl {
    /// Makes a session, not connected.
    pub fn new(config: ZplConfig) -> Self {
        Self {
            config,
            phase: Phase::Down,
            held: false,
            answers: AnswerFramer::new(),
            frames: StatusFrames::default(),
            mirror: Mirror::default(),
            countable: false,
            faults: Standing::default(),
            announced: 0,
            status_asked: None,
            counter_asked: None,
            next_look: None,
            complained: false,
        }
    }

    fn begin(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        self.answers.reset();
        self.frames = StatusFrames::default();
        self.mirror.rebase(None, &mut out.events);
        self.countable = self.config.odometer;
        self.counter_asked = None;
        self.complained = false;
        self.phase = Phase::Stopping;
        out.bytes.extend_from_slice(END_OF_LINE);
        out.bytes.extend_from_slice(PAUSE);
        self.ask_status(now, out);
    }

    fn disconnected(&mut self, out: &mut Output<PrinterEvent>) {
        self.mirror.doubt_all(&Fault::from(FaultKind::Disconnected), &mut out.events);
        self.phase = Phase::Down;
        self.faults.clear();
        self.announced = 0;
        self.status_asked = None;
        self.counter_asked = None;
        self.next_look = None;
        out.events.push(PrinterEvent::Disconnected);
    }

    fn command(&mut self, now: Time, command: PrinterCommand, out: &mut Output<PrinterEvent>) {
        match command {
            PrinterCommand::Print(job) => self.print(&job, out),
            // Every job known here has been rendered.
            PrinterCommand::Cancel(_) => {}
            PrinterCommand::Hold => {
                self.held = true;
                if self.phase != Phase::Down {
                    out.bytes.extend_from_slice(PAUSE);
                }
            }
            PrinterCommand::Resume => {
                self.held = false;
                match self.phase {
                    // The start sequence ends with a start of its own.
                    Phase::Down | Phase::Stopping | Phase::Counting => {}
                    Phase::Settling { .. } | Phase::Baseline | Phase::Running => {
                        out.bytes.extend_from_slice(START);
                    }
                }
            }
            PrinterCommand::Reset if self.phase == Phase::Down => {}
            PrinterCommand::Reset => {
                self.mirror.doubt_all(&Fault::from(FaultKind::Reset), &mut out.events);
                self.begin(now, out);
            }
        }
    }

    fn print(&mut self, job: &Job, out: &mut Output<PrinterEvent>) {
        let rendered = match self.refusal() {
            Some(fault) => Err(fault),
            None => render(&self.config, job),
        };
        match rendered {
            Ok(bytes) => {
                out.bytes.extend_from_slice(&bytes);
                self.mirror.push(job.id);
                out.events.push(PrinterEvent::Accepted(job.id));
            }
            Err(fault) => out.events.push(PrinterEvent::Refused(job.id, fault)),
        }
    }

    /// Says why a job cannot be taken now.
    fn refusal(&self) -> Option<Fault> {
        match self.phase {
            Phase::Down => Some(FaultKind::Disconnected.into()),
            Phase::Stopping | Phase::Counting | Phase::Settling { .. } | Phase::Baseline => {
                Some(Fault::new(FaultKind::NotReady, "the printer is being prepared"))
            }
            Phase::Running if self.held => Some(FaultKind::Held.into()),
            Phase::Running => match self.blocking().next() {
                Some(kind) => Some(kind.into()),
                None if self.mirror.len() >= self.config.window => Some(FaultKind::QueueFull.into()),
                None => None,
            },
        }
    }

    /// A cold head prints, if badly; all else stops.
    fn blocking(&self) -> impl Iterator<Item = FaultKind> {
        self.faults.kinds().filter(|kind| *kind != FaultKind::UnderTemperature)
    }

    fn bytes(&mut self, now: Time, bytes: &[u8], out: &mut Output<PrinterEvent>) {
        self.answers.push(bytes);
        while let Some(answer) = self.answers.pop() {
            match answer {
                Answer::Framed(frame) => match self.frames.take(&frame) {
                    Part::Whole(status) => self.status(now, &status, out),
                    Part::Taken => {}
                    Part::Unknown => self.complain(FaultKind::Protocol, "an answer that is not ~HS", out),
                },
                Answer::Quoted(value) => self.counted(now, odometer(&value), out),
                Answer::Oversize => self.complain(FaultKind::Oversize, "an answer without end", out),
            }
            // After each answer, so that events do not depend on how the stream was cut.
            self.announce(out);
        }
    }

    fn complain(&mut self, kind: FaultKind, detail: &'static str, out: &mut Output<PrinterEvent>) {
        if !std::mem::replace(&mut self.complained, true) {
            out.events.push(PrinterEvent::Fault(Fault::new(kind, detail)));
        }
    }

    fn status(&mut self, now: Time, status: &Status, out: &mut Output<PrinterEvent>) {
        let expected = self.status_asked.take().is_some();
        self.flags(status, out);
        if !expected {
            return;
        }
        self.next_look = Some(now + Duration::from_millis(self.config.poll_ms));
        let at_rest = status.is_idle() && (!status.paused || self.held);
        match self.phase {
            Phase::Down | Phase::Counting | Phase::Baseline => {}
            Phase::Stopping if self.countable => {
                self.phase = Phase::Counting;
                self.next_look = None;
                self.ask_counter(now, out);
            }
            Phase::Stopping => self.clear(now, out),
            Phase::Settling { .. } if at_rest && self.countable => {
                self.phase = Phase::Baseline;
                self.next_look = None;
                self.ask_counter(now, out);
            }
            Phase::Settling { .. } if at_rest => self.run(now, out),
            Phase::Settling { looks } => {
                self.phase = Phase::Settling { looks: looks.saturating_add(1) };
                if looks == SETTLE_POLLS_MAX {
                    self.flag(FaultKind::NotReady, true, "its buffer does not become empty", out);
                }
            }
            Phase::Running => {
                let blocked = status.paused || self.blocking().next().is_some();
                self.mirror.looked(status.is_idle() && !blocked);
                if !self.mirror.counts() {
                    self.mirror.idle_look(UNCOUNTED_IDLE_POLLS, &mut out.events);
                } else if self.counter_asked.is_none() {
                    self.ask_counter(now, out);
                }
            }
        }
    }

    /// Tells the flags that changed. Our own pause is no fault, and `~PS` takes a moment.
    fn flags(&mut self, status: &Status, out: &mut Output<PrinterEvent>) {
        let own_pause = self.held || self.phase != Phase::Running;
        let flags = status.faults().map(|(kind, on)| (kind, on && !(own_pause && kind == FaultKind::Paused)));
        for (kind, on) in flags.into_iter().chain([(FaultKind::Blocked, false)]) {
            self.flag(kind, on, "", out);
        }
    }

    fn flag(&mut self, kind: FaultKind, on: bool, detail: &'static str, out: &mut Output<PrinterEvent>) {
        match self.faults.set(kind, on) {
            Some(true) => out.events.push(PrinterEvent::Fault(Fault::new(kind, detail))),
            Some(false) => out.events.push(PrinterEvent::Cleared(kind)),
            None => {}
        }
    }

    /// Takes an answer of the counter; a printer without one says `"?"`.
    fn counted(&mut self, now: Time, total: Option<u64>, out: &mut Output<PrinterEvent>) {
        match self.phase {
            // Nobody asked, or asked and gave up.
            Phase::Down | Phase::Stopping | Phase::Settling { .. } => {}
            Phase::Counting => {
                self.countable = total.is_some();
                self.mirror.rebase(total, &mut out.events);
                self.clear(now, out);
            }
            Phase::Baseline => {
                self.mirror.rebase(total, &mut out.events);
                self.run(now, out);
            }
            Phase::Running => match total {
                Some(total) => {
                    self.counter_asked = None;
                    self.mirror.counted(total, self.config.idle_polls, &mut out.events);
                }
                None => self.uncounted(now, out),
            },
        }
    }

    /// The counter did not answer in time, or no longer knows itself.
    fn uncounted(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        self.counter_asked = None;
        match self.phase {
            Phase::Down | Phase::Stopping | Phase::Settling { .. } => {}
            // It may wait behind formats that `~JA` is going to drop: asked again once idle.
            Phase::Counting => self.clear(now, out),
            Phase::Baseline => {
                self.mirror.rebase(None, &mut out.events);
                self.run(now, out);
            }
            Phase::Running => {
                self.complain(FaultKind::Protocol, "the label counter stopped answering", out);
                self.mirror.rebase(None, &mut out.events);
            }
        }
    }

    fn clear(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        self.phase = Phase::Settling { looks: 0 };
        self.counter_asked = None;
        out.bytes.extend_from_slice(CLEAR);
        if let Some(format) = stored(&self.config) {
            out.bytes.extend_from_slice(&format);
        }
        if !self.held {
            out.bytes.extend_from_slice(START);
        }
        self.ask_status(now, out);
    }

    fn run(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        self.phase = Phase::Running;
        self.counter_asked = None;
        self.next_look = Some(now + Duration::from_millis(self.config.poll_ms));
        self.flag(FaultKind::NotReady, false, "", out);
    }

    fn tick(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        if self.status_deadline().is_some_and(|at| at <= now) {
            self.flag(FaultKind::Blocked, true, "no answer to ~HS", out);
            self.mirror.forget_idle();
            self.ask_status(now, out);
        }
        if self.counter_deadline().is_some_and(|at| at <= now) {
            self.uncounted(now, out);
        }
        if self.next_look.is_some_and(|at| at <= now) && self.status_asked.is_none() {
            self.ask_status(now, out);
        }
    }

    fn ask_status(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        out.bytes.extend_from_slice(ASK_STATUS);
        self.status_asked = Some(now);
        self.next_look = None;
    }

    fn ask_counter(&mut self, now: Time, out: &mut Output<PrinterEvent>) {
        out.bytes.extend_from_slice(ASK_COUNTER);
        self.counter_asked = Some(now);
    }

    fn status_deadline(&self) -> Option<Time> {
        self.status_asked.map(|at| at + Duration::from_millis(self.config.status_timeout_ms))
    }

    fn counter_deadline(&self) -> Option<Time> {
        let patience = COUNTER_PATIENCE.saturating_add(self.config.window);
        let span = Duration::from_millis(self.config.status_timeout_ms).saturating_mul(patience);
        self.counter_asked.map(|at| at + span)
    }

    /// Tells the free places when they changed.
    fn announce(&mut self, out: &mut Output<PrinterEvent>) {
        let free = match self.refusal() {
            Some(_) => 0,
            None => self.config.window - self.mirror.len(),
        };
        if free != self.announced {
            self.announced = free;
            out.events.push(PrinterEvent::Ready { free });
        }
    }
}
