//! A commit's files, to build them.

#![expect(clippy::disallowed_methods, reason = "git wants loose files, in a folder that only we know")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fetch::Remote;
use super::git_error::GitError;
use super::names::has_user;
use super::stdout::stdout_of;
use super::view::{View, quoted};
use crate::child::{Environment, Launch};
use crate::error::{Error, Result};

/// A fresh work tree of `commit`; what an interrupted build left there goes.
///
/// It is a repository of its own that borrows the clone's objects, with the clone's names and the address of its origin,
/// so that a build can ask git what it is building. The clone's settings are left behind: files come as they were
/// committed (those in Git LFS as pointers), and no hook runs.
pub fn work_tree(repository: &Path, commit: &str, directory: &Path) -> Result<()> {
    let failed = |why: GitError| Error::usage(format!("can't check out {commit}")).because(why);
    let view = View::of(repository).map_err(failed)?;
    // Elsewhere first: a directory of that name is complete.
    let new = directory.with_extension("new");
    let made = || {
        for old in [&new, &directory.to_owned()] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        fs::create_dir_all(&new)?;
        new.canonicalize()
    };
    let new = made().map_err(GitError::at(directory)).map_err(failed)?;
    fill(&view, repository, commit, &new).map_err(|why| match why {
        GitError::Refused(_) => failed(why).hint("check out without a filter: a partial clone may lack files"),
        other => failed(other),
    })?;
    fs::rename(&new, directory).map_err(GitError::at(directory)).map_err(failed)
}

fn fill(view: &View, repository: &Path, commit: &str, directory: &Path) -> Result<(), GitError> {
    let names = stdout_of(&view.git(&["for-each-ref", "--format=%(objectname) %(refname)"]))?;
    let origin = Remote::origin(repository).map(|origin| origin.url).ok().filter(|url| !has_user(url));
    let git_dir = lay_out(view, commit, &names, origin, directory).map_err(GitError::at(directory))?;
    let git = Launch::of("git", Environment::git()).with("GIT_DIR", git_dir).with("GIT_WORK_TREE", directory);
    stdout_of(&git.in_directory(directory).args(["reset", "--quiet", "--hard", commit])).map(drop)
}

/// Writes the git directory.
fn lay_out(view: &View, commit: &str, names: &str, origin: Option<String>, directory: &Path) -> io::Result<PathBuf> {
    let git_dir = directory.join(".git");
    for part in ["objects/info", "objects/pack", "refs/heads"] {
        fs::create_dir_all(git_dir.join(part))?;
    }
    let objects = view.place.common.join("objects").canonicalize()?;
    fs::write(git_dir.join("objects/info/alternates"), format!("{}\n", objects.display()))?;
    fs::write(git_dir.join("HEAD"), format!("{commit}\n"))?;
    let lines: String = names.lines().map(|name| format!("{name}\n")).collect();
    fs::write(git_dir.join("packed-refs"), lines)?;
    if view.is_shallow() {
        fs::copy(view.path().join("shallow"), git_dir.join("shallow"))?;
    }
    let mut settings = view.place.settings(false);
    if let Some(url) = origin {
        settings +=
            &format!("[remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", quoted(&url));
    }
    fs::write(git_dir.join("config"), settings)?;
    Ok(git_dir)
}
