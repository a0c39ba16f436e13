//! A plant on a desk: simulated devices and state system on loopback sockets, and a configuration that joins them.
//!
//! Used by the demo, the line tests and the crash tests. Nothing here knows the inside of the agent: it is configured
//! by a file and spoken to over its HTTP API.
#![allow(dead_code)] // each of its users takes what it needs

pub mod compare;
pub mod operator;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::gate::GateConfig;
use tamga_simulators::model::plant::{Kind, PlantConfig};
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::model::reader::ReaderConfig;
use tamga_simulators::model::xtrace::settings::Settings;
use tamga_simulators::serve::{self, Ports, ReaderRole};
use tamga_simulators::upstream;

/// Water, 0.5 l: the simulated state system's own product.
pub const GTIN: &str = "04780000000014";

/// The key of the simulated state system.
pub const API_KEY: &str = "uz-key";

/// What kind of world is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub kind: Kind,
    pub items_per_min: u32,
    pub seed: u64,
    pub faults: FaultPlan,
    /// Items of a pre-printed line: a printing house orders so many codes of the state system and prints the roll.
    pub roll: u32,
    /// The belt brings no more items than these.
    pub items_max: Option<u64>,
    /// Codes in one order and in one pull.
    pub order: u32,
    pub low_water: u32,
    pub pull: u32,
    pub report_every_s: u32,
    pub reader: ReaderLink,
    /// The gate's PLC: its scan, and how long it takes over an answer.
    pub gate_scan_ms: u64,
    pub gate_answer_ms: u64,
    /// The reader's window as configured; the widest that has one item at a time in it, if not said.
    pub latency_ms_max: Option<u32>,
    /// More of the configuration, as it stands in the file.
    pub more: String,
}

/// How reader and agent find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderLink {
    /// The agent connects to the reader.
    Connect,
    /// The reader calls the agent.
    Listen,
    /// The agent opens a serial line; the test joins it to the reader's socket.
    Serial(PathBuf),
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            kind: Kind::PrintAndApply,
            items_per_min: 600,
            seed: 1,
            faults: FaultPlan::none(),
            roll: 0,
            items_max: None,
            order: 3000,
            low_water: 1000,
            pull: 500,
            report_every_s: 5,
            reader: ReaderLink::Connect,
            gate_scan_ms: 0,
            gate_answer_ms: 0,
            latency_ms_max: None,
            more: String::new(),
        }
    }
}

/// The simulators, and where the agent finds them.
pub struct World {
    pub plant: serve::Handle,
    pub upstream: upstream::Handle,
    /// The folder of the configuration, the key and the agent's data.
    pub dir: PathBuf,
    pub config: PathBuf,
    pub api: SocketAddr,
    /// The codes of the printing house's roll, in the order of the items.
    pub roll: Vec<Vec<u8>>,
}

impl World {
    /// Starts the simulators and writes the configuration into `dir`, which must be empty.
    pub async fn build(wanted: &Wanted, dir: &Path) -> World {
        let called = free_port();
        let mut ports = Ports::loopback();
        if wanted.reader == ReaderLink::Listen {
            ports.reader = Some(ReaderRole::Connect(called));
        }
        let upstream =
            upstream::spawn(settings(wanted)).expect("the simulated state system starts on loopback");
        let roll = printing_house(upstream.api_addr, wanted.roll).await;
        let plant = serve::spawn(plant(wanted, &roll), wanted.faults.clone(), ports).await;
        let plant = plant.expect("the simulated plant starts on loopback");
        let api = free_port();
        let world = World { plant, upstream, dir: dir.to_owned(), config: dir.join("line.toml"), api, roll };
        world.write(wanted, called);
        world
    }

    fn write(&self, wanted: &Wanted, called: SocketAddr) {
        let key = self.dir.join("api-key");
        write_private(&key, API_KEY);
        std::fs::write(&self.config, self.config_text(wanted, called, &key)).expect("the folder is ours");
    }

    fn config_text(&self, wanted: &Wanted, called: SocketAddr, key: &Path) -> String {
        let gate = self.plant.gate_addr().expect("spawned with a gate");
        let reader = match &wanted.reader {
            ReaderLink::Connect => {
                let reader = self.plant.reader_addr().expect("spawned with a reader");
                format!("connect = \"{reader}\"")
            }
            ReaderLink::Listen => format!("listen = \"{called}\"\npeers = [\"127.0.0.1\"]"),
            ReaderLink::Serial(path) => format!("serial = \"{}\"\nbaud = 115200", path.display()),
        };
        let printer = match wanted.kind {
            Kind::PrePrinted => String::new(),
            Kind::PrintAndApply | Kind::Print => format!(
                r#"
[lines.l1.printers.p1.zpl]
address = "{}"
window = 6
module_dots = 4
label_width_dots = 400
label_length_dots = 300
stored_format = "E:TAMGA.ZPL"
poll_ms = 50
texts = [{{ x = 200, y = 30, height = 24, text = "{{batch}} {{expiry}}" }}]
"#,
                self.plant.printer_addr().expect("spawned with a printer")
            ),
        };
        let ordering = match wanted.kind {
            Kind::PrePrinted => String::new(),
            Kind::PrintAndApply | Kind::Print => {
                format!("order = {{ low_water = {}, quantity = {} }}", wanted.low_water, wanted.order)
            }
        };
        let kind = match wanted.kind {
            Kind::PrintAndApply => "print-and-apply",
            Kind::Print => "print",
            Kind::PrePrinted => "pre-printed",
        };
        format!(
            r#"# Written by the test world.
[agent]
data = "{data}"
country = "uz"
language = "en"

[api]
listen = "{api}"

[log]
level = "warn"

[upstream.xtrace]
url = "http://{upstream}"
api_key_file = "{key}"
business_place = 1
manufacturer_country = "UZ"
requests_per_min = 6000
pull_codes = {pull}
report_every_s = {report}
documents_every_s = 5
settle_min_s = 12
timeout_s = 5
poll_s = 1

[[products]]
gtin = "{GTIN}"
name = "Water 0.5 l"
group = "water"
{ordering}

[lines.l1]
kind = "{kind}"
labels_head_to_applicator = {web}
items_applicator_to_reader = 3
items_reader_to_gate = 4
life_left_min_h = 24

[lines.l1.limits]
consecutive_bad_max = 10
bad_rate_max_percent = 50
bad_rate_window = 100
{printer}
[lines.l1.readers.r1.text]
{reader}
no_read = ["NOREAD"]
several_delimiter = "\t"
latency_ms_min = 4
latency_ms_max = {window}

[lines.l1.gate.modbus]
address = "{gate}"
poll_ms = 2
scan_ms_max = {scan}
{more}"#,
            more = wanted.more,
            scan = wanted.gate_scan_ms,
            web = if wanted.kind == Kind::PrintAndApply { 3 } else { 0 },
            data = self.dir.join("data").display(),
            api = self.api,
            upstream = self.upstream.api_addr,
            key = key.display(),
            pull = wanted.pull,
            report = wanted.report_every_s,
            // As long as one item at a time can be in it: the tests' machine may be busy.
            window = wanted.latency_ms_max.unwrap_or((54_000 / wanted.items_per_min.max(1)).clamp(10, 150)),
        )
    }
}

/// Orders codes of the state system as a printing house does, and takes them all: whole codes, byte by byte.
pub async fn printing_house(state: SocketAddr, count: u32) -> Vec<Vec<u8>> {
    if count == 0 {
        return vec![];
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let http = reqwest::Client::builder().no_proxy().build().expect("a client without special settings");
    let call = async |request: reqwest::RequestBuilder| -> Option<serde_json::Value> {
        request.bearer_auth(API_KEY).header("Accept", "*/*").send().await.ok()?.json().await.ok()
    };
    let product = serde_json::json!({ "gtin": GTIN, "quantity": count, "serialNumberType": "OPERATOR", "cisType": "UNIT" });
    let order = serde_json::json!({ "productGroup": "water", "products": [product], "businessPlaceId": 1,
        "releaseMethodType": "PRIMARY", "poNumber": "PRINTING-HOUSE-1", "isPaid": true });
    let made = call(http.post(format!("http://{state}/api/orders")).json(&order)).await.expect("an order");
    let id = made["orderId"].as_str().expect("the order has an id").to_owned();
    until("the printing house's codes", Duration::from_secs(20), async || {
        let url = format!("http://{state}/api/codes?orderId={id}&gtin={GTIN}&quantity={count}");
        let block = call(http.get(url)).await?;
        let codes = block["codes"].as_array()?.iter();
        Some(codes.filter_map(|c| Some(c.as_str()?.as_bytes().to_vec())).collect())
    })
    .await
}

/// A production moment just past and an expiry a year later, in RFC 3339.
pub fn dates() -> (String, String) {
    let text = |t: time::OffsetDateTime| {
        t.format(&time::format_description::well_known::Rfc3339).expect("a date of our time")
    };
    let now = time::OffsetDateTime::now_utc();
    (text(now), text(now + time::Duration::days(365)))
}

fn plant(wanted: &Wanted, roll: &[Vec<u8>]) -> PlantConfig {
    let mode = match wanted.kind {
        Kind::Print => PrintMode::Demand,
        Kind::PrintAndApply | Kind::PrePrinted => PrintMode::Stream { web_capacity: 3 },
    };
    // A print engine faster than the belt; the field's fastest would do for 425 items a minute.
    let label_ms = (60_000 / u64::from(wanted.items_per_min.max(1)) / 3).max(1);
    PlantConfig {
        kind: wanted.kind,
        seed: wanted.seed,
        belt: BeltConfig {
            items_per_min: wanted.items_per_min,
            items_head_to_reader: 3,
            items_reader_to_gate: 4,
            total_items: wanted.items_max,
            ..BeltConfig::default()
        },
        printer: PrinterConfig { mode, first_label_ms: label_ms, label_ms, ..PrinterConfig::default() },
        reader: ReaderConfig::default(),
        gate: GateConfig {
            scan_ms: wanted.gate_scan_ms,
            answer_ms: wanted.gate_answer_ms,
            ..GateConfig::default()
        },
        belt_on: true,
        person_ms: 500,
        power_off_ms: 800,
        codes: roll.to_vec(),
        ..PlantConfig::default()
    }
}

pub fn settings(wanted: &Wanted) -> Settings {
    let mut settings = Settings::uz().at_once();
    settings.seed = wanted.seed;
    settings.limits.calls_per_min_max = 100_000;
    settings
}

pub fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut open = std::fs::OpenOptions::new();
    let file = open.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.expect("the folder is ours").write_all(text.as_bytes()).expect("there is room");
}

/// An address that nobody else binds before the agent does: of an address of the loopback network that only this process
/// uses, and below the ports that the system gives away.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 100, high, low);
    let next = || SocketAddr::from((own, NEXT.fetch_add(1, Ordering::Relaxed)));
    let free = (0..10_000).map(|_| next()).find(|address| TcpListener::bind(address).is_ok());
    free.expect("Linux answers on all of 127.0.0.0/8")
}

/// In a folder of [`scratch`] that is kept for a person: the command that does the same again.
pub const KEPT: &str = "kept";

/// An empty folder of this process, for `name`.
pub fn scratch(name: &str) -> PathBuf {
    static OWN: OnceLock<Own> = OnceLock::new();
    let own = OWN.get_or_init(|| {
        left_by_the_dead();
        Own::make(&scratches(), std::process::id())
    });
    let dir = own.path.join(name);
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).expect("the temporary folder takes files");
    dir
}

/// Clears what processes left that were killed. What they kept for a person stays, and is named.
pub fn left_by_the_dead() -> Vec<PathBuf> {
    left_in(&scratches())
}

/// Where all processes of this user have their folders, one each.
fn scratches() -> PathBuf {
    let user = std::fs::metadata("/proc/self").map_or(0, |own| std::os::unix::fs::MetadataExt::uid(&own));
    std::env::temp_dir().join(format!("tamga-scratch-{user}"))
}

/// The folder of one process, locked for as long as that lives: the kernel lets go of the lock of one that is killed.
pub struct Own {
    pub path: PathBuf,
    _lock: File,
}

impl Own {
    pub fn make(all: &Path, process: u32) -> Own {
        let (new, path) = (all.join(format!("new-{process}")), all.join(process.to_string()));
        // It has its name only when it is locked.
        std::fs::create_dir_all(&new).expect("the temporary folder takes files");
        let lock = File::open(&new).expect("it was just made");
        lock.try_lock().expect("nobody else has its name");
        if std::fs::rename(&new, &path).is_err() {
            // Kept by a dead process of the same number.
            drop(std::fs::remove_dir_all(&path));
            std::fs::rename(&new, &path).expect("the temporary folder takes files");
        }
        Own { path, _lock: lock }
    }
}

/// [`left_by_the_dead`] in this folder of folders.
pub fn left_in(all: &Path) -> Vec<PathBuf> {
    let inside = |dir: &Path| -> Vec<PathBuf> {
        let found = std::fs::read_dir(dir).into_iter().flatten();
        found.filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let of_a_process =
        |dir: &PathBuf| dir.file_name().is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let mut kept = Vec::new();
    for left in inside(all).into_iter().filter(of_a_process) {
        let dead = File::open(&left).is_ok_and(|dir| dir.try_lock().is_ok());
        for folder in inside(&left).into_iter().filter(|_| dead) {
            if folder.join(KEPT).exists() {
                kept.push(folder);
            } else {
                drop(std::fs::remove_dir_all(folder));
            }
        }
        if dead {
            // Not while it holds what was kept.
            drop(std::fs::remove_dir(left));
        }
    }
    kept
}

/// Waits until `look` gives something, looking at every change of the clock; fails after `at_most`.
pub async fn until<T>(what: &str, at_most: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = tokio::time::Instant::now() + at_most;
    let mut look_again = tokio::time::interval(Duration::from_millis(20));
    loop {
        look_again.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < give_up, "waited {at_most:?} for {what}");
    }
}
