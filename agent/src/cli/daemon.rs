//! The command line's way to the daemon: its HTTP API on the Unix socket where one answers, where the kernel says who
//! asks; otherwise on loopback, with the token of the data folder.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::Exit;
use super::{Failed, Globals};
use crate::config::Config;
use crate::config::agent::Api;
use crate::config::problem::Problems;
use crate::web::door::WHO;
use crate::web::dto;
use crate::web::socket::user_name;
use crate::web::token::{Token, TokenError};
use crate::words::Language;

/// The daemon answers within the line's own time-out; an import has no end known in advance.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// What `--api` begins with for a socket.
const UNIX: &str = "unix:";

pub struct Daemon {
    client: Client,
    base: String,
    /// As people are told where it was asked.
    address: String,
    /// None where it cannot be read and the socket may do without.
    bearer: Option<String>,
    who: String,
    language: Language,
}

/// Where the daemon is, before anything is sent.
enum Way {
    Socket(PathBuf),
    Loopback(String),
}

impl Daemon {
    /// From the configuration file, or from `--api` and `--token-file` where both are given.
    pub fn find(globals: &Globals) -> Result<Daemon, Failed> {
        let (way, token_file) = match (&globals.api, &globals.token_file) {
            (Some(api), Some(file)) => (way_of(api), file.clone()),
            (Some(api), None) if api.starts_with(UNIX) => (way_of(api), PathBuf::new()),
            (api, file) => {
                let config = api_of(globals)?;
                let file = file.clone().unwrap_or_else(|| config.token_file.clone());
                (api.as_deref().map_or_else(|| nearest_way(&config), way_of), file)
            }
        };
        let token = Token::load(&token_file).map(|token| token.bearer());
        let client = Client::builder().no_proxy().connect_timeout(CONNECT_WAIT_MAX);
        let (client, base, address, bearer) = match way {
            Way::Socket(path) => {
                let address = path.display().to_string();
                (client.unix_socket(path), "http://localhost".to_owned(), address, token.ok())
            }
            Way::Loopback(base) => {
                let token = token.map_err(|error| no_token(globals, &token_file, &base, &error))?;
                (client, base.clone(), base, Some(token))
            }
        };
        Ok(Daemon {
            client: client.build().map_err(|error| Failed::internal(&error))?,
            base,
            address,
            bearer,
            who: globals.who.clone().unwrap_or_else(unix_user),
            language: globals.lang(),
        })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        let request = self.client.get(self.url(path)).timeout(ANSWER_WAIT_MAX);
        self.answer(self.send(request).await?).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failed> {
        let request = self.client.post(self.url(path)).timeout(ANSWER_WAIT_MAX).json(body);
        self.answer(self.send(request).await?).await
    }

    /// [`Daemon::post`] for what has no end known in advance.
    pub async fn post_slowly<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failed> {
        let request = self.client.post(self.url(path)).json(body);
        self.answer(self.send(request).await?).await
    }

    /// Sends a list and gives back the answer while it is still being written.
    pub async fn post_list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        list: Vec<u8>,
    ) -> Result<Response, Failed> {
        let request = self.client.post(self.url(path)).query(query).body(list);
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.failure(response).await) }
    }

    /// Writes an answer into a file as it comes, and says how many lines it has. The file is there when all of it is.
    pub async fn download(&self, path: &str, file: &Path) -> Result<u64, Failed> {
        let mut response = self.send(self.client.get(self.url(path))).await?;
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        let unwritten = |error: std::io::Error| {
            Failed::new(Exit::Internal, "db.unreadable").with("path", file.display()).with("why", error)
        };
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut out = std::fs::File::create(&part).map_err(unwritten)?;
        let mut lines = 0;
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let why = crate::web::text::chain(&error);
                let _ = std::fs::remove_file(&part);
                Failed::new(Exit::NoDaemon, "cli.broken_off").with("address", &self.address).with("why", why)
            })?;
            let Some(chunk) = chunk else { break };
            lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
            std::io::Write::write_all(&mut out, &chunk).map_err(unwritten)?;
        }
        out.sync_all().and_then(|()| std::fs::rename(&part, file)).map_err(unwritten)?;
        Ok(lines)
    }

    /// A path whose segments are names: `/` and what else is no part of a segment is escaped.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let bearer = self.bearer.as_deref().map(HeaderValue::from_str).transpose();
        let bearer = bearer.map_err(|error| Failed::internal(&error))?;
        let who = HeaderValue::from_bytes(self.who.as_bytes()).map_err(|error| Failed::internal(&error))?;
        let request = request.header(ACCEPT_LANGUAGE, self.language.tag()).header(WHO, who);
        let request = match bearer {
            Some(bearer) => request.header(AUTHORIZATION, bearer),
            None => request,
        };
        request.send().await.map_err(|error| {
            if error.is_connect() || error.is_timeout() {
                return Failed::new(Exit::NoDaemon, "cli.no_daemon").with("address", &self.address);
            }
            let why = crate::web::text::chain(&error);
            Failed::new(Exit::NoDaemon, "cli.broken_off").with("address", &self.address).with("why", why)
        })
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failed> {
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        response.json().await.map_err(|error| {
            let why = crate::web::text::chain(&error);
            Failed::new(Exit::Internal, "cli.strange_answer").with("address", &self.address).with("why", why)
        })
    }

    async fn failure(&self, response: Response) -> Failed {
        let status = response.status().as_u16();
        match response.json::<dto::Failure>().await {
            Ok(failure) => Failed::told(Exit::of_status(status), failure),
            Err(_) => Failed::new(Exit::of_status(status), "cli.strange_answer")
                .with("address", &self.address)
                .with("why", status),
        }
    }
}

/// Where the configuration has the daemon. One that this user may not read says who may ask, not what is wrong with it.
fn api_of(globals: &Globals) -> Result<Api, Failed> {
    let path = &globals.config;
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Failed::new(Exit::NotAuthorised, "cli.no_config").with("path", path.display()))
        }
        Ok(_) | Err(_) => Config::api_of(path).map_err(|problems| told(&problems, globals.lang())),
    }
}

/// `unix:/path`, or a URL.
fn way_of(api: &str) -> Way {
    match api.strip_prefix(UNIX) {
        Some(path) => Way::Socket(PathBuf::from(path)),
        None => Way::Loopback(api.trim_end_matches('/').to_owned()),
    }
}

/// The socket where one answers; loopback where none is there, nobody listens, or this user may not connect.
fn nearest_way(config: &Api) -> Way {
    match &config.socket {
        Some(path) if UnixStream::connect(path).is_ok() => Way::Socket(path.clone()),
        _ => Way::Loopback(format!("http://{}", config.listen)),
    }
}

/// A token that was never made means that no daemon was ever started there; any other is not for this user's eyes.
fn no_token(globals: &Globals, file: &Path, base: &str, error: &TokenError) -> Failed {
    if globals.token_file.is_none() && error.is_missing() {
        return Failed::new(Exit::NoDaemon, "cli.no_daemon").with("address", base);
    }
    let why = crate::web::text::chain(error);
    Failed::new(Exit::NotAuthorised, "cli.no_token").with("path", file.display()).with("why", why)
}

/// The configuration, or its problems as the user is to see them.
pub fn load(path: &Path, language: Language) -> Result<Config, Failed> {
    Config::load(path).map_err(|problems| told(&problems, language))
}

fn told(problems: &Problems, language: Language) -> Failed {
    Failed::problems(problems.render(language), problems.json(language))
}

/// One segment of a path: everything but letters, digits and `-._~` is escaped.
pub fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `cli:` and the name of the user who runs this process, by the system and not by the environment.
pub fn unix_user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::metadata("/proc/self").map(|found| found.uid()) {
        Ok(uid) => format!("cli:{}", user_name(uid)),
        Err(_) => "cli:unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_a_segment() {
        assert_eq!(segment("line-1"), "line-1");
        assert_eq!(segment("a/../b?c d"), "a%2F..%2Fb%3Fc%20d");
        assert_eq!(segment("я"), "%D1%8F");
    }

    #[test]
    fn the_user_is_named_by_the_system() {
        let user = unix_user();
        assert!(user.starts_with("cli:") && user.len() > 4, "{user}");
    }
}
