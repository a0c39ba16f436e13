//! `[[products]]`: what the lines may produce.

use tamga_domain::gs1::Gtin;
use tamga_domain::pack::GroupOf;
use tamga_domain::rules::ProductGroup;

use super::raw::Section;
use super::station::CAPACITY_MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub gtin: Gtin,
    pub name: String,
    pub group: ProductGroup,
    pub release_method: String,
    /// `None`: this agent orders no codes of this product; a person assigns orders to it.
    pub order: Option<Ordering>,
    /// It is a group pack, with codes of the state system of its own, and of what.
    pub packs: Option<GroupOf>,
    /// The name of its table in the file, for messages: `products[2]`.
    pub path: String,
}

/// Codes are ordered when fewer than `low_water` are pooled or on order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordering {
    pub low_water: u32,
    pub quantity: u32,
}

/// Ways of release that xTrace knows (`COMISSION` is its own spelling). The list is open.
const RELEASE_METHODS: [&str; 5] = ["PRIMARY", "REMAINS", "COMISSION", "COMMISSION", "REMARK"];

pub fn read_all(root: &Section<'_>) -> Vec<Product> {
    let products: Vec<Product> = root.rows("products").iter().filter_map(read).collect();
    for (index, product) in products.iter().enumerate() {
        let given = product.gtin != stand_in();
        if given && products[..index].iter().any(|other| other.gtin == product.gtin) {
            let key = format!("{}.gtin", product.path);
            root.notes.add(root.notes.error(key, "config.gtin_twice").with("value", product.gtin));
        }
    }
    products
}

fn read(section: &Section<'_>) -> Option<Product> {
    let gtin = gtin(section);
    let name = section.text("name");
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        section.notes.add(section.error("name", "config.empty"));
    }
    let group = group(section);
    let product = Product {
        name: name.unwrap_or_else(|| gtin.map(|gtin| gtin.to_string()).unwrap_or_default()),
        release_method: release_method(section),
        order: ordering(section),
        packs: packs(section),
        path: section.path.clone(),
        gtin: gtin.unwrap_or_else(stand_in),
        group: group?,
    };
    Some(product)
}

/// For a product whose number is wrong, so that the rest of it is checked all the same; no [`super::Config`] holds it.
fn stand_in() -> Gtin {
    Gtin::parse(b"00000000000000").expect("its check digit is 0")
}

fn gtin(section: &Section<'_>) -> Option<Gtin> {
    let Some(text) = section.text("gtin") else {
        section.missing("gtin", "why.product.gtin");
        return None;
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = format!("{text:0>14}");
    match Gtin::parse(text.as_bytes()) {
        Ok(gtin) if gtin != stand_in() => return Some(gtin),
        Ok(_) => section.notes.add(section.error("gtin", "config.gtin").with("value", &text)),
        Err(_) if digits && matches!(text.len(), 8 | 12 | 13) && Gtin::parse(padded.as_bytes()).is_ok() => {
            let problem = section.error("gtin", "config.gtin_short").with("value", &text);
            section.notes.add(problem.with("length", text.len()).with("padded", padded));
        }
        Err(_) if digits && text.len() == 14 => {
            let digit = tamga_domain::gs1::check_digit(&text.as_bytes()[..13]);
            let digit = digit.map(char::from).unwrap_or('?');
            let problem = section.error("gtin", "config.gtin_check_digit").with("value", &text);
            section.notes.add(problem.with("expected", format!("{}{digit}", &text[..13])));
        }
        Err(_) => section.notes.add(section.error("gtin", "config.gtin").with("value", &text)),
    }
    None
}

fn group(section: &Section<'_>) -> Option<ProductGroup> {
    let Some(text) = section.text("group") else {
        section.missing("group", "why.product.group");
        return None;
    };
    let group = ProductGroup::parse(&text).ok();
    if group.is_none() {
        section.notes.add(section.error("group", "config.group_name").with("value", text));
    }
    group
}

fn release_method(section: &Section<'_>) -> String {
    let text = section.text("release_method").unwrap_or_else(|| "PRIMARY".to_owned());
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        section.notes.add(section.error("release_method", "config.release_method").with("value", &text));
    } else if !RELEASE_METHODS.contains(&text.as_str()) {
        let problem = section.warning("release_method", "config.release_method_unknown");
        section.notes.add(problem.with("value", &text).with("known", RELEASE_METHODS.join(", ")));
    }
    text
}

fn packs(section: &Section<'_>) -> Option<GroupOf> {
    let section = section.section("packs");
    if !section.is_there() {
        return None;
    }
    let gtin = gtin(&section);
    let count = section.number("count", 1..=CAPACITY_MAX, "why.packs.count");
    if count.is_none() {
        section.missing("count", "why.packs.count");
    }
    Some(GroupOf { gtin: gtin?, count: count.and_then(|n| u32::try_from(n).ok())? })
}

fn ordering(section: &Section<'_>) -> Option<Ordering> {
    let section = section.section("order");
    if !section.is_there() {
        return None;
    }
    let need = |name, range, why| {
        let number = section.number(name, range, why);
        if number.is_none() {
            section.missing(name, why);
        }
        number.and_then(|n| u32::try_from(n).ok())
    };
    let low_water = need("low_water", 1..=10_000_000, "why.order.low_water");
    let quantity = need("quantity", 1..=150_000, "why.order.quantity");
    Some(Ordering { low_water: low_water?, quantity: quantity? })
}
