//! The command line's way to the daemon: the HTTP API on loopback, with the token of the data folder.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::Exit;
use super::{Failed, Globals};
use crate::config::agent::Api;
use crate::config::{self, Config};
use crate::web::door::WHO;
use crate::web::dto;
use crate::web::token::Token;
use crate::words::{self, Language};

/// The daemon answers within the line's own time-out; an import has no end known in advance.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

pub struct Daemon {
    client: Client,
    base: String,
    bearer: String,
    who: String,
    language: Language,
}

impl Daemon {
    /// From the configuration file, or from `--api` and `--token-file` where both are given.
    pub fn find(globals: &Globals) -> Result<Daemon, Failed> {
        let (base, token_file) = match (&globals.api, &globals.token_file) {
            (Some(api), Some(file)) => (api.clone(), file.clone()),
            (api, file) => {
                let found = door(&globals.config, globals.lang())?;
                let base = api.clone().unwrap_or_else(|| format!("http://{}", found.listen));
                (base, file.clone().unwrap_or(found.token_file))
            }
        };
        let token = Token::load(&token_file).map_err(|error| {
            let why = crate::web::text::chain(&error);
            let path = token_file.display();
            Failed::new(Exit::NotAuthorised, "cli.no_token").with("path", path).with("why", why)
        })?;
        let client = Client::builder().no_proxy().connect_timeout(CONNECT_WAIT_MAX).build();
        Ok(Daemon {
            client: client.map_err(|error| Failed::internal(&error))?,
            base: base.trim_end_matches('/').to_owned(),
            bearer: token.bearer(),
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

    /// A path whose segments are names: `/` and what else is no part of a segment is escaped.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let bearer = HeaderValue::from_str(&self.bearer).map_err(|error| Failed::internal(&error))?;
        let who = HeaderValue::from_bytes(self.who.as_bytes()).map_err(|error| Failed::internal(&error))?;
        let request = request
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT_LANGUAGE, self.language.tag())
            .header(WHO, who);
        request.send().await.map_err(|error| {
            if error.is_connect() || error.is_timeout() {
                return Failed::new(Exit::NoDaemon, "cli.no_daemon").with("address", &self.base);
            }
            let why = crate::web::text::chain(&error);
            Failed::new(Exit::NoDaemon, "cli.broken_off").with("address", &self.base).with("why", why)
        })
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failed> {
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        response.json().await.map_err(|error| {
            let why = crate::web::text::chain(&error);
            Failed::new(Exit::Internal, "cli.strange_answer").with("address", &self.base).with("why", why)
        })
    }

    async fn failure(&self, response: Response) -> Failed {
        let status = response.status().as_u16();
        match response.json::<dto::Failure>().await {
            Ok(failure) => Failed::told(Exit::of_status(status), failure),
            Err(_) => Failed::new(Exit::of_status(status), "cli.strange_answer")
                .with("address", &self.base)
                .with("why", status),
        }
    }
}

/// Where the daemon answers. Of a configuration that is wrong by now only that is taken, and the user is told so: the
/// daemon runs with what it read at its start.
fn door(path: &Path, language: Language) -> Result<Api, Failed> {
    let failed = match load(path, language) {
        Ok(config) => return Ok(config.api),
        Err(failed) => failed,
    };
    let api = config::door(path).ok_or(failed)?;
    eprintln!(
        "tamga: {}",
        words::say(language, "cli.config_wrong_now", &[("path", &path.display().to_string())])
    );
    Ok(api)
}

/// The configuration, or its problems as the user is to see them.
pub fn load(path: &Path, language: Language) -> Result<Config, Failed> {
    Config::load(path)
        .map_err(|problems| Failed::problems(problems.render(language), problems.json(language)))
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
fn unix_user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(uid) = std::fs::metadata("/proc/self").map(|found| found.uid()) else {
        return "cli:unknown".to_owned();
    };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    format!("cli:{}", name.unwrap_or_else(|| uid.to_string()))
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
