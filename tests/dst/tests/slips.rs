//! The order of labels on trial, a few seeds of each kind: slips are found and named, what is none stops nothing, and a
//! line that does not look, or looks too closely, is told from one that does.

use tamga_dst::slips::{Broken, ITEMS_MAX, What};
use tamga_dst::trials::{Outcome, Trials};

fn trials(of: &[What], seeds: u64, broken: Option<Broken>) -> Outcome {
    of_printers(1, of, seeds, broken)
}

fn of_printers(printers: usize, of: &[What], seeds: u64, broken: Option<Broken>) -> Outcome {
    let (of, failures_max) = (of.to_vec(), usize::MAX);
    let all = Trials { of, seeds: 0..seeds, items: 60, printers, threads: 2, broken, failures_max };
    all.run(|_| ())
}

#[test]
fn a_slip_is_found_within_three_read_items_and_nothing_else_stops_the_line() {
    for printers in [1, 2] {
        let outcome = of_printers(printers, &What::ALL, 1, None);
        assert!(outcome.wrong.is_empty(), "{printers} printers: {:#?}", outcome.wrong);
        for (what, row) in outcome.rows.iter().filter(|(what, _)| what.is_slip()) {
            assert!(!row.items.is_empty() && row.items.iter().all(|n| *n <= ITEMS_MAX), "{what:?}: {row:?}");
        }
    }
}

#[test]
fn a_line_that_does_not_look_is_told_from_one_that_does() {
    let outcome = trials(&[What::RollChanged, What::SkippedCounted], 3, Some(Broken::Blind));
    let missed = outcome.wrong.iter().filter(|w| w.why.iter().any(|why| why == "not found"));
    assert_eq!(missed.count(), 6, "{:#?}", outcome.wrong);
}

#[test]
fn a_line_that_stops_for_one_bottle_is_told_from_one_that_does_not() {
    let outcome = trials(&[What::TakenOffBeforeReader], 3, Some(Broken::Jumpy));
    assert_eq!(outcome.rows[&What::TakenOffBeforeReader].false_stops, 3, "{:#?}", outcome.wrong);
}
