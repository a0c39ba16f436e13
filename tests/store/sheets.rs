//! The closing sheet's packs: under any history of runs, boxes and pallets the sums agree and the list by code agrees with
//! them; each imbalance that is planted is found; what is loose, open, short, void or labelled again is named.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rusqlite::Connection;
use tamga::store::error::StoreError;
use tamga::store::open::database_path;
use tamga::store::read::packing::{Listed, Place, RunPacks};
use tamga_domain::code::Identity;
use tamga_domain::ids::{LineNo, PackNo, RunId, StationNo};
use tamga_domain::lifecycle::State;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Child, Level, Mixing, PackName, PackState, Terms};
use tamga_domain::record::{Answer, ItemEnd, Record, ReportState, RunState};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

use crate::kit::*;
use crate::packs::{BOX, BOXES, PALLET, PALLETS, item, names};

/// A station whose boxes take items of all runs.
const FREE: StationNo = StationNo(2);
const FREE_BOXES: Terms = Terms { mixing: Mixing::Free, ..BOXES };
/// Items of the first run, then of the second.
const ITEMS: u32 = 12;

#[derive(Clone, Debug)]
enum Ask {
    Put { free: bool, items: Vec<u8> },
    Close { station: u8, short: bool },
    Out { station: u8, item: u8 },
    Load { boxes: Vec<u8> },
    Void(u8),
    Label(u8),
    Spoil(u8),
    Report(u8),
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        6 => (any::<bool>(), prop::collection::vec(any::<u8>(), 1..3)).prop_map(|(free, items)| Ask::Put { free, items }),
        4 => (0..3_u8, any::<bool>()).prop_map(|(station, short)| Ask::Close { station, short }),
        2 => (0..3_u8, any::<u8>()).prop_map(|(station, item)| Ask::Out { station, item }),
        3 => prop::collection::vec(any::<u8>(), 1..3).prop_map(|boxes| Ask::Load { boxes }),
        1 => any::<u8>().prop_map(Ask::Void),
        1 => any::<u8>().prop_map(Ask::Label),
        1 => any::<u8>().prop_map(Ask::Spoil),
        1 => any::<u8>().prop_map(Ask::Report),
    ]
}

/// Two runs of two lines: the first passed items 1 to 12, the second 13 to 24; each rejected one and has one in doubt.
fn two_runs() -> (World, [RunId; 2]) {
    let mut w = World::new();
    w.pool(40);
    w.store.use_names(&names(0, 1_000)).unwrap();
    let mut runs = Vec::new();
    for line in 0..2_u16 {
        let (at, key) = (w.at(), format!("r{line}"));
        let opened =
            Record::RunOpened { line: LineNo(line), plan: plan(&key), who: "anna".into(), at, gate: None };
        let Some(Answer::Run(run)) = w.apply(opened).unwrap() else { panic!("no run") };
        w.run_state(run, RunState::Running).unwrap();
        let issued = w.issue(run, ITEMS + 2);
        for (tag, one) in (1..).zip(&issued[..ITEMS as usize]) {
            let n = number(&one.code.identity);
            assert_eq!(n, u32::from(line) * (ITEMS + 2) + tag);
            w.pass_item(run, n, tag);
        }
        let rejected = number(&issued[ITEMS as usize].code.identity);
        for record in [w.trigger(run, ITEMS + 1), w.verify(run, rejected, ITEMS + 1)] {
            w.apply(record).unwrap();
        }
        let end = ItemEnd::Rejected { reason: Reason::Late, code: Some(identity(rejected)) };
        let record = w.end(run, ITEMS + 1, end);
        w.apply(record).unwrap();
        runs.push(run);
    }
    (w, [runs[0], runs[1]])
}

fn number(code: &Identity) -> u32 {
    code.serial.to_string().trim_start_matches('S').parse().unwrap()
}

/// A passed item of either run.
fn passed(n: u8) -> u32 {
    let n = u32::from(n) % (2 * ITEMS);
    if n < ITEMS { n + 1 } else { n + 3 }
}

/// Does what is asked, or is refused; what is refused is no matter of this test.
fn play(w: &mut World, ask: &Ask, runs: [RunId; 2]) {
    let stations = [(BOX, BOXES), (FREE, FREE_BOXES), (PALLET, PALLETS)];
    let place = match ask {
        Ask::Put { free, .. } => u8::from(*free),
        Ask::Load { .. } => 2,
        Ask::Close { station, .. } | Ask::Out { station, .. } => *station,
        _ => 0,
    };
    let (station, terms) = stations[usize::from(place % 3)];
    let open = w.store.open_pack(station).unwrap();
    let at = w.at();
    let who = || "anna".to_owned();
    let all = every_pack(w);
    let pick = |n: u8| all.get(usize::from(n) % all.len().max(1)).copied();
    let mut records = Vec::new();
    match ask {
        Ask::Put { items, .. } => {
            let children = items.iter().map(|n| item(passed(*n))).collect();
            let pack = open.map(|open| open.pack);
            records.push(PackRecord::In { station, pack, terms, children, who: who(), at });
        }
        Ask::Load { boxes } => {
            let children: Vec<Child> = boxes
                .iter()
                .filter_map(|n| pick(*n))
                .filter_map(|pack| w.store.view().pack_no(pack).unwrap().unwrap().name)
                .map(Child::pack)
                .collect();
            let pack = open.map(|open| open.pack);
            records.push(PackRecord::In { station, pack, terms, children, who: who(), at });
        }
        Ask::Close { short, .. } => {
            let Some(open) = open else { return };
            if *short {
                records.push(PackRecord::Short {
                    pack: open.pack,
                    reason: "end, \"late\"".into(),
                    who: who(),
                    at,
                });
            }
            records.push(PackRecord::Named { pack: open.pack, name: NewName::Next, at });
            records.push(PackRecord::Closed { pack: open.pack, who: who(), at });
        }
        Ask::Out { item: n, .. } => {
            let Some(open) = open else { return };
            let (child, reason) = (item(passed(*n)), "dented".into());
            records.push(PackRecord::Out { pack: open.pack, child, reason, who: who(), at });
        }
        Ask::Void(n) => {
            let Some(pack) = pick(*n) else { return };
            records.push(PackRecord::Voided { pack, reason: "=wet".into(), who: who(), at });
        }
        Ask::Label(n) => {
            let Some(pack) = pick(*n) else { return };
            for reason in ["", "torn"] {
                records.push(PackRecord::Label { pack, reason: reason.into(), who: who(), at });
            }
        }
        Ask::Spoil(n) => {
            let record = w.spoil(passed(*n));
            return answered(w.apply(record));
        }
        Ask::Report(n) => {
            let run = runs[usize::from(n % 2)];
            let free = w.store.view().passes_unreported(run).unwrap();
            let Some(range) = free.first() else { return };
            let report = w.report(run, &[(range.from.0, range.from.0)]);
            let record = w.report_state(report, ReportState::Accepted);
            return answered(w.apply(record));
        }
    }
    records.into_iter().for_each(|record| answered(w.apply(Record::Pack(record))));
}

fn answered(result: Result<Option<Answer>, StoreError>) {
    match result {
        Ok(_) | Err(StoreError::Rule { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}

fn every_pack(w: &World) -> Vec<PackNo> {
    let conn = Connection::open(database_path(w.folder.path())).unwrap();
    let mut all = conn.prepare("SELECT pack_no FROM packs").unwrap();
    all.query_map([], |r| r.get(0).map(PackNo)).unwrap().map(Result::unwrap).collect()
}

fn packs_of(w: &World, run: RunId) -> RunPacks {
    w.store.view().run_sheet(run).unwrap().unwrap().packs
}

fn is_balanced(packs: &RunPacks) -> bool {
    packs.items.balanced() && packs.levels.values().all(|level| level.balanced())
}

/// All codes of a run by the list, in slices of `slice`.
fn list(w: &World, run: RunId, slice: u32) -> Vec<(Listed, Vec<PackNo>)> {
    let (mut all, mut next) = (Vec::new(), Some(Place::default()));
    while let Some(from) = next {
        let part = w.store.view().listing(run, gtin(GTIN), &from, slice).unwrap();
        assert!(part.codes.len() <= slice as usize);
        all.extend(part.codes.iter().map(|one| {
            let around = one.pack.map(|no| part.packs[&no].iter().map(|facts| facts.pack).collect());
            (*one, around.unwrap_or_default())
        }));
        next = part.next;
    }
    all
}

/// The sheet of a run, against the list of its codes and what the store says of each.
fn check(w: &World, run: RunId, slice: u32) {
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    let packs = &sheet.packs;
    assert!(is_balanced(packs), "{packs:?}");
    let listed = list(w, run, slice);
    assert_eq!(listed.len(), sheet.codes.issued as usize);
    assert_eq!(listed.iter().map(|(one, _)| one.code).collect::<BTreeSet<_>>().len(), listed.len());
    let mut lie_in: BTreeMap<&str, u32> = BTreeMap::new();
    let mut loose = Vec::new();
    for (one, around) in &listed {
        assert_eq!(Some(one.state), w.state(number(&one.code)), "{}", one.code);
        let pack = w.store.view().pack_of(&one.code).unwrap();
        assert_eq!(one.pack, pack.as_ref().map(|facts| facts.pack));
        let parent = pack.as_ref().and_then(|facts| facts.parent);
        assert_eq!(*around, one.pack.into_iter().chain(parent).collect::<Vec<_>>());
        match pack {
            Some(facts) => *lie_in.entry(facts.state.key()).or_default() += 1,
            None if one.pass.is_some() && !one.held => loose.push(one.code),
            None => {}
        }
    }
    let count = |state: PackState| lie_in.get(state.key()).copied().unwrap_or(0);
    assert_eq!(
        (packs.items.in_closed, packs.items.in_open),
        (count(PackState::Closed), count(PackState::Open))
    );
    assert_eq!(packs.loose, loose);
    assert_eq!(packs.items.loose - packs.items.dead, u32::try_from(loose.len()).unwrap());
    // What was taken out by hand or by a void, of this run.
    let out = packs.out.len() as u64;
    assert_eq!(packs.taken_out, out);
    let of_run: BTreeSet<PackNo> = w.store.view().packs_of_run(run).unwrap().into_iter().collect();
    let opened: u32 = packs.levels.values().map(|level| level.opened).sum();
    assert_eq!(of_run.len(), opened as usize);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_any_history_the_packs_of_each_run_balance_by_code(asks in prop::collection::vec(ask(), 1..60)) {
        let (mut w, runs) = two_runs();
        for (n, ask) in (0_u32..).zip(&asks) {
            play(&mut w, ask, runs);
            runs.iter().for_each(|run| check(&w, *run, 1 + n % 9));
        }
        w.verified();
    }
}

/// Two closed boxes on a pallet, one more that is void, one that is open; the second run has one of its items in it.
fn packed() -> (World, [RunId; 2]) {
    let (mut w, runs) = two_runs();
    let (_, a) = w.boxed(1..=3);
    let (_, b) = w.boxed(4..=6);
    let PackAnswer::In { pack, .. } = w.put(PALLET, PALLETS, None, &[Child::pack(a), Child::pack(b)]) else {
        panic!()
    };
    assert!(matches!(w.name(pack, NewName::Next), PackAnswer::Named { .. }));
    let record = w.close(pack);
    w.apply(record).unwrap();
    let (void, _) = w.boxed(7..=9);
    let record = w.void(void);
    w.apply(record).unwrap();
    // 15 is the first of the second run.
    let PackAnswer::In { pack, .. } = w.put(FREE, FREE_BOXES, None, &[item(10), item(15)]) else { panic!() };
    let record = w.short(pack);
    w.apply(record).unwrap();
    let record = w.spoil(12);
    w.apply(record).unwrap();
    w.verified();
    (w, runs)
}

#[test]
fn each_imbalance_that_is_planted_is_found() {
    let (w, [run, _]) = packed();
    assert!(is_balanced(&packs_of(&w, run)));
    for damage in [
        "UPDATE run_packs SET n = n + 1 WHERE run = 1 AND pack_no = 1",
        "UPDATE run_packs SET n = n - 1 WHERE run = 1 AND pack_no = 1",
        "DELETE FROM run_packs WHERE pack_no = 1",
        "UPDATE packed SET n = n - 1 WHERE run = 1",
        "UPDATE packed SET n = n + 1 WHERE run = 1",
        "UPDATE packed SET n = n + 100 WHERE run = 1",
        "DELETE FROM packed",
        "UPDATE runs SET passed = passed + 1 WHERE run = 1",
        "UPDATE runs SET last_pass = last_pass - 1 WHERE run = 1",
        "UPDATE packs SET state = 2 WHERE pack_no = 1",
        "UPDATE packs SET sscc = NULL WHERE pack_no = 2",
        "UPDATE packs SET state = 2, content = 0 WHERE pack_no = 3",
        "UPDATE packs SET parent = 99 WHERE pack_no = 1",
        "UPDATE packs SET parent = 4 WHERE pack_no = 1",
    ] {
        let (w, [run, _]) = packed();
        let conn = Connection::open(database_path(w.folder.path())).unwrap();
        conn.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").unwrap();
        assert!(conn.execute(damage, []).unwrap() > 0, "{damage}");
        assert!(!is_balanced(&packs_of(&w, run)), "{damage}");
    }
}

#[test]
fn what_is_not_as_it_should_be_is_named() {
    let (mut w, [run, other]) = packed();
    let at = w.at();
    let label = |why: &str| PackRecord::Label { pack: PackNo(1), reason: why.into(), who: "olim".into(), at };
    w.pack(label(""));
    w.pack(label("torn"));
    let packs = packs_of(&w, run);
    let i = packs.items;
    assert_eq!((i.passed, i.in_closed, i.in_open, i.loose, i.dead), (12, 6, 1, 5, 1));
    assert_eq!(packs.loose, [7, 8, 9, 11].map(identity));
    let boxes = packs.levels[&Level::Box];
    assert_eq!((boxes.opened, boxes.open, boxes.full, boxes.short, boxes.voided), (4, 1, 2, 0, 1));
    assert_eq!((boxes.within, boxes.alone, boxes.names, boxes.voided_named), (2, 0, 3, 1));
    assert_eq!((boxes.labelled, boxes.mixed), (1, 1));
    let pallets = packs.levels[&Level::Pallet];
    assert_eq!((pallets.opened, pallets.full, pallets.alone, pallets.names), (1, 1, 1, 1));
    let said = |list: &[tamga::store::read::packing::Reasoned]| {
        let line = |one: &tamga::store::read::packing::Reasoned| {
            format!("{} {} {} {}", one.pack.pack, one.detail, one.who, one.why)
        };
        list.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(said(&packs.voided), ["4  anna wet"]);
    assert_eq!(said(&packs.labels), ["1 2 olim torn"]);
    assert_eq!(
        packs.open.iter().map(|(p, at)| (p.pack, at.as_str())).collect::<Vec<_>>(),
        [(PackNo(5), "#2")]
    );
    assert_eq!(packs.alone.iter().map(|p| p.pack).collect::<Vec<_>>(), [PackNo(3)]);
    assert_eq!((packs.taken_out, packs.out.len()), (3, 3), "of the voided box");
    // The other run has one item in the open box, and no pallet.
    let packs = packs_of(&w, other);
    assert_eq!((packs.items.in_open, packs.items.loose), (1, 11));
    assert_eq!((packs.levels.len(), packs.levels[&Level::Box].mixed), (1, 1));
    // It is closed short, under its reason.
    let PackAnswer::Named { name: PackName::Sscc(_), .. } = w.name(PackNo(5), NewName::Next) else {
        panic!()
    };
    let record = w.close(PackNo(5));
    w.apply(record).unwrap();
    let packs = packs_of(&w, other);
    assert_eq!(said(&packs.short), ["5  anna end of the batch"]);
    assert_eq!((packs.items.in_closed, packs.levels[&Level::Box].short), (1, 1));
}

#[test]
fn what_is_scrapped_is_not_to_be_packed_and_what_another_agent_has_is_not_alone() {
    let (mut w, [run, _]) = packed();
    w.boxed(17..=19);
    let conn = Connection::open(database_path(w.folder.path())).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let before = packs_of(&w, run);
    conn.execute(
        "INSERT INTO write_offs(gtin_id, serial, reason, who, at) SELECT gtin_id, serial, 'leaks', 'anna', 1 FROM codes WHERE pass_no = 11 AND run = 1",
        [],
    )
    .unwrap();
    let after = packs_of(&w, run);
    assert_eq!((before.items.dead, after.items.dead, after.items.loose), (1, 2, before.items.loose));
    assert_eq!(after.loose, [7, 8, 9].map(identity));
    let pallet = "SELECT sscc, 7, 1, 1, 1, NULL FROM packs WHERE pack_no = 3";
    conn.execute(&format!("INSERT INTO claims {pallet}"), []).unwrap();
    let elsewhere = packs_of(&w, run);
    let pallets = elsewhere.levels[&Level::Pallet];
    assert_eq!((pallets.within, pallets.alone, elsewhere.alone.len()), (1, 0, 0));
    assert!(is_balanced(&elsewhere));
}

#[test]
fn a_sheet_is_signed_when_its_run_is_closed_and_once_by_each_head() {
    let mut w = World::new();
    w.pool(3);
    let run = w.run("r");
    w.issue(run, 1);
    w.pass_item(run, 1, 1);
    let sign = |head: u8, at: Wall| Record::SignedOff {
        run,
        who: "anna".into(),
        from: "local".into(),
        why: "to be packed".into(),
        unresolved: 1,
        lines: 7,
        head: [head; 32],
        at,
    };
    let at = w.at();
    let rule = w.refused(sign(1, at));
    assert!(matches!(rule, tamga::store::error::Rule::RunOpen(_)), "{rule:?}");
    w.run_state(run, RunState::Closing).unwrap();
    w.run_state(run, RunState::Closed).unwrap();
    w.twice(sign(1, at));
    w.twice(sign(2, at));
    let sheet = w.store.view().run_sheet(run).unwrap().unwrap();
    let signed: Vec<_> =
        sheet.signed.iter().map(|s| (s.who.as_str(), s.unresolved, s.lines, s.head.0[0])).collect();
    assert_eq!(signed, [("anna", 1, 7, 1), ("anna", 1, 7, 2)]);
    let marks: Vec<_> = sheet.changes.iter().map(|change| change.mark.as_str()).collect();
    assert_eq!(marks, ["", "", "", "", "signed", "signed"]);
    assert_eq!(w.state(1), Some(State::Verified(tamga_domain::lifecycle::Whereabouts::Passed)));
    w.verified();
}
