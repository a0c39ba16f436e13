//! Writes random labels as the ZPL session sends them, with the bytes that a reader must give, for
//! tools that are not ours to judge: `tests/external/check.sh`.
//!
//! `zpl_samples N SEED` writes N labels of each layout and N test labels to standard output, one JSON
//! object a line:
//! `prelude` is all that the session sent before its first job (the stored format is in it), `zpl` the
//! job, `symbol` the element string in hexadecimal, `side` the modules of a fixed size or 0.

use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::printer::zpl_format::{Separator, SymbolSize, TextField, ZplConfig};
use tamga_drivers::printer::{Job, JobId, PrinterCommand, PrinterEvent};
use tamga_drivers::session::{Input, Output, Session, Time};

/// An idle printer's answer to `~HS`: zpl-toolchain contracts/fixtures/print-status-framing.v1.json.
const IDLE: &[u8] = b"\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\
                      \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

/// Serials and values that an escape character other than `@`, or `^FH`, would change.
const HARD: [&str; 6] =
    ["_1_d029__0_X", "__2_3_5123_G", "_5F_7E_1D_@", "%d029%1&1\"1", "0123456789_1", "AZaz09/<>?;:"];

/// One way to build a code; the sides are the squares of ISO/IEC 16022, table 7, for its longest code.
struct Layout {
    name: &'static str,
    gs1: bool,
    serial: usize,
    tail: &'static [(&'static str, usize)],
    side: u8,
}

const LAYOUTS: [Layout; 5] = [
    Layout { name: "water", gs1: true, serial: 13, tail: &[("93", 4)], side: 22 },
    Layout { name: "beer", gs1: true, serial: 7, tail: &[("93", 4)], side: 22 },
    Layout { name: "pharma", gs1: true, serial: 13, tail: &[("91", 4), ("92", 44)], side: 36 },
    Layout { name: "appliances", gs1: true, serial: 20, tail: &[("91", 4), ("92", 44)], side: 36 },
    Layout { name: "tobacco", gs1: false, serial: 7, tail: &[("", 8)], side: 20 },
];

/// The 82 characters of GS1 General Specifications, figure 7.11-1.
fn alphabet() -> Vec<u8> {
    (0x21..=0x7a).filter(|b: &u8| b.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(b)).collect()
}

fn value(rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let alphabet = alphabet();
    let mut value: Vec<u8> = match rng.usize(0..8) {
        0 => HARD[rng.usize(0..HARD.len())].bytes().filter(|b| *b != b'@').collect(),
        1 => vec![b'_'; len],
        2 => vec![b'0'; len / 2],
        _ => Vec::new(),
    };
    value.truncate(len);
    while value.len() < len {
        value.push(alphabet[rng.usize(0..alphabet.len())]);
    }
    value
}

/// A GTIN with its check digit: GS1 General Specifications, section 7.9.
fn gtin(rng: &mut fastrand::Rng) -> Vec<u8> {
    let digits: Vec<u32> = (0..13).map(|place| if place == 0 { 0 } else { rng.u32(0..10) }).collect();
    let sum: u32 = digits.iter().enumerate().map(|(place, d)| d * if place % 2 == 0 { 3 } else { 1 }).sum();
    digits
        .iter()
        .chain([&((10 - sum % 10) % 10)])
        .map(|d| b'0' + u8::try_from(*d).expect("a digit"))
        .collect()
}

fn symbol(rng: &mut fastrand::Rng, layout: &Layout) -> Vec<u8> {
    let mut symbol = Vec::new();
    let ai = |symbol: &mut Vec<u8>, ai: &str| {
        symbol.extend(layout.gs1.then_some(ai.bytes()).into_iter().flatten())
    };
    ai(&mut symbol, "01");
    symbol.extend(gtin(rng));
    ai(&mut symbol, "21");
    symbol.extend(value(rng, layout.serial));
    for (name, len) in layout.tail {
        symbol.extend(layout.gs1.then_some(0x1d));
        ai(&mut symbol, name);
        symbol.extend(value(rng, *len));
    }
    symbol
}

/// All combinations of separator, stored format and size come in turn; the rest is random.
fn config(rng: &mut fastrand::Rng, number: usize, side: u8) -> ZplConfig {
    let module_dots = rng.u32(4..=8);
    let (x, y) = (rng.u32(module_dots..=60), rng.u32(module_dots..=60));
    // A stored format by length is for 100 bytes: 40×40.
    let largest = 40 * module_dots;
    let text = |template: &str, line: u32| TextField {
        x: 10,
        y: y + largest + module_dots + 10 + line * 30,
        height_dots: 24,
        template: template.to_owned(),
    };
    ZplConfig {
        module_dots,
        x,
        y,
        label_width_dots: (x + largest + 60).next_multiple_of(8),
        label_length_dots: (y + largest + 100).next_multiple_of(8),
        separator: if number.is_multiple_of(2) { Separator::Fnc1 } else { Separator::Gs },
        stored_format: (number / 2 % 2 == 1).then(|| "E:TAMGA.ZPL".to_owned()),
        size: match number / 4 % 3 {
            0 => SymbolSize::Auto,
            1 => SymbolSize::ByLength,
            _ => SymbolSize::Fixed { columns: side, rows: side },
        },
        texts: vec![text("LOT {batch}", 0), text("{expiry}", 1)],
        window: 1,
        max_symbol_len: 100,
        ..ZplConfig::default()
    }
}

/// Connects a session to a printer that does as it should, and returns what it sent first.
fn connect(session: &mut Zpl, out: &mut Output<PrinterEvent>) -> Vec<u8> {
    let mut sent = Vec::new();
    let inputs = [
        Input::Connected,
        Input::Bytes(IDLE),
        Input::Bytes(b"\"7\""),
        Input::Bytes(IDLE),
        Input::Bytes(b"\"7\""),
    ];
    for input in inputs {
        out.clear();
        session.step(Time(0), input, out);
        sent.extend_from_slice(&out.bytes);
    }
    assert!(out.events.contains(&PrinterEvent::Ready { free: 1 }), "{:?}", out.events);
    sent
}

fn sample(layout: &str, number: usize, config: &ZplConfig, job: Job, side: u8) -> String {
    let mut session = Zpl::new(config.clone());
    let mut out = Output::new();
    let prelude = connect(&mut session, &mut out);
    let symbol: String = job.symbol.iter().map(|byte| format!("{byte:02x}")).collect();
    let (gs1, id) = (job.gs1, job.id);
    out.clear();
    session.step(Time(0), Input::Command(PrinterCommand::Print(job)), &mut out);
    assert!(out.events.contains(&PrinterEvent::Accepted(id)), "{:?}", out.events);
    let fixed = if matches!(config.size, SymbolSize::Fixed { .. }) { side } else { 0 };
    format!(
        "{{\"layout\":\"{layout}\",\"number\":{number},\"prelude\":{},\"zpl\":{},\"symbol\":\"{symbol}\",\
         \"gs1\":{gs1},\"gs\":{},\"stored\":{},\"size\":\"{}\",\"side\":{fixed},\"module\":{},\"x\":{},\"y\":{},\
         \"width\":{},\"length\":{}}}",
        json(&prelude),
        json(&out.bytes),
        config.separator == Separator::Gs,
        config.stored_format.is_some(),
        match config.size {
            SymbolSize::Auto => "auto",
            SymbolSize::ByLength => "by length",
            SymbolSize::Fixed { .. } => "fixed",
        },
        config.module_dots,
        config.x,
        config.y,
        config.label_width_dots,
        config.label_length_dots,
    )
}

fn json(zpl: &[u8]) -> String {
    let mut text = String::from('"');
    for &byte in zpl {
        assert!(byte.is_ascii(), "what the session sends is ASCII");
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            0..0x20 => text.push_str(&format!("\\u{byte:04x}")),
            _ => text.push(char::from(byte)),
        }
    }
    text.push('"');
    text
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse().expect("usage: zpl_samples N SEED"));
    let count: usize = arguments.next().map_or(60, |n: u64| usize::try_from(n).expect("a count"));
    let mut rng = fastrand::Rng::with_seed(arguments.next().unwrap_or(1));
    for layout in &LAYOUTS {
        for number in 0..count {
            let config = config(&mut rng, number, layout.side);
            let fields = vec![
                ("batch".to_owned(), format!("_1^~\\{}", rng.u32(..))),
                ("expiry".to_owned(), "31.12.2027 до".to_owned()),
            ];
            let symbol = symbol(&mut rng, layout);
            let job = Job { id: JobId(1), symbol, gs1: layout.gs1, fields };
            println!("{}", sample(layout.name, number, &config, job, layout.side));
        }
    }
    for number in 0..count {
        // Labels with room on one side only, and long ones, on which TEST is large.
        let mut config = config(&mut rng, number, 36);
        let symbol = 22 * config.module_dots;
        match number % 4 {
            0 => config.label_length_dots = config.y + symbol + 30,
            1 => config.y += 120,
            2 => config.label_length_dots = 1200,
            _ => config.x += 120,
        }
        config.label_width_dots = (config.x + symbol + 60).next_multiple_of(8);
        config.label_length_dots = config.label_length_dots.max(config.y + symbol + 8).next_multiple_of(8);
        let note: String = (0..rng.usize(0..=24)).map(|_| rng.alphanumeric()).collect();
        println!("{}", sample("test", number, &config, Job::test(JobId(1), &note), 0));
    }
}
