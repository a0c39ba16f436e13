//! From the records to the shapes of the API: runs and their sheets, the story of a code, pool and outbox. Pure.

use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::record::{JobOutcome, PackageKind, RunState};
use tamga_domain::time::Wall;

use super::shape::{code, counted, outcome, plan, said, state};
use super::text::{short_reason, stamp};
use super::{dto, packs};
use crate::desk::{Desk, Story};
use crate::store::read::outbox::{OrderRow, ReportRow};
use crate::store::read::people::AuditRow;
use crate::store::read::pools::{BlockBalance, PoolLevel};
use crate::store::read::sheet::{RunLine, RunSheet};
use crate::words::Language;

/// The state's key, which has its text under `code.`.
pub fn code_state(state: State) -> &'static str {
    match state {
        State::Pooled => "pooled",
        State::Stock => "stock",
        State::SetAside => "set_aside",
        State::Issued => "issued",
        State::Verified(Whereabouts::Unknown) => "verified.unknown",
        State::Verified(Whereabouts::Passed) => "verified.passed",
        State::Verified(Whereabouts::Rejected) => "verified.rejected",
        State::Applied => "applied",
        State::WrittenOff => "written_off",
        State::Spoiled(SpoilReason::Unseen) => "spoiled.unseen",
        State::Spoiled(SpoilReason::BadMark) => "spoiled.bad_mark",
        State::Spoiled(SpoilReason::Declared) => "spoiled.declared",
        State::Spoiled(SpoilReason::Restored) => "spoiled.restored",
        State::Spoiled(SpoilReason::Expired) => "spoiled.expired",
        State::Spoiled(SpoilReason::Rejected) => "spoiled.rejected",
        State::Spoiled(SpoilReason::Slipped) => "spoiled.slipped",
        State::Returned => "returned",
    }
}

pub fn run(row: &RunLine, desk: &Desk) -> dto::Run {
    dto::Run {
        run: row.run.0,
        line: desk.line_name(row.line),
        state: state(row.state).to_owned(),
        gtin: row.gtin.to_string(),
        batch: row.batch.clone(),
        quantity: row.quantity,
        opened: stamp(row.opened_at),
        closed: row.closed_at.map(stamp),
        passed: row.passed,
        rejected: row.rejected,
    }
}

/// The sheet with its sums checked here, from the counts alone.
pub fn sheet(sheet: &RunSheet, desk: &Desk, language: Language) -> dto::Sheet {
    let blocks: Vec<dto::BlockBalance> = sheet.blocks.iter().map(|(b, of_run)| block(b, *of_run)).collect();
    let codes = codes(sheet);
    let items = items(sheet, language);
    let packs = super::sheet::pack_sheet(sheet, desk, language);
    dto::Sheet {
        run: sheet.run.0,
        line: desk.line_name(sheet.line),
        state: state(sheet.state).to_owned(),
        plan: plan(&sheet.plan),
        opened: stamp(sheet.opened_at),
        opened_by: sheet.opened_by.clone(),
        closed: sheet.closed_at.map(stamp),
        balanced: blocks.iter().all(|b| b.balanced)
            && codes.balanced
            && items.balanced
            && packs.as_ref().is_none_or(|packs| packs.balanced),
        blocks,
        codes,
        items,
        reports: dto::ReportBalance {
            accepted: sheet.accepted,
            open: sheet.open,
            held: sheet.held,
            refused: sheet.refused,
            unreported: sheet.unreported,
        },
        in_doubt: sheet.in_doubt.iter().map(in_doubt).collect(),
        pass_unknown: sheet
            .pass_unknown
            .iter()
            .map(|(c, tag)| dto::PassUnknown { code: code(c), tag: tag.to_string() })
            .collect(),
        spoiled: sheet
            .spoiled
            .iter()
            .map(|(c, s)| dto::NamedCode { code: code(c), state: said(language, "code", code_state(*s)) })
            .collect(),
        unresolved: sheet
            .unresolved
            .iter()
            .map(|u| dto::Unresolved {
                pass: u.pass.0,
                code: code(&u.code),
                report: u.report.map(|r| r.0),
                why: u.why.clone(),
                pack: u.pack.as_ref().map(|facts| super::packs::pack(facts, language)),
            })
            .collect(),
        packs,
        unsettled: super::sheet::unsettled(sheet, desk, language),
        signed: sheet.signed.iter().map(super::sheet::signed).collect(),
        changes: sheet
            .changes
            .iter()
            .map(|c| dto::RunChange {
                at: stamp(c.at),
                state: if c.mark.is_empty() { state(c.state).to_owned() } else { c.mark.clone() },
                who: c.who.clone(),
                why: c.why.clone(),
            })
            .collect(),
    }
}

fn in_doubt((issued, of_job): &(tamga_domain::record::Issued, JobOutcome)) -> dto::InDoubt {
    dto::InDoubt {
        issue: issued.issue.0,
        code: code(&issued.code.identity),
        printer: issued.printer.0,
        outcome: outcome(*of_job).to_owned(),
    }
}

fn block(block: &BlockBalance, of_run: u32) -> dto::BlockBalance {
    let c = &block.counts;
    dto::BlockBalance {
        block: block.block.0,
        name: block.pack_id.clone(),
        of_run,
        received: c.received,
        waiting: c.received.saturating_sub(c.unpacked),
        set_aside: c.set_aside,
        pooled: c.pooled,
        issued: c.issued,
        verified: c.verified,
        applied: c.applied,
        written_off: c.written_off,
        spoiled: c.spoiled,
        returned: c.returned,
        balanced: c.balanced(),
    }
}

fn codes(sheet: &RunSheet) -> dto::CodeBalance {
    let c = &sheet.codes;
    let sum = c.in_doubt + c.verified + c.applied + c.written_off + c.spoiled;
    let settled = sheet.state != RunState::Closed || (c.in_doubt == 0 && c.unknown == 0);
    dto::CodeBalance {
        issued: c.issued,
        in_doubt: c.in_doubt,
        verified: c.verified,
        pass_unknown: c.unknown,
        applied: c.applied,
        written_off: c.written_off,
        spoiled: c.spoiled,
        balanced: c.issued == sum && settled,
    }
}

fn items(sheet: &RunSheet, language: Language) -> dto::ItemBalance {
    let i = &sheet.items;
    let codes_passed = sheet.accepted + sheet.open + sheet.held + sheet.unreported;
    let sum = i.open + i.passed + i.rejected + i.lost + i.escaped;
    let by_reason: u32 = sheet.rejected.iter().map(|(_, n)| n).sum();
    let settled = sheet.state != RunState::Closed || i.open == 0;
    dto::ItemBalance {
        triggers: i.triggers,
        open: i.open,
        passed: i.passed,
        codes_passed,
        rejected: counted(language, &sheet.rejected),
        lost: i.lost,
        escaped: i.escaped,
        balanced: i.triggers == sum && i.rejected == by_reason && i.passed == codes_passed && settled,
    }
}

pub fn story(story: &Story, desk: &Desk, language: Language) -> dto::Story {
    let known = &story.code;
    let report = |r: &crate::store::read::story::Carried| dto::StoryReport {
        report: r.report.0,
        state: r.state.to_owned(),
        upstream_id: r.upstream_id.clone(),
        unresolved: r.unresolved.clone(),
    };
    dto::Story {
        code: code(&known.code),
        state: said(language, "code", code_state(known.state)),
        tail_agrees: story.tail_agrees,
        run: known.issued.as_ref().map(|i| i.run.0),
        line: story.line.map(|l| desk.line_name(l)),
        pack: story.pack.as_ref().map(|facts| packs::pack(facts, language)),
        block: known.received.block.0,
        block_name: known.received.pack_id.clone(),
        reports: known.reports.iter().map(report).collect(),
        events: events(story, language),
    }
}

/// An incident is named by a key of its own, or by the reason for which the item was turned away.
fn incident(key: &str, language: Language) -> dto::Word {
    let named = said(language, "incident", &format!("incident.{key}"));
    match short_reason(language, key) {
        Some(text) if named.text == named.key => dto::Word { text, ..named },
        _ => named,
    }
}

/// What happened, in the order of the calendar.
fn events(story: &Story, language: Language) -> Vec<dto::Event> {
    let known = &story.code;
    let mut found: Vec<(Wall, &str, String)> = Vec::new();
    let origin = known.received.po_number.as_ref().unwrap_or(&known.received.pack_id);
    found.push((known.received.at, "received", origin.clone()));
    if let Some(issued) = &known.issued
        && let Some(at) = issued.at
    {
        let outcome = said(language, "job", outcome(issued.outcome)).text;
        found.push((at, "issued", format!("#{}: {outcome}", issued.issue)));
    }
    found.extend(known.verified.map(|(tag, at)| (at, "verified", tag.to_string())));
    found.extend(known.rejected.map(|at| (at, "rejected", String::new())));
    found.extend(known.passed.map(|(pass, at)| (at, "passed", format!("#{pass}"))));
    found.extend(known.returned.map(|at| (at, "returned", origin.clone())));
    let state = |state: &str| said(language, "http", &format!("report.{state}")).text;
    let report = |r: &crate::store::read::story::Carried| {
        (r.changed_at, "report", format!("#{}: {}", r.report, state(r.state)))
    };
    found.extend(known.reports.iter().map(report));
    found.extend(
        known.given_again.iter().map(|(block, why, at)| (*at, "given_again", format!("{block}: {why}"))),
    );
    let event = |(at, key, detail): (Wall, &str, String)| {
        (at, said(language, "http", &format!("event.{key}")), detail)
    };
    let mut found: Vec<(Wall, dto::Word, String)> = found.into_iter().map(event).collect();
    found.extend(known.incidents.iter().map(|i| (i.at, incident(&i.key, language), i.detail.clone())));
    found.sort_by_key(|(at, ..)| *at);
    found.into_iter().map(|(at, what, detail)| dto::Event { at: stamp(at), what, detail }).collect()
}

pub fn audit(row: &AuditRow) -> dto::Audit {
    dto::Audit {
        entry: row.id,
        at: stamp(row.at),
        who: row.who.clone(),
        from: row.from.clone(),
        command: row.command.clone(),
        outcome: row.outcome.clone(),
    }
}

pub fn pool_level(level: &PoolLevel, desk: &Desk) -> dto::PoolLevel {
    let kind = match level.kind {
        PackageKind::Unit => "unit",
        PackageKind::Group => "group",
        PackageKind::Set => "set",
    };
    dto::PoolLevel {
        gtin: level.gtin.to_string(),
        name: desk.products.iter().find(|p| p.gtin == level.gtin).map(|p| p.name.clone()),
        kind: kind.to_owned(),
        codes: level.pooled,
        on_order: level.on_order,
        soonest_expiry: level.soonest_expiry.map(stamp),
    }
}

pub fn order(row: &OrderRow, desk: &Desk, language: Language) -> dto::Order {
    dto::Order {
        order: row.order.0,
        number: row.plan.po_number.clone(),
        gtin: row.plan.gtin.to_string(),
        name: desk.products.iter().find(|p| p.gtin == row.plan.gtin).map(|p| p.name.clone()),
        state: said(language, "order", row.state.key()),
        why: row.why.clone(),
        upstream_id: row.plan.upstream_id.clone(),
        quantity: row.plan.quantity,
        received: row.received,
        pooled: row.pooled,
        ordered: row.ordered.map(stamp),
        expires: row.expires.map(stamp),
        since: stamp(row.changed_at),
    }
}

pub fn open_report(report: &ReportRow) -> dto::OpenReport {
    dto::OpenReport {
        report: report.report.0,
        run: report.run.0,
        codes: report.passes,
        state: report.state.key().to_owned(),
        upstream_id: report.upstream_id.clone(),
        attempts: report.attempts,
        why: report.why.clone(),
        production: stamp(report.production),
        since: stamp(report.drafted_at),
    }
}
