//! Fetching, with a credential for one server or with the user's own.

use std::path::Path;

use super::git_error::GitError;
use super::names::{is_address, is_commit};
use super::stdout::stdout_of;
use super::view::View;
use crate::child::{Environment, Launch};
use crate::error::{Error, Result};

/// Where commits are fetched from.
#[derive(Debug)]
pub struct Remote<'a> {
    /// `https://`, `ssh://` or a path.
    pub url: String,
    /// Absent where git finds its own way.
    pub credential: Option<Credential<'a>>,
}

/// A password for one server.
pub struct Credential<'a> {
    /// `https://HOST`: git gives the password to nobody else.
    pub server: &'a str,
    pub password: &'a str,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, ***)", self.server)
    }
}

impl Remote<'_> {
    /// Any repository, with the user's own credentials.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), credential: None }
    }

    /// Where the clone came from. Only the address is used; its other settings aren't trusted.
    pub fn origin(repository: &Path) -> Result<Self, GitError> {
        let view = View::of(repository)?;
        let config = view.place.common.join("config").display().to_string();
        let args = ["config", "--file", &config, "--no-includes", "--get", "remote.origin.url"];
        let url = stdout_of(&view.git(&args)).map_err(|_| GitError::NoOrigin)?;
        if is_address(&url) {
            // A relative path starts at the clone.
            let url = if url.starts_with('.') { view.place.top.join(&url).display().to_string() } else { url };
            return Ok(Self::at(url));
        }
        Err(GitError::NoAddress)
    }

    /// Git, which asks this server with this password or the user's own.
    fn git(&self, view: &View) -> Launch {
        match &self.credential {
            Some(credential) => credential.lend_to(view.git_in(Environment::fetching())),
            None => view.git_in(Environment::fetching_as_user()),
        }
    }
}

impl Credential<'_> {
    /// Through a variable of this one command, because everybody on the machine can read arguments. Other helpers are left
    /// out: git would give them the password to keep.
    pub(super) fn lend_to(&self, git: Launch) -> Launch {
        const HELPER: &str = "!f() { test \"$1\" = get && printf 'username=x-access-token\\npassword=%s\\n' \"$BENCH_DIFF_PASSWORD\"; }; f";
        let git = git.args(["-c", "credential.helper=", "-c", &format!("credential.{}.helper={HELPER}", self.server)]);
        git.with("BENCH_DIFF_PASSWORD", self.password)
    }
}

/// Fetches a branch or commit into the repository; its commit. A shallow clone stays one.
///
/// The address and the name must have been checked.
pub fn fetch(repository: &Path, remote: &Remote, name: &str) -> Result<String, GitError> {
    let view = View::of(repository)?;
    let depth = if view.is_shallow() { "--depth=1" } else { "--update-shallow" };
    fetch_into(&view, remote, &[depth, "--", "origin", name])?;
    view.commit("FETCH_HEAD")
}

/// Fetches only that commit of a branch or commit into the bare repository, which is made where there is none.
pub fn fetch_one(repository: &Path, remote: &Remote, name: &str) -> Result<String> {
    let failed = |why: GitError| Error::usage(format!("can't fetch {name} of {}", remote.url)).because(why);
    if !repository.join("HEAD").is_file() {
        make_bare(repository).map_err(failed)?;
    }
    let view = View::of(repository).map_err(failed)?;
    // What has been fetched once needs no network.
    if is_commit(name)
        && let Ok(commit) = view.commit(name)
    {
        return Ok(commit);
    }
    fetch_into(&view, remote, &["--depth=1", "--", "origin", name]).map_err(failed)?;
    view.commit("FETCH_HEAD").map_err(failed)
}

/// More history for a shallow clone: most branches began less than so many commits ago.
pub fn deepen(repository: &Path, remote: &Remote) -> Result<(), GitError> {
    let view = View::of(repository)?;
    if !view.is_shallow() {
        return Err(GitError::Complete);
    }
    fetch_into(&view, remote, &["--deepen=500", "--", "origin"])
}

fn fetch_into(view: &View, remote: &Remote, args: &[&str]) -> Result<(), GitError> {
    view.know_remote(&remote.url).map_err(GitError::at(view.path()))?;
    let git = remote.git(view).args(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]);
    stdout_of(&git.args(args))?;
    view.keep_shallow().map_err(GitError::at(&view.place.common))
}

fn make_bare(repository: &Path) -> Result<(), GitError> {
    std::fs::create_dir_all(repository).map_err(GitError::at(repository))?;
    let git = Launch::of("git", Environment::git()).in_directory(repository);
    stdout_of(&git.args(["init", "--quiet", "--bare", "--template=", "."])).map(drop)
}
