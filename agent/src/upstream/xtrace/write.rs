//! A request as method, path, query and body.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tamga_domain::code::Code;
use tamga_domain::document::Piece;
use tamga_domain::ids::PassNo;
use tamga_domain::record::{OrderPlan, PackageKind};
use tamga_domain::upstream::request::{OrderKey, ReportHead, Request};

use super::documents::{self, WrittenPiece};
use super::moments::{iso, iso_in};
use super::{Layouts, Setup};

/// Upstream's pages have at most this many entries.
pub const PAGE: usize = 100;

/// What a request names: codes of passes, or pieces of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    pub codes: Vec<(PassNo, Code)>,
    pub pieces: Vec<Piece>,
}

/// One request, ready to be sent.
#[derive(Debug, PartialEq)]
pub struct Written {
    pub post: bool,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// For a look-up and a report: which pass each identity belongs to.
    pub asked: BTreeMap<Vec<u8>, PassNo>,
    /// For a document: what it names.
    pub pieces: Vec<WrittenPiece>,
}

/// Why a request cannot be written; then nothing leaves.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("no layout for the product group {0}")]
    Layout(String),
    #[error("the code of pass {0} does not fit its product group")]
    Form(PassNo),
    #[error("the code {0} does not fit its product group")]
    Member(String),
    #[error("there is nothing to report")]
    Codes,
    #[error("a request that nobody writes")]
    Nobody,
}

/// Writes a request. `named`: what it names, out of the books.
pub fn write(
    setup: &Setup,
    layouts: &Layouts,
    request: &Request,
    named: &Named,
) -> Result<Written, WriteError> {
    if let Some(written) = documents::write(layouts, request, &named.pieces)? {
        return Ok(written);
    }
    let codes = named.codes.as_slice();
    let limit = ("limit", PAGE.to_string());
    Ok(match request {
        Request::MakeOrder { plan } => post("/api/orders", vec![], order(setup, plan)),
        Request::FindOrders { group, by } => {
            let key = match by {
                OrderKey::PoNumber(po) => ("poNumber", po.clone()),
                OrderKey::UpstreamId(id) => ("orderId", id.clone()),
            };
            get("/api/orders", vec![("productGroup", group.clone()), key, limit])
        }
        Request::SubOrder { order, gtin } => {
            get("/api/orders/sub-orders", vec![("orderId", order.clone()), ("gtin", gtin.to_string()), limit])
        }
        Request::Block { order, gtin, quantity, last_pack } => {
            let mut query = vec![("orderId", order.clone()), ("gtin", gtin.to_string())];
            query.push(("quantity", quantity.to_string()));
            query.extend(last_pack.iter().map(|p| ("lastPackId", p.clone())));
            get("/api/codes", query)
        }
        Request::Packs { order, gtin } => {
            get("/api/codes/packs", vec![("orderId", order.clone()), ("gtin", gtin.to_string())])
        }
        Request::CloseOrder { order } => {
            let query = vec![("orderId", order.clone())];
            Written { post: true, ..get("/api/order/close", query) }
        }
        Request::Apply { head, .. } => {
            let full = full(layouts, &head.group, codes)?;
            let query = vec![("productGroup", head.group.clone())];
            let asked = identities(layouts, &head.group, codes)?;
            Written { asked, ..post("/api/utilisation", query, report(head, &full)) }
        }
        Request::Report { upstream_id, of } => {
            let written = get(&format!("/api/utilisation/{upstream_id}"), vec![]);
            match of {
                Some(of) => Written { asked: identities(layouts, &of.group, codes)?, ..written },
                None => written,
            }
        }
        Request::Codes { group, history, .. } => {
            let asked = identities(layouts, group, codes)?;
            let list: Vec<_> = asked.keys().map(|k| String::from_utf8_lossy(k)).collect();
            let mut body = json!({ "codes": list });
            if *history {
                body["addCodeHistory"] = true.into();
            }
            let written = post("/public/api/cod/public/codes", vec![], body);
            Written { asked, ..written }
        }
        Request::Documents { of, since, until, after } => {
            let types = documents::type_of(*of).to_string();
            let mut query = vec![("types", types), ("dateFrom", iso(*since))];
            query.extend([("dateTo", iso(*until)), limit]);
            query.extend(after.iter().map(|id| ("cursor", id.clone())));
            get("/public/api/v1/doc/storage/docs/search", query)
        }
        Request::Clock { group } => {
            get("/api/orders", vec![("productGroup", group.clone()), ("limit", "1".to_string())])
        }
        Request::SendDocument { .. }
        | Request::Document { .. }
        | Request::DocumentBody { .. }
        | Request::DocumentErrors { .. }
        | Request::Pieces { .. } => return Err(WriteError::Nobody),
    })
}

pub(super) fn get(path: &str, query: Vec<(&'static str, String)>) -> Written {
    Written { post: false, path: path.into(), query, body: None, asked: BTreeMap::new(), pieces: Vec::new() }
}

pub(super) fn post(path: &str, query: Vec<(&'static str, String)>, body: Value) -> Written {
    Written { post: true, body: Some(body), ..get(path, query) }
}

fn order(setup: &Setup, plan: &OrderPlan) -> Value {
    let kind = match plan.kind {
        PackageKind::Unit => "UNIT",
        PackageKind::Group => "GROUP",
        PackageKind::Set => "SET",
    };
    let mut order = json!({
        "productGroup": plan.group,
        "products": [{
            "gtin": plan.gtin.to_string(),
            "quantity": plan.quantity,
            "serialNumberType": "OPERATOR",
            "cisType": kind,
        }],
        "releaseMethodType": plan.release_method,
        "poNumber": plan.po_number,
    });
    if let Some(place) = plan.business_place {
        order["businessPlaceId"] = place.into();
    }
    if let Some(paid) = setup.is_paid {
        order["isPaid"] = paid.into();
    }
    order
}

fn report(head: &ReportHead, codes: &[String]) -> Value {
    let mut report = json!({
        "sntins": codes,
        "releaseType": "PRODUCTION",
        "manufacturerCountry": head.country,
        "productionDate": iso_in(head.zone, head.production),
        "productionOrderId": head.own_number,
    });
    if let Some(place) = head.business_place {
        report["businessPlaceId"] = place.into();
    }
    if let Some(expiry) = head.expiry {
        report["expirationDate"] = iso_in(head.zone, expiry).into();
    }
    if !head.batch.is_empty() {
        report["seriesNumber"] = head.batch.clone().into();
    }
    report
}

/// Reports name codes whole, with separators and tail.
fn full(layouts: &Layouts, group: &str, codes: &[(PassNo, Code)]) -> Result<Vec<String>, WriteError> {
    let layout = layouts.get(group).ok_or_else(|| WriteError::Layout(group.into()))?;
    if codes.is_empty() {
        return Err(WriteError::Codes);
    }
    let render = |(pass, code): &(PassNo, Code)| {
        let bytes = layout.render_full(code).map_err(|_| WriteError::Form(*pass))?;
        String::from_utf8(bytes).map_err(|_| WriteError::Form(*pass))
    };
    codes.iter().map(render).collect()
}

/// Look-ups name identities, without the tail.
fn identities(
    layouts: &Layouts,
    group: &str,
    codes: &[(PassNo, Code)],
) -> Result<BTreeMap<Vec<u8>, PassNo>, WriteError> {
    let layout = layouts.get(group).ok_or_else(|| WriteError::Layout(group.into()))?;
    let render = |(pass, code): &(PassNo, Code)| {
        let bytes = layout.render_identity_of(code).map_err(|_| WriteError::Form(*pass))?;
        Ok((bytes, *pass))
    };
    codes.iter().map(render).collect()
}
