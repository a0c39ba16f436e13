//! One code: all that is known of it, and what a person declares of its item.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::layout::keyboard::{self, Typed};
use tamga_domain::line::ask::{Ask, Declared};

use super::door::By;
use super::error::{ApiError, Body};
use super::lines::{ask, done, line_of};
use super::{App, account, asks, dto, scan, shape};
use crate::desk::Story;
use crate::words::Language;

pub async fn show(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Body(body): Body<asks::Scan>,
) -> Result<Json<dto::Story>, ApiError> {
    let story = story_of(&app, body.scan.as_deref(), body.scan_base64.as_deref()).await?;
    Ok(Json(account::story(&story, &app.desk, language)))
}

pub async fn declare(
    State(app): State<App>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Declare>,
) -> Result<(StatusCode, Json<dto::Done>), ApiError> {
    let declared = match body.declared.as_str() {
        "scrapped" => Declared::Scrapped,
        "passed" => Declared::Passed,
        "rejected" => Declared::Rejected,
        _ => return Err(ApiError::field("as", "http.bad_field").with("value", body.declared)),
    };
    let story = story_of(&app, body.scan.as_deref(), body.scan_base64.as_deref()).await?;
    let code = shape::code(&story.code.code);
    by.note(format!("code=(01){}(21){} as={}", code.gtin, code.serial, body.declared));
    if let (Declared::Scrapped, Some(pack)) = (declared, &story.pack) {
        let name = pack.name.map_or_else(|| pack.pack.to_string(), |name| name.to_string());
        let refused = ApiError::new(StatusCode::CONFLICT, "refuse.in_pack").with("pack", name);
        return Err(refused.with("code", story.code.code));
    }
    if story.run_is_closed {
        let run = story.code.issued.as_ref().map(|issued| issued.run.to_string()).unwrap_or_default();
        return Err(ApiError::new(StatusCode::CONFLICT, "http.run_closed").with("run", run));
    }
    let line = match (&body.line, story.line) {
        (Some(name), _) => line_of(&app, name)?,
        (None, Some(line)) => line_of(&app, &app.desk.line_name(line))?,
        (None, None) => match app.desk.lines.as_slice() {
            [only] => only,
            _ => return Err(ApiError::field("line", "http.which_line")),
        },
    };
    Ok(done(ask(line, Ask::Declare { code: story.code.code, declared }, &by).await?))
}

async fn story_of(app: &App, text: Option<&str>, base64: Option<&str>) -> Result<Story, ApiError> {
    let scan = scan_of(text, base64)?;
    let story = app.records(move |records| records.story(&scan)).await?;
    story.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "http.no_code"))
}

/// The bytes of a scan, which stands in one of two fields.
pub fn scan_of(text: Option<&str>, base64: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let scan = match (text, base64) {
        (Some(text), None) => scan::spelled(text),
        (None, Some(base64)) => scan::from_base64(base64)
            .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "http.bad_base64"))?,
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "http.one_scan"));
        }
    };
    // A scanner that types, on a computer with the Russian layout.
    let scan = match keyboard::repair(&scan) {
        Typed::AsItWas => scan,
        Typed::Repaired(sent) => scan::spelled(&String::from_utf8_lossy(&sent)),
        Typed::Unclear => return Err(ApiError::new(StatusCode::BAD_REQUEST, "http.typed_unclear")),
    };
    if scan.is_empty() || scan.len() > scan::SCAN_BYTES_MAX {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "http.bad_scan"));
    }
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_typed_in_the_russian_layout_is_what_the_scanner_sent() {
        let code = b"010478000000001421A7bQ\x1d93dGVz".to_vec();
        // `{GS}` is what the scanner is set to send for a separator.
        let typed = "010478000000001421Ф7иЙХПЫЪ93вПМя";
        assert_eq!(scan_of(Some(typed), None).unwrap(), code);
        let base64 = scan::to_base64("010478000000001421Ф7иЙ\u{1d}93вПМя".as_bytes());
        assert_eq!(scan_of(None, Some(&base64)).unwrap(), code);
        for unclear in ["0104Фb", "01é"] {
            let error = scan_of(Some(unclear), None).unwrap_err();
            assert_eq!((error.status, error.key.as_str()), (StatusCode::BAD_REQUEST, "http.typed_unclear"));
        }
    }
}
