//! Lost answers: the real step and the real store against a state system whose answers are lost, late or doubled all the
//! time. Items come from no line here; their records are written as a line writes them. Time jumps from one event to the
//! next, so that the product's own settings can be used: minutes for a time-out, a quarter of an hour to settle.
//!
//! - `plan`: what goes wrong in a seed
//! - `judge`: what must be so at its end
//! - `campaign`: many seeds

mod campaign;
mod judge;
mod plan;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tamga::chain::chain;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::upstream::xtrace::exchange::Outcome;
use tamga::witness::LEASE;
use tamga_domain::day::Zone;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, PrinterNo, RunId, Tag, TxnId};
use tamga_domain::record::{Answer, ItemEnd, Record, RunPlan, RunState, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_domain::upstream as up;
use tamga_simulators::model::xtrace::Xtrace;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan};
use tamga_simulators::model::xtrace::settings::Settings;
use time::OffsetDateTime;

pub use self::campaign::{Campaign, Counts, Fates, Sums};
pub use self::judge::Reports;
pub use self::plan::Plan;
use crate::agent::{Over, Parts};
use crate::calls::{Exchanged, exchange};
use crate::disk::Disk;
use crate::oracle::Violation;
use crate::plan::MORNING_MS;
use crate::trace::Trace;
use crate::vfs;
use crate::way::{Call, Way, burn};
use crate::witness::{Beside, stand};
use crate::world::{AGENT, GTIN};

/// The product gives up on an answer after this.
const TIMEOUT_MS: u64 = 150_000;
/// An answer after this is called late.
const LATE_MS: u64 = 10_000;
/// With no faults any more, everything must settle within this: a report that was refused for no reason that shows
/// waits for hours, up to a day.
const SETTLE_MAX_MS: u64 = 6 * 86_400_000;
/// What people are told must be over so long after the last fault, and is looked at so often.
const TROUBLE_MAX_MS: u64 = 86_400_000;
const TROUBLE_EVERY_MS: u64 = 600_000;
/// How often the store is asked how things stand.
const LOOK_EVERY_MS: u64 = 5_000;

/// What became of a seed.
pub struct Ended {
    pub violations: Vec<Violation>,
    pub fingerprint: u64,
    pub lines: Vec<String>,
    pub counts: Counts,
}

/// Plays one seed to its end. `dir` is a folder of this thread's own, for the lock of the data folder.
pub fn play(plan: &Plan, dir: &Path, traced: bool) -> Ended {
    let mut day = Day::new(plan.clone(), dir, traced);
    day.run();
    for (fault, count) in day.state.faults().struck() {
        *day.counts.faults.entry(crate::plan::upstream_name(*fault)).or_default() += count;
    }
    day.counts.simulated_ms = day.ms;
    Ended {
        violations: std::mem::take(&mut day.violations),
        fingerprint: day.trace.fingerprint(),
        lines: std::mem::take(&mut day.trace.lines),
        counts: std::mem::take(&mut day.counts),
    }
}

/// An answer on its way.
struct Answering {
    due: u64,
    call: Call,
    outcome: Outcome,
}

/// What stands for the line: a run, and how many of its items are still to be made.
struct Making {
    run: RunId,
    left: u32,
}

/// A living agent.
struct Alive {
    store: Store,
    way: Way,
}

struct Day {
    plan: Plan,
    rng: fastrand::Rng,
    ms: u64,
    state: Xtrace,
    disk: Rc<RefCell<Disk>>,
    dir: PathBuf,
    parts: Parts,
    alive: Option<Alive>,
    starts: u64,
    fuse: Option<u64>,
    answering: Vec<Answering>,
    making: Option<Making>,
    runs: u32,
    tag: u32,
    /// Nothing goes wrong any more, and nothing is made.
    calm: bool,
    judge_at: u64,
    look_at: u64,
    lot_at: u64,
    kill_at: Option<u64>,
    skew_at: Option<u64>,
    restart_at: u64,
    trace: Trace,
    violations: Vec<Violation>,
    counts: Counts,
}

impl Day {
    fn new(plan: Plan, dir: &Path, traced: bool) -> Day {
        let disk = Rc::new(RefCell::new(Disk::new(plan.seed)));
        vfs::use_disk(&disk);
        let mut settings = Settings::uz();
        settings.seed = plan.seed;
        settings.delays.utilisation_ms = 20_000;
        let mut state = Xtrace::new(settings);
        state.set_faults(plan.upstream.clone());
        let parts = Parts::of(&plan::config_text(), AGENT, plan.seed, plan.planted);
        Day {
            rng: fastrand::Rng::with_seed(plan.seed ^ 0xA4A4),
            ms: 0,
            state,
            disk,
            dir: dir.to_owned(),
            parts,
            alive: None,
            starts: 0,
            fuse: None,
            answering: Vec::new(),
            making: None,
            runs: 0,
            tag: 0,
            calm: false,
            judge_at: 0,
            look_at: 0,
            lot_at: plan.lot_every_ms,
            kill_at: plan.kill_every_ms,
            skew_at: plan.skew_every_ms,
            restart_at: 0,
            trace: Trace::new(traced),
            violations: Vec::new(),
            counts: Counts::default(),
            plan,
        }
    }

    fn now(&self) -> Time {
        Time((self.ms + 1_000) * 1_000_000)
    }

    fn wall(&self) -> Wall {
        Wall(MORNING_MS + i64::try_from(self.ms).unwrap_or(i64::MAX))
    }

    fn moment(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.wall().0) * 1_000_000)
            .expect("a day of our time")
    }

    fn violate(&mut self, rule: &'static str, what: String) {
        self.trace.say(|| format!("VIOLATION {rule}: {what}"));
        self.violations.push(Violation { rule, what, at_ms: self.ms });
    }

    fn run(&mut self) {
        while self.violations.is_empty() {
            if !self.calm && self.ms >= self.plan.made_ms {
                self.calm();
            }
            if self.calm && self.ms >= self.judge_at && self.settled() && self.judge() {
                break;
            }
            if self.calm && self.ms - self.plan.made_ms > SETTLE_MAX_MS {
                let why =
                    self.alive.as_ref().map(|a| format!("{:?} {:?}", a.way.step.status(), a.way.troubles));
                self.violate("not-settled", format!("{why:?}"));
                break;
            }
            self.ms = self.next_moment().max(self.ms + 1);
            self.trace.at(self.ms);
            if let Err(over) = self.turn() {
                self.over(over);
            }
        }
        if let Some(alive) = self.alive.take() {
            self.disk.borrow_mut().freeze();
            drop(alive);
        }
    }

    /// True when the day is over. A trouble that is told still may end with the next answer, which may be an hour away.
    fn judge(&mut self) -> bool {
        let moment = self.moment();
        let state = self.state.truth(moment);
        let Some(alive) = &self.alive else { return false };
        let troubles = alive.way.troubles.keys().copied().collect();
        let (reports, found) = judge::judge(&alive.store, &state, &troubles);
        let waits = found.iter().all(|(rule, _)| *rule == "person-needed");
        if !found.is_empty() && waits && self.ms - self.plan.made_ms < TROUBLE_MAX_MS {
            self.judge_at = self.ms + TROUBLE_EVERY_MS;
            return false;
        }
        self.counts.reports = reports;
        for (rule, what) in found {
            self.violate(rule, what);
        }
        true
    }

    /// From here on everything must come to its end.
    fn calm(&mut self) {
        self.calm = true;
        self.trace.say(|| "no more faults".to_owned());
        self.state.set_faults(FaultPlan::default());
        (self.kill_at, self.skew_at, self.fuse) = (None, None, None);
    }

    fn next_moment(&self) -> u64 {
        if self.alive.is_none() {
            return self.restart_at;
        }
        let woken =
            self.alive.as_ref().and_then(|a| a.way.wake).map(|t| (t.0 / 1_000_000).saturating_sub(999));
        let lot = (!self.calm || self.making.is_some()).then_some(self.lot_at);
        let due = self.answering.iter().map(|a| a.due).min();
        let all = [woken, lot, due, self.kill_at, self.skew_at, Some(self.look_at)];
        all.into_iter().flatten().min().unwrap_or(self.look_at)
    }

    fn settled(&self) -> bool {
        let Some(alive) = &self.alive else { return false };
        self.making.is_none()
            && self.answering.is_empty()
            && crate::oracle::runs_are_closed(&alive.store)
            && crate::oracle::reports_are_settled(&alive.store).is_ok_and(|settled| settled)
            && alive.way.step.status().unknown == 0
            && judge::orders_are_settled(&alive.store)
    }

    fn turn(&mut self) -> Result<(), Over> {
        if self.alive.is_none() {
            return self.start();
        }
        if self.skew_at.is_some_and(|at| self.ms >= at) {
            self.skew();
        }
        if self.kill_at.is_some_and(|at| self.ms >= at) {
            self.fuse = Some(self.rng.u64(..30));
            self.kill_at = self.plan.kill_every_ms.map(|every| self.ms + self.rng.u64(every / 2..2 * every));
        }
        let ms = self.ms;
        let due: Vec<Answering> = self.answering.extract_if(.., |a| a.due <= ms).collect();
        for one in due {
            let Some(alive) = &mut self.alive else { break };
            alive.way.answered(one.call.id, one.outcome);
        }
        self.hear()?;
        if self.alive.as_ref().and_then(|a| a.way.wake).is_some_and(|at| at <= self.now()) {
            self.feed(up::Input::Tick)?;
        }
        if self.ms >= self.look_at {
            self.look()?;
        }
        if (!self.calm || self.making.is_some()) && self.ms >= self.lot_at {
            self.lot_at = self.ms + self.rng.u64(self.plan.lot_every_ms / 2..2 * self.plan.lot_every_ms);
            self.make()?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Over> {
        self.starts += 1;
        let disk = Rc::clone(&self.disk);
        let write_back = |path: &Path| disk.borrow_mut().write_back(&path.to_string_lossy());
        let mut store = Store::open_on(&self.dir, AGENT, write_back).map_err(Over::Store)?;
        let epoch = format!("{:016x}{:016x}", self.plan.seed, self.starts);
        let beside = Beside { inode: 1, epoch, lease: LEASE };
        let doubt = stand(&mut store, &beside, self.wall(), None).map_err(Over::Store)?;
        if let Some(doubt) = doubt {
            self.violate("doubted-for-nothing", format!("{doubt:?}"));
        }
        let way = Way::start((self.parts.setup)(), &store).map_err(Over::Store)?;
        self.alive = Some(Alive { store, way });
        self.look_at = self.ms;
        self.feed(up::Input::Tick)
    }

    fn over(&mut self, over: Over) {
        match over {
            Over::Killed => {
                self.trace.say(|| "the agent is killed".to_owned());
                self.counts.kills += 1;
                for one in std::mem::take(&mut self.answering) {
                    self.counts.requests.entry(one.call.request.name()).or_default().lost += 1;
                }
                self.disk.borrow_mut().freeze();
                self.alive = None;
                self.disk.borrow_mut().thaw();
                self.fuse = None;
                self.restart_at = self.ms + self.rng.u64(100..60_000);
            }
            Over::Store(error @ StoreError::Rule { .. }) => self.violate("store-rule", chain(&error)),
            Over::Store(error) => self.violate("store-failed", chain(&error)),
        }
    }

    fn skew(&mut self) {
        self.skew_at = self.plan.skew_every_ms.map(|every| self.ms + self.rng.u64(every / 2..2 * every));
        let clock_skew_ms = [-3_600_000, -120_000, -5_000, 0, 5_000, 120_000, 3_600_000][self.rng.usize(..7)];
        *self.counts.faults.entry("upstream-clock-skew".to_owned()).or_default() += 1;
        self.state.set_faults(FaultPlan { clock_skew_ms, ..self.plan.upstream.clone() });
    }

    // ---- the agent's shells

    fn hear(&mut self) -> Result<(), Over> {
        while let Some(input) = self.alive.as_mut().and_then(|a| a.way.take_heard()) {
            self.feed(input)?;
        }
        Ok(())
    }

    fn feed(&mut self, input: up::Input) -> Result<(), Over> {
        let at = (self.now(), self.wall());
        let mut calls = Vec::new();
        let Some(Alive { store, way }) = &mut self.alive else { return Ok(()) };
        let mut fed = way.feed(store, input, at, &mut self.fuse, &mut calls);
        while fed.is_ok()
            && let Some(txn) = way.next_commit()
        {
            fed = commit(store, way, txn, at, &mut self.fuse, &mut calls, &mut self.trace);
        }
        for call in calls {
            self.call(call);
        }
        fed?;
        self.hear()
    }

    fn look(&mut self) -> Result<(), Over> {
        let every = if self.calm { 12 * LOOK_EVERY_MS } else { LOOK_EVERY_MS };
        self.look_at = self.ms + every;
        let at = (self.now(), self.wall());
        let mut calls = Vec::new();
        let Some(Alive { store, way }) = &mut self.alive else { return Ok(()) };
        let about = (&self.parts.products[..], self.parts.life_left_ms);
        let mut looked = way.look(store, about, at, &mut self.fuse, &mut calls).map(drop);
        while looked.is_ok()
            && let Some(txn) = way.next_commit()
        {
            looked = commit(store, way, txn, at, &mut self.fuse, &mut calls, &mut self.trace);
        }
        if looked.is_ok() {
            looked = store.maintain(true).map(drop).map_err(Over::Store);
        }
        for call in calls {
            self.call(call);
        }
        looked?;
        self.hear()
    }

    // ---- the state system

    fn call(&mut self, call: Call) {
        let before = self.state.faults().struck().clone();
        let moment = self.moment();
        let Exchanged { request, reply, after_ms, outcome } =
            exchange(&mut self.state, moment, &call, TIMEOUT_MS, self.plan.planted);
        let struck: Vec<Fault> = self
            .state
            .faults()
            .struck()
            .iter()
            .filter(|(fault, n)| before.get(fault).is_none_or(|was| was < n))
            .map(|(fault, _)| *fault)
            .collect();
        self.trace.mix(&reply.body);
        self.trace.say(|| {
            format!(
                "{} {}?{} → {} {:?} {struck:?}",
                request.method, request.path, request.query, reply.status, reply.delivery
            )
        });
        let has = |fault: Fault| struck.contains(&fault);
        let fates = self.counts.requests.entry(call.request.name()).or_default();
        fates.sent += 1;
        let is_lost = matches!(outcome, Outcome::Lost { .. })
            || struck.iter().any(|f| {
                matches!(
                    f,
                    Fault::ErrorBefore
                        | Fault::ErrorAfter
                        | Fault::HtmlBefore
                        | Fault::HtmlAfter
                        | Fault::Truncated
                )
            });
        // Each request counts once.
        if has(Fault::Stuck) || has(Fault::Hidden) || after_ms >= LATE_MS {
            fates.late += 1;
        } else if has(Fault::Doubled) || has(Fault::OldAnswer) {
            fates.doubled += 1;
        } else if is_lost {
            fates.lost += 1;
        } else if matches!(reply.status, 401 | 429) {
            fates.turned_away += 1;
        }
        let due = self.ms + after_ms + self.rng.u64(20..400);
        self.answering.push(Answering { due, call, outcome });
    }

    // ---- what is made

    /// A lot of items, as a line writes them down.
    fn make(&mut self) -> Result<(), Over> {
        let at = self.wall();
        let lot = self.rng.u32(1..=self.plan.lot_max);
        let Some(Alive { store, .. }) = &mut self.alive else { return Ok(()) };
        let gtin = Gtin::parse(GTIN.as_bytes()).expect("a GTIN");
        let who = || "operator".to_owned();
        let state = |run, state| Record::RunState { run, state, why: String::new(), who: who(), at };
        let Some(making) = &mut self.making else {
            let level = store.view().issuable(at, self.parts.life_left_ms).map_err(Over::Store)?;
            if self.calm || !level.iter().any(|(g, n)| *g == gtin && *n > 0) {
                return Ok(());
            }
            self.runs += 1;
            let day = Zone::UTC.day_of(at);
            let plan = RunPlan {
                key: format!("day-{}", self.runs),
                gtin,
                group: "water".to_owned(),
                quantity: self.plan.run_codes,
                batch: format!("B-{}", self.runs),
                production: day,
                expiry: Some(tamga_domain::day::Day(day.0 + 365)),
                before_order: false,
            };
            let opened = Record::RunOpened { line: LineNo(0), plan, who: who(), at, gate: None };
            let run = match apply(store, vec![opened])?.pop() {
                Some(Answer::Run(run)) => run,
                other => panic!("a run was opened: {other:?}"),
            };
            apply(store, vec![state(run, RunState::Running)])?;
            self.making = Some(Making { run, left: self.plan.run_codes });
            return Ok(());
        };
        let run = making.run;
        let count = if self.calm { 0 } else { lot.min(making.left) };
        let issue = Record::Issue {
            run,
            printer: PrinterNo(0),
            count,
            life_left_min_ms: self.parts.life_left_ms,
            day_ends: Wall(i64::MAX),
            at,
        };
        let issued = match apply(store, vec![issue])?.pop() {
            Some(Answer::Issued(issued)) => issued,
            other => panic!("codes were asked for: {other:?}"),
        };
        for one in issued {
            self.tag += 1;
            let (tag, code) = (Tag { boot: 1, number: self.tag }, one.code.identity);
            let end = ItemEnd::Passed { code };
            let records = vec![
                Record::Trigger { run, tag, at },
                Record::Verify { run, code, tag, at },
                Record::End { run, tag, end, at },
            ];
            apply(store, records)?;
            making.left -= 1;
        }
        if making.left == 0 || self.calm {
            apply(store, vec![state(run, RunState::Stopped), state(run, RunState::Closed)])?;
            self.making = None;
        }
        Ok(())
    }
}

/// Makes a transaction of the step durable and tells it; the process may be killed in between.
fn commit(
    store: &mut Store,
    way: &mut Way,
    txn: Txn,
    at: (Time, Wall),
    fuse: &mut Option<u64>,
    calls: &mut Vec<Call>,
    trace: &mut Trace,
) -> Result<(), Over> {
    for record in &txn.records {
        trace.say(|| format!("commit {record:?}"));
    }
    burn(fuse)?;
    let answers = store.apply(std::slice::from_ref(&txn)).map_err(Over::Store)?.pop().unwrap_or_default();
    burn(fuse)?;
    way.feed(store, up::Input::Committed { txn: txn.id, answers }, at, fuse, calls)
}

fn apply(store: &mut Store, records: Vec<Record>) -> Result<Vec<Answer>, Over> {
    let txn = Txn { id: TxnId(1), records };
    Ok(store.apply(&[txn]).map_err(Over::Store)?.pop().unwrap_or_default())
}
