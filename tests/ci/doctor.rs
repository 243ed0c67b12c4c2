//! `doctor`: what would be measured here, against what, with which rights, and what is missing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{BUILD, Place, Said, repository};

const TWO_CASES: &str = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1, 256]\n";
const WORKFLOW: &str = ".github/workflows/benchmark.yml";

/// The workflow that the README says to copy, for a machine without a GPU.
fn of_readme() -> String {
    as_shown().replace("build: cuda", "build: cpu")
}

fn as_shown() -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let workflow = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    workflow.replace("OWNER/", "acme/")
}

/// The same in a repository of programs that a command builds.
fn with_command() -> String {
    let command = format!("build-command: {}\n          head-binary: program", serde_json::to_string(BUILD).unwrap());
    let candle = of_readme().lines().find(|line| line.contains("candle: .")).unwrap().trim().to_owned();
    of_readme().replace(&candle, &command)
}

/// A fork of candle, with a script in cargo's place.
fn fork() -> Place {
    let place = Place::candle("");
    place.commit_candle(".", "100");
    place
}

impl Place {
    fn workflow(&self, text: &str) {
        std::fs::create_dir_all(self.path(".github/workflows")).unwrap();
        std::fs::write(self.path(WORKFLOW), text).unwrap();
    }

    fn doctor(&self, flags: &[&str], variables: &[(&str, &str)]) -> Said {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        self.run_with(&[&["doctor"], flags].concat(), &[&[("PATH", path.as_str())], variables].concat())
    }

    pub fn findings(&self, flags: &[&str], variables: &[(&str, &str)]) -> Findings {
        let (exit, out, err) = self.doctor(&[&["--format", "json"], flags].concat(), variables);
        let found: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        assert_eq!(found["ready"], exit == 0, "{out}");
        assert!(exit == 0 || exit == 1, "{exit}");
        Findings(found)
    }

    /// Every file, but for git's own.
    fn files(&self) -> String {
        let list = "find . -path ./.git -prune -o -type f -print | sort";
        let listed = Command::new("bash").args(["-c", list]).current_dir(self.path("")).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    }
}

pub struct Findings(pub Value);

impl Findings {
    pub fn of(&self, status: &str) -> Vec<String> {
        let checks = self.0["checks"].as_array().unwrap().iter().filter(|check| check["status"] == status);
        checks
            .map(|check| format!("{}: {}", check["about"].as_str().unwrap(), check["said"].as_str().unwrap()))
            .collect()
    }

    pub fn has(&self, status: &str, start: &str) {
        let all = self.of(status);
        assert!(all.iter().any(|said| said.starts_with(start)), "no {status} {start:?} in {:#}", self.0);
    }
}

#[test]
fn a_fresh_directory_lacks_everything_and_stays_as_it_is() {
    let place = Place(tempfile::tempdir().unwrap());
    let found = place.findings(&[], &[]);
    found.has("missing", "git: no commit to measure: . is not in a git repository");
    found.has("note", "configuration: no bench-diff.toml here or above: the built-in suite is measured");
    found.has("missing", "measured: bench-diff ");
    found.has("missing", "compared with: neither a committed baseline");
    found.has("missing", "workflow: none in .github/workflows uses the bench-diff Action");
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0, "nothing is written");
}

#[test]
fn a_fork_of_candle_with_the_workflow_of_the_readme_is_ready() {
    let place = fork();
    place.workflow(&of_readme());
    place.commit("a workflow");
    place.git(&["switch", "--quiet", "--create", "faster"]);
    std::fs::write(place.path("candle-core/speed"), "110").unwrap();
    place.commit("faster");
    let before = place.files();
    let (exit, out, err) = place.doctor(&[], &[("COLUMNS", "80")]);
    assert_eq!((exit, err.as_str()), (0, ""), "{out}");
    insta::assert_snapshot!("doctor_of_a_fork_of_candle", place.without_the_machine(&out));
    assert_eq!(place.files(), before, "nothing is written");
    assert!(!place.path("bin/builds").exists(), "nothing is built");
}

impl Place {
    /// Without rows that differ from machine to machine, and commits.
    fn without_the_machine(&self, out: &str) -> String {
        let mut kept = String::new();
        let mut skipped = false;
        for line in out.lines() {
            if [" OK ", " NOTE ", " MISSING "].iter().any(|mark| line.starts_with(mark)) {
                let of_machine = ["machine", "baseline", "plan", "tools"];
                skipped = line.split_whitespace().nth(1).is_some_and(|about| of_machine.contains(&about));
            }
            kept += &if skipped { String::new() } else { format!("{line}\n") };
        }
        let commit = |name: &str| self.git(&["rev-parse", name])[..9].to_owned();
        kept.replace(&commit("HEAD"), "<COMMIT>_").replace(&commit("main"), "<MAIN>___")
    }
}

/// As it was before a workflow could say what it measures.
#[test]
fn a_workflow_that_measures_bench_diff_itself_is_not_ready() {
    let place = fork();
    let candle = of_readme().lines().find(|line| line.contains("candle: .")).unwrap().to_owned() + "\n";
    place.workflow(&of_readme().replace(&candle, ""));
    place.commit("a workflow");
    let found = place.findings(&[], &[]);
    assert!(found.of("missing")[0].ends_with(": nothing of this repository is in it"), "{:#}", found.0);
    // Nor can another repository be built against.
    let (place, _) = repository();
    place.workflow(&of_readme());
    place.commit("a workflow");
    let found = place.findings(&[], &[]);
    found.has("missing", "measured: this checkout is no checkout of candle");
    assert_eq!(found.of("missing").len(), 1, "{:#}", found.0);
    assert!(!found.0.to_string().contains("the base can be built"), "nor can its base: {:#}", found.0);
}

/// As `plan` says it: whoever measures `graph` wants to know that it won't be that.
#[test]
fn what_runs_otherwise_than_asked_for_is_told() {
    let models = "[\"Qwen/Qwen2.5-0.5B-Instruct-AWQ\", \"Qwen/Qwen2.5-7B-Instruct-AWQ\"]";
    let text = format!(
        "[suites.two]\ndevice = \"cuda\"\ngpus = [0, 1]\nweights = \"generated\"\nmodels = {models}\ncontext-lengths = [1]\n"
    );
    let found = Place::with_config(&text).findings(&[], &[]);
    let told: Vec<_> = found.of("note").into_iter().filter(|said| said.starts_with("plan: ")).collect();
    let [said] = &told[..] else { panic!("one note: {told:?}") };
    assert!(
        said.starts_with("plan: Qwen2.5-0.5B-Instruct-AWQ/awq/1: graph can't run it (half of its query size"),
        "{said}"
    );
}

/// What the README's workflow needs of the runner.
#[test]
fn a_build_for_a_gpu_wants_nvcc_and_a_gpu() {
    let place = fork();
    place.workflow(&as_shown());
    std::fs::create_dir(place.path("tools")).unwrap();
    let git = Command::new("bash").args(["-c", "command -v git"]).output().unwrap();
    std::os::unix::fs::symlink(String::from_utf8(git.stdout).unwrap().trim(), place.path("tools/git")).unwrap();
    let tools = place.path("tools").display().to_string();
    let bare = [("PATH", tools.as_str()), ("CUDA_VISIBLE_DEVICES", "")];
    let missing = |workflow: &str| {
        place.workflow(workflow);
        let (_, out, _) = place.run_with(&["doctor", "--format", "json"], &bare);
        Findings(serde_json::from_str(&out).unwrap()).of("missing")
    };
    assert_eq!(
        missing(&as_shown()),
        [
            "tools: cargo isn't on the PATH",
            "tools: nvcc isn't on the PATH",
            "machine: the workflow builds for a GPU (`build: cuda`), and none is visible",
        ]
    );
    assert_eq!(missing(&of_readme()), ["tools: cargo isn't on the PATH"]);
}

#[test]
fn a_workflow_that_nobody_can_read_is_missing() {
    let place = fork();
    place.workflow(&of_readme());
    std::fs::write(place.path(".github/workflows/other.yml"), "jobs: [").unwrap();
    place.findings(&[], &[]).has("missing", "workflow: can't read .github/workflows/other.yml: ");
}

#[test]
fn a_baseline_is_said_with_what_it_lacks() {
    let (place, _) = repository();
    place.workflow(&with_command());
    place.commit("a workflow");
    let found = place.findings(&[], &[]);
    assert_eq!(found.of("missing"), [""; 0]);
    found.has("ok", "measured: program, which `sed ");
    found.has("ok", "base: the base can be built: `sed ");
    found.has("ok", "base: this branch left main ");
    found.has("note", "baseline: none for the suite small on this hardware (");
    assert_eq!(place.ci(&["--head-binary", "./program", "--output", "out"]).0, 0);
    assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
    let found = place.findings(&[], &[]);
    found.has("note", "baseline: small/");
    assert!(found.of("note").iter().any(|said| said.contains("1 session on 1 occasion: a screen")), "{:#}", found.0);
    found.has("note", "baseline: it isn't in main yet");
}

#[test]
fn every_problem_of_the_configuration_is_said() {
    let place = Place::with_config("[suites.a]\nmodles = [\"Qwen/Qwen2.5-0.5B\"]\nruns = 0\n");
    let missing = place.findings(&[], &[]).of("missing");
    let of_file = |start: &str| missing.iter().any(|said| said.starts_with(&format!("configuration: {start}")));
    assert!(of_file("bench-diff.toml can't be used"), "{missing:#?}");
    assert!(of_file("bench-diff.toml:2: ") && of_file("bench-diff.toml:3: "), "{missing:#?}");
}

#[test]
fn weights_are_looked_for_and_not_downloaded() {
    let place = Place::with_config(&TWO_CASES.replace("generated", "hub"));
    let cache = tempfile::tempdir().unwrap();
    let home = [("HF_HOME", cache.path().to_str().unwrap()), ("HF_ENDPOINT", "http://127.0.0.1:9")];
    place
        .findings(&[], &home)
        .has("note", "model: Qwen/Qwen2.5-0.5B isn't in the cache of the Hugging Face Hub: the first run downloads it");
    let offline = [&home[..], &[("HF_HUB_OFFLINE", "1")]].concat();
    place
        .findings(&[], &offline)
        .has("missing", "model: Qwen/Qwen2.5-0.5B isn't in the cache of any hub, and HF_HUB_OFFLINE");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn a_token_is_noted_and_not_shown() {
    let place = Place::new();
    let (_, out, err) = place.doctor(&[], &[("GITHUB_TOKEN", "ghs_0123456789")]);
    assert!(out.contains("this environment holds a token of GitHub's"), "{out}");
    assert!(!out.contains("ghs_") && !err.contains("ghs_"), "{out}{err}");
}

/// What to replace in the documented workflow, by what, and what it then lacks.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "permissions: # nothing that writes: the pull request's code runs here\n      contents: read",
        "permissions: write-all",
        "measuring job: measure lacks a token that only reads: the pull request's code runs there, and it may write everything",
    ),
    (
        "      - uses: acme/bench-diff@",
        "      - uses: acme/bench-diff/.github/actions/publish@v1\n      - uses: acme/bench-diff@",
        "publishing job: measure measures and publishes",
    ),
    (
        "      - uses: acme/bench-diff/.github/actions/publish@",
        "      - uses: actions/cache@v4\n      - uses: acme/bench-diff/.github/actions/publish@",
        "publishing job: publish isn't free of caches",
    ),
    ("on: pull_request", "on: [pull_request_target]", "workflow: no safe trigger: with `pull_request_target`"),
    ("on: pull_request", "on: {schedule: [{cron: '1 1 * * *'}]}", "workflow: none measures pull requests: "),
    ("acme/bench-diff/", "OWNER/bench-diff/", "workflow: `OWNER/bench-diff/.github/actions/publish` is no repository"),
    ("acme/bench-diff@", "OWNER/bench-diff@", "workflow: `OWNER/bench-diff` is no repository"),
    ("contents: read", "contents: write", "measuring job: measure lacks a token that only reads"),
    ("contents: read", "metadata: read", "measuring job: measure may not read the repository"),
    (
        "    permissions: # nothing",
        "    env: {A: '${{ secrets.A }}'}\n    permissions: # nothing",
        "measuring job: measure isn't free of secrets",
    ),
    (
        "permissions: {}",
        "permissions: {}\nenv: {A: '${{ secrets.A }}'}",
        "measuring job: measure isn't free of secrets",
    ),
    (
        "    if: github.event.pull",
        "    # if: github.event.pull",
        "measuring job: nothing keeps a fork's code from your runner (self-hosted, gpu)",
    ),
    (
        "candle: .",
        "build-command: 'make ${{ github.event.pull_request.title }}'",
        "measuring job: a `build-command` that is free of",
    ),
    ("pull-requests: write", "pull-requests: read", "publishing job: publish may not comment"),
    ("checks: write", "checks: read", "publishing job: publish may not set the check run"),
    ("runs-on: ubuntu-latest", "runs-on: [self-hosted]", "publishing job: publish doesn't run on a runner of GitHub's"),
    ("bench-diff/.github/actions/publish", "other", "publishing job: no job uses"),
    (
        "candle: .",
        "candle: .\n          base-ref: --upload-pack=x",
        "inputs: the workflow's `base-ref` (--upload-pack=x) is no branch",
    ),
    (
        "candle: .",
        "build-command: make",
        "inputs: the workflow's `build-command` builds a program, and no `head-binary`",
    ),
];

#[test]
fn every_right_that_is_wrong_is_missing() {
    let place = fork();
    for (old, new, missing) in WRONG {
        let text = of_readme();
        assert!(text.contains(old), "{old}");
        place.workflow(&text.replacen(old, new, 1));
        place.findings(&[], &[]).has("missing", missing);
    }
    place.workflow(&of_readme());
    assert_eq!(place.findings(&[], &[]).of("missing"), [""; 0]);
    place.workflow(&of_readme().replace("persist-credentials: false", "fetch-depth: 0"));
    place.findings(&[], &[]).has("note", "measuring job: `actions/checkout` leaves the token in the clone");
}

/// What the runner has is seldom the whole history.
#[test]
fn a_shallow_clone_says_what_it_lacks() {
    let place = fork();
    place.workflow(&of_readme());
    place.commit("a workflow");
    let origin = format!("file://{}", place.path("").display());
    let clone = Place(tempfile::tempdir().unwrap());
    clone.git(&["clone", "--quiet", "--depth", "1", &origin, "."]);
    let found = clone.findings(&[], &[]);
    found.has("note", "git: a shallow clone: the Action fetches what it lacks");
    found.has("note", "base: origin/HEAD is checked out (");
    assert_eq!(found.of("missing"), [""; 0], "{:#}", found.0);
}

/// Whatever a file or a branch is called, nothing of it reaches the terminal but visible text.
#[test]
fn hostile_names_are_shown_as_text() {
    let place = fork();
    place.workflow(
        &of_readme()
            .replace("  measure:", "  \"measure\\e[2J\\u202e::error::\":")
            .replace("ubuntu-latest", "\"ubuntu-\\e]0;x\\a\""),
    );
    std::fs::write(place.path(".github/workflows/a\u{1b}[31m.yml"), "a: [").unwrap();
    std::fs::write(place.path(".github/workflows/b.yml"), "a: 1\na: 2").unwrap();
    let bombs: String =
        (1..30).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(","))).collect();
    std::fs::write(place.path(".github/workflows/c.yml"), format!("l0: &l0 [x]\n{bombs}{}", of_readme())).unwrap();
    place.git(&["switch", "--quiet", "--create", "a\u{202e}b;$(touch${IFS}x)"]);
    for format in ["table", "json"] {
        let (exit, out, err) = place.doctor(&["--format", format], &[]);
        assert_eq!(exit, 1, "{out}{err}");
        let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        let shown = if format == "table" { out.clone() } else { out.replace("\\u202e", "").replace('\u{202e}', "") };
        assert!(!shown.contains(odd) && !err.contains(odd), "{out:?}");
        assert!(out.contains("b.yml: line 2: `a` is there twice"), "{out}");
    }
    assert!(!place.path("x").exists());
}
