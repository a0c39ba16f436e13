//! One small run from start to sheet, with a person who tends the line when it stands.

use std::time::Duration;

use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::plant_orders::Order;
use tamga_simulators::model::truth::Fate;
use tamga_simulators::model::xtrace::fault as state_fault;
use tokio::task::LocalSet;
use tokio::time::{Instant, interval};

use crate::world::compare;
use crate::world::operator::{Deeds, Operator};
use crate::world::{self, GTIN, ReaderLink, Wanted, World, scratch, until};

/// A run of a few seconds that hangs is told after this.
const RUN_MAX: Duration = Duration::from_secs(75);

/// What a small run is made of.
#[derive(Clone, Debug)]
pub struct Shift {
    pub name: String,
    pub wanted: Wanted,
    pub items: u32,
    pub state: state_fault::FaultPlan,
    /// More items in the bin than these are a fault of the agent.
    pub rejected_max: Option<usize>,
}

impl Shift {
    pub fn of(kind: Kind, name: &str) -> Shift {
        let items = 40;
        let roll = if kind == Kind::PrePrinted { 4 * items } else { 0 };
        let wanted = Wanted {
            kind,
            items_per_min: 600,
            roll,
            order: 400,
            low_water: 100,
            pull: 50,
            ..Wanted::default()
        };
        Shift {
            name: name.to_owned(),
            wanted,
            items,
            state: state_fault::FaultPlan::default(),
            rejected_max: None,
        }
    }

    /// A printing line with one fault of the plant.
    pub fn with_fault(kind: Kind, fault: &str) -> Shift {
        let mut shift = Shift::of(kind, fault);
        shift.wanted.faults = FaultPlan::parse(fault).unwrap();
        shift
    }
}

/// Works all shifts at one time, each in its own world, and fails with all that is wrong with any of them.
pub async fn work(shifts: impl IntoIterator<Item = Shift>) {
    // RUST_LOG=debug shows what an agent does; another test may have set it up already.
    let log = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
    drop(log.with_test_writer().try_init());
    // LINE_ONLY=name leaves out all worlds but those whose name has it.
    let only = std::env::var("LINE_ONLY").unwrap_or_default();
    let shifts = shifts.into_iter().filter(|shift| shift.name.contains(&only));
    let mut problems: Vec<String> = Vec::new();
    // The agents run on the runtime's threads; the people who tend them share this one.
    let local = LocalSet::new();
    let working: Vec<_> = shifts.map(|shift| (shift.name.clone(), local.spawn_local(one(shift)))).collect();
    let all = local.run_until(async {
        for (name, shift) in working {
            match shift.await {
                Ok(found) => problems.extend(found.into_iter().map(|p| format!("{name}: {p}"))),
                // A wait that gave up.
                Err(e) => problems.push(format!("{name}: {}", panic_text(e))),
            }
        }
    });
    all.await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

/// The differences between books and truth at the end of one shift.
async fn one(shift: Shift) -> Vec<String> {
    let dir = scratch(&format!("line-{}", shift.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    let world = World::build(&shift.wanted, &dir).await;
    world.upstream.faults(shift.state.clone());
    let serial = match &shift.wanted.reader {
        ReaderLink::Serial(link) => Some(crate::kinds::serial_line(&world, link).await),
        ReaderLink::Connect | ReaderLink::Listen => None,
    };
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    let problems = produce(&shift, &world, &operator).await;
    agent.stop().await;
    drop(serial);
    let World { plant, upstream, .. } = world;
    plant.shutdown().await;
    // Joins its thread, which must not hold up the other worlds.
    tokio::task::spawn_blocking(move || drop(upstream)).await.unwrap();
    // A folder of a run that went wrong stays for whoever looks into it.
    if problems.is_empty() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    problems
}

pub async fn produce(shift: &Shift, world: &World, operator: &Operator) -> Vec<String> {
    let mut deeds = Deeds::default();
    let run = match passed(shift, world, operator, &mut deeds).await {
        Ok(run) => run,
        Err(stuck) => return vec![stuck],
    };
    close(world, operator, &mut deeds).await;
    let sheet = until("the reports to be accepted", Duration::from_secs(90), async || {
        let sheet = operator.sheet(run).await.ok()?;
        (sheet["codes"]["applied"] == sheet["items"]["codes_passed"]).then_some(sheet)
    })
    .await;
    let mut problems = differences(&sheet, world, operator, &deeds).await;
    problems.extend(struck(shift, world));
    problems.extend(false_rejects(shift, world, &sheet));
    problems
}

/// Starts a run and sees all its items through the gate; its number, or why it did not end.
pub async fn passed(
    shift: &Shift,
    world: &World,
    operator: &Operator,
    deeds: &mut Deeds,
) -> Result<u64, String> {
    let wanted = &shift.wanted;
    until("the agent's API", Duration::from_secs(20), async || operator.status().await).await;
    if wanted.kind == Kind::PrePrinted {
        let taken = operator.import("roll-1", "water", &world.roll).await.unwrap();
        assert_eq!(taken, u64::from(wanted.roll));
    } else {
        until("codes from the state system", Duration::from_secs(60), async || {
            let level = operator.pooled(GTIN).await?;
            (level >= u64::from(wanted.pull)).then_some(())
        })
        .await;
    }
    let run = until("the line to start", Duration::from_secs(30), async || {
        let (production, expiry) = world::dates();
        operator.start(GTIN, shift.items, &production, &expiry).await.ok()
    })
    .await;
    let run = run["opened"]["run"].as_u64().unwrap();
    run_out(world, operator, deeds).await?;
    world.plant.order(Order::BeltStop);
    Ok(run)
}

async fn run_out(world: &World, operator: &Operator, deeds: &mut Deeds) -> Result<(), String> {
    let give_up = Instant::now() + RUN_MAX;
    let mut look = interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        let Some(line) = operator.line().await else { continue };
        // A line that stood for another reason when the last pass became known is complete all the same.
        let (passed, wanted) = (&line["run"]["passed"], &line["run"]["plan"]["quantity"]);
        if line["stopped_by"].is_object() && passed.as_u64() >= wanted.as_u64() && passed.is_u64() {
            return Ok(());
        }
        operator.tend(&line, &world.plant.truth(), deeds).await;
        if Instant::now() > give_up {
            return Err(format!("the run did not end in time: {line} {:?}", world.plant.summary()));
        }
    }
}

pub async fn close(world: &World, operator: &Operator, deeds: &mut Deeds) {
    until("the run to close", Duration::from_secs(60), async || {
        let line = operator.line().await?;
        if line["run"].is_null() {
            return Some(());
        }
        operator.declare_unknown(&line, &world.plant.truth(), deeds).await;
        // Refused while an item's pass is unknown: the next look declares it.
        drop(operator.close().await);
        None
    })
    .await;
}

/// A fault that was asked for and never struck proves nothing.
fn struck(shift: &Shift, world: &World) -> Option<String> {
    let plant = world.plant.faults().into_iter().filter(|f| f.rate > 0.0 && f.struck == 0);
    let quiet: Vec<&str> = plant.map(|f| f.kind.name()).collect();
    let state = world.upstream.fault_report().struck;
    let idle = shift.state.rules.iter().find(|r| !state.contains_key(&r.fault)).map(|r| r.fault);
    (!quiet.is_empty() || idle.is_some()).then(|| format!("never struck: {quiet:?} {idle:?}"))
}

/// Good items in the bin: true books alone do not show that the line does its work.
fn false_rejects(shift: &Shift, world: &World, sheet: &serde_json::Value) -> Option<String> {
    let truth = world.plant.truth();
    let rejected = truth.items.iter().filter(|item| item.fate == Some(Fate::Rejected)).count();
    (rejected > shift.rejected_max?).then(|| format!("{rejected} items in the bin: {}", sheet["items"]))
}

async fn differences(
    sheet: &serde_json::Value,
    world: &World,
    operator: &Operator,
    deeds: &Deeds,
) -> Vec<String> {
    let findings = compare::books(sheet, &world.plant.truth(), &world.upstream.truth(), operator).await;
    let differs = findings.iter().filter(|f| !f.agrees());
    let mut problems: Vec<String> =
        differs.map(|f| format!("{}: agent {}, truth {}", f.what, f.agent, f.truth)).collect();
    if !problems.is_empty() {
        problems.push(format!("{deeds:?} {:?} {}", world.plant.summary(), sheet["items"]));
    }
    problems
}
