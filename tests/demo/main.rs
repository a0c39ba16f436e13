//! A whole line on a desk, in one process and one command: simulated state system, printer, belt, reader and gate on
//! loopback sockets, and between them the agent as it is shipped. At the end the agent's closing sheet is compared
//! with what the simulators know to be true.

#[path = "../world/mod.rs"]
mod world;

mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tamga_simulators::fault::FaultPlan;
use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::plant_orders::Order;
use tamga_simulators::model::xtrace::fault as state_fault;
use tokio::time::Instant;

use world::compare;
use world::operator::{Deeds, Operator};
use world::{GTIN, Wanted, World, scratch, until};

/// Runs a whole simulated line, and compares the agent's books with what really happened.
#[derive(Parser, Debug)]
#[command(after_help = "Example: demo --items 500 --rate 1200 --line print --seed 7 --faults none")]
struct Args {
    /// Good items wanted.
    #[arg(long, default_value_t = 2000)]
    items: u32,
    /// Items a minute on the belt.
    #[arg(long, default_value_t = 600)]
    rate: u32,
    #[arg(long, value_enum, default_value_t = LineKind::PrintAndApply)]
    line: LineKind,
    /// Decides what goes wrong and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `none`, `default`, `rough`, or a list such as `default,ribbon-out=0.01,no-read=0`.
    #[arg(long, default_value = "default")]
    faults: String,
    /// No progress, only the end.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LineKind {
    PrintAndApply,
    Print,
    PrePrinted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let faults = match FaultPlan::parse(&args.faults) {
        Ok(plan) => plan,
        Err(e) => {
            eprintln!("--faults {}: {e}", args.faults);
            return ExitCode::from(2);
        }
    };
    match run(&args, faults).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("the demo ended early: {why}");
            ExitCode::from(3)
        }
    }
}

async fn run(args: &Args, faults: FaultPlan) -> Result<bool, String> {
    let with_faults = args.faults != "none";
    let dir = scratch("demo");
    let kind = match args.line {
        LineKind::PrintAndApply => Kind::PrintAndApply,
        LineKind::Print => Kind::Print,
        LineKind::PrePrinted => Kind::PrePrinted,
    };
    let mut wanted = Wanted {
        kind,
        items_per_min: args.rate,
        seed: args.seed,
        faults,
        // Ordered before the run, as plants do: the state refuses codes that were ordered after the production date.
        order: args.items + args.items / 2 + 200,
        low_water: (args.items / 4).clamp(100, 10_000),
        pull: (args.items / 8).clamp(50, 5_000),
        ..Wanted::default()
    };
    if kind == Kind::PrePrinted {
        // More codes than items, since some items are rejected.
        wanted.roll = args.items + args.items / 2 + 200;
    }
    let world = World::build(&wanted, &dir).await;
    if with_faults {
        world.upstream.faults(state_faults());
    }
    let config = tamga::config::Config::load(&world.config).map_err(|p| format!("{p:?}"))?;
    let agent = tamga::run::start(config, None).await.map_err(|e| tamga::chain::chain(&e))?;
    let operator = Operator::new(world.api, &dir.join("data"));
    let outcome = produce(args, &wanted, &world, &operator).await;
    agent.stop().await;
    world.plant.shutdown().await;
    drop(std::fs::remove_dir_all(&dir));
    outcome
}

/// Answers lost before and after they took effect, 5xx, a proxy's HTML: what the field tells of.
fn state_faults() -> state_fault::FaultPlan {
    use state_fault::{Fault, Rule};
    let rules = [
        Rule::new(Fault::DropBefore, 0.02),
        Rule::new(Fault::DropAfter, 0.02),
        Rule::new(Fault::ErrorBefore, 0.02),
        Rule::new(Fault::ErrorAfter, 0.02),
        Rule::new(Fault::HtmlBefore, 0.01),
        Rule::new(Fault::Truncated, 0.01),
        Rule::new(Fault::MalformedCode, 0.002),
        Rule::new(Fault::CodeTwice, 0.002),
    ];
    state_fault::FaultPlan { rules: rules.into(), ..state_fault::FaultPlan::default() }
}

async fn produce(args: &Args, wanted: &Wanted, world: &World, operator: &Operator) -> Result<bool, String> {
    let began = Instant::now();
    let mut progress = show::Progress::new(args.quiet);
    until("the agent's API", Duration::from_secs(20), async || operator.status().await).await;
    if wanted.kind == Kind::PrePrinted {
        let taken = operator.import("roll-1", "water", &world.roll).await.map_err(|r| format!("{r:?}"))?;
        progress.say(&format!("{taken} codes of roll-1 imported as stock"));
    } else {
        until("codes from the state system", Duration::from_secs(60), async || {
            let level = operator.pooled(GTIN).await?;
            (level >= u64::from(wanted.pull)).then_some(())
        })
        .await;
    }
    let mut refusals = std::collections::BTreeSet::new();
    let run = until("the line to start", Duration::from_secs(60), async || {
        let (production, expiry) = world::dates();
        match operator.start(GTIN, args.items, &production, &expiry).await {
            Ok(run) => Some(run),
            Err(refused) => {
                // A device that is not there yet: said once, tried again.
                if refusals.insert(refused.body.to_string()) {
                    progress.say(&format!("the line does not start yet: {}", refused.body["text"]));
                }
                None
            }
        }
    })
    .await;
    let run = run["opened"]["run"].as_u64().ok_or("the run has no number")?;
    let mut deeds = Deeds::default();
    let give_up =
        began + Duration::from_secs(120 + u64::from(args.items) * 240 / u64::from(args.rate.max(1)));
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        look.tick().await;
        let Some(line) = operator.line().await else { continue };
        let upstream = operator.upstream().await;
        progress.show(&line, upstream.as_ref(), args.items, began.elapsed());
        if line["stopped_by"]["key"].as_str().is_some_and(|k| k.ends_with("quantity_reached")) {
            break;
        }
        operator.tend(&line, &world.plant.truth(), &mut deeds).await;
        if Instant::now() > give_up {
            return Err(format!("the run did not end in time: {line}"));
        }
    }
    progress.end();
    let made_in = began.elapsed();
    // The belt runs empty before the line is cleared: the operator lets what stands on it into the bin.
    world.plant.order(Order::BeltStop);
    close(world, operator, &mut deeds).await;
    let sheet = reported(operator, run).await?;
    show::sheet(&sheet);
    show::deeds(&deeds, world, made_in);
    let verdict = compare::books(&sheet, &world.plant.truth(), &world.upstream.truth(), operator).await;
    show::verdict(&verdict);
    Ok(verdict.iter().all(|v| v.agrees()))
}

async fn close(world: &World, operator: &Operator, deeds: &mut Deeds) {
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

/// Waits until every passed item is applied upstream, then gives the sheet.
async fn reported(operator: &Operator, run: u64) -> Result<serde_json::Value, String> {
    let sheet = until("the reports to be accepted", Duration::from_secs(300), async || {
        let sheet = operator.sheet(run).await.ok()?;
        (sheet["codes"]["applied"] == sheet["items"]["codes_passed"]).then_some(sheet)
    });
    Ok(sheet.await)
}
