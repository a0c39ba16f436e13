//! The body of a new order: what is refused at once, by the name of the field.

use super::Call;
use super::answer::ApiError;
use super::input::Object;
use super::layout::{SERIAL_ALPHABET, layout};
use super::orders::{BufferStatus, Order, OrderStatus, SubOrder};
use super::settings::{CisType, Settings};
use std::collections::BTreeSet;

pub(super) fn read_order(body: &Object, call: &Call<'_>, settings: &Settings) -> Result<Order, ApiError> {
    if settings.strict.known_fields {
        body.only(&[
            "productGroup",
            "products",
            "contractorInfo",
            "businessPlaceId",
            "releaseMethodType",
            "poNumber",
            "isPaid",
        ])?;
    }
    let product_group = body.text("productGroup")?.to_owned();
    let contractor_tin = match body.get("contractorInfo") {
        Some(info) => Some(Object::from_value(info, "contractorInfo")?.text("contractorTin")?.to_owned()),
        None => {
            body.integer("businessPlaceId")?;
            None
        }
    };
    let lines = body.objects("products")?;
    if lines.len() > settings.limits.order_lines_max {
        return Err(ApiError::parameter("products"));
    }
    let lines: Vec<SubOrder> =
        lines.iter().map(|line| read_line(line, &product_group, settings)).collect::<Result<_, _>>()?;
    if lines.iter().map(|line| &line.gtin).collect::<BTreeSet<_>>().len() != lines.len() {
        return Err(ApiError::parameter("gtin"));
    }
    let method =
        body.one_of("releaseMethodType", &["PRIMARY", "REMAINS", "COMISSION", "COMMISSION", "REMARK"])?;
    Ok(Order {
        id: String::new(),
        owner: call.tin.clone(),
        product_group,
        status: OrderStatus::Created,
        release_method: method.to_owned(),
        po_number: body.text_or_none("poNumber")?.map(str::to_owned),
        contractor_tin,
        is_paid: body.flag("isPaid")?,
        created: call.clock,
        visible_from: call.visible_from,
        rejection: None,
        lines,
    })
}

fn read_line(line: &Object, product_group: &str, settings: &Settings) -> Result<SubOrder, ApiError> {
    if settings.strict.known_fields {
        line.only(&["gtin", "quantity", "serialNumberType", "serialNumbers", "cisType"])?;
    }
    let gtin = line.text("gtin")?;
    if gtin.len() != 14 || !gtin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::parameter("gtin"));
    }
    let cis_type = CisType::from_name(line.text("cisType")?).ok_or_else(|| ApiError::parameter("cisType"))?;
    let total = line.integer("quantity")?;
    if !(1..=settings.limits.line_codes_max).contains(&total) {
        return Err(ApiError::parameter("quantity"));
    }
    let serials = match line.one_of("serialNumberType", &["OPERATOR", "SELF_MADE"])? {
        "SELF_MADE" => line.texts("serialNumbers")?,
        _ => Vec::new(),
    };
    let serial_chars = layout(product_group, cis_type).serial_chars;
    let good = |serial: &String| {
        serial.len() == serial_chars && serial.bytes().all(|byte| SERIAL_ALPHABET.contains(&byte))
    };
    let distinct = serials.iter().collect::<BTreeSet<_>>().len();
    if !serials.is_empty()
        && (distinct as u64 != total || distinct != serials.len() || !serials.iter().all(good))
    {
        return Err(ApiError::parameter("serialNumbers"));
    }
    Ok(SubOrder {
        gtin: gtin.to_owned(),
        cis_type,
        status: BufferStatus::Pending,
        total,
        passed: 0,
        annulled: 0,
        serials,
        packs: Vec::new(),
        rejection: None,
    })
}
