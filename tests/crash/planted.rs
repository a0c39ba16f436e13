//! The comparison is shown to fail: books that agree, one planted difference each, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};

use tamga::store::read::pools::Counts;
use tamga::store::read::sheet::{RunCodes, RunItems};
use tamga_domain::lifecycle::{SpoilReason, State};
use tamga_domain::record::RunState;
use tamga_domain::sscc::Sscc;
use tamga_simulators::model::truth::{Fate, Item, Mark, PrintedLabel, TagRef, Truth};
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::truth::{
    BoxTruth, CodeTruth, DocumentTruth, LineTruth, OrderTruth, PackTruth, Truth as StateTruth, UnitTruth,
};

use super::books::{Books, RunBook};
use super::ledgers::compare;
use super::table::{InBooks, differences, told_wrong};

/// Three codes of one order: two passed and applied, one printed and rejected.
const CODES: [&str; 3] = ["01047800000000142100001", "01047800000000142100002", "01047800000000142100003"];

struct Ledgers {
    plant: Truth,
    state: StateTruth,
    books: Books,
}

fn symbol(code: &str) -> Vec<u8> {
    [code.as_bytes(), b"\x1d93abcd"].concat()
}

fn label(no: u64, code: &str) -> PrintedLabel {
    let symbol = Some(symbol(code));
    PrintedLabel {
        label_no: no,
        at_ns: no,
        symbol,
        gs1: true,
        bar: None,
        damaged: false,
        reprint: false,
        at_panel: false,
    }
}

fn item(no: u64, code: &str, fate: Fate) -> Item {
    Item {
        item_no: no,
        at_ns: no,
        marks: vec![Mark::from(label(no, code))],
        tags: vec![TagRef { boot: 1, tag: u32::try_from(no).unwrap() }],
        fate: Some(fate),
        met: vec![],
        escaped: false,
        faults: vec![],
    }
}

fn plant() -> Truth {
    Truth {
        labels: (1..).zip(CODES).map(|(no, code)| label(no, code)).collect(),
        items: vec![
            item(1, CODES[0], Fate::Passed),
            item(2, CODES[1], Fate::Passed),
            item(3, CODES[2], Fate::Rejected),
        ],
        passed: vec![1, 2],
        ..Truth::default()
    }
}

fn state() -> StateTruth {
    let code = |code: &str, status| CodeTruth {
        code: code.to_owned(),
        full: code.to_owned(),
        issued_as: None,
        gtin: code[2..16].to_owned(),
        product_group: "water".to_owned(),
        status,
        order_id: "order-1".to_owned(),
        pack_ids: vec!["pack-1".to_owned()],
        applied_by: None,
        documents: vec![],
        parent: None,
    };
    let pack =
        PackTruth { pack_id: "pack-1".to_owned(), codes: CODES.iter().map(|c| (*c).to_owned()).collect() };
    let line = LineTruth {
        gtin: CODES[0][2..16].to_owned(),
        status: "ACTIVE".to_owned(),
        total: 3,
        passed: 3,
        left: 0,
        annulled: 0,
        packs: vec![pack],
    };
    StateTruth {
        codes: vec![
            code(CODES[0], CodeStatus::Applied),
            code(CODES[1], CodeStatus::Applied),
            code(CODES[2], CodeStatus::Received),
        ],
        orders: vec![OrderTruth {
            order_id: "order-1".to_owned(),
            po_number: Some("agent-1".to_owned()),
            product_group: "water".to_owned(),
            status: "READY".to_owned(),
            echo: false,
            lines: vec![line],
        }],
        documents: vec![document("report-1", &CODES[..2])],
        boxes: vec![],
        units: vec![],
    }
}

fn document(id: &str, codes: &[&str]) -> DocumentTruth {
    DocumentTruth {
        document_id: id.to_owned(),
        kind: "UTILISATION".to_owned(),
        status: "SUCCESS".to_owned(),
        own_number: None,
        echo: false,
        reject_reason: None,
        codes: codes.iter().map(|c| (*c).to_owned()).collect(),
        units: vec![],
    }
}

fn books() -> Books {
    let spoiled = State::Spoiled(SpoilReason::Unseen);
    let states = [State::Applied, State::Applied, spoiled];
    Books {
        runs: vec![RunBook {
            state: RunState::Closed,
            codes: RunCodes { issued: 3, applied: 2, spoiled: 1, ..RunCodes::default() },
            items: RunItems { triggers: 3, passed: 2, rejected: 1, ..RunItems::default() },
        }],
        orders: vec![("agent-1".to_owned(), Some("order-1".to_owned()))],
        packs: BTreeMap::from([("pack-1".to_owned(), 3)]),
        in_effect: vec![Some("report-1".to_owned())],
        reports_open: 0,
        blocks: Counts { received: 3, unpacked: 3, applied: 2, spoiled: 1, ..Counts::default() },
        findings: vec![],
        states: CODES.iter().map(|c| (*c).to_owned()).zip(states).collect(),
    }
}

fn check(plant_it: impl FnOnce(&mut Ledgers), expected: &str) {
    let mut ledgers = Ledgers { plant: plant(), state: state(), books: books() };
    plant_it(&mut ledgers);
    let found = compare(&ledgers.plant, &ledgers.state, &ledgers.books);
    assert!(found.iter().any(|f| f.contains(expected)), "«{expected}» is not among {found:?}");
}

#[test]
fn ledgers_that_agree_have_no_differences() {
    assert_eq!(compare(&plant(), &state(), &books()), Vec::<String>::new());
}

#[test]
fn a_planted_difference_of_the_plant_is_reported() {
    check(|l| l.plant.labels.push(label(4, CODES[0])), "is printed twice");
    check(
        |l| {
            l.plant.items.push(item(4, CODES[0], Fate::Passed));
            l.plant.passed.push(4);
        },
        "is on two passed items",
    );
    check(|l| l.plant.items[1].marks.clear(), "has not one readable mark");
    check(|l| l.plant.labels.push(label(4, "0104780000000014210000X")), "was never issued upstream");
    check(|l| l.plant.passed.push(3), "passed and is not applied");
}

#[test]
fn a_planted_difference_of_the_state_system_is_reported() {
    check(|l| l.state.codes[2].status = CodeStatus::Applied, "is applied and is on no item that passed");
    check(|l| l.state.codes[1].status = CodeStatus::Received, "passed and is not applied");
    check(|l| l.state.documents.push(document("report-2", &CODES[1..2])), "is reported by report-1 and by");
    check(
        |l| l.state.documents.push(document("report-2", &[])),
        "1 reports are in effect and not in the books",
    );
    check(
        |l| {
            let again = OrderTruth { order_id: "order-2".to_owned(), ..l.state.orders[0].clone() };
            l.state.orders.push(again);
        },
        "was made twice",
    );
    check(|l| l.state.codes[0].pack_ids.push("pack-2".to_owned()), "was given twice");
}

#[test]
fn a_planted_difference_of_the_books_is_reported() {
    check(
        |l| l.books.states = [(CODES[2].to_owned(), State::Pooled)].into(),
        "is printed, did not pass, and is Some(Pooled)",
    );
    check(|l| l.books.states.clear(), "is printed, passed, and is None");
    check(|l| l.books.packs.clear(), "pack pack-1 of 3 codes is None");
    check(|l| l.books.orders.clear(), "is upstream and not in the books");
    check(|l| l.books.in_effect.push(None), "0 reports are in effect and not in the books, where 1");
    check(|l| l.books.in_effect.push(Some("X".to_owned())), "report X is in the books and not in effect");
    check(|l| l.books.in_effect.push(l.books.in_effect[0].clone()), "two of our reports are one upstream");
    check(|l| l.books.reports_open = 1, "reports are still open");
    check(|l| l.books.runs[0].items.passed = 3, "items passed: 3 in the books, 2 in truth");
    check(|l| l.books.runs[0].items.triggers = 2, "items triggers: 2 in the books, 3 in truth");
    check(|l| l.books.runs[0].codes.in_doubt = 1, "the books of a run do not close");
    check(|l| l.books.blocks.pooled = 1, "the blocks do not balance");
    check(|l| l.books.findings.push("a count".to_owned()), "verify finds a count");
}

#[test]
fn a_planted_difference_of_the_boxes_is_reported() {
    let name = Sscc::parse(b"376104250021234569").unwrap();
    let content: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    let really = BTreeMap::from([(name, content)]);
    let labels = BTreeSet::from([name]);
    let books = InBooks { closed: really.clone(), is_open: false };
    assert_eq!(differences(&really, &labels, &books), Vec::<String>::new());
    let planted = |really: &BTreeMap<_, _>, labels: &BTreeSet<_>, books: &InBooks, expected: &str| {
        let found = differences(really, labels, books);
        assert!(found.iter().any(|f| f.contains(expected)), "«{expected}» is not among {found:?}");
    };
    let fewer = BTreeMap::from([(name, BTreeSet::from([CODES[0].to_owned()]))]);
    planted(&fewer, &labels, &books, "is in the books only");
    planted(&really, &labels, &InBooks { closed: fewer, is_open: false }, "is in the box only");
    planted(&really, &labels, &InBooks::default(), "is closed, and not in the books");
    planted(&really, &labels, &InBooks { is_open: true, ..books.clone() }, "none on the table");
    planted(&BTreeMap::new(), &BTreeSet::new(), &books, "is closed in the books, and not on the table");
    planted(&BTreeMap::new(), &labels, &InBooks::default(), "is on no box that was closed");
}

#[test]
fn a_planted_difference_of_what_was_told_of_boxes_is_reported() {
    let name = Sscc::parse(b"376104250021234569").unwrap();
    let content: BTreeSet<String> = CODES[..2].iter().map(|code| (*code).to_owned()).collect();
    let really = BTreeMap::from([(name, content)]);
    let told = |children: &[&str], made| {
        let (code, parent) = (format!("00{name}"), None);
        let unit = UnitTruth { code: code.clone(), made, taken_apart: 0 };
        let children = children.iter().map(|c| (*c).to_owned()).collect();
        StateTruth { boxes: vec![BoxTruth { code, parent, children }], units: vec![unit], ..state() }
    };
    assert_eq!(told_wrong(&really, &told(&CODES[..2], 1)), Vec::<String>::new());
    let planted = |really: &BTreeMap<_, _>, state: &StateTruth, expected: &str| {
        let found = told_wrong(really, state);
        assert!(found.iter().any(|f| f.contains(expected)), "«{expected}» is not among {found:?}");
    };
    planted(&really, &told(&CODES[..1], 1), "and upstream was told");
    planted(&really, &state(), "is unknown upstream");
    planted(&really, &told(&CODES[..2], 2), "was told 2 times");
    planted(&BTreeMap::new(), &told(&CODES[..2], 1), "no such box was closed");
}
