//! A directory for a set of files that belong together.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::Lock;
use super::output::{MOMENT, WHILE, refused};
use crate::error::{Error, Result};

/// A directory whose files nobody else of us writes, until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Lock,
}

const LOCK: &str = ".bench-diff-lock";

impl Folder {
    /// Claims a directory that others write for long: they won't be waited for. It is made where there is none.
    pub fn claim(path: &Path) -> Result<Self> {
        Self::within(MOMENT, path)
    }

    /// Claims a directory that others write in no time.
    pub fn wait_for(path: &Path) -> Result<Self> {
        Self::within(WHILE, path)
    }

    fn within(patience: Duration, path: &Path) -> Result<Self> {
        Self::check_way(path)?;
        fs::create_dir_all(path)
            .map_err(|error| Error::usage(format!("can't make the directory {}", path.display())).because(error))?;
        let lock = Lock::take(&path.join(LOCK), patience).map_err(|why| refused(path, why))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Fails where a file stands in a directory's way: in its place, or above.
    pub fn check_way(path: &Path) -> Result<()> {
        match path.ancestors().find(|part| part.exists()) {
            Some(part) if !part.is_dir() => Err(Error::usage(format!("{} is a file, not a directory", part.display()))
                .hint("move it away, or name another directory")),
            _ => Ok(()),
        }
    }

    /// Fails where files can't be written, in a directory that may not be there yet. It makes none.
    pub fn check(path: &Path) -> Result<()> {
        Self::check_way(path)?;
        let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
        let failed = |error| Error::usage(format!("can't write files to {}", path.display())).because(error);
        tempfile::tempfile_in(there).map(drop).map_err(failed)
    }

    /// The claimed directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}
