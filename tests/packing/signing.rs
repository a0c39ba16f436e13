//! A run's end, from the command line of the agent as it is shipped: what bars a signature, the signature, and the dossier
//! that stands for it, which is verified without the agent.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tamga_domain::record::{Record, RunState};

use crate::desk::{CLOSED, Desk, TAKEN};
use crate::kit::{World, mark};

/// The binary where there is no agent, no configuration and no database.
fn verify(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
    command.env_clear().args([
        "--config",
        "/no/such/file.toml",
        "--lang",
        "en",
        "--json",
        "dossier",
        "verify",
    ]);
    command.args(args).output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, Value) {
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_signed_when_nothing_bars_it_and_its_dossier_stands_for_it() {
    let mut desk = Desk::of_run(5, 3, true).await;
    let sign = ["run", "sign", "1"];
    let why = ["run", "sign", "1", "--unsettled", "three are samples"];
    let refused = desk.json(1, &sign).await;
    assert_eq!((&refused["error"], &refused["args"]["count"]), (&json!("http.sign_unsettled"), &json!("5")));
    for n in [1, 2] {
        desk.scanner.scan(&mark(n)).await;
        assert_eq!(desk.scanner.hears().await, TAKEN);
    }
    // An open pack that nothing more can come into, and no reason helps.
    for asked in [&sign[..], &why[..]] {
        let refused = desk.json(1, asked).await;
        assert_eq!(refused["error"], "http.sign_bars");
        assert!(refused["text"].as_str().unwrap().contains("tamga pack short box1"), "{refused}");
    }
    desk.json(0, &["pack", "short", "box1", "--reason", "end of the batch"]).await;
    let label = desk.label(0).await;
    desk.scanner.scan(&label).await;
    assert_eq!(desk.scanner.hears().await, CLOSED);
    assert_eq!(desk.json(2, &["run", "sign", "1", "--unsettled", "a\nb"]).await["error"], "http.bad_field");
    assert_eq!(desk.json(6, &["run", "sign", "9"]).await["error"], "http.no_run");

    let now = desk.json(0, &why).await;
    let head = now["signed"]["head"].as_str().unwrap().to_owned();
    assert_eq!(
        (&now["signed"]["unsettled"], &now["signed"]["why"]),
        (&json!(8), &json!("three are samples"))
    );
    let kept = Path::new(now["path"].as_str().unwrap()).to_owned();
    let folder = kept.parent().unwrap();
    let names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "{names:?}");

    // Without the agent: whole, and the head is that of the signature.
    let path = kept.to_str().unwrap();
    let (code, whole) = told(&verify(&[path, "--head", &head]));
    assert_eq!((code, &whole["whole"], &whole["head"]), (Some(0), &json!(true), &json!(head)));
    assert_eq!(whole["line"], now["signed"]["lines"]);
    let (code, other) = told(&verify(&[path, "--head", &"0".repeat(64)]));
    assert_eq!((code, &other["wrong"]), (Some(1), &json!("other_head")));
    let bytes = std::fs::read(&kept).unwrap();
    let bent = folder.join("bent");
    let at = bytes.windows(11).position(|w| w == b"end of the ").unwrap();
    let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count();
    let mut changed = bytes.clone();
    changed[at] = b'E';
    std::fs::write(&bent, changed).unwrap();
    let (code, broken) = told(&verify(&[bent.to_str().unwrap()]));
    assert_eq!((code, &broken["wrong"], &broken["line"]), (Some(1), &json!("changed"), &json!(line)));
    assert_eq!(verify(&["/no/such/dossier"]).status.code(), Some(6));
    assert_eq!(verify(&[path, "--head", "12"]).status.code(), Some(2));
    std::fs::remove_file(&bent).unwrap();

    what_it_says(&lines(&kept));
    assert!(!String::from_utf8_lossy(&bytes).contains("dGVz"), "no tail is in it");

    // The same file by the API, and one of now, which has another head.
    let copy = folder.with_extension("copy");
    let to = copy.to_str().unwrap();
    desk.json(0, &["dossier", "write", "1", to, "--signed"]).await;
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    desk.json(0, &["dossier", "write", "1", to]).await;
    let (code, of_now) = told(&verify(&[to]));
    assert_eq!(code, Some(0));
    assert_ne!(of_now["head"], head);
    assert_eq!(desk.json(6, &["dossier", "write", "9", to]).await["error"], "http.no_run");

    // It stands on the sheet, on the page, and in the audit log.
    let sheet = desk.json(0, &["run", "sheet", "1"]).await;
    assert_eq!((&sheet["signed"][0]["head"], &sheet["balanced"]), (&json!(head), &json!(true)));
    assert_eq!(
        sheet["packs"]["items"],
        json!({"passed": 5, "in_closed": 2, "in_open": 0, "as_packs": 0, "loose": 3, "dead": 0, "balanced": true})
    );
    desk.json(0, &["run", "sheet", "1", "--html", to, "--codes"]).await;
    assert!(std::fs::read_to_string(&copy).unwrap().contains(&head));
    let audit = desk.json(0, &["audit"]).await;
    let commands = audit.as_array().unwrap().iter().map(|e| e["command"].as_str().unwrap());
    assert_eq!(commands.filter(|c| c.contains("/runs/1/sign unsettled=three are samples")).count(), 2);
    std::fs::remove_file(&copy).unwrap();
    assert!(desk.is_sound());
    desk.end().await;
}

fn what_it_says(lines: &[Value]) {
    let kinds: BTreeSet<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    for kind in ["dossier", "run", "order", "pack", "audit", "codes", "sheet", "signed", "end"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    let of = |kind: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["kind"] == kind).map(|line| &line["body"]).collect()
    };
    assert_eq!((&of("dossier")[0]["run"], &of("dossier")[0]["plan"]["batch"]), (&json!(1), &json!("B1")));
    let run: Vec<_> = of("run").iter().map(|b| b["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(run, ["stopped", "running", "closing", "closed"]);
    let pack: Vec<_> = of("pack").iter().map(|b| b["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(pack, ["opened", "named", "label", "short"]);
    let short = of("pack")[3];
    assert!(short["why"] == "end of the batch" && short["who"].as_str().is_some());
    assert!(of("audit").iter().any(|b| b["what"].as_str().unwrap().contains("/stations/box1/short")));
    assert!(of("audit").iter().all(|b| b["from"].as_str().is_some_and(|from| !from.is_empty())));
    let mut serials = BTreeSet::new();
    for body in of("codes") {
        let packed = body["packs"].as_array().unwrap().len();
        for serial in body["serials"].as_array().unwrap() {
            let n: u32 = serial.as_str().unwrap().trim_start_matches('S').parse().unwrap();
            assert!(serials.insert(n));
            assert_eq!(packed, usize::from(n <= 2), "{n}");
        }
    }
    assert_eq!(serials, (1..=5).collect());
    assert_eq!(of("sheet")[0]["balanced"], true);
    assert_eq!(
        (&of("signed")[0]["why"], &of("signed")[0]["unsettled"]),
        (&json!("three are samples"), &json!(8))
    );
    let last = lines.last().unwrap();
    assert_eq!((&last["kind"], &last["body"]["lines"]), (&json!("end"), &json!(lines.len())));
}

/// The store of a run that is open takes no signature, whoever asks.
#[test]
fn an_open_run_is_not_signed() {
    let mut w = World::new();
    let run = w.run("r");
    assert!(w.run_state(run, RunState::Stopped).is_ok());
    let (who, from, why) = ("anna".to_owned(), "local".to_owned(), String::new());
    let record =
        Record::SignedOff { run, who, from, why, unresolved: 0, lines: 1, head: [0; 32], at: w.at() };
    w.refused(record);
}
