//! What goes wrong in one seed: everything is drawn from the seed, so that the same seed gives the same day.

use std::collections::BTreeMap;

use tamga_simulators::fault::{FaultKind, FaultPlan};
use tamga_simulators::model::plant::{Kind, Turns};
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan as UpstreamPlan, Rule};

use crate::packing::Packing;
use crate::planted::Planted;
use crate::slips::Trial;

/// The day begins: 2026-11-22T08:00:00Z in milliseconds.
pub(crate) const MORNING_MS: i64 = 1_795_334_400_000;
/// The next midnight in Tashkent, 2026-11-22T19:00:00Z in milliseconds.
const MIDNIGHT_MS: i64 = MORNING_MS + 11 * 3_600_000;

/// What happens to the agent's computer, each with a switch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Computer {
    /// Killed between two effects.
    Kill,
    /// Killed at some moment.
    KillAtMoment,
    /// Power cut in the middle of a write or a sync of the database.
    PowerCut,
    /// Power cut between two operations of the disk.
    PowerCutAtMoment,
    /// No room for a while.
    DiskFull,
    WriteError,
    SyncError,
    /// Some reads fail.
    ReadError,
    ReadOnly,
    /// A commit takes a second.
    SlowDisk,
    ClockJump,
    /// A second agent is started on the same folder.
    SecondCopy,
    /// No way to the state system for a while.
    NoInternet,
    /// An ordered stop, as systemd does it.
    OrderlyStop,
    /// Somebody puts an older copy of the data folder back.
    OldCopy,
    /// Pages of the database file are zeros, garbage or gone; people put a copy back when they are told.
    Damage,
}

impl Computer {
    pub const ALL: [Computer; 16] = [
        Computer::Kill,
        Computer::KillAtMoment,
        Computer::PowerCut,
        Computer::PowerCutAtMoment,
        Computer::DiskFull,
        Computer::WriteError,
        Computer::SyncError,
        Computer::ReadError,
        Computer::ReadOnly,
        Computer::SlowDisk,
        Computer::ClockJump,
        Computer::SecondCopy,
        Computer::NoInternet,
        Computer::OrderlyStop,
        Computer::OldCopy,
        Computer::Damage,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Computer::Kill => "kill",
            Computer::KillAtMoment => "kill-at-moment",
            Computer::PowerCut => "power-cut",
            Computer::PowerCutAtMoment => "power-cut-at-moment",
            Computer::DiskFull => "disk-full",
            Computer::WriteError => "write-error",
            Computer::SyncError => "sync-error",
            Computer::ReadError => "read-error",
            Computer::ReadOnly => "read-only",
            Computer::SlowDisk => "slow-disk",
            Computer::ClockJump => "clock-jump",
            Computer::SecondCopy => "second-copy",
            Computer::NoInternet => "no-internet",
            Computer::OrderlyStop => "orderly-stop",
            Computer::OldCopy => "old-copy",
            Computer::Damage => "database-damaged",
        }
    }

    /// The agent is not there after it.
    fn ends_the_process(self) -> bool {
        use Computer as C;
        matches!(self, C::Kill | C::KillAtMoment | C::PowerCut | C::PowerCutAtMoment)
    }

    /// How often it is drawn beside the others.
    fn weight(self) -> u32 {
        match self {
            Computer::PowerCut => 10,
            Computer::Kill | Computer::PowerCutAtMoment => 4,
            Computer::KillAtMoment => 2,
            _ => 1,
        }
    }
}

/// What people do besides their work, each with a switch of its own and a chance in so many looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum People {
    /// Somebody stops the line for a while.
    Stops,
    /// A run is closed before its quantity has passed.
    ClosesEarly,
    /// Rejected items are put before the reader again.
    FeedsAgain,
    /// A run is closed with items on the belt.
    Hurries,
    /// Somebody else works at another screen, and has not asked the first.
    TwoOperators,
    /// Another person comes, who knows nothing of what was asked.
    ShiftChange,
    /// The next run is of another product, with the last one's labels on the web.
    ProductChange,
}

impl People {
    pub const ALL: [People; 7] = [
        People::Stops,
        People::ClosesEarly,
        People::FeedsAgain,
        People::Hurries,
        People::TwoOperators,
        People::ShiftChange,
        People::ProductChange,
    ];

    pub fn name(self) -> &'static str {
        match self {
            People::Stops => "person-stops",
            People::ClosesEarly => "closes-early",
            People::FeedsAgain => "feeds-again",
            People::Hurries => "hurried-close",
            People::TwoOperators => "two-operators",
            People::ShiftChange => "shift-change",
            People::ProductChange => "product-change",
        }
    }
}

/// Somebody takes an item off one line, from the belt or the bin, and puts it on another of the same agent.
pub const CARRIED: &str = "carried-over";

/// What a day may be besides the usual one: a line of 08:00 in the morning that prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two or three lines in one agent, of one pool.
    SeveralLines,
    /// Items come with marks that a printing house made.
    PrePrinted,
    /// The day ends while the line works.
    Midnight,
    /// A line that prints has two or three printers.
    SeveralPrinters,
    /// What passes is packed by hand.
    Packs,
    /// And the boxes are put onto pallets.
    Pallets,
    /// The labels of boxes were printed before.
    PrePrintedLabels,
}

impl Shape {
    pub const ALL: [Shape; 7] = [
        Shape::SeveralLines,
        Shape::PrePrinted,
        Shape::Midnight,
        Shape::SeveralPrinters,
        Shape::Packs,
        Shape::Pallets,
        Shape::PrePrintedLabels,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Shape::SeveralLines => "several-lines",
            Shape::PrePrinted => "pre-printed-line",
            Shape::Midnight => "midnight",
            Shape::SeveralPrinters => "several-printers",
            Shape::Packs => "packs",
            Shape::Pallets => "pallets",
            Shape::PrePrintedLabels => "pre-printed-labels",
        }
    }
}

/// The printers of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub printers: usize,
    pub turns: Turns,
}

impl Heads {
    pub const ONE: Heads = Heads { printers: 1, turns: Turns::InTurn };
}

/// How the stations of the line stand to one another, and what its order allows.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Labels between head and applicator; none where printing is in place.
    pub web: u32,
    pub items_to_reader: u32,
    pub items_to_gate: u32,
    /// Jobs that the printer may hold.
    pub window: u32,
    pub gap_max: u32,
    /// From the trigger to the reader's result, at least and at most.
    pub reader_ms: (u64, u64),
}

impl Floor {
    pub const USUAL: Floor =
        Floor { web: 3, items_to_reader: 3, items_to_gate: 4, window: 6, gap_max: 3, reader_ms: (8, 25) };
}

/// The day of one seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// What each line of the agent is.
    pub kinds: Vec<Kind>,
    /// What printers each of them has.
    pub heads: Vec<Heads>,
    /// Items of all lines together.
    pub items: u64,
    pub items_per_min: u32,
    pub quantity: u32,
    pub gate_poll_ms: u32,
    pub floor: Floor,
    /// One thing that is tried, on a day without other faults.
    pub trial: Option<Trial>,
    pub plant: FaultPlan,
    pub upstream: UpstreamPlan,
    /// When it begins, in milliseconds since 1970.
    pub begins_ms: i64,
    /// On a day with several lines: items are carried from one to another.
    pub carries: bool,
    /// What people may do.
    pub people: Vec<People>,
    /// What may happen to the computer.
    pub computer: Vec<Computer>,
    /// Incidents of the computer come so many milliseconds after one another, or up to twice as many.
    pub incident_ms: u64,
    /// How long a person looks before resuming.
    pub looks_ms: u64,
    /// How items are packed, if they are.
    pub packing: Option<Packing>,
    /// A rule that the agent breaks in this seed.
    pub planted: Option<Planted>,
}

/// Which faults a campaign allows: by name, all by default.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    /// Only these, if any are named.
    pub only: Vec<String>,
    pub without: Vec<String>,
    pub planted: Option<Planted>,
}

impl Switches {
    pub(crate) fn allows(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|n| n == name))
            && !self.without.iter().any(|n| n == name)
    }

    /// Names that are no fault's.
    pub fn unknown(&self) -> Vec<String> {
        let known: Vec<String> = names();
        self.only.iter().chain(&self.without).filter(|n| !known.contains(n)).cloned().collect()
    }
}

/// The names of all faults.
pub fn names() -> Vec<String> {
    let plant = FaultKind::ALL.iter().map(|k| k.name().to_owned());
    let computer = Computer::ALL.iter().map(|c| c.name().to_owned());
    let people = People::ALL.iter().map(|p| p.name().to_owned());
    let shapes = Shape::ALL.iter().map(|s| s.name().to_owned());
    let floor = plant.chain(people).chain(shapes).chain([CARRIED.to_owned()]);
    floor.chain(computer).chain(Fault::ALL.iter().map(|f| upstream_name(*f))).collect()
}

/// The name of a fault of the state system, in the form of the others.
pub fn upstream_name(fault: Fault) -> String {
    let mut name = String::from("upstream");
    for c in format!("{fault:?}").chars() {
        if c.is_uppercase() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}

impl Plan {
    pub fn of(seed: u64, items: u64, switches: &Switches) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x0D57);
        let kind = [Kind::PrintAndApply, Kind::Print][rng.usize(..2)];
        // What came later draws from a stream of its own, so that the days of known seeds stay what they were.
        let mut later = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5A9E);
        let plant = plant(&mut rng, switches);
        let upstream = upstream(&mut rng, switches);
        let mut computer: Vec<Computer> =
            Computer::ALL.iter().copied().filter(|c| switches.allows(c.name())).collect();
        // Not everything every day: what happens seldom alone is masked by what happens all the time.
        computer.retain(|_| rng.u8(..4) > 0);
        let mut plan = Plan {
            seed,
            kinds: kinds(kind, &mut later, switches),
            heads: Vec::new(),
            carries: false,
            items,
            items_per_min: [300, 600, 900, 1200][rng.usize(..4)],
            quantity: rng.u32(20..=120),
            gate_poll_ms: [5, 10, 20][rng.usize(..3)],
            floor: Floor::USUAL,
            trial: None,
            plant,
            upstream,
            begins_ms: begins_ms(&mut later, switches),
            people: people(&mut later, switches),
            computer,
            incident_ms: [500, 4_000, 12_000, 30_000, 60_000, 120_000][rng.usize(..6)],
            looks_ms: [100, 2_100, 3_000][rng.usize(..3)],
            packing: None,
            planted: switches.planted,
        };
        let is_narrow = later.u8(..3) == 0;
        if is_narrow {
            plan.narrow(&mut later, switches);
        }
        let carries = later.u8(..3) == 0;
        plan.carries = carries && plan.kinds.len() > 1 && switches.allows(CARRIED);
        plan.heads = plan.kinds.iter().map(|kind| heads(*kind, &mut later, switches)).collect();
        plan.packing = Packing::of(&plan, is_narrow, switches);
        plan
    }

    /// Makes it a day of few kinds of faults, all of one place and frequent, and of one way in which the process ends: what
    /// needs two or three of them together is hidden where everything goes wrong.
    fn narrow(&mut self, rng: &mut fastrand::Rng, switches: &Switches) {
        let computer = || Computer::ALL.into_iter().filter(|c| switches.allows(c.name()));
        let people = || People::ALL.into_iter().filter(|p| switches.allows(p.name()));
        self.computer = rng.choose_multiple(computer().filter(|c| c.ends_the_process()), 1);
        self.people.clear();
        self.plant = FaultPlan::none();
        self.upstream = UpstreamPlan::of([]);
        match rng.u8(..4) {
            0 => {
                let kinds = FaultKind::ALL.iter().copied().filter(|k| !k.is_of_packing());
                let kinds = kinds.filter(|k| switches.allows(k.name()));
                for kind in few(rng, kinds) {
                    self.plant.set(kind, FaultPlan::rough().rate(kind)).expect("rates are rates");
                }
                self.people = few(rng, people());
            }
            1 => {
                let faults = Fault::ALL.into_iter().filter(|f| switches.allows(&upstream_name(*f)));
                self.upstream = UpstreamPlan::of(few(rng, faults).into_iter().map(|f| rule(f, 0.1)));
            }
            _ => self.computer.extend(few(rng, computer().filter(|c| !c.ends_the_process()))),
        }
    }

    /// What the day is besides the usual one.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        let several = (self.kinds.len() > 1).then_some(Shape::SeveralLines);
        let pre_printed = self.kinds.contains(&Kind::PrePrinted).then_some(Shape::PrePrinted);
        let midnight = (self.begins_ms != MORNING_MS).then_some(Shape::Midnight);
        let printers = self.heads.iter().any(|h| h.printers > 1).then_some(Shape::SeveralPrinters);
        let packs = self.packing.iter().flat_map(Packing::shapes);
        several.into_iter().chain(pre_printed).chain(midnight).chain(printers).chain(packs)
    }

    /// The next incident of the computer, if any may happen.
    pub fn incident(&self, rng: &mut fastrand::Rng) -> Option<Computer> {
        let all: u32 = self.computer.iter().map(|c| c.weight()).sum();
        let mut at = rng.u32(..all.max(1));
        for one in &self.computer {
            if at < one.weight() {
                return Some(*one);
            }
            at -= one.weight();
        }
        None
    }
}

/// One or two of them.
fn few<T>(rng: &mut fastrand::Rng, of: impl Iterator<Item = T>) -> Vec<T> {
    let count = rng.usize(1..=2);
    rng.choose_multiple(of, count)
}

/// What the lines are: one that prints, as a rule.
fn kinds(first: Kind, rng: &mut fastrand::Rng, switches: &Switches) -> Vec<Kind> {
    let may = |shape: Shape| switches.allows(shape.name());
    let lines = if rng.u8(..4) == 0 { rng.usize(2..=3) } else { 1 };
    let mut kinds = vec![first];
    let more = if may(Shape::SeveralLines) { lines - 1 } else { 0 };
    kinds.extend((0..more).map(|_| [Kind::PrintAndApply, Kind::Print][rng.usize(..2)]));
    for kind in &mut kinds {
        if rng.u8(..6) == 0 && may(Shape::PrePrinted) {
            *kind = Kind::PrePrinted;
        }
    }
    kinds
}

/// One printer, as a rule.
fn heads(kind: Kind, rng: &mut fastrand::Rng, switches: &Switches) -> Heads {
    let several = rng.u8(..6) == 0;
    let printers = [2, 2, 3][rng.usize(..3)];
    let turns = [Turns::InTurn, Turns::StandBy][rng.usize(..2)];
    if several && kind != Kind::PrePrinted && switches.allows(Shape::SeveralPrinters.name()) {
        Heads { printers, turns }
    } else {
        Heads::ONE
    }
}

fn begins_ms(rng: &mut fastrand::Rng, switches: &Switches) -> i64 {
    let before_midnight_ms = rng.i64(10_000..300_000);
    match rng.u8(..6) {
        0 if switches.allows(Shape::Midnight.name()) => MIDNIGHT_MS - before_midnight_ms,
        _ => MORNING_MS,
    }
}

fn people(rng: &mut fastrand::Rng, switches: &Switches) -> Vec<People> {
    let mut may: Vec<People> = People::ALL.into_iter().filter(|p| switches.allows(p.name())).collect();
    may.retain(|_| rng.u8(..4) > 0);
    may
}

/// Nothing, a usual day, or a day on which some things go wrong often.
fn plant(rng: &mut fastrand::Rng, switches: &Switches) -> FaultPlan {
    let mut plan = FaultPlan::none();
    let day = rng.u8(..4);
    // Kinds that came later draw from a stream of their own, so that the days of known seeds stay what they were.
    let mut later = rng.clone();
    for kind in FaultKind::ALL.iter().filter(|kind| !kind.is_of_packing()) {
        let rng = if *kind > FaultKind::GateAnswerLost { &mut later } else { &mut *rng };
        let rough = FaultPlan::rough().rate(*kind);
        let rate = match day {
            0 => 0.0,
            1 => FaultPlan::gentle().rate(*kind),
            2 => rough * 0.3,
            _ if rng.u8(..4) == 0 => rough,
            _ => 0.0,
        };
        if switches.allows(kind.name()) {
            plan.set(*kind, rate).expect("rates are rates");
        }
    }
    plan
}

fn upstream(rng: &mut fastrand::Rng, switches: &Switches) -> UpstreamPlan {
    let day = rng.u8(..3);
    let mut rules = Vec::new();
    for fault in Fault::ALL {
        let rate = match day {
            0 => 0.0,
            1 => 0.02,
            _ if rng.u8(..3) == 0 => 0.1,
            _ => 0.0,
        };
        if rate > 0.0 && switches.allows(&upstream_name(fault)) {
            rules.push(rule(fault, rate));
        }
    }
    UpstreamPlan::of(rules)
}

/// A fault at this rate, as long as it lasts in a day of minutes.
fn rule(fault: Fault, rate: f64) -> Rule {
    let rule = Rule::new(fault, rate);
    match fault {
        Fault::Hidden | Fault::Stuck => rule.with_ms(100, 9_000),
        Fault::KeyDead => rule.with_ms(500, 20_000),
        Fault::Latency => rule.with_ms(100, 8_000),
        _ => rule,
    }
}

/// How often each fault has struck, by name.
pub type Strikes = BTreeMap<String, u64>;
