//! A store in a folder of its own, and short words for records.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tamga::store::Store;
use tamga::store::error::{Rule, StoreError};
use tamga::store::verify::verify;
use tamga_domain::code::{Code, Identity, Serial, Tail};
use tamga_domain::day::{Day, Zone};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, LineNo, OrderNo, PassNo, PrinterNo, ReportNo, RunId, Tag, TxnId};
use tamga_domain::lifecycle::{SpoilReason, State};
use tamga_domain::record::{
    Answer, Issued, ItemEnd, JobOutcome, Known, OrderPlan, OrderState, OrderTerms, PackageKind, PassRange,
    Record, ReportKind, ReportState, RunPlan, RunState, Txn, Unpacked,
};
use tamga_domain::time::Wall;
use tamga_domain::verdict::Reason;

pub const LINE: LineNo = LineNo(0);
/// A day of production that never ends.
pub const NEVER: Wall = Wall(i64::MAX);
pub const PRINTER: PrinterNo = PrinterNo(0);
pub const GTIN: &[u8] = b"04780012345677";
pub const ZONE: Zone = Zone::UTC;
pub const OTHER_GTIN: &[u8] = b"04780012345684";

/// A folder that is gone with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Folder(std::env::temp_dir().join(format!("tamga-store-{}-{n}", std::process::id())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub fn gtin(digits: &[u8]) -> Gtin {
    Gtin::parse(digits).unwrap()
}

pub fn identity(n: u32) -> Identity {
    Identity { gtin: gtin(GTIN), serial: Serial::new(format!("S{n:012}").as_bytes()).unwrap() }
}

pub fn code(n: u32) -> Code {
    Code { identity: identity(n), tail: Tail::new(b"dGVz").unwrap() }
}

/// The mark of code `n` as a scanner that is set up well gives it.
#[allow(dead_code)] // the store's own tests scan nothing
pub fn mark(n: u32) -> Vec<u8> {
    [b"]d201", GTIN, format!("21S{n:012}\x1d93dGVz").as_bytes()].concat()
}

pub fn tag(n: u32) -> Tag {
    Tag { boot: 1, number: n }
}

pub fn plan(key: &str) -> RunPlan {
    RunPlan {
        key: key.into(),
        gtin: gtin(GTIN),
        group: "water".into(),
        quantity: 100,
        batch: "B1".into(),
        production: Day(19_675),
        expiry: Some(Day(20_000)),
        before_order: false,
    }
}

pub fn order_plan(po_number: &str) -> OrderPlan {
    OrderPlan {
        po_number: po_number.into(),
        gtin: gtin(GTIN),
        group: "water".into(),
        kind: PackageKind::Unit,
        quantity: 1000,
        release_method: "PRODUCTION".into(),
        business_place: Some(7),
        upstream_id: None,
    }
}

/// A store with a calendar of its own: each record comes a second after the last.
pub struct World {
    pub store: Store,
    pub folder: Folder,
    pub now: i64,
}

impl World {
    pub fn new() -> World {
        let folder = Folder::new();
        let store = Store::open(folder.path(), "0a1b2c3d").unwrap();
        World { store, folder, now: 1_700_000_000_000 }
    }

    pub fn at(&mut self) -> Wall {
        self.now += 1_000;
        Wall(self.now)
    }

    pub fn apply(&mut self, record: Record) -> Result<Option<Answer>, StoreError> {
        let txn = Txn { id: TxnId(1), records: vec![record] };
        Ok(self.store.apply(&[txn])?.remove(0).pop())
    }

    /// Applies a record twice; the second time must say the same and change nothing.
    pub fn twice(&mut self, record: Record) -> Option<Answer> {
        let first = self.apply(record.clone()).unwrap();
        let before = self.picture();
        let second = self.apply(record.clone()).unwrap();
        assert_eq!(first, second, "{record:?}");
        assert_eq!(before, self.picture(), "{record:?}");
        first
    }

    /// Applies a record that is not allowed: nothing changes, and the rule is named.
    pub fn refused(&mut self, record: Record) -> Rule {
        let before = self.picture();
        let error = self.apply(record).unwrap_err();
        assert_eq!(before, self.picture());
        match error {
            StoreError::Rule { rule, .. } => *rule,
            other => panic!("{other:?}"),
        }
    }

    /// Every row of every table, as text.
    pub fn picture(&self) -> String {
        let path = tamga::store::open::database_path(self.folder.path());
        let conn =
            rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut names =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        let names: Vec<String> = names.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        let mut picture = String::new();
        for name in names {
            let mut rows = conn.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells: Vec<_> = (0..columns).map(|c| format!("{:?}", row.get_ref(c).unwrap())).collect();
                picture.push_str(&format!("{name}: {}\n", cells.join(" ")));
            }
        }
        picture
    }

    pub fn verified(&self) {
        assert_eq!(verify(&self.store.view()).unwrap(), vec![]);
        assert!(self.store.view().block_totals().unwrap().balanced());
    }

    pub fn state(&self, n: u32) -> Option<State> {
        match self.store.find(&identity(n)).unwrap() {
            Known::Unknown => None,
            Known::Waiting { state, .. } => Some(state),
            Known::Coded(facts) => Some(facts.state),
        }
    }

    // ---- what comes in ----

    pub fn order(&mut self, po_number: &str) -> OrderNo {
        let at = self.at();
        match self.apply(Record::OrderWanted { order: order_plan(po_number), at }).unwrap() {
            Some(Answer::Order(order)) => order,
            other => panic!("{other:?}"),
        }
    }

    pub fn ready(&mut self, order: OrderNo, expires: Option<Wall>) {
        let at = self.at();
        let state = OrderState::Ready(OrderTerms { expires, ..OrderTerms::default() });
        self.apply(Record::OrderState { order, state, why: String::new(), at }).unwrap();
    }

    pub fn block(&mut self, order: OrderNo, pack_id: &str, count: u32) -> BlockNo {
        let at = self.at();
        let (pack_id, body) = (pack_id.to_string(), vec![7; 10_000]);
        match self.apply(Record::Block { order, pack_id, previous: None, body, count, at }).unwrap() {
            Some(Answer::Block(block)) => block,
            other => panic!("{other:?}"),
        }
    }

    pub fn unpack(
        &mut self,
        block: BlockNo,
        from: u32,
        numbers: impl IntoIterator<Item = u32>,
    ) -> (u32, u32) {
        let at = self.at();
        let slice = numbers.into_iter().map(|n| Unpacked::Code(code(n))).collect();
        match self.apply(Record::Unpack { block, from, slice, at }).unwrap() {
            Some(Answer::Unpacked { pooled, set_aside }) => (pooled, set_aside),
            other => panic!("{other:?}"),
        }
    }

    /// A ready order with codes `1 ..= count` in the pool.
    pub fn pool(&mut self, count: u32) -> OrderNo {
        let order = self.order("PO-1");
        self.ready(order, None);
        let block = self.block(order, "pack-1", count);
        let mut from = 0;
        while from < count {
            let len = (count - from).min(100);
            self.unpack(block, from, from + 1..=from + len);
            from += len;
        }
        order
    }

    pub fn stock(&mut self, roll: &str, numbers: impl IntoIterator<Item = u32>) -> (u32, usize) {
        let at = self.at();
        let codes = numbers.into_iter().map(code).collect();
        let record = Record::Import { roll: roll.into(), codes, group: "water".into(), at };
        match self.apply(record).unwrap() {
            Some(Answer::Imported { taken, refused }) => (taken, refused.len()),
            other => panic!("{other:?}"),
        }
    }

    // ---- the line ----

    pub fn run(&mut self, key: &str) -> RunId {
        self.run_of(plan(key))
    }

    pub fn run_of(&mut self, plan: RunPlan) -> RunId {
        let at = self.at();
        let opened = Record::RunOpened { line: LINE, plan, who: "anna".into(), at, gate: None };
        let Some(Answer::Run(run)) = self.apply(opened).unwrap() else { panic!("no run") };
        self.run_state(run, RunState::Running).unwrap();
        run
    }

    pub fn run_state(&mut self, run: RunId, state: RunState) -> Result<Option<Answer>, StoreError> {
        let at = self.at();
        self.apply(Record::RunState { run, state, why: "test".into(), who: "anna".into(), at })
    }

    pub fn issue(&mut self, run: RunId, count: u32) -> Vec<Issued> {
        let at = self.at();
        let record = Record::Issue { run, printer: PRINTER, count, life_left_min_ms: 0, day_ends: NEVER, at };
        match self.apply(record).unwrap() {
            Some(Answer::Issued(issued)) => issued,
            other => panic!("{other:?}"),
        }
    }

    pub fn job(&mut self, run: RunId, n: u32, outcome: JobOutcome) -> Option<Answer> {
        let at = self.at();
        self.apply(Record::Job { run, code: identity(n), outcome, at }).unwrap()
    }

    pub fn trigger(&mut self, run: RunId, t: u32) -> Record {
        Record::Trigger { run, tag: tag(t), at: self.at() }
    }

    pub fn away(&mut self, run: RunId, from: u32, to: u32) -> Record {
        Record::Away { run, from: tag(from), to: tag(to), at: self.at() }
    }

    pub fn verify(&mut self, run: RunId, n: u32, t: u32) -> Record {
        Record::Verify { run, code: identity(n), tag: tag(t), at: self.at() }
    }

    pub fn end(&mut self, run: RunId, t: u32, end: ItemEnd) -> Record {
        Record::End { run, tag: tag(t), end, at: self.at() }
    }

    pub fn passed(&mut self, run: RunId, n: u32, t: u32) -> Record {
        self.end(run, t, ItemEnd::Passed { code: identity(n) })
    }

    pub fn rejected(&mut self, run: RunId, n: Option<u32>, t: u32) -> Record {
        self.end(run, t, ItemEnd::Rejected { reason: Reason::NoRead, code: n.map(identity) })
    }

    pub fn settle(&mut self, run: RunId, n: u32, passed: bool) -> Record {
        let (how, who) = ("seen".into(), "anna".into());
        Record::Settle { run, code: identity(n), passed, how, who, at: self.at() }
    }

    pub fn spoil(&mut self, n: u32) -> Record {
        let (reason, who) = (SpoilReason::Declared, "anna".into());
        Record::Spoil { code: identity(n), reason, who, at: self.at() }
    }

    /// Trigger, verify and pass of an issued code.
    pub fn pass_item(&mut self, run: RunId, n: u32, t: u32) -> PassNo {
        for record in [self.trigger(run, t), self.verify(run, n, t)] {
            self.apply(record).unwrap();
        }
        let record = self.passed(run, n, t);
        match self.apply(record).unwrap() {
            Some(Answer::Passed(pass)) => pass,
            other => panic!("{other:?}"),
        }
    }

    // ---- reports ----

    pub fn draft(&mut self, run: RunId, ranges: &[(u32, u32)], replaces: Option<ReportNo>) -> Record {
        let passes = ranges.iter().map(|(f, t)| PassRange { from: PassNo(*f), to: PassNo(*t) }).collect();
        let (kind, zone) = (ReportKind::Application, ZONE);
        Record::ReportDrafted { run, kind, passes, replaces, unsure: false, zone, by: None, at: self.at() }
    }

    pub fn report(&mut self, run: RunId, ranges: &[(u32, u32)]) -> ReportNo {
        let record = self.draft(run, ranges, None);
        match self.apply(record).unwrap() {
            Some(Answer::Report(report, _)) => report,
            other => panic!("{other:?}"),
        }
    }

    pub fn report_state(&mut self, report: ReportNo, state: ReportState) -> Record {
        Record::ReportState { report, state, why: "test".into(), at: self.at() }
    }

    pub fn unresolved(&mut self, report: ReportNo, pass: u32) -> Record {
        Record::Unresolved { report, pass: PassNo(pass), why: "refused".into(), at: self.at() }
    }
}
