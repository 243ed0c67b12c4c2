//! Why there is no base, or why nobody knows where the branch began.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Advice, sentence};
use crate::git::GitError;
use crate::github::ApiError;

/// What is missing to know a commit that a pull request is judged by.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BaseError {
    /// The caller names one that isn't there.
    #[error("no base `{name}`")]
    Absent { name: String, source: Box<BaseError> },
    #[error("nothing says what the base is")]
    Unsaid,
    #[error("neither the event nor GitHub says what the base is")]
    Unnamed,
    #[error("it is neither a branch nor a commit")]
    NoName,
    #[error("this clone lacks the commit {commit}")]
    Lacking { commit: String, source: Arc<GitError> },
    #[error("{} lacks the commit {commit}", repository.display())]
    LackingIn { repository: PathBuf, commit: String },
    #[error("HEAD is part of the base {0} already")]
    Merged(String),
    #[error("where the branch left {0} is not known")]
    NoMergeBase(String),
    #[error(
        "can't tell in {} where HEAD and {tip} parted ({}; {})",
        repository.display(), sentence(here), beyond.in_one_line()
    )]
    MergeBaseUnknown { repository: PathBuf, tip: String, here: Arc<GitError>, beyond: Box<BaseError> },
    /// One way after another.
    #[error("{}; {}", .0.in_one_line(), .1.in_one_line())]
    Both(Box<BaseError>, Box<BaseError>),
    #[error(transparent)]
    Git(Arc<GitError>),
    #[error(transparent)]
    GitHub(#[from] ApiError),
}

impl BaseError {
    /// There is no base, rather than one that can't be reached: nobody promised one.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Unsaid | Self::Unnamed | Self::Merged(_) => true,
            Self::Both(one, other) => one.is_absence() && other.is_absence(),
            _ => false,
        }
    }

    /// When another way failed as well.
    pub fn and(self, also: impl Into<Self>) -> Self {
        Self::Both(Box::new(self), Box::new(also.into()))
    }
}

impl From<GitError> for BaseError {
    fn from(error: GitError) -> Self {
        Self::Git(Arc::new(error))
    }
}

impl Advice for BaseError {
    fn advice(&self) -> Option<&str> {
        match self {
            Self::NoMergeBase(_) | Self::MergeBaseUnknown { .. } => Some("check out with `fetch-depth: 0`"),
            Self::GitHub(error) => error.advice(),
            _ => None,
        }
    }
}
