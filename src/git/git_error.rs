//! What git, or reading a clone, can't do.

use std::io;
use std::path::PathBuf;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{} is not in a git repository", .0.display())]
    NoRepository(PathBuf),
    #[error("the path of {} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// Where something of ours or of the clone's is read or written.
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("can't run git")]
    Unstarted(#[source] io::Error),
    /// The last line of git's complaint.
    #[error("{0}")]
    Refused(String),
    #[error("there is no commit `{0}`")]
    NoCommit(String),
    #[error("they have nothing in common")]
    NothingInCommon,
    #[error("the clone has no remote `origin`")]
    NoOrigin,
    #[error("the clone's `origin` is no address of the kind https://HOST/PATH, ssh://HOST/PATH, or a path")]
    NoAddress,
    #[error("the clone is complete")]
    Complete,
}

impl GitError {
    /// For what goes wrong at a file or directory.
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
