//! The models: whether their weights are here.

use super::found::Check;
use crate::case::WeightsSource;
use crate::config::{Suite, SuiteModel};
use crate::engine::{ModelSpec, foreign_program, hub};

const MODEL: &str = "model";

pub fn checks(suite: &Suite) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for check in suite.models.iter().filter_map(check) {
        if !checks.contains(&check) {
            checks.push(check);
        }
    }
    checks
}

/// A program or a server of somebody's has its models itself.
fn check(model: &SuiteModel) -> Option<Check> {
    let spec = &model.spec;
    Some(match (spec.command.first(), &spec.server, spec.weights) {
        (Some(program), _, _) => program_of(program, model)?,
        (None, Some(server), _) => {
            Check::note("engine", format!("the server at {} is asked when it is measured, not now", server.url))
        }
        (None, None, WeightsSource::Generated) => Check::fine(MODEL, "generated weights: nothing has to be downloaded"),
        (None, None, WeightsSource::Local) => local(spec),
        (None, None, WeightsSource::Hub) => of_hub(spec),
    })
}

/// What lacks is said by the plan.
fn program_of(program: &str, model: &SuiteModel) -> Option<Check> {
    let spec = &model.spec;
    match (foreign_program::lacking(&spec.command, spec.start_directory.as_deref()), model.first_built()) {
        (None, _) => Some(Check::fine("engine", format!("the program {program} is there"))),
        (Some(_), Some(build)) => {
            Some(Check::fine("engine", format!("{program} isn't there yet: `{}` builds it first", build.join(" "))))
        }
        (Some(_), None) => None,
    }
}

fn local(spec: &ModelSpec) -> Check {
    let Some(directory) = &spec.directory else { return Check::missing(MODEL, "local weights without a directory") };
    let files = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let has_weights =
        files.map(|file| file.path()).any(|file| file.extension().is_some_and(|end| end == "safetensors"));
    let place = directory.display();
    if has_weights {
        return Check::fine(MODEL, format!("{place} has weights"));
    }
    Check::missing(MODEL, format!("{place} has no safetensors"))
        .hint("put them there, or set `weights = \"generated\"`")
}

fn of_hub(spec: &ModelSpec) -> Check {
    let model = &spec.model;
    if hub::is_cached(model, spec.revision.as_deref()) {
        return Check::fine(MODEL, format!("{model} is in the hub's cache"));
    }
    if hub::is_offline() {
        return Check::missing(MODEL, format!("{model} isn't in the hub's cache, and HF_HUB_OFFLINE is set"))
            .hint("unset it to download, or set `weights = \"generated\"`");
    }
    Check::note(MODEL, format!("{model} isn't in the hub's cache: the first run downloads it"))
        .hint("a private model needs HF_TOKEN; `weights = \"generated\"` needs no download")
}
