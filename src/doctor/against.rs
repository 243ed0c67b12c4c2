//! What it would be compared with: a committed baseline, the base, or nothing.

use std::path::{Path, PathBuf};

use super::found::{Check, listed, short};
use super::inputs::Inputs;
use super::measured;
use crate::baseline::{self, Store};
use crate::ci::{self, Base, BaseError, Sides};
use crate::config::{self, Selection, Suite};
use crate::error::{Advice, sentence};
use crate::git;
use crate::github::event::Context;
use crate::measure;
use crate::results::Occasions;

const BASE: &str = "base";
const BASELINE: &str = "baseline";

pub fn checks(
    context: Option<&Context>,
    sides: &Sides,
    inputs: &Inputs,
    selection: &Selection,
    suite: &Suite,
) -> Vec<Check> {
    let repository = sides.repository();
    // What the head lacks is said there: of the base, nothing can be said yet.
    let is_nothing = measured::is_no_candle(sides);
    let tip = Tip::find(&repository, inputs, context);
    let (program, can_run) = if is_nothing { (None, true) } else { base_program(sides, &tip, suite) };
    let store = Directory::of(inputs, selection);
    let (mut kept, judge) = store.checks(suite);
    // The baselines are here, the base may be elsewhere.
    let here = Tip::find(Path::new("."), inputs, context);
    kept.extend(judge.as_ref().and_then(|name| store.at_the_base(&here, name)));
    let nothing = (!can_run && judge.is_none()).then(|| {
        Check::missing("compared with", "neither a committed baseline for this hardware nor a base that can be run")
            .hint(if suite.has_engines_of_others() { BY_A_BASELINE } else { BY_A_BASELINE_OR_A_BASE })
    });
    let tip = (!is_nothing).then(|| tip.check());
    tip.into_iter().chain(program).chain(kept).chain(nothing).collect()
}

const BY_A_BASELINE_OR_A_BASE: &str = "commit a baseline (`bench-diff baseline update`), or let the base be built: `candle`, or \
                                       `build-command` and `head-binary`";
/// Of a program or a server that is there whatever the commit.
const BY_A_BASELINE: &str = "commit a baseline (`bench-diff baseline update`); an engine of this repository is built for both \
                             sides by `command` and `build` of the configuration";

/// The tip of the branch that pull requests go into.
struct Tip {
    /// As it was named, and by whom.
    name: String,
    commit: Option<String>,
    /// What is checked out.
    head: Option<String>,
    /// Where the checkout's branch left it.
    merge_base: Result<String, BaseError>,
    shallow: bool,
}

impl Tip {
    /// In this clone: nothing is fetched.
    fn find(repository: &Path, inputs: &Inputs, context: Option<&Context>) -> Self {
        let known = |name: &str| {
            let names = [format!("refs/remotes/origin/{name}"), name.to_owned()];
            names.iter().find_map(|name| git::commit(repository, name).ok())
        };
        let candidates = names(inputs, context);
        let found = candidates.iter().find_map(|name| Some((name.clone(), known(name)?)));
        let first = candidates.join(", ");
        let (name, commit) = found.map_or((first, None), |(name, commit)| (name, Some(commit)));
        let merge_base = match &commit {
            Some(tip) => git::merge_base(repository, tip).map_err(BaseError::from),
            None => Err(BaseError::Unnamed),
        };
        let (head, shallow) = (git::commit(repository, "HEAD").ok(), git::is_shallow(repository).unwrap_or(false));
        Self { name, commit, head, merge_base, shallow }
    }

    fn check(&self) -> Check {
        let Self { name, commit, head, merge_base, shallow } = self;
        match (commit, merge_base) {
            (None, _) => {
                Check::note(BASE, format!("the branch that pull requests go into isn't in this clone ({name})"))
                    .hint("the Action takes it from the event, and fetches it")
            }
            (Some(tip), Ok(at)) if at == tip && head.as_ref() == Some(tip) => {
                let said = format!(
                    "{name} is checked out ({}): a pull request is compared with where it leaves that",
                    short(tip)
                );
                Check::note(BASE, said)
            }
            (Some(tip), Ok(at)) => {
                Check::fine(BASE, format!("this branch left {name} ({}) at {}", short(tip), short(at)))
            }
            (Some(_), Err(why)) => {
                let check =
                    Check::note(BASE, format!("where this branch left {name} isn't known here: {}", sentence(why)));
                if *shallow { check.hint("check out with `fetch-depth: 0`, or let the Action fetch it") } else { check }
            }
        }
    }

    /// A commit to build the base of, for the question whether it can be built at all.
    fn any(&self) -> Result<String, BaseError> {
        self.merge_base.clone().or_else(|why| self.head.clone().ok_or(why))
    }
}

/// What may be the base's name, the likeliest first.
fn names(inputs: &Inputs, context: Option<&Context>) -> Vec<String> {
    let said = inputs.get("base-ref").filter(|name| git::is_revision(name)).map(str::to_owned);
    if let Some(said) = said {
        return vec![said];
    }
    let of_event = context.and_then(Context::base_sha).map(str::to_owned);
    let default = context.and_then(|context| context.default_branch.clone()).filter(|name| git::is_revision(name));
    let usual = ["HEAD", "main", "master"].map(|name| format!("origin/{name}"));
    let local = ["main", "master"].map(str::to_owned);
    of_event.into_iter().chain(default).chain(usual).chain(local).collect()
}

/// And whether it can be run.
fn base_program(sides: &Sides, tip: &Tip, suite: &Suite) -> (Option<Check>, bool) {
    let base = sides.base(&tip.any()).map(|base| base.without_engines_of_others(suite));
    let (check, can_run) = match base {
        Ok(Base::Program(_)) => (Check::fine(BASE, how(sides)), true),
        Ok(Base::Unwanted) if suite.has_engines_of_others() => {
            let said = "the suite's engine is the same for base and head: what looks changed stays unconfirmed";
            (Check::note(BASE, said).hint(BY_A_BASELINE), false)
        }
        Ok(Base::Unwanted) => {
            let check = Check::note(BASE, "nothing says how to build the base: what looks changed stays unconfirmed");
            (check.hint("`build-command` with `head-binary`, or `candle`, builds it; `base-binary` names one"), false)
        }
        Ok(Base::Absent(why) | Base::OutOfReach(why)) => {
            (Check::note(BASE, format!("the base can't be run from here: {why}")), false)
        }
        Err(why) => (Check::missing(BASE, why.in_one_line()), false),
    };
    (Some(check), can_run)
}

fn how(sides: &Sides) -> String {
    match sides {
        Sides::Binaries { .. } => "the base is the program that the workflow names".to_owned(),
        Sides::Command(built) => format!("the base can be built: `{}` in a work tree of its commit", built.command),
        Sides::Engines(_) => {
            "the base can be built: the engine of its commit, in a work tree of its own, as its configuration says"
                .to_owned()
        }
        Sides::Candle(_) => "the base can be built: bench-diff, against the base's candle".to_owned(),
    }
}

/// The committed baselines.
struct Directory {
    path: PathBuf,
    named: bool,
}

impl Directory {
    fn of(inputs: &Inputs, selection: &Selection) -> Self {
        let usual = || config::directory(selection.config.as_deref()).join(baseline::DIRECTORY);
        let named = inputs.path("baseline");
        Self { named: named.is_some(), path: named.unwrap_or_else(usual) }
    }

    /// And the one that pull requests on this machine are judged by.
    fn checks(&self, suite: &Suite) -> (Vec<Check>, Option<String>) {
        if self.named && !self.path.is_dir() {
            let said = format!("the workflow names {}, which isn't there", self.path.display());
            return (vec![Check::missing(BASELINE, said).hint("name the directory that holds the baselines")], None);
        }
        let hardware = measure::environment(suite).fingerprint();
        let store = Store::new(&self.path);
        let results = match store.find(&suite.name, &hardware) {
            Ok(Some(results)) => results,
            Ok(None) => return (vec![none(&store, suite, &hardware)], None),
            Err(why) => return (vec![Check::missing(BASELINE, why.in_one_line())], None),
        };
        let name = format!("{}/{hardware}", suite.name);
        if let Some(why) = ci::obstacle(suite, &results) {
            let check = Check::note(BASELINE, format!("{name} can't be compared with: {why}"));
            return (vec![check.hint("measure it anew: `bench-diff baseline update --replace`")], None);
        }
        let occasions = Occasions::of(&results.sessions);
        let check = match baseline::lacking(&occasions) {
            Some(lacking) => Check::note(BASELINE, format!("{name}: {lacking}")),
            None => Check::fine(BASELINE, format!("{name}: {}: a history", occasions.in_words())),
        };
        (vec![check], Some(name))
    }

    /// A pull request is judged by what the base has, not by what the checkout has.
    fn at_the_base(&self, tip: &Tip, baseline: &str) -> Option<Check> {
        let (commit, name) = (tip.commit.as_ref()?, self.path.file_name()?.to_str()?);
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let committed = git::file(parent, commit, &format!("{name}/{baseline}.json")).is_ok();
        (!committed).then(|| {
            Check::note(
                BASELINE,
                format!("it isn't in {} yet, and pull requests are judged by what is there", tip.name),
            )
            .hint("commit it, and merge that")
        })
    }
}

fn none(store: &Store, suite: &Suite, hardware: &str) -> Check {
    let others = store.list().unwrap_or_default();
    let others: Vec<String> = others.iter().map(|entry| format!("{}/{}", entry.suite, entry.hardware)).collect();
    let mut said = format!("none for the suite {} on this hardware ({hardware})", suite.name);
    if !others.is_empty() {
        said += &format!("; there is {}", listed(&others.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    Check::note(BASELINE, said).hint("measure the default branch here, then `bench-diff baseline update RESULTS`")
}
