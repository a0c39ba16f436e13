//! What may be told upstream of packs, and the documents that it is put into.
//!
//! Whether a pack may be told is decided here, in the transaction that puts it into a document, from what is durable:
//! all its items are applied and none is held, its packs are aggregated, and nothing of it lies in another pack
//! upstream. What waits is noted with what it waits for, so that looking again costs a row or two, however large it is.

use tamga_domain::document::{
    DocumentKind, Drafted, Gathered, Limits, NO_DOCUMENT, PIECES_MAX, TOO_MANY, root_of,
};
use tamga_domain::ids::{DocumentNo, PackNo, PassNo, RunId};
use tamga_domain::pack::{Holds, Level, PackFacts, PackName, Told};
use tamga_domain::record::ReportState;
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::limits::CHILDREN_LOOKED_MAX;
use super::pack_rows::told_number;
use super::people::Change;
use super::reports::{ACCEPTED, report_state_key};
use super::tx::Tx;

/// `t` was taken out of the pack `f`, in which upstream has it, or may have it, still: it was in it when it was told.
const LIES_UPSTREAM: &str = "(f.told IN (1, 2, 3, 5) AND EXISTS(SELECT 1 FROM document_pieces d \
    JOIN documents k USING(document_no) WHERE d.pack_no = f.pack_no AND k.kind = 0 AND d.ended < 2 AND t.id > d.outs))";

/// What is to be gathered.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) kind: DocumentKind,
    pub(super) after: u32,
    pub(super) lots: bool,
    pub(super) limits: Limits,
    /// Upstream's clock.
    pub(super) by: Wall,
}

/// Something that waits, as it may be put into a document.
struct Candidate {
    /// A pack, or a write-off.
    no: u32,
    lot: u32,
    codes: u32,
    is_group: bool,
    /// When the last of it was made, by the reports that carry it.
    made: Option<Wall>,
}

/// What a look at something that waits says.
enum Look {
    May(Candidate),
    Waits,
    /// No document can ever carry it.
    Never(&'static str),
}

/// What a pack waits for.
#[derive(Clone, Copy)]
enum Waits {
    Item(RunId, PassNo),
    /// A pack in it is to be told first, or was voided by its agent.
    Child(PackNo),
    /// Some of it lies in this pack upstream.
    Former(PackNo),
}

/// A report that carries the passes `first ..= last` of a run.
#[derive(Clone, Copy)]
struct Carrying {
    run: RunId,
    first: u32,
    last: u32,
    production: Wall,
}

impl Tx<'_> {
    pub(super) fn gather(
        &self,
        document: Option<DocumentNo>,
        wanted: Wanted,
        at: Wall,
    ) -> Result<Gathered, Fault> {
        let mut draft = document.map(|no| self.draft(no, wanted.kind)).transpose()?;
        let (mut full, mut more, mut looked, mut refused) = (false, false, 0, None);
        let waiting = self.waiting_after(wanted)?;
        let mut last = wanted.after;
        let mut all = waiting.len() < PIECES_MAX as usize;
        for no in waiting {
            if full || looked > CHILDREN_LOOKED_MAX {
                all = false;
                break;
            }
            last = no;
            let candidate = match self.candidate(wanted, no, &mut looked)? {
                Look::Waits => continue,
                Look::Never(why) => {
                    refused = Some((refused.map_or(1, |(n, _)| n + 1), why));
                    continue;
                }
                Look::May(candidate) => candidate,
            };
            let moment = draft.map_or(wanted.by, |d: Draft| d.drafted.moment.max(wanted.by));
            if candidate.lot > 0 && !wanted.lots || candidate.made.is_some_and(|made| made >= moment) {
                continue;
            }
            let (lot, codes, groups) =
                draft.map_or((candidate.lot, 0, 0), |d| (d.lot, d.drafted.codes, d.groups));
            let too_many = candidate.is_group && groups >= wanted.limits.groups;
            if candidate.lot != lot || too_many {
                more = true;
            } else if codes > 0 && codes + candidate.codes > wanted.limits.codes {
                full = true;
            } else {
                let mut so_far = match draft {
                    Some(draft) => draft,
                    None => self.new_draft(wanted, lot, at)?,
                };
                // What was closed after the first piece went in: the moment is not before any packing.
                so_far.drafted.moment = moment;
                draft = Some(self.put_in(so_far, &candidate)?);
            }
        }
        let next = (!all && !full).then_some(last);
        Ok(Gathered { document: draft.map(|d| d.drafted), full, more, refused, next })
    }

    fn waiting_after(&self, wanted: Wanted) -> Result<Vec<u32>, Fault> {
        let sql = match wanted.kind {
            DocumentKind::Aggregation => {
                "SELECT pack_no FROM packs WHERE state = 1 AND told = 0 AND agent IS NULL AND pack_no > ?1 ORDER BY pack_no LIMIT ?2"
            }
            DocumentKind::Disaggregation => {
                "SELECT pack_no FROM packs WHERE state = 2 AND told = 2 AND agent IS NULL AND pack_no > ?1 ORDER BY pack_no LIMIT ?2"
            }
            DocumentKind::Withdrawal => {
                "SELECT id FROM write_offs WHERE told = 0 AND id > ?1 ORDER BY id LIMIT ?2"
            }
        };
        self.all(sql, (wanted.after, PIECES_MAX), |r| r.get(0))
    }

    /// What waits, where it need not any longer. Counts the children that were looked at.
    fn candidate(&self, wanted: Wanted, no: u32, looked: &mut u32) -> Result<Look, Fault> {
        let kind = wanted.kind;
        if kind == DocumentKind::Withdrawal {
            return Ok(self.write_off_candidate(no)?.map_or(Look::Waits, Look::May));
        }
        let pack = PackNo(no);
        let facts = self.pack_by_no(pack)?.ok_or(Rule::NoSuchPack(pack))?;
        let (lot, waits) = self.noted(pack)?;
        if let Some(waits) = waits
            && self.still_waits(pack, waits)?
        {
            return Ok(Look::Waits);
        }
        let never = match kind {
            DocumentKind::Aggregation if facts.content > wanted.limits.children_of(facts.terms.level) => {
                Some((Told::Nothing, TOO_MANY))
            }
            DocumentKind::Disaggregation if matches!(facts.name, Some(PackName::Code(_))) => {
                Some((Told::Aggregated, NO_DOCUMENT))
            }
            _ => None,
        };
        if let Some((told, why)) = never {
            self.set_told(no, told, Told::Refused)?;
            return Ok(Look::Never(why));
        }
        *looked += facts.content.max(1);
        let mut made = None;
        let waits = match kind {
            DocumentKind::Aggregation => self.content_waits(&facts, &mut made)?,
            DocumentKind::Disaggregation | DocumentKind::Withdrawal => self.lies_upstream_in(pack)?,
        };
        if let Some(waits) = waits {
            self.note_waits(pack, waits)?;
            return Ok(Look::Waits);
        }
        let is_group = facts.terms.level == Level::Group;
        let codes = if kind == DocumentKind::Aggregation { facts.content } else { 1 };
        Ok(Look::May(Candidate { no, lot, codes, is_group, made }))
    }

    /// Its lot, and what it waited for.
    fn noted(&self, pack: PackNo) -> Result<(u32, Option<Waits>), Fault> {
        let sql = "SELECT lot, on_run, on_pass, on_child, on_former FROM telling WHERE pack_no = ?1";
        let noted = self.one(sql, [pack.0], |r| {
            let item = r.get::<_, Option<u32>>(1)?.zip(r.get::<_, Option<u32>>(2)?);
            let item = item.map(|(run, pass)| Waits::Item(RunId(run), PassNo(pass)));
            let child = r.get::<_, Option<u32>>(3)?.map(|child| Waits::Child(PackNo(child)));
            let former = r.get::<_, Option<u32>>(4)?.map(|former| Waits::Former(PackNo(former)));
            Ok((r.get(0)?, item.or(child).or(former)))
        })?;
        Ok(noted.unwrap_or_default())
    }

    fn note_waits(&self, pack: PackNo, waits: Waits) -> Result<(), Fault> {
        let (run, pass, child, former) = match waits {
            Waits::Item(run, pass) => (Some(run.0), Some(pass.0), None, None),
            Waits::Child(on) => (None, None, Some(on.0), None),
            Waits::Former(on) => (None, None, None, Some(on.0)),
        };
        let sql = "INSERT INTO telling(pack_no, on_run, on_pass, on_child, on_former) VALUES(?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET on_run = ?2, on_pass = ?3, on_child = ?4, on_former = ?5";
        self.must("what a pack waits for", 1, sql, (pack.0, run, pass, child, former))
    }

    /// Whether what was noted still holds: the item may have been taken out since.
    fn still_waits(&self, pack: PackNo, waits: Waits) -> Result<bool, Fault> {
        match waits {
            Waits::Item(run, pass) => {
                let sql = "SELECT 1 FROM passes p JOIN runs r ON r.run = p.run \
                           JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
                           WHERE p.run = ?1 AND p.pass_no = ?2 AND (c.pack_no = ?3 OR EXISTS(SELECT 1 FROM packs n \
                           WHERE n.pack_no = ?3 AND n.name_gtin = c.gtin_id AND n.name_serial = c.serial))";
                let is_in = self.one(sql, (run.0, pass.0, pack.0), |_| Ok(()))?.is_some();
                Ok(is_in && !self.carried_by(run, pass)?.is_some_and(|(_, accepted)| accepted))
            }
            Waits::Child(on) => {
                let sql = "SELECT parent IS ?2 AND (told <> 2 OR gone) FROM packs WHERE pack_no = ?1";
                Ok(self.one(sql, (on.0, pack.0), |r| r.get(0))?.unwrap_or(false))
            }
            Waits::Former(on) => {
                let sql = "SELECT told IN (1, 2, 3) FROM packs WHERE pack_no = ?1";
                Ok(self.one(sql, [on.0], |r| r.get(0))?.unwrap_or(false))
            }
        }
    }

    /// What of a pack's content does not let it be told yet; with the moment at which the last of it was made.
    fn content_waits(&self, facts: &PackFacts, made: &mut Option<Wall>) -> Result<Option<Waits>, Fault> {
        let pack = facts.pack;
        if let Some(PackName::Code(name)) = &facts.name {
            let row = self.code(&self.key(name)?)?;
            if let Some((run, pass)) = row.and_then(|row| row.run.zip(row.pass)) {
                match self.carrying(run, pass.0)?.filter(|c| c.last >= pass.0) {
                    Some(carrying) => *made = (*made).max(Some(carrying.production)),
                    None => return Ok(Some(Waits::Item(run, pass))),
                }
            }
        }
        match facts.terms.holds {
            Holds::Items => {
                let sql = "SELECT c.run, c.pass_no FROM codes c JOIN held h ON h.run = c.run AND h.pass_no = c.pass_no \
                           WHERE c.pack_no = ?1 LIMIT 1";
                let item = |r: &rusqlite::Row<'_>| Ok(Waits::Item(RunId(r.get(0)?), PassNo(r.get(1)?)));
                if let Some(held) = self.one(sql, [pack.0], item)? {
                    return Ok(Some(held));
                }
                if let Some(waits) = self.unapplied_in(pack, made)? {
                    return Ok(Some(waits));
                }
                let sql = format!(
                    "SELECT f.pack_no FROM codes c JOIN taken_out t ON t.gtin_id = c.gtin_id AND t.serial = c.serial \
                     AND t.serial IS NOT NULL JOIN packs f ON f.pack_no = t.pack_no \
                     WHERE c.pack_no = ?1 AND {LIES_UPSTREAM} LIMIT 1"
                );
                self.one(&sql, [pack.0], |r| Ok(Waits::Former(PackNo(r.get(0)?))))
            }
            Holds::Packs(_) => {
                let sql = "SELECT pack_no FROM packs WHERE parent = ?1 AND (told <> 2 OR gone) LIMIT 1";
                let child = self.one(sql, [pack.0], |r| Ok(Waits::Child(PackNo(r.get(0)?))))?;
                if child.is_some() {
                    return Ok(child);
                }
                let sql = format!(
                    "SELECT f.pack_no FROM packs c JOIN taken_out t ON t.child = c.pack_no AND t.child IS NOT NULL \
                     JOIN packs f ON f.pack_no = t.pack_no WHERE c.parent = ?1 AND {LIES_UPSTREAM} LIMIT 1"
                );
                self.one(&sql, [pack.0], |r| Ok(Waits::Former(PackNo(r.get(0)?))))
            }
        }
    }

    /// The first item of a pack that no report in effect carries.
    fn unapplied_in(&self, pack: PackNo, made: &mut Option<Wall>) -> Result<Option<Waits>, Fault> {
        let sql = "SELECT run, pass_no FROM codes WHERE pack_no = ?1 ORDER BY run, pass_no";
        let items = self.all(sql, [pack.0], |r| Ok((RunId(r.get(0)?), r.get::<_, Option<u32>>(1)?)))?;
        let mut known: Option<Carrying> = None;
        for (run, pass) in items {
            let pass = pass.unwrap_or(0);
            let within = |c: &Carrying| c.run == run && (c.first..=c.last).contains(&pass);
            if known.as_ref().is_none_or(|c| !within(c)) {
                known = self.carrying(run, pass)?;
            }
            match known.as_ref().filter(|c| within(c)) {
                Some(carrying) => *made = (*made).max(Some(carrying.production)),
                None => return Ok(Some(Waits::Item(run, PassNo(pass)))),
            }
        }
        Ok(None)
    }

    /// The report in effect that carries a pass.
    fn carrying(&self, run: RunId, pass: u32) -> Result<Option<Carrying>, Fault> {
        let sql = "SELECT first, last, state, production FROM report_ranges JOIN reports USING(report_no) \
                   WHERE report_ranges.run = ?1 AND report_ranges.kind = 0 AND live = 1 AND first <= ?2 \
                   ORDER BY first DESC LIMIT 1";
        let found = self.one(sql, (run.0, pass), |r| {
            let carrying = Carrying { run, first: r.get(0)?, last: r.get(1)?, production: Wall(r.get(3)?) };
            Ok((carrying, r.get::<_, i64>(2)? == ACCEPTED))
        })?;
        Ok(found.filter(|(_, accepted)| *accepted).map(|(carrying, _)| carrying))
    }

    /// The pack that a pack was taken out of here, and lies in upstream.
    fn lies_upstream_in(&self, pack: PackNo) -> Result<Option<Waits>, Fault> {
        let sql = format!(
            "SELECT f.pack_no FROM taken_out t JOIN packs f ON f.pack_no = t.pack_no \
             WHERE t.child = ?1 AND t.child IS NOT NULL AND {LIES_UPSTREAM} LIMIT 1"
        );
        self.one(&sql, [pack.0], |r| Ok(Waits::Former(PackNo(r.get(0)?))))
    }

    fn write_off_candidate(&self, no: u32) -> Result<Option<Candidate>, Fault> {
        let sql = format!(
            "SELECT w.lot, c.pack_no IS NULL AND NOT EXISTS(SELECT 1 FROM taken_out t \
             JOIN packs f ON f.pack_no = t.pack_no WHERE t.gtin_id = w.gtin_id AND t.serial = w.serial \
             AND t.serial IS NOT NULL AND {LIES_UPSTREAM}) \
             FROM write_offs w JOIN codes c USING(gtin_id, serial) WHERE w.id = ?1"
        );
        let found = self.one(&sql, [no], |r| Ok((r.get(0)?, r.get::<_, bool>(1)?)))?;
        Ok(found.filter(|(_, free)| *free).map(|(lot, _)| Candidate {
            no,
            lot,
            codes: 1,
            is_group: false,
            made: None,
        }))
    }

    // ---- the document ----

    fn draft(&self, no: DocumentNo, kind: DocumentKind) -> Result<Draft, Fault> {
        let sql =
            "SELECT kind, state, pieces, codes, moment, lot, groups FROM documents WHERE document_no = ?1";
        let row = self.one(sql, [no.0], |r| {
            let lot = r.get(5)?;
            let drafted = Drafted {
                no,
                kind,
                pieces: r.get(2)?,
                codes: r.get(3)?,
                moment: Wall(r.get(4)?),
                root: root_of(lot),
            };
            Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, Draft { drafted, lot, groups: r.get(6)? }))
        })?;
        let (of_kind, state, draft) = row.ok_or(Rule::NoSuchDocument(no))?;
        if of_kind != kind_number(kind) || state != 0 {
            return Err(
                Rule::DocumentStep { document: no, from: report_state_key(state), to: "wanted" }.into()
            );
        }
        Ok(draft)
    }

    fn new_draft(&self, wanted: Wanted, lot: u32, at: Wall) -> Result<Draft, Fault> {
        let (kind, moment) = (wanted.kind, wanted.by);
        let sql =
            "INSERT INTO documents(kind, moment, lot, drafted_at, changed_at) VALUES(?1, ?2, ?3, ?4, ?4)";
        self.run(sql, (kind_number(kind), moment.0, lot, at.0))?;
        let no = DocumentNo(self.inserted());
        self.changed(Change::Document(no, &ReportState::Wanted), "", kind.key(), at)?;
        let drafted = Drafted { no, kind, pieces: 0, codes: 0, moment, root: root_of(lot) };
        Ok(Draft { drafted, lot, groups: 0 })
    }

    fn put_in(&self, mut draft: Draft, candidate: &Candidate) -> Result<Draft, Fault> {
        draft.drafted.pieces += 1;
        draft.drafted.codes += candidate.codes;
        draft.groups += u32::from(candidate.is_group);
        let Drafted { no, kind, pieces, codes, moment, .. } = draft.drafted;
        let (pack, write_off) = match kind {
            DocumentKind::Aggregation | DocumentKind::Disaggregation => (Some(candidate.no), None),
            DocumentKind::Withdrawal => (None, Some(candidate.no)),
        };
        let sql = "INSERT INTO document_pieces(document_no, piece, pack_no, write_off, outs) \
                   VALUES(?1, ?2, ?3, ?4, (SELECT ifnull(max(id), 0) FROM taken_out))";
        self.run(sql, (no.0, pieces, pack, write_off))?;
        let sql = "UPDATE documents SET pieces = ?2, codes = ?3, groups = ?4, moment = ?5, open = open + 1 \
                   WHERE document_no = ?1";
        self.must("a document", 1, sql, (no.0, pieces, codes, draft.groups, moment.0))?;
        match kind {
            DocumentKind::Aggregation => self.set_told(candidate.no, Told::Nothing, Told::Aggregating)?,
            DocumentKind::Disaggregation => {
                self.set_told(candidate.no, Told::Aggregated, Told::Disaggregating)?
            }
            DocumentKind::Withdrawal => {
                let sql = "UPDATE write_offs SET told = 1 WHERE id = ?1 AND told = 0";
                self.must("a write-off", 1, sql, [candidate.no])?;
            }
        }
        if let Some(pack) = pack {
            self.run("DELETE FROM telling WHERE pack_no = ?1", [pack])?;
        }
        Ok(draft)
    }

    /// What upstream knows of a pack, by compare-and-set.
    pub(super) fn set_told(&self, pack: u32, from: Told, to: Told) -> Result<(), Fault> {
        let sql = "UPDATE packs SET told = ?3 WHERE pack_no = ?1 AND told = ?2";
        self.must("what upstream knows of a pack", 1, sql, (pack, told_number(from), told_number(to)))
    }
}

/// A document being gathered.
#[derive(Clone, Copy)]
struct Draft {
    drafted: Drafted,
    lot: u32,
    groups: u32,
}

pub(super) fn kind_number(kind: DocumentKind) -> i64 {
    match kind {
        DocumentKind::Aggregation => 0,
        DocumentKind::Disaggregation => 1,
        DocumentKind::Withdrawal => 2,
    }
}

pub(super) fn kind_of(number: i64) -> Result<DocumentKind, Fault> {
    let kind = usize::try_from(number).ok().and_then(|place| DocumentKind::ALL.get(place));
    kind.copied().ok_or_else(|| Fault::Damaged(format!("a document of kind {number}")))
}
