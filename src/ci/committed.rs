//! The baselines of the commit that a pull request goes into: a pull request must not be its own judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;

/// A directory has two files for each suite and hardware, and a few for its releases.
const MAX_FILES: usize = 10_000;

/// Writes the files under `directory` as `commit` has them to `to`. `None` when the commit has none, or isn't in this
/// clone.
pub fn baselines_of(commit: &str, directory: &Path, to: &Path) -> std::io::Result<Option<PathBuf>> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Some(listed) = git(parent, &["ls-tree", "-r", "-z", "--name-only", commit, "--", name])? else {
        return Ok(None);
    };
    let names = String::from_utf8_lossy(&listed).into_owned();
    let names: Vec<&str> = names.split('\0').filter(|name| name.ends_with(".json")).take(MAX_FILES).collect();
    for name in &names {
        let Some(content) = git(parent, &["cat-file", "blob", &format!("{commit}:./{name}")])? else { continue };
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(to))?;
        files::write(&path, |out| out.write_all(&content)).map_err(std::io::Error::other)?;
    }
    Ok((!names.is_empty()).then(|| to.join(name)))
}

/// What git says; `None` when it fails.
fn git(directory: &Path, args: &[&str]) -> std::io::Result<Option<Vec<u8>>> {
    let output = Command::new("git").arg("-C").arg(directory).args(args).output();
    match output {
        Ok(output) => Ok(output.status.success().then_some(output.stdout)),
        // No git, no commits.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
