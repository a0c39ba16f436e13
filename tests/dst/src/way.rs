//! The way upstream as the product's shell goes it, without its tasks and sockets: effects of the step in their order,
//! commits one after another, what people are told as records. It decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamga::books;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::upstream::Setup;
use tamga::upstream::xtrace;
use tamga::upstream::xtrace::write::Named;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::TxnId;
use tamga_domain::record::{Answer, Record, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_domain::upstream as up;
use tamga_domain::upstream::config::Level;
use tamga_domain::upstream::request::{Carried, Request, RequestId};

use crate::agent::Over;

/// Transactions of the upstream shell itself.
const FIRST_TXN: u64 = 1 << 63;

/// A request on its way to the state system, with what its answer is read by.
pub struct Call {
    pub id: RequestId,
    pub request: Request,
    pub written: xtrace::write::Written,
}

pub struct Way {
    pub step: up::Step,
    setup: Setup,
    commits: VecDeque<Txn>,
    committing: bool,
    pub wake: Option<Time>,
    /// What each alarm is about.
    pub troubles: BTreeMap<&'static str, BTreeSet<String>>,
    last_txn: u64,
    /// Answers that were not told to the step yet.
    heard: VecDeque<up::Input>,
}

impl Way {
    /// A start: everything is read from the store.
    pub fn start(setup: Setup, store: &Store) -> Result<Way, StoreError> {
        let snapshot = books::snapshot(&store.view(), store.agent_id());
        let snapshot = snapshot.map_err(|e| StoreError::Damaged { what: e.to_string() })?;
        let told = up::TROUBLES.into_iter().filter(|key| snapshot.told.iter().any(|t| t == key));
        let troubles = told.map(|key| (key, BTreeSet::from([String::new()]))).collect();
        let parse = xtrace::parse_with(setup.layouts.clone());
        let step = up::Step::new(setup.config.clone(), parse, snapshot);
        Ok(Way {
            step,
            setup,
            commits: VecDeque::new(),
            committing: false,
            wake: None,
            troubles,
            last_txn: FIRST_TXN,
            heard: VecDeque::new(),
        })
    }

    /// An answer of the state system, or that there is none.
    pub fn answered(&mut self, id: RequestId, outcome: xtrace::exchange::Outcome) {
        let input = match outcome {
            xtrace::exchange::Outcome::Answered(answer) => up::Input::Answer { id, answer },
            xtrace::exchange::Outcome::Lost { sent, .. } => up::Input::Lost { id, sent },
        };
        self.heard.push_back(input);
    }

    /// By product group.
    pub fn layouts(&self) -> &xtrace::Layouts {
        &self.setup.layouts
    }

    pub fn take_heard(&mut self) -> Option<up::Input> {
        self.heard.pop_front()
    }

    /// One input, and all that follows of it. `fuse`: effects until the process is killed, if it is.
    pub fn feed(
        &mut self,
        store: &Store,
        input: up::Input,
        (now, wall): (Time, Wall),
        fuse: &mut Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Over> {
        if matches!(input, up::Input::Committed { .. }) {
            self.committing = false;
        }
        let mut effects = Vec::new();
        self.wake = None;
        self.step.step(now, wall, input, &mut effects);
        for effect in effects {
            burn(fuse)?;
            match effect {
                up::Effect::Request { id, request } => self.request(store, id, request, calls)?,
                up::Effect::Commit(txn) => self.commits.push_back(txn),
                up::Effect::Wake(at) => self.wake = Some(at),
                up::Effect::Trouble { key, about, detail } => {
                    self.troubles.entry(key).or_default().insert(about);
                    self.own(Record::AlarmRaised { line: None, key: key.to_owned(), detail, at: wall });
                }
                up::Effect::Cleared { key, about } => {
                    let Some(abouts) = self.troubles.get_mut(key) else { continue };
                    abouts.remove(&about);
                    if abouts.is_empty() {
                        self.troubles.remove(key);
                        self.own(Record::AlarmCleared { line: None, key: key.to_owned(), at: wall });
                    }
                }
            }
        }
        Ok(())
    }

    /// The next transaction for the writer: one at a time, since their order is the step's.
    pub fn next_commit(&mut self) -> Option<Txn> {
        if self.committing {
            return None;
        }
        let txn = self.commits.pop_front()?;
        self.committing = true;
        Some(txn)
    }

    fn own(&mut self, record: Record) {
        self.last_txn += 1;
        let id = TxnId(self.last_txn);
        self.commits.push_back(Txn { id, records: vec![record] });
    }

    fn request(
        &mut self,
        store: &Store,
        id: RequestId,
        request: Request,
        calls: &mut Vec<Call>,
    ) -> Result<(), Over> {
        let mut named = Named::default();
        match &request {
            Request::Apply { run, passes, .. }
            | Request::Codes { run, passes, .. }
            | Request::Report { of: Some(Carried { run, passes, .. }), .. } => {
                named.codes = books::codes_of_passes(&store.view(), *run, passes).map_err(Over::Store)?;
            }
            Request::SendDocument { document, .. }
            | Request::DocumentBody { document, .. }
            | Request::DocumentErrors { document, .. } => {
                named.pieces = books::pieces_of(&store.view(), *document, None).map_err(Over::Store)?;
            }
            Request::Pieces { document, pieces, .. } => {
                let only = Some(pieces.as_slice());
                named.pieces = books::pieces_of(&store.view(), *document, only).map_err(Over::Store)?;
            }
            _ => {}
        }
        match xtrace::exchange::ready(&self.setup.xtrace, &self.setup.layouts, &request, &named) {
            xtrace::exchange::Ready::Send(written) => calls.push(Call { id, request, written }),
            xtrace::exchange::Ready::Done(outcome) => self.answered(id, outcome),
        }
        Ok(())
    }

    /// Tells the step how pools, runs and orders stand, as the product does every second. Answers with the levels.
    pub fn look(
        &mut self,
        store: &Store,
        (products, life_left_ms): (&[(Gtin, u32)], i64),
        at: (Time, Wall),
        fuse: &mut Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Level>, Over> {
        let standing = books::standing(&store.view(), products, at.1, life_left_ms).map_err(Over::Store)?;
        self.feed(store, up::Input::Waiting(standing.waiting), at, fuse, calls)?;
        self.feed(store, up::Input::Rests(standing.orders), at, fuse, calls)?;
        for level in &standing.levels {
            self.feed(store, up::Input::Wanted(*level), at, fuse, calls)?;
        }
        for progress in standing.runs {
            self.feed(store, up::Input::Progress(progress), at, fuse, calls)?;
        }
        Ok(standing.levels)
    }
}

/// One effect nearer to the end of the fuse.
pub fn burn(fuse: &mut Option<u64>) -> Result<(), Over> {
    match fuse {
        Some(0) => Err(Over::Killed),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether a transaction has a block that the writer takes in pieces.
pub fn is_large(txn: &Txn) -> bool {
    let large = |r: &Record| matches!(r, Record::Block { body, .. } if body.len() > tamga::store::limits::PIECE_BYTES);
    txn.records.iter().any(large)
}

/// What the writer says of one transaction.
pub fn next(answers: &mut std::vec::IntoIter<Vec<Answer>>) -> Vec<Answer> {
    answers.next().expect("one answer a transaction")
}
