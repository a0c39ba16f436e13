//! What the gate's registers mean: one look at it, items that are new, outcomes that are due.

use std::collections::BTreeSet;

use super::map::{GateMap, READ_REGISTERS_MAX};
use crate::fault::FaultKind;

/// Looks that may pass while the gate has counted an item whose entry it has not written yet: a scan
/// of a PLC takes 1 to 20 ms, a look 2 ms and more.
const TORN_LOOKS_MAX: u32 = 250;

/// One consistent picture of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) heartbeat: u16,
    pub(crate) status: u16,
    pub(crate) boot: u16,
    pub(crate) clock: u16,
    pub(crate) last_tag: u32,
    pub(crate) passed: u32,
    pub(crate) rejected: u32,
    pub(crate) lost: u32,
    /// By place in the ring: tag, and the gate's clock at the trigger.
    items: Vec<(u32, u16)>,
}

impl Look {
    /// Reads the registers of [`GateMap::look_range`]; `None` if they are too few.
    pub(crate) fn read(map: &GateMap, registers: &[u16]) -> Option<Self> {
        let (first, _) = map.look_range();
        let one = |at: u16| registers.get(usize::from(at - first)).copied();
        let two = |at: u16| Some(double(one(at)?, one(at + 1)?));
        let entry = |place: u16| {
            let at = map.item_ring + 3 * place;
            Some((two(at)?, one(at + 2)?))
        };
        Some(Self {
            heartbeat: one(map.heartbeat)?,
            status: one(map.status)?,
            boot: one(map.boot)?,
            clock: one(map.clock)?,
            last_tag: two(map.last_tag)?,
            passed: two(map.passed)?,
            rejected: two(map.rejected)?,
            lost: two(map.lost)?,
            items: (0..map.item_ring_len).map(entry).collect::<Option<_>>()?,
        })
    }

    /// Returns each status bit with the fault that it stands for.
    pub(crate) fn flags(&self) -> [(FaultKind, bool); 4] {
        [
            (FaultKind::NotReady, !self.bit(0)),
            (FaultKind::RejectNotConfirmed, self.bit(2)),
            (FaultKind::Escape, self.bit(3)),
            (FaultKind::BinFull, self.bit(5)),
        ]
    }

    /// Tells whether the gate no longer hears us.
    pub(crate) fn misses_our_beat(&self) -> bool {
        self.bit(4)
    }

    fn bit(&self, number: u16) -> bool {
        self.status >> number & 1 == 1
    }

    /// Sums the outcomes; a change says that the ring of outcomes has news.
    pub(crate) fn outcomes(&self) -> u32 {
        self.passed.wrapping_add(self.rejected).wrapping_add(self.lost)
    }
}

/// Joins two registers, high word first.
pub(crate) fn double(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// Which items were told.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// The newest item told or given up.
    pub(crate) told: u32,
    torn_looks: u32,
}

/// Items that one look brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Items that were counted and that nothing else is known of.
    pub(crate) missed: u32,
    /// Tag, and the gate's clock at its trigger, in order.
    pub(crate) items: Vec<(u32, u16)>,
}

impl Items {
    /// Begins after the items that are there already.
    pub(crate) fn after(last_tag: u32) -> Self {
        Self { told: last_tag, torn_looks: 0 }
    }

    /// Takes what is new; `None` if the gate counts backwards.
    pub(crate) fn news(&mut self, look: &Look) -> Option<News> {
        let mut news = News::default();
        let ring_len = u32::try_from(look.items.len()).unwrap_or(u32::MAX);
        let fresh = look.last_tag.checked_sub(self.told)?;
        if fresh > ring_len {
            news.missed = fresh - ring_len;
            self.told += news.missed;
        }
        while self.told < look.last_tag {
            let tag = self.told + 1;
            let (stands, clock) = look.items[(tag % ring_len) as usize];
            if stands == tag {
                news.items.push((tag, clock));
            } else if stands < tag && self.torn_looks < TORN_LOOKS_MAX {
                self.torn_looks += 1;
                return Some(news);
            } else {
                news.missed += 1;
            }
            self.torn_looks = 0;
            self.told = tag;
        }
        Some(news)
    }
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Rejected,
    Lost,
}

/// Which items still have no outcome. Never more than the gate's memory holds.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    open: BTreeSet<u32>,
    /// The newest item counted.
    last_tag: u32,
    /// Sum of outcomes as of the look that the last reading followed.
    sum: Option<u32>,
}

impl Outcomes {
    /// Takes note of items up to `last_tag`; returns how many fell out of the gate's memory unread.
    pub(crate) fn counted(&mut self, last_tag: u32, ring_len: u16) -> u32 {
        let oldest = last_tag.saturating_sub(u32::from(ring_len)) + 1;
        let kept = self.open.split_off(&oldest);
        let overwritten = u32::try_from(std::mem::replace(&mut self.open, kept).len()).unwrap_or(u32::MAX);
        let first = self.last_tag.saturating_add(1);
        let never_seen = oldest.saturating_sub(first).min(last_tag.saturating_sub(self.last_tag));
        self.open.extend(first.max(oldest)..=last_tag);
        self.last_tag = self.last_tag.max(last_tag);
        overwritten + never_seen
    }

    /// Begins with what the gate may still remember.
    pub(crate) fn from(last_tag: u32, ring_len: u16) -> Self {
        let last_before = last_tag.saturating_sub(u32::from(ring_len));
        let mut outcomes = Self { last_tag: last_before, ..Self::default() };
        outcomes.counted(last_tag, ring_len);
        outcomes
    }

    /// Tells whether the look says that there are outcomes to read, and takes note of it.
    pub(crate) fn due(&mut self, look: &Look) -> bool {
        let news = self.sum.replace(look.outcomes()) != Some(look.outcomes());
        news && !self.open.is_empty()
    }

    /// Lists the places of the ring that hold open items: first place and number of places, each
    /// within one request.
    pub(crate) fn places(&self, ring_len: u16) -> Vec<(u16, u16)> {
        let (Some(&oldest), Some(&newest)) = (self.open.first(), self.open.last()) else { return Vec::new() };
        let ring = u32::from(ring_len);
        let first = (oldest % ring) as u16;
        let count = (newest - oldest + 1).min(ring) as u16;
        let before_wrap = count.min(ring_len - first);
        let mut places = in_requests(first, before_wrap);
        places.extend(in_requests(0, count - before_wrap));
        places
    }

    /// Takes entries of the ring from `first_place` on; returns what is news, oldest first.
    pub(crate) fn take(&mut self, first_place: u16, ring_len: u16, registers: &[u16]) -> Vec<(u32, Outcome)> {
        let mut found = Vec::new();
        for (place, entry) in (u32::from(first_place)..).zip(registers.chunks_exact(3)) {
            let tag = double(entry[0], entry[1]);
            let outcome = match entry[2] {
                1 => Outcome::Passed,
                2 => Outcome::Rejected,
                3 => Outcome::Lost,
                _ => continue,
            };
            if tag % u32::from(ring_len) == place && self.open.remove(&tag) {
                found.push((tag, outcome));
            }
        }
        found.sort_unstable_by_key(|(tag, _)| *tag);
        found
    }
}

/// Cuts places into pieces that one request can read.
fn in_requests(first: u16, count: u16) -> Vec<(u16, u16)> {
    let most = READ_REGISTERS_MAX / 3;
    (0..count).step_by(usize::from(most)).map(|done| (first + done, most.min(count - done))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(last_tag: u32, entries: &[u32]) -> Look {
        let mut items = vec![(0, 0); 16];
        for &tag in entries {
            items[(tag % 16) as usize] = (tag, tag as u16);
        }
        let (heartbeat, status, boot, clock) = (0, 0, 0, 0);
        Look { heartbeat, status, boot, clock, last_tag, passed: 0, rejected: 0, lost: 0, items }
    }

    #[test]
    fn an_entry_not_written_yet_is_waited_for_and_then_given_up() {
        let mut items = Items::after(4);
        let torn = look(6, &[5]);
        assert_eq!(items.news(&torn), Some(News { missed: 0, items: vec![(5, 5)] }));
        for _ in 1..TORN_LOOKS_MAX {
            assert_eq!(items.news(&torn), Some(News::default()));
        }
        assert_eq!(items.news(&torn), Some(News { missed: 1, items: vec![] }));
        assert_eq!(items.told, 6);
    }

    #[test]
    fn more_new_items_than_the_ring_holds_are_missed_by_number() {
        let mut items = Items::after(0);
        let entries: Vec<u32> = (5..=20).collect();
        let news = items.news(&look(20, &entries)).unwrap();
        assert_eq!((news.missed, news.items.len(), news.items[0].0), (4, 16, 5));
        assert_eq!(items.news(&look(19, &entries)), None);
        // The whole range of tags at once, entries unwritten: no long loop, no overflow.
        assert!(Items::after(0).news(&look(u32::MAX, &[])).is_some());
    }

    #[test]
    fn outcomes_stay_within_the_gates_memory_and_are_told_once() {
        let mut outcomes = Outcomes::from(70, 64);
        assert_eq!(outcomes.places(64), [(7, 41), (48, 16), (0, 7)]);
        // Tag 7 stands in place 7, passed; place 8 still holds nothing.
        assert_eq!(outcomes.take(7, 64, &[0, 7, 1, 0, 0, 0]), [(7, Outcome::Passed)]);
        assert_eq!(outcomes.take(7, 64, &[0, 7, 1]), []);
        assert_eq!(outcomes.counted(74, 64), 3, "8, 9 and 10 are overwritten");
        assert_eq!(outcomes.counted(u32::MAX, 64), 64 + (u32::MAX - 64 - 74));
        assert!(outcomes.open.len() <= 64);
    }
}
