//! One pack: what it is, what it lies in, what lies in it, what became of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::pack::rework::Step;
use tamga_domain::pack::{PackFacts, PackName, Told};
use tamga_domain::sscc::Sscc;

use super::codes::scan_of;
use super::door::By;
use super::dto::pack::{
    Again, CarriedIn, Child, Document, Pack, PackChange as Change, PackStory as Shown, TakenOut,
};
use super::error::{ApiError, Body};
use super::rework::child_name;
use super::shape::{code, said};
use super::stations::reason_of;
use super::text::stamp;
use super::{App, asks, dto};
use crate::desk::{PackStory, RecordsError};
use crate::store::read::documents::DocumentRow;
use crate::store::read::packs::{Content, PackChange};
use crate::words::{self, Language};

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

/// A pack that the state system refused is told once more.
pub async fn again(
    State(app): State<App>,
    Extension(by): Extension<By>,
    Extension(language): Extension<Language>,
    Body(body): Body<asks::TakeOut>,
) -> Result<Json<Again>, ApiError> {
    let reason = reason_of(&body.reason)?;
    let scan = scan_of(body.scan.as_deref(), body.scan_base64.as_deref())?;
    by.note(format!("what={} reason={reason}", named(&app, scan.clone()).await?));
    let asked = scan.clone();
    let found = app.records(move |records| match records.pack(&asked) {
        Err(RecordsError::NotACode) => Ok(None),
        other => other,
    });
    let Some(found) = found.await? else { return Err(none(&app, scan).await?) };
    let (pack, who) = (found.pack.pack, by.who.name.clone());
    if !app.records(move |records| records.tell_again(pack, reason, who)).await? {
        return Err(ApiError::new(StatusCode::CONFLICT, "http.not_refused"));
    }
    Ok(Json(Again { pack: self::pack(&found.pack, language) }))
}

/// Why there is no pack to a scan.
pub async fn none(app: &App, scan: Vec<u8>) -> Result<ApiError, ApiError> {
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

/// A pack's name as it stands on its label.
pub fn pack_name(name: &PackName) -> String {
    match name {
        PackName::Sscc(name) => format!("(00){name}"),
        PackName::Code(code) => code.to_string(),
    }
}

/// A pack as people call it: by its name, or by its number while it has none.
pub fn called(pack: &PackFacts) -> String {
    pack.name.map_or_else(|| format!("#{}", pack.pack), |name| pack_name(&name))
}

/// A step of a rework in words; none where nobody has to do anything. `counts`: labels of such packs show how many lie in
/// them.
pub fn step(step: &Step<'_>, counts: impl Fn(&PackFacts) -> bool, language: Language) -> Option<dto::Word> {
    let (child, pack, content) = match step {
        Step::Void { pack } => (None, Some(*pack), 0),
        Step::Out { child, of } => (Some(*child), Some(*of), 0),
        Step::In { child, to } => (Some(*child), Some(*to), 0),
        Step::New { of, content } => (None, Some(*of), *content),
        Step::Count { pack, .. } if !counts(pack) => return None,
        Step::Count { pack, content } => (None, Some(*pack), *content),
        Step::Loss { child, .. } => (Some(*child), None, 0),
    };
    let told = matches!(step, Step::Void { pack } if pack.told == Told::Aggregated);
    let key = if told { "void_told" } else { step.key() };
    let child = child.map(child_name).unwrap_or_default();
    let pack = pack.map(called).unwrap_or_default();
    let args = [("child", child.as_str()), ("pack", pack.as_str()), ("content", &content.to_string())];
    let text = words::say(language, &format!("rework.step.{key}"), &args);
    Some(dto::Word { key: key.to_owned(), text })
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
        told: word(language, "told", facts.told.key()),
    }
}

/// A document of packs.
pub fn document(row: &DocumentRow, language: Language) -> Document {
    Document {
        document: row.draft.no.0,
        kind: word(language, "document", row.draft.kind.key()),
        state: said(language, &["http", "report"].join("."), row.state.key()),
        pieces: row.draft.pieces,
        taken: row.taken,
        open: row.open,
        codes: row.draft.codes,
        upstream_id: row.upstream_id.clone(),
        attempts: row.attempts,
        why: row.why.clone(),
        moment: stamp(row.draft.moment),
        since: stamp(row.drafted_at),
    }
}

pub fn story(story: &PackStory, language: Language) -> Shown {
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
        changes: story.changes.iter().map(|one| change(one, language)).collect(),
        taken_out: story.taken_out.iter().map(taken_out).collect(),
        documents: story.documents.iter().map(|one| carried(one, language)).collect(),
    }
}

/// What lies in a pack, or lay in it.
fn carried(one: &crate::store::read::documents::CarriedIn, language: Language) -> CarriedIn {
    CarriedIn {
        document: document(&one.document, language),
        ended: word(language, "ended", one.ended),
        why: one.why.clone(),
    }
}

pub fn child(content: &Content) -> Child {
    match content {
        Content::Item(identity) => Child::Code(code(identity)),
        Content::Pack(name) => Child::Pack(name.to_string()),
    }
}

fn change(change: &PackChange, language: Language) -> Change {
    Change {
        at: stamp(change.at),
        what: word(language, "change", &change.what),
        who: change.who.clone(),
        detail: change.detail.clone(),
        why: change.why.clone(),
    }
}
