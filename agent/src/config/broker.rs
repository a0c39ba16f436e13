//! `[broker]`: the MQTT broker of the plant, over which agents tell each other of their packs.

use std::path::PathBuf;

use tamga_domain::ids::AgentId;

use super::address::Address;
use super::agent::path;
use super::raw::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    pub address: Address,
    /// The user, and the file of the password.
    pub login: Option<(String, PathBuf)>,
    /// Whether other agents are told of the packs of this one.
    pub share: bool,
    /// The agents whose packs this one is to know.
    pub from: Vec<AgentId>,
}

const PORT: u16 = 1883;

/// `None`: there is no such table.
pub fn read(section: &Section<'_>) -> Option<Broker> {
    if !section.is_there() {
        return None;
    }
    let address = Address::read(section, "address", Some(PORT));
    if address.is_none() {
        section.missing("address", "why.broker.address");
    }
    let (user, password) = (section.text("user"), path(section, "password_file"));
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            section.missing("password_file", "why.broker.login");
            None
        }
        (None, Some(_)) => {
            section.missing("user", "why.broker.login");
            None
        }
    };
    let share = section.flag("share").unwrap_or(true);
    let from = agents(section);
    match (share, from.is_empty()) {
        (false, true) => section.notes.add(section.error("share", "config.broker_idle")),
        (false, false) => section.notes.add(section.warning("share", "config.broker_mute")),
        (true, _) => {}
    }
    // What is wrong or missing was noted; the rest is checked all the same.
    let address = address.unwrap_or(Address { host: String::new(), port: PORT });
    Some(Broker { address, login, share, from })
}

fn agents(section: &Section<'_>) -> Vec<AgentId> {
    let mut agents = Vec::new();
    for text in section.texts("from").unwrap_or_default() {
        match AgentId::parse(&text) {
            Some(agent) if agents.contains(&agent) => {
                section.notes.add(section.error("from", "config.agent_twice").with("value", text));
            }
            Some(agent) => agents.push(agent),
            None => section.notes.add(section.error("from", "config.bad_agent").with("value", text)),
        }
    }
    agents
}
