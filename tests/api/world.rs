//! A server on a loopback port, the line behind it, and records in memory.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tamga::desk::*;
use tamga::dossier::Hash;
use tamga::health::{Beat, Health};
use tamga::store::read::documents::DocumentRow;
use tamga::store::read::happened::{Entry, Part};
use tamga::store::read::outbox::{OrderRow, ReportRow};
use tamga::store::read::packing::{Listing, Place};
use tamga::store::read::people::AuditRow;
use tamga::store::read::pools::{BlockBalance, Counts, PoolLevel};
use tamga::store::read::sheet::{RunCodes, RunItems, RunLine, RunSheet};
use tamga::store::read::story::{CodeStory, IssuedFacts, Received};
use tamga::web::socket::Socket;
use tamga::web::token::{FILE, Token};
use tamga::web::{self, Door};
use tamga_domain::code::{Identity, Serial};
use tamga_domain::day::{Day, Zone};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{BlockNo, IssueNo, LineNo, OrderNo, PackNo, PrinterNo, ReportNo, RunId, Tag};
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::line::ask::{Alarm, Ask, DeviceStatus, Refusal, Reply, RunStatus, Status};
use tamga_domain::pack::ask::StationStatus;
use tamga_domain::pack::doctor::Diagnosis;
use tamga_domain::pack::record::PackRecord;
use tamga_domain::pack::rework::{NotDone, Plan, Rework};
use tamga_domain::pack::{Child, PackFacts};
use tamga_domain::record::{
    Answer, JobOutcome, OrderPlan, OrderState, PackageKind, Record, ReportKind, ReportState, RunPlan,
    RunState,
};
use tamga_domain::time::Wall;
use tamga_drivers::trace::Trace;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::station;

pub const GTIN: &str = "04600000000015";
/// The code that the records know; its tail must never come out.
pub const KNOWN: &str = "010460000000001521A7bQ<GS>93CANARY";
pub const TAIL: &str = "CANARY";

pub struct World {
    pub runtime: Runtime,
    pub base: String,
    pub folder: PathBuf,
    pub token: Token,
    pub client: Client,
    pub records: Arc<Memory>,
    /// What line and stations were asked, as `Debug` text, with the name of who asked.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Orders on their way to the upstream task.
    pub assigned: Mutex<mpsc::Receiver<OrderPlan>>,
    /// The wire of printer `p1`.
    pub trace: Trace,
    /// What the line shows, to be changed.
    pub status: Arc<watch::Sender<Arc<Status>>>,
    /// What the station `box1` shows, to be changed.
    pub station: Arc<watch::Sender<Arc<StationStatus>>>,
    pub upstream: watch::Sender<UpstreamStatus>,
}

impl World {
    pub fn new() -> World {
        World::of_group(None)
    }

    /// A world whose socket lets in the members of a group.
    pub fn of_group(group: Option<u32>) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tamga-api-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let token = Token::load_or_make(&folder).unwrap();
        let records = Arc::new(Memory::default());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (line, status) = line(&runtime, asked.clone());
        let (stations, station) = station::all(&runtime, &asked);
        let answered = UpstreamStatus { last_answer_ms: Some(1), ..Default::default() };
        let (upstream, seen) = watch::channel(answered);
        let trace = Trace::of_symbols();
        let beat = Beat::default();
        beat.bump();
        std::fs::write(folder.join("started.toml"), "as it was").unwrap();
        let (assign, assigned) = mpsc::channel(4);
        let desk = Desk {
            agent: Agent { id: "a1".into(), started: Wall(0) },
            health: Health::new(vec![("line line1".into(), beat)], None),
            config: ConfigFile {
                path: folder.join("started.toml"),
                text: "as it was".into(),
                offline: false,
            },
            lines: vec![line],
            stations,
            products: vec![Product {
                gtin: gtin(),
                group: "water".into(),
                name: "Still 0.5".into(),
                kind: PackageKind::Unit,
                packs: None,
            }],
            devices: vec![("p1".into(), trace.clone())],
            upstream: seen,
            broker: None,
            zone: Zone::parse("+05:00").unwrap(),
            assign: Some(assign),
            dossiers: folder.join("dossiers"),
            records: records.clone(),
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let group = group.map(|group| group.to_string());
        let socket =
            runtime.block_on(async { Socket::bind(&folder.join("api.sock"), group.as_deref()) }).unwrap();
        let hosts = vec!["line3.plant".into()];
        let door = Door { listener, socket: Some(socket), token: token.clone(), hosts };
        runtime.spawn(web::serve(desk, door, std::future::pending()));
        let client = Client::builder().no_proxy().build().unwrap();
        let assigned = Mutex::new(assigned);
        World {
            runtime,
            base,
            folder,
            token,
            client,
            records,
            asked,
            assigned,
            trace,
            status,
            station,
            upstream,
        }
    }

    /// A request as a caller who is let in.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .header("authorization", self.token.bearer())
            .header("x-tamga-who", "Dilnoza")
    }

    pub fn send(&self, request: RequestBuilder) -> (u16, String) {
        self.runtime.block_on(async {
            let response: Response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.send(self.request(Method::GET, path));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, text) = self.send(self.request(Method::POST, path).json(&body));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn start(&self) -> (u16, Value) {
        let path = "/api/v1/lines/line1/run";
        self.post(path, serde_json::json!({"gtin": GTIN, "quantity": 5, "batch": "A-17", "key": "k"}))
    }

    /// The real binary against this server.
    pub fn tamga(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tamga"))
            .args(["--api", &self.base, "--token-file"])
            .arg(self.folder.join(FILE))
            .args(args)
            .env_remove("LC_ALL")
            .env("LANG", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A child that does not read its stdin may be gone already.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin);
        child.wait_with_output().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn gtin() -> Gtin {
    Gtin::parse(GTIN.as_bytes()).unwrap()
}

pub fn identity(serial: &[u8]) -> Identity {
    Identity { gtin: gtin(), serial: Serial::new(serial).unwrap() }
}

/// A line that does what it is asked, one run at a time, and closes at once when all is clear.
fn line(runtime: &Runtime, asked: Arc<Mutex<Vec<String>>>) -> (LineDesk, Arc<watch::Sender<Arc<Status>>>) {
    let (ask, mut asks) = mpsc::channel::<Asked>(8);
    let alarm = Alarm { key: "pool_low".into(), detail: "7".into(), since: Wall(0), acknowledged: false };
    let device = |name: &str, kind| DeviceStatus { name: name.into(), kind, connected: true, faults: vec![] };
    let first = Status {
        devices: vec![device("p1", "printer"), device("r1", "reader")],
        alarms: vec![alarm],
        ..Status::default()
    };
    let (show, status) = watch::channel(Arc::new(first));
    let show = Arc::new(show);
    let given = show.clone();
    runtime.spawn(async move {
        while let Some(Asked { ask, who, reply }) = asks.recv().await {
            asked.lock().unwrap().push(format!("{} ({}): {ask:?}", who.name, who.from));
            let mut now = Status::clone(&show.borrow());
            let answer = answer(&mut now, ask);
            show.send_replace(Arc::new(now));
            let _ = reply.send(answer);
        }
    });
    (LineDesk { no: LineNo(0), name: "line1".into(), kind: "print-and-apply", ask, status }, given)
}

fn answer(status: &mut Status, ask: Ask) -> Result<Reply, Refusal> {
    match ask {
        Ask::Start(plan) => match &status.run {
            Some(run) if run.plan.key == plan.key => Ok(Reply::Opened(run.run)),
            Some(run) => Err(Refusal::new("run_open").with("run", run.run)),
            None => {
                status.run = Some(run_status(plan));
                Ok(Reply::Opened(RunId(1)))
            }
        },
        Ask::Stop | Ask::Resume if status.run.is_none() => Err(Refusal::new("no_run")),
        Ask::Close { clear: false } => Ok(Reply::Closing { unseen: 2, pass_unknown: 1, open_tags: 0 }),
        Ask::Close { clear: true } => {
            status.run = None;
            Ok(Reply::Closing { unseen: 0, pass_unknown: 0, open_tags: 0 })
        }
        Ask::Acknowledge { .. } => {
            status.alarms[0].acknowledged = true;
            Ok(Reply::Done)
        }
        Ask::Declare { code, .. } => {
            status.run.iter_mut().for_each(|run| run.in_doubt.retain(|doubt| doubt.code != code));
            Ok(Reply::Done)
        }
        Ask::Stop | Ask::Resume | Ask::TestPrint { .. } => Ok(Reply::Done),
    }
}

fn run_status(plan: RunPlan) -> RunStatus {
    RunStatus {
        run: RunId(1),
        plan,
        state: RunState::Running,
        triggers: 4,
        passed: 3,
        rejected: vec![("no_read".into(), 1)],
        issued: 5,
        in_doubt: vec![],
        pass_unknown: vec![],
    }
}

#[derive(Default)]
pub struct Memory {
    pub audit: Mutex<Vec<AuditEntry>>,
    pub imported: Mutex<Vec<(u64, Vec<u8>)>>,
    pub alarms: Mutex<Vec<Alarm>>,
    pub run_is_closed: Mutex<bool>,
    /// The known item lies in the pack that the records know.
    pub is_packed: Mutex<bool>,
    /// Makes the sheet's items disagree.
    pub unbalanced: Mutex<bool>,
    /// Codes issued to the run, where it is not what its list has.
    pub issued: Mutex<u32>,
    /// Items of the run that are counted in no pack and not as loose.
    pub unpacked: Mutex<u32>,
    /// Signatures that were written down, as `Debug` text.
    pub signed: Mutex<Vec<String>>,
    pub orders: Mutex<Vec<OrderPlan>>,
    /// When the oldest order with pooled codes was made.
    pub oldest_order: Mutex<Option<Wall>>,
}

fn sheet(triggers: u32) -> RunSheet {
    let plan = RunPlan {
        key: "k".into(),
        gtin: gtin(),
        group: "water".into(),
        quantity: 3,
        batch: "A-17".into(),
        production: Day(0),
        expiry: None,
        before_order: false,
    };
    let counts =
        Counts { received: 10, unpacked: 10, pooled: 5, applied: 3, spoiled: 2, ..Counts::default() };
    let block = BlockBalance {
        block: BlockNo(2),
        order: Some(OrderNo(1)),
        pack_id: "pack".into(),
        received_at: Wall(0),
        counts,
    };
    RunSheet {
        run: RunId(1),
        line: LineNo(0),
        plan,
        state: RunState::Closed,
        opened_at: Wall(1_000),
        opened_by: "Dilnoza".into(),
        closed_at: Some(Wall(61_000)),
        codes: RunCodes { issued: 5, applied: 3, spoiled: 2, ..RunCodes::default() },
        items: RunItems { triggers, passed: 3, rejected: 1, ..RunItems::default() },
        rejected: vec![("no_read".into(), 1)],
        blocks: vec![(block, 5)],
        accepted: 3,
        open: 0,
        held: 0,
        refused: 0,
        unreported: 0,
        in_doubt: vec![],
        pass_unknown: vec![],
        spoiled: vec![(identity(b"x1"), State::Spoiled(SpoilReason::Unseen))],
        unresolved: vec![],
        packs: station::run_packs(),
        changes: vec![],
        signed: vec![],
    }
}

fn story() -> CodeStory {
    let received = Received {
        block: BlockNo(2),
        order: Some(OrderNo(1)),
        po_number: Some("po".into()),
        pack_id: "pack".into(),
        at: Wall(0),
    };
    let issued = IssuedFacts {
        run: RunId(1),
        printer: PrinterNo(0),
        issue: IssueNo(7),
        at: Some(Wall(5_000)),
        outcome: JobOutcome::Printed,
    };
    CodeStory {
        code: identity(b"A7bQ"),
        state: State::Verified(Whereabouts::Unknown),
        received,
        issued: Some(issued),
        verified: Some((Tag { boot: 1, number: 9 }, Wall(6_000))),
        rejected: None,
        passed: None,
        returned: None,
        reports: vec![],
        given_again: vec![],
        incidents: vec![],
    }
}

impl Records for Memory {
    fn story(&self, scan: &[u8]) -> Result<Option<Story>, RecordsError> {
        if !scan.starts_with(b"01") {
            return Err(RecordsError::NotACode);
        }
        // Serials of four characters, or of six with a dash.
        let named = scan.windows(6).find(|w| w.starts_with(b"A7bQ-")).unwrap_or(b"A7bQ");
        Ok(scan.windows(4).any(|w| w == b"A7bQ").then(|| Story {
            code: CodeStory { code: identity(named), ..story() },
            line: Some(LineNo(0)),
            pack: self.is_packed.lock().unwrap().then(station::boxed),
            run_is_closed: *self.run_is_closed.lock().unwrap(),
            tail_agrees: scan.contains(&0x1d).then(|| scan.ends_with(TAIL.as_bytes())),
        }))
    }
    fn pack(&self, scan: &[u8]) -> Result<Option<PackStory>, RecordsError> {
        station::pack(scan, *self.is_packed.lock().unwrap())
    }
    // Rework is tried with the records of the product, in `tests/packing`.
    fn scanned(&self, _: &[u8]) -> Result<Option<Scanned>, RecordsError> {
        Err(RecordsError::NotACode)
    }
    fn pack_no(&self, _: PackNo) -> Result<Option<PackFacts>, RecordsError> {
        Ok(None)
    }
    fn rework_plan(&self, _: &[Rework]) -> Result<Result<Plan, NotDone>, RecordsError> {
        Ok(Err(NotDone::NoSuchPack(PackNo(0))))
    }
    fn diagnosis(&self, _: PackNo, _: Option<&[Child]>) -> Result<Diagnosis, RecordsError> {
        Ok(Diagnosis::default())
    }
    fn change_pack(&self, _: PackRecord) -> Result<Option<Answer>, RecordsError> {
        Ok(None)
    }
    fn runs(&self, before: Option<RunId>, _: u32) -> Result<Vec<RunLine>, RecordsError> {
        let run = RunLine {
            run: RunId(1),
            line: LineNo(0),
            gtin: gtin(),
            batch: "A-17".into(),
            state: RunState::Closed,
            opened_at: Wall(1_000),
            closed_at: Some(Wall(61_000)),
            quantity: 3,
            passed: 3,
            rejected: 1,
        };
        Ok(if before.is_some() { vec![] } else { vec![run] })
    }
    fn sheet(&self, run: RunId) -> Result<Option<RunSheet>, RecordsError> {
        let triggers = if *self.unbalanced.lock().unwrap() { 5 } else { 4 };
        let mut sheet = sheet(triggers);
        let issued = *self.issued.lock().unwrap();
        if issued > 0 {
            (sheet.codes.issued, sheet.codes.spoiled) = (issued, issued - 3);
        }
        sheet.packs.items.loose -= *self.unpacked.lock().unwrap();
        Ok((run == RunId(1)).then_some(sheet))
    }
    fn listing(&self, _: RunId, _: Gtin, from: &Place, limit: u32) -> Result<Listing, RecordsError> {
        assert!(limit > 0 && *from == Place::default());
        Ok(station::listing())
    }
    fn packs_of(&self, _: RunId) -> Result<Vec<PackNo>, RecordsError> {
        Ok(vec![PackNo(7), PackNo(9)])
    }
    fn pack_rows(&self, packs: &[PackNo]) -> Result<Vec<PackRow>, RecordsError> {
        Ok(packs.iter().map(|pack| station::row(*pack)).collect())
    }
    fn trails(&self) -> Result<[(i64, Hash); 2], RecordsError> {
        Ok([(1, Hash::ZERO); 2])
    }
    fn happened(
        &self,
        _: RunId,
        part: Part,
        (after, _): (i64, Wall),
        limit: u32,
    ) -> Result<Vec<Entry>, RecordsError> {
        // Three looks at the part of the commands, none at the others.
        let last = if part == Part::Audit { i64::from(limit) * 2 + 7 } else { 0 };
        let entry = |id| Entry { id, at: id, who: "Anna".into(), what: "POST /x".into(), ..Entry::default() };
        Ok((after + 1..=last).take(limit as usize).map(entry).collect())
    }
    fn happened_to(&self, packs: &[PackNo]) -> Result<Vec<Entry>, RecordsError> {
        let entry = |pack: &PackNo| Entry { what: "opened".into(), of: pack.to_string(), ..Entry::default() };
        Ok(packs.iter().map(entry).collect())
    }
    fn signed_off(&self, record: Record) -> Result<(), RecordsError> {
        self.signed.lock().unwrap().push(format!("{record:?}"));
        Ok(())
    }
    fn pool(&self) -> Result<Vec<PoolLevel>, RecordsError> {
        let level = PoolLevel {
            gtin: gtin(),
            group: "water".into(),
            kind: PackageKind::Unit,
            pooled: 1200,
            on_order: 0,
            soonest_expiry: None,
        };
        Ok(vec![level])
    }
    fn orders(&self, before: Option<OrderNo>, limit: u32) -> Result<Vec<OrderRow>, RecordsError> {
        let orders = self.orders.lock().unwrap();
        let rows = orders.iter().enumerate().map(|(n, plan)| OrderRow {
            order: OrderNo(n as u32),
            plan: plan.clone(),
            state: OrderState::Refused,
            why: "it is closed".into(),
            expires: None,
            ordered: Some(Wall(1_000)),
            wanted_at: Wall(0),
            changed_at: Wall(2_000),
            received: 0,
            pooled: 0,
            last_pack: None,
        });
        let before = before.map_or(u32::MAX, |b| b.0);
        Ok(rows.rev().filter(|r| r.order.0 < before).take(limit as usize).collect())
    }
    fn assign(&self, plan: &OrderPlan) -> Result<OrderNo, RecordsError> {
        let mut orders = self.orders.lock().unwrap();
        if orders.contains(plan) {
            return Err(RecordsError::Refused(Refusal::new("http.order_known").with("order", 0)));
        }
        orders.push(plan.clone());
        Ok(OrderNo(orders.len() as u32 - 1))
    }
    fn oldest_order(&self, _: &Gtin) -> Result<Option<Wall>, RecordsError> {
        Ok(*self.oldest_order.lock().unwrap())
    }
    fn documents(&self) -> Result<Vec<DocumentRow>, RecordsError> {
        Ok(vec![station::document().document])
    }
    fn tell_again(&self, pack: PackNo, _: String, _: String) -> Result<bool, RecordsError> {
        Ok(pack == PackNo(9))
    }
    fn outbox(&self) -> Result<Vec<ReportRow>, RecordsError> {
        let report = ReportRow {
            report: ReportNo(2),
            run: RunId(1),
            kind: ReportKind::Application,
            state: ReportState::Processing { upstream_id: "u".into() },
            why: String::new(),
            upstream_id: Some("u".into()),
            replaces: None,
            drafted_at: Wall(0),
            changed_at: Wall(0),
            attempts: 1,
            passes: 3,
            production: Wall(0),
            ranges: vec![],
        };
        Ok(vec![report])
    }
    fn doctor(&self) -> Result<Vec<Finding>, RecordsError> {
        Ok(vec![])
    }
    fn upstream_alarms(&self) -> Result<Vec<Alarm>, RecordsError> {
        Ok(self.alarms.lock().unwrap().clone())
    }
    fn acknowledge(&self, key: &str, _: String) -> Result<bool, RecordsError> {
        let mut alarms = self.alarms.lock().unwrap();
        let found = alarms.iter_mut().find(|alarm| alarm.key == key);
        Ok(found.map(|alarm| alarm.acknowledged = true).is_some())
    }
    fn import(&self, slice: &ImportSlice) -> Result<Imported, RecordsError> {
        assert!(slice.codes.len() <= IMPORT_SLICE);
        let mut taken = self.imported.lock().unwrap();
        let mut answer = Imported::default();
        for (line, code) in &slice.codes {
            if code.starts_with(b"bad") {
                let why = "http.code_malformed".to_owned();
                answer.refused.push(RefusedCode { line: *line, code: None, why });
            } else {
                answer.taken += 1;
                taken.push((*line, code.clone()));
            }
        }
        Ok(answer)
    }
    fn audited(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, RecordsError> {
        let row = |(id, e): (i64, &AuditEntry)| AuditRow {
            id,
            who: e.who.clone(),
            from: e.from.clone(),
            command: e.command.clone(),
            outcome: e.outcome.clone(),
            at: Wall(0),
        };
        let audit = self.audit.lock().unwrap();
        let mut rows: Vec<AuditRow> = (1..).zip(audit.iter()).map(row).collect();
        rows.reverse();
        Ok(rows.into_iter().filter(|row| before.is_none_or(|b| row.id < b)).take(limit as usize).collect())
    }
    fn audit(&self, entry: AuditEntry) -> Result<(), RecordsError> {
        self.audit.lock().unwrap().push(entry);
        Ok(())
    }
}
