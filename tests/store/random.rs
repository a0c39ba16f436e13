//! Balances under any sequence: whatever is asked, what is kept equals what is counted, and a second store that is
//! given the same records ends with the same rows. A plain model knows the same states and counts after each of them.

use proptest::prelude::*;
use tamga_domain::ids::{BlockNo, OrderNo, ReportNo, RunId};
use tamga_domain::lifecycle::SpoilReason;
use tamga_domain::record::{ItemEnd, JobOutcome, Record, ReportState, RunState, Unpacked};
use tamga_domain::verdict::Reason;

use crate::kit::*;
use crate::model::Model;

/// One thing asked of the store; the numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Ask {
    Unpack(u8),
    Issue(u8),
    Job(u8, u8),
    Trigger,
    Away(u8, u8),
    Verify(u8, u8),
    End(u8, u8, u8),
    Settle(u8, bool),
    Spoil(u8),
    SpoilLeft(u8),
    Import(u8),
    GiveBack(u8),
    Draft(u8, u8),
    Report(u8, u8),
    Unresolved(u8, u8),
    State(u8),
    NewRun,
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        2 => any::<u8>().prop_map(Ask::Unpack),
        4 => (1..6_u8).prop_map(Ask::Issue),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Ask::Job(a, b)),
        8 => Just(Ask::Trigger),
        2 => (0..4_u8, 0..5_u8).prop_map(|(a, b)| Ask::Away(a, b)),
        10 => (any::<u8>(), 0..3_u8).prop_map(|(a, b)| Ask::Verify(a, b)),
        10 => (any::<u8>(), 0..4_u8, 0..3_u8).prop_map(|(a, b, c)| Ask::End(a, b, c)),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(a, b)| Ask::Settle(a, b)),
        2 => any::<u8>().prop_map(Ask::Spoil),
        1 => (1..4_u8).prop_map(Ask::SpoilLeft),
        1 => any::<u8>().prop_map(Ask::Import),
        1 => (0..3_u8).prop_map(Ask::GiveBack),
        3 => (any::<u8>(), 0..5_u8).prop_map(|(a, b)| Ask::Draft(a, b)),
        4 => (any::<u8>(), 0..5_u8).prop_map(|(a, b)| Ask::Report(a, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Ask::Unresolved(a, b)),
        1 => (0..4_u8).prop_map(Ask::State),
        1 => Just(Ask::NewRun),
    ]
}

const CODES: u8 = 24;
const BLOCK: u32 = 30;

fn pick(n: u8) -> u32 {
    u32::from(n % CODES) + 1
}

/// Runs the asks; about half of them are refused, which must change nothing.
fn play(w: &mut World, asks: &[Ask]) -> Vec<Record> {
    let order = w.order("PO-1");
    w.ready(order, None);
    let block = w.block(order, "p", BLOCK);
    let mut run = w.run("run-0");
    let (mut tags, mut unpacked, mut runs, mut reports) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut done = Vec::new();
    let mut model = Model::default();
    let at = w.at();
    let opened = Record::RunOpened { line: LINE, plan: plan("run-0"), who: "anna".into(), at, gate: None };
    model.took(&opened, Some(&tamga_domain::record::Answer::Run(run)));
    for ask in asks {
        let record = record_of(w, ask, run, (order, block), (tags, unpacked, runs, reports));
        let before = w.picture();
        match w.apply(record.clone()) {
            Ok(answer) => {
                match (&record, &answer) {
                    (Record::Trigger { .. }, _) => tags += 1,
                    (Record::Away { to, .. }, _) => tags = tags.max(to.number),
                    (Record::Unpack { slice, .. }, _) => unpacked += u32::try_from(slice.len()).unwrap(),
                    (_, Some(tamga_domain::record::Answer::Report(report, _))) => {
                        reports = reports.max(report.0)
                    }
                    (_, Some(tamga_domain::record::Answer::Run(new))) => {
                        runs += 1;
                        run = *new;
                    }
                    _ => {}
                }
                model.took(&record, answer.as_ref());
                done.push(record);
            }
            Err(tamga::store::error::StoreError::Rule { .. }) => assert_eq!(before, w.picture()),
            Err(other) => panic!("{record:?}: {other:?}"),
        }
        w.verified();
        model.agrees(w, 1..=u32::from(CODES));
    }
    done
}

fn record_of(
    w: &mut World,
    ask: &Ask,
    run: RunId,
    (order, block): (OrderNo, BlockNo),
    (tags, unpacked, runs, reports): (u32, u32, u32, u32),
) -> Record {
    let at = w.at();
    // The last few tags: open ones, ended ones, and one not yet numbered.
    let near = |back: u8| tag((tags + 1).saturating_sub(u32::from(back)).max(1));
    match *ask {
        Ask::Unpack(n) => {
            let len = u32::from(n % 7).min(BLOCK - unpacked);
            // Some codes come twice, and one in eight is malformed.
            let one = |i: u32| match i % 8 {
                7 => Unpacked::Malformed { bytes: vec![0], reason: "bad".into() },
                _ => Unpacked::Code(code(1 + (i * 5) % u32::from(CODES))),
            };
            Record::Unpack { block, from: unpacked, slice: (unpacked..unpacked + len).map(one).collect(), at }
        }
        Ask::Issue(count) => Record::Issue {
            run,
            printer: PRINTER,
            count: count.into(),
            life_left_min_ms: 0,
            day_ends: NEVER,
            at,
        },
        Ask::Job(n, o) => {
            let all = [JobOutcome::Open, JobOutcome::Printed, JobOutcome::Refused, JobOutcome::Doubtful];
            Record::Job { run, code: identity(pick(n)), outcome: all[usize::from(o % 4)], at }
        }
        Ask::Trigger => Record::Trigger { run, tag: tag(tags + 1), at },
        Ask::Away(back, len) => {
            // From a few tags back, so that it may overlap what is there.
            let from = near(back);
            Record::Away { run, from, to: tag(from.number + u32::from(len)), at }
        }
        Ask::Verify(n, back) => Record::Verify { run, code: identity(pick(n)), tag: near(back), at },
        Ask::End(n, back, how) => {
            let unknown = w.store.view().pass_unknown(run).unwrap();
            let known = unknown.iter().find(|(_, t)| *t == near(back)).map(|(c, _)| *c);
            let end = match (how, known) {
                (0, Some(code)) => ItemEnd::Passed { code },
                (0, None) => ItemEnd::Passed { code: identity(pick(n)) },
                (1, code) => ItemEnd::Rejected { reason: Reason::NoRead, code: code.filter(|_| n % 2 == 0) },
                (_, code) if n % 3 == 0 => ItemEnd::Lost { code },
                _ => ItemEnd::Escaped,
            };
            Record::End { run, tag: near(back), end, at }
        }
        Ask::Settle(n, passed) => {
            let unknown = w.store.view().pass_unknown(run).unwrap();
            let code = unknown.get(usize::from(n) % unknown.len().max(1)).map(|(c, _)| *c);
            let (how, who) = ("seen".into(), "anna".into());
            Record::Settle { run, code: code.unwrap_or(identity(pick(n))), passed, how, who, at }
        }
        Ask::Spoil(n) => {
            let (reason, who) = (SpoilReason::Declared, "anna".into());
            Record::Spoil { code: identity(pick(n)), reason, who, at }
        }
        Ask::SpoilLeft(limit) => Record::SpoilLeft { run, limit: limit.into(), who: "anna".into(), at },
        Ask::Import(n) => {
            let codes = (0..3).map(|i| code(pick(n.wrapping_add(i * 9)))).collect();
            Record::Import { roll: format!("roll-{}", n % 2), codes, group: "water".into(), at }
        }
        // Also of an order that is open: what moves must balance whoever asks for it.
        Ask::GiveBack(limit) => Record::Return { order, limit: limit.into(), at },
        _ => record_beside(w, ask, run, runs, reports),
    }
}

/// Records beside the codes: reports and runs.
fn record_beside(w: &mut World, ask: &Ask, run: RunId, runs: u32, reports: u32) -> Record {
    let at = w.at();
    match *ask {
        Ask::Draft(n, len) => {
            let free = w.store.view().passes_unreported(run).unwrap();
            let range = free.get(usize::from(n) % free.len().max(1));
            let from = range.map_or(1, |r| r.from.0);
            w.draft(run, &[(from, from + u32::from(len))], None)
        }
        Ask::Report(n, state) => {
            let upstream_id = "u".to_string();
            let all = [
                ReportState::Sent,
                ReportState::Unknown,
                ReportState::Processing { upstream_id },
                ReportState::Accepted,
                ReportState::Refused,
            ];
            let report = ReportNo(u32::from(n) % reports.max(1) + 1);
            w.report_state(report, all[usize::from(state)].clone())
        }
        Ask::Unresolved(n, pass) => {
            w.unresolved(ReportNo(u32::from(n) % reports.max(1) + 1), u32::from(pass % 12) + 1)
        }
        Ask::State(n) => {
            let all = [RunState::Running, RunState::Stopped, RunState::Closing, RunState::Closed];
            let state = all[usize::from(n)];
            Record::RunState { run, state, why: String::new(), who: "anna".into(), at }
        }
        Ask::NewRun => Record::RunOpened {
            line: LINE,
            plan: plan(&format!("run-{}", runs + 1)),
            who: "anna".into(),
            at,
            gate: None,
        },
        _ => w.trigger(run, 1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_is_counted(asks in prop::collection::vec(ask(), 1..120)) {
        let mut w = World::new();
        let done = play(&mut w, &asks);
        let seen = w.store.recover(LINE).unwrap();
        drop(w.store);
        w.store = tamga::store::Store::open(w.folder.path(), "x").unwrap();
        prop_assert_eq!(w.store.recover(LINE).unwrap(), seen);
        // The same records in groups: the same rows.
        let mut other = World::new();
        let order = other.order("PO-1");
        other.ready(order, None);
        other.block(order, "p", BLOCK);
        other.run("run-0");
        for group in done.chunks(7) {
            let txns: Vec<_> = group
                .iter()
                .map(|r| tamga_domain::record::Txn { id: tamga_domain::ids::TxnId(1), records: vec![r.clone()] })
                .collect();
            other.store.apply(&txns).unwrap();
        }
        prop_assert_eq!(w.picture(), other.picture());
    }
}
