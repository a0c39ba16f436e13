//! The database as a file: looked through, copied while the agent runs, put back.
//!
//! A copy says of itself that it is one, wherever it is put; a database that is put back says which file it replaced.
//! Nothing is deleted: what stood there is moved into a folder `before-<stamp>`. Putting back has one moment that
//! counts, a rename: before it the old database stands, after it the new one does, and whoever opens the folder next
//! finishes what is left.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tamga_domain::time::Wall;

use super::error::StoreError;
use super::limits::FINDINGS_MAX;
use super::open::{self, database_path, schema_known};
use super::read::View;
use super::standing::{COPY, REPLACED};
use super::verify::{Finding, verify};
use crate::chain::chain;
use crate::witness::shelf::file_id;

/// A database whose turn it is: `restoring-<stamp>.db` in the data folder.
const PENDING: &str = "restoring-";
/// The same while it is being written.
const PART: &str = "restoring.part";

/// What was found in a database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Examined {
    /// What SQLite says of the file; empty when it is whole.
    pub integrity: Vec<String>,
    /// Rows that refer to rows that are not there.
    pub references: u64,
    /// Counts that are not what they should be.
    pub findings: Vec<Finding>,
    pub schema: u32,
    /// Codes received in all, for a person to recognise it by.
    pub received: u64,
}

impl Examined {
    pub fn is_good(&self) -> bool {
        self.integrity.is_empty() && self.references == 0 && self.findings.is_empty()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} cannot be read or written", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} lies in the data folder: a backup belongs elsewhere, on another disk", path.display())]
    InDataFolder { path: PathBuf },
    #[error("the database in {} is not as it should be", path.display())]
    NotGood { path: PathBuf, found: Box<Examined> },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::File { path, source }
}

/// Looks through a database: SQLite's own check of every page, references, and every count anew. Reads all of it; the
/// agent may run meanwhile. A file that is damaged is told in the answer.
pub fn examine(path: &Path) -> Result<Examined, StoreError> {
    match look_through(path) {
        Err(error) if error.is_damage() => {
            let integrity = vec![chain(&error)];
            Ok(Examined { integrity, ..Examined::default() })
        }
        other => other,
    }
}

fn look_through(path: &Path) -> Result<Examined, StoreError> {
    let conn = open::open_file(path)?;
    let schema = open::user_version(&conn).map_err(StoreError::Reading)?;
    if schema > schema_known() {
        return Err(StoreError::SchemaNewer { found: schema, known: schema_known() });
    }
    let sql = format!("PRAGMA integrity_check({FINDINGS_MAX})");
    let mut integrity = rows(&conn, &sql, |r| r.get::<_, String>(0))?;
    integrity.retain(|line| line != "ok");
    let references = rows(&conn, "PRAGMA foreign_key_check", |_| Ok(()))?.len() as u64;
    // One of an older version is brought up to date when it is opened; its counts are looked through after that.
    let (mut findings, mut received) = (Vec::new(), 0);
    if schema == schema_known() && integrity.is_empty() {
        let view = View::on(&conn);
        findings = verify(&view)?;
        received = view.block_totals()?.received;
    }
    Ok(Examined { integrity, references, findings, schema, received })
}

fn rows<T>(
    conn: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare(sql).map_err(StoreError::Reading)?;
    let rows = statement.query_map([], read).map_err(StoreError::Reading)?;
    rows.collect::<Result<_, _>>().map_err(StoreError::Reading)
}

/// Copies the database of a data folder into a file, while the agent runs or not. The file is there when its copy was
/// looked through and found good, or not at all; one that stood there is replaced then.
pub fn backup(dir: &Path, to: &Path, now: Wall) -> Result<Examined, CopyError> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = folder.canonicalize().map_err(at(&folder))?;
    if real.starts_with(dir.canonicalize().map_err(at(dir))?) {
        return Err(CopyError::InDataFolder { path: to.to_owned() });
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    let part = folder.join(name);
    let copied = copy_into(&database_path(dir), &part, &[(COPY, now.0.to_string())]);
    let done = copied.and_then(|good| {
        std::fs::rename(&part, to).map_err(at(to))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(at(&folder))?;
        Ok(good)
    });
    if done.is_err() {
        drop(std::fs::remove_file(&part));
    }
    done
}

/// Writes a durable copy with marks of its own, and looks through what it wrote.
fn copy_into(from: &Path, part: &Path, marks: &[(&str, String)]) -> Result<Examined, CopyError> {
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(part)(error)),
        Ok(()) | Err(_) => {}
    }
    // Made here, so that it is for its owner only; SQLite takes an empty file.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part).map_err(at(part))?;
    let opening = |source| StoreError::Opening { path: from.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(opening)?;
    source.busy_timeout(std::time::Duration::from_millis(super::limits::BUSY_MS)).map_err(opening)?;
    open::identify(&source, from)?;
    let target = part.to_string_lossy();
    source.execute("VACUUM INTO ?1", [&*target]).map_err(StoreError::Reading)?;
    drop(source);
    let writing = StoreError::Writing;
    let copy = Connection::open(part).map_err(writing)?;
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(writing)?;
    for (key, value) in marks {
        let sql =
            "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        copy.execute(sql, (key, value)).map_err(writing)?;
    }
    copy.close().map_err(|(_, error)| writing(error))?;
    file.sync_all().map_err(at(part))?;
    let found = examine(part)?;
    if found.is_good() { Ok(found) } else { Err(not_good(part, found)) }
}

fn not_good(path: &Path, found: Examined) -> CopyError {
    CopyError::NotGood { path: path.to_owned(), found: Box::new(found) }
}

/// What became of a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    pub found: Examined,
    /// Where the database of before is; `None` when there was none.
    pub aside: Option<PathBuf>,
}

/// Puts a copy in the place of a data folder's database, which is moved aside. No agent may have the folder.
pub fn restore(dir: &Path, from: &Path, now: Wall) -> Result<Restored, CopyError> {
    let _lock = open::lock_folder(dir)?;
    let database = database_path(dir);
    let found = examine(from)?;
    if !found.is_good() {
        return Err(not_good(from, found));
    }
    let mut marks = vec![(COPY, now.0.to_string())];
    if is_there(&database) {
        marks.push((REPLACED, file_id(&database).map_err(at(&database))?.render()));
    }
    let part = dir.join(PART);
    let found = copy_into(from, &part, &marks)?;
    // The moment that counts.
    let pending = dir.join(format!("{PENDING}{}.db", now.0));
    std::fs::rename(&part, &pending).map_err(at(&pending))?;
    sync(dir).map_err(at(dir))?;
    let aside = finish(dir).map_err(at(dir))?;
    Ok(Restored { found, aside })
}

/// A database file of no bytes was made by opening the folder: there is nothing in it to keep.
fn is_there(database: &Path) -> bool {
    std::fs::metadata(database).is_ok_and(|facts| facts.len() > 0)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Does what is left of a restore that has passed its moment: the old database goes aside with all its files, the new
/// one comes into its place. Answers where the old one is, if there was something to do.
pub(super) fn finish(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut waiting = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stamp = name.strip_prefix(PENDING).and_then(|rest| rest.strip_suffix(".db"));
        waiting.extend(stamp.map(str::to_owned));
    }
    waiting.sort();
    let mut moved = None;
    for stamp in waiting {
        let aside = dir.join(format!("before-{stamp}"));
        DirBuilder::new().recursive(true).mode(0o700).create(&aside)?;
        // A WAL of the old database beside the new one would be taken for its own: no file of the old may stay.
        for name in ["tamga.db", "tamga.db-wal", "tamga.db-shm"] {
            match std::fs::rename(dir.join(name), aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        sync(&aside)?;
        sync(dir)?;
        std::fs::rename(dir.join(format!("{PENDING}{stamp}.db")), database_path(dir))?;
        sync(dir)?;
        if is_there(&database_path(&aside)) {
            moved = Some(aside);
        }
    }
    Ok(moved)
}
