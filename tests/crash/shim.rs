//! Libraries put before libc, from a few lines of C: a disk whose fsync does nothing, and SIGKILL at the n-th write or
//! fsync of the whole process. No shipped program has a switch for either.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// fsync does nothing and says that all is well.
pub fn no_sync(dir: &Path) -> (OsString, OsString) {
    preload(dir, "no-sync", "int fsync(int fd) { return 0; }\nint fdatasync(int fd) { return 0; }\n")
}

/// The process ends before its n-th call of `pwrite64` or `fsync`.
pub fn kill_at(dir: &Path, call: &str, n: u64) -> (OsString, OsString) {
    let count = format!(
        "#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static long calls;
static void count(void) {{ if (__sync_add_and_fetch(&calls, 1) == {n}) kill(getpid(), SIGKILL); }}
"
    );
    let counted = match call {
        "fsync" => "int fsync(int fd) { count(); return syscall(SYS_fsync, fd); }\n".to_owned(),
        _ => ["pwrite", "pwrite64"]
            .map(|name| {
                format!(
                    "ssize_t {name}(int fd, const void *b, size_t n, off_t at) \
                     {{ count(); return syscall(SYS_pwrite64, fd, b, n, at); }}\n"
                )
            })
            .concat(),
    };
    preload(dir, "kill-at", &format!("{count}{counted}"))
}

/// Builds it in `dir` with the C compiler that the project needs anyway; gives the environment that puts it before.
fn preload(dir: &Path, name: &str, source: &str) -> (OsString, OsString) {
    let (file, library) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.so")));
    std::fs::write(&file, source).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&file).status();
    assert!(built.unwrap().success(), "the C compiler makes {}", library.display());
    ("LD_PRELOAD".into(), library.into_os_string())
}
