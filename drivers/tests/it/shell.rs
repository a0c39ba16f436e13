//! The shell on real sockets: both roles, cuts, peers that replace each other, writes that stick.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tamga_drivers::gate::map::GateConfig;
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::gate::{GateCommand, GateEvent, Tag};
use tamga_drivers::run::{End, Pace, run};
use tamga_drivers::session::{Input, Output, Session, Time};
use tamga_drivers::trace::Trace;
use tamga_drivers::transport::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::plc::Plc;

/// Says back what happens to it: bytes out for commands, events for all else.
pub struct Parrot {
    up: bool,
}

impl Session for Parrot {
    type Command = Vec<u8>;
    type Event = String;

    fn step(&mut self, now: Time, input: Input<'_, Vec<u8>>, out: &mut Output<String>) {
        match input {
            Input::Connected => {
                self.up = true;
                out.bytes.extend_from_slice(b"hello\n");
                out.events.push("connected".into());
                out.wake_at(now + Duration::from_millis(1));
            }
            Input::Disconnected => {
                self.up = false;
                out.events.push("disconnected".into());
            }
            Input::Command(bytes) if self.up => out.bytes.extend_from_slice(&bytes),
            Input::Command(_) => out.events.push("refused".into()),
            Input::Bytes(b"leave") => out.close = true,
            Input::Bytes(bytes) => out.events.push(String::from_utf8_lossy(bytes).into_owned()),
            Input::Tick => out.events.push("tick".into()),
        }
    }
}

pub struct Running {
    pub commands: mpsc::Sender<Vec<u8>>,
    pub events: mpsc::Receiver<String>,
    pub task: JoinHandle<End>,
}

/// Far longer than anything takes: only a broken test waits so long.
const LONG: Duration = Duration::from_secs(30);

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("within the longest wait")
}

impl Running {
    pub fn start(transport: Transport, write_max: Duration) -> Self {
        let (commands, inbox) = mpsc::channel(8);
        let (outbox, events) = mpsc::channel(8);
        let from = Instant::now();
        let clock = move || Time(u64::try_from(from.elapsed().as_nanos()).unwrap());
        let pace = Pace { backoff_min: Duration::from_millis(5), write_max, ..Pace::default() };
        let trace = Trace::of_symbols();
        let task = tokio::spawn(run(Parrot { up: false }, transport, inbox, outbox, trace, clock, pace));
        Self { commands, events, task }
    }

    pub async fn event(&mut self) -> String {
        soon(self.events.recv()).await.expect("the shell lives")
    }

    pub async fn expect(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.event().await, *expected);
        }
    }
}

async fn greeted(stream: &mut TcpStream) {
    let mut hello = [0; 6];
    soon(stream.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"hello\n");
}

async fn bound(told: &mut watch::Receiver<Option<SocketAddr>>) -> SocketAddr {
    soon(told.wait_for(Option::is_some)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_device_that_we_call_is_called_again_after_a_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut shell = Running::start(Transport::tcp(addr.to_string()), LONG);
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    greeted(&mut device).await;
    shell.expect(&["connected", "tick"]).await;
    device.write_all(b"abc").await.unwrap();
    shell.expect(&["abc"]).await;
    drop(device);
    shell.expect(&["disconnected"]).await;
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    greeted(&mut device).await;
    shell.expect(&["connected", "tick"]).await;
    // The device goes with its port: commands are answered by the session, by name.
    drop((device, listener));
    shell.expect(&["disconnected"]).await;
    shell.commands.send(b"x".to_vec()).await.unwrap();
    shell.expect(&["refused"]).await;
    let listener = TcpListener::bind(addr).await.unwrap();
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    greeted(&mut device).await;
    shell.expect(&["connected"]).await;
    drop(shell.commands);
    assert_eq!(soon(shell.task).await.unwrap(), End::CommandsClosed);
}

#[tokio::test]
async fn commands_are_written_in_order_and_the_end_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut shell = Running::start(Transport::tcp(listener.local_addr().unwrap().to_string()), LONG);
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    shell.expect(&["connected"]).await;
    for n in 0..20_u8 {
        shell.commands.send(vec![b'a' + n]).await.unwrap();
    }
    drop(shell.commands);
    let mut all = Vec::new();
    soon(device.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"hello\nabcdefghijklmnopqrst");
    while let Some(event) = soon(shell.events.recv()).await {
        assert!(event == "tick" || event == "disconnected");
    }
    assert_eq!(soon(shell.task).await.unwrap(), End::CommandsClosed);
}

#[tokio::test]
async fn a_session_may_drop_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut shell = Running::start(Transport::tcp(listener.local_addr().unwrap().to_string()), LONG);
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    greeted(&mut device).await;
    shell.expect(&["connected", "tick"]).await;
    device.write_all(b"leave").await.unwrap();
    shell.expect(&["disconnected"]).await;
    assert_eq!(soon(device.read(&mut [0])).await.unwrap(), 0);
    let (mut device, _) = soon(listener.accept()).await.unwrap();
    greeted(&mut device).await;
}

#[tokio::test]
async fn a_device_that_takes_no_bytes_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut shell = Running::start(Transport::tcp(addr), Duration::from_millis(50));
    let (device, _) = soon(listener.accept()).await.unwrap();
    shell.expect(&["connected", "tick"]).await;
    shell.commands.send(vec![0; 64 << 20]).await.unwrap();
    shell.expect(&["disconnected"]).await;
    drop(device);
}

#[tokio::test]
async fn a_device_that_calls_us_replaces_its_own_old_call() {
    let (transport, mut told) = Transport::tcp_listen("127.0.0.1:0", vec![]);
    let mut shell = Running::start(transport, LONG);
    let addr = bound(&mut told).await;
    let mut old = TcpStream::connect(addr).await.unwrap();
    greeted(&mut old).await;
    shell.expect(&["connected", "tick"]).await;
    let mut new = TcpStream::connect(addr).await.unwrap();
    greeted(&mut new).await;
    shell.expect(&["disconnected", "connected", "tick"]).await;
    assert_eq!(soon(old.read(&mut [0])).await.unwrap(), 0, "the old call is closed");
    new.write_all(b"abc").await.unwrap();
    shell.expect(&["abc"]).await;
    drop(new);
    shell.expect(&["disconnected"]).await;
    let mut again = TcpStream::connect(addr).await.unwrap();
    greeted(&mut again).await;
}

#[tokio::test]
async fn a_stranger_is_turned_away() {
    let (transport, mut told) = Transport::tcp_listen("127.0.0.1:0", vec!["192.0.2.1".parse().unwrap()]);
    let shell = Running::start(transport, LONG);
    let mut stranger = TcpStream::connect(bound(&mut told).await).await.unwrap();
    // Closed, or reset since a greeting of ours was never read.
    assert!(matches!(soon(stranger.read(&mut [0])).await, Ok(0) | Err(_)));
    assert!(shell.events.is_empty());
}

#[tokio::test]
async fn the_shell_ends_when_nobody_listens() {
    let (transport, peer) = Transport::memory();
    let shell = Running::start(transport, LONG);
    drop(shell.events);
    let _device = peer.connect(64);
    assert_eq!(soon(shell.task).await.unwrap(), End::EventsClosed);
}

#[tokio::test]
async fn events_wait_for_the_line_and_none_is_lost() {
    let (transport, peer) = Transport::memory();
    let mut shell = Running::start(transport, LONG);
    let mut device = peer.connect(64).unwrap();
    shell.expect(&["connected", "tick"]).await;
    // Far more than the channel of events holds.
    let writer = tokio::spawn(async move {
        for _ in 0..5000 {
            device.write_all(b"0123456789").await.unwrap();
        }
        device
    });
    let mut len = 0;
    while len < 50_000 {
        len += shell.event().await.len();
    }
    assert_eq!(len, 50_000);
    soon(writer).await.unwrap();
}

/// Serves the registers of a gate to whoever calls, until the test ends.
async fn serve_gate(listener: TcpListener, plc: Arc<Mutex<Plc>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; 6];
        while stream.read_exact(&mut header).await.is_ok() {
            let mut request = header.to_vec();
            request.resize(6 + usize::from(u16::from_be_bytes([header[4], header[5]])), 0);
            if stream.read_exact(&mut request[6..]).await.is_err() {
                break;
            }
            let answer = plc.lock().unwrap().answer(&request);
            stream.write_all(&answer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_gate_over_a_real_socket_tells_items_and_takes_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = Transport::tcp(listener.local_addr().unwrap().to_string());
    let plc = Arc::new(Mutex::new(Plc::new(3)));
    tokio::spawn(serve_gate(listener, plc.clone()));
    let (commands, inbox) = mpsc::channel(8);
    let (outbox, mut events) = mpsc::channel(8);
    let from = Instant::now();
    let clock = move || Time(u64::try_from(from.elapsed().as_nanos()).unwrap());
    // Patient, since the machine may be loaded.
    let config = GateConfig { response_max: LONG, ..GateConfig::default() };
    let gate = ModbusGate::new(config).unwrap();
    tokio::spawn(run(gate, transport, inbox, outbox, Trace::of_signals(), clock, Pace::default()));
    assert_eq!(soon(events.recv()).await, Some(GateEvent::Connected { boot: 3 }));
    // Counts of the opening's end: from here on, items are ours.
    assert!(matches!(soon(events.recv()).await, Some(GateEvent::Counts { triggers: 0, .. })));
    for number in 1..=40 {
        plc.lock().unwrap().item(number, 0);
        let tag = Tag { boot: 3, number };
        while !matches!(soon(events.recv()).await.unwrap(), GateEvent::Item { tag: t, .. } if t == tag) {}
        commands.send(GateCommand::Pass(tag)).await.unwrap();
        soon(async {
            while plc.lock().unwrap().leave(number as usize % 32) != number {
                tokio::task::yield_now().await;
            }
        })
        .await;
        plc.lock().unwrap().outcome(number, 1);
        while soon(events.recv()).await.unwrap() != GateEvent::Passed(tag) {}
    }
}
