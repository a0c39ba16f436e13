//! A plan is drafted from what a person wants, reaches up to what lies around it, and is judged as at packing.

use std::collections::BTreeMap;

use super::{Books, Edit, Fate, LOST_MAX, NAMED_MAX, NoLoss, NotDone, Plan, Rework, Way};
use crate::ids::PackNo;
use crate::pack::judge::{Kinship, Mark, NotIn, Thing, judge};
use crate::pack::{Child, Level, PackFacts, PackName, PackState};
use crate::record::Known;

/// What is to be done for all of these together, or why nothing is: the first thing that is in the way.
pub fn plan<B: Books>(works: &[Rework], books: &B) -> Result<Result<Plan, NotDone>, B::Fault> {
    let mut draft = Draft { books, edits: BTreeMap::new(), ends: Vec::new(), named: Vec::new() };
    match draft.whole(works) {
        Ok(plan) => Ok(Ok(plan)),
        Err(Stop::NotDone(why)) => Ok(Err(why)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

enum Stop<F> {
    NotDone(NotDone),
    Fault(F),
}

impl<F> From<NotDone> for Stop<F> {
    fn from(why: NotDone) -> Stop<F> {
        Stop::NotDone(why)
    }
}

type Done<T, B> = Result<T, Stop<<B as Books>::Fault>>;

struct Draft<'b, B: Books> {
    books: &'b B,
    edits: BTreeMap<PackNo, Edit>,
    /// Items whose code ends.
    ends: Vec<Child>,
    /// Packs whose end a person asked for.
    named: Vec<PackNo>,
}

impl<B: Books> Draft<'_, B> {
    fn whole(&mut self, works: &[Rework]) -> Done<Plan, B> {
        for work in works {
            self.wanted(work)?;
        }
        self.reach_up()?;
        self.judge_ins()?;
        let losses = self.losses()?;
        let mut edits: Vec<Edit> = std::mem::take(&mut self.edits).into_values().collect();
        edits.sort_by_key(|edit| (std::cmp::Reverse(edit.pack.terms.level), edit.pack.pack));
        let reaches = edits.iter().any(|e| e.way != Way::Under && !self.named.contains(&e.pack.pack));
        Ok(Plan { edits, losses, reaches })
    }

    // ---- what is wanted ----

    fn wanted(&mut self, work: &Rework) -> Done<(), B> {
        match work {
            Rework::Out { children, fate } => {
                self.few(children)?;
                children.iter().try_for_each(|child| self.out(child, *fate))
            }
            Rework::Replace { out, put, fate } => {
                if out.is(put) {
                    return Err(NotDone::Twice(put.clone()).into());
                }
                let pack = self.parent(out)?.ok_or_else(|| NotDone::NotPacked(out.clone()))?;
                self.out(out, *fate)?;
                self.edit(pack)?.ins.push(put.clone());
                Ok(())
            }
            Rework::Empty { pack } => self.empty(*pack),
            Rework::Unpack { pack } => self.unpack(*pack),
            Rework::Merge { from, into } => {
                let (a, b) = (self.facts(*from)?, self.facts(*into)?);
                if from == into || a.terms != b.terms {
                    return Err(NotDone::NotAlike(*into).into());
                }
                let all = self.books.content(*from).map_err(Stop::Fault)?;
                self.empty(*from)?;
                self.edit(*into)?.ins.extend(all);
                Ok(())
            }
            Rework::Move { children, to } => {
                self.few(children)?;
                for child in children {
                    match self.parent(child)? {
                        Some(parent) if parent == *to => {
                            let (child, pack) = (child.clone(), *to);
                            return Err(NotDone::NotIn { child, pack, why: NotIn::Again }.into());
                        }
                        Some(parent) => self.take(child, parent)?,
                        None => {}
                    }
                    self.edit(*to)?.ins.push(child.clone());
                }
                Ok(())
            }
        }
    }

    fn few(&self, children: &[Child]) -> Done<(), B> {
        let (named, most) = (children.len(), NAMED_MAX);
        if named > most { Err(NotDone::TooMany { named, most }.into()) } else { Ok(()) }
    }

    fn out(&mut self, child: &Child, fate: Fate) -> Done<(), B> {
        match self.parent(child)? {
            Some(pack) => self.take(child, pack)?,
            None if fate.ends() => {}
            None => return Err(NotDone::NotPacked(child.clone()).into()),
        }
        if fate.ends() { self.end(child) } else { Ok(()) }
    }

    fn take(&mut self, child: &Child, pack: PackNo) -> Done<(), B> {
        let edit = self.edit(pack)?;
        if edit.outs.iter().any(|out| out.is(child)) {
            return Err(NotDone::Twice(child.clone()).into());
        }
        edit.outs.push(child.clone());
        Ok(())
    }

    fn empty(&mut self, pack: PackNo) -> Done<(), B> {
        self.named.push(pack);
        let edit = self.edit(pack)?;
        (edit.empties, edit.outs) = (true, Vec::new());
        Ok(())
    }

    fn unpack(&mut self, pack: PackNo) -> Done<(), B> {
        self.empty(pack)?;
        for child in self.books.content(pack).map_err(Stop::Fault)? {
            if let Thing::Pack { facts: Some(inner), .. } = self.thing(&child)? {
                self.unpack(inner.pack)?;
            }
        }
        Ok(())
    }

    /// The code of an item ends, or those of all items in a pack.
    fn end(&mut self, child: &Child) -> Done<(), B> {
        match self.thing(child)? {
            Thing::Item { .. } => self.ends.push(child.clone()),
            Thing::Pack { facts: None, .. } => return Err(NotDone::Unknown(child.clone()).into()),
            Thing::Pack { facts: Some(pack), .. } => {
                let content = self.books.content(pack.pack).map_err(Stop::Fault)?;
                self.empty(pack.pack)?;
                content.iter().try_for_each(|inner| self.end(inner))?;
                // The code that a group pack bears ends with it.
                if let Some(PackName::Code(identity)) = pack.name {
                    self.ends.push(Child::Item { identity, tail: None });
                }
            }
        }
        let (named, most) = (self.ends.len(), LOST_MAX);
        if named > most { Err(NotDone::TooMany { named, most }.into()) } else { Ok(()) }
    }

    // ---- what it means for what lies around it ----

    /// A pack whose name becomes void leaves what it lies in, which changes that too: from the inside out.
    fn reach_up(&mut self) -> Done<(), B> {
        for level in Level::ALL {
            let here = |edit: &&Edit| edit.pack.terms.level == level;
            let packs: Vec<PackNo> = self.edits.values().filter(here).map(|edit| edit.pack.pack).collect();
            for pack in packs {
                if let Some((parent, name)) = self.settled(pack) {
                    let edit = self.edit(parent)?;
                    if !edit.empties && !edit.outs.iter().any(|out| out.is(&name)) {
                        edit.outs.push(name);
                    }
                }
            }
        }
        Ok(())
    }

    /// The way of a pack is known now. Answers what it lies in, and as what, where it has to leave it.
    fn settled(&mut self, pack: PackNo) -> Option<(PackNo, Child)> {
        let edit = self.edits.get_mut(&pack)?;
        let outs = u32::try_from(edit.outs.len()).unwrap_or(u32::MAX);
        let left = if edit.empties { 0 } else { edit.pack.content.saturating_sub(outs) };
        edit.content = left;
        if edit.empties || (left == 0 && edit.ins.is_empty()) {
            (edit.way, edit.empties) = (Way::Void, true);
            edit.outs.clear();
        }
        if edit.way == Way::Under {
            return None;
        }
        edit.pack.parent.zip(edit.pack.name.map(Child::pack))
    }

    // ---- what goes in ----

    fn judge_ins(&mut self) -> Done<(), B> {
        let packs: Vec<PackNo> = self.edits.keys().copied().collect();
        for pack in packs {
            let Some(edit) = self.edits.get(&pack) else { continue };
            let mut so_far =
                PackFacts { state: PackState::Open, name: None, content: edit.content, ..edit.pack.clone() };
            if so_far.content == 0 {
                (so_far.run, so_far.gtin) = (None, None);
            }
            for (place, child) in edit.ins.iter().enumerate() {
                let refused = |why| NotDone::NotIn { child: child.clone(), pack, why };
                if edit.way == Way::Void {
                    return Err(refused(NotIn::Voided).into());
                }
                if edit.ins.iter().take(place).any(|before| before.is(child))
                    || self.ends.iter().any(|e| e.is(child))
                {
                    return Err(NotDone::Twice(child.clone()).into());
                }
                let thing = self.freed(child, self.thing(child)?);
                if let Thing::Pack { facts: Some(inner), .. } = &thing
                    && self.edits.get(&inner.pack).is_some_and(|edit| edit.way != Way::Under)
                {
                    return Err(refused(NotIn::Voided).into());
                }
                let (Child::Item { tail, .. } | Child::Pack { tail, .. }) = child;
                let kin = judge(&thing, tail.as_deref(), so_far.terms, Some(&so_far)).map_err(refused)?;
                let all = Kinship { run: so_far.run, gtin: so_far.gtin }.with(kin, so_far.content == 0);
                (so_far.run, so_far.gtin) = (all.run, all.gtin);
                so_far.content += 1;
            }
            if let Some(edit) = self.edits.get_mut(&pack) {
                edit.content = so_far.content;
                edit.kin = Kinship { run: so_far.run, gtin: so_far.gtin };
            }
        }
        Ok(())
    }

    /// As it is once all that goes out is out.
    fn freed(&self, child: &Child, thing: Thing) -> Thing {
        let leaves = |parent: PackNo| {
            self.edits
                .get(&parent)
                .is_some_and(|edit| edit.empties || edit.outs.iter().any(|out| out.is(child)))
        };
        match thing {
            Thing::Item { gtin, mark, pack: Some(parent) } if leaves(parent) => {
                Thing::Item { gtin, mark, pack: None }
            }
            Thing::Pack { facts: Some(facts), mark } if facts.parent.is_some_and(leaves) => {
                Thing::Pack { facts: Some(PackFacts { parent: None, ..facts }), mark }
            }
            other => other,
        }
    }

    // ---- what ends ----

    fn losses(&mut self) -> Done<Vec<(Child, super::Loss)>, B> {
        let mut losses = Vec::new();
        for (place, child) in self.ends.iter().enumerate() {
            if self.ends.iter().take(place).any(|before| before.is(child)) {
                return Err(NotDone::Twice(child.clone()).into());
            }
            let standing = self.books.standing(child).map_err(Stop::Fault)?;
            let standing = standing.ok_or_else(|| NotDone::Unknown(child.clone()))?;
            let loss = standing.loss().map_err(|why| match why {
                NoLoss::Wait => NotDone::WaitItem(child.clone()),
                NoLoss::AtLine => NotDone::AtLine(child.clone()),
                NoLoss::NoItem => NotDone::NoItem(child.clone()),
            })?;
            losses.extend(loss.map(|loss| (child.clone(), loss)));
        }
        Ok(losses)
    }

    // ---- the books ----

    fn facts(&self, pack: PackNo) -> Done<PackFacts, B> {
        let found = self.books.pack(pack).map_err(Stop::Fault)?;
        found.ok_or_else(|| NotDone::NoSuchPack(pack).into())
    }

    fn thing(&self, child: &Child) -> Done<Thing, B> {
        self.books.thing(child).map_err(Stop::Fault)
    }

    /// The pack that it lies in.
    fn parent(&self, child: &Child) -> Done<Option<PackNo>, B> {
        match self.thing(child)? {
            Thing::Item { mark: Mark { known: Known::Unknown, .. }, .. }
            | Thing::Pack { facts: None, .. } => Err(NotDone::Unknown(child.clone()).into()),
            Thing::Item { pack, .. } => Ok(pack),
            Thing::Pack { facts: Some(facts), .. } => Ok(facts.parent),
        }
    }

    /// The edit of a pack, which may be changed.
    fn edit(&mut self, pack: PackNo) -> Done<&mut Edit, B> {
        if !self.edits.contains_key(&pack) {
            let facts = self.facts(pack)?;
            let way = Way::of(&facts)?;
            let (content, kin) = (facts.content, Kinship { run: facts.run, gtin: facts.gtin });
            let new = Edit { pack: facts, way, empties: false, outs: vec![], ins: vec![], content, kin };
            self.edits.insert(pack, new);
        }
        self.edits.get_mut(&pack).ok_or(Stop::NotDone(NotDone::NoSuchPack(pack)))
    }
}
