//! What the system says of codes: the public method answers a bare array, the private one an object.
//!
//! Codes are asked for by identity; one with a tail is not found.

use super::answer::{Answer, ApiError, Body, iso};
use super::codes::Code;
use super::input::Object;
use super::layout::is_transport_code;
use super::orders::add;
use super::{Call, Xtrace};
use serde_json::{Value, json};

impl Xtrace {
    pub(super) fn look_up_public(&self, call: &Call<'_>) -> Result<Value, ApiError> {
        let asked = self.asked(call)?;
        let with_history = Object::parse(call.body)?.0.get("addCodeHistory") == Some(&Value::Bool(true));
        let info = |code: &String| {
            let mut info = self.public_info(code)?;
            if with_history {
                info["codeHistory"] = self.history(code);
            }
            Some(info)
        };
        Ok(asked.iter().filter_map(info).collect())
    }

    /// 307 to the public method when nothing that exists belongs to the caller.
    pub(super) fn look_up_private(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let (mut results, mut forbidden, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for code in self.asked(call)? {
            match self.owner(&code) {
                None => missing.push(code),
                Some(owner) if owner != call.tin => forbidden.push(code),
                Some(_) => results.push(self.private_info(&code)),
            }
        }
        if results.is_empty() && !forbidden.is_empty() {
            let location = ("location", "/public/api/cod/public/codes".to_owned());
            return Ok(Answer { status: 307, headers: vec![location], body: Body::Empty });
        }
        Ok(Answer::ok(json!({ "results": results, "forbiddenCodes": forbidden, "missingCodes": missing })))
    }

    fn asked(&self, call: &Call<'_>) -> Result<Vec<String>, ApiError> {
        let body = Object::parse(call.body)?;
        let codes = body.texts("codes")?;
        let is_bad = |code: &String| code.chars().count() < 20 || !code.is_ascii();
        if codes.len() > self.settings.limits.lookup_codes_max || codes.iter().any(is_bad) {
            return Err(ApiError::parameter("codes"));
        }
        Ok(codes)
    }

    fn owner(&self, identity: &str) -> Option<&str> {
        let code = self.codes.get(identity).map(|code| code.owner.as_str());
        code.or_else(|| self.tree.boxes.get(identity).map(String::as_str))
    }

    fn public_info(&self, identity: &str) -> Option<Value> {
        let owner = self.owner(identity)?;
        let mut info = json!({
            "code": identity,
            "isHadExtendedCode": false,
            "packageType": self.package_type(identity),
            "status": "APPLIED",
            "issuerShortInfo": { "issuerTin": owner, "issuerName": { "ru": self.name(owner) } },
            "template": "SSCC",
        });
        if let Some(code) = self.codes.get(identity) {
            info["status"] = code.status.name().into();
            info["template"] = template(code).into();
            info["gtin"] = code.gtin.clone().into();
            info["productGroupId"] = code.product_group.clone().into();
            info["emissionDate"] = iso(code.issued).into();
            info["issueDate"] = iso(code.issued).into();
            add(
                &mut info,
                [
                    ("productionDate", code.production.map(|at| iso(at).into())),
                    ("expirationDate", code.expiration.map(|at| iso(at).into())),
                    ("productSeries", code.series.clone().map(Value::from)),
                ],
            );
        }
        Some(info)
    }

    fn private_info(&self, identity: &str) -> Value {
        let children = self.tree.children.get(identity);
        let mut package = json!({
            "packageType": self.package_type(identity),
            "children": children.cloned().unwrap_or_default(),
            "actuallyPacked": children.map_or(0, Vec::len),
            "emptyPackage": children.is_none_or(Vec::is_empty),
        });
        add(&mut package, [("parentCode", self.tree.parent.get(identity).cloned().map(Value::from))]);
        let Some(code) = self.codes.get(identity) else {
            return json!({
                "codeData": { "code": identity, "template": "SSCC", "status": "APPLIED" },
                "packageData": package,
            });
        };
        let mut product = json!({ "gtin": code.gtin, "productGroupId": code.product_group });
        add(
            &mut product,
            [
                ("productionDate", code.production.map(|at| iso(at).into())),
                ("expirationDate", code.expiration.map(|at| iso(at).into())),
                ("manufacturerCountry", code.country.clone().map(Value::from)),
            ],
        );
        let mut marking = json!({
            "emissionDate": iso(code.issued),
            "issueDate": iso(code.issued),
            "emissionType": "PRIMARY",
            "issuerInfo": { "issuerTin": code.owner, "issuerName": { "ru": self.name(&code.owner) } },
        });
        add(&mut marking, [("utilisationDate", code.applied.map(|at| iso(at).into()))]);
        let mut turnover = json!({ "ownerInfo": { "ownerTin": code.owner } });
        add(&mut turnover, [("originalReleaseMethod", code.release_type.clone().map(Value::from))]);
        json!({
            "codeData": { "code": identity, "template": template(code), "status": code.status.name() },
            "productData": product,
            "packageData": package,
            "markingData": marking,
            "turnoverData": turnover,
            "codeHistory": [],
        })
    }

    /// The report by which a code was applied.
    fn history(&self, identity: &str) -> Value {
        let code = self.codes.get(identity);
        let applied = code.and_then(|code| Some((code.applied_by.as_ref()?, code.applied?)));
        let event = |(report, at): (&String, time::OffsetDateTime)| {
            json!({
                "eventDate": iso(at),
                "eventSourceId": report,
                "documentType": "UTILISATION",
                "eventChangedCodeStatus": "APPLIED",
            })
        };
        applied.into_iter().map(event).collect()
    }

    fn package_type(&self, identity: &str) -> &'static str {
        if let Some(code) = self.codes.get(identity) {
            return code.cis_type.name();
        }
        let children = self.tree.children.get(identity);
        let holds_boxes =
            children.is_some_and(|children| children.iter().any(|child| is_transport_code(child)));
        if holds_boxes { "BOX_LV_2" } else { "BOX_LV_1" }
    }

    fn name(&self, tin: &str) -> &str {
        let account = self.settings.accounts.iter().find(|account| account.tin == tin);
        account.map_or("", |account| &account.name)
    }
}

fn template(code: &Code) -> &'static str {
    if code.full.contains("\u{1d}92") { "GS1_AISTR" } else { "GS1_AISTR_SHORT" }
}
