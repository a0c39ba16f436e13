//! One document of packs, from the draft to its final answer.
//!
//! Where its answer was lost it is looked for among the documents of its kind and time, and known by what it carries:
//! what is found is followed like one that upstream named. Where none is found, its effect is looked for in the packs
//! and codes themselves. Only where both show nothing over the whole settling time is it sent again.
//!
//! However it ends, each of its pieces ends for itself: in effect, refused by upstream and named to people, or free to
//! go into another document. What an answer shows as not in effect is looked at [`LOOKS`] times: one may be an old one.

mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::DocumentFacts;
use super::core::{Core, Subject};
use super::pace::Absence;
use super::request::{Answered, DocumentHead, DocumentSeen, PieceSeen, Reply, ReportStatus, Request};
use crate::document::{DocumentKind, DocumentRecord, Drafted, PieceEnd};
use crate::record::{Record, ReportState};
use crate::time::{Time, Wall};

/// Documents made this long before this one was drafted are not it, whatever the two clocks say.
const DOCUMENT_MARGIN_MS: i64 = 10 * 60 * 1000;
/// People are told of a document that waits longer than this for its moment.
const WAIT_TOLD_MS: i64 = 10 * 60 * 1000;
/// A refusal without a word of upstream itself may be a gateway's: so many are taken for one that passes.
const PAGES_MAX: u32 = 4;
/// Looks at what is not in effect before it is believed.
const LOOKS: u32 = 3;
/// Codes that one look-up may show: what lies in the packs comes with it, some 40 bytes each.
const SHOWN_MAX: u32 = 20_000;
/// Errors of one document that are read: each piece that is wrong has one at least.
const ERROR_PAGES_MAX: u32 = 400;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Drafted. Nothing left.
    Wanted,
    /// `Sent` is durable and nothing left yet.
    MaySend,
    /// It may have left: which documents of its kind and time are there?
    Searching,
    /// Is this one of them it?
    Reading,
    /// None is: is it in effect all the same?
    Probing,
    /// Upstream named it.
    Processing,
    /// It came to an end that is not all of it: which errors does upstream name?
    Asking,
    /// What does upstream show of its pieces?
    Looking,
    /// The ends of its pieces become durable, a slice a commit, and then its own.
    Ending,
    Over,
}

pub(super) struct Document {
    pub draft: Drafted,
    /// When it was drafted.
    pub at: Wall,
    pub phase: Phase,
    then: Phase,
    pub busy: bool,
    not_before: Time,
    tries: u32,
    upstream_id: String,
    absence: Absence,
    /// The last document of the pages looked through.
    page: Option<String>,
    /// Something that was seen may be it, and is not at its end or cannot be read.
    in_process: bool,
    /// Documents that may be it, and those that are others'.
    candidates: Vec<String>,
    others: BTreeSet<String>,
    /// When it left last, or when this process began.
    sent_at: Wall,
    reason: String,
    /// What the errors name, by piece.
    named: BTreeMap<u32, String>,
    error_page: Option<u32>,
    error_pages: u32,
    /// Pieces of this round of look-ups, and how many of them were looked at.
    round: Option<Vec<u32>>,
    looked: usize,
    rounds: u32,
    taken: BTreeSet<u32>,
    /// Not in effect, by the last look.
    rest: Vec<u32>,
    /// What a look says of a piece that is neither.
    strange: BTreeMap<u32, String>,
    ends: Vec<(u32, PieceEnd)>,
    ended: usize,
    last: bool,
}

/// How a document ended, for those that gather the next ones.
pub(super) struct Ended {
    pub accepted: bool,
    /// Refused, and nothing shows what for.
    pub blameless: bool,
    /// All that is left of it waits in lots.
    pub alone: bool,
}

impl Document {
    pub fn drafted(draft: Drafted, at: Wall) -> Document {
        Document {
            draft,
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
            candidates: Vec::new(),
            others: BTreeSet::new(),
            sent_at: at,
            reason: String::new(),
            named: BTreeMap::new(),
            error_page: None,
            error_pages: 0,
            round: None,
            looked: 0,
            rounds: 0,
            taken: BTreeSet::new(),
            rest: Vec::new(),
            strange: BTreeMap::new(),
            ends: Vec::new(),
            ended: 0,
            last: false,
        }
    }

    /// What a start found. `Sent` found at start is `Unknown`: the request may have left. Where a piece has its end, the
    /// document came to one too: it is never sent again, and only what is open is looked at.
    pub fn recovered(facts: DocumentFacts, wall: Wall) -> Document {
        let mut document = Document::drafted(facts.draft, facts.at);
        document.sent_at = wall;
        document.ended = facts.ends.len();
        document.ends = facts.ends;
        match facts.state {
            ReportState::Wanted => {}
            ReportState::Sent | ReportState::Unknown if document.ended > 0 => {
                "the agent was restarted while its end was written down".clone_into(&mut document.reason);
                document.begin_looking();
            }
            ReportState::Sent | ReportState::Unknown => document.phase = Phase::Searching,
            ReportState::Processing { upstream_id } => {
                document.upstream_id = upstream_id;
                document.phase = Phase::Processing;
            }
            ReportState::Accepted | ReportState::Refused => document.phase = Phase::Over,
        }
        document
    }

    pub fn own_number(&self, core: &Core) -> String {
        format!("{}-D{}", core.config.agent, self.draft.no)
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Searching | Phase::Reading | Phase::Probing)
    }

    /// Whether it is refused, or carries what a refused one carried.
    pub fn is_of_refused(&self) -> bool {
        self.draft.root.is_some() || !self.reason.is_empty()
    }

    /// Where it may be in effect: why nobody knows.
    pub fn tell_unknown(&self, core: &mut Core, why: &str) {
        if self.is_unknown() {
            core.tell("alarm.report_unknown", &self.own_number(core), why);
        }
    }

    // ---- what is done next ----

    /// Does the next thing, if it is time for it.
    pub fn act(&mut self, core: &mut Core) {
        if self.busy || self.phase == Phase::Over {
            return;
        }
        if core.now < self.not_before {
            core.wake_at(self.not_before);
            return;
        }
        let (no, kind) = (self.draft.no, self.draft.kind);
        let request = match self.phase {
            Phase::Wanted => match self.may_be_sent(core) {
                Some(request) => request,
                None => return,
            },
            Phase::MaySend => {
                self.sent_at = core.wall;
                Request::SendDocument { document: no, head: self.head(core) }
            }
            Phase::Searching => {
                let (since, until) = self.window(core);
                Request::Documents { of: Some(kind), since, until, after: self.page.clone() }
            }
            Phase::Reading => match self.candidates.last() {
                Some(id) => {
                    let (upstream_id, head) = (id.clone(), self.head(core));
                    Request::DocumentBody { document: no, upstream_id, head }
                }
                None => {
                    self.look_anew((1..=self.draft.pieces).collect());
                    self.phase = Phase::Probing;
                    return self.act(core);
                }
            },
            Phase::Processing => Request::Document { upstream_id: self.upstream_id.clone() },
            Phase::Asking => Request::DocumentErrors {
                document: no,
                kind,
                upstream_id: self.upstream_id.clone(),
                after: self.error_page,
            },
            Phase::Probing | Phase::Looking => match self.next_look(core) {
                Some(request) => request,
                None => return,
            },
            Phase::Ending => return self.end_next(core),
            Phase::Over => return,
        };
        self.busy = core.request(Subject::Document(no), request);
    }

    fn head(&self, core: &Core) -> DocumentHead {
        DocumentHead {
            kind: self.draft.kind,
            business_place: core.config.business_place,
            own_number: self.own_number(core),
            moment: self.draft.moment,
            zone: core.config.zone,
            reason: core.config.documents.withdrawal_reason.clone(),
        }
    }

    /// For how long its moment is not yet past by the server's clock; zero where it is not known.
    fn wait_ms(&self, core: &Core) -> i64 {
        core.server_now().map_or(0, |server| self.draft.moment.0.saturating_sub(server.0).max(0))
    }

    /// Makes `Sent` durable once its moment is past by the server's clock. A moment is never bent.
    fn may_be_sent(&mut self, core: &mut Core) -> Option<Request> {
        if core.server_now().is_none() {
            let group = core.config.products.first().map(|p| p.group.clone())?;
            return Some(Request::Clock { group });
        }
        let missing_ms = self.wait_ms(core);
        let own = self.own_number(core);
        if missing_ms > 0 {
            if missing_ms > WAIT_TOLD_MS {
                core.tell("alarm.report_waits", &own, "the moment that it carries is not yet past");
            }
            let wait = Duration::from_millis(missing_ms.unsigned_abs()).min(core.config.poll_max);
            self.not_before = core.now.after(wait);
            core.wake_at(self.not_before);
            return None;
        }
        core.clear("alarm.report_waits", &own);
        self.becomes(core, ReportState::Sent, "", Phase::MaySend);
        None
    }

    /// The time in which it can have been made, by the server's clock.
    fn window(&self, core: &Core) -> (Wall, Wall) {
        let skew = core.skew_ms().unwrap_or(0);
        let settle = i64::try_from(core.config.settle_min.as_millis()).unwrap_or(i64::MAX);
        let (since, until) = (self.at.plus_ms(skew), self.sent_at.plus_ms(skew + settle));
        let now = core.wall.plus_ms(skew);
        (since.min(now.plus_ms(-settle)).plus_ms(-DOCUMENT_MARGIN_MS), until.max(now))
    }

    /// Makes a state durable; the phase changes when it is.
    fn becomes(&mut self, core: &mut Core, state: ReportState, why: &str, then: Phase) {
        let (document, why, at) = (self.draft.no, why.to_string(), core.wall);
        self.then = then;
        self.busy = true;
        let record = Record::Document(DocumentRecord::State { document, state, why, at });
        core.commit(Subject::Document(self.draft.no), vec![record]);
    }

    // ---- answers ----

    pub fn lost(&mut self, core: &mut Core, sent: bool) {
        self.busy = false;
        match self.phase {
            Phase::MaySend if sent => self.unknown(core, "the answer was lost"),
            _ => self.again(core),
        }
    }

    fn unknown(&mut self, core: &mut Core, why: &str) {
        core.tell("alarm.report_unknown", &self.own_number(core), why);
        self.becomes(core, ReportState::Unknown, why, Phase::Searching);
    }

    fn again(&mut self, core: &mut Core) {
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
            (Phase::MaySend, Reply::DocumentMade { upstream_id }) => self.is_named(core, upstream_id),
            // The server's clock was set back after the document was let go: it is about the moment, and about no pack.
            (Phase::MaySend, Reply::Refused { .. }) if self.wait_ms(core) > 0 => self.phase = Phase::Wanted,
            (Phase::MaySend, Reply::Refused { reason }) => self.refused(core, reason, false),
            (Phase::MaySend, Reply::NotNow { reason })
                if matches!(answer.status, 400 | 409 | 422) && self.tries >= PAGES_MAX =>
            {
                self.refused(core, reason, false);
            }
            (Phase::MaySend, Reply::NotNow { .. }) => self.again(core),
            (Phase::MaySend, Reply::Failed { reason }) => self.unknown(core, &reason),
            // Any other answer to a request that changes upstream is not understood: it may be in effect.
            (Phase::MaySend, _) => self.unknown(core, "the answer was not understood"),
            (Phase::Searching, Reply::Documents { seen, next }) => self.searched(core, seen, next),
            (Phase::Reading, Reply::DocumentBody { ours }) => self.was_read(core, ours),
            (Phase::Reading, _) if self.tries >= PAGES_MAX => {
                // It may be ours: nothing is known to be absent yet.
                self.in_process = true;
                self.was_read(core, false);
            }
            (Phase::Processing, Reply::Document { status }) => self.polled(core, status),
            (Phase::Processing, Reply::NotNow { reason }) if answer.status == 404 => {
                self.unnamed(core, &reason);
            }
            (Phase::Asking, Reply::DocumentErrors { named, next }) => self.asked(named, next),
            // What is in effect is looked at piece by piece, with words for it or without.
            (Phase::Asking, _) if self.tries >= PAGES_MAX => self.begin_looking(),
            (Phase::Probing | Phase::Looking, Reply::Pieces { seen }) => self.seen(core, seen),
            _ => self.again(core),
        }
    }

    fn is_named(&mut self, core: &mut Core, upstream_id: String) {
        core.clear("alarm.report_unknown", &self.own_number(core));
        self.upstream_id.clone_from(&upstream_id);
        self.becomes(core, ReportState::Processing { upstream_id }, "", Phase::Processing);
    }

    fn searched(&mut self, core: &Core, seen: Vec<DocumentSeen>, next: Option<String>) {
        self.tries = 0;
        let (since, until) = self.window(core);
        let may_be_ours = |d: &DocumentSeen| d.created.is_none_or(|c| since <= c && c <= until);
        let news = seen.into_iter().filter(may_be_ours).map(|d| d.id);
        let news: Vec<String> =
            news.filter(|id| !self.others.contains(id) && !self.candidates.contains(id)).collect();
        self.candidates.extend(news);
        if next.is_some() && next != self.page {
            self.page = next;
            return;
        }
        self.page = None;
        self.phase = Phase::Reading;
    }

    fn was_read(&mut self, core: &mut Core, ours: bool) {
        self.tries = 0;
        let Some(id) = self.candidates.pop() else { return };
        if ours {
            return self.is_named(core, id);
        }
        if !self.in_process {
            self.others.insert(id);
        }
    }

    fn polled(&mut self, core: &mut Core, status: ReportStatus) {
        self.absence = Absence::default();
        let own = self.own_number(core);
        match status {
            ReportStatus::InProcess => self.poll_again(core),
            ReportStatus::Success => {
                core.clear("alarm.report_status", &own);
                self.taken = (1..=self.draft.pieces).collect();
                self.decide(core);
            }
            ReportStatus::Error => {
                core.clear("alarm.report_status", &own);
                self.refused(core, "ERROR".to_owned(), true);
            }
            ReportStatus::Partial => {
                core.clear("alarm.report_status", &own);
                self.refused(core, "PARTIALLY_PROCESSED".to_owned(), true);
            }
            ReportStatus::Other(word) => {
                core.tell("alarm.report_status", &own, &word);
                self.poll_again(core);
            }
        }
    }

    /// Upstream does not know a document that it named: after the settling time it is settled like a lost one.
    fn unnamed(&mut self, core: &mut Core, why: &str) {
        if !self.absence.look(&core.config, core.now) {
            self.not_before = core.now.after(self.absence.pause(&core.config));
        } else if self.ends.is_empty() {
            self.unknown(core, why);
        } else {
            self.refused(core, why.to_owned(), false);
        }
    }

    /// Not all of it is in effect. `errors`: upstream may name what is wrong.
    fn refused(&mut self, core: &mut Core, reason: String, errors: bool) {
        let own = self.own_number(core);
        core.clear("alarm.report_unknown", &own);
        core.tell("alarm.report_refused", &own, &reason);
        self.reason = reason;
        self.tries = 0;
        self.absence = Absence::default();
        if errors {
            (self.error_page, self.error_pages) = (None, 0);
            self.phase = Phase::Asking;
        } else {
            self.begin_looking();
        }
    }

    fn asked(&mut self, named: Vec<(Option<u32>, String)>, next: Option<u32>) {
        self.tries = 0;
        for (piece, words) in named {
            match piece {
                Some(piece) => drop(self.named.entry(piece).or_insert(words)),
                None if !self.reason.contains(&words) && self.reason.len() < 200 => {
                    self.reason = format!("{}; {words}", self.reason);
                }
                None => {}
            }
        }
        self.error_pages += 1;
        if next.is_some() && next != self.error_page && self.error_pages < ERROR_PAGES_MAX {
            self.error_page = next;
        } else {
            self.begin_looking();
        }
    }

    // ---- looks at the pieces ----

    fn begin_looking(&mut self) {
        self.phase = Phase::Looking;
        self.rounds = 0;
        let is_taken = |(piece, end): &(u32, PieceEnd)| (*end == PieceEnd::Taken).then_some(*piece);
        self.taken = self.ends.iter().filter_map(is_taken).collect();
        let ended: BTreeSet<u32> = self.ends.iter().map(|(piece, _)| *piece).collect();
        self.look_anew((1..=self.draft.pieces).filter(|piece| !ended.contains(piece)).collect());
    }

    fn look_anew(&mut self, round: Vec<u32>) {
        (self.round, self.looked) = (Some(round), 0);
        self.rest.clear();
        self.strange.clear();
    }

    fn at_a_time(&self, core: &Core) -> usize {
        let each = (self.draft.codes / self.draft.pieces.max(1)).max(1);
        (SHOWN_MAX / each).clamp(1, core.config.codes_per_lookup.max(1)) as usize
    }

    /// The next look-up, or `None` when all was looked at and something else was begun.
    fn next_look(&mut self, core: &mut Core) -> Option<Request> {
        let most = self.at_a_time(core);
        let round = self.round.get_or_insert_default();
        if self.looked < round.len() {
            let pieces = round[self.looked..].iter().take(most).copied().collect();
            return Some(Request::Pieces { document: self.draft.no, kind: self.draft.kind, pieces });
        }
        if self.phase == Phase::Probing {
            self.probed(core)
        } else {
            self.looked_at(core)
        }
        None
    }

    fn seen(&mut self, core: &Core, seen: Vec<(u32, PieceSeen)>) {
        self.tries = 0;
        self.looked += self.at_a_time(core);
        for (piece, seen) in seen {
            match seen {
                PieceSeen::InEffect => drop(self.taken.insert(piece)),
                PieceSeen::Not => self.rest.push(piece),
                PieceSeen::Strange(word) => drop(self.strange.insert(piece, word)),
            }
        }
        // Nothing of the first is there: the others need not be looked at.
        if self.phase == Phase::Probing && self.taken.is_empty() {
            self.looked = usize::MAX;
        }
    }

    /// Its effect was looked for, and no document was found that is it.
    fn probed(&mut self, core: &mut Core) {
        let all = self.taken.len() == self.draft.pieces as usize;
        // That a pack is not there any more is shown by every old answer too.
        if all && self.draft.kind != DocumentKind::Disaggregation {
            return self.decide(core);
        }
        if std::mem::take(&mut self.in_process) || !self.strange.is_empty() {
            self.absence.forget();
        } else if self.absence.look(&core.config, core.now) {
            if all {
                return self.decide(core);
            }
            if self.taken.is_empty() {
                let why = "not found over the whole settling time: sent again";
                return self.becomes(core, ReportState::Sent, why, Phase::MaySend);
            }
            return self.refused(core, "in effect in part".to_owned(), false);
        }
        self.taken.clear();
        self.phase = Phase::Searching;
        self.not_before = core.now.after(self.absence.pause(&core.config));
        core.wake_at(self.not_before);
    }

    /// All pieces of a document that came to an end were looked at.
    fn looked_at(&mut self, core: &mut Core) {
        self.rounds += 1;
        let mut round: Vec<u32> = self.rest.iter().chain(self.strange.keys()).copied().collect();
        round.sort_unstable();
        // What nobody understands may be an effect on its way: it is looked at over the settling time.
        let settled = self.strange.is_empty() || self.absence.look(&core.config, core.now);
        if round.is_empty() || self.rounds >= LOOKS && settled {
            return self.decide(core);
        }
        if self.strange.is_empty() {
            let _ = self.absence.look(&core.config, core.now);
        }
        self.look_anew(round);
        self.not_before = core.now.after(self.absence.pause(&core.config));
        core.wake_at(self.not_before);
    }
}
