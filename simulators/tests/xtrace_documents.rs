//! Rows 7 and 8 of the contract: documents and what they do to codes.

mod xtrace_help;

use serde_json::{Value, json};
use tamga_simulators::model::xtrace::base64;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tamga_simulators::model::xtrace::route::Endpoint;
use tamga_simulators::model::xtrace::settings::Settings;
use xtrace_help::*;

const NONE: [String; 0] = [];

#[test]
fn aggregation_goes_created_validating_in_process_success() {
    let mut settings = Settings::uz();
    settings.limits.calls_per_min_max = 1_000;
    let mut world = World::new(settings);
    let items = world.applied("water", WATER, 6);
    let body = world.aggregation_body(&[(BOX, &items)]);
    let id = text(&world.good_post("/public/api/v1/doc/aggregation", &envelope(&body))["documentId"]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(text(&world.good(&format!("/public/api/v1/doc/storage/docs/{id}"))["status"]));
        world.wait(400);
    }
    assert_eq!(seen, ["CREATED", "VALIDATING", "IN_PROCESS", "SUCCESS"]);
    assert_eq!(world.good(&format!("/public/api/v1/doc/storage/json/{id}")), body);
    let states = world.good(&format!("/public/api/v1/doc/storage/docs/{id}/codes?limit=2&lastIndex=3"));
    assert_eq!(
        states,
        json!([{ "code": items[4], "state": "SUCCESS" }, { "code": items[5], "state": "SUCCESS" }])
    );
    let unit = world.good_post("/public/api/cod/private/codes", &json!({ "codes": [BOX, items[0]] }));
    assert_eq!(unit["results"][0]["packageData"]["children"], json!(items));
    assert_eq!(unit["results"][0]["packageData"]["packageType"], "BOX_LV_1");
    assert_eq!(unit["results"][1]["packageData"]["parentCode"], BOX);
}

#[test]
fn bad_children_are_named_and_their_unit_is_not_made() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 4);
    let received = world.codes("water", WATER, 2);
    let full =
        world.model.truth(world.now).codes.iter().find(|code| code.code == items[2]).unwrap().full.clone();
    let missing = items[0].replacen("0478", "0479", 1);
    for (bad, error) in [
        (missing, "code-not-found"),
        (full, "code-with-tail"),
        (identity(&received[0]), "code-wrong-status"),
        (items[0].clone(), "code-repeated"),
        (SECOND_BOX.to_owned(), "code-not-found"),
    ] {
        let children = vec![items[0].clone(), bad.clone()];
        let body = world.aggregation_body(&[(BOX, &children)]);
        let (id, status) = world.document("aggregation", &body);
        assert_eq!((status.as_str(), world.errors(&id)), ("ERROR", vec![error.to_owned()]), "{bad:?}");
    }
    assert_eq!(world.model.truth(world.now).boxes, []);
}

#[test]
fn good_units_are_made_beside_bad_ones() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 4);
    let received: Vec<String> = world.codes("water", WATER, 1).iter().map(|code| identity(code)).collect();
    let second = [&items[2..], &received[..]].concat();
    let body = world.aggregation_body(&[(BOX, &items[..2]), (SECOND_BOX, &second)]);
    let (id, status) = world.document("aggregation", &body);
    assert_eq!(status, "PARTIALLY_PROCESSED");
    let states = world.good(&format!("/public/api/v1/doc/storage/docs/{id}/codes"));
    let errors: Vec<&Value> = states.as_array().unwrap().iter().map(|code| &code["errorCode"]).collect();
    assert_eq!(
        errors,
        [
            &Value::Null,
            &Value::Null,
            &json!("unit-refused"),
            &json!("unit-refused"),
            &json!("code-wrong-status")
        ]
    );
    let errors = world.good(&format!("/public/api/v1/doc/storage/errors/{id}"));
    assert_eq!(errors["documentErrors"][0]["index"], 4, "the place among all codes of the document");
    let truth = world.model.truth(world.now);
    assert_eq!(truth.boxes.len(), 1);
    assert_eq!((truth.boxes[0].code.as_str(), &truth.boxes[0].children[..]), (BOX, &items[..2]));
}

#[test]
fn a_code_has_one_parent_at_a_time_until_disaggregation() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 2);
    let first = world.aggregation_body(&[(BOX, &items)]);
    let second = world.aggregation_body(&[(SECOND_BOX, &items)]);
    assert_eq!(world.document("aggregation", &first).1, "SUCCESS");
    let (id, status) = world.document("aggregation", &second);
    assert_eq!((status.as_str(), &world.errors(&id)[0][..]), ("ERROR", "code-already-aggregated"));
    let (id, _) = world.document("aggregation", &first);
    assert_eq!(world.errors(&id)[0], "unit-already-aggregated");

    let apart = json!({ "businessDatetime": iso(world.now), "codes": [BOX, SECOND_BOX] });
    let (id, status) = world.document("transport-code-disaggregation", &apart);
    assert_eq!(
        (status.as_str(), world.errors(&id)),
        ("PARTIALLY_PROCESSED", vec!["code-not-found".to_owned()])
    );
    assert_eq!(world.document("aggregation", &second).1, "SUCCESS");
}

#[test]
fn packs_nest_group_in_box_in_pallet() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 2);
    let groups = world.applied("water", WATER_GROUP, 1);
    let group = world.aggregation_body(&[(&groups[0], &items)]);
    assert_eq!(world.document("aggregation", &group).1, "SUCCESS");
    let carton = world.aggregation_body(&[(BOX, &groups)]);
    assert_eq!(world.document("aggregation", &carton).1, "SUCCESS");
    let pallet = world.aggregation_body(&[(SECOND_BOX, &[BOX.to_owned()])]);
    assert_eq!(world.document("aggregation", &pallet).1, "SUCCESS");
    let public =
        world.good_post("/public/api/cod/public/codes", &json!({ "codes": [SECOND_BOX, BOX, groups[0]] }));
    let types: Vec<&Value> = public.as_array().unwrap().iter().map(|info| &info["packageType"]).collect();
    assert_eq!(types, ["BOX_LV_2", "BOX_LV_1", "GROUP"]);
    // A unit inside another is not taken apart, and nothing is packed into itself.
    let apart = json!({ "businessDatetime": iso(world.now), "codes": [BOX] });
    let (id, status) = world.document("transport-code-disaggregation", &apart);
    assert_eq!((status.as_str(), &world.errors(&id)[0][..]), ("ERROR", "code-has-parent"));
}

#[test]
fn units_are_checked_for_code_count_and_capacity() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 2);
    let good = world.aggregation_body(&[(BOX, &items)]);
    for (field, value, error) in [
        ("unitSerialNumber", json!("00106141412345678909"), "unit-code-invalid"),
        ("unitSerialNumber", json!(items[0].replacen("0478", "0479", 1)), "code-not-found"),
        ("aggregationItemsCount", json!(3), "items-count-mismatch"),
        ("aggregationUnitCapacity", json!(1), "capacity-exceeded"),
    ] {
        let mut body = good.clone();
        body["aggregationUnits"][0][field] = value;
        let (id, status) = world.document("aggregation", &body);
        assert_eq!((status.as_str(), world.errors(&id)), ("ERROR", vec![error.to_owned()]));
    }
    let mut body = good.clone();
    body["documentDate"] = json!("2026-01-01T00:00:00Z");
    let (id, _) = world.document("aggregation", &body);
    assert_eq!(world.errors(&id)[0], "document-date-before-production");
}

#[test]
fn withdrawal_writes_off_applied_codes_and_whole_units_on_demand() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 5);
    let received = identity(&world.codes("water", WATER, 1)[0]);
    let body = world.aggregation_body(&[(BOX, &items[..2])]);
    world.document("aggregation", &body);
    let withdrawal = |codes: &[&str], children: bool| {
        json!({
            "businessPlaceId": 123,
            "childrenWriteOff": children,
            "codes": codes.iter().map(|code| json!({ "code": code })).collect::<Vec<_>>(),
            "withdrawalDate": "2026-02-01T08:00:00Z",
            "withdrawalReason": "DEFECT",
            "withdrawalType": "WRITE_OFF",
        })
    };
    let (id, status) =
        world.document("withdrawal", &withdrawal(&[&items[2], &received, &items[0], BOX], false));
    assert_eq!(status, "PARTIALLY_PROCESSED");
    assert_eq!(world.errors(&id), ["code-wrong-status", "code-has-parent", "unit-not-empty"]);
    assert_eq!(world.status_of(&items[2]), "WRITTEN_OFF");
    assert_eq!(world.document("withdrawal", &withdrawal(&[BOX], true)).1, "SUCCESS");
    assert_eq!(world.status_of(&items[0]), "WRITTEN_OFF");
    assert_eq!(world.status_of(&items[3]), "APPLIED");
    let (id, status) = world.document("withdrawal", &withdrawal(&[&items[2]], false));
    assert_eq!((status.as_str(), &world.errors(&id)[0][..]), ("ERROR", "code-wrong-status"));
}

#[test]
fn correction_and_print_quality_name_codes_they_do_not_know() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 1);
    let missing = items[0].replacen("0478", "0479", 1);
    let correction = json!({
        "businessDatetime": iso(world.now),
        "codes": [items[0], missing],
        "updatedFields": { "seriesNumber": " 123" },
    });
    assert_eq!(world.document("correction", &correction).1, "PARTIALLY_PROCESSED");
    let info = world.good_post("/public/api/cod/public/codes", &json!({ "codes": items }));
    assert_eq!(info[0]["productSeries"], " 123", "stored verbatim, as the real one does");
    assert!(info[0]["codeHistory"].is_null());
    let ask = json!({ "codes": items, "addCodeHistory": true });
    let info = world.good_post("/public/api/cod/public/codes", &ask);
    assert_eq!(info[0]["codeHistory"][0]["documentType"], "UTILISATION");
    let report = text(&info[0]["codeHistory"][0]["eventSourceId"]);
    assert_eq!(world.good(&format!("/api/utilisation/{report}"))["reportStatus"], "SUCCESS");
    let grades = json!({
        "businessPlaceId": 123,
        "codes": [{ "code": items[0], "printQualityClass": "B" }],
        "documentDate": iso(world.now),
        "packageType": "UNIT",
        "productGroup": "water",
    });
    assert_eq!(world.document("validation", &grades).1, "SUCCESS");
}

#[test]
fn a_document_body_that_is_not_base64_or_not_sorted_answers_400() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 1);
    let good = world.aggregation_body(&[(BOX, &items)]).to_string();
    let unsorted = format!(
        "{{\"documentDate\":\"2026-02-01T08:00:00Z\",{}",
        &good[1..].replace(",\"documentDate\"", ",\"x\"")
    );
    let target = "/public/api/v1/doc/aggregation";
    for body in
        [good.clone(), base64::encode(b"{"), base64::encode(b"[]"), base64::encode(unsorted.as_bytes())]
    {
        assert_eq!(world.post(target, &json!({ "documentBody": body })), bad_parameter("documentBody"));
    }
    assert_eq!(world.post(target, &json!({})), bad_parameter("documentBody"));
    let mut settings = Settings::uz().at_once();
    settings.strict.sorted_keys = false;
    let mut lenient = World::new(settings);
    lenient.good_post(target, &json!({ "documentBody": base64::encode(unsorted.as_bytes()) }));
}

#[test]
fn documents_are_found_by_type_status_group_and_date() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 1);
    let body = world.aggregation_body(&[(BOX, &items)]);
    let (id, _) = world.document("aggregation", &body);
    let mut check = |query: &str, expected: &[String]| {
        let answer = world.good(&format!("/public/api/v1/doc/storage/docs/search?{query}"));
        let found: Vec<String> = answer["documentInfos"]
            .as_array()
            .unwrap()
            .iter()
            .map(|info| text(&info["documentId"]))
            .collect();
        assert_eq!(found, expected, "{query}");
    };
    let ours = [id.clone()];
    check("types=AGGREGATION", &ours);
    check("types=AGGREGATION,WITHDRAWAL&status=SUCCESS&productGroups=water,beer", &ours);
    check(&format!("documentId={id}"), &ours);
    check("types=AGGREGATION&status=ERROR", &NONE);
    check("types=WITHDRAWAL", &NONE);
    check("dateTo=2026-02-01T08:00:00Z", &NONE);
    check(&format!("cursor={id}"), &NONE);
}

#[test]
fn a_report_of_too_many_groups_or_codes_answers_400() {
    let mut world = World::at_once();
    let item = ["01047800000000142100000000000".to_owned()];
    let group = format!("01{WATER_GROUP}210000000000000");
    let target = "/public/api/v1/doc/aggregation";
    let body = world.aggregation_body(&vec![(group.as_str(), &item[..]); 201]);
    assert_eq!(world.post(target, &envelope(&body)), bad_parameter("aggregationUnits"));
    let body = world.aggregation_body(&[(BOX, &vec![item[0].clone(); 30_001])]);
    assert_eq!(world.post(target, &envelope(&body)), bad_parameter("codes"));
}

#[test]
fn documents_fail_in_part_or_whole_on_demand_and_say_so_or_not() {
    let mut world = World::at_once();
    let items = world.applied("water", WATER, 4);
    let two = world.aggregation_body(&[(BOX, &items[..2]), (SECOND_BOX, &items[2..])]);
    let strike = |fault| FaultPlan::of([Rule::next(fault, Endpoint::DocumentCreate, 1)]);

    world.model.set_faults(strike(Fault::RefuseDocument));
    let (id, status) = world.document("aggregation", &two);
    assert_eq!((status.as_str(), &world.errors(&id)[..]), ("ERROR", &NONE[..]));
    assert_eq!(world.model.truth(world.now).boxes, []);

    world.model.set_faults(strike(Fault::PartDocument));
    let (id, status) = world.document("aggregation", &two);
    assert_eq!((status.as_str(), &world.errors(&id)[0][..]), ("PARTIALLY_PROCESSED", "unit-not-processed"));
    assert_eq!(world.model.truth(world.now).boxes.len(), 1);

    let refused_units = vec![items[0].clone()];
    world.model.set_faults(FaultPlan { refused_units, ..FaultPlan::default() });
    let apart = json!({ "businessDatetime": iso(world.now), "codes": [BOX, SECOND_BOX] });
    world.document("transport-code-disaggregation", &apart);
    let (id, status) = world.document("aggregation", &two);
    assert_eq!((status.as_str(), &world.errors(&id)[0][..]), ("PARTIALLY_PROCESSED", "code-refused"));
    let errors = world.good(&format!("/public/api/v1/doc/storage/errors/{id}"));
    assert_eq!(errors["documentErrors"][0]["errorTags"]["code"], json!(items[0]));
    let made: Vec<_> = world.model.truth(world.now).units.iter().map(|u| u.made).collect();
    assert_eq!(made.iter().sum::<u32>(), 2, "one unit of the first document, one of the second");
}

#[test]
fn a_pack_that_was_taken_apart_is_forgotten_or_shown_empty() {
    for known in [false, true] {
        let mut settings = Settings::uz().at_once();
        settings.limits.calls_per_min_max = 1_000;
        settings.strict.empty_packs_are_known = known;
        let mut world = World::new(settings);
        let items = world.applied("water", WATER, 2);
        let body = world.aggregation_body(&[(BOX, &items)]);
        world.document("aggregation", &body);
        let apart = json!({ "businessDatetime": iso(world.now), "codes": [BOX] });
        assert_eq!(world.document("transport-code-disaggregation", &apart).1, "SUCCESS");
        let shown = world.good_post("/public/api/cod/private/codes", &json!({ "codes": [BOX] }));
        let empty = &shown["results"][0]["packageData"]["emptyPackage"];
        assert_eq!(empty, &if known { json!(true) } else { json!(null) });
        assert_eq!(shown["missingCodes"], if known { json!([]) } else { json!([BOX]) });
        let (id, _) = world.document("transport-code-disaggregation", &apart);
        assert_eq!(world.errors(&id)[0], if known { "code-not-aggregated" } else { "code-not-found" });
    }
}

#[test]
fn a_pack_of_packs_has_a_limit_of_its_own_and_content_is_replaced_where_that_is_so() {
    let mut settings = Settings::uz().at_once();
    settings.limits.calls_per_min_max = 1_000;
    settings.limits.pallet_children_max = 1;
    settings.strict.aggregation_replaces = true;
    let mut world = World::new(settings);
    let items = world.applied("water", WATER, 3);
    let body = world.aggregation_body(&[(BOX, &items[..1]), (SECOND_BOX, &items[1..2])]);
    assert_eq!(world.document("aggregation", &body).1, "SUCCESS");
    let boxes = [BOX.to_owned(), SECOND_BOX.to_owned()];
    let body = world.aggregation_body(&[("00106141412345678922", &boxes)]);
    let (id, _) = world.document("aggregation", &body);
    assert_eq!(world.errors(&id)[0], "capacity-exceeded");
    let body = world.aggregation_body(&[(BOX, &items[2..])]);
    assert_eq!(world.document("aggregation", &body).1, "SUCCESS");
    let truth = world.model.truth(world.now);
    assert_eq!(truth.boxes[0].children, items[2..], "the new list alone: the first item lies in nothing");
    assert_eq!((truth.units[0].made, truth.units[0].taken_apart), (2, 0));
}
