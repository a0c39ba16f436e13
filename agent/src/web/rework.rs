//! Rework of packs: what people do to packs that are at no station, the labels of those, and the box doctor.
//!
//! What would be done is shown first where it reaches further than what was named: the caller confirms that very plan.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tamga_domain::ids::PackNo;
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::rework::{Fate, NotDone, Plan, PlanId, Rework, Way};
use tamga_domain::pack::{Child, PackFacts, PackName, PackState};
use tamga_domain::record::Answer;

use super::codes::scan_of;
use super::door::By;
use super::dto::pack::{NewPack, Reworked};
use super::error::{ApiError, Body};
use super::stations::{self, reason_of, station_of};
use super::{App, asks, dto, packs, text};
use crate::clock;
use crate::desk::{RecordsError, Scanned};
use crate::words::{self, Language};

const KEY_CHARS_MAX: usize = 64;

/// An answer that the store does not give: a bug of ours.
pub fn unexpected() -> ApiError {
    ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR)
}

pub async fn rework(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::Rework>,
) -> Result<Json<Reworked>, ApiError> {
    let reason = reason_of(&body.reason)?;
    let what = scanned_all(&app, &body.what).await?;
    let to = match &body.to {
        Some(scan) => Some(scanned(&app, scan).await?),
        None => None,
    };
    let names: Vec<String> = what.iter().chain(&to).map(|one| child_name(&one.child)).collect();
    by.note(format!("do={:.40} what={} reason={reason}", body.order, names.join(",")));
    let work = work_of(&body, &what, to.as_ref())?;
    let asked = Asked { works: vec![work], key: key_of(body.key.as_deref())?, confirm: body.confirm };
    carry_out(&app, asked, (reason, &by), language).await.map(Json)
}

/// What is to be done, by whom it was confirmed, and the key that makes it one with its repetition.
pub struct Asked {
    pub works: Vec<Rework>,
    pub key: Option<String>,
    pub confirm: Option<String>,
}

/// Shows what would be done, or does it: where it reaches no further than what was named, or the caller confirmed it.
pub async fn carry_out(
    app: &App,
    asked: Asked,
    (reason, by): (String, &By),
    language: Language,
) -> Result<Reworked, ApiError> {
    let Asked { works, key, confirm } = asked;
    let looked = works.clone();
    let plan = app.records(move |records| records.rework_plan(&looked)).await?;
    let bad = || ApiError::field("confirm", "http.bad_field");
    let confirmed =
        confirm.map(|id| PlanId::parse(&id).ok_or_else(|| bad().with("value", id))).transpose()?;
    let plan = match plan {
        Ok(plan) => Some(plan),
        // It may have been done by the same key already, which the store knows.
        Err(_) if key.is_some() => None,
        Err(why) => return Err(not_done(app, &why, language).await?),
    };
    if let Some(plan) = plan.as_ref().filter(|plan| plan.reaches && confirmed.is_none()) {
        return Ok(Reworked { done: false, ..shown(app, plan, &works, language) });
    }
    let shown_id = confirmed.or_else(|| plan.as_ref().map(Plan::id));
    let who = by.who.name.clone();
    let record =
        PackRecord::Rework { key, works: works.clone(), shown: shown_id, reason, who, at: clock::wall() };
    let new = match change(app, record).await? {
        PackAnswer::Reworked(new) => new,
        PackAnswer::NotDone(why) => return Err(not_done(app, &why, language).await?),
        PackAnswer::OtherPlan(_) => return Err(ApiError::new(StatusCode::CONFLICT, "rework.other_plan")),
        PackAnswer::KeyTaken => return Err(ApiError::new(StatusCode::CONFLICT, "rework.key_taken")),
        _ => return Err(unexpected()),
    };
    let mut said = match &plan {
        Some(plan) => shown(app, plan, &works, language),
        None => Reworked { done: true, plan: String::new(), steps: Vec::new(), new: Vec::new() },
    };
    for (old, new) in new {
        let of = pack_no(app, old).await?;
        let pack = pack_no(app, new).await?;
        if let (Some(of), Some(pack)) = (of, pack) {
            said.new.push(NewPack { of: packs::pack(&of, language), pack: packs::pack(&pack, language) });
        }
    }
    Ok(Reworked { done: true, ..said })
}

/// A plan as steps in words.
pub fn shown(app: &App, plan: &Plan, works: &[Rework], language: Language) -> Reworked {
    let counts = |pack: &PackFacts| {
        app.desk.stations.iter().any(|one| one.terms.level == pack.terms.level && one.label_counts)
    };
    let mut steps: Vec<dto::Word> =
        plan.steps().iter().filter_map(|step| packs::step(step, counts, language)).collect();
    for work in works {
        let fate = match work {
            Rework::Out { fate, .. } | Rework::Replace { fate, .. } => *fate,
            Rework::Empty { .. } | Rework::Unpack { .. } | Rework::Merge { .. } | Rework::Move { .. } => {
                continue;
            }
        };
        if fate == Fate::Back {
            steps.push(packs::word(language, "back", "where"));
        }
    }
    Reworked { done: false, plan: plan.id().to_string(), steps, new: Vec::new() }
}

/// What was asked for, by what was scanned.
fn work_of(body: &asks::Rework, what: &[Scanned], to: Option<&Scanned>) -> Result<Rework, ApiError> {
    let children = || what.iter().map(|one| one.child.clone()).collect::<Vec<Child>>();
    let needs = |field| ApiError::field(field, "http.bad_field").with("value", "");
    let one = || match what {
        [one] => Ok(one),
        _ => Err(needs("what")),
    };
    let other = || to.ok_or_else(|| needs("to"));
    let fate = |key: &str| Fate::ALL.into_iter().find(|fate| fate.key() == key);
    let bad = |field, value: &str| ApiError::field(field, "http.bad_field").with("value", value);
    if what.is_empty() {
        return Err(needs("what"));
    }
    Ok(match body.order.as_str() {
        "replace" => {
            let key = body.fate.as_deref().unwrap_or("take_out");
            let fate = fate(key).ok_or_else(|| bad("fate", key))?;
            Rework::Replace { out: one()?.child.clone(), put: other()?.child.clone(), fate }
        }
        "empty" => Rework::Empty { pack: named_pack(one()?)? },
        "unpack" => Rework::Unpack { pack: named_pack(one()?)? },
        "merge" => Rework::Merge { from: named_pack(one()?)?, into: named_pack(other()?)? },
        "move" => Rework::Move { children: children(), to: named_pack(other()?)? },
        order => Rework::Out { children: children(), fate: fate(order).ok_or_else(|| bad("do", order))? },
    })
}

/// The pack that was named by its label: an item names none here, since it may have been put in the wrong one.
fn named_pack(one: &Scanned) -> Result<PackNo, ApiError> {
    match (&one.child, &one.pack) {
        (Child::Pack { .. }, Some(pack)) => Ok(pack.pack),
        _ => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "rework.scan_label")
                .with("child", child_name(&one.child)))
        }
    }
}

fn key_of(key: Option<&str>) -> Result<Option<String>, ApiError> {
    let refused = |key: &str| ApiError::field("key", "http.bad_field").with("value", key);
    key.map(|key| text::line(key, KEY_CHARS_MAX).ok_or_else(|| refused(key))).transpose()
}

// ---- what was scanned ----

pub async fn scanned(app: &App, scan: &asks::Scan) -> Result<Scanned, ApiError> {
    let scan = scan_of(scan.scan.as_deref(), scan.scan_base64.as_deref())?;
    let asked = scan.clone();
    let found = app.records(move |records| match records.scanned(&asked) {
        Err(RecordsError::NotACode) => Ok(Err(())),
        other => other.map(Ok),
    });
    match found.await? {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(packs::none(app, scan).await?),
        Err(()) => Err(ApiError::new(StatusCode::BAD_REQUEST, "refuse.not_a_code")),
    }
}

pub async fn scanned_all(app: &App, scans: &[asks::Scan]) -> Result<Vec<Scanned>, ApiError> {
    let mut all = Vec::with_capacity(scans.len());
    for scan in scans {
        all.push(scanned(app, scan).await?);
    }
    Ok(all)
}

pub async fn pack_no(app: &App, pack: PackNo) -> Result<Option<PackFacts>, ApiError> {
    app.records(move |records| records.pack_no(pack)).await
}

/// As people read it: an item by its code without the tail, a pack by its name.
pub fn child_name(child: &Child) -> String {
    packs::pack_name(&match child {
        Child::Item { identity, .. } => PackName::Code(*identity),
        Child::Pack { name, .. } => *name,
    })
}

async fn change(app: &App, record: PackRecord) -> Result<PackAnswer, ApiError> {
    match app.records(move |records| records.change_pack(record)).await? {
        Some(Answer::Pack(answer)) => Ok(answer),
        Some(Answer::Barred(bar)) => {
            Err(ApiError::new(StatusCode::CONFLICT, &format!("refuse.{}", bar.key())))
        }
        _ => Err(unexpected()),
    }
}

/// Why nothing was done, with what to do.
pub async fn not_done(app: &App, why: &NotDone, language: Language) -> Result<ApiError, ApiError> {
    let error = ApiError::new(StatusCode::CONFLICT, &format!("rework.not_done.{}", why.key()));
    Ok(match why {
        NotDone::Wait(pack)
        | NotDone::AtStation(pack)
        | NotDone::Voided(pack)
        | NotDone::NoSuchPack(pack)
        | NotDone::NotAlike(pack) => error.with("pack", name_of(app, *pack).await?),
        NotDone::NotOurs(pack, agent) | NotDone::Elsewhere(pack, agent) => {
            error.with("pack", name_of(app, *pack).await?).with("agent", agent)
        }
        NotDone::WaitItem(child)
        | NotDone::Unknown(child)
        | NotDone::NotPacked(child)
        | NotDone::Twice(child)
        | NotDone::AtLine(child)
        | NotDone::NoItem(child) => error.with("child", child_name(child)),
        NotDone::NotIn { child, pack, why } => {
            let pack = name_of(app, *pack).await?;
            let why = not_in(app, *why, language).await?;
            error.with("child", child_name(child)).with("pack", pack).with("why", why)
        }
        NotDone::TooMany { named, most } => error.with("named", named).with("most", most),
    })
}

pub async fn not_in(app: &App, why: NotIn, language: Language) -> Result<String, ApiError> {
    let (pack, agent) = match why {
        NotIn::Packed(pack) => (name_of(app, pack).await?, String::new()),
        NotIn::Elsewhere(agent) => (String::new(), agent.to_string()),
        _ => (String::new(), String::new()),
    };
    let args = [("pack", pack.as_str()), ("agent", &agent), ("name", "")];
    Ok(words::say(language, &format!("pack.not_in.{}", why.key()), &args))
}

pub async fn name_of(app: &App, pack: PackNo) -> Result<String, ApiError> {
    let facts = pack_no(app, pack).await?;
    Ok(facts.map_or_else(|| format!("#{pack}"), |facts| packs::called(&facts)))
}

// ---- labels of packs that are at no station ----

/// One more label of a pack that is closed, or that waits for its first one: named and counted before it is printed.
pub async fn label(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::PackLabel>,
) -> Result<Json<dto::pack::Labelled>, ApiError> {
    let station = station_of(&app, &body.station)?;
    let reason = reason_of(&body.reason)?;
    let what = scanned(&app, &body.what).await?;
    by.note(format!("what={} station={} reason={reason}", child_name(&what.child), station.name));
    let pack = what.pack.ok_or_else(|| not_packed(&what.child))?;
    at_no_station(&app, &pack, language).await?;
    let name = match pack.name {
        Some(name) => name,
        None => {
            let record = PackRecord::Named { pack: pack.pack, name: NewName::Next, at: clock::wall() };
            named(&app, change(&app, record).await?, language).await?
        }
    };
    let ask =
        tamga_domain::pack::ask::StationAsk::Label { pack: pack.pack, name, content: pack.content, reason };
    drop(stations::ask(station, ask, &by).await?);
    let pack = pack_no(&app, pack.pack).await?.ok_or_else(unexpected)?;
    Ok(Json(dto::pack::Labelled { pack: packs::pack(&pack, language) }))
}

/// Closes what stayed in a pack whose label became void: its own label was read on it.
pub async fn close(
    State(app): State<App>,
    Extension(language): Extension<Language>,
    Extension(by): Extension<By>,
    Body(body): Body<asks::PackClose>,
) -> Result<Json<dto::pack::Labelled>, ApiError> {
    let scan = scan_of(body.label.scan.as_deref(), body.label.scan_base64.as_deref())?;
    let what = scanned(&app, &body.what).await?;
    let read = read_name(&app, scan).await?;
    by.note(format!("what={} label={}", child_name(&what.child), packs::pack_name(&read.0)));
    let pack = what.pack.ok_or_else(|| not_packed(&what.child))?;
    at_no_station(&app, &pack, language).await?;
    let name = match pack.name {
        Some(name) => name,
        None => {
            let record = PackRecord::Named { pack: pack.pack, name: read.1, at: clock::wall() };
            named(&app, change(&app, record).await?, language).await?
        }
    };
    if name != read.0 {
        return Err(
            ApiError::new(StatusCode::CONFLICT, "pack.other_label").with("name", packs::pack_name(&read.0))
        );
    }
    if pack.state == PackState::Open {
        let record = PackRecord::Closed { pack: pack.pack, who: by.who.name.clone(), at: clock::wall() };
        app.records(move |records| records.change_pack(record)).await?;
    }
    let pack = pack_no(&app, pack.pack).await?.ok_or_else(unexpected)?;
    Ok(Json(dto::pack::Labelled { pack: packs::pack(&pack, language) }))
}

/// A name as it was read on a pack, and as what it names one that has none.
async fn read_name(app: &App, scan: Vec<u8>) -> Result<(PackName, NewName), ApiError> {
    if let Ok(name) = tamga_domain::sscc::Sscc::parse_read(&scan) {
        return Ok((PackName::Sscc(name), NewName::Read(name)));
    }
    let not_a_label = || ApiError::new(StatusCode::BAD_REQUEST, "refuse.not_a_code");
    let found = app.records(move |records| match records.scanned(&scan) {
        Err(RecordsError::NotACode) => Ok(None),
        other => other,
    });
    let child = found.await?.map(|found| found.child).ok_or_else(not_a_label)?;
    let (identity, tail) = match child {
        Child::Item { identity, tail } | Child::Pack { name: PackName::Code(identity), tail } => {
            (identity, tail)
        }
        Child::Pack { name: PackName::Sscc(_), .. } => return Err(not_a_label()),
    };
    let product = app.desk.products.iter().find(|product| product.gtin == identity.gtin);
    let of = product.and_then(|product| product.packs).ok_or_else(not_a_label)?;
    let new = NewName::Code { identity, tail: tail.unwrap_or_default(), of: of.gtin };
    Ok((PackName::Code(identity), new))
}

fn not_packed(child: &Child) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "rework.not_done.not_packed").with("child", child_name(child))
}

/// Packs that are being filled have their labels from their stations, those of other agents from those, and void ones have
/// none.
async fn at_no_station(app: &App, pack: &PackFacts, language: Language) -> Result<(), ApiError> {
    match Way::of(pack) {
        Err(why @ (NotDone::AtStation(_) | NotDone::NotOurs(..) | NotDone::Voided(_))) => {
            Err(not_done(app, &why, language).await?)
        }
        // It may have a label though it must not be changed now.
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn named(app: &App, answer: PackAnswer, language: Language) -> Result<PackName, ApiError> {
    let refused = |key: &str| ApiError::new(StatusCode::CONFLICT, key);
    match answer {
        PackAnswer::Named { name, .. } => Ok(name),
        PackAnswer::NameUsed(other) => {
            Err(refused("pack.name_used").with("pack", name_of(app, other).await?))
        }
        PackAnswer::NotName(why) => {
            Err(refused("rework.not_name").with("why", not_in(app, why, language).await?))
        }
        PackAnswer::NoNames => Err(refused("pack.no_names")),
        _ => Err(unexpected()),
    }
}
