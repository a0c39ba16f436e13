//! What can go wrong between client and state system: rules with rates, drawn by the seed, counted when they strike.
//!
//! A fault never changes what the model holds to be true; it changes what the client is told, and when.
//! The exceptions are named: a request that comes late or twice, a report that is refused or processed in part, an order
//! that is declined or closed by somebody, and codes that are damaged, given twice or annulled.

use super::route::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is closed without an answer, nothing has happened.
    DropBefore,
    /// The connection is closed without an answer, the effect is taken.
    DropAfter,
    /// The effect is taken at once, the answer comes late (`ms`).
    Latency,
    /// 500, 502, 503, 504 (or `status`), nothing has happened.
    ErrorBefore,
    /// The same, but the effect is taken.
    ErrorAfter,
    /// An HTML page with status 200, nothing has happened.
    HtmlBefore,
    /// The same, but the effect is taken.
    HtmlAfter,
    /// The connection is closed without an answer, and the request reaches the system only after `ms`.
    Stuck,
    /// The request reaches the system twice, as from a proxy that repeats it; the answer is that to the second.
    Doubled,
    /// 429 out of turn, nothing has happened.
    TooMany,
    /// The same without `Retry-After`.
    TooManyBare,
    /// 401 to everybody for `ms`, nothing has happened.
    KeyDead,
    /// Half of the body in a complete HTTP answer, the effect is taken.
    Truncated,
    /// The connection breaks in the middle of the body, the effect is taken.
    Cut,
    /// An earlier answer to the same question, from some cache; the request does not reach the system.
    /// Without `endpoint` it strikes reads only.
    OldAnswer,
    /// The effect of a write shows in reads only after `ms`, and its processing begins then.
    Hidden,
    /// One code of a new pack is damaged.
    MalformedCode,
    /// One code of a new pack was given before, in the same or an earlier pack.
    CodeTwice,
    /// An application report ends in `ERROR` though its codes are good.
    RefuseUtilisation,
    /// An application report takes effect for a part of its codes, and ends in `PARTIALLY_PROCESSED`.
    PartUtilisation,
    /// A document ends in `ERROR` without effect though nothing in it is wrong, and no error of it is named.
    RefuseDocument,
    /// One unit or code of a document has no effect though it is good, and its error is named.
    PartDocument,
    /// One code of a report was annulled before it came.
    AnnulCode,
    /// An order is declined though it was answered with 200.
    DeclineOrder,
    /// Somebody closes the order just before its codes are asked for: those that were not handed out are annulled.
    CloseOrder,
    /// Every status in the answer is a word that no document names.
    UnknownEnum,
    /// Every object in the answer has a field that no document names.
    ExtraFields,
}

impl Fault {
    pub const ALL: [Fault; 27] = [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Latency,
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::HtmlBefore,
        Fault::HtmlAfter,
        Fault::Stuck,
        Fault::Doubled,
        Fault::TooMany,
        Fault::TooManyBare,
        Fault::KeyDead,
        Fault::Truncated,
        Fault::Cut,
        Fault::OldAnswer,
        Fault::Hidden,
        Fault::MalformedCode,
        Fault::CodeTwice,
        Fault::RefuseUtilisation,
        Fault::PartUtilisation,
        Fault::RefuseDocument,
        Fault::PartDocument,
        Fault::AnnulCode,
        Fault::DeclineOrder,
        Fault::CloseOrder,
        Fault::UnknownEnum,
        Fault::ExtraFields,
    ];

    /// At most one of these can strike a request.
    fn is_exclusive(self) -> bool {
        matches!(
            self,
            Fault::DropBefore
                | Fault::DropAfter
                | Fault::ErrorBefore
                | Fault::ErrorAfter
                | Fault::HtmlBefore
                | Fault::HtmlAfter
                | Fault::Stuck
                | Fault::TooMany
                | Fault::TooManyBare
                | Fault::KeyDead
                | Fault::Truncated
                | Fault::Cut
                | Fault::OldAnswer
        )
    }
}

/// One switch. `rate` 1 and `times` n: the next n requests of `endpoint`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub fault: Fault,
    #[serde(default = "always")]
    pub rate: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Bounds of `latency`, `hidden`, `stuck` and `key_dead`; the real system was seen to answer after 113 s.
    #[serde(default = "ms_default")]
    pub ms: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Rule {
    pub fn new(fault: Fault, rate: f64) -> Rule {
        Rule { fault, rate, times: None, endpoint: None, ms: ms_default(), status: None }
    }

    /// Strikes the next `times` requests of the endpoint.
    pub fn next(fault: Fault, endpoint: Endpoint, times: u64) -> Rule {
        Rule { times: Some(times), endpoint: Some(endpoint), ..Rule::new(fault, 1.0) }
    }

    pub fn with_ms(mut self, low: u64, high: u64) -> Rule {
        self.ms = (low, high);
        self
    }
}

fn always() -> f64 {
    1.0
}

fn ms_default() -> (u64, u64) {
    (100, 120_000)
}

/// All switches at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultPlan {
    pub rules: Vec<Rule>,
    /// The server's clock against the true one.
    pub clock_skew_ms: i64,
    /// Identities of codes that no application report may carry.
    pub refused_codes: Vec<String>,
    /// Identities and transport codes that no document may carry, as unit or in one.
    pub refused_units: Vec<String>,
    /// How a report with such codes is refused.
    pub refusal: Refusal,
}

/// How a refusal is told. No document says how; all of these shapes were met with other requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// `ERROR` later, with a count and no code.
    #[default]
    Message,
    /// `ERROR` later; the reason names the codes, whole.
    Codes,
    /// `ERROR` later; the reason is a page of HTML.
    Html,
    /// 400 at once, in whatever shape errors have; the codes are its parameter.
    AtOnce,
}

impl FaultPlan {
    pub fn of(rules: impl IntoIterator<Item = Rule>) -> FaultPlan {
        FaultPlan { rules: rules.into_iter().collect(), ..FaultPlan::default() }
    }
}

/// What strikes one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Struck {
    pub exclusive: Option<(Fault, u16)>,
    /// How long what is exclusive lasts, where it lasts.
    pub exclusive_ms: u64,
    pub doubled: bool,
    pub latency_ms: u64,
    pub hidden_ms: u64,
    pub unknown_enum: bool,
    pub extra_fields: bool,
}

/// The plan in force, its dice and its counts.
#[derive(Debug, Clone)]
pub struct Faults {
    plan: FaultPlan,
    used: Vec<u64>,
    struck: BTreeMap<Fault, u64>,
    rng: fastrand::Rng,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults {
            plan: FaultPlan::default(),
            used: Vec::new(),
            struck: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed ^ 0xfa17),
        }
    }

    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// How often each fault has struck since the start, over all plans.
    pub fn struck(&self) -> &BTreeMap<Fault, u64> {
        &self.struck
    }

    pub fn set(&mut self, plan: FaultPlan) {
        self.used = vec![0; plan.rules.len()];
        self.plan = plan;
    }

    /// Draws what strikes this request; an old answer can strike only if there is one.
    pub fn draw(&mut self, endpoint: Endpoint, old_answer: bool) -> Struck {
        let mut struck = Struck::default();
        for at in 0..self.plan.rules.len() {
            let fault = self.plan.rules[at].fault;
            if !self.concerns_request(at, fault, endpoint, old_answer)
                || fault.is_exclusive() && struck.exclusive.is_some()
                || !self.strikes(at, endpoint)
            {
                continue;
            }
            match fault {
                Fault::Latency => struck.latency_ms += self.draw_ms(at),
                Fault::Hidden => struck.hidden_ms += self.draw_ms(at),
                Fault::UnknownEnum => struck.unknown_enum = true,
                Fault::ExtraFields => struck.extra_fields = true,
                Fault::Doubled => struck.doubled = true,
                _ => {
                    if matches!(fault, Fault::Stuck | Fault::KeyDead) {
                        struck.exclusive_ms = self.draw_ms(at);
                    }
                    let status = [500, 502, 503, 504][self.rng.usize(..4)];
                    struck.exclusive = Some((fault, self.plan.rules[at].status.unwrap_or(status)));
                }
            }
        }
        struck
    }

    /// Draws one of the faults that belong to the content: packs and reports.
    pub fn strike(&mut self, fault: Fault, endpoint: Endpoint) -> bool {
        (0..self.plan.rules.len()).any(|at| self.plan.rules[at].fault == fault && self.strikes(at, endpoint))
    }

    fn concerns_request(&self, at: usize, fault: Fault, endpoint: Endpoint, old_answer: bool) -> bool {
        match fault {
            Fault::MalformedCode
            | Fault::CodeTwice
            | Fault::RefuseUtilisation
            | Fault::PartUtilisation
            | Fault::RefuseDocument
            | Fault::PartDocument
            | Fault::AnnulCode
            | Fault::DeclineOrder
            | Fault::CloseOrder => false,
            Fault::OldAnswer => old_answer && (self.plan.rules[at].endpoint.is_some() || endpoint.is_read()),
            Fault::Hidden => !endpoint.is_read() || endpoint == Endpoint::Codes,
            _ => true,
        }
    }

    fn strikes(&mut self, at: usize, endpoint: Endpoint) -> bool {
        let rule = &self.plan.rules[at];
        let strikes = rule.endpoint.is_none_or(|only| only == endpoint)
            && rule.times.is_none_or(|times| self.used[at] < times)
            && self.rng.f64() < rule.rate;
        if strikes {
            self.used[at] += 1;
            *self.struck.entry(rule.fault).or_default() += 1;
        }
        strikes
    }

    fn draw_ms(&mut self, at: usize) -> u64 {
        let (low, high) = self.plan.rules[at].ms;
        self.rng.u64(low..=high.max(low))
    }
}
