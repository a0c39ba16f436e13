//! The printer from outside: wire bytes in, wire bytes and labels out.

use proptest::prelude::*;
use tamga_simulators::model::MS;
use tamga_simulators::model::printer::{Block, PrintMode, Printer, PrinterConfig};
use tamga_simulators::model::printer_trips::Slip;
use tamga_simulators::model::truth::PrintedLabel;

/// `~HS` of a resting printer; from zpl-toolchain `print-status-framing.v1.json`. Do not change.
const HS_AT_REST: &[u8] =
    b"\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";
/// `~HI`, same source.
const HI: &[u8] = b"\x02ZTC ZD421-300dpi ZPL,V85.20.19,300,131072\x03";

const CODE: &[u8] = b"010460000000000121abcDEF\x1d93dGVz";

fn config() -> PrinterConfig {
    PrinterConfig {
        mode: PrintMode::Stream { web_capacity: usize::MAX },
        first_label_ms: 100,
        label_ms: 100,
        ..PrinterConfig::default()
    }
}

fn printer() -> Printer {
    Printer::new(config())
}

fn label(serial: &str, jz: &str) -> Vec<u8> {
    format!("^XA{jz}^PW400^FO60,60^BXN,8,200,22,22,,@^FD@10104600000000001{serial}@193dGVz^FS^PQ1,0,0,N^XZ")
        .into_bytes()
}

fn symbol(serial: &str) -> Vec<u8> {
    format!("0104600000000001{serial}\x1d93dGVz").into_bytes()
}

/// What one `^FD` behind one `^BX` prints.
fn check_symbol(bx: &str, field: &str, expected: Option<&[u8]>) {
    let mut printer = printer();
    printer.receive(0, format!("^XA^FO1,1^BX{bx}{field}^FS^XZ").as_bytes());
    printer.step(1000 * MS);
    assert_eq!(printer.log().len(), 1, "{bx} {field}");
    assert_eq!(printer.log()[0].symbol.as_deref(), expected, "{bx} {field}");
}

fn readable(printer: &Printer) -> Vec<Vec<u8>> {
    printer.log().iter().filter(|l| !l.damaged).filter_map(|l| l.symbol.clone()).collect()
}

fn ask(printer: &mut Printer, now_ms: u64, question: &[u8]) -> Vec<u8> {
    printer.receive(now_ms * MS, question);
    printer.take_answers()
}

#[test]
fn the_recommended_gs1_form_gives_the_element_string() {
    let mut printer = printer();
    let format = b"^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,22,22,,@^FD@1010460000000000121abcDEF@193dGVz^FS^PQ1,0,0,N^XZ";
    printer.receive(0, format);
    printer.step(1000 * MS);
    let expected = PrintedLabel {
        label_no: 1,
        at_ns: 200 * MS,
        symbol: Some(CODE.to_vec()),
        gs1: true,
        bar: None,
        damaged: false,
        reprint: false,
        at_panel: false,
    };
    assert_eq!(printer.log(), &[expected]);
    assert_eq!(printer.odometer(), 1);
}

#[test]
fn escapes_are_those_of_quality_200() {
    check_symbol("N,8,200,,,,@", "^FD@101@1@d029X@@@]Y", Some(b"01\x1d\x1dX@\x1dY"));
    // The default escape of this firmware: a raw `_1` in a serial becomes FNC1, silently.
    check_symbol("N,8,200", "^FDab_1cd", Some(b"ab\x1dcd"));
    check_symbol("N,8,200", "^FDab__1cd", Some(b"ab_1cd"));
    check_symbol("N,8,200,,,,_", "^FDab_Zcd", Some(b"ab\x1acd"));
    check_symbol("N,8,200,,,,_", "^FDab_q", None);
    check_symbol("N,8,200,,,,_", "^FDab_d999", None);
    // Hex runs before the escapes.
    check_symbol("N,8,200,,,,_", "^FH^FD_5F101", Some(b"01"));
    // A literal `~` begins a command and ends what stands before it, parameters included.
    check_symbol("N,8,200,,,,@", "^FDab~1cd", Some(b"ab"));
    check_symbol("N,8,200,,,,~", "^FH^FD_7E101", Some(b"~101"));
}

#[test]
fn old_firmware_has_another_default_escape() {
    let mut printer = Printer::new(PrinterConfig { escape_default: b'~', ..config() });
    printer.receive(0, b"^XA^BXN,8,200^FH^FD_7E101_5F1^FS^XZ");
    printer.step(1000 * MS);
    assert_eq!(printer.log()[0].symbol.as_deref(), Some(&b"01_1"[..]));
    assert!(printer.log()[0].gs1);
}

#[test]
fn no_symbol_comes_out_without_quality_or_room() {
    check_symbol("N,8", "^FDabc", None);
    check_symbol("N,8,0", "^FDabc", None);
    check_symbol("N,8,200,10,10,,@", "^FDabcd", None);
    check_symbol("N,8,200,10,10,,@", "^FD123456", Some(b"123456"));
    check_symbol("N,8,200,11,11,,@", "^FDabc", None);
    check_symbol("N,8,200,20,22,,@", "^FDabc", None);
    check_symbol("N,8,200,99,99,,@", "^FDabcdefgh", Some(b"abcdefgh"));
    check_symbol("N,8,200,18,8,,@,2", "^FDabc", Some(b"abc"));
}

#[test]
fn settings_alone_feed_no_label() {
    let mut printer = printer();
    printer.receive(0, b"^XA^JZN^PW400^MMT^XZ");
    printer.step(1000 * MS);
    assert!(printer.log().is_empty());
}

#[test]
fn host_status_is_framed_as_the_fixture() {
    let mut printer = printer();
    assert_eq!(ask(&mut printer, 0, b"~HS"), HS_AT_REST);
    assert_eq!(ask(&mut printer, 0, b"~HI"), HI);
}

#[test]
fn host_status_counts_formats_and_labels() {
    let mut printer = printer();
    let three = [label("1", ""), label("2", ""), label("3", "")].concat();
    printer.receive(0, &three);
    let status = ask(&mut printer, 150, b"~HS");
    assert!(status.starts_with(b"\x02030,0,0,1245,002,0,0,0,"), "{}", status.escape_ascii());
    assert!(status.windows(10).any(|w| w == b",00000001,"));
    let status = ask(&mut printer, 160, b"^XA^FO1,1~HS");
    assert!(status.starts_with(b"\x02030,0,0,1245,002,0,0,1,"), "{}", status.escape_ascii());
    let status = ask(&mut printer, 170, b"~PP~HS");
    assert!(status.starts_with(b"\x02030,0,1,"), "{}", status.escape_ascii());
}

#[test]
fn host_status_is_silent_while_out_of_ribbon() {
    let mut printer = printer();
    printer.block(0, Block::Ribbon);
    assert_eq!(ask(&mut printer, 1, b"~HS"), b"");
    assert!(ask(&mut printer, 2, b"~HQES").windows(8).any(|w| w == b"00000002"));
    printer.unblock(3 * MS, Block::Ribbon);
    assert_eq!(ask(&mut printer, 4, b"~HS"), HS_AT_REST);
}

#[test]
fn the_odometer_counts_labels_and_unknown_names_are_a_question_mark() {
    let mut printer = printer();
    let odometer = b"! U1 getvar \"odometer.total_label_count\"\r\n";
    assert_eq!(ask(&mut printer, 0, odometer), b"\"0\"");
    printer.receive(0, &label("1", ""));
    assert_eq!(ask(&mut printer, 150, odometer), b"\"0\"");
    assert_eq!(ask(&mut printer, 201, odometer), b"\"1\"");
    printer.power_off(300 * MS);
    printer.power_on(300 * MS);
    assert_eq!(ask(&mut printer, 2000, odometer), b"\"1\"");
    assert_eq!(ask(&mut printer, 2000, b"! U1 getvar \"no.such.thing\"\r\n"), b"\"?\"");
}

#[test]
fn printing_takes_its_time() {
    let mut printer = printer();
    printer.receive(0, &[label("1", ""), label("2", "")].concat());
    printer.step(1000 * MS);
    let times: Vec<u64> = printer.log().iter().map(|l| l.at_ns / MS).collect();
    assert_eq!(times, [200, 300]);
}

#[test]
fn the_web_holds_what_it_holds() {
    let mode = PrintMode::Stream { web_capacity: 2 };
    let mut printer = Printer::new(PrinterConfig { mode, ..config() });
    for n in 1..=5 {
        printer.receive(0, &label(&n.to_string(), ""));
    }
    printer.step(5000 * MS);
    assert_eq!((printer.labels_on_web(), printer.formats_waiting()), (2, 3));
    assert_eq!(printer.take_label(5000 * MS).unwrap().symbol, Some(symbol("1")));
    printer.step(9000 * MS);
    assert_eq!((printer.labels_on_web(), printer.formats_waiting()), (2, 2));
}

#[test]
fn quantity_makes_duplicates() {
    let mut printer = printer();
    printer.receive(0, b"^XA^BXN,8,200,,,,@^FDabc^FS^PQ3,0,0,N^XZ");
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), vec![b"abc".to_vec(); 3]);
}

/// Ribbon out within the first of two labels, then mended.
fn ribbon_out(jz: &str, at_ms: u64) -> Printer {
    let mut printer = printer();
    printer.receive(0, &[label("1", jz), label("2", jz)].concat());
    printer.block(at_ms * MS, Block::Ribbon);
    printer.step(1000 * MS);
    assert_eq!(printer.log().len(), 1, "nothing is printed while the ribbon is out");
    printer.unblock(2000 * MS, Block::Ribbon);
    printer.step(9000 * MS);
    printer
}

#[test]
fn after_ribbon_out_the_interrupted_label_comes_again() {
    let printer = ribbon_out("", 130);
    let log: Vec<_> =
        printer.log().iter().map(|l| (l.symbol.clone().unwrap(), l.damaged, l.reprint)).collect();
    assert_eq!(log, [(symbol("1"), true, false), (symbol("1"), false, true), (symbol("2"), false, false)]);
    assert_eq!(printer.odometer(), 2, "a half-printed label is no printed label");
}

#[test]
fn after_ribbon_out_a_whole_symbol_may_stand_twice() {
    let printer = ribbon_out("^JZY", 190);
    assert_eq!(readable(&printer), [symbol("1"), symbol("1"), symbol("2")]);
}

#[test]
fn with_jzn_the_interrupted_label_is_lost() {
    let printer = ribbon_out("^JZN", 130);
    assert_eq!(readable(&printer), [symbol("2")]);
    assert!(printer.log()[0].damaged);
}

#[test]
fn jzn_falls_back_at_power_up() {
    let mut printer = printer();
    printer.receive(0, b"^XA^JZN^XZ");
    printer.power_off(MS);
    printer.power_on(2 * MS);
    printer.receive(3000 * MS, &label("1", ""));
    printer.block(3150 * MS, Block::Media);
    printer.unblock(4000 * MS, Block::Media);
    printer.step(9000 * MS);
    assert_eq!(printer.log().len(), 2);
    assert!(printer.log()[1].reprint);
}

#[test]
fn power_off_loses_the_buffer() {
    let mut printer = printer();
    for n in 1..=4 {
        printer.receive(0, &label(&n.to_string(), ""));
    }
    printer.receive(0, b"^XA^FO1,1^BXN,8,200^FDhalf");
    printer.power_off(150 * MS);
    assert_eq!(printer.receive(160 * MS, b"~HS"), 0, "a printer without power takes nothing");
    printer.power_on(200 * MS);
    printer.receive(3000 * MS, b"^FS^XZ");
    printer.receive(3000 * MS, &label("9", ""));
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), [symbol("9")]);
    assert_eq!(printer.log().len(), 2, "the label in motion stays behind, half printed");
}

#[test]
fn stored_formats_on_r_are_lost_and_on_e_kept() {
    for (drive, kept) in [("E:", true), ("R:", false)] {
        let mut printer = printer();
        let store =
            format!("^XA^DF{drive}MARK.ZPL^FS^FO60,60^BXN,8,200,22,22,,@^FN1^FS^FO1,1^A0N,20^FN1^FS^XZ");
        let recall =
            format!("^XA^JZN^XF{drive}MARK.ZPL^FS^FN1^FD@1010460000000000121abcDEF@193dGVz^FS^PQ1^XZ");
        printer.receive(0, store.as_bytes());
        printer.receive(0, recall.as_bytes());
        printer.step(1000 * MS);
        assert_eq!(printer.log()[0].symbol.as_deref(), Some(CODE), "{drive}");
        printer.power_off(1000 * MS);
        printer.power_on(1000 * MS);
        printer.receive(5000 * MS, recall.as_bytes());
        printer.step(9000 * MS);
        // Without its format the data print as text: a label without a mark.
        assert_eq!(printer.log()[1].symbol.as_deref(), kept.then_some(CODE), "{drive}");
    }
}

#[test]
fn ja_empties_the_buffer_but_the_label_in_motion_is_finished() {
    let mut printer = printer();
    printer.receive(0, &[label("1", ""), label("2", ""), label("3", "")].concat());
    printer.receive(150 * MS, b"^XA^FO1,1~JA");
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), [symbol("1")]);
    assert_eq!(ask(&mut printer, 9000, b"~HS"), HS_AT_REST);
}

#[test]
fn jx_cancels_only_the_format_being_sent() {
    let mut printer = printer();
    printer.receive(0, &label("1", ""));
    printer.receive(0, b"^XA^BXN,8,200^FDabc~JX^FS^XZ");
    printer.receive(0, &label("2", ""));
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), [symbol("1"), symbol("2")]);
}

#[test]
fn pause_holds_after_the_current_label() {
    let mut printer = printer();
    printer.receive(0, &[label("1", ""), label("2", "")].concat());
    printer.receive(150 * MS, b"~PP");
    printer.step(5000 * MS);
    assert_eq!(readable(&printer), [symbol("1")]);
    printer.receive(5000 * MS, b"~PS");
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), [symbol("1"), symbol("2")]);
}

#[test]
fn a_full_buffer_takes_no_more() {
    let mut printer = Printer::new(PrinterConfig { buffer_bytes: 300, ..config() });
    printer.receive(0, b"~PP");
    let many: Vec<u8> = (0..9).flat_map(|n| label(&n.to_string(), "")).collect();
    let taken = printer.receive(0, &many);
    assert_eq!(taken, 300);
    assert!(printer.formats_waiting() >= 2);
    printer.unblock(0, Block::Head);
    assert_eq!(printer.receive(MS, &many[taken..]), 0);
}

#[test]
fn over_printing_marks_an_item_only_on_its_start_signal() {
    let mut printer = Printer::new(PrinterConfig { mode: PrintMode::Demand, ..config() });
    assert_eq!(printer.start_signal(0), None, "no data, no mark");
    printer.receive(MS, &label("1", ""));
    printer.step(1000 * MS);
    assert!(printer.log().is_empty());
    assert_eq!(printer.start_signal(1000 * MS), Some(1));
    printer.step(1100 * MS);
    assert_eq!(readable(&printer), [symbol("1")]);
}

#[test]
fn the_panel_prints_the_last_label_again() {
    let mut printer = printer();
    printer.receive(0, &label("1", "^JZN"));
    printer.reprint_last(1000 * MS);
    printer.step(9000 * MS);
    assert_eq!(readable(&printer), [symbol("1"), symbol("1")]);
    assert!(printer.log()[1].reprint);
}

fn zpl_like() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"^XA".to_vec()),
        Just(b"^XZ".to_vec()),
        Just(b"^FS".to_vec()),
        Just(b"^BXN,8,200,,,,@".to_vec()),
        Just(b"^FD@1a@d0".to_vec()),
        Just(b"^FH^FD_5F_+1".to_vec()),
        Just(b"^DFR:A^FS^FN1".to_vec()),
        Just(b"^XFR:A^FS^FN1^FDx".to_vec()),
        Just(b"~HS~JX~HQES".to_vec()),
        Just(b"! U1 getvar \"appl.name\"\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut printer = printer();
        printer.receive(0, &bytes);
        printer.power_off(50 * MS);
        printer.power_on(60 * MS);
        printer.receive(5000 * MS, &bytes);
        printer.step(60_000 * MS);
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same(bytes in zpl_like(), cuts in proptest::collection::vec(1usize..9, 0..64)) {
        let mut whole = printer();
        whole.receive(0, &bytes);
        whole.step(60_000 * MS);
        let mut split = printer();
        let mut rest = &bytes[..];
        let mut cuts = cuts.into_iter();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
            split.receive(0, head);
            rest = tail;
        }
        split.step(60_000 * MS);
        prop_assert_eq!(whole.log(), split.log());
        prop_assert_eq!(whole.take_answers(), split.take_answers());
    }
}

/// A printer with a web of three that was asked for six labels, `A` to `F`, and has printed three of them.
fn busy() -> Printer {
    let mut printer = Printer::new(PrinterConfig { mode: PrintMode::Stream { web_capacity: 3 }, ..config() });
    for letter in "ABCDEF".chars() {
        printer.receive(0, format!("^XA^FO0,0^BXN,8,200^FD{letter}^FS^XZ").as_bytes());
    }
    printer.step(1000 * MS);
    printer
}

fn came(printer: &mut Printer, from_ms: u64) -> String {
    let mut out = String::new();
    for step in 0..40 {
        while let Some(label) = printer.take_label((from_ms + step * 100) * MS) {
            out.push_str(&String::from_utf8_lossy(&label.symbol.unwrap_or_default()));
        }
    }
    out
}

#[test]
fn labels_slip_as_they_do_in_plants() {
    let check = |slip: Slip, expected: &str| {
        let mut printer = busy();
        let slipped = printer.slip(1000 * MS, &slip);
        assert_eq!(came(&mut printer, 1000), expected, "{slip:?}");
        slipped.map(|s| String::from_utf8(s.missing.concat()).unwrap())
    };
    assert_eq!(check(Slip::RollChanged, "DEF").as_deref(), Some("ABC"));
    assert_eq!(check(Slip::RollSwapped { codes: vec![b"x".to_vec(); 2] }, "xxCDEF").as_deref(), Some("AB"));
    assert_eq!(check(Slip::Doubled, "ABCCDEF").as_deref(), Some(""));
    assert_eq!(check(Slip::Skipped { labels: 2, counted: true }, "ABCF").as_deref(), Some("DE"));
    assert_eq!(check(Slip::Shifted { jobs: 1 }, "ABCEFD").as_deref(), Some("D"));
    assert_eq!(check(Slip::Shifted { jobs: 2 }, "ABCDEF"), None, "one label ahead is no shift");
    assert_eq!(check(Slip::OneAhead, "ABCFDE").as_deref(), Some(""));
    assert_eq!(check(Slip::OldAgain { labels: 2 }, "ABCBCDEF").as_deref(), Some(""));
    assert_eq!(check(Slip::Neighbours { codes: vec![b"n".to_vec()] }, "ABCnDEF").as_deref(), Some(""));
}

#[test]
fn labels_that_nobody_asked_for_are_told_and_the_odometer_may_be_wrong() {
    let mut printer = busy();
    printer.miscount(-1);
    printer.slip(1000 * MS, &Slip::Doubled);
    came(&mut printer, 1000);
    assert_eq!((printer.unasked(), printer.odometer()), (&[4][..], 6));
}
