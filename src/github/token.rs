//! The token. It can be sent to the API and to nothing else: it can't be printed, and no child process gets it.

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
            return Err(ApiError::Setup(
                "the GitHub token has white space or control characters inside; pass it exactly as GitHub shows it"
                    .into(),
            ));
        }
        Ok(Some(Self(token.to_owned())))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// Keeps other processes of this user from reading this one's environment, where the token came from: what is measured
/// is a pull request's code. Root can still.
pub fn shield() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!("other processes can read this one's environment, with the token in it: {error}");
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}
