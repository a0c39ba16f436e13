//! Rework and the box doctor by the command line, of the agent as it is shipped: a person with boxes, labels and wrong scans.

use serde_json::Value;
use tamga_domain::pack::{PackState, Told};
use tamga_domain::sscc::Sscc;

use crate::desk::{CLOSED, Desk, TAKEN};
use crate::kit::{GTIN, mark};

/// What upstream was told of a pack, as the reporter writes it.
fn told(desk: &Desk, pack: u64, told: Told) {
    let number = i64::try_from(Told::ALL.iter().position(|one| *one == told).unwrap()).unwrap();
    let conn = rusqlite::Connection::open(tamga::store::open::database_path(desk.folder.path())).unwrap();
    conn.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    // As the records of its aggregation leave it.
    let document = match told {
        Told::Aggregating => {
            "INSERT INTO documents(document_no, kind, state, moment, pieces, open, drafted_at, changed_at) \
             VALUES(1, 0, 3, 0, 1, 1, 0, 0); INSERT INTO document_pieces(document_no, piece, pack_no) VALUES(1, 1, ?1)"
        }
        Told::Aggregated => {
            "UPDATE document_pieces SET ended = 1 WHERE pack_no = ?1; \
             UPDATE documents SET state = 4, open = 0, taken = 1 WHERE document_no = 1"
        }
        other => panic!("{other:?}"),
    };
    conn.execute_batch(&document.replace("?1", &pack.to_string())).unwrap();
    conn.execute("UPDATE packs SET told = ?2 WHERE pack_no = ?1", (pack as i64, number)).unwrap();
}

fn scan(n: u32) -> String {
    String::from_utf8(mark(n)).unwrap().replace('\u{1d}', "{GS}")
}

/// As it stands below the symbol, without the tail.
fn readable(n: u32) -> String {
    format!("(01){}(21)S{n:012}", String::from_utf8_lossy(GTIN))
}

/// A closed box of these items at the station; its name.
async fn boxed(desk: &mut Desk, items: std::ops::RangeInclusive<u32>, label: usize) -> Sscc {
    for n in items {
        desk.scanner.scan(&mark(n)).await;
        assert_eq!(desk.scanner.hears().await, TAKEN, "{n}");
    }
    let label = desk.label(label).await;
    desk.scanner.scan(&label).await;
    assert_eq!(desk.scanner.hears().await, CLOSED);
    Sscc::parse_read(&label).unwrap()
}

fn keys(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_upstream_knows_gets_a_new_name_and_needs_no_rescan() {
    let mut desk = Desk::new(12, 3).await;
    let name = boxed(&mut desk, 1..=3, 0).await;
    let label = format!("]C100{name}");
    let why = ["--reason", "leaks"];
    // Unknown upstream: it changes under its name, at once, and its label shows how many.
    let said = desk.json(0, &["pack", "take-out", &scan(3), why[0], why[1]]).await;
    assert_eq!((&said["done"], keys(&said["steps"])), (&true.into(), vec!["out", "count"]));
    let again = desk.json(1, &["pack", "take-out", &readable(3), why[0], why[1]]).await;
    assert_eq!(again["error"], "rework.not_done.not_packed");
    let wrong = desk.json(1, &["pack", "replace", &scan(1), &scan(2), why[0], why[1]]).await;
    assert_eq!(wrong["error"], "rework.not_done.not_in");
    let wrong = desk.json(2, &["pack", "empty", &scan(1), why[0], why[1]]).await;
    assert_eq!(wrong["error"], "rework.scan_label");
    desk.json(2, &["pack", "empty", "junk", why[0], why[1]]).await;
    desk.json(6, &["pack", "empty", "046000000000000039", why[0], why[1]]).await;
    desk.json(0, &["pack", "label", &label, "box1", "--reason", "two are left"]).await;
    assert_eq!(desk.label(1).await, name.render(), "the same name, on a label with the right count");

    // Upstream works on it, then knows it.
    let pack = u64::from(desk.pack(name).unwrap().pack.0);
    told(&desk, pack, Told::Aggregating);
    let wait = desk.json(1, &["pack", "take-out", &scan(2), why[0], why[1], "--yes"]).await;
    assert_eq!(wait["error"], "rework.not_done.wait");
    assert_eq!(keys(&desk.json(0, &["pack", "doctor", &label]).await["found"]), ["waits"]);
    told(&desk, pack, Told::Aggregated);
    let shown = desk.json(0, &["pack", "take-out", &scan(2), why[0], why[1]]).await;
    assert_eq!((&shown["done"], keys(&shown["steps"])), (&false.into(), vec!["void_told", "out", "new"]));
    assert_eq!(desk.pack(name).unwrap().content, 2, "it was only shown");
    let done = desk.json(0, &["pack", "take-out", &scan(2), why[0], why[1], "--yes"]).await;
    assert_eq!((&done["done"], &done["new"][0]["of"]["name"]), (&true.into(), &name.to_string().into()));
    assert_eq!(desk.pack(name).unwrap().state, PackState::Voided);

    // The old label on the box names what stayed in it, which gets its own.
    let found = desk.json(0, &["pack", "doctor", &label]).await;
    assert_eq!(
        (keys(&found["found"]), &found["was"]["name"]),
        (vec!["void_after"], &name.to_string().into())
    );
    assert_eq!(keys(&desk.json(0, &["pack", "doctor", &scan(1)]).await["found"]), ["unlabelled"]);
    let other = desk.json(1, &["pack", "close", &label, &label]).await;
    assert_eq!(other["error"], "pack.name_used");
    desk.json(0, &["pack", "label", &label, "box1", "--reason", "new name"]).await;
    let new = desk.label(2).await;
    assert_ne!(new, name.render());
    assert_eq!(keys(&desk.json(0, &["pack", "doctor", &scan(1)]).await["found"]), ["unread"]);
    let wrong = desk.json(1, &["pack", "close", &scan(1), &label]).await;
    assert_eq!(wrong["error"], "pack.other_label", "the old label is not scanned in its place");
    let new_text = String::from_utf8(new.clone()).unwrap();
    for _ in 0..2 {
        let closed = desk.json(0, &["pack", "close", &label, &new_text]).await;
        assert_eq!(
            (&closed["pack"]["state"]["key"], &closed["pack"]["content"]),
            (&"closed".into(), &1.into())
        );
    }
    // The station went on meanwhile.
    boxed(&mut desk, 4..=6, 3).await;
    assert!(desk.is_sound());
    let shown = desk.tamga(&["pack", "show", &scan(1)]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("what stayed in") && shown.contains("leaks"), "{shown}");
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_counts_a_box_through_and_rights_it_after_one_confirmation() {
    let mut desk = Desk::new(12, 3).await;
    let name = boxed(&mut desk, 1..=3, 0).await.to_string();
    let other = boxed(&mut desk, 4..=6, 1).await.to_string();
    let well = desk.json(0, &["pack", "doctor", &name]).await;
    assert_eq!((&well["found"], &well["right"]), (&Value::Array(vec![]), &Value::Null));
    assert_eq!(well["story"]["content"].as_array().map(Vec::len), Some(3));
    // 1 is there; 2 and 3 are not; 7 lies in no pack; 5 in the other one; 900 is nobody's.
    let seen = ["--seen", &scan(1), "--seen", &readable(7), "--seen", &scan(5), "--seen", &scan(900)];
    let ask = [&["pack", "doctor", name.as_str()], &seen[..]].concat();
    let found = desk.json(0, &ask).await;
    assert_eq!(keys(&found["found"]), ["missing", "missing", "extra", "elsewhere", "stranger"]);
    let steps = keys(&found["right"]["steps"]).join(" ");
    assert_eq!(steps, "out out out in in count");
    let confirm = [&ask[..], &["--yes", "--reason", "counted"]].concat();
    let done = desk.json(0, &confirm).await;
    assert_eq!(done["done"], true);
    let counted = [&["pack", "doctor", name.as_str()], &seen[..6]].concat();
    assert_eq!(desk.json(0, &counted).await["found"], Value::Array(vec![]), "the books are what is in it");
    // All that is in the box belongs to the other one: nothing is moved, its label is wrong.
    let swapped = ["pack", "doctor", &name, "--seen", &scan(4), "--seen", &scan(6), "--yes", "--reason", "x"];
    let found = desk.json(0, &swapped).await;
    assert_eq!((keys(&found["found"]), &found["right"]), (vec!["wrong_label"], &Value::Null));
    assert!(found["found"][0]["text"].as_str().unwrap().contains(&other), "{found}");
    // Not a code at all among the scans: nothing is guessed.
    let junk = desk.json(2, &["pack", "doctor", &name, "--seen", "junk"]).await;
    assert_eq!(junk["error"], "refuse.not_a_code");
    // A plan that is not the one that was shown.
    let audit = desk.json(0, &["audit"]).await;
    let command = audit[0]["command"].as_str().unwrap();
    assert!(
        command.starts_with("POST /api/v1/packs/mend what=(00)") && command.ends_with("reason=counted"),
        "{command}"
    );
    assert!(desk.is_sound());
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boxes_are_merged_emptied_sampled_and_scrapped_by_the_command_line() {
    let mut desk = Desk::new(12, 3).await;
    let one = boxed(&mut desk, 1..=3, 0).await.to_string();
    let two = boxed(&mut desk, 4..=6, 1).await.to_string();
    let why = ["--reason", "test"];
    let ask =
        |args: &[&str]| [&["pack"], args, &why].concat().iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let run = async |desk: &Desk, code: i32, args: &[&str]| {
        let args = ask(args);
        desk.json(code, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    assert_eq!(run(&desk, 1, &["merge", &one, &one]).await["error"], "rework.not_done.not_alike");
    let full = run(&desk, 1, &["merge", &one, &two]).await;
    assert!(full["text"].as_str().unwrap().contains("The pack is full"), "{full}");
    run(&desk, 0, &["sample", &scan(1), &scan(2)]).await;
    run(&desk, 0, &["back", &scan(4)]).await;
    let done = run(&desk, 0, &["merge", &one, &two]).await;
    assert_eq!(done["done"], true, "its end is what was asked");
    assert_eq!(run(&desk, 1, &["merge", &one, &two]).await["error"], "rework.not_done.voided");
    run(&desk, 0, &["replace", &scan(3), &scan(7), "--fate", "scrap"]).await;
    let code = desk.json(0, &["codes", "show", &scan(3)]).await;
    assert_eq!(code["state"]["key"], "spoiled.declared");
    let full = run(&desk, 1, &["move", &scan(8), "--to", &two]).await;
    assert_eq!(full["error"], "rework.not_done.not_in");
    run(&desk, 0, &["take-out", &scan(5)]).await;
    run(&desk, 0, &["move", &scan(8), "--to", &two]).await;
    let wrong = run(&desk, 1, &["move", &scan(3), "--to", &two]).await;
    assert!(wrong["text"].as_str().unwrap().contains("dead"), "{wrong}");
    run(&desk, 0, &["empty", &two]).await;
    assert_eq!(run(&desk, 1, &["empty", &two]).await["error"], "rework.not_done.voided");
    assert!(desk.is_sound());
    desk.end().await;
}
