//! What a simulated state system is told at start: who its users are, what they make, how slow and strict it is.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which country's rules of access apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A long-lived API key.
    Uz,
    /// Login and password, tokens of 30 minutes.
    Kz,
}

/// What a code is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CisType {
    Unit,
    Group,
    Set,
}

impl CisType {
    pub fn name(self) -> &'static str {
        match self {
            CisType::Unit => "UNIT",
            CisType::Group => "GROUP",
            CisType::Set => "SET",
        }
    }

    pub fn from_name(name: &str) -> Option<CisType> {
        [CisType::Unit, CisType::Group, CisType::Set].into_iter().find(|kind| kind.name() == name)
    }
}

/// A registered product; an order for any other GTIN is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub gtin: String,
    pub product_group: String,
    pub cis_type: CisType,
    /// Codes of this GTIN cost money: in UZ an order that says `isPaid: false` is rejected.
    pub paid: bool,
}

impl Product {
    pub fn unit(gtin: &str, product_group: &str) -> Product {
        Product {
            gtin: gtin.into(),
            product_group: product_group.into(),
            cis_type: CisType::Unit,
            paid: false,
        }
    }
}

/// A participant of the market with its means of access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub tin: String,
    pub name: String,
    pub api_key: String,
    pub login: String,
    pub password: String,
}

/// How long the server takes between the steps of its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// From `CREATED` to `PENDING`.
    pub order_pending_ms: u64,
    /// From `PENDING` to `READY` or `REJECTED`.
    pub order_ready_ms: u64,
    /// From `IN_PROCESS` to the final status of an application report.
    pub utilisation_ms: u64,
    /// Each of the three steps of a document: to `VALIDATING`, to `IN_PROCESS`, to its final status.
    pub document_step_ms: u64,
    /// From `APPLIED` to `INTRODUCED`; `None` leaves codes `APPLIED`.
    pub introduced_ms: Option<u64>,
}

/// Limits that the operator is known to have, or to have without publishing them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub order_lines_max: usize,
    pub line_codes_max: u64,
    pub pack_codes_max: u64,
    pub active_orders_max: usize,
    pub report_codes_max: usize,
    pub group_units_max: usize,
    pub group_children_max: usize,
    pub box_children_max: usize,
    /// Of a pack that holds packs.
    pub pallet_children_max: usize,
    pub lookup_codes_max: usize,
    pub page_items_max: usize,
    /// Calls of orders and reports per key and minute.
    pub calls_per_min_max: usize,
}

/// Where strictness is a guess, a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strictness {
    /// Documents with unsorted keys answer 400.
    pub sorted_keys: bool,
    /// Unknown fields in bodies answer 400 `invalid-format`.
    pub known_fields: bool,
    /// `productGroup` is allowed in the body of an application report, too.
    pub product_group_in_body: bool,
    /// Production before the creation of the codes' order is refused.
    pub production_after_order: bool,
    /// `GET /api/orders` without `productGroup` answers 400.
    pub orders_need_product_group: bool,
    /// Aggregation into an existing unit replaces its content instead of being refused.
    pub aggregation_replaces: bool,
    /// A pack that was taken apart is shown empty; else it is not known any more.
    pub empty_packs_are_known: bool,
}

/// How the body of an error is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShapes {
    /// As met in the field: arrays for bad input, an object for 401 and 404, HTML for the gateway's errors.
    ByEndpoint,
    /// Any shape for any error, by the seed.
    Random,
    Array,
    ArrayWithContext,
    Object,
    Html,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub mode: Mode,
    pub seed: u64,
    pub accounts: Vec<Account>,
    pub products: Vec<Product>,
    pub delays: Delays,
    pub limits: Limits,
    pub strict: Strictness,
    pub error_shapes: ErrorShapes,
    pub token_life_ms: u64,
    /// Fields that an application report must have, by product group; `*` stands for all other groups.
    pub required: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// Uzbekistan: one account with key `uz-key`, a product of each group that has a published layout.
    pub fn uz() -> Settings {
        let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Settings {
            mode: Mode::Uz,
            seed: 1,
            accounts: vec![Account {
                tin: "301234567".into(),
                name: "Tamga Demo".into(),
                api_key: "uz-key".into(),
                login: "demo".into(),
                password: "demo".into(),
            }],
            products: vec![
                Product::unit("04780000000014", "water"),
                Product { cis_type: CisType::Group, ..Product::unit("14780000000011", "water") },
                Product::unit("04780000000021", "softdrinks"),
                Product::unit("04780000000038", "beer"),
                Product::unit("04780000000045", "pharma"),
                Product::unit("04780000000052", "appliances"),
                Product::unit("04780000000069", "tobacco"),
            ],
            delays: Delays {
                order_pending_ms: 200,
                order_ready_ms: 800,
                utilisation_ms: 1_000,
                document_step_ms: 400,
                introduced_ms: None,
            },
            limits: Limits {
                order_lines_max: 10,
                line_codes_max: 150_000,
                pack_codes_max: 150_000,
                active_orders_max: 100,
                report_codes_max: 30_000,
                group_units_max: 200,
                group_children_max: 200,
                box_children_max: 1_500,
                pallet_children_max: 500,
                lookup_codes_max: 1_000,
                page_items_max: 1_000,
                calls_per_min_max: 100,
            },
            strict: Strictness {
                sorted_keys: true,
                known_fields: true,
                product_group_in_body: false,
                production_after_order: true,
                orders_need_product_group: false,
                aggregation_replaces: false,
                empty_packs_are_known: false,
            },
            error_shapes: ErrorShapes::ByEndpoint,
            token_life_ms: 30 * 60 * 1000,
            required: BTreeMap::from([
                ("*".to_owned(), fields(&["productionDate", "expirationDate"])),
                ("pharma".to_owned(), fields(&["productionDate", "expirationDate", "seriesNumber"])),
                ("medicines".to_owned(), fields(&["productionDate", "expirationDate", "seriesNumber"])),
                ("appliances".to_owned(), Vec::new()),
            ]),
        }
    }

    /// Kazakhstan: the same with login `demo`, password `demo`, and orders listed by product group only.
    pub fn kz() -> Settings {
        let mut settings = Settings::uz();
        settings.mode = Mode::Kz;
        settings.strict.orders_need_product_group = true;
        settings
    }

    /// With every delay zero: for tests that step time themselves.
    pub fn at_once(mut self) -> Settings {
        self.delays = Delays {
            order_pending_ms: 0,
            order_ready_ms: 0,
            utilisation_ms: 0,
            document_step_ms: 0,
            introduced_ms: self.delays.introduced_ms,
        };
        self
    }

    pub(super) fn product(&self, gtin: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.gtin == gtin)
    }

    pub(super) fn required_fields(&self, product_group: &str) -> &[String] {
        self.required.get(product_group).or_else(|| self.required.get("*")).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::check_digit_is_right;
    use super::*;

    #[test]
    fn products_at_hand_have_valid_check_digits() {
        for product in Settings::uz().products {
            assert!(check_digit_is_right(&product.gtin), "{}", product.gtin);
        }
    }
}
