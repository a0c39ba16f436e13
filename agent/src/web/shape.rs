//! From what the daemon knows to the shapes of the API. Pure.

use tamga_domain::code::Identity;
use tamga_domain::line::ask;
use tamga_domain::record::{JobOutcome, RunPlan, RunState};
use tamga_domain::time::Wall;

use super::dto;
use super::text::{stamp, word};
use crate::desk::{self, Desk, Level, TraceLevel};
use crate::words::Language;

pub fn code(identity: &Identity) -> dto::Code {
    dto::Code {
        gtin: identity.gtin.to_string(),
        serial: String::from_utf8_lossy(identity.serial.as_bytes()).into_owned(),
    }
}

pub fn said(language: Language, section: &str, key: &str) -> dto::Word {
    dto::Word { key: key.to_owned(), text: word(language, section, key, &[]) }
}

fn counted<N: Into<u64> + Copy>(language: Language, counts: &[(String, N)]) -> Vec<dto::Count> {
    let count = |(key, count): &(String, N)| dto::Count {
        text: word(language, "reason", key, &[]),
        key: key.clone(),
        count: (*count).into(),
    };
    counts.iter().map(count).collect()
}

pub fn status(desk: &Desk, now: Wall, language: Language) -> dto::Status {
    dto::Status {
        agent: dto::Agent {
            id: desk.agent.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: stamp(desk.agent.started),
            now: stamp(now),
        },
        lines: desk.lines.iter().map(|l| line(l, language)).collect(),
        upstream: upstream(&desk.upstream.borrow()),
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
        alarms: status.alarms.iter().map(|a| alarm(&line.name, a, language)).collect(),
        pooled: status.pooled,
        items_per_min: status.items_per_min,
        verdict_us: dto::Latency {
            median: status.verdict_us[0],
            p99: status.verdict_us[1],
            max: status.verdict_us[2],
        },
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

pub fn alarm(line: &str, alarm: &ask::Alarm, language: Language) -> dto::Alarm {
    let args = [("detail".to_owned(), alarm.detail.clone()), ("line".to_owned(), line.to_owned())];
    dto::Alarm {
        line: line.to_owned(),
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
    let outcome = match doubt.outcome {
        JobOutcome::Open => "open",
        JobOutcome::Printed => "printed",
        JobOutcome::Refused => "refused",
        JobOutcome::Doubtful => "doubtful",
    };
    dto::InDoubt {
        issue: doubt.issue.0,
        code: code(&doubt.code),
        printer: doubt.printer.0,
        outcome: outcome.to_owned(),
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

fn plan(plan: &RunPlan) -> dto::Plan {
    dto::Plan {
        gtin: plan.gtin.to_string(),
        group: plan.group.clone(),
        quantity: plan.quantity,
        batch: plan.batch.clone(),
        production: stamp(plan.production),
        expiry: plan.expiry.map(stamp),
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

pub fn pool_level(level: &desk::PoolLevel, products: &[desk::Product]) -> dto::PoolLevel {
    dto::PoolLevel {
        gtin: level.gtin.to_string(),
        name: products.iter().find(|p| p.gtin == level.gtin).map(|p| p.name.clone()),
        codes: level.codes,
        soonest_expiry: level.soonest_expiry.map(stamp),
    }
}

pub fn open_report(report: &desk::OpenReport) -> dto::OpenReport {
    dto::OpenReport {
        report: report.report.0,
        kind: report.kind.clone(),
        run: report.run.0,
        codes: report.codes,
        state: report.state.clone(),
        why: report.why.clone(),
        since: stamp(report.since),
    }
}

pub fn run(row: &desk::RunRow, desk: &Desk) -> dto::Run {
    dto::Run {
        run: row.run.0,
        line: desk.line_name(row.line),
        state: state(row.state).to_owned(),
        plan: plan(&row.plan),
        opened: stamp(row.opened),
        closed: row.closed.map(stamp),
        triggers: row.triggers,
        passed: row.passed,
    }
}

/// The sheet with its sums checked here, from the counts alone.
pub fn sheet(sheet: &desk::Sheet, desk: &Desk, language: Language) -> dto::Sheet {
    let closed = sheet.run.state == RunState::Closed;
    let blocks: Vec<dto::BlockBalance> = sheet
        .blocks
        .iter()
        .map(|b| dto::BlockBalance {
            block: b.block.0,
            received: b.received,
            balanced: b.received == b.codes.total(),
            codes: counts(&b.codes),
        })
        .collect();
    let codes = dto::CodeBalance {
        issued: sheet.issued,
        balanced: sheet.issued == sheet.codes.total() && (!closed || sheet.codes.issued == 0),
        codes: counts(&sheet.codes),
    };
    let ended = sheet.items_passed + sheet.rejected.iter().map(|(_, n)| n).sum::<u64>() + sheet.lost;
    let items = dto::ItemBalance {
        triggers: sheet.triggers,
        passed: sheet.items_passed,
        codes_passed: sheet.codes_passed,
        rejected: counted(language, &sheet.rejected),
        lost: sheet.lost,
        escaped: sheet.escaped,
        balanced: sheet.triggers == ended + sheet.escaped && sheet.items_passed == sheet.codes_passed,
    };
    let named = |n: &desk::NamedCode| dto::NamedCode {
        code: code(&n.code),
        state: said(language, "code", &n.state),
        reason: n.reason.as_ref().map(|r| said(language, "reason", r)),
    };
    dto::Sheet {
        run: run(&sheet.run, desk),
        balanced: blocks.iter().all(|b| b.balanced) && codes.balanced && items.balanced,
        blocks,
        codes,
        items,
        named: sheet.named.iter().map(named).collect(),
        named_left: sheet.named_left,
    }
}

fn counts(c: &desk::Counts) -> dto::Counts {
    dto::Counts {
        set_aside: c.set_aside,
        pooled: c.pooled,
        issued: c.issued,
        verified: c.verified,
        applied: c.applied,
        written_off: c.written_off,
        spoiled: c.spoiled,
        returned: c.returned,
    }
}

pub fn story(story: &desk::Story, desk: &Desk, language: Language) -> dto::Story {
    let event = |e: &desk::StoryEvent| dto::Event {
        at: stamp(e.at),
        what: said(language, "code", &e.key),
        detail: e.detail.clone(),
    };
    dto::Story {
        code: code(&story.code),
        state: said(language, "code", &story.state),
        reason: story.reason.as_ref().map(|r| said(language, "reason", r)),
        tail_agrees: story.tail_agrees,
        run: story.run.map(|r| r.0),
        line: story.line.map(|l| desk.line_name(l)),
        block: story.block.map(|b| b.0),
        roll: story.roll.clone(),
        report: story.report.map(|r| r.0),
        events: story.events.iter().map(event).collect(),
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

pub fn trace_level(level: TraceLevel) -> &'static str {
    match level {
        TraceLevel::Off => "off",
        TraceLevel::Frames => "frames",
        TraceLevel::Bytes => "bytes",
    }
}

pub fn trace(device: &str, trace: &desk::Trace) -> dto::Trace {
    let record = |r: &desk::TraceRecord| dto::TraceRecord {
        at: stamp(r.at),
        way: r.way.to_string(),
        text: r.text.clone(),
    };
    dto::Trace {
        device: device.to_owned(),
        level: trace_level(trace.level).to_owned(),
        records: trace.records.iter().map(record).collect(),
    }
}
