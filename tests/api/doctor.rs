//! Health and its look at everything: each thing that can be wrong is found, named, and told what to do about.

use std::sync::Arc;

use serde_json::{Value, json};
use tamga::desk::UpstreamStatus;
use tamga_domain::line::ask::{Alarm, Status};
use tamga_domain::time::Wall;
use tamga_drivers::trace::Level;

use crate::world::World;

/// Level and text of each finding.
fn findings(world: &World) -> (String, Vec<(String, String)>) {
    let (status, body) = world.get("/api/v1/doctor");
    assert_eq!(status, 200, "{body}");
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let of = |f: &Value| (text(&f["level"]), text(&f["text"]));
    (text(&body["level"]), body["findings"].as_array().unwrap().iter().map(of).collect())
}

#[track_caller]
fn has(world: &World, level: &str, part: &str) {
    let (_, found) = findings(world);
    assert!(found.iter().any(|(l, text)| l == level && text.contains(part)), "{level} {part}: {found:#?}");
    assert!(found.iter().all(|(_, text)| !text.contains('{')), "{found:#?}");
}

fn alarm(key: &str, detail: &str) -> Alarm {
    Alarm { key: key.into(), detail: detail.into(), since: Wall(0), acknowledged: false }
}

fn change(world: &World, change: impl FnOnce(&mut Status)) {
    let mut now = Status::clone(&world.status.borrow());
    change(&mut now);
    world.status.send_replace(Arc::new(now));
}

#[test]
fn devices_are_told_with_the_words_of_their_faults() {
    let world = World::new();
    has(&world, "good", "p1 is connected");
    change(&world, |s| s.devices[0].faults = vec!["media_out".into(), "head_open".into()]);
    has(&world, "bad", "line1: p1: The printer is out of labels. Put in a new roll");
    has(&world, "bad", "The print head is open");
    change(&world, |s| s.devices[1].connected = false);
    has(&world, "bad", "no connection to r1");
    assert_eq!(findings(&world).0, "bad");
}

#[test]
fn a_line_that_stands_its_alarms_and_a_silent_reader_are_found() {
    let world = World::new();
    has(&world, "watch", "line1: Codes are running out: 7 left");
    world.start();
    change(&world, |s| {
        s.stopped_by = Some("stop.bad_rate".into());
        s.alarms = vec![alarm("alarm.pass_unknown", "0104…A7bQ"), alarm("alarm.pool_empty", "Still 0.5")];
    });
    has(&world, "watch", "line1: run 1 stands. Stopped: too many bad items");
    has(&world, "bad", "0104…A7bQ");
    has(&world, "watch", "There are no codes left for Still 0.5");
    let silent = |world: &World| findings(world).1.iter().any(|(_, text)| text.contains("were not read"));
    let items = |triggers, unread| {
        change(&world, |s| {
            let run = s.run.as_mut().unwrap();
            (run.triggers, run.rejected) = (triggers, vec![("no_result".into(), unread)]);
        });
    };
    items(19, 19);
    assert!(!silent(&world), "nothing is said of a few items");
    items(100, 9);
    assert!(!silent(&world));
    items(100, 10);
    has(&world, "watch", "line1: 10 of 100 items were not read");
}

#[test]
fn stations_are_looked_at() {
    let world = World::new();
    has(&world, "good", "box1: scanner and printer are connected");
    assert_eq!(world.get("/readyz").0, 200);
    assert_eq!(world.post("/api/v1/stations/gone1/void", json!({"reason": "x"})).0, 503);
    has(&world, "bad", "The task of station gone1 has ended");
    let (status, ready) = world.get("/readyz");
    assert_eq!((status, ready["missing"][0]["key"].as_str()), (503, Some("http.missing_station")));
    let mut now = tamga_domain::pack::ask::StationStatus::clone(&world.station.borrow());
    (now.reader_connected, now.printer_connected, now.lost) = (false, Some(false), 3);
    now.faults = vec!["media_out".into()];
    world.station.send_replace(Arc::new(now));
    has(&world, "bad", "box1: no connection to the scanner");
    has(&world, "bad", "box1: no connection to the label printer");
    has(&world, "bad", "box1: The printer is out of labels");
    has(&world, "watch", "box1: scans lost because too many waited: 3");
}

#[test]
fn the_way_upstream_is_looked_at() {
    let world = World::new();
    has(&world, "good", "The state system answers");
    let hours_ago = tamga::clock::wall().0 - 2 * 3_600_000 - 1;
    world.upstream.send_replace(UpstreamStatus {
        trouble: "401".into(),
        unknown: 3,
        open_reports: 2,
        oldest_open_ms: Some(hours_ago),
        clock_ahead_ms: Some(-400_000),
        ..UpstreamStatus::default()
    });
    has(&world, "watch", "cannot be used now: 401");
    has(&world, "watch", "3 requests lost their answer");
    has(&world, "watch", "2 reports are not finally answered; the oldest waits for 120 min");
    has(&world, "bad", "differs from the state system's by -400 s");
    world.records.alarms.lock().unwrap().push(alarm("alarm.report_refused", "report 5"));
    has(&world, "watch", "The state system refused a report: report 5");
}

#[test]
fn a_trace_left_on_and_a_changed_configuration_are_found() {
    let world = World::new();
    has(&world, "good", "The configuration in use is that of the file");
    assert!(!findings(&world).1.iter().any(|(_, text)| text.contains("trace")));
    world.trace.set_level(Level::Frames);
    has(&world, "watch", "tamga trace off p1");
    let file = world.folder.join("started.toml");
    std::fs::write(&file, "[lines.l1]\nkind = 7").unwrap();
    has(&world, "bad", "would not start with it");
    std::fs::write(&file, include_str!("../../config/line-pre-printed.toml")).unwrap();
    has(&world, "watch", "was changed since the start");
    std::fs::remove_file(&file).unwrap();
    has(&world, "bad", "cannot be read");
}

#[test]
fn alarms_of_the_way_upstream_are_shown_and_acknowledged_too() {
    let world = World::new();
    world.records.alarms.lock().unwrap().push(alarm("alarm.upstream_key", "401"));
    let (_, alarms) = world.get("/api/v1/alarms");
    assert_eq!((&alarms[0]["line"], &alarms[1]["line"]), (&json!("line1"), &Value::Null));
    let shown = String::from_utf8(world.tamga(&["alarms"], b"").stdout).unwrap();
    assert!(shown.contains("state system") && shown.contains("[upstream_key]"), "{shown}");
    for (name, code) in [("upstream_key", 0), ("alarm.pool_low", 0), ("upstream_away", 6)] {
        let output = world.tamga(&["alarms", "ack", name], b"");
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
    }
    assert_eq!(world.tamga(&["alarms"], b"").status.code(), Some(0));
    let other_line = world.tamga(&["alarms", "ack", "pool_low", "--line", "line2"], b"");
    assert_eq!(other_line.status.code(), Some(6));
    assert_eq!(world.post("/api/v1/alarms/acknowledge", json!({"key": "alarm.clock"})).0, 404);
}
