//! A refused report, code by code.
//!
//! Nothing of a refused report is in effect, yet some of its codes may be applied by another way, and some may be
//! what it was refused for. While the codes are looked up the report stays open in the store, so a start in the middle
//! begins the look-up anew. Then the codes that upstream will not apply are named, a slice a commit, and one commit
//! closes the report and drafts its heirs:
//!
//! - codes found applied go into a report of their own that is *accepted without being sent*;
//! - the rest goes into a report that is sent, after a pause when nothing was wrong with the codes, since then only
//!   a person can mend what was wrong.

use super::core::{Core, Subject};
use super::passes;
use super::reports::{Drafted, Phase, Report};
use super::request::{CodeStatus, Request};
use super::unpack::SLICE;
use crate::ids::PassNo;
use crate::record::{Answer, PassRange, Record, ReportKind, ReportState};

/// A report refused for no fault of its codes is tried again at the latest after a day.
const PAUSE_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct Examine {
    reason: String,
    /// Passes looked up so far, in their order.
    looked_up: u32,
    applied: Vec<PassNo>,
    rest: Vec<PassNo>,
    unresolved: Vec<(PassNo, String)>,
    /// Of `unresolved`, how many are durable.
    named: usize,
    commit: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Naming,
    Closing,
}

impl Examine {
    pub fn of(reason: String) -> Examine {
        Examine { reason, ..Examine::default() }
    }
}

impl Report {
    /// The next look-up, or `None` when a commit was begun instead.
    pub fn next_of_examination(&mut self, core: &mut Core) -> Option<Request> {
        let all = passes::count(&self.passes);
        if self.examine.looked_up < all {
            let count = core.config.codes_per_lookup.max(1);
            let next = passes::each(&self.passes).skip(self.examine.looked_up as usize);
            let passes = passes::ranges(next.take(count as usize));
            let group = self.head.group.clone();
            return Some(Request::Codes { group, run: self.run, passes, history: false });
        }
        self.busy = true;
        let (no, at) = (self.no, core.wall);
        let named = self.examine.named;
        if named < self.examine.unresolved.len() {
            let slice = self.examine.unresolved[named..].iter().take(SLICE);
            let record = |(pass, why): &(PassNo, String)| Record::Unresolved {
                report: no,
                pass: *pass,
                why: why.clone(),
                at,
            };
            let records = slice.map(record).collect();
            self.examine.commit = Some(Step::Naming);
            core.commit(Subject::Report(no), records);
            return None;
        }
        let why = self.examine.reason.clone();
        let mut records = vec![Record::ReportState { report: no, state: ReportState::Refused, why, at }];
        for part in [&self.examine.applied, &self.examine.rest] {
            if !part.is_empty() {
                let passes = passes::ranges(part.iter().copied());
                let kind = ReportKind::Application;
                let (run, replaces, zone) = (self.run, Some(no), core.config.zone);
                records.push(Record::ReportDrafted { run, kind, passes, replaces, zone, at });
            }
        }
        self.examine.commit = Some(Step::Closing);
        core.commit(Subject::Report(no), records);
        None
    }

    /// What upstream says of the codes of one look-up.
    pub fn examined(&mut self, core: &Core, mut codes: Vec<(PassNo, CodeStatus)>) {
        codes.sort_by_key(|(pass, _)| *pass);
        let examine = &mut self.examine;
        let all = passes::count(&self.passes);
        examine.looked_up = (examine.looked_up + core.config.codes_per_lookup.max(1)).min(all);
        for (pass, status) in codes {
            match status {
                CodeStatus::Received => examine.rest.push(pass),
                CodeStatus::Applied => examine.applied.push(pass),
                CodeStatus::Missing => examine.unresolved.push((pass, "not known upstream".into())),
                CodeStatus::Other(word) => examine.unresolved.push((pass, word)),
            }
        }
        self.not_before = core.now;
    }

    /// A commit of this report is durable. Gives the reports that replace it.
    pub fn committed(&mut self, core: &mut Core, answers: &[Answer]) -> Vec<Report> {
        match self.examine.commit.take() {
            None => {
                self.state_durable(core);
                Vec::new()
            }
            Some(Step::Naming) => {
                self.busy = false;
                self.examine.named = (self.examine.named + SLICE).min(self.examine.unresolved.len());
                Vec::new()
            }
            Some(Step::Closing) => {
                self.busy = false;
                self.phase = Phase::Over;
                self.heirs(core, answers)
            }
        }
    }

    fn heirs(&mut self, core: &mut Core, answers: &[Answer]) -> Vec<Report> {
        let mut numbers = answers.iter().filter_map(|a| match a {
            Answer::Report(no, production) => Some((*no, *production)),
            _ => None,
        });
        let blameless = self.examine.unresolved.is_empty() && self.examine.applied.is_empty();
        let mut heirs = Vec::new();
        for (part, phase) in [(&self.examine.applied, Phase::Settled), (&self.examine.rest, Phase::Wanted)] {
            if part.is_empty() {
                continue;
            }
            let Some((no, production)) = numbers.next() else { break };
            let passes: Vec<PassRange> = passes::ranges(part.iter().copied());
            let head = self.head.clone();
            let mut heir =
                Report::drafted(Drafted { no, run: self.run, head, production, passes }, core.wall);
            heir.phase = phase;
            if blameless {
                heir.blameless = self.blameless + 1;
                let pause = core.config.refused_pause.saturating_mul(1 << self.blameless.min(10));
                heir.not_before = core.now.after(pause.min(PAUSE_MAX));
            }
            heirs.push(heir);
        }
        heirs
    }
}
