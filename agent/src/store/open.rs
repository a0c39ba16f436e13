//! Opening the one database: the folder, the lock, SQLite's settings, the schema.
//!
//! Settings belong to a connection and not to the file, so each is read back after it was set; a database that does
//! not have them is not used.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::limits::{BUSY_MS, CACHE_KIB, STATEMENTS_MAX, WAL_BYTES_KEPT};
use crate::disk::BLOCK_BYTES_MIN;

const DATABASE: &str = "tamga.db";
/// Bytes written back at once.
const WRITE_BACK_PIECE: usize = 1 << 20;
const LOCK: &str = "tamga.lock";
/// The first version without the WAL-reset bug, which can damage a database with two connections.
const SQLITE_MIN: i32 = 3_051_003;
/// "Tmga" in SQLite's header: tells our database from any other.
const APPLICATION_ID: i32 = 0x546D_6761;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
];

/// The schema that this version writes.
pub fn schema_known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The database file in a data folder.
pub fn database_path(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// The WAL beside the database file.
pub(super) fn wal_path(dir: &Path) -> PathBuf {
    dir.join(format!("{DATABASE}-wal"))
}

/// Writes a file's bytes once more, in place, and syncs it: what is seen is then what a power cut leaves.
///
/// After a sync that failed the kernel calls pages clean that never reached the disk. The next process sees the WAL whole,
/// moves all of it into the database, and a power cut then brings a WAL back that ends where the hole is: its pages, older
/// than the database's, would lie over them. Found by simulation (a sync error, a start, a power cut).
pub(super) fn write_back(path: &Path) -> std::io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut piece = vec![0; WRITE_BACK_PIECE];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let len = file.read(&mut piece)?;
        if len == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&piece[..len])?;
        at += len as u64;
    }
}

/// Makes the folder if it is not there and takes its lock. The lock lives as long as the file is open.
pub(super) fn lock_folder(dir: &Path) -> Result<File, StoreError> {
    let folder = |source| StoreError::Folder { path: dir.to_path_buf(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(folder)?;
    let bytes = std::fs::metadata(dir).map_err(folder)?.blksize();
    if bytes < BLOCK_BYTES_MIN {
        return Err(StoreError::SmallBlocks { path: dir.to_path_buf(), bytes });
    }
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = open.open(dir.join(LOCK)).map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse { path: dir.to_path_buf(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(folder(source)),
    }
    lock.set_len(0).map_err(folder)?;
    lock.seek(SeekFrom::Start(0)).map_err(folder)?;
    writeln!(lock, "{}", std::process::id()).map_err(folder)?;
    if let Some(aside) = super::copy::finish(dir).map_err(folder)? {
        tracing::warn!(aside = %aside.display(), "a restore that was cut short is finished; the old database is aside");
    }
    // The database file is made here, so that it and its WAL are readable by this user only.
    open.open(database_path(dir)).map_err(folder)?;
    Ok(lock)
}

/// The read-write connection, with its settings checked and the schema brought up to date.
pub(super) fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    let path = database_path(dir);
    let found = rusqlite::version_number();
    if found < SQLITE_MIN {
        return Err(StoreError::SqliteTooOld { found, wanted: SQLITE_MIN });
    }
    let opening = |source| StoreError::Opening { path: path.clone(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&path, flags).map_err(opening)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(opening)?;
    identify(&conn, &path)?;
    set(&conn, "page_size", 4096, "4096").map_err(|e| e.at(&path))?;
    set(&conn, "journal_mode", "WAL", "wal").map_err(|e| e.at(&path))?;
    set(&conn, "synchronous", "FULL", "2").map_err(|e| e.at(&path))?;
    set(&conn, "foreign_keys", true, "1").map_err(|e| e.at(&path))?;
    set(&conn, "locking_mode", "NORMAL", "normal").map_err(|e| e.at(&path))?;
    set(&conn, "wal_autocheckpoint", 0, "0").map_err(|e| e.at(&path))?;
    set(&conn, "journal_size_limit", WAL_BYTES_KEPT, &WAL_BYTES_KEPT.to_string()).map_err(|e| e.at(&path))?;
    settings_of_any(&conn).map_err(|e| e.at(&path))?;
    // A connection that is closed after an error would move a WAL into the database that it only believes to be durable.
    let unmoved = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    unmoved.map_err(|e| NotSet::Sql(e).at(&path))?;
    migrate(&mut conn)?;
    Ok(conn)
}

/// A connection that cannot write, to a database of ours of any schema.
pub(super) fn open_file(path: &Path) -> Result<Connection, StoreError> {
    let opening = |source| StoreError::Opening { path: path.to_path_buf(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(opening)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(opening)?;
    set(&conn, "query_only", true, "1").map_err(|e| e.at(path))?;
    identify(&conn, path)?;
    settings_of_any(&conn).map_err(|e| e.at(path))?;
    Ok(conn)
}

/// A connection that cannot write, for queries beside the writer.
pub(super) fn open_reader(dir: &Path) -> Result<Connection, StoreError> {
    let path = database_path(dir);
    let opening = |source| StoreError::Opening { path: path.clone(), source };
    let conn = open_file(&path)?;
    let found = user_version(&conn).map_err(opening)?;
    if found != schema_known() {
        return Err(StoreError::SchemaNewer { found, known: schema_known() });
    }
    Ok(conn)
}

fn settings_of_any(conn: &Connection) -> Result<(), NotSet> {
    set(conn, "cache_size", -CACHE_KIB, &(-CACHE_KIB).to_string())?;
    set(conn, "mmap_size", 0, "0")?;
    set(conn, "temp_store", "MEMORY", "2")?;
    set(conn, "trusted_schema", false, "0")?;
    set(conn, "cell_size_check", true, "1")?;
    // Plans never depend on bound values. Without this, a statement on a table with partial indexes is planned anew each
    // time that its values change: a tenth of the agent's work.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(NotSet::Sql)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// A setting that could not be made, before the path is known.
enum NotSet {
    Sql(rusqlite::Error),
    Differs { name: &'static str, wanted: String, found: String },
}

impl NotSet {
    fn at(self, path: &Path) -> StoreError {
        match self {
            NotSet::Sql(source) => StoreError::Opening { path: path.to_path_buf(), source },
            NotSet::Differs { name, wanted, found } => StoreError::Setting { name, wanted, found },
        }
    }
}

/// Makes a setting and reads it back.
fn set(
    conn: &Connection,
    name: &'static str,
    value: impl rusqlite::ToSql,
    wanted: &str,
) -> Result<(), NotSet> {
    // Some pragmas answer with a row when set and some do not; the value is read back in either case.
    conn.pragma(None, name, value, |_| Ok(())).map_err(NotSet::Sql)?;
    let mut found = None;
    conn.pragma_query(None, name, |row| {
        found = Some(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(i) => i.to_string(),
            rusqlite::types::ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
            other => format!("{other:?}"),
        });
        Ok(())
    })
    .map_err(NotSet::Sql)?;
    match found {
        Some(found) if found == wanted => Ok(()),
        // A build without memory mapping answers with no row at all, which is as good as 0.
        None if name == "mmap_size" => Ok(()),
        found => Err(NotSet::Differs { name, wanted: wanted.into(), found: found.unwrap_or_default() }),
    }
}

/// Refuses a file that is not empty and not ours, before anything is written to it.
pub(super) fn identify(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let opening = |source| StoreError::Opening { path: path.to_path_buf(), source };
    let id: i32 = conn.pragma_query_value(None, "application_id", |r| r.get(0)).map_err(opening)?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).map_err(opening)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        Ok(())
    } else {
        Err(StoreError::NotOurs { path: path.to_path_buf() })
    }
}

pub(super) fn user_version(conn: &Connection) -> Result<u32, rusqlite::Error> {
    conn.pragma_query_value(None, "user_version", |r| r.get(0))
}

/// Runs the migrations that are missing, each in one transaction with its number.
fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let known = schema_known();
    let found = user_version(conn).map_err(|source| StoreError::Migrating { to: known, source })?;
    if found > known {
        return Err(StoreError::SchemaNewer { found, known });
    }
    for (to, sql) in (1..=known).zip(MIGRATIONS).skip(found as usize) {
        let mut step = || -> Result<(), rusqlite::Error> {
            let txn = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            txn.execute_batch(sql)?;
            txn.pragma_update(None, "application_id", APPLICATION_ID)?;
            txn.pragma_update(None, "user_version", to)?;
            txn.commit()
        };
        step().map_err(|source| StoreError::Migrating { to, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_wal_is_written_once_more_and_none_is_changed() {
        let path = std::env::temp_dir().join(format!("tamga-write-back-{}", std::process::id()));
        let bytes: Vec<u8> = (0..2 * WRITE_BACK_PIECE + 77).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let before = std::time::SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        write_back(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(std::fs::metadata(&path).unwrap().modified().unwrap() > before, "nothing was written");
        std::fs::remove_file(&path).unwrap();
        write_back(&path).expect("no WAL is nothing to write back");
    }
}
