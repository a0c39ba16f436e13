//! The world around the agent, a millisecond at a time: belt, printer, reader and gate, their cables, the state system,
//! the computer that loses its power, and people.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use tamga::upstream::xtrace::exchange::Outcome;
use tamga_domain::time::{Time, Wall};
use tamga_simulators::model::xtrace::Xtrace;
use tamga_simulators::model::xtrace::settings::{Product, Settings};
use time::OffsetDateTime;

use crate::agent::{Agent, Out, Over, Parts};
use crate::config;
use crate::disk::{Copied, Disk, Lies, Trouble};
use crate::one_line::OneLine;
use crate::oracle::{self, Violation};
use crate::packing::DeskSide;
use crate::packs::{self, PackCounts, PackLedger};
use crate::plan::{CARRIED, Computer, Plan, Strikes, upstream_name};
use crate::planted::Planted;
use crate::side::{Device, Side, merged};
use crate::slips::{Observed, Trying};
use crate::trace::Trace;
use crate::vfs;
use crate::way::Call;

pub const GTIN: &str = "04780000000014";
/// What the line makes after a change of product.
pub const GTIN_OTHER: &str = "04780000000076";
pub(crate) const AGENT: &str = "a0000001";
pub(crate) const API_KEY: &str = "uz-key";
/// The agent gives up on an answer of the state system after this.
pub(crate) const TIMEOUT_MS: u64 = 5_000;
/// With no faults any more, everything must settle within this.
const SETTLE_MAX_MS: u64 = 900_000;
/// The part of a day that has faults, at most.
const FAULTS_MAX_MS: u64 = 600_000;

/// An answer of the state system on its way.
pub(crate) struct Answering {
    pub(crate) due: u64,
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
}

pub struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: fastrand::Rng,
    pub(crate) ms: u64,
    /// How far the computer's clock is off.
    pub(crate) skew_ms: i64,
    /// The lines, each with what stands around it.
    pub(crate) sides: Vec<Side>,
    /// Where is packed what passed.
    pub(crate) desks: Vec<DeskSide>,
    pub state: Xtrace,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) dir: PathBuf,
    pub(crate) parts: Parts,
    pub agent: Option<Agent>,
    pub(crate) restart_at: u64,
    pub(crate) answering: Vec<Answering>,
    pub(crate) faults_on: bool,
    pub(crate) incident_at: u64,
    pub(crate) slow_until: u64,
    pub(crate) offline_until: u64,
    /// When the writer's next commit reaches the disk.
    pub(crate) writes_at: Option<u64>,
    pub(crate) look_at: u64,
    pub strikes: Strikes,
    pub trace: Trace,
    pub violations: Vec<Violation>,
    /// What the store has acknowledged, over all lives of the agent.
    pub(crate) ledger: oracle::Ledger,
    pub(crate) packs: PackLedger,
    pub(crate) pack_counts: PackCounts,
    pub(crate) starts: u64,
    /// A copy of the disk that somebody keeps, and which file the database is now.
    pub(crate) kept: Option<Copied>,
    pub(crate) inode: u64,
    /// An older copy was put back: what it does not know is not asked of the books any more.
    pub(crate) restored: bool,
    /// Pages of the database are damaged, and the agent has not said so yet.
    pub(crate) damaged: bool,
    /// The next start must be in doubt.
    pub(crate) doubt_due: bool,
    /// A copy of the disk that a planted fault puts back.
    pub(crate) older: Option<Copied>,
    /// What is tried on this day, and what was seen of it.
    pub(crate) trying: Option<Trying>,
}

/// What happened in a seed, or in many.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub strikes: Strikes,
    pub marks: u64,
    pub passed: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub starts: u64,
    pub simulated_ms: u64,
    pub packs: PackCounts,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        for (name, count) in &other.strikes {
            *self.strikes.entry(name.clone()).or_default() += count;
        }
        self.marks += other.marks;
        self.passed += other.passed;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.starts += other.starts;
        self.simulated_ms += other.simulated_ms;
        self.packs.add(&other.packs);
    }
}

/// What became of a seed.
pub struct Ended {
    pub violations: Vec<Violation>,
    pub fingerprint: u64,
    pub lines: Vec<String>,
    pub counts: Counts,
    /// What became of the day's trial.
    pub observed: Option<Observed>,
}

/// Plays one seed to its end. `dir` is a folder of this thread's own, for the lock of the data folder.
pub fn play(plan: &Plan, dir: &std::path::Path, traced: bool) -> Ended {
    let mut world = World::new(plan.clone(), dir, traced);
    world.run();
    let disk = world.disk.borrow().struck;
    let mut strikes = world.strikes.clone();
    let mut struck = |name: &str, times: u64| *strikes.entry(name.to_owned()).or_default() += times;
    struck(Computer::ReadError.name(), disk.read_errors);
    plan.shapes().for_each(|shape| struck(shape.name(), 1));
    for (what, times) in world.sides.iter().flat_map(|side| &side.person.struck) {
        struck(what.name(), *times);
    }
    let of_lines = world.sides.iter().flat_map(|side| side.plant.faults.report());
    for report in of_lines.chain(world.desks.iter().flat_map(|desk| desk.desk.faults.report())) {
        struck(report.kind.name(), report.struck);
    }
    for (fault, count) in world.state.faults().struck() {
        struck(&upstream_name(*fault), *count);
    }
    let sums: Vec<_> = world.sides.iter().map(|side| side.plant.summary()).collect();
    let kills = ["kill", "kill-at-moment"].iter().filter_map(|n| strikes.get(*n)).sum();
    let counts = Counts {
        kills,
        strikes,
        marks: sums.iter().map(|s| s.labels_printed).sum(),
        passed: sums.iter().map(|s| s.passed).sum(),
        power_cuts: disk.power_cuts,
        starts: world.starts,
        simulated_ms: world.ms,
        packs: world.pack_counts.clone(),
    };
    Ended {
        observed: world.trying.take().map(|t| t.observed(&world.sides[0].plant.truth())),
        counts,
        fingerprint: world.trace.fingerprint(),
        lines: std::mem::take(&mut world.trace.lines),
        violations: std::mem::take(&mut world.violations),
    }
}

impl World {
    fn new(plan: Plan, dir: &std::path::Path, traced: bool) -> World {
        let disk = Rc::new(RefCell::new(Disk::new(plan.seed)));
        vfs::use_disk(&disk);
        disk.borrow_mut().lie(match plan.planted {
            Some(Planted::LyingSync) => Lies::All,
            Some(Planted::SynchronousNormal | Planted::AcknowledgeBeforeCommit) => Lies::Wal,
            _ => Lies::None,
        });
        let mut settings = Settings::uz().at_once();
        settings.seed = plan.seed;
        settings.limits.calls_per_min_max = 1_000_000;
        settings.products.push(Product::unit(GTIN_OTHER, "water"));
        let mut state = Xtrace::new(settings);
        let sides = (0..plan.kinds.len()).map(|at| Side::new(&plan, at, &mut state)).collect();
        state.set_faults(plan.upstream.clone());
        let rng = fastrand::Rng::with_seed(plan.seed ^ 0x517E);
        World {
            parts: Parts::of(&config::text(&plan), AGENT, plan.seed, plan.planted),
            rng,
            ms: 0,
            skew_ms: 0,
            sides,
            desks: plan.packing.iter().flat_map(|packing| packing.desks(&plan)).collect(),
            state,
            disk,
            dir: dir.to_owned(),
            agent: None,
            restart_at: 0,
            answering: Vec::new(),
            faults_on: true,
            incident_at: plan.incident_ms,
            slow_until: 0,
            offline_until: 0,
            writes_at: None,
            look_at: 0,
            strikes: Strikes::new(),
            trace: Trace::new(traced),
            violations: Vec::new(),
            ledger: oracle::Ledger::default(),
            packs: PackLedger::default(),
            pack_counts: PackCounts::default(),
            starts: 0,
            kept: None,
            inode: 1,
            restored: false,
            damaged: false,
            doubt_due: false,
            older: None,
            trying: plan.trial.clone().map(Trying::of),
            plan,
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time((self.ms + 1_000) * 1_000_000)
    }

    pub(crate) fn wall(&self) -> Wall {
        Wall(self.plan.begins_ms + i64::try_from(self.ms).unwrap_or(i64::MAX) + self.skew_ms)
    }

    pub(crate) fn true_moment(&self) -> OffsetDateTime {
        let ms = i128::from(self.plan.begins_ms) + i128::from(self.ms);
        OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).expect("a day of our time")
    }

    fn run(&mut self) {
        let mut calm_since = None;
        loop {
            self.millisecond();
            if !self.violations.is_empty() {
                break;
            }
            match calm_since {
                None => {
                    if self.sides.iter().all(|side| side.plant.finished()) || self.ms > FAULTS_MAX_MS {
                        self.calm();
                        calm_since = Some(self.ms);
                    }
                }
                Some(since) => {
                    if self.ms.is_multiple_of(500) && self.settled() {
                        self.judge();
                        break;
                    }
                    if self.ms - since > SETTLE_MAX_MS {
                        let why = self.unsettled();
                        self.violate("not-settled", why);
                        break;
                    }
                }
            }
        }
        if let Some(agent) = self.agent.take() {
            self.disk.borrow_mut().freeze();
            drop(agent);
        }
    }

    pub(crate) fn violate(&mut self, rule: &'static str, what: String) {
        self.trace.say(|| format!("VIOLATION {rule}: {what}"));
        self.violations.push(Violation { rule, what, at_ms: self.ms });
    }

    /// No more faults: from here on everything must come to its end.
    fn calm(&mut self) {
        self.faults_on = false;
        self.trace.say(|| "no more faults".to_owned());
        for side in &mut self.sides {
            side.plant.faults.set_plan(tamga_simulators::fault::FaultPlan::none());
            side.person.last_run();
        }
        for desk in &mut self.desks {
            desk.desk.faults.set_plan(tamga_simulators::fault::FaultPlan::none());
        }
        self.state.set_faults(tamga_simulators::model::xtrace::fault::FaultPlan::default());
        self.disk.borrow_mut().set_trouble(Trouble::default());
        self.skew_ms = 0;
        self.slow_until = 0;
        self.offline_until = 0;
        if let Some(agent) = &mut self.agent {
            agent.fuse = None;
        }
    }

    fn millisecond(&mut self) {
        self.ms += 1;
        self.trace.at(self.ms);
        for side in &mut self.sides {
            side.plant.step(self.ms * 1_000_000);
            side.log.look(&side.plant, &mut self.trace);
        }
        self.pack();
        if self.faults_on && self.ms >= self.incident_at {
            self.incident();
        }
        if self.agent.is_none() && self.ms >= self.restart_at {
            self.start();
        }
        if self.agent.is_none() {
            return;
        }
        for at in 0..self.sides.len() {
            self.dial(at);
            for device in self.sides[at].devices() {
                self.carry(at, device);
            }
        }
        for at in 0..self.desks.len() {
            self.dial_desk(at);
            [Device::Scanner(at), Device::Labels(at)].into_iter().for_each(|device| self.carry(0, device));
        }
        self.answers();
        let (ms, now, wall) = (self.ms, self.now(), self.wall());
        let mut out = Out::default();
        let turned = self.agent_turn(ms, now, wall, &mut out);
        (0..self.sides.len()).for_each(|at| self.take_written(at));
        self.take_written_of_desks();
        for call in std::mem::take(&mut out.calls) {
            self.call(call);
        }
        for (at, id, answer) in out.replies.drain(..) {
            self.trace.say(|| format!("reply {id:?} {answer:?}"));
            self.sides[at].person.answered(id, &answer);
        }
        for (at, id, answer) in out.station_replies.drain(..) {
            self.packer_answered(at, id, &answer);
        }
        for at in out.imported.drain(..) {
            self.sides[at].person.imported();
        }
        match turned {
            Ok(()) => {}
            Err(Over::Killed) => self.killed(Computer::Kill),
            Err(Over::Store(error)) => self.ended(&error),
        }
        let lines = self.agent.iter().flat_map(|agent| &agent.lines);
        let wrong: Vec<_> = lines.filter_map(OneLine::moves_against_the_rules).collect();
        wrong.into_iter().for_each(|(rule, what)| self.violate(rule, what));
        self.judge_packing();
        if self.trying.is_some() {
            self.try_it();
        }
        if self.ms.is_multiple_of(50) {
            self.carry_over();
        }
        if self.agent.is_some() && self.ms.is_multiple_of(50) {
            self.people();
        }
    }

    fn agent_turn(&mut self, ms: u64, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        if ms >= self.look_at {
            self.look_at = ms + 1_000;
            agent.look(now, wall, out)?;
        }
        agent.turn(ms, now, wall, out)?;
        if !agent.has_asked() {
            return Ok(());
        }
        let slow = if ms < self.slow_until { 100..1_000 } else { 0..3 };
        let at = *self.writes_at.get_or_insert_with(|| ms + self.rng.u64(slow));
        if ms >= at {
            self.writes_at = None;
            agent.write(ms, &mut self.trace)?;
            self.ledger.take(&mut agent.acknowledged);
        }
        Ok(())
    }

    /// What the stations did, and what was written down of packs.
    fn judge_packing(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        if agent.stations.is_empty() {
            return;
        }
        let mut wrong: Vec<_> = agent.stations.iter_mut().flat_map(|one| one.wrong.drain(..)).collect();
        let mut packed = std::mem::take(&mut agent.packed);
        wrong.extend(self.packs.take(&mut packed, agent.store(), &self.desks));
        wrong.into_iter().for_each(|(rule, what)| self.violate(rule, what));
    }

    // ---- people

    fn people(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        let wall = Wall(self.plan.begins_ms + i64::try_from(self.ms).unwrap_or(0));
        for side in &mut self.sides {
            side.person.look(self.ms, wall, agent, &mut side.plant, &mut self.trace);
        }
    }

    /// Once in two seconds somebody takes one of the newest items off one line, and puts it on another.
    fn carry_over(&mut self) {
        if !self.plan.carries || !self.faults_on || self.rng.u8(..40) > 0 {
            return;
        }
        let lines = self.sides.len();
        let from = self.rng.usize(..lines);
        let to = (from + self.rng.usize(1..lines)) % lines;
        let newest = self.sides[from].plant.items().len() as u64;
        let item = newest.saturating_sub(self.rng.u64(..24));
        // Where no more items come, people go home.
        if self.sides[to].plant.is_dry() {
            return;
        }
        let Some(marks) = self.sides[from].plant.hand_over(item) else { return };
        let there = self.sides[to].plant.take_in(marks);
        *self.strikes.entry(CARRIED.to_owned()).or_default() += 1;
        let (from, to) = (from + 1, to + 1);
        self.trace.say(|| format!("item {item} of line {from} is carried to line {to}, as item {there}"));
    }

    // ---- the end

    fn settled(&mut self) -> bool {
        let Some(agent) = &self.agent else { return false };
        self.sides.iter().all(|side| side.person.is_done(agent))
            && self.all_packed()
            && oracle::runs_are_closed(agent.store())
            && (self.restored || self.reports_are_settled())
            && (self.restored || self.all_received())
    }

    /// A person looks at the reports. Where nobody has met the damage of the books before, a window tells of it now, and the
    /// day ends with books that are to be put back: they are judged as such.
    fn reports_are_settled(&mut self) -> bool {
        let looked = self.agent.as_ref().map(|agent| oracle::reports_are_settled(agent.store()));
        match looked {
            Some(Ok(settled)) => settled,
            Some(Err(error)) => {
                self.restored |= self.damaged && error.is_damage();
                self.restored
            }
            None => false,
        }
    }

    /// No block that the state system gave is missing in the books.
    fn all_received(&mut self) -> bool {
        let state = self.state.truth(self.true_moment());
        self.agent.as_ref().is_some_and(|agent| {
            let (given, received) = oracle::given_and_received(agent.store(), &state);
            received >= given
        })
    }

    fn unsettled(&mut self) -> String {
        let state = self.state.truth(self.true_moment());
        match &self.agent {
            Some(agent) => format!(
                "given and received {:?}, runs closed {}, reports settled {:?}, {:?} {:?} {:?} {:?} {:?}",
                oracle::given_and_received(agent.store(), &state),
                oracle::runs_are_closed(agent.store()),
                oracle::reports_are_settled(agent.store()),
                self.sides.iter().map(|side| side.person.is_done(agent)).collect::<Vec<_>>(),
                agent.lines.iter().map(|one| one.line.status().stopped_by).collect::<Vec<_>>(),
                agent.lines.iter().map(|one| one.line.status().run).collect::<Vec<_>>(),
                agent.stations.iter().map(|one| one.station.status()).collect::<Vec<_>>(),
                self.desks.iter().map(|side| side.desk.is_done()).collect::<Vec<_>>()
            ),
            None => "the agent does not start".to_owned(),
        }
    }

    fn judge(&mut self) {
        let moment = self.true_moment();
        let state = self.state.truth(moment);
        let plant = merged(self.sides.iter().map(|side| side.plant.truth()));
        let Some(agent) = &self.agent else { return };
        let (strays, lost) = (packs::strays(&self.desks), (self.restored, self.damaged));
        let found = oracle::judge(agent.store(), &plant, &state, &self.ledger, &strays, lost);
        let packed = (!self.restored && !self.damaged).then(|| packs::judge(agent.store(), &self.desks));
        for (rule, what) in found {
            self.violate(rule, what);
        }
        if let Some((found, counts)) = packed {
            self.pack_counts = counts;
            found.into_iter().for_each(|(rule, what)| self.violate(rule, what));
        }
        if !self.restored {
            let strange: Vec<String> = self.sides.iter().flat_map(Side::of_another_product).collect();
            strange.into_iter().for_each(|what| self.violate("another-product-passed", what));
        }
    }
}
