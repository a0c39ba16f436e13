//! What the upstream side needs of the store, and nothing more.

use std::future::Future;

use tamga_domain::code::Code;
use tamga_domain::document::{Piece, Waiting};
use tamga_domain::ids::{DocumentNo, PassNo, RunId};
use tamga_domain::record::{Answer, PassRange, Txn};
use tamga_domain::upstream::config::{Level, OrderRest, Progress, Snapshot};

/// The store could not do what it must: the upstream side ends.
#[derive(Debug, thiserror::Error)]
#[error("the store did not do it")]
pub struct BooksError {
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// What was asked is not allowed: a bug of ours, that a second try meets again.
    pub bug: bool,
}

/// The books of the agent. Implemented by the wiring over the store, and by a fake in tests.
pub trait Books: Send + Sync + 'static {
    /// Makes a transaction durable. Transactions are given one after another, in order.
    fn commit(&self, txn: Txn) -> impl Future<Output = Result<Vec<Answer>, BooksError>> + Send;

    /// The codes that these passes carry now, in the order of the passes. A pass whose code is not `Verified(Passed)`
    /// or `Applied` any more is left out.
    fn codes_of_passes(
        &self,
        run: RunId,
        passes: Vec<PassRange>,
    ) -> impl Future<Output = Result<Vec<(PassNo, Code)>, BooksError>> + Send;

    /// Pieces of a document with what lies in them, by their numbers; all of them where none are given.
    fn pieces(
        &self,
        document: DocumentNo,
        only: Option<Vec<u32>>,
    ) -> impl Future<Output = Result<Vec<Piece>, BooksError>> + Send;

    /// What a start finds. Bodies of blocks are read with `xtrace::issued::codes_of`.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, BooksError>> + Send;

    /// How things stand. Asked every second or so: counts kept in rows, never a scan.
    fn standing(&self) -> impl Future<Output = Result<Standing, BooksError>> + Send;
}

/// How pools, runs and orders stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Of all products that the configuration names, also those whose pool is empty.
    pub levels: Vec<Level>,
    /// Runs that have passes which no report carries.
    pub runs: Vec<Progress>,
    pub orders: Vec<OrderRest>,
    /// What waits for documents of packs.
    pub waiting: Waiting,
}
