//! Is anything of the pull request in what will be measured?

use std::path::Path;

use super::Sides;
use crate::config::{CandleSource, Suite, SuiteModel};
use crate::git;
use crate::programs::is_file_of;
use crate::results::Program;

/// Certainly nothing: no program that the workflow names or builds, nor candle from the pull request's checkout, and
/// bench-diff itself is of another commit than `commits`, which the pull request is at, or runs none of the models.
pub fn is_unrelated(sides: &Sides, suite: &Suite, this: &Program, commits: &[String]) -> bool {
    let is_of = |commit: &str| commits.iter().any(|of| same_commit(of, commit));
    match sides {
        // What a workflow names, it has built.
        Sides::Binaries { head: Some(_), .. } | Sides::Command(_) => false,
        // Of the checkout that is measured in, and built from it.
        Sides::Engines(_) => false,
        // The same programs for every pull request, whoever starts them.
        Sides::Binaries { head: None, .. } | Sides::Candle(_) if suite.has_only_engines_of_others() => {
            !starts_a_server_of_here(suite)
        }
        Sides::Binaries { head: None, .. } => this.commit.as_deref().is_some_and(|commit| !is_of(commit)),
        Sides::Candle(built) => match &built.candle {
            CandleSource::Checkout { path } => {
                is_elsewhere(path) && git::commit(path, "HEAD").is_ok_and(|at| !is_of(&at))
            }
            // What the configuration names, the pull request can change: its base says whether it does.
            CandleSource::Git { .. } => false,
        },
    }
}

/// The programs and servers that run the suite's models, each once.
pub fn named_engines(suite: &Suite) -> Vec<String> {
    let named = suite.models.iter().map(|SuiteModel { spec, .. }| match &spec.server {
        Some(server) => format!("the server at {}", server.url),
        None if spec.command.is_empty() => format!("bench-diff's engine {}", spec.engine),
        None => format!("the program {}", spec.command.join(" ")),
    });
    let mut all: Vec<String> = Vec::new();
    for name in named {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// A program of the repository that serves: an earlier step has built it.
fn starts_a_server_of_here(suite: &Suite) -> bool {
    suite.models.iter().any(|SuiteModel { spec, .. }| {
        let directory = spec.start_directory.as_deref().unwrap_or(Path::new("."));
        spec.server.iter().flat_map(|server| &server.start).any(|word| is_file_of(directory, word))
    })
}

/// Of another repository than the one that is measured in.
fn is_elsewhere(candle: &Path) -> bool {
    git::commit(Path::new("."), "HEAD").is_ok() && !git::same_repository(candle, Path::new("."))
}

/// Programs may know only the start of theirs; with local changes it is still of that commit.
fn same_commit(one: &str, other: &str) -> bool {
    let hex = |commit: &str| commit.strip_suffix("-dirty").unwrap_or(commit).to_ascii_lowercase();
    let (one, other) = (hex(one), hex(other));
    let known = one.len().min(other.len()) >= MIN_DIGITS;
    known && (one.starts_with(&other) || other.starts_with(&one))
}

/// Fewer don't tell commits apart.
const MIN_DIGITS: usize = 7;
