//! Documents of packs: those under way, what they carry, what waits for one.

use rusqlite::Row;
use tamga_domain::document::{DocumentKind, Drafted, Member, Piece, PieceEnd, Waiting, root_of};
use tamga_domain::ids::{DocumentNo, PackNo};
use tamga_domain::pack::PackName;
use tamga_domain::record::ReportState;
use tamga_domain::time::Wall;

use super::{View, gtin_at};
use crate::store::error::{Fault, StoreError};
use crate::store::gather::kind_of;
use crate::store::limits::ROWS_MAX;
use crate::store::packs::{NAME, name_at};
use crate::store::reports::report_state_of;
use crate::store::rows::code_of;

/// A document as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRow {
    pub draft: Drafted,
    pub state: ReportState,
    pub why: String,
    pub upstream_id: Option<String>,
    /// Pieces without an end, and those in effect.
    pub open: u32,
    pub taken: u32,
    /// How often it was sent.
    pub attempts: u32,
    pub drafted_at: Wall,
    pub changed_at: Wall,
}

/// A document that carries a pack, with the end of the pack in it: `open`, `taken`, `refused` or `free`.
#[derive(Clone, Debug, PartialEq)]
pub struct CarriedIn {
    pub document: DocumentRow,
    pub ended: &'static str,
    pub why: String,
}

const COLUMNS: &str = "k.document_no, k.kind, k.pieces, k.codes, k.moment, k.lot, k.state, k.why, k.upstream_id, \
    k.open, k.taken, k.attempts, k.drafted_at, k.changed_at";

/// What goes with the code that a group pack is named by: its tail and product group.
const NAME_CODE: &str = "(SELECT tail FROM codes c WHERE c.gtin_id = packs.name_gtin AND c.serial = packs.name_serial), \
    (SELECT goods_group FROM codes c JOIN runs r ON r.run = c.run \
    WHERE c.gtin_id = packs.name_gtin AND c.serial = packs.name_serial)";

impl View<'_> {
    /// Documents not finally answered, oldest first.
    pub fn documents_open(&self) -> Result<Vec<DocumentRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM documents k WHERE k.state < 4 ORDER BY k.document_no");
        self.all(&sql, [], document)
    }

    /// The ends that pieces of a document have. Of what is free the lot is not read.
    pub fn piece_ends(&self, document: DocumentNo) -> Result<Vec<(u32, PieceEnd)>, StoreError> {
        let sql = "SELECT piece, ended, why FROM document_pieces WHERE document_no = ?1 AND ended > 0 ORDER BY piece";
        self.all(sql, [document.0], |r| {
            let end = match r.get::<_, i64>(1)? {
                1 => PieceEnd::Taken,
                2 => PieceEnd::Refused(r.get(2)?),
                _ => PieceEnd::Free { lot: 0 },
            };
            Ok((r.get(0)?, end))
        })
    }

    /// All documents, newest first, older than `before` when it is given.
    pub fn documents(&self, before: Option<DocumentNo>, limit: u32) -> Result<Vec<DocumentRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM documents k WHERE k.document_no < ?1 ORDER BY k.document_no DESC LIMIT ?2"
        );
        self.all(&sql, (before.map_or(u32::MAX, |d| d.0), limit.min(ROWS_MAX)), document)
    }

    /// The documents that carry or carried a pack, newest first.
    pub fn documents_of(&self, pack: PackNo) -> Result<Vec<CarriedIn>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, d.ended, d.why FROM document_pieces d JOIN documents k USING(document_no) \
             WHERE d.pack_no = ?1 ORDER BY k.document_no DESC LIMIT ?2"
        );
        self.all(&sql, (pack.0, ROWS_MAX), |r| {
            let ended = match r.get(14)? {
                0 => "open",
                1 => "taken",
                2 => "refused",
                _ => "free",
            };
            Ok(CarriedIn { document: document(r)?, ended, why: r.get(15)? })
        })
    }

    /// By kind: the newest document that is in effect, whole or in part.
    pub fn documents_accepted(&self) -> Result<Vec<(DocumentKind, DocumentNo)>, StoreError> {
        let mut newest = Vec::new();
        for (number, kind) in (0_i64..).zip(DocumentKind::ALL) {
            let sql = "SELECT document_no FROM documents WHERE kind = ?1 AND state = 4 ORDER BY document_no DESC LIMIT 1";
            newest.extend(self.one(sql, [number], |r| Ok((kind, DocumentNo(r.get(0)?))))?);
        }
        Ok(newest)
    }

    /// What waits for documents.
    pub fn documents_waiting(&self) -> Result<Waiting, StoreError> {
        let sql = "SELECT EXISTS(SELECT 1 FROM packs WHERE state = 1 AND told = 0 AND agent IS NULL), \
                   EXISTS(SELECT 1 FROM packs WHERE state = 2 AND told = 2 AND agent IS NULL), \
                   EXISTS(SELECT 1 FROM write_offs WHERE told = 0)";
        let waiting = self.one(sql, [], |r| Ok(Waiting { kinds: [r.get(0)?, r.get(1)?, r.get(2)?] }))?;
        Ok(waiting.unwrap_or_default())
    }

    /// Pieces `from ..= to` of a document as it carries them. Ask in slices of some hundred.
    pub fn pieces(&self, document: DocumentNo, from: u32, to: u32) -> Result<Vec<Piece>, StoreError> {
        let sql = format!(
            "SELECT {NAME}, {NAME_CODE}, d.piece, capacity, packs.pack_no, k.kind FROM document_pieces d \
             JOIN documents k USING(document_no) JOIN packs ON packs.pack_no = d.pack_no \
             WHERE d.document_no = ?1 AND d.piece BETWEEN ?2 AND ?3 ORDER BY d.piece"
        );
        let packs = self.all(&sql, (document.0, from, to), |r| {
            let (what, no, capacity) = (pack_named(r)?, r.get(5)?, r.get(6)?);
            let piece = Piece { no, what, capacity, children: Vec::new() };
            Ok((piece, PackNo(r.get(7)?), r.get::<_, i64>(8)? == 0))
        })?;
        let mut pieces = Vec::with_capacity(packs.len());
        for (mut piece, pack, with_children) in packs {
            if with_children {
                piece.children = self.members(pack)?;
            }
            pieces.push(piece);
        }
        let sql = "SELECT d.piece, gtin, w.serial, c.tail, r.goods_group FROM document_pieces d \
                   JOIN write_offs w ON w.id = d.write_off JOIN gtins USING(gtin_id) \
                   JOIN codes c ON c.gtin_id = w.gtin_id AND c.serial = w.serial JOIN runs r ON r.run = c.run \
                   WHERE d.document_no = ?1 AND d.piece BETWEEN ?2 AND ?3 ORDER BY d.piece";
        pieces.extend(self.all(sql, (document.0, from, to), |r| {
            let what = member(r, 1)?;
            Ok(Piece { no: r.get(0)?, what, capacity: 1, children: Vec::new() })
        })?);
        Ok(pieces)
    }

    /// What lies in a pack, as a document names it.
    fn members(&self, pack: PackNo) -> Result<Vec<Member>, StoreError> {
        let sql = "SELECT gtin, serial, tail, goods_group FROM codes JOIN gtins USING(gtin_id) JOIN runs USING(run) \
                   WHERE pack_no = ?1 ORDER BY gtin, serial";
        let mut all = self.all(sql, [pack.0], |r| member(r, 0))?;
        let sql = format!("SELECT {NAME}, {NAME_CODE} FROM packs WHERE parent = ?1 ORDER BY pack_no");
        all.extend(self.all(&sql, [pack.0], pack_named)?);
        Ok(all)
    }
}

/// A pack by its name: the columns of [`NAME`] and [`NAME_CODE`].
fn pack_named(r: &Row<'_>) -> Result<Member, Fault> {
    match name_at(r, 0)? {
        Some(PackName::Sscc(sscc)) => Ok(Member::Pack(sscc)),
        Some(PackName::Code(name)) => {
            let tail: Vec<u8> = r.get(3)?;
            Ok(Member::Code { group: r.get(4)?, code: code_of(name.gtin, name.serial.as_bytes(), &tail)? })
        }
        None => Err(Fault::Damaged("a pack without a name in a document".to_owned())),
    }
}

/// GTIN, serial, tail and product group from the column `at` on.
fn member(r: &Row<'_>, at: usize) -> Result<Member, Fault> {
    let (serial, tail): (Vec<u8>, Vec<u8>) = (r.get(at + 1)?, r.get(at + 2)?);
    Ok(Member::Code { group: r.get(at + 3)?, code: code_of(gtin_at(r, at)?, &serial, &tail)? })
}

fn document(r: &Row<'_>) -> Result<DocumentRow, Fault> {
    let upstream_id: Option<String> = r.get(8)?;
    let state = report_state_of(r.get(6)?, upstream_id.as_deref());
    let draft = Drafted {
        no: DocumentNo(r.get(0)?),
        kind: kind_of(r.get(1)?)?,
        pieces: r.get(2)?,
        codes: r.get(3)?,
        moment: Wall(r.get(4)?),
        root: root_of(r.get(5)?),
    };
    Ok(DocumentRow {
        draft,
        state,
        why: r.get(7)?,
        upstream_id,
        open: r.get(9)?,
        taken: r.get(10)?,
        attempts: r.get(11)?,
        drafted_at: Wall(r.get(12)?),
        changed_at: Wall(r.get(13)?),
    })
}
