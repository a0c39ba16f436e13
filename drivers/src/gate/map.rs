//! The gate's register map and the session's patience, as configuration.
//!
//! The defaults are the table in the README. Registers are 16 bits; numbers of 32 bits take two, high
//! word first.

use std::time::Duration;

use thiserror::Error;

/// Where things stand in the gate's registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateMap {
    /// Modbus unit id.
    pub unit: u8,
    /// Input register: the gate's heartbeat.
    pub heartbeat: u16,
    /// Input register: status bits.
    pub status: u16,
    /// Input register: boot number.
    pub boot: u16,
    /// Input register: the gate's clock, milliseconds modulo 65,536.
    pub clock: u16,
    /// Input registers, two: last tag.
    pub last_tag: u16,
    /// Input registers, two: items passed.
    pub passed: u16,
    /// Input registers, two: items rejected.
    pub rejected: u16,
    /// Input registers, two: items lost.
    pub lost: u16,
    /// Input registers, three an entry: the ring of items.
    pub item_ring: u16,
    /// Entries of the ring of items.
    pub item_ring_len: u16,
    /// Input registers, three an entry: the ring of outcomes.
    pub outcome_ring: u16,
    /// Entries of the ring of outcomes.
    pub outcome_ring_len: u16,
    /// Holding register: our heartbeat.
    pub agent_heartbeat: u16,
    /// Holding register: 1 lets the belt run.
    pub command: u16,
    /// Holding registers, two an entry: the ring of leaves to pass.
    pub pass_ring: u16,
    /// Entries of the ring of leaves to pass.
    pub pass_ring_len: u16,
}

impl Default for GateMap {
    fn default() -> Self {
        Self {
            unit: 1,
            heartbeat: 0,
            status: 1,
            boot: 2,
            clock: 3,
            last_tag: 4,
            passed: 6,
            rejected: 8,
            lost: 10,
            item_ring: 12,
            item_ring_len: 16,
            outcome_ring: 100,
            outcome_ring_len: 64,
            agent_heartbeat: 0,
            command: 1,
            pass_ring: 2,
            pass_ring_len: 32,
        }
    }
}

/// One gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateConfig {
    /// Its registers.
    pub map: GateMap,
    /// Between two looks at the gate; adds to the latency of items and outcomes.
    pub poll: Duration,
    /// How old the registers may be that an answer shows, and how late a trigger may be stamped: the PLC's longest scan.
    /// Most scan in 1 to 10 ms. Longer ones are noticed and told.
    pub scan_max: Duration,
    /// Between two beats of ours; the gate gives up on us after 2 s.
    pub beat: Duration,
    /// Without a change of the gate's heartbeat for so long, the gate is lost.
    pub silence_max: Duration,
    /// An unanswered request drops the connection after this.
    pub response_max: Duration,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            map: GateMap::default(),
            poll: Duration::from_millis(2),
            scan_max: Duration::from_millis(10),
            beat: Duration::from_millis(200),
            silence_max: Duration::from_secs(2),
            response_max: Duration::from_millis(500),
        }
    }
}

/// A map that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MapError {
    /// One answer must hold everything that is looked at together.
    #[error("status, counts and ring of items span {0} registers; one answer holds 125")]
    TooWide(u32),
    /// The ring of leaves to pass is cleared by one request, which holds 123 registers.
    #[error("a pass ring of {0} entries; 1 to 61 can be cleared at once")]
    PassRing(u16),
    /// The rings must have entries.
    #[error("the ring of {0} has no entries")]
    Empty(&'static str),
    /// A range runs over the last register.
    #[error("the ring of {0} runs over register 65535")]
    Beyond(&'static str),
}

/// Most registers of one read: "MODBUS Application Protocol Specification V1.1b3", 6.3 and 6.4.
pub(crate) const READ_REGISTERS_MAX: u16 = 125;

impl GateMap {
    /// Proves that the session can work with the map.
    ///
    /// # Errors
    /// When a request would be longer than Modbus allows, or a ring is empty or out of range.
    pub fn check(&self) -> Result<(), MapError> {
        let rings = [
            ("items", self.item_ring, self.item_ring_len, 3),
            ("outcomes", self.outcome_ring, self.outcome_ring_len, 3),
            ("leaves to pass", self.pass_ring, self.pass_ring_len, 2),
        ];
        for (name, base, len, width) in rings {
            if len == 0 {
                return Err(MapError::Empty(name));
            }
            if u32::from(base) + u32::from(len) * width > 65_536 {
                return Err(MapError::Beyond(name));
            }
        }
        if self.pass_ring_len > 61 {
            return Err(MapError::PassRing(self.pass_ring_len));
        }
        let (first, end) = self.look_range();
        match end - u32::from(first) {
            0..=125 => Ok(()),
            span => Err(MapError::TooWide(span)),
        }
    }

    /// Returns the registers read by every look: the first, and the one behind the last.
    pub(crate) fn look_range(&self) -> (u16, u32) {
        let fields = [
            (self.heartbeat, 1),
            (self.status, 1),
            (self.boot, 1),
            (self.clock, 1),
            (self.last_tag, 2),
            (self.passed, 2),
            (self.rejected, 2),
            (self.lost, 2),
            (self.item_ring, u32::from(self.item_ring_len) * 3),
        ];
        let first = fields.iter().map(|(base, _)| *base).min().unwrap_or(0);
        let end = fields.iter().map(|(base, len)| u32::from(*base) + len).max().unwrap_or(0);
        (first, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_map_is_looked_at_in_one_request() {
        let map = GateMap::default();
        assert_eq!(map.check(), Ok(()));
        assert_eq!(map.look_range(), (0, 60));
    }

    #[test]
    fn a_map_that_no_request_can_carry_is_refused() {
        let wide = GateMap { item_ring: 200, ..GateMap::default() };
        assert_eq!(wide.check(), Err(MapError::TooWide(248)));
        let long = GateMap { pass_ring_len: 62, ..GateMap::default() };
        assert_eq!(long.check(), Err(MapError::PassRing(62)));
        let beyond = GateMap { outcome_ring: 65_500, ..GateMap::default() };
        assert_eq!(beyond.check(), Err(MapError::Beyond("outcomes")));
    }
}
