//! What a person asks by the command line, of the agent as it is shipped.

use std::process::{Command, Output};

use serde_json::Value;
use tamga_domain::pack::PackState;
use tamga_domain::sscc::Sscc;

use crate::desk::{CLOSED, Desk, TAKEN};
use crate::kit::mark;

impl Desk {
    /// The real binary against this agent, by its configuration.
    pub async fn tamga(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
        command
            .arg("--config")
            .arg(self.folder.path().with_extension("toml"))
            .args(["--lang", "en"])
            .args(args);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    /// Its answer as JSON, when it ends with this code.
    pub async fn json(&self, code: i32, args: &[&str]) -> Value {
        let output = self.tamga(&[&["--json"], args].concat()).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
        assert!(!out.contains("dGVz") && !err.contains("dGVz"), "a tail came out: {out}{err}");
        serde_json::from_str(&out).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_is_mended_closed_short_and_looked_at_from_the_command_line() {
    let mut desk = Desk::new(20, 3).await;
    let why = ["--reason", "leaks"];
    let refused = desk.json(1, &["pack", "short", "box1", "--reason", "x"]).await;
    assert_eq!(refused["error"], "refuse.no_open_pack");
    for n in [1, 2] {
        desk.scanner.scan(&mark(n)).await;
        assert_eq!(desk.scanner.hears().await, TAKEN);
    }
    let status = desk.json(0, &["status"]).await;
    let station = &status["stations"][0];
    assert_eq!((&station["name"], &station["open"]["content"]), (&"box1".into(), &2.into()));
    assert_eq!((&station["last"]["good"], &station["last"]["text"]), (&true.into(), &"In: 2 of 3.".into()));
    assert_eq!(station["reader_connected"], true);

    let scan = text(&mark(2)).replace('\u{1d}', "{GS}");
    let out = ["pack", "out", "box1", &scan, why[0], why[1]];
    assert_eq!(desk.json(0, &out).await["out"]["left"], 1);
    assert_eq!(desk.json(1, &out).await["error"], "refuse.not_in_pack");
    let none = desk.json(6, &["pack", "show", &scan]).await;
    assert_eq!(none["error"], "http.not_packed");
    let early = desk.json(1, &["pack", "reprint", "box1", "--reason", "torn"]).await;
    assert_eq!(early["error"], "refuse.no_label");

    desk.json(0, &["pack", "short", "box1", "--reason", "end of the batch"]).await;
    let label = desk.label(0).await;
    desk.json(0, &["pack", "reprint", "box1", "--reason", "torn"]).await;
    assert_eq!(desk.label(1).await, label, "the same name");
    let station = &desk.json(0, &["status"]).await["stations"][0];
    assert_eq!((&station["printer_connected"], &station["faults"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(station["open"]["name"], Sscc::parse_read(&label).unwrap().to_string());
    desk.scanner.scan(&label).await;
    assert_eq!(desk.scanner.hears().await, CLOSED);

    let name = Sscc::parse_read(&label).unwrap();
    let lone = text(&mark(1)).replace('\u{1d}', "<GS>");
    for scan in [name.to_string(), text(&label), lone.clone()] {
        let pack = desk.json(0, &["pack", "show", &scan]).await;
        assert_eq!(pack["pack"]["name"], name.to_string(), "{scan}");
        assert_eq!(pack["content"][0]["code"]["serial"], "S000000000001");
        let changes = pack["changes"].as_array().unwrap();
        let changes: Vec<_> = changes
            .iter()
            .map(|c| {
                ["what/key", "detail", "why"]
                    .map(|at| c.pointer(&format!("/{at}")).unwrap().as_str().unwrap())
            })
            .collect();
        let named = name.to_string();
        let expected = [
            ["opened", "", ""],
            ["named", named.as_str(), ""],
            ["label", "1", ""],
            ["label", "2", "torn"],
            ["short", "", "end of the batch"],
        ];
        assert_eq!(changes, expected);
        let taken = &pack["taken_out"][0];
        assert_eq!(
            (&taken["what"]["code"]["serial"], &taken["why"]),
            (&"S000000000002".into(), &"leaks".into())
        );
    }
    assert_eq!(desk.json(0, &["codes", "show", &lone]).await["pack"]["name"], name.to_string());
    let scrap = desk.json(1, &["codes", "declare", &lone, "scrapped"]).await;
    assert_eq!(
        (&scrap["error"], &scrap["args"]["pack"]),
        (&"refuse.in_pack".into(), &name.to_string().into())
    );

    // A box that is void gives its items back.
    desk.scanner.scan(&mark(3)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    desk.json(0, &["pack", "void", "box1", "--reason", "wet"]).await;
    assert!(desk.open().is_none());
    desk.scanner.scan(&mark(3)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    let audit = desk.json(0, &["audit"]).await;
    let commands: Vec<_> = audit.as_array().unwrap().iter().map(|e| e["command"].as_str().unwrap()).collect();
    assert_eq!(commands[0], "POST /api/v1/stations/box1/void reason=wet");
    let out = "POST /api/v1/stations/box1/out what=(01)04780012345677(21)S000000000002 reason=leaks";
    assert!(commands.contains(&out), "{commands:?}");
    assert_eq!(desk.pack(name).map(|pack| pack.state), Some(PackState::Closed));
    assert!(desk.is_sound());
    desk.end().await;
}
