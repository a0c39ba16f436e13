//! A station from outside: what it makes durable, when it prints, what the person hears.

mod groups;

use super::super::judge::NotIn;
use super::super::record::PackAnswer;
use super::super::{Level, Mixing};
use super::*;
use crate::code::{Code, Identity, Serial, Tail};
use crate::ids::AgentId;
use crate::layout::{Form, Layout};
use crate::record::Bar;
use crate::sscc::SsccRange;
use crate::time::Time;

const GTIN: &[u8; 14] = b"04780001000006";

fn gtin() -> Gtin {
    Gtin::parse(GTIN).unwrap()
}

fn code(n: u32) -> Code {
    let serial = Serial::new(format!("S{n:012}").as_bytes()).unwrap();
    Code { identity: Identity { gtin: gtin(), serial }, tail: Tail::new(b"Ab1=").unwrap() }
}

fn layout() -> Layout {
    Layout::new(vec![Form::gs1(13, &[("93", 4)])]).unwrap()
}

/// The SSCC of this number in the plant's range.
fn name(n: u64) -> Sscc {
    SsccRange::new(0, "4780001", n, n + 1).unwrap().take_next().unwrap().0
}

/// A box with one item in it, as the books have it.
fn one_in() -> PackFacts {
    PackFacts { content: 1, ..PackFacts::opened(PackNo(1), config(Naming::Printed).terms) }
}

fn config(naming: Naming) -> StationConfig {
    let product = Product { name: "Water".into(), group: "water".into(), layout: layout() };
    StationConfig {
        station: StationNo(0),
        name: "box".into(),
        terms: Terms { level: Level::Box, holds: Holds::Items, capacity: 2, mixing: Mixing::SameRun },
        naming,
        substitutes: Substitutes::usual(),
        products: BTreeMap::from([(gtin(), product)]),
        group_packs: BTreeMap::new(),
        layer: None,
    }
}

/// The code of a group pack.
fn six_pack(n: u32) -> Code {
    let gtin = Gtin::parse(b"04780001000013").unwrap();
    Code { identity: Identity { gtin, ..code(n).identity }, ..code(n) }
}

/// A station whose commits wait to be made durable, and books that know one pack and a few codes.
struct Desk {
    station: Station,
    durable: bool,
    waiting: VecDeque<Txn>,
    records: Vec<PackRecord>,
    printed: Vec<LabelJob>,
    heard: Vec<Signal>,
    replies: Vec<Result<StationReply, Refusal>>,
    seen: Vec<Identity>,
    content: Vec<Child>,
    open: Option<PackNo>,
    packs: u32,
    names: u64,
    labels: u32,
    bar: Option<Bar>,
    asks: u64,
}

impl Desk {
    fn new(naming: Naming) -> Desk {
        let mut desk = Desk::with(Station::new(config(naming), None));
        desk.feed(StationInput::Reader(ReaderEvent::Connected));
        desk
    }

    fn with(station: Station) -> Desk {
        Desk {
            station,
            durable: true,
            waiting: VecDeque::new(),
            records: vec![],
            printed: vec![],
            heard: vec![],
            replies: vec![],
            seen: vec![],
            content: vec![],
            open: None,
            packs: 0,
            names: 0,
            labels: 0,
            bar: None,
            asks: 0,
        }
    }

    fn feed(&mut self, input: StationInput) {
        let mut out = vec![];
        self.station.step(Wall(0), input, &mut out);
        for effect in out {
            match effect {
                StationEffect::Commit(txn) => self.waiting.push_back(txn),
                StationEffect::Print(job) => self.printed.push(job),
                StationEffect::Signal(signal) => self.heard.push(signal),
                StationEffect::Reply(_, reply) => self.replies.push(reply),
                StationEffect::Seen(code) => self.seen.push(code),
            }
        }
        assert!(self.waiting.len() <= 1, "one thing after the other");
        if self.durable {
            self.settle();
        }
    }

    /// What was asked for becomes durable.
    fn settle(&mut self) {
        while let Some(txn) = self.waiting.pop_front() {
            let answers = txn.records.iter().filter_map(|r| self.answer(r)).collect();
            self.feed(StationInput::Committed(txn.id, answers));
        }
    }

    fn answer(&mut self, record: &Record) -> Option<Answer> {
        let Record::Pack(record) = record else { panic!("{record:?}") };
        self.records.push(record.clone());
        let answer = match record {
            PackRecord::In { children, .. } if self.content.contains(&children[0]) => {
                PackAnswer::NotIn(vec![(0, NotIn::Again)])
            }
            PackRecord::In { .. } if self.names > 0 && self.open.is_some() => {
                PackAnswer::NotIn(vec![(0, NotIn::Named)])
            }
            PackRecord::In { .. } if self.content.len() == 2 => PackAnswer::NotIn(vec![(0, NotIn::Full)]),
            PackRecord::In { children, .. } if children[0] == child_of(77) => {
                self.open = Some(PackNo(1));
                PackAnswer::InSeen { pack: PackNo(1), content: 1, seen: vec![code(77).identity] }
            }
            PackRecord::In { pack, children, .. } => {
                assert_eq!(*pack, self.open, "the open pack is the store's");
                if self.open.is_none() {
                    self.packs += 1;
                    self.open = Some(PackNo(self.packs));
                }
                self.content.extend(children.clone());
                let content = u32::try_from(self.content.len()).unwrap();
                PackAnswer::In { pack: self.open.unwrap(), content }
            }
            PackRecord::Named { .. } if self.bar.is_some() => return self.bar.map(Answer::Barred),
            PackRecord::Named { name: NewName::Next, .. } => {
                self.names += 1;
                PackAnswer::Named { name: name(self.names).into(), used: 1 }
            }
            PackRecord::Named { name: NewName::Read(read), .. } if *read == name(99) => {
                PackAnswer::NameUsed(PackNo(7))
            }
            PackRecord::Named { name: NewName::Read(read), .. } => {
                PackAnswer::Named { name: (*read).into(), used: 0 }
            }
            PackRecord::Named { name: NewName::Code { identity, .. }, .. }
                if *identity == six_pack(99).identity =>
            {
                PackAnswer::NotName(NotIn::NotSeen)
            }
            PackRecord::Named { name: NewName::Code { identity, .. }, .. } => {
                PackAnswer::Named { name: PackName::Code(*identity), used: 0 }
            }
            PackRecord::Label { .. } => {
                self.labels += 1;
                PackAnswer::Label(self.labels)
            }
            PackRecord::Short { .. } => return None,
            PackRecord::Voided { reason, .. } if reason == "elsewhere" => PackAnswer::Elsewhere(AgentId(7)),
            PackRecord::Closed { .. } | PackRecord::Voided { .. } => {
                (self.open, self.content, self.names) = (None, vec![], 0);
                return None;
            }
            PackRecord::Out { child, .. } => {
                let at = self.content.iter().position(|c| c == child);
                at.map(|at| self.content.remove(at));
                PackAnswer::Out(at.map(|_| u32::try_from(self.content.len()).unwrap()))
            }
            PackRecord::Rework { .. } => panic!("a station reworks nothing"),
        };
        Some(Answer::Pack(answer))
    }

    fn scan(&mut self, bytes: &[u8]) {
        self.feed(StationInput::Reader(ReaderEvent::Read { bytes: bytes.to_vec(), at: Time(0) }));
    }

    fn item(&mut self, n: u32) {
        self.scan(&layout().render_full(&code(n)).unwrap());
    }

    fn ask(&mut self, ask: StationAsk) -> Option<Result<StationReply, Refusal>> {
        self.asks += 1;
        self.feed(StationInput::Ask(AskId(self.asks), ask, "anna".into()));
        self.replies.pop()
    }

    fn printer(&mut self, event: PrinterEvent<LabelId>) {
        self.feed(StationInput::Printer(event));
    }

    fn said(&self) -> String {
        self.station.status().last.map(|said| said.key).unwrap_or_default()
    }

    fn open(&self) -> OpenPack {
        self.station.status().open.expect("a pack is open")
    }
}

fn label(no: u32) -> LabelId {
    LabelId { pack: PackNo(1), no }
}

fn refusal(reply: Option<Result<StationReply, Refusal>>) -> &'static str {
    reply.unwrap().unwrap_err().key
}

#[test]
fn a_full_box_is_named_labelled_and_closed_by_the_read_of_its_label() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    d.item(1);
    assert_eq!((d.open().content, d.said()), (1, "pack.taken".into()));
    d.durable = false;
    d.item(2);
    assert_eq!(d.heard, [Signal::Taken], "what is not durable is not heard");
    d.durable = true;
    d.settle();
    assert_eq!(d.printed, [LabelJob { id: label(1), name: name(1), content: 2 }]);
    let named = d.records.iter().position(|r| matches!(r, PackRecord::Named { .. })).unwrap();
    let labelled = d.records.iter().position(|r| matches!(r, PackRecord::Label { .. })).unwrap();
    assert!(named < labelled, "the name, then the label's number, then the label");
    d.printer(PrinterEvent::Printed(label(1)));
    assert_eq!((d.said().as_str(), d.open().label), ("pack.full", Some("printed")));
    assert!(d.open.is_some(), "printed is not closed");
    d.scan(&name(1).render());
    assert_eq!(d.heard, [Signal::Taken, Signal::Taken, Signal::Closed]);
    assert!(matches!(d.records.last(), Some(PackRecord::Closed { .. })));
    assert!(d.station.status().open.is_none());
    d.item(3);
    assert_eq!(d.open().pack, PackNo(2), "the next one opens with its first item");
}

#[test]
fn nothing_is_printed_before_the_name_and_the_label_are_durable() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    d.durable = false;
    d.item(1);
    d.item(2);
    for expected in ["In", "In", "Named", "Label"] {
        assert_eq!(d.printed, [], "before {expected}");
        let txn = d.waiting.pop_front().expect(expected);
        let answers = txn.records.iter().filter_map(|r| d.answer(r)).collect();
        d.feed(StationInput::Committed(txn.id, answers));
    }
    assert_eq!(d.printed.len(), 1);
    assert_eq!(d.waiting.len(), 0);
}

#[test]
fn wrong_scans_are_refused_with_words_and_change_nothing() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    let other = Gtin::parse(b"04780001000013").unwrap();
    let mut alien = code(5);
    alien.identity.gtin = other;
    let alien = layout().render_full(&alien).unwrap();
    for (bytes, key) in [
        (b"hello".to_vec(), "pack.malformed"),
        (alien, "pack.not_in.unknown"),
        (name(4).render(), "pack.not_in.wrong_level"),
    ] {
        d.scan(&bytes);
        assert_eq!((d.said().as_str(), d.heard.pop()), (key, Some(Signal::Refused)));
    }
    d.feed(StationInput::Reader(ReaderEvent::Several { at: Time(0) }));
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.several", Some(Signal::Refused)));
    assert_eq!(d.records, []);
    d.item(1);
    d.item(1);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.not_in.again", Some(Signal::Refused)));
    d.item(2);
    // The box is full: its label first.
    d.item(3);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.not_in.named", Some(Signal::Refused)));
    d.scan(&name(8).render());
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.other_label", Some(Signal::Refused)));
    assert_eq!(d.content.len(), 2);
}

#[test]
fn a_label_in_doubt_is_printed_again_only_by_a_person_and_a_refused_one_by_itself() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    d.item(2);
    assert_eq!((d.printed.len(), d.open().label), (0, Some("wanted")), "the printer is not ready");
    d.printer(PrinterEvent::Ready);
    assert_eq!(d.printed.len(), 1);
    d.printer(PrinterEvent::Refused(label(1)));
    assert_eq!(d.open().label, Some("wanted"));
    d.printer(PrinterEvent::Ready);
    assert_eq!(d.printed.pop().map(|j| j.id), Some(label(1)), "nothing came of the first");
    d.printer(PrinterEvent::Doubtful(label(1)));
    d.printer(PrinterEvent::Ready);
    assert_eq!((d.printed.len(), d.open().label), (1, Some("doubtful")));
    assert_eq!(d.ask(StationAsk::Reprint { reason: "torn".into() }), Some(Ok(StationReply::Done)));
    assert_eq!(d.printed.last().map(|j| (j.id, j.name)), Some((label(2), name(1))), "the same name");
    let reason = |r: &PackRecord| match r {
        PackRecord::Label { reason, who, .. } => Some((reason.clone(), who.clone())),
        _ => None,
    };
    assert_eq!(d.records.iter().rev().find_map(reason), Some(("torn".into(), "anna".into())));
    // News of the first one is old.
    d.printer(PrinterEvent::Refused(label(1)));
    assert_eq!(d.open().label, Some("printing"));
}

#[test]
fn a_start_goes_on_with_the_open_pack_and_prints_nothing_by_itself() {
    let facts = PackFacts { name: Some(name(1).into()), content: 2, labels: 1, ..one_in() };
    let mut d = Desk::with(Station::new(config(Naming::Printed), Some(facts.clone())));
    d.printer(PrinterEvent::Ready);
    assert_eq!((d.printed.len(), d.open().label), (0, Some("doubtful")));
    d.scan(&name(1).render());
    assert!(matches!(d.records.last(), Some(PackRecord::Closed { .. })));
    // Named, and no label was asked for before the end: it is the first one, once a person is there.
    let unasked = PackFacts { labels: 0, ..facts.clone() };
    let mut d = Desk::with(Station::new(config(Naming::Printed), Some(unasked)));
    d.printer(PrinterEvent::Ready);
    assert_eq!(d.printed.len(), 0);
    d.scan(b"anything");
    assert_eq!(d.printed.len(), 1);
    // A name that was read and not yet closed over is read again.
    let mut d = Desk::with(Station::new(config(Naming::PrePrinted), Some(PackFacts { labels: 0, ..facts })));
    d.scan(&name(1).render());
    assert!(matches!(d.records.last(), Some(PackRecord::Closed { .. })));
}

#[test]
fn a_pre_printed_name_closes_a_full_box_or_one_that_a_person_closes_short() {
    let mut d = Desk::new(Naming::PrePrinted);
    d.item(1);
    d.scan(&name(5).render());
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.not_full", Some(Signal::Refused)));
    d.item(2);
    assert_eq!(d.said(), "pack.scan_name");
    d.scan(&name(99).render());
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.name_used", Some(Signal::Refused)));
    d.scan(&name(5).render());
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.closed", Some(Signal::Closed)));
    d.item(3);
    let short = StationAsk::Short { reason: "end of shift".into() };
    assert_eq!(d.ask(short), Some(Ok(StationReply::ScanName)));
    d.scan(&name(6).render());
    let [.., PackRecord::Short { reason, who, .. }, PackRecord::Named { .. }, PackRecord::Closed { .. }] =
        d.records.as_slice()
    else {
        panic!("not closed")
    };
    assert_eq!((reason.as_str(), who.as_str()), ("end of shift", "anna"));
}

fn child_of(n: u32) -> Child {
    Child::Item { identity: code(n).identity, tail: Some(b"Ab1=".to_vec()) }
}

#[test]
fn the_lines_hear_of_an_item_that_was_read_behind_their_gate() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    assert!(d.seen.is_empty());
    d.open = None;
    d.item(77);
    assert_eq!((d.said().as_str(), d.seen.as_slice()), ("pack.taken", &[code(77).identity][..]));
}

#[test]
fn where_the_disk_is_nearly_full_nothing_is_packed_and_nothing_printed() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    d.item(1);
    d.feed(StationInput::Bar(Some(Bar::Room)));
    d.item(2);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.no_room", Some(Signal::Refused)));
    assert_eq!(d.open().content, 1);
    assert_eq!(d.ask(StationAsk::Short { reason: "x".into() }), Some(Ok(StationReply::Done)));
    assert!(d.printed.is_empty(), "what is asked is remembered, and waits");
    d.feed(StationInput::Bar(Some(Bar::Witness)));
    assert_eq!(d.printed.len(), 1, "names are barred by the store, not here");
}

#[test]
fn a_short_box_gets_its_name_and_waits_for_its_label() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    let short = || StationAsk::Short { reason: "end of batch".into() };
    assert_eq!(refusal(d.ask(short())), "refuse.no_open_pack");
    d.item(1);
    assert_eq!(d.ask(short()), Some(Ok(StationReply::Done)));
    assert_eq!(d.printed.len(), 1);
    d.scan(&name(1).render());
    assert!(matches!(d.records.last(), Some(PackRecord::Closed { .. })));
}

#[test]
fn a_short_box_stays_one_over_a_start_and_gets_its_name_when_a_person_is_there() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    let open = PackFacts { short: true, ..one_in() };
    d.station = Station::new(config(Naming::Printed), Some(open));
    d.printer(PrinterEvent::Ready);
    assert_eq!(d.station.status().open.and_then(|open| open.label), Some("unasked"));
    assert_eq!(d.printed.len(), 0);
    let reprint = StationAsk::Reprint { reason: String::new() };
    assert_eq!(d.ask(reprint), Some(Ok(StationReply::Done)));
    assert_eq!(d.printed.len(), 1);
    d.scan(&name(1).render());
    assert_eq!(d.said(), "pack.closed");
}

#[test]
fn what_is_scanned_again_since_nobody_heard_of_it_is_taken_once_more() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    d.item(1);
    let again = ("pack.not_in.again".to_owned(), Some(Signal::Refused));
    assert_eq!((d.said(), d.heard.pop()), again, "it was heard");
    // The cable is pulled out: the sound of what is scanned then goes nowhere.
    d.feed(StationInput::Reader(ReaderEvent::Disconnected));
    d.feed(StationInput::Reader(ReaderEvent::Connected));
    d.item(1);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.taken", Some(Signal::Taken)));
    assert_eq!(d.open().content, 1);
    d.item(1);
    assert_eq!((d.said(), d.heard.pop()), again, "heard now");
    // As after an end of the process.
    d.station = Station::new(config(Naming::Printed), Some(one_in()));
    d.feed(StationInput::Reader(ReaderEvent::Connected));
    d.item(1);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.taken", Some(Signal::Taken)));
    d.item(1);
    assert_eq!((d.said(), d.heard.pop()), again);
}

#[test]
fn what_was_emptied_gets_no_name_though_it_was_to_be_closed_short() {
    let mut d = Desk::new(Naming::PrePrinted);
    d.item(1);
    d.ask(StationAsk::Short { reason: "end of shift".into() });
    let out = StationAsk::Out { scan: layout().render_full(&code(1)).unwrap(), reason: "dented".into() };
    assert_eq!(d.ask(out), Some(Ok(StationReply::Out { left: 0 })));
    d.scan(&name(5).render());
    assert_eq!(d.said(), "pack.not_full");
}

#[test]
fn an_open_pack_keeps_the_terms_that_it_was_opened_with() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    let mut changed = config(Naming::Printed);
    changed.terms.capacity = 1;
    let open = one_in();
    d.station = Station::new(changed, Some(open));
    d.printer(PrinterEvent::Ready);
    d.item(2);
    assert_eq!((d.said().as_str(), d.printed.len()), ("pack.full", 1));
}

#[test]
fn where_no_name_is_to_be_had_nothing_more_goes_in_until_a_person_acts() {
    let mut d = Desk::new(Naming::Printed);
    d.printer(PrinterEvent::Ready);
    d.bar = Some(Bar::Unsettled);
    d.item(1);
    d.item(2);
    assert_eq!((d.said().as_str(), d.heard.pop()), ("refuse.unsettled", Some(Signal::Refused)));
    d.item(3);
    assert_eq!(d.said(), "pack.no_names");
    let asked = d.records.iter().filter(|r| matches!(r, PackRecord::Named { .. })).count();
    assert_eq!(asked, 1, "it is not asked for ever");
    d.bar = None;
    d.ask(StationAsk::Short { reason: "again".into() });
    assert_eq!(d.printed.len(), 1);
}

#[test]
fn people_take_out_and_void_what_is_open() {
    let mut d = Desk::new(Naming::Printed);
    d.item(1);
    let out = |n: u32| StationAsk::Out {
        scan: format!("(01){}(21)S{n:012}", gtin()).into_bytes(),
        reason: "dented".into(),
    };
    assert_eq!(refusal(d.ask(out(2))), "refuse.not_in_pack");
    let scanned = StationAsk::Out { scan: layout().render_full(&code(1)).unwrap(), reason: "dented".into() };
    assert_eq!(d.ask(scanned), Some(Ok(StationReply::Out { left: 0 })));
    assert_eq!(d.open().content, 0);
    assert_eq!(refusal(d.ask(StationAsk::Short { reason: "x".into() })), "refuse.empty_pack");
    assert_eq!(
        refusal(d.ask(StationAsk::Out { scan: b"?".to_vec(), reason: "x".into() })),
        "refuse.not_a_code"
    );
    assert_eq!(refusal(d.ask(StationAsk::Reprint { reason: "x".into() })), "refuse.no_label");
    d.item(1);
    d.item(2);
    assert_eq!(refusal(d.ask(out(1))), "refuse.named_pack", "its label says how many are in it");
    let not_void = refusal(d.ask(StationAsk::Void { reason: "elsewhere".into() }));
    assert_eq!(not_void, "rework.not_done.elsewhere");
    assert!(d.station.status().open.is_some(), "it is the station's still");
    assert_eq!(d.ask(StationAsk::Void { reason: "wet".into() }), Some(Ok(StationReply::Done)));
    assert!(d.station.status().open.is_none());
    assert!(matches!(d.records.last(), Some(PackRecord::Voided { .. })));
}

#[test]
fn scans_wait_for_their_turn_and_too_many_are_told() {
    let mut d = Desk::new(Naming::PrePrinted);
    d.durable = false;
    for n in 0..70 {
        d.item(n);
    }
    let status = d.station.status();
    assert_eq!((status.waiting, status.lost), (64, 5), "one is being made durable");
    assert_eq!(d.said(), "pack.too_fast");
    assert_eq!(d.heard, [Signal::Refused; 5]);
    d.durable = true;
    d.settle();
    assert_eq!((d.content.len(), d.station.status().waiting), (2, 0), "the box was full with the second");
}

#[test]
fn after_a_failed_write_nothing_is_done_any_more() {
    let mut d = Desk::new(Naming::Printed);
    d.durable = false;
    d.item(1);
    d.item(2);
    let txn = d.waiting.pop_front().unwrap();
    d.feed(StationInput::CommitFailed(txn.id, "disk".into()));
    assert!(d.station.is_broken() && d.waiting.is_empty());
    assert_eq!((d.said().as_str(), d.heard.last()), ("pack.broken", None), "it may be in: nothing is heard");
    assert_eq!(refusal(d.ask(StationAsk::Void { reason: "x".into() })), "refuse.disk");
    d.item(3);
    assert!(d.waiting.is_empty());
}
