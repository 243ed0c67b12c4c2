//! Answers that aren't the ones that were hoped for.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;

use crate::engine::EngineError;
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
    /// A stream that says something else than what was asked for.
    Streamed(String),
    /// A stream that broke off after so many events.
    BrokeOff { events: usize, said: String },
    /// It couldn't be reached.
    Unreachable(String),
}

impl Refused {
    /// Of an answer with a status that isn't success.
    pub async fn status(answer: reqwest::Response) -> Self {
        let code = answer.status();
        let waits = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = waits.then(|| Duration::from_secs(seconds.unwrap_or(1).clamp(1, LONGEST)));
        let said = message(&answer.bytes().await.unwrap_or_default());
        Self::Status { code: code.as_u16(), said, retry_after }
    }

    /// Might the same server answer to another request?
    pub fn is_about_the_request(&self) -> bool {
        match self {
            Self::Status { code, .. } => ![401, 403, 429, 503].contains(code),
            Self::Streamed(_) => true,
            Self::BrokeOff { .. } | Self::Unreachable(_) => false,
        }
    }

    /// The same with other words.
    #[must_use]
    pub fn map(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Status { code, said, retry_after } => Self::Status { code, said: words(said), retry_after },
            Self::Streamed(said) => Self::Streamed(words(said)),
            Self::BrokeOff { events, said } => Self::BrokeOff { events, said: words(said) },
            Self::Unreachable(said) => Self::Unreachable(words(said)),
        }
    }

    /// For a person.
    pub fn into_error(self, server: &str) -> EngineError {
        EngineError::Failed(match self {
            Self::Status { code: 401 | 403, said, .. } => {
                format!(
                    "the server {server} refuses us ({said}): name the variable that holds its key in `api-key-env`"
                )
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

/// With all that is behind it: the outermost only says that something went wrong.
pub fn in_full(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(why) = source {
        said = format!("{said}: {why}");
        source = why.source();
    }
    said
}

/// What an answer of an error says: OpenAI's form, or the beginning of whatever it is.
pub fn message(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    value.as_ref().and_then(error_in).map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

/// `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`, `{"detail": ...}`.
fn error_in(value: &Value) -> Option<&str> {
    let error = &value["error"];
    [&error["message"], error, &value["message"], &value["detail"]].into_iter().find_map(Value::as_str)
}
