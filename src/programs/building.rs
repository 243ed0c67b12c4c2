//! Running builds, and why there is no program in the end.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::child::{Environment, Launch};
use crate::error::{Advice, Error};
use crate::escape;

/// How many of the last lines of a failed build the log gets.
const LOGGED: usize = 40;

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
    let program = launch.program().to_owned();
    let output = launch.log().map_err(|source| BuildError::Unstarted { program, source })?;
    if output.status.success() {
        return Ok(output.err);
    }
    let lines: Vec<&str> = output.err.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOGGED)) {
        tracing::warn!("{}", escape::line(line));
    }
    let reason = lines.iter().find(|line| line.starts_with("error")).or(lines.last());
    let reason = reason.map_or_else(|| "no reason given".to_owned(), |line| (*line).to_owned());
    Err(BuildError::Failed { status: output.status, reason })
}

/// A command of bash, run in a directory to the end, with these variables of ours.
pub fn run_in(directory: &Path, command: &str, env: &[String]) -> Result<String, BuildError> {
    let bash = Launch::of("bash", Environment::building(env)).args(["-euo", "pipefail", "-c", command]);
    run(&bash.in_directory(directory))
}
