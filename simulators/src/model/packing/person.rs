//! The person at the desk: scans, listens, looks at the screen, puts in, sticks labels on. Careful: puts nothing in of
//! which it was not said that it is in, and asks again where nothing was said. Carelessness is a slip ([`super::slips`]).

use super::super::MS;
use super::{Desk, Screen, Stage, Thing, Told, Wish};
use crate::fault::FaultKind;

/// A label that the screen calls printed, and that is not there after this, is asked for again.
const LABEL_PATIENCE_MS: u64 = 1_500;
/// A pack that has to get a label, and of which the screen shows none for so long, is asked for.
const NAME_PATIENCE_MS: u64 = 4_000;
/// What is not understood is scanned so often.
const TRIES_MAX: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hand {
    Empty,
    Thing {
        thing: Thing,
        tries: u32,
    },
    /// It sticks on the box with this place by now.
    Label {
        symbol: Vec<u8>,
        on: usize,
        tries: u32,
    },
}

/// What the next sound will be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Thing,
    Label,
    /// Something that does not matter.
    Else,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waits {
    Nothing,
    Sound { since_ns: u64, about: About },
    Answer,
}

/// The name stands on the label.
fn is_on(name: Option<&str>, symbol: &[u8]) -> bool {
    name.is_some_and(|name| symbol.ends_with(name.as_bytes()))
}

impl Desk {
    /// The person would do something now, if there is anything to do.
    pub fn is_due(&self) -> bool {
        let now_ns = self.now_ns;
        !self.done
            && now_ns >= self.next_ns
            && match self.waits {
                Waits::Nothing => true,
                Waits::Sound { since_ns, .. } => {
                    !self.heard.is_empty() || now_ns >= since_ns + self.config.patience_ms * MS
                }
                Waits::Answer => false,
            }
    }

    /// One thing that the person does; `None` for a screen that is dark. Returns what is to be asked of the agent.
    pub fn act(&mut self, screen: Option<&Screen>) -> Option<Wish> {
        let (least, most) = self.config.act_ms;
        self.next_ns = self.now_ns + self.rng.u64(least..=most) * MS;
        let Some(screen) = screen else {
            self.next_ns += 200 * MS;
            return None;
        };
        match self.waits {
            Waits::Answer => return None,
            Waits::Sound { about, .. } => match self.heard.pop_front() {
                Some(sound) => {
                    self.waits = Waits::Nothing;
                    self.sounded(about, sound, screen);
                }
                None if screen.waiting > 0 => {
                    self.waits = Waits::Sound { since_ns: self.now_ns, about };
                }
                // Nothing came: what is still in the hand is scanned again.
                None => self.waits = Waits::Nothing,
            },
            Waits::Nothing if self.wish.is_none() => self.go_on(screen),
            Waits::Nothing => {}
        }
        let asks = self.waits == Waits::Nothing && self.wish.is_some();
        if asks {
            self.waits = Waits::Answer;
        }
        self.wish.clone().filter(|_| asks)
    }

    /// The agent is gone, and with it what it was asked.
    pub fn agent_gone(&mut self) {
        self.heard.clear();
        if self.waits == Waits::Answer {
            self.waits = Waits::Nothing;
        }
    }

    /// The agent's answer to what was asked last.
    pub fn answered(&mut self, told: &Told) {
        if self.waits != Waits::Answer {
            return;
        }
        self.waits = Waits::Nothing;
        let refused = match told {
            Told::Refused(key) => Some(key.as_str()),
            Told::Done | Told::Closed => None,
        };
        match (self.wish.take(), refused) {
            (Some(Wish::Short), None) => self.label_first = true,
            (Some(Wish::Short), Some("refuse.empty_pack")) => self.wish = Some(Wish::Void),
            (Some(Wish::Reprint), None) => self.label_since_ns = None,
            (Some(Wish::Void), None | Some("refuse.no_open_pack")) => self.emptied(),
            (Some(Wish::Out(symbol)), None | Some("refuse.not_in_pack")) => self.taken_out(&symbol),
            (Some(Wish::Look(_)), None) if *told == Told::Closed => self.closed(),
            (_, Some("refuse.no_open_pack" | "refuse.no_label")) => self.label_first = false,
            _ => {}
        }
    }

    pub(super) fn in_hand(&self) -> Option<&Thing> {
        match &self.hand {
            Hand::Thing { thing, .. } => Some(thing),
            Hand::Empty | Hand::Label { .. } => None,
        }
    }

    // ---- what was heard

    fn sounded(&mut self, about: About, sound: u8, screen: &Screen) {
        let sounds = self.config.sounds;
        match (about, std::mem::replace(&mut self.hand, Hand::Empty)) {
            (About::Else, hand) => self.hand = hand,
            (About::Thing, Hand::Thing { thing, .. }) if sound == sounds.taken => self.put_in(thing),
            (About::Thing, Hand::Thing { thing, tries }) if sound == sounds.refused => {
                self.refused(thing, tries, screen);
            }
            (About::Label, hand @ Hand::Label { .. }) if sound == sounds.closed => {
                self.hand = hand;
                self.closed();
            }
            (About::Label, Hand::Label { symbol, on, tries }) if sound == sounds.refused => {
                self.label_refused(symbol, on, tries, screen);
            }
            // A sound that makes no sense: once more.
            (_, hand) => self.hand = hand,
        }
    }

    fn refused(&mut self, thing: Thing, tries: u32, screen: &Screen) {
        match screen.last.as_str() {
            "pack.not_in.again" => {
                let carton = self.carton();
                carton.things.push(thing);
            }
            // The label comes first.
            "pack.not_in.named" | "pack.not_in.full" | "pack.no_names" => self.table.push_front(thing),
            "pack.not_in.other_run" | "pack.not_in.other_product" => {
                self.table.push_front(thing);
                self.wish = Some(Wish::Short);
            }
            "pack.not_in.pass_unknown" | "pack.not_in.not_seen" | "pack.not_in.packed" => {
                if self.last {
                    self.aside.push(thing)
                } else {
                    self.again.push(thing)
                }
            }
            "pack.malformed" | "pack.several" | "pack.not_in.unknown" | "pack.not_in.mismatch"
                if tries >= TRIES_MAX =>
            {
                self.aside.push(thing);
            }
            "pack.not_in.rejected"
            | "pack.not_in.dead"
            | "pack.not_in.never_issued"
            | "pack.not_in.unresolved"
            | "pack.not_in.wrong_level"
            | "pack.not_in.not_closed"
            | "pack.not_in.voided" => self.aside.push(thing),
            // Not understood, or nothing that is the thing's fault.
            _ => self.hand = Hand::Thing { thing, tries: tries + 1 },
        }
    }

    fn label_refused(&mut self, symbol: Vec<u8>, on: usize, tries: u32, screen: &Screen) {
        let unread = tries < TRIES_MAX && screen.last == "pack.malformed";
        match screen.last.as_str() {
            _ if unread => self.hand = Hand::Label { symbol, on, tries: tries + 1 },
            "pack.other_label" | "pack.name_used" | "pack.malformed" => self.tear_off(&symbol, on),
            _ if tries >= TRIES_MAX => self.tear_off(&symbol, on),
            // The name on the screen is another than that on the label.
            _ if screen.open.is_some() && !is_on(screen.name.as_deref(), &symbol) => {
                self.tear_off(&symbol, on);
            }
            _ if screen.open.is_some() => self.hand = Hand::Label { symbol, on, tries: tries + 1 },
            _ => {
                self.wish = Some(Wish::Look(symbol.clone()));
                self.hand = Hand::Label { symbol, on, tries: tries + 1 };
            }
        }
    }

    pub(super) fn tear_off(&mut self, symbol: &[u8], on: usize) {
        let labels = &mut self.carton_at(on).labels;
        if let Some(at) = labels.iter().position(|label| label == symbol) {
            labels.remove(at);
        }
    }

    /// The pack is closed: the box is put aside, and the next one stands there.
    fn closed(&mut self) {
        self.hand = Hand::Empty;
        self.carton().stage = Stage::Done;
        self.at += 1;
        (self.label_first, self.label_since_ns) = (false, None);
        self.reopened();
    }

    /// The pack is none any more: its things are on the table again, its labels are torn off.
    fn emptied(&mut self) {
        let carton = self.carton();
        carton.labels.clear();
        let things = std::mem::take(&mut carton.things);
        for thing in things.into_iter().rev() {
            self.table.push_front(thing);
        }
        (self.label_first, self.label_since_ns) = (false, None);
    }

    fn taken_out(&mut self, symbol: &[u8]) {
        let things = &mut self.carton().things;
        if let Some(at) = things.iter().position(|t| t.symbol.as_deref() == Some(symbol)) {
            let thing = things.remove(at);
            self.aside.push(thing);
        }
    }

    // ---- what comes next

    fn go_on(&mut self, screen: &Screen) {
        match self.hand.clone() {
            Hand::Thing { thing, .. } => return self.scan(thing.symbol.as_deref(), About::Thing),
            Hand::Label { symbol, .. } => return self.scan(Some(&symbol), About::Label),
            Hand::Empty => {}
        }
        let Some((content, capacity)) = screen.open else {
            self.label_first = false;
            return self.next_thing(screen);
        };
        if self.label_first || screen.name.is_some() || screen.label.is_some() || content >= capacity {
            self.label_first = true;
            return self.label(screen);
        }
        self.next_thing(screen);
    }

    fn next_thing(&mut self, screen: &Screen) {
        let Some(thing) = self.table.pop_front() else { return self.table_is_empty(screen) };
        if thing.symbol.is_none() {
            return self.aside.push(thing);
        }
        match self.faults.first(&[FaultKind::Unscanned, FaultKind::StrangerScanned]) {
            Some(FaultKind::Unscanned) => self.put_in_unscanned(thing),
            Some(_) => {
                self.hand = Hand::Thing { thing, tries: 0 };
                self.scan_stray();
            }
            None => {
                self.hand = Hand::Thing { thing, tries: 0 };
                self.go_on(screen);
            }
        }
    }

    fn table_is_empty(&mut self, screen: &Screen) {
        if !self.last {
            self.next_ns += 100 * MS;
        } else if !self.again.is_empty() {
            self.table.extend(self.again.drain(..));
        } else {
            match screen.open {
                Some((0, _)) => self.wish = Some(Wish::Void),
                Some(_) => self.wish = Some(Wish::Short),
                None => self.done = true,
            }
        }
    }

    /// The box gets its label.
    fn label(&mut self, screen: &Screen) {
        let now_ns = self.now_ns;
        if self.has_roll {
            return self.label_of_roll();
        }
        if self.printer.labels_on_web() > 0 {
            self.label_since_ns = None;
            let label = self.printer.take_label(now_ns);
            let symbol = label.filter(|label| !label.damaged).and_then(|label| label.symbol);
            // One that nobody can read is thrown away.
            return symbol.into_iter().for_each(|symbol| self.stick_on(symbol));
        }
        let since_ns = *self.label_since_ns.get_or_insert(now_ns);
        let waited = |ms: u64| now_ns >= since_ns + ms * MS;
        let asks = match screen.label {
            Some("unasked") => true,
            Some("printed" | "doubtful") => waited(LABEL_PATIENCE_MS),
            Some(_) => false,
            None => waited(NAME_PATIENCE_MS),
        };
        if asks {
            self.label_since_ns = None;
            self.wish = Some(Wish::Reprint);
        }
    }
}
