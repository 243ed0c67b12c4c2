//! bench-diff, built against another candle than the released one.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::building::{BuildError, run};
use crate::child::{Environment, Launch};
use crate::error::{Error, Result};
use crate::escape;
use crate::files::Output;
use crate::git::{self, Remote};
use crate::hex::hex;
use crate::measure::Worker;

/// bench-diff against candle as some commit or checkout has it.
#[derive(Debug, Clone)]
pub struct Candle {
    /// Which candle.
    pub origin: Origin,
    /// Which bench-diff.
    pub source: Source,
    /// Variables of ours that building gets, beside those that it always gets.
    pub env: Vec<String>,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// bench-diff's own source: both sides must be built from the same, so all clones know the state that was seen first.
#[derive(Debug, Clone)]
pub struct Source {
    directory: PathBuf,
    state: Arc<OnceLock<String>>,
}

/// Where candle comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A checkout as it is, local changes and all.
    Checkout(PathBuf),
    /// A commit of a repository on this machine.
    Commit {
        /// A clone, or a directory in one.
        repository: PathBuf,
        /// Its full name.
        commit: String,
    },
    /// A branch, tag or commit of a repository anywhere.
    Git {
        /// Its address.
        url: String,
        /// What to take of it.
        rev: String,
    },
}

/// Candle's sources on this machine.
struct Found {
    directory: PathBuf,
    /// With `-dirty` when the checkout has changes.
    commit: String,
    /// The commit says all about the sources.
    fixed: bool,
}

/// The crates of candle that bench-diff uses.
const CRATES: [&str; 3] = ["candle-core", "candle-nn", "candle-transformers"];

impl Candle {
    pub(super) fn worker(&self) -> Result<Worker> {
        let candle = self.find()?;
        // Two checkouts of one commit may have other changes.
        let which = if candle.fixed { String::new() } else { format!("-{}", short_hash(&candle.directory)) };
        let program = self.cache.join(format!("bench-diff-{}-candle-{}{which}", self.source.state()?, candle.commit));
        // A checkout with changes is built again each time: cargo knows what is up to date.
        if !candle.fixed || !program.is_file() {
            let place = candle.directory.display();
            self.build(&candle, &program)
                .map_err(|why| Error::usage(format!("can't build against candle in {place}")).because_of(why))?;
        }
        Ok(Worker::at(program))
    }

    fn find(&self) -> Result<Found> {
        match &self.origin {
            Origin::Checkout(path) => {
                let directory = canonical(path)?;
                let commit = git::head_commit(&directory)?;
                Ok(Found { directory, commit, fixed: false })
            }
            Origin::Commit { repository, commit } => self.checked_out(&canonical(repository)?, commit),
            Origin::Git { url, rev } => {
                let repository = self.cache.join("candle.git");
                let commit = git::fetch_one(&repository, &Remote::at(url), rev)?;
                self.checked_out(&repository, &commit)
            }
        }
    }

    /// The commit in a work tree of its own.
    fn checked_out(&self, repository: &Path, commit: &str) -> Result<Found> {
        let directory = self.cache.join(format!("candle-{commit}"));
        if !directory.is_dir() {
            git::work_tree(repository, commit, &directory)?;
        }
        Ok(Found { directory: canonical(&directory)?, commit: commit.to_owned(), fixed: true })
    }

    fn build(&self, candle: &Found, program: &Path) -> Result<(), BuildError> {
        // Patching changes Cargo.lock: that of the copy.
        let copy = self.cache.join("source");
        let target = self.cache.join("target");
        copy_source(&self.source.directory, &copy)?;
        record_commit(&self.source.directory, &copy)?;
        let place = escape::line(&candle.directory.display().to_string());
        let patches = patches(&candle.directory)?;
        let cargo = |arguments: &[&str]| {
            let cargo = Launch::of("cargo", Environment::building(&self.env)).args(arguments);
            let cargo = cargo.arg("--manifest-path").arg(copy.join("Cargo.toml"));
            cargo.args(patches.iter().flat_map(|patch| ["--config", patch]))
        };
        // The lock file names the released candle, and would keep a newer one out.
        let log = run(&cargo(&[&["update"], &CRATES[..]].concat()))?;
        // Cargo only warns when a patch's version doesn't fit, and takes the released candle.
        if log.contains("was not used in the crate graph") {
            return Err(BuildError::WrongVersion);
        }
        tracing::info!("building bench-diff against candle {} in {place}", candle.commit);
        let features: &[&str] = if cfg!(feature = "cuda") { &["--features", "cuda"] } else { &[] };
        let build = cargo(&["build", "--release", "--bin", "bench-diff"]).arg("--target-dir").arg(&target);
        run(&build.args(features).with("BENCH_DIFF_CANDLE_COMMIT", &candle.commit))?;
        // Moved into place as a whole, because it won't be built again.
        let built = target.join("release/bench-diff");
        Output::wait_for(program)?.copy(&built).map_err(BuildError::at(built))
    }
}

impl Source {
    /// A checkout or an unpacked package.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), state: Arc::default() }
    }

    /// Identifies this state of the source; an error if it isn't the first one any more.
    fn state(&self) -> Result<&str> {
        let now = fingerprint(&self.directory).map_err(|error| Error::reading(&self.directory, error))?;
        let first = self.state.get_or_init(|| now.clone());
        if *first == now {
            return Ok(first);
        }
        Err(Error::usage(format!(
            "bench-diff's source in {} has changed since the other side was built, and both must be of the same",
            self.directory.display()
        ))
        .hint("run it again"))
    }
}

fn short_hash(path: &Path) -> String {
    hex(&Sha256::digest(path.as_os_str().as_bytes())[..4])
}

/// What makes cargo take candle's crates from there.
fn patches(candle: &Path) -> Result<Vec<String>, BuildError> {
    let patch = |name: &&'static str| {
        let path = candle.join(name);
        if !path.is_dir() {
            return Err(BuildError::NoCrate(name));
        }
        // A JSON string is a TOML string as well.
        let path = serde_json::Value::String(path.display().to_string());
        Ok(format!("patch.crates-io.{name}.path={path}"))
    };
    CRATES.iter().map(patch).collect()
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::usage(format!("no candle in {}", path.display())).because(error))
}

/// Everything but what is built or kept there.
fn copy_source(source: &Path, copy: &Path) -> Result<(), BuildError> {
    std::fs::create_dir_all(copy).map_err(BuildError::at(copy))?;
    for entry in std::fs::read_dir(source).map_err(BuildError::at(source))? {
        let name = entry.map_err(BuildError::at(source))?.file_name();
        if !["target", ".git", ".bench-diff", "bench-results"].iter().any(|skipped| name == *skipped) {
            // The times of unchanged files stay as they are: cargo builds only what is new.
            let cp = Launch::of("cp", Environment::building(&[])).args(["-R", "--preserve=timestamps", "--"]);
            run(&cp.arg(source.join(&name)).arg(copy))?;
        }
    }
    Ok(())
}

/// The copy is no checkout: a package's file tells the build which commit it is of.
#[expect(clippy::disallowed_methods, reason = "a copy that only we build from")]
fn record_commit(source: &Path, copy: &Path) -> Result<(), BuildError> {
    if !git::is_root(source) {
        return Ok(());
    }
    let commit = git::head_commit(source)?;
    let info = serde_json::json!({ "git": { "sha1": commit } });
    let file = copy.join(".cargo_vcs_info.json");
    std::fs::write(&file, format!("{info:#}")).map_err(BuildError::at(file))
}

/// Identifies a state of bench-diff's source.
fn fingerprint(source: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", "build", "kernels", "src"] {
        add(&source.join(name), &mut hash)?;
    }
    Ok(hex(&hash.finalize()[..6]))
}

fn add(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    if path.is_file() {
        let content = std::fs::read(path)?;
        hash.update(format!("{}\n{}\n", path.display(), content.len()));
        hash.update(content);
    } else if path.is_dir() {
        let mut entries =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        entries.sort();
        entries.iter().try_for_each(|entry| add(entry, hash))?;
    }
    Ok(())
}
