//! What struck how often, and what was found wrong: the end of a campaign on one screen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::world::KEPT;

/// Shared by all rounds of a campaign; a round that panics leaves what it counted.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    struck: BTreeMap<String, u64>,
    compared: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was done to the agent.
    pub fn struck(&self, what: &str) {
        *self.lock().struck.entry(what.to_owned()).or_default() += 1;
    }

    /// So much was looked at.
    pub fn compared(&self, what: &str, n: u64) {
        *self.lock().compared.entry(what.to_owned()).or_default() += n;
    }

    /// A rule is broken. Told at once, since a campaign is long.
    pub fn violation(&self, what: String) {
        eprintln!("VIOLATION: {what}");
        self.lock().violations.push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// The table of a campaign.
    pub fn table(&self, elapsed: Duration) -> String {
        let counts = self.lock();
        let mut text = String::from("struck\n");
        for (what, n) in &counts.struck {
            text += &format!("  {n:>9}  {what}\n");
        }
        text += "compared\n";
        for (what, n) in &counts.compared {
            text += &format!("  {n:>9}  {what}\n");
        }
        let strikes: u64 = counts.struck.values().sum();
        let seconds = elapsed.as_secs_f64();
        text +=
            &format!("{strikes} in {seconds:.0} s, {:.2} a second\n", strikes as f64 / seconds.max(0.001));
        text += &format!("violations: {}\n", counts.violations.len());
        for violation in &counts.violations {
            text += &format!("  {violation}\n");
        }
        text
    }
}

/// A folder that is looked at after a failure, and the command that does the same again.
pub struct Kept {
    pub dir: PathBuf,
    pub command: String,
    pub tally: Tally,
    before: usize,
}

impl Kept {
    pub fn new(dir: PathBuf, command: String, tally: &Tally) -> Kept {
        Kept { dir, command, tally: tally.clone(), before: tally.violations().len() }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Rounds side by side share a tally: a violation of another keeps this folder too, which hurts nobody.
        if std::thread::panicking() || self.tally.violations().len() > self.before {
            drop(std::fs::write(self.dir.join(KEPT), &self.command));
            eprintln!("kept in {}; again with:\n  {}", self.dir.display(), self.command);
        } else {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}
