//! Where a device's bytes travel: TCP in either role, a serial line, an input device, memory.
//!
//! A transport opens and accepts; it never retries, waits or speaks. Pace and order are those of
//! the shell ([`crate::run`]).
//!
//! A listening transport has one peer at a time. Industrial readers that call us reconnect without
//! closing the old connection first, so the newest connection is the true one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_serial::SerialStream;
pub use tokio_serial::{DataBits, Parity, StopBits};

use crate::evdev::InputDevice;

/// How a device is reached.
#[derive(Debug)]
pub enum Transport {
    /// We call the device.
    Tcp(TcpTarget),
    /// The device calls us.
    TcpListen(Listening),
    /// A serial line, or a USB device that looks like one.
    Serial(SerialLine),
    /// A scanner that acts as a keyboard.
    Keyboard(KeyboardDevice),
    /// A peer in this process.
    Memory(mpsc::UnboundedReceiver<DuplexStream>),
}

/// A device that we call.
#[derive(Debug, Clone)]
pub struct TcpTarget {
    /// `host:port`.
    pub addr: String,
    /// How long one attempt may take. A device on the line's own network answers within milliseconds.
    pub connect_timeout: Duration,
}

/// A port that devices call.
#[derive(Debug)]
pub struct Listening {
    addr: String,
    peers: Vec<IpAddr>,
    bound: watch::Sender<Option<SocketAddr>>,
    listener: Option<TcpListener>,
}

/// A serial line.
#[derive(Debug, Clone)]
pub struct SerialLine {
    /// A name that survives replugging: `/dev/serial/by-id/…` or a udev symlink.
    pub path: String,
    /// Bits per second.
    pub baud: u32,
    /// Data bits a character.
    pub data_bits: DataBits,
    /// Parity bit.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: StopBits,
}

/// An input device of Linux.
#[derive(Debug, Clone)]
pub struct KeyboardDevice {
    /// A name that survives replugging: `/dev/input/by-id/…-event-kbd`.
    pub path: String,
    /// Hold it alone: else its keys are typed into whatever else listens on this computer.
    pub grab: bool,
}

impl SerialLine {
    /// Describes a line with 8 data bits, no parity and one stop bit.
    pub fn of_8n1(path: impl Into<String>, baud: u32) -> Self {
        Self {
            path: path.into(),
            baud,
            data_bits: DataBits::Eight,
            parity: Parity::None,
            stop_bits: StopBits::One,
        }
    }
}

/// The far end of [`Transport::memory`].
#[derive(Debug, Clone)]
pub struct MemoryPeer {
    calls: mpsc::UnboundedSender<DuplexStream>,
}

impl MemoryPeer {
    /// Connects; `None` once the transport is gone. The pipe holds `bytes_max` in each direction.
    pub fn connect(&self, bytes_max: usize) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(bytes_max);
        self.calls.send(theirs).ok().map(|()| ours)
    }
}

/// Two-way bytes, whatever they travel on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Transport {
    /// Makes a transport that calls `host:port`, giving each attempt three seconds.
    pub fn tcp(addr: impl Into<String>) -> Self {
        Self::Tcp(TcpTarget { addr: addr.into(), connect_timeout: Duration::from_secs(3) })
    }

    /// Makes a transport that listens on `address:port` (port 0 takes a free one) and accepts from
    /// `peers` only, or from anybody where the list is empty. The address is told once it is bound.
    pub fn tcp_listen(
        addr: impl Into<String>,
        peers: Vec<IpAddr>,
    ) -> (Self, watch::Receiver<Option<SocketAddr>>) {
        let (bound, told) = watch::channel(None);
        (Self::TcpListen(Listening { addr: addr.into(), peers, bound, listener: None }), told)
    }

    /// Makes a transport that reads an input device.
    pub fn keyboard(path: impl Into<String>, grab: bool) -> Self {
        Self::Keyboard(KeyboardDevice { path: path.into(), grab })
    }

    /// Makes a transport inside this process, and its far end.
    pub fn memory() -> (Self, MemoryPeer) {
        let (calls, waiting) = mpsc::unbounded_channel();
        (Self::Memory(waiting), MemoryPeer { calls })
    }

    /// Tells whether the far end decides when there is a connection; then there is no use in pausing
    /// between attempts of ours.
    pub(crate) fn is_called(&self) -> bool {
        matches!(self, Self::TcpListen(_) | Self::Memory(_))
    }

    /// Opens the next connection, waiting for a caller where the device calls.
    pub(crate) async fn open(&mut self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(target) => match timeout(target.connect_timeout, call(&target.addr)).await {
                Ok(opened) => Ok(Box::new(opened?)),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the call")),
            },
            Self::TcpListen(listening) => Ok(Box::new(listening.accept().await?)),
            Self::Serial(line) => Ok(Box::new(open_serial(line)?)),
            Self::Keyboard(device) => Ok(Box::new(InputDevice::open(&device.path, device.grab)?)),
            Self::Memory(calls) => match calls.recv().await {
                Some(stream) => Ok(Box::new(stream)),
                None => std::future::pending().await,
            },
        }
    }

    /// Waits for a connection that replaces the open one; for ever where we are the one who calls.
    pub(crate) async fn replaced(&mut self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::TcpListen(_) | Self::Memory(_) => self.open().await,
            Self::Tcp(_) | Self::Serial(_) | Self::Keyboard(_) => std::future::pending().await,
        }
    }

    /// Names the far end for logs.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Tcp(target) => &target.addr,
            Self::TcpListen(listening) => &listening.addr,
            Self::Serial(line) => &line.path,
            Self::Keyboard(device) => &device.path,
            Self::Memory(_) => "memory",
        }
    }
}

impl Listening {
    async fn accept(&mut self) -> io::Result<TcpStream> {
        let listener = match self.listener.take() {
            Some(listener) => self.listener.insert(listener),
            None => {
                let listener = TcpListener::bind(&self.addr).await?;
                self.bound.send_replace(Some(listener.local_addr()?));
                self.listener.insert(listener)
            }
        };
        loop {
            let (stream, from) = listener.accept().await?;
            if self.peers.is_empty() || self.peers.contains(&from.ip().to_canonical()) {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            tracing::warn!(%from, "refused a connection: not in the list of peers");
        }
    }
}

async fn call(addr: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host(addr).await? {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(err) => last = err,
        }
    }
    Err(last)
}

/// Opens the line exclusively (the crate's default), so that no second program steals its bytes.
fn open_serial(line: &SerialLine) -> io::Result<SerialStream> {
    let builder = tokio_serial::new(&line.path, line.baud)
        .data_bits(line.data_bits)
        .parity(line.parity)
        .stop_bits(line.stop_bits);
    SerialStream::open(&builder).map_err(io::Error::from)
}
