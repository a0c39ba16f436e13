//! The house stays clean: layers, sizes, bans. Each rule is a function over (path, text), and each is shown to fail on
//! a planted text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;

/// Words that a source must not contain, where, and why.
const BANS: [(&str, &str, &str); 9] = [
    ("thread::sleep", "", "wait on a level, never sleep"),
    ("#[ignore", "", "a test that does not run proves nothing"),
    ("HashMap", "agent/domain/", "iteration order must be the same in every run: BTreeMap"),
    ("tokio", "agent/domain/", "the domain is pure"),
    ("rusqlite", "agent/domain/", "the domain is pure"),
    ("SystemTime", "agent/domain/", "time comes in as an argument"),
    ("Instant::now", "agent/domain/", "time comes in as an argument"),
    ("tamga_domain", "simulators/", "simulators share no code with the agent"),
    ("tamga_drivers", "simulators/", "simulators share no code with the agent"),
];

/// Files in which a banned word is the point.
const ALLOWED: [(&str, &str); 1] = [("tests/tidy.rs", "")];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("a folder of the project").map(|e| e.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut paths = vec![];
    sources(&root(), &mut paths);
    assert!(paths.len() > 20, "the walk found the project");
    let relative =
        |p: &PathBuf| p.strip_prefix(root()).expect("under the root").to_string_lossy().into_owned();
    paths.iter().map(|p| (relative(p), fs::read_to_string(p).expect("UTF-8"))).collect()
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > FILE_LINES_MAX).then(|| format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"))
}

fn banned(path: &str, text: &str) -> Vec<String> {
    if ALLOWED.iter().any(|(p, _)| *p == path) {
        return vec![];
    }
    let code = |l: &&str| !l.trim_start().starts_with("//");
    let mut problems = vec![];
    for (word, under, why) in BANS {
        let hit = text.lines().filter(code).any(|l| l.contains(word));
        if path.starts_with(under) && hit {
            problems.push(format!("{path}: `{word}`: {why}"));
        }
    }
    problems
}

fn without_head(path: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    (!first.starts_with("//!")).then(|| format!("{path}: begins without `//!`"))
}

/// The layers of the agent, from the list in its `lib.rs`: a module may use only what stands before it.
fn layers(lib: &str) -> BTreeMap<String, usize> {
    let names = lib.lines().filter_map(|l| l.strip_prefix("//! - [`"));
    let names = names.filter_map(|l| l.split('`').next()).map(str::to_owned);
    names.enumerate().map(|(n, name)| (name, n)).collect()
}

fn upward_imports(layers: &BTreeMap<String, usize>, path: &str, text: &str) -> Vec<String> {
    let Some(inner) = path.strip_prefix("agent/src/") else { return vec![] };
    let module = inner.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let Some(own) = layers.get(module) else { return vec![] };
    let used = text.split("crate::").skip(1).filter_map(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        layers.get(&name).map(|n| (name, *n))
    });
    used.filter(|(_, n)| n > own).map(|(name, _)| format!("{path}: uses `{name}`, a layer above")).collect()
}

#[test]
fn files_are_short_begin_with_what_they_are_and_use_nothing_banned() {
    let mut problems = vec![];
    for (path, text) in all() {
        problems.extend(too_long(&path, &text));
        problems.extend(without_head(&path, &text));
        problems.extend(banned(&path, &text));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_module_of_the_agent_uses_only_what_stands_before_it() {
    let lib = fs::read_to_string(root().join("agent/src/lib.rs")).expect("the map of the crate");
    let layers = layers(&lib);
    let modules = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| l.trim_end_matches(';'));
    for module in modules {
        assert!(layers.contains_key(module), "`{module}` is not in the list of layers");
    }
    let problems: Vec<String> = all().iter().flat_map(|(p, t)| upward_imports(&layers, p, t)).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_product_depends_on_no_simulator_and_simulators_on_nothing_of_ours() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let product =
        manifest.split("\n[dependencies]").nth(1).and_then(|t| t.split("\n[").next()).expect("a section");
    assert!(!product.contains("simulators"));
    let simulators = fs::read_to_string(root().join("simulators/Cargo.toml")).expect("the manifest");
    assert!(!simulators.split("[dependencies]").nth(1).expect("a section").contains("tamga"));
}

#[test]
fn each_rule_fails_on_a_planted_text() {
    assert!(too_long("x.rs", &"x\n".repeat(FILE_LINES_MAX + 1)).is_some());
    assert!(without_head("x.rs", "fn main() {}").is_some());
    assert_eq!(banned("tests/x.rs", "std::thread::sleep(d);").len(), 1);
    assert_eq!(banned("agent/domain/src/x.rs", "use std::collections::HashMap;").len(), 1);
    assert_eq!(banned("simulators/src/x.rs", "use tamga_domain::code;").len(), 1);
    let layers = layers("//! - [`store`]: a\n//! - [`web`]: b\n");
    assert_eq!(upward_imports(&layers, "agent/src/store/writer.rs", "use crate::web::serve;").len(), 1);
    assert!(upward_imports(&layers, "agent/src/web/mod.rs", "use crate::store::Reader;").is_empty());
}
