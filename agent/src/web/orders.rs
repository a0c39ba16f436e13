//! Orders of codes: which there are, and the one that a person assigns to this agent.
//!
//! An order belongs to one agent: this one takes codes only of orders that bear its number or that a person assigned
//! here. What is assigned is durable before it is answered; the upstream task then looks at the order, and refuses it
//! where somebody has taken codes of it.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::OrderNo;
use tamga_domain::record::OrderPlan;

use super::door::By;
use super::error::{ApiError, Body};
use super::read::number;
use super::{App, account, asks, dto};
use crate::words::Language;

const ORDERS_MAX: u32 = 200;
const ORDERS_UNASKED: u32 = 20;
/// Upstream's ids are UUIDs of 36 characters; others have been longer.
const ID_CHARS_MAX: usize = 64;

pub async fn list(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    asked: Query<BTreeMap<String, String>>,
) -> Result<Json<Vec<dto::Order>>, ApiError> {
    let before = number(&asked, "before")?.map(OrderNo);
    let limit = number(&asked, "limit")?.unwrap_or(ORDERS_UNASKED).clamp(1, ORDERS_MAX);
    let rows = app.records(move |records| records.orders(before, limit)).await?;
    Ok(Json(rows.iter().map(|row| account::order(row, &app.desk, language)).collect()))
}

pub async fn assign(
    State(app): State<App>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::AssignOrder>,
) -> Result<(StatusCode, Json<dto::Assigned>), ApiError> {
    by.note(format!("order={} gtin={}", body.order, body.gtin));
    let refused = |key| ApiError::new(StatusCode::CONFLICT, key);
    let upstream = app.desk.assign.clone().ok_or_else(|| refused("http.no_upstream"))?;
    let plan = plan_of(&app, &body)?;
    let wanted = plan.clone();
    let order = app.records(move |records| records.assign(&wanted)).await?;
    // Durable: a channel that is full or gone only delays it until the next start of the upstream task.
    if upstream.try_send(plan).is_err() {
        tracing::warn!(order = order.0, "the upstream task takes the assigned order at its next start");
    }
    Ok((StatusCode::CREATED, Json(dto::Assigned { order: order.0 })))
}

fn plan_of(app: &App, body: &asks::AssignOrder) -> Result<OrderPlan, ApiError> {
    let id = body.order.trim();
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(is_id) {
        return Err(ApiError::field("order", "http.bad_field").with("value", id));
    }
    let digits = body.gtin.trim();
    let gtin = Gtin::parse(digits.as_bytes()).ok().filter(|_| digits.len() == 14);
    let gtin = gtin.ok_or_else(|| ApiError::field("gtin", "http.bad_gtin").with("value", digits))?;
    let product = app.desk.products.iter().find(|product| product.gtin == gtin);
    let product = product.ok_or_else(|| ApiError::field("gtin", "http.no_product").with("value", gtin))?;
    // Upstream compares its ids in lower case.
    let id = id.to_ascii_lowercase();
    Ok(OrderPlan {
        po_number: format!("cabinet:{id}:{gtin}"),
        gtin,
        group: product.group.clone(),
        kind: product.kind,
        // Upstream tells how many it has.
        quantity: 0,
        release_method: String::new(),
        business_place: None,
        upstream_id: Some(id),
    })
}
