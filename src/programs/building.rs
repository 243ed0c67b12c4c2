//! Running builds, and why there is no program in the end.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::child::{Environment, Launch};
use crate::error::{Advice, Error};
use crate::escape;
use crate::plural::counted;

/// How many of the last lines of a failed build the log gets.
const LOGGED: usize = 40;
/// And how many of them are a reason.
const QUOTED: usize = 4;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("can't run {}", program.display())]
    Unstarted { program: PathBuf, source: io::Error },
    /// With the first error that it told of.
    #[error("{status} ({reason})")]
    Failed { status: ExitStatus, reason: String },
    /// Where something is copied or made.
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Other(#[from] Error),
    #[error("it has no {0}")]
    NoCrate(&'static str),
    #[error("its version doesn't fit the one that bench-diff needs, so it would not be measured")]
    WrongVersion,
}

impl BuildError {
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl Advice for BuildError {
    fn advice(&self) -> Option<&str> {
        if let Self::Other(error) = self { error.advice() } else { None }
    }
}

/// Runs to the end; what it wrote to standard error. The log gets the end of a complaint.
pub fn run(launch: &Launch) -> Result<String, BuildError> {
    run_or(launch, |lines| {
        lines.iter().find(|line| line.starts_with("error")).or(lines.last()).map(|it| (*it).to_owned())
    })
}

/// `reason` finds in the lines of a complaint what says it.
fn run_or(launch: &Launch, reason: fn(&[&str]) -> Option<String>) -> Result<String, BuildError> {
    let program = launch.program().to_owned();
    let output = launch.log().map_err(|source| BuildError::Unstarted { program, source })?;
    if output.status.success() {
        return Ok(output.err);
    }
    let out = String::from_utf8_lossy(&output.out);
    // Some complain where others tell what they do.
    let said = if output.err.trim().is_empty() { &*out } else { &*output.err };
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let logged = last(&lines, LOGGED);
    tracing::warn!("the build failed; the last of what it printed ({}):", counted(logged.len(), "line"));
    for line in logged {
        tracing::warn!("  {}", escape::line(line));
    }
    let reason = reason(&lines).unwrap_or_else(|| "no reason given".to_owned());
    Err(BuildError::Failed { status: output.status, reason })
}

fn last<T>(all: &[T], most: usize) -> &[T] {
    &all[all.len().saturating_sub(most)..]
}

/// A command of bash, run in a directory to the end, with these variables of ours.
pub fn run_in(directory: &Path, command: &str, env: &[String]) -> Result<String, BuildError> {
    let bash = Launch::of("bash", Environment::building(env)).args(["-euo", "pipefail", "-c", command]);
    run(&bash.in_directory(directory))
}

/// A program and its arguments, run in a directory to the end; its path starts from there, and what it builds stays there.
/// Any program may be meant, so its last lines are the reason.
pub fn run_list(directory: &Path, build: &[String], env: &[String]) -> Result<(), BuildError> {
    let Some((program, args)) = build.split_first() else { return Ok(()) };
    let launch = Launch::of(program, Environment::building_in_place(env)).args(args).starting_in(directory);
    let last_lines = |lines: &[&str]| (!lines.is_empty()).then(|| last(lines, QUOTED).join(" / "));
    run_or(&launch, last_lines).map(drop)
}
