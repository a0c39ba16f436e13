//! `[agent]`, `[api]`, `[log]`: the daemon itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tamga_domain::day::Zone;
use tamga_domain::rules::Country;

use super::raw::Section;
use crate::words::Language;

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The folder of the database and of everything else that the agent writes.
    pub data: PathBuf,
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
    Agent {
        data: path(section, "data").unwrap_or_else(|| PathBuf::from("/var/lib/tamga")),
        language: section.choice("language", &languages).unwrap_or_default(),
        zone: zone(section, country.unwrap_or_else(uz)),
        country: country.unwrap_or_else(uz),
        rules: path(section, "rules"),
    }
}

/// The offset in the file. All of Uzbekistan, and of Kazakhstan since 2024-03-01, keeps UTC+5; elsewhere it must be
/// said, since a wrong one reports goods as made on another day.
fn zone(section: &Section<'_>, country: Country) -> Zone {
    let one_zone = matches!(country.to_string().as_str(), "uz" | "kz");
    let usual = if one_zone { Zone::parse("+05:00") } else { None };
    let Some(text) = section.text("zone") else {
        if usual.is_none() && !section.notes.has(&section.key("zone")) {
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
    Api { listen, token_file: agent.data.join("api.token") }
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
