//! What stands around one line: its plant, the cables to its devices, and the person at it.

use std::collections::VecDeque;

use tamga_simulators::fault::FaultKind;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::modbus::Frames;
use tamga_simulators::model::plant::{Kind, Plant, PlantConfig};
use tamga_simulators::model::printer::{PrintMode, PrinterConfig};
use tamga_simulators::model::reader::ReaderConfig;
use tamga_simulators::model::truth::{Fate, Mark, Truth};
use tamga_simulators::model::xtrace::Xtrace;
use tamga_simulators::model::xtrace::route::Request;
use time::OffsetDateTime;

use crate::floor::FloorLog;
use crate::oracle::PRINTING_HOUSE;
use crate::people::Person;
use crate::plan::Plan;
use crate::world::{API_KEY, GTIN};

/// Nobody takes an item off behind the reader and has it before it again in less time.
pub(crate) const HAND_MS: u64 = 1_000;

/// A roll was ordered so long before the day.
const ROLL_AGE_S: i64 = 3 * 86_400;

/// One cable, as the world sees it.
#[derive(Default)]
pub(crate) struct Cable {
    pub(crate) up: bool,
    pub(crate) dial_at: u64,
    /// What is on its way, with the millisecond of its arrival.
    pub(crate) to_device: VecDeque<(u64, Vec<u8>)>,
    pub(crate) to_agent: VecDeque<(u64, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The one with this place, from zero.
    Printer(usize),
    Reader,
    Gate,
    /// The scanner of the desk with this place.
    Scanner(usize),
    /// And the printer of its labels.
    Labels(usize),
}

/// A printer's cable, and how often the printer had lost its power when that was plugged in.
#[derive(Default)]
pub(crate) struct ToPrinter {
    pub(crate) cable: Cable,
    pub(crate) losses: u64,
}

pub(crate) struct Side {
    pub(crate) plant: Plant,
    pub(crate) printers: Vec<ToPrinter>,
    pub(crate) reader: Cable,
    pub(crate) gate: Cable,
    pub(crate) frames: Frames,
    pub(crate) gate_boot: u16,
    pub(crate) shown: Option<u32>,
    pub(crate) person: Person,
    pub(crate) log: FloorLog,
}

impl Side {
    /// The line with this number, from zero. What is printed elsewhere is ordered of the state system.
    pub(crate) fn new(plan: &Plan, at: usize, state: &mut Xtrace) -> Side {
        let config = plant_config(plan, at);
        let roll = match config.kind {
            Kind::PrePrinted => printing_house(plan, at, state),
            Kind::Print | Kind::PrintAndApply => Vec::new(),
        };
        let printers = config.printers;
        Side {
            plant: Plant::new(PlantConfig { codes: roll.clone(), ..config }, plan.plant.clone()),
            printers: (0..printers).map(|_| ToPrinter::default()).collect(),
            reader: Cable::default(),
            gate: Cable::default(),
            frames: Frames::default(),
            gate_boot: 0,
            shown: None,
            person: Person::new(plan, at, roll),
            log: FloorLog::of_line(at),
        }
    }
}

impl Side {
    /// All devices, in the order in which they have their turn.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Device> + use<> {
        let more = (1..self.printers.len()).map(Device::Printer);
        [Device::Printer(0), Device::Reader, Device::Gate].into_iter().chain(more)
    }

    pub(crate) fn cable(&mut self, device: Device) -> &mut Cable {
        match device {
            Device::Printer(no) => &mut self.printers[no].cable,
            Device::Reader => &mut self.reader,
            Device::Gate => &mut self.gate,
            Device::Scanner(_) | Device::Labels(_) => unreachable!("desks have their own cables"),
        }
    }

    /// Items that passed with leave, and bear what is another product's than the people at the line were making.
    pub(crate) fn of_another_product(&self) -> Vec<String> {
        let passed = self.plant.items().iter().filter(|i| i.fate == Some(Fate::Passed) && !i.escaped);
        let strange = passed.filter(|i| !i.faults.contains(&FaultKind::NoGap)).filter_map(|item| {
            let met = item.met.last().filter(|m| m.known)?;
            let made = self.person.made_at(met.at_ns / 1_000_000)?;
            let prefix = format!("01{made}").into_bytes();
            let mut marks = item.marks.iter().filter_map(Mark::readable);
            let is_strange = !marks.any(|symbol| symbol.starts_with(&prefix));
            is_strange.then(|| format!("{made} was made, and {item:?} passed"))
        });
        strange.collect()
    }
}

/// The codes of a roll that a printing house has ordered and printed, more than there are items.
fn printing_house(plan: &Plan, at: usize, state: &mut Xtrace) -> Vec<Vec<u8>> {
    let ordered = OffsetDateTime::from_unix_timestamp(plan.begins_ms / 1_000 - ROLL_AGE_S);
    let moment = ordered.expect("a day of our time");
    let count = plan.items / plan.kinds.len() as u64 + 5;
    let body = format!(
        r#"{{"productGroup":"water","products":[{{"gtin":"{GTIN}","quantity":{count},"serialNumberType":"OPERATOR","cisType":"UNIT"}}],"businessPlaceId":1,"releaseMethodType":"PRIMARY","poNumber":"{PRINTING_HOUSE}-{at}","isPaid":true}}"#
    );
    let order = Request { body: body.into_bytes(), ..Request::new("POST", "/api/orders", API_KEY) };
    let made = answer(state, moment, &order);
    let id =
        made["orderId"].as_str().unwrap_or_else(|| panic!("the printing house's order: {made}")).to_owned();
    let target = format!("/api/codes?orderId={id}&gtin={GTIN}&quantity={count}");
    let block = answer(state, moment, &Request::new("GET", &target, API_KEY));
    let codes = block["codes"].as_array().unwrap_or_else(|| panic!("the printing house's codes: {block}"));
    codes.iter().filter_map(|code| Some(code.as_str()?.as_bytes().to_vec())).collect()
}

fn answer(state: &mut Xtrace, moment: OffsetDateTime, request: &Request) -> serde_json::Value {
    state.advance(moment);
    serde_json::from_slice(&state.handle(moment, request).body).expect("the state system speaks JSON")
}

fn plant_config(plan: &Plan, at: usize) -> PlantConfig {
    let kind = plan.kinds[at];
    let label_ms = (60_000 / u64::from(plan.items_per_min) / 3).max(1);
    let mode = match kind {
        Kind::Print => PrintMode::Demand,
        Kind::PrintAndApply | Kind::PrePrinted => PrintMode::Stream { web_capacity: plan.floor.web as usize },
    };
    PlantConfig {
        kind,
        seed: plan.seed ^ ((at as u64) << 40),
        belt: BeltConfig {
            items_per_min: plan.items_per_min,
            items_head_to_reader: plan.floor.items_to_reader,
            items_reader_to_gate: plan.floor.items_to_gate,
            total_items: Some(plan.items / plan.kinds.len() as u64),
            ..BeltConfig::default()
        },
        printers: plan.heads[at].printers,
        turns: plan.heads[at].turns,
        printer: PrinterConfig { mode, first_label_ms: label_ms, label_ms, ..PrinterConfig::default() },
        reader: ReaderConfig {
            latency_ms_min: plan.floor.reader_ms.0,
            latency_ms_max: plan.floor.reader_ms.1,
            ..ReaderConfig::default()
        },
        belt_on: true,
        person_ms: 500,
        // With one printer an item that is put back never stands where only a label printed twice could be.
        hand_ms: if plan.heads[at].printers > 1 { HAND_MS } else { 0 },
        power_off_ms: 800,
        ..PlantConfig::default()
    }
}

/// The records of several plants as one: items and labels are numbered through.
pub(crate) fn merged(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut all = Truth::default();
    for mut one in truths {
        let items = all.items.len() as u64;
        let labels = all.labels.iter().map(|l| l.label_no).max().unwrap_or(0);
        one.labels.iter_mut().for_each(|l| l.label_no += labels);
        for item in &mut one.items {
            item.item_no += items;
            item.marks.iter_mut().for_each(|m| m.label_no = m.label_no.map(|no| no + labels));
        }
        all.labels.append(&mut one.labels);
        all.items.append(&mut one.items);
        all.readings.append(&mut one.readings);
        all.passed.extend(one.passed.iter().map(|no| no + items));
        all.triggers_forgotten += one.triggers_forgotten;
        all.labels_fallen.extend(one.labels_fallen.iter().map(|no| no + labels));
        all.labels_unasked.extend(one.labels_unasked.iter().map(|no| no + labels));
    }
    all
}
