//! The closing sheet in files: what is written is compared byte by byte with `tests/data/sheet`, and every code is in it
//! as it is, whatever its serial begins with.

use std::path::PathBuf;

use reqwest::Method;

use crate::world::World;

fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/sheet").join(name)
}

/// Compares with what is kept. With `TAMGA_WRITE_SHEETS` set it is written anew, to be looked at by a person.
fn check(name: &str, told: &str) {
    if std::env::var_os("TAMGA_WRITE_SHEETS").is_some() {
        std::fs::create_dir_all(kept("")).unwrap();
        std::fs::write(kept(name), told).unwrap();
    }
    let expected = std::fs::read_to_string(kept(name)).unwrap();
    for (n, (told, expected)) in (1..).zip(told.lines().zip(expected.lines())) {
        assert_eq!(told, expected, "{name}, line {n}");
    }
    assert!(told == expected, "{name} has another end");
}

fn get(world: &World, path: &str, language: &str) -> String {
    let request = world.request(Method::GET, &format!("/api/v1/runs/1/{path}"));
    let (status, text) = world.send(request.header("accept-language", language));
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// Without the moment at which it was made.
fn timeless(page: &str) -> String {
    let (before, after) = page.split_once("a1, 20").unwrap();
    let (_, rest) = after.split_once("Z.").unwrap();
    format!("{before}a1, NOW.{rest}")
}

#[test]
fn lists_and_pages_are_as_they_are_kept() {
    let world = World::new();
    check("codes.csv", &get(&world, "codes.csv", "en"));
    check("codes.jsonl", &get(&world, "codes", "en"));
    check("packs.csv", &get(&world, "packs.csv", "en"));
    for language in ["en", "ru"] {
        check(&format!("sheet.{language}.csv"), &get(&world, "sheet.csv", language));
        let page = timeless(&get(&world, "sheet.html?codes=1", language));
        check(&format!("page.{language}.html"), &page);
        for foreign in ["<script", "http:", "https:", "<img", "<link", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}: a page needs nothing from elsewhere");
        }
    }
    let without = get(&world, "sheet.html", "en");
    assert!(!without.contains("12345678901234567890") && without.ends_with("</html>\n"));
    let packs = get(&world, "packs.csv", "en");
    assert_eq!(packs.lines().count(), 3, "the columns, the box and the pallet");
}

#[test]
fn files_are_written_whole_by_the_command_line_and_the_list_is_counted() {
    let world = World::new();
    let folder = world.folder.join("out");
    std::fs::create_dir(&folder).unwrap();
    let (csv, html) = (folder.display().to_string(), folder.join("sheet.html").display().to_string());
    let done = world.tamga(&["run", "sheet", "1", "--csv", &csv, "--html", &html, "--codes"], b"");
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said} {}", String::from_utf8_lossy(&done.stderr));
    for name in ["run-1-sheet.csv", "run-1-packs.csv", "run-1-codes.csv", "sheet.html"] {
        assert!(said.contains(name), "{said}");
    }
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["run-1-codes.csv", "run-1-packs.csv", "run-1-sheet.csv", "sheet.html"],
        "no part is left"
    );
    let codes = std::fs::read_to_string(folder.join("run-1-codes.csv")).unwrap();
    assert_eq!(codes, std::fs::read_to_string(kept("codes.csv")).unwrap());
    // The sheet says one code more than the list has.
    *world.records.issued.lock().unwrap() = 6;
    let done = world.tamga(&["run", "sheet", "1", "--csv", &csv], b"");
    assert_eq!(done.status.code(), Some(1));
    let why = String::from_utf8(done.stderr).unwrap();
    assert!(why.contains("5 codes and the sheet 6"), "{why}");
    let done = world.tamga(&["run", "sheet", "1", "--csv", "/no/such/folder"], b"");
    assert_eq!(done.status.code(), Some(7));
    let done = world.tamga(&["run", "sheet", "77", "--html", &html], b"");
    assert_eq!(done.status.code(), Some(6));
}

/// Made while it is read, in several looks at each part; what bars a signature bars it here too.
#[test]
fn a_dossier_is_made_as_it_is_read_and_nothing_is_signed_over_what_bars_it() {
    let world = World::new();
    let text = get(&world, "dossier", "en");
    let found = tamga::dossier::verify::verify(text.as_bytes()).unwrap();
    assert!(matches!(found, tamga::dossier::verify::Found::Whole { .. }), "{found:?}");
    assert_eq!(text.matches("\"kind\":\"audit\"").count(), 1_007, "three looks");
    assert_eq!(text.matches("\"kind\":\"pack\"").count(), 2);
    assert!(text.contains("=1+1,\\\"<&") && !text.contains("CANARY"), "serials are there, no tail is");
    let unsigned = world.request(Method::GET, "/api/v1/runs/1/dossier?signed=1");
    assert_eq!(world.send(unsigned).0, 404);
    let (status, why) = world.post("/api/v1/runs/1/sign", serde_json::json!({"unsettled": "x"}));
    assert_eq!((status, &why["error"]), (409, &"http.sign_bars".into()), "{why}");
    *world.records.unpacked.lock().unwrap() = 1;
    assert!(world.records.signed.lock().unwrap().is_empty());
    assert!(!world.folder.join("dossiers").exists(), "nothing is left of what was not signed");
}

#[test]
fn the_sheet_on_the_screen_shows_packs_and_each_way_out() {
    let world = World::new();
    let done = world.tamga(&["run", "sheet", "1"], b"");
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    for part in [
        "In closed packs",
        "pallet1",
        "torn",
        "(00)046000000000000022",
        "Items that passed and are in no pack: 1",
        "Open packs of this run only: 1",
        "tamga pack short pallet1",
        "tamga codes declare CODE scrapped",
        "holds =",
        "not signed yet",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let (_, sheet) = world.get("/api/v1/runs/1/sheet");
    assert_eq!(sheet["packs"]["levels"][0]["within"], 1);
    assert_eq!(sheet["packs"]["balanced"], true);
    *world.records.unpacked.lock().unwrap() = 1;
    let (_, sheet) = world.get("/api/v1/runs/1/sheet");
    assert_eq!((&sheet["packs"]["balanced"], &sheet["balanced"]), (&false.into(), &false.into()));
    let done = world.tamga(&["--lang", "ru", "run", "sheet", "1"], b"");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("НЕ СХОДИТСЯ ≠") && said.contains("tamga pack short pallet1"), "{said}");
}
