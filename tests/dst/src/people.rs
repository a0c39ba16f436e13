//! The person at the line: opens runs, looks at what stopped, says what is there, lets it run on, closes. Knows nothing of
//! the agent but what its status shows, and of the belt what eyes can see.

use std::collections::BTreeMap;

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
use crate::plan::{People, Plan};
use crate::trace::Trace;
use crate::world::{GTIN, GTIN_OTHER};

/// Codes that a run is opened over.
const POOL_MIN: u64 = 30;
/// A person who gets no answer asks again.
const PATIENCE_MS: u64 = 5_000;
/// Codes of one list, at most.
const SLICE: usize = 100;
/// Somebody else's requests are told from the first one's by their numbers.
const OTHER: u64 = 1 << 32;
/// Local time is so far ahead of UTC.
const TASHKENT_MS: i64 = 5 * 3_600_000;

pub struct Person {
    /// The line at which this person stands, by its place.
    at: usize,
    rng: fastrand::Rng,
    looks_ms: u64,
    quantity: u32,
    /// What this person may do besides the work, and how often it was done.
    may: Vec<People>,
    pub struck: BTreeMap<People, u64>,
    /// Codes of the roll of a pre-printed line, those of which that are in the books, and when the last were brought.
    roll: Vec<Vec<u8>>,
    imported: usize,
    importing: Option<u64>,
    /// The product of the next run, and whether it was settled since the last one.
    next_gtin: &'static str,
    settled: bool,
    /// The last plan that was asked for.
    plan: Option<RunPlan>,
    /// What the line makes from which millisecond on.
    made: Vec<(u64, Gtin)>,
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
    pub fn new(plan: &Plan, at: usize, roll: Vec<Vec<u8>>) -> Person {
        let (looks_ms, quantity) = (plan.looks_ms, plan.quantity);
        Person {
            at,
            rng: fastrand::Rng::with_seed(looks_ms ^ u64::from(quantity) ^ ((at as u64) << 40)),
            looks_ms,
            quantity,
            may: plan.people.clone(),
            struck: BTreeMap::new(),
            roll,
            imported: 0,
            importing: None,
            next_gtin: GTIN,
            settled: false,
            plan: None,
            made: Vec::new(),
            next_ask: 0,
            waiting: None,
            stands_since: None,
            not_before: 0,
            runs: 0,
            close: false,
            clears: false,
            last: false,
            declared: None,
            quiet: plan.trial.is_some(),
            stop: false,
        }
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
        self.importing = None;
        self.stands_since = None;
    }

    pub fn is_done(&self, agent: &Agent) -> bool {
        self.last && self.waiting.is_none() && agent.lines[self.at].line.status().run.is_none()
    }

    /// The last list of codes is in the books.
    pub fn imported(&mut self) {
        if self.importing.take().is_some() {
            self.imported = (self.imported + SLICE).min(self.roll.len());
        }
    }

    /// What the line was making then.
    pub fn made_at(&self, ms: u64) -> Option<Gtin> {
        self.made.iter().rev().find(|(since, _)| *since <= ms).map(|(_, gtin)| *gtin)
    }

    /// Whether this is done now: a chance in so many.
    fn happens(&mut self, what: People, one_in: u16) -> bool {
        !self.last && self.may.contains(&what) && self.rng.u16(..one_in) == 0 && self.done(what)
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

    /// Nothing for the first line.
    fn name(&self) -> String {
        if self.at == 0 { String::new() } else { format!("{} ", self.at + 1) }
    }

    fn ask(&mut self, ms: u64, agent: &mut Agent, ask: Ask, trace: &mut Trace) {
        self.next_ask += 1;
        let id = AskId(self.next_ask);
        trace.say(|| format!("person {}{id:?} {ask:?}", self.name()));
        self.waiting = Some((id, ms));
        self.not_before = ms + self.rng.u64(50..500);
        self.feed_the_line(ms, agent, &ask);
        agent.ask(self.at, id, ask);
    }

    /// Before a line is set running, people see to it that it makes what the run says.
    fn feed_the_line(&mut self, ms: u64, agent: &Agent, ask: &Ask) {
        let made = match ask {
            Ask::Start(plan) => Some(plan.gtin),
            Ask::Resume => agent.lines[self.at].line.product(),
            _ => None,
        };
        if let Some(gtin) = made
            && self.made.last().is_none_or(|(_, last)| *last != gtin)
        {
            self.made.push((ms, gtin));
        }
    }

    /// Somebody else at another screen, who has not asked the first.
    fn somebody_else(&mut self, ms: u64, agent: &mut Agent, plant: &Plant, trace: &mut Trace) {
        let unknown = agent.lines[self.at].line.status().run.map(|run| run.pass_unknown).unwrap_or_default();
        let seen = unknown.iter().find_map(|(code, _)| Some((*code, seen(code, plant)?)));
        let ask = match (self.rng.u8(..8), seen, &self.plan) {
            (0 | 1, ..) => Ask::Stop,
            (2 | 3, ..) => Ask::Resume,
            (4, ..) => Ask::Close { clear: false },
            // The belt may hold what it likes: whoever declares it clear is believed.
            (5, ..) => Ask::Close { clear: true },
            (_, Some((code, declared)), _) => Ask::Declare { code, declared },
            (_, None, Some(plan)) => Ask::Start(plan.clone()),
            (_, None, None) => return,
        };
        self.next_ask += 1;
        let id = AskId(OTHER + self.next_ask);
        trace.say(|| format!("somebody else {}{id:?} {ask:?}", self.name()));
        self.feed_the_line(ms, agent, &ask);
        agent.ask(self.at, id, ask);
    }

    /// Brings the roll's codes into the books, list by list. True when all are there.
    fn bring_roll(&mut self, ms: u64, wall: Wall, agent: &mut Agent, trace: &mut Trace) -> bool {
        if self.imported == self.roll.len() {
            return true;
        }
        if self.importing.is_none_or(|since| ms - since > PATIENCE_MS) {
            let slice = &self.roll[self.imported..(self.imported + SLICE).min(self.roll.len())];
            trace.say(|| format!("person {}brings {} codes of the roll", self.name(), slice.len()));
            agent.import(self.at, &format!("roll-{}", self.at + 1), slice, wall);
            self.importing = Some(ms);
        }
        false
    }

    pub fn look(&mut self, ms: u64, wall: Wall, agent: &mut Agent, plant: &mut Plant, trace: &mut Trace) {
        if self.waiting.is_some_and(|(_, since)| ms - since > PATIENCE_MS) {
            self.waiting = None;
        }
        if !self.bring_roll(ms, wall, agent, trace) {
            return;
        }
        if self.happens(People::TwoOperators, 600) {
            self.somebody_else(ms, agent, plant, trace);
        }
        if self.happens(People::ShiftChange, 1_500) {
            trace.say(|| format!("another person comes to the line {}", self.name()));
            (self.waiting, self.stands_since, self.declared, self.close) = (None, None, None, false);
        }
        if self.waiting.is_some() || ms < self.not_before {
            return;
        }
        let status = agent.lines[self.at].line.status();
        let Some(run) = status.run else {
            self.close = false;
            self.stands_since = None;
            return self.open(ms, wall, agent, plant, trace);
        };
        self.settled = false;
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
        self.close |= status.alarms.iter().any(|alarm| alarm.key == "alarm.day_over");
        let why = status.stopped_by.as_deref().unwrap_or_default();
        // What stands on the belt and may be good is let run out: the gate rejects it, and says so.
        let stands = !run.pass_unknown.is_empty() && plant.items_on_belt() > 0;
        if stands && !self.close && !why.is_empty() && !why.ends_with("quantity_reached") {
            self.not_before = ms + 2_500;
            return self.ask(ms, agent, Ask::Resume, trace);
        }
        if self.last || self.close || why.ends_with("quantity_reached") || plant.finished() {
            // The belt runs out first; a person in a hurry does not wait for it.
            let hurried = self.rng.u8(..10) == 0 && self.done(People::Hurries);
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
        if !std::mem::replace(&mut self.settled, true)
            && self.roll.is_empty()
            && self.runs > 0
            && self.happens(People::ProductChange, 2)
        {
            self.next_gtin = if self.next_gtin == GTIN { GTIN_OTHER } else { GTIN };
        }
        let gtin = Gtin::parse(self.next_gtin.as_bytes()).expect("a GTIN");
        let Ok(levels) = agent.store().view().issuable(wall, 0) else { return };
        let pooled = levels.iter().find(|(g, _)| *g == gtin).map_or(0, |(_, n)| *n);
        if self.roll.is_empty() && pooled < POOL_MIN {
            return;
        }
        self.runs += 1;
        let day = i32::try_from((wall.0 + TASHKENT_MS) / 86_400_000).expect("a day of our time");
        let plan = RunPlan {
            key: format!("day-{}{}", self.name(), self.runs),
            gtin,
            group: "water".to_owned(),
            quantity: self.quantity,
            batch: format!("B-{}", self.runs),
            production: Day(day),
            expiry: Some(Day(day + 365)),
            before_order: false,
        };
        self.plan = Some(plan.clone());
        self.ask(ms, agent, Ask::Start(plan), trace);
    }

    /// Notes what is done, if it may be.
    fn done(&mut self, what: People) -> bool {
        self.may.contains(&what) && {
            *self.struck.entry(what).or_default() += 1;
            true
        }
    }

    /// Little things that people do while all is well.
    fn while_it_runs(&mut self, ms: u64, agent: &mut Agent, plant: &mut Plant, trace: &mut Trace) {
        if std::mem::take(&mut self.stop) {
            return self.ask(ms, agent, Ask::Stop, trace);
        }
        match self.rng.u16(..1_500) {
            _ if self.quiet => {}
            0 if self.done(People::Stops) => self.ask(ms, agent, Ask::Stop, trace),
            1 if self.done(People::ClosesEarly) => {
                trace.say(|| "person closes early".to_owned());
                self.close = true;
            }
            2..=6 if self.may.contains(&People::FeedsAgain) => {
                // A rejected item is put before the reader again.
                let items = plant.items().len() as u64;
                if items > 0 {
                    let item = self.rng.u64(1..=items);
                    if plant.feed_again(item) {
                        self.done(People::FeedsAgain);
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

/// How a mark with this code begins.
fn beginning(code: &Identity) -> Vec<u8> {
    format!("01{}21{}", code.gtin, code.serial).into_bytes()
}

/// The item has a mark that begins so, whole or not.
fn bears(item: &Item, beginning: &[u8]) -> bool {
    item.marks.iter().any(|m| m.symbol.as_ref().is_some_and(|s| s.starts_with(beginning)))
}

/// Takes the items with these codes off the belt, where they stand on it.
fn take_off(codes: &[Identity], plant: &mut Plant, trace: &mut Trace) {
    let codes: Vec<Vec<u8>> = codes.iter().map(beginning).collect();
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
    let code = beginning(code);
    let items = plant.items().iter().filter(|i| bears(i, &code));
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
