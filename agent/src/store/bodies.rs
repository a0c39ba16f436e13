//! The bodies of blocks as received: kept in pieces and let go in pieces, so that no transaction writes or frees more.
//!
//! A body arrives under the key of its block (order, pack id). Its pieces alone are no block: only the commit that
//! writes the block's row makes them one. What a killed process had of a body is let go at the next start, and never
//! gone on with: upstream may give that block with other bytes.

use tamga_domain::ids::{BlockNo, OrderNo};

use super::error::Fault;
use super::limits::{PIECE_BYTES, PIECES_FREED_MAX};
use super::tx::Tx;

/// A piece's number is its body's number and its place.
const PLACE_BITS: u32 = 20;

/// A body on its way: its number, and how many of its pieces are kept.
struct Arriving {
    body: i64,
    kept: u32,
}

fn pieces_of(body: &[u8]) -> u32 {
    u32::try_from(body.len().div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

impl Tx<'_> {
    /// Keeps the next piece of a body, as long as that is not the last one: the last is for the block's own commit.
    /// Answers whether there is another such piece.
    pub(super) fn keep_piece(&self, order: OrderNo, pack_id: &str, body: &[u8]) -> Result<bool, Fault> {
        let all = pieces_of(body);
        if all < 2 || self.block_of(order, pack_id)?.is_some() {
            return Ok(false);
        }
        let arriving = self.arriving(order, pack_id, body)?;
        if arriving.kept + 1 < all {
            self.keep(&arriving, body, arriving.kept + 1)?;
        }
        Ok(arriving.kept + 2 < all)
    }

    /// Keeps what is not kept yet, as the body of a block.
    pub(super) fn keep_body(
        &self,
        block: BlockNo,
        order: OrderNo,
        pack_id: &str,
        body: &[u8],
    ) -> Result<(), Fault> {
        let arriving = self.arriving(order, pack_id, body)?;
        self.keep(&arriving, body, pieces_of(body))?;
        let sql = "UPDATE bodies SET block_no = ?2 WHERE body = ?1 AND block_no IS NULL";
        self.must("a block's body", 1, sql, (arriving.body, block.0))
    }

    fn arriving(&self, order: OrderNo, pack_id: &str, body: &[u8]) -> Result<Arriving, Fault> {
        let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let sql = "SELECT body, kept FROM bodies WHERE order_no = ?1 AND pack_id = ?2 AND size = ?3 \
                   AND block_no IS NULL AND spent = 0";
        let there =
            self.one(sql, (order.0, pack_id, size), |r| Ok(Arriving { body: r.get(0)?, kept: r.get(1)? }))?;
        if let Some(there) = there {
            return Ok(there);
        }
        let sql = "INSERT INTO bodies(order_no, pack_id, size) VALUES(?1, ?2, ?3)";
        self.run(sql, (order.0, pack_id, size))?;
        Ok(Arriving { body: self.conn.last_insert_rowid(), kept: 0 })
    }

    /// Keeps the pieces up to the `to`th.
    fn keep(&self, arriving: &Arriving, body: &[u8], to: u32) -> Result<(), Fault> {
        for (place, bytes) in (0..to).zip(body.chunks(PIECE_BYTES)).skip(arriving.kept as usize) {
            let piece = (arriving.body << PLACE_BITS) + i64::from(place);
            self.run("INSERT INTO pieces(piece, bytes) VALUES(?1, ?2)", (piece, bytes))?;
        }
        let sql = "UPDATE bodies SET kept = ?2 WHERE body = ?1";
        self.must("a body", 1, sql, (arriving.body, to))
    }

    /// The body is not needed any more: its pieces are let go when there is time.
    pub(super) fn spend_body(&self, block: BlockNo) -> Result<(), Fault> {
        self.must("a block's body", 1, "UPDATE bodies SET spent = 1 WHERE block_no = ?1", [block.0])
    }

    /// Whether pieces wait to be let go.
    pub(super) fn has_spent(&self) -> Result<bool, Fault> {
        Ok(self.one("SELECT 1 FROM bodies WHERE spent = 1 LIMIT 1", [], |_| Ok(()))?.is_some())
    }

    /// Lets go some pieces of one body, or the body itself after its last piece.
    pub(super) fn free_pieces(&self) -> Result<(), Fault> {
        let sql = "SELECT body FROM bodies WHERE spent = 1 ORDER BY body LIMIT 1";
        let Some(body): Option<i64> = self.one(sql, [], |r| r.get(0))? else {
            return Ok(());
        };
        let sql = "DELETE FROM pieces WHERE piece IN (SELECT piece FROM pieces \
                   WHERE piece >= ?1 AND piece < ?2 ORDER BY piece LIMIT ?3)";
        let freed = self.run(sql, (body << PLACE_BITS, (body + 1) << PLACE_BITS, PIECES_FREED_MAX))?;
        if freed < PIECES_FREED_MAX as usize {
            self.must("a body", 1, "DELETE FROM bodies WHERE body = ?1", [body])?;
        }
        Ok(())
    }

    /// At a start: bodies that a killed process had in part.
    pub(super) fn forget_arriving(&self) -> Result<(), Fault> {
        self.run("UPDATE bodies SET spent = 1 WHERE block_no IS NULL AND spent = 0", [])?;
        Ok(())
    }

    /// The bytes of a block as received.
    pub(super) fn body(&self, block: BlockNo) -> Result<Option<Vec<u8>>, Fault> {
        let sql = "SELECT body, size FROM bodies WHERE block_no = ?1 AND spent = 0";
        let found = self.one(sql, [block.0], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)))?;
        let Some((body, size)) = found else {
            return Ok(None);
        };
        let sql = "SELECT bytes FROM pieces WHERE piece >= ?1 AND piece < ?2 ORDER BY piece";
        let pieces: Vec<Vec<u8>> =
            self.all(sql, (body << PLACE_BITS, (body + 1) << PLACE_BITS), |r| r.get(0))?;
        let whole = pieces.concat();
        if i64::try_from(whole.len()) == Ok(size) {
            Ok(Some(whole))
        } else {
            Err(Fault::Damaged(format!("{} of {size} bytes of block {block}", whole.len())))
        }
    }
}
