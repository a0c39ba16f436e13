//! Names of packs over restores: the witness says how many may have been used, and no name is given twice.

use std::collections::BTreeSet;

use tamga_domain::ids::{PackNo, StationNo};
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Holds, Level, Mixing, PackName, Terms};
use tamga_domain::record::{Answer, Bar, Record};
use tamga_domain::sscc::{Sscc, SsccRange};

use crate::kit::*;
use crate::packs::{item, names, with_passed};
use crate::witness::*;

const TERMS: Terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 1, mixing: Mixing::Free };

/// Puts an item into a pack of its own at a station of its own, and asks for its name.
fn named(w: &mut World, n: u32) -> Option<Answer> {
    let station = StationNo(u16::try_from(n).unwrap());
    let PackAnswer::In { pack, .. } = w.put(station, TERMS, None, &[item(n)]) else { panic!("not in") };
    ask(w, pack)
}

fn ask(w: &mut World, pack: PackNo) -> Option<Answer> {
    let at = w.at();
    w.apply(Record::Pack(PackRecord::Named { pack, name: NewName::Next, at })).unwrap()
}

fn name_of(answer: Option<Answer>) -> Sscc {
    match answer {
        Some(Answer::Pack(PackAnswer::Named { name: PackName::Sscc(name), .. })) => name,
        other => panic!("{other:?}"),
    }
}

/// The agent stops, an older copy of its database is put in its place, and a person settles it.
fn restored(w: World, old: &[u8], epoch: &str) -> World {
    let dir = w.folder.path().to_owned();
    let mut w = turned_back(w, old);
    assert!(doubt(&mut w.store, &dir, &format!("{epoch}a")).is_some());
    assert!(settle(&mut w, &format!("{epoch}b"), false).is_some());
    w
}

#[test]
fn no_name_is_given_twice_though_the_same_old_copy_is_put_back_again_and_again() {
    let (mut w, _) = with_passed(60);
    let dir = w.folder.path().to_owned();
    let _beside = Beside(beside(&dir));
    assert_eq!(doubt(&mut w.store, &dir, "e1"), None);
    // One copy of before there was any range, one of after.
    let without = bytes_of(&w);
    w.store.use_names(&names(0, 1_000_000)).unwrap();
    let mut seen = BTreeSet::new();
    for n in 1..=3 {
        assert!(seen.insert(name_of(named(&mut w, n))));
    }
    let with = bytes_of(&w);
    for n in 4..=6 {
        assert!(seen.insert(name_of(named(&mut w, n))));
    }
    for (round, old) in [&with, &with, &without, &with, &without, &without].into_iter().enumerate() {
        w = restored(w, old, &format!("r{round}"));
        w.store.use_names(&names(0, 1_000_000)).unwrap();
        for n in 11..=13 {
            let name = name_of(named(&mut w, n + 3 * u32::try_from(round).unwrap()));
            assert!(seen.insert(name), "round {round}: {name} was given before");
        }
        w.verified();
    }
}

#[test]
fn without_a_witness_names_wait_for_a_person() {
    let (mut w, _) = with_passed(10);
    w.store.use_names(&names(0, 1_000)).unwrap();
    let dir = w.folder.path().to_owned();
    let _beside = Beside(beside(&dir));
    assert_eq!(doubt(&mut w.store, &dir, "e1"), None);
    let old = bytes_of(&w);
    let first = name_of(named(&mut w, 1));
    let mut w = turned_back(w, &old);
    std::fs::remove_file(beside(&dir).join(format!("{AGENT}.witness"))).unwrap();
    let PackAnswer::In { pack, .. } = w.put(StationNo(1), TERMS, None, &[item(1)]) else { panic!() };
    assert_eq!(ask(&mut w, pack), Some(Answer::Barred(Bar::Unsettled)));
    settle(&mut w, "e2", false).unwrap();
    w.store.use_names(&names(0, 1_000)).unwrap();
    assert!(w.store.names().unwrap().unwrap().1);
    assert_eq!(ask(&mut w, pack), Some(Answer::Pack(PackAnswer::NoNames)), "nobody knows which are used");
    // A person says from where on they are free.
    w.store.use_names(&names(500, 1_000)).unwrap();
    let name = name_of(ask(&mut w, pack));
    assert_eq!(name, names(500, 501).take_next().unwrap().0);
    assert_ne!(name, first);
}

/// What was lost may have used more names than a prefix has left: it is used up then, and the agent starts all the same.
#[test]
fn a_range_that_begins_near_the_end_of_its_prefix_after_a_restore_is_used_up_and_no_damage() {
    let (mut w, _) = with_passed(10);
    let range = |first| SsccRange::new(0, "478000000001", first, 10_000).unwrap();
    w.store.use_names(&range(0)).unwrap();
    let dir = w.folder.path().to_owned();
    let _beside = Beside(beside(&dir));
    assert_eq!(doubt(&mut w.store, &dir, "e1"), None);
    let old = bytes_of(&w);
    name_of(named(&mut w, 1));
    let mut w = restored(w, &old, "r1");
    for _ in 0..2 {
        w.store.use_names(&range(9_999)).unwrap();
        assert_eq!(w.store.names().unwrap().map(|(range, _)| range.left()), Some(0));
    }
    w.verified();
}
