//! What the lines are told of the codes that are left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tamga_domain::gs1::Gtin;

use crate::chain::chain;
use crate::store::error::StoreError;
use crate::store::read::{Reader, View};

/// Reads the levels of the pools, or of the stock, for the lines; a look that fails is told and tried again.
pub(super) async fn watch(
    data: PathBuf,
    how_often: Duration,
    look_at: impl Fn(&View<'_>) -> Result<Vec<(Gtin, u64)>, StoreError> + Clone + Send + 'static,
    tell: tokio::sync::watch::Sender<BTreeMap<Gtin, u64>>,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) {
    let mut every = tokio::time::interval(how_often);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|s| *s) => return,
            _ = every.tick() => {}
        }
        let (data, look_at) = (data.clone(), look_at.clone());
        let look = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&data)?;
            let found = look_at(&reader.view()?)?;
            Ok::<_, StoreError>(found.into_iter().collect())
        });
        match look.await {
            Ok(Ok(found)) => drop(tell.send_replace(found)),
            Ok(Err(e)) => tracing::warn!(error = chain(&e), "the levels of the pools cannot be read"),
            Err(e) => tracing::warn!(error = %e, "the levels of the pools cannot be read"),
        }
    }
}
