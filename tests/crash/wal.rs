//! The WAL of a running agent, cut at any byte: the tail gone, torn by sectors, overwritten with garbage or with frames
//! of another time; the wal-index left over or not.
//!
//! What may be lost and what not: a commit is durable when its fsync returned, and only then anybody outside is told.
//! So a cut takes commits from the end, in order, whole; and each *sync point* (what everybody had been told, and then
//! how far the WAL reached) says what must be there after every cut behind it. A cut never lies before what a
//! checkpoint has moved, since that was synced before it was moved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tamga::store::open::database_path;

use super::agent::{Agent, Launch};
use super::floor::Floor;
use super::look::{self, Acks};
use super::rounds::parts;
use super::scene;
use super::tally::{Kept, Tally};
use super::wal_file::{self, Wal};
use super::world::operator::Operator;
use super::world::{self, World, until};

/// Cuts of one WAL.
const ROUND: u64 = 100;

/// One cut in so many is given to the real binary too.
const START_EVERY: u64 = 20;

/// Good items of one run: the load goes through several runs before the kill.
const QUANTITY: u32 = 40;

/// Commits that are in the WAL only, when the agent is killed. An idle moment moves them when they are some twenty.
const COMMITS_MIN: usize = 12;

/// The load is long enough for this; a checkpoint leaves so many within a second or two.
const LOAD_MAX: Duration = Duration::from_secs(120);
const READY_MAX: Duration = Duration::from_secs(60);

/// Worlds until one is killed with acknowledged commits in the WAL only: two of three are.
const TRIES: u32 = 12;

/// How far behind a cut sectors may be torn or overwritten.
const TAIL_MAX: usize = 64 * 1024;
const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub cuts: u64,
}

pub fn rounds(cuts: u64, seed: u64) -> Vec<Round> {
    parts(cuts, ROUND, seed).map(|(_, seed, cuts)| Round { seed, cuts }).collect()
}

/// What everybody had been told, and how far the WAL reached then.
struct SyncPoint {
    salts: Vec<u8>,
    end: usize,
    acks: Acks,
}

/// What a killed agent left, and what was told of it.
struct Left {
    database: Vec<u8>,
    bytes: Vec<u8>,
    index: Vec<u8>,
    wal: Wal,
    /// No cut lies before this.
    from: usize,
    points: Vec<SyncPoint>,
}

impl Left {
    /// What everybody had been told when the WAL reached no further than the cut.
    fn told(&self, cut: usize) -> Acks {
        self.points.iter().rfind(|p| p.end <= cut).map(|p| p.acks.clone()).unwrap_or_default()
    }
}

pub async fn play(round: Round, tally: &Tally) {
    let dir = world::scratch(&format!("wal-{}", round.seed));
    let command =
        format!("cargo run --release --example campaign -- wal --seed {} --cuts {}", round.seed, round.cuts);
    let _kept = Kept::new(dir.clone(), command, tally);
    let mut random = fastrand::Rng::with_seed(round.seed);
    let (world, left) = worth_cutting(round, &dir, &mut random, tally).await;
    for no in 0..round.cuts {
        let folder = dir.join(format!("cut-{no}"));
        let cut = random.usize(left.from..=left.bytes.len());
        let (bytes, how) = torn(&left.bytes, cut, &mut random);
        let index = random.bool().then_some(&left.index[..]);
        let place = format!("{how} at byte {cut} of {}", left.bytes.len());
        tally.struck(how);
        let wal = wal_file::read(&bytes);
        if wal.commits.len() < left.wal.before(cut) {
            tally.violation(format!("{place}: our own reader lost a commit that lies before the cut"));
        }
        if no % START_EVERY == 0 {
            lay(&folder, &left.database, &bytes, index);
            starts(&world, &folder, &place, tally).await;
        }
        lay(&folder, &left.database, &bytes, index);
        exact(&folder, &wal_file::image(&left.database, &bytes, &wal), &place, tally);
        lay(&folder, &left.database, &bytes, index);
        let acks = left.told(cut);
        for wrong in look::into(&folder, &acks) {
            tally.violation(format!("{place}: {wrong}"));
        }
        tally.compared("acknowledgements looked up", acks.count());
        tally.compared("commits whole before the cut", left.wal.before(cut) as u64);
        tally.compared("commits lost behind the cut", (left.wal.commits.len() - wal.commits.len()) as u64);
        drop(std::fs::remove_dir_all(&folder));
    }
    world.plant.shutdown().await;
}

/// A killed agent whose last acknowledgements are in the WAL only. The look is shown to fail on it: a cut before commits
/// that were acknowledged, taken for one behind them.
async fn worth_cutting(round: Round, dir: &Path, random: &mut fastrand::Rng, tally: &Tally) -> (World, Left) {
    for again in 0..TRIES {
        let dir = dir.join(format!("world-{again}"));
        std::fs::create_dir_all(&dir).unwrap();
        let world = World::build(&scene::wanted(round.seed), &dir).await;
        let left = harvest(&world, random).await;
        let planted = dir.join("planted");
        lay(&planted, &left.database, &left.bytes[..left.from], None);
        let wrong = look::into(&planted, &left.told(left.bytes.len()));
        drop(std::fs::remove_dir_all(&planted));
        if !wrong.is_empty() {
            tally.compared("planted: cuts before an acknowledged commit, each noticed", 1);
            return (world, left);
        }
        // All of it may have been moved just before, with nothing acknowledged since.
        world.plant.shutdown().await;
    }
    panic!("in {TRIES} worlds no cut before acknowledged commits was noticed");
}

/// Runs an agent under load and kills it when enough is in the WAL only.
async fn harvest(world: &World, random: &mut fastrand::Rng) -> Left {
    let data = world.dir.join("data");
    let operator = Operator::new(world.api, &data);
    let floor = Floor::new(world, &operator, QUANTITY);
    let mut agent = Agent::start(world);
    let mut points = Vec::new();
    let labels = random.u64(30..120);
    let watch = until("commits in the WAL", LOAD_MAX, async || {
        agent.must_live();
        // First what was told, then how far the WAL reaches: it holds all that was told.
        let acks = floor.acks();
        let (Ok(bytes), Ok(index)) =
            (std::fs::read(data.join("tamga.db-wal")), std::fs::read(data.join("tamga.db-shm")))
        else {
            return None;
        };
        let wal = wal_file::read(&bytes);
        let fresh = wal.commits.len() - wal.before(wal_file::moved(&index));
        let told = acks.count();
        points.push(SyncPoint { salts: wal.salts.clone(), end: wal.end(), acks });
        (told >= labels && fresh >= COMMITS_MIN).then_some(())
    });
    tokio::select! {
        biased;
        () = watch => {}
        _ = floor.work() => panic!("the load ends with the last strike only"),
    }
    agent.kill();
    let read = |name: &str| std::fs::read(data.join(name)).unwrap();
    let (database, bytes, index) = (read("tamga.db"), read("tamga.db-wal"), read("tamga.db-shm"));
    let wal = wal_file::read(&bytes);
    points.retain(|p| p.salts == wal.salts);
    // Nothing is told after the kill but what was durable before it.
    points.push(SyncPoint { salts: wal.salts.clone(), end: wal.end(), acks: floor.acks() });
    let from = wal_file::moved(&index).min(wal.end());
    Left { database, bytes, index, wal, from, points }
}

/// The file as a cut leaves it, and how it was done.
fn torn(whole: &[u8], cut: usize, random: &mut fastrand::Rng) -> (Vec<u8>, &'static str) {
    let mut bytes = whole[..cut].to_vec();
    match random.u8(0..4) {
        0 => (bytes, "the tail is gone"),
        1 => {
            bytes.extend((0..random.usize(1..TAIL_MAX)).map(|_| random.u8(..)));
            (bytes, "the tail is garbage")
        }
        2 => {
            // Sectors that were not synced are there or not, each for itself.
            bytes.extend(&whole[cut..whole.len().min(cut + TAIL_MAX)]);
            for at in (cut.next_multiple_of(SECTOR)..bytes.len()).step_by(SECTOR) {
                let to = (at + SECTOR).min(bytes.len());
                if random.bool() {
                    bytes[at..to].fill(0);
                }
            }
            let to = cut.next_multiple_of(SECTOR).min(bytes.len());
            bytes[cut..to].fill(0);
            (bytes, "the tail is torn by sectors")
        }
        _ => {
            // What an earlier turn of the WAL left there looks like frames and is none of this turn.
            let from = random.usize(0..whole.len().saturating_sub(TAIL_MAX).max(1));
            bytes.extend(&whole[from..whole.len().min(from + TAIL_MAX)]);
            (bytes, "the tail is frames of another place")
        }
    }
}

fn lay(folder: &Path, database: &[u8], wal: &[u8], index: Option<&[u8]>) {
    drop(std::fs::remove_dir_all(folder));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tamga.db"), database).unwrap();
    std::fs::write(folder.join("tamga.db-wal"), wal).unwrap();
    if let Some(index) = index {
        std::fs::write(folder.join("tamga.db-shm"), index).unwrap();
    }
}

/// SQLite finds the same commits as our reader: the whole ones before the first that is not, and nothing of any other.
fn exact(folder: &Path, wanted: &[u8], place: &str, tally: &Tally) {
    let path = database_path(folder);
    let conn = Connection::open(&path).unwrap();
    let moved = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get::<_, i64>(0));
    drop(conn);
    let found = std::fs::read(&path).unwrap();
    if moved.is_err() || found != wanted {
        tally.violation(format!("{place}: the database is not what its whole commits say ({moved:?})"));
    }
    tally.compared("databases byte by byte", 1);
}

/// The real binary on the cut folder: becomes ready, stands, and names what is in doubt.
async fn starts(world: &World, folder: &Path, place: &str, tally: &Tally) {
    let expected = {
        let copy = folder.with_extension("before");
        look::copy(folder, &copy);
        let doubts = in_doubt(&copy);
        drop(std::fs::remove_dir_all(&copy));
        doubts
    };
    let config = config_for(world, folder);
    let operator = Operator::new(world.api, folder);
    let mut agent = Agent::start_as(&config, &world.dir.join("cut.log"), &Launch::default());
    let line = until("the agent's API", READY_MAX, async || {
        agent.must_live();
        operator.line().await
    })
    .await;
    agent.kill();
    let run = &line["run"];
    let told = run["issued"].as_u64().unwrap_or(0);
    if told != expected {
        tally.violation(format!("{place}: {expected} codes are in doubt, the agent says {told}: {run}"));
    }
    let named = run["in_doubt"].as_array().map_or(0, Vec::len);
    if (told > 0) != (named > 0) {
        tally.violation(format!("{place}: {told} codes are in doubt and {named} are named"));
    }
    if line["stopped_by"] == Value::Null {
        tally.violation(format!("{place}: the line runs by itself after a start"));
    }
    tally.compared("starts of the real binary", 1);
    tally.compared("codes in doubt that it named", told);
}

/// Codes issued and not read of the run that is open.
fn in_doubt(folder: &Path) -> u64 {
    let conn = Connection::open(database_path(folder)).unwrap();
    let sql = "SELECT count(*) FROM codes JOIN runs USING(run) WHERE codes.state = 0 AND runs.state <> 3";
    // A cut before the first schema leaves none.
    conn.query_row(sql, [], |r| r.get::<_, i64>(0)).map_or(0, i64::unsigned_abs)
}

fn config_for(world: &World, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(&world.config).unwrap();
    let data = |path: &Path| format!("data = \"{}\"", path.display());
    let path = world.dir.join("cut.toml");
    std::fs::write(&path, text.replace(&data(&world.dir.join("data")), &data(folder))).unwrap();
    path
}
