//! The reader from outside: symbols in view in, lines out.

use tamga_simulators::fault::{FaultKind, FaultPlan, Faults};
use tamga_simulators::model::MS;
use tamga_simulators::model::reader::{Heartbeat, Reader, ReaderConfig, Seen};

const CODE: &[u8] = b"0104600000000001215abc\x1d93dGVz";
const NEXT: &[u8] = b"0104600000000001215abd\x1d93dGVz";

fn config() -> ReaderConfig {
    ReaderConfig { latency_ms_min: 10, latency_ms_max: 20, ..ReaderConfig::default() }
}

fn seen(code: &[u8]) -> Vec<Seen> {
    vec![Seen { bytes: code.to_vec(), gs1: true }]
}

fn reader(config: ReaderConfig) -> Reader {
    let mut reader = Reader::new(config, 1);
    reader.set_connected(true);
    reader
}

/// What comes after a trigger with CODE and, 100 ms later, one with NEXT, when `fault` strikes the first.
fn check(fault: Option<FaultKind>, expected: &[u8]) {
    let mut reader = reader(config());
    let mut faults = Faults::new(FaultPlan::none(), 5);
    if let Some(kind) = fault {
        faults.force(kind, 1);
    }
    let (_, struck) = reader.trigger(0, &seen(CODE), &mut faults);
    assert_eq!(struck, fault.into_iter().collect::<Vec<_>>());
    reader.step(100 * MS);
    reader.trigger(100 * MS, &seen(NEXT), &mut faults);
    reader.step(5000 * MS);
    let output = reader.take_output();
    assert_eq!(output, expected, "{fault:?}: {}", output.escape_ascii());
}

fn lines(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|p| [p, &b"\r\n"[..]].concat()).collect()
}

#[test]
fn every_fault_of_a_reading() {
    check(None, &lines(&[CODE, NEXT]));
    check(Some(FaultKind::NoRead), &lines(&[b"NOREAD", NEXT]));
    check(Some(FaultKind::ReadMissed), &lines(&[NEXT]));
    check(Some(FaultKind::DuplicateResult), &lines(&[CODE, CODE, NEXT]));
    check(Some(FaultKind::OutOfOrder), &lines(&[NEXT, CODE]));
    check(Some(FaultKind::GsLost), &lines(&[b"0104600000000001215abc93dGVz", NEXT]));
    check(Some(FaultKind::GsReplaced), &lines(&[b"0104600000000001215abc<GS>93dGVz", NEXT]));
    check(Some(FaultKind::TwoCodes), &lines(&[&[CODE, b"\t", CODE].concat(), NEXT]));
    check(Some(FaultKind::Late), &lines(&[CODE, NEXT]));
}

#[test]
fn a_misread_changes_one_character() {
    let mut faults = Faults::new(FaultPlan::none(), 5);
    faults.force(FaultKind::Misread, 1);
    let sent = reader(config()).trigger(0, &seen(CODE), &mut faults).0.unwrap();
    assert_eq!(sent.iter().zip(CODE).filter(|(a, b)| a != b).count(), 1);
}

#[test]
fn a_cut_line_is_a_beginning() {
    let mut faults = Faults::new(FaultPlan::none(), 5);
    faults.force(FaultKind::LineCut, 1);
    let sent = reader(config()).trigger(0, &seen(CODE), &mut faults).0.unwrap();
    assert!(CODE.starts_with(&sent) && sent.len() < CODE.len());
}

#[test]
fn results_come_within_the_latency_and_in_order() {
    let mut reader = reader(config());
    let mut faults = Faults::new(FaultPlan::none(), 5);
    for n in 0..50u64 {
        reader.trigger(n * 100 * MS, &seen(CODE), &mut faults);
        reader.step((n * 100 + 9) * MS);
        assert_eq!(reader.take_output(), b"", "too early");
        reader.step((n * 100 + 20) * MS);
        assert_eq!(reader.take_output(), lines(&[CODE]), "too late");
    }
}

#[test]
fn framing_is_as_configured() {
    let config = ReaderConfig {
        header: b"\x02".to_vec(),
        terminator: b"\x03".to_vec(),
        no_read: b"NoRead".to_vec(),
        aim: true,
        ..config()
    };
    let mut reader = reader(config);
    let mut faults = Faults::new(FaultPlan::none(), 5);
    reader.trigger(0, &seen(CODE), &mut faults);
    reader.trigger(0, &[Seen { bytes: b"plain".to_vec(), gs1: false }], &mut faults);
    reader.trigger(0, &[], &mut faults);
    reader.step(100 * MS);
    assert_eq!(reader.take_output(), [b"\x02]d2", CODE, b"\x03\x02]d1plain\x03\x02NoRead\x03"].concat());
}

#[test]
fn heartbeats_stand_between_results() {
    let heartbeat = Some(Heartbeat { every_ms: 50, bytes: b"HB\r\n".to_vec() });
    let mut reader = reader(ReaderConfig { heartbeat, ..config() });
    for at in 0..=150 {
        reader.step(at * MS);
    }
    assert_eq!(reader.take_output(), b"HB\r\nHB\r\nHB\r\nHB\r\n");
}

#[test]
fn what_comes_due_while_nobody_listens_is_gone() {
    let mut reader = reader(config());
    let mut faults = Faults::new(FaultPlan::none(), 5);
    reader.set_connected(false);
    reader.trigger(0, &seen(CODE), &mut faults);
    reader.step(100 * MS);
    reader.set_connected(true);
    reader.trigger(200 * MS, &seen(NEXT), &mut faults);
    reader.step(300 * MS);
    assert_eq!(reader.take_output(), lines(&[NEXT]));
}
