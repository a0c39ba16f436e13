//! What happened in a run, for its dossier: who did what, when and from where, part by part.

use tamga_domain::ids::{PackNo, RunId};
use tamga_domain::time::Wall;

use super::View;
use crate::store::error::StoreError;
use crate::store::orders::order_state_key;
use crate::store::packs::{NAME, name_at};
use crate::store::reports::report_state_key;
use crate::store::rows::run_state_of;

/// The parts, in the order of a dossier. What became of packs comes pack by pack, from [`View::pack_changes`] and
/// [`View::taken_out`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    Run,
    /// The orders that its codes are of.
    Orders,
    Reports,
    Incidents,
    /// Of its line and of the way upstream, in its time.
    Alarms,
    /// What people asked of this agent in its time.
    Audit,
}

impl Part {
    pub const ALL: [Part; 6] =
        [Part::Run, Part::Orders, Part::Reports, Part::Incidents, Part::Alarms, Part::Audit];

    /// The kind of its lines.
    pub fn key(self) -> &'static str {
        match self {
            Part::Run => "run",
            Part::Orders => "order",
            Part::Reports => "report",
            Part::Incidents => "incident",
            Part::Alarms => "alarm",
            Part::Audit => "audit",
        }
    }
}

/// One thing that happened. What does not apply is empty.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Entry {
    /// Its number among those of its kind.
    pub id: i64,
    pub at: i64,
    pub who: String,
    pub from: String,
    /// A state, a key, or a command.
    pub what: String,
    /// Of what: the number of a run, order or report, or a code.
    pub of: String,
    pub detail: String,
    pub why: String,
}

impl View<'_> {
    /// The next entries of a part after the one with the number `after`, of things up to `until`.
    pub fn happened(
        &self,
        run: RunId,
        part: Part,
        (after, until): (i64, Wall),
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let of_changes = |subject: i64, which: &str| {
            format!(
                "SELECT id, at, who, '', state, no, iif(mark = '', detail, mark || ' ' || detail), why FROM changes \
                 WHERE subject = {subject} AND no IN ({which}) AND id > ?2 AND at <= ?3 ORDER BY id LIMIT ?4"
            )
        };
        let sql = match part {
            Part::Run => of_changes(1, "?1"),
            Part::Orders => of_changes(
                2,
                "SELECT order_no FROM run_blocks JOIN blocks USING(block_no) WHERE run = ?1 AND order_no IS NOT NULL",
            ),
            Part::Reports => of_changes(3, "SELECT report_no FROM reports WHERE run = ?1"),
            Part::Incidents => "SELECT id, at, '', '', key, ifnull('(01)' || (SELECT gtin FROM gtins g \
                 WHERE g.gtin_id = i.gtin_id) || '(21)' || CAST(serial AS TEXT), ''), ifnull(boot || '.' || tag, ''), \
                 detail FROM incidents i WHERE run = ?1 AND id > ?2 AND at <= ?3 ORDER BY id LIMIT ?4"
                .to_owned(),
            Part::Alarms => "SELECT id, raised_at, ifnull(acknowledged_by, ''), '', key, ifnull(line, ''), \
                 'acknowledged ' || ifnull(acknowledged_at, '-') || ', cleared ' || ifnull(cleared_at, '-'), detail \
                 FROM alarms WHERE id > ?2 AND raised_at <= ?3 \
                 AND (line IS NULL OR line = (SELECT line FROM runs WHERE run = ?1)) \
                 AND ifnull(cleared_at, ?3) >= (SELECT opened_at FROM runs WHERE run = ?1) ORDER BY id LIMIT ?4"
                .to_owned(),
            Part::Audit => "SELECT id, at, who, come_from, command, '', outcome, '' FROM audit \
                 WHERE at BETWEEN (SELECT opened_at FROM runs WHERE run = ?1) AND ?3 AND id > ?2 ORDER BY id LIMIT ?4"
                .to_owned(),
        };
        self.all(&sql, (run.0, after, until.0, limit), |r| {
            let what = match part {
                Part::Run => run_key(r.get(4)?)?,
                Part::Orders => order_state_key(r.get(4)?).to_owned(),
                Part::Reports => report_state_key(r.get(4)?).to_owned(),
                Part::Incidents | Part::Alarms | Part::Audit => r.get(4)?,
            };
            let of = match r.get_ref(5)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned(),
            };
            let detail = r.get::<_, String>(6)?.trim_end().to_owned();
            Ok(Entry {
                id: r.get(0)?,
                at: r.get(1)?,
                who: r.get(2)?,
                from: r.get(3)?,
                what,
                of,
                detail,
                why: r.get(7)?,
            })
        })
    }

    /// What became of a pack, and what was taken out of it, oldest first.
    pub fn happened_to(&self, pack: PackNo) -> Result<Vec<Entry>, StoreError> {
        let sql =
            "SELECT id, at, who, mark, detail, why FROM changes WHERE subject = 4 AND no = ?1 ORDER BY id";
        let mut all = self.all(sql, [pack.0], |r| {
            Ok(Entry {
                id: r.get(0)?,
                at: r.get(1)?,
                who: r.get(2)?,
                from: String::new(),
                what: r.get(3)?,
                of: pack.to_string(),
                detail: r.get(4)?,
                why: r.get(5)?,
            })
        })?;
        let sql = format!(
            "SELECT t.id, t.at, t.who, t.why, ifnull('(01)' || (SELECT gtin FROM gtins g WHERE g.gtin_id = t.gtin_id) \
             || '(21)' || CAST(t.serial AS TEXT), ''), {NAME} FROM taken_out t \
             LEFT JOIN packs ON packs.pack_no = t.child WHERE t.pack_no = ?1 ORDER BY t.id"
        );
        all.extend(self.all(&sql, [pack.0], |r| {
            let item: String = r.get(4)?;
            let name = name_at(r, 5)?.map(|name| name.to_string());
            Ok(Entry {
                id: r.get(0)?,
                at: r.get(1)?,
                who: r.get(2)?,
                from: String::new(),
                what: "out".to_owned(),
                of: pack.to_string(),
                detail: name.unwrap_or(item),
                why: r.get(3)?,
            })
        })?);
        all.sort_by_key(|entry| entry.at);
        Ok(all)
    }
}

fn run_key(number: i64) -> Result<String, crate::store::error::Fault> {
    use tamga_domain::record::RunState;
    Ok(match run_state_of(number)? {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Closing => "closing",
        RunState::Closed => "closed",
    }
    .to_owned())
}
