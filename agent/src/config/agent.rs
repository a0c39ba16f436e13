//! `[agent]`, `[api]`, `[log]`: the daemon itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tamga_domain::day::Zone;
use tamga_domain::rules::Country;

use super::raw::Section;
use crate::words::Language;

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The folder of the database and of everything else that the agent writes.
    pub data: PathBuf,
    /// The folder of the witness, outside the data folder: `<data>-witness` if not said.
    pub witness: PathBuf,
    /// A file in the data folder that is let go when the disk is full; 0 = none.
    pub ballast_mib: u64,
    /// The language of the panel and of messages, where nobody asks for another.
    pub language: Language,
    /// The country whose rules hold.
    pub country: Country,
    /// The plant's zone, a fixed offset: a declared day is its local day.
    pub zone: Zone,
    /// A folder of rule files that replace the built-in ones of the same name.
    pub rules: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    pub listen: SocketAddr,
    /// The Unix socket: `<data>/api.sock`. `None` where that path is too long for a socket.
    pub socket: Option<PathBuf>,
    /// The group whose members are let in over the socket without the token: a name or a number.
    pub socket_group: Option<String>,
    /// Names that the `Host` of a request over the network may have, beside those of loopback.
    pub hosts: Vec<String>,
    /// The file of the token, made by the daemon: `<data>/api.token`.
    pub token_file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub level: Level,
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    pub fn key(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// Longest path of a socket in bytes: `sun_path` of Linux without its end.
const SOCKET_BYTES_MAX: usize = 107;

pub fn read_agent(section: &Section<'_>) -> Agent {
    let languages = Language::ALL.map(|language| (language.tag(), language));
    let uz = || Country::parse("uz").expect("two small letters");
    let country = section.text("country").and_then(|text| {
        let country = Country::parse(&text).ok();
        if country.is_none() {
            section.notes.add(section.error("country", "config.country").with("value", &text));
        }
        country
    });
    let data = path(section, "data").unwrap_or_else(|| PathBuf::from("/var/lib/tamga"));
    Agent {
        witness: path(section, "witness").unwrap_or_else(|| beside(&data)),
        data,
        ballast_mib: section.number("ballast_mib", 0..=65_536, "why.agent.ballast").unwrap_or(64),
        language: section.choice("language", &languages).unwrap_or_default(),
        zone: zone(section, country.unwrap_or_else(uz)),
        country: country.unwrap_or_else(uz),
        rules: path(section, "rules"),
    }
}

/// The default folder of the witness: beside the data folder, with its name.
fn beside(data: &Path) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push("-witness");
    data.with_file_name(name)
}

/// The offset in the file. All of Uzbekistan, and of Kazakhstan since 2024-03-01, keeps UTC+5; elsewhere it must be
/// said, since a wrong one reports goods as made on another day.
fn zone(section: &Section<'_>, country: Country) -> Zone {
    let one_zone = matches!(country.to_string().as_str(), "uz" | "kz");
    let usual = if one_zone { Zone::parse("+05:00") } else { None };
    let Some(text) = section.text("zone") else {
        if usual.is_none() {
            section.missing("zone", "why.agent.zone");
        }
        return usual.unwrap_or_default();
    };
    let zone = Zone::parse(&text);
    if zone.is_none() {
        section.notes.add(section.error("zone", "config.zone").with("value", text));
    }
    zone.unwrap_or_default()
}

pub fn read_api(section: &Section<'_>, agent: &Agent) -> Api {
    let home = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8480);
    let allow_remote = section.flag("allow_remote").unwrap_or(false);
    let listen = socket(section, "listen").unwrap_or(home);
    if !listen.ip().is_loopback() && !allow_remote {
        section.notes.add(section.error("listen", "config.api_remote").with("value", listen));
    }
    if !listen.ip().is_loopback() && allow_remote {
        section.notes.add(section.warning("allow_remote", "config.api_remote_allowed").with("value", listen));
    }
    let hosts = hosts(section);
    if !listen.ip().is_loopback() && allow_remote && hosts.is_empty() {
        section.notes.add(section.warning("listen", "config.api_no_hosts").with("value", listen));
    }
    let socket_group = section.text("socket_group");
    if socket_group.as_ref().is_some_and(|group| !is_name(group)) {
        section.notes.add(
            section
                .error("socket_group", "config.bad_group")
                .with("value", socket_group.as_ref().unwrap_or(&String::new())),
        );
    }
    Api {
        listen,
        socket: socket_path(section, agent),
        socket_group,
        hosts,
        token_file: agent.data.join("api.token"),
    }
}

/// `socket`, or `api.sock` in the data folder. A path that no socket can have is an error where it was written, and
/// a warning where it is only the default.
fn socket_path(section: &Section<'_>, agent: &Agent) -> Option<PathBuf> {
    let given = path(section, "socket");
    let problem = match &given {
        Some(_) => section.error("socket", "config.socket_long"),
        None => section.warning("socket", "config.socket_long"),
    };
    let at = given.unwrap_or_else(|| agent.data.join("api.sock"));
    if at.as_os_str().len() <= SOCKET_BYTES_MAX {
        return Some(at);
    }
    section.notes.add(problem.with("path", at.display()).with("max", SOCKET_BYTES_MAX));
    None
}

/// Names or numbers without scheme and port, as they stand in a `Host` header.
fn hosts(section: &Section<'_>) -> Vec<String> {
    let hosts = section.texts("hosts").unwrap_or_default();
    for host in hosts.iter().filter(|host| !is_host(host)) {
        section.notes.add(section.error("hosts", "config.bad_host").with("value", host));
    }
    hosts
}

fn is_host(text: &str) -> bool {
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    (!text.is_empty() && is_name) || text.parse::<IpAddr>().is_ok()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

pub fn read_log(section: &Section<'_>) -> Log {
    Log {
        level: section.choice("level", &LEVELS).unwrap_or(Level::Info),
        json: section.flag("json").unwrap_or(false),
    }
}

/// A path; a relative one is taken from the folder of the configuration file.
pub fn path(section: &Section<'_>, name: &str) -> Option<PathBuf> {
    let text = section.text(name)?;
    if text.is_empty() {
        section.notes.add(section.error(name, "config.empty"));
        return None;
    }
    let folder = section.notes.file.parent().map(PathBuf::from).unwrap_or_default();
    Some(folder.join(text))
}

/// An address of this computer to listen on: a number and a port.
pub fn socket(section: &Section<'_>, name: &str) -> Option<SocketAddr> {
    let text = section.text(name)?;
    match text.parse::<SocketAddr>() {
        Ok(socket) if socket.port() > 0 => Some(socket),
        _ => {
            section.notes.add(section.error(name, "config.bad_listen").with("value", text));
            None
        }
    }
}
