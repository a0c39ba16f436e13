//! What of another agent's stream is taken: each letter once, in order; doubles are dropped, gaps asked for.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Letter, Mark, NUMBER_MAX, TAKEN_MAX, WAITING_MAX, is_believed};
use crate::time::{Time, Wall};

/// How often a mark is told though nothing changed: the sender learns of what the broker lost by it.
pub const TELL_EVERY: Duration = Duration::from_secs(3);
/// How often a gap at one mark is asked for.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// Letters after which a mark is told though more come: a part of what may be sent ahead.
const TELL_AFTER: u64 = 64;

/// Another agent's stream, as far as it has come here.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Durable.
    mark: Mark,
    /// On its way to the disk: the stream, and how many letters.
    committing: Option<(u64, u64)>,
    waiting_stream: u64,
    waiting: VecDeque<Letter>,
    /// Where a letter came whose place is not yet: as long as nothing is taken behind it, something is missing there.
    gap: Option<Mark>,
    told: Option<(u64, Time)>,
    asked: Option<(Mark, Time)>,
    /// Nothing was taken since the connection was made.
    fresh: bool,
    /// Since the start.
    pub doubles: u64,
    pub gaps: u64,
    /// Letters that were dropped for the number of their stream or their place.
    pub strange: u64,
    /// When a letter of it came last.
    pub heard: Option<Time>,
}

/// A mark to be told to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub mark: Mark,
    /// Everything behind the mark is wanted (again).
    pub asks: bool,
}

impl Receiver {
    pub fn new(mark: Mark) -> Receiver {
        Receiver {
            mark,
            committing: None,
            waiting_stream: mark.stream,
            waiting: VecDeque::new(),
            gap: None,
            told: None,
            asked: None,
            fresh: true,
            doubles: 0,
            gaps: 0,
            strange: 0,
            heard: None,
        }
    }

    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The place behind which the next letter belongs.
    fn tip(&self) -> Mark {
        if let Some(last) = self.waiting.back() {
            return Mark { stream: self.waiting_stream, seq: last.seq };
        }
        match self.committing {
            Some((stream, n)) if stream == self.mark.stream => Mark { stream, seq: self.mark.seq + n },
            Some((stream, n)) => Mark { stream, seq: n },
            None => self.mark,
        }
    }

    pub fn on_connected(&mut self) {
        self.fresh = true;
        self.gap = None;
        (self.told, self.asked) = (None, None);
    }

    pub fn on_letter(&mut self, now: Time, wall: Wall, stream: u64, letter: Letter) {
        let is_strange = !is_believed(stream, self.mark.stream, wall);
        if is_strange || letter.seq == 0 || letter.seq >= NUMBER_MAX {
            self.strange += 1;
            return;
        }
        self.heard = Some(now);
        let tip = self.tip();
        let next = if stream > tip.stream { 1 } else { tip.seq + 1 };
        if stream < tip.stream || letter.seq < next {
            self.doubles += 1;
        } else if letter.seq > next || self.waiting.len() >= WAITING_MAX || !self.may_wait(stream) {
            self.gaps += 1;
            self.gap = Some(tip);
        } else {
            self.waiting_stream = stream;
            self.waiting.push_back(letter);
        }
    }

    /// Letters that wait are of one stream.
    fn may_wait(&self, stream: u64) -> bool {
        self.waiting.is_empty() || stream == self.waiting_stream
    }

    /// The letters to be made durable now, with their stream; what is on its way to the disk is one batch at most.
    pub fn take(&mut self) -> Option<(u64, Vec<Letter>)> {
        if self.committing.is_some() || self.waiting.is_empty() {
            return None;
        }
        let mut rows = 0;
        let fits = self.waiting.iter().take_while(|letter| {
            rows += letter.weight();
            rows <= TAKEN_MAX
        });
        let count = fits.count().max(1);
        self.committing = Some((self.waiting_stream, count as u64));
        Some((self.waiting_stream, self.waiting.drain(..count).collect()))
    }

    pub fn on_committed(&mut self) {
        let Some((stream, n)) = self.committing.take() else { return };
        let before = if stream == self.mark.stream { self.mark.seq } else { 0 };
        self.mark = Mark { stream, seq: before + n };
        self.fresh = false;
    }

    /// What is to be told to the sender now.
    pub fn word(&mut self, now: Time) -> Option<Word> {
        let since = |at: Option<Time>| at.map(|at| now.since(at));
        let asks_again = match self.asked {
            Some((mark, at)) => mark != self.mark || now.since(at) >= ASK_EVERY,
            None => true,
        };
        let idle = self.waiting.is_empty() && self.committing.is_none();
        // What is on its way to the disk may be all that is missing.
        let gap = self.gap == Some(self.mark) && asks_again && idle;
        let due = match self.told {
            None => true,
            Some((seq, at)) => {
                (seq != self.mark.seq && (idle || self.mark.seq.abs_diff(seq) >= TELL_AFTER))
                    || since(Some(at)).is_some_and(|since| since >= TELL_EVERY)
            }
        };
        if !gap && !due {
            return None;
        }
        let asks = gap || self.fresh;
        if asks {
            self.asked = Some((self.mark, now));
        }
        self.told = Some((self.mark.seq, now));
        Some(Word { mark: self.mark, asks })
    }
}
