//! The closing sheet on paper: in sections of labels and tables, which become a page (`html`) or a list (`csv`). Pure.
//!
//! Nothing is left out for want of room but what the sheet itself leaves out; every balance says in words and by a sign
//! whether it holds, never by colour alone.

pub mod csv;
pub mod html;

use super::dto;
use super::dto::pack::Pack;
use super::dto::sheet::{PackSheet, Reasoned};
use crate::words::{Language, say};

/// A part of the sheet: labels with values (two columns), or a table. The headings of labels are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub title: String,
    pub headings: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Whether its sums agree, where it has some.
    pub balanced: Option<bool>,
    pub is_of_packs: bool,
}

struct Pen {
    language: Language,
}

impl Pen {
    fn word(&self, key: &str) -> String {
        say(self.language, key, &[])
    }

    fn fields(&self, title: &str, balanced: Option<bool>, fields: &[(&str, String)]) -> Section {
        let rows = fields.iter().map(|(key, value)| vec![self.word(key), value.clone()]).collect();
        Section { title: self.word(title), headings: Vec::new(), rows, balanced, is_of_packs: false }
    }

    fn table(&self, title: &str, headings: &[&str], rows: Vec<Vec<String>>) -> Section {
        let headings = headings.iter().map(|key| self.word(key)).collect();
        Section { title: self.word(title), headings, rows, balanced: None, is_of_packs: false }
    }

    fn mark(&self, balanced: bool) -> String {
        self.word(if balanced { "sheet.holds" } else { "sheet.holds_not" })
    }
}

/// A pack by its name; by its number while it has none.
pub fn pack_name(pack: &Pack) -> String {
    pack.name.as_ref().map_or_else(|| format!("#{}", pack.pack), |name| named_so(name))
}

/// An SSCC is its digits in the shapes of the API; the code of a group pack has its brackets already.
fn named_so(name: &str) -> String {
    if name.starts_with('(') { name.to_owned() } else { format!("(00){name}") }
}

fn code(code: &dto::Code) -> String {
    format!("(01){}(21){}", code.gtin, code.serial)
}

/// The sheet in sections, the empty ones left out.
pub fn sections(sheet: &dto::Sheet, language: Language) -> Vec<Section> {
    let pen = Pen { language };
    let mut all = vec![head(&pen, sheet), unsettled(&pen, sheet)];
    all.push(codes(&pen, &sheet.codes));
    all.push(items(&pen, &sheet.items));
    all.push(rejected(&pen, &sheet.items));
    all.push(blocks(&pen, &sheet.blocks));
    all.push(reports(&pen, &sheet.reports));
    if let Some(packs) = &sheet.packs {
        all.extend(of_packs(&pen, packs).into_iter().map(|s| Section { is_of_packs: true, ..s }));
    }
    all.push(named(&pen, sheet));
    all.push(changes(&pen, sheet));
    all.push(signatures(&pen, sheet));
    all.retain(|section| !section.rows.is_empty());
    all
}

fn head(pen: &Pen, sheet: &dto::Sheet) -> Section {
    let plan = &sheet.plan;
    let expiry = plan.expiry.clone().unwrap_or_else(|| "–".to_owned());
    pen.fields(
        "sheet.head",
        Some(sheet.balanced),
        &[
            ("cli.l_run", sheet.run.to_string()),
            ("cli.l_line", sheet.line.clone()),
            ("cli.l_state", pen.word(&format!("run.{}", sheet.state))),
            ("cli.l_gtin", format!("(01){}", plan.gtin)),
            ("cli.l_batch", plan.batch.clone()),
            ("cli.l_production", plan.production.clone()),
            ("cli.l_expiry", expiry),
            ("cli.l_opened", format!("{} · {}", sheet.opened, sheet.opened_by)),
            ("cli.l_closed", sheet.closed.clone().unwrap_or_else(|| "–".to_owned())),
        ],
    )
}

fn unsettled(pen: &Pen, sheet: &dto::Sheet) -> Section {
    let row = |u: &dto::sheet::Unsettled| vec![u.what.text.clone(), u.count.to_string(), u.way.clone()];
    let rows = sheet.unsettled.iter().map(row).collect();
    pen.table("sheet.unsettled", &["sheet.l_what", "sheet.l_count", "sheet.l_way"], rows)
}

fn codes(pen: &Pen, c: &dto::CodeBalance) -> Section {
    pen.fields(
        "cli.sheet_codes",
        Some(c.balanced),
        &[
            ("cli.l_issued_to", c.issued.to_string()),
            ("cli.l_verified", c.verified.to_string()),
            ("cli.l_applied", c.applied.to_string()),
            ("cli.l_written_off", c.written_off.to_string()),
            ("cli.l_spoiled", c.spoiled.to_string()),
            ("cli.l_in_doubt", c.in_doubt.to_string()),
            ("cli.l_pass_unknown", c.pass_unknown.to_string()),
        ],
    )
}

fn items(pen: &Pen, i: &dto::ItemBalance) -> Section {
    let rejected: u64 = i.rejected.iter().map(|r| r.count).sum();
    pen.fields(
        "cli.sheet_items",
        Some(i.balanced),
        &[
            ("cli.l_triggers", i.triggers.to_string()),
            ("cli.l_passed", i.passed.to_string()),
            ("cli.l_passed_codes", i.codes_passed.to_string()),
            ("cli.l_rejected", rejected.to_string()),
            ("cli.l_lost", i.lost.to_string()),
            ("cli.l_escaped", i.escaped.to_string()),
            ("cli.l_open_tags", i.open.to_string()),
        ],
    )
}

fn rejected(pen: &Pen, i: &dto::ItemBalance) -> Section {
    let text = |key: &str| super::text::short_reason(pen.language, key).unwrap_or_else(|| key.to_owned());
    let rows = i.rejected.iter().map(|r| vec![text(&r.key), r.count.to_string()]).collect();
    pen.table("sheet.rejected", &["cli.l_reason", "cli.l_items"], rows)
}

fn blocks(pen: &Pen, blocks: &[dto::BlockBalance]) -> Section {
    let row = |b: &dto::BlockBalance| {
        let mut row = vec![format!("{} · {}", b.block, b.name), b.of_run.to_string()];
        row.extend(b.counts().map(|count| count.to_string()));
        row.push(pen.mark(b.balanced));
        row
    };
    let headings =
        [&["cli.l_block", "sheet.l_of_run"][..], &dto::BlockBalance::COUNTS, &["cli.l_mark"]].concat();
    pen.table("cli.sheet_blocks", &headings, blocks.iter().map(row).collect())
}

fn reports(pen: &Pen, r: &dto::ReportBalance) -> Section {
    pen.fields(
        "cli.sheet_reports",
        None,
        &[
            ("cli.l_accepted", r.accepted.to_string()),
            ("cli.l_in_open", r.open.to_string()),
            ("cli.l_unreported", r.unreported.to_string()),
            ("cli.l_refused_codes", r.refused.to_string()),
            ("cli.l_held", r.held.to_string()),
        ],
    )
}

fn of_packs(pen: &Pen, packs: &PackSheet) -> Vec<Section> {
    let i = &packs.items;
    let items = pen.fields(
        "sheet.packed",
        Some(i.balanced),
        &[
            ("cli.l_passed", i.passed.to_string()),
            ("sheet.l_in_closed", i.in_closed.to_string()),
            ("sheet.l_in_open", i.in_open.to_string()),
            ("sheet.l_as_packs", i.as_packs.to_string()),
            ("sheet.l_loose", i.loose.to_string()),
            ("sheet.l_dead", i.dead.to_string()),
            ("sheet.l_taken_out", packs.taken_out.to_string()),
        ],
    );
    let level = |l: &dto::sheet::PackLevel| {
        let counts = [
            l.opened,
            l.open,
            l.full,
            l.short,
            l.voided,
            l.within,
            l.alone,
            l.names,
            l.open_named,
            l.voided_named,
            l.labelled,
            l.mixed,
        ];
        let mut row = vec![l.level.text.clone()];
        row.extend(counts.map(|count| count.to_string()));
        row.push(pen.mark(l.balanced));
        row
    };
    let headings = [
        "cli.l_level",
        "sheet.l_opened",
        "sheet.l_open",
        "sheet.l_full",
        "sheet.l_short",
        "sheet.l_voided",
        "sheet.l_within",
        "sheet.l_alone",
        "sheet.l_names",
        "sheet.l_open_named",
        "sheet.l_voided_named",
        "sheet.l_labelled",
        "sheet.l_mixed",
        "cli.l_mark",
    ];
    let levels = pen.table("sheet.levels", &headings, packs.levels.iter().map(level).collect());
    let open = packs.open.iter().map(|open| {
        vec![
            pack_name(&open.pack),
            open.station.clone(),
            format!("{} / {}", open.pack.content, open.pack.capacity),
        ]
    });
    let open =
        pen.table("sheet.open_packs", &["cli.l_pack", "sheet.l_station", "cli.l_content"], open.collect());
    let reasoned = |title: &str, list: &[Reasoned]| {
        let row = |one: &Reasoned| {
            vec![pack_name(&one.pack), one.detail.clone(), one.at.clone(), one.who.clone(), one.why.clone()]
        };
        let headings = ["cli.l_pack", "cli.l_detail", "cli.l_when", "cli.l_who", "cli.l_reason"];
        pen.table(title, &headings, list.iter().map(row).collect())
    };
    let alone = packs.alone.iter().map(|pack| vec![pack_name(pack), pack.level.text.clone()]).collect();
    let loose = packs.loose.iter().map(|one| vec![code(one)]).collect();
    let out = packs.out.iter().map(|out| {
        let what = match &out.what {
            dto::pack::Child::Code(one) => code(one),
            dto::pack::Child::Pack(name) => named_so(name),
        };
        vec![what, format!("#{}", out.pack), out.at.clone(), out.who.clone(), out.why.clone()]
    });
    let out_headings = ["cli.l_code", "cli.l_pack", "cli.l_when", "cli.l_who", "cli.l_reason"];
    vec![
        items,
        levels,
        open,
        reasoned("sheet.short", &packs.short),
        reasoned("sheet.voided", &packs.voided),
        reasoned("sheet.labels", &packs.labels),
        pen.table("sheet.alone", &["cli.l_pack", "cli.l_level"], alone),
        pen.table("sheet.loose", &["cli.l_code"], loose),
        pen.table("sheet.out", &out_headings, out.collect()),
    ]
}

/// Every code that did not end on goods, and every pass that no report may carry.
fn named(pen: &Pen, sheet: &dto::Sheet) -> Section {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let none = String::new;
    rows.extend(sheet.in_doubt.iter().map(|d| vec![code(&d.code), pen.word("cli.l_in_doubt"), none()]));
    rows.extend(
        sheet.pass_unknown.iter().map(|p| vec![code(&p.code), pen.word("cli.l_pass_unknown"), none()]),
    );
    rows.extend(sheet.spoiled.iter().map(|s| vec![code(&s.code), s.state.text.clone(), none()]));
    let in_pack = |pack: &Option<Pack>| pack.as_ref().map(pack_name).unwrap_or_default();
    rows.extend(sheet.unresolved.iter().map(|u| vec![code(&u.code), u.why.clone(), in_pack(&u.pack)]));
    pen.table("cli.sheet_named", &["cli.l_code", "cli.l_state", "cli.l_in_pack"], rows)
}

fn changes(pen: &Pen, sheet: &dto::Sheet) -> Section {
    let row = |c: &dto::RunChange| {
        vec![c.at.clone(), pen.word(&format!("run.{}", c.state)), c.who.clone(), c.why.clone()]
    };
    let headings = ["cli.l_when", "cli.l_state", "cli.l_who", "cli.l_reason"];
    pen.table("sheet.changes", &headings, sheet.changes.iter().map(row).collect())
}

fn signatures(pen: &Pen, sheet: &dto::Sheet) -> Section {
    let row = |s: &dto::sheet::Signed| {
        vec![
            s.at.clone(),
            s.who.clone(),
            s.from.clone(),
            s.unsettled.to_string(),
            s.why.clone(),
            s.lines.to_string(),
            s.head.clone(),
        ]
    };
    let headings = [
        "cli.l_when",
        "cli.l_who",
        "cli.l_from",
        "sheet.l_unsettled",
        "cli.l_reason",
        "sheet.l_lines",
        "sheet.l_head",
    ];
    pen.table("sheet.signatures", &headings, sheet.signed.iter().map(row).collect())
}
