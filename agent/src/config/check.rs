//! What must hold between settings: a line and its devices, products and rules, upstream and orders.
//!
//! Each check takes the draft and notes what is wrong; none changes anything. Settings alone are checked where they are
//! read; files of this computer in [`super::machine`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tamga_domain::pack::{Holds, Mixing};
use tamga_domain::rules::{Country, ProductGroup, RuleSet, Rules, Sure};
use tamga_domain::sscc::SsccRange;
use tamga_drivers::gate::map::GateConfig;
use tamga_drivers::printer::zpl_format::SymbolSize;

use super::broker::Broker;
use super::gate::Gate;
use super::line::{Line, LineKind, gap_max_of};
use super::packing;
use super::printer::{PrinterDevice, Zpl};
use super::product::Product;
use super::raw::Notes;
use super::reader::{ReaderDevice, ReaderLink, TextReader};
use super::station::Station;
use super::symbol;
use super::upstream::Upstream;
use super::{Agent, Api};

/// Everything that was read, before it is known to be right.
pub struct Draft<'d> {
    pub agent: &'d Agent,
    pub api: &'d Api,
    pub upstream: Option<&'d Upstream>,
    pub broker: Option<&'d Broker>,
    pub products: &'d [Product],
    pub lines: &'d [Line],
    pub stations: &'d [Station],
    pub names: Option<&'d SsccRange>,
    pub rules: &'d Rules,
}

pub fn check(draft: &Draft<'_>, notes: &Notes) {
    if draft.lines.is_empty() && !notes.has_below("lines") && !notes.has_below("stations") {
        notes.add(notes.error("", "config.no_lines"));
    }
    if draft.products.is_empty() && !notes.has("products") {
        notes.add(notes.error("", "config.no_products"));
    }
    witness(draft, notes);
    upstream(draft, notes);
    groups(draft, notes);
    addresses(draft, notes);
    packing::group_packs(draft, notes);
    for station in draft.stations {
        packing::station(draft, station, notes);
        foreign(draft, station, notes);
    }
    for line in draft.lines {
        devices(draft, line, notes);
        speed(line, notes);
        life(draft, line, notes);
        gap(line, notes);
        track(line, notes);
        for printer in &line.printers {
            let PrinterDevice::Zpl(zpl) = &printer.device;
            let key = format!("lines.{}.printers.{}.zpl", line.name, printer.name);
            label(draft, zpl, &key, notes);
            window(line, zpl, &key, notes);
        }
    }
}

/// The runs of two agents are never the same: boxes of others would be turned away one by one.
fn foreign(draft: &Draft<'_>, station: &Station, notes: &Notes) {
    let hears = draft.broker.is_some_and(|broker| !broker.from.is_empty());
    let of_packs = matches!(station.terms.holds, Holds::Packs(_));
    if hears && of_packs && station.terms.mixing == Mixing::SameRun {
        let key = format!("stations.{}.mixing", station.name);
        notes.add(notes.warning(key, "config.foreign_same_run"));
    }
}

/// What is restored or copied with the data folder proves nothing of it.
fn witness(draft: &Draft<'_>, notes: &Notes) {
    let (witness, data) = (&draft.agent.witness, &draft.agent.data);
    if witness.starts_with(data) || data.starts_with(witness) {
        notes.add(notes.error("agent.witness", "config.witness_in_data").with("path", witness.display()));
    }
}

fn upstream(draft: &Draft<'_>, notes: &Notes) {
    let orders: Vec<&Product> = draft.products.iter().filter(|product| product.order.is_some()).collect();
    let Some(Upstream::Xtrace(xtrace)) = draft.upstream else {
        if !notes.has("upstream") {
            notes.add(notes.warning("", "config.no_upstream"));
            for product in orders {
                notes.add(notes.warning(format!("{}.order", product.path), "config.order_without_upstream"));
            }
        }
        return;
    };
    let idle = !draft.lines.is_empty() && draft.lines.iter().all(|line| !line.kind.prints());
    for product in orders.iter().filter(|_| idle) {
        notes.add(notes.warning(format!("{}.order", product.path), "config.order_without_printing"));
    }
    if xtrace.business_place.is_none() && !orders.is_empty() && !notes.has("upstream.xtrace.business_place") {
        notes.add(notes.error("upstream.xtrace", "config.no_business_place"));
    } else if xtrace.business_place.is_none()
        && !draft.stations.is_empty()
        && !notes.has("upstream.xtrace.business_place")
    {
        notes.add(notes.error("upstream.xtrace", "config.no_business_place_packs"));
    }
    if xtrace.settle_min <= xtrace.timeout {
        let problem = notes.error("upstream.xtrace.settle_min_s", "config.settle_below_timeout");
        let problem = problem.with("settle", xtrace.settle_min.as_secs());
        notes.add(problem.with("timeout", xtrace.timeout.as_secs()));
    }
    if xtrace.requests_per_min > 100 {
        let problem = notes.warning("upstream.xtrace.requests_per_min", "config.requests_many");
        notes.add(problem.with("value", xtrace.requests_per_min));
    }
    let groups: BTreeSet<&ProductGroup> = draft.products.iter().map(|product| &product.group).collect();
    for group in groups {
        let limit =
            latest(draft.rules, draft.agent.country, group).map(|version| version.codes_per_report_max);
        if let Some(limit) = limit.filter(|limit| xtrace.codes_per_report > *limit) {
            let problem = notes.error("upstream.xtrace.codes_per_report", "config.report_too_long");
            notes.add(problem.with("group", group).with("limit", limit));
        }
    }
}

/// The version of the rules that began last. Which one holds today is asked when codes are read and reported: the
/// configuration must fit tomorrow too.
pub(super) fn latest<'r>(
    rules: &'r Rules,
    country: Country,
    group: &ProductGroup,
) -> Option<&'r tamga_domain::rules::RuleVersion> {
    rules.set(country, group)?.valid.iter().max_by_key(|version| version.from)
}

fn groups(draft: &Draft<'_>, notes: &Notes) {
    let known: Vec<&RuleSet> =
        draft.rules.sets.iter().filter(|set| set.country == draft.agent.country).collect();
    for product in draft.products {
        let key = format!("{}.group", product.path);
        let Some(set) = known.iter().find(|set| set.product_group == product.group) else {
            let names: Vec<&str> = known.iter().map(|set| set.product_group.as_str()).collect();
            let problem = match super::near::nearest(product.group.as_str(), names.iter().copied()) {
                Some(near) => notes.error(key, "config.unknown_group_near").with("near", near),
                None => notes.error(key, "config.unknown_group").with("known", names.join(", ")),
            };
            notes.add(problem.with("group", &product.group).with("country", draft.agent.country));
            continue;
        };
        let guessed = set
            .valid
            .iter()
            .max_by_key(|version| version.from)
            .is_some_and(|version| version.surety_of(packing::kind_of(product)) == Sure::Guess);
        if guessed {
            notes.add(notes.warning(key, "config.group_guessed").with("group", &product.group));
        }
    }
}

/// Two devices on one address, and a reader's port that is the API's.
fn addresses(draft: &Draft<'_>, notes: &Notes) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut met = |address: String, key: String| {
        if let Some(other) = seen.get(&address) {
            let problem = notes.error(key, "config.address_twice").with("address", address);
            notes.add(problem.with("other", other));
        } else {
            seen.insert(address, key);
        }
    };
    met(format!("*:{}", draft.api.listen.port()), "api.listen".to_owned());
    for line in draft.lines {
        for printer in &line.printers {
            let PrinterDevice::Zpl(zpl) = &printer.device;
            let key = format!("lines.{}.printers.{}.zpl.address", line.name, printer.name);
            met(zpl.address.to_string(), key);
        }
        for reader in &line.readers {
            let ReaderDevice::Text(text) = &reader.device;
            let (address, key) = reached(text, &format!("lines.{}.readers.{}.text", line.name, reader.name));
            met(address, key);
        }
        let Gate::Modbus(modbus) = &line.gate;
        if !modbus.address.host.is_empty() {
            // One PLC may hold several gates under different unit numbers.
            let address = format!("{} unit {}", modbus.address, modbus.config.map.unit);
            met(address, format!("lines.{}.gate.modbus.address", line.name));
        }
    }
    for station in draft.stations {
        let key = format!("stations.{}", station.name);
        let ReaderDevice::Text(text) = &station.reader;
        let (address, at) = reached(text, &format!("{key}.reader.text"));
        met(address, at);
        if let Some(layer) = &station.layer {
            let ReaderDevice::Text(text) = &layer.hand;
            let (address, at) = reached(text, &format!("{key}.hand.text"));
            met(address, at);
        }
        if let Some(PrinterDevice::Zpl(zpl)) = &station.printer {
            met(zpl.address.to_string(), format!("{key}.printer.zpl.address"));
        }
    }
}

/// Where a reader is reached, and the key that says so.
fn reached(text: &TextReader, key: &str) -> (String, String) {
    match &text.link {
        ReaderLink::Connect(address) => (address.to_string(), format!("{key}.connect")),
        ReaderLink::Listen { at, .. } => (format!("*:{}", at.port()), format!("{key}.listen")),
        ReaderLink::Serial { path, .. } => (path.display().to_string(), format!("{key}.serial")),
        ReaderLink::Keyboard { path, .. } => (path.display().to_string(), format!("{key}.keyboard")),
    }
}

fn devices(draft: &Draft<'_>, line: &Line, notes: &Notes) {
    let key = format!("lines.{}", line.name);
    let printers = format!("{key}.printers");
    let kind = line.kind.key();
    if line.kind.prints() && line.printers.is_empty() && !notes.has_below(&printers) {
        notes.add(notes.error(format!("{key}.kind"), "config.needs_printer").with("kind", kind));
    }
    if !line.kind.prints() && notes.has_below(&printers) {
        notes.add(notes.error(printers, "config.needs_no_printer").with("kind", kind));
    }
    let readers = format!("{key}.readers");
    if line.readers.is_empty() && !notes.has_below(&readers) {
        no_reader(draft, line, &key, notes);
    }
    let labels = format!("{key}.labels_head_to_applicator");
    if line.kind != LineKind::PrintAndApply && line.geometry.labels_head_to_applicator > 0 {
        notes.add(notes.error(labels, "config.no_labels_on_web").with("kind", kind));
    }
    // No reader of today tells a grade: asking for one would be asking for nothing.
    if line.limits.min_grade.is_some() {
        notes.add(notes.error(format!("{key}.limits.min_grade"), "config.no_grade"));
    }
}

/// A line without a reader: why not, the law first.
fn no_reader(draft: &Draft<'_>, line: &Line, key: &str, notes: &Notes) {
    if !line.kind.prints() {
        notes.add(notes.error(key, "config.needs_reader").with("kind", line.kind.key()));
        return;
    }
    let refusing = draft.products.iter().find(|product| {
        latest(draft.rules, draft.agent.country, &product.group)
            .is_none_or(|version| !version.printed_report_allowed)
    });
    match refusing {
        Some(product) => {
            let problem = notes.error(key, "config.needs_reader_by_rules").with("group", &product.group);
            notes.add(problem.with("country", draft.agent.country));
        }
        // Rules of one's own may allow it; the agent cannot do it yet, and says so here rather than at the start.
        None => notes.add(notes.error(key, "config.needs_reader_yet")),
    }
}

/// Without a counter only the reader proves that a label was printed: until then it takes a place of the window.
fn window(line: &Line, zpl: &Zpl, key: &str, notes: &Notes) {
    let way = line.geometry.labels_head_to_applicator + line.geometry.items_applicator_to_reader;
    let window = zpl.config.window;
    if !zpl.config.odometer && window <= way {
        let problem = notes.error(format!("{key}.window"), "config.window_starves");
        notes.add(problem.with("window", window).with("way", way).with("least", way + 1));
    }
}

/// The reader's window, and the scan by which the gate does not know its triggers' moments, against the distance between
/// items; and the way that is left for the verdict.
fn speed(line: &Line, notes: &Notes) {
    let Some(items_per_min) = line.items_per_min else {
        return;
    };
    let pitch = Duration::from_secs(60) / items_per_min.max(1);
    let Gate::Modbus(modbus) = &line.gate;
    let scan = modbus.config.scan_max;
    for reader in &line.readers {
        let ReaderDevice::Text(text) = &reader.device;
        let key = format!("lines.{}.readers.{}.text.latency_ms_max", line.name, reader.name);
        let window = text.latency_max.saturating_sub(text.latency_min);
        let say = |problem: super::Problem| {
            let problem = problem.with("pitch", pitch.as_millis()).with("items", items_per_min);
            let problem = problem.with("scan", scan.as_millis());
            notes.add(
                problem.with("min", text.latency_min.as_millis()).with("max", text.latency_max.as_millis()),
            );
        };
        if window + scan >= pitch {
            say(notes.error(&key, "config.window_above_pitch").with("window", window.as_millis()));
            continue;
        }
        // Item n+1 behind the trigger is at the gate when n items fit between: that is all the time there is.
        let way = pitch * (line.geometry.items_reader_to_gate + 1);
        if latest_verdict(text, &modbus.config) > way {
            say(notes.warning(&key, "config.verdict_late").with("way", way.as_millis()));
        }
    }
}

/// When the gate has the verdict at the latest: the read, two polls of the gate, and the write to disk. A reader that may
/// be quicker than the gate's scan waits for the picture that shows its item.
fn latest_verdict(text: &TextReader, gate: &GateConfig) -> Duration {
    const COMMIT: Duration = Duration::from_millis(20);
    text.latency_max + gate.scan_max.saturating_sub(text.latency_min) + gate.poll * 2 + COMMIT
}

/// A line that asks for more life than codes ever have prints none.
fn life(draft: &Draft<'_>, line: &Line, notes: &Notes) {
    if !line.kind.prints() {
        return;
    }
    let hours = line.life_left_min.as_secs() / 3600;
    let life = |group| {
        let days = latest(draft.rules, draft.agent.country, group)?.code_life_days?;
        Some((u64::from(days) * 24, group))
    };
    let shortest = draft.products.iter().filter_map(|product| life(&product.group)).min();
    if let Some((life, group)) = shortest.filter(|(life, _)| hours >= *life) {
        let problem = notes.error(format!("lines.{}.life_left_min_h", line.name), "config.life_left");
        notes.add(problem.with("group", group).with("hours", hours).with("life", life));
    }
}

/// A gap as long as the web hides that the roll was changed.
fn gap(line: &Line, notes: &Notes) {
    let (web, gap_max) = (line.geometry.labels_head_to_applicator, line.limits.gap_max);
    if line.kind == LineKind::PrintAndApply && web > 0 && gap_max >= web.max(2) {
        let key = format!("lines.{}.limits.gap_max", line.name);
        let problem = notes.warning(key, "config.gap_hides_roll").with("web", web).with("gap", gap_max);
        notes.add(problem.with("best", gap_max_of(web)));
    }
}

/// Items between trigger and gate against the rings that remember them.
fn track(line: &Line, notes: &Notes) {
    let Gate::Modbus(modbus) = &line.gate;
    let items = line.geometry.items_reader_to_gate;
    let ring = u32::from(modbus.config.map.pass_ring_len);
    let key = format!("lines.{}.items_reader_to_gate", line.name);
    if items >= ring {
        notes.add(notes.error(key, "config.pass_ring").with("items", items).with("ring", ring));
    }
    let map = format!("lines.{}.gate.modbus.map.outcome_ring_entries", line.name);
    if u32::from(modbus.config.map.outcome_ring_len) < ring {
        let entries = modbus.config.map.outcome_ring_len;
        notes.add(notes.error(map, "config.outcome_ring").with("entries", entries).with("ring", ring));
    }
}

/// Whether each text lies on the label.
pub(super) fn texts(zpl: &Zpl, key: &str, notes: &Notes) {
    let config = &zpl.config;
    for (index, text) in config.texts.iter().enumerate() {
        if text.x >= config.label_width_dots || text.y + text.height_dots > config.label_length_dots {
            notes.add(notes.error(format!("{key}.texts[{}]", index + 1), "config.text_off_label"));
        }
    }
}

/// Whether each product group's code fits the symbol, and the symbol the label.
fn label(draft: &Draft<'_>, zpl: &Zpl, key: &str, notes: &Notes) {
    let config = &zpl.config;
    texts(zpl, key, notes);
    let groups: BTreeSet<&ProductGroup> = draft.products.iter().map(|product| &product.group).collect();
    for group in groups {
        let Some(set) = draft.rules.set(draft.agent.country, group) else {
            continue;
        };
        let forms = set.valid.iter().flat_map(|version| version.forms.iter().map(|entry| &entry.form));
        let needed = forms.map(symbol::codewords).max().unwrap_or(0);
        let fit = symbol::smallest(needed);
        match config.size {
            SymbolSize::Fixed { columns, rows } if symbol::capacity(columns).is_some_and(|c| c < needed) => {
                let problem = notes.error(format!("{key}.columns"), "config.symbol_too_small");
                let problem = problem.with("columns", columns).with("rows", rows).with("group", group);
                notes.add(
                    problem.with("fit", fit.map_or_else(|| "—".to_owned(), |fit| format!("{fit}×{fit}"))),
                );
            }
            SymbolSize::Fixed { columns, .. } => on_label(zpl, columns, group, key, notes),
            SymbolSize::Auto | SymbolSize::ByLength => {
                if let Some(side) = fit {
                    on_label(zpl, side, group, key, notes);
                }
            }
        }
        module(draft, group, zpl, key, notes);
    }
}

/// The symbol with its quiet zone of one module all round must lie on the label.
fn on_label(zpl: &Zpl, modules: u8, group: &ProductGroup, key: &str, notes: &Notes) {
    let config = &zpl.config;
    let module = config.module_dots;
    let side = u32::from(modules) * module;
    let off_right = config.x + side + module > config.label_width_dots;
    let off_end = config.y + side + module > config.label_length_dots;
    if off_right || off_end || config.x < module || config.y < module {
        let name = if off_right || config.x < module { "x" } else { "y" };
        let problem = notes.error(format!("{key}.{name}"), "config.symbol_off_label");
        let problem = problem.with("side", side).with("module", module).with("group", group);
        let problem = problem.with("label_width", config.label_width_dots);
        notes.add(problem.with("label_length", config.label_length_dots));
    }
}

/// The size of a module as it will be printed against the rules' limits.
fn module(draft: &Draft<'_>, group: &ProductGroup, zpl: &Zpl, key: &str, notes: &Notes) {
    let version = latest(draft.rules, draft.agent.country, group);
    let (Some(dpi), Some(limits)) = (zpl.dpi, version.and_then(|version| version.module_size)) else {
        return;
    };
    let um = zpl.config.module_dots * 25_400 / dpi.max(1);
    if um < limits.um_min || um > limits.um_max {
        let problem = notes.error(format!("{key}.module_dots"), "config.module_size");
        let problem = problem.with("um", um).with("min", limits.um_min).with("max", limits.um_max);
        notes.add(problem.with("group", group).with("dpi", dpi));
    }
}
