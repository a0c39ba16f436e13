//! Orders and their blocks: what is said, and what the step then does.

use std::time::Duration;

use super::super::Input;
use super::super::config::*;
use super::super::request::*;
use super::script::Script;
use super::world::*;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

pub(super) fn line(status: BufferStatus, passed: u64) -> Reply {
    let (total, left) = (1000, 1000 - passed);
    Reply::SubOrder(Some(SubOrder {
        status,
        total,
        left,
        passed,
        reason: "r".into(),
        expires: None,
        created: None,
    }))
}

pub(super) fn packs(ids: &[&str]) -> Reply {
    Reply::Packs(ids.iter().map(|p| PackSeen { pack_id: p.to_string(), count: 100, made: None }).collect())
}

fn seen(id: &str, po: &str, status: OrderStatus) -> OrderSeen {
    OrderSeen { upstream_id: id.into(), po_number: po.into(), status, reason: String::new() }
}

fn nothing_found() -> Reply {
    Reply::Orders { seen: vec![], whole: true }
}

fn block(id: &str) -> Reply {
    let codes: Vec<Vec<u8>> = (0..100).map(|n| format!("o{id}{n}").into_bytes()).collect();
    Reply::Block { pack_id: id.into(), body: codes.concat(), codes }
}

#[test]
fn an_order_is_sent_once_its_number_is_not_found_and_its_intent_is_durable() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    assert_eq!(*s.order_state(), OrderState::Wanted);
    s.answer(id, nothing_found());
    let (_, request) = s.expect("make-order");
    assert_eq!(*s.order_state(), OrderState::Sent);
    assert!(matches!(request, Request::MakeOrder { plan } if plan.po_number == "A1-1"));
}

#[test]
fn an_order_of_the_same_number_is_told_from_others_even_if_the_filter_is_ignored() {
    let mut s = Script::with_order(OrderState::Sent, &[], |_| {});
    let (id, _) = s.expect("find-orders");
    let pending = |id, po| seen(id, po, OrderStatus::Pending);
    s.answer(id, Reply::Orders { seen: vec![pending("x", "A1-11"), pending("y", "A1-1")], whole: true });
    assert_eq!(*s.order_state(), OrderState::Accepted { upstream_id: "y".into() });
}

#[test]
fn what_certainly_did_not_leave_is_not_unknown() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, nothing_found());
    let (id, _) = s.expect("make-order");
    s.feed(Input::Lost { id, sent: false });
    s.expect("make-order");
    assert_eq!(*s.order_state(), OrderState::Sent);
}

#[test]
fn a_refused_order_is_told_and_the_next_one_waits() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, nothing_found());
    let (id, _) = s.expect("make-order");
    s.answer_with(id, 400, Reply::Refused { reason: "gtin".into() });
    assert_eq!(*s.order_state(), OrderState::Refused);
    assert_eq!(s.told, [("alarm.order_refused", "A1-1".to_string())]);
    assert_eq!(s.next(config().refused_pause - Duration::from_secs(10)), None);
    let (_, request) = s.next(Duration::from_secs(20)).unwrap();
    assert!(matches!(request, Request::FindOrders { by: OrderKey::PoNumber(po), .. } if po == "A1-2"));
}

#[test]
fn absence_of_an_order_does_not_count_while_another_is_being_made() {
    let mut s = Script::with_order(OrderState::Unknown, &[], |snapshot| {
        let mut other = snapshot.orders[0].clone();
        other.order = OrderNo(1);
        other.plan.po_number = "A1-0".into();
        other.state = OrderState::Accepted { upstream_id: "o1".into() };
        other.upstream_id = Some("o1".into());
        snapshot.orders.push(other);
    });
    for _ in 0..200 {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        match request {
            Request::FindOrders { .. } => s.answer(id, nothing_found()),
            Request::SubOrder { .. } => s.answer(id, line(BufferStatus::Pending, 0)),
            other => panic!("{other:?}"),
        }
    }
    assert!(s.now > Time(0).after(config().settle_min));
}

#[test]
fn an_order_of_which_others_took_codes_is_not_used() {
    let mut s = Script::with_order(OrderState::Accepted { upstream_id: "o0".into() }, &[], |_| {});
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 100));
    assert_eq!(*s.order_state(), OrderState::Refused);
}

#[test]
fn the_newest_block_is_fetched_again_with_its_predecessor_when_it_is_missing() {
    let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &["a", "b"], |_| {});
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 300));
    let (id, _) = s.expect("packs");
    s.answer(id, packs(&["a", "b", "c"]));
    let (id, request) = s.expect("block");
    assert!(matches!(request, Request::Block { last_pack: Some(p), quantity: 100, .. } if p == "b"));
    s.answer(id, block("c"));
    assert_eq!(s.store.orders[0].packs[2].previous.as_deref(), Some("b"));
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 300));
    assert!(s.told.is_empty());
    assert_eq!((s.store.pooled, s.store.blocks[0].unpacked), (100, 100));
}

/// The server's clock was set back by an hour before it made the newest block; or its list is in no order at all.
#[test]
fn the_newest_block_is_found_by_the_list_or_by_its_moments() {
    let pack = |id: &str, ms| PackSeen { pack_id: id.into(), count: 100, made: Some(Wall(START_MS + ms)) };
    for list in [
        vec![pack("a", 0), pack("b", 10), pack("c", -3_600_000)],
        vec![pack("b", 10), pack("c", 20), pack("a", 0)],
    ] {
        let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &["a", "b"], |_| {});
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Active, 300));
        let (id, _) = s.expect("packs");
        s.answer(id, Reply::Packs(list));
        let (_, request) = s.expect("block");
        assert!(matches!(request, Request::Block { last_pack: Some(p), .. } if p == "b"));
    }
}

#[test]
fn blocks_that_this_database_cannot_have_lost_are_not_fetched() {
    let restored = |s: &mut Snapshot| s.restored = Some(OrderNo(0));
    for (here, there, change) in [
        (&["a"][..], &["a", "b", "c"][..], None),
        (&["a", "c"], &["a", "b", "c"], None),
        (&["a", "b"], &["a", "b", "c"], Some(restored)),
        (&["a", "x"], &["a", "b", "c"], None),
    ] {
        let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), here, |snapshot| {
            if let Some(change) = change {
                change(snapshot);
            }
        });
        s.level(0);
        for _ in 0..10 {
            let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
            match request {
                Request::SubOrder { .. } => {
                    s.answer(id, line(BufferStatus::Active, there.len() as u64 * 100))
                }
                Request::Packs { .. } => s.answer(id, packs(there)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(s.told, [("alarm.codes_missing", "A1-1".to_string())]);
    }
}

#[test]
fn blocks_are_taken_only_as_the_pool_needs() {
    let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &[], |_| {});
    s.level(300);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 0));
    assert_eq!(s.next(Duration::from_secs(500)), None);
    s.level(299);
    let (_, request) = s.expect("block");
    assert!(matches!(request, Request::Block { last_pack: None, quantity: 250, .. }));
}

#[test]
fn a_refused_block_is_asked_for_again_only_after_a_new_look() {
    let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &[], |_| {});
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 0));
    let (id, _) = s.expect("block");
    s.answer_with(id, 400, Reply::Refused { reason: "quantity".into() });
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 900));
    let (id, _) = s.expect("packs");
    s.answer(id, packs(&["p"]));
    s.expect("block");
}

#[test]
fn an_assigned_order_is_taken_when_nobody_took_its_codes() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(1000);
    s.feed(Input::Assigned(assigned("o7")));
    s.feed(Input::Assigned(assigned("o7")));
    let (id, _) = s.expect("find-orders");
    s.answer(id, Reply::Orders { seen: vec![seen("o7", "someone", OrderStatus::Ready)], whole: true });
    let (id, _) = s.expect("sub-order");
    assert_eq!(s.store.orders.len(), 1);
    s.answer(id, line(BufferStatus::Active, 0));
    let terms = OrderTerms { total: Some(1000), ..OrderTerms::default() };
    assert_eq!(*s.order_state(), OrderState::Ready(terms));
}

#[test]
fn an_unknown_word_is_held_and_told_once() {
    let mut s = Script::with_order(OrderState::Accepted { upstream_id: "o0".into() }, &[], |_| {});
    for _ in 0..3 {
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Other("FROZEN".into()), 0));
    }
    assert_eq!(s.told, [("alarm.order_status", "A1-1".to_string())]);
}

fn assigned(id: &str) -> OrderPlan {
    OrderPlan {
        po_number: format!("cabinet:{id}"),
        gtin: gtin(),
        group: "water".into(),
        kind: PackageKind::Unit,
        quantity: 0,
        release_method: String::new(),
        business_place: None,
        upstream_id: Some(id.into()),
    }
}

#[test]
fn an_assigned_order_that_is_ours_or_closed_or_not_there_is_refused() {
    for found in [
        vec![seen("o7", "A1-3", OrderStatus::Ready)],
        vec![seen("o7", "x", OrderStatus::Closed)],
        vec![seen("o7", "x", OrderStatus::Rejected)],
        vec![seen("o8", "x", OrderStatus::Ready)],
        vec![],
    ] {
        let mut s = Script::new(config(), Snapshot::default());
        s.level(1000);
        s.feed(Input::Assigned(assigned("o7")));
        let (id, _) = s.expect("find-orders");
        s.answer(id, Reply::Orders { seen: found.clone(), whole: true });
        assert_eq!(*s.order_state(), OrderState::Refused, "{found:?}");
    }
}

#[test]
fn codes_of_an_assigned_order_are_taken_where_this_agent_orders_none() {
    let mut c = config();
    c.products[0].order_quantity = 0;
    let mut s = Script::new(c, Snapshot::default());
    s.greeted();
    s.level(0);
    assert_eq!(s.next(Duration::from_secs(7200)), None, "nothing is ordered");
    s.feed(Input::Assigned(assigned("o7")));
    let (id, _) = s.expect("find-orders");
    s.answer(id, Reply::Orders { seen: vec![seen("o7", "x", OrderStatus::Ready)], whole: true });
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 0));
    s.expect("block");
}

fn rest(spent: bool) -> OrderRest {
    OrderRest { order: OrderNo(0), pooled: 0, closed: false, expires: None, spent }
}

#[test]
fn an_order_is_closed_when_it_is_used_up_and_nothing_needs_it_any_more() {
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
    s.greeted();
    s.level(1000);
    s.feed(Input::Rests(vec![rest(false)]));
    assert_eq!(s.next(Duration::from_secs(7200)), None);
    s.feed(Input::Rests(vec![rest(true)]));
    let (id, _) = s.expect("find-orders");
    s.answer(id, Reply::Orders { seen: vec![seen("o0", "A1-1", OrderStatus::Ready)], whole: true });
    let (id, request) = s.expect("close-order");
    assert_eq!(request, Request::CloseOrder { order: "o0".into() });
    assert_eq!(*s.order_state(), OrderState::Closing);
    s.answer(id, Reply::OrderClosed);
    assert_eq!(*s.order_state(), OrderState::Closed);
}

#[test]
fn an_order_that_a_person_assigned_is_a_persons_to_close() {
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |snapshot| {
        snapshot.orders[0].plan = assigned("o0");
    });
    s.greeted();
    s.level(1000);
    s.feed(Input::Rests(vec![rest(true)]));
    assert_eq!(s.next(Duration::from_secs(7200)), None);
}

#[test]
fn a_lost_close_is_looked_for_and_asked_again_only_after_the_settling_time() {
    // As lost in this process, and as a start finds it.
    for state in [OrderState::Exhausted, OrderState::Closing] {
        for found in [OrderStatus::Closed, OrderStatus::Ready] {
            let mut s = Script::with_order(state.clone(), &["a"], |_| {});
            s.level(1000);
            s.feed(Input::Rests(vec![rest(true)]));
            if state == OrderState::Exhausted {
                let (id, _) = s.expect("find-orders");
                s.answer(
                    id,
                    Reply::Orders { seen: vec![seen("o0", "A1-1", OrderStatus::Ready)], whole: true },
                );
                let (id, _) = s.expect("close-order");
                s.feed(Input::Lost { id, sent: true });
            }
            assert_eq!(s.step.status().unknown, 1);
            let lost_at = s.now;
            let again = loop {
                let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
                let Request::FindOrders { .. } = request else { break Some(request) };
                s.answer(id, Reply::Orders { seen: vec![seen("o0", "A1-1", found.clone())], whole: true });
                if *s.order_state() == OrderState::Closed {
                    break None;
                }
            };
            match found {
                OrderStatus::Closed => assert_eq!(again, None),
                _ => {
                    assert_eq!(again, Some(Request::CloseOrder { order: "o0".into() }));
                    assert!(s.now.since(lost_at) >= config().settle_min);
                }
            }
        }
    }
}

#[test]
fn a_refused_close_is_told_and_not_repeated() {
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
    s.level(1000);
    s.feed(Input::Rests(vec![rest(true)]));
    let open = || Reply::Orders { seen: vec![seen("o0", "A1-1", OrderStatus::Ready)], whole: true };
    let (id, _) = s.expect("find-orders");
    s.answer(id, open());
    let (id, _) = s.expect("close-order");
    s.answer_with(id, 400, Reply::Refused { reason: "wrong-status".into() });
    let since = s.now;
    while s.told.is_empty() {
        let (id, _) = s.expect("find-orders");
        s.answer(id, open());
    }
    assert!(s.now.since(since) >= config().settle_min);
    assert_eq!(s.told, [("alarm.order_close", "A1-1".to_string())]);
    assert_eq!(s.next(Duration::from_secs(7200)), None);
}

/// The refusal was that of a request that came twice, and the first look an old one.
#[test]
fn a_refused_close_that_is_seen_in_effect_is_told_to_nobody() {
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
    s.level(1000);
    s.feed(Input::Rests(vec![rest(true)]));
    let shown = |status| Reply::Orders { seen: vec![seen("o0", "A1-1", status)], whole: true };
    let (id, _) = s.expect("find-orders");
    s.answer(id, shown(OrderStatus::Ready));
    let (id, _) = s.expect("close-order");
    s.answer_with(id, 400, Reply::Refused { reason: "wrong-status".into() });
    let (id, _) = s.expect("find-orders");
    s.answer(id, shown(OrderStatus::Ready));
    let (id, _) = s.expect("find-orders");
    s.answer(id, shown(OrderStatus::Closed));
    assert_eq!((s.order_state(), s.told.len()), (&OrderState::Closed, 0));
}

#[test]
fn codes_of_a_closed_order_and_codes_whose_life_is_over_are_given_back_in_slices() {
    let end = Wall(START_MS + 3_600_000);
    for (closed, expires, after_s, given) in [
        (true, None, 0, 250),
        (false, Some(end), 3_500, 0),
        (false, Some(end), 3_700, 250),
        (false, None, 1_000_000, 0),
    ] {
        let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &["a"], |_| {});
        s.store.pooled = 250;
        s.level(1000);
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Active, 100));
        s.now = s.now.after(Duration::from_secs(after_s));
        s.feed(Input::Rests(vec![OrderRest {
            order: OrderNo(0),
            pooled: 250,
            closed,
            expires,
            spent: false,
        }]));
        assert_eq!(s.store.returned, given, "{closed} {expires:?} {after_s}");
        assert!(s.records.iter().all(|r| !matches!(r, Record::Return { limit, .. } if *limit > 100)));
    }
}

#[test]
fn a_life_is_over_by_upstreams_clock_only() {
    // This computer's calendar is far ahead, and upstream has not answered yet.
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
    s.store.pooled = 10;
    let over = OrderRest { pooled: 10, expires: Some(Wall(START_MS - 1)), ..rest(false) };
    s.feed(Input::Rests(vec![over]));
    assert_eq!(s.store.returned, 0);
}

#[test]
fn the_life_of_codes_is_upstreams_word_or_counted_from_the_order_by_the_rules() {
    let day = Duration::from_secs(86_400);
    let made = Wall(START_MS - 1000);
    let told = Wall(START_MS + 5);
    for (expires, created, life, expected) in [
        (Some(told), Some(made), Some(day), Some(told)),
        (None, Some(made), Some(day), Some(made.plus_ms(86_400_000))),
        (None, Some(made), None, None),
    ] {
        let accepted = OrderState::Accepted { upstream_id: "o0".into() };
        let mut s = Script::with_order(accepted.clone(), &[], |_| {});
        s.step = super::super::Step::new(
            {
                let mut c = config();
                c.products[0].code_life = life;
                c
            },
            Box::new(parse),
            Snapshot { orders: s.store.orders.clone(), last_po: 1, ..Snapshot::default() },
        );
        s.level(1000);
        let (id, _) = s.expect("sub-order");
        let status = BufferStatus::Active;
        let seen =
            SubOrder { status, total: 1000, left: 1000, passed: 0, reason: String::new(), expires, created };
        s.answer(id, Reply::SubOrder(Some(seen)));
        let OrderState::Ready(terms) = s.order_state() else { panic!("{:?}", s.order_state()) };
        assert_eq!((terms.expires, terms.ordered), (expected, created));
    }
}

#[test]
fn an_order_closed_after_its_last_code_keeps_its_codes() {
    for (passed, expected) in [(1000, OrderState::Exhausted), (100, OrderState::Closed)] {
        let packs = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let here = &packs[..passed as usize / 100];
        let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), here, |_| {});
        s.level(1000);
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Closed, passed));
        assert_eq!(*s.order_state(), expected);
    }
}

#[test]
fn codes_that_would_not_live_long_enough_are_neither_taken_nor_counted_as_coming() {
    let day_ms = 86_400_000;
    // An hour more than asked for, and a second less.
    for (left_ms, useful) in [(day_ms + 3_600_000, true), (day_ms - 1000, false)] {
        let terms = OrderTerms { expires: Some(Wall(START_MS + left_ms)), ..OrderTerms::default() };
        let plan = Script::with_order(OrderState::Ready(terms), &[], |_| {}).store.orders;
        let life_left_min = Duration::from_secs(86_400);
        let snapshot = Snapshot { orders: plan.clone(), last_po: 1, ..Snapshot::default() };
        let mut s = Script::new(Config { life_left_min, ..config() }, snapshot);
        s.store.orders = plan;
        s.level(0);
        assert_eq!(s.store.orders.len(), if useful { 1 } else { 2 }, "{left_ms}: another order is wanted");
        let mut asked = vec![];
        while let Some((id, request)) = s.next(Duration::from_secs(60)) {
            if request.name() == "sub-order" {
                s.answer(id, line(BufferStatus::Active, 0));
            }
            asked.push(request.name());
        }
        assert_eq!(asked.contains(&"block"), useful, "{left_ms}: {asked:?}");
    }
}

/// A cache may answer with an older order; two orders here with one id there could never be told apart again.
#[test]
fn an_answer_that_names_another_order_makes_the_new_one_unknown() {
    let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, Reply::Orders { seen: vec![], whole: true });
    let (id, _) = s.expect("make-order");
    s.answer(id, Reply::OrderMade { upstream_id: "o0".into() });
    assert_eq!(s.store.orders[1].state, OrderState::Unknown);
}

/// The books are asked, since an order that is over is not among those that are worked on.
#[test]
fn an_answer_that_names_an_order_of_an_earlier_process_is_not_taken_and_told() {
    let over = |snapshot: &mut Snapshot| snapshot.orders.clear();
    for straight in [true, false] {
        let mut s = Script::with_order(OrderState::Closed, &["a"], over);
        s.level(0);
        let (id, _) = s.expect("find-orders");
        s.answer(id, nothing_found());
        let (id, _) = s.expect("make-order");
        if straight {
            s.answer(id, Reply::OrderMade { upstream_id: "o0".into() });
        } else {
            s.feed(Input::Lost { id, sent: true });
            let (id, _) = s.expect("find-orders");
            s.answer(id, Reply::Orders { seen: vec![seen("o0", "A1-2", OrderStatus::Pending)], whole: true });
        }
        assert_eq!(s.store.orders[1].state, OrderState::Unknown);
        assert!(s.troubles.contains(&("alarm.order_id", "A1-2".into())), "{:?}", s.troubles);
        let (id, _) = s.expect("find-orders");
        s.answer(id, Reply::Orders { seen: vec![seen("o1", "A1-2", OrderStatus::Pending)], whole: true });
        assert_eq!(s.store.orders[1].state, OrderState::Accepted { upstream_id: "o1".into() });
        assert_eq!(s.troubles, Default::default());
    }
}

/// A request that a proxy sent twice, with the first answer straight: nobody would ever look for the second order.
#[test]
fn an_order_made_twice_is_told_though_its_answer_came_straight_and_ends_when_the_other_is_closed() {
    let twice = ("alarm.order_twice", "A1-1".to_string());
    let (ready, closed) = (OrderStatus::Ready, OrderStatus::Closed);
    let both = |other: &OrderStatus| Reply::Orders {
        seen: vec![seen("o0", "A1-1", ready.clone()), seen("o1", "A1-1", other.clone())],
        whole: true,
    };
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, nothing_found());
    let (id, _) = s.expect("make-order");
    s.answer(id, Reply::OrderMade { upstream_id: "o0".into() });
    let (id, _) = s.expect("find-orders");
    s.answer(id, both(&ready));
    assert!(s.troubles.contains(&twice), "{:?}", s.troubles);
    assert_eq!(*s.order_state(), OrderState::Accepted { upstream_id: "o0".into() });
    // One that shows late is told before the first is closed.
    for (other, told) in [(&ready, true), (&closed, false)] {
        let mut s = Script::with_order(OrderState::Exhausted, &["a"], |_| {});
        s.level(1000);
        s.feed(Input::Rests(vec![rest(true)]));
        let (id, request) = s.expect("find-orders");
        assert!(matches!(request, Request::FindOrders { by: OrderKey::PoNumber(_), .. }), "{request:?}");
        s.answer(id, both(&ready));
        assert!(s.troubles.contains(&twice));
        drop(s);
        let mut s = Script::with_order(OrderState::Unknown, &[], |_| {});
        let (id, _) = s.expect("find-orders");
        s.answer(id, both(other));
        assert_eq!(s.troubles.contains(&twice), told);
    }
}

/// A block whose answer was lost, and that upstream does not show yet: the order is used up, and a block is missing.
#[test]
fn an_order_used_up_with_fewer_codes_taken_than_it_has_is_looked_at_again() {
    let ready = || Script::with_order(OrderState::Ready(OrderTerms::default()), &["a"], |_| {});
    let mut s = ready();
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Exhausted, 100));
    assert!(matches!(s.order_state(), OrderState::Ready(_)));
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Exhausted, 1000));
    let (id, _) = s.expect("packs");
    s.answer(id, packs(&["a", "b"]));
    s.expect("block");
    // What stays so over the settling time is so.
    let mut s = ready();
    while *s.order_state() != OrderState::Exhausted {
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Exhausted, 100));
    }
    assert!(s.now.since(crate::time::Time(0)) >= config().settle_min);
}
