//! `[lines.<name>.readers.<name>.<kind>]`: readers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tamga_domain::gs1::is_gs1_char;
use tamga_domain::layout::reader::{SubstituteError, Substitutes};
use tamga_drivers::reader::presets::{self, Preset, Role};
use tamga_drivers::reader::text::{Heartbeat, TextConfig};

use super::address::Address;
use super::agent::{path, socket};
use super::line::check_name;
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

/// A reader that sends each result as framed text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextReader {
    pub link: ReaderLink,
    /// The preset with what the file says otherwise.
    pub config: TextConfig,
    /// How long after the trigger a result comes at the earliest and at the latest.
    pub latency_min: Duration,
    pub latency_max: Duration,
    pub gs_substitutes: Substitutes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderLink {
    /// The agent connects to the reader.
    Connect(Address),
    /// The reader connects to the agent.
    Listen {
        at: SocketAddr,
        /// Who may connect; empty for anybody.
        peers: Vec<IpAddr>,
    },
    Serial {
        path: PathBuf,
        baud: u32,
    },
    /// A scanner that acts as a keyboard: an input device of Linux.
    Keyboard {
        path: PathBuf,
        /// Held alone, so that its keys are typed nowhere else.
        grab: bool,
    },
}

pub fn read_all(section: &Section<'_>) -> Vec<Reader> {
    let one = |(name, section): &(String, Section<'_>)| {
        check_name(name, section);
        let (_, section) = section.kind(&["text"], "why.reader.kind")?;
        Some(Reader { name: name.clone(), device: ReaderDevice::Text(text(&section, true)?) })
    };
    section.named().iter().filter_map(one).collect()
}

/// `[stations.<name>.reader]`: a scanner in a hand, which no trigger joins to an item.
pub fn read_scanner(section: &Section<'_>) -> Option<ReaderDevice> {
    let (_, section) = section.kind(&["text"], "why.reader.kind")?;
    Some(ReaderDevice::Text(text(&section, false)?))
}

fn text(section: &Section<'_>, triggered: bool) -> Option<TextReader> {
    let usual = if triggered { "generic" } else { "handheld" };
    let name = section.choice("preset", &presets::NAMES.map(|name| (name, name))).unwrap_or(usual);
    let preset = presets::preset(name).expect("one of its own names");
    let ms = |name, range, usual, why| {
        let given = if triggered { section.number(name, range, why) } else { None };
        Duration::from_millis(given.unwrap_or(usual))
    };
    let link = link(section, &preset, triggered);
    let reader = TextReader {
        config: config(section, preset.config),
        latency_min: ms("latency_ms_min", 0..=10_000, 0, "why.reader.latency"),
        latency_max: ms("latency_ms_max", 1..=10_000, 150, "why.reader.latency"),
        gs_substitutes: substitutes(section),
        link: link.clone().unwrap_or(ReaderLink::Serial { path: PathBuf::new(), baud: 0 }),
    };
    check(section, &reader);
    link.map(|_| reader)
}

fn config(section: &Section<'_>, preset: TextConfig) -> TextConfig {
    let bytes = |name, usual| section.text(name).map_or(usual, String::into_bytes);
    let lists = |name, usual| match section.texts(name) {
        Some(texts) => texts.into_iter().map(String::into_bytes).collect(),
        None => usual,
    };
    let timeout = section.number("heartbeat_timeout_s", 1..=3600, "why.reader.heartbeat_timeout_s");
    let heartbeat = section.text("heartbeat").map(String::into_bytes);
    if timeout.is_some() && heartbeat.is_none() {
        section.notes.add(section.error("heartbeat_timeout_s", "config.timeout_no_heartbeat"));
    }
    TextConfig {
        header: bytes("header", preset.header),
        terminator: bytes("terminator", preset.terminator),
        no_read: lists("no_read", preset.no_read),
        heartbeat: heartbeat
            .map(|text| Heartbeat { text, timeout: Duration::from_secs(timeout.unwrap_or(30)) }),
        several_delimiter: section.text("several_delimiter").map(String::into_bytes),
        answers: lists("answers", preset.answers),
        errors: lists("errors", preset.errors),
        setup: lists("setup", preset.setup),
        // A photo-eye triggers the reader: its trigger is the gate's, or tags and reads could not be joined.
        trigger: None,
        telnet: section.flag("telnet").unwrap_or(preset.telnet),
        max_len: section
            .number("max_len", 32..=65_536, "why.reader.max_len")
            .map_or(preset.max_len, |n| n as usize),
    }
}

fn link(section: &Section<'_>, preset: &Preset, triggered: bool) -> Option<ReaderLink> {
    let usual = u16::try_from(preset.port).ok().filter(|_| preset.role == Role::Call);
    let connect = Address::read(section, "connect", usual);
    let listen = socket(section, "listen");
    let serial = path(section, "serial");
    let baud = section.number("baud", 300..=3_000_000, "why.reader.baud");
    // Nothing joins the keys of a keyboard to an item on a belt.
    let keyboard = if triggered { None } else { keyboard(section) };
    let given: Vec<&str> = ["connect", "listen", "serial", "keyboard"]
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
    let peers = peers(section, listen);
    if given.len() != 1 {
        return None;
    }
    let serial = serial.map(|path| {
        let name = path.display().to_string();
        if ["/dev/ttyUSB", "/dev/ttyACM"].iter().any(|number| name.starts_with(number)) {
            section.notes.add(section.warning("serial", "config.serial_number").with("value", name));
        }
        let baud = baud.map_or(9600, |n| n as u32);
        ReaderLink::Serial { path, baud }
    });
    let called = listen.map(|at| ReaderLink::Listen { at, peers });
    connect.map(ReaderLink::Connect).or(called).or(serial).or(keyboard)
}

fn keyboard(section: &Section<'_>) -> Option<ReaderLink> {
    let grab = section.flag("grab");
    let path = path(section, "keyboard");
    if grab.is_some() && path.is_none() {
        section.notes.add(section.warning("grab", "config.grab_unused"));
    }
    let path = path?;
    let name = path.display().to_string();
    if name.starts_with("/dev/input/event") {
        section.notes.add(section.warning("keyboard", "config.keyboard_number").with("value", name));
    }
    Some(ReaderLink::Keyboard { path, grab: grab.unwrap_or(true) })
}

/// Readers that may connect, as numbers. Whoever connects can send reads, so an open port is warned of.
fn peers(section: &Section<'_>, listen: Option<SocketAddr>) -> Vec<IpAddr> {
    let mut peers = Vec::new();
    for text in section.texts("peers").unwrap_or_default() {
        match text.parse() {
            Ok(peer) => peers.push(peer),
            Err(_) => section.notes.add(section.error("peers", "config.bad_peer").with("value", text)),
        }
    }
    let open = listen.is_some_and(|at| !at.ip().is_loopback());
    if open && !section.notes.has(&section.key("peers")) {
        section.notes.add(section.warning("listen", "config.no_peers"));
    }
    peers
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
        section
            .notes
            .add(problem.with("max", Substitutes::COUNT_MAX).with("length_max", Substitutes::LEN_MAX));
        Substitutes::default()
    })
}

/// Whether marks could be cut in two by these bytes: all of them may occur in a serial.
fn in_codes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_gs1_char(*byte))
}

fn check(section: &Section<'_>, reader: &TextReader) {
    let notes = section.notes;
    let config = &reader.config;
    if config.terminator.is_empty() {
        notes.add(section.error("terminator", "config.no_terminator"));
    } else if config.terminator == config.header {
        notes.add(section.error("header", "config.header_is_terminator"));
    }
    if in_codes(&config.terminator) {
        notes.add(section.error("terminator", "config.cuts_codes").with("value", show(&config.terminator)));
    }
    if let Some(delimiter) = &config.several_delimiter {
        if delimiter.is_empty() {
            notes.add(section.error("several_delimiter", "config.empty"));
        } else if in_codes(delimiter) {
            notes.add(section.error("several_delimiter", "config.cuts_codes").with("value", show(delimiter)));
        }
    }
    if config.heartbeat.as_ref().is_some_and(|heartbeat| config.no_read.contains(&heartbeat.text)) {
        notes.add(section.error("heartbeat", "config.heartbeat_is_no_read"));
    }
    if config.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.text.is_empty()) {
        notes.add(section.error("heartbeat", "config.empty"));
    }
    // Beginnings of answers are passed over: one that could begin a code would swallow codes.
    for (name, list) in [("answers", &config.answers), ("errors", &config.errors)] {
        if list.iter().any(|text| text.is_empty() || b"01".starts_with(text) || text.starts_with(b"01")) {
            notes.add(section.error(name, "config.swallows_codes"));
        }
    }
    if reader.latency_min >= reader.latency_max {
        let problem = section.error("latency_ms_min", "config.latency");
        let problem = problem.with("min", reader.latency_min.as_millis());
        notes.add(problem.with("max", reader.latency_max.as_millis()));
    }
    let longest = tamga_domain::layout::read::READ_LEN_MAX;
    if config.max_len < longest {
        let problem = section.warning("max_len", "config.max_len_short").with("value", config.max_len);
        notes.add(problem.with("longest", longest));
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
