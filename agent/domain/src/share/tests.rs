//! Losses, doubles, reorder, a broker that forgets what it acknowledged, restarts and restores in any order; then the
//! faults stop, and every hearer must have every letter, once and in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::receiver::{Receiver, Word};
use super::sender::{AGAIN_AFTER, ANEW_EVERY, Sender, Shown};
use super::step::{Begin, Effect, Input, Share};
use super::*;
use crate::dice::Dice;
use crate::ids::TxnId;
use crate::record::{Record, Txn};
use crate::time::Time;

const A: AgentId = AgentId(0xa);
const B: AgentId = AgentId(0xb);
const C: AgentId = AgentId(0xc);
const TICK: Duration = Duration::from_millis(100);

fn letter(seq: u64) -> Letter {
    let name = Sscc::parse(b"376104250021234569").unwrap();
    Letter { seq, news: News::Lies(Claim { name, rev: seq, lies: true, parent: None }) }
}

/// What is durable at one agent.
#[derive(Clone, Default)]
struct Disk {
    stream: u64,
    head: u64,
    handed: u64,
    marks: BTreeMap<AgentId, Mark>,
    /// Everything that was ever taken, in order.
    taken: BTreeMap<AgentId, Vec<Mark>>,
}

/// What goes through the broker.
#[derive(Clone)]
enum Post {
    Letter { from: AgentId, stream: u64, seq: u64 },
    Word { from: AgentId, to: AgentId, word: Word },
}

struct Agent {
    id: AgentId,
    hears: Vec<AgentId>,
    disk: Disk,
    copy: Option<Disk>,
    share: Share,
    commits: VecDeque<Txn>,
    /// What the broker has for it.
    inbox: VecDeque<Post>,
    acks: VecDeque<u64>,
    connected: bool,
}

impl Agent {
    fn new(id: AgentId, hears: &[AgentId]) -> Agent {
        let disk = Disk { stream: 1, ..Disk::default() };
        let share = begin(&disk, hears);
        Agent {
            id,
            hears: hears.to_vec(),
            disk,
            copy: None,
            share,
            commits: VecDeque::new(),
            inbox: VecDeque::new(),
            acks: VecDeque::new(),
            connected: false,
        }
    }

    fn restart(&mut self) {
        self.share = begin(&self.disk, &self.hears);
        self.commits.clear();
        self.lose();
    }

    fn lose(&mut self) {
        self.inbox.clear();
        self.acks.clear();
        self.connected = false;
    }

    fn make_durable(&mut self, txn: &Txn) {
        for record in &txn.records {
            match record {
                Record::Share(ShareRecord::Taken { agent, stream, letters, .. }) => {
                    for letter in letters {
                        let mark = self.disk.marks.entry(*agent).or_default();
                        let next = if *stream > mark.stream { 1 } else { mark.seq + 1 };
                        assert!(*stream >= mark.stream && letter.seq == next, "{letter:?} at {mark:?}");
                        *mark = Mark { stream: *stream, seq: letter.seq };
                        self.disk.taken.entry(*agent).or_default().push(*mark);
                    }
                }
                Record::Share(ShareRecord::Handed { stream, upto }) if *stream == self.disk.stream => {
                    self.disk.handed = *upto;
                }
                Record::Share(ShareRecord::Anew { stream, .. }) if *stream > self.disk.stream => {
                    // All that there is, told again.
                    (self.disk.stream, self.disk.handed) = (*stream, 0);
                }
                _ => {}
            }
        }
    }
}

fn begin(disk: &Disk, hears: &[AgentId]) -> Share {
    Share::new(Begin {
        handed: Some(Mark { stream: disk.stream, seq: disk.handed }),
        head: disk.head,
        from: hears.iter().map(|a| (*a, disk.marks.get(a).copied().unwrap_or_default())).collect(),
        ..Begin::default()
    })
}

struct World {
    rng: Dice,
    now: Time,
    agents: Vec<Agent>,
    faults: bool,
    /// The planted fault: nobody tells how far it has come.
    mute: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let agents = vec![Agent::new(A, &[C]), Agent::new(B, &[]), Agent::new(C, &[A, B])];
        let rng = Dice(seed.wrapping_mul(0x9E37_79B9).wrapping_add(1));
        World { rng, now: Time(1_000_000_000), agents, faults: true, mute: false }
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.faults && self.rng.below(n) == 0
    }

    fn feed(&mut self, at: usize, input: Input) {
        let mut out = Vec::new();
        self.agents[at].share.step(self.now, Wall(0), input, &mut out);
        for effect in out {
            match effect {
                Effect::Commit(txn) => self.agents[at].commits.push_back(txn),
                Effect::GiveUp => {
                    self.agents[at].lose();
                    self.feed(at, Input::Lost);
                }
                Effect::Send { stream, first, last } => {
                    let disk = &self.agents[at].disk;
                    assert!(stream <= disk.stream && (stream < disk.stream || last <= disk.head));
                    (first..=last).for_each(|seq| self.send(at, stream, seq));
                }
                Effect::Tell { agent, word } if !self.mute => {
                    let post = Post::Word { from: self.agents[at].id, to: agent, word };
                    self.post(post);
                }
                Effect::Tell { .. } => {}
            }
        }
    }

    fn send(&mut self, at: usize, stream: u64, seq: u64) {
        if !self.agents[at].connected || self.once_in(60) {
            // Swallowed before the broker.
            return;
        }
        self.agents[at].acks.push_back(seq);
        let from = self.agents[at].id;
        self.post(Post::Letter { from, stream, seq });
    }

    fn post(&mut self, post: Post) {
        for to in 0..self.agents.len() {
            let (hears, is_for) = (&self.agents[to].hears, self.agents[to].id);
            let wanted = match &post {
                Post::Letter { from, .. } => hears.contains(from),
                Post::Word { to, .. } => *to == is_for,
            };
            if !wanted || !self.agents[to].connected || self.once_in(40) {
                // Nobody there, or dropped after the acknowledgment.
                continue;
            }
            self.agents[to].inbox.push_back(post.clone());
            if self.once_in(30) {
                self.agents[to].inbox.push_back(post.clone());
            }
            let n = self.agents[to].inbox.len();
            if n > 1 && self.once_in(30) {
                self.agents[to].inbox.swap(n - 1, n - 2);
            }
        }
    }

    fn fault(&mut self) {
        let at = self.rng.below(3) as usize;
        match self.rng.below(40) {
            0 => {
                for at in 0..3 {
                    self.agents[at].lose();
                    self.feed(at, Input::Lost);
                }
            }
            1 => {
                self.agents[at].lose();
                self.feed(at, Input::Lost);
            }
            2 => self.agents[at].restart(),
            3 => self.agents[at].copy = Some(self.agents[at].disk.clone()),
            _ => {}
        }
    }

    /// An older copy of an agent's database is put back; `settled`: its stream begins anew at the start.
    fn restore(&mut self, at: usize, settled: bool) {
        let Some(copy) = self.agents[at].copy.clone() else { return };
        self.agents[at].disk = copy;
        if settled {
            let disk = &mut self.agents[at].disk;
            (disk.stream, disk.handed) = (disk.stream + 1_000, 0);
        }
        self.agents[at].restart();
    }

    fn turn(&mut self) {
        self.now = self.now.after(TICK);
        for at in 0..3 {
            if !self.agents[at].connected && (!self.faults || self.rng.below(5) == 0) {
                self.agents[at].connected = true;
                self.feed(at, Input::Connected);
            }
            if self.faults && self.rng.below(3) > 0 {
                self.agents[at].disk.head += self.rng.below(20);
            }
            let (stream, head) = (self.agents[at].disk.stream, self.agents[at].disk.head);
            self.feed(at, Input::Head { stream, head });
            while let Some(seq) = self.agents[at].acks.pop_front() {
                if !self.once_in(50) {
                    self.feed(at, Input::Acknowledged(seq));
                }
            }
            while let Some(post) = self.agents[at].inbox.pop_front() {
                match post {
                    Post::Letter { from, stream, seq } => {
                        self.feed(at, Input::Letter { agent: from, stream, letter: letter(seq) });
                    }
                    Post::Word { from, word, .. } => {
                        self.feed(at, Input::Report { hearer: from, mark: word.mark, asks: word.asks });
                    }
                }
                if self.rng.below(4) == 0 {
                    self.write(at);
                }
            }
            self.write(at);
            self.feed(at, Input::Tick);
        }
    }

    fn write(&mut self, at: usize) {
        if let Some(txn) = self.agents[at].commits.pop_front() {
            self.agents[at].make_durable(&txn);
            self.feed(at, Input::Committed(txn.id));
        }
    }

    /// What a hearer lacks of a sender, when nothing more goes wrong for a minute.
    fn settle(&mut self) -> Vec<(AgentId, AgentId)> {
        self.faults = false;
        (0..1_200).for_each(|_| self.turn());
        let mut lacking = vec![];
        for hearer in &self.agents {
            for from in &hearer.hears {
                let sender = self.agents.iter().find(|a| a.id == *from).unwrap();
                let whole = Mark { stream: sender.disk.stream, seq: sender.disk.head };
                if sender.disk.head > 0 && hearer.disk.marks.get(from) != Some(&whole) {
                    lacking.push((hearer.id, *from));
                }
            }
        }
        lacking
    }

    fn taken_in_order(&self) {
        for agent in &self.agents {
            for taken in agent.disk.taken.values() {
                for pair in taken.windows(2) {
                    let (one, next) = (pair[0], pair[1]);
                    let follows = next.stream == one.stream && next.seq == one.seq + 1;
                    assert!(follows || (next.stream > one.stream && next.seq == 1), "{one:?} then {next:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_letter_comes_once_and_in_order_whatever_the_broker_forgets(seed in any::<u64>(), turns in 50..400u32) {
        let mut world = World::new(seed);
        for _ in 0..turns {
            world.fault();
            world.turn();
        }
        prop_assert_eq!(world.settle(), vec![]);
        world.taken_in_order();
    }

    #[test]
    fn a_database_that_was_put_back_is_told_anew_and_lacks_nothing(
        seed in any::<u64>(),
        at in 0..3usize,
        settled in any::<bool>(),
    ) {
        let mut world = World::new(seed);
        (0..60).for_each(|_| world.turn());
        world.agents[at].copy = Some(world.agents[at].disk.clone());
        (0..40).for_each(|_| world.turn());
        let lost = world.settle().is_empty();
        prop_assert!(lost);
        // Nothing new is written before a hearer has said how far it is, or the restore was settled.
        world.restore(at, settled);
        prop_assert_eq!(world.settle(), vec![]);
        world.taken_in_order();
    }
}

/// The hearers' word is what keeps letters that the broker acknowledged and then forgot.
#[test]
fn without_the_hearers_word_a_broker_that_forgets_loses_letters() {
    let lacking = (0..8).filter(|seed| {
        let mut world = World::new(*seed);
        world.mute = true;
        (0..200).for_each(|_| {
            world.fault();
            world.turn();
        });
        !world.settle().is_empty()
    });
    assert!(lacking.count() > 4, "the planted fault is found");
}

#[test]
fn no_more_is_on_its_way_than_may_be_and_no_more_ahead_of_a_hearer_than_a_broker_queues() {
    let mut sender = Sender::new(Mark { stream: 1, seq: 0 }, 10_000);
    let now = Time(1);
    assert_eq!(sender.next(now), Some((1, 64)));
    assert_eq!(sender.next(now), None);
    (1..=64).for_each(|seq| sender.on_acknowledged(seq));
    assert_eq!(sender.on_report(now, Wall(0), C, Mark { stream: 1, seq: 10 }, false), Shown::Fine);
    let mut last = 0;
    while let Some((first, to)) = sender.next(now) {
        (first..=to).for_each(|seq| sender.on_acknowledged(seq));
        last = to;
    }
    assert_eq!(last, 10 + AHEAD_MAX);
}

#[test]
fn acknowledgments_out_of_order_hand_over_no_more_than_is_whole() {
    let mut sender = Sender::new(Mark { stream: 1, seq: 0 }, 3);
    assert_eq!(sender.next(Time(1)), Some((1, 3)));
    sender.on_acknowledged(3);
    sender.on_acknowledged(2);
    assert_eq!(sender.handed(), 0);
    sender.on_lost();
    assert_eq!(sender.next(Time(1)), Some((1, 3)), "all that is not whole is sent again, in order");
    sender.on_acknowledged(1);
    assert_eq!(sender.handed(), 1, "what was acknowledged to the lost connection counts for nothing");
}

#[test]
fn a_hearer_that_asks_is_sent_to_again_from_its_mark_and_not_twice_at_once() {
    let mut sender = Sender::new(Mark { stream: 1, seq: 5 }, 5);
    let mark = Mark { stream: 1, seq: 2 };
    let now = Time(1_000_000_000);
    sender.on_report(now, Wall(0), C, mark, true);
    assert_eq!(sender.next(now), Some((3, 5)));
    sender.on_report(now, Wall(0), C, mark, true);
    assert_eq!(sender.next(now), None);
    let later = now.after(AGAIN_AFTER);
    sender.on_report(later, Wall(0), C, mark, true);
    assert_eq!(sender.next(later), Some((3, 5)));
}

#[test]
fn doubles_are_dropped_and_gaps_are_asked_for() {
    let mut receiver = Receiver::new(Mark { stream: 1, seq: 4 });
    let now = Time(1_000_000_000);
    assert_eq!(receiver.word(now), Some(Word { mark: Mark { stream: 1, seq: 4 }, asks: true }));
    [4, 5, 5, 7].iter().for_each(|seq| receiver.on_letter(now, Wall(0), 1, letter(*seq)));
    assert_eq!((receiver.doubles, receiver.gaps), (2, 1));
    let (stream, letters) = receiver.take().unwrap();
    assert_eq!((stream, letters.len()), (1, 1));
    assert_eq!(receiver.word(now), None, "told when it is durable");
    receiver.on_committed();
    assert_eq!(receiver.word(now), Some(Word { mark: Mark { stream: 1, seq: 5 }, asks: true }));
    receiver.on_letter(now, Wall(0), 1, letter(6));
    receiver.take();
    receiver.on_committed();
    assert_eq!(receiver.word(now), Some(Word { mark: Mark { stream: 1, seq: 6 }, asks: false }));
}

#[test]
fn a_broker_that_is_away_for_long_is_an_alarm_until_it_is_back() {
    let mut share = Share::new(Begin { broker: "10.0.0.9:1883".into(), ..Begin::default() });
    let mut said = vec![];
    let mut at = |second: u64, input: Input| {
        let mut out = vec![];
        share.step(Time(second * 1_000_000_000), Wall(0), input, &mut out);
        for effect in out {
            let Effect::Commit(txn) = effect else { continue };
            share_committed(&mut share, txn.id, second);
            said.extend(txn.records.into_iter().map(|record| match record {
                Record::AlarmRaised { key, detail, .. } => format!("{second} {key} {detail}"),
                Record::AlarmCleared { key, .. } => format!("{second} over: {key}"),
                other => panic!("{other:?}"),
            }));
        }
    };
    at(1, Input::Tick);
    at(60, Input::Tick);
    at(61, Input::Tick);
    at(62, Input::Tick);
    at(70, Input::Connected);
    at(80, Input::Lost);
    at(90, Input::Connected);
    assert_eq!(said, ["61 alarm.broker_away 10.0.0.9:1883", "70 over: alarm.broker_away"]);
}

fn share_committed(share: &mut Share, txn: TxnId, second: u64) {
    share.step(Time(second * 1_000_000_000), Wall(0), Input::Committed(txn), &mut vec![]);
}

/// Anybody who may speak at the broker may say that he hears us, or that he is another agent.
#[test]
fn a_stream_of_the_far_future_is_believed_of_nobody_and_another_is_followed_once_in_some_minutes() {
    let (now, wall) = (Time(1_000_000_000), Wall(1_800_000_000_000));
    let today = wall.0 as u64;
    let tomorrow = today + 24 * 3_600_000;
    let mut sender = Sender::new(Mark { stream: today - 7, seq: 3 }, 3);
    for stream in [NUMBER_MAX, NUMBER_MAX - 1, NUMBER_MAX - 2, tomorrow + 1] {
        assert_eq!(sender.on_report(now, wall, B, Mark { stream, seq: 1 }, true), Shown::Fine, "{stream}");
    }
    assert_eq!(sender.hearers().count(), 0);
    let ahead = Mark { stream: tomorrow, seq: 9 };
    assert_eq!(sender.on_report(now, wall, C, ahead, true), Shown::Anew(tomorrow + 1));
    sender.on_head(tomorrow + 1, 3);
    let further = Mark { stream: tomorrow + 1, seq: 9 };
    assert_eq!(sender.on_report(now.after(ANEW_EVERY / 2), wall, C, further, true), Shown::Fine);
    let later = now.after(ANEW_EVERY);
    assert_eq!(sender.on_report(later, wall, C, further, true), Shown::Anew(tomorrow + 2));

    let mut receiver = Receiver::new(Mark { stream: today, seq: 4 });
    for stream in [NUMBER_MAX - 2, tomorrow + 1] {
        receiver.on_letter(now, wall, stream, letter(1));
    }
    assert_eq!((receiver.strange, receiver.take()), (2, None));
    receiver.on_letter(now, wall, tomorrow, letter(1));
    assert_eq!(receiver.take().map(|(stream, letters)| (stream, letters.len())), Some((tomorrow, 1)));
    // With a clock that stands at its beginning: what is known goes on, and begins anew one above it.
    receiver.on_committed();
    receiver.on_letter(now, Wall(0), tomorrow, letter(2));
    assert_eq!(receiver.take().map(|(stream, _)| stream), Some(tomorrow));
    receiver.on_committed();
    receiver.on_letter(now, Wall(0), tomorrow + 1, letter(1));
    assert_eq!((receiver.strange, receiver.take().map(|(stream, _)| stream)), (2, Some(tomorrow + 1)));
}
