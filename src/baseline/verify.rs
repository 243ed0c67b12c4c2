//! Are all files of a store what their names say?

use super::list::Place;
use super::{MAX_BYTES, Store, hardware};
use crate::config::is_plain_name;
use crate::error::Result;
use crate::results;

/// Every problem of every file, one sentence each; and the number of files.
pub fn verify(store: &Store) -> Result<(usize, Vec<String>)> {
    let places = store.places()?;
    let problems = places.iter().flat_map(|place| {
        let path = place.path.display();
        check(place).into_iter().map(move |problem| format!("{path}: {problem}"))
    });
    Ok((places.len(), problems.collect()))
}

fn check(place: &Place) -> Vec<String> {
    let metadata = match std::fs::symlink_metadata(&place.path) {
        Ok(metadata) => metadata,
        Err(error) => return vec![error.to_string()],
    };
    if !metadata.is_file() {
        return vec!["not a regular file".into()];
    }
    if metadata.len() > MAX_BYTES {
        return vec![format!("{} KB are too many: a baseline may take {}", metadata.len() / 1000, MAX_BYTES / 1000)];
    }
    let results = match results::read(&place.path) {
        Ok(results) => results,
        Err(error) => {
            // The path is said already.
            let (error, path) = (error.to_string(), place.path.display().to_string());
            return vec![error.strip_prefix(&path).unwrap_or(&error).trim_start_matches([':', ' ']).to_owned()];
        }
    };
    let mut problems = Vec::new();
    let names = [Some(&place.suite), Some(&place.hardware), place.release.as_ref()];
    for name in names.into_iter().flatten().filter(|name| !is_plain_name(name)) {
        problems.push(format!("{name:?} is not a plain name: use letters, digits, `-`, `_` and `.`"));
    }
    if results.suite != place.suite {
        problems.push(format!("it holds the suite `{}`, not `{}`", results.suite, place.suite));
    }
    match hardware(&results) {
        Ok(hardware) if hardware == place.hardware => {}
        Ok(hardware) => problems.push(format!("it was measured on {hardware}")),
        Err(error) => problems.push(error.to_string()),
    }
    for session in results.sessions.iter().filter(|session| session.finished.is_none()) {
        problems.push(format!("the session `{}` was cut off", session.id));
    }
    problems
}
