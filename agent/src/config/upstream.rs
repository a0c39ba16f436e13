//! `[upstream.xtrace]`: the way to the state system.

use std::path::PathBuf;
use std::time::Duration;

use tamga_domain::document::Limits;
use tamga_domain::rules::Country;

use super::agent::path;
use super::raw::Section;

/// The generation of the state system, with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Upstream {
    Xtrace(Xtrace),
}

/// xTrace, as in Uzbekistan and Kazakhstan.
#[derive(Clone, Debug, PartialEq)]
pub struct Xtrace {
    /// Without a slash at the end.
    pub url: String,
    /// The file of the API key of a technical user.
    pub api_key_file: PathBuf,
    pub business_place: Option<i64>,
    /// Two capital letters, as reports want it.
    pub manufacturer_country: String,
    pub requests_per_min: u32,
    pub codes_per_report: u32,
    pub report_every: Duration,
    /// How often documents of packs are made of what waits, and what one of them may carry.
    pub documents_every: Duration,
    pub codes_per_document: u32,
    pub groups_per_document: u32,
    /// How long the effect of a lost request must stay unseen before it is said to have none.
    pub settle_min: Duration,
    pub timeout: Duration,
    /// Codes asked for in one request.
    pub pull_codes: u32,
    /// How often an order or report under way is asked about.
    pub poll: Duration,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<String>,
}

pub fn read(section: &Section<'_>, home: Country) -> Option<Upstream> {
    if !section.is_there() {
        return None;
    }
    let (_, section) = section.kind(&["xtrace"], "why.upstream")?;
    let seconds =
        |name, range, usual, why| Duration::from_secs(section.number(name, range, why).unwrap_or(usual));
    let count = |name, range, usual, why| {
        section.number(name, range, why).and_then(|n| u32::try_from(n).ok()).unwrap_or(usual)
    };
    let most = |name, known: u32, why| count(name, 1..=u64::from(known), known, why);
    let url = url(&section, "url", true);
    if url.is_none() {
        section.missing("url", "why.xtrace.url");
    }
    let api_key_file = path(&section, "api_key_file");
    if api_key_file.is_none() {
        section.missing("api_key_file", "why.xtrace.api_key_file");
    }
    Some(Upstream::Xtrace(Xtrace {
        url: url.unwrap_or_default(),
        api_key_file: api_key_file.unwrap_or_default(),
        business_place: section
            .number("business_place", 1..=i64::MAX as u64, "why.xtrace.business_place")
            .and_then(|n| i64::try_from(n).ok()),
        manufacturer_country: country(&section, home),
        requests_per_min: count("requests_per_min", 1..=6000, 100, "why.xtrace.requests_per_min"),
        codes_per_report: count("codes_per_report", 1..=30_000, 30_000, "why.xtrace.codes_per_report"),
        report_every: seconds("report_every_s", 5..=86_400, 300, "why.xtrace.report_every_s"),
        documents_every: seconds("documents_every_s", 5..=86_400, 60, "why.xtrace.documents_every_s"),
        codes_per_document: most("codes_per_document", Limits::KNOWN.codes, "why.xtrace.codes_per_document"),
        groups_per_document: most(
            "groups_per_document",
            Limits::KNOWN.groups,
            "why.xtrace.groups_per_document",
        ),
        settle_min: seconds("settle_min_s", 10..=86_400, 900, "why.xtrace.settle_min_s"),
        timeout: seconds("timeout_s", 5..=600, 150, "why.xtrace.timeout_s"),
        pull_codes: count("pull_codes", 1..=30_000, 5000, "why.xtrace.pull_codes"),
        poll: seconds("poll_s", 1..=3600, 10, "why.xtrace.poll_s"),
        ca_file: path(&section, "ca_file"),
        proxy: self::url(&section, "proxy", false),
    }))
}

fn country(section: &Section<'_>, home: Country) -> String {
    let usual = || home.to_string().to_uppercase();
    let Some(text) = section.text("manufacturer_country") else {
        return usual();
    };
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return text;
    }
    let problem = section.error("manufacturer_country", "config.manufacturer_country");
    section.notes.add(problem.with("value", text));
    usual()
}

/// `https://…`; plain `http` to this computer only, for simulators, and to a proxy.
fn url(section: &Section<'_>, name: &'static str, secret: bool) -> Option<String> {
    let text = section.text(name)?;
    let bad = |key| {
        section.notes.add(section.error(name, key).with("value", &text));
        None
    };
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return bad("config.bad_url"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return bad("config.url_password");
    }
    let Some(address) = super::address::Address::parse(authority, Some(443)) else {
        return bad("config.bad_url");
    };
    let at_home = matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if secret && !secure && !at_home {
        return bad("config.url_not_secure");
    }
    Some(text.trim_end_matches('/').to_owned())
}
