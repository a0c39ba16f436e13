//! Interim wiring: the store, its records and the web server, without a line. The integrator replaces this file.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock;
use crate::config::Config;
use crate::desk::{Agent, Desk, Product, UpstreamStatus};
use crate::records::StoreRecords;
use crate::store::{Store, writer};
use crate::web::token::Token;
use crate::web::{self, Door};

/// Runs the daemon of a configuration until SIGINT.
///
/// # Errors
/// When the configuration has problems, the database cannot be opened or the API cannot listen.
pub fn serve(config: &Path) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    let token = Token::load_or_make(&config.agent.data)?;
    let store = Store::open(&config.agent.data, &format!("{:016x}", fastrand::u64(..)))?;
    let id = store.agent_id().to_owned();
    let (writer, thread) = writer::spawn(store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(config.api.listen).await?;
        let records = StoreRecords::new(&config, writer, tokio::runtime::Handle::current());
        let product = |p: &crate::config::product::Product| Product {
            gtin: p.gtin,
            group: p.group.to_string(),
            name: p.name.clone(),
        };
        let desk = Desk {
            agent: Agent { id, started: clock::wall() },
            lines: Vec::new(),
            products: config.products.iter().map(product).collect(),
            devices: Vec::new(),
            upstream: watch::channel(UpstreamStatus::default()).1,
            records: Arc::new(records),
        };
        let stop = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        web::serve(desk, Door { listener, token, hosts: Vec::new() }, stop).await?;
        Ok::<(), Box<dyn Error>>(())
    })?;
    drop(runtime);
    let _ = thread.join();
    Ok(())
}
