//! The ZPL session, played by script: bytes in, bytes and events out.

use std::time::Duration;

use tamga_drivers::fault::{Fault, FaultKind};
use tamga_drivers::printer::PrinterEvent::{
    Accepted, Cleared, Connected, Disconnected, Doubtful, Odometer, Printed, Ready, Refused,
};
use tamga_drivers::printer::zpl::{UNCOUNTED_IDLE_POLLS, Zpl};
use tamga_drivers::printer::zpl_format::ZplConfig;
use tamga_drivers::printer::zpl_status::{Part, Status, StatusFrames, odometer};
use tamga_drivers::printer::{Job, JobId, PrinterCommand, PrinterEvent};

use crate::bench::Bench;

/// zpl-toolchain contracts/fixtures/print-status-framing.v1.json: an idle printer.
pub const IDLE: &str = "\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\
                        \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";
/// The same with two formats in the receive buffer and one label remaining.
const BUSY: &str = "\x02030,0,0,1245,002,0,0,0,000,0,0,0\x03\r\n\
                    \x02000,0,0,0,0,2,4,0,00000001,1,000\x03\r\n\x021234,0\x03\r\n";
/// Paused at the panel.
const PAUSED: &str = "\x02030,0,1,1245,000,0,0,0,000,0,0,0\x03\r\n\
                      \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";
/// Paper out, buffer full, corrupt RAM, under- and over-temperature, head up, ribbon out.
const ALL_WRONG: &str = "\x02030,1,0,1245,000,1,0,0,000,1,1,1\x03\r\n\
                         \x02000,0,1,1,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

const ASK_COUNTER: &str = "! U1 getvar \"odometer.total_label_count\"\r\n";

pub fn job(id: u64) -> Job {
    Job { id: JobId(id), symbol: b"010460043993125621JgXJ5.T\x1d93dGVz".to_vec(), gs1: true, fields: vec![] }
}

fn print(id: u64) -> PrinterCommand {
    PrinterCommand::Print(job(id))
}

fn fault(kind: FaultKind) -> PrinterEvent {
    PrinterEvent::Fault(kind.into())
}

/// The names of the faults among the events.
fn kinds(events: &[PrinterEvent]) -> Vec<FaultKind> {
    let kind = |event: &PrinterEvent| match event {
        PrinterEvent::Fault(fault) => Some(fault.kind),
        _ => None,
    };
    events.iter().filter_map(kind).collect()
}

/// A session that announced its four places; the counter stands at 100.
fn running(config: ZplConfig) -> Bench<Zpl> {
    let mut bench = Bench::new(Zpl::new(config));
    assert_eq!(bench.connected(), ("\r\n~PP~HS".into(), vec![Connected]));
    assert_eq!(bench.hears(PAUSED), (ASK_COUNTER.into(), vec![]));
    assert_eq!(bench.hears("\"99\""), ("~JA~PS~HS".into(), vec![Odometer { total: 99 }]));
    assert_eq!(bench.hears(IDLE), (ASK_COUNTER.into(), vec![]));
    assert_eq!(bench.hears("\"100\"").1, [Odometer { total: 100 }, Ready { free: 4 }]);
    bench
}

/// One look: the wait, the question, the answer, and the counter's.
fn look(bench: &mut Bench<Zpl>, status: &str, counter: &str) -> Vec<PrinterEvent> {
    assert_eq!(bench.tick().0, "~HS");
    let (sent, mut events) = bench.hears(status);
    assert_eq!(sent, ASK_COUNTER);
    events.extend(bench.hears(format!("\"{counter}\"")).1);
    events
}

#[test]
fn the_status_of_the_fixture_is_read() {
    let mut frames = StatusFrames::default();
    assert_eq!(frames.take(b"030,0,0,1245,000,0,0,0,000,0,0,0"), Part::Taken);
    assert_eq!(frames.take(b"000,0,0,0,0,2,4,0,00000000,1,000"), Part::Whole(Status::default()));
    assert_eq!(frames.take(b"1234,0"), Part::Taken);
    assert_eq!(frames.take(b"030,0,x,1245,000,0,0,0,000,0,0,0"), Part::Unknown);
    assert_eq!(odometer(b"31084"), Some(31084));
    assert_eq!(odometer(b"?"), None);
    assert_eq!(odometer(b"+1"), None);
}

#[test]
fn a_connect_stops_counts_clears_starts_and_only_then_has_places() {
    let config = ZplConfig { stored_format: Some("R:T.ZPL".into()), ..ZplConfig::default() };
    let mut bench = Bench::new(Zpl::new(config));
    bench.connected();
    assert_eq!(bench.command(print(1)).1, [Refused(JobId(1), not_ready())]);
    bench.hears(PAUSED);
    let (sent, _) = bench.hears("\"99\"");
    assert!(sent.starts_with("~JA^XA^JZN^DFR:T.ZPL^FS") && sent.ends_with("^XZ~PS~HS"), "{sent}");
    assert_eq!(bench.hears(BUSY), (String::new(), vec![]), "not idle: no places");
    assert_eq!(bench.tick().0, "~HS");
    assert_eq!(bench.hears(IDLE).0, ASK_COUNTER);
    assert_eq!(bench.hears("\"99\"").1, [Ready { free: 4 }]);
}

fn not_ready() -> Fault {
    Fault::new(FaultKind::NotReady, "the printer is being prepared")
}

#[test]
fn the_counter_confirms_jobs_in_order() {
    let mut bench = running(ZplConfig::default());
    for id in 1..=4 {
        let (sent, events) = bench.command(print(id));
        assert!(sent.starts_with("^XA^JZN") && sent.ends_with("^PQ1,0,0,N^XZ"));
        assert_eq!(events, [Accepted(JobId(id)), Ready { free: 4 - id as u32 }]);
    }
    assert_eq!(bench.command(print(5)).1, [Refused(JobId(5), FaultKind::QueueFull.into())]);
    assert_eq!(look(&mut bench, BUSY, "100"), []);
    assert_eq!(
        look(&mut bench, BUSY, "102"),
        [Odometer { total: 102 }, Printed(JobId(1)), Printed(JobId(2)), Ready { free: 2 }]
    );
    assert_eq!(bench.command(PrinterCommand::Cancel(JobId(3))).1, [], "rendered jobs take their course");
    assert_eq!(
        look(&mut bench, IDLE, "104"),
        [Odometer { total: 104 }, Printed(JobId(3)), Printed(JobId(4)), Ready { free: 4 }]
    );
}

#[test]
fn a_step_too_many_and_a_step_back_are_told() {
    let mut bench = running(ZplConfig::default());
    bench.command(print(1));
    let events = look(&mut bench, IDLE, "103");
    assert_eq!(kinds(&events), [FaultKind::CounterStep]);
    assert!(events.contains(&Printed(JobId(1))) && events.contains(&Ready { free: 4 }));
    bench.command(print(2));
    let events = look(&mut bench, IDLE, "7");
    assert_eq!(kinds(&events), [FaultKind::CounterStep]);
    assert!(!events.contains(&Printed(JobId(2))));
}

#[test]
fn idle_and_not_counted_is_doubtful_after_enough_looks_in_a_row() {
    let mut bench = running(ZplConfig { idle_polls: 3, ..ZplConfig::default() });
    bench.command(print(1));
    bench.command(print(2));
    assert_eq!(look(&mut bench, IDLE, "100"), []);
    assert_eq!(look(&mut bench, IDLE, "100"), []);
    assert_eq!(look(&mut bench, BUSY, "100"), [], "it moves again: count anew");
    assert_eq!(look(&mut bench, IDLE, "100"), []);
    assert_eq!(look(&mut bench, IDLE, "100"), []);
    let why = Fault::new(FaultKind::Unconfirmed, "idle, and not counted");
    assert_eq!(
        look(&mut bench, IDLE, "100"),
        [Doubtful(JobId(1), why.clone()), Doubtful(JobId(2), why), Ready { free: 4 }]
    );
}

#[test]
fn no_answer_means_blocked_and_never_idle() {
    let mut bench = running(ZplConfig { idle_polls: 1, ..ZplConfig::default() });
    bench.command(print(1));
    assert_eq!(bench.tick().0, "~HS");
    let (sent, events) = bench.tick();
    assert_eq!(sent, "~HS", "asked again");
    assert_eq!(kinds(&events), [FaultKind::Blocked]);
    assert_eq!(events.last(), Some(&Ready { free: 0 }));
    assert_eq!(bench.tick(), ("~HS".into(), vec![]), "told once, and the job waits");
    assert_eq!(bench.command(print(2)).1, [Refused(JobId(2), FaultKind::Blocked.into())]);
    assert_eq!(bench.hears(BUSY).1, [Cleared(FaultKind::Blocked), Ready { free: 3 }]);
}

#[test]
fn flags_are_told_as_they_change() {
    let mut bench = running(ZplConfig::default());
    bench.tick();
    let (_, events) = bench.hears(ALL_WRONG);
    use FaultKind::{
        BufferFull, CorruptRam, HeadOpen, MediaOut, OverTemperature, RibbonOut, UnderTemperature,
    };
    let all = [MediaOut, RibbonOut, HeadOpen, BufferFull, CorruptRam, OverTemperature, UnderTemperature];
    assert_eq!(kinds(&events), all);
    assert_eq!(events.last(), Some(&Ready { free: 0 }));
    bench.hears("\"100\"");
    let events = look(&mut bench, PAUSED, "100");
    let mut expected: Vec<_> = vec![Cleared(MediaOut), Cleared(RibbonOut), Cleared(HeadOpen)];
    expected.push(fault(FaultKind::Paused));
    expected.extend([BufferFull, CorruptRam, OverTemperature, UnderTemperature].map(Cleared));
    assert_eq!(events, expected);
    assert_eq!(look(&mut bench, IDLE, "100"), [Cleared(FaultKind::Paused), Ready { free: 4 }]);
}

#[test]
fn a_cut_leaves_what_left_in_doubt_and_refuses_the_rest() {
    let mut bench = running(ZplConfig::default());
    bench.command(print(1));
    bench.command(print(2));
    let gone = || Fault::from(FaultKind::Disconnected);
    assert_eq!(
        bench.disconnected().1,
        [Doubtful(JobId(1), gone()), Doubtful(JobId(2), gone()), Disconnected]
    );
    assert_eq!(bench.command(print(3)), (String::new(), vec![Refused(JobId(3), gone())]));
    assert_eq!(bench.out.wake, None);
    assert_eq!(bench.connected(), ("\r\n~PP~HS".into(), vec![Connected]), "and begins anew");
}

#[test]
fn a_printer_without_a_counter_confirms_nothing() {
    let mut bench = Bench::new(Zpl::new(ZplConfig::default()));
    bench.connected();
    bench.hears(PAUSED);
    assert_eq!(bench.hears("\"?\"").0, "~JA~PS~HS");
    assert_eq!(bench.hears(IDLE).1, [Ready { free: 4 }]);
    bench.command(print(1));
    for _ in 1..UNCOUNTED_IDLE_POLLS {
        assert_eq!(bench.tick().0, "~HS");
        assert_eq!(bench.hears(IDLE), (String::new(), vec![]), "and is not asked for one");
    }
    bench.tick();
    let why = Fault::new(FaultKind::Unconfirmed, "idle, and not counted");
    assert_eq!(bench.hears(IDLE).1, [Doubtful(JobId(1), why), Ready { free: 4 }]);
}

#[test]
fn a_counter_that_waits_behind_formats_is_asked_again_after_the_clearing() {
    let mut bench = Bench::new(Zpl::new(ZplConfig::default()));
    bench.connected();
    assert_eq!(bench.hears(PAUSED).0, ASK_COUNTER);
    assert_eq!(bench.tick().0, "~JA~PS~HS");
    assert_eq!(bench.hears(IDLE).0, ASK_COUNTER);
    assert_eq!(bench.hears("\"5\"").1, [Odometer { total: 5 }, Ready { free: 4 }]);
}

#[test]
fn a_counter_that_falls_silent_is_told_and_proves_nothing_any_more() {
    let mut bench = running(ZplConfig::default());
    bench.command(print(1));
    bench.tick();
    assert_eq!(bench.hears(BUSY).0, ASK_COUNTER);
    let mut events = Vec::new();
    for _ in 0..100 {
        let (sent, told) = bench.tick();
        events.extend(told);
        if sent == "~HS" {
            events.extend(bench.hears(BUSY).1);
        }
    }
    assert_eq!(kinds(&events), [FaultKind::Protocol]);
    assert_eq!(bench.hears("\"101\"").1, [], "a late answer confirms nothing");
}

#[test]
fn hold_pauses_and_resume_starts() {
    let mut bench = running(ZplConfig::default());
    assert_eq!(bench.command(PrinterCommand::Hold), ("~PP".into(), vec![Ready { free: 0 }]));
    assert_eq!(bench.command(print(1)).1, [Refused(JobId(1), FaultKind::Held.into())]);
    assert_eq!(look(&mut bench, PAUSED, "100"), [], "our own pause is no fault");
    assert_eq!(bench.command(PrinterCommand::Resume), ("~PS".into(), vec![Ready { free: 4 }]));
    // Held over a reconnect: prepared, not started.
    bench.command(PrinterCommand::Hold);
    bench.disconnected();
    bench.connected();
    bench.hears(PAUSED);
    assert_eq!(bench.hears("\"100\"").0, "~JA~HS");
    assert_eq!(bench.hears(PAUSED).0, ASK_COUNTER);
    assert_eq!(bench.hears("\"100\"").1, []);
    assert_eq!(bench.command(PrinterCommand::Resume), ("~PS".into(), vec![Ready { free: 4 }]));
}

#[test]
fn a_reset_drops_all_and_begins_anew() {
    let mut bench = running(ZplConfig::default());
    bench.command(print(1));
    let (sent, events) = bench.command(PrinterCommand::Reset);
    assert_eq!(sent, "\r\n~PP~HS");
    assert_eq!(events, [Doubtful(JobId(1), FaultKind::Reset.into()), Ready { free: 0 }]);
}

#[test]
fn a_job_that_cannot_be_rendered_is_refused_by_name() {
    let mut bench = running(ZplConfig::default());
    let bad = Job { symbol: b"a^b".to_vec(), ..job(9) };
    let (sent, events) = bench.command(PrinterCommand::Print(bad));
    assert_eq!(sent, "");
    assert!(matches!(&events[..], [Refused(JobId(9), why)] if why.kind == FaultKind::Unprintable));
}

#[test]
fn a_printer_that_never_gets_idle_is_told_as_not_ready() {
    let mut bench = Bench::new(Zpl::new(ZplConfig { odometer: false, ..ZplConfig::default() }));
    bench.connected();
    assert_eq!(bench.hears(BUSY).0, "~JA~PS~HS");
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(bench.hears(BUSY).1);
        bench.tick();
    }
    assert_eq!(kinds(&told), [FaultKind::NotReady]);
    assert_eq!(bench.hears(IDLE).1, [Cleared(FaultKind::NotReady), Ready { free: 4 }]);
}

#[test]
fn senseless_answers_are_told_once() {
    let mut bench = running(ZplConfig::default());
    let told: Vec<_> = (0..3).flat_map(|_| bench.hears("\x02what,is,this\x03").1).collect();
    assert_eq!(kinds(&told), [FaultKind::Protocol]);
    bench.after(Duration::from_secs(9));
    assert_eq!(bench.tick().0, "~HS");
}

/// Found by the property on cuts: `Ready` was told at the end of the chunk, behind a later fault.
#[test]
fn places_are_told_in_the_order_of_the_answers_however_they_are_cut() {
    let mut bench = Bench::new(Zpl::new(ZplConfig { odometer: false, ..ZplConfig::default() }));
    bench.connected();
    bench.hears(PAUSED);
    let (_, events) = bench.hears(format!("{IDLE}\x02senseless\x03"));
    assert_eq!(events[0], Ready { free: 4 });
    assert_eq!(kinds(&events), [FaultKind::Protocol]);
}
