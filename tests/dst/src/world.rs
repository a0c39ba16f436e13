//! The world around the agent, a millisecond at a time: belt, printer, reader and gate, their cables, the state system,
//! the computer that loses its power, and people.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use tamga::upstream::xtrace::exchange::Outcome;
use tamga_domain::time::{Time, Wall};
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::modbus::Frames;
use tamga_simulators::model::plant::{Kind, Plant, PlantConfig};
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::model::reader::ReaderConfig;
use tamga_simulators::model::xtrace::Xtrace;
use tamga_simulators::model::xtrace::settings::Settings;
use time::OffsetDateTime;

use crate::agent::{Agent, Out, Over, Parts};
use crate::disk::{Copied, Disk, Lies, Trouble};
use crate::floor::FloorLog;
use crate::oracle::{self, Violation};
use crate::people::Person;
use crate::plan::{Computer, Floor, Plan, Strikes, upstream_name};
use crate::planted::Planted;
use crate::slips::{Observed, Trying};
use crate::trace::Trace;
use crate::vfs;
use crate::way::Call;

pub const GTIN: &str = "04780000000014";
pub(crate) const AGENT: &str = "a0000001";
pub(crate) const API_KEY: &str = "uz-key";
/// The day begins: 2026-11-22T08:00:00Z in milliseconds.
pub(crate) const MORNING_MS: i64 = 1_795_334_400_000;
/// The agent gives up on an answer of the state system after this.
pub(crate) const TIMEOUT_MS: u64 = 5_000;
/// With no faults any more, everything must settle within this.
const SETTLE_MAX_MS: u64 = 900_000;
/// The part of a day that has faults, at most.
const FAULTS_MAX_MS: u64 = 600_000;

/// One cable, as the world sees it.
#[derive(Default)]
pub(crate) struct Cable {
    pub(crate) up: bool,
    pub(crate) dial_at: u64,
    /// What is on its way, with the millisecond of its arrival.
    pub(crate) to_device: VecDeque<(u64, Vec<u8>)>,
    pub(crate) to_agent: VecDeque<(u64, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Printer,
    Reader,
    Gate,
}

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
    pub plant: Plant,
    pub state: Xtrace,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) dir: PathBuf,
    pub(crate) parts: Parts,
    pub agent: Option<Agent>,
    pub(crate) restart_at: u64,
    pub(crate) cables: [Cable; 3],
    pub(crate) frames: Frames,
    pub(crate) gate_boot: u16,
    pub(crate) shown: Option<u32>,
    pub(crate) printer_losses: u64,
    pub(crate) answering: Vec<Answering>,
    pub(crate) person: Person,
    pub(crate) faults_on: bool,
    pub(crate) incident_at: u64,
    pub(crate) slow_until: u64,
    pub(crate) offline_until: u64,
    /// When the writer's next commit reaches the disk.
    pub(crate) writes_at: Option<u64>,
    pub(crate) look_at: u64,
    pub strikes: Strikes,
    pub trace: Trace,
    floor: FloorLog,
    pub violations: Vec<Violation>,
    /// What the store has acknowledged, over all lives of the agent.
    pub(crate) ledger: oracle::Ledger,
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
    for report in world.plant.faults.report() {
        *strikes.entry(report.kind.name().to_owned()).or_default() += report.struck;
    }
    for (fault, count) in world.state.faults().struck() {
        *strikes.entry(upstream_name(*fault)).or_default() += count;
    }
    let summary = world.plant.summary();
    let kills = ["kill", "kill-at-moment"].iter().filter_map(|n| strikes.get(*n)).sum();
    let counts = Counts {
        kills,
        strikes,
        marks: summary.labels_printed,
        passed: summary.passed,
        power_cuts: disk.power_cuts,
        starts: world.starts,
        simulated_ms: world.ms,
    };
    Ended {
        observed: world.trying.take().map(|t| t.observed(&world.plant.truth())),
        counts,
        fingerprint: world.trace.fingerprint(),
        lines: std::mem::take(&mut world.trace.lines),
        violations: std::mem::take(&mut world.violations),
    }
}

fn config_text(plan: &Plan) -> String {
    let kind = if plan.kind == Kind::Print { "print" } else { "print-and-apply" };
    let Floor { web, items_to_reader, items_to_gate, window: jobs, gap_max, .. } = plan.floor;
    let web = match plan.kind {
        Kind::PrintAndApply => format!("labels_head_to_applicator = {web}"),
        Kind::Print | Kind::PrePrinted => String::new(),
    };
    let window = window_ms(plan);
    let poll = plan.gate_poll_ms;
    format!(
        r#"
[agent]
data = "/nowhere"
country = "uz"
language = "en"
[api]
listen = "127.0.0.1:1"
[upstream.xtrace]
url = "http://127.0.0.1:1"
api_key_file = "/nowhere/key"
business_place = 1
manufacturer_country = "UZ"
requests_per_min = 6000
pull_codes = 150
report_every_s = 5
settle_min_s = 12
timeout_s = 5
poll_s = 1
[[products]]
gtin = "{GTIN}"
name = "Water 0.5 l"
group = "water"
order = {{ low_water = 150, quantity = 300 }}
[lines.l1]
kind = "{kind}"
{web}
items_applicator_to_reader = {items_to_reader}
items_reader_to_gate = {items_to_gate}
life_left_min_h = 24
[lines.l1.limits]
consecutive_bad_max = 10
bad_rate_max_percent = 50
bad_rate_window = 100
gap_max = {gap_max}
[lines.l1.printers.p1.zpl]
address = "127.0.0.1:2"
window = {jobs}
module_dots = 4
label_width_dots = 400
label_length_dots = 300
stored_format = "E:TAMGA.ZPL"
poll_ms = 50
[lines.l1.readers.r1.text]
connect = "127.0.0.1:3"
no_read = ["NOREAD"]
several_delimiter = "\t"
latency_ms_min = 4
latency_ms_max = {window}
[lines.l1.gate.modbus]
address = "127.0.0.1:4"
poll_ms = {poll}
scan_ms_max = 0
"#
    )
}

/// How long after its trigger a result may come: nearly until the next item's, or as the reader needs it.
fn window_ms(plan: &Plan) -> u32 {
    let until_next = (54_000 / plan.items_per_min).clamp(10, 150);
    match plan.floor.reader_ms {
        (8, 25) => until_next,
        (_, most) => u32::try_from(most).map_or(until_next, |ms| ms + 4),
    }
}

fn plant_config(plan: &Plan) -> PlantConfig {
    let label_ms = (60_000 / u64::from(plan.items_per_min) / 3).max(1);
    let mode = match plan.kind {
        Kind::Print => PrintMode::Demand,
        Kind::PrintAndApply | Kind::PrePrinted => PrintMode::Stream { web_capacity: plan.floor.web as usize },
    };
    PlantConfig {
        kind: plan.kind,
        seed: plan.seed,
        belt: BeltConfig {
            items_per_min: plan.items_per_min,
            items_head_to_reader: plan.floor.items_to_reader,
            items_reader_to_gate: plan.floor.items_to_gate,
            total_items: Some(plan.items),
            ..BeltConfig::default()
        },
        printer: PrinterConfig { mode, first_label_ms: label_ms, label_ms, ..PrinterConfig::default() },
        reader: ReaderConfig {
            latency_ms_min: plan.floor.reader_ms.0,
            latency_ms_max: plan.floor.reader_ms.1,
            ..ReaderConfig::default()
        },
        belt_on: true,
        person_ms: 500,
        power_off_ms: 800,
        ..PlantConfig::default()
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
        let mut state = Xtrace::new(settings);
        state.set_faults(plan.upstream.clone());
        let plant = Plant::new(plant_config(&plan), plan.plant.clone());
        let rng = fastrand::Rng::with_seed(plan.seed ^ 0x517E);
        let looks_ms = plan.looks_ms;
        let mut person = Person::new(looks_ms, plan.quantity);
        if plan.trial.is_some() {
            person.be_quiet();
        }
        World {
            parts: Parts::of(&config_text(&plan), AGENT, plan.seed, plan.planted),
            rng,
            ms: 0,
            skew_ms: 0,
            plant,
            state,
            disk,
            dir: dir.to_owned(),
            agent: None,
            restart_at: 0,
            cables: Default::default(),
            frames: Frames::default(),
            gate_boot: 0,
            shown: None,
            printer_losses: 0,
            answering: Vec::new(),
            person,
            faults_on: true,
            incident_at: plan.incident_ms,
            slow_until: 0,
            offline_until: 0,
            writes_at: None,
            look_at: 0,
            strikes: Strikes::new(),
            trace: Trace::new(traced),
            floor: FloorLog::default(),
            violations: Vec::new(),
            ledger: oracle::Ledger::default(),
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
        Wall(MORNING_MS + i64::try_from(self.ms).unwrap_or(i64::MAX) + self.skew_ms)
    }

    pub(crate) fn true_moment(&self) -> OffsetDateTime {
        let ms = i128::from(MORNING_MS) + i128::from(self.ms);
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
                    if self.plant.finished() || self.ms > FAULTS_MAX_MS {
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

    pub fn violate(&mut self, rule: &'static str, what: String) {
        self.trace.say(|| format!("VIOLATION {rule}: {what}"));
        self.violations.push(Violation { rule, what, at_ms: self.ms });
    }

    /// No more faults: from here on everything must come to its end.
    fn calm(&mut self) {
        self.faults_on = false;
        self.trace.say(|| "no more faults".to_owned());
        self.plant.faults.set_plan(tamga_simulators::fault::FaultPlan::none());
        self.state.set_faults(tamga_simulators::model::xtrace::fault::FaultPlan::default());
        self.disk.borrow_mut().set_trouble(Trouble::default());
        self.skew_ms = 0;
        self.slow_until = 0;
        self.offline_until = 0;
        if let Some(agent) = &mut self.agent {
            agent.fuse = None;
        }
        self.person.last_run();
    }

    fn millisecond(&mut self) {
        self.ms += 1;
        self.trace.at(self.ms);
        self.plant.step(self.ms * 1_000_000);
        self.floor.look(&self.plant, &mut self.trace);
        if self.faults_on && self.ms >= self.incident_at {
            self.incident();
        }
        if self.agent.is_none() && self.ms >= self.restart_at {
            self.start();
        }
        if self.agent.is_none() {
            return;
        }
        self.dial();
        for device in [Device::Printer, Device::Reader, Device::Gate] {
            self.carry(device);
        }
        self.answers();
        let (ms, now, wall) = (self.ms, self.now(), self.wall());
        let mut out = Out::default();
        let turned = self.agent_turn(ms, now, wall, &mut out);
        self.take_written();
        for call in std::mem::take(&mut out.calls) {
            self.call(call);
        }
        for (id, answer) in out.replies.drain(..) {
            self.trace.say(|| format!("reply {id:?} {answer:?}"));
            self.person.answered(id, &answer);
        }
        match turned {
            Ok(()) => {}
            Err(Over::Killed) => self.killed(Computer::Kill),
            Err(Over::Store(error)) => self.ended(&error),
        }
        if let Some((rule, what)) = self.agent.as_ref().and_then(Agent::moves_against_the_rules) {
            self.violate(rule, what);
        }
        if self.trying.is_some() {
            self.try_it();
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

    // ---- people

    fn people(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        let wall = Wall(MORNING_MS + i64::try_from(self.ms).unwrap_or(0));
        self.person.look(self.ms, wall, agent, &mut self.plant, &mut self.trace);
    }

    // ---- the end

    fn settled(&mut self) -> bool {
        let Some(agent) = &self.agent else { return false };
        self.person.is_done(agent)
            && oracle::runs_are_closed(agent.store())
            && (self.restored || oracle::reports_are_settled(agent.store()))
            && (self.restored || self.all_received())
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
                "given and received {:?}, {:?} {:?}",
                oracle::given_and_received(agent.store(), &state),
                agent.line().status().stopped_by,
                agent.line().status().run.map(|r| (r.state, r.pass_unknown.len(), r.passed))
            ),
            None => "the agent does not start".to_owned(),
        }
    }

    fn judge(&mut self) {
        let moment = self.true_moment();
        let state = self.state.truth(moment);
        let plant = self.plant.truth();
        let Some(agent) = &self.agent else { return };
        let found = oracle::judge(agent.store(), &plant, &state, &self.ledger, self.restored, self.damaged);
        for (rule, what) in found {
            self.violate(rule, what);
        }
    }
}
