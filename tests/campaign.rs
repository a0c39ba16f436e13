//! The long campaigns against the real binary, each one command: killed, its WAL cut, its writes failed, its power cut.
//!
//! The simulators are in this process and keep the truth; the agent is the shipped program. Short slices of the same
//! campaigns run with `cargo test --test crash`.

#![allow(clippy::unwrap_used)] // what the tests share stands outside of #[test]

#[path = "crash/agent.rs"]
mod agent;
#[path = "crash/books.rs"]
mod books;
#[path = "broker/mod.rs"]
mod broker;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/floor.rs"]
mod floor;
#[path = "crash/io.rs"]
mod io;
#[path = "crash/kills.rs"]
mod kills;
#[path = "store/kit.rs"]
#[allow(dead_code)] // what the store's own tests take besides
mod kit;
#[path = "crash/ledgers.rs"]
mod ledgers;
#[path = "crash/look.rs"]
mod look;
#[path = "crash/moments.rs"]
mod moments;
#[path = "crash/power.rs"]
mod power;
#[path = "crash/rounds.rs"]
mod rounds;
#[path = "crash/scene.rs"]
mod scene;
#[path = "crash/shim.rs"]
mod shim;
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
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

use clap::{Parser, Subcommand};

use tally::Tally;

/// Long campaigns against the real agent. Build it first: cargo build --release --bin tamga
#[derive(Parser, Debug)]
#[command(after_help = "\
Examples:
  cargo build --release --bin tamga
  cargo run --release --example campaign -- kills --kills 1000 --seed 7
  cargo run --release --example campaign -- wal --cuts 1000
  cargo run --release --example campaign -- io --faults 200
  sudo target/release/examples/campaign power --cuts 200
  cargo run --release --example campaign -- broker --messages 100000 --faults 100

Exit codes: 0 no rule broken, 1 a rule broken, 2 not understood, 3 it cannot run here, 130 interrupted")]
struct Args {
    /// The agent's binary [default: `tamga` beside the folder of this program]
    #[arg(long, global = true, value_name = "PATH")]
    tamga: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// SIGKILL at planned and random moments, start-up, migration and shutdown included; three ledgers compared
    #[command(after_help = "Example: campaign kills --kills 1000 --seed 7")]
    Kills {
        #[arg(long, default_value_t = 1000)]
        kills: u64,
        /// Decides which moments are struck, and everything of the simulators
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only this one, instead of all in turn
        #[arg(long, value_enum)]
        scene: Option<kills::Scene>,
        /// Worlds side by side: each mostly waits
        #[arg(long, default_value_t = 4)]
        at_once: usize,
    },
    /// The WAL of a killed agent cut at random bytes, its tail gone, torn or garbage; exactly the whole commits stay
    #[command(after_help = "Example: campaign wal --cuts 1000 --seed 7")]
    Wal {
        #[arg(long, default_value_t = 1000)]
        cuts: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Worlds side by side
        #[arg(long, default_value_t = 2)]
        at_once: usize,
    },
    /// Writes and fsyncs that fail in the real process (by strace), and as root a real disk that is full
    #[command(after_help = "Example: campaign io --faults 200 --seed 7")]
    Io {
        #[arg(long, default_value_t = 200)]
        faults: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only full disks, no injected errors
        #[arg(long)]
        only_full: bool,
        /// Worlds side by side
        #[arg(long, default_value_t = 3)]
        at_once: usize,
    },
    /// Power cuts of a real ext4 on a loop device, as root; all that was acknowledged counts
    #[command(after_help = "Example, as root: campaign power --cuts 200 --seed 7")]
    Power {
        #[arg(long, default_value_t = 200)]
        cuts: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Worlds side by side
        #[arg(long, default_value_t = 2)]
        at_once: usize,
    },
    /// Agents that tell each other of their packs, through a mosquitto that is killed, halted, emptied and cut off
    #[command(after_help = "Example: campaign broker --messages 100000 --faults 100 --seed 7")]
    Broker {
        /// Letters of all agents together, at least
        #[arg(long, default_value_t = 100_000)]
        messages: u64,
        #[arg(long, default_value_t = 100)]
        faults: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A fault of the agents' own, which the comparison must find
        #[arg(long, value_enum)]
        planted: Option<broker::agent::Planted>,
    },
}

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// The agent under test.
fn binary() -> PathBuf {
    BINARY.get().expect("set before anything starts").clone()
}

/// As given, or where cargo puts it: examples lie in a folder beside it.
fn find(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot tell where this program is: {e}"))?;
    let beside = own.parent().and_then(|examples| examples.parent()).map(|built| built.join("tamga"));
    let path = given.or(beside).unwrap_or_default();
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no agent at {}: build it (cargo build --release --bin tamga), or say --tamga PATH",
        path.display()
    ))
}

/// Why no file system of our own can be had, tried out on a thread that ends with its mounts.
fn no_disk() -> Option<String> {
    let dir = world::scratch("no-disk");
    let tried = std::thread::scope(|scope| scope.spawn(|| disk::impossible(&dir)).join().unwrap());
    drop(std::fs::remove_dir_all(&dir));
    tried
}

/// The agents are this program again, with the product's store and way to the broker.
fn of_broker(wanted: broker::plant::Wanted) -> ExitCode {
    if let Err(why) = broker::mosquitto::program() {
        eprintln!("{why}");
        return ExitCode::from(3);
    }
    let (tally, began) = (Tally::default(), Instant::now());
    let dir = world::scratch("broker");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(broker::plant::play(wanted, &dir, &[], &tally));
    println!("{}", tally.table(began.elapsed()));
    if tally.violations().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn main() -> ExitCode {
    if broker::agent::was_one() {
        return ExitCode::SUCCESS;
    }
    let args = Args::parse();
    if let What::Broker { messages, faults, seed, planted } = args.what {
        return of_broker(broker::plant::Wanted { messages, faults, seed, planted });
    }
    match find(args.tamga) {
        Ok(path) => drop(BINARY.set(path)),
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(3);
        }
    }
    for kept in world::left_by_the_dead() {
        let command = std::fs::read_to_string(kept.join(world::KEPT)).unwrap_or_default();
        eprintln!(
            "an earlier campaign kept {}; remove it when it was looked at; again with:\n  {command}",
            kept.display()
        );
    }
    let (tally, began) = (Tally::default(), Instant::now());
    let whole = match args.what {
        What::Kills { kills, seed, scene, at_once } => {
            let rounds = kills::rounds(kills, seed, scene);
            rounds::side_by_side(rounds, at_once, &tally, async |round| kills::play(round, &tally).await)
        }
        What::Wal { cuts, seed, at_once } => {
            let rounds = wal::rounds(cuts, seed);
            rounds::side_by_side(rounds, at_once, &tally, async |round| wal::play(round, &tally).await)
        }
        What::Io { faults, seed, only_full, at_once } => {
            let disk = no_disk();
            if let Some(why) = disk.as_ref().filter(|_| only_full).cloned().or_else(io::impossible) {
                eprintln!("{why}");
                return ExitCode::from(3);
            }
            if let Some(why) = &disk {
                eprintln!("no real disk is filled: {why}");
            }
            let rounds = io::rounds(faults, seed, disk.is_none(), only_full);
            rounds::side_by_side(rounds, at_once, &tally, async |round| io::play(round, &tally).await)
                && rounds::side_by_side(vec![()], 1, &tally, async |()| io::planted(&tally).await)
        }
        What::Broker { .. } => unreachable!("it runs no agent as it is shipped"),
        What::Power { cuts, seed, at_once } => {
            if let Some(why) = no_disk() {
                eprintln!("{why}");
                return ExitCode::from(3);
            }
            let rounds = power::rounds(cuts, seed);
            rounds::side_by_side(rounds, at_once, &tally, async |round| power::play(round, &tally).await)
                && rounds::side_by_side(vec![()], 1, &tally, async |()| power::planted(&tally).await)
        }
    };
    println!("{}", tally.table(began.elapsed()));
    match (tally.violations().is_empty(), whole) {
        (false, _) => ExitCode::from(1),
        (true, false) => ExitCode::from(130),
        (true, true) => ExitCode::SUCCESS,
    }
}
