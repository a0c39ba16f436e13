//! What the small binaries share: run a plant until Ctrl-C, then say what happened.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::{Ports, ServeError, spawn};
use crate::fault::{FaultError, FaultKind, FaultPlan};
use crate::model::plant::PlantConfig;
use crate::model::truth;

/// Arguments that every binary has.
#[derive(Debug, clap::Args)]
pub struct Shared {
    /// Seed of everything random: the same seed gives the same day
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What goes wrong: `none`, `default`, `rough`, then kinds, as in `default,ribbon-out,no-read=0.05`
    #[arg(long, default_value = "none", value_parser = FaultPlan::parse)]
    pub faults: FaultPlan,
    /// HTTP control window: GET / there names what it can do
    #[arg(long, value_name = "ADDR")]
    pub control: Option<SocketAddr>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("cannot read the codes in {path}")]
    ReadCodes {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is no JSON list of strings with GS as \\u001d")]
    ParseCodes {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("code {number} in {path} has a character that is no byte")]
    NotBytes { path: PathBuf, number: usize },
    #[error("cannot wait for Ctrl-C")]
    Signal(#[source] std::io::Error),
}

/// Reads a JSON list of element strings.
pub fn codes(path: &Path) -> Result<Vec<Vec<u8>>, RunError> {
    let path = path.to_owned();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| RunError::ReadCodes { path: path.clone(), source })?;
    let list: Vec<String> =
        serde_json::from_str(&text).map_err(|source| RunError::ParseCodes { path: path.clone(), source })?;
    let one = |(at, code): (usize, &String)| {
        truth::bytes(code).ok_or_else(|| RunError::NotBytes { path: path.clone(), number: at + 1 })
    };
    list.iter().enumerate().map(one).collect()
}

/// Runs until Ctrl-C. Prints the addresses as one line of JSON at the start and the summary at the end.
pub async fn until_interrupted(config: PlantConfig, faults: FaultPlan, ports: Ports) -> Result<(), RunError> {
    let handle = spawn(config, faults, ports).await?;
    let addresses = json!({
        "printer": handle.printer_addr(),
        "reader": handle.reader_addr(),
        "gate": handle.gate_addr(),
        "control": handle.control_addr(),
    });
    println!("{addresses}");
    tokio::signal::ctrl_c().await.map_err(RunError::Signal)?;
    let struck: Vec<_> = handle.faults().into_iter().filter(|f| f.struck > 0).collect();
    println!("{}", json!({ "summary": handle.summary(), "faults": struck }));
    handle.shutdown().await;
    Ok(())
}

/// Starts logging to stderr (`RUST_LOG`), runs, and prints the chain of an error once.
pub fn main(run: impl Future<Output = Result<(), RunError>>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Err(error) = runtime.block_on(run) else { return ExitCode::SUCCESS };
    let mut cause: Option<&dyn Error> = Some(&error);
    let mut chain = Vec::new();
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    eprintln!("error: {}", chain.join(": "));
    ExitCode::FAILURE
}

/// Text that names every fault, for `--help`.
pub fn fault_help() -> String {
    let line = |kind: &FaultKind| format!("  {:<20}{}\n", kind.name(), kind.what());
    format!("Faults:\n{}", FaultKind::ALL.iter().map(line).collect::<String>())
}
