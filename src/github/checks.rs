//! A check run on the pull request's head: the verdict beside the other checks.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, Client, Repository};

/// GitHub's limit for a check run's summary, in characters.
const MAX_SUMMARY: usize = 65_535;

/// How a check run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// All is well.
    Success,
    /// Stops the pull request where the check is required.
    Failure,
    /// Says something without stopping anything.
    Neutral,
}

impl Conclusion {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
        }
    }
}

/// What a check run says.
#[derive(Debug, Clone)]
pub struct CheckRun<'a> {
    /// The same name for the same suite and GPU, so that a branch can require it.
    pub name: &'a str,
    /// The commit that it is of.
    pub head_sha: &'a str,
    /// The workflow run that measured: its attempts bring one check run up to date.
    pub run_id: u64,
    /// How it ends.
    pub conclusion: Conclusion,
    /// One line.
    pub title: &'a str,
    /// The comment, as Markdown.
    pub summary: &'a str,
    /// Where its link leads.
    pub details_url: &'a str,
}

#[derive(Deserialize)]
struct Listed {
    check_runs: Vec<Existing>,
}

#[derive(Deserialize)]
struct Existing {
    id: u64,
    name: String,
    #[serde(default)]
    external_id: Option<String>,
}

/// Creates the check run, or updates the one that this workflow run created already.
pub fn publish(client: &Client, repository: &Repository, check: &CheckRun) -> Result<(), ApiError> {
    let external_id = format!("bench-diff-{}", check.run_id);
    let content = json!({
        "name": check.name,
        "external_id": external_id,
        "status": "completed",
        "conclusion": check.conclusion.word(),
        "details_url": check.details_url,
        "output": { "title": check.title, "summary": check.summary.chars().take(MAX_SUMMARY).collect::<String>() },
    });
    let existing = || find(client, repository, check, &external_id);
    if let Some(id) = existing()? {
        return update(client, repository, id, &content);
    }
    let mut created = content.clone();
    created["head_sha"] = check.head_sha.into();
    match client.post::<Value>(&format!("/repos/{repository}/check-runs"), &created) {
        Ok(_) => Ok(()),
        // The answer was lost: look before doing it again.
        Err(error) if error.may_have_happened() => match existing()? {
            Some(id) => update(client, repository, id, &content),
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn update(client: &Client, repository: &Repository, id: u64, content: &Value) -> Result<(), ApiError> {
    client.patch::<Value>(&format!("/repos/{repository}/check-runs/{id}"), content).map(drop)
}

/// One page is enough: the newest run of a name comes first.
fn find(
    client: &Client,
    repository: &Repository,
    check: &CheckRun,
    external_id: &str,
) -> Result<Option<u64>, ApiError> {
    let listed: Listed =
        client.get(&format!("/repos/{repository}/commits/{}/check-runs?per_page=100", check.head_sha))?;
    Ok(listed
        .check_runs
        .into_iter()
        .find(|existing| existing.name == check.name && existing.external_id.as_deref() == Some(external_id))
        .map(|existing| existing.id))
}
