//! What is around the bytes of an exchange: whether a request need be sent at all, and what its answer says. Pure.

use std::time::Duration;

use tamga_domain::upstream::request::{Answered, Reply, ReportStatus, Request};

use super::mask::masked;
use super::moments::of_http;
use super::read::read;
use super::write::{Named, WriteError, Written, write};
use super::{Layouts, Setup};

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

/// A request before it leaves.
pub enum Ready {
    Send(Written),
    /// It need not, or cannot.
    Done(Outcome),
}

/// What came back: at least a status.
pub struct Heard {
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The header `Date`.
    pub date: Option<String>,
    /// The whole body, or why there is none.
    pub body: Result<Vec<u8>, String>,
}

/// Writes a request. `named`: what it names, out of the books.
pub fn ready(setup: &Setup, layouts: &Layouts, request: &Request, named: &Named) -> Ready {
    let written = match write(setup, layouts, request, named) {
        Ok(written) => written,
        // Nothing to report is an answer of its own; nothing is left to be asked.
        Err(WriteError::Codes) => return Ready::Done(nothing_to_report()),
        Err(e) => return Ready::Done(Outcome::Lost { sent: false, why: e.to_string() }),
    };
    match request {
        Request::Codes { .. } if written.asked.is_empty() => {
            Ready::Done(local(Reply::Codes { seen: Vec::new(), applied_by: None }))
        }
        _ => Ready::Send(written),
    }
}

/// What an answer says. `key` is masked in what is kept of it.
pub fn understood(request: &Request, written: &Written, key: &str, heard: Heard) -> Outcome {
    let (status, retry_after, server) = (heard.status, heard.retry_after, heard.date);
    let (said, kept) = match heard.body {
        // A status without its body is no answer, unless the status alone says that nothing was done.
        Err(why) if (200..300).contains(&status) || status >= 500 => {
            return Outcome::Lost { sent: true, why };
        }
        Err(why) => (read(request, written, status, why.as_bytes()), None),
        Ok(body) => {
            let said = read(request, written, status, &body);
            let bad = matches!(
                said,
                Reply::Refused { .. }
                    | Reply::ReportRefused { .. }
                    | Reply::Report { status: ReportStatus::Error, .. }
                    | Reply::DocumentErrors { .. }
                    | Reply::NotNow { .. }
                    | Reply::Failed { .. }
            );
            (said, bad.then(|| masked(&body, key)))
        }
    };
    let server = server.as_deref().and_then(of_http);
    let retry_after = retry_after.and_then(|text| pause(&text, server));
    Outcome::Answered(Answered { status, retry_after, server, said, kept })
}

fn local(said: Reply) -> Outcome {
    Outcome::Answered(Answered { status: 0, retry_after: None, server: None, said, kept: None })
}

fn nothing_to_report() -> Outcome {
    local(Reply::Refused { reason: "no code of it is to be reported any more".into() })
}

/// `Retry-After`: seconds, or a date by the server's clock.
fn pause(text: &str, server: Option<tamga_domain::time::Wall>) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let ms = of_http(text)?.0.saturating_sub(server?.0);
            Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::words;
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let server = of_http("Thu, 30 Jan 2025 11:02:02 GMT");
        assert_eq!(pause("30", server), Some(Duration::from_secs(30)));
        assert_eq!(pause("Thu, 30 Jan 2025 11:03:02 GMT", server), Some(Duration::from_secs(60)));
        assert_eq!(pause("Thu, 30 Jan 2025 11:03:02 GMT", None), None);
        assert_eq!(pause("soon", server), None);
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
