//! What of our stream is sent next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{AHEAD_MAX, IN_FLIGHT_MAX, Mark, NUMBER_MAX, is_believed};
use crate::ids::AgentId;
use crate::time::{Time, Wall};

/// After so long without the broker's acknowledgment the connection is given up: it is half open, or the broker hangs.
pub const ACK_WAIT: Duration = Duration::from_secs(10);
/// A hearer that did not come further for so long, though the broker has all, is sent to again from its mark.
pub const STALL: Duration = Duration::from_secs(5);
/// A hearer that asks again and again at one mark is sent to again no sooner.
pub const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A hearer that does not come further holds the others up no longer.
pub const WAIT_FOR: Duration = Duration::from_secs(15);
/// A hearer that was not heard of for so long is not there.
pub const GONE: Duration = Duration::from_secs(30);
/// Hearers that are remembered: no plant has more agents at one broker.
const HEARERS_MAX: usize = 64;
/// A stream begins anew no more often, whatever hearers say: all packs are told again by it.
pub const ANEW_EVERY: Duration = Duration::from_secs(180);

/// Our stream.
#[derive(Clone, Debug)]
pub struct Sender {
    stream: u64,
    /// The last letter that is durable.
    head: u64,
    /// All up to here were acknowledged by the broker, once at least.
    handed: u64,
    /// The last letter that was given to the connection.
    cursor: u64,
    in_flight: VecDeque<(u64, Time)>,
    /// Acknowledged beyond `handed`.
    beyond: BTreeSet<u64>,
    hearers: BTreeMap<AgentId, Hearer>,
    began: Option<Time>,
}

/// Who hears us.
#[derive(Clone, Copy, Debug)]
pub struct Hearer {
    pub mark: u64,
    /// When it was last heard of.
    pub at: Time,
    /// Since when it is behind and has not come further.
    behind: Option<Time>,
    /// From where it was last sent to again, and when.
    again: Option<(u64, Time)>,
}

/// What a hearer's word shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Fine,
    /// It has letters that we never wrote: our database is an older one. The stream begins anew under this number.
    Anew(u64),
}

impl Sender {
    pub fn new(handed: Mark, head: u64) -> Sender {
        let handed_seq = handed.seq.min(head);
        Sender {
            stream: handed.stream,
            head,
            handed: handed_seq,
            cursor: handed_seq,
            in_flight: VecDeque::new(),
            beyond: BTreeSet::new(),
            hearers: BTreeMap::new(),
            began: None,
        }
    }

    pub fn stream(&self) -> u64 {
        self.stream
    }

    pub fn head(&self) -> u64 {
        self.head
    }

    /// All up to here were acknowledged by the broker.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    pub fn hearers(&self) -> impl Iterator<Item = (AgentId, &Hearer)> {
        self.hearers.iter().map(|(agent, hearer)| (*agent, hearer))
    }

    /// The stream as the store has it: it has grown, or begun anew.
    pub fn on_head(&mut self, stream: u64, head: u64) {
        if stream == self.stream {
            self.head = self.head.max(head);
        } else if stream > self.stream {
            let hearers = std::mem::take(&mut self.hearers);
            let began = self.began;
            *self = Sender::new(Mark { stream, seq: 0 }, head);
            self.began = began;
            self.hearers =
                hearers.into_iter().map(|(agent, hearer)| (agent, Hearer { mark: 0, ..hearer })).collect();
        }
    }

    /// Nothing that was on its way is believed to have come anywhere.
    pub fn on_lost(&mut self) {
        self.in_flight.clear();
        self.beyond.clear();
        self.cursor = self.handed;
    }

    pub fn on_acknowledged(&mut self, seq: u64) {
        let Some(place) = self.in_flight.iter().position(|(sent, _)| *sent == seq) else { return };
        self.in_flight.remove(place);
        if seq > self.handed {
            self.beyond.insert(seq);
        }
        while self.beyond.remove(&(self.handed + 1)) {
            self.handed += 1;
        }
    }

    /// A hearer's word: how far it has come, and whether it asks for what is behind that. Anybody may be a hearer; a word
    /// that names a stream of the far future is nobody's.
    pub fn on_report(&mut self, now: Time, wall: Wall, agent: AgentId, mark: Mark, asks: bool) -> Shown {
        if !is_believed(mark.stream, self.stream, wall) || mark.seq >= NUMBER_MAX {
            return Shown::Fine;
        }
        let is_ahead = mark.stream > self.stream || (mark.stream == self.stream && mark.seq > self.head);
        if is_ahead {
            let lately = self.began.is_some_and(|began| now.since(began) < ANEW_EVERY);
            if lately {
                return Shown::Fine;
            }
            self.began = Some(now);
            return Shown::Anew(mark.stream + 1);
        }
        if self.hearers.len() >= HEARERS_MAX && !self.hearers.contains_key(&agent) {
            return Shown::Fine;
        }
        let seq = if mark.stream == self.stream { mark.seq } else { 0 };
        let before = self.hearers.get(&agent).copied();
        let moved = before.is_none_or(|before| before.mark != seq);
        let behind = match before.and_then(|before| before.behind) {
            _ if seq >= self.cursor => None,
            Some(since) if !moved => Some(since),
            _ => Some(now),
        };
        let hearer = Hearer { mark: seq, at: now, behind, again: before.and_then(|before| before.again) };
        self.hearers.insert(agent, hearer);
        if asks {
            self.again(now, agent);
        }
        Shown::Fine
    }

    /// Goes back to what a hearer has, where it was not done just now.
    fn again(&mut self, now: Time, agent: AgentId) {
        let Some(hearer) = self.hearers.get_mut(&agent) else { return };
        let lately =
            hearer.again.is_some_and(|(from, at)| from == hearer.mark && now.since(at) < AGAIN_AFTER);
        if hearer.mark < self.cursor && !lately {
            hearer.again = Some((hearer.mark, now));
            self.cursor = hearer.mark;
        }
    }

    /// Whether the broker has been silent for too long.
    pub fn is_stuck(&self, now: Time) -> bool {
        self.in_flight.front().is_some_and(|(_, at)| now.since(*at) >= ACK_WAIT)
    }

    /// The hearers that are behind though the broker had everything: it has lost something after its acknowledgment.
    pub fn look(&mut self, now: Time) {
        self.hearers.retain(|_, hearer| now.since(hearer.at) < GONE);
        let stalled = |hearer: &Hearer| hearer.behind.is_some_and(|since| now.since(since) >= STALL);
        let stalled: Vec<AgentId> =
            self.hearers.iter().filter(|(_, hearer)| stalled(hearer)).map(|(agent, _)| *agent).collect();
        for agent in stalled {
            let lately = self.hearers[&agent].again.is_some_and(|(_, at)| now.since(at) < STALL);
            if !lately {
                self.again(now, agent);
            }
        }
    }

    /// The letters to be sent now, first and last.
    pub fn next(&mut self, now: Time) -> Option<(u64, u64)> {
        let waits = |hearer: &&Hearer| hearer.behind.is_none_or(|since| now.since(since) < WAIT_FOR);
        let slowest = self.hearers.values().filter(waits).map(|hearer| hearer.mark).min();
        let room = u64::try_from(IN_FLIGHT_MAX.saturating_sub(self.in_flight.len())).unwrap_or(0);
        let most = slowest.map_or(self.head, |mark| mark.saturating_add(AHEAD_MAX).min(self.head));
        let (first, last) = (self.cursor + 1, (self.cursor + room).min(most));
        if last < first {
            return None;
        }
        self.in_flight.extend((first..=last).map(|seq| (seq, now)));
        self.cursor = last;
        for hearer in self.hearers.values_mut().filter(|hearer| hearer.behind.is_none() && hearer.mark < last)
        {
            hearer.behind = Some(now);
        }
        Some((first, last))
    }
}
