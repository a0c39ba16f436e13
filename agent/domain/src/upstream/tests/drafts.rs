//! Drafting: every pass in one report, however slow a commit or a look at the store is.

use super::super::config::*;
use super::super::request::*;
use super::super::{Effect, Input, Step};
use super::world::*;
use crate::ids::*;
use crate::record::*;
use crate::time::{Time, Wall};

fn range(from: u32, to: u32) -> PassRange {
    PassRange { from: PassNo(from), to: PassNo(to) }
}

/// A step over a store whose commits are slow: nothing is committed before the test says so.
fn slow(told: &[Progress]) -> (Step, Vec<Txn>) {
    let config = Config { products: vec![], ..config() };
    let mut step = Step::new(config, Box::new(parse), Snapshot::default());
    let mut out = Vec::new();
    for progress in told {
        step.step(second(1), Wall(START_MS), Input::Progress(progress.clone()), &mut out);
    }
    step.step(second(2), Wall(START_MS), Input::Tick, &mut out);
    assert_eq!(drafts(out.clone()), [], "no moment is fixed before upstream's clock is known");
    let clock = out.iter().find_map(|e| match e {
        Effect::Request { id, request: Request::Clock { .. } } => Some(*id),
        _ => None,
    });
    let (server, said) = (Some(Wall(START_MS)), Reply::Clock);
    let answer = Answered { status: 200, retry_after: None, server, said, kept: None };
    let input = Input::Answer { id: clock.expect("the clock is asked for"), answer };
    step.step(second(3), Wall(START_MS), input, &mut out);
    (step, drafts(out))
}

fn second(n: u64) -> Time {
    Time(n * 1_000_000_000)
}

fn drafts(out: Vec<Effect>) -> Vec<Txn> {
    let txns = out.into_iter().filter_map(|e| match e {
        Effect::Commit(txn) => Some(txn),
        _ => None,
    });
    txns.filter(|t| matches!(t.records[0], Record::ReportDrafted { .. })).collect()
}

fn told(free: &[PassRange], newest: Option<u32>) -> Progress {
    let newest = newest.map(ReportNo);
    Progress { run: RunId(1), head: head(), free: free.to_vec(), newest, closed: true }
}

fn passes_of(txn: &Txn) -> &[PassRange] {
    match &txn.records[0] {
        Record::ReportDrafted { passes, .. } => passes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_free_ranges_of_a_run_are_reported() {
    let free = [range(1, 4), range(6, 9), range(20, 30)];
    let (_, drafts) = slow(&[told(&free, None)]);
    assert_eq!(drafts.len(), 1);
    assert_eq!(passes_of(&drafts[0]), free);
}

/// A closed run is forgotten when its last passes are drafted; what was read of it before that must not bring them back.
#[test]
fn passes_told_free_before_their_draft_was_durable_are_drafted_once() {
    let before = told(&[range(1, 10)], Some(3));
    let (mut step, drafts_made) = slow(&[before.clone(), before.clone()]);
    assert_eq!(drafts_made.len(), 1, "a draft on its way blocks a second one");
    let mut out = Vec::new();
    let answers = vec![Answer::Report(ReportNo(4), PRODUCTION)];
    let input = Input::Committed { txn: drafts_made[0].id, answers };
    step.step(second(4), Wall(START_MS), input, &mut out);
    step.step(second(5), Wall(START_MS), Input::Progress(before), &mut out);
    assert_eq!(drafts(std::mem::take(&mut out)), []);
    // Told anew, with what came since.
    step.step(second(6), Wall(START_MS), Input::Progress(told(&[range(11, 12)], Some(4))), &mut out);
    let made = drafts(out);
    assert_eq!(passes_of(&made[0]), [range(11, 12)]);
}
