//! Opening: settings, the lock, the schema; and what is kept for people.

use std::os::unix::fs::PermissionsExt;

use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::store::limits::{ANSWER_BYTES_MAX, ANSWERS_MAX, WAL_PAGES_MAX};
use tamga::store::open::{database_path, schema_known};
use tamga::store::read::Reader;
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::record::Record;
use tamga_domain::time::Wall;

use crate::kit::*;

#[test]
fn the_data_folder_is_for_its_owner_only() {
    let w = World::new();
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(w.folder.path()), 0o700);
    assert_eq!(mode(&database_path(w.folder.path())), 0o600);
}

#[test]
fn the_file_is_in_wal_mode_with_pages_of_4096_and_our_id() {
    let w = World::new();
    let conn = rusqlite::Connection::open(database_path(w.folder.path())).unwrap();
    let text = |name| conn.pragma_query_value(None, name, |r| r.get::<_, String>(0)).unwrap();
    let number = |name| conn.pragma_query_value(None, name, |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(number("page_size"), 4096);
    assert_eq!(number("application_id"), 0x546D_6761);
    assert_eq!(number("user_version"), i64::from(schema_known()));
}

#[test]
fn a_second_store_in_the_same_folder_is_refused_and_says_who_is_there() {
    let w = World::new();
    match Store::open(w.folder.path(), "x") {
        Err(StoreError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened twice"),
    }
    let World { store, folder, .. } = w;
    drop(store);
    Store::open(folder.path(), "x").unwrap();
}

#[test]
fn a_newer_schema_is_refused_by_store_and_reader() {
    let w = World::new();
    let World { store, folder, .. } = w;
    drop(store);
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = Store::open(folder.path(), "x").err().unwrap();
    assert!(matches!(error, StoreError::SchemaNewer { found: 99, .. }), "{error}");
    let error = Reader::open(folder.path()).err().unwrap();
    assert!(matches!(error, StoreError::SchemaNewer { found: 99, .. }), "{error}");
}

#[test]
fn another_programs_database_is_refused_untouched() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    conn.execute_batch("CREATE TABLE theirs(x)").unwrap();
    drop(conn);
    let before = std::fs::read(database_path(folder.path())).unwrap();
    assert!(matches!(Store::open(folder.path(), "x"), Err(StoreError::NotOurs { .. })));
    assert_eq!(before, std::fs::read(database_path(folder.path())).unwrap());
}

#[test]
fn a_reader_sees_one_moment_and_cannot_write() {
    let mut w = World::new();
    let reader = Reader::open(w.folder.path()).unwrap();
    let view = reader.view().unwrap();
    assert_eq!(view.runs(None, 10).unwrap(), []);
    w.run("r");
    assert_eq!(view.runs(None, 10).unwrap(), []);
    drop(view);
    assert_eq!(reader.view().unwrap().runs(None, 10).unwrap().len(), 1);
}

#[test]
fn the_wal_does_not_grow_without_end() {
    let mut w = World::new();
    for n in 0..200 {
        let at = w.at();
        let body = vec![n; 60_000];
        w.apply(Record::AnswerKept { request: "GET /".into(), status: Some(200), body, at }).unwrap();
        w.store.maintain(true).unwrap();
    }
    let wal = w.folder.path().join("tamga.db-wal");
    let bytes = std::fs::metadata(wal).unwrap().len();
    assert!(bytes < 4 * 1024 * 1024, "{bytes}");
}

#[test]
fn the_wal_is_moved_in_small_parts_even_while_work_waits_and_catches_up_after_a_reader() {
    let mut w = World::new();
    let reader = Reader::open(w.folder.path()).unwrap();
    let write = |w: &mut World, n: u8| {
        let (at, body) = (w.at(), vec![n; 60_000]);
        w.apply(Record::AnswerKept { request: "GET /".into(), status: Some(200), body, at }).unwrap();
        w.store.maintain(false).unwrap();
        w.store.wal_pages()
    };
    let most = (0..100).map(|n| write(&mut w, n)).max().unwrap();
    assert!(most <= WAL_PAGES_MAX, "{most} pages");
    let view = reader.view().unwrap();
    assert_eq!(view.runs(None, 1).unwrap(), []);
    // It keeps the WAL from beginning anew, and what is moved already is not moved again.
    let grown = (0..100).map(|n| write(&mut w, n)).max().unwrap();
    assert!(grown > 2 * WAL_PAGES_MAX, "{grown} pages");
    drop(view);
    let most = (0..100).map(|n| write(&mut w, n)).skip(50).max().unwrap();
    assert!(most <= WAL_PAGES_MAX, "{most} pages");
}

#[test]
fn answers_kept_are_few_and_short() {
    let mut w = World::new();
    let at = w.at();
    let long = vec![b'x'; 2 * ANSWER_BYTES_MAX];
    w.twice(Record::AnswerKept { request: "GET /a".into(), status: None, body: long, at });
    assert_eq!(w.store.view().answers(None, 1).unwrap()[0].body.len(), ANSWER_BYTES_MAX);
    let records = (0..=ANSWERS_MAX)
        .map(|n| Record::AnswerKept {
            request: n.to_string(),
            status: Some(200),
            body: vec![],
            at: Wall(n.into()),
        })
        .collect();
    w.store.apply(&[tamga_domain::record::Txn { id: tamga_domain::ids::TxnId(1), records }]).unwrap();
    let kept = w.store.view().answers(None, u32::MAX).unwrap();
    assert_eq!((kept.len(), kept[0].request.as_str()), (ANSWERS_MAX as usize, "1000"));
}

#[test]
fn alarms_are_raised_once_acknowledged_and_cleared() {
    let mut w = World::new();
    let (line, key) = (Some(LINE), "gap".to_string());
    let at = w.at();
    w.twice(Record::AlarmRaised { line, key: key.clone(), detail: "1".into(), at });
    let later = w.at();
    w.apply(Record::AlarmRaised { line, key: key.clone(), detail: "2".into(), at: later }).unwrap();
    w.twice(Record::AlarmRaised { line: None, key: key.clone(), detail: "disk".into(), at });
    w.twice(Record::AlarmAcknowledged { line, key: key.clone(), who: "anna".into(), at: later });
    let open = w.store.view().alarms_open().unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!((open[0].detail.as_str(), open[0].raised_at), ("2", at));
    assert_eq!(open[0].acknowledged, Some(("anna".into(), later)));
    w.twice(Record::AlarmCleared { line, key: key.clone(), at: later });
    assert_eq!(w.store.view().alarms_open().unwrap().len(), 1);
    assert_eq!(w.store.view().alarms(10).unwrap().len(), 2);
    w.apply(Record::AlarmRaised { line, key, detail: "3".into(), at: later }).unwrap();
    assert_eq!(w.store.view().alarms(10).unwrap().len(), 3);
}

#[test]
fn audit_and_incidents_are_written_once() {
    let mut w = World::new();
    let at = w.at();
    let (who, from) = ("anna".to_string(), "10.0.0.1".to_string());
    w.twice(Record::Audit { who, from, command: "start".into(), outcome: "done".into(), at });
    w.twice(Record::Incident {
        run: None,
        code: Some(identity(9)),
        tag: Some(tag(1)),
        key: "foreign".into(),
        detail: "twice".into(),
        at,
    });
    assert_eq!(w.store.view().audit(None, 10).unwrap()[0].command, "start");
    assert_eq!(w.store.view().incidents(None, 10).unwrap()[0].code, Some(identity(9)));
}

#[test]
fn settings_are_kept_and_the_agents_id_is_not_changed() {
    let mut w = World::new();
    w.store.set_meta("machine", "m1").unwrap();
    w.store.set_meta("agent_id", "evil").unwrap();
    assert_eq!(w.store.meta("machine").unwrap().as_deref(), Some("m1"));
    assert_eq!(w.store.meta("agent_id").unwrap().as_deref(), Some("0a1b2c3d"));
}

/// A database as schema 1 left it: a closed run and an open one, each with a code whose item was rejected.
#[test]
fn later_schemas_reject_for_good_what_closed_runs_left_and_keep_bodies() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    conn.execute_batch(include_str!("../../agent/src/store/migrations/0001.sql")).unwrap();
    conn.execute_batch(
        "INSERT INTO gtins VALUES(1, '04780012345677');
         INSERT INTO blocks(block_no, pack_id, goods_group, received_at, received, unpacked, pooled, verified)
             VALUES(1, 'roll', 'water', 0, 4, 4, 1, 3);
         INSERT INTO stock VALUES(1, X'53303030303030303030303034', X'6447567A', 1);
         INSERT INTO orders(order_no, po_number, gtin_id, goods_group, kind, quantity, release_method, state, why,
             wanted_at, changed_at, received_n) VALUES(5, 'PO', 1, 'water', 0, 9, 'P', 4, '', 0, 0, 4);
         INSERT INTO blocks(block_no, order_no, pack_id, goods_group, received_at, received)
             VALUES(2, 5, 'pack', 'water', 0, 2), (3, 5, 'next', 'water', 0, 2);
         UPDATE blocks SET unpacked = 1, set_aside = 1 WHERE block_no = 3;
         INSERT INTO set_aside(block_no, place, bytes, reason, at) VALUES(3, 0, X'00', 'bad', 0);
         INSERT INTO bodies VALUES(2, X'0102030405'), (3, X'06');
         INSERT INTO lines(line) VALUES(0);
         INSERT INTO runs(run, line, key, gtin_id, goods_group, quantity, batch, production, state, opened_at,
             opened_by, last_issue, last_pass, issued, verified, triggers, passed, rejected) VALUES
             (1, 0, 'a', 1, 'water', 0, 'B', 0, 3, 0, 'anna', 2, 1, 2, 2, 2, 1, 1),
             (2, 0, 'b', 1, 'water', 0, 'B', 0, 1, 0, 'anna', 1, 0, 1, 1, 1, 0, 1);
         INSERT INTO codes(gtin_id, serial, tail, block_no, state, run, issue_no, boot, tag, pass_no) VALUES
             (1, X'53303030303030303030303031', X'6447567A', 1, 1, 1, 1, 1, 1, 1),
             (1, X'53303030303030303030303032', X'6447567A', 1, 3, 1, 2, 1, 2, NULL),
             (1, X'53303030303030303030303033', X'6447567A', 1, 3, 2, 1, 1, 3, NULL);
         INSERT INTO passes VALUES(1, 1, X'53303030303030303030303031');
         INSERT INTO pass_blocks VALUES(1, 0, 1, 1);
         INSERT INTO run_blocks VALUES(1, 1, 2), (2, 1, 1);
         INSERT INTO run_rejects VALUES(1, 'late', 1), (2, 'late', 1);
         INSERT INTO ends VALUES(1, 1, 2, 'late', 0), (2, 1, 3, 'late', 0);
         PRAGMA application_id = 0x546D6761;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(conn);
    let store = Store::open(folder.path(), "x").unwrap();
    let w = World { store, folder, now: 0 };
    w.verified();
    assert_eq!(w.state(1), Some(State::Verified(Whereabouts::Passed)));
    assert_eq!(w.state(2), Some(State::Spoiled(SpoilReason::Rejected)));
    assert_eq!(w.state(3), Some(State::Verified(Whereabouts::Rejected)));
    assert_eq!(w.store.view().run_codes(tamga_domain::ids::RunId(1)).unwrap().spoiled, 1);
    let body = w.store.view().block_body(tamga_domain::ids::BlockNo(2)).unwrap();
    assert_eq!(body, Some(vec![1, 2, 3, 4, 5]), "bodies are kept");
    let waiting = w.store.view().blocks_waiting().unwrap();
    let begun: Vec<_> = waiting.iter().map(|b| (b.block.0, b.as_received)).collect();
    assert_eq!(begun, [(2, false), (3, true)], "only a block begun before is gone on with as it came");
}
