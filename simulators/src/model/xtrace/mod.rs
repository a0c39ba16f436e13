//! The state system (xTrace, Uzbekistan and Kazakhstan) as a pure model: state and `handle(now, request)`.
//!
//! No socket, no clock, no task: time comes in with each call, randomness from the seed. Work that the real
//! system does later is a queue of due tasks, run by `advance`. The model never tells the truth to the
//! client on purpose when a fault says otherwise; `truth` is for oracles.
//!
//! Reading order: `settings`, `route`, `input`, `answer`, `auth`, `orders`, `order_body`, `codes`, `utilisation`,
//! `documents`, `aggregation`, `lookup`, `fault`, `truth`.

pub mod aggregation;
pub mod answer;
pub mod auth;
pub mod base64;
pub mod codes;
pub mod documents;
pub mod fault;
pub mod input;
pub mod layout;
pub mod lookup;
mod order_body;
pub mod orders;
pub mod route;
pub mod settings;
pub mod truth;
pub mod utilisation;

use aggregation::Tree;
use answer::{Answer, ApiError, Body};
use auth::Auth;
use codes::Code;
use documents::{DocStatus, Document};
use fault::{Fault, FaultPlan, Faults, Struck};
use orders::Order;
use route::{Endpoint, Query, Request};
use serde_json::Value;
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use time::{Duration, OffsetDateTime};

/// Earlier answers kept for `Fault::OldAnswer`.
const OLD_ANSWERS_MAX: usize = 32;

/// How an answer goes back to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Whole,
    /// Head and half of the body, then the connection breaks.
    CutBody,
    /// Not a byte: the connection is closed.
    Never,
}

/// What the shell has to do: wait `delay_ms`, then deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub delay_ms: u64,
    pub delivery: Delivery,
}

/// One request on its way through the endpoints.
struct Call<'a> {
    now: OffsetDateTime,
    /// The server's own clock, skewed.
    clock: OffsetDateTime,
    /// When the effect shows in reads.
    visible_from: OffsetDateTime,
    tin: String,
    argument: &'a str,
    query: Query,
    body: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    OrderPending(String),
    OrderReady(String),
    Document(String, DocStatus),
    Introduce(Vec<String>),
    /// A request that was let in, and then on its way for long.
    Arrive(String, Box<Request>),
}

/// The whole state system.
#[derive(Debug, Clone)]
pub struct Xtrace {
    settings: Settings,
    rng: fastrand::Rng,
    faults: Faults,
    auth: Auth,
    orders: BTreeMap<String, Order>,
    order_ids: Vec<String>,
    codes: BTreeMap<String, Code>,
    tree: Tree,
    /// Documents and application reports.
    documents: BTreeMap<String, Document>,
    document_ids: Vec<String>,
    tasks: BTreeMap<(OffsetDateTime, u64), Task>,
    tasks_made: u64,
    old_answers: VecDeque<(String, Answer)>,
    requests: BTreeMap<Endpoint, u64>,
    /// Orders and documents made by the first of a request that came twice.
    echoes: BTreeSet<String>,
    /// Until when nobody is let in.
    key_dead_until: Option<OffsetDateTime>,
}

impl Xtrace {
    pub fn new(settings: Settings) -> Xtrace {
        Xtrace {
            rng: fastrand::Rng::with_seed(settings.seed),
            faults: Faults::new(settings.seed),
            auth: Auth::new(&settings.accounts),
            settings,
            orders: BTreeMap::new(),
            order_ids: Vec::new(),
            codes: BTreeMap::new(),
            tree: Tree::default(),
            documents: BTreeMap::new(),
            document_ids: Vec::new(),
            tasks: BTreeMap::new(),
            tasks_made: 0,
            old_answers: VecDeque::new(),
            requests: BTreeMap::new(),
            echoes: BTreeSet::new(),
            key_dead_until: None,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Replaces the plan; counts of what has struck stay.
    pub fn set_faults(&mut self, plan: FaultPlan) {
        self.faults.set(plan);
    }

    /// When the next piece of work is due, for simulations that own the time.
    pub fn next_due(&self) -> Option<OffsetDateTime> {
        self.tasks.first_key_value().map(|((due, _), _)| *due)
    }

    /// Does all work that is due.
    pub fn advance(&mut self, now: OffsetDateTime) {
        while let Some(entry) = self.tasks.first_entry() {
            let (due, _) = *entry.key();
            if due > now {
                break;
            }
            match entry.remove() {
                Task::OrderPending(id) => self.order_pending(&id, due),
                Task::OrderReady(id) => self.order_ready(&id),
                Task::Document(id, status) => self.step_document(&id, status, due),
                Task::Introduce(identities) => self.introduce(&identities),
                Task::Arrive(tin, request) => self.arrive(due, tin, &request),
            }
        }
    }

    /// Takes one request and says what goes back. The effect, if any, is taken when this returns.
    pub fn handle(&mut self, now: OffsetDateTime, request: &Request) -> Reply {
        self.advance(now);
        let (endpoint, argument) = match route::route(&request.method, &request.path) {
            Ok(found) => found,
            Err(error) => {
                let answer = self.refuse(&error);
                return self.reply(now, answer, &Struck::default());
            }
        };
        *self.requests.entry(endpoint).or_default() += 1;
        let key = question(endpoint, request);
        let old = self.old_answers.iter().find(|(asked, _)| *asked == key).map(|(_, answer)| answer.clone());
        let struck = self.faults.draw(endpoint, old.is_some());
        let answer = match (struck.exclusive, old) {
            (Some((Fault::OldAnswer, _)), Some(answer)) => answer,
            (Some((Fault::DropBefore, _)), _) => Answer::ok(Value::Null),
            (Some((Fault::ErrorBefore, status)), _) => self.refuse(&ApiError::new(status, "internal-error")),
            (Some((Fault::HtmlBefore, _)), _) => Answer::html(200),
            (Some((Fault::TooMany, _)), _) => self.refuse(&too_many(1)),
            (Some((Fault::TooManyBare, _)), _) => self.refuse(&ApiError::new(429, "too-many-requests")),
            (Some((Fault::Stuck, _)), _) => {
                if let Ok(tin) = self.admit(now, endpoint, request) {
                    let due = now + millis(struck.exclusive_ms);
                    self.schedule(due, Task::Arrive(tin, Box::new(request.clone())));
                }
                Answer::ok(Value::Null)
            }
            (Some((Fault::KeyDead, _)), _) => {
                self.key_dead_until = Some(now + millis(struck.exclusive_ms));
                self.refuse(&ApiError::unauthorized("inactive-token"))
            }
            _ => {
                if struck.doubled {
                    let (orders, documents) = (self.order_ids.len(), self.document_ids.len());
                    drop(self.answer(now, endpoint, argument, request, &struck));
                    let made = self.order_ids[orders..].iter().chain(&self.document_ids[documents..]);
                    self.echoes.extend(made.cloned());
                }
                let answer = self.answer(now, endpoint, argument, request, &struck);
                self.remember(key, &answer);
                answer
            }
        };
        self.reply(now, answer, &struck)
    }

    /// A request that its client has given up long ago takes its effect, and nobody hears the answer.
    fn arrive(&mut self, now: OffsetDateTime, tin: String, request: &Request) {
        if let Ok((endpoint, argument)) = route::route(&request.method, &request.path) {
            drop(self.outcome(now, tin, (endpoint, argument), request, &Struck::default()));
        }
    }

    fn answer(
        &mut self,
        now: OffsetDateTime,
        endpoint: Endpoint,
        argument: &str,
        request: &Request,
        struck: &Struck,
    ) -> Answer {
        let admitted = self.admit(now, endpoint, request);
        let outcome = admitted.and_then(|tin| self.outcome(now, tin, (endpoint, argument), request, struck));
        outcome.unwrap_or_else(|error| self.refuse(&error))
    }

    fn outcome(
        &mut self,
        now: OffsetDateTime,
        tin: String,
        (endpoint, argument): (Endpoint, &str),
        request: &Request,
        struck: &Struck,
    ) -> Result<Answer, ApiError> {
        let call = Call {
            now,
            clock: self.clock(now),
            visible_from: now + millis(struck.hidden_ms),
            tin,
            argument,
            query: Query::parse(&request.query),
            body: &request.body,
        };
        self.dispatch(endpoint, &call)
    }

    /// The checks before any endpoint; the caller's TIN, empty where none is needed.
    fn admit(
        &mut self,
        now: OffsetDateTime,
        endpoint: Endpoint,
        request: &Request,
    ) -> Result<String, ApiError> {
        if !route::accepts_json(request.accept.as_deref()) {
            return Err(ApiError::new(406, "not-acceptable"));
        }
        if !auth::exists_in(endpoint, self.settings.mode) {
            return Err(ApiError::not_found("not-found"));
        }
        if matches!(endpoint, Endpoint::Authenticate | Endpoint::TokenRefresh) {
            return Ok(String::new());
        }
        if self.key_dead_until.is_some_and(|until| now < until) {
            return Err(ApiError::unauthorized("inactive-token"));
        }
        let account = self.auth.account(now, self.settings.mode, request.authorization.as_deref())?;
        if endpoint.is_limited() {
            let calls_max = self.settings.limits.calls_per_min_max;
            self.auth.count(now, account, calls_max).map_err(too_many)?;
        }
        Ok(self.settings.accounts[account].tin.clone())
    }

    fn dispatch(&mut self, endpoint: Endpoint, call: &Call<'_>) -> Result<Answer, ApiError> {
        let value = match endpoint {
            Endpoint::Authenticate => self.authenticate(call)?,
            Endpoint::TokenRefresh => self.refresh_token(call)?,
            Endpoint::KeyCheck => self.check_key(call),
            Endpoint::KeyRefresh => self.refresh_key(call)?,
            Endpoint::OrderCreate => self.create_order(call)?,
            Endpoint::Orders => self.list_orders(call)?,
            Endpoint::SubOrders => self.list_sub_orders(call)?,
            Endpoint::OrderClose => self.close_order(call)?,
            Endpoint::Codes => self.fetch_codes(call)?,
            Endpoint::Packs => self.list_packs(call)?,
            Endpoint::UtilisationCreate => self.create_utilisation(call)?,
            Endpoint::Utilisation => self.show_utilisation(call)?,
            Endpoint::DocumentCreate => self.create_document(call)?,
            Endpoint::DocumentSearch => self.search_documents(call)?,
            Endpoint::Document => self.show_document(call)?,
            Endpoint::DocumentJson => self.show_document_json(call)?,
            Endpoint::DocumentErrors => self.show_document_errors(call)?,
            Endpoint::DocumentCodes => self.show_document_codes(call)?,
            Endpoint::PublicCodes => self.look_up_public(call)?,
            Endpoint::PrivateCodes => return self.look_up_private(call),
        };
        Ok(Answer::ok(value))
    }

    fn reply(&mut self, now: OffsetDateTime, mut answer: Answer, struck: &Struck) -> Reply {
        if let (200, Body::Json(value)) = (answer.status, &mut answer.body) {
            disturb(value, struck);
        }
        let mut delivery = Delivery::Whole;
        match struck.exclusive {
            Some((Fault::DropBefore | Fault::DropAfter | Fault::Stuck, _)) => delivery = Delivery::Never,
            Some((Fault::ErrorAfter, status)) => {
                answer = self.refuse(&ApiError::new(status, "internal-error"))
            }
            Some((Fault::HtmlAfter, _)) => answer = Answer::html(200),
            Some((Fault::Truncated, _)) => {
                let mut bytes = answer.body.bytes();
                bytes.truncate(bytes.len() / 2);
                answer.body = Body::Raw(bytes);
            }
            Some((Fault::Cut, _)) => delivery = Delivery::CutBody,
            _ => {}
        }
        let mut headers = answer.headers;
        headers.push(("date", answer::http_date(self.clock(now))));
        headers.extend(answer.body.content_type().map(|kind| ("content-type", kind.to_owned())));
        Reply {
            status: answer.status,
            headers,
            body: answer.body.bytes(),
            delay_ms: struck.latency_ms,
            delivery,
        }
    }

    fn refuse(&mut self, error: &ApiError) -> Answer {
        error.answer(self.settings.error_shapes, &mut self.rng)
    }

    fn remember(&mut self, question: String, answer: &Answer) {
        if answer.status != 200 {
            return;
        }
        self.old_answers.retain(|(asked, _)| *asked != question);
        if self.old_answers.len() == OLD_ANSWERS_MAX {
            self.old_answers.pop_front();
        }
        self.old_answers.push_back((question, answer.clone()));
    }

    fn clock(&self, now: OffsetDateTime) -> OffsetDateTime {
        now.saturating_add(Duration::milliseconds(self.faults.plan().clock_skew_ms))
    }

    fn schedule(&mut self, due: OffsetDateTime, task: Task) {
        self.tasks_made += 1;
        self.tasks.insert((due, self.tasks_made), task);
    }
}

fn millis(ms: u64) -> Duration {
    Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn too_many(retry_after_s: u64) -> ApiError {
    ApiError { retry_after_s: Some(retry_after_s), ..ApiError::new(429, "too-many-requests") }
}

/// What a careless cache takes for the same question.
fn question(endpoint: Endpoint, request: &Request) -> String {
    let about = Query::parse(&request.query).without(&["lastPackId", "cursor", "lastIndex"]);
    format!("{endpoint:?} {} {about:?} {:?}", request.path, request.authorization)
}

/// Puts in the words and fields that no document names.
fn disturb(value: &mut Value, struck: &Struck) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| disturb(item, struck)),
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let is_status = matches!(
                    key.as_str(),
                    "status" | "orderStatus" | "bufferStatus" | "reportStatus" | "state"
                );
                if struck.unknown_enum && is_status && inner.is_string() {
                    *inner = Value::from("UNDER_REVIEW");
                }
                disturb(inner, struck);
            }
            if struck.extra_fields {
                map.insert("xExtension".to_owned(), serde_json::json!({ "revision": 2, "flags": [] }));
            }
        }
        _ => {}
    }
}

/// One page of a list: what follows the cursor and passes the filter.
fn page<'a, T>(
    call: &Call<'_>,
    page_items_max: usize,
    items: impl Iterator<Item = (&'a str, &'a T)>,
    wanted: impl Fn(&T) -> bool,
) -> Result<Vec<&'a T>, ApiError> {
    let limit = page_limit(call, page_items_max)?;
    let mut items = items;
    if let Some(cursor) = call.query.get("cursor") {
        items.find(|(id, _)| *id == cursor).ok_or_else(|| ApiError::parameter("cursor"))?;
    }
    Ok(items.map(|(_, item)| item).filter(|item| wanted(item)).take(limit).collect())
}

fn page_limit(call: &Call<'_>, page_items_max: usize) -> Result<usize, ApiError> {
    let limit = call.query.number("limit")?.unwrap_or(100) as usize;
    if (1..=page_items_max).contains(&limit) { Ok(limit) } else { Err(ApiError::parameter("limit")) }
}
