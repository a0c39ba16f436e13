//! What the real binary writes to its log: the story of a run, and no secret, at the most talkative level.

use super::agent::Agent;
use super::floor::{self, Floor, settled};
use super::world::operator::Operator;
use super::world::{self, API_KEY, Wanted, World};

/// Good items of the one run.
const QUANTITY: u32 = 15;

/// What the reader of a log looks for, in the order of a run.
const TOLD: [&str; 10] = [
    "ready api=",
    "device{name=\"p1\"}: connected",
    "codes are to be ordered",
    "block received",
    "run opened",
    "run is running",
    "run stopped",
    "run closed",
    "report drafted",
    "going down",
];

/// The verification tail of a symbol with its AI, which is long enough not to stand anywhere by chance.
fn tail(symbol: &[u8]) -> Option<String> {
    let text = String::from_utf8(symbol.to_vec()).ok()?;
    text.split_once('\u{1d}').map(|(_, tail)| tail.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_the_story_of_a_run_and_never_a_tail_the_key_or_the_token() {
    let dir = world::scratch("crash-log");
    let wanted = Wanted { order: 300, low_water: floor::POOL_MIN, ..Wanted::default() };
    let world = World::build(&wanted, &dir).await;
    let config = std::fs::read_to_string(&world.config).unwrap();
    let (before, after) = config.split_once("level = \"").unwrap();
    let after = after.split_once('"').unwrap().1;
    std::fs::write(&world.config, format!("{before}level = \"trace\"{after}")).unwrap();
    let operator = Operator::new(world.api, &dir.join("data"));
    let floor = Floor::new(&world, &operator, QUANTITY);
    let mut agent = Agent::start(&world);
    floor.struck_all();
    let work = floor.work().await;
    settled(&operator, &agent, &work.runs).await;
    let token = std::fs::read_to_string(dir.join("data/api.token")).unwrap();
    assert_eq!(agent.terminate().await, Some(0));
    let log = std::fs::read_to_string(dir.join("agent.log")).unwrap();
    for told in TOLD {
        assert!(log.contains(told), "the log does not tell {told:?}");
    }
    let accepted = log.lines().any(|l| l.contains("INFO report ") && l.contains("state=\"accepted\""));
    assert!(accepted, "no report was accepted by the log");
    assert!(log.contains(" TRACE ") && log.contains(" DEBUG "), "everything was to be told");
    // The canaries: the tails of all codes that were printed, and what opens doors.
    let printed: Vec<Vec<u8>> = world.plant.truth().labels.into_iter().filter_map(|l| l.symbol).collect();
    let tails: Vec<String> = printed.iter().filter_map(|symbol| tail(symbol)).collect();
    assert!(tails.len() >= QUANTITY as usize && tails.len() == printed.len());
    // As text, and as the numbers of its bytes.
    let as_bytes = tails.iter().map(|tail| format!("{:?}", tail.as_bytes()).replace(['[', ']'], ""));
    let opens = [API_KEY.to_owned(), token.trim().to_owned()];
    for secret in tails.iter().cloned().chain(as_bytes).chain(opens) {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret:?} stands in the log");
    }
    world.plant.shutdown().await;
    drop(std::fs::remove_dir_all(&dir));
}
