//! A person at the line, as far as one can be simulated: speaks to the agent over its HTTP API, looks at the belt when
//! it stops, says what is there, and lets it run on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tamga_simulators::model::truth::{Fate, Truth};

pub struct Operator {
    http: reqwest::Client,
    base: String,
    token_file: PathBuf,
}

/// What the operator did, for the record.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    pub resumed: BTreeMap<String, u32>,
    pub declared: BTreeMap<String, u32>,
}

/// The agent did not do it: the status and the body.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub body: Value,
}

impl Operator {
    pub fn new(api: SocketAddr, data: &Path) -> Operator {
        // The API is plain HTTP on loopback; the provider is only asked for when the client is made.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build();
        Operator {
            http: http.expect("a client without special settings"),
            base: format!("http://{api}"),
            token_file: data.join("api.token"),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Refused> {
        let away = |why: String| Refused { status: 0, body: Value::String(why) };
        let token = std::fs::read_to_string(&self.token_file).map_err(|e| away(e.to_string()))?;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(token.trim()).header("X-Tamga-Who", "operator");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|e| away(e.to_string()))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|e| away(e.to_string()))?;
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        if status.is_success() { Ok(body) } else { Err(Refused { status: status.as_u16(), body }) }
    }

    pub async fn status(&self) -> Option<Value> {
        self.call(Method::GET, "/api/v1/status", None).await.ok()
    }

    /// The one line of the world.
    pub async fn line(&self) -> Option<Value> {
        self.status().await.map(|s| s["lines"][0].clone())
    }

    pub async fn start(
        &self,
        gtin: &str,
        quantity: u32,
        production: &str,
        expiry: &str,
    ) -> Result<Value, Refused> {
        let body = json!({ "key": "demo-1", "gtin": gtin, "quantity": quantity, "batch": "B-17",
            "production": production, "expiry": expiry });
        self.call(Method::POST, "/api/v1/lines/l1/run", Some(body)).await
    }

    pub async fn stop(&self) -> Result<Value, Refused> {
        self.call(Method::POST, "/api/v1/lines/l1/run/stop", None).await
    }

    pub async fn resume(&self) -> Result<Value, Refused> {
        self.call(Method::POST, "/api/v1/lines/l1/run/resume", None).await
    }

    pub async fn close(&self) -> Result<Value, Refused> {
        self.call(Method::POST, "/api/v1/lines/l1/run/close", Some(json!({ "clear": true }))).await
    }

    pub async fn sheet(&self, run: u64) -> Result<Value, Refused> {
        self.call(Method::GET, &format!("/api/v1/runs/{run}/sheet"), None).await
    }

    pub async fn upstream(&self) -> Option<Value> {
        self.call(Method::GET, "/api/v1/upstream", None).await.ok()
    }

    /// Codes pooled for a product.
    pub async fn pooled(&self, gtin: &str) -> Option<u64> {
        let upstream = self.upstream().await?;
        let level = upstream["pool"].as_array()?.iter().find(|l| l["gtin"] == gtin)?;
        level["codes"].as_u64()
    }

    /// What the agent knows of a code, by a scan of it.
    pub async fn story(&self, scan: &[u8]) -> Option<Value> {
        let body = json!({ "scan": String::from_utf8_lossy(scan) });
        self.call(Method::POST, "/api/v1/codes/show", Some(body)).await.ok()
    }

    /// Imports a printing house's list, and says how many codes were taken.
    pub async fn import(&self, roll: &str, group: &str, codes: &[Vec<u8>]) -> Result<u64, Refused> {
        let away = |why: String| Refused { status: 0, body: Value::String(why) };
        let token = std::fs::read_to_string(&self.token_file).map_err(|e| away(e.to_string()))?;
        let request = self.http.post(format!("{}/api/v1/codes/import?roll={roll}&group={group}", self.base));
        let request = request.bearer_auth(token.trim()).header("X-Tamga-Who", "operator");
        let answer = request.body(codes.join(&b"\n"[..])).send().await.map_err(|e| away(e.to_string()))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| away(e.to_string()))?;
        // One line of progress after another; the last tells the whole.
        let last =
            text.lines().last().and_then(|l| serde_json::from_str::<Value>(l).ok()).unwrap_or_default();
        last["taken"]
            .as_u64()
            .filter(|_| last["done"] == true)
            .ok_or(Refused { status, body: Value::String(text) })
    }

    /// Looks after a line that stands: declares what is known of items whose pass is unknown, then lets it run on.
    /// `finished` are the reasons to stand that need nobody.
    pub async fn tend(&self, line: &Value, truth: &Truth, deeds: &mut Deeds) {
        let Some(why) = line["stopped_by"]["key"].as_str() else { return };
        if why.ends_with("quantity_reached") || why.ends_with("no_run") || why.ends_with("starting") {
            return;
        }
        self.declare_unknown(line, truth, deeds).await;
        if self.resume().await.is_ok() {
            *deeds.resumed.entry(why.to_owned()).or_default() += 1;
        }
    }

    /// Says of each item whose pass is unknown what the operator sees. Those that still stand on the belt are left.
    pub async fn declare_unknown(&self, line: &Value, truth: &Truth, deeds: &mut Deeds) {
        for unknown in line["run"]["pass_unknown"].as_array().into_iter().flatten() {
            let code = &unknown["code"];
            let Some(declared) = seen(code, truth) else { continue };
            let scan = format!("01{}21{}", text(&code["gtin"]), text(&code["serial"]));
            let body = json!({ "line": "l1", "scan": scan, "as": declared });
            if self.call(Method::POST, "/api/v1/codes/declare", Some(body)).await.is_ok() {
                *deeds.declared.entry(declared.to_owned()).or_default() += 1;
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Where the item with this code is, as a person sees it.
fn seen(code: &Value, truth: &Truth) -> Option<&'static str> {
    let (gtin, serial) = (code["gtin"].as_str()?, code["serial"].as_str()?);
    let identity = format!("01{gtin}21{serial}").into_bytes();
    let bears = |m: &tamga_simulators::model::truth::Mark| {
        m.symbol.as_ref().is_some_and(|s| s.starts_with(&identity))
    };
    let item = truth.items.iter().rev().find(|i| i.marks.iter().any(bears))?;
    match item.fate? {
        Fate::Passed => Some("passed"),
        Fate::Rejected | Fate::Removed => Some("rejected"),
    }
}
