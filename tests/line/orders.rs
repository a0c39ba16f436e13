//! Orders during a run: made while it goes, their codes reported and accepted, and closed when they are used up.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::xtrace::codes::CodeStatus;

use crate::shift::{Shift, produce};
use crate::world::operator::Operator;
use crate::world::{API_KEY, GTIN, World, scratch, until};

/// The simulated state system refuses a report whose moment of production is not after the order of each of its codes:
/// the moment of the run's start would be before that of most orders here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_ordered_during_the_run_are_reported_and_accepted_and_used_up_orders_are_closed() {
    let mut shift = Shift::of(Kind::PrintAndApply, "orders during the run");
    shift.items = 160;
    (shift.wanted.order, shift.wanted.low_water, shift.wanted.pull) = (50, 60, 25);
    let dir = scratch("line-orders-during-the-run");
    let world = World::build(&shift.wanted, &dir).await;
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    let problems = produce(&shift, &world, &operator).await;
    assert!(problems.is_empty(), "{problems:?}");

    let truth = world.upstream.truth();
    let applied = |order: &str| {
        truth.codes.iter().filter(|c| c.order_id == order && c.status == CodeStatus::Applied).count()
    };
    let with_codes: Vec<&str> =
        truth.orders.iter().map(|o| o.order_id.as_str()).filter(|o| applied(o) > 0).collect();
    // Two are made before the start, since the pool is to have sixty.
    assert!(with_codes.len() >= 3, "{with_codes:?}");
    let reports: Vec<&str> =
        truth.documents.iter().filter(|d| d.kind == "UTILISATION").map(|d| d.status.as_str()).collect();
    assert!(reports.len() >= 2 && reports.iter().all(|s| *s == "SUCCESS"), "{reports:?}");

    // Nothing needs the first order any more.
    let first = with_codes[0].to_owned();
    until("the first order to be closed", Duration::from_secs(60), async || {
        let orders = operator.call(Method::GET, "/api/v1/orders", None).await.ok()?;
        let closed = |o: &&Value| o["upstream_id"] == first.as_str() && o["state"]["key"] == "closed";
        orders.as_array()?.iter().find(closed).map(|_| ())
    })
    .await;
    let truth = world.upstream.truth();
    let order = truth.orders.iter().find(|o| o.order_id == first).unwrap();
    assert_eq!((order.status.as_str(), order.lines[0].annulled), ("CLOSED", 0));
    for order in truth.orders.iter().filter(|o| o.status == "CLOSED") {
        assert_eq!(order.lines[0].annulled, 0, "no paid code is lost: {order:?}");
    }
    agent.stop().await;
    let World { plant, upstream, .. } = world;
    plant.shutdown().await;
    tokio::task::spawn_blocking(move || drop(upstream)).await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

/// An order that a person makes in the cabinet; its id. `taken`: codes that are taken out of it at once.
async fn made_in_the_cabinet(world: &World, quantity: u32, taken: u32) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}", world.upstream.api_addr);
    let call = async |request: reqwest::RequestBuilder| -> Value {
        let answer = request.bearer_auth(API_KEY).header("Accept", "*/*").send().await.unwrap();
        answer.json().await.unwrap_or(Value::Null)
    };
    let product =
        json!({ "gtin": GTIN, "quantity": quantity, "serialNumberType": "OPERATOR", "cisType": "UNIT" });
    let order = json!({ "productGroup": "water", "products": [product], "businessPlaceId": 1,
        "releaseMethodType": "PRIMARY", "poNumber": "BY-HAND", "isPaid": true });
    let made = call(http.post(format!("{base}/api/orders")).json(&order)).await;
    let id = made["orderId"].as_str().unwrap().to_owned();
    if taken > 0 {
        let codes = format!("{base}/api/codes?orderId={id}&gtin={GTIN}&quantity={taken}");
        until("codes of the order by hand", Duration::from_secs(20), async || {
            call(http.get(&codes)).await["codes"].as_array().map(|_| ())
        })
        .await;
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_the_cabinet_is_taken_once_a_person_assigns_it_and_not_if_others_took_of_it() {
    // A line that orders nothing by itself.
    let shift = Shift::of(Kind::PrePrinted, "assigned orders");
    let dir = scratch("line-assigned-orders");
    let world = World::build(&shift.wanted, &dir).await;
    let (ours, others) =
        (made_in_the_cabinet(&world, 120, 0).await, made_in_the_cabinet(&world, 120, 5).await);
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    let assign = async |id: &str| {
        let body = json!({ "order": id, "gtin": GTIN });
        operator.call(Method::POST, "/api/v1/orders/assign", Some(body)).await
    };
    until("the agent's API", Duration::from_secs(20), async || operator.status().await).await;
    assert_eq!(
        operator.call(Method::GET, "/api/v1/orders", None).await.unwrap(),
        json!([]),
        "nothing by itself"
    );
    for id in [&ours, &others] {
        assign(id).await.unwrap();
    }
    assert_eq!(assign(&ours).await.unwrap_err().body["error"], "http.order_known");
    let orders = until("the orders to be looked at", Duration::from_secs(60), async || {
        let orders = operator.call(Method::GET, "/api/v1/orders", None).await.ok()?;
        let of = |id: &str| orders.as_array()?.iter().find(|o| o["upstream_id"] == id).cloned();
        let (ours, others) = (of(&ours)?, of(&others)?);
        let settled = ours["received"].as_u64()? >= 50 && others["state"]["key"] == "refused";
        settled.then_some((ours, others))
    })
    .await;
    assert_eq!(orders.0["quantity"], 120, "as upstream tells");
    assert!(orders.0["ordered"].is_string() && orders.0["expires"].is_string(), "{}", orders.0);
    assert_eq!(
        (&orders.1["received"], &orders.1["why"]),
        (&json!(0), &json!("5 codes of it were taken elsewhere"))
    );
    agent.stop().await;
    let World { plant, upstream, .. } = world;
    plant.shutdown().await;
    tokio::task::spawn_blocking(move || drop(upstream)).await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}
