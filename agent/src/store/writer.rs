//! The one thread that writes, its queue, and its group commit.
//!
//! The thread takes one request, takes what else waits, makes the commits of all of them durable with one fsync and
//! answers each in the order of asking. There is no timer: while one fsync runs, the next group gathers. A find sees
//! every commit that was asked for before it. A commit that the store does not allow is refused to its own asker: the
//! others of its group are made.
//!
//! Two ways to ask: a [`Port`] for a line, whose answers come as inputs in order, and [`Handle::commit`] for tasks
//! that wait for the answer. After a failed write every request is refused: the caller ends the process.
//!
//! Nobody waits in a circle: askers may wait for room in the queue, the writer never waits for an asker. A port's
//! answers have no bound of their own; the port bounds what is outstanding.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tamga_domain::code::Identity;
use tamga_domain::document::DocumentRecord;
use tamga_domain::ids::{LineNo, TxnId};
use tamga_domain::pack::record::PackRecord;
use tamga_domain::record::{Answer, Known, Record, Recovered, Txn};
use tamga_domain::share::{Letter, ShareRecord};
use tokio::sync::{mpsc, oneshot, watch};

use super::Store;
use super::error::StoreError;
use super::journal::{self, Journal};
use super::limits::{GROUP_MAX, GROUP_WEIGHT_MAX, OUTSTANDING_MAX, PIECE_BYTES, QUEUE_MAX};

/// Why a request was not served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriterError {
    #[error("the database did not take it")]
    Store(#[source] Arc<StoreError>),
    #[error("the writer has ended")]
    Ended,
    #[error("{OUTSTANDING_MAX} requests of this line wait for the disk already")]
    Full,
}

impl From<StoreError> for WriterError {
    fn from(e: StoreError) -> WriterError {
        WriterError::Store(Arc::new(e))
    }
}

/// What a port is told, in the order in which it asked.
#[derive(Debug)]
pub enum Told<K> {
    Committed { txn: TxnId, answers: Vec<Answer> },
    Failed { txn: TxnId, why: WriterError },
    Found { key: K, result: Result<Known, WriterError> },
}

type AnswerTo<T> = Box<dyn FnOnce(Result<T, WriterError>) + Send>;

enum Request {
    Commit(Txn, AnswerTo<Vec<Answer>>),
    Find(Identity, AnswerTo<Known>),
    Recover(LineNo, AnswerTo<Recovered>),
    Turns(AnswerTo<()>),
}

/// Starts the thread. It ends when the last handle and port are gone; join it to get the store closed.
pub fn spawn(store: Store) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let (asks, queue) = mpsc::channel(QUEUE_MAX);
    let (tell, broken) = watch::channel(None);
    let thread =
        std::thread::Builder::new().name("writer".into()).spawn(move || serve(store, queue, tell))?;
    Ok((Handle { asks, broken }, thread))
}

/// Asks the writer and waits for the answer.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Request>,
    broken: watch::Receiver<Option<String>>,
}

impl Handle {
    /// Makes the records of the transaction durable, all or none.
    pub async fn commit(&self, txn: Txn) -> Result<Vec<Answer>, WriterError> {
        self.ask(|to| Request::Commit(txn, to)).await
    }

    /// What is known of a code, after all commits asked for before.
    pub async fn find(&self, identity: Identity) -> Result<Known, WriterError> {
        self.ask(|to| Request::Find(identity, to)).await
    }

    /// What a line needs to go on after a start.
    pub async fn recover(&self, line: LineNo) -> Result<Recovered, WriterError> {
        self.ask(|to| Request::Recover(line, to)).await
    }

    /// Waits until the thread has done what was asked for before: proof that it turns.
    pub async fn turns(&self) -> Result<(), WriterError> {
        self.ask(Request::Turns).await
    }

    /// A watch of failed writes, which does not keep the writer.
    pub fn broken(&self) -> Broken {
        Broken(self.broken.clone())
    }

    /// A port for one line. `K` names a find, so that its answer can be told from others.
    pub fn port<K: Send + 'static>(&self) -> (Port<K>, Answers<K>) {
        let (told, hear) = mpsc::unbounded_channel();
        let outstanding = Arc::new(AtomicUsize::new(0));
        let port = Port { asks: self.asks.clone(), told, outstanding: Arc::clone(&outstanding) };
        (port, Answers { hear, outstanding })
    }

    async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(AnswerTo<T>) -> Request,
    ) -> Result<T, WriterError> {
        let (tell, told) = oneshot::channel();
        // An asker that went away does not want the answer any more.
        let request = request(Box::new(move |answer| drop(tell.send(answer))));
        self.asks.send(request).await.map_err(|_| WriterError::Ended)?;
        told.await.map_err(|_| WriterError::Ended)?
    }
}

/// Told when a write has failed: nothing is written any more, whoever asks and whether anybody does.
pub struct Broken(watch::Receiver<Option<String>>);

impl Broken {
    /// Waits until a write has failed, and says why. Cancel safe.
    pub async fn why(&mut self) -> String {
        match self.0.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The writer has ended as it should.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Asks the writer without waiting for the answers, which come in order from [`Answers`].
pub struct Port<K> {
    asks: mpsc::Sender<Request>,
    told: mpsc::UnboundedSender<Told<K>>,
    outstanding: Arc<AtomicUsize>,
}

impl<K: Send + 'static> Port<K> {
    /// Waits at most for room in the writer's queue. Dropped while it waits, it has asked nothing.
    pub async fn commit(&self, txn: Txn) -> Result<(), WriterError> {
        let (tell, id) = (self.told.clone(), txn.id);
        let answer = move |answer| {
            let told = match answer {
                Ok(answers) => Told::Committed { txn: id, answers },
                Err(why) => Told::Failed { txn: id, why },
            };
            // The line went away: nobody is left to act on the commit.
            drop(tell.send(told));
        };
        self.ask(Request::Commit(txn, Box::new(answer))).await
    }

    /// Waits at most for room in the writer's queue.
    pub async fn find(&self, key: K, identity: Identity) -> Result<(), WriterError> {
        let tell = self.told.clone();
        let answer = move |result| drop(tell.send(Told::Found { key, result }));
        self.ask(Request::Find(identity, Box::new(answer))).await
    }

    async fn ask(&self, request: Request) -> Result<(), WriterError> {
        if self.outstanding.load(Ordering::Relaxed) >= OUTSTANDING_MAX {
            return Err(WriterError::Full);
        }
        // Counted only once it is certain to be sent: a caller may drop this future while it waits for room.
        let room = self.asks.reserve().await.map_err(|_| WriterError::Ended)?;
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        room.send(request);
        Ok(())
    }
}

/// The answers to a port's requests, in the order of asking.
pub struct Answers<K> {
    hear: mpsc::UnboundedReceiver<Told<K>>,
    outstanding: Arc<AtomicUsize>,
}

impl<K> Answers<K> {
    /// The next answer; none when the port is gone and everything it asked was answered. Cancel safe.
    pub async fn next(&mut self) -> Option<Told<K>> {
        let told = self.hear.recv().await?;
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        Some(told)
    }

    /// An answer that is there already.
    pub fn try_next(&mut self) -> Option<Told<K>> {
        let told = self.hear.try_recv().ok()?;
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        Some(told)
    }
}

fn serve(mut store: Store, mut queue: mpsc::Receiver<Request>, broken: watch::Sender<Option<String>>) {
    let mut journal = Journal::of(&store);
    let mut group = Vec::with_capacity(GROUP_MAX);
    // Commits with a large block: its body is kept a piece at a time between the groups, then it is a request like any.
    let mut large: VecDeque<(Txn, AnswerTo<Vec<Answer>>)> = VecDeque::new();
    let mut housework = true;
    loop {
        let first = if large.is_empty() && !housework {
            match queue.blocking_recv() {
                Some(first) => Some(first),
                None => return end(store),
            }
        } else {
            queue.try_recv().ok()
        };
        gather(first, &mut queue, &mut group, &mut large);
        serve_group(&mut store, &mut journal, &mut group);
        if let Some((txn, to)) = large.pop_front() {
            match store.keep_ahead(&txn) {
                Ok(true) => large.push_front((txn, to)),
                Ok(false) => serve_group(&mut store, &mut journal, &mut vec![Request::Commit(txn, to)]),
                Err(e) => to(Err(e.into())),
            }
        }
        // Housework that fails breaks the store: the next commit is refused and says why.
        housework = store.maintain(queue.is_empty() && large.is_empty()).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "housework failed");
            false
        });
        if let Some(why) = store.broken() {
            broken.send_if_modified(|told| told.is_none() && told.replace(why.to_owned()).is_none());
        }
    }
}

/// Nobody asks any more: the end that was wanted, of which the witness is told.
fn end(store: Store) {
    if let Err(error) = store.close() {
        tracing::warn!(%error, "the witness was not told of the end: the next start goes by the lease");
    }
}

/// Takes what waits, as much as is good for one commit. Large blocks step aside; nothing that is asked for before
/// their commit is answered depends on them.
fn gather(
    first: Option<Request>,
    queue: &mut mpsc::Receiver<Request>,
    group: &mut Vec<Request>,
    large: &mut VecDeque<(Txn, AnswerTo<Vec<Answer>>)>,
) {
    let (mut next, mut heavy) = (first, 0);
    while let Some(request) = next.take() {
        match request {
            Request::Commit(txn, to) if is_large(&txn) => large.push_back((txn, to)),
            request => {
                heavy += weight(&request);
                group.push(request);
            }
        }
        if group.len() < GROUP_MAX && heavy < GROUP_WEIGHT_MAX {
            next = queue.try_recv().ok();
        }
    }
}

fn is_large(txn: &Txn) -> bool {
    let large = |record: &Record| matches!(record, Record::Block { body, .. } if body.len() > PIECE_BYTES);
    txn.records.iter().any(large)
}

fn serve_group(store: &mut Store, journal: &mut Journal, group: &mut Vec<Request>) {
    let mut txns = Vec::with_capacity(group.len());
    let mut waiting = Vec::with_capacity(group.len());
    for request in group.drain(..) {
        waiting.push(match request {
            Request::Commit(txn, to) => {
                txns.push(txn);
                Waiting::Commit(to)
            }
            Request::Find(identity, to) => Waiting::Find(identity, to),
            Request::Recover(line, to) => Waiting::Recover(line, to),
            Request::Turns(to) => Waiting::Turns(to),
        });
    }
    let applied = if txns.is_empty() { Ok(Vec::new()) } else { store.apply_each(&txns) };
    let told = match &applied {
        Ok(answers) => journal::worth_telling(&txns, answers),
        Err(_) => Vec::new(),
    };
    let (mut answers, failure) = match applied {
        Ok(answers) => (answers.into_iter(), None),
        Err(e) => (Vec::new().into_iter(), Some(Arc::new(e))),
    };
    for one in waiting {
        match (one, &failure) {
            (Waiting::Commit(to), None) => {
                to(answers.next().map_or(Err(WriterError::Ended), |answer| answer.map_err(Into::into)));
            }
            (Waiting::Commit(to), Some(e)) => to(Err(WriterError::Store(Arc::clone(e)))),
            (Waiting::Find(_, to), Some(e)) => to(Err(WriterError::Store(Arc::clone(e)))),
            (Waiting::Find(identity, to), None) => to(store.find(&identity).map_err(Into::into)),
            (Waiting::Recover(_, to), Some(e)) => to(Err(WriterError::Store(Arc::clone(e)))),
            // It turns, however sick the store is: whoever needs a commit is told by that commit.
            (Waiting::Turns(to), _) => to(Ok(())),
            (Waiting::Recover(line, to), None) => to(store.recover(line).map_err(Into::into)),
        }
    }
    // After the answers: an item waits for its commit, and not for the log.
    told.iter().for_each(|(txn, answers)| journal.tell(store, txn, answers));
}

enum Waiting {
    Commit(AnswerTo<Vec<Answer>>),
    Find(Identity, AnswerTo<Known>),
    Recover(LineNo, AnswerTo<Recovered>),
    Turns(AnswerTo<()>),
}

/// How much work a request is: codes touched, or pages written.
fn weight(request: &Request) -> usize {
    let Request::Commit(txn, _) = request else {
        return 1;
    };
    let of = |record: &Record| match record {
        Record::Issue { count, .. } => *count as usize,
        Record::Import { codes, .. } => codes.len(),
        Record::Unpack { slice, .. } => slice.len(),
        Record::SpoilLeft { limit, .. } | Record::Return { limit, .. } => *limit as usize,
        Record::Block { body, .. } | Record::AnswerKept { body, .. } => 1 + body.len() / 4096,
        Record::Pack(PackRecord::In { children, .. }) => children.len(),
        // Frees all that was in it: the last of its group.
        Record::Pack(PackRecord::Voided { .. } | PackRecord::Rework { .. }) => GROUP_WEIGHT_MAX,
        Record::Pack(_) => 1,
        Record::Share(ShareRecord::Taken { letters, .. }) => letters.iter().map(Letter::weight).sum(),
        Record::Share(ShareRecord::Anew { .. }) => GROUP_WEIGHT_MAX,
        Record::Share(ShareRecord::Handed { .. }) => 1,
        // Looks at as much as a group may.
        Record::Document(DocumentRecord::Gather { .. }) => GROUP_WEIGHT_MAX,
        Record::Document(DocumentRecord::Ends { ends, .. }) => ends.len(),
        Record::Document(_) => 1,
        Record::RunOpened { .. }
        | Record::RunState { .. }
        | Record::SignedOff { .. }
        | Record::Job { .. }
        | Record::Verify { .. }
        | Record::Trigger { .. }
        | Record::Away { .. }
        | Record::End { .. }
        | Record::Settle { .. }
        | Record::Spoil { .. }
        | Record::Incident { .. }
        | Record::OrderWanted { .. }
        | Record::OrderState { .. }
        | Record::ReportDrafted { .. }
        | Record::ReportState { .. }
        | Record::Unresolved { .. }
        | Record::Audit { .. }
        | Record::AlarmRaised { .. }
        | Record::AlarmCleared { .. }
        | Record::AlarmAcknowledged { .. } => 1,
    };
    txn.records.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tamga_domain::ids::RunId;
    use tamga_domain::record::RunState;
    use tamga_domain::time::Wall;

    use super::super::error::Rule;
    use super::*;

    fn alarm(key: &str) -> Record {
        Record::AlarmRaised { line: None, key: key.to_owned(), detail: String::new(), at: Wall(1) }
    }

    /// One bad record of the API must not end a line whose commit stands in the same group.
    #[test]
    fn a_commit_that_is_not_allowed_is_refused_alone_in_its_group() {
        let dir = std::env::temp_dir().join(format!("tamga-group-{}", std::process::id()));
        let mut store = Store::open(&dir, "0a1b2c3d").unwrap();
        let no_run = || {
            let (run, state) = (RunId(77), RunState::Stopped);
            Record::RunState { run, state, why: String::new(), who: String::new(), at: Wall(1) }
        };
        let wanted = [
            vec![alarm("alarm.disk_low")],
            vec![alarm("alarm.pool_low"), no_run()],
            vec![alarm("alarm.clock")],
            vec![no_run()],
            vec![alarm("alarm.pool_empty")],
        ];
        let told: Arc<Mutex<Vec<Result<usize, String>>>> = Arc::default();
        let mut group: Vec<Request> = Vec::new();
        for (records, id) in wanted.into_iter().zip(1..) {
            let told = Arc::clone(&told);
            let answer = move |answer: Result<Vec<Answer>, WriterError>| {
                let said = match answer {
                    Ok(answers) => Ok(answers.len()),
                    Err(WriterError::Store(e)) => match &*e {
                        StoreError::Rule { txn, place, rule } if matches!(**rule, Rule::NoSuchRun(_)) => {
                            Err(format!("{txn} {place}"))
                        }
                        other => Err(other.to_string()),
                    },
                    Err(other) => Err(other.to_string()),
                };
                told.lock().unwrap().push(said);
            };
            group.push(Request::Commit(Txn { id: TxnId(id), records }, Box::new(answer)));
        }
        let mut journal = Journal::of(&store);
        serve_group(&mut store, &mut journal, &mut group);
        let told = std::mem::take(&mut *told.lock().unwrap());
        let refused = |at: &str| Err(at.to_owned());
        assert_eq!(told, [Ok(0), refused("2 1"), Ok(0), refused("4 0"), Ok(0)]);
        let raised: Vec<String> = store.view().alarms(10).unwrap().into_iter().map(|a| a.key).collect();
        assert_eq!(raised.len(), 3, "what is refused leaves nothing: {raised:?}");
        assert!(!raised.iter().any(|key| key == "alarm.pool_low"), "{raised:?}");
        assert!(store.broken().is_none());
        drop(store);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
