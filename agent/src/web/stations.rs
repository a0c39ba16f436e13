//! What people ask of a packing station: close its pack short, one more label, void it, take something out of it.
//!
//! A request goes to the station's task and its answer comes back. Each has a reason, which is written down with it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::pack::ask::{StationAsk, StationReply};
use tokio::sync::oneshot;

use super::App;
use super::asks;
use super::codes::scan_of;
use super::door::By;
use super::dto::pack::StationDone;
use super::error::{ApiError, Body};
use super::packs;
use super::task::Task;
use super::text;
use crate::desk::{StationAsked, StationDesk};

const REASON_CHARS_MAX: usize = 200;

pub type Answer = Result<Json<StationDone>, ApiError>;

pub async fn short(
    State(app): State<App>,
    Path(station): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Because>,
) -> Answer {
    because(&app, &station, &by, &body, |reason| StationAsk::Short { reason }).await
}

pub async fn reprint(
    State(app): State<App>,
    Path(station): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Because>,
) -> Answer {
    because(&app, &station, &by, &body, |reason| StationAsk::Reprint { reason }).await
}

pub async fn void(
    State(app): State<App>,
    Path(station): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Because>,
) -> Answer {
    because(&app, &station, &by, &body, |reason| StationAsk::Void { reason }).await
}

pub async fn out(
    State(app): State<App>,
    Path(station): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::TakeOut>,
) -> Answer {
    let station = station_of(&app, &station)?;
    let reason = reason_of(&body.reason)?;
    let scan = scan_of(body.scan.as_deref(), body.scan_base64.as_deref())?;
    by.note(format!("what={} reason={reason}", packs::named(&app, scan.clone()).await?));
    ask(station, StationAsk::Out { scan, reason }, &by).await
}

async fn because(
    app: &App,
    station: &str,
    by: &By,
    body: &asks::Because,
    asked: impl FnOnce(String) -> StationAsk,
) -> Answer {
    let station = station_of(app, station)?;
    let reason = reason_of(&body.reason)?;
    by.note(format!("reason={reason}"));
    ask(station, asked(reason), by).await
}

pub fn station_of<'a>(app: &'a App, name: &str) -> Result<&'a StationDesk, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "http.no_station").with("station", name);
    app.desk.station(name).ok_or_else(missing)
}

pub fn reason_of(text: &str) -> Result<String, ApiError> {
    let refused = || ApiError::field("reason", "http.bad_reason").with("max", REASON_CHARS_MAX);
    text::line(text, REASON_CHARS_MAX).ok_or_else(refused)
}

pub async fn ask(station: &StationDesk, ask: StationAsk, by: &By) -> Answer {
    let (reply, answer) = oneshot::channel();
    let asked = StationAsked { ask, who: by.who.clone(), reply };
    let task = Task {
        kind: "station",
        name: &station.name,
        busy: "http.station_busy",
        gone: "http.station_gone",
        silent: "http.station_silent",
    };
    Ok(Json(match task.ask(&station.ask, asked, answer).await? {
        StationReply::Done => StationDone::Done,
        StationReply::ScanName => StationDone::ScanName,
        StationReply::Out { left } => StationDone::Out { left },
    }))
}
