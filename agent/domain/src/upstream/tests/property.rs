//! Lost answers, late effects, refusals and restarts in any order; then faults stop and everything must settle.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::config::{Config, OrderFacts, OrderRest, Progress, ReportFacts};
use super::super::passes;
use super::super::request::*;
use super::super::{Effect, Input, Step};
use super::world::*;
use crate::dice::Dice;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

struct World {
    config: Config,
    rng: Dice,
    now: Time,
    step: Step,
    store: Store,
    up: Upstream,
    commits: VecDeque<Txn>,
    requests: VecDeque<(RequestId, Request)>,
    /// Requests whose effect comes late, after their answer was given up.
    late: Vec<(Time, Request)>,
    wake: Option<Time>,
    faults: bool,
    /// Upstream's longest delay.
    delay_max: Duration,
    sold: u64,
    /// What was read of the run some time ago, and is told only now.
    old: Option<Progress>,
}

impl World {
    fn new(seed: u64, config: Config) -> World {
        let mut rng = Dice(seed.wrapping_mul(0x9E37_79B9).wrapping_add(12345));
        let mut up = Upstream::default();
        for _ in 0..rng.below(4) {
            up.unknown_codes.push(PassNo(1 + rng.below(700) as u32));
        }
        let step = Step::new(config.clone(), Box::new(parse), Default::default());
        World {
            config,
            rng,
            now: Time(1_000_000_000),
            step,
            store: Store::default(),
            up,
            commits: VecDeque::new(),
            requests: VecDeque::new(),
            late: Vec::new(),
            wake: None,
            faults: true,
            delay_max: Duration::from_secs(600),
            sold: 0,
            old: None,
        }
    }

    fn wall(&self) -> Wall {
        Wall(START_MS + (self.now.0 / 1_000_000) as i64)
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.step.step(self.now, self.wall(), input, &mut out);
        for effect in out {
            match effect {
                Effect::Request { id, request } => {
                    self.commit_came_first(&request);
                    self.requests.push_back((id, request));
                }
                Effect::Commit(txn) => self.commits.push_back(txn),
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Trouble { .. } | Effect::Cleared { .. } => {}
            }
        }
    }

    /// *Commit, then act*: what leaves is `Sent` on disk.
    fn commit_came_first(&self, request: &Request) {
        match request {
            Request::MakeOrder { plan } => {
                let order = self.store.orders.iter().find(|o| o.plan == *plan).unwrap();
                assert_eq!(order.state, OrderState::Sent);
            }
            Request::CloseOrder { order } => {
                let order = self.store.orders.iter().find(|o| o.upstream_id.as_ref() == Some(order)).unwrap();
                assert_eq!(order.state, OrderState::Closing);
            }
            Request::Apply { passes, .. } => {
                let report = self.store.reports.iter().rfind(|r| r.passes == *passes).unwrap();
                assert_eq!(report.state, ReportState::Sent);
            }
            _ => {}
        }
    }

    fn commit_one(&mut self) -> bool {
        let Some(txn) = self.commits.pop_front() else { return false };
        let answers = self.store.apply(&txn);
        self.feed(Input::Committed { txn: txn.id, answers });
        true
    }

    fn answer_one(&mut self) -> bool {
        let Some((id, request)) = self.requests.pop_front() else { return false };
        let fate = if self.faults { self.rng.below(12) } else { 11 };
        match fate {
            0 => self.feed(Input::Lost { id, sent: false }),
            1 => self.feed(Input::Lost { id, sent: true }),
            2 | 3 => {
                self.up.answer(self.now, self.wall(), &request);
                self.feed(Input::Lost { id, sent: true });
            }
            4 => {
                let delay = Duration::from_millis(self.rng.below(self.delay_max.as_millis() as u64));
                self.late.push((self.now.after(delay), request));
                self.feed(Input::Lost { id, sent: true });
            }
            5 => {
                let said = Reply::NotNow { reason: "limit".into() };
                let retry_after = Some(Duration::from_secs(5));
                let answer = Answered { status: 429, retry_after, server: None, said, kept: None };
                self.feed(Input::Answer { id, answer });
            }
            6 => {
                if self.rng.below(2) == 0 {
                    self.up.answer(self.now, self.wall(), &request);
                }
                let said = Reply::Failed { reason: "page of a gateway".into() };
                let kept = Some(b"<html>".to_vec());
                let answer = Answered { status: 502, retry_after: None, server: None, said, kept };
                self.feed(Input::Answer { id, answer });
            }
            _ => {
                let answer = self.up.answer(self.now, self.wall(), &request);
                self.feed(Input::Answer { id, answer });
            }
        }
        true
    }

    fn pass_time(&mut self, by: Duration) {
        let until = self.now.after(by);
        self.now = self.wake.map_or(until, |w| w.clamp(self.now, until));
        let due: Vec<Request> = self.late.iter().filter(|l| l.0 <= self.now).map(|l| l.1.clone()).collect();
        self.late.retain(|l| l.0 > self.now);
        for request in due {
            self.up.answer(self.now, self.wall(), &request);
        }
        self.up.work(self.now);
        self.feed(Input::Tick);
    }

    /// A crash: some commits under way were durable, some requests under way take effect.
    fn restart(&mut self) {
        let durable = self.rng.below(self.commits.len() as u64 + 1);
        for _ in 0..durable {
            if let Some(txn) = self.commits.pop_front() {
                self.store.apply(&txn);
            }
        }
        self.commits.clear();
        self.old = None;
        for (_, request) in std::mem::take(&mut self.requests) {
            if self.rng.below(2) == 0 {
                self.up.answer(self.now, self.wall(), &request);
            }
        }
        self.wake = None;
        self.config.seed += 1;
        self.step = Step::new(self.config.clone(), Box::new(parse), self.store.snapshot());
        self.tell();
    }

    fn tell(&mut self) {
        let level =
            super::super::config::Level { gtin: gtin(), pooled: self.store.pooled - self.sold, per_hour: 0 };
        self.feed(Input::Wanted(level));
        // Which code is of which order the model does not know: an order that is unpacked may be spent.
        let rests = self.store.orders.iter().filter(|o| o.state == OrderState::Exhausted);
        let rest = |o: &OrderFacts| OrderRest {
            order: o.order,
            pooled: 0,
            closed: false,
            expires: None,
            spent: true,
        };
        let rests = rests.map(rest).collect();
        self.feed(Input::Rests(rests));
        if self.store.passed_to > 0 {
            // A look at the store takes its time: commits may come in between.
            if let Some(old) = self.old.take() {
                self.feed(Input::Progress(old));
            }
            let now = self.store.progress();
            if self.rng.below(4) == 0 {
                self.old = Some(now);
            } else {
                self.feed(Input::Progress(now));
            }
        }
    }

    /// Items are made from codes of the pool.
    fn produce(&mut self, closed: bool) {
        let made = self.rng.below(80).min(self.store.pooled - self.sold);
        self.sold += made;
        self.store.passed_to += made as u32;
        self.store.run_closed |= closed;
        self.tell();
    }

    fn one(&mut self) {
        match self.rng.below(400) {
            0..=139 => drop(self.commit_one()),
            140..=259 => drop(self.answer_one()),
            260..=349 => {
                let by = Duration::from_millis(1 + self.rng.below(60_000));
                self.pass_time(by);
            }
            350..=397 => self.produce(false),
            _ => self.restart(),
        }
        self.check_sometimes();
    }

    /// The check costs more than the step; what it finds does not go away by itself.
    fn check_sometimes(&mut self) {
        if self.rng.below(32) == 0 {
            self.check();
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let mut by_number: BTreeMap<&str, u32> = BTreeMap::new();
        for order in &self.up.orders {
            *by_number.entry(&order.po).or_default() += 1;
        }
        assert!(by_number.values().all(|n| *n == 1), "an order was made twice: {by_number:?}");
        assert!(self.up.applied.values().all(|n| *n == 1));
        for o in self.store.orders.iter().filter(|o| o.state == OrderState::Closed) {
            let id = o.upstream_id.as_ref().unwrap();
            assert!(self.up.orders[id[1..].parse::<usize>().unwrap()].closed, "{id} is not closed upstream");
        }
        for r in self.store.reports.iter().filter(|r| r.state == ReportState::Accepted) {
            for p in passes::each(&r.passes) {
                assert!(self.up.applied.contains_key(&(r.run, p)), "{p} is not applied upstream");
            }
        }
        for facts in self.store.orders.iter().filter(|o| o.upstream_id.is_some()) {
            let id = facts.upstream_id.as_ref().unwrap();
            let upstream = &self.up.orders[id[1..].parse::<usize>().unwrap()].packs;
            let here: Vec<&String> = facts.packs.iter().map(|p| &p.pack_id).collect();
            let there: Vec<&String> = upstream.iter().map(|p| &p.0).collect();
            assert!(there.starts_with(&here) && there.len() <= here.len() + 1, "{here:?} {there:?}");
        }
    }

    /// Faults stop: production goes on, and everything must settle.
    fn settle(&mut self) {
        self.faults = false;
        let wanted = self.store.passed_to + 150;
        for _ in 0..10_000 {
            if !(self.commit_one() || self.answer_one()) {
                self.pass_time(Duration::from_secs(60));
                self.produce(self.store.passed_to >= wanted);
            }
            if self.store.run_closed {
                break;
            }
        }
        for _ in 0..40_000 {
            if !(self.commit_one() || self.answer_one()) {
                self.pass_time(Duration::from_secs(60));
                self.tell();
            }
            self.check_sometimes();
            if self.settled() {
                self.check();
                return;
            }
        }
        let end = |r: &&ReportFacts| !matches!(r.state, ReportState::Accepted | ReportState::Refused);
        let open: Vec<_> =
            self.store.reports.iter().filter(end).map(|r| (r.report, &r.passes, &r.state)).collect();
        panic!("not settled at {:?}, wake {:?}: {:?} {open:?}", self.now, self.wake, self.step.status());
    }

    fn settled(&self) -> bool {
        let carried = |p: PassNo| {
            let applied = self.up.applied.contains_key(&(RunId(1), p));
            let named = self.store.unresolved.iter().any(|u| u.1 == p);
            assert!(!(applied && named && !self.up.unknown_codes.contains(&p)));
            applied || named
        };
        let done = |s: &ReportState| matches!(s, ReportState::Accepted | ReportState::Refused);
        let status = self.step.status();
        self.commits.is_empty()
            && self.requests.is_empty()
            && status.unknown == 0
            && status.open_reports == 0
            && self.store.reports.iter().all(|r| done(&r.state))
            && self
                .store
                .orders
                .iter()
                .all(|o| !matches!(o.state, OrderState::Exhausted | OrderState::Closing))
            && (1..=self.store.passed_to).map(PassNo).all(carried)
            && self.store.pooled - self.sold >= self.config.products[0].low_water
    }
}

fn run(seed: u64, config: Config) {
    let mut world = World::new(seed, config);
    world.tell();
    for _ in 0..3000 {
        world.one();
    }
    world.settle();
}

#[test]
fn every_report_takes_effect_once_and_no_order_is_made_twice_and_no_block_is_skipped() {
    for seed in 0..100 {
        let outcome = std::panic::catch_unwind(|| run(seed, config()));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// The checker can fail: without the settling time, late effects make orders twice.
#[test]
fn without_the_settling_time_an_order_is_made_twice() {
    let hasty = Config { settle_min: Duration::ZERO, looks_min: 1, ..config() };
    let caught = (0..40).any(|seed| {
        let failed = std::panic::catch_unwind(|| run(seed, hasty.clone()));
        failed.is_err_and(|e| e.downcast_ref::<String>().is_some_and(|s| s.contains("made twice")))
    });
    assert!(caught);
}
