//! Answers of the state system that are lost, late or doubled: each report in effect exactly once, no person needed.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tamga_dst::answers::{Campaign, Counts, Fates, Plan, Sums, play};
use tamga_dst::campaign::folder;
use tamga_dst::planted::Planted;

use crate::tell_planted;

/// The planted faults that concern the way upstream.
const PLANTED: [Planted; 3] =
    [Planted::BlindSecondPost, Planted::AbsentAfterOneLook, Planted::RetryWithNewKey];

/// Plays days on which answers of the state system are lost, late or doubled all the time: the agent's own upstream step
/// and store, with the product's usual time-outs, over a model of the state system, and compares the agent's books with it.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo run --release --example prove -- answers --bad 20000")]
pub struct Args {
    /// Ends after so many requests whose answer was lost, late or doubled
    #[arg(long, default_value_t = 20_000)]
    bad: u64,
    /// How many seeds at most
    #[arg(long, default_value_t = 1_000_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Begins no new seed after so many minutes
    #[arg(long)]
    minutes: Option<f64>,
    /// Threads; seeds are independent
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Plays this one seed
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: writes what happened, step by step, to standard output
    #[arg(long, requires = "seed")]
    log: bool,
    /// Breaks a rule of the agent, to see that it is found: a name, or `all` for one after another
    #[arg(long)]
    planted: Option<String>,
    /// Goes on after this many seeds that broke a rule
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

pub fn run(args: &Args) -> ExitCode {
    let planted = match args.planted.as_deref() {
        None => None,
        Some("all") => return planted(args),
        Some(name) => match PLANTED.into_iter().find(|p| p.name() == name) {
            Some(planted) => Some(planted),
            None => {
                let names = PLANTED.map(Planted::name).join(", ");
                eprintln!("No planted fault of the way upstream is called {name}. There are: all, {names}.");
                return ExitCode::from(2);
            }
        },
    };
    if let Some(seed) = args.seed {
        return one(seed, args, planted);
    }
    let sums = campaign(args, planted).run(|sums| {
        if sums.seeds.is_multiple_of(10) {
            eprint!(
                "\r{:.0} s: {} seeds, {} bad answers ",
                sums.took.as_secs_f64(),
                sums.seeds,
                sums.counts.bad()
            );
            drop(std::io::stderr().flush());
        }
    });
    eprintln!();
    for failure in &sums.failures {
        for v in failure.violations.iter().take(5) {
            println!("seed {}: VIOLATION {} at {} ms: {}", failure.seed, v.rule, v.at_ms, v.what);
        }
        println!("  replay: cargo run --release --example prove -- answers --seed {} --log", failure.seed);
    }
    report(&sums);
    ExitCode::from(u8::from(!sums.failures.is_empty()))
}

fn campaign(args: &Args, planted: Option<Planted>) -> Campaign {
    Campaign {
        seeds: args.from..args.from.saturating_add(args.seeds),
        threads: args.threads,
        bad: args.bad,
        at_most: args.minutes.map(|m| Duration::from_secs_f64(m * 60.0)),
        planted,
        failures_max: args.failures,
    }
}

fn one(seed: u64, args: &Args, planted: Option<Planted>) -> ExitCode {
    let dir = folder();
    let ended = play(&Plan::of(seed, planted), &dir, args.log);
    drop(std::fs::remove_dir_all(dir));
    for line in &ended.lines {
        println!("{line}");
    }
    for v in &ended.violations {
        println!("VIOLATION {} at {} ms: {}", v.rule, v.at_ms, v.what);
    }
    table(&ended.counts);
    println!("seed {seed}: fingerprint {:016x}", ended.fingerprint);
    ExitCode::from(u8::from(!ended.violations.is_empty()))
}

fn planted(args: &Args) -> ExitCode {
    let mut missed = 0;
    for planted in PLANTED {
        let sums = campaign(args, Some(planted)).run(|_| ());
        missed += u32::from(!tell_planted(planted, sums.seeds, &sums.failures));
    }
    ExitCode::from(u8::from(missed > 0))
}

fn table(counts: &Counts) {
    println!(
        "{:<14} {:>8} {:>8} {:>8} {:>8} {:>12}",
        "request", "sent", "lost", "late", "doubled", "turned away"
    );
    let mut all = Fates::default();
    let row = |name: &str, f: &Fates| {
        println!(
            "{name:<14} {:>8} {:>8} {:>8} {:>8} {:>12}",
            f.sent, f.lost, f.late, f.doubled, f.turned_away
        );
    };
    for (name, fates) in &counts.requests {
        row(name, fates);
        all.add(fates);
    }
    row("all", &all);
}

fn report(sums: &Sums) {
    let counts = &sums.counts;
    println!("faults that struck");
    for (name, count) in &counts.faults {
        println!("  {count:>9}  {name}");
    }
    table(counts);
    let r = &counts.reports;
    println!(
        "{} reports of {} codes: {} in effect exactly once, {} twice, {} never, {} that needed a person; {} refused or \
         taken in part, and replaced",
        r.drafted, r.codes, r.once, r.twice, r.never, r.person, r.replaced
    );
    println!(
        "The state system refused for good, each named to a person: {} codes that somebody annulled there, {} for no \
         reason that it told. {} orders; {} of them the state system has twice, since the way repeated the request.",
        r.annulled, r.refused, r.orders, r.orders_doubled
    );
    println!(
        "{} seeds, {} kills of the agent, {:.0} simulated hours, {:.0} s",
        sums.seeds,
        counts.kills,
        counts.simulated_ms as f64 / 3.6e6,
        sums.took.as_secs_f64()
    );
    if sums.failures.is_empty() {
        println!("{} requests had their answer lost, late or doubled, and no rule was broken.", counts.bad());
    }
}
