//! Agents that tell each other of their packs through Debian's mosquitto: killed, halted, cut off, each an own process. The
//! long run of the same: the example `campaign broker`. Waits are on levels.

#![allow(clippy::unwrap_used)]

#[path = "broker/mod.rs"]
mod broker;
#[path = "store/kit.rs"]
#[allow(dead_code)] // what the store's own tests take besides
mod kit;
#[path = "crash/tally.rs"]
#[allow(dead_code)] // the table of a campaign
mod tally;
#[path = "world/mod.rs"]
mod world;

use broker::agent::{self, Planted};
use broker::plant::{self, Wanted};
use tally::Tally;

/// How this program becomes one of the agents.
const AS_AGENT: [&str; 3] = ["one_of_the_agents", "--exact", "--nocapture"];

/// Nothing, unless the environment says which agent this process is.
#[test]
fn one_of_the_agents() {
    agent::was_one();
}

fn play(name: &str, wanted: Wanted) -> Tally {
    let tally = Tally::default();
    let dir = world::scratch(name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(plant::play(wanted, &dir, &AS_AGENT, &tally));
    tally
}

#[test]
fn no_letter_is_lost_or_taken_twice_whatever_the_broker_forgets() {
    let wanted = Wanted { messages: 3_000, faults: 8, seed: 1, planted: None };
    let tally = play("broker-faults", wanted);
    assert_eq!(tally.violations(), [""; 0]);
}

/// The comparison finds what it is for.
#[test]
fn a_letter_deleted_when_it_is_sent_is_missed() {
    let planted = Some(Planted::DeletedWhenSent);
    let tally = play("broker-planted", Wanted { messages: 3_000, faults: 8, seed: 1, planted });
    assert!(!tally.violations().is_empty(), "the planted fault was not found");
}
