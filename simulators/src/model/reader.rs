//! A fixed reader with a hardware trigger: one line a trigger, after its latency, in the order of triggers.
//!
//! Ignores what is sent to it. Results that come due while nobody is connected are gone, as with real ones.

use std::collections::VecDeque;

use super::MS;
use crate::fault::{FaultKind, Faults};

#[derive(Debug, Clone)]
pub struct ReaderConfig {
    pub latency_ms_min: u64,
    pub latency_ms_max: u64,
    pub header: Vec<u8>,
    pub terminator: Vec<u8>,
    pub no_read: Vec<u8>,
    /// Sends the AIM identifier (`]d2` for GS1, else `]d1`) before each code.
    pub aim: bool,
    /// Between two codes of one view.
    pub separator: Vec<u8>,
    /// Sent as it stands, whether results flow or not.
    pub heartbeat: Option<Heartbeat>,
    /// How late a late result is.
    pub late_ms: u64,
    /// What stands in the place of GS where it is replaced.
    pub gs_replacement: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Heartbeat {
    pub every_ms: u64,
    pub bytes: Vec<u8>,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        Self {
            latency_ms_min: 8,
            latency_ms_max: 25,
            header: Vec::new(),
            terminator: b"\r\n".to_vec(),
            no_read: b"NOREAD".to_vec(),
            aim: false,
            separator: b"\t".to_vec(),
            heartbeat: None,
            late_ms: 400,
            gs_replacement: b"<GS>".to_vec(),
        }
    }
}

/// A symbol in front of the lens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub bytes: Vec<u8>,
    pub gs1: bool,
}

#[derive(Debug)]
struct Answer {
    due_ns: u64,
    line: Vec<u8>,
}

#[derive(Debug)]
pub struct Reader {
    pub config: ReaderConfig,
    rng: fastrand::Rng,
    due: VecDeque<Answer>,
    last_due_ns: u64,
    held: Option<Answer>,
    previous: Option<Seen>,
    next_beat_ns: u64,
    connected: bool,
    out: Vec<u8>,
    sent: u64,
}

/// A held result comes out after this, even if no other follows.
const HOLD_NS: u64 = 1000 * MS;

impl Reader {
    pub fn new(config: ReaderConfig, seed: u64) -> Self {
        Self {
            config,
            rng: fastrand::Rng::with_seed(seed),
            due: VecDeque::new(),
            last_due_ns: 0,
            held: None,
            previous: None,
            next_beat_ns: 0,
            connected: false,
            out: Vec::new(),
            sent: 0,
        }
    }

    /// The photo-eye fires with these symbols in view. Returns what will be sent, unframed, and what went wrong.
    pub fn trigger(
        &mut self,
        now_ns: u64,
        seen: &[Seen],
        faults: &mut Faults,
    ) -> (Option<Vec<u8>>, Vec<FaultKind>) {
        const TIMING: [FaultKind; 3] = [FaultKind::Late, FaultKind::DuplicateResult, FaultKind::OutOfOrder];
        let content = faults.first(&self.possible(seen));
        if content == Some(FaultKind::ReadMissed) {
            return (None, vec![FaultKind::ReadMissed]);
        }
        let payload = self.payload(seen, content, faults);
        let timing = faults.first(&TIMING);
        self.schedule(now_ns, &payload, timing);
        self.previous = seen.first().cloned().or(self.previous.take());
        (Some(payload), content.into_iter().chain(timing).collect())
    }

    /// Lets time pass: due results and heartbeats go out, or are lost where nobody listens.
    pub fn step(&mut self, now_ns: u64) {
        if let Some(held) = self.held.take_if(|h| h.due_ns + HOLD_NS <= now_ns) {
            self.due.push_back(held);
        }
        while let Some(result) = self.due.pop_front_if(|r| r.due_ns <= now_ns) {
            self.send(&result.line);
        }
        if let Some(Heartbeat { every_ms, bytes }) = self.config.heartbeat.clone()
            && now_ns >= self.next_beat_ns
        {
            self.next_beat_ns = now_ns + every_ms * MS;
            self.send(&bytes);
        }
    }

    pub fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
        self.out.clear();
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Bytes to the host since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Lines that went out to a connected host, heartbeats included.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn at_rest(&self) -> bool {
        self.due.is_empty() && self.held.is_none()
    }

    fn send(&mut self, line: &[u8]) {
        if self.connected {
            self.out.extend_from_slice(line);
            self.sent += 1;
        }
    }

    /// What can go wrong with the content of this view: no separator is lost where none is.
    fn possible(&self, seen: &[Seen]) -> Vec<FaultKind> {
        let mut kinds = vec![FaultKind::ReadMissed];
        if !seen.is_empty() {
            kinds.extend([FaultKind::NoRead, FaultKind::Misread, FaultKind::TwoCodes, FaultKind::LineCut]);
        }
        if seen.iter().any(|s| s.bytes.contains(&0x1D)) {
            kinds.extend([FaultKind::GsLost, FaultKind::GsReplaced]);
        }
        kinds
    }

    fn payload(&mut self, seen: &[Seen], fault: Option<FaultKind>, faults: &mut Faults) -> Vec<u8> {
        let mut seen = seen.to_vec();
        if fault == Some(FaultKind::TwoCodes)
            && let Some(neighbour) = self.previous.clone().or_else(|| seen.first().cloned())
        {
            seen.push(neighbour);
        }
        if seen.is_empty() || fault == Some(FaultKind::NoRead) {
            return self.config.no_read.clone();
        }
        for symbol in &mut seen {
            match fault {
                Some(FaultKind::Misread) => misread(&mut symbol.bytes, faults.stream(FaultKind::Misread)),
                Some(FaultKind::GsLost) => symbol.bytes.retain(|b| *b != 0x1D),
                Some(FaultKind::GsReplaced) => {
                    symbol.bytes = symbol
                        .bytes
                        .split(|b| *b == 0x1D)
                        .collect::<Vec<_>>()
                        .join(&self.config.gs_replacement[..]);
                }
                _ => {}
            }
        }
        let aim = |s: &Seen| match (self.config.aim, s.gs1) {
            (false, _) => b"".to_vec(),
            (true, true) => b"]d2".to_vec(),
            (true, false) => b"]d1".to_vec(),
        };
        let parts: Vec<Vec<u8>> = seen.iter().map(|s| [aim(s), s.bytes.clone()].concat()).collect();
        let mut payload = parts.join(&self.config.separator[..]);
        if fault == Some(FaultKind::LineCut) {
            payload.truncate(faults.stream(FaultKind::LineCut).usize(..payload.len().max(1)));
        }
        payload
    }

    fn schedule(&mut self, now_ns: u64, payload: &[u8], fault: Option<FaultKind>) {
        let (min, max) = (self.config.latency_ms_min, self.config.latency_ms_max);
        let latency_ns = self.rng.u64(min * MS..=max.max(min) * MS);
        let late_ns = if fault == Some(FaultKind::Late) { self.config.late_ms * MS } else { 0 };
        let due_ns = (now_ns + latency_ns + late_ns).max(self.last_due_ns);
        self.last_due_ns = due_ns;
        let line = [&self.config.header[..], payload, &self.config.terminator].concat();
        let held = self.held.take();
        if fault == Some(FaultKind::OutOfOrder) {
            self.held = Some(Answer { due_ns, line });
        } else {
            if fault == Some(FaultKind::DuplicateResult) {
                self.due.push_back(Answer { due_ns, line: line.clone() });
            }
            self.due.push_back(Answer { due_ns, line });
        }
        if let Some(held) = held {
            self.due.push_back(Answer { due_ns, ..held });
        }
    }
}

/// Changes one character into another of the same sort.
pub(super) fn misread(bytes: &mut [u8], rng: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.usize(..bytes.len());
    bytes[at] = match bytes[at] {
        b'0'..=b'8' | b'A'..=b'Y' | b'a'..=b'y' => bytes[at] + 1,
        b'9' => b'0',
        b'Z' => b'A',
        b'z' => b'a',
        _ => b'?',
    };
}
