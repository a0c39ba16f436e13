//! The items between trigger and gate, by tag, and which of them a read belongs to.
//!
//! A read belongs to the one open tag whose trigger lies inside the reader's latency window before it. With none or
//! two there is no verdict (behaviour, section 4, first row). The gate is looked at every few milliseconds, so a read
//! may be here before its item is: it waits until the gate's view is fresh enough to know all items it could be of.
//!
//! An item that was judged, or left, without a result of its own is still one that a read could be of. Were it not
//! counted, its read would be taken for its neighbour's, that one's for the next, and every code would pass on the item
//! behind its own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::code::Identity;
use crate::ids::Tag;
use crate::time::Time;
use crate::verdict::Reason;

/// The reader's latency: from the trigger to the arrival of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub min: Duration,
    pub max: Duration,
}

/// What is known of one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// No result yet.
    Open,
    /// A result is being looked up or its commit is on the way.
    Judging {
        code: Identity,
        read_at: Time,
    },
    /// Verified; the leave to pass is durable.
    Good {
        code: Identity,
    },
    Bad(Reason),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// When its trigger fired, on our clock.
    pub at: Time,
    /// How far off that may be: a gate that was slow to answer knows less well.
    pub within: Duration,
    pub seen: Seen,
    /// A result was given to it, or it is overdue: none is waited for.
    pub answered: bool,
    /// The gate has rejected it already while it was being judged.
    pub rejected: bool,
    /// Another result came for it: whatever its own says, it gets no leave.
    pub withdrawn: bool,
    /// The code that is durably verified for it.
    pub verified: Option<Identity>,
}

impl Item {
    /// Nothing is known of it but when it came.
    pub fn open(at: Time) -> Item {
        Item {
            at,
            within: Duration::ZERO,
            seen: Seen::Open,
            answered: false,
            rejected: false,
            withdrawn: false,
            verified: None,
        }
    }

    /// Whether its trigger may have fired in this span.
    fn in_span(&self, from: Time, to: Time) -> bool {
        from <= self.at.after(self.within) && self.at.before(self.within) <= to
    }

    /// After this no result of it is in time.
    fn due(&self, latency: Latency) -> Time {
        self.at.after(self.within).after(latency.max)
    }

    /// Waits for a result, which may be one whose trigger fired in this span.
    fn may_have(&self, from: Time, to: Time) -> bool {
        !self.answered && self.in_span(from, to)
    }

    /// Has leave to pass, or may get it.
    pub fn is_good_or_judging(&self) -> bool {
        matches!(self.seen, Seen::Judging { .. } | Seen::Good { .. })
    }
}

/// Where a read belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    To(Tag),
    /// To no open tag.
    Nowhere,
    /// To an item that was judged, or left, without it.
    Past,
    /// To two or more.
    Several,
    /// The gate's view is older than the items this read could be of.
    NotKnownYet,
}

/// Items gone without a result and not yet overdue: more than stand between trigger and gate there cannot be.
const GONE_MAX: usize = 256;

#[derive(Clone, Debug, Default)]
pub struct Items {
    by_tag: BTreeMap<Tag, Item>,
    /// Items that left without a result of their own, until it is overdue.
    gone: Vec<Item>,
    /// All triggers up to here have been told.
    seen_to: Time,
}

impl Items {
    pub fn insert(&mut self, tag: Tag, item: Item) {
        self.by_tag.insert(tag, item);
    }

    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut Item> {
        self.by_tag.get_mut(&tag)
    }

    pub fn remove(&mut self, tag: Tag) -> Option<Item> {
        let item = self.by_tag.remove(&tag)?;
        if !item.answered && self.gone.len() < GONE_MAX {
            self.gone.push(item.clone());
        }
        Some(item)
    }

    pub fn len(&self) -> usize {
        self.by_tag.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Tag, &Item)> {
        self.by_tag.iter()
    }

    /// The gate was asked at `as_of` and has told all triggers before it.
    pub fn gate_seen(&mut self, as_of: Time) {
        self.seen_to = self.seen_to.max(as_of);
    }

    /// Which open tag a result that arrived at `at` belongs to.
    pub fn belongs(&self, at: Time, latency: Latency) -> Belongs {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        if self.seen_to < to {
            return Belongs::NotKnownYet;
        }
        let mut open = self.by_tag.iter().filter(|(_, i)| i.seen == Seen::Open && i.may_have(from, to));
        let past = self.past(from, to).next().is_some();
        match (open.next(), open.next(), past) {
            (None, _, false) => Belongs::Nowhere,
            (None, _, true) => Belongs::Past,
            (Some((tag, _)), None, false) => Belongs::To(*tag),
            (Some(_), Some(_), _) | (Some(_), None, true) => Belongs::Several,
        }
    }

    /// Items judged, or gone, without a result that may have come in this span.
    fn past(&self, from: Time, to: Time) -> impl Iterator<Item = &Item> {
        let judged = self.by_tag.values().filter(|i| i.seen != Seen::Open);
        judged.chain(&self.gone).filter(move |i| i.may_have(from, to))
    }

    /// A result that arrived at `at` was of an item that was judged, or left, without it. Where it can be of one only,
    /// that one waits no more.
    pub fn answer_past(&mut self, at: Time, latency: Latency) {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        let judged = self.by_tag.values_mut().filter(|i| i.seen != Seen::Open);
        let mut past = judged.chain(&mut self.gone).filter(|i| i.may_have(from, to));
        if let (Some(item), None) = (past.next(), past.next()) {
            item.answered = true;
        }
    }

    /// Forgets items that left while they waited for a result, and whose window is over at `now`. Returns how many of
    /// them had no verdict either: their results may be late.
    pub fn gone_overdue(&mut self, now: Time, latency: Latency) -> u32 {
        let mut late = 0;
        self.gone.retain(|item| {
            let waits = !item.answered;
            let over = item.due(latency) < now;
            if waits && over && matches!(item.seen, Seen::Open | Seen::Bad(Reason::NoResult)) {
                late += 1;
            }
            waits && !over
        });
        late
    }

    /// All open tags that a result that arrived at `at` might belong to. Items that are gone may have had it as well, so
    /// they are not said to be without one.
    pub fn might_belong(&mut self, at: Time, latency: Latency) -> Vec<Tag> {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        for item in self.gone.iter_mut().filter(|i| i.may_have(from, to)) {
            item.seen = Seen::Bad(Reason::NoVerdict);
        }
        let open = self.by_tag.iter().filter(|(_, i)| i.seen == Seen::Open && i.in_span(from, to));
        open.map(|(t, _)| *t).collect()
    }

    /// Tags that have a result, and that a result that arrived at `at` could be of as well.
    pub fn answered_within(&self, at: Time, latency: Latency) -> Vec<Tag> {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        let could = |i: &Item| i.is_good_or_judging() && i.in_span(from, to);
        self.by_tag.iter().filter(|(_, i)| could(i)).map(|(t, _)| *t).collect()
    }

    /// Open tags whose latency window is over: no result will come.
    pub fn overdue(&self, now: Time, latency: Latency) -> Vec<Tag> {
        let late = |i: &Item| i.seen == Seen::Open && i.due(latency) < now;
        self.by_tag.iter().filter(|(_, i)| late(i)).map(|(t, _)| *t).collect()
    }

    /// When the next open tag will be overdue.
    pub fn next_overdue(&self, latency: Latency) -> Option<Time> {
        let open = self.by_tag.values().filter(|i| i.seen == Seen::Open);
        open.map(|i| i.due(latency).after(Duration::from_nanos(1))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L: Latency = Latency { min: Duration::from_millis(5), max: Duration::from_millis(30) };

    fn ms(n: u64) -> Time {
        Time(n * 1_000_000)
    }

    fn tag(n: u32) -> Tag {
        Tag { boot: 1, number: n }
    }

    fn items(at: &[u64]) -> Items {
        let mut items = Items::default();
        for (n, t) in (1..).zip(at) {
            items.insert(tag(n), Item::open(ms(*t)));
        }
        items.gate_seen(ms(1_000_000));
        items
    }

    #[test]
    fn a_read_joins_the_one_open_tag_of_its_window() {
        let items = items(&[100, 160]);
        assert_eq!(items.belongs(ms(110), L), Belongs::To(tag(1)));
        assert_eq!(items.belongs(ms(130), L), Belongs::To(tag(1)));
        assert_eq!(items.belongs(ms(104), L), Belongs::Nowhere);
        assert_eq!(items.belongs(ms(131), L), Belongs::Nowhere);
        assert_eq!(items.belongs(ms(170), L), Belongs::To(tag(2)));
    }

    #[test]
    fn an_item_whose_moment_is_not_known_well_leaves_a_read_to_nobody() {
        let mut items = items(&[100, 160]);
        assert_eq!(items.belongs(ms(170), L), Belongs::To(tag(2)));
        items.get_mut(tag(1)).expect("inserted above").within = Duration::from_millis(45);
        assert_eq!(items.belongs(ms(170), L), Belongs::Several);
        assert!(items.overdue(ms(170), L).is_empty(), "it may have come at 145");
    }

    #[test]
    fn a_read_that_could_be_of_two_items_is_of_none() {
        let mut items = items(&[100, 115]);
        assert_eq!(items.belongs(ms(121), L), Belongs::Several);
        assert_eq!(items.might_belong(ms(121), L), vec![tag(1), tag(2)]);
    }

    #[test]
    fn a_tag_that_has_its_result_is_open_no_longer() {
        let mut items = items(&[100, 115]);
        let first = items.get_mut(tag(1)).expect("inserted above");
        first.seen = Seen::Bad(Reason::NoRead);
        assert_eq!(items.belongs(ms(121), L), Belongs::Several, "judged, but not by a result of its own");
        items.get_mut(tag(1)).expect("inserted above").answered = true;
        assert_eq!(items.belongs(ms(121), L), Belongs::To(tag(2)));
    }

    #[test]
    fn a_read_waits_until_the_gate_was_asked_late_enough() {
        let mut items = Items::default();
        items.gate_seen(ms(90));
        assert_eq!(items.belongs(ms(110), L), Belongs::NotKnownYet);
        items.gate_seen(ms(105));
        assert_eq!(items.belongs(ms(110), L), Belongs::Nowhere);
    }

    #[test]
    fn an_open_tag_is_overdue_after_its_window_and_not_before() {
        let items = items(&[100]);
        assert!(items.overdue(ms(130), L).is_empty());
        assert_eq!(items.next_overdue(L), Some(Time(130_000_001)));
        assert_eq!(items.overdue(Time(130_000_001), L), vec![tag(1)]);
    }
}
