//! The task of a packing station: brings the station what happened, carries out what it wants.
//!
//! It decides nothing. It may wait for the writer, which waits for nobody; it never waits for its printer or scanner.

use std::collections::BTreeMap;
use std::sync::Arc;

use tamga_domain::line::ask::Refusal;
use tamga_domain::line::{self, AskId, PrinterEvent};
use tamga_domain::pack::ask::{StationReply, StationStatus};
use tamga_domain::pack::station::{LabelJob, Signal, Station, StationEffect, StationInput};
use tamga_domain::record::Bar;
use tokio::sync::{mpsc, oneshot, watch};

use crate::chain::chain;
use crate::clock;
use crate::desk::StationAsked;
use crate::health::Beat;
use crate::line::End;
use crate::store::writer::{Answers, Port, Told, WriterError};

/// How often a station that has nothing to do shows that it lives.
const BEAT_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// The channels of one station.
pub struct Wires {
    /// What devices say, already in the words of the station.
    pub events: mpsc::Receiver<StationInput>,
    pub asked: mpsc::Receiver<StationAsked>,
    /// A station looks nothing up: the store judges what is scanned where it is packed.
    pub writer: Port<()>,
    pub answers: Answers<()>,
    pub printer: Option<mpsc::Sender<LabelJob>>,
    /// To the scanner, for the person's ears.
    pub signals: mpsc::Sender<Signal>,
    pub status: watch::Sender<Arc<StationStatus>>,
    /// True when the daemon goes down.
    pub stop: watch::Receiver<bool>,
    /// Why the lines issue no codes, if they do not.
    pub bar: watch::Receiver<Option<Bar>>,
    /// To the lines: what was read behind their gates.
    pub lines: Vec<mpsc::Sender<line::Input>>,
    pub beat: Beat,
}

/// Runs a station until the daemon ends it. The wires stay with the caller, as those of a line do.
pub async fn run(mut station: Station, wires: &mut Wires) -> End {
    let mut shell = Shell { asks: BTreeMap::new(), next_ask: 0, failed: None };
    let mut beat = tokio::time::interval(BEAT_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    wires.bar.mark_changed();
    loop {
        wires.beat.bump();
        let input = tokio::select! {
            biased;
            Some(told) = wires.answers.next() => shell.told(told),
            Ok(()) = wires.bar.changed() => Some(StationInput::Bar(*wires.bar.borrow_and_update())),
            event = wires.events.recv() => match event {
                Some(event) => Some(event),
                None => return End::Asked,
            },
            asked = wires.asked.recv() => match asked {
                Some(asked) => Some(shell.ask(asked)),
                None => return End::Asked,
            },
            _ = wires.stop.wait_for(|s| *s) => return End::Asked,
            _ = beat.tick() => None,
        };
        let mut next = input;
        while let Some(input) = next.take() {
            let mut out = Vec::new();
            station.step(clock::wall(), input, &mut out);
            // Who has an answer, or hears a sound, sees in the picture what it says.
            wires.status.send_replace(Arc::new(station.status()));
            for effect in out {
                if let Some(back) = shell.carry_out(effect, wires).await {
                    next = Some(back);
                }
            }
        }
        if let Some(end) = shell.failed.take() {
            return end;
        }
    }
}

struct Shell {
    asks: BTreeMap<AskId, oneshot::Sender<Result<StationReply, Refusal>>>,
    next_ask: u64,
    failed: Option<End>,
}

impl Shell {
    /// An answer of the writer in the words of the station.
    fn told(&mut self, told: Told<()>) -> Option<StationInput> {
        match told {
            Told::Committed { txn, answers } => Some(StationInput::Committed(txn, answers)),
            Told::Failed { txn, why } => {
                self.fail(&why);
                Some(StationInput::CommitFailed(txn, chain(&why)))
            }
            Told::Found { .. } => None,
        }
    }

    /// The first failure says why the station ends.
    fn fail(&mut self, why: &WriterError) {
        self.failed.get_or_insert_with(|| End::of(why));
    }

    fn ask(&mut self, asked: StationAsked) -> StationInput {
        self.next_ask += 1;
        let id = AskId(self.next_ask);
        self.asks.insert(id, asked.reply);
        StationInput::Ask(id, asked.ask, asked.who.name)
    }

    async fn carry_out(&mut self, effect: StationEffect, wires: &mut Wires) -> Option<StationInput> {
        match effect {
            StationEffect::Commit(txn) => {
                if let Err(why) = wires.writer.commit(txn).await {
                    self.fail(&why);
                }
            }
            StationEffect::Print(job) => {
                let id = job.id;
                // A label that the printer's channel does not take was certainly not printed.
                let sent = wires.printer.as_ref().is_some_and(|printer| printer.try_send(job).is_ok());
                return (!sent).then_some(StationInput::Printer(PrinterEvent::Refused(id)));
            }
            // A line waits for no station, so it may be waited for; one that has ended needs to know nothing.
            StationEffect::Seen(code) => {
                for line in &wires.lines {
                    drop(line.send(line::Input::Seen(code)).await);
                }
            }
            // A sound that is late is worse than none.
            StationEffect::Signal(signal) => drop(wires.signals.try_send(signal)),
            StationEffect::Reply(id, answer) => {
                if let Some(reply) = self.asks.remove(&id) {
                    // The person may have gone away meanwhile.
                    drop(reply.send(answer));
                }
            }
        }
        None
    }
}
