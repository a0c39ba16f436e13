//! One packing station of the agent: its core, the sessions of its scanner and its printer, and what carries inputs and
//! effects between them, in the order of the product's shell.

use std::collections::VecDeque;

use tamga::config::printer::PrinterDevice;
use tamga::config::reader::ReaderDevice;
use tamga::config::station::Sounds;
use tamga::devices;
use tamga::plan;
use tamga::store::Store;
use tamga::store::error::StoreError;
use tamga_domain::code::Identity;
use tamga_domain::ids::StationNo;
use tamga_domain::line::ask::Refusal;
use tamga_domain::line::{AskId, PrinterEvent, ReaderEvent};
use tamga_domain::pack::PackName;
use tamga_domain::pack::ask::{StationAsk, StationReply};
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::station::{LabelId, LabelJob, Signal, Station, StationEffect, StationInput};
use tamga_domain::record::{Answer, Record, Txn};
use tamga_domain::time::{Time, Wall};
use tamga_drivers::printer::PrinterCommand;
use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::reader::ReaderCommand;
use tamga_drivers::reader::text::TextReader;

use crate::agent::{Asked, Over, Parts};
use crate::planted::Planted;
use crate::port::{Port, Wire};
use crate::way::burn;

pub struct OneStation {
    /// Its place in the configuration, from zero.
    at: usize,
    pub station: Station,
    pub scanner: Port<TextReader>,
    pub printer: Option<Port<Zpl>>,
    sounds: Sounds,
    pub inputs: VecDeque<StationInput>,
    /// Scans and packs that this process made durable, and of which it was told at the desk.
    durable: (u64, u64),
    told: (u64, u64),
    /// What it did against the rules.
    pub wrong: Vec<(&'static str, String)>,
}

/// What a station shares with lines and other stations.
pub struct StationWith<'a> {
    pub asked: &'a mut VecDeque<Asked>,
    pub replies: &'a mut Vec<(usize, AskId, Result<StationReply, Refusal>)>,
    /// For the lines: what was read behind their gates.
    pub seen: &'a mut Vec<Identity>,
    pub fuse: &'a mut Option<u64>,
    pub store: &'a Store,
    pub planted: Option<Planted>,
}

impl OneStation {
    /// A start, with the pack that the station was filling.
    pub fn start(parts: &Parts, at: usize, store: &Store) -> Result<OneStation, StoreError> {
        let one = &parts.config.stations[at];
        let no = StationNo(u16::try_from(at).expect("few stations"));
        let ReaderDevice::Text(text) = &one.reader;
        let printer = one.printer.as_ref().map(|device| {
            let PrinterDevice::Zpl(zpl) = device;
            Port::new(Zpl::new(zpl.config.clone()))
        });
        Ok(OneStation {
            at,
            station: Station::new(plan::station(&parts.config, no, one), store.open_pack(no)?),
            scanner: Port::new(TextReader::new(text.config.clone()).expect("the framing was checked")),
            printer,
            sounds: one.sounds.clone(),
            inputs: VecDeque::new(),
            durable: (0, 0),
            told: (0, 0),
            wrong: Vec::new(),
        })
    }

    pub fn no(&self) -> StationNo {
        StationNo(u16::try_from(self.at).expect("few stations"))
    }

    /// A person asks.
    pub fn ask(&mut self, id: AskId, ask: StationAsk) {
        self.inputs.push_back(StationInput::Ask(id, ask, "packer".to_owned()));
    }

    /// What the writer says of a transaction of the station.
    pub fn committed(&mut self, txn: Txn, answers: Vec<Answer>, planted: Option<Planted>) -> StationInput {
        let answers = match (planted, &answers[..], self.station.status().open) {
            (Some(Planted::RefusedIsTaken), [Answer::Pack(PackAnswer::NotIn(_))], Some(open)) => {
                vec![Answer::Pack(PackAnswer::In { pack: open.pack, content: open.content })]
            }
            _ => answers,
        };
        // What nobody heard is told as taken when it is scanned again.
        let taken = answers.iter().any(|answer| match answer {
            Answer::Pack(PackAnswer::In { .. } | PackAnswer::InSeen { .. }) => true,
            Answer::Pack(PackAnswer::NotIn(why)) => why.iter().any(|(_, why)| *why == NotIn::Again),
            _ => false,
        });
        let closed = txn.records.iter().any(|r| matches!(r, Record::Pack(PackRecord::Closed { .. })));
        self.durable.0 += u64::from(taken);
        self.durable.1 += u64::from(closed);
        StationInput::Committed(txn.id, answers)
    }

    /// One turn: devices, the station, and the devices again with what it ordered.
    pub fn turn(&mut self, now: Time, wall: Wall, with: &mut StationWith<'_>) -> Result<(), Over> {
        self.devices(now, with.planted);
        let mut turned = Ok(());
        while turned.is_ok()
            && let Some(input) = self.inputs.pop_front()
        {
            turned = self.step(wall, input, with);
        }
        self.devices(now, with.planted);
        turned
    }

    fn step(&mut self, wall: Wall, input: StationInput, with: &mut StationWith<'_>) -> Result<(), Over> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let mut out = Vec::new();
            self.station.step(wall, input, &mut out);
            for effect in out {
                burn(with.fuse)?;
                if let Some(back) = self.carry_out(effect, with) {
                    next = Some(back);
                }
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: StationEffect, with: &mut StationWith<'_>) -> Option<StationInput> {
        match effect {
            StationEffect::Commit(txn) => {
                self.commit_is_asked(&txn, with);
                with.asked.push_back(Asked::Station(self.at, txn));
            }
            StationEffect::Print(job) => return self.print(job, with.store),
            StationEffect::Signal(signal) => self.signal(signal),
            StationEffect::Seen(code) => with.seen.push(code),
            StationEffect::Reply(id, answer) => with.replies.push((self.at, id, answer)),
        }
        None
    }

    /// Planted: what only follows from a commit is done when it is asked for.
    fn commit_is_asked(&mut self, txn: &Txn, with: &StationWith<'_>) {
        for record in &txn.records {
            match (with.planted, record) {
                (Some(Planted::TakenBeforeDurable), Record::Pack(PackRecord::In { .. })) => {
                    self.signal(Signal::Taken);
                }
                (
                    Some(Planted::PrintBeforeNamed),
                    Record::Pack(PackRecord::Named { pack, name: NewName::Next, .. }),
                ) => {
                    let range = with.store.names().ok().flatten();
                    if let Some((name, _)) = range.and_then(|(range, _)| range.take_next()) {
                        let id = LabelId { pack: *pack, no: 1 };
                        self.print(LabelJob { id, name, content: 0 }, with.store);
                    }
                }
                _ => {}
            }
        }
    }

    /// A label is handed to the printer: its name and its number are durable by now.
    fn print(&mut self, job: LabelJob, store: &Store) -> Option<StationInput> {
        let durable =
            store.view().pack(job.name.into()).ok().flatten().is_some_and(|p| p.labels >= job.id.no);
        if !durable {
            self.wrong.push(("label-before-its-name-is-durable", format!("{job:?}")));
        }
        let id = job.id;
        match &mut self.printer {
            Some(printer) => {
                printer.command(PrinterCommand::Print(devices::station::rendered(&job)));
                None
            }
            None => Some(StationInput::Printer(PrinterEvent::Refused(id))),
        }
    }

    /// The person hears something: it is durable by now.
    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Taken => self.told.0 += 1,
            Signal::Closed => self.told.1 += 1,
            Signal::Refused => {}
        }
        if self.told.0 > self.durable.0 || self.told.1 > self.durable.1 {
            self.wrong.push((
                "told-before-it-is-durable",
                format!("{:?} told, {:?} durable", self.told, self.durable),
            ));
        }
        let words = devices::station::words_of(&self.sounds, signal).to_vec();
        if !words.is_empty() {
            self.scanner.command(ReaderCommand::Send(words));
        }
    }

    fn devices(&mut self, now: Time, planted: Option<Planted>) {
        self.scanner.work(now);
        let events = self.scanner.events.drain(..).filter_map(devices::reader_event);
        self.inputs.extend(events.map(StationInput::Reader));
        let Some(printer) = &mut self.printer else { return };
        printer.work(now);
        let events: Vec<_> = printer.events.drain(..).filter_map(devices::station::label_event).collect();
        for event in events {
            let printed = matches!(event, PrinterEvent::Printed(_));
            self.inputs.push_back(StationInput::Printer(event));
            let name = self.station.status().open.and_then(|open| open.name);
            if let (true, Some(Planted::CloseWithoutLabelRead), Some(PackName::Sscc(name))) =
                (printed, planted, name)
            {
                let bytes = name.render();
                self.inputs.push_back(StationInput::Reader(ReaderEvent::Read { bytes, at: now }));
            }
        }
    }

    pub fn wire(&mut self, is_scanner: bool) -> Option<&mut Wire> {
        if is_scanner { Some(&mut self.scanner.wire) } else { self.printer.as_mut().map(|p| &mut p.wire) }
    }
}
