//! The database beside its witness: when it may issue, and what a person makes of doubt. Real files; where a write is
//! to fail, a shelf in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tamga::books::StoreBooks;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::store::open::database_path;
use tamga::store::settle::{Asking, Proof, Settled};
use tamga::store::standing::{Here, Standing};
use tamga::upstream::books::Books as _;
use tamga::witness::shelf::{Folder as WitnessFolder, Shelf, ShelfError, file_id};
use tamga::witness::{Doubt, LEASE, Pulse, Witness, folder_hash};
use tamga_domain::lifecycle::{SpoilReason, State};
use tamga_domain::record::{Answer, Bar, OrderState, Record, Txn};
use tamga_domain::time::Wall;

use crate::kit::*;

pub const AGENT: &str = "0a1b2c3d";

pub fn beside(dir: &Path) -> PathBuf {
    dir.with_file_name(format!("{}-witness", dir.file_name().unwrap().to_string_lossy()))
}

/// A witness folder that is gone with the test.
pub struct Beside(pub PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn here(dir: &Path, machine: &str, epoch: &str) -> Here {
    let database = file_id(&database_path(dir)).unwrap();
    let folder = folder_hash(dir);
    Here { machine: Some(machine.into()), database, folder, epoch: epoch.into(), lease: LEASE, at: Wall(0) }
}

fn stand(store: &mut Store, dir: &Path, epoch: &str) -> Standing {
    let folder = WitnessFolder::open(&beside(dir), store.agent_id()).unwrap();
    store.stand(Box::new(folder), &here(dir, "m1", epoch)).unwrap()
}

pub fn doubt(store: &mut Store, dir: &Path, epoch: &str) -> Option<Doubt> {
    match stand(store, dir, epoch) {
        Standing::Proven { .. } => None,
        Standing::Doubted(doubt) => Some(doubt),
        Standing::Away(error) => panic!("{error}"),
    }
}

/// A store with its witness in the first epoch, and codes `1 ..= pooled` in the pool.
fn watched(pooled: u32) -> (World, Beside) {
    let mut w = World::new();
    let dir = w.folder.path().to_owned();
    let beside = Beside(beside(&dir));
    assert_eq!(doubt(&mut w.store, &dir, "e1"), None);
    w.pool(pooled);
    (w, beside)
}

/// Ends the store, cleanly or as a crash does, and opens it again.
fn again(w: World, clean: bool) -> World {
    let World { store, folder, now } = w;
    if clean {
        store.close().unwrap()
    } else {
        drop(store)
    }
    World { store: Store::open(folder.path(), "x").unwrap(), folder, now }
}

fn on_file(dir: &Path) -> Witness {
    Witness::parse(&std::fs::read(beside(dir).join(format!("{AGENT}.witness"))).unwrap()).unwrap()
}

/// The whole database as one file, as a copy of the stopped agent's folder has it.
pub fn bytes_of(w: &World) -> Vec<u8> {
    let path = database_path(w.folder.path());
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::read(&path).unwrap()
}

/// Puts an older state in the place of the database: the same file with other bytes.
fn put_back(dir: &Path, bytes: &[u8]) {
    for end in ["-wal", "-shm"] {
        drop(std::fs::remove_file(dir.join(format!("tamga.db{end}"))));
    }
    std::fs::write(database_path(dir), bytes).unwrap();
}

/// The agent ends, and finds an older state of its database at the next start.
pub fn turned_back(w: World, bytes: &[u8]) -> World {
    let World { store, folder, now } = w;
    store.close().unwrap();
    put_back(folder.path(), bytes);
    World { store: Store::open(folder.path(), "x").unwrap(), folder, now }
}

fn issued(w: &mut World, run: tamga_domain::ids::RunId, count: u32) -> Result<usize, Bar> {
    let at = w.at();
    match w
        .apply(Record::Issue { run, printer: PRINTER, count, life_left_min_ms: 0, day_ends: NEVER, at })
        .unwrap()
    {
        Some(Answer::Issued(codes)) => Ok(codes.len()),
        Some(Answer::Barred(bar)) => Err(bar),
        other => panic!("{other:?}"),
    }
}

pub fn settle(w: &mut World, epoch: &str, nothing_restored: bool) -> Option<Settled> {
    let dir = w.folder.path().to_owned();
    let folder = WitnessFolder::open(&beside(&dir), w.store.agent_id()).unwrap();
    settle_on(w, Box::new(folder), &here(&dir, "m1", epoch), nothing_restored).unwrap()
}

fn settle_on(
    w: &mut World,
    shelf: Box<dyn Shelf>,
    here: &Here,
    nothing_restored: bool,
) -> Result<Option<Settled>, tamga::store::settle::SettleError> {
    let asking = Asking { who: "anna", from: "local", nothing_restored, at: w.at() };
    w.store.settle(shelf, here, &asking, |_| {})
}

#[test]
fn the_count_and_the_lease_go_with_what_is_issued() {
    let (mut w, _beside) = watched(1200);
    let dir = w.folder.path().to_owned();
    let run = w.run("a");
    for n in 1..=11_u64 {
        assert_eq!(issued(&mut w, run, 100), Ok(100));
        let (total, witness) = (100 * n, on_file(&dir));
        assert_eq!(w.store.issued_total(), total);
        assert!(witness.floor <= total && total <= witness.lease, "{total} {witness:?}");
        assert!(witness.lease <= total + LEASE, "{total} {witness:?}");
    }
    let pulse = std::fs::read(beside(&dir).join(format!("{AGENT}.issued"))).unwrap();
    assert_eq!(Pulse::parse(&pulse), Some(Pulse { epoch: "e1".into(), issued: 1100 }));
    w.verified();
    let w = again(w, true);
    assert_eq!(on_file(&dir).ended, Some(1100));
    assert_eq!(w.store.issued_total(), 1100);
}

#[test]
fn after_a_crash_and_after_a_clean_end_it_goes_on_without_a_person() {
    let (mut w, _beside) = watched(300);
    let dir = w.folder.path().to_owned();
    let run = w.run("a");
    for (round, clean) in [false, true, false, false, true].into_iter().enumerate() {
        assert_eq!(issued(&mut w, run, 10), Ok(10));
        w = again(w, clean);
        assert_eq!(w.store.barred(), Some(Bar::Unsettled), "nothing before the witness was asked");
        assert_eq!(doubt(&mut w.store, &dir, &format!("f{round}")), None);
    }
    assert_eq!(issued(&mut w, run, 10), Ok(10));
}

#[test]
fn a_database_that_has_a_witness_issues_nothing_without_it() {
    let (w, _beside) = watched(10);
    let mut w = again(w, true);
    let run = w.run("a");
    assert_eq!(issued(&mut w, run, 5), Err(Bar::Unsettled));
    assert_eq!(w.store.view().pool_levels().unwrap()[0].pooled, 10);
}

#[test]
fn a_copied_folder_is_told_from_the_original_which_goes_on() {
    let (w, _beside) = watched(10);
    let w = again(w, true);
    let dir = w.folder.path().to_owned();
    let copy = Folder(dir.with_file_name(format!("{}-copy", dir.file_name().unwrap().to_string_lossy())));
    let _witness_copy = Beside(beside(copy.path()));
    for (from, to) in [(dir.clone(), copy.path().to_owned()), (beside(&dir), beside(copy.path()))] {
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().map(|f| f.unwrap().path()) {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    let mut w = w;
    assert_eq!(doubt(&mut w.store, &dir, "e2"), None, "the original");
    let mut twin = World { store: Store::open(copy.path(), "x").unwrap(), folder: copy, now: w.now };
    let twin_dir = twin.folder.path().to_owned();
    assert_eq!(doubt(&mut twin.store, &twin_dir, "e3"), Some(Doubt::OtherFile));
    let run = twin.run("a");
    assert_eq!(issued(&mut twin, run, 5), Err(Bar::Unsettled));
    // Its witness was copied with it, so its clean end proves nothing.
    let settled = settle(&mut twin, "e3", false).unwrap();
    assert_eq!((settled.proof, settled.spoiled), (Proof::None, 10));
}

#[test]
fn an_older_start_put_back_is_told() {
    let (w, _beside) = watched(10);
    let mut w = again(w, true);
    let dir = w.folder.path().to_owned();
    let old = bytes_of(&w);
    assert_eq!(doubt(&mut w.store, &dir, "e2"), None);
    let run = w.run("a");
    assert_eq!(issued(&mut w, run, 5), Ok(5));
    let mut w = turned_back(w, &old);
    assert_eq!(doubt(&mut w.store, &dir, "e3"), Some(Doubt::OtherEpoch));
    let run = w.run("a");
    assert_eq!(issued(&mut w, run, 5), Err(Bar::Unsettled));
}

#[test]
fn an_older_state_of_the_same_start_is_told_after_a_clean_end_and_after_a_crash() {
    for clean in [true, false] {
        let (mut w, _beside) = watched(30);
        let dir = w.folder.path().to_owned();
        let run = w.run("a");
        assert_eq!(issued(&mut w, run, 5), Ok(5));
        let old = bytes_of(&w);
        assert_eq!(issued(&mut w, run, 1), Ok(1));
        let World { store, folder, now } = w;
        if clean {
            store.close().unwrap()
        } else {
            drop(store)
        }
        put_back(&dir, &old);
        let mut w = World { store: Store::open(&dir, "x").unwrap(), folder, now };
        assert_eq!(doubt(&mut w.store, &dir, "e2"), Some(Doubt::Behind), "clean end: {clean}");
        assert_eq!(issued(&mut w, run, 1), Err(Bar::Unsettled));
        let settled = settle(&mut w, "e3", false).unwrap();
        assert_eq!((settled.doubt, settled.proof, settled.spoiled), (Some(Doubt::Behind), Proof::None, 25));
        w.verified();
    }
}

#[test]
fn a_missing_or_damaged_witness_proves_nothing_and_a_person_may_know_better() {
    let (w, _beside) = watched(10);
    let mut w = again(w, true);
    let dir = w.folder.path().to_owned();
    let file = beside(&dir).join(format!("{AGENT}.witness"));
    std::fs::write(&file, "tamga-witness 1\nagent").unwrap();
    assert_eq!(doubt(&mut w.store, &dir, "e2"), Some(Doubt::Damaged));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(doubt(&mut w.store, &dir, "e2"), Some(Doubt::NoWitness));
    let settled = settle(&mut w, "e3", true).unwrap();
    assert_eq!((settled.proof, settled.spoiled), (Proof::Person, 0));
    let audit = &w.store.view().audit(None, 1).unwrap()[0];
    assert_eq!((audit.who.as_str(), audit.command.as_str()), ("anna", "db settle"));
    assert!(audit.outcome.contains("nothing was restored"), "{}", audit.outcome);
    let mut w = again(w, true);
    assert_eq!(settle(&mut w, "e4", true), None, "there is nothing left to settle");
    assert_eq!(doubt(&mut w.store, &dir, "e4"), None);
    let run = w.run("a");
    assert_eq!(issued(&mut w, run, 5), Ok(5));
    let mut w = again(w, false);
    assert_eq!(doubt(&mut w.store, &dir, "e5"), None);
}

#[test]
fn settling_spoils_the_pool_and_what_is_still_to_be_unpacked_and_lets_new_codes_in() {
    let (mut w, _beside) = watched(250);
    let dir = w.folder.path().to_owned();
    let order = w.order(&format!("{AGENT}-7"));
    w.ready(order, None);
    let half = w.block(order, "half", 6);
    w.unpack(half, 0, 301..=303);
    let run = w.run("a");
    assert_eq!(issued(&mut w, run, 2), Ok(2));
    let mut w = again(w, true);
    std::fs::remove_file(beside(&dir).join(format!("{AGENT}.witness"))).unwrap();
    let settled = settle(&mut w, "e2", false).unwrap();
    assert_eq!(settled.spoiled, 251, "250 and 3 pooled, 2 issued");
    let spoiled = Some(State::Spoiled(SpoilReason::Restored));
    assert_eq!((w.state(1), w.state(3), w.state(302)), (Some(State::Issued), spoiled, spoiled));
    assert_eq!(w.store.view().restored_order().unwrap(), Some(order));
    assert!(w.store.view().last_po(AGENT).unwrap() > 100_000, "numbers that may have been used");
    w.verified();
    // The rest of a block of before.
    assert_eq!(w.unpack(half, 3, 304..=306), (0, 0));
    assert_eq!(w.state(305), spoiled);
    assert_eq!(issued(&mut w, run, 5), Ok(0));
    let fresh = w.block(order, "fresh", 4);
    assert_eq!(w.unpack(fresh, 0, 401..=404), (4, 0));
    assert_eq!(issued(&mut w, run, 5), Ok(4));
    w.verified();
}

#[test]
fn a_restored_backup_is_in_doubt_by_its_own_word_and_the_witness_may_prove_it() {
    for (since, proof, spoiled) in [(0, Proof::Witness, 0), (1, Proof::None, 25)] {
        let (mut w, _beside) = watched(30);
        let dir = w.folder.path().to_owned();
        let run = w.run("a");
        assert_eq!(issued(&mut w, run, 5), Ok(5));
        let old = bytes_of(&w);
        let was = file_id(&database_path(&dir)).unwrap();
        if since > 0 {
            assert_eq!(issued(&mut w, run, since), Ok(since as usize));
        }
        let World { store, folder, now } = w;
        store.close().unwrap();
        // Another file in its place, which says what it is.
        std::fs::rename(database_path(&dir), dir.join("aside.db")).unwrap();
        put_back(&dir, &old);
        let conn = rusqlite::Connection::open(database_path(&dir)).unwrap();
        let sql = "INSERT INTO meta VALUES('copy', '1'), ('replaced', ?1)";
        conn.execute(sql, [was.render()]).unwrap();
        drop(conn);
        let mut w = World { store: Store::open(&dir, "x").unwrap(), folder, now };
        assert_eq!(w.store.barred(), Some(Bar::Unsettled));
        assert_eq!(doubt(&mut w.store, &dir, "e2"), Some(Doubt::Restored));
        let settled = settle(&mut w, "e3", false).unwrap();
        assert_eq!((settled.proof, settled.spoiled), (proof, spoiled));
        let mut w = again(w, false);
        assert_eq!(doubt(&mut w.store, &dir, "e4"), None);
        w.verified();
    }
}

#[test]
fn another_machine_does_not_start_it_until_it_is_settled_there() {
    let (w, _beside) = watched(10);
    let mut w = again(w, true);
    let dir = w.folder.path().to_owned();
    let folder = || Box::new(WitnessFolder::open(&beside(&dir), AGENT).unwrap());
    let error = w.store.stand(folder(), &here(&dir, "m2", "e2")).unwrap_err();
    assert!(matches!(error, StoreError::OtherMachine), "{error}");
    let nameless = Here { machine: None, ..here(&dir, "m1", "e2") };
    assert!(matches!(w.store.stand(folder(), &nameless).unwrap(), Standing::Proven { .. }));
    let mut w = again(w, true);
    let settled = settle_on(&mut w, folder(), &here(&dir, "m2", "e3"), false).unwrap().unwrap();
    assert_eq!((settled.doubt, settled.other_machine, settled.spoiled), (None, true, 10));
    let mut w = again(w, true);
    assert!(matches!(w.store.stand(folder(), &here(&dir, "m2", "e4")).unwrap(), Standing::Proven { .. }));
    let mut w = again(w, true);
    assert!(w.store.stand(folder(), &here(&dir, "m1", "e5")).is_err(), "it is bound anew");
}

#[test]
fn one_witness_is_for_one_agent_at_a_time() {
    let (w, beside) = watched(1);
    let second = WitnessFolder::open(&beside.0, AGENT).err().unwrap();
    assert!(matches!(second, ShelfError::InUse { .. }), "{second}");
    assert!(WitnessFolder::open(&beside.0, "ffffffff").is_ok(), "another agent has its own");
    drop(w);
    assert!(WitnessFolder::open(&beside.0, AGENT).is_ok());
}

// ---- writes that fail, and starts that are cut short ----

/// A shelf in memory whose writes fail from some write on.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    writes_left: Option<u32>,
}

impl Memory {
    fn writes_left(&self, writes: Option<u32>) {
        self.0.lock().unwrap().writes_left = writes;
    }

    fn witness(&self) -> Option<Witness> {
        self.0.lock().unwrap().files.get(&format!("{AGENT}.witness")).and_then(|b| Witness::parse(b))
    }
}

impl Shelf for Memory {
    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().files.get(name).cloned())
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        if let Some(left) = &mut kept.writes_left {
            if *left == 0 {
                return Err(io::Error::other("planted"));
            }
            *left -= 1;
        }
        kept.files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.replace(name, bytes)
    }
}

#[test]
fn a_witness_that_cannot_be_written_stops_issuing_and_nothing_else() {
    let mut w = World::new();
    let memory = Memory::default();
    let dir = w.folder.path().to_owned();
    let standing = w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", "e1")).unwrap();
    assert!(matches!(standing, Standing::Proven { .. }));
    w.pool(1300);
    let run = w.run("a");
    while w.store.issued_total() < LEASE {
        assert_eq!(issued(&mut w, run, 100), Ok(100));
    }
    memory.writes_left(Some(0));
    let at = w.at();
    let issue = Record::Issue { run, printer: PRINTER, count: 1, life_left_min_ms: 0, day_ends: NEVER, at };
    let trigger = w.trigger(run, 1);
    let records = vec![trigger, issue];
    let answers = w.store.apply(&[Txn { id: tamga_domain::ids::TxnId(1), records }]).unwrap();
    assert_eq!(answers, [[Answer::Barred(Bar::Witness)]]);
    assert_eq!(w.store.view().run_items(run).unwrap().triggers, 1, "what was to be written is");
    assert_eq!(w.store.issued_total(), LEASE);
    memory.writes_left(None);
    assert_eq!(issued(&mut w, run, 1), Ok(1), "it goes on when the witness can be written");
    w.verified();
}

#[test]
fn another_database_in_the_folder_is_told_until_a_start_is_whole_and_then_no_more() {
    let mut old = World::new();
    let dir = old.folder.path().to_owned();
    let memory = Memory::default();
    assert!(matches!(
        old.store.stand(Box::new(memory.clone()), &here(&dir, "m1", "e1")).unwrap(),
        Standing::Proven { instead_of: None }
    ));
    let told = |store: &Store| -> Vec<String> {
        let open = store.view().alarms_open().unwrap();
        open.into_iter().map(|alarm| format!("{} {}", alarm.key, alarm.detail)).collect()
    };
    let new = dir.join("new");
    let mut store = Store::open(&new, "ffffffff").unwrap();
    for writes in 0..=3 {
        memory.writes_left(Some(writes));
        let there = Here { folder: folder_hash(&dir), ..here(&new, "m1", &format!("n{writes}")) };
        let found = store.stand(Box::new(memory.clone()), &there).unwrap();
        match found {
            Standing::Proven { instead_of } => assert_eq!((writes, instead_of.as_deref()), (3, Some(AGENT))),
            Standing::Away(_) => assert!(writes < 3),
            Standing::Doubted(doubt) => panic!("{doubt:?}"),
        }
        let expected: &[&str] = if writes == 0 { &[] } else { &["alarm.new_database 0a1b2c3d"] };
        assert_eq!(told(&store), expected, "after a cut at {writes}");
        drop(store);
        store = Store::open(&new, "eeeeeeee").unwrap();
    }
    memory.writes_left(None);
    let there = Here { folder: folder_hash(&dir), ..here(&new, "m1", "n9") };
    let again = store.stand(Box::new(memory), &there).unwrap();
    assert!(matches!(again, Standing::Proven { instead_of: None }), "{again:?}");
}

#[test]
fn a_start_cut_short_between_any_two_steps_is_no_reason_for_doubt() {
    let mut w = World::new();
    let dir = w.folder.path().to_owned();
    let memory = Memory::default();
    w.pool(200);
    let run = w.run("a");
    // Two writes of the witness, with the database's commit between them; then a start that is whole.
    for (round, writes) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
        memory.writes_left(Some(writes));
        let cut = w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", &format!("c{round}"))).unwrap();
        assert_eq!(matches!(cut, Standing::Proven { .. }), writes == 2, "{cut:?}");
        if writes < 2 && round > 2 {
            assert_eq!(issued(&mut w, run, 1), Err(Bar::Witness));
        }
        memory.writes_left(None);
        w = again(w, false);
        let whole = w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", &format!("d{round}"))).unwrap();
        assert!(matches!(whole, Standing::Proven { .. }), "after a cut at {writes}: {whole:?}");
        assert_eq!(issued(&mut w, run, 7), Ok(7));
        w = again(w, round % 2 == 0);
    }
    w.verified();
}

#[test]
fn settling_cut_short_anywhere_stays_in_doubt_and_can_be_repeated() {
    for writes in [0, 1] {
        let mut w = World::new();
        let dir = w.folder.path().to_owned();
        let memory = Memory::default();
        w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", "e1")).unwrap();
        w.pool(20);
        let mut w = again(w, true);
        memory.0.lock().unwrap().files.clear();
        memory.writes_left(Some(writes));
        let cut = settle_on(&mut w, Box::new(memory.clone()), &here(&dir, "m1", "e2"), false);
        assert!(cut.is_err());
        memory.writes_left(None);
        let mut w = again(w, false);
        let found = w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", "e3")).unwrap();
        if writes == 0 {
            assert!(matches!(found, Standing::Doubted(Doubt::Settling)), "{found:?}");
            let settled = settle_on(&mut w, Box::new(memory.clone()), &here(&dir, "m1", "e4"), false);
            assert_eq!(settled.unwrap().unwrap().proof, Proof::None);
        } else {
            // The database had the new epoch, and the witness knew which.
            assert!(matches!(found, Standing::Proven { .. }), "{found:?}");
        }
        assert_eq!(w.state(1), Some(State::Spoiled(SpoilReason::Restored)));
        assert!(memory.witness().unwrap().next.is_none());
        w.verified();
    }
}

#[test]
fn an_agent_whose_witness_was_taken_over_issues_no_more() {
    let mut w = World::new();
    let dir = w.folder.path().to_owned();
    let memory = Memory::default();
    w.store.stand(Box::new(memory.clone()), &here(&dir, "m1", "e1")).unwrap();
    w.pool(1300);
    let run = w.run("a");
    let other = Witness { epoch: Some("other".into()), ..memory.witness().unwrap() };
    memory.clone().replace(&format!("{AGENT}.witness"), other.render().as_bytes()).unwrap();
    while w.store.issued_total() < LEASE {
        assert_eq!(issued(&mut w, run, 100), Ok(100));
    }
    assert_eq!(issued(&mut w, run, 1), Err(Bar::Unsettled));
    assert_eq!(issued(&mut w, run, 1), Err(Bar::Unsettled));
}

#[test]
fn orders_of_before_a_restore_are_taken_up_as_such_and_later_ones_are_not() {
    let (w, _beside) = watched(5);
    let w = again(w, true);
    std::fs::remove_file(beside(w.folder.path()).join(format!("{AGENT}.witness"))).unwrap();
    let restored = |store: Store, dir: &Path| {
        let (writer, thread) = tamga::store::writer::spawn(store).unwrap();
        let books = StoreBooks {
            data: dir.to_owned(),
            agent: AGENT.into(),
            writer,
            products: vec![],
            life_left_min_ms: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let snapshot = runtime.block_on(books.snapshot()).unwrap();
        drop(books);
        thread.join().unwrap();
        snapshot.restored
    };
    let World { store, folder, now } = w;
    assert_eq!(restored(store, folder.path()), None);
    let mut w = World { store: Store::open(folder.path(), "x").unwrap(), folder, now };
    settle(&mut w, "e2", false).unwrap();
    let World { store, folder, now } = w;
    assert!(restored(store, folder.path()).is_some());
    // When the orders of before are done with, nothing is special any more.
    let mut w = World { store: Store::open(folder.path(), "x").unwrap(), folder, now };
    let at = w.at();
    let (order, why) = (tamga_domain::ids::OrderNo(1), String::new());
    w.apply(Record::OrderState { order, state: OrderState::Closed, why, at }).unwrap();
    w.order("PO-2");
    let World { store, folder, .. } = w;
    assert_eq!(restored(store, folder.path()), None);
}

#[test]
fn a_folder_that_an_earlier_version_bound_stays_bound() {
    let own = "0123456789abcdef0123456789abcdef";
    let bound = tamga::witness::machine_hash(own).unwrap();
    let mut w = World::new();
    let dir = w.folder.path().to_owned();
    w.store.set_meta("machine_id", own).unwrap();
    let memory = Memory::default();
    assert!(w.store.stand(Box::new(memory.clone()), &here(&dir, "m2", "e1")).is_err());
    let standing = w.store.stand(Box::new(memory), &here(&dir, &bound, "e2")).unwrap();
    assert!(matches!(standing, Standing::Proven { .. }));
    assert_eq!(w.store.meta("machine_id").unwrap(), None, "the id itself is not kept any more");
    assert_eq!(w.store.meta("machine").unwrap(), Some(bound));
}
