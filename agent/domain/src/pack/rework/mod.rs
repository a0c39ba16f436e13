//! Rework: what people do to packs that are not being filled at a station, and what it means for each pack it touches.
//!
//! [`Way`] is the one table: whether a pack's content may change under its name. [`plan`] looks at the books and says what
//! is to be done, whole; the store makes the same plan again in the transaction that carries it out, so that nothing is
//! done on an old picture. A plan changes no pack that upstream knows: its name is void, and what stays in it is a *new
//! pack* that follows it, open until it has a name and somebody has read that on it. What lies on a pallet is taken off it
//! first. Nothing here sets what upstream was told: that is told by what is found in the books afterwards.
//!
//! - [`draft`]: how a plan is made

mod draft;
#[cfg(test)]
mod tests;

pub use draft::plan;

use std::fmt;

use super::judge::{Kinship, NotIn, Thing};
use super::{Child, PackFacts, PackState, Told};
use crate::ids::{AgentId, PackNo};
use crate::lifecycle::{State, Whereabouts};

/// The most children that one rework names: what a person scans in one go. A whole pack is named by itself.
pub const NAMED_MAX: usize = 200;
/// The most items that one rework scraps: the largest box.
pub const LOST_MAX: usize = 1_500;

/// What a person wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rework {
    /// Each out of the pack that it lies in. With a fate that ends it, what lies in no pack will do, and of a pack all that
    /// is in it ends.
    Out { children: Vec<Child>, fate: Fate },
    /// One out of its pack and another in its place.
    Replace { out: Child, put: Child, fate: Fate },
    /// All out of a pack: its name is void.
    Empty { pack: PackNo },
    /// All out of a pack, and out of the packs that were in it.
    Unpack { pack: PackNo },
    /// All of a pack into another of the same terms: the first one's name is void.
    Merge { from: PackNo, into: PackNo },
    /// Each out of the pack that it lies in, if it lies in one, and into another.
    Move { children: Vec<Child>, to: PackNo },
}

impl Rework {
    /// The stable key, for catalogues and the audit log.
    pub fn key(&self) -> &'static str {
        match self {
            Rework::Out { fate, .. } => fate.key(),
            Rework::Replace { .. } => "replace",
            Rework::Empty { .. } => "empty",
            Rework::Unpack { .. } => "unpack",
            Rework::Merge { .. } => "merge",
            Rework::Move { .. } => "move",
        }
    }
}

/// What becomes of what was taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It may be packed again.
    Free,
    /// Back on the belt, behind the gate: it may be packed again. It passed the gate once, and its code never does so twice.
    Back,
    /// Taken for a test: it is never sold.
    Sample,
    Scrap,
}

impl Fate {
    pub const ALL: [Fate; 4] = [Fate::Free, Fate::Back, Fate::Sample, Fate::Scrap];

    /// The stable key, for catalogues, the API and the audit log.
    pub fn key(self) -> &'static str {
        match self {
            Fate::Free => "take_out",
            Fate::Back => "back",
            Fate::Sample => "sample",
            Fate::Scrap => "scrap",
        }
    }

    /// Its code is never on goods again.
    pub fn ends(self) -> bool {
        matches!(self, Fate::Sample | Fate::Scrap)
    }
}

/// What a change of its content means for a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Upstream knows nothing of it: it keeps its name.
    Under,
    /// Its name is void; what stays in it, and what comes to it, is a new pack.
    Anew,
    /// Its name is void, and nothing is left in it.
    Void,
}

impl Way {
    /// The table: what any change of a pack means, or why it must not be changed now.
    pub fn of(pack: &PackFacts) -> Result<Way, NotDone> {
        if let Some(agent) = pack.home {
            return Err(NotDone::NotOurs(pack.pack, agent));
        }
        if let (Some(agent), PackState::Closed) = (pack.elsewhere, pack.state) {
            return Err(NotDone::Elsewhere(pack.pack, agent));
        }
        match (pack.state, pack.told) {
            (PackState::Voided, _) => Err(NotDone::Voided(pack.pack)),
            (_, Told::Aggregating | Told::Disaggregating) => Err(NotDone::Wait(pack.pack)),
            (PackState::Open, _) if pack.follows.is_none() => Err(NotDone::AtStation(pack.pack)),
            (PackState::Open | PackState::Closed, Told::Nothing) => Ok(Way::Under),
            // Refused: upstream may know the name, and what it knows of it nobody can say.
            (PackState::Open | PackState::Closed, Told::Aggregated | Told::Disaggregated | Told::Refused) => {
                Ok(Way::Anew)
            }
        }
    }
}

/// How the code of an item ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Upstream never heard of an item with it: it is spoiled.
    Spoil,
    /// It is applied: upstream has to write it off, and until then it is packed nowhere.
    WriteOff,
}

/// What is known of an item whose code is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub state: State,
    /// A report that is not finally answered carries it.
    pub carried: bool,
    /// Upstream refused it for good.
    pub held: bool,
    /// It is to be written off already.
    pub ended: bool,
    /// Its run was signed off.
    pub run_is_closed: bool,
}

impl Standing {
    /// The table of how a code ends; `None`: it has ended.
    pub fn loss(&self) -> Result<Option<Loss>, NoLoss> {
        match self.state {
            _ if self.ended => Ok(None),
            State::Spoiled(_) | State::WrittenOff => Ok(None),
            State::Applied => Ok(Some(Loss::WriteOff)),
            State::Verified(Whereabouts::Passed) if self.held => Ok(Some(Loss::Spoil)),
            // The sheet of a closed run says that it passed: its report comes first.
            State::Verified(Whereabouts::Passed) if self.carried || self.run_is_closed => Err(NoLoss::Wait),
            State::Verified(Whereabouts::Passed) => Ok(Some(Loss::Spoil)),
            State::Issued | State::Verified(_) => Err(NoLoss::AtLine),
            State::Pooled | State::Stock | State::SetAside | State::Returned => Err(NoLoss::NoItem),
        }
    }
}

/// Why the code of an item does not end now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoLoss {
    /// Its application report has to be answered first.
    Wait,
    /// It is still on its line, which is told.
    AtLine,
    /// It was never on an item.
    NoItem,
}

/// Why nothing was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotDone {
    /// A report that names this pack is not answered yet.
    Wait(PackNo),
    /// The application report of this item has to be answered first.
    WaitItem(Child),
    /// A pack that is being filled at a station, where it is changed.
    AtStation(PackNo),
    Voided(PackNo),
    NoSuchPack(PackNo),
    /// It is another agent's, and changed there.
    NotOurs(PackNo, AgentId),
    /// Another agent says that it lies in a pack of theirs: it has to be taken out of it first.
    Elsewhere(PackNo, AgentId),
    /// No code, or no pack, of this agent.
    Unknown(Child),
    /// It lies in no pack.
    NotPacked(Child),
    /// It does not go into this pack.
    NotIn {
        child: Child,
        pack: PackNo,
        why: NotIn,
    },
    /// A person named it twice.
    Twice(Child),
    /// Two packs that hold different things, or the very same pack.
    NotAlike(PackNo),
    /// It is still on its line: it is declared there.
    AtLine(Child),
    /// Its code was never on an item.
    NoItem(Child),
    /// More than may be named at once.
    TooMany {
        named: usize,
        most: usize,
    },
}

impl NotDone {
    /// All keys, for catalogues.
    pub const KEYS: [&str; 15] = [
        "wait",
        "wait_item",
        "at_station",
        "voided",
        "no_such_pack",
        "not_ours",
        "elsewhere",
        "unknown",
        "not_packed",
        "not_in",
        "twice",
        "not_alike",
        "at_line",
        "no_item",
        "too_many",
    ];

    /// The stable key, for catalogues (`rework.not_done.<key>`) and the API.
    pub fn key(&self) -> &'static str {
        match self {
            NotDone::Wait(_) => "wait",
            NotDone::WaitItem(_) => "wait_item",
            NotDone::AtStation(_) => "at_station",
            NotDone::Voided(_) => "voided",
            NotDone::NoSuchPack(_) => "no_such_pack",
            NotDone::NotOurs(..) => "not_ours",
            NotDone::Elsewhere(..) => "elsewhere",
            NotDone::Unknown(_) => "unknown",
            NotDone::NotPacked(_) => "not_packed",
            NotDone::NotIn { .. } => "not_in",
            NotDone::Twice(_) => "twice",
            NotDone::NotAlike(_) => "not_alike",
            NotDone::AtLine(_) => "at_line",
            NotDone::NoItem(_) => "no_item",
            NotDone::TooMany { .. } => "too_many",
        }
    }
}

/// What a rework has to know. The store's transaction is one; a test has another.
pub trait Books {
    type Fault;
    fn pack(&self, pack: PackNo) -> Result<Option<PackFacts>, Self::Fault>;
    fn thing(&self, child: &Child) -> Result<Thing, Self::Fault>;
    /// What lies in a pack, always in the same order.
    fn content(&self, pack: PackNo) -> Result<Vec<Child>, Self::Fault>;
    /// `None`: no code of an item of this agent.
    fn standing(&self, child: &Child) -> Result<Option<Standing>, Self::Fault>;
}

/// What is to become of one pack.
#[derive(Clone, PartialEq, Debug)]
pub struct Edit {
    /// As it is now.
    pub pack: PackFacts,
    pub way: Way,
    /// All that lies in it is free; `outs` is empty then.
    pub empties: bool,
    pub outs: Vec<Child>,
    pub ins: Vec<Child>,
    /// How many there are then in it, or in the pack that follows it, and of which run and product.
    pub content: u32,
    pub kin: Kinship,
}

/// What is to be done, whole or not at all.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// From the outside in: what lies on a pallet is taken off it before it is changed.
    pub edits: Vec<Edit>,
    pub losses: Vec<(Child, Loss)>,
    /// It reaches further than what the person named: a name that is on goods becomes void.
    pub reaches: bool,
}

/// Names a plan, made of all that it rests on: the plan that is carried out is the one that was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanId(u64);

impl PlanId {
    /// From 16 hexadecimal digits.
    pub fn parse(text: &str) -> Option<PlanId> {
        let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(PlanId)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One thing that is done, or that a person has to do, in the order in which it is to be done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step<'p> {
    /// The name is void: upstream is told, where it knows it.
    Void {
        pack: &'p PackFacts,
    },
    Out {
        child: &'p Child,
        of: &'p PackFacts,
    },
    /// So many stay in the box: it is a new pack, and needs a new label.
    New {
        of: &'p PackFacts,
        content: u32,
    },
    In {
        child: &'p Child,
        to: &'p PackFacts,
    },
    /// It has another content under its name: a label that shows how many is wrong.
    Count {
        pack: &'p PackFacts,
        content: u32,
    },
    Loss {
        child: &'p Child,
        loss: Loss,
    },
}

impl Step<'_> {
    pub const KEYS: [&'static str; 7] = ["void", "out", "new", "in", "count", "spoil", "write_off"];

    /// The stable key, for catalogues (`rework.step.<key>`) and the API.
    pub fn key(&self) -> &'static str {
        match self {
            Step::Void { .. } => "void",
            Step::Out { .. } => "out",
            Step::New { .. } => "new",
            Step::In { .. } => "in",
            Step::Count { .. } => "count",
            Step::Loss { loss: Loss::Spoil, .. } => "spoil",
            Step::Loss { loss: Loss::WriteOff, .. } => "write_off",
        }
    }
}

impl Plan {
    /// Two plans have the same id when they rest on the same facts and do the same.
    pub fn id(&self) -> PlanId {
        // FNV-1a: it tells plans apart, and guards against nobody.
        let text = format!("{self:?}");
        PlanId(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    pub fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        for edit in &self.edits {
            let pack = &edit.pack;
            if edit.way != Way::Under {
                steps.push(Step::Void { pack });
            }
            steps.extend(edit.outs.iter().map(|child| Step::Out { child, of: pack }));
        }
        for edit in &self.edits {
            let (pack, content) = (&edit.pack, edit.content);
            steps.extend(edit.ins.iter().map(|child| Step::In { child, to: pack }));
            match edit.way {
                Way::Anew => steps.push(Step::New { of: pack, content }),
                Way::Under if content != pack.content && pack.labels > 0 => {
                    steps.push(Step::Count { pack, content });
                }
                Way::Under | Way::Void => {}
            }
        }
        steps.extend(self.losses.iter().map(|(child, loss)| Step::Loss { child, loss: *loss }));
        steps
    }
}
