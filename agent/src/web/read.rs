//! What can be seen: status, runs and their sheets, alarms, health, the way upstream, traces.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use tamga_domain::ids::RunId;

use super::error::ApiError;
use super::{App, account, dto, shape};
use crate::clock;
use crate::desk::{Finding, Level};
use crate::words::Language;

const RUNS_MAX: u32 = 200;
const RUNS_UNASKED: u32 = 20;
const TRACE_RECORDS_MAX: u32 = 1000;
const TRACE_RECORDS_UNASKED: u32 = 100;

type Asked = Query<BTreeMap<String, String>>;

/// The process is alive and its runtime turns.
pub async fn health() -> &'static str {
    "ok\n"
}

/// Whether a run could be started: every line's task is there and the records answer.
pub async fn ready(State(app): State<App>, Extension(language): Extension<Language>) -> impl IntoResponse {
    let mut missing = Vec::new();
    if app.desk.lines.iter().any(|line| line.ask.is_closed()) {
        missing.push(shape::said(language, "http", "http.missing_line"));
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
    Json(shape::status(&app.desk, clock::wall(), language))
}

pub async fn runs(State(app): State<App>, asked: Asked) -> Result<Json<Vec<dto::Run>>, ApiError> {
    let before = number(&asked, "before")?.map(RunId);
    let limit = number(&asked, "limit")?.unwrap_or(RUNS_UNASKED).clamp(1, RUNS_MAX);
    let rows = app.records(move |records| records.runs(before, limit)).await?;
    Ok(Json(rows.iter().map(|row| account::run(row, &app.desk)).collect()))
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

pub async fn alarms(
    State(app): State<App>,
    Extension(language): Extension<Language>,
) -> Json<Vec<dto::Alarm>> {
    let mut alarms = Vec::new();
    for line in &app.desk.lines {
        let status = line.status.borrow().clone();
        alarms.extend(status.alarms.iter().map(|alarm| shape::alarm(&line.name, alarm, language)));
    }
    Json(alarms)
}

/// What the records find, and what the lines and the way upstream show.
pub async fn doctor(
    State(app): State<App>,
    Extension(language): Extension<Language>,
) -> Result<Json<dto::Doctor>, ApiError> {
    let mut findings = app.records(|records| records.doctor()).await?;
    look_at_lines(&app, &mut findings);
    look_upstream(&app, &mut findings);
    let worst = findings.iter().map(|f| f.level).max().unwrap_or(Level::Good);
    Ok(Json(dto::Doctor {
        level: shape::level(worst).to_owned(),
        findings: findings.iter().map(|f| shape::finding(f, language)).collect(),
    }))
}

fn look_at_lines(app: &App, findings: &mut Vec<Finding>) {
    for line in &app.desk.lines {
        let status = line.status.borrow().clone();
        if line.ask.is_closed() {
            findings.push(found(Level::Bad, "http.doctor_line_gone", &[("line", &line.name)]));
        }
        for device in &status.devices {
            let args = [("line", line.name.as_str()), ("device", device.name.as_str())];
            if !device.connected {
                findings.push(found(Level::Bad, "http.doctor_device_away", &args));
                continue;
            }
            let faults = device.faults.join(", ");
            let with_faults = [args[0], args[1], ("faults", faults.as_str())];
            match device.faults.is_empty() {
                true => findings.push(found(Level::Good, "http.doctor_device_well", &args)),
                false => findings.push(found(Level::Bad, "http.doctor_device_fault", &with_faults)),
            }
        }
    }
}

fn look_upstream(app: &App, findings: &mut Vec<Finding>) {
    let upstream = app.desk.upstream.borrow().clone();
    findings.push(match (upstream.last_answer_ms, upstream.trouble.is_empty()) {
        (_, false) => found(Level::Watch, "http.doctor_upstream_trouble", &[("trouble", &upstream.trouble)]),
        (None, true) => found(Level::Watch, "http.doctor_upstream_silent", &[]),
        (Some(_), true) => found(Level::Good, "http.doctor_upstream_well", &[]),
    });
    if upstream.unknown > 0 {
        let count = upstream.unknown.to_string();
        findings.push(found(Level::Watch, "http.doctor_upstream_unknown", &[("count", &count)]));
    }
    // Two minutes: certificates and report times begin to be refused not far beyond.
    if let Some(ahead) = upstream.clock_ahead_ms.filter(|ms| ms.abs() > 120_000) {
        let seconds = (ahead / 1000).to_string();
        findings.push(found(Level::Bad, "http.doctor_clock", &[("seconds", &seconds)]));
    }
}

fn found(level: Level, key: &str, args: &[(&str, &str)]) -> Finding {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Finding { level, key: key.to_owned(), args }
}

pub async fn upstream(State(app): State<App>) -> Result<Json<dto::UpstreamFull>, ApiError> {
    let (pool, outbox) = app.records(|records| Ok((records.pool()?, records.outbox()?))).await?;
    let status = app.desk.upstream.borrow().clone();
    Ok(Json(dto::UpstreamFull {
        upstream: shape::upstream(&status),
        pool: pool.iter().map(|level| account::pool_level(level, &app.desk)).collect(),
        outbox: outbox.iter().map(account::open_report).collect(),
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
