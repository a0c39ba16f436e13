//! The upstream side: pools kept filled, reports carried to their final answer, unknowns settled.
//!
//! Pure: no socket, no clock, no codes but those of a block being unpacked. The shell turns requests into bytes and
//! answers into facts, makes commits durable, and keeps time.
//!
//! Invariants:
//! - *Commit, then act*: a request that changes upstream leaves only after its intent came back [`Input::Committed`]
//!   in this process. One that a start finds `Sent` may have left: it is `Unknown`.
//! - No request that changes upstream is repeated on suspicion; only a look that finds, or looks that find nothing
//!   over [`Config::settle_min`], lead out of `Unknown`.
//! - A block is durable whole before the next one is asked for and before any of its codes is used.
//! - No codes are taken from an order of which others took codes, or took some that this database forgot.
//!
//! How each request of generation xTrace is settled when its answer is lost:
//!
//! | request | how its effect is found | how long absence must last | what a repeat would do |
//! |---|---|---|---|
//! | `MakeOrder`, `POST /api/orders` | `GET /api/orders?poNumber=`, compared here again: the number bears the agent's id, is never used twice and is looked for before the first request too | [`Config::looks_min`] looks over `settle_min`, each of a whole list, none while another order of ours is being made | a second order of the same codes, paid for; the first is found by the same number, one is used, and `alarm.order_twice` is told, also where the first answer came straight: all orders of the number are looked at when one is taken, and again before it is closed |
//! | `Block`, `GET /api/codes` | not looked for: asked again with the same `lastPackId`. After a start: the sum of blocks against `totalPassed`, then `GET /api/codes/packs` | nothing: a repeat is safe | the same block again: upstream repeats the block after `lastPackId` |
//! | `CloseOrder`, `POST /api/order/close` | `GET /api/orders?orderId=`: `CLOSED` is in effect. Looked at before the first request too | as for `MakeOrder`, though a repeat does no harm | nothing, or a refusal: an order is closed once, and only when all its codes were taken, so there is nothing to annul |
//! | `Apply`, `POST /api/utilisation` | `POST /public/api/cod/public/codes` of ten of its codes, first and last among them, then of all: all applied is in effect, some for the whole settling time is in effect in part. The report that their history names is kept as upstream's id | as for `MakeOrder`, each look with no `UTILISATION` document of its time still in process (`GET …/docs/search`) | if the first took effect unseen, upstream refuses the second whole, since its codes are no longer `RECEIVED`; its codes are then found applied |
//! | `SendDocument`, `POST /public/api/v1/doc/…` | `GET …/docs/search` by type and time, then `GET …/json/{id}` of each that is not another's: our own number in an aggregation, moment and codes in the others. Where none is it: `POST /public/api/cod/private/codes` of the packs' names (what lies in each) or codes (their status) | as for `MakeOrder`, each look with every such document read | an aggregation: refused, or the same content once more, since nobody reworks what an open document carries; a disaggregation or withdrawal: refused. After a rework it would put the old content back: so no rework before the answer, and no repeat on suspicion |
//! | `FindOrders`, `SubOrder`, `Packs`, `Report`, `Codes`, `Documents`, `Document`, `DocumentBody`, `DocumentErrors`, `Pieces`, `Clock` | reads | nothing: a repeat is safe | the same answer |
//!
//! A report that was refused, or taken in part, (`examine.rs`) is closed and its codes looked up: those applied are carried by a report that is
//! accepted without being sent, those upstream will not apply are named `Unresolved`, the rest is reported anew. A
//! refusal that shows no code is followed by parting the report until the code is alone.

mod buffer;
pub mod config;
mod core;
mod documents;
mod examine;
mod gather;
mod orders;
mod pace;
mod passes;
mod pools;
mod reports;
pub mod request;
pub mod unpack;

#[cfg(test)]
mod tests;

pub use self::core::TROUBLES;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::config::{Config, Level, OrderRest, Parse, Progress, Snapshot};
use self::core::{Core, Subject};
use self::documents::Document;
use self::gather::Gatherer;
use self::orders::{Around, Order, Phase};
use self::pools::{Draft, Pools, Runs};
use self::reports::Report;
use self::request::{Answered, Reply, Request, RequestId};
use self::unpack::Unpacking;
use crate::document::{DocumentKind, Waiting};
use crate::gs1::Gtin;
use crate::ids::{BlockNo, DocumentNo, OrderNo, ReportNo, TxnId};
use crate::record::{Answer, OrderPlan, Record, Txn};
use crate::time::{Time, Wall};

/// What happens to the upstream side.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Upstream answered.
    Answer {
        id: RequestId,
        answer: Answered,
    },
    /// There is no answer. `sent` is false only when certainly nothing left this computer.
    Lost {
        id: RequestId,
        sent: bool,
    },
    Committed {
        txn: TxnId,
        answers: Vec<Answer>,
    },
    /// The level of a product's pool, and its consumption.
    Wanted(Level),
    /// Passes made by a line.
    Progress(Progress),
    /// What lies in the pool of each order, and which are of no use any more.
    Rests(Vec<OrderRest>),
    /// What waits for documents of packs.
    Waiting(Waiting),
    /// A person assigned an order of the cabinet to this agent; its plan names upstream's id.
    Assigned(OrderPlan),
    Tick,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Request {
        id: RequestId,
        request: Request,
    },
    Commit(Txn),
    /// To be stepped again at this moment, with [`Input::Tick`] if nothing else came. The last one counts.
    Wake(Time),
    /// Something for people, told once. `about` names the order, the report or the request.
    Trouble {
        key: &'static str,
        about: String,
        detail: String,
    },
    /// A trouble told before is over.
    Cleared {
        key: &'static str,
        about: String,
    },
}

/// What is to be seen of the upstream side.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Status {
    pub last_answer: Option<Wall>,
    /// The last failure in words, empty after a success.
    pub trouble: String,
    /// Codes on order and not yet received.
    pub on_order: u64,
    pub open_reports: u32,
    pub oldest_open: Option<Wall>,
    /// Requests whose answer was lost and is being looked for.
    pub unknown: u32,
    pub clock_ahead_ms: Option<i64>,
}

/// The upstream side of one agent.
pub struct Step {
    core: Core,
    pools: Pools,
    runs: Runs,
    orders: BTreeMap<OrderNo, Order>,
    unpacking: BTreeMap<BlockNo, Unpacking>,
    reports: BTreeMap<ReportNo, Report>,
    documents: BTreeMap<DocumentNo, Document>,
    gatherers: BTreeMap<DocumentKind, Gatherer>,
    /// What sent the last request: the others come first now.
    served: Option<Subject>,
    begun: Option<Snapshot>,
    /// Orders that a person assigned and that are not durable yet.
    assigned: VecDeque<OrderPlan>,
    /// Orders whose codes are being given back, a slice at a time.
    returning: BTreeSet<OrderNo>,
    /// How often upstream was asked for nothing but an answer, and when it may be asked again.
    greetings: u32,
    greet_at: Time,
}

impl Step {
    pub fn new(config: Config, parse: Parse, snapshot: Snapshot) -> Step {
        Step {
            pools: Pools::new(&config, snapshot.last_po),
            core: Core::new(config, parse),
            runs: Runs::default(),
            orders: BTreeMap::new(),
            unpacking: BTreeMap::new(),
            reports: BTreeMap::new(),
            documents: BTreeMap::new(),
            gatherers: DocumentKind::ALL.into_iter().map(|kind| (kind, Gatherer::new(kind))).collect(),
            served: None,
            begun: Some(snapshot),
            assigned: VecDeque::new(),
            returning: BTreeSet::new(),
            greetings: 0,
            greet_at: Time(0),
        }
    }

    /// One step. Time does not go back between calls; `wall` may.
    pub fn step(&mut self, now: Time, wall: Wall, input: Input, out: &mut Vec<Effect>) {
        self.core.now = now;
        self.core.wall = wall;
        if let Some(snapshot) = self.begun.take() {
            self.begin(snapshot);
        }
        match input {
            Input::Answer { id, answer } => self.answer(id, answer),
            Input::Lost { id, sent } => self.lost(id, sent),
            Input::Committed { txn, answers } => self.committed(txn, &answers),
            Input::Wanted(level) => self.pools.level(level),
            Input::Progress(progress) => self.runs.progress(now, progress),
            Input::Rests(rests) => self.rests(&rests),
            Input::Waiting(waiting) => self.waiting(waiting),
            Input::Assigned(plan) => self.assigned.push_back(plan),
            Input::Tick => {}
        }
        for order in self.orders.values().filter(|o| !o.busy && o.phase == Phase::Over) {
            order.ended(&mut self.core);
        }
        self.orders.retain(|_, o| o.busy || o.phase != Phase::Over);
        self.reports.retain(|_, r| r.busy || r.phase != reports::Phase::Over);
        self.documents.retain(|_, d| d.busy || d.phase != documents::Phase::Over);
        if !self.is_any_refused() {
            self.core.clear_all("alarm.report_refused");
        }
        self.advance();
        self.greet();
        out.append(&mut self.core.out);
        if let Some(at) = self.core.take_wake() {
            out.push(Effect::Wake(at));
        }
    }

    /// Whether something that upstream refused is on its way to its end.
    fn is_any_refused(&self) -> bool {
        self.reports.values().any(Report::is_of_refused)
            || self.documents.values().any(Document::is_of_refused)
            || self.gatherers.values().any(Gatherer::is_of_refused)
    }

    pub fn status(&self) -> Status {
        let unknown_orders = self.orders.values().filter(|o| o.is_unknown()).count();
        let unknown_documents = self.documents.values().filter(|d| d.is_unknown()).count();
        let oldest = self.reports.values().map(|r| r.at).chain(self.documents.values().map(|d| d.at));
        let unknown_reports = self.reports.values().filter(|r| r.is_unknown()).count();
        Status {
            on_order: self.orders.values().map(|o| o.outstanding(&self.core)).sum(),
            open_reports: u32::try_from(self.reports.len() + self.documents.len()).unwrap_or(u32::MAX),
            oldest_open: oldest.min(),
            unknown: u32::try_from(unknown_orders + unknown_reports + unknown_documents).unwrap_or(u32::MAX),
            ..self.core.status()
        }
    }

    fn begin(&mut self, snapshot: Snapshot) {
        self.core.begin(self.core.now, &snapshot.told, &snapshot.accepted);
        for facts in snapshot.orders {
            let restored = snapshot.restored.is_some_and(|last| facts.order <= last);
            let order = Order::recovered(facts, restored);
            order.tell_recovered(&mut self.core);
            self.orders.insert(order.no, order);
        }
        for b in snapshot.blocks {
            let unpacking = Unpacking::new(b);
            if !unpacking.done() {
                self.unpacking.insert(unpacking.block, unpacking);
            }
        }
        for facts in snapshot.reports {
            let report = Report::recovered(facts, self.core.wall);
            report.tell_recovered(&mut self.core);
            self.reports.insert(report.no, report);
        }
        self.recover_documents(snapshot.documents, &snapshot.documents_accepted);
        for key in self::core::OF_OPEN {
            self.core.clear(key, "");
        }
    }

    fn answer(&mut self, id: RequestId, answer: Answered) {
        match self.core.answered(id, &answer) {
            Some(Subject::Order(no)) => {
                let around = self.around(no);
                let answer = self.without_ids_of_others(no, answer);
                let Some(order) = self.orders.get_mut(&no) else { return };
                order.answer(&mut self.core, answer, around);
            }
            Some(Subject::Report(no)) => {
                let Some(report) = self.reports.get_mut(&no) else { return };
                report.answer(&mut self.core, answer);
                if self.core.refusals == 0 {
                    self.reports.values_mut().for_each(|r| r.released(&self.core));
                }
            }
            Some(Subject::Document(no)) => {
                let Some(document) = self.documents.get_mut(&no) else { return };
                document.answer(&mut self.core, answer);
            }
            Some(
                Subject::Gather(_)
                | Subject::Product(_)
                | Subject::Block(_)
                | Subject::Run(_)
                | Subject::Rest(_)
                | Subject::Nobody,
            )
            | None => {}
        }
    }

    /// An order has one id, and an id one order: what names another's is some other answer, from a cache perhaps.
    fn without_ids_of_others(&self, no: OrderNo, mut answer: Answered) -> Answered {
        let others = |id: &str| self.orders.values().any(|o| o.no != no && o.upstream_id == id);
        match &mut answer.said {
            Reply::OrderMade { upstream_id } if others(upstream_id) => {
                let reason = format!("the answer names another order: {upstream_id}");
                answer.said = Reply::Failed { reason };
            }
            _ => {}
        }
        answer
    }

    fn lost(&mut self, id: RequestId, sent: bool) {
        match self.core.lost(id) {
            Some(Subject::Order(no)) => {
                let Some(order) = self.orders.get_mut(&no) else { return };
                order.lost(&mut self.core, sent);
            }
            Some(Subject::Report(no)) => {
                let Some(report) = self.reports.get_mut(&no) else { return };
                report.lost(&mut self.core, sent);
            }
            Some(Subject::Document(no)) => {
                let Some(document) = self.documents.get_mut(&no) else { return };
                document.lost(&mut self.core, sent);
            }
            Some(
                Subject::Gather(_)
                | Subject::Product(_)
                | Subject::Block(_)
                | Subject::Run(_)
                | Subject::Rest(_)
                | Subject::Nobody,
            )
            | None => {}
        }
    }

    fn committed(&mut self, txn: TxnId, answers: &[Answer]) {
        match self.core.committed(txn) {
            Some(Subject::Product(gtin)) => {
                let Some((no, plan)) = self.pools.made(gtin, answers) else { return };
                // One that was assigned a second time is here already, and may be far ahead.
                self.orders.entry(no).or_insert_with(|| Order::wanted(no, plan));
            }
            Some(Subject::Order(no)) => self.order_committed(no, answers),
            Some(Subject::Block(no)) => {
                let Some(unpacking) = self.unpacking.get_mut(&no) else { return };
                unpacking.committed();
                self.pools.unpacked(unpacking.gtin, answers);
                if unpacking.done() {
                    self.unpacking.remove(&no);
                }
            }
            Some(Subject::Run(run)) => {
                let Some(drafted) = self.runs.drafted(run, answers) else { return };
                self.reports.insert(drafted.no, Report::drafted(drafted, self.core.wall));
            }
            Some(Subject::Report(no)) => {
                let Some(report) = self.reports.get_mut(&no) else { return };
                for heir in report.committed(&mut self.core, answers) {
                    self.reports.insert(heir.no, heir);
                }
            }
            Some(Subject::Document(no)) => self.document_committed(no),
            Some(Subject::Gather(kind)) => self.gathered(kind, answers),
            Some(Subject::Rest(no)) => {
                let left = answers.iter().any(|a| matches!(a, Answer::Returned { left } if *left > 0));
                if left {
                    self.give_back(no);
                } else {
                    self.returning.remove(&no);
                }
            }
            Some(Subject::Nobody) | None => {}
        }
    }

    fn order_committed(&mut self, no: OrderNo, answers: &[Answer]) {
        let Some(order) = self.orders.get_mut(&no) else { return };
        let block = answers.iter().find_map(|a| match a {
            Answer::Block(block) => Some(*block),
            _ => None,
        });
        let taken = answers.iter().find_map(|a| match a {
            Answer::IdTaken(other) => Some(*other),
            _ => None,
        });
        match block {
            Some(block) => {
                if let Some(unpacking) = order.block_durable(block) {
                    self.unpacking.insert(block, unpacking);
                }
            }
            None => {
                if let Some(other) = taken {
                    return order.named_as(&mut self.core, other);
                }
                let refused = order.committed(&mut self.core);
                if refused {
                    self.pools.refused(order.plan.gtin, self.core.now.after(self.core.config.refused_pause));
                }
            }
        }
    }

    /// Codes whose order was closed, or whose life is over by upstream's clock, are given back: what is given back never
    /// comes again, so this computer's own calendar is not enough.
    fn rests(&mut self, rests: &[OrderRest]) {
        let server = self.core.server_now();
        for rest in rests {
            let over = rest.expires.zip(server).is_some_and(|(end, now)| end <= now);
            if rest.pooled > 0 && (rest.closed || over) && self.returning.insert(rest.order) {
                self.give_back(rest.order);
            }
            if let Some(order) = self.orders.get_mut(&rest.order) {
                order.spent = rest.spent;
            }
        }
    }

    fn give_back(&mut self, order: OrderNo) {
        let limit = u32::try_from(unpack::SLICE).unwrap_or(u32::MAX);
        let record = Record::Return { order, limit, at: self.core.wall };
        self.core.commit(Subject::Rest(order), vec![record]);
    }

    /// Assigned orders become durable like our own, one at a time for a product.
    fn take_assigned(&mut self) {
        for _ in 0..self.assigned.len() {
            let Some(plan) = self.assigned.pop_front() else { return };
            let here = self.orders.values().any(|o| o.plan.po_number == plan.po_number);
            if here || plan.upstream_id.is_none() {
                continue;
            }
            if !self.pools.assign(&plan) {
                self.assigned.push_back(plan);
                continue;
            }
            let gtin = plan.gtin;
            let record = Record::OrderWanted { order: plan, at: self.core.wall };
            self.core.commit(Subject::Product(gtin), vec![record]);
        }
    }

    /// Does all that can be done now.
    fn advance(&mut self) {
        self.draft_reports();
        self.gather();
        self.take_assigned();
        self.want_orders();
        self.unpack();
        let mut keys: Vec<Subject> = self.orders.keys().map(|no| Subject::Order(*no)).collect();
        keys.extend(self.reports.keys().map(|no| Subject::Report(*no)));
        keys.extend(self.documents.keys().map(|no| Subject::Document(*no)));
        // Those after the last one served come first, so that none waits for ever.
        let first = self.served.map_or(0, |s| keys.partition_point(|k| *k <= s));
        let first = first.min(keys.len());
        keys.rotate_left(first);
        for key in keys {
            let before = self.core.out.len();
            match key {
                Subject::Order(no) => {
                    let around = self.around(no);
                    if let Some(order) = self.orders.get_mut(&no) {
                        order.act(&mut self.core, around);
                    }
                }
                Subject::Report(no) => {
                    if let Some(report) = self.reports.get_mut(&no) {
                        report.act(&mut self.core);
                    }
                }
                Subject::Document(no) => {
                    if let Some(document) = self.documents.get_mut(&no) {
                        document.act(&mut self.core);
                    }
                }
                Subject::Gather(_)
                | Subject::Product(_)
                | Subject::Block(_)
                | Subject::Run(_)
                | Subject::Rest(_)
                | Subject::Nobody => {}
            }
            if self.core.out[before..].iter().any(|e| matches!(e, Effect::Request { .. })) {
                self.served = Some(key);
            }
        }
    }

    /// Upstream is asked once at the start even if nothing is needed of it: so it is known whether it answers, and
    /// whose clock is right.
    fn greet(&mut self) {
        if self.core.last_answer.is_some() || self.core.asks() {
            return;
        }
        if let Some(group) = self.core.config.products.first().map(|p| p.group.clone()) {
            self.ask_the_clock(group);
        }
    }

    fn ask_the_clock(&mut self, group: String) {
        if self.core.now < self.greet_at {
            return self.core.wake_at(self.greet_at);
        }
        if self.core.request(Subject::Nobody, Request::Clock { group }) {
            self.greetings = self.greetings.saturating_add(1);
            self.greet_at = self.core.retry_at(self.greetings);
        }
    }

    /// A draft's moment is fixed with it, so none is made before upstream's clock is known.
    fn draft_reports(&mut self) {
        if self.core.server_now().is_none() {
            if let Some(group) = self.runs.due(&self.core)
                && !self.core.asks()
            {
                self.ask_the_clock(group);
            }
            return;
        }
        for Draft { run, passes, due } in self.runs.drafts(&self.core) {
            match due {
                Ok(()) => {
                    let kind = crate::record::ReportKind::Application;
                    let (zone, by, at) = (self.core.config.zone, self.core.server_now(), self.core.wall);
                    let record = Record::ReportDrafted {
                        run,
                        kind,
                        passes,
                        replaces: None,
                        unsure: false,
                        zone,
                        by,
                        at,
                    };
                    self.core.commit(Subject::Run(run), vec![record]);
                }
                Err(later) => self.core.wake_at(later),
            }
        }
    }

    fn want_orders(&mut self) {
        let mut coming: BTreeMap<Gtin, u64> = self.unpacking_by_product();
        for order in self.orders.values() {
            *coming.entry(order.plan.gtin).or_default() += order.outstanding(&self.core);
        }
        for want in self.pools.orders_wanted(&self.core, &coming) {
            match want {
                Ok(plan) => {
                    let gtin = plan.gtin;
                    let record = Record::OrderWanted { order: plan, at: self.core.wall };
                    self.core.commit(Subject::Product(gtin), vec![record]);
                }
                Err(later) => self.core.wake_at(later),
            }
        }
    }

    fn unpack(&mut self) {
        let mut under_way: u32 = self.unpacking.values().map(Unpacking::under_way).sum();
        for unpacking in self.unpacking.values_mut() {
            while under_way < self.core.config.slices_in_flight.max(1) && unpacking.hand_over(&mut self.core)
            {
                under_way += 1;
            }
        }
    }

    fn unpacking_by_product(&self) -> BTreeMap<Gtin, u64> {
        let mut left: BTreeMap<Gtin, u64> = BTreeMap::new();
        for unpacking in self.unpacking.values() {
            *left.entry(unpacking.gtin).or_default() += unpacking.left();
        }
        left
    }

    /// What the order needs to know of the others.
    fn around(&self, no: OrderNo) -> Around {
        let gtin = self.orders.get(&no).map(|o| o.plan.gtin);
        let mut others = self.orders.values().filter(|o| o.no != no);
        let another_asks = others.any(|o| Some(o.plan.gtin) == gtin && o.buffer.asking());
        let others_pending = self.orders.values().any(|o| o.no != no && o.phase == Phase::Accepted);
        let left = gtin.and_then(|g| self.unpacking_by_product().get(&g).copied()).unwrap_or(0);
        let low = gtin.is_some_and(|g| self.pools.is_low(&self.core.config, g, left));
        let unpacking = left > 0;
        Around { pull: low && !another_asks, unpacking, others_pending }
    }
}
