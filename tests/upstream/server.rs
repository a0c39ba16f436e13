//! A small scripted state system on loopback: one thing goes wrong per scripted fault, in order, by request.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What goes wrong with a request. *After* means that it took effect.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    DropBefore,
    DropAfter,
    /// 200 with a page of a gateway.
    PageAfter,
    /// 200 with the first half of the document.
    HalfAfter,
    StatusAfter(u16),
    /// 429 with `Retry-After: 1`.
    Limited,
}

#[derive(Clone, Default)]
pub struct State {
    pub orders: Vec<Order>,
    pub reports: Vec<Report>,
    log: Vec<(Instant, String)>,
    faults: Vec<(&'static str, Fault)>,
}

#[derive(Clone)]
pub struct Order {
    pub po: String,
    pub quantity: usize,
    pub closed: bool,
    pub packs: Vec<(String, Vec<String>)>,
}

#[derive(Clone)]
pub struct Report {
    pub own_number: String,
    pub production: String,
    pub expiration: String,
    pub codes: Vec<String>,
}

pub struct Server {
    pub base: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(faults: Vec<(&'static str, Fault)>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { faults, ..State::default() }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Server { base, state, task }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Method, path and query of all requests.
    pub fn log(&self) -> Vec<String> {
        self.state().log.iter().map(|l| l.1.clone()).collect()
    }

    pub fn arrivals(&self, prefix: &str) -> Vec<Instant> {
        self.state().log.iter().filter(|l| l.1.starts_with(prefix)).map(|l| l.0).collect()
    }

    /// Closes the port: connections are refused from now on.
    pub fn stand_down(&self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((target, accept, body)) = request(&mut stream).await else { return };
    assert_eq!(accept, "*/*");
    let fault = {
        let mut state = state.lock().unwrap();
        state.log.push((Instant::now(), target.clone()));
        let at = state.faults.iter().position(|f| target.starts_with(f.0));
        at.map(|i| state.faults.remove(i).1)
    };
    let before = matches!(fault, Some(Fault::DropBefore | Fault::Limited));
    let answer = if before { Value::Null } else { effect(&mut state.lock().unwrap(), &target, &body) };
    let text = answer.to_string();
    let (status, more, text) = match fault {
        None => (200, "", text),
        Some(Fault::DropBefore | Fault::DropAfter) => return,
        Some(Fault::PageAfter) => (200, "", "<html>the gateway is tired</html>".to_string()),
        Some(Fault::HalfAfter) => (200, "", text[..text.len() * 2 / 3].to_string()),
        Some(Fault::StatusAfter(status)) => (status, "", String::new()),
        Some(Fault::Limited) => (429, "Retry-After: 1\r\n", String::new()),
    };
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = OffsetDateTime::now_utc().format(&form).unwrap();
    let head = format!("HTTP/1.1 {status} X\r\nDate: {date}\r\n{more}Content-Length: {}\r\n", text.len());
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{text}").as_bytes()).await;
}

/// Request target with its method, the `Accept` header, the body.
async fn request(stream: &mut TcpStream) -> Option<(String, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    assert_eq!(header("authorization").unwrap(), "Bearer 7b0c5d1e-CANARY-KEY");
    let length: usize = header("content-length").map_or(0, |l| l.parse().unwrap());
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        let mut chunk = [0; 65536];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => body.extend_from_slice(&chunk[..n]),
        }
    }
    let target = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_string();
    Some((target, header("accept")?, body))
}

fn effect(state: &mut State, target: &str, body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let param = |name: &str| {
        query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).map(str::to_string)
    };
    match path {
        "POST /api/orders" => {
            let po = body["poNumber"].as_str().unwrap().to_string();
            let quantity = body["products"][0]["quantity"].as_u64().unwrap() as usize;
            state.orders.push(Order { po, quantity, closed: false, packs: vec![] });
            json!({ "orderId": format!("order-{}", state.orders.len() - 1) })
        }
        "GET /api/orders" => {
            // The filter is ignored, as filters are.
            let one = |(i, o): (usize, &Order)| json!({ "orderId": format!("order-{i}"), "orderStatus": if o.closed { "CLOSED" } else { "READY" }, "poNumber": o.po, "new": 1 });
            json!({ "orderInfos": state.orders.iter().enumerate().map(one).collect::<Vec<_>>() })
        }
        "GET /api/orders/sub-orders" => json!({ "subOrderInfos": lines(state, &param("gtin").unwrap()) }),
        "GET /api/codes" => block(state, &param("orderId").unwrap(), &param("quantity"), param("lastPackId")),
        "GET /api/codes/packs" => {
            let order = &state.orders[index(&param("orderId").unwrap())];
            let one = |p: &(String, Vec<String>)| json!({ "packId": p.0, "quantity": p.1.len() });
            json!({ "packs": order.packs.iter().map(one).collect::<Vec<_>>() })
        }
        "POST /api/order/close" => {
            let id = param("orderId").unwrap();
            let order = &mut state.orders[index(&id)];
            assert!(!order.closed && body.is_null());
            order.closed = true;
            json!({ "orderId": id })
        }
        "POST /api/utilisation" => {
            let text = |v: &Value| v.as_str().unwrap().to_string();
            let codes = body["sntins"].as_array().unwrap().iter().map(text).collect();
            let own_number = text(&body["productionOrderId"]);
            assert_eq!(param("productGroup").unwrap(), "water");
            let (production, expiration) = (text(&body["productionDate"]), text(&body["expirationDate"]));
            state.reports.push(Report { own_number, production, expiration, codes });
            json!({ "reportId": format!("report-{}", state.reports.len() - 1) })
        }
        "POST /public/api/cod/public/codes" => {
            let report =
                |c: &str| state.reports.iter().position(|r| r.codes.iter().any(|f| f.starts_with(c)));
            let one = |c: &Value| {
                let report = report(c.as_str().unwrap());
                let mut code =
                    json!({ "code": c, "status": if report.is_some() { "APPLIED" } else { "RECEIVED" } });
                if let Some(n) = report.filter(|_| body["addCodeHistory"] == true) {
                    let id = format!("report-{n}");
                    code["codeHistory"] = json!([{ "documentType": "ORDER", "eventSourceId": "x" },
                        { "documentType": "UTILISATION", "eventSourceId": id }]);
                }
                code
            };
            Value::Array(body["codes"].as_array().unwrap().iter().map(one).collect())
        }
        "GET /public/api/v1/doc/storage/docs/search" => json!({ "documentInfos": [] }),
        _ if path.starts_with("GET /api/utilisation/") => json!({ "reportStatus": "SUCCESS" }),
        _ => panic!("{target}"),
    }
}

fn index(id: &str) -> usize {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

fn lines(state: &State, gtin: &str) -> Vec<Value> {
    let one = |(i, o): (usize, &Order)| {
        let passed: usize = o.packs.iter().map(|p| p.1.len()).sum();
        json!({
            "parentOrderId": format!("order-{i}"), "gtin": gtin, "cisType": "UNIT",
            "bufferStatus": if passed == o.quantity { "EXHAUSTED" } else { "ACTIVE" },
            "availableCodes": o.quantity, "leftInBuffer": o.quantity - passed, "totalPassed": passed, "createDate": "2026-01-29T10:00:00Z",
        })
    };
    state.orders.iter().enumerate().map(one).collect()
}

fn block(state: &mut State, order: &str, quantity: &Option<String>, last: Option<String>) -> Value {
    let no = index(order);
    let order = &mut state.orders[no];
    let at = last.map_or(0, |p| order.packs.iter().position(|x| x.0 == p).unwrap() + 1);
    if at == order.packs.len() {
        let first: usize = order.packs.iter().map(|p| p.1.len()).sum();
        let count = quantity.as_ref().unwrap().parse::<usize>().unwrap().min(order.quantity - first);
        let code = |n: usize| format!("010478001296001621{no:03}{n:010}\u{1d}93CNRY");
        order.packs.push((format!("pack-{no}-{at}"), (first..first + count).map(code).collect()));
    }
    let (pack_id, codes) = &order.packs[at];
    json!({ "packId": pack_id, "codes": codes })
}
