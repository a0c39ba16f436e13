//! Whether the gate answers fast enough for the items that come.
//!
//! Each item needs two requests in its time: one that tells it and one that gives it its leave. Passes of several items go
//! together, so a gate that is a little slower still keeps up; but then it is late for some, and they are rejected.

use std::time::Duration;

use crate::session::Time;

/// Items that must have come before anything is said.
const ITEMS_MIN: u32 = 8;

/// Items further apart than this say that the belt stood.
const PITCH_MAX: Duration = Duration::from_secs(5);

/// Moving means, each over about eight of its kind.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    answer: Duration,
    pitch: Duration,
    pitches: u32,
    last_item: Option<Time>,
    slow: bool,
}

impl Pace {
    /// Takes note of one answer.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.answer = self.answer * 7 / 8 + took / 8;
    }

    /// Takes note of an item at the trigger.
    pub(crate) fn item(&mut self, at: Time) {
        let gap = self.last_item.map(|last| at.since(last));
        self.last_item = Some(at);
        if let Some(gap) = gap.filter(|gap| *gap < PITCH_MAX) {
            self.pitch = if self.pitches == 0 { gap } else { self.pitch * 7 / 8 + gap / 8 };
            self.pitches = self.pitches.saturating_add(1);
        }
    }

    /// Tells whether two answers take longer than an item; to be over it takes a quarter less.
    pub(crate) fn is_slow(&mut self) -> bool {
        let two = self.answer * 2;
        self.slow =
            self.pitches >= ITEMS_MIN && (two > self.pitch || (self.slow && two * 4 > self.pitch * 3));
        self.slow
    }

    /// Says it in numbers, for the log.
    pub(crate) fn text(&self) -> String {
        let (answer, pitch) = (self.answer.as_millis(), self.pitch.as_millis());
        format!("an answer takes {answer} ms, an item comes every {pitch} ms")
    }
}
