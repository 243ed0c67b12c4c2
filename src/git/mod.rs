//! Questions to git, and how a clone's commits are read without obeying its settings ([`view`]).

mod fetch;
mod git_error;
mod names;
mod stdout;
mod view;
mod work_tree;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use stdout::{output, stdout_of};
use view::{Place, View};

pub use fetch::{Credential, Remote, deepen, fetch, fetch_one};
pub use git_error::GitError;
pub use names::{has_user, is_address, is_commit, is_revision};
pub use work_tree::work_tree;

use crate::error::{Error, Result};
use crate::hex::hex;

/// The merge base of HEAD and `commit`. In a shallow clone it may be unknown.
pub fn merge_base(repository: &Path, commit: &str) -> Result<String, GitError> {
    merge_base_of(repository, "HEAD", commit)
}

/// The merge base of two commits.
pub fn merge_base_of(repository: &Path, one: &str, other: &str) -> Result<String, GitError> {
    stdout_of(&View::of(repository)?.git(&["merge-base", one, other])).map_err(|error| match error {
        GitError::Refused(why) if why.is_empty() => GitError::NothingInCommon,
        other => other,
    })
}

/// The commit that `revision` names; it must be in the repository.
pub fn commit(repository: &Path, revision: &str) -> Result<String, GitError> {
    View::of(repository)?.commit(revision)
}

/// The commit of a checkout, with `-dirty` when it has changes.
///
/// Files are compared as they are: a filter that the clone's settings name isn't run, and what has changed within a
/// submodule isn't looked for.
pub fn head_commit(repository: &Path) -> Result<String> {
    let ask = || {
        let view = View::of(repository)?;
        let commit = view.commit("HEAD")?;
        let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
        let clean = stdout_of(&view.git_in_work_tree(&status))?.is_empty();
        Ok(if clean { commit } else { format!("{commit}-dirty") })
    };
    let failed =
        |why: GitError| Error::usage(format!("can't tell the commit of {}", repository.display())).because(why);
    ask().map_err(failed)
}

/// Does the clone lack the beginning of its history?
pub fn is_shallow(repository: &Path) -> Result<bool, GitError> {
    View::of(repository).map(|view| view.is_shallow())
}

/// What tells the changes in a checkout from others, in files that git knows; `None` where there are none.
pub fn changes(repository: &Path) -> Result<Option<String>, GitError> {
    let view = View::of(repository)?;
    let diff = ["diff", "--binary", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "HEAD"];
    let diff = output(&view.git_in_work_tree(&diff))?;
    let hash = || hex(&Sha256::digest(&diff));
    Ok((!diff.is_empty()).then(hash))
}

/// Are both in one work tree?
pub fn same_repository(one: &Path, other: &Path) -> bool {
    let top = |directory| Place::of(directory).map(|place| place.top);
    matches!((top(one), top(other)), (Ok(one), Ok(other)) if one == other)
}

/// Is the directory a checkout, not only a part of one?
pub fn is_root(directory: &Path) -> bool {
    Place::of(directory).is_ok_and(|place| place.prefix.is_empty())
}

/// The root of the work tree that the directory is in, or the bare repository.
pub fn top(directory: &Path) -> Result<PathBuf, GitError> {
    Place::of(directory).map(|place| place.top)
}

/// The files under `directory/name` that a commit has, as paths from `directory`.
pub fn files(directory: &Path, commit: &str, name: &str) -> Result<Vec<String>, GitError> {
    let view = View::of(directory)?;
    let prefix = &view.place.prefix;
    let path = format!("{prefix}{name}");
    let listed = stdout_of(&view.git(&["ls-tree", "-r", "-z", "--name-only", commit, "--", &path]))?;
    let names =
        listed.split('\0').filter(|file| !file.is_empty()).filter_map(|file| file.strip_prefix(prefix.as_str()));
    Ok(names.map(str::to_owned).collect())
}

/// A file of `directory` as a commit has it.
pub fn file(directory: &Path, commit: &str, name: &str) -> Result<Vec<u8>, GitError> {
    let view = View::of(directory)?;
    let blob = format!("{commit}:{}{name}", view.place.prefix);
    output(&view.git(&["cat-file", "blob", &blob]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::{Environment, Launch};

    /// Asked as git asks its helpers.
    fn password_for(host: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let git = Launch::of("git", Environment::fetching()).in_directory(directory.path());
        let git = Credential { server: "https://github.test", password: "s3cret" }.lend_to(git);
        assert!(!format!("{:?}", git.arguments()).contains("s3cret"), "everybody can read arguments");
        let asked = format!("protocol=https\nhost={host}\n\n");
        let output = git.args(["credential", "fill"]).given(asked.into_bytes()).output().unwrap();
        let text = String::from_utf8(output.out).unwrap();
        text.lines().find_map(|line| line.strip_prefix("password=")).map(str::to_owned)
    }

    #[test]
    fn the_password_is_for_one_server() {
        assert_eq!(password_for("github.test").as_deref(), Some("s3cret"));
        assert_eq!(password_for("github.test.evil.example"), None);
    }
}
