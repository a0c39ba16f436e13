//! The real binary, struck in every way that a plant knows, between simulators that keep the truth; then three ledgers
//! compared: what the plant made, what the state system holds, what the agent wrote down.
//!
//! These are short slices. The long campaigns are the same code, as commands of their own:
//!
//! ```sh
//! cargo build --release --bin tamga
//! cargo run --release --example campaign -- kills --kills 1000 --seed 7
//! ```
//!
//! The seed decides which moments are struck and in which order; what the machine does at that microsecond it cannot
//! decide. A failure prints the command that plays the same moments again, and keeps its folder with the database and
//! the agent's log.

#![allow(clippy::unwrap_used)] // helpers of tests stand outside of #[test]

#[path = "crash/agent.rs"]
mod agent;
#[path = "crash/books.rs"]
mod books;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/floor.rs"]
mod floor;
#[path = "crash/io.rs"]
mod io;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/ledgers.rs"]
mod ledgers;
#[path = "crash/log.rs"]
mod log;
#[path = "crash/look.rs"]
mod look;
#[path = "crash/moments.rs"]
mod moments;
#[path = "crash/planted.rs"]
mod planted;
#[path = "crash/power.rs"]
mod power;
#[path = "crash/rounds.rs"]
mod rounds;
#[path = "crash/scene.rs"]
mod scene;
#[path = "crash/shim.rs"]
mod shim;
#[path = "crash/starts.rs"]
mod starts;
#[path = "crash/table.rs"]
mod table;
#[path = "crash/tally.rs"]
mod tally;
#[path = "crash/upgrade.rs"]
mod upgrade;
#[path = "crash/wal.rs"]
mod wal;
#[path = "crash/wal_file.rs"]
mod wal_file;
#[path = "world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::time::Instant;

use tally::Tally;

/// The agent under test.
fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tamga"))
}

/// Plays a slice of a campaign; any violation fails the test.
fn slice<R: Send + std::fmt::Debug, F: Future<Output = ()>>(
    rounds: Vec<R>,
    tally: &Tally,
    play: impl Fn(R) -> F + Sync,
) {
    let began = Instant::now();
    rounds::side_by_side(rounds, 1, tally, play);
    let table = tally.table(began.elapsed());
    eprintln!("{table}");
    assert!(tally.violations().is_empty(), "{table}");
}

/// One kill of each kind of moment.
#[test]
fn killed_at_random_moments_the_agent_prints_passes_and_applies_each_code_once() {
    let tally = Tally::default();
    let rounds = kills::rounds(moments::TURN as u64, 1, Some(kills::Scene::PrintAndApply));
    slice(rounds, &tally, async |round| kills::play(round, &tally).await);
}

#[test]
fn killed_while_it_starts_and_migrates_the_next_start_goes_on() {
    let tally = Tally::default();
    slice(kills::rounds(40, 1, Some(kills::Scene::Starts)), &tally, async |round| {
        kills::play(round, &tally).await;
    });
}

#[test]
fn a_wal_cut_at_any_byte_loses_whole_commits_from_its_end_and_nothing_acknowledged_before() {
    let tally = Tally::default();
    slice(wal::rounds(40, 1), &tally, async |round| wal::play(round, &tally).await);
}

/// One fault of each kind.
#[test]
fn writes_and_syncs_that_fail_end_the_agent_in_words_and_lose_nothing() {
    if let Some(why) = io::impossible() {
        eprintln!("skipped: {why}");
        return;
    }
    let tally = Tally::default();
    slice(io::rounds(9, 1, false, false), &tally, async |round| io::play(round, &tally).await);
}

#[test]
fn a_write_that_lies_is_noticed() {
    if let Some(why) = io::impossible() {
        eprintln!("skipped: {why}");
        return;
    }
    let tally = Tally::default();
    slice(vec![()], &tally, async |()| io::planted(&tally).await);
}

/// Why what needs a disk of our own is skipped; said on a thread that ends with its mounts.
fn no_disk(name: &str) -> bool {
    let dir = world::scratch(name);
    let why = std::thread::scope(|scope| scope.spawn(|| disk::impossible(&dir)).join().unwrap());
    drop(std::fs::remove_dir_all(&dir));
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_some()
}

#[test]
fn a_full_disk_ends_the_agent_in_words_and_loses_nothing() {
    if no_disk("no-disk-full") {
        return;
    }
    let tally = Tally::default();
    slice(io::rounds(2, 1, true, true), &tally, async |round| io::play(round, &tally).await);
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    if no_disk("no-disk-power") {
        return;
    }
    let tally = Tally::default();
    slice(power::rounds(6, 1), &tally, async |round| power::play(round, &tally).await);
}

#[test]
fn a_power_cut_after_an_fsync_that_does_nothing_is_noticed() {
    if no_disk("no-disk-planted") {
        return;
    }
    let tally = Tally::default();
    slice(vec![()], &tally, async |()| power::planted(&tally).await);
}
