//! `prove slips`: for each kind of slip, and of what is none, many seeds, and how many read items it took to be found.

use std::io::Write;
use std::process::ExitCode;

use tamga_dst::campaign::folder;
use tamga_dst::slips::{Broken, ITEMS_MAX, What, plan};
use tamga_dst::trials::{Outcome, Row, Trials};
use tamga_dst::world;

/// Seeds of each kind, if none are named.
const SEEDS: u64 = 200;
/// Items of each seed.
const ITEMS: u64 = 70;
/// Wrong trials that are told one by one.
const TOLD_MAX: usize = 12;

/// Tries the order of labels: on each day one slip, which must stop the line within three read items with its window
/// named, or one thing that is none, which must stop nothing.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo run --release --example prove -- slips --only roll --seeds 500")]
pub struct Args {
    /// Seeds of each kind of trial
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Printers of the line: the labels of one of them slip, and three read items are three of its labels
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=3))]
    printers: usize,
    /// Threads; trials are independent
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Plays this one seed of each kind of trial
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: writes what happened, event by event, to standard output
    #[arg(long, requires = "seed")]
    log: bool,
    /// Only trials with these words in their name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// All trials but those with these words in their name
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Breaks the detector, to see that it is found: `blind` or `jumpy`
    #[arg(long)]
    planted: Option<String>,
    /// Ends after so many wrong trials
    #[arg(long)]
    failures: Option<usize>,
}

pub fn run(args: &Args) -> ExitCode {
    let unknown = |name: &&String| !What::ALL.iter().any(|w| w.name().contains(name.as_str()));
    if let Some(name) = args.only.iter().chain(&args.without).find(unknown) {
        eprintln!("No trial is called {name}. There are: {}.", What::ALL.map(What::name).join("; "));
        return ExitCode::from(2);
    }
    let named = |names: &[String], what: &What| names.iter().any(|n| what.name().contains(n.as_str()));
    let mut of = What::ALL.to_vec();
    of.retain(|w| (args.only.is_empty() || named(&args.only, w)) && !named(&args.without, w));
    let broken = match args.planted.as_deref() {
        None => None,
        Some("blind") => Some(Broken::Blind),
        Some("jumpy") => Some(Broken::Jumpy),
        Some(other) => {
            eprintln!("No planted fault of this campaign is called {other}. There are: blind, jumpy.");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = args.seed {
        return one(&of, seed, args.printers, broken, args.log);
    }
    let trials = Trials {
        of,
        seeds: args.from..args.from + args.seeds,
        items: ITEMS,
        printers: args.printers,
        threads: args.threads,
        broken,
        failures_max: args.failures.unwrap_or(usize::MAX),
    };
    let outcome = trials.run(|no| {
        if no.is_multiple_of(50) {
            eprint!("\r{no} trials ");
            drop(std::io::stderr().flush());
        }
    });
    eprintln!();
    report(&outcome, args.printers);
    ExitCode::from(u8::from(!outcome.wrong.is_empty()))
}

fn one(of: &[What], seed: u64, printers: usize, broken: Option<Broken>, told: bool) -> ExitCode {
    let dir = folder();
    let mut wrong = 0;
    for what in of {
        let ended = world::play(&plan(*what, seed, ITEMS, printers, broken), &dir, told);
        if told {
            println!("{}", ended.lines.join("\n"));
        }
        let observed = ended.observed.unwrap_or_default();
        println!("{}: {observed:?} {:?}", what.name(), ended.violations);
        wrong += observed.faults(*what).len() + ended.violations.len();
    }
    drop(std::fs::remove_dir_all(dir));
    ExitCode::from(u8::from(wrong > 0))
}

fn report(outcome: &Outcome, printers: usize) {
    let more = if printers > 1 { format!(" --printers {printers}") } else { String::new() };
    println!(
        "{:<34}{:>7}{:>7}{:>8}{:>6}{:>13}{:>13}{:>11}{:>11}",
        "", "seeds", "found", "median", "most", "most at eye", "false stops", "too small", "too large"
    );
    for (slips, head) in [(true, "slips: read items until the line stops"), (false, "no slips")] {
        println!("{head}");
        for (what, row) in outcome.rows.iter().filter(|(what, _)| what.is_slip() == slips) {
            line(what.name(), slips, row);
        }
    }
    for wrong in outcome.wrong.iter().take(TOLD_MAX) {
        println!("WRONG {}, seed {}: {}", wrong.what.name(), wrong.seed, wrong.why.join("; "));
        println!(
            "  replay: cargo run --release --example prove -- slips{more} --only '{}' --seed {} --log",
            wrong.what.name(),
            wrong.seed
        );
    }
    let seeds: u64 = outcome.rows.values().map(|r| r.tried).sum();
    println!("{seeds} trials in {:.0} s, {} of them wrong", outcome.took.as_secs_f64(), outcome.wrong.len());
    if outcome.wrong.is_empty() {
        println!("Every slip was found within {ITEMS_MAX} read items, and nothing else stopped the line.");
    }
}

fn line(name: &str, slip: bool, row: &Row) {
    let number = |n: Option<usize>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let of_slips = |text: String| if slip { text } else { "–".to_owned() };
    println!(
        "  {name:<32}{:>7}{:>7}{:>8}{:>6}{:>13}{:>13}{:>11}{:>11}",
        row.tried,
        of_slips(row.items.len().to_string()),
        number(row.median()),
        number(row.items.iter().max().copied()),
        number(row.came.iter().max().copied()),
        row.false_stops,
        of_slips(row.too_small.to_string()),
        of_slips(row.too_large.to_string())
    );
}
