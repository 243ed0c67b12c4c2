//! Which baselines there are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Store;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::results::{self, Occasions};

/// More entries than this in a directory aren't baselines.
const MAX_ENTRIES: usize = 10_000;

/// A baseline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint of what it ran on, such as `nvidia-h100-80gb-hbm3`.
    pub hardware: String,
    /// The tag, for one of a release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How many it holds.
    pub sessions: usize,
    /// Times, hours apart, at which these were measured. Five make a history.
    pub occasions: usize,
    /// How many are planned in it.
    pub cases: usize,
    /// When the newest session started.
    pub measured: String,
    /// What the newest session measured.
    pub program: String,
    /// The file.
    pub path: PathBuf,
}

impl Entry {
    /// `SUITE/HARDWARE`, or `SUITE/releases/TAG/HARDWARE`: the path in the store without `.json`.
    pub fn name(&self) -> String {
        match &self.release {
            Some(tag) => format!("{}/releases/{tag}/{}", self.suite, self.hardware),
            None => format!("{}/{}", self.suite, self.hardware),
        }
    }
}

/// A file that by its place is a baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub suite: String,
    pub hardware: String,
    pub release: Option<String>,
    pub path: PathBuf,
}

impl Store {
    /// All baselines, by suite, release and hardware. The first one that can't be read is an error.
    pub fn list(&self) -> Result<Vec<Entry>> {
        self.places()?.into_iter().map(entry).collect()
    }

    /// All files that by their place are baselines.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        Folder::check_way(&self.root)?;
        let mut places = Vec::new();
        for suite in names(&self.root)? {
            let directory = self.root.join(&suite);
            files(&directory, &suite, None, &mut places)?;
            let releases = directory.join("releases");
            for tag in names(&releases)? {
                files(&releases.join(&tag), &suite, Some(&tag), &mut places)?;
            }
        }
        Ok(places)
    }
}

fn files(directory: &Path, suite: &str, release: Option<&str>, places: &mut Vec<Place>) -> Result<()> {
    for name in names(directory)? {
        if let Some(hardware) = name.strip_suffix(".json") {
            places.push(Place {
                suite: suite.to_owned(),
                hardware: hardware.to_owned(),
                release: release.map(str::to_owned),
                path: directory.join(&name),
            });
        }
    }
    Ok(())
}

/// The names in a directory in order; none if it doesn't exist or is no directory.
pub(super) fn names(directory: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Error::reading(directory, error);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        if names.len() > MAX_ENTRIES {
            return Err(Error::usage(format!("{} holds more than {MAX_ENTRIES} files", directory.display())));
        }
    }
    names.sort();
    Ok(names)
}

fn entry(place: Place) -> Result<Entry> {
    let results = results::read(&place.path)?;
    let last = results.sessions.last();
    Ok(Entry {
        sessions: results.sessions.len(),
        occasions: Occasions::of(&results.sessions).count(),
        cases: results.cases.len(),
        measured: last.map(|session| session.started.clone()).unwrap_or_default(),
        program: last.map(|session| session.measured().describe()).unwrap_or_default(),
        suite: place.suite,
        hardware: place.hardware,
        release: place.release,
        path: place.path,
    })
}
