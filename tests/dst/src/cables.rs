//! The cables between the agent and its devices: bytes take their time, come in pieces, and break off anywhere.

use tamga_drivers::session::Input as In;
use tamga_simulators::fault::FaultKind;
use tamga_simulators::model::modbus::Frames;

use crate::agent::Agent;
use crate::packing::DeskSide;
use crate::port::Wire;
use crate::side::{Cable, Device};
use crate::world::World;

impl World {
    pub(crate) fn cable(&mut self, at: usize, device: Device) -> &mut Cable {
        match device {
            Device::Scanner(no) => &mut self.desks[no].scanner,
            Device::Labels(no) => &mut self.desks[no].printer.cable,
            device => self.sides[at].cable(device),
        }
    }

    /// After how many bytes of a chunk the cable of a device breaks, if it does.
    fn cut(&mut self, at: usize, device: Device, len: usize) -> Option<usize> {
        match device {
            Device::Printer(_) => self.sides[at].plant.cut(FaultKind::PrinterCut, len),
            Device::Reader => self.sides[at].plant.cut(FaultKind::ReaderCut, len),
            Device::Gate => self.sides[at].plant.cut(FaultKind::GateCut, len),
            Device::Scanner(no) => self.desks[no].desk.cut(FaultKind::ReaderCut, len),
            Device::Labels(no) => self.desks[no].desk.cut(FaultKind::PrinterCut, len),
        }
    }

    pub(crate) fn dial(&mut self, at: usize) {
        for device in self.sides[at].devices() {
            self.dial_device(at, device);
        }
    }

    /// The scanner and the printer of a desk.
    pub(crate) fn dial_desk(&mut self, no: usize) {
        self.dial_device(0, Device::Scanner(no));
        self.dial_device(0, Device::Labels(no));
    }

    fn dial_device(&mut self, at: usize, device: Device) {
        if self.agent.as_mut().and_then(|agent| wire(agent, at, device)).is_none() {
            return;
        }
        let ms = self.ms;
        let cable = self.cable(at, device);
        if cable.up || ms < cable.dial_at {
            return;
        }
        let there = match device {
            Device::Printer(no) => self.sides[at].plant.printers[no].is_up(),
            Device::Reader => true,
            Device::Gate => self.sides[at].plant.gate.is_up(),
            Device::Scanner(no) => self.desks[no].desk.is_plugged_in(),
            Device::Labels(no) => self.desks[no].desk.printer.is_up(),
        };
        let pause = self.rng.u64(50..800);
        let now = self.now();
        let cable = self.cable(at, device);
        if !there {
            cable.dial_at = ms + pause;
            return;
        }
        *cable = Cable { up: true, ..Cable::default() };
        let Some(agent) = &mut self.agent else { return };
        match device {
            Device::Printer(no) => {
                self.sides[at].printers[no].losses = self.sides[at].plant.printers[no].power_losses();
                self.sides[at].plant.set_printer_connected(no, true);
                agent.lines[at].printers[no].connected(now);
            }
            Device::Reader => {
                self.sides[at].plant.reader.set_connected(true);
                agent.lines[at].reader.connected(now);
            }
            Device::Gate => {
                self.sides[at].frames = Frames::default();
                self.sides[at].shown = None;
                self.sides[at].gate_boot = self.sides[at].plant.gate.boot();
                agent.lines[at].gate.connected(now);
            }
            Device::Scanner(no) => {
                self.desks[no].desk.set_connected(true);
                agent.stations[no].scanner.connected(now);
            }
            Device::Labels(no) => {
                self.desks[no].printer.losses = self.desks[no].desk.printer.power_losses();
                agent.stations[no].printer.iter_mut().for_each(|printer| printer.connected(now));
            }
        }
    }

    /// The connection breaks. What the agent had written may arrive up to some byte.
    pub(crate) fn unplug(&mut self, at: usize, device: Device) {
        if !self.cable(at, device).up {
            return;
        }
        let pause = self.rng.u64(50..800);
        let dial_at = self.ms + pause;
        let left: Vec<u8> = self.cable(at, device).to_device.drain(..).flat_map(|(_, bytes)| bytes).collect();
        let arrives = self.rng.usize(..=left.len());
        match device {
            Device::Printer(no) => {
                if self.sides[at].plant.printers[no].is_up() {
                    let mut rest = &left[..arrives];
                    while !rest.is_empty() {
                        let taken = self.sides[at].plant.printer_receive(no, rest);
                        if taken == 0 {
                            break;
                        }
                        rest = &rest[taken..];
                    }
                }
                self.sides[at].plant.set_printer_connected(no, false);
            }
            Device::Reader => self.sides[at].plant.reader.set_connected(false),
            Device::Gate => drop(self.gate_takes(at, &left[..arrives])),
            // A sound that breaks off is none.
            Device::Scanner(no) => self.desks[no].desk.set_connected(false),
            Device::Labels(no) => {
                let desk = &mut self.desks[no].desk;
                if desk.printer.is_up() {
                    desk.printer_receive(&left[..arrives]);
                }
                desk.printer.take_answers();
            }
        }
        *self.cable(at, device) = Cable { dial_at, ..Cable::default() };
        let now = self.now();
        if let Some(agent) = &mut self.agent {
            match device {
                Device::Printer(no) => {
                    if let Some(port) = agent.lines[at].printers.get_mut(no) {
                        port.disconnected(now);
                    }
                }
                Device::Reader => agent.lines[at].reader.disconnected(now),
                Device::Gate => agent.lines[at].gate.disconnected(now),
                Device::Scanner(no) => agent.stations[no].scanner.disconnected(now),
                Device::Labels(no) => {
                    agent.stations[no].printer.iter_mut().for_each(|printer| printer.disconnected(now));
                }
            }
        }
    }

    /// The gate takes bytes and answers; `None` where they are no Modbus.
    pub(crate) fn gate_takes(&mut self, at: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        self.sides[at].frames.push(bytes);
        let mut answers = Vec::new();
        while let Some(frame) = self.sides[at].frames.next_frame().ok()? {
            if let Some(tag) = self.sides[at].shown.take() {
                self.sides[at].plant.gate.heard(tag);
            }
            let answer = self.sides[at].plant.gate_request(&frame);
            if answer.is_some() && asks_last_tag(&frame) {
                self.sides[at].shown = Some(self.sides[at].plant.gate.last_tag());
            }
            answers.extend(answer.unwrap_or_default());
        }
        Some(answers)
    }

    /// Brings what has arrived to both ends, and takes what the device says.
    pub(crate) fn carry(&mut self, at: usize, device: Device) {
        if !self.cable(at, device).up {
            return;
        }
        let gone = match device {
            Device::Printer(no) => {
                let printer = &self.sides[at].plant.printers[no];
                !printer.is_up() || printer.power_losses() != self.sides[at].printers[no].losses
            }
            Device::Reader => false,
            Device::Gate => {
                !self.sides[at].plant.gate.is_up()
                    || self.sides[at].plant.gate.boot() != self.sides[at].gate_boot
            }
            Device::Scanner(no) => !self.desks[no].desk.is_plugged_in(),
            Device::Labels(no) => {
                let DeskSide { desk, printer, .. } = &self.desks[no];
                !desk.printer.is_up() || desk.printer.power_losses() != printer.losses
            }
        };
        if gone
            || self.deliver_to_device(at, device)
            || self.take_from_device(at, device)
            || self.deliver_to_agent(at, device)
        {
            self.unplug(at, device);
        }
    }

    /// True when the connection broke.
    pub(crate) fn deliver_to_device(&mut self, at: usize, device: Device) -> bool {
        let ms = self.ms;
        while let Some((_, bytes)) = self.cable(at, device).to_device.pop_front_if(|(due, _)| *due <= ms) {
            let cut = self.cut(at, device, bytes.len());
            let whole = cut.unwrap_or(bytes.len());
            self.trace.mix(&bytes[..whole]);
            match device {
                Device::Printer(no) => {
                    let taken = self.sides[at].plant.printer_receive(no, &bytes[..whole]);
                    if taken < whole && cut.is_none() {
                        self.cable(at, device).to_device.push_front((ms + 1, bytes[taken..].to_vec()));
                        return false;
                    }
                }
                Device::Reader => {}
                Device::Gate => {
                    let Some(answers) = self.gate_takes(at, &bytes[..whole]) else { return true };
                    if self.send(at, device, answers) {
                        return true;
                    }
                }
                Device::Scanner(no) => self.desks[no].desk.hear(&bytes[..whole]),
                Device::Labels(no) => {
                    let taken = self.desks[no].desk.printer_receive(&bytes[..whole]);
                    if taken < whole && cut.is_none() {
                        self.cable(at, device).to_device.push_front((ms + 1, bytes[taken..].to_vec()));
                        return false;
                    }
                }
            }
            if cut.is_some() {
                return true;
            }
        }
        false
    }

    pub(crate) fn take_from_device(&mut self, at: usize, device: Device) -> bool {
        match device {
            Device::Printer(no) => {
                let answers = self.sides[at].plant.printer_answers(no);
                self.send(at, device, answers)
            }
            Device::Reader => {
                let output = self.sides[at].plant.reader.take_output();
                self.send(at, device, output)
            }
            Device::Scanner(no) => {
                let output = self.desks[no].desk.take_output();
                self.send(at, device, output)
            }
            Device::Labels(no) => {
                let answers = self.desks[no].desk.printer_answers();
                self.send(at, device, answers)
            }
            Device::Gate => false,
        }
    }

    /// Puts bytes on the way to the agent, in pieces; true when the connection broke in them.
    pub(crate) fn send(&mut self, at: usize, device: Device, bytes: Vec<u8>) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let cut = self.cut(at, device, bytes.len());
        let mut rest = &bytes[..cut.unwrap_or(bytes.len())];
        let mut due = self.ms + self.rng.u64(..2);
        while !rest.is_empty() {
            let len = if self.rng.u8(..8) == 0 { self.rng.usize(1..=rest.len()) } else { rest.len() };
            self.cable(at, device).to_agent.push_back((due, rest[..len].to_vec()));
            due += self.rng.u64(..2);
            rest = &rest[len..];
        }
        cut.is_some()
    }

    pub(crate) fn deliver_to_agent(&mut self, at: usize, device: Device) -> bool {
        let (ms, now) = (self.ms, self.now());
        while let Some((_, bytes)) = self.cable(at, device).to_agent.pop_front_if(|(due, _)| *due <= ms) {
            self.trace.mix(&bytes);
            let Some(agent) = &mut self.agent else { return false };
            match device {
                Device::Printer(no) => {
                    if let Some(port) = agent.lines[at].printers.get_mut(no) {
                        port.step(now, In::Bytes(&bytes));
                    }
                }
                Device::Reader => {
                    agent.lines[at].reader.step(now, In::Bytes(&bytes));
                }
                Device::Gate => agent.lines[at].gate.step(now, In::Bytes(&bytes)),
                Device::Scanner(no) => agent.stations[no].scanner.step(now, In::Bytes(&bytes)),
                Device::Labels(no) => {
                    let printer = agent.stations[no].printer.iter_mut();
                    printer.for_each(|printer| printer.step(now, In::Bytes(&bytes)));
                }
            }
        }
        false
    }

    /// What the sessions wrote in this turn goes on its way, and connections that they gave up are closed.
    pub(crate) fn take_written(&mut self, at: usize) {
        for device in self.sides[at].devices() {
            self.take_written_to(at, device);
        }
    }

    pub(crate) fn take_written_of_desks(&mut self) {
        for no in 0..self.desks.len() {
            self.take_written_to(0, Device::Scanner(no));
            self.take_written_to(0, Device::Labels(no));
        }
    }

    fn take_written_to(&mut self, at: usize, device: Device) {
        let due = self.ms + self.rng.u64(..2);
        let Some(agent) = &mut self.agent else { return };
        let Some(wire) = wire(agent, at, device) else { return };
        let (bytes, closes) = (std::mem::take(&mut wire.written), std::mem::take(&mut wire.close));
        let cable = self.cable(at, device);
        if cable.up && !bytes.is_empty() {
            let due = cable.to_device.back().map_or(due, |(last, _)| due.max(*last));
            cable.to_device.push_back((due, bytes));
        }
        if closes {
            self.unplug(at, device);
        }
    }
}

/// The wire of a device, if the agent has it.
fn wire(agent: &mut Agent, at: usize, device: Device) -> Option<&mut Wire> {
    match device {
        Device::Scanner(no) => agent.stations.get_mut(no)?.wire(true),
        Device::Labels(no) => agent.stations.get_mut(no)?.wire(false),
        device => agent.lines[at].wire(device),
    }
}

/// The frame reads the registers of the last tag.
fn asks_last_tag(frame: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    match (frame.get(7), word(8), word(10)) {
        (Some(4), Some(first), Some(count)) => first <= 4 && u32::from(first) + u32::from(count) > 5,
        _ => false,
    }
}
