//! GitHub: which pull request this is, and reporting the verdict to it.
//!
//! Nothing here decides a verdict, and no failure here loses one: every caller has the report already.

pub(crate) mod acceptance;
pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod event;
pub(crate) mod outputs;
pub mod sticky;
pub(crate) mod token;

use std::fmt;

pub use client::{Client, Patience};
pub use token::Token;

use crate::error::Advice;

/// `OWNER/NAME`, safe to put into an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// `None` for anything that isn't two plain names.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let is_name = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !part.is_empty() && part.len() <= 100 && part != "." && part != ".." && part.bytes().all(allowed)
        };
        (is_name(owner) && is_name(name)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why GitHub didn't do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// Nothing was sent.
    #[error("{why}")]
    Setup {
        /// What is wrong here.
        why: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// GitHub answered, and did nothing.
    #[error("GitHub refused `{request}` with {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The answer's HTTP status.
        status: u16,
        /// What GitHub says about it.
        message: String,
    },
    /// Too many requests: nothing was done, and waiting takes too long.
    #[error(
        "GitHub's rate limit refused `{request}` ({status}) and asks to wait {seconds} s, which is too long for a job"
    )]
    RateLimited {
        /// Method and path.
        request: String,
        /// The answer's HTTP status.
        status: u16,
        /// How long GitHub wants us to wait.
        seconds: u64,
    },
    /// No answer arrived: it may have been done all the same.
    #[error("no answer from GitHub to `{request}`: {reason}")]
    Unanswered {
        /// Method and path.
        request: String,
        /// What failed on the way.
        reason: String,
    },
    /// An answer that isn't what GitHub documents.
    #[error("can't read GitHub's answer to `{request}`: {reason}")]
    Unreadable {
        /// Method and path.
        request: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl ApiError {
    /// Nothing is sent, for a reason that says all.
    pub fn setup(why: impl Into<String>) -> Self {
        Self::Setup { why: why.into(), hint: None }
    }

    /// With what to do about it.
    pub fn setup_with(why: impl Into<String>, hint: &'static str) -> Self {
        Self::Setup { why: why.into(), hint: Some(hint) }
    }

    /// The HTTP status of the answer, where one arrived.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::RateLimited { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The request may have taken effect although it failed.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500,
            Self::Unanswered { .. } | Self::Unreadable { .. } => true,
            Self::Setup { .. } | Self::RateLimited { .. } => false,
        }
    }
}

impl Advice for ApiError {
    fn advice(&self) -> Option<&str> {
        match self {
            Self::Setup { hint, .. } => *hint,
            Self::RateLimited { .. } => Some("run it again later"),
            Self::Refused { status, message, .. } => refusal(*status, message),
            Self::Unanswered { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// What a refusal by status means, and what to do about it.
fn refusal(status: u16, message: &str) -> Option<&'static str> {
    match status {
        401 => Some("the token is wrong or has expired"),
        403 if message.contains("not accessible by integration") => Some(
            "the token may not write here: give the job `permissions: pull-requests: write`, or, for pull requests of \
             forks, comment from a second workflow (docs/action.md)",
        ),
        403 => Some("the token lacks a permission"),
        404 => Some("it doesn't exist, or the token can't see it"),
        _ => None,
    }
}
