//! Each thing that goes wrong in a plant, alone and often: the books end equal to the truth, and no code is on two
//! items that passed. A person tends the line when it stands.

use tamga_simulators::model::plant::Kind;

use crate::shift::{Shift, work};

async fn check(kind: Kind, faults: &[&str]) {
    work(faults.iter().map(|fault| Shift::with_fault(kind, fault))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_that_fail_end_in_true_books() {
    check(Kind::PrintAndApply, &["ribbon-out=0.04", "media-out=0.04", "unlabelled=0.1", "label-fell=0.1"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_people_move_end_in_true_books() {
    check(Kind::PrintAndApply, &["no-gap=0.1", "removed=0.08", "put-back=0.08", "no-read=0.2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_are_not_what_stands_there_end_in_true_books() {
    check(Kind::PrintAndApply, &["misread=0.15", "two-codes=0.15", "gs-lost=0.3", "gs-replaced=0.2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_come_at_the_wrong_time_end_in_true_books() {
    check(Kind::PrintAndApply, &["late=0.1", "duplicate-result=0.2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_end_in_true_books() {
    check(Kind::PrintAndApply, &["printer-cut=0.02", "reader-cut=0.1", "gate-cut=0.001"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_that_fails_ends_in_true_books() {
    check(Kind::PrintAndApply, &["printer-power=0.03", "gate-power=0.03"]).await;
}
