//! `[lines.<name>.readers.<name>.<kind>]`: readers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tamga_domain::gs1::is_gs1_char;
use tamga_domain::layout::reader::{SubstituteError, Substitutes};

use super::address::Address;
use super::agent::{path, socket};
use super::line::check_name;
use super::preset::Preset;
use super::raw::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    pub name: String,
    pub device: ReaderDevice,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ReaderDevice {
    Text(TextReader),
}

/// A reader that sends each result as framed text. What the preset gives is filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct TextReader {
    pub link: ReaderLink,
    pub preset: Preset,
    /// May be empty.
    pub header: Vec<u8>,
    /// Never empty.
    pub terminator: Vec<u8>,
    /// Results that mean that nothing was read. May hold the empty one.
    pub no_read: Vec<Vec<u8>>,
    /// Frames that mean only that the reader lives, and how long it may be silent.
    pub heartbeat: Option<Vec<u8>>,
    pub heartbeat_timeout: Option<Duration>,
    /// What stands between several marks of one result.
    pub several_delimiter: Option<Vec<u8>>,
    /// Bytes of the longest frame.
    pub max_len: usize,
    /// How long after the trigger a result comes at the earliest and at the latest.
    pub latency_min: Duration,
    pub latency_max: Duration,
    pub gs_substitutes: Substitutes,
    /// Sent at every connect, in this order, as they stand.
    pub setup: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderLink {
    /// The agent connects to the reader.
    Connect(Address),
    /// The reader connects to the agent.
    Listen(SocketAddr),
    Serial { path: PathBuf, baud: u32 },
}

pub fn read_all(section: &Section<'_>) -> Vec<Reader> {
    let one = |(name, section): &(String, Section<'_>)| {
        check_name(name, section);
        let (_, section) = section.kind(&["text"], "why.reader.kind")?;
        Some(Reader { name: name.clone(), device: ReaderDevice::Text(text(&section)?) })
    };
    section.named().iter().filter_map(one).collect()
}

fn text(section: &Section<'_>) -> Option<TextReader> {
    let preset = section.choice("preset", &Preset::ALL.map(|preset| (preset.key(), preset)));
    let preset = preset.unwrap_or(Preset::Generic);
    let usual = preset.framing();
    let link = link(section, preset);
    let bytes = |name, usual: &[u8]| section.text(name).map_or(usual.to_vec(), String::into_bytes);
    let lists = |name, usual: &[&[u8]]| match section.texts(name) {
        Some(texts) => texts.into_iter().map(String::into_bytes).collect(),
        None => usual.iter().map(|one| one.to_vec()).collect(),
    };
    let ms = |name, range, usual, why| {
        Duration::from_millis(section.number(name, range, why).unwrap_or(usual))
    };
    let reader = TextReader {
        preset,
        header: bytes("header", usual.header),
        terminator: bytes("terminator", usual.terminator),
        no_read: lists("no_read", usual.no_read),
        heartbeat: section.text("heartbeat").map(String::into_bytes),
        heartbeat_timeout: section
            .number("heartbeat_timeout_s", 1..=3600, "why.reader.heartbeat_timeout_s")
            .map(Duration::from_secs),
        several_delimiter: section.text("several_delimiter").map(String::into_bytes),
        max_len: section.number("max_len", 32..=65_536, "why.reader.max_len").map_or(1024, |n| n as usize),
        latency_min: ms("latency_ms_min", 0..=10_000, 0, "why.reader.latency"),
        latency_max: ms("latency_ms_max", 1..=10_000, 150, "why.reader.latency"),
        gs_substitutes: substitutes(section),
        setup: lists("setup", usual.setup),
        link: link?,
    };
    check(section, &reader);
    Some(reader)
}

fn link(section: &Section<'_>, preset: Preset) -> Option<ReaderLink> {
    let connect = Address::read(section, "connect", preset.port());
    let listen = socket(section, "listen");
    let serial = path(section, "serial");
    let baud = section.number("baud", 300..=3_000_000, "why.reader.baud");
    let given: Vec<&str> = ["connect", "listen", "serial"]
        .into_iter()
        .filter(|name| section.notes.has(&section.key(name)))
        .collect();
    match given[..] {
        [_] => {}
        [] => section.notes.add(section.notes.error(section.path.clone(), "config.no_link")),
        [_, second, ..] => {
            section.notes.add(section.error(second, "config.two_links").with("given", given.join(", ")));
        }
    }
    if baud.is_some() && given != ["serial"] {
        section.notes.add(section.warning("baud", "config.baud_unused"));
    }
    if given.len() != 1 {
        return None;
    }
    let serial = serial.map(|path| {
        let name = path.display().to_string();
        if ["/dev/ttyUSB", "/dev/ttyACM"].iter().any(|number| name.starts_with(number)) {
            section.notes.add(section.warning("serial", "config.serial_number").with("value", name));
        }
        let baud = baud.map_or(115_200, |n| n as u32);
        ReaderLink::Serial { path, baud }
    });
    connect.map(ReaderLink::Connect).or(listen.map(ReaderLink::Listen)).or(serial)
}

fn substitutes(section: &Section<'_>) -> Substitutes {
    let Some(texts) = section.texts("gs_substitutes") else {
        return Substitutes::default();
    };
    Substitutes::new(texts.iter().map(|text| text.clone().into_bytes()).collect()).unwrap_or_else(|fault| {
        let problem = match fault {
            SubstituteError::TooMany { got } => {
                section.error("gs_substitutes", "config.substitutes_many").with("count", got)
            }
            SubstituteError::Length { index, .. } => {
                section.error("gs_substitutes", "config.substitutes_length").with("value", &texts[index])
            }
            SubstituteError::RealGs { .. } => section.error("gs_substitutes", "config.substitutes_real"),
        };
        section.notes.add(problem.with("max", Substitutes::COUNT_MAX).with("length_max", Substitutes::LEN_MAX));
        Substitutes::default()
    })
}

/// Whether marks could be cut in two by these bytes: all of them may occur in a serial.
fn in_codes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_gs1_char(*byte))
}

fn check(section: &Section<'_>, reader: &TextReader) {
    let notes = section.notes;
    if reader.terminator.is_empty() {
        notes.add(section.error("terminator", "config.no_terminator"));
    }
    if !reader.terminator.is_empty() && reader.terminator == reader.header {
        notes.add(section.error("header", "config.header_is_terminator"));
    }
    if in_codes(&reader.terminator) {
        notes.add(section.error("terminator", "config.cuts_codes").with("value", show(&reader.terminator)));
    }
    if let Some(delimiter) = &reader.several_delimiter {
        if delimiter.is_empty() {
            notes.add(section.error("several_delimiter", "config.empty"));
        } else if in_codes(delimiter) {
            notes.add(section.error("several_delimiter", "config.cuts_codes").with("value", show(delimiter)));
        }
    }
    match &reader.heartbeat {
        Some(heartbeat) if reader.no_read.contains(heartbeat) => {
            notes.add(section.error("heartbeat", "config.heartbeat_is_no_read"));
        }
        Some(_) if reader.heartbeat_timeout.is_none() => {
            notes.add(section.warning("heartbeat", "config.heartbeat_no_timeout"));
        }
        None if reader.heartbeat_timeout.is_some() => {
            notes.add(section.error("heartbeat_timeout_s", "config.timeout_no_heartbeat"));
        }
        _ => {}
    }
    if reader.latency_min >= reader.latency_max {
        let problem = section.error("latency_ms_min", "config.latency");
        let problem = problem.with("min", reader.latency_min.as_millis());
        notes.add(problem.with("max", reader.latency_max.as_millis()));
    }
    let longest = tamga_domain::layout::read::READ_LEN_MAX;
    if reader.max_len < longest {
        let problem = section.warning("max_len", "config.max_len_short").with("value", reader.max_len);
        notes.add(problem.with("longest", longest));
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
