//! An answer that is made while it is read: in slices, each a look of its own at the records, so that no answer however
//! long is in memory whole and no read of the database lasts.
//!
//! Nothing is spawned: the answer's body drives what makes it, and stops with its reader. Where it fails the body breaks
//! off without its end, so that nobody takes a part for the whole.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use tokio::sync::mpsc;

use super::error::ApiError;

/// Slices that wait for a slow reader.
const WAITING_MAX: usize = 2;

type Work = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;

/// Where the slices go.
pub struct Out(mpsc::Sender<Bytes>);

impl Out {
    /// Waits for a slow reader. One that went away ends the body, and this with it.
    pub async fn send(&self, slice: impl Into<Bytes>) {
        let slice = slice.into();
        if !slice.is_empty() {
            let _ = self.0.send(slice).await;
        }
    }
}

/// The body that `make` writes.
pub fn body<F>(make: impl FnOnce(Out) -> F) -> Body
where
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let (tell, told) = mpsc::channel(WAITING_MAX);
    Body::new(Slices { work: Some(Box::pin(make(Out(tell)))), failed: false, told })
}

struct Slices {
    work: Option<Work>,
    failed: bool,
    told: mpsc::Receiver<Bytes>,
}

impl HttpBody for Slices {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(done) = work.as_mut().poll(cx)
        {
            self.work = None;
            if let Err(error) = done {
                tracing::warn!(error = error.key, "an answer broke off");
                self.failed = true;
            }
        }
        match self.told.poll_recv(cx) {
            Poll::Ready(Some(slice)) => Poll::Ready(Some(Ok(http_body::Frame::data(slice)))),
            Poll::Ready(None) if self.failed => {
                self.failed = false;
                Poll::Ready(Some(Err(io::Error::other("the answer broke off"))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    async fn all(body: Body) -> Result<Vec<u8>, axum::Error> {
        axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec())
    }

    #[tokio::test]
    async fn all_slices_come_in_order_and_a_failure_is_no_end() {
        let told = body(|out| async move {
            for n in 0..10_u8 {
                out.send(vec![n]).await;
            }
            Ok(())
        });
        assert_eq!(all(told).await.unwrap(), (0..10).collect::<Vec<u8>>());
        let broken = body(|out| async move {
            out.send("so far").await;
            Err(ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR))
        });
        assert!(all(broken).await.is_err());
    }
}
