//! Reports over ranges of passes.

use tamga::store::error::Rule;
use tamga_domain::ids::{PassNo, RunId};
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::record::{Answer, PassRange, Record, ReportState};

use crate::kit::*;

fn with_passes(count: u32) -> (World, RunId) {
    let mut w = World::new();
    // Two blocks, so that counts by block have something to tell apart.
    let order = w.order("PO-1");
    w.ready(order, None);
    for (pack, first) in [("a", 1), ("b", count / 2 + 1)] {
        let last = if first == 1 { count / 2 } else { count };
        let block = w.block(order, pack, last - first + 1);
        for from in (first..=last).step_by(100) {
            w.unpack(block, from - first, from..=last.min(from + 99));
        }
    }
    let run = w.run("r");
    let mut t = 0;
    while t < count {
        for issued in w.issue(run, 100) {
            t += 1;
            assert_eq!(issued.code, code(t));
            w.pass_item(run, t, t);
        }
    }
    (w, run)
}

fn ranges(w: &World, run: RunId) -> Vec<(u32, u32)> {
    let free = w.store.view().passes_unreported(run).unwrap();
    free.into_iter().map(|PassRange { from, to }| (from.0, to.0)).collect()
}

#[test]
fn acceptance_applies_the_codes_of_the_ranges_and_touches_none() {
    let (mut w, run) = with_passes(300);
    assert_eq!(ranges(&w, run), [(1, 300)]);
    let record = w.draft(run, &[(2, 2), (10, 290)], None);
    let Some(Answer::Report(report, _)) = w.twice(record) else { panic!() };
    assert_eq!(ranges(&w, run), [(1, 1), (3, 9), (291, 300)]);
    for state in [
        ReportState::Sent,
        ReportState::Unknown,
        ReportState::Sent,
        ReportState::Processing { upstream_id: "u".into() },
    ] {
        let record = w.report_state(report, state);
        w.twice(record);
    }
    let open = w.store.view().reports_open().unwrap();
    assert_eq!((open[0].attempts, open[0].passes, open[0].ranges.len()), (2, 282, 2));
    assert_eq!(w.state(10), Some(State::Verified(Whereabouts::Passed)));
    w.verified();
    let record = w.report_state(report, ReportState::Accepted);
    w.twice(record);
    w.verified();
    let states: Vec<_> =
        [1, 2, 9, 10, 290, 291].into_iter().map(|n| w.state(n) == Some(State::Applied)).collect();
    assert_eq!(states, [false, true, false, true, true, false]);
    assert_eq!(w.store.view().run_codes(run).unwrap().applied, 282);
    let codes = w.store.view().codes_of_passes(run, PassNo(9), PassNo(11)).unwrap();
    assert_eq!(codes, [9, 10, 11].map(|n| (PassNo(n), code(n))));
    let record = w.report_state(report, ReportState::Refused);
    assert!(matches!(w.refused(record), Rule::ReportStep { .. }));
    assert_eq!(w.store.view().story(&identity(10)).unwrap().unwrap().reports[0].state, "accepted");
    assert_eq!(w.store.view().runs_unreported().unwrap(), [(run, 18)]);
}

#[test]
fn every_range_adds_up_its_blocks() {
    let (mut w, run) = with_passes(300);
    for (from, to) in
        [(1, 1), (127, 128), (128, 255), (128, 256), (1, 300), (64, 199), (255, 256), (129, 254)]
    {
        let report = w.report(run, &[(from, to)]);
        w.verified();
        let record = w.report_state(report, ReportState::Refused);
        w.apply(record).unwrap();
    }
    w.verified();
    assert_eq!(ranges(&w, run), [(1, 300)]);
}

#[test]
fn one_open_or_accepted_report_carries_a_pass() {
    let (mut w, run) = with_passes(20);
    let report = w.report(run, &[(5, 10)]);
    for wrong in [
        &[(10, 11)][..],
        &[(1, 5)],
        &[(6, 7)],
        &[(1, 20)],
        &[(11, 21)],
        &[(0, 1)],
        &[(4, 3)],
        &[(12, 13), (13, 14)],
        &[],
    ] {
        let record = w.draft(run, wrong, None);
        let rule = w.refused(record);
        assert!(matches!(rule, Rule::Range { .. }), "{wrong:?} {rule:?}");
    }
    let record = w.report_state(report, ReportState::Refused);
    w.twice(record);
    let record = w.draft(run, &[(1, 20)], Some(report));
    w.twice(record);
    w.verified();
}

#[test]
fn a_code_refused_for_good_stays_named_and_unresolved() {
    let (mut w, run) = with_passes(10);
    let report = w.report(run, &[(1, 10)]);
    let record = w.unresolved(report, 3);
    w.twice(record);
    let record = w.report_state(report, ReportState::Accepted);
    w.twice(record);
    w.verified();
    assert_eq!(w.state(3), Some(State::Verified(Whereabouts::Passed)));
    assert_eq!(w.state(4), Some(State::Applied));
    assert_eq!(ranges(&w, run), []);
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!((sheet.accepted, sheet.open, sheet.held, sheet.refused, sheet.unreported), (9, 0, 1, 1, 0));
    assert_eq!((sheet.unresolved[0].pass, &sheet.unresolved[0].code), (PassNo(3), &identity(3)));
    let record = w.unresolved(report, 4);
    assert!(matches!(w.refused(record), Rule::ReportStep { .. }));
    assert_eq!(w.store.view().codes_of_passes(run, PassNo(2), PassNo(4)).unwrap().len(), 2);
}

#[test]
fn the_rest_of_a_refused_report_goes_into_a_new_one() {
    let (mut w, run) = with_passes(10);
    let report = w.report(run, &[(1, 10)]);
    let record = w.report_state(report, ReportState::Refused);
    w.apply(record).unwrap();
    let record = w.unresolved(report, 3);
    w.twice(record);
    assert_eq!(ranges(&w, run), [(1, 2), (4, 10)]);
    let record = w.draft(run, &[(1, 10)], Some(report));
    assert!(matches!(w.refused(record), Rule::Range { .. }));
    let record = w.draft(run, &[(1, 2), (4, 10)], Some(report));
    w.twice(record);
    let record = w.unresolved(report, 4);
    assert!(matches!(w.refused(record), Rule::ReportStep { .. }));
    let record = w.unresolved(report, 11);
    assert!(matches!(w.refused(record), Rule::NotCarried { .. }));
    w.verified();
}

#[test]
fn a_code_in_a_report_is_not_spoiled_and_a_spoiled_one_is_not_reported() {
    let (mut w, run) = with_passes(10);
    let record = w.spoil(5);
    assert_eq!(w.twice(record), None);
    assert_eq!(ranges(&w, run), [(1, 4), (6, 10)]);
    let report = w.report(run, &[(1, 4)]);
    let record = w.spoil(2);
    assert_eq!(w.twice(record), Some(Answer::Carried(identity(2))));
    w.verified();
    let record = w.report_state(report, ReportState::Accepted);
    w.apply(record).unwrap();
    let record = w.spoil(2);
    assert_eq!(w.twice(record), Some(Answer::Carried(identity(2))));
    w.verified();
    let Record::ReportState { .. } = w.report_state(report, ReportState::Accepted) else { panic!() };
    let outbox = w.store.view().outbox().unwrap();
    assert_eq!((outbox.open_reports, outbox.unreported, outbox.held), (0, 5, 1));
}
