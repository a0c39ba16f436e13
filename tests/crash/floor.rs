//! The operator, who makes run after run, whatever becomes of the agent; and what a moment to strike is told by.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tamga_simulators::model::xtrace::route::Endpoint;
use tokio::time::Instant;

use super::agent::Agent;
use super::look::{Acks, NEWEST};
use super::moments::After;
use super::table::Table;
use super::world::operator::{Deeds, Operator};
use super::world::{self, GTIN, World, until};

/// A moment that does not come within this is struck all the same: the plan must end.
const MOMENT_MAX: Duration = Duration::from_secs(40);

/// A run of four seconds, a restart or two in it, on a machine that others use too.
const RUN_MAX: Duration = Duration::from_secs(300);

/// Reports are drafted every five seconds and an unknown one is looked for during twelve; a loaded machine is slower.
const SETTLE_MAX: Duration = Duration::from_secs(180);

/// The state system refuses a production date that is before the order of a code. So a run is opened over a pool that
/// lasts to its end, every kill in it included; what is ordered meanwhile is for the next run.
pub const POOL_MIN: u32 = 240;

pub struct Floor<'w> {
    pub world: &'w World,
    pub operator: &'w Operator,
    quantity: u32,
    opened: Mutex<Vec<u64>>,
    asked: AtomicU64,
    closes: AtomicU64,
    struck_all: AtomicBool,
    table: Option<&'w Table>,
}

/// What the operator did.
#[derive(Debug, Default)]
pub struct Work {
    pub runs: Vec<u64>,
    pub deeds: Deeds,
}

/// The counters of the world that moments are told by.
struct Seen {
    asked: u64,
    closes: u64,
    labels: u64,
    passed: u64,
    ordered: u64,
    pulled: u64,
    reported: u64,
    report_asked: u64,
    documents: u64,
    scans: u64,
    pack_labels: u64,
}

impl<'w> Floor<'w> {
    pub fn new(world: &'w World, operator: &'w Operator, quantity: u32) -> Floor<'w> {
        let (asked, closes) = (AtomicU64::new(0), AtomicU64::new(0));
        let (opened, struck_all) = (Mutex::default(), AtomicBool::new(false));
        Floor { world, operator, quantity, opened, asked, closes, struck_all, table: None }
    }

    /// With a packing table behind the gate.
    pub fn with(self, table: &'w Table) -> Floor<'w> {
        Floor { table: Some(table), ..self }
    }

    /// Makes runs until nobody will kill the agent any more.
    pub async fn work(&self) -> Work {
        let mut work = Work::default();
        loop {
            let last = self.struck_all.load(Ordering::Relaxed);
            let run = self.open(work.runs.len()).await;
            self.produce(run, &mut work.deeds).await;
            self.close(run, &mut work.deeds).await;
            work.runs.push(run);
            if last {
                return work;
            }
        }
    }

    /// Opens a run. The answer may be lost with the agent: the key makes it safe to ask again.
    async fn open(&self, no: usize) -> u64 {
        until("codes for a run", RUN_MAX, async || {
            self.operator.pooled(GTIN).await.filter(|codes| *codes >= u64::from(POOL_MIN))
        })
        .await;
        let (production, expiry) = world::dates();
        let body = json!({ "key": format!("crash-{no}"), "gtin": GTIN, "quantity": self.quantity,
            "batch": format!("B-{no}"), "production": production, "expiry": expiry });
        let run = until("a run to be opened", RUN_MAX, async || {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let opened = self.operator.call(Method::POST, "/api/v1/lines/l1/run", Some(body.clone())).await;
            opened.ok()?["opened"]["run"].as_u64()
        })
        .await;
        self.lock_opened().push(run);
        run
    }

    async fn produce(&self, run: u64, deeds: &mut Deeds) {
        until("the quantity to pass", RUN_MAX, async || {
            let line = self.operator.line().await?;
            if line["run"]["run"] != run {
                return None;
            }
            if line["run"]["passed"].as_u64()? >= u64::from(self.quantity) {
                return Some(());
            }
            self.tend(&line, deeds).await;
            None
        })
        .await;
    }

    /// Lets a line that stands run on, after a look at it.
    async fn tend(&self, line: &Value, deeds: &mut Deeds) {
        let Some(why) = line["stopped_by"]["key"].as_str() else { return };
        self.operator.declare_unknown(line, &self.world.plant.truth(), deeds).await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.operator.resume().await.is_ok() {
            *deeds.resumed.entry(why.to_owned()).or_default() += 1;
        }
    }

    async fn close(&self, run: u64, deeds: &mut Deeds) {
        until("the run to close", RUN_MAX, async || {
            let line = self.operator.line().await?;
            if line["run"]["run"] != run {
                return Some(());
            }
            self.operator.declare_unknown(&line, &self.world.plant.truth(), deeds).await;
            self.closes.fetch_add(1, Ordering::Relaxed);
            drop(self.operator.close().await);
            None
        })
        .await;
    }

    /// Nobody strikes any more: the run that is open is the last.
    pub fn struck_all(&self) {
        self.struck_all.store(true, Ordering::Relaxed);
    }

    /// What people and devices were told up to now.
    pub fn acks(&self) -> Acks {
        let table = self.table.map(|table| table.told(NEWEST)).unwrap_or_default();
        Acks { table, ..Acks::of(&self.world.plant.truth(), self.lock_opened().clone()) }
    }

    fn lock_opened(&self) -> MutexGuard<'_, Vec<u64>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what the moment comes after; false when it did not come in time.
    pub async fn comes(&self, after: After, agent: &Agent) -> bool {
        let then = self.seen();
        let give_up = Instant::now() + MOMENT_MAX;
        let mut look = tokio::time::interval(Duration::from_millis(2));
        loop {
            agent.must_live();
            let now = self.seen();
            let is_there = match after {
                After::Start => true,
                // There is something to wait for once labels are printed.
                After::AskedToEnd => now.labels >= then.labels + 3,
                After::Asked => now.asked > then.asked,
                After::Labels(n) => now.labels >= then.labels + n,
                After::Passed(n) => now.passed >= then.passed + n,
                After::Ordered => now.ordered > then.ordered,
                After::Pulled => now.pulled > then.pulled,
                After::Reported => now.reported > then.reported,
                After::ReportAsked => now.report_asked > then.report_asked,
                After::Document => now.documents > then.documents,
                After::Closed => now.closes > then.closes,
                After::Scans(n) => now.scans >= then.scans + n,
                After::PackLabels(n) => now.pack_labels >= then.pack_labels + n,
            };
            if is_there || Instant::now() > give_up {
                return is_there;
            }
            look.tick().await;
        }
    }

    fn seen(&self) -> Seen {
        let plant = self.world.plant.summary();
        let upstream = self.world.upstream.summary();
        let requests = |e: Endpoint| upstream.requests.get(&e).copied().unwrap_or(0);
        Seen {
            asked: self.asked.load(Ordering::Relaxed),
            closes: self.closes.load(Ordering::Relaxed),
            labels: plant.labels_printed,
            passed: plant.passed,
            ordered: requests(Endpoint::OrderCreate),
            pulled: requests(Endpoint::Codes),
            reported: requests(Endpoint::UtilisationCreate),
            report_asked: requests(Endpoint::Utilisation),
            documents: requests(Endpoint::DocumentCreate),
            scans: self.table.map_or(0, Table::scans),
            pack_labels: self.table.map_or(0, Table::labels),
        }
    }
}

/// Waits until every passed item of every run is applied, no report is open, and nothing is under way upstream.
pub async fn settled(operator: &Operator, agent: &Agent, runs: &[u64]) {
    until("the reports to be settled", SETTLE_MAX, async || {
        agent.must_live();
        for run in runs {
            let sheet = operator.sheet(*run).await.ok()?;
            if sheet["codes"]["applied"] != sheet["items"]["codes_passed"] {
                return None;
            }
        }
        let full = operator.upstream().await?;
        let (upstream, pool) = (&full["upstream"], &full["pool"][0]);
        let quiet = upstream["open_reports"] == 0 && upstream["unknown"] == 0;
        // Over its low-water mark nothing is ordered and nothing pulled: the rest of an order waits upstream.
        (quiet && pool["codes"].as_u64()? >= u64::from(POOL_MIN)).then_some(())
    })
    .await;
}
