//! A small real ext4 on a loop device: filled to the last block, or its power cut. For root only.
//!
//! It is mounted in a mount namespace of the thread's own, with a loop device that frees itself: when the round ends, or
//! the process dies in whatever way, no mount and no device is left behind.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `FS_IOC_SHUTDOWN`, and to drop what is not on disk without writing the journal: what a power cut does.
const SHUTDOWN: u64 = 0x8004_587D;
const NO_LOG_FLUSH: u32 = 2;

/// Dropping it unmounts it.
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// Makes the file system and mounts it at `at`, visible to this thread and to what it starts.
    ///
    /// # Errors
    /// In words, when this cannot be done here: not root, no loop device, no mkfs.ext4.
    pub fn make(dir: &Path, at: &Path, mb: u64) -> Result<Disk, String> {
        own_mounts()?;
        let image = dir.join("disk.img");
        let file = File::create(&image).map_err(|e| format!("{}: {e}", image.display()))?;
        file.set_len(mb * 1024 * 1024).map_err(|e| format!("{}: {e}", image.display()))?;
        run(Command::new("mkfs.ext4").args(["-q", "-b", "4096", "-m", "0"]).arg(&image))?;
        std::fs::create_dir_all(at).map_err(|e| format!("{}: {e}", at.display()))?;
        let disk = Disk { image, at: at.to_owned() };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.at))
    }

    /// What is not synced is gone, and nothing is written any more.
    #[allow(unsafe_code)] // an ioctl has no safe face in std
    pub fn cut(&self) {
        let folder = File::open(&self.at).unwrap();
        // SAFETY: the ioctl reads one u32, which outlives the call; the descriptor is open.
        let done = unsafe { libc::ioctl(folder.as_raw_fd(), SHUTDOWN as libc::c_ulong as _, &NO_LOG_FLUSH) };
        assert_eq!(done, 0, "FS_IOC_SHUTDOWN: {}", std::io::Error::last_os_error());
    }

    /// The power comes back: the file system is mounted anew and replays its journal.
    pub fn again(&self) {
        run(Command::new("umount").arg(&self.at)).unwrap();
        self.mount().unwrap();
    }

    /// Takes all room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.filling()).unwrap();
        let mut block = vec![0x55; 1 << 20];
        while file.write_all(&block).is_ok() {}
        block.truncate(4096);
        while file.write_all(&block).is_ok() {}
    }

    /// Gives the room back.
    pub fn relieve(&self) {
        std::fs::remove_file(self.filling()).unwrap();
    }

    fn filling(&self) -> PathBuf {
        self.at.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if run(Command::new("umount").arg(&self.at)).is_err() {
            // Somebody still has a file open: it goes when they do.
            drop(run(Command::new("umount").arg("-l").arg(&self.at)));
        }
    }
}

/// Why no disk can be made here, found out by making one.
pub fn impossible(dir: &Path) -> Option<String> {
    let made = Disk::make(dir, &dir.join("mnt"), 8);
    drop(std::fs::remove_file(dir.join("disk.img")));
    made.err().map(|why| format!("no file system of our own can be mounted here: {why}"))
}

/// From here on this thread's mounts, and those of what it starts, are seen by nobody else.
#[allow(unsafe_code)] // unshare has no safe face in std
fn own_mounts() -> Result<(), String> {
    // SAFETY: it takes no pointer and touches only what this thread sees of the file systems.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(format!("this needs root: {}", std::io::Error::last_os_error()));
    }
    run(Command::new("mount").args(["--make-rprivate", "/"]))
}

fn run(command: &mut Command) -> Result<(), String> {
    let told = command.output().map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    if told.status.success() {
        return Ok(());
    }
    Err(format!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&told.stderr).trim()))
}
