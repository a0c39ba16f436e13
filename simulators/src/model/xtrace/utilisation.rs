//! Application reports: checked in part at once (400), in part later (`ERROR`), and applied as a whole or not at all.

use super::answer::{ApiError, iso};
use super::codes::{Code, CodeStatus};
use super::documents::{DocError, DocKind, DocStatus, Document, Settled, Work};
use super::fault::{Fault, Refusal};
use super::input::Object;
use super::layout::{GS, identity_of};
use super::orders::add;
use super::route::Endpoint;
use super::{Call, Task, Xtrace, millis};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// What an application report says of its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    pub product_group: String,
    pub release_type: String,
    pub production: Option<OffsetDateTime>,
    pub expiration: Option<OffsetDateTime>,
    pub series: Option<String>,
    pub country: Option<String>,
}

impl Xtrace {
    pub(super) fn create_utilisation(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let body = Object::parse(call.body)?;
        let product_group = call.query.need("productGroup")?.to_owned();
        if self.settings.strict.known_fields {
            body.only(self.known_fields())?;
        }
        let codes = body.texts("sntins")?;
        if codes.len() > self.settings.limits.report_codes_max {
            return Err(ApiError::parameter("sntins"));
        }
        body.integer("businessPlaceId")?;
        let application = self.read_application(&body, product_group, call.clock)?;
        body.text_or_none("productionOrderId")?;
        let refused = self.refused_of(&codes);
        if self.faults.plan().refusal == Refusal::AtOnce && !refused.is_empty() {
            return Err(ApiError {
                parameter: Some(refused.join(" ")),
                ..ApiError::new(400, "code-refused")
            });
        }

        let kind = DocKind::Utilisation;
        let group = Some(application.product_group.clone());
        let work = Work::Apply(application);
        let mut document = Document::new(kind, call, group, Value::Object(body.0), codes, work);
        document.status = DocStatus::InProcess;
        let due = call.visible_from + millis(self.settings.delays.utilisation_ms);
        let id = self.file(document);
        self.schedule(due, Task::Document(id.clone(), DocStatus::Success));
        Ok(json!({ "reportId": id }))
    }

    pub(super) fn show_utilisation(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let report = self.document(call).filter(|document| document.kind == DocKind::Utilisation);
        let report = report.ok_or_else(|| ApiError::not_found("report-not-found"))?;
        let mut info = json!({
            "reportId": report.id,
            "reportStatus": report.status.name(),
            "createdTimestamp": iso(report.created),
        });
        add(&mut info, [("rejectReason", report.reject_reason.clone().map(Value::from))]);
        Ok(info)
    }

    fn known_fields(&self) -> &'static [&'static str] {
        const KNOWN: [&str; 9] = [
            "productGroup",
            "sntins",
            "businessPlaceId",
            "releaseType",
            "manufacturerCountry",
            "productionDate",
            "expirationDate",
            "productionOrderId",
            "seriesNumber",
        ];
        if self.settings.strict.product_group_in_body { &KNOWN } else { &KNOWN[1..] }
    }

    fn read_application(
        &self,
        body: &Object,
        product_group: String,
        clock: OffsetDateTime,
    ) -> Result<Application, ApiError> {
        for field in self.settings.required_fields(&product_group) {
            body.need(field)?;
        }
        let production = body.date_or_none("productionDate")?;
        if production.is_some_and(|production| production >= clock) {
            return Err(ApiError::parameter("productionDate"));
        }
        let expiration = body.date_or_none("expirationDate")?;
        if expiration.is_some_and(|expiration| expiration <= clock) {
            return Err(ApiError::parameter("expirationDate"));
        }
        let series = body.text_or_none("seriesNumber")?;
        if series.is_some_and(|series| series.chars().count() > 20) {
            return Err(ApiError::parameter("seriesNumber"));
        }
        let release_type = body.one_of("releaseType", &["PRODUCTION", "IMPORT", "CIRCULATION"])?;
        Ok(Application {
            release_type: release_type.to_owned(),
            production,
            expiration,
            series: series.map(str::to_owned),
            country: body.text_or_none("manufacturerCountry")?.map(str::to_owned),
            product_group,
        })
    }

    /// All codes or none, but for the one fault of that name.
    pub(super) fn settle_utilisation(
        &mut self,
        report: &Document,
        application: &Application,
        due: OffsetDateTime,
    ) -> Settled {
        self.annul_one(report);
        let mut seen = BTreeSet::new();
        let mut faults: Vec<Option<&'static str>> = report
            .codes
            .iter()
            .map(|full| {
                let repeated = !seen.insert(full.as_str());
                self.utilisation_error(report, application, full).or(repeated.then_some("code-repeated"))
            })
            .collect();
        let mut reject_reason = None;
        if faults.iter().all(Option::is_none)
            && self.faults.strike(Fault::RefuseUtilisation, Endpoint::UtilisationCreate)
        {
            reject_reason = Some("internal-processing-error".to_owned());
        } else if faults.iter().all(Option::is_none)
            && report.codes.len() > 1
            && self.faults.strike(Fault::PartUtilisation, Endpoint::UtilisationCreate)
        {
            return self.settle_in_part(report, application, due);
        }
        if let Some(first) = faults.iter().flatten().next() {
            let bad = faults.iter().flatten().count();
            reject_reason = Some(match self.faults.plan().refusal {
                Refusal::Message | Refusal::AtOnce => format!("{first}: {bad} of {} codes", faults.len()),
                Refusal::Codes => format!("{first}: {}", self.refused_of(&report.codes).join(", ")),
                Refusal::Html => "<html><body><h1>422 Unprocessable Entity</h1></body></html>".to_owned(),
            });
        }
        let errors = DocError::of_codes("sntins", &report.codes, &faults);
        if reject_reason.is_some() {
            faults.iter_mut().for_each(|fault| *fault = fault.or(Some("report-refused")));
        } else {
            self.apply(report, &report.codes, application, due);
        }
        Settled { faults, errors, reject_reason }
    }

    /// A part of the codes, the first among them, is applied; the rest stays as it was.
    fn settle_in_part(
        &mut self,
        report: &Document,
        application: &Application,
        due: OffsetDateTime,
    ) -> Settled {
        let part = self.rng.usize(1..report.codes.len());
        let is_left = |at: usize| (at >= part).then_some("code-not-processed");
        let faults: Vec<Option<&'static str>> = (0..report.codes.len()).map(is_left).collect();
        self.apply(report, &report.codes[..part], application, due);
        let errors = DocError::of_codes("sntins", &report.codes, &faults);
        Settled { faults, errors, reject_reason: None }
    }

    /// Somebody annulled one of the codes before its report came.
    fn annul_one(&mut self, report: &Document) {
        if !self.faults.strike(Fault::AnnulCode, Endpoint::UtilisationCreate) {
            return;
        }
        let at = self.rng.usize(..report.codes.len().max(1));
        let code = report.codes.get(at).and_then(|full| identity_of(full));
        if let Some(code) = code.and_then(|identity| self.codes.get_mut(identity))
            && code.status == CodeStatus::Received
        {
            code.status = [CodeStatus::Withdrawn, CodeStatus::WrittenOff][self.rng.usize(..2)];
        }
    }

    fn refused_of(&self, codes: &[String]) -> Vec<String> {
        let refused = &self.faults.plan().refused_codes;
        let is = |full: &&String| identity_of(full).is_some_and(|id| refused.iter().any(|r| r == id));
        codes.iter().filter(is).cloned().collect()
    }

    fn utilisation_error(
        &self,
        report: &Document,
        application: &Application,
        full: &str,
    ) -> Option<&'static str> {
        let found = identity_of(full).and_then(|identity| self.codes.get_key_value(identity));
        let Some((identity, code)) = found.filter(|(_, code)| code.owner == report.owner) else {
            let is_whole = full.contains(GS) && full.is_ascii();
            return Some(if is_whole { "code-not-found" } else { "code-malformed" });
        };
        let before_order = self.settings.strict.production_after_order
            && application.production.is_some_and(|production| production <= code.order_created);
        if code.full != full {
            Some("code-verification-failed")
        } else if self.faults.plan().refused_codes.contains(identity) {
            Some("code-refused")
        } else if code.status != CodeStatus::Received {
            Some("code-wrong-status")
        } else if code.product_group != application.product_group {
            Some("code-wrong-product-group")
        } else if before_order {
            Some("production-date-before-order")
        } else {
            None
        }
    }

    fn apply(&mut self, report: &Document, codes: &[String], application: &Application, due: OffsetDateTime) {
        let applied = self.clock(due);
        let mut introduced = Vec::new();
        for full in codes {
            let identity = identity_of(full).unwrap_or_default();
            let Some(code) = self.codes.get_mut(identity) else { continue };
            *code = Code {
                status: CodeStatus::Applied,
                applied_by: Some(report.id.clone()),
                applied: Some(applied),
                release_type: Some(application.release_type.clone()),
                production: application.production,
                expiration: application.expiration,
                series: application.series.clone(),
                country: application.country.clone(),
                ..code.clone()
            };
            if application.release_type == "PRODUCTION" {
                introduced.push(identity.to_owned());
            }
        }
        if let Some(delay_ms) = self.settings.delays.introduced_ms {
            self.schedule(due + millis(delay_ms), Task::Introduce(introduced));
        }
    }
}
