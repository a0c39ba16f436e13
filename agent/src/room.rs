//! Keeps room on the disk: tells people when it is low, stops the lines long before it is full, holds the ballast.
//!
//! What is to be done is decided by [`crate::disk::judge`]; this task only looks, acts and tells.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tamga_domain::ids::TxnId;
use tamga_domain::record::{Bar, Record, Txn};
use tokio::sync::watch;

use crate::clock;
use crate::disk::{self, Ballast, Judged};
use crate::store::writer::Handle;

/// How often the disk is looked at: at 100 MB a second a disk loses a thirtieth of what a stopped line leaves.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Commits of this task are numbered from here, far from those of lines and windows.
const TXN_FIRST: u64 = 1 << 61;

/// What the task is given.
pub struct Room {
    pub data: PathBuf,
    pub ballast_mib: u64,
    pub writer: Handle,
    /// Told to the lines; what barred them at the start goes before lack of room.
    pub bar: watch::Sender<Option<Bar>>,
}

impl Room {
    /// Looks until it is dropped.
    pub async fn keep(self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let at_start = *self.bar.borrow();
        let (mut stopped, mut told) = (false, false);
        let txns = AtomicU64::new(TXN_FIRST);
        loop {
            every.tick().await;
            let Some((free_mb, judged)) = self.look(stopped).await else { continue };
            if judged.stop != stopped {
                stopped = judged.stop;
                tracing::warn!(free_mb, stopped, "room on the disk: lines stand below, may run above");
            }
            let bar = at_start.or(stopped.then_some(Bar::Room));
            self.bar.send_if_modified(|now| std::mem::replace(now, bar) != bar);
            if judged.low || told {
                let id = TxnId(txns.fetch_add(1, Ordering::Relaxed));
                told = self.tell(id, judged.low, told, free_mb).await;
            }
        }
    }

    /// One look, and what is done about the ballast, off the async threads.
    async fn look(&self, stopped: bool) -> Option<(u64, Judged)> {
        let (data, ballast_mib) = (self.data.clone(), self.ballast_mib);
        let look = move || {
            let free_mb = disk::free_mb(&data)?;
            let judged = disk::judge(free_mb, ballast_mib, disk::has_ballast(&data), stopped);
            match judged.ballast {
                Some(Ballast::LetGo) => disk::let_go(&data)?,
                Some(Ballast::Make) => disk::make(&data, ballast_mib)?,
                None => {}
            }
            Ok::<_, std::io::Error>((free_mb, judged))
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok((free_mb, judged))) => {
                if judged.ballast == Some(Ballast::LetGo) {
                    tracing::error!(free_mb, "the disk is full: the ballast was let go");
                }
                Some((free_mb, judged))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the disk of the data folder cannot be looked at");
                None
            }
            Err(_) => None,
        }
    }

    /// Raises or clears the alarm; answers whether it is raised. A commit that fails ends the lines, and they the
    /// process.
    async fn tell(&self, id: TxnId, low: bool, told: bool, free_mb: u64) -> bool {
        let (line, key, at) = (None, "alarm.disk_low".to_owned(), clock::wall());
        let record = match (low, told) {
            (true, false) => Record::AlarmRaised { line, key, detail: format!("{free_mb} MB"), at },
            (false, true) => Record::AlarmCleared { line, key, at },
            (true, true) | (false, false) => return told,
        };
        match self.writer.commit(Txn { id, records: vec![record] }).await {
            Ok(_) => low,
            Err(_) => told,
        }
    }
}
