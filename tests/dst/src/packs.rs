//! What must be so with packs: by what really lies in the boxes, and by what was acknowledged. It asks the agent's store
//! only what it says, and shares no rule with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::store::read::packs::Content;
use tamga_domain::code::Identity;
use tamga_domain::ids::PackNo;
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Child, PackFacts, PackName, PackState};
use tamga_domain::record::{Answer, Known};
use tamga_domain::sscc::Sscc;
use tamga_simulators::fault::FaultKind;
use tamga_simulators::model::packing::{Carton, Desk, DeskTruth, Slipped, Stage, Thing};

use crate::oracle::identity;
use crate::packing::DeskSide;

/// Children and closed packs remembered of what was acknowledged last: a crash loses the newest, if any.
const NEWEST: usize = 64;

/// What the store said of packs, over all lives of the agent, copies that were put back included.
#[derive(Default)]
pub struct PackLedger {
    given: BTreeSet<Sscc>,
    last_given: Option<u64>,
    newest_in: VecDeque<(Child, PackNo)>,
    newest_closed: VecDeque<PackNo>,
}

fn keep<T>(newest: &mut VecDeque<T>, one: T) {
    newest.push_back(one);
    if newest.len() > NEWEST {
        newest.pop_front();
    }
}

/// The serial reference: what grows from one name to the next.
fn serial(name: Sscc) -> u64 {
    name.as_bytes()[..17].iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}

/// An item may lie in a pack.
fn is_resolved(store: &Store, code: &Identity) -> bool {
    let Ok(Known::Coded(facts)) = store.find(code) else { return false };
    matches!(facts.state, State::Verified(Whereabouts::Passed) | State::Applied)
}

impl PackLedger {
    /// A copy was put back: what it does not know is not asked of the books any more. Names are given once all the same.
    pub(crate) fn restored(&mut self) {
        self.newest_in.clear();
        self.newest_closed.clear();
    }

    /// Takes what was written down and answered just now, and says what of it breaks a rule.
    pub(crate) fn take(
        &mut self,
        done: &mut Vec<(usize, PackRecord, Vec<Answer>)>,
        store: &Store,
        desks: &[DeskSide],
    ) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        for (at, record, answers) in done.drain(..) {
            match (&record, answers.first()) {
                (
                    PackRecord::In { children, .. },
                    Some(Answer::Pack(PackAnswer::In { pack, .. } | PackAnswer::InSeen { pack, .. })),
                ) => {
                    for child in children {
                        wrong.extend(self.is_in(child, *pack, store));
                    }
                }
                (
                    PackRecord::Named { name: NewName::Next, .. },
                    Some(Answer::Pack(PackAnswer::Named { name: PackName::Sscc(name), used })),
                ) if *used > 0 => {
                    let before = self.last_given.replace(serial(*name));
                    if !self.given.insert(*name) || before.is_some_and(|before| before >= serial(*name)) {
                        wrong.push(("name-given-twice", format!("{name} after {before:?}")));
                    }
                }
                (PackRecord::Closed { pack, .. }, _) => {
                    keep(&mut self.newest_closed, *pack);
                    wrong.extend(closed(*pack, store, desks.get(at).map(|d| &d.desk)));
                }
                _ => {}
            }
        }
        wrong
    }

    fn is_in(&mut self, child: &Child, pack: PackNo, store: &Store) -> Option<(&'static str, String)> {
        keep(&mut self.newest_in, (child.clone(), pack));
        match child {
            Child::Item { identity, .. } if !is_resolved(store, identity) => {
                Some(("packed-unresolved", format!("{identity} is {:?}", store.find(identity))))
            }
            _ => None,
        }
    }

    /// What a store that was just opened has not, though it was acknowledged.
    pub(crate) fn missing(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let view = store.view();
        let mut missing = Vec::new();
        for (child, pack) in &self.newest_in {
            let (within, what) = match child {
                Child::Item { identity, .. } => {
                    (view.pack_of(identity)?.map(|p| p.pack), Content::Item(*identity))
                }
                Child::Pack { name, .. } => (view.pack(*name)?.and_then(|p| p.parent), Content::Pack(*name)),
            };
            // What was taken out again is written down there.
            if within != Some(*pack) && !view.taken_out(*pack)?.iter().any(|out| out.what == what) {
                missing.push(format!("{what:?} was put into pack {pack} and is in {within:?}"));
            }
        }
        for pack in &self.newest_closed {
            let state = view.pack_no(*pack)?.map(|facts| facts.state);
            if matches!(state, None | Some(PackState::Open)) {
                missing.push(format!("pack {pack} was closed and is {state:?}"));
            }
        }
        Ok(missing)
    }
}

/// A pack was closed: its label was read, and what is in it is what it says.
fn closed(pack: PackNo, store: &Store, desk: Option<&Desk>) -> Vec<(&'static str, String)> {
    let view = store.view();
    let Ok(Some(PackFacts { name: Some(PackName::Sscc(name)), .. })) = view.pack_no(pack) else {
        return vec![("closed-without-a-name", pack.to_string())];
    };
    let mut wrong = Vec::new();
    if !desk.is_some_and(|desk| desk.has_sent(name.as_bytes())) {
        wrong.push(("closed-and-its-label-not-read", name.to_string()));
    }
    for content in view.content(pack).unwrap_or_default() {
        match content {
            Content::Item(code) if !is_resolved(store, &code) => {
                wrong.push(("closed-over-unresolved", format!("{code} in {name}")));
            }
            _ => {}
        }
    }
    wrong
}

/// Packs of a day, and boxes that differ from their data by what nothing could have seen.
#[derive(Clone, Debug, Default)]
pub struct PackCounts {
    pub packed: u64,
    pub boxes: u64,
    pub pallets: u64,
    /// Boxes and pallets with any difference.
    pub different: u64,
    /// Things that are in the data and not in the box, or the other way round, by the slip that did it.
    pub by_slip: BTreeMap<&'static str, u64>,
}

impl PackCounts {
    pub fn add(&mut self, other: &PackCounts) {
        self.packed += other.packed;
        self.boxes += other.boxes;
        self.pallets += other.pallets;
        self.different += other.different;
        for (slip, count) in &other.by_slip {
            *self.by_slip.entry(slip).or_default() += count;
        }
    }
}

/// What a thing is called in the books.
fn called(thing: &Thing) -> Option<String> {
    let symbol = thing.symbol.as_deref()?;
    match Sscc::parse_read(symbol) {
        Ok(name) => Some(name.to_string()),
        Err(_) => identity(symbol).map(|code| code.to_string()),
    }
}

/// The names that can be read on a box.
fn names(carton: &Carton) -> impl Iterator<Item = Sscc> {
    carton.labels.iter().filter_map(|label| Sscc::parse_read(label).ok())
}

/// What people read at a desk though it lay elsewhere.
pub(crate) fn strays(desks: &[DeskSide]) -> BTreeSet<Identity> {
    let slips = desks.iter().flat_map(|side| side.desk.truth().slips);
    let strays = slips.filter(|slip| slip.kind == FaultKind::StrangerScanned);
    strays.filter_map(|slip| identity(slip.thing?.symbol.as_deref()?)).collect()
}

/// Compares what lies in each closed box with its data.
pub(crate) fn judge(store: &Store, desks: &[DeskSide]) -> (Vec<(&'static str, String)>, PackCounts) {
    let mut found = Vec::new();
    let mut counts = PackCounts::default();
    let truths: Vec<DeskTruth> = desks.iter().map(|side| side.desk.truth()).collect();
    for (at, (truth, side)) in truths.iter().zip(desks).enumerate() {
        if let Err(error) = labels_asked(store, &side.desk, &mut found) {
            found.push(("packs-unreadable", error.to_string()));
        }
        if let Err(error) = judge_desk(store, at, truth, &mut counts, &mut found) {
            found.push(("packs-unreadable", error.to_string()));
        }
    }
    (found, counts)
}

/// No label is printed by itself: what the printer was asked for is written down before.
fn labels_asked(
    store: &Store,
    desk: &Desk,
    found: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let mut printed: BTreeMap<Sscc, u32> = BTreeMap::new();
    let unasked: BTreeSet<u64> = desk.printer.unasked().iter().copied().collect();
    for label in desk.labels().iter().filter(|l| !l.at_panel && !unasked.contains(&l.label_no)) {
        let name = label.symbol.as_deref().and_then(|symbol| Sscc::parse_read(symbol).ok());
        name.into_iter().for_each(|name| *printed.entry(name).or_default() += 1);
    }
    for (name, printed) in printed {
        let asked = store.view().pack(name.into())?.map_or(0, |facts| facts.labels);
        if printed > asked {
            found.push(("label-printed-by-itself", format!("{name}: {printed} printed, {asked} asked for")));
        }
    }
    Ok(())
}

fn judge_desk(
    store: &Store,
    at: usize,
    truth: &DeskTruth,
    counts: &mut PackCounts,
    found: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let view = store.view();
    let mut bearers: BTreeMap<Sscc, Vec<&Carton>> = BTreeMap::new();
    for carton in &truth.cartons {
        names(carton).for_each(|name| bearers.entry(name).or_default().push(carton));
    }
    for carton in truth.cartons.iter().filter(|c| c.stage == Stage::Done) {
        let of_label = |s: &&Slipped| s.kind == FaultKind::LabelWrongBox && s.cartons.contains(&carton.no);
        let label_slip = truth.slips.iter().find(of_label).map(|s| s.kind);
        if at == 0 {
            counts.boxes += 1
        } else {
            counts.pallets += 1
        }
        counts.packed += carton.things.len() as u64;
        let mut closed = None;
        for name in names(carton) {
            match view.pack(name.into())? {
                Some(facts) if facts.state == PackState::Closed => closed = Some(facts),
                facts => {
                    let is = facts.map(|f| f.state);
                    if label_slip.is_none() {
                        found.push((
                            "label-on-the-box-and-not-closed",
                            format!("{name} is {is:?} {carton:?}"),
                        ));
                    }
                }
            }
        }
        let Some(facts) = closed else {
            match label_slip {
                Some(kind) => *counts.by_slip.entry(kind.name()).or_default() += 1,
                None => found.push(("box-without-its-name", format!("{carton:?}"))),
            }
            counts.different += 1;
            continue;
        };
        let data: BTreeSet<String> = view.content(facts.pack)?.iter().map(text).collect();
        let really: BTreeSet<String> = carton.things.iter().filter_map(called).collect();
        let mut different = really.len() != carton.things.len();
        for (what, is_in_data) in
            data.difference(&really).map(|w| (w, true)).chain(really.difference(&data).map(|w| (w, false)))
        {
            different = true;
            let slip = slip_of(truth, what, carton.no, is_in_data).or(label_slip);
            match slip {
                Some(kind) => *counts.by_slip.entry(kind.name()).or_default() += 1,
                None => {
                    let rule = if is_in_data {
                        "in-the-data-and-not-in-the-box"
                    } else {
                        "in-the-box-and-not-in-the-data"
                    };
                    found.push((rule, format!("{what}: pack {facts:?}, box {carton:?}")));
                }
            }
        }
        counts.different += u64::from(different);
    }
    for (name, cartons) in bearers {
        let asked = view.pack(name.into())?.map_or(0, |facts| facts.labels);
        let label_slips =
            truth.slips.iter().any(|s| matches!(s.kind, FaultKind::LabelWrongBox | FaultKind::WrongRoll));
        if cartons.len() > 1 && asked < 2 && !label_slips {
            found.push(("name-on-two-boxes", format!("{name}: {cartons:?}")));
        }
    }
    Ok(())
}

fn text(content: &Content) -> String {
    match content {
        Content::Item(code) => code.to_string(),
        Content::Pack(name) => name.to_string(),
    }
}

/// The slip by which this thing is in the data of a box and not in it, or the other way round.
fn slip_of(truth: &DeskTruth, what: &str, carton: u64, is_in_data: bool) -> Option<FaultKind> {
    use FaultKind as K;
    let moved = |kind: FaultKind| match kind {
        K::WrongBox | K::BoxReopened => true,
        K::PackDropped | K::TakenOutUnseen | K::StrangerScanned => is_in_data,
        K::Unscanned => !is_in_data,
        _ => false,
    };
    let of_it = |s: &&Slipped| s.thing.as_ref().and_then(called).is_some_and(|called| called == what);
    let slips = truth.slips.iter().rev().filter(of_it).filter(|s| s.cartons.contains(&carton));
    slips.map(|s| s.kind).find(|kind| moved(*kind))
}
