//! Interim wiring: only the web server with an empty desk. The integrator replaces this file.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock;
use crate::config::Config;
use crate::desk::{
    Agent, AuditEntry, Desk, Finding, ImportSlice, Imported, OpenReport, PoolLevel, Records, RecordsError,
    RunRow, Sheet, Story, Trace, TraceLevel, UpstreamStatus,
};
use crate::web::token::Token;
use crate::web::{self, Door};
use tamga_domain::ids::RunId;

/// Runs the daemon of a configuration until SIGINT.
///
/// # Errors
/// When the configuration has problems or the API cannot listen.
pub fn serve(config: &Path) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    std::fs::create_dir_all(&config.agent.data)?;
    let token = Token::load_or_make(&config.agent.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(config.api.listen).await?;
        let desk = Desk {
            agent: Agent { id: "unwired".to_owned(), started: clock::wall() },
            lines: Vec::new(),
            products: Vec::new(),
            upstream: watch::channel(UpstreamStatus::default()).1,
            records: Arc::new(NoRecords),
        };
        let stop = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        web::serve(desk, Door { listener, token, hosts: Vec::new() }, stop).await?;
        Ok(())
    })
}

struct NoRecords;

fn unwired<T>() -> Result<T, RecordsError> {
    Err(RecordsError::Failed("not wired".to_owned()))
}

impl Records for NoRecords {
    fn story(&self, _: &[u8]) -> Result<Option<Story>, RecordsError> {
        unwired()
    }
    fn runs(&self, _: Option<RunId>, _: u32) -> Result<Vec<RunRow>, RecordsError> {
        unwired()
    }
    fn sheet(&self, _: RunId) -> Result<Option<Sheet>, RecordsError> {
        unwired()
    }
    fn pool(&self) -> Result<Vec<PoolLevel>, RecordsError> {
        unwired()
    }
    fn outbox(&self, _: u32) -> Result<Vec<OpenReport>, RecordsError> {
        unwired()
    }
    fn doctor(&self) -> Result<Vec<Finding>, RecordsError> {
        unwired()
    }
    fn import(&self, _: &ImportSlice) -> Result<Imported, RecordsError> {
        unwired()
    }
    fn audit(&self, _: AuditEntry) -> Result<(), RecordsError> {
        unwired()
    }
    fn trace(&self, _: &str, _: u32) -> Result<Option<Trace>, RecordsError> {
        unwired()
    }
    fn set_trace(&self, _: &str, _: TraceLevel) -> Result<bool, RecordsError> {
        unwired()
    }
}
