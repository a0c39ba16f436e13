//! What the agent does not start with.

use std::time::Duration;

use tamga_simulators::model::plant::Kind;

use crate::world::operator::Operator;
use crate::world::{self, GTIN, Wanted, World, scratch, until};

/// A configuration of the test world, changed.
async fn changed(name: &str, from: &str, to: &str) -> (World, std::path::PathBuf) {
    let dir = scratch(name);
    let world = World::build(&Wanted { kind: Kind::Print, ..Wanted::default() }, &dir).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    assert!(text.contains(from), "{from} is there to be changed");
    std::fs::write(&world.config, text.replace(from, to)).unwrap();
    (world, dir)
}

/// Runs the binary as a person would; what it says and its exit code.
async fn serve(world: &World) -> (Option<i32>, String) {
    let config = world.config.clone();
    let run = tokio::task::spawn_blocking(move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_tamga"))
            .arg("serve")
            .arg("--config")
            .arg(config)
            .output()
    });
    let output = tokio::time::timeout(Duration::from_secs(30), run).await.unwrap().unwrap().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_refused_with_the_place_and_nothing_is_made() {
    let (world, dir) = changed("line-refused", "kind = \"print\"", "kind = \"prnt\"").await;
    let (code, said) = serve(&world).await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("line.toml") && said.contains("prnt"), "{said}");
    assert!(!dir.join("data").exists(), "a refused start leaves no data folder");
    std::fs::remove_dir_all(dir).unwrap();
}

/// The picture is made ten times a second; an older one must not be what a person sees of a thing he has just done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_an_answer_sees_what_it_says_in_the_status() {
    let dir = scratch("line-answer-seen");
    let world = World::build(&Wanted::default(), &dir).await;
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    let wait = Duration::from_secs(60);
    until("the run to start", wait, async || {
        let (production, expiry) = world::dates();
        operator.start(GTIN, 1000, &production, &expiry).await.ok()
    })
    .await;
    for _ in 0..5 {
        assert_eq!(operator.line().await.unwrap()["run"]["state"], "running");
        operator.stop().await.unwrap();
        assert_eq!(operator.line().await.unwrap()["run"]["state"], "stopped");
        operator.resume().await.unwrap();
    }
    agent.stop().await;
    world.plant.shutdown().await;
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_the_same_data_is_refused() {
    let dir = scratch("line-twice");
    let world = World::build(&Wanted::default(), &dir).await;
    let config = || tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config(), None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let (code, said) = serve(&world).await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("data"), "{said}");
    agent.stop().await;
    std::fs::remove_dir_all(dir).unwrap();
}
