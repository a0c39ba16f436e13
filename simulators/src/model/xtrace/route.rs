//! From method and path to an endpoint; query strings; the `Accept` header.

use super::answer::ApiError;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One HTTP request as the wire brought it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Behind the question mark, still percent-encoded.
    pub query: String,
    pub accept: Option<String>,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request with `Accept: */*`; `target` may have a query.
    pub fn new(method: &str, target: &str, key: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            accept: Some("*/*".to_owned()),
            authorization: (!key.is_empty()).then(|| format!("Bearer {key}")),
            body: Vec::new(),
        }
    }

    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }
}

/// Everything that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Authenticate,
    TokenRefresh,
    KeyCheck,
    KeyRefresh,
    OrderCreate,
    Orders,
    SubOrders,
    OrderClose,
    Codes,
    Packs,
    UtilisationCreate,
    Utilisation,
    DocumentCreate,
    DocumentSearch,
    Document,
    DocumentJson,
    DocumentErrors,
    DocumentCodes,
    PublicCodes,
    PrivateCodes,
}

impl Endpoint {
    /// Whether the call counts against the limit of orders and reports.
    pub fn is_limited(self) -> bool {
        !matches!(
            self,
            Endpoint::Authenticate
                | Endpoint::TokenRefresh
                | Endpoint::KeyCheck
                | Endpoint::KeyRefresh
                | Endpoint::PublicCodes
                | Endpoint::PrivateCodes
        )
    }

    pub fn is_read(self) -> bool {
        !matches!(
            self,
            Endpoint::Authenticate
                | Endpoint::TokenRefresh
                | Endpoint::KeyRefresh
                | Endpoint::OrderCreate
                | Endpoint::OrderClose
                | Endpoint::UtilisationCreate
                | Endpoint::DocumentCreate
        )
    }
}

/// Finds the endpoint and its argument in the path; 404 for an unknown path, 405 for a wrong method.
pub fn route<'a>(method: &str, path: &'a str) -> Result<(Endpoint, &'a str), ApiError> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let found: &[(&str, Endpoint)] = match segments.as_slice() {
        ["api", "users", "authenticate"] => &[("POST", Endpoint::Authenticate)],
        ["api", "users", "tokens", "refresh"] => &[("POST", Endpoint::TokenRefresh)],
        ["public", "api", "v1", "party", "parties", _, "api-keys", "check"] => &[("GET", Endpoint::KeyCheck)],
        ["public", "api", "v1", "party", "parties", _, "api-keys", "refresh"] => {
            &[("POST", Endpoint::KeyRefresh)]
        }
        ["api", "orders"] => &[("POST", Endpoint::OrderCreate), ("GET", Endpoint::Orders)],
        ["api", "orders", "sub-orders"] => &[("GET", Endpoint::SubOrders)],
        ["api", "order", "close"] => &[("POST", Endpoint::OrderClose)],
        ["api", "codes"] => &[("GET", Endpoint::Codes)],
        ["api", "codes", "packs"] => &[("GET", Endpoint::Packs)],
        ["api", "utilisation"] => &[("POST", Endpoint::UtilisationCreate)],
        ["api", "utilisation", _] => &[("GET", Endpoint::Utilisation)],
        ["public", "api", "v1", "doc", "storage", "docs", "search"] => &[("GET", Endpoint::DocumentSearch)],
        ["public", "api", "v1", "doc", "storage", "docs", _] => &[("GET", Endpoint::Document)],
        ["public", "api", "v1", "doc", "storage", "docs", _, "codes"] => &[("GET", Endpoint::DocumentCodes)],
        ["public", "api", "v1", "doc", "storage", "json", _] => &[("GET", Endpoint::DocumentJson)],
        ["public", "api", "v1", "doc", "storage", "errors", _] => &[("GET", Endpoint::DocumentErrors)],
        [
            "public",
            "api",
            "v1",
            "doc",
            "aggregation" | "validation" | "correction" | "transport-code-disaggregation" | "withdrawal",
        ] => &[("POST", Endpoint::DocumentCreate)],
        ["public", "api", "cod", "public", "codes"] => &[("POST", Endpoint::PublicCodes)],
        ["public", "api", "cod", "private", "codes"] => &[("POST", Endpoint::PrivateCodes)],
        _ => return Err(ApiError::not_found("not-found")),
    };
    let (_, endpoint) = *found
        .iter()
        .find(|(allowed, _)| *allowed == method)
        .ok_or_else(|| ApiError::new(405, "method-not-allowed"))?;
    let argument = match endpoint {
        Endpoint::KeyCheck | Endpoint::KeyRefresh => segments[5],
        Endpoint::DocumentCodes => segments[segments.len() - 2],
        _ => segments[segments.len() - 1],
    };
    Ok((endpoint, argument))
}

/// Whether `Accept` covers JSON; a missing header accepts everything.
pub fn accepts_json(accept: Option<&str>) -> bool {
    let Some(accept) = accept else { return true };
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        matches!(kind.as_str(), "*/*" | "application/*" | "application/json") && !refused
    })
}

/// A decoded query string or form body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Query(pairs.collect())
    }

    /// The value, if there is one and it is not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn need(&self, key: &str) -> Result<&str, ApiError> {
        self.get(key).ok_or_else(|| ApiError::parameter(key))
    }

    /// All values of a key that may be repeated or separated by commas.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(name, _)| name == key);
        values.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty()).collect()
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>, ApiError> {
        self.get(key).map(|text| text.parse().map_err(|_| ApiError::parameter(key))).transpose()
    }

    /// A date with zone. A plus sign that was not percent-encoded is a space by now, and refused.
    pub fn date(&self, key: &str) -> Result<Option<OffsetDateTime>, ApiError> {
        let parse = |text| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| ApiError::parameter(key));
        self.get(key).map(parse).transpose()
    }

    /// The query without the named keys, to tell whether two questions are about the same thing.
    pub fn without(&self, keys: &[&str]) -> Vec<(String, String)> {
        self.0.iter().filter(|(name, _)| !keys.contains(&name.as_str())).cloned().collect()
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_must_cover_json() {
        for (accept, covered) in [
            (None, true),
            (Some("*/*"), true),
            (Some("text/html, application/json;q=0.5"), true),
            (Some("application/*"), true),
            (Some("text/html"), false),
            (Some("application/zip"), false),
            (Some("application/json;q=0"), false),
        ] {
            assert_eq!(accepts_json(accept), covered, "{accept:?}");
        }
    }

    #[test]
    fn queries_are_percent_decoded() {
        let query =
            Query::parse("a=x%20y+z&d=2026-01-30T11:02:02%2B05:00&e=2026-01-30T11:02:02+05:00&t=A,B&t=C");
        assert_eq!(query.get("a"), Some("x y z"));
        assert!(query.date("d").unwrap().is_some());
        assert!(query.date("e").is_err());
        assert_eq!(query.list("t"), ["A", "B", "C"]);
        assert_eq!(Query::parse("x=%zz%4").get("x"), Some("%zz%4"));
    }
}
