//! The items between trigger and gate, by tag, and which of them a read belongs to.
//!
//! A reader gives one result for each trigger, in their order. A read belongs to the one trigger that waits for its
//! result and that lies inside the reader's latency window before it. With none or two there is no verdict (behaviour,
//! section 4, first row). The gate is looked at every few milliseconds, so a read may be here before its item is: it
//! waits until the gate's view is fresh enough to know all items it could be of.
//!
//! A trigger waits for its result even after its item was judged, or left, without one. Were it not counted, its result
//! would be taken for its neighbour's, that one's for the next, and every code would pass on the item behind its own.

use std::collections::{BTreeMap, VecDeque};
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
            rejected: false,
            withdrawn: false,
            verified: None,
        }
    }

    fn fired(&self) -> Fired {
        Fired { at: self.at, within: self.within }
    }

    /// Has leave to pass, or may get it.
    pub fn is_good_or_judging(&self) -> bool {
        matches!(self.seen, Seen::Judging { .. } | Seen::Good { .. })
    }
}

/// When a trigger fired, as well as it is known.
#[derive(Clone, Copy, Debug)]
struct Fired {
    at: Time,
    within: Duration,
}

impl Fired {
    /// Whether it may have been in this span.
    fn in_span(&self, from: Time, to: Time) -> bool {
        from <= self.at.after(self.within) && self.at.before(self.within) <= to
    }

    /// Whether it was in this span, whenever it was.
    fn surely_in_span(&self, from: Time, to: Time) -> bool {
        from <= self.at.before(self.within) && self.at.after(self.within) <= to
    }

    /// After this its result is not in time.
    fn due(&self, latency: Latency) -> Time {
        self.at.after(self.within).after(latency.max)
    }
}

/// A trigger whose result has not come.
#[derive(Clone, Copy, Debug)]
struct Pending {
    tag: Tag,
    fired: Fired,
}

/// Where a read belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Belongs {
    /// To this item, which waits for a verdict.
    To(Tag),
    /// To an item that was judged, or left, without it.
    Past,
    /// To this item, sooner than the reader can: it is nobody's verdict, and the item's result is not to come any more.
    Early(Tag),
    /// To no trigger that waits for a result.
    Nowhere,
    /// To one of several: these wait for a verdict and get none.
    Several(Vec<Tag>),
    /// The gate's view is older than the items this read could be of.
    NotKnownYet,
}

/// By so much a result may come sooner than the reader's shortest latency and be known as its trigger's. It is less than
/// any two items are apart, so that one result too many is not taken for each next item's in turn.
const EARLY_MAX: Duration = Duration::from_millis(5);

/// Triggers that may wait for results: more than come within any reader's window.
const PENDING_MAX: usize = 1024;

#[derive(Clone, Debug, Default)]
pub struct Items {
    by_tag: BTreeMap<Tag, Item>,
    /// Triggers that wait for their results, in their order.
    pending: VecDeque<Pending>,
    /// All triggers up to here have been told.
    seen_to: Time,
}

impl Items {
    /// Takes an item that was triggered. One without a verdict waits for its result.
    pub fn insert(&mut self, tag: Tag, item: Item) {
        if item.seen == Seen::Open && self.pending.len() < PENDING_MAX {
            self.pending.push_back(Pending { tag, fired: item.fired() });
        }
        self.by_tag.insert(tag, item);
    }

    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut Item> {
        self.by_tag.get_mut(&tag)
    }

    pub fn remove(&mut self, tag: Tag) -> Option<Item> {
        self.by_tag.remove(&tag)
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

    fn waits(&self, tag: Tag) -> bool {
        self.by_tag.get(&tag).is_some_and(|i| i.seen == Seen::Open)
    }

    /// Which trigger a result that arrived at `at` belongs to. That trigger waits no more; of several it is the oldest,
    /// since results come in the order of their triggers.
    ///
    /// One that comes a little sooner than the reader can is its trigger's all the same: were it of none, the trigger
    /// would miss it for ever, and the count of results would stay behind.
    pub fn give(&mut self, at: Time, latency: Latency) -> Belongs {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        if self.seen_to < to {
            return Belongs::NotKnownYet;
        }
        let soon = to.after(EARLY_MAX).min(at);
        // Of those that it may be too early for, one that stands before all others counts: its result is due first. One
        // behind counts where nothing fits the window for sure.
        let mut could: Vec<Tag> = Vec::new();
        let (mut early, mut sure) = (false, false);
        for p in &self.pending {
            if p.fired.in_span(from, to) {
                could.push(p.tag);
                sure |= p.fired.surely_in_span(from, to);
            } else if p.fired.in_span(to, soon) && !early && !sure {
                early = could.is_empty();
                could.push(p.tag);
            }
        }
        if !sure && self.seen_to < soon {
            return Belongs::NotKnownYet;
        }
        let Some(oldest) = could.first() else { return Belongs::Nowhere };
        self.pending.retain(|p| p.tag != *oldest);
        match could.as_slice() {
            [one] if early && self.waits(*one) => Belongs::Early(*one),
            [one] if self.waits(*one) => Belongs::To(*one),
            [_] => Belongs::Past,
            _ => Belongs::Several(could.into_iter().filter(|t| self.waits(*t)).collect()),
        }
    }

    /// Tags that have a result, and that a result that arrived at `at` could be of as well.
    pub fn answered_within(&self, at: Time, latency: Latency) -> Vec<Tag> {
        let (from, to) = (at.before(latency.max), at.before(latency.min));
        let could = |i: &Item| i.is_good_or_judging() && i.fired().in_span(from, to);
        self.by_tag.iter().filter(|(_, i)| could(i)).map(|(t, _)| *t).collect()
    }

    /// Triggers whose window is over at `now` without a result, each with whether its item waits for a verdict. No
    /// result is waited for any more.
    pub fn overdue(&mut self, now: Time, latency: Latency) -> Vec<(Tag, bool)> {
        let late: Vec<Tag> =
            self.pending.iter().filter(|p| p.fired.due(latency) < now).map(|p| p.tag).collect();
        self.pending.retain(|p| p.fired.due(latency) >= now);
        late.into_iter().map(|tag| (tag, self.waits(tag))).collect()
    }

    /// The reader's connection is gone, and with it all results that were on it: no trigger waits any more. Returns the
    /// tags whose items wait for a verdict.
    pub fn results_lost(&mut self) -> Vec<Tag> {
        let lost = std::mem::take(&mut self.pending);
        lost.into_iter().map(|p| p.tag).filter(|tag| self.waits(*tag)).collect()
    }

    /// When the next trigger will be overdue.
    pub fn next_overdue(&self, latency: Latency) -> Option<Time> {
        self.pending.iter().map(|p| p.fired.due(latency).after(Duration::from_nanos(1))).min()
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

    fn belongs(items: &Items, at: u64) -> Belongs {
        items.clone().give(ms(at), L)
    }

    #[test]
    fn a_read_joins_the_one_trigger_of_its_window() {
        let items = items(&[100, 160]);
        assert_eq!(belongs(&items, 110), Belongs::To(tag(1)));
        assert_eq!(belongs(&items, 130), Belongs::To(tag(1)));
        assert_eq!(belongs(&items, 99), Belongs::Nowhere);
        assert_eq!(belongs(&items, 104), Belongs::Early(tag(1)));
        assert_eq!(belongs(&items, 131), Belongs::Nowhere);
        assert_eq!(belongs(&items, 170), Belongs::To(tag(2)));
    }

    #[test]
    fn an_item_whose_moment_is_not_known_well_leaves_a_read_to_nobody() {
        let mut items = Items::default();
        items.insert(tag(1), Item { within: Duration::from_millis(45), ..Item::open(ms(100)) });
        items.insert(tag(2), Item::open(ms(160)));
        items.gate_seen(ms(1_000));
        assert_eq!(belongs(&items, 170), Belongs::Several(vec![tag(1), tag(2)]));
        assert!(items.overdue(ms(170), L).is_empty(), "it may have come at 145");
    }

    #[test]
    fn a_read_that_could_be_of_two_is_of_none_and_one_is_still_to_come() {
        let mut items = items(&[100, 115]);
        assert_eq!(items.give(ms(121), L), Belongs::Several(vec![tag(1), tag(2)]));
        for n in [1, 2] {
            items.get_mut(tag(n)).expect("inserted above").seen = Seen::Bad(Reason::NoVerdict);
        }
        assert_eq!(belongs(&items, 125), Belongs::Past);
        assert_eq!(items.overdue(ms(200), L), vec![(tag(2), false)]);
    }

    #[test]
    fn a_tag_that_has_its_result_waits_no_longer() {
        let mut items = items(&[100, 115]);
        items.get_mut(tag(1)).expect("inserted above").seen = Seen::Bad(Reason::NotRunning);
        assert_eq!(
            belongs(&items, 121),
            Belongs::Several(vec![tag(2)]),
            "judged, but not by a result of its own"
        );
        assert_eq!(items.give(ms(110), L), Belongs::Past);
        assert_eq!(belongs(&items, 121), Belongs::To(tag(2)));
    }

    #[test]
    fn an_item_that_left_without_its_result_is_still_one_that_a_read_could_be_of() {
        let mut items = items(&[100, 115]);
        items.remove(tag(1));
        assert_eq!(belongs(&items, 121), Belongs::Several(vec![tag(2)]));
        assert_eq!(items.overdue(ms(140), L), vec![(tag(1), false)]);
        assert_eq!(belongs(&items, 141), Belongs::To(tag(2)));
    }

    #[test]
    fn a_read_waits_until_the_gate_was_asked_late_enough() {
        let mut items = Items::default();
        items.gate_seen(ms(90));
        assert_eq!(belongs(&items, 110), Belongs::NotKnownYet);
        items.gate_seen(ms(105));
        assert_eq!(belongs(&items, 110), Belongs::NotKnownYet, "it may be of one that is still to be told");
        items.gate_seen(ms(110));
        assert_eq!(belongs(&items, 110), Belongs::Nowhere);
    }

    #[test]
    fn a_result_that_came_too_soon_is_not_waited_for() {
        let mut items = items(&[100]);
        assert_eq!(items.give(ms(102), L), Belongs::Early(tag(1)));
        assert!(items.overdue(ms(200), L).is_empty());
    }

    #[test]
    fn a_result_that_may_be_too_early_for_one_is_not_the_next_ones() {
        let mut items = Items::default();
        items.insert(tag(1), Item::open(ms(108)));
        items.insert(tag(2), Item { within: Duration::from_millis(45), ..Item::open(ms(140)) });
        items.gate_seen(ms(1_000));
        assert_eq!(items.give(ms(110), L), Belongs::Several(vec![tag(1), tag(2)]));
        assert_eq!(belongs(&items, 150), Belongs::To(tag(2)), "the first has had its own");
    }

    #[test]
    fn a_result_at_the_very_edge_of_a_window_may_be_the_next_ones() {
        let mut items = Items::default();
        items.insert(tag(1), Item { within: Duration::from_millis(8), ..Item::open(ms(100)) });
        items.insert(tag(2), Item::open(ms(131)));
        items.gate_seen(ms(1_000));
        assert_eq!(belongs(&items, 128), Belongs::To(tag(1)), "before the second's trigger");
        assert_eq!(items.give(ms(133), L), Belongs::Several(vec![tag(1), tag(2)]));
    }

    #[test]
    fn a_slow_reader_has_several_triggers_waiting_and_one_result_too_many_is_of_none() {
        let slow = Latency { min: Duration::from_millis(100), max: Duration::from_millis(120) };
        let mut items = items(&[0, 30, 60, 90]);
        assert_eq!(items.give(ms(105), slow), Belongs::To(tag(1)));
        assert_eq!(items.give(ms(121), slow), Belongs::Nowhere);
        assert_eq!(items.give(ms(135), slow), Belongs::To(tag(2)));
    }

    #[test]
    fn a_trigger_is_overdue_after_its_window_and_not_before() {
        let mut items = items(&[100]);
        assert!(items.overdue(ms(130), L).is_empty());
        assert_eq!(items.next_overdue(L), Some(Time(130_000_001)));
        assert_eq!(items.overdue(Time(130_000_001), L), vec![(tag(1), true)]);
    }
}
