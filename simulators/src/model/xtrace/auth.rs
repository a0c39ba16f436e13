//! Who asks: API keys in Uzbekistan, login and short-lived tokens in Kazakhstan; and how often.

use super::answer::{ApiError, iso};
use super::input::Object;
use super::layout::uuid;
use super::route::{Endpoint, Query};
use super::settings::{Account, Mode};
use super::{Call, Xtrace, millis};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use time::{Duration, OffsetDateTime};

/// Keys and tokens in force, and the calls of the last minute. Accounts are indices into the settings.
#[derive(Debug, Clone)]
pub struct Auth {
    keys: BTreeMap<String, usize>,
    tokens: BTreeMap<String, (usize, OffsetDateTime)>,
    refresh_tokens: BTreeMap<String, usize>,
    calls: BTreeMap<usize, VecDeque<OffsetDateTime>>,
}

impl Auth {
    pub fn new(accounts: &[Account]) -> Auth {
        Auth {
            keys: accounts.iter().enumerate().map(|(at, account)| (account.api_key.clone(), at)).collect(),
            tokens: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// The account behind an `Authorization` header.
    pub fn account(&self, now: OffsetDateTime, mode: Mode, header: Option<&str>) -> Result<usize, ApiError> {
        let bearer = header.and_then(|header| header.split_once(' '));
        let secret =
            bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret);
        let secret = secret.ok_or_else(|| ApiError::new(401, "unauthorized"))?;
        match mode {
            Mode::Uz => self.keys.get(secret).copied().ok_or_else(|| ApiError::new(401, "unauthorized")),
            Mode::Kz => match self.tokens.get(secret) {
                Some((account, until)) if now < *until => Ok(*account),
                _ => Err(ApiError::unauthorized("inactive-token")),
            },
        }
    }

    /// Counts a call; above the limit says after how many seconds to come again.
    pub fn count(&mut self, now: OffsetDateTime, account: usize, calls_max: usize) -> Result<(), u64> {
        let calls = self.calls.entry(account).or_default();
        while calls.front().is_some_and(|at| *at + Duration::MINUTE <= now) {
            calls.pop_front();
        }
        match calls.front() {
            Some(oldest) if calls.len() >= calls_max => {
                let wait = *oldest + Duration::MINUTE - now;
                Err(wait.as_seconds_f64().ceil().max(1.0) as u64)
            }
            _ => {
                calls.push_back(now);
                Ok(())
            }
        }
    }

    fn grant(&mut self, account: usize, until: OffsetDateTime, rng: &mut fastrand::Rng) -> (String, String) {
        let (access, refresh) = (uuid(rng), uuid(rng));
        self.tokens.insert(access.clone(), (account, until));
        self.refresh_tokens.insert(refresh.clone(), account);
        (access, refresh)
    }
}

/// Login exists in Kazakhstan only, API keys in Uzbekistan only.
pub fn exists_in(endpoint: Endpoint, mode: Mode) -> bool {
    match endpoint {
        Endpoint::Authenticate | Endpoint::TokenRefresh => mode == Mode::Kz,
        Endpoint::KeyCheck | Endpoint::KeyRefresh => mode == Mode::Uz,
        _ => true,
    }
}

impl Xtrace {
    pub(super) fn authenticate(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let body = Object::parse(call.body)?;
        let (login, password) = (body.text("login")?, body.text("password")?);
        let mut accounts = self.settings.accounts.iter();
        let account = accounts
            .position(|account| account.login == login && account.password == password)
            .ok_or_else(|| ApiError::new(401, "user-incorrect-login-or-password"))?;
        Ok(self.grant(call.now, account))
    }

    pub(super) fn refresh_token(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        let form = Query::parse(std::str::from_utf8(call.body).unwrap_or_default());
        let token = form.need("refreshToken")?;
        let account = self.auth.refresh_tokens.remove(token);
        let account = account.ok_or_else(|| ApiError::unauthorized("inactive-token"))?;
        Ok(self.grant(call.now, account))
    }

    fn grant(&mut self, now: OffsetDateTime, account: usize) -> Value {
        let life_ms = self.settings.token_life_ms;
        let (access, refresh) = self.auth.grant(account, now + millis(life_ms), &mut self.rng);
        json!({
            "accessToken": access,
            "accessTokenType": "BEARER",
            "accessTokenExpiresIn": life_ms.to_string(),
            "refreshToken": refresh,
        })
    }

    pub(super) fn check_key(&self, call: &Call<'_>) -> Value {
        let asked = if call.argument == "tin" { call.query.get("tin") } else { Some(call.argument) };
        json!({
            "isTinCorrect": asked == Some(call.tin.as_str()),
            "expiresOn": iso(call.clock + Duration::days(365)),
        })
    }

    /// Makes a new key; the old one is dead at once.
    pub(super) fn refresh_key(&mut self, call: &Call<'_>) -> Result<Value, ApiError> {
        if call.argument != call.tin {
            return Err(ApiError::new(403, "forbidden"));
        }
        let account = self.settings.accounts.iter().position(|account| account.tin == call.tin);
        let account = account.ok_or_else(|| ApiError::not_found("party-not-found"))?;
        let key = uuid(&mut self.rng);
        self.auth.keys.retain(|_, owner| *owner != account);
        self.auth.keys.insert(key.clone(), account);
        Ok(json!({ "apiKey": key }))
    }
}
