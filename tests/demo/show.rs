//! What the demo shows: one line of progress while it works, then the sheet and the comparison.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::world::World;
use super::world::compare::Finding;
use super::world::operator::Deeds;

pub struct Progress {
    quiet: bool,
    terminal: bool,
    looks: u32,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        Progress { quiet, terminal: std::io::stdout().is_terminal(), looks: 0 }
    }

    pub fn say(&self, what: &str) {
        if !self.quiet {
            println!("{what}");
        }
    }

    pub fn show(&mut self, line: &Value, upstream: Option<&Value>, wanted: u32, elapsed: Duration) {
        self.looks += 1;
        // A file gets a line every five seconds, a terminal one line that changes.
        if self.quiet || (!self.terminal && self.looks % 25 != 1) {
            return;
        }
        let run = &line["run"];
        let rejected: u64 =
            run["rejected"].as_array().into_iter().flatten().filter_map(|r| r["count"].as_u64()).sum();
        let open = upstream.map_or(0, |u| u["upstream"]["open_reports"].as_u64().unwrap_or(0));
        let stands = line["stopped_by"]["text"].as_str().unwrap_or_default();
        let text = format!(
            "{:5.1} s  {:>5}/{wanted} good  {rejected:>4} rejected  {:>5}/min  verdict {:>5.1} ms (p99 {:.1})  {:>6} codes left  {open} reports open  {stands}",
            elapsed.as_secs_f64(),
            run["passed"],
            line["items_per_min"],
            line["verdict_us"]["median"].as_f64().unwrap_or(0.0) / 1000.0,
            line["verdict_us"]["p99"].as_f64().unwrap_or(0.0) / 1000.0,
            line["pooled"].as_u64().unwrap_or(0),
        );
        if self.terminal {
            print!("\r\x1b[2K{text}");
            drop(std::io::stdout().flush());
        } else {
            println!("{text}");
        }
    }

    pub fn end(&self) {
        if self.terminal && !self.quiet {
            println!();
        }
    }
}

/// The closing sheet with its three balances.
pub fn sheet(sheet: &Value) {
    println!("\nClosing sheet of run {}", sheet["run"]);
    let (codes, items) = (&sheet["codes"], &sheet["items"]);
    let received: u64 = rows(&sheet["blocks"]).filter_map(|b| b["received"].as_u64()).sum();
    let sum = |key: &str| -> u64 { rows(&sheet["blocks"]).filter_map(|b| b[key].as_u64()).sum() };
    println!(
        "  blocks  {received} received = {} set aside + {} pooled + {} issued + {} verified + {} applied + {} written off + {} spoiled + {} returned",
        sum("set_aside"),
        sum("pooled"),
        sum("issued"),
        sum("verified"),
        sum("applied"),
        sum("written_off"),
        sum("spoiled"),
        sum("returned"),
    );
    println!(
        "  run     {} issued = {} in doubt + {} verified + {} applied + {} written off + {} spoiled",
        codes["issued"],
        codes["in_doubt"],
        codes["verified"],
        codes["applied"],
        codes["written_off"],
        codes["spoiled"],
    );
    let reasons: Vec<String> =
        rows(&items["rejected"]).map(|r| format!("{} {}", r["count"], text(&r["key"]))).collect();
    println!(
        "  line    {} triggers = {} passed + {} rejected ({}) + {} lost + {} escaped; {} codes passed",
        items["triggers"],
        items["passed"],
        rows(&items["rejected"]).filter_map(|r| r["count"].as_u64()).sum::<u64>(),
        reasons.join(", "),
        items["lost"],
        items["escaped"],
        items["codes_passed"],
    );
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What went wrong on the way, and what the operator did about it.
pub fn deeds(deeds: &Deeds, world: &World, made_in: Duration) {
    println!("\nOn the way ({:.1} s)", made_in.as_secs_f64());
    let struck = world.plant.faults().into_iter().filter(|f| f.struck > 0);
    let plant: Vec<String> = struck.map(|f| format!("{} × {}", f.struck, f.kind.name())).collect();
    println!("  faults of the plant:         {}", or_none(&plant));
    let struck = world.upstream.fault_report().struck;
    let state: Vec<String> =
        struck.iter().filter(|(_, n)| **n > 0).map(|(f, n)| format!("{n} × {f:?}")).collect();
    println!("  faults of the state system:  {}", or_none(&state));
    let resumed: Vec<String> = deeds.resumed.iter().map(|(k, n)| format!("{n} × {k}")).collect();
    println!("  the operator resumed after:  {}", or_none(&resumed));
    let declared: Vec<String> = deeds.declared.iter().map(|(k, n)| format!("{n} × {k}")).collect();
    println!("  the operator declared:       {}", or_none(&declared));
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

pub fn verdict(findings: &[Finding]) {
    println!("\nThe agent's books and the truth");
    for f in findings {
        let sign = if f.agrees() { "agrees " } else { "DIFFERS" };
        println!("  {sign}  {:<38} agent {:<8} truth {}", f.what, f.agent, f.truth);
    }
    let good = findings.iter().all(Finding::agrees);
    println!(
        "{}",
        if good { "\nThe books agree with the truth." } else { "\nTHE BOOKS DIFFER FROM THE TRUTH." }
    );
}
