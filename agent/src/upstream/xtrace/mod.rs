//! Generation xTrace (Uzbekistan, Kazakhstan): requests into bytes, answers into facts.
//!
//! Decides nothing and repeats nothing: pacing, retries and the settling of unknowns are the step's. What it does
//! decide is whether a request may have left this computer, and whether an answer can be believed.
//!
//! - [`write`]: a request as method, path, query and body
//! - [`exchange`]: whether it need be sent, and what an answer says
//! - [`http`]: one exchange, bounded in time and size
//! - [`read`]: an answer as facts
//! - [`documents`]: documents of packs, both ways
//! - [`issued`]: the codes of a block's body
//! - [`moments`]: dates both ways
//! - [`mask`]: what must not be kept of a body

pub mod documents;
pub mod exchange;
pub mod http;
pub mod issued;
mod mask;
mod moments;
mod read;
pub mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tamga_domain::layout::Layout;
use tamga_domain::upstream::config::Parse;
use tamga_domain::upstream::unpack::read_issued;

/// The layout of codes by product group.
pub type Layouts = Arc<BTreeMap<String, Layout>>;

/// How upstream is reached.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Such as `https://xtrace.aslbelgisi.uz`, without a slash at the end.
    pub base: String,
    /// A file with the API key alone. Read for every request, so that a new key needs no restart; never logged.
    pub key_file: PathBuf,
    /// More certificates to trust, PEM, such as a national CA.
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<String>,
    pub connect_timeout: Duration,
    /// Of a whole exchange. Answers after 113 s were seen.
    pub request_timeout: Duration,
    /// What orders say of payment; `None` leaves the field out.
    pub is_paid: Option<bool>,
}

impl Setup {
    pub fn new(base: impl Into<String>, key_file: impl Into<PathBuf>) -> Setup {
        Setup {
            base: base.into(),
            key_file: key_file.into(),
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(150),
            is_paid: Some(true),
        }
    }
}

/// How the step reads a code as upstream issued it.
pub fn parse_with(layouts: Layouts) -> Parse {
    Box::new(move |group, raw| match layouts.get(group) {
        Some(layout) => read_issued(layout, raw),
        None => Err(format!("no layout for the product group {group}")),
    })
}
