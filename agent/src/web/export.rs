//! The closing sheet as a page and as lists: `sheet.html`, `sheet.csv`, `packs.csv`, `codes.csv`, and `codes` as a line
//! of JSON for each code. All but the page's head are made slice by slice.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, body::Body};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::RunId;

use super::dto::sheet::ListedCode;
use super::error::ApiError;
use super::paper::{self, csv, html};
use super::stream::{self, Out};
use super::text::stamp;
use super::{App, account, dto, sheet};
use crate::clock;
use crate::desk::PackRow;
use crate::store::read::packing::Place;
use crate::words::Language;

/// Codes in one look at the records: some milliseconds.
const CODES_SLICE: u32 = 1_000;
/// Packs in one.
const PACKS_SLICE: usize = 200;

/// A file of people's words begins so, or spreadsheets take it for another alphabet.
const BOM: &str = "\u{feff}";

type Asked = Query<BTreeMap<String, String>>;

const HTML: &str = "text/html; charset=utf-8";
const CSV: &str = "text/csv; charset=utf-8; header=present";
const LINES: &str = "application/x-ndjson";

fn answer(kind: &'static str, name: &str, body: Body) -> Response {
    let kept = format!("attachment; filename=\"{name}\"");
    let of_page: (HeaderName, &str) =
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'");
    let kept = (header::CONTENT_DISPOSITION, if kind == HTML { "inline".to_owned() } else { kept });
    ([(header::CONTENT_TYPE, kind)], [of_page], [kept], body).into_response()
}

/// The sheet of a run and its product.
async fn sheet_of(app: &App, run: &str, language: Language) -> Result<(RunId, Gtin, dto::Sheet), ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "http.no_run").with("run", run);
    let id = RunId(run.parse().map_err(|_| missing())?);
    let found = app.records(move |records| records.sheet(id)).await?.ok_or_else(missing)?;
    Ok((id, found.plan.gtin, account::sheet(&found, &app.desk, language)))
}

pub async fn page(
    State(app): State<App>,
    Path(run): Path<String>,
    asked: Asked,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let with_codes = asked.get("codes").is_some_and(|asked| asked == "1");
    let (id, gtin, sheet) = sheet_of(&app, &run, language).await?;
    let sections = paper::sections(&sheet, language);
    let begin = html::begin(&sheet, &sections, &app.desk.agent.id, &stamp(clock::wall()), language);
    let body = stream::body(move |out| async move {
        out.send(begin).await;
        if with_codes {
            let mut text = String::new();
            html::begin_codes(language, &mut text);
            out.send(text).await;
            each_code(&app, (id, gtin), &out, |code, text| html::code(code, language, text)).await?;
            let mut text = String::new();
            html::end_codes(&mut text);
            out.send(text).await;
        }
        out.send(html::end(language)).await;
        Ok(())
    });
    Ok(answer(HTML, "", body))
}

pub async fn counts(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let (id, _, sheet) = sheet_of(&app, &run, language).await?;
    let text = format!("{BOM}{}", csv::sheet(&paper::sections(&sheet, language), language));
    Ok(answer(CSV, &format!("run-{id}-sheet.csv"), Body::from(text)))
}

pub async fn codes_csv(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let (id, gtin, _) = sheet_of(&app, &run, language).await?;
    let body = stream::body(move |out| async move {
        let mut head = String::new();
        csv::row(csv::CODE_COLUMNS, &mut head);
        out.send(head).await;
        each_code(&app, (id, gtin), &out, csv::code).await
    });
    Ok(answer(CSV, &format!("run-{id}-codes.csv"), body))
}

pub async fn codes(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let (id, gtin, _) = sheet_of(&app, &run, language).await?;
    let line = |code: &ListedCode, text: &mut String| {
        text.push_str(&serde_json::to_string(code).unwrap_or_default());
        text.push('\n');
    };
    let body = stream::body(move |out| async move { each_code(&app, (id, gtin), &out, line).await });
    Ok(answer(LINES, &format!("run-{id}-codes.jsonl"), body))
}

/// Writes each code of a run, in slices.
async fn each_code(
    app: &App,
    (run, gtin): (RunId, Gtin),
    out: &Out,
    write: impl Fn(&ListedCode, &mut String),
) -> Result<(), ApiError> {
    let mut next = Some(Place::default());
    while let Some(from) = next {
        let listing = app.records(move |records| records.listing(run, gtin, &from, CODES_SLICE)).await?;
        let mut text = String::new();
        sheet::listed(&listing).for_each(|code| write(&code, &mut text));
        out.send(text).await;
        next = listing.next;
    }
    Ok(())
}

/// The columns of the list of packs. They are keys, the same in all languages.
const PACK_COLUMNS: [&str; 13] = [
    "pack", "number", "level", "state", "content", "capacity", "in", "labels", "run", "last", "at", "who",
    "why",
];

pub async fn packs_csv(
    State(app): State<App>,
    Path(run): Path<String>,
    Extension(language): Extension<Language>,
) -> Result<Response, ApiError> {
    let (id, ..) = sheet_of(&app, &run, language).await?;
    let packs = app.records(move |records| records.packs_of(id)).await?;
    let body = stream::body(move |out| async move {
        let mut head = BOM.to_owned();
        csv::row(PACK_COLUMNS, &mut head);
        out.send(head).await;
        for slice in packs.chunks(PACKS_SLICE) {
            let slice = slice.to_vec();
            let rows = app.records(move |records| records.pack_rows(&slice)).await?;
            let mut text = String::new();
            rows.iter().for_each(|row| pack(row, &mut text));
            out.send(text).await;
        }
        Ok(())
    });
    Ok(answer(CSV, &format!("run-{id}-packs.csv"), body))
}

fn pack(row: &PackRow, out: &mut String) {
    let Some(facts) = row.chain.first() else { return };
    let around = row.chain.get(1).map(sheet::pack_name).unwrap_or_default();
    let run = facts.run.map(|run| run.to_string()).unwrap_or_default();
    // The last thing that became of it, labels and names aside.
    let last = row.changes.iter().rev().find(|c| !matches!(c.what.as_str(), "label" | "named"));
    let last = last.or(row.changes.last());
    let (what, at, who, why) = match last {
        Some(c) => (c.what.as_str(), stamp(c.at), c.who.as_str(), c.why.as_str()),
        None => ("", String::new(), "", ""),
    };
    csv::row(
        [
            sheet::pack_name(facts).as_str(),
            &facts.pack.to_string(),
            facts.terms.level.key(),
            facts.state.key(),
            &facts.content.to_string(),
            &facts.terms.capacity.to_string(),
            &around,
            &facts.labels.to_string(),
            &run,
            what,
            &at,
            who,
            why,
        ],
        out,
    );
}
