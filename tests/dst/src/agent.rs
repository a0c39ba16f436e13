//! The agent as the product has it, on one thread: the line's core, the store on SQLite, the sessions of the devices, and
//! the step of the way upstream. What stands here stands in for the product's shells only: it carries inputs and effects,
//! in the shells' order, and decides nothing. Every effect and every commit can be the last thing that it does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tamga::config::gate::Gate as GateDevice;
use tamga::config::printer::PrinterDevice;
use tamga::config::reader::ReaderDevice;
use tamga::config::{Config, upstream};
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga::upstream::Setup;
use tamga::upstream::xtrace;
use tamga::witness::Doubt;
use tamga::{devices, plan};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{LineNo, PrinterNo, ReaderNo};
use tamga_domain::line::ask::{Ask, Refusal, Reply};
use tamga_domain::line::{AskId, Effect, GateOrder, Input, Line, LineConfig, PrinterEvent, ReadId};
use tamga_domain::record::{Record, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_domain::upstream as up;
use tamga_domain::upstream::request::RequestId;
use tamga_drivers::gate::GateCommand;
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::printer::{self, PrinterCommand};
use tamga_drivers::reader::ReaderCommand;
use tamga_drivers::reader::text::TextReader;

use crate::disk::{Disk, Lies};
use crate::planted::Planted;
use crate::port::{Port, Wire};
use crate::trace::Trace;
use crate::way::{Call, Way, burn, is_large, next};
use crate::witness::{Beside, stand};

/// The one line of the plant.
const LINE: LineNo = LineNo(0);
/// Requests that one commit takes at most, as in the product's writer.
const GROUP_MAX: usize = 32;

/// What a configuration says, read once.
pub struct Parts {
    config: Config,
    line: LineConfig,
    pub(crate) setup: Box<dyn Fn() -> Setup>,
    pub(crate) products: Vec<(Gtin, u32)>,
    pub(crate) life_left_ms: i64,
    planted: Option<Planted>,
}

impl Parts {
    /// Reads the text of a configuration with one line and the way upstream.
    pub fn of(text: &str, agent: &str, seed: u64, planted: Option<Planted>) -> Parts {
        let config = Config::parse(Path::new("dst.toml"), text).unwrap_or_else(|p| panic!("{p}"));
        let layouts = plan::layouts(&config);
        let line = plan::line(&config, LINE, &config.lines[0]).expect("the configuration was checked");
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
        Parts { line, setup: Box::new(setup), products, life_left_ms, config, planted }
    }
}

/// What the writer is asked, in order.
enum Asked {
    Line(Txn),
    Upstream(Txn),
    Find(ReadId, tamga_domain::code::Identity),
}

/// What it answers, in the same order.
enum Told {
    Line(Input),
    Upstream(up::Input),
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
    pub replies: Vec<(AskId, Result<Reply, Refusal>)>,
}

pub struct Agent {
    store: Store,
    line: Line,
    pub printer: Option<Port<Zpl>>,
    pub reader: Port<TextReader>,
    pub gate: Port<ModbusGate>,
    gate_opening: Option<u16>,
    belt: bool,
    /// A person has asked this process for a run, or to go on with one.
    set_going: bool,
    way: Way,
    asked: VecDeque<Asked>,
    /// Answers on their way, each with the millisecond when it is there.
    told: VecDeque<(u64, Told)>,
    inputs: VecDeque<Input>,
    wake: Option<Time>,
    /// Effects until the process is killed.
    pub fuse: Option<u64>,
    products: Vec<(Gtin, u32)>,
    life_left_ms: i64,
    planted: Option<Planted>,
    disk: Rc<RefCell<Disk>>,
    rejects: u64,
    wal: PathBuf,
    /// Codes whose issue was acknowledged, and that were verified so: what no crash may take back.
    pub acknowledged: Vec<Record>,
    /// The start found the database behind its witness, and a person settled it.
    pub settled: Option<Doubt>,
    out: Vec<Effect>,
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
        let line = Line::new(parts.line.clone(), store.recover(LINE)?, now, wall);
        let one = &parts.config.lines[0];
        let printer = one.printers.first().map(|p| {
            let PrinterDevice::Zpl(zpl) = &p.device;
            Port::new(Zpl::new(zpl.config.clone()))
        });
        let ReaderDevice::Text(text) = &one.readers[0].device;
        let GateDevice::Modbus(gate) = &one.gate;
        let way = Way::start((parts.setup)(), &store)?;
        let mut agent = Agent {
            store,
            line,
            printer,
            reader: Port::new(TextReader::new(text.config.clone()).expect("the framing was checked")),
            gate: Port::new(ModbusGate::new(gate.config.clone()).expect("the map was checked")),
            gate_opening: None,
            belt: false,
            set_going: false,
            way,
            asked: VecDeque::new(),
            told: VecDeque::new(),
            inputs: VecDeque::new(),
            wake: None,
            fuse: None,
            products: parts.products.clone(),
            life_left_ms: parts.life_left_ms,
            planted: parts.planted,
            disk: Rc::clone(disk),
            rejects: 0,
            wal: dir.join("tamga.db-wal"),
            acknowledged: Vec::new(),
            settled,
            out: Vec::new(),
        };
        agent.line.flush(now, &mut agent.out);
        Ok(agent)
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    /// The end that was asked for.
    pub fn close(self) {
        // A witness that cannot be told is no worse than after a crash.
        drop(self.store.close());
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A person asks.
    pub fn ask(&mut self, id: AskId, ask: Ask) {
        self.set_going |= matches!(ask, Ask::Start(_) | Ask::Resume);
        self.inputs.push_back(Input::Ask(id, ask, "operator".to_owned()));
    }

    /// One turn of everything: answers of the writer, devices, the line, the way upstream.
    pub fn turn(&mut self, ms: u64, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        let mut for_upstream: Vec<up::Input> = std::iter::from_fn(|| self.way.take_heard()).collect();
        while let Some((_, told)) = self.told.pop_front_if(|(due, _)| *due <= ms) {
            match told {
                Told::Line(input) => self.inputs.push_back(input),
                Told::Upstream(input) => for_upstream.push(input),
            }
        }
        for input in for_upstream {
            self.feed(input, now, wall, out)?;
        }
        self.devices(now);
        let turned = self.line_turn(now, wall, out);
        self.devices(now);
        turned?;
        if self.way.wake.is_some_and(|w| w <= now) {
            self.feed(up::Input::Tick, now, wall, out)?;
        }
        Ok(())
    }

    fn line_turn(&mut self, now: Time, wall: Wall, out: &mut Out) -> Result<(), Over> {
        let woken = self.wake.is_some_and(|w| w <= now);
        if !self.inputs.is_empty() || woken {
            for input in std::mem::take(&mut self.inputs) {
                self.line.step(now, wall, input, &mut self.out);
            }
            self.line.step(now, wall, Input::Tick, &mut self.out);
            self.line.flush(now, &mut self.out);
        }
        if self.out.is_empty() && !woken {
            return Ok(());
        }
        self.wake = None;
        while !self.out.is_empty() {
            let mut back = Vec::new();
            for effect in std::mem::take(&mut self.out) {
                burn(&mut self.fuse)?;
                back.extend(self.carry_out(effect, out));
            }
            for input in back {
                self.line.step(now, wall, input, &mut self.out);
            }
            if !self.out.is_empty() {
                self.line.flush(now, &mut self.out);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, out: &mut Out) -> Option<Input> {
        match effect {
            Effect::Find(id, identity) => self.asked.push_back(Asked::Find(id, identity)),
            Effect::Commit(txn) => {
                if self.planted == Some(Planted::ActBeforeCommit) {
                    for record in &txn.records {
                        if let Record::Verify { tag, .. } = record {
                            self.gate.command(GateCommand::Pass(devices::driver_tag(*tag)));
                        }
                    }
                }
                self.asked.push_back(Asked::Line(txn));
            }
            Effect::Print(no, job) => {
                let id = job.id;
                let Some(printer) = &mut self.printer else {
                    return Some(Input::Printer(no, PrinterEvent::Refused(id)));
                };
                printer.command(PrinterCommand::Print(printer::Job {
                    id: printer::JobId(devices::number(id)),
                    symbol: job.symbol,
                    gs1: job.gs1,
                    fields: job.fields,
                }));
            }
            Effect::TestPrint(_) | Effect::Judged { .. } => {}
            Effect::Gate(GateOrder::StopLine) => self.belt_may_run(false),
            Effect::Gate(GateOrder::StartLine) => self.belt_may_run(true),
            Effect::Gate(GateOrder::Pass(tag)) => {
                self.gate.command(GateCommand::Pass(devices::driver_tag(tag)))
            }
            Effect::Gate(GateOrder::Reject(tag)) => {
                self.rejects += 1;
                if self.planted == Some(Planted::PassWithoutVerified) && self.rejects.is_multiple_of(10) {
                    self.gate.command(GateCommand::Pass(devices::driver_tag(tag)));
                    return None;
                }
                self.gate.command(GateCommand::Reject(devices::driver_tag(tag)));
            }
            Effect::Reply(id, answer) => out.replies.push((id, answer)),
            Effect::Wake(at) => self.wake = Some(self.wake.map_or(at, |w| w.min(at))),
        }
        None
    }

    /// The belt has leave to move though it must stand.
    pub fn moves_against_the_rules(&self) -> Option<(&'static str, String)> {
        match self.line.stands() {
            _ if !self.belt => None,
            Some(why) => Some(("belt-moves-while-the-line-stands", why.to_owned())),
            None if !self.set_going => Some(("runs-by-itself", "nobody asked since the start".to_owned())),
            None => None,
        }
    }

    fn belt_may_run(&mut self, may: bool) {
        if self.belt != may {
            self.belt = may;
            self.gate.command(if may { GateCommand::StartLine } else { GateCommand::StopLine });
        }
    }

    /// Lets the sessions take their commands and ticks; what they say is for the line's next turn.
    fn devices(&mut self, now: Time) {
        if let Some(printer) = &mut self.printer {
            printer.work(now);
        }
        self.reader.work(now);
        self.gate.work(now);
        self.take_events();
    }

    fn take_events(&mut self) {
        if let Some(printer) = &mut self.printer {
            let planted = self.planted == Some(Planted::DoubtfulToPool);
            let events =
                printer.events.drain(..).filter_map(devices::printer_event).map(|event| match event {
                    PrinterEvent::Doubtful(id) if planted => PrinterEvent::Refused(id),
                    event => event,
                });
            self.inputs.extend(events.map(|e| Input::Printer(PrinterNo(0), e)));
        }
        let events = self.reader.events.drain(..).filter_map(devices::reader_event);
        self.inputs.extend(events.map(|e| Input::Reader(ReaderNo(0), e)));
        let opening = &mut self.gate_opening;
        let events = self.gate.events.drain(..).filter_map(|e| devices::gate_event(e, opening));
        self.inputs.extend(events.map(Input::Gate));
    }

    /// The writer's turn: one group, one commit, all answers.
    pub fn write(&mut self, ms: u64, trace: &mut Trace) -> Result<(), Over> {
        let mut group = Vec::new();
        let mut large = None;
        while group.len() < GROUP_MAX
            && let Some(asked) = self.asked.pop_front()
        {
            match asked {
                Asked::Line(txn) | Asked::Upstream(txn) if is_large(&txn) => {
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
                Asked::Line(txn) | Asked::Upstream(txn) => Some(txn.clone()),
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
                Asked::Line(txn) => Told::Line(Input::Committed(txn.id, next(&mut answers))),
                Asked::Upstream(txn) => {
                    Told::Upstream(up::Input::Committed { txn: txn.id, answers: next(&mut answers) })
                }
                Asked::Find(id, identity) => {
                    let known = self.store.find(&identity).map_err(Over::Store)?;
                    Told::Line(Input::Found(id, known))
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
        if let Some(gtin) = self.line.product()
            && let Some(level) = levels.iter().find(|l| l.gtin == gtin)
        {
            self.inputs.push_back(Input::Pool(level.pooled));
        }
        Ok(())
    }

    /// The wires of all devices, in a fixed order.
    pub fn wires(&mut self) -> [Option<&mut Wire>; 3] {
        let printer = self.printer.as_mut().map(|p| &mut p.wire);
        [printer, Some(&mut self.reader.wire), Some(&mut self.gate.wire)]
    }

    pub fn reader_hears(&mut self, now: Time, input: tamga_drivers::session::Input<'_, ReaderCommand>) {
        self.reader.step(now, input);
    }
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
