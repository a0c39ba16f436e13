//! Many seeds, one after another on each thread, and the sums of what they saw.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::oracle::Violation;
use crate::plan::{Plan, Switches};
use crate::world::{self, Counts, Ended};

/// What a campaign is made of.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub seeds: Range<u64>,
    /// Items of each seed.
    pub items: u64,
    pub threads: usize,
    pub switches: Switches,
    /// No new seed is begun after this.
    pub at_most: Option<Duration>,
    /// Seeds with violations after which it ends.
    pub failures_max: usize,
}

/// A seed that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub violations: Vec<Violation>,
}

/// The sums.
#[derive(Debug, Default)]
pub struct Sums {
    pub seeds: u64,
    pub counts: Counts,
    pub failures: Vec<Failure>,
    pub took: Duration,
}

impl Sums {
    /// True when the seed broke a rule.
    fn add(&mut self, seed: u64, ended: Ended) -> bool {
        self.seeds += 1;
        self.counts.add(&ended.counts);
        let failed = !ended.violations.is_empty();
        if failed {
            self.failures.push(Failure { seed, violations: ended.violations });
        }
        failed
    }
}

/// A new folder, for the lock of one thread's data folder.
pub fn folder() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let no = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("tamga-dst-{}-{no}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary folder takes folders");
    dir
}

/// Plays seeds on threads, each with a folder of its own. `take` gets what each was, one at a time, and says whether to
/// go on; no new seed is begun after `at_most`.
pub fn each_seed<E: Send>(
    seeds: Range<u64>,
    threads: usize,
    at_most: Option<Duration>,
    play: impl Fn(u64, &Path) -> E + Sync,
    take: impl FnMut(u64, E) -> bool + Send,
) {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let take = Mutex::new(take);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, take, enough, play) = (&next, &take, &enough, &play);
            scope.spawn(move || {
                let dir = folder();
                while !enough.load(Ordering::Relaxed) && at_most.is_none_or(|m| begun.elapsed() < m) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let ended = play(seed, &dir);
                    let mut take = take.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if !take(seed, ended) {
                        enough.store(true, Ordering::Relaxed);
                    }
                }
                drop(std::fs::remove_dir_all(&dir));
            });
        }
    });
}

impl Campaign {
    /// Plays the seeds; `told` hears the sums after each that is over, and of it whether it broke a rule.
    pub fn run(&self, told: impl Fn(&Sums, Option<&Failure>) + Sync) -> Sums {
        let begun = Instant::now();
        let mut sums = Sums::default();
        let play = |seed, dir: &Path| world::play(&Plan::of(seed, self.items, &self.switches), dir, false);
        each_seed(self.seeds.clone(), self.threads, self.at_most, play, |seed, ended| {
            let failed = sums.add(seed, ended);
            sums.took = begun.elapsed();
            told(&sums, sums.failures.last().filter(|_| failed));
            sums.failures.len() < self.failures_max
        });
        sums.failures.sort_by_key(|f| f.seed);
        sums
    }
}
