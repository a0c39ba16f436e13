//! How much room there is on the disk of the data folder, and the ballast that is let go when there is none.
//!
//! Every threshold stands here. A line must not print what cannot be written down, so it stops long before the disk is
//! full. The ballast is a file of real blocks: when something else fills the disk to the end, deleting it leaves room to
//! open the database, close runs and say what is wrong.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Smaller blocks have holes under SQLite's shared memory: a full disk would kill the process there.
pub const BLOCK_BYTES_MIN: u64 = 4096;
/// Less free space than this and a person should look.
pub const LOW_MB: u64 = 2_000;
/// Less than this and a person must come: a day of the fastest line takes some 400 MB.
pub const BAD_MB: u64 = 500;
/// Below this the lines stop: what the items on the belt still write is some MB, a checkpoint some tens.
pub const STOP_MB: u64 = 128;
/// From here on they may run again: well above, so that a line does not stop and go.
pub const GO_MB: u64 = 192;
/// Below this the ballast is let go.
pub const LET_GO_MB: u64 = 32;
/// Free space beside the ballast from which on it is made again.
pub const MAKE_MB: u64 = 512;

const BALLAST: &str = "ballast";
const MIB: u64 = 1024 * 1024;

/// What is to be done about the room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// A person is to be told.
    pub low: bool,
    /// No line runs.
    pub stop: bool,
    pub ballast: Option<Ballast>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ballast {
    LetGo,
    Make,
}

/// Judges the room on the disk. `stopped`: lines stand for lack of room already. `there`: the ballast is on the disk.
pub fn judge(free_mb: u64, ballast_mib: u64, there: bool, stopped: bool) -> Judged {
    let ballast_mb = ballast_mib * MIB / 1_000_000;
    let ballast = match there {
        true if free_mb < LET_GO_MB || ballast_mib == 0 => Some(Ballast::LetGo),
        false if ballast_mib > 0 && free_mb >= MAKE_MB + ballast_mb => Some(Ballast::Make),
        _ => None,
    };
    Judged { low: free_mb < LOW_MB, stop: free_mb < if stopped { GO_MB } else { STOP_MB }, ballast }
}

fn ballast_path(folder: &Path) -> PathBuf {
    folder.join(BALLAST)
}

/// Whether the ballast is in the folder.
pub fn has_ballast(folder: &Path) -> bool {
    ballast_path(folder).exists()
}

/// Lets the ballast go. One that is not there is as good.
pub fn let_go(folder: &Path) -> io::Result<()> {
    for name in [BALLAST, "ballast.new"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    File::open(folder)?.sync_all()
}

/// Makes the ballast, whole or not at all, out of blocks that are really taken.
#[allow(unsafe_code)] // fallocate has no safe face in std
pub fn make(folder: &Path, ballast_mib: u64) -> io::Result<()> {
    let aside = folder.join("ballast.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let bytes = ballast_mib * MIB;
    let mut fill = || -> io::Result<()> {
        let len = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open and no memory is passed.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EOPNOTSUPP) {
                return Err(error);
            }
            // A file system without it: bytes that no compression makes smaller than they look.
            let mut chunk = vec![0; 64 * 1024];
            for _ in 0..bytes / chunk.len() as u64 {
                chunk.fill_with(|| fastrand::u8(..));
                file.write_all(&chunk)?;
            }
        }
        file.sync_all()
    };
    let made = fill().and_then(|()| std::fs::rename(&aside, ballast_path(folder)));
    if made.is_err() {
        drop(std::fs::remove_file(&aside));
    }
    made?;
    File::open(folder)?.sync_all()
}

/// Lets the ballast go where the disk is full by now: before the database is opened, and after a write failed.
pub fn relieve(folder: &Path) -> io::Result<bool> {
    if !has_ballast(folder) || free_mb(folder)? >= LET_GO_MB {
        return Ok(false);
    }
    let_go(folder).map(|()| true)
}

/// Bytes in a block of the file system of a path, or of what it will be made in.
pub fn block_bytes(path: &Path) -> io::Result<u64> {
    let there = path.ancestors().find(|a| a.exists() && !a.as_os_str().is_empty());
    Ok(std::fs::metadata(there.unwrap_or(Path::new(".")))?.blksize())
}

/// Free space for us on the file system of a folder, in MB.
#[allow(unsafe_code)] // statvfs has no safe face in std
pub fn free_mb(folder: &Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that outlives the call, and `stat` is written whole when the call says 0.
    let stat = unsafe {
        let mut stat = std::mem::zeroed::<libc::statvfs>();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat
    };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_what_is_not_there_is_told() {
        assert!(free_mb(Path::new("/")).is_ok());
        assert!(free_mb(Path::new("/no/such/folder")).is_err());
        assert!(block_bytes(Path::new("/no/such/folder")).unwrap() >= 512);
    }

    #[test]
    fn lines_stop_long_before_the_ballast_goes_and_do_not_stop_and_go() {
        let said = |free, there, stopped| judge(free, 64, there, stopped);
        let calm = Judged { low: false, stop: false, ballast: None };
        assert_eq!(said(LOW_MB, true, false), calm);
        assert_eq!(said(LOW_MB - 1, true, false), Judged { low: true, ..calm });
        let stop = Judged { low: true, stop: true, ballast: None };
        assert_eq!(said(STOP_MB - 1, true, false), stop);
        assert_eq!(said(STOP_MB, true, false), Judged { stop: false, ..stop });
        assert_eq!(said(GO_MB - 1, true, true), stop);
        assert_eq!(said(GO_MB, true, true), Judged { stop: false, ..stop });
        assert_eq!(said(LET_GO_MB - 1, true, true), Judged { ballast: Some(Ballast::LetGo), ..stop });
        const { assert!(LET_GO_MB < STOP_MB && STOP_MB < GO_MB && GO_MB < BAD_MB && BAD_MB < LOW_MB) };
    }

    #[test]
    fn the_ballast_comes_back_when_there_is_room_for_it_and_more() {
        let makes = |free, mib, there| judge(free, mib, there, false).ballast;
        assert_eq!(makes(MAKE_MB + 66, 64, false), None);
        assert_eq!(makes(MAKE_MB + 67, 64, false), Some(Ballast::Make));
        assert_eq!(makes(u64::MAX, 64, true), None);
        assert_eq!(makes(u64::MAX, 0, false), None);
        assert_eq!(makes(u64::MAX, 0, true), Some(Ballast::LetGo), "it is not wanted any more");
        // What it leaves is more than what lets it go: it is not made and let go in turn.
        const { assert!(MAKE_MB > LET_GO_MB) };
    }

    #[test]
    fn the_ballast_is_made_of_real_blocks_and_goes_whole() {
        let dir = std::env::temp_dir().join(format!("tamga-ballast-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        make(&dir, 2).unwrap();
        let facts = std::fs::metadata(ballast_path(&dir)).unwrap();
        assert_eq!(facts.len(), 2 * MIB);
        assert!(facts.blocks() * 512 >= 2 * MIB, "not sparse: {} blocks", facts.blocks());
        assert!(!relieve(&dir).unwrap(), "there is room");
        let_go(&dir).unwrap();
        let_go(&dir).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(dir).unwrap();
    }
}
