//! What the step is told once: how it shall behave, and what the store recovered.

use std::time::Duration;

use crate::code::Code;
use crate::day::{Day, Zone};
use crate::document::{DocumentKind, Drafted, Limits, PieceEnd};
use crate::gs1::Gtin;
use crate::ids::{BlockNo, DocumentNo, OrderNo, ReportNo, RunId};
use crate::record::{OrderPlan, OrderState, PackageKind, PassRange, ReportState};
use crate::time::Wall;

/// Reads one code as upstream gave it: `(product group, bytes)` to a code, or the reason in words.
pub type Parse = Box<dyn Fn(&str, &[u8]) -> Result<Code, String> + Send>;

/// How the upstream side behaves. Valid by construction in the agent's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The id of this agent: in every order and report number, so that upstream can search for them.
    pub agent: String,
    /// Seeds the jitter of retries.
    pub seed: u64,
    pub products: Vec<Product>,
    /// The business place that application reports name.
    pub business_place: Option<i64>,
    /// The country of manufacture that application reports name.
    pub country: String,
    /// The plant's zone: a declared day is its local day.
    pub zone: Zone,

    /// Upstream allows 100 a minute for orders and reports together.
    pub requests_per_min: u32,
    pub in_flight_max: u32,
    /// Between the starts of two requests.
    pub pause: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// The first request leaves at a random moment within this time, so that a plant does not stampede.
    pub first_within: Duration,

    /// How long absence must last before it counts: above the longest delay upstream is known to have.
    pub settle_min: Duration,
    /// How many looks at least must have found nothing.
    pub looks_min: u32,

    pub poll_min: Duration,
    pub poll_max: Duration,
    /// How often an order from which nothing is needed is looked at.
    pub idle_every: Duration,
    /// After upstream refused an order, or a report for no fault of its codes.
    pub refused_pause: Duration,

    pub codes_per_report: u32,
    pub report_every: Duration,
    /// The server's clock must be this far past the production time.
    pub clock_margin: Duration,
    /// Upstream allows 1000 codes a look-up.
    pub codes_per_lookup: u32,
    /// Slices of a block being unpacked at once; each has at most 100 codes.
    pub slices_in_flight: u32,
    /// For how long consumption the pool and what is on order shall last.
    pub lead: Duration,
    /// Codes with less life left are of no use to any line: they are not taken, and count for nothing.
    pub life_left_min: Duration,
    pub documents: Documents,
}

/// How documents of packs are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Documents {
    pub limits: Limits,
    /// How often what waits is looked through.
    pub every: Duration,
    /// The word that a write-off gives as its reason.
    pub withdrawal_reason: String,
}

impl Config {
    /// The defaults for everything that has one.
    pub fn new(agent: impl Into<String>, seed: u64) -> Config {
        Config {
            agent: agent.into(),
            seed,
            products: Vec::new(),
            business_place: None,
            country: String::new(),
            zone: Zone::UTC,
            requests_per_min: 90,
            in_flight_max: 2,
            pause: Duration::from_millis(500),
            backoff_min: Duration::from_secs(2),
            backoff_max: Duration::from_secs(300),
            first_within: Duration::from_secs(5),
            // Answers after two minutes are known; documents are worked on asynchronously after that.
            settle_min: Duration::from_secs(30 * 60),
            looks_min: 4,
            poll_min: Duration::from_secs(3),
            poll_max: Duration::from_secs(60),
            idle_every: Duration::from_secs(600),
            refused_pause: Duration::from_secs(3600),
            codes_per_report: 30_000,
            report_every: Duration::from_secs(3600),
            clock_margin: Duration::from_secs(60),
            codes_per_lookup: 1000,
            slices_in_flight: 2,
            lead: Duration::from_secs(4 * 3600),
            life_left_min: Duration::ZERO,
            documents: Documents {
                limits: Limits::KNOWN,
                every: Duration::from_secs(60),
                withdrawal_reason: "DEFECT".to_owned(),
            },
        }
    }
}

/// A product whose pool is filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub gtin: Gtin,
    pub group: String,
    pub kind: PackageKind,
    pub release_method: String,
    pub business_place: Option<i64>,
    /// Below this the pool is filled, and when what is on order does not suffice either, an order is made.
    pub low_water: u64,
    /// Of one order; upstream allows 150 000. 0: this agent orders none, a person assigns orders of the cabinet.
    pub order_quantity: u32,
    pub codes_per_block: u32,
    /// How long after its order a code lives, where upstream does not say when it ends; `None`: no limit known.
    pub code_life: Option<Duration>,
}

/// What the store recovered: nothing of the step is kept in memory only.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshot {
    /// Orders that are not `Refused` or `Closed`.
    pub orders: Vec<OrderFacts>,
    /// Blocks that are not unpacked to the end.
    pub blocks: Vec<BlockFacts>,
    /// Reports that are neither `Accepted` nor `Refused`.
    pub reports: Vec<ReportFacts>,
    /// Documents that are neither `Accepted` nor `Refused`.
    pub documents: Vec<DocumentFacts>,
    /// By kind: the newest document that was accepted.
    pub documents_accepted: Vec<(DocumentKind, DocumentNo)>,
    /// By run: the newest report that was sent and accepted, of runs that have open reports.
    pub accepted: Vec<(RunId, ReportNo)>,
    /// Keys of the alarms of the way upstream that are raised.
    pub told: Vec<String>,
    /// The highest `n` of all order numbers `<agent>-<n>` ever wanted; 0 = none.
    pub last_po: u32,
    /// The last order of before the database was restored from a copy, or was settled behind its witness, while one of
    /// those is open: a block of them that is missing here may have been printed, and is not fetched again.
    pub restored: Option<OrderNo>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrderFacts {
    pub order: OrderNo,
    pub plan: OrderPlan,
    pub state: OrderState,
    /// Known once it was `Accepted`.
    pub upstream_id: Option<String>,
    /// Its blocks, in the order of their numbers.
    pub packs: Vec<PackFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFacts {
    pub pack_id: String,
    pub previous: Option<String>,
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BlockFacts {
    pub block: BlockNo,
    pub gtin: Gtin,
    pub group: String,
    /// All codes of the block as bytes, read from its stored body.
    pub codes: Vec<Vec<u8>>,
    /// How many are unpacked already.
    pub unpacked: u32,
    /// An earlier version began to unpack it in the order in which it came, and it is to be gone on with so.
    pub as_received: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ReportFacts {
    pub report: ReportNo,
    pub run: RunId,
    pub head: RunHead,
    pub passes: Vec<PassRange>,
    pub state: ReportState,
    /// The refused report that it comes from.
    pub replaces: Option<ReportNo>,
    /// The moment of production that it carries, fixed when it was drafted.
    pub production: Wall,
    /// When it was drafted.
    pub at: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DocumentFacts {
    pub draft: Drafted,
    pub state: ReportState,
    /// When it was drafted.
    pub at: Wall,
    /// The ends that some of its pieces have already: the process ended between two records of them. Of what is free the
    /// lot is not told again.
    pub ends: Vec<(u32, PieceEnd)>,
}

/// What a report takes from the plan of its run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunHead {
    pub group: String,
    pub batch: String,
    pub expiry: Option<Day>,
}

/// What of a run is still to be reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub run: RunId,
    pub head: RunHead,
    /// All passes that no report carries and a new one may, in order.
    pub free: Vec<PassRange>,
    /// The newest report that the store had when this was read: what was read before a draft of the step's own is old.
    pub newest: Option<ReportNo>,
    pub closed: bool,
}

/// What of an order lies in the pool, and whether it is still of use. Told of orders that have codes in the pool, or
/// whose codes were all taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRest {
    pub order: OrderNo,
    pub pooled: u64,
    /// Closed or rejected upstream.
    pub closed: bool,
    pub expires: Option<Wall>,
    /// No code of it is pooled or in doubt, all runs that had codes of it are closed, and all their reports have
    /// their final answer: nothing of ours needs the order any more.
    pub spent: bool,
}

/// The level of a product's pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub gtin: Gtin,
    /// Codes that have enough life left to be issued.
    pub pooled: u64,
    /// Consumption foreseen, or measured lately.
    pub per_hour: u32,
}
