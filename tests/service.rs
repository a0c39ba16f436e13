//! The real binary as a service: what it tells the service manager and when, and how it is spoken to on its socket.
//!
//! The manager's end is a datagram socket of the test, as systemd's is.

#![allow(clippy::unwrap_used)] // helpers of tests stand outside of #[test]

#[path = "world/mod.rs"]
mod world;

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Runtime;

use world::{Wanted, World};

/// Long enough for a loaded machine.
const THERE_MAX: Duration = Duration::from_secs(60);

/// The silence after which systemd would act, in the tests.
const WATCHDOG: Duration = Duration::from_secs(2);

struct Desk {
    runtime: Runtime,
    world: World,
}

impl Desk {
    fn new(name: &str) -> Desk {
        // The API is plain HTTP on loopback; the provider is only asked for when a client is made.
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = Runtime::new().unwrap();
        let dir = world::scratch(name);
        let world = runtime.block_on(World::build(&Wanted::default(), &dir));
        Desk { runtime, world }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
        command.arg("--config").arg(&self.world.config).args(args);
        for name in ["LC_ALL", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        command.env("LANG", "C").stdin(Stdio::null());
        command
    }

    fn tamga(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn serve(&self, manager: &str) -> Agent {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.world.dir.join("agent.log"));
        let mut command = self.command(&["serve"]);
        command.env("NOTIFY_SOCKET", manager).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        Agent(command.stderr(log.unwrap()).spawn().unwrap())
    }

    fn health(&self) -> (u16, serde_json::Value) {
        let url = format!("http://{}/healthz", self.world.api);
        self.runtime.block_on(async {
            let answer =
                reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }

    fn end(self) {
        self.runtime.block_on(self.world.plant.shutdown());
        drop(std::fs::remove_dir_all(&self.world.dir));
    }
}

/// The daemon. Dropping it kills it.
struct Agent(Child);

impl Agent {
    fn terminate(&mut self) -> ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The next message to the manager; `None` when none comes in time.
fn next(manager: &UnixDatagram, at_most: Duration) -> Option<String> {
    manager.set_read_timeout(Some(at_most)).unwrap();
    let mut buffer = [0; 512];
    let len = manager.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

/// One thread of a process that stands still until this is dropped, as one does that hangs in the disk.
struct Hung(libc::pid_t);

impl Hung {
    /// `None` where this machine lets nobody do so.
    #[allow(unsafe_code)] // ptrace has no safe face in std
    fn thread(pid: u32, name: &str) -> Option<Hung> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|t| t.unwrap().path());
        let named =
            |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default().trim() == name;
        let thread = threads.into_iter().find(|path| named(path)).expect("the thread is there");
        let tid: libc::pid_t = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: both requests take no memory of ours; the kernel checks the thread.
        let done = unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, tid, none, none) == 0
                && libc::ptrace(libc::PTRACE_INTERRUPT, tid, none, none) == 0
                && libc::waitpid(tid, std::ptr::null_mut(), libc::__WALL) == tid
        };
        done.then_some(Hung(tid))
    }
}

impl Drop for Hung {
    #[allow(unsafe_code)] // ptrace has no safe face in std
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the request takes no memory of ours; a thread that is gone is an error and no harm.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

#[test]
fn the_manager_hears_ready_then_pings_none_while_the_writer_hangs_and_the_end() {
    let desk = Desk::new("service-told");
    let at = desk.world.dir.join("notify.sock");
    let manager = UnixDatagram::bind(&at).unwrap();
    let mut agent = desk.serve(at.to_str().unwrap());
    let ready = next(&manager, THERE_MAX).expect("a message");
    assert!(ready.starts_with("READY=1\nSTATUS=lines: 1"), "{ready}");
    // Ready means ready: who asks now is answered.
    let status = desk.tamga(&["--json", "status"]);
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    let (code, health) = desk.health();
    assert_eq!((code, &health["ok"]), (200, &true.into()));
    assert_eq!(health.as_object().unwrap().len(), 2, "ok and uptime, no more: {health}");
    for _ in 0..3 {
        assert_eq!(next(&manager, THERE_MAX).as_deref(), Some("WATCHDOG=1"));
    }
    match Hung::thread(agent.0.id(), "writer") {
        Some(hung) => {
            let pings = (0..20).take_while(|_| next(&manager, WATCHDOG).is_some()).count();
            assert!(pings < 20, "pings go on over a writer that hangs");
            let (code, health) = desk.health();
            assert_eq!((code, &health["ok"]), (503, &false.into()));
            drop(hung);
            assert_eq!(next(&manager, THERE_MAX).as_deref(), Some("WATCHDOG=1"));
            assert_eq!(desk.health().0, 200);
        }
        // Without ptrace no thread can be hung from outside; the same with beats is a test of `health.rs`.
        None => eprintln!("this machine allows no ptrace: the hanging writer was not tried"),
    }
    assert!(desk.world.dir.join("data/api.sock").exists());
    assert_eq!(agent.terminate().code(), Some(0));
    let last: Vec<String> = std::iter::from_fn(|| next(&manager, Duration::from_millis(10))).collect();
    assert!(last.iter().any(|message| message == "STOPPING=1"), "{last:?}");
    assert!(!desk.world.dir.join("data/api.sock").exists(), "the socket goes with the daemon");
    desk.end();
}

#[test]
fn a_daemon_that_does_not_come_up_never_says_that_it_is_ready() {
    let desk = Desk::new("service-not-ready");
    let name = format!("tamga-service-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let taken = TcpListener::bind(desk.world.api).unwrap();
    let mut agent = desk.serve(&format!("@{name}"));
    assert_eq!(agent.0.wait().unwrap().code(), Some(7));
    assert_eq!(next(&manager, Duration::from_millis(10)), None);
    drop(taken);
    // The same again with the port free, to see that the socket was right.
    let agent = desk.serve(&format!("@{name}"));
    assert!(next(&manager, THERE_MAX).expect("a message").starts_with("READY=1"));
    drop(agent);
    desk.end();
}

#[test]
fn a_socket_that_a_kill_left_over_is_replaced_and_the_audit_names_the_peer() {
    let desk = Desk::new("service-stale");
    let at = desk.world.dir.join("notify.sock");
    let manager = UnixDatagram::bind(&at).unwrap();
    let ready = || while !next(&manager, THERE_MAX).expect("a message").starts_with("READY=1") {};
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    drop(agent);
    assert!(desk.world.dir.join("data/api.sock").exists(), "SIGKILL leaves the file");
    // Nobody is there now, and that is what is said.
    assert_eq!(desk.tamga(&["status"]).status.code(), Some(4));
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    // Without the token only the socket can let us in.
    std::fs::remove_file(desk.world.dir.join("data/api.token")).unwrap();
    assert_eq!(desk.tamga(&["--who", "Olim", "run", "stop", "l1"]).status.code(), Some(1));
    let database = Connection::open(desk.world.dir.join("data/tamga.db")).unwrap();
    let (who, from): (String, String) = database
        .query_row("SELECT who, come_from FROM audit ORDER BY id DESC LIMIT 1", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .unwrap();
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!((who.as_str(), from), ("Olim", format!("unix socket, uid {uid}")));
    drop(agent);
    desk.end();
}

#[test]
fn a_backup_is_made_beside_the_daemon_put_back_without_it_and_damage_ends_it_for_good() {
    let desk = Desk::new("service-backup");
    let at = desk.world.dir.join("notify.sock");
    let manager = UnixDatagram::bind(&at).unwrap();
    let ready = || while !next(&manager, THERE_MAX).expect("a message").starts_with("READY=1") {};
    let json = |args: &[&str]| {
        let output = desk.tamga(&[&["--json"], args].concat());
        let shape: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), shape)
    };
    let file = desk.world.dir.join("backup.db");
    let file = file.to_str().unwrap();
    assert_eq!(json(&["db", "verify"]).0, Some(6), "there is none yet");
    let mut agent = desk.serve(at.to_str().unwrap());
    ready();
    let (code, made) = json(&["db", "backup", file]);
    assert_eq!((code, &made["good"]), (Some(0), &true.into()), "{made}");
    for args in [&["db", "verify"][..], &["db", "verify", file]] {
        assert_eq!(json(args).0, Some(0), "{args:?}");
    }
    assert_eq!(json(&["db", "backup", desk.world.dir.join("data/b.db").to_str().unwrap()]).0, Some(2));
    assert_eq!(json(&["db", "restore", file]).0, Some(1), "the agent has the folder");
    assert_eq!(agent.terminate().code(), Some(0));
    let (code, restored) = json(&["db", "restore", file]);
    assert_eq!(code, Some(0), "{restored}");
    assert!(Path::new(restored["aside"].as_str().unwrap()).join("tamga.db").exists());
    let mut agent = desk.serve(at.to_str().unwrap());
    ready();
    let doctor = String::from_utf8(desk.tamga(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("A backup was put in the place of the database"), "{doctor}");
    assert_eq!(agent.terminate().code(), Some(0));
    // Nothing was issued since, and the end was clean: the witness proves it.
    let (code, settled) = json(&["db", "settle"]);
    assert_eq!((code, &settled["proof"]), (Some(0), &"witness".into()), "{settled}");
    let database = desk.world.dir.join("data/tamga.db");
    let pages = std::fs::metadata(&database).unwrap().len() / 4096;
    std::fs::write(&database, vec![0xA5; usize::try_from(pages * 4096).unwrap()]).unwrap();
    assert_eq!(json(&["db", "verify"]).0, Some(9));
    let mut agent = desk.serve(at.to_str().unwrap());
    assert_eq!(agent.0.wait().unwrap().code(), Some(9), "systemd leaves it so");
    let log = std::fs::read_to_string(desk.world.dir.join("agent.log")).unwrap();
    assert!(log.contains("tamga db restore FILE"), "{log}");
    let (code, restored) = json(&["db", "restore", file]);
    assert_eq!(code, Some(0), "{restored}");
    let (_, settled) = json(&["db", "settle"]);
    assert_eq!(settled["proof"], "none", "the damaged database may have issued more: {settled}");
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    drop(agent);
    desk.end();
}

#[test]
fn after_a_kill_in_a_run_a_person_finds_the_way_on_with_two_commands() {
    let desk = Desk::new("service-look");
    let at = desk.world.dir.join("notify.sock");
    let manager = UnixDatagram::bind(&at).unwrap();
    let ready = || while !next(&manager, THERE_MAX).expect("a message").starts_with("READY=1") {};
    let until = |what: &str, args: &[&str]| {
        let wanted = async || desk.tamga(args).status.success().then_some(());
        desk.runtime.block_on(world::until(what, THERE_MAX, wanted));
    };
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    until("a run", &["run", "start", "l1", "--gtin", world::GTIN, "--batch", "B", "--expiry", "2030-01-01"]);
    desk.runtime.block_on(desk.world.plant.wait(THERE_MAX, |s| s.passed >= 3)).unwrap();
    drop(agent);
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    let status = String::from_utf8(desk.tamga(&["status"]).stdout).unwrap();
    assert!(status.contains("tamga run look"), "{status}");
    let look = |args: &[&str]| -> serde_json::Value {
        let output = desk.tamga(&[&["--json", "run", "look", "l1"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let seen = look(&[]);
    let left = seen["left"].as_array().unwrap().len();
    assert!(left > 0, "labels were on their way: {seen}");
    assert_eq!(look(&["--scrap-rest"])["scrapped"].as_array().unwrap().len(), left);
    let again = look(&["--scrap-rest"]);
    assert_eq!(
        (again["scrapped"].as_array().unwrap().len(), again["left"].as_array().unwrap().len()),
        (0, 0)
    );
    until("the line to run again", &["run", "resume", "l1"]);
    drop(agent);
    desk.end();
}

#[test]
fn a_database_in_doubt_issues_nothing_says_why_and_goes_on_once_a_person_has_settled_it() {
    let desk = Desk::new("service-doubt");
    let at = desk.world.dir.join("notify.sock");
    let manager = UnixDatagram::bind(&at).unwrap();
    let ready = || while !next(&manager, THERE_MAX).expect("a message").starts_with("READY=1") {};
    let text = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let mut agent = desk.serve(at.to_str().unwrap());
    ready();
    // A daemon has the folder: nothing is settled under it.
    assert_eq!(desk.tamga(&["db", "settle"]).status.code(), Some(1));
    assert_eq!(agent.terminate().code(), Some(0));
    let nothing = desk.tamga(&["db", "settle"]);
    assert!(text(&nothing).contains("Nothing is in doubt"), "{nothing:?}");
    std::fs::remove_dir_all(desk.world.dir.join("data-witness")).unwrap();
    let mut agent = desk.serve(at.to_str().unwrap());
    ready();
    let doctor = desk.tamga(&["doctor"]);
    assert!(text(&doctor).contains("tamga db settle --nothing-restored"), "{doctor:?}");
    let start = ["run", "start", "l1", "--gtin", world::GTIN, "--batch", "B", "--expiry", "2030-01-01"];
    let refused = desk.tamga(&start);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("No code is issued"), "{refused:?}");
    assert!(text(&desk.tamga(&["status"])).contains("[stop.unsettled]"));
    assert_eq!(agent.terminate().code(), Some(0));
    let settled = desk.tamga(&["--json", "db", "settle", "--nothing-restored"]);
    let shape: serde_json::Value = serde_json::from_slice(&settled.stdout).unwrap();
    assert_eq!((&shape["proof"], &shape["doubts"][0]), (&"person".into(), &"doubt.no_witness".into()));
    let agent = desk.serve(at.to_str().unwrap());
    ready();
    let status = text(&desk.tamga(&["status"]));
    assert!(!status.contains("unsettled"), "{status}");
    assert!(text(&desk.tamga(&["audit"])).contains("db settle"));
    drop(agent);
    desk.end();
}
