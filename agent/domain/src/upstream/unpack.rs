//! Turning the codes of a durable block into codes of the pool, a slice at a time.
//!
//! Slices go to the store in order and few at once, so that the lines' commits come in between. A start goes on
//! where the last durable slice ended.
//!
//! Codes are unpacked in the order of their bytes, not as received: serials are random, and a slice of neighbours
//! touches a few pages of the store where a slice of strangers touches one a code. The order is made anew from the
//! body at every start, and is the same each time.

use super::config::BlockFacts;
use super::core::{Core, Subject};
use crate::code::Code;
use crate::gs1::Gtin;
use crate::ids::BlockNo;
use crate::layout::Layout;
use crate::record::{Record, Unpacked};

/// A slice keeps the writer busy for less than 5 ms.
pub(super) const SLICE: usize = 100;

/// Reads one code as upstream issued it. Unlike a read from a mark, nothing is put back: bytes that the layout would
/// write in another way are not a code to be printed.
pub fn read_issued(layout: &Layout, raw: &[u8]) -> Result<Code, String> {
    let parsed = layout.parse(raw).map_err(|e| e.to_string())?;
    match layout.render_full(&parsed.code) {
        Ok(written) if written == raw => Ok(parsed.code),
        Ok(_) => {
            Err("the layout writes this code in another way: a separator is lost or spelled differently"
                .into())
        }
        Err(e) => Err(e.to_string()),
    }
}

pub(super) struct Unpacking {
    pub block: BlockNo,
    pub gtin: Gtin,
    group: String,
    codes: Vec<Vec<u8>>,
    /// Codes handed to the store.
    next: usize,
    /// Codes that the store has.
    durable: usize,
}

impl Unpacking {
    pub fn new(mut facts: BlockFacts) -> Unpacking {
        if !facts.as_received {
            facts.codes.sort_unstable();
        }
        let BlockFacts { block, gtin, group, codes, unpacked, as_received: _ } = facts;
        let next = (unpacked as usize).min(codes.len());
        Unpacking { block, gtin, group, codes, next, durable: next }
    }

    pub fn left(&self) -> u64 {
        (self.codes.len() - self.durable) as u64
    }

    pub fn under_way(&self) -> u32 {
        u32::try_from((self.next - self.durable).div_ceil(SLICE)).unwrap_or(u32::MAX)
    }

    pub fn done(&self) -> bool {
        self.durable == self.codes.len()
    }

    /// Hands the next slice to the store. False when there is none left to hand over.
    pub fn hand_over(&mut self, core: &mut Core) -> bool {
        if self.next == self.codes.len() {
            return false;
        }
        let end = (self.next + SLICE).min(self.codes.len());
        let slice = self.codes[self.next..end].iter().map(|raw| self.read(core, raw)).collect();
        let from = u32::try_from(self.next).unwrap_or(u32::MAX);
        self.next = end;
        core.commit(
            Subject::Block(self.block),
            vec![Record::Unpack { block: self.block, from, slice, at: core.wall }],
        );
        true
    }

    fn read(&self, core: &Core, raw: &[u8]) -> Unpacked {
        match (core.parse)(&self.group, raw) {
            Ok(code) if code.identity.gtin == self.gtin => Unpacked::Code(code),
            Ok(_) => Unpacked::Malformed { bytes: raw.to_vec(), reason: "of another product".into() },
            Err(reason) => Unpacked::Malformed { bytes: raw.to_vec(), reason },
        }
    }

    /// The oldest slice under way is durable.
    pub fn committed(&mut self) {
        self.durable = (self.durable + SLICE).min(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::world;

    #[test]
    fn codes_go_in_the_order_of_their_bytes_unless_their_block_was_begun_as_received() {
        let codes: Vec<Vec<u8>> = ["c", "a", "d", "b"].map(|c| c.as_bytes().to_vec()).to_vec();
        let check = |unpacked, as_received, want: &[&[u8]]| {
            let (gtin, group, codes) = (world::gtin(), "water".to_owned(), codes.clone());
            let block = BlockNo(1);
            let facts = BlockFacts { block, gtin, group, codes, unpacked, as_received };
            let unpacking = Unpacking::new(facts);
            assert_eq!(unpacking.codes[unpacking.next..], *want);
        };
        check(0, false, &[b"a", b"b", b"c", b"d"]);
        check(3, false, &[b"d"]);
        check(3, true, &[b"b"]);
    }
}
