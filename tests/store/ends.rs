//! The ends of orders: codes given back, orders used up, orders that a person assigned.

use tamga_domain::ids::{OrderNo, RunId};
use tamga_domain::lifecycle::State;
use tamga_domain::record::{
    Answer, OrderPlan, OrderState, OrderTerms, Record, ReportState, RunPlan, RunState,
};
use tamga_domain::time::Wall;

use crate::kit::*;

impl World {
    fn order_state(&mut self, order: OrderNo, state: OrderState) {
        let at = self.at();
        self.apply(Record::OrderState { order, state, why: "test".into(), at }).unwrap();
    }

    fn spent(&self, order: OrderNo) -> Option<bool> {
        let rests = self.store.view().order_rests().unwrap();
        rests.iter().find(|r| r.order == order).map(|r| r.spent)
    }
}

/// An answer of some cache names an order that is over, of an earlier process: no bug of ours, and nothing to end for.
#[test]
fn the_id_of_another_order_names_none_whatever_became_of_that() {
    for over in [OrderState::Accepted { upstream_id: "u1".into() }, OrderState::Closed] {
        let mut w = World::new();
        let (first, second) = (w.order("PO-1"), w.order("PO-2"));
        let accepted = |order, id: &str, at| {
            let state = OrderState::Accepted { upstream_id: id.to_owned() };
            Record::OrderState { order, state, why: String::new(), at }
        };
        let at = w.at();
        assert_eq!(w.apply(accepted(first, "u1", at)).unwrap(), None);
        w.order_state(first, over);
        let before = w.picture();
        assert_eq!(w.apply(accepted(second, "u1", at)).unwrap(), Some(Answer::IdTaken(first)));
        assert_eq!(w.picture(), before);
        assert_eq!(w.apply(accepted(second, "u2", at)).unwrap(), None);
        assert_eq!(w.apply(accepted(second, "u2", at)).unwrap(), None, "the same again");
    }
}

#[test]
fn codes_of_an_order_are_given_back_in_slices_and_every_code_stays_accounted_for() {
    let mut w = World::new();
    let order = w.pool(250);
    let run = w.run("r");
    w.issue(run, 10);
    w.order_state(order, OrderState::Closed);
    for left in [140, 40, 0, 0] {
        let record = Record::Return { order, limit: 100, at: w.at() };
        assert_eq!(w.apply(record).unwrap(), Some(Answer::Returned { left }));
        w.verified();
    }
    let totals = w.store.view().block_totals().unwrap();
    assert_eq!((totals.pooled, totals.issued, totals.returned), (0, 10, 240));
    assert_eq!((w.state(10), w.state(11)), (Some(State::Issued), Some(State::Returned)));
    let story = w.store.view().story(&identity(11)).unwrap().unwrap();
    assert_eq!((story.state, story.returned), (State::Returned, Some(Wall(w.now - 3_000))));
    assert_eq!(story.received.po_number.as_deref(), Some("PO-1"));
    let incidents = w.store.view().incidents(None, 10).unwrap();
    let told: Vec<_> = incidents.iter().filter(|i| i.key == "returned").map(|i| i.detail.as_str()).collect();
    assert_eq!(told, ["40, PO-1", "100, PO-1", "100, PO-1"]);
    let record = Record::Return { order, limit: 101, at: w.at() };
    w.refused(record);
}

#[test]
fn codes_of_a_closed_or_refused_order_are_not_issued() {
    for state in [OrderState::Closed, OrderState::Refused] {
        let mut w = World::new();
        let order = w.pool(3);
        w.order_state(order, state);
        let run = w.run("r");
        assert_eq!(w.issue(run, 5).len(), 0);
        assert_eq!(w.store.view().issuable(Wall(w.now), 0).unwrap(), []);
        let rests = w.store.view().order_rests().unwrap();
        assert_eq!((rests[0].closed, rests[0].pooled), (true, 3));
    }
}

#[test]
fn a_returned_code_is_neither_issued_nor_printed_nor_given_a_second_time() {
    let mut w = World::new();
    let order = w.pool(2);
    w.order_state(order, OrderState::Closed);
    let record = Record::Return { order, limit: 100, at: w.at() };
    w.apply(record).unwrap();
    let other = w.order("PO-2");
    w.ready(other, None);
    let block = w.block(other, "p", 3);
    assert_eq!(w.unpack(block, 0, [1, 2, 3]), (1, 2), "given before");
    let run = w.run("r");
    assert_eq!(w.issue(run, 5).into_iter().map(|i| i.code).collect::<Vec<_>>(), [code(3)]);
    w.verified();
}

/// What keeps the pool filled and what a line is given must be the same codes.
#[test]
fn the_level_of_a_pool_counts_the_codes_that_would_be_issued() {
    let mut w = World::new();
    let day = 86_400_000;
    let end = Wall(w.now + 10 * day);
    for (po, expires, first) in [("PO-1", None, 1), ("PO-2", Some(end), 11)] {
        let order = w.order(po);
        w.ready(order, expires);
        let block = w.block(order, po, 10);
        w.unpack(block, 0, first..first + 10);
    }
    let run = w.run("r");
    for (asked_ms, expected) in [(9 * day, 20), (10 * day, 10), (11 * day, 10)] {
        let at = w.at();
        let levels = w.store.view().issuable(at, asked_ms).unwrap();
        assert_eq!(levels, [(gtin(GTIN), expected)], "{asked_ms}");
        let mut copy = World::new();
        std::mem::swap(&mut copy, &mut w);
        let record = Record::Issue {
            run,
            printer: PRINTER,
            count: 100,
            life_left_min_ms: asked_ms,
            day_ends: NEVER,
            at,
        };
        let Some(Answer::Issued(issued)) = copy.apply(record).unwrap() else { panic!() };
        assert_eq!(issued.len() as u64, expected);
        for one in &issued {
            copy.job(run, number(one), tamga_domain::record::JobOutcome::Refused);
        }
        std::mem::swap(&mut copy, &mut w);
    }
}

fn number(issued: &tamga_domain::record::Issued) -> u32 {
    let serial = String::from_utf8(issued.code.identity.serial.as_bytes().to_vec()).unwrap();
    serial[1..].parse().unwrap()
}

#[test]
fn an_order_is_spent_when_no_code_run_or_report_of_ours_needs_it() {
    let mut w = World::new();
    let order = w.pool(3);
    assert_eq!(w.spent(order), Some(false), "not all codes were taken");
    w.order_state(order, OrderState::Exhausted);
    assert_eq!(w.spent(order), Some(false), "codes are pooled");
    let run = w.run("r");
    w.issue(run, 3);
    for (n, t) in [(1, 1), (2, 2)] {
        w.pass_item(run, n, t);
    }
    // The third is rejected: with the run's close it is rejected for good.
    for record in [w.trigger(run, 3), w.verify(run, 3, 3), w.rejected(run, Some(3), 3)] {
        w.apply(record).unwrap();
    }
    assert_eq!(w.spent(order), Some(false), "its run is open");
    w.run_state(run, RunState::Closing).unwrap();
    let record = Record::SpoilLeft { run, limit: 100, who: "anna".into(), at: w.at() };
    w.apply(record).unwrap();
    w.run_state(run, RunState::Closed).unwrap();
    assert_eq!(w.spent(order), Some(false), "passes are not reported");
    let report = w.report(run, &[(1, 2)]);
    assert_eq!(w.spent(order), Some(false), "a report is open");
    let record = w.report_state(report, ReportState::Accepted);
    w.apply(record).unwrap();
    assert_eq!(w.spent(order), Some(true));
    w.order_state(order, OrderState::Closing);
    assert_eq!(w.spent(order), Some(true));
    w.order_state(order, OrderState::Closed);
    assert_eq!(w.spent(order), None);
}

fn assigned(id: &str, number: &str) -> OrderPlan {
    OrderPlan { upstream_id: Some(id.into()), quantity: 0, ..order_plan(number) }
}

#[test]
fn an_order_of_the_cabinet_is_here_once_however_often_it_is_assigned() {
    let mut w = World::new();
    let assign = |w: &mut World, plan: OrderPlan| {
        let at = w.at();
        match w.twice(Record::OrderWanted { order: plan, at }) {
            Some(Answer::Order(order)) => order,
            other => panic!("{other:?}"),
        }
    };
    let first = assign(&mut w, assigned("u1", "cabinet:u1"));
    assert_eq!(assign(&mut w, assigned("u1", "cabinet:u1#1")), first);
    let other = OrderPlan { gtin: gtin(OTHER_GTIN), ..assigned("u1", "cabinet:u1:2") };
    let second = assign(&mut w, other);
    assert_ne!(second, first, "another product of the same order");
    w.order_state(first, OrderState::Refused);
    let again = assign(&mut w, assigned("u1", "cabinet:u1#2"));
    assert!(again != first && again != second, "a refused one may be assigned again");
    assert_eq!(w.store.view().orders_named("u1").unwrap(), 3);
    assert_eq!(w.store.view().order_known("u1", &gtin(GTIN)).unwrap(), Some(again));
    let terms = OrderTerms { total: Some(500), ..OrderTerms::default() };
    w.order_state(again, OrderState::Ready(terms));
    let row = w.store.view().orders(None, 10).unwrap().remove(0);
    assert_eq!((row.order, row.plan.quantity), (again, 500), "upstream tells how many it has");
}

/// Codes ordered after the run's day of production: upstream refuses them on goods of that day. A run over midnight keeps
/// to those that it began with.
#[test]
fn a_run_is_not_given_codes_that_were_ordered_after_its_day() {
    let mut w = World::new();
    let ends = Wall(w.now + 1_000);
    let block_of = |w: &mut World, po: &str, ordered: Option<Wall>, first: u32| {
        let order = w.order(po);
        w.order_state(order, OrderState::Ready(OrderTerms { ordered, ..OrderTerms::default() }));
        let block = w.block(order, po, 3);
        w.unpack(block, 0, first..first + 3);
    };
    let issue = |w: &mut World, run, count| {
        let at = w.at();
        let day_ends = ends;
        w.apply(Record::Issue { run, printer: PRINTER, count, life_left_min_ms: 0, day_ends, at }).unwrap()
    };
    // Soonest expiry comes first, and the later order expires sooner than one that never does: it is passed over.
    block_of(&mut w, "PO-LATER", Some(Wall(ends.0 + 1)), 1);
    block_of(&mut w, "PO-IN-TIME", Some(ends), 11);
    let run = w.run("over midnight");
    let Some(Answer::Issued(issued)) = issue(&mut w, run, 5) else { panic!("codes of the day") };
    assert_eq!(issued.iter().map(number).collect::<Vec<_>>(), [11, 12, 13]);
    assert_eq!(
        issue(&mut w, run, 5),
        Some(Answer::Later(3)),
        "the run has codes of its day, and keeps to such"
    );
    // One that a person opened though there was no code of its day: that was said and agreed to.
    w.run_state(run, RunState::Closing).unwrap();
    let at = w.at();
    w.apply(Record::SpoilLeft { run, limit: 10, who: "anna".into(), at }).unwrap();
    w.run_state(run, RunState::Closed).unwrap();
    // The only order of its day is used up before it had a code of it: nobody agreed to later ones.
    let empty = w.run("opened a minute before midnight");
    assert_eq!(issue(&mut w, empty, 5), Some(Answer::Later(3)));
    w.run_state(empty, RunState::Closing).unwrap();
    w.run_state(empty, RunState::Closed).unwrap();
    let late = w.run_of(RunPlan { before_order: true, ..plan("before the order") });
    let Some(Answer::Issued(issued)) = issue(&mut w, late, 5) else { panic!("codes after all") };
    assert_eq!(issued.len(), 3);
    assert_eq!(issue(&mut w, late, 5), Some(Answer::Issued(vec![])), "the pool is empty");
}

#[test]
fn runs_that_declare_a_day_before_their_codes_were_ordered_are_named() {
    let day_ms = 86_400_000;
    for (ordered_ms, expected) in [(-1, 0), (0, 3)] {
        let mut w = World::new();
        // The declared day of the kit's runs ends with the last millisecond before this, by UTC.
        let ends = 19_676 * day_ms;
        let order = w.order("PO-1");
        let ordered = Some(Wall(ends + ordered_ms));
        w.order_state(order, OrderState::Ready(OrderTerms { ordered, ..OrderTerms::default() }));
        let block = w.block(order, "p", 5);
        w.unpack(block, 0, 1..=5);
        assert_eq!(w.store.view().oldest_order(&gtin(GTIN)).unwrap(), ordered);
        let run = w.run("r");
        w.issue(run, 3);
        let found = w.store.view().runs_before_order(ZONE).unwrap();
        assert_eq!(
            found.iter().map(|f| (f.run, f.codes)).collect::<Vec<_>>(),
            [(run, expected)][..usize::from(expected > 0)]
        );
        // Seen from further east the same day ends earlier.
        let east = tamga_domain::day::Zone::parse("+05:00").unwrap();
        assert_eq!(w.store.view().runs_before_order(east).unwrap().len(), 1);
        assert_eq!(run, RunId(1));
    }
}
