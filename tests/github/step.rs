//! A step of a workflow, as a runner starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bench_diff::report::Report;
use serde_json::{Value, json};

use crate::fake::{GitHub, HEAD_SHA, pull};

/// A runner's view of one step.
pub struct Step {
    pub directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Step {
    pub fn new(github: &GitHub, event: &str, payload: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(file("event.json"), payload.to_string()).unwrap();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_API_URL", github.url.clone()),
            ("GITHUB_SERVER_URL", "https://github.test".to_owned()),
            ("GITHUB_REPOSITORY", "acme/candle".to_owned()),
            ("GITHUB_RUN_ID", "42".to_owned()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_EVENT_NAME", event.to_owned()),
            ("GITHUB_EVENT_PATH", file("event.json")),
            ("GITHUB_OUTPUT", file("output")),
            ("GITHUB_STEP_SUMMARY", file("summary")),
            ("GITHUB_TOKEN", "actions-token".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { directory, variables }
    }

    pub fn pull_request(github: &GitHub) -> Self {
        Self::new(github, "pull_request", json!({ "number": 7, "pull_request": pull(7, HEAD_SHA) }))
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn publish(&self, report: &Report, flags: &[&str]) -> Output {
        std::fs::create_dir_all(self.path("results/smoke")).unwrap();
        std::fs::write(self.path("results/smoke/report.json"), serde_json::to_vec(report).unwrap()).unwrap();
        self.run(&[&["publish", "--results", self.path("results").to_str().unwrap()], flags].concat())
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.run_in(self.directory.path(), args)
    }

    pub fn run_in(&self, directory: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.args(args).current_dir(directory).env_clear();
        command.envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.variables.iter().cloned()).output().unwrap()
    }

    pub fn output(&self, name: &str) -> String {
        let text = self.read("output");
        let start = format!("{name}<<bench-diff-end\n");
        let rest = text.split_once(&start).unwrap_or_else(|| panic!("no {name} in {text}")).1;
        rest.split_once("\nbench-diff-end").unwrap().0.to_owned()
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
