//! The person at the line: opens runs, looks at what stopped, says what is there, lets it run on, closes. Knows nothing of
//! the agent but what its status shows, and of the belt what eyes can see.

use tamga_domain::code::Identity;
use tamga_domain::day::Day;
use tamga_domain::gs1::Gtin;
use tamga_domain::line::AskId;
use tamga_domain::line::ask::{Ask, Declared, Refusal, Reply};
use tamga_domain::record::{RunPlan, RunState};
use tamga_domain::time::Wall;
use tamga_simulators::model::plant::Plant;
use tamga_simulators::model::truth::{Fate, Item};

use crate::agent::Agent;
use crate::trace::Trace;
use crate::world::GTIN;

/// Codes that a run is opened over.
const POOL_MIN: u64 = 30;
/// A person who gets no answer asks again.
const PATIENCE_MS: u64 = 5_000;

pub struct Person {
    rng: fastrand::Rng,
    looks_ms: u64,
    quantity: u32,
    next_ask: u64,
    /// What was asked, and when.
    waiting: Option<(AskId, u64)>,
    stands_since: Option<u64>,
    /// The next thing is asked not before this.
    not_before: u64,
    runs: u32,
    /// The run must be closed.
    close: bool,
    /// A close was refused over items whose pass is unknown: those that stand on the belt are taken off.
    clears: bool,
    /// No run is opened any more.
    last: bool,
    declared: Option<Identity>,
    /// Does nothing of its own accord while the line runs.
    quiet: bool,
    /// Stops the line at the next look.
    stop: bool,
}

impl Person {
    pub fn new(looks_ms: u64, quantity: u32) -> Person {
        Person {
            rng: fastrand::Rng::with_seed(looks_ms ^ u64::from(quantity)),
            looks_ms,
            quantity,
            next_ask: 0,
            waiting: None,
            stands_since: None,
            not_before: 0,
            runs: 0,
            close: false,
            clears: false,
            last: false,
            declared: None,
            quiet: false,
            stop: false,
        }
    }

    pub fn be_quiet(&mut self) {
        self.quiet = true;
    }

    /// Stops the line, looks, and lets it go on.
    pub fn stop_once(&mut self) {
        self.stop = true;
    }

    /// What is open is closed, and then the day is over.
    pub fn last_run(&mut self) {
        self.last = true;
    }

    pub fn agent_gone(&mut self) {
        self.waiting = None;
        self.stands_since = None;
    }

    pub fn is_done(&self, agent: &Agent) -> bool {
        self.last && self.waiting.is_none() && agent.line().status().run.is_none()
    }

    pub fn answered(&mut self, id: AskId, answer: &Result<Reply, Refusal>) {
        if self.waiting.is_some_and(|(asked, _)| asked == id) {
            self.waiting = None;
        }
        if let Err(refusal) = answer {
            match refusal.key {
                "refuse.gate_reset" | "refuse.quantity_reached" => self.close = true,
                "refuse.pass_unknown" => self.clears = true,
                _ => {}
            }
        }
    }

    fn ask(&mut self, ms: u64, agent: &mut Agent, ask: Ask, trace: &mut Trace) {
        self.next_ask += 1;
        let id = AskId(self.next_ask);
        trace.say(|| format!("person {id:?} {ask:?}"));
        self.waiting = Some((id, ms));
        self.not_before = ms + self.rng.u64(50..500);
        agent.ask(id, ask);
    }

    pub fn look(&mut self, ms: u64, wall: Wall, agent: &mut Agent, plant: &mut Plant, trace: &mut Trace) {
        if self.waiting.is_some_and(|(_, since)| ms - since > PATIENCE_MS) {
            self.waiting = None;
        }
        if self.waiting.is_some() || ms < self.not_before {
            return;
        }
        let status = agent.line().status();
        let Some(run) = status.run else {
            self.close = false;
            self.stands_since = None;
            return self.open(ms, wall, agent, plant, trace);
        };
        if std::mem::take(&mut self.clears) {
            let unknown: Vec<Identity> = run.pass_unknown.iter().map(|(code, _)| *code).collect();
            take_off(&unknown, plant, trace);
        }
        if let Some(ask) = self.declare(run.pass_unknown.iter().map(|(code, _)| *code), plant) {
            return self.ask(ms, agent, ask, trace);
        }
        if run.state == RunState::Closing {
            return self.ask(ms, agent, Ask::Close { clear: true }, trace);
        }
        let why = status.stopped_by.as_deref().unwrap_or_default();
        // What stands on the belt and may be good is let run out: the gate rejects it, and says so.
        let stands = !run.pass_unknown.is_empty() && plant.items_on_belt() > 0;
        if stands && !self.close && !why.is_empty() && !why.ends_with("quantity_reached") {
            self.not_before = ms + 2_500;
            return self.ask(ms, agent, Ask::Resume, trace);
        }
        if self.last || self.close || why.ends_with("quantity_reached") || plant.finished() {
            // The belt runs out first; a person in a hurry does not wait for it.
            let hurried = self.rng.u8(..10) == 0;
            self.not_before = ms + 1_500;
            if why.is_empty() && !hurried {
                return self.ask(ms, agent, Ask::Stop, trace);
            }
            let clear = hurried || self.rng.bool();
            return self.ask(ms, agent, Ask::Close { clear }, trace);
        }
        if why.is_empty() {
            self.stands_since = None;
            return self.while_it_runs(ms, agent, plant, trace);
        }
        let since = *self.stands_since.get_or_insert(ms);
        if ms - since >= self.looks_ms {
            self.stands_since = None;
            self.ask(ms, agent, Ask::Resume, trace);
        }
    }

    fn open(&mut self, ms: u64, wall: Wall, agent: &mut Agent, plant: &Plant, trace: &mut Trace) {
        if self.last || plant.finished() {
            return;
        }
        self.not_before = ms + 200;
        let gtin = Gtin::parse(GTIN.as_bytes()).expect("a GTIN");
        let Ok(levels) = agent.store().view().issuable(wall, 0) else { return };
        if levels.iter().find(|(g, _)| *g == gtin).is_none_or(|(_, n)| *n < POOL_MIN) {
            return;
        }
        self.runs += 1;
        let day = i32::try_from(wall.0 / 86_400_000).expect("a day of our time");
        let plan = RunPlan {
            key: format!("day-{}", self.runs),
            gtin,
            group: "water".to_owned(),
            quantity: self.quantity,
            batch: format!("B-{}", self.runs),
            production: Day(day),
            expiry: Some(Day(day + 365)),
        };
        self.ask(ms, agent, Ask::Start(plan), trace);
    }

    /// Little things that people do while all is well.
    fn while_it_runs(&mut self, ms: u64, agent: &mut Agent, plant: &mut Plant, trace: &mut Trace) {
        if std::mem::take(&mut self.stop) {
            return self.ask(ms, agent, Ask::Stop, trace);
        }
        match self.rng.u16(..1_500) {
            _ if self.quiet => {}
            0 => self.ask(ms, agent, Ask::Stop, trace),
            1 => {
                trace.say(|| "person closes early".to_owned());
                self.close = true;
            }
            2..=6 => {
                // A rejected item is put before the reader again.
                let items = plant.items().len() as u64;
                if items > 0 {
                    let item = self.rng.u64(1..=items);
                    if plant.feed_again(item) {
                        trace.say(|| format!("person feeds item {item} again"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Says of an item whose pass is unknown what eyes can see. One that still stands on the belt is left.
    fn declare(&mut self, unknown: impl Iterator<Item = Identity>, plant: &Plant) -> Option<Ask> {
        let mut unknown = unknown.peekable();
        unknown.peek()?;
        for code in unknown {
            if self.declared == Some(code) {
                self.declared = None;
                continue;
            }
            if let Some(declared) = seen(&code, plant) {
                self.declared = Some(code);
                return Some(Ask::Declare { code, declared });
            }
        }
        None
    }
}

/// The item has a mark with this code, whole or not.
fn bears(item: &Item, code: &Identity) -> bool {
    let identity = format!("01{}21{}", code.gtin, code.serial).into_bytes();
    item.marks.iter().any(|m| m.symbol.as_ref().is_some_and(|s| s.starts_with(&identity)))
}

/// Takes the items with these codes off the belt, where they stand on it.
fn take_off(codes: &[Identity], plant: &mut Plant, trace: &mut Trace) {
    let stands = |i: &&Item| i.fate.is_none() && codes.iter().any(|code| bears(i, code));
    let items: Vec<u64> = plant.items().iter().filter(stands).map(|i| i.item_no).collect();
    for item in items {
        if plant.take_off(item) {
            trace.say(|| format!("person takes item {item} off the belt"));
        }
    }
}

/// Where the item with this code is. Of several with it, one behind the gate counts, then one on the belt.
fn seen(code: &Identity, plant: &Plant) -> Option<Declared> {
    let items = plant.items().iter().filter(|i| bears(i, code));
    let fates: Vec<Option<Fate>> = items.map(|i| i.fate).collect();
    if fates.contains(&Some(Fate::Passed)) {
        return Some(Declared::Passed);
    }
    // What stands on the belt is left, also when a copy of its label is elsewhere.
    if fates.contains(&None) {
        return None;
    }
    match fates.last()? {
        Some(Fate::Rejected | Fate::Removed) => Some(Declared::Rejected),
        Some(Fate::Passed) | None => None,
    }
}
