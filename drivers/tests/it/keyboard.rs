//! A keyboard scanner: recorded events in, results out, in any split of the bytes; and the device itself as a pipe.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use tamga_drivers::reader::keyboard::{EVENT_LEN, Keyboard};
use tamga_drivers::reader::{ReaderCommand, ReaderEvent};
use tamga_drivers::run::{Pace, run};
use tamga_drivers::session::{Input, Output, Session as _, Time};
use tamga_drivers::trace::Trace;
use tamga_drivers::transport::Transport;
use tokio::sync::mpsc;

const SHIFT: u16 = 42;
const CTRL: u16 = 29;
const ALT: u16 = 56;
const ENTER: u16 = 28;
const BRACKET: u16 = 27;

/// One `struct input_event`, as the kernel of this machine writes it.
fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    let mut bytes = vec![0x5a; EVENT_LEN - 8];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(code.to_ne_bytes());
    bytes.extend(value.to_ne_bytes());
    bytes
}

fn key(code: u16, value: i32) -> Vec<u8> {
    // A scan code before each key and a report behind it, as keyboards send them.
    [event(4, 4, i32::from(code)), event(1, code, value), event(0, 0, 0)].concat()
}

fn press(code: u16) -> Vec<u8> {
    [key(code, 1), key(code, 0)].concat()
}

/// The keys of a US keyboard for a text, as a scanner sends them.
fn typed(text: &str) -> Vec<u8> {
    let rows: [(u16, &str, &str); 4] = [
        (2, "1234567890-=", "!@#$%^&*()_+"),
        (16, "qwertyuiop[]", "QWERTYUIOP{}"),
        (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
        (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    ];
    let mut keys = Vec::new();
    for c in text.chars() {
        if c == '\u{1d}' {
            keys.extend([key(CTRL, 1), press(BRACKET), key(CTRL, 0)].concat());
            continue;
        }
        let found = rows.iter().find_map(|(first, plain, shifted)| {
            let at = |row: &str| row.chars().position(|k| k == c).map(|at| first + at as u16);
            at(plain).map(|key| (key, false)).or(at(shifted).map(|key| (key, true)))
        });
        let (code, shift) = found.unwrap_or_else(|| panic!("no key for {c}"));
        if shift {
            keys.extend([key(SHIFT, 1), press(code), key(SHIFT, 0)].concat());
        } else {
            keys.extend(press(code));
        }
    }
    keys.extend(press(ENTER));
    keys
}

fn results(keyboard: &mut Keyboard, bytes: &[u8], piece: usize) -> Vec<ReaderEvent> {
    let mut all = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut out = Output::default();
        keyboard.step(Time(7), Input::Bytes(piece), &mut out);
        all.extend(out.events);
    }
    all
}

fn read(text: &str) -> ReaderEvent {
    ReaderEvent::Read { bytes: text.as_bytes().to_vec(), at: Time(7) }
}

#[test]
fn every_character_of_a_code_comes_through_in_any_split() {
    let all: String = (0x21..0x7f).map(char::from).collect();
    for text in ["010478000000001421A7bQ\"%&/=!x\u{1d}93dGVz", &all] {
        let bytes = [typed(text), typed("00376104250021234569")].concat();
        for piece in [1, 7, EVENT_LEN, EVENT_LEN + 1, 4096, bytes.len()] {
            let mut keyboard = Keyboard::new(512);
            assert_eq!(results(&mut keyboard, &bytes, piece), [read(text), read("00376104250021234569")]);
        }
    }
}

#[test]
fn keys_that_are_held_and_numbers_typed_with_alt() {
    let mut keyboard = Keyboard::new(512);
    // a, held for three repeats; the keypad; Alt and 029, which is a separator.
    let held = [key(30, 1), key(30, 2), key(30, 2), key(30, 0)].concat();
    let alt = [key(ALT, 1), press(82), press(80), press(73), key(ALT, 0)].concat();
    let bytes = [held, press(79), alt, press(96)].concat();
    assert_eq!(results(&mut keyboard, &bytes, 64), [read("a1\u{1d}")]);
    // An empty line is no result.
    assert_eq!(results(&mut keyboard, &press(ENTER), 64), []);
}

#[test]
fn a_scan_of_which_keys_were_lost_or_that_is_too_long_is_no_result() {
    let mut keyboard = Keyboard::new(8);
    let lost = [press(30), event(0, 3, 0), typed("b")].concat();
    let told = results(&mut keyboard, &lost, 64);
    assert_eq!(told, [ReaderEvent::Missed { count: 1 }, ReaderEvent::Oversize { at: Time(7) }]);
    assert_eq!(results(&mut keyboard, &typed("123456789"), 64), [ReaderEvent::Oversize { at: Time(7) }]);
    assert_eq!(results(&mut keyboard, &typed("12345678"), 64), [read("12345678")]);
    // Pulled out in the middle of a scan: the rest of it is no result.
    results(&mut keyboard, &press(30), 64);
    let mut out = Output::default();
    keyboard.step(Time(8), Input::Disconnected, &mut out);
    keyboard.step(Time(9), Input::Connected, &mut out);
    assert_eq!(results(&mut keyboard, &typed("b"), 64), [read("b")]);
}

/// A pipe in the place of the device: it cannot be held alone, as a device can.
#[tokio::test]
async fn a_device_is_read_under_its_name_and_found_again() {
    let path = std::env::temp_dir().join(format!("tamga-keyboard-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let transport = Transport::keyboard(path.display().to_string(), false);
    let (commands, commands_in) = mpsc::channel::<ReaderCommand>(4);
    let (events, mut said) = mpsc::channel(16);
    let pace = Pace { backoff_min: Duration::from_millis(1), ..Pace::default() };
    let clock = || Time(7);
    let mut device = open();
    let task = tokio::spawn(run(
        Keyboard::new(512),
        transport,
        commands_in,
        events,
        Trace::of_symbols(),
        clock,
        pace,
    ));
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(20), said.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, ReaderEvent::Connected);
    device.write_all(&typed("01a")).unwrap();
    assert_eq!(next().await, read("01a"));
    commands.send(ReaderCommand::Send(b"\x07".to_vec())).await.unwrap();
    // Nobody holds the other end any more: as when the scanner is pulled out.
    drop(device);
    assert_eq!(next().await, ReaderEvent::Disconnected);
    let mut device = open();
    while next().await != ReaderEvent::Connected {}
    device.write_all(&typed("02B")).unwrap();
    loop {
        match next().await {
            ReaderEvent::Connected | ReaderEvent::Disconnected => {}
            other => break assert_eq!(other, read("02B")),
        }
    }
    drop(commands);
    task.await.unwrap();
    std::fs::remove_file(&path).unwrap();
}
