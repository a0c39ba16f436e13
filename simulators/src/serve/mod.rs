//! A plant behind sockets: printer port, reader as server or client, gate as Modbus TCP, control by HTTP.
//!
//! Real time steps the plant once a millisecond; bytes enter and leave between steps. A [`Handle`] in the same
//! process sees the truth and gives orders. Each connection is its own task and ends with the handle.

pub mod run;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::control;
use crate::fault::{FaultPlan, FaultReport};
use crate::model::plant::{Plant, PlantConfig};
pub use crate::model::plant_orders::Order;
use crate::model::truth::{Summary, Truth};

/// Where the plant is to be reached; port 0 takes a free one, `None` leaves the device without a socket.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    pub printer: Option<SocketAddr>,
    pub reader: Option<ReaderRole>,
    pub gate: Option<SocketAddr>,
    pub control: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
pub enum ReaderRole {
    /// The host connects; a new connection closes the old one.
    Listen(SocketAddr),
    /// The reader calls the host's listener, again and again.
    Connect(SocketAddr),
}

impl Ports {
    /// Everything on free loopback ports, the reader as server.
    pub fn loopback() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            printer: Some(any),
            reader: Some(ReaderRole::Listen(any)),
            gate: Some(any),
            control: Some(any),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {addr} for the {device}; is the port taken?")]
    Bind {
        device: &'static str,
        addr: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the plant did not get there in {waited:?}: {last:?}")]
    NotInTime { waited: Duration, last: Box<Summary> },
}

/// The plant and its clock, shared by everything that speaks with it.
#[derive(Debug, Clone)]
pub struct Live {
    plant: Arc<Mutex<Plant>>,
    begun: Instant,
    ticks: watch::Receiver<u64>,
}

impl Live {
    /// Brings the plant up to now and uses it. Keep `f` short: everything waits for it.
    pub fn with<R>(&self, f: impl FnOnce(&mut Plant) -> R) -> R {
        let mut plant: MutexGuard<'_, Plant> = self.plant.lock().unwrap_or_else(PoisonError::into_inner);
        plant.step(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        f(&mut plant)
    }

    async fn tick(&mut self) {
        // The ticker lives as long as any task that waits for it.
        let _ = self.ticks.changed().await;
    }
}

/// A running plant. Dropping it stops everything.
#[derive(Debug)]
pub struct Handle {
    live: Live,
    printer: Option<SocketAddr>,
    reader: Option<SocketAddr>,
    gate: Option<SocketAddr>,
    control: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

/// Puts a plant behind sockets. Everything is bound when this returns.
pub async fn spawn(config: PlantConfig, faults: FaultPlan, ports: Ports) -> Result<Handle, ServeError> {
    let (ticker, ticks) = watch::channel(0);
    let plant = Arc::new(Mutex::new(Plant::new(config, faults)));
    let live = Live { plant, begun: Instant::now(), ticks };
    let mut tasks = JoinSet::new();
    let mut handle = Handle {
        live: live.clone(),
        printer: None,
        reader: None,
        gate: None,
        control: None,
        tasks: JoinSet::new(),
    };
    if let Some(addr) = ports.printer {
        let (listener, addr) = bind("printer", addr).await?;
        handle.printer = Some(addr);
        tasks.spawn(sockets::printer(live.clone(), listener));
    }
    match ports.reader {
        Some(ReaderRole::Listen(addr)) => {
            let (listener, addr) = bind("reader", addr).await?;
            handle.reader = Some(addr);
            tasks.spawn(sockets::reader_server(live.clone(), listener));
        }
        Some(ReaderRole::Connect(addr)) => {
            tasks.spawn(sockets::reader_client(live.clone(), addr));
        }
        None => {}
    }
    if let Some(addr) = ports.gate {
        let (listener, addr) = bind("gate", addr).await?;
        handle.gate = Some(addr);
        tasks.spawn(sockets::gate(live.clone(), listener));
    }
    if let Some(addr) = ports.control {
        let (listener, addr) = bind("control", addr).await?;
        handle.control = Some(addr);
        tasks.spawn(control::serve(live.clone(), listener));
    }
    tasks.spawn(tick(live, ticker));
    handle.tasks = tasks;
    Ok(handle)
}

impl Handle {
    pub fn printer_addr(&self) -> Option<SocketAddr> {
        self.printer
    }

    /// Where the reader listens; `None` where it calls the host.
    pub fn reader_addr(&self) -> Option<SocketAddr> {
        self.reader
    }

    pub fn gate_addr(&self) -> Option<SocketAddr> {
        self.gate
    }

    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The plant itself, brought up to now.
    pub fn with<R>(&self, f: impl FnOnce(&mut Plant) -> R) -> R {
        self.live.with(f)
    }

    pub fn order(&self, order: Order) {
        self.with(|plant| plant.order(order));
    }

    pub fn truth(&self) -> Truth {
        self.with(|plant| plant.truth())
    }

    pub fn summary(&self) -> Summary {
        self.with(|plant| plant.summary())
    }

    pub fn faults(&self) -> Vec<FaultReport> {
        self.with(|plant| plant.faults.report())
    }

    pub fn set_faults(&self, plan: FaultPlan) {
        self.with(|plant| plant.faults.set_plan(plan));
    }

    /// Waits until the plant's numbers satisfy `there`.
    pub async fn wait(
        &self,
        at_most: Duration,
        there: impl Fn(&Summary) -> bool,
    ) -> Result<Summary, ServeError> {
        let begun = Instant::now();
        let mut live = self.live.clone();
        loop {
            let last = live.with(|plant| plant.summary());
            if there(&last) {
                return Ok(last);
            }
            if begun.elapsed() > at_most {
                return Err(ServeError::NotInTime { waited: at_most, last: Box::new(last) });
            }
            for _ in 0..5 {
                live.tick().await;
            }
        }
    }

    /// Waits until every item that was to come has met its fate.
    pub async fn wait_finished(&self, at_most: Duration) -> Result<Summary, ServeError> {
        self.wait(at_most, |s| s.finished).await
    }

    /// Stops everything and closes all sockets.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn bind(device: &'static str, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let wrong = |source| ServeError::Bind { device, addr, source };
    let listener = TcpListener::bind(addr).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    tracing::info!(device, addr = %bound, "listening");
    Ok((listener, bound))
}

async fn tick(live: Live, ticker: watch::Sender<u64>) {
    let mut every = tokio::time::interval(Duration::from_millis(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        every.tick().await;
        live.with(|_| ());
        ticker.send_modify(|n| *n += 1);
    }
}
