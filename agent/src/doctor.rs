//! What is wrong and what to do: a look at disk, clock, outbox and alarms.

use std::path::Path;

use crate::clock;
use crate::desk::{Finding, Level};
use crate::store::read::outbox::Outbox;

/// Less free space than this and a person must come: a day of the fastest line is some 400 MB.
const FREE_MIN_MB: u64 = 500;

/// Less than this and a person should look.
const FREE_LOW_MB: u64 = 2_000;

/// A report that waits longer than this is told: 24 hours.
const REPORT_OLD_MS: i64 = 24 * 3600 * 1000;

/// 2024-01-01: a clock before the program was written is wrong.
const CLOCK_EARLIEST_MS: i64 = 1_704_067_200_000;

/// Everything that was looked at, the good included, the worst first.
pub fn examine(data: &Path, outbox: &Outbox, alarms: usize) -> Vec<Finding> {
    let mut findings = vec![disk(data), time(), reports(outbox), unknown(outbox), held(outbox), open_alarms(alarms)];
    findings.sort_by_key(|f| std::cmp::Reverse(f.level));
    findings
}

fn finding(level: Level, key: &str, args: &[(&str, String)]) -> Finding {
    let args = args.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Finding { level, key: key.to_owned(), args }
}

fn disk(data: &Path) -> Finding {
    match free_mb(data) {
        Ok(mb) if mb < FREE_MIN_MB => finding(Level::Bad, "doctor.disk_full", &[("mb", mb.to_string())]),
        Ok(mb) if mb < FREE_LOW_MB => finding(Level::Watch, "doctor.disk_low", &[("mb", mb.to_string())]),
        Ok(mb) => finding(Level::Good, "doctor.disk", &[("mb", mb.to_string())]),
        Err(e) => finding(Level::Bad, "doctor.disk_unknown", &[("fault", e.to_string())]),
    }
}

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

fn time() -> Finding {
    let now = clock::wall();
    if now.0 < CLOCK_EARLIEST_MS {
        return finding(Level::Bad, "doctor.clock_wrong", &[]);
    }
    finding(Level::Good, "doctor.clock", &[])
}

fn reports(outbox: &Outbox) -> Finding {
    let args = [("open", outbox.open_reports.to_string()), ("passes", outbox.unreported.to_string())];
    let old = outbox.oldest_open.is_some_and(|at| clock::wall().0 - at.0 > REPORT_OLD_MS);
    finding(if old { Level::Bad } else { Level::Good }, if old { "doctor.reports_old" } else { "doctor.reports" }, &args)
}

fn unknown(outbox: &Outbox) -> Finding {
    match outbox.unknown {
        0 => finding(Level::Good, "doctor.no_unknown", &[]),
        n => finding(Level::Watch, "doctor.unknown", &[("count", n.to_string())]),
    }
}

fn held(outbox: &Outbox) -> Finding {
    match outbox.held {
        0 => finding(Level::Good, "doctor.no_held", &[]),
        n => finding(Level::Bad, "doctor.held", &[("count", n.to_string())]),
    }
}

fn open_alarms(alarms: usize) -> Finding {
    match alarms {
        0 => finding(Level::Good, "doctor.no_alarms", &[]),
        n => finding(Level::Watch, "doctor.alarms", &[("count", n.to_string())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_first_and_the_good_is_told_too() {
        let outbox = Outbox { held: 2, ..Outbox::default() };
        let findings = examine(Path::new("/"), &outbox, 0);
        assert_eq!(findings[0].key, "doctor.held");
        assert!(findings.iter().any(|f| f.key == "doctor.no_alarms" && f.level == Level::Good));
    }
}
