//! `ab` where both sides would start one engine, or are engines themselves: what can be done instead.

use std::path::Path;

use crate::ci::named_engines;
use crate::config::Suite;
use crate::engine::command;
use crate::error::{Error, Result};
use crate::programs::{Program, Workshop};

/// How two states of an engine are compared.
const INSTEAD: &str = "give two commits or checkouts of the engine's repository, whose bench-diff.toml has it as `command` \
                       (docs/own-engine.md), or compare it with a baseline";

/// A side as it was named, and what it turned out to be.
pub type Side<'a> = (&'a str, &'a Program);

/// Two builds of bench-diff would start the same engine: what differs is nothing of theirs.
pub fn refuse(suite: &Suite, sides: [Side; 2]) -> Result<()> {
    let has_its_own = |(_, program): &Side| matches!(program, Program::Engines(_));
    if !suite.has_engines_of_others() || sides.iter().all(has_its_own) {
        return Ok(());
    }
    let error = Error::usage("the suite's engine is a program of its own, and OLD would start the same one as NEW");
    let engine = sides.into_iter().find(|(name, program)| is_built(program) && speaks(name));
    Err(error.hint(engine.map_or_else(|| INSTEAD.to_owned(), |(name, _)| instead_of(name))))
}

/// Neither a commit nor a checkout of this repository has anything of an engine that lies elsewhere.
pub fn refuse_what_is_elsewhere(suite: &Suite, workshop: &Workshop, names: [&str; 2]) -> Result<()> {
    let has_recipe = workshop.build.is_some() || workshop.engines.is_some();
    let is_program = |name: &str| Path::new(name).is_file();
    if has_recipe || !suite.has_only_engines_of_others() || names.into_iter().any(is_program) {
        return Ok(());
    }
    let engines = named_engines(suite).join(", ");
    Err(Error::usage(format!(
        "the suite measures {engines}, which lies outside of this repository: OLD would start the same one as NEW"
    ))
    .hint(INSTEAD))
}

/// What to do instead of measuring `name` as a bench-diff, where it is an engine.
pub fn hint(name: &str) -> Option<String> {
    (Path::new(name).is_file() && speaks(name)).then(|| instead_of(name))
}

fn instead_of(name: &str) -> String {
    let name = crate::escape::short_line(name, 100);
    format!("{name} is an engine, not a bench-diff: {INSTEAD}")
}

fn is_built(program: &Program) -> bool {
    matches!(program, Program::Built(_))
}

fn speaks(name: &str) -> bool {
    std::path::absolute(name).is_ok_and(|path| command::says_hello(&path))
}
