//! The job that publishes: its token can write, so nothing of a pull request may run there.

use super::found::Check;
use super::rights::placeholder;
use super::workflow::{Action, Job, Measuring, Step, Workflow};

const PUBLISHING: &str = "publishing job";

pub fn checks(measuring: Option<Measuring>, workflows: &[Workflow]) -> Vec<Check> {
    let Some((workflow, measures, _)) = measuring else { return Vec::new() };
    // In the same workflow, or in one that follows it.
    let after = workflows.iter().filter(|other| other.is_started_by("workflow_run"));
    let found = std::iter::once(workflow).chain(after).find_map(|workflow| workflow.using(Action::Publish));
    let Some((job, step)) = found else { return vec![none()] };
    if std::ptr::eq(job, measures) {
        return vec![
            Check::missing(PUBLISHING, format!("{} measures and publishes: one job can't do both", job.name))
                .hint("publish in a job of its own: what is measured reaches whatever its job has"),
        ];
    }
    let mut checks = vec![rights(job), place(job)];
    checks.extend([placeholder(step), check_run(job, step), company(job)].into_iter().flatten());
    checks
}

fn none() -> Check {
    Check::missing(PUBLISHING, "no job uses `bench-diff/.github/actions/publish`: nobody would see the verdict")
        .hint("bench-diff's README has one to copy; without it, the result is only in the run's summary")
}

fn rights(job: &Job) -> Check {
    let name = &job.name;
    if job.permissions.may("write", "pull-requests") {
        return Check::fine(PUBLISHING, format!("{name} may comment (`pull-requests: write`)"));
    }
    Check::missing(PUBLISHING, format!("{name} may not comment")).hint("give it `permissions: pull-requests: write`")
}

fn check_run(job: &Job, step: &Step) -> Option<Check> {
    let wanted = step.with.get("check-run").is_none_or(|wanted| wanted != "false");
    (wanted && !job.permissions.may("write", "checks")).then(|| {
        Check::missing(PUBLISHING, format!("{} may not set the check run that a branch can require", job.name))
            .hint("give it `permissions: checks: write`, or set `check-run: false`")
    })
}

/// A runner that measures pull requests may keep something of them.
fn place(job: &Job) -> Check {
    let (name, labels) = (&job.name, job.runs_on.join(", "));
    if job.is_self_hosted() {
        return Check::missing(
            PUBLISHING,
            format!("{name} doesn't run on a runner of GitHub's ({labels}), but its token can write"),
        )
        .hint("set `runs-on: ubuntu-latest`");
    }
    Check::fine(PUBLISHING, format!("{name} runs on GitHub's runner {labels}"))
}

/// What else runs beside its token.
fn company(job: &Job) -> Option<Check> {
    if job.steps.iter().any(|step| step.uses.starts_with("actions/cache")) {
        let check = Check::missing(
            PUBLISHING,
            format!("{} isn't free of caches, which measuring jobs may have written", job.name),
        );
        return Some(check.hint("leave `actions/cache` out (docs/security.md)"));
    }
    let known = |step: &&Step| step.action.is_some() || step.uses == "actions/checkout";
    let others = job.steps.iter().filter(|step| !known(step)).count();
    (others > 0).then(|| {
        Check::note(PUBLISHING, format!("{} has other steps beside its token that can write", job.name))
            .hint("let it publish and do nothing else")
    })
}
