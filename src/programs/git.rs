//! What is asked of git.

use std::path::Path;
use std::process::Command;

use super::process::clean;
use crate::error::{Error, Result};

/// Where HEAD and `commit` parted. With a shallow clone that can't always be told.
pub fn merge_base(repository: &Path, commit: &str) -> std::result::Result<String, String> {
    git(repository, &["merge-base", "HEAD", commit]).map_err(|why| match why.is_empty() {
        true => "they have nothing in common".into(),
        false => why,
    })
}

/// The commit of a checkout, with `-dirty` when it has changes.
pub fn head_commit(repository: &Path) -> Result<String> {
    let ask = |args: &[&str]| git(repository, args).map_err(|why| Error::usage(format!("git: {why}")));
    let commit = ask(&["rev-parse", "HEAD"])?;
    let clean = ask(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if clean { commit } else { format!("{commit}-dirty") })
}

/// Is the directory a checkout, not only a part of one?
pub fn is_root(directory: &Path) -> bool {
    let top =
        git(directory, &["rev-parse", "--show-toplevel"]).ok().and_then(|top| Path::new(&top).canonicalize().ok());
    top.is_some() && top == directory.canonicalize().ok()
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

/// A password for one server.
pub struct Credential<'a> {
    /// `https://HOST`: git gives the password to nobody else.
    pub server: &'a str,
    pub password: &'a str,
}

/// Fetches `rev` of `url` into the bare repository `into`, which is made where there is none; its commit.
///
/// The address and the name must have been checked: see [`is_revision`].
pub fn fetch(url: &str, rev: &str, into: &Path, credential: Option<Credential>) -> Result<String> {
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
    let mut command = quiet(into);
    if let Some(credential) = &credential {
        credential.lend_to(&mut command);
    }
    said(command.args(["fetch", "--quiet", "--no-tags", "--depth=1", "--", url, rev])).map_err(failed)?;
    commit(into, "FETCH_HEAD").map_err(failed)
}

impl Credential<'_> {
    /// Through a variable of this one command: arguments can be read by everybody on the machine. Other helpers, which
    /// would be told the password to keep it, are left out.
    fn lend_to(&self, command: &mut Command) {
        const HELPER: &str = "!f() { test \"$1\" = get && printf 'username=x-access-token\\npassword=%s\\n' \"$BENCH_DIFF_PASSWORD\"; }; f";
        command.args(["-c", "credential.helper=", "-c", &format!("credential.{}.helper={HELPER}", self.server)]);
        command.env("BENCH_DIFF_PASSWORD", self.password);
    }
}

/// Fetches a commit or branch from a remote or a path; a shallow clone stays one.
pub fn fetch_from(repository: &Path, remote: &str, name: &str) -> std::result::Result<String, String> {
    let depth: &[&str] = if is_shallow(repository) { &["--depth=1"] } else { &["--update-shallow"] };
    git(repository, &[&["fetch", "--quiet", "--no-tags"], depth, &["--", remote, name]].concat())?;
    commit(repository, "FETCH_HEAD")
}

/// More history for a shallow clone: most branches began less than so many commits ago.
pub fn deepen(repository: &Path) -> std::result::Result<(), String> {
    if !is_shallow(repository) {
        return Err("the clone is complete".into());
    }
    git(repository, &["fetch", "--quiet", "--no-tags", "--deepen=500", "--", "origin"]).map(drop)
}

fn is_shallow(repository: &Path) -> bool {
    git(repository, &["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| answer == "true")
}

/// One name of a branch, tag or commit: neither an option nor a pair of names, which would be fetched into a branch.
pub fn is_revision(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+' | '#' | '@');
    !name.is_empty() && !name.starts_with(['-', '+', '/']) && !name.contains("..") && name.chars().all(good)
}

/// The commit that `revision` names; it must be in the repository.
pub fn commit(repository: &Path, revision: &str) -> std::result::Result<String, String> {
    let name = format!("{revision}^{{commit}}");
    git(repository, &["rev-parse", "--quiet", "--verify", "--end-of-options", &name])
}

/// What git says, without the line break at its end; or the last line of its complaint.
pub fn git(repository: &Path, args: &[&str]) -> std::result::Result<String, String> {
    said(quiet(repository).args(args))
}

fn quiet(repository: &Path) -> Command {
    let mut command = clean("git");
    command.arg("-C").arg(repository);
    // Whatever an address or a server's redirect says; and nobody is there to be asked for a password.
    command.env("GIT_ALLOW_PROTOCOL", "https:ssh:file").env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn said(command: &mut Command) -> std::result::Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.trim().lines().last().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Stdio;

    use super::*;

    /// Asked as git asks its helpers.
    fn password_for(host: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let mut command = quiet(directory.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_ASKPASS", "false").env("SSH_ASKPASS", "false");
        Credential { server: "https://github.test", password: "s3cret" }.lend_to(&mut command);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        assert!(!arguments.concat().contains("s3cret"), "everybody can read arguments");
        let mut child = command
            .args(["credential", "fill"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        write!(child.stdin.take().unwrap(), "protocol=https\nhost={host}\n\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("password=")).map(str::to_owned)
    }

    #[test]
    fn the_password_is_for_one_server() {
        assert_eq!(password_for("github.test").as_deref(), Some("s3cret"));
        assert_eq!(password_for("github.test.evil.example"), None);
    }

    #[test]
    fn only_names_of_revisions_pass() {
        for good in ["main", "v0.11.1", "feature/faster", "0123abc", "refs/pull/7/head"] {
            assert!(is_revision(good), "{good}");
        }
        for bad in ["", "-x", "+main", "main:main", "a..b", "HEAD~1", "a b", "a\nb", "main^{/x}"] {
            assert!(!is_revision(bad), "{bad}");
        }
    }
}
