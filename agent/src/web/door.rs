//! The door of the API: who may come in, in which language, and what is written down of it.
//!
//! Order: language, `Host` (a page of another site that got its name bound to 127.0.0.1 is turned away; no page comes
//! over a Unix socket), token or the kernel's word, then for what changes something a name, and an entry in the audit
//! log with the outcome. Nothing here knows a line.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::socket::{Peer, user_name};
use super::text::word;
use super::{App, dto};
use crate::desk::{AuditEntry, Who};
use crate::words::Language;

/// The header that names the person (or the program) who asks.
pub const WHO: &str = "x-tamga-who";
/// Longest name; it goes into every record of the command.
const WHO_CHARS_MAX: usize = 64;
/// Longest note in the audit log.
const NOTE_CHARS_MAX: usize = 400;

/// Who asks for a change, and a place for the handler's words of what was asked.
#[derive(Clone)]
pub struct By {
    pub who: Who,
    note: Arc<OnceLock<String>>,
}

impl By {
    /// Says for the audit log what was asked. The first note stays.
    pub fn note(&self, note: impl Into<String>) {
        let note: String = note.into();
        let _ = self.note.set(note.chars().take(NOTE_CHARS_MAX).collect());
    }
}

/// Stands before every path, the unknown ones included.
pub async fn door(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let language = language_of(request.headers());
    request.extensions_mut().insert(language);
    let response = match may_enter(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    in_words(response, language)
}

fn may_enter(app: &App, request: &Request) -> Result<(), ApiError> {
    let peer = peer_of(request);
    if !matches!(peer, Some(Peer::Local { .. })) {
        host_fits(app, request)?;
    }
    if super::is_open(request.uri().path()) || is_guest(app, peer) {
        return Ok(());
    }
    let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    match given.strip_prefix(b"Bearer ") {
        Some(token) if app.token.is(token.trim_ascii()) => Ok(()),
        _ => {
            let from = from_of(peer);
            tracing::warn!(method = %request.method(), path = request.uri().path(), from, "a request without the token");
            Err(match peer {
                Some(Peer::Local { uid: Some(uid), .. }) => {
                    ApiError::new(StatusCode::UNAUTHORIZED, "http.no_guest").with("user", user_name(*uid))
                }
                Some(Peer::Local { uid: None, .. } | Peer::Network(_)) | None => {
                    ApiError::new(StatusCode::UNAUTHORIZED, "http.token")
                }
            })
        }
    }
}

fn peer_of(request: &Request) -> Option<&Peer> {
    request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer)
}

/// Whether the kernel's word for who is there is enough.
fn is_guest(app: &App, peer: Option<&Peer>) -> bool {
    match (peer, app.guests) {
        (Some(Peer::Local { uid: Some(uid), groups }), Some(guests)) => guests.admit(*uid, groups),
        _ => false,
    }
}

fn host_fits(app: &App, request: &Request) -> Result<(), ApiError> {
    let host = request.uri().authority().map(|a| a.as_str().as_bytes());
    let host = host.or_else(|| request.headers().get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
    if !host_is_ours(host, &app.hosts) {
        let host = String::from_utf8_lossy(host).into_owned();
        tracing::warn!(host, "a request for another host was turned away");
        return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "http.host").with("host", host));
    }
    Ok(())
}

/// Stands before each path that changes something: takes the name, and writes down what came of it.
pub async fn change(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = peer_of(&request);
    let who = match name_of(request.headers(), peer) {
        Ok(name) => Who { name, from: from_of(peer) },
        Err(error) => return error.into_response(),
    };
    let by = By { who, note: Arc::default() };
    let command = format!("{} {}", request.method(), request.uri().path());
    request.extensions_mut().insert(by.clone());
    // A task of its own: who hangs up ends neither the command nor what is written down of it.
    let done = tokio::spawn(async move {
        let response = next.run(request).await;
        let outcome = match response.extensions().get::<ApiError>() {
            Some(error) => format!("{} {}", error.status.as_u16(), error.key),
            None => response.status().as_u16().to_string(),
        };
        let command = match by.note.get() {
            Some(note) => format!("{command} {note}"),
            None => command,
        };
        app.audit(AuditEntry { who: by.who.name, from: by.who.from, command, outcome }).await;
        response
    });
    match done.await {
        Ok(response) => response,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => ApiError::of_status(StatusCode::SERVICE_UNAVAILABLE).into_response(),
    }
}

/// Headers of every answer: nothing of it is kept by a cache or guessed at by a browser.
pub async fn quiet_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The name in [`WHO`]: bytes of UTF-8, since people have names in many scripts. On the socket a user of this computer
/// who gives none is named by the system.
fn name_of(headers: &HeaderMap, peer: Option<&Peer>) -> Result<String, ApiError> {
    let missing = || ApiError::new(StatusCode::BAD_REQUEST, "http.who");
    let value = match (headers.get(WHO), peer) {
        (Some(value), _) => value,
        (None, Some(Peer::Local { uid: Some(uid), .. })) => return Ok(format!("unix:{}", user_name(*uid))),
        (None, _) => return Err(missing()),
    };
    let name = std::str::from_utf8(value.as_bytes()).map_err(|_| missing())?.trim();
    if name.is_empty() || name.chars().count() > WHO_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(missing());
    }
    Ok(name.to_owned())
}

/// For the audit log: an address, `local` for loopback, or the socket with the user by the kernel's word.
fn from_of(peer: Option<&Peer>) -> String {
    match peer {
        Some(Peer::Network(address)) if !address.ip().is_loopback() => address.ip().to_string(),
        Some(Peer::Network(_)) | None => "local".to_owned(),
        Some(Peer::Local { uid: Some(uid), .. }) => format!("unix socket, uid {uid}"),
        Some(Peer::Local { uid: None, .. }) => "unix socket".to_owned(),
    }
}

/// Whether a `Host` value, with or without a port, is one of this computer's names for the API.
fn host_is_ours(host: &[u8], hosts: &[String]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, _)) => address,
            None => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    // No page can make a name of its own of an address.
    let loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost") || hosts.iter().any(|h| name.eq_ignore_ascii_case(h))
}

/// The first language of `Accept-Language` by its weight that the agent speaks; English when there is none, since
/// then a program is asking.
fn language_of(headers: &HeaderMap) -> Language {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut best = (0.0_f32, Language::En);
    for part in wanted.split(',') {
        let (tag, weight) = match part.split_once(";q=") {
            Some((tag, q)) => (tag, q.trim().parse().unwrap_or(0.0)),
            None => (part, 1.0),
        };
        if let Some(language) = Language::parse(tag.trim())
            && weight > best.0
        {
            best = (weight, language);
        }
    }
    best.1
}

/// Gives every failure its body: key, arguments and a text.
fn in_words(response: Response, language: Language) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = response.extensions().get::<ApiError>().cloned();
    let has_body = response.headers().get("content-type").is_some_and(|t| t.as_bytes().ends_with(b"json"));
    let error = match error {
        Some(error) => error,
        None if has_body => return response,
        None => ApiError::of_status(status),
    };
    let body = dto::Failure {
        text: word(language, "refuse", &error.key, &error.args),
        error: error.key,
        args: error.args.into_iter().collect(),
    };
    let mut said = (status, axum::Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        said.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_computer_are_hosts() {
        let hosts = ["line3.plant.local".to_owned()];
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8600", true),
            ("localhost.", true),
            ("127.0.0.1:8600", true),
            ("127.100.3.4:8600", true),
            ("[::1]:8600", true),
            ("[::1]", true),
            ("line3.plant.local:8600", true),
            ("", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8600", false),
            ("[::1", false),
            ("10.0.0.7:8600", false),
        ] {
            assert_eq!(host_is_ours(host.as_bytes(), &hosts), expected, "{host}");
        }
    }

    #[test]
    fn the_language_is_the_callers_best() {
        for (wanted, expected) in [
            ("", Language::En),
            ("ru", Language::Ru),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Ru),
            ("uz, en;q=0.3, ru;q=0.7", Language::Ru),
            ("uz", Language::En),
            ("en;q=0.8, ru;q=0", Language::En),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(wanted).unwrap());
            assert_eq!(language_of(&headers), expected, "{wanted}");
        }
    }
}
