//! Looks at a repository and a machine, and says what a pull request would be measured with, against what, with which
//! rights, and what is missing. It runs nothing of the repository, downloads nothing and writes nothing.
//!
//! A file for each thing that is looked at; each check is a function.

mod against;
mod clone;
mod configured;
mod found;
mod hardware;
mod inputs;
mod measured;
mod model_files;
mod publishing;
mod rights;
mod servers;
mod workflow;
mod writable;
mod yaml;

use std::path::{Path, PathBuf};

pub use found::{Check, Found};

use crate::ci::{Local, Said, Sides};
use crate::config::{self, CandleSource, Selection, Suite};
use crate::device::Machine;
use crate::git;
use crate::github::event::Context;
use crate::programs::{OwnEngines, Source};
use inputs::Inputs;

/// What to look at.
pub struct Asked<'a> {
    /// What flags say outweighs what the workflow says.
    pub selection: &'a Selection,
    /// The workflow run that this is part of, if it is one.
    pub context: Option<&'a Context>,
    /// Does this process's environment hold a token of GitHub's?
    pub has_token: bool,
    /// bench-diff's own source, to build against candle.
    pub source: &'a Path,
}

/// All checks, in the order of the questions.
pub fn examine(asked: &Asked) -> Vec<Check> {
    let root = root();
    let (workflows, unreadable) = workflow::find(&root);
    let measuring = workflow::of_pull_requests(&workflows);
    let inputs = Inputs::of(measuring.map(|(_, _, step)| step), &root);
    let selection = inputs.selection(asked.selection);
    let machine = Machine::here();
    let suite = config::load_suite(&selection, &machine);

    let mut checks = clone::checks(asked.has_token);
    checks.extend(inputs.checks());
    checks.extend(configured::checks(&selection, &suite));
    checks.extend(writable::check(&local(&selection)));
    let sides = suite.as_ref().ok().map(|suite| sides(asked, &inputs, &selection, suite));
    if let (Ok(suite), Some(sides)) = (&suite, &sides) {
        checks.extend(measured::checks(sides, &inputs, asked.source, suite));
        checks.extend(against::checks(asked.context, sides, &inputs, &selection, suite));
    }
    checks.extend(measured::tools(sides.as_ref(), &inputs));
    checks.extend(hardware::checks(suite.as_ref().ok(), &inputs, &machine));
    if let Ok(suite) = &suite {
        checks.extend(model_files::checks(suite));
    }
    checks.extend(unreadable.into_iter().map(|why| {
        Check::missing("workflow", format!("can't read {why}")).hint("GitHub runs no workflow that it can't read")
    }));
    checks.extend(rights::checks(measuring, &workflows));
    checks.extend(publishing::checks(measuring, &workflows));
    checks
}

/// Where workflows lie: the repository's root. Empty for the working directory.
fn root() -> PathBuf {
    let here = Path::new(".").canonicalize();
    match git::top(Path::new(".")) {
        Ok(top) if here.is_ok_and(|here| here == top) => PathBuf::new(),
        Ok(top) => top,
        Err(_) => PathBuf::new(),
    }
}

/// Where `ci` writes.
fn local(selection: &Selection) -> Local {
    Local::in_directory(&config::directory(selection.config.as_deref()))
}

/// What the Action would measure: as its inputs say, else the configuration.
fn sides(asked: &Asked, inputs: &Inputs, selection: &Selection, suite: &Suite) -> Sides {
    let cache = local(selection).builds();
    let candle = inputs.path("candle").map(|path| CandleSource::Checkout { path }).or_else(|| suite.candle.clone());
    Sides::from(Said {
        head: inputs.path("head-binary"),
        base: inputs.path("base-binary"),
        build_command: inputs.get("build-command").filter(|_| inputs.get("base-binary").is_none()).map(str::to_owned),
        env: Vec::new(),
        candle,
        engines: OwnEngines::of(suite, selection, &[], cache.clone()),
        config: config::path(selection),
        source: Source::at(asked.source),
        cache,
    })
}
