//! Answers that aren't the ones that were hoped for.

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use crate::engine::EngineError;
use crate::hub;
use crate::plural::counted;

/// The longest that a server may ask us to wait.
const LONGEST: u64 = 600;

/// An answer that isn't the one that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The server's status and words.
    Status {
        code: u16,
        said: String,
        /// When to try again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It sends us to another address, which is not followed: the key is for this one.
    Redirect { code: u16, said: String },
    /// A stream that says something else than what was asked for.
    Streamed(String),
    /// A stream that broke off after so many events.
    BrokeOff { events: usize, said: String },
    /// It couldn't be reached.
    Unreachable(String),
}

impl Refused {
    /// Of an answer with a status that isn't success.
    pub async fn status(answer: Response) -> Self {
        let code = answer.status();
        if code.is_redirection() {
            return Self::Redirect { code: code.as_u16(), said: sends_to(&answer) };
        }
        let (pause, unreadable) = if waits(code) { pause(&answer) } else { (None, String::new()) };
        let said = match encoding_of(&answer) {
            Some(encoding) => format!("with Content-Encoding {encoding}, which wasn't asked for"),
            None => message(&answer.bytes().await.unwrap_or_default()),
        };
        Self::Status { code: code.as_u16(), said: said + &unreadable, retry_after: pause }
    }

    /// Might the same server answer to another request?
    pub fn is_about_the_request(&self) -> bool {
        match self {
            Self::Status { code, .. } => ![401, 403, 429, 503].contains(code),
            Self::Streamed(_) => true,
            Self::Redirect { .. } | Self::BrokeOff { .. } | Self::Unreachable(_) => false,
        }
    }

    /// The same with other words.
    #[must_use]
    pub fn map(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Status { code, said, retry_after } => Self::Status { code, said: words(said), retry_after },
            Self::Redirect { code, said } => Self::Redirect { code, said: words(said) },
            Self::Streamed(said) => Self::Streamed(words(said)),
            Self::BrokeOff { events, said } => Self::BrokeOff { events, said: words(said) },
            Self::Unreachable(said) => Self::Unreachable(words(said)),
        }
    }

    /// For a person. The key is in that variable, if there is one.
    pub fn into_error(self, server: &str, key: Option<&str>) -> EngineError {
        EngineError::Failed(match self {
            Self::Status { code: 401 | 403, said, .. } => match key {
                Some(variable) => format!("the server {server} refuses the key in {variable} ({said})"),
                None => format!(
                    "the server {server} refuses us ({said}): name the variable that holds its key in `api-key-env`"
                ),
            },
            Self::Redirect { code, said } => {
                format!("the server {server} answered {code}, which isn't followed: it {said}")
            }
            Self::Status { code: 404, said, .. } => {
                format!(
                    "the server {server} knows no such model or address ({said}): see `server` in the configuration"
                )
            }
            Self::Status { code, said, .. } => format!("the server {server} answered {code} ({said})"),
            Self::Streamed(said) => format!("the server {server} {said}"),
            Self::BrokeOff { events, said } => {
                format!("the server {server} broke off after {}: {said}", counted(events, "event"))
            }
            Self::Unreachable(said) => format!("the server {server} can't be asked: {said}"),
        })
    }
}

fn waits(code: StatusCode) -> bool {
    matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// How long it wants to be left alone, and what there is to say of that.
fn pause(answer: &Response) -> (Option<Duration>, String) {
    let header = header(answer, RETRY_AFTER);
    let told = header.as_deref().and_then(hub::retry_after);
    let seconds = told.map_or(1, |told| told.as_secs().clamp(1, LONGEST));
    let unreadable = header.filter(|_| told.is_none());
    let unreadable = unreadable.map(|header| format!("; its Retry-After `{header}` is neither seconds nor a date"));
    (Some(Duration::from_secs(seconds)), unreadable.unwrap_or_default())
}

fn header(answer: &Response, name: HeaderName) -> Option<String> {
    answer.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// How the body is compressed. We read none that is.
pub fn encoding_of(answer: &Response) -> Option<String> {
    header(answer, CONTENT_ENCODING).filter(|encoding| encoding.trim() != "identity")
}

/// Where an answer sends us, and which address would be it.
fn sends_to(answer: &Response) -> String {
    let target = header(answer, LOCATION).and_then(|location| answer.url().join(&location).ok());
    let target = target.filter(|target| target.host().is_some());
    let Some(target) = target else { return "names no other address".to_owned() };
    let plain = plain(target);
    let base = ["/chat/completions", "/completions", "/models"].iter().find_map(|end| plain.strip_suffix(end));
    match base {
        Some(base) => format!("sends to {plain}: put {base} into `url`, if that is the server"),
        None => format!("sends to {plain}: put the server's own address into `url`"),
    }
}

/// Without what may be secret.
fn plain(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    // Of an address with a host both can be set.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.into()
}

/// What an answer of an error says: OpenAI's form, or the beginning of whatever it is.
pub fn message(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let said = value.as_ref().and_then(error_in);
    said.map_or_else(|| if is_page(body) { "a page of HTML".to_owned() } else { text(body) }, str::to_owned)
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// A proxy's, as a rule, and nothing but its status says anything.
fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = start[..start.len().min(14)].to_ascii_lowercase();
    start.starts_with(b"<html") || start.starts_with(b"<!doctype html")
}

/// `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`, `{"detail": ...}`.
fn error_in(value: &Value) -> Option<&str> {
    let error = &value["error"];
    [&error["message"], error, &value["message"], &value["detail"]].into_iter().find_map(Value::as_str)
}
