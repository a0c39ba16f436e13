//! What is written down of packs, and what the store answers.

use super::judge::NotIn;
use super::rework::{NotDone, PlanId, Rework};
use super::{Child, PackName, Terms};
use crate::code::Identity;
use crate::gs1::Gtin;
use crate::ids::{AgentId, PackNo, StationNo};
use crate::sscc::Sscc;
use crate::time::Wall;

/// The most children in one record: a layer of the largest pattern, or a hundred codes of a stream.
pub const CHILDREN_MAX: usize = 100;

/// One fact of a pack. `at` is the calendar's time for people and upstream; nothing is decided by it.
#[derive(Clone, Debug, PartialEq)]
pub enum PackRecord {
    /// Puts children into the open pack of a station, all or none; each is decided on by [`super::judge::judge`] as it is
    /// in this transaction. `pack` is the open one as the station knows it; `None` opens one. Answered with
    /// [`PackAnswer::In`] or [`PackAnswer::NotIn`]. An open pack keeps the terms that it was opened with. Told again it changes nothing and says that the children are in a pack.
    In { station: StationNo, pack: Option<PackNo>, terms: Terms, children: Vec<Child>, who: String, at: Wall },
    /// Names an open pack. A name is given once and never again; a pack that has one keeps it. Answered with
    /// [`PackAnswer::Named`], [`PackAnswer::NameUsed`], [`PackAnswer::NotName`], [`PackAnswer::NoNames`] or, where the
    /// database may be an older one, [`crate::record::Answer::Barred`].
    Named { pack: PackNo, name: NewName, at: Wall },
    /// One more label with the pack's name is to be printed. The first needs no reason. Answered with
    /// [`PackAnswer::Label`], or with [`PackAnswer::NotDone`] when the pack is void. Told again it is one more.
    Label { pack: PackNo, reason: String, who: String, at: Wall },
    /// A person wants the open pack closed with fewer children than it can hold: durable before it gets its name, since
    /// the label may be read on it after the next start. Told again the last reason counts.
    Short { pack: PackNo, reason: String, who: String, at: Wall },
    /// The pack is what it says. Not allowed while it has no name or no content, or is neither full nor to be closed short.
    /// `who` read the name on a full one; a short one is closed by who wanted it.
    Closed { pack: PackNo, who: String, at: Wall },
    /// Takes a child out of an open pack. Answered with [`PackAnswer::Out`].
    Out { pack: PackNo, child: Child, reason: String, who: String, at: Wall },
    /// The pack is none any more: its name is used up, what was in it is free. Answered with [`PackAnswer::Within`] or
    /// [`PackAnswer::Elsewhere`], and nothing changed, while it lies in another pack, here or at another agent's; with
    /// [`PackAnswer::NotDone`] while a report names it.
    Voided { pack: PackNo, reason: String, who: String, at: Wall },
    /// Reworks packs, all of it or nothing, by the plan that [`super::rework::plan`] makes of it in this transaction; if it
    /// is to be another than the one that was `shown`, nothing is done. Answered with [`PackAnswer::Reworked`],
    /// [`PackAnswer::NotDone`], [`PackAnswer::OtherPlan`] or [`PackAnswer::KeyTaken`]. The caller's own `key` is that of
    /// one rework: told again with it, it changes nothing and has the same answer.
    Rework {
        key: Option<String>,
        works: Vec<Rework>,
        shown: Option<PlanId>,
        reason: String,
        who: String,
        at: Wall,
    },
}

/// Where a name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewName {
    /// The next SSCC of the agent's range.
    Next,
    /// One that was printed before and read on the pack.
    Read(Sscc),
    /// The code of a group pack, with the tail that was read on it; `of`: the product that it is a group pack of. It must
    /// be a code that a line saw and let pass, and what lies in the pack must be that product.
    Code { identity: Identity, tail: Vec<u8>, of: Gtin },
}

/// What the store says to the records of packs.
#[derive(Clone, Debug, PartialEq)]
pub enum PackAnswer {
    /// All are in this pack, which has so many now.
    In { pack: PackNo, content: u32 },
    /// The same, and these were read behind the gate, which had not said that they passed: now they did.
    InSeen { pack: PackNo, content: u32, seen: Vec<Identity> },
    /// None is in; why, for each that is not allowed, by its place among the children.
    NotIn(Vec<(usize, NotIn)>),
    /// The pack's name, and how many names of the agent's range were used up for it now: none, where it was read or given
    /// before; more than one, where some were on labels already.
    Named { name: PackName, used: u32 },
    /// Another pack has or had this name.
    NameUsed(PackNo),
    /// What was read cannot be the name of this pack, and why.
    NotName(NotIn),
    /// The agent has no SSCC left, or none at all.
    NoNames,
    /// So many labels were asked for with this name, this one included.
    Label(u32),
    /// So many children are left in the pack; `None`: the child was not in it.
    Out(Option<u32>),
    /// Nothing was changed: it lies in this pack, and has to be taken out of it first.
    Within(PackNo),
    /// It is done. Each pack whose name became void, and the new one that what stayed in it is.
    Reworked(Vec<(PackNo, PackNo)>),
    /// Nothing was changed, and why.
    NotDone(Box<NotDone>),
    /// Nothing was changed: what would be done is not what was shown.
    OtherPlan(PlanId),
    /// Nothing was changed: the key is that of another rework.
    KeyTaken,
    /// Nothing was changed: this agent says that it lies in a pack of theirs, and has to take it out of it first.
    Elsewhere(AgentId),
}
