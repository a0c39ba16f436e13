//! How much room there is on the disk of the data folder.

use std::path::Path;

/// Free space for us on the file system of a folder, in MB.
#[allow(unsafe_code)] // statvfs has no safe face in std
pub fn free_mb(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that outlives the call, and `stat` is written whole when the call says 0.
    let stat = unsafe {
        let mut stat = std::mem::zeroed::<libc::statvfs>();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return Err(std::io::Error::last_os_error());
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
    }
}
