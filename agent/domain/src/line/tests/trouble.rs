//! The line when several things happen at once: what a review found, and what bursts and late results do.

use super::*;

#[test]
fn a_stop_is_not_undone_by_a_resume_that_was_on_its_way() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.input(Input::Ask(AskId(2), Ask::Stop, "op".into()));
    d.settle();
    d.out.clear();
    d.input(Input::Ask(AskId(3), Ask::Resume, "op".into()));
    d.input(Input::Ask(AskId(4), Ask::Stop, "op".into()));
    d.settle();
    assert!(!d.line.running());
    assert!(!d.out.contains(&Effect::Gate(GateOrder::StartLine)));
    assert!(
        d.out
            .iter()
            .any(|e| matches!(e, Effect::Reply(AskId(3), Err(r)) if r.key == "refuse.stopped_meanwhile"))
    );
}

#[test]
fn a_line_whose_gate_goes_while_it_starts_does_not_run() {
    let mut d = Desk::new(LineKind::PrintAndApply, Recovered::default());
    d.devices();
    d.input(Input::Ask(AskId(1), Ask::Start(plan(0)), "op".into()));
    d.gate(GateEvent::Disconnected);
    d.settle();
    assert!(!d.line.running());
    assert!(d.out.iter().any(|e| matches!(e, Effect::Reply(AskId(1), Err(_)))));
}

#[test]
fn another_result_for_the_same_item_withdraws_its_leave() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    d.wait(5);
    d.read(&code(2));
    assert!(d.out.contains(&Effect::Gate(GateOrder::Reject(tag(1)))));
    d.gate(GateEvent::Rejected(tag(1)));
    d.wait(100);
    d.settle();
    assert_eq!(d.known[&code(1).identity].state, State::Verified(Whereabouts::Rejected));
}

#[test]
fn another_result_while_the_first_is_judged_gives_no_leave() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(10);
    d.read(&code(1));
    d.wait(5);
    d.read(&code(2));
    d.settle();
    assert!(passes(&d.out).is_empty());
}

#[test]
fn the_same_result_twice_is_nothing_new() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    d.read(&code(1));
    d.settle();
    assert!(!d.out.contains(&Effect::Gate(GateOrder::Reject(tag(1)))));
}

#[test]
fn what_moves_while_a_run_is_being_closed_belongs_to_no_run() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.input(Input::Ask(AskId(7), Ask::Close { clear: true }, "op".into()));
    d.item(1);
    d.settle();
    d.wait(100);
    d.settle();
    assert!(d.line.status().run.is_none());
    assert_eq!(d.count(|r| matches!(r, Record::Trigger { .. })), 0);
}

#[test]
fn an_item_whose_end_nobody_told_can_be_declared() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.input(Input::Ask(AskId(2), Ask::Stop, "op".into()));
    let declare = Ask::Declare { code: code(1).identity, declared: Declared::Rejected };
    d.input(Input::Ask(AskId(3), declare, "op".into()));
    d.settle();
    assert!(d.out.contains(&Effect::Reply(AskId(3), Ok(Reply::Done))));
    assert!(d.line.unknown_passes().is_empty());
}

#[test]
fn a_gate_that_counts_anew_ends_the_run() {
    let mut d = Desk::new(LineKind::PrintAndApply, recovered(0, Some(1)));
    d.devices_at(3);
    d.input(Input::Ask(AskId(2), Ask::Resume, "op".into()));
    assert!(
        d.out.iter().any(|e| matches!(e, Effect::Reply(AskId(2), Err(r)) if r.key == "refuse.gate_reset"))
    );
    assert_eq!(d.line.unknown_passes().len(), 1);
}

#[test]
fn an_empty_pool_is_asked_again_after_a_while() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job(1))));
    let txn = d.unanswered.pop_back().expect("the line asks for another code");
    d.input(Input::Committed(txn.id, vec![Answer::Issued(vec![])]));
    assert!(d.line.status().alarms.iter().any(|a| a.key == "alarm.pool_empty"));
    let asks = |d: &Desk| {
        d.unanswered.iter().flat_map(|t| &t.records).filter(|r| matches!(r, Record::Issue { .. })).count()
    };
    d.wait(500);
    assert_eq!(asks(&d), 0);
    d.wait(600);
    assert_eq!(asks(&d), 1);
    d.settle();
    assert!(!d.line.status().alarms.iter().any(|a| a.key == "alarm.pool_empty"));
}

#[test]
fn doubtful_labels_take_room_until_a_person_has_looked() {
    let mut d = Desk::started(LineKind::PrintAndApply, 6);
    for n in 1..=40 {
        let job = JobId { run: RunId(1), issue: IssueNo(n) };
        d.input(Input::Printer(PrinterNo(0), PrinterEvent::Doubtful(job)));
        d.settle();
    }
    assert_eq!(d.issued, 10);
}

#[test]
fn a_late_result_is_not_taken_for_the_next_items() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(50);
    d.item(2);
    d.wait(10);
    // The first item's result, 60 ms after its trigger and 10 ms after the next one's.
    d.read(&code(1));
    d.settle();
    assert!(passes(&d.out).is_empty());
    // The second item's own result comes and makes up for it: the third item is judged again.
    d.wait(5);
    d.read(&code(2));
    d.settle();
    assert_eq!(passes(&d.one(3, &code(3))), vec![tag(3)]);
}

#[test]
fn results_that_stay_late_stop_the_line_before_anything_passes() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    for n in 1..=4 {
        d.wait(50);
        d.item(n + 1);
        d.wait(10);
        d.read(&code(n));
        d.settle();
    }
    assert!(passes(&d.out).is_empty());
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.count_mismatch"));
}

#[test]
fn an_item_told_late_is_not_overdue_while_its_result_stands_behind_it() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let triggered = d.now;
    d.now = d.now.after(Duration::from_millis(100));
    let bytes = layout().render_full(&code(1)).expect("fits");
    let read_at = triggered.after(Duration::from_millis(10));
    let turn = [
        Input::Gate(GateEvent::Item { tag: tag(1), at: triggered, within: Duration::ZERO }),
        Input::Gate(GateEvent::Seen { as_of: d.now }),
        Input::Reader(ReaderNo(0), ReaderEvent::Read { bytes, at: read_at }),
    ];
    for input in turn {
        d.input(input);
    }
    d.input(Input::Tick);
    assert_eq!(passes(&d.settle()), vec![tag(1)]);
}
