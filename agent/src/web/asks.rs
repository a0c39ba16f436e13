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

/// `POST /api/v1/packs/rework`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rework {
    /// `take_out`, `back`, `sample`, `scrap`, `replace`, `empty`, `unpack`, `merge` or `move`.
    #[serde(rename = "do")]
    pub order: String,
    /// What is taken out or moved, 1 to 200; or the one item or pack that is replaced, emptied, unpacked or merged.
    pub what: Vec<Scan>,
    /// What is put in its place, or the pack that the others go into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Scan>,
    /// Of what is replaced: `take_out` (the usual), `back`, `sample` or `scrap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<String>,
    /// 1 to 200 characters.
    pub reason: String,
    /// The plan that was shown. Without it nothing is done that reaches further than what was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// The caller's own key: asking again with the same key does nothing twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// `POST /api/v1/packs/label`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackLabel {
    /// Its label, the one that became void, or an item in it.
    pub what: Scan,
    /// The station whose printer prints it.
    pub station: String,
    /// 1 to 200 characters.
    pub reason: String,
}

/// `POST /api/v1/packs/close`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackClose {
    /// The label that became void, or an item in the pack.
    pub what: Scan,
    /// Its new label, as it was read on it.
    pub label: Scan,
}

/// `POST /api/v1/packs/doctor`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doctor {
    pub what: Scan,
    /// All that lies in the pack, as somebody scanned it; absent: nobody looked into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Vec<Scan>>,
}

/// `POST /api/v1/packs/mend`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mend {
    pub what: Scan,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Vec<Scan>>,
    /// The plan that the doctor showed.
    pub confirm: String,
    /// 1 to 200 characters.
    pub reason: String,
}
