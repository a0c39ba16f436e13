//! The wiring of the broker.

use std::path::Path;
use std::time::Duration;

use tamga_domain::ids::AgentId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::WINDOW_PAUSE;
use crate::broker::link::Access;
use crate::broker::{self, Setup};
use crate::chain::chain;
use crate::clock;
use crate::config::Config;
use crate::desk::BrokerStatus;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::writer::Handle;

/// A plant's network answers within milliseconds.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Begins or ends the stream of our packs, as the configuration has it. Not of a database of which nobody knows whether it
/// is an older one: what it would tell may be another's.
pub(super) fn share(store: &mut Store, config: &Config, settled: bool) -> Result<(), StoreError> {
    if !settled {
        return Ok(());
    }
    store.share(config.broker.as_ref().is_some_and(|broker| broker.share), clock::wall())
}

/// Starts the task, where a broker is configured.
pub(super) fn start(
    config: &Config,
    agent: &str,
    writer: &Handle,
    bug: mpsc::Sender<String>,
    stopped: &watch::Receiver<bool>,
    windows: &mut JoinSet<()>,
) -> Option<watch::Receiver<BrokerStatus>> {
    let broker = config.broker.clone()?;
    let agent = AgentId::parse(agent)?;
    let (status, seen) = watch::channel(BrokerStatus::default());
    let (data, writer, mut stopped) = (config.agent.data.clone(), writer.clone(), stopped.clone());
    windows.spawn(async move {
        loop {
            let login =
                broker.login.as_ref().map(|(user, file)| Ok((user.clone(), secret(file)?))).transpose();
            let login = login.unwrap_or_else(|error: std::io::Error| {
                tracing::error!(%error, "the password of the broker cannot be read");
                None
            });
            let access = Access {
                address: broker.address.clone(),
                client_id: format!("tamga-{agent}"),
                login,
                keep_alive: KEEP_ALIVE,
            };
            // Who names itself would hear its own packs as another's.
            let from = broker.from.iter().copied().filter(|other| *other != agent).collect();
            let setup = Setup { access, agent, data: data.clone(), share: broker.share, from };
            match broker::run(setup, &writer, status.clone(), stopped.clone()).await {
                Ok(()) => return,
                Err(error) if error.is_bug() => {
                    drop(bug.send(chain(&error)).await);
                    return;
                }
                // After a failed write the process ends; a look that failed is tried again.
                Err(error) => tracing::error!(error = chain(&error), "the way to the broker ends"),
            }
            if tokio::time::timeout(WINDOW_PAUSE, stopped.wait_for(|s| *s)).await.is_ok() {
                return;
            }
        }
    });
    Some(seen)
}

fn secret(file: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}
