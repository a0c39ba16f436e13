//! Rounds of a campaign side by side, each on a thread of its own. A round that panics is a violation; Ctrl-C ends all
//! of them at once, and what they opened (agents, mounts) is let go on the way.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};

use super::tally::Tally;

/// Parts `count` strikes into rounds of at most `most`: the number of each round, its seed, and its strikes.
pub fn parts(count: u64, most: u64, seed: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..count.div_ceil(most)).map(move |no| (no, seed + no, (count - no * most).min(most)))
}

/// Plays all rounds, at most `at_once` at a time. False when it was interrupted.
pub fn side_by_side<R, F>(rounds: Vec<R>, at_once: usize, tally: &Tally, play: impl Fn(R) -> F + Sync) -> bool
where
    R: Send + std::fmt::Debug,
    F: Future<Output = ()>,
{
    let waiting = Mutex::new(VecDeque::from(rounds));
    let interrupted = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while !interrupted.load(Ordering::Relaxed) {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(round) = next else { return };
                    let name = format!("{round:?}");
                    let played = catch_unwind(AssertUnwindSafe(|| whole(play(round))));
                    match played {
                        Ok(true) => {}
                        Ok(false) => interrupted.store(true, Ordering::Relaxed),
                        Err(panic) => tally.violation(format!("{name}: {}", said(&*panic))),
                    }
                }
            });
        }
    });
    !interrupted.load(Ordering::Relaxed)
}

/// Runs to the end; false when somebody asked to end before.
fn whole(round: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => false,
            _ = terminate.recv() => false,
            () = round => true,
        }
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}
