//! Whether the daemon works: heartbeats of what a line cannot do without, and what the service manager is told of them.
//!
//! Who is watched bumps its [`Beat`] each turn, idle or not. Nobody else bumps it: a beat proves that this very task or
//! thread still turns. [`Health`] only looks. The service manager (systemd) is told `READY=1` when all have beaten
//! once, `WATCHDOG=1` while all beat, and `STOPPING=1` on the way down, as datagrams to `NOTIFY_SOCKET`; no library
//! stands between. When one falls silent the pings end, and systemd kills and restarts the daemon: to a line that is
//! the same as any crash.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tamga_domain::time::Time;

use crate::clock;

/// Silence that is allowed where no watchdog says how much: above the longest fsync of a tired disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// At least so often the beats are looked at, watchdog or not: a silence is logged even where nobody restarts us.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The heartbeat of one task or thread. Clones are the same heart.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// Says that whoever holds this still turns.
    pub fn bump(&self) {
        // Zero means never.
        self.0.store(clock::now().0.max(1), Ordering::Relaxed);
    }

    fn last(&self) -> Option<Time> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Time)
    }
}

/// The beats of all who are watched. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    started: Time,
    patience: Duration,
    watched: Arc<[(String, Beat)]>,
}

impl Health {
    /// `watchdog`: after which silence of ours the service manager acts. One of the watched may be silent for half of
    /// it.
    pub fn new(watched: Vec<(String, Beat)>, watchdog: Option<Duration>) -> Health {
        let patience = watchdog.map_or(PATIENCE, |watchdog| watchdog / 2);
        Health { started: clock::now(), patience, watched: watched.into() }
    }

    /// Who has never beaten, or not for longer than patience goes.
    pub fn silent(&self) -> Vec<&str> {
        let now = clock::now();
        let is_silent = |beat: &Beat| beat.last().is_none_or(|last| now.since(last) > self.patience);
        self.watched.iter().filter(|(_, beat)| is_silent(beat)).map(|(who, _)| who.as_str()).collect()
    }

    /// Since the start of the daemon.
    pub fn uptime(&self) -> Duration {
        clock::now().since(self.started)
    }

    /// How often to beat and to look.
    pub fn pulse(&self) -> Duration {
        (self.patience / 2).clamp(Duration::from_millis(1), LOOK_EVERY)
    }
}

/// The service manager that started this process.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The silence after which it acts, if it does.
    pub watchdog: Option<Duration>,
}

impl Manager {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`; `None` where nobody wants to hear.
    pub fn of_environment() -> Option<Manager> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let of_env = |name| std::env::var(name).ok();
        let for_us = of_env("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let usec = of_env("WATCHDOG_USEC").filter(|_| for_us).and_then(|usec| usec.parse().ok());
        let watchdog = usec.filter(|usec| *usec > 0).map(Duration::from_micros);
        let made = Manager::at(&name, watchdog);
        // A daemon that cannot say that it is ready is killed by and by; the log says why.
        made.inspect_err(
            |error| tracing::error!(?name, %error, "the service manager cannot be told anything"),
        )
        .ok()
    }

    /// `name`: a path, or `@` and a name in the abstract name space.
    ///
    /// # Errors
    /// When the name is none, or the system gives no socket.
    pub fn at(name: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Manager> {
        let address = match name.as_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not listen must not hold up who tells it.
        socket.set_nonblocking(true)?;
        Ok(Manager { socket, address, watchdog })
    }

    /// Sends one message, such as `READY=1`.
    pub fn tell(&self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            tracing::warn!(message, %error, "the service manager was not told");
        }
    }
}

/// Looks at the beats until it is dropped, and tells the service manager. `where_to` is for its status line.
pub async fn watch(health: Health, manager: Option<Arc<Manager>>, where_to: String) {
    let tell = |message: &str| manager.iter().for_each(|manager| manager.tell(message));
    let mut every = tokio::time::interval(health.pulse());
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ready = false;
    let mut quiet = false;
    loop {
        every.tick().await;
        let silent = health.silent();
        if silent.is_empty() {
            if !ready {
                ready = true;
                tell(&format!("READY=1\nSTATUS={where_to}"));
            }
            if manager.as_ref().is_some_and(|manager| manager.watchdog.is_some()) {
                tell("WATCHDOG=1");
            }
        } else if ready && !quiet {
            tracing::error!(silent = silent.join(", "), "does not turn any more");
        }
        quiet = !silent.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has come to a manager's socket.
    fn told(socket: &UnixDatagram) -> Vec<String> {
        let mut messages = Vec::new();
        let mut buffer = [0; 256];
        while let Ok(len) = socket.recv(&mut buffer) {
            messages.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        messages
    }

    fn abstract_socket(name: &str) -> (UnixDatagram, String) {
        let name = format!("tamga-health-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, format!("@{name}"))
    }

    #[test]
    fn one_who_never_beat_or_fell_silent_is_named() {
        let (line, writer) = (Beat::default(), Beat::default());
        let watched = vec![("line l1".to_owned(), line.clone()), ("writer".to_owned(), writer.clone())];
        let patient = Health::new(watched.clone(), None);
        assert_eq!(patient.silent(), ["line l1", "writer"]);
        writer.bump();
        assert_eq!(patient.silent(), ["line l1"]);
        line.bump();
        assert_eq!(patient.silent(), [""; 0]);
        // With no patience at all the same beats are old.
        assert_eq!(Health::new(watched, Some(Duration::ZERO)).silent(), ["line l1", "writer"]);
    }

    #[test]
    fn an_abstract_socket_and_a_path_are_told_alike() {
        let (heard, name) = abstract_socket("alike");
        Manager::at(OsStr::new(&name), None).unwrap().tell("STOPPING=1");
        assert_eq!(told(&heard), ["STOPPING=1"]);
        let path = std::env::temp_dir().join(format!("tamga-health-{}.sock", std::process::id()));
        drop(std::fs::remove_file(&path));
        let heard = UnixDatagram::bind(&path).unwrap();
        heard.set_nonblocking(true).unwrap();
        Manager::at(path.as_os_str(), None).unwrap().tell("READY=1");
        assert_eq!(told(&heard), ["READY=1"]);
        std::fs::remove_file(&path).unwrap();
        // Nobody listens any more: it is logged and no more.
        Manager::at(path.as_os_str(), None).unwrap().tell("READY=1");
    }

    #[tokio::test]
    async fn ready_is_told_once_all_beat_and_a_silence_ends_the_pings() {
        let (heard, name) = abstract_socket("pings");
        let watchdog = Duration::from_millis(400);
        let manager = Arc::new(Manager::at(OsStr::new(&name), Some(watchdog)).unwrap());
        let (line, writer) = (Beat::default(), Beat::default());
        let watched = vec![("line l1".to_owned(), line.clone()), ("writer".to_owned(), writer.clone())];
        let health = Health::new(watched, Some(watchdog));
        let task = tokio::spawn(watch(health.clone(), Some(manager), "here".to_owned()));
        let mut turn = tokio::time::interval(Duration::from_millis(20));
        // The line never came up: nothing is said, however well the writer is.
        for _ in 0..20 {
            turn.tick().await;
            writer.bump();
        }
        assert_eq!(told(&heard), [""; 0]);
        let mut messages = Vec::new();
        for _ in 0..500 {
            if messages.len() >= 4 {
                break;
            }
            turn.tick().await;
            line.bump();
            writer.bump();
            messages.extend(told(&heard));
        }
        assert_eq!(messages[..2], ["READY=1\nSTATUS=here", "WATCHDOG=1"]);
        assert!(messages[1..].iter().all(|m| m == "WATCHDOG=1"), "{messages:?}");
        // The line hangs and the writer goes on.
        for _ in 0..500 {
            if !health.silent().is_empty() {
                break;
            }
            turn.tick().await;
            writer.bump();
        }
        told(&heard);
        for _ in 0..30 {
            turn.tick().await;
            writer.bump();
        }
        assert_eq!(told(&heard), [""; 0]);
        task.abort();
    }
}
