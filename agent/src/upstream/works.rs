//! The few futures that the upstream task waits for, without a task for each.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Futures under way: at most the requests in flight, one commit, one question to the store.
pub struct Works<T> {
    works: Vec<Work<T>>,
}

impl<T> Works<T> {
    pub fn new() -> Works<T> {
        Works { works: Vec::new() }
    }

    pub fn begin(&mut self, work: impl Future<Output = T> + Send + 'static) {
        self.works.push(Box::pin(work));
    }

    /// The first that is done; never ready while there is none. Dropping it loses nothing.
    pub async fn next(&mut self) -> T {
        poll_fn(|cx| {
            for i in 0..self.works.len() {
                if let Poll::Ready(done) = self.works[i].as_mut().poll(cx) {
                    drop(self.works.remove(i));
                    return Poll::Ready(done);
                }
            }
            Poll::Pending
        })
        .await
    }
}
