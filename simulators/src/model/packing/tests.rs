//! The desk against the simplest of all stations.

use super::*;

const CAPACITY: u32 = 3;

/// A station that believes everything.
#[derive(Default)]
struct Station {
    read: Vec<u8>,
    content: u32,
    packs: u32,
    named: bool,
    last: String,
    open: bool,
    short: bool,
}

impl Station {
    fn name(&self) -> String {
        format!("{:018}", self.packs)
    }

    fn screen(&self) -> Screen {
        Screen {
            open: self.open.then_some((self.content, CAPACITY)),
            name: self.named.then(|| self.name()),
            label: self.named.then_some("printed"),
            last: self.last.clone(),
            waiting: 0,
        }
    }

    fn print(&mut self, desk: &mut Desk) {
        self.named = true;
        let label = format!("^XA^FO20,20^BXN,4,200^FD00{}^FS^XZ", self.name());
        desk.printer_receive(label.as_bytes());
    }

    fn hears(&mut self, desk: &mut Desk) {
        self.read.extend(desk.take_output());
        while let Some(end) = self.read.windows(2).position(|w| w == b"\r\n") {
            let line: Vec<u8> = self.read.drain(..end + 2).collect();
            let is_label = line.starts_with(format!("00{}", self.name()).as_bytes());
            let sound = match (self.named, is_label) {
                (true, true) => {
                    (self.open, self.named, self.content) = (false, false, 0);
                    self.packs += 1;
                    b'!'
                }
                (true, false) => {
                    self.last = "pack.not_in.named".to_owned();
                    b'-'
                }
                (false, _) => {
                    self.open = true;
                    self.content += 1;
                    if self.content == CAPACITY {
                        self.print(desk);
                    }
                    b'+'
                }
            };
            desk.hear(&[sound]);
        }
    }
}

/// A day on which so many things are packed.
fn day(things: u64, plan: &FaultPlan) -> (DeskTruth, u32) {
    let mut desk = Desk::new(DeskConfig::default(), plan.clone());
    let mut station = Station::default();
    desk.set_connected(true);
    for no in 1..=things {
        desk.bring(Thing { no, symbol: Some(format!("item {no}").into_bytes()) });
    }
    desk.last();
    for ms in 0..200_000 {
        desk.step(ms * MS);
        if desk.is_plugged_in() {
            station.hears(&mut desk);
        }
        if desk.is_due() {
            let told = match desk.act(Some(&station.screen())) {
                None => continue,
                Some(Wish::Short) => {
                    station.short = true;
                    station.print(&mut desk);
                    Told::Done
                }
                Some(Wish::Reprint) => {
                    station.print(&mut desk);
                    Told::Done
                }
                Some(Wish::Void) => {
                    (station.open, station.named, station.content) = (false, false, 0);
                    station.packs += 1;
                    Told::Done
                }
                Some(Wish::Out(_)) => Told::Refused("refuse.named_pack".to_owned()),
                Some(Wish::Look(_)) => Told::Closed,
            };
            desk.answered(&told);
        }
        if desk.is_done() {
            return (desk.truth(), station.packs);
        }
    }
    panic!("not done: {}", desk.shows());
}

#[test]
fn a_careful_person_packs_everything_and_every_box_has_its_label() {
    let (truth, packs) = day(8, &FaultPlan::none());
    let sizes: Vec<usize> = truth.cartons.iter().map(|c| c.things.len()).collect();
    assert_eq!((packs, sizes), (3, vec![3, 3, 2]), "{truth:?}");
    for (no, carton) in (0..).zip(&truth.cartons) {
        assert_eq!((carton.stage, &carton.labels), (Stage::Done, &vec![format!("00{no:018}").into_bytes()]));
    }
    assert!(truth.slips.is_empty() && truth.lost.is_empty() && truth.aside.is_empty());
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let rough = FaultPlan::rough();
    assert_eq!(day(60, &rough), day(60, &rough));
    assert_ne!(day(60, &rough).0, day(60, &FaultPlan::none()).0);
}

#[test]
fn nothing_vanishes_whatever_goes_wrong() {
    let mut plan = FaultPlan::none();
    for kind in FaultKind::ALL.iter().filter(|kind| kind.is_of_packing()) {
        plan.set(*kind, 0.1).unwrap();
    }
    let (truth, _) = day(100, &plan);
    let packed = truth.cartons.iter().flat_map(|c| &c.things).chain(&truth.lost).chain(&truth.aside);
    let mut all: Vec<u64> = packed.map(|t| t.no).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
    assert!(truth.slips.len() > 10, "{:?}", truth.slips);
}
