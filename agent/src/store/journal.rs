//! What a commit made durable, as lines of the log: the story of a line for who reads it afterwards.
//!
//! The writer tells it, after the commit, so that no line of the log speaks of what is not on disk. Told are the facts
//! that a person would ask for: runs, stops, alarms, orders, blocks, reports, commands. Not items and not single codes:
//! those are in the records (`tamga codes show`, `tamga run sheet`). A code is named by its identity at most, never
//! with its tail.

use std::collections::BTreeMap;

use tamga_domain::document::{DocumentRecord, PieceEnd};
use tamga_domain::ids::{LineNo, RunId};
use tamga_domain::pack::record::PackRecord;
use tamga_domain::pack::rework::Rework;
use tamga_domain::record::{Answer, OrderState, Record, ReportState, RunState, Txn};
use tamga_domain::share::ShareRecord;

use super::Store;
use super::error::StoreError;

/// What moves single codes and items, of which there are hundreds a second: the log says nothing of it.
macro_rules! untold {
    () => {
        Record::Issue { .. }
            | Record::Job { .. }
            | Record::Verify { .. }
            | Record::Trigger { .. }
            | Record::Away { .. }
            | Record::End { .. }
            | Record::Spoil { .. }
            | Record::SpoilLeft { .. }
            | Record::Import { .. }
            | Record::Unpack { .. }
            | Record::Return { .. }
            | Record::Pack(PackRecord::In { .. } | PackRecord::Named { .. } | PackRecord::Closed { .. })
            | Record::Share(ShareRecord::Taken { .. } | ShareRecord::Handed { .. })
            | Record::Document(DocumentRecord::Gather { .. })
            | Record::AnswerKept { .. }
    };
}

/// Reasons of a line's stop that are no trouble.
const CALM: [&str; 2] = ["asked", "quantity_reached"];

/// The names of lines, and which run is of which line: records have numbers only.
#[derive(Default)]
pub struct Journal {
    lines: Vec<String>,
    runs: BTreeMap<RunId, String>,
}

impl Journal {
    /// With the names of the lines as the data folder has them.
    pub fn of(store: &Store) -> Journal {
        // Without the names a line is told by its number: no reason not to start.
        let lines = store.meta("lines").ok().flatten().unwrap_or_default();
        Journal { lines: lines.lines().map(str::to_owned).collect(), runs: BTreeMap::new() }
    }

    /// Tells of one transaction that is durable; `answers` are those of its records.
    pub fn tell(&mut self, store: &Store, txn: &Txn, answers: &[Answer]) {
        let line_of = |run| store.view().line_of(run).ok().flatten();
        for record in &txn.records {
            self.one(record, answers, &line_of);
        }
    }

    fn one(&mut self, record: &Record, answers: &[Answer], look: &dyn Fn(RunId) -> Option<LineNo>) {
        match record {
            Record::RunOpened { line, plan, who, .. } => {
                let Some(run) = answers.iter().find_map(opened) else { return };
                let line = self.line(*line);
                let (production, expiry) = (plan.production, plan.expiry.map(|day| day.to_string()));
                let (gtin, batch, quantity) = (&plan.gtin, &plan.batch, plan.quantity);
                tracing::info!(%run, line, %gtin, quantity, batch, %production, expiry, who, "run opened");
                self.runs.insert(run, line);
            }
            Record::RunState { run, state, why, who, .. } => {
                let line = self.line_of(*run, look);
                match state {
                    RunState::Running => tracing::info!(%run, line, who, "run is running"),
                    RunState::Stopped if CALM.contains(&why.as_str()) => {
                        tracing::info!(%run, line, reason = why, "run stopped");
                    }
                    RunState::Stopped => tracing::warn!(%run, line, reason = why, "run stopped"),
                    RunState::Closing => tracing::info!(%run, line, who, "run is being closed"),
                    RunState::Closed => {
                        self.runs.remove(run);
                        tracing::info!(%run, line, who, "run closed");
                    }
                }
            }
            Record::SignedOff { run, who, unresolved, lines, .. } => {
                let line = self.line_of(*run, look);
                tracing::info!(%run, line, who, unresolved, lines, "closing sheet signed");
            }
            Record::AlarmRaised { line, key, detail, .. } => {
                let line = line.map(|line| self.line(line));
                match short(key).strip_prefix("stop.") {
                    Some(reason) => tracing::warn!(line, reason, detail, "line stopped"),
                    None => tracing::warn!(line, alarm = short(key), detail, "alarm raised"),
                }
            }
            Record::AlarmCleared { line, key, .. } => {
                let line = line.map(|line| self.line(line));
                tracing::info!(line, alarm = short(key), "alarm cleared");
            }
            Record::AlarmAcknowledged { line, key, who, .. } => {
                let line = line.map(|line| self.line(line));
                tracing::info!(line, alarm = short(key), who, "alarm acknowledged");
            }
            Record::Settle { run, code, passed, how, who, .. } => {
                let line = self.line_of(*run, look);
                tracing::info!(%run, line, %code, passed, how, who, "unknown pass settled");
            }
            Record::Incident { run, code, key, detail, .. } => {
                let (run, code) = (run.map(|run| run.0), code.map(|code| code.to_string()));
                tracing::debug!(run, code, incident = key, detail, "incident");
            }
            Record::OrderWanted { order, .. } => {
                let number = answers.iter().find_map(ordered);
                let (gtin, quantity, po) = (&order.gtin, order.quantity, &order.po_number);
                tracing::info!(order = number, %gtin, quantity, po, "codes are to be ordered");
            }
            Record::OrderState { order, state, why, .. } => {
                let why = some(why);
                let id = match state {
                    OrderState::Accepted { upstream_id } => Some(upstream_id),
                    _ => None,
                };
                match state.key() {
                    state @ ("refused" | "unknown") => tracing::warn!(%order, state, why, "order"),
                    state => tracing::info!(%order, state, id, why, "order"),
                }
            }
            Record::Block { order, count, .. } => tracing::info!(%order, codes = count, "block received"),
            Record::ReportDrafted { run, passes, .. } => {
                let report = answers.iter().find_map(drafted);
                let line = self.line_of(*run, look);
                let codes: u32 = passes.iter().map(|p| p.to.0.saturating_sub(p.from.0) + 1).sum();
                tracing::info!(report, %run, line, codes, "report drafted");
            }
            Record::ReportState { report, state, why, .. } => {
                let why = some(why);
                let id = match state {
                    ReportState::Processing { upstream_id } => Some(upstream_id),
                    _ => None,
                };
                match state.key() {
                    state @ ("refused" | "unknown") => tracing::warn!(%report, state, why, "report"),
                    state => tracing::info!(%report, state, id, why, "report"),
                }
            }
            Record::Unresolved { report, pass, why, .. } => {
                tracing::warn!(%report, %pass, why, "upstream refused a code for good");
            }
            Record::Audit { who, from, command, outcome, .. } => {
                tracing::info!(who, from, command, outcome, "asked");
            }
            Record::Share(ShareRecord::Anew { stream, .. }) => {
                tracing::warn!(stream, "all packs are told to the other agents anew");
            }
            untold!() => {}
            Record::Pack(record) => pack(record),
            Record::Document(record) => document(record),
        }
    }

    fn line(&self, line: LineNo) -> String {
        self.lines.get(usize::from(line.0)).cloned().unwrap_or_else(|| format!("#{line}"))
    }

    /// The line of a run, by the records where the run is older than this start.
    fn line_of(&mut self, run: RunId, look: &dyn Fn(RunId) -> Option<LineNo>) -> Option<String> {
        if let Some(known) = self.runs.get(&run) {
            return Some(known.clone());
        }
        let line = self.line(look(run)?);
        self.runs.insert(run, line.clone());
        Some(line)
    }
}

/// What a person did with a pack. (That one was filled and closed is no more than an item that passed.)
fn pack(record: &PackRecord) {
    match record {
        PackRecord::Label { pack, reason, who, .. } => {
            tracing::info!(%pack, reason, who, "label of a pack");
        }
        PackRecord::Short { pack, reason, who, .. } => {
            tracing::info!(%pack, reason, who, "pack to be closed short");
        }
        PackRecord::Out { pack, reason, who, .. } => {
            tracing::info!(%pack, reason, who, "taken out of a pack");
        }
        PackRecord::Voided { pack, reason, who, .. } => {
            tracing::warn!(%pack, reason, who, "pack voided");
        }
        PackRecord::Rework { works, reason, who, .. } => {
            let what: Vec<&str> = works.iter().map(Rework::key).collect();
            tracing::warn!(what = what.join(" "), reason, who, "rework of packs");
        }
        PackRecord::In { .. } | PackRecord::Named { .. } | PackRecord::Closed { .. } => {}
    }
}

/// What became of a document of packs, and of what it carries where upstream will not have it.
fn document(record: &DocumentRecord) {
    match record {
        DocumentRecord::State { document, state, why, .. } => {
            let id = match state {
                ReportState::Processing { upstream_id } => upstream_id.as_str(),
                _ => "",
            };
            match state.key() {
                state @ ("refused" | "unknown") => tracing::warn!(%document, state, why, "document"),
                state => tracing::info!(%document, state, id, why, "document"),
            }
        }
        DocumentRecord::Ends { document, ends, .. } => {
            for (piece, end) in ends {
                if let PieceEnd::Refused(why) = end {
                    tracing::warn!(%document, piece, why, "upstream refused a piece of a document");
                }
            }
        }
        DocumentRecord::Again { pack, who, reason, .. } => {
            tracing::info!(%pack, who, reason, "a refused pack is told again");
        }
        DocumentRecord::Gather { .. } => {}
    }
}

/// The transactions with a record that is told, each with its answers.
pub fn worth_telling<'t>(
    txns: &'t [Txn],
    answers: &[Result<Vec<Answer>, StoreError>],
) -> Vec<(&'t Txn, Vec<Answer>)> {
    let made = txns.iter().zip(answers).filter_map(|(txn, answers)| Some((txn, answers.as_ref().ok()?)));
    let told = made.filter(|(txn, _)| txn.records.iter().any(is_told));
    told.map(|(txn, answers)| (txn, answers.clone())).collect()
}

fn is_told(record: &Record) -> bool {
    !matches!(record, untold!())
}

fn opened(answer: &Answer) -> Option<RunId> {
    if let Answer::Run(run) = answer { Some(*run) } else { None }
}

fn ordered(answer: &Answer) -> Option<u32> {
    if let Answer::Order(order) = answer { Some(order.0) } else { None }
}

fn drafted(answer: &Answer) -> Option<u32> {
    if let Answer::Report(report, _) = answer { Some(report.0) } else { None }
}

/// Nothing is better than `why=""`.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn short(key: &str) -> &str {
    key.strip_prefix("alarm.").unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tamga_domain::time::Wall;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the log says of a record, without the time.
    fn said(record: &Record) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_target(false).without_time();
        let log = log.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let mut journal = Journal { lines: vec!["l1".to_owned()], runs: BTreeMap::new() };
            journal.one(record, &[], &|_| Some(LineNo(0)));
        });
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().trim().to_owned()
    }

    #[test]
    fn a_stop_is_told_as_a_warning_with_reason_and_detail() {
        let (line, at) = (Some(LineNo(0)), Wall(0));
        let raised = |key: &str| Record::AlarmRaised { line, key: key.into(), detail: "10".into(), at };
        let stop = said(&raised("alarm.stop.consecutive_bad"));
        assert_eq!(stop, r#"WARN line stopped line="l1" reason="consecutive_bad" detail="10""#);
        assert_eq!(
            said(&raised("alarm.pool_low")),
            r#"WARN alarm raised line="l1" alarm="pool_low" detail="10""#
        );
        let cleared = Record::AlarmCleared { line: None, key: "alarm.pool_low".into(), at };
        assert_eq!(said(&cleared), r#"INFO alarm cleared alarm="pool_low""#);
    }

    #[test]
    fn a_stop_that_a_person_asked_for_is_no_warning() {
        let stopped = |why: &str| Record::RunState {
            run: RunId(7),
            state: RunState::Stopped,
            why: why.into(),
            who: "line".into(),
            at: Wall(0),
        };
        assert_eq!(said(&stopped("asked")), r#"INFO run stopped run=7 line="l1" reason="asked""#);
        assert_eq!(said(&stopped("jump")), r#"WARN run stopped run=7 line="l1" reason="jump""#);
    }
}
