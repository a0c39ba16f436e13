//! `[lines.<name>.printers.<name>.<kind>]`: printers.

use tamga_drivers::printer::zpl_format::{Bar, Separator, TextField, ZplConfig};

use super::address::Address;
use super::line::check_name;
use super::raw::Section;
use super::symbol;

#[derive(Clone, Debug, PartialEq)]
pub struct Printer {
    pub name: String,
    pub device: PrinterDevice,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PrinterDevice {
    Zpl(Zpl),
}

impl PrinterDevice {
    /// Its labels show how many lie in a pack, or may: a format that is stored in it is not known here.
    pub fn shows_content(&self) -> bool {
        let PrinterDevice::Zpl(zpl) = self;
        let shows = |text: &TextField| text.template.contains("{content}");
        zpl.config.stored_format.is_some() || zpl.config.texts.iter().any(shows)
    }
}

/// A label printer that speaks ZPL II.
#[derive(Clone, Debug, PartialEq)]
pub struct Zpl {
    pub address: Address,
    pub config: ZplConfig,
    /// Of the print head; for checks only.
    pub dpi: Option<u32>,
}

/// What a text on an item's label may name, in braces.
pub const PLACEHOLDERS: [&str; 6] = ["batch", "expiry", "gtin", "name", "production", "serial"];

/// What a text on a pack's label may name, in braces.
pub const PACK_PLACEHOLDERS: [&str; 2] = ["content", "sscc"];

/// Dots of the longest side of a label that any printer takes.
const DOTS_MAX: u64 = 32_000;

pub fn read_all(section: &Section<'_>) -> Vec<Printer> {
    let one = |(name, section): &(String, Section<'_>)| {
        check_name(name, section);
        let (_, section) = section.kind(&["zpl"], "why.printer.kind")?;
        Some(Printer { name: name.clone(), device: PrinterDevice::Zpl(zpl(&section, &PLACEHOLDERS)?) })
    };
    section.named().iter().filter_map(one).collect()
}

/// `[stations.<name>.printer]`: prints the labels of packs.
pub fn read_pack_printer(section: &Section<'_>) -> Option<PrinterDevice> {
    let (_, section) = section.kind(&["zpl"], "why.printer.kind")?;
    let bar = bar(&section.section("gs1_128"));
    let mut zpl = zpl(&section, &PACK_PLACEHOLDERS)?;
    zpl.config.bar = bar;
    Some(PrinterDevice::Zpl(zpl))
}

/// The bar code of a pack's label; only where its table is there.
fn bar(section: &Section<'_>) -> Option<Bar> {
    if !section.is_there() {
        return None;
    }
    let dots = |name, range, usual, why| section.number(name, range, why).map_or(usual, |n| n as u32);
    Some(Bar {
        x: dots("x", 0..=DOTS_MAX, 0, "why.zpl.position"),
        y: dots("y", 0..=DOTS_MAX, 0, "why.zpl.position"),
        // `^BY` takes modules of 1 to 10 dots.
        module_dots: dots("module_dots", 2..=10, 4, "why.zpl.bar_module"),
        height_dots: dots("height", 20..=2000, 260, "why.zpl.bar_height"),
    })
}

fn zpl(section: &Section<'_>, placeholders: &[&str]) -> Option<Zpl> {
    let address = Address::read(section, "address", Some(9100));
    if address.is_none() {
        section.missing("address", "why.printer.address");
    }
    let dots =
        |name, usual| section.number(name, 0..=DOTS_MAX, "why.zpl.position").map_or(usual, |n| n as u32);
    let side = |name| {
        let number = section.number(name, 50..=DOTS_MAX, "why.zpl.label");
        if number.is_none() {
            section.missing(name, "why.zpl.label");
        }
        number.map(|n| n as u32)
    };
    let (width, length) = (side("label_width_dots"), side("label_length_dots"));
    let config = ZplConfig {
        window: section.number("window", 1..=32, "why.zpl.window").map_or(4, |n| n as u32),
        module_dots: section.number("module_dots", 2..=30, "why.zpl.module_dots").map_or(4, |n| n as u32),
        size: symbol::read(section),
        x: dots("x", 20),
        y: dots("y", 20),
        separator: section
            .choice("separator", &[("fnc1", Separator::Fnc1), ("gs", Separator::Gs)])
            .unwrap_or_default(),
        stored_format: stored_format(section),
        poll_ms: section.number("poll_ms", 20..=5000, "why.zpl.poll_ms").unwrap_or(100),
        odometer: section.flag("odometer").unwrap_or(true),
        texts: section.rows("texts").iter().filter_map(|row| label_text(row, placeholders)).collect(),
        label_width_dots: width.unwrap_or(0),
        label_length_dots: length.unwrap_or(0),
        ..ZplConfig::default()
    };
    if !config.odometer {
        section.notes.add(section.warning("odometer", "config.no_odometer"));
    }
    let dpi = section.number("dpi", 100..=1200, "why.zpl.dpi").map(|n| n as u32);
    width.and(length)?;
    Some(Zpl { address: address?, config, dpi })
}

fn stored_format(section: &Section<'_>) -> Option<String> {
    let text = section.text("stored_format")?;
    let named = text.split_once(':').and_then(|(drive, file)| Some((drive, file.strip_suffix(".ZPL")?)));
    let fits = named.is_some_and(|(drive, name)| {
        let capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        matches!(drive, "E" | "R" | "B" | "A") && (1..=8).contains(&name.len()) && name.bytes().all(capital)
    });
    if !fits {
        section.notes.add(section.error("stored_format", "config.stored_format").with("value", &text));
        return None;
    }
    Some(text)
}

fn label_text(section: &Section<'_>, placeholders: &[&str]) -> Option<TextField> {
    let dots = |name, range, usual, why| section.number(name, range, why).map_or(usual, |n| n as u32);
    let text = section.text("text");
    let label = TextField {
        x: dots("x", 0..=DOTS_MAX, 0, "why.zpl.position"),
        y: dots("y", 0..=DOTS_MAX, 0, "why.zpl.position"),
        height_dots: dots("height", 10..=1000, 20, "why.zpl.height"),
        template: text.clone().unwrap_or_default(),
    };
    let Some(text) = text else {
        section.missing("text", "why.zpl.text");
        return None;
    };
    for name in braced(&text) {
        if !placeholders.contains(&name) {
            let problem = section.error("text", "config.placeholder").with("value", name);
            section.notes.add(problem.with("known", placeholders.join(", ")));
        }
    }
    if let Some(strange) = text.chars().find(|c| c.is_control()) {
        let shown = strange.escape_default().to_string();
        section.notes.add(section.error("text", "config.label_character").with("value", shown));
    }
    Some(label)
}

/// The names in braces.
fn braced(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).map(|part| part.split_once('}').map_or(part, |(name, _)| name))
}
