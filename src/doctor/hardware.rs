//! The machine, and whether the suite fits on it.

use std::collections::BTreeMap;

use super::found::{Check, listed};
use super::inputs::Inputs;
use crate::case::DeviceKind;
use crate::config::Suite;
use crate::device::{self, Capacity, Card, Machine, Ours};
use crate::error::Advice;
use crate::measure;
use crate::plan::{self, Plan, PlannedCase};
use crate::plural::counted;

const MACHINE: &str = "machine";
/// Cases that can't run for other reasons are only counted.
const MOST_REASONS: usize = 10;

pub fn checks(suite: Option<&Suite>, inputs: &Inputs, machine: &Machine) -> Vec<Check> {
    let Some(suite) = suite else { return visible().into_iter().collect() };
    let mut checks = match suite.device() {
        _ if !suite.runs_here() => vec![of_servers(inputs)],
        DeviceKind::Cpu if inputs.builds_for_gpu() => vec![of_workflow(machine)],
        DeviceKind::Cpu => vec![cpu(suite)],
        DeviceKind::Cuda => gpus(suite),
    };
    checks.extend(fit(suite));
    checks
}

fn visible() -> Option<Check> {
    let cards = device::driver().map(|driver| driver.cards()).filter(|cards| !cards.is_empty())?;
    Some(Check::fine(MACHINE, format!("{}, the first of them {}", counted(cards.len(), "GPU"), cards[0].name)))
}

fn cpu(suite: &Suite) -> Check {
    let name = Capacity::of(DeviceKind::Cpu, &suite.gpus).name;
    match device::driver().map_or(0, |driver| driver.cards().len()) {
        0 => Check::fine(MACHINE, format!("{name}; no GPU is visible, and the suite needs none")),
        count => Check::note(MACHINE, format!("{name}; the suite doesn't use the {} here", counted(count, "GPU"))),
    }
}

/// Whatever they run on, nothing else is measured.
fn of_servers(inputs: &Inputs) -> Check {
    if inputs.builds_for_gpu() {
        let said = "the suite's models run on servers: the workflow's build for a GPU (`build: cuda`) has no use";
        return Check::note(MACHINE, said).hint("set `build: cpu`");
    }
    Check::fine(MACHINE, "the suite's models run on servers, whose devices are theirs: this machine needs no GPU")
}

/// The workflow's build is for a GPU, whatever this one is for.
fn of_workflow(machine: &Machine) -> Check {
    if machine.has_gpu() {
        let said = "a GPU is visible, for which the workflow builds (`build: cuda`); this bench-diff plans for the CPU";
        return Check::note(MACHINE, said).hint("look again with a bench-diff that is built with `--features cuda`");
    }
    Check::missing(MACHINE, "the workflow builds for a GPU (`build: cuda`), and none is visible")
        .hint("look on the runner that is to measure; for a suite on the CPU, set `build: cpu`")
}

fn gpus(suite: &Suite) -> Vec<Check> {
    let cards = suite.gpus.open();
    if cards.is_empty() || cards.len() < suite.gpus.count() {
        let check = Check::missing(MACHINE, format!("the suite {} needs a GPU, and none is visible", suite.name));
        return vec![
            check.hint("install NVIDIA's driver, and look at CUDA_VISIBLE_DEVICES; or choose a suite for the CPU"),
        ];
    }
    cards.iter().map(|card| gpu(card.as_ref(), suite)).collect()
}

fn gpu(card: &dyn Card, suite: &Suite) -> Check {
    let versions = device::driver().map(|driver| driver.versions()).unwrap_or_default();
    let driver = versions.driver.as_deref().unwrap_or("unknown");
    let what = format!("{}, {}, driver {driver}", card.id(), card.hardware().name);
    match measure::busy(card, &Ours::this_process()) {
        None => Check::fine(MACHINE, format!("{what}; nobody uses it")),
        Some(why) => Check::note(MACHINE, format!("{what}; {why}"))
            .hint(format!("measuring waits up to {} s for it (`idle-wait-seconds`)", suite.limits.idle_wait_seconds)),
    }
}

/// By the plan: what is hopeless isn't tried.
fn fit(suite: &Suite) -> Vec<Check> {
    match plan::here(suite.clone()) {
        Ok((_, plan)) => planned(&plan),
        Err(why) => vec![Check::missing("plan", why.in_one_line())],
    }
}

/// As far as the engines can tell.
fn all_run(plan: &Plan) -> String {
    let untold = |told: fn(&PlannedCase) -> bool| plan.cases.iter().filter(|case| !told(case)).count();
    let [room, time] = [untold(|case| case.memory.is_some()), untold(|case| case.seconds.is_some())];
    let fits = match room {
        0 => "every case fits",
        room if room == plan.cases.len() => "every case is tried, as its engine can't tell what it needs",
        _ => "every case fits or is tried, as its engine can't tell what it needs",
    };
    let about = plan::about(plan.seconds);
    match time {
        0 => format!("{fits}; a session takes {about}, without downloads"),
        time if time == plan.cases.len() => format!("{fits}, nor how long that takes"),
        time => format!("{fits}; a session takes {about} and what {} take", counted(time, "such case")),
    }
}

fn planned(plan: &Plan) -> Vec<Check> {
    let refused = plan.refused();
    let refused = refused.iter().map(|(id, failure)| (id.as_str(), failure.reason.as_str()));
    let mut checks = by_reason(Check::missing, refused, "can't run");
    if checks.is_empty() {
        checks.push(Check::fine("plan", all_run(plan)));
    }
    let running = plan.cases.iter().filter(|planned| planned.failure.is_none());
    let otherwise = running.filter_map(|planned| Some((planned.case.id.as_str(), planned.instead.as_deref()?)));
    checks.extend(by_reason(Check::note, otherwise, "run otherwise than asked for"));
    checks
}

/// A line for each reason, of cases by their ids; what many more have in common is `left`.
fn by_reason<'a>(
    check: fn(&'static str, String) -> Check,
    told: impl Iterator<Item = (&'a str, &'a str)>,
    left: &str,
) -> Vec<Check> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, reason) in told {
        by_reason.entry(reason).or_default().push(id);
    }
    let others: usize = by_reason.values().skip(MOST_REASONS).map(Vec::len).sum();
    let more = (others > 0).then(|| check("plan", format!("{} more {left}", counted(others, "case"))));
    let reasons = by_reason.iter().take(MOST_REASONS);
    reasons.map(|(reason, ids)| check("plan", format!("{}: {reason}", listed(ids)))).chain(more).collect()
}
