//! The writer thread: order of answers, finds after commits, and the end after a failure.

use tamga::store::error::StoreError;
use tamga::store::writer::{Told, WriterError, spawn};
use tamga_domain::ids::TxnId;
use tamga_domain::lifecycle::State;
use tamga_domain::record::{Answer, Known, Record, Txn};

use crate::kit::*;

#[tokio::test]
async fn answers_come_in_the_order_of_asking_and_finds_see_earlier_commits() {
    let mut w = World::new();
    w.pool(100);
    let run = w.run("r");
    let records: Vec<_> = (0..100)
        .map(|_| Record::Issue {
            run,
            printer: PRINTER,
            count: 1,
            life_left_min_ms: 0,
            day_ends: NEVER,
            at: w.at(),
        })
        .collect();
    let World { store, folder, .. } = w;
    let (handle, thread) = spawn(store).unwrap();
    let (port, mut answers) = handle.port::<u32>();
    for (n, record) in (1..).zip(records) {
        port.commit(Txn { id: TxnId(n), records: vec![record] }).await.unwrap();
        let n = u32::try_from(n).unwrap();
        port.find(n, identity(n)).await.unwrap();
    }
    for n in 1..=100 {
        let Some(Told::Committed { txn, answers: told }) = answers.next().await else { panic!() };
        assert_eq!(txn, TxnId(n));
        let Answer::Issued(issued) = &told[0] else { panic!() };
        let n = u32::try_from(n).unwrap();
        assert_eq!(issued[0].code, code(n));
        let Some(Told::Found { key, result: Ok(Known::Coded(facts)) }) = answers.next().await else {
            panic!()
        };
        assert_eq!((key, facts.state), (n, State::Issued));
    }
    assert!(answers.try_next().is_none());
    assert_eq!(handle.recover(LINE).await.unwrap().run.unwrap().in_doubt.len(), 100);
    drop((handle, port));
    assert!(answers.next().await.is_none());
    thread.join().unwrap();
    tamga::store::Store::open(folder.path(), "x").unwrap();
}

#[tokio::test]
async fn a_rule_broken_is_told_by_name() {
    let mut w = World::new();
    let run = w.run("r");
    let bad = w.passed(run, 1, 1);
    let World { store, folder: _folder, .. } = w;
    let (handle, thread) = spawn(store).unwrap();
    let error = handle.commit(Txn { id: TxnId(5), records: vec![bad] }).await.unwrap_err();
    let WriterError::Store(error) = error else { panic!() };
    assert!(matches!(*error, StoreError::Rule { txn: TxnId(5), .. }), "{error}");
    drop(handle);
    thread.join().unwrap();
}

/// A database that another process holds locked is one whose write fails.
#[tokio::test]
async fn after_a_failed_write_nothing_more_is_written() {
    let mut w = World::new();
    w.pool(10);
    let run = w.run("r");
    let issue =
        |at| Record::Issue { run, printer: PRINTER, count: 1, life_left_min_ms: 0, day_ends: NEVER, at };
    let (one, two) = (issue(w.at()), issue(w.at()));
    // A table that the statement needs is gone: an error that is no rule.
    let path = tamga::store::open::database_path(w.folder.path());
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE run_blocks").unwrap();
    let World { store, folder: _folder, .. } = w;
    let (handle, thread) = spawn(store).unwrap();
    let failed = handle.commit(Txn { id: TxnId(1), records: vec![one] }).await.unwrap_err();
    let WriterError::Store(failed) = failed else { panic!() };
    assert!(matches!(*failed, StoreError::Writing(_)), "{failed}");
    let refused = handle.commit(Txn { id: TxnId(2), records: vec![two] }).await.unwrap_err();
    let WriterError::Store(refused) = refused else { panic!() };
    assert!(matches!(*refused, StoreError::Broken { .. }), "{refused}");
    let why = handle.broken().why().await;
    assert!(why.contains("run_blocks"), "who asked for nothing is told too: {why}");
    drop(handle);
    thread.join().unwrap();
}

/// The group is applied again without what is refused: nothing of it stays, and what is issued is issued once.
#[test]
fn a_group_without_what_is_refused_is_one_commit_and_issues_once() {
    let mut w = World::new();
    w.pool(10);
    let run = w.run("r");
    let issue =
        |at| Record::Issue { run, printer: PRINTER, count: 2, life_left_min_ms: 0, day_ends: NEVER, at };
    let txn = |id, records| Txn { id: TxnId(id), records };
    let bad = w.passed(run, 1, 1);
    let group = [
        txn(1, vec![issue(w.at())]),
        txn(2, vec![issue(w.at()), bad]),
        txn(3, vec![issue(w.at())]),
        txn(4, vec![]),
    ];
    let told = w.store.apply_each(&group).unwrap();
    let issued = |told: &Result<Vec<Answer>, StoreError>| match told {
        Ok(answers) => answers.iter().map(|a| if let Answer::Issued(c) = a { c.len() } else { 0 }).sum(),
        Err(StoreError::Rule { txn: TxnId(2), place: 1, .. }) => usize::MAX,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(told.iter().map(issued).collect::<Vec<_>>(), [2, usize::MAX, 2, 0]);
    assert_eq!(w.store.recover(LINE).unwrap().run.unwrap().in_doubt.len(), 4);
    assert!(w.store.broken().is_none());
}
