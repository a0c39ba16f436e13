//! One world from the first start of its agent to the comparison of its ledgers, with somebody who strikes meanwhile.

use std::path::Path;
use std::time::Duration;

use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tokio::time::Instant;

use super::agent::Agent;
use super::floor::{self, Floor, settled};
use super::moments::{After, Moment};
use super::table::Table;
use super::tally::Tally;
use super::world::operator::Operator;
use super::world::{Wanted, World, until};
use super::{books, ledgers};

/// Good items in one run: some four seconds of the belt. Runs follow one another until all is struck.
const QUANTITY: u32 = 40;

/// A first start on a loaded machine.
const READY_MAX: Duration = Duration::from_secs(60);

/// Small orders and pulls, so that codes are ordered, pulled and unpacked all the time.
pub fn wanted(seed: u64) -> Wanted {
    Wanted { seed, order: 60, low_water: floor::POOL_MIN, pull: 25, ..Wanted::default() }
}

/// Starts everything in `dir`, lets the operator work until `strike` has ended, waits until all reports are settled,
/// ends the agent and compares the three ledgers. Each difference is a violation.
pub async fn play(
    wanted: &Wanted,
    lost_answers: bool,
    dir: &Path,
    tally: &Tally,
    strike: impl AsyncFnOnce(&Floor<'_>, &mut Agent),
) {
    let table = Table::build().await;
    let wanted = &Wanted { more: table.config(), ..wanted.clone() };
    let world = World::build(wanted, dir).await;
    if lost_answers {
        world.upstream.faults(answers_lost());
    }
    let operator = Operator::new(world.api, &dir.join("data"));
    let floor = Floor::new(&world, &operator, QUANTITY).with(&table);
    let mut agent = Agent::start(&world);
    let struck = async {
        strike(&floor, &mut agent).await;
        floor.struck_all();
    };
    let made = async {
        let work = floor.work().await;
        table.no_more();
        work
    };
    let work = tokio::join!(made, table.work(&world, &operator), struck).0;
    settled(&operator, &agent, &work.runs).await;
    table.told_upstream(&world, &operator, &agent).await;
    let ended = agent.terminate().await;
    if ended != Some(0) {
        tally.violation(format!("SIGTERM ends it with {ended:?}\n{}", agent.log_tail()));
    }
    let (plant, state) = (world.plant.truth(), world.upstream.truth());
    let books = books::read(&dir.join("data"), ledgers::printed(&plant));
    let seed = wanted.seed;
    for difference in ledgers::compare(&plant, &state, &books) {
        tally.violation(format!("seed {seed}: {difference}"));
    }
    for difference in [table.compare(&dir.join("data")), table.compare_upstream(&state)].concat() {
        tally.violation(format!("seed {seed}: {difference}"));
    }
    tally.compared("boxes", table.closed());
    tally.compared("labels", plant.labels.len() as u64);
    tally.compared("items passed", plant.passed.len() as u64);
    tally.compared("reports in effect", books.in_effect.len() as u64);
    tally.compared("runs", work.runs.len() as u64);
    eprintln!("seed {seed}: {}; {:?}", ledgers::counts(&plant, &state, &books), work.deeds.resumed);
    eprintln!("seed {seed}: {}", table.counts());
    world.plant.shutdown().await;
    table.shutdown().await;
}

/// How long the agent took from its start until its API answers.
pub async fn ready_in(operator: &Operator, agent: &Agent) -> Duration {
    until("the agent's API", READY_MAX, async || {
        agent.must_live();
        operator.status().await
    })
    .await;
    agent.started().elapsed()
}

/// Waits for a moment, up to its very time. False when what it comes after did not happen.
pub async fn reach(moment: &Moment, ready_in: Duration, floor: &Floor<'_>, agent: &mut Agent) -> bool {
    let came = floor.comes(moment.after, agent).await;
    let from = if moment.after == After::Start { agent.started().into() } else { Instant::now() };
    if moment.after == After::AskedToEnd {
        agent.ask_to_end();
    }
    // This is no waiting for something: the random time itself is the choice of the moment.
    tokio::time::sleep_until(from + moment.then(ready_in)).await;
    came
}

/// Answers lost before and after they took effect.
fn answers_lost() -> FaultPlan {
    let rules =
        [Fault::DropBefore, Fault::DropAfter, Fault::ErrorBefore, Fault::ErrorAfter, Fault::Truncated];
    FaultPlan { rules: rules.map(|fault| Rule::new(fault, 0.03)).into(), ..FaultPlan::default() }
}
