//! What head and base are: programs that are there, or builds of a commit.
//!
//! A build lies in a work tree of its own under the cache directory, named by its commit: it is made once, and only when
//! it is measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::measure::Worker;

/// A program to measure.
#[derive(Debug, Clone)]
pub enum Program {
    /// There already.
    Built(Worker),
    /// Built from a commit of a repository, by a command.
    Commit(Build),
    /// bench-diff, built against a checkout of candle.
    Candle(Candle),
}

impl Program {
    /// The program to start; builds it first where that must be.
    pub fn worker(&self) -> Result<Worker> {
        match self {
            Self::Built(worker) => Ok(worker.clone()),
            Self::Commit(build) => build.worker(),
            Self::Candle(candle) => candle.worker(),
        }
    }
}

/// How a commit becomes a program.
#[derive(Debug, Clone)]
pub struct Build {
    pub repository: PathBuf,
    pub commit: String,
    /// Run by bash at the root of the commit's work tree.
    pub command: String,
    /// The program, relative to that root.
    pub product: PathBuf,
    /// Where builds are kept.
    pub cache: PathBuf,
}

impl Build {
    fn worker(&self) -> Result<Worker> {
        let directory = self.cache.join(format!("{}-{}", self.commit, short_hash(&self.command)));
        let program = directory.join(&self.product);
        if !program.is_file() {
            work_tree(&self.repository, &self.commit, &directory)?;
            tracing::info!("building {} with `{}`", self.commit, self.command);
            run(clean("bash").args(["-euo", "pipefail", "-c", &self.command]).current_dir(&directory))
                .map_err(|why| Error::measurement(format!("can't build the base {}: {why}", self.commit)))?;
        }
        if !program.is_file() {
            return Err(Error::usage(format!("the build command made no {}", self.product.display())));
        }
        Ok(Worker::at(program))
    }
}

/// bench-diff against candle as some checkout has it.
#[derive(Debug, Clone)]
pub struct Candle {
    /// The checkout of candle.
    pub checkout: PathBuf,
    /// The commit to build against; the checkout as it is when absent.
    pub commit: Option<String>,
    /// bench-diff's own source.
    pub source: PathBuf,
    pub cache: PathBuf,
}

/// The crates of candle that bench-diff uses.
const CANDLE_CRATES: [&str; 3] = ["candle-core", "candle-nn", "candle-transformers"];

impl Candle {
    fn worker(&self) -> Result<Worker> {
        let wrong =
            |why: String| Error::usage(format!("can't build against candle in {}: {why}", self.checkout.display()));
        let checkout = self.checkout.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let (candle, commit) = match &self.commit {
            Some(commit) => {
                let directory = self.cache.join(format!("candle-{commit}"));
                if !directory.is_dir() {
                    work_tree(&checkout, commit, &directory)?;
                }
                (directory.canonicalize().map_err(|error| wrong(error.to_string()))?, commit.clone())
            }
            None => (checkout.clone(), head_commit(&checkout)?),
        };
        let name = format!("bench-diff-candle-{commit}");
        let program = self.cache.join(&name);
        // A checkout with changes is built again each time: cargo knows what is up to date.
        if self.commit.is_none() || !program.is_file() {
            self.build(&candle, &commit, &program).map_err(wrong)?;
        }
        Ok(Worker::at(program))
    }

    fn build(&self, candle: &Path, commit: &str, program: &Path) -> std::result::Result<(), String> {
        // Patching changes Cargo.lock: that of the copy.
        let copy = self.cache.join("source");
        let target = self.cache.join("target");
        copy_source(&self.source, &copy)?;
        let mut cargo = clean("cargo");
        cargo.args(["build", "--release", "--bin", "bench-diff", "--manifest-path"]).arg(copy.join("Cargo.toml"));
        cargo.arg("--target-dir").arg(&target);
        if cfg!(feature = "cuda") {
            cargo.args(["--features", "cuda"]);
        }
        for name in CANDLE_CRATES {
            let path = candle.join(name);
            if !path.is_dir() {
                return Err(format!("it has no {name}"));
            }
            // A JSON string is a TOML string as well.
            let path = serde_json::Value::String(path.display().to_string());
            cargo.args(["--config", &format!("patch.crates-io.{name}.path={path}")]);
        }
        let log = run(cargo.env("BENCH_DIFF_CANDLE_COMMIT", commit))?;
        // Cargo only warns when a patch's version doesn't fit, and takes the released candle.
        if log.contains("was not used in the crate graph") {
            return Err("its version doesn't fit the one that bench-diff needs, so it would not be measured".into());
        }
        std::fs::copy(target.join("release/bench-diff"), program).map(drop).map_err(|error| error.to_string())
    }
}

/// Everything but what is built or kept there.
fn copy_source(source: &Path, copy: &Path) -> std::result::Result<(), String> {
    std::fs::create_dir_all(copy).map_err(|error| error.to_string())?;
    let entries = std::fs::read_dir(source).map_err(|error| format!("{}: {error}", source.display()))?;
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        if !["target", ".git", ".bench-diff", "bench-results"].iter().any(|skipped| name == *skipped) {
            // The times of unchanged files stay as they are: cargo builds only what is new.
            run(clean("cp").args(["-R", "--preserve=timestamps", "--"]).arg(source.join(&name)).arg(copy))?;
        }
    }
    Ok(())
}

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
fn head_commit(repository: &Path) -> Result<String> {
    let ask = |args: &[&str]| git(repository, args).map_err(|why| Error::usage(format!("git: {why}")));
    let commit = ask(&["rev-parse", "HEAD"])?;
    let clean = ask(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if clean { commit } else { format!("{commit}-dirty") })
}

/// A fresh work tree of `commit`; what an interrupted build left there goes.
fn work_tree(repository: &Path, commit: &str, directory: &Path) -> Result<()> {
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

fn git(repository: &Path, args: &[&str]) -> std::result::Result<String, String> {
    let output = clean("git").arg("-C").arg(repository).args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.trim().lines().last().unwrap_or("git failed").to_owned())
}

/// A command without our secrets: what is built here is a pull request's code.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if ["TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY"].iter().any(|word| upper.contains(word)) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs to the end; what it wrote to standard error, or the last line of it as the reason.
fn run(command: &mut Command) -> std::result::Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(words);
    }
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("{} ({last})", output.status))
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
