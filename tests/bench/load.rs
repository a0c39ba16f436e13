//! Lines of a plant as lean as they can be: a reader's socket and a gate's Modbus registers each, and one belt that
//! feeds them all. It speaks the wire, and takes the time from a read's write to the pass of its item's tag.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From the trigger to the reader's result, and to the gate.
const READ_AFTER: Duration = Duration::from_millis(8);
const GATE_AFTER: Duration = Duration::from_millis(300);

/// What one line measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub triggers: u32,
    pub passed: u32,
    pub rejected: u32,
    /// From the write of a read to the pass, in microseconds.
    pub verdicts_us: Vec<u64>,
    /// When each of them was, in milliseconds of the gates' clocks.
    pub at_ms: Vec<u64>,
    pub polls: u64,
    /// Tags that passed, in their order: tag n bears the code n - 1 of its line.
    pub passed_tags: Vec<u32>,
}

/// The registers of one gate, and what is measured at it.
struct Gate {
    items: [(u32, u16); 16],
    outcomes: [(u32, u16); 64],
    passes: [u16; 64],
    beat: u16,
    command: u16,
    read_at: BTreeMap<u32, Instant>,
    measured: Measured,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            items: [(0, 0); 16],
            outcomes: [(0, 0); 64],
            passes: [0; 64],
            beat: 0,
            command: 0,
            read_at: BTreeMap::new(),
            measured: Measured::default(),
        }
    }
}

pub struct Line {
    pub reader: SocketAddr,
    pub gate: SocketAddr,
    codes: Vec<Vec<u8>>,
    /// The gates' clocks count from here.
    begun: Instant,
    shared: Arc<Mutex<Gate>>,
    to_agent: Arc<Mutex<Option<TcpStream>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub fn new(codes: Vec<Vec<u8>>, begun: Instant) -> Line {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (reader, gate) = (listen(), listen());
        let line = Line {
            reader: reader.local_addr().unwrap(),
            gate: gate.local_addr().unwrap(),
            codes,
            begun,
            shared: Arc::default(),
            to_agent: Arc::default(),
        };
        let to_agent = Arc::clone(&line.to_agent);
        std::thread::spawn(move || {
            for stream in reader.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                *lock(&to_agent) = Some(stream);
            }
        });
        let shared = Arc::clone(&line.shared);
        std::thread::spawn(move || {
            for stream in gate.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                // The agent went away: it calls again.
                drop(serve(stream, &shared, begun));
            }
        });
        line
    }

    pub fn measured(&self) -> Measured {
        lock(&self.shared).measured.clone()
    }

    /// The code of the item that passed as number `n`, from zero, once so many passed.
    pub fn passed(&self, n: usize) -> Option<&[u8]> {
        let tag = *lock(&self.shared).measured.passed_tags.get(n)?;
        self.codes.get(tag as usize - 1).map(Vec::as_slice)
    }
}

/// What the belt does next on a line.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Trigger,
    Read(u32),
    AtGate(u32),
}

/// The belt of all lines. Ends when every code was on an item that met its fate, or when the sender goes.
pub fn belt(lines: &[Line], items_per_min: u32) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel();
    let lines: Vec<_> = lines
        .iter()
        .map(|l| (l.codes.clone(), l.begun, Arc::clone(&l.shared), Arc::clone(&l.to_agent)))
        .collect();
    let thread = std::thread::spawn(move || {
        let period = Duration::from_secs(60) / items_per_min;
        let mut due: BinaryHeap<Reverse<(Instant, usize, Act)>> = BinaryHeap::new();
        let start = Instant::now();
        for n in 0..lines.len() {
            // Belts of different lines do not run in step.
            let at = start + period * u32::try_from(n).unwrap() / u32::try_from(lines.len()).unwrap();
            due.push(Reverse((at, n, Act::Trigger)));
        }
        while let Some(Reverse((at, n, act))) = due.pop() {
            if wait(&stopped, at) {
                return;
            }
            let (codes, begun, shared, to_agent) = &lines[n];
            match act {
                Act::Trigger => {
                    let again = trigger(&mut lock(shared), codes.len(), *begun);
                    if let Some(Some(tag)) = again {
                        // As late as this computer let it fire: a reader is triggered by the same signal.
                        let at = at.max(Instant::now());
                        due.push(Reverse((at + READ_AFTER, n, Act::Read(tag))));
                        due.push(Reverse((at + GATE_AFTER, n, Act::AtGate(tag))));
                    }
                    if again.is_some() {
                        due.push(Reverse((at + period, n, Act::Trigger)));
                    }
                }
                Act::Read(tag) => {
                    let code = [&codes[tag as usize - 1][..], b"\r\n"].concat();
                    lock(shared).read_at.insert(tag, Instant::now());
                    if let Some(stream) = lock(to_agent).as_mut() {
                        // A reader without a host goes on reading.
                        drop(stream.write_all(&code));
                    }
                }
                Act::AtGate(tag) => at_gate(&mut lock(shared), tag),
            }
        }
    });
    (stop, thread)
}

/// True when the bench is over.
pub fn wait(stopped: &Receiver<()>, at: Instant) -> bool {
    let now = Instant::now();
    at > now && stopped.recv_timeout(at - now) != Err(RecvTimeoutError::Timeout)
}

/// An item at the trigger: its tag; `Some(None)` while the belt stands, `None` when the items are all.
fn trigger(gate: &mut Gate, codes: usize, begun: Instant) -> Option<Option<u32>> {
    if gate.measured.triggers as usize >= codes {
        return None;
    }
    if gate.command == 0 {
        return Some(None);
    }
    gate.measured.triggers += 1;
    let tag = gate.measured.triggers;
    gate.items[tag as usize % 16] = (tag, ms(begun));
    Some(Some(tag))
}

fn at_gate(gate: &mut Gate, tag: u32) {
    let at = 2 * (tag as usize % 32);
    let passes = two(gate.passes[at], gate.passes[at + 1]) == tag;
    gate.outcomes[tag as usize % 64] = (tag, if passes { 1 } else { 2 });
    if passes {
        gate.measured.passed += 1;
        gate.measured.passed_tags.push(tag);
    } else {
        gate.measured.rejected += 1;
    }
    gate.read_at.remove(&tag);
}

fn ms(begun: Instant) -> u16 {
    (begun.elapsed().as_millis() & 0xFFFF) as u16
}

fn two(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// Serves Modbus TCP, one frame after another.
fn serve(mut stream: TcpStream, shared: &Mutex<Gate>, begun: Instant) -> std::io::Result<()> {
    let mut frame = [0; 512];
    loop {
        stream.read_exact(&mut frame[..6])?;
        let len = usize::from(u16::from_be_bytes([frame[4], frame[5]]));
        let rest = frame.get_mut(6..6 + len).ok_or(ErrorKind::InvalidData)?;
        stream.read_exact(rest)?;
        let pdu = answer(&frame[7..6 + len], &mut lock(shared), begun);
        let mut out = frame[..4].to_vec();
        out.extend(u16::try_from(pdu.len() + 1).unwrap().to_be_bytes());
        out.push(frame[6]);
        out.extend(pdu);
        stream.write_all(&out)?;
    }
}

fn answer(pdu: &[u8], gate: &mut Gate, begun: Instant) -> Vec<u8> {
    let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
    let (first, count) = (usize::from(word(1)), usize::from(word(3)));
    if pdu[0] == 16 {
        for n in 0..count {
            gate.write(first + n, word(6 + 2 * n));
        }
        // Leaves of several items may come together; the ring as a whole is only ever cleared.
        if (2..66).contains(&first) && count < 64 {
            (0..count / 2).for_each(|n| gate.note_pass(two(word(6 + 4 * n), word(8 + 4 * n)), begun));
        }
        return pdu[..5].to_vec();
    }
    if first == 0 && pdu[0] == 4 {
        gate.measured.polls += 1;
    }
    let mut out = vec![pdu[0], u8::try_from(2 * count).unwrap()];
    for at in first..first + count {
        let value = if pdu[0] == 4 { gate.input(at, begun) } else { gate.holding(at) };
        out.extend(value.to_be_bytes());
    }
    out
}

impl Gate {
    fn write(&mut self, at: usize, value: u16) {
        match at {
            0 => self.beat = value,
            1 => self.command = value,
            _ => self.passes[at - 2] = value,
        }
    }

    fn note_pass(&mut self, tag: u32, begun: Instant) {
        if let Some(read_at) = self.read_at.remove(&tag) {
            let us = u64::try_from(read_at.elapsed().as_micros()).unwrap();
            self.measured.verdicts_us.push(us);
            self.measured.at_ms.push(u64::try_from(begun.elapsed().as_millis()).unwrap());
        }
    }

    fn holding(&self, at: usize) -> u16 {
        match at {
            0 => self.beat,
            1 => self.command,
            _ => self.passes[at - 2],
        }
    }

    fn input(&self, at: usize, begun: Instant) -> u16 {
        let half = |number: u32, high: bool| (if high { number >> 16 } else { number & 0xFFFF }) as u16;
        let ring = |(tag, last): (u32, u16), part: usize| match part {
            0 => half(tag, true),
            1 => half(tag, false),
            _ => last,
        };
        match at {
            0 => (begun.elapsed().as_millis() / 200) as u16,
            1 => 1 | self.command << 1,
            2 => 1,
            3 => ms(begun),
            4 | 5 => half(self.measured.triggers, at == 4),
            6 | 7 => half(self.measured.passed, at == 6),
            8 | 9 => half(self.measured.rejected, at == 8),
            12..60 => ring(self.items[(at - 12) / 3], (at - 12) % 3),
            100..292 => ring(self.outcomes[(at - 100) / 3], (at - 100) % 3),
            _ => 0,
        }
    }
}
