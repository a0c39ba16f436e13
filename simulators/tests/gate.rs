//! The gate from outside: Modbus frames in and out, items before its sensors.

use proptest::prelude::*;
use tamga_simulators::model::MS;
use tamga_simulators::model::gate::{Gate, GateConfig, Mishap};
use tamga_simulators::model::modbus::{Bank, Frames, answer};
use tamga_simulators::model::truth::Fate;

/// Registers of the examples in the Modbus application protocol specification V1.1b3, section 6.
struct Specification {
    written: Vec<(u16, u16)>,
}

impl Bank for Specification {
    fn input(&self, address: u16) -> Option<u16> {
        (address == 8).then_some(0x000A)
    }

    fn holding(&self, address: u16) -> Option<u16> {
        match address {
            1 | 2 => Some(0),
            107 => Some(0x022B),
            108 => Some(0),
            109 => Some(0x0064),
            _ => None,
        }
    }

    fn write(&mut self, address: u16, value: u16) {
        self.written.push((address, value));
    }
}

/// Request and answer PDUs of the specification's examples (6.3, 6.4, 6.6, 6.12). Do not change.
const GOLDEN: &[(&[u8], &[u8])] = &[
    (&[0x03, 0x00, 0x6B, 0x00, 0x03], &[0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]),
    (&[0x04, 0x00, 0x08, 0x00, 0x01], &[0x04, 0x02, 0x00, 0x0A]),
    (&[0x06, 0x00, 0x01, 0x00, 0x03], &[0x06, 0x00, 0x01, 0x00, 0x03]),
    (&[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02], &[0x10, 0x00, 0x01, 0x00, 0x02]),
];

fn framed(pdu: &[u8]) -> Vec<u8> {
    [&[0x15, 0x01, 0, 0, 0, pdu.len() as u8 + 1, 0xFF], pdu].concat()
}

#[test]
fn the_examples_of_the_specification() {
    for (request, expected) in GOLDEN {
        let mut bank = Specification { written: Vec::new() };
        assert_eq!(answer(&mut bank, &framed(request)), framed(expected), "{request:02X?}");
    }
    let mut bank = Specification { written: Vec::new() };
    answer(&mut bank, &framed(GOLDEN[3].0));
    assert_eq!(bank.written, [(1, 0x000A), (2, 0x0102)]);
}

#[test]
fn what_cannot_be_is_an_exception() {
    let mut bank = Specification { written: Vec::new() };
    let mut check = |request: &[u8], code: u8| {
        let expected = framed(&[request[0] | 0x80, code]);
        assert_eq!(answer(&mut bank, &framed(request)), expected, "{request:02X?}");
    };
    check(&[0x01, 0, 0, 0, 1], 1);
    check(&[0x03, 0x00, 0x6B, 0x00, 0x04], 2);
    check(&[0x04, 0xFF, 0xFF, 0x00, 0x02], 2);
    check(&[0x06, 0x00, 0x09, 0x00, 0x03], 2);
    check(&[0x10, 0x00, 0x02, 0x00, 0x02, 0x04, 0, 1, 0, 2], 2);
    check(&[0x03, 0x00, 0x6B, 0x00, 0x00], 3);
    check(&[0x03, 0x00, 0x6B, 0x00, 0x7E], 3);
    check(&[0x10, 0x00, 0x01, 0x00, 0x02, 0x03, 0, 1, 0], 3);
    check(&[0x10, 0x00, 0x01], 3);
    assert!(bank.written.is_empty(), "a refused request writes nothing");
}

const ENCODER_WINDOW: u64 = 10;

struct Bench {
    gate: Gate,
    beat: u16,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { gate: Gate::new(GateConfig::default()), beat: 0 };
        bench.beat(0);
        bench.write(0, 1, &[1]);
        bench
    }

    fn read(&mut self, now_ms: u64, address: u16, count: u16) -> Vec<u16> {
        let (a, c) = (address.to_be_bytes(), count.to_be_bytes());
        let answer =
            self.gate.request(now_ms * MS, &framed(&[4, a[0], a[1], c[0], c[1]])).expect("an answer");
        assert_eq!(answer[7], 4, "{answer:02X?}");
        answer[9..].chunks(2).map(|v| u16::from_be_bytes([v[0], v[1]])).collect()
    }

    fn write(&mut self, now_ms: u64, address: u16, values: &[u16]) {
        let (a, c) = (address.to_be_bytes(), values.len() as u8);
        let mut pdu = vec![16, a[0], a[1], 0, c, c * 2];
        pdu.extend(values.iter().flat_map(|v| v.to_be_bytes()));
        let answer = self.gate.request(now_ms * MS, &framed(&pdu)).expect("an answer");
        assert_eq!(answer[7], 16, "{answer:02X?}");
    }

    fn beat(&mut self, now_ms: u64) {
        self.beat += 1;
        self.write(now_ms, 0, &[self.beat]);
    }

    fn pass(&mut self, now_ms: u64, tag: u32) {
        self.write(now_ms, 2 + 2 * (tag % 32) as u16, &[(tag >> 16) as u16, tag as u16]);
    }

    fn trigger(&mut self, now_ms: u64, reaches_gate: u64) -> u32 {
        self.gate.trigger(now_ms * MS, reaches_gate).expect("a tag").tag
    }

    fn arrive(&mut self, now_ms: u64, encoder: u64, mishap: Option<Mishap>) -> Fate {
        let standing = self.gate.look(now_ms * MS, encoder, ENCODER_WINDOW);
        let fate = self.gate.act(now_ms * MS, standing, mishap);
        self.gate.step((now_ms + 60) * MS, encoder, ENCODER_WINDOW);
        fate
    }

    fn status(&mut self, now_ms: u64) -> u16 {
        self.read(now_ms, 1, 1)[0]
    }

    fn outcome(&mut self, now_ms: u64, tag: u32) -> [u16; 3] {
        let entry = self.read(now_ms, 100 + 3 * (tag % 64) as u16, 3);
        [entry[0], entry[1], entry[2]]
    }
}

#[test]
fn an_item_passes_only_with_its_own_tag_in_its_slot() {
    let mut bench = Bench::new();
    let tags: Vec<u32> = (0..4).map(|n| bench.trigger(100 * n, 1000 + 100 * n)).collect();
    assert_eq!(tags, [1, 2, 3, 4]);
    bench.pass(400, 2);
    // The right slot with the wrong number, a lap later.
    bench.write(400, 2 + 2 * 3, &[0, 3 + 32]);
    let fates: Vec<Fate> = (0..4).map(|n| bench.arrive(500 + 100 * n, 1000 + 100 * n, None)).collect();
    assert_eq!(fates, [Fate::Rejected, Fate::Passed, Fate::Rejected, Fate::Rejected]);
    assert_eq!(bench.outcome(1000, 2), [0, 2, 1]);
    assert_eq!(bench.outcome(1000, 3), [0, 3, 2]);
    assert_eq!(bench.read(1000, 4, 8), [0, 4, 0, 1, 0, 3, 0, 0]);
}

#[test]
fn the_item_ring_says_when_each_item_came() {
    let mut bench = Bench::new();
    for n in 1..=17 {
        bench.trigger(100 * n, 10_000);
    }
    assert_eq!(bench.read(1800, 12 + 3, 3), [0, 17, 1700]);
    assert_eq!(bench.read(1800, 12 + 3 * 2, 3), [0, 2, 200]);
    assert_eq!(bench.read(1800, 2, 4), [1, 1800, 0, 17]);
}

#[test]
fn a_dead_agent_means_reject_and_a_stopped_line() {
    let mut bench = Bench::new();
    let tag = bench.trigger(0, 1000);
    bench.pass(0, tag);
    assert!(bench.gate.belt_may_run(1999 * MS));
    assert_eq!(bench.status(1999) & 1 << 4, 0);
    assert!(!bench.gate.belt_may_run(2000 * MS));
    assert_ne!(bench.status(2000) & 1 << 4, 0);
    assert_eq!(bench.arrive(2000, 1000, None), Fate::Rejected);
    bench.write(2100, 0, &[bench.beat]);
    assert!(!bench.gate.belt_may_run(2100 * MS), "the same number again is no beat");
    bench.beat(2200);
    assert!(bench.gate.belt_may_run(2200 * MS));
}

#[test]
fn without_an_agent_nothing_passes() {
    let mut gate = Gate::new(GateConfig::default());
    assert!(!gate.belt_may_run(0));
    gate.trigger(0, 1000);
    let standing = gate.look(MS, 1000, ENCODER_WINDOW);
    assert_eq!(gate.act(MS, standing, None), Fate::Rejected);
}

#[test]
fn an_item_taken_off_is_lost() {
    let mut bench = Bench::new();
    let tag = bench.trigger(0, 1000);
    bench.pass(0, tag);
    bench.gate.step(100 * MS, 1010, ENCODER_WINDOW);
    assert_eq!(bench.outcome(100, tag), [0, 0, 0]);
    bench.gate.step(200 * MS, 1011, ENCODER_WINDOW);
    assert_eq!(bench.outcome(200, tag), [0, 1, 3]);
    assert_eq!(bench.read(200, 6, 6), [0, 0, 0, 0, 0, 1]);
    // Another item in its place a little later has no tag.
    assert_eq!(bench.arrive(300, 1030, None), Fate::Rejected);
}

#[test]
fn mishaps_are_seen_by_the_sensors() {
    let run = |mishap, pass: bool| {
        let mut bench = Bench::new();
        let tag = bench.trigger(0, 1000);
        if pass {
            bench.pass(0, tag);
        }
        let fate = bench.arrive(100, 1000, Some(mishap));
        (fate, bench.outcome(200, tag)[2], bench.status(200) & 0b1100)
    };
    assert_eq!(run(Mishap::Stuck, true), (Fate::Rejected, 2, 0));
    assert_eq!(run(Mishap::Escape, false), (Fate::Passed, 1, 0b1000));
    assert_eq!(run(Mishap::Unconfirmed, false), (Fate::Rejected, 3, 0b0100));
}

#[test]
fn a_late_ejector_hits_the_next_item() {
    let mut bench = Bench::new();
    bench.trigger(0, 1000);
    let good = bench.trigger(100, 1100);
    bench.pass(100, good);
    assert_eq!(bench.arrive(200, 1000, Some(Mishap::Late)), Fate::Passed);
    assert_eq!(bench.arrive(300, 1100, None), Fate::Rejected);
    assert_eq!(bench.outcome(400, good), [0, 2, 2]);
    // Stopping and starting the line acknowledges the escape.
    assert_ne!(bench.status(400) & 0b1000, 0);
    bench.write(400, 1, &[0]);
    assert_ne!(bench.status(400) & 0b1000, 0);
    bench.write(400, 1, &[1]);
    assert_eq!(bench.status(400) & 0b1000, 0);
}

#[test]
fn a_power_cycle_forgets_everything_but_the_boot_number() {
    let mut bench = Bench::new();
    let tag = bench.trigger(0, 1000);
    bench.pass(0, tag);
    bench.gate.power_off();
    assert_eq!(bench.gate.request(MS, &framed(&[4, 0, 0, 0, 1])), None);
    assert_eq!(bench.gate.trigger(MS, 2000), None);
    bench.gate.power_on(500 * MS);
    assert_eq!(bench.read(600, 2, 4), [2, 100, 0, 0]);
    assert_eq!(bench.arrive(700, 1000, None), Fate::Rejected);
    assert!(!bench.gate.belt_may_run(700 * MS));
}

#[test]
fn the_heartbeat_changes_in_time() {
    let mut bench = Bench::new();
    for at in (0..5000).step_by(500) {
        assert_ne!(bench.read(at, 0, 1), bench.read(at + 500, 0, 1));
    }
}

fn modbus_like() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..24).prop_map(|pdu| framed(&pdu)),
        (0u8..24, any::<[u8; 4]>()).prop_map(|(f, d)| framed(&[f, 0, d[0], 0, d[1]])),
    ];
    proptest::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

fn answers(chunks: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut gate = Gate::new(GateConfig::default());
    let mut frames = Frames::default();
    let mut out = Vec::new();
    for chunk in chunks {
        frames.push(&chunk);
        while let Ok(Some(frame)) = frames.next_frame() {
            out.extend(gate.request(0, &frame));
        }
    }
    out
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same(bytes in modbus_like(), size in 1usize..9) {
        let split = answers(bytes.chunks(size).map(<[u8]>::to_vec));
        prop_assert_eq!(split, answers(std::iter::once(bytes.clone())));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        answers(bytes.chunks(7).map(<[u8]>::to_vec));
    }
}

#[test]
fn a_plc_that_scans_shows_and_stamps_what_its_last_scan_found() {
    let config = GateConfig { scan_ms: 20, ..GateConfig::default() };
    let mut bench = Bench { gate: Gate::new(config), beat: 0 };
    bench.beat(0);
    assert_eq!(bench.trigger(5, 1000), 1);
    assert_eq!(bench.read(19, 3, 3), [0, 0, 0], "clock and last tag of the scan at 0");
    assert_eq!(bench.gate.last_tag(), 0);
    assert_eq!(bench.read(21, 3, 3), [21, 0, 1]);
    assert_eq!(bench.read(40, 15, 3), [0, 1, 21], "stamped by the scan that found it");
    assert_eq!(bench.trigger(45, 2000), 2);
    assert_eq!(bench.read(50, 15, 6), [0, 1, 21, 0, 2, 41 + 9], "the next scan came with the look");
    assert_eq!((bench.gate.last_tag(), bench.gate.unheard()), (2, 2));
    // What the agent writes holds at once.
    bench.pass(51, 2);
    assert_eq!(bench.arrive(52, 2000, None), Fate::Passed);
}
