//! What must be so, by what physically happened and by what the state system holds. It asks the agent's store only what
//! it says, and shares no rule with it.

use std::collections::{BTreeMap, BTreeSet};

use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga_domain::code::{Identity, Serial};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::RunId;
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::record::{ItemEnd, Known, Record, RunState};
use tamga_simulators::fault::FaultKind;
use tamga_simulators::model::truth::{Fate, Item, Mark, PrintedLabel, Truth};
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::truth::Truth as StateTruth;

/// Orders of this beginning were made by a printing house, and are in no books of the agent.
pub const PRINTING_HOUSE: &str = "PRINTING-HOUSE";

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub what: String,
    pub at_ms: u64,
}

/// Codes remembered of what was acknowledged last: a crash loses the newest, if any.
const NEWEST: usize = 64;

/// What the store said to be durable, over all lives of the agent.
#[derive(Default)]
pub struct Ledger {
    verified: Vec<Identity>,
    passed: Vec<Identity>,
}

impl Ledger {
    pub fn take(&mut self, records: &mut Vec<Record>) {
        for record in records.drain(..) {
            match record {
                Record::Verify { code, .. } => self.verified.push(code),
                Record::End { end: ItemEnd::Passed { code }, .. } => self.passed.push(code),
                _ => {}
            }
        }
    }

    /// What a store that was just opened has not, though it was acknowledged.
    pub fn missing(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let newest = |of: &[Identity]| of[of.len().saturating_sub(NEWEST)..].to_vec();
        let mut missing = Vec::new();
        for (codes, was) in [(newest(&self.verified), "verified"), (newest(&self.passed), "passed")] {
            for code in codes {
                let state = match store.find(&code)? {
                    Known::Coded(facts) => Some(facts.state),
                    _ => None,
                };
                let is = match state {
                    Some(State::Applied | State::Spoiled(_) | State::Verified(Whereabouts::Passed)) => true,
                    Some(State::Verified(_)) => was == "verified",
                    _ => false,
                };
                if !is {
                    missing.push(format!("{code} was {was} and is {state:?}"));
                }
            }
        }
        Ok(missing)
    }
}

/// Whether no report waits, and no pass is without one.
pub fn reports_are_settled(store: &Store) -> Result<bool, StoreError> {
    let view = store.view();
    let (outbox, unreported) = (view.outbox()?, view.runs_unreported()?);
    Ok(outbox.open_reports == 0 && outbox.unknown == 0 && unreported.is_empty())
}

/// Every run is closed.
pub fn runs_are_closed(store: &Store) -> bool {
    let runs = store.view().runs(None, 1_000);
    runs.is_ok_and(|runs| runs.iter().all(|run| run.state == RunState::Closed))
}

/// GTIN and serial of an element string of the water layout, by its places.
pub(crate) fn identity(symbol: &[u8]) -> Option<Identity> {
    let end = symbol.iter().position(|b| *b == 0x1D).unwrap_or(symbol.len());
    let text = std::str::from_utf8(symbol.get(..end)?).ok()?;
    let gtin = Gtin::parse(text.get(2..16)?.as_bytes()).ok()?;
    let serial = Serial::new(text.get(18..)?.as_bytes()).ok()?;
    Some(Identity { gtin, serial })
}

fn readable(item: &Item) -> impl Iterator<Item = Identity> + '_ {
    item.marks.iter().filter_map(Mark::readable).filter_map(identity)
}

/// Runs that counted fewer items than the gate numbered from the first to the last one of the run that passed.
fn items_not_counted(store: &Store, behind: &[&Item]) -> Vec<String> {
    let mut spans: BTreeMap<RunId, BTreeMap<u16, (u32, u32)>> = BTreeMap::new();
    for item in behind.iter().filter(|i| !i.escaped) {
        let Some(tag) = item.met.last().filter(|m| m.known).and_then(|m| m.tag) else { continue };
        for code in readable(item) {
            let Ok(Known::Coded(facts)) = store.find(&code) else { continue };
            if matches!(facts.state, State::Verified(Whereabouts::Passed) | State::Applied) {
                let span = spans.entry(facts.run).or_default().entry(tag.boot).or_insert((tag.tag, tag.tag));
                *span = (span.0.min(tag.tag), span.1.max(tag.tag));
            }
        }
    }
    let mut found = Vec::new();
    for (run, of_boots) in spans {
        let numbered: u32 = of_boots.values().map(|(first, last)| last - first + 1).sum();
        match store.view().run_items(run) {
            Ok(items) if items.triggers < numbered => {
                found.push(format!("run {run} counts {} items of {numbered} numbered", items.triggers));
            }
            Ok(_) => {}
            Err(error) => found.push(error.to_string()),
        }
    }
    found
}

/// Codes that the state system has given in blocks, and those of blocks in the books.
pub fn given_and_received(store: &Store, state: &StateTruth) -> (u64, u64) {
    let blocks = state.orders.iter().flat_map(|o| &o.lines).flat_map(|l| &l.packs);
    let given = blocks.map(|block| block.codes.len() as u64).sum();
    (given, store.view().block_totals().map_or(0, |totals| totals.received))
}

/// Rules that hold though an older copy of the books was put back.
const HOLDS_AFTER_A_RESTORE: [&str; 5] =
    ["printed-twice", "passed-twice", "reported-twice", "balance", "run-not-closed"];

/// Rules that hold though the books are damaged and say so.
const HOLDS_IN_DAMAGE: [&str; 3] = ["printed-twice", "passed-twice", "reported-twice"];

/// Judges a day that is over. `restored`: an older copy of the books was put back in it. `damaged`: pages of them are
/// damaged, and nobody has met one yet. `read_behind`: what a person read at a packing station, where only passed items are, on
/// an item that lay elsewhere.
pub fn judge(
    store: &Store,
    plant: &Truth,
    state: &StateTruth,
    ledger: &Ledger,
    read_behind: &BTreeSet<Identity>,
    (restored, damaged): (bool, bool),
) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let mut say = |rule: &'static str, what: String| found.push((rule, what));

    // One code, one item: no code leaves the head twice, but when somebody presses the panel's button, or the printer
    // prints what nobody asked it to: that no host can keep from happening.
    let mut printed: BTreeMap<Identity, u64> = BTreeMap::new();
    let unasked: BTreeSet<u64> = plant.labels_unasked.iter().copied().collect();
    let asked = |l: &&PrintedLabel| !l.at_panel && !unasked.contains(&l.label_no);
    for label in plant.labels.iter().filter(asked) {
        let Some(code) = label.symbol.as_deref().and_then(identity) else { continue };
        if let Some(first) = printed.insert(code, label.label_no) {
            say("printed-twice", format!("{code} on labels {first} and {}", label.label_no));
        }
    }

    // What went through the gate with leave, and bears what.
    let behind: Vec<&Item> = plant.items.iter().filter(|i| i.fate == Some(Fate::Passed)).collect();
    let mut bearers: BTreeMap<Identity, Vec<u64>> = BTreeMap::new();
    for item in &behind {
        for code in readable(item) {
            bearers.entry(code).or_default().push(item.item_no);
        }
    }
    let panel: BTreeSet<Identity> = plant
        .labels
        .iter()
        .filter(|l| l.at_panel)
        .filter_map(|l| l.symbol.as_deref().and_then(identity))
        .collect();

    let told = |code: &Identity| match store.find(code) {
        Ok(Known::Coded(facts)) => Some(facts.state),
        Ok(_) | Err(_) => None,
    };
    // An item that the gate let by on leave has a code that is passed in the books.
    for item in &behind {
        let known = item.met.last().is_some_and(|m| m.known);
        // Two items that touch make one trigger, and pass or fall as one, by the mark of either.
        if item.escaped || !known || item.faults.contains(&FaultKind::NoGap) {
            continue;
        }
        let states: Vec<Option<State>> = readable(item).map(|code| told(&code)).collect();
        let passed = |s: &Option<State>| {
            matches!(s, Some(State::Verified(Whereabouts::Passed) | State::Applied | State::WrittenOff))
        };
        if !states.iter().any(passed) {
            say("passed-unknown-to-the-books", format!("codes that are {states:?} on {item:?}"));
        }
    }
    // What the books call passed is on an item behind the gate.
    let mut all: BTreeSet<Identity> = printed.keys().copied().collect();
    all.extend(bearers.keys().copied());
    for code in &all {
        match told(code) {
            Some(State::Verified(Whereabouts::Passed) | State::Applied)
                if !bearers.contains_key(code) && !read_behind.contains(code) =>
            {
                say("passed-and-on-no-item", format!("{code} is {:?}", told(code)));
            }
            Some(State::Issued) => say("in-doubt-after-the-close", code.to_string()),
            Some(State::Verified(Whereabouts::Unknown)) => say("unknown-after-the-close", code.to_string()),
            _ => {}
        }
    }
    for (code, items) in &bearers {
        // A copy made at the panel is on another item, which must not have had leave.
        let leave =
            |no: &&u64| plant.item(**no).is_some_and(|i| !i.escaped && i.met.last().is_some_and(|m| m.known));
        let with_leave = items.iter().filter(leave).count();
        if with_leave > 1 {
            say(
                "passed-twice",
                format!("{code} on items {items:?}, copied at the panel: {}", panel.contains(code)),
            );
        }
    }

    items_not_counted(store, &behind).into_iter().for_each(|what| say("items-not-counted", what));

    // Seen or not applied; once upstream.
    let mut carried: BTreeMap<&str, u32> = BTreeMap::new();
    for document in state.documents.iter().filter(|d| d.status == "SUCCESS") {
        for code in &document.codes {
            *carried.entry(code).or_default() += 1;
        }
    }
    for (code, times) in carried {
        if times > 1 {
            say("reported-twice", format!("{code} in {times} reports"));
        }
    }
    // A report that is in effect is not sent again, though the state system would refuse it.
    let mut in_effect: BTreeSet<&str> = BTreeSet::new();
    for document in state.documents.iter().filter(|d| !d.echo) {
        let Some(number) = document.own_number.as_deref() else { continue };
        if in_effect.contains(number) {
            say("sent-again-though-in-effect", number.to_owned());
        }
        if document.status == "SUCCESS" {
            in_effect.insert(number);
        }
    }
    let view = store.view();
    let orders: BTreeSet<String> =
        view.orders(None, 10_000).unwrap_or_default().into_iter().map(|o| o.plan.po_number).collect();
    let mut made: BTreeSet<&str> = BTreeSet::new();
    let numbers = state.orders.iter().filter(|o| !o.echo).filter_map(|o| o.po_number.as_deref());
    for number in numbers.filter(|number| !number.starts_with(PRINTING_HOUSE)) {
        if !orders.contains(number) {
            say("order-unknown-to-the-books", number.to_owned());
        }
        if !made.insert(number) {
            say("ordered-twice", number.to_owned());
        }
    }
    let mut applied = BTreeSet::new();
    for code in state.codes.iter().filter(|c| c.status == CodeStatus::Applied) {
        let Some(code) = identity(code.code.as_bytes()) else { continue };
        applied.insert(code);
        if !bearers.contains_key(&code) && !read_behind.contains(&code) {
            say("applied-and-on-no-item", code.to_string());
        }
        if !matches!(told(&code), Some(State::Applied)) {
            say("applied-unknown-to-the-books", format!("{code} is {:?}", told(&code)));
        }
    }
    let (given, received) = given_and_received(store, state);
    if received > given {
        say("block-taken-twice", format!("{received} codes are in the books and {given} were given"));
    }
    let mut held = BTreeSet::new();
    for run in view.runs(None, 1_000).unwrap_or_default() {
        held.extend(view.unresolved(run.run).unwrap_or_default().into_iter().map(|u| u.code));
        if run.quantity > 0 && run.passed > run.quantity {
            say("more-than-wanted", format!("{} of {} passed in run {}", run.passed, run.quantity, run.run));
        }
        if run.state != RunState::Closed {
            say("run-not-closed", format!("run {} is {:?}", run.run, run.state));
        }
    }
    for code in &all {
        match told(code) {
            Some(State::Verified(Whereabouts::Passed)) if !held.contains(code) => {
                say("passed-and-never-applied", code.to_string());
            }
            Some(State::Applied) if !applied.contains(code) => {
                say("applied-in-the-books-only", code.to_string());
            }
            _ => {}
        }
    }
    match ledger.missing(store) {
        Ok(missing) => missing.into_iter().for_each(|wrong| say("acknowledged-and-lost", wrong)),
        Err(error) => say("acknowledged-and-lost", error.to_string()),
    }
    let verified = match tamga::store::verify::verify(&view) {
        Ok(findings) => findings.into_iter().map(|finding| format!("{finding:?}")).collect(),
        Err(error) => vec![error.to_string()],
    };
    // Damage that nobody has met is found by who looks for it; where it is not found, it has taken nothing.
    if damaged && !verified.is_empty() {
        found.retain(|(rule, _)| HOLDS_IN_DAMAGE.contains(rule));
        return found;
    }
    found.extend(verified.into_iter().map(|finding| ("balance", finding)));
    if restored {
        found.retain(|(rule, _)| HOLDS_AFTER_A_RESTORE.contains(rule));
    }
    found
}
