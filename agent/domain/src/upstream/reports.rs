//! One application report, from the draft to its final answer.

use std::time::Duration;

use super::config::{ReportFacts, RunHead};
use super::core::{Core, Subject};
use super::examine::Examine;
use super::pace::Absence;
use super::passes;
use super::request::{Answered, Carried, CodeStatus, DocumentSeen, Reply, ReportHead, ReportStatus, Request};
use crate::ids::{PassNo, ReportNo, RunId};
use crate::record::{PassRange, Record, ReportState};
use crate::time::{Time, Wall};

/// Codes whose status is asked to find the effect of a lost report, before all of them are.
const PROBES: u32 = 10;
/// Documents made this long before the report was drafted are not it, whatever the two clocks say.
const DOCUMENT_MARGIN_MS: i64 = 10 * 60 * 1000;
/// People are told of a report that waits longer than this for its production time.
const WAIT_TOLD_MS: i64 = 10 * 60 * 1000;

/// A refusal without a word of upstream itself may be a gateway's: so many are taken for one that passes.
const PAGES_MAX: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Drafted. Nothing left.
    Wanted,
    /// `Sent` is durable and nothing left yet.
    MaySend,
    /// It may have left: are its codes applied?
    Probing,
    /// They are: by which report, if upstream tells it?
    Naming,
    /// Are all of its codes applied? A report may have been taken in part, or a person may have applied some by hand.
    Confirming,
    /// They are not: is anything in process that may be it?
    Searching,
    /// Upstream named it.
    Processing,
    /// Upstream refused it after it had taken it: which codes does the refusal name?
    Asking,
    /// Upstream refused it: what does upstream say of each of its codes?
    Examining,
    /// Its codes are found applied already: it is accepted without being sent.
    Settled,
    Over,
}

/// A report as it was drafted: nothing of it changes any more.
#[derive(Clone)]
pub(super) struct Drafted {
    pub no: ReportNo,
    pub run: RunId,
    pub head: RunHead,
    /// The moment of production that it carries.
    pub production: Wall,
    pub passes: Vec<PassRange>,
}

pub(super) struct Report {
    pub no: ReportNo,
    pub run: RunId,
    pub head: RunHead,
    production: Wall,
    pub passes: Vec<PassRange>,
    /// When it was drafted.
    pub at: Wall,
    pub phase: Phase,
    then: Phase,
    pub busy: bool,
    pub not_before: Time,
    pub tries: u32,
    upstream_id: String,
    pub absence: Absence,
    /// The last document of the pages looked through, and whether one on them may be this report in process.
    page: Option<String>,
    in_process: bool,
    /// When its codes were seen not to be applied.
    probed: Time,
    /// Some of its codes were seen applied, and some not.
    in_part: bool,
    /// Of its passes in their order, how many were seen applied.
    confirmed: u32,
    /// When it left last, or when this process began.
    sent_at: Wall,
    pub examine: Examine,
    /// How many reports before it were refused for no fault of their codes.
    pub blameless: u32,
    /// The first refused report that its passes were in.
    pub root: Option<ReportNo>,
}

impl Report {
    pub fn drafted(drafted: Drafted, at: Wall) -> Report {
        let Drafted { no, run, head, production, passes } = drafted;
        Report {
            no,
            run,
            head,
            production,
            passes,
            at,
            phase: Phase::Wanted,
            then: Phase::Wanted,
            busy: false,
            not_before: Time(0),
            tries: 0,
            upstream_id: String::new(),
            absence: Absence::default(),
            page: None,
            in_process: false,
            probed: Time(0),
            in_part: false,
            confirmed: 0,
            sent_at: at,
            examine: Examine::default(),
            blameless: 0,
            root: None,
        }
    }

    /// What a start found. `Sent` found at start is `Unknown`: the request may have left.
    pub fn recovered(facts: ReportFacts, wall: Wall) -> Report {
        let ReportFacts { report: no, run, head, production, passes, state, replaces, at } = facts;
        let mut report = Report::drafted(Drafted { no, run, head, production, passes }, at);
        report.sent_at = wall;
        report.root = replaces;
        report.phase = match state {
            ReportState::Wanted => Phase::Wanted,
            ReportState::Sent | ReportState::Unknown => Phase::Probing,
            ReportState::Processing { upstream_id } => {
                report.upstream_id = upstream_id;
                Phase::Processing
            }
            ReportState::Accepted | ReportState::Refused => Phase::Over,
        };
        report
    }

    pub fn own_number(&self, core: &Core) -> String {
        format!("{}-R{}", core.config.agent, self.no)
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Probing | Phase::Naming | Phase::Confirming | Phase::Searching)
    }

    /// How many pages in place of an answer are borne. A part of a refused report is parted on soon; a code alone may
    /// be held for it.
    fn pages_max(&self) -> u32 {
        if self.root.is_some() && passes::count(&self.passes) > 1 { 0 } else { PAGES_MAX }
    }

    /// Whether it is refused, or carries what a refused one carried.
    pub fn is_of_refused(&self) -> bool {
        self.root.is_some() || matches!(self.phase, Phase::Asking | Phase::Examining)
    }

    /// What holds of it at a start is told anew.
    pub fn tell_recovered(&self, core: &mut Core) {
        self.tell_unknown(core, "the agent was restarted");
    }

    /// Where it may be in effect: why nobody knows.
    pub fn tell_unknown(&self, core: &mut Core, why: &str) {
        if self.is_unknown() {
            core.tell("alarm.report_unknown", &self.own_number(core), why);
        }
    }

    /// Does the next thing, if it is time for it.
    pub fn act(&mut self, core: &mut Core) {
        if self.busy || self.phase == Phase::Over {
            return;
        }
        if core.now < self.not_before {
            core.wake_at(self.not_before);
            return;
        }
        let request = match self.phase {
            Phase::Wanted => match self.may_be_sent(core) {
                Some(request) => request,
                None => return,
            },
            Phase::MaySend => {
                self.sent_at = core.wall;
                Request::Apply { run: self.run, passes: self.passes.clone(), head: self.head_of(core) }
            }
            Phase::Probing | Phase::Naming => {
                let (group, passes) = (self.head.group.clone(), passes::spread(&self.passes, PROBES));
                Request::Codes { group, run: self.run, passes, history: self.phase == Phase::Naming }
            }
            Phase::Confirming => self.confirm(core),
            Phase::Searching => self.search(core),
            Phase::Processing => Request::Report { upstream_id: self.upstream_id.clone(), of: None },
            Phase::Asking => {
                let (group, run, passes) = (self.head.group.clone(), self.run, self.passes.clone());
                let of = Some(Carried { group, run, passes });
                Request::Report { upstream_id: self.upstream_id.clone(), of }
            }
            Phase::Examining => match self.next_of_examination(core) {
                Some(request) => request,
                None => return,
            },
            Phase::Settled => {
                self.becomes(core, ReportState::Accepted, "its codes were found applied", Phase::Over);
                return;
            }
            Phase::Over => return,
        };
        self.busy = core.request(Subject::Report(self.no), request);
    }

    /// For how long the moment of production is not yet past by the server's clock; zero where it is not known.
    fn wait_ms(&self, core: &Core) -> i64 {
        let margin = i64::try_from(core.config.clock_margin.as_millis()).unwrap_or(i64::MAX);
        core.server_now()
            .map_or(0, |server| self.production.plus_ms(margin).0.saturating_sub(server.0).max(0))
    }

    /// Makes `Sent` durable once the production time is past by the server's clock. A date is never bent.
    fn may_be_sent(&mut self, core: &mut Core) -> Option<Request> {
        if core.server_now().is_none() {
            return Some(Request::Clock { group: self.head.group.clone() });
        }
        let missing_ms = self.wait_ms(core);
        if missing_ms > 0 {
            if missing_ms > WAIT_TOLD_MS {
                core.tell(
                    "alarm.report_waits",
                    &self.own_number(core),
                    "the production time is not yet past",
                );
            }
            let wait = Duration::from_millis(missing_ms.unsigned_abs()).min(core.config.poll_max);
            self.not_before = core.now.after(wait);
            core.wake_at(self.not_before);
            return None;
        }
        core.clear("alarm.report_waits", &self.own_number(core));
        self.becomes(core, ReportState::Sent, "", Phase::MaySend);
        None
    }

    fn head_of(&self, core: &Core) -> ReportHead {
        ReportHead {
            group: self.head.group.clone(),
            business_place: core.config.business_place,
            country: core.config.country.clone(),
            production: self.production,
            expiry: self.head.expiry.map(|day| core.config.zone.begins(day)),
            zone: core.config.zone,
            own_number: self.own_number(core),
            batch: self.head.batch.clone(),
        }
    }

    /// The time in which a document of this report can have been made, by the server's clock.
    fn window(&self, core: &Core) -> (Wall, Wall) {
        let skew = core.skew_ms().unwrap_or(0);
        let settle = i64::try_from(core.config.settle_min.as_millis()).unwrap_or(i64::MAX);
        let (since, until) = (self.at.plus_ms(skew), self.sent_at.plus_ms(skew + settle));
        // Both were taken by this computer's clock, which may have been wrong then: now is in the window in any case.
        let now = core.wall.plus_ms(skew);
        (since.min(now.plus_ms(-settle)).plus_ms(-DOCUMENT_MARGIN_MS), until.max(now))
    }

    fn search(&self, core: &Core) -> Request {
        let (since, until) = self.window(core);
        let after = self.page.clone();
        Request::Documents { of: None, since, until, after }
    }

    /// Makes a state durable; the phase changes when it is.
    fn becomes(&mut self, core: &mut Core, state: ReportState, why: &str, then: Phase) {
        let record = Record::ReportState { report: self.no, state, why: why.to_string(), at: core.wall };
        self.then = then;
        self.busy = true;
        core.commit(Subject::Report(self.no), vec![record]);
    }

    pub fn state_durable(&mut self, core: &Core) {
        self.busy = false;
        self.not_before = core.now;
        self.tries = 0;
        if self.phase != self.then {
            self.phase = self.then;
            self.absence = Absence::default();
        }
    }

    pub fn lost(&mut self, core: &mut Core, sent: bool) {
        self.busy = false;
        match self.phase {
            Phase::MaySend if sent => self.unknown(core, "the answer was lost"),
            Phase::Naming => self.found(core, None),
            _ => self.again(core),
        }
    }

    fn unknown(&mut self, core: &mut Core, why: &str) {
        core.tell("alarm.report_unknown", &self.own_number(core), why);
        self.becomes(core, ReportState::Unknown, why, Phase::Probing);
    }

    pub fn again(&mut self, core: &mut Core) {
        self.tries = self.tries.saturating_add(1);
        self.not_before = core.retry_at(self.tries);
    }

    fn poll_again(&mut self, core: &Core) {
        self.not_before = core.poll_at(self.tries);
        self.tries = self.tries.saturating_add(1);
    }

    pub fn answer(&mut self, core: &mut Core, answer: Answered) {
        self.busy = false;
        match (self.phase, answer.said) {
            (Phase::Wanted, Reply::Clock) if core.server_now().is_some() => {}
            (Phase::MaySend, Reply::ReportMade { upstream_id }) => {
                core.clear("alarm.report_unknown", &self.own_number(core));
                self.upstream_id.clone_from(&upstream_id);
                self.becomes(core, ReportState::Processing { upstream_id }, "", Phase::Processing);
            }
            // The server's clock was set back after the report was let go: it is about the moment, and about no code.
            (Phase::MaySend, Reply::Refused { .. } | Reply::ReportRefused { .. })
                if self.wait_ms(core) > 0 =>
            {
                self.phase = Phase::Wanted;
            }
            (Phase::MaySend, Reply::Refused { reason }) => self.refused(core, reason, vec![]),
            (Phase::MaySend, Reply::ReportRefused { reason, named }) => self.refused(core, reason, named),
            (Phase::Asking, Reply::ReportRefused { reason, named }) => self.begin_examination(reason, named),
            (Phase::MaySend, Reply::NotNow { reason })
                if matches!(answer.status, 400 | 409 | 422) && self.tries >= self.pages_max() =>
            {
                self.refused(core, reason, vec![]);
            }
            (Phase::MaySend, Reply::NotNow { .. }) => self.again(core),
            (Phase::MaySend, Reply::Failed { reason }) => self.unknown(core, &reason),
            // Any other answer to a request that changes upstream is not understood: it may be in effect.
            (Phase::MaySend, _) => self.unknown(core, "the answer was not understood"),
            (Phase::Processing, Reply::Report { status, reason }) => self.polled(core, status, reason),
            (Phase::Asking, Reply::Report { status: ReportStatus::Error, .. }) => {
                self.phase = Phase::Examining;
            }
            // It is refused whether it can be asked for once more or not.
            (Phase::Asking, _) if self.tries >= PAGES_MAX => self.phase = Phase::Examining,
            (Phase::Processing, Reply::NotNow { reason }) if answer.status == 404 => {
                self.unnamed(core, &reason);
            }
            (Phase::Probing, Reply::Codes { seen, .. }) => {
                let (applied, in_part) = (all_applied(&seen), any_applied(&seen));
                // A word that nobody understands says neither: it may be in process.
                self.in_process |= seen.iter().any(|(_, status)| matches!(status, CodeStatus::Other(_)));
                // What is applied stays so: a look that shows less was an old one.
                self.in_part |= in_part && !applied;
                self.probed = core.now;
                self.phase = if applied { Phase::Naming } else { Phase::Searching };
            }
            (Phase::Naming, Reply::Codes { applied_by, .. }) => self.found(core, applied_by),
            (Phase::Naming, _) => self.found(core, None),
            (Phase::Confirming, Reply::Codes { seen, .. }) => self.seen(core, &seen),
            (Phase::Searching, Reply::Documents { seen, next }) => self.searched(core, &seen, next),
            (Phase::Examining, Reply::Codes { seen, .. }) => self.examined(core, seen),
            _ => self.again(core),
        }
    }

    /// The codes that were looked at are applied, by this report if upstream tells one. The rest is looked at too.
    fn found(&mut self, core: &mut Core, upstream_id: Option<String>) {
        self.upstream_id = upstream_id.unwrap_or_default();
        self.confirmed = 0;
        self.phase = Phase::Confirming;
        if passes::count(&self.passes) <= PROBES {
            self.in_effect(core);
        }
    }

    fn confirm(&self, core: &Core) -> Request {
        let next = passes::each(&self.passes).skip(self.confirmed as usize);
        let passes = passes::ranges(next.take(core.config.codes_per_lookup.max(1) as usize));
        Request::Codes { group: self.head.group.clone(), run: self.run, passes, history: false }
    }

    fn seen(&mut self, core: &mut Core, seen: &[(PassNo, CodeStatus)]) {
        if !all_applied(seen) {
            self.in_part = true;
            self.probed = core.now;
            self.phase = Phase::Searching;
            return;
        }
        self.tries = 0;
        self.confirmed = self.confirmed.saturating_add(core.config.codes_per_lookup.max(1));
        if self.confirmed >= passes::count(&self.passes) {
            self.in_effect(core);
        }
    }

    /// Found in effect by looks at all of its codes: upstream's name of it is kept where a look told one.
    fn in_effect(&mut self, core: &mut Core) {
        let upstream_id = (!self.upstream_id.is_empty()).then(|| self.upstream_id.clone());
        core.report_accepted(self.run, self.no);
        core.clear("alarm.report_unknown", &self.own_number(core));
        let (report, at, why) = (self.no, core.wall, "found in effect".to_string());
        let state = |state| Record::ReportState { report, state, why: why.clone(), at };
        let named = upstream_id.map(|upstream_id| state(ReportState::Processing { upstream_id }));
        let records = named.into_iter().chain([state(ReportState::Accepted)]).collect();
        self.then = Phase::Over;
        self.busy = true;
        core.commit(Subject::Report(self.no), records);
    }

    fn polled(&mut self, core: &mut Core, status: ReportStatus, reason: String) {
        self.absence = Absence::default();
        match status {
            ReportStatus::InProcess => self.poll_again(core),
            ReportStatus::Success => {
                core.clear("alarm.report_status", &self.own_number(core));
                core.report_accepted(self.run, self.no);
                self.becomes(core, ReportState::Accepted, "", Phase::Over);
            }
            ReportStatus::Error | ReportStatus::Partial => {
                core.clear("alarm.report_status", &self.own_number(core));
                self.refused(core, reason, vec![]);
                self.phase = Phase::Asking;
                self.tries = 0;
            }
            ReportStatus::Other(word) => {
                core.tell("alarm.report_status", &self.own_number(core), &word);
                self.poll_again(core);
            }
        }
    }

    /// Upstream does not know a report that it named: after the settling time it is settled like a lost one.
    fn unnamed(&mut self, core: &mut Core, why: &str) {
        if self.absence.look(&core.config, core.now) {
            self.unknown(core, why);
        } else {
            self.not_before = core.now.after(self.absence.pause(&core.config));
        }
    }

    /// Not all codes are applied. Absence counts only while no document in the window is in process.
    fn searched(&mut self, core: &mut Core, seen: &[DocumentSeen], next: Option<String>) {
        let (since, until) = self.window(core);
        let may_be_ours = |d: &DocumentSeen| d.created.is_none_or(|c| since <= c && c <= until);
        self.in_process |= seen.iter().any(|d| !d.done && may_be_ours(d));
        if next.is_some() && next != self.page && !self.in_process {
            self.page = next;
            return;
        }
        self.page = None;
        if std::mem::take(&mut self.in_process) {
            self.absence.forget();
        } else if core.now.since(self.probed) > core.config.poll_max {
            // What was seen of its codes is old by now: both are looked at again.
            self.phase = Phase::Probing;
            return;
        } else if self.absence.look(&core.config, core.now) {
            if self.in_part {
                return self.refused(core, "in effect for a part of its codes".to_owned(), vec![]);
            }
            let why = "not found over the whole settling time: sent again";
            self.becomes(core, ReportState::Sent, why, Phase::MaySend);
            return;
        }
        self.phase = Phase::Probing;
        self.not_before = core.now.after(self.absence.pause(&core.config));
    }

    /// `named`: the codes that the refusal names.
    fn refused(&mut self, core: &mut Core, reason: String, named: Vec<PassNo>) {
        core.clear("alarm.report_unknown", &self.own_number(core));
        core.tell("alarm.report_refused", &self.own_number(core), &reason);
        self.begin_examination(reason, named);
    }

    fn begin_examination(&mut self, reason: String, named: Vec<PassNo>) {
        self.examine = Examine::of(reason, named);
        self.absence = Absence::default();
        self.phase = Phase::Examining;
    }
}

fn all_applied(seen: &[(PassNo, CodeStatus)]) -> bool {
    !seen.is_empty() && seen.iter().all(|(_, status)| *status == CodeStatus::Applied)
}

fn any_applied(seen: &[(PassNo, CodeStatus)]) -> bool {
    seen.iter().any(|(_, status)| *status == CodeStatus::Applied)
}
