//! Where the witness lies: a few small files in a folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::FileId;

/// Small files by name. The simulation has one in memory.
pub trait Shelf: Send {
    /// What stands there; `None` when there is no such file.
    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Puts the bytes in the place of what stands there. When it returns, they are durable; when it fails or is cut
    /// short, either the old or the new bytes are there, whole.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes bytes of always the same length and does not wait for a disk: after a power cut the old bytes, the new
    /// ones, a mixture or none may be there.
    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// A folder of this computer, locked for one process.
pub struct Folder {
    dir: PathBuf,
    noted: Option<(String, File)>,
    /// Held as long as the folder is used.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("the folder of the witness {} cannot be used", dir.display())]
    Folder { dir: PathBuf, source: io::Error },
    #[error("the witness of this agent in {} is in use by another process: stop that agent first", dir.display())]
    InUse { dir: PathBuf },
}

impl Folder {
    /// Makes the folder when it is not there, and takes the lock of this agent's witness in it.
    pub fn open(dir: &Path, agent: &str) -> Result<Folder, ShelfError> {
        let failed = |source| ShelfError::Folder { dir: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(dir.join(format!("{agent}.lock"))).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { dir: dir.to_owned(), noted: None, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ShelfError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl Shelf for Folder {
    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.dir, name, bytes)
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.noted.as_ref().is_none_or(|(open, _)| open != name) {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            self.noted = Some((name.to_owned(), options.open(self.dir.join(name))?));
        }
        match &self.noted {
            Some((_, file)) => file.write_all_at(bytes, 0),
            None => Ok(()),
        }
    }
}

/// Written aside, synced, renamed, and the folder synced.
pub fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&aside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Which file this is.
#[allow(unsafe_code)] // statvfs has no safe face in std
pub fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::fd::AsRawFd as _;
    let file = File::open(path)?;
    let facts = file.metadata()?;
    // SAFETY: the descriptor is open, and `stat` is written whole when the call says 0.
    let stat = unsafe {
        let mut stat = std::mem::zeroed::<libc::statvfs>();
        if libc::fstatvfs(file.as_raw_fd(), &mut stat) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat
    };
    Ok(FileId { device: facts.dev(), inode: facts.ino(), fs: stat.f_fsid })
}
