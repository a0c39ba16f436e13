//! The wiring: channels, tasks, supervision, the order of going down. The only place that spawns.

mod broker;
mod levels;
mod packing;

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tamga_domain::gs1::Gtin;
use tamga_domain::ids::LineNo;
use tamga_domain::layout::Layout;
use tamga_domain::line::ask::Ask;
use tamga_domain::line::{self, LineConfig};
use tamga_domain::record::{Bar, OrderPlan, PackageKind};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::books::StoreBooks;
use crate::chain::chain;
use crate::clock;
use crate::config::{self, Config};
use crate::desk::{Agent, Asked, ConfigFile, Desk, LineDesk, Product, StationDesk, UpstreamStatus, Who};
use crate::devices::{self, DeviceError};
use crate::disk;
use crate::health::{self, Beat, Health, Manager};
use crate::line::{End, Wires};
use crate::plan;
use crate::records::StoreRecords;
use crate::room::Room;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::View;
use crate::store::standing::{Here, Standing};
use crate::store::writer::{self, Handle, WriterError};
use crate::upstream::books::BooksError;
use crate::upstream::{self, UpstreamError};
use crate::web::socket::{Socket, SocketError};
use crate::web::token::{Token, TokenError};
use crate::web::{self, Door};
use crate::witness::Doubt;
use crate::witness::shelf::{Folder, ShelfError};
use crate::words;

/// Inputs of a line that may wait: a few milliseconds of the fastest line.
const INPUTS_MAX: usize = 1024;

/// Requests of people that may wait for a line.
const ASKS_MAX: usize = 16;

/// Orders that a person assigned and that wait for the upstream task.
const ASSIGNED_MAX: usize = 16;

/// How often the levels of the pools are read for the lines.
const LEVELS_EVERY: Duration = Duration::from_millis(250);

/// How often the stock of pre-printed lines is counted, which reads all of it.
const STOCK_EVERY: Duration = Duration::from_secs(5);

/// How long a stop waits for items that have leave to pass.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How long a failed write waits for a line that was refused by it to stop its belt: a turn, with room.
const BROKEN_GRACE: Duration = Duration::from_millis(300);

/// After which a window that failed is opened again.
const WINDOW_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the store in {data} cannot be used")]
    Store { data: PathBuf, source: StoreError },
    #[error("the writer does not start")]
    Writer(#[source] std::io::Error),
    #[error("line {line} cannot be recovered")]
    Recover { line: String, source: WriterError },
    #[error("the witness of the data folder {data} cannot be used")]
    Witness { data: PathBuf, source: ShelfError },
    #[error("a device cannot be set up")]
    Device(#[from] DeviceError),
    #[error("the token of the API cannot be made or read")]
    Token(#[from] TokenError),
    #[error("the API's socket cannot be served")]
    Socket(#[from] SocketError),
    #[error("the API cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("line {line}: {why}")]
    Line { line: String, why: String },
}

/// Why a running daemon ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "{who}: a write to disk failed: {why}. Nothing is printed, passed or packed; start again when the disk is well"
    )]
    NotDurable { who: String, why: String },
    #[error("{who}: the database is damaged: {why}")]
    Damaged { who: String, why: String },
    #[error("a write to disk failed: {0}. Nothing is printed or passed; start again when the disk is well")]
    Broken(String),
    #[error("{0} ended, and a line cannot do without it")]
    TaskEnded(String),
    #[error(
        "the way to the state system met a bug of ours: {0}. Nothing that was written down is lost; the agent goes on \
         from it after the start. If it comes again, keep the data folder as it is and send us the log"
    )]
    Bug(String),
}

/// A running daemon.
pub struct Daemon {
    /// Where the API listens.
    pub api: SocketAddr,
    stop: watch::Sender<bool>,
    lines: JoinSet<Ended>,
    devices: JoinSet<String>,
    windows: JoinSet<()>,
    desks: Vec<LineDesk>,
    manager: Option<Arc<Manager>>,
    writer: Option<std::thread::JoinHandle<()>>,
    broken: writer::Broken,
    /// What is a bug of ours, and no failure of a device, a disk or a network.
    bugs: mpsc::Receiver<String>,
}

/// Starts everything that a configuration names. `manager` is told when all turns, and that it still does.
pub async fn start(config: Config, manager: Option<Arc<Manager>>) -> Result<Daemon, StartError> {
    let data = config.agent.data.clone();
    relieve(&data);
    let refused = |source| StartError::Store { data: data.clone(), source };
    let mut store = Store::open(&data, &new_agent_id()).map_err(refused)?;
    let doubt = stand(&mut store, &data, &config.agent.witness)?;
    let (bar, barred) = watch::channel(store.barred());
    let numbers = line_numbers(&mut store, &config).map_err(refused)?;
    let packing = packing::recover(&mut store, &config).map_err(refused)?;
    let settled = !matches!(*bar.borrow(), Some(Bar::Unsettled));
    broker::share(&mut store, &config, settled).map_err(refused)?;
    let agent = store.agent_id().to_owned();
    let (handle, thread) = writer::spawn(store).map_err(StartError::Writer)?;
    let broken = handle.broken();
    let (stop, stopped) = watch::channel(false);
    let layouts = plan::group_layouts(&config);
    let (levels, pooled) = watch::channel(BTreeMap::new());
    let (stock, stocked) = watch::channel(BTreeMap::new());
    let mut wiring = Wiring {
        config: &config,
        writer: handle.clone(),
        stopped: stopped.clone(),
        barred,
        pooled,
        stocked,
        lines: JoinSet::new(),
        devices: JoinSet::new(),
        desks: Vec::new(),
        behind: Vec::new(),
        stations: Vec::new(),
        traces: Vec::new(),
        watched: Vec::new(),
    };
    for (no, one) in numbers.into_iter().zip(&config.lines) {
        wiring.line(no, one).await?;
    }
    for (place, (one, open)) in (0..).zip(config.stations.iter().zip(packing)) {
        wiring.station(place, one, open)?;
    }
    let Wiring { lines, devices, desks, stations, traces, mut watched, .. } = wiring;
    let beat = Beat::default();
    watched.push(("writer".to_owned(), beat.clone()));
    let health = Health::new(watched, manager.as_ref().and_then(|m| m.watchdog));
    let mut windows = JoinSet::new();
    let life_left_min_ms = i64::try_from(plan::life_left_min(&config).as_millis()).unwrap_or(i64::MAX);
    let issuable = move |view: &View<'_>| view.issuable(clock::wall(), life_left_min_ms);
    windows.spawn(levels::watch(data.clone(), LEVELS_EVERY, issuable, levels, stopped.clone()));
    if config.lines.iter().any(|line| !line.kind.prints()) {
        let stock_of = |view: &View<'_>| view.stock();
        windows.spawn(levels::watch(data.clone(), STOCK_EVERY, stock_of, stock, stopped.clone()));
    }
    let room =
        Room { data: data.clone(), ballast_mib: config.agent.ballast_mib, writer: handle.clone(), bar };
    windows.spawn(until_stopped(room.keep(), stopped.clone()));
    windows.spawn(beat_of_writer(handle.clone(), beat, health.pulse(), stopped.clone()));
    let (assign, assigned) = mpsc::channel(ASSIGNED_MAX);
    let books = StoreBooks {
        data: data.clone(),
        agent: agent.clone(),
        writer: handle.clone(),
        products: config.products.iter().map(|p| (p.gtin, 0)).collect(),
        life_left_min_ms,
    };
    let (bug, bugs) = mpsc::channel(1);
    let broker = if settled {
        broker::start(&config, &agent, &handle, bug.clone(), &stopped, &mut windows)
    } else {
        None
    };
    let upstream = if settled {
        start_upstream(&config, books, &layouts, (assigned, bug), &stopped, &mut windows)
    } else {
        // Orders and reports of a copy are another agent's, as far as anybody knows.
        let trouble = words::say(config.agent.language, "http.upstream_unsettled", &[]);
        watch::channel(UpstreamStatus { trouble, ..UpstreamStatus::default() }).1
    };
    let runtime = tokio::runtime::Handle::current();
    let records = StoreRecords::new(&config, handle, runtime, doubt);
    let desk = Desk {
        agent: Agent { id: agent, started: clock::wall() },
        health: health.clone(),
        config: ConfigFile {
            path: config.file.clone(),
            text: config.text.as_str().into(),
            offline: config.upstream.is_none(),
        },
        lines: desks.clone(),
        stations,
        products: products(&config),
        devices: traces,
        zone: config.agent.zone,
        assign: config.upstream.as_ref().filter(|_| settled).map(|_| assign),
        upstream,
        broker,
        dossiers: config.agent.data.join("dossiers"),
        records: Arc::new(records),
    };
    let api = open_door(&config, desk, stopped.clone(), &mut windows).await?;
    let told = health::watch(health, manager.clone(), format!("lines: {}, API on {api}", desks.len()));
    windows.spawn(until_stopped(told, stopped));
    tracing::info!(%api, lines = desks.len(), "ready");
    Ok(Daemon { api, stop, lines, devices, windows, desks, manager, writer: Some(thread), broken, bugs })
}

impl Daemon {
    /// Waits until something that a line needs has ended by itself, or a write of anybody has failed.
    pub async fn failed(&mut self) -> Failure {
        tokio::select! {
            biased;
            failure = line_failed(&mut self.lines) => failure,
            ended = self.devices.join_next() => match ended {
                Some(Ok(what)) => Failure::TaskEnded(what),
                Some(Err(e)) => Failure::TaskEnded(e.to_string()),
                None => std::future::pending().await,
            },
            Some(why) = self.bugs.recv() => Failure::Bug(why),
            why = self.broken.why() => {
                // A line that is told too stops its belt first, and says which line it is.
                let line = tokio::time::timeout(BROKEN_GRACE, line_failed(&mut self.lines)).await;
                line.unwrap_or(Failure::Broken(why))
            }
        }
    }

    /// Goes down in order: the belts stop and no code is issued any more, items with leave to pass get a moment, then
    /// lines, devices, windows and the writer end. What is in doubt then is in doubt after a crash too: the next
    /// start takes it up.
    pub async fn stop(mut self) {
        self.manager.iter().for_each(|manager| manager.tell("STOPPING=1"));
        for desk in &self.desks {
            stop_line(desk).await;
        }
        self.stop.send_replace(true);
        while self.lines.join_next().await.is_some() {}
        self.desks.clear();
        while self.devices.join_next().await.is_some() {}
        while self.windows.join_next().await.is_some() {}
        if let Some(thread) = self.writer.take()
            && tokio::task::spawn_blocking(move || thread.join()).await.is_err()
        {
            tracing::error!("the writer did not end well");
        }
    }
}

async fn line_failed(lines: &mut JoinSet<Ended>) -> Failure {
    match lines.join_next().await {
        Some(Ok(Ended { who, end: End::NotDurable(why), .. })) => Failure::NotDurable { who, why },
        Some(Ok(Ended { who, end: End::Damaged(why), .. })) => Failure::Damaged { who, why },
        Some(Ok(Ended { who, end: End::Asked, .. })) => Failure::TaskEnded(format!("the task of {who}")),
        Some(Err(e)) => Failure::TaskEnded(e.to_string()),
        None => std::future::pending().await,
    }
}

/// How the task of a line or a station ended. It holds its channels: the tasks of its devices end when they close, and
/// must not be found ended before it, or the log would name the wrong cause.
struct Ended {
    who: String,
    end: End,
    _wires: Box<dyn Any + Send>,
}

async fn stop_line(desk: &LineDesk) {
    if desk.status.borrow().stopped_by.is_none() {
        let (reply, answer) = oneshot::channel();
        let who = Who { name: "shutdown".to_owned(), from: "local".to_owned() };
        if desk.ask.send(Asked { ask: Ask::Stop, who, reply }).await.is_ok() {
            // A line without a run refuses, which is as good.
            drop(tokio::time::timeout(STOP_GRACE, answer).await);
        }
    }
    let mut status = desk.status.clone();
    let settled = status.wait_for(|s| s.run.as_ref().is_none_or(|r| r.pass_unknown.is_empty()));
    drop(tokio::time::timeout(STOP_GRACE, settled).await);
}

/// The pieces that come together line by line.
struct Wiring<'a> {
    config: &'a Config,
    writer: Handle,
    stopped: watch::Receiver<bool>,
    barred: watch::Receiver<Option<Bar>>,
    pooled: watch::Receiver<BTreeMap<Gtin, u64>>,
    stocked: watch::Receiver<BTreeMap<Gtin, u64>>,
    lines: JoinSet<Ended>,
    devices: JoinSet<String>,
    desks: Vec<LineDesk>,
    /// Where stations tell what was read behind the lines' gates.
    behind: Vec<mpsc::Sender<line::Input>>,
    stations: Vec<StationDesk>,
    traces: Vec<(String, tamga_drivers::trace::Trace)>,
    /// What the lines cannot do without, each with its heartbeat.
    watched: Vec<(String, Beat)>,
}

impl Wiring<'_> {
    async fn line(&mut self, no: LineNo, one: &config::line::Line) -> Result<(), StartError> {
        let name = one.name.clone();
        let refused = |why| StartError::Line { line: name.clone(), why };
        let line_config: LineConfig = plan::line(self.config, no, one).map_err(refused)?;
        let lost = |source| StartError::Recover { line: one.name.clone(), source };
        let recovered = self.writer.recover(no).await.map_err(lost)?;
        let core = line::Line::new(line_config, recovered, clock::now(), clock::wall());
        let (events_in, events) = mpsc::channel(INPUTS_MAX);
        let devices = devices::start(self.config, one, &events_in, &mut self.devices)?;
        self.traces.extend(devices.traces);
        let (ask, asked) = mpsc::channel(ASKS_MAX);
        // People may look before the line's first turn: what was recovered is shown from the beginning.
        let (status, seen) = watch::channel(Arc::new(core.status()));
        let (port, answers) = self.writer.port();
        let beat = Beat::default();
        let wires = Wires {
            events,
            asked,
            writer: port,
            answers,
            printers: devices.printers,
            gate: devices.gate,
            belt: devices.belt,
            status,
            pooled: if one.kind.prints() { self.pooled.clone() } else { self.stocked.clone() },
            stop: self.stopped.clone(),
            beat: beat.clone(),
            bar: self.barred.clone(),
        };
        self.watched.push((format!("line {}", one.name), beat));
        let who = format!("line {}", one.name);
        self.lines.spawn(async move {
            let mut wires = wires;
            let end = crate::line::run(core, &mut wires).await;
            Ended { who, end, _wires: Box::new(wires) }
        });
        let (name, kind) = (one.name.clone(), one.kind.key());
        self.desks.push(LineDesk { no, name, kind, ask, status: seen });
        self.behind.push(events_in);
        Ok(())
    }
}

/// Where the disk is full, the ballast goes: what starts now can be opened and looked at.
fn relieve(data: &Path) {
    match disk::relieve(data) {
        Ok(true) => tracing::error!("the disk is full: the ballast was let go"),
        Ok(false) => {}
        // A folder that is not there yet has no ballast.
        Err(error) => tracing::debug!(%error, "the ballast was not let go"),
    }
}

/// Eight hexadecimal digits that no other agent has: taken once, at the first opening of a data folder.
pub fn new_agent_id() -> String {
    format!("{:08x}", fastrand::u32(..))
}

/// Puts the database beside its witness. What is in doubt is told, and bars issuing; only another agent that has the
/// witness, or another machine's data folder, keeps the daemon from starting.
fn stand(store: &mut Store, data: &Path, witness: &Path) -> Result<Option<Doubt>, StartError> {
    let refused = |source| StartError::Store { data: data.to_owned(), source };
    let here = Here::of(data, clock::wall());
    let here = here.map_err(|source| refused(StoreError::Folder { path: data.to_owned(), source }))?;
    if here.machine.is_none() {
        tracing::warn!("this machine has no /etc/machine-id: a copied data folder cannot be told by it");
    }
    let standing = match Folder::open(witness, store.agent_id()) {
        Ok(folder) => store.stand(Box::new(folder), &here).map_err(refused)?,
        Err(source @ ShelfError::InUse { .. }) => {
            return Err(StartError::Witness { data: data.to_owned(), source });
        }
        Err(ShelfError::Folder { source, .. }) => {
            store.bar(Bar::Witness);
            Standing::Away(source)
        }
    };
    match standing {
        Standing::Proven { instead_of: None } => Ok(None),
        Standing::Proven { instead_of: Some(before) } => {
            tracing::error!(
                before,
                "another agent worked in this data folder, and its database is not here: is the disk mounted?"
            );
            Ok(None)
        }
        Standing::Away(error) => {
            let folder = witness.display();
            tracing::error!(%folder, %error, "the witness cannot be used: no code is issued until a start that can");
            Ok(None)
        }
        Standing::Doubted(doubt) => {
            let doubt_key = doubt.key();
            tracing::error!(doubt = doubt_key, "no code is issued until this is settled: tamga db settle");
            Ok(Some(doubt))
        }
    }
}

/// The number of each line, kept by its name: a line keeps its runs when the file's order changes.
fn line_numbers(store: &mut Store, config: &Config) -> Result<Vec<LineNo>, StoreError> {
    let names = config.lines.iter().map(|line| line.name.as_str());
    Ok(numbered(store, "lines", names)?.into_iter().map(LineNo).collect())
}

/// Numbers that names keep for ever, whatever the order of the file.
fn numbered<'n>(
    store: &mut Store,
    kept: &str,
    wanted: impl Iterator<Item = &'n str>,
) -> Result<Vec<u16>, StoreError> {
    let known = store.meta(kept)?.unwrap_or_default();
    let mut names: Vec<String> = known.lines().map(str::to_owned).collect();
    let mut numbers = Vec::new();
    for name in wanted {
        let at = names.iter().position(|n| n == name).unwrap_or(names.len());
        if at == names.len() {
            names.push(name.to_owned());
        }
        numbers.push(u16::try_from(at).unwrap_or(u16::MAX));
    }
    store.set_meta(kept, &names.join("\n"))?;
    Ok(numbers)
}

fn products(config: &Config) -> Vec<Product> {
    let product = |p: &config::product::Product| Product {
        gtin: p.gtin,
        group: p.group.as_str().to_owned(),
        name: p.name.clone(),
        kind: if p.packs.is_some() { PackageKind::Group } else { PackageKind::Unit },
        packs: p.packs,
    };
    config.products.iter().map(product).collect()
}

/// Beats for the writer's thread as long as it answers. A writer that has ended ends the lines, and they the process.
async fn beat_of_writer(writer: Handle, beat: Beat, every: Duration, stopped: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let beats = async {
        while writer.turns().await.is_ok() {
            beat.bump();
            every.tick().await;
        }
    };
    until_stopped(beats, stopped).await;
}

async fn until_stopped(work: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|s| *s) => {}
        () = work => {}
    }
}

fn start_upstream(
    config: &Config,
    books: StoreBooks,
    layouts: &BTreeMap<String, Layout>,
    (mut assigned, bug): (mpsc::Receiver<OrderPlan>, mpsc::Sender<String>),
    stopped: &watch::Receiver<bool>,
    windows: &mut JoinSet<()>,
) -> watch::Receiver<UpstreamStatus> {
    let (status, seen) = watch::channel(UpstreamStatus::default());
    let Some(config::upstream::Upstream::Xtrace(xtrace)) = &config.upstream else { return seen };
    let setup = plan::upstream(config, xtrace, &books.agent, layouts);
    let books = Arc::new(books);
    let mut stopped = stopped.clone();
    windows.spawn(async move {
        loop {
            let run = upstream::run(setup(), books.clone(), &mut assigned, status.clone(), stopped.clone());
            match run.await {
                Ok(()) => return,
                // A second try would meet it again, in silence and for ever: the process ends, and says so.
                Err(e @ UpstreamError::Books(BooksError { bug: true, .. })) => {
                    drop(bug.send(chain(&e)).await);
                    return;
                }
                // After a failed write the process ends; a look that failed is tried again.
                Err(e @ UpstreamError::Books(_)) => tracing::error!(error = chain(&e), "upstream ends"),
                Err(e @ UpstreamError::Setup(_)) => tracing::error!(error = chain(&e), "upstream waits"),
            }
            if tokio::time::timeout(WINDOW_PAUSE, stopped.wait_for(|s| *s)).await.is_ok() {
                return;
            }
        }
    });
    seen
}

async fn open_door(
    config: &Config,
    desk: Desk,
    mut stopped: watch::Receiver<bool>,
    windows: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let token = Token::load_or_make(&config.agent.data)?;
    let address = config.api.listen;
    let socket = match &config.api.socket {
        Some(path) => Some(Socket::bind(path, config.api.socket_group.as_deref())?),
        None => None,
    };
    let hosts = config.api.hosts.clone();
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| StartError::Listen { address, source })?;
    let api = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    windows.spawn(async move {
        let stop = async move {
            // A sender that is gone means the same.
            drop(stopped.wait_for(|s| *s).await);
        };
        let door = Door { listener, socket, token, hosts };
        if let Err(e) = web::serve(desk, door, stop).await {
            tracing::error!(error = %e, "the API ended");
        }
    });
    Ok(api)
}

/// Runs the daemon of a configuration until SIGTERM or SIGINT.
///
/// # Errors
/// When the configuration has problems, something cannot be started, or a line lost what it needs.
pub fn serve(config: &Path) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    let data = config.agent.data.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut daemon = start(config, Manager::of_environment().map(Arc::new)).await?;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            biased;
            failure = daemon.failed() => {
                relieve(&data);
                return Err(failure.into());
            }
            _ = terminate.recv() => {}
            asked = tokio::signal::ctrl_c() => asked?,
        }
        tracing::info!("going down");
        daemon.stop().await;
        Ok(())
    })
}
