//! A tiny upstream and a tiny store, to attack the step with lost answers, late effects and restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::config::*;
use super::super::request::*;
use crate::code::{Code, Identity, Serial, Tail};
use crate::gs1::Gtin;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

pub const GTIN: &[u8; 14] = b"04780012960016";
/// Production time of all runs: long past for the model's clock.
pub const START_MS: i64 = 1_780_000_000_000;

pub fn gtin() -> Gtin {
    Gtin::parse(GTIN).unwrap()
}

pub fn config() -> Config {
    Config {
        products: vec![Product {
            gtin: gtin(),
            group: "water".into(),
            kind: PackageKind::Unit,
            release_method: "PRIMARY".into(),
            business_place: Some(7),
            low_water: 300,
            order_quantity: 1000,
            codes_per_block: 250,
            code_life: None,
        }],
        codes_per_report: 100,
        codes_per_lookup: 40,
        report_every: Duration::from_secs(600),
        settle_min: Duration::from_secs(900),
        first_within: Duration::from_millis(10),
        ..Config::new("A1", 7)
    }
}

pub fn head() -> RunHead {
    RunHead { group: "water".into(), batch: "L1".into(), expiry: None }
}

/// The moment of production of all reports of the model's store: an hour before its clock begins.
pub const PRODUCTION: Wall = Wall(START_MS - 3_600_000);

/// Codes of the model are `<serial>`; those that begin with `!` are malformed.
pub fn parse(_group: &str, raw: &[u8]) -> Result<Code, String> {
    if raw.first() == Some(&b'!') {
        return Err("malformed".into());
    }
    let serial = Serial::new(raw).map_err(|e| e.to_string())?;
    let tail = Tail::new(b"tail").map_err(|e| e.to_string())?;
    Ok(Code { identity: Identity { gtin: gtin(), serial }, tail })
}

#[derive(Clone, Debug)]
pub struct UpOrder {
    pub po: String,
    pub quantity: u32,
    pub made: Time,
    pub closed: bool,
    pub packs: Vec<(String, Vec<Vec<u8>>)>,
}

impl UpOrder {
    fn passed(&self) -> u64 {
        self.packs.iter().map(|p| p.1.len() as u64).sum()
    }
}

#[derive(Clone, Debug)]
pub struct UpReport {
    pub run: RunId,
    pub passes: Vec<PassNo>,
    pub made: Time,
    /// Decided when its time of processing is over.
    pub good: Option<bool>,
}

/// The state system.
#[derive(Default)]
pub struct Upstream {
    pub orders: Vec<UpOrder>,
    pub reports: Vec<UpReport>,
    /// Passes applied, and how many times.
    pub applied: BTreeMap<(RunId, PassNo), u32>,
    /// Passes whose codes upstream does not know.
    pub unknown_codes: Vec<PassNo>,
}

const WORK: Duration = Duration::from_secs(20);

impl Upstream {
    /// Brings what is being worked on up to `now`.
    pub fn work(&mut self, now: Time) {
        for r in &mut self.reports {
            if r.good.is_none() && now >= r.made.after(WORK) {
                let fresh =
                    |p: &PassNo| !self.applied.contains_key(&(r.run, *p)) && !self.unknown_codes.contains(p);
                let good = r.passes.iter().all(fresh);
                if good {
                    for p in &r.passes {
                        *self.applied.entry((r.run, *p)).or_default() += 1;
                    }
                }
                r.good = Some(good);
            }
        }
    }

    pub fn answer(&mut self, now: Time, wall: Wall, request: &Request) -> Answered {
        self.work(now);
        let said = match request {
            Request::MakeOrder { plan } => {
                let (po, quantity) = (plan.po_number.clone(), plan.quantity);
                self.orders.push(UpOrder { po, quantity, made: now, closed: false, packs: Vec::new() });
                Reply::OrderMade { upstream_id: format!("o{}", self.orders.len() - 1) }
            }
            Request::FindOrders { by, .. } => {
                let seen = self.orders.iter().enumerate().map(|(i, o)| OrderSeen {
                    upstream_id: format!("o{i}"),
                    po_number: o.po.clone(),
                    status: if o.closed { OrderStatus::Closed } else { OrderStatus::Ready },
                    reason: String::new(),
                });
                let fits = |o: &OrderSeen| match by {
                    OrderKey::PoNumber(po) => o.po_number == *po,
                    OrderKey::UpstreamId(id) => o.upstream_id == *id,
                };
                Reply::Orders { seen: seen.filter(fits).collect(), whole: true }
            }
            Request::SubOrder { order, .. } => Reply::SubOrder(Some(self.line(now, order))),
            Request::Block { order, quantity, last_pack, .. } => {
                self.block(order, *quantity, last_pack.as_deref())
            }
            Request::Packs { order, .. } => {
                let pack = |p: &(String, Vec<Vec<u8>>)| PackSeen {
                    pack_id: p.0.clone(),
                    count: p.1.len() as u32,
                    made: None,
                };
                Reply::Packs(self.order(order).packs.iter().map(pack).collect())
            }
            Request::CloseOrder { order } => {
                let order = self.order(order);
                assert_eq!(order.passed(), u64::from(order.quantity), "codes would be annulled");
                order.closed = true;
                Reply::OrderClosed
            }
            Request::Apply { run, passes, head } => {
                let passes = super::super::passes::each(passes).collect();
                assert!(head.own_number.starts_with("A1-R"));
                self.reports.push(UpReport { run: *run, passes, made: now, good: None });
                Reply::ReportMade { upstream_id: format!("r{}", self.reports.len() - 1) }
            }
            Request::Report { upstream_id, .. } => {
                let report = &self.reports[upstream_id[1..].parse::<usize>().unwrap()];
                let (status, reason) = match report.good {
                    None => (ReportStatus::InProcess, ""),
                    Some(true) => (ReportStatus::Success, ""),
                    Some(false) => (ReportStatus::Error, "a code is not RECEIVED"),
                };
                Reply::Report { status, reason: reason.into() }
            }
            Request::Codes { run, passes, .. } => {
                let status = |p: PassNo| match self.applied.contains_key(&(*run, p)) {
                    true => CodeStatus::Applied,
                    false if self.unknown_codes.contains(&p) => CodeStatus::Missing,
                    false => CodeStatus::Received,
                };
                let seen = super::super::passes::each(passes).map(|p| (p, status(p))).collect();
                Reply::Codes { seen, applied_by: None }
            }
            Request::Documents { .. } => {
                let doc = |(i, r): (usize, &UpReport)| DocumentSeen {
                    id: format!("r{i}"),
                    done: r.good.is_some(),
                    created: Some(Wall(START_MS + (r.made.0 / 1_000_000) as i64)),
                };
                Reply::Documents { seen: self.reports.iter().enumerate().map(doc).collect(), next: None }
            }
            Request::Clock { .. } => Reply::Clock,
            Request::SendDocument { .. }
            | Request::Document { .. }
            | Request::DocumentBody { .. }
            | Request::DocumentErrors { .. }
            | Request::Pieces { .. } => panic!("no packs here: {request:?}"),
        };
        Answered { status: 200, retry_after: None, server: Some(wall), said, kept: None }
    }

    fn order(&mut self, id: &str) -> &mut UpOrder {
        &mut self.orders[id[1..].parse::<usize>().unwrap()]
    }

    fn line(&mut self, now: Time, id: &str) -> SubOrder {
        let order = self.order(id);
        let (total, passed) = (u64::from(order.quantity), order.passed());
        let status = match now < order.made.after(WORK) {
            true => BufferStatus::Pending,
            false if order.closed => BufferStatus::Closed,
            false if passed == total => BufferStatus::Exhausted,
            false => BufferStatus::Active,
        };
        SubOrder {
            status,
            total,
            left: total - passed,
            passed,
            reason: String::new(),
            expires: None,
            created: None,
        }
    }

    /// Rules 1 to 4 of `lastPackId`.
    fn block(&mut self, id: &str, quantity: u32, last_pack: Option<&str>) -> Reply {
        let order = self.order(id);
        let at = match last_pack {
            None => 0,
            Some(p) => order.packs.iter().position(|x| x.0 == p).map_or(usize::MAX, |i| i + 1),
        };
        if at == usize::MAX {
            return Reply::Refused { reason: "unknown pack".into() };
        }
        if at == order.packs.len() {
            let first = order.passed();
            let count = u64::from(quantity).min(u64::from(order.quantity) - first);
            // One code in fifty is malformed.
            let code = |n: u64| match n % 50 {
                49 => format!("!{id}n{n}").into_bytes(),
                _ => format!("{id}n{n}").into_bytes(),
            };
            order.packs.push((format!("{id}p{at}"), (first..first + count).map(code).collect()));
        }
        let (pack_id, codes) = order.packs[at].clone();
        Reply::Block { pack_id, body: codes.concat(), codes }
    }
}

/// What is on disk.
#[derive(Default)]
pub struct Store {
    pub orders: Vec<OrderFacts>,
    pub blocks: Vec<BlockFacts>,
    pub reports: Vec<ReportFacts>,
    pub unresolved: Vec<(ReportNo, PassNo)>,
    pub passed_to: u32,
    pub run_closed: bool,
    /// The moment of production of the next report, if it is not [`PRODUCTION`].
    pub production: Option<Wall>,
    /// Codes given back.
    pub returned: u64,
    pub pooled: u64,
    pub set_aside: u64,
}

impl Store {
    pub fn apply(&mut self, txn: &Txn) -> Vec<Answer> {
        txn.records.iter().filter_map(|r| self.record(r)).collect()
    }

    fn record(&mut self, record: &Record) -> Option<Answer> {
        match record {
            Record::OrderWanted { order, .. } => {
                assert!(
                    self.orders.iter().all(|o| o.plan.po_number != order.po_number),
                    "number given twice"
                );
                let no = OrderNo(self.orders.len() as u32);
                let (plan, state) = (order.clone(), OrderState::Wanted);
                self.orders.push(OrderFacts { order: no, plan, state, upstream_id: None, packs: Vec::new() });
                Some(Answer::Order(no))
            }
            Record::OrderState { order, state, .. } => {
                if let OrderState::Accepted { upstream_id } = state {
                    let other =
                        |o: &&OrderFacts| o.order != *order && o.upstream_id.as_ref() == Some(upstream_id);
                    if let Some(other) = self.orders.iter().find(other) {
                        return Some(Answer::IdTaken(other.order));
                    }
                }
                let order = &mut self.orders[order.0 as usize];
                if let OrderState::Accepted { upstream_id } = state {
                    order.upstream_id = Some(upstream_id.clone());
                }
                order.state = state.clone();
                None
            }
            Record::Block { order, pack_id, previous, count, body, .. } => {
                let facts = &mut self.orders[order.0 as usize];
                let here = facts.packs.iter().position(|p| p.pack_id == *pack_id);
                assert!(here.is_none(), "the step gives no block twice");
                assert_eq!(*previous, facts.packs.last().map(|p| p.pack_id.clone()), "no block skipped");
                let pack = PackFacts { pack_id: pack_id.clone(), previous: previous.clone(), count: *count };
                facts.packs.push(pack);
                let block = BlockNo(self.blocks.len() as u32);
                let codes = split(body, *count);
                let group = facts.plan.group.clone();
                self.blocks.push(BlockFacts {
                    block,
                    gtin: gtin(),
                    group,
                    codes,
                    unpacked: 0,
                    as_received: false,
                });
                Some(Answer::Block(block))
            }
            Record::Unpack { block, from, slice, .. } => {
                let block = &mut self.blocks[block.0 as usize];
                assert_eq!(*from, block.unpacked, "slices in order");
                assert!(slice.len() <= 100);
                block.unpacked += slice.len() as u32;
                let pooled = slice.iter().filter(|u| matches!(u, Unpacked::Code(_))).count() as u32;
                let set_aside = slice.len() as u32 - pooled;
                self.pooled += u64::from(pooled);
                self.set_aside += u64::from(set_aside);
                Some(Answer::Unpacked { pooled, set_aside })
            }
            Record::Return { limit, .. } => {
                let given = u64::from(*limit).min(self.pooled);
                self.pooled -= given;
                self.returned += given;
                Some(Answer::Returned { left: self.pooled })
            }
            Record::ReportDrafted { run, passes, replaces, unsure, .. } => {
                Some(self.drafted(*run, passes, *replaces, *unsure))
            }
            Record::ReportState { report, state, .. } => {
                self.reports[report.0 as usize].state = state.clone();
                None
            }
            Record::Unresolved { report, pass, .. } => {
                if !self.unresolved.contains(&(*report, *pass)) {
                    self.unresolved.push((*report, *pass));
                }
                None
            }
            _ => None,
        }
    }

    fn drafted(
        &mut self,
        run: RunId,
        passes: &[PassRange],
        replaces: Option<ReportNo>,
        unsure: bool,
    ) -> Answer {
        let report = ReportNo(self.reports.len() as u32);
        let open = |r: &&ReportFacts| r.state != ReportState::Refused;
        for r in self.reports.iter().filter(open).flat_map(|r| &r.passes) {
            for p in passes {
                assert!(r.to < p.from || p.to < r.from, "a pass in two open reports");
            }
        }
        let state = if unsure { ReportState::Unknown } else { ReportState::Wanted };
        let (passes, at) = (passes.to_vec(), Wall(START_MS));
        let production = self.production.unwrap_or(PRODUCTION);
        self.reports.push(ReportFacts { report, run, head: head(), passes, state, replaces, production, at });
        Answer::Report(report, production)
    }

    pub fn snapshot(&self) -> Snapshot {
        let over = |s: &OrderState| matches!(s, OrderState::Refused | OrderState::Closed);
        let done = |s: &ReportState| matches!(s, ReportState::Accepted | ReportState::Refused);
        Snapshot {
            orders: self.orders.iter().filter(|o| !over(&o.state)).cloned().collect(),
            blocks: self.blocks.iter().filter(|b| (b.unpacked as usize) < b.codes.len()).cloned().collect(),
            reports: self.reports.iter().filter(|r| !done(&r.state)).cloned().collect(),
            last_po: self.orders.len() as u32,
            restored: None,
            ..Snapshot::default()
        }
    }

    /// Passes up to `last` that no report carries and that are not named unresolved.
    pub fn free(&self, last: u32) -> Vec<PassRange> {
        let mut free = vec![true; last as usize + 1];
        let live = self.reports.iter().filter(|r| r.state != ReportState::Refused);
        let carried = live.flat_map(|r| super::super::passes::each(&r.passes));
        for p in carried.chain(self.unresolved.iter().map(|u| u.1)).filter(|p| p.0 <= last) {
            free[p.0 as usize] = false;
        }
        super::super::passes::ranges((1..=last).map(PassNo).filter(|p| free[p.0 as usize]))
    }

    pub fn progress(&self) -> Progress {
        Progress {
            run: RunId(1),
            head: head(),
            free: self.free(self.passed_to),
            newest: self.reports.last().map(|r| r.report),
            closed: self.run_closed,
        }
    }
}

/// Bodies of the model are codes joined; each begins with `o` or `!o`, and no serial has another `o`.
fn split(body: &[u8], count: u32) -> Vec<Vec<u8>> {
    let mut codes: Vec<Vec<u8>> = Vec::new();
    for (i, b) in body.iter().enumerate() {
        let after_mark = i > 0 && body[i - 1] == b'!';
        if *b == b'!' || (*b == b'o' && !after_mark) {
            codes.push(Vec::new());
        }
        codes.last_mut().unwrap().push(*b);
    }
    assert_eq!(codes.len(), count as usize);
    codes
}
