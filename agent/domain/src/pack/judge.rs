//! What may go into a pack: one table, first match.

use super::{Holds, Level, Mixing, PackFacts, PackState, Terms};
use crate::gs1::Gtin;
use crate::ids::{PackNo, RunId};
use crate::lifecycle::{State, Whereabouts};
use crate::record::Known;
use crate::verdict::Death;

/// What the store knows of something that was read at a station.
#[derive(Clone, Debug, PartialEq)]
pub enum Thing {
    Item {
        gtin: Gtin,
        known: Known,
        /// The pack that it lies in.
        pack: Option<PackNo>,
        /// Upstream refused its code for good: it is named to people and stays unresolved.
        held: bool,
    },
    /// A name of a pack; `None`: nobody's that this agent knows.
    Pack(Option<PackFacts>),
}

/// Why something does not go into a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotIn {
    /// It is in this pack already: nothing new.
    Again,
    /// It lies in another pack.
    Packed(PackNo),
    /// No code, or no pack, of this agent.
    Unknown,
    /// Its code was never given to an item.
    NeverIssued,
    /// The identity is known, the tail is another: a forgery or a misread.
    Mismatch,
    /// The line's reader has not seen it.
    NotSeen,
    /// Whether it passed the gate is not known.
    PassUnknown,
    Rejected,
    Dead(Death),
    /// Upstream refused its code.
    Unresolved,
    OtherRun,
    OtherProduct,
    /// The pack has all that it can hold.
    Full,
    /// The pack has its name already: its label says what is in it.
    Named,
    /// A pack that is still being filled.
    NotClosed,
    /// A pack that is none any more.
    Voided,
    /// An item where packs go in, a pack where items do, or a pack of another level.
    WrongLevel,
    /// It was read twice among those that were to go in together.
    Twice,
}

impl NotIn {
    /// All keys, for catalogues.
    pub const KEYS: [&str; 18] = [
        "again",
        "packed",
        "unknown",
        "never_issued",
        "mismatch",
        "not_seen",
        "pass_unknown",
        "rejected",
        "dead",
        "unresolved",
        "other_run",
        "other_product",
        "full",
        "named",
        "not_closed",
        "voided",
        "wrong_level",
        "twice",
    ];

    /// The stable key, for catalogues (`pack.not_in.<key>`) and the API.
    pub fn key(self) -> &'static str {
        match self {
            NotIn::Again => "again",
            NotIn::Packed(_) => "packed",
            NotIn::Unknown => "unknown",
            NotIn::NeverIssued => "never_issued",
            NotIn::Mismatch => "mismatch",
            NotIn::NotSeen => "not_seen",
            NotIn::PassUnknown => "pass_unknown",
            NotIn::Rejected => "rejected",
            NotIn::Dead(_) => "dead",
            NotIn::Unresolved => "unresolved",
            NotIn::OtherRun => "other_run",
            NotIn::OtherProduct => "other_product",
            NotIn::Full => "full",
            NotIn::Named => "named",
            NotIn::NotClosed => "not_closed",
            NotIn::Voided => "voided",
            NotIn::WrongLevel => "wrong_level",
            NotIn::Twice => "twice",
        }
    }
}

/// Of which run and product all of something is; `None` where it is of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kinship {
    pub run: Option<RunId>,
    pub gtin: Option<Gtin>,
}

/// Whether the thing may go into the open pack of a station (`None`: it would be the first of a new one), and of which
/// run and product it is. `tail` is that of the read, where the read had one.
pub fn judge(
    thing: &Thing,
    tail: Option<&[u8]>,
    terms: Terms,
    open: Option<&PackFacts>,
) -> Result<Kinship, NotIn> {
    let (parent, kin) = match (thing, terms.holds) {
        (Thing::Item { gtin, known, pack, held }, Holds::Items) => {
            let run = item(known, tail, *held)?;
            (*pack, Kinship { run: Some(run), gtin: Some(*gtin) })
        }
        (Thing::Pack(facts), Holds::Packs(level)) => {
            let facts = closed_pack(facts.as_ref(), level)?;
            (facts.parent, Kinship { run: facts.run, gtin: facts.gtin })
        }
        (Thing::Pack(None), Holds::Items) => return Err(NotIn::Unknown),
        (Thing::Item { .. }, Holds::Packs(_)) | (Thing::Pack(Some(_)), Holds::Items) => {
            return Err(NotIn::WrongLevel);
        }
    };
    match (parent, open) {
        (Some(parent), Some(open)) if parent == open.pack => return Err(NotIn::Again),
        (Some(parent), _) => return Err(NotIn::Packed(parent)),
        (None, _) => {}
    }
    let Some(open) = open else { return Ok(kin) };
    if open.name.is_some() {
        return Err(NotIn::Named);
    }
    if open.content >= terms.capacity {
        return Err(NotIn::Full);
    }
    if open.content > 0 && terms.mixing != Mixing::Free && (open.gtin.is_none() || open.gtin != kin.gtin) {
        return Err(NotIn::OtherProduct);
    }
    if open.content > 0 && terms.mixing == Mixing::SameRun && (open.run.is_none() || open.run != kin.run) {
        return Err(NotIn::OtherRun);
    }
    Ok(kin)
}

/// An item goes into a pack when it passed: seen by the line's reader, and behind its gate.
fn item(known: &Known, tail: Option<&[u8]>, held: bool) -> Result<RunId, NotIn> {
    let of_code = match known {
        Known::Unknown => return Err(NotIn::Unknown),
        Known::Waiting { tail, .. } => tail,
        Known::Coded(facts) => &facts.tail,
    };
    if tail.is_some_and(|tail| tail != of_code.as_slice()) {
        return Err(NotIn::Mismatch);
    }
    let Known::Coded(facts) = known else { return Err(NotIn::NeverIssued) };
    match facts.state {
        State::Verified(Whereabouts::Passed) if held => Err(NotIn::Unresolved),
        State::Verified(Whereabouts::Passed) | State::Applied => Ok(facts.run),
        State::Verified(Whereabouts::Unknown) => Err(NotIn::PassUnknown),
        State::Verified(Whereabouts::Rejected) => Err(NotIn::Rejected),
        State::Issued => Err(NotIn::NotSeen),
        State::Spoiled(reason) => Err(NotIn::Dead(Death::Spoiled(reason))),
        State::Returned => Err(NotIn::Dead(Death::Returned)),
        State::WrittenOff => Err(NotIn::Dead(Death::WrittenOff)),
        State::Pooled | State::Stock | State::SetAside => Err(NotIn::NeverIssued),
    }
}

fn closed_pack(facts: Option<&PackFacts>, level: Level) -> Result<&PackFacts, NotIn> {
    let facts = facts.ok_or(NotIn::Unknown)?;
    if facts.terms.level != level {
        return Err(NotIn::WrongLevel);
    }
    match facts.state {
        PackState::Open => Err(NotIn::NotClosed),
        PackState::Voided => Err(NotIn::Voided),
        PackState::Closed => Ok(facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{IssueNo, PrinterNo};
    use crate::lifecycle::SpoilReason;
    use crate::pack::Told;
    use crate::record::{CodeFacts, JobOutcome};
    use crate::sscc::Sscc;

    const TERMS: Terms =
        Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };
    const PALLET: Terms =
        Terms { level: Level::Pallet, holds: Holds::Packs(Level::Box), capacity: 3, mixing: Mixing::Free };

    fn gtin(text: &str) -> Gtin {
        Gtin::parse(text.as_bytes()).unwrap()
    }

    fn water() -> Gtin {
        gtin("04780000000014")
    }

    fn coded(state: State) -> Known {
        Known::Coded(CodeFacts {
            state,
            tail: b"abcd".to_vec(),
            run: RunId(7),
            printer: PrinterNo(0),
            issue: IssueNo(1),
            outcome: JobOutcome::Printed,
            tag: None,
            verified_at: None,
        })
    }

    fn item(known: Known) -> Thing {
        Thing::Item { gtin: water(), known, pack: None, held: false }
    }

    fn pack(state: PackState) -> PackFacts {
        PackFacts {
            pack: PackNo(5),
            terms: TERMS,
            state,
            name: Sscc::parse(b"376104250021234569").ok(),
            content: 2,
            parent: None,
            run: Some(RunId(7)),
            gtin: Some(water()),
            labels: 1,
            short: false,
            told: Told::Nothing,
        }
    }

    fn said(thing: &Thing, terms: Terms, open: Option<&PackFacts>) -> Result<(), NotIn> {
        judge(thing, Some(b"abcd"), terms, open).map(drop)
    }

    #[test]
    fn an_item_goes_in_when_it_passed_and_not_otherwise() {
        use State as S;
        use Whereabouts as W;
        let unseen = SpoilReason::Unseen;
        let table = [
            (item(coded(S::Verified(W::Passed))), Ok(())),
            (item(coded(S::Applied)), Ok(())),
            (item(coded(S::Verified(W::Unknown))), Err(NotIn::PassUnknown)),
            (item(coded(S::Verified(W::Rejected))), Err(NotIn::Rejected)),
            (item(coded(S::Issued)), Err(NotIn::NotSeen)),
            (item(coded(S::Spoiled(unseen))), Err(NotIn::Dead(Death::Spoiled(unseen)))),
            (item(coded(S::Returned)), Err(NotIn::Dead(Death::Returned))),
            (item(coded(S::WrittenOff)), Err(NotIn::Dead(Death::WrittenOff))),
            (item(Known::Waiting { state: S::Pooled, tail: b"abcd".to_vec() }), Err(NotIn::NeverIssued)),
            (item(Known::Unknown), Err(NotIn::Unknown)),
            (item(Known::Waiting { state: S::Pooled, tail: b"abcX".to_vec() }), Err(NotIn::Mismatch)),
            (Thing::Pack(None), Err(NotIn::Unknown)),
            (Thing::Pack(Some(pack(PackState::Closed))), Err(NotIn::WrongLevel)),
        ];
        for (thing, expected) in table {
            assert_eq!(said(&thing, TERMS, None), expected, "{thing:?}");
        }
        let held =
            Thing::Item { gtin: water(), known: coded(S::Verified(W::Passed)), pack: None, held: true };
        assert_eq!(said(&held, TERMS, None), Err(NotIn::Unresolved));
        let forged = judge(&item(coded(S::Applied)), Some(b"abcX"), TERMS, None);
        assert_eq!(forged, Err(NotIn::Mismatch));
        assert!(judge(&item(coded(S::Applied)), None, TERMS, None).is_ok(), "an identity alone has no tail");
    }

    #[test]
    fn each_child_has_one_parent_and_a_pack_what_it_can_hold() {
        let passed = || coded(State::Verified(Whereabouts::Passed));
        let open = PackFacts { state: PackState::Open, name: None, ..pack(PackState::Open) };
        let within =
            |pack| Thing::Item { gtin: water(), known: passed(), pack: Some(PackNo(pack)), held: false };
        assert_eq!(said(&within(5), TERMS, Some(&open)), Err(NotIn::Again));
        assert_eq!(said(&within(4), TERMS, Some(&open)), Err(NotIn::Packed(PackNo(4))));
        assert_eq!(said(&within(4), TERMS, None), Err(NotIn::Packed(PackNo(4))));
        assert_eq!(said(&item(passed()), TERMS, Some(&open)), Ok(()));
        let full = PackFacts { content: 3, ..open };
        assert_eq!(said(&item(passed()), TERMS, Some(&full)), Err(NotIn::Full));
        assert_eq!(said(&within(5), TERMS, Some(&full)), Err(NotIn::Again), "nothing new is nothing wrong");
        let named = PackFacts { name: pack(PackState::Open).name, content: 1, ..full };
        assert_eq!(said(&item(passed()), TERMS, Some(&named)), Err(NotIn::Named));
        assert_eq!(
            said(&within(5), TERMS, Some(&named)),
            Err(NotIn::Again),
            "also while its label is printed"
        );
    }

    #[test]
    fn what_may_lie_together_is_a_rule_of_the_station() {
        let open = |run: Option<u32>, gtin| PackFacts {
            state: PackState::Open,
            name: None,
            run: run.map(RunId),
            gtin,
            ..pack(PackState::Open)
        };
        let thing = item(coded(State::Applied));
        let other = Some(gtin("04780000000021"));
        let table = [
            (Mixing::SameRun, open(Some(7), Some(water())), Ok(())),
            (Mixing::SameRun, open(Some(8), Some(water())), Err(NotIn::OtherRun)),
            (Mixing::SameRun, open(None, Some(water())), Err(NotIn::OtherRun)),
            (Mixing::SameProduct, open(Some(8), Some(water())), Ok(())),
            (Mixing::SameProduct, open(Some(8), other), Err(NotIn::OtherProduct)),
            (Mixing::SameProduct, open(None, None), Err(NotIn::OtherProduct)),
            (Mixing::SameRun, open(Some(8), other), Err(NotIn::OtherProduct)),
            (Mixing::Free, open(Some(8), other), Ok(())),
            // Emptied by hand: it is nobody's.
            (Mixing::SameRun, PackFacts { content: 0, ..open(None, None) }, Ok(())),
        ];
        for (mixing, open, expected) in table {
            assert_eq!(said(&thing, Terms { mixing, ..TERMS }, Some(&open)), expected, "{mixing:?} {open:?}");
        }
    }

    #[test]
    fn closed_packs_of_the_right_level_go_on_a_pallet() {
        let of = |facts| Thing::Pack(Some(facts));
        assert_eq!(said(&of(pack(PackState::Closed)), PALLET, None), Ok(()));
        assert_eq!(said(&of(pack(PackState::Open)), PALLET, None), Err(NotIn::NotClosed));
        assert_eq!(said(&of(pack(PackState::Voided)), PALLET, None), Err(NotIn::Voided));
        let group = PackFacts { terms: Terms { level: Level::Group, ..TERMS }, ..pack(PackState::Closed) };
        assert_eq!(said(&of(group), PALLET, None), Err(NotIn::WrongLevel));
        assert_eq!(said(&item(coded(State::Applied)), PALLET, None), Err(NotIn::WrongLevel));
        let elsewhere = PackFacts { parent: Some(PackNo(1)), ..pack(PackState::Closed) };
        assert_eq!(said(&of(elsewhere), PALLET, None), Err(NotIn::Packed(PackNo(1))));
    }
}
