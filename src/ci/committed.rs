//! The baselines of the commit that a pull request goes into: a pull request must not bring the baselines it is compared
//! with.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;
use crate::git;

/// A directory has two files for each suite and hardware, and a few for its releases.
const MAX_FILES: usize = 10_000;

/// Writes the files under `directory` as `commit` has them to `to`. `None` when the commit has none, or isn't in this
/// clone.
pub fn baselines_of(commit: &str, directory: &Path, to: &Path) -> Result<Option<PathBuf>> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Ok(names) = git::files(parent, commit, name) else { return Ok(None) };
    let names: Vec<&String> = names.iter().filter(|name| is_baseline(name)).take(MAX_FILES).collect();
    for name in &names {
        copy(commit, parent, name, to)
            .map_err(|error| Error::usage(format!("can't take the baselines of {commit}")).because_of(error))?;
    }
    Ok((!names.is_empty()).then(|| to.join(name)))
}

fn copy(commit: &str, parent: &Path, name: &str, to: &Path) -> Result<()> {
    // What is listed but lacks would be taken for a baseline that nobody has committed.
    let content = git::file(parent, commit, name).map_err(|why| {
        Error::usage(name).because(why).hint("check out without a filter, so that the clone has them")
    })?;
    let path = to.join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(to)).map_err(|error| Error::writing(&path, error))?;
    files::write(&path, |out| out.write_all(&content))
}

/// A tree may hold any name, also one that leads out of the directory.
fn is_baseline(name: &str) -> bool {
    name.ends_with(".json") && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
