//! Orders and their blocks: what is said, and what the step then does.

use std::time::Duration;

use super::super::Input;
use super::super::config::*;
use super::super::request::*;
use super::script::Script;
use super::world::*;
use crate::ids::*;
use crate::record::*;
use crate::time::Time;

fn line(status: BufferStatus, passed: u64) -> Reply {
    let (total, left) = (1000, 1000 - passed);
    Reply::SubOrder(Some(SubOrder { status, total, left, passed, reason: "r".into(), expires: None }))
}

fn packs(ids: &[&str]) -> Reply {
    Reply::Packs(ids.iter().map(|p| PackSeen { pack_id: p.to_string(), count: 100 }).collect())
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
    let seen = |id: &str, po: &str| OrderSeen {
        upstream_id: id.into(),
        po_number: po.into(),
        status: OrderStatus::Pending,
        reason: String::new(),
    };
    s.answer(id, Reply::Orders { seen: vec![seen("x", "A1-11"), seen("y", "A1-1")], whole: true });
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
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &["a", "b"], |_| {});
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

#[test]
fn blocks_that_this_database_cannot_have_lost_are_not_fetched() {
    let restored = |s: &mut Snapshot| s.restored = true;
    for (here, there, change) in [
        (&["a"][..], &["a", "b", "c"][..], None),
        (&["a", "c"], &["a", "b", "c"], None),
        (&["a", "b"], &["a", "b", "c"], Some(restored)),
        (&["a", "x"], &["a", "b", "c"], None),
    ] {
        let mut s = Script::with_order(OrderState::Ready { expires: None }, here, |snapshot| {
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
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &[], |_| {});
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
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &[], |_| {});
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
    let plan = OrderPlan {
        po_number: "cabinet-5".into(),
        gtin: gtin(),
        group: "water".into(),
        kind: PackageKind::Unit,
        quantity: 1000,
        release_method: "PRIMARY".into(),
        business_place: None,
        upstream_id: Some("o7".into()),
    };
    s.feed(Input::Assigned(plan.clone()));
    s.feed(Input::Assigned(plan));
    let (id, _) = s.expect("sub-order");
    assert_eq!(s.store.orders.len(), 1);
    s.answer(id, line(BufferStatus::Active, 0));
    assert_eq!(*s.order_state(), OrderState::Ready { expires: None });
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
