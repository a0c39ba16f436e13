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

use std::time::Duration;

use broker::agent::{self, Planted};
use broker::mosquitto::Mosquitto;
use broker::plant::{self, Wanted};
use tally::Tally;
use tamga::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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

/// The agent as it is shipped, between the broker and a scanner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_of_another_agent_is_scanned_onto_a_pallet_here_and_both_know_where_it_lies() {
    let dir = world::scratch("broker-pallet");
    let [packer, _, here] = &agent::parts(&dir)[..] else { panic!() };
    for part in [packer, here] {
        std::fs::create_dir_all(&part.dir).unwrap();
        part.lay(None);
    }
    let address = world::free_port();
    let mut mosquitto = Mosquitto::new(&dir, address).unwrap_or_else(|why| panic!("{why}"));
    mosquitto.start().await;
    packer.allow(1);
    let _packing = packer.start(address, &AS_AGENT);
    let scanner = TcpListener::bind(world::free_port()).await.unwrap();
    let (config, data) = (dir.join("tamga.toml"), here.dir.display());
    let (scans, gtin, from) = (scanner.local_addr().unwrap(), String::from_utf8_lossy(kit::GTIN), packer.id);
    let text = format!(
        "[agent]\ndata = \"{data}\"\nwitness = \"{data}.witness\"\nlanguage = \"en\"\n\
         [api]\nlisten = \"{}\"\n[log]\nlevel = \"warn\"\n\
         [broker]\naddress = \"{address}\"\nfrom = [\"{from}\"]\n\
         [[products]]\ngtin = \"{gtin}\"\nname = \"Water\"\ngroup = \"water\"\n\
         [stations.pallet1]\nlevel = \"pallet\"\nholds = \"box\"\ncapacity = 6\nmixing = \"free\"\nnames = \"pre-printed\"\n\
         [stations.pallet1.sounds]\ntaken = \"+\"\nrefused = \"-\"\n\
         [stations.pallet1.reader.text]\nconnect = \"{scans}\"\n",
        world::free_port()
    );
    std::fs::write(&config, text).unwrap();
    let loaded = Config::load(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let daemon = tamga::run::start(loaded, None).await.unwrap();
    let (mut scanner, _) = scanner.accept().await.unwrap();
    let patience = Duration::from_secs(60);
    let boxed = "SELECT sscc FROM packs WHERE state = 1 AND agent IS NOT NULL ORDER BY sscc LIMIT 1";
    let name: i64 = world::until("a box of the other", patience, async || {
        agent::all(&here.look(), boxed, |r| r.get(0)).pop()
    })
    .await;
    for heard in [b'+', b'-'] {
        scanner.write_all(format!("]C100{name:018}\r\n").as_bytes()).await.unwrap();
        assert_eq!(scanner.read_u8().await.unwrap(), heard, "taken once");
    }
    let claimed = format!("SELECT agent FROM claims WHERE sscc = {name} AND lies = 1");
    let claimant: u32 = world::until("the claim at its home", patience, async || {
        agent::all(&packer.look(), &claimed, |r| r.get(0)).pop()
    })
    .await;
    assert_eq!(claimant, here.id.0);
    for (what, shows) in
        [("status", format!("{address}: connected")), ("doctor", format!("{address} is connected"))]
    {
        let mut tamga = std::process::Command::new(env!("CARGO_BIN_EXE_tamga"));
        tamga.arg("--config").arg(&config).args(["--lang", "en", what]);
        let said = tokio::task::spawn_blocking(move || tamga.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(&shows), "{what}:\n{said}");
    }
    daemon.stop().await;
}
