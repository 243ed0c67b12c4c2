//! HTTP to the server: one connection, one request at a time, and when its bytes arrived.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::header::{RETRY_AFTER, SERVER};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::events::Events;
use crate::child::clean;
use crate::engine::EngineError;
use crate::engine::spec::ServerSpec;
use crate::redact::Secrets;

const CONNECT: Duration = Duration::from_secs(10);
/// A stream that is silent for longer has been lost. A long prompt may take as long before the first.
const SILENCE: Duration = Duration::from_secs(600);
/// Characters of a server's own message that are kept.
const MESSAGE: usize = 300;

/// A server, and how to reach it.
pub struct Client {
    http: reqwest::Client,
    runtime: Runtime,
    url: Url,
    key: Option<String>,
    secrets: Secrets,
}

/// An answer that isn't the one that was hoped for.
pub enum Refused {
    /// The server's status and words.
    Status {
        code: u16,
        said: String,
        /// When to try again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It couldn't be reached, or the connection broke.
    Broken(String),
}

/// What was streamed.
pub struct Stream {
    /// From the request's last byte to each event, and what it says.
    pub events: Vec<(Duration, Value)>,
    /// Until the stream ended.
    pub end_to_end: Duration,
}

impl Client {
    /// What is wrong with an address.
    pub fn check(url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|error| format!("`{url}` is no address: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(format!("`{url}` must begin with http:// or https://, and end with /v1 as a rule"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address holds no password: name a variable in `api-key-env`".to_owned());
        }
        Ok(url)
    }

    /// Of a configured server. The key comes from the environment, under the name that the configuration says.
    pub fn of(server: &ServerSpec) -> Result<Self, EngineError> {
        let url = Self::check(&server.url).map_err(EngineError::Failed)?;
        let key = server.api_key_env.as_deref().map(key_in).transpose()?;
        let secrets = Secrets::of_environment().with(key.clone());
        let failed = |error: &dyn std::fmt::Display| EngineError::Failed(format!("can't make an HTTP client: {error}"));
        let http = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).tcp_nodelay(true);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().map_err(|error| failed(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        Ok(Self { http, runtime, url, key, secrets })
    }

    /// Whether requests leave this machine.
    pub fn is_remote(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !(loopback || host == "localhost" || host.ends_with(".localhost"))
    }

    /// How it calls itself in the header `server`, or its address.
    pub fn says_it_is(&self) -> String {
        let answer = self.models();
        let header = answer.ok().and_then(|answer| Some(answer.headers().get(SERVER)?.to_str().ok()?.to_owned()));
        header.unwrap_or_else(|| self.url.host_str().unwrap_or("server").to_owned())
    }

    /// Whether it lists its models.
    pub fn is_ready(&self) -> bool {
        self.models().is_ok_and(|answer| answer.status().is_success())
    }

    fn models(&self) -> reqwest::Result<reqwest::Response> {
        self.runtime.block_on(async { self.authorized(self.http.get(self.address("models"))).send().await })
    }

    /// A refusal for a person.
    pub fn explain(&self, refused: Refused) -> EngineError {
        refused.into_error(&self.url)
    }

    /// The events of a streaming request.
    pub fn stream(&self, path: &str, body: &Value) -> Result<Stream, EngineError> {
        self.try_stream(path, body).map_err(|refused| self.explain(refused))
    }

    /// The same, for whoever wants to know how it was refused.
    pub fn try_stream(&self, path: &str, body: &Value) -> Result<Stream, Refused> {
        self.runtime
            .block_on(self.streamed(path, body))
            .map_err(|refused| refused.map(|said| self.secrets.redact(&said)))
    }

    async fn streamed(&self, path: &str, body: &Value) -> Result<Stream, Refused> {
        let bytes = serde_json::to_vec(body).map_err(|error| Refused::Broken(error.to_string()))?;
        let request = self.http.post(self.address(path)).header("content-type", "application/json").body(bytes);
        let asked = Instant::now();
        let mut answer = self.authorized(request).send().await.map_err(Refused::broken)?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        let (mut events, mut reader) = (Vec::new(), Events::default());
        let mut done = false;
        while let Some(bytes) = answer.chunk().await.map_err(Refused::broken)? {
            let at = asked.elapsed();
            for data in reader.push(&bytes).map_err(Refused::Broken)? {
                done |= data == b"[DONE]";
                events.extend(event(at, &data)?);
            }
            if done {
                break;
            }
        }
        let end_to_end = asked.elapsed();
        if let Some(data) = reader.end() {
            events.extend(event(end_to_end, &data)?);
        }
        Ok(Stream { events, end_to_end })
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    fn address(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let whole = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }
}

impl Refused {
    /// With all that is behind it: the outermost only says that something went wrong.
    fn broken(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut said = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(why) = source {
            said = format!("{said}: {why}");
            source = why.source();
        }
        Self::Broken(said)
    }

    fn map(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Status { code, said, retry_after } => Self::Status { code, said: words(said), retry_after },
            Self::Broken(said) => Self::Broken(words(said)),
        }
    }

    /// For a person.
    pub fn into_error(self, url: &Url) -> EngineError {
        let host = url.host_str().unwrap_or_default();
        EngineError::Failed(match self {
            Self::Status { code: 401 | 403, said, .. } => {
                format!("the server {host} refuses us ({said}): name the variable that holds its key in `api-key-env`")
            }
            Self::Status { code: 404, said, .. } => {
                format!("the server {host} knows no such model or address ({said}): see `server` in the configuration")
            }
            Self::Status { code, said, .. } => format!("the server {host} answered {code} ({said})"),
            Self::Broken(said) => format!("the server {host} can't be asked: {said}"),
        })
    }
}

fn key_in(variable: &str) -> Result<String, EngineError> {
    #[expect(clippy::disallowed_methods, reason = "the configuration names the variable of its server's key")]
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        EngineError::refused(
            format!("the variable {variable}, which holds the server's key, isn't set"),
            "set it where bench-diff runs",
        )
    })
}

async fn refused(answer: reqwest::Response) -> Refused {
    let code = answer.status();
    let waits = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = waits.then(|| Duration::from_secs(seconds.unwrap_or(1).min(600)));
    let said = message(&answer.bytes().await.unwrap_or_default());
    Refused::Status { code: code.as_u16(), said, retry_after }
}

/// What an answer of an error says: OpenAI's form, or the beginning of whatever it is.
fn message(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let text =
        value.as_ref().and_then(error_in).map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    clean(&text, MESSAGE)
}

/// `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`, `{"detail": ...}`.
fn error_in(value: &Value) -> Option<&str> {
    let error = &value["error"];
    [&error["message"], error, &value["message"], &value["detail"]].into_iter().find_map(Value::as_str)
}

/// An event of the stream; none of the last one, which says only that it is the last.
fn event(at: Duration, data: &[u8]) -> Result<Option<(Duration, Value)>, Refused> {
    if data == b"[DONE]" {
        return Ok(None);
    }
    let start = || clean(&String::from_utf8_lossy(&data[..data.len().min(100)]), 100);
    let value: Value = serde_json::from_slice(data)
        .map_err(|_| Refused::Broken(format!("it streamed something else than JSON: `{}`", start())))?;
    // Under status 200, in the middle of a stream.
    match value.get("error").is_some_and(|error| !error.is_null()) {
        true => Err(Refused::Broken(format!("it streamed an error: {}", message(data)))),
        false => Ok(Some((at, value))),
    }
}
