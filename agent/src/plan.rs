//! From the checked configuration to what the cores are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, StationNo};
use tamga_domain::layout::Layout;
use tamga_domain::line::items::Latency;
use tamga_domain::line::order::OrderLimits;
use tamga_domain::line::{DeviceNames, GateSizes, LineConfig, LineKind, PrinterPlace, Product};
use tamga_domain::pack::GroupOf;
use tamga_domain::pack::station::StationConfig;
use tamga_domain::record::PackageKind;
use tamga_domain::rules;
use tamga_domain::upstream::config as step;

use crate::clock;
use crate::config::{self, Config};
use crate::devices;
use crate::upstream::{self, xtrace};

/// The server's clock is known from its `Date` headers, to a second and the way of an answer: a production time that
/// is this far past by it is past.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

/// Product group and layout by GTIN, by the rules of today.
fn layouts(config: &Config) -> BTreeMap<Gtin, (String, Layout)> {
    let Some(today) = today() else { return BTreeMap::new() };
    let layout = |p: &config::product::Product| {
        let rule = config.rules.on(config.agent.country, &p.group, today)?;
        let layout = rule.layout_of(kind_of(p)).ok()?;
        Some((p.gtin, (p.group.as_str().to_owned(), layout)))
    };
    config.products.iter().filter_map(layout).collect()
}

fn kind_of(product: &config::product::Product) -> rules::PackageKind {
    if product.packs.is_some() { rules::PackageKind::Group } else { rules::PackageKind::Unit }
}

/// The layouts of each product group's codes: of units, and of group packs too where there are any.
pub fn group_layouts(config: &Config) -> BTreeMap<String, Layout> {
    let Some(today) = today() else { return BTreeMap::new() };
    let mut layouts: BTreeMap<String, Layout> = layouts(config).into_values().collect();
    for product in config.products.iter().filter(|p| p.packs.is_some()) {
        let rule = config.rules.on(config.agent.country, &product.group, today);
        if let Some(layout) = rule.and_then(|rule| rule.layout().ok()) {
            layouts.insert(product.group.as_str().to_owned(), layout);
        }
    }
    layouts
}

/// The plant's products by the rules of today.
fn products(config: &Config) -> BTreeMap<Gtin, Product> {
    let name = |gtin: &Gtin| config.product(gtin).map(|p| p.name.clone()).unwrap_or_default();
    let product = |(gtin, (group, layout))| (gtin, Product { name: name(&gtin), group, layout });
    layouts(config).into_iter().map(product).collect()
}

/// What a packing station is told.
pub fn station(config: &Config, no: StationNo, one: &config::station::Station) -> StationConfig {
    let config::reader::ReaderDevice::Text(text) = &one.reader;
    StationConfig {
        station: no,
        name: one.name.clone(),
        terms: one.terms,
        naming: one.naming,
        substitutes: text.gs_substitutes.clone(),
        products: products(config),
        group_packs: group_packs(config),
        layer: one.layer.as_ref().map(|layer| layer.pattern),
    }
}

/// Products that are group packs, and of what.
fn group_packs(config: &Config) -> BTreeMap<Gtin, GroupOf> {
    config.products.iter().filter_map(|p| Some((p.gtin, p.packs?))).collect()
}

/// What the core of a line is told.
pub fn line(config: &Config, no: LineNo, one: &config::line::Line) -> Result<LineConfig, String> {
    let Some(reader) = one.readers.first() else { return Err("no reader".to_owned()) };
    let config::reader::ReaderDevice::Text(text) = &reader.device;
    let config::gate::Gate::Modbus(gate) = &one.gate;
    let map = &gate.config.map;
    let called = |name: &str| devices::called(config, one, name);
    Ok(LineConfig {
        line: no,
        kind: match one.kind {
            config::line::LineKind::PrintAndApply => LineKind::PrintAndApply,
            config::line::LineKind::Print => LineKind::Print,
            config::line::LineKind::PrePrinted => LineKind::PrePrinted,
        },
        printers: one.printers.iter().map(|p| place(p, &one.geometry)).collect(),
        latency: Latency { min: text.latency_min, max: text.latency_max },
        gate: GateSizes { memory: map.outcome_ring_len.into(), leaves: map.pass_ring_len.into() },
        order: OrderLimits {
            gap_max: one.limits.gap_max,
            refeed_max: one.limits.refeed_max,
            gaps_per_100_max: one.limits.gaps_per_100_max,
        },
        consecutive_bad_max: one.limits.consecutive_bad_max,
        bad_rate_max: one.limits.bad_rate_window * one.limits.bad_rate_max_percent / 100,
        bad_rate_window: one.limits.bad_rate_window,
        life_left_min: one.life_left_min,
        zone: config.agent.zone,
        pool_low: one.pool_low.into(),
        substitutes: text.gs_substitutes.clone(),
        products: products(config),
        device_names: DeviceNames {
            printers: one.printers.iter().map(|p| called(&p.name)).collect(),
            readers: one.readers.iter().map(|r| called(&r.name)).collect(),
            gate: called(devices::GATE),
        },
    })
}

/// A printer holds its window; ahead of the reader there are also the labels on the web and the items behind the
/// applicator, and as much again for labels of other printers between them.
fn place(printer: &config::printer::Printer, geometry: &config::line::Geometry) -> PrinterPlace {
    let config::printer::PrinterDevice::Zpl(zpl) = &printer.device;
    let on_the_way = geometry.labels_head_to_applicator + geometry.items_applicator_to_reader;
    let window = zpl.config.window;
    PrinterPlace { window, ahead_max: 2 * (window + on_the_way) + 2 }
}

/// What the upstream side is told; made anew each time that it is started.
pub fn upstream(
    config: &Config,
    x: &config::upstream::Xtrace,
    agent: &str,
    layouts: &BTreeMap<String, Layout>,
) -> impl Fn() -> upstream::Setup + Send + 'static {
    let groups: xtrace::Layouts = Arc::new(layouts.clone());
    let mut setup = xtrace::Setup::new(x.url.clone(), x.api_key_file.clone());
    setup.ca_file = x.ca_file.clone();
    setup.proxy = x.proxy.clone();
    setup.request_timeout = x.timeout;
    let mut step = step::Config::new(agent, fastrand::u64(..));
    step.products = config.products.iter().map(|p| product(config, p, x)).collect();
    step.business_place = x.business_place;
    step.country = x.manufacturer_country.clone();
    step.requests_per_min = x.requests_per_min;
    step.pause = Duration::from_secs(60) / (x.requests_per_min.max(1) * 2);
    step.settle_min = x.settle_min;
    step.codes_per_report = x.codes_per_report;
    step.report_every = x.report_every;
    step.documents.every = x.documents_every;
    (step.documents.limits.codes, step.documents.limits.groups) =
        (x.codes_per_document, x.groups_per_document);
    step.clock_margin = CLOCK_MARGIN;
    step.poll_min = x.poll;
    step.idle_every = x.poll * 60;
    step.zone = config.agent.zone;
    step.life_left_min = life_left_min(config);
    move || upstream::Setup {
        config: step.clone(),
        xtrace: setup.clone(),
        layouts: groups.clone(),
        standing_every: Duration::from_secs(1),
        grace: Duration::from_secs(5),
    }
}

/// The most life left that a line asks of a code: what has less may be of no use to it.
pub fn life_left_min(config: &Config) -> Duration {
    config.lines.iter().filter(|l| l.kind.prints()).map(|l| l.life_left_min).max().unwrap_or_default()
}

/// A product without orders of its own gets its codes from orders that a person assigns: a request's worth is kept.
fn product(config: &Config, p: &config::product::Product, x: &config::upstream::Xtrace) -> step::Product {
    let rule = today().and_then(|day| config.rules.on(config.agent.country, &p.group, day));
    let days = rule.and_then(|rule| rule.code_life_days);
    step::Product {
        gtin: p.gtin,
        group: p.group.as_str().to_owned(),
        kind: if p.packs.is_some() { PackageKind::Group } else { PackageKind::Unit },
        release_method: p.release_method.clone(),
        business_place: x.business_place,
        low_water: p.order.map_or(x.pull_codes, |order| order.low_water).into(),
        order_quantity: p.order.map_or(0, |order| order.quantity),
        codes_per_block: x.pull_codes,
        code_life: days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
    }
}

/// Today by UTC: rules change by the day, and by law some hours do not matter.
fn today() -> Option<time::Date> {
    time::OffsetDateTime::from_unix_timestamp(clock::wall().0.div_euclid(1000)).ok().map(|at| at.date())
}
