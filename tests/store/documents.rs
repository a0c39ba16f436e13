//! Documents of packs: what may be told and when, one document at a time for each pack, and what each end leaves.

use tamga::store::error::Rule;
use tamga_domain::document::{
    DocumentAnswer, DocumentKind, DocumentRecord, Gathered, Limits, Member, PieceEnd, TOO_MANY,
};
use tamga_domain::ids::{DocumentNo, PackNo};
use tamga_domain::lifecycle::State;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::rework::{Fate, Rework};
use tamga_domain::pack::{Child, Holds, Level, Mixing, Terms, Told};
use tamga_domain::record::{Answer, Record, ReportState};

use crate::kit::*;
use crate::packs::{BOX, PALLET, PALLETS, item, names, with_passed};

const KIND: DocumentKind = DocumentKind::Aggregation;
const APART: DocumentKind = DocumentKind::Disaggregation;

fn packing(passed: u32) -> World {
    let (mut w, _) = with_passed(passed);
    w.store.use_names(&names(0, 1_000)).unwrap();
    w
}

impl World {
    fn document(&mut self, record: DocumentRecord) -> DocumentAnswer {
        match self.apply(Record::Document(record)).unwrap() {
            Some(Answer::Document(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn gather_into(&mut self, kind: DocumentKind, document: Option<DocumentNo>, limits: Limits) -> Gathered {
        let (by, at) = (self.at(), self.at());
        let record = DocumentRecord::Gather { kind, document, after: 0, lots: true, limits, by, at };
        let DocumentAnswer::Gathered(gathered) = self.document(record) else { panic!("not gathered") };
        self.verified();
        gathered
    }

    /// The packs that the next document of a kind carries.
    pub fn gather(&mut self, kind: DocumentKind) -> Option<(DocumentNo, u32)> {
        let gathered = self.gather_into(kind, None, Limits::KNOWN);
        assert_eq!((gathered.refused, gathered.next), (None, None));
        gathered.document.map(|d| (d.no, d.pieces))
    }

    fn ends(&mut self, document: DocumentNo, ends: &[(u32, PieceEnd)]) {
        let record = DocumentRecord::Ends { document, ends: ends.to_vec(), at: self.at() };
        self.twice(Record::Document(record));
        self.verified();
    }

    fn becomes(&mut self, document: DocumentNo, state: ReportState) -> Record {
        Record::Document(DocumentRecord::State { document, state, why: "test".into(), at: self.at() })
    }

    /// All of a document is in effect.
    fn taken(&mut self, (document, pieces): (DocumentNo, u32)) {
        let ends: Vec<_> = (1..=pieces).map(|piece| (piece, PieceEnd::Taken)).collect();
        self.ends(document, &ends);
        let record = self.becomes(document, ReportState::Accepted);
        self.twice(record);
    }

    pub fn tell(&mut self, kind: DocumentKind) {
        let document = self.gather(kind).expect("something to tell");
        self.taken(document);
    }

    pub fn are_applied(&mut self, from: u32, to: u32) {
        let run = self.store.view().runs_open().unwrap()[0].0;
        let report = self.report(run, &[(from, to)]);
        let record = self.report_state(report, ReportState::Accepted);
        self.apply(record).unwrap();
    }

    fn told_of(&self, pack: PackNo) -> Told {
        self.store.view().pack_no(pack).unwrap().unwrap().told
    }

    pub fn pallet_of(&mut self, children: &[Child]) -> PackNo {
        let PackAnswer::In { pack, .. } = self.put(PALLET, PALLETS, None, children) else { panic!("not in") };
        self.name(pack, NewName::Next);
        let (short, close) = (self.short(pack), self.close(pack));
        self.apply(short).unwrap();
        self.apply(close).unwrap();
        pack
    }

    fn rework_all(&mut self, works: &[Rework]) {
        let (works, reason, who, at) = (works.to_vec(), "broken".into(), "anna".into(), self.at());
        let answer = self.pack(PackRecord::Rework { key: None, works, shown: None, reason, who, at });
        assert!(matches!(answer, PackAnswer::Reworked(_)), "{answer:?}");
    }

    fn take_out(&mut self, pack: PackNo, child: Child) {
        let (reason, who, at) = ("wrong".into(), "anna".into(), self.at());
        self.pack(PackRecord::Out { pack, child, reason, who, at });
    }
}

#[test]
fn a_box_is_told_when_all_its_items_are_applied_and_a_pallet_when_its_boxes_are_told() {
    let mut w = packing(6);
    let ((first, a), (second, b)) = (w.boxed(1..=3), w.boxed(4..=6));
    let pallet = w.pallet_of(&[Child::pack(a), Child::pack(b)]);
    assert_eq!(w.gather(KIND), None, "nothing is applied");
    w.are_applied(1, 4);
    let (document, pieces) = w.gather(KIND).unwrap();
    assert_eq!((pieces, w.told_of(first), w.told_of(second)), (1, Told::Aggregating, Told::Nothing));
    assert_eq!(w.gather(KIND), None, "a pack is in one document");
    w.are_applied(5, 6);
    w.taken((document, pieces));
    assert_eq!(w.told_of(first), Told::Aggregated);
    w.tell(KIND);
    assert_eq!((w.told_of(second), w.told_of(pallet)), (Told::Aggregated, Told::Nothing));
    let (document, pieces) = w.gather(KIND).unwrap();
    assert_eq!((pieces, w.told_of(pallet)), (1, Told::Aggregating));
    let piece = w.store.view().pieces(document, 1, 9).unwrap().remove(0);
    assert_eq!((piece.capacity, piece.children), (2, vec![Member::Pack(a), Member::Pack(b)]));
}

#[test]
fn what_lay_in_a_told_pack_waits_until_that_is_taken_apart_and_parents_are_first() {
    let mut w = packing(6);
    w.are_applied(1, 6);
    let ((first, a), (_, b)) = (w.boxed(1..=3), w.boxed(4..=6));
    w.tell(KIND);
    let pallet = w.pallet_of(&[Child::pack(a), Child::pack(b)]);
    w.tell(KIND);
    for pack in [pallet, first] {
        let record = w.void(pack);
        w.twice(record);
    }
    let (new, _) = w.boxed(1..=3);
    let other = w.pallet_of(&[Child::pack(b)]);
    assert_eq!(w.gather(KIND), None, "its items lie in the first box upstream, the second box on the pallet");
    let (document, pieces) = w.gather(APART).unwrap();
    assert_eq!((pieces, w.told_of(pallet), w.told_of(first)), (1, Told::Disaggregating, Told::Aggregated));
    assert_eq!((w.gather(KIND), w.gather(APART)), (None, None), "the answer is not here");
    w.taken((document, pieces));
    assert_eq!(w.gather(KIND).map(|d| d.1), Some(1), "the second box is free for its new pallet");
    assert_eq!((w.told_of(other), w.told_of(new)), (Told::Aggregating, Told::Nothing));
    w.tell(APART);
    assert_eq!(w.told_of(first), Told::Disaggregated);
    w.tell(KIND);
    assert_eq!(w.told_of(new), Told::Aggregated);
}

#[test]
fn a_pack_does_not_wait_for_what_was_taken_out_of_it() {
    let mut w = packing(4);
    w.are_applied(1, 3);
    let (pack, _) = w.boxed(2..=4);
    assert_eq!(w.gather(KIND), None, "item 4 is not applied");
    let record = w.void(pack);
    w.apply(record).unwrap();
    let boxes = Terms { level: Level::Box, holds: Holds::Items, capacity: 3, mixing: Mixing::SameRun };
    let PackAnswer::In { pack, .. } = w.put(BOX, boxes, None, &[item(1), item(2), item(4)]) else { panic!() };
    w.take_out(pack, item(4));
    w.put(BOX, boxes, Some(pack), &[item(3)]);
    w.name(pack, NewName::Next);
    let record = w.close(pack);
    w.apply(record).unwrap();
    w.tell(KIND);
    assert_eq!(
        w.told_of(pack),
        Told::Aggregated,
        "the voided box was never told: nothing is to be taken apart"
    );
    assert_eq!(w.gather(APART), None);
}

#[test]
fn each_piece_has_an_end_of_its_own_and_a_document_ends_with_its_last_piece() {
    let mut w = packing(9);
    w.are_applied(1, 9);
    let packs = [w.boxed(1..=3).0, w.boxed(4..=6).0, w.boxed(7..=9).0];
    let (document, pieces) = w.gather(KIND).unwrap();
    assert_eq!(pieces, 3);
    let told = |w: &World| packs.map(|pack| w.told_of(pack));
    w.ends(document, &[(1, PieceEnd::Taken), (2, PieceEnd::Refused("bad".into()))]);
    let record = w.becomes(document, ReportState::Accepted);
    assert!(matches!(w.refused(record), Rule::Constraint(_)), "a piece is open");
    let found = tamga::books::snapshot(&w.store.view(), "agent7").unwrap().documents;
    let ends = vec![(1, PieceEnd::Taken), (2, PieceEnd::Refused("bad".into()))];
    assert_eq!(found.into_iter().map(|d| d.ends).collect::<Vec<_>>(), [ends], "what a start goes on from");
    w.ends(document, &[(3, PieceEnd::Free { lot: 7 }), (1, PieceEnd::Refused("late".into()))]);
    assert_eq!(told(&w), [Told::Aggregated, Told::Refused, Told::Nothing], "the first end counts");
    let record = w.becomes(document, ReportState::Accepted);
    w.twice(record);
    let (again, at) = (w.becomes(document, ReportState::Sent), w.at());
    assert!(matches!(w.refused(again), Rule::DocumentStep { .. }));
    let carried = w.store.view().documents_of(packs[1]).unwrap();
    assert_eq!((carried[0].ended, carried[0].why.as_str()), ("refused", "bad"));
    // What is of a lot goes with its lot only, and a refused pack only when a person says so.
    let (reason, who) = ("mended".to_owned(), "anna".to_owned());
    let record = DocumentRecord::Again { pack: packs[1], reason, who, at };
    assert_eq!(w.document(record), DocumentAnswer::Again(true));
    let gathered = w.gather_into(KIND, None, Limits::KNOWN);
    assert_eq!((gathered.document.map(|d| (d.pieces, d.root)), gathered.more), (Some((1, None)), true));
    let gathered = w.gather_into(KIND, None, Limits::KNOWN);
    assert_eq!(gathered.document.map(|d| (d.pieces, d.root)), Some((1, Some(DocumentNo(3)))));
    assert_eq!(told(&w), [Told::Aggregated, Told::Aggregating, Told::Aggregating]);
}

#[test]
fn a_document_has_what_the_state_system_takes() {
    let mut w = packing(9);
    w.are_applied(1, 9);
    let packs = [w.boxed(1..=3).0, w.boxed(4..=6).0, w.boxed(7..=9).0];
    let small = Limits { codes: 7, ..Limits::KNOWN };
    let gathered = w.gather_into(KIND, None, small);
    assert_eq!((gathered.document.unwrap().codes, gathered.full), (6, true));
    let before = gathered.document.unwrap();
    let gathered = w.gather_into(KIND, Some(before.no), Limits::KNOWN);
    assert_eq!(gathered.document.map(|d| (d.no, d.pieces)), Some((before.no, 3)), "gone on with");
    let stored = w.store.view().documents_open().unwrap()[0].draft;
    assert_eq!(gathered.document, Some(stored));
    assert!(stored.moment > before.moment, "what went in last was packed after the first moment");
    let sent = w.becomes(before.no, ReportState::Sent);
    w.twice(sent);
    let (by, at) = (w.at(), w.at());
    let record = DocumentRecord::Gather {
        kind: KIND,
        document: Some(before.no),
        after: 0,
        lots: true,
        limits: small,
        by,
        at,
    };
    assert!(matches!(w.refused(Record::Document(record)), Rule::DocumentStep { .. }), "it may have left");
    w.taken((before.no, 3));
    let record = w.void(packs[0]);
    w.apply(record).unwrap();
    let (large, _) = w.boxed(1..=3);
    w.tell(APART);
    let gathered = w.gather_into(KIND, None, Limits { children: [200, 2, 500], ..Limits::KNOWN });
    assert_eq!((gathered.document, gathered.refused), (None, Some((1, TOO_MANY))));
    assert_eq!(w.told_of(large), Told::Refused);
}

#[test]
fn a_pack_made_after_the_moment_of_a_document_waits_for_the_next_one() {
    let mut w = packing(3);
    let early = w.at();
    w.are_applied(1, 3);
    w.boxed(1..=3);
    let at = w.at();
    let record = |by| DocumentRecord::Gather {
        kind: KIND,
        document: None,
        after: 0,
        lots: true,
        limits: Limits::KNOWN,
        by,
        at,
    };
    let production = w.store.view().reports(None, None, 1).unwrap()[0].production;
    assert!(production < early);
    for (by, pieces) in [(production, None), (production.plus_ms(1), Some(1))] {
        let DocumentAnswer::Gathered(gathered) = w.document(record(by)) else { panic!() };
        assert_eq!(gathered.document.map(|d| d.pieces), pieces, "later than the production, and never bent");
    }
}

/// A closed pack may be changed under its name as long as upstream knows nothing of it.
#[test]
fn what_was_taken_out_before_a_pack_was_told_does_not_lie_in_it_upstream() {
    let mut w = packing(6);
    w.are_applied(1, 6);
    let (first, _) = w.boxed(1..=3);
    let out = Rework::Out { children: vec![item(3)], fate: Fate::Free };
    w.rework_all(&[out]);
    assert_eq!(w.store.view().pack_no(first).unwrap().unwrap().content, 2);
    w.tell(KIND);
    assert_eq!(w.told_of(first), Told::Aggregated);
    let (second, _) = w.boxed(3..=5);
    w.tell(KIND);
    assert_eq!(w.told_of(second), Told::Aggregated);
}

#[test]
fn an_applied_code_is_written_off_when_its_document_is_in_effect() {
    let mut w = packing(6);
    w.are_applied(1, 6);
    let (pack, _) = w.boxed(1..=3);
    w.tell(KIND);
    let scrap = |n| Rework::Out { children: vec![item(n)], fate: Fate::Scrap };
    w.rework_all(&[scrap(1)]);
    assert_eq!(w.gather(DocumentKind::Withdrawal), None, "it lies in the box upstream");
    w.tell(APART);
    assert_eq!(w.told_of(pack), Told::Disaggregated);
    let (document, pieces) = w.gather(DocumentKind::Withdrawal).unwrap();
    assert_eq!((w.state(1), pieces), (Some(State::Applied), 1));
    w.ends(document, &[(1, PieceEnd::Free { lot: 0 })]);
    let record = w.becomes(document, ReportState::Refused);
    w.twice(record);
    let document = w.gather(DocumentKind::Withdrawal).unwrap();
    w.taken(document);
    assert_eq!(w.state(1), Some(State::WrittenOff));
    assert_eq!(w.store.view().block_totals().unwrap().written_off, 1);
    assert_eq!(w.gather(DocumentKind::Withdrawal), None);
}

#[test]
fn looking_for_what_may_be_told_goes_by_an_index() {
    let w = packing(3);
    let path = tamga::store::open::database_path(w.folder.path());
    let conn = rusqlite::Connection::open(path).unwrap();
    for (sql, index) in [
        (
            "SELECT pack_no FROM packs WHERE state = 1 AND told = 0 AND agent IS NULL AND pack_no > 5 ORDER BY pack_no LIMIT 50",
            "packs_to_aggregate",
        ),
        (
            "SELECT pack_no FROM packs WHERE state = 2 AND told = 2 AND agent IS NULL AND pack_no > 5 ORDER BY pack_no LIMIT 50",
            "packs_to_take_apart",
        ),
        ("SELECT id FROM write_offs WHERE told = 0 AND id > 5 ORDER BY id LIMIT 50", "write_offs_wait"),
    ] {
        let plan: String = conn.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |r| r.get(3)).unwrap();
        assert!(plan.contains(index), "{sql}: {plan}");
    }
}
