//! A step whose commits are durable at once, and whose requests wait for the test to answer them.

use std::time::Duration;

use super::super::config::*;
use super::super::request::*;
use super::super::{Effect, Input, Step};
use super::world::*;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

/// The step, its store, and what it asked and told.
pub struct Script {
    pub step: Step,
    pub store: Store,
    pub now: Time,
    pub asked: Vec<(RequestId, Request)>,
    pub told: Vec<(&'static str, String)>,
    /// Troubles that were told and are not over.
    pub troubles: std::collections::BTreeSet<(&'static str, String)>,
    pub records: Vec<Record>,
    pub wake: Time,
}

impl Script {
    pub fn new(config: Config, snapshot: Snapshot) -> Script {
        let step = Step::new(config, Box::new(parse), snapshot);
        Script {
            step,
            store: Store::default(),
            now: Time(0),
            asked: vec![],
            told: vec![],
            troubles: Default::default(),
            records: vec![],
            wake: Time(0),
        }
    }

    /// With an order in the given state, known upstream as `o0`.
    pub fn with_order(state: OrderState, packs: &[&str], change: impl Fn(&mut Snapshot)) -> Script {
        let plan = OrderPlan {
            po_number: "A1-1".into(),
            gtin: gtin(),
            group: "water".into(),
            kind: PackageKind::Unit,
            quantity: 1000,
            release_method: "PRIMARY".into(),
            business_place: None,
            upstream_id: None,
        };
        let ids = [None].into_iter().chain(packs.iter().map(|p| Some(p.to_string())));
        let pack = |(p, previous): (&&str, Option<String>)| PackFacts {
            pack_id: p.to_string(),
            previous,
            count: 100,
        };
        let packs = packs.iter().zip(ids).map(pack).collect();
        let facts = OrderFacts { order: OrderNo(0), plan, state, upstream_id: Some("o0".into()), packs };
        let mut snapshot = Snapshot { orders: vec![facts.clone()], last_po: 1, ..Snapshot::default() };
        change(&mut snapshot);
        let mut script = Script::new(config(), snapshot);
        script.store.orders.push(facts);
        script
    }

    pub fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = vec![];
            let wall = Wall(START_MS + (self.now.0 / 1_000_000) as i64);
            // As in the shell: a step that names no moment waits for an input.
            self.wake = Time(u64::MAX);
            self.step.step(self.now, wall, input, &mut out);
            for effect in out {
                match effect {
                    Effect::Request { id, request } => self.asked.push((id, request)),
                    Effect::Commit(txn) => {
                        self.records.extend(txn.records.clone());
                        let answers = self.store.apply(&txn);
                        inputs.push(Input::Committed { txn: txn.id, answers });
                    }
                    Effect::Wake(at) => self.wake = at,
                    Effect::Trouble { key, about, .. } => {
                        self.troubles.insert((key, about.clone()));
                        self.told.push((key, about));
                    }
                    Effect::Cleared { key, about } => drop(self.troubles.remove(&(key, about))),
                }
            }
        }
    }

    /// The next request, which must come within the time.
    pub fn next(&mut self, within: Duration) -> Option<(RequestId, Request)> {
        let end = self.now.after(within);
        self.feed(Input::Tick);
        while self.asked.is_empty() && self.now < end {
            self.now = self.wake.clamp(self.now.after(Duration::from_millis(1)), end);
            self.feed(Input::Tick);
        }
        (!self.asked.is_empty()).then(|| self.asked.remove(0))
    }

    #[track_caller]
    pub fn expect(&mut self, name: &str) -> (RequestId, Request) {
        let (id, request) = self.next(Duration::from_secs(1200)).unwrap();
        assert_eq!(request.name(), name, "{request:?}");
        (id, request)
    }

    pub fn answer(&mut self, id: RequestId, said: Reply) {
        self.answer_with(id, 200, said);
    }

    pub fn answer_with(&mut self, id: RequestId, status: u16, said: Reply) {
        let server = Some(Wall(START_MS + (self.now.0 / 1_000_000) as i64));
        let answer = Answered { status, retry_after: None, server, said, kept: None };
        self.feed(Input::Answer { id, answer });
    }

    /// The one look at the start of a step that needs nothing.
    #[track_caller]
    pub fn greeted(&mut self) {
        let (id, _) = self.expect("clock");
        self.answer(id, Reply::Clock);
    }

    pub fn level(&mut self, pooled: u64) {
        self.feed(Input::Wanted(Level { gtin: gtin(), pooled, per_hour: 0 }));
    }

    pub fn passes(&mut self, to: u32, production: Wall) {
        self.store.production = Some(production);
        let (free, newest) = (self.store.free(to), self.store.reports.last().map(|r| r.report));
        let progress = Progress { run: RunId(1), head: head(), free, newest, closed: true };
        self.feed(Input::Progress(progress));
    }

    pub fn order_state(&self) -> &OrderState {
        &self.store.orders[0].state
    }
}
