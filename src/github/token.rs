//! The token. It can be sent to the API and to nothing else: it can't be printed, and no child process gets it but one
//! fetch of git.

use std::fmt;

use super::ApiError;

/// A GitHub token that is safe to put into a header.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// `None` when there is nothing but white space: an unset secret arrives as an empty string.
    ///
    /// Line breaks around a token are common (`gh auth token > file`) and harmless; inside of one they'd forge a
    /// header.
    pub fn parse(text: &str) -> Result<Option<Self>, ApiError> {
        let token = text.trim();
        if token.is_empty() {
            return Ok(None);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "the GitHub token has white space or control characters inside";
            return Err(ApiError::setup_with(why, "pass it exactly as GitHub shows it"));
        }
        Ok(Some(Self(token.to_owned())))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}
