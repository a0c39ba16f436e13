//! What people ask of a line: start, stop, resume, close, test print, acknowledge; and the trace of a device.
//!
//! A request goes to the line's task and its answer comes back; nothing is decided here but whether the request can
//! be understood.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::day::{Day, Zone};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::PrinterNo;
use tamga_domain::line::ask::{Ask, Reply};
use tamga_domain::record::RunPlan;
use tamga_domain::time::Wall;
use tamga_drivers::trace::Level;
use tokio::sync::oneshot;

use super::App;
use super::doctor::CLOCK_MS_BAD;
use super::door::By;
use super::error::{ApiError, Body};
use super::task::Task;
use super::text::{self, declared};
use super::{asks, dto};
use crate::clock;
use crate::desk::{Asked, Desk, LineDesk};

/// The kind of line whose codes come from rolls, not from orders.
const PRE_PRINTED: &str = "pre-printed";
const KEY_CHARS_MAX: usize = 64;
/// `seriesNumber` of the application report (xTrace): 1 to 20 characters.
const BATCH_CHARS_MAX: usize = 20;

type Answer = Result<(StatusCode, Json<dto::Done>), ApiError>;

pub async fn start(
    State(app): State<App>,
    Path(line): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::StartRun>,
) -> Answer {
    let desk = line_of(&app, &line)?;
    let plan = plan_of(&body, &app.desk, clock::wall())?;
    by.note(format!(
        "gtin={} quantity={} batch={} production={} expiry={} key={}",
        plan.gtin,
        plan.quantity,
        plan.batch,
        plan.production,
        plan.expiry.map_or_else(|| "-".to_owned(), |day| day.to_string()),
        plan.key
    ));
    if !body.before_order {
        not_before_order(&app, desk, &plan).await?;
    }
    let key = plan.key.clone();
    match ask(desk, Ask::Start(plan), &by).await? {
        Reply::Opened(run) => Ok((StatusCode::CREATED, Json(dto::Done::Opened { run: run.0, key }))),
        other => Ok(done(other)),
    }
}

/// Upstream refuses codes on goods that were made before the codes were ordered. Where that can be known a person is
/// asked before the first item is made.
async fn not_before_order(app: &App, line: &LineDesk, plan: &RunPlan) -> Result<(), ApiError> {
    // Asked a second time with the same key: the run is open already.
    let open = line.status.borrow().run.as_ref().is_some_and(|run| run.plan.key == plan.key);
    if open || line.kind == PRE_PRINTED {
        return Ok(());
    }
    let gtin = plan.gtin;
    let oldest = app.records(move |records| records.oldest_order(&gtin)).await?;
    match oldest.filter(|ordered| app.desk.zone.day_of(*ordered) > plan.production) {
        None => Ok(()),
        Some(ordered) => Err(ApiError::new(StatusCode::CONFLICT, "http.production_before_order")
            .with("day", plan.production)
            .with("ordered", app.desk.zone.day_of(ordered))),
    }
}

pub async fn stop(State(app): State<App>, Path(line): Path<String>, Extension(by): Extension<By>) -> Answer {
    Ok(done(ask(line_of(&app, &line)?, Ask::Stop, &by).await?))
}

pub async fn resume(
    State(app): State<App>,
    Path(line): Path<String>,
    Extension(by): Extension<By>,
) -> Answer {
    Ok(done(ask(line_of(&app, &line)?, Ask::Resume, &by).await?))
}

pub async fn close(
    State(app): State<App>,
    Path(line): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::CloseRun>,
) -> Answer {
    by.note(format!("clear={}", body.clear));
    Ok(done(ask(line_of(&app, &line)?, Ask::Close { clear: body.clear }, &by).await?))
}

pub async fn test_print(
    State(app): State<App>,
    Path(line): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::TestPrint>,
) -> Answer {
    let desk = line_of(&app, &line)?;
    let printer = printer_of(desk, body.printer.as_deref())?;
    by.note(format!("printer={}", body.printer.as_deref().unwrap_or("-")));
    Ok(done(ask(desk, Ask::TestPrint { printer }, &by).await?))
}

pub async fn acknowledge(
    State(app): State<App>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Acknowledge>,
) -> Answer {
    let asks::Acknowledge { line, key } = body;
    by.note(format!("line={} key={key}", line.as_deref().unwrap_or("-")));
    let none = || ApiError::new(StatusCode::NOT_FOUND, "http.no_alarm").with("key", &key);
    let Some(line) = line else {
        let (who, wanted) = (by.who.name.clone(), key.clone());
        let is_raised = app.records(move |records| records.acknowledge(&wanted, who)).await?;
        return if is_raised { Ok(done(Reply::Done)) } else { Err(none()) };
    };
    let desk = line_of(&app, &line)?;
    if !desk.status.borrow().alarms.iter().any(|alarm| alarm.key == key) {
        return Err(none());
    }
    Ok(done(ask(desk, Ask::Acknowledge { key }, &by).await?))
}

pub async fn set_trace(
    State(app): State<App>,
    Path(device): Path<String>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::SetTrace>,
) -> Answer {
    let level = match body.level.as_str() {
        "off" => Level::Off,
        "frames" => Level::Frames,
        "bytes" => Level::Bytes,
        _ => return Err(ApiError::field("level", "http.bad_field").with("value", body.level)),
    };
    by.note(format!("level={}", body.level));
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "http.no_device").with("device", &device);
    app.desk.trace(&device).ok_or_else(missing)?.set_level(level);
    Ok(done(Reply::Done))
}

pub fn line_of<'a>(app: &'a App, name: &str) -> Result<&'a LineDesk, ApiError> {
    app.desk.line(name).ok_or_else(|| ApiError::no_line(name))
}

/// Asks the line and waits.
pub async fn ask(line: &LineDesk, ask: Ask, by: &By) -> Result<Reply, ApiError> {
    let (reply, answer) = oneshot::channel();
    let asked = Asked { ask, who: by.who.clone(), reply };
    let task = Task {
        kind: "line",
        name: &line.name,
        busy: "http.line_busy",
        gone: "http.line_gone",
        silent: "http.line_silent",
    };
    task.ask(&line.ask, asked, answer).await
}

pub fn done(reply: Reply) -> (StatusCode, Json<dto::Done>) {
    match reply {
        Reply::Done => (StatusCode::OK, Json(dto::Done::Done)),
        Reply::Opened(run) => {
            (StatusCode::CREATED, Json(dto::Done::Opened { run: run.0, key: String::new() }))
        }
        Reply::Closing { unseen, pass_unknown, open_tags } => {
            (StatusCode::ACCEPTED, Json(dto::Done::Closing { unseen, pass_unknown, open_tags }))
        }
    }
}

/// Now, for the day that nobody names: by the state system's clock where this computer's is known to be wrong.
fn today_by(desk: &Desk, now: Wall) -> Wall {
    let ahead_ms = desk.upstream.borrow().clock_ahead_ms.filter(|ms| ms.abs() >= CLOCK_MS_BAD);
    ahead_ms.map_or(now, |ms| now.plus_ms(ms))
}

/// The plan in a request, or what is wrong with the first field that is wrong.
fn plan_of(body: &asks::StartRun, desk: &Desk, now: Wall) -> Result<RunPlan, ApiError> {
    let products = &desk.products;
    let digits = body.gtin.trim();
    let is_gtin = digits.len() == 14 && digits.bytes().all(|b| b.is_ascii_digit());
    let gtin = is_gtin.then(|| Gtin::parse(digits.as_bytes()).ok()).flatten();
    let gtin = gtin.ok_or_else(|| ApiError::field("gtin", "http.bad_gtin").with("value", digits))?;
    let known = products.iter().find(|product| product.gtin == gtin).map(|product| product.group.clone());
    let group = match (known, &body.group) {
        (Some(known), Some(given)) if known != *given => {
            return Err(ApiError::field("group", "http.other_group")
                .with("known", known)
                .with("value", given));
        }
        (Some(known), _) => known,
        (None, Some(given)) if !given.trim().is_empty() => given.trim().to_owned(),
        (None, _) => return Err(ApiError::field("gtin", "http.no_product").with("value", gtin)),
    };
    let batch = batch(&body.batch)?;
    let production = day_of("production", body.production.as_deref(), desk.zone)?;
    let production = production.unwrap_or_else(|| desk.zone.day_of(today_by(desk, now)));
    let expiry = day_of("expiry", body.expiry.as_deref(), desk.zone)?;
    if expiry.is_some_and(|expiry| expiry <= production) {
        return Err(ApiError::field("expiry", "http.expiry_before_production"));
    }
    let key = match &body.key {
        Some(key) => named("key", key, KEY_CHARS_MAX)?,
        None => format!("{digits}-{}-{:016x}", now.0, fastrand::u64(..)),
    };
    let (quantity, before_order) = (body.quantity, body.before_order);
    Ok(RunPlan { key, gtin, group, quantity, batch, production, expiry, before_order })
}

/// A batch or series goes to the state system byte by byte: nothing is trimmed off it, it is refused instead.
fn batch(text: &str) -> Result<String, ApiError> {
    let refused = |key| ApiError::field("batch", key).with("value", text);
    let length = text.chars().count();
    if !text.trim().is_empty() && (text.trim() != text || text.contains("  ")) {
        return Err(refused("http.batch_blanks"));
    }
    if length > BATCH_CHARS_MAX {
        return Err(refused("http.batch_long").with("length", length).with("max", BATCH_CHARS_MAX));
    }
    named("batch", text, BATCH_CHARS_MAX)
}

fn named(field: &str, text: &str, chars_max: usize) -> Result<String, ApiError> {
    let refused = || ApiError::field(field, "http.bad_field").with("value", text.trim());
    text::line(text, chars_max).ok_or_else(refused)
}

fn day_of(field: &str, text: Option<&str>, zone: Zone) -> Result<Option<Day>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let bad = || ApiError::field(field, "http.bad_date").with("value", text);
    declared(text, zone).map(Some).ok_or_else(bad)
}

/// The place of a printer among the line's printers.
fn printer_of(line: &LineDesk, name: Option<&str>) -> Result<PrinterNo, ApiError> {
    let status = line.status.borrow().clone();
    let printers: Vec<&str> =
        status.devices.iter().filter(|d| d.kind == "printer").map(|d| d.name.as_str()).collect();
    if printers.is_empty() {
        return Err(ApiError::new(StatusCode::CONFLICT, "http.no_printers").with("line", &line.name));
    }
    let place = match name {
        Some(name) => printers.iter().position(|printer| *printer == name),
        None if printers.len() == 1 => Some(0),
        None => None,
    };
    place.and_then(|p| u8::try_from(p).ok()).map(PrinterNo).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "http.no_printer")
            .with("line", &line.name)
            .with("printers", printers.join(", "))
    })
}
