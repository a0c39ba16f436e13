//! One connection to the broker, by rumqttc, from its making to its end.
//!
//! A client of its own for each connection, with a clean session: rumqttc keeps what it was given over a lost connection
//! and drops it without a word where the broker has forgotten the session. Here nothing is kept: what is to be sent again
//! the step says, which knows what is durable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Outgoing,
    Packet, QoS, SubscribeFilter, SubscribeReasonCode,
};
use tamga_domain::share::IN_FLIGHT_MAX;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::letters::MESSAGE_BYTES_MAX;
use crate::config::address::Address;

/// Messages that rumqttc may have from us: all letters in flight, a mark for each sender, and room.
const ASKED_MAX: usize = 2 * IN_FLIGHT_MAX;
/// More than is ever on its way, so that rumqttc never meets one of its own packet numbers again before it is
/// acknowledged (which it does not survive).
const PACKETS_MAX: u16 = 4 * IN_FLIGHT_MAX as u16;
/// Events that wait for us; then nothing more is read, and the broker waits.
const EVENTS_MAX: usize = 64;
/// A connection that is not made within this is given up.
const CONNECT_S: u64 = 5;

/// How to reach the broker.
#[derive(Clone)]
pub struct Access {
    pub address: Address,
    pub client_id: String,
    /// User and password.
    pub login: Option<(String, String)>,
    /// After so long without a word the broker is asked for one, and after as long again the connection is given up.
    pub keep_alive: Duration,
}

/// Without the password.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({} as {})", self.address, self.client_id)
    }
}

/// What came over a connection.
#[derive(Debug)]
pub enum Came {
    /// All subscriptions are in force.
    Ready,
    /// The broker has acknowledged the letter of this number.
    Acknowledged(u64),
    Message {
        topic: String,
        body: Vec<u8>,
    },
    /// The connection is over, and why.
    Over(LinkError),
}

/// Why a connection is over, or is none.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the connection to the broker is lost")]
    Lost(#[source] Box<ConnectionError>),
    #[error("the broker refuses user or password")]
    Login,
    #[error("the broker does not let us hear {0}")]
    Subscription(String),
    #[error("the broker takes nothing more")]
    Full,
    #[error("the broker acknowledges nothing")]
    Silent,
}

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> LinkError {
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => LinkError::Login,
            error => LinkError::Lost(Box::new(error)),
        }
    }
}

/// A connection that is being made, or is there.
pub struct Link {
    client: AsyncClient,
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    poll: JoinHandle<()>,
    topics: Vec<String>,
    /// Given to rumqttc and not yet on its way, in order: the letter's number, where it is one.
    given: VecDeque<Option<u64>>,
    /// On its way, by rumqttc's number.
    under_way: BTreeMap<u16, Option<u64>>,
}

impl Link {
    /// Begins to connect; all of `topics` are heard once it is ready.
    pub fn open(access: &Access, topics: Vec<String>) -> Link {
        let Access { address, client_id, login, keep_alive } = access;
        // It puts host and port together with a colon.
        let is_v6 = address.host.contains(':');
        let host = if is_v6 { format!("[{}]", address.host) } else { address.host.clone() };
        let mut options = MqttOptions::new(client_id, host, address.port);
        options.set_keep_alive((*keep_alive).max(Duration::from_secs(1)));
        options.set_clean_session(true);
        options.set_max_packet_size(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX);
        options.set_inflight(PACKETS_MAX);
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, mut turning) = AsyncClient::new(options, ASKED_MAX);
        turning.network_options.set_connection_timeout(CONNECT_S).set_tcp_nodelay(true);
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        // A task of its own: rumqttc's poll loses what it has begun when it is dropped half way.
        let poll = tokio::spawn(turn(turning, tell));
        Link { client, events, poll, topics, given: VecDeque::new(), under_way: BTreeMap::new() }
    }

    /// Gives a message to the connection; `letter`: it is the letter of this number, whose acknowledgment is told.
    pub fn publish(&mut self, topic: String, body: Vec<u8>, letter: Option<u64>) -> Result<(), LinkError> {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, body).map_err(full)?;
        self.given.push_back(letter);
        Ok(())
    }

    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Came {
        loop {
            let event = self.events.recv().await.unwrap_or(Err(ConnectionError::RequestsDone));
            match event.map_err(LinkError::from).and_then(|event| self.on_event(event)) {
                Ok(Some(came)) => return came,
                Ok(None) => {}
                Err(error) => return Came::Over(error),
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Result<Option<Came>, LinkError> {
        Ok(match event {
            Event::Incoming(Packet::ConnAck(_)) if self.topics.is_empty() => Some(Came::Ready),
            Event::Incoming(Packet::ConnAck(_)) => {
                let filter = |topic: &String| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce);
                self.client.try_subscribe_many(self.topics.iter().map(filter)).map_err(full)?;
                None
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                let refused = answer.return_codes.iter().position(|c| *c == SubscribeReasonCode::Failure);
                match refused.and_then(|place| self.topics.get(place)) {
                    Some(topic) => return Err(LinkError::Subscription(topic.clone())),
                    None => Some(Came::Ready),
                }
            }
            Event::Incoming(Packet::PubAck(answer)) => {
                self.under_way.remove(&answer.pkid).flatten().map(Came::Acknowledged)
            }
            Event::Incoming(Packet::Publish(message)) => {
                Some(Came::Message { topic: message.topic, body: message.payload.to_vec() })
            }
            Event::Outgoing(Outgoing::Publish(number)) => {
                self.under_way.insert(number, self.given.pop_front().flatten());
                None
            }
            // A packet number met again: rumqttc would wait for ever.
            Event::Outgoing(Outgoing::AwaitAck(_)) => return Err(LinkError::Silent),
            Event::Incoming(_) | Event::Outgoing(_) => None,
        })
    }
}

/// Nothing of a connection outlives it.
impl Drop for Link {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

fn full(_: ClientError) -> LinkError {
    LinkError::Full
}

/// Turns one connection until it ends, or nobody wants to know.
async fn turn(mut turning: EventLoop, tell: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        let event = turning.poll().await;
        let over = event.is_err();
        if tell.send(event).await.is_err() || over {
            return;
        }
    }
}
