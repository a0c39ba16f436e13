//! The agent ends between every two steps of a pack's life, and a person goes on as persons do: at the end each box holds
//! what its data say. The station's core over a real store, without the shell, so that it can end anywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamga::store::Store;
use tamga::store::read::packs::Content;
use tamga::store::verify::verify;
use tamga_domain::code::Identity;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::StationNo;
use tamga_domain::layout::reader::Substitutes;
use tamga_domain::layout::{Form, Layout};
use tamga_domain::line::ask::Refusal;
use tamga_domain::line::{AskId, PrinterEvent, Product, ReaderEvent};
use tamga_domain::pack::ask::{OpenPack, StationAsk, StationReply};
use tamga_domain::pack::station::{
    LabelId, Naming, Signal, Station, StationConfig, StationEffect, StationInput,
};
use tamga_domain::pack::{Holds, Level, Mixing, PackName, PackState, Terms};
use tamga_domain::sscc::{Sscc, SsccRange};
use tamga_domain::time::Time;

use crate::kit::{self, GTIN, identity, mark};

const STATION: StationNo = StationNo(0);
const CAPACITY: u32 = 3;
/// Two full boxes and one that is closed short.
const ITEMS: u32 = 8;

/// Why one is closed short.
const SHORT: &str = "the last ones";

/// The process ended.
struct Ended;

/// The agent as far as it packs, with what of it is on the desk: labels that came out of the printer, sounds.
struct Agent {
    books: kit::World,
    station: Station,
    /// Steps until it ends; `None`: it does not.
    fuse: Option<u32>,
    steps: u32,
    labels: Vec<(LabelId, Sscc)>,
    heard: Option<Signal>,
    reply: Option<Result<StationReply, Refusal>>,
}

fn gtin() -> Gtin {
    Gtin::parse(GTIN).unwrap()
}

fn station(store: &Store, naming: Naming) -> Station {
    let layout = Layout::new(vec![Form::gs1(13, &[("93", 4)])]).unwrap();
    let product = Product { name: "Water".into(), group: "water".into(), layout };
    let terms = Terms { level: Level::Box, holds: Holds::Items, capacity: CAPACITY, mixing: Mixing::SameRun };
    let config = StationConfig {
        station: STATION,
        name: "box1".into(),
        terms,
        naming,
        substitutes: Substitutes::default(),
        products: BTreeMap::from([(gtin(), product)]),
        group_packs: BTreeMap::new(),
        layer: None,
    };
    Station::new(config, store.open_pack(STATION).unwrap())
}

impl Agent {
    fn new() -> Agent {
        let mut books = kit::World::new();
        books.pool(ITEMS);
        let run = books.run("r1");
        books.issue(run, ITEMS);
        for n in 1..=ITEMS {
            books.pass_item(run, n, n);
        }
        books.store.use_names(&SsccRange::new(0, "4780001", 0, 1000).unwrap()).unwrap();
        let station = station(&books.store, Naming::Printed);
        Agent { books, station, fuse: None, steps: 0, labels: vec![], heard: None, reply: None }
    }

    /// A step, before which the process may end.
    fn step(&mut self) -> Result<(), Ended> {
        self.steps += 1;
        match &mut self.fuse {
            Some(0) => {
                self.fuse = None;
                Err(Ended)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn feed(&mut self, input: StationInput) -> Result<(), Ended> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.step()?;
            let mut out = vec![];
            let now = self.books.at();
            self.station.step(now, input, &mut out);
            for effect in out {
                self.step()?;
                match effect {
                    StationEffect::Commit(txn) => {
                        let answers = self.books.store.apply(std::slice::from_ref(&txn)).unwrap().remove(0);
                        inputs.push_back(StationInput::Committed(txn.id, answers));
                    }
                    StationEffect::Print(job) => {
                        self.labels.push((job.id, job.name));
                        inputs.push_back(StationInput::Printer(PrinterEvent::Printed(job.id)));
                    }
                    StationEffect::Signal(signal) => self.heard = Some(signal),
                    StationEffect::Reply(_, reply) => self.reply = Some(reply),
                    StationEffect::Seen(code) => panic!("{code} had passed"),
                }
            }
        }
        Ok(())
    }

    /// A new process on the same disk.
    fn start(self) -> Agent {
        let kit::World { store, folder, now } = self.books;
        drop(store);
        let store = Store::open(folder.path(), "x").unwrap();
        let station = station(&store, Naming::Printed);
        Agent { books: kit::World { store, folder, now }, station, ..self }
    }

    fn scan(&mut self, bytes: Vec<u8>) -> Result<(), Ended> {
        self.feed(StationInput::Reader(ReaderEvent::Read { bytes, at: Time(0) }))
    }

    fn said(&self) -> String {
        self.station.status().last.map(|said| said.key).unwrap_or_default()
    }
}

/// The desk: what is really in the boxes.
#[derive(Default)]
struct Hands {
    /// The box that is being filled.
    open: BTreeSet<Identity>,
    label: Option<Sscc>,
    closed: BTreeMap<Sscc, BTreeSet<Identity>>,
    next: u32,
    /// An item was scanned and nothing was heard: it is still in the hand.
    in_hand: bool,
    reprints: usize,
}

impl Hands {
    /// One thing that the person does next; false when all is done. What a process that ended did not say, the person asks
    /// of the next one by doing it again.
    fn work(&mut self, agent: &mut Agent) -> Result<bool, Ended> {
        if self.in_hand {
            return self.scan_next(agent);
        }
        agent.heard = None;
        let open = agent.station.status().open;
        if let Some(name) = self.label {
            // The label is on the box: is it closed?
            let closed = agent
                .books
                .store
                .view()
                .pack(name.into())
                .unwrap()
                .is_some_and(|p| p.state == PackState::Closed);
            if closed {
                self.closed.insert(name, std::mem::take(&mut self.open));
                self.label = None;
                return Ok(true);
            }
            agent.scan(name.render())?;
            return Ok(true);
        }
        let label = open.as_ref().and_then(|open| open.label);
        if matches!(label, Some("doubtful" | "unasked")) && !self.has_label(&open, agent) {
            self.reprints += 1;
            let ask = StationAsk::Reprint { reason: "no label came".into() };
            agent.feed(StationInput::Ask(AskId(1), ask, "anna".into()))?;
            return Ok(true);
        }
        if let Some(PackName::Sscc(name)) = open.as_ref().and_then(|open| open.name) {
            assert!(self.has_label(&open, agent), "the label {name} neither came nor is in doubt: {label:?}");
            self.label = Some(name);
            return Ok(true);
        }
        if self.next < ITEMS {
            return self.scan_next(agent);
        }
        if open.is_some() {
            let ask = StationAsk::Short { reason: SHORT.into() };
            agent.feed(StationInput::Ask(AskId(2), ask, "anna".into()))?;
            return Ok(true);
        }
        Ok(!self.open.is_empty())
    }
}

impl Hands {
    /// A label with the name of the open pack lies there.
    fn has_label(&self, open: &Option<OpenPack>, agent: &Agent) -> bool {
        let name = open.as_ref().and_then(|open| open.name);
        agent.labels.iter().any(|(_, printed)| Some(PackName::Sscc(*printed)) == name)
    }

    fn scan_next(&mut self, agent: &mut Agent) -> Result<bool, Ended> {
        let n = self.next + 1;
        (agent.heard, self.in_hand) = (None, true);
        agent.scan(mark(n))?;
        match (agent.heard, agent.said().as_str()) {
            (Some(Signal::Taken), _) => {}
            // It was taken, and nobody said so.
            (Some(Signal::Refused), "pack.not_in.again") => {}
            (heard, said) => panic!("item {n}: {heard:?} {said}"),
        }
        self.open.insert(identity(n));
        (self.next, self.in_hand) = (n, false);
        Ok(true)
    }
}

/// A day on which the process ends after so many steps, each time it was started; answers how many steps it had.
fn day(fuses: impl IntoIterator<Item = u32>) -> u32 {
    let mut fuses = fuses.into_iter();
    let mut agent = Agent::new();
    let mut hands = Hands::default();
    agent.fuse = fuses.next();
    let ready = |agent: &mut Agent| agent.feed(StationInput::Printer(PrinterEvent::Ready));
    let mut begun = ready(&mut agent);
    for _ in 0..500 {
        let worked = match begun {
            Ok(()) => hands.work(&mut agent),
            Err(Ended) => Err(Ended),
        };
        begun = match worked {
            Ok(true) => Ok(()),
            Ok(false) => break,
            Err(Ended) => {
                agent = agent.start();
                agent.fuse = fuses.next();
                ready(&mut agent)
            }
        };
    }
    judge(&agent, &hands);
    agent.steps
}

fn judge(agent: &Agent, hands: &Hands) {
    assert_eq!(hands.closed.len(), 3, "three boxes");
    let view = agent.books.store.view();
    let mut packed = BTreeSet::new();
    for (name, really) in &hands.closed {
        let pack = view.pack((*name).into()).unwrap().expect("a box with this label is in the books");
        assert_eq!(pack.state, PackState::Closed);
        let told: BTreeSet<Identity> = view
            .content(pack.pack)
            .unwrap()
            .into_iter()
            .map(|c| match c {
                Content::Item(identity) => identity,
                Content::Pack(name) => panic!("{name} in a box of items"),
            })
            .collect();
        assert_eq!(told, *really, "box {name}");
        assert!(told.iter().all(|item| packed.insert(*item)), "an item in two boxes");
        let closed = view.pack_changes(pack.pack).unwrap().pop().unwrap();
        let expected = if pack.content == CAPACITY { ("full", "") } else { ("short", SHORT) };
        assert_eq!((closed.what.as_str(), closed.why.as_str()), expected, "box {name}");
        let labels = agent.labels.iter().filter(|(_, printed)| printed == name).count();
        assert!(labels <= pack.labels as usize, "{labels} labels of {name}, {} asked for", pack.labels);
    }
    assert_eq!(packed.len(), ITEMS as usize);
    assert!(agent.labels.len() <= 3 + hands.reprints, "no label is printed again by itself");
    assert_eq!(verify(&view).unwrap(), vec![]);
}

#[test]
fn a_day_without_an_end_packs_three_boxes() {
    assert!(day([]) > 40);
}

#[test]
fn the_agent_ends_before_each_step_of_a_packs_life() {
    for step in 0..day([]) {
        day([step]);
    }
}

#[test]
fn the_agent_ends_again_and_again() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let fuses: Vec<u32> = (0..12).map(|_| rng.u32(..12)).collect();
        day(fuses);
    }
}
