//! What orders and reports share: requests and commits under way, pacing, the server's clock, what people were told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::{Config, Parse};
use super::pace::{NotYet, Pace};
use super::request::{Answered, Reply, Request, RequestId};
use super::{Effect, Status};
use crate::document::DocumentKind;
use crate::gs1::Gtin;
use crate::ids::{BlockNo, DocumentNo, OrderNo, ReportNo, RunId, TxnId};
use crate::record::{Record, Txn};
use crate::time::{Time, Wall};

/// Transactions of this step are numbered from here on, so that they meet no number of a line.
const FIRST_TXN: u64 = 1 << 62;
/// A failing gateway answers the same page for hours: one copy of a kind in this time is kept.
const KEEP_EVERY: Duration = Duration::from_secs(600);
/// People are told of a failing way to upstream after this many failures in a row.
const FAILURES_TOLD: u32 = 3;

/// People are told of a clock that differs by more: slow answers alone make it look two minutes late.
const SKEW_TOLD_MS: u64 = 300_000;

/// All that people are told of the way upstream.
pub const TROUBLES: [&str; 18] = [
    "alarm.block_refused",
    "alarm.clock",
    "alarm.codes_missing",
    "alarm.codes_refused",
    "alarm.order_close",
    "alarm.order_id",
    "alarm.order_life",
    "alarm.order_refused",
    "alarm.order_status",
    "alarm.order_twice",
    "alarm.order_unknown",
    "alarm.packs_refused",
    "alarm.report_refused",
    "alarm.report_status",
    "alarm.report_unknown",
    "alarm.report_waits",
    "alarm.upstream_away",
    "alarm.upstream_key",
];
/// Troubles of an order or report that is open: a start tells those that hold, and ends the others.
pub const OF_OPEN: [&str; 10] = [
    "alarm.block_refused",
    "alarm.codes_missing",
    "alarm.order_close",
    "alarm.order_id",
    "alarm.order_life",
    "alarm.order_status",
    "alarm.order_unknown",
    "alarm.report_status",
    "alarm.report_unknown",
    "alarm.report_waits",
];

/// Whom an answer or a commit concerns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Subject {
    /// Making an order of a product.
    Product(Gtin),
    Order(OrderNo),
    Block(BlockNo),
    Run(RunId),
    Report(ReportNo),
    Document(DocumentNo),
    /// Gathering the next document of a kind.
    Gather(DocumentKind),
    /// Giving back codes of an order.
    Rest(OrderNo),
    /// A note for people, or a look at the server's clock.
    Nobody,
}

pub(super) struct Core {
    pub config: Config,
    pub parse: Parse,
    pub now: Time,
    pub wall: Wall,
    /// Upstream's clock by its last answer, and when that was: a step of this computer's calendar does not move it.
    server: Option<(Time, Wall)>,
    pub last_answer: Option<Wall>,
    pub trouble: String,
    failures: u32,
    pace: Pace,
    requests: BTreeMap<RequestId, (Subject, &'static str)>,
    txns: BTreeMap<TxnId, Subject>,
    last_request: u64,
    last_txn: u64,
    told: BTreeSet<(&'static str, String)>,
    kept: BTreeMap<(&'static str, u16), Time>,
    wake: Option<Time>,
    /// By run: the newest report that was sent and accepted. What was drafted after a refusal and accepted shows that
    /// the refusal was about codes.
    accepted: BTreeMap<RunId, ReportNo>,
    /// By kind: the newest document of packs that is in effect, whole or in part.
    documents_accepted: BTreeMap<DocumentKind, DocumentNo>,
    /// Reports refused for no reason that shows, since the last one that was accepted.
    pub refusals: u32,
    pub out: Vec<Effect>,
}

impl Core {
    pub fn new(config: Config, parse: Parse) -> Core {
        Core {
            pace: Pace::new(&config),
            config,
            parse,
            now: Time(0),
            wall: Wall(0),
            server: None,
            last_answer: None,
            trouble: String::new(),
            failures: 0,
            requests: BTreeMap::new(),
            txns: BTreeMap::new(),
            last_request: 0,
            last_txn: FIRST_TXN,
            told: BTreeSet::new(),
            kept: BTreeMap::new(),
            wake: None,
            accepted: BTreeMap::new(),
            documents_accepted: BTreeMap::new(),
            refusals: 0,
            out: Vec::new(),
        }
    }

    /// `told`: troubles that an earlier process told and did not end. What they are about is not known any more.
    pub fn begin(&mut self, now: Time, told: &[String], accepted: &[(RunId, ReportNo)]) {
        self.pace.begin(now);
        self.accepted.extend(accepted.iter().copied());
        let here = TROUBLES.into_iter().filter(|key| told.iter().any(|t| t == key));
        self.told.extend(here.map(|key| (key, String::new())));
    }

    /// Whether a request is under way.
    pub fn asks(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Sends a request if pacing allows it now; else the step is woken when it may.
    pub fn request(&mut self, subject: Subject, request: Request) -> bool {
        match self.pace.may_leave(&self.config, self.now) {
            Ok(()) => {}
            Err(NotYet::Busy) => return false,
            Err(NotYet::Until(at)) => {
                self.wake_at(at);
                return false;
            }
        }
        self.pace.leaves(self.now);
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.requests.insert(id, (subject, request.name()));
        self.out.push(Effect::Request { id, request });
        true
    }

    pub fn commit(&mut self, subject: Subject, records: Vec<Record>) {
        self.last_txn += 1;
        let id = TxnId(self.last_txn);
        self.txns.insert(id, subject);
        self.out.push(Effect::Commit(Txn { id, records }));
    }

    pub fn committed(&mut self, txn: TxnId) -> Option<Subject> {
        self.txns.remove(&txn)
    }

    /// Takes in what every answer tells; `None` when nobody asked.
    pub fn answered(&mut self, id: RequestId, answer: &Answered) -> Option<Subject> {
        let (subject, name) = self.requests.remove(&id)?;
        if let Some(server) = answer.server {
            self.server = Some((self.now, server));
            let skew_ms = server.0.saturating_sub(self.wall.0);
            if skew_ms.unsigned_abs() > SKEW_TOLD_MS {
                self.tell("alarm.clock", "", &format!("{} s", skew_ms / 1000));
            } else {
                self.clear("alarm.clock", "");
            }
        }
        // Status 0: the shell knew the answer without asking.
        if answer.status != 0 {
            self.last_answer = Some(self.wall);
        }
        let failed = match &answer.said {
            Reply::Failed { reason } => Some(("alarm.upstream_away", reason)),
            Reply::NotNow { reason } if matches!(answer.status, 401 | 403) => {
                Some(("alarm.upstream_key", reason))
            }
            Reply::NotNow { reason } => Some(("alarm.upstream_away", reason)),
            _ => None,
        };
        self.pace.ended(&self.config, self.now, failed.is_none(), answer.retry_after);
        match failed {
            None => self.well(name),
            Some((key, reason)) => {
                // 401 is about the key, 403 about what it may do.
                let about = if answer.status == 401 { "" } else { name };
                self.failed(key, (name, about), &format!("{} {reason}", answer.status));
            }
        }
        self.keep(name, answer);
        Some(subject)
    }

    /// A request has no answer.
    pub fn lost(&mut self, id: RequestId) -> Option<Subject> {
        let (subject, name) = self.requests.remove(&id)?;
        self.pace.ended(&self.config, self.now, false, None);
        self.failed("alarm.upstream_away", (name, name), "no answer");
        Some(subject)
    }

    fn well(&mut self, name: &'static str) {
        self.failures = 0;
        self.trouble.clear();
        self.clear_all("alarm.upstream_away");
        self.clear("alarm.upstream_key", name);
        // Codes may be looked up in public, without any key.
        if name != "codes" {
            self.clear("alarm.upstream_key", "");
        }
    }

    fn failed(&mut self, key: &'static str, (name, about): (&'static str, &str), detail: &str) {
        self.failures = self.failures.saturating_add(1);
        self.trouble = format!("{name}: {detail}");
        if self.failures >= FAILURES_TOLD || key == "alarm.upstream_key" {
            self.tell(key, about, detail);
        }
    }

    fn keep(&mut self, name: &'static str, answer: &Answered) {
        let Some(body) = &answer.kept else { return };
        let key = (name, answer.status);
        if self.kept.get(&key).is_some_and(|t| self.now.since(*t) < KEEP_EVERY) {
            return;
        }
        self.kept.insert(key, self.now);
        let record = Record::AnswerKept {
            request: name.to_string(),
            status: Some(answer.status),
            body: body.clone(),
            at: self.wall,
        };
        self.commit(Subject::Nobody, vec![record]);
    }

    /// A report that was sent is in effect.
    pub fn report_accepted(&mut self, run: RunId, no: ReportNo) {
        let newest = self.accepted.entry(run).or_insert(no);
        *newest = no.max(*newest);
        self.refusals = 0;
    }

    /// Whether a report of the run that was drafted after this one is in effect: then upstream takes such reports.
    pub fn accepted_since(&self, run: RunId, no: ReportNo) -> bool {
        self.accepted.get(&run).is_some_and(|accepted| *accepted > no)
    }

    /// A document of packs is in effect, whole or in part.
    pub fn document_accepted(&mut self, kind: DocumentKind, no: DocumentNo) {
        let newest = self.documents_accepted.entry(kind).or_insert(no);
        *newest = no.max(*newest);
    }

    /// Whether a document that was drafted with this one or after it is in effect: then upstream takes such documents.
    pub fn document_accepted_since(&self, kind: DocumentKind, no: Option<DocumentNo>) -> bool {
        self.documents_accepted.get(&kind).zip(no).is_some_and(|(accepted, no)| *accepted >= no)
    }

    /// Tells people once, until it is cleared.
    pub fn tell(&mut self, key: &'static str, about: &str, detail: &str) {
        if self.told.insert((key, about.to_string())) {
            let (about, detail) = (about.to_string(), detail.to_string());
            self.out.push(Effect::Trouble { key, about, detail });
        }
    }

    /// Ends all troubles of a key, also those that an earlier process told.
    pub fn clear_all(&mut self, key: &'static str) {
        let all: Vec<String> = self.told.iter().filter(|t| t.0 == key).map(|t| t.1.clone()).collect();
        for about in all {
            self.clear(key, &about);
        }
    }

    pub fn clear(&mut self, key: &'static str, about: &str) {
        let told = (key, about.to_string());
        if self.told.remove(&told) {
            self.out.push(Effect::Cleared { key, about: told.1 });
        }
    }

    pub fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    /// The next moment at which something may be done, never now: a shell that obeys it does not spin.
    pub fn take_wake(&mut self) -> Option<Time> {
        let soonest = self.now.after(Duration::from_millis(1));
        self.wake.take().map(|w| w.max(soonest))
    }

    /// When to try again after the `tries`th failure of one thing.
    pub fn retry_at(&mut self, tries: u32) -> Time {
        let pause = self.pace.backoff(&self.config, tries);
        self.now.after(pause.max(self.config.pause))
    }

    /// When to look again at something that upstream works on.
    pub fn poll_at(&self, polls: u32) -> Time {
        let pause = self.config.poll_min.saturating_mul(1u32 << polls.min(16));
        self.now.after(pause.min(self.config.poll_max))
    }

    /// Now by upstream's clock, once it was told.
    pub fn server_now(&self) -> Option<Wall> {
        let (at, server) = self.server?;
        Some(server.plus_ms(i64::try_from(self.now.since(at).as_millis()).unwrap_or(i64::MAX)))
    }

    /// Upstream's clock minus ours.
    pub fn skew_ms(&self) -> Option<i64> {
        Some(self.server_now()?.0.saturating_sub(self.wall.0))
    }

    pub fn status(&self) -> Status {
        Status {
            last_answer: self.last_answer,
            trouble: self.trouble.clone(),
            clock_ahead_ms: self.skew_ms(),
            ..Status::default()
        }
    }
}
