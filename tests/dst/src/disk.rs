//! A disk that can lose power, fill up and lie.
//!
//! Each file has what programs see and what would be there after a power cut. Between the two stand the writes that no
//! sync has confirmed. At a power cut each of them may be there whole, in part or not at all, in any order, by sectors.
//! Bytes beside a write are never touched by it (SQLite's powersafe overwrite, which is what the shipped VFS says too).
//! Names are durable when the folder is synced, which SQLite does with the first sync of a new WAL or journal, and with some
//! removals; otherwise a cut may take a new file away and bring a removed one back.

use std::collections::BTreeMap;

/// The smallest piece that a power cut leaves whole.
const SECTOR: usize = 512;

/// What a disk does badly, by the number of the operation that it happens at. Operations are writes, syncs, cuts to
/// length and removals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The power goes in the middle of this operation.
    pub cut_at: Option<u64>,
    /// From this operation on, for so many operations that grow a file, there is no room.
    pub full: Option<(u64, u64)>,
    /// This write fails.
    pub write_error_at: Option<u64>,
    /// The first sync from this operation on fails; what was to be synced may be durable or not.
    pub sync_error_at: Option<u64>,
    /// From this operation on nothing can be written.
    pub read_only_from: Option<u64>,
    /// From this read on, counted by itself, so many reads fail.
    pub read_errors: Option<(u64, u64)>,
}

/// How often each kind of trouble has struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    pub power_cuts: u64,
    pub torn_writes: u64,
    pub lost_writes: u64,
    pub full: u64,
    pub write_errors: u64,
    pub sync_errors: u64,
    pub read_only: u64,
    pub read_errors: u64,
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Full,
    Read,
    Write,
    Sync,
    ReadOnly,
    /// There is no power. Nothing works until [`Disk::power_on`].
    Off,
    NoSuchFile,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct File {
    /// As programs see it.
    seen: Vec<u8>,
    /// As a power cut would leave it, but for the changes.
    durable: Vec<u8>,
    /// Since the last sync, in their order.
    changes: Vec<Change>,
    /// The name is durable.
    named: bool,
}

impl File {
    /// All of it is on the disk, name and content.
    fn durable(content: Vec<u8>) -> File {
        File { seen: content.clone(), durable: content, changes: Vec::new(), named: true }
    }
}

/// Files by name, as programs saw them.
pub type Copied = BTreeMap<String, Vec<u8>>;

/// The files of one machine.
#[derive(Debug)]
pub struct Disk {
    files: BTreeMap<String, File>,
    /// Removed and perhaps back after a cut.
    removed: BTreeMap<String, Vec<u8>>,
    rng: fastrand::Rng,
    trouble: Trouble,
    ops: u64,
    reads: u64,
    off: bool,
    lies: Lies,
    pub struck: Struck,
}

/// Which syncs do nothing and say that they did. Not faults of a plant but planted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lies {
    #[default]
    None,
    All,
    /// Those of the WAL after which only the WAL was written.
    Wal,
}

impl Disk {
    pub fn new(seed: u64) -> Disk {
        Disk {
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            trouble: Trouble::default(),
            ops: 0,
            reads: 0,
            off: false,
            lies: Lies::None,
            struck: Struck::default(),
        }
    }

    /// Operations so far: what the numbers of [`Trouble`] are counted by.
    pub fn ops(&self) -> u64 {
        self.ops
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    pub fn lie(&mut self, lies: Lies) {
        self.lies = lies;
    }

    pub fn set_trouble(&mut self, trouble: Trouble) {
        self.trouble = trouble;
    }

    pub fn is_off(&self) -> bool {
        self.off
    }

    /// The process is killed: nothing that it still tries reaches the disk, and the disk keeps what it was given.
    pub fn freeze(&mut self) {
        self.off = true;
    }

    /// After [`Disk::freeze`]: another process may use it.
    pub fn thaw(&mut self) {
        self.off = false;
    }

    /// The power goes now.
    pub fn power_off(&mut self) {
        if !self.off {
            self.struck.power_cuts += 1;
            self.off = true;
        }
    }

    /// The power is back, and the disk shows what it kept.
    pub fn power_on(&mut self) {
        self.off = false;
        self.trouble.cut_at = None;
        let mut kept = BTreeMap::new();
        for (name, mut file) in std::mem::take(&mut self.files) {
            // A name that no sync has reached may be gone, and its content with it.
            if !file.named && self.rng.bool() {
                self.struck.lost_writes += file.changes.len() as u64;
                continue;
            }
            let survive = self.survivors(&file.changes);
            for (change, whole) in file.changes.drain(..).zip(survive) {
                apply_after_cut(&mut file.durable, &change, whole, &mut self.rng, &mut self.struck);
            }
            file.seen.clone_from(&file.durable);
            file.named = true;
            kept.insert(name, file);
        }
        for (name, content) in std::mem::take(&mut self.removed) {
            if self.rng.bool() && !kept.contains_key(&name) {
                kept.insert(name, File::durable(content));
            }
        }
        self.files = kept;
    }

    /// Which changes a cut leaves: all up to some point, or any of them.
    fn survivors(&mut self, changes: &[Change]) -> Vec<Survival> {
        let all = changes.len();
        match self.rng.u8(..3) {
            0 => {
                let kept = self.rng.usize(..=all);
                (0..all).map(|n| if n < kept { Survival::Whole } else { Survival::Lost }).collect()
            }
            1 => changes.iter().map(|_| Survival::of(self.rng.u8(..2))).collect(),
            _ => changes.iter().map(|_| Survival::of(self.rng.u8(..3))).collect(),
        }
    }

    pub fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Makes the file if it is not there.
    pub fn open(&mut self, name: &str) -> Result<(), Failed> {
        if self.off {
            return Err(Failed::Off);
        }
        self.files.entry(name.to_owned()).or_default();
        Ok(())
    }

    pub fn len(&self, name: &str) -> Result<usize, Failed> {
        if self.off {
            return Err(Failed::Off);
        }
        self.files.get(name).map(|f| f.seen.len()).ok_or(Failed::NoSuchFile)
    }

    /// Fills `to` with what is there and with zeros behind it. True when all of it was there.
    pub fn read(&mut self, name: &str, at: usize, to: &mut [u8]) -> Result<bool, Failed> {
        if self.off {
            return Err(Failed::Off);
        }
        self.reads += 1;
        if self.trouble.read_errors.is_some_and(|(from, count)| (from..from + count).contains(&self.reads)) {
            self.struck.read_errors += 1;
            return Err(Failed::Read);
        }
        let seen = &self.files.get(name).ok_or(Failed::NoSuchFile)?.seen;
        let there = seen.get(at..).unwrap_or_default();
        let len = there.len().min(to.len());
        to[..len].copy_from_slice(&there[..len]);
        to[len..].fill(0);
        Ok(len == to.len())
    }

    pub fn write(&mut self, name: &str, at: usize, bytes: &[u8]) -> Result<(), Failed> {
        let op = self.op()?;
        let grows = self.files.get(name).ok_or(Failed::NoSuchFile)?.seen.len() < at + bytes.len();
        if self.trouble.cut_at == Some(op) {
            // The write was on its way.
            self.put(name, at, bytes);
            self.power_off();
            return Err(Failed::Off);
        }
        self.writable(op)?;
        if self.trouble.write_error_at == Some(op) {
            self.struck.write_errors += 1;
            return Err(Failed::Write);
        }
        if grows && self.no_room(op) {
            self.struck.full += 1;
            return Err(Failed::Full);
        }
        self.put(name, at, bytes);
        Ok(())
    }

    fn put(&mut self, name: &str, at: usize, bytes: &[u8]) {
        let Some(file) = self.files.get_mut(name) else { return };
        put(&mut file.seen, at, bytes);
        file.changes.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub fn set_len(&mut self, name: &str, len: usize) -> Result<(), Failed> {
        let op = self.op_or_cut()?;
        self.writable(op)?;
        let file = self.files.get_mut(name).ok_or(Failed::NoSuchFile)?;
        file.seen.resize(len, 0);
        file.changes.push(Change::Length(len));
        Ok(())
    }

    pub fn sync(&mut self, name: &str) -> Result<(), Failed> {
        let op = self.op_or_cut()?;
        if self.trouble.sync_error_at.is_some_and(|at| at <= op) {
            self.trouble.sync_error_at = None;
            self.struck.sync_errors += 1;
            self.half_synced(name);
            return Err(Failed::Sync);
        }
        let file = self.files.get_mut(name).ok_or(Failed::NoSuchFile)?;
        if self.lies == Lies::All || (self.lies == Lies::Wal && name.ends_with("-wal")) {
            return Ok(());
        }
        for change in file.changes.drain(..) {
            apply(&mut file.durable, &change);
        }
        // SQLite syncs the folder with the first sync of a new WAL or journal.
        if !file.named && (name.ends_with("-wal") || name.ends_with("-journal")) {
            self.files.values_mut().for_each(|f| f.named = true);
            self.removed.clear();
        }
        Ok(())
    }

    /// Writes a file's bytes once more and syncs it, as the store does with its WAL before it trusts it.
    pub fn write_back(&mut self, name: &str) -> std::io::Result<()> {
        let Some(file) = self.files.get(name) else { return Ok(()) };
        let bytes = file.seen.clone();
        let failed = |failed| std::io::Error::other(format!("{failed:?}"));
        self.write(name, 0, &bytes).map_err(failed)?;
        self.sync(name).map_err(failed)
    }

    /// A sync that failed: some of it is durable, and the rest never will be, though programs go on seeing it.
    fn half_synced(&mut self, name: &str) {
        let Some(file) = self.files.get_mut(name) else { return };
        let changes = std::mem::take(&mut file.changes);
        let whole = self.rng.bool();
        for change in changes {
            if whole || self.rng.bool() {
                apply(&mut file.durable, &change);
            }
        }
    }

    /// `forever`: the folder is synced too.
    pub fn remove(&mut self, name: &str, forever: bool) -> Result<(), Failed> {
        let op = self.op_or_cut()?;
        self.writable(op)?;
        let file = self.files.remove(name).ok_or(Failed::NoSuchFile)?;
        if !forever && file.named {
            self.removed.insert(name.to_owned(), file.durable);
        }
        Ok(())
    }

    /// Puts bytes in the place of a small file: written aside, synced, renamed. A cut leaves the old or the new.
    pub fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        let op = self.op()?;
        let new = File::durable(bytes.to_vec());
        if self.trouble.cut_at == Some(op) {
            if self.rng.bool() {
                self.files.insert(name.to_owned(), new);
            }
            self.power_off();
            return Err(Failed::Off);
        }
        self.writable(op)?;
        if self.trouble.write_error_at == Some(op) {
            self.struck.write_errors += 1;
            return Err(Failed::Write);
        }
        if self.no_room(op) {
            self.struck.full += 1;
            return Err(Failed::Full);
        }
        self.files.insert(name.to_owned(), new);
        Ok(())
    }

    /// A file loses pages: some are zeros or garbage, or its end is gone.
    pub fn damage(&mut self, name: &str, page: usize) {
        let Some(file) = self.files.get_mut(name) else { return };
        let pages = file.seen.len() / page;
        if pages == 0 {
            return;
        }
        let first = self.rng.usize(..pages);
        match self.rng.u8(..3) {
            0 => file.seen.truncate(first * page),
            how => {
                let count = self.rng.usize(1..=8).min(pages - first);
                let fill = |_| if how == 1 { 0 } else { self.rng.u8(..) };
                let bytes: Vec<u8> = (0..count * page).map(fill).collect();
                put(&mut file.seen, first * page, &bytes);
            }
        }
        file.durable.clone_from(&file.seen);
        file.changes.clear();
    }

    /// A copy of all files as programs see them: a backup made by hand.
    pub fn copy(&self) -> Copied {
        self.files.iter().map(|(name, file)| (name.clone(), file.seen.clone())).collect()
    }

    /// Puts a copy in place of all files but those under `but`.
    pub fn restore(&mut self, copy: &Copied, but: &str) {
        let stays = |name: &String| !but.is_empty() && name.starts_with(but);
        self.files.retain(|name, _| stays(name));
        let put = copy.iter().filter(|(name, _)| !stays(name));
        self.files.extend(put.map(|(name, content)| (name.clone(), File::durable(content.clone()))));
        self.removed.clear();
    }

    fn op(&mut self) -> Result<u64, Failed> {
        if self.off {
            return Err(Failed::Off);
        }
        self.ops += 1;
        Ok(self.ops)
    }

    /// An operation of which a power cut leaves nothing.
    fn op_or_cut(&mut self) -> Result<u64, Failed> {
        let op = self.op()?;
        if self.trouble.cut_at == Some(op) {
            self.power_off();
            return Err(Failed::Off);
        }
        Ok(op)
    }

    fn writable(&mut self, op: u64) -> Result<(), Failed> {
        if self.trouble.read_only_from.is_some_and(|from| from <= op) {
            self.struck.read_only += 1;
            return Err(Failed::ReadOnly);
        }
        Ok(())
    }

    fn no_room(&self, op: u64) -> bool {
        self.trouble.full.is_some_and(|(from, count)| (from..from + count).contains(&op))
    }
}

/// What a cut leaves of one change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Survival {
    Lost,
    Whole,
    Torn,
}

impl Survival {
    fn of(dice: u8) -> Survival {
        match dice {
            0 => Survival::Lost,
            1 => Survival::Whole,
            _ => Survival::Torn,
        }
    }
}

fn apply_after_cut(
    to: &mut Vec<u8>,
    change: &Change,
    survival: Survival,
    rng: &mut fastrand::Rng,
    struck: &mut Struck,
) {
    match (survival, change) {
        (Survival::Lost, _) => struck.lost_writes += 1,
        (Survival::Whole, change) => apply(to, change),
        (Survival::Torn, Change::Length(len)) => {
            if rng.bool() {
                to.resize(*len, 0);
            }
        }
        (Survival::Torn, Change::Write { at, bytes }) => {
            struck.torn_writes += 1;
            for (n, piece) in bytes.chunks(SECTOR).enumerate() {
                if rng.bool() {
                    put(to, at + n * SECTOR, piece);
                }
            }
        }
    }
}

fn apply(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => put(to, *at, bytes),
        Change::Length(len) => to.resize(*len, 0),
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if to.len() < at + bytes.len() {
        to.resize(at + bytes.len(), 0);
    }
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: &str = "f";

    fn disk(seed: u64) -> Disk {
        let mut disk = Disk::new(seed);
        disk.open(F).expect("there is power");
        disk.open("f-wal").expect("there is power");
        disk.sync("f-wal").expect("it syncs, and the folder with it");
        disk.write(F, 0, &[1; 2048]).expect("there is room");
        disk.sync(F).expect("it syncs");
        disk
    }

    fn content(disk: &mut Disk) -> Vec<u8> {
        let mut all = vec![0; disk.len(F).expect("it is there")];
        disk.read(F, 0, &mut all).expect("there is power");
        all
    }

    fn after_a_cut(mut disk: Disk) -> Vec<u8> {
        disk.power_off();
        assert_eq!(disk.len(F), Err(Failed::Off));
        disk.power_on();
        content(&mut disk)
    }

    #[test]
    fn reads_fail_as_often_as_they_are_told_to() {
        let mut disk = disk(1);
        disk.set_trouble(Trouble { read_errors: Some((disk.reads() + 2, 2)), ..Trouble::default() });
        let mut byte = [0];
        let reads: Vec<bool> = (0..5).map(|_| disk.read(F, 0, &mut byte).is_ok()).collect();
        assert_eq!((reads, disk.struck.read_errors), (vec![true, false, false, true, true], 2));
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut disk = disk(seed);
            disk.write(F, 512, &[2; 1024]).expect("there is room");
            let kept = after_a_cut(disk);
            assert_eq!(kept.len(), 2048);
            assert!(kept[..512].iter().chain(&kept[1536..]).all(|b| *b == 1), "beside the write");
            seen.insert((kept[512], kept[1024]));
        }
        assert_eq!(seen.len(), 4, "lost, whole, and torn either way: {seen:?}");
    }

    #[test]
    fn a_sync_that_failed_leaves_something_or_nothing_and_no_later_one_mends_it() {
        let mut kept = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut disk = disk(seed);
            disk.set_trouble(Trouble { sync_error_at: Some(0), ..Trouble::default() });
            disk.write(F, 0, &[2; 512]).expect("there is room");
            assert_eq!(disk.sync(F), Err(Failed::Sync));
            assert_eq!(content(&mut disk)[0], 2, "programs see it");
            disk.write(F, 1024, &[3; 1]).expect("there is room");
            kept.insert(after_a_cut(disk)[0]);
        }
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn a_full_disk_takes_no_more_but_what_fits_in_place() {
        let mut disk = disk(1);
        disk.set_trouble(Trouble { full: Some((0, 100)), ..Trouble::default() });
        assert_eq!(disk.write(F, 2048, &[4; 1]), Err(Failed::Full));
        assert_eq!(disk.write(F, 0, &[4; 1]), Ok(()));
    }

    #[test]
    fn a_disk_that_lies_loses_what_it_said_it_had() {
        let lost = (0..20).any(|seed| {
            let mut disk = disk(seed);
            disk.lie(Lies::All);
            disk.write(F, 0, &[5; 512]).expect("there is room");
            disk.sync(F).expect("it says so");
            after_a_cut(disk)[0] == 1
        });
        assert!(lost);
    }

    #[test]
    fn a_removed_file_may_come_back_unless_its_folder_was_synced() {
        let back = |forever| {
            (0..20).any(|seed| {
                let mut disk = disk(seed);
                disk.remove(F, forever).expect("it is there");
                disk.power_off();
                disk.power_on();
                disk.exists(F)
            })
        };
        assert!(back(false) && !back(true));
    }
}
