//! `candle = { ... }`: which candle the measured program is built against.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::CandleTable;
use super::source::{Problem, Source};
use crate::programs::git::is_revision;

/// Where candle comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CandleSource {
    /// A checkout, as it is.
    Checkout { path: PathBuf },
    /// A branch, tag or commit of a repository.
    Git { git: String, rev: String },
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

/// The file may be a pull request's: an address must not become an option of git, nor run a command (`ext::`).
fn check_address(git: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "is no repository: give https://HOST/PATH, ssh://HOST/PATH, USER@HOST:PATH, or a path";
    if git.starts_with('-') || git.contains("::") || git.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(EXPECTED);
    }
    let Some((scheme, rest)) = git.split_once("://") else {
        let is_path = git.starts_with(['.', '/']);
        let is_ssh = git.split_once(':').is_some_and(|(host, path)| is_host(host) && !path.is_empty());
        return if is_path || is_ssh { Ok(()) } else { Err(EXPECTED) };
    };
    let host = rest.split('/').next().unwrap_or_default();
    match scheme {
        "https" if host.contains('@') => Err("has a user or password in it, which everybody could read here"),
        "https" | "ssh" if is_host(host) => Ok(()),
        "file" if rest.starts_with('/') => Ok(()),
        _ => Err(EXPECTED),
    }
}

/// `HOST`, `USER@HOST` or `HOST:PORT`.
fn is_host(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':' | '[' | ']');
    !text.is_empty() && text.split('@').all(|part| !part.is_empty() && !part.starts_with('-')) && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_repositories_pass() {
        for good in [
            "https://github.com/huggingface/candle",
            "https://host:8443/candle.git",
            "ssh://git@host/candle",
            "git@github.com:huggingface/candle.git",
            "file:///srv/candle",
            "../candle",
            "/srv/candle",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "fd::17",
            "http://host/candle",
            "git://host/candle",
            "ssh://-oProxyCommand=x/candle",
            "git@-oProxyCommand=x:candle",
            "-oProxyCommand=x:candle",
            "https://me:secret@host/candle",
            "https:///candle",
            "file://candle",
            "candle",
            "https://host/a\nb",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
