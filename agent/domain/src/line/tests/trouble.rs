//! The line when several things happen at once: what a review found, and what bursts and late results do.

use super::*;
use crate::limits::LAZY_MS;

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
    assert!(d.out.contains(&Effect::Gate(GateOrder::Reject(tag(1)))), "its leave is taken back");
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
fn doubtful_labels_take_room_until_a_person_has_looked() {
    let mut d = Desk::started(LineKind::PrintAndApply, 6);
    for n in 1..=40 {
        let job = JobId { run: RunId(1), issue: IssueNo(n) };
        d.input(Input::Printer(PrinterNo(0), PrinterEvent::Doubtful(job)));
        d.settle();
    }
    assert_eq!(d.issued, 10);
}

/// Codes that several crashes of one run left printed and unread are behind, since later ones were read. Held ahead they
/// took all room for labels: the run was resumed, and nothing was printed. Found by the campaign of failing writes.
#[test]
fn labels_left_unread_by_earlier_crashes_take_no_room_after_the_next() {
    let mut left = recovered(12, None);
    if let Some(run) = &mut left.run {
        run.in_doubt.iter_mut().for_each(|(_, outcome)| *outcome = JobOutcome::Printed);
        run.last_read = vec![(PrinterNo(0), IssueNo(13))];
    }
    let mut d = Desk::new(LineKind::PrintAndApply, left);
    d.issued = 13;
    d.devices_at(12);
    d.settle();
    d.input(Input::Ask(AskId(1), Ask::Resume, "op".into()));
    d.settle();
    let prints = d.out.iter().filter(|e| matches!(e, Effect::Print(..))).count();
    assert_eq!(prints, 4, "the printer's window");
}

/// A disk that stalls for half a second makes several items late, one after another; the campaign of power cuts found
/// that the next read in time was taken for a jump.
#[test]
fn items_that_a_slow_disk_made_late_are_no_jump_and_may_be_fed_again() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    for n in 1..=4 {
        d.input(Input::Printer(
            PrinterNo(0),
            PrinterEvent::Printed(JobId { run: RunId(1), issue: IssueNo(n) }),
        ));
        d.settle();
    }
    for n in 1..=4 {
        d.wait(50);
        d.item(n);
        d.wait(10);
        d.read(&code(n));
        d.gate(GateEvent::Rejected(tag(n)));
    }
    d.settle();
    assert!(passes(&d.out).is_empty());
    assert_eq!(passes(&d.one(5, &code(5))), vec![tag(5)]);
    assert_eq!(passes(&d.one(6, &code(6))), vec![tag(6)]);
    assert_eq!(d.line.status().stopped_by, None);
    assert_eq!(passes(&d.one(7, &code(2))), vec![tag(7)], "a late item is put back");
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
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.results_missing"));
}

#[test]
fn a_line_is_resumed_when_no_late_result_can_come_any_more() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    for n in 2..=5 {
        d.one(n, &code(n));
    }
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.results_missing"));
    let resumed = |d: &mut Desk| {
        let mut acts = d.input(Input::Ask(AskId(9), Ask::Resume, "op".into()));
        acts.extend(d.settle());
        acts.iter().find_map(|e| match e {
            Effect::Reply(AskId(9), answer) => Some(answer.clone().map_err(|why| why.key)),
            _ => None,
        })
    };
    d.wait(500);
    assert_eq!(resumed(&mut d), Some(Err("refuse.results_late")));
    d.wait(2_000);
    assert_eq!(resumed(&mut d), Some(Ok(Reply::Opened(RunId(1)))));
    assert_eq!(passes(&d.one(6, &code(1))), vec![tag(6)]);
}

#[test]
fn the_result_of_an_item_without_a_verdict_is_not_taken_for_its_neighbours() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(12);
    d.item(2);
    d.wait(8);
    // Of the first or of the second: neither passes, and one result is still to come.
    d.read(&code(1));
    d.wait(4);
    d.item(3);
    d.wait(6);
    // The second's, 18 ms after its trigger and 6 ms after that of the third.
    d.read(&code(2));
    d.settle();
    assert!(passes(&d.out).is_empty(), "{:?}", d.out);
    d.wait(8);
    let at = d.now;
    d.input(Input::Reader(ReaderNo(0), ReaderEvent::NoRead { at }));
    d.settle();
    assert_eq!(passes(&d.one(4, &code(3))), vec![tag(4)], "nothing is owed");
}

#[test]
fn the_result_of_an_item_that_the_gate_rejected_before_it_is_not_taken_for_the_next_items() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(3);
    d.gate(GateEvent::Rejected(tag(1)));
    d.wait(12);
    d.item(2);
    d.wait(5);
    d.read(&code(1));
    d.settle();
    d.wait(15);
    d.read(&code(2));
    d.settle();
    assert!(passes(&d.out).is_empty(), "{:?}", d.out);
    assert_eq!(passes(&d.one(3, &code(3))), vec![tag(3)]);
}

#[test]
fn a_result_that_never_came_for_a_rejected_item_may_still_be_late() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.gate(GateEvent::Rejected(tag(1)));
    d.wait(50);
    d.item(2);
    d.wait(10);
    d.read(&code(1));
    d.settle();
    assert!(passes(&d.out).is_empty(), "{:?}", d.out);
}

#[test]
fn results_of_items_that_nobody_saw_are_not_taken_for_those_of_others() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.wait(50);
    // Items 2 and 3 fell out of the gate's ring before it was looked at.
    d.item(4);
    d.wait(10);
    d.read(&code(3));
    d.settle();
    assert_eq!(passes(&d.out), vec![tag(1)]);
}

#[test]
fn a_run_does_not_close_before_the_gate_has_told_of_the_items_that_came_meanwhile() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Passed(tag(1)));
    d.gate(GateEvent::Disconnected);
    let close = |id| Input::Ask(AskId(id), Ask::Close { clear: true }, "judge".into());
    let refused = d.input(close(7));
    let gate_away =
        |e: &Effect| matches!(e, Effect::Reply(AskId(7), Err(why)) if why.key == "refuse.gate_away");
    assert!(refused.iter().any(gate_away), "{refused:?}");
    d.devices_at(3);
    d.input(close(8));
    d.settle();
    assert_eq!(d.line.status().run, None);
    let away =
        |r: &Record| matches!(r, Record::End { end: ItemEnd::Rejected { reason: Reason::Away, .. }, .. });
    assert_eq!(d.count(away), 2);
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

fn resumed_after(recovered: Recovered, memory: &[GateEvent], last: u32) -> Desk {
    let mut d = Desk::new(LineKind::PrintAndApply, recovered);
    memory.iter().for_each(|event| drop(d.gate(event.clone())));
    d.devices_at(last);
    d.wait(LAZY_MS);
    d.settle();
    d
}

#[test]
fn an_item_that_went_by_while_the_agent_was_away_is_an_escape_and_not_a_reject() {
    let memory = [GateEvent::Rejected(tag(13)), GateEvent::Passed(tag(14)), GateEvent::Lost(tag(15))];
    let d = resumed_after(recovered(0, None), &memory, 16);
    let run = d.line.status().run.expect("it is open");
    let count = |key: &str| run.rejected.iter().find(|(k, _)| k == key).map_or(0, |(_, n)| *n);
    assert_eq!((count("escaped"), count("lost"), count("away")), (1, 1, 1), "and one may still stand there");
    assert_eq!(
        d.count(|r| matches!(r, Record::End { tag: t, end: ItemEnd::Escaped, .. } if *t == tag(14))),
        1
    );
    assert!(d.line.status().alarms.iter().any(|a| a.key == "alarm.stop.escape"));
}

#[test]
fn what_may_still_stand_before_the_gate_at_a_connect_has_no_end_yet() {
    let memory = [GateEvent::Rejected(tag(13)), GateEvent::Rejected(tag(14))];
    let mut d = resumed_after(recovered(0, None), &memory, 16);
    assert_eq!(
        d.count(|r| matches!(r, Record::Away { from, to, .. } if (*from, *to) == (tag(13), tag(14)))),
        1
    );
    d.gate(GateEvent::Rejected(tag(15)));
    d.gate(GateEvent::Passed(tag(16)));
    d.wait(LAZY_MS);
    d.settle();
    let run = d.line.status().run.expect("it is open");
    assert!(
        run.rejected.contains(&("away".into(), 3)) && run.rejected.contains(&("escaped".into(), 1)),
        "{run:?}"
    );
    assert_eq!(run.triggers, 16);
}

#[test]
fn a_gate_that_remembers_more_tells_of_an_escape_longer_ago() {
    for (memory, escapes) in [(64, 0), (128, 1)] {
        let gate = GateSizes { memory, leaves: 32 };
        let config = LineConfig { gate, ..config(LineKind::PrintAndApply) };
        let mut d = Desk::with(config, recovered(0, None));
        d.gate(GateEvent::Passed(tag(14)));
        d.devices_at(100);
        d.wait(LAZY_MS);
        d.settle();
        assert_eq!(d.count(|r| matches!(r, Record::End { end: ItemEnd::Escaped, .. })), escapes, "{memory}");
    }
}

#[test]
fn an_escape_of_the_gates_memory_is_told_once() {
    let memory = [GateEvent::Passed(tag(14))];
    let mut d = resumed_after(recovered(0, None), &memory, 16);
    d.gate(GateEvent::Disconnected);
    memory.iter().for_each(|event| drop(d.gate(event.clone())));
    d.gate(GateEvent::Connected { last: tag(16) });
    d.wait(LAZY_MS);
    d.settle();
    assert_eq!(d.count(|r| matches!(r, Record::End { end: ItemEnd::Escaped, .. })), 1);
}

#[test]
fn more_gaps_than_the_limit_stop_the_line_and_fewer_do_not() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let mut label = 0;
    for item in 1..=5 {
        label += 2;
        for issue in [label - 1, label] {
            let id = JobId { run: RunId(1), issue: IssueNo(issue) };
            d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(id)));
            d.settle();
        }
        assert_eq!(passes(&d.one(item, &code(label))), vec![tag(item)], "one label of two is missing");
        assert!(d.line.running(), "{item} gaps");
    }
    d.one(6, &code(label + 2));
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.gaps"));
}

#[test]
fn an_item_taken_off_behind_the_reader_and_put_back_before_it_is_a_candidate_again() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Lost(tag(1)));
    d.one(2, &code(2));
    assert_eq!(d.line.status().run.expect("open").pass_unknown.len(), 2, "one lost, one on its way");
    assert_eq!(passes(&d.one(3, &code(1))), vec![tag(3)]);
    assert_eq!(d.count(|r| matches!(r, Record::Settle { passed: false, .. })), 1);
    assert!(d.line.running());
    d.gate(GateEvent::Passed(tag(3)));
    assert!(passes(&d.one(4, &code(1))).is_empty(), "it passed meanwhile: this is a copy");
}

#[test]
fn several_unknown_passes_are_one_alarm_that_names_the_first_and_counts_them_all() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let detail = |d: &Desk| {
        let alarms = d.line.status().alarms;
        alarms.into_iter().find(|a| a.key == "alarm.pass_unknown").map(|a| a.detail)
    };
    for n in 1..=4 {
        d.one(n, &code(n));
        d.gate(GateEvent::Lost(tag(n)));
    }
    let named =
        |codes: &[u32]| codes.iter().map(|n| code(*n).identity.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(detail(&d), Some(format!("{}, … (4)", named(&[1, 2, 3]))));
    // One stands before the gate again: three are left, and all are named.
    d.one(5, &code(1));
    assert_eq!(detail(&d), Some(named(&[2, 3, 4])));
}

#[test]
fn a_pre_printed_line_warns_of_its_stock_and_a_printing_one_of_its_pool() {
    for (kind, key) in
        [(LineKind::PrePrinted, "alarm.stock_low"), (LineKind::PrintAndApply, "alarm.pool_low")]
    {
        let mut d = Desk::started(kind, 0);
        d.line.config.pool_low = 10;
        let raised = |d: &Desk| d.line.status().alarms.into_iter().map(|a| a.key).collect::<Vec<_>>();
        d.input(Input::Pool(9));
        assert_eq!(raised(&d), [key], "{kind:?}");
        d.input(Input::Pool(10));
        assert_eq!(raised(&d), [""; 0], "{kind:?}");
    }
}

#[test]
fn a_copy_of_a_code_whose_pass_is_unknown_settles_nothing() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Lost(tag(1)));
    let other_tail = Code { tail: Tail::new(b"Zz1=").expect("4 characters"), ..code(1) };
    assert!(passes(&d.one(2, &other_tail)).is_empty());
    assert_eq!(d.count(|r| matches!(r, Record::Settle { .. })), 0);
}

#[test]
fn a_run_asked_for_twice_with_one_key_is_one_run() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.input(Input::Ask(AskId(9), Ask::Start(plan(0)), "op".into()));
    assert!(d.out.contains(&Effect::Reply(AskId(9), Ok(Reply::Opened(RunId(1))))));
    let other = RunPlan { key: "k2".into(), ..plan(0) };
    let acts = d.input(Input::Ask(AskId(10), Ask::Start(other), "op".into()));
    assert!(matches!(&acts[..], [Effect::Reply(AskId(10), Err(r))] if r.key == "refuse.run_open"));
}

#[test]
fn an_order_that_slipped_stops_the_line_within_three_reads() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    // All ten labels that may be ahead are handed out.
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    for n in 1..=6 {
        d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job(n))));
        d.settle();
    }
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    d.one(2, &code(6));
    d.one(3, &code(7));
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.jump"));
    assert_eq!(passes(&d.out), vec![tag(1)]);
}

#[test]
fn a_line_whose_codes_are_barred_stands_says_so_and_goes_on_when_a_person_resumes() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let raised = |d: &Desk| d.line.status().alarms.iter().any(|a| a.key == "alarm.stop.unsettled");
    d.input(Input::Bar(Some(Bar::Unsettled)));
    d.settle();
    assert!(d.out.contains(&Effect::Gate(GateOrder::StopLine)) && raised(&d));
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.unsettled"));
    let acts = d.input(Input::Ask(AskId(9), Ask::Resume, "op".into()));
    assert!(matches!(&acts[..], [Effect::Reply(AskId(9), Err(r))] if r.key == "refuse.unsettled"));
    d.input(Input::Bar(None));
    d.settle();
    assert!(!raised(&d));
    d.input(Input::Ask(AskId(10), Ask::Resume, "op".into()));
    d.settle();
    assert_eq!(d.line.status().stopped_by, None);
}

#[test]
fn codes_that_the_store_bars_are_not_waited_for_as_an_empty_pool_is() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job(1))));
    let txn = d.unanswered.pop_back().expect("the line asks for another code");
    d.input(Input::Committed(txn.id, vec![Answer::Barred(Bar::Witness)]));
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.witness"));
    assert!(!d.line.status().alarms.iter().any(|a| a.key == "alarm.pool_empty"));
    // The agent does not know of it: the next code asks the witness again.
    d.settle();
    d.input(Input::Ask(AskId(9), Ask::Resume, "op".into()));
    d.settle();
    assert_eq!(d.line.status().stopped_by, None);
}

/// A code on two items is nothing that ends; a printer that is away is, and says so itself.
#[test]
fn an_alarm_of_what_happened_ends_when_it_is_acknowledged() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Passed(tag(1)));
    d.one(2, &code(1));
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Disconnected));
    let raised = |d: &Desk| d.line.status().alarms.into_iter().map(|a| a.key).collect::<Vec<_>>();
    assert_eq!(raised(&d), ["alarm.duplicate", "alarm.printer_lost"]);
    for (id, key) in [(7, "alarm.duplicate"), (8, "alarm.printer_lost")] {
        d.input(Input::Ask(AskId(id), Ask::Acknowledge { key: key.into() }, "op".into()));
        d.settle();
    }
    assert_eq!(raised(&d), ["alarm.printer_lost"]);
    let cleared = |r: &Record| matches!(r, Record::AlarmCleared { key, .. } if key == "alarm.duplicate");
    assert_eq!(d.count(cleared), 1);
    d.one(3, &code(1));
    assert_eq!(raised(&d)[0], "alarm.duplicate", "the next one is told again");
}

#[test]
fn an_item_fed_again_does_not_pass_over_the_quantity_while_others_have_leave() {
    let mut d = Desk::started(LineKind::PrintAndApply, 2);
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    d.gate(GateEvent::Rejected(tag(1)));
    d.wait(100);
    d.settle();
    assert_eq!(d.issued, 3, "another label takes the place of the one that was rejected");
    assert_eq!(passes(&d.one(2, &code(2))), vec![tag(2)]);
    assert_eq!(passes(&d.one(3, &code(3))), vec![tag(3)]);
    assert_eq!(passes(&d.one(4, &code(1))), vec![], "two have leave and are not at the gate yet");
    assert_eq!(d.known[&code(1).identity].state, State::Verified(Whereabouts::Rejected));
}

#[test]
fn a_result_sooner_than_the_reader_can_gives_no_leave() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.wait(50);
    d.item(1);
    d.wait(2);
    d.read(&code(1));
    d.wait(20);
    assert_eq!(passes(&d.settle()), vec![]);
    assert_eq!(d.known[&code(1).identity].state, State::Issued);
}
