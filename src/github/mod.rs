//! GitHub: which pull request this is, and telling it the verdict.
//!
//! Nothing here decides a verdict, and no failure here loses one: every caller has the report already.

pub mod acceptance;
pub mod checks;
pub mod client;
pub mod event;
pub mod outputs;
pub mod sticky;
pub mod token;

use std::fmt;

pub use client::{Client, Patience};
pub use token::Token;

use crate::error::Advice;

/// `OWNER/NAME`, safe to put into an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
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
    Setup { why: String, hint: Option<&'static str> },
    #[error("GitHub refused `{request}` with {status}: {message}")]
    Refused { request: String, status: u16, message: String },
    #[error(
        "GitHub's rate limit refused `{request}` ({status}) and asks to wait {seconds} s, which is too long for a job"
    )]
    RateLimited { request: String, status: u16, seconds: u64 },
    /// No answer arrived: it may have been done all the same.
    #[error("no answer from GitHub to `{request}`: {reason}")]
    Unanswered { request: String, reason: String },
    #[error("can't read GitHub's answer to `{request}`: {reason}")]
    Unreadable { request: String, reason: String },
}

impl ApiError {
    pub fn setup(why: impl Into<String>) -> Self {
        Self::Setup { why: why.into(), hint: None }
    }

    /// With what to do about it.
    pub fn setup_with(why: impl Into<String>, hint: &'static str) -> Self {
        Self::Setup { why: why.into(), hint: Some(hint) }
    }

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
