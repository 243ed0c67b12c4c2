//! HTTP to the server: its address, its key, and how it is asked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::header::SERVER;
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::in_words::in_words;
use super::refused::Refused;
use super::streaming::{Arrived, Outgoing, Stream, arrived, closed_loop, settle};
use super::web_servers;
use crate::child::clean;
use crate::engine::EngineError;
use crate::engine::spec::ServerSpec;
use crate::https;
use crate::redact::{Secrets, without_logins};
use crate::results::Program;

const CONNECT_SECONDS: u64 = 10;
/// A stream that is silent for longer has been lost. A long prompt may take as long before the first token.
const READ_SECONDS: u64 = 600;
/// Characters of a server's own message that are kept.
const MESSAGE: usize = 300;
/// Characters of a server's name that are kept.
const NAME: usize = 100;
/// For questions that need no thinking.
const PROBE: Duration = Duration::from_secs(5);

/// A server, and how to reach it.
pub struct Client {
    http: reqwest::Client,
    /// Keeps no connection.
    once: reqwest::Client,
    runtime: Runtime,
    url: Url,
    /// The path that answers when a started server is ready.
    ready: Option<String>,
    silence: Duration,
    key: Option<Key>,
    secrets: Secrets,
}

/// What the server knows us by.
struct Key {
    variable: String,
    value: String,
}

impl Client {
    /// What is wrong with an address.
    pub fn check(url: &str) -> Result<Url, String> {
        let shown = without_logins(url);
        let url = Url::parse(url).map_err(|error| format!("`{shown}` is no address: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(format!("`{shown}` must begin with http:// or https://, and end with /v1 as a rule"));
        }
        // All that follows shows the address.
        let more = if url.username().is_empty() && url.password().is_none() { "query" } else { "password" };
        if more == "password" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("an address holds no {more}: name the variable that holds the key in `api-key-env`"));
        }
        Ok(url)
    }

    /// Of a configured server. The key comes from the environment, under the name that the configuration says.
    pub fn of(server: &ServerSpec) -> Result<Self, EngineError> {
        let url = Self::check(&server.url).map_err(EngineError::Failed)?;
        let key = server.api_key_env.as_deref().map(Key::of).transpose()?;
        let secrets = Secrets::of_environment().with(key.iter().map(|key| key.value.clone()));
        let failed = |error: &dyn std::fmt::Display| EngineError::Failed(format!("can't make an HTTP client: {error}"));
        let connect = Duration::from_secs(server.connect_seconds.unwrap_or(CONNECT_SECONDS));
        let builder = || {
            let http = https::client_builder().connect_timeout(connect).tcp_nodelay(true);
            // A proxy knows another `localhost`.
            let http = if is_remote(&url) { http } else { http.no_proxy() };
            http.redirect(reqwest::redirect::Policy::none())
        };
        let http = builder().build().map_err(|error| failed(&error))?;
        let once = builder().pool_max_idle_per_host(0).build().map_err(|error| failed(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let silence = Duration::from_secs(server.read_seconds.unwrap_or(READ_SECONDS));
        Ok(Self { http, once, runtime, url, ready: server.ready.clone(), silence, key, secrets })
    }

    /// Whether requests leave this machine.
    pub fn is_remote(&self) -> bool {
        is_remote(&self.url)
    }

    /// What it is, if it tells: vLLM by its version and whose its models are, others only by a header.
    pub fn program(&self) -> Option<Program> {
        let models = self.get(self.below("models"));
        let header = models.as_ref().ok().and_then(|models| models.headers().get(SERVER)?.to_str().ok());
        let name = header.filter(|name| !web_servers::names_one(name)).map(str::to_owned);
        let version = self.json(self.at("/version")).and_then(|said| Some(said["version"].as_str()?.to_owned()));
        let owner =
            || self.json(self.below("models")).and_then(|said| Some(said["data"][0]["owned_by"].as_str()?.to_owned()));
        let (name, version) = match version {
            Some(version) => (owner().or(name)?, version),
            None => (name?, String::new()),
        };
        let shown = |text: &str| clean(&self.secrets.redact(text), NAME);
        Some(Program { name: shown(&name), version: shown(&version), ..Program::default() })
    }

    /// It answers where it should when it is ready: without such a place, it lists its models.
    pub fn ready(&self) -> Result<(), Refused> {
        let address = self.ready.as_deref().map_or_else(|| self.below("models"), |path| self.at(path));
        let answer = self.get(address).map_err(|error| Refused::Unreachable(in_words(error)))?;
        if answer.status().is_success() { Ok(()) } else { Err(self.runtime.block_on(Refused::status(answer))) }
    }

    /// Whether anybody answers, whatever that is.
    pub fn reach(&self) -> Result<(), EngineError> {
        let answer = self.get(self.below("models")).map(drop);
        answer.map_err(|error| self.explain(Refused::Unreachable(in_words(error))))
    }

    fn get(&self, address: Url) -> reqwest::Result<reqwest::Response> {
        self.runtime.block_on(async {
            settle().await;
            self.authorized(self.http.get(address).timeout(PROBE)).send().await
        })
    }

    fn json(&self, address: Url) -> Option<Value> {
        let answer = self.get(address).ok().filter(|answer| answer.status().is_success())?;
        serde_json::from_slice(&self.runtime.block_on(answer.bytes()).ok()?).ok()
    }

    /// What a server said that may have been told the key.
    pub fn concealed(&self, error: &EngineError) -> EngineError {
        EngineError::Failed(self.secrets.redact(&error.to_string()))
    }

    /// A refusal for a person.
    pub fn explain(&self, refused: Refused) -> EngineError {
        // First the secrets, then the cut: half a secret is one, too.
        let refused = refused.map(|said| clean(&self.secrets.redact(&said), MESSAGE));
        refused.into_error(&self.name(), self.key.as_ref().map(|key| key.variable.as_str()))
    }

    /// Its host, for a person.
    pub fn name(&self) -> String {
        let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port());
        port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The events of a streaming request.
    pub fn stream(&self, path: &str, body: &Value) -> Result<Stream, Refused> {
        let request = self.request(path, body);
        let answer = self.runtime.block_on(async {
            settle().await;
            arrived(request, self.silence).await
        });
        answer?.understood()
    }

    /// The events of each of many requests, `concurrency` of them at a time; from the first request to the end of the last.
    pub fn stream_all(
        &self,
        path: &str,
        bodies: &[Value],
        concurrency: u32,
    ) -> (Vec<Result<Stream, Refused>>, Duration) {
        // Taken from the end.
        let requests: Vec<_> = bodies.iter().rev().map(|body| self.request(path, body)).collect();
        let answers = self.runtime.block_on(async {
            settle().await;
            closed_loop(requests, concurrency, self.silence).await
        });
        let begun = answers.iter().flatten().map(Arrived::asked).min().unwrap_or_else(Instant::now);
        let took = answers.iter().flatten().map(|answer| answer.end_after(begun)).max().unwrap_or_default();
        (answers.into_iter().map(|answer| answer?.understood()).collect(), took)
    }

    fn request(&self, path: &str, body: &Value) -> Outgoing {
        let request = self.http.post(self.below(path)).header("content-type", "application/json");
        let request = self.authorized(request.body(body.to_string()));
        let repeated = request.try_clone().and_then(|request| request.build().ok());
        let again = repeated.map(|request| RequestBuilder::from_parts(self.once.clone(), request));
        Outgoing { request, again, most: most_events(body) }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(&key.value),
            None => request,
        }
    }

    /// Below the configured address.
    fn below(&self, path: &str) -> Url {
        self.at(&format!("{}/{path}", self.url.path().trim_end_matches('/')))
    }

    /// On the same host.
    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }
}

/// Of an answer. An event has a token or several; few say something else.
fn most_events(body: &Value) -> usize {
    4 * body["max_tokens"].as_u64().unwrap_or_default() as usize + 256
}

impl Key {
    fn of(variable: &str) -> Result<Self, EngineError> {
        Ok(Self { variable: variable.to_owned(), value: key_in(variable)? })
    }
}

fn is_remote(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    !(host.parse().is_ok_and(is_here) || host == "localhost" || host.ends_with(".localhost"))
}

/// The key that a variable holds.
pub fn key_in(variable: &str) -> Result<String, EngineError> {
    #[expect(clippy::disallowed_methods, reason = "the configuration names the variable of its server's key")]
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        EngineError::refused(
            format!("the variable {variable}, which holds the server's key, isn't set"),
            "set it where bench-diff runs",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_requests_leave_this_machine() {
        let is_remote = |url: &str| is_remote(&Url::parse(url).unwrap());
        for here in ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:8000/v1", "http://0.0.0.0:8000/v1"] {
            assert!(!is_remote(here), "{here}");
        }
        for there in ["https://example.com/v1", "http://192.168.0.2:8000/v1", "http://localhost.example.com/v1"] {
            assert!(is_remote(there), "{there}");
        }
    }
}
