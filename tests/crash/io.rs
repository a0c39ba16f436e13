//! Writes and fsyncs of the real process that fail: injected by strace at the n-th call of a thread, or for want of
//! room on a small real file system. Each time the agent says what happened and ends, the belt stands, and the next
//! start finds all that was acknowledged. SIGKILL at the n-th call is among them: moments that no clock hits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;

use super::agent::{Agent, Launch};
use super::disk::Disk;
use super::floor::Floor;
use super::look;
use super::rounds::parts;
use super::tally::{Kept, Tally};
use super::world::operator::Operator;
use super::world::{self, World};
use super::{moments, scene, shim};

/// Strikes of one world.
const ROUND: u64 = 40;

/// A fault whose call does not come within this did not strike.
const STRIKE_MAX: Duration = Duration::from_secs(30);

/// An agent that goes on after a fault is left to it for so long.
const END_MAX: Duration = Duration::from_secs(10);

/// From the agent's end until the gate, which misses its heartbeat, has stopped the belt.
const BELT_MAX: Duration = Duration::from_secs(10);

/// The exit code of a fault of this computer.
const INTERNAL: i32 = 7;

/// Enough that the lines run, and soon filled.
const DISK_MB: u64 = 384;

#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub faults: u64,
    /// On a small file system of its own, which is filled, instead of by strace.
    pub full: bool,
}

/// One round in four fills a real disk, where that can be had; or each.
pub fn rounds(faults: u64, seed: u64, disk: bool, only_full: bool) -> Vec<Round> {
    let round = |(no, seed, faults)| Round { seed, faults, full: disk && (only_full || no % 4 == 3) };
    parts(faults, ROUND, seed).map(round).collect()
}

/// By a library before libc: strace would stop the agent at every call of any kind for this, and no line runs so.
const KILL: &str = "SIGKILL";

/// What is done at the n-th call.
#[derive(Clone, Copy, Debug)]
struct Fault {
    name: &'static str,
    call: &'static str,
    does: &'static str,
    /// All calls from there on, too.
    lasts: bool,
    /// The call is one of the first so many: a commit has one fsync and a dozen of writes.
    among: u64,
}

const FAULTS: [Fault; 9] = [
    fault("fsync fails once", "fsync", "error=EIO", false, 60),
    fault("fsync fails from then on", "fsync", "error=EIO", true, 60),
    fault("a write fails", "pwrite64", "error=EIO", false, 600),
    fault("writes fail from then on", "pwrite64", "error=EIO", true, 600),
    fault("no room for a write", "pwrite64", "error=ENOSPC", false, 600),
    fault("no room from then on", "pwrite64", "error=ENOSPC", true, 600),
    fault("a WAL cannot be shortened", "ftruncate", "error=EIO", true, 3),
    fault("SIGKILL at a write", "pwrite64", KILL, false, 1500),
    fault("SIGKILL at an fsync", "fsync", KILL, false, 150),
];

const fn fault(name: &'static str, call: &'static str, does: &'static str, lasts: bool, among: u64) -> Fault {
    Fault { name, call, does, lasts, among }
}

/// strace before the agent: it strikes at the n-th call of any one thread. Only the agent is our child.
fn strace(call: &str, inject: &str, log: &Path, only: Option<&Path>) -> Launch {
    let mut through: Vec<OsString> =
        ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o"].map(Into::into).into();
    through.push(log.into());
    if let Some(path) = only {
        through.extend(["-P".into(), path.into()]);
    }
    // Another set of traced calls than of injected ones would turn the injection off without a word.
    through.extend(["-e".into(), format!("trace={call}").into()]);
    through.extend(["-e".into(), format!("inject={call}:{inject}").into()]);
    Launch { through, ..Launch::default() }
}

/// Why strace cannot do this here.
pub fn impossible() -> Option<String> {
    let launch = strace("fsync", "error=EIO:when=1", Path::new("/dev/null"), None);
    let tried = Command::new(&launch.through[0]).args(&launch.through[1..]).arg("true").output();
    match tried {
        Err(e) => {
            Some(format!("no errors can be injected: strace: {e} (install it: apt-get install strace)"))
        }
        Ok(told) if !told.status.success() => Some(format!(
            "no errors can be injected: strace: {}",
            String::from_utf8_lossy(&told.stderr).trim()
        )),
        Ok(_) => None,
    }
}

pub async fn play(round: Round, tally: &Tally) {
    let dir = world::scratch(&format!("io-{}", round.seed));
    let command = format!(
        "cargo run --release --example campaign -- io --seed {} --faults {}{}",
        round.seed,
        round.faults,
        if round.full { " --only-full" } else { "" }
    );
    let _kept = Kept::new(dir.clone(), command, tally);
    let disk = round.full.then(|| Disk::make(&dir, &dir.join("data"), DISK_MB).unwrap());
    let strike = async |floor: &Floor<'_>, agent: &mut Agent| {
        let ready_in = scene::ready_in(floor.operator, agent).await;
        let mut random = fastrand::Rng::with_seed(round.seed);
        let plan = moments::plan(round.seed, round.faults);
        for (no, moment) in (0..).zip(plan) {
            match &disk {
                Some(disk) => {
                    floor.comes(moments::After::Labels(random.u64(1..20)), agent).await;
                    tokio::time::sleep(moment.then(ready_in)).await;
                    fill(disk, floor, agent, tally).await;
                }
                None => {
                    let fault = FAULTS[no % FAULTS.len()];
                    inject(fault, random.u64(1..=fault.among), &dir, floor, agent, tally).await;
                }
            }
            check(&dir, floor, tally);
            agent.again();
            // The line goes on before the next strike, or there would be nothing to lose.
            floor.comes(moments::After::Labels(1), agent).await;
        }
    };
    scene::play(&scene::wanted(round.seed), false, &dir, tally, strike).await;
}

/// Ends the agent, starts it under strace, and sees what becomes of it. It is dead when this returns.
async fn inject(fault: Fault, when: u64, dir: &Path, floor: &Floor<'_>, agent: &mut Agent, tally: &Tally) {
    let told = dir.join("strace.log");
    drop(std::fs::remove_file(&told));
    agent.kill();
    let said_before = said(agent).len();
    let lasts = if fault.lasts { "+" } else { "" };
    let launch = match fault.does {
        KILL => Launch { env: vec![shim::kill_at(dir, fault.call, when)], ..Launch::default() },
        does => strace(fault.call, &format!("{does}:when={when}{lasts}"), &told, None),
    };
    agent.again_as(&launch);
    let gone = ended_after(STRIKE_MAX, agent, || injected(&told)).await;
    if !injected(&told) && gone.is_none() {
        tally.compared("faults whose call did not come", 1);
        agent.kill();
        return;
    }
    let gone = match gone {
        Some(gone) => Some(gone),
        None => ended_after(END_MAX, agent, || false).await,
    };
    tally.struck(fault.name);
    let place = format!("{} at call {when}", fault.name);
    let kills = fault.does == KILL;
    match gone {
        Some(gone) if kills && gone.signal() == Some(9) => {}
        Some(gone) => ended_well(&place, gone, &said(agent)[said_before..], tally),
        None if kills => tally.violation(format!("{place}: it lives")),
        None => {
            // SQLite needs not every call to succeed: a directory's sync, a file made shorter. Then nothing failed.
            let said = &said(agent)[said_before..];
            if names_it(said) {
                tally.violation(format!("{place}: a write failed and it goes on\n{said}"));
            }
            tally.compared("faults that took nothing and were gone on over", 1);
            agent.kill();
        }
    }
    belt_stands(&place, floor, tally).await;
}

/// Takes all room, sees what becomes of the agent, starts it without room, and gives the room back. It is dead then.
async fn fill(disk: &Disk, floor: &Floor<'_>, agent: &mut Agent, tally: &Tally) {
    let said_before = said(agent).len();
    disk.fill();
    tally.struck("a full disk");
    match ended_after(STRIKE_MAX, agent, || false).await {
        Some(gone) => ended_well("a full disk", gone, &said(agent)[said_before..], tally),
        None => {
            tally.compared("full disks that the agent had room enough on", 1);
            agent.kill();
        }
    }
    belt_stands("a full disk", floor, tally).await;
    let said_before = said(agent).len();
    agent.again();
    match ended_after(END_MAX, agent, || false).await {
        Some(gone) => {
            ended_well("a start on a full disk", gone, &said(agent)[said_before..], tally);
        }
        None => {
            tally.compared("starts on a full disk that went on", 1);
            agent.kill();
        }
    }
    disk.relieve();
}

/// Waits until the agent has ended, `enough` says so, or the time is over.
async fn ended_after(at_most: Duration, agent: &mut Agent, enough: impl Fn() -> bool) -> Option<ExitStatus> {
    let give_up = tokio::time::Instant::now() + at_most;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        look.tick().await;
        let ended = agent.try_ended();
        if ended.is_some() || enough() || tokio::time::Instant::now() > give_up {
            return ended;
        }
    }
}

fn injected(told: &Path) -> bool {
    std::fs::read_to_string(told).is_ok_and(|text| text.contains("(INJECTED)"))
}

fn said(agent: &Agent) -> String {
    std::fs::read_to_string(agent.log()).unwrap_or_default()
}

/// With its exit code for such a fault, and a sentence that names it.
fn ended_well(place: &str, gone: ExitStatus, said: &str, tally: &Tally) {
    if gone.code() != Some(INTERNAL) {
        tally.violation(format!("{place}: it ended with {gone}\n{said}"));
    } else if !names_it(said) || !said.contains("the daemon ends") {
        tally.violation(format!("{place}: it ended and does not say why\n{said}"));
    }
    tally.compared("ends with exit code 7 and a word of the fault", 1);
}

fn names_it(said: &str) -> bool {
    ["disk I/O error", "database or disk is full", "No space left", "Input/output error"]
        .iter()
        .any(|name| said.contains(name))
}

/// Nothing moves without the agent.
async fn belt_stands(place: &str, floor: &Floor<'_>, tally: &Tally) {
    if let Err(e) = floor.world.plant.wait(BELT_MAX, |s| !s.belt_moving).await {
        tally.violation(format!("{place}: the belt runs without the agent: {e}"));
    }
}

fn check(dir: &Path, floor: &Floor<'_>, tally: &Tally) {
    let copy = dir.join("look");
    look::copy(&dir.join("data"), &copy);
    let acks = floor.acks();
    for wrong in look::into(&copy, &acks) {
        tally.violation(format!("{}: {wrong}", copy.display()));
    }
    tally.compared("acknowledgements looked up at once", acks.count());
    drop(std::fs::remove_dir_all(&copy));
}

/// The check is shown to fail: a write to the WAL is told to be done and is not. That nobody notices is a violation.
pub async fn planted(tally: &Tally) {
    let dir: PathBuf = world::scratch("io-planted");
    let world = World::build(&scene::wanted(1), &dir).await;
    let operator = Operator::new(world.api, &dir.join("data"));
    let floor = Floor::new(&world, &operator, 100);
    let told = dir.join("strace.log");
    let wal = dir.join("data/tamga.db-wal");
    // More lies than one: the frames of a single commit may be moved before anybody needs them.
    let launch = strace("pwrite64", "retval=4096:when=600+", &told, Some(&wal));
    let agent = Agent::start_as(&world.config, &dir.join("agent.log"), &launch);
    let lied = async {
        while !injected(&told) {
            floor.comes(moments::After::Labels(1), &agent).await;
        }
        // More than were issued before the lie.
        let labels = world.plant.summary().labels_printed + 15;
        drop(world.plant.wait(STRIKE_MAX, |s| s.labels_printed >= labels).await);
    };
    tokio::select! {
        biased;
        () = lied => {}
        _ = floor.work() => panic!("the work ends with the last strike only"),
    }
    // It may have noticed by itself, which is no excuse for the look.
    drop(agent);
    look::copy(&dir.join("data"), &dir.join("look"));
    let noticed = look::into(&dir.join("look"), &floor.acks()).len() as u64;
    tally.compared("planted: losses by a write that lied, noticed", noticed);
    if noticed == 0 {
        tally.violation("a write that lied was not noticed".to_owned());
    }
    drop(std::fs::remove_dir_all(&dir));
}
