//! Orders, blocks and what is set aside.

use tamga::store::error::Rule;
use tamga_domain::code::Identity;
use tamga_domain::ids::BlockNo;
use tamga_domain::lifecycle::State;
use tamga_domain::record::{Answer, OrderState, OrderTerms, Record, Unpacked};
use tamga_domain::time::Wall;

use crate::kit::*;

#[test]
fn an_order_is_kept_by_its_number_and_walks_its_states() {
    let mut w = World::new();
    let at = w.at();
    let wanted = Record::OrderWanted { order: order_plan("PO-7"), at };
    let Some(Answer::Order(order)) = w.twice(wanted.clone()) else { panic!() };
    let state = |w: &mut World, state: OrderState| {
        let at = w.at();
        w.twice(Record::OrderState { order, state, why: "because".into(), at });
    };
    state(&mut w, OrderState::Sent);
    state(&mut w, OrderState::Unknown);
    state(&mut w, OrderState::Accepted { upstream_id: "u1".into() });
    let terms = OrderTerms { expires: Some(Wall(5)), ordered: Some(Wall(3)), total: Some(7) };
    state(&mut w, OrderState::Ready(terms));
    let open = w.store.view().orders_open().unwrap();
    let terms = OrderTerms { total: Some(1000), ..terms };
    assert_eq!(open[0].state, OrderState::Ready(terms), "a quantity that was asked for stays");
    assert_eq!(open[0].plan.upstream_id.as_deref(), Some("u1"));
    // Named since by upstream: the same wish all the same.
    w.twice(wanted);
    state(&mut w, OrderState::Closed);
    assert_eq!(w.store.view().orders_open().unwrap(), []);
    let at = w.at();
    let rule = w.refused(Record::OrderState { order, state: OrderState::Sent, why: String::new(), at });
    assert!(matches!(rule, Rule::OrderStep { .. }));
    let mut other = order_plan("PO-7");
    other.quantity = 1;
    assert!(matches!(w.refused(Record::OrderWanted { order: other, at }), Rule::OrderKeyTaken { .. }));
}

#[test]
fn a_block_is_received_once() {
    let mut w = World::new();
    let order = w.order("PO-1");
    let at = w.at();
    let block = |count| Record::Block {
        order,
        pack_id: "p".into(),
        previous: Some("o".into()),
        body: vec![1; 5_000],
        count,
        at,
    };
    w.twice(block(10));
    assert!(matches!(w.refused(block(11)), Rule::BlockDiffers(_)));
    let view = w.store.view();
    assert_eq!(view.blocks_waiting().unwrap()[0].received, 10);
    assert_eq!(view.block_body(BlockNo(1)).unwrap(), Some(vec![1; 5_000]));
    let levels = view.pool_levels().unwrap();
    assert_eq!((levels[0].pooled, levels[0].on_order), (0, 1000));
    w.verified();
}

#[test]
fn unpacking_goes_on_at_every_border_and_repeats_change_nothing() {
    const COUNT: u32 = 10;
    for border in 0..=COUNT {
        let mut w = World::new();
        let order = w.order("PO-1");
        let block = w.block(order, "p", COUNT);
        let slice = |from: u32, to: u32| (from..to).map(|n| Unpacked::Code(code(n))).collect::<Vec<_>>();
        let at = w.at();
        let first = Record::Unpack { block, from: 0, slice: slice(0, border), at };
        w.apply(first.clone()).unwrap();
        drop(w.store);
        w.store = tamga::store::Store::open(w.folder.path(), "ffffffff").unwrap();
        let before = w.picture();
        w.apply(first).unwrap();
        assert_eq!(before, w.picture());
        if border < COUNT {
            assert_eq!(w.store.view().blocks_waiting().unwrap()[0].unpacked, border);
            assert!(w.store.view().block_body(block).unwrap().is_some());
        }
        if border < COUNT - 1 {
            let ahead = Record::Unpack { block, from: border + 1, slice: slice(border + 1, COUNT), at };
            assert!(matches!(w.refused(ahead), Rule::Slice { .. }));
        }
        if border > 0 && border < COUNT {
            let across = Record::Unpack { block, from: border - 1, slice: slice(border - 1, COUNT), at };
            assert!(matches!(w.refused(across), Rule::Slice { .. }));
        }
        let over = Record::Unpack { block, from: border, slice: slice(border, COUNT + 1), at };
        assert!(matches!(w.refused(over), Rule::Slice { .. }));
        let rest = Record::Unpack { block, from: border, slice: slice(border, COUNT), at };
        w.apply(rest.clone()).unwrap();
        let done = w.picture();
        w.apply(rest).unwrap();
        assert_eq!(done, w.picture());
        assert_eq!(w.store.view().block_body(block).unwrap(), None);
        assert_eq!(w.store.view().issuable(Wall(w.now), 0).unwrap(), [(gtin(GTIN), u64::from(COUNT))]);
        w.verified();
    }
}

#[test]
fn a_code_given_twice_is_set_aside_wherever_the_first_one_is() {
    let mut w = World::new();
    w.pool(6);
    w.stock("roll", 101..=101);
    let run = w.run("r");
    w.issue(run, 4);
    w.pass_item(run, 1, 1);
    w.run_state(run, tamga_domain::record::RunState::Stopped).unwrap();
    let record = w.spoil(2);
    w.apply(record).unwrap();
    // 1 passed, 2 spoiled, 3 issued, 5 pooled, 101 stock, 200 new, 200 again in the slice.
    let order = w.order("PO-2");
    let block = w.block(order, "p", 9);
    assert_eq!(w.unpack(block, 0, [1, 2, 3, 5, 101, 200, 200]), (1, 6));
    // 200 again in the next slice of the same body, and one new.
    assert_eq!(w.unpack(block, 7, [200, 201]), (1, 1));
    // A list of a printing house with all of them takes none.
    assert_eq!(w.stock("roll-2", [1, 2, 3, 5, 101, 200]), (0, 6));
    let aside = w.store.view().set_aside(None, 100).unwrap();
    assert_eq!(aside.len(), 7);
    assert!(aside.iter().all(|a| a.reason == "given_twice"));
    assert_eq!(w.state(200), Some(State::Pooled));
    assert_eq!(w.store.view().story(&identity(3)).unwrap().unwrap().given_again.len(), 1);
    w.verified();
}

#[test]
fn what_is_malformed_or_of_another_product_is_set_aside_byte_by_byte() {
    let mut w = World::new();
    let order = w.order("PO-1");
    let block = w.block(order, "p", 2);
    let mut other = code(1);
    other.identity = Identity { gtin: gtin(OTHER_GTIN), ..other.identity };
    let malformed = Unpacked::Malformed { bytes: b"\x00junk".to_vec(), reason: "too_short".into() };
    let at = w.at();
    let slice = vec![malformed, Unpacked::Code(other.clone())];
    let told = w.apply(Record::Unpack { block, from: 0, slice, at }).unwrap();
    assert_eq!(told, Some(Answer::Unpacked { pooled: 0, set_aside: 2 }));
    let aside = w.store.view().set_aside(None, 10).unwrap();
    assert_eq!((aside[0].bytes.as_deref(), aside[0].reason.as_str()), (Some(&b"\x00junk"[..]), "too_short"));
    assert_eq!((aside[1].code.as_ref(), aside[1].reason.as_str()), (Some(&other.identity), "other_gtin"));
    let after = Some((aside[0].block, aside[0].place));
    assert_eq!(w.store.view().set_aside(after, 10).unwrap(), aside[1..]);
    w.verified();
}
