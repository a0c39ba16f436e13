//! Measuring: times and bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tamga::store::open::database_path;

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
