//! The shapes of what is asked of the API. An unknown field is an error: it is a misspelt one.

use serde::{Deserialize, Serialize};

/// `POST /api/v1/lines/{line}/run`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The caller's own key: asking again with the same key opens no second run.
    #[serde(default)]
    pub key: Option<String>,
    pub gtin: String,
    /// Needed only for a product that the configuration does not know.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub quantity: u32,
    pub batch: String,
    /// A day, such as `2026-11-22`; RFC 3339 means the plant's day in which the moment lies. Today when absent.
    #[serde(default)]
    pub production: Option<String>,
    #[serde(default)]
    pub expiry: Option<String>,
    /// A person says that the goods were made before their codes were ordered.
    #[serde(default)]
    pub before_order: bool,
}

/// `POST /api/v1/orders/assign`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignOrder {
    /// Upstream's id of the order, as the cabinet shows it.
    pub order: String,
    pub gtin: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseRun {
    #[serde(default)]
    pub clear: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPrint {
    /// The printer's name; may be left out where the line has one.
    #[serde(default)]
    pub printer: Option<String>,
}

/// A scan: one of the two. `scan_base64` is for bytes as they are, `scan` for text with `\x1d`, `{GS}` or `<GS>`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_base64: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declare {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_base64: Option<String>,
    /// `scrapped`, `passed` or `rejected`.
    #[serde(rename = "as")]
    pub declared: String,
    /// The line to tell; may be left out where the code's run names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// None: an alarm of the way upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTrace {
    pub level: String,
}

/// `POST /api/v1/stations/{station}/short`, `…/reprint` and `…/void`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// 1 to 200 characters.
    pub reason: String,
}

/// `POST /api/v1/stations/{station}/out`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeOut {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_base64: Option<String>,
    /// 1 to 200 characters.
    pub reason: String,
}

/// `POST /api/v1/runs/{run}/sign`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Why it is signed though something is not settled: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<String>,
}
