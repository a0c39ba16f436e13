//! Some days of lost answers always: each report in effect exactly once, and a broken rule is found.

use tamga_dst::answers::Campaign;
use tamga_dst::planted::Planted;

fn campaign(seeds: u64, planted: Option<Planted>) -> Campaign {
    Campaign { seeds: 0..seeds, threads: 2, bad: u64::MAX, at_most: None, planted, failures_max: 1 }
}

#[test]
fn each_report_takes_effect_once_though_answers_are_lost_late_and_doubled() {
    let sums = campaign(8, None).run(|_| ());
    assert!(sums.failures.is_empty(), "{:?}", sums.failures);
    let reports = &sums.counts.reports;
    assert_eq!(reports.once + reports.replaced, reports.drafted);
    assert!(reports.once > 100 && sums.counts.bad() > 1_000, "{sums:?}");
}

#[test]
fn a_report_sent_again_is_found() {
    for planted in [Planted::BlindSecondPost, Planted::AbsentAfterOneLook, Planted::RetryWithNewKey] {
        let sums = campaign(40, Some(planted)).run(|_| ());
        assert!(!sums.failures.is_empty(), "{} was not found in {} seeds", planted.name(), sums.seeds);
    }
}
