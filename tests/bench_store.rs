//! What the store costs: bytes a code, look-ups, commits, opening after a kill.
//!
//! `cargo bench --bench store -- --codes 10000000 --lives 300000 --dir /some/disk`
#![allow(clippy::unwrap_used)]

#[path = "store/made.rs"]
mod made;
#[path = "store/measure.rs"]
mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tamga::store::Store;
use tamga_domain::code::{Identity, Serial};
use tamga_domain::day::Zone;
use tamga_domain::ids::{LineNo, OrderNo, PassNo, PrinterNo, ReportNo, RunId, Tag, TxnId};
use tamga_domain::record::{
    Answer, ItemEnd, JobOutcome, Known, OrderPlan, OrderState, OrderTerms, PackageKind, PassRange, Record,
    ReportKind, ReportState, RunPlan, RunState, Txn, Unpacked,
};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

use made::{ORDER, PRODUCT, code, gtin};
use measure::{Cost, file_bytes, fsync_alone, micros, table_bytes};

/// Codes of one answer of upstream.
const BLOCK: u64 = 30_000;
/// Codes of one slice of it.
const SLICE: u64 = 100;
/// Codes of one report.
const REPORT: u32 = 30_000;

struct Args {
    codes: u64,
    lives: u64,
    dir: PathBuf,
    child: bool,
}

fn args() -> Args {
    let mut args = Args { codes: 10_000_000, lives: 0, dir: std::env::temp_dir(), child: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value after the option");
        match word.as_str() {
            "--codes" => args.codes = value().parse().expect("a number of codes"),
            "--lives" => args.lives = value().parse().expect("a number of codes"),
            "--dir" => args.dir = value().into(),
            "--child" => args.child = true,
            _ => {} // what cargo adds
        }
    }
    if args.lives == 0 {
        args.lives = (args.codes / 10).min(300_000);
    }
    args
}

fn main() {
    let args = args();
    if args.child {
        return write_until_killed(&args.dir);
    }
    let dir = args.dir.join(format!("tamga-bench-{}", std::process::id()));
    println!("{} codes of 38 characters (serial 13, tail 4) in {}", args.codes, dir.display());
    println!("fsync of a 4 KiB append alone: {}", fsync_alone(&args.dir));
    let mut store = Store::open(&dir, "0a1b2c3d").unwrap();
    load(&mut store, args.codes);
    let pooled = file_bytes(&dir);
    println!("pooled: {:.1} bytes a code (database file, all tables)", pooled as f64 / args.codes as f64);
    println!("look-ups, all pooled: {}", look_ups(&store, args.codes));
    lives(&mut store, &dir, args.lives, args.codes);
    println!("look-ups, pooled, applied and unknown: {}", look_ups(&store, args.codes));
    commits(&mut store);
    drop(store);
    open_after_kill(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn now() -> Wall {
    tamga::clock::wall()
}

fn apply(store: &mut Store, records: Vec<Record>) -> Vec<Answer> {
    let answers = store.apply(&[Txn { id: TxnId(0), records }]).unwrap().remove(0);
    store.maintain(true).unwrap();
    answers
}

fn load(store: &mut Store, codes: u64) {
    let started = Instant::now();
    let (mut slices, mut blocks, mut checkpoints) = (Cost::default(), Cost::default(), Cost::default());
    let mut next = 0;
    while next < codes {
        let order = order(store, next / ORDER, ORDER.min(codes - next));
        let end = codes.min(next + ORDER);
        while next < end {
            let count = BLOCK.min(end - next);
            load_block(store, order, next, count, [&mut blocks, &mut slices, &mut checkpoints]);
            next += count;
            if next % (10 * BLOCK) == 0 || next == codes {
                println!("  {next} codes, {:.0} s", started.elapsed().as_secs_f64());
            }
        }
    }
    let rate = codes as f64 / started.elapsed().as_secs_f64();
    println!("received and unpacked {rate:.0} codes/s");
    println!("receiving a block of {BLOCK}, each of its transactions: {blocks}");
    println!("unpacking {SLICE} codes: {slices}");
    checkpoints.only_above(20);
    println!("housework after it, checkpoints and pieces freed: {checkpoints}");
    while store.maintain(true).unwrap() {}
}

fn order(store: &mut Store, n: u64, quantity: u64) -> OrderNo {
    let order = OrderPlan {
        po_number: format!("0a1b2c3d-{n}"),
        gtin: gtin(n * ORDER / PRODUCT),
        group: "water".into(),
        kind: PackageKind::Unit,
        quantity: u32::try_from(quantity).unwrap(),
        release_method: "PRODUCTION".into(),
        business_place: None,
        upstream_id: None,
    };
    let Answer::Order(order) = apply(store, vec![Record::OrderWanted { order, at: now() }]).remove(0) else {
        panic!("no order")
    };
    let state = OrderState::Ready(OrderTerms::default());
    apply(store, vec![Record::OrderState { order, state, why: String::new(), at: now() }]);
    order
}

fn load_block(
    store: &mut Store,
    order: OrderNo,
    first: u64,
    count: u64,
    [blocks, slices, checkpoints]: [&mut Cost; 3],
) {
    // As xTrace gives it: 38 characters and JSON around each.
    let body = vec![b'x'; usize::try_from(count).unwrap() * 50];
    let n = u32::try_from(count).unwrap();
    let record =
        Record::Block { order, pack_id: first.to_string(), previous: None, body, count: n, at: now() };
    let txn = Txn { id: TxnId(0), records: vec![record] };
    // As the writer does it: a piece in each transaction, then the block.
    while blocks.of(store, |s| s.keep_ahead(&txn).unwrap()) {
        store.maintain(true).unwrap();
    }
    let Answer::Block(block) = blocks.of(store, |s| s.apply(&[txn]).unwrap().remove(0).remove(0)) else {
        panic!("no block")
    };
    store.maintain(true).unwrap();
    let mut codes: Vec<_> = (first..first + count).map(code).collect();
    // As the way to upstream unpacks them.
    codes.sort_unstable_by_key(|c| c.identity);
    // The first ten slices alone, as the agent does it; the rest ten at a time, to come to an end.
    let slice = |from: u64| Record::Unpack {
        block,
        from: u32::try_from(from).unwrap(),
        slice: codes[from as usize..count.min(from + SLICE) as usize]
            .iter()
            .map(|c| Unpacked::Code(c.clone()))
            .collect(),
        at: now(),
    };
    let starts: Vec<u64> = (0..count).step_by(SLICE as usize).collect();
    let (alone, rest) = starts.split_at(starts.len().min(10));
    for from in alone {
        let txn = Txn { id: TxnId(0), records: vec![slice(*from)] };
        slices.of(store, |s| s.apply(&[txn]).unwrap());
        checkpoints.of(store, |s| s.maintain(true).unwrap());
    }
    for group in rest.chunks(10) {
        apply(store, group.iter().map(|from| slice(*from)).collect());
    }
}

fn look_ups(store: &Store, codes: u64) -> String {
    const N: usize = 50_000;
    let mut rng = fastrand::Rng::with_seed(1);
    let asked: Vec<_> = (0..N)
        .map(|n| {
            let mut identity = code(rng.u64(..codes)).identity;
            if n % 10 == 9 {
                identity.serial =
                    Serial::new(format!("unknown{:06}", rng.u32(..1_000_000)).as_bytes()).unwrap();
            }
            identity
        })
        .collect();
    let mut times = Vec::with_capacity(N);
    // The first time warms the page cache.
    for round in 0..2 {
        for (n, identity) in asked.iter().enumerate() {
            let started = Instant::now();
            let known = store.find(identity).unwrap();
            if round == 1 {
                times.push(u64::try_from(started.elapsed().as_nanos()).unwrap() / 100);
            }
            assert_eq!(known == Known::Unknown, n % 10 == 9);
        }
    }
    times.sort_unstable();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize] as f64 / 10.0;
    format!("p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs, max {:.1} µs", at(0.5), at(0.99), at(0.999), at(1.0))
}

fn run(store: &mut Store, n: u64) -> RunId {
    let plan = RunPlan {
        key: format!("run-{n}"),
        gtin: gtin(0),
        group: "water".into(),
        quantity: 0,
        batch: "B".into(),
        production: Zone::UTC.day_of(now()),
        expiry: None,
        before_order: false,
    };
    let opened = Record::RunOpened { line: LineNo(0), plan, who: "bench".into(), at: now(), gate: None };
    let Answer::Run(run) = apply(store, vec![opened]).remove(0) else { panic!("no run") };
    state(store, run, RunState::Running);
    run
}

fn state(store: &mut Store, run: RunId, state: RunState) {
    let (why, who) = (String::new(), "bench".into());
    apply(store, vec![Record::RunState { run, state, why, who, at: now() }]);
}

/// Whole lives: issued, printed, read, passed, reported, applied; every 20th item is rejected unread before.
fn lives(store: &mut Store, dir: &Path, lives: u64, codes: u64) {
    let started = Instant::now();
    let lives = lives.min(codes.min(PRODUCT)) / 100 * 100;
    let before = table_bytes(dir);
    let mut tag = 0_u32;
    let (mut done, mut runs, mut drafts, mut accepts) = (0_u64, 0_u64, Cost::default(), Cost::default());
    while done < lives {
        runs += 1;
        let of_run = (lives - done).min(100_000);
        let id = run(store, runs);
        for _ in 0..of_run / 100 {
            let issue = Record::Issue {
                run: id,
                printer: PrinterNo(0),
                count: 100,
                life_left_min_ms: 0,
                day_ends: Wall(i64::MAX),
                at: now(),
            };
            let Answer::Issued(issued) = apply(store, vec![issue]).remove(0) else {
                panic!("nothing issued")
            };
            let records = issued
                .into_iter()
                .flat_map(|i| {
                    tag += 1;
                    life_of(id, i.code.identity, &mut tag)
                })
                .collect();
            apply(store, records);
        }
        report(store, id, u32::try_from(of_run).unwrap(), &mut drafts, &mut accepts);
        state(store, id, RunState::Closing);
        state(store, id, RunState::Closed);
        done += of_run;
    }
    let bytes = table_bytes(dir);
    let per = |name: &str, b: i64| println!("    {name}: {:.1}", b as f64 / lives as f64);
    println!("{lives} whole lives in {:.0} s; bytes a code:", started.elapsed().as_secs_f64());
    let mut total = 0;
    for (name, after) in bytes {
        let grown = after - before.get(&name).copied().unwrap_or(0);
        if grown != 0 && name != "pool" {
            total += grown;
            per(&name, grown);
        }
    }
    println!("after a whole life: {:.1} bytes a code", total as f64 / lives as f64);
    println!("drafting a report of {REPORT}: {drafts}");
    println!("accepting it: {accepts}");
}

fn life_of(run: RunId, code: Identity, tag: &mut u32) -> Vec<Record> {
    let mut records = Vec::new();
    if tag.is_multiple_of(20) {
        let rejected = Tag { boot: 1, number: *tag };
        let end = ItemEnd::Rejected { reason: Reason::NoRead, code: None };
        records.push(Record::Trigger { run, tag: rejected, at: now() });
        records.push(Record::End { run, tag: rejected, end, at: now() });
        *tag += 1;
    }
    let tag = Tag { boot: 1, number: *tag };
    let at = now();
    records.extend([
        Record::Job { run, code, outcome: JobOutcome::Printed, at },
        Record::Trigger { run, tag, at },
        Record::Verify { run, code, tag, at: at.plus_ms(700) },
        Record::End { run, tag, end: ItemEnd::Passed { code }, at: at.plus_ms(900) },
    ]);
    records
}

fn report(store: &mut Store, run: RunId, passes: u32, drafts: &mut Cost, accepts: &mut Cost) {
    for from in (1..=passes).step_by(REPORT as usize) {
        let to = passes.min(from + REPORT - 1);
        let range = PassRange { from: PassNo(from), to: PassNo(to) };
        let kind = ReportKind::Application;
        let passes = vec![range];
        let draft = Record::ReportDrafted {
            run,
            kind,
            passes,
            replaces: None,
            unsure: false,
            zone: Zone::UTC,
            by: None,
            at: now(),
        };
        let Answer::Report(report, _) = drafts.of(store, |s| apply(s, vec![draft]).remove(0)) else {
            panic!("no report")
        };
        let of =
            |report: ReportNo, state| Record::ReportState { report, state, why: String::new(), at: now() };
        apply(store, vec![of(report, ReportState::Sent)]);
        accepts.of(store, |s| apply(s, vec![of(report, ReportState::Accepted)]));
    }
}

/// One commit of one verdict, and one commit of 64; the time of the commit alone, and that of the checkpoint after it.
fn commits(store: &mut Store) {
    let id = run(store, 1_000_000);
    let mut tag = 1_000_000_000_u32;
    for group in [1_usize, 32, 64] {
        let (mut times, mut checkpoints) = (Cost::default(), Cost::default());
        for _ in 0..300 {
            let issue = Record::Issue {
                run: id,
                printer: PrinterNo(0),
                count: 64,
                life_left_min_ms: 0,
                day_ends: Wall(i64::MAX),
                at: now(),
            };
            let Answer::Issued(issued) = apply(store, vec![issue]).remove(0) else {
                panic!("nothing issued")
            };
            let txns: Vec<_> = issued
                .into_iter()
                .take(group)
                .map(|i| {
                    tag += 2;
                    Txn { id: TxnId(0), records: life_of(id, i.code.identity, &mut tag) }
                })
                .collect();
            times.of(store, |s| s.apply(&txns).unwrap());
            checkpoints.of(store, |s| s.maintain(true).unwrap());
        }
        println!("a commit of {group} whole verdicts (four records each): {times}");
        checkpoints.only_above(20);
        println!("    a checkpoint after it: {checkpoints}");
    }
}

fn write_until_killed(dir: &Path) {
    let mut store = Store::open(dir, "x").unwrap();
    for n in 0_u64.. {
        let detail = "x".repeat(2_000);
        let at = now().plus_ms(i64::try_from(n).unwrap());
        let record = Record::Incident { run: None, code: None, tag: None, key: "bench".into(), detail, at };
        store.apply(&[Txn { id: TxnId(n), records: vec![record] }]).unwrap();
        if n == 1_000 {
            println!("ready");
        }
    }
}

fn open_after_kill(dir: &Path) {
    use std::io::BufRead;
    let mut times = Vec::new();
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--child", "--dir", &dir.display().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let wal = std::fs::metadata(dir.join("tamga.db-wal")).unwrap().len();
        let started = Instant::now();
        let store = Store::open(dir, "x").unwrap();
        let opened = micros(started);
        store.recover(LineNo(0)).unwrap();
        println!("open after a kill, WAL of {} KiB: {:.1} ms", wal / 1024, opened as f64 / 1000.0);
        times.push(opened);
    }
}
