//! The agent's books against what the simulators know: printed, passed, applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tamga_simulators::model::truth::{Fate, Truth};
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
    let applied: BTreeSet<String> =
        state.codes.iter().filter(|c| c.status == CodeStatus::Applied).map(|c| c.code.clone()).collect();
    let triggered = plant.items.iter().map(|i| i.tags.len() as u64).sum::<u64>();
    let never_seen = BTreeSet::from_iter(applied.difference(&passed_set).cloned());
    let mut findings = vec![
        equal("items passed", number(&sheet["items"]["passed"]), plant.passed.len() as u64),
        equal("triggers", number(&sheet["items"]["triggers"]), triggered),
        equal("codes on passed items", number(&sheet["items"]["codes_passed"]), passed_set.len() as u64),
        none("codes on two passed items", &twice(&passed)),
        none("codes printed twice", &plant.codes_printed_twice().iter().map(|c| identity(c)).collect()),
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
        let missing = BTreeSet::from_iter(passed_set.difference(&applied).cloned());
        findings.push(none("passed, but not applied", &missing));
        findings.push(equal("codes applied", number(&sheet["codes"]["applied"]), applied.len() as u64));
    }
    findings.push(equal("escapes", number(&sheet["items"]["escaped"]), escapes(plant)));
    findings.push(none("codes that the agent tells wrongly", &told_wrongly(plant, operator).await));
    findings
}

fn escapes(plant: &Truth) -> u64 {
    plant.items.iter().filter(|i| i.escaped).count() as u64
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
    let every = (plant.items.len() / 200).max(1);
    for item in plant.items.iter().step_by(every) {
        let Some(symbol) = item.marks.iter().find_map(|m| m.readable()) else { continue };
        let Some(story) = operator.story(symbol).await else {
            wrong.insert(format!("{} is unknown", identity(symbol)));
            continue;
        };
        let state = story["state"]["key"].as_str().unwrap_or_default().to_owned();
        let told = state.ends_with("passed") || state.ends_with("applied");
        if told != (item.fate == Some(Fate::Passed)) {
            wrong.insert(format!("{} is told {state} and is {:?}", identity(symbol), item.fate));
        }
    }
    wrong
}
