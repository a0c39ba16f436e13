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
        self.ask_within(REPLY_WAIT_MAX, to, asked, answer).await
    }

    async fn ask_within<A, R>(
        &self,
        wait: Duration,
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
        match tokio::time::timeout(wait, answer).await {
            // What to do next is a command with the name in it.
            Ok(Ok(answer)) => answer.map_err(|refusal| ApiError::from(refusal).with(self.kind, self.name)),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(self.error(StatusCode::GATEWAY_TIMEOUT, self.silent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::words::{self, Language};

    #[tokio::test]
    async fn who_does_not_answer_may_still_do_it_and_the_caller_is_told_so() {
        for (kind, name, silent) in
            [("line", "l1", "http.line_silent"), ("station", "box1", "http.station_silent")]
        {
            let task = Task { kind, name, busy: "http.line_busy", gone: "http.line_gone", silent };
            let (to, mut asked) = mpsc::channel(1);
            let (reply, answer) = oneshot::channel::<Result<(), Refusal>>();
            let error = task.ask_within(Duration::ZERO, &to, "void", answer).await.unwrap_err();
            assert_eq!((error.status, error.key.as_str()), (StatusCode::GATEWAY_TIMEOUT, silent));
            assert_eq!(asked.recv().await, Some("void"), "it was asked all the same");
            assert!(reply.is_closed());
            for language in Language::ALL {
                let text = words::say(language, silent, &[(kind, name)]);
                assert!(text.contains(name) && !text.contains('{'), "{text}");
            }
        }
    }
}
