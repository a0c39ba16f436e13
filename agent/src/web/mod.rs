//! The local HTTP API: what the panel, the command line and programs of the plant use.
//!
//! It listens on loopback and on a Unix socket, speaks JSON, and keeps nothing: it passes requests to the lines' tasks
//! and queries to the records. `openapi.json` beside this file describes it; a test holds the two together. It never
//! gives out a verification tail, sends no CORS headers, and lets in only who has the token of the data folder
//! (`token.rs`, `door.rs`) or is a guest of the socket by the kernel's word (`socket.rs`). It is a window: when it ends
//! with an error the wiring starts it again, and no line stands still for it.
//!
//! - [`asks`], [`dto`]: what goes in and out; [`shape`], [`account`], [`text`], [`scan`]: how it is made and read
//! - [`sheet`], [`paper`]: the closing sheet's packs and ways out; the sheet as a page and as lists; [`dossier`]: what
//!   happened in a run; [`sign`]: a person signs the sheet
//! - [`error`], [`token`], [`socket`], [`door`]: refusals, and who may come in
//! - [`read`], [`export`], [`doctor`], [`lines`], [`stations`], [`codes`], [`packs`], [`rework`], [`mend`], [`import`],
//!   [`orders`]: the handlers; [`stream`]: an answer made while it is read
//! - [`task`]: a request to a task of the daemon

pub mod account;
pub mod asks;
pub mod codes;
pub mod doctor;
pub mod door;
pub mod dossier;
pub mod dto;
pub mod error;
pub mod export;
pub mod import;
pub mod lines;
pub mod mend;
pub mod orders;
pub mod packs;
pub mod paper;
pub mod read;
pub mod rework;
pub mod scan;
pub mod shape;
pub mod sheet;
pub mod sign;
pub mod socket;
pub mod stations;
pub mod stream;
pub mod task;
pub mod text;
pub mod token;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::desk::{AuditEntry, Desk, Records, RecordsError};
use error::ApiError;
use socket::{Guests, Peer, Socket};
use token::Token;

/// Bodies other than imported lists: the largest is a scan with a few fields.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Where the API listens and for whom.
pub struct Door {
    pub listener: TcpListener,
    pub socket: Option<Socket>,
    pub token: Token,
    /// Names for the `Host` header beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
}

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub desk: Arc<Desk>,
    token: Token,
    hosts: Arc<[String]>,
    /// Who needs no token on the socket.
    guests: Option<Guests>,
}

/// Serves the API until `stop` is done, then lets the requests in flight end.
pub async fn serve(
    desk: Desk,
    door: Door,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Door { listener, socket, token, hosts } = door;
    let guests = socket.as_ref().map(|socket| socket.guests);
    let app = App { desk: Arc::new(desk), token, hosts: hosts.into(), guests };
    let service = router(app).into_make_service_with_connect_info::<Peer>();
    let (tell, told) = watch::channel(false);
    let over = |mut told: watch::Receiver<bool>| async move {
        // A sender that is gone means the same.
        drop(told.wait_for(|over| *over).await);
    };
    let stopped = async move {
        stop.await;
        tell.send_replace(true);
        Ok(())
    };
    let network = axum::serve(listener, service.clone()).with_graceful_shutdown(over(told.clone()));
    let local = async move {
        let Some(Socket { listener, guests: _, file }) = socket else { return Ok(()) };
        let served = axum::serve(listener, service).with_graceful_shutdown(over(told)).await;
        drop(file);
        served
    };
    tokio::try_join!(stopped, network, local).map(drop)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Without the token.
    Open,
    Read,
    /// Needs a name, and is written down.
    Change,
}

/// One method of one path.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    handler: MethodRouter<App>,
}

const OPENAPI: &str = "/api/v1/openapi.json";
const HEALTH: &str = "/healthz";

/// Every route of the API; there is no other.
pub fn routes() -> Vec<Route> {
    use Access::{Change, Open, Read};
    let get_at = |path, access, handler| Route { method: "get", path, access, handler };
    let post_at = |path, access, handler| Route { method: "post", path, access, handler };
    vec![
        get_at(HEALTH, Open, get(read::health)),
        get_at("/readyz", Read, get(read::ready)),
        get_at(OPENAPI, Open, get(read::openapi)),
        get_at("/api/v1/status", Read, get(read::status)),
        get_at("/api/v1/runs", Read, get(read::runs)),
        get_at("/api/v1/runs/{run}/sheet", Read, get(read::sheet)),
        get_at("/api/v1/runs/{run}/sheet.html", Read, get(export::page)),
        get_at("/api/v1/runs/{run}/sheet.csv", Read, get(export::counts)),
        get_at("/api/v1/runs/{run}/packs.csv", Read, get(export::packs_csv)),
        get_at("/api/v1/runs/{run}/codes.csv", Read, get(export::codes_csv)),
        get_at("/api/v1/runs/{run}/codes", Read, get(export::codes)),
        get_at("/api/v1/runs/{run}/dossier", Read, get(sign::dossier)),
        post_at("/api/v1/runs/{run}/sign", Change, post(sign::sign)),
        get_at("/api/v1/alarms", Read, get(read::alarms)),
        get_at("/api/v1/audit", Read, get(read::audit)),
        get_at("/api/v1/doctor", Read, get(doctor::doctor)),
        get_at("/api/v1/upstream", Read, get(read::upstream)),
        get_at("/api/v1/trace/{device}", Read, get(read::trace)),
        post_at("/api/v1/trace/{device}", Change, post(lines::set_trace)),
        post_at("/api/v1/lines/{line}/run", Change, post(lines::start)),
        post_at("/api/v1/lines/{line}/run/stop", Change, post(lines::stop)),
        post_at("/api/v1/lines/{line}/run/resume", Change, post(lines::resume)),
        post_at("/api/v1/lines/{line}/run/close", Change, post(lines::close)),
        post_at("/api/v1/lines/{line}/test-print", Change, post(lines::test_print)),
        post_at("/api/v1/stations/{station}/short", Change, post(stations::short)),
        post_at("/api/v1/stations/{station}/reprint", Change, post(stations::reprint)),
        post_at("/api/v1/stations/{station}/void", Change, post(stations::void)),
        post_at("/api/v1/stations/{station}/out", Change, post(stations::out)),
        get_at("/api/v1/orders", Read, get(orders::list)),
        post_at("/api/v1/orders/assign", Change, post(orders::assign)),
        post_at("/api/v1/alarms/acknowledge", Change, post(lines::acknowledge)),
        // A scan stands in no URL, where logs would keep it: so these queries are POSTs.
        post_at("/api/v1/codes/show", Read, post(codes::show)),
        post_at("/api/v1/packs/show", Read, post(packs::show)),
        post_at("/api/v1/packs/doctor", Read, post(mend::doctor)),
        post_at("/api/v1/packs/mend", Change, post(mend::mend)),
        post_at("/api/v1/packs/rework", Change, post(rework::rework)),
        post_at("/api/v1/packs/label", Change, post(rework::label)),
        post_at("/api/v1/packs/close", Change, post(rework::close)),
        post_at("/api/v1/packs/again", Change, post(packs::again)),
        post_at("/api/v1/codes/declare", Change, post(codes::declare)),
        post_at(
            "/api/v1/codes/import",
            Change,
            post(import::import).layer(DefaultBodyLimit::max(import::LIST_BYTES_MAX)),
        ),
    ]
}

fn is_open(path: &str) -> bool {
    path == HEALTH || path == OPENAPI
}

fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        debug_assert_eq!(route.access == Access::Open, is_open(route.path));
        let handler = match route.access {
            Access::Open | Access::Read => route.handler,
            Access::Change => route.handler.layer(from_fn_with_state(app.clone(), door::change)),
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(|| async { ApiError::of_status(StatusCode::NOT_FOUND) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), door::door))
        .layer(from_fn(door::quiet_headers))
        .with_state(app)
}

impl App {
    /// A query of the records, off the async threads.
    pub async fn records<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Records) -> Result<T, RecordsError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let records = self.desk.records.clone();
        match tokio::task::spawn_blocking(move || query(records.as_ref())).await {
            Ok(answer) => answer.map_err(ApiError::from),
            Err(_) => Err(ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    /// Writes down a command. A log that cannot be written does not undo what was done: it is told as an error.
    pub async fn audit(&self, entry: AuditEntry) {
        let told = entry.clone();
        if let Err(error) = self.records(move |records| records.audit(entry)).await {
            let AuditEntry { who, from, command, outcome } = told;
            tracing::error!(who, from, command, outcome, error = error.key, "a command was not written down");
        }
    }
}
