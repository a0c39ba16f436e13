//! A station: a place where packs are filled, by hand scans for now. One pure step from what happened to what must be
//! done, one thing after the other.
//!
//! A scan is answered (sound, words) once what it did is durable. The pack that is full gets its name, the name's label
//! is printed after the name is durable, and the pack is closed when the label is read on it: what has no label on it
//! with its name is not closed. A name that was printed before is read instead.

mod durable;
pub mod layer;
mod people;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::ask::{OpenPack, Said, StationAsk, StationReply, StationStatus};
use super::record::{NewName, PackRecord};
use super::{Child, GroupOf, Holds, PackFacts, PackName, Terms};
use crate::code::Identity;
use crate::gs1::Gtin;
use crate::ids::{PackNo, StationNo, TxnId};
use crate::layout::reader::Substitutes;
use crate::line::ask::Refusal;
use crate::line::{AskId, PrinterEvent, Product, ReaderEvent};
use crate::record::{Answer, Bar, Record, Txn};
use crate::sscc::Sscc;
use crate::time::Wall;
use layer::{Layer, Part, Pattern};

/// Scans that wait while something is being made durable: some seconds of the fastest hand.
const SCANS_MAX: usize = 64;

/// What a station is; valid by construction (the configuration checks it).
#[derive(Clone, Debug)]
pub struct StationConfig {
    pub station: StationNo,
    /// As people call it; what is scanned is written down as done by it.
    pub name: String,
    pub terms: Terms,
    pub naming: Naming,
    /// What the scanner puts where a code's separator was.
    pub substitutes: Substitutes,
    /// The plant's products: product group and layout by GTIN.
    pub products: BTreeMap<Gtin, Product>,
    /// Those of them that are group packs, and of what.
    pub group_packs: BTreeMap<Gtin, GroupOf>,
    /// Whole layers are packed, seen by a reader of many codes; `None`: one by one.
    pub layer: Option<Pattern>,
}

/// How packs of a station get their names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// The agent takes the next SSCC and prints it.
    Printed,
    /// Labels with SSCCs were printed before.
    PrePrinted,
    /// Group packs bear codes of their own, which a line has seen and let pass.
    Codes,
}

/// Names a label: a pack, and how many labels were asked for with its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LabelId {
    pub pack: PackNo,
    pub no: u32,
}

/// One label of a pack asked of a printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelJob {
    pub id: LabelId,
    pub name: Sscc,
    pub content: u32,
}

#[derive(Clone, Debug)]
pub enum StationInput {
    Reader(ReaderEvent),
    /// All that one result of the reader over a layer says.
    Layer(Vec<Part>),
    /// The scanner in the hand at a station whose reader sees layers.
    Hand(ReaderEvent),
    Printer(PrinterEvent<LabelId>),
    Committed(TxnId, Vec<Answer>),
    CommitFailed(TxnId, String),
    Ask(AskId, StationAsk, String),
    /// Why the lines issue no codes, if they do not. (Where only names are barred, the store says so.)
    Bar(Option<Bar>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum StationEffect {
    Commit(Txn),
    Print(LabelJob),
    /// What the person at the station hears.
    Signal(Signal),
    /// For the lines: an item was read behind the gate, and it is durable that it passed.
    Seen(Identity),
    Reply(AskId, Result<StationReply, Refusal>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Taken,
    Closed,
    Refused,
}

/// How the label of a named pack stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    /// Its number is not durable yet.
    Unasked,
    /// To be printed as soon as the printer is ready.
    Wanted(u32),
    Printing(LabelId),
    /// Printed, says the printer; a read decides.
    Printed,
    /// There may be one.
    Doubtful,
}

impl Label {
    fn key(self) -> &'static str {
        match self {
            Label::Unasked | Label::Wanted(_) => "wanted",
            Label::Printing(_) => "printing",
            Label::Printed => "printed",
            Label::Doubtful => "doubtful",
        }
    }
}

/// The pack that is being filled, as the station knows it: what the store answered last.
#[derive(Clone, Debug)]
struct Open {
    pack: PackNo,
    /// Those that it was opened with, whatever the configuration says now.
    terms: Terms,
    content: u32,
    name: Option<PackName>,
    label: Option<Label>,
    /// A person wants it closed with fewer children.
    short: bool,
}

impl Open {
    fn is_full(&self) -> bool {
        self.content >= self.terms.capacity
    }

    /// It has all that is to be in it.
    fn is_ready(&self) -> bool {
        self.content > 0 && (self.short || self.is_full())
    }
}

/// What is on its way to the disk; one thing at a time.
#[derive(Clone, Debug)]
enum Doing {
    In,
    Layer,
    Short(AskId),
    Name,
    Label,
    /// By the name that was read on it.
    Close,
    Out(AskId),
    Void(AskId),
    Reprint(AskId),
    /// The label of a pack that is not being filled here.
    LabelOf(AskId, LabelOf),
}

#[derive(Clone, Copy, Debug)]
struct LabelOf {
    pack: PackNo,
    name: Sscc,
    content: u32,
}

/// A read as far as the station understands it.
#[derive(Clone, Debug, PartialEq)]
enum Scan {
    Child(Child),
    /// The name of a pack, with the tail where it is a code.
    Name(PackName, Option<Vec<u8>>),
    Bad(&'static str),
    Layer(Vec<Part>),
}

pub struct Station {
    config: StationConfig,
    open: Option<Open>,
    /// Seen, and not packed yet.
    layer: Option<Layer>,
    scans: VecDeque<Scan>,
    asks: VecDeque<(AskId, StationAsk, String)>,
    doing: Option<(TxnId, Doing)>,
    next_txn: u64,
    reader_connected: bool,
    hand_connected: bool,
    printer_ready: bool,
    printer_connected: bool,
    faults: Vec<String>,
    last: Option<Said>,
    lost: u64,
    closed: u64,
    /// Nobody has scanned or asked anything since the start: nothing is named or printed by itself.
    untouched: bool,
    /// What came of the last scan may not have been heard: since a start, or since the scanner was away. Such a scan is made
    /// again.
    unheard: bool,
    /// No name is to be had: not asked for again until a person acts or the agent starts anew.
    nameless: bool,
    /// The disk is nearly full: nothing is packed, named or printed.
    no_room: bool,
    broken: bool,
}

impl Station {
    /// A station as it stands after a start, with the pack that it was filling. A label that was asked for may be there.
    /// Nothing is named or printed until a person has scanned or asked something: what was taken last, and not heard, may
    /// still be in a hand, and is scanned again.
    pub fn new(config: StationConfig, open: Option<PackFacts>) -> Station {
        let label = |facts: &PackFacts| match (config.naming, facts.name, facts.labels) {
            (Naming::PrePrinted | Naming::Codes, ..) | (_, None, _) => None,
            (Naming::Printed, Some(_), 0) => Some(Label::Unasked),
            (Naming::Printed, Some(_), _) => Some(Label::Doubtful),
        };
        let open = open.map(|facts| Open {
            pack: facts.pack,
            terms: facts.terms,
            content: facts.content,
            name: facts.name,
            label: label(&facts),
            short: facts.short,
        });
        Station {
            config,
            open,
            layer: None,
            scans: VecDeque::new(),
            asks: VecDeque::new(),
            doing: None,
            next_txn: 0,
            reader_connected: false,
            hand_connected: false,
            printer_ready: false,
            printer_connected: false,
            faults: Vec::new(),
            last: None,
            lost: 0,
            closed: 0,
            untouched: true,
            unheard: true,
            nameless: false,
            no_room: false,
            broken: false,
        }
    }

    /// Takes one thing that happened.
    pub fn step(&mut self, wall: Wall, input: StationInput, out: &mut Vec<StationEffect>) {
        match input {
            StationInput::Reader(event) => self.on_reader(event, wall, out),
            StationInput::Layer(parts) => self.queue(Scan::Layer(parts), wall, out),
            StationInput::Hand(ReaderEvent::Connected) => self.hand_connected = true,
            StationInput::Hand(ReaderEvent::Disconnected) => self.hand_connected = false,
            StationInput::Hand(event) => self.on_reader(event, wall, out),
            StationInput::Printer(event) => self.on_printer(event),
            StationInput::Committed(txn, answers) => self.on_committed(txn, answers, wall, out),
            StationInput::CommitFailed(..) => self.on_commit_failed(wall, out),
            StationInput::Ask(id, ask, who) => self.asks.push_back((id, ask, who)),
            StationInput::Bar(bar) => self.no_room = bar == Some(Bar::Room),
        }
        self.go_on(wall, out);
    }

    fn on_reader(&mut self, event: ReaderEvent, wall: Wall, out: &mut Vec<StationEffect>) {
        let scan = match event {
            ReaderEvent::Read { bytes, .. } => self.understand(&bytes),
            ReaderEvent::Several { .. } => Scan::Bad("pack.several"),
            ReaderEvent::Oversize { .. } => Scan::Bad("pack.malformed"),
            ReaderEvent::NoRead { .. } if self.config.layer.is_some() => Scan::Bad("pack.layer_none"),
            ReaderEvent::NoRead { .. } => return,
            ReaderEvent::Connected => return self.reader_connected = true,
            ReaderEvent::Disconnected => {
                (self.reader_connected, self.unheard) = (false, true);
                return;
            }
            ReaderEvent::Fault(fault) => return self.fault(fault),
            ReaderEvent::Cleared(fault) => return self.faults.retain(|known| *known != fault),
        };
        self.queue(scan, wall, out);
    }

    fn queue(&mut self, scan: Scan, wall: Wall, out: &mut Vec<StationEffect>) {
        if self.scans.len() < SCANS_MAX {
            self.scans.push_back(scan);
        } else {
            self.lost += 1;
            self.say(false, "pack.too_fast", vec![], wall);
            out.push(StationEffect::Signal(Signal::Refused));
        }
    }

    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn understand(&self, bytes: &[u8]) -> Scan {
        if let Ok(name) = Sscc::parse_read(bytes) {
            return Scan::Name(name.into(), None);
        }
        let mut known_layout = false;
        for (gtin, product) in &self.config.products {
            let Ok(parsed) = product.layout.parse_with(bytes, &self.config.substitutes) else { continue };
            known_layout = true;
            if parsed.code.identity.gtin == *gtin {
                let (identity, tail) = (parsed.code.identity, Some(parsed.code.tail.as_bytes().to_vec()));
                return match self.config.group_packs.contains_key(gtin) {
                    true => Scan::Name(PackName::Code(identity), tail),
                    false => Scan::Child(Child::Item { identity, tail }),
                };
            }
        }
        Scan::Bad(if known_layout { "pack.not_in.unknown" } else { "pack.malformed" })
    }

    fn on_printer(&mut self, event: PrinterEvent<LabelId>) {
        match event {
            PrinterEvent::Ready => (self.printer_connected, self.printer_ready) = (true, true),
            PrinterEvent::NotReady => (self.printer_connected, self.printer_ready) = (true, false),
            PrinterEvent::Disconnected => (self.printer_connected, self.printer_ready) = (false, false),
            PrinterEvent::Fault(fault) => self.fault(fault),
            PrinterEvent::Cleared(fault) => self.faults.retain(|known| *known != fault),
            PrinterEvent::Printed(id) => self.label_is(id, Label::Printed),
            // Certainly not printed: the same label, since nothing came of it.
            PrinterEvent::Refused(id) => {
                self.printer_ready = false;
                self.label_is(id, Label::Wanted(id.no));
            }
            PrinterEvent::Doubtful(id) => self.label_is(id, Label::Doubtful),
        }
    }

    /// What became of the label that is being printed; of another one it is old news. (It is told beside what came of the
    /// last scan, and never instead of it.)
    fn label_is(&mut self, id: LabelId, label: Label) {
        if let Some(open) = &mut self.open
            && open.label == Some(Label::Printing(id))
        {
            open.label = Some(label);
        }
    }

    fn say(&mut self, good: bool, key: impl Into<String>, args: Vec<(&'static str, String)>, at: Wall) {
        self.last = Some(Said { good, key: key.into(), args, at });
    }

    fn refuse(
        &mut self,
        key: impl Into<String>,
        args: Vec<(&'static str, String)>,
        wall: Wall,
        out: &mut Vec<StationEffect>,
    ) {
        self.say(false, key, args, wall);
        self.signal(Signal::Refused, out);
    }

    fn signal(&mut self, signal: Signal, out: &mut Vec<StationEffect>) {
        self.unheard &= !self.reader_connected;
        out.push(StationEffect::Signal(signal));
    }

    // ---- one thing after the other ----

    /// Begins what is next, until something is on its way to the disk or nothing is left.
    fn go_on(&mut self, wall: Wall, out: &mut Vec<StationEffect>) {
        while !self.broken && self.doing.is_none() {
            if let Some((id, ask, who)) = self.asks.pop_front() {
                self.untouched = false;
                self.asked(id, ask, who, wall, out);
            } else if !self.label_of_full(wall, out) {
                match self.scans.pop_front() {
                    Some(scan) => {
                        self.untouched = false;
                        self.scanned(scan, wall, out);
                    }
                    None => return,
                }
            }
        }
        if self.broken {
            for (id, ..) in self.asks.drain(..) {
                out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.disk"))));
            }
        }
    }

    fn commit(&mut self, doing: Doing, record: PackRecord, out: &mut Vec<StationEffect>) {
        self.next_txn += 1;
        let id = TxnId(self.next_txn);
        self.doing = Some((id, doing));
        out.push(StationEffect::Commit(Txn { id, records: vec![Record::Pack(record)] }));
    }

    /// Names the pack that is full or to be closed short, and prints what is to be printed. False: nothing to do.
    fn label_of_full(&mut self, wall: Wall, out: &mut Vec<StationEffect>) -> bool {
        if self.config.naming != Naming::Printed || self.untouched || self.no_room {
            return false;
        }
        let (ready, nameless, who) = (self.printer_ready, self.nameless, self.config.name.clone());
        let Some(open) = &mut self.open else { return false };
        match (open.name, open.label) {
            (None, _) if open.is_ready() && !nameless => {
                let record = PackRecord::Named { pack: open.pack, name: NewName::Next, at: wall };
                self.commit(Doing::Name, record, out);
                true
            }
            // The label's number is durable before it is printed.
            (Some(_), Some(Label::Unasked)) => {
                let record = PackRecord::Label { pack: open.pack, reason: String::new(), who, at: wall };
                self.commit(Doing::Label, record, out);
                true
            }
            (Some(PackName::Sscc(name)), Some(Label::Wanted(no))) if ready => {
                let id = LabelId { pack: open.pack, no };
                open.label = Some(Label::Printing(id));
                out.push(StationEffect::Print(LabelJob { id, name, content: open.content }));
                false
            }
            _ => false,
        }
    }

    fn scanned(&mut self, scan: Scan, wall: Wall, out: &mut Vec<StationEffect>) {
        match scan {
            _ if self.no_room => self.refuse("pack.no_room", vec![], wall, out),
            Scan::Bad(key) => self.refuse(key, vec![], wall, out),
            Scan::Layer(parts) => self.layer_seen(parts, wall, out),
            Scan::Child(child) => self.put_in(child, wall, out),
            Scan::Name(name, tail) if self.is_name_of_open(name) => self.close_by(name, tail, wall, out),
            Scan::Name(name, tail) if matches!(self.terms().holds, Holds::Packs(_)) => {
                self.put_in(Child::Pack { name, tail }, wall, out);
            }
            Scan::Name(name, _) => {
                let key = match &self.open {
                    Some(open) if open.name.is_some() => "pack.other_label",
                    Some(open) if self.may_name(name) && !open.is_ready() => "pack.not_full",
                    Some(_) if self.is_other_group(name) => "pack.not_in.other_product",
                    _ => "pack.not_in.wrong_level",
                };
                self.refuse(key, vec![("name", name.to_string())], wall, out);
            }
        }
    }

    /// The read is the name of the open pack, or may become it.
    fn is_name_of_open(&self, name: PackName) -> bool {
        let Some(open) = &self.open else { return false };
        match open.name {
            Some(own) => own == name,
            None => self.may_name(name) && open.is_ready(),
        }
    }

    /// Packs of this station get such names by reads.
    fn may_name(&self, name: PackName) -> bool {
        match (self.config.naming, name) {
            (Naming::PrePrinted, PackName::Sscc(_)) => true,
            (Naming::Codes, PackName::Code(code)) => {
                self.config.group_packs.get(&code.gtin).is_some_and(|of| of.count == self.terms().capacity)
            }
            (Naming::Printed | Naming::PrePrinted | Naming::Codes, _) => false,
        }
    }

    /// A group pack, but not of as many as a pack of this station has.
    fn is_other_group(&self, name: PackName) -> bool {
        self.config.naming == Naming::Codes && matches!(name, PackName::Code(_)) && !self.may_name(name)
    }

    /// Those of the open pack, or those of the next one.
    fn terms(&self) -> Terms {
        self.open.as_ref().map_or(self.config.terms, |open| open.terms)
    }

    fn put_in(&mut self, child: Child, wall: Wall, out: &mut Vec<StationEffect>) {
        if self.config.layer.is_some() {
            return self.fill_cell(child, wall, out);
        }
        let record = PackRecord::In {
            station: self.config.station,
            pack: self.open.as_ref().map(|open| open.pack),
            terms: self.terms(),
            children: vec![child],
            who: self.config.name.clone(),
            at: wall,
        };
        self.commit(Doing::In, record, out);
    }

    /// Closes the open pack by its name, which was read on it with this tail; gives it the name first where it has none.
    fn close_by(&mut self, name: PackName, tail: Option<Vec<u8>>, wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(open) = &self.open else { return };
        let (pack, is_named) = (open.pack, open.name.is_some());
        if !is_named {
            let name = match name {
                PackName::Sscc(name) => NewName::Read(name),
                PackName::Code(identity) => {
                    let Some(of) = self.config.group_packs.get(&identity.gtin) else { return };
                    NewName::Code { identity, tail: tail.unwrap_or_default(), of: of.gtin }
                }
            };
            let record = PackRecord::Named { pack, name, at: wall };
            return self.commit(Doing::Name, record, out);
        }
        let who = self.config.name.clone();
        self.commit(Doing::Close, PackRecord::Closed { pack, who, at: wall }, out);
    }

    /// How the label of the open pack stands, by key (`pack.label.<key>`).
    fn label_key(&self, open: &Open) -> Option<&'static str> {
        match open.label {
            // After a start it waits for a person.
            Some(Label::Unasked) if self.untouched => Some("unasked"),
            None if self.untouched && open.is_ready() && self.config.naming == Naming::Printed => {
                Some("unasked")
            }
            label => label.map(Label::key),
        }
    }

    /// What is to be seen of the station now.
    pub fn status(&self) -> StationStatus {
        StationStatus {
            open: self.open.as_ref().map(|open| OpenPack {
                pack: open.pack,
                content: open.content,
                capacity: open.terms.capacity,
                name: open.name,
                label: self.label_key(open),
            }),
            last: self.last.clone(),
            waiting: u32::try_from(self.scans.len()).unwrap_or(u32::MAX),
            lost: self.lost,
            layer: self.layer.as_ref().map(Layer::status),
            reader_connected: self.reader_connected,
            hand_connected: self.config.layer.map(|_| self.hand_connected),
            printer_connected: (self.config.naming == Naming::Printed).then_some(self.printer_connected),
            faults: self.faults.clone(),
            closed: self.closed,
        }
    }

    /// What is written could not be: the process ends.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}
