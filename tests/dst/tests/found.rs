//! What the simulation found in the product, as the shortest days on which it shows: the store alone on the disk that
//! fails.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga_dst::campaign::folder;
use tamga_dst::disk::{Disk, Trouble};
use tamga_dst::vfs;

const AGENT: &str = "a0000001";

/// A disk under the store of a folder.
struct Desk {
    disk: Rc<RefCell<Disk>>,
    dir: std::path::PathBuf,
    writes_back: bool,
}

impl Desk {
    fn new(seed: u64, writes_back: bool) -> Desk {
        let disk = Rc::new(RefCell::new(Disk::new(seed)));
        vfs::use_disk(&disk);
        Desk { disk, dir: folder(), writes_back }
    }

    fn open(&self) -> Result<Store, StoreError> {
        let write_back = |path: &Path| match self.writes_back {
            true => self.disk.borrow_mut().write_back(&path.to_string_lossy()),
            false => Ok(()),
        };
        Store::open_on(&self.dir, AGENT, write_back)
    }

    fn no_sync_from_now_on(&self) {
        self.disk.borrow_mut().set_trouble(Trouble { sync_error_at: Some(0), ..Trouble::default() });
    }

    fn database(&self) -> Vec<u8> {
        self.disk.borrow().copy().remove(&*self.dir.join("tamga.db").to_string_lossy()).unwrap_or_default()
    }

    fn power_cut(&self) {
        self.disk.borrow_mut().power_off();
        self.disk.borrow_mut().power_on();
        vfs::use_disk(&self.disk);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// Seed 263 of the campaign of 2026-11-22: SQLite checkpoints when a connection is closed, also after a sync that failed.
#[test]
fn a_connection_that_is_closed_after_a_failed_sync_moves_nothing_into_the_database() {
    let desk = Desk::new(1, true);
    let mut store = desk.open().expect("the disk is well");
    store.set_meta("n", "1").expect("the disk is well");
    desk.no_sync_from_now_on();
    let before = desk.database();
    assert!(store.set_meta("n", "2").is_err(), "the sync failed");
    drop(store);
    assert!(before == desk.database(), "{} bytes became {}", before.len(), desk.database().len());
}

/// A failed sync, a start, and a power cut some operations into it. False: what was durable before is not there, or the
/// database is damaged.
fn survives(seed: u64, cut_after: u64, writes_back: bool) -> bool {
    const SETTINGS: u32 = 12;
    let desk = Desk::new(seed, writes_back);
    let mut store = desk.open().expect("the disk is well");
    for n in 0..SETTINGS {
        store.set_meta(&format!("before {n}"), &"x".repeat(300)).expect("the disk is well");
    }
    desk.no_sync_from_now_on();
    assert!(store.set_meta("n", "1").is_err(), "the sync failed");
    drop(store);
    let cut_at = desk.disk.borrow().ops() + cut_after;
    desk.disk.borrow_mut().set_trouble(Trouble { cut_at: Some(cut_at), ..Trouble::default() });
    let seen = desk.open().ok().map(|store| store.meta("n").ok().flatten());
    desk.power_cut();
    let Ok(store) = desk.open() else { return false };
    let there = |n: u32| matches!(store.meta(&format!("before {n}")), Ok(Some(_)));
    let is_as_seen = seen.is_none_or(|seen| store.meta("n").ok() == Some(seen));
    let sound = tamga::store::verify::verify(&store.view()).is_ok_and(|found| found.is_empty());
    is_as_seen && sound && (0..SETTINGS).all(there)
}

/// The kernel calls pages clean that a failed sync never wrote; what a start sees is not what a power cut leaves.
#[test]
fn what_a_start_sees_after_a_failed_sync_is_made_sure_of_before_it_is_moved() {
    let days = || (0..3).flat_map(|seed| (1..=40).map(move |cut_after| (seed, cut_after)));
    let lost = days().filter(|(seed, cut)| !survives(*seed, *cut, false)).count();
    assert!(lost > 0, "without writing back nothing was lost: the test tests nothing");
    for (seed, cut) in days() {
        assert!(survives(seed, cut, true), "disk {seed}, cut {cut} operations into the start");
    }
}
