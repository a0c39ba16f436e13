//! The catalogue is whole: every language has every key once, with the same placeholders, and every key that the
//! source names exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tamga_domain::pack::doctor::Found;
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::rework::{NotDone, Step};
use tamga_domain::pack::{Holds, Level, PackState, Told};
use tamga_domain::record::Bar;
use tamga_domain::verdict::Reason;

use super::{Language, Placeholder, has, keys, placeholder, say};
use crate::dossier::verify::How;

/// Beginnings of the keys: a string literal of the source that begins with one of these must be a key.
const SECTIONS: &[&str] = &[
    "alarm.",
    "bad.",
    "cli.",
    "code.",
    "config.",
    "db.",
    "dossier.",
    "doubt.",
    "fault.",
    "http.",
    "incident.",
    "job.",
    "order.",
    "pack.",
    "reason.",
    "refuse.",
    "rework.",
    "run.",
    "sheet.",
    "stop.",
    "why.",
];

fn placeholders(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(found) = placeholder(rest) {
        names.insert(found.name);
        rest = found.after;
    }
    names
}

/// Words of a text that go with a count, with all their forms.
fn counted(text: &str) -> Vec<Vec<&str>> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(found) = placeholder(rest) {
        words.extend(found.forms.map(|forms| forms.split('|').collect()));
        rest = found.after;
    }
    words
}

/// What is wrong between two tables; empty when nothing is.
fn differences(one: &BTreeMap<&str, &str>, other: &BTreeMap<&str, &str>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, text) in one {
        match other.get(key) {
            None => found.push(format!("{key} is missing")),
            Some(translated) if placeholders(text) != placeholders(translated) => {
                found.push(format!("{key} has other placeholders"));
            }
            Some(_) => {}
        }
    }
    found
}

/// Keys that stand twice or out of order within their table.
fn disorder(tables: &[super::Table]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for table in tables {
        for (key, text) in *table {
            if !seen.insert(*key) {
                found.push(format!("{key} stands twice"));
            }
            if text.trim() != *text || text.is_empty() {
                found.push(format!("{key} is empty or has blanks around it"));
            }
        }
        if !table.is_sorted_by_key(|(key, _)| *key) {
            found.push(format!("the table that begins with {:?} is not sorted", table.first()));
        }
    }
    found
}

#[test]
fn every_language_has_every_key_with_the_same_placeholders() {
    let english = Language::En.catalogue();
    for language in Language::ALL {
        assert_eq!(differences(english, language.catalogue()), [""; 0], "{language:?}");
        assert_eq!(differences(language.catalogue(), english), [""; 0], "{language:?}");
        assert_eq!(disorder(language.tables()), [""; 0], "{language:?}");
    }
}

#[test]
fn the_comparison_finds_what_it_is_for() {
    let one = BTreeMap::from([("a", "x {n}"), ("b", "y")]);
    let other = BTreeMap::from([("a", "x {m}")]);
    assert_eq!(differences(&one, &other), ["a has other placeholders", "b is missing"]);
    assert_eq!(disorder(&[&[("b", "y"), ("a", "x")], &[("a", "x")]]).len(), 2);
}

#[test]
fn every_reason_has_its_text() {
    // Items that the gate tells of, and no read, are counted by two keys more.
    for key in Reason::KEYS.into_iter().chain(["lost", "escaped"]) {
        assert!(has(&format!("reason.{key}")), "reason.{key}");
        assert!(has(&format!("bad.{key}")), "bad.{key}");
    }
}

#[test]
fn every_word_of_packs_has_its_text() {
    let levels = Level::ALL.map(|level| format!("pack.level.{}", level.key()));
    let states = [PackState::Open, PackState::Closed, PackState::Voided];
    let states = states.iter().map(|state| format!("pack.state.{}", state.key()));
    let refused = NotIn::KEYS.iter().map(|key| format!("pack.not_in.{key}"));
    // Nothing holds pallets.
    let held = [Holds::Items, Holds::Packs(Level::Group), Holds::Packs(Level::Box)];
    let held = held.map(|holds| format!("pack.holds.{}", holds.key()));
    for key in levels.into_iter().chain(states).chain(refused).chain(held) {
        assert!(has(&key), "{key}");
    }
    assert_eq!(super::keys("pack.not_in.").count(), NotIn::KEYS.len());
}

#[test]
fn every_way_in_which_a_dossier_is_broken_has_its_text() {
    for how in How::ALL {
        assert!(has(&format!("dossier.{}", how.key())), "dossier.{}", how.key());
    }
}

#[test]
fn what_is_not_settled_and_its_way_out_have_their_texts() {
    for key in keys("sheet.open.").map(|key| key.trim_start_matches("sheet.open.")) {
        assert!(has(&format!("sheet.way.{key}")), "sheet.way.{key}");
    }
}

#[test]
fn every_bar_has_its_text() {
    for bar in [Bar::Unsettled, Bar::Witness, Bar::Room] {
        for section in ["alarm.stop", "refuse", "stop"] {
            assert!(has(&format!("{section}.{}", bar.key())), "{section}.{}", bar.key());
        }
    }
}

#[test]
fn every_word_of_rework_has_its_text() {
    let not_done = NotDone::KEYS.into_iter().map(|key| format!("not_done.{key}"));
    let steps = Step::KEYS.into_iter().chain(["void_told"]).map(|key| format!("step.{key}"));
    let found = Found::KEYS.into_iter().chain(["void_after"]).map(|key| format!("found.{key}"));
    for key in not_done.chain(steps).chain(found) {
        assert!(has(&format!("rework.{key}")), "rework.{key}");
    }
    for told in Told::ALL {
        assert!(has(&format!("pack.told.{}", told.key())), "{told:?}");
    }
}

#[test]
fn every_fault_has_its_text() {
    // The keys stand in one `match` of the drivers, as `=> "key",`.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers/src/fault.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let keys: Vec<&str> =
        source.lines().filter_map(|line| line.trim().strip_suffix("\",")?.split("=> \"").nth(1)).collect();
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert!(has(&format!("fault.{key}")), "fault.{key}");
    }
}

/// Every string literal in `text` that looks like a key of the catalogue.
fn named_keys(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for literal in text.split('"') {
        let is_key =
            literal.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c));
        if is_key && SECTIONS.iter().any(|section| literal.starts_with(section) && literal != *section) {
            found.insert(literal.to_owned());
        }
    }
    found
}

fn sources(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("words") {
                sources(&path, out);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_key_that_the_source_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("agent"), &mut files);
    assert!(files.len() > 10, "the sources were not found");
    let mut missing = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let strangers = named_keys(&text).into_iter().filter(|key| !has(key));
        missing.extend(strangers.map(|key| format!("{}: {key}", file.display())));
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn placeholders_are_filled_once_and_never_from_values() {
    let said = say(Language::En, "refuse.quantity_reached", &[("quantity", "{quantity}")]);
    assert!(said.contains("{quantity}") && !said.contains("{}"), "{said}");
    assert_eq!(say(Language::En, "no.such.key", &[]), "no.such.key");
    let found = |before, name, forms, after| Some(Placeholder { before, name, forms, after });
    assert_eq!(placeholder("a {b} c"), found("a ", "b", None, " c"));
    assert_eq!(placeholder("a {b: x|y z}c"), found("a ", "b", Some("x|y z"), "c"));
    assert_eq!(placeholder("{} { {x}"), found("{} { ", "x", None, ""));
    assert_eq!(placeholder("{X} {"), None);
}

#[test]
fn a_counted_word_has_all_forms_of_its_language() {
    for (language, forms) in [(Language::En, 2), (Language::Ru, 3)] {
        let words: Vec<_> = language.catalogue().values().flat_map(|text| counted(text)).collect();
        assert!(words.len() >= 5, "{language:?}");
        let wrong = |word: &&Vec<&str>| word.len() != forms || word.iter().any(|form| form.trim() != *form);
        assert_eq!(words.iter().filter(wrong).count(), 0, "{language:?}: {words:?}");
    }
}

#[test]
fn a_word_goes_with_its_count() {
    let english = |n: &str| say(Language::En, "db.settling", &[("left", n)]);
    for (n, expected) in
        [("0", "0 codes to go"), ("1", "1 code to go"), ("2", "2 codes to go"), ("21", "21 codes to go")]
    {
        assert_eq!(english(n), expected);
    }
    assert_eq!(english("?"), "? codes to go", "no number");
    assert_eq!(say(Language::En, "db.settling", &[]), "{left} {left: code|codes} to go");
    let russian = |n: &str| {
        let said = say(Language::Ru, "http.doctor_gs", &[("count", n), ("line", "l1")]);
        said.split(" без").next().unwrap_or_default().to_owned()
    };
    for n in ["1", "21", "101", "1001"] {
        assert_eq!(russian(n), format!("l1: {n} считывание пришло"));
    }
    for n in ["2", "3", "4", "22", "104"] {
        assert_eq!(russian(n), format!("l1: {n} считывания пришли"));
    }
    for n in ["0", "5", "10", "11", "12", "14", "19", "20", "25", "111", "112"] {
        assert_eq!(russian(n), format!("l1: {n} считываний пришли"));
    }
}

#[test]
fn a_language_is_known_by_its_tag() {
    assert_eq!(Language::parse("ru-RU"), Some(Language::Ru));
    assert_eq!(Language::parse("EN"), Some(Language::En));
    assert_eq!(Language::parse("uz"), None);
}
