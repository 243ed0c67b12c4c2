//! Talking to GitHub's REST API: bounded in time, size and patience, and never twice the same POST.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::event::Context;
use super::sticky::User;
use super::{ApiError, Token};
use crate::git::{Credential, Remote};
use crate::redact::Secrets;

/// Larger answers are refused. A page of 100 comments of 65,536 characters has at most 26 MB.
const MAX_ANSWER: usize = 32 << 20;
/// GitHub's largest page.
const PER_PAGE: usize = 100;
/// GitHub keeps at most 2,500 comments on an issue: 25 pages.
const MAX_PAGES: u32 = 100;
/// How often a request that may be repeated is sent.
const ATTEMPTS: u32 = 4;
/// GitHub's advice when a secondary limit names no time.
const UNNAMED_LIMIT: Duration = Duration::from_secs(60);

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one answer, body included.
    pub answer: Duration,
    /// For rate limits, for answers that never came and between repeated requests, over the client's whole life.
    pub waiting: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), waiting: Duration::from_secs(150) }
    }
}

/// A connection to one API host, with one token.
pub struct Client {
    api_url: String,
    octocrab: Octocrab,
    runtime: tokio::runtime::Runtime,
    token: Token,
    /// The token, and what else the environment holds: cut out of all that is sent and of all that is answered.
    secrets: Secrets,
    patience: Patience,
    waited: Cell<Duration>,
}

/// What GitHub said.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// `api_url` is `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server.
    pub fn new(api_url: &str, token: Token, patience: Patience) -> Result<Self, ApiError> {
        let base = parse_api_url(api_url)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ApiError::setup(format!("can't start the HTTP client: {error}")))?;
        let octocrab = {
            // The client's worker task is spawned while it is built.
            let _guard = runtime.enter();
            Octocrab::builder()
                .personal_token(token.expose().to_owned())
                .set_connect_timeout(Some(patience.answer.min(Duration::from_secs(10))))
                .base_uri(base)
                .and_then(|builder| builder.build())
                .map_err(|error| {
                    let why = format!("can't start the HTTP client: {}", innermost(&error));
                    ApiError::setup_with(why, "are CA certificates installed (package ca-certificates)?")
                })?
        };
        let secrets = Secrets::of_environment().with([token.expose().to_owned()]);
        Ok(Self {
            api_url: api_url.trim().to_owned(),
            octocrab,
            runtime,
            token,
            secrets,
            patience,
            waited: Cell::new(Duration::ZERO),
        })
    }

    /// `text` as it is sent.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.redact(text)
    }

    /// What is at `path`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let answer = self.send(&Method::GET, path, None)?;
        self.decode(&Method::GET, path, &answer)
    }

    /// Every item of a paged list.
    ///
    /// The pages are counted here: a `Link` header only tells that there is another one. Its address is never
    /// requested, so that no server can send the token elsewhere.
    pub fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ApiError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        for page in 1..=MAX_PAGES {
            let address = format!("{path}{separator}per_page={PER_PAGE}&page={page}");
            let answer = self.send(&Method::GET, &address, None)?;
            let found: Vec<T> = self.decode(&Method::GET, path, &answer)?;
            let count = found.len();
            items.extend(found);
            if count == 0 || (count < PER_PAGE && !names_next_page(&answer.headers)) {
                break;
            }
        }
        Ok(items)
    }

    /// Sent once, except after a rate limit (which means that nothing was done). When the error
    /// [`may_have_happened`](ApiError::may_have_happened), look before sending it again.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        let answer = self.send(&Method::POST, path, Some(body))?;
        self.decode(&Method::POST, path, &answer)
    }

    /// Changes what is at `path`. Sent again after an error: it leaves the same state.
    pub fn patch<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        let answer = self.send(&Method::PATCH, path, Some(body))?;
        self.decode(&Method::PATCH, path, &answer)
    }

    /// What is already gone counts as deleted.
    pub fn delete(&self, path: &str) -> Result<(), ApiError> {
        match self.send(&Method::DELETE, path, None) {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// The context's repository, for git to fetch from with this token.
    pub fn remote<'a>(&'a self, context: &'a Context) -> Remote<'a> {
        let server = context.server_url.trim_end_matches('/');
        let credential = Credential { server, password: self.token.expose() };
        Remote { url: format!("{server}/{}", context.repository), credential: Some(credential) }
    }

    /// The login behind the token, as GraphQL says it: an app's token may not ask REST.
    pub fn viewer(&self) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            viewer: User,
        }
        // `/api/v3` and `/api/graphql` of an Enterprise Server; both at the root of api.github.com.
        let root = self.api_url.trim_end_matches('/').trim_end_matches("/v3");
        let client = Self::new(root, self.token.clone(), self.patience)?;
        let answer: Answer = client.post("/graphql", &json!({ "query": "{ viewer { login } }" }))?;
        Ok(answer.data.viewer.login)
    }

    /// Waits, unless that would use up the patience: then `false`.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let waited = self.waited.get() + duration;
        if waited > self.patience.waiting {
            return false;
        }
        self.waited.set(waited);
        std::thread::sleep(duration);
        true
    }

    fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, ApiError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let started = Instant::now();
            let result = self.send_once(method, path, body);
            if result.is_err() {
                // Waiting that doesn't help uses up patience as well.
                self.waited.set(self.waited.get() + started.elapsed());
            }
            let wait = match &result {
                Ok(answer) if answer.status.is_success() => return result,
                Ok(answer) => match rate_limit(answer) {
                    Some(wait) => {
                        tracing::warn!("GitHub's rate limit: {method} {path} has to wait {} s", wait.as_secs());
                        Some(wait)
                    }
                    None => answer.status.is_server_error().then(|| backoff(attempt)).filter(|_| is_repeatable(method)),
                },
                Err(error) if error.may_have_happened() => is_repeatable(method).then(|| backoff(attempt)),
                Err(_) => None,
            };
            let again = wait.is_some_and(|wait| attempt < ATTEMPTS && self.pause(wait));
            if !again {
                return match result {
                    Ok(answer) => Err(self.refusal(method, path, &answer, wait)),
                    Err(error) => Err(error),
                };
            }
        }
    }

    fn send_once(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, ApiError> {
        let unanswered = |reason: String| ApiError::Unanswered {
            request: request_name(method, path),
            reason: format!("{}{}", self.redact(&reason), proxy_hint()),
        };
        let body = body.map(|body| self.without_secrets(body.clone()));
        let request = http::request::Builder::new().method(method.clone()).uri(path);
        let request = self
            .octocrab
            .build_request(request, body.as_ref())
            .map_err(|error| ApiError::setup(format!("can't ask for {path}: {}", innermost(&error))))?;
        let exchange = async {
            let answer = self.octocrab.execute(request).await.map_err(|error| unanswered(innermost(&error)))?;
            let (parts, body) = answer.into_parts();
            let body =
                Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| unanswered(innermost(&*error)))?;
            Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes().to_vec() })
        };
        self.runtime
            .block_on(async { tokio::time::timeout(self.patience.answer, exchange).await })
            .unwrap_or_else(|_| Err(unanswered(format!("nothing within {} s", self.patience.answer.as_secs_f32()))))
    }

    fn refusal(&self, method: &Method, path: &str, answer: &Answer, limit: Option<Duration>) -> ApiError {
        let request = request_name(method, path);
        let status = answer.status.as_u16();
        match limit {
            Some(wait) if !answer.status.is_server_error() => {
                ApiError::RateLimited { request, status, seconds: wait.as_secs() }
            }
            _ => ApiError::Refused { request, status, message: shorten(&self.redact(&message(answer))) },
        }
    }

    fn decode<T: DeserializeOwned>(&self, method: &Method, path: &str, answer: &Answer) -> Result<T, ApiError> {
        serde_json::from_slice(&answer.body)
            .and_then(|body| serde_json::from_value(self.without_secrets(body)))
            .map_err(|error| ApiError::Unreadable {
                request: request_name(method, path),
                reason: shorten(&error.to_string()),
            })
    }

    fn without_secrets(&self, mut body: Value) -> Value {
        self.secrets.redact_json(&mut body);
        body
    }
}

fn parse_api_url(api_url: &str) -> Result<Uri, ApiError> {
    let wrong = |why: &str| {
        ApiError::setup_with(
            format!("the API address `{api_url}` {why}"),
            "set GITHUB_API_URL to something like https://api.github.com",
        )
    };
    let uri: Uri = api_url.trim().parse().map_err(|_| wrong("is not a URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("has a user name in it"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        // Tests and proxies on this machine. Anywhere else, the token would be readable on the way.
        Some("http") if is_local(authority.host()) => Ok(uri),
        Some("http") => Err(wrong("must be https, or the token could be read on the way")),
        _ => Err(wrong("must start with https://")),
    }
}

fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// octocrab's connections are direct.
#[expect(clippy::disallowed_methods, reason = "only to say what isn't used")]
fn proxy_hint() -> &'static str {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].iter().any(set) {
        true => "; a proxy is not used for this: docs/action.md, \"Behind a proxy\"",
        false => "",
    }
}

/// Sending it twice leaves the same state as sending it once.
fn is_repeatable(method: &Method) -> bool {
    method != Method::POST
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(500 << attempt.min(4))
}

/// How long GitHub wants us to wait, if it refused for that reason.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn rate_limit(answer: &Answer) -> Option<Duration> {
    if !matches!(answer.status.as_u16(), 403 | 429) {
        return None;
    }
    let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") == Some(0)
        && let Some(reset) = number("x-ratelimit-reset")
    {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        return Some(Duration::from_secs(reset.saturating_sub(now) + 1));
    }
    let is_secondary = message(answer).to_lowercase().contains("secondary rate limit");
    (answer.status == StatusCode::TOO_MANY_REQUESTS || is_secondary).then_some(UNNAMED_LIMIT)
}

fn names_next_page(headers: &HeaderMap) -> bool {
    let links = headers.get(http::header::LINK).and_then(|links| links.to_str().ok()).unwrap_or_default();
    links.split(',').any(|link| link.contains(r#"rel="next""#))
}

fn request_name(method: &Method, path: &str) -> String {
    format!("{method} {}", path.split('?').next().unwrap_or(path))
}

/// GitHub's own message, with the details of a validation error.
fn message(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let mut text = match body.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => answer.status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let detail = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        text = format!("{text}; {detail}");
    }
    text
}

/// One short line.
fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// octocrab's errors say only "Service Error"; the reason is at the end of the chain.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
