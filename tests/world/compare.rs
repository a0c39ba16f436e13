//! The agent's books against what the simulators know: printed, passed, applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tamga_simulators::model::truth::{Fate, Item, Truth};
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::truth::Truth as StateTruth;

use super::operator::Operator;

/// One comparison.
pub struct Finding {
    pub what: &'static str,
    pub agent: String,
    pub truth: String,
    agrees: bool,
}

impl Finding {
    pub fn agrees(&self) -> bool {
        self.agrees
    }
}

fn equal(what: &'static str, agent: u64, truth: u64) -> Finding {
    Finding { what, agent: agent.to_string(), truth: truth.to_string(), agrees: agent == truth }
}

/// What a gate forgot with its power before anybody could ask is in nobody's books.
fn between(what: &'static str, agent: u64, least: u64, most: u64) -> Finding {
    let truth = if least == most { most.to_string() } else { format!("{least} to {most}") };
    Finding { what, agent: agent.to_string(), truth, agrees: (least..=most).contains(&agent) }
}

fn none(what: &'static str, found: &BTreeSet<String>) -> Finding {
    let shown: Vec<&str> = found.iter().take(3).map(String::as_str).collect();
    let truth =
        if found.is_empty() { "none".to_owned() } else { format!("{}: {}", found.len(), shown.join(" ")) };
    Finding { what, agent: "none".to_owned(), truth, agrees: found.is_empty() }
}

/// GTIN and serial of an element string of the water layout: what a person calls the code.
fn identity(symbol: &[u8]) -> String {
    let end = symbol.iter().position(|b| *b == 0x1D).unwrap_or(symbol.len());
    String::from_utf8_lossy(&symbol[..end]).into_owned()
}

/// Compares sheet, belt and state system.
pub async fn books(sheet: &Value, plant: &Truth, state: &StateTruth, operator: &Operator) -> Vec<Finding> {
    let number = |v: &Value| v.as_u64().unwrap_or(u64::MAX);
    let passed: Vec<String> = plant.passed_codes().iter().map(|c| identity(c)).collect();
    let passed_set: BTreeSet<String> = passed.iter().cloned().collect();
    let behind = plant.passed.len() as u64;
    let escapes: Vec<&Item> =
        plant.items.iter().filter(|i| i.escaped && i.fate == Some(Fate::Passed)).collect();
    // What the gate let by without knowing of it: pushed along the belt to another place, or touching the item before
    // it without a mark of its own. Nobody's books can have them.
    let unknown = |i: &&Item| i.fate == Some(Fate::Passed) && i.met.last().is_some_and(|m| !m.known);
    let nameless = plant.items.iter().filter(unknown).count() as u64;
    let least =
        plant.passed.iter().filter_map(|no| plant.item(*no)).filter(|i| !i.escaped && !unknown(i)).count()
            as u64;
    let escaped = number(&sheet["items"]["escaped"]);
    let with_leave: BTreeSet<String> = passed_set.difference(&codes_of(&escapes)).cloned().collect();
    let applied: BTreeSet<String> =
        state.codes.iter().filter(|c| c.status == CodeStatus::Applied).map(|c| c.code.clone()).collect();
    let triggered = plant.items.iter().map(|i| i.tags.len() as u64).sum::<u64>();
    let never_seen = BTreeSet::from_iter(applied.difference(&passed_set).cloned());
    let mut findings = vec![
        between("items passed", number(&sheet["items"]["passed"]), least, behind - nameless),
        equal("items behind the gate", number(&sheet["items"]["passed"]) + escaped, behind - nameless),
        between(
            "triggers",
            number(&sheet["items"]["triggers"]),
            triggered - plant.triggers_forgotten,
            triggered,
        ),
        between(
            "codes on passed items",
            number(&sheet["items"]["codes_passed"]),
            with_leave.len() as u64,
            passed_set.len() as u64,
        ),
        none("codes on two passed items", &twice(&passed)),
        none("codes printed twice by the agent", &printed_twice(plant)),
        none("applied, but on no item that passed", &never_seen),
        none("reported twice", &reported_twice(state)),
        Finding {
            what: "the sheet's three balances",
            agent: sheet["balanced"].to_string(),
            truth: "true".to_owned(),
            agrees: sheet["balanced"] == true,
        },
    ];
    if !state.codes.is_empty() {
        let missing = BTreeSet::from_iter(with_leave.difference(&applied).cloned());
        findings.push(none("passed, but not applied", &missing));
        findings.push(equal("codes applied", number(&sheet["codes"]["applied"]), applied.len() as u64));
    }
    findings.push(none("codes that the agent tells wrongly", &told_wrongly(plant, operator).await));
    findings
}

/// Codes that stand on these items.
fn codes_of(items: &[&Item]) -> BTreeSet<String> {
    items.iter().flat_map(|i| i.marks.iter().filter_map(|m| m.readable())).map(identity).collect()
}

/// Codes on two labels, but for those that somebody at the panel printed again. A printer that repeats by itself does
/// so because it was not told otherwise.
fn printed_twice(plant: &Truth) -> BTreeSet<String> {
    let asked_for = plant.labels.iter().filter(|l| !l.damaged && !l.at_panel);
    let symbols: Vec<String> = asked_for.filter_map(|l| l.symbol.as_deref()).map(identity).collect();
    twice(&symbols)
}

fn twice(codes: &[String]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    codes.iter().filter(|c| !seen.insert((*c).clone())).cloned().collect()
}

fn reported_twice(state: &StateTruth) -> BTreeSet<String> {
    let mut carried: BTreeMap<&str, u32> = BTreeMap::new();
    for document in state.documents.iter().filter(|d| d.status == "SUCCESS") {
        for code in &document.codes {
            *carried.entry(code).or_default() += 1;
        }
    }
    carried.into_iter().filter(|(_, n)| *n > 1).map(|(c, _)| c.to_owned()).collect()
}

/// Asks the agent for a sample of codes by their scan, and compares their state with the item's fate.
async fn told_wrongly(plant: &Truth, operator: &Operator) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    let passed: BTreeSet<Vec<u8>> = plant.passed_codes().into_iter().collect();
    let every = (plant.items.len() / 200).max(1);
    // Of an item that went by without leave the agent may know no code.
    for item in plant.items.iter().filter(|i| !i.escaped).step_by(every) {
        let Some(symbol) = item.marks.iter().find_map(|m| m.readable()) else { continue };
        let Some(story) = operator.story(symbol).await else {
            wrong.insert(format!("{} is unknown", identity(symbol)));
            continue;
        };
        let state = story["state"]["key"].as_str().unwrap_or_default().to_owned();
        let told = state.ends_with("passed") || state.ends_with("applied");
        // A code may stand on a second item that was rejected: then what counts is the one that passed.
        if told != passed.contains(symbol) {
            wrong.insert(format!("{} is told {state} and is {:?}", identity(symbol), item.fate));
        }
    }
    wrong
}
