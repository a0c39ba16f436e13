//! The state system behind real sockets: the API on one port, control (truth, faults) on another.
//!
//! A thin shell around `model::xtrace`: it reads the clock, waits out latencies and breaks connections.
//! It runs on a thread of its own, so that tests without a runtime can use it and a shutdown cuts
//! every connection at once.

use crate::model::xtrace::fault::FaultPlan;
use crate::model::xtrace::route;
use crate::model::xtrace::settings::Settings;
use crate::model::xtrace::truth::{FaultReport, Summary, Truth};
use crate::model::xtrace::{Delivery, Xtrace};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Json, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A report of 30 000 codes of the longest layout is 3 MB; base64 and escapes make it 5.
const BODY_BYTES_MAX: usize = 32 << 20;

/// Where to listen; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    pub api: SocketAddr,
    pub control: SocketAddr,
}

impl Default for Listen {
    fn default() -> Listen {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Listen { api: any, control: any }
    }
}

/// A running state system. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Handle {
    pub api_addr: SocketAddr,
    pub control_addr: SocketAddr,
    model: Arc<Mutex<Xtrace>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Starts on free ports of the loopback.
pub fn spawn(settings: Settings) -> io::Result<Handle> {
    spawn_at(Xtrace::new(settings), Listen::default())
}

/// Starts with a given state, at given addresses: after `shutdown`, the same system comes back.
pub fn spawn_at(model: Xtrace, listen: Listen) -> io::Result<Handle> {
    let model = Arc::new(Mutex::new(model));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bind = |addr| {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        Ok::<_, io::Error>((listener.local_addr()?, listener))
    };
    let (api_addr, api) = bind(listen.api)?;
    let (control_addr, control) = bind(listen.control)?;
    let (api, control) = {
        let _context = runtime.enter();
        (TcpListener::from_std(api)?, TcpListener::from_std(control)?)
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let shared = Arc::clone(&model);
    let thread = std::thread::Builder::new().name("sim-upstream".to_owned()).spawn(move || {
        runtime.block_on(async {
            let api_app = Router::new().fallback(serve_api).with_state(Arc::clone(&shared));
            let api_app = api_app.into_make_service_with_connect_info::<Fate>();
            tokio::select! {
                biased;
                _ = stopped => {}
                ended = axum::serve(Wire(api), api_app) => tracing::error!(?ended, "the API ended"),
                ended = axum::serve(control, control_app(shared)) => tracing::error!(?ended, "control ended"),
            }
        });
    })?;
    Ok(Handle { api_addr, control_addr, model, stop: Some(stop), thread: Some(thread) })
}

impl Handle {
    pub fn truth(&self) -> Truth {
        self.with(Xtrace::truth)
    }

    pub fn summary(&self) -> Summary {
        self.with(Xtrace::summary)
    }

    /// Replaces the plan of faults.
    pub fn faults(&self, plan: FaultPlan) {
        self.with(|model, _| model.set_faults(plan));
    }

    pub fn fault_report(&self) -> FaultReport {
        self.with(|model, _| model.fault_report())
    }

    /// Looks at, or changes, the state itself.
    pub fn with<T>(&self, look: impl FnOnce(&mut Xtrace, OffsetDateTime) -> T) -> T {
        look(&mut lock(&self.model), now())
    }

    /// Cuts all connections, frees both ports and hands the state back.
    pub fn shutdown(mut self) -> Xtrace {
        self.stop();
        let mut model = lock(&self.model);
        let empty = Xtrace::new(model.settings().clone());
        std::mem::replace(&mut *model, empty)
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(model: &Mutex<Xtrace>) -> MutexGuard<'_, Xtrace> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The only place that reads the clock.
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

async fn serve_api(
    State(model): State<Arc<Mutex<Xtrace>>>,
    ConnectInfo(fate): ConnectInfo<Fate>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return status_only(StatusCode::BAD_REQUEST);
    };
    let text = |name: HeaderName| {
        head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let asked = route::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        accept: text(header::ACCEPT),
        authorization: text(header::AUTHORIZATION),
        body: body.to_vec(),
    };
    let reply = lock(&model).handle(now(), &asked);
    tracing::info!(
        method = asked.method,
        path = asked.path,
        status = reply.status,
        delay_ms = reply.delay_ms,
        delivery = ?reply.delivery,
        "request"
    );
    if reply.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    }
    fate.set(reply.delivery);
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn control_app(model: Arc<Mutex<Xtrace>>) -> Router {
    type Model = State<Arc<Mutex<Xtrace>>>;
    Router::new()
        .route("/truth", get(|State(model): Model| async move { Json(lock(&model).truth(now())) }))
        .route("/truth/summary", get(|State(model): Model| async move { Json(lock(&model).summary(now())) }))
        .route(
            "/faults",
            get(|State(model): Model| async move { Json(lock(&model).fault_report()) }).post(
                |State(model): Model, Json(plan): Json<FaultPlan>| async move {
                    let mut model = lock(&model);
                    model.set_faults(plan);
                    Json(model.fault_report())
                },
            ),
        )
        .with_state(model)
}

/// What is to become of the connection's next answer; shared by the handler and the socket.
#[derive(Debug, Clone, Default)]
struct Fate(Arc<AtomicU8>);

const WHOLE: u8 = 0;
const CUT_BODY: u8 = 1;
const NEVER: u8 = 2;

impl Fate {
    fn set(&self, delivery: Delivery) {
        let fate = match delivery {
            Delivery::Whole => WHOLE,
            Delivery::CutBody => CUT_BODY,
            Delivery::Never => NEVER,
        };
        self.0.store(fate, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Wire>> for Fate {
    fn connect_info(stream: IncomingStream<'_, Wire>) -> Fate {
        stream.io().fate.clone()
    }
}

/// A listener whose connections can be made to break.
struct Wire(TcpListener);

impl Listener for Wire {
    type Io = Breakable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Breakable, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (Breakable { stream, fate: Fate::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Breakable {
    stream: TcpStream,
    fate: Fate,
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// Writes are not vectored, so that hyper gives head and body in one buffer and half of the body can be found.
impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = match self.fate.0.load(Ordering::Acquire) {
            WHOLE => bytes.len(),
            CUT_BODY => {
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
                head + (bytes.len() - head) / 2
            }
            _ => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        };
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..allowed]);
        if allowed < bytes.len() && written.is_ready() {
            self.fate.set(Delivery::Never);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
