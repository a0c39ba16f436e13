//! Agents of one plant tell each other of their packs, through a broker that may lose everything at any moment.
//!
//! Each change of a closed pack is a *letter*: a row that is written in the transaction of the change, numbered from 1
//! without a gap, and never deleted. All letters of an agent are one *stream*. A hearer takes them in order, each once,
//! and tells the sender how far it has come (its *mark*, durable with what the letters said). So the broker is a pipe:
//! what it acknowledged and then forgot is missing in no book, since the sender begins again behind the hearer's mark.
//!
//! - The broker's acknowledgment (PUBACK) bounds what is on its way, and says how far a stream was handed over where
//!   nobody hears it. It is never taken for delivery.
//! - A letter says what the pack is *now*, when it is sent, with the number of the newest letter about it (`rev`); a
//!   hearer passes over what is older than what it has. So letters that are sent again never turn anything back.
//! - A stream that begins anew (a restored database, sharing switched on) has a higher number. A hearer that is further
//!   than the sender proves that the sender's database is an older one: it begins anew.
//!
//! - [`sender`]: what of our stream is sent next
//! - [`receiver`]: what of another's stream is taken
//! - [`step`]: both, and the connection, as one pure step

pub mod receiver;
pub mod sender;
pub mod step;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::code::Identity;
use crate::gs1::Gtin;
use crate::ids::{AgentId, RunId};
use crate::pack::{Holds, Level, PackName, Told};
use crate::sscc::Sscc;
use crate::time::Wall;

/// Letters on their way to the broker without its acknowledgment: some round trips' worth; what is sent again after each
/// fault is no more.
pub const IN_FLIGHT_MAX: usize = 64;
/// Letters ahead of the slowest hearer that is there: below the thousand that mosquitto queues for a subscriber before it
/// drops them without a word (`max_queued_messages`).
pub const AHEAD_MAX: u64 = 256;
/// Rows of one sender's letters that are taken in one commit, but one letter at least: some milliseconds.
pub const TAKEN_MAX: usize = 100;
/// Letters of one sender that wait for the disk: all that it may send ahead. More are dropped, and asked for again.
pub const WAITING_MAX: usize = AHEAD_MAX as usize;
/// The largest numbers that are believed: what fits a JSON number everywhere.
pub const NUMBER_MAX: u64 = 1 << 53;
/// How far ahead of our calendar the number of a stream is believed: clocks of a plant differ by less.
const AHEAD_OF_CALENDAR: Duration = Duration::from_secs(24 * 3600);

/// Whether a stream may have this number, where `known` is the number that it is known by. Streams begin under the
/// milliseconds of the calendar ([`Wall`]) or one above what was heard; a number of the far future is a fault or a
/// forgery, and who followed it could never come back. Both ends ask this alike: what one begins, the other takes as soon
/// as the clocks agree, and what stands here already is never doubted.
pub(crate) fn is_believed(stream: u64, known: u64, wall: Wall) -> bool {
    let calendar = u64::try_from(wall.0).unwrap_or(0).saturating_add(AHEAD_OF_CALENDAR.as_millis() as u64);
    stream <= calendar.max(known.saturating_add(1)) && stream < NUMBER_MAX - 1
}

/// One change of a pack, as it is told to other agents.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// The place in the stream, from 1.
    pub seq: u64,
    pub news: News,
}

impl Letter {
    /// What it costs to make it durable, in rows.
    pub fn weight(&self) -> usize {
        match &self.news {
            News::Pack(notice) => 1 + notice.content.len(),
            News::Lies(_) => 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// What a pack of the sender is.
    Pack(Box<Notice>),
    /// Whether another agent's pack lies in one of the sender's.
    Lies(Claim),
}

/// A pack of the sender that is or was closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub name: Sscc,
    /// The newest letter about it that what stands here knows of.
    pub rev: u64,
    pub level: Level,
    pub holds: Holds,
    /// It is none any more; then its content is empty.
    pub voided: bool,
    pub content: Content,
    /// The product and the sender's run of all that is in it; `None` where they differ.
    pub gtin: Option<Gtin>,
    pub run: Option<RunId>,
    /// What upstream knows of it: a pallet elsewhere waits for that of its boxes.
    pub told: Told,
    /// It lies in a pack of the sender.
    pub lies: bool,
    pub closed_at: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Items(Vec<Identity>),
    /// Packs by their names: group packs by the code that each bears, others by their SSCCs; of a later version both.
    Packs(Vec<PackName>),
}

impl Content {
    pub fn len(&self) -> usize {
        match self {
            Content::Items(items) => items.len(),
            Content::Packs(packs) => packs.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Another agent's pack, as it lies at the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub name: Sscc,
    pub rev: u64,
    pub lies: bool,
    /// The pack that it lies in, where that has a name.
    pub parent: Option<Sscc>,
}

/// One fact of sharing to be made durable.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    /// Letters of another agent's stream, in order and without a gap, the first of them right behind the mark; a stream
    /// with a higher number than the known one begins with 1. Those up to the mark change nothing.
    Taken { agent: AgentId, stream: u64, letters: Vec<Letter>, at: Wall },
    /// The broker has acknowledged our letters up to this one.
    Handed { stream: u64, upto: u64 },
    /// Our stream begins anew under this number: all closed packs, and all that lie here, are told again. A number that
    /// is not higher than the present one changes nothing.
    Anew { stream: u64, at: Wall },
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    pub stream: u64,
    /// All letters up to this one.
    pub seq: u64,
}
