//! One line of the agent: its core, the sessions of its devices, and what carries inputs and effects between them, in the
//! order of the product's shells.

use std::collections::VecDeque;

use tamga::config::gate::Gate as GateDevice;
use tamga::config::printer::PrinterDevice;
use tamga::config::reader::ReaderDevice;
use tamga::devices;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga_domain::code::Identity;
use tamga_domain::ids::{LineNo, PrinterNo, ReaderNo};
use tamga_domain::line::ask::{Ask, Refusal, Reply};
use tamga_domain::line::{AskId, Effect, GateOrder, Input, Job, Line, PrinterEvent, ReadId};
use tamga_domain::record::{Record, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_drivers::gate::GateCommand;
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::printer::{self, PrinterCommand};
use tamga_drivers::reader::text::TextReader;

use crate::agent::{Asked, Over, Parts};
use crate::planted::Planted;
use crate::port::{Port, Wire};
use crate::side::Device;
use crate::way::burn;

pub struct OneLine {
    /// Its place in the configuration, from zero.
    at: usize,
    pub line: Line,
    /// None where its items come with their marks.
    pub printers: Vec<Port<Zpl>>,
    pub reader: Port<TextReader>,
    pub gate: Port<ModbusGate>,
    gate_opening: Option<u16>,
    belt: bool,
    /// A person has asked this process for a run, or to go on with one.
    set_going: bool,
    pub inputs: VecDeque<Input>,
    wake: Option<Time>,
    rejects: u64,
    out: Vec<Effect>,
}

/// What a line shares with the others: the way to the writer, what people hear, and how long the process lives.
pub struct With<'a> {
    pub asked: &'a mut VecDeque<Asked>,
    pub replies: &'a mut Vec<(usize, AskId, Result<Reply, Refusal>)>,
    pub fuse: &'a mut Option<u64>,
    pub planted: Option<Planted>,
}

impl OneLine {
    /// A start: everything is recovered from the store.
    pub fn start(
        parts: &Parts,
        at: usize,
        store: &Store,
        (now, wall): (Time, Wall),
    ) -> Result<OneLine, StoreError> {
        let one = &parts.config.lines[at];
        let no = LineNo(u16::try_from(at).expect("few lines"));
        let printers = one.printers.iter().map(|p| {
            let PrinterDevice::Zpl(zpl) = &p.device;
            Port::new(Zpl::new(zpl.config.clone()))
        });
        let printers = printers.collect();
        let ReaderDevice::Text(text) = &one.readers[0].device;
        let GateDevice::Modbus(gate) = &one.gate;
        let mut line = OneLine {
            at,
            line: Line::new(parts.lines[at].clone(), store.recover(no)?, now, wall),
            printers,
            reader: Port::new(TextReader::new(text.config.clone()).expect("the framing was checked")),
            gate: Port::new(ModbusGate::new(gate.config.clone()).expect("the map was checked")),
            gate_opening: None,
            belt: false,
            set_going: false,
            inputs: VecDeque::new(),
            wake: None,
            rejects: 0,
            out: Vec::new(),
        };
        line.line.flush(now, &mut line.out);
        Ok(line)
    }

    /// It has a printer; otherwise its items come with their marks.
    pub fn prints(&self) -> bool {
        !self.printers.is_empty()
    }

    /// A person asks.
    pub fn ask(&mut self, id: AskId, ask: Ask) {
        self.set_going |= matches!(ask, Ask::Start(_) | Ask::Resume);
        self.inputs.push_back(Input::Ask(id, ask, "operator".to_owned()));
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

    /// One turn: devices, the line, and the devices again with what it ordered.
    pub fn turn(&mut self, now: Time, wall: Wall, with: &mut With<'_>) -> Result<(), Over> {
        self.devices(now, with.planted);
        let turned = self.line_turn(now, wall, with);
        self.devices(now, with.planted);
        turned
    }

    fn line_turn(&mut self, now: Time, wall: Wall, with: &mut With<'_>) -> Result<(), Over> {
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
                burn(with.fuse)?;
                back.extend(self.carry_out(effect, with));
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

    fn carry_out(&mut self, effect: Effect, with: &mut With<'_>) -> Option<Input> {
        match effect {
            Effect::Find(id, identity) => self.find(id, identity, with),
            Effect::Commit(txn) => self.commit(txn, with),
            Effect::Print(no, job) => return self.print(no, job),
            Effect::TestPrint(_) | Effect::Judged { .. } => {}
            Effect::Gate(order) => self.gate_order(order, with.planted),
            Effect::Reply(id, answer) => with.replies.push((self.at, id, answer)),
            Effect::Wake(at) => self.wake = Some(self.wake.map_or(at, |w| w.min(at))),
        }
        None
    }

    fn find(&self, id: ReadId, identity: Identity, with: &mut With<'_>) {
        with.asked.push_back(Asked::Find(self.at, id, identity));
    }

    fn commit(&mut self, txn: Txn, with: &mut With<'_>) {
        if with.planted == Some(Planted::ActBeforeCommit) {
            for record in &txn.records {
                if let Record::Verify { tag, .. } = record {
                    self.gate.command(GateCommand::Pass(devices::driver_tag(*tag)));
                }
            }
        }
        with.asked.push_back(Asked::Line(self.at, txn));
    }

    fn print(&mut self, no: PrinterNo, job: Job) -> Option<Input> {
        let id = job.id;
        let Some(printer) = self.printers.get_mut(usize::from(no.0)) else {
            return Some(Input::Printer(no, PrinterEvent::Refused(id)));
        };
        printer.command(PrinterCommand::Print(printer::Job {
            id: printer::JobId(devices::number(id)),
            symbol: job.symbol,
            gs1: job.gs1,
            fields: job.fields,
        }));
        None
    }

    fn gate_order(&mut self, order: GateOrder, planted: Option<Planted>) {
        match order {
            GateOrder::StopLine => self.belt_may_run(false),
            GateOrder::StartLine => self.belt_may_run(true),
            GateOrder::Pass(tag) => self.gate.command(GateCommand::Pass(devices::driver_tag(tag))),
            GateOrder::Reject(tag) => {
                self.rejects += 1;
                let tag = devices::driver_tag(tag);
                let lets_by =
                    planted == Some(Planted::PassWithoutVerified) && self.rejects.is_multiple_of(10);
                self.gate.command(if lets_by { GateCommand::Pass(tag) } else { GateCommand::Reject(tag) });
            }
        }
    }

    fn belt_may_run(&mut self, may: bool) {
        if self.belt != may {
            self.belt = may;
            self.gate.command(if may { GateCommand::StartLine } else { GateCommand::StopLine });
        }
    }

    /// Lets the sessions take their commands and ticks; what they say is for the line's next turn.
    fn devices(&mut self, now: Time, planted: Option<Planted>) {
        self.printers.iter_mut().for_each(|printer| printer.work(now));
        self.reader.work(now);
        self.gate.work(now);
        self.take_events(planted);
    }

    fn take_events(&mut self, planted: Option<Planted>) {
        let planted = planted == Some(Planted::DoubtfulToPool);
        for (no, printer) in (0..).map(PrinterNo).zip(&mut self.printers) {
            let events =
                printer.events.drain(..).filter_map(devices::printer_event).map(|event| match event {
                    PrinterEvent::Doubtful(id) if planted => PrinterEvent::Refused(id),
                    event => event,
                });
            self.inputs.extend(events.map(|e| Input::Printer(no, e)));
        }
        let events = self.reader.events.drain(..).filter_map(devices::reader_event);
        self.inputs.extend(events.map(|e| Input::Reader(ReaderNo(0), e)));
        let opening = &mut self.gate_opening;
        let events = self.gate.events.drain(..).filter_map(|e| devices::gate_event(e, opening));
        self.inputs.extend(events.map(Input::Gate));
    }

    /// The wire of a device, if the line has it.
    pub fn wire(&mut self, device: Device) -> Option<&mut Wire> {
        match device {
            Device::Printer(no) => self.printers.get_mut(no).map(|p| &mut p.wire),
            Device::Reader => Some(&mut self.reader.wire),
            Device::Gate => Some(&mut self.gate.wire),
            Device::Scanner(_) | Device::Labels(_) => None,
        }
    }
}
