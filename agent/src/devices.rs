//! From configuration to running devices: one task each, its events told to the line in the line's words.

use std::pin::Pin;

use tamga_domain::ids::{PrinterNo, ReaderNo, Tag};
use tamga_domain::line::{GateEvent, Input, JobId, PrinterEvent, ReaderEvent};
use tamga_domain::time::Time;
use tamga_drivers::fault::{Fault, FaultKind};
use tamga_drivers::gate::modbus::ModbusGate;
use tamga_drivers::gate::{self, GateCommand};
use tamga_drivers::printer::zpl::Zpl;
use tamga_drivers::printer::{self, PrinterCommand};
use tamga_drivers::reader::keyboard::Keyboard;
use tamga_drivers::reader::text::TextReader;
use tamga_drivers::reader::{self, ReaderCommand};
use tamga_drivers::run::Pace;
use tamga_drivers::session;
use tamga_drivers::trace::Trace;
use tamga_drivers::transport::{SerialLine, Transport};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{Instrument as _, Span};

pub mod station;

use crate::clock;
use crate::config;
use crate::line::{ForItem, ToPrinter};

/// A line has one gate, and this is its name.
pub const GATE: &str = "gate";

/// Commands that may wait for one device. A line hands over at most its window at once; the rest is slack.
const COMMANDS_MAX: usize = 256;

/// Events of one device that may wait for its line.
const EVENTS_MAX: usize = 256;

/// A device could not be set up; the configuration was checked, so it is a thing of the moment.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("reader {name}: {why}")]
    Framing { name: String, why: String },
    #[error("the gate's register map cannot work")]
    Map(#[from] tamga_drivers::gate::map::MapError),
}

/// The channels from a line to its devices, and the traces by device name.
pub struct Devices {
    pub printers: Vec<mpsc::Sender<ToPrinter>>,
    pub gate: mpsc::Sender<ForItem>,
    /// Whether the belt may run.
    pub belt: watch::Sender<bool>,
    pub traces: Vec<(String, Trace)>,
}

fn driver_clock() -> session::Time {
    session::Time(clock::now().0)
}

/// What people call a device: its name in the configuration, with its line before it where there are several lines.
pub fn called(config: &config::Config, line: &config::line::Line, device: &str) -> String {
    if config.lines.len() == 1 { device.to_owned() } else { format!("{}.{device}", line.name) }
}

/// Starts all devices of a line on `tasks`; what they say goes to `events`.
pub fn start(
    config: &config::Config,
    line: &config::line::Line,
    events: &mpsc::Sender<Input>,
    tasks: &mut JoinSet<String>,
) -> Result<Devices, DeviceError> {
    let mut traces = Vec::new();
    let mut printers = Vec::new();
    for (no, one) in (0..).zip(&line.printers) {
        let trace = Trace::of_symbols();
        let name = called(config, line, &one.name);
        let span = told_of(&name);
        traces.push((name, trace.clone()));
        printers.push(start_printer(PrinterNo(no), one, trace, span, events.clone(), tasks));
    }
    for (no, one) in (0..).zip(&line.readers) {
        let trace = Trace::of_symbols();
        let name = called(config, line, &one.name);
        let span = told_of(&name);
        traces.push((name, trace.clone()));
        start_reader(ReaderNo(no), one, trace, span, events.clone(), tasks)?;
    }
    let trace = Trace::of_signals();
    let name = called(config, line, GATE);
    let span = told_of(&name);
    traces.push((name, trace.clone()));
    let (gate, belt) = start_gate(&line.gate, trace, span, events.clone(), tasks)?;
    Ok(Devices { printers, gate, belt, traces })
}

/// What the log calls a device while one of its tasks speaks. Of the highest level, so that every line has it.
fn told_of(name: &str) -> Span {
    tracing::error_span!("device", name)
}

/// A fault as a word, and in the log with what else is known. Not every fault stops a line.
fn fault(fault: &Fault) -> String {
    tracing::warn!(%fault, "the device has a fault");
    fault.key().to_owned()
}

/// The end of a fault, as [`fault`].
fn cleared(kind: FaultKind) -> String {
    tracing::info!(fault = kind.key(), "the device's fault is over");
    kind.key().to_owned()
}

fn pace(seed: u64) -> Pace {
    Pace { seed, ..Pace::default() }
}

fn start_printer(
    no: PrinterNo,
    one: &config::printer::Printer,
    trace: Trace,
    span: Span,
    line: mpsc::Sender<Input>,
    tasks: &mut JoinSet<String>,
) -> mpsc::Sender<ToPrinter> {
    let (commands, mut said) = run_printer(&one.name, &one.device, no.0.into(), trace, &span, tasks);
    let (orders, mut ordered) = mpsc::channel(COMMANDS_MAX);
    let name = one.name.clone();
    let work = async move {
        let mut tests: u64 = 0;
        while let Some(order) = ordered.recv().await {
            let command = match order {
                ToPrinter::Print(job) => PrinterCommand::Print(printer::Job {
                    id: printer::JobId(number(job.id)),
                    symbol: job.symbol,
                    gs1: job.gs1,
                    fields: job.fields,
                }),
                ToPrinter::Test => {
                    tests += 1;
                    // Test jobs are numbered from the top, where no run's job ever is.
                    PrinterCommand::Print(printer::Job::test(printer::JobId(u64::MAX - tests), "TAMGA"))
                }
            };
            if commands.send(command).await.is_err() {
                break;
            }
        }
        format!("commands of printer {name}")
    };
    tasks.spawn(work.instrument(span.clone()));
    let name = one.name.clone();
    let work = async move {
        while let Some(event) = said.recv().await {
            if let Some(event) = printer_event(event)
                && line.send(Input::Printer(no, event)).await.is_err()
            {
                break;
            }
        }
        format!("events of printer {name}")
    };
    tasks.spawn(work.instrument(span.clone()));
    orders
}

/// The session of a printer, with what it takes and what it says.
fn run_printer(
    name: &str,
    device: &config::printer::PrinterDevice,
    seed: u64,
    trace: Trace,
    span: &Span,
    tasks: &mut JoinSet<String>,
) -> (mpsc::Sender<PrinterCommand>, mpsc::Receiver<printer::PrinterEvent>) {
    let config::printer::PrinterDevice::Zpl(zpl) = device;
    let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
    let (events, said) = mpsc::channel(EVENTS_MAX);
    let transport = Transport::tcp(zpl.address.to_string());
    let session = Zpl::new(zpl.config.clone());
    let name = name.to_owned();
    let work = async move {
        tamga_drivers::run::run(session, transport, commands_in, events, trace, driver_clock, pace(seed))
            .await;
        format!("printer {name}")
    };
    tasks.spawn(work.instrument(span.clone()));
    (commands, said)
}

/// The number by which a driver knows a job.
pub fn number(job: JobId) -> u64 {
    (u64::from(job.run.0) << 32) | u64::from(job.issue.0)
}

fn job(id: printer::JobId) -> JobId {
    let issue = u32::try_from(id.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    let run = u32::try_from(id.0 >> 32).unwrap_or(u32::MAX);
    JobId { run: tamga_domain::ids::RunId(run), issue: tamga_domain::ids::IssueNo(issue) }
}

/// What a printer's driver says, in the words of the line.
pub fn printer_event(event: printer::PrinterEvent) -> Option<PrinterEvent> {
    printer_said(event, job)
}

/// The same for jobs that are named otherwise.
fn printer_said<J>(
    event: printer::PrinterEvent,
    job: impl Fn(printer::JobId) -> J,
) -> Option<PrinterEvent<J>> {
    use printer::PrinterEvent as E;
    Some(match event {
        E::Connected | E::Accepted(_) | E::Odometer { .. } => return None,
        E::Ready { free: 0 } => PrinterEvent::NotReady,
        E::Ready { .. } => PrinterEvent::Ready,
        E::Printed(id) => PrinterEvent::Printed(job(id)),
        E::Refused(id, fault) => {
            tracing::warn!(job = id.0, fault = fault.key(), "job refused");
            PrinterEvent::Refused(job(id))
        }
        E::Doubtful(id, fault) => {
            tracing::warn!(job = id.0, fault = fault.key(), "job in doubt");
            PrinterEvent::Doubtful(job(id))
        }
        E::Fault(known) => PrinterEvent::Fault(fault(&known)),
        E::Cleared(kind) => PrinterEvent::Cleared(cleared(kind)),
        E::Disconnected => PrinterEvent::Disconnected,
    })
}

fn start_reader(
    no: ReaderNo,
    one: &config::reader::Reader,
    trace: Trace,
    span: Span,
    line: mpsc::Sender<Input>,
    tasks: &mut JoinSet<String>,
) -> Result<(), DeviceError> {
    let seed = u64::from(no.0) + 100;
    let (commands, mut said) = run_reader(&one.name, &one.device, seed, trace, &span, tasks)?;
    let name = one.name.clone();
    let work = async move {
        loop {
            let event = tokio::select! {
                biased;
                // Nobody listens any more: the reader is let go, though it may say nothing for hours.
                () = line.closed() => break,
                event = said.recv() => event,
            };
            let Some(event) = event else { break };
            if let Some(event) = reader_event(event)
                && line.send(Input::Reader(no, event)).await.is_err()
            {
                break;
            }
        }
        // The reader takes no commands here; its channel lives as long as its events are wanted.
        drop(commands);
        format!("events of reader {name}")
    };
    tasks.spawn(work.instrument(span.clone()));
    Ok(())
}

/// The session of a reader, with what it takes and what it says.
fn run_reader(
    name: &str,
    device: &config::reader::ReaderDevice,
    seed: u64,
    trace: Trace,
    span: &Span,
    tasks: &mut JoinSet<String>,
) -> Result<(mpsc::Sender<ReaderCommand>, mpsc::Receiver<reader::ReaderEvent>), DeviceError> {
    let config::reader::ReaderDevice::Text(text) = device;
    let transport = reader_transport(&text.link);
    let framing = |why: tamga_drivers::framing::FramingError| DeviceError::Framing {
        name: name.to_owned(),
        why: why.to_string(),
    };
    let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
    let (events, said) = mpsc::channel(EVENTS_MAX);
    let ended = format!("reader {name}");
    let (clock, pace) = (driver_clock, pace(seed));
    let run: Pin<Box<dyn Future<Output = _> + Send>> = match text.link {
        config::reader::ReaderLink::Keyboard { .. } => {
            let session = Keyboard::new(text.config.max_len);
            Box::pin(tamga_drivers::run::run(session, transport, commands_in, events, trace, clock, pace))
        }
        _ => {
            let session = TextReader::new(text.config.clone()).map_err(framing)?;
            Box::pin(tamga_drivers::run::run(session, transport, commands_in, events, trace, clock, pace))
        }
    };
    let work = async move {
        run.await;
        ended
    };
    tasks.spawn(work.instrument(span.clone()));
    Ok((commands, said))
}

fn reader_transport(link: &config::reader::ReaderLink) -> Transport {
    match link {
        config::reader::ReaderLink::Connect(address) => Transport::tcp(address.to_string()),
        config::reader::ReaderLink::Listen { at, peers } => {
            Transport::tcp_listen(at.to_string(), peers.clone()).0
        }
        config::reader::ReaderLink::Serial { path, baud } => {
            Transport::Serial(SerialLine::of_8n1(path.to_string_lossy().into_owned(), *baud))
        }
        config::reader::ReaderLink::Keyboard { path, grab } => {
            Transport::keyboard(path.to_string_lossy().into_owned(), *grab)
        }
    }
}

/// What a reader's driver says, in the words of the line.
pub fn reader_event(event: reader::ReaderEvent) -> Option<ReaderEvent> {
    use reader::ReaderEvent as E;
    Some(match event {
        E::Connected => ReaderEvent::Connected,
        E::Disconnected => ReaderEvent::Disconnected,
        E::Read { bytes, at } => ReaderEvent::Read { bytes, at: Time(at.0) },
        E::Several { at, .. } => ReaderEvent::Several { at: Time(at.0) },
        E::NoRead { at } => ReaderEvent::NoRead { at: Time(at.0) },
        E::Oversize { at } => ReaderEvent::Oversize { at: Time(at.0) },
        E::Missed { .. } | E::Heartbeat => return None,
        E::Fault(known) => ReaderEvent::Fault(fault(&known)),
        E::Cleared(kind) => ReaderEvent::Cleared(cleared(kind)),
    })
}

fn start_gate(
    one: &config::gate::Gate,
    trace: Trace,
    span: Span,
    line: mpsc::Sender<Input>,
    tasks: &mut JoinSet<String>,
) -> Result<(mpsc::Sender<ForItem>, watch::Sender<bool>), DeviceError> {
    let config::gate::Gate::Modbus(modbus) = one;
    let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
    let (events, mut said) = mpsc::channel(EVENTS_MAX);
    let (orders, mut ordered) = mpsc::channel(COMMANDS_MAX);
    let (belt, mut may_run) = watch::channel(false);
    let transport = Transport::tcp(modbus.address.to_string());
    let session = ModbusGate::new(modbus.config.clone())?;
    let work = async move {
        tamga_drivers::run::run(session, transport, commands_in, events, trace, driver_clock, pace(200))
            .await;
        "gate".to_owned()
    };
    tasks.spawn(work.instrument(span.clone()));
    let work = async move {
        loop {
            let command = tokio::select! {
                biased;
                Ok(()) = may_run.changed() => match *may_run.borrow_and_update() {
                    true => GateCommand::StartLine,
                    false => GateCommand::StopLine,
                },
                order = ordered.recv() => match order {
                    Some(ForItem::Pass(tag)) => GateCommand::Pass(driver_tag(tag)),
                    Some(ForItem::Reject(tag)) => GateCommand::Reject(driver_tag(tag)),
                    None => break,
                },
            };
            if commands.send(command).await.is_err() {
                break;
            }
        }
        "commands of the gate".to_owned()
    };
    tasks.spawn(work.instrument(span.clone()));
    let work = async move {
        let mut opening = None;
        while let Some(event) = said.recv().await {
            if let Some(event) = gate_event(event, &mut opening)
                && line.send(Input::Gate(event)).await.is_err()
            {
                break;
            }
        }
        "events of the gate".to_owned()
    };
    tasks.spawn(work.instrument(span.clone()));
    Ok((orders, belt))
}

/// The driver's word for a tag.
pub fn driver_tag(tag: Tag) -> gate::Tag {
    gate::Tag { boot: tag.boot, number: tag.number }
}

fn line_tag(tag: gate::Tag) -> Tag {
    Tag { boot: tag.boot, number: tag.number }
}

/// The line hears of a connect when the gate's memory is told: with the first counts. `opening` is the boot until then.
pub fn gate_event(event: gate::GateEvent, opening: &mut Option<u16>) -> Option<GateEvent> {
    use gate::GateEvent as E;
    Some(match event {
        E::Connected { boot } => {
            *opening = Some(boot);
            return None;
        }
        E::Counts { triggers, .. } => {
            let boot = opening.take()?;
            GateEvent::Connected { last: Tag { boot, number: triggers } }
        }
        E::Disconnected => {
            *opening = None;
            GateEvent::Disconnected
        }
        E::Seen { as_of } => GateEvent::Seen { as_of: Time(as_of.0) },
        E::Item { tag, at, within } => GateEvent::Item { tag: line_tag(tag), at: Time(at.0), within },
        E::Passed(tag) => GateEvent::Passed(line_tag(tag)),
        E::Rejected(tag) => GateEvent::Rejected(line_tag(tag)),
        E::Lost(tag) => GateEvent::Lost(line_tag(tag)),
        E::Fault(known) => GateEvent::Fault(fault(&known)),
        E::Cleared(kind) => GateEvent::Cleared(cleared(kind)),
    })
}
