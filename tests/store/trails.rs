//! The trails: a row of the audit log or of the changes of state that was changed, removed or put in is found, wherever
//! it stands; what older databases wrote of packs is read in the words of today.

use rusqlite::Connection;
use tamga::store::Store;
use tamga::store::open::database_path;
use tamga::store::trail::Trail;
use tamga::store::verify::verify;
use tamga_domain::ids::PackNo;
use tamga_domain::record::{Record, RunState};

use crate::kit::*;

fn said(w: &mut World, command: &str) {
    let at = w.at();
    let (who, from) = ("anna".into(), "local".into());
    let (command, outcome) = (command.into(), "200".into());
    w.twice(Record::Audit { who, from, command, outcome, at });
}

/// A store with some entries in both trails.
fn kept() -> World {
    let mut w = World::new();
    let run = w.run("r");
    for n in 1..=5 {
        said(&mut w, &format!("POST /{n}"));
        let state = if n % 2 == 0 { RunState::Running } else { RunState::Stopped };
        w.run_state(run, state).unwrap();
    }
    w.verified();
    w
}

fn checks_after(damage: &str) -> Vec<String> {
    let w = kept();
    let conn = Connection::open(database_path(w.folder.path())).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    assert!(conn.execute(damage, []).unwrap() > 0, "{damage}");
    verify(&w.store.view()).unwrap().iter().map(|f| format!("{} {}", f.check, f.subject)).collect()
}

#[test]
fn each_row_that_was_changed_removed_or_put_in_is_found() {
    const AUDIT: &str = "audit: each entry is as it was written";
    const AUDIT_GONE: &str = "audit: no entry is missing, none was put in";
    const CHANGES: &str = "changes: each is as it was written";
    const CHANGES_GONE: &str = "changes: none is missing, none was put in";
    let copy =
        "INSERT INTO audit SELECT 6, who, come_from, command, outcome, at, hash FROM audit WHERE id = 5";
    for (damage, found) in [
        ("UPDATE audit SET who = 'olim' WHERE id = 3", format!("{AUDIT} 3")),
        ("UPDATE audit SET come_from = 'locam' WHERE id = 1", format!("{AUDIT} 1")),
        ("UPDATE audit SET command = command || ' ' WHERE id = 5", format!("{AUDIT} 5")),
        ("UPDATE audit SET outcome = '409' WHERE id = 2", format!("{AUDIT} 2")),
        ("UPDATE audit SET at = at + 1 WHERE id = 4", format!("{AUDIT} 4")),
        ("UPDATE audit SET hash = NULL WHERE id = 4", format!("{AUDIT} 4")),
        ("UPDATE audit SET who = 'ann', come_from = 'alocal' WHERE id = 4", format!("{AUDIT} 4")),
        ("DELETE FROM audit WHERE id = 1", format!("{AUDIT_GONE} 1")),
        ("DELETE FROM audit WHERE id = 3", format!("{AUDIT_GONE} 3")),
        ("DELETE FROM audit WHERE id = 5", format!("{AUDIT_GONE} 5")),
        ("DELETE FROM audit", format!("{AUDIT_GONE} 5")),
        (copy, format!("{AUDIT} 6")),
        ("UPDATE trails SET last = 4 WHERE trail = 0", format!("{AUDIT_GONE} 4")),
        ("UPDATE changes SET why = 'else' WHERE id = 2", format!("{CHANGES} 2")),
        ("UPDATE changes SET who = 'olim' WHERE id = 7", format!("{CHANGES} 7")),
        ("UPDATE changes SET state = 0 WHERE id = 1", format!("{CHANGES} 1")),
        ("UPDATE changes SET no = 2 WHERE id = 3", format!("{CHANGES} 3")),
        ("UPDATE changes SET subject = 4 WHERE id = 3", format!("{CHANGES} 3")),
        ("UPDATE changes SET mark = 'full' WHERE id = 3", format!("{CHANGES} 3")),
        ("UPDATE changes SET detail = '1' WHERE id = 3", format!("{CHANGES} 3")),
        ("DELETE FROM changes WHERE id = 4", format!("{CHANGES_GONE} 4")),
        ("DELETE FROM changes WHERE id = 7", format!("{CHANGES_GONE} 7")),
    ] {
        let told = checks_after(damage);
        assert!(told.contains(&found), "{damage}: {told:?}");
    }
}

#[test]
fn a_trail_goes_on_over_starts_and_its_head_is_that_of_its_last_row() {
    let mut w = kept();
    let before = w.store.view().trail_head(Trail::Audit).unwrap();
    assert_eq!(before.0, 5);
    drop(w.store);
    w.store = Store::open(w.folder.path(), "x").unwrap();
    assert_eq!(w.store.view().trail_head(Trail::Audit).unwrap(), before);
    said(&mut w, "POST /6");
    let after = w.store.view().trail_head(Trail::Audit).unwrap();
    assert_eq!(after.0, 6);
    assert_ne!(after.1, before.1);
    w.verified();
}

/// A database of schema 7: what the program wrote into the reasons of packs gets words of its own, a person's stay.
#[test]
fn what_became_of_older_packs_is_read_by_key() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let conn = Connection::open(database_path(folder.path())).unwrap();
    for schema in [
        include_str!("../../agent/src/store/migrations/0001.sql"),
        include_str!("../../agent/src/store/migrations/0002.sql"),
        include_str!("../../agent/src/store/migrations/0003.sql"),
        include_str!("../../agent/src/store/migrations/0004.sql"),
        include_str!("../../agent/src/store/migrations/0005.sql"),
        include_str!("../../agent/src/store/migrations/0006.sql"),
        include_str!("../../agent/src/store/migrations/0007.sql"),
    ] {
        conn.execute_batch(schema).unwrap();
    }
    conn.execute_batch(
        "PRAGMA application_id = 0x546D6761; PRAGMA user_version = 7; PRAGMA journal_mode = WAL;
         INSERT INTO packs(pack_no, station, level, holds, capacity, mixing, state, opened_at)
             VALUES(1, 0, 1, 0, 5, 0, 2, 1), (2, 0, 1, 0, 5, 0, 2, 1);
         INSERT INTO audit(who, come_from, command, outcome, at) VALUES('anna', 'local', 'POST /x', '200', 5);
         INSERT INTO changes(subject, no, state, who, why, at) VALUES
             (4, 1, 0, 'box1', '', 1), (4, 1, 0, '', '047800010000000006', 2), (4, 1, 0, 'box1', 'label 1', 3),
             (4, 2, 0, 'box1', '', 3), (4, 1, 1, 'box1', 'full', 4), (4, 1, 1, 'anna', 'label 2: full', 5),
             (4, 1, 2, 'anna', 'label 3 is torn', 6),
             (4, 2, 0, '', '047800010000000013', 7), (4, 2, 1, 'olim', 'label 3 is torn', 8), (4, 2, 2, 'olim', '', 9);",
    )
    .unwrap();
    drop(conn);
    let store = Store::open(folder.path(), "0a1b2c3d").unwrap();
    let seen = |pack| {
        let changes = store.view().pack_changes(PackNo(pack)).unwrap();
        changes.into_iter().map(|c| [c.what, c.detail, c.why].join("|")).collect::<Vec<_>>()
    };
    assert_eq!(
        seen(1),
        [
            "opened||",
            "named|047800010000000006|",
            "label|1|",
            "full||",
            "label|2|full",
            "voided||label 3 is torn"
        ]
    );
    assert_eq!(seen(2), ["opened||", "named|047800010000000013|", "short||label 3 is torn", "voided||"]);
    assert_eq!(verify(&store.view()).unwrap(), vec![], "rows of before have no hash");
}
