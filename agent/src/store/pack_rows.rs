//! Words of packs as the numbers that stand in their rows. The numbers are part of the schema: they are never given
//! another meaning.

use tamga_domain::pack::{Holds, Level, Mixing, PackState, Told};
use tamga_domain::sscc::Sscc;

use super::error::Fault;

/// 18 digits fit a number of 63 bits.
pub(super) fn sscc_number(name: Sscc) -> i64 {
    name.as_bytes().iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'))
}

pub(super) fn sscc_of(number: i64) -> Result<Sscc, Fault> {
    Sscc::parse(format!("{number:018}").as_bytes())
        .map_err(|e| Fault::Damaged(format!("the SSCC {number}: {e}")))
}

pub(super) fn level_number(level: Level) -> i64 {
    match level {
        Level::Group => 0,
        Level::Box => 1,
        Level::Pallet => 2,
    }
}

pub(super) fn level_of(number: i64) -> Result<Level, Fault> {
    match number {
        0 => Ok(Level::Group),
        1 => Ok(Level::Box),
        2 => Ok(Level::Pallet),
        other => Err(Fault::Damaged(format!("a pack of level {other}"))),
    }
}

pub(super) fn holds_number(holds: Holds) -> i64 {
    match holds {
        Holds::Items => 0,
        Holds::Packs(level) => 1 + level_number(level),
    }
}

pub(super) fn holds_of(number: i64) -> Result<Holds, Fault> {
    match number {
        0 => Ok(Holds::Items),
        level => Ok(Holds::Packs(level_of(level - 1)?)),
    }
}

pub(super) fn mixing_number(mixing: Mixing) -> i64 {
    match mixing {
        Mixing::SameRun => 0,
        Mixing::SameProduct => 1,
        Mixing::Free => 2,
    }
}

pub(super) fn mixing_of(number: i64) -> Result<Mixing, Fault> {
    match number {
        0 => Ok(Mixing::SameRun),
        1 => Ok(Mixing::SameProduct),
        2 => Ok(Mixing::Free),
        other => Err(Fault::Damaged(format!("a pack with the mixing rule {other}"))),
    }
}

pub(super) fn told_number(told: Told) -> i64 {
    Told::ALL.iter().position(|one| *one == told).and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
}

pub(super) fn told_of(number: i64) -> Result<Told, Fault> {
    let told = usize::try_from(number).ok().and_then(|place| Told::ALL.get(place));
    told.copied().ok_or_else(|| Fault::Damaged(format!("a pack of which upstream was told {number}")))
}

pub(super) fn state_number(state: PackState) -> i64 {
    match state {
        PackState::Open => 0,
        PackState::Closed => 1,
        PackState::Voided => 2,
    }
}

pub(super) fn state_of(number: i64) -> Result<PackState, Fault> {
    match number {
        0 => Ok(PackState::Open),
        1 => Ok(PackState::Closed),
        2 => Ok(PackState::Voided),
        other => Err(Fault::Damaged(format!("a pack in state {other}"))),
    }
}
