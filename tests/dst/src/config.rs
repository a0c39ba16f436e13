//! The text of the agent's configuration, as a plan has it.

use tamga_simulators::model::plant::Kind;

use crate::plan::{Floor, People, Plan};
use crate::world::{GTIN, GTIN_OTHER};

/// The agent's own part, as far as the beginning of the way upstream, whose settings follow.
pub(crate) const HEAD: &str = r#"
[agent]
data = "/nowhere"
country = "uz"
language = "en"
[api]
listen = "127.0.0.1:1"
[upstream.xtrace]
url = "http://127.0.0.1:1"
api_key_file = "/nowhere/key"
business_place = 1
manufacturer_country = "UZ"
"#;

/// A water, and when codes of it are ordered.
pub(crate) fn product(gtin: &str, low_water: u32, quantity: u32) -> String {
    format!(
        r#"
[[products]]
gtin = "{gtin}"
name = "Water"
group = "water"
order = {{ low_water = {low_water}, quantity = {quantity} }}
"#
    )
}

pub(crate) fn text(plan: &Plan) -> String {
    let upstream = r"
requests_per_min = 6000
pull_codes = 150
report_every_s = 5
settle_min_s = 12
timeout_s = 5
poll_s = 1
";
    let mut text = [HEAD, upstream, &product(GTIN, 150, 300)].concat();
    if plan.people.contains(&People::ProductChange) {
        text.push_str(&product(GTIN_OTHER, 150, 300));
    }
    for at in 0..plan.kinds.len() {
        text.push_str(&line(plan, at));
    }
    plan.packing.iter().for_each(|packing| text.push_str(&packing.text()));
    text
}

fn line(plan: &Plan, at: usize) -> String {
    let kind = plan.kinds[at];
    let no = at + 1;
    let name = match kind {
        Kind::Print => "print",
        Kind::PrintAndApply => "print-and-apply",
        Kind::PrePrinted => "pre-printed",
    };
    let Floor { web, items_to_reader, items_to_gate, window: jobs, gap_max, .. } = plan.floor;
    let web = match kind {
        Kind::PrintAndApply => format!("labels_head_to_applicator = {web}"),
        Kind::Print | Kind::PrePrinted => String::new(),
    };
    let printer = |of: usize| {
        format!(
            r#"
[lines.l{no}.printers.p{of}.zpl]
address = "127.0.{of}.{no}:2"
window = {jobs}
module_dots = 4
label_width_dots = 400
label_length_dots = 300
stored_format = "E:TAMGA.ZPL"
poll_ms = 50
"#
        )
    };
    let printers: String = match kind {
        Kind::PrePrinted => String::new(),
        Kind::Print | Kind::PrintAndApply => (1..=plan.heads[at].printers).map(printer).collect(),
    };
    let window = window_ms(plan);
    let poll = plan.gate_poll_ms;
    format!(
        r#"
[lines.l{no}]
kind = "{name}"
{web}
items_applicator_to_reader = {items_to_reader}
items_reader_to_gate = {items_to_gate}
life_left_min_h = 24
[lines.l{no}.limits]
consecutive_bad_max = 10
bad_rate_max_percent = 50
bad_rate_window = 100
gap_max = {gap_max}
{printers}
[lines.l{no}.readers.r1.text]
connect = "127.0.0.{no}:3"
no_read = ["NOREAD"]
several_delimiter = "\t"
latency_ms_min = 4
latency_ms_max = {window}
[lines.l{no}.gate.modbus]
address = "127.0.0.{no}:4"
poll_ms = {poll}
scan_ms_max = 0
"#
    )
}

/// How long after its trigger a result may come: nearly until the next item's, or as the reader needs it.
fn window_ms(plan: &Plan) -> u32 {
    let until_next = (54_000 / plan.items_per_min).clamp(10, 150);
    match plan.floor.reader_ms {
        (8, 25) => until_next,
        (_, most) => u32::try_from(most).map_or(until_next, |ms| ms + 4),
    }
}
