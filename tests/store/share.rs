//! Packs of several agents: letters that no change forgets, what others say, and one parent at most for all that.

use tamga::store::Store;
use tamga::store::error::Rule;
use tamga::store::read::packs::Content as Found;
use tamga_domain::document::DocumentKind;
use tamga_domain::ids::{AgentId, PackNo};
use tamga_domain::pack::judge::NotIn;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Child, Mixing, PackState, Terms};
use tamga_domain::record::Record;
use tamga_domain::share::{Claim, Content, Letter, Mark, News, ShareRecord};
use tamga_domain::sscc::Sscc;

use crate::kit::*;
use crate::packs::{PALLET, PALLETS, names, with_passed};

const A: AgentId = AgentId(0x0a1b_2c3d);
const C: AgentId = AgentId(0xcccc_cccc);

/// An agent that packs and tells, with boxes of three items, and one that palletizes.
struct Plant {
    a: World,
    c: World,
}

fn plant() -> Plant {
    let (mut a, _) = with_passed(12);
    a.store.use_names(&names(0, 1_000)).unwrap();
    a.share();
    let mut c = World::new();
    c.store.use_names(&names(5_000, 6_000)).unwrap();
    c.share();
    Plant { a, c }
}

impl World {
    pub fn share(&mut self) {
        let at = self.at();
        self.store.share(true, at).unwrap();
    }

    pub fn letters(&self) -> Vec<Letter> {
        let view = self.store.view();
        let state = view.share_state().unwrap();
        view.letters(state.stream, 1, state.head).unwrap()
    }

    pub fn stream(&self) -> u64 {
        self.store.view().share_state().unwrap().stream
    }

    pub fn take(&mut self, agent: AgentId, stream: u64, letters: Vec<Letter>) {
        let at = self.at();
        self.apply(Record::Share(ShareRecord::Taken { agent, stream, letters, at })).unwrap();
    }

    fn alarms(&self) -> Vec<(String, String)> {
        let open = self.store.view().alarms_open().unwrap();
        open.into_iter().map(|alarm| (alarm.key, alarm.detail)).collect()
    }

    fn void_pack(&mut self, pack: PackNo) -> Option<tamga_domain::record::Answer> {
        let at = self.at();
        let record = PackRecord::Voided { pack, reason: "wet".into(), who: "anna".into(), at };
        self.apply(Record::Pack(record)).unwrap()
    }

    fn out(&mut self, pack: PackNo, name: Sscc) -> PackAnswer {
        let (child, at) = (Child::pack(name), self.at());
        self.pack(PackRecord::Out { pack, child, reason: "wrong".into(), who: "anna".into(), at })
    }
}

impl Plant {
    /// Each learns of all that the other has said so far, some of it twice.
    fn tell(&mut self) {
        let (letters, stream) = (self.a.letters(), self.a.stream());
        self.c.take(A, stream, letters.clone());
        self.c.take(A, stream, letters);
        let (letters, stream) = (self.c.letters(), self.c.stream());
        self.a.take(C, stream, letters);
        self.a.verified();
        self.c.verified();
    }

    fn palletize(&mut self, name: Sscc) -> PackAnswer {
        let open = self.c.store.open_pack(PALLET).unwrap().map(|open| open.pack);
        self.c.put(PALLET, PALLETS, open, &[Child::pack(name)])
    }
}

#[test]
fn a_box_of_another_agent_is_known_with_its_content_and_goes_onto_a_pallet() {
    let mut p = plant();
    let (_, name) = p.a.boxed(1..=3);
    assert_eq!(p.palletize(name), PackAnswer::NotIn(vec![(0, NotIn::Unknown)]));
    p.tell();
    let known = p.c.store.view().pack(name.into()).unwrap().unwrap();
    assert_eq!((known.state, known.content, known.home), (PackState::Closed, 3, Some(A)));
    let mut items: Vec<Found> = (1..=3).map(|n| Found::Item(identity(n))).collect();
    items.sort_by_key(|item| format!("{item:?}"));
    assert_eq!(p.c.store.view().content(known.pack).unwrap(), items);
    assert_eq!(
        p.c.store.view().pack_of(&identity(2)).unwrap().unwrap().name,
        Some(name.into()),
        "a lone item's box"
    );
    let PackAnswer::In { pack, content: 1 } = p.palletize(name) else { panic!() };
    assert_eq!(p.palletize(name), PackAnswer::NotIn(vec![(0, NotIn::Again)]));
    assert_eq!(p.c.store.view().content(pack).unwrap(), [Found::Pack(name.into())]);
    p.tell();
    assert_eq!(p.a.store.view().pack(name.into()).unwrap().unwrap().elsewhere, Some(C));
}

#[test]
fn a_box_on_another_agents_pallet_is_not_reworked_here_until_it_is_taken_off_there() {
    let mut p = plant();
    let (pack, name) = p.a.boxed(1..=3);
    p.tell();
    let PackAnswer::In { pack: pallet, .. } = p.palletize(name) else { panic!() };
    p.tell();
    let answer = p.a.void_pack(pack);
    assert_eq!(answer, Some(tamga_domain::record::Answer::Pack(PackAnswer::Elsewhere(C))));
    let refused = p.a.put(PALLET, PALLETS, None, &[Child::pack(name)]);
    assert_eq!(refused, PackAnswer::NotIn(vec![(0, NotIn::Elsewhere(C))]));
    assert_eq!(p.c.out(pallet, name), PackAnswer::Out(Some(0)));
    p.tell();
    assert_eq!(p.a.void_pack(pack), None);
    p.tell();
    assert_eq!(p.palletize(name), PackAnswer::NotIn(vec![(0, NotIn::Voided)]));
    assert_eq!(p.c.alarms(), [], "nobody contradicted anybody");
    assert_eq!(p.a.alarms(), []);
}

#[test]
fn a_box_on_its_own_agents_pallet_does_not_go_onto_another() {
    let mut p = plant();
    let (_, name) = p.a.boxed(1..=3);
    let PackAnswer::In { .. } = p.a.put(PALLET, PALLETS, None, &[Child::pack(name)]) else { panic!() };
    p.tell();
    assert_eq!(p.palletize(name), PackAnswer::NotIn(vec![(0, NotIn::Elsewhere(A))]));
}

/// The broker was away: each acted on what it knew.
#[test]
fn a_box_that_two_agents_have_is_an_alarm_at_both_and_nothing_is_bent() {
    let mut p = plant();
    let (pack, name) = p.a.boxed(1..=3);
    p.tell();
    let PackAnswer::In { pack: pallet, .. } = p.palletize(name) else { panic!() };
    assert_eq!(p.a.void_pack(pack), None);
    p.tell();
    let at_c = [("alarm.pack_elsewhere".to_owned(), format!("{name} ({A})"))];
    assert_eq!(p.c.alarms(), at_c);
    assert_eq!(p.a.alarms(), [("alarm.pack_elsewhere".to_owned(), format!("{name} ({C})"))]);
    assert_eq!(
        p.c.store.view().content(pallet).unwrap(),
        [Found::Pack(name.into())],
        "where it lies a person says"
    );
    assert_eq!(p.c.store.view().pack(name.into()).unwrap().unwrap().state, PackState::Voided);
    p.c.out(pallet, name);
    assert_eq!(p.palletize(name), PackAnswer::NotIn(vec![(0, NotIn::Voided)]));
}

#[test]
fn letters_are_taken_in_order_once_and_older_news_turns_nothing_back() {
    let mut p = plant();
    let (pack, name) = p.a.boxed(1..=3);
    let early = p.a.letters();
    p.a.void_pack(pack);
    let (late, stream) = (p.a.letters(), p.a.stream());
    assert_eq!((early.len(), late.len()), (1, 2));
    // The first is sent again with what is known now; a copy of before comes behind it.
    p.c.take(A, stream, vec![late[0].clone()]);
    assert_eq!(p.c.store.view().heard(A).unwrap(), Mark { stream, seq: 1 });
    p.c.take(A, stream, vec![early[0].clone()]);
    assert!(p.c.store.view().pack(name.into()).unwrap().is_none(), "void before anybody knew of it");
    let gap = vec![Letter { seq: 3, news: late[1].news.clone() }];
    let at = p.c.at();
    let record = ShareRecord::Taken { agent: A, stream, letters: gap, at };
    assert!(matches!(p.c.refused(Record::Share(record)), Rule::LetterMissing { after: 1, got: 3, .. }));
    p.c.take(A, stream - 1, vec![early[0].clone()]);
    assert_eq!(p.c.store.view().heard(A).unwrap(), Mark { stream, seq: 1 }, "an older stream is over");
}

#[test]
fn what_is_closed_when_sharing_is_turned_on_is_told_too_and_nothing_is_written_before() {
    let (mut a, _) = with_passed(6);
    a.store.use_names(&names(0, 1_000)).unwrap();
    let (_, first) = a.boxed(1..=3);
    assert_eq!(a.letters(), []);
    a.share();
    let (_, second) = a.boxed(4..=6);
    let names = |letters: Vec<Letter>| -> Vec<Sscc> {
        let name = |letter: Letter| match letter.news {
            News::Pack(notice) => notice.name,
            News::Lies(Claim { name, .. }) => name,
        };
        letters.into_iter().map(name).collect()
    };
    assert_eq!(names(a.letters()), [first, second]);
    let before = a.stream();
    let World { store, folder, .. } = a;
    drop(store);
    let mut store = Store::open(folder.path(), "x").unwrap();
    store.share(true, tamga_domain::time::Wall(1)).unwrap();
    assert_eq!(store.view().share_state().unwrap().stream, before, "a start begins nothing anew");
    store.share(false, tamga_domain::time::Wall(2)).unwrap();
    store.share(true, tamga_domain::time::Wall(3)).unwrap();
    let state = store.view().share_state().unwrap();
    assert_eq!((state.stream, state.head), (before + 1, 2), "higher, whatever the calendar says");
}

#[test]
fn a_stream_that_begins_anew_is_taken_from_its_beginning() {
    let mut p = plant();
    let (pack, name) = p.a.boxed(1..=3);
    let (_, other) = p.a.boxed(4..=6);
    p.tell();
    let stream = p.a.stream() + 5;
    let at = p.a.at();
    p.a.twice(Record::Share(ShareRecord::Anew { stream, at }));
    p.a.void_pack(pack);
    p.tell();
    assert_eq!(p.c.store.view().heard(A).unwrap(), Mark { stream, seq: 3 });
    assert_eq!(p.c.store.view().pack(name.into()).unwrap().unwrap().state, PackState::Voided);
    assert_eq!(p.c.store.view().pack(other.into()).unwrap().unwrap().state, PackState::Closed);
}

#[test]
fn one_name_of_two_agents_is_an_alarm_and_the_own_pack_stays() {
    let mut p = plant();
    let (_, name) = p.a.boxed(1..=3);
    let (mut b, _) = with_passed(3);
    b.store.use_names(&names(0, 1_000)).unwrap();
    let (own, same) = b.boxed(1..=3);
    assert_eq!(name, same);
    let (letters, stream) = (p.a.letters(), p.a.stream());
    b.take(C, stream, letters);
    assert_eq!(b.alarms(), [("alarm.pack_elsewhere".to_owned(), format!("{name} ({C})"))]);
    assert_eq!(b.store.view().pack(name.into()).unwrap().unwrap().pack, own);
}

#[test]
fn boxes_of_two_agents_are_never_of_the_same_run() {
    let mut p = plant();
    let (_, name) = p.a.boxed(1..=3);
    p.tell();
    let strict = Terms { mixing: Mixing::SameRun, ..PALLETS };
    let refused = p.c.put(PALLET, strict, None, &[Child::pack(name)]);
    assert_eq!(refused, PackAnswer::NotIn(vec![(0, NotIn::OtherRun)]));
    let product = Terms { mixing: Mixing::SameProduct, ..PALLETS };
    assert!(matches!(p.c.put(PALLET, product, None, &[Child::pack(name)]), PackAnswer::In { .. }));
    let pallet = p.c.store.open_pack(PALLET).unwrap().unwrap();
    assert_eq!((pallet.run, pallet.gtin), (None, Some(gtin(GTIN))));
}

#[test]
fn a_pallet_with_boxes_of_another_agent_is_told_with_their_names() {
    let mut p = plant();
    let (_, one) = p.a.boxed(1..=3);
    let (_, two) = p.a.boxed(4..=6);
    p.tell();
    p.palletize(one);
    let PackAnswer::In { pack, .. } = p.palletize(two) else { panic!() };
    p.c.name(pack, NewName::Next);
    let at = p.c.at();
    p.c.apply(Record::Pack(PackRecord::Closed { pack, who: "pallet".into(), at })).unwrap();
    let letters = p.c.letters();
    let Some(News::Pack(notice)) = letters.last().map(|letter| letter.news.clone()) else { panic!() };
    assert_eq!(notice.content, Content::Packs(vec![one.into(), two.into()]));
    p.tell();
    let pallet = p.a.store.view().pack(notice.name.into()).unwrap().unwrap();
    assert_eq!((pallet.home, pallet.content), (Some(C), 2));
}

/// Its agent has not told upstream yet that it is none: upstream still has it, and it would be taken apart on the pallet.
#[test]
fn a_pallet_is_not_told_while_a_box_on_it_was_voided_by_its_agent() {
    let mut p = plant();
    p.a.are_applied(1, 3);
    let (pack, name) = p.a.boxed(1..=3);
    p.a.tell(DocumentKind::Aggregation);
    p.tell();
    p.c.pallet_of(&[Child::pack(name)]);
    p.a.void_pack(pack);
    p.tell();
    for _ in 0..2 {
        assert_eq!(p.c.gather(DocumentKind::Aggregation), None);
    }
}
