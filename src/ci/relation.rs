//! Is anything of the pull request in what will be measured?

use std::path::Path;

use super::Sides;
use crate::config::CandleSource;
use crate::git;
use crate::results::Program;

/// Certainly nothing: no program that the workflow names or builds, nor candle from the pull request's checkout, and
/// bench-diff itself is of another commit than `commits`, which the pull request is at.
pub fn is_unrelated(sides: &Sides, this: &Program, commits: &[String]) -> bool {
    let is_of = |commit: &str| commits.iter().any(|of| same_commit(of, commit));
    match sides {
        // What a workflow names, it has built.
        Sides::Binaries { head: Some(_), .. } | Sides::Command(_) => false,
        // Of the checkout that is measured in, and built from it.
        Sides::Engines(_) => false,
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
