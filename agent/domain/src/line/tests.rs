//! The line from outside: what it commits, when it acts, what it answers.

mod doubt;
mod early;
mod pool;
mod printers;
mod shifted;
mod slips;
mod trouble;

use super::ask::Declared;
use super::*;
use crate::code::{Serial, Tail};
use crate::day::Day;
use crate::ids::PassNo;
use crate::layout::Form;
use crate::lifecycle::{State, Whereabouts};
use crate::record::{CodeFacts, Issued, ItemEnd, JobOutcome};

const GTIN: &[u8; 14] = b"04780001000006";
const BOOT: u16 = 3;

fn gtin() -> Gtin {
    Gtin::parse(GTIN).expect("its check digit is right")
}

fn layout() -> Layout {
    Layout::new(vec![Form::gs1(13, &[("93", 4)])]).expect("one form")
}

fn code(n: u32) -> Code {
    Code {
        identity: Identity {
            gtin: gtin(),
            serial: Serial::new(format!("S{n:012}").as_bytes()).expect("13 characters"),
        },
        tail: Tail::new(b"Ab1=").expect("4 characters"),
    }
}

fn config(kind: LineKind) -> LineConfig {
    let printers = match kind {
        LineKind::PrePrinted => vec![],
        LineKind::Print | LineKind::PrintAndApply => vec![PrinterPlace { window: 4, ahead_max: 10 }],
    };
    let names = DeviceNames { printers: vec!["p1".into()], readers: vec!["r1".into()], gate: "gate".into() };
    LineConfig {
        line: LineNo(0),
        kind,
        printers,
        latency: Latency { min: Duration::from_millis(5), max: Duration::from_millis(30) },
        gate: GateSizes { memory: 64, leaves: 32 },
        order: OrderLimits { gap_max: 2, refeed_max: 20, gaps_per_100_max: 5 },
        consecutive_bad_max: 5,
        bad_rate_max: 0,
        bad_rate_window: 0,
        life_left_min: Duration::ZERO,
        zone: crate::day::Zone::UTC,
        pool_low: 0,
        substitutes: Substitutes::usual(),
        products: BTreeMap::from([(
            gtin(),
            Product { name: "Water".into(), group: "water".into(), layout: layout() },
        )]),
        device_names: names,
    }
}

fn plan(quantity: u32) -> RunPlan {
    RunPlan {
        key: "k1".into(),
        gtin: gtin(),
        group: "water".into(),
        quantity,
        batch: "B1".into(),
        production: Day(20_000),
        expiry: None,
        before_order: false,
    }
}

/// A line, its clock, and a store that is only a list of commits with answers made by hand or by `settle`.
struct Desk {
    line: Line,
    now: Time,
    out: Vec<Effect>,
    /// Codes as a store would know them.
    known: BTreeMap<Identity, CodeFacts>,
    issued: u32,
    passed: u32,
    records: Vec<Record>,
    unanswered: VecDeque<Txn>,
    finds: VecDeque<(ReadId, Identity)>,
}

impl Desk {
    fn new(kind: LineKind, recovered: Recovered) -> Desk {
        Desk::with(config(kind), recovered)
    }

    fn with(config: LineConfig, recovered: Recovered) -> Desk {
        let line = Line::new(config, recovered, Time(0), Wall(0));
        Desk {
            line,
            now: Time(1_000_000_000),
            out: vec![],
            known: BTreeMap::new(),
            issued: 0,
            passed: 0,
            records: vec![],
            unanswered: VecDeque::new(),
            finds: VecDeque::new(),
        }
    }

    /// Gives one input of a turn that goes on.
    fn part(&mut self, input: Input) -> Vec<Effect> {
        let mut out = vec![];
        self.line.step(self.now, Wall(0), input, &mut out);
        self.take(out)
    }

    /// Gives one input and ends the turn; commits and look-ups wait until they are answered.
    fn input(&mut self, input: Input) -> Vec<Effect> {
        let mut out = vec![];
        self.line.step(self.now, Wall(0), input, &mut out);
        self.line.flush(self.now, &mut out);
        self.take(out)
    }

    fn take(&mut self, out: Vec<Effect>) -> Vec<Effect> {
        let mut acts = vec![];
        for effect in out {
            match effect {
                Effect::Commit(txn) => self.unanswered.push_back(txn),
                Effect::Find(id, identity) => self.finds.push_back((id, identity)),
                Effect::Wake(_) => {}
                other => acts.push(other),
            }
        }
        self.out.extend(acts.iter().cloned());
        acts
    }

    fn wait(&mut self, ms: u64) -> Vec<Effect> {
        self.now = self.now.after(Duration::from_millis(ms));
        self.gate(GateEvent::Seen { as_of: self.now });
        self.input(Input::Tick)
    }

    fn gate(&mut self, e: GateEvent) -> Vec<Effect> {
        self.input(Input::Gate(e))
    }

    fn read(&mut self, code: &Code) -> Vec<Effect> {
        let bytes = layout().render_full(code).expect("fits");
        let at = self.now;
        self.input(Input::Reader(ReaderNo(0), ReaderEvent::Read { bytes, at }))
    }

    fn item(&mut self, n: u32) -> Vec<Effect> {
        let tag = Tag { boot: BOOT, number: n };
        self.gate(GateEvent::Item { tag, at: self.now, within: Duration::ZERO })
    }

    /// Answers the oldest commit as a store would.
    fn commit(&mut self) -> Vec<Effect> {
        let txn = self.unanswered.pop_front().expect("a commit is waiting");
        let mut answers = vec![];
        for record in &txn.records {
            self.apply(record, &mut answers);
        }
        self.records.extend(txn.records);
        self.input(Input::Committed(txn.id, answers))
    }

    fn apply(&mut self, record: &Record, answers: &mut Vec<Answer>) {
        match record {
            Record::RunOpened { .. } => answers.push(Answer::Run(RunId(1))),
            Record::Issue { count, printer, .. } => {
                let mut codes = vec![];
                for _ in 0..*count {
                    self.issued += 1;
                    let (issue, code) = (IssueNo(self.issued), code(self.issued));
                    let facts = CodeFacts { printer: *printer, ..facts(issue) };
                    self.known.insert(code.identity, facts);
                    codes.push(Issued { issue, printer: *printer, code });
                }
                answers.push(Answer::Issued(codes));
            }
            Record::Verify { code, tag, .. } => {
                let f = self.known.get_mut(code).expect("known");
                assert!(
                    matches!(f.state, State::Issued | State::Verified(Whereabouts::Rejected)),
                    "verified twice: {code}"
                );
                f.state = State::Verified(Whereabouts::Unknown);
                f.tag = Some(*tag);
            }
            Record::End { end: ItemEnd::Passed { code }, .. } => {
                self.known.get_mut(code).expect("known").state = State::Verified(Whereabouts::Passed);
                self.passed += 1;
                answers.push(Answer::Passed(PassNo(self.passed)));
            }
            Record::End { end: ItemEnd::Rejected { code: Some(code), .. }, .. } => {
                self.known.get_mut(code).expect("known").state = State::Verified(Whereabouts::Rejected);
            }
            Record::Settle { code, passed, .. } => {
                let went = if *passed { Whereabouts::Passed } else { Whereabouts::Rejected };
                let f = self.known.get_mut(code).expect("known");
                assert_eq!(f.state, State::Verified(Whereabouts::Unknown), "settled twice: {code}");
                f.state = State::Verified(went);
            }
            Record::SpoilLeft { .. } => answers.push(Answer::Left { codes: 0 }),
            _ => {}
        }
    }

    fn found(&mut self) -> Vec<Effect> {
        let (id, identity) = self.finds.pop_front().expect("a look-up is waiting");
        let known = self.known.get(&identity).map_or(Known::Unknown, |f| Known::Coded(f.clone()));
        self.input(Input::Found(id, known))
    }

    fn settle(&mut self) -> Vec<Effect> {
        let mut acts = vec![];
        while !self.unanswered.is_empty() || !self.finds.is_empty() {
            acts.extend(if self.finds.is_empty() { self.commit() } else { self.found() });
        }
        acts
    }

    fn devices(&mut self) {
        self.devices_at(0);
    }

    fn devices_at(&mut self, last: u32) {
        self.gate(GateEvent::Connected { last: tag(last) });
        self.input(Input::Reader(ReaderNo(0), ReaderEvent::Connected));
        self.input(Input::Printer(PrinterNo(0), PrinterEvent::Ready));
    }

    fn started(kind: LineKind, quantity: u32) -> Desk {
        let mut d = Desk::new(kind, Recovered::default());
        d.devices();
        d.input(Input::Ask(AskId(1), Ask::Start(plan(quantity)), "op".into()));
        d.settle();
        d.out.clear();
        d
    }

    /// An item comes, is read 10 ms later, and everything is answered.
    fn one(&mut self, tag: u32, c: &Code) -> Vec<Effect> {
        self.wait(50);
        self.item(tag);
        self.wait(10);
        self.read(c);
        self.settle()
    }

    fn count(&self, wanted: impl Fn(&Record) -> bool) -> usize {
        self.records.iter().filter(|r| wanted(r)).count()
    }
}

fn facts(issue: IssueNo) -> CodeFacts {
    CodeFacts {
        state: State::Issued,
        tail: b"Ab1=".to_vec(),
        run: RunId(1),
        printer: PrinterNo(0),
        issue,
        outcome: JobOutcome::Open,
        tag: None,
        verified_at: None,
    }
}

fn tag(n: u32) -> Tag {
    Tag { boot: BOOT, number: n }
}

fn passes(acts: &[Effect]) -> Vec<Tag> {
    let pass = |e: &Effect| match e {
        Effect::Gate(GateOrder::Pass(t)) => Some(*t),
        _ => None,
    };
    acts.iter().filter_map(pass).collect()
}

#[test]
fn no_byte_goes_to_a_printer_before_its_code_is_durably_issued() {
    let mut d = Desk::new(LineKind::PrintAndApply, Recovered::default());
    d.devices();
    d.input(Input::Ask(AskId(1), Ask::Start(plan(0)), "op".into()));
    d.commit(); // the run is opened
    d.commit(); // it is running: the line asks for codes
    let prints = |acts: &[Effect]| acts.iter().filter(|e| matches!(e, Effect::Print(..))).count();
    assert_eq!(prints(&d.out), 0);
    assert!(
        d.unanswered.iter().any(|t| t.records.iter().any(|r| matches!(r, Record::Issue { count: 4, .. })))
    );
    d.settle();
    assert_eq!(prints(&d.out), 4);
}

#[test]
fn an_item_passes_only_after_verified_is_durable() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(10);
    d.read(&code(1));
    assert!(passes(&d.found()).is_empty(), "found, but nothing is durable");
    assert_eq!(passes(&d.settle()), vec![tag(1)]);
    assert_eq!(d.count(|r| matches!(r, Record::Verify { .. })), 1);
}

#[test]
fn nothing_passes_when_the_commit_fails_and_the_line_stands() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(10);
    d.read(&code(1));
    d.found();
    let txn = d.unanswered.back().expect("the verify").id;
    let acts = d.input(Input::CommitFailed(txn, "disk I/O error".into()));
    assert!(acts.contains(&Effect::Gate(GateOrder::StopLine)));
    d.wait(1000);
    assert!(passes(&d.out).is_empty());
}

#[test]
fn a_code_on_two_items_read_in_one_turn_passes_once() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(10);
    d.read(&code(1));
    d.wait(40);
    d.item(2);
    d.wait(10);
    d.read(&code(1));
    // Both look-ups were asked before the first verify was committed.
    d.found();
    d.found();
    d.settle();
    assert_eq!(passes(&d.out), vec![tag(1)]);
}

#[test]
fn a_duplicate_never_passes_and_the_second_repeat_stops_the_line() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    assert!(passes(&d.one(2, &code(1))).is_empty());
    assert!(d.line.running());
    assert!(passes(&d.one(3, &code(1))).is_empty());
    assert!(!d.line.running());
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.repeat"));
}

#[test]
fn a_read_between_two_items_gives_neither_a_verdict() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(12);
    d.item(2);
    d.wait(8);
    d.read(&code(1));
    d.settle();
    assert!(passes(&d.out).is_empty());
    d.gate(GateEvent::Rejected(tag(1)));
    d.gate(GateEvent::Rejected(tag(2)));
    d.wait(100);
    d.settle();
    let no_verdict = |r: &Record| {
        matches!(r, Record::End { end: ItemEnd::Rejected { reason: Reason::NoVerdict, .. }, .. })
    };
    assert_eq!(d.count(no_verdict), 2);
}

#[test]
fn a_silent_reader_means_reject() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.wait(40);
    assert!(d.out.contains(&Effect::Gate(GateOrder::Reject(tag(1)))));
    d.wait(1);
    d.read(&code(1));
    d.settle();
    assert!(passes(&d.out).is_empty(), "a read after its window is of no item");
}

#[test]
fn a_good_item_that_the_gate_rejected_is_a_candidate_again() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Rejected(tag(1)));
    d.wait(100);
    d.settle();
    assert_eq!(d.known[&code(1).identity].state, State::Verified(Whereabouts::Rejected));
    assert_eq!(passes(&d.one(2, &code(1))), vec![tag(2)]);
}

#[test]
fn the_quantity_stops_the_line_and_no_code_too_many_is_issued() {
    let mut d = Desk::started(LineKind::PrintAndApply, 3);
    for n in 1..=3 {
        d.one(n, &code(n));
        d.gate(GateEvent::Passed(tag(n)));
    }
    d.wait(100);
    d.settle();
    assert_eq!(d.issued, 3);
    assert!(!d.line.running());
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.quantity_reached"));
}

#[test]
fn bad_items_in_a_row_stop_the_line() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    for n in 1..=5 {
        d.wait(50);
        d.item(n);
        d.wait(10);
        let at = d.now;
        d.input(Input::Reader(ReaderNo(0), ReaderEvent::NoRead { at }));
    }
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.consecutive_bad"));
    assert!(d.out.contains(&Effect::Gate(GateOrder::StopLine)));
}

#[test]
fn an_item_that_passed_without_leave_stops_the_line() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.item(1);
    d.gate(GateEvent::Passed(tag(1)));
    assert_eq!(d.line.status().stopped_by.as_deref(), Some("stop.escape"));
}

#[test]
fn a_refused_job_is_told_to_the_store_and_a_doubtful_one_makes_no_gap() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Refused(job(4))));
    for n in 1..=3 {
        d.input(Input::Printer(PrinterNo(0), PrinterEvent::Doubtful(job(n))));
    }
    d.settle();
    d.one(1, &code(5));
    assert!(d.line.running());
    let refused = |r: &Record| matches!(r, Record::Job { outcome: JobOutcome::Refused, .. });
    assert_eq!(d.count(refused), 1);
}

fn recovered(in_doubt: u32, good: Option<u32>) -> Recovered {
    let issued = |n| Issued { issue: IssueNo(n), printer: PrinterNo(0), code: code(n) };
    let run = OpenRunFor { in_doubt, good };
    Recovered {
        run: Some(crate::record::OpenRun {
            run: RunId(1),
            plan: plan(0),
            state: RunState::Running,
            passed: 10,
            triggers: 12,
            rejected: vec![("no_read".into(), 1)],
            last_tag: Some(tag(12)),
            open_tags: run.good.map(|_| tag(12)).into_iter().collect(),
            in_doubt: (1..=run.in_doubt).map(|n| (issued(n), JobOutcome::Open)).collect(),
            pass_unknown: run.good.map(|n| (code(n).identity, tag(12))).into_iter().collect(),
            last_read: vec![],
        }),
        alarms: vec![],
    }
}

struct OpenRunFor {
    in_doubt: u32,
    good: Option<u32>,
}

#[test]
fn after_a_restart_the_run_stands_until_a_person_resumes_it() {
    let mut d = Desk::new(LineKind::PrintAndApply, recovered(3, None));
    d.devices_at(12);
    d.settle();
    assert!(!d.line.running());
    assert!(!d.out.iter().any(|e| matches!(e, Effect::Print(..) | Effect::Gate(GateOrder::StartLine))));
    assert_eq!(d.line.status().run.expect("a run").in_doubt.len(), 3);
    d.input(Input::Ask(AskId(2), Ask::Resume, "op".into()));
    d.settle();
    assert!(d.out.contains(&Effect::Gate(GateOrder::StartLine)));
}

#[test]
fn the_gates_memory_settles_what_passed_while_the_agent_was_dead() {
    let mut d = Desk::new(LineKind::PrintAndApply, recovered(0, Some(1)));
    d.known.insert(code(1).identity, facts(IssueNo(1)));
    assert_eq!(d.line.unknown_passes().len(), 1);
    d.gate(GateEvent::Passed(tag(12)));
    // Two more items came while nobody looked; the gate rejected them.
    [13, 14].into_iter().for_each(|n| drop(d.gate(GateEvent::Rejected(tag(n)))));
    d.gate(GateEvent::Connected { last: tag(14) });
    d.wait(100);
    d.settle();
    assert!(d.line.unknown_passes().is_empty());
    assert_eq!(d.count(|r| matches!(r, Record::End { end: ItemEnd::Passed { .. }, .. })), 1);
    let (from, to) = (tag(13), tag(14));
    assert_eq!(d.count(|r| matches!(r, Record::Away { .. })), 1);
    assert!(d.records.contains(&Record::Away { run: RunId(1), from, to, at: Wall(0) }));
    let run = d.line.status().run.expect("a run");
    assert_eq!((run.triggers, run.rejected), (14, vec![("away".into(), 2), ("no_read".into(), 1)]));
}

#[test]
fn a_shift_of_items_that_nobody_saw_is_one_record_and_more_is_a_fault_of_the_gate() {
    for (items, records) in [(1_000_000, 1), (1_000_001, 0)] {
        let mut d = Desk::new(LineKind::PrintAndApply, recovered(0, None));
        d.gate(GateEvent::Connected { last: tag(12 + items) });
        d.wait(100);
        d.settle();
        assert_eq!(d.count(|r| matches!(r, Record::Away { .. })), records, "{items}");
        assert_eq!(d.line.gate_reset, records == 0);
    }
}

#[test]
fn a_run_does_not_close_over_an_unknown_pass_and_closes_when_it_is_declared() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.one(1, &code(1));
    d.gate(GateEvent::Lost(tag(1)));
    d.input(Input::Ask(AskId(5), Ask::Close { clear: true }, "op".into()));
    let refused =
        d.out.iter().any(|e| matches!(e, Effect::Reply(AskId(5), Err(r)) if r.key == "refuse.pass_unknown"));
    assert!(refused);
    let declare = Ask::Declare { code: code(1).identity, declared: Declared::Rejected };
    d.input(Input::Ask(AskId(6), declare, "op".into()));
    d.input(Input::Ask(AskId(7), Ask::Close { clear: true }, "op".into()));
    d.settle();
    assert!(d.line.status().run.is_none());
    assert_eq!(d.count(|r| matches!(r, Record::Settle { passed: false, .. })), 1);
    assert_eq!(d.count(|r| matches!(r, Record::RunState { state: RunState::Closed, .. })), 1);
}

#[test]
fn a_last_label_that_nobody_read_is_made_up_for() {
    let mut d = Desk::started(LineKind::PrintAndApply, 2);
    let prints = |acts: &[Effect]| acts.iter().filter(|e| matches!(e, Effect::Print(..))).count();
    let job = |n| JobId { run: RunId(1), issue: IssueNo(n) };
    for n in 1..=2 {
        d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job(n))));
    }
    assert_eq!(passes(&d.one(1, &code(1))), vec![tag(1)]);
    d.gate(GateEvent::Passed(tag(1)));
    d.settle();
    d.out.clear();
    // The second item bears the last label, and the reader cannot read it.
    d.wait(50);
    d.item(2);
    d.wait(10);
    d.input(Input::Reader(ReaderNo(0), ReaderEvent::NoRead { at: d.now }));
    d.gate(GateEvent::Rejected(tag(2)));
    d.settle();
    assert_eq!(prints(&d.out), 1, "one more label is printed");
    assert_eq!(passes(&d.one(3, &code(3))), vec![tag(3)]);
}

#[test]
fn labels_that_went_by_during_a_restart_are_not_waited_for_after_a_resume() {
    let mut recovered = recovered(1, None);
    let run = recovered.run.as_mut().unwrap();
    run.plan.quantity = 11;
    run.in_doubt[0].1 = JobOutcome::Printed;
    let mut d = Desk::new(LineKind::PrintAndApply, recovered);
    d.devices_at(12);
    d.input(Input::Ask(AskId(1), Ask::Resume, "op".into()));
    d.settle();
    assert!(d.out.iter().any(|e| matches!(e, Effect::Print(..))), "the run wants one more item");
}

#[test]
fn nothing_is_written_of_a_run_once_its_close_is_written() {
    let mut d = Desk::started(LineKind::PrintAndApply, 0);
    d.input(Input::Ask(AskId(5), Ask::Close { clear: true }, "op".into()));
    d.commit(); // what is unseen is spoiled: the close is on its way
    // The gate tells of an item and the printer of a job before the close is durable.
    d.item(1);
    d.gate(GateEvent::Rejected(tag(1)));
    let job = JobId { run: RunId(1), issue: IssueNo(1) };
    d.input(Input::Printer(PrinterNo(0), PrinterEvent::Printed(job)));
    d.wait(100);
    d.settle();
    let closed = d.records.iter().position(|r| matches!(r, Record::RunState { state: RunState::Closed, .. }));
    let of_run = |r: &Record| {
        matches!(
            r,
            Record::Trigger { .. } | Record::End { .. } | Record::Job { .. } | Record::RunState { .. }
        )
    };
    let later: Vec<&Record> = d.records.iter().skip(closed.unwrap() + 1).filter(|r| of_run(r)).collect();
    assert!(later.is_empty(), "{later:?}");
}
