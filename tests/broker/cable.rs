//! The network between an agent and the broker: it may swallow everything, or break.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it does with bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Carries,
    /// Half open: connections stay and are made, bytes go nowhere, in both directions.
    Swallows,
    /// Every connection breaks, and none is made.
    Broken,
}

/// A listener of our own in front of the broker.
pub struct Cable {
    pub address: SocketAddr,
    mood: watch::Sender<Mood>,
    task: JoinHandle<()>,
}

impl Cable {
    pub async fn lay(address: SocketAddr, broker: SocketAddr) -> Cable {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let (mood, seen) = watch::channel(Mood::Carries);
        let task = tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(carry(agent, broker, seen.clone()));
            }
        });
        Cable { address, mood, task }
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(agent: TcpStream, broker: SocketAddr, mut mood: watch::Receiver<Mood>) {
    if *mood.borrow() == Mood::Broken {
        return;
    }
    // What is swallowed stays swallowed: a connection that lost bytes is never whole again.
    let Ok(broker) = TcpStream::connect(broker).await else { return };
    let (from_agent, to_agent) = agent.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let ways = async {
        tokio::select! {
            () = one_way(from_agent, to_broker, mood.clone()) => {}
            () = one_way(from_broker, to_agent, mood.clone()) => {}
        }
    };
    let mut breaks = mood.clone();
    tokio::select! {
        () = ways => {}
        _ = breaks.wait_for(|mood| *mood == Mood::Broken) => {}
    }
    mood.mark_unchanged();
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mood: watch::Receiver<Mood>) {
    let (mut buffer, mut lost) = (vec![0; 16 * 1024], false);
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        lost |= *mood.borrow() == Mood::Swallows;
        if lost && *mood.borrow() == Mood::Carries {
            return;
        }
        if !lost && to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
