//! `[lines.<name>.gate.<kind>]`: the gate and the map of its registers.

use std::time::Duration;

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
    pub unit: u8,
    pub poll: Duration,
    pub timeout: Duration,
    pub map: GateMap,
}

/// Addresses of registers, and lengths of rings in entries. No two parts overlap; all fit below 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateMap {
    // Input registers, written by the gate.
    pub gate_heartbeat: u16,
    pub status: u16,
    pub boot: u16,
    pub clock: u16,
    pub last_tag: u16,
    pub passed: u16,
    pub rejected: u16,
    pub lost: u16,
    pub item_ring: u16,
    pub item_ring_entries: u16,
    pub outcome_ring: u16,
    pub outcome_ring_entries: u16,
    // Holding registers, written by the agent.
    pub agent_heartbeat: u16,
    pub command: u16,
    pub pass_ring: u16,
    pub pass_ring_entries: u16,
}

impl Default for GateMap {
    fn default() -> GateMap {
        GateMap {
            gate_heartbeat: 0,
            status: 1,
            boot: 2,
            clock: 3,
            last_tag: 4,
            passed: 6,
            rejected: 8,
            lost: 10,
            item_ring: 12,
            item_ring_entries: 16,
            outcome_ring: 100,
            outcome_ring_entries: 64,
            agent_heartbeat: 0,
            command: 1,
            pass_ring: 2,
            pass_ring_entries: 32,
        }
    }
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
    Modbus {
        address: Address { host: String::new(), port: 0 },
        unit: 1,
        poll: Duration::from_millis(5),
        timeout: Duration::from_millis(250),
        map: GateMap::default(),
    }
}

fn modbus(section: &Section<'_>) -> Modbus {
    let address = Address::read(section, "address", Some(502));
    if address.is_none() && !section.notes.has(&section.key("address")) {
        section.missing("address", "why.gate.address");
    }
    let ms = |name, range, usual, why| {
        Duration::from_millis(section.number(name, range, why).unwrap_or(usual))
    };
    let modbus = Modbus {
        unit: section.number("unit", 0..=255, "why.gate.unit").map_or(1, |n| n as u8),
        poll: ms("poll_ms", 1..=250, 5, "why.gate.poll_ms"),
        timeout: ms("timeout_ms", 20..=1000, 250, "why.gate.timeout_ms"),
        map: map(&section.section("map")),
        address: address.unwrap_or_else(|| stand_in().address),
    };
    if modbus.poll >= modbus.timeout {
        section.notes.add(section.error("timeout_ms", "config.gate_timeout"));
    }
    modbus
}

fn map(section: &Section<'_>) -> GateMap {
    let mut map = GateMap::default();
    for (name, at, entries) in fields(&mut map) {
        let (range, why) =
            if entries { (4..=1024, "why.gate.ring") } else { (0..=65_535, "why.gate.register") };
        if let Some(number) = section.number(name, range, why) {
            *at = number as u16;
        }
    }
    overlaps(section, &map);
    map
}

/// Every number of the map by its name in the file; `true` for lengths of rings.
fn fields(map: &mut GateMap) -> [(&'static str, &mut u16, bool); 16] {
    [
        ("gate_heartbeat", &mut map.gate_heartbeat, false),
        ("status", &mut map.status, false),
        ("boot", &mut map.boot, false),
        ("clock", &mut map.clock, false),
        ("last_tag", &mut map.last_tag, false),
        ("passed", &mut map.passed, false),
        ("rejected", &mut map.rejected, false),
        ("lost", &mut map.lost, false),
        ("item_ring", &mut map.item_ring, false),
        ("item_ring_entries", &mut map.item_ring_entries, true),
        ("outcome_ring", &mut map.outcome_ring, false),
        ("outcome_ring_entries", &mut map.outcome_ring_entries, true),
        ("agent_heartbeat", &mut map.agent_heartbeat, false),
        ("command", &mut map.command, false),
        ("pass_ring", &mut map.pass_ring, false),
        ("pass_ring_entries", &mut map.pass_ring_entries, true),
    ]
}

fn overlaps(section: &Section<'_>, map: &GateMap) {
    let ring = |entries: u16, registers: u32| u32::from(entries) * registers;
    let inputs = [
        ("gate_heartbeat", map.gate_heartbeat, 1),
        ("status", map.status, 1),
        ("boot", map.boot, 1),
        ("clock", map.clock, 1),
        ("last_tag", map.last_tag, 2),
        ("passed", map.passed, 2),
        ("rejected", map.rejected, 2),
        ("lost", map.lost, 2),
        ("item_ring", map.item_ring, ring(map.item_ring_entries, 3)),
        ("outcome_ring", map.outcome_ring, ring(map.outcome_ring_entries, 3)),
    ];
    let holding = [
        ("agent_heartbeat", map.agent_heartbeat, 1),
        ("command", map.command, 1),
        ("pass_ring", map.pass_ring, ring(map.pass_ring_entries, 2)),
    ];
    for space in [&inputs[..], &holding[..]] {
        for (index, (name, at, len)) in space.iter().enumerate() {
            let end = u32::from(*at) + len;
            if end > 65_536 {
                let problem = section.error(name, "config.register_end");
                section.notes.add(problem.with("at", at).with("len", len));
            }
            for (other, other_at, other_len) in &space[..index] {
                if u32::from(*at) < u32::from(*other_at) + other_len && u32::from(*other_at) < end {
                    let problem = section.error(name, "config.register_overlap").with("other", other);
                    section.notes.add(problem.with("at", at).with("last", end - 1));
                }
            }
        }
    }
}
