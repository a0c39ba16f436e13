//! Rows 9 to 11 and 13 of the contract: access, limits, lookups.

mod xtrace_help;

use serde_json::json;
use tamga_simulators::model::xtrace::route::Request;
use tamga_simulators::model::xtrace::settings::{Account, ErrorShapes, Settings};
use xtrace_help::*;

fn header<'a>(reply: &'a tamga_simulators::model::xtrace::Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
}

/// Two parties with the keys `uz-key` and `other-key`.
fn two_parties() -> World {
    let mut settings = Settings::uz().at_once();
    settings.limits.calls_per_min_max = 1_000;
    settings.accounts.push(Account {
        tin: "302222222".into(),
        name: "Another".into(),
        api_key: "other-key".into(),
        login: "other".into(),
        password: "other".into(),
    });
    World::new(settings)
}

#[test]
fn uz_takes_an_api_key_and_nothing_else() {
    let mut world = World::at_once();
    world.good("/api/orders");
    for key in ["", "wrong"] {
        world.key = key.to_owned();
        assert_eq!(world.get("/api/orders"), (401, json!([{ "code": "unauthorized" }])));
    }
    let login = json!({ "login": "demo", "password": "demo" });
    assert_eq!(world.post("/api/users/authenticate", &login).0, 404);
}

#[test]
fn a_new_api_key_kills_the_old_one() {
    let mut world = World::at_once();
    let base = "/public/api/v1/party/parties/301234567/api-keys";
    assert_eq!(world.good(&format!("{base}/check"))["isTinCorrect"], true);
    let key = text(&world.good_post(&format!("{base}/refresh"), &json!(null))["apiKey"]);
    assert_eq!(world.get("/api/orders").0, 401);
    world.key = key;
    world.good("/api/orders");
}

#[test]
fn kz_tokens_live_thirty_minutes_and_are_refreshed() {
    let mut world = World::new(Settings::kz());
    let wrong = json!({ "login": "demo", "password": "wrong" });
    let refused = (401, json!([{ "code": "user-incorrect-login-or-password" }]));
    assert_eq!(world.post("/api/users/authenticate", &wrong), refused);
    let grant = world.good_post("/api/users/authenticate", &json!({ "login": "demo", "password": "demo" }));
    assert_eq!(grant["accessTokenType"], "BEARER");
    assert_eq!(grant["accessTokenExpiresIn"], json!("1800000"), "a string of milliseconds");
    world.key = text(&grant["accessToken"]);
    world.wait(1_799_999);
    world.good("/api/orders?productGroup=water");
    world.wait(1);
    let inactive = (401, json!({ "code": "unauthorized", "context": { "_cause": "inactive-token" } }));
    assert_eq!(world.get("/api/orders?productGroup=water"), inactive);

    let form = format!("refreshToken={}", text(&grant["refreshToken"]));
    let refresh = Request::new("POST", "/api/users/tokens/refresh", "").with_body(form);
    let reply = world.send(&refresh);
    world.key = text(&read(&reply)["accessToken"]);
    world.good("/api/orders?productGroup=water");
    assert_eq!(world.send(&refresh).status, 401, "a refresh token is used once");
}

#[test]
fn kz_orders_are_listed_by_product_group_only() {
    let mut world = World::new(Settings::kz());
    let grant = world.good_post("/api/users/authenticate", &json!({ "login": "demo", "password": "demo" }));
    world.key = text(&grant["accessToken"]);
    assert_eq!(world.get("/api/orders"), bad_parameter("productGroup"));
}

#[test]
fn accept_that_does_not_cover_json_answers_406_with_an_empty_body() {
    let mut world = World::at_once();
    let mut request =
        Request::new("POST", "/api/orders", "uz-key").with_body(order_body("water", WATER, 1).to_string());
    request.accept = Some("text/html".to_owned());
    let reply = world.send(&request);
    assert_eq!((reply.status, reply.body.len()), (406, 0));
    assert_eq!(world.good("/api/orders"), json!({ "orderInfos": [] }), "nothing was done");
}

#[test]
fn the_call_above_the_limit_answers_429_with_retry_after() {
    let mut world = World::new(Settings::uz());
    for _ in 0..100 {
        world.good("/api/orders");
        world.wait(100);
    }
    let reply = world.send(&Request::new("GET", "/api/orders", "uz-key"));
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("50")));
    // Lookups are not counted among orders and reports.
    let lookup = json!({ "codes": ["01047800000000142100000"] });
    world.good_post("/public/api/cod/public/codes", &lookup);
    world.wait(50_000);
    world.good("/api/orders");
}

#[test]
fn wrong_paths_and_methods_answer_404_and_405() {
    let mut world = World::at_once();
    assert_eq!(world.get("/api/v3/orders").0, 404);
    assert_eq!(world.get("/api/order/close").0, 405);
    assert_eq!(world.post("/api/codes", &json!({})).0, 405);
}

#[test]
fn error_bodies_come_in_every_shape() {
    let mut settings = Settings::uz();
    settings.error_shapes = ErrorShapes::Random;
    let mut world = World::new(settings);
    let starts: std::collections::BTreeSet<char> = (0..50)
        .filter_map(|_| {
            let reply = world.send(&Request::new("GET", "/api/codes", "uz-key"));
            assert_eq!(reply.status, 400);
            String::from_utf8(reply.body).unwrap().chars().next()
        })
        .collect();
    assert_eq!(starts, ['[', '{', '<'].into());
}

#[test]
fn every_answer_carries_the_servers_date() {
    let mut world = World::at_once();
    let reply = world.send(&Request::new("GET", "/api/orders", "uz-key"));
    assert_eq!(header(&reply, "date"), Some("Sun, 01 Feb 2026 08:00:00 GMT"));
}

#[test]
fn the_public_lookup_answers_a_bare_array_without_what_is_missing() {
    let mut world = World::at_once();
    let full = world.codes("water", WATER, 1).remove(0);
    let code = identity(&full);
    let missing = code.replacen("0478", "0479", 1);
    let ask = json!({ "codes": [missing, code, full] });
    let answer = world.good_post("/public/api/cod/public/codes", &ask);
    assert_eq!(answer.as_array().unwrap().len(), 1, "a code with its tail is not found");
    assert_eq!((&answer[0]["code"], &answer[0]["status"]), (&json!(code), &json!("RECEIVED")));
    for bad in [json!(["short"]), json!(["Я1047800000000142100000"]), json!([]), json!(vec![&code; 1_001])] {
        assert_eq!(
            world.post("/public/api/cod/public/codes", &json!({ "codes": bad })),
            bad_parameter("codes")
        );
    }
}

#[test]
fn the_private_lookup_answers_an_object_and_307_to_those_who_are_not_the_owner() {
    let mut world = two_parties();
    let ours = identity(&world.codes("water", WATER, 1)[0]);
    world.key = "other-key".to_owned();
    let theirs = identity(&world.codes("water", WATER, 1)[0]);
    let missing = ours.replacen("0478", "0479", 1);
    let target = "/public/api/cod/private/codes";

    let answer = world.good_post(target, &json!({ "codes": [ours, theirs, missing] }));
    assert_eq!(answer["results"][0]["codeData"]["code"], json!(theirs));
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    assert_eq!((&answer["forbiddenCodes"], &answer["missingCodes"]), (&json!([ours]), &json!([missing])));
    let body = json!({ "codes": [ours] }).to_string();
    let reply = world.send(&Request::new("POST", target, "other-key").with_body(body));
    assert_eq!((reply.status, header(&reply, "location")), (307, Some("/public/api/cod/public/codes")));
}

#[test]
fn parties_do_not_see_each_others_orders_reports_and_codes() {
    let mut world = two_parties();
    let codes = world.codes("water", WATER, 1);
    let body = world.report_body(&codes);
    world.key = "other-key".to_owned();
    assert_eq!(world.good("/api/orders"), json!({ "orderInfos": [] }));
    let (status, reason) = world.report("water", &body);
    assert_eq!((status.as_str(), reason.as_str()), ("ERROR", "code-not-found: 1 of 1 codes"));
}
