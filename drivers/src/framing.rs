//! Cutting a stream of bytes into frames: text lines, ZPL answers, Modbus.
//!
//! Every framer takes bytes cut anywhere and gives the same frames for any cut; none panics on any
//! input, and each holds at most its bound in memory. A frame that is not whole is never given out
//! as if it were: it is told as `Oversize` or `Broken`, once, and the framer finds its way back.

use std::collections::VecDeque;

use thiserror::Error;

/// What a text framer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The bytes between header and terminator, both left out.
    Whole(Vec<u8>),
    /// A frame longer than its bound; dropped up to its terminator.
    Oversize,
    /// Bytes outside any frame, or a frame cut off by the header of the next.
    Broken,
}

/// A framing that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramingError {
    /// Without a terminator nothing ends.
    #[error("the terminator is empty; readers send CR LF, CR or ETX")]
    NoTerminator,
    /// Header and terminator must differ to be told apart.
    #[error("header and terminator are the same")]
    Ambiguous,
    /// A bound of zero takes nothing.
    #[error("the longest frame allowed is 0 bytes")]
    NoRoom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the header.
    Outside,
    /// Behind the header.
    Inside,
    /// Inside a frame that was too long.
    Skipping,
}

/// Frames with an optional header, a terminator and a bound.
#[derive(Debug, Clone)]
pub struct TextFramer {
    header: Vec<u8>,
    terminator: Vec<u8>,
    max_len: usize,
    place: Place,
    buffer: Vec<u8>,
    /// Bytes that are no white space were dropped while outside.
    noise: bool,
    ready: VecDeque<Frame>,
}

impl TextFramer {
    /// Makes a framer; `max_len` bounds the bytes between header and terminator.
    ///
    /// # Errors
    /// When the terminator is empty, equals the header, or nothing would fit.
    pub fn new(header: &[u8], terminator: &[u8], max_len: usize) -> Result<Self, FramingError> {
        if terminator.is_empty() {
            return Err(FramingError::NoTerminator);
        }
        if header == terminator {
            return Err(FramingError::Ambiguous);
        }
        if max_len == 0 {
            return Err(FramingError::NoRoom);
        }
        let mut framer = Self {
            header: header.to_vec(),
            terminator: terminator.to_vec(),
            max_len,
            place: Place::Outside,
            buffer: Vec::new(),
            noise: false,
            ready: VecDeque::new(),
        };
        framer.reset();
        Ok(framer)
    }

    /// Forgets everything: a new connection begins.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.ready.clear();
        self.noise = false;
        self.between();
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.place {
                Place::Outside => self.outside(byte),
                Place::Inside => self.inside(byte),
                Place::Skipping => self.skipping(byte),
            }
        }
    }

    /// Gives the next frame.
    pub fn pop(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    fn between(&mut self) {
        self.buffer.clear();
        self.place = if self.header.is_empty() { Place::Inside } else { Place::Outside };
    }

    fn outside(&mut self, byte: u8) {
        self.buffer.push(byte);
        if self.buffer.ends_with(&self.header) {
            self.tell_noise();
            self.buffer.clear();
            self.place = Place::Inside;
            return;
        }
        if self.buffer.len() >= self.header.len() {
            let dropped = self.buffer.remove(0);
            self.noise |= !matches!(dropped, b'\r' | b'\n' | b' ' | 0);
        }
        if self.terminator.last() == Some(&byte) {
            self.tell_noise();
        }
    }

    fn tell_noise(&mut self) {
        if std::mem::take(&mut self.noise) {
            self.ready.push_back(Frame::Broken);
        }
    }

    fn inside(&mut self, byte: u8) {
        // A control character that opens frames cannot be data: the terminator before it was lost.
        if self.header == [byte] && byte < 0x20 {
            if !self.buffer.is_empty() {
                self.ready.push_back(Frame::Broken);
            }
            self.buffer.clear();
            return;
        }
        self.buffer.push(byte);
        if self.buffer.ends_with(&self.terminator) {
            let len = self.buffer.len() - self.terminator.len();
            let mut content = std::mem::take(&mut self.buffer);
            content.truncate(len);
            self.ready.push_back(Frame::Whole(content));
            self.between();
        } else if self.buffer.len() >= self.max_len + self.terminator.len() {
            self.ready.push_back(Frame::Oversize);
            self.place = Place::Skipping;
        }
    }

    fn skipping(&mut self, byte: u8) {
        self.buffer.push(byte);
        if self.buffer.ends_with(&self.terminator) {
            self.between();
        } else {
            let keep = self.terminator.len() - 1;
            let drop = self.buffer.len().saturating_sub(keep);
            self.buffer.drain(..drop);
        }
    }
}

/// What a ZPL printer says on its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `<STX>…<ETX>`: one frame of `~HS`, `~HI` and the like.
    Framed(Vec<u8>),
    /// `"…"`: the value of a `getvar`.
    Quoted(Vec<u8>),
    /// An answer longer than [`ANSWER_LEN_MAX`].
    Oversize,
}

/// No answer that we ask for is longer than 64 bytes; alerts and names of fonts stay well below this.
pub const ANSWER_LEN_MAX: usize = 512;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Frame,
    Quotes,
}

/// Cuts a ZPL printer's answers; bytes outside of frames and quotes are dropped.
#[derive(Debug, Clone)]
pub struct AnswerFramer {
    inside: Inside,
    buffer: Vec<u8>,
    ready: VecDeque<Answer>,
}

impl AnswerFramer {
    /// Makes an empty framer.
    pub fn new() -> Self {
        Self { inside: Inside::Nothing, buffer: Vec::new(), ready: VecDeque::new() }
    }

    /// Forgets everything: a new connection begins.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.take(byte);
        }
    }

    /// Gives the next answer.
    pub fn pop(&mut self) -> Option<Answer> {
        self.ready.pop_front()
    }

    fn take(&mut self, byte: u8) {
        match (self.inside, byte) {
            // STX always begins a frame: whatever stood before it was cut off.
            (_, STX) => self.begin(Inside::Frame),
            (Inside::Nothing, b'"') => self.begin(Inside::Quotes),
            (Inside::Nothing, _) => {}
            (Inside::Frame, ETX) => {
                let content = self.end();
                self.ready.push_back(Answer::Framed(content));
            }
            (Inside::Quotes, b'"') => {
                let content = self.end();
                self.ready.push_back(Answer::Quoted(content));
            }
            (Inside::Frame | Inside::Quotes, _) if self.buffer.len() >= ANSWER_LEN_MAX => {
                self.end();
                self.ready.push_back(Answer::Oversize);
            }
            (Inside::Frame | Inside::Quotes, _) => self.buffer.push(byte),
        }
    }

    fn begin(&mut self, inside: Inside) {
        self.buffer.clear();
        self.inside = inside;
    }

    fn end(&mut self) -> Vec<u8> {
        self.inside = Inside::Nothing;
        std::mem::take(&mut self.buffer)
    }
}

impl Default for AnswerFramer {
    fn default() -> Self {
        Self::new()
    }
}

/// One Modbus TCP frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adu {
    /// Transaction id: an answer carries that of its question.
    pub transaction: u16,
    /// Unit id.
    pub unit: u8,
    /// Function code and data, 1 to 253 bytes.
    pub pdu: Vec<u8>,
}

/// A stream that is not Modbus TCP; there is no way back into step but a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MbapError {
    /// The protocol id is always 0.
    #[error("protocol id {0} in the MBAP header, not 0")]
    Protocol(u16),
    /// Unit id and PDU together have 2 to 254 bytes.
    #[error("length {0} in the MBAP header, not within 2 to 254")]
    Length(u16),
}

/// Cuts Modbus TCP frames: "MODBUS Messaging on TCP/IP Implementation Guide V1.0b", 3.1.3.
#[derive(Debug, Clone, Default)]
pub struct MbapFramer {
    buffer: Vec<u8>,
}

impl MbapFramer {
    /// Makes an empty framer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: a new connection begins.
    pub fn reset(&mut self) {
        self.buffer.clear();
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Gives the next frame.
    ///
    /// # Errors
    /// When the header is not one of Modbus TCP. The framer then stays where it is.
    pub fn pop(&mut self) -> Result<Option<Adu>, MbapError> {
        let &[t0, t1, p0, p1, l0, l1, unit, ..] = self.buffer.as_slice() else { return Ok(None) };
        let protocol = u16::from_be_bytes([p0, p1]);
        if protocol != 0 {
            return Err(MbapError::Protocol(protocol));
        }
        let length = u16::from_be_bytes([l0, l1]);
        if !(2..=254).contains(&length) {
            return Err(MbapError::Length(length));
        }
        let end = 6 + usize::from(length);
        if self.buffer.len() < end {
            return Ok(None);
        }
        let pdu = self.buffer[7..end].to_vec();
        self.buffer.drain(..end);
        Ok(Some(Adu { transaction: u16::from_be_bytes([t0, t1]), unit, pdu }))
    }
}
