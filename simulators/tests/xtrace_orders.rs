//! Rows 1 to 4 of the contract: orders, their lines and packs. Each test is named after its rule.

mod xtrace_help;

use serde_json::json;
use std::collections::BTreeSet;
use tamga_simulators::model::xtrace::layout::GS;
use tamga_simulators::model::xtrace::settings::{CisType, Product, Settings};
use xtrace_help::*;

#[test]
fn order_goes_created_pending_ready_after_the_set_delays() {
    let mut world = World::new(Settings::uz());
    let id = text(&world.good_post("/api/orders", &order_body("water", WATER, 10))["orderId"]);
    let order = |world: &mut World| text(&world.good("/api/orders")["orderInfos"][0]["orderStatus"]);
    let line = |world: &mut World| world.good("/api/orders/sub-orders")["subOrderInfos"][0].clone();
    assert_eq!(order(&mut world), "CREATED");
    world.wait(200);
    assert_eq!(order(&mut world), "PENDING");
    assert_eq!(line(&mut world)["bufferStatus"], "PENDING");
    assert_eq!(
        world.get(&format!("/api/codes?orderId={id}&gtin={WATER}&quantity=1")),
        refused("order-wrong-status")
    );
    world.wait(800);
    assert_eq!(order(&mut world), "READY");
    let line = line(&mut world);
    assert_eq!(line["bufferStatus"], "ACTIVE");
    assert_eq!(
        (&line["availableCodes"], &line["leftInBuffer"], &line["totalPassed"]),
        (&json!(10), &json!(10), &json!(0))
    );
    assert!(line.get("lastPackId").is_none());
}

#[test]
fn order_is_rejected_with_a_reason() {
    let mut settings = Settings::uz().at_once();
    settings.products.push(Product { paid: true, ..Product::unit("04780000000076", "water") });
    let unpaid = |body: serde_json::Value| {
        let mut body = body;
        body["isPaid"] = json!(false);
        body
    };
    for (body, reason) in [
        (order_body("water", "04780000000083", 5), "gtin-not-found"),
        (order_body("water", BEER, 5), "gtin-of-another-product-group"),
        (unpaid(order_body("water", "04780000000076", 5)), "gtin-must-be-paid"),
    ] {
        let mut world = World::new(settings.clone());
        world.good_post("/api/orders", &body);
        let order = world.good("/api/orders?poNumber=PO-1")["orderInfos"][0].clone();
        assert_eq!((&order["orderStatus"], &order["rejectionReason"]), (&json!("REJECTED"), &json!(reason)));
        let line = world.good("/api/orders/sub-orders")["subOrderInfos"][0].clone();
        assert_eq!((&line["bufferStatus"], &line["rejectionReason"]), (&json!("REJECTED"), &json!(reason)));
    }
}

#[test]
fn orders_are_found_by_filters_and_paged_by_cursor() {
    let mut world = World::at_once();
    let mut ids = Vec::new();
    for number in 0..5 {
        let mut body = order_body("water", WATER, 10);
        body["poNumber"] = json!(format!("PO {number}+"));
        ids.push(text(&world.good_post("/api/orders", &body)["orderId"]));
        world.wait(1_000);
    }
    let found = |world: &mut World, query: &str| -> Vec<String> {
        let answer = world.good(&format!("/api/orders?{query}"));
        answer["orderInfos"].as_array().unwrap().iter().map(|order| text(&order["orderId"])).collect()
    };
    assert_eq!(found(&mut world, "poNumber=PO%203%2B"), [ids[3].clone()]);
    assert_eq!(
        found(&mut world, "dateFrom=2026-02-01T08:00:02Z&dateTo=2026-02-01T13:00:03%2B05:00"),
        ids[2..4]
    );
    assert_eq!(found(&mut world, "status=READY&productGroup=beer"), [] as [String; 0]);
    assert_eq!(found(&mut world, "limit=2"), ids[..2]);
    assert_eq!(found(&mut world, &format!("limit=2&cursor={}", ids[1])), ids[2..4]);
    assert_eq!(found(&mut world, &format!("limit=2&cursor={}", ids[4])), [] as [String; 0]);
    assert_eq!(world.get("/api/orders?limit=0"), bad_parameter("limit"));
    assert_eq!(world.get("/api/orders?cursor=x"), bad_parameter("cursor"));
    assert_eq!(world.get("/api/orders?dateFrom=2026-02-01"), bad_parameter("dateFrom"));
}

#[test]
fn order_beyond_the_limits_or_ill_typed_answers_400() {
    let mut world = World::at_once();
    let mut check = |change: &dyn Fn(&mut serde_json::Value), parameter: &str| {
        let mut body = order_body("water", WATER, 10);
        change(&mut body);
        let (status, answer) = world.post("/api/orders", &body);
        assert_eq!((status, &answer[0]["context"]["parameter"]), (400, &json!(parameter)));
    };
    check(&|body| body["products"][0]["quantity"] = json!(150_001), "quantity");
    check(&|body| body["products"][0]["quantity"] = json!("10"), "quantity");
    check(&|body| body["products"] = json!(vec![body["products"][0].clone(); 11]), "products");
    check(&|body| body["products"] = json!(vec![body["products"][0].clone(); 2]), "gtin");
    check(&|body| body["products"] = json!([]), "products");
    check(&|body| body["businessPlaceId"] = json!("123"), "businessPlaceId");
    check(&|body| body["releaseMethodType"] = json!("PRODUCTION"), "releaseMethodType");
    check(&|body| body["omsId"] = json!("x"), "omsId");
    check(&|body| body["products"][0]["serialNumberType"] = json!("SELF_MADE"), "serialNumbers");
    assert_eq!(world.good("/api/orders"), json!({ "orderInfos": [] }));
}

#[test]
fn self_made_serials_are_used_and_tails_are_added() {
    let mut world = World::at_once();
    let mut body = order_body("beer", BEER, 2);
    body["products"][0]["serialNumberType"] = json!("SELF_MADE");
    body["products"][0]["serialNumbers"] = json!(["abc'9\"3", "21<&=?_"]);
    let id = text(&world.good_post("/api/orders", &body)["orderId"]);
    let codes = texts(&world.good(&format!("/api/codes?orderId={id}&gtin={BEER}&quantity=2"))["codes"]);
    let identities: BTreeSet<String> = codes.iter().map(|code| identity(code)).collect();
    assert_eq!(identities, [format!("01{BEER}21abc'9\"3"), format!("01{BEER}2121<&=?_")].into());
    assert!(codes.iter().all(|code| code.len() == 32));
    world.good_post("/api/orders", &body);
    let again = world.good("/api/orders?status=REJECTED")["orderInfos"][0].clone();
    assert_eq!(again["rejectionReason"], "serial-number-already-used");
}

#[test]
fn active_orders_are_limited_and_closing_frees_the_place() {
    let mut settings = Settings::uz().at_once();
    settings.limits.active_orders_max = 1;
    let mut world = World::new(settings);
    let first = world.order("water", WATER, 1);
    assert_eq!(world.post("/api/orders", &order_body("water", WATER, 1)), refused("active-orders-limit"));
    world.good_post(&format!("/api/order/close?orderId={first}"), &json!(null));
    world.order("water", WATER, 1);
}

#[test]
fn last_pack_id_repeats_what_was_lost_and_makes_a_new_pack_only_for_the_newest() {
    let mut world = World::at_once();
    let order = world.order("water", WATER, 100);
    let base = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=10");
    // Rule 1: nothing handed out yet.
    let first = world.good(&base);
    let first_id = text(&first["packId"]);
    // Rule 4: without `lastPackId` the first pack again, whatever the quantity.
    assert_eq!(world.good(&base.replace("quantity=10", "quantity=7")), first);
    // Rule 3: the newest pack named, a new one is made.
    let second = world.good(&format!("{base}&lastPackId={first_id}"));
    assert_ne!(second, first);
    // Rule 2: a later pack exists, it is repeated.
    assert_eq!(world.good(&format!("{base}&lastPackId={first_id}")), second);
    assert_eq!(world.good(&base), first);
    assert_eq!(world.get(&format!("{base}&lastPackId=unknown")), bad_parameter("lastPackId"));

    let codes: BTreeSet<String> =
        [texts(&first["codes"]), texts(&second["codes"])].concat().into_iter().collect();
    assert_eq!(codes.len(), 20);
    let line = world.good("/api/orders/sub-orders")["subOrderInfos"][0].clone();
    assert_eq!((&line["leftInBuffer"], &line["totalPassed"]), (&json!(80), &json!(20)));
    assert_eq!(line["lastPackId"], second["packId"]);
    let packs = world.good(&format!("/api/codes/packs?orderId={order}&gtin={WATER}"));
    assert_eq!(packs["packs"][1]["packId"], second["packId"]);
    assert_eq!(packs["packs"][0]["quantity"], 10);
    assert_eq!(packs["packs"].as_array().unwrap().len(), 2);
}

#[test]
fn too_large_a_quantity_answers_400() {
    let mut world = World::at_once();
    let order = world.order("water", WATER, 10);
    for quantity in ["11", "0", "-1", ""] {
        let target = format!("/api/codes?orderId={order}&gtin={WATER}&quantity={quantity}");
        assert_eq!(world.get(&target), bad_parameter("quantity"));
    }
    assert_eq!(world.get(&format!("/api/codes?orderId=x&gtin={WATER}&quantity=1")).0, 404);
}

#[test]
fn an_empty_line_is_exhausted_and_its_packs_stay_readable() {
    let mut world = World::at_once();
    let order = world.order("water", WATER, 10);
    let base = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=10");
    let pack = world.good(&base);
    let line = world.good("/api/orders/sub-orders?status=EXHAUSTED")["subOrderInfos"][0].clone();
    assert_eq!((&line["leftInBuffer"], &line["availableCodes"]), (&json!(0), &json!(10)));
    assert_eq!(world.good("/api/orders")["orderInfos"][0]["orderStatus"], "READY");
    assert_eq!(world.good(&base), pack);
    let next = format!("{base}&lastPackId={}", text(&pack["packId"]));
    assert_eq!(world.get(&next), refused("sub-order-exhausted"));
}

#[test]
fn closing_annuls_the_rest_and_old_packs_stay_readable() {
    let mut world = World::at_once();
    let mut body = order_body("water", WATER, 10);
    let mut second = body["products"][0].clone();
    second["gtin"] = json!(WATER_GROUP);
    second["cisType"] = json!("GROUP");
    body["products"].as_array_mut().unwrap().push(second);
    let order = text(&world.good_post("/api/orders", &body)["orderId"]);
    let base = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=4");
    let pack = world.good(&base);

    let close = format!("/api/order/close?orderId={order}");
    let one = format!("{close}&gtin={WATER}");
    assert_eq!(world.good_post(&one, &json!(null)), json!({ "orderId": order, "gtin": WATER }));
    assert_eq!(world.post(&one, &json!(null)), refused("sub-order-wrong-status"));
    assert_eq!(world.good("/api/orders")["orderInfos"][0]["orderStatus"], "READY");
    let line = world.good(&format!("/api/orders/sub-orders?gtin={WATER}"))["subOrderInfos"][0].clone();
    assert_eq!(
        (&line["bufferStatus"], &line["leftInBuffer"], &line["totalPassed"]),
        (&json!("CLOSED"), &json!(0), &json!(4))
    );
    // Closing the last open line closes the order.
    world.good_post(&format!("{close}&gtin={WATER_GROUP}"), &json!(null));
    assert_eq!(world.good("/api/orders")["orderInfos"][0]["orderStatus"], "CLOSED");
    assert_eq!(world.post(&close, &json!(null)), refused("order-wrong-status"));

    assert_eq!(world.good(&base), pack);
    let next = format!("{base}&lastPackId={}", text(&pack["packId"]));
    assert_eq!(world.get(&next), refused("sub-order-wrong-status"));
    assert_eq!(world.model.summary(world.now).annulled, 16);
    // Codes that were handed out live on.
    let codes = texts(&pack["codes"]);
    let report = world.report_body(&codes);
    world.wait(1_000);
    assert_eq!(world.report("water", &report).0, "ERROR", "produced before the order");
    let report = world.report_body(&codes);
    assert_eq!(world.report("water", &report).0, "SUCCESS");
}

#[test]
fn codes_have_the_layout_of_their_group() {
    let mut world = World::at_once();
    for (group, gtin, prefix, length) in [
        ("water", WATER, "01", 38),
        ("softdrinks", SOFTDRINKS, "01", 38),
        ("beer", BEER, "01", 32),
        ("pharma", PHARMA, "01", 85),
        ("appliances", APPLIANCES, "01", 92),
        ("tobacco", TOBACCO, "", 29),
    ] {
        for code in world.codes(group, gtin, 50) {
            assert!(
                code.starts_with(&format!("{prefix}{gtin}")) && code.len() == length,
                "{group}: {code:?}"
            );
            assert_eq!(code.contains(GS), group != "tobacco");
        }
    }
}

#[test]
fn a_group_separator_is_written_as_an_escape_in_json() {
    let mut world = World::at_once();
    let order = world.order("water", WATER, 1);
    let target = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=1");
    let key = world.key.clone();
    let reply = world.send(&tamga_simulators::model::xtrace::route::Request::new("GET", &target, &key));
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains("\\u001d93") && !body.contains(GS), "{body}");
}

#[test]
fn orders_of_a_contractor_end_outsourced_and_give_no_codes() {
    let mut world = World::at_once();
    let mut body = order_body("water", WATER, 5);
    body["contractorInfo"] = json!({ "contractorTin": "309999999", "contractorCountryCode": "UZ" });
    body["businessPlaceId"].take();
    let id = text(&world.good_post("/api/orders", &body)["orderId"]);
    assert_eq!(
        world.good("/api/orders?contractorTin=309999999")["orderInfos"][0]["orderStatus"],
        "OUTSOURCED"
    );
    let fetch = format!("/api/codes?orderId={id}&gtin={WATER}&quantity=1");
    assert_eq!(world.get(&fetch), refused("order-wrong-status"));
}

#[test]
fn group_codes_are_ordered_by_their_own_gtin() {
    let mut world = World::at_once();
    let codes = world.codes("water", WATER_GROUP, 2);
    assert!(codes.iter().all(|code| code.starts_with(&format!("01{WATER_GROUP}21")) && code.len() == 38));
    let product = world.model.settings().products.iter().find(|product| product.gtin == WATER_GROUP).unwrap();
    assert_eq!(product.cis_type, CisType::Group);
}

#[test]
fn sub_orders_are_paged_by_whole_orders() {
    let mut world = World::at_once();
    let ids: Vec<String> = (0..3).map(|_| world.order("water", WATER, 1)).collect();
    let mut parents = |query: &str| -> Vec<String> {
        let answer = world.good(&format!("/api/orders/sub-orders?{query}"));
        let lines = answer["subOrderInfos"].as_array().unwrap();
        lines.iter().map(|line| text(&line["parentOrderId"])).collect()
    };
    assert_eq!(parents("limit=2"), ids[..2]);
    assert_eq!(parents(&format!("limit=2&cursor={}", ids[1])), ids[2..]);
    assert_eq!(parents(&format!("orderId={}", ids[1])), ids[1..2]);
}
