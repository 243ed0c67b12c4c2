//! By what a pull request is judged: nothing that it could have changed itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Job;
use crate::baseline::{self, Store};
use crate::case::DeviceKind;
use crate::ci::{self, About, BaseCommits, Sides, SuiteChanges};
use crate::config::{self, Selection, Suite, SuiteSettings};
use crate::device::Machine;
use crate::error::{Advice, Error, Result};
use crate::git;
use crate::report::Caveats;
use crate::results::{Program, Settings};
use crate::thresholds::Thresholds;

/// What the base says of how it is judged.
enum Base {
    /// Nobody asks it: this is a run at somebody's desk, its commit is unknown, or the file isn't the repository's.
    NotAsked,
    /// It has no configuration.
    Unconfigured,
    Configured(BaseConfig),
}

/// A configuration of another commit.
struct BaseConfig {
    text: String,
    /// What to call it.
    place: String,
    /// What its relative paths start from.
    directory: PathBuf,
}

impl BaseConfig {
    /// The suite that a selection means in it, if it has that.
    fn suite(&self, selection: &Selection) -> Option<Suite> {
        config::suite_in(&self.text, &self.place, &self.directory, selection, &Machine::here()).ok()
    }
}

impl Job<'_> {
    /// Before anything is built: a verdict on another program would be taken for one on the pull request.
    pub(super) fn check_relation(&self) -> Result<()> {
        if !self.about.caveats.unrelated || self.args.allow_unrelated {
            return Ok(());
        }
        let what = match &self.sides {
            Sides::Candle(_) | Sides::Binaries { .. } if self.suite.has_only_engines_of_others() => {
                ci::named_engines(&self.suite).join(", ")
            }
            Sides::Candle(built) => format!("bench-diff, built against the candle {}", built.candle),
            Sides::Binaries { .. } | Sides::Command(_) | Sides::Engines(_) => Program::this().describe(),
        };
        Err(Error::usage(format!("what would be measured is {what}, and nothing of the pull request is in it")).hint(
            "for candle or a fork of it, set `candle` (--candle); for another program, `build-command` and `head-binary`; \
             for an engine of your own, `command` and `build` in the configuration; \
             `allow-unrelated` (--allow-unrelated) measures all the same",
        ))
    }

    /// A candle that the configuration names by its address is the pull request's only where that changes the name.
    pub(super) fn relate_to_base(&mut self, commits: &BaseCommits) -> Result<()> {
        let base = commits.merge_base.as_ref().ok().filter(|_| self.about.pull_request.is_some());
        if base.is_some_and(|base| self.sides.names_the_candle_of(base)) {
            self.about.caveats.unrelated = true;
        }
        self.check_relation()
    }

    /// The suite with what counts as a change in the base, no fewer runs and its counters; what the pull request changes in it.
    pub(super) fn as_the_base_judges(&self, commits: &BaseCommits) -> (Suite, About, Vec<String>) {
        let SuiteChanges { changes, taken_out, thresholds, least_runs, counters, base_is_unconfigured } =
            self.suite_changes(commits).unwrap_or_default();
        let thresholds = thresholds.unwrap_or_else(|| self.suite.thresholds.clone());
        let caveats = Caveats { suite_changes: changes, base_is_unconfigured, ..self.about.caveats.clone() };
        let runs = self.suite.settings.runs.max(least_runs);
        let settings = Settings { runs, ..self.suite.settings.clone() };
        let counters = self.suite.counters || counters;
        (
            Suite { thresholds, settings, counters, ..self.suite.clone() },
            About { caveats, ..self.about.clone() },
            taken_out,
        )
    }

    /// What the pull request changes in the suite, where it could have and the base's configuration can be read.
    fn suite_changes(&self, commits: &BaseCommits) -> Option<SuiteChanges> {
        let (head, selection) = (&self.suite, &self.args.selection);
        let base = match self.base_config(commits) {
            Base::NotAsked => return None,
            Base::Unconfigured => {
                let runs = selection.settings.runs.unwrap_or_else(|| Settings::default().runs);
                let on_gpu = head.models.iter().any(|model| model.spec.device == DeviceKind::Cuda);
                let counters = selection.settings.counters.unwrap_or(on_gpu);
                return Some(SuiteChanges::of_unconfigured_base(&of_flags(&selection.settings), runs, counters, head));
            }
            Base::Configured(config) => config,
        };
        let named = |name: Option<&str>| Selection { suite: name.map(str::to_owned), ..selection.clone() };
        let replaced = |before: &Suite| {
            let known = base.suite(&named(Some(&head.name)));
            SuiteChanges::in_place_of(before, known.as_ref(), head)
        };
        Some(match base.suite(selection) {
            Some(before) if before.name == head.name => SuiteChanges::between(&before, head),
            Some(before) => replaced(&before),
            // The suite that is asked for is new: renamed, or beside those that there were.
            None => match base.suite(&named(None)) {
                Some(before) if self.lacks(&before.name) => replaced(&before),
                _ => SuiteChanges::new_in_head(&of_flags(&selection.settings), head),
            },
        })
    }

    /// The pull request takes the suite of that name out of the configuration.
    fn lacks(&self, name: &str) -> bool {
        let selection = Selection {
            config: self.args.selection.config.clone(),
            suite: Some(name.to_owned()),
            ..Selection::default()
        };
        config::load_suite(&selection, &Machine::here()).is_err()
    }

    /// The configuration as the base has it, where a pull request could have changed it and the base can be read. Taking it
    /// away is a change as well.
    fn base_config(&self, commits: &BaseCommits) -> Base {
        if self.context.is_none() && self.args.base_commit.is_none() {
            return Base::NotAsked;
        }
        // The base of candle's checkout may be another repository's.
        let here = self.sides.repository() == Path::new(".");
        let commit = commits.merge_base.as_ref().ok().filter(|_| here).or(commits.tip.as_ref().ok());
        let path = config::path(&self.args.selection).unwrap_or_else(|| PathBuf::from(config::FILE_NAME));
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match (commit, path.file_name().and_then(OsStr::to_str)) {
            (Some(commit), Some(name)) => of_commit(commit, directory, name),
            _ => Base::NotAsked,
        }
    }

    /// The baselines that count: in a workflow those of the pull request's base, because the pull request could have changed
    /// those of the checkout. If only these can be had, also a warning.
    pub(super) fn committed(&self, directory: &Path, commits: &BaseCommits) -> Result<(Store, Option<String>)> {
        let here = self.args.baseline.clone().unwrap_or_else(|| directory.join(baseline::DIRECTORY));
        let checked = || if self.args.baseline.is_some() { check_directory(&here) } else { Ok(()) };
        if self.context.is_none() && self.args.base_commit.is_none() {
            checked()?;
            return Ok((Store::new(here), None));
        }
        let tip = match &commits.tip {
            Ok(tip) => tip,
            Err(why) => {
                checked()?;
                let why = why.in_one_line();
                let doubt = format!(
                    "judged by the checkout's baselines and configuration, which a pull request could change: {why}"
                );
                return Ok((Store::new(here), Some(doubt)));
            }
        };
        let base = ci::baselines_of(tip, &here, &self.local.of_base(tip))?;
        if base.is_none() {
            checked()?;
        }
        let doubt = base.is_none().then(|| format!("judged by the checkout's baselines, as the base ({tip}) has none"));
        Ok((Store::new(base.unwrap_or(here)), doubt))
    }
}

fn of_commit(commit: &str, directory: &Path, name: &str) -> Base {
    if let Ok(text) = git::file(directory, commit, name) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let place = format!("{name} of {commit}");
        return Base::Configured(BaseConfig { text, place, directory: directory.to_owned() });
    }
    let has = |commit: &str| git::files(directory, commit, name).map(|found| !found.is_empty()).ok();
    // A file that no commit has is the machine's or the workflow's.
    let head = git::commit(directory, "HEAD").ok();
    match (has(commit), head.and_then(|head| has(&head))) {
        (Some(false), Some(true)) => Base::Unconfigured,
        _ => Base::NotAsked,
    }
}

/// What counts as a change where only the workflow says so.
fn of_flags(flags: &SuiteSettings) -> Thresholds {
    let default = Thresholds::default();
    Thresholds {
        alpha: flags.alpha.unwrap_or(default.alpha),
        metrics: flags.metrics.clone().unwrap_or_default(),
        gate_at_threshold: flags.gate_at_threshold.unwrap_or(default.gate_at_threshold),
        ..default
    }
}

/// A directory that is asked for by name and isn't there would be taken for one without a baseline.
fn check_directory(baselines: &Path) -> Result<()> {
    if baselines.is_dir() {
        return Ok(());
    }
    let place = baselines.display();
    Err(Error::usage(format!("there is no directory {place}, which --baseline names")).hint(format!(
        "name the one that holds the baselines; `bench-diff baseline update RESULTS --baseline {place}` makes it"
    )))
}
