//! Rework of packs: the domain's plan is made of the books as they are in this transaction, and carried out whole.
//!
//! This is the one place where the content of a pack changes that is not being filled at a station.

use tamga_domain::code::{Code, Identity};
use tamga_domain::ids::PackNo;
use tamga_domain::lifecycle::{SpoilReason, State};
use tamga_domain::pack::judge::Thing;
use tamga_domain::pack::record::PackAnswer;
use tamga_domain::pack::rework::{Books, Edit, Loss, NotDone, Plan, PlanId, Rework, Standing, Way, plan};
use tamga_domain::pack::{Child, Holds, PackFacts, PackState};
use tamga_domain::record::RunState;
use tamga_domain::time::Wall;

use super::error::{Fault, Rule};
use super::pack_rows::state_number;
use super::packs::{NAME, name_at};
use super::people::{Change, Incident, PackMark, cut};
use super::rows::{Key, code_of};
use super::tx::Tx;

/// Who does it and why, as it is written down with each thing that is changed.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    pub key: Option<&'a str>,
    pub shown: Option<PlanId>,
    pub reason: &'a str,
    pub who: &'a str,
    pub at: Wall,
}

impl Books for Tx<'_> {
    type Fault = Fault;

    fn pack(&self, pack: PackNo) -> Result<Option<PackFacts>, Fault> {
        self.pack_by_no(pack)
    }

    fn thing(&self, child: &Child) -> Result<Thing, Fault> {
        Tx::thing(self, child).map(|(thing, _)| thing)
    }

    fn content(&self, pack: PackNo) -> Result<Vec<Child>, Fault> {
        let sql = "SELECT gtin_id, serial, tail FROM codes WHERE pack_no = ?1 ORDER BY gtin_id, serial";
        let items: Vec<(i64, Vec<u8>, Vec<u8>)> = self.all(sql, [pack.0], |r| r.try_into())?;
        let mut all = Vec::with_capacity(items.len());
        for (gtin, serial, tail) in items {
            let Code { identity, .. } = code_of(self.gtin_of_id(gtin)?, &serial, &tail)?;
            all.push(Child::Item { identity, tail: None });
        }
        let sql = format!("SELECT {NAME} FROM packs WHERE parent = ?1 ORDER BY pack_no");
        let names = self.all(&sql, [pack.0], |r| Ok(name_at(r, 0)))?;
        for name in names {
            all.extend(name?.map(Child::pack));
        }
        Ok(all)
    }

    fn standing(&self, child: &Child) -> Result<Option<Standing>, Fault> {
        let Child::Item { identity, .. } = child else { return Ok(None) };
        let Some(gtin) = self.gtin_id(&identity.gtin)? else { return Ok(None) };
        let key = Key { gtin, identity };
        let Some(row) = self.code(&key)? else {
            let state = match self.find(identity)? {
                tamga_domain::record::Known::Waiting { state, .. } => state,
                _ => return Ok(None),
            };
            return Ok(Some(Standing {
                state,
                carried: false,
                held: false,
                ended: false,
                run_is_closed: false,
            }));
        };
        let state = self.state_now(&row)?;
        let (carried, held) = match row.run.zip(row.pass) {
            Some((run, pass)) => {
                let carried = self.carried_by(run, pass)?.is_some_and(|(_, accepted)| !accepted);
                let sql = "SELECT 1 FROM held WHERE run = ?1 AND pass_no = ?2";
                (carried, self.one(sql, (run.0, pass.0), |_| Ok(()))?.is_some())
            }
            None => (false, false),
        };
        let run_is_closed = match row.run {
            Some(run) => self.run_row(run)?.state == RunState::Closed,
            None => false,
        };
        let ended = self.is_to_be_written_off(&key)?;
        Ok(Some(Standing { state, carried, held, ended, run_is_closed }))
    }
}

impl Tx<'_> {
    pub(super) fn pack_reworked(&self, works: &[Rework], by: By<'_>) -> Result<PackAnswer, Fault> {
        let asked = fingerprint(works);
        if let Some(key) = by.key
            && let Some((no, before)) =
                self.one("SELECT rework_no, asked FROM reworks WHERE key = ?1", [key], |r| {
                    Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?))
                })?
        {
            return if before == asked { self.new_packs_of(no) } else { Ok(PackAnswer::KeyTaken) };
        }
        let plan = match plan(works, self)? {
            Ok(plan) => plan,
            Err(why) => return Ok(PackAnswer::NotDone(Box::new(why))),
        };
        if by.shown.is_some_and(|shown| shown != plan.id()) {
            return Ok(PackAnswer::OtherPlan(plan.id()));
        }
        if plan.edits.is_empty() && plan.losses.is_empty() {
            return Ok(PackAnswer::Reworked(Vec::new()));
        }
        let what: Vec<&str> = works.iter().map(Rework::key).collect();
        let sql = "INSERT INTO reworks(key, asked, what, who, why, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        self.run(sql, (by.key, asked, what.join(" "), by.who, cut(by.reason), by.at.0))?;
        let no = self.conn.last_insert_rowid();
        self.carry_out(no, works.first().map_or("", Rework::key), &plan, by)?;
        self.new_packs_of(no)
    }

    /// The packs whose names this rework voided, each with the one that follows it.
    fn new_packs_of(&self, rework: i64) -> Result<PackAnswer, Fault> {
        let sql = "SELECT r.pack_no, p.pack_no FROM rework_packs r JOIN packs p ON p.follows = r.pack_no \
                   WHERE r.rework_no = ?1 AND r.way = 1 ORDER BY r.pack_no";
        let all = self.all(sql, [rework], |r| Ok((PackNo(r.get(0)?), PackNo(r.get(1)?))))?;
        Ok(PackAnswer::Reworked(all))
    }

    fn carry_out(&self, rework: i64, what: &'static str, plan: &Plan, by: By<'_>) -> Result<(), Fault> {
        // All that goes out is out before anything goes in; from the outside in, as the plan has it.
        let mut targets = Vec::with_capacity(plan.edits.len());
        for edit in &plan.edits {
            let pack = edit.pack.pack;
            let sql = "INSERT INTO rework_packs(rework_no, pack_no, way) VALUES(?1, ?2, ?3)";
            self.run(sql, (rework, pack.0, way_number(edit.way)))?;
            for child in &edit.outs {
                self.note_out(pack, child, by.reason, by.who, by.at)?;
                self.set_parent(child, None)?;
            }
            targets.push(match edit.way {
                Way::Under => {
                    let change = Change::Pack(pack, edit.pack.state, PackMark::Reworked(what));
                    self.changed(change, by.who, by.reason, by.at)?;
                    pack
                }
                Way::Anew => self.follow(edit, by)?,
                Way::Void => {
                    self.free_all(&edit.pack, by)?;
                    self.end_of(&edit.pack, by)?;
                    pack
                }
            });
        }
        for (edit, target) in plan.edits.iter().zip(targets).filter(|(edit, _)| edit.way != Way::Void) {
            for child in &edit.ins {
                self.set_parent(child, Some(target))?;
            }
            let gtin = edit.kin.gtin.map(|gtin| self.gtin_id_or_new(&gtin)).transpose()?;
            let run = edit.kin.run.map(|run| run.0);
            let sql =
                "UPDATE packs SET content = ?2, run = ?3, gtin_id = ?4 WHERE pack_no = ?1 AND state < 2";
            self.must("a pack", 1, sql, (target.0, edit.content, run, gtin))?;
        }
        for (child, loss) in &plan.losses {
            let Child::Item { identity, .. } = child else { continue };
            self.lose(identity, *loss, by)?;
        }
        Ok(())
    }

    /// What stays in a pack whose name becomes void is a new one.
    fn follow(&self, edit: &Edit, by: By<'_>) -> Result<PackNo, Fault> {
        let old = &edit.pack;
        self.note_rest(old, by)?;
        // It is short from the beginning: whoever closes it need not say so again.
        let sql = "INSERT INTO packs(station, level, holds, capacity, mixing, opened_at, follows, short_by, short_why) \
                   SELECT station, level, holds, capacity, mixing, ?2, pack_no, ?3, ?4 FROM packs WHERE pack_no = ?1";
        self.must("a pack", 1, sql, (old.pack.0, by.at.0, by.who, cut(by.reason)))?;
        let new = PackNo(self.inserted());
        self.changed(
            Change::Pack(new, PackState::Open, PackMark::Follows(old.name)),
            by.who,
            by.reason,
            by.at,
        )?;
        let sql = match old.terms.holds {
            Holds::Items => "UPDATE codes SET pack_no = ?2 WHERE pack_no = ?1",
            Holds::Packs(_) => "UPDATE packs SET parent = ?2 WHERE parent = ?1",
        };
        let stays = self.run(sql, (old.pack.0, new.0))?;
        self.is_all(old, stays + edit.outs.len())?;
        self.end_of(old, by)?;
        Ok(new)
    }

    /// All that is still in it is free.
    pub(super) fn free_all(&self, pack: &PackFacts, by: By<'_>) -> Result<(), Fault> {
        self.note_rest(pack, by)?;
        let sql = match pack.terms.holds {
            Holds::Items => "UPDATE codes SET pack_no = NULL WHERE pack_no = ?1",
            Holds::Packs(_) => "UPDATE packs SET parent = NULL WHERE parent = ?1",
        };
        let freed = self.run(sql, [pack.pack.0])?;
        self.is_all(pack, freed)
    }

    /// Notes all that is still in it as taken out.
    fn note_rest(&self, pack: &PackFacts, by: By<'_>) -> Result<(), Fault> {
        let sql = match pack.terms.holds {
            Holds::Items => {
                "INSERT INTO taken_out(pack_no, gtin_id, serial, who, why, at) \
                 SELECT ?1, gtin_id, serial, ?2, ?3, ?4 FROM codes WHERE pack_no = ?1"
            }
            Holds::Packs(_) => {
                "INSERT INTO taken_out(pack_no, child, who, why, at) \
                 SELECT ?1, pack_no, ?2, ?3, ?4 FROM packs WHERE parent = ?1"
            }
        };
        self.run(sql, (pack.pack.0, by.who, cut(by.reason), by.at.0)).map(drop)
    }

    fn is_all(&self, pack: &PackFacts, found: usize) -> Result<(), Fault> {
        if found == pack.content as usize {
            return Ok(());
        }
        let no = pack.pack;
        Err(Fault::Damaged(format!("pack {no} with {found} children instead of {}", pack.content)))
    }

    /// Its name is void.
    pub(super) fn end_of(&self, pack: &PackFacts, by: By<'_>) -> Result<(), Fault> {
        let sql = "UPDATE packs SET state = 2, content = 0 WHERE pack_no = ?1 AND state = ?2";
        self.must("a pack", 1, sql, (pack.pack.0, state_number(pack.state)))?;
        self.changed(Change::Pack(pack.pack, PackState::Voided, PackMark::Voided), by.who, by.reason, by.at)
    }

    // ---- codes that end ----

    fn lose(&self, identity: &Identity, loss: Loss, by: By<'_>) -> Result<(), Fault> {
        match loss {
            Loss::Spoil => match self.spoil(identity, SpoilReason::Declared, by.who, by.at)? {
                None => Ok(()),
                // The plan was made in this transaction: nothing can have come between.
                Some(_) => Err(Rule::Miss { what: "a code that ends", changed: 0, wanted: 1 }.into()),
            },
            Loss::WriteOff => {
                let key = self.key(identity)?;
                let row = self.code(&key)?.ok_or(Rule::UnknownCode(*identity))?;
                let sql =
                    "INSERT INTO write_offs(gtin_id, serial, who, reason, at) VALUES(?1, ?2, ?3, ?4, ?5)";
                self.run(sql, (key.gtin, key.serial(), by.who, cut(by.reason), by.at.0))?;
                let (run, tag, at) = (row.run, row.tag, by.at);
                self.incident(Incident {
                    run,
                    code: Some(identity),
                    tag,
                    key: "to_write_off",
                    detail: by.who,
                    at,
                })
            }
        }
    }

    /// A person ended it, and upstream, which knows it as applied, has not written it off yet.
    pub(super) fn is_to_be_written_off(&self, key: &Key<'_>) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM write_offs WHERE gtin_id = ?1 AND serial = ?2";
        Ok(self.one(sql, (key.gtin, key.serial()), |_| Ok(()))?.is_some())
    }

    /// The state of a code for packing: what is to be written off lies in no pack any more.
    pub(super) fn state_for_packing(&self, key: &Key<'_>, state: State) -> Result<State, Fault> {
        Ok(if state == State::Applied && self.is_to_be_written_off(key)? { State::WrittenOff } else { state })
    }
}

/// Whether a pack that is not at its station any more may be changed now at all.
pub(super) fn not_now(pack: &PackFacts) -> Option<NotDone> {
    Way::of(pack).err().filter(|why| matches!(why, NotDone::Wait(_)))
}

fn way_number(way: Way) -> i64 {
    match way {
        Way::Under => 0,
        Way::Anew => 1,
        Way::Void => 2,
    }
}

/// Tells one rework from another that came with the same key.
fn fingerprint(works: &[Rework]) -> i64 {
    let text = format!("{works:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.cast_signed()
}
