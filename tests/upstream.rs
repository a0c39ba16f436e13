//! The upstream shell over real sockets: a small scripted state system on loopback, books in memory.
//!
//! What is attacked here is the border: bytes, statuses, lost connections. The order of things is attacked in the
//! domain's own tests.
#![allow(clippy::unwrap_used)] // a failed unwrap here is a failed test

#[path = "upstream/books.rs"]
mod books;
#[path = "upstream/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tamga::desk::UpstreamStatus;
use tamga::upstream::{Setup, UpstreamError, run, xtrace};
use tamga_domain::day::Zone;
use tamga_domain::gs1::Gtin;
use tamga_domain::layout::{Form, Layout};
use tamga_domain::record::{OrderState, PackageKind, ReportState};
use tamga_domain::upstream::config::{Config, Product};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::books::Fake;
use self::server::{Fault, Server};

const GTIN: &str = "04780012960016";
const KEY: &str = "7b0c5d1e-CANARY-KEY";
/// No test waits longer for a level to be reached.
const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
    let product = Product {
        gtin: Gtin::parse(GTIN.as_bytes()).unwrap(),
        group: "water".into(),
        kind: PackageKind::Unit,
        release_method: "PRIMARY".into(),
        business_place: Some(7),
        low_water: 150,
        order_quantity: 300,
        codes_per_block: 100,
        code_life: None,
    };
    let ms = Duration::from_millis;
    Config {
        products: vec![product],
        country: "UZ".into(),
        zone: Zone::parse("+05:00").unwrap(),
        requests_per_min: 100_000,
        pause: ms(1),
        backoff_min: ms(5),
        backoff_max: ms(50),
        first_within: ms(1),
        settle_min: ms(300),
        looks_min: 3,
        poll_min: ms(10),
        poll_max: ms(50),
        report_every: ms(50),
        clock_margin: ms(0),
        ..Config::new("agent7", 1)
    }
}

struct World {
    server: Server,
    books: Arc<Fake>,
    status: watch::Receiver<UpstreamStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), UpstreamError>>,
    _assigned: mpsc::Sender<tamga_domain::record::OrderPlan>,
    key_file: PathBuf,
}

async fn world(name: &str, faults: Vec<(&'static str, Fault)>) -> World {
    world_after(name, faults, &[]).await
}

/// `alarms`: raised by an earlier process.
async fn world_after(name: &str, faults: Vec<(&'static str, Fault)>, alarms: &[&str]) -> World {
    let server = Server::start(faults).await;
    let key_file = std::env::temp_dir().join(format!("tamga-upstream-{}-{name}", std::process::id()));
    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let layout = Layout::new(vec![Form::gs1(13, &[("93", 4)])]).unwrap();
    let layouts: xtrace::Layouts = Arc::new(BTreeMap::from([("water".to_string(), layout)]));
    let setup = Setup {
        config: config(),
        xtrace: xtrace::Setup {
            request_timeout: Duration::from_secs(5),
            ..xtrace::Setup::new(server.base.clone(), &key_file)
        },
        layouts,
        standing_every: Duration::from_millis(20),
        grace: Duration::from_secs(1),
    };
    let books = Arc::new(Fake::default());
    books.pages().alarms = alarms.iter().map(|key| (*key).to_owned()).collect();
    let (assigned, mut assigned_rx) = mpsc::channel(1);
    let (status_tx, status) = watch::channel(UpstreamStatus::default());
    let (stop, stop_rx) = watch::channel(false);
    let shared = books.clone();
    let task = tokio::spawn(async move { run(setup, shared, &mut assigned_rx, status_tx, stop_rx).await });
    World { server, books, status, stop, task, _assigned: assigned, key_file }
}

impl World {
    /// Waits until the books show something.
    async fn until(&mut self, what: &str, mut level: impl FnMut(&books::Pages) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, async {
            let mut changes = self.books.changes.subscribe();
            while !level(&self.books.pages()) {
                changes.changed().await.unwrap();
            }
        });
        if reached.await.is_err() {
            let status = self.status.borrow().clone();
            panic!("never: {what}; {status:?} {:?} {:?}", self.server.log(), self.books.pages().states());
        }
    }

    async fn pool_filled(&mut self) {
        self.until("the pool is filled", |p| p.pooled.len() >= 150).await;
    }

    async fn report_accepted(&mut self) {
        self.books.pass(40);
        self.until("the report is accepted", |p| p.reports.iter().any(|r| r.state == ReportState::Accepted))
            .await;
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
        std::fs::remove_file(&self.key_file).unwrap();
        let kept = self.books.pages().kept.concat();
        assert!(!String::from_utf8_lossy(&kept).contains("CANARY"), "no secret in kept answers");
    }
}

#[tokio::test]
async fn codes_are_ordered_taken_and_reported() {
    let mut w = world("all", vec![]).await;
    w.pool_filled().await;
    w.report_accepted().await;
    let up = w.server.state().clone();
    assert_eq!((up.orders.len(), up.reports.len()), (1, 1));
    assert_eq!(up.orders[0].po, "agent7-1");
    assert_eq!(up.reports[0].own_number, "agent7-R0");
    // Moments are written so that their local day is seen.
    assert_eq!(up.reports[0].production, "2026-01-30T02:30:00.000+05:00");
    assert_eq!(up.reports[0].expiration, "2027-01-30T00:00:00.000+05:00");
    assert!(up.reports[0].codes.iter().all(|c| c.contains("\u{1d}93")), "with separator and tail");
    assert_eq!(w.books.pages().set_aside, 0);
    assert!(w.status.borrow().clock_ahead_ms.unwrap().abs() < 5_000);
    w.end().await;
}

#[tokio::test]
async fn alarms_that_an_earlier_process_raised_end_when_what_they_say_is_over() {
    let raised = ["alarm.upstream_away", "alarm.order_unknown", "alarm.codes_refused"];
    let mut w = world_after("alarms", vec![], &raised).await;
    w.pool_filled().await;
    // Codes that upstream refused stay refused.
    w.until("the other alarms end", |p| p.alarms == ["alarm.codes_refused"]).await;
    w.end().await;
}

#[tokio::test]
async fn an_order_lost_before_its_effect_is_sent_again_only_after_the_settling_time() {
    let mut w = world("before", vec![("POST /api/orders", Fault::DropBefore)]).await;
    w.pool_filled().await;
    let sent = w.server.arrivals("POST /api/orders");
    assert_eq!(sent.len(), 2);
    assert!(sent[1].duration_since(sent[0]) >= config().settle_min);
    assert_eq!(w.server.state().orders.len(), 1);
    w.end().await;
}

#[tokio::test]
async fn an_order_lost_after_its_effect_is_found_and_not_sent_again() {
    for (name, fault) in [
        ("drop", Fault::DropAfter),
        ("html", Fault::PageAfter),
        ("half", Fault::HalfAfter),
        ("406", Fault::StatusAfter(406)),
        ("502", Fault::StatusAfter(502)),
    ] {
        let mut w = world(name, vec![("POST /api/orders", fault)]).await;
        w.pool_filled().await;
        assert_eq!(w.server.arrivals("POST /api/orders").len(), 1, "{name}");
        w.end().await;
    }
}

#[tokio::test]
async fn a_report_lost_after_its_effect_is_found_and_not_sent_again() {
    for (name, fault) in [("r-drop", Fault::DropAfter), ("r-406", Fault::StatusAfter(406))] {
        let mut w = world(name, vec![("POST /api/utilisation", fault)]).await;
        w.pool_filled().await;
        w.report_accepted().await;
        assert_eq!(w.server.state().reports.len(), 1, "{name}");
        assert_eq!(w.books.pages().reports[0].upstream_id.as_deref(), Some("report-0"), "its name is kept");
        w.end().await;
    }
}

#[tokio::test]
async fn a_report_lost_before_its_effect_is_sent_again_after_the_settling_time() {
    let mut w = world("r-before", vec![("POST /api/utilisation", Fault::DropBefore)]).await;
    w.pool_filled().await;
    w.report_accepted().await;
    let sent = w.server.arrivals("POST /api/utilisation");
    assert!(sent.len() == 2 && sent[1].duration_since(sent[0]) >= config().settle_min);
    assert_eq!(w.server.state().reports.len(), 1);
    w.end().await;
}

#[tokio::test]
async fn a_block_lost_or_cut_short_is_asked_for_again_with_the_same_last_pack() {
    let faults = vec![("GET /api/codes?", Fault::DropAfter), ("GET /api/codes?", Fault::HalfAfter)];
    let mut w = world("block", faults).await;
    w.pool_filled().await;
    let asked: Vec<String> =
        w.server.log().into_iter().filter(|l| l.starts_with("GET /api/codes?")).collect();
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[1], asked[2]);
    assert!(!asked[2].contains("lastPackId") && asked[3].contains("lastPackId"));
    let total: usize = w.server.state().orders[0].packs.iter().map(|p| p.1.len()).sum();
    assert_eq!(w.books.pages().pooled.len(), total, "each block once");
    w.end().await;
}

#[tokio::test]
async fn retry_after_of_429_is_honoured() {
    let mut w = world("429", vec![("POST /api/orders", Fault::Limited)]).await;
    w.pool_filled().await;
    let sent = w.server.arrivals("POST /api/orders");
    assert_eq!(sent.len(), 2);
    assert!(sent[1].duration_since(sent[0]) >= Duration::from_secs(1));
    let order = w.books.pages().orders[0].clone();
    assert!(!order.states.contains(&OrderState::Unknown), "a limit is no unknown");
    w.end().await;
}

#[tokio::test]
async fn a_page_of_a_gateway_with_status_200_is_kept_for_the_engineer() {
    let mut w = world("page", vec![("GET /api/orders/sub-orders", Fault::PageAfter)]).await;
    w.pool_filled().await;
    let kept = w.books.pages().kept.concat();
    assert!(String::from_utf8_lossy(&kept).contains("<html>"));
    w.end().await;
}

#[tokio::test]
async fn a_refused_connection_leaves_nothing_unknown() {
    let mut w = world("refused", vec![]).await;
    w.server.stand_down();
    w.books.hold_levels(false);
    let troubled = w.status.wait_for(|s| !s.trouble.is_empty());
    tokio::time::timeout(PATIENCE, troubled).await.unwrap().unwrap();
    assert!(w.books.pages().orders.iter().all(|o| !o.states.contains(&OrderState::Unknown)));
    w.end().await;
}

/// All codes are taken once the pool wants them all; then nothing needs the order any more.
async fn used_up(w: &mut World) {
    w.pool_filled().await;
    w.books.drain();
    w.until("all codes are taken", |p| p.orders[0].states.contains(&OrderState::Exhausted)).await;
    w.books.pages().spent = true;
}

#[tokio::test]
async fn an_order_that_is_used_up_is_closed_once() {
    for (name, faults) in [
        ("close", vec![]),
        ("close-lost", vec![("POST /api/order/close", Fault::DropAfter)]),
        ("close-502", vec![("POST /api/order/close", Fault::StatusAfter(502))]),
    ] {
        let mut w = world(name, faults).await;
        used_up(&mut w).await;
        w.until("the order is closed", |p| p.orders[0].states.contains(&OrderState::Closed)).await;
        assert_eq!(w.server.arrivals("POST /api/order/close").len(), 1, "{name}");
        assert!(w.server.state().orders[0].closed, "{name}");
        w.end().await;
    }
}

#[tokio::test]
async fn a_close_lost_before_its_effect_is_asked_again_only_after_the_settling_time() {
    let mut w = world("close-before", vec![("POST /api/order/close", Fault::DropBefore)]).await;
    used_up(&mut w).await;
    w.until("the order is closed", |p| p.orders[0].states.contains(&OrderState::Closed)).await;
    let sent = w.server.arrivals("POST /api/order/close");
    assert!(sent.len() == 2 && sent[1].duration_since(sent[0]) >= config().settle_min);
    w.end().await;
}
