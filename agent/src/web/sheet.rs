//! From the records to the closing sheet's packs, to what is not settled and its way out, and to who signed. Pure.

use tamga_domain::pack::{Holds, Level, Mixing, PackFacts, PackName};
use tamga_domain::record::RunState;

use super::dto::Word;
use super::dto::sheet::{
    ListedCode, OpenAt, OutOf, PackItems, PackLevel, PackSheet, Reasoned, Signed, Unsettled,
};
use super::shape::code;
use super::text::stamp;
use super::{account, packs};
use crate::desk::Desk;
use crate::store::read::packing::{self, Listing, PackCounts, RunPacks};
use crate::store::read::sheet::{RunSheet, SignedOff};
use crate::words::{Language, say, say_owned};

/// What is not settled, by key: `sheet.open.<key>` says what it is, `sheet.way.<key>` what to do.
pub const UNSETTLED: [&str; 14] = [
    "alone",
    "follow_pack",
    "held",
    "held_packed",
    "in_doubt",
    "loose",
    "open_pack",
    "open_pack_stays",
    "pack_refused",
    "pack_report_open",
    "pass_unknown",
    "refused",
    "report_open",
    "run_open",
];

/// The packs of the run; none where it has none and no station packs items.
pub fn pack_sheet(sheet: &RunSheet, desk: &Desk, language: Language) -> Option<PackSheet> {
    let packs = &sheet.packs;
    let packs_items = desk.stations.iter().any(|station| station.terms.holds == Holds::Items);
    if packs.levels.is_empty() && !packs_items {
        return None;
    }
    let items = items(packs);
    let levels: Vec<PackLevel> = packs.levels.iter().map(|(l, c)| level(*l, c, language)).collect();
    let reasoned = |list: &[packing::Reasoned]| list.iter().map(|one| reasoned(one, language)).collect();
    let wanted = |pack: &&PackFacts| is_wanted_outside(pack.terms.level, desk, packs);
    Some(PackSheet {
        balanced: items.balanced && levels.iter().all(|level| level.balanced),
        items,
        levels,
        open: packs.open.iter().map(|(pack, station)| open_at(pack, station, language)).collect(),
        short: reasoned(&packs.short),
        voided: reasoned(&packs.voided),
        labels: reasoned(&packs.labels),
        alone: packs.alone.iter().filter(wanted).map(|facts| packs::pack(facts, language)).collect(),
        loose: packs.loose.iter().map(code).collect(),
        taken_out: packs.taken_out,
        out: packs.out.iter().map(out_of).collect(),
    })
}

/// Whether packs of this level are to lie in others: a station takes them, or some of the run do.
fn is_wanted_outside(level: Level, desk: &Desk, packs: &RunPacks) -> bool {
    desk.stations.iter().any(|station| station.terms.holds == Holds::Packs(level))
        || packs.levels.get(&level).is_some_and(|counts| counts.within > 0)
}

fn items(packs: &RunPacks) -> PackItems {
    let i = packs.items;
    PackItems {
        passed: i.passed,
        in_closed: i.in_closed,
        in_open: i.in_open,
        as_packs: i.as_packs,
        loose: i.loose,
        dead: i.dead,
        balanced: i.balanced(),
    }
}

fn level(level: Level, c: &PackCounts, language: Language) -> PackLevel {
    PackLevel {
        level: packs::word(language, "level", level.key()),
        opened: c.opened,
        open: c.open,
        full: c.full,
        short: c.short,
        voided: c.voided,
        within: c.within,
        alone: c.alone,
        names: c.names,
        open_named: c.open_named,
        voided_named: c.voided_named,
        labelled: c.labelled,
        mixed: c.mixed,
        balanced: c.balanced(),
    }
}

/// A pack that takes items of one run only has nothing more to come when that run is closed.
fn may_stay(facts: &PackFacts) -> bool {
    facts.terms.mixing != Mixing::SameRun
}

fn open_at(facts: &PackFacts, station: &str, language: Language) -> OpenAt {
    let pack = packs::pack(facts, language);
    OpenAt { pack, station: station.to_owned(), may_stay: may_stay(facts) }
}

fn reasoned(one: &packing::Reasoned, language: Language) -> Reasoned {
    Reasoned {
        pack: packs::pack(&one.pack, language),
        detail: one.detail.clone(),
        who: one.who.clone(),
        why: one.why.clone(),
        at: stamp(one.at),
    }
}

fn out_of(out: &packing::OutOf) -> OutOf {
    OutOf {
        what: packs::child(&out.what),
        pack: out.pack.0,
        who: out.who.clone(),
        why: out.why.clone(),
        at: stamp(out.at),
    }
}

pub fn signed(one: &SignedOff) -> Signed {
    Signed {
        who: one.who.clone(),
        from: one.from.clone(),
        at: stamp(one.at),
        why: one.why.clone(),
        unsettled: one.unresolved,
        lines: one.lines,
        head: one.head.to_string(),
    }
}

/// Everything that is not settled, with its way out.
pub fn unsettled(sheet: &RunSheet, desk: &Desk, language: Language) -> Vec<Unsettled> {
    let line = desk.line_name(sheet.line);
    let packs = &sheet.packs;
    let of_packs = pack_sheet(sheet, desk, language);
    let at_stations = || packs.open.iter().filter(|(_, station)| !station.is_empty());
    let stations: Vec<&str> =
        at_stations().filter(|(pack, _)| !may_stay(pack)).map(|(_, station)| station.as_str()).collect();
    let staying = at_stations().count() - stations.len();
    let following = packs.open.len() - at_stations().count();
    let held_packed = sheet.unresolved.iter().filter(|one| one.pack.is_some()).count();
    let loose = packs.items.loose.saturating_sub(packs.items.dead);
    let alone: u32 = packs
        .levels
        .iter()
        .filter(|(level, _)| is_wanted_outside(**level, desk, packs))
        .map(|(_, counts)| counts.alone)
        .sum();
    let of_levels = |count: fn(&PackCounts) -> u32| packs.levels.values().map(count).sum::<u32>();
    let args = [
        ("line".to_owned(), line),
        ("station".to_owned(), stations.first().copied().unwrap_or_default().to_owned()),
        ("run".to_owned(), sheet.run.to_string()),
    ];
    let found: [(&str, u64, bool); UNSETTLED.len()] = [
        ("run_open", u64::from(sheet.state != RunState::Closed), true),
        ("in_doubt", sheet.codes.in_doubt.into(), true),
        ("pass_unknown", sheet.codes.unknown.into(), true),
        ("open_pack", stations.len() as u64, true),
        ("follow_pack", following as u64, true),
        ("report_open", u64::from(sheet.open) + u64::from(sheet.unreported), false),
        ("refused", sheet.refused.into(), false),
        ("held", sheet.held.saturating_sub(sheet.refused).into(), false),
        ("held_packed", held_packed as u64, false),
        ("loose", if of_packs.is_some() { loose.into() } else { 0 }, false),
        ("alone", alone.into(), false),
        ("open_pack_stays", staying as u64, false),
        ("pack_report_open", of_levels(|c| c.told_open).into(), false),
        ("pack_refused", of_levels(|c| c.told_refused).into(), false),
    ];
    let told = |(key, count, bars): (&str, u64, bool)| Unsettled {
        what: Word { key: key.to_owned(), text: say(language, &format!("sheet.open.{key}"), &[]) },
        count,
        way: say_owned(language, &format!("sheet.way.{key}"), &args),
        bars,
    };
    found.into_iter().filter(|(_, count, _)| *count > 0).map(told).collect()
}

/// The codes of a part of the list.
pub fn listed(listing: &Listing) -> impl Iterator<Item = ListedCode> + '_ {
    listing.codes.iter().map(|one| {
        let around = one.pack.and_then(|no| listing.packs.get(&no));
        ListedCode {
            code: one.code.to_string(),
            state: account::code_state(one.state).to_owned(),
            pass: one.pass,
            held: one.held,
            packs: around.into_iter().flatten().map(pack_name).collect(),
        }
    })
}

/// As it stands on its label, `(00)` with the SSCC or the code of a group pack; its number as `#7` while it has none.
pub fn pack_name(facts: &PackFacts) -> String {
    match facts.name {
        Some(PackName::Sscc(name)) => format!("(00){name}"),
        Some(PackName::Code(identity)) => identity.to_string(),
        None => format!("#{}", facts.pack),
    }
}
