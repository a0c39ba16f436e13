//! Labels that slipped: found within three read items, named, set aside; and what is none stops nothing.

use super::*;
use crate::lifecycle::SpoilReason;
use crate::line::slip::Slip;

/// A line whose printer has printed all that it may have ahead; one item every hundred milliseconds.
fn started() -> Desk {
    let order = OrderLimits { gap_max: 2, refeed_max: 20, gaps_per_100_max: 2 };
    let printers = vec![PrinterPlace { window: 20, ahead_max: 40 }];
    let config = LineConfig { order, printers, ..config(LineKind::PrintAndApply) };
    let mut d = Desk::with(config, Recovered::default());
    d.devices();
    d.input(Input::Ask(AskId(1), Ask::Start(plan(0)), "op".into()));
    d.settle();
    d.out.clear();
    for _ in 0..4 {
        for issue in 1..=d.issued {
            let job = JobId { run: RunId(1), issue: IssueNo(issue) };
            d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job)));
        }
        d.settle();
    }
    d
}

/// Shows codes on items one after another, from this tag on; `None` is an item that nobody can read.
fn shows(d: &mut Desk, from: u32, codes: &[Option<u32>]) {
    for (n, shown) in (from..).zip(codes) {
        match shown {
            Some(c) => drop(d.one(n, &code(*c))),
            None => {
                d.wait(50);
                d.item(n);
                d.wait(10);
                d.input(Input::Reader(ReaderNo(0), ReaderEvent::NoRead { at: d.now }));
                d.settle();
            }
        }
        d.wait(40);
    }
}

fn stands(d: &Desk) -> Option<&'static str> {
    d.line.stands()
}

fn slip(d: &Desk) -> Slip {
    d.line.slip().expect("the line stopped over a slip").clone()
}

fn set_aside(d: &Desk) -> Vec<Identity> {
    let spoiled = d.records.iter().filter_map(|r| match r {
        Record::Spoil { code, reason: SpoilReason::Slipped, .. } => Some(*code),
        _ => None,
    });
    spoiled.collect()
}

fn identities(codes: std::ops::RangeInclusive<u32>) -> Vec<Identity> {
    codes.map(|c| code(c).identity).collect()
}

#[test]
fn a_changed_roll_stops_at_the_second_read_and_only_its_labels_are_set_aside() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2), Some(7), Some(8)]);
    assert_eq!(stands(&d), Some("jump"));
    let slip = slip(&d);
    assert_eq!(slip.after, Some((tag(2), code(2).identity)));
    assert_eq!(slip.first, (tag(3), Some(code(7).identity)));
    assert_eq!(slip.codes, identities(3..=6), "and not the seventh, which was read");
    assert_eq!(slip.items, [tag(3), tag(4)]);
    assert_eq!(set_aside(&d), identities(3..=6));
    let detail = d.line.status().alarms.iter().find(|a| a.key == "alarm.stop.jump").map(|a| a.detail.clone());
    assert!(detail.is_some_and(|d| identities(2..=7).iter().all(|c| d.contains(&c.to_string()))));
}

#[test]
fn items_that_went_by_unread_took_their_labels_along() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), None, None, None, None, Some(6), Some(7)]);
    assert_eq!(stands(&d), None);
    // The rate counts labels that were lost, not those that nobody could read.
    for n in 0..4 {
        shows(&mut d, 8 + 2 * n, &[None, Some(9 + 2 * n)]);
    }
    assert_eq!(stands(&d), None);
    // Three labels more are missing than items went by.
    shows(&mut d, 16, &[None, Some(20), Some(21)]);
    assert_eq!(stands(&d), Some("jump"));
}

#[test]
fn a_label_printed_twice_stops_at_the_next_label() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2), Some(2), Some(3)]);
    assert_eq!(stands(&d), Some("repeat"));
    assert_eq!(passes(&d.out), [tag(1), tag(2), tag(4)]);
    let slip = slip(&d);
    assert_eq!(
        (slip.first, slip.codes, slip.items),
        ((tag(3), Some(code(2).identity)), vec![], vec![tag(3)])
    );
}

#[test]
fn an_item_before_the_next_one_is_no_label_printed_twice_if_a_hand_had_the_time() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2)]);
    d.wait(2_000);
    shows(&mut d, 3, &[Some(2), Some(3), Some(4)]);
    assert_eq!(stands(&d), None);
}

#[test]
fn a_reader_that_reads_the_item_before_is_no_label_printed_twice() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2), Some(2), Some(4), Some(5)]);
    assert_eq!(stands(&d), None);
}

#[test]
fn repeats_stop_though_good_labels_come_between_them() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2), Some(3), Some(1), Some(4), Some(2)]);
    assert_eq!(stands(&d), Some("repeat"));
}

#[test]
fn items_taken_off_and_put_back_before_the_gate_missed_them_are_no_repeats() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(2), Some(3), Some(1)]);
    d.gate(GateEvent::Lost(tag(1)));
    shows(&mut d, 5, &[Some(4), Some(2), Some(5)]);
    assert_eq!(stands(&d), None);
}

#[test]
fn one_label_ahead_of_its_place_stops_nothing_and_a_second_one_later_neither() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(9), Some(2), Some(3), Some(15), Some(4), Some(5)]);
    assert_eq!(stands(&d), None);
    assert!(set_aside(&d).is_empty());
}

#[test]
fn an_item_put_back_between_two_reads_out_of_order_hides_nothing() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(3), Some(9), Some(2), Some(10)]);
    assert_eq!(stands(&d), Some("jump"));
    assert_eq!(slip(&d).codes, identities(4..=8));
}

#[test]
fn a_third_code_in_a_row_of_another_roll_stops_a_printing_line() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(900), Some(901), Some(2), Some(902), Some(903)]);
    assert_eq!(stands(&d), None);
    shows(&mut d, 7, &[Some(904)]);
    assert_eq!(stands(&d), Some("foreign"));
    assert_eq!(slip(&d).items, [tag(5), tag(6), tag(7)]);
}

#[test]
fn gaps_over_their_rate_set_the_last_one_aside() {
    let mut d = started();
    shows(&mut d, 1, &[Some(1), Some(3), Some(4), Some(6), Some(7)]);
    assert_eq!(stands(&d), None);
    shows(&mut d, 6, &[Some(9)]);
    assert_eq!(stands(&d), Some("gaps"));
    assert_eq!((slip(&d).items, set_aside(&d)), (vec![], identities(8..=8)));
}
