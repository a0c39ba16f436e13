//! How what passed is packed on a day: the desks, what goes wrong there, and how people at them speak with the agent.

use tamga_domain::line::AskId;
use tamga_domain::line::ask::Refusal;
use tamga_domain::pack::PackState;
use tamga_domain::pack::ask::{StationAsk, StationReply, StationStatus};
use tamga_domain::sscc::{Sscc, SsccRange};
use tamga_simulators::fault::{FaultKind, FaultPlan};
use tamga_simulators::model::packing::{Desk, DeskConfig, Screen, Thing, Told, Wish};
use tamga_simulators::model::truth::{Fate, Mark};

use crate::plan::{Plan, Shape, Switches};
use crate::side::{Cable, ToPrinter};
use crate::world::World;

/// Names that the agent gives, under this prefix; those of rolls begin behind them.
const PREFIX: &str = "4780001";
const NAMES: u64 = 1_000_000;

/// How items are packed.
#[derive(Clone, Debug)]
pub struct Packing {
    /// Items of a full box.
    pub capacity: u32,
    pub mixing: &'static str,
    pub labels_printed: bool,
    /// Boxes of a full pallet, where there are pallets.
    pub pallet: Option<u32>,
    /// All lines bring their items, not only the first one.
    pub of_all_lines: bool,
    pub faults: FaultPlan,
}

impl Packing {
    /// What the seed packs, one day in three: from a stream of its own, so that other days stay what they were.
    pub(crate) fn of(plan: &Plan, is_narrow: bool, switches: &Switches) -> Option<Packing> {
        let mut rng = fastrand::Rng::with_seed(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x9ACC);
        let may = |shape: Shape| switches.allows(shape.name());
        let packs = rng.u8(..3) == 0;
        let pallet = rng.bool().then(|| rng.u32(1..=4));
        let printed = rng.u8(..4) > 0;
        let packing = Packing {
            capacity: rng.u32(1..=12),
            mixing: ["same-run", "same-run", "same-product", "free"][rng.usize(..4)],
            labels_printed: printed || !may(Shape::PrePrintedLabels),
            pallet: pallet.filter(|_| may(Shape::Pallets)),
            of_all_lines: rng.bool(),
            faults: faults(&plan.plant, is_narrow, &mut rng, switches),
        };
        (packs && may(Shape::Packs) && plan.trial.is_none()).then_some(packing)
    }

    pub(crate) fn shapes(&self) -> impl Iterator<Item = Shape> + use<> {
        let pallets = self.pallet.is_some().then_some(Shape::Pallets);
        let labels = (!self.labels_printed).then_some(Shape::PrePrintedLabels);
        [Shape::Packs].into_iter().chain(pallets).chain(labels)
    }

    /// The text of the stations and of the names that they give.
    pub(crate) fn text(&self) -> String {
        let last = NAMES - 1;
        let mut text = format!(
            "\n[sscc]\nextension = 0\ncompany_prefix = \"{PREFIX}\"\nfirst = 0\nlast = {last}\n{}",
            self.station(1, "box", "items", self.capacity, self.labels_printed)
        );
        if let Some(boxes) = self.pallet {
            text += &self.station(2, "pallet", "box", boxes, true);
        }
        text
    }

    fn station(&self, no: u32, level: &str, holds: &str, capacity: u32, labels_printed: bool) -> String {
        let mixing = self.mixing;
        let names = if labels_printed { "printed" } else { "pre-printed" };
        let printer = format!(
            r#"
[stations.s{no}.printer.zpl]
address = "127.0.9.{no}:2"
label_width_dots = 800
label_length_dots = 400
poll_ms = 50
texts = [{{ x = 300, y = 40, height = 40, text = "{{sscc}} {{content}}" }}]
"#
        );
        format!(
            r#"
[stations.s{no}]
level = "{level}"
holds = "{holds}"
capacity = {capacity}
mixing = "{mixing}"
names = "{names}"
[stations.s{no}.sounds]
taken = "+"
closed = "!"
refused = "-"
[stations.s{no}.reader.text]
serial = "/dev/serial/by-id/scanner-{no}"
baud = 115200
gs_substitutes = ["^"]
{}"#,
            if labels_printed { printer.as_str() } else { "" }
        )
    }

    /// The desks, in the order of the stations.
    pub(crate) fn desks(&self, plan: &Plan) -> Vec<DeskSide> {
        let roll = || {
            let range = SsccRange::new(0, PREFIX, NAMES, 2 * NAMES).expect("a range");
            let names = std::iter::successors(range.take_next(), |(_, left)| left.take_next());
            names.map(|(name, _)| name.render()).take(4 * plan.items as usize + 100).collect()
        };
        let desk = |no: u64, labels_printed: bool| {
            let config = DeskConfig {
                seed: plan.seed ^ (no << 48),
                roll: (!labels_printed).then(roll),
                first_box: (no << 40) + 1,
                ..DeskConfig::default()
            };
            DeskSide::new(Desk::new(config, self.faults.clone()))
        };
        let boxes = desk(1, self.labels_printed);
        [boxes].into_iter().chain(self.pallet.map(|_| desk(2, true))).collect()
    }
}

/// What goes wrong at the desks: nothing, a little of all, or a few kinds often. What goes wrong with printers and cables of
/// the day goes wrong here too; labels of boxes are few, so more often.
fn faults(plant: &FaultPlan, is_narrow: bool, rng: &mut fastrand::Rng, switches: &Switches) -> FaultPlan {
    const SHARED: [FaultKind; 15] = [
        FaultKind::RibbonOut,
        FaultKind::MediaOut,
        FaultKind::HeadOpen,
        FaultKind::PrinterPower,
        FaultKind::FeedReprint,
        FaultKind::LabelDoubled,
        FaultKind::OldAgain,
        FaultKind::OdometerMissed,
        FaultKind::ReprintAnyway,
        FaultKind::Misread,
        FaultKind::LineCut,
        FaultKind::GsLost,
        FaultKind::GsReplaced,
        FaultKind::PrinterLate,
        FaultKind::PrinterTwice,
    ];
    const LABELS_MORE: f64 = 10.0;
    const RATE_MAX: f64 = 0.2;
    let mut plan = FaultPlan::none();
    let mut set = |kind: FaultKind, rate: f64| plan.set(kind, rate.min(RATE_MAX)).expect("rates are rates");
    for kind in SHARED {
        set(kind, plant.rate(kind) * LABELS_MORE);
    }
    for kind in [FaultKind::PrinterCut, FaultKind::ReaderCut] {
        set(kind, plant.rate(kind));
    }
    let day = rng.u8(..4);
    let own: Vec<FaultKind> = FaultKind::ALL.iter().copied().filter(|kind| kind.is_of_packing()).collect();
    let few = rng.choose_multiple(own.iter().copied(), 2);
    for kind in own {
        let rough = FaultPlan::rough().rate(kind);
        let rate = match day {
            0 => 0.0,
            _ if is_narrow && few.contains(&kind) => rough * 4.0,
            _ if is_narrow => 0.0,
            1 => rough * 0.3,
            2 => rough,
            _ if rng.u8(..4) == 0 => rough * 2.0,
            _ => 0.0,
        };
        if switches.allows(kind.name()) {
            set(kind, rate);
        }
    }
    plan
}

/// A desk with its cables, and with what people at it have asked.
pub(crate) struct DeskSide {
    pub(crate) desk: Desk,
    pub(crate) scanner: Cable,
    pub(crate) printer: ToPrinter,
    /// Of each line: items that were brought. Of the desk before: boxes.
    brought: Vec<usize>,
    asks: u64,
    waiting: Option<AskId>,
    /// Labels that were looked at.
    pub(crate) labels_seen: usize,
}

impl DeskSide {
    fn new(desk: Desk) -> DeskSide {
        DeskSide {
            desk,
            scanner: Cable::default(),
            printer: ToPrinter::default(),
            brought: Vec::new(),
            asks: 0,
            waiting: None,
            labels_seen: 0,
        }
    }

    pub(crate) fn agent_gone(&mut self) {
        self.waiting = None;
        self.desk.agent_gone();
    }
}

/// What people see of a station.
fn screen(status: &StationStatus) -> Screen {
    let open = status.open.as_ref();
    Screen {
        open: open.map(|open| (open.content, open.capacity)),
        name: open.and_then(|open| Some(open.name?.to_string())),
        label: open.and_then(|open| open.label),
        last: status.last.as_ref().map(|said| said.key.clone()).unwrap_or_default(),
        waiting: status.waiting,
    }
}

impl World {
    /// The desks: what passed is brought, people do what they do, and ask what they ask.
    pub(crate) fn pack(&mut self) {
        let now_ns = self.ms * 1_000_000;
        for at in 0..self.desks.len() {
            self.desks[at].desk.step(now_ns);
            if self.ms.is_multiple_of(20) {
                if at == 0 { self.bring_items() } else { self.bring_boxes(at) }
            }
            self.look_at_labels(at);
            if self.desks[at].desk.is_due() {
                self.act(at);
            }
        }
    }

    /// What went through the gate is put onto the first desk, with something from the bin beside it.
    fn bring_items(&mut self) {
        let Some(packing) = &self.plan.packing else { return };
        let lines = if packing.of_all_lines { self.sides.len() } else { 1 };
        let desk = &mut self.desks[0];
        desk.brought.resize(lines, 0);
        for (at, side) in self.sides.iter().enumerate().take(lines) {
            for no in &side.plant.passed()[desk.brought[at]..] {
                let Some(item) = side.plant.item(*no) else { continue };
                let symbol = item.marks.iter().find_map(Mark::readable).map(<[u8]>::to_vec);
                let number = |no: u64| ((at as u64) << 32) + no;
                desk.desk.bring(Thing { no: number(*no), symbol });
                let before = side.plant.item(no.saturating_sub(1)).filter(|i| i.fate == Some(Fate::Rejected));
                let stray = before.and_then(|i| {
                    let symbol = i.marks.iter().find_map(Mark::readable)?.to_vec();
                    Some(Thing { no: number(i.item_no), symbol: Some(symbol) })
                });
                stray.into_iter().for_each(|thing| desk.desk.bring_stray(thing));
            }
            desk.brought[at] = side.plant.passed().len();
        }
        let agent = self.agent.as_ref();
        let no_more = !self.faults_on
            && self.sides.iter().all(|side| agent.is_some_and(|agent| side.person.is_done(agent)));
        if no_more {
            self.desks[0].desk.last();
        }
    }

    /// Boxes that are closed are put onto the next desk.
    fn bring_boxes(&mut self, at: usize) {
        let (before, this) = self.desks.split_at_mut(at);
        let (before, this) = (&before[at - 1], &mut this[0]);
        this.brought.resize(1, 0);
        let boxes: Vec<Thing> = before
            .desk
            .done_from(this.brought[0])
            .map(|carton| Thing { no: carton.no, symbol: carton.labels.first().cloned() })
            .collect();
        this.brought[0] += boxes.len();
        boxes.into_iter().for_each(|thing| this.desk.bring(thing));
        if before.desk.is_done() {
            this.desk.last();
        }
    }

    fn act(&mut self, at: usize) {
        let DeskSide { desk, asks, waiting, .. } = &mut self.desks[at];
        let Some(agent) = &mut self.agent else {
            desk.act(None);
            return;
        };
        let Some(station) = agent.stations.get_mut(at) else { return };
        let shown = screen(&station.station.status());
        let wish = desk.act(Some(&shown));
        self.trace.say(|| format!("packer {} sees {shown:?}: {}", at + 1, desk.shows()));
        let Some(wish) = wish else { return };
        let reason = || "as it is".to_owned();
        let ask = match wish {
            Wish::Short => StationAsk::Short { reason: reason() },
            Wish::Reprint => StationAsk::Reprint { reason: reason() },
            Wish::Void => StationAsk::Void { reason: reason() },
            Wish::Out(scan) => StationAsk::Out { scan, reason: reason() },
            Wish::Look(label) => {
                let name = Sscc::parse_read(&label).ok();
                let facts = name.and_then(|name| agent.store().view().pack(name.into()).ok().flatten());
                let closed = facts.is_some_and(|facts| facts.state == PackState::Closed);
                return desk.answered(if closed { &Told::Closed } else { &Told::Done });
            }
        };
        *asks += 1;
        let id = AskId(*asks);
        *waiting = Some(id);
        self.trace.say(|| format!("packer {} {id:?} {ask:?}", at + 1));
        station.ask(id, ask);
    }

    pub(crate) fn packer_answered(&mut self, at: usize, id: AskId, answer: &Result<StationReply, Refusal>) {
        self.trace.say(|| format!("packer {} reply {id:?} {answer:?}", at + 1));
        let desk = &mut self.desks[at];
        if desk.waiting.take_if(|waiting| *waiting == id).is_some() {
            desk.desk.answered(&match answer {
                Ok(_) => Told::Done,
                Err(refusal) => Told::Refused(refusal.key.to_owned()),
            });
        }
    }

    /// What leaves the printer of a desk bears a name that is in the books by then.
    fn look_at_labels(&mut self, at: usize) {
        let Some(agent) = &self.agent else { return };
        let desk = &mut self.desks[at];
        let new = &desk.desk.labels()[desk.labels_seen..];
        let mut wrong = Vec::new();
        for label in new {
            let name = label.symbol.as_deref().and_then(|symbol| Sscc::parse_read(symbol).ok());
            let shown = label.symbol.as_deref().unwrap_or_default().escape_ascii().to_string();
            self.trace.say(|| format!("desk {} label {}: {shown}", at + 1, label.label_no));
            let Some(name) = name else { continue };
            if matches!(agent.store().view().pack(name.into()), Ok(None)) {
                wrong.push(name);
            }
        }
        desk.labels_seen = desk.desk.labels().len();
        if !self.restored {
            wrong.into_iter().for_each(|name| self.violate("label-of-no-pack", name.to_string()));
        }
    }

    /// Everything is packed.
    pub(crate) fn all_packed(&self) -> bool {
        self.desks.iter().all(|desk| desk.desk.is_done())
    }
}
