//! What a report says of how to measure the same again.

use std::path::Path;

use super::{CONFIRM_BUDGET, Job};
use crate::ci::{BaseCommits, BuiltAgainstCandle, Sides};
use crate::config::{CandleSource, Selection};
use crate::git;
use crate::report::{Contenders, Reproduction};

impl Job<'_> {
    /// How to measure the same again, in this repository.
    pub(super) fn reproduction(&self, commits: &BaseCommits) -> Reproduction {
        let Self { args, suite, sides, about, .. } = self;
        let contenders = match sides {
            Sides::Command(_) => Contenders::Commits,
            Sides::Engines(_) => Contenders::Engines,
            Sides::Candle(built) if built.base.is_none() => Contenders::Candles,
            Sides::Binaries { base: Some(_), .. } | Sides::Candle(_) => Contenders::Programs,
            Sides::Binaries { head: Some(_), .. } => Contenders::Program,
            Sides::Binaries { .. } => Contenders::ThisProgram,
        };
        let repository = sides.repository();
        // The programs know which candle a configuration's address and name stood for.
        let named = matches!(sides, Sides::Candle(BuiltAgainstCandle { candle: CandleSource::Git { .. }, .. }));
        let checked_out = git::head_commit(&repository).ok();
        // What is checked out may be a merge that no clone has.
        let here = about.origin.commit.clone().filter(|_| repository == Path::new("."));
        let changed = checked_out.as_ref().is_some_and(|commit| commit.ends_with("-dirty"));
        let head = if changed { checked_out } else { here.or(checked_out) };
        let selection = Selection { suite: Some(suite.name.clone()), ..args.selection.clone() };
        let mut flags = selection.flags();
        flags.extend(args.candle.iter().flat_map(|candle| ["--candle".to_owned(), candle.display().to_string()]));
        if args.confirm_budget != CONFIRM_BUDGET {
            flags.extend(["--confirm-budget".to_owned(), (args.confirm_budget.as_secs_f64() / 60.0).to_string()]);
        }
        let base = commits.merge_base.as_ref().ok().cloned().filter(|_| !named);
        Reproduction { contenders: contenders.into(), base, head: head.filter(|_| !named), flags }
    }
}
