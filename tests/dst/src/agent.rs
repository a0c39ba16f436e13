//! The agent as the product has it, on one thread: the line's core, the store on SQLite, the sessions of the devices, and
//! the step of the way upstream. What stands here stands in for the product's shells only: it carries inputs and effects,
//! in the shells' order, and decides nothing. Every effect and every commit can be the last thing that it does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tamga::config::{Config, upstream};
use tamga::plan;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::upstream::Setup;
use tamga::upstream::xtrace;
use tamga::witness::Doubt;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, TxnId};
use tamga_domain::line::ask::{Ask, Refusal, Reply};
use tamga_domain::line::{AskId, Input, LineConfig, ReadId};
use tamga_domain::pack::ask::StationReply;
use tamga_domain::pack::record::PackRecord;
use tamga_domain::pack::station::StationInput;
use tamga_domain::record::{Answer, Record, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_domain::upstream as up;
use tamga_domain::upstream::request::RequestId;

use crate::disk::{Disk, Lies};
use crate::one_line::{OneLine, With};
use crate::one_station::{OneStation, StationWith};
use crate::planted::Planted;
use crate::trace::Trace;
use crate::way::{Call, Way, is_large, next};
use crate::witness::{Beside, stand};

/// Requests that one commit takes at most, as in the product's writer.
const GROUP_MAX: usize = 32;
/// Transactions of people's lists: nobody asks for them by number.
const IMPORT: TxnId = TxnId(1 << 62);

/// What a configuration says, read once.
pub struct Parts {
    pub(crate) config: Config,
    pub(crate) lines: Vec<LineConfig>,
    pub(crate) setup: Box<dyn Fn() -> Setup>,
    pub(crate) products: Vec<(Gtin, u32)>,
    pub(crate) life_left_ms: i64,
    planted: Option<Planted>,
}

impl Parts {
    /// Reads the text of a configuration with lines and the way upstream.
    pub fn of(text: &str, agent: &str, seed: u64, planted: Option<Planted>) -> Parts {
        let config = Config::parse(Path::new("dst.toml"), text).unwrap_or_else(|p| panic!("{p}"));
        let layouts = plan::group_layouts(&config);
        let numbered = (0..).map(LineNo).zip(&config.lines);
        let lines =
            numbered.map(|(no, one)| plan::line(&config, no, one).expect("the configuration was checked"));
        let lines = lines.collect();
        let Some(upstream::Upstream::Xtrace(x)) = &config.upstream else { panic!("the text names upstream") };
        let made = plan::upstream(&config, x, agent, &layouts);
        let setup = move || {
            let mut setup = made();
            setup.config.seed = seed;
            if planted == Some(Planted::AbsentAfterOneLook) {
                (setup.config.settle_min, setup.config.looks_min) = (Duration::ZERO, 1);
            }
            setup
        };
        let life_left_ms = i64::try_from(plan::life_left_min(&config).as_millis()).expect("hours");
        let products = config.products.iter().map(|p| (p.gtin, 0)).collect();
        Parts { lines, setup: Box::new(setup), products, life_left_ms, config, planted }
    }
}

/// What the writer is asked, in order.
pub enum Asked {
    Line(usize, Txn),
    Upstream(Txn),
    Station(usize, Txn),
    /// A list of codes that a person at this line brings.
    Import(usize, Txn),
    Find(usize, ReadId, tamga_domain::code::Identity),
}

/// What it answers, in the same order.
enum Told {
    Line(usize, Input),
    Station(usize, StationInput),
    Upstream(up::Input),
    Imported(usize),
}

/// Why the process is over.
#[derive(Debug)]
pub enum Over {
    /// The fuse was at its end: the process was killed between two effects.
    Killed,
    /// The store took no more. The product ends here, and is started anew.
    Store(StoreError),
}

/// What a turn of the agent leaves for the world.
#[derive(Default)]
pub struct Out {
    pub calls: Vec<Call>,
    /// Lines whose lists of codes are durable.
    pub imported: Vec<usize>,
    /// Of the line with this place.
    pub replies: Vec<(usize, AskId, Result<Reply, Refusal>)>,
    /// Of the station with this place.
    pub station_replies: Vec<(usize, AskId, Result<StationReply, Refusal>)>,
}

pub struct Agent {
    store: Store,
    pub lines: Vec<OneLine>,
    pub stations: Vec<OneStation>,
    way: Way,
    asked: VecDeque<Asked>,
    /// Answers on their way, each with the millisecond when it is there.
    told: VecDeque<(u64, Told)>,
    /// Effects until the process is killed.
    pub fuse: Option<u64>,
    products: Vec<(Gtin, u32)>,
    life_left_ms: i64,
    planted: Option<Planted>,
    disk: Rc<RefCell<Disk>>,
    wal: PathBuf,
    /// Codes whose issue was acknowledged, and that were verified so: what no crash may take back.
    pub acknowledged: Vec<Record>,
    /// What was written down of packs, and what was answered.
    pub packed: Vec<(usize, PackRecord, Vec<Answer>)>,
    /// The start found the database behind its witness, and a person settled it.
    pub settled: Option<Doubt>,
}

impl Agent {
    /// A start: the store is opened, everything recovered from it.
    pub fn start(
        parts: &Parts,
        dir: &Path,
        id: &str,
        (now, wall): (Time, Wall),
        disk: &Rc<RefCell<Disk>>,
        beside: &Beside,
    ) -> Result<Agent, StoreError> {
        let write_back = |path: &Path| match parts.planted {
            Some(Planted::WalNotWrittenBack) => Ok(()),
            _ => disk.borrow_mut().write_back(&path.to_string_lossy()),
        };
        let mut store = Store::open_on(dir, id, write_back)?;
        let settled = stand(&mut store, beside, wall, parts.planted)?;
        let lines = (0..parts.lines.len()).map(|at| OneLine::start(parts, at, &store, (now, wall)));
        let lines = lines.collect::<Result<Vec<OneLine>, StoreError>>()?;
        if let Some(names) = &parts.config.names {
            store.use_names(names)?;
        }
        let stations = (0..parts.config.stations.len()).map(|at| OneStation::start(parts, at, &store));
        let stations = stations.collect::<Result<Vec<OneStation>, StoreError>>()?;
        let way = Way::start((parts.setup)(), &store)?;
        Ok(Agent {
            store,
            lines,
            stations,
            way,
            asked: VecDeque::new(),
            told: VecDeque::new(),
            fuse: None,
            products: parts.products.clone(),
            life_left_ms: parts.life_left_ms,
            planted: parts.planted,
            disk: Rc::clone(disk),
            wal: dir.join("tamga.db-wal"),
            acknowledged: Vec::new(),
            packed: Vec::new(),
            settled,
        })
    }

    /// The end that was asked for.
    pub fn close(self) {
        // A witness that cannot be told is no worse than after a crash.
        drop(self.store.close());
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A person at the line with this place asks.
    pub fn ask(&mut self, at: usize, id: AskId, ask: Ask) {
        self.lines[at].ask(id, ask);
    }

    /// A person at the line with this place brings a list of codes that are on items already.
    pub fn import(&mut self, at: usize, roll: &str, codes: &[Vec<u8>], wall: Wall) {
        let Some((group, layout)) = self.way.layouts().iter().next() else { return };
        let codes =
            codes.iter().map(|code| layout.parse(code).expect("the state system's codes").code).collect();
        let record = Record::Import { roll: roll.to_owned(), codes, group: group.clone(), at: wall };
        self.asked.push_back(Asked::Import(at, Txn { id: IMPORT, records: vec![record] }));
    }

    /// One turn of everything: answers of the writer, devices, the line, the way upstream.
    pub fn turn(&mut self, ms: u64, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        let mut for_upstream: Vec<up::Input> = std::iter::from_fn(|| self.way.take_heard()).collect();
        while let Some((_, told)) = self.told.pop_front_if(|(due, _)| *due <= ms) {
            match told {
                Told::Line(at, input) => self.lines[at].inputs.push_back(input),
                Told::Station(at, input) => self.stations[at].inputs.push_back(input),
                Told::Upstream(input) => for_upstream.push(input),
                Told::Imported(at) => out.imported.push(at),
            }
        }
        for input in for_upstream {
            self.feed(input, now, wall, out)?;
        }
        for line in &mut self.lines {
            let (asked, fuse) = (&mut self.asked, &mut self.fuse);
            let mut with = With { asked, replies: &mut out.replies, fuse, planted: self.planted };
            line.turn(now, wall, &mut with)?;
        }
        let mut seen = Vec::new();
        for station in &mut self.stations {
            let (asked, fuse, store) = (&mut self.asked, &mut self.fuse, &self.store);
            let (replies, seen) = (&mut out.station_replies, &mut seen);
            let mut with = StationWith { asked, replies, seen, fuse, store, planted: self.planted };
            station.turn(now, wall, &mut with)?;
        }
        for line in &mut self.lines {
            line.inputs.extend(seen.iter().map(|code| Input::Seen(*code)));
        }
        if self.way.wake.is_some_and(|w| w <= now) {
            self.feed(up::Input::Tick, now, wall, out)?;
        }
        Ok(())
    }

    /// The writer's turn: one group, one commit, all answers.
    pub fn write(&mut self, ms: u64, trace: &mut Trace) -> Result<(), Over> {
        let mut group = Vec::new();
        let mut large = None;
        while group.len() < GROUP_MAX
            && let Some(asked) = self.asked.pop_front()
        {
            match asked {
                Asked::Line(_, txn) | Asked::Upstream(txn) if is_large(&txn) => {
                    large = Some(txn);
                    break;
                }
                asked => group.push(asked),
            }
        }
        if !group.is_empty() {
            self.commit(group, ms, trace)?;
        }
        if let Some(txn) = large {
            while self.store.keep_ahead(&txn).map_err(Over::Store)? {}
            self.commit(vec![Asked::Upstream(txn)], ms, trace)?;
        }
        self.store.maintain(self.asked.is_empty()).map_err(Over::Store)?;
        Ok(())
    }

    pub fn has_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    fn commit(&mut self, group: Vec<Asked>, due: u64, trace: &mut Trace) -> Result<(), Over> {
        let mut txns: Vec<Txn> = group
            .iter()
            .filter_map(|asked| match asked {
                Asked::Line(_, txn)
                | Asked::Station(_, txn)
                | Asked::Import(_, txn)
                | Asked::Upstream(txn) => Some(txn.clone()),
                Asked::Find(..) => None,
            })
            .collect();
        if self.planted == Some(Planted::BlockTwice) {
            txns.iter_mut().for_each(|txn| txn.records.extend(again(&txn.records)));
        }
        for record in txns.iter().flat_map(|t| &t.records) {
            trace.say(|| format!("commit {record:?}"));
        }
        if self.planted == Some(Planted::AcknowledgeBeforeCommit) {
            // What was committed before is synced only now, long after it was acknowledged.
            let wal = format!("{}", self.wal.display());
            self.disk.borrow_mut().lie(Lies::None);
            let _ = self.disk.borrow_mut().sync(&wal);
            self.disk.borrow_mut().lie(Lies::Wal);
        }
        let made = if txns.is_empty() { Ok(Vec::new()) } else { self.store.apply_each(&txns) };
        // Whose record is not allowed is told so, line or way upstream, and the product ends by it.
        let answers: Result<Vec<_>, _> = made.and_then(|each| each.into_iter().collect());
        let mut answers = answers.map_err(Over::Store)?.into_iter();
        self.acknowledged.extend(txns.into_iter().flat_map(|t| t.records).filter(is_of_codes));
        for asked in group {
            let told = match asked {
                Asked::Line(at, txn) => Told::Line(at, Input::Committed(txn.id, next(&mut answers))),
                Asked::Station(at, txn) => {
                    let answers = next(&mut answers);
                    self.packed
                        .extend(pack_records(&txn).map(|record| (at, record.clone(), answers.clone())));
                    Told::Station(at, self.stations[at].committed(txn, answers, self.planted))
                }
                Asked::Upstream(txn) => {
                    Told::Upstream(up::Input::Committed { txn: txn.id, answers: next(&mut answers) })
                }
                Asked::Import(at, _) => {
                    next(&mut answers);
                    Told::Imported(at)
                }
                Asked::Find(at, id, identity) => {
                    let known = self.store.find(&identity).map_err(Over::Store)?;
                    Told::Line(at, Input::Found(id, known))
                }
            };
            self.told.push_back((due, told));
        }
        Ok(())
    }

    fn feed(&mut self, input: up::Input, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        self.way.feed(&self.store, input, (now, wall), &mut self.fuse, &mut out.calls)?;
        self.hand_over();
        Ok(())
    }

    fn hand_over(&mut self) {
        self.asked.extend(self.way.next_commit().map(Asked::Upstream));
    }

    /// An answer of the state system, or that there is none.
    pub fn answered(&mut self, id: RequestId, outcome: xtrace::exchange::Outcome) {
        self.way.answered(id, outcome);
    }

    /// Looks at how pools, runs and orders stand, as the product does every second.
    pub fn look(&mut self, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        let about = (&self.products[..], self.life_left_ms);
        let levels = self.way.look(&self.store, about, (now, wall), &mut self.fuse, &mut out.calls)?;
        self.hand_over();
        let pools: Vec<(Gtin, u64)> = levels.iter().map(|level| (level.gtin, level.pooled)).collect();
        let stock = match self.lines.iter().all(OneLine::prints) {
            true => Vec::new(),
            false => self.store.view().stock().map_err(Over::Store)?,
        };
        for line in &mut self.lines {
            let levels = if line.prints() { &pools } else { &stock };
            if let Some(gtin) = line.line.product()
                && let Some((_, codes)) = levels.iter().find(|(of, _)| *of == gtin)
            {
                line.inputs.push_back(Input::Pool(*codes));
            }
        }
        Ok(())
    }
}

fn pack_records(txn: &Txn) -> impl Iterator<Item = &PackRecord> {
    txn.records.iter().filter_map(|record| match record {
        Record::Pack(record) => Some(record),
        _ => None,
    })
}

/// The blocks of a transaction, under other names.
fn again(records: &[Record]) -> Vec<Record> {
    let block = |record: &Record| match record {
        Record::Block { order, pack_id, previous, body, count, at } => {
            let pack_id = format!("{pack_id}-again");
            let (previous, body) = (previous.clone(), body.clone());
            Some(Record::Block { order: *order, pack_id, previous, body, count: *count, at: *at })
        }
        _ => None,
    };
    records.iter().filter_map(block).collect()
}

fn is_of_codes(record: &Record) -> bool {
    matches!(record, Record::Verify { .. } | Record::End { .. })
}
