//! Packing stations and packs: what is shown of them and asked of them.

use std::process::Output;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tamga_domain::pack::ask::{Said, StationStatus};
use tamga_domain::time::Wall;

use crate::commands::check;
use crate::station::{BIG, BIG_ITEMS, BOX, PALLET, open};
use crate::world::{KNOWN, TAIL, World};

impl World {
    /// Changes what the station `box1` shows.
    fn box1(&self, change: impl FnOnce(&mut StationStatus)) {
        let mut now = StationStatus::clone(&self.station.borrow());
        change(&mut now);
        self.station.send_replace(Arc::new(now));
    }

    fn ask_box1(&self, what: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/api/v1/stations/box1/{what}"), body)
    }

    fn say_in(&self, language: &str, path: &str, body: &Value) -> Value {
        let request = self.request(Method::POST, path).header("accept-language", language).json(body);
        serde_json::from_str(&self.send(request).1).unwrap()
    }

    fn audited(&self) -> Vec<(String, String)> {
        let audit = self.records.audit.lock().unwrap();
        audit.iter().map(|e| (e.command.clone(), e.outcome.clone())).collect()
    }
}

fn because(reason: &str) -> Value {
    json!({"reason": reason})
}

#[test]
fn the_status_shows_stations_in_the_callers_language() {
    let world = World::new();
    world.box1(|now| {
        now.open = Some(open(2, Some(BOX)));
        let args = vec![("pack", "44".to_owned())];
        now.last = Some(Said { good: false, key: "pack.not_in.packed".into(), args, at: Wall(7_000) });
        (now.waiting, now.lost) = (3, 4);
        now.printer_connected = Some(false);
        now.faults = vec!["head_open".into()];
    });
    let status = |language: &str| -> Value {
        let request = world.request(Method::GET, "/api/v1/status").header("accept-language", language);
        serde_json::from_str(&world.send(request).1).unwrap()
    };
    let english = status("en");
    let shown = &english["stations"][0];
    assert_eq!(
        (&shown["name"], &shown["capacity"], &shown["closed"]),
        (&json!("box1"), &json!(3), &json!(2))
    );
    assert_eq!(shown["level"], json!({"key": "box", "text": "box"}));
    assert_eq!(shown["holds"], json!({"key": "items", "text": "items"}));
    let label = json!({"key": "printed", "text": "printed: stick it on and scan it"});
    let expected = json!({"pack": 7, "content": 2, "capacity": 3, "name": BOX, "label": label});
    assert_eq!(shown["open"], expected);
    assert_eq!(shown["last"]["text"], "This lies in pack 44 already. Look there: one of the two is wrong.");
    assert_eq!(
        (&shown["last"]["good"], &shown["last"]["at"]),
        (&json!(false), &json!("1970-01-01T00:00:07Z"))
    );
    assert_eq!((&shown["waiting"], &shown["lost"]), (&json!(3), &json!(4)));
    assert_eq!((&shown["reader_connected"], &shown["printer_connected"]), (&json!(true), &json!(false)));
    assert!(shown["faults"][0]["text"].as_str().unwrap().starts_with("The print head is open"));
    let russian = &status("ru")["stations"][0];
    assert_eq!(
        (&russian["level"]["text"], &russian["last"]["key"]),
        (&json!("короб"), &shown["last"]["key"])
    );
    assert_ne!(russian["last"]["text"], shown["last"]["text"]);

    let box1 = [
        "box1 (box: items)",
        "#7: 2 / 3, (00)046000000000000015, printed: stick it on",
        "NO: This lies in pack 44",
        "SCANS LOST",
        "! printer: no connection",
        "! box1: The print head is open",
    ];
    check(&world.tamga(&["status"], b""), 0, &box1);
    check(
        &world.tamga(&["--lang", "ru", "status"], b""),
        0,
        &["box1 (короб: изделия)", "НЕТ:", "! принтер:"],
    );
}

#[test]
fn each_request_reaches_the_station_with_its_reason_and_is_written_down() {
    let world = World::new();
    world.box1(|now| now.open = Some(open(3, Some(BOX))));
    assert_eq!(world.ask_box1("short", because("end of the batch")), (200, json!("done")));
    assert_eq!(world.ask_box1("reprint", because(" torn ")), (200, json!("done")));
    let out = json!({"scan": KNOWN, "reason": "leaks"});
    assert_eq!(world.ask_box1("out", out), (200, json!({"out": {"left": 2}})));
    assert_eq!(world.ask_box1("void", because("wet")), (200, json!("done")));
    let asked = world.asked.lock().unwrap().clone();
    assert_eq!(asked[0], "Dilnoza (local): Short { reason: \"end of the batch\" }");
    assert_eq!(asked[1], "Dilnoza (local): Reprint { reason: \"torn\" }");
    assert!(asked[2].contains("Out {") && asked[2].contains("leaks"), "{asked:?}");
    assert_eq!(asked[3], "Dilnoza (local): Void { reason: \"wet\" }");
    let path = "POST /api/v1/stations/box1";
    let expected = [
        format!("{path}/short reason=end of the batch"),
        format!("{path}/reprint reason=torn"),
        format!("{path}/out what=(01)04600000000015(21)A7bQ reason=leaks"),
        format!("{path}/void reason=wet"),
    ];
    assert_eq!(world.audited(), expected.map(|command| (command, "200".to_owned())));
}

/// What is scanned goes to the station byte by byte; what is written down of it has no tail.
#[test]
fn what_is_taken_out_is_named_in_the_audit_and_its_tail_is_not() {
    let world = World::new();
    world.box1(|now| now.open = Some(open(3, None)));
    let strange = format!("01046000000000152100CD{}93{TAIL}", '\u{1d}');
    for (scan, named) in [
        (KNOWN, "(01)04600000000015(21)A7bQ"),
        (BOX, "(00)046000000000000015"),
        (strange.as_str(), "unknown"),
        (TAIL, "unknown"),
    ] {
        let (_, said) = world.ask_box1("out", json!({"scan": scan, "reason": "leaks"}));
        assert!(!said.to_string().contains(TAIL), "{said}");
        let (command, _) = world.audited().pop().unwrap();
        assert!(command.ends_with(&format!("what={named} reason=leaks")), "{command}");
    }
    assert!(!format!("{:?}", world.audited()).contains(TAIL));
    assert_eq!(world.asked.lock().unwrap().len(), 4, "the station decides what it understands");
}

#[test]
fn a_station_that_refuses_says_why_and_what_to_do_there() {
    let world = World::new();
    let path = "/api/v1/stations/box1/short";
    let (status, said) = world.post(path, because("x"));
    assert_eq!((status, &said["error"]), (409, &json!("refuse.no_open_pack")));
    assert_eq!(said["args"]["station"], "box1");
    assert_eq!(said["text"], "No pack is open at station box1. The next scan opens one.");
    assert!(world.say_in("ru", path, &because("x"))["text"].as_str().unwrap().contains("На посту box1"));
    world.box1(|now| now.open = Some(open(1, None)));
    assert_eq!(world.ask_box1("short", because("x")), (200, json!("scan_name")));
    let (status, said) = world.ask_box1("reprint", because("x"));
    assert_eq!((status, &said["error"]), (409, &json!("refuse.no_label")));
    assert!(said["text"].as_str().unwrap().contains("tamga pack short box1"), "{said}");
    let (status, said) = world.ask_box1("out", json!({"scan": BOX, "reason": "x"}));
    assert_eq!((status, &said["error"]), (409, &json!("refuse.not_in_pack")));
    assert_eq!(world.audited().pop().unwrap().1, "409 refuse.not_in_pack");
}

#[test]
fn bad_requests_reach_no_station() {
    let world = World::new();
    world.box1(|now| now.open = Some(open(3, Some(BOX))));
    let long = "я".repeat(201);
    let out = |scan: &str| json!({"scan": scan, "reason": "x"});
    for (path, body, status, error) in [
        ("box1/short", json!({}), 400, "http.bad_body"),
        ("box1/short", json!({"reason": 1}), 400, "http.bad_body"),
        ("box1/short", json!({"reason": "x", "scan": "01"}), 400, "http.bad_body"),
        ("box1/short", because(""), 400, "http.bad_reason"),
        ("box1/short", because("  "), 400, "http.bad_reason"),
        ("box1/reprint", because("a\nb"), 400, "http.bad_reason"),
        ("box1/void", because(&long), 400, "http.bad_reason"),
        ("box1/out", out(""), 400, "http.bad_scan"),
        ("box1/out", json!({"reason": "x"}), 400, "http.one_scan"),
        ("box1/out", json!({"scan": "01", "scan_base64": "MDE=", "reason": "x"}), 400, "http.one_scan"),
        ("box1/out", json!({"scan_base64": "*", "reason": "x"}), 400, "http.bad_base64"),
        ("none/short", because("x"), 404, "http.no_station"),
        ("none/out", out(BOX), 404, "http.no_station"),
        ("gone1/void", because("x"), 503, "http.station_gone"),
        ("busy1/void", because("x"), 503, "http.station_busy"),
    ] {
        let (got, said) = world.post(&format!("/api/v1/stations/{path}"), body.clone());
        assert_eq!((got, said["error"].as_str()), (status, Some(error)), "{path} {body}: {said}");
        let text = said["text"].as_str().unwrap();
        assert!(text.len() > error.len() && !text.contains('{') || error == "http.bad_body", "{said}");
    }
    assert!(world.asked.lock().unwrap().is_empty());
    assert_eq!(world.ask_box1("void", because(&long[2..])).0, 200, "200 letters of two bytes each");
    let nameless = world.client.post(format!("{}/api/v1/stations/box1/void", world.base));
    let nameless = nameless.header("authorization", world.token.bearer()).json(&because("x"));
    assert_eq!(world.send(nameless).0, 400);
}

#[test]
fn a_pack_is_shown_by_its_name_and_by_an_item_in_it() {
    let world = World::new();
    let path = "/api/v1/packs/show";
    *world.records.is_packed.lock().unwrap() = true;
    let base64 = tamga::web::scan::to_base64(format!("]C100{BOX}").as_bytes());
    for body in [
        json!({"scan": BOX}),
        json!({"scan": format!("00{BOX}")}),
        json!({"scan_base64": base64}),
        json!({"scan": KNOWN}),
    ] {
        let (status, story) = world.post(path, body.clone());
        assert_eq!((status, &story["pack"]["name"]), (200, &json!(BOX)), "{body}");
        assert!(!story.to_string().contains(TAIL));
        assert_eq!((&story["pack"]["pack"], &story["pack"]["run"]), (&json!(7), &json!(1)));
        assert_eq!(story["pack"]["state"], json!({"key": "closed", "text": "closed"}));
        assert_eq!(story["within"][0]["name"], PALLET);
        assert_eq!(story["within"][0]["level"]["key"], "pallet");
        let code = |serial| json!({"code": {"gtin": "04600000000015", "serial": serial}});
        assert_eq!(story["content"], json!([code("A7bQ"), code("B8cR")]));
        let out = &story["taken_out"][0];
        assert_eq!(
            (&out["what"], &out["who"], &out["why"]),
            (&code("C9dS"), &json!("Anna"), &json!("leaks"))
        );
        let changes: Vec<_> = story["changes"].as_array().unwrap().iter().collect();
        let seen: Vec<_> =
            changes.iter().map(|c| json!([c["what"]["key"], c["who"], c["detail"], c["why"]])).collect();
        let expected = [
            json!(["opened", "box1", "", ""]),
            json!(["named", "", BOX, ""]),
            json!(["label", "box1", "1", ""]),
            json!(["label", "Olim", "2", "torn"]),
            json!(["short", "Anna", "", "end of the batch"]),
            json!(["label", "Olim", "3", "wet"]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(
            (&changes[0]["at"], &changes[4]["what"]["text"]),
            (&json!("1970-01-01T00:00:01Z"), &json!("closed short"))
        );
    }
    let (_, pallet) = world.post(path, json!({"scan": PALLET}));
    assert_eq!(pallet["content"], json!([{"pack": BOX}]));
    let (_, big) = world.post(path, json!({"scan": BIG}));
    assert_eq!(big["content"].as_array().map(Vec::len), Some(BIG_ITEMS as usize));
    assert!(world.audited().is_empty(), "looking changes nothing");
}

#[test]
fn where_there_is_no_pack_it_is_said_why() {
    let world = World::new();
    let path = "/api/v1/packs/show";
    for (scan, status, error) in [
        ("046000000000000039", 404, "http.no_pack"),
        (KNOWN, 404, "http.not_packed"),
        ("010460000000001521unknown", 404, "http.no_code"),
        ("046000000000000016", 400, "refuse.not_a_code"),
        ("junk", 400, "refuse.not_a_code"),
        ("", 400, "http.bad_scan"),
    ] {
        let body = json!({"scan": scan});
        let (got, said) = world.post(path, body.clone());
        assert_eq!((got, said["error"].as_str()), (status, Some(error)), "{scan}: {said}");
        let text = said["text"].as_str().unwrap();
        assert!(text.len() > error.len() && !text.contains('{') && !text.contains(TAIL), "{said}");
        assert_ne!(world.say_in("ru", path, &body)["text"], said["text"]);
    }
}

#[test]
fn a_code_tells_its_pack_and_is_not_declared_scrapped_in_it() {
    let world = World::new();
    let show = |world: &World| world.post("/api/v1/codes/show", json!({"scan": KNOWN})).1;
    assert_eq!(show(&world)["pack"], Value::Null);
    *world.records.is_packed.lock().unwrap() = true;
    assert_eq!(show(&world)["pack"]["name"], BOX);
    check(&world.tamga(&["codes", "show", KNOWN], b""), 0, &["In pack  (00)046000000000000015, box, closed"]);
    let declare = |what| world.post("/api/v1/codes/declare", json!({"scan": KNOWN, "as": what}));
    let (status, said) = declare("scrapped");
    assert_eq!((status, &said["error"], &said["args"]["pack"]), (409, &json!("refuse.in_pack"), &json!(BOX)));
    let text = said["text"].as_str().unwrap();
    assert!(text.contains(BOX) && text.contains("A7bQ") && !text.contains('{'), "{text}");
    assert!(world.asked.lock().unwrap().is_empty());
    assert_eq!(declare("passed").0, 200, "the line knows what is in doubt");
}

#[test]
fn packs_from_the_command_line() {
    let world = World::new();
    *world.records.is_packed.lock().unwrap() = true;
    let spelled = KNOWN.replace("<GS>", "{GS}");
    let shown = [
        "(00)046000000000000015",
        "2 / 3 (items)",
        "(00)046000000000000022, pallet, open",
        "closed short",
        "end of the batch",
        "(21)B8cR",
        "(21)C9dS",
        "leaks",
    ];
    for scan in [BOX, &format!("00{BOX}"), &spelled] {
        check(&world.tamga(&["pack", "show", scan], b""), 0, &shown);
    }
    let scanned = format!("]C100{BOX}\r\n");
    check(&world.tamga(&["pack", "show", "-"], scanned.as_bytes()), 0, &shown);
    check(&world.tamga(&["pack", "show", BIG], b""), 0, &["(21)N00000", "(21)N01499"]);
    check(&world.tamga(&["pack", "show", PALLET], b""), 0, &["(00)046000000000000015"]);
    check(&world.tamga(&["--lang", "ru", "pack", "show", BOX], b""), 0, &["закрыта неполной", "палета"]);
    let json = |output: Output| serde_json::from_slice::<Value>(&output.stdout).unwrap();
    assert_eq!(
        json(world.tamga(&["--json", "pack", "show", BOX], b""))["content"].as_array().unwrap().len(),
        2
    );
    check(&world.tamga(&["pack", "show", "046000000000000039"], b""), 6, &[]);
    check(&world.tamga(&["pack", "show", "junk"], b""), 2, &[]);

    let why = ["--reason", "wet"];
    let ask = |args: &[&str]| world.tamga(&[args, &why].concat(), b"");
    check(&ask(&["pack", "short", "box1"]), 1, &[]);
    check(&ask(&["pack", "short", "none"]), 6, &[]);
    check(&world.tamga(&["pack", "short", "box1"], b""), 2, &[]);
    check(&world.tamga(&["pack", "short", "box1", "--reason", ""], b""), 2, &[]);
    world.box1(|now| now.open = Some(open(3, None)));
    check(&ask(&["pack", "short", "box1"]), 0, &["box1: now scan the label"]);
    world.box1(|now| now.open = Some(open(3, Some(BOX))));
    check(&ask(&["pack", "short", "box1"]), 0, &["box1: the label is being printed"]);
    check(&ask(&["pack", "reprint", "box1"]), 0, &["box1: one more label"]);
    check(&ask(&["pack", "out", "box1", &spelled]), 0, &["left in the pack: 2"]);
    check(&ask(&["pack", "out", "box1", PALLET]), 1, &[]);
    assert_eq!(json(ask(&["--json", "pack", "out", "box1", &spelled])), json!({"out": {"left": 1}}));
    check(&ask(&["pack", "void", "box1"]), 0, &["box1: the pack is void"]);
    let asked = world.asked.lock().unwrap();
    assert!(asked.iter().all(|a| a.starts_with("cli:") && a.contains("wet")), "{asked:?}");
}
