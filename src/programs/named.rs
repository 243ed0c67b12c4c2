//! What a person calls a side of a comparison: a program, a checkout, or a revision.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Build, Candle, CheckoutBuild, Origin, OwnEngines, Program, Source};
use crate::error::{Error, Result};
use crate::files;
use crate::git;
use crate::measure::Worker;

/// The working tree, as it is. `.` is the same.
const WORKTREE: &str = "WORKTREE";

/// bench-diff's own build, where nobody names another.
const OWN_COMMAND: &str = if cfg!(feature = "cuda") {
    "cargo build --release --bin bench-diff --target-dir target --features cuda"
} else {
    "cargo build --release --bin bench-diff --target-dir target"
};
const OWN_PRODUCT: &str = "target/release/bench-diff";

/// How checkouts and revisions become programs.
#[derive(Debug)]
pub struct Workshop {
    /// Whose revisions are meant.
    pub repository: Repository,
    /// What builds a checkout, and the program that it leaves there; known for candle and bench-diff.
    pub build: Option<(String, PathBuf)>,
    /// Engines of the suite that are of this repository: without such a command, what its checkouts and revisions are.
    pub engines: Option<OwnEngines>,
    /// bench-diff's own source, to build against candle.
    pub source: Source,
    /// Variables of ours that builds get, beside those that they always get.
    pub env: Vec<String>,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// Whose revisions are meant.
#[derive(Debug)]
pub enum Repository {
    /// Those of the clone that this directory is in.
    Clone(PathBuf),
    /// Those of candle, in a clone of it.
    CandleClone(PathBuf),
    /// Those of candle, at an address.
    CandleAt(String),
}

/// What a name turned out to be.
enum Meant {
    Program(PathBuf),
    Directory(PathBuf),
    /// The full name of a commit.
    Commit(String),
    /// Of a repository that isn't on this machine.
    Remote {
        url: String,
        rev: String,
    },
}

impl Workshop {
    /// The program that a person means by `name`. Nothing is built yet.
    pub fn program(&self, name: &str) -> Result<Program> {
        match self.meaning(name)? {
            Meant::Program(path) => executable(path).map(|path| Program::Built(Worker::at(path))),
            Meant::Directory(path) => self.of_directory(path),
            Meant::Commit(commit) => self.of_commit(commit),
            Meant::Remote { url, rev } => Ok(self.against(Origin::Git { url, rev })),
        }
    }

    fn meaning(&self, name: &str) -> Result<Meant> {
        if [WORKTREE, "."].contains(&name) {
            return self.directory().map(Meant::Directory);
        }
        let path = Path::new(name);
        let says_path = name.starts_with('/') || [".", ".."].iter().any(|dots| says(name, dots));
        let revision = if says_path { None } else { self.revision(name) };
        match (path.exists(), revision) {
            (true, Some(Meant::Commit(commit))) => Err(Error::usage(format!("`{name}` is both a path and a revision"))
                .hint(format!("say ./{name} for the path, or {commit} for the revision"))),
            (true, _) if path.is_dir() => Ok(Meant::Directory(path.to_owned())),
            (true, _) => Ok(Meant::Program(path.to_owned())),
            (false, Some(revision)) => Ok(revision),
            (false, None) if says_path => Err(Error::usage(format!("there is no {name}"))),
            (false, None) => Err(Error::usage(format!(
                "`{name}` is neither a file, a directory nor a revision of {}",
                self.repository.place()
            ))
            .hint("give a program, a checkout, or a branch, tag or commit; `git fetch` brings what a clone lacks")),
        }
    }

    fn revision(&self, name: &str) -> Option<Meant> {
        match &self.repository {
            Repository::Clone(clone) | Repository::CandleClone(clone) => {
                git::commit(clone, name).ok().map(Meant::Commit)
            }
            Repository::CandleAt(url) => {
                git::is_revision(name).then(|| Meant::Remote { url: url.clone(), rev: name.to_owned() })
            }
        }
    }

    /// The working tree.
    fn directory(&self) -> Result<PathBuf> {
        match &self.repository {
            Repository::Clone(path) | Repository::CandleClone(path) => Ok(path.clone()),
            Repository::CandleAt(url) => {
                Err(Error::usage(format!("{url} has no working tree here")).hint("give a checkout's directory"))
            }
        }
    }

    fn of_directory(&self, directory: PathBuf) -> Result<Program> {
        // A directory within a checkout stands for it, unless it is one of these, copied there.
        let is_known = is_candle(&directory) || is_bench_diff(&directory);
        let root = if is_known { directory } else { git::top(&directory).unwrap_or(directory) };
        if let Some(engines) = self.engines(&root) {
            return Ok(engines.in_checkout(root));
        }
        if self.build.is_none() && is_candle(&root) {
            return Ok(self.against(Origin::Checkout(root)));
        }
        let (command, product) = self.recipe(&root)?;
        Ok(Program::Checkout(CheckoutBuild { directory: root, command, product, env: self.env.clone() }))
    }

    fn of_commit(&self, commit: String) -> Result<Program> {
        let (Repository::Clone(clone) | Repository::CandleClone(clone)) = &self.repository else {
            return Err(Error::usage(format!("there is no commit {commit} on this machine")));
        };
        let root = git::top(clone).unwrap_or_else(|_| clone.clone());
        if let Some(engines) = self.engines(&root) {
            return engines.at_commit(&root, &commit).map_err(Error::usage);
        }
        let of_candle = matches!(self.repository, Repository::CandleClone(_));
        if of_candle || (self.build.is_none() && is_candle(&root)) {
            return Ok(self.against(Origin::Commit { repository: root, commit }));
        }
        let (command, product) = self.recipe(&root)?;
        let (env, cache) = (self.env.clone(), self.cache.clone());
        Ok(Program::Commit(Build { repository: root, commit, command, env, product, cache }))
    }

    /// Where bench-diff can be built from, engines count only if the suite has nothing else.
    fn engines(&self, root: &Path) -> Option<&OwnEngines> {
        let is_here = self.build.is_none() && matches!(self.repository, Repository::Clone(_));
        let builds_bench_diff = is_candle(root) || is_bench_diff(root);
        self.engines.as_ref().filter(|engines| is_here && (engines.are_all() || !builds_bench_diff))
    }

    fn recipe(&self, root: &Path) -> Result<(String, PathBuf)> {
        if let Some(build) = &self.build {
            return Ok(build.clone());
        }
        if is_bench_diff(root) {
            return Ok((OWN_COMMAND.to_owned(), OWN_PRODUCT.into()));
        }
        let place = root.display();
        Err(Error::usage(format!(
            "nothing says how to build {place}: it is a checkout neither of candle nor of bench-diff"
        ))
        .hint("give --build-command and --product, or two programs that are built already"))
    }

    fn against(&self, origin: Origin) -> Program {
        let Self { source, env, cache, .. } = self;
        Program::Candle(Candle { origin, source: source.clone(), env: env.clone(), cache: cache.clone() })
    }
}

impl Repository {
    fn place(&self) -> String {
        match self {
            Self::Clone(path) if path == Path::new(".") => "this repository".to_owned(),
            Self::Clone(path) | Self::CandleClone(path) => path.display().to_string(),
            Self::CandleAt(url) => url.clone(),
        }
    }
}

/// `.`, or what begins with `./`.
fn says(name: &str, dots: &str) -> bool {
    name.strip_prefix(dots).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub fn is_candle(root: &Path) -> bool {
    root.join("candle-core/Cargo.toml").is_file()
}

/// No manifest is longer.
const MOST_OF_MANIFEST: u64 = 1 << 20;

fn is_bench_diff(root: &Path) -> bool {
    let manifest = files::text_at_most(&root.join("Cargo.toml"), MOST_OF_MANIFEST).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == "name = \"bench-diff\"")
}

fn executable(path: PathBuf) -> Result<PathBuf> {
    let can_run = path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    if can_run {
        return Ok(path);
    }
    let name = path.display();
    Err(Error::usage(format!("{name} is not a program: it can't be executed"))
        .hint("`bench-diff compare` compares two files of results"))
}
