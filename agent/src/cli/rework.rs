//! `tamga pack take-out …`: what people do to packs that are at no station, and the box doctor.
//!
//! What reaches further than what was named is shown first; with `--yes` exactly that is done.

use std::io::Read as _;

use clap::{Args, Subcommand, ValueEnum};

use super::Failed;
use super::codes::scan_of;
use super::daemon::Daemon;
use super::exit::Exit;
use super::out::{Show, Text};
use super::pack::{changes, line};
use crate::web::asks;
use crate::web::dto::Word;
use crate::web::dto::pack::{Doctor, Labelled, Reworked};
use crate::web::scan::{spelled, to_base64};

/// Bytes of all scans of one count-through: 200 of the longest.
const SCANS_BYTES_MAX: u64 = 200 * 1024;

#[derive(Subcommand)]
pub enum Command {
    /// Take items out of their box, or boxes off their pallet: they may be packed again
    #[command(after_help = "Example:
  tamga pack take-out '010460000000001521A7bQ' --reason leaks

What the state system knows under the box's name never changes: the name is void then, and what stays in the box is a new
pack that needs a new label (tamga pack label, tamga pack close). Off a pallet it goes first, by itself.")]
    TakeOut(Several),
    /// Take items out and put them back on the belt, behind the gate
    #[command(after_help = "Example:
  tamga pack back '010460000000001521A7bQ' --reason 'packed too early'

An item passes the gate once. Before the reader it would be rejected as a duplicate: put it on the belt behind the gate, or
scan it at the packing station. To mark it anew: tamga pack scrap, take the old mark off, and begin it as a new item.")]
    Back(Several),
    /// Take items for a test, out of their pack or loose: they are never sold
    #[command(
        after_help = "Example:\n  tamga pack sample '010460000000001521A7bQ' --reason 'laboratory, batch 17'"
    )]
    Sample(Several),
    /// Scrap items, or a box with all that is in it
    #[command(after_help = "Example:
  tamga pack scrap '010460000000001521A7bQ' --reason broken
  tamga pack scrap 00046000000000000015 --reason 'run over by a truck'")]
    Scrap(Several),
    /// Take one out and put another in its place
    #[command(after_help = "Example:
  tamga pack replace '010460000000001521A7bQ' '010460000000001521C9dS' --reason leaks --fate scrap")]
    Replace(Replace),
    /// Take all out of a pack: its label is void
    #[command(after_help = "Example:\n  tamga pack empty 00046000000000000015 --reason 'the box is wet'")]
    Empty(One),
    /// Take all out of a pack, and out of the packs in it: the pallet, then its boxes
    #[command(after_help = "Example:\n  tamga pack unpack 00046000000000000022 --reason 'wrong batch'")]
    Unpack(One),
    /// Put all of a pack into another of the same kind: the first one's label is void
    #[command(after_help = "Example:
  tamga pack merge 00046000000000000015 00046000000000000039 --reason 'two halves'")]
    Merge(Merge),
    /// Move boxes onto another pallet, or items into another box, all or none
    #[command(after_help = "Example:
  tamga pack move 00046000000000000015 00046000000000000039 --to 00046000000000000022 --reason 'wrong truck'")]
    Move(Move),
    /// Print a label of a pack that is at no station
    #[command(after_help = "Example:
  tamga pack label 00046000000000000015 box1 --reason torn

Of a label that is void, that of what stayed in the box. An item in the box will do too.")]
    Label(Label),
    /// Close what stayed in a pack whose label became void: scan it, and its new label on it
    #[command(after_help = "Example:\n  tamga pack close 00046000000000000015 00046000000000000053")]
    Close(Close),
    /// Look at anything: what it is, where it belongs, what is wrong with it and how to right it
    #[command(after_help = "Example:
  tamga pack doctor 00046000000000000015
  tamga pack doctor 00046000000000000015 --seen '010460000000001521A7bQ' --seen '010460000000001521C9dS'
  tamga pack doctor 00046000000000000015 --seen -    # then scan all that is in the box, and press Ctrl-D

With --yes and --reason the steps that it shows are carried out.")]
    Doctor(Look),
}

#[derive(Args)]
pub struct Several {
    /// The scans of what is taken out; - reads one from stdin
    #[arg(required = true)]
    scans: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct How {
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: String,
    /// Do it, though it makes labels void that are on goods
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub struct Replace {
    /// The scan of what is taken out
    out: String,
    /// The scan of what is put in its place
    put: String,
    /// What becomes of what was taken out
    #[arg(long, value_enum, default_value = "take-out")]
    fate: Fate,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fate {
    TakeOut,
    Back,
    Sample,
    Scrap,
}

#[derive(Args)]
pub struct One {
    /// The scan of its label; - reads it from stdin
    pack: String,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct Merge {
    /// The scan of the label that becomes void
    from: String,
    /// The scan of the label of the pack that takes all
    into: String,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct Move {
    /// The scans of what is moved
    #[arg(required = true)]
    scans: Vec<String>,
    /// The scan of the label of the pack that takes them
    #[arg(long)]
    to: String,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct Label {
    /// The scan of its label, old or new, or of an item in it; - reads it from stdin
    scan: String,
    /// The station whose printer prints it
    station: String,
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
pub struct Close {
    /// The scan of the label that became void, or of an item in the pack
    scan: String,
    /// The scan of the new label on it
    label: String,
}

#[derive(Args)]
pub struct Look {
    /// The scan of an item, a box or a pallet; - reads it from stdin
    scan: String,
    /// A scan of what lies in it, as often as there are; - reads all from stdin, one a line
    #[arg(long)]
    seen: Vec<String>,
    /// Nothing lies in it
    #[arg(long, conflicts_with = "seen")]
    seen_nothing: bool,
    /// Carry out what it shows
    #[arg(long, requires = "reason")]
    yes: bool,
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(daemon: &Daemon, show: Show, command: Command) -> Result<(), Failed> {
    let (order, what, to, how) = match command {
        Command::TakeOut(Several { scans, how }) => ("take_out", scans, None, how),
        Command::Back(Several { scans, how }) => ("back", scans, None, how),
        Command::Sample(Several { scans, how }) => ("sample", scans, None, how),
        Command::Scrap(Several { scans, how }) => ("scrap", scans, None, how),
        Command::Replace(Replace { out, put, fate, how }) => {
            let fate = match fate {
                Fate::TakeOut => "take_out",
                Fate::Back => "back",
                Fate::Sample => "sample",
                Fate::Scrap => "scrap",
            };
            let ask = asked("replace", &[out], Some(&put), &how)?;
            return rework(daemon, show, asks::Rework { fate: Some(fate.to_owned()), ..ask }, how.yes).await;
        }
        Command::Empty(One { pack, how }) => ("empty", vec![pack], None, how),
        Command::Unpack(One { pack, how }) => ("unpack", vec![pack], None, how),
        Command::Merge(Merge { from, into, how }) => ("merge", vec![from], Some(into), how),
        Command::Move(Move { scans, to, how }) => ("move", scans, Some(to), how),
        Command::Label(command) => return label(daemon, show, command).await,
        Command::Close(command) => return close(daemon, show, command).await,
        Command::Doctor(command) => return doctor(daemon, show, command).await,
    };
    let ask = asked(order, &what, to.as_ref(), &how)?;
    rework(daemon, show, ask, how.yes).await
}

fn scan(argument: &str) -> Result<asks::Scan, Failed> {
    Ok(asks::Scan { scan: None, scan_base64: Some(to_base64(&scan_of(argument)?)) })
}

fn asked(order: &str, what: &[String], to: Option<&String>, how: &How) -> Result<asks::Rework, Failed> {
    Ok(asks::Rework {
        order: order.to_owned(),
        what: what.iter().map(|one| scan(one)).collect::<Result<_, _>>()?,
        to: to.map(|one| scan(one)).transpose()?,
        fate: None,
        reason: how.reason.clone(),
        confirm: None,
        key: None,
    })
}

async fn rework(daemon: &Daemon, show: Show, ask: asks::Rework, yes: bool) -> Result<(), Failed> {
    let path = "/api/v1/packs/rework";
    let mut said: Reworked = daemon.post(path, &ask).await?;
    if !said.done && yes {
        let confirm = Some(said.plan);
        said = daemon.post(path, &asks::Rework { confirm, ..ask }).await?;
    }
    show.print(&said, |text| tell(text, &said));
    Ok(())
}

fn tell(text: &mut Text, said: &Reworked) {
    steps(text, &said.steps);
    for new in &said.new {
        let of = new.of.name.clone().unwrap_or_default();
        text.say("cli.pack_new", &[("pack", &new.pack.pack.to_string()), ("of", &of)]);
    }
    text.say(if said.done { "cli.pack_done_all" } else { "cli.pack_confirm" }, &[]);
}

fn steps(text: &mut Text, steps: &[Word]) {
    for (place, step) in (1..).zip(steps) {
        text.line(&format!("{place:>3}. {}", step.text));
    }
}

async fn label(daemon: &Daemon, show: Show, command: Label) -> Result<(), Failed> {
    let Label { scan: what, station, reason } = command;
    let ask = asks::PackLabel { what: scan(&what)?, station, reason };
    let said: Labelled = daemon.post("/api/v1/packs/label", &ask).await?;
    show.print(&said, |text| text.say("cli.pack_labelled", &[("pack", &line(&said.pack))]));
    Ok(())
}

async fn close(daemon: &Daemon, show: Show, command: Close) -> Result<(), Failed> {
    let ask = asks::PackClose { what: scan(&command.scan)?, label: scan(&command.label)? };
    let said: Labelled = daemon.post("/api/v1/packs/close", &ask).await?;
    show.print(&said, |text| text.say("cli.pack_is_closed", &[("pack", &line(&said.pack))]));
    Ok(())
}

async fn doctor(daemon: &Daemon, show: Show, command: Look) -> Result<(), Failed> {
    let what = scan(&command.scan)?;
    let seen = seen(&command)?;
    let ask = asks::Doctor { what: what.clone(), seen: seen.clone() };
    let said: Doctor = daemon.post("/api/v1/packs/doctor", &ask).await?;
    let plan = said.right.as_ref().map(|right| right.plan.clone());
    if let (true, Some(confirm), Some(reason)) = (command.yes, plan, command.reason) {
        let ask = asks::Mend { what, seen, confirm, reason };
        let done: Reworked = daemon.post("/api/v1/packs/mend", &ask).await?;
        show.print(&done, |text| tell(text, &done));
        return Ok(());
    }
    show.print(&said, |text| examined(text, &said));
    Ok(())
}

/// What was scanned in the pack: arguments, or lines of stdin.
fn seen(command: &Look) -> Result<Option<Vec<asks::Scan>>, Failed> {
    if command.seen.is_empty() && !command.seen_nothing {
        return Ok(None);
    }
    let mut scans = Vec::new();
    for one in &command.seen {
        if one != "-" {
            scans.push(scan(one)?);
            continue;
        }
        let mut lines = String::new();
        let stdin = std::io::stdin().take(SCANS_BYTES_MAX);
        let read = std::io::BufReader::new(stdin).read_to_string(&mut lines);
        read.map_err(|error| Failed::internal(&error))?;
        let lines = lines.split(['\r', '\n']).filter(|line| !line.is_empty());
        scans.extend(
            lines.map(|line| asks::Scan { scan: None, scan_base64: Some(to_base64(&spelled(line))) }),
        );
        if scans.is_empty() {
            return Err(Failed::new(Exit::Usage, "cli.no_scan"));
        }
    }
    Ok(Some(scans))
}

fn examined(text: &mut Text, said: &Doctor) {
    let pack = |pack: &Option<crate::web::dto::pack::Pack>| pack.as_ref().map(line).unwrap_or_default();
    let within: Vec<String> = said.story.iter().flat_map(|story| story.within.iter().map(line)).collect();
    text.fields(&[
        ("cli.l_code", said.what.clone()),
        ("cli.l_pack", pack(&said.pack)),
        ("cli.l_was", pack(&said.was)),
        ("cli.l_in_pack", within.join(", ")),
        ("cli.l_told", said.told.as_ref().map(|told| told.text.clone()).unwrap_or_default()),
    ]);
    if let Some(story) = &said.story {
        changes(text, &story.changes);
    }
    text.line("");
    if said.found.is_empty() {
        text.say("cli.pack_found_nothing", &[]);
    }
    said.found.iter().for_each(|found| text.line(&format!("! {}", found.text)));
    said.refused.iter().for_each(|why| text.line(&why.text));
    if let Some(right) = &said.right {
        text.say("cli.pack_right", &[]);
        steps(text, &right.steps);
        text.say("cli.pack_confirm", &[]);
    }
}
