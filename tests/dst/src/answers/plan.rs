//! What goes wrong on the way upstream in one seed, and how much is made.

use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};

use crate::config::{HEAD, product};
use crate::planted::Planted;
use crate::world::GTIN;

/// The longest that a request may be on its way, and that an effect may stay hidden; with both and the work on it,
/// upstream's longest delay is below the product's settling time of 15 minutes.
const STUCK_MS: (u64, u64) = (30_000, 300_000);
const HIDDEN_MS: (u64, u64) = (1_000, 300_000);
/// Answers come this late; the product gives up after 150 s.
const LATENCY_MS: (u64, u64) = (5_000, 200_000);
/// How long nobody is let in.
const DEAD_MS: (u64, u64) = (10_000, 600_000);

/// The day of one seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub upstream: FaultPlan,
    /// How long things are made, and go wrong.
    pub made_ms: u64,
    /// Between two lots of items.
    pub lot_every_ms: u64,
    pub lot_max: u32,
    /// Codes of a run.
    pub run_codes: u32,
    /// The agent is killed about so often; `None`: never.
    pub kill_every_ms: Option<u64>,
    /// The server's clock is set anew about so often.
    pub skew_every_ms: Option<u64>,
    pub planted: Option<Planted>,
}

impl Plan {
    pub fn of(seed: u64, planted: Option<Planted>) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xA115);
        Plan {
            seed,
            upstream: FaultPlan::of(rules(&mut rng)),
            made_ms: rng.u64(3_600_000..4 * 3_600_000),
            lot_every_ms: rng.u64(5_000..20_000),
            lot_max: [1, 3, 8][rng.usize(..3)],
            run_codes: rng.u32(20..150),
            kill_every_ms: rng.bool().then(|| rng.u64(300_000..1_800_000)),
            skew_every_ms: (rng.u8(..3) == 0).then(|| rng.u64(600_000..3_600_000)),
            planted,
        }
    }
}

/// How a fault of content strikes: seldom, since each has a long way to its end.
fn is_of_content(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::MalformedCode
            | Fault::CodeTwice
            | Fault::RefuseUtilisation
            | Fault::PartUtilisation
            | Fault::RefuseDocument
            | Fault::PartDocument
            | Fault::AnnulCode
            | Fault::DeclineOrder
            | Fault::CloseOrder
            | Fault::KeyDead
    )
}

/// Everything at once, or a few things often.
fn rules(rng: &mut fastrand::Rng) -> Vec<Rule> {
    let mixed = rng.bool();
    let mut rules = Vec::new();
    for fault in Fault::ALL {
        let rate = match (mixed, is_of_content(fault)) {
            (true, true) => 0.02,
            (true, false) => 0.03,
            (false, true) if rng.u8(..3) == 0 => 0.05,
            (false, false) if rng.u8(..4) == 0 => rng.f64() * 0.25,
            (false, _) => continue,
        };
        let rule = Rule::new(fault, rate);
        let (low, high) = match fault {
            Fault::Stuck => STUCK_MS,
            Fault::Hidden => HIDDEN_MS,
            Fault::KeyDead => DEAD_MS,
            _ => LATENCY_MS,
        };
        rules.push(rule.with_ms(low, high));
    }
    rules
}

/// The product's usual settings for the way upstream, but for small orders, blocks and reports: many requests.
pub fn config_text() -> String {
    let upstream = r"
pull_codes = 40
codes_per_report = 30
report_every_s = 60
";
    let line = r#"
[lines.l1]
kind = "print"
items_applicator_to_reader = 3
items_reader_to_gate = 4
life_left_min_h = 24
[lines.l1.printers.p1.zpl]
address = "127.0.0.1:2"
module_dots = 4
label_width_dots = 400
label_length_dots = 300
[lines.l1.readers.r1.text]
connect = "127.0.0.1:3"
no_read = ["NOREAD"]
latency_ms_min = 4
latency_ms_max = 40
[lines.l1.gate.modbus]
address = "127.0.0.1:4"
"#;
    [HEAD, upstream, &product(GTIN, 60, 120), line].concat()
}
