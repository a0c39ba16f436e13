//! What may go into a pack: one table, first match.

use super::{Holds, Level, Mixing, PackFacts, PackName, PackState, Terms};
use crate::gs1::Gtin;
use crate::ids::{AgentId, PackNo, RunId};
use crate::lifecycle::{State, Whereabouts};
use crate::record::Known;
use crate::verdict::Death;

/// What the store knows of something that was read at a station.
#[derive(Clone, Debug, PartialEq)]
pub enum Thing {
    Item {
        gtin: Gtin,
        mark: Mark,
        /// The pack that it lies in.
        pack: Option<PackNo>,
    },
    /// A name of a pack, and what is known of the code where it is one; no facts: no pack that this agent knows has it.
    Pack { facts: Option<PackFacts>, mark: Option<Mark> },
}

/// What is known of a code that was read at a station.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub known: Known,
    /// Upstream refused it for good: it is named to people and stays unresolved.
    pub held: bool,
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
    /// Another agent says that it lies in a pack of theirs.
    Elsewhere(AgentId),
    /// It was read twice among those that were to go in together.
    Twice,
    /// The code of a group pack of which nobody knows what is in it.
    Unpacked,
    /// A group pack with fewer in it than its code says.
    NotFull,
}

impl NotIn {
    /// All keys, for catalogues.
    pub const KEYS: [&str; 21] = [
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
        "elsewhere",
        "twice",
        "unpacked",
        "not_full",
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
            NotIn::Elsewhere(_) => "elsewhere",
            NotIn::Twice => "twice",
            NotIn::Unpacked => "unpacked",
            NotIn::NotFull => "not_full",
        }
    }
}

/// Of which run and product all of something is; `None` where it is of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kinship {
    pub run: Option<RunId>,
    pub gtin: Option<Gtin>,
}

impl Kinship {
    /// Of which run and product all is, with one more in it.
    #[must_use]
    pub fn with(self, one: Kinship, is_first: bool) -> Kinship {
        if is_first {
            return one;
        }
        let Kinship { run, gtin } = self;
        Kinship { run: run.filter(|_| run == one.run), gtin: gtin.filter(|_| gtin == one.gtin) }
    }
}

/// Whether the thing may go into the open pack of a station (`None`: it would be the first of a new one), and of which
/// run and product it is. `tail` is that of the read, where the read had one.
pub fn judge(
    thing: &Thing,
    tail: Option<&[u8]>,
    terms: Terms,
    open: Option<&PackFacts>,
) -> Result<Kinship, NotIn> {
    let (parent, elsewhere, kin) = match (thing, terms.holds) {
        (Thing::Item { gtin, mark, pack }, Holds::Items) => {
            let run = passed(mark, tail)?;
            (*pack, None, Kinship { run: Some(run), gtin: Some(*gtin) })
        }
        (Thing::Pack { facts, mark }, Holds::Packs(level)) => {
            let facts = closed_pack(facts.as_ref(), mark.as_ref(), tail, level)?;
            let own = match facts.name {
                Some(PackName::Code(code)) => Some(code.gtin),
                Some(PackName::Sscc(_)) | None => facts.gtin,
            };
            // The runs of two agents are never the same, and those of one other are not told apart here.
            if facts.home.is_some() && terms.mixing == Mixing::SameRun {
                return Err(NotIn::OtherRun);
            }
            (facts.parent, facts.elsewhere, Kinship { run: facts.run, gtin: own })
        }
        (Thing::Pack { facts: None, mark: None }, Holds::Items) => return Err(NotIn::Unknown),
        (Thing::Item { .. }, Holds::Packs(_)) | (Thing::Pack { .. }, Holds::Items) => {
            return Err(NotIn::WrongLevel);
        }
    };
    match (parent, open) {
        (Some(parent), Some(open)) if parent == open.pack => return Err(NotIn::Again),
        (Some(parent), _) => return Err(NotIn::Packed(parent)),
        (None, _) => {}
    }
    if let Some(agent) = elsewhere {
        return Err(NotIn::Elsewhere(agent));
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

/// Whether a code that was read on an open pack, with this tail, may be its name: `thing` is what the code is now, `of` the
/// product that it is a group pack of.
pub fn judge_name(thing: &Thing, tail: &[u8], of: Gtin, open: &PackFacts) -> Result<(), NotIn> {
    let (mark, within) = match thing {
        Thing::Item { mark, pack, .. } => (mark, *pack),
        Thing::Pack { facts, .. } => {
            return Err(facts.as_ref().map_or(NotIn::Unknown, |f| NotIn::Packed(f.pack)));
        }
    };
    passed(mark, Some(tail))?;
    match within {
        Some(pack) => Err(NotIn::Packed(pack)),
        None if open.terms.level != Level::Group => Err(NotIn::WrongLevel),
        None if open.gtin != Some(of) => Err(NotIn::OtherProduct),
        // Its own product says how many are in it.
        None if open.content != open.terms.capacity => Err(NotIn::NotFull),
        None => Ok(()),
    }
}

/// A code counts at a station when its item passed: seen by the line's reader, and behind its gate.
fn passed(mark: &Mark, tail: Option<&[u8]>) -> Result<RunId, NotIn> {
    let Mark { known, held } = mark;
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
        State::Verified(Whereabouts::Passed) if *held => Err(NotIn::Unresolved),
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

fn closed_pack<'f>(
    facts: Option<&'f PackFacts>,
    mark: Option<&Mark>,
    tail: Option<&[u8]>,
    level: Level,
) -> Result<&'f PackFacts, NotIn> {
    let unknown = match mark {
        Some(mark) => passed(mark, tail).map(|_| NotIn::Unpacked)?,
        None => NotIn::Unknown,
    };
    let facts = facts.ok_or(unknown)?;
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
    use crate::code::{Identity, Serial};
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
        Thing::Item { gtin: water(), mark: Mark { known, held: false }, pack: None }
    }

    fn packed(facts: Option<PackFacts>) -> Thing {
        Thing::Pack { facts, mark: None }
    }

    fn pack(state: PackState) -> PackFacts {
        PackFacts {
            pack: PackNo(5),
            terms: TERMS,
            state,
            name: Sscc::parse(b"376104250021234569").ok().map(PackName::Sscc),
            content: 2,
            parent: None,
            run: Some(RunId(7)),
            gtin: Some(water()),
            labels: 1,
            short: false,
            told: Told::Nothing,
            follows: None,
            home: None,
            elsewhere: None,
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
            (packed(None), Err(NotIn::Unknown)),
            (packed(Some(pack(PackState::Closed))), Err(NotIn::WrongLevel)),
        ];
        for (thing, expected) in table {
            assert_eq!(said(&thing, TERMS, None), expected, "{thing:?}");
        }
        let mark = Mark { known: coded(S::Verified(W::Passed)), held: true };
        let held = Thing::Item { gtin: water(), mark, pack: None };
        assert_eq!(said(&held, TERMS, None), Err(NotIn::Unresolved));
        let forged = judge(&item(coded(S::Applied)), Some(b"abcX"), TERMS, None);
        assert_eq!(forged, Err(NotIn::Mismatch));
        assert!(judge(&item(coded(S::Applied)), None, TERMS, None).is_ok(), "an identity alone has no tail");
    }

    #[test]
    fn each_child_has_one_parent_and_a_pack_what_it_can_hold() {
        let passed = || coded(State::Verified(Whereabouts::Passed));
        let open = PackFacts { state: PackState::Open, name: None, ..pack(PackState::Open) };
        let within = |pack| {
            let mark = Mark { known: passed(), held: false };
            Thing::Item { gtin: water(), mark, pack: Some(PackNo(pack)) }
        };
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
        let of = |facts| packed(Some(facts));
        assert_eq!(said(&of(pack(PackState::Closed)), PALLET, None), Ok(()));
        assert_eq!(said(&of(pack(PackState::Open)), PALLET, None), Err(NotIn::NotClosed));
        assert_eq!(said(&of(pack(PackState::Voided)), PALLET, None), Err(NotIn::Voided));
        let group = PackFacts { terms: Terms { level: Level::Group, ..TERMS }, ..pack(PackState::Closed) };
        assert_eq!(said(&of(group), PALLET, None), Err(NotIn::WrongLevel));
        assert_eq!(said(&item(coded(State::Applied)), PALLET, None), Err(NotIn::WrongLevel));
        let elsewhere = PackFacts { parent: Some(PackNo(1)), ..pack(PackState::Closed) };
        assert_eq!(said(&of(elsewhere), PALLET, None), Err(NotIn::Packed(PackNo(1))));
    }

    fn six_pack() -> Identity {
        Identity { gtin: gtin("04780000000038"), serial: Serial::new(b"G1").unwrap() }
    }

    #[test]
    fn a_group_pack_goes_into_a_box_by_its_code_once_it_is_packed_and_its_code_has_passed() {
        let boxes = Terms { holds: Holds::Packs(Level::Group), ..TERMS };
        let group = PackFacts {
            terms: Terms { level: Level::Group, ..TERMS },
            name: Some(PackName::Code(six_pack())),
            ..pack(PackState::Closed)
        };
        let of = |facts: Option<PackFacts>, state| Thing::Pack {
            facts,
            mark: Some(Mark { known: coded(state), held: false }),
        };
        let passed = State::Verified(Whereabouts::Passed);
        let good = of(Some(group.clone()), passed);
        let kin = judge(&good, Some(b"abcd"), boxes, None).unwrap();
        assert_eq!((kin.run, kin.gtin), (Some(RunId(7)), Some(six_pack().gtin)), "its own product");
        let spoiled = SpoilReason::Declared;
        for (thing, expected) in [
            (of(None, passed), NotIn::Unpacked),
            (of(None, State::Issued), NotIn::NotSeen),
            (of(Some(group.clone()), State::Spoiled(spoiled)), NotIn::Dead(Death::Spoiled(spoiled))),
            (of(Some(PackFacts { state: PackState::Open, ..group }), passed), NotIn::NotClosed),
        ] {
            assert_eq!(said(&thing, boxes, None), Err(expected), "{thing:?}");
        }
        assert_eq!(judge(&good, Some(b"abcX"), boxes, None), Err(NotIn::Mismatch));
        assert_eq!(said(&good, TERMS, None), Err(NotIn::WrongLevel), "it is no item");
        assert_eq!(said(&of(None, passed), TERMS, None), Err(NotIn::WrongLevel));
    }

    #[test]
    fn a_code_names_a_group_pack_of_its_product_when_it_has_passed_and_is_in_none() {
        let group = Terms { level: Level::Group, capacity: 2, ..TERMS };
        let open = PackFacts { name: None, terms: group, ..pack(PackState::Open) };
        let passed = || item(coded(State::Verified(Whereabouts::Passed)));
        assert_eq!(judge_name(&passed(), b"abcd", water(), &open), Ok(()));
        let fewer = PackFacts { content: 1, short: true, ..open.clone() };
        assert_eq!(judge_name(&passed(), b"abcd", water(), &fewer), Err(NotIn::NotFull), "its code says two");
        let boxed = PackFacts { terms: Terms { level: Level::Box, ..group }, ..open.clone() };
        assert_eq!(judge_name(&passed(), b"abcd", water(), &boxed), Err(NotIn::WrongLevel));
        assert_eq!(judge_name(&passed(), b"abcX", water(), &open), Err(NotIn::Mismatch));
        let other = gtin("04780000000021");
        assert_eq!(judge_name(&passed(), b"abcd", other, &open), Err(NotIn::OtherProduct));
        let mixed = PackFacts { gtin: None, ..open.clone() };
        assert_eq!(judge_name(&passed(), b"abcd", water(), &mixed), Err(NotIn::OtherProduct));
        let unseen = item(coded(State::Issued));
        assert_eq!(judge_name(&unseen, b"abcd", water(), &open), Err(NotIn::NotSeen));
        let mark = Mark { known: coded(State::Applied), held: false };
        let within = Thing::Item { gtin: water(), mark, pack: Some(PackNo(9)) };
        assert_eq!(judge_name(&within, b"abcd", water(), &open), Err(NotIn::Packed(PackNo(9))));
    }
}
