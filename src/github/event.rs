//! Which pull request a workflow run is about: the event's payload, completed by the API if it isn't enough.

use std::io::Read;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{ApiError, Client, Repository};
use crate::report::Origin;

/// GitHub's payloads have at most 25 MB.
const MAX_PAYLOAD: u64 = 25 << 20;

/// The workflow run that this process is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `https://api.github.com`, or `https://HOST/api/v3`.
    pub api_url: String,
    /// `https://github.com`, or `https://HOST`.
    pub server_url: String,
    /// The one that the workflow is of.
    pub repository: Repository,
    /// The same for all attempts.
    pub run_id: u64,
    /// Counted from 1.
    pub run_attempt: u64,
    /// The repository's, where the event says it.
    pub default_branch: Option<String>,
    /// What started it.
    pub trigger: Trigger,
}

/// What started the run, as far as it leads to a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A pull request was opened or pushed to.
    PullRequest(PullRequest),
    /// A comment on the pull request. GitHub has to be asked for the current head.
    Comment {
        /// The pull request's.
        number: u64,
    },
    /// Another workflow ended. Its artifacts are as trustworthy as the code that it ran.
    WorkflowRun(WorkflowRun),
    /// Somebody started it by hand.
    Dispatch {
        /// The pull request that they named.
        number: Option<u64>,
    },
    /// What the branch was before; `None` for a new branch or a tag.
    Push {
        /// A commit.
        before: Option<String>,
    },
    /// A merge queue tries a commit. The event names its base.
    MergeGroup {
        /// What would be merged.
        head_sha: String,
        /// What it would be merged into.
        base_sha: String,
    },
    /// Release, schedule: no pull request.
    Other,
}

/// The run that this run follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    /// The same for all its attempts.
    pub id: u64,
    /// Counted from 1, where the event says it.
    pub attempt: Option<u64>,
    /// What started it.
    pub event: Option<String>,
    /// The commit that it ran on. Of a pull request, its head.
    pub head_sha: String,
    /// The branch of that commit, which may be a fork's.
    pub head_branch: Option<String>,
    /// Whose repository the branch is in.
    pub head_owner: Option<String>,
    /// Empty for forks.
    pub pull_requests: Vec<u64>,
}

/// As the event tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// In the repository that it goes into.
    pub number: u64,
    /// The commit that it proposes.
    pub head_sha: String,
    /// The tip of the branch that it goes into, when the event happened.
    pub base_sha: String,
    /// `None` when the fork was deleted.
    pub head_repository: Option<String>,
}

impl Context {
    /// That of github.com.
    pub const DEFAULT_API_URL: &str = "https://api.github.com";

    /// From the variables that every runner sets; `None` outside of a workflow run.
    ///
    /// `variable` is the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ApiError> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Some(repository) = get("GITHUB_REPOSITORY") else { return Ok(None) };
        let repository = Repository::parse(repository.trim())
            .ok_or_else(|| ApiError::setup(format!("GITHUB_REPOSITORY is `{repository}`, not OWNER/NAME")))?;
        let number = |name: &str| get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        let (trigger, default_branch) = match get("GITHUB_EVENT_PATH") {
            Some(path) => read_event(&get("GITHUB_EVENT_NAME").unwrap_or_default(), Path::new(&path))?,
            None => (Trigger::Other, None),
        };
        Ok(Some(Self {
            api_url: get("GITHUB_API_URL").unwrap_or_else(|| Self::DEFAULT_API_URL.into()),
            server_url: get("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".into()),
            repository,
            run_id: number("GITHUB_RUN_ID"),
            run_attempt: number("GITHUB_RUN_ATTEMPT"),
            default_branch,
            trigger,
        }))
    }

    /// The number that the event itself names.
    pub fn pull_request_number(&self) -> Option<u64> {
        match &self.trigger {
            Trigger::PullRequest(pull) => Some(pull.number),
            Trigger::Comment { number } => Some(*number),
            Trigger::Dispatch { number } => *number,
            Trigger::WorkflowRun(_) | Trigger::Push { .. } | Trigger::MergeGroup { .. } | Trigger::Other => None,
        }
    }

    /// The commit that was measured, where the event names it. A run that a comment or a person started is of the
    /// default branch, whatever it measured.
    pub fn head_sha(&self) -> Option<&str> {
        match &self.trigger {
            Trigger::PullRequest(pull) => Some(&pull.head_sha),
            Trigger::MergeGroup { head_sha, .. } => Some(head_sha),
            Trigger::WorkflowRun(run) => match run.event.as_deref() {
                None | Some("pull_request" | "push") => Some(&run.head_sha),
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// What the measurement is of that belongs to this run, or to the one that this one follows.
    pub fn origin(&self) -> Origin {
        let (run, attempt) = match &self.trigger {
            Trigger::WorkflowRun(run) => (run.id, run.attempt),
            _ => (self.run_id, Some(self.run_attempt)),
        };
        Origin {
            commit: self.head_sha().map(str::to_owned),
            run_id: Some(run).filter(|id| *id != 0),
            run_attempt: attempt.filter(|attempt| *attempt != 0),
        }
    }

    /// The tip of the branch that the pull request goes into, where the event names it.
    pub fn base_sha(&self) -> Option<&str> {
        match &self.trigger {
            Trigger::PullRequest(pull) => Some(&pull.base_sha),
            Trigger::Push { before } => before.as_deref(),
            Trigger::MergeGroup { base_sha, .. } => Some(base_sha),
            _ => None,
        }
    }

    /// The run that measured: the one before, when this one only publishes.
    pub fn measuring_run(&self) -> u64 {
        match &self.trigger {
            Trigger::WorkflowRun(run) => run.id,
            _ => self.run_id,
        }
    }

    /// Where the run that measured can be looked at.
    pub fn run_url(&self) -> String {
        format!("{}/{}/actions/runs/{}", self.server_url.trim_end_matches('/'), self.repository, self.measuring_run())
    }

    /// The pull request, if there is one. `asked` is the `pr-number` input; `claimed` comes from an artifact and counts
    /// only if that pull request's head is the commit that was measured.
    pub fn pull_request(
        &self,
        client: &Client,
        asked: Option<u64>,
        claimed: Option<u64>,
    ) -> Result<Option<PullRequest>, ApiError> {
        match (&self.trigger, asked) {
            (Trigger::WorkflowRun(run), asked) => self.pull_request_of_run(client, run, asked.or(claimed)),
            (Trigger::PullRequest(pull), None) => Ok(Some(pull.clone())),
            (Trigger::PullRequest(pull), Some(number)) if number == pull.number => Ok(Some(pull.clone())),
            (_, Some(number)) => self.pull(client, number).map(Some),
            (Trigger::Comment { number }, None) => self.pull(client, *number).map(Some),
            (Trigger::Dispatch { number: Some(number) }, None) => self.pull(client, *number).map(Some),
            (
                Trigger::Dispatch { number: None } | Trigger::Push { .. } | Trigger::MergeGroup { .. } | Trigger::Other,
                None,
            ) => Ok(None),
        }
    }

    /// The merge base of two commits, as GitHub knows it.
    pub fn merge_base(&self, client: &Client, base: &str, head: &str) -> Result<String, ApiError> {
        let path = format!("/repos/{}/compare/{base}...{head}?per_page=1", self.repository);
        check_sha(client.get::<Compared>(&path)?.merge_base_commit.sha)
    }

    fn pull(&self, client: &Client, number: u64) -> Result<PullRequest, ApiError> {
        client.get::<Pull>(&format!("/repos/{}/pulls/{number}", self.repository))?.validate()
    }

    fn pull_request_of_run(
        &self,
        client: &Client,
        run: &WorkflowRun,
        claimed: Option<u64>,
    ) -> Result<Option<PullRequest>, ApiError> {
        for number in claimed.iter().chain(&run.pull_requests) {
            match self.pull(client, *number) {
                Ok(pull) if pull.head_sha == run.head_sha => return Ok(Some(pull)),
                Ok(_) => tracing::warn!("#{number} is not at {}: not the one that was measured", run.head_sha),
                Err(error) if error.status() == Some(404) => tracing::warn!("there is no #{number}"),
                Err(error) => return Err(error),
            }
        }
        let open = format!("/repos/{}/pulls?state=open", self.repository);
        if let (Some(owner), Some(branch)) = (&run.head_owner, &run.head_branch) {
            let head = format!("{owner}:{branch}");
            let address = format!("{open}&head={}", utf8_percent_encode(&head, NON_ALPHANUMERIC));
            if let Some(found) = find_by_head(client, &address, &run.head_sha)? {
                return Ok(Some(found));
            }
        }
        find_by_head(client, &open, &run.head_sha)
    }
}

fn find_by_head(client: &Client, address: &str, head_sha: &str) -> Result<Option<PullRequest>, ApiError> {
    let pulls: Vec<Pull> = client.list(address)?;
    pulls.into_iter().find(|pull| pull.head.sha == head_sha).map(Pull::validate).transpose()
}

/// What started the run, and the repository's default branch.
fn read_event(event: &str, path: &Path) -> Result<(Trigger, Option<String>), ApiError> {
    let wrong = |why: &dyn std::fmt::Display| {
        ApiError::setup(format!("can't read the `{event}` event in {}: {why}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    let mut text = Vec::new();
    file.take(MAX_PAYLOAD).read_to_end(&mut text).map_err(|error| wrong(&error))?;
    let mut payload: Payload = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    let default_branch = payload.repository.take().and_then(|repository| repository.default_branch);
    Ok((Trigger::of(event, payload, &wrong)?, default_branch))
}

impl Trigger {
    fn of(event: &str, payload: Payload, wrong: &dyn Fn(&dyn std::fmt::Display) -> ApiError) -> Result<Self, ApiError> {
        Ok(match event {
            "pull_request" | "pull_request_target" | "pull_request_review" => {
                let pull = payload.pull_request.ok_or_else(|| wrong(&"it has no pull request"))?;
                Self::PullRequest(pull.validate()?)
            }
            "issue_comment" => match payload.issue {
                Some(Issue { number, pull_request: Some(_) }) => Self::Comment { number },
                _ => Self::Other,
            },
            "workflow_run" => {
                let run = payload.workflow_run.ok_or_else(|| wrong(&"it has no workflow run"))?;
                Self::WorkflowRun(WorkflowRun {
                    id: run.id,
                    attempt: run.run_attempt,
                    event: run.event,
                    head_sha: check_sha(run.head_sha)?,
                    head_branch: run.head_branch,
                    head_owner: run.head_repository.and_then(|repository| repository.owner).map(|owner| owner.login),
                    pull_requests: run.pull_requests.into_iter().map(|pull| pull.number).collect(),
                })
            }
            "workflow_dispatch" => {
                let number = payload.inputs.as_ref().and_then(|inputs| inputs.get("pr-number"));
                Self::Dispatch { number: number.and_then(as_number) }
            }
            "push" => {
                let is_branch = |sha: &String| sha.bytes().any(|digit| digit != b'0');
                Self::Push { before: payload.before.filter(is_branch).map(check_sha).transpose()? }
            }
            "merge_group" => {
                let group = payload.merge_group.ok_or_else(|| wrong(&"it has no merge group"))?;
                Self::MergeGroup { head_sha: check_sha(group.head_sha)?, base_sha: check_sha(group.base_sha)? }
            }
            _ => Self::Other,
        })
    }
}

/// Inputs arrive as strings from the web form, as numbers from some clients.
fn as_number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().trim_start_matches('#').parse().ok())
}

fn check_sha(sha: String) -> Result<String, ApiError> {
    let valid = matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if valid { Ok(sha) } else { Err(ApiError::setup(format!("`{}` is not a commit", sha.escape_debug()))) }
}

#[derive(Deserialize)]
struct Payload {
    pull_request: Option<Pull>,
    issue: Option<Issue>,
    workflow_run: Option<Run>,
    merge_group: Option<Group>,
    inputs: Option<serde_json::Value>,
    before: Option<String>,
    repository: Option<PayloadRepository>,
}

#[derive(Deserialize)]
struct PayloadRepository {
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    head_sha: String,
    base_sha: String,
}

#[derive(Deserialize)]
struct Compared {
    merge_base_commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    head: PullSide,
    base: PullSide,
}

impl Pull {
    fn validate(self) -> Result<PullRequest, ApiError> {
        Ok(PullRequest {
            number: self.number,
            head_sha: check_sha(self.head.sha)?,
            base_sha: check_sha(self.base.sha)?,
            head_repository: self.head.repo.map(|repository| repository.full_name),
        })
    }
}

#[derive(Deserialize)]
struct PullSide {
    sha: String,
    repo: Option<FullName>,
}

#[derive(Deserialize)]
struct FullName {
    full_name: String,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    pull_request: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    run_attempt: Option<u64>,
    event: Option<String>,
    head_sha: String,
    head_branch: Option<String>,
    head_repository: Option<HeadRepository>,
    #[serde(default)]
    pull_requests: Vec<Number>,
}

#[derive(Deserialize)]
struct HeadRepository {
    owner: Option<Login>,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

#[derive(Deserialize)]
struct Number {
    number: u64,
}
