//! What people ask of a station.

use super::super::ask::{StationAsk, StationReply};
use super::super::record::PackRecord;
use super::super::{Child, PackName};
use super::{Doing, LabelOf, Naming, Scan, Station, StationEffect};
use crate::gs1::Gtin;
use crate::line::ask::Refusal;
use crate::line::{AskId, Product};
use crate::time::Wall;

impl Station {
    pub(super) fn asked(
        &mut self,
        id: AskId,
        ask: StationAsk,
        who: String,
        wall: Wall,
        out: &mut Vec<StationEffect>,
    ) {
        if let StationAsk::Label { pack, name, content, reason } = ask {
            let PackName::Sscc(name) = name else {
                return out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.own_code"))));
            };
            if !self.printer_ready || self.config.naming != Naming::Printed {
                return out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.no_label_printer"))));
            }
            let record = PackRecord::Label { pack, reason, who, at: wall };
            return self.commit(Doing::LabelOf(id, LabelOf { pack, name, content }), record, out);
        }
        let Some(open) = &mut self.open else {
            return out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.no_open_pack"))));
        };
        let pack = open.pack;
        match ask {
            StationAsk::Short { .. } if open.content == 0 => {
                out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.empty_pack"))));
            }
            StationAsk::Short { reason } => {
                self.commit(Doing::Short(id), PackRecord::Short { pack, reason, who, at: wall }, out);
            }
            StationAsk::Reprint { reason }
                if open.name.is_some() && self.config.naming == Naming::Printed =>
            {
                self.commit(Doing::Reprint(id), PackRecord::Label { pack, reason, who, at: wall }, out);
            }
            // Full, and its first label was held back since the start: this is the person it waited for.
            StationAsk::Reprint { .. }
                if open.name.is_none() && open.is_ready() && self.config.naming == Naming::Printed =>
            {
                self.nameless = false;
                out.push(StationEffect::Reply(id, Ok(StationReply::Done)));
            }
            StationAsk::Reprint { .. } => {
                out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.no_label"))));
            }
            StationAsk::Void { reason } => {
                self.commit(Doing::Void(id), PackRecord::Voided { pack, reason, who, at: wall }, out);
            }
            StationAsk::Out { .. } if open.name.is_some() => {
                out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.named_pack"))));
            }
            StationAsk::Out { scan, reason } => match self.child_of(&scan) {
                Some(child) => {
                    let record = PackRecord::Out { pack, child, reason, who, at: wall };
                    self.commit(Doing::Out(id), record, out);
                }
                None => out.push(StationEffect::Reply(id, Err(Refusal::new("refuse.not_a_code")))),
            },
            // It is of another pack, and was answered above.
            StationAsk::Label { .. } => {}
        }
    }

    /// What a person names, by scanning or typing it: an identity alone will do.
    fn child_of(&self, scan: &[u8]) -> Option<Child> {
        match self.understand(scan) {
            Scan::Child(child) => Some(child),
            Scan::Name(name, tail) => Some(Child::Pack { name, tail }),
            Scan::Bad(_) | Scan::Layer(_) => {
                let of_product = |(gtin, product): (&Gtin, &Product)| {
                    let identity = product.layout.parse_identity_with(scan, &self.config.substitutes).ok()?;
                    let child = match self.config.group_packs.contains_key(gtin) {
                        true => Child::pack(PackName::Code(identity)),
                        false => Child::Item { identity, tail: None },
                    };
                    (identity.gtin == *gtin).then_some(child)
                };
                self.config.products.iter().find_map(of_product)
            }
        }
    }
}
