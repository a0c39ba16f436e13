//! The Modbus gate against a few registers, step by step.

use std::time::Duration;

use tamga_drivers::fault::FaultKind;
use tamga_drivers::gate::map::GateConfig;
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::gate::{GateCommand, GateEvent, Tag};
use tamga_drivers::session::{Input, Time};

use crate::bench::Bench;
use crate::plc::Plc;

const BOOT: u16 = 3;

fn tag(number: u32) -> Tag {
    Tag { boot: BOOT, number }
}

/// A session and the registers behind it.
struct Rig {
    bench: Bench<ModbusGate>,
    plc: Plc,
    /// As of when the last look told everything.
    seen: Option<Time>,
    /// The gate's clock shows the bench's time.
    clock_runs: bool,
    /// How long an answer takes.
    answer: Duration,
}

impl Rig {
    fn new(plc: Plc) -> Self {
        let bench = Bench::new(ModbusGate::new(GateConfig::default()).unwrap());
        Self { bench, plc, seen: None, clock_runs: true, answer: Duration::from_millis(1) }
    }

    /// Connects and answers until the opening is through.
    fn open(plc: Plc) -> (Self, Vec<GateEvent>) {
        let mut rig = Self::new(plc);
        let mut events = rig.bench.connected().1;
        events.extend(rig.serve());
        (rig, events)
    }

    /// Answers requests, each a millisecond after it was sent, until the session waits for the clock.
    fn serve(&mut self) -> Vec<GateEvent> {
        let mut events = Vec::new();
        while !self.bench.out.bytes.is_empty() {
            if self.clock_runs {
                self.plc.input[3] = (self.bench.now.as_nanos() / 1_000_000) as u16;
            }
            let answer = self.plc.answer(&self.bench.out.bytes);
            self.bench.after(self.answer);
            events.extend(self.bench.hears(answer).1);
        }
        // Every look says how fresh the picture is; a test of its own looks at that.
        for event in events.extract_if(.., |e| matches!(e, GateEvent::Seen { .. })) {
            if let GateEvent::Seen { as_of } = event {
                self.seen = Some(as_of);
            }
        }
        events
    }

    /// Lets the clock come and serves what follows.
    fn turn(&mut self) -> Vec<GateEvent> {
        let mut events = self.bench.tick().1;
        events.extend(self.serve());
        events
    }

    fn command(&mut self, command: GateCommand) -> Vec<GateEvent> {
        let mut events = self.bench.command(command).1;
        events.extend(self.serve());
        events
    }
}

fn kinds(events: &[GateEvent]) -> Vec<FaultKind> {
    let kind = |event: &GateEvent| match event {
        GateEvent::Fault(fault) => Some(fault.kind),
        _ => None,
    };
    events.iter().filter_map(kind).collect()
}

fn items(events: &[GateEvent]) -> Vec<u32> {
    let item = |event: &GateEvent| match event {
        GateEvent::Item { tag, .. } => Some(tag.number),
        _ => None,
    };
    events.iter().filter_map(item).collect()
}

fn counts(triggers: u32, passed: u32, rejected: u32, lost: u32) -> GateEvent {
    GateEvent::Counts { triggers, passed, rejected, lost }
}

#[test]
fn a_connect_stops_clears_and_tells_the_gate_s_memory_but_no_old_item() {
    let mut plc = Plc::new(BOOT);
    for number in 1..=70 {
        plc.item(number, 0);
    }
    plc.outcome(69, 2);
    plc.outcome(70, 3);
    plc.outcome(7, 1);
    let (rig, events) = Rig::open(plc);
    assert_eq!(rig.plc.asked[..2], [(16, 1, 1), (16, 2, 64)], "command and ring before anything else");
    assert!(rig.plc.holding[1..].iter().all(|register| *register == 0));
    assert_eq!(
        events[..5],
        [
            GateEvent::Connected { boot: BOOT },
            GateEvent::Passed(tag(7)),
            GateEvent::Rejected(tag(69)),
            GateEvent::Lost(tag(70)),
            counts(70, 1, 1, 1),
        ]
    );
    assert_eq!(items(&events), []);
    assert_eq!(kinds(&events), []);
}

#[test]
fn items_are_told_with_their_trigger_s_time_on_our_clock() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    // The gate's clock wraps between the trigger and the look; it shows another time than at the look before.
    rig.clock_runs = false;
    rig.plc.item(1, 65_530);
    rig.plc.input[3] = 4;
    let asked_at = rig.bench.out.wake.unwrap();
    let events = rig.turn();
    // Asked, answered 1 ms later; the picture is up to a scan old, the stamp up to another; both clocks count ms.
    let (least, most) =
        (asked_at - Duration::from_millis(10 + 10 + 1), asked_at + Duration::from_millis(1 + 1));
    let stamped = |at: Time| at - Duration::from_millis(10);
    let within = most.since(least) / 2;
    let at = stamped(least) + within;
    assert_eq!(events, [counts(1, 0, 0, 0), GateEvent::Item { tag: tag(1), at, within }]);
    assert_eq!(rig.turn(), [], "once");
}

#[test]
fn a_look_says_as_of_when_it_told_every_item() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    let asked_at = rig.bench.out.wake.unwrap();
    rig.turn();
    // A scan may have been so long ago, and its clock counts whole milliseconds.
    let as_of = asked_at - Duration::from_millis(10 + 1);
    assert!(rig.seen.unwrap() >= as_of && rig.seen.unwrap() < asked_at, "{:?}", rig.seen);
    // Counted, and its entry not written yet: the picture is no fresher than before.
    let before = rig.seen;
    rig.plc.input[5] = 1;
    assert_eq!(items(&rig.turn()), []);
    assert_eq!(rig.seen, before);
}

#[test]
fn a_pass_is_written_at_once_and_its_outcome_told_once() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.plc.item(1, 0);
    rig.turn();
    rig.plc.asked.clear();
    assert_eq!(rig.command(GateCommand::Pass(tag(1))), []);
    assert_eq!(rig.plc.asked[0], (16, 4, 2), "entry 1, before the next look");
    assert_eq!(rig.plc.leave(1), 1);
    rig.plc.outcome(1, 1);
    let events: Vec<_> = (0..5).flat_map(|_| rig.turn()).collect();
    assert_eq!(events, [counts(1, 1, 0, 0), GateEvent::Passed(tag(1))]);
}

#[test]
fn a_pass_given_while_an_answer_is_due_goes_right_after_it() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.plc.item(1, 0);
    rig.turn();
    rig.bench.tick();
    let look = rig.bench.out.bytes.to_vec();
    assert_eq!(rig.bench.command(GateCommand::Pass(tag(1))).0, "", "one request in flight");
    rig.plc.answer(&look);
    let answer = rig.plc.answer(&look);
    rig.bench.hears(answer);
    assert_eq!(rig.bench.out.bytes[7..12], [16, 0, 4, 0, 2]);
}

/// FC 16 of entries 5 to 8 of the ring: registers 12 to 19, 16 bytes. Tag 7 was not passed; its entry is written as it is.
const FOUR_ENTRIES: &[u8] =
    &[0, 0, 0, 23, 1, 16, 0, 12, 0, 8, 16, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 8];

#[test]
fn passes_given_while_an_answer_is_due_go_together() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    (1..=8).for_each(|number| rig.plc.item(number, 0));
    rig.turn();
    rig.bench.tick();
    let look = rig.bench.out.bytes.to_vec();
    for number in [6, 5, 8] {
        rig.bench.command(GateCommand::Pass(tag(number)));
    }
    rig.bench.command(GateCommand::Pass(tag(7)));
    rig.bench.command(GateCommand::Reject(tag(7)));
    let answer = rig.plc.answer(&look);
    rig.bench.hears(answer);
    // The place that waits longest is first; what lies before it waits for the next write.
    assert_eq!(rig.bench.out.bytes[7..12], [16, 0, 14, 0, 6], "entries 6 to 8");
    rig.serve();
    assert_eq!([5, 6, 7, 8].map(|place| rig.plc.leave(place)), [5, 6, 0, 8]);
}

#[test]
fn a_write_of_several_leaves_is_these_bytes() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    (1..=8).for_each(|number| rig.plc.item(number, 0));
    rig.turn();
    rig.bench.tick();
    let look = rig.bench.out.bytes.to_vec();
    for number in [5, 6, 8] {
        rig.bench.command(GateCommand::Pass(tag(number)));
    }
    let answer = rig.plc.answer(&look);
    rig.bench.hears(answer);
    assert_eq!(rig.bench.out.bytes[2..], *FOUR_ENTRIES);
}

#[test]
fn a_gate_too_busy_for_leaves_is_still_looked_at() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.plc.item(1, 0);
    rig.turn();
    rig.plc.asked.clear();
    rig.bench.command(GateCommand::Pass(tag(1)));
    for _ in 0..40 {
        rig.bench.after(Duration::from_millis(1));
        let asked = rig.bench.out.bytes.to_vec();
        let answer = rig.plc.answer(&asked);
        // Exception 6: busy.
        let busy = [asked[0], asked[1], 0, 0, 0, 3, 1, 0x90, 6];
        let is_pass = asked[7] == 16 && asked[9] >= 2;
        rig.bench.hears(if is_pass { busy.to_vec() } else { answer });
        if rig.bench.out.bytes.is_empty() {
            rig.bench.tick();
        }
    }
    let count = |function: u8| rig.plc.asked.iter().filter(|(f, ..)| *f == function).count();
    assert!(count(4) >= 10 && count(16) >= 10, "{:?}", rig.plc.asked);
}

#[test]
fn a_gate_too_slow_for_its_items_is_told_and_cleared() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    let (mut number, mut due) = (0, rig.bench.now);
    // Items come every 100 ms; whatever of the gate's answers takes so long.
    let mut items_come = |rig: &mut Rig, answer_ms: u64| {
        rig.answer = Duration::from_millis(answer_ms);
        let mut events = Vec::new();
        for _ in 0..30 {
            number += 1;
            due = due + Duration::from_millis(100);
            while rig.bench.now < due {
                rig.plc.input[0] += 1;
                events.extend(rig.turn());
            }
            rig.plc.item(number, (due.as_nanos() / 1_000_000) as u16);
        }
        // Nothing tells what becomes of these items, and that is told too.
        events.retain(|event| !matches!(event, GateEvent::Item { .. } | GateEvent::Counts { .. }));
        events.retain(|event| !matches!(event, GateEvent::Fault(fault) if fault.key() == "missed_outcomes"));
        events
    };
    assert_eq!(items_come(&mut rig, 40), []);
    assert_eq!(kinds(&items_come(&mut rig, 60)), [FaultKind::SlowAnswers]);
    assert_eq!(items_come(&mut rig, 45), [], "not yet");
    assert_eq!(items_come(&mut rig, 30), [GateEvent::Cleared(FaultKind::SlowAnswers)]);
}

#[test]
fn registers_older_than_the_scan_are_told() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    let mut events = Vec::new();
    rig.clock_runs = false;
    for _ in 0..20 {
        events.extend(rig.turn());
    }
    assert_eq!(kinds(&events), [FaultKind::SlowScan], "its clock stood still for 60 ms");
    rig.clock_runs = true;
    let from = rig.bench.now;
    events.clear();
    while rig.bench.now.since(from) < Duration::from_secs(11) {
        rig.plc.input[0] = rig.plc.input[0].wrapping_add(1);
        events.extend(rig.turn());
    }
    assert_eq!(events, [GateEvent::Cleared(FaultKind::SlowScan)]);
}

#[test]
fn a_reject_takes_a_leave_back() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.plc.item(1, 0);
    rig.turn();
    rig.command(GateCommand::Pass(tag(1)));
    rig.command(GateCommand::Reject(tag(1)));
    assert_eq!(rig.plc.leave(1), 0);
    rig.plc.asked.clear();
    rig.command(GateCommand::Reject(tag(2)));
    assert_eq!(rig.plc.asked, [], "nothing to take back");
}

#[test]
fn a_pass_that_is_not_ours_to_give_is_dropped_and_told() {
    let mut plc = Plc::new(BOOT);
    plc.item(5, 0);
    let (mut rig, _) = Rig::open(plc);
    rig.plc.item(6, 0);
    rig.turn();
    rig.plc.asked.clear();
    for stale in [Tag { boot: BOOT - 1, number: 6 }, tag(5), tag(7), tag(0)] {
        assert_eq!(kinds(&rig.command(GateCommand::Pass(stale))), [FaultKind::StaleTag], "{stale:?}");
    }
    for number in 7..=38 {
        rig.plc.item(number, 0);
        rig.turn();
    }
    rig.plc.asked.clear();
    assert_eq!(
        kinds(&rig.command(GateCommand::Pass(tag(6)))),
        [FaultKind::StaleTag],
        "its place is another's"
    );
    assert_eq!(rig.plc.asked, []);
    rig.command(GateCommand::Pass(tag(7)));
    assert_eq!(rig.plc.leave(7), 7);
}

#[test]
fn the_belt_runs_only_when_started_and_stops_before_anything_else() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.command(GateCommand::StartLine);
    assert_eq!(rig.plc.holding[1], 1);
    rig.plc.item(1, 0);
    rig.turn();
    rig.bench.tick();
    rig.bench.command(GateCommand::Pass(tag(1)));
    rig.bench.command(GateCommand::StopLine);
    rig.bench.out.bytes.clear();
    let look = [0, rig.last_transaction(), 0, 0, 0, 6, 1, 4, 0, 0, 0, 60];
    let answer = rig.plc.answer(&look);
    rig.bench.hears(answer);
    assert_eq!(rig.bench.out.bytes[7..], [16, 0, 1, 0, 1, 2, 0, 0]);
    rig.bench.disconnected();
    assert_eq!(kinds(&rig.command(GateCommand::StartLine)), [FaultKind::Disconnected]);
    assert_eq!(kinds(&rig.command(GateCommand::Pass(tag(1)))), [FaultKind::Disconnected]);
    assert_eq!(rig.command(GateCommand::StopLine), []);
}

impl Rig {
    /// Transactions count from 1, one a request; all of them came to the registers but the last.
    fn last_transaction(&self) -> u8 {
        u8::try_from(self.plc.asked.len() + 1).unwrap()
    }
}

#[test]
fn we_beat_five_times_a_second() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    let from = rig.bench.now;
    rig.plc.asked.clear();
    while rig.bench.now.since(from) < Duration::from_secs(2) {
        rig.plc.input[0] = rig.plc.input[0].wrapping_add(1);
        assert_eq!(rig.turn(), []);
    }
    let beats = rig.plc.asked.iter().filter(|asked| **asked == (16, 0, 1)).count();
    assert!((9..=11).contains(&beats), "{beats}");
}

#[test]
fn a_gate_whose_heart_stands_still_is_told_and_cleared() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    let from = rig.bench.now;
    let mut events = Vec::new();
    while rig.bench.now.since(from) < Duration::from_millis(1990) {
        events.extend(rig.turn());
    }
    assert_eq!(events, []);
    while rig.bench.now.since(from) < Duration::from_millis(2010) {
        events.extend(rig.turn());
    }
    assert_eq!(kinds(&events), [FaultKind::DeviceHeartbeatLost]);
    rig.plc.input[0] = 9;
    assert_eq!(rig.turn(), [GateEvent::Cleared(FaultKind::DeviceHeartbeatLost)]);
}

#[test]
fn status_bits_are_told_as_they_change() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.plc.input[1] = 0b10_1100;
    use FaultKind::{AgentHeartbeatLost, BinFull, Escape, NotReady, RejectNotConfirmed};
    assert_eq!(kinds(&rig.turn()), [NotReady, RejectNotConfirmed, Escape, BinFull]);
    rig.plc.input[1] = 0b01_0001;
    assert_eq!(rig.turn(), [NotReady, RejectNotConfirmed, Escape, BinFull].map(GateEvent::Cleared), "grace");
    rig.plc.input[0] += 1;
    rig.bench.after(Duration::from_millis(500));
    assert_eq!(kinds(&rig.turn()), [AgentHeartbeatLost]);
}

#[test]
fn items_that_the_ring_forgot_are_missed_by_number() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    for number in 1..=20 {
        rig.plc.item(number, 0);
    }
    let events = rig.turn();
    assert_eq!(kinds(&events), [FaultKind::MissedItems { count: 4 }]);
    assert_eq!(items(&events), (5..=20).collect::<Vec<_>>());
    // Their outcomes are told all the same.
    rig.plc.outcome(2, 2);
    let events: Vec<_> = (0..3).flat_map(|_| rig.turn()).collect();
    assert!(events.contains(&GateEvent::Rejected(tag(2))));
}

#[test]
fn a_gate_that_powered_up_anew_behind_an_open_connection_is_opened_anew() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.command(GateCommand::StartLine);
    rig.plc.item(1, 0);
    rig.turn();
    rig.plc = Plc::new(BOOT + 1);
    rig.plc.item(1, 0);
    let events = rig.turn();
    assert_eq!(events[0], GateEvent::Connected { boot: BOOT + 1 });
    assert_eq!(rig.plc.holding[1..4], [0, 0, 0]);
    assert_eq!(items(&events), []);
    assert_eq!(kinds(&rig.command(GateCommand::Pass(tag(1)))), [FaultKind::StaleTag]);
}

/// Answers that drop the connection: exception 2 (illegal address), a foreign transaction, no Modbus.
#[test]
fn an_answer_that_does_not_fit_drops_the_connection() {
    let exception = [0, 1, 0, 0, 0, 3, 1, 0x90, 2];
    let foreign = [0, 9, 0, 0, 0, 6, 1, 16, 0, 1, 0, 1];
    let unit = [0, 1, 0, 0, 0, 6, 2, 16, 0, 1, 0, 1];
    for wrong in [&exception[..], &foreign, &unit, b"HTTP/1.1 400"] {
        let mut rig = Rig::new(Plc::new(BOOT));
        rig.bench.connected();
        let (sent, events) = rig.bench.hears(wrong);
        assert_eq!((sent.as_str(), kinds(&events)), ("", vec![FaultKind::Protocol]), "{wrong:?}");
        assert!(rig.bench.out.close);
    }
}

#[test]
fn a_busy_gate_is_asked_again() {
    let mut rig = Rig::new(Plc::new(BOOT));
    rig.bench.connected();
    let (sent, events) = rig.bench.hears([0, 1, 0, 0, 0, 3, 1, 0x90, 6]);
    assert_eq!((sent.as_str(), events), ("", vec![]));
    rig.bench.tick();
    assert_eq!(rig.bench.out.bytes[7..], [16, 0, 1, 0, 1, 2, 0, 0]);
}

#[test]
fn a_gate_that_does_not_keep_what_was_written_is_not_used() {
    let mut rig = Rig::new(Plc::new(BOOT));
    let mut events = rig.bench.connected().1;
    while !rig.bench.out.bytes.is_empty() {
        let answer = rig.plc.answer(&rig.bench.out.bytes);
        rig.plc.holding[40] = 5;
        events.extend(rig.bench.hears(answer).1);
    }
    assert_eq!(kinds(&events), [FaultKind::Protocol]);
    assert!(rig.bench.out.close);
}

#[test]
fn no_answer_in_time_drops_the_connection() {
    let (mut rig, _) = Rig::open(Plc::new(BOOT));
    rig.bench.tick();
    let (_, events) = rig.bench.tick();
    assert_eq!(kinds(&events), [FaultKind::Blocked]);
    assert!(rig.bench.out.close);
    assert_eq!(rig.bench.step(Input::Disconnected).1, [GateEvent::Disconnected]);
    assert_eq!(rig.bench.out.wake, None);
}
