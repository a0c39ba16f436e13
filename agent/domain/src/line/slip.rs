//! Labels that slipped: what the reads since the last one in its order say together (behaviour, section 4, «Order»).
//!
//! One read out of its order proves nothing: a label picked up from the floor, an item carried ahead or put back. The
//! second one in a row does. So does the same label on two items one behind the other with the next label behind them,
//! and a third code in a row that this run never gave out. Then the line stops, and the window between the last read
//! that agreed and the first that did not is named by code and item; its codes are set aside. What went by unread took
//! its label along, and no such label counts as missing.
//!
//! Where a line has several printers, items between two labels of one bear labels of the others. What is counted in a row
//! is counted over one printer's labels, or over as many items more as there are printers; items with a label of another
//! printer in its order are in no window.

use std::collections::VecDeque;
use std::time::Duration;

use super::order::{GAP_WINDOW, Step};
use super::{Effect, Line, LineKind, Lookup};
use crate::code::Identity;
use crate::ids::{IssueNo, PrinterNo, Tag};
use crate::lifecycle::SpoilReason;
use crate::record::Record;
use crate::time::{Time, Wall};
use crate::verdict::Reason;

/// Reads out of their order, none in order between them, that stop the line.
const OUT_OF_ORDER_MAX: u32 = 2;

/// Codes in a row that this run never gave to a printer, and that stop a printing line: another roll is on it.
const FOREIGN_MAX: u32 = 3;

/// Repeats that stop the line, fewer than [`GAP_WINDOW`] labels in order between them.
const REPEATS_MAX: usize = 2;

/// Nobody takes an item off behind the reader and puts it before it again, in front of the next one, in less time.
const HAND_MIN: Duration = Duration::from_secs(1);

/// Labels of each printer for which the next label of another is waited for, to tell a label that was printed twice.
const WAITS_MAX: usize = 4;

/// Items with a label in order that are remembered, so that no window names them. One printer's labels may be this many
/// items apart; of a printer that stood by for longer the items before are not named.
const AGREED_MAX: usize = 256;

/// A window of labels over which the line stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// Why it stopped, as a message key.
    pub why: &'static str,
    /// The last read that agreed with the order; `None` where nothing had been read since the line was started.
    pub after: Option<(Tag, Identity)>,
    /// The first read that did not, and its code where it is one of this product.
    pub first: (Tag, Option<Identity>),
    /// The read that stopped the line.
    pub last: Tag,
    /// Codes that should have come between the two. They are set aside.
    pub codes: Vec<Identity>,
    /// Items since the last read that agreed: none of them passed.
    pub items: Vec<Tag>,
}

impl Slip {
    /// The window for people, in no language.
    fn named(&self) -> String {
        let word = |code: &Identity| format!(" {code}");
        let after =
            self.after.as_ref().map_or_else(String::new, |(tag, code)| format!("{tag}{}", word(code)));
        let (tag, code) = &self.first;
        let mut named = format!("{after} – {tag}{}", code.as_ref().map_or_else(String::new, word));
        for code in &self.codes {
            named.push(',');
            named.push_str(&word(code));
        }
        named
    }
}

/// What one printer's labels showed since the last read in its order.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    agreed: Option<Agreed>,
    first: Option<First>,
    out_of_order: u32,
    /// Items whose label nobody could read, or that bore another's.
    unread: u32,
    /// Bad items, for whatever reason.
    gone_by: u32,
    /// Reads in the order of other printers, and labels missing before these.
    others: u32,
    others_missing: u32,
}

impl Evidence {
    /// Items since then that may have taken a label of this printer along, if their labels were its own.
    pub(super) fn gone_by(&self) -> u32 {
        self.gone_by
    }

    pub(super) fn one_gone_by(&mut self) {
        self.gone_by = self.gone_by.saturating_add(1);
    }
}

/// Two items one behind the other among the items of one printer bear one label. Either it was printed twice, or the
/// second item bears another label, which nobody has read: then one is missing once all printers have shown the next.
#[derive(Clone, Debug)]
struct Doubled {
    once: Agreed,
    twice: Tag,
    /// Printers at work that have shown no label since.
    waits_for: Vec<PrinterNo>,
    /// Since `once`: reads in the order of any printer, and labels missing before them.
    reads: u32,
    missing: u32,
}

#[derive(Clone, Debug)]
struct Agreed {
    tag: Tag,
    code: Identity,
    at: Time,
}

/// The first read that did not agree, and the codes that should have come before it.
#[derive(Clone, Debug)]
struct First {
    tag: Tag,
    code: Option<Identity>,
    window: Vec<Identity>,
}

/// Codes in a row that this run never gave out.
#[derive(Clone, Debug)]
struct Foreign {
    first: First,
    after: Option<Agreed>,
    count: u32,
    /// Labels in order since the last of them.
    since: usize,
}

/// Why the line stops, at which read, what was counted, and the last item that is named.
struct Stop {
    why: &'static str,
    last: Tag,
    count: Option<usize>,
    to: u32,
}

/// A code on a second item.
#[derive(Clone, Debug)]
struct Repeat {
    first: Option<Tag>,
    tag: Tag,
    code: Identity,
    after: Option<Agreed>,
}

/// What is no single printer's.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    foreign: Option<Foreign>,
    repeats: VecDeque<Repeat>,
    /// Labels in order since the last repeat.
    since: usize,
    doubled: Option<Doubled>,
    /// The last items with a label in order.
    agreed: VecDeque<Tag>,
}

impl Strangers {
    /// An item bears a label in its order: what is counted in a row is over when each printer may have shown one.
    fn in_order(&mut self, tag: Tag, printers: usize) {
        if let Some(foreign) = &mut self.foreign {
            foreign.since += 1;
        }
        self.foreign.take_if(|foreign| foreign.since >= printers);
        self.since += 1;
        if self.since >= GAP_WINDOW {
            self.repeats.clear();
        }
        self.agreed.push_back(tag);
        self.agreed.drain(..self.agreed.len().saturating_sub(AGREED_MAX));
    }

    /// A printer has shown its next label behind two items with one label, so many missing before it. `Some` when all
    /// have, and no label is missing that no unread item took along: then that label was printed twice.
    fn is_doubled(&mut self, no: PrinterNo, tag: Tag, missing: u32, printers: usize) -> Option<Doubled> {
        let doubled = self.doubled.as_mut()?;
        doubled.reads = doubled.reads.saturating_add(1);
        doubled.missing = doubled.missing.saturating_add(missing);
        doubled.waits_for.retain(|waits| *waits != no);
        if !doubled.waits_for.is_empty() {
            let items = tag.number.abs_diff(doubled.twice.number) as usize;
            self.doubled.take_if(|_| items > WAITS_MAX * printers);
            return None;
        }
        let doubled = self.doubled.take()?;
        let items =
            tag.number.checked_sub(doubled.once.tag.number).filter(|_| tag.boot == doubled.twice.boot)?;
        // The second of the two was read, and bears what it bears.
        let unread = items.checked_sub(doubled.reads + 1)?;
        (unread == doubled.missing).then_some(doubled)
    }
}

impl Line {
    /// The last window over which the line stopped.
    pub fn slip(&self) -> Option<&Slip> {
        self.slip.as_ref()
    }

    /// The line was set going by a person who has looked: what was seen before says nothing any more.
    pub(super) fn forget_evidence(&mut self) {
        self.strangers = Strangers::default();
        self.recent_gaps.clear();
        for printer in &mut self.printers {
            printer.evidence = Evidence::default();
        }
    }

    /// How the read agrees with the order of its printer; `Some` is the reason why the item may not pass.
    pub(super) fn order_refuses(
        &mut self,
        lookup: &Lookup,
        printed: Option<(PrinterNo, IssueNo)>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) -> Option<Reason> {
        let (no, issue) = printed?;
        let (limits, code) = (self.config.order, lookup.code.identity);
        let printer = self.printers.get_mut(usize::from(no.0))?;
        let unread = printer.evidence.unread;
        match printer.tracker.read(issue, limits, unread) {
            Step::InOrder => {
                self.agrees(no, lookup, &[], wall, out);
                None
            }
            Step::Gap { left_behind } => {
                for one in &left_behind {
                    self.incident(Some(one), None, "gap", String::new(), wall);
                }
                self.agrees(no, lookup, &left_behind, wall, out);
                None
            }
            // It neither proves an order nor breaks one.
            Step::Refed => None,
            Step::Unexpected => {
                // Issued in this run and unread, yet not among the labels that are remembered: left behind so long
                // ago that it counts as a step back.
                self.incident(Some(&code), Some(lookup.tag), "step_back", String::new(), wall);
                self.disagrees(no, lookup, Vec::new(), wall, out)
            }
            Step::StepBack { behind_by } => {
                self.incident(Some(&code), Some(lookup.tag), "step_back", behind_by.to_string(), wall);
                self.disagrees(no, lookup, Vec::new(), wall, out)
            }
            Step::Jump { window } => {
                self.incident(Some(&code), Some(lookup.tag), "jump", window.len().to_string(), wall);
                self.disagrees(no, lookup, window, wall, out)
            }
        }
    }

    /// A read in its order, with or without labels missing before it. Labels missing again and again stop the line, and
    /// so does this one if the two items before it bear one label: that was printed twice.
    fn agrees(
        &mut self,
        no: PrinterNo,
        lookup: &Lookup,
        left_behind: &[Identity],
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let (tag, code) = (lookup.tag, lookup.code.identity);
        let missing = u32::try_from(left_behind.len()).unwrap_or(u32::MAX);
        self.strangers.in_order(tag, self.printers.len());
        for (_, other) in (0..).zip(&mut self.printers).filter(|(n, _)| PrinterNo(*n) != no) {
            other.evidence.others = other.evidence.others.saturating_add(1);
            other.evidence.others_missing = other.evidence.others_missing.saturating_add(missing);
        }
        let printers = self.printers.len();
        let Some(printer) = self.printers.get_mut(usize::from(no.0)) else { return };
        let agreed = Agreed { tag, code, at: lookup.read_at };
        let before = std::mem::replace(
            &mut printer.evidence,
            Evidence { agreed: Some(agreed), ..Evidence::default() },
        );
        let lost = left_behind.len() > before.unread as usize;
        let to = tag.number.saturating_sub(1);
        if let Some(gaps) = self.too_many_gaps(lost) {
            let first = First { tag, code: Some(code), window: left_behind.to_vec() };
            let stop = Stop { why: "gaps", last: tag, count: Some(gaps), to };
            self.slipped(stop, before.agreed.as_ref(), first, wall, out);
            return;
        }
        if let Some(Doubled { once, twice, .. }) = self.strangers.is_doubled(no, tag, missing, printers) {
            let first = First { tag: twice, code: Some(once.code), window: Vec::new() };
            self.slipped(Stop { why: "repeat", last: tag, count: None, to }, Some(&once), first, wall, out);
        }
    }

    /// One read in its order more: how many gaps there are among the last ones, if they are too many.
    fn too_many_gaps(&mut self, gap: bool) -> Option<usize> {
        self.recent_gaps.push_back(gap);
        if self.recent_gaps.len() > GAP_WINDOW {
            self.recent_gaps.pop_front();
        }
        let gaps = self.recent_gaps.iter().filter(|g| **g).count();
        (gap && gaps > self.config.order.gaps_per_100_max as usize).then_some(gaps)
    }

    fn disagrees(
        &mut self,
        no: PrinterNo,
        lookup: &Lookup,
        window: Vec<Identity>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) -> Option<Reason> {
        let (tag, code) = (lookup.tag, lookup.code.identity);
        let evidence = &mut self.printers.get_mut(usize::from(no.0))?.evidence;
        evidence.out_of_order += 1;
        let known = evidence.first.take();
        let first = known.filter(|f| !f.window.is_empty()).unwrap_or(First { tag, code: Some(code), window });
        if evidence.out_of_order < OUT_OF_ORDER_MAX {
            evidence.first = Some(first);
        } else {
            let agreed = evidence.agreed.clone();
            let stop = Stop { why: "jump", last: tag, count: None, to: tag.number };
            self.slipped(stop, agreed.as_ref(), first, wall, out);
        }
        Some(Reason::OutOfOrder)
    }

    /// The line stops. The window is named by code and item, and its codes are set aside: they are spoiled, so that a
    /// label of it that turns up later is on no goods.
    fn slipped(
        &mut self,
        stop: Stop,
        after: Option<&Agreed>,
        first: First,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let agreed = &self.strangers.agreed;
        let of_boot = |tag: &&Tag| tag.boot == first.tag.boot;
        let oldest = agreed.front().filter(|_| agreed.len() >= AGREED_MAX).filter(of_boot);
        let oldest = oldest.map_or(0, |tag| tag.number).min(first.tag.number);
        let since = after
            .filter(|a| a.tag.boot == first.tag.boot)
            .map_or(first.tag.number, |a| (a.tag.number + 1).max(oldest));
        let slip = Slip {
            why: stop.why,
            after: after.map(|a| (a.tag, a.code)),
            first: (first.tag, first.code),
            last: stop.last,
            codes: first.window,
            items: (since..=stop.to)
                .map(|number| Tag { number, ..first.tag })
                .filter(|tag| !agreed.contains(tag))
                .collect(),
        };
        let named = slip.named();
        for code in &slip.codes {
            for printer in &mut self.printers {
                printer.tracker.gone(code);
            }
            let (reason, who) = (SpoilReason::Slipped, "line".to_owned());
            self.urgent(Record::Spoil { code: *code, reason, who, at: wall });
            self.incident(Some(code), None, "set_aside", named.clone(), wall);
        }
        for tag in &slip.items {
            self.incident(None, Some(*tag), "set_aside", named.clone(), wall);
        }
        self.slip = Some(slip);
        let detail = stop.count.map_or_else(|| named.clone(), |n| format!("{n} ({named})"));
        self.stop(stop.why, &detail, wall, out);
    }

    /// The same code on another item: the second repeat stops the line, unless the first item was taken off and is
    /// this one. Right behind its first, sooner than a hand can be, it is another item with a label of its own.
    pub(super) fn repeated(
        &mut self,
        lookup: &Lookup,
        first: Option<Tag>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        let (tag, code) = (lookup.tag, lookup.code.identity);
        let printers = self.printers.len();
        if let Some(doubled) = self.doubled(lookup) {
            self.strangers.doubled = Some(doubled);
        }
        // With no label of its printer in order between them the window begins with the first of the two.
        let known = self.strangers.repeats.back().filter(|_| self.strangers.since < printers.max(1)).cloned();
        let this = Repeat { first, tag, code, after: self.newest_agreed() };
        self.strangers.since = 0;
        self.strangers.repeats.push_back(this.clone());
        if self.strangers.repeats.len() >= REPEATS_MAX {
            let begins = known.unwrap_or(this);
            let first = First { tag: begins.tag, code: Some(begins.code), window: Vec::new() };
            let stop = Stop { why: "repeat", last: tag, count: None, to: tag.number };
            self.slipped(stop, begins.after.as_ref(), first, wall, out);
        }
    }

    /// The code of the printer's item before, sooner than a hand can be: with several printers up to one item of each
    /// other one stands between the two.
    fn doubled(&self, lookup: &Lookup) -> Option<Doubled> {
        let tag = lookup.tag;
        let printers = u32::try_from(self.printers.len()).unwrap_or(u32::MAX);
        let behind = |a: &Agreed| {
            let by = tag.number.checked_sub(a.tag.number).filter(|_| a.tag.boot == tag.boot);
            by.filter(|by| *by > 0)
        };
        let before = |a: &&Agreed| {
            a.code == lookup.code.identity
                && behind(a).is_some_and(|by| by <= printers)
                && lookup.read_at.since(a.at) < HAND_MIN
        };
        let (at, own) = self.printers.iter().enumerate().find_map(|(at, p)| {
            Some((at, p.evidence.agreed.as_ref().filter(before).map(|_| &p.evidence)?))
        })?;
        let at_work = |at_other: usize, evidence: &Evidence| {
            let lately = evidence.agreed.as_ref().and_then(behind).is_some_and(|by| by <= 2 * printers);
            at_other == at || lately
        };
        let all = self.printers.iter().enumerate().filter(|(n, p)| at_work(*n, &p.evidence));
        Some(Doubled {
            once: own.agreed.clone()?,
            twice: tag,
            waits_for: all.map(|(n, _)| PrinterNo(u8::try_from(n).unwrap_or(u8::MAX))).collect(),
            reads: own.others,
            missing: own.others_missing,
        })
    }

    fn newest_agreed(&self) -> Option<Agreed> {
        self.printers.iter().filter_map(|p| p.evidence.agreed.clone()).max_by_key(|a| a.tag)
    }

    /// The item was taken off between reader and gate: if its code was read again, it was the same item, put back.
    pub(super) fn taken_off(&mut self, tag: Tag) {
        self.strangers.repeats.retain(|r| r.first != Some(tag));
    }

    /// An item is bad: what that says of the labels.
    pub(super) fn evidence_of(
        &mut self,
        tag: Tag,
        reason: Reason,
        code: Option<&Identity>,
        wall: Wall,
        out: &mut Vec<Effect>,
    ) {
        use Reason as R;
        match reason {
            R::Foreign | R::OtherRun | R::WrongProduct => {
                self.unread_one();
                let first = First { tag, code: code.copied(), window: Vec::new() };
                let begins = Foreign { first, after: self.newest_agreed(), count: 0, since: 0 };
                let foreign = self.strangers.foreign.get_or_insert(begins);
                (foreign.count, foreign.since) = (foreign.count + 1, 0);
                let Foreign { first, after, count, .. } = foreign.clone();
                let printing = self.config.kind != LineKind::PrePrinted;
                if printing && self.running() && count >= FOREIGN_MAX {
                    let stop = Stop { why: "foreign", last: tag, count: None, to: tag.number };
                    self.slipped(stop, after.as_ref(), first, wall, out);
                }
            }
            R::NoRead | R::Several | R::Malformed | R::Mismatch | R::NoResult | R::NoVerdict => {
                self.unread_one();
            }
            // Its own label was read, or the line stands, and whoever sets it going has looked.
            R::NeverIssued
            | R::Grade
            | R::Duplicate
            | R::Dead(_)
            | R::OutOfOrder
            | R::Late
            | R::NotRunning
            | R::OverQuantity
            | R::Away
            | R::NotDurable => {}
        }
    }

    fn unread_one(&mut self) {
        for printer in &mut self.printers {
            printer.evidence.unread = printer.evidence.unread.saturating_add(1);
        }
    }
}
