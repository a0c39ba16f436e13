//! A refused report, code by code.
//!
//! Nothing of a refused report is in effect, yet some of its codes may be applied by another way, and some may be
//! what it was refused for. While the codes are looked up the report stays open in the store, so a start in the middle
//! begins the look-up anew. Then the codes that upstream will not apply are named, a slice a commit, and one commit
//! closes the report and drafts its heirs:
//!
//! - codes found applied go into a report of their own that is *accepted without being sent*;
//! - codes that the refusal itself names are held, as are those of which the look-up says that they cannot be applied;
//!   One answer shows no code for dead: what is unknown upstream is looked at again until it was so over the settling
//!   time, since a cache or a half-awake registry says such things too;
//! - a status that no document names says neither that a code is in effect nor that it is not: after the settling time such
//!   codes go into a report of their own that is not sent, and is looked for like one whose answer was lost, for as long
//!   as upstream has no other word;
//! - the rest goes into a report that is sent at once;
//! - where nothing shows which code it was for, the rest is parted, and the parts are sent: a report is taken whole or
//!   not at all, so parting it finds the codes. A single code refused while another part was accepted is the code.
//!   As long as no part is accepted it may be no code at all: one code goes alone, to find out soonest, and after
//!   [`REFUSALS_MAX`] refusals the parts wait, since then only a person can mend what is wrong.

use std::collections::BTreeSet;

use super::core::{Core, Subject};
use super::passes;
use super::reports::{Drafted, Phase, Report};
use super::request::{CodeStatus, Request};
use super::unpack::SLICE;
use crate::ids::PassNo;
use crate::record::{Answer, Record, ReportKind, ReportState};

/// A report refused for no fault of its codes is tried again at the latest after a day.
const PAUSE_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// So many refusals in a row, none of them for a code that shows, and the way to part reports leads nowhere: each
/// parting sends three reports, one of them a code alone, and eight bad codes alone in a row are no coincidence.
const REFUSALS_MAX: u32 = 24;

/// A code refused alone is looked at so often before it is held; that others are taken speaks against it already.
const ALONE_LOOKS: u32 = 3;

#[derive(Default)]
pub(super) struct Examine {
    reason: String,
    /// Passes that the refusal names.
    accused: BTreeSet<PassNo>,
    /// Passes of this round of look-ups, and how many of them were looked up; `None` before the first round.
    round: Option<Vec<PassNo>>,
    looked_up: usize,
    /// What looks say of codes that cannot be reported, if it is so; `None`: they are not known upstream.
    doubt: Vec<(PassNo, Option<String>)>,
    /// Codes of which upstream says what nobody understands.
    strange: Vec<PassNo>,
    /// One of these words.
    word: String,
    /// Looks at a code that was refused alone.
    alone: u32,
    applied: Vec<PassNo>,
    rest: Vec<PassNo>,
    unresolved: Vec<(PassNo, String)>,
    /// Of `unresolved`, how many are durable.
    named: usize,
    /// What goes into the heirs, in the order of their drafts.
    parts: Vec<(Vec<PassNo>, Phase)>,
    /// The heirs wait before they are sent.
    wait: bool,
    commit: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Naming,
    Closing,
}

impl Examine {
    pub fn of(reason: String, named: Vec<PassNo>) -> Examine {
        Examine { reason, accused: named.into_iter().collect(), ..Examine::default() }
    }
}

impl Report {
    /// The next look-up, or `None` when a commit was begun instead.
    pub fn next_of_examination(&mut self, core: &mut Core) -> Option<Request> {
        let count = core.config.codes_per_lookup.max(1) as usize;
        let round = self.examine.round.get_or_insert_with(|| passes::each(&self.passes).collect());
        if self.examine.looked_up < round.len() {
            let next = round.iter().skip(self.examine.looked_up).take(count).copied();
            let (passes, group) = (passes::ranges(next), self.head.group.clone());
            return Some(Request::Codes { group, run: self.run, passes, history: false });
        }
        let doubt = std::mem::take(&mut self.examine.doubt);
        if !doubt.is_empty() && !self.absence.look(&core.config, core.now) {
            self.look_again(core, doubt.iter().map(|(pass, _)| *pass).collect());
            return None;
        }
        for (pass, word) in doubt {
            match word {
                None => self.examine.unresolved.push((pass, "not known upstream".to_owned())),
                Some(word) => {
                    self.examine.strange.push(pass);
                    self.examine.word = word;
                }
            }
        }
        if self.is_the_one(core) {
            // That it is not applied was said once: by a cache, perhaps.
            self.examine.alone += 1;
            if !self.absence.look(&core.config, core.now) && self.examine.alone < ALONE_LOOKS {
                let rest = std::mem::take(&mut self.examine.rest);
                self.look_again(core, rest);
                return None;
            }
            self.hold_the_one();
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
        self.part(core);
        let why = self.examine.reason.clone();
        let mut records = vec![Record::ReportState { report: no, state: ReportState::Refused, why, at }];
        for (part, phase) in &self.examine.parts {
            let unsure = *phase == Phase::Probing;
            let passes = passes::ranges(part.iter().copied());
            let kind = ReportKind::Application;
            let (run, replaces, zone, by) = (self.run, Some(no), core.config.zone, core.server_now());
            records.push(Record::ReportDrafted { run, kind, passes, replaces, unsure, zone, by, at });
        }
        self.examine.commit = Some(Step::Closing);
        core.commit(Subject::Report(no), records);
        None
    }

    /// Whether nothing shows which codes the report was refused for.
    fn is_blameless(&self) -> bool {
        let examine = &self.examine;
        examine.unresolved.is_empty() && examine.applied.is_empty() && examine.strange.is_empty()
    }

    /// Whether upstream took another report of this run since it refused the first of this family.
    fn others_are_taken(&self, core: &Core) -> bool {
        self.root.is_some_and(|root| core.accepted_since(self.run, root))
    }

    /// Another round of look-ups, after a pause.
    fn look_again(&mut self, core: &mut Core, round: Vec<PassNo>) {
        self.examine.round = Some(round);
        self.examine.looked_up = 0;
        self.not_before = core.now.after(self.absence.pause(&core.config));
        core.wake_at(self.not_before);
    }

    /// A code that is refused alone, while others like it are taken, is what was refused.
    fn is_the_one(&self, core: &Core) -> bool {
        self.is_blameless() && self.examine.rest.len() == 1 && self.others_are_taken(core)
    }

    fn hold_the_one(&mut self) {
        let why = self.examine.reason.clone();
        self.examine.unresolved = self.examine.rest.drain(..).map(|pass| (pass, why.clone())).collect();
    }

    /// What goes into which heir.
    fn part(&mut self, core: &mut Core) {
        let blameless = self.is_blameless();
        let taken = self.others_are_taken(core);
        let (mut applied, mut rest) =
            (std::mem::take(&mut self.examine.applied), std::mem::take(&mut self.examine.rest));
        // A code that was looked at again stands behind those of the first round.
        applied.sort_unstable();
        rest.sort_unstable();
        let mut strange = std::mem::take(&mut self.examine.strange);
        strange.sort_unstable();
        let mut parts = vec![(applied, Phase::Settled), (strange, Phase::Probing)];
        if blameless && !taken {
            core.refusals = core.refusals.saturating_add(1);
        }
        self.examine.wait = blameless && !taken && (core.refusals > REFUSALS_MAX || rest.len() <= 1);
        if blameless && !self.examine.wait {
            let alone = if taken { Vec::new() } else { rest.drain(..1).collect() };
            let half = rest.split_off(rest.len() / 2);
            parts.extend([alone, rest, half].map(|part| (part, Phase::Wanted)));
        } else {
            parts.push((rest, Phase::Wanted));
        }
        parts.retain(|(part, _)| !part.is_empty());
        self.examine.parts = parts;
    }

    /// What upstream says of the codes of one look-up.
    pub fn examined(&mut self, core: &Core, mut codes: Vec<(PassNo, CodeStatus)>) {
        codes.sort_by_key(|(pass, _)| *pass);
        let examine = &mut self.examine;
        examine.looked_up += core.config.codes_per_lookup.max(1) as usize;
        for (pass, status) in codes {
            match status {
                CodeStatus::Received if examine.accused.contains(&pass) => {
                    examine.unresolved.push((pass, examine.reason.clone()));
                }
                CodeStatus::Received => examine.rest.push(pass),
                CodeStatus::Applied => examine.applied.push(pass),
                CodeStatus::Gone(word) => examine.unresolved.push((pass, word)),
                CodeStatus::Missing => examine.doubt.push((pass, None)),
                CodeStatus::Other(word) => examine.doubt.push((pass, Some(word))),
            }
        }
        self.tries = 0;
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
                if let [(_, why), ..] = &self.examine.unresolved[..] {
                    let (count, run) = (self.examine.unresolved.len(), self.run);
                    let detail = format!("{count}, run {run}: {why}");
                    core.tell("alarm.codes_refused", &self.own_number(core), &detail);
                }
                self.heirs(core, answers)
            }
        }
    }

    fn heirs(&mut self, core: &mut Core, answers: &[Answer]) -> Vec<Report> {
        let numbers = answers.iter().filter_map(|a| match a {
            Answer::Report(no, production) => Some((*no, *production)),
            _ => None,
        });
        let mut heirs = Vec::new();
        for ((part, phase), (no, production)) in
            std::mem::take(&mut self.examine.parts).into_iter().zip(numbers)
        {
            let (run, head, passes) = (self.run, self.head.clone(), passes::ranges(part));
            let mut heir = Report::drafted(Drafted { no, run, head, production, passes }, core.wall);
            heir.phase = phase;
            heir.root = self.root.or(Some(self.no));
            heir.tell_unknown(core, &self.examine.word);
            if self.examine.wait {
                heir.blameless = self.blameless + 1;
                let pause = core.config.refused_pause.saturating_mul(1 << self.blameless.min(10));
                heir.not_before = core.now.after(pause.min(PAUSE_MAX));
            }
            heirs.push(heir);
        }
        heirs
    }

    /// Upstream takes reports of this run again: one that waits for a person need not wait any longer.
    pub fn released(&mut self, core: &Core) {
        if self.phase == Phase::Wanted && self.blameless > 0 {
            self.blameless = 0;
            self.not_before = core.now;
        }
    }
}
