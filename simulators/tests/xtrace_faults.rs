//! Row 12 of the contract: each fault does what its name says, is counted, and leaves the truth alone.

mod xtrace_help;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tamga_simulators::model::xtrace::Delivery;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tamga_simulators::model::xtrace::layout::{GS, identity_of};
use tamga_simulators::model::xtrace::route::{Endpoint, Request};
use tamga_simulators::model::xtrace::settings::Settings;
use xtrace_help::*;

fn order(world: &World) -> Request {
    Request::new("POST", "/api/orders", &world.key).with_body(order_body("water", WATER, 10).to_string())
}

fn orders(world: &mut World) -> usize {
    world.good("/api/orders")["orderInfos"].as_array().expect("a list").len()
}

#[test]
fn faults_strike_before_or_after_the_effect() {
    for (fault, delivery, status, orders_made) in [
        (Fault::DropBefore, Delivery::Never, None, 0),
        (Fault::DropAfter, Delivery::Never, None, 1),
        (Fault::ErrorBefore, Delivery::Whole, Some(504), 0),
        (Fault::ErrorAfter, Delivery::Whole, Some(504), 1),
        (Fault::HtmlBefore, Delivery::Whole, Some(200), 0),
        (Fault::HtmlAfter, Delivery::Whole, Some(200), 1),
        (Fault::TooMany, Delivery::Whole, Some(429), 0),
        (Fault::Truncated, Delivery::Whole, Some(200), 1),
        (Fault::Cut, Delivery::CutBody, None, 1),
    ] {
        let mut world = World::at_once();
        let rule = Rule { status: Some(504), ..Rule::next(fault, Endpoint::OrderCreate, 1) };
        world.model.set_faults(FaultPlan::of([rule]));
        let reply = world.send(&order(&world));
        assert_eq!(reply.delivery, delivery, "{fault:?}");
        if let Some(status) = status {
            assert_eq!(reply.status, status, "{fault:?}");
            assert!(
                serde_json::from_slice::<Value>(&reply.body).is_err(),
                "{fault:?}: no JSON comes through"
            );
        }
        assert_eq!(orders(&mut world), orders_made, "{fault:?}");
        assert_eq!(world.model.faults().struck()[&fault], 1);
        // `times` is used up.
        assert_eq!(world.send(&order(&world)).delivery, Delivery::Whole);
    }
}

#[test]
fn latency_delays_the_answer_and_not_the_effect() {
    let mut world = World::at_once();
    world.model.set_faults(FaultPlan::of([
        Rule::next(Fault::Latency, Endpoint::OrderCreate, 1).with_ms(120_000, 120_000)
    ]));
    assert_eq!(world.send(&order(&world)).delay_ms, 120_000);
    assert_eq!(orders(&mut world), 1);
}

#[test]
fn an_old_answer_repeats_the_last_pack_and_makes_none() {
    let mut world = World::at_once();
    let id = world.order("water", WATER, 10);
    let target = format!("/api/codes?orderId={id}&gtin={WATER}&quantity=5");
    world.model.set_faults(FaultPlan::of([Rule::next(Fault::OldAnswer, Endpoint::Codes, 1)]));
    let first = world.good(&target);
    let next = format!("{target}&lastPackId={}", text(&first["packId"]));
    assert_eq!(world.good(&next), first, "the cache answers");
    assert_ne!(world.good(&next), first);
    assert_eq!(world.model.faults().struck()[&Fault::OldAnswer], 1);
}

#[test]
fn a_hidden_effect_shows_only_after_its_delay() {
    let mut world = World::at_once();
    let codes = world.codes("water", WATER, 2);
    world.model.set_faults(FaultPlan::of([Rule::new(Fault::Hidden, 1.0).with_ms(60_000, 60_000)]));
    let body = world.report_body(&codes);
    let id = text(&world.good_post("/api/utilisation?productGroup=water", &body)["reportId"]);
    let order = text(&world.good_post("/api/orders", &order_body("water", WATER, 10))["orderId"]);
    let search = "/public/api/v1/doc/storage/docs/search?types=UTILISATION";
    world.wait(59_999);
    assert_eq!(world.get(&format!("/api/utilisation/{id}")).0, 404);
    assert_eq!(world.good(search), json!({ "documentInfos": [] }));
    assert_eq!(world.good(&format!("/api/orders?orderId={order}")), json!({ "orderInfos": [] }));
    assert_eq!(world.status_of(&identity(&codes[0])), "RECEIVED");
    world.wait(1);
    assert_eq!(world.good(&format!("/api/utilisation/{id}"))["reportStatus"], "SUCCESS");
    assert_eq!(world.status_of(&identity(&codes[0])), "APPLIED");
    // A pack is remembered at once by the rules of `lastPackId`, but listed late.
    let target = format!("/api/codes?orderId={order}&gtin={WATER}&quantity=5");
    let pack = world.good(&target);
    assert_eq!(world.good(&target), pack);
    let lines = format!("/api/orders/sub-orders?orderId={order}");
    assert_eq!(world.good(&lines)["subOrderInfos"][0]["totalPassed"], 0);
    world.wait(60_000);
    assert_eq!(world.good(&lines)["subOrderInfos"][0]["totalPassed"], 5);
}

#[test]
fn a_skewed_clock_shows_in_the_date_and_moves_what_is_past() {
    let mut world = World::at_once();
    let codes = world.codes("water", WATER, 1);
    let body = world.report_body(&codes);
    world.model.set_faults(FaultPlan { clock_skew_ms: -7_200_000, ..FaultPlan::default() });
    let reply = world.send(&Request::new("GET", "/api/orders", "uz-key"));
    assert!(
        reply.headers.contains(&("date", "Sun, 01 Feb 2026 06:00:02 GMT".to_owned())),
        "{:?}",
        reply.headers
    );
    assert_eq!(world.post("/api/utilisation?productGroup=water", &body), bad_parameter("productionDate"));
}

#[test]
fn a_malformed_code_is_given_in_a_pack_and_never_applied() {
    for seed in 0..20 {
        let mut settings = Settings::uz().at_once();
        settings.seed = seed;
        let mut world = World::new(settings);
        world.model.set_faults(FaultPlan::of([Rule::next(Fault::MalformedCode, Endpoint::Codes, 1)]));
        let codes = world.codes("water", WATER, 20);
        let truth = world.model.truth(world.now);
        let bad: Vec<&String> = truth.codes.iter().filter_map(|code| code.issued_as.as_ref()).collect();
        assert_eq!(bad.len(), 1);
        assert!(codes.contains(bad[0]));
        assert!(bad[0].chars().count() != 38 || !bad[0].is_ascii(), "{:?}", bad[0]);
        let body = world.report_body(&[bad[0].clone()]);
        assert_eq!(world.report("water", &body).0, "ERROR");
    }
}

#[test]
fn a_code_is_given_twice_in_the_same_or_a_later_pack() {
    let (mut in_same, mut in_later) = (0, 0);
    for seed in 0..20 {
        let mut settings = Settings::uz().at_once();
        settings.seed = seed;
        let mut world = World::new(settings);
        let id = world.order("water", WATER, 20);
        let target = format!("/api/codes?orderId={id}&gtin={WATER}&quantity=10");
        let first = world.good(&target);
        world.model.set_faults(FaultPlan::of([Rule::next(Fault::CodeTwice, Endpoint::Codes, 1)]));
        let second = world.good(&format!("{target}&lastPackId={}", text(&first["packId"])));
        let (first, second) = (texts(&first["codes"]), texts(&second["codes"]));
        let distinct: BTreeSet<&String> = second.iter().collect();
        in_same += usize::from(distinct.len() == 9);
        in_later += usize::from(second.iter().any(|code| first.contains(code)));
        let truth = world.model.truth(world.now);
        assert_eq!(truth.codes.len(), 19);
        assert_eq!(truth.codes.iter().filter(|code| code.pack_ids.len() == 2).count(), 1);
    }
    assert_eq!(in_same + in_later, 20);
    assert!(in_same > 0 && in_later > 0);
}

#[test]
fn a_report_is_refused_for_chosen_codes_or_by_chance() {
    let mut world = World::at_once();
    let codes = world.codes("water", WATER, 4);
    let refused_codes = vec![identity(&codes[1])];
    world.model.set_faults(FaultPlan { refused_codes, ..FaultPlan::default() });
    let body = world.report_body(&codes[..2]);
    assert_eq!(world.report("water", &body), ("ERROR".to_owned(), "code-refused: 1 of 2 codes".to_owned()));
    let body = world.report_body(&codes[..1]);
    assert_eq!(world.report("water", &body).0, "SUCCESS");
    let refuse = Rule::next(Fault::RefuseUtilisation, Endpoint::UtilisationCreate, 1);
    world.model.set_faults(FaultPlan::of([refuse]));
    let body = world.report_body(&codes[2..]);
    assert_eq!(world.report("water", &body).0, "ERROR");
    assert_eq!(world.report("water", &body).0, "SUCCESS");
}

#[test]
fn unknown_words_and_fields_are_put_into_answers() {
    let mut world = World::at_once();
    world.order("water", WATER, 1);
    world.model.set_faults(FaultPlan::of([
        Rule::next(Fault::UnknownEnum, Endpoint::Orders, 1),
        Rule::next(Fault::ExtraFields, Endpoint::Orders, 1),
    ]));
    let order = world.good("/api/orders")["orderInfos"][0].clone();
    assert_eq!(order["orderStatus"], "UNDER_REVIEW");
    assert!(order["xExtension"].is_object());
    assert_eq!(world.good("/api/orders")["orderInfos"][0]["orderStatus"], "READY");
}

#[test]
fn the_same_seed_strikes_the_same_requests() {
    let run = |seed| {
        let mut settings = Settings::uz().at_once();
        settings.seed = seed;
        settings.limits.calls_per_min_max = 1_000;
        let mut world = World::new(settings);
        world
            .model
            .set_faults(FaultPlan::of([Rule::new(Fault::ErrorAfter, 0.3), Rule::new(Fault::Latency, 0.2)]));
        let request = order(&world);
        (0..100).map(|_| world.send(&request)).map(|reply| (reply.status, reply.delay_ms)).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let struck = run(7).iter().filter(|(status, _)| *status >= 500).count();
    assert!((15..45).contains(&struck), "{struck} of 100 at rate 0.3");
}

#[test]
fn plans_are_read_from_json_and_unknown_words_are_refused() {
    let plan: FaultPlan = serde_json::from_str(
        r#"{"rules":[{"fault":"drop_after","rate":0.5,"endpoint":"utilisation_create","times":3},{"fault":"latency","ms":[1,2]}],"clock_skew_ms":-5}"#,
    )
    .unwrap();
    assert_eq!((plan.rules.len(), plan.rules[0].times, plan.rules[1].rate), (2, Some(3), 1.0));
    for bad in
        [r#"{"rules":[{"fault":"melt"}]}"#, r#"{"rule":[]}"#, r#"{"rules":[{"fault":"cut","endpoint":"x"}]}"#]
    {
        assert!(serde_json::from_str::<FaultPlan>(bad).is_err(), "{bad}");
    }
}

proptest::proptest! {
    /// No request makes the model panic, and none is left without a status.
    #[test]
    fn any_request_is_answered(method in "GET|POST|PUT", path in "(/[a-z0-9-]{0,12}){0,7}|/api/(orders|codes|utilisation)|/public/api/cod/public/codes|/public/api/v1/doc/(aggregation|withdrawal)", query in "[ -~]{0,60}", body in "\\PC{0,80}") {
        let mut world = World::at_once();
        let mut request = Request::new(&method, &path, "uz-key").with_body(body);
        request.query = query;
        let reply = world.send(&request);
        proptest::prop_assert!((200..600).contains(&reply.status));
    }

    /// Whatever is asked in whatever order, each line's codes add up and no code is in two packs.
    #[test]
    fn every_code_is_accounted_for(asked in proptest::collection::vec((1u64..30, 0usize..4), 1..20), seed: u64) {
        let mut settings = Settings::uz().at_once();
        settings.seed = seed;
        settings.limits.calls_per_min_max = 1_000;
        let mut world = World::new(settings);
        let id = world.order("water", WATER, 100);
        let mut packs: Vec<String> = Vec::new();
        for (quantity, back) in asked {
            let last = packs.len().checked_sub(1 + back).map(|at| format!("&lastPackId={}", packs[at])).unwrap_or_default();
            let (status, answer) = world.get(&format!("/api/codes?orderId={id}&gtin={WATER}&quantity={quantity}{last}"));
            if status == 200 && !packs.contains(&text(&answer["packId"])) {
                packs.push(text(&answer["packId"]));
            }
        }
        world.post(&format!("/api/order/close?orderId={id}"), &json!(null));
        let truth = world.model.truth(world.now);
        let line = &truth.orders[0].lines[0];
        proptest::prop_assert_eq!(line.total, line.passed + line.annulled);
        let given: Vec<&String> = line.packs.iter().flat_map(|pack| &pack.codes).collect();
        proptest::prop_assert_eq!(given.len() as u64, line.passed);
        proptest::prop_assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
        proptest::prop_assert_eq!(truth.codes.len(), given.len());
        proptest::prop_assert!(given.iter().all(|code| code.contains(GS) && identity_of(code).is_some()));
    }
}

#[test]
fn a_request_that_comes_twice_makes_two_and_the_second_is_answered() {
    let mut world = World::at_once();
    world.model.set_faults(FaultPlan::of([Rule::next(Fault::Doubled, Endpoint::OrderCreate, 1)]));
    let id = text(&read(&world.send(&order(&world)))["orderId"]);
    let made = world.good("/api/orders");
    let ids: Vec<String> = texts_of(&made["orderInfos"], "orderId");
    assert_eq!((ids.len(), &ids[1]), (2, &id));
    let truth = world.model.truth(world.now);
    assert_eq!(truth.orders.iter().map(|o| o.echo).collect::<Vec<_>>(), [true, false]);
}

fn texts_of(list: &Value, key: &str) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|item| text(&item[key])).collect()
}

#[test]
fn a_stuck_request_takes_effect_when_nobody_waits_any_more() {
    let mut world = World::at_once();
    let rule = Rule::next(Fault::Stuck, Endpoint::OrderCreate, 1).with_ms(60_000, 60_000);
    world.model.set_faults(FaultPlan::of([rule]));
    assert_eq!(world.send(&order(&world)).delivery, Delivery::Never);
    world.wait(59_999);
    assert_eq!(orders(&mut world), 0);
    world.wait(1);
    assert_eq!(orders(&mut world), 1);
}

#[test]
fn a_dead_key_lets_nobody_in_for_its_time() {
    let mut world = World::at_once();
    let rule = Rule::next(Fault::KeyDead, Endpoint::OrderCreate, 1).with_ms(60_000, 60_000);
    world.model.set_faults(FaultPlan::of([rule]));
    assert_eq!(world.send(&order(&world)).status, 401);
    world.wait(59_999);
    assert_eq!(world.get("/api/orders").0, 401);
    world.wait(1);
    assert_eq!(orders(&mut world), 0);
}

#[test]
fn what_the_system_itself_does_to_orders_and_reports() {
    let strike = |fault, endpoint| FaultPlan::of([Rule::next(fault, endpoint, 1)]);
    let mut world = World::at_once();
    let codes = world.codes("water", WATER, 4);
    world.model.set_faults(strike(Fault::PartUtilisation, Endpoint::UtilisationCreate));
    let body = world.report_body(&codes);
    let (status, _) = world.report("water", &body);
    assert_eq!(status, "PARTIALLY_PROCESSED");
    assert_eq!(world.status_of(&identity(&codes[0])), "APPLIED");
    assert_eq!(world.status_of(&identity(&codes[3])), "RECEIVED");

    let codes = world.codes("water", WATER, 4);
    world.model.set_faults(strike(Fault::AnnulCode, Endpoint::UtilisationCreate));
    let body = world.report_body(&codes);
    assert_eq!(world.report("water", &body).0, "ERROR");
    let dead = |status: String| matches!(status.as_str(), "WITHDRAWN" | "WRITTEN_OFF");
    assert_eq!(codes.iter().filter(|code| dead(world.status_of(&identity(code)))).count(), 1);

    world.model.set_faults(strike(Fault::DeclineOrder, Endpoint::OrderCreate));
    let id = text(&world.good_post("/api/orders", &order_body("water", WATER, 10))["orderId"]);
    world.wait(1);
    assert_eq!(world.good(&format!("/api/orders?orderId={id}"))["orderInfos"][0]["orderStatus"], "REJECTED");

    let id = world.order("water", WATER, 10);
    world.model.set_faults(strike(Fault::CloseOrder, Endpoint::Codes));
    assert_eq!(world.get(&format!("/api/codes?orderId={id}&gtin={WATER}&quantity=5")).0, 400);
    assert_eq!(world.good(&format!("/api/orders?orderId={id}"))["orderInfos"][0]["orderStatus"], "CLOSED");
}
