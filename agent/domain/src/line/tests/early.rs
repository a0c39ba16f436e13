//! What became of an item, told by the gate before it tells that the item came.

use super::*;

/// The gate's ring of ends is read before its ring of items: the item is gone when it is heard of.
#[test]
fn an_item_that_passed_before_it_was_heard_of_is_an_escape() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.gate(GateEvent::Passed(tag(1)));
    assert_eq!(d.line.status().stopped_by, None, "nobody has heard of the item yet");
    d.item(1);
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.escape"));
    d.settle();
    assert_eq!(d.line.status().run.map(|run| (run.triggers, run.passed)), Some((1, 0)));
    // Its end is known, so it waits for nothing: a result is no longer its own.
    assert_eq!(passes(&d.one(2, &code(1))), vec![]);
}

/// The same for one that it rejected: it is counted once, and no result is given to it.
#[test]
fn an_item_that_was_rejected_before_it_was_heard_of_is_counted_and_gone() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.gate(GateEvent::Rejected(tag(1)));
    d.item(1);
    d.wait(1_000);
    d.settle();
    assert_eq!(d.line.status().stopped_by, None);
    assert_eq!(d.count(|r| matches!(r, Record::End { tag: ended, .. } if *ended == tag(1))), 1);
    assert_eq!(d.line.items.iter().count(), 0, "it stands nowhere any more");
}

#[test]
fn a_read_behind_the_gate_says_what_the_gate_has_not() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    // The gate lost one item, and has said nothing of the other yet.
    d.one(1, &code(1));
    d.gate(GateEvent::Lost(tag(1)));
    d.one(2, &code(2));
    let unknown = |d: &Desk| d.line.status().run.expect("open").pass_unknown.len();
    assert_eq!((unknown(&d), d.line.status().run.expect("open").passed), (2, 0));
    for (n, left) in [(1, 1), (2, 0)] {
        // The store has settled it in the transaction of the station.
        d.known.get_mut(&code(n).identity).expect("known").state = State::Verified(Whereabouts::Passed);
        d.input(Input::Seen(code(n).identity));
        d.settle();
        assert_eq!((unknown(&d), d.line.status().run.expect("open").passed), (left, n));
    }
    assert!(d.line.status().alarms.iter().all(|a| a.key != "alarm.pass_unknown"));
    assert_eq!(d.count(|r| matches!(r, Record::Settle { .. })), 0, "it is settled already");
    // What the gate says afterwards is nothing new, and of other lines' codes nothing is done.
    d.gate(GateEvent::Passed(tag(2)));
    d.input(Input::Seen(code(9).identity));
    assert_eq!(d.line.status().run.expect("open").passed, 2);
    assert!(d.line.running());
}

#[test]
fn an_item_whose_leave_was_withdrawn_and_that_a_station_read_has_its_end() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.wait(5);
    // A stray result withdraws its leave; it goes through all the same, and is packed before the gate can say so.
    d.read(&code(2));
    d.known.get_mut(&code(1).identity).expect("known").state = State::Verified(Whereabouts::Passed);
    d.input(Input::Seen(code(1).identity));
    d.gate(GateEvent::Passed(tag(1)));
    d.settle();
    assert_eq!(
        d.count(|r| matches!(r, Record::End { tag: ended, .. } if *ended == tag(1))),
        0,
        "the store has it"
    );
    assert_eq!(d.line.status().run.map(|run| run.passed), Some(1));
}
