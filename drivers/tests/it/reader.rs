//! Text readers, played by script.

use std::time::Duration;

use tamga_drivers::fault::FaultKind;
use tamga_drivers::reader::presets::preset;
use tamga_drivers::reader::text::{Heartbeat, TextConfig, TextReader};
use tamga_drivers::reader::{ReaderCommand, ReaderEvent};

use crate::bench::Bench;

/// A milk pack, as a conforming reader gives it: GS between the parts, AIM identifier in front.
const CODE: &str = "]d2010460043993125621JgXJ5.\u{1d}93dGVz";

fn bench(config: TextConfig) -> Bench<TextReader> {
    let mut bench = Bench::new(TextReader::new(config).unwrap());
    assert_eq!(bench.connected().1, [ReaderEvent::Connected]);
    bench
}

fn of_preset(name: &str) -> Bench<TextReader> {
    bench(preset(name).unwrap().config)
}

fn read(bench: &Bench<TextReader>, text: &str) -> ReaderEvent {
    ReaderEvent::Read { bytes: text.into(), at: bench.now }
}

/// SICK Lector, CoLa A: the answer to `sMN mTCgateon` on the stream of results, then a result, then a
/// no-read (readers-cameras-plc.md §1.5).
#[test]
fn sick_answers_are_no_results() {
    let mut bench = of_preset("sick");
    assert_eq!(bench.command(ReaderCommand::Trigger).0, "\x02sMN mTCgateon\x03");
    let (_, events) =
        bench.hears(format!("\x02sAN mTCgateon 1\x03\x02{CODE}\x03\x02NoRead\x03\x02sFA 2\x03"));
    assert_eq!(events[..2], [read(&bench, CODE), ReaderEvent::NoRead { at: bench.now }]);
    assert!(matches!(&events[2..], [ReaderEvent::Fault(fault)] if fault.kind == FaultKind::Protocol));
}

/// Keyence SR: `LON` answered by `OK,LON`, the result later; `ERROR` is its no-read; `ER,LON,00` an
/// undefined command (§1.3).
#[test]
fn keyence_answers_and_errors_are_no_results() {
    let mut bench = of_preset("keyence_sr");
    assert_eq!(bench.command(ReaderCommand::Trigger).0, "LON\r");
    let (_, events) = bench.hears(format!("OK,LON\r{CODE}\rERROR\r"));
    assert_eq!(events, [read(&bench, CODE), ReaderEvent::NoRead { at: bench.now }]);
    let (_, events) = bench.hears("ER,LON,00\r");
    assert!(matches!(&events[..], [ReaderEvent::Fault(_)]));
}

/// Some terminators are CR in the manual and CR LF as shipped. The
/// other half is no part of a result, wherever the stream is cut.
#[test]
fn the_other_half_of_cr_lf_is_no_part_of_a_result() {
    for (terminator, sent) in [("\r", "\r\n"), ("\n", "\r\n"), ("\r", "\r"), ("\r\n", "\r\n")] {
        let mut config = preset("keyence_sr").unwrap().config;
        config.terminator = terminator.into();
        let mut bench = bench(config);
        let mut events = Vec::new();
        for byte in format!("{CODE}{sent}ERROR{sent}{CODE}{sent}{sent}").into_bytes() {
            events.extend(bench.hears([byte]).1);
        }
        let wanted = [read(&bench, CODE), ReaderEvent::NoRead { at: bench.now }, read(&bench, CODE)];
        assert_eq!(events, wanted, "{terminator:?} {sent:?}");
    }
}

/// Cognex DataMan on port 23: telnet negotiation left out, `||…` answers left out (§1.1).
#[test]
fn dataman_speaks_through_telnet() {
    let mut bench = of_preset("dataman");
    assert_eq!(bench.command(ReaderCommand::Trigger).0, "||>TRIGGER ON\r\n");
    bench.hears(b"\xff\xfb\x01\xff\xfd\x03\xff\xfa\x18\x01\xff\xf0||0:0[0]\r\n");
    let (_, events) = bench.hears(format!("{CODE}\r\n\r\n"));
    assert_eq!(events, [read(&bench, CODE)]);
}

/// Omron MicroHAWK: `12345 CR LF` to `< >` (manualslib 2908943, page 108).
#[test]
fn omron_trigger_and_result() {
    let mut bench = of_preset("omron");
    assert_eq!(bench.command(ReaderCommand::Trigger).0.as_bytes(), [0x3C, 0x20, 0x3E]);
    let (_, events) = bench.hears([0x31, 0x32, 0x33, 0x34, 0x35, 0x0D, 0x0A]);
    assert_eq!(events, [read(&bench, "12345")]);
}

#[test]
fn several_codes_keep_the_places_of_those_not_read() {
    let config = TextConfig {
        several_delimiter: Some(b"|".to_vec()),
        no_read: vec![b"ERROR".to_vec()],
        ..TextConfig::default()
    };
    let mut bench = bench(config);
    let (_, events) = bench.hears("a,1|ERROR|b\r\nERROR|ERROR\r\nalone\r\n");
    let at = bench.now;
    assert_eq!(
        events,
        [
            ReaderEvent::Several { parts: vec![b"a,1".to_vec(), vec![], b"b".to_vec()], at },
            ReaderEvent::NoRead { at },
            read(&bench, "alone"),
        ]
    );
}

#[test]
fn an_oversize_result_is_told_once_and_the_next_one_read() {
    let mut bench = bench(TextConfig { max_len: 8, ..TextConfig::default() });
    let (_, events) = bench.hears("123456789012345678901234567890\r\nok\r\n");
    assert_eq!(events, [ReaderEvent::Oversize { at: bench.now }, read(&bench, "ok")]);
}

#[test]
fn a_silent_reader_is_dropped_after_its_heartbeat_s_time() {
    let timeout = Duration::from_secs(3);
    let heartbeat = Some(Heartbeat { text: b"HB".to_vec(), timeout });
    let setup = vec![b"one\r".to_vec(), b"two\r".to_vec()];
    let mut bench =
        Bench::new(TextReader::new(TextConfig { heartbeat, setup, ..TextConfig::default() }).unwrap());
    assert_eq!(bench.connected().0, "one\rtwo\r");
    bench.after(Duration::from_secs(2));
    assert_eq!(bench.hears("HB\r\n").1, [ReaderEvent::Heartbeat]);
    assert_eq!(bench.out.wake, Some(bench.now + timeout));
    let (_, events) = bench.tick();
    assert!(matches!(&events[..], [ReaderEvent::Fault(f)] if f.kind == FaultKind::DeviceHeartbeatLost));
    assert!(bench.out.close);
    assert_eq!(bench.disconnected().1, [ReaderEvent::Disconnected]);
    assert_eq!(bench.out.wake, None);
}

#[test]
fn a_trigger_without_words_or_connection_is_told() {
    let mut bench = bench(TextConfig::default());
    let (sent, events) = bench.command(ReaderCommand::Trigger);
    assert_eq!(sent, "");
    assert!(matches!(&events[..], [ReaderEvent::Fault(f)] if f.kind == FaultKind::Protocol));
    let mut bench = of_preset("sick");
    bench.disconnected();
    let (sent, events) = bench.command(ReaderCommand::Trigger);
    assert_eq!(sent, "");
    assert!(matches!(&events[..], [ReaderEvent::Fault(f)] if f.kind == FaultKind::Disconnected));
}

#[test]
fn half_a_result_before_a_cut_is_not_joined_with_what_comes_after() {
    let mut bench = bench(TextConfig::default());
    bench.hears("half");
    bench.disconnected();
    bench.connected();
    assert_eq!(bench.hears("whole\r\n").1, [read(&bench, "whole")]);
}
