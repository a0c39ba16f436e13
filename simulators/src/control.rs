//! HTTP window on a plant: its truth, its faults, and the hands of a person at the line.
//!
//! Meant for loopback and tests; it asks nobody who he is.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fault::{FaultError, FaultKind, FaultPlan, FaultReport};
use crate::model::plant_orders::Order;
use crate::model::truth;
use crate::serve::Live;

/// `POST /<device>/<act>` and what it orders.
const ORDERS: &[(&str, &str, Order)] = &[
    ("belt", "start", Order::BeltStart),
    ("belt", "stop", Order::BeltStop),
    ("printer", "power-cycle", Order::PrinterPowerCycle),
    ("printer", "power-off", Order::PrinterOff),
    ("printer", "power-on", Order::PrinterOn),
    ("printer", "ribbon-out", Order::RibbonOut),
    ("printer", "ribbon-in", Order::RibbonIn),
    ("printer", "media-out", Order::MediaOut),
    ("printer", "media-in", Order::MediaIn),
    ("printer", "head-open", Order::HeadOpen),
    ("printer", "head-close", Order::HeadClose),
    ("printer", "reprint-last", Order::FeedReprint),
    ("gate", "power-cycle", Order::GatePowerCycle),
    ("gate", "power-off", Order::GateOff),
    ("gate", "power-on", Order::GateOn),
    ("gate", "empty-bin", Order::EmptyBin),
];

pub(crate) async fn serve(live: Live, listener: TcpListener) {
    if let Err(error) = axum::serve(listener, router(live)).await {
        tracing::error!(%error, "the control window has closed");
    }
}

/// All routes of the window.
pub fn router(live: Live) -> Router {
    Router::new()
        .route("/", get(help))
        .route("/truth", get(whole_truth))
        .route("/truth/summary", get(summary))
        .route("/faults", get(faults).post(set_faults))
        .route("/faults/{kind}/force", post(force))
        .route("/items", post(put_on))
        .route("/items/{item_no}/feed-again", post(feed_again))
        .route("/{device}/{act}", post(order))
        .with_state(live)
}

async fn help() -> Json<Value> {
    let orders: Vec<String> = ORDERS.iter().map(|(device, act, _)| format!("POST /{device}/{act}")).collect();
    Json(json!({
        "read": ["GET /truth", "GET /truth/summary", "GET /faults"],
        "orders": orders,
        "faults": "POST /faults {\"list\": \"default,no-read=0.1\"} or {\"rates\": {\"no-read\": 0.1}}; \
                   POST /faults/<kind>/force strikes once",
        "items": "POST /items {\"codes\": [\"...\"]} puts marked items on the belt; POST /items/<no>/feed-again",
    }))
}

async fn whole_truth(State(live): State<Live>) -> Json<truth::Truth> {
    Json(live.with(|plant| plant.truth()))
}

async fn summary(State(live): State<Live>) -> Json<truth::Summary> {
    Json(live.with(|plant| plant.summary()))
}

async fn faults(State(live): State<Live>) -> Json<Vec<FaultReport>> {
    Json(live.with(|plant| plant.faults.report()))
}

/// Either a list as on the command line, which replaces the plan, or rates, which change the kinds they name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFaults {
    list: Option<String>,
    #[serde(default)]
    rates: std::collections::BTreeMap<String, f64>,
}

async fn set_faults(State(live): State<Live>, Json(asked): Json<SetFaults>) -> Result<Response, Refused> {
    let mut plan = match &asked.list {
        Some(list) => FaultPlan::parse(list)?,
        None => live.with(|plant| plant.faults.plan().clone()),
    };
    for (kind, rate) in &asked.rates {
        plan.set(kind.parse()?, *rate)?;
    }
    live.with(|plant| plant.faults.set_plan(plan));
    Ok(faults(State(live)).await.into_response())
}

async fn force(State(live): State<Live>, Path(kind): Path<String>) -> Result<Json<Value>, Refused> {
    let kind: FaultKind = kind.parse()?;
    live.with(|plant| plant.faults.force(kind, 1));
    Ok(Json(json!({ "forced": kind })))
}

#[derive(Deserialize)]
struct PutOn {
    /// Element strings, one character a byte, GS as `\u001d`.
    codes: Vec<String>,
}

async fn put_on(State(live): State<Live>, Json(asked): Json<PutOn>) -> Result<Json<Value>, Refused> {
    let codes: Option<Vec<_>> = asked.codes.iter().map(|code| truth::bytes(code)).collect();
    let codes = codes.ok_or_else(|| Refused::bad("a code has a character that is no byte"))?;
    let count = codes.len();
    live.with(|plant| plant.put_on(codes));
    Ok(Json(json!({ "put_on": count })))
}

async fn feed_again(State(live): State<Live>, Path(item_no): Path<u64>) -> Result<Json<Value>, Refused> {
    if live.with(|plant| plant.feed_again(item_no)) {
        Ok(Json(json!({ "fed_again": item_no })))
    } else {
        Err(Refused::bad("this item is neither in the bin nor taken off"))
    }
}

async fn order(
    State(live): State<Live>,
    Path((device, act)): Path<(String, String)>,
) -> Result<Json<truth::Summary>, Refused> {
    let known = ORDERS.iter().find(|(d, a, _)| *d == device && *a == act);
    let (_, _, order) = known.ok_or(Refused {
        status: StatusCode::NOT_FOUND,
        error: "no such order; GET / names them all".to_owned(),
    })?;
    live.with(|plant| plant.order(*order));
    Ok(summary(State(live)).await)
}

#[derive(Serialize)]
struct Refused {
    #[serde(skip)]
    status: StatusCode,
    error: String,
}

impl Refused {
    fn bad(error: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_owned() }
    }
}

impl From<FaultError> for Refused {
    fn from(error: FaultError) -> Self {
        Self::bad(&error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
