//! One pack: what it is, what it lies in, what lies in it, what became of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::pack::{PackFacts, PackState};
use tamga_domain::sscc::Sscc;

use super::codes::scan_of;
use super::dto::pack::{Child, Pack, PackChange as Change, PackStory as Shown, TakenOut};
use super::error::{ApiError, Body};
use super::shape::{code, said};
use super::text::stamp;
use super::{App, asks, dto};
use crate::desk::{PackStory, RecordsError};
use crate::store::read::packs::{Content, PackChange};
use crate::words::Language;

pub async fn show(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Body(body): Body<asks::Scan>,
) -> Result<Json<Shown>, ApiError> {
    let scan = scan_of(body.scan.as_deref(), body.scan_base64.as_deref())?;
    let asked = scan.clone();
    let found = app.records(move |records| {
        match records.pack(&asked) {
            // The texts for codes speak of no label.
            Err(RecordsError::NotACode) => Ok(Err(())),
            other => other.map(Ok),
        }
    });
    match found.await? {
        Ok(Some(pack)) => Ok(Json(story(&pack, language))),
        Ok(None) => Err(none(&app, scan).await?),
        Err(()) => Err(ApiError::new(StatusCode::BAD_REQUEST, "refuse.not_a_code")),
    }
}

/// Why there is no pack to a scan.
async fn none(app: &App, scan: Vec<u8>) -> Result<ApiError, ApiError> {
    if let Ok(name) = Sscc::parse_read(&scan) {
        return Ok(ApiError::new(StatusCode::NOT_FOUND, "http.no_pack").with("name", name));
    }
    Ok(match app.records(move |records| records.story(&scan)).await? {
        Some(story) => ApiError::new(StatusCode::NOT_FOUND, "http.not_packed").with("code", story.code.code),
        None => ApiError::new(StatusCode::NOT_FOUND, "http.no_code"),
    })
}

/// What a scan names, for the audit log: an SSCC, or a code by its identity. What this agent does not know is not
/// written down, since a tail could be in it.
pub async fn named(app: &App, scan: Vec<u8>) -> Result<String, ApiError> {
    if let Ok(name) = Sscc::parse_read(&scan) {
        return Ok(format!("(00){name}"));
    }
    let story = app.records(move |records| match records.story(&scan) {
        Err(RecordsError::NotACode) => Ok(None),
        other => other,
    });
    Ok(match story.await? {
        Some(story) => story.code.code.to_string(),
        None => "unknown".to_owned(),
    })
}

/// A word of packs: its key among those of its kind, such as `level`, and its text.
pub fn word(language: Language, kind: &str, key: &str) -> dto::Word {
    said(language, &format!("pack.{kind}"), key)
}

/// A pack without what lies in it.
pub fn pack(facts: &PackFacts, language: Language) -> Pack {
    Pack {
        pack: facts.pack.0,
        name: facts.name.map(|name| name.to_string()),
        level: word(language, "level", facts.terms.level.key()),
        holds: word(language, "holds", facts.terms.holds.key()),
        state: word(language, "state", facts.state.key()),
        content: facts.content,
        capacity: facts.terms.capacity,
        run: facts.run.map(|run| run.0),
        gtin: facts.gtin.map(|gtin| gtin.to_string()),
        labels: facts.labels,
    }
}

fn story(story: &PackStory, language: Language) -> Shown {
    let mut before = None;
    let mut changes = Vec::with_capacity(story.changes.len());
    for one in &story.changes {
        changes.push(change(one, before, language));
        before = Some(one.state);
    }
    let taken_out = |out: &crate::store::read::packs::TakenOut| TakenOut {
        at: stamp(out.at),
        what: child(&out.what),
        who: out.who.clone(),
        why: out.why.clone(),
    };
    Shown {
        pack: pack(&story.pack, language),
        within: story.within.iter().map(|facts| pack(facts, language)).collect(),
        content: story.content.iter().map(child).collect(),
        changes,
        taken_out: story.taken_out.iter().map(taken_out).collect(),
    }
}

fn child(content: &Content) -> Child {
    match content {
        Content::Item(identity) => Child::Code(code(identity)),
        Content::Pack(name) => Child::Pack(name.to_string()),
    }
}

/// A change in words. One that leaves the pack's state is the name that it got, or a label with it.
fn change(change: &PackChange, before: Option<PackState>, language: Language) -> Change {
    let (what, detail) = match (change.state, change.why.as_str()) {
        (state, why) if before == Some(state) => match why.strip_prefix("label ") {
            Some(label) => ("label", label),
            None => ("named", why),
        },
        (PackState::Open, why) => ("opened", why),
        (PackState::Closed, "full") => ("full", ""),
        (PackState::Closed, why) => ("short", why),
        (PackState::Voided, why) => ("voided", why),
    };
    Change {
        at: stamp(change.at),
        what: word(language, "change", what),
        who: change.who.clone(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tamga_domain::time::Wall;

    use super::*;

    #[test]
    fn each_change_has_its_word_and_says_no_more_than_was_written_down() {
        use PackState::{Closed, Open, Voided};
        for (before, state, why, what, detail) in [
            (None, Open, "", "opened", ""),
            (Some(Open), Open, "046000000000000015", "named", "046000000000000015"),
            (Some(Open), Open, "label 1", "label", "1"),
            (Some(Closed), Closed, "label 2: full", "label", "2: full"),
            (Some(Open), Closed, "full", "full", ""),
            (Some(Open), Closed, "label 3 is torn", "short", "label 3 is torn"),
            (Some(Closed), Voided, "wet", "voided", "wet"),
        ] {
            let row = PackChange { state, who: "anna".into(), why: why.into(), at: Wall(0) };
            for language in Language::ALL {
                let told = change(&row, before, language);
                assert_eq!((told.what.key.as_str(), told.detail.as_str()), (what, detail), "{why}");
                assert_ne!(told.what.text, format!("pack.change.{what}"), "it has no text");
            }
        }
    }
}
