//! An answer as facts. Bodies are read leniently where nothing hangs on it (errors), and strictly where something
//! does: what is not understood is `Failed`, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tamga_domain::gs1::GS;
use tamga_domain::ids::PassNo;
use tamga_domain::upstream::request::{
    BufferStatus, CodeStatus, DocumentSeen, OrderSeen, OrderStatus, PackSeen, Reply, ReportStatus, Request,
    SubOrder,
};

use super::issued::Block;
use super::moments::of_iso;
use super::write::{PAGE, Written};

/// What an answer says to a request, as it was written.
pub fn read(request: &Request, written: &Written, status: u16, body: &[u8]) -> Reply {
    let asked = &written.asked;
    match status {
        200..=299 => understood(request, written, body)
            .unwrap_or_else(|| Reply::Failed { reason: format!("not understood: {}", words(body)) }),
        // A page of a gateway is no word of upstream itself: then the request did not get that far.
        400 | 409 | 422 if !is_page(body) => refused(request, asked, body),
        // 406 is left out: it may come after the effect, when the answer cannot be written as asked for.
        400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 => Reply::NotNow { reason: words(body) },
        _ => Reply::Failed { reason: words(body) },
    }
}

/// Refused; of a report with the codes that the refusal names.
fn refused(request: &Request, asked: &BTreeMap<Vec<u8>, PassNo>, body: &[u8]) -> Reply {
    let reason = words(body);
    let value = parse::<Value>(body).filter(|_| matches!(request, Request::Apply { .. }));
    match value.map(|value| named_in(&value, asked)) {
        Some(named) if !named.is_empty() => Reply::ReportRefused { reason, named },
        Some(_) | None => Reply::Refused { reason },
    }
}

fn is_page(body: &[u8]) -> bool {
    !body.is_empty() && serde_json::from_slice::<Value>(body).is_err()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn understood(request: &Request, written: &Written, body: &[u8]) -> Option<Reply> {
    let asked = &written.asked;
    Some(match request {
        Request::MakeOrder { .. } => {
            Reply::OrderMade { upstream_id: named(parse::<Value>(body)?.get("orderId")?.as_str()?)? }
        }
        Request::FindOrders { .. } => orders(parse(body)?),
        Request::SubOrder { order, gtin } => sub_order(parse(body)?, order, &gtin.to_string()),
        Request::Block { .. } => {
            let block: Block = parse(body)?;
            let codes = block.codes.into_iter().map(String::into_bytes).collect();
            Reply::Block { pack_id: named(&block.pack_id)?, body: body.to_vec(), codes }
        }
        Request::Packs { .. } => packs(parse(body)?),
        Request::CloseOrder { order } => {
            let closed = named(parse::<Value>(body)?.get("orderId")?.as_str()?)?;
            closed.eq_ignore_ascii_case(order).then_some(Reply::OrderClosed)?
        }
        Request::Apply { .. } => {
            Reply::ReportMade { upstream_id: named(parse::<Value>(body)?.get("reportId")?.as_str()?)? }
        }
        Request::Report { .. } => report(&parse(body)?, asked)?,
        Request::Codes { .. } => codes(&parse(body)?, asked)?,
        Request::Documents { .. } => documents(parse(body)?),
        Request::Clock { .. } => {
            parse::<Value>(body)?;
            Reply::Clock
        }
        Request::SendDocument { .. }
        | Request::Document { .. }
        | Request::DocumentBody { .. }
        | Request::DocumentErrors { .. }
        | Request::Pieces { .. } => super::documents::read(request, &written.pieces, &parse(body)?)?,
    })
}

fn named(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| id.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Orders {
    order_infos: Vec<OrderInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderInfo {
    order_id: String,
    order_status: String,
    #[serde(default)]
    po_number: Option<String>,
    #[serde(default)]
    rejection_reason: Option<String>,
}

fn orders(orders: Orders) -> Reply {
    let whole = orders.order_infos.len() < PAGE;
    let seen = orders.order_infos.into_iter().map(|o| OrderSeen {
        status: match o.order_status.as_str() {
            "CREATED" | "PENDING" => OrderStatus::Pending,
            "READY" => OrderStatus::Ready,
            "REJECTED" => OrderStatus::Rejected,
            "CLOSED" => OrderStatus::Closed,
            _ => OrderStatus::Other(o.order_status),
        },
        upstream_id: o.order_id,
        po_number: o.po_number.unwrap_or_default(),
        reason: o.rejection_reason.unwrap_or_default(),
    });
    Reply::Orders { seen: seen.collect(), whole }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubOrders {
    sub_order_infos: Vec<SubOrderInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubOrderInfo {
    parent_order_id: String,
    gtin: String,
    buffer_status: String,
    #[serde(default)]
    available_codes: u64,
    #[serde(default)]
    left_in_buffer: u64,
    #[serde(default)]
    total_passed: u64,
    #[serde(default)]
    rejection_reason: Option<String>,
    #[serde(default)]
    expired_date: Option<String>,
    #[serde(default)]
    create_date: Option<String>,
}

fn sub_order(lines: SubOrders, order: &str, gtin: &str) -> Reply {
    let mut lines = lines.sub_order_infos.into_iter();
    // The filters are applied here again: one that is ignored would show the line of another order.
    let line = lines.find(|l| l.parent_order_id.eq_ignore_ascii_case(order) && l.gtin == gtin);
    Reply::SubOrder(line.map(|l| SubOrder {
        status: match l.buffer_status.as_str() {
            "PENDING" | "CREATED" => BufferStatus::Pending,
            "ACTIVE" | "READY" => BufferStatus::Active,
            "EXHAUSTED" => BufferStatus::Exhausted,
            "REJECTED" => BufferStatus::Rejected,
            "CLOSED" => BufferStatus::Closed,
            _ => BufferStatus::Other(l.buffer_status),
        },
        total: l.available_codes,
        left: l.left_in_buffer,
        passed: l.total_passed,
        reason: l.rejection_reason.unwrap_or_default(),
        expires: l.expired_date.as_deref().and_then(of_iso),
        created: l.create_date.as_deref().and_then(of_iso),
    }))
}

#[derive(Deserialize)]
struct Packs {
    packs: Vec<PackInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PackInfo {
    pack_id: String,
    quantity: u32,
    #[serde(default)]
    pack_date_time: Option<String>,
}

fn packs(list: Packs) -> Reply {
    let pack = |p: PackInfo| PackSeen {
        made: p.pack_date_time.as_deref().and_then(of_iso),
        pack_id: p.pack_id,
        count: p.quantity,
    };
    Reply::Packs(list.packs.into_iter().map(pack).collect())
}

fn report(answer: &Value, asked: &BTreeMap<Vec<u8>, PassNo>) -> Option<Reply> {
    let word = answer.get("reportStatus")?.as_str()?;
    let status = match word {
        "IN_PROCESS" | "PENDING" | "CREATED" => ReportStatus::InProcess,
        "SUCCESS" => ReportStatus::Success,
        // Taken in part is an end like a refusal: what is in effect of it is asked code by code.
        "ERROR" | "PARTIALLY_PROCESSED" => ReportStatus::Error,
        _ => ReportStatus::Other(word.to_string()),
    };
    let reason = answer.get("rejectReason").map_or_else(|| word.to_string(), short);
    let named = if status == ReportStatus::Error { named_in(answer, asked) } else { Vec::new() };
    Some(if named.is_empty() {
        Reply::Report { status, reason }
    } else {
        Reply::ReportRefused { reason, named }
    })
}

/// The codes of a report that a refusal names, in whatever shape: any text in it may hold identities, with or without
/// tails and brackets. A refusal that names all codes names none: it repeats what was sent.
fn named_in(value: &Value, asked: &BTreeMap<Vec<u8>, PassNo>) -> Vec<PassNo> {
    let mut found = BTreeSet::new();
    names(value, asked, &mut found);
    if found.len() >= asked.len() { Vec::new() } else { found.into_iter().collect() }
}

/// What is named anywhere in a value, by what it is a name of.
pub(super) fn names<T: Copy + Ord>(value: &Value, asked: &BTreeMap<Vec<u8>, T>, found: &mut BTreeSet<T>) {
    match value {
        Value::String(text) => match asked.get(text.as_bytes()) {
            Some(whole) => drop(found.insert(*whole)),
            None => found.extend(names_in(text.as_bytes(), asked)),
        },
        Value::Array(all) => all.iter().for_each(|v| names(v, asked, found)),
        Value::Object(all) => {
            found.extend(all.keys().flat_map(|key| names_in(key.as_bytes(), asked)));
            all.values().for_each(|v| names(v, asked, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `01`, a GTIN and `21`: what an identity begins with.
const HEAD: usize = 18;

fn names_in<T: Copy>(text: &[u8], asked: &BTreeMap<Vec<u8>, T>) -> Vec<T> {
    // Shorter than any name: most words of an answer.
    if text.len() < HEAD {
        return Vec::new();
    }
    let longest = asked.keys().map(Vec::len).max().unwrap_or_default();
    let heads: BTreeSet<&[u8]> = asked.keys().filter_map(|k| k.get(..HEAD)).collect();
    let mut found = Vec::new();
    for head in heads {
        let bracketed = [b"(01)", &head[2..16], b"(21)"].concat();
        for form in [head, &bracketed] {
            let starts = text.windows(form.len()).enumerate().filter(|(_, w)| *w == form);
            for (at, _) in starts {
                let rest = &text[at + form.len()..];
                let most = rest.len().min(longest.saturating_sub(HEAD));
                // The longest serial that fits: what follows may be a tail, or the next word.
                let identity = |n: usize| [head, &rest[..n]].concat();
                found.extend((1..=most).rev().find_map(|n| asked.get(&identity(n))).copied());
            }
        }
    }
    found
}

/// A bare array, or the private method's `results[].codeData`.
fn codes(answer: &Value, asked: &BTreeMap<Vec<u8>, PassNo>) -> Option<Reply> {
    let list = answer.as_array().or_else(|| answer.get("results")?.as_array())?;
    let mut said = BTreeMap::new();
    let mut reports = BTreeSet::new();
    for entry in list {
        let data = entry.get("codeData").unwrap_or(entry);
        let (code, word) = (data.get("code")?.as_str()?, data.get("status")?.as_str()?);
        let identity = code.as_bytes().split(|b| *b == GS).next().unwrap_or_default();
        let Some(pass) = asked.get(identity) else { continue };
        let status = match word {
            "RECEIVED" => CodeStatus::Received,
            "APPLIED" | "INTRODUCED" => CodeStatus::Applied,
            "WITHDRAWN" | "WRITTEN_OFF" => CodeStatus::Gone(word.to_string()),
            _ => CodeStatus::Other(word.to_string()),
        };
        reports.insert(applied_by(entry).or_else(|| applied_by(data)));
        said.insert(*pass, status);
    }
    // One name for all of them, or none.
    let applied_by = if reports.len() == 1 { reports.pop_first().flatten() } else { None };
    let passes: BTreeSet<PassNo> = asked.values().copied().collect();
    let status = |p: PassNo| said.get(&p).cloned().unwrap_or(CodeStatus::Missing);
    Some(Reply::Codes { seen: passes.into_iter().map(|p| (p, status(p))).collect(), applied_by })
}

/// The report in a code's history, if there is exactly one.
fn applied_by(code: &Value) -> Option<String> {
    let events = code.get("codeHistory")?.as_array()?.iter();
    let is_report = |e: &&Value| e.get("documentType").and_then(Value::as_str) == Some("UTILISATION");
    let mut ids = events.filter(is_report).filter_map(|e| e.get("eventSourceId")?.as_str());
    let first = ids.next()?;
    ids.all(|id| id == first).then(|| named(first))?
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Documents {
    document_infos: Vec<DocumentInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentInfo {
    document_id: String,
    status: String,
    #[serde(default)]
    create_date: Option<String>,
}

fn documents(list: Documents) -> Reply {
    let full = list.document_infos.len() >= PAGE;
    let next = list.document_infos.last().filter(|_| full).map(|d| d.document_id.clone());
    let seen = list.document_infos.into_iter().map(|d| DocumentSeen {
        done: matches!(d.status.as_str(), "SUCCESS" | "PARTIALLY_PROCESSED" | "ERROR"),
        created: d.create_date.as_deref().and_then(of_iso),
        id: d.document_id,
    });
    Reply::Documents { seen: seen.collect(), next }
}

/// The words of an error body: array, array with context, object, page, nothing.
pub fn words(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(errors)) => errors.iter().map(error).collect::<Vec<_>>().join("; "),
        Ok(one) => error(&one),
        Err(_) if body.is_empty() => "no words".into(),
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(100)]).replace(['\n', '\r'], " ");
            format!(
                "not JSON, {} bytes: {}",
                body.len(),
                text.split(['"', '\u{1d}']).next().unwrap_or_default()
            )
        }
    }
}

fn error(error: &Value) -> String {
    let code = ["code", "errorCode", "error", "message"].iter().find_map(|k| error.get(k));
    let context = error.get("context").map(short).unwrap_or_default();
    let code = code.map_or_else(|| short(error), short);
    format!("{code} {context}").trim_end().to_string()
}

/// Short enough for people, and too short for a tail to follow an identity unseen: codes are cut at a separator.
fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let text = text.replace("\\u001d", "\u{1d}");
    text.split('\u{1d}').next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A serial with an AI's digits in it, one that another begins with, and one with punctuation.
    const CODES: [&str; 4] = [
        "01047800129600162101abc",
        "01047800129600162101abcd",
        "010478001296001621x,y'z",
        "010478001296001621q",
    ];

    fn named(body: &str) -> Vec<u32> {
        let pass = |(n, code): (usize, &&str)| (code.as_bytes().to_vec(), PassNo(n as u32));
        let asked: BTreeMap<_, _> = CODES.iter().enumerate().map(pass).collect();
        named_in(&parse(body.as_bytes()).unwrap(), &asked).iter().map(|p| p.0).collect()
    }

    #[test]
    fn codes_that_a_refusal_names_are_found_in_any_shape() {
        let (a, b, c) = (CODES[0], CODES[1], CODES[2]);
        for (body, want) in [
            (
                format!(r#"[{{"code":"x","context":{{"codes":["{a}\u001d93CANA","{c}\u001d93CANA"]}}}}]"#),
                vec![0, 2],
            ),
            (format!(r#"{{"rejectReason":"bad: {b}, {c}; 1 more"}}"#), vec![1, 2]),
            (format!(r#"{{"rejectReason":"{{\"{a}\":\"code-not-found\"}}"}}"#), vec![0]),
            (format!(r#"{{"{c}":["wrong-status"]}}"#), vec![2]),
            (r#"{"rejectReason":"(01)04780012960016(21)01abcd"}"#.to_owned(), vec![1]),
            (r#"{"rejectReason":"code-refused: 6 of 51 codes"}"#.to_owned(), vec![]),
            (r#"{"rejectReason":"<html>422</html>"}"#.to_owned(), vec![]),
            // All that was sent, named again, says nothing.
            (serde_json::json!({ "codes": CODES }).to_string(), vec![]),
        ] {
            assert_eq!(named(&body), want, "{body}");
        }
    }
}
