//! The two tables of rework, cell by cell. What a plan does to the books is shown over the store (`tests/store/reworks.rs`).

use super::*;
use crate::lifecycle::SpoilReason;
use crate::pack::{Holds, Level, Mixing, Terms};

fn pack(state: PackState, told: Told, follows: Option<PackNo>) -> PackFacts {
    let terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::Free };
    PackFacts {
        pack: PackNo(5),
        terms,
        state,
        name: None,
        content: 2,
        parent: None,
        run: None,
        gtin: None,
        labels: 1,
        short: false,
        told,
        follows,
        home: None,
        elsewhere: None,
    }
}

/// One line for each state, one letter for each of what upstream was told: keeps its name, becomes a new pack, waits, is
/// changed at its station, is void.
#[test]
fn a_pack_keeps_its_name_only_while_upstream_knows_nothing_of_it() {
    let states = [
        (PackState::Open, None),
        (PackState::Open, Some(PackNo(4))),
        (PackState::Closed, None),
        (PackState::Closed, Some(PackNo(4))),
        (PackState::Voided, None),
    ];
    let mut seen = String::new();
    for (state, follows) in states {
        for told in Told::ALL {
            seen.push(match Way::of(&pack(state, told, follows)) {
                Ok(Way::Under) => 'u',
                Ok(Way::Anew) => 'n',
                Err(NotDone::Wait(_)) => 'w',
                Err(NotDone::AtStation(_)) => 's',
                Err(NotDone::Voided(_)) => '-',
                _ => '!',
            });
        }
        seen.push('\n');
    }
    assert_eq!(seen, "swswss\nuwnwnn\nuwnwnn\nuwnwnn\n------\n");
}

#[test]
fn what_is_another_agents_or_lies_with_one_is_not_changed_here() {
    let (closed, there) = (pack(PackState::Closed, Told::Nothing, None), AgentId(7));
    let foreign = PackFacts { home: Some(there), ..closed.clone() };
    assert_eq!(Way::of(&foreign), Err(NotDone::NotOurs(PackNo(5), there)));
    let taken = PackFacts { elsewhere: Some(there), ..closed };
    assert_eq!(Way::of(&taken), Err(NotDone::Elsewhere(PackNo(5), there)));
}

#[test]
fn a_code_ends_as_upstream_lets_it() {
    use State as S;
    use Whereabouts as W;
    let free = Standing { state: S::Issued, carried: false, held: false, ended: false, run_is_closed: false };
    let passed = Standing { state: S::Verified(W::Passed), ..free };
    let table = [
        (passed, Ok(Some(Loss::Spoil))),
        (Standing { carried: true, ..passed }, Err(NoLoss::Wait)),
        (Standing { run_is_closed: true, ..passed }, Err(NoLoss::Wait)),
        (Standing { held: true, run_is_closed: true, ..passed }, Ok(Some(Loss::Spoil))),
        (Standing { state: S::Applied, run_is_closed: true, ..free }, Ok(Some(Loss::WriteOff))),
        (Standing { state: S::Applied, ended: true, ..free }, Ok(None)),
        (Standing { state: S::WrittenOff, ..free }, Ok(None)),
        (Standing { state: S::Spoiled(SpoilReason::Unseen), ..free }, Ok(None)),
        (free, Err(NoLoss::AtLine)),
        (Standing { state: S::Verified(W::Unknown), ..free }, Err(NoLoss::AtLine)),
        (Standing { state: S::Verified(W::Rejected), ..free }, Err(NoLoss::AtLine)),
        (Standing { state: S::Pooled, ..free }, Err(NoLoss::NoItem)),
        (Standing { state: S::Stock, ..free }, Err(NoLoss::NoItem)),
        (Standing { state: S::SetAside, ..free }, Err(NoLoss::NoItem)),
        (Standing { state: S::Returned, ..free }, Err(NoLoss::NoItem)),
    ];
    for (standing, expected) in table {
        assert_eq!(standing.loss(), expected, "{standing:?}");
    }
}

#[test]
fn a_plan_is_named_by_all_that_it_rests_on() {
    let edit = |content| Edit {
        pack: PackFacts { content, ..pack(PackState::Closed, Told::Nothing, None) },
        way: Way::Under,
        empties: false,
        outs: vec![],
        ins: vec![],
        content: 1,
        kin: Kinship::default(),
    };
    let plan = |content| Plan { edits: vec![edit(content)], losses: vec![], reaches: false };
    assert_eq!(plan(2).id(), plan(2).id());
    assert_ne!(plan(2).id(), plan(3).id());
    assert_eq!(PlanId::parse(&plan(2).id().to_string()), Some(plan(2).id()));
    for bad in ["", "0123", "+123456789abcdef", "0123456789abcdeg", "0123456789abcdef0"] {
        assert_eq!(PlanId::parse(bad), None, "{bad}");
    }
}
