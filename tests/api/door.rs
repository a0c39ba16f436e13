//! Who may come in.

use reqwest::Method;
use serde_json::{Value, json};
use tamga::web::{Access, routes};

use crate::world::World;

fn concrete(path: &str) -> String {
    path.replace("{line}", "line1")
        .replace("{station}", "box1")
        .replace("{run}", "1")
        .replace("{device}", "p1")
}

#[test]
fn nothing_but_health_and_the_description_answers_without_the_token() {
    let world = World::new();
    let wrong = format!("Bearer {}", "0".repeat(64));
    let bearer = world.token.bearer();
    let cut = &bearer[..bearer.len() - 1];
    for route in routes() {
        let url = format!("{}{}", world.base, concrete(route.path));
        let method: Method = route.method.to_uppercase().parse().unwrap();
        let request = || world.client.request(method.clone(), &url).header("x-tamga-who", "x");
        for given in [None, Some(wrong.as_str()), Some(cut), Some(&bearer[7..]), Some("Bearer ")] {
            let request = given.map_or_else(request, |given| request().header("authorization", given));
            let (status, _) = world.send(request);
            let expected = if route.access == Access::Open { 200 } else { 401 };
            assert_eq!(status, expected, "{} {} {given:?}", route.method, route.path);
        }
    }
    let (status, text) = world.send(world.client.get(format!("{}/no/such/path", world.base)));
    assert_eq!(status, 401, "{text}");
    assert_eq!(world.get("/no/such/path").0, 404);
    assert!(world.asked.lock().unwrap().is_empty());
    assert!(world.records.audit.lock().unwrap().is_empty());
}

#[test]
fn a_page_of_another_site_bound_to_this_address_is_turned_away() {
    let world = World::new();
    for (host, expected) in
        [("evil.example", 421), ("evil.example:80", 421), ("localhost", 200), ("line3.plant:8480", 200)]
    {
        for path in ["/api/v1/status", "/healthz"] {
            let (status, _) = world.send(world.request(Method::GET, path).header("host", host));
            assert_eq!(status, expected, "{host} {path}");
        }
    }
}

#[test]
fn no_answer_invites_other_origins_or_is_kept() {
    let world = World::new();
    let request = world.request(Method::GET, "/api/v1/status").header("origin", "https://evil.example");
    let response = world.runtime.block_on(request.send()).unwrap();
    assert!(response.headers().get("access-control-allow-origin").is_none());
    assert_eq!(response.headers()["cache-control"], "no-store");
    let preflight = world.request(Method::OPTIONS, "/api/v1/status").header("origin", "https://evil.example");
    let response = world.runtime.block_on(preflight.send()).unwrap();
    assert_eq!(response.status().as_u16(), 405);
    assert!(response.headers().get("access-control-allow-origin").is_none());
}

#[test]
fn every_change_needs_a_name_and_is_written_down() {
    let world = World::new();
    let changes: Vec<_> = routes().into_iter().filter(|r| r.access == Access::Change).collect();
    for route in &changes {
        for who in [None, Some(" "), Some("a\tb")] {
            let url = format!("{}{}", world.base, concrete(route.path));
            let request =
                world.client.post(url).header("authorization", world.token.bearer()).json(&json!({}));
            let request = match who {
                Some(who) => request.header("x-tamga-who", who),
                None => request,
            };
            let (status, text) = world.send(request);
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (status, body["error"].as_str().unwrap()),
                (400, "http.who"),
                "{} {who:?}",
                route.path
            );
        }
    }
    assert!(world.asked.lock().unwrap().is_empty());
    // With a name each leaves an entry, whatever comes of it.
    for (count, route) in changes.iter().enumerate() {
        world.post(&concrete(route.path), json!({}));
        let audit = world.records.audit.lock().unwrap();
        assert!(audit.len() > count, "{} left no entry", route.path);
        let entry = audit.iter().find(|e| e.command.contains(&concrete(route.path))).unwrap();
        assert_eq!((entry.who.as_str(), entry.from.as_str()), ("Dilnoza", "local"));
    }
}

#[test]
fn the_audit_log_has_what_was_asked_and_what_came_of_it() {
    let world = World::new();
    assert_eq!(world.start().0, 201);
    let path = "/api/v1/lines/line1/run";
    world.post(path, json!({"gtin": crate::world::GTIN, "batch": "B", "key": "other"}));
    let audit = world.records.audit.lock().unwrap();
    assert!(audit[0].command.contains("quantity=5 batch=A-17"), "{audit:?}");
    assert_eq!(audit[0].outcome, "201");
    assert_eq!(audit[1].outcome, "409 run_open");
}

#[test]
fn a_name_may_be_in_any_script() {
    let world = World::new();
    let path = format!("{}/api/v1/lines/line1/run/stop", world.base);
    let request = world
        .client
        .post(path)
        .header("authorization", world.token.bearer())
        .header("x-tamga-who", "Ольга".as_bytes());
    assert_eq!(world.send(request).0, 409);
    assert!(world.asked.lock().unwrap()[0].starts_with("Ольга (local)"));
}
