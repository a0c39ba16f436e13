//! The levels that lead to orders, and the passes that lead to reports.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::{Config, Level, Product, Progress, RunHead};
use super::core::Core;
use super::passes;
use super::reports::Drafted;
use crate::gs1::Gtin;
use crate::ids::{OrderNo, ReportNo, RunId};
use crate::record::{Answer, OrderPlan, PassRange};
use crate::time::Time;

/// Upstream's limits: codes of an order line, codes of a report.
const ORDER_CODES_MAX: u32 = 150_000;
const REPORT_CODES_MAX: u32 = 30_000;

#[derive(Default)]
struct Pool {
    product: Option<Product>,
    /// `None` until the level was told.
    level: Option<Level>,
    /// The order being made durable.
    making: Option<OrderPlan>,
    not_before: Time,
}

/// The pools of all products.
pub(super) struct Pools {
    pools: BTreeMap<Gtin, Pool>,
    last_po: u32,
}

impl Pools {
    pub fn new(config: &Config, last_po: u32) -> Pools {
        let pool = |p: &Product| (p.gtin, Pool { product: Some(p.clone()), ..Pool::default() });
        Pools { pools: config.products.iter().map(pool).collect(), last_po }
    }

    pub fn level(&mut self, level: Level) {
        self.pools.entry(level.gtin).or_default().level = Some(level);
    }

    /// The life of a code of this product, where the rules know one.
    pub fn code_life(config: &Config, gtin: Gtin) -> Option<Duration> {
        config.products.iter().find(|p| p.gtin == gtin)?.code_life
    }

    /// Counts what a slice brought, until the level is told anew.
    pub fn unpacked(&mut self, gtin: Gtin, answers: &[Answer]) {
        let Some(level) = self.pools.get_mut(&gtin).and_then(|p| p.level.as_mut()) else { return };
        for answer in answers {
            if let Answer::Unpacked { pooled, .. } = answer {
                level.pooled += u64::from(*pooled);
            }
        }
    }

    /// Whether codes should be taken: what is pooled and being unpacked is below what should be there.
    pub fn is_low(&self, config: &Config, gtin: Gtin, unpacking: u64) -> bool {
        let Some(pool) = self.pools.get(&gtin) else { return false };
        pool.level.is_some_and(|l| l.pooled + unpacking < pool.target(config))
    }

    /// An order of this product was refused: the next one waits.
    pub fn refused(&mut self, gtin: Gtin, until: Time) {
        self.pools.entry(gtin).or_default().not_before = until;
    }

    /// Orders to be made now, and when others may be.
    pub fn orders_wanted(
        &mut self,
        core: &Core,
        coming: &BTreeMap<Gtin, u64>,
    ) -> Vec<Result<OrderPlan, Time>> {
        let mut wants = Vec::new();
        for (gtin, pool) in &mut self.pools {
            let target = pool.target(&core.config);
            let (Some(product), Some(level), None) = (&pool.product, &pool.level, &pool.making) else {
                continue;
            };
            if product.order_quantity == 0 || level.pooled + coming.get(gtin).copied().unwrap_or(0) >= target
            {
                continue;
            }
            if core.now < pool.not_before {
                wants.push(Err(pool.not_before));
                continue;
            }
            self.last_po += 1;
            let plan = OrderPlan {
                po_number: format!("{}-{}", core.config.agent, self.last_po),
                gtin: *gtin,
                group: product.group.clone(),
                kind: product.kind,
                quantity: product.order_quantity.clamp(1, ORDER_CODES_MAX),
                release_method: product.release_method.clone(),
                business_place: product.business_place,
                upstream_id: None,
            };
            pool.making = Some(plan.clone());
            wants.push(Ok(plan));
        }
        wants
    }

    /// An order that a person assigned is being made durable; false while another one is.
    pub fn assign(&mut self, plan: &OrderPlan) -> bool {
        let pool = self.pools.entry(plan.gtin).or_default();
        let free = pool.making.is_none();
        if free {
            pool.making = Some(plan.clone());
        }
        free
    }

    /// The intent is durable.
    pub fn made(&mut self, gtin: Gtin, answers: &[Answer]) -> Option<(OrderNo, OrderPlan)> {
        let plan = self.pools.get_mut(&gtin)?.making.take()?;
        answers.iter().find_map(|a| match a {
            Answer::Order(no) => Some((*no, plan.clone())),
            _ => None,
        })
    }
}

impl Pool {
    fn target(&self, config: &Config) -> u64 {
        let low = self.product.as_ref().map_or(0, |p| p.low_water);
        let per_hour = u64::from(self.level.map_or(0, |l| l.per_hour));
        low.max(per_hour.saturating_mul(config.lead.as_secs()) / 3600)
    }
}

struct Run {
    head: RunHead,
    /// Passes that no report carries: as the store told them last, without those drafted since.
    free: Vec<PassRange>,
    closed: bool,
    /// Since when a pass waits for its report.
    since: Option<Time>,
    /// The draft being made durable.
    drafting: Option<Vec<PassRange>>,
}

impl Run {
    /// When its next draft is due; one of a run at a time.
    fn due(&self, core: &Core, most: u32) -> Option<Result<(), Time>> {
        let (Some(since), None) = (self.since, &self.drafting) else { return None };
        let later = since.after(core.config.report_every);
        let enough = passes::count(&self.free) >= most || self.closed || core.now >= later;
        Some(if enough { Ok(()) } else { Err(later) })
    }
}

/// The runs that have passes to report.
#[derive(Default)]
pub(super) struct Runs {
    runs: BTreeMap<RunId, Run>,
    /// The newest report drafted here. Progress that was read before it may call passes free that are carried now.
    newest: Option<ReportNo>,
}

/// A report to be drafted now, or when.
pub(super) struct Draft {
    pub run: RunId,
    pub passes: Vec<PassRange>,
    pub due: Result<(), Time>,
}

impl Runs {
    /// What the store tells of a run. Told while a draft of the run is on its way, it counts without that draft.
    pub fn progress(&mut self, now: Time, p: Progress) {
        if p.newest < self.newest {
            return;
        }
        let (head, closed) = (p.head.clone(), p.closed);
        let new = || Run { head, free: Vec::new(), closed, since: None, drafting: None };
        let run = self.runs.entry(p.run).or_insert_with(new);
        (run.head, run.closed, run.free) = (p.head, p.closed, p.free);
        if !run.free.is_empty() {
            run.since.get_or_insert(now);
        }
    }

    /// The product group of a run that has a draft due.
    pub fn due(&self, core: &Core) -> Option<String> {
        let most = core.config.codes_per_report.clamp(1, REPORT_CODES_MAX);
        let mut due = self.runs.values().filter(|run| run.due(core, most).is_some_and(|due| due.is_ok()));
        due.next().map(|run| run.head.group.clone())
    }

    pub fn drafts(&mut self, core: &Core) -> Vec<Draft> {
        self.runs.retain(|_, r| r.drafting.is_some() || !r.free.is_empty());
        let most = core.config.codes_per_report.clamp(1, REPORT_CODES_MAX);
        let mut drafts = Vec::new();
        for (no, run) in &mut self.runs {
            let Some(due) = run.due(core, most) else { continue };
            let passes = passes::first(&run.free, most);
            if due.is_ok() {
                run.drafting = Some(passes.clone());
                // Passes that this draft does not carry are newer, but for what a limit cut off.
                run.since = Some(core.now);
            }
            drafts.push(Draft { run: *no, passes, due });
        }
        drafts
    }

    /// The draft is durable.
    pub fn drafted(&mut self, run: RunId, answers: &[Answer]) -> Option<Drafted> {
        let side = self.runs.get_mut(&run)?;
        let ranges = side.drafting.take()?;
        side.free = passes::without(&side.free, &ranges);
        if side.free.is_empty() {
            side.since = None;
        }
        self.newest = self.newest.max(answers.iter().find_map(|a| match a {
            Answer::Report(no, _) => Some(*no),
            _ => None,
        }));
        answers.iter().find_map(|a| match a {
            Answer::Report(no, production) => {
                let (head, passes) = (side.head.clone(), ranges.clone());
                Some(Drafted { no: *no, run, head, production: *production, passes })
            }
            _ => None,
        })
    }
}
