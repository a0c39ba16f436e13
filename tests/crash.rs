//! The real binary, killed with SIGKILL at random moments, between simulators that keep the truth; then three ledgers
//! compared: what the plant made, what the state system holds, what the agent wrote down.
//!
//! A handful of kills runs with `cargo test`. A long campaign is the same test with larger numbers:
//!
//! ```sh
//! TAMGA_CRASH_KILLS=300 TAMGA_CRASH_SEED=7 cargo test --test crash killed_at_random -- --nocapture
//! ```
//!
//! `TAMGA_CRASH_LINE=print` takes a line that prints in place, and `TAMGA_CRASH_FAULTS=1` a state system that loses
//! answers too. The seed decides which moments are struck and in which order; what the machine does at that microsecond
//! it cannot decide. A failure prints the command that plays the same moments again, and keeps its folder with the
//! database and the agent's log.

#![allow(clippy::unwrap_used)] // helpers of tests stand outside of #[test]

#[path = "crash/agent.rs"]
mod agent;
#[path = "crash/books.rs"]
mod books;
#[path = "crash/floor.rs"]
mod floor;
#[path = "crash/ledgers.rs"]
mod ledgers;
#[path = "crash/log.rs"]
mod log;
#[path = "crash/moments.rs"]
mod moments;
#[path = "crash/planted.rs"]
mod planted;
#[path = "crash/starts.rs"]
mod starts;
#[path = "world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::time::Duration;

use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};

use agent::Agent;
use floor::Floor;
use world::operator::Operator;
use world::{Wanted, World, until};

/// One kill of each kind of moment.
const KILLS: u64 = moments::KINDS as u64;

/// Good items in one run: some four seconds of the belt. Runs follow one another until all kills are done.
const QUANTITY: u32 = 40;

/// Reports are drafted every five seconds and an unknown one is looked for during twelve; a loaded machine is slower.
const SETTLE_MAX: Duration = Duration::from_secs(180);

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
        Err(_) => otherwise,
    }
}

/// Says how to play a failure again, and where it can be looked at.
struct Replay {
    command: String,
    dir: PathBuf,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept in {}; again with:\n  {}", self.dir.display(), self.command);
        } else {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_the_agent_prints_passes_and_applies_each_code_once() {
    let (kills, seed) = (number("TAMGA_CRASH_KILLS", KILLS), number("TAMGA_CRASH_SEED", 1));
    let line = std::env::var("TAMGA_CRASH_LINE").unwrap_or_else(|_| "print-and-apply".to_owned());
    let faults = number("TAMGA_CRASH_FAULTS", 0);
    let kind = if line == "print" { Kind::Print } else { Kind::PrintAndApply };
    let dir = world::scratch(&format!("crash-{seed}"));
    let replay = Replay {
        command: format!(
            "TAMGA_CRASH_KILLS={kills} TAMGA_CRASH_SEED={seed} TAMGA_CRASH_LINE={line} TAMGA_CRASH_FAULTS={faults} \
             cargo test --test crash killed_at_random -- --nocapture"
        ),
        dir: dir.clone(),
    };
    // Small orders and pulls, so that codes are ordered, pulled and unpacked all the time.
    let wanted = Wanted { kind, seed, order: 60, low_water: floor::POOL_MIN, pull: 25, ..Wanted::default() };
    let world = World::build(&wanted, &dir).await;
    if faults > 0 {
        world.upstream.faults(lost_answers());
    }
    let operator = Operator::new(world.api, &world.dir.join("data"));
    let floor = Floor::new(&world, &operator, QUANTITY);
    let mut agent = Agent::start(&world);
    let plan = moments::plan(seed, kills);
    let deeds = tokio::join!(floor.work(), floor.strike(&plan, &mut agent)).0;
    settled(&operator, &agent, &deeds.runs).await;
    assert_eq!(agent.terminate().await, Some(0), "SIGTERM ends it well\n{}", agent.log_tail());
    let (plant, state) = (world.plant.truth(), world.upstream.truth());
    let books = books::read(&dir.join("data"), ledgers::printed(&plant));
    let differences = ledgers::compare(&plant, &state, &books);
    let counts = ledgers::counts(&plant, &state, &books);
    eprintln!("{} kills, {} runs, {deeds:?}\n{counts}", plan.len(), deeds.runs.len());
    assert!(differences.is_empty(), "the ledgers differ:\n  {}", differences.join("\n  "));
    world.plant.shutdown().await;
    drop(replay);
}

/// Waits until every passed item of every run is applied, no report is open, and nothing is under way upstream.
async fn settled(operator: &Operator, agent: &Agent, runs: &[u64]) {
    until("the reports to be settled", SETTLE_MAX, async || {
        agent.must_live();
        for run in runs {
            let sheet = operator.sheet(*run).await.ok()?;
            if sheet["codes"]["applied"] != sheet["items"]["codes_passed"] {
                return None;
            }
        }
        let full = operator.upstream().await?;
        let (upstream, pool) = (&full["upstream"], &full["pool"][0]);
        let quiet = upstream["open_reports"] == 0 && upstream["unknown"] == 0;
        // Over its low-water mark nothing is ordered and nothing pulled: the rest of an order waits upstream.
        (quiet && pool["codes"].as_u64()? >= u64::from(floor::POOL_MIN)).then_some(())
    })
    .await;
}

/// Answers lost before and after they took effect.
fn lost_answers() -> FaultPlan {
    let rules =
        [Fault::DropBefore, Fault::DropAfter, Fault::ErrorBefore, Fault::ErrorAfter, Fault::Truncated];
    FaultPlan { rules: rules.map(|fault| Rule::new(fault, 0.03)).into(), ..FaultPlan::default() }
}
