//! Group packs: named by a code of their own, which a line saw and let pass, and packed into boxes by it.

use tamga::broker::letters::{parse, render};
use tamga::store::error::Rule;
use tamga::store::read::packs::Content;
use tamga_domain::code::{Code, Identity};
use tamga_domain::ids::{AgentId, LineNo, PackNo, StationNo};
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{NewName, PackAnswer};
use tamga_domain::pack::{Child, Holds, Level, Mixing, PackName, PackState, Terms};
use tamga_domain::record::{
    Answer, ItemEnd, OrderPlan, OrderState, OrderTerms, PackageKind, Record, RunPlan, RunState, Unpacked,
};
use tamga_domain::share::{self, News};
use tamga_domain::sscc::Sscc;

use crate::kit::*;
use crate::packs::{BOX, item, names, why, with_passed};

const GROUP: StationNo = StationNo(2);
const GROUPS: Terms =
    Terms { level: Level::Group, holds: Holds::Items, capacity: 2, mixing: Mixing::SameProduct };
const BOXES: Terms =
    Terms { level: Level::Box, holds: Holds::Packs(Level::Group), capacity: 2, mixing: Mixing::SameProduct };

fn group(n: u32) -> Code {
    Code { identity: Identity { gtin: gtin(OTHER_GTIN), ..identity(n) }, ..code(n) }
}

/// Ten items and the codes of five group packs passed; of the sixth the code was issued.
fn packing() -> World {
    let (mut w, _) = with_passed(10);
    w.store.use_names(&names(0, 100)).unwrap();
    let order = OrderPlan { gtin: gtin(OTHER_GTIN), kind: PackageKind::Group, ..order_plan("PO-G") };
    let at = w.at();
    let Some(Answer::Order(order)) = w.apply(Record::OrderWanted { order, at }).unwrap() else { panic!() };
    let state = OrderState::Ready(OrderTerms::default());
    w.apply(Record::OrderState { order, state, why: String::new(), at }).unwrap();
    let block = w.block(order, "pack-g", 6);
    let slice = (1..=6).map(|n| Unpacked::Code(group(n))).collect();
    w.apply(Record::Unpack { block, from: 0, slice, at }).unwrap();
    let (line, plan) = (LineNo(1), RunPlan { gtin: gtin(OTHER_GTIN), ..plan("groups") });
    let opened = Record::RunOpened { line, plan, who: "anna".into(), at, gate: None };
    let Some(Answer::Run(run)) = w.apply(opened).unwrap() else { panic!() };
    w.run_state(run, RunState::Running).unwrap();
    assert_eq!(w.issue(run, 6).len(), 6, "codes of group packs are issued to a run of theirs");
    for n in 1..=5 {
        let (code, tag) = (group(n).identity, tag(100 + n));
        w.apply(Record::Trigger { run, tag, at }).unwrap();
        w.apply(Record::Verify { run, code, tag, at }).unwrap();
        w.apply(Record::End { run, tag, end: ItemEnd::Passed { code }, at }).unwrap();
    }
    w
}

fn by_code(n: u32) -> NewName {
    NewName::Code { identity: group(n).identity, tail: b"dGVz".to_vec(), of: gtin(GTIN) }
}

fn name(n: u32) -> PackName {
    PackName::Code(group(n).identity)
}

fn child(n: u32) -> Child {
    Child::Pack { name: name(n), tail: Some(b"dGVz".to_vec()) }
}

/// A group pack of two items under the code of this number.
fn packed(w: &mut World, first: u32, code: u32) -> PackNo {
    let children = [item(first), item(first + 1)];
    let PackAnswer::In { pack, .. } = w.put(GROUP, GROUPS, None, &children) else { panic!("not in") };
    assert_eq!(w.name(pack, by_code(code)), PackAnswer::Named { name: name(code), used: 0 });
    let close = w.close(pack);
    w.twice(close);
    pack
}

#[test]
fn a_group_pack_is_named_by_its_own_code_and_goes_into_a_box_by_it() {
    let mut w = packing();
    let first = packed(&mut w, 1, 1);
    let second = packed(&mut w, 3, 2);
    let found = w.store.view().pack(name(1)).unwrap().unwrap();
    assert_eq!((found.pack, found.state, found.name), (first, PackState::Closed, Some(name(1))));
    let PackAnswer::In { pack, content: 2 } = w.put(BOX, BOXES, None, &[child(1), child(2)]) else {
        panic!()
    };
    assert_eq!(why(w.put(BOX, BOXES, Some(pack), &[child(1)])), [(0, NotIn::Again)]);
    let open = w.store.open_pack(BOX).unwrap().unwrap();
    assert_eq!(open.gtin, Some(gtin(OTHER_GTIN)), "a box of group packs is of their product");
    assert!(matches!(w.name(pack, NewName::Next), PackAnswer::Named { name: PackName::Sscc(_), used: 1 }));
    let close = w.close(pack);
    w.apply(close).unwrap();
    {
        let view = w.store.view();
        assert_eq!(view.content(pack).unwrap(), [Content::Pack(name(1)), Content::Pack(name(2))]);
        assert_eq!(view.pack_no(second).unwrap().unwrap().parent, Some(pack));
    }
    w.verified();
}

#[test]
fn a_group_pack_has_a_code_and_no_sscc_and_other_packs_the_other_way_round() {
    let mut w = packing();
    packed(&mut w, 1, 1);
    let wrong = PackAnswer::NotName(NotIn::WrongLevel);
    let PackAnswer::In { pack, .. } = w.put(GROUP, GROUPS, None, &[item(3)]) else { panic!() };
    assert_eq!(w.name(pack, NewName::Next), wrong);
    assert_eq!(w.name(pack, by_code(2)), PackAnswer::NotName(NotIn::NotFull), "its code says two");
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[child(1)]) else { panic!() };
    assert_eq!(w.name(pack, by_code(2)), wrong);
    w.verified();
}

#[test]
fn only_a_code_that_passed_and_is_of_its_product_names_a_group_pack_and_only_one() {
    let mut w = packing();
    packed(&mut w, 1, 1);
    let PackAnswer::In { pack, .. } = w.put(GROUP, GROUPS, None, &[item(3), item(4)]) else { panic!() };
    let of_other =
        NewName::Code { identity: group(2).identity, tail: b"dGVz".to_vec(), of: gtin(OTHER_GTIN) };
    let forged = NewName::Code { identity: group(2).identity, tail: b"dGVx".to_vec(), of: gtin(GTIN) };
    let of_item = NewName::Code { identity: identity(3), tail: b"dGVz".to_vec(), of: gtin(GTIN) };
    for (name, expected) in [
        (by_code(1), PackAnswer::NameUsed(PackNo(1))),
        (by_code(6), PackAnswer::NotName(NotIn::NotSeen)),
        (by_code(7), PackAnswer::NotName(NotIn::Unknown)),
        (of_other, PackAnswer::NotName(NotIn::OtherProduct)),
        (forged, PackAnswer::NotName(NotIn::Mismatch)),
        (of_item, PackAnswer::NotName(NotIn::Packed(pack))),
    ] {
        let before = w.picture();
        assert_eq!(w.name(pack, name.clone()), expected, "{name:?}");
        assert_eq!(before, w.picture());
    }
    let close = w.close(pack);
    assert!(matches!(w.refused(close), Rule::Constraint(_)), "it has no name yet");
    assert!(matches!(w.name(pack, by_code(2)), PackAnswer::Named { .. }));
    assert_eq!(
        w.name(pack, by_code(3)),
        PackAnswer::Named { name: name(2), used: 0 },
        "a name is given once"
    );
    // A name that is used up with its pack is not given again.
    let void = w.void(pack);
    w.twice(void);
    let PackAnswer::In { pack: third, .. } = w.put(GROUP, GROUPS, None, &[item(3)]) else { panic!() };
    assert_eq!(w.name(third, by_code(2)), PackAnswer::NameUsed(pack));
    w.verified();
}

#[test]
fn a_group_pack_that_was_not_packed_goes_nowhere_and_its_code_is_no_item() {
    let mut w = packing();
    let first = packed(&mut w, 1, 1);
    assert_eq!(why(w.put(BOX, BOXES, None, &[child(2)])), [(0, NotIn::Unpacked)]);
    assert_eq!(why(w.put(BOX, BOXES, None, &[child(6)])), [(0, NotIn::NotSeen)]);
    let of_items = Terms { holds: Holds::Items, ..BOXES };
    let as_item = |n: u32| Child::Item { identity: group(n).identity, tail: None };
    assert_eq!(why(w.put(BOX, of_items, None, &[as_item(1)])), [(0, NotIn::WrongLevel)]);
    let forged = Child::Pack { name: name(1), tail: Some(b"dGVx".to_vec()) };
    assert_eq!(why(w.put(BOX, BOXES, None, &[forged])), [(0, NotIn::Mismatch)]);
    // Its code is worth something as long as the pack is.
    let record = Record::Spoil {
        code: group(1).identity,
        reason: tamga_domain::lifecycle::SpoilReason::Declared,
        who: "anna".into(),
        at: w.at(),
    };
    assert_eq!(w.apply(record).unwrap(), Some(Answer::Pack(PackAnswer::Within(first))));
    w.verified();
}

#[test]
fn a_box_of_group_packs_is_told_to_other_agents_with_the_codes_of_its_packs() {
    let (a, mut w, mut other) = (AgentId(0xa), packing(), World::new());
    w.share();
    packed(&mut w, 1, 1);
    packed(&mut w, 3, 2);
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[child(1), child(2)]) else { panic!() };
    let PackAnswer::Named { name: boxed, .. } = w.name(pack, NewName::Next) else { panic!() };
    let close = w.close(pack);
    w.twice(close);
    let (letters, stream) = (w.letters(), w.stream());
    let bytes: Vec<Vec<u8>> = letters.iter().map(|letter| render(stream, letter)).collect();
    let came: Vec<_> = bytes.iter().map(|body| parse(body).expect("it is read").1).collect();
    assert_eq!(came, letters);
    other.take(a, stream, came.clone());
    let known = other.store.view().pack(boxed).unwrap().unwrap();
    assert_eq!((known.home, known.content), (Some(a), 2));
    assert_eq!(other.store.view().content(known.pack).unwrap(), [1, 2].map(|n| Content::Pack(name(n))));

    // What this version does not make is read all the same: one box with both kinds of names.
    let mut mixed = came.last().unwrap().clone();
    let News::Pack(notice) = &mut mixed.news else { panic!() };
    let number = Sscc::parse(b"376104250021234569").unwrap().into();
    notice.content = share::Content::Packs(vec![name(1), number]);
    (mixed.seq, notice.rev) = (mixed.seq + 1, notice.rev + 1);
    let (_, mixed) = parse(&render(stream, &mixed)).expect("it is read");
    other.take(a, stream, vec![mixed]);
    let mut found = other.store.view().content(known.pack).unwrap();
    found.sort_by_key(|what| *what != Content::Pack(name(1)));
    assert_eq!(found, [Content::Pack(name(1)), Content::Pack(number)]);
    other.verified();
}
