//! The agent as a process: started, killed, asked to end.
#![allow(dead_code)] // each of its users takes what it needs

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::world::{World, until};

/// A stop waits twice two seconds for items with leave to pass; the rest is a loaded machine.
const TERM_MAX: Duration = Duration::from_secs(20);

/// How the binary is run.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// A program that runs it as its own process, with arguments.
    pub through: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
}

/// The running binary. Dropping it kills it.
pub struct Agent {
    child: Child,
    started: Instant,
    config: PathBuf,
    log: PathBuf,
}

impl Agent {
    pub fn start(world: &World) -> Agent {
        Agent::start_as(&world.config, &world.dir.join("agent.log"), &Launch::default())
    }

    pub fn start_as(config: &Path, log: &Path, launch: &Launch) -> Agent {
        let child = serve(config, log, launch);
        Agent { child, started: Instant::now(), config: config.to_owned(), log: log.to_owned() }
    }

    /// SIGKILL, and the process is gone when this returns.
    pub fn kill(&mut self) {
        self.must_live();
        self.child.kill().unwrap();
        let died_of = self.child.wait().unwrap().signal();
        assert_eq!(died_of, Some(9), "it was killed and did not end by itself\n{}", self.log_tail());
    }

    /// SIGKILL to one that was asked to end; false if it had ended before. One that was just starting has no handler of
    /// SIGTERM yet and ends of it.
    pub fn kill_ending(&mut self) -> bool {
        drop(self.child.kill());
        let ended = self.child.wait().unwrap();
        let as_asked = ended.code() == Some(0) || matches!(ended.signal(), Some(9 | 15));
        assert!(as_asked, "it was asked to end: {ended}\n{}", self.log_tail());
        ended.signal() == Some(9)
    }

    /// What systemd does at once after a crash.
    pub fn again(&mut self) {
        self.again_as(&Launch::default());
    }

    pub fn again_as(&mut self, launch: &Launch) {
        self.child = serve(&self.config, &self.log, launch);
        self.started = Instant::now();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// An agent that ended by itself is a failure of its own.
    pub fn must_live(&self) {
        // A process that ended is told by its state: a zombie, until somebody waits for it.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let lives = state.rsplit(") ").next().is_some_and(|s| !s.is_empty() && !s.starts_with('Z'));
        assert!(lives, "the agent ended by itself:\n{}", self.log_tail());
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGTERM, and the code that it exits with.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.ask_to_end();
        self.ended().await.code()
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the agent to end", TERM_MAX, async || self.try_ended()).await
    }

    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// The process is killed when the thread that starts it is gone, in whatever way: whoever is killed kills nobody.
#[allow(unsafe_code)] // what is done between fork and exec has no safe face in std
fn dies_with_us(command: &mut Command) {
    let us = std::process::id();
    let ask = move || {
        // SAFETY: it takes no pointer and changes a setting of the calling process only.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // Who is gone already sends nothing.
        if parent_id() == us { Ok(()) } else { Err(std::io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: it makes two system calls, takes no lock and allocates nothing.
    unsafe { command.pre_exec(ask) };
}

fn serve(config: &Path, log: &Path, launch: &Launch) -> Child {
    let append = || -> File { OpenOptions::new().create(true).append(true).open(log).unwrap() };
    let mut words = launch.through.clone();
    words.push(super::binary().into_os_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("--config").arg(config).arg("serve");
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    dies_with_us(&mut command);
    command.stdin(Stdio::null()).stdout(append()).stderr(append()).spawn().unwrap()
}
