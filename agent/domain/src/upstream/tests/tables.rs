//! Scripted exchanges: what is said, and what the step then does.

use std::time::Duration;

use super::super::config::*;
use super::super::request::*;
use super::super::{Effect, Input, Step};
use super::world::*;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

/// A step whose commits are durable at once; requests wait for the test to answer them.
struct Script {
    step: Step,
    store: Store,
    now: Time,
    asked: Vec<(RequestId, Request)>,
    told: Vec<(&'static str, String)>,
    records: Vec<Record>,
    wake: Time,
}

impl Script {
    fn new(config: Config, snapshot: Snapshot) -> Script {
        let step = Step::new(config, Box::new(parse), snapshot);
        Script {
            step,
            store: Store::default(),
            now: Time(0),
            asked: vec![],
            told: vec![],
            records: vec![],
            wake: Time(0),
        }
    }

    /// With an order in the given state, known upstream as `o0`.
    fn with_order(state: OrderState, packs: &[&str], change: impl Fn(&mut Snapshot)) -> Script {
        let plan = OrderPlan {
            po_number: "A1-1".into(),
            gtin: gtin(),
            group: "water".into(),
            kind: PackageKind::Unit,
            quantity: 1000,
            release_method: "PRIMARY".into(),
            business_place: None,
            upstream_id: None,
        };
        let ids = [None].into_iter().chain(packs.iter().map(|p| Some(p.to_string())));
        let pack = |(p, previous): (&&str, Option<String>)| PackFacts {
            pack_id: p.to_string(),
            previous,
            count: 100,
        };
        let packs = packs.iter().zip(ids).map(pack).collect();
        let facts = OrderFacts { order: OrderNo(0), plan, state, upstream_id: Some("o0".into()), packs };
        let mut snapshot = Snapshot { orders: vec![facts.clone()], last_po: 1, ..Snapshot::default() };
        change(&mut snapshot);
        let mut script = Script::new(config(), snapshot);
        script.store.orders.push(facts);
        script
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = vec![];
            let wall = Wall(START_MS + (self.now.0 / 1_000_000) as i64);
            self.step.step(self.now, wall, input, &mut out);
            for effect in out {
                match effect {
                    Effect::Request { id, request } => self.asked.push((id, request)),
                    Effect::Commit(txn) => {
                        self.records.extend(txn.records.clone());
                        let answers = self.store.apply(&txn);
                        inputs.push(Input::Committed { txn: txn.id, answers });
                    }
                    Effect::Wake(at) => self.wake = at,
                    Effect::Trouble { key, about, .. } => self.told.push((key, about)),
                    Effect::Cleared { .. } => {}
                }
            }
        }
    }

    /// The next request, which must come within the time.
    fn next(&mut self, within: Duration) -> Option<(RequestId, Request)> {
        let end = self.now.after(within);
        self.feed(Input::Tick);
        while self.asked.is_empty() && self.now < end {
            self.now = self.wake.clamp(self.now.after(Duration::from_millis(1)), end);
            self.feed(Input::Tick);
        }
        (!self.asked.is_empty()).then(|| self.asked.remove(0))
    }

    #[track_caller]
    fn expect(&mut self, name: &str) -> (RequestId, Request) {
        let (id, request) = self.next(Duration::from_secs(1200)).unwrap();
        assert_eq!(request.name(), name, "{request:?}");
        (id, request)
    }

    fn answer(&mut self, id: RequestId, said: Reply) {
        self.answer_with(id, 200, said);
    }

    fn answer_with(&mut self, id: RequestId, status: u16, said: Reply) {
        let server = Some(Wall(START_MS + (self.now.0 / 1_000_000) as i64));
        let answer = Answered { status, retry_after: None, server, said, kept: None };
        self.feed(Input::Answer { id, answer });
    }

    fn level(&mut self, pooled: u64) {
        self.feed(Input::Wanted(Level { gtin: gtin(), pooled, per_hour: 0 }));
    }

    fn passes(&mut self, to: u32, production: Wall) {
        let head = RunHead { production, ..head() };
        let progress =
            Progress { run: RunId(1), head, passed_to: PassNo(to), reported_to: PassNo(0), closed: true };
        self.feed(Input::Progress(progress));
    }

    fn order_state(&self) -> &OrderState {
        &self.store.orders[0].state
    }
}

fn line(status: BufferStatus, passed: u64) -> Reply {
    let (total, left) = (1000, 1000 - passed);
    Reply::SubOrder(Some(SubOrder { status, total, left, passed, reason: "r".into(), expires: None }))
}

fn packs(ids: &[&str]) -> Reply {
    Reply::Packs(ids.iter().map(|p| PackSeen { pack_id: p.to_string(), count: 100 }).collect())
}

fn nothing_found() -> Reply {
    Reply::Orders { seen: vec![], whole: true }
}

fn block(id: &str) -> Reply {
    let codes: Vec<Vec<u8>> = (0..100).map(|n| format!("o{id}{n}").into_bytes()).collect();
    Reply::Block { pack_id: id.into(), body: codes.concat(), codes }
}

#[test]
fn an_order_is_sent_once_its_number_is_not_found_and_its_intent_is_durable() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    assert_eq!(*s.order_state(), OrderState::Wanted);
    s.answer(id, nothing_found());
    let (_, request) = s.expect("make-order");
    assert_eq!(*s.order_state(), OrderState::Sent);
    assert!(matches!(request, Request::MakeOrder { plan } if plan.po_number == "A1-1"));
}

#[test]
fn an_order_of_the_same_number_is_told_from_others_even_if_the_filter_is_ignored() {
    let mut s = Script::with_order(OrderState::Sent, &[], |_| {});
    let (id, _) = s.expect("find-orders");
    let seen = |id: &str, po: &str| OrderSeen {
        upstream_id: id.into(),
        po_number: po.into(),
        status: OrderStatus::Pending,
        reason: String::new(),
    };
    s.answer(id, Reply::Orders { seen: vec![seen("x", "A1-11"), seen("y", "A1-1")], whole: true });
    assert_eq!(*s.order_state(), OrderState::Accepted { upstream_id: "y".into() });
}

#[test]
fn what_certainly_did_not_leave_is_not_unknown() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, nothing_found());
    let (id, _) = s.expect("make-order");
    s.feed(Input::Lost { id, sent: false });
    s.expect("make-order");
    assert_eq!(*s.order_state(), OrderState::Sent);
}

#[test]
fn a_refused_order_is_told_and_the_next_one_waits() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(0);
    let (id, _) = s.expect("find-orders");
    s.answer(id, nothing_found());
    let (id, _) = s.expect("make-order");
    s.answer_with(id, 400, Reply::Refused { reason: "gtin".into() });
    assert_eq!(*s.order_state(), OrderState::Refused);
    assert_eq!(s.told, [("alarm.order_refused", "A1-1".to_string())]);
    assert_eq!(s.next(config().refused_pause - Duration::from_secs(10)), None);
    let (_, request) = s.next(Duration::from_secs(20)).unwrap();
    assert!(matches!(request, Request::FindOrders { by: OrderKey::PoNumber(po), .. } if po == "A1-2"));
}

#[test]
fn absence_of_an_order_does_not_count_while_another_is_being_made() {
    let mut s = Script::with_order(OrderState::Unknown, &[], |snapshot| {
        let mut other = snapshot.orders[0].clone();
        other.order = OrderNo(1);
        other.plan.po_number = "A1-0".into();
        other.state = OrderState::Accepted { upstream_id: "o1".into() };
        other.upstream_id = Some("o1".into());
        snapshot.orders.push(other);
    });
    for _ in 0..200 {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        match request {
            Request::FindOrders { .. } => s.answer(id, nothing_found()),
            Request::SubOrder { .. } => s.answer(id, line(BufferStatus::Pending, 0)),
            other => panic!("{other:?}"),
        }
    }
    assert!(s.now > Time(0).after(config().settle_min));
}

#[test]
fn an_order_of_which_others_took_codes_is_not_used() {
    let mut s = Script::with_order(OrderState::Accepted { upstream_id: "o0".into() }, &[], |_| {});
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 100));
    assert_eq!(*s.order_state(), OrderState::Refused);
}

#[test]
fn the_newest_block_is_fetched_again_with_its_predecessor_when_it_is_missing() {
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &["a", "b"], |_| {});
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 300));
    let (id, _) = s.expect("packs");
    s.answer(id, packs(&["a", "b", "c"]));
    let (id, request) = s.expect("block");
    assert!(matches!(request, Request::Block { last_pack: Some(p), quantity: 100, .. } if p == "b"));
    s.answer(id, block("c"));
    assert_eq!(s.store.orders[0].packs[2].previous.as_deref(), Some("b"));
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 300));
    assert!(s.told.is_empty());
    assert_eq!((s.store.pooled, s.store.blocks[0].unpacked), (100, 100));
}

#[test]
fn blocks_that_this_database_cannot_have_lost_are_not_fetched() {
    let restored = |s: &mut Snapshot| s.restored = true;
    for (here, there, change) in [
        (&["a"][..], &["a", "b", "c"][..], None),
        (&["a", "c"], &["a", "b", "c"], None),
        (&["a", "b"], &["a", "b", "c"], Some(restored)),
        (&["a", "x"], &["a", "b", "c"], None),
    ] {
        let mut s = Script::with_order(OrderState::Ready { expires: None }, here, |snapshot| {
            if let Some(change) = change {
                change(snapshot);
            }
        });
        s.level(0);
        for _ in 0..10 {
            let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
            match request {
                Request::SubOrder { .. } => {
                    s.answer(id, line(BufferStatus::Active, there.len() as u64 * 100))
                }
                Request::Packs { .. } => s.answer(id, packs(there)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(s.told, [("alarm.codes_missing", "A1-1".to_string())]);
    }
}

#[test]
fn blocks_are_taken_only_as_the_pool_needs() {
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &[], |_| {});
    s.level(300);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 0));
    assert_eq!(s.next(Duration::from_secs(500)), None);
    s.level(299);
    let (_, request) = s.expect("block");
    assert!(matches!(request, Request::Block { last_pack: None, quantity: 250, .. }));
}

#[test]
fn a_refused_block_is_asked_for_again_only_after_a_new_look() {
    let mut s = Script::with_order(OrderState::Ready { expires: None }, &[], |_| {});
    s.level(0);
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 0));
    let (id, _) = s.expect("block");
    s.answer_with(id, 400, Reply::Refused { reason: "quantity".into() });
    let (id, _) = s.expect("sub-order");
    s.answer(id, line(BufferStatus::Active, 900));
    let (id, _) = s.expect("packs");
    s.answer(id, packs(&["p"]));
    s.expect("block");
}

#[test]
fn an_assigned_order_is_taken_when_nobody_took_its_codes() {
    let mut s = Script::new(config(), Snapshot::default());
    s.level(1000);
    let plan = OrderPlan {
        po_number: "cabinet-5".into(),
        gtin: gtin(),
        group: "water".into(),
        kind: PackageKind::Unit,
        quantity: 1000,
        release_method: "PRIMARY".into(),
        business_place: None,
        upstream_id: Some("o7".into()),
    };
    s.feed(Input::Assigned(plan.clone()));
    s.feed(Input::Assigned(plan));
    let (id, _) = s.expect("sub-order");
    assert_eq!(s.store.orders.len(), 1);
    s.answer(id, line(BufferStatus::Active, 0));
    assert_eq!(*s.order_state(), OrderState::Ready { expires: None });
}

#[test]
fn an_unknown_word_is_held_and_told_once() {
    let mut s = Script::with_order(OrderState::Accepted { upstream_id: "o0".into() }, &[], |_| {});
    for _ in 0..3 {
        let (id, _) = s.expect("sub-order");
        s.answer(id, line(BufferStatus::Other("FROZEN".into()), 0));
    }
    assert_eq!(s.told, [("alarm.order_status", "A1-1".to_string())]);
}

#[test]
fn a_report_waits_until_its_production_time_is_past_by_the_servers_clock() {
    let mut s = Script::new(Config { products: vec![], ..config() }, Snapshot::default());
    // Ours says that the time is past; the server's clock is five minutes behind ours.
    s.passes(10, Wall(START_MS - 120_000));
    let (id, _) = s.expect("clock");
    let server = Some(Wall(START_MS - 300_000));
    let answer = Answered { status: 200, retry_after: None, server, said: Reply::Clock, kept: None };
    s.feed(Input::Answer { id, answer });
    assert_eq!(s.next(Duration::from_secs(230)), None);
    let (_, request) = s.next(Duration::from_secs(70)).unwrap();
    let Request::Apply { head, passes, .. } = request else { panic!("{request:?}") };
    assert_eq!((head.production, head.own_number.as_str()), (Wall(START_MS - 120_000), "A1-R0"));
    assert_eq!(passes, [PassRange { from: PassNo(1), to: PassNo(10) }]);
}

fn lost_report() -> Script {
    let mut s = Script::new(Config { products: vec![], ..config() }, Snapshot::default());
    s.passes(10, Wall(START_MS - 3_600_000));
    let (id, _) = s.expect("clock");
    s.answer(id, Reply::Clock);
    let (id, _) = s.expect("apply");
    s.feed(Input::Lost { id, sent: true });
    assert_eq!(s.store.reports[0].state, ReportState::Unknown);
    s
}

fn statuses(request: &Request, status: impl Fn(u32) -> CodeStatus) -> Reply {
    let Request::Codes { passes, .. } = request else { panic!("{request:?}") };
    Reply::Codes(super::super::passes::each(passes).map(|p| (p, status(p.0))).collect())
}

#[test]
fn a_lost_report_whose_codes_are_applied_is_in_effect() {
    let mut s = lost_report();
    let (id, request) = s.expect("codes");
    s.answer(id, statuses(&request, |_| CodeStatus::Applied));
    assert_eq!(s.store.reports[0].state, ReportState::Accepted);
}

/// Answers looks until something else is asked for, or for a day.
fn look_on(s: &mut Script, document: impl Fn(&Script) -> Vec<DocumentSeen>) -> Option<Request> {
    let end = s.now.after(Duration::from_secs(24 * 3600));
    while s.now < end {
        let (id, request) = s.next(Duration::from_secs(1200)).unwrap();
        match request {
            Request::Codes { .. } => s.answer(id, statuses(&request, |_| CodeStatus::Received)),
            Request::Documents { .. } => {
                let seen = document(s);
                s.answer(id, Reply::Documents { seen, next: None });
            }
            other => return Some(other),
        }
    }
    None
}

#[test]
fn a_lost_report_is_sent_again_only_after_the_settling_time() {
    let mut s = lost_report();
    let lost_at = s.now;
    assert!(matches!(look_on(&mut s, |_| vec![]), Some(Request::Apply { .. })));
    assert!(s.now.since(lost_at) >= config().settle_min);
    assert_eq!((s.store.reports.len(), &s.store.reports[0].state), (1, &ReportState::Sent));
}

#[test]
fn absence_of_a_report_does_not_count_while_a_document_of_its_time_is_in_process() {
    let mut s = lost_report();
    let doc =
        |_: &Script| vec![DocumentSeen { id: "d".into(), done: false, created: Some(Wall(START_MS + 1000)) }];
    assert_eq!(look_on(&mut s, doc), None);
}

#[test]
fn a_refused_report_is_closed_and_its_codes_are_dealt_with_one_by_one() {
    let mut s = Script::new(Config { products: vec![], ..config() }, Snapshot::default());
    s.passes(50, Wall(START_MS - 3_600_000));
    let (id, _) = s.expect("clock");
    s.answer(id, Reply::Clock);
    let (id, _) = s.expect("apply");
    s.answer_with(id, 400, Reply::Refused { reason: "bad".into() });
    // 40 codes a look-up.
    for _ in 0..2 {
        let (id, request) = s.expect("codes");
        let status = |p| match p {
            1..=5 => CodeStatus::Applied,
            10 => CodeStatus::Missing,
            20 => CodeStatus::Other("WRITTEN_OFF".into()),
            _ => CodeStatus::Received,
        };
        s.answer(id, statuses(&request, status));
    }
    let range = |from, to| PassRange { from: PassNo(from), to: PassNo(to) };
    assert_eq!(s.store.unresolved, [(ReportNo(0), PassNo(10)), (ReportNo(0), PassNo(20))]);
    let state = |n: usize| (&s.store.reports[n].state, s.store.reports[n].passes.clone());
    assert_eq!(state(0).0, &ReportState::Refused);
    assert_eq!(state(1), (&ReportState::Accepted, vec![range(1, 5)]));
    assert_eq!(state(2).1, [range(6, 9), range(11, 19), range(21, 50)]);
    let (_, request) = s.expect("apply");
    assert!(matches!(request, Request::Apply { head, .. } if head.own_number == "A1-R2"));
}

#[test]
fn a_report_refused_for_no_fault_of_its_codes_is_tried_again_after_a_pause() {
    let mut s = Script::new(Config { products: vec![], ..config() }, Snapshot::default());
    s.passes(10, Wall(START_MS - 3_600_000));
    let (id, _) = s.expect("clock");
    s.answer(id, Reply::Clock);
    for pause in [3600, 7200] {
        let (id, _) = s.next(Duration::from_secs(pause + 10)).unwrap();
        s.answer_with(id, 400, Reply::Refused { reason: "business place".into() });
        let (id, request) = s.expect("codes");
        s.answer(id, statuses(&request, |_| CodeStatus::Received));
        assert_eq!(s.next(Duration::from_secs(pause - 10)), None);
    }
    assert_eq!(s.store.reports.len(), 3);
}

#[test]
fn passes_are_reported_by_number_by_age_and_at_the_end() {
    let mut s = Script::new(Config { products: vec![], ..config() }, Snapshot::default());
    let tell = |s: &mut Script, to, closed| {
        let progress =
            Progress { run: RunId(1), head: head(), passed_to: PassNo(to), reported_to: PassNo(0), closed };
        s.feed(Input::Progress(progress));
    };
    tell(&mut s, 99, false);
    assert_eq!(s.store.reports.len(), 0);
    tell(&mut s, 230, false);
    assert_eq!(s.store.reports.len(), 2, "two of a hundred");
    s.now = s.now.after(config().report_every);
    s.feed(Input::Tick);
    assert_eq!(s.store.reports.len(), 3, "thirty that are old");
    tell(&mut s, 231, true);
    let last = s.store.reports.last().unwrap().passes.clone();
    assert_eq!(last, [PassRange { from: PassNo(231), to: PassNo(231) }]);
}
