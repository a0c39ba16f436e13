//! Codes and the packs in which they are handed out: the rules of `lastPackId`.
//!
//! A code comes into being when its pack is made; codes that no pack ever held are a number (`annulled`).

use super::answer::{ApiError, iso};
use super::fault::{Fault, Faults};
use super::layout::{form, layout, malform, serial, uuid};
use super::orders::{BufferStatus, Order, OrderStatus, SubOrder, close_line};
use super::route::Endpoint;
use super::settings::CisType;
use super::{Call, Xtrace};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CodeStatus {
    Received,
    Applied,
    Introduced,
    Withdrawn,
    WrittenOff,
}

impl CodeStatus {
    pub fn name(self) -> &'static str {
        match self {
            CodeStatus::Received => "RECEIVED",
            CodeStatus::Applied => "APPLIED",
            CodeStatus::Introduced => "INTRODUCED",
            CodeStatus::Withdrawn => "WITHDRAWN",
            CodeStatus::WrittenOff => "WRITTEN_OFF",
        }
    }

    /// Whether the item carries a live mark.
    pub fn is_on_item(self) -> bool {
        matches!(self, CodeStatus::Applied | CodeStatus::Introduced)
    }
}

/// One issued code. Its key in the model is the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    pub full: String,
    /// What the pack held, where a fault damaged it.
    pub issued_as: Option<String>,
    pub gtin: String,
    pub product_group: String,
    pub cis_type: CisType,
    pub owner: String,
    pub order_id: String,
    pub order_created: OffsetDateTime,
    pub pack_ids: Vec<String>,
    pub issued: OffsetDateTime,
    pub status: CodeStatus,
    /// The report that made it `APPLIED`.
    pub applied_by: Option<String>,
    pub applied: Option<OffsetDateTime>,
    /// All reports and documents that named it, whatever became of them.
    pub documents: Vec<String>,
    pub release_type: Option<String>,
    pub production: Option<OffsetDateTime>,
    pub expiration: Option<OffsetDateTime>,
    pub series: Option<String>,
    pub country: Option<String>,
}

/// A block of codes, exactly as it was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    pub id: String,
    pub codes: Vec<String>,
    pub made: OffsetDateTime,
    /// When `packs` and `sub-orders` begin to show it.
    pub visible_from: OffsetDateTime,
}

/// Which pack a question is about.
enum Wanted {
    Stored(usize),
    New,
}

impl Xtrace {
    pub(super) fn fetch_codes(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let (order_id, gtin) = (call.query.need("orderId")?, call.query.need("gtin")?);
        let quantity = call.query.number("quantity")?.ok_or_else(|| ApiError::parameter("quantity"))?;
        let order = self.orders.get_mut(order_id).filter(|order| order.is_shown_to(call));
        let order = order.ok_or_else(|| ApiError::not_found("order-not-found"))?;
        if order.status == OrderStatus::Ready && self.faults.strike(Fault::CloseOrder, Endpoint::Codes) {
            order.lines.iter_mut().for_each(close_line);
            order.status = OrderStatus::Closed;
        }
        if !matches!(order.status, OrderStatus::Ready | OrderStatus::Closed) {
            return Err(ApiError::new(400, "order-wrong-status"));
        }
        let at = order.lines.iter().position(|line| line.gtin == gtin);
        let at = at.ok_or_else(|| ApiError::not_found("sub-order-not-found"))?;
        let wanted = wanted(&order.lines[at], call.query.get("lastPackId"))?;
        let stored = match wanted {
            Wanted::Stored(stored) => stored,
            Wanted::New => {
                let quantity = allowed(&order.lines[at], quantity, self.settings.limits.pack_codes_max)?;
                let mut maker =
                    Maker { codes: &mut self.codes, rng: &mut self.rng, faults: &mut self.faults };
                maker.make_pack(order, at, quantity, call);
                order.lines[at].packs.len() - 1
            }
        };
        let pack = &order.lines[at].packs[stored];
        Ok(json!({ "codes": pack.codes, "packId": pack.id }))
    }

    pub(super) fn list_packs(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let (order_id, gtin) = (call.query.need("orderId")?, call.query.need("gtin")?);
        let order = self.orders.get(order_id).filter(|order| order.is_shown_to(call));
        let order = order.ok_or_else(|| ApiError::not_found("order-not-found"))?;
        let line = order.lines.iter().find(|line| line.gtin == gtin);
        let line = line.ok_or_else(|| ApiError::not_found("sub-order-not-found"))?;
        let shown = line.packs.iter().filter(|pack| pack.visible_from <= call.now);
        let packs: Vec<Value> = shown
            .map(|pack| {
                json!({ "packId": pack.id, "quantity": pack.codes.len(), "packDateTime": iso(pack.made) })
            })
            .collect();
        Ok(json!({ "orderId": order_id, "gtin": gtin, "packs": packs }))
    }

    /// Domestic goods go from `APPLIED` to `INTRODUCED` by themselves, if so configured.
    pub(super) fn introduce(&mut self, identities: &[String]) {
        for identity in identities {
            if let Some(code) = self.codes.get_mut(identity)
                && code.status == CodeStatus::Applied
            {
                code.status = CodeStatus::Introduced;
            }
        }
    }
}

/// Rules 1 to 4: nothing handed out yet, a repeat, the next, the first again.
fn wanted(line: &SubOrder, last_pack_id: Option<&str>) -> Result<Wanted, ApiError> {
    let Some(last) = last_pack_id else {
        return Ok(if line.packs.is_empty() { Wanted::New } else { Wanted::Stored(0) });
    };
    let at = line.packs.iter().position(|pack| pack.id == last);
    let at = at.ok_or_else(|| ApiError::parameter("lastPackId"))?;
    Ok(if at + 1 < line.packs.len() { Wanted::Stored(at + 1) } else { Wanted::New })
}

fn allowed(line: &SubOrder, quantity: u64, pack_codes_max: u64) -> Result<u64, ApiError> {
    match line.status {
        BufferStatus::Active if (1..=line.left().min(pack_codes_max)).contains(&quantity) => Ok(quantity),
        BufferStatus::Active => Err(ApiError::parameter("quantity")),
        BufferStatus::Exhausted => Err(ApiError::new(400, "sub-order-exhausted")),
        BufferStatus::Pending | BufferStatus::Rejected | BufferStatus::Closed => {
            Err(ApiError::new(400, "sub-order-wrong-status"))
        }
    }
}

struct Maker<'a> {
    codes: &'a mut BTreeMap<String, Code>,
    rng: &'a mut fastrand::Rng,
    faults: &'a mut Faults,
}

impl Maker<'_> {
    fn make_pack(&mut self, order: &mut Order, at: usize, quantity: u64, call: &Call<'_>) {
        let id = uuid(self.rng);
        let mut identities = Vec::with_capacity(quantity as usize);
        for _ in 0..quantity {
            identities.push(self.make_code(order, at, &id, call));
        }
        let mut issued: Vec<String> = identities
            .iter()
            .filter_map(|identity| self.codes.get(identity))
            .map(|code| code.full.clone())
            .collect();
        let line = &mut order.lines[at];
        let twice = self.give_twice(line, &id, &identities, &mut issued);
        self.damage(twice, &identities, &mut issued);
        line.passed += quantity;
        if line.left() == 0 {
            line.status = BufferStatus::Exhausted;
        }
        line.packs.push(Pack { id, codes: issued, made: call.clock, visible_from: call.visible_from });
    }

    fn make_code(&mut self, order: &mut Order, at: usize, pack_id: &str, call: &Call<'_>) -> String {
        let line = &mut order.lines[at];
        let layout = layout(&order.product_group, line.cis_type);
        let (identity, full) = loop {
            let serial = line.serials.pop().unwrap_or_else(|| serial(layout, self.rng));
            let (identity, full) = form(layout, &line.gtin, &serial, self.rng);
            if !self.codes.contains_key(&identity) {
                break (identity, full);
            }
        };
        let code = Code {
            full,
            issued_as: None,
            gtin: line.gtin.clone(),
            product_group: order.product_group.clone(),
            cis_type: line.cis_type,
            owner: order.owner.clone(),
            order_id: order.id.clone(),
            order_created: order.created,
            pack_ids: vec![pack_id.to_owned()],
            issued: call.clock,
            status: CodeStatus::Received,
            applied_by: None,
            applied: None,
            documents: Vec::new(),
            release_type: None,
            production: None,
            expiration: None,
            series: None,
            country: None,
        };
        self.codes.insert(identity.clone(), code);
        identity
    }

    /// The operator's mistake: a place in the pack holds a code given before. The code made for it never was.
    fn give_twice(
        &mut self,
        line: &SubOrder,
        pack_id: &str,
        identities: &[String],
        issued: &mut [String],
    ) -> Option<usize> {
        let last = issued.len() - 1;
        if line.packs.is_empty() && last == 0 || !self.faults.strike(Fault::CodeTwice, Endpoint::Codes) {
            return None;
        }
        let earlier: Vec<&String> = line.packs.iter().flat_map(|pack| &pack.codes).collect();
        let choice = self.rng.usize(..earlier.len() + last);
        let given = earlier
            .get(choice)
            .map_or_else(|| issued[choice - earlier.len()].clone(), |code| (*code).clone());
        issued[last] = given.clone();
        self.codes.remove(&identities[last]);
        let again = super::layout::identity_of(&given).and_then(|identity| self.codes.get_mut(identity));
        if let Some(code) = again {
            code.pack_ids.push(pack_id.to_owned());
        }
        Some(last)
    }

    fn damage(&mut self, twice: Option<usize>, identities: &[String], issued: &mut [String]) {
        let intact = issued.len() - usize::from(twice.is_some());
        if intact == 0 || !self.faults.strike(Fault::MalformedCode, Endpoint::Codes) {
            return;
        }
        let at = self.rng.usize(..intact);
        let damaged = malform(&issued[at], self.rng);
        if let Some(code) = self.codes.get_mut(&identities[at]) {
            code.issued_as = Some(damaged.clone());
        }
        issued[at] = damaged;
    }
}
