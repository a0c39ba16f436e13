//! The agent's books, read from a data folder that no agent has open.

use std::collections::BTreeMap;
use std::path::Path;

use tamga::store::read::Reader;
use tamga::store::read::pools::Counts;
use tamga::store::read::sheet::{RunCodes, RunItems};
use tamga::store::verify;
use tamga_domain::lifecycle::State;
use tamga_domain::record::{ReportState, RunState};

use super::look::identity;

/// Larger than any number of rows that one campaign makes.
const ALL: u32 = u32::MAX;

#[derive(Clone, Debug, Default)]
pub struct Books {
    pub runs: Vec<RunBook>,
    /// Our numbers of orders, with upstream's where it is known.
    pub orders: Vec<(String, Option<String>)>,
    /// Blocks by upstream's name, with the codes received in each.
    pub packs: BTreeMap<String, u32>,
    /// Upstream's names of the reports in effect; `None` where an accepted report has none.
    pub in_effect: Vec<Option<String>>,
    pub reports_open: usize,
    pub blocks: Counts,
    /// What `verify` found.
    pub findings: Vec<String>,
    /// The state of each code that was asked for.
    pub states: BTreeMap<String, State>,
}

#[derive(Clone, Debug)]
pub struct RunBook {
    pub state: RunState,
    pub codes: RunCodes,
    pub items: RunItems,
}

/// Reads everything, and the states of `codes`: identities as element strings.
pub fn read(data: &Path, codes: impl IntoIterator<Item = String>) -> Books {
    let reader = Reader::open(data).unwrap();
    let view = reader.view().unwrap();
    let mut books = Books {
        blocks: view.block_totals().unwrap(),
        findings: verify::verify(&view).unwrap().iter().map(|f| format!("{f:?}")).collect(),
        reports_open: view.reports_open().unwrap().len(),
        ..Books::default()
    };
    for line in view.runs(None, ALL).unwrap() {
        let sheet = view.run_sheet(line.run).unwrap().unwrap();
        books.runs.push(RunBook { state: sheet.state, codes: sheet.codes, items: sheet.items });
    }
    for order in view.orders(None, ALL).unwrap() {
        books.packs.extend(view.blocks_of(order.order).unwrap().into_iter().map(|p| (p.pack_id, p.count)));
        books.orders.push((order.plan.po_number, order.plan.upstream_id));
    }
    for report in view.reports(None, None, ALL).unwrap() {
        if report.state == ReportState::Accepted {
            books.in_effect.push(report.upstream_id);
        }
    }
    for code in codes {
        if let Some(story) = view.story(&identity(&code)).unwrap() {
            books.states.insert(code, story.state);
        }
    }
    books
}
