//! The models: whether their weights are here.

use super::found::Check;
use super::servers;
use crate::case::WeightsSource;
use crate::config::{Suite, SuiteModel};
use crate::engine::{ModelSpec, foreign_program};
use crate::hub::{self, Directory, Hub, ModelId};

const MODEL: &str = "model";

pub fn checks(suite: &Suite) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for check in suite.models.iter().flat_map(of_model) {
        if !checks.contains(&check) {
            checks.push(check);
        }
    }
    checks
}

/// A program or a server of somebody's has its models itself.
fn of_model(model: &SuiteModel) -> Vec<Check> {
    let spec = &model.spec;
    match (spec.command.first(), &spec.server, spec.weights) {
        (Some(program), _, _) => program_of(program, model).into_iter().collect(),
        (None, Some(server), _) => servers::checks(spec, server),
        (None, None, WeightsSource::Generated) => {
            vec![Check::fine(MODEL, "generated weights: nothing has to be downloaded")]
        }
        (None, None, WeightsSource::Local) => vec![local(spec)],
        (None, None, WeightsSource::Hub) => vec![of_hub(spec)],
    }
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
    let (place, model) = (directory.display(), ModelId::of_directory(&spec.model));
    if directory.is_file() || Directory(directory.clone()).cached(&model, None).is_some() {
        return Check::fine(MODEL, format!("{place} has weights"));
    }
    Check::missing(MODEL, format!("{place} has no safetensors, or not all of them"))
        .hint("put them there, or set `weights = \"generated\"`")
}

fn of_hub(spec: &ModelSpec) -> Check {
    let (model, title) = (&spec.model, spec.hub.title());
    if let Some((hub, _)) = hub::here(spec.hub, model, spec.revision.as_deref()) {
        return Check::fine(MODEL, format!("{model} is in the cache of {}", hub.title()));
    }
    if hub::is_offline() {
        return Check::missing(MODEL, format!("{model} isn't in the cache of any hub, and HF_HUB_OFFLINE is set"))
            .hint("unset it to download, or set `weights = \"generated\"`");
    }
    let token = spec.hub.token_variable();
    Check::note(MODEL, format!("{model} isn't in the cache of {title}: the first run downloads it"))
        .hint(format!("`bench-diff models pull {model}` does so now; a private model needs {token}"))
}
