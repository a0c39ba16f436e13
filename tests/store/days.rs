//! Declared days: kept as such, and turned into the moment of production when a report is drafted, once for ever.

use tamga::store::Store;
use tamga::store::open::database_path;
use tamga_domain::day::{Day, Zone};
use tamga_domain::ids::{PassNo, RunId};
use tamga_domain::record::{
    Answer, OrderState, OrderTerms, PassRange, Record, ReportKind, ReportState, RunPlan, RunState,
};
use tamga_domain::time::Wall;

use crate::kit::*;

const EAST: &str = "+05:00";

fn east() -> Zone {
    Zone::parse(EAST).unwrap()
}

/// A run of the day with one pass at `passed_ms` after the day's beginning in the plant.
fn passed(day: Day, passed_ms: i64, ordered_ms: Option<i64>) -> (World, RunId) {
    let mut w = World::new();
    let begins = east().begins(day);
    w.now = begins.plus_ms(passed_ms).0 - 60_000;
    let order = w.order("PO-1");
    let ordered = ordered_ms.map(|ms| begins.plus_ms(ms));
    let (state, at) = (OrderState::Ready(OrderTerms { ordered, ..OrderTerms::default() }), w.at());
    w.apply(Record::OrderState { order, state, why: String::new(), at }).unwrap();
    let block = w.block(order, "p", 3);
    w.unpack(block, 0, 1..=3);
    let plan = RunPlan { production: day, ..plan("r") };
    let at = w.at();
    let opened = Record::RunOpened { line: LINE, plan, who: "anna".into(), at, gate: None };
    let Some(Answer::Run(run)) = w.apply(opened).unwrap() else { panic!() };
    w.run_state(run, RunState::Running).unwrap();
    w.issue(run, 3);
    for record in [w.trigger(run, 1), w.verify(run, 1, 1)] {
        w.apply(record).unwrap();
    }
    w.now = begins.plus_ms(passed_ms).0 - 1_000;
    let record = w.passed(run, 1, 1);
    w.apply(record).unwrap();
    (w, run)
}

fn draft(w: &mut World, run: RunId, zone: Zone) -> Record {
    let passes = vec![PassRange { from: PassNo(1), to: PassNo(1) }];
    Record::ReportDrafted {
        run,
        kind: ReportKind::Application,
        passes,
        replaces: None,
        unsure: false,
        zone,
        by: None,
        at: w.at(),
    }
}

#[test]
fn a_report_carries_a_moment_of_the_declared_day_of_the_plant() {
    let day = Day(20_000);
    let hour = 3_600_000;
    let (begins, ends) = (east().begins(day), east().ends(day));
    for (why, passed_ms, ordered_ms, expected) in [
        ("marked on the day", 8 * hour, Some(hour), begins.plus_ms(8 * hour)),
        ("marked in the first hours, which are the day before by UTC", hour, Some(0), begins.plus_ms(hour)),
        ("marked after midnight", 25 * hour, Some(hour), ends),
        ("printed ahead", -hour, Some(-9 * hour), begins),
        ("our clock is behind upstream's", 8 * hour, Some(8 * hour + 7), begins.plus_ms(8 * hour + 8)),
        ("ordered after the day: the day stays", 30 * hour, Some(26 * hour), ends),
    ] {
        let (mut w, run) = passed(day, passed_ms, ordered_ms);
        let record = draft(&mut w, run, east());
        let Some(Answer::Report(_, production)) = w.twice(record) else { panic!() };
        assert_eq!(production, expected, "{why}");
        assert_eq!(east().day_of(production), day, "{why}");
    }
}

/// This computer's clock was a year ahead when the item passed. What a refused report is parted into keeps the moment.
#[test]
fn a_moment_that_upstreams_clock_disproves_is_corrected_and_the_correction_kept() {
    let (day, year, hour) = (Day(20_000), 365 * 86_400_000, 3_600_000);
    let true_now = east().begins(day).plus_ms(9 * hour);
    let (mut w, run) = passed(day, year, Some(hour));
    let by = |record, wall: Wall| match record {
        Record::ReportDrafted { run, kind, passes, replaces, unsure, zone, at, .. } => {
            Record::ReportDrafted { run, kind, passes, replaces, unsure, zone, by: Some(wall), at }
        }
        other => panic!("{other:?}"),
    };
    let record = by(draft(&mut w, run, east()), true_now);
    let Some(Answer::Report(report, production)) = w.twice(record) else { panic!() };
    assert_eq!(production, true_now);
    let why = w.store.view().reports_open().unwrap()[0].why.clone();
    assert!(why.contains("clock") && why.contains("ahead"), "{why}");
    let record = w.report_state(report, ReportState::Refused);
    w.apply(record).unwrap();
    let heir = by(w.draft(run, &[(1, 1)], Some(report)), true_now.plus_ms(5 * hour));
    let Some(Answer::Report(_, production)) = w.apply(heir).unwrap() else { panic!() };
    assert_eq!(production, true_now);
}

#[test]
fn the_moment_is_fixed_when_the_report_is_drafted() {
    let day = Day(20_000);
    let (mut w, run) = passed(day, 3_600_000, Some(0));
    let record = draft(&mut w, run, east());
    let Some(Answer::Report(report, production)) = w.apply(record).unwrap() else { panic!() };
    let World { store, folder, now } = w;
    drop(store);
    let mut w = World { store: Store::open(folder.path(), "x").unwrap(), folder, now };
    for state in [ReportState::Sent, ReportState::Unknown] {
        let record = w.report_state(report, state);
        w.apply(record).unwrap();
        let open = w.store.view().reports_open().unwrap();
        assert_eq!(open[0].production, production);
    }
}

#[test]
fn a_run_keeps_its_declared_days() {
    let w = {
        let mut w = World::new();
        w.run("r");
        w
    };
    let recovered = w.store.recover(LINE).unwrap().run.unwrap();
    assert_eq!(recovered.plan, plan("r"));
}

/// A database of the first schema: moments become the days that they were, reports the moment that they carried.
#[test]
fn days_are_read_from_the_moments_of_the_first_schema() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    conn.execute_batch(include_str!("../../agent/src/store/migrations/0001.sql")).unwrap();
    conn.execute_batch(
        "PRAGMA application_id = 0x546D6761; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;
         INSERT INTO gtins VALUES(1, '04780012345677');
         INSERT INTO lines(line) VALUES(0), (1);
         INSERT INTO orders(order_no, po_number, gtin_id, goods_group, kind, quantity, release_method, upstream_id,
             state, why, wanted_at, changed_at) VALUES(1, 'a-1', 1, 'water', 0, 10, 'PRIMARY', 'u', 4, '', 1, 1);
         INSERT INTO changes(subject, no, state, who, why, at) VALUES(2, 1, 3, '', '', 77), (2, 1, 4, '', '', 99);
         INSERT INTO runs(run, line, key, gtin_id, goods_group, quantity, batch, production, expiry, state, opened_at,
             opened_by) VALUES(1, 0, 'k', 1, 'water', 0, 'B', 1795305600000, 1826841600000, 1, 5, 'anna'),
             (2, 1, 'l', 1, 'water', 0, 'B', 1795391999999, NULL, 1, 5, 'anna');
         INSERT INTO reports(report_no, run, kind, state, why, drafted_at, changed_at, passes)
             VALUES(1, 1, 0, 0, '', 6, 6, 0);",
    )
    .unwrap();
    drop(conn);
    let store = Store::open(folder.path(), "0a1b2c3d").unwrap();
    let plan = store.recover(LINE).unwrap().run.unwrap().plan;
    assert_eq!((plan.production, plan.expiry), (Day::parse("2026-11-22").unwrap(), Day::parse("2027-11-22")));
    let plan = store.recover(tamga_domain::ids::LineNo(1)).unwrap().run.unwrap().plan;
    assert_eq!((plan.production, plan.expiry), (Day::parse("2026-11-22").unwrap(), None));
    assert_eq!(store.view().reports_open().unwrap()[0].production, Wall(1_795_305_600_000));
    assert_eq!(store.view().orders(None, 1).unwrap()[0].ordered, Some(Wall(77)));
}
