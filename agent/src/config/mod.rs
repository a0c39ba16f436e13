//! Interim; the real one comes with the merge of h7.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::words::Language;

pub struct Config {
    pub api: Api,
    pub agent: Agent,
    pub log: Log,
    pub warnings: Problems,
    pub lines: Vec<()>,
    pub products: Vec<()>,
}
pub struct Api {
    pub listen: SocketAddr,
    pub token_file: PathBuf,
}
pub struct Agent {
    pub data: PathBuf,
    pub language: Language,
}
#[derive(Debug, Default)]
pub struct Problems;
impl Problems {
    pub fn is_empty(&self) -> bool {
        true
    }
    pub fn render(&self, _: Language) -> String {
        String::new()
    }
    pub fn json(&self, _: Language) -> serde_json::Value {
        serde_json::Value::Null
    }
}
impl Config {
    pub fn load(_: &Path) -> Result<Config, Problems> {
        Err(Problems)
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl std::error::Error for Problems {}
pub struct Log {
    pub level: Level,
    pub json: bool,
}
pub struct Level;
impl Level {
    pub fn key(&self) -> &'static str {
        "info"
    }
}
