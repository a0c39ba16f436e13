//! The way to the state system: requests reach its model at once, answers take their time or never come.

use tamga::upstream::xtrace::exchange::{Heard, Outcome, understood};
use tamga_domain::upstream::request::Request as Ask;
use tamga_simulators::model::xtrace::Delivery;
use tamga_simulators::model::xtrace::route::Request;

use crate::agent::Call;
use crate::planted::Planted;
use crate::world::{API_KEY, Answering, TIMEOUT_MS, World};

impl World {
    pub(crate) fn call(&mut self, call: Call) {
        let mut due = self.ms + self.rng.u64(2..40);
        if self.ms < self.offline_until {
            let outcome = Outcome::Lost { sent: false, why: "no route".to_owned() };
            self.answering.push(Answering { due, call, outcome });
            return;
        }
        let written = &call.written;
        let request = Request {
            method: if written.post { "POST" } else { "GET" }.to_owned(),
            path: written.path.clone(),
            query: encoded(&written.query),
            accept: Some("*/*".to_owned()),
            authorization: Some(format!("Bearer {API_KEY}")),
            body: written.body.as_ref().map(|b| b.to_string().into_bytes()).unwrap_or_default(),
        };
        let moment = self.true_moment();
        let mut reply = self.state.handle(moment, &request);
        let lost = reply.delivery == Delivery::Never || reply.delay_ms > TIMEOUT_MS;
        match self.plan.planted {
            Some(Planted::BlindSecondPost) if lost && written.post => {
                reply = self.state.handle(moment, &request);
            }
            Some(Planted::RetryWithNewKey) if lost && matches!(call.request, Ask::MakeOrder { .. }) => {
                let body = String::from_utf8_lossy(&request.body).replace("a0000001-", "a0000001-9");
                reply = self.state.handle(moment, &Request { body: body.into_bytes(), ..request.clone() });
            }
            _ => {}
        }
        self.trace.mix(&reply.body);
        self.trace.say(|| {
            format!(
                "{} {}?{} → {} {:?}",
                request.method, request.path, request.query, reply.status, reply.delivery
            )
        });
        due += reply.delay_ms;
        let header = |name: &str| {
            reply.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let outcome = if reply.delay_ms > TIMEOUT_MS {
            due = self.ms + TIMEOUT_MS;
            Outcome::Lost { sent: true, why: "no answer in time".to_owned() }
        } else {
            match reply.delivery {
                Delivery::Never => Outcome::Lost { sent: true, why: "the connection broke".to_owned() },
                delivery => {
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
                    understood(&call.request, &call.written, API_KEY, heard)
                }
            }
        };
        self.answering.push(Answering { due, call, outcome });
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
