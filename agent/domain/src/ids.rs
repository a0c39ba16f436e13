//! Numbers that name things. One newtype each, so that no bare integer crosses a module.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One production run; given by the store, from 1, never used twice.
    RunId(u32)
);
id!(
    /// A line of the configuration, by its place there, from 0.
    LineNo(u16)
);
id!(
    /// A printer of a line, by its place in the line's configuration, from 0.
    PrinterNo(u8)
);
id!(
    /// A reader of a line, by its place in the line's configuration, from 0.
    ReaderNo(u8)
);
id!(
    /// An order of codes, in the store.
    OrderNo(u32)
);
id!(
    /// A block (xTrace: a pack) of codes, in the store.
    BlockNo(u32)
);
id!(
    /// A report for upstream, in the store.
    ReportNo(u32)
);
id!(
    /// A document of packs for upstream, in the store.
    DocumentNo(u32)
);
id!(
    /// The place of a code in the order in which its run issued codes, from 1.
    IssueNo(u32)
);
id!(
    /// The place of a code in the order in which its run's items passed the gate, from 1.
    PassNo(u32)
);
id!(
    /// A pack, in the store; never used twice.
    PackNo(u32)
);
id!(
    /// A packing station, by its name in the store, from 0.
    StationNo(u16)
);
id!(
    /// One commit asked of the store. Unique within a process; not durable.
    TxnId(u64)
);

/// An agent, by the id made at its installation: eight hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct AgentId(pub u32);

impl AgentId {
    /// Exactly eight hexadecimal digits in small letters, as the agent shows its own.
    pub fn parse(text: &str) -> Option<AgentId> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 8 || !text.bytes().all(is_digit) {
            return None;
        }
        u32::from_str_radix(text, 16).ok().map(AgentId)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The number that the trigger in front of a reader gives to the item standing there.
/// `boot` grows when the gate's controller powers up, since its count begins again then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Tag {
    pub boot: u16,
    pub number: u32,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.boot, self.number)
    }
}
