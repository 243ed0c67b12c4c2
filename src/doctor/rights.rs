//! The job that measures: what starts it, where it runs, and what its token may do (docs/security.md).

use super::found::Check;
use super::workflow::{Action, Job, Measuring, Permissions, Step, Workflow};

const WORKFLOW: &str = "workflow";
const MEASURING: &str = "measuring job";

const EXAMPLE: &str = "bench-diff's README has one to copy, as `.github/workflows/benchmark.yml`";

pub fn checks(measuring: Option<Measuring>, workflows: &[Workflow]) -> Vec<Check> {
    let Some((workflow, job, step)) = measuring else { return vec![none(workflows)] };
    let mut checks = vec![found(workflow, job), trigger(workflow)];
    checks.extend(placeholder(step));
    checks.extend([token(job), secrets(job), runner(workflow, job)]);
    checks.extend(script(step));
    checks.extend(checkout(job));
    checks
}

fn none(workflows: &[Workflow]) -> Check {
    let check = match workflows.iter().find(|workflow| workflow.using(Action::Measure).is_some()) {
        Some(other) => {
            let said = format!("none measures pull requests: {} is started by {}", other.file, other.events.join(", "));
            Check::missing(WORKFLOW, said)
        }
        None => Check::missing(WORKFLOW, "none in .github/workflows uses the bench-diff Action"),
    };
    check.hint(EXAMPLE)
}

fn found(workflow: &Workflow, job: &Job) -> Check {
    let (file, events) = (&workflow.file, workflow.events.join(", "));
    Check::fine(WORKFLOW, format!("{file} measures in the job {}, on {events}", job.name))
}

fn trigger(workflow: &Workflow) -> Check {
    if workflow.is_started_by("pull_request_target") {
        return Check::missing(
            WORKFLOW,
            "no safe trigger: with `pull_request_target`, a stranger's code runs with the rights of your repository",
        )
        .hint("start it with `on: pull_request`");
    }
    Check::fine(WORKFLOW, "it isn't started by `pull_request_target`")
}

/// As the README's workflow has it.
pub fn placeholder(step: &Step) -> Option<Check> {
    step.uses.starts_with("OWNER/").then(|| {
        Check::missing(WORKFLOW, format!("`{}` is no repository", step.uses))
            .hint("replace OWNER with the account that holds the bench-diff you use")
    })
}

fn token(job: &Job) -> Check {
    const READ: &str = "give it `permissions: contents: read` and nothing else; the publishing job writes";
    let name = &job.name;
    match job.permissions.writes() {
        None => Check::missing(
            MEASURING,
            format!("{name} doesn't say what its token may do: the repository's settings decide"),
        )
        .hint(READ),
        Some(writes) if !writes.is_empty() => {
            let said = format!(
                "{name} lacks a token that only reads: the pull request's code runs there, and it may write {}",
                writes.join(", ")
            );
            Check::missing(MEASURING, said).hint(READ)
        }
        Some(_) if !job.permissions.may("read", "contents") => Check::missing(
            MEASURING,
            format!("{name} may not read the repository, so it can't check it out or fetch the base"),
        )
        .hint("give it `permissions: contents: read`"),
        Some(_) => Check::fine(MEASURING, format!("{name} has a token that can only read {}", read(&job.permissions))),
    }
}

fn read(permissions: &Permissions) -> String {
    match permissions {
        Permissions::Each(each) => {
            each.iter().filter(|(_, may)| *may == "read").map(|(of, _)| &**of).collect::<Vec<_>>().join(", ")
        }
        Permissions::All(_) | Permissions::Unsaid => "everything".to_owned(),
    }
}

/// The job's own token is judged by its rights.
fn secrets(job: &Job) -> Check {
    let foreign =
        |text: &&String| text.contains("secrets.") || text.contains("secrets[") || text.contains("toJSON(secrets)");
    let own = |text: &&String| text.replace("secrets.GITHUB_TOKEN", "").contains("secrets");
    if job.texts.iter().filter(foreign).any(|text| own(&text)) {
        return Check::missing(
            MEASURING,
            format!("{} isn't free of secrets: the pull request's code can read them", job.name),
        )
        .hint("use them in a job that runs nothing of the pull request");
    }
    Check::fine(MEASURING, format!("{} has no secrets", job.name))
}

/// A fork's code is a stranger's: it runs on nobody's machine unless somebody has read it.
fn runner(workflow: &Workflow, job: &Job) -> Check {
    let (name, labels) = (&job.name, job.runs_on.join(", "));
    if !job.is_self_hosted() {
        return Check::note(MEASURING, format!("{name} runs on GitHub's runner {labels}, which has no GPU"));
    }
    if let Some(open) = open_to(workflow, &job.condition) {
        let said = format!("nothing keeps {open} from your runner ({labels})");
        return Check::missing(MEASURING, said).hint(
            "give the job the `if` of docs/action.md: `github.event.pull_request.head.repo.full_name == github.repository`",
        );
    }
    let said = if workflow.is_started_by("workflow_call") {
        format!("{name} runs on your runner ({labels}); who calls {} isn't looked at", workflow.file)
    } else {
        format!("{name} runs on your runner ({labels}), and its `if` says whose code runs there")
    };
    Check::note(MEASURING, said).hint(
        "if the repository is public: Settings, Actions, General, require approval for all external contributors \
         (a fork can change this file)",
    )
}

/// Whose code gets there, by a look at the condition's text.
fn open_to(workflow: &Workflow, condition: &str) -> Option<&'static str> {
    let same =
        ["head.repo.full_name==github.repository", "github.repository==github.event.pull_request.head.repo.full_name"];
    let no_fork = ["head.repo.fork==false", "!github.event.pull_request.head.repo.fork"];
    let says = |texts: &[&str]| texts.iter().any(|text| condition.contains(text));
    let pulls = ["pull_request", "pull_request_target"].iter().any(|event| workflow.is_started_by(event));
    let others_ask = workflow.is_started_by("issue_comment") && !condition.contains("author_association");
    if pulls && !says(&same) && !says(&no_fork) {
        return Some("a fork's code");
    }
    others_ask.then_some("whoever comments")
}

/// What a pull request's author writes must not become a part of a script.
fn script(step: &Step) -> Option<Check> {
    let command = step.with.get("build-command")?;
    let foreign = ["github.event.", "github.head_ref", "github.ref_name"];
    foreign.iter().any(|text| command.contains(text)).then(|| {
        Check::missing(
            MEASURING,
            "a `build-command` that is free of the pull request's own text: its author could write commands",
        )
        .hint("hand it over in an environment variable")
    })
}

/// A checkout keeps the token in the clone, for later steps to fetch with.
fn checkout(job: &Job) -> Option<Check> {
    let mut checkouts = job.steps.iter().filter(|step| step.uses == "actions/checkout");
    checkouts.any(|step| step.with.get("persist-credentials").is_none_or(|keeps| keeps != "false")).then(|| {
        Check::note(
            MEASURING,
            "`actions/checkout` leaves the token in the clone, where the pull request's code can read it",
        )
        .hint("give it `persist-credentials: false`")
    })
}
