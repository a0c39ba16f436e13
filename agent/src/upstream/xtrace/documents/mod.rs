//! Documents of packs: their bodies, and what answers say of them.
//!
//! A body is base64 of JSON with sorted keys; items and group packs are named without their tails, packs with an SSCC by
//! `00` and its digits. What upstream has as a document is compared with what this one would say, field by field where
//! they tell one document from another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tamga_domain::document::{DocumentKind, Member, Piece};
use tamga_domain::upstream::request::{DocumentHead, PieceSeen, Reply, ReportStatus, Request};

use super::Layouts;
use super::moments::{iso_in, of_iso};
use super::read::names;
use super::write::{PAGE, WriteError, Written, get, post};

/// A piece as it is written.
#[derive(Debug, PartialEq)]
pub struct WrittenPiece {
    pub no: u32,
    pub name: String,
    capacity: u32,
    children: Vec<String>,
}

/// Writes a request about a document. `None`: it is about none.
pub fn write(layouts: &Layouts, request: &Request, pieces: &[Piece]) -> Result<Option<Written>, WriteError> {
    let storage = |what: &str, id: &str| format!("/public/api/v1/doc/storage/{what}/{id}");
    let mut written = match request {
        Request::SendDocument { head, .. } => {
            let pieces = all(layouts, pieces)?;
            if pieces.is_empty() {
                return Err(WriteError::Codes);
            }
            let body = body(head, &pieces).to_string();
            let envelope = json!({ "documentBody": base64(body.as_bytes()), "signature": "" });
            post(&format!("/public/api/v1/doc/{}", path_of(head.kind)), vec![], envelope)
        }
        Request::Document { upstream_id } => get(&storage("docs", upstream_id), vec![]),
        Request::DocumentBody { upstream_id, .. } => get(&storage("json", upstream_id), vec![]),
        Request::DocumentErrors { upstream_id, after, .. } => {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(after.and_then(|n| n.checked_sub(1)).map(|last| ("lastIndex", last.to_string())));
            get(&storage("errors", upstream_id), query)
        }
        Request::Pieces { .. } => {
            let names: Vec<String> = all(layouts, pieces)?.into_iter().map(|piece| piece.name).collect();
            post("/public/api/cod/private/codes", vec![], json!({ "codes": names }))
        }
        _ => return Ok(None),
    };
    written.pieces = all(layouts, pieces)?;
    Ok(Some(written))
}

fn path_of(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Aggregation => "aggregation",
        DocumentKind::Disaggregation => "transport-code-disaggregation",
        DocumentKind::Withdrawal => "withdrawal",
    }
}

/// What a search calls documents of a kind.
pub fn type_of(kind: Option<DocumentKind>) -> &'static str {
    match kind {
        None => "UTILISATION",
        Some(DocumentKind::Aggregation) => "AGGREGATION",
        Some(DocumentKind::Disaggregation) => "TRANSPORT_CODE_DISAGGREGATION",
        Some(DocumentKind::Withdrawal) => "WITHDRAWAL",
    }
}

fn all(layouts: &Layouts, pieces: &[Piece]) -> Result<Vec<WrittenPiece>, WriteError> {
    let one = |piece: &Piece| {
        let children = piece.children.iter().map(|child| name(layouts, child)).collect::<Result<_, _>>()?;
        let name = name(layouts, &piece.what)?;
        Ok(WrittenPiece { no: piece.no, name, capacity: piece.capacity, children })
    };
    pieces.iter().map(one).collect()
}

fn name(layouts: &Layouts, member: &Member) -> Result<String, WriteError> {
    let bytes = match member {
        Member::Code { group, code } => {
            let layout = layouts.get(group).ok_or_else(|| WriteError::Layout(group.clone()))?;
            layout.render_identity_of(code).map_err(|_| WriteError::Member(code.identity.to_string()))?
        }
        Member::Pack(sscc) => sscc.render(),
    };
    String::from_utf8(bytes).map_err(|_| WriteError::Member(String::new()))
}

/// The document before it is wrapped: serde_json's maps are sorted, as the state system wants them.
fn body(head: &DocumentHead, pieces: &[WrittenPiece]) -> Value {
    let moment = iso_in(head.zone, head.moment);
    let names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    let mut body = match head.kind {
        DocumentKind::Aggregation => {
            let unit = |piece: &WrittenPiece| {
                json!({
                    "aggregationItemsCount": piece.children.len(),
                    "aggregationUnitCapacity": (piece.capacity as usize).max(piece.children.len()),
                    "codes": piece.children,
                    "unitSerialNumber": piece.name,
                })
            };
            json!({
                "aggregationUnits": pieces.iter().map(unit).collect::<Vec<_>>(),
                "documentDate": moment,
                "productionOrderId": head.own_number,
            })
        }
        DocumentKind::Disaggregation => return json!({ "businessDatetime": moment, "codes": names }),
        DocumentKind::Withdrawal => json!({
            "childrenWriteOff": false,
            "codes": names.iter().map(|code| json!({ "code": code })).collect::<Vec<_>>(),
            "withdrawalDate": moment,
            "withdrawalReason": head.reason,
            "withdrawalType": "WRITE_OFF",
        }),
    };
    if let Some(place) = head.business_place {
        body["businessPlaceId"] = place.into();
    }
    body
}

// ---- answers ----

/// What an answer with a good status says; `None` where it is not understood.
pub fn read(request: &Request, pieces: &[WrittenPiece], answer: &Value) -> Option<Reply> {
    Some(match request {
        Request::SendDocument { .. } => {
            let id = answer.get("documentId")?.as_str().filter(|id| !id.is_empty())?;
            Reply::DocumentMade { upstream_id: id.to_owned() }
        }
        Request::Document { upstream_id } => {
            let id = answer.get("documentId")?.as_str()?;
            let status = status(answer.get("status")?.as_str()?);
            id.eq_ignore_ascii_case(upstream_id).then_some(Reply::Document { status })?
        }
        Request::DocumentBody { head, .. } => Reply::DocumentBody { ours: is_ours(head, pieces, answer) },
        Request::DocumentErrors { after, .. } => {
            errors(answer.get("documentErrors")?.as_array()?, pieces, after.unwrap_or(0))
        }
        Request::Pieces { kind, .. } => Reply::Pieces { seen: seen(*kind, pieces, answer)? },
        _ => return None,
    })
}

fn status(word: &str) -> ReportStatus {
    match word {
        "CREATED" | "VALIDATING" | "IN_PROCESS" | "PENDING" => ReportStatus::InProcess,
        "SUCCESS" => ReportStatus::Success,
        "PARTIALLY_PROCESSED" => ReportStatus::Partial,
        "ERROR" => ReportStatus::Error,
        _ => ReportStatus::Other(word.to_owned()),
    }
}

/// Whether a document that upstream has is this one: by what it names, and by our own number where it has one, else by
/// when. Of a number alone nothing follows: what a restored copy does not know of had the same numbers.
fn is_ours(head: &DocumentHead, pieces: &[WrittenPiece], stored: &Value) -> bool {
    let names: BTreeSet<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    let texts = |list: &str, field: &str| -> BTreeSet<String> {
        let entries = stored.get(list).and_then(Value::as_array).into_iter().flatten();
        let text = |entry: &Value| Some(entry.get(field).unwrap_or(entry).as_str()?.to_owned());
        entries.filter_map(text).collect()
    };
    let same = |stored: BTreeSet<String>| stored.iter().map(String::as_str).collect::<BTreeSet<_>>() == names;
    let at = |field: &str| stored.get(field).and_then(Value::as_str).and_then(of_iso) == Some(head.moment);
    match head.kind {
        DocumentKind::Aggregation => {
            let is_it = match stored.get("productionOrderId").and_then(Value::as_str) {
                Some(number) => number == head.own_number,
                None => at("documentDate"),
            };
            is_it && same(texts("aggregationUnits", "unitSerialNumber"))
        }
        DocumentKind::Disaggregation => at("businessDatetime") && same(texts("codes", "code")),
        DocumentKind::Withdrawal => at("withdrawalDate") && same(texts("codes", "code")),
    }
}

/// A piece is named by the codes in an error, never by its place: what the places count is not written down anywhere.
fn errors(entries: &[Value], pieces: &[WrittenPiece], before: u32) -> Reply {
    let of = |piece: &WrittenPiece| {
        let names = piece.children.iter().chain([&piece.name]);
        names.map(|name| (name.clone().into_bytes(), piece.no)).collect::<Vec<_>>()
    };
    let by_name: BTreeMap<Vec<u8>, u32> = pieces.iter().flat_map(of).collect();
    let mut named = Vec::new();
    for entry in entries {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let words: String =
            format!("{} {}", text("errorCode"), text("propertyName")).chars().take(200).collect();
        let mut found = BTreeSet::new();
        names(entry, &by_name, &mut found);
        // What repeats the whole document names none of it.
        if found.len() == pieces.len() && pieces.len() > 1 {
            found.clear();
        }
        if found.is_empty() {
            named.push((None, words.trim().to_owned()));
        }
        named.extend(found.into_iter().map(|piece| (Some(piece), words.trim().to_owned())));
    }
    let all = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let next = (entries.len() >= PAGE).then(|| before.saturating_add(all));
    Reply::DocumentErrors { named, next }
}

fn seen(kind: DocumentKind, pieces: &[WrittenPiece], answer: &Value) -> Option<Vec<(u32, PieceSeen)>> {
    let results = answer.get("results")?.as_array()?;
    let list = |key: &str| -> BTreeSet<&str> {
        answer.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (missing, forbidden) = (list("missingCodes"), list("forbiddenCodes"));
    let code = |entry: &Value| Some(without_tail(entry.get("codeData")?.get("code")?.as_str()?).to_owned());
    let shown: BTreeMap<String, &Value> = results.iter().filter_map(|r| Some((code(r)?, r))).collect();
    let of = |piece: &WrittenPiece| match shown.get(&piece.name) {
        Some(result) => shows(kind, piece, result),
        None if missing.contains(piece.name.as_str()) => match kind {
            DocumentKind::Disaggregation => PieceSeen::InEffect,
            DocumentKind::Aggregation => PieceSeen::Not,
            DocumentKind::Withdrawal => PieceSeen::Strange("not known upstream".to_owned()),
        },
        None if forbidden.contains(piece.name.as_str()) => {
            PieceSeen::Strange("upstream says that it is another's".to_owned())
        }
        None => PieceSeen::Strange("upstream says nothing of it".to_owned()),
    };
    Some(pieces.iter().map(|piece| (piece.no, of(piece))).collect())
}

fn shows(kind: DocumentKind, piece: &WrittenPiece, result: &Value) -> PieceSeen {
    if kind == DocumentKind::Withdrawal {
        let word = result["codeData"]["status"].as_str().unwrap_or_default();
        return match word {
            "WRITTEN_OFF" | "WITHDRAWN" => PieceSeen::InEffect,
            "APPLIED" | "INTRODUCED" => PieceSeen::Not,
            _ => PieceSeen::Strange(word.to_owned()),
        };
    }
    let package = &result["packageData"];
    let children = package["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    let there: BTreeSet<&str> = children.iter().filter_map(Value::as_str).map(without_tail).collect();
    let ours: BTreeSet<&str> = piece.children.iter().map(String::as_str).collect();
    match kind {
        DocumentKind::Disaggregation if there.is_empty() => PieceSeen::InEffect,
        DocumentKind::Disaggregation => PieceSeen::Not,
        _ if there.is_empty() => PieceSeen::Not,
        _ if there == ours => PieceSeen::InEffect,
        _ => PieceSeen::Strange(format!(
            "upstream shows {} in it, of which {} are here too",
            there.len(),
            there.intersection(&ours).count()
        )),
    }
}

fn without_tail(code: &str) -> &str {
    code.split('\u{1d}').next().unwrap_or_default()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
