//! What each path answers.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tamga::web::routes;

use crate::world::{GTIN, KNOWN, TAIL, World};

const DESCRIPTION: &str = include_str!("../../agent/src/web/openapi.json");

/// Method and path of every operation in a description.
fn operations(description: &Value) -> BTreeSet<(String, String)> {
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|m| (m, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let described = operations(&serde_json::from_str(DESCRIPTION).unwrap());
    let routes: BTreeSet<_> = routes().iter().map(|r| (r.method.to_owned(), r.path.to_owned())).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_described_path_answers() {
    let world = World::new();
    let (status, description) = world.get("/api/v1/openapi.json");
    assert_eq!((status, &description["openapi"]), (200, &json!("3.1.0")));
    for (method, path) in operations(&description) {
        let path = path.replace("{line}", "line1").replace("{run}", "1").replace("{device}", "p1");
        let path = path.replace("{station}", "box1");
        let (status, body) = if method == "get" { world.get(&path) } else { world.post(&path, json!({})) };
        assert!(status != 404 && status != 405 && status < 500, "{method} {path}: {status} {body}");
    }
}

/// Every `$ref` of the description leads somewhere.
#[test]
fn the_description_is_whole() {
    fn refs(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|v| refs(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| refs(v, found)),
            _ => {}
        }
    }
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let mut found = Vec::new();
    refs(&description, &mut found);
    assert!(found.len() > 20);
    for target in found {
        assert!(description.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

#[test]
fn a_run_goes_from_start_to_close() {
    let world = World::new();
    let (status, body) = world.start();
    assert_eq!((status, &body["opened"]), (201, &json!({"run": 1, "key": "k"})));
    assert_eq!(world.start().0, 201, "the same key again opens no second run");
    let (_, seen) = world.get("/api/v1/status");
    assert_eq!(seen["lines"][0]["run"]["plan"]["batch"], "A-17");
    assert_eq!(seen["lines"][0]["run"]["plan"]["group"], "water");
    for what in ["stop", "resume"] {
        let path = format!("/api/v1/lines/line1/run/{what}");
        assert_eq!(world.post(&path, json!({})), (200, json!("done")), "{what}");
    }
    let path = "/api/v1/lines/line1/run/close";
    let (status, body) = world.post(path, json!({"clear": false}));
    assert_eq!((status, &body["closing"]["unseen"]), (202, &json!(2)));
    assert_eq!(world.post(path, json!({"clear": true})).0, 202);
    assert_eq!(world.get("/api/v1/status").1["lines"][0]["run"], Value::Null);
}

#[test]
fn a_refusal_of_the_line_says_why_in_the_callers_language() {
    let world = World::new();
    let path = "/api/v1/lines/line1/run/stop";
    let of = |language: &str| {
        let (status, text) =
            world.send(world.request(Method::POST, path).header("accept-language", language));
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, english) = of("en");
    assert_eq!((status, &english["error"]), (409, &json!("no_run")));
    assert!(english["text"].as_str().unwrap().contains("no open run"), "{english}");
    let (_, russian) = of("ru-RU,ru;q=0.9");
    assert_eq!(russian["error"], "no_run");
    assert_ne!(russian["text"], english["text"]);
    world.start();
    let (_, body) = world.post("/api/v1/lines/line1/run", json!({"gtin": GTIN, "batch": "B", "key": "z"}));
    assert_eq!(body["args"]["run"], "1");
    assert!(body["text"].as_str().unwrap().contains("Run 1"), "{body}");
}

#[test]
fn bad_requests_are_refused_by_name_and_reach_no_line() {
    let world = World::new();
    let run = "/api/v1/lines/line1/run";
    let good = |field: &str, value: Value| {
        let mut body = json!({"gtin": GTIN, "batch": "A"});
        body[field] = value;
        body
    };
    for (path, body, status, error) in [
        (run, json!({}), 400, "http.bad_body"),
        (run, json!([]), 400, "http.bad_body"),
        (run, good("colour", json!(1)), 400, "http.bad_body"),
        (run, good("quantity", json!(-1)), 400, "http.bad_body"),
        (run, good("gtin", json!("4600000000015")), 400, "http.bad_gtin"),
        (run, good("gtin", json!("04600000000022")), 400, "http.no_product"),
        (run, good("group", json!("milk")), 400, "http.other_group"),
        (run, good("batch", json!(" ")), 400, "http.bad_field"),
        (run, good("batch", json!(" B-17")), 400, "http.batch_blanks"),
        (run, good("batch", json!("B-17\t")), 400, "http.batch_blanks"),
        (run, good("batch", json!("B  17")), 400, "http.batch_blanks"),
        (run, good("batch", json!("123456789012345678901")), 400, "http.batch_long"),
        (run, good("production", json!("yesterday")), 400, "http.bad_date"),
        (run, good("expiry", json!("2001-01-01")), 400, "http.expiry_before_production"),
        ("/api/v1/lines/none/run/stop", json!({}), 404, "http.no_line"),
        ("/api/v1/lines/line1/test-print", json!({"printer": "p9"}), 404, "http.no_printer"),
        ("/api/v1/alarms/acknowledge", json!({"line": "line1", "key": "x"}), 404, "http.no_alarm"),
        ("/api/v1/orders/assign", json!({"order": "", "gtin": GTIN}), 400, "http.bad_field"),
        ("/api/v1/orders/assign", json!({"order": "a b", "gtin": GTIN}), 400, "http.bad_field"),
        ("/api/v1/orders/assign", json!({"order": "x", "gtin": "4600000000015"}), 400, "http.bad_gtin"),
        ("/api/v1/orders/assign", json!({"order": "x", "gtin": "04600000000022"}), 400, "http.no_product"),
        ("/api/v1/trace/x9", json!({"level": "off"}), 404, "http.no_device"),
        ("/api/v1/trace/p1", json!({"level": "all"}), 400, "http.bad_field"),
        ("/api/v1/codes/show", json!({}), 400, "http.one_scan"),
        ("/api/v1/codes/show", json!({"scan": "01", "scan_base64": "MDE="}), 400, "http.one_scan"),
        ("/api/v1/codes/show", json!({"scan_base64": "*"}), 400, "http.bad_base64"),
        ("/api/v1/codes/show", json!({"scan": ""}), 400, "http.bad_scan"),
        ("/api/v1/codes/show", json!({"scan": "01x"}), 404, "http.no_code"),
        ("/api/v1/codes/show", json!({"scan": "junk"}), 400, "http.bad_scan"),
        ("/api/v1/codes/declare", json!({"scan": "01A7bQ", "as": "eaten"}), 400, "http.bad_field"),
        ("/api/v1/codes/import", json!({}), 400, "http.bad_field"),
    ] {
        let (got, said) = world.post(path, body.clone());
        assert_eq!((got, said["error"].as_str()), (status, Some(error)), "{path} {body}: {said}");
        let text = said["text"].as_str().unwrap();
        assert!(text.len() > error.len() && !text.contains('{') || error == "http.bad_body", "{said}");
    }
    let not_json = world.request(Method::POST, run).body("gtin=1");
    assert_eq!(world.send(not_json).0, 415);
    let large = json!({"gtin": GTIN, "batch": "x".repeat(100_000)});
    assert_eq!(world.post(run, large).0, 413);
    assert_eq!(world.get("/api/v1/runs?limit=x").0, 400);
    assert_eq!(world.get("/api/v1/runs/77/sheet").0, 404);
    assert_eq!(world.get("/api/v1/runs/x/sheet").0, 404);
    assert_eq!(world.get("/api/v1/lines/line1/run/stop").0, 405);
    assert!(world.asked.lock().unwrap().is_empty());
}

#[test]
fn a_scan_is_known_in_each_spelling_and_its_tail_never_comes_out() {
    let world = World::new();
    let base64 = tamga::web::scan::to_base64(KNOWN.replace("<GS>", "\u{1d}").as_bytes());
    for body in [
        json!({"scan": KNOWN}),
        json!({"scan": KNOWN.replace("<GS>", "\u{1d}")}),
        json!({"scan": KNOWN.replace("<GS>", "\\x1d")}),
        json!({"scan_base64": base64}),
    ] {
        let (status, story) = world.post("/api/v1/codes/show", body.clone());
        assert_eq!((status, &story["code"]["serial"]), (200, &json!("A7bQ")), "{body}");
        assert_eq!(story["tail_agrees"], true);
        assert_eq!(story["line"], "line1");
        assert!(!story.to_string().contains(TAIL));
    }
    let (status, _) = world.post("/api/v1/codes/declare", json!({"scan": KNOWN, "as": "passed"}));
    assert_eq!(status, 200);
    assert!(world.asked.lock().unwrap()[0].contains("Declare"));
    let audit = format!("{:?}", world.records.audit.lock().unwrap());
    assert!(audit.contains("(21)A7bQ as=passed") && !audit.contains(TAIL), "{audit}");
}

#[test]
fn a_list_is_taken_in_slices_and_told_as_it_goes() {
    let world = World::new();
    let mut list = String::new();
    for n in 0..25_000 {
        list.push_str(&format!("010460000000001521S{n:05}\u{1d}93T{n:03}\r\n"));
    }
    list.push_str("\nbad line\n010460000000001521last");
    let request = world.request(Method::POST, "/api/v1/codes/import?roll=118&group=water").body(list);
    let (status, text) = world.send(request);
    assert_eq!(status, 200);
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.len() > 250, "{}", told.len());
    let last = told.last().unwrap();
    assert_eq!((&last["taken"], &last["refused"], &last["done"]), (&json!(25_001), &json!(1), &json!(true)));
    assert_eq!(last["lines"], 25_003);
    let refusals: Vec<&Value> = told.iter().flat_map(|t| t["refusals"].as_array().unwrap()).collect();
    assert_eq!((refusals.len(), &refusals[0]["line"]), (1, &json!(25_002)));
    let imported = world.records.imported.lock().unwrap();
    assert_eq!(imported[0], (1, b"010460000000001521S00000\x1d93T000".to_vec()));
    assert_eq!(imported.last().unwrap(), &(25_003, b"010460000000001521last".to_vec()));
    let audit = world.records.audit.lock().unwrap();
    let ends = audit.iter().find(|e| e.command.contains("import ends")).unwrap();
    assert_eq!(ends.outcome, "200 taken=25001 refused=1");
}

#[test]
fn a_list_that_is_none_ends_with_its_reason() {
    let world = World::new();
    let body = format!("01good\n{}\n", "x".repeat(200_000));
    let request = world.request(Method::POST, "/api/v1/codes/import?roll=118&group=water").body(body);
    let (status, text) = world.send(request);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((status, &last["failure"]["error"]), (200, &json!("http.long_line")));
}

#[test]
fn the_sheet_shows_whether_its_balances_hold() {
    let world = World::new();
    let (_, sheet) = world.get("/api/v1/runs/1/sheet");
    assert_eq!(sheet["balanced"], true, "{sheet}");
    *world.records.unbalanced.lock().unwrap() = true;
    let (_, sheet) = world.get("/api/v1/runs/1/sheet");
    assert_eq!((&sheet["balanced"], &sheet["items"]["balanced"]), (&json!(false), &json!(false)));
}

#[test]
fn an_order_of_the_cabinet_is_assigned_once_and_named_to_the_upstream_task() {
    let world = World::new();
    let id = "2F0C7A9E-5a2b-4c7d-9d53-1c1f0e6b7a11";
    let body = json!({"order": id, "gtin": GTIN});
    assert_eq!(world.post("/api/v1/orders/assign", body.clone()), (201, json!({"order": 0})));
    let plan = world.assigned.lock().unwrap().try_recv().unwrap();
    assert_eq!(
        plan.upstream_id.as_deref(),
        Some(id.to_lowercase().as_str()),
        "upstream compares in lower case"
    );
    assert_eq!((plan.group.as_str(), plan.quantity), ("water", 0));
    let (status, said) = world.post("/api/v1/orders/assign", body);
    assert_eq!((status, said["error"].as_str()), (409, Some("http.order_known")));
    assert!(world.assigned.lock().unwrap().try_recv().is_err());
    let (_, orders) = world.get("/api/v1/orders?limit=5");
    assert_eq!(orders.as_array().unwrap().len(), 1);
    assert_eq!((&orders[0]["state"]["key"], &orders[0]["why"]), (&json!("refused"), &json!("it is closed")));
    assert_eq!(orders[0]["number"], format!("cabinet:{}:{GTIN}", id.to_lowercase()));
    assert_eq!(world.get("/api/v1/orders?before=0").1, json!([]));
    let audit = format!("{:?}", world.records.audit.lock().unwrap());
    assert!(
        audit.contains("orders/assign order=2F0C7A9E") && audit.contains("409 http.order_known"),
        "{audit}"
    );
}

#[test]
fn a_run_declares_days_of_the_plant() {
    let world = World::new();
    let mut body = json!({"gtin": GTIN, "batch": "A", "production": "2026-11-21T19:30:00Z"});
    body["expiry"] = json!("2027-11-22");
    let (status, _) = world.post("/api/v1/lines/line1/run", body);
    assert_eq!(status, 201);
    // Half past midnight in the plant.
    let plan = &world.get("/api/v1/status").1["lines"][0]["run"]["plan"];
    assert_eq!((&plan["production"], &plan["expiry"]), (&json!("2026-11-22"), &json!("2027-11-22")));
}

#[test]
fn today_is_by_the_state_systems_clock_where_ours_is_known_to_be_off() {
    let started = |ahead_ms: i64| {
        let world = World::new();
        world.upstream.send_modify(|status| status.clock_ahead_ms = Some(ahead_ms));
        assert_eq!(world.post("/api/v1/lines/line1/run", json!({"gtin": GTIN, "batch": "A"})).0, 201);
        let plan = &world.get("/api/v1/status").1["lines"][0]["run"]["plan"];
        tamga_domain::day::Day::parse(plan["production"].as_str().unwrap()).unwrap().0
    };
    let today = started(100_000);
    let in_ten_days = started(10 * 86_400_000);
    // Midnight may lie between the two.
    assert!((10..=11).contains(&(in_ten_days - today)), "{today} {in_ten_days}");
}

#[test]
fn a_day_before_the_codes_were_ordered_is_refused_unless_a_person_insists() {
    let world = World::new();
    // 2026-11-22T00:30:00+05:00
    *world.records.oldest_order.lock().unwrap() = Some(tamga_domain::time::Wall(1_795_289_400_000));
    let run = "/api/v1/lines/line1/run";
    let of = |day: &str| json!({"gtin": GTIN, "batch": "A", "production": day});
    let (status, said) = world.post(run, of("2026-11-21"));
    assert_eq!((status, said["error"].as_str()), (409, Some("http.production_before_order")));
    let text = said["text"].as_str().unwrap();
    assert!(text.contains("2026-11-21") && text.contains("2026-11-22"), "{text}");
    assert!(world.asked.lock().unwrap().is_empty());
    let mut insisted = of("2026-11-21");
    insisted["before_order"] = json!(true);
    assert_eq!(world.post(run, insisted).0, 201);
    let world = World::new();
    *world.records.oldest_order.lock().unwrap() = Some(tamga_domain::time::Wall(1_795_289_400_000));
    assert_eq!(world.post(run, of("2026-11-22")).0, 201, "ordered in the night of that very day");
}
