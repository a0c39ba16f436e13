//! The witness of the agent on the simulated disk: its small files lie beside the database's, and go through the same
//! power cuts.

use std::io;
use std::path::PathBuf;

use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::store::settle::{Asking, SettleError};
use tamga::store::standing::{Here, Standing};
use tamga::witness::shelf::Shelf;
use tamga::witness::{Doubt, FileId};
use tamga_domain::time::Wall;

use crate::disk::Failed;
use crate::planted::Planted;
use crate::vfs;

/// The folder of the witness on the disk of this thread.
pub struct DiskShelf;

fn path(name: &str) -> String {
    format!("/witness/{name}")
}

fn failed(why: Failed) -> io::Error {
    io::Error::other(format!("{why:?}"))
}

fn no_disk() -> io::Error {
    io::Error::other("no disk")
}

impl Shelf for DiskShelf {
    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = path(name);
        let read = vfs::with_disk(|disk| {
            let len = match disk.len(&path) {
                Err(Failed::NoSuchFile) => return Ok(None),
                len => len?,
            };
            let mut bytes = vec![0; len];
            disk.read(&path, 0, &mut bytes)?;
            Ok(Some(bytes))
        });
        read.ok_or_else(no_disk)?.map_err(failed)
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        vfs::with_disk(|disk| disk.replace(&path(name), bytes)).ok_or_else(no_disk)?.map_err(failed)
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = path(name);
        let note = |disk: &mut crate::disk::Disk| disk.open(&path).and_then(|()| disk.write(&path, 0, bytes));
        vfs::with_disk(note).ok_or_else(no_disk)?.map_err(failed)
    }
}

/// Which database file a start meets, and the epoch that it begins.
pub struct Beside {
    pub inode: u64,
    pub epoch: String,
    /// Codes that a lease covers.
    pub lease: u64,
}

/// Puts the store beside its witness. A person settles at once what is in doubt; a new database in the place of an old
/// one, of which the product raises an alarm, is damage to that person.
pub fn stand(
    store: &mut Store,
    beside: &Beside,
    wall: Wall,
    planted: Option<Planted>,
) -> Result<Option<Doubt>, StoreError> {
    let database = FileId { device: 1, inode: beside.inode, fs: 1 };
    let (machine, folder) = (Some("m1".to_owned()), "f1".to_owned());
    let here = Here { machine, database, folder, epoch: beside.epoch.clone(), lease: beside.lease, at: wall };
    let away = |why: std::io::Error| StoreError::Folder { path: PathBuf::from("/witness"), source: why };
    if planted == Some(Planted::NoWitness) {
        return Ok(None);
    }
    match store.stand(Box::new(DiskShelf), &here)? {
        Standing::Proven { instead_of: None } => Ok(None),
        Standing::Proven { instead_of: Some(before) } => {
            Err(StoreError::Damaged { what: format!("an empty database in the place of agent {before}'s") })
        }
        Standing::Away(why) => Err(away(why)),
        Standing::Doubted(doubt) => {
            let asking = Asking { who: "operator", from: "desk", nothing_restored: false, at: wall };
            match store.settle(Box::new(DiskShelf), &here, &asking, |_| ()) {
                Ok(_) => Ok(Some(doubt)),
                Err(SettleError::Store(why)) => Err(why),
                Err(SettleError::Witness(why)) => Err(away(why)),
            }
        }
    }
}
