//! A packing table behind the gate: a person with a scanner in the hand, boxes, a label printer. What is really in each
//! box is kept here, and compared with the agent's books at the end.
//!
//! The person trusts nothing that was not heard: what a dead agent did not say is asked of the next one by doing it
//! again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tamga::store::read::packs::Content;
use tamga::store::read::{Reader, View};
use tamga_domain::ids::StationNo;
use tamga_domain::pack::PackState;
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;
use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::plant::PlantConfig;
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::model::xtrace::truth::Truth as StateTruth;
use tamga_simulators::serve::{self, Ports};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::agent::Agent;
use super::ledgers::identity;
use super::look;
use super::world::operator::Operator;
use super::world::{World, until};

/// Items of a full box.
const CAPACITY: usize = 5;
/// A sound that does not come within this will not: the agent is busy, or gone without a word.
const SOUND_MAX: Duration = Duration::from_secs(20);
/// Restarts in a row, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(300);
/// From one look at what nothing came of to the next.
const AGAIN: Duration = Duration::from_millis(20);
/// Packs are gathered for five seconds, and an unknown document is looked for during twelve; a loaded machine is slower.
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// Why the last box of a campaign is closed short.
const SHORT: &str = "the last ones";

const TAKEN: u8 = b'+';
const CLOSED: u8 = b'!';
const REFUSED: u8 = b'-';

/// What is on the table.
#[derive(Default)]
struct Boxes {
    open: BTreeSet<String>,
    /// The label that was stuck on the open box.
    label: Option<Sscc>,
    closed: BTreeMap<Sscc, BTreeSet<String>>,
    /// The agent said that it is in, oldest first.
    taken: Vec<String>,
    /// Sounds, and what was said beside a refusal: for people.
    told: BTreeMap<String, u32>,
}

/// What people at the table were told, newest first.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub taken: Vec<String>,
    pub closed: Vec<Sscc>,
    pub labels: Vec<Sscc>,
}

pub struct Table {
    printer: serve::Handle,
    scanner: TcpListener,
    address: SocketAddr,
    boxes: Mutex<Boxes>,
    scans: AtomicU64,
    /// No more items come.
    last: AtomicBool,
    /// One person works at it.
    turn: Turn<Option<TcpStream>>,
}

impl Table {
    pub async fn build() -> Table {
        let any = "127.0.0.1:0".parse().ok();
        let ports = Ports { printer: any, reader: None, gate: None, control: None };
        // Labels are torn off: nothing waits for an applicator.
        let printer = PrinterConfig {
            mode: PrintMode::Stream { web_capacity: 100_000 },
            first_label_ms: 20,
            label_ms: 20,
            ..PrinterConfig::default()
        };
        let plant = PlantConfig { printer, ..PlantConfig::default() };
        let printer = serve::spawn(plant, FaultPlan::none(), ports).await.unwrap();
        let scanner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Table {
            printer,
            address: scanner.local_addr().unwrap(),
            scanner,
            boxes: Mutex::default(),
            scans: AtomicU64::new(0),
            last: AtomicBool::new(false),
            turn: Turn::new(None),
        }
    }

    /// What the agent's configuration says of it.
    pub fn config(&self) -> String {
        format!(
            r#"
[sscc]
extension = 0
company_prefix = "4780001"
first = 100
last = 999999

[stations.box1]
level = "box"
holds = "items"
capacity = {CAPACITY}
mixing = "same-product"

[stations.box1.sounds]
taken = "+"
closed = "!"
refused = "-"

[stations.box1.reader.text]
connect = "{}"

[stations.box1.printer.zpl]
address = "{}"
label_width_dots = 800
label_length_dots = 400
poll_ms = 20
"#,
            self.address,
            self.printer.printer_addr().expect("spawned with a printer"),
        )
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }

    /// Labels that came out of the printer.
    pub fn labels(&self) -> u64 {
        self.printer.summary().labels_printed
    }

    /// No more items come: the box that is open is the last.
    pub fn no_more(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    pub fn told(&self, most: usize) -> Told {
        let boxes = self.boxes();
        Told {
            taken: boxes.taken.iter().rev().take(most).cloned().collect(),
            closed: boxes.closed.keys().rev().take(most).copied().collect(),
            labels: self.names().into_iter().rev().take(most).collect(),
        }
    }

    fn names(&self) -> Vec<Sscc> {
        let labels = self.printer.truth().labels;
        labels.iter().filter_map(|label| Sscc::parse_read(label.symbol.as_deref()?).ok()).collect()
    }

    /// Packs what passed until no more comes and the last box is closed.
    pub async fn work(&self, world: &World, operator: &Operator) {
        let mut stream = self.turn.lock().await;
        let (mut seen, mut waiting) = (0, VecDeque::new());
        let mut progress = Instant::now();
        loop {
            // Read before the items: what passed until then is all there is.
            let last = self.last.load(Ordering::Relaxed);
            let passed = world.plant.truth().passed_codes();
            waiting.extend(passed[seen..].iter().map(|code| code.to_vec()));
            seen = passed.len();
            let station = operator.status().await.map(|status| status["stations"][0].clone());
            let step = match &station {
                Some(station) => self.step(station, &mut waiting, last, &mut stream, operator).await,
                None => None,
            };
            match step {
                Some(true) => return,
                Some(false) => progress = Instant::now(),
                // Not yet, or the agent is away: looked at again.
                None => tokio::time::sleep(AGAIN).await,
            }
            let stuck = progress.elapsed() > PATIENCE;
            let wait = waiting.len();
            assert!(
                !stuck,
                "nothing to do at the table for {PATIENCE:?}: {}, {wait} items wait, {station:?}",
                self.counts()
            );
        }
    }

    /// One thing that the person does next. `None`: nothing came of it, look again; true: all is done.
    async fn step(
        &self,
        station: &Value,
        waiting: &mut VecDeque<Vec<u8>>,
        last: bool,
        stream: &mut Option<TcpStream>,
        operator: &Operator,
    ) -> Option<bool> {
        let label = self.boxes().label;
        if let Some(name) = label {
            let heard = self.scan(&name.render(), stream).await;
            if heard == Some(CLOSED) || self.is_closed(name, operator).await? {
                let mut boxes = self.boxes();
                boxes.label = None;
                let content = std::mem::take(&mut boxes.open);
                boxes.closed.insert(name, content);
            }
            return Some(false);
        }
        let open = &station["open"];
        let label = open["label"]["key"].as_str();
        if let Some(name) = open["name"].as_str().and_then(|name| Sscc::parse(name.as_bytes()).ok()) {
            if self.names().contains(&name) {
                self.boxes().label = Some(name);
            } else if matches!(label, Some("doubtful" | "unasked")) {
                self.ask(operator, "reprint", "no label came").await?;
            } else {
                return None;
            }
            return Some(false);
        }
        if label == Some("unasked") {
            self.ask(operator, "reprint", "no label came").await?;
            return Some(false);
        }
        if let Some(code) = waiting.front() {
            let before = tamga::clock::wall();
            let heard = self.scan(code, stream).await;
            let again =
                heard == Some(REFUSED) && self.refusal(before, operator).await? == "pack.not_in.again";
            // What nobody heard of stays in the hand.
            heard?;
            let code = waiting.pop_front().expect("it was looked at");
            if heard == Some(TAKEN) || again {
                let mut boxes = self.boxes();
                boxes.taken.push(identity(&code));
                boxes.open.insert(identity(&code));
            } else {
                // Its pass may not be known yet, or the box waits for its label: after a while.
                waiting.push_back(code);
                return None;
            }
            return Some(false);
        }
        match (last, open.is_null()) {
            (true, true) => Some(true),
            (true, false) => {
                self.ask(operator, "short", SHORT).await?;
                Some(false)
            }
            (false, _) => Some(false),
        }
    }

    async fn ask(&self, operator: &Operator, what: &str, reason: &str) -> Option<Value> {
        let path = format!("/api/v1/stations/box1/{what}");
        operator.call(Method::POST, &path, Some(json!({ "reason": reason }))).await.ok()
    }

    /// What the panel says of a scan made at `before`: what is shown is up to a tenth of a second old.
    async fn refusal(&self, before: Wall, operator: &Operator) -> Option<String> {
        let said = loop {
            let last = operator.status().await?["stations"][0]["last"].clone();
            let at = OffsetDateTime::parse(last["at"].as_str().unwrap_or_default(), &Rfc3339);
            if at.is_ok_and(|at| at.unix_timestamp_nanos() / 1_000_000 >= i128::from(before.0)) {
                break last["key"].as_str().unwrap_or_default().to_owned();
            }
            tokio::time::sleep(AGAIN).await;
        };
        *self.boxes().told.entry(said.clone()).or_default() += 1;
        Some(said)
    }

    async fn is_closed(&self, name: Sscc, operator: &Operator) -> Option<bool> {
        let shown =
            operator.call(Method::POST, "/api/v1/packs/show", Some(json!({ "scan": name.to_string() })));
        let shown = shown.await.ok()?;
        Some(shown["pack"]["state"]["key"] == "closed")
    }

    /// Scans something and listens. A connection that ended is the agent's death: the next agent calls again.
    async fn scan(&self, bytes: &[u8], stream: &mut Option<TcpStream>) -> Option<u8> {
        let mut line = match stream.take() {
            Some(line) => line,
            None => tokio::time::timeout(SOUND_MAX, self.scanner.accept()).await.ok()?.ok()?.0,
        };
        self.scans.fetch_add(1, Ordering::Relaxed);
        line.write_all(&[bytes, b"\r\n"].concat()).await.ok()?;
        let mut sound = [0];
        tokio::time::timeout(SOUND_MAX, line.read_exact(&mut sound)).await.ok()?.ok()?;
        *stream = Some(line);
        let name = match sound[0] {
            TAKEN => "taken",
            CLOSED => "closed",
            REFUSED => "refused",
            _ => "a sound that is none of the station",
        };
        *self.boxes().told.entry(name.to_owned()).or_default() += 1;
        Some(sound[0])
    }

    /// What the books say that is not so, or what is so and is not in them.
    pub fn compare(&self, data: &Path) -> Vec<String> {
        let reader = Reader::open(data).unwrap();
        let view = reader.view().unwrap();
        let boxes = self.boxes();
        let names: BTreeSet<Sscc> = self.names().into_iter().collect();
        let closed =
            |name: &&Sscc| view.pack((**name).into()).unwrap().is_some_and(|p| p.state == PackState::Closed);
        let all: BTreeSet<Sscc> = names.iter().chain(boxes.closed.keys()).copied().collect();
        let books = InBooks {
            closed: all.iter().filter(closed).map(|name| (*name, content(&view, *name))).collect(),
            is_open: view.open_pack(StationNo(0)).unwrap().is_some(),
        };
        differences(&boxes.closed, &names, &books)
    }

    /// Waits until the state system was told of every box and no document is open.
    pub async fn told_upstream(&self, world: &World, operator: &Operator, agent: &Agent) {
        until("the boxes to be told upstream", SETTLE_MAX, async || {
            agent.must_live();
            let full = operator.upstream().await?;
            let quiet = full["documents"].as_array()?.is_empty();
            (quiet && world.upstream.summary().boxes >= self.closed()).then_some(())
        })
        .await;
    }

    /// What the state system was told that is not so, or was not told.
    pub fn compare_upstream(&self, state: &StateTruth) -> Vec<String> {
        told_wrong(&self.boxes().closed, state)
    }

    /// How much was packed, for people.
    pub fn counts(&self) -> String {
        let boxes = self.boxes();
        let items: usize = boxes.closed.values().map(BTreeSet::len).sum();
        format!("{} boxes of {items} items; {:?}", boxes.closed.len(), boxes.told)
    }

    pub fn closed(&self) -> u64 {
        self.boxes().closed.len() as u64
    }

    pub async fn shutdown(self) {
        self.printer.shutdown().await;
    }
}

/// Boxes as the agent's books have them.
#[derive(Clone, Debug, Default)]
pub struct InBooks {
    pub closed: BTreeMap<Sscc, BTreeSet<String>>,
    pub is_open: bool,
}

/// All differences between the boxes that were closed, the labels that were printed and the books, each as a line.
pub fn differences(
    closed: &BTreeMap<Sscc, BTreeSet<String>>,
    labels: &BTreeSet<Sscc>,
    books: &InBooks,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, really) in closed {
        let Some(in_books) = books.closed.get(name) else {
            wrong.push(format!("box {name} is closed, and not in the books"));
            continue;
        };
        for item in in_books.symmetric_difference(really) {
            let lies = if really.contains(item) { "in the box only" } else { "in the books only" };
            wrong.push(format!("box {name}: {item} is {lies}"));
        }
    }
    let strange = books.closed.keys().filter(|name| !closed.contains_key(*name));
    wrong.extend(strange.map(|name| format!("box {name} is closed in the books, and not on the table")));
    if books.is_open {
        wrong.push("a box is open in the books, and none on the table".to_owned());
    }
    let strange = labels.iter().filter(|name| !closed.contains_key(*name));
    wrong.extend(strange.map(|name| format!("label {name} is on no box that was closed")));
    wrong
}

/// All differences between the boxes that were closed and those that the state system was told of.
pub fn told_wrong(closed: &BTreeMap<Sscc, BTreeSet<String>>, state: &StateTruth) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut theirs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for one in &state.boxes {
        theirs.insert(&one.code, one.children.iter().cloned().collect());
    }
    for (name, really) in closed {
        match theirs.remove(format!("00{name}").as_str()) {
            None => wrong.push(format!("box {name} is unknown upstream")),
            Some(told) if told != *really => {
                wrong.push(format!("box {name} holds {really:?}, and upstream was told {told:?}"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(theirs.keys().map(|code| format!("upstream knows of {code}, and no such box was closed")));
    let again = state.units.iter().filter(|unit| unit.made != 1 || unit.taken_apart != 0);
    wrong.extend(again.map(|unit| {
        format!(
            "{} was told {} times upstream, and taken apart {} times",
            unit.code, unit.made, unit.taken_apart
        )
    }));
    wrong
}

impl Told {
    pub fn count(&self) -> u64 {
        (self.taken.len() + self.closed.len() + self.labels.len()) as u64
    }

    /// What was told and is not in the books.
    pub fn missing(&self, view: &View<'_>) -> Result<Vec<String>, tamga::store::error::StoreError> {
        let mut missing = Vec::new();
        for code in &self.taken {
            if view.pack_of(&look::identity(code))?.is_none() {
                missing.push(format!("{code} was taken into a box and is in none in the books"));
            }
        }
        for name in &self.closed {
            let pack = view.pack((*name).into())?;
            if pack.as_ref().is_none_or(|pack| pack.state != PackState::Closed) {
                missing.push(format!("box {name} was closed and is {pack:?} in the books"));
            }
        }
        for name in &self.labels {
            if view.pack((*name).into())?.is_none_or(|pack| pack.labels == 0) {
                missing.push(format!("label {name} was printed and is in the books of no pack"));
            }
        }
        Ok(missing)
    }
}

fn content(view: &View<'_>, name: Sscc) -> BTreeSet<String> {
    let pack = view.pack(name.into()).unwrap().expect("it was found before").pack;
    let one = |child| match child {
        Content::Item(code) => {
            format!("01{}21{}", code.gtin, String::from_utf8_lossy(code.serial.as_bytes()))
        }
        Content::Pack(name) => format!("the pack {name}"),
    };
    view.content(pack).unwrap().into_iter().map(one).collect()
}
