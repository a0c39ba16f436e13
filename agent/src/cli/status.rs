//! `tamga status`: lines, runs, devices, packing stations, alarms and the way upstream on one page.

use clap::Args;

use super::Failed;
use super::alarms::name;
use super::daemon::Daemon;
use super::out::{Show, Text, short};
use super::pack::called;
use crate::web::dto;
use crate::words;

/// Show the lines, their runs and devices, packing stations, alarms, and the way upstream
#[derive(Args)]
#[command(after_help = "Example:
  tamga status
  tamga status --json | jq '.lines[].run.passed'")]
pub struct Status {}

/// Codes named on the page; `--json` and the sheet name all that the line shows.
const CODES_SHOWN_MAX: usize = 40;

pub async fn run(daemon: &Daemon, show: Show) -> Result<(), Failed> {
    let status: dto::Status = daemon.get("/api/v1/status").await?;
    show.print(&status, |text| {
        for line in &status.lines {
            line_of(text, line);
            text.line("");
        }
        for station in &status.stations {
            station_of(text, station);
            text.line("");
        }
        upstream(text, &status.upstream);
        status.broker.iter().for_each(|one| broker(text, one));
        status.alarms.iter().for_each(|raised| alarm(text, raised));
    });
    Ok(())
}

fn line_of(text: &mut Text, line: &dto::Line) {
    let kind = text.word(&format!("line.{}", line.kind));
    text.line(&format!("{} ({kind})", line.name));
    let state = match (&line.run, &line.stopped_by) {
        (None, _) => text.word("cli.no_run"),
        (Some(run), None) => text.word(state_key(&run.state)),
        (Some(run), Some(why)) => format!("{}: {}", text.word(state_key(&run.state)), why.text),
    };
    let mut fields = vec![("cli.l_state", state)];
    if let Some(run) = &line.run {
        fields.extend(run_fields(text, run));
        let rate = format!("{}/min", line.items_per_min);
        let us = &line.verdict_us;
        let ms = |us: u64| format!("{}.{}", us / 1000, us % 1000 / 100);
        let verdict = format!("{} / {} / {} ms", ms(us.median), ms(us.p99), ms(us.max));
        fields.extend([("cli.l_rate", rate), ("cli.l_verdict", verdict)]);
        let left = if line.kind == "pre-printed" { "cli.l_stock" } else { "cli.l_pooled" };
        fields.push((left, line.pooled.to_string()));
    }
    text.fields(&fields);
    for device in line.devices.iter().filter(|d| !d.connected || !d.faults.is_empty()) {
        let faults: Vec<&str> = device.faults.iter().map(|f| f.text.as_str()).collect();
        let what = if device.connected { faults.join("; ") } else { text.word("cli.device_away") };
        text.say("cli.device", &[("device", &device.name), ("what", &what)]);
    }
    if let Some(run) = &line.run {
        open_codes(text, run, line.alarms.iter().any(|alarm| name(&alarm.key) == "pass_unknown"));
    }
    line.alarms.iter().for_each(|raised| alarm(text, raised));
}

fn station_of(text: &mut Text, station: &dto::pack::Station) {
    text.line(&format!("{} ({}: {})", station.name, station.level.text, station.holds.text));
    let open = match &station.open {
        None => text.word("cli.no_open_pack"),
        Some(open) => {
            let name = open.name.as_ref().map(|name| format!(", {}", called(name))).unwrap_or_default();
            let label = open.label.as_ref().map(|label| format!(", {}", label.text)).unwrap_or_default();
            format!("#{}: {} / {}{name}{label}", open.pack, open.content, open.capacity)
        }
    };
    let last = |last: &dto::pack::Said| {
        let word = text.word(if last.good { "cli.said_good" } else { "cli.said_bad" });
        format!("{word} {} ({})", last.text, short(&last.at))
    };
    let some = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    text.fields(&[
        ("cli.l_open_pack", open),
        ("cli.l_last_said", station.last.as_ref().map(last).unwrap_or_default()),
        ("cli.l_packs_closed", station.closed.to_string()),
        ("cli.l_scans_waiting", some(station.waiting.into())),
        ("cli.l_scans_lost", some(station.lost)),
    ]);
    let devices = [
        ("cli.scanner", station.reader_connected),
        ("cli.hand", station.hand_connected != Some(false)),
        ("cli.printer", station.printer_connected != Some(false)),
    ];
    for cell in station.layer.iter().flat_map(|layer| &layer.cells) {
        let Some(why) = &cell.why else { continue };
        let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (row, place) = (number(cell.row), number(cell.place));
        text.say("cli.layer_cell", &[("row", &row), ("place", &place), ("why", &why.text)]);
    }
    for (device, _) in devices.into_iter().filter(|(_, connected)| !connected) {
        let (device, what) = (text.word(device), text.word("cli.device_away"));
        text.say("cli.device", &[("device", &device), ("what", &what)]);
    }
    for fault in &station.faults {
        text.say("cli.device", &[("device", &station.name), ("what", &fault.text)]);
    }
}

fn alarm(text: &mut Text, alarm: &dto::Alarm) {
    let mark = if alarm.acknowledged { " " } else { "!" };
    text.line(&format!("{mark} {}  {}  [{}]", short(&alarm.since), alarm.text, name(&alarm.key)));
}

fn run_fields(text: &Text, run: &dto::LineRun) -> Vec<(&'static str, String)> {
    let of = |quantity: u32| if quantity == 0 { String::new() } else { format!(" / {quantity}") };
    let rejected: u64 = run.rejected.iter().map(|r| r.count).sum();
    let reasons: Vec<String> =
        run.rejected.iter().map(|r| format!("{} {}", reason(text, &r.key), r.count)).collect();
    let rejected =
        if rejected == 0 { "0".to_owned() } else { format!("{rejected} ({})", reasons.join(", ")) };
    let some = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    // `in_doubt` names only the first of them.
    let in_doubt = run.in_doubt.len().max(run.issued as usize);
    vec![
        ("cli.l_run", run.run.to_string()),
        ("cli.l_product", format!("{} ({})", run.plan.gtin, run.plan.group)),
        ("cli.l_batch", run.plan.batch.clone()),
        ("cli.l_passed", format!("{}{}", run.passed, of(run.plan.quantity))),
        ("cli.l_rejected", rejected),
        ("cli.l_in_doubt", some(in_doubt)),
        ("cli.l_pass_unknown", some(run.pass_unknown.len())),
    ]
}

/// The codes that a person is asked to look at. While a run runs some are always on their way, and nobody has to look,
/// unless one is `missed`.
fn open_codes(text: &mut Text, run: &dto::LineRun, missed: bool) {
    let stands = run.state != "running";
    let shown = |code: &dto::Code| format!("(01){}(21){}", code.gtin, code.serial);
    let mut rows: Vec<Vec<String>> = Vec::new();
    if stands || missed {
        let unknown = text.word("cli.l_pass_unknown");
        let row = |p: &dto::PassUnknown| vec![shown(&p.code), format!("{unknown}, {}", p.tag)];
        rows.extend(run.pass_unknown.iter().map(row));
    }
    if stands {
        let doubt = text.word("cli.l_in_doubt");
        let row = |d: &dto::InDoubt| {
            vec![shown(&d.code), format!("{doubt}: {}", text.word(&format!("job.{}", d.outcome)))]
        };
        rows.extend(run.in_doubt.iter().map(row));
    }
    if rows.is_empty() {
        return;
    }
    let more = rows.len().saturating_sub(CODES_SHOWN_MAX);
    rows.truncate(CODES_SHOWN_MAX);
    text.line("");
    text.table(&["cli.l_code", "cli.l_state"], &rows);
    if more > 0 {
        text.say("cli.and_more", &[("count", &more.to_string())]);
    }
}

/// The way upstream in a few lines.
pub fn upstream(text: &mut Text, upstream: &dto::Upstream) {
    let answer = match &upstream.last_answer {
        Some(at) => short(at),
        None => text.word("cli.never"),
    };
    let open = match &upstream.oldest_open {
        Some(oldest) => format!("{} ({})", upstream.open_reports, short(oldest)),
        None => upstream.open_reports.to_string(),
    };
    let unknown = if upstream.unknown == 0 { String::new() } else { upstream.unknown.to_string() };
    text.fields(&[
        ("cli.l_upstream", answer),
        ("cli.l_trouble", upstream.trouble.clone()),
        ("cli.l_on_order", upstream.on_order.to_string()),
        ("cli.l_open_reports", open),
        ("cli.l_unknown", unknown),
    ]);
}

/// The broker, and what goes over it.
fn broker(text: &mut Text, broker: &dto::Broker) {
    let state = match (broker.connected, broker.trouble.as_str()) {
        (true, _) => text.word("cli.connected"),
        (false, "") => text.word("cli.not_connected"),
        (false, trouble) => trouble.to_owned(),
    };
    let waiting = broker.waiting.map(|count| match &broker.oldest {
        Some(oldest) => format!("{count} ({})", short(oldest)),
        None => count.to_string(),
    });
    let hearer = |hearer: &dto::Hearer| match hearer.lacks {
        0 => hearer.agent.clone(),
        lacks => format!("{} ({})", hearer.agent, text.words("cli.lacks", &[("count", &lacks.to_string())])),
    };
    let heard = |heard: &dto::HeardAgent| {
        let known = text.words("cli.upto", &[("count", &heard.known.to_string())]);
        format!("{} ({known})", heard.agent)
    };
    let hearers: Vec<String> = broker.hearers.iter().map(hearer).collect();
    let from: Vec<String> = broker.from.iter().map(heard).collect();
    text.fields(&[
        ("cli.l_broker", format!("{}: {state}", broker.address)),
        ("cli.l_letters", waiting.unwrap_or_default()),
        ("cli.l_hearers", hearers.join(", ")),
        ("cli.l_heard", from.join(", ")),
    ]);
}

/// The short name of a reason.
pub fn reason(text: &Text, key: &str) -> String {
    let short = format!("bad.{key}");
    if words::has(&short) { text.word(&short) } else { key.to_owned() }
}

/// The key of the word for a report's state.
pub fn report_key(state: &str) -> String {
    format!("http.report.{state}")
}

/// The word for a run's state.
pub fn state_key(state: &str) -> &str {
    match state {
        "running" => "run.running",
        "stopped" => "run.stopped",
        "closing" => "run.closing",
        "closed" => "run.closed",
        strange => strange,
    }
}
