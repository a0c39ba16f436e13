//! The address of a device on the plant's network.

use std::fmt;

use super::raw::Section;

/// A host (name or number) and a TCP port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// `host:port` or `[v6]:port`; `port` may be left out where there is a usual one.
    pub fn parse(text: &str, usual_port: Option<u16>) -> Option<Address> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(digits) => digits.parse().ok().filter(|port| *port > 0)?,
            None => usual_port?,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_host = text.starts_with('[') || (!host.is_empty() && host.chars().all(is_name));
        // Four numbers that are no IPv4 address are a slip of the finger, never a name.
        let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !is_host || (numeric && host.parse::<std::net::Ipv4Addr>().is_err()) {
            return None;
        }
        Some(Address { host: host.to_owned(), port })
    }

    /// Reads the setting `name`; notes it when it is no address.
    pub fn read(section: &Section<'_>, name: &str, usual_port: Option<u16>) -> Option<Address> {
        let text = section.text(name)?;
        let address = Address::parse(&text, usual_port);
        if address.is_none() {
            section.notes.add(section.error(name, "config.bad_address").with("value", text));
        }
        address
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, usual: Option<u16>, expected: Option<&str>) {
        let shown = Address::parse(text, usual).map(|address| address.to_string());
        assert_eq!(shown.as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        check("10.0.0.5:9100", None, Some("10.0.0.5:9100"));
        check("printer-1.plant.local", Some(9100), Some("printer-1.plant.local:9100"));
        check("[fe80::1]:502", None, Some("[fe80::1]:502"));
        check("[fe80::1]", Some(502), Some("[fe80::1]:502"));
        for wrong in ["", ":9100", "10.0.0.5", "10.0.0.5:0", "10.0.0.5:99999", "a b:1", "[x]:1", "tcp://h:1"]
        {
            check(wrong, None, None);
        }
        check("10.0.0.300:9100", None, None);
        check("10.0.0:9100", None, None);
    }
}
