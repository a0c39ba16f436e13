//! A reader that is no reader: bytes without meaning never pass an item and never end the agent.

use std::time::Duration;

use tamga_simulators::model::plant::Kind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::operator::Operator;
use crate::world::{self, GTIN, Wanted, World, scratch, until};

/// Written in one piece each: no terminator ever, only terminators, control bytes, almost a code, a very long line.
fn garbage() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3);
    let noise = (0..20_000).map(|_| random.u8(..)).collect();
    vec![
        noise,
        b"\r\n".repeat(3_000),
        b"0104780000000014215\r\n".repeat(50),
        vec![0x1d; 5_000],
        [vec![b'A'; 100_000], b"\r\n".to_vec()].concat(),
        b"\xff\xfe\x00\r\n\t\t\t\r\n".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_sends_garbage_passes_nothing_and_the_agent_lives() {
    let dir = scratch("line-garbage");
    let listen = Wanted { kind: Kind::PrePrinted, items_per_min: 1200, roll: 400, ..Wanted::default() };
    let world = World::build(&listen, &dir).await;
    // The agent listens, and only the garbage calls.
    let port = world::free_port();
    let text = std::fs::read_to_string(&world.config).unwrap();
    let reader = world.plant.reader_addr().unwrap();
    let text = text.replace(&format!("connect = \"{reader}\""), &format!("listen = \"{port}\""));
    std::fs::write(&world.config, text).unwrap();
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    until("the agent's API", Duration::from_secs(20), async || operator.status().await).await;
    operator.import("roll-1", "water", &world.roll).await.unwrap();
    let mut reader = TcpStream::connect(port).await.unwrap();
    until("the line to start", Duration::from_secs(20), async || {
        let (production, expiry) = world::dates();
        operator.start(GTIN, 100, &production, &expiry).await.ok()
    })
    .await;
    for piece in garbage() {
        let before = triggers(&operator).await;
        reader.write_all(&piece).await.unwrap();
        until("an item after it", Duration::from_secs(30), async || {
            // Garbage is bad items one after another, for which a line stops: a person lets it run on.
            drop(operator.resume().await);
            (triggers(&operator).await > before + 2).then_some(())
        })
        .await;
    }
    let line = operator.line().await.unwrap();
    assert_eq!(line["run"]["passed"], 0, "{line}");
    assert!(world.plant.truth().passed.is_empty());
    agent.stop().await;
    world.plant.shutdown().await;
    drop(world.upstream);
    std::fs::remove_dir_all(dir).unwrap();
}

async fn triggers(operator: &Operator) -> u64 {
    operator.line().await.and_then(|l| l["run"]["triggers"].as_u64()).unwrap_or(0)
}
