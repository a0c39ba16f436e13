//! Results and gates that are late by themselves, together and by turns: whatever passes bears the code that was read
//! on it, never its neighbour's.

use super::*;
use crate::dice::Dice;

const MS: u64 = 1_000_000;
/// From the trigger to the gate, in milliseconds of a moving belt.
const TO_GATE: u64 = 400;
/// From the gate to the word of its sensors.
const TO_OUTCOME: u64 = 60;

/// What the plant does badly, in chances: one in so many.
#[derive(Clone, Copy)]
struct Trouble {
    /// A result waits, and all behind it.
    reader_waits: u64,
    /// The gate answers nothing for a while.
    gate_waits: u64,
    /// The agent's computer does something else.
    agent_waits: u64,
    /// The reader says nothing of an item.
    no_result: u64,
    /// The reader sees no mark.
    no_read: u64,
    /// A result comes sooner after its trigger than the reader's shortest latency.
    quick: u64,
    /// The reader's longest latency, as configured, in milliseconds.
    window: u64,
    /// Items come so many milliseconds after one another, or up to that much later.
    pitch: (u64, u64),
    /// How long a person looks before resuming, in milliseconds.
    looks: u64,
}

struct OnBelt {
    tag: u32,
    /// Where the belt was when its trigger fired.
    at: u64,
}

/// A belt, a trigger, a reader behind a slow wire and a gate that is asked.
struct Plant {
    dice: Dice,
    trouble: Trouble,
    now: u64,
    moved: u64,
    runs: bool,
    next_item_at: u64,
    tags: u32,
    to_gate: VecDeque<OnBelt>,
    at_gate: VecDeque<(u64, u32, bool)>,
    /// Result and moment when it is on the wire.
    results: VecDeque<(u64, u32, bool)>,
    wire_free: u64,
    /// Triggers that no look has told.
    untold: VecDeque<(u32, Time)>,
    outcomes: VecDeque<(u32, bool)>,
    look: Option<(u64, u64)>,
    look_due: u64,
    allowed: std::collections::BTreeSet<u32>,
    agent_wakes: u64,
}

impl Plant {
    fn new(seed: u64, trouble: Trouble) -> Plant {
        Plant {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1),
            trouble,
            now: 1_000,
            moved: 0,
            runs: false,
            next_item_at: 50,
            tags: 0,
            to_gate: VecDeque::new(),
            at_gate: VecDeque::new(),
            results: VecDeque::new(),
            wire_free: 0,
            untold: VecDeque::new(),
            outcomes: VecDeque::new(),
            look: None,
            look_due: 0,
            allowed: std::collections::BTreeSet::new(),
            agent_wakes: 0,
        }
    }

    /// One millisecond of the plant.
    fn go(&mut self) {
        self.now += 1;
        if self.runs {
            self.moved += 1;
            if self.moved >= self.next_item_at {
                let (least, more) = self.trouble.pitch;
                self.next_item_at = self.moved + least + self.dice.below(more);
                self.trigger();
            }
            while let Some(first) = self.to_gate.front().filter(|i| i.at + TO_GATE <= self.moved) {
                let passes = self.allowed.contains(&first.tag);
                self.at_gate.push_back((self.now + TO_OUTCOME, first.tag, passes));
                self.to_gate.pop_front();
            }
        }
        while let Some((_, tag, passed)) = self.at_gate.pop_front_if(|(due, ..)| *due <= self.now) {
            self.outcomes.push_back((tag, passed));
        }
    }

    fn trigger(&mut self) {
        self.tags += 1;
        let triggered = Time(self.now * MS);
        self.to_gate.push_back(OnBelt { tag: self.tags, at: self.moved });
        self.untold.push_back((self.tags, triggered));
        if self.dice.one_in(self.trouble.no_result) {
            return;
        }
        let waits = if self.dice.one_in(self.trouble.reader_waits) { self.dice.below(400) } else { 0 };
        // What waits on a wire keeps waiting what comes behind it.
        let takes = if self.dice.one_in(self.trouble.quick) { 1 } else { 8 + self.dice.below(5) };
        self.wire_free = (self.wire_free).max(self.now + takes + waits);
        let read = !self.dice.one_in(self.trouble.no_read);
        self.results.push_back((self.wire_free, self.tags, read));
    }

    /// What reaches the agent at this moment, in the words of the line.
    fn tell(&mut self) -> Vec<Input> {
        if self.now < self.agent_wakes {
            return vec![];
        }
        if self.dice.one_in(self.trouble.agent_waits) {
            self.agent_wakes = self.now + 5 + self.dice.below(300);
            return vec![];
        }
        let now = Time(self.now * MS);
        let mut reads = vec![];
        while let Some((_, tag, read)) = self.results.pop_front_if(|(due, ..)| *due <= self.now) {
            let event = match read {
                true => ReaderEvent::Read { bytes: layout().render_full(&code(tag)).expect("fits"), at: now },
                false => ReaderEvent::NoRead { at: now },
            };
            reads.push(Input::Reader(ReaderNo(0), event));
        }
        let looks = self.look();
        if self.dice.one_in(2) {
            reads.into_iter().chain(looks).collect()
        } else {
            looks.into_iter().chain(reads).collect()
        }
    }

    fn look(&mut self) -> Vec<Input> {
        let mut told = vec![];
        if let Some((sent, _)) = self.look.filter(|(_, answered)| *answered <= self.now) {
            self.look = None;
            self.look_due = self.now + 4;
            // The gate wrote its answer at some moment between; when exactly, is not known to the agent.
            let written = sent + self.dice.below(self.now - sent + 1);
            let half = Duration::from_millis((self.now - sent) / 2);
            let read_at = Time(sent * MS).after(half);
            while let Some((tag, at)) = self.untold.pop_front_if(|(_, at)| at.0 <= written * MS) {
                // Its clock gives the age of the trigger as of the answer.
                let age = Time(written * MS).since(at);
                told.push(GateEvent::Item {
                    tag: Tag { boot: BOOT, number: tag },
                    at: read_at.before(age),
                    within: half + Duration::from_millis(1),
                });
            }
            told.push(GateEvent::Seen { as_of: Time(sent * MS) });
            for (tag, passed) in std::mem::take(&mut self.outcomes) {
                let tag = Tag { boot: BOOT, number: tag };
                told.push(if passed { GateEvent::Passed(tag) } else { GateEvent::Rejected(tag) });
            }
        }
        if self.look.is_none() && self.look_due <= self.now {
            let takes = if self.dice.one_in(self.trouble.gate_waits) { self.dice.below(200) } else { 1 };
            self.look = Some((self.now, self.now + 1 + takes));
        }
        told.into_iter().map(Input::Gate).collect()
    }
}

/// Runs a plant for `seconds` and returns how many items passed with their own code, and what is wrong.
fn run(seed: u64, trouble: Trouble, seconds: u64) -> (u32, Vec<String>) {
    let mut plant = Plant::new(seed, trouble);
    let latency = Latency { min: Duration::from_millis(4), max: Duration::from_millis(trouble.window) };
    let mut d = Desk::with(LineConfig { latency, ..config(LineKind::PrePrinted) }, Recovered::default());
    for n in 1..=4_000 {
        d.known.insert(code(n).identity, facts(IssueNo(n)));
    }
    d.now = Time(plant.now * MS);
    d.gate(GateEvent::Connected { last: tag(0) });
    d.input(Input::Reader(ReaderNo(0), ReaderEvent::Connected));
    d.input(Input::Ask(AskId(1), Ask::Start(plan(0)), "op".into()));
    let mut stood = 0;
    let mut wrong = vec![];
    let mut passed = 0;
    for _ in 0..seconds * 1_000 {
        plant.go();
        d.now = Time(plant.now * MS);
        let mut acts = vec![];
        if plant.now >= plant.agent_wakes {
            for input in plant.tell() {
                acts.extend(d.part(input));
            }
            if plant.now >= plant.agent_wakes {
                acts.extend(d.input(Input::Tick));
                acts.extend(d.settle());
            }
        }
        stood = if plant.runs { 0 } else { stood + 1 };
        if stood == trouble.looks {
            stood = 0;
            acts.extend(d.input(Input::Ask(AskId(2), Ask::Resume, "op".into())));
            acts.extend(d.settle());
        }
        for act in acts {
            match act {
                Effect::Gate(GateOrder::Pass(t)) => drop(plant.allowed.insert(t.number)),
                Effect::Gate(GateOrder::Reject(t)) => drop(plant.allowed.remove(&t.number)),
                Effect::Gate(GateOrder::StartLine) => plant.runs = true,
                Effect::Gate(GateOrder::StopLine) => plant.runs = false,
                _ => {}
            }
        }
    }
    for record in &d.records {
        if let Record::End { tag, end: ItemEnd::Passed { code: bears }, .. } = record {
            passed += 1;
            if *bears != code(tag.number).identity {
                wrong.push(format!("item {} passed as {bears}", tag.number));
            }
        }
    }
    (passed, wrong)
}

fn campaign(trouble: Trouble, seeds: u64) -> u32 {
    let mut good = 0;
    for seed in 0..seeds {
        let (passed, wrong) = run(seed, trouble, 20);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong.join(", "));
        good += passed;
    }
    good
}

const CALM: Trouble = Trouble {
    reader_waits: u64::MAX,
    gate_waits: u64::MAX,
    agent_waits: u64::MAX,
    no_result: u64::MAX,
    no_read: 20,
    quick: u64::MAX,
    window: 30,
    pitch: (70, 60),
    looks: 2_500,
};

const ALL: Trouble =
    Trouble { reader_waits: 15, gate_waits: 60, agent_waits: 300, no_result: 20, no_read: 10, ..CALM };

/// 2,000 items a minute, and a window that is nearly as wide as they are apart.
const FAST: Trouble = Trouble { pitch: (28, 4), window: 25, ..CALM };

#[test]
fn on_a_calm_day_nearly_all_pass() {
    assert!(campaign(CALM, 3) > 3 * 180);
}

#[test]
fn late_results_are_never_their_neighbours() {
    campaign(Trouble { reader_waits: 20, ..CALM }, 60);
}

#[test]
fn results_that_never_come_are_made_up_by_no_other() {
    campaign(Trouble { reader_waits: 20, no_result: 30, ..CALM }, 60);
}

#[test]
fn a_gate_that_is_slow_to_tell_mixes_nothing_up() {
    campaign(Trouble { gate_waits: 100, no_result: 30, ..CALM }, 60);
}

#[test]
fn a_computer_that_sleeps_now_and_then_mixes_nothing_up() {
    campaign(Trouble { agent_waits: 500, no_result: 30, ..CALM }, 60);
}

#[test]
fn all_of_it_at_once_mixes_nothing_up() {
    campaign(ALL, 60);
}

#[test]
fn a_wide_window_mixes_nothing_up() {
    campaign(Trouble { window: 65, ..ALL }, 60);
}

#[test]
fn a_window_as_wide_as_the_distance_of_items_mixes_nothing_up() {
    campaign(Trouble { window: 110, ..ALL }, 60);
}

#[test]
fn results_that_come_too_soon_cost_their_own_items_and_no_others() {
    let one_in_ten = Trouble { quick: 10, no_read: u64::MAX, ..FAST };
    let good = campaign(one_in_ten, 3);
    assert!(good > 3 * 20 * 1_000 / 32 * 8 / 10, "{good}");
}

#[test]
fn a_fast_line_mixes_nothing_up() {
    campaign(Trouble { quick: 40, pitch: FAST.pitch, window: FAST.window, ..ALL }, 60);
}

#[test]
fn a_person_in_a_hurry_mixes_nothing_up() {
    campaign(Trouble { looks: 100, window: 65, ..ALL }, 60);
}
