//! The broker: one task around the pure step of [`tamga_domain::share`].
//!
//! The task brings messages, acknowledgments, commits and time to the step and does what the step says, in that order. It
//! decides nothing but when to connect again. A broker that is away never ends it, and no line waits for it.
//!
//! - [`link`]: one connection
//! - [`letters`]: letters and marks as bytes

pub mod letters;
pub mod link;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use tamga_domain::ids::AgentId;
use tamga_domain::record::Txn;
use tamga_domain::share::step::{Begin, Effect, Input, Share};
use tamga_domain::share::{Letter, Mark};
use tamga_domain::time::{Time, Wall};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::letters::{Topic, Unreadable};
use self::link::{Access, Came, Link, LinkError};
use crate::chain::chain;
use crate::clock;
use crate::desk::BrokerStatus;
use crate::store::error::StoreError;
use crate::store::read::share::ShareState;
use crate::store::read::{Reader, View};
use crate::store::writer::{Answers, Handle, Port, Told, WriterError};

/// How often our stream is looked at and the step is asked whether anything is due.
const TICK: Duration = Duration::from_millis(100);
/// How long a connection that was lost, or is not made, is waited for: doubled each time up to the most, and spread.
const AGAIN_MIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// How the task is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub access: Access,
    pub agent: AgentId,
    /// The folder of the database.
    pub data: PathBuf,
    /// Whether our packs are told.
    pub share: bool,
    /// Whose packs are heard.
    pub from: Vec<AgentId>,
}

/// Why the task ended.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the books of the broker cannot be read")]
    Reading(#[from] StoreError),
    #[error("the books of the broker are not written")]
    Writing(#[from] WriterError),
    #[error("a look at the books was cut short")]
    Cut(#[from] tokio::task::JoinError),
}

impl BrokerError {
    /// A record that the store does not allow: a bug of ours, which a second try would meet again.
    pub fn is_bug(&self) -> bool {
        matches!(self, BrokerError::Writing(WriterError::Store(e)) if matches!(**e, StoreError::Rule { .. }))
    }
}

/// Runs until `stop` says true, or until its sender is gone.
pub async fn run(
    setup: Setup,
    writer: &Handle,
    status: watch::Sender<BrokerStatus>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), BrokerError> {
    let mut task = Task::begin(setup, writer, status).await?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        let (link, wait) = (&mut task.link, task.connect_in);
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            Some(told) = task.answers.next() => task.on_told(told).await?,
            _ = tick.tick() => task.on_tick().await?,
            came = next_of(link, wait) => task.on_came(came).await?,
        }
    }
    Ok(())
}

/// What comes over the connection; where there is none, the moment to make one.
async fn next_of(link: &mut Option<Link>, connect_in: Time) -> Option<Came> {
    match link {
        Some(link) => Some(link.next().await),
        None => {
            sleep(connect_in.since(clock::now())).await;
            None
        }
    }
}

struct Task {
    setup: Setup,
    share: Share,
    reader: Option<Reader>,
    port: Port<()>,
    answers: Answers<()>,
    status: watch::Sender<BrokerStatus>,
    link: Option<Link>,
    connect_in: Time,
    again: Duration,
    /// Why there is no connection, in words.
    trouble: String,
    unreadable: Unreadable,
    oldest: Option<(u64, Option<Wall>)>,
}

impl Task {
    async fn begin(
        setup: Setup,
        writer: &Handle,
        status: watch::Sender<BrokerStatus>,
    ) -> Result<Task, BrokerError> {
        let (data, from) = (setup.data.clone(), setup.from.clone());
        let look = move || {
            let reader = Reader::open(&data)?;
            let view = reader.view()?;
            let state = view.share_state()?;
            let marks: Vec<(AgentId, Mark)> = from
                .iter()
                .map(|agent| Ok((*agent, view.heard(*agent)?)))
                .collect::<Result<_, StoreError>>()?;
            let away_told = view.alarms_open()?.iter().any(|alarm| alarm.key == "alarm.broker_away");
            drop(view);
            Ok::<_, StoreError>((reader, state, marks, away_told))
        };
        let (reader, state, from, away_told) = tokio::task::spawn_blocking(look).await??;
        let handed = Mark { stream: state.stream, seq: state.handed };
        let share = Share::new(Begin {
            handed: (setup.share && state.is_on).then_some(handed),
            head: state.head,
            from,
            broker: setup.access.address.to_string(),
            away_told,
        });
        let (port, answers) = writer.port();
        Ok(Task {
            setup,
            share,
            reader: Some(reader),
            port,
            answers,
            status,
            link: None,
            connect_in: clock::now(),
            again: AGAIN_MIN,
            trouble: String::new(),
            unreadable: Unreadable::default(),
            oldest: None,
        })
    }

    /// A look at the store, off the async threads, on the one connection of the task.
    async fn look<T: Send + 'static>(
        &mut self,
        query: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (kept, data) = (self.reader.take(), self.setup.data.clone());
        let look = move || {
            let reader = match kept {
                Some(reader) => reader,
                None => Reader::open(&data)?,
            };
            let found = query(&reader.view()?)?;
            Ok::<_, StoreError>((reader, found))
        };
        let (reader, found) = tokio::task::spawn_blocking(look).await??;
        self.reader = Some(reader);
        Ok(found)
    }

    async fn on_told(&mut self, told: Told<()>) -> Result<(), BrokerError> {
        match told {
            Told::Committed { txn, .. } => self.feed(Input::Committed(txn)).await,
            Told::Failed { why, .. } => Err(why.into()),
            Told::Found { .. } => Ok(()),
        }
    }

    async fn on_tick(&mut self) -> Result<(), BrokerError> {
        if self.setup.share {
            let ShareState { stream, head, .. } = self.look(|view| view.share_state()).await?;
            self.feed(Input::Head { stream, head }).await?;
        }
        self.feed(Input::Tick).await?;
        self.show().await
    }

    async fn on_came(&mut self, came: Option<Came>) -> Result<(), BrokerError> {
        match came {
            None => {
                self.link = Some(Link::open(&self.setup.access, self.topics()));
                Ok(())
            }
            Some(Came::Ready) => {
                tracing::info!(broker = %self.setup.access.address, "broker connected");
                (self.again, self.trouble) = (AGAIN_MIN, String::new());
                self.feed(Input::Connected).await
            }
            Some(Came::Acknowledged(seq)) => self.feed(Input::Acknowledged(seq)).await,
            Some(Came::Message { topic, body }) => match self.read(&topic, &body) {
                Some(input) => self.feed(input).await,
                None => Ok(()),
            },
            Some(Came::Over(error)) => {
                self.lose(&error);
                self.feed(Input::Lost).await
            }
        }
    }

    /// What is heard: the letters of others, and what is said of ours.
    fn topics(&self) -> Vec<String> {
        let letters = self.setup.from.iter().map(|agent| letters::letters_topic(*agent));
        let marks = self.setup.share.then(|| letters::marks_topic(self.setup.agent, None));
        letters.chain(marks).collect()
    }

    /// The connection is no more; the next one is made some time later.
    fn lose(&mut self, error: &LinkError) {
        let trouble = chain(error);
        if self.trouble != trouble {
            tracing::warn!(broker = %self.setup.access.address, error = trouble, "broker away");
        }
        self.trouble = trouble;
        self.link = None;
        let spread = fastrand::f64() + 0.5;
        self.connect_in = clock::now().after(self.again.mul_f64(spread));
        self.again = (self.again * 2).min(AGAIN_MAX);
    }

    fn read(&mut self, topic: &str, body: &[u8]) -> Option<Input> {
        match Topic::parse(topic)? {
            Topic::Letters(agent) => {
                let Some((stream, letter)) = letters::parse(body) else {
                    self.is_unreadable(agent, body);
                    return None;
                };
                Some(Input::Letter { agent, stream, letter })
            }
            Topic::Marks { sender, hearer } => {
                let word = letters::parse_word(body).filter(|_| sender == self.setup.agent)?;
                Some(Input::Report { hearer, mark: word.mark, asks: word.asks })
            }
        }
    }

    fn is_unreadable(&mut self, agent: AgentId, body: &[u8]) {
        let heard = self.share.status(clock::now()).from;
        let Some(mark) = heard.iter().find(|heard| heard.agent == agent).map(|heard| heard.mark) else {
            return;
        };
        if self.unreadable.came(agent, mark, body) {
            let bytes = body.len();
            tracing::warn!(%agent, bytes, "a letter cannot be read: is that agent of a later version?");
        }
    }

    /// One input, and what follows from it.
    async fn feed(&mut self, input: Input) -> Result<(), BrokerError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.share.step(clock::now(), clock::wall(), input, &mut effects);
            for effect in effects {
                if let Err(error) = self.act(effect).await? {
                    self.lose(&error);
                    inputs.push_back(Input::Lost);
                }
            }
        }
        Ok(())
    }

    /// Does what the step says; the inner error is the connection's.
    async fn act(&mut self, effect: Effect) -> Result<Result<(), LinkError>, BrokerError> {
        match effect {
            Effect::Commit(txn) => self.commit(txn).await.map(Ok),
            Effect::Send { stream, first, last } => {
                let found: Vec<Letter> = self.look(move |view| view.letters(stream, first, last)).await?;
                let topic = letters::letters_topic(self.setup.agent);
                let Some(link) = &mut self.link else { return Ok(Ok(())) };
                let mut sent = found.iter().map(|letter| {
                    link.publish(topic.clone(), letters::render(stream, letter), Some(letter.seq))
                });
                Ok(sent.try_for_each(|done| done))
            }
            Effect::Tell { agent, word } => {
                let topic = letters::marks_topic(agent, Some(self.setup.agent));
                let Some(link) = &mut self.link else { return Ok(Ok(())) };
                Ok(link.publish(topic, letters::render_word(&word), None))
            }
            Effect::GiveUp => Ok(Err(LinkError::Silent)),
        }
    }

    async fn commit(&mut self, txn: Txn) -> Result<(), BrokerError> {
        Ok(self.port.commit(txn).await?)
    }

    async fn show(&mut self) -> Result<(), BrokerError> {
        let share = self.share.status(clock::now());
        for heard in &share.from {
            self.unreadable.on_taken(heard.agent, heard.mark);
        }
        let oldest = match (share.oldest, self.oldest) {
            (None, _) => None,
            (Some(seq), Some((known, at))) if known == seq => Some((seq, at)),
            (Some(seq), _) => Some((seq, self.look(move |view| view.letter_at(seq)).await?)),
        };
        self.oldest = oldest;
        let shown = BrokerStatus {
            address: self.setup.access.address.to_string(),
            share,
            trouble: self.trouble.clone(),
            oldest_ms: oldest.and_then(|(_, at)| at).map(|at| at.0),
            unreadable: self.unreadable.agents(),
        };
        self.status.send_if_modified(|now| {
            let differs = *now != shown;
            *now = shown;
            differs
        });
        Ok(())
    }
}
