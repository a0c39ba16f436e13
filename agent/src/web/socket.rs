//! The API's Unix socket: where it lies, who may connect to it, and who is let in without the token.
//!
//! The file has mode 0660. The kernel says who is at the other end (peer credentials), which nobody can make up: root,
//! the user of the daemon, and members of the configured group are let in; everybody else who gets as far as the file
//! needs the token, as on loopback. A socket file that nobody listens on is left over from a kill and is replaced; one
//! that answers belongs to another daemon and is left alone.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Owner and group may connect, nobody else.
const MODE: u32 = 0o660;

/// Groups asked of the kernel for one peer. Who is in more than these is known by the first of them.
const GROUPS_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{path} is there and is no socket: remove it, or name another file in api.socket")]
    NoSocket { path: PathBuf },
    #[error("another daemon answers on {path}: stop it, or name another file in api.socket")]
    InUse { path: PathBuf },
    #[error("the socket {path} cannot be made: is its folder there, and may the daemon write to it?")]
    Make { path: PathBuf, source: io::Error },
    #[error("there is no group {group} on this computer: make it, or name another in api.socket_group")]
    NoGroup { group: String },
    #[error("the socket {path} cannot be given to group {group}: the daemon's user must be a member of it")]
    Group { path: PathBuf, group: u32, source: io::Error },
}

/// The socket as it is served. Dropping it removes the file, if it still is this socket's.
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) guests: Guests,
    pub(super) file: File,
}

/// Who is let in without the token, besides root.
#[derive(Clone, Copy, Debug)]
pub struct Guests {
    /// The daemon's own user.
    pub owner: u32,
    pub group: Option<u32>,
}

impl Guests {
    pub fn admit(self, uid: u32, groups: &[u32]) -> bool {
        uid == 0 || uid == self.owner || self.group.is_some_and(|group| groups.contains(&group))
    }
}

/// The file of a socket.
pub(super) struct File {
    path: PathBuf,
    inode: u64,
}

impl Drop for File {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // A file that stays is taken for what it is at the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Socket {
    /// Listens on `path`; members of `group`, a name or a number, are let in. Needs a tokio runtime.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Socket, SocketError> {
        let no_group = |group: &str| SocketError::NoGroup { group: group.to_owned() };
        let group = group.map(|name| group_number(name).ok_or_else(|| no_group(name))).transpose()?;
        make_room(path)?;
        let failed = |source| SocketError::Make { path: path.to_owned(), source };
        let listener = UnixListener::bind(path).map_err(failed)?;
        let made = fs::symlink_metadata(path).map_err(failed)?;
        // Not asked for where it is so: a sandbox may forbid chown altogether.
        if let Some(group) = group.filter(|group| *group != made.gid()) {
            chown(path, None, Some(group)).map_err(|source| SocketError::Group {
                path: path.to_owned(),
                group,
                source,
            })?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
        let guests = Guests { owner: made.uid(), group };
        let file = File { path: path.to_owned(), inode: made.ino() };
        Ok(Socket { listener, guests, file })
    }
}

/// Removes a socket that nobody listens on.
fn make_room(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Make { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NoSocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(source) => Err(failed(source)),
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    Network(SocketAddr),
    /// By the kernel; `uid` is `None` where it does not say.
    Local {
        uid: Option<u32>,
        groups: Vec<u32>,
    },
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Peer {
        Peer::Network(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        let io = stream.io();
        match io.peer_cred() {
            Ok(peer) => {
                let mut groups = other_groups(io);
                groups.push(peer.gid());
                Peer::Local { uid: Some(peer.uid()), groups }
            }
            Err(error) => {
                tracing::warn!(%error, "the kernel does not say who is at the other end of the socket");
                Peer::Local { uid: None, groups: Vec::new() }
            }
        }
    }
}

/// The groups of the peer besides its first one; none where the kernel does not say.
#[allow(unsafe_code)] // SO_PEERGROUPS has no safe face in std or tokio
fn other_groups(stream: &UnixStream) -> Vec<u32> {
    let mut groups = vec![0 as libc::gid_t; GROUPS_MAX];
    let mut bytes = libc::socklen_t::try_from(std::mem::size_of_val(groups.as_slice())).unwrap_or(0);
    // SAFETY: `groups` has room for the `bytes` bytes that the kernel may write, and it writes how many it wrote.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &mut bytes,
        )
    };
    let count = if done == 0 { bytes as usize / std::mem::size_of::<libc::gid_t>() } else { 0 };
    groups.truncate(count);
    groups
}

/// The number of a group of this computer, by its name in `/etc/group` or as digits.
pub fn group_number(group: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    group.parse().ok().or_else(|| number_in(&groups, group))
}

fn number_in(lines: &str, name: &str) -> Option<u32> {
    let mut fields =
        lines.lines().map(|line| line.split(':')).find_map(|mut f| (f.next()? == name).then_some(f))?;
    fields.nth(1)?.parse().ok()
}

/// The name of a user of this computer; the number where `/etc/passwd` has none.
pub fn user_name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&users, uid).unwrap_or_else(|| uid.to_string())
}

/// The name of an id in the lines of `passwd` or `group`: name, password, number, …
fn name_in(lines: &str, id: u32) -> Option<String> {
    lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_daemons_user_and_the_group_are_let_in_and_nobody_else() {
        let closed = Guests { owner: 990, group: None };
        let open = Guests { owner: 990, group: Some(991) };
        for (uid, groups, by_closed, by_open) in [
            (0, &[0][..], true, true),
            (990, &[990], true, true),
            (1000, &[1000], false, false),
            (1000, &[27, 991, 1000], false, true),
            (1000, &[990], false, false),
            (1000, &[], false, false),
        ] {
            assert_eq!(closed.admit(uid, groups), by_closed, "{uid} {groups:?}");
            assert_eq!(open.admit(uid, groups), by_open, "{uid} {groups:?}");
        }
    }

    #[test]
    fn a_user_is_known_by_the_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nolim:x:1000:1000::/home/olim:/bin/sh\n";
        assert_eq!(name_in(users, 1000).as_deref(), Some("olim"));
        assert_eq!(name_in(users, 100), None);
        let groups = "root:x:0:\ntamga:x:991:olim,anna\n";
        assert_eq!((number_in(groups, "tamga"), number_in(groups, "olim")), (Some(991), None));
        assert_eq!((group_number("991"), group_number("no such group")), (Some(991), None));
    }
}
