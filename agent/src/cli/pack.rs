//! `tamga pack …`: one pack and what lies in it; what a person asks of the station that fills it.

use clap::{Args, Subcommand};

use super::codes::scan_of;
use super::daemon::{Daemon, segment};
use super::out::{Show, Text, or_dash, short};
use super::{Failed, rework};
use crate::web::dto::pack::{Child, Pack as Head, PackStory, StationDone};
use crate::web::scan::to_base64;
use crate::web::{asks, dto};

/// Show one pack, rework it, ask the box doctor; close a station's pack short, print its label again, void it
#[derive(Args)]
#[command(after_help = "Example:
  tamga pack show 00046000000000000015
  tamga pack short box1 --reason 'end of the batch'
  tamga pack take-out '010460000000001521A7bQ' --reason leaks
  tamga pack doctor 00046000000000000015")]
pub struct Pack {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(visible_alias = "find")]
    Show(ShowPack),
    /// Close the open pack of a station with fewer children than it can hold
    #[command(after_help = "Example:
  tamga pack short box1 --reason 'end of the batch'

It gets its label, and is closed when that is scanned on it.")]
    Short(Because),
    /// Print one more label with the name that the open pack of a station has
    #[command(after_help = "Example:\n  tamga pack reprint box1 --reason 'the label is torn'")]
    Reprint(Because),
    /// Void the open pack of a station: its name is used up, what was in it may be packed again
    #[command(after_help = "Example:\n  tamga pack void box1 --reason 'the box is wet'")]
    Void(Because),
    Out(Out),
    /// Have a pack that the state system refused told once more
    #[command(after_help = "Example:
  tamga pack again 00046000000000000015 --reason 'the business place is registered now'

First mend in the cabinet what it was refused for: tamga pack show says why.")]
    Again(Again),
    #[command(flatten)]
    Rework(rework::Command),
}

#[derive(Args)]
struct Again {
    /// The scan: an SSCC with or without 00, or a code; - reads it from stdin
    scan: String,
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: String,
}

/// Show a pack, what it lies in, what lies in it and what became of it
#[derive(Args)]
#[command(after_help = "Example:
  tamga pack show 00046000000000000015                       # the label of a pack
  tamga pack show '010460000000001521A7bQ{GS}93dGVz'         # the pack in which this item lies
  tamga pack show -     # then scan, and press Ctrl-D

GS may be written as \\x1d, {GS} or <GS>, or left out.")]
struct ShowPack {
    /// The scan: an SSCC with or without 00, or the code of an item; - reads it from stdin
    scan: String,
}

#[derive(Args)]
struct Because {
    /// The station's name in the configuration
    station: String,
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: String,
}

/// Take an item, or a pack, out of the open pack of a station
#[derive(Args)]
#[command(after_help = "Example:
  tamga pack out box1 '010460000000001521A7bQ' --reason 'leaks'
  tamga pack out pallet1 00046000000000000015 --reason 'crushed'")]
struct Out {
    /// The station's name in the configuration
    station: String,
    /// The scan of what is taken out; - reads it from stdin
    scan: String,
    /// Why, 1 to 200 characters: it stays with the pack
    #[arg(long)]
    reason: String,
}

pub async fn run(daemon: &Daemon, show: Show, command: Pack) -> Result<(), Failed> {
    match command.command {
        Command::Show(command) => {
            let scan = Some(to_base64(&scan_of(&command.scan)?));
            let body = asks::Scan { scan: None, scan_base64: scan };
            let story: PackStory = daemon.post("/api/v1/packs/show", &body).await?;
            show.print(&story, |text| tell(text, &story));
            Ok(())
        }
        Command::Rework(command) => rework::run(daemon, show, command).await,
        Command::Short(command) => because(daemon, show, command, "short", "cli.pack_short").await,
        Command::Reprint(command) => because(daemon, show, command, "reprint", "cli.pack_reprinted").await,
        Command::Void(command) => because(daemon, show, command, "void", "cli.pack_voided").await,
        Command::Out(Out { station, scan, reason }) => {
            let scan_base64 = Some(to_base64(&scan_of(&scan)?));
            let body = asks::TakeOut { scan: None, scan_base64, reason };
            let done: StationDone = daemon.post(&path(&station, "out"), &body).await?;
            show.print(&done, |text| say(text, &done, &station, "cli.pack_done"));
            Ok(())
        }
        Command::Again(Again { scan, reason }) => {
            let scan_base64 = Some(to_base64(&scan_of(&scan)?));
            let body = asks::TakeOut { scan: None, scan_base64, reason };
            let again: dto::pack::Again = daemon.post("/api/v1/packs/again", &body).await?;
            show.print(&again, |text| text.say("cli.pack_again", &[("pack", &line(&again.pack))]));
            Ok(())
        }
    }
}

fn path(station: &str, what: &str) -> String {
    format!("/api/v1/stations/{}/{what}", segment(station))
}

/// `done`: the key of what is said when the station has done it.
async fn because(daemon: &Daemon, show: Show, asked: Because, what: &str, done: &str) -> Result<(), Failed> {
    let Because { station, reason } = asked;
    let answer: StationDone = daemon.post(&path(&station, what), &asks::Because { reason }).await?;
    show.print(&answer, |text| say(text, &answer, &station, done));
    Ok(())
}

fn say(text: &mut Text, answer: &StationDone, station: &str, done: &str) {
    match answer {
        StationDone::Done => text.say(done, &[("station", station)]),
        StationDone::ScanName => text.say("cli.pack_scan_name", &[("station", station)]),
        StationDone::Out { left } => {
            text.say("cli.pack_out", &[("station", station), ("left", &left.to_string())]);
        }
    }
}

/// A pack in a few words: its name, or its number while it has none; what it is and how it stands.
pub fn line(pack: &Head) -> String {
    let name = pack.name.as_ref().map_or_else(|| format!("#{}", pack.pack), |name| called(name));
    format!("{name}, {}, {}", pack.level.text, pack.state.text)
}

fn name(child: &Child) -> String {
    match child {
        Child::Code(dto::Code { gtin, serial }) => format!("(01){gtin}(21){serial}"),
        Child::Pack(name) => called(name),
    }
}

/// The name of a pack with its application identifiers: the code of a group pack has them.
pub(super) fn called(name: &str) -> String {
    if name.starts_with('(') { name.to_owned() } else { format!("(00){name}") }
}

fn tell(text: &mut Text, story: &PackStory) {
    let pack = &story.pack;
    let mut fields = vec![
        ("cli.l_pack", pack.pack.to_string()),
        ("cli.l_sscc", pack.name.as_ref().map(|name| called(name)).unwrap_or_default()),
        ("cli.l_level", pack.level.text.clone()),
        ("cli.l_state", pack.state.text.clone()),
        ("cli.l_content", format!("{} / {} ({})", pack.content, pack.capacity, pack.holds.text)),
        ("cli.l_run", pack.run.map(|run| run.to_string()).unwrap_or_default()),
        ("cli.l_product", pack.gtin.clone().unwrap_or_default()),
        ("cli.l_labels", pack.labels.to_string()),
        ("cli.l_told", pack.told.text.clone()),
    ];
    fields.extend(story.within.iter().map(|outer| ("cli.l_in_pack", line(outer))));
    text.fields(&fields);
    changes(text, &story.changes);
    if !story.documents.is_empty() {
        text.line("");
        let row = |one: &dto::pack::CarriedIn| {
            let document = &one.document;
            vec![
                document.document.to_string(),
                document.kind.text.clone(),
                document.state.text.clone(),
                one.ended.text.clone(),
                short(&document.since),
                one.why.clone(),
            ]
        };
        let rows: Vec<_> = story.documents.iter().map(row).collect();
        let headings =
            ["cli.l_document", "cli.l_kind", "cli.l_state", "cli.l_of_pack", "cli.l_since", "cli.l_reason"];
        text.table(&headings, &rows);
    }
    if !story.content.is_empty() {
        text.line("");
        text.say("cli.pack_content", &[]);
        story.content.iter().for_each(|child| text.line(&format!("  {}", name(child))));
    }
    if !story.taken_out.is_empty() {
        text.line("");
        text.say("cli.pack_taken_out", &[]);
        let row = |out: &dto::pack::TakenOut| {
            vec![short(&out.at), name(&out.what), out.who.clone(), out.why.clone()]
        };
        let rows: Vec<_> = story.taken_out.iter().map(row).collect();
        text.table(&["cli.l_when", "cli.l_change", "cli.l_who", "cli.l_reason"], &rows);
    }
}

/// What became of a pack, oldest first.
pub fn changes(text: &mut Text, all: &[dto::pack::PackChange]) {
    if !all.is_empty() {
        text.line("");
        let row = |change: &dto::pack::PackChange| {
            let who = Some(&change.who).filter(|who| !who.is_empty());
            let detail = Some(&change.detail).filter(|detail| !detail.is_empty());
            vec![
                short(&change.at),
                change.what.text.clone(),
                or_dash(detail),
                or_dash(who),
                change.why.clone(),
            ]
        };
        let rows: Vec<_> = all.iter().map(row).collect();
        text.table(&["cli.l_when", "cli.l_change", "cli.l_detail", "cli.l_who", "cli.l_reason"], &rows);
    }
}
