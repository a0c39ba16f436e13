//! What the gate says of items, and what is written down of it.

use super::items::{Item, Seen};
use super::{Effect, GateEvent, GateOrder, Line};
use crate::code::Identity;
use crate::ids::Tag;
use crate::record::{ItemEnd, Record, RunState};
use crate::time::{Time, Wall};
use crate::verdict::Reason;

/// Items that a gate may have numbered while the agent was away: a shift of eight hours at 33 items a second, the
/// fastest line. More is a fault of its count.
const AWAY_MAX: u32 = 1_000_000;

/// Items that a gate may have numbered between two looks of a connected agent: five minutes of the fastest line.
const UNSEEN_MAX: u32 = 10_000;

/// An end that the gate told of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Passed,
    Rejected,
    Lost,
}

impl Line {
    pub(super) fn on_gate(&mut self, event: GateEvent, now: Time, wall: Wall, out: &mut Vec<Effect>) {
        match event {
            GateEvent::Connected { last } => self.gate_connected(last, wall, out),
            GateEvent::Disconnected => {
                self.gate.connected = false;
                self.gate.faults.clear();
                self.stop("gate_lost", "", wall, out);
            }
            GateEvent::Seen { as_of } => self.items.gate_seen(as_of),
            GateEvent::Item { tag, at, within } => {
                let item = Item { within, ..Item::open(at) };
                self.on_item(tag, item, wall, out);
            }
            GateEvent::Passed(tag) => self.on_passed(tag, wall, out),
            GateEvent::Rejected(tag) => self.on_rejected(tag, wall),
            GateEvent::Lost(tag) => self.on_lost(tag, wall),
            GateEvent::Fault(f) => self.on_gate_fault(f, wall, out),
            GateEvent::Cleared(f) => self.gate.faults.retain(|x| *x != f),
        }
        let _ = now;
    }

    fn on_gate_fault(&mut self, fault: String, wall: Wall, out: &mut Vec<Effect>) {
        let stop = match fault.as_str() {
            "device_heartbeat_lost" | "agent_heartbeat_lost" => Some("gate_lost"),
            "reject_not_confirmed" => Some("not_rejected"),
            "escape" => Some("escape"),
            _ => None,
        };
        if let Some(why) = stop {
            self.stop(why, &fault, wall, out);
        }
        if !self.gate.faults.contains(&fault) {
            self.gate.faults.push(fault);
        }
    }

    /// The gate is there, with its memory told. Items it numbered while nobody looked were all rejected by it.
    fn gate_connected(&mut self, last: Tag, wall: Wall, out: &mut Vec<Effect>) {
        if self.gate.connected {
            // It powered up anew behind an open connection.
            self.stop("gate_lost", "", wall, out);
        }
        self.gate.connected = true;
        self.gate.faults.clear();
        self.gate_last = Some(last);
        self.clear("alarm.stop.gate_lost", wall);
        let order = if self.running() { GateOrder::StartLine } else { GateOrder::StopLine };
        out.push(Effect::Gate(order));
        let Some(run) = self.run.as_ref().filter(|r| r.state != RunState::Closing) else { return };
        let known = run.last_tag;
        let from = match known {
            Some(seen) if seen.boot == last.boot => seen.number,
            // Another boot: the count began again, so all of its tags are new. Before the first item of a run the
            // tags so far belong to no run.
            Some(_) => 0,
            None => last.number,
        };
        if known.is_some_and(|known| last < known) {
            // Its count began again: tags of this run would come a second time. The run can only be closed.
            self.gate_reset = true;
            self.forget_items(|_| true, wall);
            self.stop("count_reset", "", wall, out);
            return;
        }
        self.forgotten(last, wall);
        if last.number.saturating_sub(from) > AWAY_MAX {
            self.gate_reset = true;
            self.stop("items_unseen", "", wall, out);
            return;
        }
        self.while_away(Tag { number: from, ..last }, last.number, wall, out);
    }

    /// Items after `seen`, up to number `to`, came while nobody looked. The gate rejected them, but for those of which
    /// it told another end: these went by without leave; and for those that may still stand before it, which have no
    /// leave and whose end is waited for.
    fn while_away(&mut self, seen: Tag, to: u32, wall: Wall, out: &mut Vec<Effect>) {
        let last = Tag { number: to, ..seen };
        if last <= seen {
            return;
        }
        let mut from = seen;
        for number in seen.number.max(to.saturating_sub(self.config.gate.memory)) + 1..=to {
            let tag = Tag { number, ..seen };
            let end = self.told.get(&tag).copied();
            let stands =
                end.is_none() && number.saturating_add(self.config.gate.leaves) > to.saturating_add(1);
            if !stands && !matches!(end, Some(Told::Passed | Told::Lost)) {
                continue;
            }
            self.nobody_saw(from, number - 1, wall);
            self.came(tag, Item { seen: Seen::Bad(Reason::Away), ..Item::open(Time(0)) }, wall);
            self.ended(tag, end, wall, out);
            from = tag;
        }
        self.nobody_saw(from, to, wall);
        self.told.retain(|tag, _| *tag > last);
    }

    /// The gate told an end of a tag that nobody has heard of yet.
    fn told_early(&mut self, tag: Tag, end: Told) {
        let Some(run) = self.run.as_ref().filter(|r| r.state != RunState::Closing) else { return };
        // Of tags up to the last one known everything is written; before the first of a run they belong to none.
        if run.last_tag.is_some_and(|seen| seen < tag) && self.told.len() < self.config.gate.memory as usize {
            self.told.insert(tag, end);
        }
    }

    fn ended(&mut self, tag: Tag, end: Option<Told>, wall: Wall, out: &mut Vec<Effect>) {
        match end {
            Some(Told::Passed) => self.on_passed(tag, wall, out),
            Some(Told::Rejected) => self.on_rejected(tag, wall),
            Some(Told::Lost) => self.on_lost(tag, wall),
            None => {}
        }
    }

    fn came(&mut self, tag: Tag, item: Item, wall: Wall) {
        let Some(run) = self.run_id() else { return };
        self.lazy(Record::Trigger { run, tag, at: wall });
        self.count_trigger(tag);
        self.items.insert(tag, item);
    }

    /// Writes down items after `seen`, up to number `to`, that came while nobody looked: the gate rejected them. All
    /// items that the line follows were numbered before.
    fn nobody_saw(&mut self, seen: Tag, to: u32, wall: Wall) {
        let Some(run) = &mut self.run else { return };
        let count = to.saturating_sub(seen.number);
        if count == 0 {
            return;
        }
        let (from, to) = (Tag { number: seen.number + 1, ..seen }, Tag { number: to, ..seen });
        let id = run.id;
        run.triggers += count;
        run.last_tag = Some(to);
        *run.rejected.entry(Reason::Away.key()).or_default() += count;
        self.lazy(Record::Away { run: id, from, to, at: wall });
    }

    /// Items that the gate can tell nothing of any more: of an earlier boot, or older than its memory.
    fn forgotten(&mut self, last: Tag, wall: Wall) {
        let memory = self.config.gate.memory;
        self.forget_items(|t| t.boot != last.boot || t.number.saturating_add(memory) <= last.number, wall);
    }

    fn forget_items(&mut self, which: impl Fn(&Tag) -> bool, wall: Wall) {
        let tags: Vec<Tag> = self.items.iter().map(|(t, _)| *t).filter(|t| which(t)).collect();
        for tag in tags {
            match self.items.get_mut(tag).map(|i| i.seen.clone()) {
                Some(Seen::Judging { .. } | Seen::Good { .. }) => self.on_lost(tag, wall),
                Some(Seen::Open | Seen::Bad(_)) => self.on_rejected(tag, wall),
                None => {}
            }
        }
    }

    fn on_item(&mut self, tag: Tag, item: Item, wall: Wall, out: &mut Vec<Effect>) {
        self.gate_last = Some(tag);
        // While a run is being closed the belt is declared empty: what moves there now belongs to no run.
        let Some(run) = self.run.as_ref().filter(|r| r.state != RunState::Closing) else { return };
        if self.gate_reset {
            return;
        }
        let seen = run.last_tag;
        if let Some(seen) = seen.filter(|s| s.boot == tag.boot) {
            if tag.number.saturating_sub(seen.number) > UNSEEN_MAX {
                self.gate_reset = true;
                self.stop("items_unseen", "", wall, out);
                return;
            }
            // The gate numbered items faster than it was looked at: nobody judged them, so it rejected them. When they
            // came is not known, so their results could be taken for those of others.
            self.owed = self.owed.saturating_add(tag.number.saturating_sub(seen.number.saturating_add(1)));
            self.owed_at = self.owed_at.max(item.at);
            self.while_away(Tag { number: seen.number, ..tag }, tag.number.saturating_sub(1), wall, out);
        }
        self.came(tag, item, wall);
        if let Some(end) = self.told.remove(&tag) {
            // It is gone already: nobody gave it leave.
            return self.ended(tag, Some(end), wall, out);
        }
        if !self.running() {
            self.bad(tag, Reason::NotRunning, None, wall, out);
        }
    }

    fn on_passed(&mut self, tag: Tag, wall: Wall, out: &mut Vec<Effect>) {
        let Some(run) = self.run_id() else { return };
        // The gate tells its memory at every connect; ends that are written down already are nothing new.
        let Some(item) = self.items.remove(tag) else { return self.told_early(tag, Told::Passed) };
        if let Seen::Good { code } = item.seen {
            let end = ItemEnd::Passed { code };
            self.lazy(Record::End { run, tag, end, at: wall });
            if let Some(run) = &mut self.run {
                run.passed += 1;
            }
            return self.quantity_reached(wall, out);
        }
        self.lazy(Record::End { run, tag, end: ItemEnd::Escaped, at: wall });
        self.count_key("escaped");
        if let Some(code) = item.verified {
            // Its leave was withdrawn too late.
            self.pass_unknown.insert(code, tag);
            self.tell_unknown(wall);
        }
        self.stop("escape", &tag.to_string(), wall, out);
    }

    /// What the gate has not told of yet, or never will, is known: the item stands behind it.
    pub(super) fn on_seen(&mut self, code: Identity, wall: Wall, out: &mut Vec<Effect>) {
        if self.pass_unknown.remove(&code).is_some() {
            self.tell_unknown(wall);
            if let Some(run) = &mut self.run {
                run.passed += 1;
            }
            return self.quantity_reached(wall, out);
        }
        let of_code = |item: &Item| item.seen == Seen::Good { code } || item.verified == Some(code);
        let on_its_way = self.items.iter().find(|(_, item)| of_code(item));
        let Some((tag, is_good)) = on_its_way.map(|(tag, item)| (*tag, item.seen == Seen::Good { code }))
        else {
            return;
        };
        if is_good {
            return self.on_passed(tag, wall, out);
        }
        // Its leave was withdrawn, and it went through all the same: it has its end by that read.
        self.items.remove(tag);
        if let Some(run) = &mut self.run {
            run.passed += 1;
        }
        self.quantity_reached(wall, out);
    }

    fn on_rejected(&mut self, tag: Tag, wall: Wall) {
        let Some(item) = self.items.get_mut(tag) else { return self.told_early(tag, Told::Rejected) };
        item.rejected = true;
        match item.seen {
            // Its verdict is on the way: it ends when that is known.
            Seen::Judging { .. } => {}
            Seen::Open => {
                item.seen = Seen::Bad(Reason::NoResult);
                self.end_rejected(tag, wall);
            }
            Seen::Good { .. } | Seen::Bad(_) => self.end_rejected(tag, wall),
        }
    }

    /// Writes the end of an item that the gate rejected and whose verdict is known.
    pub(super) fn end_rejected(&mut self, tag: Tag, wall: Wall) {
        let Some(run) = self.run_id() else { return };
        let Some(item) = self.items.remove(tag) else { return };
        let reason = match item.seen {
            Seen::Good { .. } => Reason::Late,
            Seen::Bad(reason) => reason,
            Seen::Open | Seen::Judging { .. } => Reason::NoResult,
        };
        let code: Option<Identity> = item.verified;
        self.lazy(Record::End { run, tag, end: ItemEnd::Rejected { reason, code }, at: wall });
        self.count_rejected(reason);
    }

    /// Taken off between trigger and gate. A verified code of it is pass unknown until a person or a read settles it.
    pub(super) fn on_lost(&mut self, tag: Tag, wall: Wall) {
        let Some(run) = self.run_id() else { return };
        let Some(item) = self.items.remove(tag) else { return self.told_early(tag, Told::Lost) };
        self.taken_off(tag);
        let code = item.verified;
        if let Some(code) = &code {
            self.pass_unknown.insert(*code, tag);
            self.tell_unknown(wall);
        }
        self.lazy(Record::End { run, tag, end: ItemEnd::Lost { code }, at: wall });
        self.count_key("lost");
    }

    fn count_trigger(&mut self, tag: Tag) {
        if let Some(run) = &mut self.run {
            run.triggers += 1;
            run.last_tag = Some(tag);
        }
    }

    pub(super) fn count_rejected(&mut self, reason: Reason) {
        self.count_key(reason.key());
    }

    fn count_key(&mut self, key: &'static str) {
        if let Some(run) = &mut self.run {
            *run.rejected.entry(key).or_default() += 1;
        }
    }
}
