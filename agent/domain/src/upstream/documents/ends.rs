//! The end of a document: first each piece of it has one, then it has.

use std::collections::BTreeSet;

use super::super::core::{Core, Subject};
use super::super::pace::Absence;
use super::{Document, Ended, Phase};
use crate::document::{DocumentRecord, PIECES_MAX, PieceEnd, lot_of};
use crate::record::{Record, ReportState};

impl Document {
    fn is_blameless(&self) -> bool {
        self.taken.is_empty() && self.named.is_empty() && self.strange.is_empty()
    }

    /// Each piece gets its end, where it has none yet.
    pub(super) fn decide(&mut self, core: &mut Core) {
        let rest = std::mem::take(&mut self.rest);
        let mut ends: Vec<(u32, PieceEnd)> = self.taken.iter().map(|p| (*p, PieceEnd::Taken)).collect();
        let strange = std::mem::take(&mut self.strange);
        let alone = self.is_blameless() && self.draft.pieces == 1;
        let is_the_one = alone && core.document_accepted_since(self.draft.kind, self.draft.root);
        // By its number: a start in the middle halves as was begun.
        let (blameless, half) = (self.is_blameless(), self.draft.pieces.div_ceil(2));
        for piece in rest {
            // What stays behind alone goes alone; what stays behind with what is named may be good.
            let lot = match (blameless, self.taken.is_empty()) {
                (true, _) => lot_of(self.draft.no, u32::from(piece > half)),
                (false, false) => lot_of(self.draft.no, 0),
                (false, true) => 0,
            };
            let end = match self.named.get(&piece) {
                Some(words) => PieceEnd::Refused(words.clone()),
                None if is_the_one => PieceEnd::Refused(self.reason.clone()),
                None => PieceEnd::Free { lot },
            };
            ends.push((piece, end));
        }
        ends.extend(strange.into_iter().map(|(piece, word)| (piece, PieceEnd::Refused(word))));
        let ended: BTreeSet<u32> = self.ends.iter().map(|(piece, _)| *piece).collect();
        ends.retain(|(piece, _)| !ended.contains(piece));
        ends.sort_by_key(|(piece, _)| *piece);
        (self.ended, self.last) = (self.ends.len(), false);
        self.ends.append(&mut ends);
        self.phase = Phase::Ending;
        self.end_next(core);
    }

    pub(super) fn end_next(&mut self, core: &mut Core) {
        let (document, at) = (self.draft.no, core.wall);
        if self.ended < self.ends.len() {
            let slice = self.ends[self.ended..].iter().take(PIECES_MAX as usize);
            let ends = slice.cloned().collect();
            self.busy = true;
            let record = Record::Document(DocumentRecord::Ends { document, ends, at });
            return core.commit(Subject::Document(document), vec![record]);
        }
        self.last = true;
        let accepted = !self.taken.is_empty();
        let state = if accepted { ReportState::Accepted } else { ReportState::Refused };
        let why = self.reason.clone();
        core.clear("alarm.report_unknown", &self.own_number(core));
        if accepted {
            core.document_accepted(self.draft.kind, document);
        }
        self.becomes(core, state, &why, Phase::Over);
    }

    /// A commit of it is durable. Says how it ended, once it did.
    pub fn committed(&mut self, core: &mut Core) -> Option<Ended> {
        self.busy = false;
        self.tries = 0;
        if self.phase == Phase::Ending && !self.last {
            self.ended += PIECES_MAX as usize;
            return None;
        }
        self.not_before = core.now;
        if self.phase != self.then {
            self.phase = self.then;
            self.absence = Absence::default();
        }
        (self.phase == Phase::Over).then(|| self.tell_end(core))
    }

    fn tell_end(&self, core: &mut Core) -> Ended {
        let refused = |(_, end): &&(u32, PieceEnd)| matches!(end, PieceEnd::Refused(_));
        let count = self.ends.iter().filter(refused).count();
        if let Some((_, PieceEnd::Refused(why))) = self.ends.iter().find(refused) {
            core.tell("alarm.packs_refused", &self.own_number(core), &format!("{count}: {why}"));
        }
        let accepted = !self.taken.is_empty();
        let blameless = self.is_blameless() && count == 0;
        Ended { accepted, blameless, alone: blameless && self.draft.pieces == 1 }
    }
}
