//! What is really so, for oracles: no fault touches it, no endpoint of the API shows it.

use super::Xtrace;
use super::codes::CodeStatus;
use super::documents::Work;
use super::fault::{Fault, FaultPlan};
use super::route::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub codes: Vec<CodeTruth>,
    pub orders: Vec<OrderTruth>,
    /// Application reports and documents, in the order in which they came.
    pub documents: Vec<DocumentTruth>,
    pub boxes: Vec<BoxTruth>,
    /// All packs that ever were, also those that are none any more.
    #[serde(default)]
    pub units: Vec<UnitTruth>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTruth {
    /// The identity.
    pub code: String,
    /// With tail, as it was made.
    pub full: String,
    /// What the pack held, where a fault damaged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_as: Option<String>,
    pub gtin: String,
    pub product_group: String,
    pub status: CodeStatus,
    pub order_id: String,
    /// More than one entry: given twice.
    pub pack_ids: Vec<String>,
    pub applied_by: Option<String>,
    /// Every report and document that named it, with effect or without.
    pub documents: Vec<String>,
    pub parent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTruth {
    pub order_id: String,
    pub po_number: Option<String>,
    pub product_group: String,
    pub status: String,
    /// Something on the way repeated the request, and made this one too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub echo: bool,
    pub lines: Vec<LineTruth>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTruth {
    pub gtin: String,
    pub status: String,
    pub total: u64,
    pub passed: u64,
    pub left: u64,
    pub annulled: u64,
    pub packs: Vec<PackTruth>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackTruth {
    pub pack_id: String,
    pub codes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentTruth {
    pub document_id: String,
    pub kind: String,
    pub status: String,
    /// The sender's own number (`productionOrderId`), where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_number: Option<String>,
    /// Something on the way repeated the request, and made this one too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub echo: bool,
    pub reject_reason: Option<String>,
    /// What it names; of an aggregation what is to lie in its units.
    pub codes: Vec<String>,
    /// The units of an aggregation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxTruth {
    pub code: String,
    pub parent: Option<String>,
    pub children: Vec<String>,
}

/// How often documents took effect on a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitTruth {
    pub code: String,
    pub made: u32,
    pub taken_apart: u32,
}

/// Counts only: cheap enough to be asked in a loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub codes: BTreeMap<CodeStatus, u64>,
    pub annulled: u64,
    pub orders: BTreeMap<String, u64>,
    /// By kind and status, as `UTILISATION SUCCESS`.
    pub documents: BTreeMap<String, u64>,
    pub boxes: u64,
    /// Requests by endpoint, struck by faults or not.
    pub requests: BTreeMap<Endpoint, u64>,
    pub faults: BTreeMap<Fault, u64>,
}

/// The plan in force and how often each fault has struck.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    pub plan: FaultPlan,
    pub struck: BTreeMap<Fault, u64>,
}

impl Xtrace {
    pub fn truth(&mut self, now: OffsetDateTime) -> Truth {
        self.advance(now);
        Truth {
            codes: self.code_truths(),
            orders: self.order_truths(),
            documents: self.document_ids.iter().filter_map(|id| self.document_truth(id)).collect(),
            boxes: self.box_truths(),
            units: self.unit_truths(),
        }
    }

    pub fn summary(&mut self, now: OffsetDateTime) -> Summary {
        self.advance(now);
        let lines = self.orders.values().flat_map(|order| &order.lines);
        Summary {
            codes: count(self.codes.values().map(|code| code.status)),
            annulled: lines.map(|line| line.annulled).sum(),
            orders: count(self.orders.values().map(|order| order.status.name().to_owned())),
            documents: count(
                self.documents
                    .values()
                    .map(|document| format!("{} {}", document.kind.name(), document.status.name())),
            ),
            boxes: self.tree.boxes.len() as u64,
            requests: self.requests.clone(),
            faults: self.faults.struck().clone(),
        }
    }

    pub fn fault_report(&self) -> FaultReport {
        FaultReport { plan: self.faults.plan().clone(), struck: self.faults.struck().clone() }
    }

    fn code_truths(&self) -> Vec<CodeTruth> {
        let codes = self.codes.iter();
        codes
            .map(|(identity, code)| CodeTruth {
                code: identity.clone(),
                full: code.full.clone(),
                issued_as: code.issued_as.clone(),
                gtin: code.gtin.clone(),
                product_group: code.product_group.clone(),
                status: code.status,
                order_id: code.order_id.clone(),
                pack_ids: code.pack_ids.clone(),
                applied_by: code.applied_by.clone(),
                documents: code.documents.clone(),
                parent: self.tree.parent.get(identity).cloned(),
            })
            .collect()
    }

    fn order_truths(&self) -> Vec<OrderTruth> {
        let orders = self.order_ids.iter().filter_map(|id| self.orders.get(id));
        orders
            .map(|order| OrderTruth {
                order_id: order.id.clone(),
                po_number: order.po_number.clone(),
                product_group: order.product_group.clone(),
                status: order.status.name().to_owned(),
                echo: self.echoes.contains(&order.id),
                lines: order
                    .lines
                    .iter()
                    .map(|line| LineTruth {
                        gtin: line.gtin.clone(),
                        status: line.status.name().to_owned(),
                        total: line.total,
                        passed: line.passed,
                        left: line.left(),
                        annulled: line.annulled,
                        packs: line
                            .packs
                            .iter()
                            .map(|pack| PackTruth { pack_id: pack.id.clone(), codes: pack.codes.clone() })
                            .collect(),
                    })
                    .collect(),
            })
            .collect()
    }

    fn document_truth(&self, id: &str) -> Option<DocumentTruth> {
        self.documents.get(id).map(|document| DocumentTruth {
            document_id: id.to_owned(),
            kind: document.kind.name().to_owned(),
            status: document.status.name().to_owned(),
            own_number: document.body["productionOrderId"].as_str().map(str::to_owned),
            echo: self.echoes.contains(id),
            reject_reason: document.reject_reason.clone(),
            codes: document.codes.clone(),
            units: match &document.work {
                Work::Aggregate { units, .. } => units.iter().map(|unit| unit.code.clone()).collect(),
                _ => Vec::new(),
            },
        })
    }

    fn unit_truths(&self) -> Vec<UnitTruth> {
        let units = self.tree.times.iter();
        units
            .map(|(code, &(made, taken_apart))| UnitTruth { code: code.clone(), made, taken_apart })
            .collect()
    }

    fn box_truths(&self) -> Vec<BoxTruth> {
        let units = self.tree.children.iter();
        units
            .map(|(code, children)| BoxTruth {
                code: code.clone(),
                parent: self.tree.parent.get(code).cloned(),
                children: children.clone(),
            })
            .collect()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}
