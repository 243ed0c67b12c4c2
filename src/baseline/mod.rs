//! Baselines: results that are kept to compare with, one file for each suite and hardware.
//!
//! ```text
//! baselines/SUITE/HARDWARE.json                 the current one: several sessions, the newest last
//! baselines/SUITE/releases/TAG/HARDWARE.json    one of a release: never changed again
//! ```
//!
//! `HARDWARE` is a readable name such as `nvidia-h100-80gb-hbm3` (`Environment::fingerprint`).

mod list;
mod mixing;
mod update;
mod verify;

use std::path::{Path, PathBuf};

pub use list::Entry;
pub use update::Change;
pub use verify::{Findings, verify};

use crate::config::is_plain_name;
use crate::error::{Error, Result};
use crate::results::{self, Occasions, Results};

/// The directory of committed baselines.
pub const DIRECTORY: &str = "baselines";

/// Larger files don't belong in a repository.
pub const MAX_BYTES: u64 = 200_000;

/// A directory of baselines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The directory `root`, whether it exists or not.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the current baseline of a suite on some hardware is, whether it exists or not.
    pub fn current(&self, suite: &str, hardware: &str) -> Result<PathBuf> {
        Ok(self.suite(suite)?.join(format!("{}.json", checked("hardware", hardware)?)))
    }

    /// Where a release's baseline is.
    pub fn release(&self, suite: &str, tag: &str, hardware: &str) -> Result<PathBuf> {
        let file = format!("{}.json", checked("hardware", hardware)?);
        Ok(self.suite(suite)?.join("releases").join(checked("release", tag)?).join(file))
    }

    fn suite(&self, suite: &str) -> Result<PathBuf> {
        Ok(self.root.join(checked("suite", suite)?))
    }

    /// The current baseline of a suite on some hardware, if there is one.
    pub fn find(&self, suite: &str, hardware: &str) -> Result<Option<Results>> {
        read_if_there(&self.current(suite, hardware)?)
    }

    /// The newest release's baseline of a suite on some hardware, with its tag.
    pub fn latest_release(&self, suite: &str, hardware: &str) -> Result<Option<(String, Results)>> {
        let mut releases = Vec::new();
        for tag in list::names(&self.suite(suite)?.join("releases"))? {
            if is_plain_name(&tag)
                && let Some(results) = read_if_there(&self.release(suite, &tag, hardware)?)?
            {
                releases.push((tag, results));
            }
        }
        let started = |results: &Results| results.sessions.last().map(|session| session.started.clone());
        Ok(releases.into_iter().max_by_key(|(_, results)| started(results)))
    }
}

/// Names become parts of paths, and may come from an untrusted results file.
fn checked<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    if is_plain_name(name) {
        return Ok(name);
    }
    Err(Error::usage(format!("the {what} {name:?} can't name a file"))
        .hint("use letters, digits, `-`, `_` and `.`, at most 64"))
}

fn read_if_there(path: &Path) -> Result<Option<Results>> {
    match std::fs::metadata(path) {
        Ok(_) => results::read(path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::reading(path, error)),
    }
}

/// What a baseline of these sessions can't show yet, and what would change that; `None` for a history.
pub fn lacking(occasions: &Occasions) -> Option<String> {
    let missing = Some(occasions.missing()).filter(|missing| missing.count > 0)?;
    Some(format!(
        "{}: a screen, whose changes are unconfirmed; {}, would make it a history",
        occasions.in_words(),
        missing.in_words("")
    ))
}

/// The hardware that all sessions were measured on.
pub fn hardware(results: &Results) -> Result<String> {
    let mut names = results.sessions.iter().map(|session| session.environment.fingerprint());
    let first = names.next().ok_or_else(|| Error::usage("the results hold no session"))?;
    match names.find(|name| *name != first) {
        Some(other) => {
            Err(Error::usage(format!("the results hold sessions of different hardware: {first} and {other}")))
        }
        None => Ok(first),
    }
}
