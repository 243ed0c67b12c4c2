//! What goes wrong in an engine.

use std::path::PathBuf;

use crate::error::{Advice, Cause, sentence};
use crate::hub::HubError;

/// What went wrong in an engine, as far as measuring must tell it apart.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device's memory doesn't suffice: another case may fit.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// What was asked for can't be. The hint says what can.
    #[error("{why}")]
    Refused {
        /// What can't be.
        why: String,
        /// What can.
        hint: String,
    },
    /// A file or directory of the model.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// Anything else, in one sentence.
    #[error("{0}")]
    Failed(String),
}

impl EngineError {
    /// For what can't be, and what can.
    pub fn refused(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), hint: hint.into() }
    }

    /// For what is wrong with a file or directory of the model.
    pub fn at<E: Into<Cause>>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::File { path, source: source.into() }
    }
}

impl From<HubError> for EngineError {
    fn from(error: HubError) -> Self {
        let (why, hint) = (sentence(&error), error.advice().map(str::to_owned));
        match hint {
            Some(hint) => Self::Refused { why, hint },
            None => Self::Failed(why),
        }
    }
}

impl Advice for EngineError {
    fn advice(&self) -> Option<&str> {
        if let Self::Refused { hint, .. } = self { Some(hint) } else { None }
    }
}
