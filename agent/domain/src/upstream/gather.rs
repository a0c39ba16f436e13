//! Documents of one kind: when the next one is gathered out of what waits.
//!
//! The store looks through what waits a slice a record, so gathering a large document takes many. Only when all was
//! looked at, or nothing more goes in, is it sent.

use std::time::Duration;

use super::Step;
use super::config::DocumentFacts;
use super::core::{Core, Subject};
use super::documents::{Document, Ended};
use crate::document::{DocumentAnswer, DocumentKind, DocumentRecord, Drafted, Gathered, Waiting};
use crate::ids::DocumentNo;
use crate::record::{Answer, Record};
use crate::time::{Time, Wall};

/// Documents of a kind that are under way at once: one whose answer was lost holds up no others for its settling time.
const OPEN_MAX: usize = 4;
/// So many refusals in a row, none for a pack that shows, and parting documents leads nowhere: each halving sends two.
const REFUSALS_MAX: u32 = 24;
/// What was refused for no fault that shows is tried again at the latest after a day.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Gatherer {
    kind: DocumentKind,
    waits: bool,
    busy: bool,
    not_before: Time,
    /// The document being gathered.
    building: Option<Drafted>,
    more: bool,
    after: u32,
    /// Refusals that showed nothing, since the last document that was accepted; and until when lots wait.
    refusals: u32,
    held: u32,
    held_until: Time,
}

impl Gatherer {
    pub fn new(kind: DocumentKind) -> Gatherer {
        Gatherer {
            kind,
            waits: false,
            busy: false,
            not_before: Time(0),
            building: None,
            more: false,
            after: 0,
            refusals: 0,
            held: 0,
            held_until: Time(0),
        }
    }

    pub fn waits(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// Whether something refused waits.
    pub fn is_of_refused(&self) -> bool {
        self.refusals > 0
    }

    /// Asks for the next slice, if it is time for it. `open`: documents of this kind that are under way.
    pub fn act(&mut self, core: &mut Core, open: usize) {
        let idle = self.building.is_none() && self.after == 0;
        if self.busy || idle && (!self.waits || open >= OPEN_MAX) {
            return;
        }
        let Some(by) = core.server_now() else { return };
        let own = self.kind.key();
        if core.config.business_place.is_none() && self.kind != DocumentKind::Disaggregation {
            return core.tell("alarm.report_waits", own, "business_place is missing");
        }
        core.clear("alarm.report_waits", own);
        if idle && core.now < self.not_before {
            return core.wake_at(self.not_before);
        }
        let record = DocumentRecord::Gather {
            kind: self.kind,
            document: self.building.map(|d| d.no),
            after: self.after,
            lots: core.now >= self.held_until,
            limits: core.config.documents.limits,
            by,
            at: core.wall,
        };
        self.busy = true;
        core.commit(Subject::Gather(self.kind), vec![Record::Document(record)]);
    }

    /// A slice is durable. Gives the document that is whole now.
    pub fn gathered(&mut self, core: &mut Core, answers: &[Answer]) -> Option<(Drafted, Wall)> {
        self.busy = false;
        let gathered = answers.iter().find_map(|answer| match answer {
            Answer::Document(DocumentAnswer::Gathered(gathered)) => Some(gathered.clone()),
            _ => None,
        });
        let Gathered { document, full, more, refused, next } = gathered.unwrap_or_default();
        if let Some((count, why)) = refused {
            core.tell("alarm.packs_refused", self.kind.key(), &format!("{count}: {why}"));
        }
        self.building = document.or(self.building);
        self.more |= more || full;
        if let (Some(next), false) = (next, full) {
            self.after = next;
            return None;
        }
        self.after = 0;
        let more = std::mem::take(&mut self.more) && self.building.is_some();
        self.not_before = if more { core.now } else { core.now.after(core.config.documents.every) };
        self.building.take().map(|drafted| (drafted, core.wall))
    }

    /// A document of this kind came to its end.
    pub fn ended(&mut self, core: &Core, ended: &Ended) {
        if ended.accepted {
            (self.refusals, self.held, self.held_until) = (0, 0, Time(0));
        } else if ended.blameless {
            self.refusals = self.refusals.saturating_add(1);
            if ended.alone || self.refusals > REFUSALS_MAX {
                let pause = core.config.refused_pause.saturating_mul(1 << self.held.min(10));
                self.held_until = core.now.after(pause.min(PAUSE_MAX));
                self.held = self.held.saturating_add(1);
            }
        }
        // What it left goes on at once.
        self.not_before = core.now;
    }
}

impl Step {
    pub(super) fn waiting(&mut self, waiting: Waiting) {
        for (gatherer, waits) in self.gatherers.values_mut().zip(waiting.kinds) {
            gatherer.waits(waits);
        }
    }

    pub(super) fn gather(&mut self) {
        for (kind, gatherer) in &mut self.gatherers {
            let open = self.documents.values().filter(|d| d.draft.kind == *kind).count();
            gatherer.act(&mut self.core, open);
        }
    }

    pub(super) fn gathered(&mut self, kind: DocumentKind, answers: &[Answer]) {
        let Some(gatherer) = self.gatherers.get_mut(&kind) else { return };
        if let Some((draft, at)) = gatherer.gathered(&mut self.core, answers) {
            self.documents.insert(draft.no, Document::drafted(draft, at));
        }
    }

    pub(super) fn document_committed(&mut self, no: DocumentNo) {
        let Some(document) = self.documents.get_mut(&no) else { return };
        let ended = document.committed(&mut self.core);
        if let (Some(ended), Some(gatherer)) = (ended, self.gatherers.get_mut(&document.draft.kind)) {
            gatherer.ended(&self.core, &ended);
        }
    }

    /// What a start found.
    pub(super) fn recover_documents(
        &mut self,
        open: Vec<DocumentFacts>,
        accepted: &[(DocumentKind, DocumentNo)],
    ) {
        for (kind, no) in accepted {
            self.core.document_accepted(*kind, *no);
        }
        for facts in open {
            let document = Document::recovered(facts, self.core.wall);
            document.tell_unknown(&mut self.core, "the agent was restarted");
            self.documents.insert(document.draft.no, document);
        }
    }
}
