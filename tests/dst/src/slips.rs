//! The order of labels on trial: each day one slip of them, or one thing that is none, at a random item of a quiet day.
//!
//! A slip must stop the line within three read items, and the window that the line names must hold what is missing and
//! what bears a wrong label, and nothing else. What is none must never stop it. What is true is taken from the plant.
//!
//! On a line with several printers the labels of one slip. Items between bear labels of the others, which say nothing of
//! it: three read items are three of that printer's labels.

use std::collections::BTreeSet;

use tamga_domain::code::Identity;
use tamga_domain::line::slip::Slip as Named;
use tamga_simulators::fault::{FaultKind, FaultPlan};
use tamga_simulators::model::plant::{Kind, Turns};
use tamga_simulators::model::plant_orders::Order;
use tamga_simulators::model::printer_trips::{Slip, Slipped};
use tamga_simulators::model::truth::{Fate, Item, TagRef, Truth};
use tamga_simulators::model::xtrace::fault::FaultPlan as UpstreamPlan;

use crate::plan::{Floor, Heads, MORNING_MS, Plan};
use crate::side::HAND_MS;
use crate::world::{GTIN, World};

/// Read items from the first that shows a slip to the one that stops the line, at most.
pub const ITEMS_MAX: usize = 3;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    RollChanged,
    RollSwapped,
    Doubled,
    SkippedCounted,
    SkippedUncounted,
    Shifted,
    OldAgain,
    Neighbours,
    // What follows is no slip.
    Nothing,
    AgainAtPanel,
    TakenOffBeforeReader,
    TakenOffBehindReader,
    PutBackBeforeReader,
    PutBackBehindReader,
    NoRead,
    NoReadsInARow,
    LabelFell,
    Unlabelled,
    TwoLabels,
    NoGap,
    OneSkipped,
    OneAhead,
    OneNeighbour,
    PersonStops,
    PrinterReconnects,
    GentleDay,
}

impl What {
    pub const ALL: [What; 26] = [
        What::RollChanged,
        What::RollSwapped,
        What::Doubled,
        What::SkippedCounted,
        What::SkippedUncounted,
        What::Shifted,
        What::OldAgain,
        What::Neighbours,
        What::Nothing,
        What::AgainAtPanel,
        What::TakenOffBeforeReader,
        What::TakenOffBehindReader,
        What::PutBackBeforeReader,
        What::PutBackBehindReader,
        What::NoRead,
        What::NoReadsInARow,
        What::LabelFell,
        What::Unlabelled,
        What::TwoLabels,
        What::NoGap,
        What::OneSkipped,
        What::OneAhead,
        What::OneNeighbour,
        What::PersonStops,
        What::PrinterReconnects,
        What::GentleDay,
    ];

    pub fn is_slip(self) -> bool {
        self < What::Nothing
    }

    pub fn name(self) -> &'static str {
        match self {
            What::RollChanged => "roll changed, its labels lost",
            What::RollSwapped => "roll with labels of another",
            What::Doubled => "label printed twice",
            What::AgainAtPanel => "label printed again at the panel",
            What::SkippedCounted => "labels skipped, counted",
            What::SkippedUncounted => "labels skipped, not counted",
            What::Shifted => "queue shifted",
            What::OldAgain => "old labels printed again",
            What::Neighbours => "labels of a neighbour",
            What::Nothing => "nothing",
            What::TakenOffBeforeReader => "one taken off before the reader",
            What::TakenOffBehindReader => "one taken off behind the reader",
            What::PutBackBeforeReader => "one taken off, put back",
            What::PutBackBehindReader => "one taken off behind, put back",
            What::NoRead => "one not read",
            What::NoReadsInARow => "several not read in a row",
            What::LabelFell => "one label fell",
            What::Unlabelled => "one without a label",
            What::TwoLabels => "one with two labels",
            What::NoGap => "two without a gap",
            What::OneSkipped => "one label skipped",
            What::OneAhead => "one label ahead of its place",
            What::OneNeighbour => "one label of a neighbour",
            What::PersonStops => "a person stops, looks, resumes",
            What::PrinterReconnects => "the printer's connection breaks",
            What::GentleDay => "a usual day",
        }
    }

    /// Needs a web of labels between head and applicator.
    fn needs_web(self) -> bool {
        matches!(
            self,
            What::RollChanged | What::RollSwapped | What::LabelFell | What::Unlabelled | What::TwoLabels
        )
    }

    /// More labels missing than a gap may have, by what is drawn here.
    fn labels(self, floor: &Floor, rng: &mut fastrand::Rng) -> usize {
        let more = floor.gap_max as usize + 1;
        match self {
            What::SkippedCounted | What::SkippedUncounted | What::Shifted => more,
            What::OldAgain => rng.usize(2..=4),
            What::Neighbours => rng.usize(3..=6),
            What::OneNeighbour | What::OneSkipped => 1,
            What::NoReadsInARow => more + 1,
            _ => 0,
        }
    }
}

/// One trial: what, and when.
#[derive(Clone, Debug)]
pub struct Trial {
    pub what: What,
    /// The printer whose labels slip, of so many.
    printer: usize,
    printers: usize,
    at_item: u64,
    labels: usize,
    seed: u64,
}

impl Trial {
    /// The label is of the printer whose labels slip.
    fn is_own(&self, read: &Read<'_>) -> bool {
        (read.label - 1) % self.printers as u64 == self.printer as u64
    }
}

/// A rule of the line that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Any number of labels may be missing.
    Blind,
    /// No label may ever be missing.
    Jumpy,
}

/// The quiet day of one trial, on a line with so many printers.
pub fn plan(what: What, seed: u64, items: u64, printers: usize, broken: Option<Broken>) -> Plan {
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ what as u64 ^ 0x511B);
    let gap_max = rng.u32(1..=3);
    let items_per_min = [300, 450, 600, 900, 1_200, 1_500, 2_000][rng.usize(..7)];
    // Another roll is known by three labels of it one after another.
    let web_min = if what == What::RollSwapped { gap_max.max(2) + 1 } else { gap_max + 1 };
    let floor = Floor {
        web: rng.u32(web_min..=8),
        items_to_reader: rng.u32(1..=6),
        items_to_gate: rng.u32(2..=8),
        window: rng.u32(gap_max + 4..=12),
        gap_max,
        // A line as fast as this has a reader that is fast enough for it.
        reader_ms: if items_per_min > 900 { (5, 10) } else { (8, 25) },
    };
    let kind = if what.needs_web() || rng.bool() { Kind::PrintAndApply } else { Kind::Print };
    let labels = what.labels(&floor, &mut rng);
    let gap_max = match broken {
        None => gap_max,
        Some(Broken::Blind) => 100,
        Some(Broken::Jumpy) => 0,
    };
    let mut of_printers = fastrand::Rng::with_seed(seed ^ 0x7AB5);
    let turns = [Turns::InTurn, Turns::StandBy][of_printers.usize(..2)];
    // One that stands by may show no label all day.
    let printer = if turns == Turns::InTurn { of_printers.usize(..printers) } else { 0 };
    // Each label of a printer is so many items behind the one before.
    let items = items * printers as u64;
    let at_item = rng.u64(10..items - 25 * printers as u64);
    let mut plant = FaultPlan::none();
    if what == What::GentleDay {
        plant = FaultPlan::gentle();
    }
    Plan {
        packing: None,
        seed,
        kinds: vec![kind],
        heads: vec![Heads { printers, turns }],
        carries: false,
        items,
        items_per_min,
        quantity: 0,
        gate_poll_ms: if items_per_min > 900 { 5 } else { 10 },
        floor: Floor { gap_max, ..floor },
        trial: Some(Trial { what, printer, printers, at_item, labels, seed }),
        plant,
        upstream: UpstreamPlan::of(Vec::new()),
        begins_ms: MORNING_MS,
        people: Vec::new(),
        computer: Vec::new(),
        incident_ms: u64::MAX / 4,
        looks_ms: 2_100,
        planted: None,
    }
}

/// A trial at work.
pub(crate) struct Trying {
    trial: Trial,
    rng: fastrand::Rng,
    /// When it was done, and what the labels did.
    done: Option<(u64, Slipped)>,
    /// An item in somebody's hand, and when it is put back.
    in_hand: Option<(u64, u64)>,
    /// Why the line stood when last looked at.
    stood: Option<&'static str>,
    /// Stops that no person asked for: when, why, and the window that was named.
    stops: Vec<(u64, &'static str, Option<Named>)>,
}

/// What was seen of a trial.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// It was done: some plants never come to where it could be.
    pub tried: bool,
    /// Read items from the first that shows the slip to the one that stopped the line.
    pub items: Option<usize>,
    /// Items that had come to the reader since the first that shows it, when the belt stood.
    pub came: Option<usize>,
    /// Stops that nothing explains.
    pub false_stops: Vec<String>,
    /// What is missing in the window, or bears a wrong label, and is not named.
    pub too_small: Vec<String>,
    /// What is named and belongs there.
    pub too_large: Vec<String>,
}

impl Observed {
    /// What is wrong with it.
    pub fn faults(&self, what: What) -> Vec<String> {
        let mut faults = self.false_stops.clone();
        if self.tried && what.is_slip() {
            match self.items {
                None => faults.push("not found".to_owned()),
                Some(items) if items > ITEMS_MAX => faults.push(format!("found after {items} items")),
                Some(_) => {}
            }
        }
        faults.extend(self.too_small.iter().map(|s| format!("not named: {s}")));
        faults.extend(self.too_large.iter().map(|s| format!("named and not of the window: {s}")));
        faults
    }
}

impl World {
    /// Does what is tried when its moment has come, and notes why the line stands.
    pub(crate) fn try_it(&mut self) {
        let Some(mut trying) = self.trying.take() else { return };
        if let Some(line) = self.agent.as_ref().map(|a| &a.lines[0].line) {
            let stands = line.stands();
            if stands != trying.stood {
                trying.stood = stands;
                if let Some(why) = stands.filter(|why| !matches!(*why, "asked" | "no_run" | "starting")) {
                    trying.stops.push((self.ms, why, line.slip().filter(|s| s.why == why).cloned()));
                }
            }
            if trying.done.is_none()
                && stands.is_none()
                && self.sides[0].plant.items_come() >= trying.trial.at_item
            {
                trying.done = self.tried(&mut trying).map(|slipped| (self.sides[0].plant.now_ns(), slipped));
                if trying.done.is_some() {
                    self.trace.say(|| format!("trial: {:?} {:?}", trying.trial, trying.done));
                }
            }
        }
        if let Some((item, _)) = trying.in_hand.take_if(|(_, at)| *at <= self.ms) {
            self.sides[0].plant.feed_again(item);
        }
        self.trying = Some(trying);
    }

    fn tried(&mut self, trying: &mut Trying) -> Option<Slipped> {
        let (labels, at) = (trying.trial.labels, trying.trial.printer);
        let mut codes = |n: usize| -> Vec<Vec<u8>> { (0..n).map(|_| stranger(&mut trying.rng)).collect() };
        let more_than_a_gap = self.plan.floor.gap_max.min(3) as usize + 1;
        let web = self.sides[0].plant.printers[at].labels_on_web();
        let force = |world: &mut World, kind, times| {
            world.sides[0].plant.faults.force(kind, times);
            Some(Slipped::default())
        };
        let slip = match trying.trial.what {
            What::RollChanged if web >= more_than_a_gap.max(2) => Slip::RollChanged,
            What::RollSwapped if web >= 3 => Slip::RollSwapped { codes: codes(web) },
            What::RollChanged | What::RollSwapped => return None,
            What::Doubled => Slip::Doubled,
            What::AgainAtPanel => {
                let from_label = self.sides[0].plant.printers[at].next_label_no();
                self.sides[0].plant.order_at(at, Order::FeedReprint);
                return Some(Slipped { from_label, missing: Vec::new() });
            }
            What::SkippedCounted | What::OneSkipped => Slip::Skipped { labels, counted: true },
            What::SkippedUncounted => Slip::Skipped { labels, counted: false },
            What::Shifted => Slip::Shifted { jobs: labels },
            What::OldAgain => Slip::OldAgain { labels },
            What::Neighbours | What::OneNeighbour => Slip::Neighbours { codes: codes(labels) },
            What::OneAhead => Slip::OneAhead,
            What::Nothing | What::GentleDay => return Some(Slipped::default()),
            What::TakenOffBeforeReader => return self.take_off(false).map(|_| Slipped::default()),
            What::TakenOffBehindReader => return self.take_off(true).map(|_| Slipped::default()),
            What::PutBackBeforeReader | What::PutBackBehindReader => {
                let item = self.take_off(trying.trial.what == What::PutBackBehindReader)?;
                let hand_ms = if trying.trial.printers > 1 { HAND_MS } else { 300 };
                trying.in_hand = Some((item, self.ms + trying.rng.u64(hand_ms..4_000)));
                return Some(Slipped::default());
            }
            What::NoRead => return force(self, FaultKind::NoRead, 1),
            What::NoReadsInARow => return force(self, FaultKind::NoRead, u32::try_from(labels).unwrap_or(1)),
            What::LabelFell => return force(self, FaultKind::LabelFell, 1),
            What::Unlabelled => return force(self, FaultKind::Unlabelled, 1),
            What::TwoLabels => return force(self, FaultKind::DoubleLabel, 1),
            What::NoGap => return force(self, FaultKind::NoGap, 1),
            What::PersonStops => {
                self.sides[0].person.stop_once();
                return Some(Slipped::default());
            }
            What::PrinterReconnects => return force(self, FaultKind::PrinterCut, 1),
        };
        self.sides[0].plant.slip(at, &slip)
    }

    /// Takes the newest item off that is before or behind the reader.
    fn take_off(&mut self, behind: bool) -> Option<u64> {
        let newest = self.sides[0].plant.summary().items;
        let of_kind = |no: &u64| {
            let item = self.sides[0].plant.item(*no);
            item.is_some_and(|i| i.fate.is_none() && i.tags.is_empty() != behind)
        };
        let item = (newest.saturating_sub(12)..=newest).rev().find(of_kind)?;
        self.sides[0].plant.take_off(item).then_some(item)
    }
}

/// A code that fits the layout and that nobody here has ever had.
fn stranger(rng: &mut fastrand::Rng) -> Vec<u8> {
    let serial: String = (0..13).map(|_| rng.uppercase()).collect();
    format!("01{GTIN}21{serial}\u{1d}93Zz9z").into_bytes()
}

/// One item that was read.
struct Read<'a> {
    at_ns: u64,
    tag: TagRef,
    item: &'a Item,
    label: u64,
    symbol: &'a [u8],
}

fn reads(truth: &Truth) -> Vec<Read<'_>> {
    let read = |r: &tamga_simulators::model::truth::Reading| {
        let sent = r.sent.as_deref()?;
        let item = truth.items.iter().find(|i| i.tags.contains(&r.tag))?;
        let mark = item.marks.iter().find(|m| m.readable() == Some(sent))?;
        Some((r.at_ns, r.tag, item.item_no, mark.label_no?))
    };
    let found = truth.readings.iter().filter_map(read);
    found
        .filter_map(|(at_ns, tag, no, label)| {
            let item = truth.item(no)?;
            let symbol = item.marks.iter().find(|m| m.label_no == Some(label))?.readable()?;
            Some(Read { at_ns, tag, item, label, symbol })
        })
        .collect()
}

impl Trying {
    pub(crate) fn of(trial: Trial) -> Trying {
        let rng = fastrand::Rng::with_seed(trial.seed ^ 0x7717);
        Trying { trial, rng, done: None, in_hand: None, stood: Some("no_run"), stops: Vec::new() }
    }

    /// Compares what the line said with what was true.
    pub(crate) fn observed(self, truth: &Truth) -> Observed {
        let mut seen = Observed { tried: self.done.is_some(), ..Observed::default() };
        let what = self.trial.what;
        let (at_ns, slipped) = self.done.clone().unwrap_or_default();
        let reads = reads(truth);
        let own = |r: &Read<'_>| self.trial.is_own(r);
        let shows = |r: &Read<'_>| r.at_ns > at_ns && own(r) && r.label >= slipped.from_label;
        let first = if what.is_slip() && seen.tried { reads.iter().position(shows) } else { None };
        for (stop_ms, why, named) in &self.stops {
            let found = first.filter(|f| reads[*f].at_ns <= stop_ms * 1_000_000);
            match (found, named) {
                (Some(first), Some(named)) if seen.items.is_none() => {
                    self.found(&mut seen, truth, &reads, first, *stop_ms, named, &slipped);
                }
                // The line stands, and what was on the web comes after a person has looked.
                (Some(_), _) if seen.items.is_some() => {}
                // Where it prints in place, items go by without a mark until the printer is back.
                _ if what == What::PrinterReconnects && *why == "consecutive_bad" => {}
                // Pressed while the printer rests, the label comes right behind its first, as any that is doubled.
                _ if what == What::AgainAtPanel && *why == "repeat" => {}
                _ if what == What::GentleDay && named.is_none() => {}
                _ => seen.false_stops.push(format!("stopped at {stop_ms} ms: {why}")),
            }
        }
        if first.is_none() && what.is_slip() {
            // It came with the last labels, and nobody read one behind it.
            seen.tried = false;
        }
        seen
    }

    #[expect(clippy::too_many_arguments, reason = "one stop against all that is true of it")]
    fn found(
        &self,
        seen: &mut Observed,
        truth: &Truth,
        reads: &[Read<'_>],
        first: usize,
        stop_ms: u64,
        named: &Named,
        slipped: &Slipped,
    ) {
        let is =
            |r: &Read<'_>, tag: &tamga_domain::ids::Tag| (r.tag.boot, r.tag.tag) == (tag.boot, tag.number);
        let Some(last) = reads.iter().position(|r| is(r, &named.last)) else {
            seen.too_large.push(format!("{} was not read", named.last));
            return;
        };
        let own = |r: &&Read<'_>| self.trial.is_own(r);
        seen.items = Some(reads[first..(last + 1).max(first)].iter().filter(own).count());
        let came = |r: &&Read<'_>| r.at_ns <= stop_ms * 1_000_000;
        seen.came = Some(reads[first..].iter().filter(own).filter(came).count());
        // Codes: what should have come and did not.
        let codes: BTreeSet<String> = named.codes.iter().map(ToString::to_string).collect();
        let missing: BTreeSet<String> = match named.why {
            // Nothing behind the strange labels was read: what they stand for cannot be known yet.
            "foreign" => BTreeSet::new(),
            _ => slipped.missing.iter().map(|s| word(s)).collect(),
        };
        seen.too_small.extend(missing.difference(&codes).cloned());
        seen.too_large.extend(codes.difference(&missing).cloned());
        // Items: those that bear what was not asked for, and none that passed.
        let printed_wrong = |r: &Read<'_>| {
            truth.labels_unasked.contains(&r.label)
                || truth.labels.iter().any(|l| l.label_no == r.label && (l.at_panel || differs(l, r)))
        };
        for wrong in reads[first..=last.max(first)].iter().filter(|r| printed_wrong(r)) {
            if !named.items.iter().any(|tag| is(wrong, tag)) {
                seen.too_small.push(format!("item {}", wrong.tag.tag));
            }
        }
        for tag in &named.items {
            let passed = reads.iter().any(|r| is(r, tag) && r.item.fate == Some(Fate::Passed));
            if passed && !reads.iter().any(|r| is(r, tag) && r.item.met.len() > 1) {
                seen.too_large.push(format!("item {tag} passed"));
            }
        }
        // It begins behind the printer's label before, or behind the item before where codes are nobody's.
        let before = [reads[..first].iter().rfind(own), reads[..first].last()];
        let begins = |before: &&Read<'_>, (tag, code): &(tamga_domain::ids::Tag, Identity)| {
            is(before, tag) && word(before.symbol) == code.to_string()
        };
        if let Some(after) = &named.after
            && before[1].is_some()
            && !before.iter().flatten().any(|before| begins(before, after))
        {
            seen.too_large.push(format!("begins at {} and not before {}", after.0, reads[first].tag.tag));
        }
    }
}

/// The label left the head with another code than it bears on the item: the roll was exchanged.
fn differs(label: &tamga_simulators::model::truth::PrintedLabel, read: &Read<'_>) -> bool {
    label.symbol.as_deref() != Some(read.symbol)
}

/// GTIN and serial of a symbol of the water layout, as the line writes them.
fn word(symbol: &[u8]) -> String {
    let end = symbol.iter().position(|b| *b == 0x1D).unwrap_or(symbol.len());
    let text = String::from_utf8_lossy(&symbol[..end]);
    match (text.get(2..16), text.get(18..)) {
        (Some(gtin), Some(serial)) => format!("(01){gtin}(21){serial}"),
        _ => text.into_owned(),
    }
}
