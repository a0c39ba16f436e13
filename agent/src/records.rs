//! What the windows ask of the records, answered from the store: queries on read-only connections, writes through the
//! writer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tamga_domain::code::{Code, Identity};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{RunId, TxnId};
use tamga_domain::layout::Layout;
use tamga_domain::layout::reader::Substitutes;
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::line::ask::Refusal;
use tamga_domain::record::{Answer, Known, Record, ReportState, RunPlan, Txn};
use tamga_drivers::trace::{Direction, Level as WireLevel, Trace as WireTrace};

use crate::clock;
use crate::desk::{
    AuditEntry, BlockBalance, Counts, Finding, ImportSlice, Imported, NamedCode, OpenReport, PoolLevel, Records,
    RecordsError, RefusedCode, RunRow, Sheet, Story, StoryEvent, Trace, TraceLevel, TraceRecord,
};
use crate::doctor;
use crate::store::error::StoreError;
use crate::store::read::sheet::{RunLine, RunSheet};
use crate::store::read::story::CodeStory;
use crate::store::read::{Reader, View};
use crate::store::writer::Handle;
use crate::store::read;

/// Read-only connections kept for the next query.
const READERS_MAX: usize = 4;

/// The records of one data folder.
pub struct StoreRecords {
    data: PathBuf,
    writer: Handle,
    readers: Mutex<Vec<Reader>>,
    /// Product group and layout by GTIN: what a scan can be.
    layouts: BTreeMap<Gtin, (String, Layout)>,
    traces: BTreeMap<String, WireTrace>,
    runtime: tokio::runtime::Handle,
}

impl StoreRecords {
    /// `runtime` is the daemon's: the blocking writes of [`Records`] wait on it.
    pub fn new(
        data: PathBuf,
        writer: Handle,
        layouts: BTreeMap<Gtin, (String, Layout)>,
        traces: Vec<(String, WireTrace)>,
        runtime: tokio::runtime::Handle,
    ) -> StoreRecords {
        let traces = traces.into_iter().collect();
        StoreRecords { data, writer, readers: Mutex::new(Vec::new()), layouts, traces, runtime }
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        // A panic ends the process, so a poisoned lock is never seen for long.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, query: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, RecordsError> {
        let kept = self.readers().pop();
        let reader = match kept {
            Some(reader) => reader,
            None => Reader::open(&self.data).map_err(failed)?,
        };
        let answer = reader.view().and_then(|view| query(&view)).map_err(failed);
        let mut readers = self.readers();
        if readers.len() < READERS_MAX {
            readers.push(reader);
        }
        answer
    }

    fn write(&self, record: Record) -> Result<Vec<Answer>, RecordsError> {
        let txn = Txn { id: TxnId(0), records: vec![record] };
        let answer = self.runtime.block_on(self.writer.commit(txn));
        answer.map_err(|e| RecordsError::Failed(e.to_string()))
    }

    fn tail(&self, identity: Identity) -> Result<Option<Vec<u8>>, RecordsError> {
        let known = self.runtime.block_on(self.writer.find(identity));
        Ok(match known.map_err(|e| RecordsError::Failed(e.to_string()))? {
            Known::Unknown => None,
            Known::Waiting { tail, .. } => Some(tail),
            Known::Coded(facts) => Some(facts.tail),
        })
    }

    /// The identity in a scan: of any layout of the plant's products, with or without tail.
    fn identity(&self, scan: &[u8]) -> Result<(Identity, Option<Code>), RecordsError> {
        let usual = Substitutes::usual();
        for (_, layout) in self.layouts.values() {
            if let Ok(parsed) = layout.parse_with(scan, &usual) {
                return Ok((parsed.code.identity, Some(parsed.code)));
            }
        }
        for (_, layout) in self.layouts.values() {
            if let Ok(identity) = layout.parse_identity_with(scan, &usual) {
                return Ok((identity, None));
            }
        }
        Err(RecordsError::Refused(Refusal::new("refuse.not_a_code")))
    }
}

fn failed(error: StoreError) -> RecordsError {
    RecordsError::Failed(error.to_string())
}

impl Records for StoreRecords {
    fn story(&self, scan: &[u8]) -> Result<Option<Story>, RecordsError> {
        let (identity, full) = self.identity(scan)?;
        let Some(found) = self.look(|v| v.story(&identity))? else { return Ok(None) };
        let line = match &found.issued {
            Some(issued) => self.look(|v| v.run_sheet(issued.run))?.map(|s| s.line),
            None => None,
        };
        let tail_agrees = match full {
            Some(code) => self.tail(identity)?.map(|tail| tail == code.tail.as_bytes()),
            None => None,
        };
        Ok(Some(story(found, line, tail_agrees)))
    }

    fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<RunRow>, RecordsError> {
        let lines = self.look(|v| v.runs(before, limit))?;
        lines.iter().map(|l| self.row(l)).collect()
    }

    fn sheet(&self, run: RunId) -> Result<Option<Sheet>, RecordsError> {
        Ok(self.look(|v| v.run_sheet(run))?.map(sheet))
    }

    fn pool(&self) -> Result<Vec<PoolLevel>, RecordsError> {
        let level = |l: read::pools::PoolLevel| PoolLevel {
            gtin: l.gtin,
            codes: l.pooled,
            soonest_expiry: l.soonest_expiry,
        };
        Ok(self.look(|v| v.pool_levels())?.into_iter().map(level).collect())
    }

    fn outbox(&self, limit: u32) -> Result<Vec<OpenReport>, RecordsError> {
        let reports = self.look(|v| v.reports_open())?;
        let open = |r: read::outbox::ReportRow| OpenReport {
            report: r.report,
            kind: "application".to_owned(),
            run: r.run,
            codes: r.passes.into(),
            state: report_key(&r.state).to_owned(),
            why: r.why,
            since: r.drafted_at,
        };
        Ok(reports.into_iter().take(limit as usize).map(open).collect())
    }

    fn doctor(&self) -> Result<Vec<Finding>, RecordsError> {
        let outbox = self.look(|v| v.outbox())?;
        let alarms = self.look(|v| v.alarms_open())?;
        Ok(doctor::examine(&self.data, &outbox, alarms.len()))
    }

    fn import(&self, slice: &ImportSlice) -> Result<Imported, RecordsError> {
        let layouts = self.layouts.values().filter(|(group, _)| *group == slice.group);
        let layouts: Vec<&Layout> = layouts.map(|(_, layout)| layout).collect();
        if layouts.is_empty() {
            return Err(RecordsError::Refused(
                Refusal::new("refuse.unknown_group").with("group", &slice.group),
            ));
        }
        let mut codes = Vec::new();
        let mut lines = BTreeMap::new();
        let mut imported = Imported::default();
        for (line, bytes) in &slice.codes {
            let parsed = layouts.iter().find_map(|l| l.parse(bytes).ok());
            match parsed {
                Some(parsed) => {
                    lines.insert(parsed.code.identity, *line);
                    codes.push(parsed.code);
                }
                None => imported.refused.push(RefusedCode {
                    line: *line,
                    code: None,
                    why: "import.malformed".to_owned(),
                }),
            }
        }
        let record = Record::Import {
            roll: slice.roll.clone(),
            codes,
            group: slice.group.clone(),
            at: clock::wall(),
        };
        for answer in self.write(record)? {
            if let Answer::Imported { taken, refused } = answer {
                imported.taken += taken;
                imported.refused.extend(refused.into_iter().map(|(code, _)| RefusedCode {
                    line: lines.get(&code).copied().unwrap_or_default(),
                    code: Some(code),
                    why: "import.known".to_owned(),
                }));
            }
        }
        Ok(imported)
    }

    fn audit(&self, entry: AuditEntry) -> Result<(), RecordsError> {
        let AuditEntry { who, from, command, outcome } = entry;
        self.write(Record::Audit { who, from, command, outcome, at: clock::wall() }).map(drop)
    }

    fn trace(&self, device: &str, limit: u32) -> Result<Option<Trace>, RecordsError> {
        let Some(wire) = self.traces.get(device) else { return Ok(None) };
        let (records, _) = wire.since(0);
        let (now, wall) = (clock::now(), clock::wall());
        let skip = records.len().saturating_sub(limit as usize);
        let records = records.iter().skip(skip).map(|r| {
            let ago_ms = now.0.saturating_sub(r.at.0) / 1_000_000;
            TraceRecord {
                at: wall.plus_ms(-i64::try_from(ago_ms).unwrap_or(i64::MAX)),
                way: match r.direction {
                    Direction::Out => '>',
                    Direction::In => '<',
                    Direction::Connected | Direction::Disconnected => '.',
                },
                text: r.line(),
            }
        });
        let level = match wire.level() {
            WireLevel::Off => TraceLevel::Off,
            WireLevel::Frames => TraceLevel::Frames,
            WireLevel::Bytes => TraceLevel::Bytes,
        };
        Ok(Some(Trace { level, records: records.collect() }))
    }

    fn set_trace(&self, device: &str, level: TraceLevel) -> Result<bool, RecordsError> {
        let Some(wire) = self.traces.get(device) else { return Ok(false) };
        wire.set_level(match level {
            TraceLevel::Off => WireLevel::Off,
            TraceLevel::Frames => WireLevel::Frames,
            TraceLevel::Bytes => WireLevel::Bytes,
        });
        Ok(true)
    }
}

impl StoreRecords {
    fn row(&self, line: &RunLine) -> Result<RunRow, RecordsError> {
        let (plan, _) = self.look(|v| v.run_plan(line.run))?.ok_or_else(|| {
            RecordsError::Failed(format!("run {} has no plan", line.run))
        })?;
        let items = self.look(|v| v.run_items(line.run))?;
        Ok(RunRow {
            run: line.run,
            line: line.line,
            plan,
            state: line.state,
            opened: line.opened_at,
            closed: line.closed_at,
            passed: items.passed,
            triggers: items.triggers,
        })
    }
}

fn report_key(state: &ReportState) -> &'static str {
    match state {
        ReportState::Wanted => "wanted",
        ReportState::Sent => "sent",
        ReportState::Unknown => "unknown",
        ReportState::Processing { .. } => "processing",
        ReportState::Accepted => "accepted",
        ReportState::Refused => "refused",
    }
}

/// The stable key of a state, and of its reason.
fn state_key(state: State) -> (&'static str, Option<&'static str>) {
    match state {
        State::Pooled => ("pooled", None),
        State::Stock => ("stock", None),
        State::SetAside => ("set_aside", None),
        State::Issued => ("issued", None),
        State::Verified(Whereabouts::Unknown) => ("pass_unknown", None),
        State::Verified(Whereabouts::Passed) => ("passed", None),
        State::Verified(Whereabouts::Rejected) => ("rejected", None),
        State::Applied => ("applied", None),
        State::WrittenOff => ("written_off", None),
        State::Returned => ("returned", None),
        State::Spoiled(reason) => ("spoiled", Some(spoil_key(reason))),
    }
}

fn spoil_key(reason: SpoilReason) -> &'static str {
    match reason {
        SpoilReason::Unseen => "unseen",
        SpoilReason::BadMark => "bad_mark",
        SpoilReason::Declared => "declared",
        SpoilReason::Restored => "restored",
        SpoilReason::Expired => "expired",
    }
}

fn story(
    found: CodeStory,
    line: Option<tamga_domain::ids::LineNo>,
    tail_agrees: Option<bool>,
) -> Story {
    let (state, reason) = state_key(found.state);
    let event = |at, key: &str, detail: String| StoryEvent { at, key: key.to_owned(), detail };
    let r = &found.received;
    let from = match &r.po_number {
        Some(po) => format!("order {po}, block {} ({})", r.block, r.pack_id),
        None => format!("roll {}", r.pack_id),
    };
    let mut events = vec![event(r.at, "received", from)];
    for (block, why, at) in &found.given_again {
        events.push(event(*at, "given_again", format!("block {block}: {why}")));
    }
    if let Some(i) = &found.issued
        && let Some(at) = i.at
    {
        events.push(event(at, "issued", format!("run {}, printer {}, no. {}", i.run, i.printer, i.issue)));
    }
    if let Some((tag, at)) = found.verified {
        events.push(event(at, "verified", format!("item {tag}")));
    }
    if let Some(at) = found.rejected {
        events.push(event(at, "rejected", String::new()));
    }
    if let Some((pass, at)) = found.passed {
        events.push(event(at, "passed", format!("pass {pass}")));
    }
    for c in &found.reports {
        let upstream = c.upstream_id.as_deref().unwrap_or("not named yet");
        events.push(event(c.changed_at, "report", format!("report {} ({upstream}): {}", c.report, c.state)));
    }
    events.extend(found.incidents.iter().map(|i| event(i.at, &i.key, i.detail.clone())));
    events.sort_by_key(|e| e.at);
    Story {
        code: found.code,
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        tail_agrees,
        run: found.issued.as_ref().map(|i| i.run),
        line,
        block: r.order.map(|_| r.block),
        roll: r.order.is_none().then(|| r.pack_id.clone()),
        report: found.reports.last().map(|c| c.report),
        events,
    }
}

fn counts(c: &read::pools::Counts) -> Counts {
    Counts {
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

fn sheet(s: RunSheet) -> Sheet {
    let named = |code: Identity, (state, reason): (&str, Option<&str>)| NamedCode {
        code,
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
    };
    let mut names: Vec<NamedCode> = Vec::new();
    names.extend(s.in_doubt.iter().map(|(i, _)| named(i.code.identity, ("issued", None))));
    names.extend(s.pass_unknown.iter().map(|(c, _)| named(*c, ("pass_unknown", None))));
    names.extend(s.spoiled.iter().map(|(c, state)| named(*c, state_key(*state))));
    names.extend(s.unresolved.iter().map(|u| named(u.code, ("passed", Some("unresolved")))));
    let all = u64::from(s.codes.in_doubt) + u64::from(s.codes.unknown) + u64::from(s.codes.spoiled);
    let all = all + s.unresolved.len() as u64;
    Sheet {
        run: RunRow {
            run: s.run,
            line: s.line,
            plan: RunPlan { ..s.plan },
            state: s.state,
            opened: s.opened_at,
            closed: s.closed_at,
            passed: s.items.passed,
            triggers: s.items.triggers,
        },
        blocks: s
            .blocks
            .iter()
            .map(|(b, _)| BlockBalance { block: b.block, received: b.counts.received, codes: counts(&b.counts) })
            .collect(),
        issued: s.codes.issued.into(),
        codes: Counts {
            issued: s.codes.in_doubt.into(),
            verified: s.codes.verified.into(),
            applied: s.codes.applied.into(),
            written_off: s.codes.written_off.into(),
            spoiled: s.codes.spoiled.into(),
            ..Counts::default()
        },
        triggers: s.items.triggers.into(),
        items_passed: s.items.passed.into(),
        codes_passed: u64::from(s.carried + s.held + s.unreported),
        rejected: s.rejected.into_iter().map(|(k, n)| (k, n.into())).collect(),
        lost: s.items.lost.into(),
        escaped: s.items.escaped.into(),
        named_left: all.saturating_sub(names.len() as u64),
        named: names,
    }
}
