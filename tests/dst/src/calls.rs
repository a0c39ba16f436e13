//! The way to the state system: requests reach its model at once, answers take their time or never come.

use tamga::upstream::xtrace::exchange::{Heard, Outcome, understood};
use tamga_domain::upstream::request::Request as Ask;
use tamga_simulators::model::xtrace::route::Request;
use tamga_simulators::model::xtrace::{Delivery, Reply, Xtrace};
use time::OffsetDateTime;

use crate::planted::Planted;
use crate::way::Call;
use crate::world::{API_KEY, Answering, TIMEOUT_MS, World};

/// What became of one request.
pub(crate) struct Exchanged {
    pub(crate) request: Request,
    pub(crate) reply: Reply,
    /// The outcome is known so long after the request left.
    pub(crate) after_ms: u64,
    pub(crate) outcome: Outcome,
}

/// Brings a request to the model of the state system, and its answer back, if it has one within `timeout_ms`.
pub(crate) fn exchange(
    state: &mut Xtrace,
    moment: OffsetDateTime,
    call: &Call,
    timeout_ms: u64,
    planted: Option<Planted>,
) -> Exchanged {
    let written = &call.written;
    let request = Request {
        method: if written.post { "POST" } else { "GET" }.to_owned(),
        path: written.path.clone(),
        query: encoded(&written.query),
        accept: Some("*/*".to_owned()),
        authorization: Some(format!("Bearer {API_KEY}")),
        body: written.body.as_ref().map(|b| b.to_string().into_bytes()).unwrap_or_default(),
    };
    let mut reply = state.handle(moment, &request);
    let lost = reply.delivery == Delivery::Never || reply.delay_ms > timeout_ms;
    match planted {
        Some(Planted::BlindSecondPost) if lost && written.post => {
            reply = state.handle(moment, &request);
        }
        Some(Planted::RetryWithNewKey) if lost && matches!(call.request, Ask::MakeOrder { .. }) => {
            let body = String::from_utf8_lossy(&request.body).replace("a0000001-", "a0000001-9");
            reply = state.handle(moment, &Request { body: body.into_bytes(), ..request.clone() });
        }
        _ => {}
    }
    let lost = |why: &str| Outcome::Lost { sent: true, why: why.to_owned() };
    let (after_ms, outcome) = match reply.delivery {
        _ if reply.delay_ms > timeout_ms => (timeout_ms, lost("no answer in time")),
        Delivery::Never => (reply.delay_ms, lost("the connection broke")),
        delivery => {
            let header = |name: &str| {
                let found = reply.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            let body = match delivery {
                Delivery::Whole => Ok(reply.body.clone()),
                _ => Err("the connection broke in the body".to_owned()),
            };
            let heard = Heard {
                status: reply.status,
                retry_after: header("retry-after"),
                date: header("date"),
                body,
            };
            (reply.delay_ms, understood(&call.request, &call.written, API_KEY, heard))
        }
    };
    Exchanged { request, reply, after_ms, outcome }
}

impl World {
    pub(crate) fn call(&mut self, call: Call) {
        let due = self.ms + self.rng.u64(2..40);
        if self.ms < self.offline_until {
            let outcome = Outcome::Lost { sent: false, why: "no route".to_owned() };
            self.answering.push(Answering { due, call, outcome });
            return;
        }
        let moment = self.true_moment();
        let Exchanged { request, reply, after_ms, outcome } =
            exchange(&mut self.state, moment, &call, TIMEOUT_MS, self.plan.planted);
        self.trace.mix(&reply.body);
        self.trace.say(|| {
            format!(
                "{} {}?{} → {} {:?}",
                request.method, request.path, request.query, reply.status, reply.delivery
            )
        });
        self.answering.push(Answering { due: due + after_ms, call, outcome });
    }

    pub(crate) fn answers(&mut self) {
        let ms = self.ms;
        if let Some(agent) = &mut self.agent {
            for one in self.answering.extract_if(.., |a| a.due <= ms) {
                agent.answered(one.call.id, one.outcome);
            }
        }
        self.state.advance(self.true_moment());
    }
}

fn encoded(query: &[(&'static str, String)]) -> String {
    let value = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    out.push(char::from(byte))
                }
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    query.iter().map(|(name, text)| format!("{name}={}", value(text))).collect::<Vec<_>>().join("&")
}
