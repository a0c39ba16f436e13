//! The wire trace of one device, switchable while it runs.
//!
//! Verification tails never get into it: what comes out of [`Trace::record`] is already masked, in
//! memory and in the file alike, and the mask keeps its place over cuts of the stream. Only
//! [`Trace::unmask_against_simulators`] takes the mask off, and its name says for what.
//!
//! The ring is bounded in records and bytes. Nothing here writes to disk by itself: a task of the
//! agent's takes records with [`Trace::since`] and gives them to a [`TraceFile`].

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mask::Mask;
use crate::session::Time;

/// How much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// Time, direction and length of each chunk.
    Frames,
    /// The masked bytes too.
    Bytes,
}

/// Which way a chunk went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the device to us.
    In,
    /// From us to the device.
    Out,
    /// The connection came up; no bytes.
    Connected,
    /// The connection went; no bytes.
    Disconnected,
}

/// One recorded chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Our clock.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// Length on the wire in bytes.
    pub len: usize,
    /// The masked bytes; empty below [`Level::Bytes`].
    pub bytes: Vec<u8>,
}

/// Bytes of the ring: some minutes of a fast line at the full level.
const RING_BYTES_MAX: usize = 256 * 1024;
/// Records of the ring: bounds the overhead of many small chunks.
const RING_RECORDS_MAX: usize = 8 * 1024;

/// A handle to the trace of one device; clones share it.
#[derive(Debug, Clone)]
pub struct Trace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: AtomicU8,
    unmasked: AtomicBool,
    carries_symbols: bool,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
    /// Number of the record after the newest.
    next: u64,
    mask_in: Mask,
    mask_out: Mask,
}

impl Trace {
    /// Makes the trace of a device whose stream carries symbols: a printer, a reader.
    pub fn of_symbols() -> Self {
        Self::new(true)
    }

    /// Makes the trace of a device that never sees a symbol: a gate. Its binary stream stays legible.
    pub fn of_signals() -> Self {
        Self::new(false)
    }

    fn new(carries_symbols: bool) -> Self {
        let ring = Ring {
            records: VecDeque::new(),
            bytes: 0,
            next: 0,
            mask_in: Mask::mid_stream(),
            mask_out: Mask::at_frame_start(),
        };
        Self {
            shared: Arc::new(Shared {
                level: AtomicU8::new(Level::Off as u8),
                unmasked: AtomicBool::new(false),
                carries_symbols,
                ring: Mutex::new(ring),
            }),
        }
    }

    /// Says how much is recorded from now on.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    /// Says how much is recorded now.
    pub fn level(&self) -> Level {
        match self.shared.level.load(Ordering::Relaxed) {
            0 => Level::Off,
            1 => Level::Frames,
            _ => Level::Bytes,
        }
    }

    /// Takes the mask off (or puts it on again). Only for simulators and named test jobs: the codes
    /// of a real line are secrets of the state system's.
    pub fn unmask_against_simulators(&self, unmasked: bool) {
        self.shared.unmasked.store(unmasked, Ordering::Relaxed);
    }

    /// Records one chunk. The mask follows the stream even while nothing is recorded.
    pub fn record(&self, at: Time, direction: Direction, bytes: &[u8]) {
        let level = self.level();
        let mut ring = self.ring();
        let mut shown = if level == Level::Bytes { bytes.to_vec() } else { Vec::new() };
        if self.shared.carries_symbols {
            let unmasked = self.shared.unmasked.load(Ordering::Relaxed);
            let mask = match direction {
                Direction::In => &mut ring.mask_in,
                Direction::Out => &mut ring.mask_out,
                Direction::Connected | Direction::Disconnected => {
                    ring.mask_in = Mask::mid_stream();
                    ring.mask_out = Mask::at_frame_start();
                    &mut ring.mask_in
                }
            };
            for (place, &byte) in bytes.iter().enumerate() {
                let hidden = mask.hides(byte);
                if hidden
                    && !unmasked
                    && let Some(slot) = shown.get_mut(place)
                {
                    *slot = b'*';
                }
            }
        }
        if level > Level::Off {
            ring.push(Record { at, direction, len: bytes.len(), bytes: shown });
        }
    }

    /// Returns the records from number `from` on that are still held, and the number to ask for next
    /// time. Numbers begin at 0; records that fell out of the ring are skipped.
    pub fn since(&self, from: u64) -> (Vec<Record>, u64) {
        let ring = self.ring();
        let oldest = ring.next - ring.records.len() as u64;
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        (ring.records.iter().skip(skip).cloned().collect(), ring.next)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // The ring is whole between any two statements that can panic, so a poisoned lock is usable.
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, record: Record) {
        self.bytes += record.bytes.len();
        self.records.push_back(record);
        self.next += 1;
        while self.bytes > RING_BYTES_MAX || self.records.len() > RING_RECORDS_MAX {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
        }
    }
}

impl Record {
    /// Writes the record as one line: seconds, direction, length, bytes with `\xNN` for what is not
    /// printable.
    pub fn line(&self) -> String {
        let arrow = match self.direction {
            Direction::In => "<",
            Direction::Out => ">",
            Direction::Connected => "+",
            Direction::Disconnected => "-",
        };
        let mut line = format!("{} {arrow} {}", self.at, self.len);
        if !self.bytes.is_empty() {
            line.push(' ');
        }
        for &byte in &self.bytes {
            match byte {
                b'\\' => line.push_str("\\\\"),
                0x20..=0x7e => line.push(char::from(byte)),
                _ => write!(line, "\\x{byte:02x}").expect("writing to a String cannot fail"),
            }
        }
        line
    }
}

/// A bounded file of records, mode 0600: `path` and, once that is half the bound, `path.old`.
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    file: File,
    len: u64,
    half_max: u64,
}

impl TraceFile {
    /// Opens or creates the file; both files together stay within `bytes_max`, give or take a record.
    ///
    /// # Errors
    /// When the file cannot be created or appended to.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = Self::append_to(path)?;
        let len = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file, len, half_max: bytes_max / 2 })
    }

    /// Appends records, a line each.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            let mut line = record.line();
            line.push('\n');
            if self.len > 0 && self.len + line.len() as u64 > self.half_max {
                let mut old = self.path.clone().into_os_string();
                old.push(".old");
                std::fs::rename(&self.path, &old)?;
                self.file = Self::append_to(&self.path)?;
                self.len = 0;
            }
            self.file.write_all(line.as_bytes())?;
            self.len += line.len() as u64;
        }
        Ok(())
    }

    fn append_to(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)
    }
}
