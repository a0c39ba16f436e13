//! Books in memory: enough of the store for the upstream side.

use std::sync::{Mutex, MutexGuard};

use tamga::upstream::books::{Books, BooksError, Standing};
use tamga_domain::code::Code;
use tamga_domain::day::Day;
use tamga_domain::document::{Piece, Waiting};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, DocumentNo, OrderNo, PassNo, ReportNo, RunId};
use tamga_domain::record::{Answer, OrderState, PassRange, Record, ReportState, Txn, Unpacked};
use tamga_domain::time::Wall;
use tamga_domain::upstream::config::{Level, OrderRest, Progress, RunHead, Snapshot};
use tokio::sync::watch;

/// 2026-01-29T21:30:00Z: half past two of the next day in the plant.
pub const PRODUCTION: Wall = Wall(1_769_722_200_000);
/// 2027-01-30
const EXPIRY: Day = Day(20_848);

#[derive(Default)]
pub struct Pages {
    /// All orders are used up.
    pub spent: bool,
    pub orders: Vec<OrderPage>,
    pub reports: Vec<ReportPage>,
    pub blocks: u32,
    pub pooled: Vec<Code>,
    pub set_aside: u32,
    pub kept: Vec<Vec<u8>>,
    /// Keys of raised alarms.
    pub alarms: Vec<String>,
    passed_to: u32,
    used: usize,
    hold_levels: bool,
}

#[derive(Clone)]
pub struct OrderPage {
    pub states: Vec<OrderState>,
    packs: Vec<String>,
}

pub struct ReportPage {
    pub state: ReportState,
    pub upstream_id: Option<String>,
    passes: Vec<PassRange>,
}

impl Pages {
    pub fn states(&self) -> String {
        let orders: Vec<_> = self.orders.iter().map(|o| &o.states).collect();
        let reports: Vec<_> = self.reports.iter().map(|r| (&r.state, &r.passes)).collect();
        format!("{orders:?} {reports:?} pooled {}", self.pooled.len())
    }
}

pub struct Fake {
    pages: Mutex<Pages>,
    pub changes: watch::Sender<u64>,
}

impl Default for Fake {
    fn default() -> Fake {
        Fake { pages: Mutex::default(), changes: watch::channel(0).0 }
    }
}

impl Fake {
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap()
    }

    /// More items passed.
    pub fn pass(&self, count: u32) {
        self.pages().passed_to += count;
    }

    /// The lines have used all codes that are pooled.
    pub fn drain(&self) {
        let mut pages = self.pages();
        pages.used = pages.pooled.len();
    }

    pub fn hold_levels(&self, hold: bool) {
        self.pages().hold_levels = hold;
    }
}

impl Books for Fake {
    async fn commit(&self, txn: Txn) -> Result<Vec<Answer>, BooksError> {
        let answers = {
            let mut pages = self.pages();
            txn.records.iter().filter_map(|r| record(&mut pages, r)).collect()
        };
        self.changes.send_modify(|n| *n += 1);
        Ok(answers)
    }

    async fn codes_of_passes(
        &self,
        _run: RunId,
        passes: Vec<PassRange>,
    ) -> Result<Vec<(PassNo, Code)>, BooksError> {
        let pages = self.pages();
        let each = passes.iter().flat_map(|r| r.from.0..=r.to.0);
        Ok(each.map(|p| (PassNo(p), pages.pooled[p as usize - 1].clone())).collect())
    }

    async fn pieces(&self, _document: DocumentNo, _only: Option<Vec<u32>>) -> Result<Vec<Piece>, BooksError> {
        Ok(Vec::new())
    }

    async fn snapshot(&self) -> Result<Snapshot, BooksError> {
        let told = self.pages().alarms.clone();
        Ok(Snapshot { told, ..Snapshot::default() })
    }

    async fn standing(&self) -> Result<Standing, BooksError> {
        let pages = self.pages();
        let gtin = Gtin::parse(super::GTIN.as_bytes()).unwrap();
        let level = Level { gtin, pooled: (pages.pooled.len() - pages.used) as u64, per_hour: 0 };
        let levels = if pages.hold_levels { vec![] } else { vec![level] };
        let reported = pages.reports.iter().flat_map(|r| &r.passes).map(|r| r.to.0).max().unwrap_or(0);
        let head = RunHead { group: "water".into(), batch: "L1".into(), expiry: Some(EXPIRY) };
        let free = vec![PassRange { from: PassNo(reported + 1), to: PassNo(pages.passed_to) }];
        let newest = (pages.reports.len() as u32).checked_sub(1).map(ReportNo);
        let run = Progress { run: RunId(1), head, free, newest, closed: false };
        let runs = if pages.passed_to > reported { vec![run] } else { vec![] };
        let rest = |n: usize| OrderRest {
            order: OrderNo(n as u32),
            pooled: 0,
            closed: false,
            expires: None,
            spent: true,
        };
        let orders = if pages.spent { (0..pages.orders.len()).map(rest).collect() } else { vec![] };
        Ok(Standing { levels, runs, orders, waiting: Waiting::default() })
    }
}

fn record(pages: &mut Pages, record: &Record) -> Option<Answer> {
    match record {
        Record::OrderWanted { .. } => {
            pages.orders.push(OrderPage { states: vec![OrderState::Wanted], packs: vec![] });
            Some(Answer::Order(OrderNo(pages.orders.len() as u32 - 1)))
        }
        Record::OrderState { order, state, .. } => {
            pages.orders[order.0 as usize].states.push(state.clone());
            None
        }
        Record::Block { order, pack_id, .. } => {
            let packs = &mut pages.orders[order.0 as usize].packs;
            assert!(!packs.contains(pack_id));
            packs.push(pack_id.clone());
            pages.blocks += 1;
            Some(Answer::Block(BlockNo(pages.blocks)))
        }
        Record::Unpack { slice, .. } => {
            let before = pages.pooled.len();
            for unpacked in slice {
                match unpacked {
                    Unpacked::Code(code) => pages.pooled.push(code.clone()),
                    Unpacked::Malformed { .. } => pages.set_aside += 1,
                }
            }
            let pooled = (pages.pooled.len() - before) as u32;
            Some(Answer::Unpacked { pooled, set_aside: slice.len() as u32 - pooled })
        }
        Record::ReportDrafted { passes, .. } => {
            pages.reports.push(ReportPage {
                state: ReportState::Wanted,
                upstream_id: None,
                passes: passes.clone(),
            });
            Some(Answer::Report(ReportNo(pages.reports.len() as u32 - 1), PRODUCTION))
        }
        Record::ReportState { report, state, .. } => {
            let report = &mut pages.reports[report.0 as usize];
            if let ReportState::Processing { upstream_id } = state {
                report.upstream_id = Some(upstream_id.clone());
            }
            report.state = state.clone();
            None
        }
        Record::AlarmRaised { key, .. } => {
            pages.alarms.push(key.clone());
            None
        }
        Record::AlarmCleared { key, .. } => {
            pages.alarms.retain(|raised| raised != key);
            None
        }
        Record::AnswerKept { body, .. } => {
            pages.kept.push(body.clone());
            None
        }
        _ => None,
    }
}
