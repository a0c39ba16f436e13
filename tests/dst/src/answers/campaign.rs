//! Many days of lost answers, and the sums of what they saw.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::judge::Reports;
use super::{Plan, play};
use crate::campaign::{Failure, each_seed};
use crate::planted::Planted;

/// What became of the requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    pub sent: u64,
    /// No answer that says anything, though the request left: the connection broke, half a body, a gateway's page or
    /// error, or the agent was killed meanwhile.
    pub lost: u64,
    /// An answer after ten seconds, or after it was given up, or a request or an effect that came minutes later.
    pub late: u64,
    /// The request came twice, or an older answer came again.
    pub doubled: u64,
    /// 401 or 429.
    pub turned_away: u64,
}

impl Fates {
    pub fn bad(&self) -> u64 {
        self.lost + self.late + self.doubled
    }

    pub fn add(&mut self, other: &Fates) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.late += other.late;
        self.doubled += other.doubled;
        self.turned_away += other.turned_away;
    }
}

/// What a seed, or many, saw.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub requests: BTreeMap<&'static str, Fates>,
    pub faults: BTreeMap<String, u64>,
    pub reports: Reports,
    pub kills: u64,
    pub simulated_ms: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        for (name, fates) in &other.requests {
            self.requests.entry(name).or_default().add(fates);
        }
        for (name, count) in &other.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
        self.reports.add(&other.reports);
        self.kills += other.kills;
        self.simulated_ms += other.simulated_ms;
    }

    /// Requests whose answer was lost, late or doubled.
    pub fn bad(&self) -> u64 {
        self.requests.values().map(Fates::bad).sum()
    }
}

/// What a campaign of lost answers is made of.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub seeds: Range<u64>,
    pub threads: usize,
    /// It ends after so many requests whose answer was lost, late or doubled.
    pub bad: u64,
    pub at_most: Option<Duration>,
    pub planted: Option<Planted>,
    /// Seeds with violations after which it ends.
    pub failures_max: usize,
}

/// The sums of a campaign.
#[derive(Debug, Default)]
pub struct Sums {
    pub seeds: u64,
    pub counts: Counts,
    pub failures: Vec<Failure>,
    pub took: Duration,
}

impl Campaign {
    /// Plays the seeds; `told` hears the sums after each that is over.
    pub fn run(&self, told: impl Fn(&Sums) + Sync) -> Sums {
        let begun = Instant::now();
        let mut sums = Sums::default();
        let play = |seed, dir: &Path| play(&Plan::of(seed, self.planted), dir, false);
        each_seed(self.seeds.clone(), self.threads, self.at_most, play, |seed, ended| {
            sums.seeds += 1;
            sums.counts.add(&ended.counts);
            if !ended.violations.is_empty() {
                sums.failures.push(Failure { seed, violations: ended.violations });
            }
            sums.took = begun.elapsed();
            told(&sums);
            sums.failures.len() < self.failures_max && sums.counts.bad() < self.bad
        });
        sums.failures.sort_by_key(|f| f.seed);
        sums
    }
}
