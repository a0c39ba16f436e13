//! The store as a plain model: codes and items in maps, counted only when asked. It is told each record that the store
//! took, with the answer, and must know the same states and counts.

use std::collections::{BTreeMap, BTreeSet};

use tamga::store::read::sheet::{RunCodes, RunItems};
use tamga_domain::code::Identity;
use tamga_domain::ids::{PassNo, ReportNo, RunId, Tag};
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::record::{Answer, ItemEnd, JobOutcome, PassRange, Record, ReportState, Unpacked};

use crate::kit::*;

const UNKNOWN: State = State::Verified(Whereabouts::Unknown);
const PASSED: State = State::Verified(Whereabouts::Passed);
const REJECTED: State = State::Verified(Whereabouts::Rejected);

#[derive(Clone)]
struct Code {
    state: State,
    run: Option<RunId>,
    tag: Option<Tag>,
    issue: u32,
    pass: Option<PassNo>,
}

#[derive(Default)]
pub struct Model {
    codes: BTreeMap<Identity, Code>,
    /// How each item ended, or that it is open.
    items: BTreeMap<(RunId, Tag), &'static str>,
    last_tag: Option<Tag>,
    last_issue: BTreeMap<RunId, u32>,
    last_pass: BTreeMap<RunId, u32>,
    reports: BTreeMap<ReportNo, (RunId, Vec<PassRange>, ReportState)>,
    held: BTreeSet<(RunId, PassNo)>,
    runs: BTreeSet<RunId>,
}

impl Model {
    pub fn took(&mut self, record: &Record, answer: Option<&Answer>) {
        match (record, answer) {
            (Record::RunOpened { .. }, Some(Answer::Run(run))) => drop(self.runs.insert(*run)),
            (Record::Unpack { slice, .. }, _) => {
                let codes = slice.iter().filter_map(|one| match one {
                    Unpacked::Code(code) => Some(code.identity),
                    Unpacked::Malformed { .. } => None,
                });
                codes.for_each(|code| self.received(code, State::Pooled));
            }
            (Record::Import { codes, .. }, _) => {
                codes.iter().for_each(|code| self.received(code.identity, State::Stock));
            }
            (Record::Issue { run, .. }, Some(Answer::Issued(issued))) => {
                for one in issued {
                    let code = self.codes.get_mut(&one.code.identity).unwrap();
                    assert_eq!(code.state, State::Pooled);
                    let (run, issue) = (Some(*run), one.issue.0);
                    *code = Code { state: State::Issued, run, issue, tag: None, pass: None };
                }
                let last = self.last_issue.entry(*run).or_default();
                *last += u32::try_from(issued.len()).unwrap();
            }
            (Record::Job { code, outcome: JobOutcome::Refused, .. }, _) => {
                let code = self.codes.get_mut(code).unwrap();
                if code.state == State::Issued {
                    (code.state, code.run) = (State::Pooled, None);
                }
            }
            (Record::Trigger { run, tag, .. }, _) => self.came(*run, *tag, *tag, "open"),
            (Record::Away { run, from, to, .. }, _) => self.came(*run, *from, *to, "rejected"),
            (Record::Verify { run, code, tag, .. }, _) => self.verify(*run, code, *tag),
            (Record::End { run, tag, end, .. }, _) => self.end(*run, *tag, end),
            (Record::Settle { run, code, passed, .. }, _) => {
                if let Code { state: UNKNOWN, tag: Some(tag), .. } = self.codes[code] {
                    self.settle(*run, code, *passed);
                    self.items.insert((*run, tag), if *passed { "passed" } else { "rejected" });
                }
            }
            (Record::Spoil { code, reason, .. }, None) => {
                self.codes.get_mut(code).unwrap().state = State::Spoiled(*reason);
            }
            (Record::SpoilLeft { run, limit, .. }, Some(Answer::Left { codes })) => {
                assert_eq!(self.spoil_left(*run, *limit as usize), *codes as usize);
            }
            (Record::Return { limit, .. }, Some(Answer::Returned { left })) => {
                let pooled = self.codes.values_mut().filter(|c| c.state == State::Pooled);
                pooled.take(*limit as usize).for_each(|c| c.state = State::Returned);
                let here = self.codes.values().filter(|c| c.state == State::Pooled).count();
                assert_eq!(here as u64, *left);
            }
            (Record::ReportDrafted { run, passes, .. }, Some(Answer::Report(report, _))) => {
                let draft = (*run, passes.clone(), ReportState::Wanted);
                self.reports.entry(*report).or_insert(draft);
            }
            (Record::ReportState { report, state, .. }, _) => {
                self.reports.get_mut(report).unwrap().2 = state.clone();
            }
            (Record::Unresolved { report, pass, .. }, _) => {
                self.held.insert((self.reports[report].0, *pass));
            }
            _ => {}
        }
    }

    fn received(&mut self, code: Identity, state: State) {
        let new = Code { state, run: None, tag: None, issue: 0, pass: None };
        self.codes.entry(code).or_insert(new);
    }

    /// Tags up to the last one known are known.
    fn came(&mut self, run: RunId, from: Tag, to: Tag, how: &'static str) {
        for number in from.number..=to.number {
            let tag = Tag { number, ..from };
            if self.last_tag < Some(tag) {
                self.last_tag = Some(tag);
                self.items.insert((run, tag), how);
            }
        }
    }

    fn verify(&mut self, run: RunId, code: &Identity, tag: Tag) {
        let code = self.codes.get_mut(code).unwrap();
        if code.tag == Some(tag) {
            return;
        }
        if code.state == State::Stock {
            let last = self.last_issue.entry(run).or_default();
            *last += 1;
            (code.run, code.issue) = (Some(run), *last);
        }
        (code.state, code.tag) = (UNKNOWN, Some(tag));
    }

    fn end(&mut self, run: RunId, tag: Tag, end: &ItemEnd) {
        let how = match end {
            ItemEnd::Passed { code } => {
                if self.codes[code].state == UNKNOWN {
                    self.settle(run, code, true);
                }
                "passed"
            }
            ItemEnd::Rejected { .. } => {
                let of_item = |c: &Code| c.state == UNKNOWN && c.run == Some(run) && c.tag == Some(tag);
                let code = self.codes.iter().find(|(_, c)| of_item(c)).map(|(i, _)| *i);
                if let Some(code) = code {
                    self.settle(run, &code, false);
                }
                "rejected"
            }
            ItemEnd::Lost { .. } => "lost",
            ItemEnd::Escaped => "escaped",
        };
        self.items.insert((run, tag), how);
    }

    fn settle(&mut self, run: RunId, code: &Identity, passed: bool) {
        let code = self.codes.get_mut(code).unwrap();
        code.state = if passed { PASSED } else { REJECTED };
        if passed {
            let last = self.last_pass.entry(run).or_default();
            *last += 1;
            code.pass = Some(PassNo(*last));
        }
    }

    /// The unseen first, each in the order of issue; answers how many are left.
    fn spoil_left(&mut self, run: RunId, limit: usize) -> usize {
        let left = |c: &Code| c.run == Some(run) && (c.state == State::Issued || c.state == REJECTED);
        let mut codes: Vec<&mut Code> = self.codes.values_mut().filter(|c| left(c)).collect();
        codes.sort_by_key(|c| (c.state == REJECTED, c.issue));
        let spoiled = codes.len().min(limit);
        for code in &mut codes[..spoiled] {
            let why = if code.state == REJECTED { SpoilReason::Rejected } else { SpoilReason::Unseen };
            code.state = State::Spoiled(why);
        }
        codes.len() - spoiled
    }

    /// The state with what the reports say.
    fn state(&self, code: &Code) -> State {
        let (Some(run), Some(pass), PASSED) = (code.run, code.pass, code.state) else { return code.state };
        let carries = |(of, passes, state): &(RunId, Vec<PassRange>, ReportState)| {
            *of == run
                && *state == ReportState::Accepted
                && passes.iter().any(|r| r.from <= pass && pass <= r.to)
        };
        let applied = !self.held.contains(&(run, pass)) && self.reports.values().any(carries);
        if applied { State::Applied } else { PASSED }
    }

    fn codes_of(&self, run: RunId) -> RunCodes {
        let mut n = RunCodes::default();
        for code in self.codes.values().filter(|c| c.run == Some(run)) {
            n.issued += 1;
            match self.state(code) {
                State::Issued => n.in_doubt += 1,
                State::Applied => n.applied += 1,
                State::Spoiled(_) => n.spoiled += 1,
                state => {
                    n.verified += 1;
                    n.unknown += u32::from(state == UNKNOWN);
                }
            }
        }
        n
    }

    fn items_of(&self, run: RunId) -> RunItems {
        let mut n = RunItems::default();
        for (_, how) in self.items.iter().filter(|((of, _), _)| *of == run) {
            n.triggers += 1;
            *match *how {
                "open" => &mut n.open,
                "passed" => &mut n.passed,
                "rejected" => &mut n.rejected,
                "lost" => &mut n.lost,
                _ => &mut n.escaped,
            } += 1;
        }
        n
    }

    /// Every code and every run, as the store has them.
    pub fn agrees(&self, w: &World, codes: std::ops::RangeInclusive<u32>) {
        for n in codes {
            let here = self.codes.get(&identity(n)).map(|c| self.state(c));
            assert_eq!(w.state(n), here, "code {n}");
        }
        for run in &self.runs {
            assert_eq!(w.store.view().run_codes(*run).unwrap(), self.codes_of(*run), "run {run}");
            assert_eq!(w.store.view().run_items(*run).unwrap(), self.items_of(*run), "run {run}");
        }
    }
}
