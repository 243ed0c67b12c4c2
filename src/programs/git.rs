//! What is asked of git.

use std::path::Path;

use super::process::clean;
use crate::error::{Error, Result};

/// Where `head` and `reference` parted. With a shallow clone that can't be told.
pub fn merge_base(repository: &Path, reference: &str) -> Result<String> {
    if reference.starts_with('-') {
        return Err(Error::usage(format!("`{reference}` is not a commit")));
    }
    git(repository, &["merge-base", "HEAD", reference]).map_err(|why| {
        Error::usage(format!(
            "can't find the merge base of HEAD and {reference} in {}: {why}; check out with `fetch-depth: 0`",
            repository.display()
        ))
    })
}

/// The commit of a checkout, with `-dirty` when it has changes.
pub fn head_commit(repository: &Path) -> Result<String> {
    let ask = |args: &[&str]| git(repository, args).map_err(|why| Error::usage(format!("git: {why}")));
    let commit = ask(&["rev-parse", "HEAD"])?;
    let clean = ask(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if clean { commit } else { format!("{commit}-dirty") })
}

/// A fresh work tree of `commit`; what an interrupted build left there goes.
pub fn work_tree(repository: &Path, commit: &str, directory: &Path) -> Result<()> {
    let failed = |why: String| Error::usage(format!("can't check out {commit}: {why}"));
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(|error| failed(error.to_string()))?;
    }
    let parent = directory.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
    let directory = std::path::absolute(directory).map_err(|error| failed(error.to_string()))?;
    let arguments = ["worktree", "add", "--force", "--detach", &directory.display().to_string(), commit];
    git(repository, &arguments).map(drop).map_err(failed)
}

/// Fetches `rev` of `url` into the bare repository `into`, which is made where there is none; its commit.
///
/// The address and the name come from a configuration, which has checked them.
pub fn fetch(url: &str, rev: &str, into: &Path) -> Result<String> {
    let failed = |why: String| Error::usage(format!("can't fetch {rev} of {url}: {why}"));
    if !into.join("HEAD").is_file() {
        std::fs::create_dir_all(into).map_err(|error| failed(error.to_string()))?;
        git(into, &["init", "--quiet", "--bare"]).map_err(failed)?;
    }
    let is_commit = matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
    // What has been fetched once needs no network.
    if is_commit && let Ok(commit) = commit(into, rev) {
        return Ok(commit);
    }
    git(into, &["fetch", "--quiet", "--no-tags", "--depth=1", "--", url, rev]).map_err(failed)?;
    commit(into, "FETCH_HEAD").map_err(failed)
}

/// The commit that `revision` names; it must be in the repository.
pub fn commit(repository: &Path, revision: &str) -> std::result::Result<String, String> {
    let name = format!("{revision}^{{commit}}");
    git(repository, &["rev-parse", "--quiet", "--verify", "--end-of-options", &name])
}

/// What git says, without the line break at its end; or the last line of its complaint.
pub fn git(repository: &Path, args: &[&str]) -> std::result::Result<String, String> {
    let mut command = clean("git");
    command.arg("-C").arg(repository).args(args);
    // Whatever an address or a server's redirect says; and nobody is there to be asked for a password.
    command.env("GIT_ALLOW_PROTOCOL", "https:ssh:file").env("GIT_TERMINAL_PROMPT", "0");
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.trim().lines().last().unwrap_or("git failed").to_owned())
}
