//! What goes wrong: every kind of fault with its own switch, rate and random stream, and a count of its strikes.
//!
//! A kind draws from its own stream, so that turning one kind on moves no strike of another. Rates are chances at
//! each opportunity, named with the kind.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

macro_rules! kinds {
    ($($variant:ident $name:literal $gentle:literal $rough:literal $what:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind { $(#[doc = $what] $variant,)+ }

        impl FaultKind {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happens, and at which opportunity.
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }

            fn rate_default(self) -> f64 {
                match self { $(Self::$variant => $gentle,)+ }
            }

            fn rate_rough(self) -> f64 {
                match self { $(Self::$variant => $rough,)+ }
            }
        }
    };
}

// Columns: variant, name, rate in `default`, rate in `rough`, meaning.
kinds! {
    RibbonOut "ribbon-out" 0.002 0.01 "per label: the ribbon ends within it",
    MediaOut "media-out" 0.001 0.01 "per label: the label roll ends within it",
    HeadOpen "head-open" 0.0 0.005 "per label: somebody opens the head within it",
    PrinterPower "printer-power" 0.0 0.004 "per label: the printer loses power within it",
    FeedReprint "feed-reprint" 0.0 0.004 "per label: somebody prints the last label again at the panel",
    PrinterCut "printer-cut" 0.0 0.01 "per chunk on the wire: the printer's connection breaks at some byte of it",
    ReaderCut "reader-cut" 0.0 0.004 "per chunk on the wire: the reader's connection breaks at some byte of it",
    GateCut "gate-cut" 0.0 0.0005 "per chunk on the wire: the gate's connection breaks at some byte of it",
    Unlabelled "unlabelled" 0.002 0.01 "per item: the applicator leaves it without a label",
    LabelFell "label-fell" 0.001 0.01 "per item: its label falls on the floor",
    DoubleLabel "double-label" 0.0 0.005 "per item: it gets two labels",
    NoGap "no-gap" 0.001 0.01 "per item: the next one touches it, both make one trigger",
    Removed "removed" 0.001 0.01 "per item: taken off by hand between reader and gate",
    PutBack "put-back" 0.001 0.01 "per item: taken off behind the reader and put back before it later",
    Moved "moved" 0.0 0.005 "per item: pushed along the belt between reader and gate",
    TriggerMissed "trigger-missed" 0.0 0.003 "per item: the photo-eye does not see it",
    NoRead "no-read" 0.005 0.02 "per reading: the reader reads nothing",
    ReadMissed "read-missed" 0.0 0.005 "per reading: the reader was busy and says nothing at all",
    Misread "misread" 0.0 0.005 "per reading: one character is another",
    Late "late" 0.0 0.005 "per reading: the result comes late",
    DuplicateResult "duplicate-result" 0.0 0.005 "per reading: the result comes twice",
    OutOfOrder "out-of-order" 0.0 0.005 "per reading: the result comes after the next one",
    GsLost "gs-lost" 0.0 0.005 "per reading: the separators are missing",
    GsReplaced "gs-replaced" 0.0 0.005 "per reading: the separators are other characters",
    TwoCodes "two-codes" 0.0 0.005 "per reading: the neighbour's code stands in the same line",
    LineCut "line-cut" 0.0 0.005 "per reading: the line ends early",
    GateStuck "gate-stuck" 0.0 0.003 "per passing item: the gate does not open, the item falls into the bin",
    GateLate "gate-late" 0.0 0.002 "per rejected item: the ejector comes late, the item escapes and the next is hit",
    GateEscape "gate-escape" 0.0 0.002 "per rejected item: the ejector does not move, the item escapes",
    RejectUnconfirmed "reject-unconfirmed" 0.0 0.005 "per rejected item: the sensor of the bin sees nothing",
    GatePower "gate-power" 0.0 0.001 "per trigger: the gate loses power for a while",
    GateSilent "gate-silent" 0.0 0.002 "per trigger: the gate answers nothing for a while",
    GateAnswerLost "gate-answer-lost" 0.0 0.001 "per request: it is done, the answer never leaves",
    RollChanged "roll-changed" 0.0 0.002 "per label: the roll is changed, the labels on the web are thrown away",
    LabelDoubled "label-doubled" 0.0 0.002 "per label: the printer prints it twice",
    LabelSkipped "label-skipped" 0.0 0.003 "per label: the next ones in the queue are not printed, and counted or not",
    QueueShifted "queue-shifted" 0.0 0.001 "per label: the next ones in the queue are printed after the others",
    OldAgain "old-again" 0.0 0.001 "per label: the last labels are printed once more",
    NeighbourJob "neighbour-job" 0.0 0.003 "per label: another host prints labels of its own between",
    OdometerStep "odometer-step" 0.0 0.003 "per label: the odometer counts one more than there is",
    OdometerMissed "odometer-missed" 0.0 0.003 "per label: the odometer does not count it",
    ReprintAnyway "reprint-anyway" 0.0 0.2 "per interrupted label: it is printed again although the host said not to",
    PrinterLate "printer-late" 0.0 0.003 "per answer: the printer is slow to give it",
    PrinterTwice "printer-twice" 0.0 0.005 "per answer: the printer gives it twice",
    NeighbourRead "neighbour-read" 0.0 0.005 "per reading behind an item with leave: the reader reads that item once more instead",
    BeltStop "belt-stop" 0.0 0.003 "per item: somebody stops the belt for a while, with items before the gate",
    HouseTwice "house-twice" 0.0 0.005 "per pre-printed item: the printing house put its code on the next one too",
    PackDropped "pack-dropped" 0.0 0.01 "per packed item: it falls on its way into the box, and is gone",
    WrongBox "wrong-box" 0.0 0.01 "per packed item: scanned for one box, and put into another",
    Unscanned "unscanned" 0.0 0.01 "per packed item: put into the box without a scan",
    ScannedTwice "scanned-twice" 0.0 0.02 "per packed item: scanned once more",
    StrangerScanned "stranger-scanned" 0.0 0.04 "per packed item: before it something is scanned that does not belong there",
    TakenOutUnseen "taken-out-unseen" 0.0 0.01 "per packed item: somebody takes one out of the box, and says nothing",
    OutAsked "out-asked" 0.0 0.02 "per packed item: one is taken out of the box, and the agent is told",
    ShortAsked "short-asked" 0.0 0.02 "per packed item: the box is to be closed with what is in it",
    VoidAsked "void-asked" 0.0 0.01 "per packed item: the box is emptied, and the agent is told",
    BoxReopened "box-reopened" 0.0 0.05 "per closed box: somebody opens one again, takes out or puts in, and says nothing",
    LabelWrongBox "label-wrong-box" 0.0 0.03 "per label of a box: it is stuck on another box",
    LabelLost "label-lost" 0.0 0.05 "per label of a box: it is lost, and another is asked for",
    ReprintAsked "reprint-asked" 0.0 0.05 "per label of a box: another is asked for though it is there",
    WrongRoll "wrong-roll" 0.0 0.05 "per pre-printed label of a box: it is of another roll, or was used before",
    ScanLost "scan-lost" 0.0 0.01 "per scan of a hand scanner: nothing of it arrives",
    ScannerPulled "scanner-pulled" 0.0 0.01 "per scan of a hand scanner: it is pulled out and plugged in again",
}

impl FaultKind {
    /// It goes wrong at a packing desk, and nowhere else.
    pub fn is_of_packing(self) -> bool {
        self > Self::HouseTwice
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl std::str::FromStr for FaultKind {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let found = Self::ALL.iter().copied().find(|k| k.name() == text);
        found.ok_or_else(|| FaultError::UnknownKind(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
pub enum FaultError {
    #[error("no fault is called {0:?}; GET /faults or --help names them all")]
    UnknownKind(String),
    #[error("rate {1:?} of fault {0:?} is no number from 0 to 1")]
    BadRate(String, String),
}

/// Which kinds are on, and how often each strikes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan(BTreeMap<FaultKind, f64>);

impl FaultPlan {
    pub fn none() -> Self {
        Self::default()
    }

    /// A day on a good line: a person watching a demo sees something, nothing is lost.
    pub fn gentle() -> Self {
        Self::at(FaultKind::rate_default)
    }

    /// Everything that the models know.
    pub fn rough() -> Self {
        Self::at(FaultKind::rate_rough)
    }

    fn at(rate: fn(FaultKind) -> f64) -> Self {
        Self(FaultKind::ALL.iter().map(|k| (*k, rate(*k))).filter(|(_, r)| *r > 0.0).collect())
    }

    /// Parses `default,ribbon-out,no-read=0.01,late=0`: presets first, then kinds; without a rate its rough one.
    pub fn parse(list: &str) -> Result<Self, FaultError> {
        let mut plan = Self::none();
        for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part {
                "none" => plan = Self::none(),
                "default" => plan = Self::gentle(),
                "rough" => plan = Self::rough(),
                _ => {
                    let (name, rate) = part.split_once('=').unwrap_or((part, ""));
                    let kind: FaultKind = name.trim().parse()?;
                    let bad = || FaultError::BadRate(name.to_owned(), rate.to_owned());
                    let rate = match rate.trim() {
                        "" => kind.rate_rough(),
                        number => number.parse().map_err(|_| bad())?,
                    };
                    plan.set(kind, rate)?;
                }
            }
        }
        Ok(plan)
    }

    /// Sets one kind; 0 turns it off.
    pub fn set(&mut self, kind: FaultKind, rate: f64) -> Result<(), FaultError> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(FaultError::BadRate(kind.name().to_owned(), rate.to_string()));
        }
        if rate == 0.0 {
            self.0.remove(&kind);
        } else {
            self.0.insert(kind, rate);
        }
        Ok(())
    }

    pub fn rate(&self, kind: FaultKind) -> f64 {
        self.0.get(&kind).copied().unwrap_or(0.0)
    }
}

impl Serialize for FaultPlan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (kind, rate) in &self.0 {
            map.serialize_entry(kind.name(), rate)?;
        }
        map.end()
    }
}

/// The JSON form: `{"no-read": 0.01}`; absent kinds are off.
impl<'de> Deserialize<'de> for FaultPlan {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut plan = Self::none();
        for (name, rate) in BTreeMap::<String, f64>::deserialize(from)? {
            let kind: FaultKind = name.parse().map_err(serde::de::Error::custom)?;
            plan.set(kind, rate).map_err(serde::de::Error::custom)?;
        }
        Ok(plan)
    }
}

/// A plan at work.
#[derive(Debug)]
pub struct Faults {
    plan: FaultPlan,
    /// Whether a kind strikes, and how: two streams, so that a strike that another kind kept off shifts nothing.
    chances: BTreeMap<FaultKind, fastrand::Rng>,
    details: BTreeMap<FaultKind, fastrand::Rng>,
    forced: BTreeMap<FaultKind, u32>,
    struck: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub fn new(plan: FaultPlan, seed: u64) -> Self {
        let streams = |salt: u64| {
            let stream = |(index, kind): (u64, &FaultKind)| {
                let seed = seed ^ salt ^ (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (*kind, fastrand::Rng::with_seed(seed))
            };
            (0..).zip(FaultKind::ALL).map(stream).collect()
        };
        Self {
            plan,
            chances: streams(0),
            details: streams(u64::MAX),
            forced: BTreeMap::new(),
            struck: BTreeMap::new(),
        }
    }

    /// An opportunity for `kind`: does it strike? Counted if so.
    pub fn strikes(&mut self, kind: FaultKind) -> bool {
        self.first(&[kind]).is_some()
    }

    /// An opportunity for several kinds, of which at most one, the first, strikes. Counted if so.
    pub fn first(&mut self, kinds: &[FaultKind]) -> Option<FaultKind> {
        let mut striking = None;
        for kind in kinds {
            let rate = self.plan.rate(*kind);
            let chance = rate > 0.0 && self.chances.get_mut(kind).is_some_and(|rng| rng.f64() < rate);
            if striking.is_none() && (self.take_forced(*kind) || chance) {
                striking = Some(*kind);
            }
        }
        striking.inspect(|kind| *self.struck.entry(*kind).or_default() += 1)
    }

    fn take_forced(&mut self, kind: FaultKind) -> bool {
        let left = self.forced.get_mut(&kind).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// The random stream for the details of a kind's strikes.
    pub fn stream(&mut self, kind: FaultKind) -> &mut fastrand::Rng {
        self.details.entry(kind).or_insert_with(|| fastrand::Rng::with_seed(0))
    }

    /// Makes `kind` strike at its next `times` opportunities, whatever the plan says.
    pub fn force(&mut self, kind: FaultKind, times: u32) {
        *self.forced.entry(kind).or_default() += times;
    }

    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    pub fn set_plan(&mut self, plan: FaultPlan) {
        self.plan = plan;
    }

    pub fn struck(&self, kind: FaultKind) -> u64 {
        self.struck.get(&kind).copied().unwrap_or(0)
    }

    pub fn struck_total(&self) -> u64 {
        self.struck.values().sum()
    }

    /// Every kind with its rate and count.
    pub fn report(&self) -> Vec<FaultReport> {
        let line = |kind: &FaultKind| FaultReport {
            kind: *kind,
            rate: self.plan.rate(*kind),
            struck: self.struck(*kind),
            what: kind.what(),
        };
        FaultKind::ALL.iter().map(line).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultReport {
    pub kind: FaultKind,
    pub rate: f64,
    pub struck: u64,
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_builds_on_its_preset() {
        let plan = FaultPlan::parse("default, no-read=0.25, ribbon-out=0,late").unwrap();
        assert_eq!(plan.rate(FaultKind::NoRead), 0.25);
        assert_eq!(plan.rate(FaultKind::RibbonOut), 0.0);
        assert_eq!(plan.rate(FaultKind::Late), FaultKind::Late.rate_rough());
        assert_eq!(plan.rate(FaultKind::Removed), FaultKind::Removed.rate_default());
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        assert_eq!(FaultPlan::parse("no-raed"), Err(FaultError::UnknownKind("no-raed".to_owned())));
        for rate in ["2", "-1", "NaN", "x"] {
            assert!(FaultPlan::parse(&format!("late={rate}")).is_err(), "{rate}");
        }
    }

    #[test]
    fn json_goes_there_and_back() {
        for plan in [FaultPlan::none(), FaultPlan::gentle(), FaultPlan::rough()] {
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<FaultPlan>(&json).unwrap(), plan);
        }
        assert!(serde_json::from_str::<FaultPlan>(r#"{"no-read":7}"#).is_err());
    }

    #[test]
    fn one_kind_on_or_off_moves_no_strike_of_another() {
        let strikes = |list: &str| {
            let mut faults = Faults::new(FaultPlan::parse(list).unwrap(), 7);
            let mut day = Vec::new();
            for _ in 0..2000 {
                faults.strikes(FaultKind::NoRead);
                day.push(faults.strikes(FaultKind::Late));
            }
            assert_eq!(faults.struck(FaultKind::Late), day.iter().filter(|s| **s).count() as u64);
            day
        };
        assert_eq!(strikes("late=0.1"), strikes("late=0.1,no-read=0.5"));
    }

    #[test]
    fn of_several_kinds_one_strikes_and_the_others_keep_their_stream() {
        let late = |list: &str| {
            let mut faults = Faults::new(FaultPlan::parse(list).unwrap(), 7);
            let day: Vec<_> =
                (0..2000).map(|_| faults.first(&[FaultKind::NoRead, FaultKind::Late])).collect();
            assert_eq!(faults.struck_total(), day.iter().flatten().count() as u64);
            day.iter().map(|s| *s == Some(FaultKind::Late)).collect::<Vec<_>>()
        };
        let (alone, beside) = (late("late=0.1"), late("late=0.1,no-read=0.5"));
        assert!(alone.iter().zip(&beside).all(|(alone, beside)| *alone || !beside));
        assert_ne!(alone, beside);
    }

    #[test]
    fn a_forced_strike_comes_once() {
        let mut faults = Faults::new(FaultPlan::none(), 7);
        faults.force(FaultKind::Late, 1);
        assert!(!faults.strikes(FaultKind::NoRead));
        assert!(faults.strikes(FaultKind::Late));
        assert!(!faults.strikes(FaultKind::Late));
    }

    #[test]
    fn the_rough_preset_knows_every_kind() {
        assert!(FaultKind::ALL.iter().all(|k| FaultPlan::rough().rate(*k) > 0.0));
    }
}
