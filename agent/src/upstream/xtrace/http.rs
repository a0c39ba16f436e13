//! One exchange with upstream, bounded in time and size.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Proxy, redirect};
use tamga_domain::code::Code;
use tamga_domain::ids::PassNo;
use tamga_domain::upstream::request::{Answered, Reply, ReportStatus, Request};

use super::mask::masked;
use super::moments::of_http;
use super::read::read;
use super::write::{WriteError, Written, write};
use super::{Layouts, Setup};

/// A block of 150 000 codes takes some 10 MB.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const BODY_BYTES_MAX: usize = 1 << 20;
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

/// What became of a request.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Answered(Answered),
    /// No answer. `sent` is false only when certainly nothing left.
    Lost {
        sent: bool,
        why: String,
    },
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

    /// Sends one request and reads its answer. `codes` are those of the passes that it names.
    pub async fn ask(&self, request: &Request, codes: &[(PassNo, Code)]) -> Outcome {
        let written = match write(&self.setup, &self.layouts, request, codes) {
            Ok(written) => written,
            // Nothing to report is an answer of its own; nothing is left to be asked.
            Err(WriteError::Codes) => return nothing_to_report(),
            Err(e) => return Outcome::Lost { sent: false, why: e.to_string() },
        };
        if let Request::Codes { .. } = request
            && written.asked.is_empty()
        {
            return local(Reply::Codes { seen: Vec::new(), applied_by: None });
        }
        let key = match read_file(&self.setup.key_file) {
            Ok(key) => String::from_utf8_lossy(&key).trim().to_string(),
            Err(e) => return Outcome::Lost { sent: false, why: e.to_string() },
        };
        self.exchange(request, written, &key).await
    }

    async fn exchange(&self, request: &Request, written: Written, key: &str) -> Outcome {
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
                return Outcome::Lost { sent, why: chain(&e.without_url()) };
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let limit = if matches!(request, Request::Block { .. }) { BLOCK_BYTES_MAX } else { BODY_BYTES_MAX };
        let (said, kept) = match bounded(response, limit).await {
            // A status without its body is no answer, unless the status alone says that nothing was done.
            Err(why) if (200..300).contains(&status) || status >= 500 => {
                return Outcome::Lost { sent: true, why };
            }
            Err(why) => (read(request, &written.asked, status, why.as_bytes()), None),
            Ok(body) => {
                let said = read(request, &written.asked, status, &body);
                let bad = matches!(
                    said,
                    Reply::Refused { .. }
                        | Reply::ReportRefused { .. }
                        | Reply::Report { status: ReportStatus::Error, .. }
                        | Reply::NotNow { .. }
                        | Reply::Failed { .. }
                );
                (said, bad.then(|| masked(&body, key)))
            }
        };
        let (retry_after, server) = of_headers(&headers);
        Outcome::Answered(Answered { status, retry_after, server, said, kept })
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File { path: path.to_path_buf(), source })
}

fn local(said: Reply) -> Outcome {
    Outcome::Answered(Answered { status: 0, retry_after: None, server: None, said, kept: None })
}

fn nothing_to_report() -> Outcome {
    local(Reply::Refused { reason: "no code of it is to be reported any more".into() })
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
            Err(e) => return Err(chain(&e.without_url())),
        }
    }
}

/// `Retry-After` in seconds or as a date, and the server's clock.
fn of_headers(headers: &HeaderMap) -> (Option<Duration>, Option<tamga_domain::time::Wall>) {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::trim);
    let server = text(DATE).and_then(of_http);
    let retry_after = text(RETRY_AFTER).and_then(|value| match value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let ms = of_http(value)?.0.saturating_sub(server?.0);
            Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
        }
    });
    (retry_after, server)
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::super::read::words;
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("Thu, 30 Jan 2025 11:02:02 GMT"));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        assert_eq!(of_headers(&headers).0, Some(Duration::from_secs(30)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Thu, 30 Jan 2025 11:03:02 GMT"));
        assert_eq!(of_headers(&headers).0, Some(Duration::from_secs(60)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        assert_eq!(of_headers(&headers).0, None);
    }

    #[test]
    fn error_bodies_of_all_kinds_have_words() {
        for (body, want) in [
            (r#"[{"code":"user-incorrect-login-or-password"}]"#, "user-incorrect-login-or-password"),
            (
                r#"[{"code":"invalid-input-parameter","context":{"parameter":"gtin"}}]"#,
                r#"invalid-input-parameter {"parameter":"gtin"}"#,
            ),
            (r#"{"code":"x","context":{"_cause":"inactive-token"}}"#, r#"x {"_cause":"inactive-token"}"#),
            ("<html>oh</html>", "not JSON, 15 bytes: <html>oh</html>"),
            ("", "no words"),
            (r#"{"status":500}"#, r#"{"status":500}"#),
        ] {
            assert_eq!(words(body.as_bytes()), want);
        }
    }
}
