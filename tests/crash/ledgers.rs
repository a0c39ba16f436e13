//! Three ledgers side by side: what was printed and what passed, what is applied upstream, what the agent wrote down.
//!
//! It compares and explains nothing away: each difference is one line.

use std::collections::{BTreeMap, BTreeSet};

use tamga_domain::lifecycle::State;
use tamga_domain::record::RunState;
use tamga_simulators::model::truth::Truth;
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::truth::Truth as StateTruth;

use super::books::{Books, RunBook};

/// All differences, each as a line for a person; none when the ledgers agree.
pub fn compare(plant: &Truth, state: &StateTruth, books: &Books) -> Vec<String> {
    let mut differences = Vec::new();
    differences.extend(marks(plant));
    differences.extend(applied(plant, state));
    differences.extend(reports(state, books));
    differences.extend(orders(state, books));
    differences.extend(codes(plant, books));
    differences.extend(items(plant, books));
    differences.extend(books.runs.iter().flat_map(balances));
    let blocks = books.blocks;
    if !blocks.balanced() || blocks.unpacked != blocks.received {
        differences.push(format!("the blocks do not balance: {blocks:?}"));
    }
    differences.extend(books.findings.iter().map(|f| format!("verify finds {f}")));
    differences
}

/// GTIN and serial of an element string of the water layout, as the state system names the code.
pub fn identity(symbol: &[u8]) -> String {
    let end = symbol.iter().position(|b| *b == 0x1D).unwrap_or(symbol.len());
    String::from_utf8_lossy(&symbol[..end]).into_owned()
}

/// Every code of which a readable mark was made.
pub fn printed(plant: &Truth) -> BTreeSet<String> {
    plant.labels.iter().filter_map(|l| l.symbol.as_deref()).map(identity).collect()
}

fn passed(plant: &Truth) -> Vec<String> {
    plant.passed_codes().iter().map(|c| identity(c)).collect()
}

fn applied_set(state: &StateTruth) -> BTreeSet<String> {
    state.codes.iter().filter(|c| c.status == CodeStatus::Applied).map(|c| c.code.clone()).collect()
}

/// No code printed twice, none on two passed items, no item passed without a mark.
fn marks(plant: &Truth) -> Vec<String> {
    let twice = plant.codes_printed_twice();
    let mut found: Vec<String> = twice.iter().map(|c| format!("{} is printed twice", identity(c))).collect();
    let mut seen = BTreeSet::new();
    for code in passed(plant) {
        if !seen.insert(code.clone()) {
            found.push(format!("{code} is on two passed items"));
        }
    }
    for item in plant.passed.iter().filter_map(|no| plant.item(*no)) {
        if item.marks.iter().filter_map(|m| m.readable()).count() != 1 {
            found.push(format!("item {} passed and has not one readable mark", item.item_no));
        }
    }
    found
}

/// Applied is what passed, exactly.
fn applied(plant: &Truth, state: &StateTruth) -> Vec<String> {
    let (passed, applied) = (BTreeSet::from_iter(passed(plant)), applied_set(state));
    let known: BTreeSet<String> = state.codes.iter().map(|c| c.code.clone()).collect();
    let mut found = Vec::new();
    found
        .extend(applied.difference(&passed).map(|c| format!("{c} is applied and is on no item that passed")));
    found.extend(passed.difference(&applied).map(|c| format!("{c} passed and is not applied")));
    found.extend(
        printed(plant).difference(&known).map(|c| format!("{c} is printed and was never issued upstream")),
    );
    found
}

/// Each report in effect once, and the same ones on both sides.
fn reports(state: &StateTruth, books: &Books) -> Vec<String> {
    let in_effect: Vec<_> =
        state.documents.iter().filter(|d| d.status == "SUCCESS" && d.kind == "UTILISATION").collect();
    let mut carried: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for document in &in_effect {
        for code in &document.codes {
            if let Some(first) = carried.insert(code, &document.document_id) {
                found.push(format!("{code} is reported by {first} and by {}", document.document_id));
            }
        }
    }
    let theirs: BTreeSet<&String> = in_effect.iter().map(|d| &d.document_id).collect();
    let named: Vec<&String> = books.in_effect.iter().flatten().collect();
    let ours: BTreeSet<&String> = named.iter().copied().collect();
    if ours.len() != named.len() {
        found.push(format!("two of our reports are one upstream: {named:?}"));
    }
    found.extend(ours.difference(&theirs).map(|d| format!("report {d} is in the books and not in effect")));
    // A report whose answer was lost is settled by its effect on its codes; upstream's name of it stays unknown.
    let (nameless, others) = (books.in_effect.len() - named.len(), theirs.difference(&ours).count());
    if nameless != others {
        found.push(format!(
            "{others} reports are in effect and not in the books, where {nameless} have no name"
        ));
    }
    if books.reports_open > 0 {
        found.push(format!("{} reports are still open", books.reports_open));
    }
    found
}

/// Each order once, the same ones on both sides, and every pack that was given is in the books.
fn orders(state: &StateTruth, books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    let theirs: Vec<(String, Option<String>)> = state
        .orders
        .iter()
        .map(|o| (o.po_number.clone().unwrap_or_default(), Some(o.order_id.clone())))
        .collect();
    let mut numbers = BTreeSet::new();
    for (po, id) in &theirs {
        if !numbers.insert(po) {
            found.push(format!("order {po} was made twice, again as {id:?}"));
        }
    }
    let ours = BTreeSet::from_iter(books.orders.iter().filter(|&(_, id)| id.is_some()).cloned());
    let theirs = BTreeSet::from_iter(theirs);
    found.extend(theirs.difference(&ours).map(|o| format!("order {o:?} is upstream and not in the books")));
    found.extend(ours.difference(&theirs).map(|o| format!("order {o:?} is in the books and not upstream")));
    let packs = state.orders.iter().flat_map(|o| &o.lines).flat_map(|l| &l.packs);
    let theirs: BTreeMap<String, u32> =
        packs.map(|p| (p.pack_id.clone(), u32::try_from(p.codes.len()).unwrap())).collect();
    for (pack, count) in &theirs {
        if books.packs.get(pack) != Some(count) {
            found.push(format!("pack {pack} of {count} codes is {:?} in the books", books.packs.get(pack)));
        }
    }
    let strange = books.packs.keys().filter(|p| !theirs.contains_key(*p));
    found.extend(strange.map(|p| format!("pack {p} is in the books and not upstream")));
    for code in state.codes.iter().filter(|c| c.pack_ids.len() > 1) {
        found.push(format!("{} was given twice", code.code));
    }
    found
}

/// What the books say of each printed code agrees with where it is.
fn codes(plant: &Truth, books: &Books) -> Vec<String> {
    let passed = BTreeSet::from_iter(passed(plant));
    let mut found = Vec::new();
    for code in printed(plant) {
        let told = books.states.get(&code);
        let right = match told {
            Some(State::Applied) => passed.contains(&code),
            Some(State::Spoiled(_) | State::Verified(_)) => !passed.contains(&code),
            Some(
                State::Pooled
                | State::Stock
                | State::SetAside
                | State::Issued
                | State::WrittenOff
                | State::Returned,
            )
            | None => false,
        };
        if !right {
            let fate = if passed.contains(&code) { "passed" } else { "did not pass" };
            found.push(format!("{code} is printed, {fate}, and is {told:?} in the books"));
        }
    }
    found
}

/// Items are counted alike.
fn items(plant: &Truth, books: &Books) -> Vec<String> {
    let sum = |of: fn(&RunBook) -> u32| books.runs.iter().map(|r| u64::from(of(r))).sum::<u64>();
    let count = |n: usize| u64::try_from(n).unwrap();
    let triggers = plant.items.iter().map(|i| i.tags.len()).sum();
    let escaped = plant.items.iter().filter(|i| i.escaped).count();
    let kinds = [
        ("passed", sum(|r| r.items.passed), count(plant.passed.len())),
        ("triggers", sum(|r| r.items.triggers), count(triggers)),
        ("escaped", sum(|r| r.items.escaped), count(escaped)),
    ];
    let differ = kinds.iter().filter(|(_, ours, theirs)| ours != theirs);
    differ
        .map(|(what, ours, theirs)| format!("items {what}: {ours} in the books, {theirs} in truth"))
        .collect()
}

/// A closed run: issued = applied + spoiled + written off + verified (refused upstream), triggers = passed + the rest.
fn balances(run: &RunBook) -> Vec<String> {
    let (c, i) = (run.codes, run.items);
    let codes = c.issued == c.in_doubt + c.verified + c.applied + c.written_off + c.spoiled;
    let items = i.triggers == i.open + i.passed + i.rejected + i.lost + i.escaped;
    let done = run.state == RunState::Closed && c.in_doubt == 0 && c.unknown == 0 && i.open == 0;
    if codes && items && done { vec![] } else { vec![format!("the books of a run do not close: {run:?}")] }
}

/// How much was compared, for people.
pub fn counts(plant: &Truth, state: &StateTruth, books: &Books) -> String {
    format!(
        "{} labels printed, {} items triggered, {} passed; {} orders, {} codes upstream, {} applied, {} reports; \
         {} runs, {} blocks in the books, {} codes received",
        plant.labels.len(),
        plant.items.iter().map(|i| i.tags.len()).sum::<usize>(),
        plant.passed.len(),
        state.orders.len(),
        state.codes.len(),
        applied_set(state).len(),
        state.documents.len(),
        books.runs.len(),
        books.packs.len(),
        books.blocks.received,
    )
}
