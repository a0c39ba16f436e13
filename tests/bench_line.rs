//! What the whole agent does: items a second with durable verdicts, the time of a verdict, memory, the time to be ready.
//!
//! `cargo bench --bench line -- --items 20000 --lines 10 --rate 2000 --codes 1000000 --dir /some/disk`
//!
//! The agent is the real binary in a process of its own. Pre-printed lines are driven by a lean load (`bench/load.rs`)
//! that speaks the wire; the simulated state system answers pulls and reports all the while. A verdict is timed from
//! outside: from the write of a read to the arrival of the pass of its item's tag at the gate.
#![allow(clippy::unwrap_used)]

#[path = "bench/load.rs"]
#[allow(dead_code)] // what the bench of the station takes besides
mod load;
#[path = "store/made.rs"]
mod made;
#[path = "bench/pool.rs"]
mod pool;
#[path = "bench/process.rs"]
mod process;
#[path = "world/mod.rs"]
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use load::{Line, Measured};
use process::{Agent, own_cpu, quantiles, seconds};
use reqwest::Method;
use serde_json::{Value, json};
use tamga_simulators::upstream;
use world::operator::Operator;
use world::{GTIN, Wanted, until};

/// Starts after a kill that are timed.
const RESTARTS: usize = 3;
/// The aims of the project: items a second, memory, time to be ready, a verdict's time above two commits.
const RATE_AIM: f64 = 333.0;
const MEMORY_AIM_MIB: f64 = 64.0;
const READY_AIM_S: f64 = 1.0;
const VERDICT_AIM_MS: f64 = 20.0;

struct Args {
    items: usize,
    lines: usize,
    rate: u32,
    codes: u64,
    poll_ms: u32,
    dir: PathBuf,
}

fn args() -> Args {
    let dir = std::env::temp_dir();
    let mut args = Args { items: 20_000, lines: 10, rate: 2000, codes: 1_000_000, poll_ms: 5, dir };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value after the option");
        match word.as_str() {
            "--items" => args.items = value().parse().expect("a number of items, of all lines"),
            "--lines" => args.lines = value().parse().expect("a number of lines"),
            "--rate" => args.rate = value().parse().expect("items a minute on each line"),
            "--codes" => args.codes = value().parse().expect("a number of codes"),
            "--poll-ms" => args.poll_ms = value().parse().expect("milliseconds"),
            "--dir" => args.dir = value().into(),
            _ => {} // what cargo adds
        }
    }
    args
}

fn main() {
    let args = args();
    let dir = args.dir.join(format!("tamga-bench-line-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(bench(&args, &dir));
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn bench(args: &Args, dir: &Path) {
    println!(
        "{} items on {} lines of {} a minute; {} codes pooled; {}; load average {}",
        args.items,
        args.lines,
        args.rate,
        args.codes,
        dir.display(),
        std::fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
    let filling = Instant::now();
    pool::fill(&dir.join("data"), args.codes);
    println!("the pool was filled in {:.1} s", seconds(filling));
    let begun = Instant::now();
    let state = upstream::spawn(world::settings(&Wanted::default())).unwrap();
    let roll = world::printing_house(state.api_addr, u32::try_from(args.items).unwrap()).await;
    let each = args.items / args.lines;
    let lines: Vec<Line> =
        roll.chunks(each).take(args.lines).map(|codes| Line::new(codes.to_vec(), begun)).collect();
    let api = world::free_port();
    let config = dir.join("line.toml");
    world::write_private(&dir.join("api-key"), world::API_KEY);
    std::fs::write(&config, config_text(args, dir, &lines, api, state.api_addr)).unwrap();

    let operator = Operator::new(api, &dir.join("data"));
    let (agent, first_ready) = ready(&config, &operator).await;
    let (idle_kib, _) = agent.memory_kib();
    let importing = Instant::now();
    for part in roll.chunks(10_000) {
        operator.import("roll", "water", part).await.unwrap();
    }
    let import_s = seconds(importing);
    let (stop_floor, stopped) = std::sync::mpsc::channel();
    let floor_dir = dir.join("floor");
    let floor = std::thread::spawn(move || pool::commits(&floor_dir, &stopped));
    let run = work(args, &lines, &agent, &operator).await;
    drop(stop_floor);
    let mut floor = floor.join().unwrap();
    let (after_kib, most_kib) = agent.memory_kib();
    let anonymous_kib = agent.anonymous_kib();
    let shown = operator.status().await.unwrap_or_default();
    let summary = state.summary();
    let upstream = operator.upstream().await.unwrap_or_default();
    agent.kill();
    let mut restarts = Vec::new();
    for _ in 0..RESTARTS {
        let (agent, took) = ready(&config, &operator).await;
        restarts.push(took);
        agent.kill();
    }

    let measured = sum(&lines);
    let mut verdicts = measured.verdicts_us.clone();
    println!("the slowest, ms at s: {}", slowest(&measured));
    let (v, c) = (quantiles(&mut verdicts), quantiles(&mut floor));
    let rate = f64::from(measured.passed) / run.seconds;
    println!("imported {} codes in {import_s:.1} s; first ready after {first_ready:.2} s", roll.len());
    println!(
        "{:.1} s: {} triggers, {} passed, {} rejected; the gates were asked {:.0} times a second",
        run.seconds,
        measured.triggers,
        measured.passed,
        measured.rejected,
        measured.polls as f64 / run.seconds
    );
    println!(
        "processor: agent {:.2} cores, load and state system {:.2} cores",
        run.agent_cores, run.own_cores
    );
    println!("as the agent sees it: {}", upstream["upstream"]);
    println!("meanwhile upstream: {}", serde_json::to_string(&summary).unwrap());
    println!(
        "verdict as line 1 shows it (median, p99, max of the last thousand): {}",
        shown["lines"][0]["verdict_us"]
    );
    println!();
    println!("{:<34}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p99", "p99.9", "max");
    let row = |what: &str, q: &process::Quantiles| {
        println!("{what:<34}{:>10.2}{:>10.2}{:>10.2}{:>10.2}", q.p50, q.p99, q.p999, q.max);
    };
    row("read written to pass at the gate", &v);
    row("one durable commit, meanwhile", &c);
    println!(
        "{:<34}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
        "ratio",
        v.p50 / c.p50,
        v.p99 / c.p99,
        v.p999 / c.p999,
        v.max / c.max
    );
    println!();
    println!("{:<34}{:>10}{:>10}{:>10}", "", "measured", "aim", "ratio");
    let aim = |what: &str, found: f64, aim: f64| {
        println!("{what:<34}{found:>10.2}{aim:>10.2}{:>10.2}", found / aim);
    };
    aim("items a second", rate, RATE_AIM);
    aim("verdict p99.9, ms (20 + 2 commits)", v.p999, VERDICT_AIM_MS + 2.0 * c.p999);
    aim("memory idle, MiB", idle_kib as f64 / 1024.0, MEMORY_AIM_MIB);
    aim("memory after the run, MiB", after_kib as f64 / 1024.0, MEMORY_AIM_MIB);
    aim("  of it no file's pages, MiB", anonymous_kib as f64 / 1024.0, MEMORY_AIM_MIB);
    aim("memory, the most, MiB", most_kib as f64 / 1024.0, MEMORY_AIM_MIB);
    aim("ready after a kill, s (worst)", restarts.iter().copied().fold(0.0, f64::max), READY_AIM_S);
}

/// Starts the agent; how long until its API says that it is ready.
async fn ready(config: &Path, operator: &Operator) -> (Agent, f64) {
    let started = Instant::now();
    let agent = Agent::start(config);
    while operator.status().await.is_none() {
        assert!(seconds(started) < 60.0, "the agent does not become ready");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (agent, seconds(started))
}

struct Run {
    seconds: f64,
    agent_cores: f64,
    own_cores: f64,
}

/// Starts a run on each line, and the belts, and waits until every item has met its fate.
async fn work(args: &Args, lines: &[Line], agent: &Agent, operator: &Operator) -> Run {
    for n in 1..=lines.len() {
        let body = start_body(n, args.items);
        until("the line to start", Duration::from_secs(20), async || {
            let path = format!("/api/v1/lines/l{n}/run");
            operator.call(Method::POST, &path, Some(body.clone())).await.ok()
        })
        .await;
    }
    let (agent_before, own_before, started) = (agent.cpu(), own_cpu(), Instant::now());
    let (stop, belt) = load::belt(lines, args.rate);
    let mut stood = 0;
    let at_most =
        Duration::from_secs(60 + 2 * 60 * args.items as u64 / (args.lines as u64 * u64::from(args.rate)));
    until("all items to meet their fate", at_most, async || {
        let line = operator.status().await?;
        for (n, line) in (1..).zip(line["lines"].as_array()?) {
            // What is shown is up to a tenth of a second old: right after the start it is from before it.
            if line["stopped_by"]["key"]
                .as_str()
                .is_some_and(|k| !k.ends_with("no_run") && !k.ends_with("starting"))
            {
                stood += 1;
                drop(operator.call(Method::POST, &format!("/api/v1/lines/l{n}/run/resume"), None).await);
            }
        }
        belt.is_finished().then_some(())
    })
    .await;
    let took = seconds(started);
    drop(stop);
    if stood > 0 {
        println!("a line was found standing {stood} times, and let run on");
    }
    let cores = |before: Duration, after: Duration| (after - before).as_secs_f64() / took;
    Run {
        seconds: took,
        agent_cores: cores(agent_before, agent.cpu()),
        own_cores: cores(own_before, own_cpu()),
    }
}

fn start_body(n: usize, quantity: usize) -> Value {
    let (production, expiry) = world::dates();
    // More than there are items: the run is still open at the kill.
    json!({ "key": format!("bench-{n}"), "gtin": GTIN, "quantity": quantity + 1, "batch": "B-17",
        "production": production, "expiry": expiry })
}

/// The slowest verdicts and when they were: many at one moment are one stall.
fn slowest(measured: &Measured) -> String {
    let mut all: Vec<(u64, u64)> =
        measured.verdicts_us.iter().copied().zip(measured.at_ms.iter().copied()).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let one = |(us, at): &(u64, u64)| format!("{} at {:.2}", us / 1000, *at as f64 / 1000.0);
    all.iter().take(30).map(one).collect::<Vec<_>>().join(", ")
}

fn sum(lines: &[Line]) -> Measured {
    lines.iter().map(Line::measured).fold(Measured::default(), |mut sum, one| {
        sum.triggers += one.triggers;
        sum.passed += one.passed;
        sum.rejected += one.rejected;
        sum.polls += one.polls;
        sum.verdicts_us.extend(one.verdicts_us);
        sum.at_ms.extend(one.at_ms);
        sum
    })
}

fn config_text(args: &Args, dir: &Path, lines: &[Line], api: SocketAddr, state: SocketAddr) -> String {
    // Pulls never end: as many codes come as the lines use, or more.
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
pull_codes = 200
report_every_s = 30
timeout_s = 5
poll_s = 1
[[products]]
gtin = "{GTIN}"
name = "Water 0.5 l"
group = "water"
order = {{ low_water = 1000000, quantity = 100000 }}
[[products]]
gtin = "{pooled}"
name = "Water 1.5 l"
group = "water"
"#,
        data = dir.join("data").display(),
        key = dir.join("api-key").display(),
        pooled = made::gtin(0),
    );
    for (n, line) in (1..).zip(lines) {
        text.push_str(&format!(
            r#"
[lines.l{n}]
kind = "pre-printed"
items_reader_to_gate = 10
[lines.l{n}.readers.r1.text]
connect = "{reader}"
no_read = ["NOREAD"]
latency_ms_min = 4
latency_ms_max = 25
[lines.l{n}.gate.modbus]
address = "{gate}"
poll_ms = {poll}
scan_ms_max = 0
"#,
            reader = line.reader,
            gate = line.gate,
            poll = args.poll_ms,
        ));
    }
    text
}
