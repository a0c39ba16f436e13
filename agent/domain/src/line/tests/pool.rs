//! When the store gives fewer codes than the line asks for.

use super::*;

/// The day of production is over: the codes that are left are for goods of another day.
#[test]
fn codes_that_were_ordered_after_the_day_are_told_as_such_until_the_run_is_closed() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let raised = |d: &Desk, key: &str| d.line.status().alarms.iter().any(|a| a.key == key);
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job(1))));
    let txn = d.unanswered.pop_back().expect("the line asks for another code");
    let asked = txn.records.iter().find_map(|r| match r {
        Record::Issue { day_ends, .. } => Some(*day_ends),
        _ => None,
    });
    assert_eq!(asked, Some(crate::day::Zone::UTC.ends(plan(0).production)));
    d.input(Input::Committed(txn.id, vec![Answer::Later(300)]));
    assert!(raised(&d, "alarm.day_over") && !raised(&d, "alarm.pool_empty"));
    assert_eq!(d.line.status().stopped_by, None, "what is on the web is good");
    d.input(Input::Ask(AskId(2), Ask::Close { clear: true }, "op".into()));
    d.settle();
    assert!(d.line.status().run.is_none() && !raised(&d, "alarm.day_over"));
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
