//! Orders of codes and their lines (sub-orders): made, worked on, listed, closed.

use super::answer::{ApiError, iso};
use super::codes::{Code, Pack};
use super::fault::Fault;
use super::input::Object;
use super::layout::{form, layout, uuid};
use super::order_body::read_order;
use super::route::Endpoint;
use super::settings::{CisType, Mode, Settings};
use super::{Call, Task, Xtrace, millis, page, page_limit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    Created,
    Pending,
    Ready,
    Rejected,
    Closed,
    Outsourced,
}

impl OrderStatus {
    pub fn name(self) -> &'static str {
        match self {
            OrderStatus::Created => "CREATED",
            OrderStatus::Pending => "PENDING",
            OrderStatus::Ready => "READY",
            OrderStatus::Rejected => "REJECTED",
            OrderStatus::Closed => "CLOSED",
            OrderStatus::Outsourced => "OUTSOURCED",
        }
    }

    /// Whether the order takes one of the limited places.
    fn is_active(self) -> bool {
        !matches!(self, OrderStatus::Rejected | OrderStatus::Closed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferStatus {
    Pending,
    Active,
    Exhausted,
    Rejected,
    Closed,
}

impl BufferStatus {
    pub fn name(self) -> &'static str {
        match self {
            BufferStatus::Pending => "PENDING",
            BufferStatus::Active => "ACTIVE",
            BufferStatus::Exhausted => "EXHAUSTED",
            BufferStatus::Rejected => "REJECTED",
            BufferStatus::Closed => "CLOSED",
        }
    }

    fn is_open(self) -> bool {
        matches!(self, BufferStatus::Active | BufferStatus::Exhausted)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: String,
    pub owner: String,
    pub product_group: String,
    pub status: OrderStatus,
    pub release_method: String,
    pub po_number: Option<String>,
    pub contractor_tin: Option<String>,
    pub is_paid: Option<bool>,
    pub created: OffsetDateTime,
    pub visible_from: OffsetDateTime,
    pub rejection: Option<String>,
    pub lines: Vec<SubOrder>,
}

/// A line of an order: one GTIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubOrder {
    pub gtin: String,
    pub cis_type: CisType,
    pub status: BufferStatus,
    pub total: u64,
    pub passed: u64,
    /// Codes that were never handed out and died when the line was closed.
    pub annulled: u64,
    /// Serials of `SELF_MADE` lines.
    pub serials: Vec<String>,
    pub packs: Vec<Pack>,
    pub rejection: Option<String>,
}

impl SubOrder {
    pub fn left(&self) -> u64 {
        self.total - self.passed - self.annulled
    }
}

impl Xtrace {
    pub(super) fn create_order(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let body = Object::parse(call.body)?;
        let active = self.orders.values().filter(|order| order.owner == call.tin && order.status.is_active());
        if active.count() >= self.settings.limits.active_orders_max {
            return Err(ApiError::new(400, "active-orders-limit"));
        }
        let mut order = read_order(&body, call, &self.settings)?;
        order.id = uuid(&mut self.rng);
        let id = order.id.clone();
        let due = call.visible_from + millis(self.settings.delays.order_pending_ms);
        self.schedule(due, Task::OrderPending(id.clone()));
        self.order_ids.push(id.clone());
        self.orders.insert(id.clone(), order);
        Ok(json!({ "orderId": id }))
    }

    pub(super) fn order_pending(&mut self, id: &str, due: OffsetDateTime) {
        if let Some(order) = self.orders.get_mut(id) {
            order.status = OrderStatus::Pending;
            let due = due + millis(self.settings.delays.order_ready_ms);
            self.schedule(due, Task::OrderReady(id.to_owned()));
        }
    }

    /// Ends in `READY` (`OUTSOURCED` where a provider fetches the codes) or, for one bad line, `REJECTED`.
    pub(super) fn order_ready(&mut self, id: &str) {
        let declined = self.faults.strike(Fault::DeclineOrder, Endpoint::OrderCreate);
        let Some(order) = self.orders.get_mut(id) else { return };
        let unpaid = order.is_paid == Some(false) && self.settings.mode == Mode::Uz;
        let mut rejection = declined.then(|| "Order declined: Signature validation failed".to_owned());
        for line in &mut order.lines {
            line.rejection = line_rejection(&self.settings, &order.product_group, line, unpaid)
                .or_else(|| used_serial(&self.codes, &order.product_group, line));
            rejection = rejection.or(line.rejection.clone());
        }
        let status = if rejection.is_some() { BufferStatus::Rejected } else { BufferStatus::Active };
        for line in &mut order.lines {
            line.status = status;
            if rejection.is_some() && line.rejection.is_none() {
                line.rejection = Some("order-rejected".to_owned());
            }
        }
        order.status = match (&rejection, &order.contractor_tin) {
            (Some(_), _) => OrderStatus::Rejected,
            (None, Some(_)) => OrderStatus::Outsourced,
            (None, None) => OrderStatus::Ready,
        };
        order.rejection = rejection;
    }

    pub(super) fn list_orders(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let query = &call.query;
        if self.settings.strict.orders_need_product_group {
            query.need("productGroup")?;
        }
        let (from, to) = (query.date("dateFrom")?, query.date("dateTo")?);
        let same = |key, value: Option<&str>| query.get(key).is_none_or(|asked| Some(asked) == value);
        let found = page(call, self.settings.limits.page_items_max, self.orders_made(), |order| {
            order.is_shown_to(call)
                && same("orderId", Some(&order.id))
                && same("productGroup", Some(&order.product_group))
                && same("status", Some(order.status.name()))
                && same("contractorTin", order.contractor_tin.as_deref())
                && same("poNumber", order.po_number.as_deref())
                && from.is_none_or(|from| from <= order.created)
                && to.is_none_or(|to| order.created <= to)
        })?;
        let infos: Vec<Value> = found.into_iter().map(order_info).collect();
        Ok(json!({ "orderInfos": infos }))
    }

    /// Pages by whole orders: the cursor is the `parentOrderId` of the last line.
    pub(super) fn list_sub_orders(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let query = &call.query;
        let (from, to) = (query.date("dateFrom")?, query.date("dateTo")?);
        let same = |key, value: &str| query.get(key).is_none_or(|asked| asked == value);
        let orders = page(call, self.settings.limits.page_items_max, self.orders_made(), |order| {
            order.is_shown_to(call)
                && same("orderId", &order.id)
                && from.is_none_or(|from| from <= order.created)
                && to.is_none_or(|to| order.created <= to)
        })?;
        let limit = page_limit(call, self.settings.limits.page_items_max)?;
        let mut infos: Vec<Value> = Vec::new();
        for order in orders {
            let lines = order.lines.iter().filter(|line| {
                same("gtin", &line.gtin)
                    && same("cisType", line.cis_type.name())
                    && same("status", line.status.name())
            });
            let lines: Vec<Value> = lines.map(|line| sub_order_info(order, line, call.now)).collect();
            if !infos.is_empty() && infos.len() + lines.len() > limit {
                break;
            }
            infos.extend(lines);
        }
        Ok(json!({ "subOrderInfos": infos }))
    }

    pub(super) fn close_order(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let id = call.query.need("orderId")?;
        let order = self.orders.get_mut(id).filter(|order| order.is_shown_to(call));
        let order = order.ok_or_else(|| ApiError::not_found("order-not-found"))?;
        if !matches!(order.status, OrderStatus::Ready | OrderStatus::Outsourced) {
            return Err(ApiError::new(400, "order-wrong-status"));
        }
        let Some(gtin) = call.query.get("gtin") else {
            order.lines.iter_mut().for_each(close_line);
            order.status = OrderStatus::Closed;
            return Ok(json!({ "orderId": id }));
        };
        let line = order.lines.iter_mut().find(|line| line.gtin == gtin);
        let line = line.ok_or_else(|| ApiError::not_found("sub-order-not-found"))?;
        if !line.status.is_open() {
            return Err(ApiError::new(400, "sub-order-wrong-status"));
        }
        close_line(line);
        if order.lines.iter().all(|line| line.status == BufferStatus::Closed) {
            order.status = OrderStatus::Closed;
        }
        Ok(json!({ "orderId": id, "gtin": gtin }))
    }

    fn orders_made(&self) -> impl Iterator<Item = (&str, &Order)> {
        self.order_ids.iter().filter_map(|id| self.orders.get(id).map(|order| (id.as_str(), order)))
    }
}

impl Order {
    pub(super) fn is_shown_to(&self, call: &Call<'_>) -> bool {
        self.owner == call.tin && self.visible_from <= call.now
    }
}

pub(super) fn close_line(line: &mut SubOrder) {
    if line.status.is_open() {
        line.annulled = line.left();
        line.serials = Vec::new();
        line.status = BufferStatus::Closed;
    }
}

fn line_rejection(settings: &Settings, product_group: &str, line: &SubOrder, unpaid: bool) -> Option<String> {
    let Some(product) = settings.product(&line.gtin) else {
        return Some("gtin-not-found".to_owned());
    };
    let reason = if product.product_group != product_group {
        "gtin-of-another-product-group"
    } else if product.cis_type != line.cis_type {
        "gtin-of-another-cis-type"
    } else if product.paid && unpaid {
        "gtin-must-be-paid"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

/// A serial of the orderer's own making may be used once for a GTIN.
fn used_serial(codes: &BTreeMap<String, Code>, product_group: &str, line: &SubOrder) -> Option<String> {
    let layout = layout(product_group, line.cis_type);
    let mut any_tail = fastrand::Rng::with_seed(0);
    let mut used = line.serials.iter().map(|serial| form(layout, &line.gtin, serial, &mut any_tail).0);
    used.any(|identity| codes.contains_key(&identity)).then(|| "serial-number-already-used".to_owned())
}

fn order_info(order: &Order) -> Value {
    let mut info = json!({
        "orderId": order.id,
        "productGroup": order.product_group,
        "orderStatus": order.status.name(),
        "releaseMethodType": order.release_method,
        "createDate": iso(order.created),
    });
    let optional = [
        ("contractorTin", order.contractor_tin.clone().map(Value::from)),
        ("poNumber", order.po_number.clone().map(Value::from)),
        ("isPaid", order.is_paid.map(Value::from)),
        ("rejectionReason", order.rejection.clone().map(Value::from)),
    ];
    add(&mut info, optional);
    info
}

/// Counts and `lastPackId` as reads show them: a hidden pack is not there yet.
fn sub_order_info(order: &Order, line: &SubOrder, now: OffsetDateTime) -> Value {
    let shown: Vec<&Pack> = line.packs.iter().filter(|pack| pack.visible_from <= now).collect();
    let passed: u64 = shown.iter().map(|pack| pack.codes.len() as u64).sum();
    let is_made = !matches!(line.status, BufferStatus::Pending | BufferStatus::Rejected);
    let mut info = json!({
        "parentOrderId": order.id,
        "gtin": line.gtin,
        "bufferStatus": line.status.name(),
        "cisType": line.cis_type.name(),
        "availableCodes": if is_made { line.total } else { 0 },
        "leftInBuffer": if is_made { line.total - passed - line.annulled } else { 0 },
        "totalPassed": passed,
        "createDate": iso(order.created),
    });
    add(
        &mut info,
        [
            ("lastPackId", shown.last().map(|pack| Value::from(pack.id.clone()))),
            ("rejectionReason", line.rejection.clone().map(Value::from)),
        ],
    );
    info
}

/// Adds the fields that have a value.
pub(super) fn add<const N: usize>(info: &mut Value, fields: [(&str, Option<Value>); N]) {
    for (key, value) in fields {
        if let Some(value) = value {
            info[key] = value;
        }
    }
}
