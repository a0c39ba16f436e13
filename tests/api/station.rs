//! Packing stations that do what they are asked, and the one pack that the records know.

use std::sync::{Arc, Mutex};

use tamga::desk::{PackRow, PackStory, RecordsError, StationAsked, StationDesk};
use tamga::store::read::documents::{CarriedIn, DocumentRow};
use tamga::store::read::packing::{Listed, Listing, OutOf, PackCounts, PackedItems, Reasoned, RunPacks};
use tamga::store::read::packs::{Content, PackChange, TakenOut};
use tamga_domain::document::{DocumentKind, Drafted};
use tamga_domain::ids::{DocumentNo, PackNo, RunId};
use tamga_domain::lifecycle::{SpoilReason, State, Whereabouts};
use tamga_domain::line::ask::Refusal;
use tamga_domain::pack::ask::{OpenPack, StationAsk, StationReply, StationStatus};
use tamga_domain::pack::{Holds, Level, Mixing, PackFacts, PackName, PackState, Terms, Told};
use tamga_domain::record::ReportState;
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::world::{gtin, identity};

/// The pack that the records know, and the pallet that it lies on.
pub const BOX: &str = "046000000000000015";
pub const PALLET: &str = "046000000000000022";
/// A pack with as many items as any state system takes.
pub const BIG: &str = "046000000000000046";
pub const BIG_ITEMS: u32 = 1_500;
const TERMS: Terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };

type Show = Arc<watch::Sender<Arc<StationStatus>>>;

/// `box1`, which does what it is asked; `gone1`, whose task ends when it is asked; `busy1`, which takes up nothing.
pub fn all(runtime: &Runtime, asked: &Arc<Mutex<Vec<String>>>) -> (Vec<StationDesk>, Show) {
    let (alive, asks, show) = station("box1");
    let (gone, mut over, _) = station("gone1");
    runtime.spawn(async move { over.recv().await });
    let (busy, idle, _) = station("busy1");
    for _ in 0..2 {
        let (reply, _) = tokio::sync::oneshot::channel();
        let who = tamga::desk::Who { name: "x".into(), from: "x".into() };
        let ask = StationAsk::Void { reason: "x".into() };
        let _ = busy.ask.try_send(StationAsked { ask, who, reply });
    }
    runtime.spawn(async move {
        let _kept = idle;
        std::future::pending::<()>().await;
    });
    let (given, asked) = (show.clone(), asked.clone());
    runtime.spawn(serve(asks, given, asked));
    (vec![alive, gone, busy], show)
}

fn station(name: &str) -> (StationDesk, mpsc::Receiver<StationAsked>, Show) {
    let (ask, asks) = mpsc::channel(1);
    let first = StationStatus {
        reader_connected: true,
        printer_connected: Some(true),
        closed: 2,
        ..StationStatus::default()
    };
    let (show, status) = watch::channel(Arc::new(first));
    (StationDesk { name: name.into(), terms: TERMS, label_counts: true, ask, status }, asks, Arc::new(show))
}

async fn serve(mut asks: mpsc::Receiver<StationAsked>, show: Show, asked: Arc<Mutex<Vec<String>>>) {
    while let Some(StationAsked { ask, who, reply }) = asks.recv().await {
        asked.lock().unwrap().push(format!("{} ({}): {ask:?}", who.name, who.from));
        let mut now = StationStatus::clone(&show.borrow());
        let answer = answer(&mut now, &ask);
        show.send_replace(Arc::new(now));
        let _ = reply.send(answer);
    }
}

fn answer(now: &mut StationStatus, ask: &StationAsk) -> Result<StationReply, Refusal> {
    let Some(open) = &mut now.open else { return Err(Refusal::new("refuse.no_open_pack")) };
    match ask {
        StationAsk::Short { .. } if open.name.is_none() => Ok(StationReply::ScanName),
        StationAsk::Short { .. } => Ok(StationReply::Done),
        StationAsk::Reprint { .. } if open.name.is_none() => Err(Refusal::new("refuse.no_label")),
        StationAsk::Reprint { .. } => Ok(StationReply::Done),
        StationAsk::Label { .. } => Ok(StationReply::Done),
        StationAsk::Void { .. } => {
            now.open = None;
            Ok(StationReply::Done)
        }
        StationAsk::Out { scan, .. } if scan.windows(4).any(|w| w == b"A7bQ") => {
            open.content -= 1;
            Ok(StationReply::Out { left: open.content })
        }
        StationAsk::Out { .. } => Err(Refusal::new("refuse.not_in_pack")),
    }
}

/// A pack that is being filled.
pub fn open(content: u32, name: Option<&str>) -> OpenPack {
    OpenPack { pack: PackNo(7), content, capacity: 3, name: name.map(sscc), label: name.map(|_| "printed") }
}

fn sscc(digits: &str) -> PackName {
    Sscc::parse(digits.as_bytes()).unwrap().into()
}

/// The closed box that the known item lies in.
pub fn boxed() -> PackFacts {
    PackFacts {
        pack: PackNo(7),
        terms: TERMS,
        state: PackState::Closed,
        name: Some(sscc(BOX)),
        content: 2,
        parent: Some(PackNo(9)),
        run: Some(RunId(1)),
        gtin: Some(gtin()),
        labels: 2,
        short: false,
        told: Told::Nothing,
        follows: None,
        home: None,
        elsewhere: None,
    }
}

fn pallet() -> PackFacts {
    PackFacts {
        pack: PackNo(9),
        terms: Terms { level: Level::Pallet, holds: Holds::Packs(Level::Box), capacity: 2, ..TERMS },
        state: PackState::Open,
        name: Some(sscc(PALLET)),
        content: 1,
        parent: None,
        labels: 0,
        ..boxed()
    }
}

/// What the records say of a scan.
pub fn pack(scan: &[u8], is_packed: bool) -> Result<Option<PackStory>, RecordsError> {
    let name = Sscc::parse_read(scan).ok().map(|name| name.to_string());
    let of_item = is_packed && scan.windows(4).any(|w| w == b"A7bQ");
    match name.as_deref() {
        Some(BOX) => Ok(Some(story())),
        Some(PALLET) => Ok(Some(PackStory {
            pack: pallet(),
            within: vec![],
            content: vec![Content::Pack(sscc(BOX))],
            changes: vec![],
            taken_out: vec![],
            documents: vec![],
        })),
        Some(BIG) => Ok(Some(PackStory {
            pack: PackFacts { name: Some(sscc(BIG)), content: BIG_ITEMS, parent: None, ..boxed() },
            within: vec![],
            content: (0..BIG_ITEMS).map(|n| Content::Item(identity(format!("N{n:05}").as_bytes()))).collect(),
            changes: vec![],
            taken_out: vec![],
            documents: vec![],
        })),
        None if !scan.starts_with(b"01") => Err(RecordsError::NotACode),
        None if of_item => Ok(Some(story())),
        Some(_) | None => Ok(None),
    }
}

/// A document that is on its way and carries the box.
pub fn document() -> CarriedIn {
    let (no, kind, moment) = (DocumentNo(4), DocumentKind::Aggregation, Wall(6_000));
    let document = DocumentRow {
        draft: Drafted { no, kind, pieces: 3, codes: 6, moment, root: None },
        state: ReportState::Processing { upstream_id: "d-4".into() },
        why: String::new(),
        upstream_id: Some("d-4".into()),
        open: 3,
        taken: 0,
        attempts: 1,
        drafted_at: Wall(6_000),
        changed_at: Wall(7_000),
    };
    CarriedIn { document, ended: "open", why: String::new() }
}

fn story() -> PackStory {
    let change = |state, [what, detail]: [&str; 2], who: &str, why: &str, at| PackChange {
        state,
        what: what.to_owned(),
        detail: detail.to_owned(),
        who: who.to_owned(),
        why: why.to_owned(),
        at: Wall(at),
    };
    PackStory {
        pack: boxed(),
        within: vec![pallet()],
        content: vec![Content::Item(identity(b"A7bQ")), Content::Item(identity(b"B8cR"))],
        changes: vec![
            change(PackState::Open, ["opened", ""], "box1", "", 1_000),
            change(PackState::Open, ["named", BOX], "", "", 2_000),
            change(PackState::Open, ["label", "1"], "box1", "", 2_001),
            change(PackState::Open, ["label", "2"], "Olim", "torn", 3_000),
            change(PackState::Closed, ["short", ""], "Anna", "end of the batch", 4_000),
            change(PackState::Closed, ["label", "3"], "Olim", "wet", 5_000),
        ],
        taken_out: vec![TakenOut {
            what: Content::Item(identity(b"C9dS")),
            who: "Anna".into(),
            why: "leaks".into(),
            at: Wall(1_500),
        }],
        documents: vec![document()],
    }
}

/// The packs of the run whose sheet the records know: one box on a pallet that is open, one that is void.
pub fn run_packs() -> RunPacks {
    let boxes = PackCounts {
        opened: 2,
        full: 1,
        voided: 1,
        within: 1,
        names: 2,
        voided_named: 1,
        labelled: 1,
        ..PackCounts::default()
    };
    let pallets = PackCounts { opened: 1, open: 1, names: 1, open_named: 1, ..PackCounts::default() };
    let reasoned = |detail: &str, why: &str| Reasoned {
        pack: boxed(),
        detail: detail.into(),
        who: "Olim".into(),
        why: why.into(),
        at: Wall(3_000),
    };
    RunPacks {
        levels: [(Level::Box, boxes), (Level::Pallet, pallets)].into(),
        items: PackedItems { passed: 3, in_closed: 2, loose: 1, ..PackedItems::default() },
        open: vec![(pallet(), "pallet1".into())],
        short: vec![],
        voided: vec![reasoned("", "=HYPERLINK(\"x\") <wet> & \"cold\", 'x'")],
        labels: vec![reasoned("2", "torn")],
        alone: vec![],
        loose: vec![identity(b"=1+1,\"<&")],
        taken_out: 1,
        out: vec![OutOf {
            what: Content::Item(identity(b"C9dS")),
            pack: PackNo(7),
            who: "Anna".into(),
            why: "протёк".into(),
            at: Wall(1_500),
        }],
    }
}

/// Codes with serials that are hard on lists and pages.
pub fn listing() -> Listing {
    let one =
        |serial: &[u8], state, pass, pack| Listed { code: identity(serial), state, pass, held: false, pack };
    let passed = State::Verified(Whereabouts::Passed);
    Listing {
        codes: vec![
            one(b"A7bQ", State::Applied, Some(1), Some(PackNo(7))),
            one(b"12345678901234567890", passed, Some(2), Some(PackNo(7))),
            Listed { held: true, ..one(b"=1+1,\"<&", passed, Some(3), None) },
            one(b"%sum", State::Spoiled(SpoilReason::Unseen), None, None),
            one(b"-2'>;\"\"", State::Spoiled(SpoilReason::Rejected), None, None),
        ],
        packs: [(PackNo(7), vec![boxed(), pallet()])].into(),
        next: None,
    }
}

pub fn row(pack: PackNo) -> PackRow {
    let pack_story = story();
    match pack {
        PackNo(7) => PackRow { chain: vec![boxed(), pallet()], changes: pack_story.changes },
        _ => PackRow { chain: vec![pallet()], changes: vec![] },
    }
}
