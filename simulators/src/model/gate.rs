//! The gate's PLC: gives tags at the trigger, tracks items by the belt's encoder, passes what the agent allowed.
//!
//! Rests at reject: an item without a tag, without an exact entry in the pass ring, or with the agent's heartbeat
//! lost goes into the bin. Its registers are the decided map; rings and counters are what its sensors saw, which may
//! differ from what it was told.

use std::collections::{BTreeMap, VecDeque};

use super::MS;
use super::modbus::{self, Bank};
use super::truth::{Fate, TagRef};

const ITEM_RING: u32 = 16;
const OUTCOME_RING: u32 = 64;
const PASS_RING: u32 = 32;
/// Items between trigger and gate that the PLC can track.
const TRACKED_MAX: usize = 31;

#[derive(Debug, Clone)]
pub struct GateConfig {
    /// The agent's heartbeat unchanged for so long is lost.
    pub agent_lost_ms: u64,
    pub heartbeat_ms: u64,
    /// From the ejector to the sensors behind gate and in the bin.
    pub confirm_ms: u64,
    /// Items in the bin until it is full; the PLC only says so.
    pub bin_capacity: Option<u32>,
    /// The PLC's scan: once in so long it looks at its trigger, stamps what came, and brings its registers up to date.
    /// 0: all at the moment.
    pub scan_ms: u64,
    /// How long the PLC takes over each answer; it takes up one request after the other.
    pub answer_ms: u64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            agent_lost_ms: 2000,
            heartbeat_ms: 200,
            confirm_ms: 60,
            bin_capacity: None,
            scan_ms: 0,
            answer_ms: 0,
        }
    }
}

/// What goes wrong with the ejector for one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    Stuck,
    Late,
    Escape,
    Unconfirmed,
}

/// The item that now stands at the gate, as the PLC sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub tag: Option<u32>,
    pub allowed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed = 1,
    Rejected = 2,
    Lost = 3,
}

#[derive(Debug, Clone, Copy)]
struct Confirmation {
    due_ns: u64,
    tag: Option<u32>,
    outcome: Outcome,
    escape: bool,
}

#[derive(Debug)]
pub struct Gate {
    pub config: GateConfig,
    now_ns: u64,
    powered: bool,
    boot: u16,
    booted_ns: u64,
    last_tag: u32,
    /// The newest tag that somebody certainly heard of.
    heard_tag: u32,
    counts: [u32; 3],
    items: BTreeMap<u32, (u32, u16)>,
    outcomes: BTreeMap<u32, (u32, u16)>,
    passes: [u16; (PASS_RING * 2) as usize],
    agent_beat: u16,
    agent_beat_ns: Option<u64>,
    command: u16,
    unconfirmed: bool,
    escape: bool,
    belt_running: bool,
    in_bin: u32,
    hits_next: bool,
    tracked: VecDeque<(u32, u64)>,
    confirmations: VecDeque<Confirmation>,
    silent_until_ns: u64,
    /// The input registers as the last scan left them, and when the next one is.
    scanned: Vec<Option<u16>>,
    scan_due_ns: u64,
}

/// Input registers of the map.
const INPUTS: u16 = 292;

impl Gate {
    pub fn new(config: GateConfig) -> Self {
        Self {
            config,
            now_ns: 0,
            powered: true,
            boot: 1,
            booted_ns: 0,
            last_tag: 0,
            heard_tag: 0,
            counts: [0; 3],
            items: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            passes: [0; (PASS_RING * 2) as usize],
            agent_beat: 0,
            agent_beat_ns: None,
            command: 0,
            unconfirmed: false,
            escape: false,
            belt_running: false,
            in_bin: 0,
            hits_next: false,
            tracked: VecDeque::new(),
            confirmations: VecDeque::new(),
            silent_until_ns: 0,
            scanned: Vec::new(),
            scan_due_ns: 0,
        }
    }

    /// Answers one Modbus frame; `None` while silent or without power.
    pub fn request(&mut self, now_ns: u64, frame: &[u8]) -> Option<Vec<u8>> {
        self.now_ns = now_ns;
        if !self.powered || now_ns < self.silent_until_ns {
            return None;
        }
        self.scan();
        Some(modbus::answer(self, frame))
    }

    /// The photo-eye at the reader sees an item. `reaches_gate` is the encoder's value when it will be at the gate.
    pub fn trigger(&mut self, now_ns: u64, reaches_gate: u64) -> Option<TagRef> {
        self.now_ns = now_ns;
        if !self.powered {
            return None;
        }
        self.last_tag += 1;
        let tag = self.last_tag;
        self.items.insert(tag % ITEM_RING, (tag, self.clock()));
        if self.tracked.len() < TRACKED_MAX {
            self.tracked.push_back((tag, reaches_gate));
        }
        Some(TagRef { boot: self.boot, tag })
    }

    /// Lets time and belt pass: sensors confirm; a tracked item that never came is lost.
    pub fn step(&mut self, now_ns: u64, encoder: u64, window: u64) {
        self.now_ns = now_ns;
        while let Some((tag, _)) = self.tracked.pop_front_if(|(_, at)| *at + window < encoder) {
            self.settle(Some(tag), Outcome::Lost);
        }
        while let Some(seen) = self.confirmations.pop_front_if(|c| c.due_ns <= now_ns) {
            self.escape |= seen.escape;
            self.unconfirmed |= seen.outcome == Outcome::Lost;
            self.settle(seen.tag, seen.outcome);
        }
        self.scan();
    }

    /// Stamps what came since the last scan, and shows what is true now.
    fn scan(&mut self) {
        if self.config.scan_ms == 0 || self.now_ns < self.scan_due_ns {
            return;
        }
        self.scan_due_ns = self.now_ns + self.config.scan_ms * MS;
        let (clock, shown) = (self.clock(), self.scanned_tag());
        self.items.values_mut().filter(|(tag, _)| *tag > shown).for_each(|(_, stamp)| *stamp = clock);
        self.scanned = (0..INPUTS).map(|address| self.input_now(address)).collect();
    }

    /// The last tag that the registers show.
    fn scanned_tag(&self) -> u32 {
        let word = |at: usize| self.scanned.get(at).copied().flatten().map_or(0, u32::from);
        word(4) << 16 | word(5)
    }

    /// An item breaks the light barrier at the gate: which one is it, and may it pass?
    pub fn look(&mut self, now_ns: u64, encoder: u64, window: u64) -> Standing {
        self.step(now_ns, encoder, window);
        let near = |(_, at): &(u32, u64)| at.abs_diff(encoder) <= window;
        let at = self.tracked.iter().position(near).filter(|_| self.powered);
        let tag = at.and_then(|at| self.tracked.remove(at)).map(|(tag, _)| tag);
        let allowed = self.agent_alive(now_ns) && tag.is_some_and(|tag| self.pass_entry(tag) == tag);
        Standing { tag, allowed }
    }

    /// The ejector acts on that item, well or badly. Returns where the item physically went.
    pub fn act(&mut self, now_ns: u64, standing: Standing, mishap: Option<Mishap>) -> Fate {
        let hit = std::mem::take(&mut self.hits_next);
        let passes = match (standing.allowed, mishap) {
            (true, Some(Mishap::Stuck)) => false,
            (true, _) => !hit,
            (false, Some(Mishap::Escape)) => true,
            (false, Some(Mishap::Late)) => {
                self.hits_next = true;
                true
            }
            (false, _) => false,
        };
        if !passes {
            self.in_bin += 1;
        }
        if self.powered {
            let outcome = match (passes, mishap) {
                (true, _) => Outcome::Passed,
                (false, Some(Mishap::Unconfirmed)) => Outcome::Lost,
                (false, _) => Outcome::Rejected,
            };
            self.confirmations.push_back(Confirmation {
                due_ns: now_ns + self.config.confirm_ms * MS,
                tag: standing.tag,
                outcome,
                escape: passes && !standing.allowed,
            });
        }
        if passes { Fate::Passed } else { Fate::Rejected }
    }

    /// The agent allowed this tag.
    pub fn has_leave(&self, tag: TagRef) -> bool {
        tag.boot == self.boot && self.pass_entry(tag.tag) == tag.tag
    }

    pub fn power_off(&mut self) {
        self.powered = false;
        self.belt_running = false;
    }

    /// Boots with empty rings, tags from 1, and everything that the agent wrote gone.
    pub fn power_on(&mut self, now_ns: u64) {
        if self.powered {
            return;
        }
        let (boot, in_bin) = (self.boot.wrapping_add(1), self.in_bin);
        *self = Self { boot, in_bin, booted_ns: now_ns, now_ns, ..Self::new(self.config.clone()) };
    }

    /// Ignores requests until then.
    pub fn be_silent_until(&mut self, until_ns: u64) {
        self.silent_until_ns = until_ns;
    }

    pub fn empty_bin(&mut self) {
        self.in_bin = 0;
    }

    pub fn set_belt_running(&mut self, running: bool) {
        self.belt_running = running;
    }

    pub fn is_up(&self) -> bool {
        self.powered
    }

    pub fn boot(&self) -> u16 {
        self.boot
    }

    /// The last tag that an answer tells of.
    pub fn last_tag(&self) -> u32 {
        if self.config.scan_ms == 0 { self.last_tag } else { self.scanned_tag() }
    }

    /// The agent commands the belt to run and its heart beats.
    pub fn belt_may_run(&self, now_ns: u64) -> bool {
        self.powered && self.command == 1 && self.agent_alive(now_ns)
    }

    /// An answer that told of tags up to this one has certainly arrived.
    pub fn heard(&mut self, tag: u32) {
        self.heard_tag = self.heard_tag.max(tag);
    }

    /// Tags that perhaps nobody heard of.
    pub fn unheard(&self) -> u32 {
        self.last_tag - self.heard_tag
    }

    /// Nothing is tracked and every sensor has spoken.
    pub fn at_rest(&self) -> bool {
        self.tracked.is_empty() && self.confirmations.is_empty()
    }

    pub fn agent_alive(&self, now_ns: u64) -> bool {
        let lost_ns = self.config.agent_lost_ms * MS;
        self.powered && self.agent_beat_ns.is_some_and(|at| now_ns.saturating_sub(at) < lost_ns)
    }

    fn settle(&mut self, tag: Option<u32>, outcome: Outcome) {
        self.counts[outcome as usize - 1] += 1;
        if let Some(tag) = tag {
            self.outcomes.insert(tag % OUTCOME_RING, (tag, outcome as u16));
        }
    }

    fn pass_entry(&self, tag: u32) -> u32 {
        let at = (tag % PASS_RING * 2) as usize;
        u32::from(self.passes[at]) << 16 | u32::from(self.passes[at + 1])
    }

    fn clock(&self) -> u16 {
        // The low 16 bits of the milliseconds since power-up.
        (self.now_ns.saturating_sub(self.booted_ns) / MS % 0x1_0000) as u16
    }

    fn status(&self) -> u16 {
        let full = self.config.bin_capacity.is_some_and(|capacity| self.in_bin >= capacity);
        let bits = [
            self.powered,
            self.belt_running,
            self.unconfirmed,
            self.escape,
            !self.agent_alive(self.now_ns),
            full,
        ];
        bits.iter().rev().fold(0, |word, bit| word << 1 | u16::from(*bit))
    }

    /// An input register as it is at this moment.
    fn input_now(&self, address: u16) -> Option<u16> {
        let ring = |ring: &BTreeMap<u32, (u32, u16)>, offset: u16| {
            let (tag, last) = ring.get(&u32::from(offset / 3)).copied().unwrap_or_default();
            match offset % 3 {
                0 => high(tag),
                1 => low(tag),
                _ => last,
            }
        };
        Some(match address {
            0 => (self.now_ns / (self.config.heartbeat_ms.max(1) * MS) % 0x1_0000) as u16,
            1 => self.status(),
            2 => self.boot,
            3 => self.clock(),
            4 => high(self.last_tag),
            5 => low(self.last_tag),
            6 | 8 | 10 => high(self.counts[usize::from(address - 6) / 2]),
            7 | 9 | 11 => low(self.counts[usize::from(address - 6) / 2]),
            12..=59 => ring(&self.items, address - 12),
            100..=291 => ring(&self.outcomes, address - 100),
            _ => return None,
        })
    }
}

impl Bank for Gate {
    fn input(&self, address: u16) -> Option<u16> {
        match self.config.scan_ms {
            0 => self.input_now(address),
            _ => *self.scanned.get(usize::from(address))?,
        }
    }

    fn holding(&self, address: u16) -> Option<u16> {
        match address {
            0 => Some(self.agent_beat),
            1 => Some(self.command),
            _ => self.passes.get(usize::from(address) - 2).copied(),
        }
    }

    fn write(&mut self, address: u16, value: u16) {
        match address {
            0 => {
                if value != self.agent_beat {
                    self.agent_beat_ns = Some(self.now_ns);
                }
                self.agent_beat = value;
            }
            1 => {
                // Starting the belt again is how a person acknowledges what stopped it.
                if self.command == 0 && value == 1 {
                    self.unconfirmed = false;
                    self.escape = false;
                }
                self.command = value;
            }
            _ => {
                if let Some(entry) = self.passes.get_mut(usize::from(address) - 2) {
                    *entry = value;
                }
            }
        }
    }
}

fn high(number: u32) -> u16 {
    (number >> 16) as u16
}

fn low(number: u32) -> u16 {
    (number & 0xFFFF) as u16
}
