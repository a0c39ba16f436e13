//! Codes and items on a line: the way there and back, each record twice, each wrong step refused.

use tamga::store::error::Rule;
use tamga_domain::ids::{IssueNo, PassNo};
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::record::{Answer, ItemEnd, JobOutcome, Known, Record, RunState};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

use crate::kit::*;

const UNKNOWN: Option<State> = Some(State::Verified(Whereabouts::Unknown));
const PASSED: Option<State> = Some(State::Verified(Whereabouts::Passed));
const REJECTED: Option<State> = Some(State::Verified(Whereabouts::Rejected));

#[test]
fn a_code_goes_from_the_pool_to_a_pass() {
    let mut w = World::new();
    w.pool(10);
    let run = w.run("r");
    assert_eq!(w.state(1), Some(State::Pooled));
    let issued = w.issue(run, 3);
    assert_eq!(issued.iter().map(|i| i.issue).collect::<Vec<_>>(), [1, 2, 3].map(IssueNo));
    assert_eq!(issued[0].code, code(1));
    assert_eq!(w.state(1), Some(State::Issued));

    let at = w.at();
    w.twice(Record::Job { run, code: identity(1), outcome: JobOutcome::Printed, at });
    let record = w.trigger(run, 1);
    w.twice(record);
    let record = w.verify(run, 1, 1);
    w.twice(record);
    assert_eq!(w.state(1), UNKNOWN);
    let record = w.passed(run, 1, 1);
    assert_eq!(w.twice(record), Some(Answer::Passed(PassNo(1))));
    assert_eq!(w.state(1), PASSED);
    w.verified();

    let Known::Coded(facts) = w.store.find(&identity(1)).unwrap() else { panic!() };
    assert_eq!((facts.run, facts.issue, facts.tag), (run, IssueNo(1), Some(tag(1))));
    assert_eq!((facts.outcome, facts.tail.as_slice()), (JobOutcome::Printed, code(1).tail.as_bytes()));
    let story = w.store.view().story(&identity(1)).unwrap().unwrap();
    assert_eq!(story.received.pack_id, "pack-1");
    assert_eq!(story.verified.map(|v| v.1), facts.verified_at);
    assert_eq!(story.passed.unwrap().0, PassNo(1));
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!((sheet.codes.issued, sheet.codes.in_doubt, sheet.items.passed), (3, 2, 1));
    assert_eq!((sheet.blocks.len(), sheet.blocks[0].1, sheet.unreported), (1, 3, 1));
}

#[test]
fn issue_takes_the_soonest_expiry_first_and_passes_over_short_lives() {
    let mut w = World::new();
    let base = w.now;
    for (po, expires, n) in [("late", Some(9_000_000), 1), ("soon", Some(500_000), 11), ("never", None, 21)] {
        let order = w.order(po);
        w.ready(order, expires.map(|e| Wall(base + e)));
        let block = w.block(order, po, 3);
        w.unpack(block, 0, n..n + 3);
    }
    let run = w.run("r");
    let first = |w: &mut World, count, life_left_min_ms| {
        let at = w.at();
        match w
            .apply(Record::Issue { run, printer: PRINTER, count, life_left_min_ms, day_ends: NEVER, at })
            .unwrap()
        {
            Some(Answer::Issued(issued)) => issued.into_iter().map(|i| i.code).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first(&mut w, 2, 0), [11, 12].map(code));
    assert_eq!(first(&mut w, 1, 1_000_000), [1].map(code));
    assert_eq!(first(&mut w, 4, 0), [13, 2, 3, 21].map(code));
    assert_eq!(first(&mut w, 100, 0), [22, 23].map(code));
    assert_eq!(first(&mut w, 100, 0), []);
    w.verified();
}

#[test]
fn a_refused_job_gives_the_code_back_once() {
    let mut w = World::new();
    w.pool(2);
    let run = w.run("r");
    w.issue(run, 1);
    let at = w.at();
    w.twice(Record::Job { run, code: identity(1), outcome: JobOutcome::Refused, at });
    assert_eq!(w.state(1), Some(State::Pooled));
    w.verified();
    let again = w.issue(run, 1).remove(0);
    assert_eq!((again.issue, again.code), (IssueNo(2), code(1)));
    let rule = w.refused(Record::Job { run, code: identity(2), outcome: JobOutcome::Printed, at });
    assert!(matches!(rule, Rule::Step { .. }), "{rule:?}");
}

#[test]
fn a_refusal_after_a_read_moves_nothing_and_is_told() {
    let mut w = World::new();
    w.pool(1);
    let run = w.run("r");
    w.issue(run, 1);
    w.pass_item(run, 1, 1);
    let at = w.at();
    let told = w.twice(Record::Job { run, code: identity(1), outcome: JobOutcome::Refused, at });
    assert_eq!(told, Some(Answer::Contradicted(identity(1))));
    assert_eq!(w.state(1), PASSED);
    assert_eq!(w.store.view().story(&identity(1)).unwrap().unwrap().incidents[0].key, "late_refusal");
    w.verified();
}

#[test]
fn a_rejected_item_may_be_fed_again_under_a_new_tag() {
    let mut w = World::new();
    w.pool(1);
    let run = w.run("r");
    w.issue(run, 1);
    for record in [w.trigger(run, 1), w.verify(run, 1, 1)] {
        w.apply(record).unwrap();
    }
    let record = w.rejected(run, Some(1), 1);
    w.twice(record);
    assert_eq!(w.state(1), REJECTED);
    w.verified();
    assert_eq!(w.pass_item(run, 1, 2), PassNo(1));
    w.verified();
    assert_eq!(w.store.view().rejected(run).unwrap(), [("no_read".to_string(), 1)]);
}

#[test]
fn a_rejected_item_takes_its_code_with_it_though_unnamed() {
    let mut w = World::new();
    w.pool(1);
    let run = w.run("r");
    w.issue(run, 1);
    for record in [w.trigger(run, 1), w.verify(run, 1, 1)] {
        w.apply(record).unwrap();
    }
    let record = w.rejected(run, None, 1);
    w.twice(record);
    assert_eq!(w.state(1), REJECTED);
    w.verified();
}

#[test]
fn a_lost_item_is_settled_later_either_way() {
    for (passed, state, items) in [(true, PASSED, (1, 0, 0)), (false, REJECTED, (0, 1, 0))] {
        let mut w = World::new();
        w.pool(1);
        let run = w.run("r");
        w.issue(run, 1);
        for record in [w.trigger(run, 1), w.verify(run, 1, 1)] {
            w.apply(record).unwrap();
        }
        let record = w.end(run, 1, ItemEnd::Lost { code: Some(identity(1)) });
        w.twice(record);
        assert_eq!(w.state(1), UNKNOWN);
        assert_eq!(w.store.view().pass_unknown(run).unwrap(), [(identity(1), tag(1))]);
        let rule = w.refused(Record::RunState {
            run,
            state: RunState::Closed,
            why: String::new(),
            who: String::new(),
            at: Wall(0),
        });
        assert!(matches!(rule, Rule::NotBalanced { unknown: 1, .. }), "{rule:?}");
        let record = w.settle(run, 1, passed);
        w.twice(record);
        assert_eq!(w.state(1), state);
        let now = w.store.view().run_items(run).unwrap();
        assert_eq!((now.passed, now.rejected, now.lost), items);
        w.verified();
        let record = w.settle(run, 1, !passed);
        let rule = w.refused(record);
        assert!(matches!(rule, Rule::Step { .. }), "{rule:?}");
    }
}

#[test]
fn an_escaped_item_is_counted_on_its_own() {
    let mut w = World::new();
    let run = w.run("r");
    for t in 1..=2 {
        let record = w.trigger(run, t);
        w.twice(record);
    }
    let record = w.end(run, 1, ItemEnd::Escaped);
    w.twice(record);
    let record = w.end(run, 2, ItemEnd::Rejected { reason: Reason::Away, code: None });
    w.twice(record);
    let items = w.store.view().run_items(run).unwrap();
    assert_eq!((items.triggers, items.escaped, items.rejected, items.open), (2, 1, 1, 0));
    let record = w.end(run, 2, ItemEnd::Rejected { reason: Reason::Late, code: None });
    assert!(matches!(w.refused(record), Rule::EndedOtherwise { .. }));
    w.verified();
}

#[test]
fn items_that_nobody_saw_are_one_range_and_each_is_counted_once() {
    let mut w = World::new();
    let run = w.run("r");
    for record in [w.trigger(run, 1), w.trigger(run, 2), w.rejected(run, None, 1)] {
        w.apply(record).unwrap();
    }
    let rows = |w: &World| w.picture().lines().filter(|l| l.starts_with("away: ")).count();
    // (from, to) told; items counted after it, ranges kept after it. Item 2 is open.
    let told = [
        ((3, 50_002), 50_000, 1),
        ((1, 2), 50_000, 1),
        ((40_000, 50_002), 50_000, 1),
        ((50_000, 50_010), 50_008, 2),
        ((1, 50_011), 50_009, 3),
    ];
    for ((from, to), items, ranges) in told {
        let record = w.away(run, from, to);
        w.twice(record);
        let now = w.store.view().run_items(run).unwrap();
        assert_eq!((now.triggers, now.rejected, now.open), (items + 2, items + 1, 1), "{from} to {to}");
        assert_eq!(rows(&w), ranges);
        w.verified();
    }
    let open = w.store.recover(LINE).unwrap().run.unwrap();
    assert_eq!((open.last_tag, open.triggers, open.open_tags), (Some(tag(50_011)), 50_011, vec![tag(2)]));
    assert_eq!(open.rejected, [("away".to_string(), 50_009), ("no_read".to_string(), 1)]);
    // Told one by one as well: known. Another end of one of them is not.
    let record = w.trigger(run, 777);
    w.twice(record);
    let record = w.end(run, 777, ItemEnd::Rejected { reason: Reason::Away, code: None });
    w.twice(record);
    let record = w.end(run, 777, ItemEnd::Escaped);
    assert!(matches!(w.refused(record), Rule::EndedOtherwise { .. }));
    // Another boot of the gate counts anew; an earlier one has nothing new.
    let boot = |w: &mut World, boot: u16, to: u32| {
        let tag = |number| tamga_domain::ids::Tag { boot, number };
        Record::Away { run, from: tag(1), to: tag(to), at: w.at() }
    };
    let record = boot(&mut w, 2, 3);
    w.twice(record);
    let record = boot(&mut w, 1, 60_000);
    w.twice(record);
    assert_eq!(w.store.view().run_items(run).unwrap().rejected, 50_013);
    let rule = w.away(run, 9, 8);
    assert!(matches!(w.refused(rule), Rule::Tags { .. }));
    // The range is of this run: the next one begins after it.
    let record = w.rejected(run, None, 2);
    w.apply(record).unwrap();
    w.run_state(run, RunState::Stopped).unwrap();
    w.run_state(run, RunState::Closed).unwrap();
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!((sheet.items.triggers, sheet.items.rejected), (50_014, 50_014));
    w.verified();
}

#[test]
fn stock_is_verified_at_once_and_never_issued() {
    let mut w = World::new();
    assert_eq!(w.stock("roll-1", 1..=3), (3, 0));
    assert_eq!(w.stock("roll-1", 1..=4), (1, 3));
    let left = |w: &World| w.store.view().stock().unwrap().iter().map(|(_, n)| *n).collect::<Vec<_>>();
    assert_eq!(left(&w), [4]);
    assert_eq!(w.state(1), Some(State::Stock));
    let run = w.run("r");
    assert_eq!(w.issue(run, 10), []);
    assert_eq!(w.pass_item(run, 2, 1), PassNo(1));
    assert_eq!(w.state(2), PASSED);
    assert_eq!(left(&w), [3]);
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!((sheet.codes.issued, sheet.codes.verified), (1, 1));
    assert_eq!((sheet.blocks[0].0.pack_id.as_str(), sheet.blocks[0].0.counts.pooled), ("roll-1", 3));
    let record = w.spoil(1);
    w.twice(record);
    assert_eq!(w.state(1), Some(State::Spoiled(SpoilReason::Declared)));
    w.verified();
}

#[test]
fn a_run_closes_only_over_codes_and_items_that_are_settled() {
    let mut w = World::new();
    w.pool(300);
    let run = w.run("r");
    for _ in 0..2 {
        w.issue(run, 100);
    }
    w.pass_item(run, 1, 1);
    let unseen = |w: &mut World| Record::SpoilLeft { run, limit: 150, who: "anna".into(), at: w.at() };
    let record = unseen(&mut w);
    assert!(matches!(w.refused(record), Rule::RunRunning(_)));
    w.run_state(run, RunState::Closing).unwrap();
    let at = w.at();
    let issue = Record::Issue { run, printer: PRINTER, count: 1, life_left_min_ms: 0, day_ends: NEVER, at };
    assert!(matches!(w.refused(issue), Rule::RunClosing(_)));
    let record = unseen(&mut w);
    assert_eq!(w.apply(record).unwrap(), Some(Answer::Left { codes: 99 }));
    assert!(w.run_state(run, RunState::Closed).is_err());
    let record = unseen(&mut w);
    assert_eq!(w.apply(record).unwrap(), Some(Answer::Left { codes: 0 }));
    w.run_state(run, RunState::Closed).unwrap();
    w.verified();
    assert_eq!(w.state(2), Some(State::Spoiled(SpoilReason::Unseen)));
    let record = w.trigger(run, 2);
    assert!(matches!(w.refused(record), Rule::RunClosed(_)));
    let next = w.run("r2");
    assert_ne!(next, run);
    let record = w.trigger(next, 2);
    w.apply(record).unwrap();
    let record = w.verify(next, 1, 2);
    assert!(matches!(w.refused(record), Rule::OtherRun { .. }));
}

#[test]
fn a_run_has_one_key_and_a_line_one_open_run() {
    let mut w = World::new();
    let at = w.at();
    let open =
        |key: &str| Record::RunOpened { line: LINE, plan: plan(key), who: "anna".into(), at, gate: None };
    let first = w.twice(open("a"));
    assert!(matches!(w.refused(open("b")), Rule::LineBusy { .. }));
    let mut other = plan("a");
    other.batch = "B2".into();
    let taken = w.apply(Record::RunOpened { line: LINE, plan: other, who: "anna".into(), at, gate: None });
    assert!(matches!(taken, Ok(Some(Answer::KeyTaken(_)))), "{taken:?}");
    assert_eq!(first, w.twice(open("a")));
}

#[test]
fn steps_that_the_life_of_a_code_does_not_have_change_nothing() {
    let mut w = World::new();
    w.pool(5);
    let run = w.run("r");
    w.issue(run, 2);
    for t in 1..=3 {
        let record = w.trigger(run, t);
        w.apply(record).unwrap();
    }
    let pooled = w.verify(run, 3, 1);
    assert!(matches!(w.refused(pooled), Rule::Step { .. }));
    let unknown = w.verify(run, 99, 1);
    assert!(matches!(w.refused(unknown), Rule::UnknownCode(_)));
    let not_triggered = w.verify(run, 1, 9);
    assert!(matches!(w.refused(not_triggered), Rule::TagNotOpen { .. }));
    let record = w.verify(run, 1, 1);
    w.apply(record).unwrap();
    let two_on_one = w.verify(run, 2, 1);
    assert!(matches!(w.refused(two_on_one), Rule::TwoCodes { .. }));
    let one_on_two = w.verify(run, 1, 2);
    assert!(matches!(w.refused(one_on_two), Rule::Step { .. }));
    let other_item = w.passed(run, 1, 2);
    assert!(matches!(w.refused(other_item), Rule::TagNotOpen { .. }));
    let unverified = w.passed(run, 2, 2);
    assert!(matches!(w.refused(unverified), Rule::TagNotOpen { .. }));
    let record = w.passed(run, 1, 1);
    w.apply(record).unwrap();
    let again = w.verify(run, 1, 2);
    assert!(matches!(w.refused(again), Rule::Step { .. }));
    let at = w.at();
    let many = Record::Issue { run, printer: PRINTER, count: 101, life_left_min_ms: 0, day_ends: NEVER, at };
    assert!(matches!(w.refused(many), Rule::TooMany { .. }));
    w.verified();
}

#[test]
fn a_wrong_record_undoes_its_whole_commit() {
    let mut w = World::new();
    w.pool(5);
    let run = w.run("r");
    let before = w.picture();
    let at = w.at();
    let good = Record::Issue { run, printer: PRINTER, count: 2, life_left_min_ms: 0, day_ends: NEVER, at };
    let new_gtin = Record::Incident {
        run: None,
        code: Some(tamga_domain::code::Identity { gtin: gtin(OTHER_GTIN), ..identity(1) }),
        tag: None,
        key: "foreign".into(),
        detail: String::new(),
        at,
    };
    let bad = w.passed(run, 5, 5);
    let txn = |records| tamga_domain::record::Txn { id: tamga_domain::ids::TxnId(7), records };
    let error = w.store.apply(&[txn(vec![good, new_gtin.clone()]), txn(vec![bad])]).unwrap_err();
    assert!(error.to_string().contains("record 0 of commit 7"), "{error}");
    assert_eq!(before, w.picture());
    // The id of the GTIN that was rolled back is not remembered.
    w.twice(new_gtin);
    w.verified();
}

#[test]
fn recovery_tells_all_that_is_in_flight() {
    let mut w = World::new();
    w.pool(10);
    let run = w.run("r");
    w.issue(run, 4);
    w.pass_item(run, 1, 1);
    w.job(run, 4, JobOutcome::Doubtful);
    for record in [w.trigger(run, 2), w.verify(run, 2, 2), w.trigger(run, 3)] {
        w.apply(record).unwrap();
    }
    let seen = w.store.recover(LINE).unwrap();
    drop(w.store);
    w.store = tamga::store::Store::open(w.folder.path(), "ffffffff").unwrap();
    assert_eq!(w.store.agent_id(), "0a1b2c3d");
    assert_eq!(w.store.recover(LINE).unwrap(), seen);
    let open = seen.run.unwrap();
    assert_eq!((open.run, open.state, open.passed, open.triggers), (run, RunState::Running, 1, 3));
    assert_eq!(open.plan, plan("r"));
    assert_eq!(open.open_tags, [tag(2), tag(3)]);
    assert_eq!(open.last_tag, Some(tag(3)));
    assert_eq!(open.pass_unknown, [(identity(2), tag(2))]);
    assert_eq!(open.last_read, [(PRINTER, IssueNo(2))]);
    let doubt: Vec<_> = open.in_doubt.iter().map(|(i, o)| (i.code.clone(), *o)).collect();
    assert_eq!(doubt, [(code(3), JobOutcome::Open), (code(4), JobOutcome::Doubtful)]);
    w.verified();
}
