//! Debian's mosquitto as the broker of a test: started, killed, halted, with nothing kept.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::world::until;

/// The broker's program, or what to do about it.
pub fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian puts it where only root looks.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("mosquitto")).find(|file| file.is_file());
    found.ok_or_else(|| "there is no mosquitto here: apt-get install mosquitto".to_owned())
}

/// A broker on one address. Without persistence: each start has an empty session of everybody.
pub struct Mosquitto {
    program: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Mosquitto {
    pub fn new(dir: &Path, address: SocketAddr) -> Result<Mosquitto, String> {
        let config = dir.join("mosquitto.conf");
        let mut file = std::fs::File::create(&config).map_err(|e| e.to_string())?;
        let (port, ip) = (address.port(), address.ip());
        write!(file, "listener {port} {ip}\nallow_anonymous true\npersistence false\nlog_type error\n")
            .map_err(|e| e.to_string())?;
        Ok(Mosquitto { program: program()?, config, address, child: None })
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("mosquitto starts"));
        let address = self.address;
        until("the broker", Duration::from_secs(20), async || {
            tokio::net::TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
    }

    /// SIGKILL: what it acknowledged and had not sent on is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// SIGSTOP: connections stay, and nothing answers.
    pub fn halt(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    #[allow(unsafe_code)] // a signal to our own child, which is not waited for yet
    fn signal(&self, signal: i32) {
        let Some(child) = &self.child else { return };
        // SAFETY: the child is ours and not reaped, so its id is nobody else's.
        unsafe { libc::kill(i32::try_from(child.id()).unwrap_or(0), signal) };
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}
