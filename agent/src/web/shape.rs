//! From what the daemon knows to the shapes of the API. Pure.

use tamga_domain::code::Identity;
use tamga_domain::ids::AgentId;
use tamga_domain::line::ask;
use tamga_domain::pack::ask::{CellStatus, LayerStatus, OpenPack, Said};
use tamga_domain::record::{JobOutcome, RunPlan, RunState};
use tamga_domain::share::step::Heard;
use tamga_domain::time::Wall;
use tamga_drivers::trace::{self, Record, Trace};

use super::text::{short_reason, stamp, word};
use super::{dto, packs};
use crate::desk::{self, Desk, Level};
use crate::words::{self, Language};

pub fn code(identity: &Identity) -> dto::Code {
    dto::Code {
        gtin: identity.gtin.to_string(),
        serial: String::from_utf8_lossy(identity.serial.as_bytes()).into_owned(),
    }
}

pub fn said(language: Language, section: &str, key: &str) -> dto::Word {
    dto::Word { key: key.to_owned(), text: word(language, section, key, &[]) }
}

pub fn counted<N: Into<u64> + Copy>(language: Language, counts: &[(String, N)]) -> Vec<dto::Count> {
    let count = |(key, count): &(String, N)| dto::Count {
        text: word(language, "reason", key, &[]),
        key: key.clone(),
        count: (*count).into(),
    };
    counts.iter().map(count).collect()
}

/// `alarms`: those of the way upstream.
pub fn status(desk: &Desk, alarms: &[ask::Alarm], now: Wall, language: Language) -> dto::Status {
    dto::Status {
        agent: dto::Agent {
            id: desk.agent.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: stamp(desk.agent.started),
            now: stamp(now),
        },
        lines: desk.lines.iter().map(|l| line(l, language)).collect(),
        stations: desk.stations.iter().map(|s| station(s, language)).collect(),
        upstream: upstream(&desk.upstream.borrow()),
        broker: desk.broker.as_ref().map(|seen| broker(&seen.borrow())),
        alarms: alarms.iter().map(|a| alarm(None, a, language)).collect(),
    }
}

fn line(line: &desk::LineDesk, language: Language) -> dto::Line {
    let status = line.status.borrow().clone();
    dto::Line {
        name: line.name.clone(),
        kind: line.kind.to_owned(),
        run: status.run.as_ref().map(|r| line_run(r, language)),
        stopped_by: status.stopped_by.as_ref().map(|key| said(language, "stop", key)),
        devices: status.devices.iter().map(|d| device(d, language)).collect(),
        alarms: status.alarms.iter().map(|a| alarm(Some(&line.name), a, language)).collect(),
        pooled: status.pooled,
        items_per_min: status.items_per_min,
        verdict_us: dto::Latency {
            median: status.verdict_us[0],
            p99: status.verdict_us[1],
            max: status.verdict_us[2],
        },
    }
}

fn station(station: &desk::StationDesk, language: Language) -> dto::pack::Station {
    let status = station.status.borrow().clone();
    let open = |open: &OpenPack| dto::pack::OpenPack {
        pack: open.pack.0,
        content: open.content,
        capacity: open.capacity,
        name: open.name.map(|name| name.to_string()),
        label: open.label.map(|key| packs::word(language, "label", key)),
    };
    let last = |last: &Said| dto::pack::Said {
        good: last.good,
        key: last.key.clone(),
        text: words::say_owned(language, &last.key, &last.args),
        at: stamp(last.at),
    };
    dto::pack::Station {
        name: station.name.clone(),
        level: packs::word(language, "level", station.terms.level.key()),
        holds: packs::word(language, "holds", station.terms.holds.key()),
        capacity: station.terms.capacity,
        open: status.open.as_ref().map(open),
        layer: status.layer.as_ref().map(|layer| self::layer(layer, language)),
        last: status.last.as_ref().map(last),
        waiting: status.waiting,
        lost: status.lost,
        reader_connected: status.reader_connected,
        hand_connected: status.hand_connected,
        printer_connected: status.printer_connected,
        faults: status.faults.iter().map(|key| said(language, "fault", key)).collect(),
        closed: status.closed,
    }
}

fn layer(layer: &LayerStatus, language: Language) -> dto::pack::Layer {
    let cell = |cell: &CellStatus| dto::pack::Cell {
        row: cell.place.map(|(row, _)| row),
        place: cell.place.map(|(_, place)| place),
        why: cell
            .why
            .as_ref()
            .map(|key| dto::Word { key: key.clone(), text: words::say(language, key, &[]) }),
    };
    dto::pack::Layer {
        columns: layer.columns,
        rows: layer.rows,
        cells: layer.cells.iter().map(cell).collect(),
    }
}

fn device(device: &ask::DeviceStatus, language: Language) -> dto::Device {
    dto::Device {
        name: device.name.clone(),
        kind: device.kind.to_owned(),
        connected: device.connected,
        faults: device.faults.iter().map(|key| said(language, "fault", key)).collect(),
    }
}

/// The word for whom an alarm of no line is of: the agent itself, or the way upstream.
pub fn of_no_line(key: &str) -> &'static str {
    match key {
        "alarm.broker_away" | "alarm.disk_low" | "alarm.new_database" | "alarm.pack_elsewhere" => "cli.agent",
        _ => "cli.upstream",
    }
}

/// `line` is none for an alarm of the way upstream or of the agent itself.
pub fn alarm(line: Option<&str>, alarm: &ask::Alarm, language: Language) -> dto::Alarm {
    let detail = short_reason(language, &alarm.detail).unwrap_or_else(|| alarm.detail.clone());
    let args = [("detail".to_owned(), detail)];
    dto::Alarm {
        line: line.map(str::to_owned),
        key: alarm.key.clone(),
        text: word(language, "alarm", &alarm.key, &args),
        detail: alarm.detail.clone(),
        since: stamp(alarm.since),
        acknowledged: alarm.acknowledged,
    }
}

fn line_run(run: &ask::RunStatus, language: Language) -> dto::LineRun {
    dto::LineRun {
        run: run.run.0,
        state: state(run.state).to_owned(),
        plan: plan(&run.plan),
        triggers: run.triggers,
        passed: run.passed,
        rejected: counted(language, &run.rejected),
        issued: run.issued,
        in_doubt: run.in_doubt.iter().map(in_doubt).collect(),
        pass_unknown: run
            .pass_unknown
            .iter()
            .map(|(c, tag)| dto::PassUnknown { code: code(c), tag: tag.to_string() })
            .collect(),
    }
}

fn in_doubt(doubt: &ask::InDoubt) -> dto::InDoubt {
    dto::InDoubt {
        issue: doubt.issue.0,
        code: code(&doubt.code),
        printer: doubt.printer.0,
        outcome: outcome(doubt.outcome).to_owned(),
    }
}

pub fn outcome(outcome: JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Open => "open",
        JobOutcome::Printed => "printed",
        JobOutcome::Refused => "refused",
        JobOutcome::Doubtful => "doubtful",
    }
}

pub fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Closing => "closing",
        RunState::Closed => "closed",
    }
}

pub fn plan(plan: &RunPlan) -> dto::Plan {
    dto::Plan {
        gtin: plan.gtin.to_string(),
        group: plan.group.clone(),
        quantity: plan.quantity,
        batch: plan.batch.clone(),
        production: plan.production.to_string(),
        expiry: plan.expiry.map(|day| day.to_string()),
    }
}

pub fn upstream(status: &desk::UpstreamStatus) -> dto::Upstream {
    dto::Upstream {
        last_answer: status.last_answer_ms.map(|ms| stamp(Wall(ms))),
        trouble: status.trouble.clone(),
        on_order: status.on_order,
        open_reports: status.open_reports,
        oldest_open: status.oldest_open_ms.map(|ms| stamp(Wall(ms))),
        unknown: status.unknown,
        clock_ahead_ms: status.clock_ahead_ms,
    }
}

pub fn broker(status: &desk::BrokerStatus) -> dto::Broker {
    let share = &status.share;
    let hearer = |(agent, lacks): &(AgentId, u64)| dto::Hearer { agent: agent.to_string(), lacks: *lacks };
    let heard = |heard: &Heard| dto::HeardAgent {
        agent: heard.agent.to_string(),
        known: heard.mark.seq,
        doubles: heard.doubles,
        gaps: heard.gaps,
        silent_s: heard.silent.map(|silent| silent.as_secs()),
        readable: !status.unreadable.contains(&heard.agent),
    };
    dto::Broker {
        address: status.address.clone(),
        connected: share.connected,
        trouble: status.trouble.clone(),
        waiting: share.waiting,
        oldest: status.oldest_ms.map(|ms| stamp(Wall(ms))),
        hearers: share.hearers.iter().map(hearer).collect(),
        from: share.from.iter().map(heard).collect(),
    }
}

pub fn refused_code(refused: &desk::RefusedCode, language: Language) -> dto::RefusedCode {
    dto::RefusedCode {
        line: refused.line,
        code: refused.code.as_ref().map(code),
        why: said(language, "refuse", &refused.why),
    }
}

pub fn level(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Watch => "watch",
        Level::Bad => "bad",
    }
}

pub fn finding(finding: &desk::Finding, language: Language) -> dto::Finding {
    dto::Finding {
        level: level(finding.level).to_owned(),
        key: finding.key.clone(),
        text: word(language, "doctor", &finding.key, &finding.args),
    }
}

fn trace_level(level: trace::Level) -> &'static str {
    match level {
        trace::Level::Off => "off",
        trace::Level::Frames => "frames",
        trace::Level::Bytes => "bytes",
    }
}

/// The newest `limit` records of a device's trace. The trace masked them before it kept them.
pub fn trace(device: &str, trace: &Trace, limit: usize) -> dto::Trace {
    let (records, _) = trace.since(0);
    let newest = records.len().saturating_sub(limit);
    dto::Trace {
        device: device.to_owned(),
        level: trace_level(trace.level()).to_owned(),
        records: records[newest..].iter().map(Record::line).collect(),
    }
}
