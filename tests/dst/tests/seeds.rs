//! Some seeds always: a seed is a seed, no rule is broken, and a broken one is found.

use tamga_dst::campaign::{Campaign, folder};
use tamga_dst::plan::{Plan, Switches};
use tamga_dst::planted::Planted;
use tamga_dst::world;

fn campaign(seeds: u64, items: u64, planted: Option<Planted>) -> Campaign {
    let switches = Switches { planted, ..Switches::default() };
    Campaign { seeds: 0..seeds, items, threads: 2, switches, at_most: None, failures_max: 1 }
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let dir = folder();
    let mut prints = Vec::new();
    for seed in [3, 3, 4] {
        let ended = world::play(&Plan::of(seed, 40, &Switches::default()), &dir, true);
        prints.push((ended.fingerprint, ended.lines));
    }
    drop(std::fs::remove_dir_all(dir));
    assert_eq!(prints[0], prints[1]);
    assert_ne!(prints[0].0, prints[2].0);
}

#[test]
fn nothing_is_printed_twice_and_nothing_is_lost() {
    let sums = campaign(12, 60, None).run(|_, _| ());
    assert!(sums.failures.is_empty(), "{:?}", sums.failures);
    assert!(sums.counts.passed > 100 && sums.counts.power_cuts > 10, "{sums:?}");
}

/// Short days show an act before its commit only where a power cut falls into the few milliseconds between: one in some
/// fifty does.
const PLANTED_SEEDS_MAX: u64 = 150;

/// The planted faults that few seeds find; `prove --planted all` takes them all.
#[test]
fn a_broken_rule_is_found() {
    for planted in [
        Planted::SynchronousNormal,
        Planted::ActBeforeCommit,
        Planted::DoubtfulToPool,
        Planted::PassWithoutVerified,
    ] {
        let sums = campaign(PLANTED_SEEDS_MAX, 60, Some(planted)).run(|_, _| ());
        assert!(!sums.failures.is_empty(), "{} was not found in {} seeds", planted.name(), sums.seeds);
    }
}
