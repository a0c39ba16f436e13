//! Many trials of the labels' order, on several threads, and a row for each kind of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::campaign::each_seed;
use crate::slips::{Broken, What, plan};
use crate::world;

/// What a campaign of trials is made of.
#[derive(Clone, Debug)]
pub struct Trials {
    pub of: Vec<What>,
    /// Seeds of each kind.
    pub seeds: std::ops::Range<u64>,
    /// Items of each seed, for each printer.
    pub items: u64,
    /// Printers of the line.
    pub printers: usize,
    pub threads: usize,
    pub broken: Option<Broken>,
    pub failures_max: usize,
}

/// One kind of trial, over all its seeds.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub seeds: u64,
    pub tried: u64,
    /// For each slip that was found: read items until then.
    pub items: Vec<usize>,
    /// Items that had come to the reader by then.
    pub came: Vec<usize>,
    pub false_stops: u64,
    pub too_small: u64,
    pub too_large: u64,
}

impl Row {
    pub fn median(&self) -> Option<usize> {
        let mut items = self.items.clone();
        items.sort_unstable();
        items.get(items.len() / 2).copied()
    }
}

/// A trial that failed.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub what: What,
    pub seed: u64,
    pub why: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: BTreeMap<What, Row>,
    pub wrong: Vec<Wrong>,
    pub took: Duration,
}

impl Outcome {
    fn add(&mut self, what: What, seed: u64, ended: &world::Ended) {
        let observed = ended.observed.clone().unwrap_or_default();
        let row = self.rows.entry(what).or_default();
        row.seeds += 1;
        row.tried += u64::from(observed.tried);
        row.items.extend(observed.items);
        row.came.extend(observed.came);
        row.false_stops += u64::from(!observed.false_stops.is_empty());
        row.too_small += u64::from(!observed.too_small.is_empty());
        row.too_large += u64::from(!observed.too_large.is_empty());
        let mut why = observed.faults(what);
        why.extend(ended.violations.iter().map(|v| format!("{}: {}", v.rule, v.what)));
        if !why.is_empty() {
            self.wrong.push(Wrong { what, seed, why });
        }
    }
}

impl Trials {
    /// Plays all trials; `told` hears after each how many are over.
    pub fn run(&self, told: impl Fn(u64) + Sync) -> Outcome {
        let begun = Instant::now();
        let each = self.seeds.end.saturating_sub(self.seeds.start);
        let all = each * self.of.len() as u64;
        let mut outcome = Outcome::default();
        let trial =
            |no: u64| (self.of[usize::try_from(no / each).unwrap_or(0)], self.seeds.start + no % each);
        let play = |no, dir: &Path| {
            let (what, seed) = trial(no);
            world::play(&plan(what, seed, self.items, self.printers, self.broken), dir, false)
        };
        each_seed(0..all, self.threads, None, play, |no, ended| {
            let (what, seed) = trial(no);
            outcome.add(what, seed, &ended);
            told(no + 1);
            outcome.wrong.len() < self.failures_max
        });
        outcome.wrong.sort_by_key(|w| (w.what, w.seed));
        outcome.took = begun.elapsed();
        outcome
    }
}
