//! The box doctor: what is wrong with a pack, by the books and by what a person sees in it, and what rights it.
//!
//! It changes nothing: what it proposes is a [`Rework`], planned, shown and confirmed like any other.

use super::judge::{Mark, NotIn, Thing, judge};
use super::rework::{Books, Fate, Rework};
use super::{Child, PackFacts, PackState, Told};
use crate::ids::PackNo;
use crate::lifecycle::{State, Whereabouts};
use crate::record::Known;

/// Something that is not as it should be, or that stands in the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// In the books, and not in the pack.
    Missing(Child),
    /// In the pack, and free in the books.
    Extra(Child),
    /// In the pack, and in another one by the books.
    Elsewhere { child: Child, pack: PackNo },
    /// In the pack, and it must not be.
    Stranger { child: Child, why: NotIn },
    /// All that is in the pack belongs to this other one: the labels were mixed up.
    WrongLabel(PackNo),
    /// Upstream refused the code of an item after it was packed.
    Unresolved(Child),
    /// It has to get a label of its own.
    Unlabelled,
    /// It has its name, and nobody has read it on it yet.
    Unread,
    /// It is being filled at a station.
    AtStation,
    /// Its label is void; what stayed in it is this pack now.
    Void(Option<PackNo>),
    /// A report on it is not answered yet.
    Waits,
    /// Upstream did not take it.
    Refused,
}

impl Found {
    /// All keys, for catalogues.
    pub const KEYS: [&str; 12] = [
        "missing",
        "extra",
        "elsewhere",
        "stranger",
        "wrong_label",
        "unresolved",
        "unlabelled",
        "unread",
        "at_station",
        "void",
        "waits",
        "refused",
    ];

    /// The stable key, for catalogues (`rework.found.<key>`) and the API.
    pub fn key(&self) -> &'static str {
        match self {
            Found::Missing(_) => "missing",
            Found::Extra(_) => "extra",
            Found::Elsewhere { .. } => "elsewhere",
            Found::Stranger { .. } => "stranger",
            Found::WrongLabel(_) => "wrong_label",
            Found::Unresolved(_) => "unresolved",
            Found::Unlabelled => "unlabelled",
            Found::Unread => "unread",
            Found::AtStation => "at_station",
            Found::Void(_) => "void",
            Found::Waits => "waits",
            Found::Refused => "refused",
        }
    }
}

/// What was found, and what rights as much of it as the books can: nothing, where that is for hands only.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Diagnosis {
    pub found: Vec<Found>,
    pub works: Vec<Rework>,
}

/// Looks at a pack. `seen`: all that a person scanned in it; `None`: nobody looked into it. `after`: the pack that what
/// stayed in it is, where its own name is void.
pub fn diagnose<B: Books>(
    pack: &PackFacts,
    after: Option<PackNo>,
    seen: Option<&[Child]>,
    books: &B,
) -> Result<Diagnosis, B::Fault> {
    let mut told = Diagnosis::default();
    told.found.extend(standing(pack, after));
    if pack.state == PackState::Voided {
        return Ok(told);
    }
    let content = books.content(pack.pack)?;
    let mut outs = Vec::new();
    for child in &content {
        if seen.is_some_and(|seen| !seen.iter().any(|one| one.is(child))) {
            told.found.push(Found::Missing(child.clone()));
            outs.push(child.clone());
        } else if is_unresolved(&books.thing(child)?) {
            told.found.push(Found::Unresolved(child.clone()));
            outs.push(child.clone());
        }
    }
    let mut ins = Vec::new();
    let mut others = Vec::new();
    for child in seen.unwrap_or_default() {
        if content.iter().any(|one| one.is(child)) {
            continue;
        }
        let thing = books.thing(child)?;
        let (freed, parent) = parted(thing);
        let found = match (judged(&freed, child, pack), parent) {
            (Err(why), _) => Found::Stranger { child: child.clone(), why },
            (Ok(()), Some(other)) => {
                others.push(other);
                ins.push(child.clone());
                Found::Elsewhere { child: child.clone(), pack: other }
            }
            (Ok(()), None) => {
                ins.push(child.clone());
                Found::Extra(child.clone())
            }
        };
        told.found.push(found);
    }
    if let (Some(seen), [other, rest @ ..]) = (seen, others.as_slice())
        && others.len() == seen.len()
        && rest.iter().all(|one| one == other)
    {
        // Nothing of this pack is here: moving all of it would be to lie about two boxes.
        let kept = told.found.drain(..).filter(|f| !matches!(f, Found::Missing(_) | Found::Elsewhere { .. }));
        let mut found: Vec<Found> = kept.collect();
        found.push(Found::WrongLabel(*other));
        return Ok(Diagnosis { found, works: Vec::new() });
    }
    if !outs.is_empty() {
        told.works.push(Rework::Out { children: outs, fate: Fate::Free });
    }
    if !ins.is_empty() {
        told.works.push(Rework::Move { children: ins, to: pack.pack });
    }
    Ok(told)
}

/// How the pack itself stands.
fn standing(pack: &PackFacts, after: Option<PackNo>) -> Option<Found> {
    match (pack.state, pack.told) {
        (PackState::Voided, _) => Some(Found::Void(after)),
        (_, Told::Aggregating | Told::Disaggregating) => Some(Found::Waits),
        (PackState::Open, _) if pack.follows.is_none() => Some(Found::AtStation),
        (PackState::Open, _) if pack.labels == 0 => Some(Found::Unlabelled),
        (PackState::Open, _) => Some(Found::Unread),
        (PackState::Closed, Told::Refused) => Some(Found::Refused),
        (PackState::Closed, Told::Nothing | Told::Aggregated | Told::Disaggregated) => None,
    }
}

fn is_unresolved(thing: &Thing) -> bool {
    let (Thing::Item { mark, .. } | Thing::Pack { mark: Some(mark), .. }) = thing else { return false };
    let Mark { known: Known::Coded(facts), held } = mark else { return false };
    *held && facts.state == State::Verified(Whereabouts::Passed)
}

/// The thing as if it lay nowhere, and the pack that it lies in.
fn parted(thing: Thing) -> (Thing, Option<PackNo>) {
    match thing {
        Thing::Item { gtin, mark, pack } => (Thing::Item { gtin, mark, pack: None }, pack),
        Thing::Pack { facts: Some(facts), mark } => {
            let parent = facts.parent;
            (Thing::Pack { facts: Some(PackFacts { parent: None, ..facts }), mark }, parent)
        }
        other => (other, None),
    }
}

/// As at packing; that the pack is full is seen when all that is missing is out.
fn judged(thing: &Thing, child: &Child, pack: &PackFacts) -> Result<(), NotIn> {
    let (Child::Item { tail, .. } | Child::Pack { tail, .. }) = child;
    let roomy =
        PackFacts { state: PackState::Open, name: None, content: pack.content.min(1), ..pack.clone() };
    let mut terms = pack.terms;
    terms.capacity = terms.capacity.max(2);
    judge(thing, tail.as_deref(), terms, Some(&roomy)).map(drop)
}
