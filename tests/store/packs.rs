//! Packs: what goes in, one parent at most, names that are never used twice, ends.

use tamga::store::error::Rule;
use tamga::store::read::packs::Content;
use tamga_domain::ids::{PackNo, RunId, StationNo};
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Child, Holds, Level, Mixing, PackName, PackState, Terms};
use tamga_domain::record::{Answer, ItemEnd, Record};
use tamga_domain::sscc::{Sscc, SsccRange};
use tamga_domain::verdict::Reason;

use crate::kit::*;

pub const BOX: StationNo = StationNo(0);
pub const PALLET: StationNo = StationNo(1);
pub const BOXES: Terms =
    Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };
pub const PALLETS: Terms =
    Terms { level: Level::Pallet, holds: Holds::Packs(Level::Box), capacity: 2, mixing: Mixing::Free };

pub fn names(first: u64, end: u64) -> SsccRange {
    SsccRange::new(0, "4780001", first, end).unwrap()
}

pub fn item(n: u32) -> Child {
    Child::Item { identity: identity(n), tail: Some(b"dGVz".to_vec()) }
}

/// A store whose run has passed the items `1 ..= passed`.
pub fn with_passed(passed: u32) -> (World, RunId) {
    let mut w = World::new();
    w.pool(passed + 10);
    let run = w.run("r1");
    for first in (1..=passed + 10).step_by(100) {
        w.issue(run, (passed + 11 - first).min(100));
    }
    for n in 1..=passed {
        w.pass_item(run, n, n);
    }
    (w, run)
}

/// [`with_passed`], with names for a thousand packs.
pub fn packing(passed: u32) -> (World, RunId) {
    let (mut w, run) = with_passed(passed);
    w.store.use_names(&names(0, 1_000)).unwrap();
    (w, run)
}

impl World {
    pub fn pack(&mut self, record: PackRecord) -> PackAnswer {
        match self.apply(Record::Pack(record)).unwrap() {
            Some(Answer::Pack(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn put(
        &mut self,
        station: StationNo,
        terms: Terms,
        pack: Option<PackNo>,
        children: &[Child],
    ) -> PackAnswer {
        let (children, at) = (children.to_vec(), self.at());
        self.pack(PackRecord::In { station, pack, terms, children, who: "box".into(), at })
    }

    pub fn name(&mut self, pack: PackNo, name: NewName) -> PackAnswer {
        let at = self.at();
        self.pack(PackRecord::Named { pack, name, at })
    }

    pub fn close(&mut self, pack: PackNo) -> Record {
        Record::Pack(PackRecord::Closed { pack, who: "box".into(), at: self.at() })
    }

    pub fn short(&mut self, pack: PackNo) -> Record {
        let (reason, who) = ("end of the batch".into(), "anna".into());
        Record::Pack(PackRecord::Short { pack, reason, who, at: self.at() })
    }

    pub fn void(&mut self, pack: PackNo) -> Record {
        let (reason, who) = ("wet".into(), "anna".into());
        Record::Pack(PackRecord::Voided { pack, reason, who, at: self.at() })
    }

    /// A closed box of these items, and its name.
    pub fn boxed(&mut self, items: std::ops::RangeInclusive<u32>) -> (PackNo, Sscc) {
        let children: Vec<Child> = items.map(item).collect();
        let PackAnswer::In { pack, .. } = self.put(BOX, BOXES, None, &children) else { panic!("not in") };
        let PackAnswer::Named { name: PackName::Sscc(name), .. } = self.name(pack, NewName::Next) else {
            panic!("no name")
        };
        if children.len() < BOXES.capacity as usize {
            let short = self.short(pack);
            self.twice(short);
        }
        let record = self.close(pack);
        self.twice(record);
        (pack, name)
    }

    fn state_of(&self, name: Sscc) -> (PackState, u32, Option<PackNo>) {
        let found = self.store.view().pack(name.into()).unwrap().unwrap();
        (found.state, found.content, found.parent)
    }
}

pub fn why(answer: PackAnswer) -> Vec<(usize, NotIn)> {
    match answer {
        PackAnswer::NotIn(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn passed_items_fill_a_box_that_is_named_and_closed() {
    let (mut w, _) = packing(4);
    assert_eq!(w.put(BOX, BOXES, None, &[item(1)]), PackAnswer::In { pack: PackNo(1), content: 1 });
    let pack = PackNo(1);
    assert_eq!(w.put(BOX, BOXES, Some(pack), &[item(2), item(3)]), PackAnswer::In { pack, content: 3 });
    assert_eq!(why(w.put(BOX, BOXES, Some(pack), &[item(4)])), [(0, NotIn::Full)]);
    let open = w.store.open_pack(BOX).unwrap().unwrap();
    assert_eq!((open.pack, open.content, open.gtin), (pack, 3, Some(gtin(GTIN))));
    let close = w.close(pack);
    assert!(matches!(w.refused(close), Rule::Constraint(_)), "a pack without a name is not closed");
    let PackAnswer::Named { name: PackName::Sscc(name), used: 1 } = w.name(pack, NewName::Next) else {
        panic!()
    };
    let again = w.name(pack, NewName::Next);
    assert_eq!(again, PackAnswer::Named { name: name.into(), used: 0 }, "a name is given once");
    let close = w.close(pack);
    w.twice(close);
    assert_eq!(w.state_of(name), (PackState::Closed, 3, None));
    {
        let view = w.store.view();
        assert_eq!(
            view.content(pack).unwrap(),
            (1..=3).map(|n| Content::Item(identity(n))).collect::<Vec<_>>()
        );
        assert_eq!(view.pack_of(&identity(2)).unwrap().unwrap().name, Some(name.into()));
        let states: Vec<PackState> = view.pack_changes(pack).unwrap().iter().map(|c| c.state).collect();
        assert_eq!(states, [PackState::Open, PackState::Open, PackState::Closed], "opened, named, closed");
    }
    assert_eq!(w.store.open_pack(BOX).unwrap(), None);
    let record = Record::Pack(PackRecord::In {
        station: BOX,
        pack: Some(pack),
        terms: BOXES,
        children: vec![item(4)],
        who: "box".into(),
        at: w.at(),
    });
    assert!(matches!(w.refused(record), Rule::PackEnded(_)));
    w.verified();
}

#[test]
fn nothing_unresolved_and_nothing_twice_goes_in() {
    let (mut w, run) = packing(3);
    // 4 is issued, 5 rejected, 6 of unknown pass.
    for record in [w.trigger(run, 5), w.verify(run, 5, 5)] {
        w.apply(record).unwrap();
    }
    let end = w.end(run, 5, ItemEnd::Rejected { reason: Reason::Late, code: Some(identity(5)) });
    w.apply(end).unwrap();
    for record in [w.trigger(run, 6), w.verify(run, 6, 6)] {
        w.apply(record).unwrap();
    }
    let table = [
        (item(4), NotIn::NotSeen),
        (item(5), NotIn::Rejected),
        (Child::Item { identity: identity(6), tail: None }, NotIn::PassUnknown),
        (item(900), NotIn::Unknown),
        (Child::Item { identity: identity(1), tail: Some(b"dGVx".to_vec()) }, NotIn::Mismatch),
        (Child::pack(Sscc::parse(b"376104250021234569").unwrap()), NotIn::Unknown),
    ];
    for (child, expected) in table {
        let before = w.picture();
        assert_eq!(why(w.put(BOX, BOXES, None, std::slice::from_ref(&child))), [(0, expected)], "{child:?}");
        assert_eq!(before, w.picture(), "nothing was changed, and no pack opened");
    }
    assert_eq!(why(w.put(BOX, BOXES, None, &[item(1), item(2), item(1)])), [(2, NotIn::Twice)]);
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(1)]) else { panic!() };
    assert_eq!(why(w.put(BOX, BOXES, Some(pack), &[item(2), item(1)])), [(1, NotIn::Again)], "all or none");
    assert_eq!(w.store.open_pack(BOX).unwrap().unwrap().content, 1);
    let other = StationNo(7);
    assert_eq!(
        why(w.put(other, BOXES, None, &[item(1)])),
        [(0, NotIn::Packed(pack))],
        "one parent at a time"
    );
    let spoil = w.spoil(1);
    assert_eq!(w.twice(spoil), Some(Answer::Pack(PackAnswer::Within(pack))), "it is taken out first");
    w.verified();
}

#[test]
fn a_box_is_closed_when_it_is_full_or_somebody_wants_it_short() {
    let (mut w, _) = packing(2);
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(1)]) else { panic!() };
    w.name(pack, NewName::Next);
    let close = w.close(pack);
    assert!(matches!(w.refused(close.clone()), Rule::NotFull(_)));
    let short = w.short(pack);
    w.twice(short);
    assert!(w.store.open_pack(BOX).unwrap().unwrap().short);
    w.twice(close);
    let closed = w.store.view().pack_changes(pack).unwrap().pop().unwrap();
    assert_eq!((closed.state, closed.who.as_str()), (PackState::Closed, "anna"));
    assert_eq!(closed.why, "end of the batch", "why, by whom it was closed short, whoever scanned the label");
    let short = w.short(pack);
    w.refused(short);
    w.verified();
}

#[test]
fn an_open_pack_keeps_its_terms_though_those_of_the_station_change() {
    let (mut w, _) = packing(4);
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(1)]) else { panic!() };
    let larger = Terms { capacity: 4, ..BOXES };
    let four: Vec<Child> = (2..=4).map(item).collect();
    assert_eq!(why(w.put(BOX, larger, Some(pack), &four)), [(2, NotIn::Full)]);
    w.verified();
}

#[test]
fn a_layer_is_all_in_or_not_and_never_more_than_fits() {
    let (mut w, _) = packing(5);
    let four: Vec<Child> = (1..=4).map(item).collect();
    assert_eq!(why(w.put(BOX, BOXES, None, &four)), [(3, NotIn::Full)]);
    let three: Vec<Child> = (1..=3).map(item).collect();
    assert!(matches!(w.put(BOX, BOXES, None, &three), PackAnswer::In { content: 3, .. }));
    let many: Vec<Child> = (1..=101).map(item).collect();
    let record = Record::Pack(PackRecord::In {
        station: StationNo(3),
        pack: None,
        terms: BOXES,
        children: many,
        who: "box".into(),
        at: w.at(),
    });
    assert!(matches!(w.refused(record), Rule::TooMany { .. }));
}

#[test]
fn boxes_lie_on_one_pallet_at_a_time_and_come_free_when_it_is_voided() {
    let (mut w, _) = packing(9);
    let (first, a) = w.boxed(1..=3);
    let (second, b) = w.boxed(4..=6);
    let (_, c) = w.boxed(7..=9);
    let on = [Child::pack(a), Child::pack(b)];
    let PackAnswer::In { pack, content: 2 } = w.put(PALLET, PALLETS, None, &on) else { panic!() };
    assert_eq!(why(w.put(PALLET, PALLETS, Some(pack), &[Child::pack(c)])), [(0, NotIn::Full)]);
    assert_eq!(w.state_of(a), (PackState::Closed, 3, Some(pack)));
    let void = w.void(first);
    assert_eq!(w.twice(void), Some(Answer::Pack(PackAnswer::Within(pack))), "off the pallet first");
    let PackAnswer::Named { name: PackName::Sscc(name), .. } = w.name(pack, NewName::Next) else { panic!() };
    let close = w.close(pack);
    w.apply(close).unwrap();
    w.verified();
    let void = w.void(pack);
    w.twice(void);
    assert_eq!(w.state_of(name), (PackState::Voided, 0, None));
    assert_eq!((w.state_of(a), w.state_of(b)), ((PackState::Closed, 3, None), (PackState::Closed, 3, None)));
    let void = w.void(second);
    w.twice(void);
    assert_eq!(why(w.put(PALLET, PALLETS, None, &[Child::pack(b)])), [(0, NotIn::Voided)]);
    // Its items are free for another box.
    assert!(matches!(w.put(BOX, BOXES, None, &[item(4)]), PackAnswer::In { content: 1, .. }));
    w.verified();
}

#[test]
fn what_is_taken_out_is_free_again_and_noted() {
    let (mut w, _) = packing(3);
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(1), item(2)]) else { panic!() };
    let out = |w: &mut World, child| {
        let (reason, who, at) = ("dented".into(), "anna".into(), w.at());
        w.pack(PackRecord::Out { pack, child, reason, who, at })
    };
    assert_eq!(out(&mut w, item(3)), PackAnswer::Out(None), "it was not in it");
    assert_eq!(out(&mut w, item(1)), PackAnswer::Out(Some(1)));
    assert_eq!(out(&mut w, item(1)), PackAnswer::Out(None));
    assert_eq!(out(&mut w, item(2)), PackAnswer::Out(Some(0)));
    assert_eq!(w.store.open_pack(BOX).unwrap().unwrap().run, None, "an empty pack is of no run");
    let noted = w.store.view().taken_out(pack).unwrap();
    assert_eq!(
        noted.iter().map(|t| t.what).collect::<Vec<_>>(),
        [Content::Item(identity(1)), Content::Item(identity(2))]
    );
    assert!(noted.iter().all(|t| t.why == "dented" && t.who == "anna"));
    assert_eq!(w.put(BOX, BOXES, Some(pack), &[item(2)]), PackAnswer::In { pack, content: 1 });
    w.verified();
}

#[test]
fn no_name_is_given_twice() {
    let (mut w, _) = packing(6);
    w.store.use_names(&names(0, 2)).unwrap();
    let (_, a) = w.boxed(1..=1);
    assert_eq!(a.as_bytes(), b"047800010000000006");
    // The next one was printed before, and is read on a box.
    let printed = names(1, 2).take_next().unwrap().0;
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(2)]) else { panic!() };
    assert_eq!(w.name(pack, NewName::Read(a)), PackAnswer::NameUsed(PackNo(1)));
    assert_eq!(w.name(pack, NewName::Read(printed)), PackAnswer::Named { name: printed.into(), used: 0 });
    let (short, close) = (w.short(pack), w.close(pack));
    w.apply(short).unwrap();
    w.apply(close).unwrap();
    let PackAnswer::In { pack, .. } = w.put(BOX, BOXES, None, &[item(3)]) else { panic!() };
    assert_eq!(
        w.name(pack, NewName::Next),
        PackAnswer::NoNames,
        "it is passed over, and the range is used up"
    );
    // A longer range, and one that begins anew: it goes on, and never back.
    w.store.use_names(&names(0, 1_000)).unwrap();
    let PackAnswer::Named { name: PackName::Sscc(name), used: 2 } = w.name(pack, NewName::Next) else {
        panic!()
    };
    assert_eq!(name, names(2, 3).take_next().unwrap().0);
    let other = SsccRange::new(1, "4780001", 5, 10).unwrap();
    w.store.use_names(&other).unwrap();
    w.store.use_names(&names(0, 1_000)).unwrap();
    let (range, unsure) = w.store.names().unwrap().unwrap();
    assert_eq!((range.next(), unsure), (3, false), "back at the first one: it goes on where it stood");
}
