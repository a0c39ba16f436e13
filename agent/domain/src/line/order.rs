//! Read order against issue order, kept per printer (behaviour, section 4, «Order»).
//!
//! A code that a printer was given and that no reader has shown yet is *ahead* while the labels before it are still
//! expected, and *behind* once a later one was read: a gap. Codes whose job is doubtful may or may not come, so they
//! make no gap. The tracker decides nothing about a code's state; it says how a read agrees with the order.

use std::collections::{BTreeMap, VecDeque};

use crate::code::Identity;
use crate::ids::IssueNo;

/// How far reads may disagree with the order before the line stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimits {
    /// Codes that one read may leave behind without being a jump.
    pub gap_max: u32,
    /// How many issue numbers back a code that was left behind may still be read: an item taken off and put back.
    pub refeed_max: u32,
    /// More gaps than these among the last [`GAP_WINDOW`] reads in their order stop the line: labels are being lost,
    /// not single items taken off.
    pub gaps_per_100_max: u32,
}

/// Reads over which gaps are counted.
pub const GAP_WINDOW: usize = 100;

impl Default for OrderLimits {
    fn default() -> Self {
        OrderLimits { gap_max: 3, refeed_max: 64, gaps_per_100_max: 5 }
    }
}

/// How one read agrees with the order of its printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next label that was expected.
    InOrder,
    /// Up to `gap_max` labels were passed over; they are in doubt.
    Gap { left_behind: Vec<Identity> },
    /// A label left behind earlier: its item was put back.
    Refed,
    /// Further back than a re-feed reaches.
    StepBack { behind_by: u32 },
    /// More labels were passed over than a gap allows. Nothing moved in the tracker.
    Jump { window: Vec<Identity> },
    /// Not a code that this tracker expects: issued by another printer, or read already.
    Unexpected,
}

#[derive(Clone, Debug)]
struct Ahead {
    issue: IssueNo,
    code: Identity,
    doubtful: bool,
    /// From before a resume: its item may have gone by while nobody read it.
    earlier: bool,
}

/// The tracker of one printer's labels.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    ahead: VecDeque<Ahead>,
    behind: BTreeMap<IssueNo, Identity>,
    last: Option<IssueNo>,
    /// After a resume by a person the next read may stand anywhere: the person has looked at the web.
    anywhere: bool,
}

impl Tracker {
    /// A code was handed to the printer. Issue numbers only grow.
    pub fn issued(&mut self, issue: IssueNo, code: Identity, doubtful: bool) {
        self.ahead.push_back(Ahead { issue, code, doubtful, earlier: false });
    }

    /// The job's outcome is in doubt: the label may never come, and its absence is no gap.
    pub fn doubtful(&mut self, issue: IssueNo) {
        if let Some(a) = self.ahead.iter_mut().find(|a| a.issue == issue) {
            a.doubtful = true;
        }
    }

    /// The label will certainly not come, or its code was declared: it is expected no longer.
    pub fn gone(&mut self, code: &Identity) {
        self.ahead.retain(|a| a.code != *code);
        self.behind.retain(|_, c| c != code);
    }

    /// Labels that will surely come: expected, not doubtful, and not from before a resume.
    pub fn on_the_way(&self) -> u32 {
        let sure = self.ahead.iter().filter(|a| !a.doubtful && !a.earlier).count();
        u32::try_from(sure).unwrap_or(u32::MAX)
    }

    /// Codes that were issued and not read, as far as the tracker remembers them.
    pub fn remembered(&self) -> usize {
        self.ahead.len() + self.behind.len()
    }

    /// Whether the code was issued and not read.
    pub fn remembers(&self, code: &Identity) -> bool {
        self.ahead.iter().any(|a| a.code == *code) || self.behind.values().any(|c| c == code)
    }

    /// All codes that were issued and not read, oldest first.
    pub fn unread(&self) -> impl Iterator<Item = (IssueNo, &Identity)> {
        self.behind.iter().map(|(n, c)| (*n, c)).chain(self.ahead.iter().map(|a| (a.issue, &a.code)))
    }

    /// Whether labels are expected, and none of them will surely come.
    pub fn only_in_doubt(&self) -> bool {
        !self.ahead.is_empty() && self.on_the_way() == 0
    }

    /// Labels that are expected, the doubtful ones among them.
    pub fn ahead(&self) -> u32 {
        u32::try_from(self.ahead.len()).unwrap_or(u32::MAX)
    }

    /// The next read may stand anywhere in the order. A person has looked: doubtful labels, and those that did not come
    /// since the resume before, hold no room any more. The others keep their order, and nobody waits for them: their
    /// items may have gone by while nobody read. No more than `kept_max` of them, the newest, hold room: a restart knows
    /// nothing of resumes before it, and what several of them left unread is more than can stand on web and belt.
    pub fn resync(&mut self, kept_max: u32) {
        self.anywhere = true;
        let (mut gone, mut kept): (VecDeque<Ahead>, VecDeque<Ahead>) =
            std::mem::take(&mut self.ahead).into_iter().partition(|a: &Ahead| a.doubtful || a.earlier);
        gone.extend(kept.drain(..kept.len().saturating_sub(kept_max as usize)));
        self.ahead = kept;
        self.ahead.iter_mut().for_each(|a| a.earlier = true);
        self.behind.extend(gone.into_iter().map(|a| (a.issue, a.code)));
    }

    /// The last issue number that was read, known from before a restart. Reads have gone past the labels before it.
    pub fn set_last(&mut self, last: IssueNo) {
        self.last = Some(last);
        let (passed, ahead): (VecDeque<Ahead>, VecDeque<Ahead>) =
            std::mem::take(&mut self.ahead).into_iter().partition(|a| a.issue < last);
        self.ahead = ahead;
        self.behind.extend(passed.into_iter().map(|a| (a.issue, a.code)));
    }

    /// What a read of the code with this issue number means. Only a step that is good for the item moves the
    /// tracker; a jump and a step back leave it as it was, so that the window stays named. `unread` items went by since
    /// the last read in order whose labels nobody could read: so many more labels may be passed over.
    pub fn read(&mut self, issue: IssueNo, limits: OrderLimits, unread: u32) -> Step {
        if let Some(at) = self.ahead.iter().position(|a| a.issue == issue) {
            return self.read_ahead(at, limits.gap_max.saturating_add(unread));
        }
        if self.behind.contains_key(&issue) {
            let behind_by = self.last.map_or(0, |l| l.0.saturating_sub(issue.0));
            if behind_by > limits.refeed_max && !self.anywhere {
                return Step::StepBack { behind_by };
            }
            self.behind.remove(&issue);
            return Step::Refed;
        }
        Step::Unexpected
    }

    /// The code that was just read is not used, since its item was rejected meanwhile: it may be fed again.
    pub fn unused(&mut self, issue: IssueNo, code: Identity) {
        self.behind.insert(issue, code);
        while self.behind.len() > crate::limits::LEFT_BEHIND_MAX {
            self.behind.pop_first();
        }
    }

    fn read_ahead(&mut self, at: usize, missing_max: u32) -> Step {
        let skipped = self.ahead.iter().take(at).filter(|a| !a.doubtful);
        let window: Vec<Identity> = skipped.map(|a| a.code).collect();
        if window.len() > missing_max as usize && !self.anywhere {
            return Step::Jump { window };
        }
        for passed in self.ahead.drain(..at) {
            self.behind.insert(passed.issue, passed.code);
        }
        self.last = self.ahead.pop_front().map(|a| a.issue);
        self.anywhere = false;
        while self.behind.len() > crate::limits::LEFT_BEHIND_MAX {
            self.behind.pop_first();
        }
        if window.is_empty() { Step::InOrder } else { Step::Gap { left_behind: window } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Serial;
    use crate::gs1::Gtin;

    fn code(n: u32) -> Identity {
        Identity {
            gtin: Gtin::parse(b"04780001000006").expect("a GTIN with its check digit"),
            serial: Serial::new(format!("S{n:06}").as_bytes()).expect("of the alphabet"),
        }
    }

    fn tracker(n: u32) -> Tracker {
        let mut t = Tracker::default();
        (1..=n).for_each(|i| t.issued(IssueNo(i), code(i), false));
        t
    }

    const L: OrderLimits = OrderLimits { gap_max: 2, refeed_max: 10, gaps_per_100_max: 5 };

    #[test]
    fn labels_read_as_issued_are_in_order() {
        let mut t = tracker(5);
        for i in 1..=5 {
            assert_eq!(t.read(IssueNo(i), L, 0), Step::InOrder);
        }
        assert_eq!(t.on_the_way(), 0);
    }

    #[test]
    fn an_item_taken_off_is_a_gap_and_put_back_is_a_refeed() {
        let mut t = tracker(6);
        assert_eq!(t.read(IssueNo(1), L, 0), Step::InOrder);
        assert_eq!(t.read(IssueNo(3), L, 0), Step::Gap { left_behind: vec![code(2)] });
        assert_eq!(t.read(IssueNo(4), L, 0), Step::InOrder);
        assert_eq!(t.read(IssueNo(2), L, 0), Step::Refed);
        assert_eq!(t.read(IssueNo(2), L, 0), Step::Unexpected);
        assert_eq!(t.read(IssueNo(5), L, 0), Step::InOrder);
    }

    #[test]
    fn more_than_a_gap_is_a_jump_that_names_its_window_and_moves_nothing() {
        let mut t = tracker(9);
        assert_eq!(t.read(IssueNo(4), L, 0), Step::Jump { window: vec![code(1), code(2), code(3)] });
        assert_eq!(t.read(IssueNo(1), L, 0), Step::InOrder);
    }

    #[test]
    fn doubtful_labels_make_no_gap() {
        let mut t = tracker(9);
        (1..=5).for_each(|i| t.doubtful(IssueNo(i)));
        assert_eq!(t.on_the_way(), 4);
        assert_eq!(t.read(IssueNo(6), L, 0), Step::InOrder);
        assert_eq!(t.read(IssueNo(3), L, 0), Step::Refed);
    }

    #[test]
    fn a_step_back_beyond_a_refeed_is_told() {
        let mut t = tracker(40);
        assert_eq!(t.read(IssueNo(2), L, 0), Step::Gap { left_behind: vec![code(1)] });
        for i in 3..=30 {
            t.read(IssueNo(i), L, 0);
        }
        assert_eq!(t.read(IssueNo(1), L, 0), Step::StepBack { behind_by: 29 });
    }

    #[test]
    fn after_a_person_resumed_the_next_read_may_stand_anywhere_once() {
        let mut t = tracker(20);
        t.resync(20);
        assert!(matches!(t.read(IssueNo(8), L, 0), Step::Gap { .. }));
        assert!(matches!(t.read(IssueNo(16), L, 0), Step::Jump { .. }));
    }

    #[test]
    fn labels_from_before_a_resume_are_not_waited_for_and_hold_room_until_the_next() {
        let mut t = tracker(5);
        t.resync(5);
        assert_eq!((t.on_the_way(), t.ahead()), (0, 5));
        assert_eq!(t.read(IssueNo(1), L, 0), Step::InOrder);
        t.resync(5);
        assert_eq!((t.on_the_way(), t.ahead()), (0, 0));
        assert_eq!(t.read(IssueNo(3), L, 0), Step::Refed);
    }

    #[test]
    fn more_labels_than_can_stand_on_web_and_belt_hold_no_room_after_a_resume_and_may_come_all_the_same() {
        let mut t = tracker(9);
        t.resync(6);
        assert_eq!((t.ahead(), t.remembered()), (6, 9));
        assert_eq!(t.read(IssueNo(2), L, 0), Step::Refed);
        assert_eq!(t.read(IssueNo(4), L, 0), Step::InOrder);
        assert_eq!(t.read(IssueNo(3), L, 0), Step::Refed);
    }
}
