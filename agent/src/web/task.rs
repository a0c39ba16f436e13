//! Asks a task of the daemon (a line's, a station's) and waits for its answer.

use std::time::Duration;

use axum::http::StatusCode;
use tamga_domain::line::ask::Refusal;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot::Receiver;

use super::error::ApiError;

/// A task answers within a commit or two; beyond this it is stuck and the caller is told that the outcome is open.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Whose task it is, and what is said of one that does not answer.
pub struct Task<'d> {
    /// What its name is called in the texts.
    pub kind: &'static str,
    pub name: &'d str,
    pub busy: &'static str,
    pub gone: &'static str,
    pub silent: &'static str,
}

impl Task<'_> {
    fn error(&self, status: StatusCode, key: &str) -> ApiError {
        ApiError::new(status, key).with(self.kind, self.name)
    }

    /// Sends what is asked and waits. A task that does not answer in time may still do it: the error says so.
    pub async fn ask<A, R>(
        &self,
        to: &Sender<A>,
        asked: A,
        answer: Receiver<Result<R, Refusal>>,
    ) -> Result<R, ApiError> {
        let gone = || self.error(StatusCode::SERVICE_UNAVAILABLE, self.gone);
        match to.try_send(asked) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(self.error(StatusCode::SERVICE_UNAVAILABLE, self.busy)),
            Err(TrySendError::Closed(_)) => return Err(gone()),
        }
        match tokio::time::timeout(REPLY_WAIT_MAX, answer).await {
            // What to do next is a command with the name in it.
            Ok(Ok(answer)) => answer.map_err(|refusal| ApiError::from(refusal).with(self.kind, self.name)),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(self.error(StatusCode::GATEWAY_TIMEOUT, self.silent)),
        }
    }
}
