//! Measuring: times and bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tamga::store::Store;
use tamga::store::open::database_path;
use tamga_domain::ids::TxnId;
use tamga_domain::record::{Record, Txn};
use tamga_domain::time::Wall;

/// What one kind of transaction costs: the writer's time by the clock, and of the processor alone, which no other
/// program on the disk can lengthen; both in microseconds.
#[derive(Default)]
pub struct Cost {
    wall: Vec<u64>,
    cpu: Vec<u64>,
    /// Pages written to the WAL, in thousandths so that they are told like milliseconds.
    pages: Vec<u64>,
    beside: Vec<u64>,
}

impl Cost {
    /// Does it, then makes the floor: one commit of one row, beside it in time and on the same disk.
    pub fn of<T>(&mut self, store: &mut Store, act: impl FnOnce(&mut Store) -> T) -> T {
        let before = store.wal_pages();
        let (started, cpu) = (Instant::now(), thread_cpu());
        let done = act(store);
        self.cpu.push(thread_cpu() - cpu);
        self.wall.push(micros(started));
        let after = store.wal_pages();
        // The WAL may have begun anew.
        self.pages.push(u64::from(if after < before { after } else { after - before }) * 1000);
        let started = Instant::now();
        bare_commit(store);
        self.beside.push(micros(started));
        done
    }

    /// Without those in which nothing was done.
    pub fn only_above(&mut self, us: u64) {
        let keep: Vec<bool> = self.wall.iter().map(|w| *w > us).collect();
        for times in [&mut self.wall, &mut self.cpu, &mut self.pages, &mut self.beside] {
            let mut keep = keep.iter();
            times.retain(|_| *keep.next().unwrap());
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sorted = |times: &[u64]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
        };
        let (wall, cpu, beside) = (sorted(&self.wall), sorted(&self.cpu), sorted(&self.beside));
        let pages = sorted(&self.pages);
        let Some(last) = wall.len().checked_sub(1) else { return write!(f, "none") };
        let at = |times: &[u64], q: f64| times[(last as f64 * q) as usize] as f64 / 1000.0;
        write!(f, "{} times", wall.len())?;
        for (name, q) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let (w, c, p, b) = (at(&wall, q), at(&cpu, q), at(&pages, q), at(&beside, q));
            write!(f, "\n      {name}: {w:.2} ms, processor {c:.2} ms, {p} pages; a bare commit {b:.2} ms")?;
            if q < 1.0 {
                write!(f, ", ratio {:.1}, above it {:.2} ms", w / b, w - b)?;
            }
        }
        Ok(())
    }
}

/// One row changed and made durable: what any commit costs.
fn bare_commit(store: &mut Store) {
    // Another text each time: a row set to what it is would be no change.
    let (key, detail) = ("bench".to_owned(), format!("{:?}", Instant::now()));
    let record = Record::AlarmRaised { line: None, key, detail, at: Wall(0) };
    store.apply(&[Txn { id: TxnId(0), records: vec![record] }]).unwrap();
}

#[allow(unsafe_code)]
fn thread_cpu() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is a constant of Linux and `time` outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0);
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1000).unwrap()
}

pub fn fsync_alone(dir: &Path) -> String {
    let path = dir.join(format!("tamga-fsync-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    let mut times: Vec<u64> = (0..200)
        .map(|_| {
            file.write_all(&[1; 4096]).unwrap();
            let started = Instant::now();
            file.sync_all().unwrap();
            micros(started)
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    quantiles(&mut times)
}

pub fn file_bytes(dir: &Path) -> u64 {
    // Everything into the database file first.
    let conn = rusqlite::Connection::open(database_path(dir)).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::metadata(database_path(dir)).unwrap().len()
}

pub fn table_bytes(dir: &Path) -> BTreeMap<String, i64> {
    let conn = rusqlite::Connection::open(database_path(dir)).unwrap();
    let mut all =
        conn.prepare("SELECT name, sum(pgsize) FROM dbstat WHERE aggregate = TRUE GROUP BY name").unwrap();
    all.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
}

pub fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap()
}

pub fn quantiles(times: &mut [u64]) -> String {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else {
        return "none".into();
    };
    let at = |q: f64| times[(last as f64 * q) as usize] as f64 / 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(0.5), at(0.99), at(1.0))
}
