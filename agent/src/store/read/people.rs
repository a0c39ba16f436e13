//! Alarms, incidents, the audit log, answers of upstream: what people look at.

use rusqlite::Row;
use tamga_domain::code::Identity;
use tamga_domain::ids::{LineNo, RunId, Tag};
use tamga_domain::record::Alarm;
use tamga_domain::time::Wall;

use super::View;
use crate::store::error::{Fault, StoreError};
use crate::store::limits::ROWS_MAX;
use crate::store::rows::{Key, gtin_of, serial_of};

#[derive(Clone, Debug, PartialEq)]
pub struct AlarmRow {
    pub line: Option<LineNo>,
    pub key: String,
    pub detail: String,
    pub raised_at: Wall,
    pub acknowledged: Option<(String, Wall)>,
    pub cleared_at: Option<Wall>,
}

impl From<AlarmRow> for Alarm {
    fn from(row: AlarmRow) -> Alarm {
        let AlarmRow { key, detail, raised_at: since, acknowledged, .. } = row;
        Alarm { key, detail, since, acknowledged: acknowledged.is_some() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRow {
    pub run: Option<RunId>,
    pub code: Option<Identity>,
    pub tag: Option<Tag>,
    pub key: String,
    pub detail: String,
    pub at: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub id: i64,
    pub who: String,
    pub from: String,
    pub command: String,
    pub outcome: String,
    pub at: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AnswerRow {
    pub id: i64,
    pub request: String,
    pub status: Option<u16>,
    pub body: Vec<u8>,
    pub at: Wall,
}

const ALARM_COLUMNS: &str = "line, key, detail, raised_at, acknowledged_by, acknowledged_at, cleared_at";
const INCIDENT_COLUMNS: &str = "gtin, serial, run, boot, tag, key, detail, at";

impl View<'_> {
    /// Alarms that are raised, oldest first.
    pub fn alarms_open(&self) -> Result<Vec<AlarmRow>, StoreError> {
        let sql = format!("SELECT {ALARM_COLUMNS} FROM alarms WHERE cleared_at IS NULL ORDER BY id LIMIT ?1");
        self.all(&sql, [ROWS_MAX], alarm)
    }

    /// All alarms, newest first.
    pub fn alarms(&self, limit: u32) -> Result<Vec<AlarmRow>, StoreError> {
        let sql = format!("SELECT {ALARM_COLUMNS} FROM alarms ORDER BY id DESC LIMIT ?1");
        self.all(&sql, [limit.min(ROWS_MAX)], alarm)
    }

    /// Incidents, newest first; of one run when it is given.
    pub fn incidents(&self, run: Option<RunId>, limit: u32) -> Result<Vec<IncidentRow>, StoreError> {
        let of = if run.is_some() { "run = ?1" } else { "?1 IS NULL" };
        let sql = format!(
            "SELECT {INCIDENT_COLUMNS} FROM incidents LEFT JOIN gtins USING(gtin_id) WHERE {of} \
             ORDER BY id DESC LIMIT ?2"
        );
        self.all(&sql, (run.map(|r| r.0), limit.min(ROWS_MAX)), incident)
    }

    pub(super) fn incidents_of_code(&self, key: &Key<'_>) -> Result<Vec<IncidentRow>, StoreError> {
        let sql = format!(
            "SELECT {INCIDENT_COLUMNS} FROM incidents JOIN gtins USING(gtin_id) \
             WHERE gtin_id = ?1 AND serial = ?2 ORDER BY id LIMIT ?3"
        );
        self.all(&sql, (key.gtin, key.serial(), ROWS_MAX), incident)
    }

    /// The audit log, newest first, older than `before` when it is given.
    pub fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT id, who, come_from, command, outcome, at FROM audit WHERE id < ?1 \
                   ORDER BY id DESC LIMIT ?2";
        self.all(sql, (before.unwrap_or(i64::MAX), limit.min(ROWS_MAX)), |r| {
            Ok(AuditRow {
                id: r.get(0)?,
                who: r.get(1)?,
                from: r.get(2)?,
                command: r.get(3)?,
                outcome: r.get(4)?,
                at: Wall(r.get(5)?),
            })
        })
    }

    /// Answers of upstream, newest first, older than `before` when it is given.
    pub fn answers(&self, before: Option<i64>, limit: u32) -> Result<Vec<AnswerRow>, StoreError> {
        let sql = "SELECT id, request, status, body, at FROM answers WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        self.all(sql, (before.unwrap_or(i64::MAX), limit.min(ROWS_MAX)), |r| {
            Ok(AnswerRow {
                id: r.get(0)?,
                request: r.get(1)?,
                status: r.get(2)?,
                body: r.get(3)?,
                at: Wall(r.get(4)?),
            })
        })
    }
}

fn alarm(row: &Row<'_>) -> Result<AlarmRow, Fault> {
    let by: Option<String> = row.get(4)?;
    let at: Option<i64> = row.get(5)?;
    Ok(AlarmRow {
        line: row.get::<_, Option<u16>>(0)?.map(LineNo),
        key: row.get(1)?,
        detail: row.get(2)?,
        raised_at: Wall(row.get(3)?),
        acknowledged: by.zip(at.map(Wall)),
        cleared_at: row.get::<_, Option<i64>>(6)?.map(Wall),
    })
}

fn incident(row: &Row<'_>) -> Result<IncidentRow, Fault> {
    let code = match (row.get::<_, Option<String>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?) {
        (Some(gtin), Some(serial)) => Some(Identity { gtin: gtin_of(&gtin)?, serial: serial_of(&serial)? }),
        _ => None,
    };
    let boot: Option<u16> = row.get(3)?;
    let number: Option<u32> = row.get(4)?;
    Ok(IncidentRow {
        run: row.get::<_, Option<u32>>(2)?.map(RunId),
        code,
        tag: boot.zip(number).map(|(boot, number)| Tag { boot, number }),
        key: row.get(5)?,
        detail: row.get(6)?,
        at: Wall(row.get(7)?),
    })
}
