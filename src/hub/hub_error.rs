//! What goes wrong with a hub.

use std::path::Path;

use crate::error::{Advice, Cause};

/// One sentence, what to do about it, and which kind it is for those that have another way.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct HubError {
    /// Which kind.
    pub fault: Fault,
    why: String,
    hint: Option<String>,
    source: Option<Cause>,
}

/// The kinds that somebody has another way for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The hub has no such model, revision or file.
    Missing,
    /// It can't be reached, or has no time: what is in a cache can do.
    Unreachable,
    /// A person wanted it to end.
    Stopped,
    /// Anything else.
    Other,
}

impl HubError {
    /// Nobody has another way.
    pub fn new(why: impl Into<String>) -> Self {
        Self { fault: Fault::Other, why: why.into(), hint: None, source: None }
    }

    #[must_use]
    pub fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A file of a cache.
    pub fn at<E: Into<Cause>>(path: &Path) -> impl FnOnce(E) -> Self {
        let why = format!("can't write {}", path.display());
        let error = Self::new(why).hint("set HF_HUB_CACHE or MODELSCOPE_CACHE to a directory that you may write");
        move |source| Self { source: Some(source.into()), ..error }
    }
}

impl Advice for HubError {
    fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
