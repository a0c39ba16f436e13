//! What must hold of packing stations: what may lie in what, and where the names of packs come from.

use tamga_domain::document::Limits;
use tamga_domain::pack::station::Naming;
use tamga_domain::pack::station::layer::{CELLS_MAX, CELLS_MIN};
use tamga_domain::pack::{Holds, Level, Mixing};
use tamga_domain::rules::PackageKind;
use tamga_drivers::printer::zpl_format::{Bar, ZplConfig};

use super::check::{Draft, latest, texts};
use super::printer::PrinterDevice;
use super::product::Product;
use super::raw::Notes;
use super::reader::ReaderDevice;
use super::station::Station;
use super::upstream::Upstream;

/// What bears the codes of a product.
pub(super) fn kind_of(product: &Product) -> PackageKind {
    if product.packs.is_some() { PackageKind::Group } else { PackageKind::Unit }
}

/// A group pack is of units of its own product group, and the group's rules know such.
pub(super) fn group_packs(draft: &Draft<'_>, notes: &Notes) {
    for product in draft.products {
        let Some(of) = product.packs else { continue };
        let unit = |p: &&Product| p.gtin == of.gtin && p.packs.is_none() && p.group == product.group;
        if !draft.products.iter().any(|p| unit(&p)) {
            let problem = notes.error(format!("{}.packs.gtin", product.path), "config.packs_of");
            notes.add(problem.with("value", of.gtin).with("group", &product.group));
        }
        let rules = latest(draft.rules, draft.agent.country, &product.group);
        if rules.is_some_and(|rules| !rules.kinds().contains(&PackageKind::Group)) {
            let problem = notes.error(format!("{}.packs", product.path), "config.packs_rules");
            notes.add(problem.with("group", &product.group).with("country", draft.agent.country));
        }
    }
}

/// A station: what may lie in what, and where its names come from.
pub(super) fn station(draft: &Draft<'_>, station: &Station, notes: &Notes) {
    let key = format!("stations.{}", station.name);
    let terms = station.terms;
    if let Holds::Packs(level) = terms.holds
        && level >= terms.level
    {
        let problem = notes.error(format!("{key}.holds"), "config.level_order");
        notes.add(problem.with("level", terms.level.key()).with("holds", terms.holds.key()));
    }
    let most = Limits::KNOWN.children_of(terms.level);
    let most = match draft.upstream {
        Some(Upstream::Xtrace(xtrace)) => most.min(xtrace.codes_per_document),
        None => most,
    };
    if terms.capacity > most {
        let problem = notes.error(format!("{key}.capacity"), "config.capacity_limit");
        notes.add(
            problem.with("capacity", terms.capacity).with("level", terms.level.key()).with("most", most),
        );
    }
    names(draft, station, &key, notes);
    layer(station, &key, notes);
    groups(draft, station, &key, notes);
    if let Some(PrinterDevice::Zpl(zpl)) = &station.printer {
        let key = format!("{key}.printer.zpl");
        texts(zpl, &key, notes);
        bar(&zpl.config, &key, notes);
    }
}

/// A layer is packed whole, so layers must fill the pack; and its reader must be able to say them in one result.
fn layer(station: &Station, key: &str, notes: &Notes) {
    let Some(layer) = &station.layer else { return };
    // The usual code of 41 characters with its symbology identifier, and room for a delimiter and coordinates.
    const PART_LEN: usize = 56;
    let (cells, capacity) = (layer.pattern.columns * layer.pattern.rows, station.terms.capacity);
    let at = format!("{key}.layer");
    if !(CELLS_MIN..=CELLS_MAX).contains(&cells) {
        let problem = notes.error(&at, "config.layer_cells").with("cells", cells);
        notes.add(problem.with("min", CELLS_MIN).with("max", CELLS_MAX));
    } else if capacity % cells != 0 {
        notes.add(notes.error(&at, "config.layer_capacity").with("cells", cells).with("capacity", capacity));
    }
    let ReaderDevice::Text(text) = &station.reader;
    let reader = format!("{key}.reader.text");
    if text.config.several_delimiter.is_none() {
        notes.add(notes.error(format!("{reader}.several_delimiter"), "config.layer_delimiter"));
    }
    let least = cells as usize * PART_LEN;
    if text.config.max_len < least {
        let problem = notes.error(format!("{reader}.max_len"), "config.layer_max_len");
        notes.add(problem.with("value", text.config.max_len).with("least", least));
    }
}

/// Whether the bar code of an SSCC lies on the label, with the quiet zones of ten modules that readers need.
fn bar(config: &ZplConfig, key: &str, notes: &Notes) {
    let Some(bar) = config.bar else { return };
    const QUIET: u32 = 10;
    // The SSCC and its application identifier.
    let wide = Bar::modules(20) * bar.module_dots;
    let quiet = QUIET * bar.module_dots;
    if bar.x < quiet
        || bar.x + wide + quiet > config.label_width_dots
        || bar.y + bar.height_dots > config.label_length_dots
    {
        let problem = notes.error(format!("{key}.gs1_128"), "config.bar_off_label");
        let problem = problem.with("wide", wide).with("quiet", quiet).with("high", bar.height_dots);
        let problem = problem.with("label_width", config.label_width_dots);
        notes.add(problem.with("label_length", config.label_length_dots));
    }
}

fn names(draft: &Draft<'_>, station: &Station, key: &str, notes: &Notes) {
    let names = format!("{key}.names");
    match (station.naming, &station.printer) {
        (Naming::Printed, None) if !notes.has_below(&format!("{key}.printer")) => {
            notes.add(notes.error(&names, "config.names_need_printer"));
        }
        (Naming::PrePrinted | Naming::Codes, Some(_)) => {
            notes.add(notes.error(format!("{key}.printer"), "config.names_need_no_printer"));
        }
        _ => {}
    }
    if station.naming == Naming::Printed && draft.names.is_none() && !notes.has_below("sscc") {
        notes.add(notes.error(&names, "config.no_sscc"));
    }
    if (station.naming == Naming::Codes) != (station.terms.level == Level::Group) {
        notes.add(notes.error(names, "config.names_of_groups"));
    }
}

/// Group packs are known by their products.
fn groups(draft: &Draft<'_>, station: &Station, key: &str, notes: &Notes) {
    let mut counts = draft.products.iter().filter_map(|product| product.packs).map(|of| of.count);
    let capacity = station.terms.capacity;
    if station.terms.level == Level::Group && !counts.any(|count| count == capacity) {
        let problem = notes.error(format!("{key}.capacity"), "config.no_group_of");
        notes.add(problem.with("capacity", capacity));
    }
    if station.terms.level == Level::Group && station.terms.mixing == Mixing::Free {
        notes.add(notes.error(format!("{key}.mixing"), "config.group_mixing"));
    }
    if station.terms.holds == Holds::Packs(Level::Group) && counts.next().is_none() {
        notes.add(notes.error(format!("{key}.holds"), "config.no_groups"));
    }
}
