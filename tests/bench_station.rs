//! What a person at a packing station waits for: the time from a scan to its sound, while a line runs, reports are on
//! their way and the database holds as many codes as a plant has.
//!
//! `cargo bench --bench station -- --codes 10000000 --items 6000 --stations 2 --dir /some/disk`
//!
//! The agent is the real binary in a process of its own. A pre-printed line is driven by a lean load (`bench/load.rs`);
//! what passes it is scanned at the stations, ten scans a second at each, into boxes with pre-printed labels. The time of
//! one durable commit on the same disk is taken meanwhile.
#![allow(clippy::unwrap_used)]

#[path = "bench/hands.rs"]
mod hands;
#[path = "bench/load.rs"]
#[allow(dead_code)] // what the bench of the line takes besides
mod load;
#[path = "store/made.rs"]
mod made;
#[path = "bench/pool.rs"]
mod pool;
#[path = "bench/process.rs"]
#[allow(dead_code)] // what the bench of the line takes besides
mod process;
#[path = "world/mod.rs"]
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hands::{Heard, Work};
use load::Line;
use process::{Agent, quantiles, seconds};
use reqwest::Method;
use serde_json::json;
use tamga_domain::sscc::SsccRange;
use tamga_simulators::upstream;
use world::operator::Operator;
use world::{GTIN, Wanted, until};

/// The aim of the project for the 99th percentile.
const SOUND_AIM_MS: f64 = 50.0;
/// Ten scans a second.
const EVERY: Duration = Duration::from_millis(100);
/// Pre-printed labels of each station.
const LABELS: u64 = 100_000;

struct Args {
    codes: u64,
    items: usize,
    stations: usize,
    capacity: usize,
    report_s: u32,
    dir: PathBuf,
}

fn args() -> Args {
    let dir = std::env::temp_dir();
    let mut args = Args { codes: 1_000_000, items: 1_200, stations: 2, capacity: 12, report_s: 5, dir };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value after the option");
        match word.as_str() {
            "--codes" => args.codes = value().parse().expect("a number of codes in the database"),
            "--items" => args.items = value().parse().expect("a number of items"),
            "--stations" => args.stations = value().parse().expect("a number of stations"),
            "--capacity" => args.capacity = value().parse().expect("items of a box"),
            "--report-s" => args.report_s = value().parse().expect("seconds from one report to the next"),
            "--dir" => args.dir = value().into(),
            _ => {} // what cargo adds
        }
    }
    args
}

fn main() {
    let args = args();
    let dir = args.dir.join(format!("tamga-bench-station-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bench(&args, &dir));
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn bench(args: &Args, dir: &Path) {
    println!(
        "{} items scanned at {} stations, boxes of {}; {} codes pooled; {}; load average {}",
        args.items,
        args.stations,
        args.capacity,
        args.codes,
        dir.display(),
        std::fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
    pool::fill(&dir.join("data"), args.codes);
    let state = upstream::spawn(world::settings(&Wanted::default())).unwrap();
    // Those behind the last one that is scanned are still on their way to the table.
    let roll =
        world::printing_house(state.api_addr, u32::try_from(args.items + 200 * args.stations).unwrap()).await;
    let line = Arc::new(Line::new(roll.clone(), Instant::now()));
    let api = world::free_port();
    let config = dir.join("line.toml");
    let scanners: Vec<_> = (0..args.stations).map(|_| hands::scanner()).collect();
    let addresses: Vec<SocketAddr> = scanners.iter().map(|(address, _)| *address).collect();
    world::write_private(&dir.join("api-key"), world::API_KEY);
    std::fs::write(&config, config_text(args, dir, &line, api, state.api_addr, &addresses)).unwrap();

    let operator = Operator::new(api, &dir.join("data"));
    let agent = Agent::start(&config);
    until("the agent to be ready", Duration::from_secs(60), async || operator.status().await).await;
    for part in roll.chunks(10_000) {
        operator.import("roll", "water", part).await.unwrap();
    }
    let (stop_floor, stopped) = std::sync::mpsc::channel();
    let floor_dir = dir.join("floor");
    let floor = std::thread::spawn(move || pool::commits(&floor_dir, &stopped));
    let body = start_body(roll.len());
    until("the line to start", Duration::from_secs(20), async || {
        operator.call(Method::POST, "/api/v1/lines/l1/run", Some(body.clone())).await.ok()
    })
    .await;
    let started = Instant::now();
    // As many as are scanned, and some more: what is not scanned yet lies on the table.
    let a_minute = u32::try_from(600 * args.stations).unwrap();
    let (stop, belt) = load::belt(std::slice::from_ref(&*line), a_minute);
    let (stop_hands, hands): (Vec<_>, Vec<_>) = scanners
        .into_iter()
        .enumerate()
        .map(|(n, (_, listener))| {
            let from = LABELS * n as u64;
            let work = Work {
                first: n,
                of: args.stations,
                items: args.items / args.stations,
                capacity: args.capacity,
                labels: SsccRange::new(1, "4780001", from, from + LABELS).unwrap(),
                every: EVERY,
            };
            hands::work(listener, Arc::clone(&line), work)
        })
        .unzip();
    let heard: Vec<Heard> =
        tokio::task::spawn_blocking(|| hands.into_iter().map(|hand| hand.join().unwrap()).collect())
            .await
            .unwrap();
    let took = seconds(started);
    drop((stop, stop_hands));
    belt.join().unwrap();
    drop(stop_floor);
    let mut floor = floor.join().unwrap();
    let shown = operator.status().await.unwrap_or_default();
    let summary = state.summary();
    agent.kill();

    let all = |count: fn(&Heard) -> u32| heard.iter().map(count).sum::<u32>();
    println!(
        "{took:.1} s: {} items taken, {} boxes closed, {} scans refused, {} without a sound; lost, says the agent: {}",
        all(|h| h.taken),
        all(|h| h.closed),
        all(|h| h.refused),
        all(|h| h.unheard),
        shown["stations"].as_array().map_or(0, |s| s.iter().filter_map(|s| s["lost"].as_u64()).sum()),
    );
    println!("meanwhile upstream: {}", serde_json::to_string(&summary).unwrap());
    let mut sounds: Vec<u64> = heard.iter().flat_map(|h| h.sounds_us.iter().copied()).collect();
    let (s, c) = (quantiles(&mut sounds), quantiles(&mut floor));
    println!("{:<34}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p99", "p99.9", "max");
    for (what, q) in [("scan written to sound", &s), ("one durable commit, meanwhile", &c)] {
        println!("{what:<34}{:>10.2}{:>10.2}{:>10.2}{:>10.2}", q.p50, q.p99, q.p999, q.max);
    }
    println!(
        "{:<34}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
        "ratio",
        s.p50 / c.p50,
        s.p99 / c.p99,
        s.p999 / c.p999,
        s.max / c.max
    );
    println!("p99 {:.2} ms, aim {SOUND_AIM_MS}: ratio {:.2}", s.p99, s.p99 / SOUND_AIM_MS);
}

fn start_body(quantity: usize) -> serde_json::Value {
    let (production, expiry) = world::dates();
    json!({ "key": "bench", "gtin": GTIN, "quantity": quantity + 1, "batch": "B-17", "production": production,
        "expiry": expiry })
}

fn config_text(
    args: &Args,
    dir: &Path,
    line: &Line,
    api: SocketAddr,
    state: SocketAddr,
    scanners: &[SocketAddr],
) -> String {
    let mut text = format!(
        r#"[agent]
data = "{data}"
country = "uz"
language = "en"
[api]
listen = "{api}"
[log]
level = "warn"
[upstream.xtrace]
url = "http://{state}"
api_key_file = "{key}"
business_place = 1
requests_per_min = 480
report_every_s = {report_s}
timeout_s = 5
poll_s = 1
[[products]]
gtin = "{GTIN}"
name = "Water 0.5 l"
group = "water"
[[products]]
gtin = "{pooled}"
name = "Water 1.5 l"
group = "water"
[lines.l1]
kind = "pre-printed"
items_reader_to_gate = 10
[lines.l1.readers.r1.text]
connect = "{reader}"
no_read = ["NOREAD"]
latency_ms_min = 4
latency_ms_max = 25
[lines.l1.gate.modbus]
address = "{gate}"
poll_ms = 5
scan_ms_max = 0
"#,
        data = dir.join("data").display(),
        key = dir.join("api-key").display(),
        report_s = args.report_s,
        pooled = made::gtin(0),
        reader = line.reader,
        gate = line.gate,
    );
    for (n, scanner) in scanners.iter().enumerate() {
        text.push_str(&format!(
            r#"[stations.box{n}]
level = "box"
holds = "items"
capacity = {capacity}
names = "pre-printed"
[stations.box{n}.sounds]
taken = "+"
closed = "!"
refused = "-"
[stations.box{n}.reader.text]
connect = "{scanner}"
"#,
            capacity = args.capacity,
        ));
    }
    text
}
