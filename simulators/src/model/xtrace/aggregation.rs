//! What documents do: packs put together and taken apart, codes withdrawn, corrected, graded.
//!
//! A unit is made whole or not at all; a document with good and bad units is `PARTIALLY_PROCESSED`.

use super::answer::ApiError;
use super::codes::{Code, CodeStatus};
use super::documents::{DocError, DocKind, Document, Settled, Work};
use super::fault::Fault;
use super::input::Object;
use super::layout::{identity_of, is_transport_code};
use super::route::Endpoint;
use super::settings::CisType;
use super::{Call, Xtrace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Who is packed in what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub parent: BTreeMap<String, String>,
    pub children: BTreeMap<String, Vec<String>>,
    /// Transport codes in use, each with its owner.
    pub boxes: BTreeMap<String, String>,
    /// How often a unit was made, and taken apart.
    pub times: BTreeMap<String, (u32, u32)>,
}

impl Tree {
    fn attach(&mut self, unit: &str, children: &[String]) {
        for child in children {
            self.parent.insert(child.clone(), unit.to_owned());
        }
        self.children.insert(unit.to_owned(), children.to_vec());
    }

    fn empty(&mut self, unit: &str) {
        for child in self.children.remove(unit).unwrap_or_default() {
            self.parent.remove(&child);
        }
    }

    fn take_out(&mut self, unit: &str) {
        if let Some(parent) = self.parent.remove(unit)
            && let Some(children) = self.children.get_mut(&parent)
        {
            children.retain(|child| child != unit);
        }
    }

    /// The unit and everything in it.
    fn with_content(&self, unit: &str) -> Vec<String> {
        let mut found = vec![unit.to_owned()];
        let mut at = 0;
        while at < found.len() {
            found.extend(self.children.get(&found[at]).into_iter().flatten().cloned());
            at += 1;
        }
        found
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub code: String,
    pub children: Vec<String>,
    pub capacity: u64,
    pub count: u64,
    pub unbundle: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    pub to: CodeStatus,
    pub with_children: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    pub production: Option<OffsetDateTime>,
    pub expiration: Option<OffsetDateTime>,
    pub series: Option<String>,
    pub country: Option<String>,
}

impl Xtrace {
    pub(super) fn read_document(&self, call: &Call<'_>, body: Object) -> Result<Document, ApiError> {
        let (kind, codes, work) = match call.argument {
            "aggregation" => self.read_aggregation(&body)?,
            "transport-code-disaggregation" => {
                body.date("businessDatetime")?;
                (DocKind::Disaggregation, body.texts("codes")?, Work::Disaggregate)
            }
            "withdrawal" => read_withdrawal(&body)?,
            "validation" => read_validation(&body)?,
            _ => read_correction(&body)?,
        };
        let group = body.text_or_none("productGroup")?.map(str::to_owned);
        let group = group.or_else(|| {
            let first = codes.iter().find_map(|code| self.codes.get(code));
            first.map(|code| code.product_group.clone())
        });
        Ok(Document::new(kind, call, group, Value::Object(body.0), codes, work))
    }

    fn read_aggregation(&self, body: &Object) -> Result<(DocKind, Vec<String>, Work), ApiError> {
        body.integer("businessPlaceId")?;
        let packed = body.date("documentDate")?;
        let mut units = Vec::new();
        for unit in body.objects("aggregationUnits")? {
            units.push(Unit {
                code: unit.text("unitSerialNumber")?.to_owned(),
                children: unit.texts("codes")?,
                capacity: unit.integer("aggregationUnitCapacity")?,
                count: unit.integer("aggregationItemsCount")?,
                unbundle: unit.flag("shouldBeUnbundled")?.unwrap_or(false),
            });
        }
        let groups = units.iter().filter(|unit| !is_transport_code(&unit.code)).count();
        if groups > self.settings.limits.group_units_max {
            return Err(ApiError::parameter("aggregationUnits"));
        }
        let codes = units.iter().flat_map(|unit| unit.children.iter().cloned()).collect();
        Ok((DocKind::Aggregation, codes, Work::Aggregate { units, packed }))
    }

    pub(super) fn settle_aggregation(
        &mut self,
        document: &Document,
        units: &[Unit],
        packed: OffsetDateTime,
    ) -> Settled {
        if self.faults.strike(Fault::RefuseDocument, Endpoint::DocumentCreate) {
            return refused_whole(document);
        }
        let mut faults = Vec::new();
        let mut errors = Vec::new();
        let struck = self.one_of(units.len());
        for (at, unit) in units.iter().enumerate() {
            let refused = (struck == Some(at)).then_some("unit-not-processed");
            let unit_error = self.unit_error(document, unit).or(refused);
            let mut seen = BTreeSet::new();
            let children: Vec<Option<&'static str>> = unit
                .children
                .iter()
                .map(|child| {
                    let repeated = (!seen.insert(child)).then_some("code-repeated");
                    self.child_error(document, unit, child, packed).or(repeated)
                })
                .collect();
            if let Some(error) = unit_error {
                let property = "aggregationUnits.unitSerialNumber";
                errors.push(DocError { property, index: at, error, code: unit.code.clone() });
            }
            let first = faults.len();
            let of_children = DocError::of_codes("aggregationUnits.codes", &unit.children, &children);
            errors.extend(
                of_children.into_iter().map(|error| DocError { index: first + error.index, ..error }),
            );
            let is_good = unit_error.is_none() && children.iter().all(Option::is_none);
            if is_good {
                self.pack(&document.owner, unit);
            }
            faults.extend(
                children.into_iter().map(|fault| if is_good { None } else { fault.or(Some("unit-refused")) }),
            );
        }
        Settled { faults, errors, reject_reason: None }
    }

    fn pack(&mut self, owner: &str, unit: &Unit) {
        if unit.unbundle {
            self.tree.take_out(&unit.code);
        }
        self.tree.empty(&unit.code);
        if is_transport_code(&unit.code) {
            self.tree.boxes.insert(unit.code.clone(), owner.to_owned());
        }
        self.tree.attach(&unit.code, &unit.children);
        self.tree.times.entry(unit.code.clone()).or_default().0 += 1;
    }

    /// The place of what one document fails on for no fault of its own, where one does.
    fn one_of(&mut self, len: usize) -> Option<usize> {
        let struck = len > 1 && self.faults.strike(Fault::PartDocument, Endpoint::DocumentCreate);
        struck.then(|| self.rng.usize(..len))
    }

    fn is_refused(&self, code: &str) -> bool {
        self.faults.plan().refused_units.iter().any(|refused| refused == code)
    }

    fn unit_error(&self, document: &Document, unit: &Unit) -> Option<&'static str> {
        let limits = &self.settings.limits;
        let children_max = if is_transport_code(&unit.code) {
            let holds_boxes = unit.children.iter().any(|child| is_transport_code(child));
            if holds_boxes { limits.pallet_children_max } else { limits.box_children_max }
        } else {
            let group = self.own_code(&document.owner, &unit.code);
            match group {
                None if unit.code.len() == 20 => return Some("unit-code-invalid"),
                None => return Some(self.unknown(&unit.code)),
                Some(code) if code.cis_type == CisType::Unit => return Some("unit-code-invalid"),
                Some(code) if code.status != CodeStatus::Received && !code.status.is_on_item() => {
                    return Some("code-wrong-status");
                }
                Some(_) => limits.group_children_max,
            }
        };
        let is_packed = self.tree.children.contains_key(&unit.code);
        if self.tree.boxes.get(&unit.code).is_some_and(|owner| *owner != document.owner) {
            Some("unit-of-another-owner")
        } else if self.is_refused(&unit.code) {
            Some("unit-refused-by-name")
        } else if is_packed && !self.settings.strict.aggregation_replaces {
            Some("unit-already-aggregated")
        } else if self.tree.parent.contains_key(&unit.code) && !unit.unbundle {
            Some("unit-has-parent")
        } else if unit.count != unit.children.len() as u64 {
            Some("items-count-mismatch")
        } else if unit.count > unit.capacity || unit.children.len() > children_max {
            Some("capacity-exceeded")
        } else {
            None
        }
    }

    fn child_error(
        &self,
        document: &Document,
        unit: &Unit,
        child: &str,
        packed: OffsetDateTime,
    ) -> Option<&'static str> {
        if self.tree.with_content(child).contains(&unit.code) {
            return Some("unit-in-itself");
        }
        if self.is_refused(child) {
            return Some("code-refused");
        }
        let packed_elsewhere = self
            .tree
            .parent
            .get(child)
            .is_some_and(|parent| !(self.settings.strict.aggregation_replaces && *parent == unit.code));
        if self.tree.boxes.get(child).is_some_and(|owner| *owner == document.owner) {
            return packed_elsewhere.then_some("code-already-aggregated");
        }
        let Some(code) = self.own_code(&document.owner, child) else {
            return Some(self.unknown(child));
        };
        if !code.status.is_on_item() {
            Some("code-wrong-status")
        } else if packed_elsewhere {
            Some("code-already-aggregated")
        } else if code.production.is_some_and(|production| packed <= production) {
            Some("document-date-before-production")
        } else {
            None
        }
    }

    fn own_code(&self, owner: &str, identity: &str) -> Option<&Code> {
        self.codes.get(identity).filter(|code| code.owner == owner)
    }

    /// A full code where an identity is wanted is refused by its own name.
    fn unknown(&self, given: &str) -> &'static str {
        let known = identity_of(given).is_some_and(|identity| self.codes.contains_key(identity));
        if known { "code-with-tail" } else { "code-not-found" }
    }

    pub(super) fn settle_disaggregation(&mut self, document: &Document) -> Settled {
        self.each_code(document, |model, unit| {
            if model.tree.boxes.get(unit).is_none_or(|owner| *owner != document.owner) {
                return Some("code-not-found");
            }
            if !model.tree.children.contains_key(unit) {
                return Some("code-not-aggregated");
            }
            if model.tree.parent.contains_key(unit) {
                return Some("code-has-parent");
            }
            model.tree.empty(unit);
            model.tree.times.entry(unit.to_owned()).or_default().1 += 1;
            if !model.settings.strict.empty_packs_are_known {
                model.tree.boxes.remove(unit);
            }
            None
        })
    }

    pub(super) fn settle_withdrawal(&mut self, document: &Document, withdrawal: &Withdrawal) -> Settled {
        self.each_code(document, |model, code| {
            let is_box = model.tree.boxes.get(code).is_some_and(|owner| *owner == document.owner);
            if !is_box && model.own_code(&document.owner, code).is_none() {
                return Some(model.unknown(code));
            }
            if model.tree.parent.contains_key(code) {
                return Some("code-has-parent");
            }
            let all = model.tree.with_content(code);
            if all.len() > 1 && !withdrawal.with_children {
                return Some("unit-not-empty");
            }
            let is_dead =
                |identity: &String| model.codes.get(identity).is_some_and(|code| !code.status.is_on_item());
            if all.iter().any(is_dead) {
                return Some("code-wrong-status");
            }
            for identity in all {
                if let Some(code) = model.codes.get_mut(&identity) {
                    code.status = withdrawal.to;
                }
                model.tree.empty(&identity);
                model.tree.boxes.remove(&identity);
            }
            None
        })
    }

    pub(super) fn settle_validation(&mut self, document: &Document) -> Settled {
        self.each_code(document, |model, code| match model.own_code(&document.owner, code) {
            Some(_) => None,
            None => Some(model.unknown(code)),
        })
    }

    pub(super) fn settle_correction(&mut self, document: &Document, correction: &Correction) -> Settled {
        self.each_code(document, |model, identity| {
            let unknown = model.unknown(identity);
            let code = model.codes.get_mut(identity).filter(|code| code.owner == document.owner);
            let Some(code) = code else { return Some(unknown) };
            if !code.status.is_on_item() {
                return Some("code-wrong-status");
            }
            code.production = correction.production.or(code.production);
            code.expiration = correction.expiration.or(code.expiration);
            code.series = correction.series.clone().or(code.series.take());
            code.country = correction.country.clone().or(code.country.take());
            None
        })
    }

    fn each_code(
        &mut self,
        document: &Document,
        mut work: impl FnMut(&mut Xtrace, &str) -> Option<&'static str>,
    ) -> Settled {
        if self.faults.strike(Fault::RefuseDocument, Endpoint::DocumentCreate) {
            return refused_whole(document);
        }
        let struck = self.one_of(document.codes.len());
        let mut each = |(at, code): (usize, &String)| match code {
            _ if struck == Some(at) => Some("code-not-processed"),
            code if self.is_refused(code) => Some("code-refused"),
            code => work(self, code),
        };
        let faults: Vec<_> = document.codes.iter().enumerate().map(&mut each).collect();
        let errors = DocError::of_codes("codes", &document.codes, &faults);
        Settled { faults, errors, reject_reason: None }
    }
}

/// In `ERROR`, without a word of why.
fn refused_whole(document: &Document) -> Settled {
    let faults = document.codes.iter().map(|_| Some("document-refused")).collect();
    let reject_reason = Some("internal-processing-error".to_owned());
    Settled { faults, errors: Vec::new(), reject_reason }
}

type Read = (DocKind, Vec<String>, Work);

fn read_withdrawal(body: &Object) -> Result<Read, ApiError> {
    body.integer("businessPlaceId")?;
    body.date("withdrawalDate")?;
    body.text("withdrawalReason")?;
    let to = match body.one_of("withdrawalType", &["WITHDRAWAL", "WRITE_OFF"])? {
        "WRITE_OFF" => CodeStatus::WrittenOff,
        _ => CodeStatus::Withdrawn,
    };
    let with_children = body.flag("childrenWriteOff")?.unwrap_or(false);
    Ok((DocKind::Withdrawal, codes_of_objects(body)?, Work::Withdraw(Withdrawal { to, with_children })))
}

fn read_validation(body: &Object) -> Result<Read, ApiError> {
    body.date("documentDate")?;
    body.text("productGroup")?;
    body.integer("businessPlaceId")?;
    body.one_of("packageType", &["UNIT", "GROUP", "SET"])?;
    for code in body.objects("codes")? {
        code.one_of("printQualityClass", &["A", "B", "C", "D", "F"])?;
    }
    Ok((DocKind::Validation, codes_of_objects(body)?, Work::Validate))
}

fn read_correction(body: &Object) -> Result<Read, ApiError> {
    body.date("businessDatetime")?;
    let fields = Object::from_value(body.need("updatedFields")?, "updatedFields")?;
    if fields.0.is_empty() {
        return Err(ApiError::parameter("updatedFields"));
    }
    let correction = Correction {
        production: fields.date_or_none("productionDatetime")?,
        expiration: fields.date_or_none("expirationDatetime")?,
        series: fields.text_or_none("seriesNumber")?.map(str::to_owned),
        country: fields.text_or_none("manufacturerCountry")?.map(str::to_owned),
    };
    Ok((DocKind::Correction, body.texts("codes")?, Work::Correct(correction)))
}

fn codes_of_objects(body: &Object) -> Result<Vec<String>, ApiError> {
    body.objects("codes")?.iter().map(|code| code.text("code").map(str::to_owned)).collect()
}
