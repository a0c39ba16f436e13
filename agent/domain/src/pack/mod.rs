//! Packs: containers of items, or of other packs, each with a name of its own.
//!
//! A pack is what its data say (behaviour, invariant 6): its content is what was read into it, each child has one parent
//! at most, and no pack closes over what is not resolved. The store decides on each child in the transaction that packs
//! it, by the one table of [`judge`], so that two stations cannot both have it.
//!
//! - [`record`]: what is written down, and what the store answers
//! - [`judge`]: what may go into a pack
//! - [`rework`]: what people do to packs that are closed, and what that means for each pack around
//! - [`doctor`]: what is wrong with a pack, and what rights it
//! - [`station`]: a place where packs are filled, one pure step
//! - [`ask`]: what people may ask of a station, and what they see of it

pub mod ask;
pub mod doctor;
pub mod judge;
pub mod record;
pub mod rework;
pub mod station;

use std::fmt;

use crate::code::Identity;
use crate::gs1::Gtin;
use crate::ids::{AgentId, PackNo, RunId};
use crate::sscc::Sscc;

/// What a pack is, from the inside out. A pack holds items or packs of a lower level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Level {
    /// Has a GTIN and a code of the state system of its own.
    Group,
    Box,
    Pallet,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::Group, Level::Box, Level::Pallet];

    /// The stable key, for the configuration, catalogues and the API.
    pub fn key(self) -> &'static str {
        match self {
            Level::Group => "group",
            Level::Box => "box",
            Level::Pallet => "pallet",
        }
    }
}

/// What lies in a pack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Holds {
    Items,
    /// Closed packs of this level.
    Packs(Level),
}

impl Holds {
    /// The stable key, for the configuration, catalogues and the API.
    pub fn key(self) -> &'static str {
        match self {
            Holds::Items => "items",
            Holds::Packs(level) => level.key(),
        }
    }
}

/// What may lie together in one pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mixing {
    SameRun,
    SameProduct,
    Free,
}

impl Mixing {
    pub const ALL: [Mixing; 3] = [Mixing::SameRun, Mixing::SameProduct, Mixing::Free];

    /// The stable key, for the configuration, catalogues and the API.
    pub fn key(self) -> &'static str {
        match self {
            Mixing::SameRun => "same-run",
            Mixing::SameProduct => "same-product",
            Mixing::Free => "free",
        }
    }
}

/// What a pack is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    pub level: Level,
    pub holds: Holds,
    /// Children of a full pack; at least 1.
    pub capacity: u32,
    pub mixing: Mixing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PackState {
    /// Is being filled.
    Open,
    /// Named, and its content is what it is until somebody reworks it.
    Closed,
    /// Its name is used up, and what was in it is free again.
    Voided,
}

impl PackState {
    /// The stable key, for catalogues and the API.
    pub fn key(self) -> &'static str {
        match self {
            PackState::Open => "open",
            PackState::Closed => "closed",
            PackState::Voided => "voided",
        }
    }
}

/// What a pack is called: it is read on the pack, and upstream knows the pack by it. No other pack ever has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackName {
    Sscc(Sscc),
    /// The state code that a group pack bears, without its tail.
    Code(Identity),
}

impl From<Sscc> for PackName {
    fn from(name: Sscc) -> PackName {
        PackName::Sscc(name)
    }
}

/// The 18 digits of an SSCC, or `(01)…(21)…`: for people, logs and the API.
impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackName::Sscc(name) => name.fmt(f),
            PackName::Code(identity) => identity.fmt(f),
        }
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackName({self})")
    }
}

/// That a product is a group pack of another: so many of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupOf {
    pub gtin: Gtin,
    /// At least 1.
    pub count: u32,
}

/// What goes into a pack, as it was read; with the verification tail where the read had one, which must be the code's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Child {
    /// An item by its code.
    Item { identity: Identity, tail: Option<Vec<u8>> },
    /// A closed pack by its name.
    Pack { name: PackName, tail: Option<Vec<u8>> },
}

impl Child {
    /// The same thing, whatever tail the read had. The code of a group pack names the pack.
    pub fn is(&self, other: &Child) -> bool {
        let name = |child: &Child| match child {
            Child::Item { identity, .. } => PackName::Code(*identity),
            Child::Pack { name, .. } => *name,
        };
        name(self) == name(other)
    }

    /// A pack by its name alone.
    pub fn pack(name: impl Into<PackName>) -> Child {
        Child::Pack { name: name.into(), tail: None }
    }
}

/// What the store knows of a pack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackFacts {
    pub pack: PackNo,
    pub terms: Terms,
    pub state: PackState,
    pub name: Option<PackName>,
    /// Children in it now.
    pub content: u32,
    /// The pack that it lies in.
    pub parent: Option<PackNo>,
    /// The run of all of its items, and their product; `None` where it is empty or they differ.
    pub run: Option<RunId>,
    pub gtin: Option<Gtin>,
    /// Labels asked for with its name, the first included.
    pub labels: u32,
    /// Somebody wants it closed, or closed it, with fewer children than it can hold.
    pub short: bool,
    /// What upstream knows of it.
    pub told: Told,
    /// It is what stayed in this pack, whose name became void: until it is closed it is open at no station.
    pub follows: Option<PackNo>,
    /// The agent that it is a pack of; `None`: this one.
    pub home: Option<AgentId>,
    /// An agent that says that it lies in a pack of theirs.
    pub elsewhere: Option<AgentId>,
}

impl PackFacts {
    /// An open pack before anything is in it.
    pub fn opened(pack: PackNo, terms: Terms) -> PackFacts {
        PackFacts {
            pack,
            terms,
            state: PackState::Open,
            name: None,
            content: 0,
            parent: None,
            run: None,
            gtin: None,
            labels: 0,
            short: false,
            told: Told::Nothing,
            follows: None,
            home: None,
            elsewhere: None,
        }
    }
}

/// What upstream knows of a pack. Only what reports it changes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Told {
    #[default]
    Nothing,
    /// Its aggregation is on its way, or what became of it is not known.
    Aggregating,
    Aggregated,
    /// Its disaggregation is on its way, or what became of it is not known.
    Disaggregating,
    Disaggregated,
    /// Upstream will not have it: named to people.
    Refused,
}

impl Told {
    pub const ALL: [Told; 6] = [
        Told::Nothing,
        Told::Aggregating,
        Told::Aggregated,
        Told::Disaggregating,
        Told::Disaggregated,
        Told::Refused,
    ];

    /// The stable key, for catalogues and the API.
    pub fn key(self) -> &'static str {
        match self {
            Told::Nothing => "nothing",
            Told::Aggregating => "aggregating",
            Told::Aggregated => "aggregated",
            Told::Disaggregating => "disaggregating",
            Told::Disaggregated => "disaggregated",
            Told::Refused => "refused",
        }
    }
}
