//! The power of the agent's computer cut under load: its data on a real ext4, what is not synced dropped by the kernel,
//! the journal replayed at the next mount. The devices and the state system stand outside and keep their power.
//!
//! **Which acknowledgements count: all.** The agent is stopped (SIGSTOP) a moment before its disk goes. From the moment
//! that one of its threads stands, each other stops before it returns from the kernel: a write or fsync that is under
//! way is cut in its middle, and nobody is ever told how it ended. So nothing is acknowledged after the cut, and there
//! is nothing to leave out of the comparison.

use std::path::Path;

use super::agent::{Agent, Launch};
use super::disk::Disk;
use super::floor::Floor;
use super::look;
use super::moments::{self, After};
use super::rounds::parts;
use super::tally::{Kept, Tally};
use super::world::operator::Operator;
use super::world::{self, World};
use super::{scene, shim};

/// Cuts of one world.
const ROUND: u64 = 50;

const DISK_MB: u64 = 384;

/// Good items of a run of the planted fault.
const QUANTITY: u32 = 100;

#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub cuts: u64,
}

pub fn rounds(cuts: u64, seed: u64) -> Vec<Round> {
    parts(cuts, ROUND, seed).map(|(_, seed, cuts)| Round { seed, cuts }).collect()
}

pub async fn play(round: Round, tally: &Tally) {
    let dir = world::scratch(&format!("power-{}", round.seed));
    let command = format!(
        "cargo run --release --example campaign -- power --seed {} --cuts {}",
        round.seed, round.cuts
    );
    let _kept = Kept::new(dir.clone(), command, tally);
    let disk = Disk::make(&dir, &dir.join("data"), DISK_MB).unwrap();
    let strike = async |floor: &Floor<'_>, agent: &mut Agent| {
        let ready_in = scene::ready_in(floor.operator, agent).await;
        let mut looks = tokio::task::JoinSet::new();
        for (no, moment) in moments::plan(round.seed, round.cuts).iter().enumerate() {
            let came = scene::reach(moment, ready_in, floor, agent).await;
            if agent.try_ended().is_some() {
                // It ended well, and had been asked to: a machine that is switched off then.
                tally.compared("ends by SIGTERM that were faster than the cut", 1);
                disk.cut();
            } else {
                let busy = cut(&disk, agent).await;
                let when = if busy { "in the middle of a system call" } else { "between system calls" };
                let after = moment.after.name().trim_start_matches("kill ");
                tally.struck(&format!("power cut {}", if came { after } else { "at no special moment" }));
                tally.compared(&format!("cuts {when}"), 1);
            }
            disk.again();
            look::aside(&mut looks, &dir, no, floor.acks(), tally);
            agent.again();
        }
        looks.join_all().await;
    };
    scene::play(&scene::wanted(round.seed), false, &dir, tally, strike).await;
}

/// Stops the agent, takes its disk's power, and ends it. True when a thread was in the middle of a system call.
async fn cut(disk: &Disk, agent: &mut Agent) -> bool {
    agent.signal("STOP");
    // Once one stands, the others have been told to.
    while !states(agent.pid()).contains(&'T') {
        tokio::task::yield_now().await;
    }
    let busy = states(agent.pid()).iter().any(|state| *state != 'T');
    disk.cut();
    agent.kill();
    busy
}

/// The state of each thread, as the kernel tells it in one letter.
fn states(pid: u32) -> Vec<char> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stat = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?.rsplit(") ").next()?.chars().next()
    };
    threads.filter_map(stat).collect()
}

/// The check is shown to fail: an agent whose fsync does nothing loses what it acknowledged. That nobody notices is a
/// violation.
pub async fn planted(tally: &Tally) {
    let dir = world::scratch("power-planted");
    let noticed = lost_by_a_lying_fsync(1, &dir).await;
    drop(std::fs::remove_dir_all(&dir));
    tally.compared("planted: losses by an fsync that does nothing, noticed", noticed);
    if noticed == 0 {
        tally.violation("an fsync that does nothing was not noticed".to_owned());
    }
}

async fn lost_by_a_lying_fsync(seed: u64, dir: &Path) -> u64 {
    let disk = Disk::make(dir, &dir.join("data"), DISK_MB).unwrap();
    let world = World::build(&scene::wanted(seed), dir).await;
    let operator = Operator::new(world.api, &dir.join("data"));
    let floor = Floor::new(&world, &operator, QUANTITY);
    let launch = Launch { env: vec![shim::no_sync(dir)], ..Launch::default() };
    let mut agent = Agent::start_as(&world.config, &dir.join("agent.log"), &launch);
    tokio::select! {
        biased;
        came = floor.comes(After::Labels(30), &agent) => assert!(came, "labels are printed"),
        _ = floor.work() => panic!("the work ends with the last strike only"),
    }
    cut(&disk, &mut agent).await;
    disk.again();
    let copy = dir.join("look");
    look::copy(&dir.join("data"), &copy);
    look::into(&copy, &floor.acks()).len() as u64
}
