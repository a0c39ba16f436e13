//! Some days of packing always: what lies in each box is what its data say, or nothing could have seen it; and a broken
//! rule of packs is found.

use tamga_dst::campaign::folder;
use tamga_dst::packs::PackCounts;
use tamga_dst::plan::{Plan, Switches};
use tamga_dst::planted::Planted;
use tamga_dst::world::{self, Ended};

/// The first so many days on which something is packed.
fn days(count: usize, items: u64, planted: Option<Planted>) -> impl Iterator<Item = (u64, Ended)> {
    let switches = Switches { planted, ..Switches::default() };
    let plans = (0..).map(move |seed| Plan::of(seed, items, &switches)).filter(|plan| plan.packing.is_some());
    let dir = folder();
    plans.take(count).map(move |plan| (plan.seed, world::play(&plan, &dir, false)))
}

#[test]
fn each_box_holds_what_its_data_say_or_nothing_could_have_seen_it() {
    let mut sums = PackCounts::default();
    for (seed, ended) in days(10, 60, None) {
        assert!(ended.violations.is_empty(), "seed {seed}: {:?}", ended.violations);
        sums.add(&ended.counts.packs);
    }
    assert!(sums.boxes > 30 && sums.pallets > 5 && sums.packed > 100, "{sums:?}");
}

#[test]
fn a_broken_rule_of_packs_is_found() {
    let table = [
        (Planted::CloseWithoutLabelRead, "closed-and-its-label-not-read"),
        (Planted::PrintBeforeNamed, "label-before-its-name-is-durable"),
        (Planted::TakenBeforeDurable, "told-before-it-is-durable"),
        (Planted::RefusedIsTaken, "in-the-box-and-not-in-the-data"),
    ];
    for (planted, rule) in table {
        let found =
            days(40, 60, Some(planted)).find_map(|(_, ended)| ended.violations.first().map(|v| v.rule));
        assert_eq!(found, Some(rule), "{}", planted.name());
    }
}
