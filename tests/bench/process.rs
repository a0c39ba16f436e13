//! The agent as a process: started, measured from outside, killed.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub struct Agent(Child);

impl Agent {
    /// The real binary, as systemd starts it.
    pub fn start(config: &Path) -> Agent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
        Agent(command.arg("--config").arg(config).arg("serve").spawn().unwrap())
    }

    /// Resident memory in KiB: now, and the most there was.
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        (field("VmRSS:").unwrap_or(0), field("VmHWM:").unwrap_or(0))
    }

    /// Resident memory that is not a file's pages, in KiB.
    pub fn anonymous_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("RssAnon:"));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }

    pub fn cpu(&self) -> Duration {
        cpu(&self.0.id().to_string())
    }

    /// SIGKILL: nothing is written on the way down.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Gone already, after a kill.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Processor time of this process, the load and the state system.
pub fn own_cpu() -> Duration {
    cpu("self")
}

/// User and system time, in the kernel's hundredths of a second.
fn cpu(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows its bracket does not. Fields 14 and 15 are the times.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// Quantiles of sorted times.
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// From microseconds to quantiles in milliseconds.
pub fn quantiles(times_us: &mut [u64]) -> Quantiles {
    times_us.sort_unstable();
    let at = |share: f64| {
        let last = times_us.len().saturating_sub(1) as f64;
        times_us.get((last * share) as usize).copied().unwrap_or(0) as f64 / 1000.0
    };
    Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}

pub fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
