//! The command line: the real binary against the server.

use std::process::Output;

use serde_json::Value;
use tamga_drivers::session::Time;
use tamga_drivers::trace::Direction;

use crate::world::{GTIN, KNOWN, TAIL, World};

pub fn check(output: &Output, code: i32, stdout_has: &[&str]) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    for part in stdout_has {
        assert!(out.contains(part), "{part:?} is not in: {out}\nstderr: {err}");
    }
    assert!(!out.contains(TAIL) && !err.contains(TAIL), "a tail came out: {out}{err}");
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_run_from_the_command_line() {
    let world = World::new();
    let start = ["run", "start", "line1", "--gtin", GTIN, "--batch", "A-17", "--quantity", "5"];
    check(&world.tamga(&start, b""), 0, &["A-17", "run 1 is open"]);
    check(&world.tamga(&["status"], b""), 0, &["line1", "running", "A-17", "3 / 5", "no read 1"]);
    check(&world.tamga(&["--lang", "ru", "status"], b""), 0, &["Прошло"]);
    let again = world.tamga(&start, b"");
    check(&again, 1, &[]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("Run 1 is still open"));
    check(&world.tamga(&["run", "stop", "line1"], b""), 0, &["stopped"]);
    check(&world.tamga(&["run", "resume", "line1"], b""), 0, &["running"]);
    check(&world.tamga(&["run", "close", "line1"], b""), 0, &["--clear"]);
    check(&world.tamga(&["run", "close", "line1", "--clear"], b""), 0, &["run 1 is closed"]);
    check(&world.tamga(&["run", "list"], b""), 0, &["A-17", "closed"]);
    let asked = world.asked.lock().unwrap();
    assert!(asked[0].starts_with("cli:"), "{asked:?}");
}

#[test]
fn the_sheet_is_a_table_with_three_balances() {
    let world = World::new();
    let sheet = world.tamga(&["run", "sheet", "1"], b"");
    check(&sheet, 0, &["Codes by block", "Codes of the run", "Triggers", "All balances hold", "(21)x1"]);
    assert_eq!(json(&world.tamga(&["--json", "run", "sheet", "1"], b""))["items"]["triggers"], 4);
    *world.records.unbalanced.lock().unwrap() = true;
    check(&world.tamga(&["run", "sheet", "1"], b""), 1, &["A BALANCE DOES NOT HOLD"]);
    check(&world.tamga(&["run", "sheet", "9"], b""), 6, &[]);
}

#[test]
fn a_code_is_shown_from_an_argument_and_from_a_scanner() {
    let world = World::new();
    check(&world.tamga(&["codes", "show", KNOWN], b""), 0, &["(21)A7bQ", "is the code's own", "line1"]);
    let scanned = KNOWN.replace("<GS>", "\u{1d}") + "\r\n";
    check(&world.tamga(&["codes", "show", "-"], scanned.as_bytes()), 0, &["is the code's own"]);
    check(&world.tamga(&["codes", "show", "0104600000000015unknown"], b""), 6, &[]);
    check(&world.tamga(&["codes", "show", "-"], b"\n"), 2, &[]);
    check(&world.tamga(&["codes", "declare", KNOWN, "passed"], b""), 0, &["Declared"]);
    check(&world.tamga(&["codes", "declare", KNOWN, "eaten"], b""), 2, &[]);
}

#[test]
fn nothing_is_declared_at_the_line_of_a_run_that_is_signed_off() {
    let world = World::new();
    *world.records.run_is_closed.lock().unwrap() = true;
    let declared = world.tamga(&["codes", "declare", KNOWN, "scrapped"], b"");
    check(&declared, 1, &[]);
    assert!(String::from_utf8_lossy(&declared.stderr).contains("Run 1 is closed"), "{declared:?}");
    assert!(world.asked.lock().unwrap().is_empty());
}

#[test]
fn codes_that_a_person_must_look_at_are_named_where_the_line_stands() {
    use tamga_domain::ids::Tag;
    use tamga_domain::record::RunState;
    let world = World::new();
    world.start();
    let set = |state| {
        let mut now = tamga_domain::line::ask::Status::clone(&world.status.borrow());
        let run = now.run.as_mut().unwrap();
        run.state = state;
        run.pass_unknown = vec![(crate::world::identity(b"lost1"), Tag { boot: 1, number: 9 })];
        world.status.send_replace(std::sync::Arc::new(now));
    };
    set(RunState::Running);
    let text = world.tamga(&["status"], b"");
    check(&text, 0, &["Pass unknown"]);
    assert!(!String::from_utf8_lossy(&text.stdout).contains("(21)lost1"), "items on their way are not named");
    set(RunState::Stopped);
    check(&world.tamga(&["status"], b""), 0, &["(21)lost1", "Pass unknown, 1/9"]);
}

#[test]
fn what_is_not_found_on_the_belt_is_scrapped_when_asked_for_and_asking_again_changes_nothing() {
    use tamga_domain::ids::{IssueNo, PrinterNo, Tag};
    use tamga_domain::line::ask::InDoubt;
    use tamga_domain::record::{JobOutcome, RunState};
    let world = World::new();
    check(&world.tamga(&["run", "look", "line1"], b""), 1, &[]);
    check(&world.tamga(&["run", "look", "line9"], b""), 6, &[]);
    world.start();
    check(&world.tamga(&["run", "look", "line1"], b""), 1, &[]);
    let mut now = tamga_domain::line::ask::Status::clone(&world.status.borrow());
    let run = now.run.as_mut().unwrap();
    run.state = RunState::Stopped;
    let doubt = |n: u32, serial: &[u8]| InDoubt {
        issue: IssueNo(n),
        code: crate::world::identity(serial),
        printer: PrinterNo(0),
        outcome: JobOutcome::Doubtful,
    };
    run.in_doubt = vec![doubt(1, b"A7bQ-1"), doubt(2, b"A7bQ-2"), doubt(3, b"A7bQ-3")];
    run.pass_unknown = vec![(crate::world::identity(b"lost1"), Tag { boot: 1, number: 9 })];
    world.status.send_replace(std::sync::Arc::new(now));
    let declared = || world.asked.lock().unwrap().iter().filter(|a| a.contains("Declare")).count();
    // Looking changes nothing.
    let found = b"010460000000001521A7bQ-2\r\n010460000000001521A7bQ<GS>93CANARY\nno code\n";
    let look = ["run", "look", "line1", "--scans", "-"];
    let said = [
        "In doubt and not scanned: 2",
        "(21)A7bQ-3",
        "(21)lost1",
        "not in doubt on this line: 1",
        "--scrap-rest",
    ];
    check(&world.tamga(&look, found), 0, &said);
    assert_eq!(declared(), 0);
    let scrap = ["--json", "run", "look", "line1", "--scans", "-", "--scrap-rest"];
    let looked = json(&world.tamga(&scrap, found));
    assert_eq!(looked["found"], serde_json::json!(["(01)04600000000015(21)A7bQ-2"]));
    assert_eq!(looked["scrapped"].as_array().unwrap().len(), 2, "{looked}");
    assert_eq!((&looked["unknown"], looked["left"].as_array().unwrap().len()), (&1.into(), 0));
    assert_eq!(declared(), 2);
    let again = json(&world.tamga(&scrap, found));
    assert_eq!((again["scrapped"].as_array().unwrap().len(), declared()), (0, 2), "{again}");
}

#[test]
fn the_audit_is_read_newest_first() {
    let world = World::new();
    check(&world.tamga(&["audit"], b""), 0, &["Nobody has asked"]);
    world.tamga(&["--who", "Olim", "test", "print", "line1"], b"");
    world.tamga(&["--who", "Anna", "run", "stop", "line1"], b"");
    check(&world.tamga(&["audit"], b""), 0, &["Olim", "Anna", "409 no_run", "/test-print"]);
    let newest = json(&world.tamga(&["--json", "audit", "--limit", "1"], b""));
    assert_eq!((&newest[0]["who"], &newest[0]["from"]), (&"Anna".into(), &"local".into()));
    let older = json(&world.tamga(&["--json", "audit", "--before", "2"], b""));
    assert_eq!((older.as_array().unwrap().len(), &older[0]["who"]), (1, &"Olim".into()));
}

#[test]
fn pool_and_outbox_are_on_one_page() {
    let world = World::new();
    check(&world.tamga(&["upstream"], b""), 0, &["Still 0.5", "1200", "being processed"]);
    check(&world.tamga(&["--lang", "ru", "upstream"], b""), 0, &["обрабатывается"]);
}

#[test]
fn a_list_is_imported_and_its_refusals_are_named() {
    let world = World::new();
    let list = world.folder.join("roll.txt");
    let import =
        |path: &str| world.tamga(&["codes", "import", path, "--roll", "118", "--group", "water"], b"");
    let path = list.display().to_string();
    std::fs::write(&list, "010460000000001521a\n010460000000001521b\n").unwrap();
    check(&import(&path), 0, &["2 codes taken, 0 refused"]);
    std::fs::write(&list, "010460000000001521a\nbad\n").unwrap();
    check(&import(&path), 1, &["1 code taken, 1 refused", "not a code of the product group"]);
    check(&import("/no/such/list"), 2, &[]);
}

#[test]
fn devices_alarms_and_health_from_the_command_line() {
    let world = World::new();
    check(&world.tamga(&["test", "print", "line1"], b""), 0, &["test label"]);
    check(&world.tamga(&["doctor"], b""), 0, &["p1 is connected"]);
    check(&world.tamga(&["alarms"], b""), 1, &["[pool_low]", "Codes are running out: 7"]);
    check(&world.tamga(&["alarms", "ack", "nothing"], b""), 6, &[]);
    check(&world.tamga(&["alarms", "ack", "pool_low"], b""), 0, &["acknowledged"]);
    check(&world.tamga(&["alarms"], b""), 0, &[]);
    check(&world.tamga(&["trace", "on", "p1", "--bytes"], b""), 0, &["bytes"]);
    let label = format!("^FD{}^FS", KNOWN.replace("<GS>", "\u{1d}"));
    world.trace.record(Time(1_000_000), Direction::Out, label.as_bytes());
    check(&world.tamga(&["trace", "show", "p1"], b""), 0, &["0.001000 >", "A7bQ"]);
    check(&world.tamga(&["trace", "off", "x9"], b""), 6, &[]);
}

#[test]
fn json_has_the_shapes_of_the_api() {
    let world = World::new();
    let status = json(&world.tamga(&["status", "--json"], b""));
    assert_eq!(status["lines"][0]["name"], "line1");
    assert!(json(&world.tamga(&["alarms", "--json"], b"")).is_array());
    let start = ["--json", "run", "start", "line1", "--gtin", GTIN, "--batch", "A"];
    assert_eq!(json(&world.tamga(&start, b""))["opened"]["run"], 1);
    let refused = world.tamga(&["--json", "run", "stop", "none"], b"");
    assert_eq!(refused.status.code(), Some(6));
    assert_eq!(json(&refused)["error"], "http.no_line");
}

#[test]
fn a_line_is_reached_though_its_configuration_is_wrong_by_now() {
    let world = World::new();
    let listen = world.base.strip_prefix("http://").unwrap();
    let file = world.folder.join("line.toml");
    let tamga = |text: String| {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamga"));
        command.arg("--config").arg(&file).args(["--lang", "en", "status"]).output().unwrap()
    };
    let api = format!("[agent]\ndata = \".\"\n[api]\nlisten = \"{listen}\"\n");
    let output = tamga(format!("{api}[lines.line1]\nkind = \"prnt\"\n"));
    check(&output, 0, &["line1"]);
    // Where the daemon is cannot be told: nothing is guessed.
    let output = tamga("[agent]\ndata = \".\"\n[api]\nlisten = 7\n".to_owned());
    check(&output, 3, &[]);
}

#[test]
fn exit_codes_tell_scripts_what_happened() {
    let world = World::new();
    check(&world.tamga(&["no-such-command"], b""), 2, &[]);
    check(&world.tamga(&["run", "start", "line1"], b""), 2, &[]);
    check(&world.tamga(&["run", "start", "line1", "--gtin", "1", "--batch", "A"], b""), 2, &[]);
    check(&world.tamga(&["--api", "http://127.0.0.1:1", "status"], b""), 2, &[]);
    check(&world.tamga(&["--help"], b""), 0, &["Exit codes"]);
    check(&world.tamga(&["--version"], b""), 0, &["tamga"]);
    check(&world.tamga(&["completions", "bash"], b""), 0, &["complete"]);
    check(&world.tamga(&["--config", "/no/such/file", "check"], b""), 3, &[]);
    let bare =
        |args: &[&str]| std::process::Command::new(env!("CARGO_BIN_EXE_tamga")).args(args).output().unwrap();
    let token = world.folder.join("api.token").display().to_string();
    check(&bare(&["--api", "http://127.0.0.1:1", "--token-file", &token, "status"]), 4, &[]);
    check(&bare(&["--config", "/no/such/file", "status"]), 3, &[]);
    check(&bare(&["--api", &world.base, "--token-file", "/no/token", "status"]), 5, &[]);
    let wrong = world.folder.join("wrong.token");
    std::fs::write(&wrong, "0".repeat(64)).unwrap();
    let wrong = wrong.display().to_string();
    check(&bare(&["--api", &world.base, "--token-file", &wrong, "status"]), 5, &[]);
}
