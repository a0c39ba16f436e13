//! The state system on real sockets: what a client sees when connections break, and the control port.
#![allow(clippy::unwrap_used)] // helpers of tests count as outside of tests

mod xtrace_help;

use serde_json::{Value, json};
use std::time::Duration;
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tamga_simulators::model::xtrace::route::Endpoint;
use tamga_simulators::model::xtrace::settings::Settings;
use tamga_simulators::model::xtrace::truth::{FaultReport, Summary, Truth};
use tamga_simulators::upstream::{self, Handle, Listen};
use xtrace_help::*;

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

fn post(handle: &Handle, path: &str, body: &Value) -> reqwest::RequestBuilder {
    client()
        .post(format!("http://{}{path}", handle.api_addr))
        .bearer_auth("uz-key")
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn get(handle: &Handle, path: &str) -> reqwest::RequestBuilder {
    client().get(format!("http://{}{path}", handle.api_addr)).bearer_auth("uz-key")
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn start() -> Handle {
    upstream::spawn(Settings::uz().at_once()).unwrap()
}

#[tokio::test]
async fn a_code_travels_from_order_to_applied_over_http() {
    let handle = start();
    let order = text(&json_of(post(&handle, "/api/orders", &order_body("water", WATER, 5))).await["orderId"]);
    let fetch = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=5");
    let codes = texts(&json_of(get(&handle, &fetch)).await["codes"]);
    let now = handle.with(|_, now| now);
    let body = json!({
        "sntins": codes,
        "businessPlaceId": 123,
        "releaseType": "PRODUCTION",
        "productionDate": iso(now),
        "expirationDate": iso(now + time::Duration::DAY),
    });
    json_of(post(&handle, "/api/utilisation?productGroup=water", &body)).await;
    assert_eq!(handle.summary().codes[&CodeStatus::Applied], 5);
    assert!(handle.truth().codes.iter().all(|code| codes.contains(&code.full)));
}

#[tokio::test]
async fn a_dropped_connection_brings_no_answer_and_its_effect_or_none() {
    for (fault, orders) in [(Fault::DropBefore, 0), (Fault::DropAfter, 1), (Fault::Cut, 1)] {
        let handle = start();
        handle.faults(FaultPlan::of([Rule::next(fault, Endpoint::OrderCreate, 1)]));
        let answer = post(&handle, "/api/orders", &order_body("water", WATER, 5)).send().await;
        match fault {
            Fault::Cut => {
                let response = answer.unwrap();
                assert_eq!(response.status(), 200);
                assert!(response.bytes().await.is_err(), "the body breaks off");
            }
            _ => assert!(answer.is_err_and(|error| !error.is_timeout()), "{fault:?}"),
        }
        assert_eq!(handle.truth().orders.len(), orders, "{fault:?}");
        assert_eq!(handle.summary().requests[&Endpoint::OrderCreate], 1, "the client did not send it twice");
    }
}

#[tokio::test]
async fn latency_leaves_the_client_without_an_answer_while_the_effect_is_taken() {
    let handle = start();
    handle.faults(FaultPlan::of([
        Rule::next(Fault::Latency, Endpoint::OrderCreate, 1).with_ms(120_000, 120_000)
    ]));
    let request =
        post(&handle, "/api/orders", &order_body("water", WATER, 5)).timeout(Duration::from_millis(300));
    assert!(request.send().await.is_err_and(|error| error.is_timeout()));
    assert_eq!(handle.truth().orders.len(), 1);
}

#[tokio::test]
async fn headers_come_through_and_the_date_is_the_simulators() {
    let handle = start();
    handle.faults(FaultPlan { clock_skew_ms: 86_400_000 * 400, ..FaultPlan::default() });
    let response = get(&handle, "/api/orders").send().await.unwrap();
    assert_eq!(response.headers().get_all("date").iter().count(), 1);
    let expected = (handle.with(|_, now| now) + time::Duration::days(400)).year().to_string();
    assert!(response.headers()["date"].to_str().unwrap().contains(&expected));
    assert_eq!(response.headers()["content-type"], "application/json");
    let refused = get(&handle, "/api/orders").header("accept", "text/html").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.content_length()), (406, Some(0)));
}

#[tokio::test]
async fn the_control_port_shows_the_truth_and_takes_faults() {
    let handle = start();
    json_of(post(&handle, "/api/orders", &order_body("water", WATER, 5))).await;
    let control = format!("http://{}", handle.control_addr);
    let http = client();
    let truth: Truth = http.get(format!("{control}/truth")).send().await.unwrap().json().await.unwrap();
    assert_eq!(truth, handle.truth());
    let summary: Summary =
        http.get(format!("{control}/truth/summary")).send().await.unwrap().json().await.unwrap();
    assert_eq!(summary.orders["READY"], 1);

    let plan = r#"{"rules":[{"fault":"error_before","status":503}]}"#;
    let set = http.post(format!("{control}/faults")).header("content-type", "application/json").body(plan);
    assert_eq!(set.send().await.unwrap().status(), 200);
    assert_eq!(get(&handle, "/api/orders").send().await.unwrap().status(), 503);
    let report: FaultReport =
        http.get(format!("{control}/faults")).send().await.unwrap().json().await.unwrap();
    assert_eq!(report.struck[&Fault::ErrorBefore], 1);
    let bad =
        http.post(format!("{control}/faults")).header("content-type", "application/json").body(r#"{"x":1}"#);
    assert_eq!(bad.send().await.unwrap().status(), 422);
    assert_eq!(handle.fault_report().plan.rules.len(), 1, "a bad plan changes nothing");
}

#[tokio::test]
async fn after_a_shutdown_the_same_system_comes_back_at_the_same_address() {
    let handle = start();
    json_of(post(&handle, "/api/orders", &order_body("water", WATER, 5))).await;
    let listen = Listen { api: handle.api_addr, control: handle.control_addr };
    let request = get(&handle, "/api/orders").build().unwrap();
    let model = handle.shutdown();
    assert!(client().execute(request).await.is_err_and(|error| error.is_connect()));
    let handle = upstream::spawn_at(model, listen).unwrap();
    assert_eq!(json_of(get(&handle, "/api/orders")).await["orderInfos"].as_array().unwrap().len(), 1);
}
