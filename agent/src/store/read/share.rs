//! Our stream of letters as it is to be sent, and how far those of others have come.

use rusqlite::Row;
use tamga_domain::ids::{AgentId, PackNo, RunId};
use tamga_domain::pack::Holds;
use tamga_domain::share::{Claim, Content, Letter, Mark, News, Notice};
use tamga_domain::time::Wall;

use super::{View, count_at, gtin_at};
use crate::store::error::{Fault, StoreError};
use crate::store::pack_rows::{holds_of, level_of, sscc_of, told_of};
use crate::store::packs::{NAME, name_at};
use crate::store::rows::{gtin_of, number, serial_of};

/// Our stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareState {
    pub is_on: bool,
    pub stream: u64,
    /// The broker has acknowledged all letters up to this one.
    pub handed: u64,
    /// The last letter.
    pub head: u64,
}

impl View<'_> {
    pub fn share_state(&self) -> Result<ShareState, StoreError> {
        let sql = "SELECT is_on, stream, handed, (SELECT ifnull(max(seq), 0) FROM letters) FROM share";
        let state = self.one(sql, [], |r| {
            let (stream, handed, head) = (count_at(r, 1)?, count_at(r, 2)?, count_at(r, 3)?);
            Ok(ShareState { is_on: r.get(0)?, stream, handed, head })
        })?;
        Ok(state.unwrap_or_default())
    }

    /// How far the stream of another agent has come here.
    pub fn heard(&self, agent: AgentId) -> Result<Mark, StoreError> {
        self.tx().heard(agent).map_err(Fault::reading)
    }

    /// When the pack of a letter was changed last, as far as it is written down.
    pub fn letter_at(&self, seq: u64) -> Result<Option<Wall>, StoreError> {
        let sql = "SELECT max(c.at) FROM letters l JOIN changes c ON c.subject = 4 AND c.no = l.pack_no WHERE seq = ?1";
        let at = self.one(sql, [number(seq)], |r| Ok(r.get::<_, Option<i64>>(0)?.map(Wall)))?;
        Ok(at.flatten())
    }

    /// The letters `first ..= last` of our stream of this number, as their packs are now; none where it is another.
    pub fn letters(&self, stream: u64, first: u64, last: u64) -> Result<Vec<Letter>, StoreError> {
        let sql = "SELECT seq, pack_no, letter, agent, level, holds, state, sscc, parent IS NOT NULL, run, \
                   (SELECT gtin FROM gtins g WHERE g.gtin_id = packs.gtin_id), \
                   (SELECT sscc FROM packs p WHERE p.pack_no = packs.parent), \
                   (SELECT min(at) FROM changes WHERE subject = 4 AND no = pack_no AND changes.state = 1), told \
                   FROM letters JOIN packs USING(pack_no) JOIN share \
                   WHERE seq BETWEEN ?2 AND ?3 AND share.stream = ?1 ORDER BY seq";
        let rows = self.all(sql, (number(stream), number(first), number(last)), PackRow::read)?;
        rows.into_iter().map(|row| self.letter(row)).collect()
    }

    fn letter(&self, row: PackRow) -> Result<Letter, StoreError> {
        let PackRow { seq, pack, notice, foreign, parent, .. } = row;
        if foreign {
            let claim = Claim { name: notice.name, rev: notice.rev, lies: notice.lies, parent };
            return Ok(Letter { seq, news: News::Lies(claim) });
        }
        let content = match notice.holds {
            Holds::Items => {
                let sql = "SELECT gtin, serial FROM codes JOIN gtins USING(gtin_id) WHERE pack_no = ?1 \
                           ORDER BY gtin, serial";
                Content::Items(self.all(sql, [pack.0], |r| {
                    let serial = serial_of(&r.get::<_, Vec<u8>>(1)?)?;
                    Ok(tamga_domain::code::Identity { gtin: gtin_at(r, 0)?, serial })
                })?)
            }
            Holds::Packs(_) => {
                let sql = format!("SELECT {NAME} FROM packs WHERE parent = ?1 ORDER BY pack_no");
                let names = self.all(&sql, [pack.0], |r| name_at(r, 0))?;
                Content::Packs(names.into_iter().flatten().collect())
            }
        };
        Ok(Letter { seq, news: News::Pack(Box::new(Notice { content, ..notice })) })
    }
}

struct PackRow {
    seq: u64,
    pack: PackNo,
    notice: Notice,
    foreign: bool,
    parent: Option<tamga_domain::sscc::Sscc>,
}

impl PackRow {
    fn read(r: &Row<'_>) -> Result<PackRow, Fault> {
        let gtin: Option<String> = r.get(10)?;
        let notice = Notice {
            name: sscc_of(r.get(7)?)?,
            rev: count_at(r, 2)?,
            level: level_of(r.get(4)?)?,
            holds: holds_of(r.get(5)?)?,
            voided: r.get::<_, i64>(6)? == 2,
            content: Content::Packs(Vec::new()),
            gtin: gtin.map(|text| gtin_of(&text)).transpose()?,
            run: r.get::<_, Option<u32>>(9)?.map(RunId),
            told: told_of(r.get(13)?)?,
            lies: r.get(8)?,
            closed_at: Wall(r.get::<_, Option<i64>>(12)?.unwrap_or_default()),
        };
        Ok(PackRow {
            seq: count_at(r, 0)?,
            pack: PackNo(r.get(1)?),
            notice,
            foreign: r.get::<_, Option<u32>>(3)?.is_some(),
            parent: r.get::<_, Option<i64>>(11)?.map(sscc_of).transpose()?,
        })
    }
}
