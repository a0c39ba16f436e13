//! Scanners that act as a keyboard, read as an input device of Linux (evdev): keys, not letters, so that no layout of the
//! host can change a code.
//!
//! A key's number says where it is on the keyboard; what a scanner means by it is what a US keyboard has there. Letters come
//! with shift; a separator comes as Ctrl and `]`; characters that a scanner types by their number come with Alt and the keypad.
//! Enter or Tab ends a result. An event is `struct input_event` of `linux/input.h` in this machine's own byte order; numbers of keys
//! are those of `linux/input-event-codes.h`.

use super::{ReaderCommand, ReaderEvent};
use crate::session::{Input, Output, Session, Time};

/// Two words of time, then type, code and value.
const TIME_LEN: usize = 2 * size_of::<usize>();
/// Bytes of one event.
pub const EVENT_LEN: usize = TIME_LEN + 8;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
/// The kernel had no room for events: some are lost.
const SYN_DROPPED: u16 = 3;

const GS: u8 = 0x1d;
const KEY_RIGHTBRACE: u16 = 27;

/// Keys 2 to 53 of a US keyboard, without and with shift; 0 where a key types nothing.
const PLAIN: &[u8; 52] = b"1234567890-=\0\tqwertyuiop[]\0\0asdfghjkl;'`\0\\zxcvbnm,./";
const SHIFTED: &[u8; 52] = b"!@#$%^&*()_+\0\tQWERTYUIOP{}\0\0ASDFGHJKL:\"~\0|ZXCVBNM<>?";

/// The session of one keyboard scanner.
#[derive(Debug, Default)]
pub struct Keyboard {
    max_len: usize,
    /// Bytes of an event that is not whole yet.
    rest: Vec<u8>,
    line: Vec<u8>,
    /// Something of the result was lost, or it is too long: it is no result.
    broken: Option<Broken>,
    shift: Held,
    ctrl: Held,
    alt: Held,
    /// The number that is being typed with Alt.
    number: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Long,
    Lost,
}

/// The left and the right key of a kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Held {
    left: bool,
    right: bool,
}

impl Held {
    fn is_down(self) -> bool {
        self.left || self.right
    }
}

impl Keyboard {
    /// Makes a session whose results have so many bytes at most.
    pub fn new(max_len: usize) -> Self {
        Self { max_len, ..Self::default() }
    }

    fn forget(&mut self) {
        *self = Self::new(self.max_len);
    }

    fn bytes(&mut self, now: Time, bytes: &[u8], out: &mut Output<ReaderEvent>) {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() / EVENT_LEN * EVENT_LEN;
        let events: Vec<u8> = self.rest.drain(..whole).collect();
        for event in events.chunks_exact(EVENT_LEN) {
            let half = |at: usize| u16::from_ne_bytes([event[TIME_LEN + at], event[TIME_LEN + at + 1]]);
            let (kind, code) = (half(0), half(2));
            let value = &event[TIME_LEN + 4..];
            let value = i32::from_ne_bytes([value[0], value[1], value[2], value[3]]);
            match (kind, code) {
                (EV_KEY, key) => self.key(key, value, now, out),
                (EV_SYN, SYN_DROPPED) => {
                    self.broken = Some(Broken::Lost);
                    (self.shift, self.ctrl, self.alt) = Default::default();
                }
                _ => {}
            }
        }
    }

    /// `value`: 1 pressed, 0 let go, 2 repeated since it is held, which no scanner means.
    fn key(&mut self, key: u16, value: i32, now: Time, out: &mut Output<ReaderEvent>) {
        let down = value != 0;
        match key {
            42 => return self.shift.left = down,
            54 => return self.shift.right = down,
            29 => return self.ctrl.left = down,
            97 => return self.ctrl.right = down,
            56 | 100 => {
                if key == 56 {
                    self.alt.left = down;
                } else {
                    self.alt.right = down;
                }
                if !self.alt.is_down() {
                    self.numbered();
                }
                return;
            }
            _ => {}
        }
        if value != 1 {
            return;
        }
        match (key, digit_of_keypad(key)) {
            // Enter, and Tab, which some scanners are set to.
            (28 | 96 | 15, _) => self.end(now, out),
            (_, Some(digit)) if self.alt.is_down() => {
                let number = self.number.unwrap_or(0);
                self.number = Some((number * 10 + u32::from(digit)).min(9999));
            }
            (_, Some(digit)) => self.push(b'0' + digit),
            (KEY_RIGHTBRACE, None) if self.ctrl.is_down() => self.push(GS),
            (57, None) => self.push(b' '),
            (2..=53, None) => {
                let keys = if self.shift.is_down() { SHIFTED } else { PLAIN };
                let typed = keys[usize::from(key) - 2];
                if typed != 0 && !self.ctrl.is_down() && !self.alt.is_down() {
                    self.push(typed);
                }
            }
            _ => {}
        }
    }

    fn numbered(&mut self) {
        match self.number.take().map(u8::try_from) {
            Some(Ok(byte)) => self.push(byte),
            // No such character: something else was typed.
            Some(Err(_)) => self.broken = Some(Broken::Lost),
            None => {}
        }
    }

    fn push(&mut self, byte: u8) {
        if self.line.len() < self.max_len {
            self.line.push(byte);
        } else {
            self.broken.get_or_insert(Broken::Long);
        }
    }

    fn end(&mut self, now: Time, out: &mut Output<ReaderEvent>) {
        let line = std::mem::take(&mut self.line);
        match self.broken.take() {
            Some(Broken::Long) => out.events.push(ReaderEvent::Oversize { at: now }),
            Some(Broken::Lost) => {
                out.events.extend([ReaderEvent::Missed { count: 1 }, ReaderEvent::Oversize { at: now }]);
            }
            None if line.is_empty() => {}
            None => out.events.push(ReaderEvent::Read { bytes: line, at: now }),
        }
    }
}

fn digit_of_keypad(key: u16) -> Option<u8> {
    const KEYS: [u16; 10] = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73];
    KEYS.iter().position(|known| *known == key).and_then(|digit| u8::try_from(digit).ok())
}

impl Session for Keyboard {
    type Command = ReaderCommand;
    type Event = ReaderEvent;

    fn step(&mut self, now: Time, input: Input<'_, ReaderCommand>, out: &mut Output<ReaderEvent>) {
        match input {
            Input::Connected => {
                self.forget();
                out.events.push(ReaderEvent::Connected);
            }
            Input::Disconnected => {
                self.forget();
                out.events.push(ReaderEvent::Disconnected);
            }
            Input::Bytes(bytes) => self.bytes(now, bytes, out),
            // A keyboard is not spoken to.
            Input::Command(ReaderCommand::Trigger | ReaderCommand::Send(_)) | Input::Tick => {}
        }
    }
}
