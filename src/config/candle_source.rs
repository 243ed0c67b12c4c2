//! `candle = { ... }`: which candle the measured program is built against.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::CandleTable;
use super::source::{Problem, Source};
use crate::git::{has_user, is_address, is_revision};

/// Where candle comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CandleSource {
    /// A checkout, as it is.
    Checkout {
        /// Its directory.
        path: PathBuf,
    },
    /// A branch, tag or commit of a repository.
    Git {
        /// Its address.
        git: String,
        /// What to take of it.
        rev: String,
    },
}

impl fmt::Display for CandleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkout { path } => write!(f, "in {}", path.display()),
            Self::Git { git, rev } => write!(f, "{rev} of {git}"),
        }
    }
}

/// The file's candle; `directory` is what a relative path starts from.
pub fn resolve(table: &CandleTable, source: &Source, directory: &Path) -> Result<CandleSource, Problem> {
    let wrong = |key: &str, reason: String| Problem { line: source.find(&["candle", key]), reason };
    match (&table.path, &table.git, &table.rev) {
        (Some(path), None, None) => Ok(CandleSource::Checkout { path: from(directory, path) }),
        (None, Some(git), Some(rev)) => {
            check_address(git).map_err(|why| wrong("git", format!("`git` {why}")))?;
            if !is_revision(rev) {
                return Err(wrong("rev", format!("`rev = {rev:?}` is no branch, tag or commit")));
            }
            Ok(CandleSource::Git { git: address(directory, git), rev: rev.clone() })
        }
        (None, Some(_), None) => Err(wrong("git", "`candle` lacks `rev`: a branch, tag or commit of `git`".into())),
        (None, None, Some(_)) => Err(wrong("rev", "`rev` needs `git`: the repository that it is of".into())),
        (None, None, None) => {
            let reason = "`candle` is empty: give `path`, or `git` and `rev`".into();
            Err(Problem { line: source.find(&["candle"]), reason })
        }
        _ => Err(wrong("path", "`candle` has two sources: give `path`, or `git` and `rev`".into())),
    }
}

fn from(directory: &Path, path: &str) -> PathBuf {
    directory.join(path).components().collect()
}

/// Git runs elsewhere: a path must be absolute.
fn address(directory: &Path, git: &str) -> String {
    if !git.starts_with(['.', '/']) {
        return git.to_owned();
    }
    let path = from(directory, git);
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

/// The file may be a pull request's.
fn check_address(git: &str) -> Result<(), &'static str> {
    if !is_address(git) {
        return Err("is no repository: give https://HOST/PATH, ssh://HOST/PATH, USER@HOST:PATH, or a path");
    }
    if has_user(git) { Err("has a user or password in it, which everybody could read here") } else { Ok(()) }
}
