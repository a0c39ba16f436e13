//! The agent ends before each step of a rework, or after it and before anybody heard of it; the person does it again, and at
//! the end each box and pallet holds what its data say.

use std::collections::BTreeSet;

use tamga::store::Store;
use tamga::store::verify::verify;
use tamga_domain::ids::PackNo;
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::rework::{Fate, Rework};
use tamga_domain::pack::{Child, PackState, Told};
use tamga_domain::record::{Answer, Record};

use crate::kit::*;
use crate::packs::{item, packing};

/// When the process ends at a step.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Before,
    /// It is durable, and nobody heard of it.
    Unheard,
}

/// The agent, and the moments at which it ends.
struct Agent {
    w: World,
    ends: Vec<(u32, End)>,
    steps: u32,
}

impl Agent {
    /// A pallet of two boxes, all known upstream.
    fn new(ends: Vec<(u32, End)>) -> (Agent, [PackNo; 3]) {
        let (mut w, run) = packing(6);
        w.applied(run, 1, 6);
        let ((a, _), (b, _)) = (w.boxed(1..=3), w.boxed(4..=6));
        let names = [w.name_of(a), w.name_of(b)];
        let pallet = w.pallet(&names);
        for pack in [a, b, pallet] {
            w.told(pack, Told::Aggregated);
        }
        (Agent { w, ends, steps: 0 }, [a, b, pallet])
    }

    /// A new process on the same disk.
    fn start(&mut self) {
        let away = Store::open(Folder::new().path(), "away").unwrap();
        drop(std::mem::replace(&mut self.w.store, away));
        self.w.store = Store::open(self.w.folder.path(), "x").unwrap();
    }

    /// A command, told again by the person until an answer is heard.
    fn tell(&mut self, record: PackRecord) -> Option<Answer> {
        self.steps += 1;
        let step = self.steps;
        if self.ends.contains(&(step, End::Before)) {
            self.start();
        }
        if self.ends.contains(&(step, End::Unheard)) {
            self.w.apply(Record::Pack(record.clone())).unwrap();
            self.start();
        }
        self.w.apply(Record::Pack(record)).unwrap()
    }

    fn rework(&mut self, key: &str, work: Rework) {
        let (reason, who, at) = ("leaks".into(), "anna".into(), self.w.at());
        let key = Some(key.to_owned());
        let answer = self.tell(PackRecord::Rework { key, works: vec![work], shown: None, reason, who, at });
        assert!(matches!(answer, Some(Answer::Pack(PackAnswer::Reworked(_)))), "{answer:?}");
    }

    /// What stayed in the pack whose label is on it: found by that label, named, labelled, closed.
    fn label(&mut self, old: PackNo) -> PackNo {
        let pack = self.w.store.view().pack_after(old).unwrap().unwrap().pack;
        let at = self.w.at();
        self.tell(PackRecord::Named { pack, name: NewName::Next, at });
        let (reason, who, at) = ("new name".into(), "anna".into(), self.w.at());
        self.tell(PackRecord::Label { pack, reason, who, at });
        let (who, at) = ("anna".into(), self.w.at());
        self.tell(PackRecord::Closed { pack, who, at });
        pack
    }
}

/// A leaking item out of a box on a pallet, and all whole again; answers how many steps it had.
fn day(ends: Vec<(u32, End)>) -> u32 {
    let (mut agent, [a, b, pallet]) = Agent::new(ends.clone());
    agent.rework("1", Rework::Out { children: vec![item(1)], fate: Fate::Scrap });
    let box_again = agent.label(a);
    let pallet_again = agent.w.store.view().pack_after(pallet).unwrap().unwrap().pack;
    let child = agent.w.name_of(box_again);
    agent.rework("2", Rework::Move { children: vec![child], to: pallet_again });
    assert_eq!(agent.label(pallet), pallet_again);
    let w = &agent.w;
    let state = |pack| w.facts(pack).state;
    assert_eq!([a, pallet].map(state), [PackState::Voided; 2], "{ends:?}");
    assert_eq!([box_again, b, pallet_again].map(state), [PackState::Closed; 3], "{ends:?}");
    assert_eq!((w.items_in(box_again), w.items_in(b)), (vec![2, 3], vec![4, 5, 6]), "{ends:?}");
    assert_eq!([box_again, b].map(|pack| w.facts(pack).parent), [Some(pallet_again); 2], "{ends:?}");
    let packs: Vec<PackNo> =
        (1..).map(PackNo).take_while(|p| w.store.view().pack_no(*p).unwrap().is_some()).collect();
    let names: BTreeSet<_> = packs.iter().map(|pack| w.facts(*pack).name).collect();
    assert_eq!((packs.len(), names.len()), (5, 5), "no pack too many, and no name twice: {ends:?}");
    assert_eq!(w.store.view().taken_out(a).unwrap().len(), 3, "noted once: {ends:?}");
    assert_eq!(verify(&w.store.view()).unwrap(), vec![], "{ends:?}");
    agent.steps
}

#[test]
fn the_agent_ends_before_and_after_each_step_of_a_rework() {
    let steps = day(vec![]);
    assert_eq!(steps, 8);
    for step in 1..=steps {
        for end in [End::Before, End::Unheard] {
            day(vec![(step, end)]);
        }
    }
    let each = |end| (1..=steps).map(|step| (step, end)).collect::<Vec<_>>();
    day(each(End::Before));
    day(each(End::Unheard));
    day([each(End::Before), each(End::Unheard)].concat());
}

/// Each rework by itself, told again after its answer was lost: nothing is done twice.
#[test]
fn each_rework_told_again_after_a_lost_answer_does_nothing() {
    let works: [fn(&World, [PackNo; 3]) -> Rework; 8] = [
        |_, _| Rework::Out { children: vec![item(1)], fate: Fate::Free },
        |_, _| Rework::Out { children: vec![item(1), item(4)], fate: Fate::Sample },
        |w, [a, ..]| Rework::Out { children: vec![w.name_of(a)], fate: Fate::Free },
        |w, [a, ..]| Rework::Out { children: vec![w.name_of(a)], fate: Fate::Scrap },
        |_, [a, ..]| Rework::Empty { pack: a },
        |_, [_, _, pallet]| Rework::Unpack { pack: pallet },
        |_, [_, _, pallet]| Rework::Empty { pack: pallet },
        |_, [_, b, _]| Rework::Out { children: vec![item(b.0 * 3)], fate: Fate::Back },
    ];
    for work in works {
        let (mut agent, packs) = Agent::new(vec![]);
        let work = work(&agent.w, packs);
        agent.rework("k", work.clone());
        let before = agent.w.picture();
        agent.start();
        agent.rework("k", work.clone());
        assert_eq!(before, agent.w.picture(), "{work:?}");
        assert_eq!(verify(&agent.w.store.view()).unwrap(), vec![], "{work:?}");
    }
}

/// Planted: without the caller's key, and so without a word of what was done, the same command is another one.
#[test]
fn without_a_key_a_repeated_command_is_judged_anew() {
    let (mut agent, [a, ..]) = Agent::new(vec![]);
    let record = |at| PackRecord::Rework {
        key: None,
        works: vec![Rework::Empty { pack: a }],
        shown: None,
        reason: "wet".into(),
        who: "anna".into(),
        at,
    };
    let at = agent.w.at();
    assert!(matches!(agent.tell(record(at)), Some(Answer::Pack(PackAnswer::Reworked(_)))));
    let before = agent.w.picture();
    assert!(matches!(agent.tell(record(at)), Some(Answer::Pack(PackAnswer::NotDone(_)))));
    assert_eq!(before, agent.w.picture());
    let child: Child = item(1);
    assert!(
        agent
            .w
            .store
            .view()
            .rework_plan(&[Rework::Out { children: vec![child], fate: Fate::Free }])
            .unwrap()
            .is_err()
    );
}
