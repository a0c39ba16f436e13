//! What is to be seen of the line, its alarms, and when it wants to be woken.

use std::collections::VecDeque;
use std::time::Duration;

use super::ask::{Alarm, DeviceStatus, InDoubt, OddResults, RunStatus, Status};
use super::{JobId, Line};
use crate::code::Identity;
use crate::ids::PrinterNo;
use crate::record::{Bar, JobOutcome, Record};
use crate::time::{Time, Wall};

/// Verdicts remembered for the latency shown to people.
const LATENCIES: usize = 1000;

/// Codes in doubt named in one status; the rest is in the run's sheet.
const IN_DOUBT_SHOWN: usize = 200;

/// Codes named in one alarm or refusal; `status` names the rest.
const CODES_NAMED: usize = 3;

/// Counts that only people look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    latencies_us: VecDeque<u64>,
    recent: VecDeque<Time>,
    pub(super) odd: OddResults,
}

impl Meter {
    pub(super) fn verdict(&mut self, latency: Duration, now: Time) {
        self.latencies_us.push_back(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        if self.latencies_us.len() > LATENCIES {
            self.latencies_us.pop_front();
        }
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|t| now.since(*t) > Duration::from_secs(60)) {
            self.recent.pop_front();
        }
    }

    /// Median, 99th percentile, maximum, in microseconds.
    fn quantiles(&self) -> [u64; 3] {
        let mut sorted: Vec<u64> = self.latencies_us.iter().copied().collect();
        sorted.sort_unstable();
        let at =
            |share: usize| sorted.get((sorted.len().saturating_sub(1)) * share / 100).copied().unwrap_or(0);
        [at(50), at(99), at(100)]
    }
}

/// Some codes for a person, in no language: the first few, and how many there are where not all are named.
pub(super) fn some_of<'c>(codes: impl Iterator<Item = &'c Identity> + Clone) -> String {
    let count = codes.clone().count();
    let named: Vec<String> = codes.take(CODES_NAMED).map(ToString::to_string).collect();
    let named = named.join(", ");
    if count > CODES_NAMED { format!("{named}, … ({count})") } else { named }
}

impl Line {
    /// The picture for people, made when somebody wants it.
    pub fn status(&self) -> Status {
        Status {
            run: self.run_status(),
            devices: self.device_status(),
            alarms: self.alarms.values().cloned().collect(),
            pooled: self.pooled,
            items_per_min: u32::try_from(self.meter.recent.len()).unwrap_or(u32::MAX),
            verdict_us: self.meter.quantiles(),
            odd_results: self.meter.odd,
            stopped_by: self.bar.map(Bar::key).or(self.stopped_by).map(|why| format!("stop.{why}")),
        }
    }

    /// The GTIN of the open run, whose pool level the line wants to know.
    pub fn product(&self) -> Option<crate::gs1::Gtin> {
        self.run.as_ref().map(|r| r.plan.gtin)
    }

    fn run_status(&self) -> Option<RunStatus> {
        let run = self.run.as_ref()?;
        let in_doubt = (0..).zip(&self.printers).flat_map(|(n, p)| {
            let no = PrinterNo(n);
            p.tracker.unread().map(move |(issue, code)| {
                let open = p.jobs.contains_key(&JobId { run: run.id, issue });
                let outcome = if open { JobOutcome::Open } else { JobOutcome::Printed };
                InDoubt { issue, code: *code, printer: no, outcome }
            })
        });
        Some(RunStatus {
            run: run.id,
            plan: run.plan.clone(),
            state: run.state,
            triggers: run.triggers,
            passed: run.passed,
            rejected: run.rejected.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect(),
            issued: u32::try_from(self.printers.iter().map(|p| p.tracker.remembered()).sum::<usize>())
                .unwrap_or(u32::MAX),
            in_doubt: in_doubt.take(IN_DOUBT_SHOWN).collect(),
            pass_unknown: self.unknown_passes(),
        })
    }

    fn device_status(&self) -> Vec<DeviceStatus> {
        let names = &self.config.device_names;
        let printers = names.printers.iter().zip(&self.printers).map(|(name, p)| DeviceStatus {
            name: name.clone(),
            kind: "printer",
            connected: p.connected,
            faults: p.faults.clone(),
        });
        let reader = names.readers.first().map(|name| DeviceStatus {
            name: name.clone(),
            kind: "reader",
            connected: self.reader.connected,
            faults: self.reader.faults.clone(),
        });
        let gate = DeviceStatus {
            name: names.gate.clone(),
            kind: "gate",
            connected: self.gate.connected,
            faults: self.gate.faults.clone(),
        };
        printers.chain(reader).chain([gate]).collect()
    }

    pub(super) fn raise(&mut self, key: &str, detail: &str, wall: Wall) {
        if let Some(known) = self.alarms.get_mut(key) {
            detail.clone_into(&mut known.detail);
            return;
        }
        let alarm =
            Alarm { key: key.to_owned(), detail: detail.to_owned(), since: wall, acknowledged: false };
        self.alarms.insert(key.to_owned(), alarm);
        let line = Some(self.config.line);
        self.lazy(Record::AlarmRaised { line, key: key.to_owned(), detail: detail.to_owned(), at: wall });
    }

    /// One alarm for all codes whose pass is not known and whose item is not on its way any more: how many, and which.
    pub(super) fn tell_unknown(&mut self, wall: Wall) {
        if self.pass_unknown.is_empty() {
            self.clear("alarm.pass_unknown", wall);
        } else {
            let codes = some_of(self.pass_unknown.keys());
            self.raise("alarm.pass_unknown", &codes, wall);
        }
    }

    pub(super) fn clear(&mut self, key: &str, wall: Wall) {
        if self.alarms.remove(key).is_some() {
            let line = Some(self.config.line);
            self.lazy(Record::AlarmCleared { line, key: key.to_owned(), at: wall });
        }
    }

    /// The line runs again, or its run is over: the reasons why it stood are history.
    pub(super) fn clear_stops(&mut self, wall: Wall) {
        let barred = self.bar.map(|bar| format!("alarm.stop.{}", bar.key()));
        let over = |k: &&String| k.contains(".stop.") && Some(*k) != barred.as_ref();
        let stops: Vec<String> = self.alarms.keys().filter(over).cloned().collect();
        stops.iter().for_each(|key| self.clear(key, wall));
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        let overdue = self.items.next_overdue(self.config.latency);
        overdue.into_iter().chain(self.batch_due()).chain(self.pool_empty).min()
    }
}
