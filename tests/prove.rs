//! Never twice, never lost: plays seeds of the deterministic simulation and says what they saw.
//!
//! ```sh
//! cargo run --release --example prove                          # two minutes
//! cargo run --release --example prove -- --seeds 20000 --items 500
//! cargo run --release --example prove -- --seed 17 --step      # one seed, event by event
//! cargo run --release --example prove -- answers               # answers of the state system lost, late, doubled
//! cargo run --release --example prove -- slips                  # slips of the labels, and what is none
//! ```

#[path = "prove/answers.rs"]
mod answers;
#[path = "prove/slips.rs"]
mod slips;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tamga_dst::campaign::{Campaign, Failure, Sums, folder};
use tamga_dst::packs::PackCounts;
use tamga_dst::plan::{Plan, Switches, names};
use tamga_dst::planted::Planted;
use tamga_dst::step;
use tamga_dst::world::{self, Ended};

/// Seeds in which a planted fault must be found.
const PLANTED_SEEDS_MAX: u64 = 1_000;

/// Plays seeds of the deterministic simulation: the agent's cores, store, device sessions and upstream step over models
/// of everything else, all faults on, and compares what physically happened with the agent's books.
#[derive(Parser)]
#[command(after_help = "Example: cargo run --release --example prove -- --seeds 2000 --without gate-power")]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    campaign: Option<Other>,
    /// How many seeds
    #[arg(long, default_value_t = 1_000_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Items of each seed
    #[arg(long, default_value_t = 300)]
    items: u64,
    /// Begins no new seed after so many minutes; without --seeds, 2
    #[arg(long)]
    minutes: Option<f64>,
    /// Threads; seeds are independent
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Plays this one seed
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: writes what happened, event by event, to this file; `-` is standard output
    #[arg(long, requires = "seed")]
    log: Option<String>,
    /// With --seed: shows what happened event by event, as far as you ask
    #[arg(long, requires = "seed", conflicts_with = "log")]
    step: bool,
    /// Writes the log of each seed that breaks a rule into this folder, as seed-N.log
    #[arg(long, default_value = "target/prove", conflicts_with = "seed")]
    logs: PathBuf,
    /// Only these faults, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// All faults but these
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Names all faults and ends
    #[arg(long)]
    faults: bool,
    /// Breaks a rule of the agent, to see that it is found: a name, or `all` for one after another
    #[arg(long)]
    planted: Option<String>,
    /// Goes on after this many seeds that broke a rule
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

/// Campaigns beside the one over everything.
#[derive(Subcommand)]
enum Other {
    Answers(answers::Args),
    Slips(slips::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.campaign {
        None => {}
        Some(Other::Answers(args)) => return answers::run(args),
        Some(Other::Slips(args)) => return slips::run(args),
    }
    if args.faults {
        println!("{}", names().join("\n"));
        return ExitCode::SUCCESS;
    }
    let mut switches = Switches { only: args.only.clone(), without: args.without.clone(), planted: None };
    let unknown = switches.unknown();
    if !unknown.is_empty() {
        eprintln!("No fault is called {}. --faults names them all.", unknown.join(", "));
        return ExitCode::from(2);
    }
    match args.planted.as_deref() {
        None => {}
        Some("all") => return planted(&args, &switches),
        Some(name) => match Planted::of(name) {
            Some(planted) => switches.planted = Some(planted),
            None => {
                let names: Vec<&str> = Planted::ALL.iter().map(|p| p.name()).collect();
                eprintln!("No planted fault is called {name}. There are: all, {}.", names.join(", "));
                return ExitCode::from(2);
            }
        },
    }
    match args.seed {
        Some(seed) => one(seed, &args, &switches),
        None => many(&args, switches),
    }
}

/// Plays one seed in a folder of its own.
fn played(seed: u64, args: &Args, switches: &Switches, traced: bool) -> Ended {
    let dir = folder();
    let ended = world::play(&Plan::of(seed, args.items, switches), &dir, traced);
    drop(std::fs::remove_dir_all(dir));
    ended
}

fn one(seed: u64, args: &Args, switches: &Switches) -> ExitCode {
    let ended = played(seed, args, switches, args.log.is_some() || args.step);
    let text = ended.lines.join("\n");
    match args.log.as_deref() {
        Some("-") => println!("{text}"),
        Some(path) => {
            if let Err(why) = std::fs::write(path, text) {
                eprintln!("{path}: {why}");
                return ExitCode::from(2);
            }
        }
        None if args.step => {
            if let Err(why) = step::through(&ended.lines, std::io::stdin().lock(), std::io::stdout()) {
                eprintln!("{why}");
                return ExitCode::from(2);
            }
        }
        None => {}
    }
    for violation in &ended.violations {
        println!("VIOLATION {} at {} ms: {}", violation.rule, violation.at_ms, violation.what);
    }
    println!(
        "seed {seed}: {} marks, {} items passed, {} starts, {} power cuts, {} simulated s, fingerprint {:016x}",
        ended.counts.marks,
        ended.counts.passed,
        ended.counts.starts,
        ended.counts.power_cuts,
        ended.counts.simulated_ms / 1000,
        ended.fingerprint
    );
    ExitCode::from(u8::from(!ended.violations.is_empty()))
}

/// Plays seeds with each planted fault until one finds it.
fn planted(args: &Args, switches: &Switches) -> ExitCode {
    let mut missed = 0;
    for planted in Planted::ALL {
        let campaign = Campaign {
            seeds: args.from..args.from + args.seeds.min(PLANTED_SEEDS_MAX),
            items: args.items,
            threads: args.threads,
            switches: Switches { planted: Some(planted), ..switches.clone() },
            at_most: None,
            failures_max: 1,
        };
        let sums = campaign.run(|_, _| ());
        missed += u32::from(!tell_planted(planted, sums.seeds, &sums.failures));
    }
    ExitCode::from(u8::from(missed > 0))
}

/// Says after how many seeds a planted fault was found; false: it was not.
fn tell_planted(planted: Planted, seeds: u64, failures: &[Failure]) -> bool {
    let found = failures.first().and_then(|f| f.violations.first());
    match found {
        Some(v) => println!("{:<26} found after {seeds:>4} seeds: {}", planted.name(), v.rule),
        None => println!("{:<26} NOT FOUND in {seeds} seeds", planted.name()),
    }
    found.is_some()
}

fn many(args: &Args, switches: Switches) -> ExitCode {
    let bounded = args.seeds < 1_000_000;
    let minutes = args.minutes.or((!bounded).then_some(2.0));
    let campaign = Campaign {
        seeds: args.from..args.from + args.seeds,
        items: args.items,
        threads: args.threads,
        switches: switches.clone(),
        at_most: minutes.map(|m| Duration::from_secs_f64(m * 60.0)),
        failures_max: args.failures,
    };
    let sums = campaign.run(|sums, failure| {
        if let Some(failure) = failure {
            println!();
            tell(failure, args, &switches);
        }
        if sums.seeds.is_multiple_of(50) {
            eprint!(
                "\r{:.0} s: {} seeds, {} marks, {} power cuts ",
                sums.took.as_secs_f64(),
                sums.seeds,
                sums.counts.marks,
                sums.counts.power_cuts
            );
            drop(std::io::stderr().flush());
        }
    });
    eprintln!();
    report(&sums);
    ExitCode::from(u8::from(!sums.failures.is_empty()))
}

fn report(sums: &Sums) {
    let seconds = sums.took.as_secs_f64();
    println!("faults that struck");
    for name in names() {
        let count = sums.counts.strikes.get(&name).copied().unwrap_or(0);
        let word = if count == 0 { "  NEVER: it proves nothing here" } else { "" };
        println!("  {count:>9}  {name}{word}");
    }
    println!(
        "{} seeds, {} marks printed, {} items passed, {} starts of the agent, {} kills, {} power cuts, {:.1} simulated hours",
        sums.seeds,
        sums.counts.marks,
        sums.counts.passed,
        sums.counts.starts,
        sums.counts.kills,
        sums.counts.power_cuts,
        sums.counts.simulated_ms as f64 / 3.6e6
    );
    report_packs(&sums.counts.packs);
    println!(
        "{seconds:.0} s, {:.0} marks a second, {:.1} seeds a second",
        sums.counts.marks as f64 / seconds,
        sums.seeds as f64 / seconds
    );
    if sums.failures.is_empty() {
        println!("No rule was broken, and everything settled.");
    }
}

/// What was packed, and what in boxes differs from their data by what nothing could have seen.
fn report_packs(packs: &PackCounts) {
    println!(
        "{} boxes and {} pallets closed, {} things in them; {} differ from their data, by slips that nothing could have seen:",
        packs.boxes, packs.pallets, packs.packed, packs.different
    );
    for (slip, count) in &packs.by_slip {
        println!("  {count:>9}  {slip}");
    }
}

fn tell(failure: &Failure, args: &Args, switches: &Switches) {
    for violation in failure.violations.iter().take(5) {
        println!(
            "seed {}: VIOLATION {} at {} ms: {}",
            failure.seed, violation.rule, violation.at_ms, violation.what
        );
    }
    // What is allowed decides what is drawn: without the same switches it is another day.
    let mut same = format!("--seed {} --items {}", failure.seed, args.items);
    for (flag, names) in [("only", &switches.only), ("without", &switches.without)] {
        if !names.is_empty() {
            same += &format!(" --{flag} {}", names.join(","));
        }
    }
    if let Some(planted) = switches.planted {
        same += &format!(" --planted {}", planted.name());
    }
    println!("  replay: cargo run --release --example prove -- {same} --step");
    match keep_log(failure.seed, args, switches) {
        Ok(path) => println!("  log: {}", path.display()),
        Err(why) => println!("  its log could not be written to {}: {why}", args.logs.display()),
    }
}

/// Plays the seed once more, and writes what happened.
fn keep_log(seed: u64, args: &Args, switches: &Switches) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(&args.logs)?;
    let text = played(seed, args, switches, true).lines.join("\n");
    let path = args.logs.join(format!("seed-{seed}.log"));
    std::fs::write(&path, text)?;
    Ok(path)
}
