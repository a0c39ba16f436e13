//! Gates as plants have them: a PLC that brings its registers up to date once a scan, and one that is slow to answer. Not
//! only are the books true: hardly a good item is rejected.

use tamga_simulators::model::plant::Kind;

use crate::shift::{Shift, work};

/// A gate at 600 items a minute, an item every 100 ms. Of forty, a machine that is busy with other tests may lose some;
/// a gate whose scan is not reckoned with loses most.
fn gate(kind: Kind, scan_ms: u64, answer_ms: u64, latency_ms_max: u32) -> Shift {
    let mut shift = Shift::of(kind, &format!("gate scan {scan_ms} answer {answer_ms}"));
    shift.wanted.gate_scan_ms = scan_ms;
    shift.wanted.gate_answer_ms = answer_ms;
    shift.wanted.latency_ms_max = Some(latency_ms_max);
    shift.rejected_max = Some(10);
    shift
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_scans_passes_nearly_all() {
    work([gate(Kind::PrintAndApply, 10, 0, 60), gate(Kind::PrePrinted, 20, 0, 55)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_slow_to_answer_passes_nearly_all() {
    work([gate(Kind::PrePrinted, 0, 20, 50), gate(Kind::PrePrinted, 10, 20, 45)]).await;
}
