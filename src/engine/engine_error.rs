//! What goes wrong in an engine.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{Advice, Cause};
use crate::hub::{Fault, HubError};

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
    /// A hub doesn't give the model.
    #[error(transparent)]
    Hub(HubError),
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

    /// Trying again would end the same way: files and settings stay what they are, while memory, networks and other programs
    /// don't.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::File { source, .. } => {
                source.downcast_ref::<std::io::Error>().is_none_or(|error| is_of_files(error.kind()))
            }
            Self::Hub(error) => error.fault == Fault::Missing,
            Self::OutOfMemory(_) | Self::Failed(_) => false,
        }
    }
}

/// And not of a disk or a system that is busy. `Other` are checks of our own.
fn is_of_files(kind: ErrorKind) -> bool {
    use ErrorKind::{
        InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, Other, PermissionDenied, UnexpectedEof,
    };
    let lasting =
        [NotFound, PermissionDenied, IsADirectory, NotADirectory, InvalidData, InvalidInput, UnexpectedEof, Other];
    lasting.contains(&kind)
}

impl From<HubError> for EngineError {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

impl Advice for EngineError {
    fn advice(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => Some(hint),
            Self::Hub(error) => error.advice(),
            Self::OutOfMemory(_) | Self::File { .. } | Self::Failed(_) => None,
        }
    }
}
