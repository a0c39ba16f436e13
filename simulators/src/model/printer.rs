//! A label printer that speaks ZPL II: receive buffer, queue, head, media, power.
//!
//! Behaves as real ones do where it hurts: it prints the interrupted label again unless `^JZN` is in force, says
//! nothing to `~HS` while it is out of ribbon, loses its buffer at power-off, and finishes the label in motion after
//! `~JA`. Keeps a log of every label that became physical.

use std::collections::{BTreeSet, VecDeque};

use super::MS;
use super::printer_trips::Trips;
use super::truth::PrintedLabel;
use super::zpl::Lexer;
use super::zpl_format::{Composer, Job};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintMode {
    /// Labels go onto the web at printing speed until it holds this many; an applicator takes them.
    Stream { web_capacity: usize },
    /// One label a start signal, in place on the item at the head.
    Demand,
}

#[derive(Debug, Clone)]
pub struct PrinterConfig {
    pub mode: PrintMode,
    /// From rest to the first label.
    pub first_label_ms: u64,
    pub label_ms: u64,
    /// Receive buffer; what does not fit stays with the sender.
    pub buffer_bytes: usize,
    pub boot_ms: u64,
    /// Escape of `^BX` where the format names none: `_` since firmware V60.13.0.12, `~` before.
    pub escape_default: u8,
    /// Answer to `~HI`.
    pub identity: String,
    /// Share of a label's time after which its symbol stands complete on it.
    pub symbol_done_percent: u64,
}

impl Default for PrinterConfig {
    fn default() -> Self {
        Self {
            mode: PrintMode::Stream { web_capacity: 3 },
            first_label_ms: 120,
            label_ms: 60,
            buffer_bytes: 64 * 1024,
            boot_ms: 1500,
            escape_default: b'_',
            identity: "ZTC ZD421-300dpi ZPL,V85.20.19,300,131072".to_owned(),
            symbol_done_percent: 70,
        }
    }
}

/// What keeps the head from printing until a person has been there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    Media,
    Ribbon,
    Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Off,
    Booting { ready_ns: u64 },
    On,
}

#[derive(Debug)]
pub(super) struct Printing {
    label_no: u64,
    pub(super) job: Job,
    moves_ns: u64,
    done_ns: u64,
}

#[derive(Debug)]
pub struct Printer {
    pub config: PrinterConfig,
    pub(super) lexer: Lexer,
    pub(super) composer: Composer,
    pub(super) format_bytes: usize,
    pub(super) queue: VecDeque<Job>,
    pub(super) printing: Option<Printing>,
    pub(super) last: Option<Job>,
    /// The newest jobs that were printed, oldest first.
    pub(super) done: VecDeque<Job>,
    pub(super) trips: Trips,
    unasked: Vec<u64>,
    pub(super) blocks: BTreeSet<Block>,
    pub(super) paused: bool,
    power: Power,
    power_losses: u64,
    pub(super) odometer: u64,
    labels_begun: u64,
    /// Its place among the printers of its line, from zero, and how many these are.
    place: (u64, u64),
    free_since_ns: u64,
    pub(super) web: VecDeque<PrintedLabel>,
    log: Vec<PrintedLabel>,
    pub(super) out: Vec<u8>,
}

impl Printer {
    pub fn new(config: PrinterConfig) -> Self {
        Self {
            lexer: Lexer::default(),
            composer: Composer::new(config.escape_default),
            config,
            format_bytes: 0,
            queue: VecDeque::new(),
            printing: None,
            last: None,
            done: VecDeque::new(),
            trips: Trips::default(),
            unasked: Vec::new(),
            blocks: BTreeSet::new(),
            paused: false,
            power: Power::On,
            power_losses: 0,
            odometer: 0,
            labels_begun: 0,
            place: (0, 1),
            free_since_ns: 0,
            web: VecDeque::new(),
            log: Vec::new(),
            out: Vec::new(),
        }
    }

    /// One of several printers of a line, the one with this place from zero. No two of them give a label the same number.
    pub fn one_of(config: PrinterConfig, at: usize, printers: usize) -> Self {
        Self { place: (at as u64, printers.max(1) as u64), ..Self::new(config) }
    }

    /// The number of a label of this printer, by its count from one.
    fn number(&self, count: u64) -> u64 {
        let (at, printers) = self.place;
        (count - 1) * printers + at + 1
    }

    /// The number that the next label will have.
    pub fn next_label_no(&self) -> u64 {
        self.number(self.labels_begun + 1)
    }

    /// Receives bytes; returns how many were taken. The rest did not fit and has to be offered again.
    pub fn receive(&mut self, now_ns: u64, bytes: &[u8]) -> usize {
        self.step(now_ns);
        let mut words = Vec::new();
        for (taken, &byte) in bytes.iter().enumerate() {
            if self.power != Power::On || self.room() == 0 {
                return taken;
            }
            self.lexer.push(byte, &mut words);
            self.format_bytes += usize::from(self.composer.in_format());
            for word in words.drain(..) {
                self.word(now_ns, word);
            }
        }
        bytes.len()
    }

    /// Bytes that the receive buffer still takes.
    pub fn room(&self) -> usize {
        let used = self.format_bytes + self.queue.iter().map(|j| j.bytes).sum::<usize>();
        // A format larger than the buffer is worked off as it comes, once nothing stands before it.
        self.config.buffer_bytes.saturating_sub(used).max(usize::from(self.queue.is_empty()))
    }

    /// Answers since the last call.
    pub fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Lets time pass: labels in motion finish, waiting ones begin.
    pub fn step(&mut self, now_ns: u64) {
        if let Power::Booting { ready_ns } = self.power
            && now_ns >= ready_ns
        {
            self.power = Power::On;
            self.free_since_ns = ready_ns;
        }
        while let Some(printing) = self.printing.take_if(|p| p.done_ns <= now_ns) {
            let done_ns = printing.done_ns;
            self.odometer =
                (self.odometer + 1).saturating_add_signed(std::mem::take(&mut self.trips.odometer));
            self.put_on_web(&printing, done_ns, false);
            self.finished(Job { copies: 1, ..printing.job.clone() });
            if printing.job.copies > 0 {
                self.queue.push_front(printing.job);
            }
            self.free_since_ns = done_ns;
            self.begin_by_itself(done_ns);
        }
        self.begin_by_itself(now_ns);
    }

    /// The applicator takes the next label from the web.
    pub fn take_label(&mut self, now_ns: u64) -> Option<PrintedLabel> {
        self.step(now_ns);
        let label = self.web.pop_front();
        self.begin_by_itself(now_ns);
        label
    }

    /// Start signal of over-printing: an item stands at the head. Returns the label that it gets, if any.
    pub fn start_signal(&mut self, now_ns: u64) -> Option<u64> {
        self.step(now_ns);
        self.begin(now_ns)
    }

    pub fn block(&mut self, now_ns: u64, block: Block) {
        self.step(now_ns);
        self.blocks.insert(block);
        self.interrupt(now_ns, true);
    }

    /// A person has put it right and pressed PAUSE, so that the printer goes on.
    pub fn unblock(&mut self, now_ns: u64, block: Block) {
        self.step(now_ns);
        self.blocks.remove(&block);
        self.free_since_ns = now_ns;
        self.begin_by_itself(now_ns);
    }

    pub fn power_off(&mut self, now_ns: u64) {
        self.step(now_ns);
        self.interrupt(now_ns, false);
        self.power = Power::Off;
        self.power_losses += 1;
        self.lexer = Lexer::default();
        self.composer.power_off();
        self.format_bytes = 0;
        self.queue.clear();
        self.last = None;
        self.done.clear();
        self.paused = false;
        self.out.clear();
    }

    pub fn power_on(&mut self, now_ns: u64) {
        if self.power == Power::Off {
            self.power = Power::Booting { ready_ns: now_ns + self.config.boot_ms * MS };
        }
        self.step(now_ns);
    }

    /// Somebody asks at the panel for the last label once more.
    pub fn reprint_last(&mut self, now_ns: u64) {
        self.step(now_ns);
        if let Some(last) = &self.last {
            self.queue.push_front(Job { reprint: true, at_panel: true, bytes: 0, ..last.clone() });
            self.begin_by_itself(now_ns);
        }
    }

    /// There is a label that the panel could print again.
    pub fn has_last(&self) -> bool {
        self.last.is_some()
    }

    /// Powered and booted: connections live.
    pub fn is_up(&self) -> bool {
        self.power == Power::On
    }

    /// Grows at every loss of power; no connection outlives one.
    pub fn power_losses(&self) -> u64 {
        self.power_losses
    }

    /// When the label in the head begins to move, and when it is done.
    pub fn motion(&self) -> Option<(u64, u64)> {
        self.printing.as_ref().map(|p| (p.moves_ns, p.done_ns))
    }

    pub fn odometer(&self) -> u64 {
        self.odometer
    }

    /// Labels begun so far.
    pub fn labels_begun(&self) -> u64 {
        self.labels_begun
    }

    /// Every label that became physical, half-printed ones included.
    pub fn log(&self) -> &[PrintedLabel] {
        &self.log
    }

    pub fn labels_on_web(&self) -> usize {
        self.web.len()
    }

    pub fn formats_waiting(&self) -> usize {
        self.queue.len()
    }

    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.blocks.iter().copied()
    }

    fn can_begin(&self) -> bool {
        self.power == Power::On && self.blocks.is_empty() && !self.paused && self.printing.is_none()
    }

    pub(super) fn begin_by_itself(&mut self, now_ns: u64) {
        if let PrintMode::Stream { web_capacity } = self.config.mode
            && self.web.len() < web_capacity
        {
            self.begin(now_ns);
        }
    }

    fn begin(&mut self, now_ns: u64) -> Option<u64> {
        if !self.can_begin() {
            return None;
        }
        let mut job = self.queue.pop_front()?;
        job.copies -= 1;
        let rested = now_ns > self.free_since_ns || self.labels_begun == 0;
        let latency_ms = match self.config.mode {
            PrintMode::Stream { .. } if rested => self.config.first_label_ms,
            PrintMode::Stream { .. } | PrintMode::Demand => 0,
        };
        self.labels_begun += 1;
        let moves_ns = now_ns + latency_ms * MS;
        let done_ns = moves_ns + self.config.label_ms * MS;
        let label_no = self.number(self.labels_begun);
        self.printing = Some(Printing { label_no, job, moves_ns, done_ns });
        Some(label_no)
    }

    /// The label in motion stops where it is.
    fn interrupt(&mut self, now_ns: u64, may_repeat: bool) {
        let Some(mut printing) = self.printing.take() else { return };
        if now_ns <= printing.moves_ns {
            // Nothing of it was drawn yet.
            printing.job.copies += 1;
            self.queue.push_front(printing.job);
            return;
        }
        let drawn_percent =
            (now_ns - printing.moves_ns) * 100 / (printing.done_ns - printing.moves_ns).max(1);
        self.put_on_web(&printing, now_ns, drawn_percent < self.config.symbol_done_percent);
        let repeat = Job { copies: 1, reprint: true, bytes: 0, ..printing.job.clone() };
        if printing.job.copies > 0 {
            self.queue.push_front(printing.job);
        }
        if may_repeat && repeat.reprint_after_error {
            self.queue.push_front(repeat);
        } else if may_repeat && std::mem::take(&mut self.trips.reprints) {
            self.queue.push_front(Job { unasked: true, ..repeat });
        }
    }

    /// Labels that no host of this line asked for.
    pub fn unasked(&self) -> &[u64] {
        &self.unasked
    }

    fn put_on_web(&mut self, printing: &Printing, at_ns: u64, damaged: bool) {
        let symbol = printing.job.symbol.as_ref();
        let label = PrintedLabel {
            label_no: printing.label_no,
            at_ns,
            symbol: symbol.map(|s| s.bytes.clone()),
            gs1: symbol.is_some_and(|s| s.gs1),
            bar: printing.job.bar.clone(),
            damaged,
            reprint: printing.job.reprint,
            at_panel: printing.job.at_panel,
        };
        if printing.job.unasked {
            self.unasked.push(label.label_no);
        }
        self.log.push(label.clone());
        self.web.push_back(label);
    }
}
