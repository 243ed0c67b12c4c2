//! The commit of this crate and the version of candle, for the results file.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts in variables, and git tells the commit")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// All that a build is made of.
const SOURCES: [&str; 7] = ["build.rs", "build", "src", "kernels", "tracer", "Cargo.toml", "Cargo.lock"];

pub fn emit() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&root);
    // Sources too: with `-dirty` out of date a results file would name code that wasn't measured.
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(commit) = git_commit(root).or_else(|| packaged_commit(root)) {
        println!("cargo::rustc-env=BENCH_DIFF_COMMIT={commit}");
    }

    let (version, locked_commit) = locked("candle-core", root).unwrap_or_else(|| ("unknown".to_owned(), None));
    println!("cargo::rustc-env=BENCH_DIFF_CANDLE_VERSION={version}");
    // Who builds against a checkout of candle knows its commit; the lock file knows that of a git dependency.
    println!("cargo::rerun-if-env-changed=BENCH_DIFF_CANDLE_COMMIT");
    if let Some(commit) = env::var("BENCH_DIFF_CANDLE_COMMIT").ok().filter(|c| !c.is_empty()).or(locked_commit) {
        println!("cargo::rustc-env=BENCH_DIFF_CANDLE_COMMIT={commit}");
    }
}

/// The commit of the checkout, if `root` is one: a crate that lies inside somebody else's repository isn't.
fn git_commit(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // HEAD changes with the branch, its log with every commit.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(root, &["rev-parse", "--path-format=absolute", "--git-path", name])?;
        // A missing path would make cargo run this every time.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    let dirty = git(root, &[&status[..], &SOURCES].concat()).is_some_and(|changes| !changes.is_empty());
    Some(if dirty { format!("{commit}-dirty") } else { commit })
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    // Optional locks off: a build must not touch the index of a checkout that somebody works in.
    let output = Command::new("git").arg("--no-optional-locks").arg("-C").arg(root).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `cargo package` records the commit beside the sources.
fn packaged_commit(root: &Path) -> Option<String> {
    let info = fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    rest.split('"').next().map(str::to_owned)
}

/// Version, and commit of a git dependency, from the lock file.
fn locked(package: &str, root: &Path) -> Option<(String, Option<String>)> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).ok()?;
    let entry = lock.split("[[package]]").find(|entry| field(entry, "name") == Some(package))?;
    let commit = field(entry, "source").filter(|source| source.starts_with("git+")).and_then(|s| s.rsplit_once('#'));
    Some((field(entry, "version")?.to_owned(), commit.map(|(_, commit)| commit.to_owned())))
}

fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
}
