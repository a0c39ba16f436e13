//! Orders of before a restore: what was lost with it may have taken their codes.

use std::time::Duration;

use super::super::config::*;
use super::super::request::*;
use super::orders::{line, packs};
use super::script::Script;
use super::world::*;
use crate::ids::OrderNo;
use crate::record::{OrderState, OrderTerms};

/// Seed 25187 of the campaign of 2026-11-22: an old answer did not count the block that was taken by what was lost, and
/// upstream gave it once more as if it were new. Its codes were on items.
#[test]
fn an_old_answer_opens_no_order_of_before_a_restore() {
    let ready = OrderState::Ready(OrderTerms::default());
    let restored = |s: &mut Snapshot| s.restored = Some(OrderNo(0));
    let mut s = Script::with_order(ready.clone(), &["a"], restored);
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 100));
    // The next look is a newer one, and tells of the block.
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 200));
    for _ in 0..6 {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        match request {
            Request::SubOrder { .. } => s.answer(id, line(BufferStatus::Active, 200)),
            Request::Packs { .. } => s.answer(id, packs(&["a", "b"])),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(s.told, [("alarm.codes_missing", "A1-1".to_string())]);
    // Where every look over the settling time says the same, its other codes are good.
    let mut s = Script::with_order(ready.clone(), &["a"], restored);
    s.level(0);
    let began = s.now;
    let mut looks = 0;
    loop {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        match request {
            Request::SubOrder { .. } => s.answer(id, line(BufferStatus::Active, 100)),
            Request::Block { .. } => break,
            other => panic!("{other:?}"),
        }
        looks += 1;
    }
    assert!(s.now.since(began) >= config().settle_min && looks >= config().looks_min, "{looks} looks");
    // An order of after the restore is nobody else's.
    let mut s = Script::with_order(ready, &["a"], |s| {
        s.restored = Some(OrderNo(0));
        s.orders.iter_mut().for_each(|order| order.order = OrderNo(1));
    });
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 100));
    s.expect("block");
}

#[test]
fn one_look_that_disagrees_makes_the_settling_time_begin_again() {
    let restored = |s: &mut Snapshot| s.restored = Some(OrderNo(0));
    let mut s = Script::with_order(OrderState::Ready(OrderTerms::default()), &["a"], restored);
    s.level(0);
    let began = s.now;
    // Old answers nearly to the end, then a newer one, then old ones again.
    let mut disagreed = None;
    loop {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        let late = s.now.since(began) >= config().settle_min;
        match request {
            Request::SubOrder { .. } if late && disagreed.is_none() => {
                disagreed = Some(s.now);
                s.answer(id, line(BufferStatus::Active, 200));
            }
            Request::SubOrder { .. } => s.answer(id, line(BufferStatus::Active, 100)),
            Request::Packs { .. } => s.answer(id, packs(&["a", "b"])),
            Request::Block { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let disagreed = disagreed.expect("a look after the settling time came before a block was asked for");
    assert!(s.now.since(disagreed) >= config().settle_min, "{:?} after it", s.now.since(disagreed));
}
