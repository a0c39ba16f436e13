//! The devices of a packing station: its scanner, and its printer where it prints.

use tamga_domain::ids::PackNo;
use tamga_domain::pack::station::{LabelId, LabelJob, Signal, StationInput};
use tamga_drivers::printer::{self, PrinterCommand};
use tamga_drivers::reader::ReaderCommand;
use tamga_drivers::trace::Trace;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{COMMANDS_MAX, DeviceError, printer_said, reader_event, run_printer, run_reader, told_of};
use crate::config::station::{Sounds, Station};

/// The channels from a station to its devices, and the traces by device name.
pub struct Devices {
    pub printer: Option<mpsc::Sender<LabelJob>>,
    pub signals: mpsc::Sender<Signal>,
    pub traces: Vec<(String, Trace)>,
}

/// Starts the devices of a station on `tasks`; what they say goes to `events`. `no`: its place in the configuration.
pub fn start(
    no: u64,
    station: &Station,
    events: &mpsc::Sender<StationInput>,
    tasks: &mut JoinSet<String>,
) -> Result<Devices, DeviceError> {
    let mut traces = Vec::new();
    let name = format!("{}.reader", station.name);
    let trace = Trace::of_symbols();
    traces.push((name.clone(), trace.clone()));
    let signals = scanner(no, &name, station, trace, events.clone(), tasks)?;
    let printer = station.printer.as_ref().map(|device| {
        let name = format!("{}.printer", station.name);
        let trace = Trace::of_symbols();
        traces.push((name.clone(), trace.clone()));
        labels(no, &name, device, trace, events.clone(), tasks)
    });
    Ok(Devices { printer, signals, traces })
}

fn scanner(
    no: u64,
    name: &str,
    station: &Station,
    trace: Trace,
    events: mpsc::Sender<StationInput>,
    tasks: &mut JoinSet<String>,
) -> Result<mpsc::Sender<Signal>, DeviceError> {
    let span = told_of(name);
    let (commands, mut said) = run_reader(name, &station.reader, 300 + no, trace, &span, tasks)?;
    let (signals, mut ordered) = mpsc::channel(COMMANDS_MAX);
    let (sounds, name) = (station.sounds.clone(), name.to_owned());
    let work = async move {
        loop {
            tokio::select! {
                biased;
                // Nobody listens any more: the scanner is let go, though it may say nothing for hours.
                () = events.closed() => break,
                Some(signal) = ordered.recv() => {
                    let words = words_of(&sounds, signal);
                    if !words.is_empty() && commands.send(ReaderCommand::Send(words.to_vec())).await.is_err() {
                        break;
                    }
                }
                event = said.recv() => match event {
                    None => break,
                    Some(event) => {
                        if let Some(event) = reader_event(event)
                            && events.send(StationInput::Reader(event)).await.is_err()
                        {
                            break;
                        }
                    }
                },
            }
        }
        format!("events of {name}")
    };
    tasks.spawn(work.instrument(span));
    Ok(signals)
}

fn words_of(sounds: &Sounds, signal: Signal) -> &[u8] {
    match signal {
        Signal::Taken => &sounds.taken,
        Signal::Closed => &sounds.closed,
        Signal::Refused => &sounds.refused,
    }
}

fn labels(
    no: u64,
    name: &str,
    device: &crate::config::printer::PrinterDevice,
    trace: Trace,
    events: mpsc::Sender<StationInput>,
    tasks: &mut JoinSet<String>,
) -> mpsc::Sender<LabelJob> {
    let span = told_of(name);
    let (commands, mut said) = run_printer(name, device, 400 + no, trace, &span, tasks);
    let (jobs, mut ordered) = mpsc::channel(COMMANDS_MAX);
    let called = name.to_owned();
    let work = async move {
        while let Some(job) = ordered.recv().await {
            if commands.send(PrinterCommand::Print(rendered(&job))).await.is_err() {
                break;
            }
        }
        format!("commands of {called}")
    };
    tasks.spawn(work.instrument(span.clone()));
    let called = name.to_owned();
    let work = async move {
        while let Some(event) = said.recv().await {
            if let Some(event) = printer_said(event, label_of)
                && events.send(StationInput::Printer(event)).await.is_err()
            {
                break;
            }
        }
        format!("events of {called}")
    };
    tasks.spawn(work.instrument(span));
    jobs
}

/// A label as the printer's driver takes it: the SSCC as a GS1 DataMatrix, and for people.
fn rendered(job: &LabelJob) -> printer::Job {
    printer::Job {
        id: printer::JobId((u64::from(job.id.pack.0) << 32) | u64::from(job.id.no)),
        symbol: job.name.render(),
        gs1: true,
        fields: vec![
            ("sscc".to_owned(), job.name.to_string()),
            ("content".to_owned(), job.content.to_string()),
        ],
    }
}

fn label_of(id: printer::JobId) -> LabelId {
    let half = |n: u64| u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    LabelId { pack: PackNo(half(id.0 >> 32)), no: half(id.0) }
}
