//! The cables between the agent and its devices: bytes take their time, come in pieces, and break off anywhere.

use tamga_drivers::session::Input as In;
use tamga_simulators::fault::FaultKind;
use tamga_simulators::model::modbus::Frames;

use crate::agent::Agent;
use crate::side::{Cable, Device};
use crate::world::World;

impl World {
    pub(crate) fn cable(&mut self, at: usize, device: Device) -> &mut Cable {
        self.sides[at].cable(device)
    }

    pub(crate) fn dial(&mut self, at: usize) {
        for device in self.sides[at].devices() {
            let line_has_it = |agent: &mut Agent| agent.lines[at].wire(device).is_some();
            if !self.agent.as_mut().is_some_and(line_has_it) {
                continue;
            }
            let ms = self.ms;
            let cable = self.cable(at, device);
            if cable.up || ms < cable.dial_at {
                continue;
            }
            let there = match device {
                Device::Printer(no) => self.sides[at].plant.printers[no].is_up(),
                Device::Reader => true,
                Device::Gate => self.sides[at].plant.gate.is_up(),
            };
            let pause = self.rng.u64(50..800);
            let now = self.now();
            let cable = self.cable(at, device);
            if !there {
                cable.dial_at = ms + pause;
                continue;
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
            let fault = match device {
                Device::Printer(_) => FaultKind::PrinterCut,
                Device::Reader => FaultKind::ReaderCut,
                Device::Gate => FaultKind::GateCut,
            };
            let cut = self.sides[at].plant.cut(fault, bytes.len());
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
                    if self.send(at, device, answers, FaultKind::GateCut) {
                        return true;
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
                self.send(at, device, answers, FaultKind::PrinterCut)
            }
            Device::Reader => {
                let output = self.sides[at].plant.reader.take_output();
                self.send(at, device, output, FaultKind::ReaderCut)
            }
            Device::Gate => false,
        }
    }

    /// Puts bytes on the way to the agent, in pieces; true when the connection broke in them.
    pub(crate) fn send(&mut self, at: usize, device: Device, bytes: Vec<u8>, fault: FaultKind) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let cut = self.sides[at].plant.cut(fault, bytes.len());
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
            }
        }
        false
    }

    /// What the sessions wrote in this turn goes on its way, and connections that they gave up are closed.
    pub(crate) fn take_written(&mut self, at: usize) {
        for device in self.sides[at].devices() {
            let due = self.ms + self.rng.u64(..2);
            let Some(agent) = &mut self.agent else { return };
            let Some(wire) = agent.lines[at].wire(device) else {
                continue;
            };
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
}

/// The frame reads the registers of the last tag.
fn asks_last_tag(frame: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    match (frame.get(7), word(8), word(10)) {
        (Some(4), Some(first), Some(count)) => first <= 4 && u32::from(first) + u32::from(count) > 5,
        _ => false,
    }
}
