//! The one shell: brings a session bytes, commands and time, and carries out what it says.
//!
//! It knows nothing of any device. Rules that it keeps:
//!
//! - all bytes of a step are written before the next step; a write that would take longer than its
//!   limit drops the connection;
//! - commands come first, then bytes, then the clock, so that an answer which already lies in the
//!   socket is never overtaken by the time-out that waits for it;
//! - a read of nothing is the end of the connection, on serial lines too (an unplugged adapter reads
//!   as `Ok(0)` for ever), and the dead stream is closed at once;
//! - events wait for the line and are never dropped; so the line must never wait for a device;
//! - commands reach the session while there is no connection too: it refuses them by name.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::session::{Input, Output, Session, Time};
use crate::trace::{Direction, Trace};
use crate::transport::{Stream, Transport};

/// The patience of a shell.
#[derive(Debug, Clone)]
pub struct Pace {
    /// First and shortest pause before calling again.
    pub backoff_min: Duration,
    /// Longest pause before calling again.
    pub backoff_max: Duration,
    /// How long the writes of one step may take before the connection is dropped.
    pub write_max: Duration,
    /// Seed of the jitter, so that ten devices on one switch do not call in step.
    pub seed: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            write_max: Duration::from_secs(2),
            seed: 0,
        }
    }
}

/// Why a shell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The line closed the channel of commands: an orderly end.
    CommandsClosed,
    /// Nobody listens to the events any more.
    EventsClosed,
}

/// Runs one device until its channel of commands closes.
///
/// `clock` is our monotonic clock and must run at the pace of real time. Needs a tokio runtime with
/// I/O and time.
pub async fn run<S: Session>(
    session: S,
    transport: Transport,
    commands: mpsc::Receiver<S::Command>,
    events: mpsc::Sender<S::Event>,
    trace: Trace,
    clock: impl Fn() -> Time,
    pace: Pace,
) -> End {
    let backoff = Backoff { last: pace.backoff_min, rng: fastrand::Rng::with_seed(pace.seed) };
    let shell = Shell { session, events, trace, clock, wake: None, out: Output::new() };
    drive(shell, transport, commands, pace, backoff).await
}

async fn drive<S: Session, C: Fn() -> Time>(
    mut shell: Shell<S, C>,
    mut transport: Transport,
    mut commands: mpsc::Receiver<S::Command>,
    pace: Pace,
    mut backoff: Backoff,
) -> End {
    let mut pause = Duration::ZERO;
    let mut waiting: Option<Box<dyn Stream>> = None;
    // The first attempt that fails is news, the hundredth is not.
    let mut absence_told = false;
    loop {
        let stream = match waiting.take() {
            Some(stream) => stream,
            None => match shell.disconnected(&mut transport, &mut commands, pause).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(err)) => {
                    pause = backoff.next(&pace);
                    if std::mem::replace(&mut absence_told, true) {
                        tracing::debug!(at = transport.name(), %err, ?pause, "no connection");
                    } else {
                        tracing::warn!(at = transport.name(), %err, "no connection; it is tried until there is one");
                    }
                    continue;
                }
                Err(end) => return end,
            },
        };
        absence_told = false;
        tracing::info!(at = transport.name(), "connected");
        let mut link = Link { heard: false, write_max: pace.write_max };
        let why = shell.connected(stream, &mut transport, &mut commands, &mut link).await;
        if link.heard {
            backoff.last = pace.backoff_min;
        }
        pause = if transport.is_called() { Duration::ZERO } else { backoff.next(&pace) };
        match &why {
            Why::Ended(end) => tracing::info!(at = transport.name(), ?end, "device closed"),
            Why::Lost(err) => tracing::warn!(at = transport.name(), %err, ?pause, "connection lost"),
            Why::Replaced(_) => {
                tracing::warn!(at = transport.name(), "a new connection replaces the old")
            }
        }
        if shell.lost().await.is_err() {
            return End::EventsClosed;
        }
        match why {
            Why::Ended(end) => return end,
            Why::Lost(_) => {}
            Why::Replaced(stream) => waiting = Some(stream),
        }
    }
}

/// Why a connection is over.
enum Why {
    Lost(io::Error),
    Replaced(Box<dyn Stream>),
    Ended(End),
}

/// What is known of one connection.
struct Link {
    /// The device sent something: it is more than an open port.
    heard: bool,
    write_max: Duration,
}

struct Shell<S: Session, C> {
    session: S,
    events: mpsc::Sender<S::Event>,
    trace: Trace,
    clock: C,
    wake: Option<Time>,
    out: Output<S::Event>,
}

/// What ends the wait of a connected shell.
enum Turn<'a, C> {
    Command(Option<C>),
    Read(io::Result<&'a [u8]>),
    Replaced(io::Result<Box<dyn Stream>>),
    Tick,
}

/// The line went away.
struct NobodyListens;

/// One read: a vision reader's longest answers fit, and a step stays short.
const CHUNK_LEN: usize = 4096;

impl<S: Session, C: Fn() -> Time> Shell<S, C> {
    /// Waits out the pause and opens a connection, answering commands and ticks meanwhile.
    async fn disconnected(
        &mut self,
        transport: &mut Transport,
        commands: &mut mpsc::Receiver<S::Command>,
        pause: Duration,
    ) -> Result<io::Result<Box<dyn Stream>>, End> {
        let mut opening = pin!(async {
            sleep(pause).await;
            transport.open().await
        });
        loop {
            let wake = until(self.wake, &self.clock);
            let input = tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => Input::Command(command),
                    None => return Err(End::CommandsClosed),
                },
                opened = &mut opening => return Ok(opened),
                () = wake => Input::Tick,
                () = self.events.closed() => return Err(End::EventsClosed),
            };
            self.step(input);
            debug_assert!(self.out.bytes.is_empty(), "a session sends nothing while disconnected");
            if self.tell().await.is_err() {
                return Err(End::EventsClosed);
            }
        }
    }

    /// Serves one connection until it is over. The session has not been told so yet.
    async fn connected(
        &mut self,
        stream: Box<dyn Stream>,
        transport: &mut Transport,
        commands: &mut mpsc::Receiver<S::Command>,
        link: &mut Link,
    ) -> Why {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut chunk = [0; CHUNK_LEN];
        self.trace.record((self.clock)(), Direction::Connected, b"");
        if let Err(why) = self.turn(Input::Connected, &mut writer, link).await {
            return why;
        }
        loop {
            let turn = self.wait(&mut reader, &mut chunk, transport, commands).await;
            let done = match turn {
                Turn::Command(Some(command)) => self.turn(Input::Command(command), &mut writer, link).await,
                Turn::Command(None) => Err(Why::Ended(End::CommandsClosed)),
                Turn::Read(Ok(&[])) => Err(Why::Lost(io::ErrorKind::UnexpectedEof.into())),
                Turn::Read(Ok(bytes)) => {
                    link.heard = true;
                    self.trace.record((self.clock)(), Direction::In, bytes);
                    match self.turn(Input::Bytes(bytes), &mut writer, link).await {
                        // A stream that never pauses must not keep the clock from the session.
                        Ok(()) if self.is_due() => self.turn(Input::Tick, &mut writer, link).await,
                        done => done,
                    }
                }
                Turn::Read(Err(err)) => Err(Why::Lost(err)),
                Turn::Replaced(Ok(stream)) => Err(Why::Replaced(stream)),
                // Out of descriptors, say: the open connection is worth more than the new one.
                Turn::Replaced(Err(err)) => {
                    tracing::warn!(at = transport.name(), %err, "could not accept");
                    sleep(Duration::from_millis(100)).await;
                    Ok(())
                }
                Turn::Tick => self.turn(Input::Tick, &mut writer, link).await,
            };
            if let Err(why) = done {
                // Orderly where it can be; the socket closes in any case when it is dropped.
                drop(timeout(Duration::from_millis(200), writer.shutdown()).await);
                return why;
            }
        }
    }

    async fn wait<'a>(
        &mut self,
        reader: &mut ReadHalf<Box<dyn Stream>>,
        chunk: &'a mut [u8],
        transport: &mut Transport,
        commands: &mut mpsc::Receiver<S::Command>,
    ) -> Turn<'a, S::Command> {
        let wake = until(self.wake, &self.clock);
        let read = tokio::select! {
            biased;
            command = commands.recv() => return Turn::Command(command),
            read = reader.read(chunk) => read,
            replaced = transport.replaced() => return Turn::Replaced(replaced),
            () = wake => return Turn::Tick,
        };
        Turn::Read(read.map(|len| &chunk[..len]))
    }

    /// Takes one step, writes its bytes, tells its events: in this order, since bytes are in a hurry
    /// and the line may take its time.
    async fn turn(
        &mut self,
        input: Input<'_, S::Command>,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        link: &Link,
    ) -> Result<(), Why> {
        self.step(input);
        let close = self.out.close;
        let mut done = Ok(());
        if !self.out.bytes.is_empty() {
            self.trace.record((self.clock)(), Direction::Out, &self.out.bytes);
            done = match timeout(link.write_max, write(writer, &self.out.bytes)).await {
                Ok(written) => written,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the device takes no bytes")),
            };
        }
        self.tell().await.map_err(|NobodyListens| Why::Ended(End::EventsClosed))?;
        done.map_err(Why::Lost)?;
        if close {
            return Err(Why::Lost(io::Error::new(io::ErrorKind::InvalidData, "the session gave up on it")));
        }
        Ok(())
    }

    fn step(&mut self, input: Input<'_, S::Command>) {
        self.out.clear();
        self.session.step((self.clock)(), input, &mut self.out);
        self.wake = self.out.wake;
    }

    async fn tell(&mut self) -> Result<(), NobodyListens> {
        for event in self.out.events.drain(..) {
            self.events.send(event).await.map_err(|_| NobodyListens)?;
        }
        Ok(())
    }

    /// Tells the session that its connection is gone.
    async fn lost(&mut self) -> Result<(), NobodyListens> {
        self.trace.record((self.clock)(), Direction::Disconnected, b"");
        self.step(Input::Disconnected);
        self.tell().await
    }

    fn is_due(&self) -> bool {
        self.wake.is_some_and(|wake| wake <= (self.clock)())
    }
}

async fn write(writer: &mut WriteHalf<Box<dyn Stream>>, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// Sleeps until `wake` of our clock, or for ever.
async fn until(wake: Option<Time>, clock: &impl Fn() -> Time) {
    match wake {
        Some(wake) => sleep(wake.since(clock())).await,
        None => std::future::pending().await,
    }
}

/// Pauses between calls: decorrelated jitter, from the shortest up to the longest.
struct Backoff {
    last: Duration,
    rng: fastrand::Rng,
}

impl Backoff {
    fn next(&mut self, pace: &Pace) -> Duration {
        let low = nanos(pace.backoff_min);
        let high = nanos(self.last).saturating_mul(3).max(low);
        self.last = Duration::from_nanos(self.rng.u64(low..=high)).min(pace.backoff_max);
        self.last
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_jitter_and_stay_within_their_bounds() {
        let pace = Pace::default();
        let mut backoff = Backoff { last: pace.backoff_min, rng: fastrand::Rng::with_seed(7) };
        let pauses: Vec<_> = (0..1000).map(|_| backoff.next(&pace)).collect();
        assert!(pauses.iter().all(|p| (pace.backoff_min..=pace.backoff_max).contains(p)));
        assert!(pauses.contains(&pace.backoff_max));
        assert!(pauses[0] <= 3 * pace.backoff_min);
    }
}
