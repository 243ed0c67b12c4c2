//! The repository's workflows, as far as they use the bench-diff Action.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::yaml::Node;

/// GitHub's own limit for a workflow file is smaller.
const MOST_BYTES: u64 = 1 << 20;
const MOST_FILES: usize = 200;

/// A workflow file.
pub struct Workflow {
    /// From the repository's root.
    pub file: String,
    /// The events that start it.
    pub events: Vec<String>,
    pub jobs: Vec<Job>,
}

/// A job that uses one of the Actions.
pub struct Job {
    pub name: String,
    pub runs_on: Vec<String>,
    pub permissions: Permissions,
    /// Its `if`, without white space.
    pub condition: String,
    pub steps: Vec<Step>,
    /// Every text of it and of the workflow's environment, wherever it stands.
    pub texts: Vec<String>,
}

/// What a job's token may do.
pub enum Permissions {
    /// The repository's settings decide.
    Unsaid,
    /// `read-all` or `write-all`.
    All(String),
    /// By what it is about: `read`, `write` or `none`.
    Each(BTreeMap<String, String>),
}

/// A step, by what it uses.
pub struct Step {
    pub action: Option<Action>,
    /// Without what stands behind the `@`; empty where it is a script.
    pub uses: String,
    pub with: BTreeMap<String, String>,
}

/// bench-diff's own Actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Measure,
    Publish,
    Baseline,
}

/// All workflows that use the Action, and sentences about files that can't be read.
pub fn find(root: &Path) -> (Vec<Workflow>, Vec<String>) {
    let (mut workflows, mut problems) = (Vec::new(), Vec::new());
    for path in files(&root.join(".github/workflows")) {
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        match read(&path).and_then(|text| Node::parse(&text)) {
            Ok(node) => workflows.extend(workflow(file, &node, root)),
            Err(why) => problems.push(format!("{file}: {why}")),
        }
    }
    (workflows, problems)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let mut files: Vec<PathBuf> = entries.filter(is_yaml).take(MOST_FILES).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    if !path.metadata().map_err(failed)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES { Err("it is larger than 1 MiB".to_owned()) } else { Ok(text) }
}

fn workflow(file: String, node: &Node, root: &Path) -> Option<Workflow> {
    let jobs = node.get("jobs").map(Node::entries).unwrap_or_default();
    let jobs = jobs.iter().filter_map(|(name, job_node)| job(name, job_node, node, root));
    let jobs: Vec<Job> = jobs.collect();
    let events = node.get("on").map(Node::words).unwrap_or_default().into_iter().map(str::to_owned).collect();
    (!jobs.is_empty()).then_some(Workflow { file, events, jobs })
}

/// With what the workflow says for all its jobs.
fn job(name: &str, node: &Rc<Node>, workflow: &Node, root: &Path) -> Option<Job> {
    let steps = node.get("steps").map(Node::items).unwrap_or_default();
    let steps: Vec<Step> = steps.iter().map(|node| step(node, root)).collect();
    steps.iter().find(|step| step.action.is_some())?;
    let (mut seen, mut texts) = (HashSet::new(), Vec::new());
    for (_, node) in workflow.entries().iter().filter(|(name, _)| name == "env") {
        collect_texts(node, &mut seen, &mut texts);
    }
    collect_texts(node, &mut seen, &mut texts);
    let condition = node.get("if").and_then(Node::text).unwrap_or_default();
    Some(Job {
        name: name.to_owned(),
        runs_on: runners(node.get("runs-on")),
        permissions: permissions(node.get("permissions").or_else(|| workflow.get("permissions"))),
        condition: condition.split_whitespace().collect(),
        steps,
        texts,
    })
}

/// Labels, also where a group is named beside them.
fn runners(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let words = match node.get("labels") {
        Some(labels) => labels.words(),
        // A group is of runners that somebody registered.
        None if node.get("group").is_some() => vec!["self-hosted"],
        None => node.words(),
    };
    words.into_iter().map(str::to_owned).collect()
}

fn permissions(node: Option<&Node>) -> Permissions {
    match node {
        None => Permissions::Unsaid,
        Some(Node::Text(word)) if word.is_empty() => Permissions::Each(BTreeMap::new()),
        Some(Node::Text(word)) => Permissions::All(word.clone()),
        Some(node) => Permissions::Each(texts_by_name(node)),
    }
}

fn texts_by_name(node: &Node) -> BTreeMap<String, String> {
    let texts = node.entries().iter().filter_map(|(name, node)| Some((name.clone(), node.text()?.to_owned())));
    texts.collect()
}

fn step(node: &Node, root: &Path) -> Step {
    let uses = node.get("uses").and_then(Node::text).unwrap_or_default();
    let uses = uses.split('@').next().unwrap_or_default().trim().to_owned();
    Step { action: action(&uses, root), with: node.get("with").map(texts_by_name).unwrap_or_default(), uses }
}

/// `OWNER/bench-diff`, a path in it, or a path in a checkout of it.
fn action(uses: &str, root: &Path) -> Option<Action> {
    let below = match uses.strip_prefix("./") {
        Some(path) if is_bench_diff(root) => path,
        Some(_) => return None,
        None => {
            let mut parts = uses.splitn(3, '/');
            parts.next().zip(parts.next()).filter(|(_, name)| *name == "bench-diff")?;
            parts.next().unwrap_or_default()
        }
    };
    match below.trim_end_matches('/') {
        "" => Some(Action::Measure),
        ".github/actions/publish" => Some(Action::Publish),
        ".github/actions/baseline" => Some(Action::Baseline),
        _ => None,
    }
}

fn is_bench_diff(root: &Path) -> bool {
    read(&root.join("action.yml")).is_ok_and(|text| text.lines().any(|line| line == "name: bench-diff"))
}

/// What is shared is looked at once: aliases could lead through more than there is time for.
fn collect_texts(node: &Rc<Node>, seen: &mut HashSet<*const Node>, texts: &mut Vec<String>) {
    if !seen.insert(Rc::as_ptr(node)) {
        return;
    }
    match &**node {
        Node::Text(text) => texts.push(text.clone()),
        Node::List(items) => items.iter().for_each(|item| collect_texts(item, seen, texts)),
        Node::Map(entries) => entries.iter().for_each(|(_, node)| collect_texts(node, seen, texts)),
    }
}

impl Workflow {
    /// The job that has a step of this Action, with the step.
    pub fn using(&self, action: Action) -> Option<(&Job, &Step)> {
        let of = |job: &'_ Job| job.steps.iter().position(|step| step.action == Some(action));
        self.jobs.iter().find_map(|job| of(job).map(|at| (job, &job.steps[at])))
    }

    pub fn is_started_by(&self, event: &str) -> bool {
        self.events.iter().any(|known| known == event)
    }
}

impl Job {
    /// On a machine that somebody registered, or may be: an expression can stand for any.
    pub fn is_self_hosted(&self) -> bool {
        let hosted = |label: &String| ["ubuntu-", "windows-", "macos-"].iter().any(|name| label.starts_with(name));
        !(self.runs_on.len() == 1 && self.runs_on.iter().all(hosted))
    }
}

impl Permissions {
    /// What it may write; `None` where nobody can tell from the file.
    pub fn writes(&self) -> Option<Vec<&str>> {
        match self {
            Self::Unsaid => None,
            Self::All(word) if word == "read-all" => Some(Vec::new()),
            Self::All(_) => Some(vec!["everything"]),
            Self::Each(each) => Some(each.iter().filter(|(_, may)| *may == "write").map(|(of, _)| &**of).collect()),
        }
    }

    pub fn may(&self, what: &str, of: &str) -> bool {
        match self {
            Self::Unsaid => false,
            Self::All(word) => word == "write-all" || (word == "read-all" && what == "read"),
            Self::Each(each) => each.get(of).is_some_and(|may| may == what || may == "write"),
        }
    }
}

/// Where a pull request is measured: workflow, job and step.
pub type Measuring<'a> = (&'a Workflow, &'a Job, &'a Step);

/// What starts a workflow for a pull request.
const EVENTS: [&str; 5] = ["pull_request", "pull_request_target", "issue_comment", "merge_group", "workflow_call"];

/// The first workflow that measures pull requests; a dangerous one before the others.
pub fn of_pull_requests(workflows: &[Workflow]) -> Option<Measuring<'_>> {
    let measuring = |workflow: &&Workflow| EVENTS.iter().any(|event| workflow.is_started_by(event));
    let found = workflows
        .iter()
        .filter(measuring)
        .filter_map(|workflow| workflow.using(Action::Measure).map(|(job, step)| (workflow, job, step)));
    found.min_by_key(|(workflow, _, _)| !workflow.is_started_by("pull_request_target"))
}
