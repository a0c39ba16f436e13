//! A list of pre-printed codes on its way into the stock: read as it comes, taken in slices, told as it goes.
//!
//! A list is one code a line, as bytes; empty lines count as lines and are passed over. Each slice is a commit of its
//! own, so no list however long holds the writer; a list that breaks off keeps what was taken, and sending it again
//! takes nothing twice. The answer is a line of JSON after each slice and one at the end.
//!
//! Nothing is spawned: the answer's body drives the import while it is read, and stops with its reader.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::door::By;
use super::error::ApiError;
use super::text::word;
use super::{App, dto, scan, shape};
use crate::desk::{AuditEntry, IMPORT_SLICE, ImportSlice};
use crate::words::Language;

/// Largest list: over a million codes.
pub const LIST_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Lines of progress that wait for a slow reader.
const PROGRESS_WAITING_MAX: usize = 4;
const ROLL_CHARS_MAX: usize = 64;

pub async fn import(
    State(app): State<App>,
    Query(asked): Query<BTreeMap<String, String>>,
    Extension(by): Extension<By>,
    Extension(language): Extension<Language>,
    body: Body,
) -> Result<Response, ApiError> {
    let roll = asked_for(&asked, "roll")?;
    let group = asked_for(&asked, "group")?;
    by.note(format!("begins roll={roll} group={group}"));
    let (tell, told) = mpsc::channel(PROGRESS_WAITING_MAX);
    let list = List { app, by, language, roll, group, tell, body, sum: dto::ImportProgress::default() };
    let telling = Telling { import: Some(Box::pin(list.take_all())), told };
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(telling)).into_response())
}

fn asked_for(asked: &BTreeMap<String, String>, field: &str) -> Result<String, ApiError> {
    let text = asked.get(field).map(|text| text.trim()).unwrap_or_default();
    let fits =
        !text.is_empty() && text.chars().count() <= ROLL_CHARS_MAX && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| ApiError::field(field, "http.bad_field").with("value", text))
}

/// One import under way.
struct List {
    app: App,
    by: By,
    language: Language,
    roll: String,
    group: String,
    tell: mpsc::Sender<Bytes>,
    body: Body,
    sum: dto::ImportProgress,
}

impl List {
    async fn take_all(mut self) {
        let failure = self.take_slices().await.err();
        self.sum.done = true;
        let outcome = match &failure {
            Some(error) => format!("{} taken={} refused={}", error.key, self.sum.taken, self.sum.refused),
            None => format!("200 taken={} refused={}", self.sum.taken, self.sum.refused),
        };
        self.sum.failure = failure.map(|error| dto::Failure {
            text: word(self.language, "refuse", &error.key, &error.args),
            error: error.key,
            args: error.args.into_iter().collect(),
        });
        let command = format!("import ends roll={} group={}", self.roll, self.group);
        let who = self.by.who.clone();
        self.app.audit(AuditEntry { who: who.name, from: who.from, command, outcome }).await;
        self.tell_sum().await;
    }

    /// Cuts the body into lines as it arrives and takes each full slice.
    async fn take_slices(&mut self) -> Result<(), ApiError> {
        let mut rest: Vec<u8> = Vec::new();
        let mut slice: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        loop {
            let chunk = self.chunk().await?;
            let last = chunk.is_none();
            bytes += chunk.as_ref().map_or(0, Bytes::len);
            if bytes > LIST_BYTES_MAX {
                return Err(ApiError::of_status(axum::http::StatusCode::PAYLOAD_TOO_LARGE));
            }
            rest.extend_from_slice(chunk.as_deref().unwrap_or_default());
            let mut from = 0;
            while let Some(end) = line_end(&rest[from..], last) {
                self.sum.lines += 1;
                let line = &rest[from..from + end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    slice.push((self.sum.lines, line.to_vec()));
                }
                from = (from + end + 1).min(rest.len());
                if slice.len() == IMPORT_SLICE {
                    self.take(std::mem::take(&mut slice)).await?;
                }
            }
            rest.drain(..from);
            if rest.len() > scan::SCAN_BYTES_MAX {
                let line = self.sum.lines + 1;
                return Err(ApiError::field("body", "http.long_line").with("line", line));
            }
            if last {
                break;
            }
        }
        self.take(slice).await
    }

    async fn take(&mut self, codes: Vec<(u64, Vec<u8>)>) -> Result<(), ApiError> {
        if codes.is_empty() {
            return Ok(());
        }
        let slice = ImportSlice { roll: self.roll.clone(), group: self.group.clone(), codes };
        let imported = self.app.records(move |records| records.import(&slice)).await?;
        self.sum.taken += u64::from(imported.taken);
        self.sum.refused += imported.refused.len() as u64;
        self.sum.refusals =
            imported.refused.iter().map(|refused| shape::refused_code(refused, self.language)).collect();
        self.tell_sum().await;
        self.sum.refusals.clear();
        Ok(())
    }

    /// A reader that went away is no failure of the import's own: its end comes with the body's.
    async fn tell_sum(&mut self) {
        if let Ok(mut line) = serde_json::to_vec(&self.sum) {
            line.push(b'\n');
            let _ = self.tell.send(line.into()).await;
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let broken = |_| ApiError::field("body", "http.broken_off");
            match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                None => return Ok(None),
                Some(frame) => match frame.map_err(broken)?.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                },
            }
        }
    }
}

/// Where the first line of `bytes` ends; at the end of the bytes when no more will come.
fn line_end(bytes: &[u8], last: bool) -> Option<usize> {
    let end = bytes.iter().position(|b| *b == b'\n');
    end.or((last && !bytes.is_empty()).then_some(bytes.len()))
}

/// The body of the answer: drives the import, gives out what it tells.
struct Telling {
    import: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    told: mpsc::Receiver<Bytes>,
}

impl HttpBody for Telling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if let Some(import) = &mut self.import
            && import.as_mut().poll(cx).is_ready()
        {
            self.import = None;
        }
        self.told.poll_recv(cx).map(|line| line.map(|line| Ok(http_body::Frame::data(line))))
    }
}
