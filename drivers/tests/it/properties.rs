//! Properties of all sessions: any cut of the stream gives the same bytes and events, and no bytes
//! make one panic; every job has exactly one outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tamga_drivers::framing::{AnswerFramer, MbapFramer, TextFramer};
use tamga_drivers::gate::map::GateConfig;
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::gate::{GateCommand, GateEvent, Tag};
use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::printer::zpl_format::ZplConfig;
use tamga_drivers::printer::{JobId, PrinterCommand, PrinterEvent};
use tamga_drivers::reader::presets::{NAMES, preset};
use tamga_drivers::reader::text::{Heartbeat, TextConfig, TextReader};
use tamga_drivers::session::Session;

use crate::bench::Bench;
use crate::plc::Plc;
use crate::zpl::{IDLE, job};

/// Pieces of real traffic and of noise.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(IDLE.as_bytes().to_vec()),
        Just(b"\"100\"\"101\"".to_vec()),
        Just(b"\"?\"".to_vec()),
        Just(b"\x02]d2010460043993125621Jg\x1d93dGVz\x03".to_vec()),
        Just(b"NoRead\r\nHB\r\nERROR\rOK,LON\r\r\n".to_vec()),
        Just(vec![0xff, 0xfb, 1, 0xff]),
        Just(vec![0, 1, 0, 0, 0, 6, 1, 16, 0, 1, 0, 1]),
        Just(vec![0, 2, 0, 0, 0, 6, 1, 16, 0, 2, 0, 64]),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(prop::sample::select(b"\x02\x03\r\n\"0,1a".to_vec()), 0..60),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Feeds the stream in pieces and returns all that was sent and told.
fn fed<S: Session>(mut bench: Bench<S>, stream: &[u8], cuts: &[usize]) -> String
where
    S::Event: std::fmt::Debug,
{
    let (mut sent, mut told) = bench.connected();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(stream.len());
    let mut from = 0;
    for cut in cuts {
        let (bytes, events) = bench.hears(&stream[from..cut]);
        sent += &bytes;
        told.extend(events);
        from = cut;
    }
    told.extend(bench.disconnected().1);
    format!("{sent:?} {told:?}")
}

fn reader(name: &str) -> Bench<TextReader> {
    let timeout = std::time::Duration::from_secs(1);
    let heartbeat = Some(Heartbeat { text: b"HB".to_vec(), timeout });
    let config = TextConfig { heartbeat, max_len: 30, ..preset(name).unwrap().config };
    Bench::new(TextReader::new(config).unwrap())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_readings(
        stream in traffic(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        name in prop::sample::select(NAMES.to_vec()),
    ) {
        prop_assert_eq!(fed(reader(name), &stream, &[]), fed(reader(name), &stream, &cuts));
    }

    #[test]
    fn any_cut_gives_the_same_frames(stream in traffic(), cut in any::<usize>(), max_len in 1_usize..40) {
        let cut = cut % (stream.len() + 1);
        let (head, tail) = stream.split_at(cut);
        for (header, terminator) in [(&b""[..], &b"\r\n"[..]), (b"\x02", b"\x03"), (b"0,", b"1a\r"), (b"", b"\r\r\n")] {
            let frames = |pieces: &[&[u8]]| {
                let mut framer = TextFramer::new(header, terminator, max_len).unwrap();
                pieces.iter().for_each(|piece| framer.push(piece));
                std::iter::from_fn(|| framer.pop()).collect::<Vec<_>>()
            };
            prop_assert_eq!(frames(&[&stream]), frames(&[head, tail]));
        }
        let answers = |pieces: &[&[u8]]| {
            let mut framer = AnswerFramer::new();
            pieces.iter().for_each(|piece| framer.push(piece));
            std::iter::from_fn(|| framer.pop()).collect::<Vec<_>>()
        };
        prop_assert_eq!(answers(&[&stream]), answers(&[head, tail]));
        let adus = |pieces: &[&[u8]]| {
            let mut framer = MbapFramer::new();
            let mut adus = Vec::new();
            for piece in pieces {
                framer.push(piece);
                while let Ok(Some(adu)) = framer.pop() {
                    adus.push(adu);
                }
            }
            adus
        };
        prop_assert_eq!(adus(&[&stream]), adus(&[head, tail]));
    }

    #[test]
    fn no_stream_and_no_cut_changes_or_breaks_printer_and_gate(
        stream in traffic(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let printer = || Bench::new(Zpl::new(ZplConfig::default()));
        prop_assert_eq!(fed(printer(), &stream, &[]), fed(printer(), &stream, &cuts));
        // A gate's answers pair with questions, so two answers in one piece are one too many when
        // the second question leaves behind the first answer: the cut may show. It must not break.
        let gate = || Bench::new(ModbusGate::new(GateConfig::default()).unwrap());
        fed(gate(), &stream, &cuts);
    }

    #[test]
    fn every_job_has_exactly_one_outcome(
        steps in prop::collection::vec((0..9_u8, 0..4_u64), 1..80),
        window in 1..6_u32,
    ) {
        let mut bench = Bench::new(Zpl::new(ZplConfig { window, idle_polls: 2, ..ZplConfig::default() }));
        let mut outcomes: BTreeMap<JobId, u32> = BTreeMap::new();
        let mut given = 0;
        let mut total = 100;
        let mut up = false;
        for (what, size) in steps {
            let (_, events) = match what {
                0 if up => bench.disconnected(),
                0 => bench.connected(),
                1 | 2 => {
                    given += 1;
                    bench.command(PrinterCommand::Print(job(given)))
                }
                3 if up => bench.hears(IDLE),
                4 if up => {
                    total += size;
                    bench.hears(format!("\"{total}\""))
                }
                5 => bench.command(if size == 0 { PrinterCommand::Hold } else { PrinterCommand::Resume }),
                6 if size == 0 => bench.command(PrinterCommand::Reset),
                _ if bench.out.wake.is_some() => bench.tick(),
                _ => continue,
            };
            up = if what == 0 { !up } else { up };
            count(&events, &mut outcomes);
        }
        if up {
            count(&bench.disconnected().1, &mut outcomes);
        }
        prop_assert_eq!(outcomes.len() as u64, given);
        prop_assert!(outcomes.values().all(|count| *count == 1), "{:?}", outcomes);
    }
}

/// A gate's session, its registers, and the request that is under way.
struct Served {
    plc: Plc,
    bench: Bench<ModbusGate>,
    asked: Option<Vec<u8>>,
}

impl Served {
    /// Takes one step and notes what is asked.
    fn step(&mut self, step: impl FnOnce(&mut Bench<ModbusGate>)) {
        step(&mut self.bench);
        if !self.bench.out.bytes.is_empty() {
            assert!(self.asked.is_none(), "one request in flight");
            self.asked = Some(self.bench.out.bytes.to_vec());
        }
    }

    /// Answers the request under way, or says that the gate is busy. With none, time goes on until there is one.
    fn answer(&mut self, busy: bool) {
        while self.asked.is_none() {
            self.step(|bench| drop(bench.tick()));
        }
        let Some(asked) = self.asked.take() else { return };
        let answer = match busy {
            true => vec![asked[0], asked[1], 0, 0, 0, 3, asked[6], asked[7] | 0x80, 6],
            false => self.plc.answer(&asked),
        };
        self.bench.after(Duration::from_millis(1));
        self.step(|bench| drop(bench.hears(answer)));
    }
}

proptest! {
    #[test]
    fn the_ring_ends_with_the_passed_tags_and_no_others(
        // Whether to pass, the item, how many requests are answered before the next command, and whether with "busy".
        steps in prop::collection::vec((any::<bool>(), 0..24_u32, 0..3_u8, any::<bool>()), 1..150),
        first in 1..100_u32,
    ) {
        let bench = Bench::new(ModbusGate::new(GateConfig::default()).unwrap());
        let mut gate = Served { plc: Plc::new(3), bench, asked: None };
        gate.plc.item(first, 0);
        gate.step(|bench| drop(bench.connected()));
        (0..12).for_each(|_| gate.answer(false));
        for number in first + 1..=first + 24 {
            gate.plc.item(number, 0);
            (0..3).for_each(|_| gate.answer(false));
        }
        let mut passed = BTreeSet::new();
        for (pass, item, answers, busy) in steps {
            let tag = Tag { boot: 3, number: first + 1 + item };
            let command = if pass { GateCommand::Pass(tag) } else { GateCommand::Reject(tag) };
            if pass { passed.insert(tag.number) } else { passed.remove(&tag.number) };
            gate.step(|bench| drop(bench.command(command)));
            (0..answers).for_each(|_| gate.answer(busy));
        }
        (0..40).for_each(|_| gate.answer(false));
        let ring: BTreeSet<u32> = (0..32).map(|place| gate.plc.leave(place)).filter(|tag| *tag > 0).collect();
        prop_assert_eq!(ring, passed);
    }
}

/// Runs a gate through its opening and some items; answers come in pieces of `piece` bytes.
fn gate_served(piece: usize) -> Vec<GateEvent> {
    let mut plc = Plc::new(3);
    plc.item(1, 5);
    plc.outcome(1, 2);
    let mut bench = Bench::new(ModbusGate::new(GateConfig::default()).unwrap());
    let mut told = bench.connected().1;
    for turn in 0..60 {
        match turn {
            20 => (2..=4).for_each(|number| plc.item(number, 9)),
            30 => told.extend(bench.command(GateCommand::Pass(Tag { boot: 3, number: 3 })).1),
            40 => plc.outcome(3, 1),
            _ => {}
        }
        if bench.out.bytes.is_empty() {
            told.extend(bench.tick().1);
        }
        let answer = plc.answer(&bench.out.bytes);
        for bytes in answer.chunks(piece) {
            told.extend(bench.hears(bytes).1);
        }
    }
    told
}

#[test]
fn a_gate_s_answers_may_be_cut_anywhere() {
    let whole = gate_served(1000);
    assert!(whole.contains(&GateEvent::Passed(Tag { boot: 3, number: 3 })), "{whole:?}");
    for piece in [1, 2, 3, 5, 7, 8, 9, 50] {
        assert_eq!(gate_served(piece), whole, "pieces of {piece}");
    }
}

fn count(events: &[PrinterEvent], outcomes: &mut BTreeMap<JobId, u32>) {
    for event in events {
        match event {
            PrinterEvent::Printed(id) | PrinterEvent::Refused(id, _) | PrinterEvent::Doubtful(id, _) => {
                *outcomes.entry(*id).or_default() += 1;
            }
            _ => {}
        }
    }
}
