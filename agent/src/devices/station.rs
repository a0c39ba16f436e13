//! The devices of a packing station: its scanner, and its printer where it prints.

use tamga_domain::ids::PackNo;
use tamga_domain::line::PrinterEvent;
use tamga_domain::pack::station::layer::Part;
use tamga_domain::pack::station::{LabelId, LabelJob, Signal, StationInput};
use tamga_drivers::printer::{self, PrinterCommand};
use tamga_drivers::reader::{self, ReaderCommand};
use tamga_drivers::trace::Trace;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{COMMANDS_MAX, DeviceError, printer_said, reader_event, run_printer, run_reader, told_of};
use crate::config::reader::ReaderDevice;
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
    let (fixed, hand) = match &station.layer {
        Some(layer) => (Kind::Fixed(layer.coordinates.clone()), Some(&layer.hand)),
        None => (Kind::Scanner, None),
    };
    let of_reader = Scanner { no: 300 + no, device: &station.reader, kind: fixed };
    let mut signals = scanner(&name, of_reader, station, trace, events.clone(), tasks)?;
    if let Some(device) = hand {
        let name = format!("{}.hand", station.name);
        let trace = Trace::of_symbols();
        traces.push((name.clone(), trace.clone()));
        let hand = Scanner { no: 500 + no, device, kind: Kind::Hand };
        // The person hears the scanner in the hand.
        signals = scanner(&name, hand, station, trace, events.clone(), tasks)?;
    }
    let printer = station.printer.as_ref().map(|device| {
        let name = format!("{}.printer", station.name);
        let trace = Trace::of_symbols();
        traces.push((name.clone(), trace.clone()));
        labels(no, &name, device, trace, events.clone(), tasks)
    });
    Ok(Devices { printer, signals, traces })
}

/// A reader of a station, and what its results are to it.
struct Scanner<'s> {
    no: u64,
    device: &'s ReaderDevice,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// One thing after the other, as a hand scans them.
    Scanner,
    /// The same, beside a reader of layers.
    Hand,
    /// Sees a layer; what stands between a mark and its coordinates.
    Fixed(Option<Vec<u8>>),
}

impl Kind {
    /// What the station hears of an event.
    fn input(&self, event: reader::ReaderEvent) -> Option<StationInput> {
        use reader::ReaderEvent as E;
        let event = match (self, event) {
            (Kind::Fixed(between), E::Read { bytes, .. }) => {
                return Some(StationInput::Layer(vec![part(&bytes, between.as_deref())]));
            }
            (Kind::Fixed(between), E::Several { parts, .. }) => {
                let parts = parts.iter().map(|bytes| part(bytes, between.as_deref())).collect();
                return Some(StationInput::Layer(parts));
            }
            (_, event) => reader_event(event)?,
        };
        Some(if matches!(self, Kind::Hand) { StationInput::Hand(event) } else { StationInput::Reader(event) })
    }
}

/// A mark of a result with its coordinates, which stand behind it as `x,y`. A part without coordinates that can be read as
/// such is told as one without: its layer is refused.
fn part(bytes: &[u8], between: Option<&[u8]>) -> Part {
    let Some(between) = between else { return Part { bytes: bytes.to_vec(), centre: None } };
    let at = bytes.windows(between.len().max(1)).rposition(|window| window == between);
    let Some(at) = at else { return Part { bytes: bytes.to_vec(), centre: None } };
    let text = std::str::from_utf8(&bytes[at + between.len()..]).unwrap_or_default();
    let centre = text.split_once(',').and_then(|(x, y)| {
        let number = |text: &str| text.trim().parse::<i32>().ok();
        Some((number(x)?, number(y)?))
    });
    Part { bytes: bytes[..at].to_vec(), centre }
}

fn scanner(
    name: &str,
    of: Scanner<'_>,
    station: &Station,
    trace: Trace,
    events: mpsc::Sender<StationInput>,
    tasks: &mut JoinSet<String>,
) -> Result<mpsc::Sender<Signal>, DeviceError> {
    let span = told_of(name);
    let (commands, mut said) = run_reader(name, of.device, of.no, trace, &span, tasks)?;
    let kind = of.kind;
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
                        if let Some(input) = kind.input(event)
                            && events.send(input).await.is_err()
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

/// What the scanner is sent for a signal.
pub fn words_of(sounds: &Sounds, signal: Signal) -> &[u8] {
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
            if let Some(event) = label_event(event)
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
pub fn rendered(job: &LabelJob) -> printer::Job {
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

/// What a printer's driver says of labels, in the words of the station.
pub fn label_event(event: printer::PrinterEvent) -> Option<PrinterEvent<LabelId>> {
    printer_said(event, label_of)
}

fn label_of(id: printer::JobId) -> LabelId {
    let half = |n: u64| u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    LabelId { pack: PackNo(half(id.0 >> 32)), no: half(id.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_stand_behind_a_mark() {
        let at = |text: &str| {
            let Part { bytes, centre } = part(text.as_bytes(), Some(b"\x1f"));
            (String::from_utf8(bytes).unwrap(), centre)
        };
        assert_eq!(at("0104;x\x1f12,-340"), ("0104;x".into(), Some((12, -340))));
        assert_eq!(at("0104\x1f 12 , 7 "), ("0104".into(), Some((12, 7))));
        for wrong in ["0104\x1f12", "0104\x1fa,b", "0104\x1f99999999999,1", "0104"] {
            assert_eq!(at(wrong), ("0104".into(), None), "{wrong}");
        }
        assert_eq!(part(b"a,b", None), Part { bytes: b"a,b".to_vec(), centre: None });
    }
}
