//! The check finds what it is there to find: each kept number is bent, and the check that guards it must say so.

use tamga::store::verify::verify;
use tamga_domain::pack::Child;
use tamga_domain::record::ReportState;

use crate::kit::*;
use crate::packs::{PALLET, PALLETS, names};

/// A statement that damages the database, and the check that finds it.
const DAMAGES: &[(&str, &str)] = &[
    ("UPDATE blocks SET set_aside = set_aside + 1", "blocks: set aside"),
    ("UPDATE blocks SET pooled = pooled + 1", "blocks: pooled"),
    (
        "UPDATE blocks SET issued = issued + 1",
        "blocks: issued, verified or applied, spoiled, written off, returned",
    ),
    (
        "UPDATE blocks SET spoiled = spoiled + 1",
        "blocks: issued, verified or applied, spoiled, written off, returned",
    ),
    ("UPDATE blocks SET applied = applied + 1, verified = verified - 1", "blocks: applied"),
    ("UPDATE blocks SET received = received + 1", "blocks: a body exactly while codes wait in it"),
    (
        "DELETE FROM pieces",
        "bodies: the pieces of a body that is not spent are its bytes, and there are no others",
    ),
    (
        "DELETE FROM bodies",
        "bodies: the pieces of a body that is not spent are its bytes, and there are no others",
    ),
    ("UPDATE orders SET left_n = left_n + 1", "orders: codes in the pool"),
    ("UPDATE orders SET received_n = 1", "orders: received"),
    ("UPDATE runs SET in_doubt = in_doubt + 1, issued = issued + 1", "runs: codes issued, in doubt, spoiled"),
    (
        "UPDATE runs SET state = 3",
        "runs: a closed run has no code issued, of unknown pass or of a rejected item",
    ),
    (
        "UPDATE meta SET value = '0' WHERE key = 'issued_total'",
        "codes: all that were ever issued are counted",
    ),
    ("UPDATE runs SET applied = applied + 1", "runs: applied is what reports in effect carry"),
    ("DELETE FROM passes WHERE pass_no = 1", "runs: passed items are passed codes"),
    ("DELETE FROM open_tags", "runs: open items"),
    ("DELETE FROM run_rejects", "runs: rejected by reason"),
    ("DELETE FROM ends", "runs: ends of items that did not pass"),
    ("DELETE FROM away", "runs: ends of items that did not pass"),
    ("UPDATE away SET last = last + 1 WHERE first = 10", "runs: ends of items that did not pass"),
    (
        "UPDATE away SET last = last + 5 WHERE first = 10",
        "runs: items that nobody saw are in one range, and in no other place",
    ),
    ("UPDATE runs SET carried = carried + 1", "runs: passes carried"),
    ("DELETE FROM held", "runs: passes held"),
    ("UPDATE run_blocks SET n = n + 1", "runs: codes by block"),
    ("UPDATE pass_blocks SET n = n + 1", "passes by block and bucket"),
    (
        "UPDATE report_blocks SET n = n + 1",
        "reports: passes are the sum of their blocks, and of their ranges without those held",
    ),
    (
        "UPDATE report_ranges SET last = last + 1",
        "reports: passes are the sum of their blocks, and of their ranges without those held",
    ),
    ("UPDATE codes SET pass_no = 9 WHERE pass_no = 1", "codes: a pass number and its pass agree"),
    ("INSERT INTO pool SELECT 1, serial, tail, block_no FROM codes LIMIT 1", "codes: in one place only"),
    ("INSERT INTO stock SELECT 1, serial, tail, block_no FROM pool LIMIT 1", "codes: in one place only"),
    (
        "INSERT INTO pool SELECT 2, serial, tail, block_no FROM pool LIMIT 1",
        "codes: in one order's pool only",
    ),
    ("UPDATE packs SET content = content + 1 WHERE parent IS NULL", "packs: content is what lies in them"),
    (
        "UPDATE codes SET pack_no = 1 WHERE pack_no IS NULL AND state = 1",
        "packs: content is what lies in them",
    ),
    (
        "UPDATE codes SET pack_no = 1, pass_no = 99 WHERE state = 0",
        "packs: what lies in them passed, or is a closed pack of a lower level",
    ),
    (
        "UPDATE packs SET level = 2 WHERE parent IS NOT NULL",
        "packs: what lies in them passed, or is a closed pack of a lower level",
    ),
    (
        "UPDATE packs SET follows = 1 WHERE parent IS NULL",
        "packs: one that follows another holds what stayed in it, and the other one is void",
    ),
    (
        "INSERT INTO write_offs(gtin_id, serial, reason, who, at) SELECT gtin_id, serial, '', '', 0 FROM codes WHERE pack_no = 1 LIMIT 1",
        "packs: what is to be written off lies in none",
    ),
    ("UPDATE packs SET told = 2 WHERE pack_no = 1", "packs: what upstream knows is what documents say"),
    (
        "INSERT INTO documents(kind, moment, pieces, drafted_at, changed_at) VALUES(0, 0, 1, 0, 0)",
        "documents: pieces, those without an end, those in effect",
    ),
    ("UPDATE packs SET run = 9 WHERE pack_no = 1", "packs: each is what its content is of"),
    ("UPDATE run_packs SET n = n + 1", "packs: items by run and pack"),
    ("DELETE FROM run_packs", "packs: items by run and pack"),
    ("UPDATE packed SET n = n - 1", "packs: items by run and bucket"),
    (
        "UPDATE packs SET sscc = NULL, name_gtin = 1, name_serial = x'31' WHERE pack_no = 1",
        "packs: a group pack bears a code of ours, whose item lies nowhere else",
    ),
    (
        "UPDATE packs SET sscc = NULL, (name_gtin, name_serial) = (SELECT gtin_id, serial FROM codes WHERE pack_no = 1) \
         WHERE pack_no = 1",
        "packs: a group pack bears a code of ours, whose item lies nowhere else",
    ),
];

fn busy() -> World {
    let mut w = World::new();
    let order = w.pool(20);
    w.block(order, "waiting", 5);
    w.order("PO-2");
    let run = w.run("r");
    w.issue(run, 8);
    for n in 1..=4 {
        w.pass_item(run, n, n);
    }
    for record in [w.trigger(run, 5), w.rejected(run, None, 5), w.trigger(run, 6), w.spoil(4), w.spoil(8)] {
        w.apply(record).unwrap();
    }
    for record in [w.away(run, 10, 12), w.away(run, 14, 20)] {
        w.apply(record).unwrap();
    }
    for range in [(1, 2), (3, 3)] {
        let report = w.report(run, &[range]);
        if range.0 == 1 {
            let record = w.report_state(report, ReportState::Accepted);
            w.apply(record).unwrap();
        }
    }
    w.store.use_names(&names(0, 100)).unwrap();
    let (_, name) = w.boxed(1..=2);
    w.put(PALLET, PALLETS, None, &[Child::pack(name)]);
    w.verified();
    w
}

#[test]
fn every_check_finds_the_damage_that_it_guards_against() {
    for (damage, check) in DAMAGES {
        let w = busy();
        let path = tamga::store::open::database_path(w.folder.path());
        let conn = rusqlite::Connection::open(path).unwrap();
        conn.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").unwrap();
        assert!(conn.execute(damage, []).unwrap() > 0, "{damage}");
        let found = verify(&w.store.view()).unwrap();
        assert!(found.iter().any(|f| f.check == *check), "{damage}: {found:?}");
    }
}

#[test]
fn the_schema_itself_refuses_an_unbalanced_count() {
    let w = busy();
    let path = tamga::store::open::database_path(w.folder.path());
    let conn = rusqlite::Connection::open(path).unwrap();
    for damage in [
        "UPDATE blocks SET pooled = pooled + 1",
        "UPDATE runs SET in_doubt = in_doubt + 1",
        "UPDATE runs SET triggers = triggers + 1",
        "UPDATE runs SET carried = carried + 2",
    ] {
        let error = conn.execute(damage, []).unwrap_err().to_string();
        assert!(error.contains("accounted_for"), "{error}");
    }
}
