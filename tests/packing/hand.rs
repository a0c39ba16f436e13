//! A person packs by hand.

use tamga_domain::pack::PackState;
use tamga_domain::sscc::Sscc;

use crate::desk::{CLOSED, Desk, REFUSED, TAKEN};
use crate::kit::mark;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_packed_labelled_and_closed_by_hand() {
    let mut desk = Desk::new(20, 3).await;
    // As it should be, without its GS, with another character in its place.
    let read = mark(1);
    let lost: Vec<u8> = mark(2).into_iter().filter(|b| *b != 0x1d).collect();
    let replaced: Vec<u8> = mark(3).into_iter().map(|b| if b == 0x1d { b'^' } else { b }).collect();
    for scan in [&read, &lost] {
        desk.scanner.scan(scan).await;
        assert_eq!(desk.scanner.hears().await, TAKEN, "{}", scan.escape_ascii());
    }
    for wrong in [&read, &b"hello".to_vec(), &mark(900), &mark(25)] {
        desk.scanner.scan(wrong).await;
        assert_eq!(desk.scanner.hears().await, REFUSED, "{}", wrong.escape_ascii());
    }
    assert_eq!(desk.open().map(|open| open.content), Some(2));
    desk.scanner.scan(&replaced).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    let label = desk.label(0).await;
    let name = Sscc::parse_read(&label).unwrap();
    assert_eq!(
        desk.open().map(|open| (open.content, open.name)),
        Some((3, Some(name.into()))),
        "not yet closed"
    );
    desk.scanner.scan(&mark(4)).await;
    assert_eq!(desk.scanner.hears().await, REFUSED, "the label first");
    // The label has the name twice; the bar code is read.
    let bar = desk.bar(0).await;
    assert_eq!(bar, [b"]C100", &name.as_bytes()[..]].concat());
    desk.scanner.scan(&bar).await;
    assert_eq!(desk.scanner.hears().await, CLOSED);
    assert_eq!(desk.pack(name).map(|pack| (pack.state, pack.content)), Some((PackState::Closed, 3)));
    // It is nobody's to pack again.
    desk.scanner.scan(&mark(1)).await;
    assert_eq!(desk.scanner.hears().await, REFUSED);
    assert!(desk.is_sound());
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_pulled_out_and_an_agent_started_anew_go_on_with_the_same_box() {
    let mut desk = Desk::new(10, 3).await;
    desk.scanner.scan(&mark(1)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    desk.plug_in_again();
    desk.scanner.scan(&mark(2)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    desk.stop().await;
    desk.start().await;
    desk.scanner.scan(&mark(2)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN, "nobody may have heard that it is in");
    desk.scanner.scan(&mark(2)).await;
    assert_eq!(desk.scanner.hears().await, REFUSED, "it is in the box already");
    assert_eq!(desk.open().map(|open| open.content), Some(2));
    desk.scanner.scan(&mark(3)).await;
    assert_eq!(desk.scanner.hears().await, TAKEN);
    let label = desk.label(0).await;
    // Nobody scanned the label before the agent ended: it may be there, and is not printed again by itself.
    desk.stop().await;
    desk.start().await;
    desk.scanner.scan(&label).await;
    assert_eq!(desk.scanner.hears().await, CLOSED);
    assert_eq!(desk.printer.truth().labels.len(), 1);
    assert!(desk.is_sound());
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_scans_is_taken_in_its_order_and_none_is_lost() {
    let mut desk = Desk::new(60, 60).await;
    for n in 1..=60 {
        desk.scanner.scan(&mark(n)).await;
    }
    for n in 1..=60 {
        assert_eq!(desk.scanner.hears().await, TAKEN, "scan {n}");
    }
    assert_eq!(desk.open().map(|open| open.content), Some(60));
    assert!(desk.is_sound());
    desk.end().await;
}
