//! The packs of a run, for its closing sheet: how many of each level there are and how they stand, and by name what a
//! person has to know of.
//!
//! A pack is of a run when items of the run lie in it, or lay in it; a pack of packs when such a pack does. A pack of
//! several runs is on the sheet of each.

use std::collections::BTreeMap;

use tamga_domain::code::Identity;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{PackNo, RunId};
use tamga_domain::lifecycle::{State, Whereabouts};
use tamga_domain::pack::{Level, PackFacts};
use tamga_domain::time::Wall;

use super::View;
use super::packs::Content;
use super::sheet::identity_at;
use crate::store::error::StoreError;
use crate::store::limits::ROWS_MAX;
use crate::store::pack_rows::level_of;
use crate::store::rows::{serial_of, state_of};

/// Pass numbers in one bucket of `packed`.
const BUCKET: u32 = 128;

/// The packs of one level. `opened` = `open` + `full` + `short` + `voided`; `full` + `short` = `within` + `alone`;
/// `names` = `full` + `short` + `open_named` + `voided_named`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PackCounts {
    pub opened: u32,
    pub open: u32,
    /// Closed with all that they can hold, and with less.
    pub full: u32,
    pub short: u32,
    pub voided: u32,
    /// Of the closed: in another pack that is open or closed, and in none.
    pub within: u32,
    pub alone: u32,
    /// Names given to them.
    pub names: u32,
    pub open_named: u32,
    pub voided_named: u32,
    /// With more than one label.
    pub labelled: u32,
    /// With content of other runs too.
    pub mixed: u32,
    /// Of which upstream is being told something, and which it will not have.
    pub told_open: u32,
    pub told_refused: u32,
}

/// The passed items of a run: `passed` = `in_closed` + `in_open` + `in_voided` + `as_packs` + `loose`, where `in_voided`
/// is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PackedItems {
    pub passed: u32,
    pub in_closed: u32,
    pub in_open: u32,
    pub in_voided: u32,
    /// Group packs of units, named by the codes of this run.
    pub as_packs: u32,
    /// In no pack, by the count of what is in one.
    pub loose: u32,
    /// Of these: no report may carry them (refused, spoiled after they passed): they are not to be packed.
    pub dead: u32,
}

impl PackCounts {
    pub fn balanced(&self) -> bool {
        let closed = self.full + self.short;
        self.opened == self.open + closed + self.voided
            && closed == self.within + self.alone
            && self.names == closed + self.open_named + self.voided_named
    }
}

impl PackedItems {
    pub fn balanced(&self) -> bool {
        let parts = [self.in_closed, self.in_open, self.as_packs, self.loose];
        u64::from(self.passed) == parts.into_iter().map(u64::from).sum::<u64>()
            && self.in_voided == 0
            && self.dead <= self.loose
    }
}

/// A pack, and what a person said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasoned {
    pub pack: PackFacts,
    /// Of a label: which one with this name.
    pub detail: String,
    pub who: String,
    pub why: String,
    pub at: Wall,
}

/// Something that was taken out of a pack of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOf {
    pub what: Content,
    pub pack: PackNo,
    pub who: String,
    pub why: String,
    pub at: Wall,
}

/// The packs of a run. At most `ROWS_MAX` of each list.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RunPacks {
    pub levels: BTreeMap<Level, PackCounts>,
    pub items: PackedItems,
    /// Being filled, each with the name of its station; of one whose old name became void none: it waits for a new name.
    pub open: Vec<(PackFacts, String)>,
    pub short: Vec<Reasoned>,
    pub voided: Vec<Reasoned>,
    /// Labels after the first.
    pub labels: Vec<Reasoned>,
    /// Closed, and in no other pack.
    pub alone: Vec<PackFacts>,
    /// Passed, in no pack, and to be packed.
    pub loose: Vec<Identity>,
    /// How many items of the run were taken out of packs, those of voided ones included, and what by name.
    pub taken_out: u64,
    pub out: Vec<OutOf>,
}

/// Packs of the run (?1), and the packs around them, now or before.
const OWN: &str = "WITH RECURSIVE inner_ones(pack_no) AS MATERIALIZED (SELECT pack_no FROM run_packs WHERE run = ?1 \
     UNION SELECT p.parent FROM inner_ones JOIN packs p USING(pack_no) WHERE p.parent IS NOT NULL), \
     own(pack_no) AS MATERIALIZED (SELECT pack_no FROM inner_ones UNION \
     SELECT t.pack_no FROM taken_out t WHERE t.child IN (SELECT pack_no FROM inner_ones)) ";

/// The first packs of each kind that are named.
#[derive(Default)]
struct Named {
    open: Vec<(PackNo, Option<u32>)>,
    short: Vec<PackNo>,
    voided: Vec<PackNo>,
    labelled: Vec<PackNo>,
    alone: Vec<PackNo>,
}

fn keep<T>(list: &mut Vec<T>, one: T) {
    if list.len() < ROWS_MAX as usize {
        list.push(one);
    }
}

impl View<'_> {
    /// The packs of a run. Their number decides how long it takes: some microseconds each.
    pub fn run_packs(&self, run: RunId, gtin: Gtin) -> Result<RunPacks, StoreError> {
        let mut levels: BTreeMap<Level, PackCounts> = BTreeMap::new();
        let mut named = Named::default();
        let sql = format!(
            "{OWN} SELECT p.pack_no, p.level, p.state, p.content, p.capacity, p.sscc IS NOT NULL OR p.name_serial IS NOT NULL, p.labels, p.parent, \
             q.state, p.station, p.content > 0 AND p.run IS NOT ?1, p.told, \
             p.parent IS NULL AND EXISTS(SELECT 1 FROM claims c WHERE c.sscc = p.sscc AND c.lies = 1), p.follows FROM own JOIN packs p USING(pack_no) \
             LEFT JOIN packs q ON q.pack_no = p.parent ORDER BY p.pack_no"
        );
        self.all(&sql, [run.0], |r| {
            let no = PackNo(r.get(0)?);
            let c = levels.entry(level_of(r.get(1)?)?).or_default();
            let (content, capacity): (u32, u32) = (r.get(3)?, r.get(4)?);
            let (is_named, labels): (bool, u32) = (r.get(5)?, r.get(6)?);
            let (parent, around): (Option<u32>, Option<i64>) = (r.get(7)?, r.get(8)?);
            c.opened += 1;
            c.names += u32::from(is_named);
            c.mixed += u32::from(r.get::<_, bool>(10)?);
            let told: i64 = r.get(11)?;
            c.told_open += u32::from(matches!(told, 1 | 3));
            c.told_refused += u32::from(told == 5);
            if labels > 1 {
                c.labelled += 1;
                keep(&mut named.labelled, no);
            }
            match r.get::<_, i64>(2)? {
                0 => {
                    c.open += 1;
                    c.open_named += u32::from(is_named);
                    // One that follows a void one is at no station.
                    let station = r.get::<_, Option<u32>>(13)?.is_none().then_some(r.get(9)?);
                    keep(&mut named.open, (no, station));
                }
                1 => {
                    if content >= capacity {
                        c.full += 1;
                    } else {
                        c.short += 1;
                        keep(&mut named.short, no);
                    }
                    // In a pack of another agent too, as that one says.
                    let elsewhere: bool = r.get(12)?;
                    c.within += u32::from(matches!(around, Some(0 | 1)) || elsewhere);
                    if parent.is_none() && !elsewhere {
                        c.alone += 1;
                        keep(&mut named.alone, no);
                    }
                }
                _ => {
                    c.voided += 1;
                    c.voided_named += u32::from(is_named);
                    keep(&mut named.voided, no);
                }
            }
            Ok(())
        })?;
        let items = self.packed_items(run, gtin)?;
        let (taken_out, out) = self.out_of_packs(run)?;
        let stations = self.names_of("stations")?;
        let station = |no: Option<u32>| {
            let Some(no) = no else { return String::new() };
            stations.get(no as usize).cloned().unwrap_or_else(|| format!("#{no}"))
        };
        Ok(RunPacks {
            items,
            open: named
                .open
                .iter()
                .filter_map(|(no, at)| Some(self.pack_no(*no).transpose()?.map(|p| (p, station(*at)))))
                .collect::<Result<_, _>>()?,
            short: self.reasoned(&named.short, "short")?,
            voided: self.reasoned(&named.voided, "voided")?,
            labels: self.reasoned(&named.labelled, "label")?,
            alone: named
                .alone
                .iter()
                .filter_map(|no| self.pack_no(*no).transpose())
                .collect::<Result<_, _>>()?,
            loose: if items.loose > items.dead { self.loose(run, gtin)? } else { Vec::new() },
            levels,
            taken_out,
            out,
        })
    }

    fn packed_items(&self, run: RunId, gtin: Gtin) -> Result<PackedItems, StoreError> {
        let mut items = PackedItems::default();
        let sql = "SELECT passed, last_pass - (SELECT ifnull(sum(n), 0) FROM packed WHERE run = ?1) \
                   FROM runs WHERE run = ?1";
        if let Some((passed, loose)) = self.one(sql, [run.0], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?)))? {
            let sql = "SELECT count(*) FROM packs p JOIN codes c ON c.gtin_id = p.name_gtin \
                       AND c.serial = p.name_serial WHERE p.state <> 2 AND c.run = ?1 \
                       AND p.name_gtin = (SELECT gtin_id FROM gtins WHERE gtin = ?2)";
            let as_packs: i64 = self.one(sql, (run.0, gtin.to_string()), |r| Ok(r.get(0)?))?.unwrap_or(0);
            // More packed than passed cannot be: then nothing is loose, and the balance does not hold.
            (items.passed, items.loose) = (passed, u32::try_from(loose - as_packs).unwrap_or(0));
            items.as_packs = u32::try_from(as_packs).unwrap_or(u32::MAX);
        }
        let sql = "SELECT p.state, sum(n) FROM run_packs JOIN packs p USING(pack_no) WHERE run_packs.run = ?1 GROUP BY 1";
        self.all(sql, [run.0], |r| {
            let count = r.get(1)?;
            match r.get::<_, i64>(0)? {
                0 => items.in_open = count,
                1 => items.in_closed = count,
                _ => items.in_voided = count,
            }
            Ok(())
        })?;
        let sql = "SELECT count(*) FROM held h CROSS JOIN passes p USING(run, pass_no) CROSS JOIN codes c \
                   ON c.gtin_id = (SELECT gtin_id FROM gtins WHERE gtin = ?2) AND c.serial = p.serial \
                   WHERE h.run = ?1 AND c.pack_no IS NULL";
        let held: u32 = self.one(sql, (run.0, gtin.to_string()), |r| Ok(r.get(0)?))?.unwrap_or(0);
        // Scrapped, or taken as a sample, after a report with them was accepted.
        let sql = "SELECT count(*) FROM write_offs w CROSS JOIN codes c USING(gtin_id, serial) \
                   WHERE c.run = ?1 AND c.pack_no IS NULL AND c.pass_no IS NOT NULL \
                   AND NOT EXISTS(SELECT 1 FROM held h WHERE h.run = c.run AND h.pass_no = c.pass_no)";
        let scrapped: u32 = self.one(sql, [run.0], |r| Ok(r.get(0)?))?.unwrap_or(0);
        items.dead = held + scrapped;
        Ok(items)
    }

    /// Looks only where a bucket of passes is not packed whole.
    fn loose(&self, run: RunId, gtin: Gtin) -> Result<Vec<Identity>, StoreError> {
        let last: u32 = self
            .one("SELECT last_pass FROM runs WHERE run = ?1", [run.0], |r| Ok(r.get(0)?))?
            .unwrap_or_default();
        let sql = "SELECT bucket, n FROM packed WHERE run = ?1";
        let packed: BTreeMap<u32, u32> =
            self.all(sql, [run.0], |r| Ok((r.get(0)?, r.get(1)?)))?.into_iter().collect();
        let sql = "SELECT c.serial FROM passes p CROSS JOIN codes c ON c.serial = p.serial \
                   WHERE p.run = ?1 AND p.pass_no BETWEEN ?2 AND ?3 AND c.pack_no IS NULL \
                   AND c.gtin_id = (SELECT gtin_id FROM gtins WHERE gtin = ?4) AND NOT EXISTS(\
                   SELECT 1 FROM held h WHERE h.run = p.run AND h.pass_no = p.pass_no) AND NOT EXISTS(\
                   SELECT 1 FROM packs k WHERE k.name_gtin = c.gtin_id AND k.name_serial = c.serial AND k.state <> 2) \
                   AND NOT EXISTS(SELECT 1 FROM write_offs w WHERE w.gtin_id = c.gtin_id AND w.serial = c.serial) \
                   ORDER BY p.pass_no";
        let mut found = Vec::new();
        for bucket in 0..=last / BUCKET {
            // Passes are counted from 1.
            let (from, to) = ((bucket * BUCKET).max(1), (bucket * BUCKET + BUCKET - 1).min(last));
            if from > to || packed.get(&bucket).copied().unwrap_or(0) > to - from {
                continue;
            }
            found.extend(self.all(sql, (run.0, from, to, gtin.to_string()), |r| {
                Ok(Identity { gtin, serial: serial_of(&r.get::<_, Vec<u8>>(0)?)? })
            })?);
            if found.len() >= ROWS_MAX as usize {
                found.truncate(ROWS_MAX as usize);
                break;
            }
        }
        Ok(found)
    }

    /// What was said of each as it became so; of a label, of each after the first.
    fn reasoned(&self, packs: &[PackNo], mark: &str) -> Result<Vec<Reasoned>, StoreError> {
        let sql = "SELECT detail, who, why, at FROM changes WHERE subject = 4 AND no = ?1 AND mark = ?2 \
                   AND (mark <> 'label' OR detail <> '1') ORDER BY id";
        let mut all = Vec::new();
        for no in packs {
            let Some(pack) = self.pack_no(*no)? else { continue };
            all.extend(self.all(sql, (no.0, mark), |r| {
                let (detail, who, why, at) = (r.get(0)?, r.get(1)?, r.get(2)?, Wall(r.get(3)?));
                Ok(Reasoned { pack: pack.clone(), detail, who, why, at })
            })?);
        }
        all.truncate(ROWS_MAX as usize);
        Ok(all)
    }

    fn out_of_packs(&self, run: RunId) -> Result<(u64, Vec<OutOf>), StoreError> {
        let of_run = "FROM run_packs rp JOIN taken_out t USING(pack_no) \
                      JOIN codes c ON c.gtin_id = t.gtin_id AND c.serial = t.serial AND c.run = rp.run \
                      WHERE rp.run = ?1";
        let count = self.one(&format!("SELECT count(*) {of_run}"), [run.0], |r| super::count_at(r, 0))?;
        let sql = format!(
            "SELECT (SELECT gtin FROM gtins g WHERE g.gtin_id = t.gtin_id), t.serial, t.pack_no, t.who, t.why, t.at \
             {of_run} ORDER BY t.id LIMIT ?2"
        );
        let out = self.all(&sql, (run.0, ROWS_MAX), |r| {
            Ok(OutOf {
                what: Content::Item(identity_at(r)?),
                pack: PackNo(r.get(2)?),
                who: r.get(3)?,
                why: r.get(4)?,
                at: Wall(r.get(5)?),
            })
        })?;
        Ok((count.unwrap_or(0), out))
    }

    /// The names that numbers stand for: of `lines` or `stations`.
    fn names_of(&self, what: &str) -> Result<Vec<String>, StoreError> {
        let names: Option<String> =
            self.one("SELECT value FROM meta WHERE key = ?1", [what], |r| Ok(r.get(0)?))?;
        Ok(names.unwrap_or_default().lines().map(str::to_owned).collect())
    }

    /// The numbers of all packs of a run and of those around them, in their order.
    pub fn packs_of_run(&self, run: RunId) -> Result<Vec<PackNo>, StoreError> {
        let sql = format!("{OWN} SELECT pack_no FROM own ORDER BY pack_no");
        self.all(&sql, [run.0], |r| Ok(PackNo(r.get(0)?)))
    }
}

/// One code of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listed {
    pub code: Identity,
    pub state: State,
    /// Its pass, and whether no report may carry it.
    pub pass: Option<u32>,
    pub held: bool,
    pub pack: Option<PackNo>,
}

/// A part of the codes of a run, and the packs that their items lie in, each with those around it, from the nearest out.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub codes: Vec<Listed>,
    pub packs: BTreeMap<PackNo, Vec<PackFacts>>,
    /// Where the next part begins; none after the last.
    pub next: Option<Place>,
}

/// A place in the list of a run's codes: those that passed in the order of their passes, then the others by state.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    part: usize,
    pass: u32,
    serial: Vec<u8>,
}

/// States of codes that have no pass, each found by an index of its own.
const REST: [&str; 4] = ["c.state = 0", "c.state = 2", "c.state = 3", "c.state >= 10 AND c.pass_no IS NULL"];

impl View<'_> {
    /// The next `limit` codes of a run. Codes that come or move meanwhile may be missing, or be there as they were: what
    /// lists a run that is open counts afterwards.
    pub fn listing(&self, run: RunId, gtin: Gtin, from: &Place, limit: u32) -> Result<Listing, StoreError> {
        let mut listing = match from.part {
            0 => self.list_passed(run, gtin, from.pass, limit)?,
            part => self.list_rest(run, gtin, (part, &from.serial), limit)?,
        };
        for at in 0..listing.codes.len() {
            if let Some(no) = listing.codes[at].pack
                && !listing.packs.contains_key(&no)
            {
                let chain = self.pack_and_around(no)?;
                listing.packs.insert(no, chain);
            }
        }
        Ok(listing)
    }

    /// A pack and those around it, from the nearest out. A pack lies in packs of higher levels only.
    pub fn pack_and_around(&self, pack: PackNo) -> Result<Vec<PackFacts>, StoreError> {
        let mut chain: Vec<PackFacts> = Vec::new();
        let mut next = Some(pack);
        while let Some(no) = next.filter(|_| chain.len() < Level::ALL.len()) {
            let Some(facts) = self.pack_no(no)? else { break };
            next = facts.parent;
            chain.push(facts);
        }
        Ok(chain)
    }

    fn list_passed(&self, run: RunId, gtin: Gtin, after: u32, limit: u32) -> Result<Listing, StoreError> {
        let to = after.saturating_add(limit);
        let sql = "SELECT first, last FROM report_ranges g JOIN reports t USING(report_no) \
                   WHERE g.run = ?1 AND g.kind = 0 AND g.live = 1 AND t.state = 4 AND first <= ?3 AND last > ?2";
        let accepted: Vec<(u32, u32)> = self.all(sql, (run.0, after, to), |r| Ok((r.get(0)?, r.get(1)?)))?;
        let sql = "SELECT p.pass_no, c.serial, c.state, c.pack_no, EXISTS(SELECT 1 FROM held h WHERE h.run = p.run \
                   AND h.pass_no = p.pass_no) FROM passes p CROSS JOIN codes c ON c.serial = p.serial \
                   AND c.gtin_id = (SELECT gtin_id FROM gtins WHERE gtin = ?4) \
                   WHERE p.run = ?1 AND p.pass_no > ?2 AND p.pass_no <= ?3 ORDER BY p.pass_no";
        let codes = self.all(sql, (run.0, after, to, gtin.to_string()), |r| {
            let (pass, held): (u32, bool) = (r.get(0)?, r.get(4)?);
            let state = state_of(r.get(2)?)?;
            let carried = !held && accepted.iter().any(|(first, last)| (*first..=*last).contains(&pass));
            let is_applied = carried && state == State::Verified(Whereabouts::Passed);
            Ok(Listed {
                code: Identity { gtin, serial: serial_of(&r.get::<_, Vec<u8>>(1)?)? },
                state: if is_applied { State::Applied } else { state },
                pass: Some(pass),
                held,
                pack: r.get::<_, Option<u32>>(3)?.map(PackNo),
            })
        })?;
        let sql = "SELECT last_pass FROM runs WHERE run = ?1";
        let last: u32 = self.one(sql, [run.0], |r| Ok(r.get(0)?))?.unwrap_or(0);
        let next = if to < last {
            Place { pass: to, ..Place::default() }
        } else {
            Place { part: 1, ..Place::default() }
        };
        Ok(Listing { codes, packs: BTreeMap::new(), next: Some(next) })
    }

    fn list_rest(
        &self,
        run: RunId,
        gtin: Gtin,
        (part, after): (usize, &[u8]),
        limit: u32,
    ) -> Result<Listing, StoreError> {
        let Some(which) = REST.get(part - 1) else { return Ok(Listing::default()) };
        let sql = format!(
            "SELECT c.serial, c.state, c.pack_no FROM codes c WHERE c.run = ?1 AND {which} AND c.serial > ?2 \
             AND c.gtin_id = (SELECT gtin_id FROM gtins WHERE gtin = ?4) ORDER BY c.serial LIMIT ?3"
        );
        let codes = self.all(&sql, (run.0, after, limit, gtin.to_string()), |r| {
            let code = Identity { gtin, serial: serial_of(&r.get::<_, Vec<u8>>(0)?)? };
            let (state, pack) = (state_of(r.get(1)?)?, r.get::<_, Option<u32>>(2)?.map(PackNo));
            Ok(Listed { code, state, pass: None, held: false, pack })
        })?;
        let next = match codes.last() {
            Some(last) if codes.len() as u32 == limit => {
                Some(Place { part, pass: 0, serial: last.code.serial.as_bytes().to_vec() })
            }
            _ if part < REST.len() => Some(Place { part: part + 1, ..Place::default() }),
            _ => None,
        };
        Ok(Listing { codes, packs: BTreeMap::new(), next })
    }
}
