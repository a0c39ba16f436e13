//! An item of which the gate did not say that it passed is read at a packing station: it passed, whatever the line, which
//! has not heard of it yet, still says.

use tamga::store::error::Rule;
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{PackAnswer, PackRecord};
use tamga_domain::pack::{Child, Holds, Level, Mixing, Terms};
use tamga_domain::record::{Answer, ItemEnd};
use tamga_domain::verdict::Reason;

use crate::kit::*;
use crate::packs::{BOX, item, why, with_passed};

const BOXES: Terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };

/// Items 1 to 3 passed. Item 4 is on its way to the gate, item 5 was lost by it, item 6 rejected.
fn line() -> (World, tamga_domain::ids::RunId) {
    let (mut w, run) = with_passed(3);
    for n in 4..=6 {
        for record in [w.trigger(run, n), w.verify(run, n, n)] {
            w.apply(record).unwrap();
        }
    }
    let lost = w.end(run, 5, ItemEnd::Lost { code: Some(identity(5)) });
    let rejected = w.rejected(run, Some(6), 6);
    w.apply(lost).unwrap();
    w.apply(rejected).unwrap();
    (w, run)
}

fn state(w: &World, n: u32) -> Option<State> {
    w.state(n)
}

#[test]
fn a_read_at_a_station_settles_that_the_item_passed_in_the_same_transaction() {
    let (mut w, run) = line();
    let unknown = |w: &World| w.store.view().run_sheet(run).unwrap().unwrap().pass_unknown.len();
    assert_eq!(unknown(&w), 2);
    let answer = w.put(BOX, BOXES, None, &[item(1), item(4)]);
    let PackAnswer::InSeen { pack, content: 2, seen } = answer else { panic!("{answer:?}") };
    assert_eq!((seen, unknown(&w)), (vec![identity(4)], 1));
    assert_eq!(state(&w, 4), Some(State::Verified(Whereabouts::Passed)));
    let answer = w.put(BOX, BOXES, Some(pack), &[item(5)]);
    assert_eq!(answer, PackAnswer::InSeen { pack, content: 3, seen: vec![identity(5)] });
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    assert_eq!(sheet.pass_unknown.len(), 0);
    w.verified();
}

#[test]
fn nothing_is_settled_where_nothing_goes_in_nor_by_what_is_no_read_of_a_mark() {
    let (mut w, _) = line();
    let typed = Child::Item { identity: identity(4), tail: None };
    let forged = Child::Item { identity: identity(4), tail: Some(b"dGVx".to_vec()) };
    for (children, expected) in [
        (vec![item(4), item(6)], vec![(1, NotIn::Rejected)]),
        (vec![typed], vec![(0, NotIn::PassUnknown)]),
        (vec![forged], vec![(0, NotIn::Mismatch)]),
    ] {
        let before = w.picture();
        assert_eq!(why(w.put(BOX, BOXES, None, &children)), expected);
        assert_eq!(before, w.picture());
    }
}

/// What the line wrote before it heard of the read comes after it.
#[test]
fn what_the_line_says_late_of_a_packed_item_changes_nothing() {
    let (mut w, run) = line();
    let PackAnswer::InSeen { pack, .. } = w.put(BOX, BOXES, None, &[item(4), item(5)]) else { panic!() };
    let late = [
        w.end(run, 4, ItemEnd::Lost { code: Some(identity(4)) }),
        w.rejected(run, Some(4), 4),
        w.end(run, 5, ItemEnd::Rejected { reason: Reason::Late, code: Some(identity(5)) }),
    ];
    let told = [w.settle(run, 4, false), w.settle(run, 5, false), w.passed(run, 4, 4)];
    for packed in [true, false] {
        let before = w.picture();
        for record in late.clone() {
            assert_eq!(w.apply(record).unwrap(), None);
        }
        for record in told.clone() {
            assert!(matches!(w.apply(record).unwrap(), Some(Answer::Passed(_))));
        }
        assert_eq!(before, w.picture());
        if packed {
            let (child, reason, who, at) = (item(4), "dented".into(), "anna".into(), w.at());
            w.pack(PackRecord::Out { pack, child, reason, who, at });
        }
    }
    w.verified();
    // Of an item that no station has read, the gate's word stands.
    let record = w.settle(run, 1, false);
    assert!(matches!(w.refused(record), Rule::Step { .. }));
}
