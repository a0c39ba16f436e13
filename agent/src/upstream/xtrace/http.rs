//! One exchange with upstream, bounded in time and size.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Proxy, redirect};
use tamga_domain::upstream::request::Request;

use super::exchange::{Heard, Outcome, Ready, ready, understood};
use super::write::{Named, Written};
use super::{Layouts, Setup};
use crate::chain::chain;

/// A block of 150 000 codes takes some 10 MB.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const BODY_BYTES_MAX: usize = 1 << 20;
const WHY_CHARS_MAX: usize = 300;
/// Below the idle time of common balancers, so that a request does not meet a closing connection.
const IDLE: Duration = Duration::from_secs(20);

/// The way to upstream could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the file {path} cannot be read")]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("the certificates of {path} are not readable as PEM")]
    Certificates { path: std::path::PathBuf, source: reqwest::Error },
    #[error("the proxy is not usable")]
    Proxy(#[source] reqwest::Error),
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// A client of upstream.
pub struct Xtrace {
    setup: Setup,
    layouts: Layouts,
    client: Client,
}

impl Xtrace {
    pub fn new(setup: Setup, layouts: Layouts) -> Result<Xtrace, SetupError> {
        // Whoever was first installed the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(setup.connect_timeout)
            .timeout(setup.request_timeout)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            // Whether something is sent again is decided by the step alone.
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("tamga/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &setup.ca_file {
            let pem = read_file(path)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|source| SetupError::Certificates { path: path.clone(), source })?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = &setup.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(SetupError::Proxy)?);
        }
        read_file(&setup.key_file)?;
        let client = builder.build().map_err(SetupError::Client)?;
        Ok(Xtrace { setup, layouts, client })
    }

    /// Sends one request and reads its answer. `named`: what it names, out of the books.
    pub async fn ask(&self, request: &Request, named: &Named) -> Outcome {
        let written = match ready(&self.setup, &self.layouts, request, named) {
            Ready::Send(written) => written,
            Ready::Done(outcome) => return outcome,
        };
        let key = match read_file(&self.setup.key_file) {
            Ok(key) => String::from_utf8_lossy(&key).trim().to_string(),
            Err(e) => return Outcome::Lost { sent: false, why: e.to_string() },
        };
        self.exchange(request, &written, &key).await
    }

    async fn exchange(&self, request: &Request, written: &Written, key: &str) -> Outcome {
        let url = format!("{}{}", self.setup.base, written.path);
        let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {key}")) else {
            return Outcome::Lost {
                sent: false,
                why: "the key file has characters no header may have".into(),
            };
        };
        bearer.set_sensitive(true);
        let builder = if written.post { self.client.post(url) } else { self.client.get(url) };
        let mut builder = builder.query(&written.query).header(ACCEPT, "*/*").header(AUTHORIZATION, bearer);
        if let Some(body) = &written.body {
            builder = builder.json(body);
        }
        let response = match builder.send().await {
            Ok(response) => response,
            Err(e) => {
                let sent = !(e.is_connect() || e.is_builder());
                return Outcome::Lost { sent, why: why(&e.without_url()) };
            }
        };
        let text = |headers: &HeaderMap, name: HeaderName| {
            headers.get(name).and_then(|v| v.to_str().ok()).map(|text| text.trim().to_owned())
        };
        let status = response.status().as_u16();
        let (retry_after, date) = (text(response.headers(), RETRY_AFTER), text(response.headers(), DATE));
        let limit = match request {
            Request::Block { .. } | Request::DocumentBody { .. } | Request::Pieces { .. } => BLOCK_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        };
        let body = bounded(response, limit).await;
        understood(request, written, key, Heard { status, retry_after, date, body })
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File { path: path.to_path_buf(), source })
}

async fn bounded(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(format!("an answer above {limit} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(e) => return Err(why(&e.without_url())),
        }
    }
}

/// Why there is no answer, in a line that is not too long.
fn why(error: &reqwest::Error) -> String {
    chain(error).chars().take(WHY_CHARS_MAX).collect()
}
