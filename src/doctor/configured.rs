//! The configuration: where it is, whether it is valid, and what it says.

use super::found::{Check, listed};
use crate::config::{self, FILE_NAME, Selection, Suite};
use crate::error::{Advice, Error, sentence};
use crate::plural::counted;

const CONFIGURATION: &str = "configuration";

pub fn checks(selection: &Selection, suite: &Result<Suite, Error>) -> Vec<Check> {
    let mut checks = vec![file(selection, suite.is_ok())];
    match suite {
        Ok(suite) => checks.push(described(suite)),
        Err(error) => checks.extend(problems(error)),
    }
    checks
}

fn file(selection: &Selection, valid: bool) -> Check {
    match config::path(selection) {
        Some(path) if valid => Check::fine(CONFIGURATION, format!("{} is valid", path.display())),
        Some(path) => Check::missing(CONFIGURATION, format!("{} can't be used", path.display())),
        None => Check::note(CONFIGURATION, format!("no {FILE_NAME} here or above: the built-in suite is measured"))
            .hint("`bench-diff init` writes one"),
    }
}

/// As the configuration says them.
fn problems(error: &Error) -> Vec<Check> {
    let missing = |said: &String| Check::missing(CONFIGURATION, said.clone());
    let mut checks: Vec<Check> = match error.details() {
        [] => vec![missing(&sentence(error))],
        details => details.iter().map(missing).collect(),
    };
    if let (Some(hint), Some(last)) = (error.advice(), checks.last_mut()) {
        last.hint = Some(hint.to_owned());
    }
    checks
}

fn described(suite: &Suite) -> Check {
    let cases: Vec<&str> = suite.cases().map(|case| case.id.as_str()).collect();
    let mut engines: Vec<&str> = suite.models.iter().map(|model| model.spec.engine.as_str()).collect();
    engines.dedup();
    let said = format!(
        "{}, on {}: {} with the engine {}, {} each: {}",
        suite.name,
        suite.device(),
        counted(cases.len(), "case"),
        engines.join(", "),
        counted(suite.settings.runs as usize, "run"),
        listed(&cases)
    );
    Check::fine("suite", said)
}
