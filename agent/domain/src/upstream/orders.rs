//! One order, from the intent to the last of its codes.
//!
//! The number is looked for before the first request as well as after a lost one: a database put back from a copy
//! would else give out an order number a second time.

use std::collections::BTreeSet;

use super::buffer::Buffer;
use super::config::{OrderFacts, PackFacts};
use super::core::{self, Core, Subject};
use super::pace::Absence;
use super::pools::Pools;
use super::request::{Answered, BufferStatus, OrderKey, OrderSeen, OrderStatus, Reply, Request, SubOrder};
use crate::ids::OrderNo;
use crate::record::{OrderPlan, OrderState, OrderTerms, Record};
use crate::time::{Time, Wall};

/// Of so many looks at an order whose line is not ready, one is at the order itself.
const ORDER_EVERY: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The intent is durable, nothing left; its number is looked for first.
    Wanted,
    /// `Sent` is durable and nothing left yet.
    MaySend,
    /// It may have left. Only a look settles it.
    Unknown,
    /// Upstream named it and makes the codes. Nobody has taken any.
    Accepted,
    /// Codes are taken as the pool needs them.
    Ready,
    /// All codes were taken. Closed once none of them is needed any more.
    Exhausted,
    /// `Closing` is durable and nothing left yet.
    MayClose,
    /// The request to close it may have left. Only a look settles it.
    CloseUnknown,
    /// Nothing more is done for it.
    Over,
}

pub(super) struct Order {
    pub no: OrderNo,
    pub plan: OrderPlan,
    pub upstream_id: String,
    pub phase: Phase,
    /// The phase once the commit under way is durable.
    then: Phase,
    pub busy: bool,
    pub not_before: Time,
    pub tries: u32,
    /// Whether the order itself is looked at next, since its line is not to be seen.
    look_at_order: bool,
    refused: bool,
    /// When the life of its codes is over.
    expires: Option<Wall>,
    /// Nothing of ours needs the order any more.
    pub spent: bool,
    /// Why upstream refused to close it.
    close_refused: Option<String>,
    pub absence: Absence,
    pub buffer: Buffer,
}

/// What an order needs to know of the others.
#[derive(Clone, Copy)]
pub(super) struct Around {
    /// The pool needs codes of this order now.
    pub pull: bool,
    /// Blocks of this order are not unpacked to the end.
    pub unpacking: bool,
    /// Another order of ours is being worked on upstream.
    pub others_pending: bool,
}

impl Order {
    pub fn wanted(no: OrderNo, plan: OrderPlan) -> Order {
        let upstream_id = plan.upstream_id.clone().unwrap_or_default();
        Order {
            no,
            plan,
            upstream_id,
            phase: Phase::Wanted,
            then: Phase::Wanted,
            busy: false,
            not_before: Time(0),
            tries: 0,
            look_at_order: false,
            refused: false,
            expires: None,
            spent: false,
            close_refused: None,
            absence: Absence::default(),
            buffer: Buffer::new(Vec::<PackFacts>::new(), false),
        }
    }

    /// What a start found. `Sent` found at start is `Unknown`: the request may have left.
    pub fn recovered(facts: OrderFacts, restored: bool) -> Order {
        let mut order = Order::wanted(facts.order, facts.plan);
        if let Some(id) = facts.upstream_id {
            order.upstream_id = id;
        }
        order.phase = match facts.state {
            OrderState::Wanted => Phase::Wanted,
            OrderState::Sent | OrderState::Unknown => Phase::Unknown,
            OrderState::Accepted { upstream_id } => {
                order.upstream_id = upstream_id;
                Phase::Accepted
            }
            OrderState::Ready(terms) => {
                order.expires = terms.expires;
                Phase::Ready
            }
            OrderState::Exhausted => Phase::Exhausted,
            OrderState::Closing => Phase::CloseUnknown,
            OrderState::Refused | OrderState::Closed => Phase::Over,
        };
        order.buffer = Buffer::new(facts.packs, restored);
        order
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Unknown | Phase::CloseUnknown)
    }

    /// What holds of it at a start is told anew.
    pub fn tell_recovered(&self, core: &mut Core) {
        if self.phase == Phase::Unknown {
            core.tell("alarm.order_unknown", &self.plan.po_number, "the agent was restarted");
        }
    }

    /// What people were told of it while it was open is over. That it could not be closed is not.
    pub fn ended(&self, core: &mut Core) {
        for key in core::OF_OPEN.into_iter().filter(|key| *key != "alarm.order_close") {
            core.clear(key, &self.plan.po_number);
        }
    }

    /// Whether codes taken now have enough life left to be issued.
    pub fn lives(&self, core: &Core) -> bool {
        let now = core.server_now().unwrap_or(core.wall);
        let wanted = i64::try_from(core.config.life_left_min.as_millis()).unwrap_or(i64::MAX);
        self.expires.is_none_or(|end| now.plus_ms(wanted) <= end)
    }

    /// Codes that are on order and not yet received, and will be of use.
    pub fn outstanding(&self, core: &Core) -> u64 {
        match self.phase {
            Phase::Ready if !self.lives(core) => 0,
            Phase::Over | Phase::Exhausted | Phase::MayClose | Phase::CloseUnknown => 0,
            _ => u64::from(self.plan.quantity).saturating_sub(self.buffer.received()),
        }
    }

    /// Does the next thing, if it is time for it.
    pub fn act(&mut self, core: &mut Core, around: Around) {
        if self.busy || self.phase == Phase::Over {
            return;
        }
        if core.now < self.not_before {
            core.wake_at(self.not_before);
            return;
        }
        let request = match self.phase {
            Phase::Wanted if self.plan.upstream_id.is_some() => self.find_itself(),
            Phase::Wanted | Phase::Unknown => self.find(OrderKey::PoNumber(self.plan.po_number.clone())),
            Phase::MaySend => Request::MakeOrder { plan: self.plan.clone() },
            Phase::Accepted if self.look_at_order => self.find_all_of_number(core),
            Phase::Accepted => self.sub_order(),
            Phase::Ready => match self.next_of_buffer(core, around) {
                Some(request) => request,
                None => return,
            },
            Phase::Exhausted if !self.spent || !self.is_ours(core) => return,
            Phase::Exhausted => self.find_all_of_number(core),
            Phase::CloseUnknown => self.find_itself(),
            Phase::MayClose => Request::CloseOrder { order: self.upstream_id.clone() },
            Phase::Over => return,
        };
        self.busy = core.request(Subject::Order(self.no), request);
    }

    fn find(&self, by: OrderKey) -> Request {
        Request::FindOrders { group: self.plan.group.clone(), by }
    }

    fn find_itself(&self) -> Request {
        self.find(OrderKey::UpstreamId(self.upstream_id.clone()))
    }

    /// The order itself, and any other of its number where the number is ours: one that was made twice upstream, by a
    /// request repeated on the way, shows nowhere else when the first answer came straight.
    fn find_all_of_number(&self, core: &Core) -> Request {
        if self.is_ours(core) {
            self.find(OrderKey::PoNumber(self.plan.po_number.clone()))
        } else {
            self.find_itself()
        }
    }

    /// Whether this agent made the order; else a person assigned it, and its end is a person's too.
    fn is_ours(&self, core: &Core) -> bool {
        is_ours(core, &self.plan.po_number)
    }

    pub fn sub_order(&self) -> Request {
        Request::SubOrder { order: self.upstream_id.clone(), gtin: self.plan.gtin }
    }

    /// Makes a state durable; the phase changes when it is.
    pub fn becomes(&mut self, core: &mut Core, state: OrderState, why: &str, then: Phase) {
        let record = Record::OrderState { order: self.no, state, why: why.to_string(), at: core.wall };
        self.then = then;
        self.busy = true;
        core.commit(Subject::Order(self.no), vec![record]);
    }

    /// The state is durable. True when upstream refused the order.
    pub fn committed(&mut self, core: &mut Core) -> bool {
        self.busy = false;
        self.tries = 0;
        self.not_before = core.now;
        if self.phase != self.then {
            self.phase = self.then;
            self.absence = Absence::default();
        }
        if self.phase == Phase::Accepted {
            core.clear("alarm.order_unknown", &self.plan.po_number);
            core.clear("alarm.order_id", &self.plan.po_number);
        }
        self.refused
    }

    /// The books have the id for another order, open or over: what upstream said is some other answer, from a cache
    /// perhaps. The order is looked for again, and a person is told.
    pub fn named_as(&mut self, core: &mut Core, other: OrderNo) {
        let why = format!("the id {} is that of order {other}", self.upstream_id);
        core.tell("alarm.order_id", &self.plan.po_number, &why);
        self.upstream_id.clear();
        self.busy = false;
        self.then = self.phase;
        if self.phase == Phase::Unknown {
            self.again(core);
        } else {
            self.unknown(core, &why);
        }
    }

    /// No answer. Only a request that changes upstream makes a difference.
    pub fn lost(&mut self, core: &mut Core, sent: bool) {
        self.busy = false;
        match self.phase {
            Phase::MaySend if sent => self.unknown(core, "the answer was lost"),
            Phase::MayClose if sent => self.close_unknown(),
            _ => self.again(core),
        }
    }

    fn unknown(&mut self, core: &mut Core, why: &str) {
        core.tell("alarm.order_unknown", &self.plan.po_number, why);
        self.becomes(core, OrderState::Unknown, why, Phase::Unknown);
    }

    /// Tries the same again later.
    pub fn again(&mut self, core: &mut Core) {
        self.tries = self.tries.saturating_add(1);
        self.not_before = core.retry_at(self.tries);
    }

    fn poll_again(&mut self, core: &mut Core) {
        self.not_before = core.poll_at(self.tries);
        self.tries = self.tries.saturating_add(1);
    }

    pub fn refused(&mut self, core: &mut Core, reason: &str) {
        core.clear("alarm.order_unknown", &self.plan.po_number);
        core.clear("alarm.order_status", &self.plan.po_number);
        core.tell("alarm.order_refused", &self.plan.po_number, reason);
        self.refused = true;
        self.becomes(core, OrderState::Refused, reason, Phase::Over);
    }

    pub fn answer(&mut self, core: &mut Core, answer: Answered, around: Around) {
        self.busy = false;
        match (self.phase, answer.said) {
            (Phase::MaySend, Reply::OrderMade { upstream_id }) => {
                self.look_at_order = true;
                self.accepted(core, upstream_id);
            }
            (Phase::MaySend, Reply::Refused { reason }) => self.refused(core, &reason),
            (Phase::MaySend, Reply::NotNow { .. }) => self.again(core),
            (Phase::MaySend, Reply::Failed { reason }) => self.unknown(core, &reason),
            // Any other answer to a request that changes upstream is not understood: it may be in effect.
            (Phase::MaySend, _) => self.unknown(core, "the answer was not understood"),
            (Phase::Wanted, Reply::Orders { seen, whole }) if self.plan.upstream_id.is_some() => {
                self.assigned_seen(core, seen, whole);
            }
            (Phase::Wanted | Phase::Unknown, Reply::Orders { seen, whole }) => {
                self.found(core, seen, whole, around);
            }
            (Phase::Accepted, Reply::SubOrder(line)) => self.line_seen(core, line),
            (Phase::Accepted, Reply::Orders { seen, whole }) => {
                self.number_seen(core, &seen, whole);
                self.order_seen(core, seen);
            }
            (Phase::Ready, said) => self.answer_of_buffer(core, said),
            (Phase::Exhausted, Reply::Orders { seen, whole }) => {
                self.number_seen(core, &seen, whole);
                self.close_seen(core, seen);
            }
            (Phase::CloseUnknown, Reply::Orders { seen, .. }) => self.close_seen(core, seen),
            (Phase::MayClose, Reply::OrderClosed) => self.closed(core, "closed: its codes are used up"),
            (Phase::MayClose, Reply::NotNow { .. }) => self.again(core),
            (Phase::MayClose, said) => {
                if let Reply::Refused { reason } = said {
                    self.close_refused = Some(reason);
                }
                self.close_unknown();
            }
            _ => self.again(core),
        }
    }

    fn accepted(&mut self, core: &mut Core, upstream_id: String) {
        self.upstream_id.clone_from(&upstream_id);
        self.becomes(core, OrderState::Accepted { upstream_id }, "", Phase::Accepted);
    }

    /// Upstream's list of orders under our number. The number is compared here: a filter may be ignored.
    fn found(&mut self, core: &mut Core, seen: Vec<OrderSeen>, whole: bool, around: Around) {
        self.number_seen(core, &seen, whole);
        let mut ours: Vec<OrderSeen> =
            seen.into_iter().filter(|o| o.po_number == self.plan.po_number).collect();
        ours.sort_by(|a, b| (!lives(a), &a.upstream_id).cmp(&(!lives(b), &b.upstream_id)));
        if let Some(order) = ours.into_iter().next() {
            if let OrderStatus::Other(word) = &order.status {
                core.tell("alarm.order_status", &self.plan.po_number, word);
            }
            if order.status == OrderStatus::Rejected {
                self.upstream_id = order.upstream_id;
                self.refused(core, &order.reason);
            } else {
                self.accepted(core, order.upstream_id);
            }
            return;
        }
        if self.phase == Phase::Wanted && whole {
            self.becomes(core, OrderState::Sent, "", Phase::MaySend);
            return;
        }
        // While upstream works on orders of ours, or shows a part of its list, not finding it says nothing.
        let counts = whole && !around.others_pending;
        if !counts {
            self.absence.forget();
        } else if self.absence.look(&core.config, core.now) {
            let why = "not found over the whole settling time: sent again under the same number";
            self.becomes(core, OrderState::Sent, why, Phase::MaySend);
            return;
        }
        self.not_before = core.now.after(self.absence.pause(&core.config));
    }

    /// Several orders of our number that live are told: each holds codes, and one of them is used. When the others are
    /// closed it is over.
    fn number_seen(&self, core: &mut Core, seen: &[OrderSeen], whole: bool) {
        let ours = seen.iter().filter(|o| o.po_number == self.plan.po_number && lives(o));
        let ids: BTreeSet<&str> = ours.map(|o| o.upstream_id.as_str()).collect();
        if ids.len() > 1 {
            let detail = ids.into_iter().collect::<Vec<_>>().join(", ");
            core.tell("alarm.order_twice", &self.plan.po_number, &detail);
        } else if whole && self.is_ours(core) {
            core.clear("alarm.order_twice", &self.plan.po_number);
        }
    }

    /// What upstream says of an order that a person assigned. One that bears our number is found by that number: under
    /// a second name here its codes would be counted twice.
    fn assigned_seen(&mut self, core: &mut Core, seen: Vec<OrderSeen>, whole: bool) {
        let found = seen.into_iter().find(|o| o.upstream_id == self.upstream_id);
        match found {
            Some(o) if is_ours(core, &o.po_number) => {
                let reason = format!("it is this agent's own order {}", o.po_number);
                self.refused(core, &reason);
            }
            Some(o) if o.status == OrderStatus::Rejected => self.refused(core, &o.reason),
            Some(o) if o.status == OrderStatus::Closed => self.refused(core, "it is closed"),
            Some(o) => self.accepted(core, o.upstream_id),
            None if whole => self.refused(core, "upstream has no such order of this product group"),
            None => self.again(core),
        }
    }

    /// The order's line while upstream makes the codes.
    fn line_seen(&mut self, core: &mut Core, line: Option<SubOrder>) {
        let Some(line) = line else {
            self.look_at_order = true;
            return self.poll_again(core);
        };
        match line.status {
            BufferStatus::Pending => {
                // Now and then the order itself: its line does not say that the order is held.
                self.look_at_order = self.tries % ORDER_EVERY == ORDER_EVERY - 1;
                self.poll_again(core);
            }
            BufferStatus::Rejected => self.refused(core, &line.reason),
            BufferStatus::Closed => self.becomes(core, OrderState::Closed, "closed upstream", Phase::Over),
            // Nobody asks for a block before `Ready` is durable: codes taken already are in other hands, or this
            // database forgot them. Either way they may be on items.
            BufferStatus::Active | BufferStatus::Exhausted if line.passed > 0 => {
                let reason = format!("{} codes of it were taken elsewhere", line.passed);
                self.refused(core, &reason);
            }
            BufferStatus::Active | BufferStatus::Exhausted => {
                let terms = self.terms(core, &line);
                self.expires = terms.expires;
                if self.plan.quantity == 0 {
                    self.plan.quantity = u32::try_from(line.total).unwrap_or(u32::MAX);
                }
                self.buffer.seen(core.now, line);
                core.clear("alarm.order_status", &self.plan.po_number);
                core.clear_all("alarm.order_refused");
                self.becomes(core, OrderState::Ready(terms), "", Phase::Ready);
            }
            BufferStatus::Other(word) => {
                core.tell("alarm.order_status", &self.plan.po_number, &word);
                self.poll_again(core);
            }
        }
    }

    /// When its codes end: as upstream says, else as the rules say from the order on. Of an order of unknown age nothing
    /// is said.
    fn terms(&self, core: &Core, line: &SubOrder) -> OrderTerms {
        let since = line.created.or_else(|| self.is_ours(core).then_some(core.wall));
        let life = Pools::code_life(&core.config, self.plan.gtin);
        let by_rule =
            since.zip(life).map(|(at, life)| at.plus_ms(i64::try_from(life.as_millis()).unwrap_or(i64::MAX)));
        OrderTerms {
            expires: line.expires.or(by_rule),
            ordered: line.created,
            total: u32::try_from(line.total).ok(),
        }
    }

    fn order_seen(&mut self, core: &mut Core, seen: Vec<OrderSeen>) {
        self.look_at_order = false;
        let ours = seen.into_iter().find(|o| o.upstream_id == self.upstream_id);
        match ours.map(|o| (o.status, o.reason)) {
            Some((OrderStatus::Rejected, reason)) => self.refused(core, &reason),
            Some((OrderStatus::Closed, _)) => {
                self.becomes(core, OrderState::Closed, "closed upstream", Phase::Over);
            }
            Some((OrderStatus::Other(word), _)) => {
                core.tell("alarm.order_status", &self.plan.po_number, &word);
                self.poll_again(core);
            }
            Some((OrderStatus::Pending | OrderStatus::Ready, _)) => {
                core.clear("alarm.order_status", &self.plan.po_number);
                self.poll_again(core);
            }
            None => self.poll_again(core),
        }
    }
}

fn lives(order: &OrderSeen) -> bool {
    !matches!(order.status, OrderStatus::Closed | OrderStatus::Rejected)
}

fn is_ours(core: &Core, po_number: &str) -> bool {
    po_number.strip_prefix(core.config.agent.as_str()).is_some_and(|rest| rest.starts_with('-'))
}

/// The end of an order. Upstream allows a limited number of active ones, and closing one annuls what was not taken; so
/// an order of ours is closed when all its codes were taken and nothing of ours needs it any more. An order that was
/// not used up, or that a person assigned, is a person's to close.
impl Order {
    fn close_unknown(&mut self) {
        self.phase = Phase::CloseUnknown;
        self.absence = Absence::default();
    }

    fn closed(&mut self, core: &mut Core, why: &str) {
        core.clear("alarm.order_close", &self.plan.po_number);
        self.becomes(core, OrderState::Closed, why, Phase::Over);
    }

    /// The order before or after the request to close it.
    fn close_seen(&mut self, core: &mut Core, seen: Vec<OrderSeen>) {
        let status = seen.into_iter().find(|o| o.upstream_id == self.upstream_id).map(|o| o.status);
        if matches!(status, Some(OrderStatus::Closed | OrderStatus::Rejected)) {
            return self.closed(core, "closed upstream");
        }
        if self.phase == Phase::Exhausted {
            return self.becomes(core, OrderState::Closing, "its codes are used up", Phase::MayClose);
        }
        // A refusal may be that of a repeated request, and a look may show what was: the first of either says nothing.
        if self.absence.look(&core.config, core.now) {
            let Some(reason) = self.close_refused.take() else {
                return self.becomes(core, OrderState::Closing, "its codes are used up", Phase::MayClose);
            };
            // Asked again at the next start; until then a person is told, and nothing hangs on it.
            core.tell("alarm.order_close", &self.plan.po_number, &reason);
            self.phase = Phase::Over;
            return;
        }
        self.not_before = core.now.after(self.absence.pause(&core.config));
    }
}
