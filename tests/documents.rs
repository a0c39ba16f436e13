//! Documents of packs, end to end: the product's way upstream over its store, against the simulated state system on
//! real sockets. Answers are lost before and after their effect, the agent is cut off between any two commits, documents
//! are processed in part: at the end upstream shows of each pack what lies in it here, made by one document.
#![allow(clippy::unwrap_used)] // a failed unwrap here is a failed test

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle as Thread;
use std::time::Duration;

use tamga::books::StoreBooks;
use tamga::clock;
use tamga::desk::UpstreamStatus;
use tamga::store::Store;
use tamga::store::read::packs::Content;
use tamga::store::read::{Reader, View};
use tamga::store::verify::verify;
use tamga::store::writer::{Handle, spawn};
use tamga::upstream::{Setup, run, xtrace};
use tamga_domain::day::Zone;
use tamga_domain::document::{DocumentRecord, Limits};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, PackNo, PrinterNo, RunId, StationNo, Tag, TxnId};
use tamga_domain::layout::{Form, Layout};
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::rework::{Fate, Rework};
use tamga_domain::pack::{Child, Holds, Level, Mixing, PackFacts, PackName, PackState, Terms, Told};
use tamga_domain::record::{Answer, ItemEnd, PackageKind, Record, RunPlan, RunState, Txn};
use tamga_domain::sscc::SsccRange;
use tamga_domain::time::Wall;
use tamga_domain::upstream::config::{Config, Documents, Product};
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};
use tamga_simulators::model::xtrace::route::Endpoint;
use tamga_simulators::model::xtrace::settings::Settings;
use tamga_simulators::upstream as state_system;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

const GTIN: &str = "04780000000014";
/// No test waits longer for a level to be reached.
const PATIENCE: Duration = Duration::from_secs(60);
const BOX: StationNo = StationNo(0);
const PALLET: StationNo = StationNo(1);
const BOXES: Terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };
const PALLETS: Terms =
    Terms { level: Level::Pallet, holds: Holds::Packs(Level::Box), capacity: 2, mixing: Mixing::Free };

fn gtin() -> Gtin {
    Gtin::parse(GTIN.as_bytes()).unwrap()
}

fn config() -> Config {
    let ms = Duration::from_millis;
    let product = Product {
        gtin: gtin(),
        group: "water".into(),
        kind: PackageKind::Unit,
        release_method: "PRIMARY".into(),
        business_place: Some(7),
        low_water: 30,
        order_quantity: 60,
        codes_per_block: 60,
        code_life: None,
    };
    Config {
        products: vec![product],
        business_place: Some(7),
        country: "UZ".into(),
        zone: Zone::parse("+05:00").unwrap(),
        requests_per_min: 1_000_000,
        pause: ms(1),
        backoff_min: ms(2),
        backoff_max: ms(20),
        first_within: ms(1),
        settle_min: ms(400),
        looks_min: 3,
        poll_min: ms(5),
        poll_max: ms(30),
        refused_pause: ms(300),
        report_every: ms(20),
        clock_margin: ms(0),
        documents: Documents {
            limits: Limits { codes: 9, ..Limits::KNOWN },
            every: ms(10),
            withdrawal_reason: "DEFECT".into(),
        },
        ..Config::new("agent7", 1)
    }
}

/// The agent's way upstream while it runs.
struct Running {
    handle: Handle,
    writer: Thread<()>,
    task: JoinHandle<()>,
    _assigned: mpsc::Sender<tamga_domain::record::OrderPlan>,
    _stop: watch::Sender<bool>,
}

struct Plant {
    system: state_system::Handle,
    data: PathBuf,
    running: Option<Running>,
    txn: AtomicU64,
    tag: u32,
    run: Option<RunId>,
}

impl Drop for Plant {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.data));
    }
}

impl Plant {
    async fn new(empty_packs_are_known: bool) -> Plant {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let data = std::env::temp_dir().join(format!("tamga-documents-{}-{n}", std::process::id()));
        let mut settings = Settings::uz();
        settings.limits.calls_per_min_max = 1_000_000;
        settings.strict.empty_packs_are_known = empty_packs_are_known;
        settings.delays.order_pending_ms = 5;
        settings.delays.order_ready_ms = 5;
        settings.delays.utilisation_ms = 20;
        settings.delays.document_step_ms = 10;
        let system = state_system::spawn(settings).unwrap();
        let mut plant = Plant { system, data, running: None, txn: AtomicU64::new(0), tag: 0, run: None };
        let mut store = Store::open(&plant.data, "agent7").unwrap();
        store.use_names(&SsccRange::new(0, "4780001", 0, 1_000).unwrap()).unwrap();
        std::fs::write(plant.data.join("key"), "uz-key\n").unwrap();
        plant.start(store);
        plant
    }

    fn start(&mut self, store: Store) {
        let (handle, writer) = spawn(store).unwrap();
        let books = StoreBooks {
            data: self.data.clone(),
            agent: "agent7".to_owned(),
            writer: handle.clone(),
            products: vec![(gtin(), 0)],
            life_left_min_ms: 0,
        };
        let layout = Layout::new(vec![Form::gs1(13, &[("93", 4)])]).unwrap();
        let setup = Setup {
            config: config(),
            xtrace: xtrace::Setup {
                request_timeout: Duration::from_secs(2),
                ..xtrace::Setup::new(format!("http://{}", self.system.api_addr), self.data.join("key"))
            },
            layouts: Arc::new(BTreeMap::from([("water".to_string(), layout)])),
            standing_every: Duration::from_millis(5),
            grace: Duration::from_secs(1),
        };
        let (assigned, mut assigned_rx) = mpsc::channel(1);
        let (status, _) = watch::channel(UpstreamStatus::default());
        let (stop, stop_rx) = watch::channel(false);
        let task = tokio::spawn(async move {
            run(setup, Arc::new(books), &mut assigned_rx, status, stop_rx).await.unwrap();
        });
        self.running = Some(Running { handle, writer, task, _assigned: assigned, _stop: stop });
    }

    /// The agent is cut off wherever it is; what was asked of the writer is durable or not.
    async fn cut_off(&mut self) {
        let Running { handle, writer, task, _assigned, _stop } = self.running.take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(handle);
        tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap();
        let store = Store::open(&self.data, "agent7").unwrap();
        assert_eq!(verify(&store.view()).unwrap(), vec![]);
        self.start(store);
    }

    async fn apply(&self, record: Record) -> Option<Answer> {
        let id = TxnId(1 + self.txn.fetch_add(1, Ordering::Relaxed));
        let handle = self.running.as_ref().unwrap().handle.clone();
        handle.commit(Txn { id, records: vec![record] }).await.unwrap().pop()
    }

    async fn pack(&self, record: PackRecord) -> PackAnswer {
        match self.apply(Record::Pack(record)).await {
            Some(Answer::Pack(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn see<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let reader = Reader::open(&self.data).unwrap();
        let view = reader.view().unwrap();
        look(&view)
    }

    /// Waits until the store, or the state system, shows something.
    async fn until(&self, what: &str, level: impl Fn(&Plant) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, async {
            let mut every = tokio::time::interval(Duration::from_millis(5));
            while !level(self) {
                every.tick().await;
            }
        });
        if reached.await.is_err() {
            let told: Vec<_> = self.packs().into_iter().map(|p| (p.pack, p.state, p.told)).collect();
            let open = self.see(|v| v.documents_open().unwrap());
            panic!("never: {what}; {told:?} {open:?}");
        }
    }

    /// Items that passed.
    async fn items(&mut self, count: u32) -> Vec<Child> {
        let pooled =
            |p: &Plant| p.see(|v| v.issuable(clock::wall(), 0).unwrap().iter().map(|i| i.1).sum::<u64>());
        self.until("codes are pooled", |p| pooled(p) >= u64::from(count)).await;
        let at = clock::wall();
        if self.run.is_none() {
            let plan = RunPlan {
                key: "r".into(),
                gtin: gtin(),
                group: "water".into(),
                quantity: 0,
                batch: "B1".into(),
                production: Zone::parse("+05:00").unwrap().day_of(at),
                expiry: Some(tamga_domain::day::Day(Zone::UTC.day_of(at).0 + 300)),
                before_order: true,
            };
            let opened = Record::RunOpened { line: LineNo(0), plan, who: "anna".into(), at, gate: None };
            let Some(Answer::Run(run)) = self.apply(opened).await else { panic!("no run") };
            let (why, who) = (String::new(), "anna".to_owned());
            self.apply(Record::RunState { run, state: RunState::Running, why, who, at }).await;
            self.run = Some(run);
        }
        let run = self.run.unwrap();
        let day_ends = Wall(i64::MAX);
        let issue = Record::Issue { run, printer: PrinterNo(0), count, life_left_min_ms: 0, day_ends, at };
        let Some(Answer::Issued(issued)) = self.apply(issue).await else { panic!("not issued") };
        assert_eq!(issued.len(), count as usize);
        let mut items = Vec::new();
        for issued in issued {
            self.tag += 1;
            let (tag, code, at) = (Tag { boot: 1, number: self.tag }, issued.code.identity, clock::wall());
            self.apply(Record::Trigger { run, tag, at }).await;
            self.apply(Record::Verify { run, code, tag, at }).await;
            self.apply(Record::End { run, tag, end: ItemEnd::Passed { code }, at }).await;
            items.push(Child::Item { identity: code, tail: None });
        }
        items
    }

    /// A closed pack of these children, with its name.
    async fn packed(&self, station: StationNo, terms: Terms, children: &[Child]) -> (PackNo, PackName) {
        let (who, at) = ("anna".to_owned(), clock::wall());
        let record =
            PackRecord::In { station, pack: None, terms, children: children.to_vec(), who: who.clone(), at };
        let PackAnswer::In { pack, .. } = self.pack(record).await else { panic!("not in") };
        let PackAnswer::Named { name, .. } =
            self.pack(PackRecord::Named { pack, name: NewName::Next, at }).await
        else {
            panic!("no name")
        };
        self.apply(Record::Pack(PackRecord::Closed { pack, who, at })).await;
        (pack, name)
    }

    /// Boxes of three, and pallets of two.
    async fn boxes_and_pallets(&mut self, pallets: u32) -> Vec<PackNo> {
        let mut all = Vec::new();
        let items = self.items(pallets * 6).await;
        let mut boxes = Vec::new();
        for three in items.chunks(3) {
            let (pack, name) = self.packed(BOX, BOXES, three).await;
            all.push(pack);
            boxes.push(Child::pack(name));
        }
        for two in boxes.chunks(2) {
            all.push(self.packed(PALLET, PALLETS, two).await.0);
        }
        all
    }

    fn packs(&self) -> Vec<PackFacts> {
        self.see(|v| (1..).map_while(|n| v.pack_no(PackNo(n)).unwrap()).collect())
    }

    fn told(&self, pack: PackNo) -> Told {
        self.see(|v| v.pack_no(pack).unwrap().unwrap().told)
    }

    /// All that can be told is told, and answered.
    async fn until_told(&self) {
        self.until("all is told", |p| {
            let told = |pack: PackFacts| match pack.state {
                PackState::Open => true,
                PackState::Closed => pack.told == Told::Aggregated,
                PackState::Voided => matches!(pack.told, Told::Nothing | Told::Disaggregated),
            };
            p.packs().into_iter().all(told) && p.see(|v| v.documents_open().unwrap().is_empty())
        })
        .await;
    }

    /// Upstream has of each pack what lies in it here, and made and took apart each once.
    fn agree(&self) {
        let truth = self.system.truth();
        let there: BTreeMap<String, BTreeSet<String>> =
            truth.boxes.into_iter().map(|unit| (unit.code, unit.children.into_iter().collect())).collect();
        let mut here = BTreeMap::new();
        for pack in self.packs().into_iter().filter(|p| p.told == Told::Aggregated) {
            let content = self.see(|v| v.content(pack.pack).unwrap());
            here.insert(upstream_name(&pack.name.unwrap()), content.iter().map(in_upstream).collect());
        }
        assert_eq!(here, there);
        for unit in truth.units {
            assert!(unit.made == 1 && unit.taken_apart <= 1, "{unit:?}");
        }
        self.see(|v| assert_eq!(verify(v).unwrap(), vec![]));
    }
}

fn upstream_name(name: &PackName) -> String {
    match name {
        PackName::Sscc(sscc) => format!("00{sscc}"),
        PackName::Code(code) => identity(code),
    }
}

fn identity(code: &tamga_domain::code::Identity) -> String {
    format!("01{}21{}", code.gtin, String::from_utf8_lossy(code.serial.as_bytes()))
}

fn in_upstream(content: &Content) -> String {
    match content {
        Content::Item(code) => identity(code),
        Content::Pack(name) => upstream_name(name),
    }
}

fn at(fault: Fault, endpoint: Endpoint, rate: f64) -> Rule {
    Rule { endpoint: Some(endpoint), ..Rule::new(fault, rate) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_are_told_in_the_legal_order_over_a_bad_way_and_restarts() {
    for known in [false, true] {
        let mut plant = Plant::new(known).await;
        let mut rules: Vec<Rule> = [
            Fault::DropBefore,
            Fault::DropAfter,
            Fault::ErrorBefore,
            Fault::ErrorAfter,
            Fault::HtmlAfter,
            Fault::Truncated,
        ]
        .map(|fault| at(fault, Endpoint::DocumentCreate, 0.1))
        .into();
        rules.extend([Fault::DropAfter, Fault::ErrorBefore].map(|fault| Rule::new(fault, 0.02)));
        rules.push(at(Fault::Latency, Endpoint::DocumentCreate, 0.2).with_ms(1, 40));
        rules.push(at(Fault::Hidden, Endpoint::DocumentCreate, 0.1).with_ms(1, 150));
        plant.system.faults(FaultPlan::of(rules));
        for _ in 0..3 {
            let packs = plant.boxes_and_pallets(2).await;
            // Somewhere on the way: with a document open, most often.
            plant
                .until("a document is on its way", |p| p.see(|v| !v.documents_open().unwrap().is_empty()))
                .await;
            plant.cut_off().await;
            plant.until("a box is told", |p| p.told(packs[0]) == Told::Aggregated).await;
            plant.cut_off().await;
        }
        plant.until_told().await;
        plant.agree();
        // Taken apart, parents first, and packed anew.
        let pallet = plant.packs().into_iter().find(|p| p.terms.level == Level::Pallet).unwrap();
        let void =
            |pack| PackRecord::Voided { pack, reason: "wet".into(), who: "anna".into(), at: clock::wall() };
        let inside = plant.see(|v| v.content(pallet.pack).unwrap());
        plant.apply(Record::Pack(void(pallet.pack))).await;
        let Content::Pack(name) = inside[0] else { panic!() };
        let first = plant.see(|v| v.pack(name).unwrap().unwrap());
        let items: Vec<Child> = plant.see(|v| {
            let content = v.content(first.pack).unwrap();
            content
                .into_iter()
                .map(|c| match c {
                    Content::Item(identity) => Child::Item { identity, tail: None },
                    Content::Pack(name) => Child::pack(name),
                })
                .collect()
        });
        plant.apply(Record::Pack(void(first.pack))).await;
        plant.cut_off().await;
        let (_, new) = plant.packed(BOX, BOXES, &items).await;
        let Content::Pack(second) = inside[1] else { panic!() };
        plant.packed(PALLET, PALLETS, &[Child::pack(new), Child::pack(second)]).await;
        plant.until_told().await;
        plant.agree();
        let struck: u64 = plant.system.fault_report().struck.values().sum();
        assert!(struck > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_with_a_refused_child_is_named_and_the_others_are_told() {
    let mut plant = Plant::new(false).await;
    plant.system.faults(FaultPlan::of([at(Fault::DropBefore, Endpoint::DocumentCreate, 1.0)]));
    let items = plant.items(12).await;
    let Child::Item { identity: bad, .. } = &items[4] else { panic!() };
    let refused_units = vec![identity(bad)];
    plant.system.faults(FaultPlan { refused_units, ..FaultPlan::default() });
    let mut boxes = Vec::new();
    for three in items.chunks(3) {
        boxes.push(plant.packed(BOX, BOXES, three).await);
    }
    let (on_it, _) = plant.packed(PALLET, PALLETS, &[Child::pack(boxes[0].1), Child::pack(boxes[1].1)]).await;
    let (other, _) = plant.packed(PALLET, PALLETS, &[Child::pack(boxes[2].1), Child::pack(boxes[3].1)]).await;
    plant.until("the other pallet is told", |p| p.told(other) == Told::Aggregated).await;
    plant.until("the bad box is named", |p| p.told(boxes[1].0) == Told::Refused).await;
    assert_eq!(plant.told(on_it), Told::Nothing, "no pack is told over what is not resolved");
    let raised =
        |p: &Plant| p.see(|v| v.alarms_open().unwrap().iter().any(|a| a.key == "alarm.packs_refused"));
    plant.until("people are told", raised).await;
    let carried = plant.see(|v| v.documents_of(boxes[1].0).unwrap());
    assert!(carried[0].why.contains("code-refused"), "{carried:?}");
    plant.agree();
    // A person mends it in the cabinet, and has it told again.
    plant.system.faults(FaultPlan::default());
    let (reason, who, at) = ("mended".to_owned(), "anna".to_owned(), clock::wall());
    plant.apply(Record::Document(DocumentRecord::Again { pack: boxes[1].0, reason, who, at })).await;
    plant.until_told().await;
    plant.agree();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_fail_whole_in_part_or_come_twice_end_with_each_pack_told_once() {
    let mut plant = Plant::new(false).await;
    let rule = |fault| Rule::next(fault, Endpoint::DocumentCreate, 1);
    plant.system.faults(FaultPlan::of([
        rule(Fault::RefuseDocument),
        rule(Fault::Doubled),
        rule(Fault::Stuck).with_ms(10, 100),
    ]));
    plant.boxes_and_pallets(4).await;
    plant.until_told().await;
    plant.agree();
    let struck = plant.system.fault_report().struck;
    assert_eq!(struck.values().sum::<u64>(), 3, "{struck:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapped_items_are_written_off_when_their_pack_is_taken_apart() {
    let mut plant = Plant::new(true).await;
    plant.system.faults(FaultPlan::of([
        Rule::next(Fault::DropAfter, Endpoint::DocumentCreate, 1),
        at(Fault::DropBefore, Endpoint::DocumentCreate, 0.2),
    ]));
    let items = plant.items(3).await;
    let (pack, _) = plant.packed(BOX, BOXES, &items).await;
    plant.until("the box is told", |p| p.told(pack) == Told::Aggregated).await;
    let works = vec![Rework::Out { children: vec![items[0].clone()], fate: Fate::Scrap }];
    let (reason, who, at) = ("broken".to_owned(), "anna".to_owned(), clock::wall());
    let record = PackRecord::Rework { key: None, works, shown: None, reason, who: who.clone(), at };
    let PackAnswer::Reworked(new) = plant.pack(record).await else { panic!("not done") };
    let (_, follower) = new[0];
    plant.pack(PackRecord::Named { pack: follower, name: NewName::Next, at }).await;
    plant.apply(Record::Pack(PackRecord::Closed { pack: follower, who, at })).await;
    plant.until_told().await;
    let Child::Item { identity: scrapped, .. } = &items[0] else { panic!() };
    let gone = |p: &Plant| {
        let truth = p.system.truth();
        truth.codes.iter().any(|c| c.code == identity(scrapped) && c.status == CodeStatus::WrittenOff)
    };
    plant.until("the code is written off upstream", gone).await;
    plant.until("and here", |p| p.see(|v| v.block_totals().unwrap().written_off == 1)).await;
    plant.agree();
}
