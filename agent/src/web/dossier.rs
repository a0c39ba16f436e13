//! The dossier of a run, made part by part: what happened (run, orders, reports, packs, incidents, alarms, commands), then
//! its codes, its sheet and who signed it. What its lines look like says [`crate::dossier`].
//!
//! Lines `run`, `order`, `report`, `pack`, `incident`, `alarm` and `audit` have `at`, `who`, `from`, `what`, `of`, `detail`
//! and `why`, the empty ones left out. A line `codes` names codes of one state and one pack by their serials.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{PackNo, RunId};
use tamga_domain::time::Wall;

use super::text::stamp;
use super::{account, dto, sheet};
use crate::desk::{Desk, Records, RecordsError, Who};
use crate::dossier::{Chain, Hash};
use crate::store::read::happened::{Entry, Part};
use crate::store::read::packing::{Listing, Place};
use crate::store::read::sheet::RunSheet;
use crate::words::Language;

/// Entries in one look at the records.
const ENTRIES: u32 = 500;
const PACKS: usize = 100;
const CODES: u32 = 1_000;
/// Serials in one line: some kilobytes.
const SERIALS_IN_LINE: usize = 200;

/// Who signs, and why although something is not settled.
#[derive(Clone, Debug)]
pub struct Signing {
    pub who: Who,
    pub why: String,
}

/// A dossier that is being made.
pub struct Dossier {
    run: RunId,
    gtin: Gtin,
    sheet: dto::Sheet,
    head: Value,
    by: Option<Signing>,
    now: Wall,
    chain: Chain,
    at: At,
    /// Codes written so far.
    pub listed: u64,
    /// Lines and head, once it is made.
    pub made: Option<(u64, Hash)>,
}

/// What comes next.
#[derive(Clone, Debug)]
enum At {
    Head,
    Happened(usize, i64),
    /// All packs of the run, once they are known, and how many are written.
    Packs(Option<Vec<PackNo>>, usize),
    Codes(Place),
    Sheet,
    End,
}

impl Dossier {
    pub fn new(sheet: &RunSheet, desk: &Desk, by: Option<Signing>, now: Wall, language: Language) -> Dossier {
        let shown = account::sheet(sheet, desk, language);
        let head = json!({
            "agent": desk.agent.id,
            "version": env!("CARGO_PKG_VERSION"),
            "run": sheet.run.0,
            "line": shown.line,
            "plan": shown.plan,
            "opened": shown.opened,
            "opened_by": shown.opened_by,
            "closed": shown.closed,
            "made": stamp(now),
        });
        Dossier {
            run: sheet.run,
            gtin: sheet.plan.gtin,
            sheet: shown,
            head,
            by,
            now,
            chain: Chain::default(),
            at: At::Head,
            listed: 0,
            made: None,
        }
    }

    pub fn sheet(&self) -> &dto::Sheet {
        &self.sheet
    }

    /// The bytes of the next part; none after the last. Blocks while it looks at the records.
    pub fn next(&mut self, records: &dyn Records) -> Result<Option<Vec<u8>>, RecordsError> {
        let mut out = Vec::new();
        self.at = match std::mem::replace(&mut self.at, At::End) {
            At::Head => {
                let mut body = self.head.clone();
                for (name, (last, hash)) in ["audit", "changes"].into_iter().zip(records.trails()?) {
                    body[name] = json!({ "last": last, "hash": hash.to_string() });
                }
                self.chain.line("dossier", &body, &mut out);
                At::Happened(0, 0)
            }
            At::Happened(part, after) => match Part::ALL.get(part) {
                None => At::Packs(None, 0),
                Some(of) => {
                    let entries = records.happened(self.run, *of, (after, self.now), ENTRIES)?;
                    entries.iter().for_each(|entry| self.chain.line(of.key(), &body(entry), &mut out));
                    match entries.last() {
                        Some(last) if entries.len() == ENTRIES as usize => At::Happened(part, last.id),
                        _ => At::Happened(part + 1, 0),
                    }
                }
            },
            At::Packs(None, _) => At::Packs(Some(records.packs_of(self.run)?), 0),
            At::Packs(Some(all), done) => {
                let slice = all.get(done..all.len().min(done + PACKS)).unwrap_or_default();
                let entries = records.happened_to(slice)?;
                entries.iter().for_each(|entry| self.chain.line("pack", &body(entry), &mut out));
                if slice.is_empty() {
                    At::Codes(Place::default())
                } else {
                    At::Packs(Some(all), done + PACKS)
                }
            }
            At::Codes(from) => {
                let listing = records.listing(self.run, self.gtin, &from, CODES)?;
                self.codes(&listing, &mut out);
                listing.next.map_or(At::Sheet, At::Codes)
            }
            At::Sheet => {
                let sheet = serde_json::to_value(&self.sheet).unwrap_or_default();
                for (part, body) in parts_of(sheet) {
                    self.chain.line(&part, &body, &mut out);
                }
                if let Some(Signing { who, why }) = &self.by {
                    let unsettled = count_of(&self.sheet);
                    let body = json!({"at": stamp(self.now), "who": who.name, "from": who.from,
                        "unsettled": unsettled, "why": why});
                    self.chain.line("signed", &body, &mut out);
                }
                self.made = Some(std::mem::take(&mut self.chain).end(&mut out));
                At::End
            }
            At::End => return Ok(None),
        };
        Ok(Some(out))
    }

    /// Those of one state and one pack together; a slice has its order by that.
    fn codes(&mut self, listing: &Listing, out: &mut Vec<u8>) {
        let mut groups: BTreeMap<(String, bool, Vec<String>), Vec<String>> = BTreeMap::new();
        for one in sheet::listed(listing) {
            self.listed += 1;
            // After (01), the GTIN and (21).
            let serial = one.code.get(22..).unwrap_or_default().to_owned();
            groups.entry((one.state, one.held, one.packs)).or_default().push(serial);
        }
        for ((state, held, packs), serials) in groups {
            for serials in serials.chunks(SERIALS_IN_LINE) {
                let body = json!({"gtin": self.gtin.to_string(), "state": state, "held": held, "packs": packs,
                    "serials": serials});
                self.chain.line("codes", &body, out);
            }
        }
    }
}

/// How much of a sheet is not settled.
pub fn count_of(sheet: &dto::Sheet) -> u64 {
    sheet.unsettled.iter().map(|open| open.count).sum()
}

fn body(entry: &Entry) -> Value {
    let mut body = Map::new();
    body.insert("at".into(), stamp(Wall(entry.at)).into());
    body.insert("no".into(), entry.id.into());
    let fields = [
        ("who", &entry.who),
        ("from", &entry.from),
        ("what", &entry.what),
        ("of", &entry.of),
        ("detail", &entry.detail),
        ("why", &entry.why),
    ];
    for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        body.insert(name.into(), text.as_str().into());
    }
    Value::Object(body)
}

/// The sheet, its long lists in lines of their own: `sheet.spoiled` and so on, a hundred a line.
fn parts_of(sheet: Value) -> Vec<(String, Value)> {
    let mut parts = Vec::new();
    let mut whole = Map::new();
    let mut split = |name: &str, value: Value, whole: &mut Map<String, Value>| match value {
        Value::Array(list) => {
            for some in list.chunks(100) {
                parts.push((format!("sheet.{name}"), json!({ "rows": some })));
            }
            whole.insert(format!("{name}_count"), list.len().into());
        }
        other => drop(whole.insert(name.to_owned(), other)),
    };
    if let Value::Object(fields) = sheet {
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("packs", Value::Object(packs)) => {
                    let mut of_packs = Map::new();
                    for (name, value) in packs {
                        split(&format!("packs.{name}"), value, &mut of_packs);
                    }
                    whole.insert("packs".to_owned(), Value::Object(of_packs));
                }
                (name, value) => split(name, value, &mut whole),
            }
        }
    }
    parts.push(("sheet".to_owned(), Value::Object(whole)));
    parts
}
