//! Rows 5 and 6 of the contract: application reports.

mod xtrace_help;

use serde_json::json;
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::layout::GS;
use tamga_simulators::model::xtrace::settings::Settings;
use time::Duration;
use xtrace_help::*;

#[test]
fn a_report_is_in_process_then_applies_all_codes() {
    let mut settings = Settings::uz();
    settings.delays.introduced_ms = Some(60_000);
    let mut world = World::new(settings);
    let codes = world.codes("water", WATER, 3);
    let body = world.report_body(&codes);
    let id = text(&world.good_post("/api/utilisation?productGroup=water", &body)["reportId"]);
    let status = |world: &mut World| text(&world.good(&format!("/api/utilisation/{id}"))["reportStatus"]);
    assert_eq!(status(&mut world), "IN_PROCESS");
    assert_eq!(world.status_of(&identity(&codes[0])), "RECEIVED");
    world.wait(1_000);
    assert_eq!(status(&mut world), "SUCCESS");
    assert_eq!(world.status_of(&identity(&codes[0])), "APPLIED");
    // The report is found by search, as a document of type UTILISATION, with its codes.
    let found =
        world.good("/public/api/v1/doc/storage/docs/search?types=UTILISATION&dateFrom=2026-02-01T08:00:00Z");
    assert_eq!(found["documentInfos"][0]["documentId"], json!(id));
    assert_eq!(world.good(&format!("/public/api/v1/doc/storage/json/{id}")), body);
    world.wait(60_000);
    assert_eq!(world.status_of(&identity(&codes[2])), "INTRODUCED");
    assert!(world.model.truth(world.now).codes.iter().all(|code| code.applied_by.as_ref() == Some(&id)));
}

#[test]
fn one_bad_code_refuses_the_whole_report() {
    let mut world = World::at_once();
    let good = world.codes("water", WATER, 5);
    let other = world.codes("beer", BEER, 1).remove(0);
    let applied = world.codes("water", WATER, 1).remove(0);
    let body = world.report_body(std::slice::from_ref(&applied));
    world.report("water", &body);
    let wrong_tail = format!("{}x", &good[4][..good[4].len() - 1]);
    for (bad, reason) in [
        (applied, "code-wrong-status"),
        (other, "code-wrong-product-group"),
        (identity(&good[4]), "code-malformed"),
        (good[4].replace(GS, ""), "code-malformed"),
        (wrong_tail, "code-verification-failed"),
        (format!("{}A", &good[4]), "code-verification-failed"),
        (good[4].replacen("0478", "0479", 1), "code-not-found"),
        (good[0].clone(), "code-repeated"),
    ] {
        let mut codes = good[..4].to_vec();
        codes.push(bad.clone());
        let body = world.report_body(&codes);
        let (status, why) = world.report("water", &body);
        assert_eq!((status.as_str(), why.split(':').next().unwrap()), ("ERROR", reason), "{bad:?}");
    }
    let truth = world.model.summary(world.now);
    assert_eq!(truth.codes[&CodeStatus::Received], 6, "nothing was applied: {truth:?}");
}

#[test]
fn a_refused_report_names_its_codes() {
    let mut world = World::at_once();
    let mut codes = world.codes("water", WATER, 2);
    codes[1] = codes[1].replacen("0478", "0479", 1);
    let body = world.report_body(&codes);
    let id = text(&world.good_post("/api/utilisation?productGroup=water", &body)["reportId"]);
    let errors = world.good(&format!("/public/api/v1/doc/storage/errors/{id}"));
    assert_eq!(
        errors["documentErrors"],
        json!([{ "propertyName": "sntins", "index": 1, "errorCode": "code-not-found", "errorTags": { "code": codes[1] } }])
    );
    let states = world.good(&format!("/public/api/v1/doc/storage/docs/{id}/codes"));
    assert_eq!(states[0], json!({ "code": codes[0], "state": "ERROR", "errorCode": "report-refused" }));
    assert_eq!(states[1]["errorCode"], "code-not-found");
}

#[test]
fn production_not_past_by_the_servers_clock_answers_400() {
    let mut world = World::at_once();
    let codes = world.codes("water", WATER, 1);
    let mut body = world.report_body(&codes);
    body["productionDate"] = json!(iso(world.now));
    let target = "/api/utilisation?productGroup=water";
    assert_eq!(world.post(target, &body), bad_parameter("productionDate"));
    body["productionDate"] = json!(iso(world.now - Duration::milliseconds(1)));
    world.good_post(target, &body);
}

#[test]
fn an_ill_formed_report_answers_400() {
    let mut world = World::at_once();
    let codes = world.codes("pharma", PHARMA, 1);
    let mut good = world.report_body(&codes);
    good["seriesNumber"] = json!("LOT-1");
    let now = iso(world.now);
    let mut check = |target: &str, change: &dyn Fn(&mut serde_json::Value), parameter: &str| {
        let mut body = good.clone();
        change(&mut body);
        let (status, answer) = world.post(target, &body);
        assert_eq!((status, &answer[0]["context"]["parameter"]), (400, &json!(parameter)));
    };
    let target = "/api/utilisation?productGroup=pharma";
    check("/api/utilisation", &|_| {}, "productGroup");
    check(target, &|body| body["productGroup"] = json!("pharma"), "productGroup");
    check(target, &|body| body["series"] = body["seriesNumber"].take(), "series");
    check(target, &|body| body["seriesNumber"] = json!(null), "seriesNumber");
    check(target, &|body| body["seriesNumber"] = json!("123456789012345678901"), "seriesNumber");
    check(target, &|body| body["expirationDate"] = json!(now), "expirationDate");
    check(target, &|body| body["expirationDate"] = json!("2027-01-30"), "expirationDate");
    check(target, &|body| body["productionDate"] = json!(null), "productionDate");
    check(target, &|body| body["businessPlaceId"] = json!("123"), "businessPlaceId");
    check(target, &|body| body["releaseType"] = json!("TAKE_OVER"), "releaseType");
    check(target, &|body| body["sntins"] = json!([]), "sntins");
    check(target, &|body| body["sntins"] = json!(vec!["x"; 30_001]), "sntins");
    assert_eq!(world.report("pharma", &good).0, "SUCCESS");
}

#[test]
fn appliances_need_no_dates() {
    let mut world = World::at_once();
    let codes = world.codes("appliances", APPLIANCES, 1);
    let body = json!({ "sntins": codes, "businessPlaceId": 1, "releaseType": "PRODUCTION" });
    assert_eq!(world.report("appliances", &body).0, "SUCCESS");
}

#[test]
fn a_report_of_the_largest_size_is_taken() {
    let mut world = World::at_once();
    let codes = world.codes("pharma", PHARMA, 30_000);
    let mut body = world.report_body(&codes);
    body["seriesNumber"] = json!("LOT-1");
    assert_eq!(world.report("pharma", &body).0, "SUCCESS");
}
