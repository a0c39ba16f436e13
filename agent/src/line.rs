//! The line's task: brings the line core what happened, carries out what it wants.
//!
//! It decides nothing. All inputs that wait are given to the core before one commit is asked for. It never waits for a
//! device: a print that cannot be handed over at once was certainly not printed, a pass that cannot be handed over is a
//! reject. It may wait for the writer, which waits for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{PrinterNo, Tag};
use tamga_domain::line::ask::{Refusal, Reply, Status};
use tamga_domain::line::{AskId, Effect, GateOrder, Input, Job, Line, PrinterEvent, ReadId};
use tamga_domain::record::Bar;
use tamga_domain::time::Time;
use tokio::sync::{mpsc, oneshot, watch};

use crate::chain::chain;
use crate::clock;
use crate::desk::Asked;
use crate::health::Beat;
use crate::store::writer::{Answers, Port, Told, WriterError};

/// Inputs taken into one turn. More wait in their channels; devices wait with them.
const TURN_MAX: usize = 256;

/// How often people get a new picture.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// What a line's task hands to one printer.
pub enum ToPrinter {
    Print(Job),
    Test,
}

/// What a line's task says to the gate of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForItem {
    Pass(Tag),
    Reject(Tag),
}

/// The channels of one line.
pub struct Wires {
    /// What devices say, already in the words of the line.
    pub events: mpsc::Receiver<Input>,
    pub asked: mpsc::Receiver<Asked>,
    pub writer: Port<ReadId>,
    pub answers: Answers<ReadId>,
    pub printers: Vec<mpsc::Sender<ToPrinter>>,
    pub gate: mpsc::Sender<ForItem>,
    /// Whether the belt may run. A level, not a message: the last word counts, and none is ever lost.
    pub belt: watch::Sender<bool>,
    pub status: watch::Sender<Arc<Status>>,
    /// How many codes are pooled, by product; of a pre-printed line, how many the stock has.
    pub pooled: watch::Receiver<BTreeMap<Gtin, u64>>,
    /// True when the daemon goes down.
    pub stop: watch::Receiver<bool>,
    /// Bumped each turn, of which there are ten a second at least.
    pub beat: Beat,
    /// Why no codes are issued, if none are.
    pub bar: watch::Receiver<Option<Bar>>,
}

/// Why a line's task ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The daemon is going down and closed the channels.
    Asked,
    /// A commit failed: the process must be started anew.
    NotDurable(String),
    /// The same, since the database is damaged: a new start does not mend it.
    Damaged(String),
}

impl End {
    /// What a request that the writer did not serve means for who asked.
    pub fn of(why: &WriterError) -> End {
        let damage = matches!(why, WriterError::Store(error) if error.is_damage());
        if damage { End::Damaged(chain(why)) } else { End::NotDurable(chain(why)) }
    }
}

/// Runs a line until the daemon ends it. The wires stay with the caller: what waits at their other ends sees them closed
/// only when the line's end is known, and is not taken for its cause.
pub async fn run(mut line: Line, wires: &mut Wires) -> End {
    let mut shell = Shell { asks: BTreeMap::new(), next_ask: 0, wake: None, failed: None };
    let mut picture = tokio::time::interval(STATUS_EVERY);
    picture.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut out = Vec::new();
    let bar = *wires.bar.borrow_and_update();
    line.step(clock::now(), clock::wall(), Input::Bar(bar), &mut out);
    line.flush(clock::now(), &mut out);
    shell.carry_out(&mut out, &mut line, wires).await;
    loop {
        wires.beat.bump();
        let first = tokio::select! {
            biased;
            Some(told) = wires.answers.next() => shell.told(told),
            Ok(()) = wires.bar.changed() => Some(Input::Bar(*wires.bar.borrow_and_update())),
            event = wires.events.recv() => match event {
                Some(event) => Some(event),
                None => return End::Asked,
            },
            asked = wires.asked.recv() => match asked {
                Some(asked) => Some(shell.ask(asked)),
                None => return End::Asked,
            },
            _ = wires.stop.wait_for(|s| *s) => return End::Asked,
            () = sleep_until(shell.wake) => Some(Input::Tick),
            _ = picture.tick() => None,
        };
        match first {
            Some(input) => {
                let mut inputs = vec![input];
                shell.drain(&mut inputs, wires);
                // The turn ends with a tick, whatever it began with.
                inputs.retain(|input| !matches!(input, Input::Tick));
                for input in inputs {
                    line.step(clock::now(), clock::wall(), input, &mut out);
                }
                line.step(clock::now(), clock::wall(), Input::Tick, &mut out);
            }
            None => {
                let pooled = line.product().and_then(|g| wires.pooled.borrow().get(&g).copied());
                if let Some(pooled) = pooled {
                    line.step(clock::now(), clock::wall(), Input::Pool(pooled), &mut out);
                }
                wires.status.send_replace(Arc::new(line.status()));
            }
        }
        line.flush(clock::now(), &mut out);
        shell.carry_out(&mut out, &mut line, wires).await;
        if let Some(why) = shell.failed.take() {
            wires.status.send_replace(Arc::new(line.status()));
            return why;
        }
    }
}

async fn sleep_until(at: Option<Time>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

struct Shell {
    asks: BTreeMap<AskId, oneshot::Sender<Result<Reply, Refusal>>>,
    next_ask: u64,
    wake: Option<Time>,
    failed: Option<End>,
}

impl Shell {
    /// An answer of the writer in the words of the line. A look-up that failed is as bad as a commit that did.
    fn told(&mut self, told: Told<ReadId>) -> Option<Input> {
        match told {
            Told::Committed { txn, answers } => Some(Input::Committed(txn, answers)),
            Told::Failed { txn, why } => {
                self.fail(&why);
                Some(Input::CommitFailed(txn, chain(&why)))
            }
            Told::Found { key, result: Ok(known) } => Some(Input::Found(key, known)),
            Told::Found { result: Err(why), .. } => {
                self.fail(&why);
                None
            }
        }
    }

    /// The first failure says why the line ends.
    fn fail(&mut self, why: &WriterError) {
        self.failed.get_or_insert_with(|| End::of(why));
    }

    fn ask(&mut self, asked: Asked) -> Input {
        self.next_ask += 1;
        let id = AskId(self.next_ask);
        self.asks.insert(id, asked.reply);
        Input::Ask(id, asked.ask, asked.who.name)
    }

    /// Takes what else waits, so that one commit serves it all.
    fn drain(&mut self, inputs: &mut Vec<Input>, wires: &mut Wires) {
        while inputs.len() < TURN_MAX {
            if let Some(told) = wires.answers.try_next() {
                inputs.extend(self.told(told));
            } else if let Ok(event) = wires.events.try_recv() {
                inputs.push(event);
            } else if let Ok(asked) = wires.asked.try_recv() {
                inputs.push(self.ask(asked));
            } else {
                return;
            }
        }
    }

    async fn carry_out(&mut self, out: &mut Vec<Effect>, line: &mut Line, wires: &mut Wires) {
        self.wake = None;
        // Carrying out may give the line something to say at once (a job that was not handed over).
        while !out.is_empty() {
            let mut back = Vec::new();
            for effect in std::mem::take(out) {
                if let Effect::Reply(..) = effect {
                    // Who has an answer sees in the picture what the answer says, or a script that starts a run
                    // finds none, and one that closes a run takes the old picture for a refusal.
                    wires.status.send_replace(Arc::new(line.status()));
                }
                if let Some(input) = self.one(effect, wires).await {
                    back.push(input);
                }
            }
            for input in back {
                line.step(clock::now(), clock::wall(), input, out);
            }
            if !out.is_empty() {
                line.flush(clock::now(), out);
            }
        }
    }

    async fn one(&mut self, effect: Effect, wires: &mut Wires) -> Option<Input> {
        match effect {
            Effect::Find(id, identity) => self.asked(wires.writer.find(id, identity).await),
            Effect::Commit(txn) => self.asked(wires.writer.commit(txn).await),
            Effect::Print(no, job) => return not_handed_over(no, job, wires),
            Effect::TestPrint(no) => {
                if let Some(printer) = wires.printers.get(usize::from(no.0)) {
                    // A full channel drops the test label; the person sees that none came.
                    drop(printer.try_send(ToPrinter::Test));
                }
            }
            Effect::Gate(GateOrder::StopLine) => drop(wires.belt.send_replace(false)),
            Effect::Gate(GateOrder::StartLine) => drop(wires.belt.send_replace(true)),
            Effect::Gate(GateOrder::Pass(tag)) => for_item(ForItem::Pass(tag), wires),
            Effect::Gate(GateOrder::Reject(tag)) => for_item(ForItem::Reject(tag), wires),
            Effect::Reply(id, answer) => {
                if let Some(reply) = self.asks.remove(&id) {
                    // The person may have gone away meanwhile.
                    drop(reply.send(answer));
                }
            }
            Effect::Judged { tag, good, latency } => {
                tracing::debug!(%tag, good, latency_us = latency.as_micros(), "judged");
            }
            Effect::Wake(at) => self.wake = Some(self.wake.map_or(at, |w| w.min(at))),
        }
        None
    }

    fn asked(&mut self, sent: Result<(), WriterError>) {
        if let Err(why) = sent {
            self.fail(&why);
        }
    }
}

/// The gate rests at reject: what its channel does not take is a false reject.
fn for_item(order: ForItem, wires: &Wires) {
    if wires.gate.try_send(order).is_err() {
        tracing::warn!(?order, "the gate's channel is full: the item will be rejected");
    }
}

/// A job that the printer's channel does not take was certainly not printed.
fn not_handed_over(no: PrinterNo, job: Job, wires: &Wires) -> Option<Input> {
    let id = job.id;
    let sent = wires.printers.get(usize::from(no.0)).map(|p| p.try_send(ToPrinter::Print(job)).is_ok());
    (sent != Some(true)).then_some(Input::Printer(no, PrinterEvent::Refused(id)))
}
