//! The wire trace: canary tails never get out, whatever cuts the stream.

use std::os::unix::fs::PermissionsExt;

use tamga_drivers::printer::zpl_format::{Separator, SymbolSize, ZplConfig, render};
use tamga_drivers::printer::{Job, JobId};
use tamga_drivers::session::Time;
use tamga_drivers::trace::{Direction, Level, Trace, TraceFile};

const CANARY: &str = "CaNaRyTaIl+/=x9";
const GROUP_SEPARATED: &str = "010460043993125621JgXJ5.T\u{1d}93CaNaRyTaIl+/=x9";

fn traced(direction: Direction, chunks: &[&[u8]]) -> String {
    let trace = Trace::of_symbols();
    trace.set_level(Level::Bytes);
    for chunk in chunks {
        trace.record(Time(0), direction, chunk);
    }
    let (records, _) = trace.since(0);
    records.iter().flat_map(|record| &record.bytes).map(|byte| char::from(*byte)).collect()
}

/// No three bytes of the canary in a row, cut anywhere, in one or two places.
fn hides(direction: Direction, stream: &[u8]) {
    for first in 0..=stream.len() {
        let second = (first + 7).min(stream.len());
        let text = traced(direction, &[&stream[..first], &stream[first..second], &stream[second..]]);
        for part in CANARY.as_bytes().windows(3) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!text.contains(part), "{part:?} in {text:?}, cut at {first}");
        }
    }
}

fn job(symbol: &str, gs1: bool) -> Job {
    Job { id: JobId(1), symbol: symbol.as_bytes().to_vec(), gs1, fields: vec![] }
}

#[test]
fn no_tail_of_a_reader_s_result_is_traced() {
    for frame in ["{}\r\n", "\x02{}\x03", "]d2{}\r", "38:20261122031128:{}\r\n", "\u{1d}{}\r\n"] {
        let stream = format!("first\r\n{}", frame.replace("{}", GROUP_SEPARATED));
        hides(Direction::In, stream.as_bytes());
    }
    // A lost or replaced separator hides no worse.
    for separator in ["", "{GS}", "|", " ", "@"] {
        let stream = GROUP_SEPARATED.replace('\u{1d}', separator);
        hides(Direction::In, format!("\x02\x03{stream}\r\n").as_bytes());
    }
    // A GTIN that was misread, and a short serial: the separator alone hides.
    for stream in ["01O460043993125621JgXJ5\u{1d}93", "010460043993125621J\u{1d}93", "21J\u{1d}93"] {
        hides(Direction::In, format!("\x02\x03{stream}{CANARY}\r\n").as_bytes());
    }
    // The first bytes of a connection may be the end of a tail.
    hides(Direction::In, format!("{CANARY}\r\n").as_bytes());
    // Tobacco: GTIN, serial of 7, price of 4 and the tail, without any separator.
    hides(Direction::In, format!("\x02\x0304600439931256AbCdEfGAB12{CANARY}\r\n").as_bytes());
}

#[test]
fn no_tail_of_a_printed_label_is_traced() {
    for separator in [Separator::Fnc1, Separator::Gs] {
        for stored_format in [None, Some("E:TAMGA.ZPL".to_owned())] {
            let config =
                ZplConfig { separator, stored_format, size: SymbolSize::ByLength, ..ZplConfig::default() };
            let two: Vec<u8> =
                [0, 1].iter().flat_map(|_| render(&config, &job(GROUP_SEPARATED, true)).unwrap()).collect();
            hides(Direction::Out, &two);
            for symbol in ["010460043993125621J\u{1d}93", "21J\u{1d}93"] {
                hides(Direction::Out, &render(&config, &job(&format!("{symbol}{CANARY}"), true)).unwrap());
            }
            let tobacco = format!("04600439931256AbCdEfGAB12{CANARY}");
            hides(Direction::Out, &render(&config, &job(&tobacco, false)).unwrap());
        }
    }
}

#[test]
fn what_is_no_tail_stays_legible() {
    let stream = format!("hello\r\n\x02{GROUP_SEPARATED}\x03\r\n");
    let text = traced(Direction::In, &[stream.as_bytes()]);
    assert!(text.starts_with("*****\r\n\x02010460043993125621JgXJ5.\u{2a}"), "{text:?}");
    let status = "\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n";
    assert_eq!(traced(Direction::In, &[status.as_bytes()]), status);
    let zpl = String::from_utf8(render(&ZplConfig::default(), &job(GROUP_SEPARATED, true)).unwrap()).unwrap();
    let text = traced(Direction::Out, &[zpl.as_bytes()]);
    assert!(text.contains("^FD@1010460043993125621JgXJ5*") && text.ends_with("*^FS^PQ1,0,0,N^XZ"), "{text}");
}

#[test]
fn the_mask_comes_off_by_name_only_and_proves_the_canary_test() {
    let trace = Trace::of_symbols();
    trace.set_level(Level::Bytes);
    trace.unmask_against_simulators(true);
    trace.record(Time(0), Direction::In, GROUP_SEPARATED.as_bytes());
    assert_eq!(trace.since(0).0[0].bytes, GROUP_SEPARATED.as_bytes());
}

#[test]
fn the_mask_keeps_its_place_while_the_trace_is_off() {
    let trace = Trace::of_symbols();
    let (head, tail) = GROUP_SEPARATED.split_at(30);
    trace.record(Time(0), Direction::In, format!("\r\n{head}").as_bytes());
    trace.set_level(Level::Frames);
    trace.record(Time(1), Direction::In, &tail.as_bytes()[..1]);
    trace.set_level(Level::Bytes);
    trace.record(Time(2), Direction::In, &tail.as_bytes()[1..]);
    let (records, next) = trace.since(0);
    assert_eq!((records.len(), next), (2, 2));
    assert_eq!((records[0].len, records[0].bytes.len()), (1, 0));
    assert!(records[1].bytes.iter().all(|byte| *byte == b'*'));
    assert_eq!(trace.since(1).0, records[1..]);
    assert_eq!(trace.since(9).0, []);
}

#[test]
fn ring_and_file_are_bounded_and_the_file_is_ours_alone() {
    let trace = Trace::of_signals();
    trace.set_level(Level::Bytes);
    for n in 0..20_000_u64 {
        trace.record(Time(n), Direction::Out, &[0; 100]);
    }
    let (records, next) = trace.since(0);
    assert_eq!(next, 20_000);
    assert!(records.len() * 100 <= 256 * 1024);
    assert_eq!(records.last().unwrap().at, Time(19_999));

    let folder = std::env::temp_dir().join(format!("tamga-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("p1.trace");
    let mut file = TraceFile::open(&path, 64 * 1024).unwrap();
    file.write(&records).unwrap();
    let len = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    let old = folder.join("p1.trace.old");
    assert!(len(&path) + len(&old) <= 64 * 1024);
    for path in [&path, &old] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
