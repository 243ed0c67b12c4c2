//! The plan: which cases of a suite will run, what they need, and which can't fit.
//!
//! What a case needs is the engine's estimate; it decides only what is hopeless to try.

mod too_large;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::too_large::shortage;
use self::too_large::too_large;
use crate::case::Case;
use crate::config::{CandleSource, Suite, SuiteModel};
use crate::device::Capacity;
use crate::engine::{self, EngineError, Memory, Needs, Refusal};
use crate::error::{Error, Exit, Result};
use crate::prompt::own_or_by_rule;
use crate::results::{Failure, FailureKind};

/// Starting a process and its device, in seconds.
const START_SECONDS: f64 = 3.0;

/// A suite on a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Its name in the configuration.
    pub suite: String,
    /// What it is planned for.
    pub device: Capacity,
    /// What the program is built against before it is measured; the released candle when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candle: Option<CandleSource>,
    /// Programs of their own that run its models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<PlannedEngine>,
    /// Runs of each case.
    pub runs: u32,
    /// In the order of the configuration.
    pub cases: Vec<PlannedCase>,
    /// For everything that the engines can tell, loading included, downloads excluded.
    pub seconds: f64,
}

/// A case and what it is expected to need.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedCase {
    /// What is measured.
    pub case: Case,
    /// Absent where the engine can't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The same of each of several GPUs, where the engine can tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_card: Vec<Memory>,
    /// For one run of the case, warm-up included, loading excluded. Absent where the engine can't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What runs in place of what was asked for, and why: a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Why it can't run: the case becomes this failure without being tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A program of its own that runs models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedEngine {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What builds it from this repository; empty where the checkout is all that it takes, absent where it isn't said to be
    /// of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Vec<String>>,
}

impl Plan {
    /// Some case can run.
    pub fn has_running(&self) -> bool {
        self.cases.iter().any(|case| case.failure.is_none())
    }

    /// Why cases can't run, by id.
    pub fn refused(&self) -> BTreeMap<String, Failure> {
        let failures = self.cases.iter().filter_map(|case| Some((case.case.id.clone(), case.failure.clone()?)));
        failures.collect()
    }

    /// Expected seconds of a run, by case, where the engine can tell.
    pub fn seconds_by_case(&self) -> BTreeMap<String, f64> {
        self.cases.iter().filter_map(|case| Some((case.case.id.clone(), case.seconds?))).collect()
    }

    /// The suite with each model's length cut to the longest of its cases that can run: the KV cache is made for it.
    pub fn fit(&self, mut suite: Suite) -> Suite {
        let runs =
            |case: &&Case| self.cases.iter().any(|planned| planned.case.id == case.id && planned.failure.is_none());
        for model in &mut suite.models {
            let longest = model.cases.iter().filter(runs).map(Case::length).max();
            model.spec.max_length = longest.map_or(model.spec.max_length, |longest| longest as usize);
        }
        suite
    }
}

/// An estimate of time, as rough as it is and as `plan` shows it.
pub fn about(seconds: f64) -> String {
    match seconds {
        ..1.0 => "under 1 s".to_owned(),
        ..120.0 => format!("about {seconds:.0} s"),
        ..7200.0 => format!("about {:.0} min", seconds / 60.0),
        _ => format!("about {:.1} h", seconds / 3600.0),
    }
}

/// Plans `suite` for this machine. The suite comes back ready to be measured: too long cases, which the plan refuses,
/// don't count for the length of their model.
pub fn here(suite: Suite) -> Result<(Suite, Plan)> {
    let plan = plan(&suite, Capacity::of(suite.device(), &suite.gpus))?;
    Ok((plan.fit(suite), plan))
}

/// Plans `suite` for `device`.
pub fn plan(suite: &Suite, device: Capacity) -> Result<Plan> {
    let mut cases = Vec::new();
    let mut seconds = 0.0;
    for model in &suite.models {
        if let Some(refusal) = &model.refused {
            cases.extend(model.cases.iter().map(|case| refused(case, refusal)));
            continue;
        }
        let needs = needs(model, &device).map_err(|error| Error::of(Exit::Usage, error))?;
        let planned: Vec<_> =
            model.cases.iter().zip(&needs).map(|(case, needs)| plan_case(model, case, needs, suite, &device)).collect();
        let running: Vec<&PlannedCase> = planned.iter().filter(|case| case.failure.is_none()).collect();
        if !running.is_empty() {
            let processes = running.len().div_ceil(model.spec.cases_of_process(running.len()));
            let load = processes as f64 * (START_SECONDS + needs[0].load_seconds);
            let told: Vec<f64> = running.iter().filter_map(|case| case.seconds).collect();
            // How long a program takes to start that tells nothing is its own affair, too.
            let load = if told.is_empty() { 0.0 } else { load };
            seconds += f64::from(suite.settings.runs) * (load + told.iter().sum::<f64>());
        }
        cases.extend(planned);
    }
    let (name, candle) = (suite.name.clone(), suite.candle.clone());
    Ok(Plan { suite: name, device, candle, engines: engines(suite), runs: suite.settings.runs, cases, seconds })
}

/// Each once.
fn engines(suite: &Suite) -> Vec<PlannedEngine> {
    let mut engines = Vec::new();
    for model in suite.models.iter().filter(|model| model.spec.engine.as_str() == engine::command::NAME) {
        let engine = PlannedEngine { command: model.spec.command.clone(), build: model.build.clone() };
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    engines
}

/// What each case of a model needs.
fn needs(model: &SuiteModel, device: &Capacity) -> Result<Vec<Needs>, EngineError> {
    let engine = engine::find(&model.spec.engine)?;
    let needs = |case| {
        let needs = engine.needs(&model.spec, case, device)?;
        let lacking = needs.lacking.filter(|_| model.first_built().is_none());
        Ok(Needs { lacking, ..needs })
    };
    model.cases.iter().map(needs).collect()
}

/// A case of a model that its engine can't run.
fn refused(case: &Case, refusal: &Refusal) -> PlannedCase {
    let failure = Failure { kind: FailureKind::Error, reason: refusal.reason.clone() };
    PlannedCase {
        case: case.clone(),
        memory: None,
        by_card: Vec::new(),
        seconds: None,
        instead: None,
        failure: Some(failure),
    }
}

fn plan_case(model: &SuiteModel, case: &Case, needs: &Needs, suite: &Suite, device: &Capacity) -> PlannedCase {
    let settings = &suite.settings;
    let lacking = needs.lacking.clone().map(|reason| Failure { kind: FailureKind::Error, reason });
    let reason = needs.obstacle.clone().or_else(|| too_large(model, case, needs, device));
    let failure = lacking.or_else(|| Some(Failure { kind: FailureKind::DoesNotFit, reason: reason? }));
    let failure = failure.or_else(|| {
        let reason = outside_vocabulary(case, suite, needs.vocab_size?)?;
        Some(Failure { kind: FailureKind::Error, reason })
    });
    let warmup_length = settings.warmup_length.unwrap_or(case.generated_length);
    let generation = |length| needs.generation_seconds(case.context_length, length);
    let seconds = generation(case.generated_length)
        .zip(generation(warmup_length))
        .map(|(measured, warmup)| f64::from(settings.iterations) * measured + f64::from(settings.warmup) * warmup);
    let (memory, by_card, instead) = (needs.memory, needs.by_card.clone(), needs.instead.clone());
    PlannedCase { case: case.clone(), memory, by_card, seconds, instead, failure }
}

/// Why the prompt isn't one for a model with so many tokens.
fn outside_vocabulary(case: &Case, suite: &Suite, vocab_size: usize) -> Option<String> {
    let (settings, own) = (&suite.settings, suite.prompt_ids.as_deref());
    let highest = own_or_by_rule(settings, own, case.context_length as usize).ok()?.into_iter().max()?;
    let why = own.map_or(": its vocabulary isn't Qwen2.5's, so give token ids of its own (`prompt-ids`)", |_| "");
    (highest as usize >= vocab_size).then(|| {
        let prompt = &settings.prompt;
        format!("the prompt `{prompt}` has token {highest}, but the model has only ids below {vocab_size}{why}")
    })
}
