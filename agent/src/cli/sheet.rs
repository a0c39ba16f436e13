//! `tamga run sheet`: the closing sheet with its three balances.

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, Text, or_dash, short};
use super::status::{reason, state_key};
use crate::web::dto;

/// Print the closing sheet of a run: what became of every code and item
#[derive(Args)]
#[command(after_help = "Example:
  tamga run sheet 17
  tamga run sheet 17 --json | jq .balanced

Ends with 1 when a balance does not hold.")]
pub struct Sheet {
    /// The run's number: see tamga run list
    run: u32,
}

pub async fn run(daemon: &Daemon, show: Show, command: &Sheet) -> Result<(), Failed> {
    let sheet: dto::Sheet = daemon.get(&format!("/api/v1/runs/{}/sheet", command.run)).await?;
    show.print(&sheet, |text| {
        head(text, &sheet);
        blocks(text, &sheet);
        codes(text, &sheet.codes);
        items(text, &sheet.items);
        named(text, &sheet);
        text.line("");
        text.say(if sheet.balanced { "cli.balanced" } else { "cli.not_balanced" }, &[]);
    });
    if sheet.balanced { Ok(()) } else { Err(Failed::quietly(Exit::Refused)) }
}

fn head(text: &mut Text, sheet: &dto::Sheet) {
    let run = &sheet.run;
    text.fields(&[
        ("cli.l_run", run.run.to_string()),
        ("cli.l_line", run.line.clone()),
        ("cli.l_state", text.word(state_key(&run.state))),
        ("cli.l_product", format!("{} ({})", run.plan.gtin, run.plan.group)),
        ("cli.l_batch", run.plan.batch.clone()),
        ("cli.l_production", short(&run.plan.production)),
        ("cli.l_expiry", run.plan.expiry.as_deref().map(short).unwrap_or_default()),
        ("cli.l_opened", short(&run.opened)),
        ("cli.l_closed", or_dash(run.closed.as_deref().map(short))),
    ]);
}

/// received = set aside + pooled + issued + verified + applied + written off + spoiled + returned
fn blocks(text: &mut Text, sheet: &dto::Sheet) {
    if sheet.blocks.is_empty() {
        return;
    }
    title(text, "cli.sheet_blocks");
    let row = |b: &dto::BlockBalance| {
        let mut row = vec![b.block.to_string(), b.received.to_string()];
        row.extend(states(&b.codes).iter().map(|(_, count)| count.to_string()));
        row.push(mark(b.balanced));
        row
    };
    let mut headings = vec!["cli.l_block", "cli.l_received"];
    headings.extend(states(&sheet.codes.codes).iter().map(|(key, _)| *key));
    headings.push("cli.l_mark");
    text.table(&headings, &sheet.blocks.iter().map(row).collect::<Vec<_>>());
}

/// issued to the run = verified + applied + written off + spoiled
fn codes(text: &mut Text, balance: &dto::CodeBalance) {
    title(text, "cli.sheet_codes");
    let mut fields = vec![("cli.l_issued_to", balance.issued.to_string())];
    let present = states(&balance.codes).into_iter().filter(|(_, count)| *count > 0);
    fields.extend(present.map(|(key, count)| (key, count.to_string())));
    fields.push(("cli.l_mark", mark(balance.balanced)));
    text.fields(&fields);
}

/// triggers = passed + rejected by reason + taken off by hand; passed items = passed codes
fn items(text: &mut Text, balance: &dto::ItemBalance) {
    title(text, "cli.sheet_items");
    let some = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    let rejected: u64 = balance.rejected.iter().map(|r| r.count).sum();
    text.fields(&[
        ("cli.l_triggers", balance.triggers.to_string()),
        ("cli.l_passed", balance.passed.to_string()),
        ("cli.l_passed_codes", balance.codes_passed.to_string()),
        ("cli.l_rejected", rejected.to_string()),
        ("cli.l_lost", some(balance.lost)),
        ("cli.l_escaped", some(balance.escaped)),
        ("cli.l_mark", mark(balance.balanced)),
    ]);
    if !balance.rejected.is_empty() {
        let rows: Vec<Vec<String>> =
            balance.rejected.iter().map(|r| vec![reason(text, &r.key), r.count.to_string()]).collect();
        text.line("");
        text.table(&["cli.l_reason", "cli.l_items"], &rows);
    }
}

fn named(text: &mut Text, sheet: &dto::Sheet) {
    if sheet.named.is_empty() {
        return;
    }
    title(text, "cli.sheet_named");
    let row = |n: &dto::NamedCode| {
        let code = format!("(01){}(21){}", n.code.gtin, n.code.serial);
        vec![code, n.state.text.clone(), or_dash(n.reason.as_ref().map(|r| &r.text))]
    };
    let rows: Vec<Vec<String>> = sheet.named.iter().map(row).collect();
    text.table(&["cli.l_code", "cli.l_state", "cli.l_reason"], &rows);
    if sheet.named_left > 0 {
        text.say("cli.and_more", &[("count", &sheet.named_left.to_string())]);
    }
}

fn title(text: &mut Text, key: &str) {
    text.line("");
    text.say(key, &[]);
}

fn mark(balanced: bool) -> String {
    if balanced { "=" } else { "≠" }.to_owned()
}

fn states(counts: &dto::Counts) -> [(&'static str, u64); 8] {
    [
        ("cli.l_set_aside", counts.set_aside),
        ("cli.l_pooled", counts.pooled),
        ("cli.l_issued", counts.issued),
        ("cli.l_verified", counts.verified),
        ("cli.l_applied", counts.applied),
        ("cli.l_written_off", counts.written_off),
        ("cli.l_spoiled", counts.spoiled),
        ("cli.l_returned", counts.returned),
    ]
}
