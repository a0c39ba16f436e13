//! A client of the pure model that owns the time, and the bodies that the tests send.
#![allow(clippy::unwrap_used)] // helpers of tests count as outside of tests
#![allow(dead_code)] // each test binary uses its part

use serde_json::{Value, json};
use tamga_simulators::model::xtrace::base64;
use tamga_simulators::model::xtrace::layout::GS;
use tamga_simulators::model::xtrace::route::Request;
use tamga_simulators::model::xtrace::settings::Settings;
use tamga_simulators::model::xtrace::{Reply, Xtrace};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub const WATER: &str = "04780000000014";
pub const WATER_GROUP: &str = "14780000000011";
pub const SOFTDRINKS: &str = "04780000000021";
pub const BEER: &str = "04780000000038";
pub const PHARMA: &str = "04780000000045";
pub const APPLIANCES: &str = "04780000000052";
pub const TOBACCO: &str = "04780000000069";
/// Serial reference of the GS1 General Specifications, with its check digit.
pub const BOX: &str = "00106141412345678908";
pub const SECOND_BOX: &str = "00106141412345678915";

pub const T0: OffsetDateTime = datetime!(2026-02-01 08:00 UTC);

pub struct World {
    pub model: Xtrace,
    pub now: OffsetDateTime,
    pub key: String,
}

impl World {
    pub fn new(settings: Settings) -> World {
        World { model: Xtrace::new(settings), now: T0, key: "uz-key".to_owned() }
    }

    /// No delays, no limit of calls: the rules alone.
    pub fn at_once() -> World {
        let mut settings = Settings::uz().at_once();
        settings.limits.calls_per_min_max = 1_000_000;
        World::new(settings)
    }

    pub fn wait(&mut self, ms: i64) {
        self.now += Duration::milliseconds(ms);
    }

    pub fn send(&mut self, request: &Request) -> Reply {
        self.model.handle(self.now, request)
    }

    pub fn get(&mut self, target: &str) -> (u16, Value) {
        let reply = self.send(&Request::new("GET", target, &self.key));
        (reply.status, read(&reply))
    }

    pub fn post(&mut self, target: &str, body: &Value) -> (u16, Value) {
        let reply = self.send(&Request::new("POST", target, &self.key).with_body(body.to_string()));
        (reply.status, read(&reply))
    }

    pub fn good(&mut self, target: &str) -> Value {
        let (status, value) = self.get(target);
        assert_eq!(status, 200, "{target}: {value}");
        value
    }

    pub fn good_post(&mut self, target: &str, body: &Value) -> Value {
        let (status, value) = self.post(target, body);
        assert_eq!(status, 200, "{target}: {value}");
        value
    }

    /// Makes an order of one line that is ready a second later.
    pub fn order(&mut self, group: &str, gtin: &str, quantity: u64) -> String {
        let answer = self.good_post("/api/orders", &order_body(group, gtin, quantity));
        self.wait(1_000);
        text(&answer["orderId"])
    }

    /// Codes of a new order, fetched in one pack.
    pub fn codes(&mut self, group: &str, gtin: &str, quantity: u64) -> Vec<String> {
        let order = self.order(group, gtin, quantity);
        let answer = self.good(&format!("/api/codes?orderId={order}&gtin={gtin}&quantity={quantity}"));
        self.wait(1_000);
        texts(&answer["codes"])
    }

    /// Sends an application report and gives its final status and reason.
    pub fn report(&mut self, group: &str, body: &Value) -> (String, String) {
        let answer = self.good_post(&format!("/api/utilisation?productGroup={group}"), body);
        self.wait(5_000);
        let report = self.good(&format!("/api/utilisation/{}", text(&answer["reportId"])));
        let reason = report["rejectReason"].as_str().unwrap_or_default();
        (text(&report["reportStatus"]), reason.to_owned())
    }

    /// Codes on items, named by identity.
    pub fn applied(&mut self, group: &str, gtin: &str, quantity: u64) -> Vec<String> {
        let codes = self.codes(group, gtin, quantity);
        let body = self.report_body(&codes);
        assert_eq!(self.report(group, &body), ("SUCCESS".to_owned(), String::new()));
        codes.iter().map(|code| identity(code)).collect()
    }

    pub fn report_body(&self, codes: &[String]) -> Value {
        json!({
            "sntins": codes,
            "businessPlaceId": 123,
            "releaseType": "PRODUCTION",
            "manufacturerCountry": "UZ",
            "productionDate": iso(self.now - Duration::milliseconds(500)),
            "expirationDate": iso(self.now + Duration::days(365)),
        })
    }

    /// Sends a document and gives its id and final status.
    pub fn document(&mut self, path: &str, body: &Value) -> (String, String) {
        let answer = self.good_post(&format!("/public/api/v1/doc/{path}"), &envelope(body));
        let id = text(&answer["documentId"]);
        self.wait(5_000);
        let shown = self.good(&format!("/public/api/v1/doc/storage/docs/{id}"));
        (id, text(&shown["status"]))
    }

    pub fn aggregation_body(&self, units: &[(&str, &[String])]) -> Value {
        let units: Vec<Value> = units
            .iter()
            .map(|(unit, codes)| {
                json!({
                    "aggregationItemsCount": codes.len(),
                    "aggregationUnitCapacity": codes.len(),
                    "codes": codes,
                    "unitSerialNumber": unit,
                })
            })
            .collect();
        json!({ "aggregationUnits": units, "businessPlaceId": 123, "documentDate": iso(self.now) })
    }

    pub fn errors(&mut self, document: &str) -> Vec<String> {
        let answer = self.good(&format!("/public/api/v1/doc/storage/errors/{document}"));
        let errors = answer["documentErrors"].as_array().unwrap();
        errors.iter().map(|error| text(&error["errorCode"])).collect()
    }

    pub fn status_of(&mut self, identity: &str) -> String {
        let answer = self.good_post("/public/api/cod/public/codes", &json!({ "codes": [identity] }));
        text(&answer[0]["status"])
    }
}

pub fn order_body(group: &str, gtin: &str, quantity: u64) -> Value {
    let cis_type = if gtin == WATER_GROUP { "GROUP" } else { "UNIT" };
    json!({
        "productGroup": group,
        "products": [
            { "gtin": gtin, "quantity": quantity, "serialNumberType": "OPERATOR", "cisType": cis_type }
        ],
        "businessPlaceId": 123,
        "releaseMethodType": "PRIMARY",
        "poNumber": "PO-1",
        "isPaid": true,
    })
}

pub fn envelope(body: &Value) -> Value {
    json!({ "documentBody": base64::encode(body.to_string().as_bytes()), "signature": "" })
}

pub fn identity(full: &str) -> String {
    full.split(GS).next().unwrap().to_owned()
}

pub fn iso(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// The body as JSON; anything else as a string.
pub fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&reply.body).into_owned()))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

pub fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

pub fn bad_parameter(name: &str) -> (u16, Value) {
    (400, json!([{ "code": "invalid-input-parameter", "context": { "parameter": name } }]))
}

pub fn refused(code: &str) -> (u16, Value) {
    (400, json!([{ "code": code }]))
}
