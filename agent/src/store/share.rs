//! Sharing packs with other agents: our stream of letters, and what the letters of others say.
//!
//! Our letters are written by a trigger of the schema, in the transaction that changes the pack. What others say is taken
//! with the mark of their stream in one transaction: each letter once.

use tamga_domain::code::Identity;
use tamga_domain::ids::{AgentId, PackNo};
use tamga_domain::pack::PackName;
use tamga_domain::share::{Claim, Content, Letter, Mark, News, Notice, ShareRecord};
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;

use super::error::{Fault, Rule, StoreError};
use super::pack_rows::{holds_number, level_number, sscc_number, told_number};
use super::people::Incident;
use super::rows::number;
use super::tx::Tx;
use super::{Store, of_housework};

/// Another agent says otherwise than this one of where a pack lies, or of what it is.
const ELSEWHERE: &str = "alarm.pack_elsewhere";

impl Store {
    /// Turns sharing on or off. A stream that is turned on begins anew, with all that is closed now: under the number of
    /// this moment, so that it is higher than one of a database that was lost.
    pub fn share(&mut self, on: bool, at: Wall) -> Result<(), StoreError> {
        let state = self.view().share_state()?;
        match (state.is_on, on) {
            (false, true) => {
                let stream = u64::try_from(at.0).unwrap_or(0).max(state.stream + 1);
                self.transact(|tx| tx.share_anew(stream).map_err(of_housework))
            }
            (true, false) => self.transact(|tx| tx.stop_sharing().map_err(of_housework)),
            (true, true) | (false, false) => Ok(()),
        }
    }
}

impl Tx<'_> {
    pub(super) fn apply_share(&self, record: &ShareRecord) -> Result<(), Fault> {
        match record {
            ShareRecord::Taken { agent, stream, letters, at } => self.taken(*agent, *stream, letters, *at),
            ShareRecord::Handed { stream, upto } => {
                let sql = "UPDATE share SET handed = max(handed, ?2) WHERE stream = ?1 AND is_on = 1";
                self.run(sql, (number(*stream), number(*upto))).map(drop)
            }
            ShareRecord::Anew { stream, .. } => {
                let sql = "SELECT 1 FROM share WHERE is_on = 1 AND stream < ?1";
                match self.one(sql, [number(*stream)], |_| Ok(()))? {
                    Some(()) => self.share_anew(*stream),
                    None => Ok(()),
                }
            }
        }
    }

    /// Nothing more is told; the number of the stream stays, so that the next one is higher.
    pub(super) fn stop_sharing(&self) -> Result<(), Fault> {
        self.run("UPDATE share SET is_on = 0, handed = 0", [])?;
        self.run("DELETE FROM letters", []).map(drop)
    }

    /// All packs that are named, and all of others that lie or lay here, as the first letters of a new stream: some
    /// seconds for a million packs, which only follow a restore or a change of the configuration.
    fn share_anew(&self, stream: u64) -> Result<(), Fault> {
        self.run("DELETE FROM letters", [])?;
        let sql = "INSERT INTO letters(pack_no) SELECT pack_no FROM packs \
                   WHERE (agent IS NULL AND state <> 0 AND sscc IS NOT NULL) \
                   OR (agent IS NOT NULL AND (parent IS NOT NULL OR letter > 0)) ORDER BY pack_no";
        self.run(sql, [])?;
        self.run("UPDATE packs SET letter = 0 WHERE letter > 0 AND agent IS NULL", [])?;
        let sql = "UPDATE packs SET letter = l.seq FROM letters l WHERE l.pack_no = packs.pack_no";
        self.run(sql, [])?;
        let sql = "UPDATE share SET is_on = 1, stream = ?1, handed = 0";
        self.must("our stream", 1, sql, [number(stream)])
    }

    // ---- what others say ----

    fn taken(&self, agent: AgentId, stream: u64, letters: &[Letter], at: Wall) -> Result<(), Fault> {
        let mark = self.heard(agent)?;
        if stream < mark.stream {
            return Ok(());
        }
        let mut done = if stream > mark.stream { 0 } else { mark.seq };
        let before = done;
        for letter in letters.iter().skip_while(|letter| letter.seq <= before) {
            if letter.seq != done + 1 {
                return Err(Rule::LetterMissing { agent, after: done, got: letter.seq }.into());
            }
            match &letter.news {
                News::Pack(notice) => self.notice(agent, stream, notice, at)?,
                News::Lies(claim) => self.claim_of(agent, stream, claim, at)?,
            }
            done = letter.seq;
        }
        let sql = "INSERT INTO heard(agent, stream, mark, at) VALUES(?1, ?2, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET stream = ?2, mark = ?3, at = ?4";
        self.must("the mark of a stream", 1, sql, (agent.0, number(stream), number(done), at.0))
    }

    pub(super) fn heard(&self, agent: AgentId) -> Result<Mark, Fault> {
        let sql = "SELECT stream, mark FROM heard WHERE agent = ?1";
        let found: Option<(i64, i64)> = self.one(sql, [agent.0], |r| r.try_into())?;
        let (stream, seq) = found.unwrap_or_default();
        Ok(Mark { stream: super::rows::count_of(stream)?, seq: super::rows::count_of(seq)? })
    }

    /// A pack of another agent, as it is there.
    fn notice(&self, agent: AgentId, stream: u64, notice: &Notice, at: Wall) -> Result<(), Fault> {
        let sscc = sscc_number(notice.name);
        let known = self.pack_by_name(notice.name.into())?;
        let pack = match known {
            Some(known) if known.home != Some(agent) => {
                // Two agents gave one name. Whose it is nobody here can say.
                self.contradicted(notice.name, agent, at)?;
                return Ok(());
            }
            Some(known) => {
                let sql = "SELECT 1 FROM packs WHERE pack_no = ?1 AND (stream, rev) < (?2, ?3)";
                let is_newer = (known.pack.0, number(stream), number(notice.rev));
                if self.one(sql, is_newer, |_| Ok(()))?.is_none() {
                    return Ok(());
                }
                known.pack
            }
            // What was void before anybody here knew of it is nothing to us.
            None if notice.voided => return Ok(()),
            None => {
                let sql = "INSERT INTO packs(station, level, holds, capacity, mixing, state, sscc, content, agent, opened_at) \
                           VALUES(-1, ?1, ?2, ?3, 2, 1, ?4, ?3, ?5, ?6)";
                let holds = holds_number(notice.holds);
                let count = number(notice.content.len() as u64);
                let row = (level_number(notice.level), holds, count, sscc, agent.0, notice.closed_at.0);
                self.run(sql, row)?;
                PackNo(self.inserted())
            }
        };
        let lay_here = self.lies_here(pack)?;
        if lay_here && self.is_otherwise(pack, notice)? {
            self.contradicted(notice.name, agent, at)?;
        }
        self.rewrite(pack, stream, notice, lay_here)?;
        let claim = Claim { name: notice.name, rev: notice.rev, lies: notice.lies, parent: None };
        self.claim_of(agent, stream, &claim, at)
    }

    fn lies_here(&self, pack: PackNo) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM packs WHERE pack_no = ?1 AND parent IS NOT NULL";
        Ok(self.one(sql, [pack.0], |_| Ok(()))?.is_some())
    }

    /// Whether a pack that lies here is void there, or holds something else than what was known.
    fn is_otherwise(&self, pack: PackNo, notice: &Notice) -> Result<bool, Fault> {
        let (stays, all) = match &notice.content {
            _ if notice.voided => return Ok(true),
            Content::Items(items) => {
                let mut stays = 0;
                for item in items {
                    stays += usize::from(self.holds_code(pack, item)?);
                }
                (stays, items.len())
            }
            Content::Packs(packs) => {
                let mut stays = 0;
                for child in packs {
                    stays += usize::from(match child {
                        PackName::Code(code) => self.holds_code(pack, code)?,
                        PackName::Sscc(name) => {
                            let sql = "SELECT 1 FROM foreign_content WHERE pack_no = ?1 AND child = ?2";
                            self.one(sql, (pack.0, sscc_number(*name)), |_| Ok(()))?.is_some()
                        }
                    });
                }
                (stays, packs.len())
            }
        };
        let sql = "SELECT count(*) FROM foreign_content WHERE pack_no = ?1";
        let known: u32 = self.one(sql, [pack.0], |r| r.get(0))?.unwrap_or(0);
        Ok(known as usize != all || stays != all)
    }

    /// Whether the item or the group pack of this code lies in a pack of another agent, as far as it is known.
    fn holds_code(&self, pack: PackNo, code: &Identity) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM foreign_content JOIN gtins USING(gtin_id) \
                   WHERE pack_no = ?1 AND gtin = ?2 AND serial = ?3";
        let key = (pack.0, code.gtin.to_string(), code.serial.as_bytes());
        Ok(self.one(sql, key, |_| Ok(()))?.is_some())
    }

    fn put_code(&self, pack: PackNo, code: &Identity) -> Result<(), Fault> {
        let gtin = self.gtin_id_or_new(&code.gtin)?;
        let sql = "INSERT INTO foreign_content(pack_no, gtin_id, serial) VALUES(?1, ?2, ?3)";
        self.run(sql, (pack.0, gtin, code.serial.as_bytes())).map(drop)
    }

    fn rewrite(&self, pack: PackNo, stream: u64, notice: &Notice, lies_here: bool) -> Result<(), Fault> {
        if notice.voided && lies_here {
            // As far as the data here go it is closed, with what was known of it; that it is void is kept beside.
            let sql = "UPDATE packs SET gone = 1, stream = ?2, rev = ?3, told = ?4 WHERE pack_no = ?1";
            let row = (pack.0, number(stream), number(notice.rev), told_number(notice.told));
            return self.must("a pack of another agent", 1, sql, row);
        }
        self.run("DELETE FROM foreign_content WHERE pack_no = ?1", [pack.0])?;
        match &notice.content {
            Content::Items(items) => {
                for item in items {
                    self.put_code(pack, item)?;
                }
            }
            Content::Packs(packs) => {
                for child in packs {
                    match child {
                        PackName::Code(code) => self.put_code(pack, code)?,
                        PackName::Sscc(name) => {
                            let sql = "INSERT INTO foreign_content(pack_no, child) VALUES(?1, ?2)";
                            self.run(sql, (pack.0, sscc_number(*name)))?;
                        }
                    }
                }
            }
        }
        let gtin = notice.gtin.map(|gtin| self.gtin_id_or_new(&gtin)).transpose()?;
        let count = number(notice.content.len() as u64);
        let state = if notice.voided { 2 } else { 1 };
        let sql = "UPDATE packs SET state = ?2, content = ?3, capacity = max(?3, 1), gtin_id = ?4, gone = ?5, \
                   stream = ?6, rev = ?7, level = ?8, holds = ?9, told = ?10 WHERE pack_no = ?1";
        let (level, holds) = (level_number(notice.level), holds_number(notice.holds));
        let (stream, rev, told) = (number(stream), number(notice.rev), told_number(notice.told));
        self.must(
            "a pack of another agent",
            1,
            sql,
            (pack.0, state, count, gtin, notice.voided, stream, rev, level, holds, told),
        )
    }

    /// Where an agent says that a pack lies, or does not lie any more.
    fn claim_of(&self, agent: AgentId, stream: u64, claim: &Claim, at: Wall) -> Result<(), Fault> {
        let sscc = sscc_number(claim.name);
        let sql = "INSERT INTO claims(sscc, agent, stream, rev, lies, parent) VALUES(?1, ?2, ?3, ?4, ?5, ?6) \
                   ON CONFLICT DO UPDATE SET stream = ?3, rev = ?4, lies = ?5, parent = ?6 \
                   WHERE (claims.stream, claims.rev) < (?3, ?4)";
        let parent = claim.parent.map(sscc_number);
        let row = (sscc, agent.0, number(stream), number(claim.rev), claim.lies, parent);
        if self.run(sql, row)? == 0 || !claim.lies {
            return Ok(());
        }
        let sql = "SELECT 1 FROM packs WHERE sscc = ?1 AND (parent IS NOT NULL OR (state = 2 AND agent IS NULL)) \
                   UNION ALL SELECT 1 FROM claims WHERE sscc = ?1 AND agent <> ?2 AND lies = 1";
        match self.one(sql, (sscc, agent.0), |_| Ok(()))? {
            Some(()) => self.contradicted(claim.name, agent, at),
            None => Ok(()),
        }
    }

    /// Two agents say different things of one pack: a person has to look.
    fn contradicted(&self, name: Sscc, agent: AgentId, at: Wall) -> Result<(), Fault> {
        let detail = format!("{name} ({agent})");
        let key = "pack_elsewhere";
        self.incident(Incident { run: None, code: None, tag: None, key, detail: &detail, at })?;
        self.alarm_raised(None, ELSEWHERE, &detail, at)
    }
}
