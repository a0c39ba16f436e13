//! `tamga run sheet`: the closing sheet with its balances, shown or written into files; `tamga run sign`.

use std::path::PathBuf;

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, Text, or_dash, short};
use super::status::{reason, state_key};
use crate::web::{asks, dto, paper};

/// Print the closing sheet of a run: what became of every code, item and pack
#[derive(Args)]
#[command(after_help = "Example:
  tamga run sheet 17
  tamga run sheet 17 --json | jq .balanced
  tamga run sheet 17 --html sheet.html --codes   # a page to print (A4), with every code of the run
  tamga run sheet 17 --csv /tmp/run-17           # run-17-sheet.csv, -packs.csv and -codes.csv in this folder

Ends with 1 when a balance does not hold, or when the list of codes does not agree with it.
A code in a list begins with (01), so that no spreadsheet takes it for a formula or a number; all after its
22nd character is the serial, byte by byte. A text that begins with = + - @ gets an apostrophe before it.")]
pub struct Sheet {
    /// The run's number: see tamga run list
    run: u32,
    /// Write the sheet as a page to print
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// With every code of the run in the page
    #[arg(long, requires = "html")]
    codes: bool,
    /// Write counts, packs and codes as comma-separated lists into this folder
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
}

pub async fn run(daemon: &Daemon, show: Show, command: &Sheet) -> Result<(), Failed> {
    let of_run = format!("/api/v1/runs/{}", command.run);
    let sheet: dto::Sheet = daemon.get(&format!("{of_run}/sheet")).await?;
    let mut files = Vec::new();
    let mut listed = u64::from(sheet.codes.issued);
    if let Some(file) = &command.html {
        let with = if command.codes { "?codes=1" } else { "" };
        daemon.download(&format!("{of_run}/sheet.html{with}"), file).await?;
        files.push(file.clone());
    }
    if let Some(folder) = &command.csv {
        for part in ["sheet", "packs", "codes"] {
            let file = folder.join(format!("run-{}-{part}.csv", command.run));
            let lines = daemon.download(&format!("{of_run}/{part}.csv"), &file).await?;
            if part == "codes" {
                listed = lines.saturating_sub(1);
            }
            files.push(file);
        }
    }
    if files.is_empty() {
        shown(show, &sheet);
    } else {
        written(show, &files, sheet.balanced);
    }
    if listed != u64::from(sheet.codes.issued) {
        let failed = Failed::new(Exit::Refused, "cli.sheet_list").with("listed", listed);
        return Err(failed.with("count", sheet.codes.issued));
    }
    if sheet.balanced { Ok(()) } else { Err(Failed::quietly(Exit::Refused)) }
}

/// Sign the closing sheet of a run
#[derive(Args)]
#[command(after_help = "Example:
  tamga run sign 17
  tamga run sign 17 --unsettled 'three bottles went to the laboratory'

The run must be closed, all balances must hold, and no pack that takes items of this run only may be open. What is
not settled otherwise is named on the sheet; then say why it is signed all the same. Who signs, when and from where
is written down, and a dossier of all that happened is made: its head is on the sheet. It may be signed again later.")]
pub struct Sign {
    /// The run's number: see tamga run list
    run: u32,
    /// Why it is signed though something is not settled, 1 to 200 characters
    #[arg(long, value_name = "REASON")]
    unsettled: Option<String>,
}

pub async fn sign(daemon: &Daemon, show: Show, command: Sign) -> Result<(), Failed> {
    let body = asks::Sign { unsettled: command.unsettled };
    let path = format!("/api/v1/runs/{}/sign", command.run);
    let now: dto::sheet::SignedNow = daemon.post_slowly(&path, &body).await?;
    show.print(&now, |text| {
        let (run, lines) = (command.run.to_string(), now.signed.lines.to_string());
        text.say("cli.signed", &[("run", &run), ("who", &now.signed.who)]);
        let args = [("path", now.path.as_str()), ("lines", &lines), ("head", &now.signed.head)];
        text.say("cli.signed_dossier", &args);
    });
    Ok(())
}

fn written(show: Show, files: &[PathBuf], balanced: bool) {
    let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let told = serde_json::json!({ "files": paths, "balanced": balanced });
    show.print(&told, |text| {
        paths.iter().for_each(|path| text.say("cli.file_written", &[("path", path)]));
        text.say(if balanced { "cli.balanced" } else { "cli.not_balanced" }, &[]);
    });
}

fn shown(show: Show, sheet: &dto::Sheet) {
    show.print(sheet, |text| {
        head(text, sheet);
        blocks(text, &sheet.blocks);
        codes(text, &sheet.codes);
        items(text, &sheet.items);
        reports(text, sheet);
        // What stands on the paper of packs, in the same words.
        let of_packs = sheet.packs.is_some();
        for section in paper::sections(sheet, show.language).iter().filter(|s| of_packs && s.is_of_packs) {
            section_of(text, section);
        }
        named(text, sheet);
        text.line("");
        text.say(if sheet.balanced { "cli.balanced" } else { "cli.not_balanced" }, &[]);
        tell_unsettled(text, sheet);
        match sheet.signed.last() {
            None => text.say("sheet.unsigned", &[]),
            Some(last) => {
                let at = short(&last.at);
                text.say("cli.sheet_signed", &[("who", &last.who), ("at", &at), ("head", &last.head)]);
            }
        }
    });
}

/// What is not settled, each with its way out.
pub fn tell_unsettled(text: &mut Text, sheet: &dto::Sheet) {
    for open in &sheet.unsettled {
        text.line(&format!("{}: {}", open.what.text, open.count));
        text.line(&format!("  {}", open.way));
    }
}

fn section_of(text: &mut Text, section: &paper::Section) {
    text.line("");
    text.line(&section.title);
    if section.headings.is_empty() {
        text.pairs(&section.rows);
    } else {
        text.grid(&section.headings, &section.rows);
    }
    if let Some(balanced) = section.balanced {
        text.say(if balanced { "sheet.holds" } else { "sheet.holds_not" }, &[]);
    }
}

fn head(text: &mut Text, sheet: &dto::Sheet) {
    text.fields(&[
        ("cli.l_run", sheet.run.to_string()),
        ("cli.l_line", sheet.line.clone()),
        ("cli.l_state", text.word(state_key(&sheet.state))),
        ("cli.l_product", format!("{} ({})", sheet.plan.gtin, sheet.plan.group)),
        ("cli.l_batch", sheet.plan.batch.clone()),
        ("cli.l_production", sheet.plan.production.clone()),
        ("cli.l_expiry", sheet.plan.expiry.clone().unwrap_or_default()),
        ("cli.l_opened", format!("{} ({})", short(&sheet.opened), sheet.opened_by)),
        ("cli.l_closed", or_dash(sheet.closed.as_deref().map(short))),
    ]);
}

/// received = set aside + pooled + issued + verified + applied + written off + spoiled + returned
fn blocks(text: &mut Text, blocks: &[dto::BlockBalance]) {
    if blocks.is_empty() {
        return;
    }
    title(text, "cli.sheet_blocks");
    let row = |b: &dto::BlockBalance| {
        let mut row = vec![b.block.to_string()];
        row.extend(b.counts().map(|count| count.to_string()));
        row.push(mark(b.balanced));
        row
    };
    let headings = [&["cli.l_block"][..], &dto::BlockBalance::COUNTS, &["cli.l_mark"]].concat();
    text.table(&headings, &blocks.iter().map(row).collect::<Vec<_>>());
}

/// issued to the run = verified + applied + written off + spoiled
fn codes(text: &mut Text, balance: &dto::CodeBalance) {
    title(text, "cli.sheet_codes");
    text.fields(&[
        ("cli.l_issued_to", balance.issued.to_string()),
        ("cli.l_verified", balance.verified.to_string()),
        ("cli.l_pass_unknown", some(balance.pass_unknown)),
        ("cli.l_applied", balance.applied.to_string()),
        ("cli.l_written_off", some(balance.written_off)),
        ("cli.l_spoiled", balance.spoiled.to_string()),
        ("cli.l_in_doubt", some(balance.in_doubt)),
        ("cli.l_mark", mark(balance.balanced)),
    ]);
}

/// triggers = passed + rejected by reason + taken off by hand; passed items = passed codes
fn items(text: &mut Text, balance: &dto::ItemBalance) {
    title(text, "cli.sheet_items");
    let rejected: u64 = balance.rejected.iter().map(|r| r.count).sum();
    text.fields(&[
        ("cli.l_triggers", balance.triggers.to_string()),
        ("cli.l_passed", balance.passed.to_string()),
        ("cli.l_passed_codes", balance.codes_passed.to_string()),
        ("cli.l_rejected", rejected.to_string()),
        ("cli.l_lost", some(balance.lost)),
        ("cli.l_escaped", some(balance.escaped)),
        ("cli.l_open_tags", some(balance.open)),
        ("cli.l_mark", mark(balance.balanced)),
    ]);
    if !balance.rejected.is_empty() {
        let rows: Vec<Vec<String>> =
            balance.rejected.iter().map(|r| vec![reason(text, &r.key), r.count.to_string()]).collect();
        text.line("");
        text.table(&["cli.l_reason", "cli.l_items"], &rows);
    }
}

fn reports(text: &mut Text, sheet: &dto::Sheet) {
    title(text, "cli.sheet_reports");
    text.fields(&[
        ("cli.l_accepted", sheet.reports.accepted.to_string()),
        ("cli.l_in_open", some(sheet.reports.open)),
        ("cli.l_unreported", sheet.reports.unreported.to_string()),
        ("cli.l_refused_codes", some(sheet.reports.refused)),
        ("cli.l_held", some(sheet.reports.held)),
    ]);
}

/// Every code that did not end on goods, and every pass that no report may carry.
fn named(text: &mut Text, sheet: &dto::Sheet) {
    let shown = |code: &dto::Code| format!("(01){}(21){}", code.gtin, code.serial);
    let mut rows: Vec<Vec<String>> = Vec::new();
    rows.extend(sheet.in_doubt.iter().map(|d| vec![shown(&d.code), text.word("cli.l_in_doubt")]));
    rows.extend(sheet.pass_unknown.iter().map(|p| vec![shown(&p.code), text.word("cli.l_pass_unknown")]));
    rows.extend(sheet.spoiled.iter().map(|s| vec![shown(&s.code), s.state.text.clone()]));
    rows.extend(sheet.unresolved.iter().map(|u| vec![shown(&u.code), u.why.clone()]));
    if rows.is_empty() {
        return;
    }
    title(text, "cli.sheet_named");
    text.table(&["cli.l_code", "cli.l_state"], &rows);
}

fn title(text: &mut Text, key: &str) {
    text.line("");
    text.say(key, &[]);
}

fn mark(balanced: bool) -> String {
    if balanced { "=" } else { "≠" }.to_owned()
}

/// A count that is shown only where there is something to count.
fn some(count: u32) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}
