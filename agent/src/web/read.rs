//! What can be seen: status, runs and their sheets, alarms, health, the way upstream, traces.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use tamga_domain::ids::RunId;

use super::error::ApiError;
use super::{App, account, dto, packs, shape};
use crate::clock;
use crate::words::Language;

const RUNS_MAX: u32 = 200;
const RUNS_UNASKED: u32 = 20;
const TRACE_RECORDS_MAX: u32 = 1000;
const TRACE_RECORDS_UNASKED: u32 = 100;

type Asked = Query<BTreeMap<String, String>>;

/// Whether all that the lines cannot do without still turns; not who does not, since everybody may ask.
pub async fn health(State(app): State<App>) -> impl IntoResponse {
    let ok = app.desk.health.silent().is_empty();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(dto::Health { ok, uptime_s: app.desk.health.uptime().as_secs() }))
}

/// Whether a run could be started and a pack filled: the tasks of all lines and stations are there, and the records answer.
pub async fn ready(State(app): State<App>, Extension(language): Extension<Language>) -> impl IntoResponse {
    let mut missing = Vec::new();
    if app.desk.lines.iter().any(|line| line.ask.is_closed()) {
        missing.push(shape::said(language, "http", "http.missing_line"));
    }
    if app.desk.stations.iter().any(|station| station.ask.is_closed()) {
        missing.push(shape::said(language, "http", "http.missing_station"));
    }
    if app.records(|records| records.pool()).await.is_err() {
        missing.push(shape::said(language, "http", "http.missing_records"));
    }
    let ready = missing.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(dto::Ready { ready, missing }))
}

pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

pub async fn status(State(app): State<App>, Extension(language): Extension<Language>) -> Json<dto::Status> {
    // The lines are shown also while the records do not answer: doctor tells that.
    let alarms = app.records(|records| records.upstream_alarms()).await.unwrap_or_default();
    Json(shape::status(&app.desk, &alarms, clock::wall(), language))
}

pub async fn runs(State(app): State<App>, asked: Asked) -> Result<Json<Vec<dto::Run>>, ApiError> {
    let before = number(&asked, "before")?.map(RunId);
    let limit = number(&asked, "limit")?.unwrap_or(RUNS_UNASKED).clamp(1, RUNS_MAX);
    let rows = app.records(move |records| records.runs(before, limit)).await?;
    Ok(Json(rows.iter().map(|row| account::run(row, &app.desk)).collect()))
}

pub async fn audit(State(app): State<App>, asked: Asked) -> Result<Json<Vec<dto::Audit>>, ApiError> {
    let before = number(&asked, "before")?.map(i64::from);
    let limit = number(&asked, "limit")?.unwrap_or(RUNS_UNASKED).clamp(1, RUNS_MAX);
    let rows = app.records(move |records| records.audited(before, limit)).await?;
    Ok(Json(rows.iter().map(account::audit).collect()))
}

pub async fn sheet(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(language): Extension<Language>,
) -> Result<Json<dto::Sheet>, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "http.no_run").with("run", &run);
    let id = RunId(run.parse().map_err(|_| missing())?);
    let sheet = app.records(move |records| records.sheet(id)).await?.ok_or_else(missing)?;
    Ok(Json(account::sheet(&sheet, &app.desk, language)))
}

/// Alarms of the lines, then those of the way upstream, which belong to no line.
pub async fn alarms(
    State(app): State<App>,
    Extension(language): Extension<Language>,
) -> Result<Json<Vec<dto::Alarm>>, ApiError> {
    let mut alarms = Vec::new();
    for line in &app.desk.lines {
        let status = line.status.borrow().clone();
        alarms.extend(status.alarms.iter().map(|alarm| shape::alarm(Some(&line.name), alarm, language)));
    }
    let upstream = app.records(|records| records.upstream_alarms()).await?;
    alarms.extend(upstream.iter().map(|alarm| shape::alarm(None, alarm, language)));
    Ok(Json(alarms))
}

pub async fn upstream(
    State(app): State<App>,
    Extension(language): Extension<Language>,
) -> Result<Json<dto::UpstreamFull>, ApiError> {
    let (pool, outbox) = app.records(|records| Ok((records.pool()?, records.outbox()?))).await?;
    let documents = app.records(|records| records.documents()).await?;
    let status = app.desk.upstream.borrow().clone();
    Ok(Json(dto::UpstreamFull {
        upstream: shape::upstream(&status),
        pool: pool.iter().map(|level| account::pool_level(level, &app.desk)).collect(),
        outbox: outbox.iter().map(account::open_report).collect(),
        documents: documents.iter().map(|row| packs::document(row, language)).collect(),
    }))
}

pub async fn trace(
    State(app): State<App>,
    Path(device): Path<String>,
    asked: Asked,
) -> Result<Json<dto::Trace>, ApiError> {
    let limit = number(&asked, "limit")?.unwrap_or(TRACE_RECORDS_UNASKED).clamp(1, TRACE_RECORDS_MAX);
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "http.no_device").with("device", &device);
    let trace = app.desk.trace(&device).ok_or_else(missing)?;
    Ok(Json(shape::trace(&device, trace, limit as usize)))
}

pub fn number(asked: &Asked, field: &str) -> Result<Option<u32>, ApiError> {
    let Some(text) = asked.get(field) else { return Ok(None) };
    let bad = || ApiError::field(field, "http.bad_field").with("value", text);
    text.parse().map(Some).map_err(|_| bad())
}
