//! Several printers on one line: each has its own order, and one that is out of order does not stop the others.

use super::*;
use crate::line::slip::Slip;

/// A line with two printers that have printed all that they may have ahead: the first has the codes from 1 to 20 and from
/// 41 to 60, the second those from 21 to 40 and from 61 to 80.
fn two() -> Desk {
    let mut d = Desk::with(config_of_two(20, 40), Recovered::default());
    start(&mut d, 0);
    for _ in 0..4 {
        print_all(&mut d);
    }
    d
}

fn config_of_two(window: u32, ahead_max: u32) -> LineConfig {
    let mut config = config(LineKind::PrintAndApply);
    config.order = OrderLimits { gap_max: 2, refeed_max: 20, gaps_per_100_max: 2 };
    config.printers = vec![PrinterPlace { window, ahead_max }; 2];
    config.device_names.printers.push("p2".into());
    config
}

fn start(d: &mut Desk, quantity: u32) {
    d.devices();
    d.input(Input::Printer(PrinterNo(1), PrinterEvent::Ready));
    d.input(Input::Ask(AskId(1), Ask::Start(plan(quantity)), "op".into()));
    d.settle();
    d.out.clear();
}

/// What both printers were given is printed.
fn print_all(d: &mut Desk) {
    let jobs: Vec<(PrinterNo, IssueNo)> = d.known.values().map(|f| (f.printer, f.issue)).collect();
    for (printer, issue) in jobs {
        d.input(Input::Printer(printer, PrinterEvent::Printed(JobId { run: RunId(1), issue })));
    }
    d.settle();
}

/// Shows codes on items one after another, from this tag on; `None` is an item that nobody can read.
fn shows(d: &mut Desk, from: u32, codes: &[Option<u32>]) {
    for (n, shown) in (from..).zip(codes) {
        match shown {
            Some(c) => drop(d.one(n, &code(*c))),
            None => unread(d, n),
        }
        d.wait(40);
    }
}

fn unread(d: &mut Desk, n: u32) {
    d.wait(50);
    d.item(n);
    d.wait(10);
    d.input(Input::Reader(ReaderNo(0), ReaderEvent::NoRead { at: d.now }));
    d.settle();
}

fn slip(d: &Desk) -> Slip {
    d.line.slip().expect("the line stopped over a slip").clone()
}

fn alarm(d: &Desk, key: &str) -> Option<String> {
    d.line.status().alarms.iter().find(|a| a.key == key).map(|a| a.detail.clone())
}

#[test]
fn labels_of_two_printers_in_turns_are_in_order_and_so_are_those_of_one_that_takes_over() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(22), Some(3), Some(4), Some(5), Some(23)]);
    assert_eq!((d.line.stands(), d.line.slip()), (None, None));
    assert_eq!(passes(&d.out).len(), 8);
}

#[test]
fn a_window_names_no_item_with_a_label_of_the_other_printer() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(26), Some(3), Some(27)]);
    assert_eq!(d.line.stands(), Some("jump"));
    let slip = slip(&d);
    assert_eq!(slip.after, Some((tag(2), code(21).identity)));
    assert_eq!(slip.items, [tag(4), tag(6)]);
    assert_eq!(slip.codes, (22..=25).map(|c| code(c).identity).collect::<Vec<_>>());
}

#[test]
fn a_label_printed_twice_is_found_though_the_other_printers_label_is_between() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(21), Some(3)]);
    assert_eq!(d.line.stands(), None);
    shows(&mut d, 6, &[Some(22)]);
    assert_eq!(d.line.stands(), Some("repeat"));
    assert_eq!((slip(&d).after, slip(&d).items), (Some((tag(2), code(21).identity)), vec![tag(4)]));
}

#[test]
fn a_label_printed_twice_is_found_while_the_other_printer_stands_by() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(2), Some(2), Some(3)]);
    assert_eq!(d.line.stands(), Some("repeat"));
}

/// The reader reads the first printer's item once more where the second one's label 22 stands.
#[test]
fn a_reader_that_reads_the_other_printers_item_is_no_label_printed_twice() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(2), Some(3), Some(23), Some(4), Some(24)]);
    assert_eq!(d.line.stands(), None);
}

#[test]
fn codes_of_another_roll_on_one_printer_stop_the_line_though_the_other_prints_on() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(900), Some(3), Some(901), Some(4)]);
    assert_eq!(d.line.stands(), None);
    shows(&mut d, 8, &[Some(902)]);
    assert_eq!(d.line.stands(), Some("foreign"));
    assert_eq!(
        (slip(&d).after, slip(&d).items),
        (Some((tag(3), code(2).identity)), vec![tag(4), tag(6), tag(8)])
    );
}

#[test]
fn old_labels_of_one_printer_are_named_from_the_first_on() {
    let mut d = two();
    shows(&mut d, 1, &[Some(1), Some(21), Some(2), Some(22), Some(3), Some(23), Some(4)]);
    shows(&mut d, 8, &[Some(21), Some(5), Some(22)]);
    assert_eq!(d.line.stands(), Some("repeat"));
    assert_eq!(slip(&d).items, [tag(8), tag(10)]);
}

#[test]
fn a_printer_that_is_away_does_not_keep_a_line_with_another_from_starting() {
    let mut d = Desk::with(config_of_two(4, 10), Recovered::default());
    d.gate(GateEvent::Connected { last: tag(0) });
    d.input(Input::Reader(ReaderNo(0), ReaderEvent::Connected));
    let acts = d.input(Input::Ask(AskId(1), Ask::Start(plan(0)), "op".into()));
    assert!(
        matches!(&acts[..], [Effect::Reply(_, Err(why))] if why.key == "refuse.printer_away"),
        "{acts:?}"
    );
    d.input(Input::Printer(PrinterNo(1), PrinterEvent::Ready));
    d.input(Input::Ask(AskId(2), Ask::Start(plan(0)), "op".into()));
    d.settle();
    assert_eq!(d.line.stands(), None);
}

#[test]
fn the_alarm_of_a_lost_printer_stays_until_all_are_back() {
    let mut d = two();
    d.input(Input::Printer(PrinterNo(1), PrinterEvent::Disconnected));
    assert_eq!(alarm(&d, "alarm.printer_lost").as_deref(), Some("p2"));
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Disconnected));
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Ready));
    assert_eq!(alarm(&d, "alarm.printer_lost").as_deref(), Some("p2"));
    d.input(Input::Printer(PrinterNo(1), PrinterEvent::Ready));
    assert_eq!(alarm(&d, "alarm.printer_lost"), None);
}

/// Codes of a run over four items are issued two to each printer.
fn run_of_four() -> Desk {
    let mut d = Desk::with(config_of_two(2, 10), Recovered::default());
    start(&mut d, 4);
    print_all(&mut d);
    assert_eq!(d.issued, 4);
    d
}

#[test]
fn the_last_label_of_a_run_that_nobody_could_read_is_made_anew_though_the_other_printer_goes_on() {
    let mut d = run_of_four();
    let both = |d: &mut Desk, event: PrinterEvent| {
        (0..2).for_each(|no| drop(d.input(Input::Printer(PrinterNo(no), event.clone()))));
    };
    // The second label of the first printer cannot be read, while people load both; the other one's comes behind it.
    both(&mut d, PrinterEvent::NotReady);
    shows(&mut d, 1, &[Some(1), Some(3), None, Some(4)]);
    for n in [1, 2, 4] {
        d.gate(GateEvent::Passed(tag(n)));
    }
    both(&mut d, PrinterEvent::Ready);
    d.settle();
    assert_eq!(d.issued, 5, "one more, and no two");
}

#[test]
fn the_last_labels_of_a_run_are_made_anew_where_the_printer_that_has_them_is_out_of_order() {
    let mut d = run_of_four();
    d.input(Input::Printer(PrinterNo(1), PrinterEvent::Disconnected));
    assert_eq!(d.issued, 4, "the first printer has labels of its own");
    shows(&mut d, 1, &[Some(1), Some(2)]);
    d.gate(GateEvent::Passed(tag(1)));
    d.gate(GateEvent::Passed(tag(2)));
    d.settle();
    assert_eq!(d.issued, 6);
}
