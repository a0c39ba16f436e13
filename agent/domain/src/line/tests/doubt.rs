//! What several crashes leave in doubt, with nothing read between them: the line can print again, or says what to do.

use super::*;
use crate::ids::PackNo;
use crate::lifecycle::SpoilReason;
use crate::pack::record::PackAnswer;
use crate::record::OpenRun;

/// What the store has after a crash: all codes issued so far, none of them read, and what became of their jobs.
fn crashed(codes: &[(u32, JobOutcome)]) -> Recovered {
    let in_doubt = |(n, outcome): &(u32, JobOutcome)| {
        (Issued { issue: IssueNo(*n), printer: PrinterNo(0), code: code(*n) }, *outcome)
    };
    Recovered {
        run: Some(OpenRun {
            run: RunId(1),
            plan: plan(0),
            state: RunState::Running,
            passed: 0,
            triggers: 0,
            rejected: vec![],
            last_tag: None,
            open_tags: vec![],
            in_doubt: codes.iter().map(in_doubt).collect(),
            pass_unknown: vec![],
            last_read: vec![],
        }),
        alarms: vec![],
    }
}

fn resume(d: &mut Desk) -> Vec<u32> {
    d.input(Input::Ask(AskId(1), Ask::Resume, "op".into()));
    printed(&d.settle())
}

fn printed(acts: &[Effect]) -> Vec<u32> {
    let issue = |e: &Effect| match e {
        Effect::Print(_, job) => Some(job.id.issue.0),
        _ => None,
    };
    acts.iter().filter_map(issue).collect()
}

/// Killed again and again while the belt stands: each time the printer prints its window, and nobody reads a label.
#[test]
fn after_any_number_of_crashes_with_nothing_read_a_resumed_line_prints() {
    let mut codes: Vec<(u32, JobOutcome)> = vec![];
    for crash in 0..20 {
        let mut d = Desk::new(LineKind::PrintAndApply, crashed(&codes));
        d.issued = codes.len() as u32;
        codes.iter().for_each(|(n, _)| drop(d.known.insert(code(*n).identity, facts(IssueNo(*n)))));
        d.devices();
        let new = resume(&mut d);
        assert_eq!(new.len(), 4, "its window, after {crash} crashes with {} unread", codes.len());
        codes.extend(new.iter().map(|n| (*n, JobOutcome::Printed)));
    }
    // What was left on the web is good all the same, and so is what stands behind it.
    let mut d = Desk::new(LineKind::PrintAndApply, crashed(&codes));
    codes.iter().for_each(|(n, _)| drop(d.known.insert(code(*n).identity, facts(IssueNo(*n)))));
    d.issued = codes.len() as u32;
    d.devices();
    resume(&mut d);
    assert_eq!(passes(&d.one(1, &code(71))), vec![tag(1)]);
    assert_eq!(passes(&d.one(2, &code(79))), vec![tag(2)]);
    assert_eq!(passes(&d.one(3, &code(80))), vec![tag(3)]);
}

/// A printer whose buffer is lost time and again while the line runs: what was asked of it holds the room, since it may
/// stand on the web. When it is all the room a person is told, and has it back with a resume.
#[test]
fn labels_in_doubt_that_take_all_room_are_told_and_a_resume_gives_it_back() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let raised = |d: &Desk| d.line.status().alarms.iter().any(|a| a.key == "alarm.no_room");
    let mut lost = 0;
    while !raised(&d) {
        assert!(lost < 10, "nobody is told");
        let jobs: Vec<JobId> = d.line.printers[0].jobs.keys().copied().collect();
        lost += jobs.len();
        for job in jobs {
            d.input(Input::Printer(PrinterNo(0), PrinterEvent::Doubtful(job)));
        }
        d.settle();
    }
    assert_eq!(lost, 10, "as many as may be ahead");
    d.input(Input::Ask(AskId(2), Ask::Stop, "op".into()));
    d.settle();
    assert_eq!(resume(&mut d).len(), 4);
    assert!(!raised(&d));
}

#[test]
fn a_label_in_doubt_that_a_person_scraps_is_spoiled_before_the_person_is_answered() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let declare = Ask::Declare { code: code(1).identity, declared: Declared::Scrapped };
    d.input(Input::Ask(AskId(2), declare, "op".into()));
    assert!(!d.out.iter().any(|e| matches!(e, Effect::Reply(AskId(2), _))), "nothing is durable yet");
    d.settle();
    let spoiled = |r: &Record| matches!(r, Record::Spoil { code: c, reason: SpoilReason::Declared, .. } if *c == code(1).identity);
    assert_eq!(d.count(spoiled), 1);
    assert!(d.out.contains(&Effect::Reply(AskId(2), Ok(Reply::Done))));
}

fn scrap(n: u32, ask: u64) -> Input {
    let declare = Ask::Declare { code: code(n).identity, declared: Declared::Scrapped };
    Input::Ask(AskId(ask), declare, "op".into())
}

/// What the line says to a request, once the store has answered its oldest commit with this.
fn told(d: &mut Desk, answers: Vec<Answer>, ask: u64) -> Option<Result<Reply, &'static str>> {
    let txn = d.unanswered.pop_front().expect("a commit is waiting");
    d.input(Input::Committed(txn.id, answers));
    d.out.iter().find_map(|effect| match effect {
        Effect::Reply(id, answer) if *id == AskId(ask) => Some(answer.clone().map_err(|refusal| refusal.key)),
        _ => None,
    })
}

#[test]
fn nobody_is_told_done_of_a_code_in_a_report_or_a_pack_of_which_nothing_changed() {
    let within = || Answer::Pack(PackAnswer::Within(PackNo(7)));
    let carried = |n| Answer::Carried(code(n).identity);
    for (answers, expected) in [
        (vec![], Ok(Reply::Done)),
        (vec![within()], Err("refuse.in_pack")),
        (vec![carried(1)], Err("refuse.carried")),
        (vec![carried(2)], Ok(Reply::Done)),
    ] {
        let mut d = Desk::started(LineKind::PrintAndApply, 0);
        d.input(scrap(1, 2));
        assert_eq!(told(&mut d, answers.clone(), 2), Some(expected), "{answers:?}");
    }
}

/// The store's word on a pack names no code: asked in one turn, each is answered by its own.
#[test]
fn of_two_codes_declared_in_one_turn_only_the_one_in_a_pack_is_refused() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.part(scrap(1, 2));
    d.input(scrap(2, 3));
    assert_eq!(d.unanswered.len(), 2);
    let within = Answer::Pack(PackAnswer::Within(PackNo(7)));
    assert_eq!(told(&mut d, vec![within], 2), Some(Err("refuse.in_pack")));
    assert_eq!(told(&mut d, vec![], 3), Some(Ok(Reply::Done)));
}

#[test]
fn an_item_with_leave_that_the_gate_has_forgotten_is_of_unknown_pass_and_not_rejected() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Disconnected);
    d.gate(GateEvent::Connected { last: tag(100) });
    d.wait(100);
    d.settle();
    assert_eq!(d.line.unknown_passes(), vec![(code(1).identity, tag(1))]);
    assert_eq!(d.known[&code(1).identity].state, State::Verified(Whereabouts::Unknown));
}

/// A code on two items was told, nobody has seen it, and the agent was killed: it is told still, until somebody says so.
#[test]
fn what_was_told_and_not_seen_is_told_after_a_restart() {
    let open = |key: &str| crate::record::Alarm {
        key: key.to_owned(),
        detail: "both items".to_owned(),
        since: Wall(7),
        acknowledged: false,
    };
    let alarms = vec![open("alarm.duplicate"), open("alarm.stop.duplicate")];
    let mut d = Desk::new(LineKind::PrintAndApply, Recovered { alarms, ..crashed(&[]) });
    let told = |d: &Desk, key: &str| d.line.status().alarms.into_iter().find(|a| a.key == key);
    let duplicate = told(&d, "alarm.duplicate").expect("it was told");
    assert_eq!(
        (duplicate.detail.as_str(), duplicate.since, duplicate.acknowledged),
        ("both items", Wall(7), false)
    );
    d.devices();
    resume(&mut d);
    assert_eq!(told(&d, "alarm.stop.duplicate"), None, "the line runs again");
    assert!(told(&d, "alarm.duplicate").is_some(), "a resume is no acknowledgement");
    d.input(Input::Ask(AskId(9), Ask::Acknowledge { key: "alarm.duplicate".into() }, "op".into()));
    d.settle();
    assert_eq!(told(&d, "alarm.duplicate"), None);
    let ended = |r: &Record| matches!(r, Record::AlarmCleared { key, .. } if key == "alarm.duplicate");
    assert_eq!(d.count(ended), 1);
}
