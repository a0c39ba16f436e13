//! The Unix socket: who is let in without the token, what is written down of them, whose file it is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reqwest::Client;
use serde_json::json;
use tamga::web::socket::{Socket, SocketError};

use crate::world::World;

/// A user of every Linux who is neither root nor the test.
const NOBODY: u32 = 65534;

fn over(path: &Path) -> Client {
    Client::builder().no_proxy().unix_socket(path.to_path_buf()).build().unwrap()
}

fn uid_of_this() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// The real binary as it finds its way by a configuration.
fn tamga(config: &Path, as_user: Option<u32>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamga"));
    command.arg("--config").arg(config).args(args).env_remove("LC_ALL").env("LANG", "C");
    if let Some(uid) = as_user {
        command.uid(uid).gid(uid);
    }
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("it was ended: {output:?}"))
}

/// A configuration whose daemon is the world's: only where it is spoken to has to be right.
fn config_of(world: &World) -> PathBuf {
    let listen = world.base.trim_start_matches("http://");
    let data = world.folder.display();
    let text = format!("[agent]\ndata = \"{data}\"\n[api]\nlisten = \"{listen}\"\n[lines.half.written]\n");
    let path = world.folder.join("line.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_user_of_the_daemon_is_let_in_without_the_token_and_named_by_the_kernel() {
    let world = World::new();
    let socket = world.folder.join("api.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let client = over(&socket);
    // No page comes this way, so any name of the host will do.
    let (status, _) = world.send(client.get("http://tamga/api/v1/status"));
    assert_eq!(status, 200);
    let stop = || client.post("http://localhost/api/v1/lines/line1/run/stop").json(&json!({}));
    assert_eq!(world.send(stop()).0, 409);
    assert_eq!(world.send(stop().header("x-tamga-who", "Dilnoza")).0, 409);
    let audit = world.records.audit.lock().unwrap();
    let from = format!("unix socket, uid {}", uid_of_this());
    assert!(audit[0].who.starts_with("unix:"), "{audit:?}");
    assert_eq!((audit[0].from.as_str(), audit[1].from.as_str()), (from.as_str(), from.as_str()));
    assert_eq!(audit[1].who, "Dilnoza");
}

#[test]
fn the_command_line_takes_the_socket_and_falls_back_to_loopback() {
    let world = World::new();
    let config = config_of(&world);
    // The rest of that file is nonsense; a line can be stopped all the same.
    assert_eq!(code(&tamga(&config, None, &["run", "stop", "line1"])), 1);
    std::fs::remove_file(world.folder.join("api.sock")).unwrap();
    assert_eq!(code(&tamga(&config, None, &["run", "stop", "line1"])), 1);
    let froms: Vec<String> = world.records.audit.lock().unwrap().iter().map(|e| e.from.clone()).collect();
    assert_eq!(froms, [format!("unix socket, uid {}", uid_of_this()), "local".to_owned()]);
    // Neither socket nor token: nobody was ever there.
    std::fs::remove_file(world.folder.join("api.token")).unwrap();
    let nobody = tamga(&config, None, &["status"]);
    assert_eq!(code(&nobody), 4);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("No daemon answers"), "{nobody:?}");
}

#[test]
fn a_user_who_is_no_guest_needs_the_token() {
    if uid_of_this() != 0 {
        // Only root can ask in another user's name.
        return;
    }
    let world = World::new();
    let config = config_of(&world);
    let open =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(&world.folder, 0o755);
    let socket = world.folder.join("api.sock");
    // With the mode as it is made, the file does not even let them knock, and the token is not theirs to read.
    let output = tamga(&config, Some(NOBODY), &["status"]);
    assert_eq!(code(&output), 5, "{output:?}");
    open(&socket, 0o666);
    let output = tamga(&config, Some(NOBODY), &["status"]);
    assert_eq!(code(&output), 5, "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is not let in on this socket"), "{said}");
    open(&config, 0o600);
    let closed = tamga(&config, Some(NOBODY), &["status"]);
    assert_eq!(code(&closed), 5, "{closed:?}");
    assert!(String::from_utf8_lossy(&closed.stderr).contains("sudo tamga"), "{closed:?}");
    open(&config, 0o644);
    open(&world.folder.join("api.token"), 0o644);
    assert_eq!(code(&tamga(&config, Some(NOBODY), &["status"])), 0);
    assert!(world.records.audit.lock().unwrap().is_empty());
}

#[test]
fn members_of_the_group_are_let_in() {
    if uid_of_this() != 0 {
        return;
    }
    let world = World::of_group(Some(NOBODY));
    let config = config_of(&world);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&world.folder, open).unwrap();
    let output = tamga(&config, Some(NOBODY), &["status"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert_eq!(code(&tamga(&config, Some(NOBODY - 1), &["status"])), 5);
}

#[test]
fn a_socket_left_over_is_replaced_and_one_that_answers_is_left_alone() {
    let world = World::new();
    world.runtime.block_on(async {
        let path = world.folder.join("one.sock");
        // What a kill leaves: the file, and nobody who listens.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = Socket::bind(&path, None).unwrap();
        assert!(matches!(Socket::bind(&path, None), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists(), "a daemon that ends takes its file along");
        std::fs::write(&path, "notes of the engineer").unwrap();
        assert!(matches!(Socket::bind(&path, None), Err(SocketError::NoSocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes of the engineer");
        let lost = world.folder.join("no/folder/api.sock");
        assert!(matches!(Socket::bind(&lost, None), Err(SocketError::Make { .. })));
        let strange = Socket::bind(&world.folder.join("two.sock"), Some("no such group"));
        assert!(matches!(strange, Err(SocketError::NoGroup { .. })));
    });
}
