//! A data folder with a pool in it, and the price of one durable commit on its disk.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tamga::store::Store;
use tamga_domain::day::Zone;
use tamga_domain::ids::{LineNo, RunId, Tag, TxnId};
use tamga_domain::record::{
    Answer, ItemEnd, OrderPlan, OrderState, OrderTerms, PackageKind, Record, RunPlan, RunState, Txn, Unpacked,
};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

use crate::made::{ORDER, PRODUCT, code, gtin};

/// From one commit of the floor to the next.
const EVERY: Duration = Duration::from_millis(20);
/// Codes of one answer of upstream.
const BLOCK: u64 = 30_000;

fn now() -> Wall {
    tamga::clock::wall()
}

fn apply(store: &mut Store, records: Vec<Record>) -> Vec<Answer> {
    let answers = store.apply(&[Txn { id: TxnId(0), records }]).unwrap().remove(0);
    store.maintain(true).unwrap();
    answers
}

/// Fills the folder with pooled codes, as the agent would have received and unpacked them.
pub fn fill(dir: &Path, codes: u64) {
    let mut store = Store::open(dir, "0a1b2c3d").unwrap();
    for first_of_order in (0..codes).step_by(ORDER as usize) {
        let end = codes.min(first_of_order + ORDER);
        let plan = OrderPlan {
            po_number: format!("0a1b2c3d-{first_of_order}"),
            gtin: gtin(first_of_order / PRODUCT),
            group: "water".into(),
            kind: PackageKind::Unit,
            quantity: u32::try_from(end - first_of_order).unwrap(),
            release_method: "PRODUCTION".into(),
            business_place: None,
            upstream_id: None,
        };
        let Answer::Order(order) = apply(&mut store, vec![Record::OrderWanted { order: plan, at: now() }])[0]
        else {
            panic!("no order")
        };
        for state in [OrderState::Ready(OrderTerms::default()), OrderState::Exhausted] {
            let last = state == OrderState::Exhausted;
            if last {
                (first_of_order..end).step_by(BLOCK as usize).for_each(|n| block(&mut store, order, n, end));
            }
            apply(&mut store, vec![Record::OrderState { order, state, why: String::new(), at: now() }]);
        }
    }
}

fn block(store: &mut Store, order: tamga_domain::ids::OrderNo, first: u64, end: u64) {
    let count = BLOCK.min(end - first);
    // As xTrace gives it: 38 characters and JSON around each.
    let body = vec![b'x'; usize::try_from(count).unwrap() * 50];
    let n = u32::try_from(count).unwrap();
    let record =
        Record::Block { order, pack_id: first.to_string(), previous: None, body, count: n, at: now() };
    let Answer::Block(block) = apply(store, vec![record])[0] else { panic!("no block") };
    let slice = |from: u64| Record::Unpack {
        block,
        from: u32::try_from(from).unwrap(),
        slice: (from..count.min(from + 100)).map(|n| Unpacked::Code(code(first + n))).collect(),
        at: now(),
    };
    let starts: Vec<u64> = (0..count).step_by(100).collect();
    for group in starts.chunks(20) {
        apply(store, group.iter().map(|from| slice(*from)).collect());
    }
}

/// The times of single durable commits of one item's records, in microseconds: one every 20 ms until `stop` says so,
/// so that they meet whatever the disk and the processors do during the run.
pub fn commits(dir: &Path, stop: &Receiver<()>) -> Vec<u64> {
    let mut store = Store::open(dir, "0a1b2c3e").unwrap();
    let plan = RunPlan {
        key: format!("floor-{}", now().0),
        gtin: gtin(0),
        group: "water".into(),
        quantity: 0,
        batch: "B".into(),
        production: Zone::UTC.day_of(now()),
        expiry: None,
        before_order: false,
    };
    let who = "bench".to_owned();
    let opened = Record::RunOpened { line: LineNo(0), plan, who: who.clone(), at: now(), gate: None };
    let Answer::Run(run) = apply(&mut store, vec![opened])[0] else { panic!("no run") };
    let state = |state| Record::RunState { run, state, why: String::new(), who: who.clone(), at: now() };
    apply(&mut store, vec![state(RunState::Running)]);
    let mut times = Vec::new();
    for n in 1.. {
        times.push(one_commit(&mut store, run, n));
        if stop.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    apply(&mut store, vec![state(RunState::Closing)]);
    apply(&mut store, vec![state(RunState::Closed)]);
    times
}

fn one_commit(store: &mut Store, run: RunId, n: u32) -> u64 {
    let tag = Tag { boot: 1, number: n };
    let end = ItemEnd::Rejected { reason: Reason::NoRead, code: None };
    let records = vec![Record::Trigger { run, tag, at: now() }, Record::End { run, tag, end, at: now() }];
    let started = Instant::now();
    store.apply(&[Txn { id: TxnId(u64::from(n)), records }]).unwrap();
    let took = u64::try_from(started.elapsed().as_micros()).unwrap();
    store.maintain(true).unwrap();
    took
}
