//! What would be measured, and whether anything of this repository goes into it.

use std::path::Path;

use super::found::{Check, listed, short};
use super::inputs::Inputs;
use crate::child::beside_the_caller;
use crate::ci::{self, BuiltAgainstCandle, BuiltByCommand, Sides};
use crate::config::{CandleSource, Suite};
use crate::error::Advice;
use crate::git;
use crate::measure::Worker;
use crate::programs::{OwnEngines, is_candle};
use crate::results::Program;

const MEASURED: &str = "measured";

/// For each kind of repository, as in the README.
const SAY_WHAT: &str = "give the Action `candle: .` in candle or a fork of it; elsewhere `build-command` and \
                        `head-binary`: a program that is built from the pull request; for an engine of your own, set \
                        `command` and `build` in bench-diff.toml";

pub fn checks(sides: &Sides, inputs: &Inputs, source: &Path, suite: &Suite) -> Vec<Check> {
    match sides {
        Sides::Candle(built) => {
            vec![against_candle(sides, built, inputs, suite)].into_iter().chain(own_source(source)).collect()
        }
        Sides::Command(built) => vec![by_command(built)].into_iter().chain(tool("bash")).collect(),
        Sides::Engines(engines) => of_repository(engines),
        Sides::Binaries { head: Some(program), .. } => vec![program_of(program)],
        Sides::Binaries { head: None, .. } => {
            vec![itself(sides, inputs, suite)].into_iter().chain(lacking(suite)).collect()
        }
    }
}

/// What building bench-diff takes: the Action does it, or this program against candle, for what it was built for itself.
pub fn tools(sides: Option<&Sides>, inputs: &Inputs) -> Vec<Check> {
    let against_candle = matches!(sides, Some(Sides::Candle(_)));
    let by_action = inputs.builds_for();
    let for_gpu = by_action.map_or(against_candle && cfg!(feature = "cuda"), |device| device == "cuda");
    let cargo = (against_candle || by_action.is_some()).then_some("cargo");
    cargo.into_iter().chain(for_gpu.then_some("nvcc")).filter_map(tool).collect()
}

fn against_candle(sides: &Sides, built: &BuiltAgainstCandle, inputs: &Inputs, suite: &Suite) -> Check {
    if suite.has_only_engines_of_others() && is_unrelated(sides, suite) {
        return unrelated(inputs, engines(suite));
    }
    match &built.candle {
        CandleSource::Checkout { path } if is_no_candle(sides) => {
            Check::missing(MEASURED, format!("{} is no checkout of candle: it has no candle-core", shown(path)))
                .hint(SAY_WHAT)
        }
        CandleSource::Checkout { path } => match git::commit(path, "HEAD") {
            Err(why) => Check::missing(MEASURED, format!("the candle in {} has no commit: {why}", shown(path)))
                .hint("its history says what the base is: use a clone of it"),
            Ok(_) if is_unrelated(sides, suite) => {
                unrelated(inputs, format!("bench-diff, built against {}", shown(path)))
            }
            Ok(commit) => {
                let (place, commit) = (shown(path), short(&commit));
                Check::fine(MEASURED, format!("bench-diff, built against the candle in {place} ({commit})"))
            }
        },
        CandleSource::Git { .. } => {
            let said = format!(
                "bench-diff, built against the candle {}, which the configuration names: a pull request that doesn't \
                 change that is an error",
                built.candle
            );
            Check::fine(MEASURED, said)
        }
    }
}

/// It would be built against a directory that is no checkout of candle.
pub fn is_no_candle(sides: &Sides) -> bool {
    let Sides::Candle(BuiltAgainstCandle { candle: CandleSource::Checkout { path }, .. }) = sides else { return false };
    !is_candle(path)
}

fn own_source(source: &Path) -> Option<Check> {
    (!source.join("Cargo.toml").is_file()).then(|| {
        Check::note(
            "tools",
            format!("bench-diff's own source isn't in {}: it is built against candle", source.display()),
        )
        .hint("the Action brings it; for `bench-diff ci` here, name it with --source")
    })
}

fn by_command(BuiltByCommand { command, product, .. }: &BuiltByCommand) -> Check {
    if product.is_absolute() && !is_below_root(product) {
        return Check::missing(MEASURED, format!("`head-binary` ({}) is outside of the repository", product.display()))
            .hint("the base is built elsewhere: name the program by its path in the repository");
    }
    Check::fine(MEASURED, format!("{}, which `{command}` builds from the pull request", product.display()))
}

fn is_below_root(path: &Path) -> bool {
    git::top(Path::new(".")).is_ok_and(|top| path.starts_with(top))
}

/// What is started, and what builds it first.
fn of_repository(engines: &OwnEngines) -> Vec<Check> {
    let said = engines.described().into_iter().map(|(command, build)| {
        let built = build.map_or_else(
            || "as the pull request has it".to_owned(),
            |build| format!("which `{build}` builds from the pull request"),
        );
        Check::fine(MEASURED, format!("the engine `{command}`, {built}"))
    });
    let lacking = engines.tools().into_iter().filter_map(tool);
    said.chain(lacking).collect()
}

fn program_of(program: &Path) -> Check {
    if program.is_file() {
        return Check::fine(MEASURED, format!("{}, which is there", program.display()));
    }
    Check::note(MEASURED, format!("{}, which isn't there now", program.display()))
        .hint("an earlier step of the job has to build it from the pull request")
}

/// No input and no setting names anything else.
fn itself(sides: &Sides, inputs: &Inputs, suite: &Suite) -> Check {
    if let Some(path) = inputs.get("binary-path") {
        return Check::note(
            MEASURED,
            format!("the bench-diff in {path}: an earlier step has to build it from the pull request"),
        );
    }
    let this = Program::this();
    if suite.has_only_engines_of_others() {
        return match is_unrelated(sides, suite) {
            true => unrelated(inputs, engines(suite)),
            false => Check::note(MEASURED, engines(suite)).hint("an earlier step of the job has to build it"),
        };
    }
    if is_unrelated(sides, suite) {
        return unrelated(inputs, this.describe());
    }
    match &this.commit {
        Some(_) => Check::fine(MEASURED, format!("{}, this very program, built from this commit", this.describe())),
        None => Check::missing(
            MEASURED,
            format!("{}: nothing says whether it was built from this repository", this.describe()),
        )
        .hint(SAY_WHAT),
    }
}

/// Those that the suite names, and nobody builds.
fn engines(suite: &Suite) -> String {
    listed(&ci::named_engines(suite).iter().map(String::as_str).collect::<Vec<_>>())
}

fn unrelated(inputs: &Inputs, what: String) -> Check {
    if inputs.allows_unrelated() {
        return Check::note(
            MEASURED,
            format!("{what}: nothing of this repository is in it, which `allow-unrelated` allows"),
        );
    }
    Check::missing(MEASURED, format!("{what}: nothing of this repository is in it")).hint(SAY_WHAT)
}

/// What this build can't measure, where it is what measures.
fn lacking(suite: &Suite) -> Option<Check> {
    let why = Worker::this_for(suite).err()?;
    Some(Check::missing(MEASURED, why.in_one_line()))
}

fn tool(name: impl AsRef<str>) -> Option<Check> {
    let name = name.as_ref();
    beside_the_caller(Path::new(name)).err().map(|_| {
        Check::missing("tools", format!("{name} isn't on the PATH")).hint("install it, or put it on the runner's PATH")
    })
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() || path == Path::new(".") {
        "this checkout".into()
    } else {
        path.display().to_string()
    }
}

/// Is certainly nothing of what is checked out in it?
fn is_unrelated(sides: &Sides, suite: &Suite) -> bool {
    let checked_out: Vec<String> = git::commit(Path::new("."), "HEAD").into_iter().collect();
    ci::is_unrelated(sides, suite, &Program::this(), &checked_out)
}
