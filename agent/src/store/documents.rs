//! Documents of packs: their states, and the end of each of their pieces.
//!
//! What upstream knows of a pack changes here and in [`super::gather`], and nowhere else.

use rusqlite::params;
use tamga_domain::code::Identity;
use tamga_domain::document::{DocumentAnswer, DocumentKind, DocumentRecord, PIECES_MAX, PieceEnd};
use tamga_domain::ids::{DocumentNo, PackNo};
use tamga_domain::lifecycle::Happening;
use tamga_domain::pack::Told;
use tamga_domain::record::{Answer, ReportState};
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::gather::{Wanted, kind_of};
use super::people::{Change, Incident, PackMark, cut};
use super::reports::{ACCEPTED, report_state_key, report_state_number};
use super::rows::{Key, serial_of, state_number, step};
use super::tx::{Heap, Tx};

impl Tx<'_> {
    pub(super) fn apply_document(&self, record: &DocumentRecord) -> Result<Option<Answer>, Fault> {
        let answer = match record {
            DocumentRecord::Gather { kind, document, after, lots, limits, by, at } => {
                let wanted = Wanted { kind: *kind, after: *after, lots: *lots, limits: *limits, by: *by };
                DocumentAnswer::Gathered(self.gather(*document, wanted, *at)?)
            }
            DocumentRecord::State { document, state, why, at } => {
                self.document_state(*document, state, why, *at)?;
                return Ok(None);
            }
            DocumentRecord::Ends { document, ends, at } => {
                self.document_ends(*document, ends, *at)?;
                return Ok(None);
            }
            DocumentRecord::Again { pack, reason, who, at } => {
                DocumentAnswer::Again(self.tell_again(*pack, reason, who, *at)?)
            }
        };
        Ok(Some(Answer::Document(answer)))
    }

    fn document_row(&self, document: DocumentNo) -> Result<(DocumentKind, i64, Option<String>), Fault> {
        let sql = "SELECT kind, state, upstream_id FROM documents WHERE document_no = ?1";
        let row = self.one(sql, [document.0], |r| Ok((r.get::<_, i64>(0)?, r.get(1)?, r.get(2)?)))?;
        let (kind, state, id) = row.ok_or(Rule::NoSuchDocument(document))?;
        Ok((kind_of(kind)?, state, id))
    }

    fn document_state(
        &self,
        document: DocumentNo,
        to: &ReportState,
        why: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        let (_, from, id) = self.document_row(document)?;
        let number = report_state_number(to);
        let upstream_id = to.upstream_id();
        if from == number && (upstream_id.is_none() || upstream_id == id.as_deref()) {
            return Ok(());
        }
        if from >= ACCEPTED {
            let (from, to) = (report_state_key(from), report_state_key(number));
            return Err(Rule::DocumentStep { document, from, to }.into());
        }
        let attempts = u32::from(*to == ReportState::Sent);
        let sql = "UPDATE documents SET state = ?3, why = ?4, upstream_id = ifnull(?5, upstream_id), changed_at = ?6, \
                   attempts = attempts + ?7 WHERE document_no = ?1 AND state = ?2";
        let params = params![document.0, from, number, cut(why), upstream_id, at.0, attempts];
        self.must("the state of a document", 1, sql, params)?;
        self.changed(Change::Document(document, to), "", why, at)
    }

    /// The first end of a piece counts: a start in the middle tells them again.
    fn document_ends(&self, document: DocumentNo, ends: &[(u32, PieceEnd)], at: Wall) -> Result<(), Fault> {
        if ends.len() > PIECES_MAX as usize {
            return Err(Rule::TooMany { len: ends.len(), most: PIECES_MAX as usize }.into());
        }
        let (kind, _, _) = self.document_row(document)?;
        for (piece, end) in ends {
            let sql = "SELECT ended, ifnull(pack_no, write_off) FROM document_pieces WHERE document_no = ?1 AND piece = ?2";
            let row =
                self.one(sql, (document.0, piece), |r| Ok((r.get::<_, i64>(0)?, r.get::<_, u32>(1)?)))?;
            let (ended, of) = row.ok_or(Rule::NoSuchDocument(document))?;
            if ended != 0 {
                continue;
            }
            let (number, why) = match end {
                PieceEnd::Taken => (1, ""),
                PieceEnd::Refused(why) => (2, cut(why)),
                PieceEnd::Free { .. } => (3, ""),
            };
            let sql = "UPDATE document_pieces SET ended = ?3, why = ?4 WHERE document_no = ?1 AND piece = ?2 AND ended = 0";
            self.must("a piece of a document", 1, sql, (document.0, piece, number, why))?;
            let sql = "UPDATE documents SET open = open - 1, taken = taken + ?2 WHERE document_no = ?1";
            self.must("a document", 1, sql, (document.0, u32::from(number == 1)))?;
            match kind {
                DocumentKind::Aggregation => self.pack_told(of, Told::Nothing, Told::Aggregated, end)?,
                DocumentKind::Disaggregation => {
                    self.pack_told(of, Told::Aggregated, Told::Disaggregated, end)?
                }
                DocumentKind::Withdrawal => self.write_off_told(of, end, at)?,
            }
        }
        Ok(())
    }

    /// `before`: what upstream knew before the document; `after`: what it knows when it is in effect.
    fn pack_told(&self, pack: u32, before: Told, after: Told, end: &PieceEnd) -> Result<(), Fault> {
        let open = if before == Told::Nothing { Told::Aggregating } else { Told::Disaggregating };
        match end {
            PieceEnd::Taken => self.set_told(pack, open, after),
            PieceEnd::Refused(_) => self.set_told(pack, open, Told::Refused),
            PieceEnd::Free { lot } => {
                self.set_told(pack, open, before)?;
                let sql =
                    "INSERT INTO telling(pack_no, lot) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET lot = ?2";
                self.must("the lot of a pack", 1, sql, (pack, lot))
            }
        }
    }

    // ---- write-offs ----

    fn write_off_told(&self, id: u32, end: &PieceEnd, at: Wall) -> Result<(), Fault> {
        let (told, lot) = match end {
            PieceEnd::Taken => (2, 0),
            PieceEnd::Refused(_) => (5, 0),
            PieceEnd::Free { lot } => (0, *lot),
        };
        let sql = "UPDATE write_offs SET told = ?2, lot = ?3 WHERE id = ?1 AND told = 1";
        self.must("a write-off", 1, sql, (id, told, lot))?;
        if told == 2 { self.written_off(id, at) } else { Ok(()) }
    }

    /// Its write-off is in effect: the code is dead, and its counts move.
    fn written_off(&self, id: u32, at: Wall) -> Result<(), Fault> {
        let sql = "SELECT gtin_id, serial FROM write_offs WHERE id = ?1";
        let found = self.one(sql, [id], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
        let (gtin_id, serial) = found.ok_or_else(|| Fault::Damaged(format!("the write-off {id}")))?;
        let gtin = self.gtin_of_id(gtin_id)?;
        let code = Identity { gtin, serial: serial_of(&serial)? };
        let key = Key { gtin: gtin_id, identity: &code };
        let row = self.code(&key)?.ok_or(Rule::UnknownCode(code))?;
        let to = step(&code, self.state_now(&row)?, Happening::WriteOffAccepted)?;
        let sql = "UPDATE codes SET state = ?4 WHERE gtin_id = ?1 AND serial = ?2 AND state = ?3";
        let numbers = (state_number(row.state), state_number(to));
        self.must("the state of a code", 1, sql, (key.gtin, key.serial(), numbers.0, numbers.1))?;
        self.move_in_block(row.block, Heap::Applied, Heap::WrittenOff, 1)?;
        if let Some(run) = row.run {
            self.move_in_run(run, Heap::Applied, Heap::WrittenOff, 1)?;
        }
        self.incident(Incident {
            run: row.run,
            code: Some(&code),
            tag: row.tag,
            key: "written_off",
            detail: "",
            at,
        })
    }

    // ---- people ----

    /// What upstream refused goes back to where it waited before.
    fn tell_again(&self, pack: PackNo, reason: &str, who: &str, at: Wall) -> Result<bool, Fault> {
        let facts = self.pack_by_no(pack)?.ok_or(Rule::NoSuchPack(pack))?;
        if facts.told != Told::Refused {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM document_pieces JOIN documents USING(document_no) \
                   WHERE pack_no = ?1 AND ended = 1 AND kind = 0";
        let was_taken = self.one(sql, [pack.0], |_| Ok(()))?.is_some();
        let back = if was_taken { Told::Aggregated } else { Told::Nothing };
        self.run("DELETE FROM telling WHERE pack_no = ?1", [pack.0])?;
        self.set_told(pack.0, Told::Refused, back)?;
        self.changed(Change::Pack(pack, facts.state, PackMark::Again), who, reason, at)?;
        Ok(true)
    }
}
