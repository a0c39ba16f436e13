//! `[lines.<name>.gate.<kind>]`: the gate and the map of its registers.

use std::time::Duration;

use tamga_drivers::gate::map::{GateConfig, GateMap, MapError};

use super::address::Address;
use super::raw::Section;

/// A line has one gate; its name is `gate`.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    Modbus(Modbus),
}

/// A PLC that speaks Modbus TCP and keeps the register map of the README.
#[derive(Clone, Debug, PartialEq)]
pub struct Modbus {
    pub address: Address,
    pub config: GateConfig,
}

/// Reads the gate. Where something is wrong it is noted and a stand-in is given, which no [`super::Config`] ever
/// holds, so that the rest of the line is checked all the same.
pub fn read(section: &Section<'_>) -> Gate {
    let section = if section.is_there() {
        section.kind(&["modbus"], "why.gate.kind").map(|(_, section)| section)
    } else {
        section.notes.add(section.notes.error(section.path.clone(), "config.no_gate"));
        None
    };
    Gate::Modbus(section.map(|section| modbus(&section)).unwrap_or_else(stand_in))
}

fn stand_in() -> Modbus {
    Modbus { address: Address { host: String::new(), port: 0 }, config: GateConfig::default() }
}

fn modbus(section: &Section<'_>) -> Modbus {
    let address = Address::read(section, "address", Some(502));
    if address.is_none() {
        section.missing("address", "why.gate.address");
    }
    let ms =
        |name, range, usual, why| Duration::from_millis(section.number(name, range, why).unwrap_or(usual));
    let mut map = map(&section.section("map"));
    map.unit = section.number("unit", 0..=255, "why.gate.unit").map_or(map.unit, |n| n as u8);
    let config = GateConfig {
        map,
        poll: ms("poll_ms", 1..=250, 5, "why.gate.poll_ms"),
        scan_max: ms("scan_ms_max", 0..=100, 10, "why.gate.scan_ms_max"),
        response_max: ms("timeout_ms", 20..=1500, 500, "why.gate.timeout_ms"),
        ..GateConfig::default()
    };
    if config.poll >= config.response_max {
        section.notes.add(section.error("timeout_ms", "config.gate_timeout"));
    }
    Modbus { address: address.unwrap_or_else(|| stand_in().address), config }
}

fn map(section: &Section<'_>) -> GateMap {
    let mut map = GateMap::default();
    for (name, at, entries_max) in fields(&mut map) {
        let (range, why) = match entries_max {
            Some(max) => (4..=max, "why.gate.ring"),
            None => (0..=65_535, "why.gate.register"),
        };
        if let Some(number) = section.number(name, range, why) {
            *at = number as u16;
        }
    }
    if overlaps(section, &map) {
        return map;
    }
    match map.check() {
        Err(MapError::TooWide(span)) => {
            section.notes.add(section.error("item_ring", "config.map_too_wide").with("span", span));
        }
        // The others were told above, with the register that is wrong.
        Err(MapError::PassRing(_) | MapError::Empty(_) | MapError::Beyond(_)) | Ok(()) => {}
    }
    map
}

/// Every number of the map by its name in the file, and for lengths of rings the most entries. (A pass ring is cleared
/// by one request, which holds 61 entries.)
fn fields(map: &mut GateMap) -> [(&'static str, &mut u16, Option<u64>); 16] {
    [
        ("gate_heartbeat", &mut map.heartbeat, None),
        ("status", &mut map.status, None),
        ("boot", &mut map.boot, None),
        ("clock", &mut map.clock, None),
        ("last_tag", &mut map.last_tag, None),
        ("passed", &mut map.passed, None),
        ("rejected", &mut map.rejected, None),
        ("lost", &mut map.lost, None),
        ("item_ring", &mut map.item_ring, None),
        ("item_ring_entries", &mut map.item_ring_len, Some(40)),
        ("outcome_ring", &mut map.outcome_ring, None),
        ("outcome_ring_entries", &mut map.outcome_ring_len, Some(1024)),
        ("agent_heartbeat", &mut map.agent_heartbeat, None),
        ("command", &mut map.command, None),
        ("pass_ring", &mut map.pass_ring, None),
        ("pass_ring_entries", &mut map.pass_ring_len, Some(61)),
    ]
}

/// Notes parts that lie on one another or run over the end; tells whether there are any.
fn overlaps(section: &Section<'_>, map: &GateMap) -> bool {
    let mut found = false;
    let ring = |entries: u16, registers: u32| u32::from(entries) * registers;
    let inputs = [
        ("gate_heartbeat", map.heartbeat, 1),
        ("status", map.status, 1),
        ("boot", map.boot, 1),
        ("clock", map.clock, 1),
        ("last_tag", map.last_tag, 2),
        ("passed", map.passed, 2),
        ("rejected", map.rejected, 2),
        ("lost", map.lost, 2),
        ("item_ring", map.item_ring, ring(map.item_ring_len, 3)),
        ("outcome_ring", map.outcome_ring, ring(map.outcome_ring_len, 3)),
    ];
    let holding = [
        ("agent_heartbeat", map.agent_heartbeat, 1),
        ("command", map.command, 1),
        ("pass_ring", map.pass_ring, ring(map.pass_ring_len, 2)),
    ];
    for space in [&inputs[..], &holding[..]] {
        for (index, (name, at, len)) in space.iter().enumerate() {
            let end = u32::from(*at) + len;
            if end > 65_536 {
                found = true;
                let problem = section.error(name, "config.register_end");
                section.notes.add(problem.with("at", at).with("len", len));
            }
            for (other, other_at, other_len) in &space[..index] {
                if u32::from(*at) < u32::from(*other_at) + other_len && u32::from(*other_at) < end {
                    found = true;
                    let problem = section.error(name, "config.register_overlap").with("other", other);
                    section.notes.add(problem.with("at", at).with("last", end - 1));
                }
            }
        }
    }
    found
}
