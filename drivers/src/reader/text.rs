//! Readers that speak lines of text, over TCP in either role or a serial line.
//!
//! Every vendor lets the integrator choose trigger, framing and no-read text, so all of it is
//! configuration; [`super::presets`] has each vendor's usual choice. A line is, in this order: heartbeat, no-read, answer to a command of ours, error, result.
//! An empty line is nothing unless it is configured as a no-read.

use std::time::Duration;

use super::{ReaderCommand, ReaderEvent};
use crate::fault::{Fault, FaultKind};
use crate::framing::{Frame, FramingError, TextFramer};
use crate::session::{Input, Output, Session, Time};

/// One reader's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextConfig {
    /// Before each result; empty for none.
    pub header: Vec<u8>,
    /// Behind each result.
    pub terminator: Vec<u8>,
    /// Results that say that no code was read.
    pub no_read: Vec<Vec<u8>>,
    /// What the reader says while it has nothing to say.
    pub heartbeat: Option<Heartbeat>,
    /// Between the codes of one result. It must be no GS1 character.
    pub several_delimiter: Option<Vec<u8>>,
    /// Beginnings of lines that answer commands of ours and are no results.
    pub answers: Vec<Vec<u8>>,
    /// Beginnings of lines by which the reader refuses a command or tells of trouble.
    pub errors: Vec<Vec<u8>>,
    /// Sent at every connect, in order.
    pub setup: Vec<Vec<u8>>,
    /// Sent for `Trigger`; `None` where a photo-eye triggers the reader.
    pub trigger: Option<Vec<u8>>,
    /// The peer may negotiate telnet options (`IAC …`), which are left out.
    pub telnet: bool,
    /// Longest result in bytes.
    pub max_len: usize,
}

/// A reader's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The line that it sends.
    pub text: Vec<u8>,
    /// Without any line for so long, the reader is lost and the connection is dropped.
    pub timeout: Duration,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            header: Vec::new(),
            terminator: b"\r\n".to_vec(),
            no_read: vec![b"NoRead".to_vec(), b"NOREAD".to_vec(), b"NO READ".to_vec()],
            heartbeat: None,
            several_delimiter: None,
            answers: Vec::new(),
            errors: Vec::new(),
            setup: Vec::new(),
            trigger: None,
            telnet: false,
            max_len: 512,
        }
    }
}

/// The session of one such reader.
#[derive(Debug)]
pub struct TextReader {
    config: TextConfig,
    framer: TextFramer,
    telnet: Telnet,
    /// When the last line came, while connected.
    heard: Option<Time>,
}

impl TextReader {
    /// Makes a session, not connected.
    ///
    /// # Errors
    /// When the framing cannot work.
    pub fn new(config: TextConfig) -> Result<Self, FramingError> {
        let framer = TextFramer::new(&config.header, &config.terminator, config.max_len)?;
        Ok(Self { config, framer, telnet: Telnet::Data, heard: None })
    }

    fn line(&self, line: Vec<u8>, at: Time) -> Option<ReaderEvent> {
        let line = self.without_ends(line);
        let begins = |beginnings: &[Vec<u8>]| beginnings.iter().any(|b| line.starts_with(b));
        if self.config.heartbeat.as_ref().is_some_and(|h| h.text == line) {
            return Some(ReaderEvent::Heartbeat);
        }
        if self.config.no_read.contains(&line) {
            return Some(ReaderEvent::NoRead { at });
        }
        if line.is_empty() || begins(&self.config.answers) {
            return None;
        }
        if begins(&self.config.errors) {
            return Some(ReaderEvent::Fault(Fault::new(FaultKind::Protocol, "the reader refused a command")));
        }
        match &self.config.several_delimiter {
            Some(delimiter) => Some(self.several(&line, delimiter, at)),
            None => Some(ReaderEvent::Read { bytes: line, at }),
        }
    }

    /// A reader that ends its results with CR LF, where one of the two is configured, leaves the other at an end of the
    /// next or of this result. Neither is ever data; where they stand between marks they stay.
    fn without_ends(&self, line: Vec<u8>) -> Vec<u8> {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let heartbeat = self.config.heartbeat.as_ref().map(|h| &h.text);
        let mut texts = self.config.no_read.iter().chain(&self.config.several_delimiter).chain(heartbeat);
        if texts.any(|text| text.iter().any(is_end)) {
            // Somebody has told them apart.
            return line;
        }
        let from = line.iter().position(|b| !is_end(b)).unwrap_or(line.len());
        let to = line.iter().rposition(|b| !is_end(b)).map_or(from, |last| last + 1);
        line[from..to].to_vec()
    }

    fn several(&self, line: &[u8], delimiter: &[u8], at: Time) -> ReaderEvent {
        let mut parts = split(line, delimiter);
        for part in &mut parts {
            if self.config.no_read.contains(part) {
                part.clear();
            }
        }
        if parts.iter().all(Vec::is_empty) {
            ReaderEvent::NoRead { at }
        } else if parts.len() == 1 {
            ReaderEvent::Read { bytes: parts.remove(0), at }
        } else {
            ReaderEvent::Several { parts, at }
        }
    }

    fn bytes(&mut self, now: Time, bytes: &[u8], out: &mut Output<ReaderEvent>) {
        if self.config.telnet {
            let data: Vec<u8> = bytes.iter().copied().filter_map(|byte| self.telnet.data(byte)).collect();
            self.framer.push(&data);
        } else {
            self.framer.push(bytes);
        }
        while let Some(frame) = self.framer.pop() {
            self.heard = Some(now);
            match frame {
                Frame::Whole(line) => out.events.extend(self.line(line, now)),
                Frame::Oversize => out.events.push(ReaderEvent::Oversize { at: now }),
                Frame::Broken => {
                    let fault = Fault::new(FaultKind::Protocol, "bytes outside of any result");
                    out.events.push(ReaderEvent::Fault(fault));
                }
            }
        }
    }

    fn silent_until(&self) -> Option<Time> {
        Some(self.heard? + self.config.heartbeat.as_ref()?.timeout)
    }
}

impl Session for TextReader {
    type Command = ReaderCommand;
    type Event = ReaderEvent;

    fn step(&mut self, now: Time, input: Input<'_, ReaderCommand>, out: &mut Output<ReaderEvent>) {
        match input {
            Input::Connected => {
                self.framer.reset();
                self.telnet = Telnet::Data;
                self.heard = Some(now);
                for words in &self.config.setup {
                    out.bytes.extend_from_slice(words);
                }
                out.events.push(ReaderEvent::Connected);
            }
            Input::Disconnected => {
                self.heard = None;
                out.events.push(ReaderEvent::Disconnected);
            }
            Input::Command(ReaderCommand::Trigger) => match (&self.config.trigger, self.heard) {
                (Some(words), Some(_)) => out.bytes.extend_from_slice(words),
                (None, _) => {
                    let fault = Fault::new(FaultKind::Protocol, "no trigger is configured");
                    out.events.push(ReaderEvent::Fault(fault));
                }
                (Some(_), None) => out.events.push(ReaderEvent::Fault(FaultKind::Disconnected.into())),
            },
            Input::Command(ReaderCommand::Send(words)) => {
                if self.heard.is_some() {
                    out.bytes.extend_from_slice(&words);
                }
            }
            Input::Bytes(bytes) => self.bytes(now, bytes, out),
            Input::Tick => {
                if self.silent_until().is_some_and(|at| at <= now) {
                    self.heard = None;
                    out.close = true;
                    out.events.push(ReaderEvent::Fault(FaultKind::DeviceHeartbeatLost.into()));
                }
            }
        }
        if let Some(at) = self.silent_until() {
            out.wake_at(at);
        }
    }
}

fn split(line: &[u8], delimiter: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut rest = line;
    while let [byte, tail @ ..] = rest {
        match rest.strip_prefix(delimiter) {
            Some(behind) if !delimiter.is_empty() => {
                parts.push(std::mem::take(&mut part));
                rest = behind;
            }
            _ => {
                part.push(*byte);
                rest = tail;
            }
        }
    }
    parts.push(part);
    parts
}

/// Where in a telnet command the stream is: RFC 854.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telnet {
    Data,
    Iac,
    Option,
    Sub,
    SubIac,
}

impl Telnet {
    /// Takes the next byte and gives it back if it is data.
    fn data(&mut self, byte: u8) -> Option<u8> {
        const IAC: u8 = 255;
        let (next, data) = match (*self, byte) {
            (Self::Data, IAC) => (Self::Iac, None),
            (Self::Data, _) => (Self::Data, Some(byte)),
            (Self::Iac, IAC) => (Self::Data, Some(IAC)),
            (Self::Iac, 251..=254) => (Self::Option, None),
            (Self::Iac, 250) => (Self::Sub, None),
            (Self::Iac | Self::Option, _) => (Self::Data, None),
            (Self::Sub, IAC) => (Self::SubIac, None),
            (Self::Sub, _) => (Self::Sub, None),
            (Self::SubIac, 240) => (Self::Data, None),
            (Self::SubIac, _) => (Self::Sub, None),
        };
        *self = next;
        data
    }
}
