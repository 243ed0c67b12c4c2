//! Checks that all files of a store hold what their names say, and which of them are histories.

use super::list::Place;
use super::{MAX_BYTES, Store, hardware, lacking};
use crate::config::is_plain_name;
use crate::error::{Advice, Error, Result};
use crate::results::{self, Occasions, Results};

/// What was found in a store, one sentence each.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many were read.
    pub files: usize,
    /// What has to be fixed.
    pub problems: Vec<String>,
    /// Files that aren't histories yet, and what they lack.
    pub remarks: Vec<String>,
}

/// Every problem of every file.
pub fn verify(store: &Store) -> Result<Findings> {
    let mut findings = Findings::default();
    for place in store.places()? {
        let path = place.path.display();
        findings.files += 1;
        match open(&place) {
            Ok(results) => {
                findings
                    .problems
                    .extend(check(&place, &results).into_iter().map(|problem| format!("{path}: {problem}")));
                findings
                    .remarks
                    .extend(lacking(&Occasions::of(&results.sessions)).map(|remark| format!("{path}: {remark}")));
            }
            Err(error) => findings.problems.push(error.in_one_line()),
        }
    }
    Ok(findings)
}

fn open(place: &Place) -> Result<Results> {
    let path = place.path.display();
    let metadata = std::fs::symlink_metadata(&place.path).map_err(|error| Error::reading(&place.path, error))?;
    if !metadata.is_file() {
        return Err(Error::usage(format!("{path} is not a regular file")));
    }
    if metadata.len() > MAX_BYTES {
        let (size, most) = (metadata.len() / 1000, MAX_BYTES / 1000);
        return Err(Error::usage(format!("{path} has {size} KB, a baseline may take {most}")));
    }
    results::read(&place.path)
}

fn check(place: &Place, results: &Results) -> Vec<String> {
    let mut problems = Vec::new();
    let names = [Some(&place.suite), Some(&place.hardware), place.release.as_ref()];
    for name in names.into_iter().flatten().filter(|name| !is_plain_name(name)) {
        problems.push(format!("{name:?} is not a plain name: use letters, digits, `-`, `_` and `.`"));
    }
    if results.suite != place.suite {
        problems.push(format!("it holds the suite `{}`, not `{}`", results.suite, place.suite));
    }
    match hardware(results) {
        Ok(hardware) if hardware == place.hardware => {}
        Ok(hardware) => problems.push(format!("it was measured on {hardware}")),
        Err(error) => problems.push(error.in_one_line()),
    }
    for session in results.sessions.iter().filter(|session| session.finished.is_none()) {
        problems.push(format!("the session `{}` was cut off", session.id));
    }
    problems
}
