//! The [`Disk`] as SQLite's file system, so that the real store on the real SQLite writes to it.
//!
//! It is the default file system of the process, and works on the disk that the calling thread has set. One process has
//! one connection at a time, as in the simulation, so locks are always granted; a second copy of the agent is kept out by
//! the lock of its folder, which is a real file. The WAL's index is memory, gone with the process.

#![allow(unsafe_code)] // SQLite's file system is a C interface

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::rc::Rc;
use std::sync::Once;

use rusqlite::ffi;

use crate::disk::{Disk, Failed};

/// A page of the WAL's index, as SQLite asks for.
type Region = Box<[u64]>;

thread_local! {
    static DISK: RefCell<Option<Rc<RefCell<Disk>>>> = const { RefCell::new(None) };
    static INDEX: RefCell<BTreeMap<String, Vec<Region>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes `disk` the one that this thread's SQLite works on.
pub fn use_disk(disk: &Rc<RefCell<Disk>>) {
    register();
    DISK.with(|d| *d.borrow_mut() = Some(Rc::clone(disk)));
    INDEX.with(|i| i.borrow_mut().clear());
}

/// The disk of this thread, if it has one.
pub fn with_disk<T>(f: impl FnOnce(&mut Disk) -> T) -> Option<T> {
    DISK.with(|d| d.borrow().as_ref().map(|disk| f(&mut disk.borrow_mut())))
}

/// One open file.
#[repr(C)]
struct Open {
    base: ffi::sqlite3_file,
    name: *mut String,
    delete_on_close: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite is initialized by the call; the structure lives as long as the process.
        let done = unsafe {
            // Nobody asks for its statistics of memory, which all threads keep under one lock.
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0);
            ffi::sqlite3_initialize();
            let shipped = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut ours = *shipped;
            ours.iVersion = 2;
            ours.szOsFile = c_int::try_from(size_of::<Open>()).expect("a few words");
            ours.pNext = std::ptr::null_mut();
            ours.zName = c"tamga-dst".as_ptr();
            ours.pAppData = std::ptr::null_mut();
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            ours.xAccess = Some(access);
            ours.xFullPathname = Some(full_pathname);
            ours.xRandomness = Some(randomness);
            ours.xSleep = Some(sleep);
            ours.xCurrentTime = Some(current_time);
            ours.xCurrentTimeInt64 = Some(current_time_ms);
            ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1)
        };
        assert_eq!(done, ffi::SQLITE_OK, "SQLite takes the file system");
    });
}

fn failure(failed: Failed, otherwise: c_int) -> c_int {
    match failed {
        Failed::Full => ffi::SQLITE_FULL,
        Failed::ReadOnly => ffi::SQLITE_READONLY,
        Failed::Sync => ffi::SQLITE_IOERR_FSYNC,
        Failed::Read | Failed::Write | Failed::Off => otherwise,
        Failed::NoSuchFile => ffi::SQLITE_CANTOPEN,
    }
}

fn done(result: Option<Result<(), Failed>>, otherwise: c_int) -> c_int {
    match result {
        Some(Ok(())) => ffi::SQLITE_OK,
        Some(Err(failed)) => failure(failed, otherwise),
        None => otherwise,
    }
}

/// SAFETY: `file` is one that `open` filled.
unsafe fn name<'a>(file: *mut ffi::sqlite3_file) -> &'a str {
    unsafe { &*(*file.cast::<Open>()).name }
}

fn place(at: ffi::sqlite3_int64) -> usize {
    usize::try_from(at).expect("SQLite's places are in the file")
}

fn size(len: c_int) -> usize {
    usize::try_from(len).expect("SQLite's lengths are lengths")
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        (*file).pMethods = std::ptr::null();
        // A file without a name is a temporary one: settings keep those in memory.
        if path.is_null() {
            return ffi::SQLITE_CANTOPEN;
        }
        let name = CStr::from_ptr(path).to_string_lossy().into_owned();
        let there = with_disk(|d| d.exists(&name)).unwrap_or(false);
        if !there && flags & ffi::SQLITE_OPEN_CREATE == 0 && !name.ends_with(".db") {
            return ffi::SQLITE_CANTOPEN;
        }
        let opened = done(with_disk(|d| d.open(&name)), ffi::SQLITE_CANTOPEN);
        if opened != ffi::SQLITE_OK {
            return opened;
        }
        let of = file.cast::<Open>();
        (*of).name = Box::into_raw(Box::new(name));
        (*of).delete_on_close = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        (*of).base.pMethods = &METHODS;
        if !out.is_null() {
            *out = flags;
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let of = file.cast::<Open>();
        let name = Box::from_raw((*of).name);
        if (*of).delete_on_close {
            with_disk(|d| d.remove(&name, false));
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        let to = std::slice::from_raw_parts_mut(to.cast::<u8>(), size(len));
        match with_disk(|d| d.read(name(file), place(at), to)) {
            Some(Ok(true)) => ffi::SQLITE_OK,
            Some(Ok(false)) => ffi::SQLITE_IOERR_SHORT_READ,
            Some(Err(_)) | None => ffi::SQLITE_IOERR_READ,
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        let from = std::slice::from_raw_parts(from.cast::<u8>(), size(len));
        done(with_disk(|d| d.write(name(file), place(at), from)), ffi::SQLITE_IOERR_WRITE)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    unsafe { done(with_disk(|d| d.set_len(name(file), place(len))), ffi::SQLITE_IOERR_TRUNCATE) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    unsafe { done(with_disk(|d| d.sync(name(file))), ffi::SQLITE_IOERR_FSYNC) }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    unsafe {
        match with_disk(|d| d.len(name(file))) {
            Some(Ok(len)) => {
                *out = ffi::sqlite3_int64::try_from(len).expect("it is in memory");
                ffi::SQLITE_OK
            }
            Some(Err(_)) | None => ffi::SQLITE_IOERR_FSTAT,
        }
    }
}

unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(_: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// As the shipped file system says.
unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    unsafe {
        let name = name(file).to_owned();
        INDEX.with(|index| {
            let mut index = index.borrow_mut();
            let regions = index.entry(name).or_default();
            *out = std::ptr::null_mut();
            if extend == 0 && regions.len() <= size(region) {
                return ffi::SQLITE_OK;
            }
            while regions.len() <= size(region) {
                regions.push(vec![0; size(len).div_ceil(8)].into_boxed_slice());
            }
            *out = regions[size(region)].as_mut_ptr().cast();
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn shm_lock(_: *mut ffi::sqlite3_file, _: c_int, _: c_int, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    unsafe {
        INDEX.with(|index| index.borrow_mut().remove(name(file)));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    unsafe {
        let name = CStr::from_ptr(path).to_string_lossy();
        match with_disk(|d| d.remove(&name, sync_folder != 0)) {
            Some(Err(Failed::NoSuchFile)) => ffi::SQLITE_IOERR_DELETE_NOENT,
            removed => done(removed, ffi::SQLITE_IOERR_DELETE),
        }
    }
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        let name = CStr::from_ptr(path).to_string_lossy();
        *out = c_int::from(with_disk(|d| d.exists(&name)).unwrap_or(false));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    len: c_int,
    out: *mut c_char,
) -> c_int {
    unsafe {
        let path = CStr::from_ptr(path).to_bytes_with_nul();
        if path.len() > size(len) {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(path.as_ptr().cast(), out, path.len());
    }
    ffi::SQLITE_OK
}

/// Salts of the WAL: any will do, and the same for every seed.
unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    unsafe {
        for n in 0..size(len) {
            *out.add(n) = (n as c_char).wrapping_mul(37).wrapping_add(11);
        }
    }
    len
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

/// SQLite's own clock is asked for nothing that is kept: a day of 2026 (Julian).
const DAY: f64 = 2_461_000.0;

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    unsafe { *out = DAY };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_ms(_: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    unsafe { *out = (DAY * 86_400_000.0) as ffi::sqlite3_int64 };
    ffi::SQLITE_OK
}
