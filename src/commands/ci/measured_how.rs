//! What a report says of how to measure the same again.

use std::path::Path;

use super::{CONFIRM_BUDGET, Job, variable};
use crate::ci::{BaseCommits, BuiltAgainstCandle, Sides};
use crate::config::{CandleSource, Selection};
use crate::git;
use crate::report::{Contenders, Reproduction};

impl Job<'_> {
    /// How to measure the same again, in this repository.
    pub(super) fn reproduction(&self, commits: &BaseCommits) -> Reproduction {
        let Self { args, suite, sides, .. } = self;
        let contenders = match sides {
            Sides::Command(_) => Contenders::Commits,
            Sides::Engines(_) => Contenders::Engines,
            Sides::Candle(built) if built.base.is_none() => Contenders::Candles,
            Sides::Binaries { base: Some(_), .. } | Sides::Candle(_) => Contenders::Programs,
            Sides::Binaries { head: Some(_), .. } => Contenders::Program,
            Sides::Binaries { .. } => Contenders::ThisProgram,
        };
        // The programs know which candle a configuration's address and name stood for.
        let named = matches!(sides, Sides::Candle(BuiltAgainstCandle { candle: CandleSource::Git { .. }, .. }));
        let (base, head) = self.measured(commits);
        let selection = Selection { suite: Some(suite.name.clone()), ..args.selection.clone() };
        let mut flags = selection.flags();
        flags.extend(args.candle.iter().flat_map(|candle| ["--candle".to_owned(), candle.display().to_string()]));
        if args.confirm_budget != CONFIRM_BUDGET {
            flags.extend(["--confirm-budget".to_owned(), (args.confirm_budget.as_secs_f64() / 60.0).to_string()]);
        }
        let [base, head] = [base, head].map(|commit| commit.filter(|_| !named));
        Reproduction { contenders: contenders.into(), base, head, flags }
    }

    /// The commits of base and head. Of a pull request its merge with its base is measured, where that is checked out. Who can't
    /// fetch that comes nearest with the pull request's own commit, from where it left its base: what came into the base since
    /// then isn't in it.
    fn measured(&self, commits: &BaseCommits) -> (Option<String>, Option<String>) {
        let repository = self.sides.repository();
        let base = commits.merge_base.as_ref().ok().cloned();
        let checked_out = git::head_commit(&repository).ok();
        let own = self.about.origin.commit.clone().filter(|_| repository == Path::new("."));
        let (Some(own), Some(at)) = (&own, &checked_out) else { return (base, checked_out.or(own)) };
        if own == at || at.ends_with("-dirty") || self.is_githubs_merge(&repository, at) {
            return (base, checked_out);
        }
        let left = base.as_ref().and_then(|base| git::merge_base_of(&repository, base, own).ok());
        (left.or(base), Some(own.clone()))
    }

    /// Everybody can fetch the merge that GitHub makes, unlike one that a workflow makes.
    fn is_githubs_merge(&self, repository: &Path, commit: &str) -> bool {
        let fetched = |number| git::commit(repository, &format!("refs/remotes/pull/{number}/merge")).ok();
        let merge = self.about.pull_request.and_then(fetched);
        variable("GITHUB_SHA").into_iter().chain(merge).any(|merge| merge == commit)
    }
}
