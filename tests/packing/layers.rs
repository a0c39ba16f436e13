//! Whole layers, from one result of a reader: all in or nothing, and only the cell that failed is asked for.

use std::collections::{BTreeMap, VecDeque};

use tamga::store::verify::verify;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::StationNo;
use tamga_domain::layout::reader::Substitutes;
use tamga_domain::layout::{Form, Layout};
use tamga_domain::line::{Product, ReaderEvent};
use tamga_domain::pack::station::layer::{Frame, Order, Part, Pattern};
use tamga_domain::pack::station::{Naming, Signal, Station, StationConfig, StationEffect, StationInput};
use tamga_domain::pack::{Holds, Level, Mixing, Terms};
use tamga_domain::sscc::SsccRange;
use tamga_domain::time::Time;

use crate::kit::{self, GTIN, mark};

const STATION: StationNo = StationNo(0);

/// A station over a real store, whose layers are of four items, two layers a box. Items 1 to 16 passed, 17 to 20 did not.
struct Table {
    books: kit::World,
    station: Station,
    heard: Vec<Signal>,
}

impl Table {
    fn new(order: Order) -> Table {
        let mut books = kit::World::new();
        books.pool(20);
        let run = books.run("r1");
        books.issue(run, 20);
        for n in 1..=16 {
            books.pass_item(run, n, n);
        }
        books.store.use_names(&SsccRange::new(0, "4780001", 0, 1000).unwrap()).unwrap();
        let gtin = Gtin::parse(GTIN).unwrap();
        let layout = Layout::new(vec![Form::gs1(13, &[("93", 4)])]).unwrap();
        let product = Product { name: "Water".into(), group: "water".into(), layout };
        let config = StationConfig {
            station: STATION,
            name: "box1".into(),
            terms: Terms { level: Level::Box, holds: Holds::Items, capacity: 8, mixing: Mixing::SameRun },
            naming: Naming::PrePrinted,
            substitutes: Substitutes::default(),
            products: BTreeMap::from([(gtin, product)]),
            group_packs: BTreeMap::new(),
            layer: Some(Pattern { columns: 2, rows: 2, order }),
        };
        Table { books, station: Station::new(config, None), heard: vec![] }
    }

    fn feed(&mut self, input: StationInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = vec![];
            let now = self.books.at();
            self.station.step(now, input, &mut out);
            for effect in out {
                match effect {
                    StationEffect::Commit(txn) => {
                        let answers = self.books.store.apply(std::slice::from_ref(&txn)).unwrap().remove(0);
                        inputs.push_back(StationInput::Committed(txn.id, answers));
                    }
                    StationEffect::Signal(signal) => self.heard.push(signal),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// The reader sees these; 0 is a cell that it could not read. What the station says of it.
    fn sees(&mut self, items: &[u32]) -> String {
        let bytes = |n: &u32| if *n == 0 { vec![] } else { mark(*n) };
        self.shows(items.iter().map(|n| Part { bytes: bytes(n), centre: None }).collect())
    }

    fn shows(&mut self, parts: Vec<Part>) -> String {
        self.feed(StationInput::Layer(parts));
        self.said()
    }

    fn scans(&mut self, n: u32) -> String {
        self.feed(StationInput::Hand(ReaderEvent::Read { bytes: mark(n), at: Time(0) }));
        self.said()
    }

    fn said(&self) -> String {
        let said = self.station.status().last.expect("something was said");
        let args: Vec<String> = said.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", said.key, args.join(" ")).trim().to_owned()
    }

    fn packed(&self) -> u32 {
        self.books.store.open_pack(STATION).unwrap().map_or(0, |open| open.content)
    }

    /// Why each cell of the layer that waits failed.
    fn failed(&self) -> Vec<(u32, u32, String)> {
        let layer = self.station.status().layer.expect("a layer waits");
        let why = |cell: tamga_domain::pack::ask::CellStatus| {
            let (row, place) = cell.place.unwrap_or_default();
            cell.why.map(|why| (row, place, why))
        };
        layer.cells.into_iter().filter_map(why).collect()
    }
}

#[test]
fn a_whole_layer_goes_in_at_once_and_two_fill_the_box() {
    let mut t = Table::new(Order::Cells);
    assert_eq!(t.sees(&[1, 2, 3, 4]), "pack.taken content=4 capacity=8");
    assert_eq!(t.sees(&[4, 3, 2, 1]), "pack.layer_again", "nobody has moved it");
    assert_eq!(t.packed(), 4);
    assert_eq!(t.sees(&[5, 6, 7, 8]), "pack.scan_name content=8 capacity=8");
    assert_eq!(t.sees(&[9, 10, 11, 12]), "pack.layer_too_many");
    assert_eq!(t.heard, [Signal::Taken, Signal::Taken, Signal::Taken, Signal::Refused]);
    assert!(t.station.status().layer.is_none());
    assert_eq!(verify(&t.books.store.view()).unwrap(), vec![]);
}

#[test]
fn only_the_cell_that_failed_is_asked_for() {
    let mut t = Table::new(Order::Cells);
    assert_eq!(t.sees(&[1, 0, 3, 17]), "pack.layer_cell failed=1 cells=4 row=1 place=2");
    assert_eq!(t.failed(), [(1, 2, "pack.cell.missing".into())]);
    assert_eq!(t.packed(), 0, "all or nothing");
    assert_eq!(t.scans(3), "pack.layer_has");
    // Only now it is known that the fourth has not passed.
    assert_eq!(t.scans(2), "pack.layer_cell failed=1 cells=4 row=2 place=2");
    assert_eq!(t.failed(), [(2, 2, "pack.not_in.not_seen".into())]);
    assert_eq!(t.packed(), 0);
    assert_eq!(t.scans(4), "pack.taken content=4 capacity=8");
    assert_eq!(t.scans(5), "pack.layer_first", "single items are not packed here");
    assert_eq!(t.packed(), 4);
}

#[test]
fn strangers_doubles_and_what_is_packed_already_are_named_by_their_cells() {
    let mut t = Table::new(Order::Cells);
    t.sees(&[1, 2, 3, 4]);
    assert_eq!(t.sees(&[5, 900, 2, 8]), "pack.layer_cell failed=2 cells=4 row=1 place=2");
    let stranger = (1, 2, "pack.not_in.unknown".to_owned());
    assert_eq!(t.failed(), [stranger, (2, 1, "pack.not_in.again".to_owned())]);
    assert_eq!(t.sees(&[5, 6, 6, 8]), "pack.layer_cell failed=2 cells=4 row=1 place=2");
    let twice = |row, place| (row, place, "pack.not_in.twice".to_owned());
    assert_eq!(t.failed(), [twice(1, 2), twice(2, 1)]);
    t.scans(6);
    assert_eq!(t.scans(7), "pack.scan_name content=8 capacity=8");
    assert_eq!(verify(&t.books.store.view()).unwrap(), vec![]);
}

#[test]
fn a_layer_of_another_count_or_without_anything_is_no_layer() {
    let mut t = Table::new(Order::Cells);
    assert_eq!(t.sees(&[1, 2, 3]), "pack.layer_other_count got=3 cells=4");
    assert_eq!(t.sees(&[1, 2, 3, 4, 5]), "pack.layer_other_count got=5 cells=4");
    t.feed(StationInput::Reader(ReaderEvent::NoRead { at: Time(0) }));
    assert_eq!(t.said(), "pack.layer_none");
    assert_eq!((t.packed(), t.heard.len()), (0, 3));
}

#[test]
fn where_no_places_are_known_the_missing_are_counted() {
    let mut t = Table::new(Order::Any);
    assert_eq!(t.sees(&[3, 1, 0]), "pack.layer_count failed=2 cells=4");
    assert_eq!(t.scans(2), "pack.layer_count failed=1 cells=4");
    assert_eq!(t.scans(4), "pack.taken content=4 capacity=8");
}

#[test]
fn coordinates_say_which_cell_it_is() {
    let frame = Frame { x: 0, y: 0, width: 200, height: 200 };
    let mut t = Table::new(Order::Centres(frame));
    let at = |n: u32, x: i32, y: i32| Part { bytes: mark(n), centre: Some((x, y)) };
    assert_eq!(
        t.shows(vec![at(4, 150, 150), at(1, 20, 30), at(2, 120, 30)]),
        "pack.layer_cell failed=1 cells=4 row=2 place=1"
    );
    assert_eq!(t.shows(vec![at(4, 150, 150), at(1, 20, 30), at(2, 40, 30)]), "pack.layer_two row=1 place=1");
    assert_eq!(t.shows(vec![at(4, 250, 150)]), "pack.layer_no_place");
    let whole = vec![at(4, 150, 150), at(1, 20, 30), at(2, 120, 30), at(3, 30, 170)];
    assert_eq!(t.shows(whole), "pack.taken content=4 capacity=8");
}
