//! SIGKILL at planned and random moments of a whole life: starts, runs, orders, reports, closes, the end asked for,
//! and starts over older schemas. After each kill a look into the books, at the end the three ledgers.

use std::path::Path;

use clap::ValueEnum;
use tamga_simulators::model::plant::Kind;

use super::agent::Agent;
use super::floor::Floor;
use super::look;
use super::moments::{self, After, Moment};
use super::rounds::parts;
use super::tally::{Kept, Tally};
use super::world::{self, Wanted};
use super::{scene, upgrade};

/// Kills in one round: its ledgers are compared every few minutes, and a failure is played again in as much time.
const ROUND: u64 = 52;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scene {
    PrintAndApply,
    PrintLostAnswers,
    /// Starts over no folder and over folders of older schemas.
    Starts,
    Print,
    PrintAndApplyLostAnswers,
}

/// So many kills, the same for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub scene: Scene,
    pub seed: u64,
    pub kills: u64,
}

/// Parts a campaign into rounds: of one scene, or of all in turn.
pub fn rounds(kills: u64, seed: u64, scene: Option<Scene>) -> Vec<Round> {
    let in_turn = |no: usize| scene.unwrap_or(Scene::value_variants()[no % Scene::value_variants().len()]);
    let round = |(no, seed, kills)| Round { scene: in_turn(usize::try_from(no).unwrap()), seed, kills };
    parts(kills, ROUND, seed).map(round).collect()
}

pub async fn play(round: Round, tally: &Tally) {
    let scene = round.scene.to_possible_value().expect("no scene is hidden");
    let dir = world::scratch(&format!("kills-{}-{}", scene.get_name(), round.seed));
    let command = format!(
        "cargo run --release --example campaign -- kills --scene {} --seed {} --kills {}",
        scene.get_name(),
        round.seed,
        round.kills
    );
    let _kept = Kept::new(dir.clone(), command, tally);
    let (kind, lost_answers) = match round.scene {
        Scene::PrintAndApply => (Kind::PrintAndApply, false),
        Scene::PrintAndApplyLostAnswers => (Kind::PrintAndApply, true),
        Scene::Print => (Kind::Print, false),
        Scene::PrintLostAnswers => (Kind::Print, true),
        Scene::Starts => return upgrade::play(round.seed, round.kills, &dir, tally).await,
    };
    let wanted = Wanted { kind, ..scene::wanted(round.seed) };
    let plan = moments::plan(round.seed, round.kills);
    let strike = async |floor: &Floor<'_>, agent: &mut Agent| strike(&plan, floor, agent, &dir, tally).await;
    scene::play(&wanted, lost_answers, &dir, tally, strike).await;
}

/// Kills the agent at each moment of the plan, takes what it left for a look, and starts it again.
async fn strike(plan: &[Moment], floor: &Floor<'_>, agent: &mut Agent, dir: &Path, tally: &Tally) {
    let ready_in = scene::ready_in(floor.operator, agent).await;
    let mut looks = tokio::task::JoinSet::new();
    for (no, moment) in plan.iter().enumerate() {
        let came = scene::reach(moment, ready_in, floor, agent).await;
        let killed = if moment.after == After::AskedToEnd {
            agent.kill_ending()
        } else {
            agent.kill();
            true
        };
        match (killed, came) {
            (true, true) => tally.struck(moment.after.name()),
            (true, false) => tally.struck("kill whose moment did not come"),
            (false, _) => tally.compared("ends by SIGTERM that were faster than the kill", 1),
        }
        look::aside(&mut looks, dir, no, floor.acks(), tally);
        agent.again();
    }
    looks.join_all().await;
}
