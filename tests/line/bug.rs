//! A bug of ours on the way upstream: the process ends and says so, and does not try the same again in silence.

use std::time::Duration;

use rusqlite::Connection;
use tamga::run::Failure;
use tamga_simulators::model::plant::Kind;

use crate::shift::Shift;
use crate::world::{World, scratch, until};

/// The step has an order that the database has not: its next record is not allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_the_way_upstream_that_is_not_allowed_ends_the_process_with_words() {
    let shift = Shift::of(Kind::PrintAndApply, "a bug");
    let dir = scratch("line-bug");
    let world = World::build(&shift.wanted, &dir).await;
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let path = tamga::store::open::database_path(&config.agent.data);
    let mut agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    until("an order", Duration::from_secs(30), async || {
        let books = Connection::open(&path).ok()?;
        books.busy_timeout(Duration::from_secs(5)).ok()?;
        books.pragma_update(None, "foreign_keys", false).ok()?;
        (books.execute("DELETE FROM orders", []).ok()? > 0).then_some(())
    })
    .await;
    let failure = tokio::time::timeout(Duration::from_secs(60), agent.failed()).await;
    let failure = failure.expect("the process ends");
    assert!(matches!(failure, Failure::Bug(_)), "{failure}");
    assert!(failure.to_string().contains("a bug of ours"), "{failure}");
    agent.stop().await;
    let World { plant, upstream, .. } = world;
    plant.shutdown().await;
    tokio::task::spawn_blocking(move || drop(upstream)).await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}
