//! A git directory of our own whose objects and names are a clone's.
//!
//! Git runs what a repository's settings tell it to: filters, hooks, `core.fsmonitor`, a remote's `uploadpack`,
//! `core.sshCommand`, credential helpers, and more with every version. A clone in which a pull request's code has run may
//! hold any of them, and they can't be listed: a filter has any name. So git never gets to see a clone's settings: it is
//! given a directory that was made for one question, whose `config` is ours and whose `objects` and `refs` are links to
//! the clone's. What git writes there (hardly anything but fetched objects) arrives in the clone; what it runs, doesn't
//! come from it.
//!
//! Linked work trees, submodules, bare, shallow and SHA-256 repositories work as they are. Of a partial clone, only what
//! is there can be read.

#![expect(clippy::disallowed_methods, reason = "git wants loose files, in folders that only we know")]

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::stdout::stdout_of;
use crate::child::{Environment, Launch};
use crate::files::{self, Scratch};

/// Where the parts of a clone are.
#[derive(Debug)]
pub struct Place {
    /// The root of the work tree, or the bare repository.
    pub top: PathBuf,
    /// Of this work tree: its HEAD and index.
    pub git_dir: PathBuf,
    /// Of all work trees: objects, names, settings.
    pub common: PathBuf,
    /// From the root to the directory that was asked about: empty, or with a `/` at the end.
    pub prefix: String,
}

/// One question's git directory.
#[derive(Debug)]
pub struct View {
    /// The repository that it looks at.
    pub place: Place,
    directory: Scratch,
}

impl Place {
    /// The clone that the directory is in.
    pub fn of(directory: &Path) -> Result<Self, GitError> {
        let asked = directory.canonicalize().map_err(GitError::at(directory))?;
        for top in asked.ancestors() {
            let Some(git_dir) = git_dir(top) else { continue };
            let inside = asked.strip_prefix(top).unwrap_or(Path::new(""));
            let prefix = inside.to_str().ok_or_else(|| GitError::NotUtf8(asked.clone()))?;
            let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
            let common = common(&git_dir).map_err(GitError::at(&git_dir))?;
            return Ok(Self { top: top.to_owned(), git_dir, common, prefix });
        }
        Err(GitError::NoRepository(directory.to_owned()))
    }

    /// Do the clone's settings have this line? Only for the few that say how to read its files.
    fn has_setting(&self, line: &str) -> bool {
        let text = regular(self.common.join("config")).and_then(fs::read_to_string).unwrap_or_default();
        let plain = |line: &str| line.replace([' ', '\t', '"'], "").to_ascii_lowercase();
        text.lines().any(|known| plain(known) == line)
    }

    /// The settings of a repository of ours that shares objects with this one.
    pub fn settings(&self, bare: bool) -> String {
        let mut text = format!("[core]\n\trepositoryformatversion = 1\n\tbare = {bare}\n");
        // Without the clone's index of its commits: it could name other parents than the commits do.
        text += "\thooksPath = /dev/null\n\tfsmonitor = false\n\tcommitGraph = false\n\tmultiPackIndex = false\n";
        text += "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[fetch]\n\tshowForcedUpdates = false\n";
        text += "[extensions]\n";
        text += if self.has_setting("objectformat=sha256") { "\tobjectFormat = sha256\n" } else { "" };
        text += if bare && self.has_reftable() { "\trefStorage = reftable\n" } else { "" };
        text
    }

    fn has_reftable(&self) -> bool {
        self.common.join("reftable").is_dir()
    }
}

/// A file that names a directory isn't longer.
const MOST_OF_PATH: u64 = 1 << 20;

/// The git directory of a work tree's root, or of a bare repository.
fn git_dir(top: &Path) -> Option<PathBuf> {
    let inside = top.join(".git");
    if inside.is_dir() {
        return Some(inside);
    }
    if let Ok(text) = files::text_at_most(&inside, MOST_OF_PATH) {
        return Some(top.join(text.strip_prefix("gitdir:")?.trim()));
    }
    let bare = top.join("HEAD").is_file() && top.join("objects").is_dir() && top.join("refs").is_dir();
    bare.then(|| top.to_owned())
}

/// A linked work tree's directory names the one that all share.
fn common(git_dir: &Path) -> io::Result<PathBuf> {
    match files::text_at_most(&git_dir.join("commondir"), MOST_OF_PATH) {
        Ok(text) => git_dir.join(text.trim()).canonicalize(),
        Err(_) => git_dir.canonicalize(),
    }
}

/// The path of a regular file: reading a pipe in its place would never end.
fn regular(path: PathBuf) -> io::Result<PathBuf> {
    match fs::metadata(&path)?.is_file() {
        true => Ok(path),
        false => Err(io::Error::other(format!("{} is no file", path.display()))),
    }
}

impl View {
    /// Of the repository that `directory` is in.
    pub fn of(directory: &Path) -> Result<Self, GitError> {
        Self::make(Place::of(directory)?).map_err(GitError::at(directory))
    }

    fn make(place: Place) -> io::Result<Self> {
        let directory = Scratch::new()?;
        let here = directory.path();
        fs::copy(regular(place.git_dir.join("HEAD"))?, here.join("HEAD"))?;
        for name in ["objects", "refs", "packed-refs", "reftable"] {
            let there = place.common.join(name);
            if there.exists() {
                symlink(there, here.join(name))?;
            }
        }
        // Fetching changes it.
        if place.common.join("shallow").is_file() {
            fs::copy(place.common.join("shallow"), here.join("shallow"))?;
        }
        fs::write(here.join("config"), place.settings(true))?;
        Ok(Self { place, directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Git with a command that only reads.
    pub fn git(&self, args: &[&str]) -> Launch {
        self.git_in(Environment::git()).args(args)
    }

    /// The same with the clone's files at hand.
    pub fn git_in_work_tree(&self, args: &[&str]) -> Launch {
        let git = self.git(args).with("GIT_WORK_TREE", &self.place.top);
        git.with("GIT_INDEX_FILE", self.place.git_dir.join("index"))
    }

    /// Git with an environment of its own.
    pub fn git_in(&self, environment: Environment) -> Launch {
        Launch::of("git", environment).with("GIT_DIR", self.path()).in_directory(self.path())
    }

    /// The commit that `revision` names, if the repository has it.
    pub fn commit(&self, revision: &str) -> Result<String, GitError> {
        let name = format!("{revision}^{{commit}}");
        stdout_of(&self.git(&["rev-parse", "--quiet", "--verify", "--end-of-options", &name])).map_err(|error| {
            match error {
                // Git is quiet about it.
                GitError::Refused(why) if why.is_empty() => GitError::NoCommit(revision.to_owned()),
                other => other,
            }
        })
    }

    /// Does the clone lack history?
    pub fn is_shallow(&self) -> bool {
        self.path().join("shallow").is_file()
    }

    /// Names a remote, in a file: its address may hold a password, and everybody can read arguments.
    pub fn know_remote(&self, url: &str) -> io::Result<()> {
        let mut text = self.place.settings(true);
        let _ = writeln!(text, "[remote \"origin\"]\n\turl = {}", quoted(url));
        fs::write(self.path().join("config"), text)
    }

    /// Writes into the clone where its history ends now.
    pub fn keep_shallow(&self) -> io::Result<()> {
        let (ours, theirs) = (self.path().join("shallow"), self.place.common.join("shallow"));
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        let now = read(&ours);
        if now == read(&theirs) {
            return Ok(());
        }
        if now.is_empty() {
            return fs::remove_file(theirs);
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.place.common)?;
        io::Write::write_all(&mut file, &now)?;
        file.persist(theirs).map(drop).map_err(|error| error.error)
    }
}

/// As git's settings want it.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
