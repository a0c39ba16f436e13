//! The agent as a process: started, killed, asked to end.

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::world::{World, until};

/// A stop waits twice two seconds for items with leave to pass; the rest is a loaded machine.
const TERM_MAX: Duration = Duration::from_secs(20);

/// The running binary. Dropping it kills it.
pub struct Agent {
    child: Child,
    config: PathBuf,
    log: PathBuf,
}

impl Agent {
    pub fn start(world: &World) -> Agent {
        let log = world.dir.join("agent.log");
        Agent { child: serve(&world.config, &log), config: world.config.clone(), log }
    }

    /// SIGKILL, and the process is gone when this returns.
    pub fn kill(&mut self) {
        self.must_live();
        self.child.kill().unwrap();
        let died_of = self.child.wait().unwrap().signal();
        assert_eq!(died_of, Some(9), "it was killed and did not end by itself\n{}", self.log_tail());
    }

    /// What systemd does at once after a crash.
    pub fn again(&mut self) {
        self.child = serve(&self.config, &self.log);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An agent that ended by itself is a failure of its own.
    pub fn must_live(&self) {
        // Signal 0 asks whether there is such a process; a zombie is told by its state.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let lives = state.rsplit(") ").next().is_some_and(|s| !s.is_empty() && !s.starts_with('Z'));
        assert!(lives, "the agent ended by itself:\n{}", self.log_tail());
    }

    /// SIGTERM, and the code that it exits with.
    pub async fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended().await.code()
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the agent to end", TERM_MAX, async || self.child.try_wait().unwrap()).await
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log)
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

fn serve(config: &Path, log: &Path) -> Child {
    let append = || -> File { OpenOptions::new().create(true).append(true).open(log).unwrap() };
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
    command.arg("--config").arg(config).arg("serve");
    command.stdin(Stdio::null()).stdout(append()).stderr(append()).spawn().unwrap()
}
