//! Our stream, the streams of others, and the connection to the broker: one pure step.
//!
//! Commit, then act: a mark is told only when what the letters said is durable; a letter is sent only when it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::receiver::{Receiver, Word};
use super::sender::{Sender, Shown};
use super::{Letter, Mark, ShareRecord};
use crate::ids::{AgentId, TxnId};
use crate::record::{Record, Txn};
use crate::time::{Time, Wall};

/// A broker that is away for so long is told to people; the lines go on.
pub const AWAY: Duration = Duration::from_secs(60);
/// How long the broker's acknowledgments may be remembered in memory alone: after a crash so much is sent again.
const HANDED_EVERY: Duration = Duration::from_secs(1);

const ALARM_AWAY: &str = "alarm.broker_away";

/// What the step begins with.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// How far the broker has our stream; `None`: this agent tells nothing.
    pub handed: Option<Mark>,
    /// The last letter of our stream.
    pub head: u64,
    /// Whom we hear, and how far.
    pub from: Vec<(AgentId, Mark)>,
    /// The broker for people: its address.
    pub broker: String,
    /// The alarm of a broker that is away stands since before the start.
    pub away_told: bool,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// The broker has taken us, and our subscriptions are in force.
    Connected,
    Lost,
    /// Our stream as the store has it.
    Head {
        stream: u64,
        head: u64,
    },
    /// The broker has acknowledged a letter of ours.
    Acknowledged(u64),
    /// A hearer's word on our stream.
    Report {
        hearer: AgentId,
        mark: Mark,
        asks: bool,
    },
    /// A letter of another agent.
    Letter {
        agent: AgentId,
        stream: u64,
        letter: Letter,
    },
    Committed(TxnId),
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Our letters `first ..= last` are to be sent, in this order.
    Send {
        stream: u64,
        first: u64,
        last: u64,
    },
    /// An agent is to be told how far we have its stream.
    Tell {
        agent: AgentId,
        word: Word,
    },
    Commit(Txn),
    /// The connection is given up.
    GiveUp,
}

/// What is to be seen of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareStatus {
    pub connected: bool,
    /// Letters that the broker has not acknowledged; `None`: this agent tells nothing.
    pub waiting: Option<u64>,
    /// The last letter of our stream.
    pub head: u64,
    /// The first letter that the broker has not acknowledged.
    pub oldest: Option<u64>,
    /// Who hears us, and how many letters each lacks.
    pub hearers: Vec<(AgentId, u64)>,
    pub from: Vec<Heard>,
}

/// What is to be seen of a stream that we hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub agent: AgentId,
    pub mark: Mark,
    pub doubles: u64,
    pub gaps: u64,
    /// Letters dropped for a number of the far future.
    pub strange: u64,
    /// How long ago a letter of it came, since the start.
    pub silent: Option<Duration>,
}

/// Sharing of one agent.
#[derive(Clone, Debug)]
pub struct Share {
    sender: Option<Sender>,
    receivers: BTreeMap<AgentId, Receiver>,
    connected: bool,
    /// Since when there is no connection.
    away: Option<Time>,
    away_told: bool,
    broker: String,
    /// As it is durable.
    handed: u64,
    handed_at: Time,
    anew: Option<u64>,
    next_txn: u64,
    /// On its way to the disk, oldest first: one that holds letters of these agents.
    committing: VecDeque<(TxnId, Vec<AgentId>)>,
}

impl Share {
    pub fn new(begin: Begin) -> Share {
        let sender = begin.handed.map(|handed| Sender::new(handed, begin.head));
        Share {
            handed: sender.as_ref().map_or(0, Sender::handed),
            sender,
            receivers: begin.from.into_iter().map(|(agent, mark)| (agent, Receiver::new(mark))).collect(),
            connected: false,
            away: None,
            away_told: begin.away_told,
            broker: begin.broker,
            handed_at: Time(0),
            anew: None,
            next_txn: 1,
            committing: VecDeque::new(),
        }
    }

    /// One step. `wall` is for people; all that is decided by it is which number of a stream is of the far future.
    pub fn step(&mut self, now: Time, wall: Wall, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Connected => {
                self.connected = true;
                self.receivers.values_mut().for_each(Receiver::on_connected);
            }
            Input::Lost => {
                self.connected = false;
                self.sender.iter_mut().for_each(Sender::on_lost);
            }
            Input::Head { stream, head } => {
                if self.sender.as_ref().is_some_and(|sender| sender.stream() < stream) {
                    self.handed = 0;
                }
                self.sender.iter_mut().for_each(|sender| sender.on_head(stream, head));
            }
            Input::Acknowledged(seq) => self.sender.iter_mut().for_each(|sender| sender.on_acknowledged(seq)),
            Input::Report { hearer, mark, asks } => {
                let shown =
                    self.sender.as_mut().map(|sender| sender.on_report(now, wall, hearer, mark, asks));
                if let Some(Shown::Anew(stream)) = shown {
                    self.anew = Some(stream);
                }
            }
            Input::Letter { agent, stream, letter } => {
                if let Some(receiver) = self.receivers.get_mut(&agent) {
                    receiver.on_letter(now, wall, stream, letter);
                }
            }
            Input::Committed(txn) => self.on_committed(txn),
            Input::Tick => {}
        }
        self.commit(now, wall, out);
        self.act(now, out);
    }

    fn on_committed(&mut self, txn: TxnId) {
        if self.committing.front().is_none_or(|(first, _)| *first != txn) {
            return;
        }
        for agent in self.committing.pop_front().map(|(_, agents)| agents).unwrap_or_default() {
            if let Some(receiver) = self.receivers.get_mut(&agent) {
                receiver.on_committed();
            }
        }
    }

    fn commit(&mut self, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        let mut records = Vec::new();
        let mut agents = Vec::new();
        for (agent, receiver) in &mut self.receivers {
            if let Some((stream, letters)) = receiver.take() {
                let taken = ShareRecord::Taken { agent: *agent, stream, letters, at: wall };
                records.push(Record::Share(taken));
                agents.push(*agent);
            }
        }
        if let Some(stream) = self.anew.take() {
            records.push(Record::Share(ShareRecord::Anew { stream, at: wall }));
        }
        if let Some(sender) = &self.sender
            && sender.handed() > self.handed
            && now.since(self.handed_at) >= HANDED_EVERY
        {
            (self.handed, self.handed_at) = (sender.handed(), now);
            let handed = ShareRecord::Handed { stream: sender.stream(), upto: self.handed };
            records.push(Record::Share(handed));
        }
        records.extend(self.away_alarm(now, wall));
        if !records.is_empty() {
            let id = TxnId(self.next_txn);
            self.next_txn += 1;
            self.committing.push_back((id, agents));
            out.push(Effect::Commit(Txn { id, records }));
        }
    }

    /// A broker that is away for long is an alarm; it ends when the broker is back.
    fn away_alarm(&mut self, now: Time, at: Wall) -> Option<Record> {
        let key = ALARM_AWAY.to_owned();
        if self.connected {
            self.away = None;
            let told = std::mem::take(&mut self.away_told);
            return told.then_some(Record::AlarmCleared { line: None, key, at });
        }
        let since = *self.away.get_or_insert(now);
        if self.away_told || now.since(since) < AWAY {
            return None;
        }
        self.away_told = true;
        Some(Record::AlarmRaised { line: None, key, detail: self.broker.clone(), at })
    }

    fn act(&mut self, now: Time, out: &mut Vec<Effect>) {
        if !self.connected {
            return;
        }
        for (agent, receiver) in &mut self.receivers {
            if let Some(word) = receiver.word(now) {
                out.push(Effect::Tell { agent: *agent, word });
            }
        }
        let Some(sender) = &mut self.sender else { return };
        if sender.is_stuck(now) {
            out.push(Effect::GiveUp);
            return;
        }
        sender.look(now);
        if let Some((first, last)) = sender.next(now) {
            out.push(Effect::Send { stream: sender.stream(), first, last });
        }
    }

    pub fn status(&self, now: Time) -> ShareStatus {
        let sender = self.sender.as_ref();
        let heard = |(agent, receiver): (&AgentId, &Receiver)| Heard {
            agent: *agent,
            mark: receiver.mark(),
            doubles: receiver.doubles,
            gaps: receiver.gaps,
            strange: receiver.strange,
            silent: receiver.heard.map(|at| now.since(at)),
        };
        let lacks = |sender: &Sender, mark| sender.head().saturating_sub(mark);
        ShareStatus {
            connected: self.connected,
            waiting: sender.map(|sender| sender.head() - sender.handed()),
            head: sender.map_or(0, Sender::head),
            oldest: sender.filter(|sender| sender.handed() < sender.head()).map(|sender| sender.handed() + 1),
            hearers: sender
                .map(|s| s.hearers().map(|(agent, hearer)| (agent, lacks(s, hearer.mark))).collect())
                .unwrap_or_default(),
            from: self.receivers.iter().map(heard).collect(),
        }
    }
}
