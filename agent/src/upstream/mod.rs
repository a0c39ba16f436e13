//! The way to the state system: one task around the pure step of [`tamga_domain::upstream`].
//!
//! The task brings answers, commits and time to the step and does what the step says, in that order. It decides
//! nothing: no request is repeated here, and none is held back. It ends with an error when the store fails; a failing
//! upstream never ends it.
//!
//! - [`books`]: what it needs of the store
//! - [`xtrace`]: requests into bytes, answers into facts
//! - [`works`]: the few futures it waits for

pub mod books;
mod works;
pub mod xtrace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tamga_domain::ids::TxnId;
use tamga_domain::record::{Answer, OrderPlan, Record, Txn};
use tamga_domain::time::Time;
use tamga_domain::upstream::config::Config;
use tamga_domain::upstream::request::{Carried, Request, RequestId};
use tamga_domain::upstream::{Effect, Input, Step, TROUBLES};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::books::{Books, BooksError, Standing};
use self::works::Works;
use self::xtrace::exchange::Outcome;
use self::xtrace::http::{SetupError, Xtrace};
use self::xtrace::write::Named;
use crate::clock;
use crate::desk::UpstreamStatus;

/// Transactions of the shell itself, for alarms; apart from those of the step.
const FIRST_TXN: u64 = 1 << 63;

/// How the upstream task is set up.
pub struct Setup {
    pub config: Config,
    pub xtrace: xtrace::Setup,
    pub layouts: xtrace::Layouts,
    /// How often the store is asked for levels and passes.
    pub standing_every: Duration,
    /// How long a stop waits for answers under way: an answer that comes costs no settling at the next start.
    pub grace: Duration,
}

/// Why the upstream task ended.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the way to the state system cannot be set up")]
    Setup(#[from] SetupError),
    #[error("the upstream side cannot go on without its books")]
    Books(#[from] BooksError),
}

/// What came to an end.
enum Done {
    Asked(RequestId, Result<Outcome, BooksError>),
    Committed(TxnId, Result<Vec<Answer>, BooksError>),
    Standing(Result<Standing, BooksError>),
}

/// Runs until `stop` says true, or until its sender is gone. `assigned` brings orders that a person assigned.
pub async fn run<B: Books>(
    setup: Setup,
    books: Arc<B>,
    assigned: &mut mpsc::Receiver<OrderPlan>,
    status: watch::Sender<UpstreamStatus>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), UpstreamError> {
    let xtrace = Arc::new(Xtrace::new(setup.xtrace, setup.layouts.clone())?);
    let snapshot = books.snapshot().await?;
    // What an earlier process told is this one's to end. It is not known any more what it was about.
    let told = TROUBLES.into_iter().filter(|key| snapshot.told.iter().any(|t| t == key));
    let troubles = told.map(|key| (key, BTreeSet::from([String::new()]))).collect();
    let step = Step::new(setup.config, xtrace::parse_with(setup.layouts), snapshot);
    let mut task = Task { troubles, ..Task::new(step, books, xtrace, status) };
    let mut standing = interval(setup.standing_every);
    standing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    task.feed(Input::Tick);
    while !*stop.borrow() {
        let wake = task.until_wake();
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            done = task.works.next() => task.done(done)?,
            Some(plan) = assigned.recv() => task.feed(Input::Assigned(plan)),
            () = sleep(wake) => task.feed(Input::Tick),
            _ = standing.tick() => task.ask_standing(),
        }
    }
    task.wind_down(setup.grace).await
}

struct Task<B> {
    step: Step,
    books: Arc<B>,
    xtrace: Arc<Xtrace>,
    status: watch::Sender<UpstreamStatus>,
    works: Works<Done>,
    /// Commits wait for each other: their order is the step's.
    commits: VecDeque<Txn>,
    committing: bool,
    in_flight: u32,
    standing_asked: bool,
    stopping: bool,
    wake: Option<Time>,
    /// What each alarm is about.
    troubles: BTreeMap<&'static str, BTreeSet<String>>,
    last_txn: u64,
}

impl<B: Books> Task<B> {
    fn new(step: Step, books: Arc<B>, xtrace: Arc<Xtrace>, status: watch::Sender<UpstreamStatus>) -> Task<B> {
        Task {
            step,
            books,
            xtrace,
            status,
            works: Works::new(),
            commits: VecDeque::new(),
            committing: false,
            in_flight: 0,
            standing_asked: false,
            stopping: false,
            wake: None,
            troubles: BTreeMap::new(),
            last_txn: FIRST_TXN,
        }
    }

    fn until_wake(&self) -> Duration {
        self.wake.map_or(Duration::from_secs(3600), |at| at.since(clock::now()))
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.wake = None;
        self.step.step(clock::now(), clock::wall(), input, &mut out);
        for effect in out {
            match effect {
                Effect::Request { id, request } => self.ask(id, request),
                Effect::Commit(txn) => self.commits.push_back(txn),
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Trouble { key, about, detail } => self.trouble(key, about, &detail),
                Effect::Cleared { key, about } => self.cleared(key, &about),
            }
        }
        self.commit_next();
        self.publish();
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        if self.stopping {
            return;
        }
        self.in_flight += 1;
        let (books, xtrace) = (self.books.clone(), self.xtrace.clone());
        self.works.begin(async move { Done::Asked(id, ask(&*books, &xtrace, &request).await) });
    }

    fn commit_next(&mut self) {
        if self.committing {
            return;
        }
        let Some(txn) = self.commits.pop_front() else { return };
        self.committing = true;
        let books = self.books.clone();
        let id = txn.id;
        self.works.begin(async move { Done::Committed(id, books.commit(txn).await) });
    }

    fn ask_standing(&mut self) {
        if !self.standing_asked {
            self.standing_asked = true;
            let books = self.books.clone();
            self.works.begin(async move { Done::Standing(books.standing().await) });
        }
    }

    fn done(&mut self, done: Done) -> Result<(), BooksError> {
        match done {
            Done::Asked(id, outcome) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                match outcome? {
                    Outcome::Answered(answer) => self.feed(Input::Answer { id, answer }),
                    Outcome::Lost { sent, why } => {
                        tracing::warn!(sent, why, "no answer from upstream");
                        self.feed(Input::Lost { id, sent });
                    }
                }
            }
            Done::Committed(txn, answers) => {
                self.committing = false;
                self.feed(Input::Committed { txn, answers: answers? });
            }
            Done::Standing(standing) => {
                self.standing_asked = false;
                let Standing { levels, runs, orders, waiting } = standing?;
                self.feed(Input::Waiting(waiting));
                self.feed(Input::Rests(orders));
                for level in levels {
                    self.feed(Input::Wanted(level));
                }
                for progress in runs {
                    self.feed(Input::Progress(progress));
                }
            }
        }
        Ok(())
    }

    fn trouble(&mut self, key: &'static str, about: String, detail: &str) {
        let detail = if about.is_empty() { detail.to_string() } else { format!("{about}: {detail}") };
        self.troubles.entry(key).or_default().insert(about);
        let at = clock::wall();
        self.commit_own(Record::AlarmRaised { line: None, key: key.to_string(), detail, at });
    }

    fn cleared(&mut self, key: &'static str, about: &str) {
        let Some(abouts) = self.troubles.get_mut(key) else { return };
        abouts.remove(about);
        if abouts.is_empty() {
            self.troubles.remove(key);
            self.commit_own(Record::AlarmCleared { line: None, key: key.to_string(), at: clock::wall() });
        }
    }

    fn commit_own(&mut self, record: Record) {
        self.last_txn += 1;
        self.commits.push_back(Txn { id: TxnId(self.last_txn), records: vec![record] });
    }

    fn publish(&self) {
        let s = self.step.status();
        let new = UpstreamStatus {
            last_answer_ms: s.last_answer.map(|w| w.0),
            trouble: s.trouble,
            on_order: s.on_order,
            open_reports: s.open_reports,
            oldest_open_ms: s.oldest_open.map(|w| w.0),
            unknown: s.unknown,
            clock_ahead_ms: s.clock_ahead_ms,
        };
        self.status.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
    }

    /// No new requests. Answers under way are waited for, and all commits; what is cut off is settled at the next
    /// start.
    async fn wind_down(mut self, grace: Duration) -> Result<(), UpstreamError> {
        self.stopping = true;
        let end = clock::now().after(grace);
        while self.in_flight > 0 || self.committing {
            let left = end.since(clock::now());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                done = self.works.next() => self.done(done)?,
                () = sleep(left) => break,
            }
        }
        Ok(())
    }
}

/// One request with what it names.
async fn ask<B: Books>(books: &B, xtrace: &Xtrace, request: &Request) -> Result<Outcome, BooksError> {
    let mut named = Named::default();
    match request {
        Request::Apply { run, passes, .. }
        | Request::Codes { run, passes, .. }
        | Request::Report { of: Some(Carried { run, passes, .. }), .. } => {
            named.codes = books.codes_of_passes(*run, passes.clone()).await?;
        }
        Request::SendDocument { document, .. }
        | Request::DocumentBody { document, .. }
        | Request::DocumentErrors { document, .. } => {
            named.pieces = books.pieces(*document, None).await?;
        }
        Request::Pieces { document, pieces, .. } => {
            named.pieces = books.pieces(*document, Some(pieces.clone())).await?;
        }
        _ => {}
    }
    Ok(xtrace.ask(request, &named).await)
}
