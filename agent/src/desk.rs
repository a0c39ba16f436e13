//! What the windows (panel, HTTP API, and through it the command line) may see of the daemon and ask of it.
//!
//! The desk holds channels only. It knows no device and writes nothing: every change goes through the line's task or
//! the writer.

use std::sync::Arc;

use tamga_domain::line::ask::{Ask, Refusal, Reply, Status};
use tokio::sync::{mpsc, oneshot, watch};

/// Who asks: shown in the audit log.
#[derive(Clone, Debug)]
pub struct Who {
    /// A name: the operator's, or `cli:<unix user>`.
    pub name: String,
    /// Where from: an address, or `local`.
    pub from: String,
}

/// A request on its way to a line's task.
pub struct Asked {
    pub ask: Ask,
    pub who: Who,
    pub reply: oneshot::Sender<Result<Reply, Refusal>>,
}

/// One line, as the windows see it.
#[derive(Clone)]
pub struct LineDesk {
    /// The line's name in the configuration.
    pub name: String,
    /// `print-and-apply`, `print` or `pre-printed`.
    pub kind: &'static str,
    pub ask: mpsc::Sender<Asked>,
    pub status: watch::Receiver<Arc<Status>>,
}

/// The state of the way to upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamStatus {
    /// The last answer of any kind, milliseconds since 1970, if there was one since the start.
    pub last_answer_ms: Option<i64>,
    /// The last failure in words, empty after a success.
    pub trouble: String,
    /// Codes on order and not yet received.
    pub on_order: u64,
    /// Reports not yet finally answered, and the oldest of them, milliseconds since 1970.
    pub open_reports: u32,
    pub oldest_open_ms: Option<i64>,
    /// Requests whose answer was lost and is being looked for.
    pub unknown: u32,
    /// Server clock minus ours, in milliseconds, by the last `Date` header.
    pub clock_ahead_ms: Option<i64>,
}
