//! Packs: what goes into them, their names, their ends.

use std::collections::BTreeSet;

use rusqlite::types::Null;
use rusqlite::{OptionalExtension as _, Params, Row};
use tamga_domain::code::Identity;
use tamga_domain::ids::{AgentId, PackNo, RunId, StationNo};
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::pack::judge::{Kinship, Mark, NotIn, Thing, judge, judge_name};
use tamga_domain::pack::record::{CHILDREN_MAX, NewName, PackAnswer, PackRecord};
use tamga_domain::pack::rework::NotDone;
use tamga_domain::pack::{Child, Level, PackFacts, PackName, PackState, Terms};
use tamga_domain::record::{Answer, CodeFacts, Known};
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;

use super::Store;
use super::error::{Fault, Rule, StoreError};
use super::limits::NAMES_PASSED_MAX;
use super::pack_rows::{
    holds_number, holds_of, level_number, level_of, mixing_number, mixing_of, sscc_number, sscc_of, state_of,
    told_of,
};
use super::people::{Change, PackMark, cut};
use super::rework::{By, not_now};
use super::rows::{CodeRow, Key, number, serial_of};
use super::tx::Tx;

impl Store {
    /// The pack that a station is filling.
    pub fn open_pack(&self, station: StationNo) -> Result<Option<PackFacts>, StoreError> {
        self.view().open_pack(station).map_err(|error| self.judged(error))
    }
}

impl Tx<'_> {
    pub(super) fn apply_pack(&self, record: &PackRecord) -> Result<Option<Answer>, Fault> {
        let answer = match record {
            PackRecord::In { station, pack, terms, children, who, at } => {
                self.pack_in(*station, *pack, *terms, children, (who, *at))?
            }
            PackRecord::Named { pack, name, at } => self.pack_named(*pack, name, *at)?,
            PackRecord::Label { pack, reason, who, at } => self.pack_label(*pack, reason, who, *at)?,
            PackRecord::Short { pack, reason, who, .. } => {
                self.pack_short(*pack, reason, who)?;
                return Ok(None);
            }
            PackRecord::Closed { pack, who, at } => {
                self.pack_closed(*pack, who, *at)?;
                return Ok(None);
            }
            PackRecord::Out { pack, child, reason, who, at } => {
                self.pack_out(*pack, child, reason, who, *at)?
            }
            PackRecord::Voided { pack, reason, who, at } => {
                let by = By { key: None, shown: None, reason, who, at: *at };
                return Ok(self.pack_voided(*pack, by)?.map(Answer::Pack));
            }
            PackRecord::Rework { key, works, shown, reason, who, at } => {
                let by = By { key: key.as_deref(), shown: *shown, reason, who, at: *at };
                self.pack_reworked(works, by)?
            }
        };
        Ok(Some(Answer::Pack(answer)))
    }

    // ---- what goes in ----

    fn pack_in(
        &self,
        station: StationNo,
        pack: Option<PackNo>,
        terms: Terms,
        children: &[Child],
        (who, at): (&str, Wall),
    ) -> Result<PackAnswer, Fault> {
        if children.len() > CHILDREN_MAX {
            return Err(Rule::TooMany { len: children.len(), most: CHILDREN_MAX }.into());
        }
        let mut open = match pack {
            Some(pack) => Some(self.open_pack(pack)?),
            None => None,
        };
        let terms = open.as_ref().map_or(terms, |open| open.terms);
        let mut kin =
            Kinship { run: open.as_ref().and_then(|o| o.run), gtin: open.as_ref().and_then(|o| o.gtin) };
        let (mut refused, mut unsettled) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut content = open.as_ref().map_or(0, |o| o.content);
        for (place, child) in children.iter().enumerate() {
            if !seen.insert(name_of(child)) {
                refused.push((place, NotIn::Twice));
                continue;
            }
            let (mut thing, tail) = self.thing(child)?;
            let mut judged = judge(&thing, tail, terms, open.as_ref());
            // A read behind the gate says that it passed.
            if judged == Err(NotIn::PassUnknown)
                && tail.is_some()
                && let (Child::Item { identity, .. }, Some(run)) = (child, as_passed(&mut thing))
            {
                judged = judge(&thing, tail, terms, open.as_ref());
                unsettled.push((run, *identity));
            }
            match judged {
                Err(why) => refused.push((place, why)),
                Ok(of_child) => {
                    kin = kin.with(of_child, content == 0);
                    content += 1;
                    // The next one is judged with this one in the pack.
                    let so_far = open.get_or_insert_with(|| PackFacts::opened(PackNo(0), terms));
                    (so_far.content, so_far.run, so_far.gtin) = (content, kin.run, kin.gtin);
                }
            }
        }
        if !refused.is_empty() || children.is_empty() {
            return Ok(PackAnswer::NotIn(refused));
        }
        let pack = match pack {
            Some(pack) => pack,
            None => self.new_pack(station, terms, who, at)?,
        };
        for (run, code) in &unsettled {
            self.settle(*run, code, true, who, at)?;
        }
        for child in children {
            self.set_parent(child, Some(pack))?;
        }
        let gtin = kin.gtin.map(|gtin| self.gtin_id_or_new(&gtin)).transpose()?;
        let sql = "UPDATE packs SET content = ?2, run = ?3, gtin_id = ?4 WHERE pack_no = ?1 AND state = 0 AND station = ?5";
        let run = kin.run.map(|run| run.0);
        self.must("an open pack", 1, sql, (pack.0, content, run, gtin, station.0))?;
        match unsettled.is_empty() {
            true => Ok(PackAnswer::In { pack, content }),
            false => {
                let seen = unsettled.into_iter().map(|(_, code)| code).collect();
                Ok(PackAnswer::InSeen { pack, content, seen })
            }
        }
    }

    /// What was read, as it is known now, with the tail that the read had.
    pub(super) fn thing<'c>(&self, child: &'c Child) -> Result<(Thing, Option<&'c [u8]>), Fault> {
        match child {
            Child::Pack { name, tail } => {
                let mark = match name {
                    PackName::Sscc(_) => None,
                    PackName::Code(identity) => Some(self.mark(identity)?.0),
                };
                Ok((Thing::Pack { facts: self.pack_by_name(*name)?, mark }, tail.as_deref()))
            }
            Child::Item { identity, tail } => Ok((self.coded(identity)?, tail.as_deref())),
        }
    }

    /// What a code is on: a group pack that bears it, or else an item.
    fn coded(&self, identity: &Identity) -> Result<Thing, Fault> {
        let (mark, pack) = self.mark(identity)?;
        Ok(match self.pack_by_name(PackName::Code(*identity))? {
            Some(facts) => Thing::Pack { facts: Some(facts), mark: Some(mark) },
            None => Thing::Item { gtin: identity.gtin, mark, pack },
        })
    }

    /// The pack that the item of a code lies in, or that bears the code.
    pub(super) fn pack_with(&self, code: &Identity, row: &CodeRow) -> Result<Option<PackNo>, Fault> {
        if row.pack.is_some() {
            return Ok(row.pack);
        }
        let named = self.pack_by_name(PackName::Code(*code))?;
        Ok(named.filter(|pack| pack.state != PackState::Voided).map(|pack| pack.pack))
    }

    /// What is known of a code, and the pack that its item lies in.
    fn mark(&self, identity: &Identity) -> Result<(Mark, Option<PackNo>), Fault> {
        let row = match self.gtin_id(&identity.gtin)? {
            Some(gtin) => self.code(&Key { gtin, identity })?,
            None => None,
        };
        let pack = row.as_ref().and_then(|row| row.pack);
        let held = match row.as_ref().and_then(|row| row.run.zip(row.pass)) {
            Some((run, pass)) => {
                let sql = "SELECT 1 FROM held WHERE run = ?1 AND pass_no = ?2";
                self.one(sql, (run.0, pass.0), |_| Ok(()))?.is_some()
            }
            None => false,
        };
        let known = match row {
            Some(row) => Known::Coded(self.facts_for_packing(identity, row)?),
            None => self.find(identity)?,
        };
        Ok((Mark { known, held }, pack))
    }

    /// What is to be written off lies in no pack any more.
    fn facts_for_packing(&self, identity: &Identity, row: CodeRow) -> Result<CodeFacts, Fault> {
        let facts = self.facts(row)?;
        let state = self.state_for_packing(&self.key(identity)?, facts.state)?;
        Ok(CodeFacts { state, ..facts })
    }

    fn new_pack(&self, station: StationNo, terms: Terms, who: &str, at: Wall) -> Result<PackNo, Fault> {
        let sql = "INSERT INTO packs(station, level, holds, capacity, mixing, opened_at) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let (level, holds) = (level_number(terms.level), holds_number(terms.holds));
        let mixing = mixing_number(terms.mixing);
        self.run(sql, (station.0, level, holds, terms.capacity, mixing, at.0))?;
        let pack = PackNo(self.inserted());
        self.changed(Change::Pack(pack, PackState::Open, PackMark::Opened), who, "", at)?;
        Ok(pack)
    }

    /// Sets the one parent of a child by compare-and-set: it had none, or exactly the pack it is taken out of.
    pub(super) fn set_parent(&self, child: &Child, to: Option<PackNo>) -> Result<(), Fault> {
        let to = to.map(|pack| pack.0);
        match child {
            Child::Item { identity, .. } => {
                let key = self.key(identity)?;
                let sql = "UPDATE codes SET pack_no = ?3 WHERE gtin_id = ?1 AND serial = ?2 \
                           AND (pack_no IS NULL) <> (?3 IS NULL)";
                self.must("the pack of a code", 1, sql, (key.gtin, key.serial(), to))
            }
            Child::Pack { name, .. } => {
                let Some(child) = self.pack_by_name(*name)? else {
                    return Err(Rule::NoPackNamed(*name).into());
                };
                let sql =
                    "UPDATE packs SET parent = ?2 WHERE pack_no = ?1 AND (parent IS NULL) <> (?2 IS NULL)";
                self.must("the pack of a pack", 1, sql, (child.pack.0, to))
            }
        }
    }

    // ---- names ----

    fn pack_named(&self, pack: PackNo, new: &NewName, at: Wall) -> Result<PackAnswer, Fault> {
        let facts = self.open_pack(pack)?;
        if let Some(name) = facts.name {
            return Ok(PackAnswer::Named { name, used: 0 });
        }
        let (name, used) = match new {
            NewName::Read(name) => (PackName::Sscc(*name), 0),
            NewName::Code { identity, .. } => (PackName::Code(*identity), 0),
            NewName::Next => match self.next_name()? {
                Some((next, used)) => (PackName::Sscc(next), used),
                None => return Ok(PackAnswer::NoNames),
            },
        };
        if let Some(other) = self.pack_by_name(name)? {
            return Ok(PackAnswer::NameUsed(other.pack));
        }
        let by_code = matches!(new, NewName::Code { .. });
        if by_code != (facts.terms.level == Level::Group) {
            return Ok(PackAnswer::NotName(NotIn::WrongLevel));
        }
        if let NewName::Code { identity, tail, of } = new
            && let Err(why) = judge_name(&self.coded(identity)?, tail, *of, &facts)
        {
            return Ok(PackAnswer::NotName(why));
        }
        let sql = "UPDATE packs SET sscc = ?2, name_gtin = ?3, name_serial = ?4 \
                   WHERE pack_no = ?1 AND sscc IS NULL AND name_serial IS NULL";
        match &name {
            PackName::Sscc(name) => self.must("a name", 1, sql, (pack.0, sscc_number(*name), Null, Null))?,
            PackName::Code(identity) => {
                let key = self.key(identity)?;
                self.must("a name", 1, sql, (pack.0, Null, key.gtin, key.serial()))?;
            }
        }
        self.changed(Change::Pack(pack, PackState::Open, PackMark::Named(name)), "", "", at)?;
        self.add_issued(used as usize)?;
        Ok(PackAnswer::Named { name, used })
    }

    /// Takes the next name off the range in use, and says how many were used up; those that were read on labels printed
    /// before are passed over. None is used up where none is found.
    fn next_name(&self) -> Result<Option<(Sscc, u32)>, Fault> {
        let Some((no, range)) = self.range_in_use()? else { return Ok(None) };
        let mut left = range.clone();
        for used in 1..=NAMES_PASSED_MAX {
            let Some((name, rest)) = left.take_next() else { return Ok(None) };
            if self.pack_by_name(name.into())?.is_none() {
                let sql = "UPDATE sscc_ranges SET next = ?2 WHERE range_no = ?1 AND next = ?3";
                let (next, before) = (number(rest.next()), number(range.next()));
                self.must("a range of SSCCs", 1, sql, (no, next, before))?;
                return Ok(Some((name, used)));
            }
            left = rest;
        }
        Ok(None)
    }

    fn pack_label(&self, pack: PackNo, reason: &str, who: &str, at: Wall) -> Result<PackAnswer, Fault> {
        let facts = self.pack_facts(pack)?;
        if facts.state == PackState::Voided {
            return Ok(PackAnswer::NotDone(Box::new(NotDone::Voided(pack))));
        }
        if facts.name.is_none() {
            return Err(Rule::NoName(pack).into());
        }
        let labels = facts.labels + 1;
        let sql = "UPDATE packs SET labels = ?2 WHERE pack_no = ?1";
        self.must("a pack", 1, sql, (pack.0, labels))?;
        self.changed(Change::Pack(pack, facts.state, PackMark::Label(labels)), who, reason, at)?;
        Ok(PackAnswer::Label(labels))
    }

    // ---- ends ----

    fn pack_short(&self, pack: PackNo, reason: &str, who: &str) -> Result<(), Fault> {
        self.open_pack(pack)?;
        let sql = "UPDATE packs SET short_why = ?2, short_by = ?3 WHERE pack_no = ?1 AND state = 0";
        self.must("an open pack", 1, sql, (pack.0, cut(reason), who))
    }

    fn pack_closed(&self, pack: PackNo, who: &str, at: Wall) -> Result<(), Fault> {
        let facts = self.pack_facts(pack)?;
        if facts.state == PackState::Closed {
            return Ok(());
        }
        let closed = |mark| Change::Pack(pack, PackState::Closed, mark);
        if facts.content >= facts.terms.capacity {
            self.changed(closed(PackMark::Full), who, "", at)?;
        } else {
            let sql = "SELECT short_by, short_why FROM packs WHERE pack_no = ?1 AND short_by IS NOT NULL";
            let short: Option<(String, String)> = self.one(sql, [pack.0], |r| r.try_into())?;
            let (by, why) = short.ok_or(Rule::NotFull(pack))?;
            self.changed(closed(PackMark::Short), &by, &why, at)?;
        }
        let sql = "UPDATE packs SET state = 1 WHERE pack_no = ?1 AND state = 0";
        self.must("an open pack", 1, sql, [pack.0])
    }

    fn pack_out(
        &self,
        pack: PackNo,
        child: &Child,
        reason: &str,
        who: &str,
        at: Wall,
    ) -> Result<PackAnswer, Fault> {
        let facts = self.open_pack(pack)?;
        let (thing, _) = self.thing(child)?;
        let parent = match &thing {
            Thing::Item { pack, .. } => *pack,
            Thing::Pack { facts, .. } => facts.as_ref().and_then(|f| f.parent),
        };
        if parent != Some(pack) {
            return Ok(PackAnswer::Out(None));
        }
        self.note_out(pack, child, reason, who, at)?;
        self.set_parent(child, None)?;
        let left = facts.content - 1;
        let sql = "UPDATE packs SET content = ?2, run = iif(?2 = 0, NULL, run), \
                   gtin_id = iif(?2 = 0, NULL, gtin_id) WHERE pack_no = ?1 AND content = ?2 + 1";
        self.must("the content of a pack", 1, sql, (pack.0, left))?;
        Ok(PackAnswer::Out(Some(left)))
    }

    pub(super) fn note_out(
        &self,
        pack: PackNo,
        child: &Child,
        why: &str,
        who: &str,
        at: Wall,
    ) -> Result<(), Fault> {
        match child {
            Child::Item { identity, .. } => {
                let key = self.key(identity)?;
                let sql = "INSERT INTO taken_out(pack_no, gtin_id, serial, who, why, at) \
                           VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
                self.run(sql, (pack.0, key.gtin, key.serial(), who, cut(why), at.0))?;
            }
            Child::Pack { name, .. } => {
                let Some(child) = self.pack_by_name(*name)? else {
                    return Err(Rule::NoPackNamed(*name).into());
                };
                let sql = "INSERT INTO taken_out(pack_no, child, who, why, at) VALUES(?1, ?2, ?3, ?4, ?5)";
                self.run(sql, (pack.0, child.pack.0, who, cut(why), at.0))?;
            }
        }
        Ok(())
    }

    /// What was in it is free, in one transaction: the largest pack has 1,500 children, some milliseconds.
    fn pack_voided(&self, pack: PackNo, by: By<'_>) -> Result<Option<PackAnswer>, Fault> {
        let facts = self.pack_facts(pack)?;
        if facts.home.is_some() {
            return Err(Rule::NotOurs(pack).into());
        }
        if facts.state == PackState::Voided {
            return Ok(None);
        }
        if let Some(parent) = facts.parent {
            return Ok(Some(PackAnswer::Within(parent)));
        }
        // What is still being filled lies nowhere, whatever another agent took the name for.
        if let Some(agent) = facts.elsewhere.filter(|_| facts.state == PackState::Closed) {
            return Ok(Some(PackAnswer::Elsewhere(agent)));
        }
        if let Some(why) = not_now(&facts) {
            return Ok(Some(PackAnswer::NotDone(Box::new(why))));
        }
        self.free_all(&facts, by)?;
        self.end_of(&facts, by)?;
        Ok(None)
    }

    // ---- what is known ----

    fn open_pack(&self, pack: PackNo) -> Result<PackFacts, Fault> {
        let facts = self.pack_facts(pack)?;
        match facts.state {
            PackState::Open => Ok(facts),
            PackState::Closed | PackState::Voided => Err(Rule::PackEnded(pack).into()),
        }
    }

    fn pack_facts(&self, pack: PackNo) -> Result<PackFacts, Fault> {
        self.pack_by_no(pack)?.ok_or_else(|| Rule::NoSuchPack(pack).into())
    }

    pub(super) fn pack_by_no(&self, pack: PackNo) -> Result<Option<PackFacts>, Fault> {
        self.pack_where("pack_no = ?1", [pack.0])
    }

    pub(super) fn pack_by_name(&self, name: PackName) -> Result<Option<PackFacts>, Fault> {
        match &name {
            PackName::Sscc(name) => self.pack_where("sscc = ?1", [sscc_number(*name)]),
            PackName::Code(identity) => match self.gtin_id(&identity.gtin)? {
                Some(gtin) => {
                    self.pack_where("name_gtin = ?1 AND name_serial = ?2", (gtin, identity.serial.as_bytes()))
                }
                None => Ok(None),
            },
        }
    }

    pub(super) fn pack_at(&self, station: StationNo) -> Result<Option<PackFacts>, Fault> {
        self.pack_where("station = ?1 AND state = 0 AND follows IS NULL", [station.0])
    }

    pub(super) fn pack_after(&self, pack: PackNo) -> Result<Option<PackFacts>, Fault> {
        self.pack_where("follows = ?1", [pack.0])
    }

    fn pack_where(&self, condition: &str, key: impl Params) -> Result<Option<PackFacts>, Fault> {
        let sql = format!(
            "SELECT pack_no, level, holds, capacity, mixing, iif(gone, 2, state), content, parent, run, labels, \
             short_by IS NOT NULL, told, (SELECT gtin FROM gtins g WHERE g.gtin_id = packs.gtin_id), {NAME}, follows, \
             agent, (SELECT min(agent) FROM claims c WHERE c.sscc = packs.sscc AND c.lies = 1) \
             FROM packs WHERE {condition}"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement.query_row(key, |row| Ok(facts_of(row))).optional()?;
        found.transpose()
    }
}

/// The columns of a pack's name, for [`name_at`].
pub(super) const NAME: &str =
    "sscc, (SELECT gtin FROM gtins g WHERE g.gtin_id = packs.name_gtin), name_serial";

/// A pack's name, of which `place` is the first column.
pub(super) fn name_at(row: &Row<'_>, place: usize) -> Result<Option<PackName>, Fault> {
    if let Some(number) = row.get(place)? {
        return Ok(Some(PackName::Sscc(sscc_of(number)?)));
    }
    let (gtin, serial): (Option<String>, Option<Vec<u8>>) = (row.get(place + 1)?, row.get(place + 2)?);
    let Some((gtin, serial)) = gtin.zip(serial) else { return Ok(None) };
    Ok(Some(PackName::Code(Identity { gtin: super::rows::gtin_of(&gtin)?, serial: serial_of(&serial)? })))
}

fn facts_of(row: &Row<'_>) -> Result<PackFacts, Fault> {
    let terms = Terms {
        level: level_of(row.get(1)?)?,
        holds: holds_of(row.get(2)?)?,
        capacity: row.get(3)?,
        mixing: mixing_of(row.get(4)?)?,
    };
    let gtin: Option<String> = row.get(12)?;
    let gtin = gtin.map(|text| super::rows::gtin_of(&text)).transpose()?;
    Ok(PackFacts {
        pack: PackNo(row.get(0)?),
        terms,
        state: state_of(row.get(5)?)?,
        name: name_at(row, 13)?,
        content: row.get(6)?,
        parent: row.get::<_, Option<u32>>(7)?.map(PackNo),
        run: row.get::<_, Option<u32>>(8)?.map(RunId),
        gtin,
        labels: row.get(9)?,
        short: row.get(10)?,
        told: told_of(row.get(11)?)?,
        follows: row.get::<_, Option<u32>>(16)?.map(PackNo),
        home: row.get::<_, Option<u32>>(17)?.map(AgentId),
        elsewhere: row.get::<_, Option<u32>>(18)?.map(AgentId),
    })
}

/// An item as it is once a read behind the gate has settled that it passed; its run.
fn as_passed(thing: &mut Thing) -> Option<RunId> {
    let Thing::Item { mark: Mark { known: Known::Coded(facts), .. }, .. } = thing else { return None };
    facts.state = State::Verified(Whereabouts::Passed);
    Some(facts.run)
}

/// What tells one child from another.
fn name_of(child: &Child) -> Vec<u8> {
    match child {
        Child::Pack { name: PackName::Sscc(name), .. } => name.render(),
        Child::Item { identity, .. } | Child::Pack { name: PackName::Code(identity), .. } => {
            [identity.gtin.to_string().as_bytes(), identity.serial.as_bytes()].concat()
        }
    }
}
