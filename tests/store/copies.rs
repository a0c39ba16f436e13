//! Backups, what is put back, and damage: with real files, cut short at every step.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tamga::store::Store;
use tamga::store::copy::{CopyError, backup, examine, restore};
use tamga::store::error::StoreError;
use tamga::store::open::database_path;
use tamga_domain::record::{Bar, RunState};
use tamga_domain::time::Wall;

use crate::kit::*;

/// A store with a run and `issued` codes of 300, and a place for backups.
fn working(issued: u32) -> (World, Folder) {
    let mut w = World::new();
    w.pool(300);
    let run = w.run("a");
    w.issue(run, issued);
    let place = Folder::new();
    std::fs::create_dir(place.path()).unwrap();
    (w, place)
}

fn close(w: World) -> Folder {
    let World { store, folder, .. } = w;
    store.close().unwrap();
    folder
}

/// How many codes the database of a folder ever issued.
fn issued_in(dir: &Path) -> u32 {
    let conn = rusqlite::Connection::open(database_path(dir)).unwrap();
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'issued_total'";
    conn.query_row(sql, [], |r| r.get(0)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = std::fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

/// Overwrites a page in the middle.
fn damage(path: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in pages / 3..pages / 3 + 4 {
        file.write_all_at(&[0xA5; 4096], page * 4096).unwrap();
    }
}

#[test]
fn a_backup_is_made_while_the_store_works_and_says_that_it_is_a_copy() {
    let (w, place) = working(5);
    let file = place.path().join("b.db");
    std::fs::write(&file, "an older backup").unwrap();
    let found = backup(w.folder.path(), &file, Wall(7)).unwrap();
    assert!(found.is_good() && found.received == 300, "{found:?}");
    assert_eq!(names(place.path()), ["b.db"]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // Put in place by hand it still knows what it is.
    let other = Folder::new();
    std::fs::create_dir(other.path()).unwrap();
    std::fs::copy(&file, database_path(other.path())).unwrap();
    let store = Store::open(other.path(), "x").unwrap();
    assert_eq!(store.barred(), Some(Bar::Unsettled));
    assert_eq!(store.issued_total(), 5);
    // The original does not take itself for a copy.
    assert_eq!(w.store.barred(), None);
}

#[test]
fn a_backup_in_the_data_folder_is_refused() {
    let (w, _place) = working(1);
    let before = names(w.folder.path());
    for name in ["b.db", "tamga.db"] {
        let refused = backup(w.folder.path(), &w.folder.path().join(name), Wall(7)).unwrap_err();
        assert!(matches!(refused, CopyError::InDataFolder { .. }), "{refused}");
    }
    assert_eq!(names(w.folder.path()), before);
}

#[test]
fn a_database_that_is_not_good_makes_no_backup_and_leaves_the_older_one() {
    let (w, place) = working(5);
    let file = place.path().join("b.db");
    backup(w.folder.path(), &file, Wall(7)).unwrap();
    let older = std::fs::read(&file).unwrap();
    let folder = close(w);
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    conn.execute("UPDATE orders SET left_n = left_n + 1", []).unwrap();
    drop(conn);
    let error = backup(folder.path(), &file, Wall(8)).unwrap_err();
    let CopyError::NotGood { found, .. } = error else { panic!("{error}") };
    assert_eq!(found.findings[0].check, "orders: codes in the pool");
    damage(&database_path(folder.path()));
    assert!(backup(folder.path(), &file, Wall(9)).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), older);
    assert_eq!(names(place.path()), ["b.db"], "no part is left over");
}

#[test]
fn damage_is_told_and_is_not_put_back() {
    let (w, place) = working(5);
    let file = place.path().join("b.db");
    backup(w.folder.path(), &file, Wall(7)).unwrap();
    let folder = close(w);
    assert!(examine(&database_path(folder.path())).unwrap().is_good());
    damage(&file);
    let found = examine(&file).unwrap();
    assert!(!found.integrity.is_empty(), "{found:?}");
    let error = restore(folder.path(), &file, Wall(8)).unwrap_err();
    assert!(matches!(error, CopyError::NotGood { .. }), "{error}");
    std::fs::write(&file, "no database at all, and long enough to be looked at as one").unwrap();
    let found = examine(&file).unwrap();
    assert!(!found.integrity.is_empty(), "{found:?}");
    assert!(restore(folder.path(), &file, Wall(9)).is_err());
    assert_eq!(issued_in(folder.path()), 5, "the old one stands");
}

#[test]
fn a_restore_keeps_the_old_database_and_is_in_doubt() {
    let (mut w, place) = working(5);
    let file = place.path().join("b.db");
    backup(w.folder.path(), &file, Wall(7)).unwrap();
    let run = tamga_domain::ids::RunId(1);
    w.issue(run, 10);
    let busy = restore(w.folder.path(), &file, Wall(8)).unwrap_err();
    assert!(matches!(busy, CopyError::Store(StoreError::InUse { .. })), "{busy}");
    // Not closed, so the newest commits are in the WAL only.
    let World { store, folder, .. } = w;
    drop(store);
    let restored = restore(folder.path(), &file, Wall(8)).unwrap();
    let aside = restored.aside.unwrap();
    assert_eq!((issued_in(folder.path()), issued_in(&aside)), (5, 15));
    // The same again: nothing of the first is lost.
    let again = restore(folder.path(), &file, Wall(9)).unwrap();
    assert_eq!(issued_in(&aside), 15);
    assert_ne!(again.aside.unwrap(), aside);
    let store = Store::open(folder.path(), "x").unwrap();
    assert_eq!(store.barred(), Some(Bar::Unsettled));
    assert!(store.meta("replaced").unwrap().is_some());
}

#[test]
fn a_restore_into_an_empty_folder_has_nothing_to_keep() {
    let (w, place) = working(5);
    let file = place.path().join("b.db");
    backup(w.folder.path(), &file, Wall(7)).unwrap();
    let empty = Folder::new();
    assert_eq!(restore(empty.path(), &file, Wall(8)).unwrap().aside, None);
    assert_eq!(issued_in(empty.path()), 5);
}

/// A data folder in which a restore stopped after some of its steps, and how many codes its database should know.
fn cut_short(steps: u32) -> (Folder, PathBuf, u32) {
    let (mut w, place) = working(5);
    let file = place.path().join("b.db");
    backup(w.folder.path(), &file, Wall(7)).unwrap();
    w.issue(tamga_domain::ids::RunId(1), 10);
    let dir = w.folder.path().to_owned();
    // As a power cut leaves it: a WAL beside the database.
    let files: Vec<(String, Vec<u8>)> = ["tamga.db", "tamga.db-wal", "tamga.db-shm"]
        .map(|name| (name.to_owned(), std::fs::read(dir.join(name)).unwrap()))
        .into();
    let folder = close(w);
    for (name, bytes) in &files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let aside = dir.join("before-8");
    let copy = std::fs::read(&file).unwrap();
    if steps == 0 {
        std::fs::write(dir.join("restoring.part"), &copy[..copy.len() / 2]).unwrap();
        return (folder, aside, 15);
    }
    std::fs::write(dir.join("restoring-8.db"), copy).unwrap();
    if steps >= 2 {
        std::fs::create_dir(&aside).unwrap();
        for (name, _) in files.iter().take(steps as usize - 2) {
            std::fs::rename(dir.join(name), aside.join(name)).unwrap();
        }
    }
    (folder, aside, 5)
}

#[test]
fn a_restore_cut_short_leaves_the_old_database_or_the_new_one_and_loses_neither() {
    for steps in 0..=5 {
        let (folder, aside, issued) = cut_short(steps);
        let store = Store::open(folder.path(), "x").unwrap();
        assert_eq!(store.issued_total(), u64::from(issued), "after {steps} steps");
        assert_eq!(store.barred().is_some(), issued == 5, "after {steps} steps");
        let runs = store.view().runs(None, 9).unwrap();
        assert_eq!((runs.len(), runs[0].state), (1, RunState::Running), "after {steps} steps");
        drop(store);
        if issued == 5 {
            assert_eq!(issued_in(&aside), 15, "the old one with its WAL, after {steps} steps");
        }
        assert!(examine(&database_path(folder.path())).unwrap().is_good());
    }
}

#[test]
fn a_store_that_meets_damage_says_so_and_writes_no_more() {
    let (w, _place) = working(5);
    let folder = close(w);
    let conn = rusqlite::Connection::open(database_path(folder.path())).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'pool' AND pagetype = 'leaf'";
    let found: Result<Vec<u64>, _> = conn
        .prepare(sql)
        .and_then(|mut s| s.query_map([], |r| r.get::<_, i64>(0).map(i64::unsigned_abs))?.collect());
    drop(conn);
    // Without SQLite's table of pages (it is an option of the build) every page but the first few is taken.
    let pages = found.unwrap_or_else(|_| (40..90).collect());
    let file = std::fs::OpenOptions::new().write(true).open(database_path(folder.path())).unwrap();
    for page in pages {
        file.write_all_at(&[0xA5; 4096], (page - 1) * 4096).unwrap();
    }
    let mut w = match Store::open(folder.path(), "x") {
        Ok(store) => World { store, folder, now: 1_800_000_000_000 },
        Err(error) => panic!("{error}: what the pool needs only was damaged"),
    };
    let at = w.at();
    let run = tamga_domain::ids::RunId(1);
    let issue = tamga_domain::record::Record::Issue {
        run,
        printer: PRINTER,
        count: 9,
        life_left_min_ms: 0,
        day_ends: NEVER,
        at,
    };
    let error = w.apply(issue.clone()).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    let error = w.apply(issue).unwrap_err();
    assert!(matches!(&error, StoreError::Broken { damage: true, .. }) && error.is_damage(), "{error:?}");
}
