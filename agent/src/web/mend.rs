//! The box doctor: what a scan is, where it belongs, what is wrong with it, and the steps that right it. One confirmation
//! carries those out, if they are still the same.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::pack::doctor::{Diagnosis, Found};
use tamga_domain::pack::{Child, PackFacts};

use super::door::By;
use super::dto::pack::{Doctor, Reworked};
use super::error::{ApiError, Body};
use super::rework::{self, Asked, child_name, name_of, not_done, not_in, scanned, scanned_all};
use super::stations::reason_of;
use super::{App, asks, dto, packs};
use crate::desk::{RecordsError, Scanned};
use crate::words::{self, Language};

pub async fn doctor(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Body(body): Body<asks::Doctor>,
) -> Result<Json<Doctor>, ApiError> {
    let (what, diagnosis) = examined(&app, &body.what, body.seen.as_deref()).await?;
    let mut found = Vec::with_capacity(diagnosis.found.len());
    for one in &diagnosis.found {
        found.push(in_words(&app, one, what.pack.as_ref(), language).await?);
    }
    let (mut right, mut refused) = (None, None);
    if !diagnosis.works.is_empty() {
        let works = diagnosis.works.clone();
        match app.records(move |records| records.rework_plan(&works)).await? {
            Ok(plan) => right = Some(rework::shown(&app, &plan, &diagnosis.works, language)),
            Err(why) => {
                let error = not_done(&app, &why, language).await?;
                let text = words::say_owned(language, &error.key, &error.args);
                refused = Some(dto::Word { key: error.key, text });
            }
        }
    }
    let scan = super::codes::scan_of(body.what.scan.as_deref(), body.what.scan_base64.as_deref())?;
    let story = app.records(move |records| match records.pack(&scan) {
        Err(RecordsError::NotACode) => Ok(None),
        other => other,
    });
    let story = story.await?;
    Ok(Json(Doctor {
        what: child_name(&what.child),
        pack: what.pack.as_ref().map(|pack| packs::pack(pack, language)),
        was: what.was.as_ref().map(|pack| packs::pack(pack, language)),
        told: what.pack.as_ref().map(|pack| packs::word(language, "told", pack.told.key())),
        story: story.map(|story| packs::story(&story, language)),
        found,
        right,
        refused,
    }))
}

/// Carries out what the doctor showed.
pub async fn mend(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Mend>,
) -> Result<Json<Reworked>, ApiError> {
    let reason = reason_of(&body.reason)?;
    let (what, diagnosis) = examined(&app, &body.what, body.seen.as_deref()).await?;
    by.note(format!("what={} plan={:.40} reason={reason}", child_name(&what.child), body.confirm));
    if diagnosis.works.is_empty() {
        return Err(ApiError::new(StatusCode::CONFLICT, "rework.nothing"));
    }
    let asked = Asked { works: diagnosis.works, key: None, confirm: Some(body.confirm) };
    rework::carry_out(&app, asked, (reason, &by), language).await.map(Json)
}

async fn examined(
    app: &App,
    what: &asks::Scan,
    seen: Option<&[asks::Scan]>,
) -> Result<(Scanned, Diagnosis), ApiError> {
    let what = scanned(app, what).await?;
    let seen = match seen {
        Some(scans) => {
            Some(scanned_all(app, scans).await?.into_iter().map(|one| one.child).collect::<Vec<Child>>())
        }
        None => None,
    };
    // Of a label that is void, what is wrong is that it is there; unless somebody looked into the box.
    let pack = match (&what.was, &seen) {
        (Some(was), None) => Some(was.pack),
        _ => what.pack.as_ref().map(|pack| pack.pack),
    };
    let Some(pack) = pack else { return Ok((what, Diagnosis::default())) };
    let diagnosis = app.records(move |records| records.diagnosis(pack, seen.as_deref())).await?;
    Ok((what, diagnosis))
}

async fn in_words(
    app: &App,
    found: &Found,
    pack: Option<&PackFacts>,
    language: Language,
) -> Result<dto::Word, ApiError> {
    let own = pack.map(packs::called).unwrap_or_default();
    let (child, other, why) = match found {
        Found::Missing(child) | Found::Extra(child) | Found::Unresolved(child) => (Some(child), None, None),
        Found::Elsewhere { child, pack } => (Some(child), Some(*pack), None),
        Found::Stranger { child, why } => (Some(child), None, Some(*why)),
        Found::WrongLabel(pack) => (None, Some(*pack), None),
        Found::Void(after) => (None, *after, None),
        Found::Unlabelled | Found::Unread | Found::AtStation | Found::Waits | Found::Refused => {
            (None, None, None)
        }
    };
    let other = match other {
        Some(pack) => name_of(app, pack).await?,
        None => String::new(),
    };
    let why = match why {
        Some(why) => not_in(app, why, language).await?,
        None => String::new(),
    };
    let child = child.map(child_name).unwrap_or_default();
    let key = match found {
        Found::Void(Some(_)) => "void_after",
        _ => found.key(),
    };
    let args = [("child", child.as_str()), ("pack", &own), ("other", &other), ("why", &why)];
    let text = words::say(language, &format!("rework.found.{key}"), &args);
    Ok(dto::Word { key: key.to_owned(), text })
}
