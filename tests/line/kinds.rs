//! Each kind of line, and each way to a reader, makes a small run whose books are the truth.

use tamga_simulators::model::plant::Kind;

use crate::shift::{Shift, work};
use crate::world::ReaderLink;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_line_and_reader_makes_a_run_whose_sheet_is_the_truth() {
    let mut listens = Shift::of(Kind::PrePrinted, "the reader calls the agent");
    listens.wanted.reader = ReaderLink::Listen;
    work([
        Shift::of(Kind::PrintAndApply, "print and apply"),
        Shift::of(Kind::Print, "print"),
        Shift::of(Kind::PrePrinted, "pre-printed"),
        listens,
    ])
    .await;
}
