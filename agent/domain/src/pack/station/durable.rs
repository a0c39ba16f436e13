//! What is durable now, and what follows from it.

use super::super::ask::StationReply;
use super::super::judge::NotIn;
use super::super::record::PackAnswer;
use super::{Doing, Label, LabelId, LabelJob, LabelOf, Naming, Open, Signal, Station, StationEffect};
use crate::ids::{PackNo, TxnId};
use crate::line::AskId;
use crate::line::ask::Refusal;
use crate::record::Answer;
use crate::time::Wall;

impl Station {
    pub(super) fn on_commit_failed(&mut self, wall: Wall, out: &mut Vec<StationEffect>) {
        self.broken = true;
        if let Some((
            _,
            Doing::Short(id) | Doing::Out(id) | Doing::Void(id) | Doing::Reprint(id) | Doing::LabelOf(id, _),
        )) = self.doing.take()
        {
            out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.disk"))));
        }
        // No sound: nobody knows whether it is in, and what is heard as refused would be put aside.
        self.say(false, "pack.broken", vec![], wall);
    }

    pub(super) fn on_committed(
        &mut self,
        txn: TxnId,
        answers: Vec<Answer>,
        wall: Wall,
        out: &mut Vec<StationEffect>,
    ) {
        let Some((_, doing)) = self.doing.take_if(|(id, _)| *id == txn) else { return };
        let answer = answers.into_iter().next();
        match (doing, answer) {
            (Doing::In | Doing::Layer, Some(Answer::Pack(PackAnswer::In { pack, content }))) => {
                self.layer = None;
                self.taken(pack, content, wall, out);
            }
            (Doing::In | Doing::Layer, Some(Answer::Pack(PackAnswer::InSeen { pack, content, seen }))) => {
                self.layer = None;
                self.taken(pack, content, wall, out);
                out.extend(seen.into_iter().map(StationEffect::Seen));
            }
            (Doing::In, Some(Answer::Pack(PackAnswer::NotIn(why)))) => self.not_in(&why, wall, out),
            (Doing::Layer, Some(Answer::Pack(PackAnswer::NotIn(why)))) => self.layer_not_in(&why, wall, out),
            (Doing::Short(id), _) => self.short(id, out),
            (Doing::Name, answer) => self.named(answer, wall, out),
            (Doing::Label, Some(Answer::Pack(PackAnswer::Label(no)))) => self.label_wanted(no),
            (Doing::Reprint(id), Some(Answer::Pack(PackAnswer::Label(no)))) => {
                self.label_wanted(no);
                out.push(StationEffect::Reply(id, Ok(StationReply::Done)));
            }
            (
                Doing::LabelOf(id, LabelOf { pack, name, content }),
                Some(Answer::Pack(PackAnswer::Label(no))),
            ) => {
                out.push(StationEffect::Print(LabelJob { id: LabelId { pack, no }, name, content }));
                out.push(StationEffect::Reply(id, Ok(StationReply::Done)));
            }
            // It became void meanwhile.
            (Doing::LabelOf(id, LabelOf { name, .. }), _) => {
                let refused = Refusal::new("rework.not_done.voided").with("pack", name);
                out.push(StationEffect::Reply(id, Err(refused)));
            }
            (Doing::Close, _) => self.is_closed(wall, out),
            (Doing::Out(id), Some(Answer::Pack(PackAnswer::Out(left)))) => {
                if let (Some(left), Some(open)) = (left, &mut self.open) {
                    open.content = left;
                }
                let reply = left.map(|left| StationReply::Out { left });
                out.push(StationEffect::Reply(id, reply.ok_or_else(|| Refusal::new("refuse.not_in_pack"))));
            }
            // Told as it is: the pack stays the station's.
            (Doing::Void(id), Some(answer)) => {
                let refused = self.not_voided(&answer);
                out.push(StationEffect::Reply(id, Err(refused)));
            }
            (Doing::Void(id), None) => {
                self.open = None;
                self.say(true, "pack.voided", vec![], wall);
                out.push(StationEffect::Reply(id, Ok(StationReply::Done)));
            }
            (Doing::In | Doing::Layer | Doing::Label | Doing::Reprint(_) | Doing::Out(_), _) => {}
        }
    }

    /// Why the open pack could not be made void.
    fn not_voided(&self, answer: &Answer) -> Refusal {
        let open = self.open.as_ref();
        let name = open.map(|open| open.name.map_or_else(|| open.pack.to_string(), |name| name.to_string()));
        let name = name.unwrap_or_default();
        match answer {
            Answer::Pack(PackAnswer::Elsewhere(agent)) => {
                Refusal::new("rework.not_done.elsewhere").with("agent", agent).with("pack", name)
            }
            _ => Refusal::new("rework.not_done.wait").with("pack", name),
        }
    }

    fn taken(&mut self, pack: PackNo, content: u32, wall: Wall, out: &mut Vec<StationEffect>) {
        let terms = self.config.terms;
        let fresh = || Open { pack, terms, content, name: None, label: None, short: false };
        let open = self.open.get_or_insert_with(fresh);
        open.content = content;
        let capacity = open.terms.capacity;
        let key = match (open.is_full(), self.config.naming) {
            (false, _) => "pack.taken",
            (true, Naming::Printed) => "pack.full",
            (true, Naming::PrePrinted) => "pack.scan_name",
            (true, Naming::Codes) => "pack.scan_code",
        };
        let args = vec![("content", content.to_string()), ("capacity", capacity.to_string())];
        self.say(true, key, args, wall);
        self.signal(Signal::Taken, out);
    }

    pub(super) fn not_in(&mut self, why: &[(usize, NotIn)], wall: Wall, out: &mut Vec<StationEffect>) {
        let Some((_, why)) = why.first() else { return };
        // Scanned again since nobody heard that it is in: it is in the hand still, and belongs into the pack.
        if *why == NotIn::Again
            && self.unheard
            && let Some(open) = &self.open
        {
            return self.taken(open.pack, open.content, wall, out);
        }
        self.not_for(*why, wall, out);
    }

    fn not_for(&mut self, why: NotIn, wall: Wall, out: &mut Vec<StationEffect>) {
        let name = self.open.as_ref().and_then(|open| open.name);
        let arg = match why {
            NotIn::Packed(pack) => Some(("pack", pack.to_string())),
            NotIn::Elsewhere(agent) => Some(("agent", agent.to_string())),
            NotIn::Named => name.map(|name| ("name", name.to_string())),
            NotIn::Full if self.nameless => return self.refuse("pack.no_names", vec![], wall, out),
            _ => None,
        };
        self.refuse(format!("pack.not_in.{}", why.key()), arg.into_iter().collect(), wall, out);
    }

    fn named(&mut self, answer: Option<Answer>, wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(open) = &mut self.open else { return };
        match answer {
            Some(Answer::Pack(PackAnswer::Named { name, .. })) => {
                open.name = Some(name);
                match self.config.naming {
                    Naming::Printed => open.label = Some(Label::Unasked),
                    // It was read on the pack: that closes it.
                    Naming::PrePrinted | Naming::Codes => self.close_by(name, None, wall, out),
                }
            }
            Some(Answer::Pack(PackAnswer::NameUsed(pack))) => {
                self.refuse("pack.name_used", vec![("pack", pack.to_string())], wall, out);
            }
            Some(Answer::Pack(PackAnswer::NotName(why))) => self.not_for(why, wall, out),
            Some(Answer::Barred(bar)) => {
                self.nameless = true;
                self.refuse(format!("refuse.{}", bar.key()), vec![], wall, out);
            }
            _ => {
                self.nameless = true;
                self.refuse("pack.no_names", vec![], wall, out);
            }
        }
    }

    /// That it is to be closed short is durable: it gets its name now.
    fn short(&mut self, id: AskId, out: &mut Vec<StationEffect>) {
        if let Some(open) = &mut self.open {
            open.short = true;
        }
        self.nameless = false;
        let reply = match self.config.naming {
            Naming::Printed => StationReply::Done,
            Naming::PrePrinted | Naming::Codes => StationReply::ScanName,
        };
        out.push(StationEffect::Reply(id, Ok(reply)));
    }

    fn label_wanted(&mut self, no: u32) {
        if let Some(open) = &mut self.open {
            open.label = Some(Label::Wanted(no));
        }
    }

    fn is_closed(&mut self, wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(open) = self.open.take() else { return };
        self.closed += 1;
        let name = open.name.map(|name| name.to_string()).unwrap_or_default();
        let args = vec![("name", name), ("content", open.content.to_string())];
        self.say(true, "pack.closed", args, wall);
        self.signal(Signal::Closed, out);
    }
}
