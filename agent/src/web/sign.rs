//! A person signs the closing sheet of a run: a dossier of all that happened is made and kept, and its head is written down
//! with who signed. First the file is on disk, then the signature; a file without one is no harm.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path as FilePath, PathBuf};

use axum::Extension;
use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tamga_domain::ids::RunId;
use tamga_domain::record::Record;

use super::door::By;
use super::dossier::{Dossier, Signing, count_of};
use super::dto::sheet::{Signed, SignedNow};
use super::error::{ApiError, Body};
use super::text::{line, stamp};
use super::{App, asks, stream};
use crate::clock;
use crate::desk::{Desk, Records};
use crate::dossier::Hash;
use crate::words::Language;

const REASON_CHARS_MAX: usize = 200;
/// How often the sheet is looked at anew when it changed while its dossier was made.
const TRIES: u32 = 3;
/// Bytes of a kept dossier in one piece of an answer.
const PIECE: usize = 64 * 1024;

type Asked = Query<std::collections::BTreeMap<String, String>>;

fn missing(run: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "http.no_run").with("run", run)
}

pub async fn sign(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(by): Extension<By>,
    Extension(language): Extension<Language>,
    Body(body): Body<asks::Sign>,
) -> Result<Json<SignedNow>, ApiError> {
    let id = RunId(run.parse().map_err(|_| missing(&run))?);
    let why = body.unsettled.unwrap_or_default();
    let bad = || ApiError::field("unsettled", "http.bad_field").with("value", &why);
    let why = if why.is_empty() { String::new() } else { line(&why, REASON_CHARS_MAX).ok_or_else(bad)? };
    if !why.is_empty() {
        by.note(format!("unsettled={why}"));
    }
    let signing = Signing { who: by.who.clone(), why };
    let desk = app.desk.clone();
    // Long, and on a thread that may block.
    let signed = tokio::task::spawn_blocking(move || sign_now(&desk, id, &signing, language)).await;
    let gone = |_| ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR);
    signed.map_err(gone)?.map(Json)
}

fn sign_now(desk: &Desk, run: RunId, signing: &Signing, language: Language) -> Result<SignedNow, ApiError> {
    let records = desk.records.as_ref();
    for _ in 0..TRIES {
        let sheet = records.sheet(run)?.ok_or_else(|| missing(&run.to_string()))?;
        let now = clock::wall();
        let mut dossier = Dossier::new(&sheet, desk, Some(signing.clone()), now, language);
        may_be_signed(&dossier, signing)?;
        let unwritten = |path: &FilePath, error: io::Error| {
            let why = error.to_string();
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            ApiError::new(status, "http.dossier_unwritten").with("path", path.display()).with("why", why)
        };
        let (path, part) = paths(&desk.dossiers, run, now.0).map_err(|e| unwritten(&desk.dossiers, e))?;
        let (lines, head) = write(&mut dossier, records, &part, &unwritten)?;
        // Reports and packs go on while it is made: what is signed is what was read before and is still so.
        let after = records.sheet(run)?.ok_or_else(|| missing(&run.to_string()))?;
        if dossier.listed != u64::from(sheet.codes.issued) || after != sheet {
            let _ = std::fs::remove_file(&part);
            continue;
        }
        std::fs::rename(&part, &path)
            .and_then(|()| File::open(&desk.dossiers)?.sync_all())
            .map_err(|error| unwritten(&path, error))?;
        let unresolved = u32::try_from(count_of(dossier.sheet())).unwrap_or(u32::MAX);
        let Signing { who, why } = signing.clone();
        records.signed_off(Record::SignedOff {
            run,
            who: who.name.clone(),
            from: who.from.clone(),
            why: why.clone(),
            unresolved,
            lines,
            head: head.0,
            at: now,
        })?;
        let (who, from, head) = (who.name, who.from, head.to_string());
        let signed = Signed { who, from, at: stamp(now), why, unsettled: unresolved, lines, head };
        return Ok(SignedNow { signed, path: path.display().to_string() });
    }
    Err(ApiError::new(StatusCode::CONFLICT, "http.sign_moved").with("run", run))
}

/// What bars a signature, the first thing of it; what does not bar it wants a reason.
fn may_be_signed(dossier: &Dossier, signing: &Signing) -> Result<(), ApiError> {
    let sheet = dossier.sheet();
    let refused = |key| ApiError::new(StatusCode::CONFLICT, key).with("run", sheet.run);
    let told = |key, open: &super::dto::sheet::Unsettled| {
        refused(key).with("what", &open.what.text).with("count", open.count).with("way", &open.way)
    };
    if let Some(open) = sheet.unsettled.iter().find(|open| open.bars) {
        return Err(told("http.sign_bars", open));
    }
    if !sheet.balanced {
        return Err(refused("http.sign_unbalanced"));
    }
    match sheet.unsettled.first() {
        Some(open) if signing.why.is_empty() => Err(told("http.sign_unsettled", open)),
        _ => Ok(()),
    }
}

/// Where a dossier is kept, and where it is written first.
fn paths(folder: &FilePath, run: RunId, now: i64) -> io::Result<(PathBuf, PathBuf)> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = format!("run-{run}-{now}");
    Ok((folder.join(format!("{name}.dossier")), folder.join(format!("{name}.part"))))
}

fn write(
    dossier: &mut Dossier,
    records: &dyn Records,
    part: &FilePath,
    unwritten: &dyn Fn(&FilePath, io::Error) -> ApiError,
) -> Result<(u64, Hash), ApiError> {
    let mut open = OpenOptions::new();
    let file = open.write(true).create(true).truncate(true).mode(0o600).open(part);
    let mut file = file.map_err(|error| unwritten(part, error))?;
    while let Some(bytes) = dossier.next(records)? {
        file.write_all(&bytes).map_err(|error| unwritten(part, error))?;
    }
    file.sync_all().map_err(|error| unwritten(part, error))?;
    dossier.made.ok_or_else(|| ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The dossier as it is now; with `signed=1` the file that was kept at the last signature.
pub async fn dossier(
    State(app): State<App>,
    Path(run): Path<String>,
    asked: Asked,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let id = RunId(run.parse().map_err(|_| missing(&run))?);
    let sheet = app.records(move |records| records.sheet(id)).await?.ok_or_else(|| missing(&run))?;
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    if asked.get("signed").is_some_and(|asked| asked == "1") {
        let none = || ApiError::new(StatusCode::NOT_FOUND, "http.no_dossier").with("run", &run);
        let last = sheet.signed.last().ok_or_else(none)?;
        let path = app.desk.dossiers.join(format!("run-{id}-{}.dossier", last.at.0));
        let file = File::open(path).map_err(|_| none())?;
        return Ok((kind, kept(file)).into_response());
    }
    let mut dossier = Dossier::new(&sheet, &app.desk, None, clock::wall(), language);
    let body = stream::body(move |out| async move {
        loop {
            let next = app.records(move |records| {
                let bytes = dossier.next(records)?;
                Ok((dossier, bytes))
            });
            let (made, Some(bytes)) = next.await? else { return Ok(()) };
            dossier = made;
            out.send(bytes).await;
        }
    });
    Ok((kind, body).into_response())
}

/// A file, piece by piece.
fn kept(file: File) -> HttpBody {
    stream::body(move |out| async move {
        let mut file = file;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; PIECE];
                let len = io::Read::read(&mut file, &mut piece)?;
                piece.truncate(len);
                Ok::<_, io::Error>((file, piece))
            });
            let Ok(Ok((back, piece))) = read.await else {
                return Err(ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR));
            };
            if piece.is_empty() {
                return Ok(());
            }
            file = back;
            out.send(piece).await;
        }
    })
}
