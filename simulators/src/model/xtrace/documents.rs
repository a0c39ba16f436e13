//! Documents: the envelope, the steps to a final status, and everything that can be read about them.
//!
//! Application reports are kept here too: a search finds them by type `UTILISATION`.

use super::aggregation::{Correction, Unit, Withdrawal};
use super::answer::{ApiError, iso};
use super::input::{Object, keys_are_sorted};
use super::layout::{identity_of, uuid};
use super::orders::add;
use super::utilisation::Application;
use super::{Call, Task, Xtrace, base64, millis, page, page_limit};
use serde_json::{Value, json};
use time::OffsetDateTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocKind {
    Utilisation,
    Aggregation,
    Validation,
    Correction,
    Disaggregation,
    Withdrawal,
}

impl DocKind {
    pub fn name(self) -> &'static str {
        match self {
            DocKind::Utilisation => "UTILISATION",
            DocKind::Aggregation => "AGGREGATION",
            DocKind::Validation => "VALIDATION",
            DocKind::Correction => "CODE_CORRECTION",
            DocKind::Disaggregation => "TRANSPORT_CODE_DISAGGREGATION",
            DocKind::Withdrawal => "WITHDRAWAL",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocStatus {
    Created,
    Validating,
    InProcess,
    Success,
    PartiallyProcessed,
    Error,
}

impl DocStatus {
    pub fn name(self) -> &'static str {
        match self {
            DocStatus::Created => "CREATED",
            DocStatus::Validating => "VALIDATING",
            DocStatus::InProcess => "IN_PROCESS",
            DocStatus::Success => "SUCCESS",
            DocStatus::PartiallyProcessed => "PARTIALLY_PROCESSED",
            DocStatus::Error => "ERROR",
        }
    }

    pub fn is_final(self) -> bool {
        matches!(self, DocStatus::Success | DocStatus::PartiallyProcessed | DocStatus::Error)
    }
}

/// What a document asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Apply(Application),
    Aggregate { units: Vec<Unit>, packed: OffsetDateTime },
    Validate,
    Correct(Correction),
    Disaggregate,
    Withdraw(Withdrawal),
}

/// One entry of `documentErrors`. `index` is the place in the list of all codes of the document, or of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocError {
    pub property: &'static str,
    pub index: usize,
    pub error: &'static str,
    pub code: String,
}

impl DocError {
    pub fn of_codes(
        property: &'static str,
        codes: &[String],
        faults: &[Option<&'static str>],
    ) -> Vec<DocError> {
        let pairs = codes.iter().zip(faults).enumerate();
        pairs
            .filter_map(|(index, (code, fault))| {
                fault.map(|error| DocError { property, index, error, code: code.clone() })
            })
            .collect()
    }
}

/// How the work on a document ended: per code, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub faults: Vec<Option<&'static str>>,
    pub errors: Vec<DocError>,
    pub reject_reason: Option<String>,
}

impl Settled {
    fn status(&self) -> DocStatus {
        let bad = self.faults.iter().flatten().count();
        match bad {
            0 if self.reject_reason.is_none() => DocStatus::Success,
            bad if bad < self.faults.len() && self.reject_reason.is_none() => DocStatus::PartiallyProcessed,
            _ => DocStatus::Error,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: String,
    pub number: usize,
    pub owner: String,
    pub kind: DocKind,
    pub product_group: Option<String>,
    pub status: DocStatus,
    pub created: OffsetDateTime,
    pub visible_from: OffsetDateTime,
    /// The body as it was sent (decoded).
    pub body: Value,
    /// All codes, in the order of the body.
    pub codes: Vec<String>,
    pub faults: Vec<Option<&'static str>>,
    pub errors: Vec<DocError>,
    pub reject_reason: Option<String>,
    pub work: Work,
}

impl Document {
    pub(super) fn new(
        kind: DocKind,
        call: &Call<'_>,
        product_group: Option<String>,
        body: Value,
        codes: Vec<String>,
        work: Work,
    ) -> Document {
        Document {
            id: String::new(),
            number: 0,
            owner: call.tin.clone(),
            kind,
            product_group,
            status: DocStatus::Created,
            created: call.clock,
            visible_from: call.visible_from,
            body,
            codes,
            faults: Vec::new(),
            errors: Vec::new(),
            reject_reason: None,
            work,
        }
    }
}

impl Xtrace {
    /// Checks the envelope and the form of the body; everything else is found out later.
    pub(super) fn create_document(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let envelope = Object::parse(call.body)?;
        if self.settings.strict.known_fields {
            envelope.only(&["documentBody", "signature"])?;
        }
        let bytes = base64::decode(envelope.text("documentBody")?);
        let bytes = bytes.ok_or_else(|| ApiError::parameter("documentBody"))?;
        let body = Object::parse(&bytes).map_err(|_| ApiError::parameter("documentBody"))?;
        if self.settings.strict.sorted_keys && !keys_are_sorted(&bytes) {
            return Err(ApiError::parameter("documentBody"));
        }
        let document = self.read_document(call, body)?;
        if document.codes.len() > self.settings.limits.report_codes_max {
            return Err(ApiError::parameter("codes"));
        }
        let id = self.file(document);
        let due = call.visible_from + millis(self.settings.delays.document_step_ms);
        self.schedule(due, Task::Document(id.clone(), DocStatus::Validating));
        Ok(json!({ "documentId": id }))
    }

    /// Gives the document its id and notes it at its codes.
    pub(super) fn file(&mut self, mut document: Document) -> String {
        document.id = uuid(&mut self.rng);
        document.number = self.document_ids.len() + 1;
        let id = document.id.clone();
        for given in &document.codes {
            let identity =
                if self.codes.contains_key(given) { Some(given.as_str()) } else { identity_of(given) };
            if let Some(code) = identity.and_then(|identity| self.codes.get_mut(identity)) {
                code.documents.push(id.clone());
            }
        }
        self.document_ids.push(id.clone());
        self.documents.insert(id.clone(), document);
        id
    }

    /// Takes the document to its next status; the step behind `IN_PROCESS` does the work.
    pub(super) fn step_document(&mut self, id: &str, status: DocStatus, due: OffsetDateTime) {
        if status.is_final() {
            self.settle(id, due);
            return;
        }
        if let Some(document) = self.documents.get_mut(id) {
            document.status = status;
            let next =
                if status == DocStatus::Validating { DocStatus::InProcess } else { DocStatus::Success };
            let due = due + millis(self.settings.delays.document_step_ms);
            self.schedule(due, Task::Document(id.to_owned(), next));
        }
    }

    fn settle(&mut self, id: &str, due: OffsetDateTime) {
        let Some(mut document) = self.documents.remove(id) else { return };
        let settled = match &document.work {
            Work::Apply(application) => self.settle_utilisation(&document, application, due),
            Work::Aggregate { units, packed } => self.settle_aggregation(&document, units, *packed),
            Work::Validate => self.settle_validation(&document),
            Work::Correct(correction) => self.settle_correction(&document, correction),
            Work::Disaggregate => self.settle_disaggregation(&document),
            Work::Withdraw(withdrawal) => self.settle_withdrawal(&document, withdrawal),
        };
        document.status = settled.status();
        document.faults = settled.faults;
        document.errors = settled.errors;
        document.reject_reason = settled.reject_reason;
        self.documents.insert(id.to_owned(), document);
    }

    pub(super) fn document(&self, call: &Call<'_>) -> Option<&Document> {
        self.documents.get(call.argument).filter(|document| shown(document, call))
    }

    fn need_document(&self, call: &Call<'_>) -> Result<&Document, ApiError> {
        self.document(call).ok_or_else(|| ApiError::not_found("document-not-found"))
    }

    pub(super) fn search_documents(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let query = &call.query;
        let (from, to) = (query.date("dateFrom")?, query.date("dateTo")?);
        let (types, groups, statuses) =
            (query.list("types"), query.list("productGroups"), query.list("status"));
        let listed = |list: &[&str], value: &str| list.is_empty() || list.contains(&value);
        let made =
            self.document_ids.iter().filter_map(|id| self.documents.get(id).map(|doc| (id.as_str(), doc)));
        let found = page(call, self.settings.limits.page_items_max, made, |document| {
            shown(document, call)
                && query.get("documentId").is_none_or(|asked| asked == document.id)
                && listed(&types, document.kind.name())
                && listed(&statuses, document.status.name())
                && listed(&groups, document.product_group.as_deref().unwrap_or_default())
                && from.is_none_or(|from| from <= document.created)
                && to.is_none_or(|to| document.created <= to)
        })?;
        let infos: Vec<Value> = found
            .into_iter()
            .map(|document| {
                json!({
                    "documentId": document.id,
                    "type": document.kind.name(),
                    "status": document.status.name(),
                    "createDate": iso(document.created),
                })
            })
            .collect();
        Ok(json!({ "documentInfos": infos }))
    }

    pub(super) fn show_document(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let document = self.need_document(call)?;
        let mut info = json!({
            "documentId": document.id,
            "originalDocId": document.id,
            "documentNumber": document.number.to_string(),
            "type": document.kind.name(),
            "status": document.status.name(),
            "createDate": iso(document.created),
        });
        add(&mut info, [("productGroup", document.product_group.clone().map(Value::from))]);
        Ok(info)
    }

    pub(super) fn show_document_json(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        Ok(self.need_document(call)?.body.clone())
    }

    pub(super) fn show_document_errors(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let document = self.need_document(call)?;
        let limit = page_limit(call, self.settings.limits.page_items_max)?;
        let skip = call.query.number("lastIndex")?.map_or(0, |last| last as usize + 1);
        let property = call.query.get("propertyName");
        let wanted =
            document.errors.iter().filter(|error| property.is_none_or(|asked| asked == error.property));
        let errors: Vec<Value> = wanted
            .skip(skip)
            .take(limit)
            .map(|error| {
                json!({
                    "propertyName": error.property,
                    "index": error.index,
                    "errorCode": error.error,
                    "errorTags": { "code": error.code },
                })
            })
            .collect();
        Ok(json!({ "documentErrors": errors }))
    }

    /// Empty until the document has a final status.
    pub(super) fn show_document_codes(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let document = self.need_document(call)?;
        let limit = page_limit(call, self.settings.limits.page_items_max)?;
        let skip = call.query.number("lastIndex")?.map_or(0, |last| last as usize + 1);
        let states = document.codes.iter().zip(&document.faults).skip(skip).take(limit);
        Ok(states
            .map(|(code, fault)| match fault {
                None => json!({ "code": code, "state": "SUCCESS" }),
                Some(error) => json!({ "code": code, "state": "ERROR", "errorCode": error }),
            })
            .collect())
    }
}

fn shown(document: &Document, call: &Call<'_>) -> bool {
    document.owner == call.tin && document.visible_from <= call.now
}
