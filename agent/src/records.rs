//! [`Records`] over the store: queries on connections that cannot write, and the writes of the windows.
//!
//! It is called on threads that may block. It parses scans and lists by the rules of the country, never by guess: what
//! fits no layout is no code. A tail is compared here and goes no further.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tamga_domain::alarm::ends_acknowledged;
use tamga_domain::code::{Code, Identity, Tail};
use tamga_domain::day::Zone;
use tamga_domain::document::{DocumentAnswer, DocumentRecord};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{OrderNo, PackNo, RunId, TxnId};
use tamga_domain::layout::Layout;
use tamga_domain::line::ask::{Alarm, Refusal};
use tamga_domain::pack::doctor::Diagnosis;
use tamga_domain::pack::record::PackRecord;
use tamga_domain::pack::rework::{NotDone, Plan, Rework};
use tamga_domain::pack::{Child, PackFacts, PackName};
use tamga_domain::record::{Answer, Known, OrderPlan, Record, RunState, Txn};
use tamga_domain::rules::{Country, ProductGroup, Rules};
use tamga_domain::sscc::{Sscc, SsccRange};
use tamga_domain::time::Wall;
use time::OffsetDateTime;
use tokio::runtime;

use crate::clock;
use crate::config::Config;
use crate::desk::{
    AuditEntry, Finding, ImportSlice, Imported, Level, PackRow, PackStory, Records, RecordsError,
    RefusedCode, Scanned, Story,
};
use crate::disk;
use crate::dossier::Hash;
use crate::store::error::StoreError;
use crate::store::read::documents::DocumentRow;
use crate::store::read::ends::BeforeOrder;
use crate::store::read::happened::{Entry, Part};
use crate::store::read::outbox::{OrderRow, ReportRow};
use crate::store::read::packing::{Listing, Place};
use crate::store::read::people::AuditRow;
use crate::store::read::pools::PoolLevel;
use crate::store::read::sheet::{RunLine, RunSheet};
use crate::store::read::{Reader, View};
use crate::store::trail::Trail;
use crate::store::writer::{Handle, WriterError};
use crate::witness::Doubt;

/// Connections kept open: one for a panel, one for the command line.
const READERS_KEPT: usize = 2;
/// SSCCs for packs below which a person is told: a day of a fast line, and time to get more.
const NAMES_LOW: u64 = 1_000;
/// Commits of the windows are numbered from here, far from those of the lines.
const TXN_FIRST: u64 = 1 << 62;

pub struct StoreRecords {
    data: PathBuf,
    country: Country,
    zone: Zone,
    rules: Rules,
    readers: Mutex<Vec<Reader>>,
    writer: Handle,
    runtime: runtime::Handle,
    txns: AtomicU64,
    /// Why the database cannot be trusted, as the start found it.
    doubt: Option<Doubt>,
}

impl StoreRecords {
    /// `runtime` carries the waiting for the writer; the records are never asked on its own threads.
    pub fn new(
        config: &Config,
        writer: Handle,
        runtime: runtime::Handle,
        doubt: Option<Doubt>,
    ) -> StoreRecords {
        StoreRecords {
            data: config.agent.data.clone(),
            country: config.agent.country,
            zone: config.agent.zone,
            rules: config.rules.clone(),
            readers: Mutex::new(Vec::new()),
            writer,
            runtime,
            txns: AtomicU64::new(TXN_FIRST),
            doubt,
        }
    }

    /// One moment of the database.
    fn look<T>(&self, query: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, RecordsError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => Reader::open(&self.data).map_err(failed)?,
        };
        let answer = reader.view().and_then(|view| query(&view)).map_err(failed)?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        Ok(answer)
    }

    fn commit(&self, record: Record) -> Result<Vec<Answer>, RecordsError> {
        let id = TxnId(self.txns.fetch_add(1, Ordering::Relaxed));
        let txn = Txn { id, records: vec![record] };
        self.runtime.block_on(self.writer.commit(txn)).map_err(unwritten)
    }

    /// What a scan may be, by the layouts of all product groups that are bound today: usually one identity.
    fn candidates(&self, scan: &[u8]) -> Vec<(Identity, Option<Tail>)> {
        let mut found: Vec<(Identity, Option<Tail>)> = Vec::new();
        for set in self.rules.sets.iter().filter(|set| set.country == self.country) {
            let Some(layout) = self.layout(&set.product_group) else { continue };
            let read = match layout.parse(scan) {
                Ok(parsed) => (parsed.code.identity, Some(parsed.code.tail)),
                Err(_) => match layout.parse_identity(scan) {
                    Ok(identity) => (identity, None),
                    Err(_) => continue,
                },
            };
            if !found.contains(&read) {
                found.push(read);
            }
        }
        found
    }

    fn layout(&self, group: &ProductGroup) -> Option<Layout> {
        let day = OffsetDateTime::from_unix_timestamp(clock::wall().0.div_euclid(1000)).ok()?.date();
        self.rules.on(self.country, group, day)?.layout().ok()
    }

    fn tail_of(&self, identity: &Identity) -> Result<Option<Vec<u8>>, RecordsError> {
        let known = self.runtime.block_on(self.writer.find(*identity)).map_err(unwritten)?;
        Ok(match known {
            Known::Unknown => None,
            Known::Waiting { tail, .. } => Some(tail),
            Known::Coded(facts) => Some(facts.tail),
        })
    }
}

/// A pack with the packs around it. A pack lies in packs of higher levels only, so there are few.
fn pack_story(view: &View<'_>, pack: PackFacts) -> Result<PackStory, StoreError> {
    let mut within: Vec<PackFacts> = Vec::new();
    while let Some(parent) = within.last().unwrap_or(&pack).parent {
        match view.pack_no(parent)? {
            Some(parent) => within.push(parent),
            None => break,
        }
    }
    let no = pack.pack;
    Ok(PackStory {
        within,
        content: view.content(no)?,
        changes: view.pack_changes(no)?,
        taken_out: view.taken_out(no)?,
        documents: view.documents_of(no)?,
        pack,
    })
}

/// The pack with a name; of one that is void, the pack that the rest of it is now.
fn scanned_pack(
    view: &View<'_>,
    name: PackName,
    tail: Option<Vec<u8>>,
) -> Result<Option<Scanned>, StoreError> {
    let Some(named) = view.pack(name)? else { return Ok(None) };
    let mut last = named.clone();
    while let Some(after) = view.pack_after(last.pack)? {
        last = after;
    }
    let was = (last.pack != named.pack).then_some(named);
    Ok(Some(Scanned { child: Child::Pack { name, tail }, pack: Some(last), was }))
}

impl Records for StoreRecords {
    fn story(&self, scan: &[u8]) -> Result<Option<Story>, RecordsError> {
        let candidates = self.candidates(scan);
        if candidates.is_empty() {
            return Err(RecordsError::NotACode);
        }
        for (identity, tail) in candidates {
            let found = self.look(|view| {
                let Some(code) = view.story(&identity)? else { return Ok(None) };
                let run = match &code.issued {
                    Some(issued) => run_of(view, issued.run)?,
                    None => None,
                };
                Ok(Some((code, run, view.pack_of(&identity)?)))
            })?;
            let Some((code, run, pack)) = found else { continue };
            let tail_agrees = match tail {
                Some(tail) => self.tail_of(&identity)?.map(|own| own == tail.as_bytes()),
                None => None,
            };
            let line = run.as_ref().map(|run| run.line);
            let run_is_closed = run.is_some_and(|run| run.state == RunState::Closed);
            return Ok(Some(Story { code, line, pack, run_is_closed, tail_agrees }));
        }
        Ok(None)
    }

    fn pack(&self, scan: &[u8]) -> Result<Option<PackStory>, RecordsError> {
        let named = Sscc::parse_read(scan).ok().map(PackName::Sscc);
        let candidates = if named.is_some() { Vec::new() } else { self.candidates(scan) };
        if named.is_none() && candidates.is_empty() {
            return Err(RecordsError::NotACode);
        }
        self.look(|view| {
            let mut found = match named {
                Some(name) => view.pack(name)?,
                None => None,
            };
            for (code, _) in &candidates {
                if found.is_none() {
                    found = view.pack(PackName::Code(*code))?;
                }
                if found.is_none() {
                    found = view.pack_of(code)?;
                }
            }
            found.map(|pack| pack_story(view, pack)).transpose()
        })
    }

    fn scanned(&self, scan: &[u8]) -> Result<Option<Scanned>, RecordsError> {
        if let Ok(name) = Sscc::parse_read(scan) {
            return self.look(|view| scanned_pack(view, PackName::Sscc(name), None));
        }
        let candidates = self.candidates(scan);
        let [(first, first_tail), ..] = candidates.as_slice() else { return Err(RecordsError::NotACode) };
        self.look(|view| {
            for (code, tail) in &candidates {
                let tail = tail.as_ref().map(|tail| tail.as_bytes().to_vec());
                if let Some(named) = scanned_pack(view, PackName::Code(*code), tail.clone())? {
                    return Ok(Some(named));
                }
                if view.story(code)?.is_some() {
                    let child = Child::Item { identity: *code, tail };
                    return Ok(Some(Scanned { child, pack: view.pack_of(code)?, was: None }));
                }
            }
            let tail = first_tail.as_ref().map(|tail| tail.as_bytes().to_vec());
            Ok(Some(Scanned { child: Child::Item { identity: *first, tail }, pack: None, was: None }))
        })
    }

    fn pack_no(&self, pack: PackNo) -> Result<Option<PackFacts>, RecordsError> {
        self.look(|view| view.pack_no(pack))
    }

    fn rework_plan(&self, works: &[Rework]) -> Result<Result<Plan, NotDone>, RecordsError> {
        self.look(|view| view.rework_plan(works))
    }

    fn diagnosis(&self, pack: PackNo, seen: Option<&[Child]>) -> Result<Diagnosis, RecordsError> {
        self.look(|view| view.diagnosis(pack, seen))
    }

    fn change_pack(&self, record: PackRecord) -> Result<Option<Answer>, RecordsError> {
        Ok(self.commit(Record::Pack(record))?.pop())
    }

    fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<RunLine>, RecordsError> {
        self.look(|view| view.runs(before, limit))
    }

    fn sheet(&self, run: RunId) -> Result<Option<RunSheet>, RecordsError> {
        self.look(|view| view.run_sheet(run))
    }

    fn listing(&self, run: RunId, gtin: Gtin, from: &Place, limit: u32) -> Result<Listing, RecordsError> {
        self.look(|view| view.listing(run, gtin, from, limit))
    }

    fn packs_of(&self, run: RunId) -> Result<Vec<PackNo>, RecordsError> {
        self.look(|view| view.packs_of_run(run))
    }

    fn pack_rows(&self, packs: &[PackNo]) -> Result<Vec<PackRow>, RecordsError> {
        let row = |view: &View<'_>, pack: PackNo| {
            Ok(PackRow { chain: view.pack_and_around(pack)?, changes: view.pack_changes(pack)? })
        };
        self.look(|view| packs.iter().map(|pack| row(view, *pack)).collect())
    }

    fn trails(&self) -> Result<[(i64, Hash); 2], RecordsError> {
        self.look(|view| Ok([view.trail_head(Trail::Audit)?, view.trail_head(Trail::Changes)?]))
    }

    fn happened(
        &self,
        run: RunId,
        part: Part,
        from: (i64, Wall),
        limit: u32,
    ) -> Result<Vec<Entry>, RecordsError> {
        self.look(|view| view.happened(run, part, from, limit))
    }

    fn happened_to(&self, packs: &[PackNo]) -> Result<Vec<Entry>, RecordsError> {
        self.look(|view| {
            let mut all = Vec::new();
            for pack in packs {
                all.extend(view.happened_to(*pack)?);
            }
            Ok(all)
        })
    }

    fn signed_off(&self, record: Record) -> Result<(), RecordsError> {
        self.commit(record).map(drop)
    }

    fn pool(&self) -> Result<Vec<PoolLevel>, RecordsError> {
        self.look(|view| view.pool_levels())
    }

    fn orders(&self, before: Option<OrderNo>, limit: u32) -> Result<Vec<OrderRow>, RecordsError> {
        self.look(|view| view.orders(before, limit))
    }

    fn assign(&self, plan: &OrderPlan) -> Result<OrderNo, RecordsError> {
        let id = plan.upstream_id.clone().unwrap_or_default();
        let gtin = plan.gtin;
        let (known, named) =
            self.look(|view| Ok((view.order_known(&id, &gtin)?, view.orders_named(&id)?)))?;
        if let Some(order) = known {
            return Err(RecordsError::Refused(Refusal::new("http.order_known").with("order", order)));
        }
        let mut order = plan.clone();
        if named > 0 {
            // Refused before, or another product of the same order: our own number is given once.
            order.po_number = format!("{}#{named}", order.po_number);
        }
        let answers = self.commit(Record::OrderWanted { order, at: clock::wall() })?;
        let made = answers.into_iter().find_map(|a| if let Answer::Order(no) = a { Some(no) } else { None });
        made.ok_or_else(|| {
            RecordsError::Failed(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(
                "the store did not name the order",
            )))
        })
    }

    fn oldest_order(&self, gtin: &Gtin) -> Result<Option<Wall>, RecordsError> {
        self.look(|view| view.oldest_order(gtin))
    }

    fn outbox(&self) -> Result<Vec<ReportRow>, RecordsError> {
        self.look(|view| view.reports_open())
    }

    fn documents(&self) -> Result<Vec<DocumentRow>, RecordsError> {
        self.look(|view| view.documents_open())
    }

    fn tell_again(&self, pack: PackNo, reason: String, who: String) -> Result<bool, RecordsError> {
        let record = DocumentRecord::Again { pack, reason, who, at: clock::wall() };
        let answers = self.commit(Record::Document(record))?;
        Ok(answers.contains(&Answer::Document(DocumentAnswer::Again(true))))
    }

    fn doctor(&self) -> Result<Vec<Finding>, RecordsError> {
        let (totals, outbox) = self.look(|view| Ok((view.block_totals()?, view.outbox()?)))?;
        let (too_early, names) = self.look(|view| Ok((view.runs_before_order(self.zone)?, view.names()?)))?;
        let mut findings = Vec::new();
        if let Some(doubt) = self.doubt {
            let key = format!("doubt.{}", doubt.key());
            findings.push(Finding { level: Level::Bad, key, args: Vec::new() });
        }
        let mut found = |level, key: &str, args: &[(&str, u64)]| {
            let args = args.iter().map(|(name, n)| ((*name).to_owned(), n.to_string())).collect();
            findings.push(Finding { level, key: key.to_owned(), args });
        };
        if totals.balanced() {
            found(Level::Good, "http.doctor_database", &[("received", totals.received)]);
        } else {
            let args = [("received", totals.received), ("found", totals.unpacked)];
            found(Level::Bad, "http.doctor_balance", &args);
        }
        match disk::free_mb(&self.data) {
            Ok(mb) if mb < disk::BAD_MB => found(Level::Bad, "http.doctor_disk_full", &[("mb", mb)]),
            Ok(mb) if mb < disk::LOW_MB => found(Level::Watch, "http.doctor_disk_low", &[("mb", mb)]),
            Ok(mb) => found(Level::Good, "http.doctor_disk", &[("mb", mb)]),
            Err(_) => found(Level::Bad, "http.doctor_disk_unknown", &[]),
        }
        if outbox.held > 0 {
            found(Level::Watch, "http.doctor_held", &[("count", outbox.held)]);
        }
        if outbox.packs_refused > 0 {
            found(Level::Watch, "http.doctor_packs_refused", &[("count", outbox.packs_refused)]);
        }
        findings.extend(too_early.iter().map(before_order));
        findings.extend(names.and_then(names_low));
        Ok(findings)
    }

    fn upstream_alarms(&self) -> Result<Vec<Alarm>, RecordsError> {
        let rows = self.look(|view| view.alarms_open())?.into_iter().filter(|row| row.line.is_none());
        Ok(rows.map(Alarm::from).collect())
    }

    fn acknowledge(&self, key: &str, who: String) -> Result<bool, RecordsError> {
        if !self.upstream_alarms()?.iter().any(|alarm| alarm.key == key) {
            return Ok(false);
        }
        let at = clock::wall();
        self.commit(Record::AlarmAcknowledged { line: None, key: key.to_owned(), who, at })?;
        if ends_acknowledged(key) {
            self.commit(Record::AlarmCleared { line: None, key: key.to_owned(), at })?;
        }
        Ok(true)
    }

    fn import(&self, slice: &ImportSlice) -> Result<Imported, RecordsError> {
        let unknown = || Refusal::new("http.unknown_group").with("group", &slice.group);
        let group = ProductGroup::parse(&slice.group).map_err(|_| RecordsError::Refused(unknown()))?;
        let layout = self.layout(&group).ok_or_else(|| RecordsError::Refused(unknown()))?;
        let mut codes: Vec<Code> = Vec::new();
        let mut lines: Vec<u64> = Vec::new();
        let mut imported = Imported::default();
        for (line, bytes) in &slice.codes {
            match layout.parse(bytes) {
                Ok(parsed) => {
                    codes.push(parsed.code);
                    lines.push(*line);
                }
                Err(_) => {
                    let why = "http.code_malformed".to_owned();
                    imported.refused.push(RefusedCode { line: *line, code: None, why });
                }
            }
        }
        if codes.is_empty() {
            return Ok(imported);
        }
        let named: Vec<Identity> = codes.iter().map(|code| code.identity).collect();
        let (roll, group) = (slice.roll.clone(), slice.group.clone());
        let answers = self.commit(Record::Import { roll, codes, group, at: clock::wall() })?;
        for answer in answers {
            let Answer::Imported { taken, refused } = answer else { continue };
            imported.taken += taken;
            imported.refused.extend(refused.into_iter().map(|(code, _)| {
                // A code that stands twice in the slice was taken at its first place and refused at its last.
                let place = named.iter().rposition(|name| *name == code);
                let line = place.and_then(|p| lines.get(p)).copied().unwrap_or_default();
                RefusedCode { line, code: Some(code), why: "http.code_known".to_owned() }
            }));
        }
        imported.refused.sort_by_key(|refused| refused.line);
        Ok(imported)
    }

    fn audited(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, RecordsError> {
        self.look(|view| view.audit(before, limit))
    }

    fn audit(&self, entry: AuditEntry) -> Result<(), RecordsError> {
        let AuditEntry { who, from, command, outcome } = entry;
        self.commit(Record::Audit { who, from, command, outcome, at: clock::wall() }).map(drop)
    }
}

/// Names for packs that are nearly used up, or that nobody knows the state of.
fn names_low((range, unsure): (SsccRange, bool)) -> Option<Finding> {
    let left = range.left();
    let (level, key) = match left {
        _ if unsure => (Level::Bad, "http.doctor_names_unsure"),
        0 => (Level::Bad, "http.doctor_names_over"),
        _ if left < NAMES_LOW => (Level::Watch, "http.doctor_names_low"),
        _ => return None,
    };
    Some(Finding { level, key: key.to_owned(), args: vec![("left".to_owned(), left.to_string())] })
}

fn before_order(run: &BeforeOrder) -> Finding {
    let args = [("run", run.run.to_string()), ("day", run.day.to_string()), ("count", run.codes.to_string())];
    let args = args.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Finding { level: Level::Bad, key: "http.doctor_before_order".to_owned(), args }
}

fn run_of(view: &View<'_>, run: RunId) -> Result<Option<RunLine>, StoreError> {
    let newest = view.runs(Some(RunId(run.0.saturating_add(1))), 1)?;
    Ok(newest.into_iter().find(|found| found.run == run))
}

fn failed(error: StoreError) -> RecordsError {
    RecordsError::Failed(Arc::new(error))
}

fn unwritten(error: WriterError) -> RecordsError {
    RecordsError::Failed(Arc::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_of_before_they_are_used_up() {
        let told = |next, end, unsure| {
            let range = SsccRange::new(0, "4780001", next, end).unwrap();
            names_low((range, unsure)).map(|finding| (finding.level, finding.key))
        };
        assert_eq!(told(0, NAMES_LOW, false), None);
        assert_eq!(told(1, NAMES_LOW, false), Some((Level::Watch, "http.doctor_names_low".to_owned())));
        assert_eq!(told(9, 9, false), Some((Level::Bad, "http.doctor_names_over".to_owned())));
        assert_eq!(told(0, 9_999, true), Some((Level::Bad, "http.doctor_names_unsure".to_owned())));
    }
}
