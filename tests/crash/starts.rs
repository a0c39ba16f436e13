//! Starts that are refused, a first start cut short, and the end that is asked for.

use std::time::Duration;

use rusqlite::Connection;

use super::agent::{Agent, tail};
use super::world::operator::Operator;
use super::world::{self, GTIN, KEPT, Own, Wanted, World, left_in, scratch, until};

const THERE_MAX: Duration = Duration::from_secs(60);

/// The exit code of a fault of the computer or of the program.
const INTERNAL: i32 = 7;

/// The exit code after which the service is not started again by itself.
const OTHER_MACHINE: i32 = 8;

struct Desk {
    world: World,
    operator: Operator,
}

async fn desk(name: &str, wanted: Wanted) -> Desk {
    let dir = world::scratch(name);
    let world = World::build(&wanted, &dir).await;
    let operator = Operator::new(world.api, &world.dir.join("data"));
    Desk { world, operator }
}

impl Desk {
    async fn answers(&self, agent: &Agent) {
        until("the agent's API", THERE_MAX, async || {
            agent.must_live();
            self.operator.status().await
        })
        .await;
    }

    async fn end(self) {
        self.world.plant.shutdown().await;
        drop(std::fs::remove_dir_all(&self.world.dir));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_the_same_data_folder_is_refused_and_says_who_has_it() {
    let desk = desk("crash-second", Wanted::default()).await;
    let first = Agent::start(&desk.world);
    desk.answers(&first).await;
    let mut second = Agent::start(&desk.world);
    let ended = second.ended().await;
    assert_eq!(ended.code(), Some(INTERNAL));
    let said = tail(&desk.world.dir.join("agent.log"));
    assert!(said.contains("is in use by process"), "{said}");
    assert!(said.contains(&first.pid().to_string()), "it names the process: {said}");
    first.must_live();
    drop(first);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_very_first_start_leaves_a_folder_that_starts() {
    let desk = desk("crash-first", Wanted::default()).await;
    let data = desk.world.dir.join("data");
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..12 {
        drop(std::fs::remove_dir_all(&data));
        let mut agent = Agent::start(&desk.world);
        // The folder, the database, the token: each seen for the first time, and a little later.
        let seen = [data.clone(), data.join("tamga.db"), data.join("tamga.db-wal"), data.join("api.token")];
        let seen = &seen[round % seen.len()];
        let mut look = tokio::time::interval(Duration::from_millis(1));
        let give_up = tokio::time::Instant::now() + THERE_MAX;
        while !seen.exists() && tokio::time::Instant::now() < give_up {
            look.tick().await;
        }
        tokio::time::sleep(Duration::from_micros(random.u64(0..15_000))).await;
        agent.kill();
        agent.again();
        desk.answers(&agent).await;
    }
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_running_line_within_seconds_with_exit_code_0_and_the_belt_stopped() {
    let desk = desk("crash-term", Wanted { order: 200, low_water: 50, pull: 50, ..Wanted::default() }).await;
    let mut agent = Agent::start(&desk.world);
    let (production, expiry) = world::dates();
    until("a run to be opened", THERE_MAX, async || {
        desk.operator.start(GTIN, 0, &production, &expiry).await.ok()
    })
    .await;
    desk.world.plant.wait(THERE_MAX, |s| s.passed >= 5).await.unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log_tail());
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?}", asked.elapsed());
    assert!(!desk.world.plant.summary().belt_moving, "the belt stands");
    desk.end().await;
}

/// No line has a run, so no line's commit is refused: the daemon must not go on with books that take nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_while_no_line_works_ends_the_agent_and_is_told() {
    let desk = desk("crash-idle", Wanted { pull: 25, ..Wanted::default() }).await;
    let mut agent = Agent::start(&desk.world);
    desk.answers(&agent).await;
    // A table is gone that every block needs: the next one that is pulled cannot be written.
    let database = Connection::open(desk.world.dir.join("data/tamga.db")).unwrap();
    database.busy_timeout(THERE_MAX).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE pieces").unwrap();
    drop(database);
    assert_eq!(agent.ended().await.code(), Some(INTERNAL));
    let said = agent.log_tail();
    assert!(said.contains("a write to disk failed") && said.contains("no such table"), "{said}");
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_of_another_machine_is_refused() {
    let desk = desk("crash-machine", Wanted::default()).await;
    let mut agent = Agent::start(&desk.world);
    desk.answers(&agent).await;
    assert_eq!(agent.terminate().await, Some(0));
    // As if the folder had been copied here: it bears the id of the machine that it was made on.
    let database = desk.world.dir.join("data/tamga.db");
    let changed = Connection::open(&database)
        .unwrap()
        .execute("UPDATE meta SET value = 'ffffffffffffffffffffffffffffffff' WHERE key = 'machine'", [])
        .unwrap();
    // A machine without an id cannot tell a copy; there is nothing to test then.
    if changed == 1 {
        agent.again();
        assert_eq!(agent.ended().await.code(), Some(OTHER_MACHINE));
        let said = agent.log_tail();
        assert!(said.contains("belongs to another machine") && said.contains("tamga db settle"), "{said}");
    }
    desk.end().await;
}

/// Who is killed by SIGKILL kills nobody: the kernel does, when the thread that started the agent is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_dies_with_who_started_it_though_nobody_kills_it() {
    let desk = desk("crash-orphan", Wanted::default()).await;
    let pid = std::thread::scope(|scope| {
        let start = || {
            let agent = Agent::start(&desk.world);
            let pid = agent.pid();
            std::mem::forget(agent);
            pid
        };
        scope.spawn(start).join().unwrap()
    });
    until("the agent to be dead", THERE_MAX, async || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // A zombie: nobody is left who waits for it but the end of this process.
        state.rsplit(") ").next().is_some_and(|s| s.starts_with('Z')).then_some(())
    })
    .await;
    desk.end().await;
}

#[test]
fn what_a_killed_campaign_left_is_cleared_but_for_what_it_kept() {
    let all = scratch("crash-left");
    let (dead, alive) = (Own::make(&all, 11), Own::make(&all, 12));
    for own in [&dead, &alive] {
        for folder in ["looked-at", "left"] {
            std::fs::create_dir(own.path.join(folder)).unwrap();
        }
        std::fs::write(own.path.join("looked-at").join(KEPT), "campaign kills").unwrap();
    }
    let kept = dead.path.join("looked-at");
    drop(dead);
    for _ in 0..2 {
        assert_eq!(left_in(&all), std::slice::from_ref(&kept));
        assert!(kept.join(KEPT).exists() && !all.join("11/left").exists());
    }
    assert!(alive.path.join("left").exists(), "its process lives");
    std::fs::remove_dir_all(kept).unwrap();
    assert_eq!(left_in(&all), [""; 0].map(std::path::PathBuf::from));
    assert!(!all.join("11").exists());
    drop(alive);
    std::fs::remove_dir_all(all).unwrap();
}
