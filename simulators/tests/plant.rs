//! A whole plant without sockets, worked by a simple scripted host in simulated time.

use proptest::prelude::*;
use tamga_simulators::fault::{FaultKind, FaultPlan};
use tamga_simulators::model::MS;
use tamga_simulators::model::belt::BeltConfig;
use tamga_simulators::model::plant::{Kind, Plant, PlantConfig, Turns};
use tamga_simulators::model::plant_orders::Order;
use tamga_simulators::model::truth::{Fate, Truth};

fn code(serial: usize) -> Vec<u8> {
    format!("010460000000000121{serial:06}\x1d93dGVz").into_bytes()
}

fn config(kind: Kind, items: usize) -> PlantConfig {
    PlantConfig {
        kind,
        belt: BeltConfig { total_items: Some(items as u64), ..BeltConfig::default() },
        belt_on: true,
        codes: (1..=items).map(code).collect(),
        ..PlantConfig::default()
    }
}

/// Prints what it is allowed to, passes each item whose line is a code, beats; knows nothing better.
struct Host {
    plant: Plant,
    now_ms: u64,
    labels_max: usize,
    labels: usize,
    alive: bool,
    beat: u16,
    line: Vec<u8>,
    lines: Vec<Vec<u8>>,
}

impl Host {
    fn new(config: PlantConfig, faults: &str, labels_max: usize) -> Self {
        let mut plant = Plant::new(config, FaultPlan::parse(faults).expect("a plan"));
        plant.reader.set_connected(true);
        Self { plant, now_ms: 0, labels_max, labels: 0, alive: true, beat: 0, line: vec![], lines: vec![] }
    }

    fn write(&mut self, address: u16, values: [u16; 2]) {
        let a = address.to_be_bytes();
        let mut frame = vec![0, 1, 0, 0, 0, 11, 1, 16, a[0], a[1], 0, 2, 4];
        frame.extend(values.iter().flat_map(|v| v.to_be_bytes()));
        self.plant.gate_request(&frame);
    }

    fn turn(&mut self) {
        self.now_ms += 1;
        self.plant.step(self.now_ms * MS);
        if self.alive && self.now_ms % 100 == 1 {
            self.beat += 1;
            self.write(0, [self.beat, 1]);
        }
        for at in 0..self.plant.printers.len() {
            if self.labels < self.labels_max && self.plant.printers[at].formats_waiting() < 2 {
                let data = String::from_utf8(code(self.labels + 1)).expect("ASCII").replace('\x1d', "@1");
                let job = format!("^XA^FO1,1^BXN,8,200,,,,@^FD@1{data}^FS^PQ1,0,0,N^XZ");
                if self.plant.printer_receive(at, job.as_bytes()) == job.len() {
                    self.labels += 1;
                }
            }
        }
        for byte in self.plant.reader.take_output() {
            self.line.push(byte);
            if self.line.ends_with(b"\r\n") {
                let line = self.line.drain(..).collect::<Vec<u8>>();
                if line.len() == code(1).len() + 2 {
                    let tag = self.plant.gate.last_tag();
                    self.write(2 + 2 * (tag % 32) as u16, [(tag >> 16) as u16, tag as u16]);
                }
                self.lines.push(line);
            }
        }
    }

    fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.turn();
        }
    }

    fn finish(mut self) -> (Truth, Plant) {
        while !self.plant.finished() {
            self.turn();
            assert!(self.now_ms < 3_600_000, "an hour has gone: {:?}", self.plant.summary());
        }
        (self.plant.truth(), self.plant)
    }
}

fn fates(truth: &Truth) -> Vec<Fate> {
    truth.items.iter().map(|i| i.fate.expect("a fate")).collect()
}

#[test]
fn every_kind_of_line_passes_what_is_marked() {
    for kind in [Kind::PrintAndApply, Kind::Print, Kind::PrePrinted] {
        let mut config = config(kind, 40);
        // The first items come before the first data, which over-printing leaves unmarked.
        config.belt_on = false;
        let labels = if kind == Kind::PrePrinted { 0 } else { 40 };
        let mut host = Host::new(config, "none", labels);
        host.run_ms(50);
        host.plant.order(Order::BeltStart);
        let (truth, plant) = host.finish();
        assert_eq!(truth.passed_codes(), (1..=40).map(code).collect::<Vec<_>>(), "{kind:?}");
        assert_eq!(truth.passed, (1..=40).collect::<Vec<_>>(), "{kind:?}");
        assert_eq!(plant.summary().triggers, 40);
        assert_eq!(plant.summary().labels_printed, labels as u64);
    }
}

#[test]
fn the_applicator_holds_the_infeed_while_it_has_no_label() {
    let mut host = Host::new(config(Kind::PrintAndApply, 5), "none", 3);
    host.run_ms(20_000);
    let summary = host.plant.summary();
    // What is past the applicator goes on; nothing new comes.
    assert_eq!((summary.items, summary.passed, summary.finished), (3, 3, false));
    host.labels_max = 5;
    assert_eq!(host.finish().0.passed.len(), 5);
}

#[test]
fn without_the_interlock_items_go_unlabelled() {
    let config = PlantConfig { low_label_interlock: false, ..config(Kind::PrintAndApply, 5) };
    let (truth, plant) = Host::new(config, "none", 3).finish();
    assert_eq!(plant.summary().unmarked, 2);
    assert_eq!(truth.passed.len(), 3);
}

#[test]
fn over_printing_without_data_leaves_items_unmarked() {
    let (truth, plant) = Host::new(config(Kind::Print, 5), "none", 3).finish();
    assert_eq!(plant.summary().unmarked, 2);
    assert_eq!(truth.passed.len(), 3);
}

#[test]
fn the_belt_stands_while_the_agent_is_dead() {
    let mut host = Host::new(config(Kind::PrePrinted, 50), "none", 0);
    host.run_ms(2000);
    assert!(host.plant.belt_moves());
    host.alive = false;
    host.run_ms(2101);
    let stopped = host.plant.summary();
    assert!(!stopped.belt_moving);
    host.run_ms(5000);
    assert_eq!(host.plant.summary().items, stopped.items);
    host.alive = true;
    // What was passed before the stop still passes after it.
    assert_eq!(host.finish().0.passed.len(), 50);
}

#[test]
fn an_item_taken_off_is_lost_to_the_gate() {
    let mut host = Host::new(config(Kind::PrePrinted, 6), "none", 0);
    host.plant.faults.force(FaultKind::Removed, 1);
    let (truth, mut plant) = host.finish();
    assert_eq!(fates(&truth)[0], Fate::Removed);
    assert_eq!(truth.passed, [2, 3, 4, 5, 6]);
    let answer = plant.gate_request(&[0, 1, 0, 0, 0, 6, 1, 4, 0, 103, 0, 3]).unwrap();
    assert_eq!(answer[9..], [0, 0, 0, 1, 0, 3]);
}

#[test]
fn an_item_put_back_gets_a_second_tag() {
    let mut host = Host::new(config(Kind::PrePrinted, 6), "none", 0);
    host.plant.faults.force(FaultKind::PutBack, 1);
    let (truth, _) = host.finish();
    assert_eq!(truth.items[0].tags.len(), 2);
    assert_eq!(truth.passed.len(), 6, "this host passes whatever is a code");
    assert_ne!(truth.passed[0], 1);
}

#[test]
fn an_item_pushed_along_is_rejected() {
    let mut host = Host::new(config(Kind::PrePrinted, 6), "none", 0);
    host.plant.faults.force(FaultKind::Moved, 1);
    let (truth, _) = host.finish();
    assert_eq!(fates(&truth)[0], Fate::Rejected);
    assert_eq!(truth.passed.len(), 5);
}

#[test]
fn two_items_without_a_gap_make_one_trigger_with_both_codes() {
    let mut host = Host::new(config(Kind::PrePrinted, 6), "none", 0);
    host.plant.faults.force(FaultKind::NoGap, 1);
    host.run_ms(2500);
    let both = [&code(1)[..], b"\t", &code(2), b"\r\n"].concat();
    assert_eq!(host.lines[0], both);
    let (truth, plant) = host.finish();
    assert_eq!(fates(&truth)[..2], [Fate::Rejected, Fate::Rejected]);
    assert_eq!(plant.summary().triggers, 5);
}

#[test]
fn items_put_on_by_hand_are_triggered_and_can_be_fed_again() {
    let mut host = Host::new(config(Kind::PrePrinted, 3), "no-read=1", 0);
    host.plant.put_on([code(77)]);
    while !host.plant.finished() {
        host.turn();
    }
    assert_eq!(host.plant.truth().items.len(), 4);
    assert_eq!(host.plant.summary().rejected, 4);
    host.plant.faults.set_plan(FaultPlan::none());
    assert!(host.plant.feed_again(1));
    assert!(!host.plant.feed_again(1));
    let (truth, _) = host.finish();
    assert_eq!(truth.passed.len(), 1);
    assert_eq!(truth.items.iter().map(|i| i.met.len()).sum::<usize>(), 5);
}

/// Strikes once; then how many passed, were rejected, escaped, and how many marks the struck item bears.
fn check_once(kind: FaultKind, expected: (u64, u64, u64, usize)) {
    let rejecting =
        matches!(kind, FaultKind::GateLate | FaultKind::GateEscape | FaultKind::RejectUnconfirmed);
    let mut host = Host::new(config(Kind::PrintAndApply, 8), "none", 20);
    host.plant.faults.force(kind, 1);
    if rejecting {
        host.plant.faults.force(FaultKind::NoRead, 1);
    }
    let (truth, plant) = host.finish();
    assert_eq!(plant.faults.struck(kind), 1, "{kind:?}");
    let struck = truth.items.iter().find(|i| i.faults.contains(&kind)).expect("a struck item");
    let summary = plant.summary();
    let found = (summary.passed, summary.rejected, summary.escaped, struck.marks.len());
    assert_eq!(found, expected, "{kind:?}");
    let fallen = usize::from(kind == FaultKind::LabelFell);
    assert_eq!(truth.labels_fallen.len(), fallen, "{kind:?}");
}

#[test]
fn every_fault_of_applicator_trigger_and_gate() {
    check_once(FaultKind::Unlabelled, (7, 1, 0, 0));
    check_once(FaultKind::LabelFell, (7, 1, 0, 0));
    check_once(FaultKind::DoubleLabel, (7, 1, 0, 2));
    check_once(FaultKind::TriggerMissed, (7, 1, 0, 1));
    check_once(FaultKind::GateStuck, (7, 1, 0, 1));
    check_once(FaultKind::GateLate, (7, 1, 1, 1));
    check_once(FaultKind::GateEscape, (8, 0, 1, 1));
    check_once(FaultKind::RejectUnconfirmed, (7, 1, 0, 1));
}

#[test]
fn a_power_cycle_of_the_gate_makes_its_items_strangers() {
    let mut host = Host::new(config(Kind::PrePrinted, 12), "none", 0);
    host.run_ms(2500);
    let before = host.plant.summary();
    host.plant.order(Order::GatePowerCycle);
    host.run_ms(1000);
    assert!(!host.plant.belt_moves());
    let (truth, plant) = host.finish();
    assert_eq!(plant.summary().gate_boot, 2);
    let strangers = before.triggers - before.passed;
    assert!(strangers > 0);
    assert_eq!(plant.summary().rejected, strangers);
    assert!(truth.items.iter().all(|i| i.tags.len() == 1));
}

/// Which of two printers marked each item, from zero.
fn marked_by(truth: &Truth) -> Vec<u64> {
    let label = |i: &tamga_simulators::model::truth::Item| i.marks.first().and_then(|m| m.label_no);
    truth.items.iter().map(|i| (label(i).expect("a label of a printer") + 1) % 2).collect()
}

fn of_two(kind: Kind, turns: Turns) -> Host {
    let mut host =
        Host::new(PlantConfig { printers: 2, turns, belt_on: false, ..config(kind, 40) }, "none", 60);
    host.run_ms(600);
    host.plant.order(Order::BeltStart);
    host
}

#[test]
fn two_printers_take_every_other_item_or_one_stands_by() {
    for kind in [Kind::PrintAndApply, Kind::Print] {
        let (truth, _) = of_two(kind, Turns::InTurn).finish();
        assert_eq!(marked_by(&truth), [0, 1].repeat(20), "{kind:?}");
        let (truth, _) = of_two(kind, Turns::StandBy).finish();
        assert_eq!(marked_by(&truth), [0].repeat(40), "{kind:?}");
        let numbers: std::collections::BTreeSet<u64> = truth.labels.iter().map(|l| l.label_no).collect();
        assert_eq!(numbers.len(), truth.labels.len(), "no two labels have one number");
    }
}

#[test]
fn a_printer_whose_roll_is_changed_holds_nothing_up_that_another_can_mark() {
    for (kind, turns) in [
        (Kind::PrintAndApply, Turns::InTurn),
        (Kind::PrintAndApply, Turns::StandBy),
        (Kind::Print, Turns::InTurn),
        (Kind::Print, Turns::StandBy),
    ] {
        let mut host = of_two(kind, turns);
        host.run_ms(1_000);
        host.plant.order(Order::MediaOut);
        let (truth, plant) = host.finish();
        assert_eq!(plant.summary().unmarked, 0, "{kind:?} {turns:?}");
        assert_eq!(marked_by(&truth)[20..], [1].repeat(20), "{kind:?} {turns:?}: the second takes over");
    }
}

#[test]
fn what_goes_wrong_with_labels_strikes_one_printer() {
    let mut host = of_two(Kind::PrintAndApply, Turns::InTurn);
    host.plant.faults.force(FaultKind::PrinterPower, 1);
    host.run_ms(1_000);
    assert_eq!(host.plant.printers.iter().filter(|p| p.power_losses() > 0).count(), 1);
}

#[test]
fn an_item_carried_to_another_line_is_there_and_not_here_any_more() {
    let mut one = Host::new(config(Kind::PrintAndApply, 10), "none", 20);
    let mut other = Host::new(config(Kind::PrintAndApply, 10), "none", 20);
    one.run_ms(2_500);
    let read = one
        .plant
        .items()
        .iter()
        .find(|i| !i.tags.is_empty() && i.fate.is_none())
        .expect("one behind the reader");
    let (here, symbol) = (read.item_no, read.marks[0].symbol.clone());
    let marks = one.plant.hand_over(here).expect("it stands on the belt");
    assert!(!one.plant.feed_again(here), "it lies nowhere here");
    assert_eq!(one.plant.hand_over(here), None);
    let there = other.plant.take_in(marks);
    let (truth, _) = other.finish();
    let item = truth.item(there).expect("it has a number");
    assert_eq!((item.marks[0].label_no, &item.marks[0].symbol), (None, &symbol));
    assert!(
        truth.readings.iter().any(|r| r.sent == symbol && item.tags.contains(&r.tag)),
        "it was read there"
    );
    assert_eq!(one.finish().0.item(here).and_then(|i| i.fate), Some(Fate::Removed));
}

#[test]
fn a_hand_needs_its_time() {
    let mut host = Host::new(PlantConfig { hand_ms: 1_000, ..config(Kind::PrintAndApply, 20) }, "none", 30);
    host.plant.faults.force(FaultKind::PutBack, 1);
    let (truth, _) = host.finish();
    let item = truth.items.iter().find(|i| i.faults.contains(&FaultKind::PutBack)).expect("put back");
    let read_ms =
        |tag| truth.readings.iter().find(|r| r.tag == tag).map(|r| r.at_ns / MS).expect("its reading");
    let [first, second] = item.tags[..] else { panic!("two triggers: {item:?}") };
    assert!(read_ms(second) >= read_ms(first) + 1_000, "{item:?}");
}

#[test]
fn an_answer_may_be_lost_though_the_request_was_done() {
    let mut host = Host::new(config(Kind::PrePrinted, 6), "gate-answer-lost=1", 0);
    assert_eq!(host.plant.gate_request(&[0, 1, 0, 0, 0, 6, 1, 6, 0, 0, 0, 9]), None);
    assert!(host.plant.gate.agent_alive(0));
    host.plant.faults.set_plan(FaultPlan::none());
    host.plant.gate.be_silent_until(50 * MS);
    assert_eq!(host.plant.gate_request(&[0, 1, 0, 0, 0, 6, 1, 6, 0, 1, 0, 1]), None);
    assert!(!host.plant.gate.belt_may_run(0), "a silent gate does nothing either");
}

#[test]
fn a_ribbon_out_shows_as_a_duplicate_or_a_damaged_mark() {
    let mut host = Host::new(config(Kind::PrintAndApply, 12), "none", 20);
    host.plant.faults.force(FaultKind::RibbonOut, 4);
    let (truth, plant) = host.finish();
    assert!(plant.faults.struck(FaultKind::RibbonOut) >= 4);
    let reprinted = truth.labels.iter().filter(|l| l.reprint).count();
    assert!(reprinted >= 1);
    assert_eq!(
        truth.codes_printed_twice().len() + truth.labels.iter().filter(|l| l.damaged).count(),
        reprinted,
        "each repeat follows a label that was whole or not"
    );
}

fn day(seed: u64) -> Truth {
    let mut config = config(Kind::PrintAndApply, 150);
    config.seed = seed;
    Host::new(config, "rough", usize::MAX).finish().0
}

#[test]
fn the_same_seed_gives_the_same_day() {
    assert_eq!(day(3), day(3));
    assert_ne!(day(3), day(4));
}

#[test]
fn the_length_of_a_step_changes_nothing() {
    let run = |step_ms: u64| {
        let config = PlantConfig { needs_gate: false, ..config(Kind::PrePrinted, 30) };
        let mut plant = Plant::new(config, FaultPlan::parse("rough,gate-power=0").unwrap());
        for at in (0..60_000).step_by(step_ms as usize) {
            plant.step(at * MS);
        }
        let mut truth = plant.truth();
        // A step ends where it is told to: moments may differ by less than the shortest slice.
        truth.readings.iter_mut().for_each(|r| r.at_ns = 0);
        truth.items.iter_mut().for_each(|i| {
            i.at_ns = 0;
            i.met.iter_mut().for_each(|m| m.at_ns = 0);
        });
        truth
    };
    assert_eq!(run(1), run(500));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn on_a_rough_day_every_item_and_label_is_accounted_for(seed in any::<u64>(), kind in 0usize..3) {
        let kind = [Kind::PrintAndApply, Kind::Print, Kind::PrePrinted][kind];
        let mut config = config(kind, 120);
        config.seed = seed;
        let (truth, plant) = Host::new(config, "rough", usize::MAX).finish();
        let summary = plant.summary();
        prop_assert_eq!(summary.items, 120);
        prop_assert_eq!(summary.passed + summary.rejected + summary.removed, summary.items);
        prop_assert_eq!(truth.passed.len() as u64, summary.passed);
        let on_items: Vec<u64> = truth.items.iter().flat_map(|i| &i.marks).filter_map(|m| m.label_no).collect();
        let mut places = [on_items, truth.labels_fallen.clone()].concat();
        places.sort_unstable();
        let once = places.len();
        places.dedup();
        prop_assert_eq!(places.len(), once, "no label is in two places");
        prop_assert_eq!(once as u64 + summary.labels_on_web, summary.labels_printed);
    }
}
