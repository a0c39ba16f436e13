//! The close of a run, the line's step over the real store: what a clearance leaves over is spoiled slice by slice, a
//! kill between two slices included, and the sheet balances.

use std::collections::BTreeMap;
use std::time::Duration;

use tamga::store::Store;
use tamga_domain::code::Identity;
use tamga_domain::day::Zone;
use tamga_domain::ids::{LineNo, RunId};
use tamga_domain::layout::reader::Substitutes;
use tamga_domain::lifecycle::{SpoilReason, State};
use tamga_domain::line::items::Latency;
use tamga_domain::line::order::OrderLimits;
use tamga_domain::line::{DeviceNames, Effect, GateSizes, Input, Line, LineConfig, LineKind};
use tamga_domain::record::{Answer, ItemEnd, Record, RunState};
use tamga_domain::time::{Time, Wall};
use tamga_domain::verdict::Reason;

use crate::kit::*;

const UNSEEN: State = State::Spoiled(SpoilReason::Unseen);
const REJECTED: State = State::Spoiled(SpoilReason::Rejected);

fn line(store: &Store, kind: LineKind) -> Line {
    let config = LineConfig {
        line: LineNo(0),
        kind,
        printers: vec![],
        latency: Latency { min: Duration::ZERO, max: Duration::from_millis(100) },
        gate: GateSizes { memory: 64, leaves: 32 },
        order: OrderLimits::default(),
        consecutive_bad_max: 0,
        bad_rate_max: 0,
        bad_rate_window: 0,
        life_left_min: Duration::ZERO,
        zone: Zone::UTC,
        pool_low: 0,
        substitutes: Substitutes::usual(),
        products: BTreeMap::new(),
        device_names: DeviceNames::default(),
    };
    Line::new(config, store.recover(LINE).unwrap(), Time(0), Wall(0))
}

/// Lets the line commit until it has nothing more to write, at most `commits` times; answers how often it did.
fn turn(w: &mut World, line: &mut Line, commits: u32) -> u32 {
    let mut now = Time(1);
    for done in 0..commits {
        let mut out = Vec::new();
        now = now.after(Duration::from_secs(1));
        line.flush(now, &mut out);
        let txns: Vec<_> = out
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Commit(txn) => Some(txn),
                _ => None,
            })
            .collect();
        let Some(txn) = txns.first() else { return done };
        let answers = w.store.apply(&txns).unwrap().remove(0);
        line.step(now, Wall(0), Input::Committed(txn.id, answers), &mut Vec::new());
    }
    commits
}

/// Ends the process and starts it anew, as far as the store can tell.
fn restart(w: World) -> World {
    let World { store, folder, now } = w;
    drop(store);
    World { store: Store::open(folder.path(), "x").unwrap(), folder, now }
}

fn reject_item(w: &mut World, run: RunId, n: u32, t: u32) {
    for record in [w.trigger(run, t), w.verify(run, n, t)] {
        w.apply(record).unwrap();
    }
    let end = ItemEnd::Rejected { reason: Reason::Late, code: Some(identity(n)) };
    let record = w.end(run, t, end);
    w.apply(record).unwrap();
}

fn spoil_left(w: &mut World, run: RunId, limit: u32) -> Record {
    Record::SpoilLeft { run, limit, who: "anna".into(), at: w.at() }
}

/// Which codes of the sheet are spoiled so, by number.
fn spoiled(w: &World, run: RunId, as_what: State) -> Vec<Identity> {
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    sheet.spoiled.iter().filter(|(_, s)| *s == as_what).map(|(c, _)| *c).collect()
}

fn identities(numbers: std::ops::RangeInclusive<u32>) -> Vec<Identity> {
    numbers.map(identity).collect()
}

#[test]
fn a_close_goes_on_after_a_kill_between_any_two_slices_and_balances() {
    let mut w = World::new();
    w.pool(400);
    let run = w.run("r");
    for _ in 0..4 {
        w.issue(run, 100);
    }
    w.pass_item(run, 1, 1);
    w.pass_item(run, 2, 2);
    let report = w.report(run, &[(1, 1)]);
    (3..=152).for_each(|n| reject_item(&mut w, run, n, n));
    // 248 unseen and 150 of rejected items: four slices.
    w.run_state(run, RunState::Closing).unwrap();
    for spoiled in [100, 200, 300] {
        let mut line = line(&w.store, LineKind::PrintAndApply);
        assert_eq!(turn(&mut w, &mut line, 1), 1);
        w = restart(w);
        w.verified();
        assert_eq!(w.store.view().run_codes(run).unwrap().spoiled, spoiled);
    }
    // The last slice, and the run closes.
    let mut line = line(&w.store, LineKind::PrintAndApply);
    assert_eq!(turn(&mut w, &mut line, 10), 2);
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    let c = sheet.codes;
    assert_eq!(sheet.state, RunState::Closed);
    assert_eq!((c.issued, c.in_doubt, c.verified, c.applied, c.spoiled), (400, 0, 2, 0, 398));
    assert_eq!(spoiled(&w, run, REJECTED), identities(3..=152));
    assert_eq!(spoiled(&w, run, UNSEEN), identities(153..=400));
    // What a report carries, and what one may still carry, is as it was.
    assert_eq!(sheet.unreported, 1);
    let record = w.report_state(report, tamga_domain::record::ReportState::Accepted);
    w.apply(record).unwrap();
    assert_eq!(w.state(1), Some(State::Applied));
    w.verified();
}

#[test]
fn a_rejected_code_of_a_pre_printed_line_is_rejected_for_good_and_the_roll_keeps_the_rest() {
    let mut w = World::new();
    w.stock("roll-1", 1..=5);
    let run = w.run("r");
    w.pass_item(run, 1, 1);
    reject_item(&mut w, run, 2, 2);
    // Rejected, fed again, and passed: on goods.
    reject_item(&mut w, run, 3, 3);
    w.pass_item(run, 3, 4);
    w.run_state(run, RunState::Closing).unwrap();
    let mut line = line(&w.store, LineKind::PrePrinted);
    assert_eq!(turn(&mut w, &mut line, 10), 2);
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!((sheet.state, sheet.codes.verified, sheet.codes.spoiled), (RunState::Closed, 2, 1));
    assert_eq!(spoiled(&w, run, REJECTED), identities(2..=2));
    assert_eq!(sheet.blocks[0].0.counts.pooled, 2);
    w.verified();
}

#[test]
fn a_run_does_not_close_over_a_code_of_a_rejected_item_and_a_running_one_gives_none_up() {
    let mut w = World::new();
    w.pool(3);
    let run = w.run("r");
    w.issue(run, 1);
    reject_item(&mut w, run, 1, 1);
    let record = spoil_left(&mut w, run, 10);
    assert!(matches!(w.refused(record), tamga::store::error::Rule::RunRunning(_)));
    w.run_state(run, RunState::Closing).unwrap();
    let (why, who, at) = (String::new(), "anna".into(), w.at());
    let rule = w.refused(Record::RunState { run, state: RunState::Closed, why, who, at });
    assert!(matches!(rule, tamga::store::error::Rule::NotBalanced { rejected: 1, .. }), "{rule:?}");
    let record = spoil_left(&mut w, run, 10);
    assert_eq!(w.twice(record), Some(Answer::Left { codes: 0 }));
    let incidents = w.store.view().incidents(Some(run), 10).unwrap();
    assert_eq!(incidents[0].key, "spoiled_rejected");
    w.run_state(run, RunState::Closed).unwrap();
    w.verified();
}
