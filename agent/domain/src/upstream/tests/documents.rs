//! Documents of packs in a world of lost answers, late effects, refusals and restarts; then faults stop, and upstream
//! must know of each pack what is so, by one document each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::config::{Config, DocumentFacts, Snapshot};
use super::super::request::*;
use super::super::{Effect, Input, Step};
use super::world::{START_MS, config, parse};
use crate::dice::Dice;
use crate::document::*;
use crate::ids::*;
use crate::pack::Told;
use crate::record::*;
use crate::time::{Time, Wall};

const WORK: Duration = Duration::from_secs(20);

/// What the model's store has of a pack.
#[derive(Clone, Default)]
struct Pack {
    told: Told,
    voided: bool,
    lot: u32,
}

/// A document as the store has it.
struct Doc {
    draft: Drafted,
    lot: u32,
    state: ReportState,
    /// Packs by piece, from piece 1, and the end of each.
    packs: Vec<(usize, Option<PieceEnd>)>,
}

#[derive(Default)]
struct Store {
    packs: Vec<Pack>,
    docs: Vec<Doc>,
}

impl Store {
    fn apply(&mut self, txn: &Txn) -> Vec<Answer> {
        let document = |record: &Record| match record {
            Record::Document(record) => self.record(record),
            _ => None,
        };
        txn.records.iter().filter_map(document).map(Answer::Document).collect()
    }

    fn record(&mut self, record: &DocumentRecord) -> Option<DocumentAnswer> {
        match record {
            DocumentRecord::Gather { kind, document, after, lots, by, .. } => {
                Some(DocumentAnswer::Gathered(self.gather(*kind, *document, *after, *lots, *by)))
            }
            DocumentRecord::State { document, state, .. } => {
                let doc = &mut self.docs[document.0 as usize - 1];
                let is_over = matches!(state, ReportState::Accepted | ReportState::Refused);
                assert!(
                    !is_over || doc.packs.iter().all(|p| p.1.is_some()),
                    "{document} ends with open pieces"
                );
                doc.state = state.clone();
                None
            }
            DocumentRecord::Ends { document, ends, .. } => {
                assert!(ends.len() <= PIECES_MAX as usize);
                let doc = &mut self.docs[document.0 as usize - 1];
                for (piece, end) in ends {
                    let (pack, ended) = &mut doc.packs[*piece as usize - 1];
                    if ended.is_some() {
                        continue;
                    }
                    *ended = Some(end.clone());
                    let pack = &mut self.packs[*pack];
                    let (before, after) = match doc.draft.kind {
                        DocumentKind::Aggregation => (Told::Nothing, Told::Aggregated),
                        _ => (Told::Aggregated, Told::Disaggregated),
                    };
                    (pack.told, pack.lot) = match end {
                        PieceEnd::Taken => (after, 0),
                        PieceEnd::Refused(_) => (Told::Refused, 0),
                        PieceEnd::Free { lot } => (before, *lot),
                    };
                }
                None
            }
            DocumentRecord::Again { .. } => None,
        }
    }

    fn waits(&self, kind: DocumentKind, pack: usize) -> bool {
        let pack = &self.packs[pack];
        match kind {
            DocumentKind::Aggregation => pack.told == Told::Nothing && !pack.voided,
            DocumentKind::Disaggregation => pack.told == Told::Aggregated && pack.voided,
            DocumentKind::Withdrawal => false,
        }
    }

    /// As the product's store, three packs a look and five a document.
    fn gather(
        &mut self,
        kind: DocumentKind,
        document: Option<DocumentNo>,
        after: u32,
        lots: bool,
        by: Wall,
    ) -> Gathered {
        let mut no = document;
        let (mut full, mut more) = (false, false);
        let first = after as usize;
        let last = (first + 3).min(self.packs.len());
        for at in first..last {
            if !self.waits(kind, at) || self.packs[at].lot > 0 && !lots {
                continue;
            }
            let doc = match no {
                Some(no) => no.0 as usize - 1,
                None => {
                    let lot = self.packs[at].lot;
                    let draft = Drafted {
                        no: DocumentNo(self.docs.len() as u32 + 1),
                        kind,
                        pieces: 0,
                        codes: 0,
                        moment: by,
                        root: root_of(lot),
                    };
                    no = Some(draft.no);
                    self.docs.push(Doc { draft, lot, state: ReportState::Wanted, packs: Vec::new() });
                    self.docs.len() - 1
                }
            };
            let doc = &mut self.docs[doc];
            assert_eq!(doc.state, ReportState::Wanted, "nothing is put into what may have left");
            if doc.lot != self.packs[at].lot {
                more = true;
            } else if doc.packs.len() == 5 {
                full = true;
            } else {
                doc.packs.push((at, None));
                doc.draft.pieces += 1;
                doc.draft.codes += 2;
                self.packs[at].told = match kind {
                    DocumentKind::Aggregation => Told::Aggregating,
                    _ => Told::Disaggregating,
                };
            }
        }
        let next = (last < self.packs.len() && !full).then_some(last as u32);
        let document = no.map(|no| self.docs[no.0 as usize - 1].draft);
        Gathered { document, full, more, refused: None, next }
    }

    fn snapshot(&self) -> Snapshot {
        let over = |s: &ReportState| matches!(s, ReportState::Accepted | ReportState::Refused);
        let open = self.docs.iter().filter(|d| !over(&d.state));
        let ends = |d: &Doc| {
            (1..).zip(&d.packs).filter_map(|(piece, (_, end))| Some((piece, end.clone()?))).collect()
        };
        let facts = |d: &Doc| DocumentFacts {
            draft: d.draft,
            state: d.state.clone(),
            at: d.draft.moment,
            ends: ends(d),
        };
        let newest = |kind| {
            let of =
                self.docs.iter().rev().find(|d| d.draft.kind == kind && d.state == ReportState::Accepted);
            of.map(|d| (kind, d.draft.no))
        };
        Snapshot {
            documents: open.map(facts).collect(),
            documents_accepted: DocumentKind::ALL.into_iter().filter_map(newest).collect(),
            ..Snapshot::default()
        }
    }

    fn packs_of(&self, document: DocumentNo) -> Vec<usize> {
        self.docs[document.0 as usize - 1].packs.iter().map(|p| p.0).collect()
    }
}

/// A document upstream.
struct UpDoc {
    kind: DocumentKind,
    number: String,
    packs: Vec<usize>,
    made: Time,
    /// Its end, and what it names: by pack.
    end: Option<(ReportStatus, Vec<usize>)>,
}

/// The state system: a unit that is aggregated again gets the new content, so a repeat shows in the counts.
#[derive(Default)]
struct Upstream {
    docs: Vec<UpDoc>,
    there: BTreeSet<usize>,
    made: BTreeMap<usize, u32>,
    apart: BTreeMap<usize, u32>,
    /// Packs that it will not have, and whether its errors name them.
    bad: BTreeMap<usize, bool>,
    /// A document with something wrong in it has no effect at all.
    whole: bool,
}

impl Upstream {
    fn work(&mut self, now: Time) {
        for doc in self.docs.iter_mut().filter(|d| d.end.is_none() && now >= d.made.after(WORK)) {
            let bad: Vec<usize> = match doc.kind {
                DocumentKind::Aggregation => {
                    doc.packs.iter().filter(|p| self.bad.contains_key(p)).copied().collect()
                }
                _ => doc.packs.iter().filter(|p| !self.there.contains(p)).copied().collect(),
            };
            let named = bad.iter().filter(|p| self.bad.get(p).copied().unwrap_or(true)).copied().collect();
            let status = match bad.len() {
                0 => ReportStatus::Success,
                n if n < doc.packs.len() && !self.whole => ReportStatus::Partial,
                _ => ReportStatus::Error,
            };
            if status != ReportStatus::Error {
                for pack in doc.packs.iter().filter(|p| !bad.contains(p)) {
                    if doc.kind == DocumentKind::Aggregation {
                        self.there.insert(*pack);
                        *self.made.entry(*pack).or_default() += 1;
                    } else {
                        self.there.remove(pack);
                        *self.apart.entry(*pack).or_default() += 1;
                    }
                }
            }
            doc.end = Some((status, named));
        }
    }

    fn answer(&mut self, now: Time, wall: Wall, request: &Request, packs: &[usize]) -> Answered {
        self.work(now);
        let doc = |id: &str| id[1..].parse::<usize>().unwrap();
        let said = match request {
            Request::SendDocument { head, .. } => {
                assert!(head.moment <= wall, "a moment that is not past");
                let (kind, number) = (head.kind, head.own_number.clone());
                self.docs.push(UpDoc { kind, number, packs: packs.to_vec(), made: now, end: None });
                Reply::DocumentMade { upstream_id: format!("d{}", self.docs.len() - 1) }
            }
            Request::Document { upstream_id } => {
                let end = &self.docs[doc(upstream_id)].end;
                let status = end.as_ref().map_or(ReportStatus::InProcess, |end| end.0.clone());
                Reply::Document { status }
            }
            Request::DocumentBody { upstream_id, head, .. } => {
                Reply::DocumentBody { ours: self.docs[doc(upstream_id)].number == head.own_number }
            }
            Request::DocumentErrors { upstream_id, .. } => {
                let (_, named) = self.docs[doc(upstream_id)].end.clone().unwrap();
                let piece = |pack: &usize| packs.iter().position(|p| p == pack).map(|at| at as u32 + 1);
                let named = named.iter().map(|pack| (piece(pack), "bad".to_owned())).collect();
                Reply::DocumentErrors { named, next: None }
            }
            Request::Documents { of, .. } => {
                let seen = self.docs.iter().enumerate().filter(|(_, d)| Some(d.kind) == *of);
                let seen = seen.map(|(at, d)| DocumentSeen {
                    id: format!("d{at}"),
                    done: d.end.is_some(),
                    created: Some(Wall(START_MS + (d.made.0 / 1_000_000) as i64)),
                });
                Reply::Documents { seen: seen.collect(), next: None }
            }
            Request::Pieces { kind, pieces, .. } => {
                let seen = |piece: &u32| {
                    let there = self.there.contains(&packs[*piece as usize - 1]);
                    let in_effect = there == (*kind == DocumentKind::Aggregation);
                    (*piece, if in_effect { PieceSeen::InEffect } else { PieceSeen::Not })
                };
                Reply::Pieces { seen: pieces.iter().map(seen).collect() }
            }
            _ => Reply::Clock,
        };
        Answered { status: 200, retry_after: None, server: Some(wall), said, kept: None }
    }
}

struct World {
    config: Config,
    rng: Dice,
    now: Time,
    step: Step,
    store: Store,
    up: Upstream,
    commits: VecDeque<Txn>,
    requests: VecDeque<(RequestId, Request)>,
    late: Vec<(Time, Request)>,
    wake: Option<Time>,
    faults: bool,
}

impl World {
    fn new(seed: u64, config: Config) -> World {
        let mut rng = Dice(seed.wrapping_mul(0x9E37_79B9).wrapping_add(777));
        let mut up = Upstream { whole: rng.below(2) == 0, ..Upstream::default() };
        for _ in 0..rng.below(4) {
            up.bad.insert(rng.below(60) as usize, rng.below(2) == 0);
        }
        let step = Step::new(config.clone(), Box::new(parse), Snapshot::default());
        let (commits, requests, late) = Default::default();
        let now = Time(1_000_000_000);
        let store = Store::default();
        World { config, rng, now, step, store, up, commits, requests, late, wake: None, faults: true }
    }

    fn wall(&self) -> Wall {
        Wall(START_MS + (self.now.0 / 1_000_000) as i64)
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.step.step(self.now, self.wall(), input, &mut out);
        for effect in out {
            match effect {
                Effect::Request { id, request } => {
                    if let Request::SendDocument { document, .. } = &request {
                        let doc = &self.store.docs[document.0 as usize - 1];
                        assert_eq!(doc.state, ReportState::Sent, "commit, then act");
                        let open = doc.packs.iter().all(|p| p.1.is_none());
                        assert!(open, "{document} is sent with pieces that have ended");
                    }
                    self.requests.push_back((id, request));
                }
                Effect::Commit(txn) => self.commits.push_back(txn),
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Trouble { .. } | Effect::Cleared { .. } => {}
            }
        }
    }

    fn commit_one(&mut self) -> bool {
        let Some(txn) = self.commits.pop_front() else { return false };
        let answers = self.store.apply(&txn);
        self.feed(Input::Committed { txn: txn.id, answers });
        true
    }

    fn ask(&mut self, request: &Request) -> Answered {
        let packs = match request {
            Request::SendDocument { document, .. }
            | Request::DocumentErrors { document, .. }
            | Request::Pieces { document, .. } => self.store.packs_of(*document),
            _ => Vec::new(),
        };
        self.up.answer(self.now, self.wall(), request, &packs)
    }

    fn answer_one(&mut self) -> bool {
        let Some((id, request)) = self.requests.pop_front() else { return false };
        let fate = if self.faults { self.rng.below(12) } else { 11 };
        match fate {
            0 => self.feed(Input::Lost { id, sent: false }),
            1 => self.feed(Input::Lost { id, sent: true }),
            2 | 3 => {
                self.ask(&request);
                self.feed(Input::Lost { id, sent: true });
            }
            // A gateway refuses it for a while: nothing is wrong with any of it. One that is alone it lets through.
            4 | 5
                if matches!(&request, Request::SendDocument { document, .. }
                if self.store.packs_of(*document).len() > 1) =>
            {
                let said = Reply::Refused { reason: "x".to_owned() };
                let answer = Answered { status: 400, retry_after: None, server: None, said, kept: None };
                self.feed(Input::Answer { id, answer });
            }
            4 => {
                let delay = Duration::from_millis(self.rng.below(600_000));
                self.late.push((self.now.after(delay), request));
                self.feed(Input::Lost { id, sent: true });
            }
            5 | 6 => {
                if fate == 6 && self.rng.below(2) == 0 {
                    self.ask(&request);
                }
                let reason = "x".to_owned();
                let (status, said) = match fate {
                    5 => (429, Reply::NotNow { reason }),
                    _ => (502, Reply::Failed { reason }),
                };
                let answer = Answered { status, retry_after: None, server: None, said, kept: None };
                self.feed(Input::Answer { id, answer });
            }
            _ => {
                let answer = self.ask(&request);
                self.feed(Input::Answer { id, answer });
            }
        }
        true
    }

    fn pass_time(&mut self, by: Duration) {
        let until = self.now.after(by);
        self.now = self.wake.map_or(until, |w| w.clamp(self.now, until));
        let due: Vec<Request> = self.late.iter().filter(|l| l.0 <= self.now).map(|l| l.1.clone()).collect();
        self.late.retain(|l| l.0 > self.now);
        for request in due {
            self.ask(&request);
        }
        self.up.work(self.now);
        self.feed(Input::Tick);
    }

    /// A crash between two records of ends: those of a large document go in several.
    fn restart_within_ends(&mut self) -> bool {
        let ends = |record: &mut Record| match record {
            Record::Document(DocumentRecord::Ends { ends, .. }) if ends.len() > 1 => {
                Some(std::mem::take(ends))
            }
            _ => None,
        };
        let Some(txn) = self.commits.front_mut() else { return false };
        let Some(mut some) = txn.records.iter_mut().find_map(ends) else { return false };
        some.truncate(1 + self.rng.below(some.len() as u64 - 1) as usize);
        for record in &mut txn.records {
            if let Record::Document(DocumentRecord::Ends { ends, .. }) = record {
                *ends = std::mem::take(&mut some);
            }
        }
        let txn = self.commits.pop_front().expect("the first");
        self.store.apply(&txn);
        // People rework at once what no document carries any more.
        if self.rng.below(2) == 0 {
            for record in &txn.records {
                let Record::Document(DocumentRecord::Ends { document, ends, .. }) = record else { continue };
                let packs = self.store.packs_of(*document);
                for (piece, _) in ends {
                    let pack = &mut self.store.packs[packs[*piece as usize - 1]];
                    pack.voided |= pack.told == Told::Nothing;
                }
            }
        }
        self.commits.clear();
        self.restart();
        true
    }

    /// A crash: some commits under way were durable, some requests under way take effect.
    fn restart(&mut self) {
        for _ in 0..self.rng.below(self.commits.len() as u64 + 1) {
            if let Some(txn) = self.commits.pop_front() {
                self.store.apply(&txn);
            }
        }
        self.commits.clear();
        for (_, request) in std::mem::take(&mut self.requests) {
            if self.rng.below(2) == 0 {
                self.ask(&request);
            }
        }
        self.wake = None;
        self.config.seed += 1;
        self.step = Step::new(self.config.clone(), Box::new(parse), self.store.snapshot());
        self.tell();
    }

    fn tell(&mut self) {
        let waits = |kind| (0..self.store.packs.len()).any(|p| self.store.waits(kind, p));
        let kinds = DocumentKind::ALL.map(waits);
        self.feed(Input::Waiting(Waiting { kinds }));
    }

    fn one(&mut self) {
        match self.rng.below(400) {
            _ if self.rng.below(6) == 0 && self.restart_within_ends() => {}
            0..=139 => drop(self.commit_one()),
            140..=259 => drop(self.answer_one()),
            260..=349 => {
                let by = Duration::from_millis(1 + self.rng.below(60_000));
                self.pass_time(by);
            }
            350..=387 if self.store.packs.len() < 60 => self.store.packs.push(Pack::default()),
            // A pack that upstream has is reworked: the pack is none any more.
            388..=393 => {
                let at = self.rng.below(self.store.packs.len().max(1) as u64) as usize;
                if self.store.packs.get(at).is_some_and(|p| p.told == Told::Aggregated) {
                    self.store.packs[at].voided = true;
                }
            }
            394..=397 => self.restart(),
            _ => self.tell(),
        }
        self.check();
    }

    /// What must hold at every moment.
    fn check(&self) {
        for (at, pack) in self.store.packs.iter().enumerate() {
            let (made, apart) = (self.up.made.get(&at), self.up.apart.get(&at));
            assert!(made.is_none_or(|n| *n == 1), "pack {at} was made twice");
            assert!(apart.is_none_or(|n| *n == 1), "pack {at} was taken apart twice");
            let there = self.up.there.contains(&at);
            match pack.told {
                Told::Aggregated => assert!(there, "pack {at} is not there"),
                Told::Disaggregated => assert!(!there && made.is_some(), "pack {at} is there"),
                Told::Refused => assert!(self.up.bad.contains_key(&at), "pack {at} is good"),
                Told::Nothing => assert!(!there, "pack {at} is there unknown"),
                Told::Aggregating | Told::Disaggregating => {}
            }
        }
    }

    fn is_settled(&self) -> bool {
        let over = |d: &Doc| matches!(d.state, ReportState::Accepted | ReportState::Refused);
        let good = |(at, p): (usize, &Pack)| match p.told {
            Told::Aggregated => !p.voided,
            Told::Disaggregated => true,
            Told::Nothing => p.voided,
            Told::Refused => self.up.bad.contains_key(&at),
            _ => false,
        };
        self.commits.is_empty()
            && self.store.docs.iter().all(over)
            && self.store.packs.iter().enumerate().all(good)
    }

    fn settle(&mut self) {
        self.faults = false;
        let (mut idle, good) = (0, self.store.packs.len() + 3);
        for _ in 0..40_000 {
            if !(self.commit_one() || self.answer_one()) {
                self.pass_time(Duration::from_secs(60));
                idle += 1;
                // Others like it are taken: only then is a pack refused alone what it was refused for.
                if idle % 400 == 0 && self.store.packs.len() < good {
                    self.store.packs.push(Pack::default());
                    self.up.bad.remove(&(self.store.packs.len() - 1));
                }
                self.tell();
            }
            self.check();
            if self.store.packs.len() == good && self.is_settled() {
                let status = self.step.status();
                assert_eq!((status.open_reports, status.unknown), (0, 0));
                return;
            }
        }
        let told: Vec<_> = self.store.packs.iter().map(|p| (p.told, p.lot)).collect();
        panic!("not settled: {told:?}, bad {:?}, {:?}", self.up.bad, self.step.status());
    }
}

fn run(seed: u64, config: Config) {
    let mut world = World::new(seed, config);
    world.tell();
    for _ in 0..3000 {
        world.one();
    }
    world.settle();
}

fn of_packs() -> Config {
    Config { business_place: Some(7), ..config() }
}

#[test]
fn every_document_takes_effect_once_and_a_bad_pack_is_found() {
    for seed in 0..100 {
        let outcome = std::panic::catch_unwind(|| run(seed, of_packs()));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// The checker can fail: a document that is sent again on suspicion is made twice.
#[test]
fn without_the_settling_time_a_pack_is_made_twice() {
    let hasty = Config { settle_min: Duration::ZERO, looks_min: 1, ..of_packs() };
    let caught = (0..40).any(|seed| {
        let failed = std::panic::catch_unwind(|| run(seed, hasty.clone()));
        failed.is_err_and(|e| e.downcast_ref::<String>().is_some_and(|s| s.contains("twice")))
    });
    assert!(caught);
}
